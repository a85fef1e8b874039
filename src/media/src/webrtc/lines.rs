//! What of an SDP offer is read: its media lines and what each says of its payload types. It is read once through, whatever its length.

use perch_base::{Error, Result};

/// Bytes of an offer that are read.
pub const MAX_OFFER_BYTES: usize = 64 * 1024;
const MAX_MEDIA_LINES: usize = 32;
const MAX_LINES: usize = 4000;
/// Feedback lines of one media line.
const MAX_FEEDBACK: usize = 256;
/// The longest word that an answer repeats.
const MAX_WORD_BYTES: usize = 64;
/// Payload types of RTP; those of [`RTCP`] would be taken for RTCP.
const PAYLOAD_TYPES: usize = 128;
const RTCP: std::ops::Range<u8> = 64..96;
/// RTP over DTLS-SRTP, as it is called and as it was called (RFC 8829, section 5.1.2).
const PROTOCOLS: [&str; 6] =
    ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"];

/// A media line's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// `m=audio` of RTP.
    Audio,
    /// `m=video` of RTP.
    Video,
    /// Whatever else.
    Other,
}

/// The session's part of an offer, or one of its media lines with its attributes.
#[derive(Debug, Default)]
pub struct OfferSection<'a> {
    lines: Vec<&'a str>,
}

/// An offer.
#[derive(Debug)]
pub struct Lines<'a> {
    /// What comes before the first media line.
    pub session: OfferSection<'a>,
    /// The media lines.
    pub media: Vec<OfferSection<'a>>,
}

impl<'a> Lines<'a> {
    /// Reads an offer, with lines that end in any way. Errors with `Invalid`.
    pub fn read(offer: &'a str) -> Result<Self> {
        if offer.len() > MAX_OFFER_BYTES {
            let message = format!("the SDP offer has {} bytes: at most {MAX_OFFER_BYTES} are read", offer.len());
            return Err(Error::invalid(message));
        }
        let mut lines = offer.split(['\r', '\n']).map(str::trim_end).filter(|l| !l.is_empty()).take(MAX_LINES);
        if lines.next() != Some("v=0") {
            return Err(Error::invalid("the SDP offer is empty or does not begin with `v=0`"));
        }
        let (mut session, mut media) = (OfferSection::default(), Vec::<OfferSection<'a>>::new());
        for line in lines {
            if line.starts_with("m=") {
                media.push(OfferSection::default());
            }
            media.last_mut().unwrap_or(&mut session).lines.push(line);
        }
        if !(1..=MAX_MEDIA_LINES).contains(&media.len()) {
            let message = format!("the SDP offer has {} media lines: it must have 1 to {MAX_MEDIA_LINES}", media.len());
            return Err(Error::invalid(message));
        }
        Ok(Self { session, media })
    }
}

impl<'a> OfferSection<'a> {
    /// The values of all attributes `name`, such as `candidate`; an empty one of a flag.
    pub fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        self.lines.iter().filter_map(move |line| match line.strip_prefix("a=")?.strip_prefix(name)? {
            "" => Some(""),
            value => value.strip_prefix(':').map(str::trim_start),
        })
    }

    /// The first of them.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn words(&self) -> std::str::SplitAsciiWhitespace<'a> {
        let line = self.lines.first().copied().unwrap_or_default();
        line.strip_prefix("m=").unwrap_or_default().split_ascii_whitespace()
    }

    /// Which line it is.
    pub fn kind(&self) -> MediaKind {
        match (self.words().next(), self.protocol()) {
            (Some("audio"), Some(protocol)) if PROTOCOLS.contains(&protocol) => MediaKind::Audio,
            (Some("video"), Some(protocol)) if PROTOCOLS.contains(&protocol) => MediaKind::Video,
            _ => MediaKind::Other,
        }
    }

    fn protocol(&self) -> Option<&'a str> {
        self.words().nth(2)
    }

    /// Whether it is RTP of any kind, which needs a direction.
    pub fn is_rtp(&self) -> bool {
        self.protocol().is_some_and(|protocol| protocol.contains("RTP/"))
    }

    /// Whether the viewer gave it up: port 0, which says in a bundle only that another line speaks for it (RFC 9143, section 6).
    pub fn is_given_up(&self) -> bool {
        self.words().nth(1) == Some("0") && self.get("bundle-only").is_none()
    }

    /// `sendrecv`, `recvonly`, `sendonly` or `inactive`, if it says.
    pub fn direction(&self) -> Option<&'a str> {
        const NAMES: [&str; 4] = ["sendrecv", "recvonly", "sendonly", "inactive"];
        self.lines.iter().filter_map(|l| l.strip_prefix("a=")).find(|l| NAMES.contains(l))
    }

    /// Its media line for an answer: with `port` and the payload types `formats`, or its first one. Errors with `Invalid` where it
    /// cannot be read.
    pub fn answered(&self, port: u16, formats: Option<&str>) -> Result<String> {
        let mut words = self.words();
        let mut next = || word(words.next().unwrap_or_default());
        let (kind, _port, protocol, format) = (next()?, next()?, next()?, next()?);
        Ok(format!("m={kind} {port} {protocol} {}\r\nc=IN IP4 0.0.0.0\r\n", formats.unwrap_or(format)))
    }

    /// What it says of its payload types, in its order.
    pub fn payloads(&self) -> Vec<OfferedPayload<'a>> {
        let (mut maps, mut formats) = ([None; PAYLOAD_TYPES], [None; PAYLOAD_TYPES]);
        let mut feedback: Vec<(Option<u8>, &'a str)> = Vec::new();
        for line in self.lines.iter().filter_map(|l| l.strip_prefix("a=")) {
            let Some((name, (pt, value))) =
                line.split_once(':').and_then(|(n, v)| Some((n, v.trim().split_once(' ')?)))
            else {
                continue;
            };
            let slot = |slots: &mut [Option<&'a str>; PAYLOAD_TYPES]| {
                if let Some(slot) = pt.parse::<usize>().ok().and_then(|pt| slots.get_mut(pt)) {
                    slot.get_or_insert(value);
                }
            };
            match name {
                "rtpmap" => slot(&mut maps),
                "fmtp" => slot(&mut formats),
                // The estimate is made here, of what the viewer says of each packet; its own would be work for nothing.
                "rtcp-fb" if value == "goog-remb" => {}
                "rtcp-fb" if feedback.len() < MAX_FEEDBACK && (pt == "*" || pt.parse::<u8>().is_ok()) => {
                    feedback.push((pt.parse().ok(), value));
                }
                _ => {}
            }
        }
        let mut seen = [false; PAYLOAD_TYPES];
        let listed = self.words().skip(3).filter_map(|pt| pt.parse::<u8>().ok());
        let listed = listed.filter(|pt| {
            let new = seen.get_mut(usize::from(*pt)).is_some_and(|seen| !std::mem::replace(seen, true));
            new && !RTCP.contains(pt)
        });
        let mut all: Vec<OfferedPayload<'a>> = listed
            .filter_map(|pt| {
                let map = maps.get(usize::from(pt)).copied().flatten()?;
                let mut parts = map.split('/').map(str::trim);
                let (codec, clock) = (parts.next()?, parts.next()?.parse().ok()?);
                let channels = parts.next().map_or(Some(1), |n| n.parse().ok())?;
                let fmtp = formats.get(usize::from(pt)).copied().flatten().unwrap_or_default();
                let feedback =
                    feedback.iter().filter(|(of, _)| of.is_none_or(|of| of == pt)).map(|(_, what)| *what).take(8);
                Some(OfferedPayload { pt, codec, clock, channels, map, fmtp, rtx: None, feedback: feedback.collect() })
            })
            .collect();
        let mut repairs = [None; PAYLOAD_TYPES];
        for rtx in all.iter().filter(|p| p.is("rtx", 90_000)) {
            let of = perch_domain::viewer_codecs::parameter(rtx.fmtp, "apt").and_then(|pt| pt.parse::<usize>().ok());
            if let Some(slot) = of.and_then(|of| repairs.get_mut(of)) {
                slot.get_or_insert(rtx.pt);
            }
        }
        for payload in &mut all {
            payload.rtx = repairs.get(usize::from(payload.pt)).copied().flatten();
        }
        all
    }
}

/// One payload type of a media line.
#[derive(Clone, Debug)]
pub struct OfferedPayload<'a> {
    /// Its number.
    pub pt: u8,
    codec: &'a str,
    clock: u32,
    channels: u8,
    map: &'a str,
    /// Its format parameters.
    pub fmtp: &'a str,
    /// What sends it again, if anything does.
    pub rtx: Option<u8>,
    /// Feedback that the viewer gives.
    pub feedback: Vec<&'a str>,
}

impl<'a> OfferedPayload<'a> {
    /// Whether it is `codec` of video, or of sound at that rate; names are alike in either case (RFC 4855, section 3).
    pub fn is(&self, codec: &str, clock: u32) -> bool {
        self.codec.eq_ignore_ascii_case(codec) && self.clock == clock
    }

    /// Whether it is Opus, which always says that it has two channels (RFC 7587, section 4.1).
    pub fn is_opus(&self) -> bool {
        self.is("opus", 48_000) && self.channels == 2
    }

    /// The codec's name, for a message; `None` of what repairs others.
    pub fn name(&self) -> Option<&'a str> {
        let repairs = ["rtx", "red", "ulpfec", "flexfec-03"].iter().any(|name| self.codec.eq_ignore_ascii_case(name));
        (!repairs && self.codec.len() <= 16 && self.codec.is_ascii()).then_some(self.codec)
    }

    /// Its lines for an answer that takes nothing of it; none where they cannot be repeated.
    pub fn described(&self) -> String {
        word(self.map).map_or_else(|_| String::new(), |map| format!("a=rtpmap:{} {map}\r\n", self.pt))
    }
}

/// A word that can stand in an answer. Errors with `Invalid`.
pub fn word(text: &str) -> Result<&str> {
    let sound = (1..=MAX_WORD_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if sound { Ok(text) } else { Err(Error::invalid("the SDP offer has a media line that cannot be read")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn payload_types_are_read_as_they_are_written() {
        let text = "v=0\nm=video 9 RTP/SAVPF 96 97 96 300 70 98 x\na=rtpmap:96 h264/90000\na=rtpmap:97 RTX/90000\na=fmtp:97 apt=96\n\
            a=rtpmap:70 VP8/90000\na=rtpmap:99 VP9/90000\na=rtcp-fb:* nack\na=rtcp-fb:96 nack pli\na=rtcp-fb:97 ccm fir\na=fmtp:96 a=1\n\
            a=fmtp:96 a=2\na=rtpmap:x y\na=mid: 0\na=bundle-only";
        for ending in ["\n", "\r\n", "\r", "\n\n"] {
            let text = text.replace('\n', ending);
            let lines = Lines::read(&text).expect("an offer");
            let video = &lines.media[0];
            let all = video.payloads();
            assert_eq!(all.iter().map(|p| p.pt).collect::<Vec<_>>(), [96, 97]);
            let first = &all[0];
            assert!(first.is("H264", 90_000) && first.rtx == Some(97) && first.fmtp == "a=1");
            assert_eq!(first.feedback, ["nack", "nack pli"]);
            assert_eq!((video.kind(), video.get("mid"), video.get("mi")), (MediaKind::Video, Some("0"), None));
            assert_eq!((video.get("bundle-only"), video.direction(), video.is_given_up()), (Some(""), None, false));
            assert_eq!(video.answered(0, None).expect("well-formed"), "m=video 0 RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n");
        }
    }

    #[test]
    fn odd_media_lines_are_foreign_and_not_repeated() {
        let long = format!("m=text 9 x {}", "y".repeat(100));
        for odd in ["m=", "m=text 9", "m=text 9 x", "m=te\u{7}xt 9 x y", &long] {
            let text = format!("v=0\n{odd}");
            let lines = Lines::read(&text).expect("an offer");
            assert!(lines.media[0].kind() == MediaKind::Other && lines.media[0].answered(0, None).is_err(), "{odd:?}");
            assert!(lines.media[0].payloads().is_empty());
        }
    }

    /// How long it takes to read an offer of `n` payload types, each with its lines.
    fn time_of(n: usize) -> Duration {
        let pts: String = (0..n).map(|n| format!(" {}", n % 300)).collect();
        let maps: String = (0..n)
            .map(|n| format!("a=rtpmap:{0} H264/90000\na=fmtp:{0} apt=96\na=rtcp-fb:{0} nack\n", n % 300))
            .collect();
        let text = format!("v=0\nm=video 9 RTP/SAVPF{pts}\n{maps}");
        let started = Instant::now();
        let lines = Lines::read(&text).expect("an offer");
        assert!(lines.media[0].payloads().len() <= 96);
        started.elapsed()
    }

    #[test]
    fn an_offer_is_read_once_however_long() {
        // A busy machine only adds to a time: the shortest of many is the work itself.
        let (mut short, mut long) = (Duration::MAX, Duration::MAX);
        for round in 0..400 {
            (short, long) = (short.min(time_of(100)), long.min(time_of(800)));
            if round >= 10 && long < 24 * short {
                break;
            }
        }
        assert!(long < 24 * short, "{long:?} instead of 8 times {short:?}");
    }
}
