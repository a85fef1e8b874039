//! A system that is being tried after an update: watched until it has proved itself, then kept. Until then the file `health` says
//! what is missing, so that whoever goes back to the old system can say why. Runs only during a trial.

use crate::cameras::{Camera, Cameras};
use crate::probe::ApiProbe;
use crate::supervisor::{Ended, Supervisor};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::health::CameraState;
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::ports::CameraPort;
use perch_domain::recording::TimeAnchor;
use perch_domain::status::RecordingState;
use perch_domain::update::{Gate, GateCamera, GateSigns, GateVerdict, UpdatePort};
use perch_media::gop::{ClosedGop, Gops};
use perch_store::{GopPackets, Store};
use perch_update::Updater;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked. The whole trial has three minutes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(12);
/// How long a camera may take to its next keyframe; then the GOP is closed as it is.
const KEYFRAME_WITHIN: Duration = Duration::from_secs(4);
/// The key under which the old system left which cameras delivered.
const DELIVERED: &str = "delivered_before_update";

/// What a trial looks at.
#[derive(Clone)]
pub struct Trial {
    pub updater: Updater,
    pub cameras: Arc<Cameras>,
    pub store: Store,
    pub api: Arc<ApiProbe>,
    pub clock: SharedClock,
}

/// Leaves word of the cameras that deliver now, for the version that is installed next.
pub fn leave_word(store: &Store, cameras: &Cameras, version: &str) {
    let live = cameras.cameras().into_iter().filter(|c| c.health.state == CameraState::Live);
    let ids: Vec<_> = live.map(|c| c.id.to_string()).collect();
    if let Err(e) = store.set_meta(DELIVERED, &format!("{version} {}", ids.join(","))) {
        tracing::warn!(error = %e, "the new version will not know which cameras delivered before it");
    }
}

/// Reads that word; one that is for another version counts for nothing.
fn delivered(word: &str, version: &str) -> Option<Vec<CameraId>> {
    let ids = word.strip_prefix(version)?.strip_prefix(' ')?;
    Some(ids.split(',').filter_map(|id| CameraId::new(id).ok()).collect())
}

/// Watches the trial, if this is one.
pub fn spawn(supervisor: &mut Supervisor, trial: Trial) {
    if !trial.updater.places().boot().is_some_and(|b| b.trial) {
        return;
    }
    tracing::warn!("this system is being tried: it is left again unless it proves itself");
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    supervisor.spawn("trial", backoff, move |shutdown| run_once(trial.clone(), shutdown));
}

async fn run_once(trial: Trial, mut shutdown: Shutdown) -> Result<Ended> {
    let mut gate = Gate::default();
    let mut recorded = Err("it was not tried yet".to_owned());
    let mut told = None;
    loop {
        let looking = look(&trial, recorded.clone());
        let looked = tokio::select! {
            looked = tokio::time::timeout(LOOK_WITHIN, looking) => looked,
            () = shutdown.called() => return Ok(Ended::Done),
        };
        let verdict = match looked {
            Ok(signs) => {
                let signs = signs?;
                recorded = signs.recorded.clone();
                gate.look(&signs, trial.clock.mono())
            }
            Err(_) => {
                gate = Gate::default();
                let hangs = format!("disk, cameras and API were not heard of within {} s", LOOK_WITHIN.as_secs());
                GateVerdict::Waiting(hangs)
            }
        };
        let complaint = match &verdict {
            GateVerdict::Waiting(why) => why.clone(),
            GateVerdict::Content => String::new(),
            GateVerdict::Keep => match keep(&trial).await {
                Ok(()) => return Ok(Ended::Done),
                Err(e) => format!("it works and could not be kept: {e}"),
            },
        };
        if told.as_ref() != Some(&complaint) {
            tracing::info!(waits_for = complaint, "the trial goes on");
            trial.updater.tell_trial(&complaint);
            trial.updater.places().tell_health(&complaint)?;
            told = Some(complaint);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.called() => return Ok(Ended::Done),
        }
    }
}

async fn keep(trial: &Trial) -> Result<()> {
    let trial = trial.clone();
    let kept = tokio::task::spawn_blocking(move || {
        trial.updater.keep()?;
        tracing::info!(version = trial.updater.version(), "the new version has proved itself and is kept");
        trial.updater.places().tell_health("")
    });
    kept.await.map_err(|e| Error::internal("keeping the new version panicked").with_source(e))?
}

async fn look(trial: &Trial, recorded: Result<(), String>) -> Result<GateSigns> {
    let (store, api, version) = (trial.store.clone(), trial.api.clone(), trial.updater.version());
    let asked = tokio::task::spawn_blocking(move || {
        let database = store.ping().map_err(|e| e.to_string());
        let api = match api.ask() {
            Ok(200) => Ok(()),
            Ok(status) => Err(format!("it answered with {status}")),
            Err(e) => Err(e.to_string()),
        };
        let expected = store.get_meta(DELIVERED).ok().flatten().and_then(|w| delivered(&w, &version));
        (database, api, expected)
    });
    let (database, api, expected) = asked.await.map_err(|e| Error::internal("the trial panicked").with_source(e))?;
    let recorded = match recorded {
        Ok(()) => Ok(()),
        Err(_) => prove(trial).await.map_err(|e| e.to_string()),
    };
    let cameras = trial.cameras.cameras().into_iter().map(|c| GateCamera {
        is_live: c.health.state == CameraState::Live,
        reason: c.health.reason,
        recording_problem: match c.recording.state {
            RecordingState::Paused => c.recording.reason,
            _ => String::new(),
        },
        id: c.id,
        name: c.name,
    });
    Ok(GateSigns { cameras: cameras.collect(), expected, recorded, api, database })
}

/// Records a GOP of a camera that delivers, and reads it back.
async fn prove(trial: &Trial) -> Result<()> {
    let recordable = |c: &&Arc<Camera>| c.config.codec == VideoCodec::H264;
    let mut cameras = trial.cameras.all.iter().filter(recordable).peekable();
    let store = trial.store.clone();
    let proof = if cameras.peek().is_none() {
        // Nothing that could be recorded is configured: the disk is to take something all the same.
        tokio::task::spawn_blocking(move || store.probe_write())
    } else {
        let live = cameras.find(|c| c.health().state == CameraState::Live);
        let camera = live.ok_or_else(|| Error::new(ErrorKind::Unavailable, "no camera gives a picture"))?.clone();
        let gop = next_gop(&camera).await?;
        let start = TimeAnchor::new(trial.clock.utc(), trial.clock.mono()).utc(gop.start);
        tokio::task::spawn_blocking(move || {
            let packets = GopPackets { packets: gop.packets, end: gop.end };
            store.prove_recording(&camera.config.id, start, gop.start, &packets)
        })
    };
    proof.await.map_err(|e| Error::internal("recording for the trial panicked").with_source(e))?
}

async fn next_gop(camera: &Camera) -> Result<ClosedGop> {
    let mut gops = Gops::follow(&camera.hub, Stream::Main, "trial", 2);
    camera.hub.request_keyframe(Stream::Main);
    let gop = match tokio::time::timeout(KEYFRAME_WITHIN, gops.queue.recv()).await {
        Ok(gop) => gop,
        Err(_) => {
            gops.detach();
            gops.queue.recv().await
        }
    };
    gop.ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{} gives no keyframe", camera.config.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_the_old_system_is_for_one_version() {
        let ids =
            |word, version| delivered(word, version).map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(ids("0.2.0 front,yard", "0.2.0"), Some(vec!["front".into(), "yard".into()]));
        assert_eq!(ids("0.2.0 ", "0.2.0"), Some(vec![]));
        assert_eq!(ids("0.2.0 front", "0.2"), None);
        assert_eq!(ids("", "0.2.0"), None);
    }
}
