//! When the packets of a viewer's pictures leave: in one go, as far as its connection lets them, or one after the other. Knows no packet and no
//! socket. Sound never waits.

use crate::rate::FIRST_ESTIMATE_BPS;
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Where the connection carries what is sent, a picture may leave so many times as fast as the estimate says: estimators find what is sent on
/// the whole, and keyframes are many times as large as what lies between them (libwebrtc takes the same).
const ROOMY_FACTOR: f64 = 2.5;
/// Where it does not, nothing is to wait on the way that can wait here.
const SHORT_FACTOR: f64 = 1.1;
/// What waits leaves within this, whatever the estimate says, where the connection carries what is sent; and where it does not.
const ROOMY_WITHIN: Duration = Duration::from_millis(250);
const SHORT_WITHIN: Duration = Duration::from_secs(1);
/// What so much time would carry leaves in one go.
const BURST: Duration = Duration::from_millis(40);

/// What is known of the connection when pictures are paced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bits a second that it is estimated to carry; `None`: nobody knows.
    pub estimate_bps: Option<u64>,
    /// Bits a second that what is sent needs.
    pub needs_bps: u64,
    /// A queue stands on the way, as it carried less than what was sent until a moment ago: what comes on top of it in one go would be lost.
    pub is_jammed: bool,
}

impl Room {
    /// Whether it carries less than what is sent needs, or did until a moment ago.
    pub fn is_short(self) -> bool {
        self.is_jammed || self.estimate_bps.is_some_and(|estimate| estimate < self.needs_bps)
    }
}

/// The packets of one viewer's pictures.
#[derive(Debug)]
pub struct Pacer<T> {
    waiting: VecDeque<(T, usize)>,
    waiting_bytes: usize,
    /// Bytes that left and that no time has paid for yet.
    debt_bytes: f64,
    counted_at: MonoTime,
    room: Room,
    /// Bits a second at which what waits leaves in time.
    least_bps: f64,
    /// The next picture is the first in a while, of which nobody knows how fast it may leave.
    hurries: bool,
}

impl<T> Pacer<T> {
    /// Nothing waits.
    pub fn new(now: MonoTime) -> Self {
        let room = Room::default();
        let waiting = VecDeque::new();
        Self { waiting, waiting_bytes: 0, debt_bytes: 0.0, counted_at: now, room, least_bps: 0.0, hurries: false }
    }

    /// The connection is as `room` says from now on.
    pub fn set_room(&mut self, now: MonoTime, room: Room) {
        self.count(now);
        let was_short = self.is_short();
        self.room = room;
        if self.is_short() != was_short {
            self.least_bps = self.least_bps();
        }
    }

    /// The next picture leaves as a connection's first one does, whatever the estimate says: where little was sent it says little.
    pub fn hurry(&mut self) {
        self.hurries = true;
    }

    /// One more packet, of so many bytes.
    pub fn push(&mut self, packet: T, bytes: usize) {
        self.waiting.push_back((packet, bytes));
        self.waiting_bytes += bytes;
        self.least_bps = self.least_bps.max(self.least_bps());
    }

    /// The next packet that leaves now.
    pub fn pop(&mut self, now: MonoTime) -> Option<T> {
        self.count(now);
        if self.waiting.is_empty() || self.debt_bytes > self.burst_bytes() {
            return None;
        }
        let (packet, bytes) = self.waiting.pop_front()?;
        self.waiting_bytes -= bytes;
        self.debt_bytes += bytes as f64;
        if self.waiting.is_empty() {
            self.rest();
        }
        Some(packet)
    }

    /// How long it takes until [`Self::pop`] has one, from when it was called last; `None`: nothing waits.
    pub fn due_in(&self) -> Option<Duration> {
        let over_bytes = (self.debt_bytes - self.burst_bytes()).max(0.0);
        (!self.waiting.is_empty()).then(|| Duration::from_secs_f64(over_bytes * 8.0 / self.bps()))
    }

    /// How long it takes until all that waits has left.
    pub fn backlog(&self) -> Duration {
        Duration::from_secs_f64(self.waiting_bytes as f64 * 8.0 / self.bps())
    }

    /// Leaves out all that waits: what comes next begins with a keyframe. Returns how many packets that were.
    pub fn leave_out(&mut self) -> usize {
        let count = self.waiting.len();
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.rest();
        count
    }

    /// Nothing waits: what comes next owes nothing for what hurried.
    fn rest(&mut self) {
        (self.hurries, self.least_bps) = (false, 0.0);
        self.debt_bytes = self.debt_bytes.min(self.burst_bytes());
    }

    fn count(&mut self, now: MonoTime) {
        let paid = now.since(self.counted_at).as_secs_f64() * self.bps() / 8.0;
        self.debt_bytes = (self.debt_bytes - paid).max(0.0);
        self.counted_at = now;
    }

    fn burst_bytes(&self) -> f64 {
        self.bps() / 8.0 * BURST.as_secs_f64()
    }

    /// Whether the connection carries less than what leaves next needs, as far as anything is known of that.
    pub fn is_short(&self) -> bool {
        self.room.is_short() && !self.hurries
    }

    fn least_bps(&self) -> f64 {
        let within = if self.is_short() { SHORT_WITHIN } else { ROOMY_WITHIN };
        self.waiting_bytes as f64 * 8.0 / within.as_secs_f64()
    }

    /// Bits a second that leave.
    fn bps(&self) -> f64 {
        let factor = if self.is_short() { SHORT_FACTOR } else { ROOMY_FACTOR };
        let estimate = self.room.estimate_bps.filter(|_| !self.hurries).unwrap_or(FIRST_ESTIMATE_BPS);
        (estimate.max(1000) as f64 * factor).max(self.least_bps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1000;

    fn ms(ms: u64) -> MonoTime {
        MonoTime(ms as i64 * 1000)
    }

    fn pacer(estimate_bps: u64, needs_bps: u64) -> Pacer<usize> {
        let mut pacer = Pacer::new(ms(0));
        pacer.set_room(ms(0), Room { estimate_bps: Some(estimate_bps), needs_bps, is_jammed: false });
        pacer
    }

    fn push(pacer: &mut Pacer<usize>, packets: usize) {
        (0..packets).for_each(|n| pacer.push(n, PACKET));
    }

    /// When all that waits has left, milliseconds, waking when the pacer says so; and how many left at the first of them.
    fn drained(pacer: &mut Pacer<usize>, from_ms: u64) -> (u64, usize) {
        let (mut now, mut first, mut wakes) = (ms(from_ms), 0, 0);
        loop {
            let left = std::iter::from_fn(|| pacer.pop(now)).count();
            if wakes == 0 {
                first = left;
            }
            wakes += 1;
            assert!(wakes < 10_000, "it never rests");
            match pacer.due_in() {
                Some(due) => now = now + due.max(Duration::from_millis(1)),
                None => return (now.since(ms(0)).as_millis() as u64, first),
            }
        }
    }

    #[test]
    fn a_picture_leaves_faster_than_the_estimate_where_there_is_room_and_no_faster_where_there_is_none() {
        for (estimate, needs, packets, took_ms, at_once) in [
            // 80 kbit: in 250 ms at most.
            (100_000, 50_000, 10, 150..=250, 1..=4),
            // 400 kbit at 2.5 Mbit/s, of which 40 ms leave at once.
            (1_000_000, 900_000, 50, 110..=160, 10..=16),
            (10_000_000, 900_000, 50, 0..=0, 50..=50),
            // No room: at 1.1 Mbit/s.
            (1_000_000, 2_000_000, 50, 300..=365, 4..=8),
            // Nor for what would wait for longer than a second.
            (100_000, 2_000_000, 50, 800..=1_000, 1..=4),
        ] {
            let mut pacer = pacer(estimate, needs);
            push(&mut pacer, packets);
            let (ms, first) = drained(&mut pacer, 0);
            assert!(
                took_ms.contains(&ms) && at_once.contains(&first),
                "{estimate} of {needs}: {ms} ms, {first} at once"
            );
        }
    }

    #[test]
    fn a_picture_does_not_come_on_top_of_a_queue() {
        let mut pacer = pacer(800_000, 400_000);
        let room = Room { is_jammed: true, ..pacer.room };
        pacer.set_room(ms(0), room);
        push(&mut pacer, 15);
        // 15 kB but for the 5 that leave at once and the last one, at 880 kbit/s.
        assert!((80..=100).contains(&drained(&mut pacer, 0).0));
    }

    #[test]
    fn packets_leave_in_their_order_and_what_is_left_out_never() {
        let mut pacer = pacer(200_000, 400_000);
        push(&mut pacer, 20);
        let left: Vec<_> = std::iter::from_fn(|| pacer.pop(ms(0))).collect();
        assert_eq!(left, (0..left.len()).collect::<Vec<_>>());
        assert!(pacer.backlog() > Duration::from_millis(500), "{:?}", pacer.backlog());
        assert_eq!(pacer.leave_out(), 20 - left.len());
        assert_eq!((pacer.pop(ms(10_000)), pacer.due_in(), pacer.backlog()), (None, None, Duration::ZERO));
        push(&mut pacer, 1);
        assert_eq!(pacer.pop(ms(10_000)), Some(0));
    }

    #[test]
    fn the_first_picture_in_a_while_hurries_and_the_next_does_not() {
        let mut pacer = pacer(100_000, 90_000);
        pacer.hurry();
        push(&mut pacer, 100);
        assert_eq!(drained(&mut pacer, 0).0, 0, "100 kB are what 25 Mbit/s carry in 40 ms and no more");
        push(&mut pacer, 10);
        assert!(drained(&mut pacer, 1).0 > 100, "though it owes nothing for what hurried");
    }

    #[test]
    fn a_steady_stream_that_fits_never_waits() {
        // 25 pictures a second of 4 kB: 800 kbit/s.
        let mut pacer = pacer(1_000_000, 850_000);
        for n in 0..250 {
            push(&mut pacer, 4);
            assert_eq!(drained(&mut pacer, n * 40).0, n * 40, "picture {n}");
        }
    }
}
