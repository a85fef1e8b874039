//! One track of a session: its packets in order, taken apart, and given times.

use super::choose::{picture_payload, sound_payload};
use super::jpeg::JpegPackets;
use super::nal_packets::NalPackets;
use super::order::Order;
use super::packet::Packet;
use super::reorder::{Arrived, Reorder};
use super::rtcp::Reception;
use super::sound::{Frame, SoundPace, SoundPackets};
use super::text;
use super::timeline::Timeline;
use super::units::{Trouble, Units};
use crate::format::{PayloadType, SdpLine};
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::bitstream::nal_units;
use perch_domain::ingest::{Intake, Picture, PictureCodec, Shape, Sound, SoundFormat};
use perch_domain::orientation::Orientation;
use std::time::Duration;

/// So many packets of one payload type that the description does not name, and none that it does, are the line's; of a slow camera, fewer
/// that come for so long.
const UNNAMED_PACKETS: u32 = 50;
const UNNAMED_SLOW: (u32, Duration) = (3, Duration::from_secs(4));
/// Pictures of which nothing could be made for so long are none.
const FRUITLESS_AFTER: Duration = Duration::from_secs(8);
const FRUITLESS: &str = "it sends packets in which no picture can be found: choose another video codec there, restart it or update its firmware";

/// What a track carries.
#[derive(Debug)]
enum Media {
    Nals(Box<Nals>),
    Jpeg { packets: JpegPackets, shape: Option<Shape>, broken: bool, said: bool },
    Sound { packets: SoundPackets, pace: SoundPace, frames: Vec<Frame>, broken: bool },
    Nothing,
}

/// Pictures of NAL units.
#[derive(Debug)]
struct Nals {
    packets: NalPackets,
    units: Units,
    order: Order,
    shape: Option<Shape>,
    /// What was said to people: each thing once a session.
    said: Vec<std::mem::Discriminant<Trouble>>,
}

/// One track of a session.
#[derive(Debug)]
pub(crate) struct Track {
    /// All payload types of its line, and those that are taken.
    known: Vec<u8>,
    taken: Vec<u8>,
    /// A payload type that no line names, how many packets of it came one after the other, and when the first; until one came that is taken.
    unnamed: Option<(u8, u32, MonoTime)>,
    /// When its first packet came, and whether anything was made of one.
    first: Option<MonoTime>,
    is_fruitful: bool,
    clock_hz: u32,
    reorder: Reorder,
    reception: Reception,
    times: Timeline,
    media: Media,
}

impl Track {
    fn new(line: &SdpLine, payload: Option<&PayloadType>, ordered: bool, media: Media) -> Self {
        let same = |p: &&PayloadType| {
            payload.is_some_and(|taken| p.encoding == taken.encoding && p.clock_hz == taken.clock_hz)
        };
        let clock_hz = payload.map_or(90_000, |payload| payload.clock_hz.max(1));
        Self {
            known: line.payload_types.iter().map(|payload| payload.number).collect(),
            taken: line.payload_types.iter().filter(same).map(|payload| payload.number).collect(),
            unnamed: Some((0, 0, MonoTime::default())),
            first: None,
            is_fruitful: false,
            clock_hz,
            reorder: Reorder::new(ordered),
            reception: Reception::default(),
            times: Timeline::new(clock_hz),
            media,
        }
    }

    /// Of a line of pictures.
    pub fn pictures(line: &SdpLine, ordered: bool) -> Self {
        let Some((payload, codec)) = picture_payload(line) else { return Self::ignored(line, ordered) };
        if codec == PictureCodec::Jpeg {
            let side = |name| payload.parameter(name).and_then(text::number).and_then(|n| u16::try_from(n).ok());
            let said =
                ["x-dimensions", "framesize"].iter().find_map(|name| payload.parameter(name).and_then(text::size));
            let size = said.or_else(|| side("width").zip(side("height")));
            let media = Media::Jpeg { packets: JpegPackets::new(size), shape: None, broken: false, said: false };
            return Self::new(line, Some(payload), ordered, media);
        }
        let numbered = payload.parameter("sprop-max-don-diff").and_then(text::number).is_some_and(|n| n > 0);
        let mut units = Units::new(codec);
        for name in ["sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets"] {
            let sets = payload.parameter(name).into_iter().flat_map(|sets| sets.split(',')).take(512);
            for set in sets.filter_map(text::from_base64) {
                // Some write start codes before them.
                if set.starts_with(&[0, 0]) {
                    nal_units(&set).for_each(|set| units.sdp_set(set.to_vec()));
                } else {
                    units.sdp_set(set);
                }
            }
        }
        let media = Media::Nals(Box::new(Nals {
            packets: NalPackets::new(codec, numbered),
            units,
            order: Order::default(),
            shape: None,
            said: Vec::new(),
        }));
        Self::new(line, Some(payload), ordered, media)
    }

    /// Of a line of sound.
    pub fn sound(line: &SdpLine, ordered: bool) -> Self {
        let Some(payload) = sound_payload(line).or(line.payload_types.first()) else {
            return Self::ignored(line, ordered);
        };
        let packets = SoundPackets::new(payload);
        let media = Media::Sound { packets, pace: SoundPace::new(), frames: Vec::new(), broken: false };
        Self::new(line, Some(payload), ordered, media)
    }

    /// Of a line that nobody asked for.
    pub fn ignored(line: &SdpLine, ordered: bool) -> Self {
        Self::new(line, None, ordered, Media::Nothing)
    }

    /// What its sound is.
    pub fn sound_format(&self) -> Option<&SoundFormat> {
        match &self.media {
            Media::Sound { packets, .. } => Some(packets.format()),
            _ => None,
        }
    }

    /// Whether its line names this payload type.
    pub fn knows(&self, payload_type: u8) -> bool {
        self.known.contains(&payload_type)
    }

    /// Its times.
    pub fn times(&self) -> &Timeline {
        &self.times
    }

    /// Moves its times.
    pub fn shift_to(&mut self, micros: f64) {
        self.times.shift_to(micros);
    }

    /// A source says that it ends.
    pub fn bye(&mut self, ssrc: u32) {
        self.reorder.bye(ssrc);
    }

    /// A sender's report. False where it is another's.
    pub fn sender_report(&mut self, now: MonoTime, ssrc: u32, ntp: u64) -> bool {
        self.reception.sender_report(now, ssrc, ntp);
        self.reorder.is_source(ssrc)
    }

    /// What is reported of it.
    pub fn receiver_report(&mut self, now: MonoTime, own: u32) -> Vec<u8> {
        self.reception.report(now, own)
    }

    /// Takes a packet.
    pub fn rtp(&mut self, now: MonoTime, packet: Bytes, out: &mut Vec<Intake>) {
        let first = *self.first.get_or_insert(now);
        let is_picture = matches!(self.media, Media::Nals(_) | Media::Jpeg { .. });
        if is_picture && !self.is_fruitful && now.since(first) >= FRUITLESS_AFTER {
            // Said once.
            self.is_fruitful = true;
            out.push(Intake::Notice(FRUITLESS.into()));
        }
        let Some(packet) = Packet::parse(packet).filter(|packet| self.takes(now, packet.payload_type)) else { return };
        if self.reorder.is_source(packet.ssrc) || self.reorder.has_no_source() {
            self.reception.packet(now, &packet, self.clock_hz);
        }
        self.reorder.push(now, packet);
        self.drain(out);
    }

    /// Whether packets of a payload type are its own. Some cameras describe one and send another: where none comes that is named, the only
    /// other one is it.
    fn takes(&mut self, now: MonoTime, payload_type: u8) -> bool {
        if self.taken.contains(&payload_type) {
            self.unnamed = None;
            return true;
        }
        let Some((last, count, since)) = &mut self.unnamed else { return false };
        if self.taken.is_empty() || self.known.contains(&payload_type) {
            return false;
        }
        if *last != payload_type || *count == 0 {
            (*last, *count, *since) = (payload_type, 0, now);
        }
        *count += 1;
        let is_it = *count >= UNNAMED_PACKETS || *count >= UNNAMED_SLOW.0 && now.since(*since) >= UNNAMED_SLOW.1;
        if is_it {
            self.known.push(payload_type);
            self.taken.push(payload_type);
        }
        is_it
    }

    /// Ends waits that are over; says when to be called next.
    pub fn tick(&mut self, now: MonoTime, out: &mut Vec<Intake>) -> Option<MonoTime> {
        let packets = self.reorder.tick(now);
        self.drain(out);
        let mut due = None;
        if let Media::Nals(nals) = &mut self.media {
            due = nals.units.tick(now);
            let before = out.len();
            nals.hand_on(&mut self.times, out);
            self.is_fruitful |= out.len() > before;
        }
        packets.into_iter().chain(due).min()
    }

    fn drain(&mut self, out: &mut Vec<Intake>) {
        let before = out.len();
        while let Some(arrived) = self.reorder.pop() {
            match &mut self.media {
                Media::Nals(nals) => nals.take(arrived, &mut self.times, out),
                Media::Jpeg { packets, shape, broken, said } => {
                    take_jpeg(arrived, packets, shape, broken, &mut self.times, out);
                    if let Some((width, height)) = packets.too_large()
                        && !std::mem::replace(said, true)
                    {
                        out.push(Intake::Notice(sentence(Trouble::Size(width, height))));
                    }
                }
                Media::Sound { packets, pace, frames, broken } => {
                    take_sound(arrived, (packets, pace), frames, broken, &mut self.times, out);
                }
                Media::Nothing => {}
            }
        }
        self.is_fruitful |= out.len() > before;
    }
}

impl Nals {
    fn take(&mut self, arrived: Arrived, times: &mut Timeline, out: &mut Vec<Intake>) {
        let Arrived { packet, at, lost, new_source } = arrived;
        if lost || new_source {
            self.packets.lost(&mut self.units);
        }
        if new_source {
            self.units.new_source();
        } else if lost {
            self.units.lost();
        }
        self.packets.push(packet.payload, packet.stamp, at, &mut self.units);
        self.units.packet_ends(packet.marker);
        self.hand_on(times, out);
    }

    fn hand_on(&mut self, times: &mut Timeline, out: &mut Vec<Intake>) {
        while let Some(unit) = self.units.pop() {
            if unit.new_source {
                times.restart();
                self.order.restart();
            }
            if unit.start {
                self.order.say(unit.reorder);
            }
            times.set_reorders(self.order.reorders(), unit.may_reorder);
            let moment = times.stamp(unit.stamp, unit.at);
            let (shown, decoded) = self.order.next(moment.at, times.spacing(), unit.may_reorder);
            out.push(Intake::Picture(Picture {
                data: unit.data,
                shown,
                decoded,
                start: unit.start,
                break_before: unit.new_source || moment.jumped,
                lost_before: unit.broken,
                shape: news(&mut self.shape, unit.shape),
            }));
        }
        if self.units.awaits() {
            out.push(Intake::Awaits);
        }
        for trouble in self.units.troubles() {
            let kind = std::mem::discriminant(&trouble);
            if !self.said.contains(&kind) {
                self.said.push(kind);
                out.push(Intake::Notice(sentence(trouble)));
            }
        }
    }
}

fn news(known: &mut Option<Shape>, shape: Shape) -> Option<Shape> {
    (known.replace(shape) != Some(shape)).then_some(shape)
}

fn sentence(trouble: Trouble) -> String {
    match trouble {
        Trouble::Size(width, height) => {
            format!("the camera says its pictures have {width}x{height} pixels, which is more than can be taken: set a smaller resolution")
        }
        Trouble::TooLarge => "a picture of more than 16 MiB was left out: lower the camera's bit rate".into(),
        Trouble::TooMany => "the camera sends more than 500 pictures a second, some were left out: lower its frame rate".into(),
        Trouble::NoSets => {
            "the camera sends no parameter sets (SPS, PPS), so its pictures cannot be decoded: restart it or update its firmware".into()
        }
        Trouble::NoStart => {
            "no keyframe came in 10 s: set the camera's keyframe interval (GOP, I-frame interval) to about 2 s".into()
        }
    }
}

fn take_jpeg(
    arrived: Arrived,
    packets: &mut JpegPackets,
    shape: &mut Option<Shape>,
    broken: &mut bool,
    times: &mut Timeline,
    out: &mut Vec<Intake>,
) {
    let Arrived { packet, at, lost, new_source } = arrived;
    if new_source {
        times.restart();
    }
    if lost || new_source {
        packets.lost();
        *broken = true;
    }
    let done = packets.push(&packet.payload, packet.extension.as_ref(), packet.stamp, packet.marker, at);
    *broken |= done.is_err();
    let Ok(Some(jpeg)) = done else { return };
    let moment = times.stamp(jpeg.stamp, jpeg.at);
    let (width, height) = (u32::from(jpeg.size.0), u32::from(jpeg.size.1));
    out.push(Intake::Picture(Picture {
        data: jpeg.data,
        shown: moment.at,
        decoded: moment.at,
        start: true,
        break_before: moment.jumped,
        lost_before: std::mem::take(broken),
        shape: news(shape, Shape { width, height, pixel: (1, 1), interlaced: false, orientation: Orientation::NONE }),
    }));
}

fn take_sound(
    arrived: Arrived,
    (packets, pace): (&mut SoundPackets, &mut SoundPace),
    frames: &mut Vec<Frame>,
    broken: &mut bool,
    times: &mut Timeline,
    out: &mut Vec<Intake>,
) {
    let Arrived { packet, at, lost, new_source } = arrived;
    if new_source {
        times.restart();
    }
    if lost || new_source {
        packets.lost();
        *broken = true;
    }
    *broken |= !packets.push(&packet.payload, packet.marker, frames);
    out.extend(packets.take_change().cloned().map(Intake::SoundFormat));
    for frame in frames.drain(..) {
        if !pace.allows(at, frame.lasts) {
            *broken = true;
            continue;
        }
        let moment = times.stamp(packet.stamp.wrapping_add(frame.later_ticks), at);
        out.push(Intake::Sound(Sound {
            // A copy: a slice of what was read would keep all of it in memory.
            data: Bytes::copy_from_slice(&frame.data),
            heard: moment.at,
            lasts: frame.lasts,
            break_before: std::mem::take(broken) || moment.jumped,
        }));
    }
}
