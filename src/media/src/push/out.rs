//! The pipeline of a push: the camera's encoded pictures, its sound as the protocol wants it, and the way out.

use super::feed::Entries;
use super::whip;
use crate::capture::parts::{add, link};
use crate::pipeline::{self, Library};
use crate::time;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use perch_base::{Error, Result};
use perch_domain::media::VideoCodec;
use perch_domain::push::plan::PushPlan;
use perch_domain::push::{PushKind, PushTarget};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How much later than its picture sound may come from the hub: encoders, and what a network camera jitters.
const SOUND_LATE_MS: i64 = 500;
/// How long pictures wait for that sound. More than it, else what comes last is left out.
const MUX_MS: i64 = 1000;
/// Speech and a barking dog, bit/s.
const AAC_BPS: i64 = 96_000;

/// A pipeline that was built and does not run yet.
pub(super) struct Out {
    pub pipeline: gst::Pipeline,
    pub video: AppSrc,
    pub audio: Option<AppSrc>,
    /// The `webrtcbin` of a WHIP target, which has to be told of its peer.
    pub whip: Option<gst::Element>,
    /// What was handed to the network so far, bytes.
    pub passed_bytes: Arc<AtomicU64>,
    /// Set where the server showed a certificate that is not trusted, of which RTSP's library says no word in its error.
    pub is_untrusted: Arc<AtomicBool>,
    /// What sends by RTSP, and its address as it reads it.
    place: Option<(gst::Element, Option<String>)>,
    /// Ends the silence that sound is mixed into, for what has an end.
    silence: Option<gst::Element>,
    /// Set once all that has an end was handed to the network.
    pub is_through: Arc<AtomicBool>,
}

impl Out {
    /// Nothing comes after what `entries` were given.
    pub fn end(&self, entries: &Entries) {
        entries.end();
        if let Some(silence) = &self.silence {
            silence.send_event(gst::event::Eos::new());
        }
    }

    /// Whether RTSP's library goes by another address than it was given.
    pub fn is_elsewhere(&self) -> bool {
        self.place.as_ref().is_some_and(|(sink, location)| sink.property::<Option<String>>("location") != *location)
    }

    /// What lies in the connection to an RTMP server, by what was written to it so far, bytes; `None` of another.
    pub fn written_bytes(&self) -> Option<u64> {
        let sink = self.pipeline.by_name("out").filter(|sink| sink.has_property("stats"))?;
        sink.property::<Option<gst::Structure>>("stats")?.get("out-bytes-total").ok()
    }
}

/// Builds it. Errors with `Invalid` where a plug-in is missing or a replaced file does not fit.
pub(super) fn build(library: &Library, target: &PushTarget, plan: PushPlan) -> Result<Out> {
    check_installed(library, target.kind)?;
    let url = target.url.expose().as_str();
    let (out, of_video, of_audio) = match target.kind {
        PushKind::Rtmp => {
            (library.open_bin("push/rtmp", &[("latency_ms", MUX_MS)], &[("location", url)])?, "video", "audio")
        }
        PushKind::Srt => {
            (library.open_bin("push/srt", &[("latency_ms", MUX_MS)], &[("uri", url)])?, "sink_%d", "sink_%d")
        }
        PushKind::Rtsp => (library.open_bin("push/rtsp", &[], &[("location", url)])?, "sink_%u", "sink_%u"),
        PushKind::Whip => (library.open_bin("push/whip", &[], &[])?, "sink_%u", "sink_%u"),
    };
    let pictures = match plan.codec {
        VideoCodec::H264 => "push/h264",
        VideoCodec::H265 => "push/h265",
        VideoCodec::Vp8 => "push/vp8",
    };
    let pictures = library.bin(pictures, &[], &[])?;
    let makes_aac = matches!(target.kind, PushKind::Rtmp | PushKind::Srt);
    let sound = match (makes_aac, plan.has_audio) {
        (true, _) => Some(library.bin("push/aac", &[("latency_ms", SOUND_LATE_MS), ("bitrate", AAC_BPS)], &[])?),
        (false, true) => Some(library.bin("push/opus", &[], &[])?),
        (false, false) => None,
    };
    let pipeline = gst::Pipeline::new();
    time::apply(&pipeline);
    add(&pipeline, &out)?;
    let passed_bytes = Arc::new(AtomicU64::new(0));
    let is_whip = target.kind == PushKind::Whip;
    let packed = |file: &str| is_whip.then(|| library.bin(file, &[], &[])).transpose();
    let of_pictures = packed(if plan.codec == VideoCodec::Vp8 { "push/rtp-vp8" } else { "push/rtp-h264" })?;
    let mut tracks = vec![(&pictures, of_pictures, of_video)];
    if let Some(sound) = &sound {
        tracks.push((sound, packed("push/rtp-opus")?, of_audio));
    }
    if target.kind == PushKind::Rtsp {
        // It describes first what it was asked for last, and some servers take the first for pictures.
        tracks.reverse();
    }
    for (track, packed, pad) in &tracks {
        let entry = entry(&out, pad)?;
        let mut last = *track;
        add(&pipeline, last)?;
        if let Some(packed) = packed {
            add(&pipeline, packed)?;
            link(last.upcast_ref(), packed.upcast_ref())?;
            last = packed;
            whip::only_send(&entry, packed, (*track == &pictures).then_some(plan.codec))?;
        }
        link(last.upcast_ref(), out.upcast_ref())?;
        if !makes_aac {
            count(&entry, &passed_bytes);
        }
    }
    let is_through = Arc::new(AtomicBool::new(false));
    if makes_aac {
        let last = pipeline::pad_of(&out, "out", "sink")?;
        count(&last, &passed_bytes);
        let ends = is_through.clone();
        last.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
                ends.store(true, Ordering::SeqCst);
            }
            gst::PadProbeReturn::Ok
        });
    }
    let video = pipeline::typed(&pictures, "video", "an appsrc")?;
    let audio = sound.as_ref().map(|sound| pipeline::typed(sound, "audio", "an appsrc")).transpose()?;
    let whip = is_whip.then(|| pipeline::element(&out, "mux")).transpose()?;
    let is_untrusted = Arc::new(AtomicBool::new(false));
    let mut place = None;
    if target.kind == PushKind::Rtsp {
        let (untrusted, sink) = (is_untrusted.clone(), pipeline::element(&out, "mux")?);
        place = Some((sink.clone(), sink.property("location")));
        sink.connect("accept-certificate", false, move |_| {
            untrusted.store(true, Ordering::SeqCst);
            Some(false.to_value())
        });
    }
    let silence = sound.filter(|_| makes_aac).and_then(|sound| sound.by_name("silence"));
    Ok(Out { pipeline, video, audio, whip, passed_bytes, is_untrusted, place, silence, is_through })
}

/// Errors with `Invalid` and the package where a plug-in is missing.
fn check_installed(library: &Library, kind: PushKind) -> Result<()> {
    let (file, sound, package) = match kind {
        PushKind::Rtmp => ("push/rtmp", "push/aac", "gstreamer1.0-plugins-bad"),
        PushKind::Srt => ("push/srt", "push/aac", "gstreamer1.0-plugins-bad"),
        PushKind::Rtsp => ("push/rtsp", "push/opus", "gstreamer1.0-rtsp"),
        PushKind::Whip => ("push/whip", "push/opus", "gstreamer1.0-nice"),
    };
    let lacks =
        [(file, package), (sound, "gstreamer1.0-libav")].into_iter().find(|(file, _)| !library.is_installed(file));
    let says = |(_, package): (&str, &str)| {
        Error::invalid(format!("{} cannot be pushed by this box: install the package {package}", kind.name()))
    };
    lacks.map_or(Ok(()), |lack| Err(says(lack)))
}

/// One more way into `out`, an open end of it.
fn entry(out: &gst::Bin, template: &str) -> Result<gst::Pad> {
    let mux = pipeline::element(out, "mux")?;
    let pad = mux.request_pad_simple(template);
    let pad = pad.ok_or_else(|| pipeline::unfit(out, &format!("the element `name=mux` needs a pad {template}")))?;
    let ghost = gst::GhostPad::with_target(&pad)
        .map_err(|e| pipeline::unfit(out, "has no open end to be had").with_source(e))?;
    out.add_pad(&ghost).map_err(|e| pipeline::unfit(out, "has no open end to be had").with_source(e))?;
    Ok(ghost.upcast())
}

/// Counts what goes into `pad`. The first piece waits there until the other server is reached, so it does not count.
fn count(pad: &gst::Pad, passed_bytes: &Arc<AtomicU64>) {
    let (passed_bytes, before) = (passed_bytes.clone(), AtomicU64::new(0));
    let piece = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(piece, move |_, info| {
        let bytes = match &info.data {
            // RTMP's sink takes headers before anybody is reached.
            Some(gst::PadProbeData::Buffer(buffer)) if buffer.flags().contains(gst::BufferFlags::HEADER) => {
                return gst::PadProbeReturn::Ok;
            }
            Some(gst::PadProbeData::Buffer(buffer)) => buffer.size(),
            Some(gst::PadProbeData::BufferList(list)) => list.iter().map(|buffer| buffer.size()).sum(),
            _ => 0,
        };
        passed_bytes.fetch_add(before.swap(bytes as u64, Ordering::Relaxed), Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
}
