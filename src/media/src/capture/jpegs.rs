//! A camera's small stream as JPEG pictures, for who watches by MJPEG: decoded and encoded once for all of them, in a pipeline of its own that
//! hangs on the hub like any other consumer, and is there only while one of them watches.

use super::graph::{shape, thin};
use super::parts::{self, add, link};
use super::samples::{bytes_of, pts_of};
use super::small::{Entry, Exit, Gate, start};
use super::threads::Threads;
use crate::fanout::Hub;
use crate::pipeline::{self, Library};
use crate::time;
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::clock::{SharedClock, within};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::capture_attempt::{LET_GO_WITHIN, START_WITHIN};
use perch_domain::fanout::Delivery;
use perch_domain::media::Stream;
use perch_domain::network_camera::Aspect;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Packets of the small stream that may wait: some seconds.
const WAITING: usize = 256;

/// Takes each picture as it is made, and nothing where what was made is not to be shown any more. It is called under a lock, and returns at once.
pub type JpegSink = Box<dyn Fn(Option<Bytes>) + Send + Sync>;

/// How a camera's small stream becomes JPEG pictures.
pub struct JpegEncoder {
    library: Arc<Library>,
    clock: SharedClock,
    threads: Threads,
}

impl std::fmt::Debug for JpegEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JpegEncoder").finish_non_exhaustive()
    }
}

impl JpegEncoder {
    /// With these pipelines.
    pub fn new(library: Arc<Library>, clock: SharedClock) -> Self {
        Self { library, clock, threads: Threads::default() }
    }

    /// Encodes what comes to `source`, in the shape of `aspect`, at most `fps` pictures a second, until `over`. Errors where it cannot be
    /// decoded or encoded, and when the camera goes.
    pub async fn encode(
        &self,
        source: &Arc<Hub>,
        (aspect, fps): (Option<Aspect>, u32),
        sink: JpegSink,
        over: impl Future<Output = ()>,
    ) -> Result<()> {
        let gate = Gate::new(sink);
        let (failures, mut failed) = mpsc::unbounded_channel();
        let (library, teller, opened) = (self.library.clone(), failures.clone(), gate.clone());
        let built = move || build(&library, (aspect, fps), opened, &teller);
        let name = format!("jpeg {}", source.camera());
        let starting = start(("JPEG pictures", name), &self.threads, failures, built);
        let slow = || Error::new(ErrorKind::Unavailable, "the JPEG encoder did not start");
        let (mut running, mut entry) = within(&self.clock, START_WITHIN, starting).await.ok_or_else(slow)??;
        let (queue, mut packets) = mpsc::channel(WAITING);
        let exit = Exit::new(queue, &gate);
        let joined = source.join(Stream::Sub, false, "MJPEG", Box::new(exit));
        for packet in &joined.backlog {
            entry.take(0, &Delivery { packet: packet.clone(), discontinuity: false }, &gate);
        }
        let mut over = std::pin::pin!(over);
        let ended = loop {
            tokio::select! {
                delivery = packets.recv() => match delivery {
                    Some((breaks, delivery)) => entry.take(breaks, &delivery, &gate),
                    None => break Err(Error::new(ErrorKind::Unavailable, "the camera has no picture any more")),
                },
                // The sender lives in the pipeline's own threads.
                Some(why) = failed.recv() => break Err(why),
                () = &mut over => break Ok(()),
            }
        };
        drop(joined);
        within(&self.clock, LET_GO_WITHIN, running.end()).await;
        ended
    }
}

/// Decoder and encoder, and what leads into them.
fn build(
    library: &Library,
    (aspect, fps): (Option<Aspect>, u32),
    gate: Arc<Gate<Bytes>>,
    failures: &mpsc::UnboundedSender<Error>,
) -> Result<(gst::Pipeline, Entry)> {
    crate::init()?;
    let pipeline = gst::Pipeline::new();
    time::apply(&pipeline);
    let encoder = library.bin("branch/jpeg", &[], &[])?;
    let raw = pipeline::element(&encoder, "raw")?;
    thin(&pipeline::pad_of(&encoder, "raw", "sink")?, fps);
    shape(&raw, aspect);
    let (decoder, entry) = Entry::with_decoder(library, pipeline::element(&encoder, "turn")?, failures)?;
    let new_sample = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        if let Some((buffer, at)) = sample.buffer().zip(pts_of(&sample))
            && let Some(jpeg) = bytes_of(buffer, true)
        {
            gate.pass(at, jpeg);
        }
        Ok(gst::FlowSuccess::Ok)
    };
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build();
    parts::sink(&encoder, "jpegs")?.set_callbacks(callbacks);
    add(&pipeline, &decoder)?;
    add(&pipeline, &encoder)?;
    link(decoder.upcast_ref(), encoder.upcast_ref())?;
    Ok((pipeline, entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::clips;
    use perch_base::clock::{Clock, SystemClock};
    use perch_base::ids::CameraId;
    use perch_base::time::MonoTime;
    use perch_domain::media::{Packet, Track};
    use std::time::Duration;

    #[tokio::test]
    async fn pictures_come_at_the_rate_that_is_asked_for_and_none_of_before_a_break() {
        let clock: SharedClock = Arc::new(SystemClock);
        let source = Hub::new(CameraId::new("front").expect("valid"), clock.clone());
        let encoder = JpegEncoder::new(Arc::new(Library::load(None).expect("the pipelines")), clock);
        let (tell, mut shown) = mpsc::unbounded_channel();
        let sink: JpegSink = Box::new(move |jpeg| drop(tell.send(jpeg)));
        let (end, over) = tokio::sync::oneshot::channel::<()>();
        let encoding = tokio::spawn({
            let source = source.clone();
            async move { encoder.encode(&source, (None, 5), sink, async { drop(over.await) }).await }
        });
        let (pictures, feeding) = (clips::pictures(50, 25), source.clone());
        // A minute of pictures, faster than they come: what is thinned goes by their times.
        let feed = async |from_ms: i64, frames: usize| {
            for (n, (data, keyframe)) in (0i64..).zip(pictures.iter().cycle().take(frames)) {
                let packet = Packet::new(Track::Video, data.clone(), MonoTime((from_ms + n * 40) * 1000), *keyframe);
                feeding.publish_video(Stream::Sub, Arc::new(packet));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        while source.consumers(Stream::Sub).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let start_ms = SystemClock.mono().0 / 1000;
        feed(start_ms, 100).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut got = Vec::new();
        while let Ok(jpeg) = shown.try_recv() {
            got.push(jpeg.expect("a picture"));
        }
        assert!((18..=21).contains(&got.len()), "{} of four seconds at 5 a second", got.len());
        assert!(got.iter().all(|jpeg| jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9])));
        source.discontinuity();
        assert_eq!(shown.try_recv().expect("said at once"), None);
        // Pictures that lead on from nothing, then a start.
        let (data, _) = &pictures[1];
        let stray = Packet::new(Track::Video, data.clone(), MonoTime((start_ms + 9000) * 1000), false);
        source.publish_video(Stream::Sub, Arc::new(stray));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(shown.try_recv().is_err(), "nothing to begin with came yet");
        feed(start_ms + 10_000, 25).await;
        assert!(shown.recv().await.expect("it goes on").is_some());
        end.send(()).expect("it runs");
        encoding.await.expect("no panic").expect("ended well");
        assert!(source.consumers(Stream::Sub).is_empty());
    }
}
