//! The one-time password: single use, short lived, burned after five wrong tries, at most ten codes a day. Its counters are
//! a plain value that the store keeps, so they survive a restart.

use crate::access::{CameraGrant, Grant, GrantLimits, Role};
use crate::ages::Step;
use crate::grant::unmarked;
use crate::settings::Keys;
use perch_base::ids::DeviceId;
use perch_base::time::{DAY_US, Timestamp};
use perch_base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Decimal digits that a code may have.
pub const DIGITS: RangeInclusive<u32> = 6..=12;
/// Wrong tries after which a code is burned.
pub const MAX_TRIES: u32 = 5;
/// Codes that may be made in any 24 hours.
pub const CODES_PER_DAY: usize = 10;

/// Codes that one start shows after its first one without anybody asking.
pub const RENEWALS: u32 = 3;
/// Codes of a day that these leave for further starts and for `perch pair`.
pub const RESERVE: usize = 3;

/// Length and life of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairingConfig {
    /// Decimal digits, within [`DIGITS`].
    pub digits: u32,
    /// How long a code can be used.
    pub ttl: Duration,
}

impl Default for PairingConfig {
    fn default() -> Self {
        Self { digits: 8, ttl: Duration::from_secs(300) }
    }
}

impl PairingConfig {
    /// What a code's life may be.
    const TTL: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(3600);

    /// Reads `otp_digits` and `otp_ttl_s`.
    pub fn read(keys: &mut impl Keys) -> Self {
        let d = Self::default();
        Self {
            digits: keys.count("otp_digits", d.digits, DIGITS),
            ttl: keys.whole_seconds("otp_ttl_s", d.ttl, Self::TTL),
        }
    }
}

/// The digits of a code as people type it: white space, hyphens and dashes do not count. Errors when it cannot be a code.
pub fn read_code(typed: &str) -> Result<String> {
    let counts = |c: &char| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}');
    // One more than fits is enough to refuse it.
    let code: String = typed.chars().filter(counts).take(*DIGITS.end() as usize + 1).collect();
    if code.bytes().all(|b| b.is_ascii_digit()) && DIGITS.contains(&(code.len() as u32)) {
        return Ok(code);
    }
    Err(Error::invalid(format!("must be {} to {} digits", DIGITS.start(), DIGITS.end())))
}

/// Everything pairing remembers; stored as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    code: Option<Code>,
    issued: Vec<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used: Option<UsedCode>,
}

/// The code that was used last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedCode {
    /// When it was made, by which whoever made it knows it again.
    pub made_at: Timestamp,
    /// The device that paired with it.
    pub device: DeviceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Code {
    hash: String,
    role: Role,
    #[serde(default, skip_serializing_if = "CameraGrant::is_all")]
    cameras: CameraGrant,
    /// What else limits the device that pairs with it.
    #[serde(default, skip_serializing_if = "GrantLimits::is_none")]
    limits: GrantLimits,
    issued_at: Timestamp,
    expires_at: Timestamp,
    tries_left: u32,
}

impl Code {
    fn new(hash: String, grant: &Grant, issued_at: Timestamp, expires_at: Timestamp) -> Self {
        let (role, cameras, limits) = (grant.role(), grant.cameras().clone(), grant.limits());
        let hash = format!("{}{hash}", grant.mark());
        Self { hash, role, cameras, limits, issued_at, expires_at, tries_left: MAX_TRIES }
    }

    fn is(&self, hash: &str) -> bool {
        perch_base::secret::constant_time_eq(hash.as_bytes(), unmarked(self.hash.as_bytes()))
    }
}

/// Why no code was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyCodes {
    /// When the next one may be made.
    pub next_at: Timestamp,
}

/// What the screen of a box that nobody owns yet is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStep {
    /// What it shows: that code's time is not over.
    Keep,
    /// A new code.
    Issue,
    /// That the day's codes are used up, and when this start gets one.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// That this start shows no more of them, and another one does.
    RunOut {
        /// From when on, if the day's codes are used up.
        from: Option<Timestamp>,
    },
}

/// What a try gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOutcome {
    /// Right: the code is used up, the device gets this. [`Pairing::used_by`] is to be told of it.
    Paired(Grant),
    /// Wrong; so many tries are left.
    Wrong {
        /// Tries left, at least 1.
        tries_left: u32,
    },
    /// Wrong for the last time, or used after that: the code is gone.
    Burned,
    /// There is no code, or it is too old.
    NoCode,
}

impl Pairing {
    /// Takes a new code into force (its hash), ending an older one. The clock may have been set back: a code "issued in the
    /// future" counts as issued now.
    pub fn issue(
        &mut self,
        hash: String,
        grant: &Grant,
        config: &PairingConfig,
        now: Timestamp,
    ) -> Result<Timestamp, TooManyCodes> {
        if let Some(next_at) = self.next_at(now) {
            return Err(TooManyCodes { next_at });
        }
        self.issued.push(now);
        let expires_at = now + config.ttl;
        self.code = Some(Code::new(hash, grant, now, expires_at));
        Ok(expires_at)
    }

    /// When the next code can be made; `None`: now. Forgets those of more than a day ago.
    fn next_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        for t in &mut self.issued {
            *t = (*t).min(now);
        }
        self.issued.retain(|t| now.micros_since(*t) < DAY_US);
        let oldest = self.issued.iter().min().copied()?;
        (self.issued.len() >= CODES_PER_DAY).then(|| oldest.plus_micros(DAY_US))
    }

    /// What the screen is to show at `now`, when this start has shown `shown` codes. A start gets its first code as long as the day
    /// has one; those after it come by themselves only while enough are left for other starts and for people who ask.
    pub fn card(&mut self, shown: u32, now: Timestamp) -> CardStep {
        // A burned one counts until its time is over, so that wrong tries do not hurry on to the last one.
        let in_time = self.code.as_ref().is_some_and(|c| (c.issued_at..c.expires_at).contains(&now));
        let next_at = self.next_at(now);
        match (shown, next_at) {
            (1.., _) if in_time => CardStep::Keep,
            (0, None) => CardStep::Issue,
            (0, Some(until)) => CardStep::Wait { until },
            _ if shown <= RENEWALS && CODES_PER_DAY - self.issued.len() > RESERVE => CardStep::Issue,
            (_, from) => CardStep::RunOut { from },
        }
    }

    /// Tries a code (its hash, made the same way as for [`Self::issue`]).
    pub fn attempt(&mut self, hash: &str, now: Timestamp) -> CodeOutcome {
        let Some(code) = &mut self.code else { return CodeOutcome::NoCode };
        // A clock set back must not give an old code new life.
        if now >= code.expires_at || now < code.issued_at {
            self.code = None;
            return CodeOutcome::NoCode;
        }
        if code.tries_left == 0 {
            return CodeOutcome::Burned;
        }
        if code.is(hash) {
            let grant = Grant::stored(code.role, std::mem::take(&mut code.cameras), code.limits);
            self.code = None;
            return CodeOutcome::Paired(grant);
        }
        code.tries_left -= 1;
        match code.tries_left {
            0 => CodeOutcome::Burned,
            tries_left => CodeOutcome::Wrong { tries_left },
        }
    }

    /// Who used the code that [`Self::attempt`] found right, made at `made_at`.
    pub fn used_by(&mut self, device: DeviceId, made_at: Option<Timestamp>) {
        self.used = made_at.map(|made_at| UsedCode { made_at, device });
    }

    /// When the code in force was made.
    pub fn made_at(&self) -> Option<Timestamp> {
        self.code.as_ref().map(|code| code.issued_at)
    }

    /// The code that was used last, and by whom.
    pub fn used(&self) -> Option<UsedCode> {
        self.used
    }

    /// The clock was set: what was noted before keeps its age.
    pub fn follow(&mut self, step: &Step) {
        self.issued.iter_mut().for_each(|t| *t = step.moves(*t));
        if let Some(code) = &mut self.code {
            let lives_us = code.expires_at.micros_since(code.issued_at);
            code.issued_at = step.moves(code.issued_at);
            code.expires_at = code.issued_at.plus_micros(lives_us);
        }
        if let Some(used) = &mut self.used {
            used.made_at = step.moves(used.made_at);
        }
    }

    /// When the newest code was made, of the last day.
    pub fn newest(&self) -> Option<Timestamp> {
        self.issued.iter().max().copied()
    }

    /// Whether a code could be used at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.code.as_ref().is_some_and(|c| c.tries_left > 0 && now < c.expires_at && now >= c.issued_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: i64 = 1_000_000;

    fn at(s: i64) -> Timestamp {
        Timestamp(1_800_000_000 * SEC + s * SEC)
    }

    fn open(now: Timestamp) -> Pairing {
        let mut p = Pairing::default();
        p.issue("right".into(), &Grant::all(Role::Admin), &PairingConfig::default(), now).expect("first code");
        p
    }

    #[test]
    fn codes_are_read_however_they_are_typed() {
        for (typed, want) in [
            ("12345678", Some("12345678")),
            (" 1234-56 78\n", Some("12345678")),
            ("1234\u{2013}5678\u{a0}", Some("12345678")),
            ("123456789012", Some("123456789012")),
            ("12345", None),
            ("1234567890123", None),
            ("1234567x", None),
            ("\u{ff11}234567", None),
            ("", None),
        ] {
            assert_eq!(read_code(typed).ok().as_deref(), want, "{typed:?}");
        }
        assert!(read_code(&"1".repeat(100_000)).is_err());
    }

    #[test]
    fn works_once() {
        let mut p = open(at(0));
        assert_eq!(p.attempt("right", at(299)), CodeOutcome::Paired(Grant::all(Role::Admin)));
        assert_eq!(p.attempt("right", at(299)), CodeOutcome::NoCode);
    }

    #[test]
    fn who_used_a_code_is_known_by_when_it_was_made() {
        let (mut p, phone) = (open(at(0)), DeviceId::random());
        let made_at = p.made_at();
        assert_eq!((made_at, p.used()), (Some(at(0)), None));
        p.attempt("right", at(9));
        p.used_by(phone, made_at);
        assert_eq!((p.made_at(), p.used()), (None, Some(UsedCode { made_at: at(0), device: phone })));
        let kept = serde_json::to_string(&p).expect("JSON");
        assert_eq!(serde_json::from_str::<Pairing>(&kept).expect("read"), p);
        // Those of a box before this.
        assert!(serde_json::from_str::<Pairing>(r#"{"code":null,"issued":[]}"#).expect("read").used().is_none());
    }

    #[test]
    fn expires() {
        assert_eq!(open(at(0)).attempt("right", at(300)), CodeOutcome::NoCode);
        assert_eq!(open(at(0)).attempt("right", at(-1)), CodeOutcome::NoCode, "a clock set back ends it");
    }

    #[test]
    fn a_code_follows_the_clock_that_is_set() {
        for by_us in [2 * 365 * DAY_US, -DAY_US] {
            let step = Step { from: at(-10), to: at(100), by_us };
            let now = |s| at(s).plus_micros(by_us);
            let mut p = open(at(0));
            p.follow(&step);
            assert!(p.is_open(now(299)) && !p.is_open(now(300)), "five minutes are five minutes");
            assert_eq!(p.attempt("right", now(299)), CodeOutcome::Paired(Grant::all(Role::Admin)));
            let mut used_up = Pairing { issued: vec![at(0); CODES_PER_DAY], ..Pairing::default() };
            used_up.follow(&step);
            assert_eq!(used_up.next_at(now(1)), Some(now(86_400)), "setting the clock gives no codes");
        }
    }

    #[test]
    fn burns_after_five() {
        let mut p = open(at(0));
        for tries_left in (1..MAX_TRIES).rev() {
            assert_eq!(p.attempt("wrong", at(1)), CodeOutcome::Wrong { tries_left });
        }
        assert_eq!(p.attempt("wrong", at(1)), CodeOutcome::Burned);
        assert_eq!(p.attempt("right", at(1)), CodeOutcome::Burned);
    }

    #[test]
    fn ten_a_day_even_when_the_clock_is_set() {
        let mut p = Pairing::default();
        let config = PairingConfig::default();
        for i in 0..10 {
            p.issue("h".into(), &Grant::all(Role::Viewer), &config, at(i)).expect("within the day's ten");
        }
        let refused = p.issue("h".into(), &Grant::all(Role::Viewer), &config, at(100)).expect_err("eleventh");
        assert_eq!(refused.next_at, at(86_400));
        assert!(
            p.issue("h".into(), &Grant::all(Role::Viewer), &config, at(-99_999)).is_err(),
            "setting the clock back does not help"
        );
        assert!(p.issue("h".into(), &Grant::all(Role::Viewer), &config, at(86_500)).is_ok());
    }

    #[test]
    fn what_the_screen_shows() {
        // (what, codes of the last day in minutes before now, codes shown by this start, what it is to show)
        let min = |m: i64| at(-60 * m);
        let used_up = [600, 500, 400, 300, 200, 100, 90, 80, 70, 60];
        let free_at = min(600).plus_micros(DAY_US);
        let table: [(&str, &[i64], u32, CardStep); 13] = [
            ("a first start", &[], 0, CardStep::Issue),
            ("its code is good for five minutes", &[4], 1, CardStep::Keep),
            ("then there is another", &[5], 1, CardStep::Issue),
            ("and three in all", &[15, 10, 5], 3, CardStep::Issue),
            ("and no more", &[20, 15, 10, 5], 4, CardStep::RunOut { from: None }),
            ("the last one is good for five minutes too", &[19, 14, 9, 4], 4, CardStep::Keep),
            (
                "another start begins at once: nobody knows the digits of a code before",
                &[20, 15, 10, 1],
                0,
                CardStep::Issue,
            ),
            ("the last renewal that leaves three", &[90, 80, 70, 60, 50, 5], 2, CardStep::Issue),
            ("one more would not", &[90, 80, 70, 60, 50, 10, 5], 3, CardStep::RunOut { from: None }),
            ("a start may have what is left", &used_up[1..], 0, CardStep::Issue),
            ("until nothing is", &used_up, 0, CardStep::Wait { until: free_at }),
            ("nor for a start that had one", &used_up, 1, CardStep::RunOut { from: Some(free_at) }),
            (
                "the day before does not count",
                &[1440, 1441, 1500, 2000, 3000, 1440, 1440, 1440, 1440, 1440],
                0,
                CardStep::Issue,
            ),
        ];
        for (name, issued, shown, want) in table {
            let mut p = Pairing::default();
            for minutes in issued {
                p.code = open(min(*minutes)).code;
                p.issued.push(min(*minutes));
            }
            assert_eq!(p.card(shown, at(0)), want, "{name}");
        }
    }

    #[test]
    fn a_box_left_alone_keeps_codes_for_whoever_comes() {
        // Started again every half hour, or crashing every ten seconds: a crash does not begin a new start.
        let config = PairingConfig::default();
        let mut p = Pairing::default();
        let (mut shown, mut left) = (0, Vec::new());
        for now in (0..7200).step_by(10) {
            if now % 1800 == 0 {
                left.push(CODES_PER_DAY - p.issued.len());
                shown = 0;
            } else {
                shown = shown.min(1);
            }
            if p.card(shown, at(now)) == CardStep::Issue {
                p.issue("h".into(), &Grant::all(Role::Admin), &config, at(now)).expect("as it was said");
                shown += 1;
            }
        }
        assert_eq!(left, [10, 4, 3, 2], "each start has its code");
    }

    #[test]
    fn a_burned_code_and_a_clock_that_was_set() {
        let mut p = open(at(0));
        while p.attempt("wrong", at(1)) != CodeOutcome::Burned {}
        assert_eq!((p.card(1, at(2)), p.card(1, at(300))), (CardStep::Keep, CardStep::Issue));
        let mut p = open(at(0));
        assert_eq!(p.card(1, at(-1)), CardStep::Issue, "a clock set back has ended it");
        // Codes of the future count as of now, and no later look puts that off.
        let mut p = Pairing { issued: vec![at(900_000); 10], ..Pairing::default() };
        for look in 0..3 {
            assert_eq!(p.card(0, at(look)), CardStep::Wait { until: at(86_400) });
        }
    }
}
