//! What the recorder is fed of a part, and what it says done on the disk. No decision is here but the order that it gives.

use perch_base::ids::{CameraId, SegmentId};
use perch_base::repeated::Repeated;
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use perch_domain::archive::GapCause;
use perch_domain::media::Track;
use perch_domain::recording::{Fate, Format, Input, Part};
use perch_domain::switched_off::OffBy;
use perch_media::parts::PartPackets;
use perch_store::{FragmentPackets, Recordings, SegmentWriter, TrackFormat, write_fault};
use std::sync::Arc;
use tokio::sync::Notify;

/// What the recorder is fed.
pub type RecorderInput = Input<Arc<PartPackets>, PictureFormat>;
/// What it asks for.
pub type Step = perch_domain::recording::Step<Arc<PartPackets>, PictureFormat>;

/// Where a recorder's steps are done.
pub trait Disk: Send + 'static {
    /// Does one step. [`Step::Publish`] is not for the disk.
    fn obey(&mut self, step: &Step) -> Result<()>;
}

/// The format of a part's pictures, as its keyframe says. Two are equal where one file holds both.
#[derive(Clone, Debug)]
pub struct PictureFormat(TrackFormat);

impl PartialEq for PictureFormat {
    fn eq(&self, other: &Self) -> bool {
        self.0.goes_on_from(&other.0)
    }
}

impl PictureFormat {
    /// Errors with `Invalid` when the keyframe lacks its parameter sets.
    fn of(part: &PartPackets) -> Result<Self> {
        let empty = || Error::invalid("there is no picture");
        let first = part.packets.first().ok_or_else(empty)?;
        TrackFormat::from_keyframe(first.codec.ok_or_else(empty)?, &first.data, false).map(Self)
    }
}

/// Makes of parts what the recorder is fed.
pub struct PartReader {
    /// The format that the newest keyframe said, or why it cannot be recorded: it holds for what needs that keyframe.
    picture: Result<PictureFormat, String>,
}

impl Default for PartReader {
    fn default() -> Self {
        Self { picture: Err("no keyframe came".to_owned()) }
    }
}

impl PartReader {
    /// The next part came.
    pub fn input_of(&mut self, part: PartPackets) -> RecorderInput {
        if part.starts {
            self.picture = PictureFormat::of(&part).map_err(|e| e.message().to_owned());
        }
        let (start, end) = (part.start, part.end);
        match &self.picture {
            Ok(picture) => {
                let sound = part.packets.iter().any(|p| p.track == Track::Audio);
                let format = Format { picture: picture.clone(), sound };
                let (joined, starts, size_bytes) = (part.joined, part.starts, part.size_bytes());
                Input::Part(Part { start, end, joined, starts, size_bytes, format, payload: Arc::new(part) })
            }
            Err(reason) => Input::Unusable { start, end, reason: reason.clone() },
        }
    }
}

/// A disk, as the recorder's thread has it, and what was logged of its trouble.
pub struct Steps<D> {
    disk: D,
    camera: CameraId,
    /// Why files before an event are not cut, and why those after one are not given to it or removed: recording goes on all the same.
    trims: Repeated,
    tails: Repeated,
}

impl<D: Disk> Steps<D> {
    pub fn new(disk: D, camera: CameraId) -> Self {
        Self { disk, camera, trims: Repeated::default(), tails: Repeated::default() }
    }

    /// Does `steps` in order, until one fails without which recording cannot go on. Returns the answers. Where recording is paused
    /// already, the failure was logged.
    pub fn obey(&mut self, steps: &[Step], is_paused: bool, now: MonoTime) -> Vec<RecorderInput> {
        let camera = &self.camera;
        let mut answers = Vec::new();
        for step in steps {
            let of_event = match step {
                Step::Trim { .. } => Some(&self.trims),
                Step::Tail(Fate::Claimed(_) | Fate::Discarded) => Some(&self.tails),
                _ => None,
            };
            let Err(e) = self.disk.obey(step) else {
                if let Some(repeats) = of_event.and_then(Repeated::ended) {
                    tracing::info!(%camera, repeats, "files around an event are cut, given to it and removed again");
                }
                continue;
            };
            let cause = write_fault(&e);
            if step.failure_pauses(cause) {
                // The reason is shown to whoever sees the camera.
                match is_paused {
                    true => tracing::debug!(%camera, error = %e, "recording cannot go on yet"),
                    false => tracing::error!(%camera, error = %e, "recording pauses"),
                }
                answers.push(Input::Failed { cause, reason: e.message().to_owned() });
                return answers;
            }
            if let Step::NoteGap(note) = step {
                tracing::debug!(%camera, error = %e, "the cause of a gap could not be entered yet");
                answers.push(Input::NotNoted(*note));
            } else if of_event.is_none_or(|failures| failures.is_news(e.message(), now)) {
                tracing::warn!(%camera, error = %e, "files around an event could not be cut, given to it or removed");
            } else {
                tracing::debug!(%camera, error = %e, "nor could those around this event");
            }
        }
        answers.push(Input::Wrote);
        answers
    }
}

/// A camera's files and gaps in the store.
pub struct StoreDisk {
    recordings: Recordings,
    camera: CameraId,
    /// Woken when a file is complete, and when one failed: a full disk may be retention's to clear.
    sealed: Arc<Notify>,
    /// The open file, and its time 0.
    open: Option<(SegmentWriter, MonoTime)>,
    tail: Vec<SegmentId>,
    /// Who switched the camera off, where it is.
    off_by: Option<OffBy>,
}

impl StoreDisk {
    pub fn new(recordings: Recordings, camera: CameraId, sealed: Arc<Notify>, off_by: Option<OffBy>) -> Self {
        Self { recordings, camera, sealed, open: None, tail: Vec::new(), off_by }
    }
}

impl Disk for StoreDisk {
    fn obey(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Open { start, at, event, tail, format } => {
                let format = TrackFormat { has_audio: format.sound, ..format.picture.0.clone() };
                let writer = self.recordings.create_segment(&self.camera, *at, *event, &format)?;
                if *tail {
                    self.tail.push(writer.id());
                }
                self.open = Some((writer, *start));
                Ok(())
            }
            Step::Write(part) => {
                let (writer, start) =
                    self.open.as_mut().ok_or_else(|| Error::internal("there is no open file to write to"))?;
                let packets = part.payload.packets.clone();
                let packets = FragmentPackets { packets, end: part.end, delay: part.payload.delay };
                writer.write_fragment(*start, &packets).map(drop)
            }
            Step::Seal => {
                let sealed = self.open.take().map_or(Ok(()), |(writer, _)| writer.seal().map(drop));
                self.sealed.notify_one();
                sealed
            }
            Step::Abandon => {
                self.open = None;
                self.tail.clear();
                self.sealed.notify_one();
                Ok(())
            }
            Step::Tail(fate) => {
                let files = std::mem::take(&mut self.tail);
                match fate {
                    Fate::Claimed(event) => self.recordings.claim_segments(&files, *event),
                    Fate::Kept => Ok(()),
                    Fate::Discarded => self.recordings.discard_segments(&files),
                }
            }
            Step::Trim { at } => self.recordings.trim_before(&self.camera, *at),
            Step::NoteGap(note) => match &self.off_by {
                Some(by) if note.cause == GapCause::SwitchedOff => {
                    self.recordings.note_switched_off(&self.camera, note.from, note.to, by)
                }
                _ => self.recordings.note_gap(&self.camera, note.from, note.to, note.cause),
            },
            Step::Probe => self.recordings.probe_write(),
            Step::Publish(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::ErrorKind;
    use perch_base::ids::EventId;
    use perch_base::time::Timestamp;

    /// Fails as often as it is told to.
    struct Fails(u32);

    impl Disk for Fails {
        fn obey(&mut self, _: &Step) -> Result<()> {
            match self.0.checked_sub(1) {
                None => Ok(()),
                Some(left) => {
                    self.0 = left;
                    Err(Error::new(ErrorKind::Unavailable, "the database is busy").with_inside(format!("file {left}")))
                }
            }
        }
    }

    #[test]
    fn a_disk_that_does_nothing_for_events_is_logged_once_until_it_does() {
        let mut steps = Steps::new(Fails(6), CameraId::new("front").expect("valid"));
        let (trim, claim) = (Step::Trim { at: Timestamp(0) }, Step::Tail(Fate::Claimed(EventId(1))));
        for _ in 0..3 {
            let answers = steps.obey(&[trim.clone(), claim.clone()], false, MonoTime(0));
            assert!(matches!(answers[..], [Input::Wrote]), "recording goes on");
        }
        assert_eq!([steps.trims.ended(), steps.tails.ended()], [Some(2), Some(2)], "one of three is logged, of each");
        steps.disk.0 = 1;
        steps.obey(&[trim.clone(), Step::Tail(Fate::Kept)], false, MonoTime(0));
        steps.obey(&[claim], false, MonoTime(0));
        assert_eq!(steps.trims.ended(), Some(0), "what works beside it has not ended it");
        steps.disk.0 = 1;
        steps.obey(&[trim.clone(), trim], false, MonoTime(0));
        assert_eq!(steps.trims.ended(), None, "a file that was cut has");
    }
}
