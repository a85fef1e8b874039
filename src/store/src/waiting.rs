//! Events as they are once the database has taken what waits: they are announced and have ids, so they are found and listed
//! meanwhile. What waits is in `row_queue`.

use crate::change::RowChange;
use perch_base::ids::{CameraId, EventId};
use perch_domain::archive::Event;
use perch_domain::motion::Rect;
use std::cmp::Reverse;
use std::collections::HashMap;

/// What waits of events at one moment.
#[derive(Debug, Default)]
pub(crate) struct WaitingEvents {
    events: HashMap<EventId, Event>,
    /// What moves in stills.
    stills: HashMap<EventId, Vec<Rect>>,
}

impl WaitingEvents {
    /// Picks them out of all that waits, in the order in which it does.
    pub(crate) fn of<'a>(changes: impl Iterator<Item = &'a RowChange>) -> Self {
        let mut out = Self::default();
        for change in changes {
            match change {
                RowChange::Event(event) => drop(out.events.insert(event.id, event.clone())),
                RowChange::Still { event, boxes } => drop(out.stills.insert(*event, boxes.clone())),
                _ => {}
            }
        }
        out
    }

    /// So many rows may differ from what they will say.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// This event, if it waits.
    pub(crate) fn get(&self, id: EventId) -> Option<Event> {
        self.events.get(&id).cloned().map(|event| self.with_still(event))
    }

    /// A camera's newest of those that wait.
    pub(crate) fn newest_of(&self, camera: &CameraId) -> Option<&Event> {
        self.events.values().filter(|event| event.camera == *camera).max_by_key(|event| event.id)
    }

    /// An event, with its still if that waits.
    pub(crate) fn with_still(&self, event: Event) -> Event {
        match self.stills.get(&event.id) {
            Some(boxes) => Event { boxes: boxes.clone(), has_thumbnail: true, ..event },
            None => event,
        }
    }

    /// Those that wait together with those that `rows` hold, read later: one that is entered between the two looks is found twice, not
    /// missed. Only what `is_asked` lets pass, newest first.
    pub(crate) fn merge(mut self, rows: Vec<Event>, is_asked: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut all: Vec<Event> = Vec::with_capacity(rows.len() + self.len());
        for row in rows {
            // What is not written with an event is the row's.
            let (pinned, has_thumbnail) = (row.pinned, row.has_thumbnail);
            all.push(match self.events.remove(&row.id) {
                Some(event) => Event { pinned, has_thumbnail: has_thumbnail || event.has_thumbnail, ..event },
                None => row,
            });
        }
        all.extend(std::mem::take(&mut self.events).into_values());
        let mut all: Vec<Event> = all.into_iter().map(|event| self.with_still(event)).filter(is_asked).collect();
        all.sort_unstable_by_key(|event| Reverse(event.id));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::time::Timestamp;
    use perch_domain::archive::EventKind;
    use perch_domain::motion::Cause;

    fn event(id: i64, score: f32) -> Event {
        Event {
            id: EventId(id),
            camera: CameraId::new("front").expect("valid"),
            kind: EventKind::Motion,
            start: Timestamp(id),
            end: None,
            since: Timestamp(id),
            chapter: 1,
            score,
            cause: Cause::Motion,
            boxes: vec![],
            pinned: false,
            has_thumbnail: false,
        }
    }

    #[test]
    fn what_waits_is_newer_than_its_row_and_each_event_is_there_once() {
        let boxes = vec![Rect { x: 0.0, y: 0.0, w: 1.0, h: 1.0 }];
        let changes = [
            RowChange::Event(event(3, 0.1)),
            RowChange::Event(Event { end: Some(Timestamp(9)), ..event(2, 0.2) }),
            RowChange::Still { event: EventId(1), boxes: boxes.clone() },
            // One that was in a transaction when the next came.
            RowChange::Event(event(3, 0.3)),
        ];
        let rows = vec![Event { pinned: true, has_thumbnail: true, ..event(2, 0.1) }, event(1, 0.1)];
        let waiting = || WaitingEvents::of(changes.iter());
        let all = waiting().merge(rows.clone(), |_| true);
        let want = [
            event(3, 0.3),
            Event { end: Some(Timestamp(9)), pinned: true, has_thumbnail: true, ..event(2, 0.2) },
            Event { boxes, has_thumbnail: true, ..event(1, 0.1) },
        ];
        assert_eq!(all, want);
        let running = waiting().merge(rows, |event| event.end.is_none());
        assert_eq!(running.iter().map(|event| event.id.0).collect::<Vec<_>>(), [3, 1], "the row alone still runs");
        assert_eq!((waiting().get(EventId(3)), waiting().get(EventId(1))), (Some(event(3, 0.3)), None));
        assert_eq!(waiting().newest_of(&event(1, 0.0).camera).map(|event| event.id.0), Some(3));
    }
}
