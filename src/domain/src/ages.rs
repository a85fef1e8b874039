//! Ages of what decides who may come in (sessions, one-time passwords), when civil time is set meanwhile.
//!
//! Times are noted in civil time, since only that goes on while the box is off. Within one run the steady clock says how much time
//! passed: a step of civil time, forward or back, is no time. So when the clock is set, the times that were noted in the same wrong
//! time as the clock showed are moved along by as much, once, and every age stays what it was: nothing that is fresh becomes void, and
//! nothing lives longer because somebody sets the clock back.
//!
//! Which times those are: all since this run began; and while the clock has never been right since some moment (a box without a
//! network that was started several times), all since then. Times from before belong to right time: for them a step is the time
//! that the box was off.

use perch_base::time::{MonoTime, Timestamp};
use std::time::Duration;

/// A smaller difference is a clock that is being slewed, and waits until it has grown: ages are wrong by so much at most.
pub const TOLERANCE: Duration = Duration::from_secs(10);

/// Follows civil time against the steady clock, for one run of the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ages {
    /// Both clocks at one moment.
    utc: Timestamp,
    mono: MonoTime,
    /// Civil time at this run's beginning, as the clock would show it now.
    began: Timestamp,
    /// Since when the clock has not been right, if it is known to be wrong.
    unset_since: Option<Timestamp>,
}

/// Times that are to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// From this moment, as it was noted.
    pub from: Timestamp,
    /// Up to and with this one.
    pub to: Timestamp,
    /// By so many microseconds; negative is back.
    pub by_us: i64,
}

impl Step {
    /// A noted time after the step.
    pub fn moves(&self, noted: Timestamp) -> Timestamp {
        if (self.from..=self.to).contains(&noted) { noted.plus_micros(self.by_us) } else { noted }
    }
}

/// What is to be kept for the next run: since when the clock has not been right; `None` when it is.
pub type UnsetSince = Option<Timestamp>;

impl Ages {
    /// A run begins; `unset_since` is what the last one kept.
    pub fn start(utc: Timestamp, mono: MonoTime, unset_since: UnsetSince) -> Self {
        Self { utc, mono, began: utc, unset_since }
    }

    /// Since when the clock has not been right, for the next run to know.
    pub fn unset_since(&self) -> UnsetSince {
        self.unset_since
    }

    /// What is to be moved because the clock was set, if it was. It stays due until [`Self::moved`] says that it was done; until
    /// then ages are judged at `utc` less [`Step::by_us`].
    pub fn due(&self, utc: Timestamp, mono: MonoTime) -> Option<Step> {
        let shown_before = self.utc.plus_micros(mono.micros_since(self.mono));
        let by_us = utc.micros_since(shown_before);
        if by_us.unsigned_abs() < TOLERANCE.as_micros() as u64 {
            return None;
        }
        let from = self.unset_since.map_or(self.began, |since| since.min(self.began));
        Some(Step { from, to: shown_before, by_us })
    }

    /// The times of a step that was due at this moment were moved.
    pub fn moved(&mut self, step: &Step, utc: Timestamp, mono: MonoTime) {
        (self.utc, self.mono) = (utc, mono);
        self.began = self.began.plus_micros(step.by_us);
        self.unset_since = self.unset_since.map(|since| step.moves(since));
    }

    /// The system says whether its clock is right; `newest` is the newest time noted up to now. Nothing may be due. Gives what is to
    /// be moved first: times of earlier runs whose clock was wrong, and was set while the box was off. How long it was off then,
    /// nobody knows; the newest of them counts as noted just before this run.
    pub fn clock_is(&self, right: bool, newest: Option<Timestamp>) -> (Self, Option<Step>) {
        let mut next = self.clone();
        if !right {
            next.unset_since = Some(self.unset_since.map_or(self.began, |since| since.min(self.began)));
            return (next, None);
        }
        next.unset_since = None;
        let step = self.unset_since.zip(newest).filter(|(since, newest)| newest < &self.began && newest >= since);
        let step = step.map(|(from, to)| Step { from, to, by_us: self.began.micros_since(to) });
        (next, step.filter(|s| s.by_us.unsigned_abs() >= TOLERANCE.as_micros() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000;
    const YEARS: i64 = 2 * 365 * 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_700_000_000 * S + seconds * S)
    }

    fn mono(seconds: i64) -> MonoTime {
        MonoTime(seconds * S)
    }

    #[test]
    fn a_first_synchronisation_moves_what_this_run_noted_and_nothing_older() {
        let mut ages = Ages::start(at(0), mono(5), None);
        assert_eq!(ages.due(at(100), mono(105)), None);
        assert_eq!(ages.due(at(109), mono(105)), None, "slewed");
        let (utc, now) = (at(YEARS + 200), mono(205));
        let step = ages.due(utc, now).expect("set");
        assert_eq!(step, Step { from: at(0), to: at(200), by_us: YEARS * S });
        assert_eq!(step.moves(at(150)), at(YEARS + 150), "noted in this run");
        assert_eq!(step.moves(at(-86_400)), at(-86_400), "noted when the clock was right: the box was off for so long");
        assert_eq!(step.moves(at(YEARS)), at(YEARS), "noted in time to come, by somebody who was faster");
        assert_eq!(ages.due(utc, now), Some(step), "it stays due until it is done");
        ages.moved(&step, utc, now);
        assert_eq!(ages.due(utc + Duration::from_secs(50), mono(255)), None);
        // Set again, back this time: the same times follow.
        let back = ages.due(at(300), mono(305)).expect("set");
        assert_eq!((back.moves(at(YEARS + 150)), back.from), (at(150), at(YEARS)));
    }

    #[test]
    fn creeping_counts_as_a_whole() {
        let ages = Ages::start(at(0), mono(0), None);
        // A minute is taken back in steps of five seconds.
        let due: Vec<_> = (1..=12).map(|n| ages.due(at(n * 10 - n * 5), mono(n * 10)).map(|s| s.by_us / S)).collect();
        assert_eq!(due[..3], [None, Some(-10), Some(-15)]);
        assert_eq!(due[11], Some(-60));
    }

    #[test]
    fn a_clock_that_was_never_right_is_remembered_over_starts() {
        let (first, step) = Ages::start(at(0), mono(0), None).clock_is(false, None);
        assert_eq!((first.unset_since(), step), (Some(at(0)), None));
        // The next run begins where the clock stood, and is set while it runs.
        let mut second = Ages::start(at(4_000), mono(0), first.unset_since());
        let step = second.due(at(YEARS + 4_100), mono(100)).expect("set");
        assert_eq!(step.moves(at(10)), at(YEARS + 10), "noted by the first run");
        second.moved(&step, at(YEARS + 4_100), mono(100));
        let (second, step) = second.clock_is(true, Some(at(YEARS + 4_090)));
        assert_eq!((second.unset_since(), step), (None, None), "all of it is right now");
        // Or it was set while the box was off: nobody knows for how long, so nothing aged meanwhile.
        let (third, step) = Ages::start(at(YEARS), mono(0), first.unset_since()).clock_is(true, Some(at(3_990)));
        let step = step.expect("moved");
        assert_eq!((step.moves(at(3_990)), step.moves(at(10))), (at(YEARS), at(YEARS - 3_980)));
        assert_eq!(third.unset_since(), None);
        // A clock that is right and a box that was off: nothing moves.
        let (_, step) = Ages::start(at(YEARS), mono(0), None).clock_is(true, Some(at(3_990)));
        assert_eq!(step, None);
    }

    proptest! {
        /// However the clock is set within a run, the age of what the run noted is steady time, within the tolerance.
        #[test]
        fn ages_are_steady_time(steps in prop::collection::vec((0i64..3_000, -100_000_000i64..100_000_000), 1..20)) {
            let mut ages = Ages::start(at(0), mono(0), None);
            let (mut now, mut off, mut noted) = (0, 0, at(0));
            for (passes, set) in steps {
                now += passes;
                off += set;
                let (utc, steady) = (at(now + off), mono(now));
                let slack = match ages.due(utc, steady) {
                    Some(step) => {
                        noted = step.moves(noted);
                        ages.moved(&step, utc, steady);
                        0
                    }
                    None => TOLERANCE.as_micros() as i64,
                };
                let age = utc.micros_since(noted);
                prop_assert!((age - now * S).abs() <= slack, "{} and {}", age, now * S);
            }
        }
    }
}
