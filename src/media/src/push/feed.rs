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
    /// The hub cut it off: too long nothing was taken.
    pub is_cut_off: bool,
    /// The camera encodes otherwise than the pipeline was built for.
    pub is_foreign: bool,
}

struct State {
    fed: Fed,
    last: [Option<ClockTime>; 2],
}

/// Feeds one push, from the next keyframe on, until it is dropped.
pub(super) struct Feed {
    state: Arc<Mutex<State>>,
    _attachment: Attachment,
}

impl Feed {
    pub fn attach(hub: &Arc<Hub>, plan: PushPlan, video: AppSrc, audio: Option<AppSrc>) -> Self {
        let state = Arc::new(Mutex::new(State { fed: Fed::default(), last: [None; 2] }));
        let video_pad = video.static_pad("src");
        let wants_sound = plan.has_audio && audio.is_some();
        let sink = FeedSink { plan, video, audio, state: state.clone() };
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
        Self { state, _attachment: attachment }
    }

    pub fn fed(&self) -> Fed {
        lock(&self.state).fed
    }
}

/// The hub's end of a feed.
struct FeedSink {
    plan: PushPlan,
    video: AppSrc,
    audio: Option<AppSrc>,
    state: Arc<Mutex<State>>,
}

impl FeedSink {
    fn push(&self, state: &mut State, packet: &Packet, discontinuity: bool) -> Receipt {
        let app = match packet.track {
            Track::Video => &self.video,
            Track::Audio => match &self.audio {
                Some(audio) => audio,
                None => return Receipt::Taken,
            },
        };
        let mut buffer = gst::Buffer::from_slice(packet.data.clone());
        let last = &mut state.last[usize::from(packet.track == Track::Audio)];
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
}

impl Sink for FeedSink {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let packet = &delivery.packet;
        let mut state = lock(&self.state);
        if packet.track == Track::Video {
            state.fed.pictures += 1;
            if packet.codec.is_some_and(|codec| codec != self.plan.codec) {
                state.fed.is_foreign = true;
                return Receipt::Taken;
            }
            if self.video.current_level_time() > MAX_QUEUED {
                return Receipt::Full;
            }
            if state.last[0].is_none() && self.audio.is_some() {
                // Whoever describes or mixes both halves waits for something of both.
                let silence = Packet::new(Track::Audio, bytes::Bytes::from_static(&SILENCE), packet.pts, true);
                self.push(&mut state, &silence, true);
            }
        } else if state.last[0].is_none() {
            // Sound before the first picture belongs to nothing that is shown.
            return Receipt::Taken;
        }
        self.push(&mut state, packet, delivery.discontinuity)
    }
}

impl Drop for FeedSink {
    fn drop(&mut self) {
        lock(&self.state).fed.is_cut_off = true;
    }
}
