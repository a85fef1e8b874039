//! RTSP messages (RFC 2326 4): requests read, answers written.

use std::fmt::Write as _;

/// A request.
#[derive(Debug)]
pub struct Request {
    /// `DESCRIBE`.
    pub method: String,
    /// Its URL.
    pub url: String,
    /// `RTSP/1.0`.
    pub version: String,
    headers: Vec<(String, String)>,
}

/// What stands at the beginning of the bytes.
pub enum Read {
    /// Not a whole message yet.
    More,
    /// An interleaved packet: its payload, and how many bytes it took.
    Packet(Vec<u8>, usize),
    /// A request with so many bytes, and its body.
    Request(Request, usize),
    /// An answer to something the camera asked.
    Answer(usize),
}

/// Reads the first message.
pub fn read(bytes: &[u8]) -> Read {
    if let [b'$', _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        return match rest.get(..length) {
            Some(packet) => Read::Packet(packet.to_vec(), 4 + length),
            None => Read::More,
        };
    }
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Read::More };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned);
    let (method, url, version) = (words.next(), words.next(), words.next());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, v)| v.parse().ok());
    let method = method.unwrap_or_default();
    // A POST of the tunnel has no end.
    let taken = end + 4 + if method == "POST" { 0 } else { length.unwrap_or(0) };
    if bytes.len() < taken {
        return Read::More;
    }
    if method.starts_with("RTSP/") {
        return Read::Answer(taken);
    }
    let (url, version) = (url.unwrap_or_default(), version.unwrap_or_default());
    Read::Request(Request { method, url, version, headers }, taken)
}

impl Request {
    /// A header's value, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// `200 OK`.
    pub status: String,
    /// Headers beside CSeq and Content-Length.
    pub headers: Vec<String>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer of that status.
    pub fn new(status: &str) -> Self {
        Self { status: status.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// With a header.
    pub fn with(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    /// Its head; `length_off` is what the length is wrong by.
    pub fn head(&self, cseq: Option<&str>, length_off: i64) -> String {
        let mut head = format!("RTSP/1.0 {}\r\n", self.status);
        if let Some(cseq) = cseq {
            let _ = write!(head, "CSeq: {cseq}\r\n");
        }
        for header in &self.headers {
            let _ = write!(head, "{header}\r\n");
        }
        if !self.body.is_empty() {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len() as i64 + length_off);
        }
        head
    }
}
