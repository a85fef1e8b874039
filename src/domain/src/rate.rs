//! What a viewer is sent of a camera: all of the large stream, the small one, its keyframes alone, or sound alone. One machine a viewer, over
//! the estimate of what its connection carries, what the streams cost and what it wished. It knows no socket and no encoder.

mod budget;
mod meter;
mod round_trips;
mod stuck;
mod sub_encoder;

pub use budget::DataBudget;
pub use meter::{KEYFRAME_EVERY, SentRate, StreamMeter};
pub use stuck::StuckEstimate;
pub use sub_encoder::SubEncoderRate;

use crate::media::Stream;
use crate::stream_choice::{AutoStream, StreamChoice};
use budget::Allowance;
use perch_base::time::MonoTime;
use round_trips::RoundTrips;
use std::time::Duration;

/// What is sent must cost more than the connection carries for this long before less is sent, as a burst is no bottleneck; and where it costs
/// [`FAR_SHORT`] times as much, as the picture stands within a moment.
const SHORT_FOR: [Duration; 2] = [Duration::from_millis(800), Duration::from_millis(50)];
/// The same where the picture would stop moving.
const PICTURE_SHORT_FOR: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(1)];
const FAR_SHORT: f64 = 1.4;
/// And where the small stream's encoder can be asked for less: so long it takes to obey.
const ASKED_FOR: Duration = Duration::from_secs(4);
/// Where an estimate is too low for the small stream and the way is not crowded, the estimator begins anew with so much of what that costs, and
/// as often at most.
const ANEW: f64 = 1.4;
const ANEW_EVERY: Duration = Duration::from_secs(3);
/// A way that loses more is crowded or as bad as that.
const CROWDED_LOSS: f32 = 0.3;
/// What a connection is taken to carry until its feedback says otherwise: the first picture leaves at once, as in a house's own network.
pub const FIRST_ESTIMATE_BPS: u64 = 10_000_000;
/// Less than sound costs: an estimator that is taken to be there sends nothing beside it.
const QUIET_BPS: u64 = 8_000;
/// So long after the beginning the estimate is a guess.
const BEGINNING: Duration = Duration::from_secs(1);
/// More is sent where the connection carries it with this much to spare, and for this long.
const ROOM: f64 = 1.2;
const ROOM_FOR: Duration = Duration::from_millis(1000);
/// Meanwhile so much of what that costs is sent, with padding: a probe is short, and passes where what is sent for long would not.
const PROOF: f64 = 1.05;
/// After a proof that failed the next one waits for this, and so many times in a row no longer.
const PROOF_BACK_OFF: Duration = Duration::from_secs(5);
const PROOFS_AT_FIRST: u32 = 4;
/// After a step down no step up before this.
const REST: Duration = Duration::from_secs(3);
/// A step up that is taken back within this has failed.
const TRIAL: Duration = Duration::from_secs(15);
/// After a failed step up the next one waits for this, twice as long after each more, up to [`MAX_BACK_OFF`].
const BACK_OFF: Duration = Duration::from_secs(10);
const MAX_BACK_OFF: Duration = Duration::from_secs(240);
/// What held for so long forgets that steps failed.
const SETTLED: Duration = Duration::from_secs(90);
/// The estimator is asked to look for more so often, and leaves off in between: only a new wish makes it look at once.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_FOR: Duration = Duration::from_millis(1500);
/// Of what the connection carries, this much is asked of the small stream's encoder: it does not hold its rate to the bit.
const ENCODER_SHARE: f64 = 0.85;
/// A small stream that nobody measured yet is taken to cost this share of the large one.
const SUB_GUESS: u64 = 4;

/// What a viewer is sent, from little to much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ration {
    /// Sound alone.
    Sound,
    /// Sound, and the small stream's keyframes.
    Keyframes,
    /// The small stream.
    Sub,
    /// The large stream.
    Main,
}

impl Ration {
    /// From much to little.
    const DOWN: [Self; 4] = [Self::Main, Self::Sub, Self::Keyframes, Self::Sound];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
            Self::Keyframes => "keyframes",
            Self::Sound => "sound",
        }
    }

    /// The stream that it is made of; sound goes with either.
    pub const fn stream(self) -> Stream {
        match self {
            Self::Main => Stream::Main,
            Self::Sub | Self::Keyframes | Self::Sound => Stream::Sub,
        }
    }
}

/// Why a viewer is sent what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RationCause {
    /// It is what the viewer asked for, or the best there is.
    #[default]
    Wish,
    /// Its connection carries no more.
    Connection,
    /// It loses too much; no estimate is to be had of it.
    Loss,
    /// Its data budget.
    Budget,
}

impl RationCause {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wish => "wish",
            Self::Connection => "connection",
            Self::Loss => "loss",
            Self::Budget => "budget",
        }
    }
}

/// What a viewer wishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateWish {
    /// Which stream.
    pub stream: StreamChoice,
    /// How much data it may cost.
    pub budget: Option<DataBudget>,
    /// Sound alone, as long as nobody looks.
    pub sound_only: bool,
}

/// What is known of a viewer's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkState {
    /// Bits a second that it is estimated to carry; `None`: its viewer gives no feedback for an estimate.
    pub estimate_bps: Option<u64>,
    /// Share of packets lost (0 to 1) by a receiver report that came since the last look.
    pub loss: Option<f32>,
    /// There and back.
    pub round_trip: Option<Duration>,
    /// Bytes sent to this viewer so far.
    pub sent_bytes: u64,
}

/// What there is to send, in bits a second as they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// The large stream; `None`: not measured yet.
    pub main_bps: Option<u64>,
    /// The small one, as it is encoded now; `None`: not measured yet.
    pub sub_bps: Option<u64>,
    /// What its encoder can be brought down to, where it obeys and nobody else keeps it up.
    pub sub_least_bps: Option<u64>,
    /// The small one's keyframes, [`KEYFRAME_EVERY`] apart at least.
    pub keyframes_bps: Option<u64>,
    /// Sound; `None`: there is none.
    pub sound_bps: Option<u64>,
}

impl Costs {
    /// What `ration` costs, with its sound. What was never measured costs what is likely, or nothing: it shows soon.
    pub fn of(&self, ration: Ration) -> u64 {
        let sub = || self.sub_bps.or(self.main_bps.map(|main| main / SUB_GUESS)).unwrap_or(0);
        let picture = match ration {
            Ration::Main => self.main_bps.unwrap_or(0),
            Ration::Sub => sub(),
            Ration::Keyframes => self.keyframes_bps.unwrap_or_else(|| sub() / 4),
            Ration::Sound => 0,
        };
        picture + self.sound_bps.unwrap_or(0)
    }

    /// The least that `ration` can be made to cost.
    fn least(&self, ration: Ration) -> u64 {
        match (ration, self.sub_least_bps) {
            (Ration::Sub, Some(least)) => self.of(ration).min(least + self.sound_bps.unwrap_or(0)),
            _ => self.of(ration),
        }
    }
}

/// One viewer's ration.
#[derive(Clone, Debug)]
pub struct ViewerRate {
    wish: RateWish,
    /// Whether the large stream is there for it, and the small one.
    streams: [bool; 2],
    ration: Ration,
    cause: RationCause,
    by_loss: AutoStream,
    allowance: Option<Allowance>,
    /// Bits a second that may be spent, at the last look.
    available_bps: Option<u64>,
    /// Since when the ration costs more than is available.
    short_since: Option<MonoTime>,
    /// Since when this one would fit with room.
    room_since: Option<(Ration, MonoTime)>,
    /// When it was stepped up last.
    climbed_at: Option<MonoTime>,
    changed_at: MonoTime,
    /// No step up before.
    rests_until: MonoTime,
    /// What failed when it was stepped up to, how often in a row, and until when it and more is not tried again.
    failed: Option<(Ration, u32, MonoTime)>,
    began_at: MonoTime,
    /// What it is sent again once it wishes pictures again, and why.
    woken: (Ration, RationCause),
    round_trips: RoundTrips,
    loss: f32,
    /// The estimator is to begin anew with this, and when that was wished last.
    anew: Option<u64>,
    anew_at: Option<MonoTime>,
}

impl ViewerRate {
    /// Of a viewer that begins now, with the stream that its wish begins with; `large` and `small` say which streams there are for it.
    pub fn new(wish: RateWish, large: bool, small: bool, now: MonoTime) -> Self {
        let first = first(wish.stream, large);
        Self {
            wish,
            streams: [large, small],
            ration: if wish.sound_only { Ration::Sound } else { first },
            cause: RationCause::Wish,
            by_loss: AutoStream::default(),
            allowance: wish.budget.map(|budget| Allowance::new(budget, now)),
            available_bps: None,
            short_since: None,
            room_since: None,
            climbed_at: None,
            changed_at: now,
            rests_until: now,
            failed: None,
            began_at: now,
            woken: (first, RationCause::Wish),
            round_trips: RoundTrips::default(),
            loss: 0.0,
            anew: None,
            anew_at: None,
        }
    }

    /// What it is sent.
    pub fn ration(&self) -> Ration {
        self.ration
    }

    /// Why.
    pub fn cause(&self) -> RationCause {
        self.cause
    }

    /// Whether it wishes sound alone.
    pub fn is_sound_only(&self) -> bool {
        self.wish.sound_only
    }

    /// It wishes sound alone from now on, or pictures again: what it was sent before, or what it would begin with where that is long ago. Returns
    /// what it is sent at once.
    pub fn set_sound_only(&mut self, now: MonoTime, sound_only: bool) -> Ration {
        if sound_only == self.wish.sound_only {
            return self.ration;
        }
        self.wish.sound_only = sound_only;
        if sound_only {
            self.woken = (self.ration, self.cause);
            return self.change(now, Ration::Sound, RationCause::Wish);
        }
        let is_fresh = now.since(self.changed_at) < SETTLED;
        let (ration, cause) =
            if is_fresh { self.woken } else { (first(self.wish.stream, self.streams[0]), RationCause::Wish) };
        (self.began_at, self.rests_until) = (now, now);
        self.change(now, ration, cause)
    }

    /// Bits a second that its connection and its budget allow, as far as that is known.
    pub fn available_bps(&self) -> Option<u64> {
        self.available_bps
    }

    /// Looks at the connection; to be called a few times a second. `Some`: what to send from the next keyframe on.
    pub fn look(&mut self, now: MonoTime, link: &LinkState, costs: &Costs) -> Option<Ration> {
        let budget_bps = self.allowance.as_mut().map(|allowance| allowance.spend(now, link.sent_bytes));
        if now.since(self.changed_at) >= SETTLED {
            self.failed.take_if(|(failed, ..)| self.ration >= *failed);
        }
        if let Some(time) = link.round_trip {
            self.round_trips.take(now, time);
        }
        self.loss = link.loss.unwrap_or(self.loss);
        if self.wish.sound_only {
            return None;
        }
        let by_loss = link.estimate_bps.is_none() && self.wish.stream == StreamChoice::Auto;
        let lossy = match link.loss.filter(|_| by_loss && self.streams == [true; 2]) {
            Some(loss) => self.by_loss.report(now, loss),
            None => None,
        };
        let available = match (link.estimate_bps, budget_bps) {
            (Some(estimate), Some(budget)) => Some(estimate.min(budget)),
            (one, other) => one.or(other),
        };
        self.available_bps = available;
        let limit = if budget_bps.is_some_and(|budget| link.estimate_bps.is_none_or(|estimate| budget < estimate)) {
            RationCause::Budget
        } else {
            RationCause::Connection
        };
        if let Some(stream) = lossy {
            let (ration, cause) = match stream {
                Stream::Sub => (Ration::Sub, RationCause::Loss),
                Stream::Main => (Ration::Main, RationCause::Wish),
            };
            // What the budget took away the loss does not give back.
            if (ration < self.ration) == (stream == Stream::Sub) && ration != self.ration {
                return Some(self.change(now, ration, cause));
            }
        }
        let available = available?;
        if costs.of(self.ration) > available {
            self.proof_fails(now, available, costs);
            self.fall(now, available, costs, limit)
        } else {
            self.short_since = None;
            // Where only loss is known, loss alone leads back up.
            let held = by_loss && self.cause == RationCause::Loss;
            if held { None } else { self.climb(now, available, costs, limit) }
        }
    }

    fn fall(&mut self, now: MonoTime, available: u64, costs: &Costs, limit: RationCause) -> Option<Ration> {
        let since = *self.short_since.get_or_insert(now);
        let is_by_wish = self.wish.stream == StreamChoice::Fixed(Stream::Main);
        // Who asked for the large stream has it, however slow, but a budget holds for it too.
        if now.since(self.began_at) < BEGINNING || (is_by_wish && limit != RationCause::Budget) {
            return None;
        }
        let cost = costs.of(self.ration);
        let patience = if costs.least(self.ration) <= available {
            ASKED_FOR
        } else {
            let [short, far_short] = if self.ration == Ration::Main { SHORT_FOR } else { PICTURE_SHORT_FOR };
            if cost as f64 > available as f64 * FAR_SHORT { far_short } else { short }
        };
        if now.since(since) < patience {
            return None;
        }
        if self.ration <= Ration::Sub && limit == RationCause::Connection && !self.is_crowded(now) {
            // Estimators take jitter for a queue, and fall with what is sent: a picture is not stopped for that alone.
            if self.anew_at.is_none_or(|at| now.since(at) >= ANEW_EVERY) {
                (self.anew, self.anew_at) = (Some((cost as f64 * ANEW) as u64), Some(now));
            }
            return None;
        }
        let below = || Ration::DOWN.into_iter().filter(|ration| *ration < self.ration && self.may(*ration, costs));
        let lower = below().find(|ration| costs.least(*ration) <= available).or_else(|| below().next_back())?;
        if self.climbed_at.take().is_some_and(|at| now.since(at) < TRIAL) {
            self.fails(now, self.ration, BACK_OFF, 1);
        }
        self.rests_until = now + REST;
        Some(self.change(now, lower, limit))
    }

    fn is_crowded(&self, now: MonoTime) -> bool {
        self.loss > CROWDED_LOSS || self.round_trips.is_crowded(now)
    }

    /// What the estimator is to begin with for what is sent now: what it knew before says nothing of that.
    pub fn fresh_estimate_bps(&self, costs: &Costs) -> u64 {
        let picture_bps = if self.ration == Ration::Main { costs.main_bps } else { costs.sub_bps };
        match picture_bps {
            _ if self.wish.sound_only => QUIET_BPS,
            Some(_) => (costs.of(self.ration) as f64 * ANEW) as u64,
            // Nobody knows what it costs.
            None => FIRST_ESTIMATE_BPS,
        }
    }

    /// Whether the estimator is to begin with [`Self::fresh_estimate_bps`] once more: of a viewer who only listens it says how much may be
    /// sent beside the sound to keep the estimate true, and that is nothing.
    pub fn is_to_be_quiet(&self, estimate_bps: Option<u64>) -> bool {
        self.wish.sound_only && estimate_bps.is_some_and(|bps| bps > QUIET_BPS)
    }

    /// What the estimator is to begin anew with, said once: what it says is not believed.
    pub fn take_anew_bps(&mut self) -> Option<u64> {
        self.anew.take()
    }

    fn climb(&mut self, now: MonoTime, available: u64, costs: &Costs, limit: RationCause) -> Option<Ration> {
        let above = |ration: &Ration| *ration > self.ration && self.may(*ration, costs);
        let fits = |ration: &Ration| {
            costs.least(*ration) as f64 * self.room(*ration) <= available as f64 && now >= self.may_try_at(*ration)
        };
        let top = Ration::DOWN.into_iter().find(above);
        let best = Ration::DOWN.into_iter().filter(above).find(fits);
        self.cause = if top.is_none() { RationCause::Wish } else { limit };
        let Some(best) = best else {
            self.proof_fails(now, available, costs);
            return None;
        };
        let since = match self.room_since {
            // More than before fits: what fitted then fits still.
            Some((before, since)) if best >= before => since,
            _ => now,
        };
        self.room_since = Some((best, since));
        if now.since(since) < ROOM_FOR {
            return None;
        }
        self.climbed_at = Some(now);
        let cause = if top == Some(best) { RationCause::Wish } else { limit };
        Some(self.change(now, best, cause))
    }

    /// What a step up waited for has ended; where the connection did not carry what was sent to prove it, the next proof waits.
    fn proof_fails(&mut self, now: MonoTime, available: u64, costs: &Costs) {
        match self.room_since.take() {
            Some((Ration::Main, _)) if costs.of(Ration::Main) > available => {
                // What was shown meanwhile went on: it is tried again soon, as the way may have become wider, and for a while as often.
                self.fails(now, Ration::Main, PROOF_BACK_OFF, PROOFS_AT_FIRST);
            }
            // Whoever has no picture that moves is not to wait long for another try.
            Some((ration, _)) if costs.least(ration) > available => self.rests_until = self.rests_until.max(now + REST),
            _ => {}
        }
    }

    /// Bits a second that are to be sent at least, with padding, where a step up is to be taken; 0: none is.
    pub fn proves_bps(&self, costs: &Costs) -> u64 {
        self.room_since.map_or(0, |(ration, _)| (costs.of(ration) as f64 * PROOF) as u64)
    }

    /// How much must be to spare: more after each step that failed.
    fn room(&self, ration: Ration) -> f64 {
        let failures = self.failed.filter(|(failed, ..)| ration >= *failed).map_or(0, |(_, times, _)| times);
        ROOM + 0.05 * f64::from(failures.min(4))
    }

    /// When a step up to `ration` may be taken.
    fn may_try_at(&self, ration: Ration) -> MonoTime {
        let failed = self.failed.filter(|(failed, ..)| ration >= *failed);
        failed.map_or(self.rests_until, |(.., until)| until.max(self.rests_until))
    }

    /// A step up to `ration` failed: the next one waits for `back_off`, and from the one after `as_often` on twice as long each time.
    fn fails(&mut self, now: MonoTime, ration: Ration, back_off: Duration, as_often: u32) {
        let times = self.failed.filter(|(failed, ..)| *failed == ration).map_or(1, |(_, times, _)| times + 1);
        let pause = (back_off * 2u32.saturating_pow(times.saturating_sub(as_often).min(8))).min(MAX_BACK_OFF);
        self.failed = Some((ration, times, now + pause));
    }

    fn change(&mut self, now: MonoTime, ration: Ration, cause: RationCause) -> Ration {
        (self.ration, self.cause, self.changed_at) = (ration, cause, now);
        (self.short_since, self.room_since) = (None, None);
        self.by_loss.stay(ration.stream());
        ration
    }

    /// The change that was asked for last brought nothing: `ration` goes on, and another try waits as after one that failed.
    pub fn stay(&mut self, now: MonoTime, ration: Ration) {
        let wanted = self.ration;
        self.change(now, ration, self.cause);
        self.climbed_at = None;
        self.fails(now, wanted.max(ration), BACK_OFF, 1);
    }

    /// Whether the wish and the camera allow `ration`.
    fn may(&self, ration: Ration, costs: &Costs) -> bool {
        let [large, small] = self.streams;
        if self.wish.sound_only {
            return ration == Ration::Sound;
        }
        match ration {
            Ration::Main => large && self.wish.stream != StreamChoice::Fixed(Stream::Sub),
            Ration::Sub | Ration::Keyframes => small && self.wish.stream != StreamChoice::Fixed(Stream::Main),
            Ration::Sound => costs.sound_bps.is_some() && (small || self.allowance.is_some()),
        }
    }

    /// The bits a second for which the estimator is to look whether the connection carries them.
    pub fn looks_for_bps(&self, now: MonoTime, costs: &Costs) -> u64 {
        // Whoever only listens is sent nothing but sound.
        if self.wish.sound_only {
            return 0;
        }
        let own = costs.of(self.ration);
        let next = Ration::DOWN.into_iter().find(|ration| *ration > self.ration && self.may(*ration, costs));
        let keeps = (own as f64 * ROOM) as u64;
        let budget = self.allowance.as_ref().map_or(u64::MAX, Allowance::rate_bps);
        // Only shortly before a step up may be taken.
        let next = next.filter(|next| now + LOOK_EVERY >= self.may_try_at(*next));
        let wanted = next.map(|next| (costs.of(next) as f64 * self.room(next) * 1.1) as u64);
        let in_turn = now.since(self.changed_at).as_millis() % LOOK_EVERY.as_millis() < LOOK_FOR.as_millis();
        wanted.filter(|bps| *bps <= budget && in_turn).map_or(keeps, |wanted| wanted.max(keeps))
    }

    /// Bits a second that the small stream's picture may have for this viewer. `None`: it does not use it.
    pub fn sub_need_bps(&self, costs: &Costs) -> Option<u64> {
        if !matches!(self.ration, Ration::Sub) {
            return None;
        }
        let available = self.available_bps.unwrap_or(u64::MAX);
        Some(((available as f64 * ENCODER_SHARE) as u64).saturating_sub(costs.sound_bps.unwrap_or(0)))
    }
}

/// What a viewer begins with; `large`: there is the large stream for it.
fn first(stream: StreamChoice, large: bool) -> Ration {
    if large && stream.first() == Stream::Main { Ration::Main } else { Ration::Sub }
}
