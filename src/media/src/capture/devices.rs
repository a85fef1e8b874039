//! Is the file or device there, and how does a V4L2 camera send its pictures best? Asked before a pipeline is built.

use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::camera::VideoSettings;
use perch_domain::media::VideoCodec;
use std::path::Path;

/// Errors with [`ErrorKind::Unavailable`] where `path` is missing, with [`ErrorKind::Invalid`] where it is no file.
pub(super) fn file(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(m) if m.is_file() => Ok(()),
        Ok(_) => Err(Error::invalid(format!("{} is not a file", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::new(
            ErrorKind::Unavailable,
            format!("{} is not there: see whether the path is right", path.display()),
        )),
        Err(e) => {
            let message = format!("{} cannot be read: see whether perch may", path.display());
            Err(Error::new(ErrorKind::Unavailable, message).with_source(e))
        }
    }
}

/// The pipeline file that suits the V4L2 camera `device`: its own H.264 where it has some, raw where that is fast enough, else
/// Motion JPEG. Opens the device and closes it again.
pub(super) fn v4l2(device: &str, video: VideoSettings, codec: VideoCodec) -> Result<&'static str> {
    if !Path::new(device).exists() {
        return Err(Error::new(ErrorKind::Unavailable, format!("{device} is not there; plug the camera in")));
    }
    let unusable =
        || Error::new(ErrorKind::Unavailable, format!("{device} cannot be opened: used by another program?"));
    let src = gst::ElementFactory::make("v4l2src").property("device", device).build().map_err(|e| {
        Error::invalid("v4l2src is not installed: the package gstreamer1.0-plugins-good has it").with_source(e)
    })?;
    if src.set_state(gst::State::Ready).is_err() {
        let _ = src.set_state(gst::State::Null);
        return Err(unusable());
    }
    let offered = src.static_pad("src").map(|p| p.query_caps(None));
    let _ = src.set_state(gst::State::Null);
    let offered = offered.ok_or_else(unusable)?;
    Ok(choose(&offered, video, codec))
}

fn choose(offered: &gst::CapsRef, video: VideoSettings, codec: VideoCodec) -> &'static str {
    let (Ok(width), Ok(height), Ok(fps)) =
        (i32::try_from(video.width), i32::try_from(video.height), i32::try_from(video.fps))
    else {
        return "source/v4l2-raw";
    };
    let sized = |kind: &str| gst::Caps::builder(kind).field("width", width).field("height", height);
    let offers = |caps: gst::Caps| offered.can_intersect(&caps);
    let at_rate = |kind: &str| {
        let rate = gst::FractionRange::new(gst::Fraction::new(fps, 1), gst::Fraction::new(1000, 1));
        offers(sized(kind).field("framerate", rate).build())
    };
    if codec == VideoCodec::H264 && offers(sized("video/x-h264").build()) {
        "source/v4l2-h264"
    } else if at_rate("video/x-raw") || !offers(sized("image/jpeg").build()) {
        "source/v4l2-raw"
    } else if gst::ElementFactory::find("v4l2jpegdec").is_some() {
        "source/v4l2-mjpeg-hw"
    } else {
        "source/v4l2-mjpeg"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn the_best_mode_is_chosen() {
        crate::init().expect("starts");
        let video = VideoSettings { width: 1280, height: 720, fps: 30, bitrate_kbps: 1000 };
        let raw30 = "video/x-raw,format=YUY2,width=1280,height=720,framerate=30/1";
        let raw10 = "video/x-raw,format=YUY2,width=1280,height=720,framerate=10/1";
        let jpeg = "image/jpeg,width=1280,height=720,framerate=30/1";
        let h264 = "video/x-h264,width=1280,height=720,framerate=30/1";
        for (offered, codec, best) in [
            (format!("{raw30};{jpeg};{h264}"), VideoCodec::H264, "source/v4l2-h264"),
            (format!("{raw30};{jpeg};{h264}"), VideoCodec::Vp8, "source/v4l2-raw"),
            (format!("{raw10};{jpeg}"), VideoCodec::H264, "source/v4l2-mjpeg"),
            (raw10.to_owned(), VideoCodec::H264, "source/v4l2-raw"),
        ] {
            let caps = gst::Caps::from_str(&offered).expect("caps");
            assert_eq!(choose(&caps, video, codec).trim_end_matches("-hw"), best, "{offered}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let e = file(Path::new("/nonexistent/x.mp4")).expect_err("missing");
        assert_eq!(
            (e.kind(), e.message()),
            (ErrorKind::Unavailable, "/nonexistent/x.mp4 is not there: see whether the path is right")
        );
        assert_eq!(file(Path::new("/")).expect_err("a folder").kind(), ErrorKind::Invalid);
    }
}
