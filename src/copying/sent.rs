//! What was sent to a store this month: written down now and then, and held against the month's budget.

use crate::copies::Copies;
use perch_base::time::Timestamp;
use perch_base::{Result, blocking};
use perch_domain::sync::plan::{Budget, month_of};
use perch_domain::sync::target::SyncTarget;
use perch_store::Recordings;

/// What one client of a store sent.
#[derive(Debug, Default)]
pub struct MonthSent {
    /// Bytes that the client had sent when they were counted last.
    counted_bytes: u64,
    month: String,
    /// What went to the target this month, by whomever, as far as it was written down then.
    month_bytes: u64,
}

impl MonthSent {
    /// Whether there is something to write down of the client that sent `all_bytes` so far.
    pub fn is_behind(&self, all_bytes: u64, now: Timestamp) -> bool {
        all_bytes > self.counted_bytes || self.month != month_of(now)
    }

    /// Writes down what was sent since the last time.
    pub async fn count(
        &mut self,
        all_bytes: u64,
        recordings: &Recordings,
        copies: &Copies,
        target: &SyncTarget,
        now: Timestamp,
    ) -> Result<()> {
        if !self.is_behind(all_bytes, now) {
            return Ok(());
        }
        let (more, month) = (all_bytes.saturating_sub(self.counted_bytes), month_of(now));
        let (recordings, to, of) = (recordings.clone(), target.clone(), month.clone());
        let sum = blocking("counting what was sent", move || recordings.copies_sent(&to, &of, more)).await?;
        *self = Self { counted_bytes: all_bytes, month, month_bytes: sum };
        copies.change(target, |status| status.month_bytes = sum);
        Ok(())
    }

    /// What is left of the month, with what was sent and is not written down yet.
    pub fn budget(&self, target: &SyncTarget, all_bytes: u64) -> Budget {
        let sent_bytes = self.month_bytes.saturating_add(all_bytes.saturating_sub(self.counted_bytes));
        Budget { monthly_bytes: target.monthly_bytes, sent_bytes }
    }
}
