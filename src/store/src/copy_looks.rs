//! Verified copies that are looked at again, and what is written down of those that are not there any more.

use crate::Recordings;
use crate::reading::{Fail, of_row};
use perch_base::Result;
use perch_base::ids::SegmentId;
use perch_domain::sync::looking::VerifiedCopy;
use perch_domain::sync::object::Sha256;
use perch_domain::sync::target::SyncTarget;
use rusqlite::{OptionalExtension, Row, params};

/// The verified copy of a target (`?1`) whose recording has this number (`?2`) or the next.
const FROM_NUMBER: &str = "SELECT c.segment, c.key, c.sha256,
    EXISTS (SELECT 1 FROM segment s WHERE s.id = c.segment AND s.state = 'sealed')
    FROM copy c WHERE c.target = ?1 AND c.segment >= ?2 AND c.state = 'verified' ORDER BY c.segment LIMIT 1";

impl Recordings {
    /// Some of a target's verified copies, each once: those that are at `places`, 0..1 of all that there are.
    pub fn some_copies(&self, target: &SyncTarget, places: &[f64]) -> Result<Vec<VerifiedCopy>> {
        let name = target.name();
        self.inner.db.read(format_args!("choosing copies at {name} to be looked at"), |c| {
            let ends = "SELECT min(segment), max(segment) FROM copy WHERE target = ?1";
            let ends: (Option<i64>, Option<i64>) =
                c.prepare_cached(ends)?.query_row([&name], |r| Ok((r.get(0)?, r.get(1)?)))?;
            let (Some(first), Some(last)) = ends else { return Ok(Vec::new()) };
            let mut out: Vec<VerifiedCopy> = Vec::new();
            for place in places {
                let numbers = last.saturating_sub(first).saturating_add(1);
                let from = first.saturating_add((numbers as f64 * place) as i64);
                let mut statement = c.prepare_cached(FROM_NUMBER)?;
                let found = self.inner.db.damaged.all(statement.query(params![name, from])?, from_row)?;
                out.extend(found);
            }
            out.sort_by_key(|one| one.id);
            out.dedup_by_key(|one| one.id);
            Ok(out)
        })
    }

    /// A copy is not there any more, or is something else: what the box still has is to be copied again; what it has not is written down as
    /// lost, and why. Returns whether it is lost.
    pub fn copy_is_gone(&self, target: &SyncTarget, id: SegmentId, why: &str) -> Result<bool> {
        let (name, now) = (target.name(), self.now());
        self.inner.db.write(format_args!("that the copy of recording {id} is gone cannot be noted"), |tx| {
            let sql = "UPDATE segment SET copied = 0 WHERE id = ?1 AND state = 'sealed'";
            let is_here = tx.prepare_cached(sql)?.execute([id.0])? > 0;
            let gone = "DELETE FROM copy WHERE target = ?1 AND segment = ?2 RETURNING camera, start, end, size";
            let row = |r: &Row<'_>| {
                Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?, r.get::<_, i64>(2)?, r.get::<_, i64>(3)?))
            };
            let gone = tx.prepare_cached(gone)?.query_row(params![name, id.0], row).optional()?;
            let other = "SELECT EXISTS (SELECT 1 FROM copy WHERE segment = ?1 AND state = 'verified')";
            let has_other: bool = tx.prepare_cached(other)?.query_row([id.0], |r| r.get(0))?;
            let Some((camera, start, end, size)) = gone.filter(|_| !is_here && !has_other) else { return Ok(false) };
            let sql =
                "INSERT INTO copy_lost (segment, camera, start, end, size, at, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                ON CONFLICT DO NOTHING";
            tx.prepare_cached(sql)?.execute(params![id.0, camera, start, end, size, now.0, why])?;
            Ok(true)
        })
    }
}

fn from_row(r: &Row<'_>) -> Result<VerifiedCopy, Fail> {
    let id = SegmentId(r.get(0)?);
    of_row(format_args!("the copy of recording {id}"), || {
        let sum: [u8; 32] = r.get(2)?;
        Ok(VerifiedCopy { id, key: r.get(1)?, sha256: Sha256(sum), is_here: r.get(3)? })
    })
}
