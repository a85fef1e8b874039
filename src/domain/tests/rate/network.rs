//! A network for tests: a sender with a small estimator of the kind that live sessions have, a link with a rate, delay, jitter, loss and
//! reordering, and a receiver that gives feedback. Time goes by hand, chance by a fixed seed.

use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

const PACKET_BYTES: u64 = 1200;
/// What waits before a link at most.
const QUEUE: f64 = 0.4;
/// Feedback comes so often.
const FEEDBACK_S: f64 = 0.1;
/// A queue that stands longer than this at the link means that it carries no more.
const OVERUSE_S: f64 = 0.05;
/// The bound that an estimator by loss sets: so many bits a second over the share lost beyond what is taken for the air's.
const LOSS_BALANCE_BPS: f64 = 75e3;
const LOSS_OFFSET: f64 = 0.05;
/// A keyframe every two seconds.
const GOP_S: f64 = 2.0;
const FRAME_S: f64 = 0.04;

/// A link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimulatedLink {
    pub rate_bps: f64,
    pub delay_s: f64,
    pub jitter_s: f64,
    pub loss: f64,
    pub reorder: f64,
    /// A burst of a probe passes at any rate (a policer with a bucket): what it says of the rate is wrong.
    pub lets_bursts_pass: bool,
}

impl SimulatedLink {
    /// A good one.
    pub const WIDE: Self =
        Self { rate_bps: 4e6, delay_s: 0.02, jitter_s: 0.0, loss: 0.0, reorder: 0.0, lets_bursts_pass: false };
}

struct Packet {
    sent_s: f64,
    arrived_s: f64,
    bytes: u64,
    is_lost: bool,
}

/// The sender, the link and the receiver.
pub struct Network {
    pub link: SimulatedLink,
    now_s: f64,
    chance: u64,
    frame_s: f64,
    keyframe_s: f64,
    waiting: VecDeque<u64>,
    pace_s: f64,
    padded_s: f64,
    /// What was sent last, and until when a queue is taken to stand as that was too much.
    sent_bps: f64,
    jammed_s: f64,
    busy_s: f64,
    flying: Vec<Packet>,
    arrived: VecDeque<(f64, u64)>,
    feedback_s: f64,
    base: VecDeque<(f64, f64)>,
    decreased_s: f64,
    is_over: bool,
    delay_s: f64,
    deviation_s: f64,
    losses: VecDeque<(f64, u64, u64)>,
    looks_for_bps: f64,
    probe: Option<(f64, f64)>,
    estimate_bps: f64,
    round_trip_s: f64,
    pub sent_bytes: u64,
    pub probes: u32,
}

impl Network {
    pub fn new(link: SimulatedLink, estimate_bps: f64) -> Self {
        Self {
            link,
            now_s: 0.0,
            chance: 0x2545_f491_4f6c_dd1d,
            frame_s: 0.0,
            keyframe_s: 0.0,
            waiting: VecDeque::new(),
            pace_s: 0.0,
            padded_s: 0.0,
            sent_bps: 0.0,
            jammed_s: 0.0,
            busy_s: 0.0,
            flying: Vec::new(),
            arrived: VecDeque::new(),
            feedback_s: 0.0,
            base: VecDeque::new(),
            decreased_s: -1.0,
            is_over: false,
            delay_s: link.delay_s,
            deviation_s: 0.1,
            losses: VecDeque::new(),
            looks_for_bps: 0.0,
            probe: None,
            estimate_bps,
            round_trip_s: 2.0 * link.delay_s,
            sent_bytes: 0,
            probes: 0,
        }
    }

    pub fn now(&self) -> MonoTime {
        MonoTime((self.now_s * 1e6).round() as i64)
    }

    pub fn estimate_bps(&self) -> u64 {
        self.estimate_bps as u64
    }

    /// The estimator begins anew.
    pub fn estimate_anew(&mut self, bps: u64) {
        self.estimate_bps = bps as f64;
    }

    pub fn round_trip(&self) -> Duration {
        Duration::from_secs_f64(self.round_trip_s)
    }

    /// The share of packets lost of those whose feedback came within the last three seconds.
    pub fn loss(&self) -> f32 {
        let (lost, all) = self.losses.iter().fold((0, 0), |(lost, all), (_, l, a)| (lost + l, all + a));
        if all == 0 { 0.0 } else { lost as f32 / all as f32 }
    }

    fn chance(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Sends `bps` for 5 ms, with padding at least `least_bps`, while the estimator looks whether it carries `looks_for_bps`.
    pub fn step(&mut self, bps: u64, looks_for_bps: u64, least_bps: u64) {
        self.now_s += 0.005;
        self.make_frames(bps as f64);
        let before = self.sent_bytes;
        self.send_paced(bps as f64);
        self.pad(self.sent_bytes - before, least_bps as f64);
        let looks_for = looks_for_bps as f64;
        if looks_for > self.looks_for_bps && looks_for > self.estimate_bps && self.probe.is_none() {
            self.probe = Some((self.now_s + 2.0 * self.link.delay_s + 0.1, looks_for.min(2.0 * self.estimate_bps)));
            (0..5).for_each(|_| self.send(PACKET_BYTES));
            self.probes += 1;
        }
        self.looks_for_bps = looks_for;
        if self.now_s >= self.feedback_s {
            self.feedback_s = self.now_s + FEEDBACK_S;
            self.feedback();
        }
    }

    fn make_frames(&mut self, bps: f64) {
        while self.frame_s <= self.now_s {
            // A keyframe is as large as eight other pictures.
            let of_gop = bps / 8.0 * GOP_S;
            let each = of_gop / (GOP_S / FRAME_S + 7.0);
            let is_keyframe = self.frame_s >= self.keyframe_s;
            if is_keyframe {
                self.keyframe_s = self.frame_s + GOP_S;
            }
            let mut bytes = (if is_keyframe { 8.0 * each } else { each }) as u64;
            while bytes > 0 {
                let packet = bytes.min(PACKET_BYTES);
                self.waiting.push_back(packet);
                bytes -= packet;
            }
            self.frame_s += FRAME_S;
        }
    }

    fn send_paced(&mut self, bps: f64) {
        self.pace_s = self.pace_s.max(self.now_s - 0.04);
        // What waits for longer than a second leaves faster.
        let waiting: u64 = self.waiting.iter().sum();
        if bps < std::mem::replace(&mut self.sent_bps, bps) {
            self.waiting.clear();
            self.jammed_s = self.now_s + 2.0;
        }
        let factor = if self.estimate_bps < bps || self.now_s < self.jammed_s { 1.1 } else { 2.5 };
        let rate = (self.estimate_bps * factor).max(waiting as f64 * 8.0);
        while self.pace_s <= self.now_s {
            let Some(bytes) = self.waiting.pop_front() else { return };
            self.pace_s += bytes as f64 * 8.0 / rate;
            self.send(bytes);
        }
    }

    /// No padding where a queue stands.
    fn pad(&mut self, sent_bytes: u64, least_bps: f64) {
        let rate = least_bps.min(self.estimate_bps);
        if rate <= 0.0 || self.is_over {
            return;
        }
        self.padded_s = self.padded_s.max(self.now_s - 0.04) + sent_bytes as f64 * 8.0 / rate;
        while self.waiting.is_empty() && self.padded_s <= self.now_s {
            self.padded_s += PACKET_BYTES as f64 * 8.0 / rate;
            self.send(PACKET_BYTES);
        }
    }

    fn send(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
        let waits_s = (self.busy_s - self.now_s).max(0.0);
        let is_lost = waits_s > QUEUE || self.link.rate_bps <= 0.0 || self.chance() < self.link.loss;
        let mut arrived_s = self.now_s + 10.0;
        if !is_lost {
            self.busy_s = self.now_s + waits_s + bytes as f64 * 8.0 / self.link.rate_bps;
            let late = if self.chance() < self.link.reorder { 0.03 } else { 0.0 };
            arrived_s = self.busy_s + self.link.delay_s + self.link.jitter_s * self.chance() + late;
        }
        let lost_known_s = self.now_s + waits_s + self.link.delay_s + 0.1;
        self.flying.push(Packet {
            sent_s: self.now_s,
            arrived_s: if is_lost { lost_known_s } else { arrived_s },
            bytes,
            is_lost,
        });
    }

    /// What the receiver says of all that came (or did not) since.
    fn feedback(&mut self) {
        let known_s = self.now_s - self.link.delay_s;
        if self.link.rate_bps <= 0.0 {
            // Nothing comes back either.
            return;
        }
        let (known, flying): (Vec<_>, Vec<_>) = self.flying.drain(..).partition(|p| p.arrived_s <= known_s);
        self.flying = flying;
        let lost = known.iter().filter(|p| p.is_lost).count() as u64;
        self.losses.push_back((self.now_s, lost, known.len() as u64));
        self.losses.retain(|(at, ..)| *at > known_s - 3.0);
        let came: Vec<_> = known.iter().filter(|p| !p.is_lost).collect();
        self.arrived.extend(came.iter().map(|p| (p.arrived_s, p.bytes)));
        self.arrived.retain(|(at, _)| *at > known_s - 0.5);
        let acked_bps = self.arrived.iter().map(|(_, bytes)| *bytes as f64 * 8.0).sum::<f64>() / 0.5;
        if came.is_empty() {
            return;
        }
        let mean = came.iter().map(|p| p.arrived_s - p.sent_s).sum::<f64>() / came.len() as f64;
        self.deviation_s += 0.1 * ((mean - self.delay_s).abs() - self.deviation_s);
        self.delay_s += 0.4 * (mean - self.delay_s);
        let delay = self.delay_s;
        self.base.push_back((self.now_s, delay));
        self.base.retain(|(at, _)| *at > known_s - 10.0);
        let base = self.base.iter().map(|(_, delay)| *delay).fold(f64::MAX, f64::min);
        self.round_trip_s = delay + self.link.delay_s;
        self.judge(acked_bps, delay - base);
    }

    fn judge(&mut self, acked_bps: f64, queue_s: f64) {
        if let Some((_, target)) = self.probe.take_if(|(due, _)| *due <= self.now_s) {
            let passes = if self.link.lets_bursts_pass { target } else { target.min(self.link.rate_bps * 0.95) };
            self.estimate_bps = self.estimate_bps.max(passes);
        }
        let loss = f64::from(self.loss());
        let was_over = std::mem::replace(&mut self.is_over, queue_s > OVERUSE_S + 3.0 * self.deviation_s);
        if self.is_over && was_over {
            if self.now_s - self.decreased_s >= 0.3 {
                self.decreased_s = self.now_s;
                self.estimate_bps = self.estimate_bps.min((0.85 * acked_bps).max(20e3));
            }
        } else if loss > LOSS_OFFSET && self.estimate_bps > LOSS_BALANCE_BPS / (loss - LOSS_OFFSET) {
            self.estimate_bps = LOSS_BALANCE_BPS / (loss - LOSS_OFFSET);
        } else {
            let grown = self.estimate_bps * 1.08_f64.powf(FEEDBACK_S);
            if grown < 1.5 * acked_bps + 10e3 {
                self.estimate_bps = grown;
            }
        }
    }
}
