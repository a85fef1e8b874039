//! A test camera: a real pipeline that publishes H.264 and Opus to a hub, with an encoder that obeys.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use perch_base::clock::{Clock, SharedClock, SystemClock};
use perch_base::ids::CameraId;
use perch_domain::camera::VideoSettings;
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use perch_media::fanout::{Demand, EncoderControl, Hub};
use perch_media::rtsp::CameraStreams;
use perch_media::time;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub struct Camera {
    pub hub: Arc<Hub>,
    pub control: Arc<Control>,
    pub pipeline: gst::Pipeline,
    main: VideoSettings,
}

pub struct Control {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    sub_is_mute: AtomicBool,
    commandable: bool,
}

pub fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

impl Control {
    /// The sub-stream's encoder gives nothing from now on.
    pub fn mute_sub(&self) {
        self.sub_is_mute.store(true, Ordering::SeqCst);
    }
}

impl EncoderControl for Control {
    fn commandable(&self, _: Stream) -> bool {
        self.commandable
    }

    fn force_keyframe(&self, stream: Stream) {
        assert!(self.commandable, "nobody asks in vain");
        let Some(encoder) = self.pipeline.upgrade().and_then(|p| p.by_name(&format!("enc-{stream}"))) else { return };
        encoder.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
    }

    fn set_demand(&self, demand: Demand) {
        if let Some(valve) = self.pipeline.upgrade().and_then(|p| p.by_name("valve")) {
            valve.set_property("drop", !demand.sub || self.sub_is_mute.load(Ordering::SeqCst));
        }
        if demand.sub && self.commandable {
            self.force_keyframe(Stream::Sub);
        }
    }
}

const SUB: VideoSettings = VideoSettings { width: 160, height: 90, fps: 15, bitrate_kbps: 200 };

impl Camera {
    /// A camera that runs. `kbps` is for main.
    pub fn start(id: &str, main: VideoSettings) -> Self {
        Self::start_as(id, main, 600, true)
    }

    /// A camera whose stream is passed through: a keyframe each `gop` pictures, and none on command.
    pub fn passed_through(id: &str, main: VideoSettings, gop: u32) -> Self {
        Self::start_as(id, main, gop, false)
    }

    fn start_as(id: &str, main: VideoSettings, gop: u32, commandable: bool) -> Self {
        perch_media::init().expect("GStreamer starts");
        let encoder = |name: &str, kbps: u32| {
            format!(
                "x264enc name=enc-{name} tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={kbps} vbv-buf-capacity=300 \
                 ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au \
                 ! appsink name={name} sync=false async=false"
            )
        };
        let (w, h, fps, kbps) = (main.width, main.height, main.fps, main.bitrate_kbps);
        let text = format!(
            "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width={w},height={h},framerate={fps}/1 ! tee name=t \
             t. ! queue ! {} \
             t. ! queue leaky=downstream ! valve name=valve drop=true ! videoscale ! video/x-raw,width={},height={} ! {} \
             audiotestsrc is-live=true wave=ticks samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=1 \
             ! opusenc frame-size=20 ! appsink name=audio sync=false async=false",
            encoder("main", kbps),
            SUB.width,
            SUB.height,
            encoder("sub", SUB.bitrate_kbps)
        );
        let pipeline = gst::parse::launch(&text).expect("pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
        time::apply(&pipeline);
        let hub = Hub::new(CameraId::new(id).expect("valid"), clock());
        publish(&pipeline, &hub, "main", Some(Stream::Main));
        publish(&pipeline, &hub, "sub", Some(Stream::Sub));
        publish(&pipeline, &hub, "audio", None);
        let sub_is_mute = AtomicBool::new(false);
        let control = Arc::new(Control { pipeline: pipeline.downgrade(), sub_is_mute, commandable });
        hub.connect(control.clone());
        pipeline.set_state(gst::State::Playing).expect("plays");
        let camera = Self { hub, control, pipeline, main };
        super::wait_for("the camera's first keyframe", Duration::from_secs(10), || {
            camera.hub.latest_keyframe(Stream::Main).is_some()
        });
        camera
    }

    /// Capture stops, as when a camera is unplugged.
    pub fn stop(&self) {
        self.pipeline.set_state(gst::State::Null).expect("stops");
        self.hub.disconnect();
    }

    /// Capture starts again.
    pub fn resume(&self) {
        time::apply(&self.pipeline);
        self.hub.connect(self.control.clone());
        self.pipeline.set_state(gst::State::Playing).expect("plays");
    }

    pub fn streams(&self) -> CameraStreams {
        CameraStreams {
            hub: self.hub.clone(),
            codec: VideoCodec::H264,
            has_audio: true,
            sub: SUB,
            main: self.main,
            speaker: None,
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn publish(pipeline: &gst::Pipeline, hub: &Arc<Hub>, name: &str, stream: Option<Stream>) {
    let sink = pipeline.by_name(name).expect("there").downcast::<gst_app::AppSink>().expect("an appsink");
    let hub = Arc::downgrade(hub);
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let (Some(buffer), Some(segment), Some(hub)) = (sample.buffer(), sample.segment(), hub.upgrade()) else {
            return Err(gst::FlowError::Eos);
        };
        let segment = segment.downcast_ref::<gst::ClockTime>().expect("time");
        let Some(pts) = buffer.pts().and_then(|pts| segment.to_running_time(pts)) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let map = buffer.map_readable().expect("readable");
        let track = if stream.is_some() { Track::Video } else { Track::Audio };
        let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let data = Bytes::copy_from_slice(&map);
        let packet = Arc::new(Packet::new(track, data, time::to_mono(pts), keyframe));
        match stream {
            Some(stream) => hub.publish_video(stream, packet),
            None => hub.publish_audio(packet),
        }
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
}

/// Publishes 1 Mbit/s at 30 frames a second and sound at 64 kbit/s without encoding anything, so that a measurement sees the
/// server alone. The slices hold no picture. Ends when `running` is cleared.
pub fn replay(hub: Arc<Hub>, running: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let key = hub.latest_keyframe(Stream::Main).expect("a keyframe").data.clone();
    let slice = (4..key.len()).find(|&i| key[i - 3..i] == [0, 0, 1] && key[i] & 0x1f == 5).expect("a slice");
    let frame = |head: &[u8], len: usize| Bytes::from([head, &vec![0x55; len][..]].concat());
    let (key, delta) = (frame(&key[..=slice], 20_000), frame(&[0, 0, 0, 1, 0x41], 3_600));
    let sound = frame(&[0xf8], 160);
    std::thread::spawn(move || {
        let clock = SystemClock;
        let began = clock.mono();
        let (mut frames, mut sounds) = (0u64, 0u64);
        let packet = |track, data: &Bytes, pts, keyframe| Arc::new(Packet::new(track, data.clone(), pts, keyframe));
        while running.load(Ordering::SeqCst) {
            let video_at = began + Duration::from_nanos(frames * 1_000_000_000 / 30);
            let audio_at = began + Duration::from_millis(sounds * 20);
            std::thread::sleep(video_at.min(audio_at).since(clock.mono()));
            if video_at <= audio_at {
                let keyframe = frames % 30 == 0;
                let data = if keyframe { &key } else { &delta };
                hub.publish_video(Stream::Main, packet(Track::Video, data, video_at, keyframe));
                frames += 1;
            } else {
                hub.publish_audio(packet(Track::Audio, &sound, audio_at, true));
                sounds += 1;
            }
        }
    })
}
