//! The lines of a description that are set up, and where a camera may mean them to be found.

use super::errors::unsupported;
use super::output::SpeechCodec;
use crate::format::{Direction, LineKind, SdpLine};
use crate::rtp::choose;
use crate::wire::message::Message;
use crate::wire::sdp::{self, Description};
use crate::wire::url;
use perch_base::{Error, Result};

/// A line that is set up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    /// What the SDP says of it.
    pub line: SdpLine,
    /// Where it may be found, at least one place.
    urls: Vec<String>,
    /// Which of them is tried.
    tried: usize,
    /// The box's UDP ports for it.
    pub ports: Option<(u16, u16)>,
}

impl Track {
    /// Where it is tried.
    pub fn url(&self) -> &str {
        self.urls.get(self.tried).map_or("", String::as_str)
    }

    /// Tries the next place. False: there is none.
    pub fn try_next(&mut self) -> bool {
        self.tried += 1;
        self.tried < self.urls.len()
    }

    /// Tries the first place.
    pub fn try_first(&mut self) {
        self.tried = 0;
    }
}

/// What is wanted of a camera.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SetupPlan {
    /// The URL of the whole: what is played.
    pub aggregate: String,
    /// The lines that are set up, pictures first.
    pub tracks: Vec<Track>,
    /// Why sound that it announces is left out.
    pub no_sound: Option<String>,
}

impl SetupPlan {
    /// Chooses from an answer to DESCRIBE at the URL `request`. Errors with `Invalid` and `Unsupported`.
    pub fn of(message: &Message, request: &str, sound: bool) -> Result<Self> {
        if message.too_large {
            return Err(Error::invalid("its description of the pictures is larger than 1 MiB"));
        }
        let named = message.headers("content-base").chain(message.headers("content-location"));
        let base = named.filter_map(|b| url::base(b, request)).next().unwrap_or_else(|| request.to_owned());
        let described = sdp::parse(&message.body);
        if described.lines.is_empty() {
            return Err(Error::invalid("its answer describes no pictures (SDP): check the path in its address"));
        }
        let mut chosen = choose(&described.lines, sound);
        let (has_pictures, has_sound) = described.encrypted;
        if has_pictures && chosen.picture.is_none() {
            return Err(unsupported("its pictures are encrypted (SRTP): switch that off there, or use rtsps://"));
        }
        if has_sound && sound && chosen.sound.is_none() {
            chosen.no_sound = Some("the camera's sound is encrypted (SRTP) and left out: switch that off there".into());
        }
        let Some(picture) = chosen.picture else {
            return Err(unsupported(chosen.refusal.unwrap_or_else(|| "it offers no pictures".into())));
        };
        let numbers = std::iter::once(picture).chain(chosen.sound);
        let tracks = numbers.filter_map(|n| track(&described, n, &base, request)).collect();
        Ok(Self { aggregate: aggregate(&base, &described), tracks, no_sound: chosen.no_sound })
    }
}

impl SetupPlan {
    /// The line by which a camera is spoken to, from an answer to DESCRIBE at the URL `request`, with its payload type; nothing where there is
    /// none, or none in G.711. It is the last of the lines: servers that play nothing to whoever only speaks are asked for their sound beside
    /// it, or for their pictures where they have none. Errors with `Invalid`.
    pub fn of_speech(message: &Message, request: &str) -> Result<Option<(Self, (u8, SpeechCodec))>> {
        if message.too_large {
            return Err(Error::invalid("its description is larger than 1 MiB"));
        }
        let named = message.headers("content-base").chain(message.headers("content-location"));
        let base = named.filter_map(|b| url::base(b, request)).next().unwrap_or_else(|| request.to_owned());
        let described = sdp::parse(&message.body);
        let format = |line: &SdpLine| {
            line.payload_types.iter().filter(|p| p.clock_hz == 8000 && p.channels == 1).find_map(|payload| {
                let codec = match payload.encoding.as_str() {
                    "PCMU" => SpeechCodec::Pcmu,
                    "PCMA" => SpeechCodec::Pcma,
                    _ => return None,
                };
                Some((payload.number, codec))
            })
        };
        let mut lines = described.lines.iter().enumerate();
        let found = lines.find_map(|(n, line)| {
            let is_it = line.kind == LineKind::Audio && line.direction == Direction::ToCamera;
            Some((n, format(line).filter(|_| is_it)?))
        });
        Ok(found.map(|(n, format)| {
            let from_camera = |kind: LineKind| {
                described.lines.iter().position(|l| l.kind == kind && l.direction == Direction::FromCamera)
            };
            let beside = from_camera(LineKind::Audio).or_else(|| from_camera(LineKind::Video));
            let numbers = beside.into_iter().chain([n]);
            let tracks: Vec<_> = numbers.filter_map(|n| track(&described, n, &base, request)).collect();
            (Self { aggregate: aggregate(&base, &described), tracks, no_sound: None }, format)
        }))
    }
}

/// What is played as a whole: `a=control` of it below the base.
fn aggregate(base: &str, described: &Description) -> String {
    url::join(base, described.control.as_deref().unwrap_or("*"))
}

/// The `n`th line. `base`: what the camera calls its base, else `request`, the URL that was asked.
fn track(described: &Description, n: usize, base: &str, request: &str) -> Option<Track> {
    let line = described.lines.get(n)?;
    let control = line.control.as_deref().unwrap_or("*");
    // As most mean it first; then as the others do.
    let meant = [
        Some(url::join(&aggregate(base, described), control)),
        Some(url::join(base, control)),
        Some(url::join(request, control)),
        url::resolve(base, control),
    ];
    let mut urls = Vec::new();
    for url in meant.into_iter().flatten() {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    Some(Track { line: line.clone(), urls, tried: 0, ports: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(session: &str, control: &str, base: &str) -> Vec<String> {
        let described = sdp::parse(format!("{session}\nm=video 0 RTP/AVP 96\n{control}\n").as_bytes());
        track(&described, 0, base, "rtsp://h/live").expect("a line").urls
    }

    #[test]
    fn as_most_mean_it_first() {
        for (session, control, base, want) in [
            ("", "a=control:t1", "rtsp://h/live/", vec!["rtsp://h/live/t1"]),
            ("a=control:*", "a=control:t1", "rtsp://h/live", vec!["rtsp://h/live/t1", "rtsp://h/t1"]),
            (
                "a=control:rtsp://h/all",
                "a=control:t1",
                "rtsp://h/live",
                vec!["rtsp://h/all/t1", "rtsp://h/live/t1", "rtsp://h/t1"],
            ),
            ("", "a=control:rtsp://h:1/x", "rtsp://h/live/", vec!["rtsp://h:1/x"]),
            ("", "", "rtsp://h/live/", vec!["rtsp://h/live/", "rtsp://h/live"]),
            ("", "a=control:t1", "rtsp://10.0.0.1/live/", vec!["rtsp://10.0.0.1/live/t1", "rtsp://h/live/t1"]),
        ] {
            assert_eq!(urls(session, control, base), want, "{session} {control} {base}");
        }
    }
}
