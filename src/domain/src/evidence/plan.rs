//! When a manifest is due, about what, and when one may go.

use perch_base::time::{DAY_US, Timestamp};

/// What began this long ago is no longer changed: a recording is cut back when an event reaches into it, which may be as long ago as the
/// longest gap and post-roll (ten minutes), and then some.
pub const SETTLED_AFTER_US: i64 = 20 * 60 * 1_000_000;
const HOUR_US: i64 = 3_600_000_000;
/// Manifests stay this much longer than what they are about.
const KEPT_US: i64 = 7 * DAY_US;

/// The newest manifest that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Where it ends.
    pub to: Timestamp,
}

fn hour(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(HOUR_US) * HOUR_US)
}

/// What the next manifest is about: from the end of the newest one to the end of the first hour after it in which a recording begins.
/// `next_start` says when the first recording begins at or after a moment. `None`: nothing is due. A clock that was far ahead and is right
/// again begins anew at its own hour, else nothing would be signed for years.
pub fn next_manifest(
    newest: Option<Newest>,
    now: Timestamp,
    next_start: impl FnOnce(Timestamp) -> Option<Timestamp>,
) -> Option<(Timestamp, Timestamp)> {
    let after = match newest {
        Some(newest) if newest.to > now.plus_micros(DAY_US) => Some(hour(now)),
        Some(newest) => Some(newest.to),
        None => None,
    };
    let first = next_start(after.unwrap_or(Timestamp(i64::MIN)))?;
    let to = hour(first).plus_micros(HOUR_US);
    let is_due = to.plus_micros(SETTLED_AFTER_US) <= now;
    is_due.then(|| (after.unwrap_or_else(|| hour(first)), to))
}

/// Whether a manifest that ends at `to` may be deleted: nothing that it is about has been here for a week. The newest one always stays.
pub fn may_go(to: Timestamp, oldest_recording: Option<Timestamp>, newest: Newest) -> bool {
    let until = oldest_recording.unwrap_or(newest.to).min(newest.to);
    to < newest.to && to < until.plus_micros(-KEPT_US)
}
