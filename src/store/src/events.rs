//! Rows of events. Their stills are in `stills`.

use crate::Index;
use crate::change::{RowChange, Started};
use crate::db::{Fail, each, of_row};
use crate::words::{from_word, word};
use perch_base::ids::{CameraId, EventId};
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::CameraGrant;
use perch_domain::archive::{Event, EventFilter, EventKind, EventPage, TimeRange};
use perch_domain::motion::{Cause, Rect};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

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

/// Events shown on one timeline.
const MAX_ON_TIMELINE: usize = 2_000;

/// Events longer than this, and those that still run, are found by the index `event_long`, all others by their start: so what
/// overlaps a range is found without a walk through everything before it. The number stands in the index, too.
const LONG_US: i64 = 3_600_000_000;
const IS_LONG: &str = "(end IS NULL OR end - start > 3600000000) AND coalesce(end, 9223372036854775807)";

const COLUMNS: &str =
    "id, camera, kind, start, end, score, cause, boxes, pinned, thumbnail, coalesce(since, start), chapter";

fn from_row(r: &Row<'_>) -> Result<Event, Fail> {
    let id = EventId(r.get(0)?);
    of_row(format_args!("event {id}"), || {
        let boxes: String = r.get(7)?;
        let damaged = |e| Error::new(ErrorKind::Corrupt, "its boxes are damaged").with_source(e);
        Ok(Event {
            id,
            camera: CameraId::new(&r.get::<_, String>(1)?)?,
            kind: from_word(r.get(2)?)?,
            start: Timestamp(r.get(3)?),
            end: r.get::<_, Option<i64>>(4)?.map(Timestamp),
            score: r.get::<_, f64>(5)? as f32,
            cause: from_word(r.get(6)?)?,
            boxes: serde_json::from_str(&boxes).map_err(damaged)?,
            pinned: r.get(8)?,
            has_thumbnail: r.get(9)?,
            since: Timestamp(r.get(10)?),
            chapter: r.get(11)?,
        })
    })
}

fn get(c: &Connection, id: EventId) -> Result<Event, Fail> {
    let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM event WHERE id = ?1"))?;
    let mut rows = statement.query([id.0])?;
    from_row(rows.next()?.ok_or_else(|| missing(id))?)
}

/// Enters an event, or what has changed of one.
pub(crate) fn put(tx: &Transaction<'_>, e: &Event) -> Result<(), Fail> {
    let sql = "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes, since, chapter)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET end = excluded.end, score = excluded.score, cause = excluded.cause,
        boxes = excluded.boxes";
    let (camera, kind, cause) = (e.camera.as_str(), e.kind.as_str(), word(&e.cause)?);
    let (end, score, boxes) = (e.end.map(|t| t.0), f64::from(e.score), boxes_text(e.id, &e.boxes)?);
    let row = params![e.id.0, camera, kind, e.start.0, end, score, cause, boxes, e.since.0, e.chapter];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn missing(id: EventId) -> Error {
    Error::not_found(format!("there is no event {id}"))
}

pub(crate) fn boxes_text(id: EventId, boxes: &[Rect]) -> Result<String> {
    serde_json::to_string(boxes)
        .map_err(|e| Error::internal(format!("event {id}: its boxes cannot be written")).with_source(e))
}

/// Events of a camera (`?1`) that overlap the range from `?2` to `?3`, newest first; `?4` is [`LONG_US`] before `?2`. An id is at
/// or a little after its event's start.
pub(crate) fn in_range_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM event WHERE camera = ?1 AND id >= ?4 AND id < ?3 + 1000000 AND start < ?3
        AND (end IS NULL OR end > ?2)
        UNION ALL SELECT {COLUMNS} FROM event INDEXED BY event_long WHERE {IS_LONG} > ?2
        AND camera = ?1 AND id < ?4 AND start < ?3 ORDER BY id DESC LIMIT {MAX_ON_TIMELINE}"
    )
}

/// A page of events, newest first: of a camera (`?1`) or all, before an id (`?2`), of a kind (`?3`), that end after `?4` and begin
/// before `?5`, at most `?6`; `?7` is [`LONG_US`] before `?4`. What is null lets everything pass.
pub(crate) fn page_sql(camera: bool, from: bool) -> String {
    let whose = if camera { "camera = ?1" } else { "?1 IS NULL" };
    let rest = format!("{whose} AND id < ?2 AND (?3 IS NULL OR kind = ?3) AND (?5 IS NULL OR start < ?5)");
    let tail = "ORDER BY id DESC LIMIT ?6";
    if !from {
        return format!("SELECT {COLUMNS} FROM event WHERE {rest} AND ?4 IS NULL AND ?7 IS NULL {tail}");
    }
    format!(
        "SELECT {COLUMNS} FROM event WHERE {rest} AND id >= ?7 AND (end IS NULL OR end > ?4)
        UNION ALL SELECT {COLUMNS} FROM event INDEXED BY event_long WHERE {IS_LONG} > ?4 AND {rest} AND id < ?7 {tail}"
    )
}

/// The newest events of one camera (or all) that `filter` lets pass, `limit` at most.
fn events_of(
    c: &Connection,
    filter: &EventFilter,
    camera: Option<&CameraId>,
    limit: usize,
) -> Result<Vec<Event>, Fail> {
    // An id is at or a little after its event's start, which bounds the search by time.
    let before = filter.before.map_or(i64::MAX, |id| id.0);
    let before = filter.to.map_or(before, |to| before.min(to.0.saturating_add(1_000_000)));
    let mut statement = c.prepare_cached(&page_sql(camera.is_some(), filter.from.is_some()))?;
    let kind = filter.kind.map(EventKind::as_str);
    let (from, to) = (filter.from.map(|t| t.0), filter.to.map(|t| t.0));
    let far = from.map(|from| from.saturating_sub(LONG_US));
    let limits = params![camera.map(CameraId::as_str), before, kind, from, to, limit as i64, far];
    each(statement.query(limits)?, from_row)
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

    /// Enters a running event's stronger picture, as soon as the database takes it; the boxes stay those of its still, where it has
    /// one. Errors with `NotFound`.
    pub fn update_event(&self, id: EventId, score: f32, cause: Cause, boxes: &[Rect]) -> Result<Event> {
        let _one_at_a_time = lock(&self.rows().naming);
        let before = self.event_by_id(id)?;
        let boxes = if before.has_thumbnail { before.boxes.clone() } else { boxes.to_vec() };
        let event = Event { score, cause, boxes, ..before };
        self.change(RowChange::Event(event.clone()))?;
        Ok(event)
    }

    /// Enters an event's end, as soon as the database takes it. Errors with `NotFound`.
    pub fn end_event(&self, id: EventId, end: Timestamp) -> Result<Event> {
        let _one_at_a_time = lock(&self.rows().naming);
        let event = self.event_by_id(id)?;
        let event = Event { end: Some(end.max(event.start)), ..event };
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
        let row = self.inner.db.read_recorder(format_args!("looking up event {id}"), |c| get(c, id))?;
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
        let one = |c: &Connection, camera: Option<&CameraId>| events_of(c, filter, camera, most);
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

    /// Events that overlap a range, oldest first; of more than 2,000 the newest.
    pub(crate) fn events_in(&self, camera: &CameraId, range: &TimeRange) -> Result<Vec<Event>> {
        // First, as in a page of events.
        let waiting = self.rows().events(|_| true);
        let rows = self.inner.db.read(format_args!("camera {camera}: looking up its events"), |c| {
            let mut statement = c.prepare_cached(&in_range_sql())?;
            let far = range.from.0.saturating_sub(LONG_US);
            each(statement.query(params![camera.as_str(), range.from.0, range.to.0, far])?, from_row)
        })?;
        let ends_after = |event: &Event| event.end.is_none_or(|end| end > range.from);
        let is_asked = |event: &Event| event.camera == *camera && event.start < range.to && ends_after(event);
        let mut events = waiting.merge(rows, is_asked);
        events.truncate(MAX_ON_TIMELINE);
        events.reverse();
        Ok(events)
    }
}
