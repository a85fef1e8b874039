//! When a player that may speak by RTSP (the ONVIF Streaming Specification's backchannel) has the floor: it says nothing about beginning
//! and ending, so the floor is asked for with its first sound and given back once none comes.

use perch_base::ids::LeaseId;
use perch_base::time::MonoTime;
use std::time::Duration;

/// A player of whom nothing came for so long has ended what it says.
const SILENT_FOR: Duration = Duration::from_secs(2);
/// How often the floor is asked for while somebody else has it.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Bytes a second of sound without compression that are taken, and what may come at once: twice what G.711 makes.
const BYTES_A_SECOND: i64 = 16_000;
const BURST_BYTES: i64 = 16_000;

/// One player's voice.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlayerTurn {
    lease: Option<LeaseId>,
    heard_at: Option<MonoTime>,
    asked_at: Option<MonoTime>,
    /// It lost the floor while it spoke, and has not been silent since.
    is_over: bool,
}

/// What becomes of a packet of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerVoice {
    /// It is heard, by this lease.
    Heard(LeaseId),
    /// The floor is to be asked for by this lease, and [`PlayerTurn::granted`] said if it is given.
    Asks(LeaseId),
    /// It is not heard.
    Unheard,
}

impl PlayerTurn {
    /// A packet came; `holds` says whether a lease has the floor.
    pub fn hear(&mut self, now: MonoTime, holds: impl Fn(LeaseId) -> bool) -> PlayerVoice {
        let was_silent = self.heard_at.replace(now).is_none_or(|at| now.since(at) >= SILENT_FOR);
        if was_silent {
            (self.lease, self.is_over) = (None, false);
        }
        match self.lease {
            Some(lease) if holds(lease) => return PlayerVoice::Heard(lease),
            // Its time is over, or somebody took over: it does not speak on as if it had paused.
            Some(_) => (self.lease, self.is_over) = (None, true),
            None => {}
        }
        if self.is_over || self.asked_at.is_some_and(|at| now.since(at) < ASK_EVERY) {
            return PlayerVoice::Unheard;
        }
        self.asked_at = Some(now);
        PlayerVoice::Asks(LeaseId::random())
    }

    /// The floor is its own.
    pub fn granted(&mut self, lease: LeaseId) {
        self.lease = Some(lease);
    }

    /// The lease that is to be given back, once it is silent.
    pub fn given_back(&mut self, now: MonoTime) -> Option<LeaseId> {
        let is_silent = self.heard_at.is_none_or(|at| now.since(at) >= SILENT_FOR);
        self.lease.take_if(|_| is_silent)
    }

    /// The lease that is to be given back, as the player is gone.
    pub fn ended(&mut self) -> Option<LeaseId> {
        self.lease.take()
    }
}

/// How much of a player's sound without compression is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawSpeechLimit {
    /// When the bucket would be full again, microseconds.
    full_at_us: i64,
}

impl RawSpeechLimit {
    /// Whether so many bytes that come now are taken.
    pub fn takes(&mut self, now: MonoTime, bytes: usize) -> bool {
        let lasts_us = bytes as i64 * 1_000_000 / BYTES_A_SECOND;
        let full_at_us = self.full_at_us.max(now.0);
        let takes = bytes > 0 && full_at_us + lasts_us - now.0 <= BURST_BYTES * 1_000_000 / BYTES_A_SECOND;
        if takes {
            self.full_at_us = full_at_us + lasts_us;
        }
        takes
    }
}

/// A packet of RTP (RFC 3550, section 5.1) as far as speech needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeechPacket<'a> {
    /// Its payload type.
    pub payload_type: u8,
    /// Its number, which wraps.
    pub number: u16,
    /// Its time.
    pub time: u32,
    /// What it carries; never nothing.
    pub payload: &'a [u8],
}

impl<'a> SpeechPacket<'a> {
    /// Reads one; `None`: it is none, or carries nothing.
    pub fn read(packet: &'a [u8]) -> Option<Self> {
        let (head, mut rest) = packet.split_at_checked(12)?;
        if head[0] >> 6 != 2 {
            return None;
        }
        rest = rest.get(usize::from(head[0] & 0x0f) * 4..)?;
        if head[0] & 0x10 != 0 {
            let words = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
            rest = rest.get(4 + usize::from(words) * 4..)?;
        }
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            rest = rest.get(..rest.len().checked_sub(padding.max(1))?)?;
        }
        let number = u16::from_be_bytes([head[2], head[3]]);
        let time = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        (!rest.is_empty()).then_some(Self { payload_type: head[1] & 0x7f, number, time, payload: rest })
    }
}

/// Numbers without wraps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapped(Option<u64>);

impl Unwrapped {
    /// What a number of a packet is without wraps, next to the one before.
    pub fn next(&mut self, number: u16) -> u64 {
        // Far from zero, so that one from before the first has a number, too.
        let last = self.0.unwrap_or(u64::from(number) + (1 << 32));
        let ahead = number.wrapping_sub(last as u16) as i16;
        let at = last.saturating_add_signed(i64::from(ahead));
        self.0 = Some(at.max(last));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn at(ms: i64) -> MonoTime {
        MonoTime(ms * 1000)
    }

    #[test]
    fn the_floor_is_asked_for_with_the_first_sound_and_given_back_after_the_last() {
        let (mut turn, holder) = (PlayerTurn::default(), Cell::new(None));
        let hear = |turn: &mut PlayerTurn, ms| turn.hear(at(ms), |lease| holder.get() == Some(lease));
        let PlayerVoice::Asks(first) = hear(&mut turn, 0) else { panic!("it begins") };
        // Somebody else speaks: it is asked again, but not with each packet.
        let asks: Vec<_> = (1..100).filter(|n| matches!(hear(&mut turn, n * 20), PlayerVoice::Asks(_))).collect();
        assert_eq!(asks, [50]);
        let PlayerVoice::Asks(lease) = hear(&mut turn, 2000) else { panic!("it asks again") };
        assert_ne!(first, lease);
        turn.granted(lease);
        holder.set(Some(lease));
        assert_eq!(hear(&mut turn, 2020), PlayerVoice::Heard(lease));
        assert_eq!(turn.given_back(at(4019)), None, "a short pause");
        assert_eq!(hear(&mut turn, 4019), PlayerVoice::Heard(lease));
        assert_eq!(turn.given_back(at(6020)), Some(lease));
        assert_eq!(turn.given_back(at(9000)), None, "once");
        // Its time is over: it is heard again only after it paused.
        let PlayerVoice::Asks(lease) = hear(&mut turn, 10_000) else { panic!("it begins again") };
        turn.granted(lease);
        holder.set(None);
        assert!((1..500).all(|n| hear(&mut turn, 10_000 + n * 20) == PlayerVoice::Unheard));
        assert!(matches!(hear(&mut turn, 22_000), PlayerVoice::Asks(_)));
        assert_eq!(turn.ended(), None);
    }

    #[test]
    fn raw_sound_is_bounded() {
        let mut calm = RawSpeechLimit::default();
        assert!((0..500).all(|n| calm.takes(at(n * 20), 160)), "G.711 at its pace");
        let mut flood = RawSpeechLimit::default();
        let taken: i64 = (0..10_000).filter(|n| flood.takes(at(*n), 1400)).count() as i64 * 1400;
        assert!((9 * BYTES_A_SECOND..=10 * BYTES_A_SECOND + BURST_BYTES).contains(&taken), "{taken} in 10 s");
        assert!(!flood.takes(at(100_000), 0) && !flood.takes(at(100_000), 1 << 20));
    }

    #[test]
    fn packets_are_read_and_numbers_unwrapped() {
        let plain = [0x80, 98, 0, 7, 0, 0, 3, 0xc0, 1, 2, 3, 4, 0xaa, 0xbb];
        let read = SpeechPacket::read(&plain).expect("one");
        assert_eq!((read.payload_type, read.number, read.time, read.payload), (98, 7, 960, &[0xaa, 0xbb][..]));
        let all =
            [0xb1, 0x80, 0, 7, 0, 0, 3, 0xc0, 1, 2, 3, 4, 9, 9, 9, 9, 0xbe, 0xde, 0, 1, 5, 5, 5, 5, 0xaa, 0, 0, 3];
        let read = SpeechPacket::read(&all).expect("a source, an extension and padding");
        assert_eq!((read.payload_type, read.payload), (0, &[0xaa][..]));
        for none in [&plain[..12], &plain[..5], &[0x40; 20], &all[..18]] {
            assert_eq!(SpeechPacket::read(none), None, "{none:?}");
        }
        let mut numbers = Unwrapped::default();
        let base = (1 << 32) + 65_534;
        let placed: Vec<_> = [65_534, 65_535, 0, 65_533, 1].map(|n| numbers.next(n) + 10 - base).into();
        assert_eq!(placed, [10, 11, 12, 9, 13]);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(read) = SpeechPacket::read(&bytes) {
                prop_assert!(!read.payload.is_empty() && read.payload.len() + 12 <= bytes.len());
            }
        }
    }
}
