//! RTSP messages (RFC 2326), and HTTP's of a tunnel: read leniently, written strictly.

use bytes::Bytes;

/// Header lines of a message that are kept.
const MOST_HEADERS: usize = 128;

/// What a message begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// An answer with its status.
    Response(u16),
    /// A request: some cameras ask too.
    Request(String),
}

/// A message from the camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Answer or request.
    pub start: Start,
    headers: Vec<(String, String)>,
    /// Its body; empty where it was too large.
    pub body: Bytes,
    /// Whether the body was larger than is taken.
    pub too_large: bool,
    /// Whether it calls itself HTTP.
    pub is_http: bool,
}

impl Message {
    /// Reads a head, from its first line to the last before the empty one. `None`: it is none.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let first = lines.next()?;
        let start = start(first)?;
        let is_http = first.trim_start().get(..4).is_some_and(|p| p.eq_ignore_ascii_case("HTTP"));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            // A folded line goes on with the header before (RFC 2822 2.2.3).
            if line.starts_with([' ', '\t']) && !line.trim().is_empty() {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                continue;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            if headers.len() < MOST_HEADERS {
                headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Some(Self { start, headers, body: Bytes::new(), too_large: false, is_http })
    }

    /// The first header of that name, which is in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All headers of that name, which is in small letters.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The length of its body, as it says.
    pub fn content_length(&self) -> Option<usize> {
        self.headers("content-length").find_map(|v| v.split([',', ' ']).next()?.parse().ok())
    }

    /// Whether its body is an SDP.
    pub fn is_sdp(&self) -> bool {
        self.header("content-type").is_some_and(|t| t.to_ascii_lowercase().contains("sdp"))
    }

    /// The number that pairs requests and answers.
    pub fn cseq(&self) -> Option<u32> {
        self.header("cseq")?.parse().ok()
    }
}

/// The first line of a message.
fn start(line: &str) -> Option<Start> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    if is_protocol(first) {
        // `RTSP/1.0 200` and `RTSP/1.0 200OK` are as good as with a reason behind a space.
        let digits: String = words.next()?.chars().take_while(char::is_ascii_digit).take(3).collect();
        return digits.parse().ok().filter(|s| (100..=999).contains(s)).map(Start::Response);
    }
    let is_method = first.len() <= 20 && first.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    (is_method && words.any(is_protocol)).then(|| Start::Request(first.to_owned()))
}

fn is_protocol(word: &str) -> bool {
    word.get(..5).is_some_and(|p| p.eq_ignore_ascii_case("RTSP/") || p.eq_ignore_ascii_case("HTTP/"))
}

/// A request as it is sent.
pub(crate) fn request(method: &str, url: &str, headers: &[(&str, String)]) -> Vec<u8> {
    written(format!("{method} {url} RTSP/1.0\r\n"), headers)
}

/// The answer to a request of the camera, with its number.
pub(crate) fn answer(method: &str, cseq: Option<u32>) -> Vec<u8> {
    let status = match method {
        "OPTIONS" | "ANNOUNCE" | "GET_PARAMETER" | "SET_PARAMETER" | "TEARDOWN" => "200 OK",
        _ => "501 Not Implemented",
    };
    let mut headers = Vec::new();
    headers.extend(cseq.map(|n| ("CSeq", n.to_string())));
    if method == "OPTIONS" {
        headers.push(("Public", "OPTIONS, ANNOUNCE, GET_PARAMETER, SET_PARAMETER, TEARDOWN".into()));
    }
    written(format!("RTSP/1.0 {status}\r\n"), &headers)
}

/// A message of this first line. No value can begin a line of its own.
pub(crate) fn written(mut out: String, headers: &[(&str, String)]) -> Vec<u8> {
    for (name, value) in headers {
        out.push_str(name);
        out.push_str(": ");
        out.extend(value.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')));
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_as_cameras_write_them() {
        for (head, start) in [
            ("RTSP/1.0 200 OK\r\nCSeq: 3\r\n", Some(Start::Response(200))),
            ("RTSP/1.0 200\nCSeq:3\n", Some(Start::Response(200))),
            ("rtsp/1.0  200OK\r\ncseq : 3", Some(Start::Response(200))),
            ("HTTP/1.1 401 Unauthorized\r\nCSEQ:   3  \r\n", Some(Start::Response(401))),
            ("RTSP/2.0 454 Session Not Found\r\nno header\r\nCSeq: 3\r\n", Some(Start::Response(454))),
            ("OPTIONS rtsp://box/ RTSP/1.0\r\nCSeq: 3\r\n", Some(Start::Request("OPTIONS".into()))),
            ("GET_PARAMETER * RTSP/1.0\r\nCSeq: 3\r\n", Some(Start::Request("GET_PARAMETER".into()))),
            ("RTSP/1.0\r\nCSeq: 3\r\n", None),
            ("RTSP/1.0 abc\r\nCSeq: 3\r\n", None),
            ("hello world RTSP/1.0\r\n", None),
            ("", None),
        ] {
            let message = Message::parse(head.as_bytes());
            assert_eq!(message.as_ref().map(|m| m.start.clone()), start, "{head}");
            assert!(message.is_none_or(|m| m.cseq() == Some(3)), "{head}");
        }
    }

    #[test]
    fn folded_and_repeated_headers() {
        let head = "RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"a\",\r\n\tnonce=\"b\"\r\nwww-authenticate: Basic realm=\"c\"\r\n\
                    Content-Length: x\r\nContent-Length: 17, 17\r\nContent-type: Application/SDP;x";
        let message = Message::parse(head.as_bytes()).expect("a head");
        let all: Vec<_> = message.headers("www-authenticate").collect();
        assert_eq!(all, ["Digest realm=\"a\", nonce=\"b\"", "Basic realm=\"c\""]);
        assert_eq!((message.content_length(), message.is_sdp()), (Some(17), true));
    }

    #[test]
    fn no_value_breaks_a_line() {
        let bytes = request("PLAY", "rtsp://h/", &[("Session", "a\r\nX: y".into())]);
        assert_eq!(String::from_utf8_lossy(&bytes), "PLAY rtsp://h/ RTSP/1.0\r\nSession: aX: y\r\n\r\n");
        assert_eq!(answer("ANNOUNCE", Some(7)), b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n");
        assert!(answer("REDIRECT", None).starts_with(b"RTSP/1.0 501 "));
    }

    proptest! {
        #[test]
        fn any_head_is_read_or_refused(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&head);
            let _ = Message::parse(&[b"RTSP/1.0 200 OK\r\n", head.as_slice()].concat()).expect("a head");
        }
    }
}
