//! At which pace something recorded is sent: at its own, and later by as much as the other server or the disk made it wait.

use perch_base::time::MonoTime;
use std::time::Duration;

/// What is later than this is not made up for: what follows is later, too.
const LATE: Duration = Duration::from_millis(500);
/// How long is waited before it is looked again whether the other server takes more.
const HELD: Duration = Duration::from_millis(50);

/// What is to be done with what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaceStep {
    /// It is sent now, as of this moment.
    Send(MonoTime),
    /// It is asked for again after so long.
    Wait(Duration),
}

/// The pace of one recording.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayPace {
    /// When its beginning was sent, or would have been had nothing been late.
    began: Option<MonoTime>,
}

impl ReplayPace {
    /// What becomes at `now` of what stands `at` so far from the recording's beginning; `is_full` while more waits for the other server than it
    /// should. What is asked for grows.
    pub fn next(&mut self, now: MonoTime, at: Duration, is_full: bool) -> PaceStep {
        if is_full {
            return PaceStep::Wait(HELD);
        }
        let began = self.began.get_or_insert(now - at);
        let due = *began + at;
        if now < due {
            return PaceStep::Wait(due.since(now));
        }
        if now.since(due) <= LATE {
            return PaceStep::Send(due);
        }
        *began = now - at;
        PaceStep::Send(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_sent_at_its_pace_and_later_where_it_has_to_wait() {
        let mut pace = ReplayPace::default();
        for (now_ms, at_ms, is_full, want) in [
            (10_000, 0, true, Err(50)),
            (10_050, 40, false, Ok(10_050)),
            (10_050, 80, false, Err(40)),
            (10_090, 80, false, Ok(10_090)),
            // A little late: what follows is not.
            (10_400, 120, false, Ok(10_130)),
            (10_400, 200, false, Ok(10_210)),
            (10_400, 500, false, Err(110)),
            (10_600, 500, true, Err(50)),
            // Held for long: all that follows is later.
            (14_000, 500, false, Ok(14_000)),
            (14_000, 540, false, Err(40)),
            (14_040, 540, false, Ok(14_040)),
        ] {
            let got = pace.next(MonoTime(now_ms * 1000), Duration::from_millis(at_ms), is_full);
            let want = match want {
                Ok(at_ms) => PaceStep::Send(MonoTime(at_ms * 1000)),
                Err(ms) => PaceStep::Wait(Duration::from_millis(ms)),
            };
            assert_eq!(got, want, "{at_ms} ms at {now_ms} ms");
        }
    }
}
