//! Decoding of what a camera encoded itself, for motion and the small stream: a pipeline of its own that hangs on the hub like any other
//! consumer, is there only while somebody needs it, and fails and starts again alone.

use super::control::{Control, until};
use super::flow::{Flow, Signal};
use super::graph::{Averaged, SharedThinner, Wiring, shape};
use super::running::Running;
use super::settings::{CaptureEvent, Progress, Settings};
use super::tries::Tries;
use super::turned::Turned;
use crate::fanout::{Delivery, Hub, Receipt, Sink};
use crate::pipeline::Library;
use crate::probes::withheld;
use crate::{encoders, h264, pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::clock::within;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::capture_attempt::{LET_GO_WITHIN, START_WITHIN};
use perch_domain::fanout::Demand;
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use perch_domain::motion::{Batch, Roles};
use perch_domain::orientation::Orientation;
use perch_domain::pace::Bottleneck;
use perch_domain::refresh::RefreshWatch;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Nothing comes out for so long although so many pictures went in: they cannot be decoded.
const BARREN_AFTER: (Duration, u64) = (Duration::from_secs(10), 50);
/// Pictures, and their bytes, that may wait for a decoder that is too slow. What is more is dropped up to the next start.
const WAITING: (u64, u64) = (60, 4 << 20);
/// A group of pictures that has begun is decoded from its start, up to so many pictures, bytes and pixels (1,500 pictures of 1920x1080); of
/// a longer one the next start is waited for.
const BACKLOG: (usize, usize, u64) = (8192, 16 << 20, 1500 * 1920 * 1080);
/// The next start is said to be waited for after so long.
const SAID_AFTER: Duration = Duration::from_secs(3);
/// Stands where nothing came out yet.
const NEVER: i64 = i64::MIN;
/// Stands while no picture is wanted.
const NONE_YET: i64 = i64::MAX;

/// What is decoded, and for what.
#[derive(Clone)]
pub(super) struct Decoded {
    /// Where it comes, and as which stream; `None`: it is the camera's large one.
    pub source: Option<(Arc<Hub>, Stream)>,
    /// Its codec.
    pub codec: VideoCodec,
    /// Whether the small stream is made of it; else it is for motion alone.
    pub makes_small: bool,
}

/// Takes why decoding does not work, or that it does.
type Report<'a> = &'a (dyn Fn(Option<&Error>) + Send + Sync);

/// Decodes while it is needed, until this is dropped. Says why it does not work, or that it does: of the pictures for motion, and of the
/// small stream where that is made of the same.
pub(super) async fn keep(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    control: &Arc<Control>,
    what: Decoded,
    progress: Progress<'_>,
) {
    let report = |why: Option<&Error>| {
        let why = why.map(|why| why.message().to_owned());
        if what.makes_small {
            progress(CaptureEvent::Small(why.clone()));
        }
        progress(CaptureEvent::MotionPictures(why));
    };
    let for_motion = settings.config.motion.enabled;
    let is_wanted = |demand: &Demand| for_motion || (what.makes_small && demand.sub);
    let mut demand = control.demand();
    let mut tries = Tries::new(settings);
    while until(&mut demand, is_wanted).await {
        tries.begin();
        let wanted_no_more = async {
            // The control lives as long as this.
            until(&mut demand, |demand| !is_wanted(demand)).await;
        };
        let Err(why) = run_once(settings, flow, control, &what, &report, wanted_no_more).await else {
            report(None);
            tries.ended_well();
            continue;
        };
        report(Some(&why));
        tries.failed(&why, "the camera's pictures are not decoded; they are recorded all the same").await;
    }
}

/// One attempt. Ends well when it is not needed any more, and where the camera wants its pictures turned in another way.
async fn run_once(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    control: &Arc<Control>,
    what: &Decoded,
    report: Report<'_>,
    wanted_no_more: impl Future<Output = ()>,
) -> Result<()> {
    let starting = start(settings.clone(), flow.clone(), control.clone(), what.clone());
    let mut decoder = match within(&settings.clock, START_WITHIN, starting).await {
        Some(decoder) => decoder?,
        None => return Err(Error::new(ErrorKind::Unavailable, "the decoder did not start: does it hang?")),
    };
    let hub = flow.hub();
    // What the one before it made of the small stream does not lead to what comes now.
    if what.makes_small {
        hub.discontinuity_of(Stream::Sub);
    }
    let (source, stream) = what.source.as_ref().map_or((hub, Stream::Main), |(source, stream)| (source, *stream));
    let joined = source.join(stream, false, "decoder", Box::new(Entry(decoder.feed.clone())));
    lock(&decoder.feed).begin(settings.clock.mono(), &joined.backlog);
    // A camera that makes keyframes when asked makes none for this, and one that cannot be asked is not.
    let ended = tokio::select! {
        ended = decoder.watch(settings, report) => ended,
        () = wanted_no_more => Ok(()),
    };
    drop(joined);
    if within(&settings.clock, LET_GO_WITHIN, decoder.running.end()).await.is_none() {
        let why = "the decoder does not end; it is left behind";
        if settings.is_news(why) {
            tracing::warn!(camera = %settings.config.id, "{why}");
        }
    }
    ended
}

/// A decoder that runs. What it added to the attempt's commands goes with it.
struct Decoder {
    running: Running,
    feed: Arc<Mutex<Feed>>,
    over: mpsc::UnboundedReceiver<Over>,
    /// When a picture came out last, microseconds of the clock, or [`NEVER`].
    out_us: Arc<AtomicI64>,
    control: Arc<Control>,
    has_encoder: bool,
}

/// Why a decoder ends by itself.
enum Over {
    Failed(Error),
    /// Its pictures are turned in another way from here on.
    TurnedAnew,
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.control.set_decoding(false);
        if self.has_encoder {
            self.control.remove_sub_encoder();
        }
    }
}

impl Decoder {
    /// Looks on until it fails, which is an error, or is to begin anew.
    async fn watch(&mut self, settings: &Settings, report: Report<'_>) -> Result<()> {
        let mut seen = (NEVER, settings.clock.mono(), lock(&self.feed).fed.load(Ordering::SeqCst));
        let mut is_said = false;
        loop {
            match within(&settings.clock, LOOK_EVERY, self.over.recv()).await {
                Some(Some(Over::Failed(why))) => return Err(why),
                Some(Some(Over::TurnedAnew)) => {
                    // A camera may say something else each time.
                    settings.clock.sleep(LOOK_EVERY).await;
                    return Ok(());
                }
                Some(None) => return Err(Error::internal("the decoder's pipeline is gone")),
                None => {}
            }
            let (out, now) = (self.out_us.load(Ordering::SeqCst), settings.clock.mono());
            let fed = lock(&self.feed).fed.load(Ordering::SeqCst);
            if out != seen.0 {
                if seen.0 == NEVER {
                    report(None);
                }
                seen = (out, now, fed);
            } else if !is_said && out == NEVER && now.since(seen.1) >= SAID_AFTER && lock(&self.feed).awaits_start() {
                is_said = true;
                let why = "the camera's next keyframe is waited for: set its keyframe interval (GOP, I-frame interval) to about 2 s";
                report(Some(&Error::new(ErrorKind::Unavailable, why)));
            } else if now.since(seen.1) >= BARREN_AFTER.0 && fed - seen.2 >= BARREN_AFTER.1 {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "its pictures cannot be decoded on this box: set progressive H.264, or another profile of it",
                ));
            }
        }
    }
}

async fn start(settings: Arc<Settings>, flow: Arc<Flow>, control: Arc<Control>, what: Decoded) -> Result<Decoder> {
    if settings.decoder_threads.hang() {
        return Err(Error::new(ErrorKind::Unavailable, "the decoder's driver hangs: restart the box"));
    }
    let (name, entered) = (format!("decode {}", settings.config.id), settings.decoder_threads.enter());
    let start = move || {
        let decoder = build(&settings, &flow, &control, &what);
        drop(entered);
        decoder
    };
    // Where nobody waits any more it ends as it drops.
    on_own_thread(name, start).await
}

fn build(settings: &Arc<Settings>, flow: &Arc<Flow>, control: &Arc<Control>, what: &Decoded) -> Result<Decoder> {
    let (tx, over) = mpsc::unbounded_channel();
    let turned = Arc::new(Turned::default());
    let mut wiring = Wiring::new(settings, flow, control.clone());
    wiring.turned = Some(turned.clone());
    let decoder = settings.library.bin(installed(&settings.library, what.codec)?, &[], &[])?;
    let app: gst_app::AppSrc = pipeline::typed(&decoder, "in", "an appsrc")?;
    let teller = tx.clone();
    spare(&pipeline::pad_of(&decoder, "parse", "src")?, what.codec, move |why| {
        // It is over then, and nobody may listen.
        let _ = teller.send(Over::Failed(why));
    });
    wiring.add(&decoder)?;
    let raw = wiring.tee(&decoder)?;
    shape(&raw, settings.config.aspect);
    let out_us = Arc::new(AtomicI64::new(NEVER));
    let from = Arc::new(AtomicI64::new(NEVER));
    watch_out(&raw, settings, out_us.clone(), from.clone())?;
    let mut has_encoder = false;
    if what.makes_small {
        // Without one, motion is looked for all the same.
        match encoders::probe(VideoCodec::H264) {
            Ok(encoder) => {
                wiring.sub(&raw, encoder)?;
                has_encoder = true;
            }
            Err(e) if !settings.config.motion.enabled => return Err(e),
            Err(e) => tracing::debug!(camera = %settings.config.id, error = %e, "no small stream"),
        }
    }
    let thinner = wiring.luma(&raw, Averaged::AtOnce)?;
    if let Some(exit) = app.static_pad("src") {
        flow.count_left(Bottleneck::Decoder, &exit);
    }
    let pipeline = wiring.pipeline;
    let teller = tx.clone();
    let running = Running::new(pipeline, "its video".into(), settings.decoder_threads.clone(), move |signal| {
        if let Signal::Failed(e) = signal {
            // Nobody listens once it is over.
            let _ = teller.send(Over::Failed(e));
        }
    });
    let feed = Arc::new(Mutex::new(Feed {
        app,
        flow: Arc::downgrade(flow),
        phase: Phase::Joining(Vec::new()),
        codec: what.codec,
        fed: AtomicU64::new(0),
        begun: MonoTime(NEVER),
        refresh: RefreshWatch::default(),
        from,
        thinner,
        small: has_encoder.then(|| control.clone()),
        roles: Roles::default(),
        batch: Batch::default(),
        orientation: None,
        turned,
        over: tx,
    }));
    let made = Decoder { running, feed, over, out_us, control: control.clone(), has_encoder };
    control.set_decoding(true);
    made.running.set_state(gst::State::Playing)?;
    Ok(made)
}

/// The text of a decoder of `codec` that is installed.
pub(super) fn installed(library: &Library, codec: VideoCodec) -> Result<&'static str> {
    let (texts, why): (&[&str], _) = match codec {
        VideoCodec::H264 => (&["decode/avdec_h264", "decode/openh264dec"], pipeline::NO_H264),
        // Not libde265dec, which in GStreamer 1.22 writes beyond its pictures' memory.
        VideoCodec::H265 => (&["decode/avdec_h265"], pipeline::NO_H265),
        VideoCodec::Vp8 => return Err(Error::internal("no camera sends VP8")),
    };
    library.first_installed(texts).ok_or_else(|| Error::new(ErrorKind::Unsupported, why))
}

/// Notes when pictures come out, and drops those from before `from`: they were decoded only to lead to it, or are not whole.
fn watch_out(raw: &gst::Element, settings: &Settings, out_us: Arc<AtomicI64>, from: Arc<AtomicI64>) -> Result<()> {
    let pad = raw.static_pad("sink").ok_or_else(|| Error::internal("a tee has a sink pad"))?;
    let clock = settings.clock.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        out_us.store(clock.mono().0, Ordering::SeqCst);
        let at = info.buffer().and_then(|b| b.pts()).map(time::to_mono);
        match at.is_none_or(|at| at.0 >= from.load(Ordering::SeqCst)) {
            true => gst::PadProbeReturn::Ok,
            false => withheld(info),
        }
    });
    Ok(())
}

/// Lets nothing out of a parser's `pad` that no decoder should see, and says so.
pub(super) fn spare(pad: &gst::Pad, codec: VideoCodec, tell: impl Fn(Error) + Send + Sync + 'static) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let caps = pad.current_caps();
        let side = |name: &str| caps.as_ref()?.structure(0)?.get::<i32>(name).ok();
        let sane = side("width").zip(side("height")).is_some_and(|(w, h)| h264::may_be_decoded(w, h));
        let is_bounded = |data: &[u8]| h264::has_one_size(codec, [data]) && h264::is_bounded(codec, data);
        let is_fit = |buffer: &gst::Buffer| buffer.map_readable().is_ok_and(|data| is_bounded(&data));
        if sane && info.buffer().is_some_and(is_fit) {
            return gst::PadProbeReturn::Ok;
        }
        let why = "pictures that are too large, or of two sizes, are not decoded: set the camera to another size";
        tell(Error::new(ErrorKind::Unsupported, why));
        withheld(info)
    });
}

/// What leads into a decoder.
struct Feed {
    app: gst_app::AppSrc,
    flow: std::sync::Weak<Flow>,
    phase: Phase,
    codec: VideoCodec,
    /// How many pictures went in.
    fed: AtomicU64,
    /// When it began.
    begun: MonoTime,
    /// Whether what comes is whole.
    refresh: RefreshWatch,
    /// From when on pictures are wanted, microseconds of the clock, or [`NONE_YET`].
    from: Arc<AtomicI64>,
    /// Chooses the pictures for motion.
    thinner: Option<SharedThinner>,
    /// Where the small stream is made of the same: whether it is now.
    small: Option<Arc<Control>>,
    roles: Roles,
    /// Pictures that wait for one that is wanted.
    batch: Batch<gst::Buffer>,
    /// Of the first picture that was taken on, and so of all.
    orientation: Option<Orientation>,
    /// What turns the pictures; it is told with the first.
    turned: Arc<Turned>,
    over: mpsc::UnboundedSender<Over>,
}

enum Phase {
    /// The hub is being asked how to begin; what follows on that waits.
    Joining(Vec<Delivery>),
    /// A group that had begun is decoded from its start.
    CatchingUp,
    /// As it comes.
    Live,
    /// Something was dropped.
    AwaitsStart,
}

impl Feed {
    /// Begins with what the hub has kept since the last start.
    fn begin(&mut self, now: MonoTime, backlog: &[Arc<Packet>]) {
        let Phase::Joining(missed) = std::mem::replace(&mut self.phase, Phase::Live) else { return };
        let bytes: usize = backlog.iter().map(|p| p.data.len()).sum();
        let pixels = backlog.first().and_then(|first| h264::pixels(first)).unwrap_or(1920 * 1080);
        if backlog.len() > BACKLOG.0 || bytes > BACKLOG.1 || backlog.len() as u64 * pixels > BACKLOG.2 {
            self.phase = Phase::AwaitsStart;
        } else if !backlog.is_empty() {
            self.phase = Phase::CatchingUp;
            self.begun = now;
            backlog.iter().for_each(|packet| self.follow(packet, false));
        }
        for delivery in missed {
            self.take(&delivery);
        }
    }

    fn awaits_start(&self) -> bool {
        matches!(self.phase, Phase::AwaitsStart)
    }

    fn take(&mut self, delivery: &Delivery) {
        let packet = &delivery.packet;
        if packet.track != Track::Video {
            return;
        }
        let (pictures, bytes) = (self.app.current_level_buffers(), self.app.current_level_bytes());
        if matches!(self.phase, Phase::CatchingUp) && pictures <= WAITING.0 / 2 {
            self.phase = Phase::Live;
        }
        let is_full = match self.phase {
            Phase::CatchingUp => pictures > 2 * BACKLOG.0 as u64 || bytes > 2 * BACKLOG.1 as u64,
            _ => pictures > WAITING.0 || bytes > WAITING.1,
        };
        if is_full {
            self.phase = Phase::AwaitsStart;
            self.batch.clear();
        }
        match self.phase {
            Phase::AwaitsStart if packet.keyframe && !is_full => {
                self.phase = Phase::Live;
                self.follow(packet, true);
            }
            Phase::AwaitsStart => self.count_came(packet.pts),
            _ => self.follow(packet, delivery.discontinuity),
        }
    }

    fn count_came(&self, at: MonoTime) {
        if let Some(flow) = self.flow.upgrade() {
            flow.count(|counts| counts.came(Bottleneck::Decoder, Some(at)));
        }
    }

    /// Whether the picture is to come out of the decoder.
    fn is_wanted(&self, packet: &Packet) -> bool {
        if !matches!(self.phase, Phase::Live) || self.small.as_ref().is_some_and(|control| control.sub_active()) {
            return true;
        }
        let Some(thinner) = &self.thinner else { return true };
        lock(thinner).would_keep(time::from_mono(packet.shown()).nseconds())
    }

    /// Whether a picture is turned as those before it; the first one says how all are.
    fn is_turned_alike(&mut self, packet: &Packet) -> bool {
        if !packet.keyframe {
            return true;
        }
        let orientation = Orientation::of_unit(self.codec, &packet.data);
        if self.orientation.is_none() {
            self.turned.set(orientation);
        }
        *self.orientation.get_or_insert(orientation) == orientation
    }

    /// Of an intra refresh nothing is wanted until it is through: what moves in half a picture is the refresh.
    fn want_whole(&mut self, packet: &Packet, discontinuity: bool) {
        let from = match self.refresh.next(packet, discontinuity) {
            false => NONE_YET,
            true if !matches!(self.from.load(Ordering::SeqCst), NONE_YET | NEVER) => return,
            true => packet.shown().max(self.begun).0,
        };
        self.from.store(from, Ordering::SeqCst);
    }

    fn follow(&mut self, packet: &Packet, discontinuity: bool) {
        if !self.is_turned_alike(packet) {
            // What is linked to take pictures on their side takes no others. It may be over already.
            let _ = self.over.send(Over::TurnedAnew);
            self.phase = Phase::AwaitsStart;
            self.batch.clear();
            return;
        }
        let buffer = encoders::encoded(packet, discontinuity);
        if discontinuity {
            // Not every start clears them: what waits is from before the hole.
            self.batch.clear();
        }
        self.want_whole(packet, discontinuity);
        let role = self.roles.next(self.codec, &packet.data);
        let is_wanted = self.is_wanted(packet);
        let batch = self.batch.take(buffer, role, is_wanted);
        for buffer in &batch {
            buffer.dts().into_iter().for_each(|at| self.count_came(time::to_mono(at)));
        }
        self.fed.fetch_add(batch.len() as u64, Ordering::SeqCst);
        if !batch.is_empty() {
            // At once: it wakes the decoder once. Refused only while that ends.
            let _ = self.app.push_buffer_list(batch.into_iter().collect::<gst::BufferList>());
        }
    }
}

/// The hub's end of it.
struct Entry(Arc<Mutex<Feed>>);

impl Sink for Entry {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let mut feed = lock(&self.0);
        match &mut feed.phase {
            Phase::Joining(missed) if missed.len() < BACKLOG.0 => missed.push(delivery),
            Phase::Joining(_) => return Receipt::Full,
            _ => feed.take(&delivery),
        }
        Receipt::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::motion::Thinner;

    fn feed() -> Feed {
        crate::init().expect("starts");
        Feed {
            app: gst_app::AppSrc::builder().build(),
            flow: std::sync::Weak::new(),
            phase: Phase::Live,
            codec: VideoCodec::H264,
            fed: AtomicU64::new(0),
            begun: MonoTime(NEVER),
            refresh: RefreshWatch::default(),
            from: Arc::new(AtomicI64::new(NEVER)),
            thinner: Some(Arc::new(Mutex::new(Thinner::new(1.0)))),
            small: None,
            roles: Roles::default(),
            batch: Batch::default(),
            orientation: None,
            turned: Arc::default(),
            over: mpsc::unbounded_channel().0,
        }
    }

    /// A picture at so many milliseconds that tells of no start.
    fn picture(ms: i64, is_start: bool) -> Packet {
        let data = bytes::Bytes::from_static(&[0, 0, 0, 1, 0x41, 0x9a, 0x80]);
        Packet::new(Track::Video, data, MonoTime(ms * 1000), is_start)
    }

    #[test]
    fn what_waits_is_forgotten_where_the_stream_breaks_off() {
        for (breaks_off, want) in [(false, 5), (true, 2)] {
            let mut feed = feed();
            for (ms, is_last) in [(0, false), (100, false), (200, false), (300, false), (1000, true)] {
                feed.follow(&picture(ms, is_last), is_last && breaks_off);
                if ms == 0 {
                    let thinner = feed.thinner.as_ref().expect("some");
                    lock(thinner).keep(0);
                }
            }
            assert_eq!(feed.fed.load(Ordering::SeqCst), want);
        }
    }

    #[test]
    fn before_an_intra_refresh_is_through_nothing_is_looked_at() {
        let mut feed = feed();
        // A refresh of four pictures.
        let gradual = |ms| {
            let unit = [&[0, 0, 0, 1, 6, 6, 1, 0b0010_1100, 0x80], &picture(0, true).data[..]].concat();
            Packet { data: unit.into(), ..picture(ms, true) }
        };
        let mut follow = |picture: &Packet, breaks_off| {
            feed.follow(picture, breaks_off);
            feed.from.load(Ordering::SeqCst)
        };
        assert_eq!(follow(&gradual(0), true), NONE_YET);
        assert!((1..4).all(|n| follow(&picture(n * 40, false), false) == NONE_YET));
        assert!((4..8).all(|n| follow(&picture(n * 40, false), false) == 160_000));
        assert_eq!(follow(&gradual(320), false), 160_000, "it goes on");
        assert_eq!(follow(&gradual(360), true), NONE_YET, "after a break it begins anew");
        // What the hub had kept is decoded only to lead to what comes.
        let mut late = self::feed();
        late.phase = Phase::Joining(Vec::new());
        let kept: Vec<_> =
            std::iter::once(gradual(0)).chain((1..9).map(|n| picture(n * 40, false))).map(Arc::new).collect();
        late.begin(MonoTime(330_000), &kept);
        assert_eq!(late.from.load(Ordering::SeqCst), 330_000);
    }
}
