//! What a session's end is called: a kind to branch on, and a sentence for people that says what to change. Its subject is the camera;
//! what the camera itself says stays inside.

use perch_base::{Error, ErrorKind};
use perch_domain::ingest::Transport;

/// Characters of a camera's own words that are kept for the log.
const MOST_WORDS: usize = 80;

/// The camera cannot be had for now.
pub(crate) fn unavailable(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, what)
}

/// Nothing that it offers can be taken.
pub(super) fn unsupported(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

/// It refuses the user.
pub(super) fn unauthenticated(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthenticated, what)
}

/// A status that ends the session (RFC 2326 section 11, and what cameras borrow from HTTP).
pub(super) fn refused(method: &str, status: u16, is_http: bool) -> Error {
    use ErrorKind::{Conflict, Invalid, NotFound, Unauthenticated, Unavailable, Unsupported};
    if is_http && matches!(status, 400 | 405 | 501 | 505) {
        let what = format!("it answers in HTTP, not in RTSP ({status}): check the port in its address");
        return Error::new(Unavailable, what).with_inside(format!("answer to {method}"));
    }
    let (kind, what) = match status {
        401 | 407 => (Unauthenticated, "refuses user and password: check both"),
        402 => (Unavailable, "asks for a payment"),
        403 => {
            (Unauthenticated, "does not let this user in: check the user's rights and its list of allowed addresses")
        }
        400 | 451 => (Invalid, "does not understand what it is asked: check the path in its address"),
        404 | 410 => (NotFound, "has no such stream: check the path in its address"),
        405 | 501 | 551 => (Unsupported, "does not offer live pictures there: check the path in its address"),
        406 | 415 => (Unsupported, "does not describe its stream in SDP"),
        408 => (Unavailable, "waited too long for the box"),
        453 => (Conflict, "takes no more connections, or has no bandwidth left: end other viewers of it"),
        454 => (Unavailable, "has forgotten the session"),
        455 => (Unavailable, "is in a state in which it sends no pictures"),
        461 => (Unsupported, "refuses this way of sending packets: choose another `transport`"),
        500 => (Unavailable, "says that it failed inside: start it again if that goes on"),
        502 | 504 => (Unavailable, "is behind a gateway that does not reach it"),
        503 => (Conflict, "is busy: it may serve as many viewers as it can, or still be starting"),
        505 => (Unsupported, "does not speak RTSP 1.0"),
        _ => (Unavailable, "refuses what it is asked"),
    };
    Error::new(kind, format!("it {what} ({status})")).with_inside(format!("answer to {method}"))
}

/// It refuses the way in which packets were to travel (461).
pub(super) fn transport_refused(transport: Transport) -> Error {
    unsupported(match transport {
        Transport::Tcp | Transport::Http => {
            "it sends packets by UDP only (461): set `transport` to \"udp\" or \"auto\""
        }
        Transport::Udp | Transport::Multicast => {
            "it refuses to send packets this way (461): set `transport` to \"tcp\" or \"auto\""
        }
        Transport::Auto => "it refuses to send packets both in the connection and by UDP (461)",
    })
}

/// A camera's own words as the log may have them.
pub(super) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_sentence() {
        for status in 100..=999 {
            let e = refused("DESCRIBE", status, status % 2 == 0);
            let kinds = [
                ErrorKind::Unauthenticated,
                ErrorKind::Unavailable,
                ErrorKind::Unsupported,
                ErrorKind::Invalid,
                ErrorKind::NotFound,
                ErrorKind::Conflict,
            ];
            assert!(kinds.contains(&e.kind()), "{status}");
            assert!(e.message().starts_with("it ") && !e.message().ends_with('.'), "{}", e.message());
        }
        assert_eq!(refused("PLAY", 404, true).message(), "it has no such stream: check the path in its address (404)");
        assert!(refused("DESCRIBE", 400, true).message().contains("not in RTSP"));
        assert_eq!(clean("a\r\nb\u{7f}").as_str(), "ab");
        assert_eq!(clean(&"x".repeat(1000)).len(), MOST_WORDS);
    }
}
