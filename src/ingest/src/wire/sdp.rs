//! A camera's description of its streams (SDP, RFC 8866), read as leniently as cameras write it.

use crate::format::{Direction, LineKind, PayloadType, SdpLine};

/// Lines `m=` that are taken.
const MOST_LINES: usize = 32;
/// Payload types of a line that are taken.
const MOST_TYPES: usize = 32;
/// Parameters of a payload type that are taken.
const MOST_PARAMETERS: usize = 64;
/// Bytes of a line of text that is taken: parameter sets of several layers are some thousand.
const LONGEST: usize = 64 * 1024;
/// Pictures a second that are believed.
const FRAME_RATES: std::ops::RangeInclusive<f32> = 0.01..=1000.0;

/// What an SDP says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Description {
    /// `a=control` of the whole.
    pub control: Option<String>,
    /// Its lines, in order; encrypted ones (SRTP) are of no kind that is taken.
    pub lines: Vec<SdpLine>,
    /// Whether pictures, and sound, are offered encrypted.
    pub encrypted: (bool, bool),
}

/// Where `sendonly` is said decides who speaks; it is known at the end only.
#[derive(Clone, Copy, Default)]
struct Said {
    direction: Option<Attribute>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    SendOnly,
    RecvOnly,
    SendRecv,
    Inactive,
}

/// Reads an SDP. What cannot be read is left out; there are no errors.
pub(crate) fn parse(body: &[u8]) -> Description {
    let text = String::from_utf8_lossy(body);
    let mut out = Description::default();
    let mut all = Said::default();
    let mut said: Vec<Said> = Vec::new();
    let mut is_full = false;
    for line in text.split(['\r', '\n']).map(str::trim).filter(|line| line.len() <= LONGEST) {
        let Some((kind, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let count = out.lines.len();
        match (kind.trim().trim_start_matches('\u{feff}'), out.lines.last_mut()) {
            ("m", _) if count >= MOST_LINES => is_full = true,
            ("m", _) => {
                let mut line = media(value);
                // RTP/SAVP (RFC 3711), RTP/SAVPF, UDP/TLS/RTP/SAVP.
                if value.split_whitespace().nth(2).is_some_and(|p| p.to_ascii_uppercase().contains("SAVP")) {
                    out.encrypted.0 |= line.kind == LineKind::Video;
                    out.encrypted.1 |= line.kind == LineKind::Audio;
                    line.kind = LineKind::Other;
                }
                out.lines.push(line);
                said.push(Said::default());
            }
            _ if is_full => {}
            ("a", None) => match attribute(value) {
                ("control", control) if !control.is_empty() => out.control = Some(control.to_owned()),
                (name, _) => all.direction = direction(name).or(all.direction),
            },
            ("a", Some(media)) => {
                let (name, value) = attribute(value);
                if let (Some(direction), Some(said)) = (direction(name), said.last_mut()) {
                    said.direction = Some(direction);
                }
                apply(media, name, value);
            }
            _ => {}
        }
    }
    for line in &mut out.lines {
        complete(line);
    }
    directions(&mut out.lines, all, &said);
    out
}

/// `control:track1` is `control` and `track1`.
fn attribute(value: &str) -> (&str, &str) {
    let (name, value) = value.split_once(':').unwrap_or((value, ""));
    (name.trim(), value.trim())
}

fn direction(name: &str) -> Option<Attribute> {
    match name.to_ascii_lowercase().as_str() {
        "sendonly" => Some(Attribute::SendOnly),
        "recvonly" => Some(Attribute::RecvOnly),
        "sendrecv" => Some(Attribute::SendRecv),
        "inactive" => Some(Attribute::Inactive),
        _ => None,
    }
}

/// `video 0 RTP/AVP 96 97`; the port may be anything.
fn media(value: &str) -> SdpLine {
    let mut words = value.split_whitespace();
    let kind = match words.next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "video" => LineKind::Video,
        "audio" => LineKind::Audio,
        _ => LineKind::Other,
    };
    let mut line =
        SdpLine { kind, direction: Direction::default(), payload_types: Vec::new(), control: None, frame_rate: None };
    // Behind the port and the profile; formats that are no numbers are makers' own.
    for number in words.skip(2).filter_map(|word| word.parse().ok()) {
        payload_type(&mut line, number);
    }
    line
}

/// The payload type of that number, made where the line did not list it.
fn payload_type(line: &mut SdpLine, number: u8) -> Option<&mut PayloadType> {
    let at = match line.payload_types.iter().position(|t| t.number == number) {
        Some(at) => at,
        None if number > 127 || line.payload_types.len() >= MOST_TYPES => return None,
        None => {
            let (encoding, clock_hz, channels) = fixed(number).unwrap_or(("", 0, 1));
            let encoding = encoding.to_owned();
            line.payload_types.push(PayloadType { number, encoding, clock_hz, channels, parameters: Vec::new() });
            line.payload_types.len() - 1
        }
    };
    line.payload_types.get_mut(at)
}

/// The table of RFC 3551 section 6: encoding, clock, channels.
fn fixed(number: u8) -> Option<(&'static str, u32, u16)> {
    Some(match number {
        0 => ("PCMU", 8000, 1),
        3 => ("GSM", 8000, 1),
        4 => ("G723", 8000, 1),
        5 => ("DVI4", 8000, 1),
        6 => ("DVI4", 16000, 1),
        7 => ("LPC", 8000, 1),
        8 => ("PCMA", 8000, 1),
        9 => ("G722", 8000, 1),
        10 => ("L16", 44100, 2),
        11 => ("L16", 44100, 1),
        12 => ("QCELP", 8000, 1),
        13 => ("CN", 8000, 1),
        14 => ("MPA", 90000, 1),
        15 => ("G728", 8000, 1),
        16 => ("DVI4", 11025, 1),
        17 => ("DVI4", 22050, 1),
        18 => ("G729", 8000, 1),
        25 => ("CELB", 90000, 1),
        26 => ("JPEG", 90000, 1),
        28 => ("NV", 90000, 1),
        31 => ("H261", 90000, 1),
        32 => ("MPV", 90000, 1),
        33 => ("MP2T", 90000, 1),
        34 => ("H263", 90000, 1),
        _ => return None,
    })
}

/// What an attribute says of a line.
fn apply(line: &mut SdpLine, name: &str, value: &str) {
    match name.to_ascii_lowercase().as_str() {
        // The first one that says something: some name one for each of several ways.
        "control" if line.control.is_none() => line.control = Some(value.to_owned()),
        "rtpmap" => {
            let Some((number, map)) = numbered(value) else { return };
            let Some(of) = payload_type(line, number) else { return };
            let mut parts = map.split('/').map(str::trim);
            let encoding = parts.next().unwrap_or_default();
            if encoding.is_empty() {
                return;
            }
            of.encoding =
                encoding.chars().filter(|c| c.is_ascii_graphic()).take(64).collect::<String>().to_ascii_uppercase();
            of.clock_hz = parts.next().and_then(|n| n.parse().ok()).unwrap_or(of.clock_hz);
            of.channels = parts.next().and_then(|n| n.parse().ok()).unwrap_or(1).max(1);
        }
        "fmtp" => {
            let Some((number, list)) = numbered(value) else { return };
            let Some(of) = payload_type(line, number) else { return };
            for parameter in list.split(';') {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                let name = name.trim().to_ascii_lowercase();
                if !name.is_empty() && of.parameters.len() < MOST_PARAMETERS {
                    of.parameters.push((name, value.trim().to_owned()));
                }
            }
        }
        // The size of pictures whose packets cannot say it: as if it were a parameter.
        "x-dimensions" | "framesize" => {
            for of in &mut line.payload_types {
                if of.parameters.len() < MOST_PARAMETERS {
                    of.parameters.push((name.to_ascii_lowercase(), value.to_owned()));
                }
            }
        }
        "framerate" | "x-framerate" => {
            let rate: Option<f32> = value.trim_start_matches(':').trim().parse().ok();
            line.frame_rate = rate.filter(|r| FRAME_RATES.contains(r)).or(line.frame_rate);
        }
        _ => {}
    }
}

/// `96 H264/90000` is 96 and the rest.
fn numbered(value: &str) -> Option<(u8, &str)> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number = value.get(..end)?.parse().ok()?;
    Some((number, value.get(end..)?.trim()))
}

/// Fills in what a line did not say.
fn complete(line: &mut SdpLine) {
    let (kind, default_hz) = (line.kind, if line.kind == LineKind::Audio { 8000 } else { 90000 });
    for of in &mut line.payload_types {
        let has = |name: &str| of.parameter(name).is_some();
        if of.encoding.is_empty() && kind == LineKind::Video {
            // No `rtpmap`: the parameters tell.
            if has("sprop-vps") || has("sprop-sps") {
                of.encoding = "H265".into();
            } else if has("sprop-parameter-sets") || has("packetization-mode") || has("profile-level-id") {
                of.encoding = "H264".into();
            }
        }
        if of.clock_hz == 0 {
            of.clock_hz = default_hz;
        }
    }
}

/// Which way each line goes. `sendonly` is said from the client's view (ONVIF streaming 5.3) or, where pictures are said to be so, from
/// the camera's.
fn directions(lines: &mut [SdpLine], all: Said, said: &[Said]) {
    let of = |n: usize| said.get(n).and_then(|s| s.direction).or(all.direction);
    let is_own_view =
        lines.iter().enumerate().any(|(n, line)| line.kind == LineKind::Video && of(n) == Some(Attribute::SendOnly));
    for (n, line) in lines.iter_mut().enumerate() {
        line.direction = match of(n) {
            Some(Attribute::Inactive) => Direction::Neither,
            Some(Attribute::SendOnly) if !is_own_view => Direction::ToCamera,
            Some(Attribute::RecvOnly) if is_own_view && line.kind != LineKind::Video => Direction::ToCamera,
            _ => Direction::FromCamera,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAHUA: &str = "v=0\r\no=- 2251938191 2251938191 IN IP4 0.0.0.0\r\ns=Media Server\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n\
        a=packetization-supported:DH\r\na=range:npt=now-\r\nm=video 0 RTP/AVP 96\r\na=control:trackID=0\r\na=framerate:25.000000\r\n\
        a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=64001E;sprop-parameter-sets=Z2QAHqwsaoMg5puAgICB,aO4xshs=\r\n\
        a=recvonly\r\nm=audio 0 RTP/AVP 97\r\na=control:trackID=1\r\na=rtpmap:97 MPEG4-GENERIC/48000\r\n\
        a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1188\r\na=recvonly\r\n";

    fn types(line: &SdpLine) -> Vec<(u8, &str, u32, u16)> {
        line.payload_types.iter().map(|t| (t.number, t.encoding.as_str(), t.clock_hz, t.channels)).collect()
    }

    #[test]
    fn dahua_h264_aac() {
        for text in
            [DAHUA.to_owned(), DAHUA.replace("\r\n", "\n"), DAHUA.replace("\r\n", "\r"), format!("\u{feff}{DAHUA}")]
        {
            let sdp = parse(text.as_bytes());
            assert_eq!((sdp.control.as_deref(), sdp.lines.len()), (Some("*"), 2));
            let [video, audio] = &sdp.lines[..] else { panic!("two lines") };
            assert_eq!(types(video), [(96, "H264", 90000, 1)]);
            let sets = video.payload_types[0].parameter("sprop-parameter-sets");
            assert_eq!(sets, Some("Z2QAHqwsaoMg5puAgICB,aO4xshs="));
            assert_eq!((video.frame_rate, video.control.as_deref()), (Some(25.0), Some("trackID=0")));
            assert_eq!(types(audio), [(97, "MPEG4-GENERIC", 48000, 1)]);
            assert_eq!((audio.kind, audio.direction), (LineKind::Audio, Direction::FromCamera));
        }
    }

    #[test]
    fn foreign_line_and_bad_lines() {
        // No `t=`, an address without one, a negative port, no line break at the end; then a maker's own line.
        let sdp = parse(
            b"v=0\r\no=- 1001 1 IN\r\nm=video -1353744643 RTP/AVP 96\r\nc=IN\r\na=rtpmap:96 H264/90000\r\na=control:rtsp://10.0.0.9:554/t\r\n\
              m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\na=rtpmap:95 TP-LINK/90000\r\na=control:track3\r\na=recvonly",
        );
        assert_eq!(types(&sdp.lines[0]), [(96, "H264", 90000, 1)]);
        assert_eq!(sdp.lines[0].control.as_deref(), Some("rtsp://10.0.0.9:554/t"));
        assert_eq!((sdp.lines[1].kind, types(&sdp.lines[1])), (LineKind::Other, vec![(95, "TP-LINK", 90000, 1)]));
    }

    #[test]
    fn static_types_and_what_is_left_out() {
        for (text, want) in [
            ("m=audio 0 RTP/AVP 8", vec![(8, "PCMA", 8000, 1)]),
            ("m=audio 0 RTP/AVP 0\na=rtpmap:0 PCMU/16000", vec![(0, "PCMU", 16000, 1)]),
            ("m=audio 0 RTP/AVP 10 9", vec![(10, "L16", 44100, 2), (9, "G722", 8000, 1)]),
            ("m=video 0 RTP/AVP 26", vec![(26, "JPEG", 90000, 1)]),
            ("m=audio 0 RTP/AVP 97\na=rtpmap: 97 l16/44100/2", vec![(97, "L16", 44100, 2)]),
            ("m=audio 0 RTP/AVP 97\na=rtpmap:97 opus/0/0", vec![(97, "OPUS", 8000, 1)]),
            ("m=audio 0 RTP/AVP 97\na=rtpmap:97 G726-32", vec![(97, "G726-32", 8000, 1)]),
            ("m=video 0 RTP/AVP 96\na=fmtp:96 packetization-mode=1", vec![(96, "H264", 90000, 1)]),
            ("m=video 0 RTP/AVP 96\na=fmtp:96 sprop-vps=QAE=", vec![(96, "H265", 90000, 1)]),
            ("M=video 0", vec![]),
            (
                "m=video 0 RTP/AVP 96 96 300 -1\na=rtpmap:96 H264/90000\na=rtpmap:96 H264/90000",
                vec![(96, "H264", 90000, 1)],
            ),
            ("m=video 0 RTP/AVP\na=rtpmap:98 H265/90000", vec![(98, "H265", 90000, 1)]),
        ] {
            let sdp = parse(text.as_bytes());
            assert_eq!(sdp.lines.first().map(types).unwrap_or_default(), want, "{text}");
        }
        let framed =
            |rate: &str| parse(format!("m=video 0 RTP/AVP 96\na=framerate:{rate}").as_bytes()).lines[0].frame_rate;
        let rates = ["25", " 29.97", "0", "NaN", "-1", "1e9", "x"].map(framed);
        assert_eq!(rates, [Some(25.0), Some(29.97), None, None, None, None, None]);
    }

    #[test]
    fn encrypted_lines_are_not_taken() {
        let sdp = parse(b"m=video 0 RTP/SAVP 96\nm=audio 0 RTP/AVP 8\nm=video 0 RTP/AVP 96");
        assert_eq!(
            sdp.lines.iter().map(|l| l.kind).collect::<Vec<_>>(),
            [LineKind::Other, LineKind::Audio, LineKind::Video]
        );
        assert_eq!(sdp.encrypted, (true, false));
    }

    #[test]
    fn directions_from_either_view() {
        let of = |video: &str, audio: &str, all: &str| {
            let text = format!("{all}\nm=audio 0 RTP/AVP 8\n{audio}\nm=video 0 RTP/AVP 96\n{video}\n");
            let lines = parse(text.as_bytes()).lines;
            (lines[1].direction, lines[0].direction)
        };
        use Direction::{FromCamera, Neither, ToCamera};
        assert_eq!(of("a=recvonly", "a=sendonly", ""), (FromCamera, ToCamera));
        assert_eq!(of("", "a=sendonly", ""), (FromCamera, ToCamera));
        assert_eq!(of("a=sendonly", "a=sendonly", ""), (FromCamera, FromCamera));
        assert_eq!(of("a=sendonly", "a=recvonly", ""), (FromCamera, ToCamera));
        assert_eq!(of("", "", "a=sendonly"), (FromCamera, FromCamera));
        assert_eq!(of("", "a=sendrecv", "a=recvonly"), (FromCamera, FromCamera));
        assert_eq!(of("", "a=inactive", ""), (FromCamera, Neither));
    }

    #[test]
    fn bounded_by_number() {
        let many = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n".repeat(10_000);
        assert_eq!(parse(many.as_bytes()).lines.len(), MOST_LINES);
        let line = format!("m=video 0 RTP/AVP{}\na=fmtp:96 {}\n", " 96 97 98".repeat(6_000), "a=b;".repeat(9_000));
        let sdp = parse(line.as_bytes());
        assert!(sdp.lines[0].payload_types.iter().all(|t| t.parameters.len() <= MOST_PARAMETERS));
        let types: String = (0..=255).map(|n| format!("a=rtpmap:{n} X/1\n")).collect();
        assert_eq!(parse(format!("m=video 0 RTP/AVP\n{types}").as_bytes()).lines[0].payload_types.len(), MOST_TYPES);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn damaged_descriptions_are_read(at in 0..DAHUA.len(), with in any::<u8>(), cut in 0..DAHUA.len()) {
            let mut bytes = DAHUA.as_bytes().to_vec();
            bytes[at] = with;
            for line in parse(&bytes).lines.iter().chain(&parse(&bytes[cut..]).lines) {
                prop_assert!(line.payload_types.iter().all(|t| t.number < 128 && t.clock_hz > 0 && t.channels > 0));
            }
        }
    }
}
