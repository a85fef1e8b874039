//! From a pipeline's sinks to the attempt's flow: time stamps become the box's steady time, and keyframes are marked.

use super::counts::Counts;
use super::flow::{Flow, Signal};
use super::settings::LumaFrame;
use super::turned::Turned;
use crate::{h264, luma, time};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind};
use perch_domain::media::{OPUS_PACKET, Packet, Stream, Track, VideoCodec};
use perch_domain::orientation::Orientation;
use perch_domain::pace::Bottleneck;
use perch_domain::stamps::{GopWatch, settle};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one packet at most; more is no picture of ours.
const MAX_PACKET_BYTES: usize = 16 << 20;
/// The number of a picture whose driver gives none: GStreamer's `GST_BUFFER_OFFSET_NONE`.
const NO_NUMBER: u64 = u64::MAX;

/// How the packets of a video sink are made.
pub(super) struct VideoOut {
    /// Where they go.
    pub stream: Stream,
    /// Their codec.
    pub codec: VideoCodec,
    /// The buffers belong to a device that has few of them: copy, never keep.
    pub lent: bool,
    /// How whoever sees them is told to turn them.
    pub turned: Orientation,
}

impl Flow {
    /// Counts the pictures that come to `pad`, before anything drops them on their way to `part`.
    pub fn count_came(self: &Arc<Self>, part: Bottleneck, pad: &gst::Pad) {
        self.count_at(pad, move |counts, buffer| counts.came(part, time_in_part(buffer)));
    }

    /// Counts the pictures that `part` takes on by `pad`.
    pub fn count_left(self: &Arc<Self>, part: Bottleneck, pad: &gst::Pad) {
        self.count_at(pad, move |counts, buffer| counts.left(part, time_in_part(buffer)));
    }

    /// Counts what the driver behind `pad` had to throw away: it numbers its pictures.
    pub fn count_lost(self: &Arc<Self>, pad: &gst::Pad) {
        self.count_at(pad, |counts, buffer| {
            let number = buffer.offset();
            if number != NO_NUMBER {
                counts.numbered(number);
            }
        });
    }

    fn count_at(
        self: &Arc<Self>,
        pad: &gst::Pad,
        count: impl Fn(&mut Counts, &gst::BufferRef) + Send + Sync + 'static,
    ) {
        let flow = Arc::downgrade(self);
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
            if let Some(flow) = flow.upgrade() {
                flow.count(|counts| match &info.data {
                    Some(gst::PadProbeData::Buffer(buffer)) => count(counts, buffer),
                    Some(gst::PadProbeData::BufferList(list)) => list.iter().for_each(|buffer| count(counts, buffer)),
                    _ => {}
                });
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Publishes what `sink` gets as video.
    pub fn take_video(self: &Arc<Self>, sink: &gst_app::AppSink, out: VideoOut) {
        let (flow, ended) = (self.clone(), self.clone());
        let main = out.stream == Stream::Main;
        let mut line = VideoLine::new(out);
        let new_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            flow.video(&mut line, &sample)
        };
        let eos = move |_: &gst_app::AppSink| {
            if main {
                ended.signal(Signal::EndOfStream);
            }
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(new_sample).eos(eos).build());
    }

    /// Publishes what `sink` gets as Opus. The first packet of an encoder of our own (`encoded`) is short by its look-ahead,
    /// which would make one odd step in time: it is left out.
    pub fn take_audio(self: &Arc<Self>, sink: &gst_app::AppSink, encoded: bool) {
        let flow = self.clone();
        let mut last = None;
        let new_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            flow.audio(&mut last, encoded, &sample)
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build());
    }

    /// Hands the small grey version of what `sink` gets to the motion detector.
    pub fn take_luma(self: &Arc<Self>, sink: &gst_app::AppSink, turned: Arc<Turned>) {
        let flow = self.clone();
        let new_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if !flow.is_live() {
                return Err(gst::FlowError::Flushing);
            }
            if let Ok(pixels) = luma::of_sample(&sample, turned.orientation()) {
                flow.look(LumaFrame { pixels, pts: flow.pts(&sample) });
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build());
    }

    /// A stream jumped. What the box makes of another stream (the small one) jumps for itself.
    fn break_off(&self, stream: Stream) {
        match stream {
            Stream::Main => self.hub().discontinuity(),
            Stream::Sub => self.hub().discontinuity_of(Stream::Sub),
        }
    }

    fn video(&self, line: &mut VideoLine, sample: &gst::Sample) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !self.is_live() {
            return Err(gst::FlowError::Flushing);
        }
        let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
        if buffer.size() == 0 || buffer.size() > MAX_PACKET_BYTES {
            return Ok(gst::FlowSuccess::Ok);
        }
        let Some(data) = bytes_of(buffer, line.out.lent) else { return Ok(gst::FlowSuccess::Ok) };
        let keyframe = match line.out.codec {
            VideoCodec::H264 => {
                let unit = h264::inspect(&data);
                if unit.b_slice {
                    self.signal(Signal::Failed(Error::new(
                        ErrorKind::Invalid,
                        "sends B-frames, which cannot be shown live: set its H.264 profile to baseline or switch B-frames off",
                    )));
                    return Err(gst::FlowError::Eos);
                }
                unit.keyframe
            }
            VideoCodec::H265 | VideoCodec::Vp8 => !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        };
        let data = match line.out.turned {
            turned if keyframe && turned != Orientation::NONE => turned.said_besides(line.out.codec, &data).into(),
            _ => data,
        };
        if line.format_changed(sample) {
            self.break_off(line.out.stream);
        }
        let at = self.pts(sample);
        let (pts, jumped) = settle(line.last, at);
        if jumped {
            self.break_off(line.out.stream);
        }
        line.last = Some(pts);
        let stream = line.out.stream;
        let duration = buffer.duration().map_or(Duration::ZERO, Duration::from);
        let codec = Some(line.out.codec);
        let packet = Packet { codec, duration, ..Packet::new(Track::Video, data, pts, keyframe) };
        let is_start = keyframe && stream == Stream::Main;
        self.masking().pass(at, is_start, || self.publish_video(stream, packet));
        if line.gop.is_long(keyframe, self.now()) {
            self.hub().request_keyframe(stream);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn audio(
        &self,
        last: &mut Option<MonoTime>,
        encoded: bool,
        sample: &gst::Sample,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !self.is_live() {
            return Err(gst::FlowError::Flushing);
        }
        let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
        let unwanted = match encoded {
            true => gst::BufferFlags::HEADER | gst::BufferFlags::DISCONT,
            false => gst::BufferFlags::HEADER,
        };
        if buffer.flags().intersects(unwanted) || buffer.size() == 0 || buffer.size() > MAX_PACKET_BYTES {
            return Ok(gst::FlowSuccess::Ok);
        }
        let Some(data) = bytes_of(buffer, false) else { return Ok(gst::FlowSuccess::Ok) };
        let duration = buffer.duration().map_or(OPUS_PACKET, Duration::from);
        self.publish_opus(last, data, self.pts(sample), duration);
        Ok(gst::FlowSuccess::Ok)
    }

    /// The capture time of `sample`: its running time, or now where it has none.
    fn pts(&self, sample: &gst::Sample) -> MonoTime {
        pts_of(sample).unwrap_or_else(|| self.now())
    }
}

/// The running time of `sample`, which is the box's steady time.
pub(super) fn pts_of(sample: &gst::Sample) -> Option<MonoTime> {
    let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>());
    let stamp = sample.buffer().and_then(|b| b.pts());
    segment.zip(stamp).and_then(|(s, pts)| s.to_running_time(pts)).map(time::to_mono)
}

/// The time stamp of a picture on its way through a part, on a scale that is the same throughout that part.
fn time_in_part(buffer: &gst::BufferRef) -> Option<MonoTime> {
    buffer.pts().map(time::to_mono)
}

/// What is remembered from packet to packet of one video sink.
struct VideoLine {
    out: VideoOut,
    last: Option<MonoTime>,
    format: Option<gst::Caps>,
    gop: GopWatch,
}

impl VideoLine {
    fn new(out: VideoOut) -> Self {
        Self { out, last: None, format: None, gop: GopWatch::default() }
    }

    /// Whether size or profile are no longer what they were.
    fn format_changed(&mut self, sample: &gst::Sample) -> bool {
        let Some(caps) = sample.caps() else { return false };
        if self.format.as_deref().is_some_and(|f| std::ptr::eq(f, caps)) {
            return false;
        }
        let changed = match self.format.as_ref().and_then(|f| f.structure(0)).zip(caps.structure(0)) {
            Some((old, new)) => {
                let int = |s: &gst::StructureRef, name: &str| s.get::<i32>(name).ok();
                let text = |s: &gst::StructureRef, name: &str| s.get::<String>(name).ok();
                ["width", "height"].iter().any(|n| int(old, n) != int(new, n))
                    || ["profile", "level"].iter().any(|n| text(old, n) != text(new, n))
            }
            None => false,
        };
        self.format = Some(caps.to_owned());
        changed
    }
}

/// The buffer's bytes: shared with GStreamer, or copied where they were only lent.
pub(super) fn bytes_of(buffer: &gst::BufferRef, lent: bool) -> Option<Bytes> {
    if lent {
        return buffer.map_readable().ok().map(|map| Bytes::copy_from_slice(&map));
    }
    buffer.to_owned().into_mapped_buffer_readable().ok().map(Bytes::from_owner)
}
