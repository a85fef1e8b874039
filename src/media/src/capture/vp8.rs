//! A camera's small stream once more as VP8, for live viewers that offer no H.264: encoded once for all of them, and only while one of them
//! watches. It has a fan-out of its own, which they hang on as others do on the camera's.

use super::control::{Control, until};
use super::parts::{self, add, link};
use super::samples::{bytes_of, pts_of};
use super::small::{Entry, Exit, Gate, start};
use super::threads::Threads;
use crate::fanout::{Demand, Hub};
use crate::pipeline::{self, Library};
use crate::time;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::clock::{SharedClock, within};
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::board::encoder_threads;
use perch_domain::camera::VideoSettings;
use perch_domain::capture_attempt::{LET_GO_WITHIN, START_WITHIN};
use perch_domain::fanout::Delivery;
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use perch_domain::stamps::settle;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// Packets of the small stream and of sound that may wait: some seconds.
const WAITING: usize = 256;

/// One camera's small stream as VP8.
pub struct Vp8Stream {
    source: Arc<Hub>,
    hub: Arc<Hub>,
    control: Arc<Control>,
    video: Mutex<VideoSettings>,
    library: Arc<Library>,
    clock: SharedClock,
    threads: Threads,
    by_default: bool,
}

impl std::fmt::Debug for Vp8Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vp8Stream").field("camera", self.source.camera()).finish_non_exhaustive()
    }
}

/// Whether anything of it is used.
fn is_wanted(demand: &Demand) -> bool {
    demand.sub || demand.audio
}

impl Vp8Stream {
    /// Of the camera whose pictures come to `source`, encoded as `video` says. `by_default`: this machine has the power for it.
    pub fn new(
        source: Arc<Hub>,
        video: VideoSettings,
        library: Arc<Library>,
        clock: SharedClock,
        by_default: bool,
    ) -> Arc<Self> {
        let hub = Hub::new(source.camera().clone(), clock.clone());
        hub.set_memory(source.memory());
        let control = Arc::new(Control::new(Arc::default()));
        control.expect_sub(true);
        hub.connect(control.clone());
        Arc::new(Self {
            source,
            hub,
            control,
            video: Mutex::new(video),
            library,
            clock,
            threads: Threads::default(),
            by_default,
        })
    }

    /// The fan-out that its viewers hang on: of its streams only the small one ever comes.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Encodes as `video` says from the next run on; whoever watches goes on.
    pub fn follow(&self, video: VideoSettings) {
        *lock(&self.video) = video;
    }

    /// Whether it is there where the config leaves that to the machine.
    pub fn by_default(&self) -> bool {
        self.by_default
    }

    /// Encodes while somebody watches, until `shutdown`. Errors where it cannot be encoded; then it may be run again.
    pub async fn run_once(&self, shutdown: &mut Shutdown) -> Result<()> {
        let mut demand = self.control.demand();
        loop {
            tokio::select! {
                _ = until(&mut demand, is_wanted) => {}
                () = shutdown.called() => return Ok(()),
            }
            self.encode(&mut demand, shutdown).await?;
        }
    }

    async fn encode(&self, demand: &mut watch::Receiver<Demand>, shutdown: &mut Shutdown) -> Result<()> {
        let (failures, mut failed) = mpsc::unbounded_channel();
        let hub = Arc::downgrade(&self.hub);
        let gate = Gate::new(Box::new(move |made: Option<Packet>| match (hub.upgrade(), made) {
            (Some(hub), Some(packet)) => hub.publish_video(Stream::Sub, Arc::new(packet)),
            // What was kept of before goes as well.
            (Some(hub), None) => hub.discontinuity_of(Stream::Sub),
            (None, _) => {}
        }));
        let (library, video, control) = (self.library.clone(), *lock(&self.video), self.control.clone());
        let (teller, opened) = (failures.clone(), gate.clone());
        let built = move || {
            let (pipeline, entry, encoder) = build(&library, video, opened, &teller)?;
            control.add_encoder(Stream::Sub, "vp8enc", Some(encoder));
            Ok((pipeline, entry))
        };
        let name = format!("vp8 {}", self.source.camera());
        let starting = start(("VP8 for browsers", name), &self.threads, failures, built);
        let slow = || Error::new(ErrorKind::Unavailable, "the VP8 encoder did not start");
        let (mut running, mut entry) = within(&self.clock, START_WITHIN, starting).await.ok_or_else(slow)??;
        self.hub.discontinuity_of(Stream::Sub);
        let (queue, mut packets) = mpsc::channel(WAITING);
        let joined = self.source.join(Stream::Sub, true, "VP8 encoder", Box::new(Exit::new(queue, &gate)));
        for packet in &joined.backlog {
            entry.take(0, &Delivery { packet: packet.clone(), discontinuity: false }, &gate);
        }
        let ended = loop {
            tokio::select! {
                delivery = packets.recv() => match delivery {
                    Some((_, Delivery { packet, .. })) if packet.track == Track::Audio => self.hub.publish_audio(packet),
                    Some((breaks, delivery)) => entry.take(breaks, &delivery, &gate),
                    None => break Err(Error::new(ErrorKind::Unavailable, "the VP8 encoder fell behind the camera")),
                },
                // The sender lives in the pipeline's own threads.
                Some(why) = failed.recv() => break Err(why),
                _ = until(demand, |demand| !is_wanted(demand)) => break Ok(()),
                () = shutdown.called() => break Ok(()),
            }
        };
        drop(joined);
        self.control.remove_sub_encoder();
        self.hub.discontinuity_of(Stream::Sub);
        within(&self.clock, LET_GO_WITHIN, running.end()).await;
        ended
    }
}

/// Decoder and encoder, what leads into them, and the encoder itself.
fn build(
    library: &Library,
    video: VideoSettings,
    gate: Arc<Gate<Packet>>,
    failures: &mpsc::UnboundedSender<Error>,
) -> Result<(gst::Pipeline, Entry, gst::Element)> {
    crate::init()?;
    let pipeline = gst::Pipeline::new();
    time::apply(&pipeline);
    let turning = library.bin("branch/turn", &[], &[])?;
    let (decoder, entry) = Entry::with_decoder(library, pipeline::element(&turning, "turn")?, failures)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let numbers = [
        ("bitrate_kbps", i64::from(video.bitrate_kbps)),
        // A keyframe a second.
        ("gop", i64::from(video.fps.max(1))),
        ("threads", i64::from(encoder_threads(VideoCodec::Vp8, video, cores))),
    ];
    let encoding = library.bin("encoder/vp8enc", &numbers, &[])?;
    let encoder = pipeline::element(&encoding, "enc")?;
    let out = library.bin("branch/vp8", &[], &[])?;
    publish_from(&parts::sink(&out, "packets")?, gate);
    let bins = [&decoder, &turning, &encoding, &out];
    for bin in bins {
        add(&pipeline, bin)?;
    }
    for pair in bins.windows(2) {
        link(pair[0].upcast_ref(), pair[1].upcast_ref())?;
    }
    Ok((pipeline, entry, encoder))
}

fn publish_from(sink: &gst_app::AppSink, gate: Arc<Gate<Packet>>) {
    let mut last = None;
    let new_sample = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some((buffer, at)) = sample.buffer().zip(pts_of(&sample)) else { return Ok(gst::FlowSuccess::Ok) };
        if let Some(data) = bytes_of(buffer, false).filter(|data| !data.is_empty()) {
            let (pts, _) = settle(last, at);
            last = Some(pts);
            let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            gate.pass(at, Packet { codec: Some(VideoCodec::Vp8), ..Packet::new(Track::Video, data, pts, keyframe) });
        }
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::clips;
    use crate::fanout::Subscription;
    use perch_base::clock::{Clock, SystemClock};
    use perch_base::ids::CameraId;
    use perch_base::shutdown;
    use std::time::Duration;

    async fn next_picture(viewer: &mut Subscription) -> Arc<Packet> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), viewer.packets.recv()).await.expect("in time");
            let packet = next.expect("it goes on").packet;
            if packet.track == Track::Video {
                return packet;
            }
        }
    }

    #[tokio::test]
    async fn it_is_encoded_once_for_all_and_only_while_somebody_watches() {
        let clock: SharedClock = Arc::new(SystemClock);
        let source = Hub::new(CameraId::new("front").expect("valid"), clock.clone());
        let library = Arc::new(Library::load(None).expect("the pipelines"));
        let video = VideoSettings { width: 320, height: 180, fps: 15, bitrate_kbps: 300 };
        let vp8 = Vp8Stream::new(source.clone(), video, library, clock.clone(), true);
        let (end, mut over) = shutdown::channel();
        let run = tokio::spawn({
            let vp8 = vp8.clone();
            async move { vp8.run_once(&mut over).await }
        });
        let (pictures, feeding) = (clips::pictures(30, 15), source.clone());
        let camera = tokio::spawn(async move {
            for (data, keyframe) in pictures.iter().cycle() {
                let packet = Packet::new(Track::Video, data.clone(), SystemClock.mono(), *keyframe);
                feeding.publish_video(Stream::Sub, Arc::new(Packet { codec: Some(VideoCodec::H264), ..packet }));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(source.consumers(Stream::Sub).is_empty(), "nobody watches");
        for _ in 0..2 {
            let mut first = vp8.hub().subscribe(Stream::Sub, true, "first", 64);
            let mut second = vp8.hub().subscribe(Stream::Sub, false, "second", 64);
            let (a, b) = (next_picture(&mut first).await, next_picture(&mut second).await);
            assert!(a.keyframe && b.keyframe && a.codec == Some(VideoCodec::Vp8));
            // RFC 7741, 4.3: the start code of a keyframe, and its size.
            assert_eq!(a.data[3..10], [0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
            assert!(Arc::ptr_eq(&a, &b), "both get the same bytes");
            assert_eq!(source.consumers(Stream::Sub), ["VP8 encoder"]);
            let before = a.pts;
            vp8.hub().request_keyframe(Stream::Sub);
            let asked = loop {
                let next = next_picture(&mut first).await;
                assert!(next.pts > before);
                if next.keyframe {
                    break next;
                }
            };
            assert!(asked.pts.since(before) < Duration::from_secs(15));
            // As when privacy masks change: nothing of before is shown any more, to those who watch and to those who come.
            let broke_off = SystemClock.mono();
            source.discontinuity_of(Stream::Sub);
            assert!(vp8.hub().latest_keyframe(Stream::Sub).is_none(), "it is forgotten");
            let mut late = vp8.hub().subscribe(Stream::Sub, false, "late", 64);
            let first_of_late = next_picture(&mut late).await;
            assert!(first_of_late.keyframe && first_of_late.pts >= broke_off);
            drop(late);
            drop((first, second));
            let gone = async {
                while !source.consumers(Stream::Sub).is_empty() || vp8.control.encoders() > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), gone).await.expect("it ends with the last viewer");
        }
        end.fire();
        run.await.expect("no panic").expect("ends well");
        camera.abort();
    }
}
