//! What a bad network does to a feed, the same in each run.

use super::{Event, Feed, Timed};
use crate::random::Random;
use std::collections::VecDeque;
use std::time::Duration;

/// How often what happens to RTP packets: one in so many; 0: never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    /// They are lost.
    pub lost: u64,
    /// They come twice.
    pub doubled: u64,
    /// They come up to four packets late.
    pub late: u64,
    /// Each of their bits is flipped with one chance in so many, from byte `flipped_from` on.
    pub flipped: u64,
    /// Where flipping begins: 12 spares the RTP header.
    pub flipped_from: usize,
    /// They end early.
    pub cut: u64,
    /// They go on as the one before them, from a byte in the middle on.
    pub spliced: u64,
    /// They and up to 100 more are lost.
    pub gone: u64,
}

impl Damage {
    /// A network that harms nothing.
    pub const NONE: Self =
        Self { lost: 0, doubled: 0, late: 0, flipped: 0, flipped_from: 0, cut: 0, spliced: 0, gone: 0 };
}

/// A feed over such a network.
pub fn damaged(feed: Feed, damage: Damage, seed: u64) -> Feed {
    let mut random = Random::new(seed);
    let mut feed = feed;
    let mut late: VecDeque<(u64, Event)> = VecDeque::new();
    let mut ready: VecDeque<Timed> = VecDeque::new();
    let (mut gone, mut before) = (0, Vec::new());
    Box::new(std::iter::from_fn(move || {
        let hits = |one_in: u64, random: &mut Random| one_in > 0 && random.one_in(one_in);
        loop {
            if let Some(event) = ready.pop_front() {
                return Some(event);
            }
            let Timed { at, event } = feed.next()?;
            let Event::Rtp(track, mut packet) = event else { return Some(Timed { at, event }) };
            if hits(damage.gone, &mut random) {
                gone = 1 + random.below(100);
            }
            if gone > 0 || hits(damage.lost, &mut random) {
                gone = gone.saturating_sub(1);
                continue;
            }
            if damage.spliced > 0 {
                let whole = packet.clone();
                if hits(damage.spliced, &mut random) {
                    let at = random.below(1 + packet.len().min(before.len()) as u64) as usize;
                    packet.truncate(at);
                    packet.extend_from_slice(&before[at..]);
                }
                before = whole;
            }
            if hits(damage.cut, &mut random) {
                packet.truncate(random.below(1 + packet.len() as u64) as usize);
            }
            if damage.flipped > 0 {
                flip(&mut packet, damage, &mut random);
            }
            let event = Event::Rtp(track, packet);
            if hits(damage.late, &mut random) {
                late.push_back((1 + random.below(4), event));
                continue;
            }
            ready.push_back(Timed { at, event: event.clone() });
            if hits(damage.doubled, &mut random) {
                ready.push_back(Timed { at, event });
            }
            for (left, _) in &mut late {
                *left = left.saturating_sub(1);
            }
            while late.front().is_some_and(|(left, _)| *left == 0) {
                ready.extend(late.pop_front().map(|(_, event)| Timed { at, event }));
            }
        }
    }))
}

fn flip(packet: &mut [u8], damage: Damage, random: &mut Random) {
    // The way to the next flip is geometric: one number for each flip, not one for each bit.
    let mut at = damage.flipped_from * 8;
    loop {
        let unit = (random.draw() >> 11) as f64 / (1u64 << 53) as f64;
        let skipped = (1.0 - unit).ln() / (1.0 - 1.0 / damage.flipped as f64).ln();
        at = at.saturating_add(skipped as usize);
        let Some(byte) = packet.get_mut(at / 8) else { return };
        *byte ^= 0x80 >> (at % 8);
        at += 1;
    }
}

/// A network that stands still for `still` at the end of each `every`: what leaves then comes after it, at once.
pub fn delayed(feed: Feed, every: Duration, still: Duration) -> Feed {
    Box::new(feed.map(move |timed| {
        let rounds = (timed.at.as_secs_f64() / every.as_secs_f64()).floor();
        let into = timed.at - every.mul_f64(rounds).min(timed.at);
        let at = if into + still > every { every.mul_f64(rounds + 1.0) } else { timed.at };
        Timed { at, ..timed }
    }))
}
