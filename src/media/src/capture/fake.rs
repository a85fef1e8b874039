//! Network cameras for tests: an ingest without a network, whose cameras are pipelines of real encoders or scripts by the clock.

use crate::time;
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::ingest::{
    IngestPort, IngestRequest, IngestSink, Intake, Offer, Picture, PictureCodec, Shape, Sound, SoundFormat,
};
use perch_domain::media::VideoCodec;
use perch_domain::orientation::Orientation;
use perch_domain::ports::Later;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What a camera does in each of its sessions.
#[derive(Clone)]
pub enum FakeCamera {
    /// Sends what a pipeline makes: pictures from its appsink `video`, sound from `audio`.
    Sends { launch: String, offer: Offer, shape: Option<Shape> },
    /// Hands in each after so long by the clock, then ends.
    Script {
        clock: SharedClock,
        steps: Vec<(Duration, Intake)>,
        end: std::result::Result<(), (ErrorKind, &'static str)>,
    },
}

/// An ingest that knows these cameras by their URL.
#[derive(Default)]
pub struct Fake {
    cameras: Mutex<BTreeMap<String, FakeCamera>>,
    /// The URLs of all sessions, in order.
    opened: Mutex<Vec<String>>,
    /// Of those that go on.
    open: Mutex<Vec<String>>,
    /// Whether a new session ends the others.
    newest_only: AtomicBool,
    newest: watch::Sender<usize>,
    /// Whose sessions end.
    hung_up: watch::Sender<String>,
}

/// Ends the camera's pipeline.
struct Ends(gst::Pipeline);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

impl Fake {
    /// With one camera.
    pub fn with(url: &str, camera: FakeCamera) -> Arc<Self> {
        let fake = Self::default();
        fake.set(url, camera);
        Arc::new(fake)
    }

    /// Adds a camera, or changes it for its next session.
    pub fn set(&self, url: &str, camera: FakeCamera) {
        lock(&self.cameras).insert(url.to_owned(), camera);
    }

    /// From now on a new session ends the others.
    pub fn lets_in_newest_only(&self) {
        self.newest_only.store(true, Ordering::SeqCst);
    }

    /// Ends the sessions at `url`.
    pub fn hang_up(&self, url: &str) {
        self.hung_up.send_replace(url.to_owned());
    }

    /// How many sessions were opened at `url`.
    pub fn sessions(&self, url: &str) -> usize {
        lock(&self.opened).iter().filter(|opened| *opened == url).count()
    }

    /// Whether one goes on.
    pub fn is_open(&self, url: &str) -> bool {
        lock(&self.open).iter().any(|open| open == url)
    }

    async fn session(&self, url: &str, sink: &dyn IngestSink, mut shutdown: Shutdown) -> Result<()> {
        let camera = lock(&self.cameras).get(url).cloned();
        match camera {
            None => Err(Error::new(ErrorKind::Unavailable, "is not there")),
            Some(FakeCamera::Script { clock, steps, end }) => {
                for (after, intake) in steps {
                    tokio::select! {
                        () = clock.sleep(after) => {}
                        () = shutdown.called() => return Ok(()),
                    }
                    if !sink.take(now_of(intake, clock.mono())) {
                        return Ok(());
                    }
                }
                end.map_err(|(kind, why)| Error::new(kind, why))
            }
            Some(FakeCamera::Sends { launch, offer, shape }) => {
                let (_ends, mut intakes) = play(&launch, offer.pictures, shape);
                let mut goes_on = sink.take(Intake::Offer(offer));
                while goes_on {
                    tokio::select! {
                        intake = intakes.recv() => match intake {
                            Some(intake) => goes_on = sink.take(intake),
                            None => return Ok(()),
                        },
                        () = shutdown.called() => return Ok(()),
                    }
                }
                Ok(())
            }
        }
    }
}

impl IngestPort for Fake {
    fn run<'a>(
        &'a self,
        request: &'a IngestRequest,
        sink: &'a dyn IngestSink,
        shutdown: Shutdown,
    ) -> Later<'a, Result<()>> {
        Box::pin(async move {
            let url = request.url.expose().clone();
            lock(&self.opened).push(url.clone());
            lock(&self.open).push(url.clone());
            let _closes = Closes(self, url.clone());
            let mut newest = self.newest.subscribe();
            let own = lock(&self.opened).len();
            self.newest.send_replace(own);
            let mut hung_up = self.hung_up.subscribe();
            let is_hung_up = async { while hung_up.changed().await.is_ok() && *hung_up.borrow() != url {} };
            let is_over = newest.wait_for(|n| *n > own && self.newest_only.load(Ordering::SeqCst));
            tokio::select! {
                ended = self.session(&url, sink, shutdown) => ended,
                _ = is_over => Ok(()),
                () = is_hung_up => Ok(()),
            }
        })
    }
}

struct Closes<'a>(&'a Fake, String);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        let mut open = lock(&self.0.open);
        if let Some(at) = open.iter().position(|url| *url == self.1) {
            open.remove(at);
        }
    }
}

/// A script's pictures carry the time at which they are handed in.
fn now_of(intake: Intake, now: MonoTime) -> Intake {
    match intake {
        Intake::Picture(picture) => Intake::Picture(Picture { shown: now, decoded: now, ..picture }),
        Intake::Sound(sound) => Intake::Sound(Sound { heard: now, ..sound }),
        other => other,
    }
}

/// A picture of a script.
pub fn picture(data: &'static [u8], start: bool) -> Intake {
    let (shown, decoded) = (MonoTime(0), MonoTime(0));
    let data = Bytes::from_static(data);
    Intake::Picture(Picture { data, shown, decoded, start, break_before: false, lost_before: false, shape: None })
}

/// An offer.
pub fn offer(pictures: PictureCodec, sound: Option<SoundFormat>) -> Offer {
    Offer { pictures, sound, no_sound: None }
}

fn play(launch: &str, codec: PictureCodec, shape: Option<Shape>) -> (Ends, mpsc::UnboundedReceiver<Intake>) {
    let pipeline = gst::parse::launch(launch).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
    time::apply(&pipeline);
    let (tx, rx) = mpsc::unbounded_channel();
    let said = shape.map_or(Orientation::NONE, |shape| shape.orientation);
    for name in ["video", "audio"] {
        let Some(sink) = pipeline.by_name(name) else { continue };
        let sink = sink.downcast::<gst_app::AppSink>().expect("an appsink");
        let (tx, is_video, mut first) = (tx.clone(), name == "video", true);
        let new_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let shape = shape.filter(|_| std::mem::replace(&mut first, false));
            let intake = if is_video { picture_of(&sample, codec, shape, said) } else { sound_of(&sample) };
            tx.send(intake).map_err(|_| gst::FlowError::Eos).map(|()| gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build());
        sink.set_property("sync", false);
    }
    pipeline.set_state(gst::State::Playing).expect("plays");
    (Ends(pipeline), rx)
}

fn parts_of(sample: &gst::Sample) -> (gst::Buffer, MonoTime, MonoTime) {
    let buffer = sample.buffer().expect("a buffer").to_owned();
    let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>()).expect("a segment").clone();
    // Encoders that reorder begin before the segment does.
    let running = |at: Option<gst::ClockTime>| match segment.to_running_time_full(at?)? {
        gst::Signed::Positive(after) => Some(time::to_mono(after)),
        gst::Signed::Negative(before) => Some(MonoTime(-time::to_mono(before).0)),
    };
    let shown = running(buffer.pts()).expect("a time");
    let decoded = running(buffer.dts()).unwrap_or(shown).min(shown);
    (buffer, shown, decoded)
}

fn picture_of(sample: &gst::Sample, codec: PictureCodec, shape: Option<Shape>, said: Orientation) -> Intake {
    let (buffer, shown, decoded) = parts_of(sample);
    let start = codec == PictureCodec::Jpeg || !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
    let mut data = Bytes::from_owner(buffer.into_mapped_buffer_readable().expect("readable"));
    if start && said != Orientation::NONE {
        data = [&[0, 0, 0, 1][..], &said.message(VideoCodec::H264), &data].concat().into();
    }
    Intake::Picture(Picture { data, shown, decoded, start, break_before: false, lost_before: false, shape })
}

fn sound_of(sample: &gst::Sample) -> Intake {
    let (buffer, heard, _) = parts_of(sample);
    let lasts = buffer.duration().map_or(Duration::from_millis(20), Duration::from);
    let data = Bytes::from_owner(buffer.into_mapped_buffer_readable().expect("readable"));
    Intake::Sound(Sound { data, heard, lasts, break_before: false })
}
