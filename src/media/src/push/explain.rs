//! What errors of GStreamer's libraries mean for people who push somewhere.

use gstreamer as gst;
use perch_base::{Error, ErrorKind};
use perch_domain::push::PushTarget;
use perch_domain::redact::redact_text;

/// What stands behind a host whose certificate is not trusted.
const UNTRUSTED: &str = "has no certificate that is trusted here";

/// The server showed a certificate that is not trusted.
pub(super) fn untrusted(target: &PushTarget) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{} {UNTRUSTED}", target.host()))
}

/// The server sends it elsewhere.
pub(super) fn elsewhere(host: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{host} sends elsewhere: write that address"))
}

/// What an error of a library means for whoever pushes to `target`. Its own words are for the inside, without what may be a secret.
pub(super) fn explained(error: &gst::glib::Error, debug: Option<&str>, target: &PushTarget) -> Error {
    use gst::{CoreError, ResourceError};
    let all = format!("{} {}", error.message(), debug.unwrap_or_default()).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| all.contains(word));
    let (kind, sentence) = match error.kind::<ResourceError>() {
        _ if error.kind::<CoreError>() == Some(CoreError::MissingPlugin) => (
            ErrorKind::Invalid,
            "cannot be pushed to: a GStreamer plug-in is not installed, which the log names".to_owned(),
        ),
        Some(ResourceError::NotAuthorized) => {
            (ErrorKind::Invalid, "refuses user, password or stream key: set those that it knows".to_owned())
        }
        _ if says(&["unauthorized", "not authorized", "401", "403", "badauth", "publish.denied"]) => {
            (ErrorKind::Invalid, "refuses user, password or stream key: set those that it knows".to_owned())
        }
        _ if says(&["tls support", "tls backend"]) => {
            (ErrorKind::Invalid, "cannot be reached encrypted: install the package glib-networking".to_owned())
        }
        _ if says(&["certificate", "tls"]) => (ErrorKind::Unavailable, UNTRUSTED.to_owned()),
        _ if says(&["resolv"]) => {
            (ErrorKind::Unavailable, "is not known by the name service: see how it is written".to_owned())
        }
        _ if says(&["refused", "could not connect", "failed to connect", "unreachable", "no route"]) => {
            (ErrorKind::Unavailable, "cannot be reached: see whether it runs, and its port".to_owned())
        }
        _ if says(&["timeout", "timed out"]) => (ErrorKind::Unavailable, "does not answer".to_owned()),
        // SRT's library, of a handshake that nobody ended and of one that was refused: it says the same of both.
        _ if says(&["connection does not exist"]) => {
            (ErrorKind::Unavailable, "takes no connection: see whether it runs, its port and its passphrase".to_owned())
        }
        _ => (ErrorKind::Unavailable, "broke the connection off".to_owned()),
    };
    // The first line of what is beside it names elements by numbers that each attempt counts on: the same failure would be news again and again.
    let beside = debug.and_then(|debug| debug.split_once('\n')).map_or(String::new(), |(_, rest)| format!(" ({rest})"));
    let said = redact_text(&format!("{}{beside}", error.message().trim_end_matches('.')));
    Error::new(kind, format!("{} {sentence}", target.host())).with_inside(target.without_secrets(&said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::media::Stream;

    #[test]
    fn what_libraries_say_becomes_a_sentence_without_secrets() {
        crate::init().expect("starts");
        for (message, debug, want) in [
            (
                "Could not connect to rtmp://me:S3CRET@h/live/S3CRET",
                None,
                "h cannot be reached: see whether it runs, and its port",
            ),
            (
                "Connection error: connection closed remotely",
                Some("stream 'S3CRET' of live/S3CRET"),
                "h broke the connection off",
            ),
            ("Failed", Some("Unacceptable TLS certificate"), "h has no certificate that is trusted here"),
            (
                "Error resolving “h”: Name or service not known",
                None,
                "h is not known by the name service: see how it is written",
            ),
            (
                "Failed to write to SRT socket: Connection does not exist",
                None,
                "h takes no connection: see whether it runs, its port and its passphrase",
            ),
            ("Unauthorized", Some("401"), "h refuses user, password or stream key: set those that it knows"),
        ] {
            let target = PushTarget::of("rtmp://me:S3CRET@h/live/S3CRET?x=S3CRET", Stream::Main).expect("valid");
            let e = explained(&gst::glib::Error::new(gst::ResourceError::Write, message), debug, &target);
            assert_eq!(e.message(), want, "{message}");
            assert!(!format!("{e} {:?}", e.inside()).contains("S3CRET"), "{e}");
        }
    }
}
