//! Which recordings go when space, or their time, runs out, and in which order. The inventory may be of 100,000 recordings, so the
//! planner asks for it page by page; whoever holds it answers, deletes what is named, and decides nothing.

use crate::archive::MAX_RANGE_US;
use crate::settings::Keys;
use perch_base::ids::SegmentId;
use perch_base::time::{DAY_US, Timestamp};

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Recordings may take this many bytes; 0 is no limit.
    pub max_bytes: u64,
    /// The disk must keep this many bytes free.
    pub min_free_bytes: u64,
    /// Background older than this goes; 0 keeps it until space runs out.
    pub max_days: u32,
    /// Events older than this go; 0 keeps them until space runs out.
    pub event_max_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { max_bytes: 0, min_free_bytes: 1 << 30, max_days: 30, event_max_days: 90 }
    }
}

impl RetentionConfig {
    /// The key of [`Self::min_free_bytes`].
    pub const MIN_FREE_BYTES: &str = "recording.min_free_bytes";

    /// A hundred years.
    const MOST_DAYS: u32 = 36_500;

    /// Reads `max_bytes`, `min_free_bytes`, `max_days` and `event_max_days`.
    pub fn read(keys: &mut impl Keys) -> Self {
        let d = Self::default();
        Self {
            max_bytes: keys.number("max_bytes", d.max_bytes as i64, 0..=i64::MAX) as u64,
            min_free_bytes: keys.number("min_free_bytes", d.min_free_bytes as i64, 0..=i64::MAX) as u64,
            max_days: keys.count("max_days", d.max_days, 0..=Self::MOST_DAYS),
            event_max_days: keys.count("event_max_days", d.event_max_days, 0..=Self::MOST_DAYS),
        }
    }

    /// The limits that hold while the clock may be wrong: nothing goes for its age then, only for want of space.
    pub fn without_ages(self) -> Self {
        Self { max_days: 0, event_max_days: 0, ..self }
    }

    /// Whatever was recorded before this moment has gone for its age, unless it is pinned. `None`: recordings of one worth at least
    /// are kept until space runs out, however old.
    pub fn kept_since(&self, now: Timestamp) -> Option<Timestamp> {
        match (self.max_days, self.event_max_days) {
            (0, _) | (_, 0) => None,
            (days, event_days) => Some(now.plus_micros(-i64::from(days.max(event_days)) * DAY_US)),
        }
    }
}

/// So often is it looked what may be forgotten: what is old and stays (pinned, or with recordings) is walked through each time.
const FORGET_EVERY_US: i64 = 3_600_000_000;

/// Gaps and lost recordings are remembered for as long as one question can look back, and a month.
const REMEMBER_US: i64 = MAX_RANGE_US + 33 * DAY_US;

/// Events without recordings are remembered so long when events have no limit of their own.
const BARE_EVENT_DAYS: u32 = 90;

/// Up to which moment is forgotten what has no recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Events that ended before this moment, are not pinned and have no recordings left.
    pub events_before: Timestamp,
    /// Gaps, and recordings that are lost or were set aside, that ended before this moment.
    pub gaps_before: Timestamp,
}

impl Forgotten {
    /// What is forgotten now.
    pub fn at(config: &RetentionConfig, now: Timestamp) -> Self {
        let days = if config.event_max_days == 0 { BARE_EVENT_DAYS } else { config.event_max_days };
        let before = |age_us: i64| Timestamp(now.as_micros().saturating_sub(age_us));
        Self { events_before: before(i64::from(days) * DAY_US), gaps_before: before(REMEMBER_US) }
    }

    /// Whether it is time to look, when that was done last at `last`. A clock that was set far is no reason to wait.
    pub fn is_due(last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| now.as_micros().saturating_sub(last.as_micros()).saturating_abs() >= FORGET_EVERY_US)
    }
}

/// Files that could not be read may take this much, bytes.
const QUARANTINE_BYTES: u64 = 1 << 30;

/// How many of the oldest files leave the quarantine, whose files have these sizes, the oldest first. The newest stays, however large
/// it is: it was set aside a moment ago.
pub fn leave_quarantine(sizes_bytes: &[u64]) -> usize {
    let mut bytes: u64 = sizes_bytes.iter().fold(0, |sum, one| sum.saturating_add(*one));
    let too_many = |one: &&u64| {
        let goes = bytes > QUARANTINE_BYTES;
        bytes = bytes.saturating_sub(**one);
        goes
    };
    sizes_bytes.iter().take(sizes_bytes.len().saturating_sub(1)).take_while(too_many).count()
}

/// So many damaged databases are kept, the newest.
pub const DAMAGED_DATABASES: usize = 3;

/// How valuable a recording is; the least valuable goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Not part of an event.
    Background,
    /// Part of an event.
    Event,
}

/// One sealed, unpinned recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its row.
    pub id: SegmentId,
    /// When it ends.
    pub end: Timestamp,
    /// Its length.
    pub size_bytes: u64,
}

/// Of which recordings copies off the box are wanted: those go only once theirs are verified, but for the disk's reserve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopiesWanted {
    /// Of recordings of events.
    pub events: bool,
    /// Of all others.
    pub background: bool,
}

impl CopiesWanted {
    fn of(self, worth: Worth) -> bool {
        match worth {
            Worth::Background => self.background,
            Worth::Event => self.events,
        }
    }
}

/// What is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all recordings, pinned and open ones too.
    pub recordings_bytes: u64,
    /// Free bytes of the disk.
    pub free_bytes: u64,
}

/// A question to the inventory: the oldest sealed, unpinned recordings of one worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Of this worth.
    pub worth: Worth,
    /// Only those that end before this moment. `None`: however old. Then the answer must hold the oldest there are, and whoever does
    /// not know the oldest yet finds out first.
    pub before: Option<Timestamp>,
    /// Only those behind this one, in the order of (`end`, `id`).
    pub after: Option<(Timestamp, SegmentId)>,
    /// Only those whose copies are all verified (true), or are not (false). `None`: both.
    pub copied: Option<bool>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answer this with some of the recordings it asks for, in the order of (`end`, `id`) and without leaving one out; with none
    /// only when there is none.
    Ask(Page),
    /// Delete these. One that cannot be deleted, or was pinned meanwhile, stays.
    Delete(Vec<SegmentId>),
    /// Delete these, though copies of them are wanted and not verified: the disk has no room left. It is to be written down and said.
    Lose(Vec<SegmentId>),
    /// Nothing more.
    Done,
}

/// How the last step went.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// There was none.
    Start,
    /// To [`Step::Ask`].
    Page(&'a [Candidate]),
    /// To [`Step::Delete`] and [`Step::Lose`]: bytes that are free now.
    Freed(u64),
}

/// Why recordings of one worth are looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// They may end before this moment, and are then too old.
    Old(Timestamp),
    /// Space is short.
    Space,
    /// The disk has less free than must stay free, and nothing is left that may go.
    Reserve,
}

/// Decides what is deleted: first what is too old, then, while space is short, background before events; always the oldest first. What is
/// to be copied first stays, and `max_bytes` and ages are held late for it; only when the disk's reserve is hit does it go.
#[derive(Clone, Debug)]
pub struct Planner {
    /// What is left to look through, the next last.
    rounds: Vec<(Worth, Why)>,
    wanted: CopiesWanted,
    after: Option<(Timestamp, SegmentId)>,
    /// Bytes to free, and those that were.
    need_bytes: u64,
    /// Of those, what the disk itself lacks.
    reserve_bytes: u64,
    freed_bytes: u64,
}

impl Planner {
    /// A plan for these limits, what is on the disk, and now. Usage is asked once and then reckoned: a file system that frees late,
    /// or a file that a download holds open, must not cost more recordings.
    pub fn new(config: &RetentionConfig, wanted: CopiesWanted, usage: Usage, now: Timestamp) -> Self {
        let over = match config.max_bytes {
            0 => 0,
            max => usage.recordings_bytes.saturating_sub(max),
        };
        let short = config.min_free_bytes.saturating_sub(usage.free_bytes);
        let old = |worth, days: u32| {
            let limit = Timestamp(now.as_micros().saturating_sub(i64::from(days) * DAY_US));
            (days > 0).then_some((worth, Why::Old(limit)))
        };
        let lose = |worth| wanted.of(worth).then_some((worth, Why::Reserve));
        let rounds = [
            lose(Worth::Event),
            lose(Worth::Background),
            Some((Worth::Event, Why::Space)),
            Some((Worth::Background, Why::Space)),
            old(Worth::Event, config.event_max_days),
            old(Worth::Background, config.max_days),
        ];
        Self {
            rounds: rounds.into_iter().flatten().collect(),
            wanted,
            after: None,
            need_bytes: over.max(short),
            reserve_bytes: short,
            freed_bytes: 0,
        }
    }

    /// The next step, after the last one went like this.
    pub fn next(&mut self, answer: Answer<'_>) -> Step {
        match answer {
            Answer::Start => {}
            Answer::Freed(bytes) => self.freed_bytes = self.freed_bytes.saturating_add(bytes),
            Answer::Page(page) => {
                let chosen = self.choose(page);
                if !chosen.is_empty() {
                    let is_lost = matches!(self.rounds.last(), Some((_, Why::Reserve)));
                    return if is_lost { Step::Lose(chosen) } else { Step::Delete(chosen) };
                }
                self.rounds.pop();
                self.after = None;
            }
        }
        match self.rounds.last() {
            None => Step::Done,
            Some((_, why @ (Why::Space | Why::Reserve))) if self.freed_bytes >= self.needed(*why) => Step::Done,
            Some((worth, why)) => {
                let (before, copied) = match why {
                    Why::Old(limit) => (Some(*limit), self.wanted.of(*worth).then_some(true)),
                    Why::Space => (None, self.wanted.of(*worth).then_some(true)),
                    Why::Reserve => (None, Some(false)),
                };
                Step::Ask(Page { worth: *worth, before, after: self.after, copied })
            }
        }
    }

    fn needed(&self, why: Why) -> u64 {
        if why == Why::Reserve { self.reserve_bytes } else { self.need_bytes }
    }

    /// What of a page is deleted; the next page begins behind it.
    fn choose(&mut self, page: &[Candidate]) -> Vec<SegmentId> {
        let mut freed_bytes = self.freed_bytes;
        let is_wanted = |c: &&Candidate| match self.rounds.last() {
            Some((_, Why::Old(limit))) => c.end < *limit,
            Some((_, why @ (Why::Space | Why::Reserve))) => {
                let is_short = freed_bytes < self.needed(*why);
                freed_bytes = freed_bytes.saturating_add(c.size_bytes);
                is_short
            }
            None => false,
        };
        let chosen: Vec<&Candidate> = page.iter().take_while(is_wanted).collect();
        if let Some(last) = chosen.last() {
            self.after = Some((last.end, last.id));
        }
        chosen.into_iter().map(|c| c.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Kept = (Worth, Candidate);

    fn candidate(id: i64, age_days: i64, worth: Worth) -> Kept {
        (worth, Candidate { id: SegmentId(id), end: Timestamp(1000 * DAY_US - age_days * DAY_US), size_bytes: 100 })
    }

    const NOW: Timestamp = Timestamp(1000 * DAY_US);
    const NONE: RetentionConfig = RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 0, event_max_days: 0 };

    #[test]
    fn recordings_are_kept_as_long_as_the_worth_with_the_longer_limit_and_for_ever_without_one() {
        let cases = [
            // (max_days, event_max_days, kept for so many days)
            (30, 90, Some(90)),
            (90, 30, Some(90)),
            (1, 1, Some(1)),
            (0, 90, None),
            (30, 0, None),
            (0, 0, None),
        ];
        for (max_days, event_max_days, days) in cases {
            let config = RetentionConfig { max_days, event_max_days, ..NONE };
            let want = days.map(|days: i64| Timestamp(NOW.0 - days * DAY_US));
            assert_eq!(config.kept_since(NOW), want, "{max_days} and {event_max_days} days");
        }
    }

    /// No copies are wanted.
    const ANY: CopiesWanted = CopiesWanted { events: false, background: false };

    /// Obeys a planner over an inventory; `page` is how many are answered at a time, `refuses` what cannot be deleted.
    fn run(mut planner: Planner, all: &[Kept], page: usize, refuses: &[i64]) -> Vec<i64> {
        let mut left = all.to_vec();
        left.sort_by_key(|(_, c)| (c.end, c.id));
        let mut went = Vec::new();
        let mut answered: Vec<Candidate>;
        let mut answer = Answer::Start;
        for _ in 0..10_000 {
            match planner.next(answer) {
                Step::Done => return went,
                Step::Ask(q) => {
                    let asked = left.iter().filter(|(w, c)| {
                        *w == q.worth && q.before.is_none_or(|t| c.end < t) && q.after.is_none_or(|a| (c.end, c.id) > a)
                    });
                    answered = asked.map(|(_, c)| *c).take(page).collect();
                    answer = Answer::Page(&answered);
                }
                Step::Lose(ids) => panic!("{ids:?} are lost, and no copies are wanted"),
                Step::Delete(ids) => {
                    let goes = |c: &Candidate| ids.contains(&c.id) && !refuses.contains(&c.id.0);
                    let freed = left.iter().filter(|(_, c)| goes(c)).map(|(_, c)| c.size_bytes).sum();
                    went.extend(ids.iter().map(|id| id.0).filter(|id| !refuses.contains(id)));
                    left.retain(|(_, c)| !goes(c));
                    answer = Answer::Freed(freed);
                }
            }
        }
        panic!("the planner never comes to an end");
    }

    fn freed_by(ids: &[SegmentId], inventory: &[(i64, u64, bool, bool)]) -> u64 {
        ids.iter().map(|id| inventory[id.0 as usize - 1].1).sum()
    }

    fn plan(config: RetentionConfig, recordings_bytes: u64, free_bytes: u64, c: &[Kept]) -> Vec<i64> {
        run(Planner::new(&config, ANY, Usage { recordings_bytes, free_bytes }, NOW), c, 2, &[])
    }

    /// The policy over the whole inventory at once.
    fn whole_plan(config: &RetentionConfig, usage: Usage, all: &[Kept]) -> Vec<i64> {
        let days = |w| if w == Worth::Background { config.max_days } else { config.event_max_days };
        let is_old = |(w, c): &Kept| days(*w) > 0 && NOW.micros_since(c.end) > i64::from(days(*w)) * DAY_US;
        let mut sorted = all.to_vec();
        sorted.sort_by_key(|(w, c)| (*w, c.end, c.id));
        let (old, rest): (Vec<_>, Vec<_>) = sorted.into_iter().partition(is_old);
        let over = if config.max_bytes > 0 { usage.recordings_bytes.saturating_sub(config.max_bytes) } else { 0 };
        let need = over.max(config.min_free_bytes.saturating_sub(usage.free_bytes));
        let mut freed: u64 = old.iter().map(|(_, c)| c.size_bytes).sum();
        let mut out: Vec<i64> = old.iter().map(|(_, c)| c.id.0).collect();
        for (_, c) in rest {
            if freed >= need {
                break;
            }
            freed += c.size_bytes;
            out.push(c.id.0);
        }
        out
    }

    #[test]
    fn cheapest_and_oldest_first() {
        let c = [
            candidate(1, 9, Worth::Event),
            candidate(2, 8, Worth::Event),
            candidate(3, 1, Worth::Background),
            candidate(4, 2, Worth::Background),
        ];
        let over = |bytes: u64| RetentionConfig { max_bytes: 400 - bytes, ..NONE };
        assert!(plan(NONE, 400, 0, &c).is_empty());
        assert_eq!(plan(over(1), 400, 0, &c), [4]);
        assert_eq!(plan(over(200), 400, 0, &c), [4, 3]);
        assert_eq!(plan(over(201), 400, 0, &c), [4, 3, 1]);
        assert_eq!(plan(RetentionConfig { min_free_bytes: 350, ..NONE }, 400, 0, &c), [4, 3, 1, 2]);
    }

    #[test]
    fn days_differ_for_events_and_age_goes_before_space() {
        let c = [candidate(1, 10, Worth::Background), candidate(2, 10, Worth::Event), candidate(3, 40, Worth::Event)];
        let config = RetentionConfig { max_days: 7, event_max_days: 30, ..NONE };
        assert_eq!(plan(config, 300, 0, &c), [1, 3]);
        let mixed = [candidate(1, 2, Worth::Background), candidate(2, 40, Worth::Event)];
        let config = RetentionConfig { event_max_days: 30, max_bytes: 100, ..NONE };
        assert_eq!(plan(config, 200, 0, &mixed), [2], "what went for its age made the room");
    }

    #[test]
    fn nothing_is_asked_when_nothing_is_over_a_limit() {
        let usage = Usage { recordings_bytes: 1, free_bytes: 1 };
        assert_eq!(Planner::new(&NONE, ANY, usage, NOW).next(Answer::Start), Step::Done);
    }

    #[test]
    fn what_cannot_be_deleted_does_not_keep_the_next_from_going() {
        let c: Vec<_> = (1..=5).map(|id| candidate(id, 10 - id, Worth::Background)).collect();
        let config = RetentionConfig { max_bytes: 300, ..NONE };
        let planner = Planner::new(&config, ANY, Usage { recordings_bytes: 500, free_bytes: 0 }, NOW);
        assert_eq!(run(planner, &c, 2, &[1, 3]), [2, 4]);
    }

    #[test]
    fn what_has_no_recordings_is_forgotten_in_its_time() {
        let days = |n: i64| Timestamp(NOW.as_micros() - n * DAY_US);
        for (event_max_days, events) in [(0, 90), (7, 7), (400, 400)] {
            let config = RetentionConfig { event_max_days, ..NONE };
            let want = Forgotten { events_before: days(events), gaps_before: days(400) };
            assert_eq!(Forgotten::at(&config, NOW), want);
        }
        let hour = |n: i64| Timestamp(NOW.as_micros() + n * FORGET_EVERY_US);
        for (last, is_due) in [(None, true), (Some(NOW), false), (Some(hour(-1)), true), (Some(hour(1)), true)] {
            assert_eq!(Forgotten::is_due(last, NOW), is_due, "{last:?}");
        }
    }

    #[test]
    fn the_quarantine_keeps_the_newest() {
        const GIB: u64 = QUARANTINE_BYTES;
        let tables: [(&[u64], usize); 6] =
            [(&[], 0), (&[2 * GIB], 0), (&[GIB, 1], 1), (&[1, GIB, 1], 2), (&[1, 1, GIB], 2), (&[GIB / 2, GIB / 2], 0)];
        for (sizes, goes) in tables {
            assert_eq!(leave_quarantine(sizes), goes, "{sizes:?}");
        }
    }

    proptest! {
        #[test]
        fn page_by_page_is_the_plan_over_the_whole_inventory(
            inventory in proptest::collection::vec((0i64..60, 1u64..1000, any::<bool>()), 0..80),
            days in 0u32..50, event_days in 0u32..50, max_bytes in 0u64..30_000, min_free in 0u64..30_000, page in 1usize..9)
        {
            let worth = |event| if event { Worth::Event } else { Worth::Background };
            let all: Vec<Kept> = inventory.iter().enumerate().map(|(i, (age, size, event))| {
                let (worth, c) = candidate(i as i64 + 1, *age, worth(*event));
                (worth, Candidate { size_bytes: *size, ..c })
            }).collect();
            let config = RetentionConfig { max_bytes, min_free_bytes: min_free, max_days: days, event_max_days: event_days };
            let usage = Usage { recordings_bytes: inventory.iter().map(|i| i.1).sum(), free_bytes: 1000 };
            prop_assert_eq!(run(Planner::new(&config, ANY, usage, NOW), &all, page, &[]), whole_plan(&config, usage, &all));
        }

        /// Whatever the limits: what is to be copied first goes only when the disk's reserve is hit and nothing else is left that may go,
        /// and then no more than the reserve lacks.
        #[test]
        fn nothing_goes_before_it_is_copied_but_for_the_reserve(
            inventory in proptest::collection::vec((0i64..60, 1u64..1000, any::<bool>(), any::<bool>()), 0..60),
            days in 0u32..50, event_days in 0u32..50, max_bytes in 0u64..20_000, min_free in 0u64..20_000,
            (events, background) in (any::<bool>(), any::<bool>()))
        {
            let (wanted, free_bytes) = (CopiesWanted { events, background }, 1000);
            let mut left: Vec<(Worth, Candidate, bool)> = inventory.iter().zip(1..).map(|((age, size, event, copied), id)| {
                let (worth, c) = candidate(id, *age, if *event { Worth::Event } else { Worth::Background });
                (worth, Candidate { size_bytes: *size, ..c }, *copied)
            }).collect();
            left.sort_by_key(|(_, c, _)| (c.end, c.id));
            let config = RetentionConfig { max_bytes, min_free_bytes: min_free, max_days: days, event_max_days: event_days };
            let usage = Usage { recordings_bytes: inventory.iter().map(|i| i.1).sum(), free_bytes };
            let mut planner = Planner::new(&config, wanted, usage, NOW);
            let short = min_free.saturating_sub(free_bytes);
            let mut page: Vec<Candidate>;
            let (mut freed, mut answer) = (0u64, Answer::Start);
            loop {
                let step = planner.next(answer);
                let (ids, is_lost) = match step {
                    Step::Done => break,
                    Step::Ask(q) => {
                        page = left.iter().filter(|(w, c, copied)| {
                            *w == q.worth && q.before.is_none_or(|t| c.end < t) && q.after.is_none_or(|a| (c.end, c.id) > a)
                                && q.copied.is_none_or(|is| is == *copied)
                        }).map(|(_, c, _)| *c).take(7).collect::<Vec<Candidate>>();
                        answer = Answer::Page(&page);
                        continue;
                    }
                    Step::Delete(ids) => (ids, false),
                    Step::Lose(ids) => (ids, true),
                };
                let may_go = |(worth, _, copied): &(Worth, Candidate, bool)| *copied || !wanted.of(*worth);
                for id in &ids {
                    let at = left.iter().position(|(_, c, _)| c.id == *id).expect("it was asked for");
                    let one = left.remove(at);
                    prop_assert_eq!(may_go(&one), !is_lost);
                    if is_lost {
                        prop_assert!(freed < short, "the reserve has what it needs");
                        prop_assert!(!left.iter().any(may_go), "something else could go");
                    }
                    freed += one.1.size_bytes;
                }
                answer = Answer::Freed(freed_by(&ids, &inventory));
            }
            prop_assert!(freed >= short || left.is_empty(), "the reserve is kept all the same");
        }

        #[test]
        fn frees_enough_or_everything_and_never_more_than_one_too_many(
            sizes in proptest::collection::vec(1u64..1000, 0..50), need in 0u64..20_000)
        {
            let c: Vec<Kept> = sizes.iter().enumerate().map(|(i, size)| {
                let (worth, c) = candidate(i as i64 + 1, i as i64, Worth::Background);
                (worth, Candidate { size_bytes: *size, ..c })
            }).collect();
            let total: u64 = sizes.iter().sum();
            let ids = plan(RetentionConfig { min_free_bytes: need, ..NONE }, total, 0, &c);
            let freed: u64 = ids.iter().map(|id| sizes[*id as usize - 1]).sum();
            prop_assert!(freed >= need.min(total));
            if let Some(last) = ids.last() {
                prop_assert!(freed - sizes[*last as usize - 1] < need);
            }
        }
    }
}
