//! A camera for tests: real H.264 and Opus made once by GStreamer, published over and over at their own pace.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use perch_base::clock::{Clock, SharedClock};
use perch_base::ids::CameraId;
use perch_base::time::MonoTime;
use perch_domain::media::{Packet, Stream, Track};
use perch_media::fanout::{Demand, EncoderControl, Hub};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Two seconds of pictures of each stream, one GOP each, and two of sound.
pub struct Canned {
    pub video: [Vec<bytes::Bytes>; 2],
    pub audio: Vec<bytes::Bytes>,
}

pub fn canned() -> &'static Canned {
    static CANNED: OnceLock<Canned> = OnceLock::new();
    CANNED.get_or_init(|| {
        gst::init().expect("GStreamer");
        let video = |size: &str| {
            let text = "videotestsrc num-buffers=60 pattern=ball ! video/x-raw,SIZE,framerate=30/1 \
            ! timeoverlay ! x264enc bitrate=2000 qp-max=30 speed-preset=ultrafast tune=zerolatency key-int-max=60 bframes=0 option-string=scenecut=0 \
            ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au ! h264parse config-interval=-1 \
            ! appsink name=sink sync=false";
            run(&text.replace("SIZE", size))
        };
        let audio = "audiotestsrc num-buffers=100 samplesperbuffer=960 wave=ticks ! audio/x-raw,rate=48000,channels=2 \
            ! opusenc frame-size=20 ! appsink name=sink sync=false";
        Canned { video: ["width=1280,height=720", "width=320,height=180"].map(video), audio: run(audio) }
    })
}

fn run(pipeline: &str) -> Vec<bytes::Bytes> {
    let pipeline = gst::parse::launch(pipeline).expect("pipeline").downcast::<gst::Pipeline>().expect("pipeline");
    let sink = pipeline.by_name("sink").expect("sink").downcast::<AppSink>().expect("appsink");
    pipeline.set_state(gst::State::Playing).expect("plays");
    let mut out = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().expect("buffer").map_readable().expect("readable");
        out.push(bytes::Bytes::copy_from_slice(&buffer));
    }
    pipeline.set_state(gst::State::Null).expect("stops");
    out
}

/// What the encoder was asked for.
#[derive(Default)]
pub struct Control {
    pub forced: AtomicUsize,
    pending: [AtomicBool; 2],
    demand: Mutex<Demand>,
}

impl Control {
    pub fn demand(&self) -> Demand {
        *self.demand.lock().expect("whole")
    }
}

impl EncoderControl for Control {
    fn commandable(&self, _: Stream) -> bool {
        true
    }
    fn force_keyframe(&self, stream: Stream) {
        self.forced.fetch_add(1, Ordering::SeqCst);
        self.pending[stream as usize].store(true, Ordering::SeqCst);
    }
    fn set_demand(&self, demand: Demand) {
        *self.demand.lock().expect("whole") = demand;
    }
}

/// A running camera; stops when dropped.
pub struct Source {
    pub hub: Arc<Hub>,
    pub control: Arc<Control>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Source {
    /// Publishes 30 pictures and 50 packets of sound a second until dropped. Time stamps are `pts_clock`'s.
    pub fn start(name: &str, hub_clock: SharedClock, pts_clock: SharedClock) -> Self {
        let hub = Hub::new(CameraId::new(name).expect("valid"), hub_clock);
        let control = Arc::new(Control::default());
        hub.connect(control.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (hub, control, stop) = (hub.clone(), control.clone(), stop.clone());
            std::thread::spawn(move || publish(&hub, &control, &*pts_clock, &stop))
        };
        Self { hub, control, stop, thread: Some(thread) }
    }
}

fn publish(hub: &Hub, control: &Control, clock: &dyn Clock, stop: &AtomicBool) {
    let canned = canned();
    let origin = Instant::now();
    let (mut frames, mut sounds, mut at) = (0u32, 0u32, [0usize; 2]);
    while !stop.load(Ordering::SeqCst) {
        let (video_due, audio_due) = (Duration::from_nanos(33_333_333) * frames, Duration::from_millis(20) * sounds);
        let due = video_due.min(audio_due);
        std::thread::sleep(due.saturating_sub(origin.elapsed()));
        let pts = clock.mono();
        if audio_due < video_due {
            let data = canned.audio[sounds as usize % canned.audio.len()].clone();
            hub.publish_audio(packet(Track::Audio, data, pts, true));
            sounds += 1;
            continue;
        }
        for stream in Stream::ALL {
            if stream == Stream::Sub && !control.demand().sub {
                continue;
            }
            let n = &mut at[stream as usize];
            if control.pending[stream as usize].swap(false, Ordering::SeqCst) {
                *n = 0;
            }
            let video = &canned.video[stream as usize];
            hub.publish_video(stream, packet(Track::Video, video[*n].clone(), pts, *n == 0));
            *n = (*n + 1) % video.len();
        }
        frames += 1;
    }
}

fn packet(track: Track, data: bytes::Bytes, pts: MonoTime, keyframe: bool) -> Arc<Packet> {
    Arc::new(Packet::new(track, data, pts, keyframe))
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
