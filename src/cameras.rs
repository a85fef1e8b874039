//! The cameras as the API lists them, and what the box says of itself.

use crate::announcements::StoredAnnouncements;
use crate::camera::Camera;
use crate::camera_set::CameraSet;
use crate::copies::Copies;
use crate::current::Current;
use crate::ears::Ears;
use crate::kernel_clock;
use crate::picture_controls::PictureControls;
use crate::supervisor::TaskList;
use crate::version;
use bytes::Bytes;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::{CameraId, DeviceId};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_domain::identity::IdentityPort;
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::picture_controls::SourceControls;
use perch_domain::ports::{CameraPort, Later, LivePort, MadeStill, Snapshot};
use perch_domain::sound_level::SoundLevel;
use perch_domain::status::{CameraInfo, ClockStatus, DamagedAccess};
use perch_domain::still_turns::{Asker, too_many};
use perch_domain::summary::{Status, summarise};
use perch_domain::talk::{Busy, FloorSeen, TalkAsker};
use perch_media::rtsp;
use perch_media::still::{Turn, Turns};
use perch_store::{Accounts, Recordings};
use std::sync::Arc;
use std::time::Duration;

/// How long a viewer's still waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// How long its recorded picture is waited for.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// A recorded picture: when it was taken, how it is encoded, and what decoding it needs.
type Recorded = (Timestamp, VideoCodec, Vec<Bytes>);

/// All cameras and what the box says of itself.
pub struct Cameras {
    pub set: Arc<CameraSet>,
    pub settings: Current,
    pub copies: Copies,
    pub recordings: Recordings,
    pub accounts: Accounts,
    pub identity: Arc<dyn IdentityPort>,
    pub tasks: TaskList,
    pub clock: SharedClock,
    pub live: Arc<dyn LivePort>,
    pub rtsp: Arc<rtsp::Handle>,
    /// Where viewers' stills wait.
    pub stills: ViewersStills,
    /// Who listens how loud they are.
    pub ears: Ears,
    /// What their loudspeakers play besides speech.
    pub announcements: Arc<StoredAnnouncements>,
    /// Asks for their own picture settings.
    pub controls: Arc<PictureControls>,
}

/// Where viewers' stills wait to be made, and before that, what is recorded, to be read: a disk that hangs holds no turn to make one.
pub struct ViewersStills {
    clock: SharedClock,
    reads: Turns,
    /// Where the box's own wait, too.
    pub turns: Turns,
}

impl ViewersStills {
    /// Stills that are made in the turns that the box's own are made in.
    pub fn new(clock: SharedClock, turns: Turns) -> Self {
        Self { clock, reads: Turns::default(), turns }
    }

    /// A turn for a still of the camera's newest picture.
    async fn live(&self, by: DeviceId) -> Result<Turn> {
        self.in_time(self.turns.take(Asker::Device(by))).await
    }

    /// A turn for a still of a recorded picture, and that picture, which is `read` first.
    async fn recorded(
        &self,
        by: DeviceId,
        read: impl FnOnce() -> Result<Recorded> + Send + 'static,
    ) -> Result<(Turn, Recorded)> {
        let place = self.in_time(self.reads.take(Asker::Device(by))).await?;
        // The place goes with the reading, which may outlast whoever waits for it, and comes back with the picture: it is given back
        // after the turn came, so that few pictures wait in memory.
        let reading = blocking("reading a still", move || Ok((read()?, place)));
        let silent =
            || Err(Error::new(ErrorKind::Unavailable, "the recordings' disk does not answer; try again later"));
        let (keyframe, _place) = within(&self.clock, READ_WITHIN, reading).await.unwrap_or_else(silent)?;
        Ok((self.live(by).await?, keyframe))
    }

    async fn in_time(&self, turn: impl Future<Output = Result<Turn>>) -> Result<Turn> {
        within(&self.clock, TURN_WITHIN, turn).await.unwrap_or_else(|| Err(too_many()))
    }
}

impl CameraPort for Cameras {
    fn cameras(&self) -> Vec<CameraInfo> {
        let (zone, now) = (self.settings.config().zone(), self.clock.utc());
        let told = |c: &Arc<Camera>| {
            let mut info = c.info();
            if let Some(off) = &info.health.off {
                info.health.reason = off.told(&zone, now);
            }
            info
        };
        self.set.all().iter().map(told).collect()
    }

    fn snapshot(&self, wanted: Snapshot, by: DeviceId) -> Later<'_, Result<MadeStill>> {
        Box::pin(async move {
            let camera = self.set.get(&wanted.camera)?;
            let (turn, taken_at, codec, pictures) = match wanted.at {
                Some(at) => {
                    let (recordings, id) = (self.recordings.clone(), wanted.camera.clone());
                    let read = move || recordings.keyframe_by(&id, at);
                    let (turn, (taken_at, codec, pictures)) = self.stills.recorded(by, read).await?;
                    (turn, Some(taken_at), codec, pictures)
                }
                None => {
                    let turn = self.stills.live(by).await?;
                    let (codec, pictures) = newest_keyframe(&camera)?;
                    (turn, None, codec, pictures)
                }
            };
            // The turn goes with the work: whoever hangs up does not make room before it is done.
            let aspect = camera.config.aspect;
            let work = move || perch_media::still::jpeg(&turn, &wanted.camera, codec, aspect, &pictures, wanted.width);
            let jpeg = blocking("making a still", work).await?;
            Ok(MadeStill { jpeg, taken_at })
        })
    }

    fn sound_level(&self, camera: &CameraId) -> Later<'_, Result<Option<SoundLevel>>> {
        let camera = camera.clone();
        Box::pin(async move { self.ears.level(&camera).await })
    }

    fn floor(&self, camera: &CameraId, device: DeviceId) -> Result<FloorSeen> {
        Ok(self.set.get(camera)?.speaker.floor(device))
    }

    fn announce(&self, camera: &CameraId, what: &str, who: &TalkAsker) -> Result<Option<Busy>> {
        let camera = self.set.get(camera)?;
        // Nothing of it runs, and nobody would ever hear it.
        if let Some(off) = &camera.config.off {
            let message = format!("{} is switched off {}", camera.config.name, off.by.told());
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        camera.speaker.announce(who, self.announcements.playable(what)?)
    }

    fn leave_queue(&self, camera: &CameraId, device: DeviceId) -> Result<()> {
        self.set.get(camera)?.speaker.leave(device);
        Ok(())
    }

    fn controls(&self, camera: &CameraId) -> Later<'_, Result<SourceControls>> {
        let camera = self.set.get(camera);
        Box::pin(async move { Ok(self.controls.of(&*camera?).await) })
    }

    fn status(&self) -> Status {
        let cameras = self.cameras();
        let disk = self.recordings.disk();
        let tasks = self.tasks.statuses();
        let synchronised = kernel_clock::is_synchronised();
        let damaged = self.accounts.damaged().unwrap_or_else(|e| {
            // That the database does not answer is what the disk's status says.
            tracing::debug!(error = %e, "it is not known whether an account is damaged");
            DamagedAccess::default()
        });
        let copies = self.copies.brief();
        let (certificates, now) = (self.identity.certificates(), self.clock.utc());
        let said = summarise(&cameras, &disk, (&tasks, &copies), &damaged, &certificates, (now, synchronised));
        Status {
            name: self.settings.config().name.clone(),
            state: said.state,
            sentence: said.sentence,
            about: said.about,
            version: version::VERSION.to_owned(),
            commit: version::COMMIT.to_owned(),
            uptime_s: (self.clock.mono().0 / 1_000_000) as u64,
            clock: ClockStatus { now, synchronised },
            cameras,
            tasks,
            disk,
            copies,
            // An engine that does not answer serves nobody.
            webrtc_sessions: self.live.sessions().map_or(0, |all| all.len()),
            rtsp_readers: self.rtsp.readers(),
            memory_bytes: resident_bytes(),
            certificates,
        }
    }
}

/// The newest keyframe, with what leads to it.
fn newest_keyframe(camera: &Camera) -> Result<(VideoCodec, Vec<Bytes>)> {
    // Why is in its health, for those who may know.
    let name = &camera.config.name;
    let why = match &camera.config.off {
        Some(off) => format!("{name} is switched off {}", off.by.told()),
        None => format!("{name} has no picture at the moment"),
    };
    let none = || Error::new(ErrorKind::Unavailable, why.clone());
    let hub = &camera.hub;
    let keyframe = hub.latest_keyframe(Stream::Main).ok_or_else(none)?;
    let pictures = hub.leading_to(Stream::Main, &keyframe).ok_or_else(none)?;
    Ok((keyframe.codec.unwrap_or(camera.config.codec), pictures.iter().map(|picture| picture.data.clone()).collect()))
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|s| s.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::{Clock, ManualClock};
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_no_still_that_needs_none() {
        let clock = Arc::new(ManualClock::default());
        let turns = Turns::default();
        let stills = Arc::new(ViewersStills::new(clock.clone(), turns.clone()));
        let read = || Ok((Timestamp(5), VideoCodec::H264, vec![Bytes::from_static(b"keyframe")]));
        let device = DeviceId::random;
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let hangs = |by| {
            let (stills, held) = (stills.clone(), held.clone());
            let read = move || {
                // It ends when `release` is dropped.
                let _ = perch_base::sync::lock(&held).recv();
                Ok((Timestamp(0), VideoCodec::H264, Vec::new()))
            };
            tokio::spawn(async move { stills.recorded(by, read).await.map(drop) })
        };
        let hung: Vec<_> = (0..4).map(|_| hangs(device())).collect();
        let waits = || clock.next_wake().is_some_and(|at| at == clock.mono() + READ_WITHIN);
        while !waits() {
            tokio::task::yield_now().await;
        }
        // All four wait now, two of them for the disk and two for a place.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // As many as are made at once, and the box's own beside a viewer's.
        let own = turns.take(Asker::Box).await.expect("its turn");
        let live = stills.live(device()).await.expect("its turn");
        drop((own, live));
        clock.advance(READ_WITHIN);
        for one in hung {
            let e = one.await.expect("no panic").expect_err("nothing was read");
            assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        }
        // The places stay with the readings until these end.
        let late = tokio::spawn({
            let (stills, by) = (stills.clone(), device());
            async move { stills.recorded(by, read).await }
        });
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        drop(release);
        let (_turn, keyframe) = late.await.expect("no panic").expect("the disk answers again");
        assert_eq!(keyframe, (Timestamp(5), VideoCodec::H264, vec![Bytes::from_static(b"keyframe")]));
    }
}
