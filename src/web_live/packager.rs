//! Packages streams while somebody watches them: from the fan-out's packets to parts of HLS, without encoding anything. What is shown by MJPEG runs
//! beside.

use super::jpegs::JpegStream;
use super::packaged::Packaged;
use super::stream::LiveStream;
use perch_base::clock::{SharedClock, within};
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use perch_domain::live_hls::{Hearing, LiveCut, LiveCutter, SOUND_WITHIN};
use perch_domain::live_window::LivePart;
use perch_domain::media::{SharedPacket, Track, VideoCodec};
use perch_media::capture::JpegEncoder;
use perch_media::fanout::{Delivery, Receipt, Sink};
use perch_store::{FragmentPackets, LiveFragments, TrackFormat};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Packets that may wait for a packager: some seconds of pictures and sound.
const WAITING: usize = 512;
/// How often it is looked whether anybody still asks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What the last picture before a break is taken to last.
const LAST_FRAME: Duration = Duration::from_millis(40);

/// What is to be made from now on.
pub enum ToBegin {
    Hls(Arc<LiveStream>),
    Jpegs(Arc<JpegStream>),
}

/// All packagers, and those that are to begin.
pub struct Packagers {
    starting: mpsc::Receiver<ToBegin>,
    encoder: Arc<JpegEncoder>,
    clock: SharedClock,
}

impl Packagers {
    pub(super) fn new(starting: mpsc::Receiver<ToBegin>, encoder: JpegEncoder, clock: SharedClock) -> Self {
        Self { starting, encoder: Arc::new(encoder), clock }
    }

    /// Packages what is asked for until the end is called. Errors when a packager has a defect; the streams of all end with it, and begin anew
    /// when they are asked for.
    pub async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<()> {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.called() => return Ok(()),
                start = self.starting.recv() => match start {
                    Some(ToBegin::Hls(stream)) => drop(running.spawn(package(stream, self.clock.clone()))),
                    Some(ToBegin::Jpegs(stream)) => {
                        let encoder = self.encoder.clone();
                        running.spawn(show(PicturesEnd(stream), encoder, self.clock.clone()));
                    }
                    None => return Ok(()),
                },
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    ended.map_err(|e| Error::internal("a live stream's packager panicked").with_source(e))?;
                }
            }
        }
    }
}

/// A stream that is over for all when its packager is.
struct Ends<P: Packaged>(Arc<P>);

impl<P: Packaged> Drop for Ends<P> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The same of one that is shown by MJPEG.
struct PicturesEnd(Arc<JpegStream>);

impl Drop for PicturesEnd {
    fn drop(&mut self) {
        self.0.end("the pictures broke off: they begin anew at the next request");
    }
}

async fn show(stream: PicturesEnd, encoder: Arc<JpegEncoder>, clock: SharedClock) {
    if let Err(e) = stream.0.encode(&encoder, &clock).await {
        tracing::debug!(error = %e, "a small stream is not encoded as JPEG any more");
        stream.0.end(e.message());
    }
}

/// The queue from the fan-out.
struct Entry<P> {
    queue: mpsc::Sender<(u64, Delivery)>,
    stream: Arc<P>,
    /// How often the source broke off.
    breaks: u64,
}

impl<P: Packaged> Sink for Entry<P> {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        match self.queue.try_send((self.breaks, delivery)) {
            Ok(()) => Receipt::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Receipt::Closed,
        }
    }

    fn interrupted(&mut self) {
        self.breaks = self.stream.break_off();
    }
}

/// Packages a stream until nothing more of it is wanted, or its camera is no more.
pub async fn package<P: Packaged>(stream: Arc<P>, clock: SharedClock) {
    let ends = Ends(stream);
    let stream = &ends.0;
    let Some(hub) = stream.hub() else { return };
    let (camera, view) = (hub.camera().clone(), stream.view());
    let (queue, mut packets) = mpsc::channel(WAITING);
    let entry = Entry { queue, stream: stream.clone(), breaks: 0 };
    let joined = hub.join(view.stream, stream.has_sound(), P::NAME, Box::new(entry));
    // A camera that is removed, or switched off, is not kept by who watches it.
    drop(hub);
    tracing::debug!(%camera, %view, "a live stream is packaged for players");
    let mut packager = Packager::new(stream.clone(), clock.clone());
    let mut early = Vec::new();
    if stream.has_sound() {
        let heard = async {
            while let Some(delivery) = packets.recv().await {
                let is_sound = delivery.1.packet.track == Track::Audio;
                early.push(delivery);
                if is_sound {
                    return;
                }
            }
        };
        within(&clock, SOUND_WITHIN, heard).await;
        early.iter().for_each(|(_, delivery)| packager.hear(&delivery.packet));
    }
    let backlog = joined.backlog.iter().map(|packet| (0, Delivery { packet: packet.clone(), discontinuity: false }));
    for (breaks, delivery) in backlog.chain(early) {
        packager.take(breaks, delivery);
    }
    loop {
        match within(&clock, LOOK_EVERY, packets.recv()).await {
            Some(Some((breaks, delivery))) => packager.take(breaks, delivery),
            Some(None) => break,
            None => {}
        }
        if stream.is_idle(clock.mono()) {
            break;
        }
    }
    tracing::debug!(%camera, %view, "a live stream is packaged no more");
}

/// One stream on its way into its window.
struct Packager<P> {
    stream: Arc<P>,
    clock: SharedClock,
    cutter: LiveCutter,
    hearing: Hearing,
    run: Option<LiveFragments>,
    open: Open,
    /// How often the source had broken off before what is packaged now.
    breaks: u64,
}

/// The part that is open.
#[derive(Default)]
struct Open {
    packets: Vec<SharedPacket>,
    start: Option<SharedPacket>,
    newest: MonoTime,
    begins: bool,
}

impl<P: Packaged> Packager<P> {
    fn new(stream: Arc<P>, clock: SharedClock) -> Self {
        let (hearing, run, open) = Default::default();
        Self { cutter: stream.cutter(), stream, clock, hearing, run, open, breaks: 0 }
    }

    /// Sound comes, as is known before it is its turn.
    fn hear(&mut self, packet: &SharedPacket) {
        if packet.track == Track::Audio {
            self.hearing.hear(packet.pts);
        }
    }

    fn take(&mut self, breaks: u64, delivery: Delivery) {
        if breaks != self.breaks {
            self.breaks = breaks;
            self.begin_anew();
        }
        let packet = delivery.packet;
        self.hear(&packet);
        if packet.track == Track::Audio {
            if self.run.is_some() {
                self.open.packets.push(packet);
            }
            return;
        }
        if delivery.discontinuity && self.run.is_some() {
            // Too slow: what was lost is left out.
            self.close(self.open.newest + LAST_FRAME);
            self.begin_anew();
        }
        if self.run.is_none() && !packet.keyframe {
            return;
        }
        let cut = self.cutter.place(packet.pts, packet.keyframe);
        if cut != LiveCut::Nothing {
            self.close(packet.pts);
            if packet.keyframe && !self.begin_at(&packet) {
                return;
            }
            self.open.begins = cut == LiveCut::Segment;
        }
        self.open.newest = packet.pts;
        self.open.start.get_or_insert_with(|| packet.clone());
        self.open.packets.push(packet);
    }

    /// Makes what begins with this keyframe go on from the run, or begins another. False: it cannot be packaged.
    fn begin_at(&mut self, keyframe: &SharedPacket) -> bool {
        let has_sound = self.hearing.is_heard(keyframe.pts);
        let codec = keyframe.codec.unwrap_or(VideoCodec::H264);
        let format = match TrackFormat::from_keyframe(codec, &keyframe.data, has_sound) {
            Ok(format) => format,
            Err(e) => {
                tracing::debug!(error = %e, "a live stream cannot be packaged from here");
                self.begin_anew();
                return false;
            }
        };
        if self.run.as_ref().is_some_and(|run| run.goes_on_with(&format)) {
            return true;
        }
        let Some(zero) = self.stream.zero(keyframe.pts) else {
            self.begin_anew();
            return false;
        };
        match LiveFragments::begin(format, zero, keyframe.shown_later) {
            Ok((run, map)) => {
                self.stream.begin(self.breaks, map);
                self.run = Some(run);
                // Sound from before a run's first picture is of none.
                self.open = Open::default();
                true
            }
            Err(e) => {
                tracing::debug!(error = %e, "a live stream cannot be packaged from here");
                self.begin_anew();
                false
            }
        }
    }

    fn begin_anew(&mut self) {
        self.open = Open::default();
        self.run = None;
        self.cutter.end();
    }

    /// Closes the open part at `end`, when the next picture's turn is.
    fn close(&mut self, end: MonoTime) {
        let Open { packets, start, begins, .. } = std::mem::take(&mut self.open);
        let (Some(run), Some(first)) = (&mut self.run, start) else { return };
        let delay = run.delay();
        let part = FragmentPackets { packets, end: end + delay, delay };
        match run.write(&part) {
            Ok(Some(data)) => {
                let part = LivePart { duration: end.since(first.pts), starts: first.keyframe, data };
                let (utc, now) = (self.clock.utc(), self.clock.mono());
                let at = utc.plus_micros(first.pts.micros_since(now));
                self.stream.push(self.breaks, part, begins, at);
            }
            Ok(None) => {}
            Err(e) => tracing::debug!(error = %e, "a part of a live stream is left out"),
        }
    }
}
