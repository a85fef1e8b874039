//! What is measured of a camera that somebody tries out, and what is said of it in words, with what to change on the camera. Pure: the shell
//! runs the sessions and hands in what comes of them.

use crate::health::undecodable;
use crate::ingest::{Aside, Intake, Offer, PictureCodec, SoundCodec, SoundFormat};
use crate::media::Stream;
use crate::picture_gate::PictureGate;
use crate::ports::Later;
use bytes::Bytes;
use perch_base::ids::DeviceId;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long the first picture is waited for: most cameras send a keyframe each few seconds.
pub const PICTURE_WITHIN: Duration = Duration::from_secs(12);
/// How long pictures are looked at from the first one on, and how long at most where no second keyframe comes.
const LOOKED_FOR: Duration = Duration::from_secs(4);
const LOOKED_FOR_AT_MOST: Duration = Duration::from_secs(11);
/// How long a whole session may last.
pub const SESSION_WITHIN: Duration = Duration::from_secs(24);
/// Sentences of a session that are kept.
const MOST_NOTICES: usize = 8;
/// Probes that run at once, of all devices; each device has one.
const AT_ONCE: usize = 2;

/// Whether `by` may begin one more while these devices' probes run. Errors with `RateLimited`.
pub fn may_begin(running: &[DeviceId], by: DeviceId) -> Result<()> {
    let limited = |what: &str| Err(Error::new(ErrorKind::RateLimited, what));
    match running {
        _ if running.contains(&by) => {
            limited("a camera is being tried out from this device already: wait until it is done")
        }
        _ if running.len() >= AT_ONCE => limited("others are trying out cameras: try again in a minute"),
        _ => Ok(()),
    }
}

/// Whether a connection to `target` would end at a port of the box itself: `doors` are where it listens, `own` the addresses of this machine.
pub fn is_own_door(target: SocketAddr, doors: &[SocketAddr], own: &[IpAddr]) -> bool {
    let ip = target.ip().to_canonical();
    doors.iter().filter(|door| door.port() == target.port()).any(|door| {
        let door = door.ip().to_canonical();
        let is_here = ip.is_loopback() || ip.is_unspecified() || own.iter().any(|own| own.to_canonical() == ip);
        door == ip || (door.is_unspecified() && is_here) || (door.is_loopback() && ip.is_unspecified())
    })
}

/// What is said of an address that is one of the box's own.
pub fn own_door() -> Error {
    Error::invalid("this address is the box itself: give the camera's own address")
}

/// Measures one session with a stream of a camera. Holds at most one picture, the last keyframe.
#[derive(Clone, Debug)]
pub struct Gauge {
    stream: Stream,
    gate: PictureGate,
    offer: Option<Offer>,
    /// Why the box takes none of its pictures.
    refused: Option<String>,
    notices: Vec<String>,
    keyframe: Option<Bytes>,
    /// When the first picture came.
    came: Option<MonoTime>,
    /// First and last picture and keyframe, by their own times.
    pictures: Option<(MonoTime, MonoTime)>,
    starts: Option<(MonoTime, MonoTime)>,
    counted: (u64, u32),
    /// Bytes of all pictures but the last.
    bytes: u64,
    last_bytes: u64,
    round_trip: Option<Duration>,
    clock: Option<(MonoTime, Timestamp)>,
}

impl Gauge {
    /// Of a session that begins.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            gate: PictureGate::new(stream),
            offer: None,
            refused: None,
            notices: Vec::new(),
            keyframe: None,
            came: None,
            pictures: None,
            starts: None,
            counted: (0, 0),
            bytes: 0,
            last_bytes: 0,
            round_trip: None,
            clock: None,
        }
    }

    /// Takes in what came. False: enough was seen.
    pub fn take(&mut self, now: MonoTime, intake: Intake) -> bool {
        match intake {
            Intake::Offer(offer) => {
                self.refused = self.gate.offer(offer.pictures).err().map(|e| e.message().to_owned());
                self.offer = Some(offer);
            }
            Intake::Picture(picture) => {
                let (at, size) = (picture.decoded, picture.data.len() as u64);
                let first = *self.came.get_or_insert(now);
                let span = self.pictures.map_or(at, |(first, _)| first);
                self.pictures = Some((span, at));
                self.counted.0 += 1;
                self.bytes += std::mem::replace(&mut self.last_bytes, size);
                if picture.start {
                    self.starts = Some((self.starts.map_or(at, |(first, _)| first), at));
                    self.counted.1 += 1;
                    self.keyframe = Some(picture.data.clone());
                }
                self.gate.picture(now, picture);
                let looked = now.since(first);
                return looked < LOOKED_FOR || (self.counted.1 < 2 && looked < LOOKED_FOR_AT_MOST);
            }
            Intake::SoundFormat(format) => {
                if let Some(offer) = &mut self.offer {
                    offer.sound = Some(format);
                }
            }
            Intake::Notice(what) if self.notices.len() < MOST_NOTICES => self.notices.push(what),
            Intake::Aside(Aside::RoundTrip(took)) => self.round_trip = Some(took),
            Intake::Aside(Aside::Clock { came, says }) => self.clock = Some((came, says)),
            Intake::Notice(_) | Intake::Sound(_) | Intake::Awaits => {}
        }
        self.refused.is_none()
    }

    /// The last keyframe and how it is encoded, to make a still of.
    pub fn keyframe(&self) -> Option<(PictureCodec, Bytes)> {
        self.offer.as_ref().map(|offer| offer.pictures).zip(self.keyframe.clone())
    }

    fn has_picture(&self) -> bool {
        self.counted.0 > 0
    }

    /// Seconds from the first picture to the last, and how many came after the first.
    fn span(&self) -> Option<(f64, f64)> {
        let (first, last) = self.pictures?;
        let seconds = last.since(first).as_secs_f64();
        (seconds > 0.0).then_some((seconds, (self.counted.0 - 1) as f64))
    }

    /// What was measured. `civil`: what the box's clock said when its steady one said the other.
    pub fn measured(&self, civil: (MonoTime, Timestamp)) -> Measured {
        let known = self.gate.known();
        let shape = known.and_then(|known| known.shape).map(|shape| shape.turned());
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        let keyframes = self.starts.filter(|_| self.counted.1 > 1);
        let interval = keyframes.map(|(first, last)| last.since(first).as_secs_f64() / f64::from(self.counted.1 - 1));
        Measured {
            codec: self.offer.as_ref().map(|offer| name_of(offer.pictures)),
            width: shape.map(|shape| shape.square().0),
            height: shape.map(|shape| shape.height),
            fps: self.span().map(|(seconds, pictures)| tenths(pictures / seconds)),
            bitrate_kbps: self.span().map(|(seconds, _)| (self.bytes as f64 * 8.0 / 1000.0 / seconds).round() as u64),
            keyframe_interval_s: interval.map(tenths),
            has_b_frames: known.is_some_and(|known| known.reordered.is_some()),
            sound: self.offer.as_ref().and_then(|offer| offer.sound.as_ref()).map(name_of_sound),
            round_trip_ms: self.round_trip.map(|took| took.as_millis() as u64),
            clock_ahead_s: self.clock.and_then(|clock| clock_ahead_s(clock, civil)),
        }
    }
}

/// What was measured of a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// How its pictures are encoded; `None` where it did not begin.
    pub codec: Option<&'static str>,
    /// Pixels of a row, as it is seen.
    pub width: Option<u32>,
    /// Rows, as it is seen.
    pub height: Option<u32>,
    /// Pictures a second.
    pub fps: Option<f64>,
    /// Of its pictures alone, kbit/s.
    pub bitrate_kbps: Option<u64>,
    /// Seconds from keyframe to keyframe; `None` where fewer than two came.
    pub keyframe_interval_s: Option<f64>,
    /// Whether pictures travel in another order than they are shown in.
    pub has_b_frames: bool,
    /// Its sound, such as `AAC, 16 kHz`.
    pub sound: Option<String>,
    /// The shortest time in which it answered a request, milliseconds.
    pub round_trip_ms: Option<u64>,
    /// How far its clock is ahead of the box's, seconds; `None` where it does not tell the time.
    pub clock_ahead_s: Option<f64>,
}

/// Before this (2001), what a camera's reports say is no time but how long it has been running.
const FIRST_TIME: Timestamp = Timestamp(978_307_200_000_000);

fn clock_ahead_s((came, says): (MonoTime, Timestamp), (mono, utc): (MonoTime, Timestamp)) -> Option<f64> {
    let then = utc.plus_micros(came.micros_since(mono));
    (says >= FIRST_TIME).then(|| (says.micros_since(then) as f64 / 1e5).round() / 10.0)
}

/// How a codec is called.
pub fn name_of(codec: PictureCodec) -> &'static str {
    match codec {
        PictureCodec::H264 => "H.264",
        PictureCodec::H265 => "H.265",
        PictureCodec::Jpeg => "MJPEG",
    }
}

fn name_of_sound(format: &SoundFormat) -> String {
    let codec = match &format.codec {
        SoundCodec::Opus => "Opus",
        SoundCodec::Pcmu | SoundCodec::Pcma => "G.711",
        SoundCodec::G722 => "G.722",
        SoundCodec::G726 { .. } => "G.726",
        SoundCodec::L16 => "PCM",
        SoundCodec::Aac { .. } => "AAC",
        SoundCodec::MpegAudio { layer: 3 } => "MP3",
        SoundCodec::MpegAudio { .. } => "MPEG audio",
        SoundCodec::Other(name) => name,
    };
    format!("{codec}, {} kHz", f64::from(format.rate_hz) / 1000.0)
}

/// How much a sentence weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It works.
    Good,
    /// It works, and could be better.
    Advice,
    /// Something does not work as it should, and the box goes on without.
    Odd,
    /// The box gets no picture.
    Bad,
}

perch_base::all_of!(Weight { Good, Advice, Odd, Bad });

/// One sentence about a camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// How much it weighs.
    pub weight: Weight,
    /// Which stream it is about.
    pub stream: Stream,
    /// What is so; no full stop.
    pub what: String,
    /// What to change, mostly on the camera; empty where there is nothing.
    pub change: String,
}

/// What came of one session.
#[derive(Clone, Debug)]
pub struct Looked<'a> {
    /// What was seen in it.
    pub gauge: &'a Gauge,
    /// What was measured.
    pub measured: &'a Measured,
    /// How it ended; `Ok` where it was left.
    pub ended: &'a Result<()>,
    /// Its pictures cannot be decoded here.
    pub is_undecodable: bool,
    /// Whether its sound is wanted: where it is not, nothing is said of it.
    pub wants_sound: bool,
    /// The certificate that it showed and of which none was known.
    pub certificate: Option<&'a str>,
}

/// Beyond these, something is said.
const SLOWEST_KEYFRAMES_S: f64 = 4.0;
const FASTEST_KEYFRAMES_S: f64 = 0.45;
const FEWEST_FPS: f64 = 5.0;
const MOST_KBPS: u64 = 8_000;
const SLOWEST_ANSWER_MS: u64 = 500;
const MOST_CLOCK_S: f64 = 10.0;
const MOST_LOST: f64 = 0.01;

impl Looked<'_> {
    /// What is said of it: first how it is on the whole.
    pub fn judge(&self) -> Vec<Judgement> {
        let mut said = self.on_the_whole();
        if said.iter().all(|first| first.weight < Weight::Bad) && self.gauge.has_picture() {
            self.of_pictures(&mut said);
            self.of_sound(&mut said);
            self.of_the_way(&mut said);
        }
        if let Some(sha256) = self.certificate {
            said.push(self.odd(
                format!("its certificate was not known, and the first one is trusted; its SHA-256 is {sha256}"),
                "compare that with what the camera itself shows of it, or name it in the camera's `tls`",
            ));
        }
        said
    }

    fn say(&self, weight: Weight, what: impl Into<String>, change: &str) -> Judgement {
        Judgement { weight, stream: self.gauge.stream, what: what.into(), change: change.to_owned() }
    }

    fn odd(&self, what: impl Into<String>, change: &str) -> Judgement {
        self.say(Weight::Odd, what, change)
    }

    fn advice(&self, what: impl Into<String>, change: &str) -> Judgement {
        self.say(Weight::Advice, what, change)
    }

    fn on_the_whole(&self) -> Vec<Judgement> {
        let gauge = self.gauge;
        let bad = |what: &str, change: &str| vec![self.say(Weight::Bad, what, change)];
        // The box refuses it as soon as it is offered, whatever comes.
        if let Some(why) = &gauge.refused {
            return bad(&format!("it {why}"), "without that, leave the second stream out");
        }
        if self.is_undecodable {
            return bad(undecodable().message(), "the box gets no picture of it until then");
        }
        let (weight, then) = match gauge.has_picture() {
            true => (Weight::Odd, "the box goes on with it as it is"),
            false => (Weight::Bad, "change that in the camera: the box got no picture of it"),
        };
        let notices = || gauge.notices.iter().map(move |what| self.say(weight, what.as_str(), then));
        if self.ended.is_ok() && gauge.offer.is_some() && !gauge.has_picture() && !gauge.notices.is_empty() {
            // It says more than that no picture came.
            return notices().collect();
        }
        let first = match (self.ended, &gauge.offer) {
            (_, Some(_)) if gauge.has_picture() => self.say(Weight::Good, self.summary(), ""),
            (Err(e), _) => self.say(Weight::Bad, e.message(), remedy(e.kind())),
            (Ok(()), Some(_)) => self.say(
                Weight::Bad,
                format!("no picture that decoding can begin with came within {} s", PICTURE_WITHIN.as_secs()),
                "set a shorter keyframe interval in the camera: 2 s",
            ),
            (Ok(()), None) => self.say(
                Weight::Bad,
                format!("it does not begin within {} s", PICTURE_WITHIN.as_secs()),
                "see whether another player shows it, and whether it lets in one more connection",
            ),
        };
        std::iter::once(first).chain(notices()).collect()
    }

    /// `H.264 1920x1080, 25 pictures a second, 3.9 Mbit/s, with sound`.
    fn summary(&self) -> String {
        let Measured { codec, width, height, fps, bitrate_kbps, .. } = self.measured;
        let size = width.zip(*height).map(|(width, height)| format!(" {width}x{height}"));
        let fps = fps.map(|fps| format!(", {fps} pictures a second"));
        let rate = bitrate_kbps.map(|kbps| format!(", {:.1} Mbit/s", kbps as f64 / 1000.0));
        let sound = match (self.wants_sound, &self.measured.sound) {
            (false, _) => "",
            (true, Some(_)) => ", with sound",
            (true, None) => ", without sound",
        };
        let parts = [size, fps, rate].map(Option::unwrap_or_default).concat();
        format!("{}{parts}{sound}", codec.unwrap_or_default())
    }

    fn of_pictures(&self, said: &mut Vec<Judgement>) {
        let (gauge, m) = (self.gauge, self.measured);
        let is_main = gauge.stream == Stream::Main;
        let known = gauge.gate.known();
        let codec = gauge.offer.as_ref().map(|offer| offer.pictures);
        if codec == Some(PictureCodec::Jpeg) {
            said.push(self.advice(
                "it sends each picture as a JPEG, which the box has to encode anew",
                "set H.264 in the camera, or name its H.264 stream",
            ));
        }
        match m.keyframe_interval_s {
            _ if codec == Some(PictureCodec::Jpeg) => {}
            Some(interval) if interval > SLOWEST_KEYFRAMES_S => said.push(self.odd(
                format!("a keyframe comes each {interval} s only: a picture begins late, and recordings are cut late"),
                "set the keyframe interval (I-frame interval, GOP) in the camera to 2 s",
            )),
            Some(interval) if interval < FASTEST_KEYFRAMES_S => said.push(self.advice(
                format!("a keyframe comes each {interval} s, which costs bit rate"),
                "set the keyframe interval (I-frame interval, GOP) in the camera to 2 s",
            )),
            None if gauge.span().is_some_and(|(seconds, _)| seconds > SLOWEST_KEYFRAMES_S) => said.push(self.odd(
                format!("no second keyframe came within {:.0} s", gauge.span().map_or(0.0, |(seconds, _)| seconds)),
                "set the keyframe interval (I-frame interval, GOP) in the camera to 2 s",
            )),
            _ => {}
        }
        if m.has_b_frames && is_main {
            said.push(self.odd(
                "it sends B-frames, which browsers cannot show live: they get the small stream",
                "switch B-frames off in the camera (profile baseline, or no smart codec)",
            ));
        }
        if codec == Some(PictureCodec::H265) && !is_main {
            said.push(self.advice(
                "its second stream is H.265: the box decodes that and encodes the small stream itself",
                "set H.264 for the second stream in the camera",
            ));
        } else if m.has_b_frames && !is_main {
            said.push(self.odd(
                "its second stream has B-frames, which browsers cannot show live",
                "switch B-frames off for it in the camera (profile baseline, or no smart codec), or leave the second stream out",
            ));
        }
        if known.is_some_and(|known| known.gradual.is_some()) && is_main {
            said.push(self.odd(
                "it refreshes its picture bit by bit, and browsers cannot begin with that live: they get the small stream",
                "switch intra refresh off in the camera",
            ));
        }
        match m.fps {
            None => said
                .push(self.odd("only one picture came", "see in the camera whether it makes pictures at a set rate")),
            Some(fps) if fps < FEWEST_FPS => said.push(self.advice(
                format!("only {fps} pictures come a second"),
                "set more in the camera: 10 to 25; many send fewer in the dark",
            )),
            Some(_) => {}
        }
        if m.bitrate_kbps.is_some_and(|kbps| kbps > MOST_KBPS) {
            let mbit = m.bitrate_kbps.unwrap_or_default() as f64 / 1000.0;
            said.push(self.advice(
                format!("{mbit:.0} Mbit/s are {:.0} GB a day where all of it is recorded", mbit * 10.8),
                "set a lower bit rate in the camera: 4 Mbit/s are plenty for 1920x1080",
            ));
        }
    }

    fn of_sound(&self, said: &mut Vec<Judgement>) {
        let Some(offer) = self.gauge.offer.as_ref().filter(|_| self.wants_sound) else { return };
        match (&offer.sound, &offer.no_sound) {
            (_, Some(why)) => said.push(self.odd(why.as_str(), "the box goes on without its sound")),
            (Some(SoundFormat { codec: SoundCodec::Other(name), .. }), None) => said.push(self.odd(
                format!("its sound ({name}) cannot be decoded"),
                "set AAC, Opus or G.711 in the camera; the box goes on without its sound",
            )),
            _ => {}
        }
    }

    fn of_the_way(&self, said: &mut Vec<Judgement>) {
        let (m, counted) = (self.measured, self.gauge.gate.counted());
        if counted.lost as f64 > MOST_LOST * (counted.came + counted.lost) as f64 {
            said.push(self.odd(
                format!("{} of {} pictures were lost on the way", counted.lost, counted.came + counted.lost),
                "use a cable, or bring camera and access point closer together; a lower bit rate helps too",
            ));
        }
        if let Some(ms) = m.round_trip_ms.filter(|ms| *ms > SLOWEST_ANSWER_MS) {
            said.push(self.advice(format!("it takes {ms} ms to answer"), "see to its network: radio, or a busy line"));
        }
        if let Some(ahead) = m.clock_ahead_s.filter(|ahead| ahead.abs() > MOST_CLOCK_S) {
            let way = if ahead > 0.0 { "ahead of" } else { "behind" };
            said.push(self.advice(
                format!("its clock is {} {way} the box's: a time in its picture is wrong", long(ahead.abs())),
                "set a time server (NTP) and the time zone in the camera",
            ));
        }
    }
}

/// What is said of both streams together. `second` is the other's, where one is named.
pub fn together(main: &Measured, second: Option<&Measured>) -> Vec<Judgement> {
    let advice = |weight, what: &str, change: &str| {
        vec![Judgement { weight, stream: Stream::Main, what: what.into(), change: change.into() }]
    };
    let has_second = second.is_some_and(|second| second.codec == Some(name_of(PictureCodec::H264)));
    let pixels = |m: &Measured| m.width.zip(m.height).map(|(width, height)| u64::from(width) * u64::from(height));
    match main.codec {
        Some("H.265") if has_second => advice(
            Weight::Advice,
            "it sends H.265, which some browsers cannot show: they get its second stream, which is H.264",
            "",
        ),
        Some("H.265") => advice(
            Weight::Odd,
            "it sends H.265 only, which some browsers cannot show: for them the box has to encode a small stream itself",
            "set H.264 in the camera, or name its second stream if that is H.264",
        ),
        Some("H.264") if second.is_none() => advice(
            Weight::Advice,
            "no second stream is named: the box decodes the large one to see motion and to make a small one",
            "name the camera's second stream (sub stream), if it has one",
        ),
        Some(_) if second.and_then(pixels).zip(pixels(main)).is_some_and(|(small, large)| small >= large) => advice(
            Weight::Advice,
            "its second stream is as large as its first, which makes motion detection costly",
            "set 640x360 or so for the second stream in the camera",
        ),
        _ => Vec::new(),
    }
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unauthenticated => {
            "give the user and password of the camera itself, as its own app or page has them; some cameras have one of their own for RTSP"
        }
        ErrorKind::Unavailable | ErrorKind::Io => "switch the camera on; correct its address, port and network",
        _ => "change it in the camera, or correct what is said of it here",
    }
}

fn long(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// What is known of one stream of a camera that was tried out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbedStream {
    /// Which.
    pub stream: Stream,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// A still, JPEG in base64.
    pub still: Option<String>,
}

/// What is known of a camera that was tried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Probed {
    /// Its source, without credentials.
    pub source: String,
    /// The streams of a network camera.
    pub streams: Vec<ProbedStream>,
    /// What a USB camera offers, such as `MJPG 1920x1080 at 30`.
    pub modes: Option<String>,
    /// What is said of it, what matters first within a stream.
    pub judgement: Vec<Judgement>,
}

/// Looks at cameras before they are the box's.
pub trait ProbePort: Send + Sync {
    /// Tries a camera out that is described as one of the configuration is, or named by `camera` with what is to be otherwise; keeps nothing.
    /// Whoever drops the answer ends it. Errors: `Invalid` (key, value and rule; the box itself), `NotFound` (camera), `RateLimited` (one runs
    /// for this device, or too many). That a camera does not answer is no error: it stands in what is said of it.
    fn probe(&self, camera: Map<String, Value>, by: DeviceId) -> Later<'_, Result<Probed>>;
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
