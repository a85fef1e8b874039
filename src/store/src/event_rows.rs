//! Rows of events: how they are written inside a transaction, and found.

use crate::reading::{Damaged, Fail, of_row};
use crate::words::{from_word, word};
use perch_base::ids::{CameraId, EventId};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{Event, EventFilter, MAX_ON_TIMELINE, TimeRange};
use perch_domain::motion::Rect;
use rusqlite::{Connection, Row, Transaction, params};

/// Events longer than this, and those that still run, are found by the index `event_long`, all others by their start: so what
/// overlaps a range is found without a walk through everything before it. The number stands in the index, too.
const LONG_US: i64 = 3_600_000_000;
const IS_LONG: &str = "(end IS NULL OR end - start > 3600000000) AND coalesce(end, 9223372036854775807)";

/// An id is at or after its event's start, by less than this: it is moved on a microsecond for each event that has it already.
const ID_LATE_US: i64 = 1_000_000;

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
            kind: from_word(&r.get::<_, String>(2)?)?,
            start: Timestamp(r.get(3)?),
            end: r.get::<_, Option<i64>>(4)?.map(Timestamp),
            score: r.get::<_, f64>(5)? as f32,
            cause: from_word(&r.get::<_, String>(6)?)?,
            boxes: serde_json::from_str(&boxes).map_err(damaged)?,
            pinned: r.get(8)?,
            has_thumbnail: r.get(9)?,
            since: Timestamp(r.get(10)?),
            chapter: r.get(11)?,
        })
    })
}

/// The event of this id. Errors with `NotFound`.
pub(crate) fn by_id(c: &Connection, id: EventId) -> Result<Event, Fail> {
    let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM event WHERE id = ?1"))?;
    let mut rows = statement.query([id.0])?;
    from_row(rows.next()?.ok_or_else(|| missing(id))?)
}

/// Enters an event, or what has changed of one.
pub(crate) fn put(tx: &Transaction<'_>, e: &Event) -> Result<(), Fail> {
    let sql = "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes, since, chapter)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET end = excluded.end, score = excluded.score, cause = excluded.cause,
        boxes = excluded.boxes";
    let (camera, kind, cause) = (e.camera.as_str(), word(&e.kind)?, word(&e.cause)?);
    let (end, score, boxes) = (e.end.map(|t| t.0), f64::from(e.score), boxes_text(e.id, &e.boxes)?);
    let row = params![e.id.0, camera, kind, e.start.0, end, score, cause, boxes, e.since.0, e.chapter];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(crate) fn missing(id: EventId) -> Error {
    Error::not_found(format!("there is no event {id}"))
}

pub(crate) fn boxes_text(id: EventId, boxes: &[Rect]) -> Result<String> {
    serde_json::to_string(boxes)
        .map_err(|e| Error::internal(format!("event {id}: its boxes cannot be written")).with_source(e))
}

/// Events of a camera (`?1`) that overlap the range from `?2` to `?3`, newest first; `?4` is [`LONG_US`] before `?2`.
pub(crate) fn in_range_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM event WHERE camera = ?1 AND id >= ?4 AND id < ?3 + {ID_LATE_US} AND start < ?3
        AND (end IS NULL OR end > ?2)
        UNION ALL SELECT {COLUMNS} FROM event INDEXED BY event_long WHERE {IS_LONG} > ?2
        AND camera = ?1 AND id < ?4 AND start < ?3 ORDER BY id DESC"
    )
}

/// A camera's events that overlap a range and can be read, newest first, at most [`MAX_ON_TIMELINE`].
pub(crate) fn in_range(
    damaged: &Damaged,
    c: &Connection,
    camera: &CameraId,
    range: &TimeRange,
) -> Result<Vec<Event>, Fail> {
    let mut statement = c.prepare_cached(&in_range_sql())?;
    let far = range.from.0.saturating_sub(LONG_US);
    damaged.each(MAX_ON_TIMELINE, statement.query(params![camera.as_str(), range.from.0, range.to.0, far])?, from_row)
}

/// A page of events, newest first: of a camera (`?1`) or all, before an id (`?2`), of a kind (`?3`), that end after `?4` and begin
/// before `?5`; `?6` is [`LONG_US`] before `?4`. What is null lets everything pass. Whoever reads stops when it has enough: a limit
/// here would count those that are damaged.
pub(crate) fn page_sql(camera: bool, from: bool) -> String {
    let whose = if camera { "camera = ?1" } else { "?1 IS NULL" };
    let rest = format!("{whose} AND id < ?2 AND (?3 IS NULL OR kind = ?3) AND (?5 IS NULL OR start < ?5)");
    let tail = "ORDER BY id DESC";
    if !from {
        return format!("SELECT {COLUMNS} FROM event WHERE {rest} AND ?4 IS NULL AND ?6 IS NULL {tail}");
    }
    format!(
        "SELECT {COLUMNS} FROM event WHERE {rest} AND id >= ?6 AND (end IS NULL OR end > ?4)
        UNION ALL SELECT {COLUMNS} FROM event INDEXED BY event_long WHERE {IS_LONG} > ?4 AND {rest} AND id < ?6 {tail}"
    )
}

/// The newest events of one camera (or all) that `filter` lets pass and that can be read, `most` at most.
pub(crate) fn page(
    damaged: &Damaged,
    c: &Connection,
    filter: &EventFilter,
    camera: Option<&CameraId>,
    most: usize,
) -> Result<Vec<Event>, Fail> {
    // Bounds the search by time.
    let before = filter.before.map_or(i64::MAX, |id| id.0);
    let before = filter.to.map_or(before, |to| before.min(to.0.saturating_add(ID_LATE_US)));
    let mut statement = c.prepare_cached(&page_sql(camera.is_some(), filter.from.is_some()))?;
    let kind = filter.kind.as_ref().map(word).transpose()?;
    let (from, to) = (filter.from.map(|t| t.0), filter.to.map(|t| t.0));
    let far = from.map(|from| from.saturating_sub(LONG_US));
    let limits = params![camera.map(CameraId::as_str), before, kind, from, to, far];
    damaged.each(most, statement.query(limits)?, from_row)
}
