//! Day and time of day in pictures, by the time zone of the box: GStreamer's own clock would go by that of the system.

use super::settings::ZoneNow;
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::clock::SharedClock;

const SECOND_US: i64 = 1_000_000;

/// Has a text overlay write what the clock on the wall shows behind `name`, which is markup. The text is set with the first picture of each
/// second, before that is written into.
pub(super) fn follow_clock(element: &gst::Element, name: String, clock: SharedClock, zone: ZoneNow) {
    let weak = element.downgrade();
    let mut written = None;
    let Some(pad) = element.static_pad("video_sink") else { return };
    let state = std::sync::Mutex::new(move || {
        let now = clock.utc();
        let second = Some(now.0.div_euclid(SECOND_US));
        let Some(element) = weak.upgrade().filter(|_| written != second) else { return };
        written = second;
        let stamp = zone().stamp(now);
        let text = if name.is_empty() { stamp } else { format!("{name}  {stamp}") };
        element.set_property("text", text);
    });
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let mut tick = perch_base::sync::lock(&state);
        (*tick)();
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::{Clock, SystemClock};
    use perch_base::zone::Zone;
    use std::sync::Arc;

    #[test]
    fn the_clock_goes_by_the_zone_of_the_box() {
        crate::init().expect("GStreamer");
        let line = "videotestsrc num-buffers=3 ! textoverlay name=text ! fakesink";
        let pipeline =
            gst::parse::launch(line).expect("of the base plug-ins").downcast::<gst::Pipeline>().expect("one");
        let element = pipeline.by_name("text").expect("named");
        let zone = || Zone::named("Pacific/Kiritimati").expect("known");
        follow_clock(&element, "Yard".into(), Arc::new(SystemClock), Arc::new(zone));
        let before = zone().stamp(SystemClock.utc());
        pipeline.set_state(gst::State::Playing).expect("plays");
        let bus = pipeline.bus().expect("has one");
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &[gst::MessageType::Eos]).expect("ends");
        let after = zone().stamp(SystemClock.utc());
        let text = element.property::<String>("text");
        pipeline.set_state(gst::State::Null).expect("stops");
        let stamp = text.strip_prefix("Yard  ").unwrap_or_else(|| panic!("{text}"));
        assert!(before.as_str() <= stamp && stamp <= after.as_str(), "{before} {stamp} {after}");
    }
}
