//! What the index has yet to take of a camera's events. Whoever puts something in never waits; what waits of one event is one entry,
//! however often it changed meanwhile. The recorder's twin of it is [`crate::recording::Marks`].

use crate::event::Peak;
use perch_base::ids::EventId;
use perch_base::time::{MonoTime, Timestamp};
use std::collections::VecDeque;

/// Events that may wait for an index that hangs; the oldest gives way.
const MAX_WAITING: usize = 256;

/// What is known of one event. `N` is what else the index is told of a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<N> {
    /// What the recorder knows it by.
    pub mark: EventId,
    /// What else the index is told.
    pub new: N,
    /// Its strongest picture: the one that its still is to show.
    pub peak: Peak,
    /// Its id in the index, once that took it.
    id: Option<EventId>,
    /// The picture that the index has.
    kept: Option<MonoTime>,
    end: Option<Timestamp>,
    is_changed: bool,
}

/// What the index is asked of an entry before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryAsk {
    /// To begin the event.
    Begin,
    /// To take a stronger picture of the event that it knows by this id.
    Grow(EventId),
}

impl<N> Entry<N> {
    /// What the index is asked first; `None`: it knows all but the end.
    pub fn asks(&self) -> Option<EntryAsk> {
        match self.id {
            None => Some(EntryAsk::Begin),
            Some(id) => (self.kept != Some(self.peak.at)).then_some(EntryAsk::Grow(id)),
        }
    }

    /// The index did what it was asked first: it knows the event by this id, and its strongest picture.
    pub fn taken(&mut self, id: EventId) {
        (self.id, self.kept) = (Some(id), Some(self.peak.at));
    }

    /// What the index is asked last: to end the event that it knows by this id.
    pub fn asks_end(&self) -> Option<(EventId, Timestamp)> {
        self.id.zip(self.end)
    }

    /// The event in the index with the picture that it has.
    pub fn kept(&self) -> Option<(EventId, MonoTime)> {
        self.id.zip(self.kept)
    }
}

/// All that waits, oldest first.
#[derive(Clone, Debug)]
pub struct Entries<N>(VecDeque<Entry<N>>);

impl<N> Default for Entries<N> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<N: Clone> Entries<N> {
    /// An event started. Returns one that gave way to it: it is not kept in the index.
    pub fn started(&mut self, mark: EventId, new: N, peak: Peak) -> Option<Entry<N>> {
        let lost = if self.0.len() >= MAX_WAITING { self.0.pop_front() } else { None };
        self.0.push_back(Entry { mark, new, peak, id: None, kept: None, end: None, is_changed: true });
        lost
    }

    /// It has a stronger picture.
    pub fn grew(&mut self, mark: EventId, peak: Peak) {
        if let Some(entry) = self.of(mark) {
            (entry.peak, entry.is_changed) = (peak, true);
        }
    }

    /// It is over.
    pub fn ended(&mut self, mark: EventId, end: Timestamp) {
        if let Some(entry) = self.of(mark) {
            (entry.end, entry.is_changed) = (Some(end), true);
        }
    }

    /// The next one that the index is to be asked to take, as it is now. One is asked about at a time.
    pub fn due(&mut self) -> Option<Entry<N>> {
        let entry = self.0.iter_mut().find(|entry| entry.is_changed)?;
        entry.is_changed = false;
        Some(entry.clone())
    }

    /// The index was asked. What it refused is asked again when more is known of the event, and at its end for the last time.
    pub fn entered(&mut self, entered: &Entry<N>) {
        let mark = entered.mark;
        if let Some(entry) = self.of(mark) {
            (entry.id, entry.kept) = (entered.id, entered.kept);
        }
        self.0.retain(|entry| entry.mark != mark || entry.is_changed || entry.end.is_none());
    }

    fn of(&mut self, mark: EventId) -> Option<&mut Entry<N>> {
        self.0.iter_mut().rev().find(|entry| entry.mark == mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion::Cause;
    use proptest::prelude::*;

    const ONE: EventId = EventId(1);
    const TWO: EventId = EventId(2);

    fn peak(at: i64) -> Peak {
        Peak { at: MonoTime(at), score: 0.5, cause: Cause::Motion, boxes: Vec::new() }
    }

    /// An index that takes what it is asked, unless it `refuses`; what it was asked.
    fn ask(entries: &mut Entries<()>, refuses: bool) -> Vec<String> {
        let Some(mut entry) = entries.due() else { return Vec::new() };
        let mut asked = Vec::new();
        // The index may have to give an event another id.
        let id = EventId(entry.mark.0 + 100);
        if let Some(ask) = entry.asks() {
            asked.push(match ask {
                EntryAsk::Begin => format!("begin {} at {}", entry.mark.0, entry.peak.at.0),
                EntryAsk::Grow(id) => format!("grow {} to {}", id.0, entry.peak.at.0),
            });
            if !refuses {
                entry.taken(id);
            }
        }
        if let Some((id, end)) = entry.asks_end() {
            asked.push(format!("end {} at {}", id.0, end.0));
        }
        entries.entered(&entry);
        asked
    }

    fn all(entries: &mut Entries<()>) -> Vec<String> {
        std::iter::from_fn(|| Some(ask(entries, false)).filter(|asked| !asked.is_empty())).flatten().collect()
    }

    type Step = fn(&mut Entries<()>) -> Vec<String>;

    #[test]
    fn what_the_index_is_asked() {
        let cases: &[(&str, &[Step], &[&str])] = &[
            (
                "each thing as it comes",
                &[
                    |e| {
                        assert_eq!(e.started(ONE, (), peak(5)), None, "there is room");
                        all(e)
                    },
                    |e| {
                        e.grew(ONE, peak(7));
                        all(e)
                    },
                    |e| {
                        e.ended(ONE, Timestamp(9));
                        all(e)
                    },
                ],
                &["begin 1 at 5", "grow 101 to 7", "end 101 at 9"],
            ),
            (
                "all at once, when it hung",
                &[|e| {
                    e.started(ONE, (), peak(5));
                    e.grew(ONE, peak(6));
                    e.grew(ONE, peak(7));
                    e.ended(ONE, Timestamp(9));
                    e.started(TWO, (), peak(9));
                    all(e)
                }],
                &["begin 1 at 7", "end 101 at 9", "begin 2 at 9"],
            ),
            (
                "what was refused is asked again with the next word, and at the end for the last time",
                &[
                    |e| {
                        e.started(ONE, (), peak(5));
                        ask(e, true)
                    },
                    |e| {
                        assert_eq!(all(e), [""; 0], "not before there is more to say");
                        e.grew(ONE, peak(6));
                        ask(e, true)
                    },
                    |e| {
                        e.ended(ONE, Timestamp(9));
                        ask(e, true)
                    },
                    all,
                ],
                &["begin 1 at 5", "begin 1 at 6", "begin 1 at 6"],
            ),
            (
                "a picture that was refused is asked again at the end",
                &[
                    |e| {
                        e.started(ONE, (), peak(5));
                        all(e)
                    },
                    |e| {
                        e.grew(ONE, peak(6));
                        ask(e, true)
                    },
                    |e| {
                        e.ended(ONE, Timestamp(9));
                        all(e)
                    },
                ],
                &["begin 1 at 5", "grow 101 to 6", "grow 101 to 6", "end 101 at 9"],
            ),
        ];
        for (what, steps, want) in cases {
            let mut entries = Entries::default();
            let got: Vec<_> = steps.iter().flat_map(|step| step(&mut entries)).collect();
            assert_eq!(got, *want, "{what}");
        }
    }

    #[test]
    fn an_end_that_comes_while_the_index_answers_is_not_lost() {
        let mut entries = Entries::default();
        entries.started(ONE, (), peak(5));
        let mut asked = entries.due().expect("one");
        entries.grew(ONE, peak(8));
        entries.ended(ONE, Timestamp(9));
        assert_eq!(asked.asks(), Some(EntryAsk::Begin));
        asked.taken(ONE);
        entries.entered(&asked);
        assert_eq!(asked.kept(), Some((ONE, MonoTime(5))));
        let asked = entries.due().expect("there is more to say");
        assert_eq!((asked.asks(), asked.asks_end()), (Some(EntryAsk::Grow(ONE)), Some((ONE, Timestamp(9)))));
    }

    #[test]
    fn an_index_that_hangs_for_good_takes_no_memory_without_end() {
        let mut entries = Entries::default();
        for n in 0..10_000 {
            let lost = entries.started(EventId(n), (), peak(n));
            assert_eq!(lost.map(|e| e.mark.0), (n >= MAX_WAITING as i64).then(|| n - MAX_WAITING as i64));
            entries.ended(EventId(n), Timestamp(n));
        }
        assert_eq!(entries.0.len(), MAX_WAITING);
    }

    proptest! {
        /// However words and answers interleave and whatever is refused: once all answers were good, the index knows each event once,
        /// its strongest picture and its end, and nothing waits.
        #[test]
        fn in_the_end_the_index_knows_all(script in proptest::collection::vec((0u8..6, any::<bool>()), 1..200)) {
            let mut entries = Entries::default();
            let (mut open, mut strongest, mut kept) = (None::<EventId>, Vec::new(), std::collections::BTreeMap::new());
            let mut asked: Option<Entry<()>> = None;
            let finish = |entries: &mut Entries<()>, mut entry: Entry<()>, refuses: bool,
                          kept: &mut std::collections::BTreeMap<i64, (i64, Option<i64>)>| {
                if entry.asks().is_some() && !refuses {
                    entry.taken(entry.mark);
                    kept.entry(entry.mark.0).or_insert((0, None)).0 = entry.peak.at.0;
                }
                if let Some((id, end)) = entry.asks_end().filter(|_| !refuses) {
                    kept.entry(id.0).or_insert((0, None)).1 = Some(end.0);
                }
                entries.entered(&entry);
            };
            for (n, (what, refuses)) in script.iter().enumerate() {
                let at = n as i64 + 1;
                match (what, open) {
                    (0, None) => {
                        open = Some(EventId(at));
                        strongest.push((at, at, None));
                        entries.started(EventId(at), (), peak(at));
                    }
                    (1, Some(id)) => {
                        strongest.last_mut().expect("one is open").1 = at;
                        entries.grew(id, peak(at));
                    }
                    (2, Some(id)) => {
                        strongest.last_mut().expect("one is open").2 = Some(at);
                        entries.ended(id, Timestamp(at));
                        open = None;
                    }
                    (3, _) if asked.is_none() => asked = entries.due(),
                    // The last answer to an event that is over must be good here: it is not asked again.
                    (4, _) => if let Some(entry) = asked.take() {
                        let is_last = entry.end.is_some();
                        finish(&mut entries, entry, *refuses && !is_last, &mut kept);
                    },
                    _ => {}
                }
            }
            if let Some(id) = open {
                strongest.last_mut().expect("one is open").2 = Some(1_000);
                entries.ended(id, Timestamp(1_000));
            }
            if let Some(entry) = asked.take() {
                finish(&mut entries, entry, false, &mut kept);
            }
            while let Some(entry) = entries.due() {
                finish(&mut entries, entry, false, &mut kept);
            }
            let want: std::collections::BTreeMap<_, _> = strongest.iter().map(|(id, at, end)| (*id, (*at, *end))).collect();
            prop_assert_eq!(kept, want);
            prop_assert!(entries.0.is_empty());
        }
    }
}
