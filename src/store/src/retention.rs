//! Deletes what the limits of recording say must go. What that is, and in which order, `perch_domain::retention` decides.

use crate::erase::RetentionReport;
use crate::fault::io_error;
use crate::reading::of_row;
use crate::stills::thumbnail_path;
use crate::{Recordings, reserve};
use perch_base::Result;
use perch_base::ids::{EventId, SegmentId};
use perch_base::time::Timestamp;
use perch_domain::archive::GapCause;
use perch_domain::retention::{Answer, Candidate, Forgotten, Page, Planner, Step, Usage, Worth};
use rusqlite::params;

/// Candidates looked at, and recordings deleted, at a time.
const PAGE: usize = 256;

/// What of one worth may be deleted, oldest first: what ends before `?1` and lies behind the recording that ended at `?2` with the id
/// `?3`; at most `?4`.
pub(crate) fn candidates_sql(worth: Worth, copied: Option<bool>) -> &'static str {
    match (worth, copied) {
        (Worth::Background, Some(_)) => {
            "SELECT id, end, size FROM segment WHERE copied = ?5 AND state = 'sealed' AND event IS NULL
             AND end < ?1 AND (end, id) > (?2, ?3) ORDER BY end, id LIMIT ?4"
        }
        (Worth::Event, Some(_)) => {
            "SELECT s.id, s.end, s.size FROM segment s JOIN event e ON e.id = s.event
             WHERE s.copied = ?5 AND s.state = 'sealed' AND s.event IS NOT NULL AND e.pinned = 0
             AND s.end < ?1 AND (s.end, s.id) > (?2, ?3) ORDER BY s.end, s.id LIMIT ?4"
        }
        (Worth::Background, None) => {
            "SELECT id, end, size FROM segment WHERE state = 'sealed' AND event IS NULL
             AND end < ?1 AND (end, id) > (?2, ?3) ORDER BY end, id LIMIT ?4"
        }
        // The index begins with a column that is the same everywhere, see `schema`.
        (Worth::Event, None) => {
            "SELECT s.id, s.end, s.size FROM segment s JOIN event e ON e.id = s.event
             WHERE s.state = 'sealed' AND s.event IS NOT NULL AND s.in_cloud = 0 AND e.pinned = 0
             AND s.end < ?1 AND (s.end, s.id) > (?2, ?3) ORDER BY s.end, s.id LIMIT ?4"
        }
    }
}

/// An event that nobody can ask for any more.
pub(crate) struct OldEvent {
    pub(crate) id: EventId,
    pub(crate) camera: String,
    pub(crate) has_still: bool,
}

impl Recordings {
    /// Deletes recordings until the limits hold, the cheapest and oldest first; pinned events stay. Without trust in the clock
    /// nothing goes for its age, only for want of space. Cheap when nothing is over a limit; call it often.
    ///
    /// While files are still being taken in after a start, `max_bytes` counts what is known so far, so that it is held late and never
    /// too early; `min_free_bytes` is what the file system says and is held at once. What is deleted for want of space is the oldest
    /// there is: the oldest days are taken in first for that.
    ///
    /// Errors: `Unavailable` when the disk or the database cannot be written.
    pub fn enforce_retention(&self, clock_trusted: bool) -> Result<RetentionReport> {
        self.index().settle();
        if self.is_recordings_disk_away() {
            // Nothing can be freed there, and files that are not seen now are not gone.
            return Ok(RetentionReport::default());
        }
        let now = self.now();
        let mut limits = self.inner.limits.now().retention;
        if clock_trusted {
            self.note_alive(now);
        } else {
            limits = limits.without_ages();
        }
        self.delete_leftovers();
        let wanted = self.inner.limits.now().copies;
        let report = self.obey(Planner::new(&limits, wanted, self.usage()?, now))?;
        if clock_trusted {
            self.forget_old(now)?;
        }
        self.keep_reserve();
        Ok(report)
    }

    /// Deletes what should be gone already.
    fn delete_leftovers(&self) {
        let (discarded, marked) = (self.erase_discarded(None), self.finish_deleting(Some(GapCause::Retention)));
        let (failures, now) = (&self.index().inner.failures.deleting, self.inner.clock.mono());
        let is_done = discarded.is_ok() && marked.is_ok();
        if let Err(e) = discarded
            && failures.is_news(format_args!("without motion: {e}"), now)
        {
            tracing::warn!(error = %e, "recordings without motion are still there");
        }
        if let Err(e) = marked
            && failures.is_news(format_args!("being deleted: {e}"), now)
        {
            tracing::warn!(error = %e, "recordings that were being deleted are still there");
        }
        if is_done && let Some(repeats) = failures.ended() {
            tracing::info!(repeats, "recordings are deleted again");
        }
    }

    fn obey(&self, mut planner: Planner) -> Result<RetentionReport> {
        let mut report = RetentionReport::default();
        let mut page: Vec<Candidate>;
        let mut answer = Answer::Start;
        loop {
            answer = match planner.next(answer) {
                Step::Done => return Ok(report),
                Step::Ask(asked) => {
                    page = self.candidates(&asked)?;
                    Answer::Page(&page)
                }
                step @ (Step::Delete(_) | Step::Lose(_)) => {
                    let (ids, is_lost) = match step {
                        Step::Lose(ids) => (ids, true),
                        Step::Delete(ids) => (ids, false),
                        Step::Ask(_) | Step::Done => (Vec::new(), false),
                    };
                    if is_lost {
                        self.say_lost(&ids);
                    }
                    let went = self.erase(&ids, Some(GapCause::Retention))?;
                    report.deleted += went.deleted;
                    report.freed_bytes += went.freed_bytes;
                    Answer::Freed(went.freed_bytes)
                }
            };
        }
    }

    /// Writes down and says that these go before they were copied. A disk so full that it cannot even be written down is no reason to stop.
    fn say_lost(&self, ids: &[SegmentId]) {
        let noted = self.note_lost_copies(ids);
        let (failures, now) = (&self.index().inner.failures.losing, self.inner.clock.mono());
        if failures.is_news("recordings go before they are copied", now) {
            tracing::error!(
                recordings = ids.len(),
                noted = noted.is_ok(),
                "the disk is full, and recordings are deleted before they are copied: give it more space, or copying a faster line"
            );
        }
    }

    /// Makes the reserve for a start on a full disk when it is missing.
    pub(crate) fn keep_reserve(&self) {
        if let Ok(space) = self.data_space()
            && !space.read_only
        {
            reserve::keep(&self.inner.config.data_dir, space.free_bytes);
        }
    }

    fn usage(&self) -> Result<Usage> {
        let folder = self.inner.recordings.path();
        let failed = |e| io_error(|| format!("the disk with {} does not answer", folder.display()), e);
        let space = self.space().map_err(failed)?;
        Ok(Usage { recordings_bytes: self.recordings_bytes()?, free_bytes: space.free_bytes })
    }

    /// Some of the recordings a page asks for, the oldest first. When they may be however old, none is left out that is not known yet.
    fn candidates(&self, page: &Page) -> Result<Vec<Candidate>> {
        if page.before.is_some() {
            return self.candidates_before(page, page.before);
        }
        while let Some(horizon) = self.known_before() {
            let found = self.candidates_before(page, Some(horizon))?;
            if !found.is_empty() {
                return Ok(found);
            }
            let failures = &self.index().inner.failures.taking_in;
            if let Err(e) = self.know_the_oldest() {
                // Room must be made even then: without it not even the index can be written.
                if failures.is_news(&e, self.inner.clock.mono()) {
                    tracing::warn!(error = %e, "the oldest recordings could not be taken in, and others are deleted for want of space");
                }
                break;
            }
            if let Some(repeats) = failures.ended() {
                tracing::info!(repeats, "the oldest recordings are taken in again");
            }
        }
        self.candidates_before(page, None)
    }

    fn candidates_before(&self, page: &Page, before: Option<Timestamp>) -> Result<Vec<Candidate>> {
        let behind = page.after.map_or(SegmentId(0), |(_, id)| id);
        self.inner.db.read(format_args!("looking up what may be deleted behind recording {behind}"), |c| {
            let mut statement = c.prepare_cached(candidates_sql(page.worth, page.copied))?;
            let (end, id) = page.after.map_or((i64::MIN, i64::MIN), |(end, id)| (end.0, id.0));
            let (before, limit) = (before.map_or(i64::MAX, |t| t.0), PAGE as i64);
            let rows = match page.copied {
                Some(copied) => statement.query(params![before, end, id, limit, copied])?,
                None => statement.query(params![before, end, id, limit])?,
            };
            self.inner.db.damaged.all(rows, |r| {
                let id = SegmentId(r.get(0)?);
                of_row(format_args!("recording {id}"), || {
                    let size_bytes = r.get::<_, i64>(2)?.max(0) as u64;
                    Ok(Candidate { id, end: Timestamp(r.get(1)?), size_bytes })
                })
            })
        })
    }

    /// Drops events that are too old and have no recordings left, with their stills; lost recordings and gaps that nobody can
    /// ask for any more.
    fn forget_old(&self, now: Timestamp) -> Result<()> {
        if !Forgotten::is_due(self.state().forgot_at, now) {
            return Ok(());
        }
        let Forgotten { events_before, gaps_before } = Forgotten::at(&self.inner.limits.now().retention, now);
        let old = self.inner.db.read(format_args!("looking up events before {events_before}"), |c| {
            let sql = "SELECT id, camera, thumbnail FROM event WHERE id < ?1 AND pinned = 0 AND end < ?1
                AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.event = event.id AND state IN ('open', 'sealed', 'deleting'))
                ORDER BY id LIMIT ?2";
            let mut statement = c.prepare_cached(sql)?;
            self.inner.db.damaged.all(statement.query(params![events_before.0, PAGE as i64])?, |r| {
                let id = EventId(r.get(0)?);
                of_row(format_args!("event {id}"), || Ok(OldEvent { id, camera: r.get(1)?, has_still: r.get(2)? }))
            })
        })?;
        self.drop_events(&old)?;
        if old.len() < PAGE {
            self.state().forgot_at = Some(now);
        }
        let any: bool = self.inner.db.read(format_args!("looking up gaps before {gaps_before}"), |c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM gap WHERE end < ?1)
                OR EXISTS (SELECT 1 FROM segment WHERE state IN ('lost', 'quarantined') AND end < ?1)
                OR EXISTS (SELECT 1 FROM copy WHERE end < ?1 AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.id = copy.segment))";
            Ok(c.prepare_cached(sql)?.query_row([gaps_before.0], |r| r.get(0))?)
        })?;
        if !any {
            return Ok(());
        }
        self.inner.db.write(format_args!("gaps before {gaps_before} cannot be dropped"), |tx| {
            tx.prepare_cached("DELETE FROM gap WHERE end < ?1")?.execute([gaps_before.0])?;
            tx.prepare_cached("DELETE FROM segment WHERE state IN ('lost', 'quarantined') AND end < ?1")?
                .execute([gaps_before.0])?;
            let sql = "DELETE FROM copy WHERE end < ?1 AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.id = copy.segment)";
            tx.prepare_cached(sql)?.execute([gaps_before.0])?;
            Ok(())
        })
    }

    pub(crate) fn drop_events(&self, old: &[OldEvent]) -> Result<()> {
        let Some(first) = old.first().map(|event| event.id) else { return Ok(()) };
        // The rows first: one that was pinned a moment ago keeps its still.
        let gone =
            self.inner.db.write(format_args!("{} events from {first} on cannot be dropped", old.len()), |tx| {
                let mut statement = tx.prepare_cached("DELETE FROM event WHERE id = ?1 AND pinned = 0")?;
                let mut gone = Vec::with_capacity(old.len());
                for event in old {
                    if statement.execute([event.id.0])? > 0 {
                        gone.push(event);
                    }
                }
                Ok(gone)
            })?;
        for OldEvent { id, camera, .. } in gone.into_iter().filter(|event| event.has_still) {
            // One bad still must not keep all others for ever.
            if let Err(e) = self.inner.thumbnails.remove(&thumbnail_path(camera, *id)) {
                tracing::warn!(event = id.0, error = %e, "the still of an event that was dropped cannot be removed");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewEvent;
    use crate::testing::open;
    use perch_base::ids::CameraId;
    use perch_domain::archive::EventKind;
    use perch_domain::motion::Cause;
    use perch_domain::retention::RetentionConfig;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// What goes when the planner sees the whole inventory at once.
    fn plan(mut planner: Planner, mut left: Vec<(Worth, Candidate)>) -> BTreeSet<i64> {
        left.sort_by_key(|(_, c)| (c.end, c.id));
        let mut page: Vec<Candidate>;
        let (mut went, mut answer) = (BTreeSet::new(), Answer::Start);
        loop {
            answer = match planner.next(answer) {
                Step::Done => return went,
                Step::Ask(q) => {
                    let behind = |c: &Candidate| q.after.is_none_or(|after| (c.end, c.id) > after);
                    let is_asked = |c: &Candidate| q.before.is_none_or(|before| c.end < before) && behind(c);
                    page = left.iter().filter(|(w, c)| *w == q.worth && is_asked(c)).map(|(_, c)| *c).collect();
                    Answer::Page(&page)
                }
                Step::Lose(ids) => panic!("{ids:?} are lost, and no copies are wanted"),
                Step::Delete(ids) => {
                    went.extend(ids.iter().map(|id| id.0));
                    let goes = |c: &Candidate| ids.contains(&c.id);
                    let freed = left.iter().filter(|(_, c)| goes(c)).map(|(_, c)| c.size_bytes).sum();
                    left.retain(|(_, c)| !goes(c));
                    Answer::Freed(freed)
                }
            };
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// The pages of the database, of which each holds a part, come to the same as the plan over all there is.
        #[test]
        fn page_by_page_goes_what_the_plan_over_everything_says(
            // How old in hours, the size, and whether it is background, an event's or a pinned event's.
            rows in prop::collection::vec((0i64..96, 0u64..1_000, 0i64..5), 1..3 * PAGE),
            max_bytes in 0u64..300_000,
            (max_days, event_max_days) in (0u32..5, 0u32..5),
        ) {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let store = open(&dir).recordings().clone();
            store.reconcile().expect("nothing is there");
            let now = store.now();
            let mut all = Vec::new();
            store.inner.db.write("entering", |tx| {
                let event = "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes, pinned)
                    VALUES (?1, 'front', 'motion', ?1, ?1, 0, 'motion', '[]', ?1 - 1)";
                for id in [1, 2] {
                    tx.execute(event, [id])?;
                }
                let sql = "INSERT INTO segment (id, camera, path, start, end, size, state, event)
                    VALUES (?1, 'front', 'front/2020-01-01/' || ?1, ?2, ?2, ?3, 'sealed', ?4)";
                let mut insert = tx.prepare(sql)?;
                for ((age, size_bytes, kind), id) in rows.iter().zip(1i64..) {
                    let end = now.plus_micros(-age * 3_600_000_000);
                    let (event, worth) = match kind {
                        0..3 => (None, Some(Worth::Background)),
                        3 => (Some(1), Some(Worth::Event)),
                        _ => (Some(2), None),
                    };
                    insert.execute(params![id, end.0, *size_bytes as i64, event])?;
                    all.extend(worth.map(|worth| (worth, Candidate { id: SegmentId(id), end, size_bytes: *size_bytes })));
                }
                Ok(())
            }).expect("entered");
            let limits = RetentionConfig { max_bytes, min_free_bytes: 0, max_days, event_max_days };
            let recordings_bytes = rows.iter().map(|row| row.1).sum();
            let planner = Planner::new(&limits, Default::default(), Usage { recordings_bytes, free_bytes: 0 }, now);
            let want = plan(planner.clone(), all);
            let report = store.obey(planner).expect("obeyed");
            let left: BTreeSet<i64> = store.inner.db.read("looking", |c| {
                let mut ids = c.prepare("SELECT id FROM segment")?;
                Ok(ids.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?)
            }).expect("read");
            let went: BTreeSet<i64> = (1..=rows.len() as i64).filter(|id| !left.contains(id)).collect();
            prop_assert_eq!(report.deleted, want.len() as u64);
            prop_assert_eq!(went, want);
        }
    }

    #[test]
    fn an_event_that_is_pinned_at_the_last_moment_keeps_its_still() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir).recordings().clone();
        let camera = CameraId::new("front").expect("valid");
        let (kind, cause) = (EventKind::Motion, Cause::Motion);
        let new = |n| NewEvent {
            id: EventId(n),
            camera: camera.clone(),
            kind,
            start: Timestamp(n),
            since: Timestamp(n),
            chapter: 1,
            score: 0.5,
            cause,
            boxes: vec![],
        };
        let ids = [1, 2].map(|n| store.index().begin_event(&new(n)).expect("started").id);
        for id in ids {
            store.put_still(id, b"\xff\xd8", &[]).expect("kept");
        }
        let old = ids.map(|id| OldEvent { id, camera: "front".into(), has_still: true });
        store.index().pin(ids[1], true).expect("pinned after it was looked up");
        store.drop_events(&old).expect("dropped");
        assert!(store.index().event_by_id(ids[0]).is_err() && store.index().event_by_id(ids[1]).is_ok());
        assert!(store.still(ids[1]).is_ok());
        assert!(!dir.path().join(format!("data/thumbnails/front/{}.jpg", ids[0])).exists());
    }
}
