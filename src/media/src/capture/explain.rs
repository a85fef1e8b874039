//! GStreamer's errors as sentences for people, with the kind that tells a camera that is missing from one that cannot run.

use gstreamer as gst;
use perch_base::{Error, ErrorKind};
use perch_domain::redact::redact_text;

/// What `error` (GStreamer's own `debug` text beside it) means for a source that people call `what`, and what to do. GStreamer's words
/// are for the inside.
pub(super) fn error(error: &gst::glib::Error, debug: Option<&str>, what: &str) -> Error {
    use gst::{CoreError, ResourceError, StreamError};
    let (kind, sentence) = if let Some(resource) = error.kind::<ResourceError>() {
        match resource {
            // STREAMON: the camera wants more of the bus than is left.
            _ if debug.is_some_and(|d| d.contains("No space left on device")) => (
                ErrorKind::Unavailable,
                "gets no room on its USB bus: plug it into another USB port, or set a smaller size or frame rate",
            ),
            ResourceError::NotAuthorized => (ErrorKind::Invalid, "refuses user and password: set those that it knows"),
            ResourceError::NotFound => {
                (ErrorKind::Unavailable, "is not there: see whether it is connected and rightly named")
            }
            ResourceError::Busy => (ErrorKind::Unavailable, "is used by another program: end that program"),
            ResourceError::Settings => {
                (ErrorKind::Invalid, "does not take these settings: set another size or frame rate")
            }
            _ => (ErrorKind::Unavailable, "does not answer: see whether it is connected and rightly named"),
        }
    } else if let Some(stream) = error.kind::<StreamError>() {
        match stream {
            StreamError::TypeNotFound | StreamError::WrongType => {
                (ErrorKind::Invalid, "is not a video that the box can play: choose another file")
            }
            StreamError::CodecNotFound => (ErrorKind::Invalid, "cannot be decoded on this box: set it to H.264"),
            StreamError::Failed if debug.is_some_and(|d| d.contains("not-negotiated")) => {
                (ErrorKind::Invalid, "does not offer this size and rate: set another")
            }
            StreamError::Format | StreamError::Demux | StreamError::Decode => {
                (ErrorKind::Invalid, "is damaged or no video: see whether another player shows it")
            }
            _ => (ErrorKind::Unavailable, "broke off: it is tried again"),
        }
    } else if error.kind::<CoreError>() == Some(CoreError::MissingPlugin) {
        (ErrorKind::Invalid, "needs a GStreamer plug-in that is not installed: the log names it")
    } else {
        (ErrorKind::Unavailable, "failed and is tried again: the log says why")
    };
    let said = redact_text(error.message());
    Error::new(kind, format!("{what} {sentence}")).with_inside(said.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_tell_missing_from_misconfigured_and_no_password_gets_through() {
        crate::init().expect("starts");
        let e = gst::glib::Error::new(gst::ResourceError::OpenRead, "Failed to connect to rtsp://me:pw@cam/live");
        let explained = error(&e, None, "rtsp://cam/live");
        assert_eq!(explained.kind(), ErrorKind::Unavailable);
        assert!(!explained.to_string().contains("pw"), "{explained}");
        let e = gst::glib::Error::new(gst::ResourceError::OpenRead, "Could not open it.");
        let e = error(&e, None, "it");
        assert_eq!(e.message(), "it does not answer: see whether it is connected and rightly named");
        assert_eq!(e.inside(), Some("Could not open it"), "GStreamer's words are for the log");
        let e = gst::glib::Error::new(gst::ResourceError::NotAuthorized, "Unauthorized");
        assert_eq!(error(&e, None, "x").kind(), ErrorKind::Invalid);
        let e = gst::glib::Error::new(gst::ResourceError::Read, "Failed to allocate required memory.");
        let e = error(&e, Some("error with STREAMON 28 (No space left on device)"), "v4l2:/dev/video0");
        assert!(e.message().contains("USB bus"), "{e}");
        let e = gst::glib::Error::new(gst::StreamError::WrongType, "This appears to be a text file");
        assert!(error(&e, None, "file:/a.txt").message().starts_with("file:/a.txt is not a video"));
        let e = gst::glib::Error::new(gst::StreamError::Failed, "Internal data stream error.");
        assert_eq!(error(&e, Some("reason not-negotiated (-4)"), "x").kind(), ErrorKind::Invalid);
    }
}
