//! What the index has yet to take of a camera's events. Whoever puts something in never waits; what waits of one event is one entry.

use perch_base::Result;
use perch_base::ids::EventId;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::archive::Event;
use perch_domain::event::Peak;
use perch_domain::motion::{Cause, Rect};
use perch_store::{Index, NewEvent};
use std::collections::VecDeque;

/// Events that may wait for an index that hangs; the oldest gives way.
const MAX_WAITING: usize = 256;

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

/// What is known of one event.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What the recorder knows it by.
    pub(super) mark: EventId,
    new: NewEvent,
    /// When its strongest picture was captured: the one that its still is to show.
    pub(super) peak_at: MonoTime,
    /// Its id in the index, once that took it.
    id: Option<EventId>,
    /// The picture that the index has.
    kept: Option<MonoTime>,
    end: Option<Timestamp>,
    is_changed: bool,
}

/// What the index made of an entry.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) entry: Entry,
    /// The event after each step that was taken.
    pub(super) events: Vec<Event>,
    /// Why there are not more.
    pub(super) failed: Option<perch_base::Error>,
    grew: bool,
}

impl Entered {
    /// The event whose still is wanted, and of which picture: it is new to the index, or has a stronger one.
    pub(super) fn wants_still(&self) -> Option<(EventId, MonoTime)> {
        self.grew.then(|| self.entry.id.zip(self.entry.kept)).flatten()
    }
}

/// All that waits, oldest first.
#[derive(Debug, Default)]
pub(super) struct Entries(VecDeque<Entry>);

impl Entries {
    /// An event started.
    pub(super) fn started(&mut self, new: NewEvent, peak_at: MonoTime) {
        if self.0.len() >= MAX_WAITING
            && let Some(lost) = self.0.pop_front()
        {
            tracing::error!(camera = %lost.new.camera, event = %lost.mark, "the index hangs: an event is not kept in it");
        }
        self.0.push_back(Entry { mark: new.id, new, peak_at, id: None, kept: None, end: None, is_changed: true });
    }

    /// It has a stronger picture.
    pub(super) fn grew(&mut self, mark: EventId, peak: Peak) {
        if let Some(entry) = self.of(mark) {
            entry.peak_at = peak.at;
            entry.new = NewEvent { score: peak.score, cause: peak.cause, boxes: peak.boxes, ..entry.new.clone() };
            entry.is_changed = true;
        }
    }

    /// It is over.
    pub(super) fn ended(&mut self, mark: EventId, end: Timestamp) {
        if let Some(entry) = self.of(mark) {
            (entry.end, entry.is_changed) = (Some(end), true);
        }
    }

    /// The next one that the index is to be asked to take, as it is now.
    pub(super) fn next(&mut self) -> Option<Entry> {
        let entry = self.0.iter_mut().find(|entry| entry.is_changed)?;
        entry.is_changed = false;
        Some(entry.clone())
    }

    /// The index was asked. What it refused is asked again when more is known of the event, and at its end for the last time.
    pub(super) fn entered(&mut self, entered: &Entered) {
        let mark = entered.entry.mark;
        if let Some(entry) = self.of(mark) {
            (entry.id, entry.kept) = (entered.entry.id, entered.entry.kept);
        }
        self.0.retain(|entry| entry.mark != mark || entry.is_changed || entry.end.is_none());
    }

    fn of(&mut self, mark: EventId) -> Option<&mut Entry> {
        self.0.iter_mut().rev().find(|entry| entry.mark == mark)
    }
}

/// Asks the index to take an entry. Blocks as long as the index takes.
pub(super) fn enter(index: &impl EventIndex, mut entry: Entry) -> Entered {
    let (mut events, mut failed) = (Vec::new(), None);
    let NewEvent { score, cause, boxes, .. } = &entry.new;
    let grew = entry.kept != Some(entry.peak_at);
    let first = match entry.id {
        None => Some(index.begin(&entry.new)),
        Some(id) if grew => Some(index.grow(id, *score, *cause, boxes)),
        Some(_) => None,
    };
    match first {
        Some(Ok(event)) => {
            (entry.id, entry.kept) = (Some(event.id), Some(entry.peak_at));
            events.push(event);
        }
        Some(Err(e)) => failed = Some(e),
        None => {}
    }
    if let (Some(id), Some(end)) = (entry.id, entry.end) {
        match index.end(id, end) {
            Ok(event) => events.push(event),
            Err(e) => failed = Some(e),
        }
    }
    Entered { entry, events, failed, grew }
}
