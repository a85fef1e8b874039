//! Packets of one track in the order they were sent: what came twice is left out, what is missing is said, and a sender that begins
//! anew is followed. What `RTP-Info` says of the first packet is not asked: cameras get it wrong.

use super::packet::Packet;
use bytes::Bytes;
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a missing packet is waited for.
const WAIT: Duration = Duration::from_millis(100);
/// Most packets that wait behind a missing one, and their bytes.
const MAX_HELD: usize = 512;
const MAX_HELD_BYTES: usize = 4 << 20;
/// How far ahead a packet may be for that a wait makes sense, and how far behind it may be late.
const REACH: i16 = 1000;
/// How far behind in time a late packet is, in ticks: two seconds of 90 kHz.
const LATE_TICKS: u32 = 180_000;
/// So many packets that follow each other, and nothing else that fits, are the sequence from now on.
const AGREEING: usize = 4;
/// Without any packet that fits for so long, a late one is taken for a new sequence too.
const STUCK: Duration = Duration::from_millis(500);
/// Packets of another source that make it the source: so many without one of the old, or two once the old one is silent for so long.
const OTHER_SOURCE: usize = 8;
const SOURCE_SILENT: Duration = Duration::from_millis(300);
/// Over TCP nothing is lost on the way; numbers that are wrong this much more often than right are not counts.
const NO_COUNT: u8 = 12;

/// A packet in its turn.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// The packet.
    pub packet: Packet,
    /// When it came.
    pub at: MonoTime,
    /// Whether packets before it are missing.
    pub lost: bool,
    /// Whether another source begins with it: no time or number of before counts.
    pub new_source: bool,
}

/// The packets of one track.
#[derive(Debug)]
pub(crate) struct Reorder {
    ordered: bool,
    source: Option<u32>,
    heard: MonoTime,
    said_bye: bool,
    /// Packets of another source, not yet believed.
    others: Vec<(Packet, MonoTime)>,
    /// The number that comes next.
    next: Option<u16>,
    progress: MonoTime,
    /// Behind a gap, by number.
    held: VecDeque<(Packet, MonoTime)>,
    held_bytes: usize,
    waiting_since: MonoTime,
    /// Packets that do not fit, each following the one before.
    agreeing: Vec<(Packet, MonoTime)>,
    /// Numbers and times of what was handed on last.
    recent: VecDeque<(u16, u32)>,
    last: Option<Packet>,
    wrong_numbers: u8,
    begins: bool,
    out: VecDeque<Arrived>,
}

impl Reorder {
    /// `ordered`: packets come by TCP.
    pub fn new(ordered: bool) -> Self {
        Self {
            ordered,
            source: None,
            heard: MonoTime::default(),
            said_bye: false,
            others: Vec::new(),
            next: None,
            progress: MonoTime::default(),
            held: VecDeque::new(),
            held_bytes: 0,
            waiting_since: MonoTime::default(),
            agreeing: Vec::new(),
            recent: VecDeque::new(),
            last: None,
            wrong_numbers: 0,
            begins: false,
            out: VecDeque::new(),
        }
    }

    /// The next packet in its turn.
    pub fn pop(&mut self) -> Option<Arrived> {
        self.out.pop_front()
    }

    /// Whether this is the source that is listened to.
    pub fn is_source(&self, ssrc: u32) -> bool {
        self.source == Some(ssrc)
    }

    /// Whether nothing came yet.
    pub fn has_no_source(&self) -> bool {
        self.source.is_none()
    }

    /// The source says that it ends: the next one is believed at once.
    pub fn bye(&mut self, ssrc: u32) {
        self.said_bye |= self.is_source(ssrc);
    }

    /// Takes a packet as it comes.
    pub fn push(&mut self, now: MonoTime, packet: Packet) {
        match self.source {
            Some(source) if source != packet.ssrc => return self.other_source(now, packet),
            Some(_) => self.others.clear(),
            None => self.source = Some(packet.ssrc),
        }
        self.heard = now;
        self.said_bye = false;
        self.sequence(now, packet);
        self.tick(now);
    }

    fn other_source(&mut self, now: MonoTime, packet: Packet) {
        if self.others.first().is_some_and(|(first, _)| first.ssrc != packet.ssrc) {
            self.others.clear();
        }
        let ssrc = packet.ssrc;
        self.others.push((packet, now));
        let silent = now.since(self.heard) >= SOURCE_SILENT;
        if self.others.len() >= OTHER_SOURCE || self.said_bye || silent && self.others.len() >= 2 {
            self.skip_all_gaps();
            self.source = Some(ssrc);
            self.heard = now;
            self.said_bye = false;
            self.next = None;
            self.agreeing.clear();
            self.recent.clear();
            self.last = None;
            self.wrong_numbers = 0;
            self.begins = true;
            for (packet, at) in std::mem::take(&mut self.others) {
                self.sequence(at, packet);
            }
        }
    }

    fn sequence(&mut self, at: MonoTime, packet: Packet) {
        let Some(next) = self.next else { return self.hand_on(at, packet, false) };
        let ahead = packet.sequence.wrapping_sub(next) as i16;
        if self.ordered {
            return self.in_order(at, packet, ahead);
        }
        if ahead == 0 {
            self.hand_on(at, packet, false);
            self.drain();
        } else if (1..=REACH).contains(&ahead) {
            self.hold(at, packet, next);
        } else if !self.is_late(at, &packet, ahead) {
            let follows =
                self.agreeing.last().is_some_and(|(last, _)| last.sequence.wrapping_add(1) == packet.sequence);
            if !follows {
                self.agreeing.clear();
            }
            self.agreeing.push((packet, at));
            if self.agreeing.len() >= AGREEING {
                self.skip_all_gaps();
                for (n, (packet, at)) in std::mem::take(&mut self.agreeing).into_iter().enumerate() {
                    self.hand_on(at, packet, n == 0);
                }
            }
        }
    }

    /// Whether it came twice, or after it was given up.
    fn is_late(&self, at: MonoTime, packet: &Packet, ahead: i16) -> bool {
        if self.recent.contains(&(packet.sequence, packet.stamp)) {
            return true;
        }
        let behind = self.recent.back().is_some_and(|(_, stamp)| stamp.wrapping_sub(packet.stamp) < LATE_TICKS);
        (-REACH..0).contains(&ahead) && behind && at.since(self.progress) < STUCK
    }

    /// Nothing overtakes: a number that does not fit tells of packets that the camera left out, or counts something else.
    fn in_order(&mut self, at: MonoTime, packet: Packet, ahead: i16) {
        if ahead == 0 {
            self.wrong_numbers = self.wrong_numbers.saturating_sub(1);
            return self.hand_on(at, packet, false);
        }
        if ahead == -1 {
            if self.last.as_ref() != Some(&packet) {
                self.hand_on(at, packet, false);
            }
            return;
        }
        let counts = self.wrong_numbers < NO_COUNT;
        self.wrong_numbers = (self.wrong_numbers + 1).min(2 * NO_COUNT);
        self.hand_on(at, packet, counts);
    }

    fn hold(&mut self, at: MonoTime, mut packet: Packet, next: u16) {
        let ahead = |p: &Packet| p.sequence.wrapping_sub(next);
        let place = self.held.partition_point(|(p, _)| ahead(p) < ahead(&packet));
        if self.held.get(place).is_some_and(|(p, _)| p.sequence == packet.sequence) {
            return;
        }
        if self.held.is_empty() {
            self.waiting_since = at;
        }
        // A copy: a slice of what was read would keep all of it in memory.
        packet.payload = Bytes::copy_from_slice(&packet.payload);
        packet.extension = packet.extension.map(|(profile, content)| (profile, Bytes::copy_from_slice(&content)));
        self.held_bytes += packet.len();
        self.held.insert(place, (packet, at));
        while self.held.len() > MAX_HELD || self.held_bytes > MAX_HELD_BYTES {
            self.skip_gap();
        }
    }

    fn hand_on(&mut self, at: MonoTime, packet: Packet, lost: bool) {
        self.next = Some(packet.sequence.wrapping_add(1));
        self.progress = at;
        if self.ordered {
            self.last = Some(packet.clone());
        } else {
            self.agreeing.clear();
            if self.recent.len() >= 128 {
                self.recent.pop_front();
            }
            self.recent.push_back((packet.sequence, packet.stamp));
        }
        let new_source = std::mem::take(&mut self.begins);
        self.out.push_back(Arrived { packet, at, lost, new_source });
    }

    /// Hands on what follows without a gap.
    fn drain(&mut self) {
        while self.held.front().is_some_and(|(packet, _)| Some(packet.sequence) == self.next) {
            self.take_first(false);
        }
        self.waiting_since = self.held.iter().map(|(_, at)| *at).min().unwrap_or_default();
    }

    fn take_first(&mut self, lost: bool) {
        if let Some((packet, at)) = self.held.pop_front() {
            self.held_bytes -= packet.len();
            self.hand_on(at, packet, lost);
        }
    }

    fn skip_gap(&mut self) {
        self.take_first(true);
        self.drain();
    }

    fn skip_all_gaps(&mut self) {
        while !self.held.is_empty() {
            self.skip_gap();
        }
    }

    /// Gives up what was waited for long enough; says when to be called next.
    pub fn tick(&mut self, now: MonoTime) -> Option<MonoTime> {
        while !self.held.is_empty() && now.since(self.waiting_since) >= WAIT {
            self.skip_gap();
        }
        (!self.held.is_empty()).then(|| self.waiting_since + WAIT)
    }
}

#[cfg(test)]
#[path = "reorder_tests.rs"]
mod tests;
