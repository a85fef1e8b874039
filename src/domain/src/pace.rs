//! Whether the box keeps up with a camera: at each place where pictures wait for work that may be too slow for them, what came is
//! compared with what left, and what came with what was asked. Pure; capture counts.

use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Who owes the frame rate that the config names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateOwedBy {
    /// The box: nothing but its own slowness makes pictures fewer.
    Box,
    /// A camera that the box reads itself. It may give fewer (in the dark, or where it has no such mode), and the box is not late then.
    Camera,
    /// Nobody: a network camera or a file has a rate of its own, and none is asked of it.
    Nobody,
}

/// What pictures wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    /// The main stream's encoder.
    Main,
    /// The decoder of a camera that encodes itself, for motion and the small stream.
    Decoder,
    /// The small stream's encoder.
    Small,
}

/// What was counted at a part since its attempt started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Pictures that were there for it: those that came before anything drops them, and those that a driver had to throw away because
    /// nobody took them in time.
    pub came: u64,
    /// Pictures that it took on (decoder, small stream), or that came out of it (main stream).
    pub left: u64,
    /// How long the newest of these was on its way.
    pub late: Duration,
}

/// What an attempt has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Where the box encodes the main stream.
    pub main: Option<Stage>,
    /// Where the camera encodes itself, while somebody needs its pictures decoded.
    pub decoder: Option<Stage>,
    /// While somebody watches the small stream.
    pub small: Option<Stage>,
}

/// How far the box is behind with a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overload {
    /// Where.
    pub part: Bottleneck,
    /// Frames a second that it did.
    pub done_fps: f32,
    /// Frames a second that came.
    pub came_fps: f32,
    /// Frames a second that it should have done.
    pub wanted_fps: f32,
    /// How long after their capture pictures come out at least.
    pub late: Duration,
    /// Whether the small stream is encoded as well.
    pub sub_active: bool,
}

impl Overload {
    /// What is wrong and what to lower, in words for people.
    pub fn reason(&self) -> String {
        let whose = if self.part == Bottleneck::Small { " of the small stream" } else { "" };
        let few = self.done_fps < KEEPS_UP * self.wanted_fps;
        let done = match self.part {
            Bottleneck::Decoder => "decoded",
            // All that came was encoded.
            Bottleneck::Main if few && self.done_fps >= KEEPS_UP * self.came_fps => "captured",
            Bottleneck::Main | Bottleneck::Small => "encoded",
        };
        let what = match few {
            true => format!("{:.1} of {:.0} frames a second{whose} are {done}", self.done_fps, self.wanted_fps),
            false => format!("pictures{whose} are {done} {:.0} s late", self.late.as_secs_f32()),
        };
        let lower = match self.part {
            Bottleneck::Main if self.sub_active => {
                "lower the camera's size or frame rate, or those of its small stream"
            }
            Bottleneck::Main => "lower the camera's size or frame rate",
            Bottleneck::Decoder => "lower the size or frame rate that the camera itself is set to",
            Bottleneck::Small => "lower its size or frame rate",
        };
        format!("{what}: {lower}")
    }
}

/// A camera that gives fewer pictures than were asked for, all of which the box takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FewGiven {
    /// Pictures a second that it gives.
    pub given_fps: f32,
    /// Pictures a second that were asked for.
    pub asked_fps: f32,
}

impl FewGiven {
    /// Whether darkness alone does not explain it: cameras that expose longer then give a half of their pictures, a third or a quarter.
    pub fn is_fault(&self) -> bool {
        self.given_fps < FAR_TOO_FEW * self.asked_fps
    }

    /// In words for people; of a fault with what to do.
    pub fn reason(&self) -> String {
        let Self { given_fps, asked_fps } = self;
        match self.is_fault() {
            true => format!(
                "it gives {given_fps:.0} of {asked_fps:.0} a second; give it more light, try another USB port or a shorter \
                cable, or lower its size or frame rate"
            ),
            false => {
                format!("the camera gives {given_fps:.0} of {asked_fps:.0} pictures a second; in the dark many do")
            }
        }
    }
}

/// Whether the box keeps up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// It does not; reported again when it gets much better or worse.
    Behind(Overload),
    /// It does with what the camera gives, which is less than was asked for.
    FewGiven(FewGiven),
    /// It does.
    KeepsUp,
}

/// What is looked back on: so long it must be behind to be overloaded, and keep up to be no more.
const WINDOW: Duration = Duration::from_secs(10);
/// Behind is who does less than this share of what is wanted, in both halves of it, and keeps up who does more than that.
const BEHIND: f32 = 0.75;
const KEEPS_UP: f32 = 0.9;
/// A camera that gives less than this share of what is asked has another trouble than the dark.
const FAR_TOO_FEW: f32 = 0.22;
/// Pictures that come out this long after their capture are late.
const LATE: Duration = Duration::from_secs(2);
/// Fewer pictures than this in the window say nothing of a box that is not asked for any.
const FEW: u64 = 5;
/// A figure is reported again when it has changed by this factor.
const CHANGED: f32 = 1.3;

/// Looks, about once a second, at whether the box does in time what one attempt's source gives and the config asks for. A source
/// that owes no rate is compared with what came of it alone.
#[derive(Clone, Debug)]
pub struct PaceWatch {
    asked: Asked,
    main: StageWatch,
    decoder: StageWatch,
    small: StageWatch,
    reported: Pace,
}

impl PaceWatch {
    /// Watches an attempt whose main stream is configured with `fps` frames a second.
    pub fn new(fps: u32, owed_by: RateOwedBy) -> Self {
        let [main, decoder, small] = Default::default();
        Self { asked: Asked { fps: fps as f32, owed_by }, main, decoder, small, reported: Pace::KeepsUp }
    }

    /// Takes what was done so far. Returns what is new.
    pub fn look(&mut self, now: MonoTime, work: Work) -> Option<Pace> {
        let sub_active = work.small.is_some();
        self.main.look(now, work.main, sub_active, self.asked);
        self.decoder.look(now, work.decoder, sub_active, Asked::NOTHING);
        self.small.look(now, work.small, sub_active, Asked::NOTHING);
        let behind = |watch: &StageWatch, part| match watch.standing {
            Standing::Behind(Window { whole, late, sub_active, .. }, wanted_fps) => {
                let Rates { came_fps, done_fps } = whole;
                Some(Pace::Behind(Overload { part, done_fps, came_fps, wanted_fps, late, sub_active }))
            }
            _ => None,
        };
        let few_given = || match self.main.standing {
            Standing::FewGiven(Window { whole, .. }) => {
                Some(Pace::FewGiven(FewGiven { given_fps: whole.came_fps, asked_fps: self.asked.fps }))
            }
            _ => None,
        };
        let word = behind(&self.main, Bottleneck::Main)
            .or_else(|| behind(&self.decoder, Bottleneck::Decoder))
            .or_else(|| behind(&self.small, Bottleneck::Small))
            .or_else(few_given)
            .unwrap_or(Pace::KeepsUp);
        (std::mem::replace(&mut self.reported, word) != word).then_some(word)
    }
}

/// The rate that is asked for, and of whom.
#[derive(Clone, Copy, Debug)]
struct Asked {
    fps: f32,
    owed_by: RateOwedBy,
}

impl Asked {
    const NOTHING: Self = Self { fps: f32::INFINITY, owed_by: RateOwedBy::Nobody };
}

/// How a stage stands, with the figures by which it was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Standing {
    #[default]
    KeepsUp,
    /// With the rate that was wanted.
    Behind(Window, f32),
    FewGiven(Window),
}

/// Watches one part.
#[derive(Clone, Debug, Default)]
struct StageWatch {
    /// Looks since the last word, at most [`WINDOW`] back.
    looks: VecDeque<(MonoTime, Stage)>,
    standing: Standing,
}

impl StageWatch {
    fn look(&mut self, now: MonoTime, stage: Option<Stage>, sub_active: bool, asked: Asked) {
        // What is not used, or has not begun, is not judged: a camera may take seconds to its first picture.
        let Some(stage) = stage.filter(|stage| stage.came > 0) else {
            *self = Self::default();
            return;
        };
        self.looks.push_back((now, stage));
        while self.looks.get(1).is_some_and(|second| now.since(second.0) >= WINDOW) {
            self.looks.pop_front();
        }
        let (Some(first), Some(last)) = (self.looks.front(), self.looks.back()) else { return };
        if now.since(first.0) < WINDOW {
            return;
        }
        let middle = self.looks.iter().find(|look| look.0.since(first.0) >= WINDOW / 2).unwrap_or(last);
        let window = Window {
            whole: Rates::between(first, last),
            halves: [Rates::between(first, middle), Rates::between(middle, last)],
            are_enough: last.1.came.saturating_sub(first.1.came) >= FEW,
            late: self.looks.iter().map(|look| look.1.late).min().unwrap_or_default(),
            sub_active,
        };
        if let Some(standing) = self.standing.judge(window, asked) {
            self.standing = standing;
            // The next word needs a window of its own.
            self.looks.drain(..self.looks.len() - 1);
        }
    }
}

/// What a stage did in some seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rates {
    came_fps: f32,
    done_fps: f32,
}

impl Rates {
    fn between(from: &(MonoTime, Stage), to: &(MonoTime, Stage)) -> Self {
        let seconds = to.0.since(from.0).as_secs_f32().max(f32::EPSILON);
        let rate = |to: u64, from: u64| to.saturating_sub(from) as f32 / seconds;
        Self { came_fps: rate(to.1.came, from.1.came), done_fps: rate(to.1.left, from.1.left) }
    }
}

/// What a stage did in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    whole: Rates,
    /// A hiccup, and the burst after it, lie in one of them.
    halves: [Rates; 2],
    /// So many came that the box can be judged by them.
    are_enough: bool,
    /// At least, throughout.
    late: Duration,
    /// Whether the small stream was encoded at its end.
    sub_active: bool,
}

impl Standing {
    /// How it stands now, where that is news.
    fn judge(self, window: Window, asked: Asked) -> Option<Self> {
        let Window { whole, halves, late, .. } = window;
        let (is_owed_by_box, is_owed_by_camera) =
            (asked.owed_by == RateOwedBy::Box, asked.owed_by == RateOwedBy::Camera);
        let wanted = |of: Rates| if is_owed_by_box { asked.fps } else { of.came_fps.min(asked.fps) };
        let are_enough = window.are_enough || is_owed_by_box;
        let does_few = halves.iter().all(|half| half.done_fps < BEHIND * wanted(*half));
        let is_behind = are_enough && (does_few || late >= LATE);
        let keeps_up = are_enough && whole.done_fps >= KEEPS_UP * wanted(whole) && late < LATE;
        let gets_few = is_owed_by_camera && halves.iter().all(|half| half.came_fps < BEHIND * asked.fps);
        let gets_all = !is_owed_by_camera || whole.came_fps >= KEEPS_UP * asked.fps;
        let changed = |now: f32, then: f32| !(1.0 / CHANGED..=CHANGED).contains(&(now.max(0.1) / then.max(0.1)));
        match self {
            Self::Behind(then, _) if !keeps_up => (are_enough && changed(whole.done_fps, then.whole.done_fps))
                .then_some(Self::Behind(window, wanted(whole))),
            _ if is_behind => Some(Self::Behind(window, wanted(whole))),
            Self::FewGiven(then) if !gets_all => {
                changed(whole.came_fps, then.whole.came_fps).then_some(Self::FewGiven(window))
            }
            _ if gets_few => Some(Self::FewGiven(window)),
            Self::KeepsUp => None,
            Self::Behind(..) | Self::FewGiven(_) => Some(Self::KeepsUp),
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
