//! How far the copies of a camera's recordings are, hour by hour, as a timeline shows it.

use crate::archive::TimeRange;
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// An hour in microseconds.
pub const HOUR_US: i64 = 3_600_000_000;
/// Hours of one answer.
const MOST_HOURS: i64 = 32 * 24;

/// How an hour's recordings are, by the one that is worst off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HourState {
    /// Something had to be deleted before it was copied.
    Lost,
    /// Something is on the box alone, or nothing of it is to be copied.
    Local,
    /// All was sent, and not all of it verified by every store that is to have it.
    Copied,
    /// All that is to be copied is verified.
    Verified,
}

perch_base::all_of!(HourState { Lost, Local, Copied, Verified });

/// How one recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingCopy {
    /// It had to be deleted before it was copied.
    Lost,
    /// It is to be copied and was not sent whole yet.
    Waiting,
    /// No store is to have it.
    Unwanted,
    /// It was sent, and is not verified by every store that is to have it.
    Copied,
    /// Every store that is to have it has verified it.
    Verified,
}

/// One hour (UTC) that has recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyHour {
    /// When it began.
    pub start: Timestamp,
    /// How it is.
    pub state: HourState,
    /// Recordings that began in it and had to be deleted before they were copied.
    pub lost: u64,
    /// That wait.
    pub waiting: u64,
    /// That no store is to have.
    pub unwanted: u64,
    /// That were sent and are not verified everywhere.
    pub copied: u64,
    /// That are verified, those of which only copies are left, too.
    pub verified: u64,
}

/// All hours of a range, and why what waits does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyHours {
    /// In order; none where nothing is to be copied.
    pub hours: Vec<CopyHour>,
    /// Why copying does not go on, for whoever manages the box; empty where it does.
    pub reason: String,
}

/// Whole hours around a range, microseconds. Errors with `Invalid` where they are more than one answer holds.
pub fn whole_hours(range: &TimeRange) -> Result<(Timestamp, Timestamp)> {
    let from = range.from.0.div_euclid(HOUR_US) * HOUR_US;
    let to = (range.to.0 + HOUR_US - 1).div_euclid(HOUR_US) * HOUR_US;
    if to - from > MOST_HOURS * HOUR_US {
        return Err(Error::invalid(format!(
            "the range is longer than {} days: ask for a shorter one",
            MOST_HOURS / 24
        )));
    }
    Ok((Timestamp(from), Timestamp(to)))
}

/// Sums up what was counted: of an hour since 1970, so many recordings that are so.
pub fn hours_of(counted: impl IntoIterator<Item = (i64, RecordingCopy, u64)>) -> Vec<CopyHour> {
    let mut hours: BTreeMap<i64, CopyHour> = BTreeMap::new();
    for (hour, is, count) in counted {
        let start = Timestamp(hour.saturating_mul(HOUR_US));
        let none =
            CopyHour { start, state: HourState::Local, lost: 0, waiting: 0, unwanted: 0, copied: 0, verified: 0 };
        let of = hours.entry(hour).or_insert(none);
        *match is {
            RecordingCopy::Lost => &mut of.lost,
            RecordingCopy::Waiting => &mut of.waiting,
            RecordingCopy::Unwanted => &mut of.unwanted,
            RecordingCopy::Copied => &mut of.copied,
            RecordingCopy::Verified => &mut of.verified,
        } += count;
    }
    let judged = hours.into_values().map(|hour| CopyHour { state: state_of(&hour), ..hour });
    judged.collect()
}

fn state_of(hour: &CopyHour) -> HourState {
    match hour {
        CopyHour { lost: 1.., .. } => HourState::Lost,
        CopyHour { waiting: 1.., .. } => HourState::Local,
        CopyHour { copied: 1.., .. } => HourState::Copied,
        CopyHour { verified: 1.., .. } => HourState::Verified,
        _ => HourState::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_as_the_recording_of_it_that_is_worst_off() {
        use RecordingCopy::*;
        let (h, all) = (HOUR_US, [(3, Verified, 7), (1, Copied, 1), (1, Verified, 5), (2, Waiting, 1), (2, Copied, 4)]);
        let more = [(4, Lost, 1), (4, Waiting, 2), (5, Unwanted, 9), (6, Unwanted, 9), (6, Verified, 1)];
        let hours = hours_of(all.into_iter().chain(more));
        let told: Vec<_> = hours.iter().map(|hour| (hour.start.0 / h, hour.state)).collect();
        use HourState as S;
        assert_eq!(
            told,
            [(1, S::Copied), (2, S::Local), (3, S::Verified), (4, S::Lost), (5, S::Local), (6, S::Verified)]
        );
        assert_eq!((hours[0].copied, hours[0].verified, hours[3].lost, hours[3].waiting), (1, 5, 1, 2));
    }

    #[test]
    fn a_range_is_widened_to_whole_hours_and_bounded() {
        let range = |from: i64, to: i64| TimeRange { from: Timestamp(from), to: Timestamp(to) };
        assert_eq!(
            whole_hours(&range(HOUR_US + 1, HOUR_US + 2)).expect("short"),
            (Timestamp(HOUR_US), Timestamp(2 * HOUR_US))
        );
        assert_eq!(
            whole_hours(&range(HOUR_US, 2 * HOUR_US)).expect("exact"),
            (Timestamp(HOUR_US), Timestamp(2 * HOUR_US))
        );
        assert!(whole_hours(&range(0, 33 * 24 * HOUR_US)).is_err());
    }
}
