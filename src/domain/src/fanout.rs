//! The fan-out's decisions: who gets which packet, how a consumer begins, when a keyframe is forced, what is in demand. It takes
//! `now`, reads no clock and calls no encoder: what must be done is handed out as commands. The lock is the shell's.

use crate::keyframe::{JoinWith, KeyframeGate, join};
use crate::media::{SharedPacket, Stream, Track, VideoCodec};
use crate::memory::PictureMemory;
use crate::refresh::whole_after;
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A consumer that refused all pictures that it was offered for this long, or all sound and was offered no picture, is cut off.
pub const CUT_AFTER: Duration = Duration::from_secs(10);
/// Pictures of a GOP that are cached at most: more than four minutes at 30 a second. Of a longer one nothing is (a joiner then waits for the
/// next keyframe): each packet costs memory of its own, however small it is.
pub const MAX_GOP_PACKETS: usize = 8192;

/// Keyframes are remembered for so long: whoever wants one of a moment hears of it a little later.
const KEYFRAMES_FOR: Duration = Duration::from_secs(2);
/// And so many bytes of them beside the newest.
const MAX_KEYFRAMES_BYTES: usize = 8 << 20;

/// What consumers use of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Somebody uses the sub-stream.
    pub sub: bool,
    /// Somebody listens or records sound.
    pub audio: bool,
    /// Bits a second that are enough of the sub-stream, where all who use it said what is enough for them: what the one says who needs most.
    pub sub_bps: Option<u64>,
}

/// One packet for one consumer.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The packet.
    pub packet: SharedPacket,
    /// Pictures before this one were lost to this consumer, or the source started again.
    pub discontinuity: bool,
}

/// What a consumer's queue says to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Taken.
    Taken,
    /// No room: dropped; deliveries go on at the next keyframe with room.
    Full,
    /// The consumer is gone.
    Closed,
}

/// A consumer's queue. Its methods are called from capture's thread while the hub is locked: they must neither block nor ask the
/// hub for anything. It is dropped after the lock.
pub trait Sink: Send {
    /// Takes one delivery or says why not.
    fn offer(&mut self, delivery: Delivery) -> Receipt;

    /// The source stopped or jumped: what comes next does not join what came before.
    fn interrupted(&mut self) {}
}

impl Sink for Box<dyn Sink> {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        (**self).offer(delivery)
    }

    fn interrupted(&mut self) {
        (**self).interrupted();
    }
}

/// What is to be done once the hub is unlocked, in this order. `C` is the capture that it is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<C> {
    /// Make the encoder's next frame a keyframe.
    ForceKeyframe(C, Stream),
    /// Encode what is used.
    SetDemand(C, Demand),
    /// Say that this consumer was cut off.
    ReportCutOff(String),
}

/// What a change brings.
pub struct Effects<S, C> {
    /// To be done.
    pub commands: Vec<Command<C>>,
    /// Queues of consumers that are no more, to be dropped.
    pub gone: Vec<S>,
}

impl<S, C> Default for Effects<S, C> {
    fn default() -> Self {
        Self { commands: Vec::new(), gone: Vec::new() }
    }
}

struct Consumer<S> {
    id: u64,
    name: String,
    sink: S,
    /// False: it takes sound alone, whatever the pictures do.
    pictures: bool,
    audio: bool,
    /// Bits a second that are enough for it; `None`: all there are.
    enough_bps: Option<u64>,
    /// It took a picture since the stream broke off: where it lost others and waits for a keyframe, its sound goes on.
    has_begun: bool,
    awaiting_keyframe: bool,
    discontinuity: bool,
    /// Since when it has refused all pictures that it was offered.
    without_pictures_since: Option<MonoTime>,
    /// The same of sound.
    without_sound_since: Option<MonoTime>,
}

struct Lane<S> {
    /// How the newest picture was encoded.
    codec: Option<VideoCodec>,
    /// Pictures alone: nobody hears the past.
    gop: Vec<SharedPacket>,
    gop_bytes: usize,
    /// What it may take at most.
    most_bytes: usize,
    gop_overflow: bool,
    /// When the first picture since the stream broke off is.
    begun_at: Option<MonoTime>,
    /// Where the newest keyframe stands in it. Before that is the GOP before, where only that one makes the newest whole.
    newest_at: usize,
    /// The newest keyframe, also when its GOP grew too long to be kept, and those shortly before it.
    keyframes: VecDeque<SharedPacket>,
    gate: KeyframeGate,
    consumers: Vec<Consumer<S>>,
}

impl<S> Default for Lane<S> {
    fn default() -> Self {
        Self {
            codec: None,
            gop: Vec::new(),
            gop_bytes: 0,
            most_bytes: PictureMemory::default().gop_bytes,
            gop_overflow: false,
            begun_at: None,
            newest_at: 0,
            keyframes: VecDeque::new(),
            gate: KeyframeGate::default(),
            consumers: Vec::new(),
        }
    }
}

struct Capture<C> {
    control: C,
    /// Which streams' encoders make keyframes on command: main, sub.
    commandable: [bool; 2],
}

/// One camera's fan-out.
pub struct HubMachine<S, C> {
    main: Lane<S>,
    sub: Lane<S>,
    capture: Option<Capture<C>>,
    demand: Demand,
    next_id: u64,
    dropped: u64,
    frames: u64,
}

impl<S, C> Default for HubMachine<S, C> {
    fn default() -> Self {
        let (main, sub) = (Lane::default(), Lane::default());
        Self { main, sub, capture: None, demand: Demand::default(), next_id: 0, dropped: 0, frames: 0 }
    }
}

impl<S: Sink, C: Clone> HubMachine<S, C> {
    /// A capture attempt begins: old GOPs go, consumers wait for its first keyframe, and the attempt learns what is used.
    pub fn connect(&mut self, control: C, commandable: [bool; 2], out: &mut Effects<S, C>) {
        out.commands.push(Command::SetDemand(control.clone(), self.demand));
        self.capture = Some(Capture { control, commandable });
        self.break_off();
    }

    /// A capture attempt ended.
    pub fn disconnect(&mut self) {
        self.capture = None;
        self.break_off();
    }

    /// A cached GOP may take so many bytes from now on.
    pub fn set_gop_bytes(&mut self, most_bytes: usize) {
        self.main.most_bytes = most_bytes;
        self.sub.most_bytes = most_bytes;
    }

    /// The stream jumped in time or format, or ended: consumers go on at the next keyframe.
    pub fn break_off(&mut self) {
        for lane in [&mut self.main, &mut self.sub] {
            lane.break_off();
        }
    }

    /// Only this stream jumped or ended: the other one goes on.
    pub fn break_off_one(&mut self, stream: Stream) {
        self.lane(stream).break_off();
    }

    /// One encoded video packet for every consumer of `stream`. Another codec than before breaks the stream off.
    pub fn publish_video(&mut self, stream: Stream, packet: &SharedPacket, now: MonoTime, out: &mut Effects<S, C>) {
        self.frames += 1;
        let lane = self.lane(stream);
        if lane.codec.is_some_and(|codec| Some(codec) != packet.codec) {
            lane.break_off();
        }
        lane.codec = packet.codec;
        if packet.keyframe {
            lane.begun_at.get_or_insert(packet.pts);
            lane.begin_gop(packet);
            lane.remember_keyframe(packet);
        }
        lane.remember(packet);
        let mut force = lane.gate.frame(packet.keyframe, now);
        let delivered = lane.deliver(packet, now, out);
        force |= delivered.lost_picture && lane.gate.request(now);
        self.dropped += delivered.dropped;
        if force {
            self.force_keyframe(stream, out);
        }
        if delivered.left {
            self.refresh_demand(now, out);
        }
    }

    /// One Opus packet for every consumer that listens.
    pub fn publish_audio(&mut self, packet: &SharedPacket, now: MonoTime, out: &mut Effects<S, C>) {
        let mut left = false;
        for stream in Stream::ALL {
            let delivered = self.lane(stream).deliver(packet, now, out);
            self.dropped += delivered.dropped;
            left |= delivered.left;
        }
        if left {
            self.refresh_demand(now, out);
        }
    }

    /// Somebody lost its picture. Coalesced to one forced keyframe a second.
    pub fn request_keyframe(&mut self, stream: Stream, now: MonoTime, out: &mut Effects<S, C>) {
        if self.commandable(stream) && self.lane(stream).gate.request(now) {
            self.force_keyframe(stream, out);
        }
    }

    /// How somebody begins who has everything since the keyframe of `cached`; asks for the keyframe where one is needed.
    pub fn start(
        &mut self,
        stream: Stream,
        cached: Option<MonoTime>,
        now: MonoTime,
        out: &mut Effects<S, C>,
    ) -> JoinWith {
        let commandable = self.commandable(stream);
        let lane = self.lane(stream);
        // What was cached before the stream broke off shows the past, be it of a capture that ended or without a mask.
        let is_past = |at: MonoTime| lane.keyframes.is_empty() || lane.begun_at.is_none_or(|begun| at < begun);
        let age = cached.filter(|at| !is_past(*at)).map(|at| now.since(at));
        let with = join(age, commandable, lane.gate.is_open(now));
        if with != JoinWith::CachedGop {
            self.request_keyframe(stream, now, out);
        }
        with
    }

    /// Attaches a queue and hands back how it begins: with the pictures of the cached GOP, which the queue's first packet follows without a
    /// hole, or with nothing, and then the queue's first packet is a keyframe.
    pub fn join(
        &mut self,
        stream: Stream,
        audio: bool,
        name: &str,
        sink: S,
        now: MonoTime,
        out: &mut Effects<S, C>,
    ) -> (u64, JoinWith, Vec<SharedPacket>) {
        let cached = self.lane(stream).gop.first().map(|p| p.pts);
        let with = self.start(stream, cached, now, out);
        let follows = with == JoinWith::CachedGop;
        let backlog = if follows { self.lane(stream).gop.clone() } else { Vec::new() };
        let id = self.add(stream, [true, audio], name, sink, !follows);
        self.refresh_demand(now, out);
        (id, with, backlog)
    }

    /// Attaches a queue that begins with the next keyframe.
    pub fn attach(
        &mut self,
        stream: Stream,
        audio: bool,
        name: &str,
        sink: S,
        now: MonoTime,
        out: &mut Effects<S, C>,
    ) -> u64 {
        let id = self.add(stream, [true, audio], name, sink, true);
        self.refresh_demand(now, out);
        id
    }

    /// Attaches a queue that takes sound alone, beside the main stream.
    pub fn listen(&mut self, name: &str, sink: S, now: MonoTime, out: &mut Effects<S, C>) -> u64 {
        let id = self.add(Stream::Main, [false, true], name, sink, true);
        self.refresh_demand(now, out);
        id
    }

    fn add(&mut self, stream: Stream, takes: [bool; 2], name: &str, sink: S, awaiting_keyframe: bool) -> u64 {
        let (id, [pictures, audio]) = (self.next_id, takes);
        self.next_id += 1;
        let consumer = Consumer {
            id,
            name: name.to_owned(),
            sink,
            pictures,
            audio,
            enough_bps: None,
            has_begun: !awaiting_keyframe,
            awaiting_keyframe,
            discontinuity: awaiting_keyframe,
            without_pictures_since: None,
            without_sound_since: None,
        };
        self.lane(stream).consumers.push(consumer);
        id
    }

    /// So many bits a second are enough for the consumer `id` of `stream`; `None`: it wants all there are. An encoder may make less then, where
    /// that holds of all who use it.
    pub fn set_enough(&mut self, stream: Stream, id: u64, bps: Option<u64>, now: MonoTime, out: &mut Effects<S, C>) {
        if let Some(consumer) = self.lane(stream).consumers.iter_mut().find(|c| c.id == id) {
            consumer.enough_bps = bps;
            self.refresh_demand(now, out);
        }
    }

    /// The capture that runs.
    pub fn capture(&self) -> Option<C> {
        self.capture.as_ref().map(|capture| capture.control.clone())
    }

    /// Takes a queue away.
    pub fn detach(&mut self, stream: Stream, id: u64, now: MonoTime, out: &mut Effects<S, C>) {
        let consumers = &mut self.lane(stream).consumers;
        if let Some(at) = consumers.iter().position(|c| c.id == id) {
            out.gone.push(consumers.remove(at).sink);
            self.refresh_demand(now, out);
        }
    }

    /// The newest keyframe of `stream`, if it still runs.
    pub fn latest_keyframe(&mut self, stream: Stream) -> Option<SharedPacket> {
        self.lane(stream).keyframes.back().cloned()
    }

    /// The first remembered keyframe of `stream` that is shown at or after `at`.
    pub fn keyframe_from(&mut self, stream: Stream, at: MonoTime) -> Option<SharedPacket> {
        self.lane(stream).keyframes.iter().find(|packet| packet.shown() >= at).cloned()
    }

    /// What is decoded to see `keyframe` of `stream`: that alone, or, where it is whole only after some more (intra refresh), all that is cached
    /// up to it. Empty: none of it is there any more.
    pub fn leading_to(&mut self, stream: Stream, keyframe: &SharedPacket) -> Vec<SharedPacket> {
        if !is_gradual(keyframe) {
            return vec![keyframe.clone()];
        }
        let gop = &self.lane(stream).gop;
        let at = gop.iter().position(|packet| Arc::ptr_eq(packet, keyframe));
        at.map_or(Vec::new(), |at| gop[..=at].to_vec())
    }

    /// What a consumer of `stream` that joins begins with because nothing can be asked for a keyframe: when the first cached picture is, and
    /// when the newest keyframe.
    pub fn only_start(&mut self, stream: Stream) -> Option<(MonoTime, MonoTime)> {
        let begins_with_it = !self.commandable(stream);
        let lane = self.lane(stream);
        let (first, newest) = lane.gop.first().zip(lane.gop.get(lane.newest_at)).filter(|_| begins_with_it)?;
        Some((first.pts, newest.pts))
    }

    /// Names of the consumers of `stream`.
    pub fn consumers(&mut self, stream: Stream) -> Vec<String> {
        self.lane(stream).consumers.iter().map(|c| c.name.clone()).collect()
    }

    /// What is used now.
    pub fn demand(&self) -> Demand {
        self.demand
    }

    /// Packets dropped at slow consumers.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Video packets published, of both streams.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    fn lane(&mut self, stream: Stream) -> &mut Lane<S> {
        match stream {
            Stream::Main => &mut self.main,
            Stream::Sub => &mut self.sub,
        }
    }

    /// Whether the encoder of `stream` makes keyframes on command.
    pub fn commandable(&self, stream: Stream) -> bool {
        self.capture.as_ref().is_some_and(|c| c.commandable[usize::from(stream == Stream::Sub)])
    }

    fn force_keyframe(&self, stream: Stream, out: &mut Effects<S, C>) {
        if let Some(capture) = self.capture.as_ref().filter(|_| self.commandable(stream)) {
            out.commands.push(Command::ForceKeyframe(capture.control.clone(), stream));
        }
    }

    fn refresh_demand(&mut self, now: MonoTime, out: &mut Effects<S, C>) {
        let all = || self.main.consumers.iter().chain(&self.sub.consumers);
        let enough: Option<Vec<u64>> = self.sub.consumers.iter().map(|c| c.enough_bps).collect();
        let demand = Demand {
            sub: !self.sub.consumers.is_empty(),
            audio: all().any(|c| c.audio),
            sub_bps: enough.and_then(|enough| enough.into_iter().max()),
        };
        let before = std::mem::replace(&mut self.demand, demand);
        if before.sub && !demand.sub {
            self.sub.forget_gop();
            self.sub.keyframes.clear();
        }
        if !before.sub && demand.sub {
            // Before it starts, so that its first picture stands alone.
            self.request_keyframe(Stream::Sub, now, out);
        }
        if let Some(capture) = self.capture.as_ref().filter(|_| demand != before) {
            out.commands.push(Command::SetDemand(capture.control.clone(), demand));
        }
    }
}

/// Whether a picture at which decoding starts is whole only after some more.
fn is_gradual(keyframe: &SharedPacket) -> bool {
    keyframe.codec.is_some_and(|codec| whole_after(codec, &keyframe.data) > 0)
}

/// What came of offering one packet to all consumers of a stream.
#[derive(Default)]
struct Delivered {
    dropped: u64,
    /// Somebody lost video and needs a keyframe.
    lost_picture: bool,
    /// Somebody is gone or was cut off.
    left: bool,
}

impl<S: Sink> Lane<S> {
    fn break_off(&mut self) {
        self.forget_gop();
        self.keyframes.clear();
        self.begun_at = None;
        for c in &mut self.consumers {
            (c.has_begun, c.awaiting_keyframe) = (false, true);
            c.discontinuity = true;
            c.sink.interrupted();
        }
    }

    fn remember_keyframe(&mut self, packet: &SharedPacket) {
        self.keyframes.push_back(packet.clone());
        let mut bytes = self.keyframes.iter().map(|k| k.data.len()).sum::<usize>() - packet.data.len();
        while self.keyframes.len() > 1
            && let Some(oldest) = self.keyframes.front()
            && (packet.pts.since(oldest.pts) > KEYFRAMES_FOR || bytes > MAX_KEYFRAMES_BYTES)
        {
            bytes -= oldest.data.len();
            self.keyframes.pop_front();
        }
    }

    fn forget_gop(&mut self) {
        self.gop.clear();
        (self.gop_bytes, self.newest_at) = (0, 0);
    }

    /// `keyframe` begins a GOP. One that is whole only after some more pictures (intra refresh) is whole at once for whoever has the GOP
    /// before it as well, so that one stays.
    fn begin_gop(&mut self, keyframe: &SharedPacket) {
        self.gop_overflow = false;
        match is_gradual(keyframe) {
            true => self.drop_gop_before(),
            false => self.forget_gop(),
        }
        self.newest_at = self.gop.len();
    }

    /// Lets go of what is before the newest keyframe.
    fn drop_gop_before(&mut self) {
        self.gop_bytes -= self.gop.drain(..self.newest_at).map(|packet| packet.data.len()).sum::<usize>();
        self.newest_at = 0;
    }

    fn remember(&mut self, packet: &SharedPacket) {
        if self.gop_overflow || (self.gop.is_empty() && !packet.keyframe) {
            return;
        }
        let is_full =
            |lane: &Self| lane.gop.len() >= MAX_GOP_PACKETS || lane.gop_bytes + packet.data.len() > lane.most_bytes;
        if is_full(self) {
            self.drop_gop_before();
        }
        if is_full(self) {
            self.forget_gop();
            self.gop_overflow = true;
            return;
        }
        self.gop_bytes += packet.data.len();
        self.gop.push(packet.clone());
    }

    fn deliver<C>(&mut self, packet: &SharedPacket, now: MonoTime, out: &mut Effects<S, C>) -> Delivered {
        let mut delivered = Delivered::default();
        let mut at = 0;
        while let Some(consumer) = self.consumers.get_mut(at) {
            if consumer.take(packet, now, &mut delivered, &mut out.commands) {
                at += 1;
            } else {
                delivered.left = true;
                out.gone.push(self.consumers.remove(at).sink);
            }
        }
        delivered
    }
}

impl<S: Sink> Consumer<S> {
    /// Offers one packet. False: the consumer is no more.
    fn take<C>(
        &mut self,
        packet: &SharedPacket,
        now: MonoTime,
        delivered: &mut Delivered,
        commands: &mut Vec<Command<C>>,
    ) -> bool {
        let audio = packet.track == Track::Audio;
        let is_left_out = match audio {
            true => !self.audio || (self.pictures && !self.has_begun),
            false => !self.pictures || (self.awaiting_keyframe && !packet.keyframe),
        };
        if is_left_out {
            return true;
        }
        let delivery = Delivery { packet: packet.clone(), discontinuity: self.discontinuity && !audio };
        match self.sink.offer(delivery) {
            Receipt::Taken if audio => {
                self.without_sound_since = None;
                true
            }
            Receipt::Taken => {
                self.has_begun = true;
                (self.without_pictures_since, self.without_sound_since) = (None, None);
                self.discontinuity = false;
                self.awaiting_keyframe = false;
                true
            }
            Receipt::Full => {
                delivered.dropped += 1;
                // Sound that is lost leaves the pictures whole.
                if !audio {
                    self.discontinuity = true;
                    // Only the first loss asks: a slow consumer must not make the encoder burst for its neighbours.
                    delivered.lost_picture |= !self.awaiting_keyframe;
                    self.awaiting_keyframe = true;
                }
                let since = if audio { &mut self.without_sound_since } else { &mut self.without_pictures_since };
                let keep = now.since(*since.get_or_insert(now)) < CUT_AFTER;
                if !keep {
                    commands.push(Command::ReportCutOff(self.name.clone()));
                }
                keep
            }
            Receipt::Closed => false,
        }
    }
}

#[cfg(test)]
#[path = "fanout_tests.rs"]
mod tests;
