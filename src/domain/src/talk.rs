//! Who may speak through a camera at a moment: one at a time. Another is told who speaks, may wait in a queue and is offered the floor when
//! it is free; whoever manages the box may take it over at once; nobody keeps it for longer than is set. What becomes of what they say is in
//! [`crate::speech`].

use crate::sound_level::SoundLevel;
use crate::talkback::Echo;
use perch_base::ids::{DeviceId, LeaseId};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// How long whoever is next may let the floor wait.
pub const OFFER: Duration = Duration::from_secs(20);
/// How many may wait for one camera.
pub const MAX_WAITING: usize = 8;

/// Who wants to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TalkAsker {
    /// From which device.
    pub device: DeviceId,
    /// As others are told: the account, or the device's name.
    pub name: String,
    /// Whether somebody who speaks may be made to give way.
    pub may_take_over: bool,
    /// Whether whoever asks next is let in at once: the box itself does not keep people from speaking.
    pub gives_way: bool,
}

/// What is to be done while somebody else speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenBusy {
    /// Say who.
    #[default]
    Refuse,
    /// Say who, and wait.
    Queue,
    /// Make them give way.
    TakeOver,
}

impl WhenBusy {
    /// As a question says it.
    pub const WORDS: [&str; 3] = ["refuse", "queue", "take_over"];

    /// Parses one of [`Self::WORDS`].
    pub fn parse(text: &str) -> Result<Self> {
        let all = [Self::Refuse, Self::Queue, Self::TakeOver];
        let found = Self::WORDS.iter().zip(all).find(|(word, _)| **word == text);
        found.map(|(_, one)| one).ok_or_else(|| Error::invalid("when_busy: must be refuse, queue or take_over"))
    }
}

/// Somebody else speaks, or is to be next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Who.
    pub name: String,
    /// Whether they speak already.
    pub speaks: bool,
    /// The place of whoever asked among those that wait, from 1 on.
    pub place: Option<usize>,
}

impl Busy {
    /// What is said of it. Errors like any `Conflict`.
    pub fn error(&self) -> Error {
        let who = match self.speaks {
            true => format!("{} is speaking", self.name),
            false => format!("it is {}'s turn to speak", self.name),
        };
        let message = match self.place {
            Some(place) => format!("{who}: you are number {place} of those who wait"),
            None => who,
        };
        Error::new(ErrorKind::Conflict, message)
    }
}

/// The answer to who wants to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FloorAnswer {
    /// They do, until then; this one ends for it.
    Speaks {
        /// When their time is over.
        until: MonoTime,
        /// Whose session ends for it.
        ends: Option<LeaseId>,
    },
    /// Somebody else does.
    Busy(Busy),
}

#[derive(Clone, Debug)]
struct Turn {
    lease: LeaseId,
    device: DeviceId,
    name: String,
    until: MonoTime,
    gives_way: bool,
}

#[derive(Clone, Debug)]
struct Waiting {
    device: DeviceId,
    name: String,
}

/// What one device is told of a camera's floor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FloorSeen {
    /// Who speaks.
    pub speaker: Option<String>,
    /// Whether that is this device.
    pub is_you: bool,
    /// How long the speaker may go on, whole seconds.
    pub ends_in_s: Option<u64>,
    /// How many wait.
    pub waiting: usize,
    /// The place of this device among them, from 1 on.
    pub your_place: Option<usize>,
    /// Whether this device may begin now: the floor is kept for it for a while.
    pub your_turn: bool,
}

/// The floor of one camera.
#[derive(Clone, Debug, Default)]
pub struct Floor {
    turn: Option<Turn>,
    queue: VecDeque<Waiting>,
    /// Until when the floor is kept for the first of the queue while nobody speaks.
    offered_until: Option<MonoTime>,
}

impl Floor {
    /// Somebody wants to speak for `max` at most. Errors with `Forbidden` where they may not take over, and with `RateLimited` where too
    /// many wait.
    pub fn ask(
        &mut self,
        now: MonoTime,
        who: &TalkAsker,
        lease: LeaseId,
        when_busy: WhenBusy,
        max: Duration,
    ) -> Result<FloorAnswer> {
        self.pass(now);
        if when_busy == WhenBusy::TakeOver && !who.may_take_over && self.other(who.device).is_some() {
            let message = "only who manages the box may take over from somebody who speaks";
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        if let Some((name, speaks)) = self.other(who.device).filter(|_| when_busy != WhenBusy::TakeOver) {
            let (name, place) = (name.to_owned(), self.place(who, when_busy == WhenBusy::Queue)?);
            return Ok(FloorAnswer::Busy(Busy { name, speaks, place }));
        }
        self.queue.retain(|waiting| waiting.device != who.device);
        self.offered_until = None;
        let until = now + max;
        let turn = Turn { lease, device: who.device, name: who.name.clone(), until, gives_way: who.gives_way };
        let ends = self.turn.replace(turn).map(|before| before.lease);
        Ok(FloorAnswer::Speaks { until, ends })
    }

    /// Who else speaks (true) or is to be next.
    fn other(&self, device: DeviceId) -> Option<(&str, bool)> {
        match (&self.turn, self.queue.front().filter(|_| self.offered_until.is_some())) {
            (Some(turn), _) if !turn.gives_way => (turn.device != device).then_some((&*turn.name, true)),
            (_, Some(next)) => (next.device != device).then_some((&*next.name, false)),
            (_, None) => None,
        }
    }

    /// Their place among those who wait; where they `join`, they have one then.
    fn place(&mut self, who: &TalkAsker, join: bool) -> Result<Option<usize>> {
        let known = self.queue.iter().position(|waiting| waiting.device == who.device);
        if known.is_none() && join {
            if self.queue.len() >= MAX_WAITING {
                let message = format!("{MAX_WAITING} wait already to speak here: try again later");
                return Err(Error::new(ErrorKind::RateLimited, message));
            }
            self.queue.push_back(Waiting { device: who.device, name: who.name.clone() });
            return Ok(Some(self.queue.len()));
        }
        Ok(known.map(|at| at + 1))
    }

    /// The session of this lease is over. False: it was not the one that speaks.
    pub fn release(&mut self, now: MonoTime, lease: LeaseId) -> bool {
        let was = self.turn.take_if(|turn| turn.lease == lease).is_some();
        if was {
            self.offer(now);
        }
        was
    }

    /// A device gives up its place among those who wait. False: it had none.
    pub fn leave(&mut self, now: MonoTime, device: DeviceId) -> bool {
        self.pass(now);
        let before = self.queue.len();
        let was_first = self.queue.front().is_some_and(|next| next.device == device);
        self.queue.retain(|waiting| waiting.device != device);
        if was_first && self.turn.is_none() {
            self.offer(now);
        }
        self.queue.len() != before
    }

    fn offer(&mut self, now: MonoTime) {
        self.offered_until = (!self.queue.is_empty()).then_some(now + OFFER);
    }

    /// A turn whose time is over ends, and offers that were not taken go to the next.
    fn pass(&mut self, now: MonoTime) {
        if let Some(over) = self.turn.take_if(|turn| turn.until <= now) {
            self.offer(over.until);
        }
        while let Some(until) = self.offered_until.filter(|until| *until <= now && self.turn.is_none()) {
            self.queue.pop_front();
            self.offered_until = (!self.queue.is_empty()).then_some(until + OFFER);
        }
    }

    fn turn(&self, now: MonoTime) -> Option<&Turn> {
        self.turn.as_ref().filter(|turn| now < turn.until)
    }

    /// Whether the session of this lease speaks.
    pub fn is_held_by(&self, now: MonoTime, lease: LeaseId) -> bool {
        self.turn(now).is_some_and(|turn| turn.lease == lease)
    }

    /// Whether anybody speaks.
    pub fn is_held(&self, now: MonoTime) -> bool {
        self.turn(now).is_some()
    }

    /// Who speaks.
    pub fn speaker(&self, now: MonoTime) -> Option<&str> {
        self.turn(now).map(|turn| &*turn.name)
    }

    /// Nobody speaks any more, whoever did: what they say cannot be heard.
    pub fn clear(&mut self, now: MonoTime) {
        if self.turn.take().is_some() {
            self.offer(now);
        }
    }

    /// What a device is told.
    pub fn seen_by(&mut self, now: MonoTime, device: DeviceId) -> FloorSeen {
        self.pass(now);
        let place = self.queue.iter().position(|waiting| waiting.device == device);
        FloorSeen {
            speaker: self.speaker(now).map(str::to_owned),
            is_you: self.turn.as_ref().is_some_and(|turn| turn.device == device),
            ends_in_s: self.turn.as_ref().map(|turn| turn.until.since(now).as_secs()),
            waiting: self.queue.len(),
            your_place: place.map(|at| at + 1),
            your_turn: place == Some(0) && self.turn.is_none(),
        }
    }
}

/// How a camera can be talked through, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TalkStatus {
    /// Where it is played. Only admins see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// What is done against echo.
    pub echo: Echo,
    /// How long somebody may talk at a time, s.
    pub max_s: u64,
    /// Who speaks.
    pub speaker: Option<String>,
    /// How loud it is at the loudspeaker; nothing where nothing is played.
    pub level: Option<SoundLevel>,
    /// When something began to be heard there last.
    pub heard_at: Option<Timestamp>,
    /// Why nothing can be played; empty while it can.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> MonoTime {
        MonoTime(s * 1_000_000)
    }

    /// When, who, what they do, and what comes of it.
    type Step = (i64, &'static str, &'static str, &'static str);

    /// Three people of one house, of whom Olga manages the box, and the box.
    struct House {
        floor: Floor,
        people: Vec<(TalkAsker, LeaseId)>,
    }

    impl House {
        fn new() -> Self {
            let person = |name: &str| {
                let (device, may_take_over) = (DeviceId::random(), name == "Olga");
                (
                    TalkAsker { device, name: name.into(), may_take_over, gives_way: name == "the box" },
                    LeaseId::random(),
                )
            };
            Self { floor: Floor::default(), people: ["Anna", "Ben", "Olga", "the box"].map(person).into() }
        }

        fn find(&self, name: &str) -> (TalkAsker, LeaseId) {
            self.people.iter().find(|(who, _)| who.name == name).cloned().expect("lives here")
        }

        /// What comes of it, in a word or two.
        fn does(&mut self, s: i64, name: &str, what: &str) -> String {
            let ((who, lease), now) = (self.find(name), at(s));
            let when_busy = match what {
                "ends" => return self.floor.release(now, lease).to_string(),
                "leaves" => return self.floor.leave(now, who.device).to_string(),
                "looks" => {
                    let seen = self.floor.seen_by(now, who.device);
                    let turn = if seen.your_turn { "your turn" } else { "not yet" };
                    let you = if seen.is_you { " (you)" } else { "" };
                    return format!("{}{you}, {} wait, {turn}", seen.speaker.unwrap_or("nobody".into()), seen.waiting);
                }
                word => WhenBusy::parse(word).expect("a word"),
            };
            match self.floor.ask(now, &who, lease, when_busy, Duration::from_secs(120)) {
                Ok(FloorAnswer::Speaks { until, ends }) => {
                    let ended = ends.and_then(|ends| self.people.iter().find(|(_, lease)| *lease == ends));
                    let ended = ended.map(|(who, _)| format!(", ends {}", who.name)).unwrap_or_default();
                    format!("speaks until {}{ended}", until.0 / 1_000_000)
                }
                Ok(FloorAnswer::Busy(busy)) => busy.error().message().to_owned(),
                Err(e) => format!("{:?}", e.kind()),
            }
        }
    }

    #[test]
    fn stories_of_a_floor() {
        let stories: [(&str, &[Step]); 9] = [
            (
                "the box gives way to whoever asks, and asks nobody to",
                &[
                    (0, "the box", "refuse", "speaks until 120"),
                    (1, "Ben", "looks", "the box, 0 wait, not yet"),
                    (2, "Anna", "refuse", "speaks until 122, ends the box"),
                    (3, "the box", "ends", "false"),
                    (4, "the box", "refuse", "Anna is speaking"),
                ],
            ),
            (
                "whose time is over has no floor, whoever looks first",
                &[
                    (0, "Anna", "refuse", "speaks until 120"),
                    (1, "Ben", "queue", "Anna is speaking: you are number 1 of those who wait"),
                    (119, "Ben", "looks", "Anna, 1 wait, not yet"),
                    (120, "Olga", "refuse", "it is Ben's turn to speak"),
                    (120, "Anna", "ends", "false"),
                    (139, "Ben", "refuse", "speaks until 259"),
                ],
            ),
            (
                "a second is told who speaks, waits and is let in",
                &[
                    (0, "Anna", "refuse", "speaks until 120"),
                    (1, "Ben", "refuse", "Anna is speaking"),
                    (2, "Ben", "queue", "Anna is speaking: you are number 1 of those who wait"),
                    (3, "Ben", "refuse", "Anna is speaking: you are number 1 of those who wait"),
                    (4, "Ben", "looks", "Anna, 1 wait, not yet"),
                    (5, "Anna", "ends", "true"),
                    (6, "Ben", "looks", "nobody, 1 wait, your turn"),
                    (7, "Anna", "refuse", "it is Ben's turn to speak"),
                    (8, "Ben", "refuse", "speaks until 128"),
                    (9, "Anna", "looks", "Ben, 0 wait, not yet"),
                ],
            ),
            (
                "whoever does not come loses the turn to the next",
                &[
                    (0, "Anna", "refuse", "speaks until 120"),
                    (1, "Ben", "queue", "Anna is speaking: you are number 1 of those who wait"),
                    (1, "Olga", "queue", "Anna is speaking: you are number 2 of those who wait"),
                    (2, "Anna", "ends", "true"),
                    (21, "Olga", "refuse", "it is Ben's turn to speak: you are number 2 of those who wait"),
                    (22, "Olga", "looks", "nobody, 1 wait, your turn"),
                    (42, "Olga", "looks", "nobody, 0 wait, not yet"),
                    (43, "Ben", "refuse", "speaks until 163"),
                ],
            ),
            (
                "nobody is kept out by those who wait and do not come",
                &[
                    (0, "Anna", "refuse", "speaks until 120"),
                    (1, "Ben", "queue", "Anna is speaking: you are number 1 of those who wait"),
                    (1, "Olga", "queue", "Anna is speaking: you are number 2 of those who wait"),
                    (2, "Anna", "ends", "true"),
                    (90, "Anna", "refuse", "speaks until 210"),
                ],
            ),
            (
                "only who manages the box takes over",
                &[
                    (0, "Anna", "take_over", "speaks until 120"),
                    (1, "Ben", "take_over", "Forbidden"),
                    (2, "Olga", "take_over", "speaks until 122, ends Anna"),
                    (3, "Anna", "ends", "false"),
                    (4, "Anna", "refuse", "Olga is speaking"),
                    (5, "Olga", "ends", "true"),
                    (6, "Anna", "refuse", "speaks until 126"),
                ],
            ),
            (
                "also from whoever is next",
                &[
                    (0, "Anna", "refuse", "speaks until 120"),
                    (1, "Ben", "queue", "Anna is speaking: you are number 1 of those who wait"),
                    (2, "Anna", "ends", "true"),
                    (3, "Olga", "take_over", "speaks until 123"),
                    (4, "Ben", "looks", "Olga, 1 wait, not yet"),
                    (5, "Olga", "ends", "true"),
                    (6, "Ben", "queue", "speaks until 126"),
                ],
            ),
            (
                "a page that was loaded again goes on",
                &[
                    (0, "Anna", "refuse", "speaks until 120"),
                    (30, "Anna", "refuse", "speaks until 150, ends Anna"),
                    (31, "Anna", "looks", "Anna (you), 0 wait, not yet"),
                ],
            ),
            (
                "who leaves the queue lets the next in",
                &[
                    (0, "Anna", "refuse", "speaks until 120"),
                    (1, "Ben", "queue", "Anna is speaking: you are number 1 of those who wait"),
                    (1, "Olga", "queue", "Anna is speaking: you are number 2 of those who wait"),
                    (2, "Anna", "ends", "true"),
                    (10, "Ben", "leaves", "true"),
                    (10, "Ben", "leaves", "false"),
                    (29, "Olga", "looks", "nobody, 1 wait, your turn"),
                ],
            ),
        ];
        for (story, steps) in stories {
            let mut house = House::new();
            for (s, name, what, came) in steps {
                assert_eq!(house.does(*s, name, what), *came, "{story}: {s} s, {name} {what}");
            }
        }
    }

    proptest::proptest! {
        /// Whatever several do in whatever order: one speaks at most, who was told so, and for no longer than was said.
        #[test]
        fn however_they_race_one_speaks(steps in proptest::collection::vec((0..5usize, 0..5usize, 0..40i64), 1..80)) {
            let mut floor = Floor::default();
            let people: Vec<_> = (0..5).map(|_| DeviceId::random()).collect();
            let (mut now, mut told) = (at(0), None::<(LeaseId, MonoTime)>);
            for (who, what, wait) in steps {
                now = now + Duration::from_secs(wait as u64);
                let lease = LeaseId::random();
                let asker = TalkAsker { device: people[who], name: who.to_string(), may_take_over: who == 0, gives_way: who == 4 };
                let when_busy = match what {
                    0 => WhenBusy::Refuse,
                    1 => WhenBusy::Queue,
                    2 => WhenBusy::TakeOver,
                    3 => {
                        floor.leave(now, asker.device);
                        continue;
                    }
                    _ => {
                        told.take().map(|(lease, _)| floor.release(now, lease));
                        continue;
                    }
                };
                let before = told.filter(|(lease, _)| floor.is_held_by(now, *lease));
                match floor.ask(now, &asker, lease, when_busy, Duration::from_secs(30)) {
                    Ok(FloorAnswer::Speaks { until, ends }) => {
                        proptest::prop_assert_eq!(ends, before.map(|(lease, _)| lease));
                        told = Some((lease, until));
                    }
                    Ok(FloorAnswer::Busy(_)) | Err(_) => proptest::prop_assert!(!floor.is_held_by(now, lease)),
                }
                if let Some((lease, until)) = told {
                    proptest::prop_assert_eq!(floor.is_held_by(now, lease), now < until);
                }
                proptest::prop_assert!(floor.seen_by(now, asker.device).waiting <= MAX_WAITING);
            }
        }
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut floor = Floor::default();
        let mut ask = |name: &str| {
            let who =
                TalkAsker { device: DeviceId::random(), name: name.into(), may_take_over: false, gives_way: false };
            floor.ask(at(0), &who, LeaseId::random(), WhenBusy::Queue, Duration::from_secs(9))
        };
        ask("first").expect("free");
        for _ in 0..MAX_WAITING {
            ask("waits").expect("there is room");
        }
        assert_eq!(ask("one more").expect_err("full").kind(), ErrorKind::RateLimited);
    }
}
