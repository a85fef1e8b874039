//! What a camera sends after PLAY, and when: a row of events without end that needs neither socket nor clock.

mod damage;

pub use damage::{Damage, damaged, delayed};

use crate::media::{Track, Unit};
use crate::rtp::{Stream, h264, sound};
use std::sync::Arc;
use std::time::Duration;

/// One thing that leaves the camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An RTP packet of a track, counted from 0 in the SDP's order.
    Rtp(usize, Vec<u8>),
    /// An RTCP packet of a track.
    Rtcp(usize, Vec<u8>),
    /// Bytes in the RTSP connection that are no packet.
    Raw(Vec<u8>),
    /// The camera closes the connection.
    Close,
}

/// An event and when it happens, counted from PLAY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When.
    pub at: Duration,
    /// What.
    pub event: Event,
}

/// Events in the order of their time.
pub type Feed = Box<dyn Iterator<Item = Timed> + Send>;

/// What a feed knows of the session that it is made for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// How long the camera has run.
    pub up: Duration,
    /// The camera's wall clock at PLAY, since 1970.
    pub wall: Duration,
    /// The session's number, from 0.
    pub session: u64,
}

/// A picture or a piece of sound, and its time.
#[derive(Clone, Debug)]
pub struct Shot {
    /// When it leaves, counted from PLAY, in seconds.
    pub at: f64,
    /// RTP time.
    pub stamp: u32,
    /// What.
    pub unit: Unit,
}

type Schedule = Box<dyn FnMut(u64) -> Shot + Send>;
type Pack = Box<dyn FnMut(&mut Stream, &Shot, u64) -> Vec<Vec<u8>> + Send>;
type Skew = Box<dyn Fn(f64) -> f64 + Send>;

/// One track: what is sent when, and how it goes into packets.
pub struct Source {
    track: usize,
    stream: Stream,
    schedule: Schedule,
    pack: Pack,
    wall: Duration,
    skew: Option<Skew>,
}

/// Seconds that are not negative.
pub fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s.max(0.0))
}

/// The first RTP time of a session's track.
pub fn first_stamp(start: &Start, track: usize) -> u32 {
    Stream::new(track as u8, start.session ^ 0x5eed).ssrc
}

impl Source {
    /// H.264 pictures at a steady rate, looped, on track 0.
    pub fn pictures(start: &Start, units: &[Unit], rate: f64) -> Self {
        let (units, base): (Arc<[Unit]>, u32) = (units.into(), first_stamp(start, 0));
        let schedule = move |n: u64| Shot {
            at: n as f64 / rate,
            stamp: base.wrapping_add((n as f64 * 90_000.0 / rate) as u64 as u32),
            unit: units[(n % units.len() as u64) as usize].clone(),
        };
        Self {
            track: 0,
            stream: Stream::new(96, start.session),
            schedule: Box::new(schedule),
            pack: Box::new(h264::pack),
            wall: start.wall,
            skew: Some(Box::new(|_| 0.0)),
        }
    }

    /// Sound, looped, on track 1.
    pub fn sound(start: &Start, payload_type: u8, track: &Track) -> Self {
        let (frames, base) = (track.frames.clone(), first_stamp(start, 1));
        let (frame_s, ticks) = (track.frame_s, track.ticks);
        let schedule = move |n: u64| Shot {
            at: n as f64 * frame_s,
            stamp: base.wrapping_add((n as u32).wrapping_mul(ticks)),
            unit: Arc::new(vec![frames[(n % frames.len() as u64) as usize].clone()]),
        };
        Self {
            track: 1,
            stream: Stream::new(payload_type, start.session),
            schedule: Box::new(schedule),
            pack: Box::new(sound::plain),
            wall: start.wall,
            skew: Some(Box::new(|_| 0.0)),
        }
    }

    /// On another track.
    pub fn on(self, track: usize) -> Self {
        Self { track, ..self }
    }

    /// As another RTP stream.
    pub fn stream(self, stream: Stream) -> Self {
        Self { stream, ..self }
    }

    /// With packets made otherwise.
    pub fn packed(self, pack: impl FnMut(&mut Stream, &Shot, u64) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        Self { pack: Box::new(pack), ..self }
    }

    /// With a change to each picture's time, stamp or units; it knows the picture's number.
    pub fn changed(self, mut change: impl FnMut(&mut Shot, u64) + Send + 'static) -> Self {
        let mut schedule = self.schedule;
        let changed = move |n| {
            let mut shot = schedule(n);
            change(&mut shot, n);
            shot
        };
        Self { schedule: Box::new(changed), ..self }
    }

    /// From this picture on.
    pub fn from(self, first: u64) -> Self {
        let mut schedule = self.schedule;
        let mut begin = None;
        let later = move |n| {
            let mut shot = schedule(n + first);
            shot.at -= *begin.get_or_insert(shot.at);
            shot
        };
        Self { schedule: Box::new(later), ..self }
    }

    /// With sender reports whose clock is wrong by some seconds, as a function of the time since PLAY.
    pub fn skewed(self, skew: impl Fn(f64) -> f64 + Send + 'static) -> Self {
        Self { skew: Some(Box::new(skew)), ..self }
    }

    /// Without sender reports.
    pub fn unreported(self) -> Self {
        Self { skew: None, ..self }
    }

    /// Its events: a sender report each five seconds, from the first picture on.
    pub fn feed(mut self) -> Feed {
        let (mut number, mut report_at, mut held) = (0, 0.0, Vec::<Timed>::new().into_iter());
        let next = move || {
            loop {
                if let Some(event) = held.next() {
                    return Some(event);
                }
                let shot = (self.schedule)(number);
                let at = seconds(shot.at);
                let packets = (self.pack)(&mut self.stream, &shot, number);
                let mut events: Vec<_> =
                    packets.into_iter().map(|p| Timed { at, event: Event::Rtp(self.track, p) }).collect();
                if let Some(skew) = self.skew.as_ref().filter(|_| shot.at >= report_at) {
                    report_at = shot.at + 5.0;
                    let wall = self.wall.as_secs_f64() + shot.at + skew(shot.at);
                    let report = self.stream.report(seconds(wall), shot.stamp);
                    events.push(Timed { at, event: Event::Rtcp(self.track, report) });
                }
                number += 1;
                held = events.into_iter();
            }
        };
        Box::new(std::iter::from_fn(next))
    }
}

/// Two feeds side by side.
pub fn merged(first: Feed, second: Feed) -> Feed {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    Box::new(std::iter::from_fn(move || match (first.peek(), second.peek()) {
        (Some(a), Some(b)) if b.at < a.at => second.next(),
        (Some(_), _) => first.next(),
        (None, _) => second.next(),
    }))
}

/// Something each `every`, for the first time after as long.
pub fn periodic(every: Duration, mut event: impl FnMut(u64) -> Event + Send + 'static) -> Feed {
    Box::new((1u64..).map(move |n| Timed { at: every.mul_f64(n as f64), event: event(n) }))
}

/// What comes before `end`, and then the end of the connection.
pub fn closing(feed: Feed, end: Duration) -> Feed {
    let close = std::iter::once(Timed { at: end, event: Event::Close });
    Box::new(feed.take_while(move |timed| timed.at < end).chain(close))
}

/// What comes before `end`, and then nothing.
pub fn ending(feed: Feed, end: Duration) -> Feed {
    Box::new(feed.take_while(move |timed| timed.at < end))
}

/// The second feed from `at` on.
pub fn then(first: Feed, at: Duration, second: Feed) -> Feed {
    Box::new(ending(first, at).chain(second.map(move |timed| Timed { at: timed.at + at, ..timed })))
}

/// Something done to each RTP packet of a track.
pub fn each_packet(feed: Feed, track: usize, mut change: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static) -> Feed {
    Box::new(feed.map(move |timed| match timed.event {
        Event::Rtp(t, packet) if t == track => Timed { event: Event::Rtp(t, change(packet)), ..timed },
        event => Timed { event, ..timed },
    }))
}
