//! Times that decide who may come in follow the clock when it is set: the shell of `perch_domain::ages`.

use crate::pairing::{keep_pairing, pairing};
use crate::reading::Fail;
use crate::{Accounts, db, meta_rows};
use perch_base::clock::Clock;
use perch_base::sync::lock;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::ages::{Ages, Step, UnsetSince};
use rusqlite::{Transaction, params};

/// Where it is kept since when the clock has not been right; microseconds since the epoch.
const UNSET_KEY: &str = "clock_unset_since";

/// This run's ages, which begin when the store is opened.
pub(crate) fn begin(clock: &dyn Clock, db: &db::Db) -> Ages {
    // A database that cannot be read now says nothing of the clock: times of earlier runs then stay as they are.
    let kept = db
        .read_access("looking up since when the clock is wrong", |c| Ok(meta_rows::get(c, UNSET_KEY)?))
        .ok()
        .flatten();
    let unset_since = kept.and_then(|text| text.parse().ok()).map(Timestamp);
    Ages::start(clock.utc(), clock.mono(), unset_since)
}

fn move_times(tx: &Transaction<'_>, step: &Step) -> Result<(), Fail> {
    let (from, to, by) = (step.from.0, step.to.0, step.by_us);
    for column in ["created", "seen"] {
        let sql = format!("UPDATE device SET {column} = {column} + ?3 WHERE {column} BETWEEN ?1 AND ?2");
        tx.prepare_cached(&sql)?.execute(params![from, to, by])?;
    }
    let mut state = pairing(tx)?;
    let before = state.clone();
    state.follow(step);
    if state == before { Ok(()) } else { keep_pairing(tx, &state) }
}

fn keep_unset(tx: &Transaction<'_>, since: UnsetSince) -> Result<(), Fail> {
    match since {
        Some(since) => meta_rows::put(tx, UNSET_KEY, &since.0.to_string())?,
        None => meta_rows::remove(tx, UNSET_KEY)?,
    }
    Ok(())
}

/// The newest time that a device or a code has.
fn newest(tx: &Transaction<'_>) -> Result<Option<Timestamp>, Fail> {
    let seen: Option<i64> =
        tx.prepare_cached("SELECT max(max(created, seen)) FROM device")?.query_row([], |r| r.get(0))?;
    Ok(seen.map(Timestamp).max(pairing(tx)?.newest()))
}

impl Accounts {
    /// The moment at which ages are judged and new times noted, for one that the caller's clock showed. When the clock was set,
    /// what was noted before is moved first; where that cannot be written at once, it is judged as the clock stood before.
    pub(crate) fn judged(&self, given: Timestamp) -> Timestamp {
        let clock = &self.inner.clock;
        let mut ages = lock(&self.inner.ages);
        let (utc, mono) = (clock.utc(), clock.mono());
        let Some(step) = ages.due(utc, mono) else { return given };
        // Nobody waits at the door for a disk that stalls.
        let moved = self.inner.db.write_if_free(
            format_args!("following the clock that was set by {} s", step.by_us / 1_000_000),
            |tx| {
                let next = after(&ages, &step, utc, mono);
                move_times(tx, &step)?;
                if ages.unset_since().is_some() {
                    keep_unset(tx, next.unset_since())?;
                }
                Ok(next)
            },
        );
        match moved {
            Ok(Some(next)) => {
                self.inner.not_following.ended();
                tracing::info!(by_s = step.by_us / 1_000_000, "the clock was set: sessions and codes follow it");
                *ages = next;
                given
            }
            Ok(None) => given.plus_micros(-step.by_us),
            Err(e) => {
                if self.inner.not_following.is_news(&e, mono) {
                    tracing::warn!(error = %e, "the clock was set, and sessions and codes do not follow it yet");
                }
                given.plus_micros(-step.by_us)
            }
        }
    }

    /// The system says whether its clock is right, about once a minute. Errors when that cannot be kept now: `Unavailable` also while
    /// somebody else writes.
    pub fn clock_is(&self, right: bool) -> Result<()> {
        const WHAT: &str = "keeping whether the clock is right";
        self.judged(self.inner.clock.utc());
        {
            // Held over a write that does not wait, never over one that does: whoever writes may ask for the ages meanwhile.
            let mut ages = lock(&self.inner.ages);
            let now = (self.inner.clock.utc(), self.inner.clock.mono());
            let is_known = ages.clock_is(right, None).0 == *ages;
            if is_known || ages.due(now.0, now.1).is_some() {
                return Ok(());
            }
            let kept = self.inner.db.write_if_free(WHAT, |tx| {
                let (next, step) = ages.clock_is(right, newest(tx)?);
                step.iter().try_for_each(|step| move_times(tx, step))?;
                keep_unset(tx, next.unset_since())?;
                Ok(next)
            })?;
            *ages = kept.ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("the database is busy: {WHAT}")))?;
        }
        // Once more, to have it on the disk.
        self.inner.db.write_access(WHAT, |tx| keep_unset(tx, lock(&self.inner.ages).unset_since()))
    }
}

fn after(ages: &Ages, step: &Step, utc: Timestamp, mono: MonoTime) -> Ages {
    let mut next = ages.clone();
    next.moved(step, utc, mono);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;
    use perch_domain::access::Leaving;
    use std::time::Duration;

    /// Whoever holds the database may ask how old sessions are, while somebody else says whether the clock is right.
    #[test]
    fn ages_are_never_held_while_the_database_is_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let accounts = open(&dir).accounts().clone();
        let (done, said) = std::sync::mpsc::channel();
        let other = accounts.clone();
        let asked = accounts.inner.db.write("holding the database", |tx| {
            std::thread::spawn(move || done.send(other.clock_is(false)));
            let answer = said.recv_timeout(Duration::from_secs(30)).expect("nobody waits with the ages in hand");
            assert_eq!(answer.expect_err("held").kind(), ErrorKind::Unavailable);
            let now = accounts.judged(accounts.now());
            accounts.may_leave(tx, Leaving::Account("nobody"), now)
        });
        asked.expect("asked");
        accounts.clock_is(false).expect("kept");
        assert_eq!(lock(&accounts.inner.ages).unset_since(), Some(accounts.now()));
        let kept = accounts.inner.db.read_access("looking", |c| Ok(meta_rows::get(c, UNSET_KEY)?)).expect("read");
        assert_eq!(kept, Some(accounts.now().0.to_string()));
    }
}
