//! Whether the light lets motion be judged at all: a swing that the detector cannot correct makes every picture a change of the whole,
//! in which nothing else is seen. One lamp that is switched is no such swing.

use super::{Cause, Detection};
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// What is looked back on: so long the light must swing until it is said, and hold until it is said no more.
const WINDOW: Duration = Duration::from_secs(10);
/// Above this share of pictures that changed as a whole motion is not judged, below the other it is again.
const LOST: f32 = 0.5;
const BACK: f32 = 0.2;
/// A longer pause between two pictures begins a new look back.
const PAUSE: Duration = Duration::from_secs(3);

/// What a camera's health says while motion is not judged.
pub const LIGHT_SWINGS: &str = "the light swings too strongly to recognise motion: make it steady";

/// What is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The light swings so strongly that motion is not judged.
    Lost,
    /// Motion is judged again.
    Back,
}

/// Looks at what the detector says of one picture after the other.
#[derive(Clone, Debug, Default)]
pub struct SightWatch {
    /// The pictures of the window, and whether each changed as a whole.
    looks: VecDeque<(MonoTime, bool)>,
    is_lost: bool,
}

impl SightWatch {
    /// Takes the word on the next picture. Returns what is new.
    pub fn look(&mut self, seen: &Detection) -> Option<Sight> {
        let now = seen.pts;
        if self.looks.back().is_some_and(|(last, _)| now <= *last || now.since(*last) > PAUSE) {
            self.looks.clear();
        }
        self.looks.push_back((now, seen.cause == Cause::GlobalChange));
        while self.looks.get(1).is_some_and(|(second, _)| now.since(*second) >= WINDOW) {
            self.looks.pop_front();
        }
        if now.since(self.looks.front()?.0) < WINDOW {
            return None;
        }
        let share = self.looks.iter().filter(|(_, whole)| *whole).count() as f32 / self.looks.len() as f32;
        let is_lost = if self.is_lost { share >= BACK } else { share > LOST };
        let is_new = std::mem::replace(&mut self.is_lost, is_lost) != is_lost;
        is_new.then_some(if is_lost { Sight::Lost } else { Sight::Back })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks five times a second at stretches of (seconds, how many of five pictures change as a whole); at which second what is said.
    fn said(stretches: &[(u32, usize)]) -> Vec<(i64, Sight)> {
        let (mut watch, mut at, mut said) = (SightWatch::default(), MonoTime(0), Vec::new());
        for (seconds, whole) in stretches {
            for n in 0..*seconds as usize * 5 {
                at = at + Duration::from_millis(200);
                let cause = if n % 5 < *whole { Cause::GlobalChange } else { Cause::Quiet };
                let seen = Detection { pts: at, motion: false, score: 0.0, cause, boxes: Vec::new() };
                said.extend(watch.look(&seen).map(|new| (at.0 / 1_000_000, new)));
            }
        }
        said
    }

    #[test]
    fn a_swing_that_goes_on_is_said_until_the_light_is_steady() {
        for (name, stretches, want) in [
            ("steady light", &[(60, 0)][..], &[][..]),
            ("a lamp is switched", &[(20, 0), (1, 5), (60, 0)], &[]),
            ("a lamp is switched each five seconds", &[(20, 0), (1, 5), (4, 0), (1, 5), (4, 0), (1, 5), (30, 0)], &[]),
            ("four seconds of lightning", &[(20, 0), (4, 5), (30, 0)], &[]),
            ("each picture", &[(20, 5)], &[(10, Sight::Lost)]),
            ("half of them", &[(60, 2)], &[]),
            ("most of them, then steady", &[(20, 0), (20, 4), (20, 0)], &[(26, Sight::Lost), (47, Sight::Back)]),
            ("most, then fewer", &[(20, 4), (30, 2)], &[(10, Sight::Lost)]),
        ] {
            assert_eq!(said(stretches), want, "{name}");
        }
    }

    #[test]
    fn a_pause_tells_nothing() {
        let mut watch = SightWatch::default();
        let mut look = |s: i64| {
            let cause = Cause::GlobalChange;
            watch.look(&Detection { pts: MonoTime(s * 1_000_000), motion: false, score: 0.0, cause, boxes: Vec::new() })
        };
        assert_eq!((0..10).chain(20..30).find_map(&mut look), None, "twice nine seconds");
        assert_eq!(look(30), Some(Sight::Lost));
        assert_eq!(look(5), None, "a step back");
    }
}
