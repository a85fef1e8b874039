//! What the motion detector says to the recorder, and what of it waits while the recorder is busy with the disk.

use perch_base::ids::EventId;
use perch_base::time::MonoTime;
use std::collections::VecDeque;

/// The motion detector's word to the recorder.
///
/// An event that starts at the very moment at which the one before it ended goes on from it (a long event is cut into chapters):
/// its file begins at the first keyframe from there and never reaches back into the file before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventMark {
    /// First motion at `start`.
    Started {
        /// The event.
        id: EventId,
        /// Its first motion.
        start: MonoTime,
    },
    /// It still moves: recording goes on at least until `until`.
    Continues {
        /// The event.
        id: EventId,
        /// Its last motion and the post-roll.
        until: MonoTime,
    },
    /// Recording goes on until `end`, which may have passed.
    Ended {
        /// The event.
        id: EventId,
        /// Its end.
        end: MonoTime,
    },
}

/// Marks that wait for the recorder. They coalesce: of each event at most its start, its newest word and its end wait, whatever
/// the detector says meanwhile. Nobody waits to put one in.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    waiting: VecDeque<Waiting>,
}

/// Events that may wait. The recorder takes no mark only while the disk hangs, and the watchdog ends that after minutes; more than
/// these wait only when the detector is broken. The oldest whole event then gives way: its pictures were lost long ago.
const MAX_WAITING: usize = 256;

/// What is not taken yet of one event.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: EventId,
    start: Option<MonoTime>,
    until: Option<MonoTime>,
    end: Option<MonoTime>,
}

impl Marks {
    /// Puts a mark in.
    pub fn put(&mut self, mark: EventMark) {
        match mark {
            EventMark::Started { id, start } => self.of(id).start = Some(start),
            EventMark::Continues { id, until } => {
                let waiting = self.of(id);
                waiting.until = waiting.until.max(Some(until));
            }
            EventMark::Ended { id, end } => self.of(id).end = Some(end),
        }
        if self.waiting.len() > MAX_WAITING
            && let Some(oldest) = self.waiting.iter().position(|w| w.start.is_some() && w.end.is_some())
        {
            self.waiting.remove(oldest);
        }
    }

    /// Takes the next mark: events in the order in which they were put in, each from its start to its end.
    pub fn take(&mut self) -> Option<EventMark> {
        let waiting = self.waiting.front_mut()?;
        let id = waiting.id;
        let mark = if let Some(start) = waiting.start.take() {
            EventMark::Started { id, start }
        } else if let Some(until) = waiting.until.take() {
            EventMark::Continues { id, until }
        } else {
            EventMark::Ended { id, end: waiting.end.take()? }
        };
        if waiting.start.is_none() && waiting.until.is_none() && waiting.end.is_none() {
            self.waiting.pop_front();
        }
        Some(mark)
    }

    fn of(&mut self, id: EventId) -> &mut Waiting {
        let at = self.waiting.iter().rposition(|w| w.id == id).unwrap_or_else(|| {
            self.waiting.push_back(Waiting { id, start: None, until: None, end: None });
            self.waiting.len() - 1
        });
        &mut self.waiting[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventMark::*;
    use proptest::prelude::*;

    const ONE: EventId = EventId(1);
    const TWO: EventId = EventId(2);

    fn all(marks: &mut Marks) -> Vec<EventMark> {
        std::iter::from_fn(|| marks.take()).collect()
    }

    #[test]
    fn what_an_event_says_meanwhile_is_one_mark() {
        let mut marks = Marks::default();
        marks.put(Started { id: ONE, start: MonoTime(1) });
        for n in 2..1_000 {
            marks.put(Continues { id: ONE, until: MonoTime(n) });
        }
        let want = [Started { id: ONE, start: MonoTime(1) }, Continues { id: ONE, until: MonoTime(999) }];
        assert_eq!(all(&mut marks), want);
    }

    #[test]
    fn a_second_event_does_not_swallow_the_end_of_the_first() {
        let mut marks = Marks::default();
        marks.put(Started { id: ONE, start: MonoTime(1) });
        assert_eq!(marks.take(), Some(Started { id: ONE, start: MonoTime(1) }));
        // The recorder hangs from here.
        marks.put(Continues { id: ONE, until: MonoTime(7) });
        marks.put(Ended { id: ONE, end: MonoTime(9) });
        marks.put(Started { id: TWO, start: MonoTime(9) });
        marks.put(Continues { id: TWO, until: MonoTime(12) });
        marks.put(Continues { id: TWO, until: MonoTime(14) });
        let want = [
            Continues { id: ONE, until: MonoTime(7) },
            Ended { id: ONE, end: MonoTime(9) },
            Started { id: TWO, start: MonoTime(9) },
            Continues { id: TWO, until: MonoTime(14) },
        ];
        assert_eq!(all(&mut marks), want);
    }

    #[test]
    fn a_detector_without_end_takes_no_memory_without_end() {
        let mut marks = Marks::default();
        for n in 0..10_000 {
            marks.put(Started { id: EventId(n), start: MonoTime(n) });
            marks.put(Ended { id: EventId(n), end: MonoTime(n + 1) });
        }
        let got = all(&mut marks);
        assert_eq!(got.len(), 2 * MAX_WAITING);
        assert_eq!(got.last(), Some(&Ended { id: EventId(9_999), end: MonoTime(10_000) }));
    }

    proptest! {
        /// However the two interleave: every start and every end arrives once, in order, and the newest word of each event.
        #[test]
        fn nothing_that_matters_is_lost(script in proptest::collection::vec(0u8..5, 1..400)) {
            let (mut marks, mut put, mut got) = (Marks::default(), Vec::new(), Vec::new());
            let (mut id, mut open) = (EventId(0), false);
            for (n, what) in script.iter().enumerate() {
                let at = MonoTime(n as i64);
                let mark = match (what, open) {
                    (0, _) => { got.extend(marks.take()); continue }
                    (1, false) => { id = EventId(id.0 + 1); open = true; Started { id, start: at } }
                    (2, true) => { open = false; Ended { id, end: at } }
                    (_, true) => Continues { id, until: at },
                    _ => continue,
                };
                put.push(mark);
                marks.put(mark);
            }
            got.extend(all(&mut marks));
            let edges = |all: &[EventMark]| all.iter().filter(|m| !matches!(m, Continues { .. })).copied().collect::<Vec<_>>();
            prop_assert_eq!(edges(&got), edges(&put));
            let newest = |all: &[EventMark], id| all.iter().rev().find(|m| matches!(m, Continues { id: i, .. } if *i == id)).copied();
            for n in 1..=id.0 {
                prop_assert_eq!(newest(&got, EventId(n)), newest(&put, EventId(n)));
                let end = got.iter().position(|m| matches!(m, Ended { id, .. } if id.0 == n));
                let last = got.iter().rposition(|m| matches!(m, Continues { id, .. } if id.0 == n));
                prop_assert!(end.is_none() || last < end);
            }
        }
    }
}
