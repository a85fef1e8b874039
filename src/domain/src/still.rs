//! Which picture becomes an event's still: the first keyframe at or after the moment that is to be shown, with the boxes of what
//! moved in that very picture. Pure; the shell waits for keyframes and decodes them.

use crate::motion::Rect;
use perch_base::ids::EventId;
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The narrowest and the widest still that is made, pixels.
pub const WIDTHS: RangeInclusive<u32> = 16..=4096;

/// Width of an event's still, pixels.
pub const EVENT_WIDTH: u32 = 640;

/// How wide a still is at most, of which so many pixels were `asked` for.
pub fn width(asked: Option<u32>) -> u32 {
    asked.unwrap_or(u32::MAX).clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// How long a still waits for its keyframe. A camera that sends its own may take this long.
pub const WAIT: Duration = Duration::from_secs(20);
/// The detector's picture that is nearest to a keyframe counts as the same up to this distance: it sees five a second and more.
const SAME_PICTURE: Duration = Duration::from_millis(250);
/// Pictures of the detector that are remembered: some seconds of them, as keyframes are known a little after they were taken.
const LOOKS: usize = 64;
/// Stills that may be wanted at once: the oldest of a long row gives way.
const WISHES: usize = 8;

/// A still that is wanted.
#[derive(Clone, Copy, Debug)]
struct Wish {
    event: EventId,
    at: MonoTime,
}

/// A keyframe that is an event's still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Still {
    /// The event.
    pub event: EventId,
    /// The keyframe's time.
    pub at: MonoTime,
}

/// One camera's stills.
#[derive(Clone, Debug, Default)]
pub struct Stills {
    wishes: VecDeque<Wish>,
    /// What the detector saw last, and when.
    looks: VecDeque<(MonoTime, Vec<Rect>)>,
}

impl Stills {
    /// A still of `event` is to show the picture at `at`. Of each event the oldest and the newest wish wait: an event that grows
    /// all the time gets its first still soon, and its best one in the end.
    pub fn want(&mut self, event: EventId, at: MonoTime) {
        let mut of_event = self.wishes.iter_mut().filter(|w| w.event == event).skip(1);
        match of_event.next() {
            Some(newest) => newest.at = at,
            None => self.wishes.push_back(Wish { event, at }),
        }
        if self.wishes.len() > WISHES {
            self.wishes.pop_front();
        }
    }

    /// What the detector saw in the picture at `at`.
    pub fn saw(&mut self, at: MonoTime, boxes: Vec<Rect>) {
        if self.looks.len() >= LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back((at, boxes));
    }

    /// From when on a keyframe is waited for; `None` while no still is wanted.
    pub fn waits_from(&self) -> Option<MonoTime> {
        self.wishes.iter().map(|w| w.at).min()
    }

    /// Until when it is waited for.
    pub fn waits_until(&self) -> Option<MonoTime> {
        self.waits_from().map(|at| at + WAIT)
    }

    /// A keyframe of `at` came: the events whose still it is.
    pub fn keyframe(&mut self, at: MonoTime) -> Vec<Still> {
        let mut events: Vec<EventId> = self.wishes.iter().filter(|w| w.at <= at).map(|w| w.event).collect();
        events.sort_unstable();
        events.dedup();
        self.wishes.retain(|w| w.at > at);
        events.into_iter().map(|event| Still { event, at }).collect()
    }

    /// Time passes: the events that get no still, as no keyframe came in time.
    pub fn give_up(&mut self, now: MonoTime) -> Vec<EventId> {
        let is_late = |w: &Wish| now >= w.at + WAIT;
        let late = self.wishes.iter().filter(|w| is_late(w)).map(|w| w.event).collect();
        self.wishes.retain(|w| !is_late(w));
        late
    }

    /// What moved in the picture at `at`, as far as the detector saw that picture; else nothing is marked in it.
    pub fn boxes(&self, at: MonoTime) -> Vec<Rect> {
        let distance = |(seen, _): &&(MonoTime, Vec<Rect>)| at.since(*seen).max(seen.since(at));
        let nearest = self.looks.iter().min_by_key(distance).filter(|look| distance(look) <= SAME_PICTURE);
        nearest.map(|(_, boxes)| boxes.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: EventId = EventId(1);
    const TWO: EventId = EventId(2);

    fn ms(ms: i64) -> MonoTime {
        MonoTime(ms * 1000)
    }

    fn still(event: EventId, at: i64) -> Still {
        Still { event, at: ms(at) }
    }

    fn a_box(x: f32) -> Rect {
        Rect { x, y: 0.0, w: 0.1, h: 0.1 }
    }

    #[test]
    fn how_wide_a_still_is() {
        for (asked, want) in [(None, 4096), (Some(0), 16), (Some(16), 16), (Some(640), 640), (Some(u32::MAX), 4096)] {
            assert_eq!(width(asked), want, "{asked:?}");
        }
        assert_eq!(width(Some(EVENT_WIDTH)), EVENT_WIDTH, "an event's is allowed");
    }

    #[test]
    fn the_first_keyframe_from_the_moment_on_is_the_still() {
        let mut stills = Stills::default();
        assert_eq!((stills.keyframe(ms(500)), stills.waits_from()), (vec![], None));
        stills.want(ONE, ms(1000));
        assert_eq!(stills.waits_from(), Some(ms(1000)));
        assert_eq!(stills.keyframe(ms(999)), [], "it shows a moment before");
        assert_eq!(stills.keyframe(ms(1200)), [still(ONE, 1200)]);
        assert_eq!(stills.keyframe(ms(2200)), [], "one is enough");
        stills.want(ONE, ms(3000));
        assert_eq!(stills.keyframe(ms(3000)), [still(ONE, 3000)], "that very picture");
    }

    #[test]
    fn an_event_that_grows_all_the_time_gets_its_first_still_and_its_best() {
        let mut stills = Stills::default();
        for at in (1000..1900).step_by(100) {
            stills.want(ONE, ms(at));
        }
        assert_eq!(stills.keyframe(ms(1500)), [still(ONE, 1500)]);
        assert_eq!(stills.keyframe(ms(2500)), [still(ONE, 2500)]);
        assert_eq!(stills.waits_from(), None);
    }

    #[test]
    fn two_events_may_share_a_keyframe_and_late_ones_are_given_up() {
        let mut stills = Stills::default();
        stills.want(ONE, ms(1000));
        stills.want(TWO, ms(1400));
        assert_eq!(stills.waits_until(), Some(ms(21_000)));
        assert_eq!(stills.keyframe(ms(1500)), [still(ONE, 1500), still(TWO, 1500)]);
        stills.want(ONE, ms(2000));
        stills.want(TWO, ms(9000));
        assert_eq!(stills.give_up(ms(21_999)), []);
        assert_eq!(stills.give_up(ms(22_000)), [ONE]);
        assert_eq!(stills.waits_from(), Some(ms(9000)));
    }

    #[test]
    fn the_boxes_are_those_of_the_same_picture() {
        let mut stills = Stills::default();
        for i in 0..10 {
            stills.saw(ms(i * 200), vec![a_box(i as f32 / 10.0)]);
        }
        assert_eq!(stills.boxes(ms(1010)), [a_box(0.5)]);
        assert_eq!(stills.boxes(ms(990)), [a_box(0.5)]);
        assert_eq!(stills.boxes(ms(2000)), [a_box(0.9)]);
        assert_eq!(stills.boxes(ms(2100)), [], "the detector did not see that one");
        assert_eq!(Stills::default().boxes(ms(0)), []);
    }

    proptest! {
        /// Whatever is wanted and comes: a still never shows a moment before its wish, every wish is answered by the first keyframe
        /// from it on or replaced by a later one of its event, and little is remembered.
        #[test]
        fn no_still_is_too_early_and_none_is_forgotten(steps in proptest::collection::vec((0..3u8, 0..400i64), 0..200)) {
            let mut stills = Stills::default();
            let (mut now, mut first) = (0, std::collections::BTreeMap::new());
            for (what, ms_later) in steps {
                now += ms_later;
                if what < 2 {
                    let event = EventId(i64::from(what));
                    stills.want(event, ms(now));
                    first.entry(event).or_insert(ms(now));
                } else {
                    let made = stills.keyframe(ms(now));
                    for still in &made {
                        let wanted = first.remove(&still.event);
                        prop_assert!(wanted.is_some_and(|at| at <= still.at));
                    }
                    prop_assert!(first.is_empty(), "{:?}", first);
                }
                prop_assert!(stills.wishes.len() <= 4);
            }
        }
    }
}
