//! GStreamer's errors as sentences for people, with the kind that tells a camera that is missing from one that cannot run.

use gstreamer as gst;
use perch_base::{Error, ErrorKind};
use perch_domain::redact::redact_text;

/// What `error` (GStreamer's own `debug` text beside it) means for a source that people call `what`.
pub(super) fn error(error: &gst::glib::Error, debug: Option<&str>, what: &str) -> Error {
    use gst::{CoreError, ResourceError, StreamError};
    // A reason stands within a sentence.
    let said = redact_text(error.message());
    let said = said.trim_end_matches('.');
    let (kind, sentence) = if let Some(resource) = error.kind::<ResourceError>() {
        match resource {
            ResourceError::NotAuthorized => (ErrorKind::Invalid, format!("{what} refuses user and password")),
            ResourceError::NotFound => (ErrorKind::Unavailable, format!("{what} is not there: {said}")),
            ResourceError::Busy => (ErrorKind::Unavailable, format!("{what} is used by another program")),
            ResourceError::Settings => (ErrorKind::Invalid, format!("{what} does not take these settings: {said}")),
            _ => (ErrorKind::Unavailable, format!("{what} does not answer: {said}")),
        }
    } else if let Some(stream) = error.kind::<StreamError>() {
        match stream {
            StreamError::CodecNotFound | StreamError::TypeNotFound | StreamError::WrongType => {
                (ErrorKind::Invalid, format!("{what} cannot be decoded: {said}"))
            }
            StreamError::Failed if debug.is_some_and(|d| d.contains("not-negotiated")) => {
                (ErrorKind::Invalid, format!("{what} does not offer this size and rate"))
            }
            StreamError::Format | StreamError::Demux | StreamError::Decode => {
                (ErrorKind::Invalid, format!("{what} is damaged or no video: {said}"))
            }
            _ => (ErrorKind::Unavailable, format!("{what} broke off: {said}")),
        }
    } else if error.kind::<CoreError>() == Some(CoreError::MissingPlugin) {
        (ErrorKind::Invalid, format!("{what} needs a GStreamer plugin that is not installed: {said}"))
    } else {
        (ErrorKind::Unavailable, format!("{what} failed: {said}"))
    };
    Error::new(kind, sentence)
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
        assert_eq!(error(&e, None, "it").to_string(), "it does not answer: Could not open it");
        let e = gst::glib::Error::new(gst::ResourceError::NotAuthorized, "Unauthorized");
        assert_eq!(error(&e, None, "x").kind(), ErrorKind::Invalid);
        let e = gst::glib::Error::new(gst::StreamError::Failed, "Internal data stream error.");
        assert_eq!(error(&e, Some("reason not-negotiated (-4)"), "x").kind(), ErrorKind::Invalid);
    }
}
