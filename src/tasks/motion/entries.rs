//! Enters a camera's events in the index, as `domain::event_entries` says. The index may hang: whoever asks it does so on a thread of its own.

use perch_base::Result;
use perch_base::ids::EventId;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::archive::Event;
use perch_domain::event_entries::{Entry, EntryAsk};
use perch_domain::motion::{Cause, Rect};
use perch_store::{Index, NewEvent};

/// Where events are entered.
pub(super) trait EventIndex: Clone + Send + 'static {
    /// Gives an event its id; waits for nothing.
    fn promise(&self, event: NewEvent) -> NewEvent;
    fn begin(&self, event: &NewEvent) -> Result<Event>;
    fn grow(&self, id: EventId, score: f32, cause: Cause, boxes: &[Rect]) -> Result<Event>;
    fn end(&self, id: EventId, end: Timestamp) -> Result<Event>;
}

impl EventIndex for Index {
    fn promise(&self, event: NewEvent) -> NewEvent {
        self.promise_event(event)
    }

    fn begin(&self, event: &NewEvent) -> Result<Event> {
        self.begin_event(event)
    }

    fn grow(&self, id: EventId, score: f32, cause: Cause, boxes: &[Rect]) -> Result<Event> {
        self.update_event(id, score, cause, boxes)
    }

    fn end(&self, id: EventId, end: Timestamp) -> Result<Event> {
        self.end_event(id, end)
    }
}

/// What the index made of an entry.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) entry: Entry<NewEvent>,
    /// The event after each step that was taken.
    pub(super) events: Vec<Event>,
    /// Why there are not more.
    pub(super) failed: Option<perch_base::Error>,
    /// The event whose still is wanted, and of which picture: it is new to the index, or has a stronger one.
    pub(super) wants_still: Option<(EventId, MonoTime)>,
}

/// Asks the index to take an entry. Blocks as long as the index takes.
pub(super) fn enter(index: &impl EventIndex, mut entry: Entry<NewEvent>) -> Entered {
    let (mut events, mut failed) = (Vec::new(), None);
    let asked = entry.asks().map(|ask| {
        let peak = entry.peak.clone();
        match ask {
            EntryAsk::Begin => {
                let event = NewEvent { score: peak.score, cause: peak.cause, boxes: peak.boxes, ..entry.new.clone() };
                index.begin(&event)
            }
            EntryAsk::Grow(id) => index.grow(id, peak.score, peak.cause, &peak.boxes),
        }
    });
    let mut wants_still = None;
    match asked {
        Some(Ok(event)) => {
            entry.taken(event.id);
            wants_still = entry.kept();
            events.push(event);
        }
        Some(Err(e)) => failed = Some(e),
        None => {}
    }
    if let Some((id, end)) = entry.asks_end() {
        match index.end(id, end) {
            Ok(event) => events.push(event),
            Err(e) => failed = Some(e),
        }
    }
    Entered { entry, events, failed, wants_still }
}
