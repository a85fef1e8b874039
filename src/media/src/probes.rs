//! How a pad's probe keeps a buffer back.

use gstreamer as gst;

/// Gives the buffer of a probe back at once; nobody else sees it. It is taken out of `info` before: GStreamer goes on to the pad's next probe
/// where there still is one in it, which the bindings leave there for "Handled" although they let go of it, and with "Drop" both let go.
pub(crate) fn withheld(info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    info.data = None;
    gst::PadProbeReturn::Handled
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What one probe keeps back, the next probe of the pad must not touch: it is freed.
    #[test]
    fn what_is_withheld_no_other_probe_sees() {
        crate::init().expect("GStreamer");
        let line = "videotestsrc num-buffers=10 ! identity name=here ! fakesink name=end";
        let pipeline =
            gst::parse::launch(line).expect("of the base plug-ins").downcast::<gst::Pipeline>().expect("one");
        let pad = pipeline.by_name("here").and_then(|here| here.static_pad("sink")).expect("a pad");
        let (asked, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let count = asked.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| match count.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => withheld(info),
            _ => gst::PadProbeReturn::Ok,
        });
        let count = seen.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).expect("plays");
        let bus = pipeline.bus().expect("has one");
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &[gst::MessageType::Eos]).expect("ends");
        pipeline.set_state(gst::State::Null).expect("stops");
        assert_eq!((asked.load(Ordering::SeqCst), seen.load(Ordering::SeqCst)), (10, 5));
    }
}
