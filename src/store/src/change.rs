//! What the recorders change of the rows of recordings, events and gaps. How changes are written is in `rows`.

use crate::mp4::format::TrackFormat;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::time::Timestamp;
use perch_domain::archive::{Event, Gap, Segment};
use perch_domain::motion::Rect;

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum RowChange {
    /// A file that begins.
    Open {
        id: SegmentId,
        camera: CameraId,
        path: String,
        start: Timestamp,
        event: Option<EventId>,
        format: TrackFormat,
    },
    /// A file that is complete.
    Seal { segment: Segment, path: String, channels: u8, sha256: Vec<u8> },
    /// A file that is gone again.
    Forget { id: SegmentId },
    /// Files that belong to an event, as was found later.
    Claim { files: Vec<SegmentId>, event: EventId },
    /// A complete file that was cut.
    Cut { segment: Segment, path: String },
    /// An event as it is now.
    Event(Event),
    /// An event has a still, and this is what moves in it.
    Still { event: EventId, boxes: Vec<Rect> },
    /// Why nothing was recorded.
    Gap { camera: CameraId, gap: Gap },
}

impl RowChange {
    /// The sentence of its errors.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Open { path, .. } => format!("recording {path} cannot be entered in the index"),
            Self::Seal { path, .. } => format!("recording {path} cannot be sealed"),
            Self::Forget { id } => format!("recording {id} cannot be taken out of the index"),
            Self::Claim { event, .. } => format!("recordings cannot be given to event {event}"),
            Self::Cut { path, .. } => format!("recording {path} was cut, but not in the index"),
            Self::Event(event) => format!("camera {}: event {} cannot be entered", event.camera, event.id),
            Self::Still { event, .. } => format!("event {event} cannot be updated"),
            Self::Gap { camera, .. } => format!("camera {camera}: a gap cannot be noted"),
        }
    }

    /// The event that it says something of.
    pub(crate) fn event(&self) -> Option<EventId> {
        match self {
            Self::Event(event) => Some(event.id),
            Self::Still { event, .. } => Some(*event),
            _ => None,
        }
    }

    /// Whether nothing is lost when this is refused, for the recorder says it again: a gap, and how a running event is.
    pub(crate) fn can_be_repeated(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::Event(Event { end: None, .. }))
    }

    /// Takes in a change that says the same and more; whether it did.
    pub(crate) fn absorb(&mut self, newer: &Self) -> bool {
        match (self, newer) {
            (Self::Gap { camera, gap }, Self::Gap { camera: c, gap: newer }) => {
                let is_same = (&*camera, gap.start, gap.cause, &gap.by) == (c, newer.start, newer.cause, &newer.by);
                if is_same {
                    gap.end = gap.end.max(newer.end);
                }
                is_same
            }
            (Self::Event(event), Self::Event(newer)) if event.id == newer.id => {
                event.clone_from(newer);
                true
            }
            _ => false,
        }
    }
}

/// What begins with a change, and does not begin when that fails.
#[derive(Clone, Copy)]
pub(crate) enum Started {
    File(SegmentId),
    Event(EventId),
}
