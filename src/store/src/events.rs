//! Events as they begin, go on and are asked for. Their rows are in `event_rows`, their stills in `stills`.

use crate::Index;
use crate::change::{RowChange, Started};
use crate::event_rows::{by_id, in_range, missing, page};
use perch_base::Result;
use perch_base::ids::{CameraId, EventId};
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_domain::access::CameraGrant;
use perch_domain::archive::{Event, EventFilter, EventKind, EventPage, MAX_ON_TIMELINE, TimeRange};
use perch_domain::motion::{Cause, Rect};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// An event that begins.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// As [`Index::promise_event`] gave it.
    pub id: EventId,
    /// The camera.
    pub camera: CameraId,
    /// What it is.
    pub kind: EventKind,
    /// First motion, or the end of the chapter before; UTC.
    pub start: Timestamp,
    /// When the motion started that this is a chapter of, UTC.
    pub since: Timestamp,
    /// Which chapter: 1, 2, ...
    pub chapter: u32,
    /// The strongest score so far, 0..1.
    pub score: f32,
    /// Why it counts.
    pub cause: Cause,
    /// What moves.
    pub boxes: Vec<Rect>,
}

impl NewEvent {
    fn started(self) -> Event {
        let Self { id, camera, kind, start, since, chapter, score, cause, boxes } = self;
        let (end, pinned, has_thumbnail) = (None, false, false);
        Event { id, camera, kind, start, end, since, chapter, score, cause, boxes, pinned, has_thumbnail }
    }
}

impl Index {
    /// Gives an event that begins its id and puts it ahead of whatever will name it: of its files, also those of other cameras'
    /// events. Asks no database, so nobody waits for one before the event is marked; [`Index::begin_event`] must follow.
    pub fn promise_event(&self, event: NewEvent) -> NewEvent {
        let event = NewEvent { id: self.rows().promise_event_id(event.start), ..event };
        // Where too much waits it is entered when it begins, or never.
        if self.rows().refuse_if_full().is_ok() {
            self.rows().leave(RowChange::Event(event.clone().started()));
        }
        event
    }

    /// Enters an event that begins, as soon as the database takes it. Its id is moved on until it is its own or free: a clock that was
    /// set back to this very microsecond may have had it before.
    pub fn begin_event(&self, event: &NewEvent) -> Result<Event> {
        let _one_at_a_time = lock(&self.rows().naming);
        let mut event = event.clone().started();
        while self.is_of_another(&event) {
            event.id.0 += 1;
        }
        self.begin(Started::Event(event.id), RowChange::Event(event.clone()))?;
        Ok(event)
    }

    /// Whether another event has this one's id. A database that does not answer knows none.
    fn is_of_another(&self, event: &Event) -> bool {
        self.event_by_id(event.id).is_ok_and(|e| (&e.camera, e.start) != (&event.camera, event.start))
    }

    /// Enters a running event's stronger picture, as soon as the database takes it, see [`Event::stronger`]. Errors with `NotFound`.
    pub fn update_event(&self, id: EventId, score: f32, cause: Cause, boxes: &[Rect]) -> Result<Event> {
        let _one_at_a_time = lock(&self.rows().naming);
        let event = self.event_by_id(id)?.stronger(score, cause, boxes);
        self.change(RowChange::Event(event.clone()))?;
        Ok(event)
    }

    /// Enters an event's end, as soon as the database takes it. Errors with `NotFound`.
    pub fn end_event(&self, id: EventId, end: Timestamp) -> Result<Event> {
        let _one_at_a_time = lock(&self.rows().naming);
        let event = self.event_by_id(id)?.ended(end);
        self.change(RowChange::Event(event.clone()))?;
        Ok(event)
    }

    /// When a camera's newest event began.
    pub fn last_event_at(&self, camera: &CameraId) -> Result<Option<Timestamp>> {
        // First, as in a page of events.
        let waiting = self.rows().events(|_| true).newest_of(camera).map(|event| (event.id, event.start));
        let row = self.inner.db.read(format_args!("camera {camera}: looking up its newest event"), |c| {
            let sql = "SELECT id, start FROM event WHERE camera = ?1 ORDER BY id DESC LIMIT 1";
            let row = |r: &Row<'_>| Ok((EventId(r.get(0)?), Timestamp(r.get(1)?)));
            Ok(c.prepare_cached(sql)?.query_row([camera.as_str()], row).optional()?)
        })?;
        Ok(row.max(waiting).map(|(_, start)| start))
    }

    pub(crate) fn event_by_id(&self, id: EventId) -> Result<Event> {
        let waiting = self.rows().events(|one| one == id);
        if let Some(event) = waiting.get(id) {
            return Ok(event);
        }
        let row = self.inner.db.read_recorder(format_args!("looking up event {id}"), |c| by_id(c, id))?;
        Ok(waiting.with_still(row))
    }

    pub(crate) fn pin(&self, id: EventId, pinned: bool) -> Result<()> {
        if self.rows().events(|one| one == id).len() > 0 {
            self.write_waiting(None)?;
        }
        self.inner.db.write(format_args!("event {id} cannot be pinned"), |tx| {
            match tx.prepare_cached("UPDATE event SET pinned = ?2 WHERE id = ?1")?.execute(params![id.0, pinned])? {
                0 => Err(missing(id).into()),
                _ => Ok(()),
            }
        })
    }

    pub(crate) fn event_page(&self, filter: &EventFilter) -> Result<EventPage> {
        let limit = filter.limit.clamp(*EventFilter::LIMITS.start(), *EventFilter::LIMITS.end());
        // First: an event that is entered between the two looks is then found twice, not missed.
        let waiting = self.rows().events(|_| true);
        // Any row of one that waits may have to go.
        let most = limit + 1 + waiting.len();
        let damaged = &self.inner.db.damaged;
        let one = |c: &Connection, camera: Option<&CameraId>| page(damaged, c, filter, camera, most);
        let whose = filter.camera.as_ref().map_or("all cameras", CameraId::as_str);
        let before = filter.before.map_or(i64::MAX, |id| id.0);
        let what = format_args!("looking up events of {whose} before {before}");
        let rows = self.inner.db.read(what, |c| match (&filter.camera, &filter.cameras) {
            (Some(camera), cameras) if !cameras.includes(camera) => Ok(Vec::new()),
            (camera, CameraGrant::All) => one(c, camera.as_ref()),
            (Some(camera), CameraGrant::Only(_)) => one(c, Some(camera)),
            // Each by its own index, so that what lies between is not walked through.
            (None, CameraGrant::Only(ids)) => {
                Ok(ids.iter().map(|id| one(c, Some(id))).collect::<Result<Vec<_>, _>>()?.concat())
            }
        })?;
        let mut events = waiting.merge(rows, |event| filter.includes(event));
        let more = events.len() > limit;
        events.truncate(limit);
        let next_cursor = if more { events.last().map(|e| e.id) } else { None };
        Ok(EventPage { events, next_cursor })
    }

    /// Events that overlap a range, oldest first; of more than [`MAX_ON_TIMELINE`] the newest.
    pub(crate) fn events_in(&self, camera: &CameraId, range: &TimeRange) -> Result<Vec<Event>> {
        // First, as in a page of events.
        let waiting = self.rows().events(|_| true);
        let what = format_args!("camera {camera}: looking up its events");
        let rows = self.inner.db.read(what, |c| in_range(&self.inner.db.damaged, c, camera, range))?;
        let ends_after = |event: &Event| event.end.is_none_or(|end| end > range.from);
        let is_asked = |event: &Event| event.camera == *camera && event.start < range.to && ends_after(event);
        let mut events = waiting.merge(rows, is_asked);
        events.truncate(MAX_ON_TIMELINE);
        events.reverse();
        Ok(events)
    }
}
