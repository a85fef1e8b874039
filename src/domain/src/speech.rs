//! What becomes of a speaker's packets: how many of them are taken, and how those of one speaker after the other make one stream. Who may speak is
//! [`crate::talk`]'s to say.

use perch_base::time::MonoTime;

/// The largest payload of a packet of speech, bytes: one datagram.
const MAX_PAYLOAD_BYTES: usize = 1400;
/// Packets a second: the shortest that browsers send last 10 ms.
const PACKETS_A_SECOND: i64 = 110;
/// What may come at once after it was held up on the way.
const BURST: i64 = 60;

/// How much of a speaker's packets is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpeechLimit {
    /// When the bucket would be full again, microseconds.
    full_at_us: Option<i64>,
}

impl SpeechLimit {
    /// Whether a packet with so many bytes of payload that comes now is taken.
    pub fn takes(&mut self, now: MonoTime, bytes: usize) -> bool {
        let each_us = 1_000_000 / PACKETS_A_SECOND;
        let full_at_us = self.full_at_us.unwrap_or(now.0).max(now.0);
        let takes = (1..=MAX_PAYLOAD_BYTES).contains(&bytes) && full_at_us - now.0 < BURST * each_us;
        if takes {
            self.full_at_us = Some(full_at_us + each_us);
        }
        takes
    }
}

/// RTP time of sound at 48 kHz, ticks a second.
const TICKS_A_SECOND: i64 = 48_000;
/// A sequence number that is so far from the one before belongs to another beginning.
const MAX_JUMP: u64 = 1_000;
/// So does a time so far from now: what is to be heard later would be waited for, what is older is nothing that anybody still says.
const MAX_AHEAD: i32 = TICKS_A_SECOND as i32;
const MAX_BEHIND: i32 = 10 * TICKS_A_SECOND as i32;

/// Makes one stream of RTP of what one speaker after the other sends, with their pauses, so that whoever plays it need not begin anew. Its
/// times are those of the box's steady clock, whatever a phone says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Splice {
    /// The newest number that went out.
    last: Option<u64>,
    /// What is added to a speaker's numbers and times.
    offset: Option<(u64, u32)>,
}

/// Where a packet belongs in the one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// Its number, of which the low 16 bits are sent.
    pub number: u64,
    /// Its time.
    pub time: u32,
    /// Whether something new begins with it.
    pub begins: bool,
}

impl Splice {
    /// Another speaker begins with the next packet.
    pub fn begin(&mut self) {
        self.offset = None;
    }

    /// Where a packet with this number and RTP time belongs that comes `now`.
    pub fn place(&mut self, now: MonoTime, number: u64, time: u32) -> Spliced {
        let due = (i128::from(now.0) * i128::from(TICKS_A_SECOND) / 1_000_000) as u32;
        let follows = |(by, by_time): &(u64, u32)| {
            let leaps = self.last.is_some_and(|last| number.wrapping_add(*by).abs_diff(last) > MAX_JUMP);
            let ahead = time.wrapping_add(*by_time).wrapping_sub(due) as i32;
            !leaps && (-MAX_BEHIND..=MAX_AHEAD).contains(&ahead)
        };
        let known = self.offset.filter(follows);
        let next = self.last.map_or(0, |last| last.wrapping_add(1));
        let (by, by_time) = known.unwrap_or((next.wrapping_sub(number), due.wrapping_sub(time)));
        self.offset = Some((by, by_time));
        let (number, time) = (number.wrapping_add(by), time.wrapping_add(by_time));
        self.last = Some(self.last.map_or(number, |last| last.max(number)));
        Spliced { number, time, begins: known.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> MonoTime {
        MonoTime(s * 1_000_000)
    }

    #[test]
    fn what_a_phone_sends_is_bounded() {
        let mut limit = SpeechLimit::default();
        assert!(!limit.takes(at(0), 0) && !limit.takes(at(0), MAX_PAYLOAD_BYTES + 1));
        let burst = (0..1000).filter(|_| limit.takes(at(1), 100)).count();
        assert_eq!(burst as i64, BURST);
        let ms = |ms: i64| MonoTime(10_000_000 + ms * 1000);
        let flood = (0..10_000).filter(|n| limit.takes(ms(*n), 100)).count() as i64;
        assert!((10 * PACKETS_A_SECOND..=10 * PACKETS_A_SECOND + BURST + 5).contains(&flood), "{flood} in 10 s");
        let mut calm = SpeechLimit::default();
        assert!((0..3000).all(|n| calm.takes(ms(n * 10), 100)), "speech in packets of 10 ms");
    }

    #[test]
    fn one_speaker_after_the_other_makes_one_stream() {
        let mut splice = Splice::default();
        let wrap = u32::MAX - 100;
        // When it comes, its number and time; where it belongs.
        for (ms, number, time, placed) in [
            (1000, 70_000, wrap, (0, 48_000, true)),
            (1020, 70_001, wrap.wrapping_add(960), (1, 48_960, false)),
            // One is missing, and comes late.
            (1060, 70_003, wrap.wrapping_add(2880), (3, 50_880, false)),
            (1061, 70_002, wrap.wrapping_add(1920), (2, 49_920, false)),
            // Held up on the way: too late to be heard, and no reason to hear the rest later.
            (4000, 70_004, wrap.wrapping_add(3840), (4, 51_840, false)),
            (4020, 70_150, wrap.wrapping_add(144_000), (150, 192_000, false)),
            // Its sender began again, or says what cannot be.
            (5000, 500_000, 7, (151, 240_000, true)),
            (5020, 500_001, 500_000, (152, 240_960, true)),
            (5040, 500_002, 7, (153, 241_920, true)),
        ] {
            let (wanted_number, wanted_time, begins) = placed;
            let wanted = Spliced { number: wanted_number, time: wanted_time, begins };
            assert_eq!(splice.place(MonoTime(ms * 1000), number, time), wanted, "at {ms} ms");
        }
        splice.begin();
        let next = splice.place(MonoTime(9_000_000), 500_003, 967);
        assert_eq!(next, Spliced { number: 154, time: 432_000, begins: true }, "another speaks");
        let far = splice.place(MonoTime(i64::MAX), 500_004, 1927);
        assert_eq!((far.number, far.begins), (155, true));
    }
}
