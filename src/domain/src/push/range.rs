//! What is recorded, sent to another server: what may be asked for, how many at once, and what is said of each.

use super::{PushKind, PushTarget};
use crate::access::Principal;
use crate::archive::{TimeRange, Timeline};
use crate::media::Stream;
use crate::playback::join;
use perch_base::ids::{CameraId, DeviceId};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use serde::Serialize;
use std::time::Duration;

/// So many are sent at once: each costs a decoder and an encoder of sound, and the uplink.
pub const MOST_AT_ONCE: usize = 2;
/// So many that ended are remembered.
const MOST_ENDED: usize = 8;
/// The longest range: it takes as long to send.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What is to be sent where.
#[derive(Clone, Debug)]
pub struct RangeOrder {
    /// The camera whose recordings.
    pub camera: CameraId,
    /// Which of them.
    pub range: TimeRange,
    /// Where to.
    pub target: PushTarget,
}

impl RangeOrder {
    /// Checks it. Errors with `Invalid` and what is wrong, never with what was given: it may hold a key.
    pub fn new(camera: CameraId, range: TimeRange, url: &str) -> Result<Self> {
        if range.duration_us() > LONGEST.as_micros() as i64 {
            let hours = LONGEST.as_secs() / 3600;
            return Err(Error::invalid(format!("the range is longer than {hours} hours: send less at a time")));
        }
        let target = PushTarget::of(url, Stream::Main)
            .map_err(|e| Error::invalid(format!("`url`: the address {}", e.message())))?;
        if target.kind != PushKind::Rtmp {
            return Err(Error::invalid("`url`: what is recorded is sent by RTMP: it must be rtmp:// or rtmps://"));
        }
        Ok(Self { camera, range, target })
    }
}

/// How one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RangeState {
    /// The other server is being reached.
    Connecting,
    /// It takes what is sent.
    Sending,
    /// All of it was sent.
    Sent,
    /// Somebody stopped it.
    Stopped,
    /// It broke off.
    Failed,
}

perch_base::all_of!(RangeState { Connecting, Sending, Sent, Stopped, Failed });

impl RangeState {
    fn is_over(self) -> bool {
        matches!(self, Self::Sent | Self::Stopped | Self::Failed)
    }
}

/// One, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RangePush {
    /// Names it, from 1 on since perch started.
    pub id: u64,
    /// The camera whose recordings.
    pub camera: CameraId,
    /// From when on.
    pub from: Timestamp,
    /// Up to when.
    pub to: Timestamp,
    /// Where to, without anything that may be a secret.
    pub server: String,
    /// Who began it.
    pub by: String,
    /// How it is.
    pub state: RangeState,
    /// The same in words.
    pub sentence: String,
    /// What of it was sent, ms.
    pub sent_ms: u64,
    /// What is recorded of the range, ms.
    pub recorded_ms: u64,
    /// Stretches without a recording, which are left out.
    pub gaps: u64,
    /// How long they are together, ms.
    pub gaps_ms: u64,
    /// When it was begun.
    pub began_at: Timestamp,
    /// Whose it is, beside those of the same account.
    #[serde(skip)]
    device: DeviceId,
}

/// What there is of a range, ms: recorded, missing; and how many stretches are missing.
fn found(timeline: &Timeline) -> (u64, u64, u64) {
    let ms = |from: Timestamp, to: Timestamp| (to.micros_since(from).max(0) / 1000) as u64;
    let within = |at: Timestamp| at.clamp(timeline.from, timeline.to);
    let recorded = timeline.spans.iter().map(|s| ms(within(s.start), within(s.end))).sum();
    let missing = timeline.gaps.iter().map(|g| ms(within(g.start), within(g.end))).sum();
    // Several causes may follow on each other.
    let mut stretches = Vec::new();
    timeline.gaps.iter().for_each(|g| join(&mut stretches, g.start, g.end));
    (recorded, missing, stretches.len() as u64)
}

impl RangePush {
    /// Says in words how it is; why it failed, where it did.
    fn set(&mut self, state: RangeState, reason: &str) {
        let (sent, all) = (spoken(self.sent_ms), spoken(self.recorded_ms));
        let said = match state {
            RangeState::Connecting => "The server is being reached.".to_owned(),
            RangeState::Sending => format!("{sent} of {all} are sent."),
            RangeState::Sent => format!("All of it was sent: {all}."),
            RangeState::Stopped => format!("It was stopped after {sent} of {all}."),
            RangeState::Failed => format!("It broke off after {sent} of {all}: {reason}."),
        };
        let left_out = match self.gaps {
            0 => String::new(),
            1 => format!(" Where nothing is recorded, {}, is left out.", spoken(self.gaps_ms)),
            gaps => format!(" {gaps} stretches without a recording, {} in all, are left out.", spoken(self.gaps_ms)),
        };
        self.sentence = said + &left_out;
        self.state = state;
    }
}

/// Such as `43 s`, `5 min 7 s` and `2 h 5 min`.
fn spoken(ms: u64) -> String {
    let s = (ms + 500) / 1000;
    let pair = |large: u64, word: &str, small: u64, small_word: &str| match small {
        0 => format!("{large} {word}"),
        _ => format!("{large} {word} {small} {small_word}"),
    };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => pair(s / 60, "min", s % 60, "s"),
        _ => pair(s / 3600, "h", s % 3600 / 60, "min"),
    }
}

/// All that are sent, and the last that were.
#[derive(Debug, Default)]
pub struct RangePushes {
    all: Vec<RangePush>,
    begun: u64,
}

impl RangePushes {
    /// One more, of which `timeline` says what there is. Errors with `Conflict` where too many are sent, with `NotFound` where nothing is recorded.
    pub fn begin(
        &mut self,
        order: &RangeOrder,
        timeline: &Timeline,
        by: &Principal,
        now: Timestamp,
    ) -> Result<RangePush> {
        if self.all.iter().filter(|one| !one.state.is_over()).count() >= MOST_AT_ONCE {
            let message =
                format!("{MOST_AT_ONCE} recordings are being sent, more are not at once: wait for one, or stop it");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let (recorded_ms, gaps_ms, gaps) = found(timeline);
        if recorded_ms == 0 {
            return Err(Error::not_found("nothing is recorded there"));
        }
        self.begun += 1;
        let mut one = RangePush {
            id: self.begun,
            camera: order.camera.clone(),
            from: order.range.from,
            to: order.range.to,
            server: order.target.shown(),
            by: by.name().to_owned(),
            state: RangeState::Connecting,
            sentence: String::new(),
            sent_ms: 0,
            recorded_ms,
            gaps,
            gaps_ms,
            began_at: now,
            device: by.device_id,
        };
        one.set(RangeState::Connecting, "");
        self.all.push(one.clone());
        while self.all.iter().filter(|one| one.state.is_over()).count() > MOST_ENDED {
            let oldest = self.all.iter().position(|one| one.state.is_over());
            oldest.map(|at| self.all.remove(at));
        }
        Ok(one)
    }

    /// Those of a camera, the newest first.
    pub fn of(&self, camera: &CameraId) -> Vec<RangePush> {
        self.all.iter().rev().filter(|one| one.camera == *camera).cloned().collect()
    }

    /// Those that are under way: whose they are and of which camera.
    pub fn under_way(&self) -> Vec<(u64, DeviceId, CameraId)> {
        let open = self.all.iter().filter(|one| !one.state.is_over());
        open.map(|one| (one.id, one.device, one.camera.clone())).collect()
    }

    /// One is like this now, of which `sent_ms` were sent. One that is over stays as it is.
    pub fn set(&mut self, id: u64, state: RangeState, sent_ms: u64, reason: &str) {
        if let Some(one) = self.all.iter_mut().find(|one| one.id == id && !one.state.is_over()) {
            // A keyframe before the range and rounding make what is sent a little longer.
            one.sent_ms = sent_ms.min(one.recorded_ms);
            one.set(state, reason);
        }
    }

    /// No more is wanted of one: returns whether it is to be stopped; one that was over is forgotten. Errors with `NotFound`.
    pub fn end(&mut self, camera: &CameraId, id: u64) -> Result<bool> {
        let at = self.all.iter().position(|one| one.id == id && one.camera == *camera);
        let at = at.ok_or_else(|| Error::not_found("there is no such push of a recording"))?;
        let runs = !self.all[at].state.is_over();
        if !runs {
            self.all.remove(at);
        }
        Ok(runs)
    }
}

/// Sends what is recorded to other servers. Calls may take as long as a disk access.
pub trait RangePushPort: Send + Sync {
    /// Begins one. Errors: `Conflict` (too many), `NotFound` (nothing is recorded), `Unsupported` (how it is encoded), `Unavailable` (the disk).
    fn begin(&self, order: RangeOrder, by: &Principal) -> Result<RangePush>;
    /// Those of a camera that are under way and the last that were, the newest first.
    fn of_camera(&self, camera: &CameraId) -> Vec<RangePush>;
    /// Stops one, or forgets one that is over. Errors: `NotFound`.
    fn end(&self, camera: &CameraId, id: u64) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CameraGrant, Role};
    use crate::archive::{Gap, GapCause, Span};
    use crate::grant::GrantLimits;

    fn principal(device: u128, name: Option<&str>, role: Role) -> Principal {
        Principal {
            device_id: DeviceId(device),
            device_name: "phone".into(),
            username: name.map(str::to_owned),
            role,
            cameras: CameraGrant::default(),
            limits: GrantLimits::default(),
        }
    }

    fn range(from_s: i64, to_s: i64) -> TimeRange {
        TimeRange { from: Timestamp(from_s * 1_000_000), to: Timestamp(to_s * 1_000_000) }
    }

    fn timeline(spans: &[(i64, i64)], gaps: &[(i64, i64)]) -> Timeline {
        let TimeRange { from, to } = range(0, 600);
        let at = |s: i64| Timestamp(s * 1_000_000);
        let spans = spans
            .iter()
            .map(|(a, b)| Span { start: at(*a), end: at(*b), held: crate::archive::WhereHeld::Here })
            .collect();
        let gaps = gaps.iter().map(|(a, b)| Gap::new(at(*a), at(*b), GapCause::NoMotion)).collect();
        Timeline { from, to, spans, gaps, events: Vec::new() }
    }

    fn order() -> RangeOrder {
        RangeOrder::new(CameraId::new("front").expect("valid"), range(0, 600), "rtmp://h/live/S3CRET").expect("valid")
    }

    #[test]
    fn only_rtmp_takes_a_recording_and_refusals_repeat_no_key() {
        let front = || CameraId::new("front").expect("valid");
        for (url, to_s, want) in [
            ("rtmps://h/live/S3CRET", 60, None),
            ("srt://h:1?streamid=S3CRET", 60, Some("by RTMP")),
            ("file:///S3CRET", 60, Some("address")),
            ("rtmp://h/S3CRET", 60, Some("stream key")),
            ("rtmp://h/live/S3CRET", 86_401, Some("24 hours")),
        ] {
            let made = RangeOrder::new(front(), range(0, to_s), url);
            let said = made.as_ref().err().map(|e| e.message().to_owned());
            assert!(said.as_deref().is_none_or(|said| !said.contains("S3CRET")), "{said:?}");
            assert_eq!(said.is_some(), want.is_some(), "{url}: {said:?}");
            assert!(want.is_none_or(|want| said.is_some_and(|said| said.contains(want))), "{url}");
            assert!(!format!("{made:?}").contains("S3CRET"), "{url}");
        }
    }

    #[test]
    fn what_is_said_while_it_goes_on() {
        let mut pushes = RangePushes::default();
        let anna = principal(1, Some("anna"), Role::Admin);
        let found = timeline(&[(0, 100), (200, 507)], &[(100, 130), (130, 200), (507, 600)]);
        let one = pushes.begin(&order(), &found, &anna, Timestamp(9)).expect("begun");
        assert_eq!((one.recorded_ms, one.gaps, one.gaps_ms), (407_000, 2, 193_000));
        assert_eq!((one.server.as_str(), one.by.as_str()), ("rtmp://h/…", "anna"));
        let gaps = " 2 stretches without a recording, 3 min 13 s in all, are left out.";
        let mut said = |state, sent_ms, reason| {
            pushes.set(one.id, state, sent_ms, reason);
            let said = pushes.of(&one.camera)[0].sentence.clone();
            said.strip_suffix(gaps).unwrap_or_else(|| panic!("{said}")).to_owned()
        };
        assert_eq!(one.sentence, format!("The server is being reached.{gaps}"));
        assert_eq!(said(RangeState::Sending, 43_000, ""), "43 s of 6 min 47 s are sent.");
        assert_eq!(said(RangeState::Sending, 999_000, ""), "6 min 47 s of 6 min 47 s are sent.");
        assert_eq!(said(RangeState::Failed, 60_000, "h is gone"), "It broke off after 1 min of 6 min 47 s: h is gone.");
        assert_eq!(said(RangeState::Sent, 0, ""), "It broke off after 1 min of 6 min 47 s: h is gone.", "it is over");
    }

    #[test]
    fn few_at_once_and_forgotten_once_they_are_over() {
        let mut pushes = RangePushes::default();
        let [anna, ben] = [(1, "anna"), (2, "ben")].map(|(n, name)| principal(n, Some(name), Role::Viewer));
        let all = timeline(&[(0, 600)], &[]);
        let empty = pushes.begin(&order(), &timeline(&[], &[(0, 600)]), &anna, Timestamp(1));
        assert_eq!(empty.map_err(|e| e.kind()).map(drop), Err(ErrorKind::NotFound));
        let mut begin = |who: &Principal| pushes.begin(&order(), &all, who, Timestamp(1)).map(|one| one.id);
        let (first, second) = (begin(&anna).expect("one"), begin(&ben).expect("two"));
        assert_eq!(begin(&anna).map_err(|e| e.kind()), Err(ErrorKind::Conflict));
        let front = order().camera;
        let other = CameraId::new("other").expect("valid");
        assert_eq!(pushes.end(&other, first).map_err(|e| e.kind()), Err(ErrorKind::NotFound));
        assert_eq!(pushes.end(&front, first).ok(), Some(true));
        assert_eq!(pushes.end(&front, second).ok(), Some(true));
        assert_eq!(pushes.under_way().len(), 2, "until they have ended");
        pushes.set(first, RangeState::Stopped, 1, "");
        assert_eq!(pushes.end(&front, first).ok(), Some(false), "it is forgotten");
        assert_eq!(pushes.of(&front).len(), 1);
        for n in 0..20 {
            let id = pushes.begin(&order(), &all, &anna, Timestamp(n)).expect("room").id;
            pushes.set(id, RangeState::Sent, 1, "");
        }
        assert!(pushes.of(&front).len() <= MOST_ENDED + 2, "{}", pushes.of(&front).len());
    }
}
