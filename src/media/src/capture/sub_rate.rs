//! The bit rate of the small stream's encoder, changed while it runs: less where all who watch it need less, never more than it is set to.

use gstreamer as gst;
use gstreamer::prelude::*;

/// How an encoder takes another bit rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knob {
    /// A property in kbit/s.
    Kilobits(&'static str),
    /// A property in bits a second.
    Bits(&'static str),
    /// A control of the board's encoder, in bits a second.
    Control,
}

/// An encoder that takes another bit rate while it runs.
#[derive(Debug)]
pub(super) struct SubRate {
    encoder: gst::Element,
    knob: Knob,
    /// What it is set to, bits a second.
    set_bps: u64,
}

const CONTROLS: &str = "extra-controls";
const BITRATE_CONTROL: &str = "video_bitrate";

impl SubRate {
    /// The one of `encoder`, an element `name` that was just made. `None`: it keeps the rate that it begins with.
    pub fn of(name: &str, encoder: &gst::Element) -> Option<Self> {
        let knob = match name {
            "x264enc" => Knob::Kilobits("bitrate"),
            "openh264enc" => Knob::Bits("bitrate"),
            "vp8enc" => Knob::Bits("target-bitrate"),
            "v4l2h264enc" => Knob::Control,
            _ => return None,
        };
        let set_bps = match knob {
            Knob::Kilobits(property) => number(encoder, property)? * 1000,
            Knob::Bits(property) => number(encoder, property)?,
            Knob::Control => {
                let controls = encoder.property::<Option<gst::Structure>>(CONTROLS)?;
                controls.get::<i32>(BITRATE_CONTROL).ok()?.try_into().ok()?
            }
        };
        Some(Self { encoder: encoder.clone(), knob, set_bps })
    }

    /// What it is set to, bits a second.
    pub fn set_bps(&self) -> u64 {
        self.set_bps
    }

    /// Makes it encode at `bps`, or at what it is set to.
    pub fn ask(&self, bps: Option<u64>) {
        let bps = bps.unwrap_or(self.set_bps).min(self.set_bps);
        let whole = |value: u64| i32::try_from(value).unwrap_or(i32::MAX).to_string();
        match self.knob {
            Knob::Kilobits(property) => self.encoder.set_property_from_str(property, &whole(bps / 1000)),
            Knob::Bits(property) => self.encoder.set_property_from_str(property, &whole(bps)),
            Knob::Control => {
                let Some(mut controls) = self.encoder.property::<Option<gst::Structure>>(CONTROLS) else { return };
                controls.set(BITRATE_CONTROL, i32::try_from(bps).unwrap_or(i32::MAX));
                self.encoder.set_property(CONTROLS, controls);
            }
        }
    }
}

/// A property that is a whole number of whatever type.
fn number(encoder: &gst::Element, property: &str) -> Option<u64> {
    let value = encoder.property_value(property).transform::<i64>().ok()?;
    u64::try_from(value.get::<i64>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer_app as gst_app;

    /// Bits a second of `seconds` of pictures that take all bits that they get.
    fn encode(sink: &gst_app::AppSink, seconds: u64) -> u64 {
        let bytes: usize = (0..seconds * 15)
            .map(|_| sink.pull_sample().expect("goes on").buffer().map_or(0, gst::BufferRef::size))
            .sum();
        bytes as u64 * 8 / seconds
    }

    #[test]
    fn encoders_of_this_machine_follow_another_bit_rate_while_they_run() {
        crate::init().expect("starts");
        for (name, settings) in [
            ("x264enc", "tune=zerolatency speed-preset=ultrafast bitrate=400 key-int-max=15"),
            ("openh264enc", "rate-control=bitrate bitrate=400000 gop-size=15"),
            ("vp8enc", "deadline=1 cpu-used=8 end-usage=cbr target-bitrate=400000 keyframe-max-dist=15"),
        ] {
            let text = format!(
                "videotestsrc pattern=zone-plate kx2=20 ky2=20 kt=2 ! video/x-raw,width=320,height=180,framerate=15/1 \
                 ! videoconvert ! {name} name=enc {settings} ! appsink name=out sync=false max-buffers=2"
            );
            let pipeline = gst::parse::launch(&text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
            let encoder = pipeline.by_name("enc").expect("there");
            let sink = pipeline.by_name("out").and_downcast::<gst_app::AppSink>().expect("there");
            let rate = SubRate::of(name, &encoder).expect("takes one");
            assert_eq!(rate.set_bps(), 400_000, "{name}");
            pipeline.set_state(gst::State::Playing).expect("plays");
            encode(&sink, 2);
            let full = encode(&sink, 4);
            rate.ask(Some(100_000));
            encode(&sink, 3);
            let less = encode(&sink, 4);
            rate.ask(None);
            encode(&sink, 3);
            let again = encode(&sink, 4);
            pipeline.set_state(gst::State::Null).expect("stops");
            assert!(less < full / 2 && less < again * 4 / 5, "{name}: {full}, {less}, {again} bits a second");
        }
        let plain = gst::ElementFactory::make("identity").build().expect("made");
        assert!(SubRate::of("identity", &plain).is_none());
    }
}
