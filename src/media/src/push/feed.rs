//! From the hub into the `appsrc`s of a push: no thread, no copy, and never a wait.

use crate::fanout::{Attachment, Delivery, Hub, Receipt, Sink};
use crate::time;
use gstreamer::{self as gst, ClockTime, prelude::*};
use gstreamer_app::AppSrc;
use perch_base::sync::lock;
use perch_domain::media::{Packet, Track};
use perch_domain::push::plan::PushPlan;
use std::sync::{Arc, Mutex};

/// More than this waiting, behind it as much as the pipeline's queues hold, means that the other server does not keep up: pictures are left out up to the next keyframe.
const MAX_QUEUED: ClockTime = ClockTime::from_seconds(1);
/// Least distance of two time stamps.
const MIN_STEP: ClockTime = ClockTime::from_mseconds(1);
/// Opus: 20 ms of silence, fullband, mono. It starts the sound's half before any was captured.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// What a feed says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fed {
    /// Pictures that the camera gave.
    pub pictures: u64,
    /// The server does not keep up: the camera's pictures are left out, up to its next keyframe, which may be long in coming.
    pub is_held: bool,
    /// The hub cut it off: too long nothing was taken.
    pub is_cut_off: bool,
    /// The camera encodes otherwise than the pipeline was built for.
    pub is_foreign: bool,
}

/// The ways into a push's pipeline.
pub(super) struct Entries {
    video: AppSrc,
    audio: Option<AppSrc>,
    /// What was put in last: pictures, sound.
    last: [Option<ClockTime>; 2],
}

impl Entries {
    pub fn new(video: AppSrc, audio: Option<AppSrc>) -> Self {
        Self { video, audio, last: [None; 2] }
    }

    /// Whether more waits than the other server keeps up with.
    pub fn is_full(&self) -> bool {
        self.video.current_level_time() > MAX_QUEUED
    }

    /// Puts in a packet of this moment.
    pub fn put(&mut self, packet: &Packet, discontinuity: bool) -> Receipt {
        match (packet.track, self.last[0]) {
            // Whoever describes or mixes both halves waits for something of both.
            (Track::Video, None) => {
                let silence = Packet::new(Track::Audio, bytes::Bytes::from_static(&SILENCE), packet.pts, true);
                self.put_in(&silence, true);
            }
            // Sound before the first picture belongs to nothing that is shown.
            (Track::Audio, None) => return Receipt::Taken,
            _ => {}
        }
        self.put_in(packet, discontinuity)
    }

    fn put_in(&mut self, packet: &Packet, discontinuity: bool) -> Receipt {
        let app = match packet.track {
            Track::Video => &self.video,
            Track::Audio => match &self.audio {
                Some(audio) => audio,
                None => return Receipt::Taken,
            },
        };
        let mut buffer = gst::Buffer::from_slice(packet.data.clone());
        let last = &mut self.last[usize::from(packet.track == Track::Audio)];
        let at = time::from_mono(packet.pts);
        let at = last.map_or(at, |last| at.max(last + MIN_STEP));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(at + time::from_mono(packet.shown()).saturating_sub(time::from_mono(packet.pts)));
            buffer.set_dts(at);
            if !packet.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            if discontinuity {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
        }
        *last = Some(at);
        // It is refused only while the pipeline ends.
        match app.push_buffer(buffer) {
            Ok(_) => Receipt::Taken,
            Err(_) => Receipt::Closed,
        }
    }

    /// Nothing more comes.
    pub fn end(&self) {
        // It is refused only while the pipeline ends.
        for app in [Some(&self.video), self.audio.as_ref()].into_iter().flatten() {
            let _ = app.end_of_stream();
        }
    }
}

/// Feeds one push, from the next keyframe on, until it is dropped.
pub(super) struct Feed {
    fed: Arc<Mutex<Fed>>,
    _attachment: Attachment,
}

impl Feed {
    pub fn attach(hub: &Arc<Hub>, plan: PushPlan, video: AppSrc, audio: Option<AppSrc>) -> Self {
        let fed = Arc::new(Mutex::new(Fed::default()));
        let video_pad = video.static_pad("src");
        let wants_sound = plan.has_audio && audio.is_some();
        let sink = FeedSink { plan, entries: Entries::new(video, audio), fed: fed.clone() };
        let attachment = hub.attach(plan.stream, wants_sound, "push", Box::new(sink));
        hub.request_keyframe(plan.stream);
        // A server that lost its picture, or got one more viewer, says so.
        let (asked, stream) = (Arc::downgrade(hub), plan.stream);
        if let Some(pad) = video_pad {
            pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
                let wants = info.event().is_some_and(|event| {
                    event.structure().is_some_and(|structure| structure.name() == "GstForceKeyUnit")
                });
                if let Some(hub) = asked.upgrade().filter(|_| wants) {
                    hub.request_keyframe(stream);
                }
                gst::PadProbeReturn::Ok
            });
        }
        Self { fed, _attachment: attachment }
    }

    pub fn fed(&self) -> Fed {
        *lock(&self.fed)
    }
}

/// The hub's end of a feed.
struct FeedSink {
    plan: PushPlan,
    entries: Entries,
    fed: Arc<Mutex<Fed>>,
}

impl Sink for FeedSink {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let packet = &delivery.packet;
        if packet.track == Track::Video {
            let mut fed = lock(&self.fed);
            fed.pictures += 1;
            if packet.codec.is_some_and(|codec| codec != self.plan.codec) {
                fed.is_foreign = true;
                return Receipt::Taken;
            }
            fed.is_held = self.entries.is_full();
            if fed.is_held {
                return Receipt::Full;
            }
        }
        self.entries.put(packet, delivery.discontinuity)
    }
}

impl Drop for FeedSink {
    fn drop(&mut self) {
        lock(&self.fed).is_cut_off = true;
    }
}
