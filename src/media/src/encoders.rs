//! Which encoder this machine has: the best one that is installed and, if it is hardware, opens; and how an encoded picture goes into a
//! pipeline. Looked for at each start of a capture; no pipeline is built here.

use crate::time;
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::{Error, Result};
use perch_domain::board;
use perch_domain::media::{Packet, VideoCodec};

/// A video encoder of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoder {
    /// The element, and the name of its pipeline file.
    pub element: &'static str,
    /// What it makes.
    pub codec: VideoCodec,
    /// Whether the board does the work; its buffers are few and must not be kept.
    pub hardware: bool,
    /// Whether it makes a keyframe when asked to.
    pub commandable: bool,
}

/// The best encoder for `codec`. Errors with [`perch_base::ErrorKind::Invalid`] where there is none, saying what to install.
pub fn probe(codec: VideoCodec) -> Result<Encoder> {
    crate::init()?;
    let found = board::encoders(codec).iter().find(|e| works(e.element, e.hardware));
    let none = || format!("no encoder is installed: the package {} has one", board::encoder_packages(codec));
    let board::KnownEncoder { element, hardware, .. } = *found.ok_or_else(|| Error::invalid(none()))?;
    Ok(Encoder { element, codec, hardware, commandable: !hardware || hardware_takes_commands() })
}

/// GStreamer's v4l2 encoders ignore the request for a keyframe before 1.24.
fn hardware_takes_commands() -> bool {
    let (major, minor, ..) = gst::version();
    (major, minor) >= (1, 24)
}

fn works(element: &str, hardware: bool) -> bool {
    let Some(factory) = gst::ElementFactory::find(element) else { return false };
    if !hardware {
        return true;
    }
    // Going to READY opens the device.
    let Ok(encoder) = factory.create().build() else { return false };
    let opened = encoder.set_state(gst::State::Ready).is_ok();
    let _ = encoder.set_state(gst::State::Null);
    opened
}

/// An encoded picture on its way into a decoder. `breaks_off`: it leads on from nothing that went in before.
pub(crate) fn encoded(packet: &Packet, breaks_off: bool) -> gst::Buffer {
    // `Bytes` is counted by reference: the encoded picture itself is never copied.
    let mut buffer = gst::Buffer::from_slice(packet.data.clone());
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(time::from_mono(packet.shown()));
        buffer.set_dts(time::from_mono(packet.pts));
        if !packet.keyframe {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        if breaks_off {
            buffer.set_flags(gst::BufferFlags::DISCONT);
        }
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_an_encoder_for_each_codec() {
        let h264 = probe(VideoCodec::H264).expect("installed");
        assert!(board::encoders(VideoCodec::H264).iter().any(|e| e.element == h264.element));
        assert_eq!(probe(VideoCodec::Vp8).expect("installed").element, "vp8enc");
    }
}
