//! How a camera can be talked through: on which loudspeaker, what is done against echo, how long at a time.

use crate::access::check_name;
use crate::event_sound::EventSound;
use crate::settings::Keys;
use perch_base::{Error, Result};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Where what is said is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TalkSink {
    /// Nowhere: it is only measured.
    Test,
    /// The network camera's own loudspeaker, by its RTSP (ONVIF backchannel).
    Camera,
    /// An ALSA playback device such as `hw:CARD=Device,DEV=0`.
    Alsa(String),
}

impl TalkSink {
    /// Parses `test`, `camera` or `alsa:DEVICE`; refuses everything else with the rule alone.
    pub fn parse(text: &str) -> Result<Self> {
        let is_device = |device: &&str| {
            (1..=128).contains(&device.len())
                && device.bytes().all(|b| b.is_ascii_alphanumeric() || b":,._=-".contains(&b))
        };
        match (text, text.strip_prefix("alsa:").filter(is_device)) {
            ("test", _) => Ok(Self::Test),
            ("camera", _) => Ok(Self::Camera),
            (_, Some(device)) => Ok(Self::Alsa(device.to_owned())),
            _ => Err(Error::invalid("must be test, camera or alsa:DEVICE")),
        }
    }
}

impl fmt::Display for TalkSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test => f.write_str("test"),
            Self::Camera => f.write_str("camera"),
            Self::Alsa(device) => write!(f, "alsa:{device}"),
        }
    }
}

/// What is done so that those who talk do not hear themselves through the camera's microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Echo {
    /// It is taken out of what the microphone hears.
    Cancel,
    /// The microphone is turned down while they speak.
    Duck,
    /// Nothing.
    None,
}

perch_base::all_of!(Echo { Cancel, Duck, None });

/// How long somebody may talk at a time.
const MAX: Duration = Duration::from_secs(120);

/// A camera's `talkback`.
#[derive(Clone, Debug, PartialEq)]
pub struct Talkback {
    /// Where it is played; `None`: nobody can talk through this camera.
    pub sink: Option<TalkSink>,
    /// Against echo.
    pub echo: Echo,
    /// The longest time at once.
    pub max: Duration,
    /// The stream passwords whose players may speak by RTSP.
    pub players: Vec<String>,
    /// What is played when an event begins.
    pub on_event: EventSound,
}

impl Default for Talkback {
    fn default() -> Self {
        Self { sink: None, echo: Echo::Cancel, max: MAX, players: Vec::new(), on_event: EventSound::default() }
    }
}

impl Talkback {
    /// Reads `talkback` of a camera.
    pub fn read(mut keys: impl Keys) -> Self {
        let words = [("cancel", Echo::Cancel), ("duck", Echo::Duck), ("none", Echo::None)];
        let read = Self {
            sink: keys.optional("sink", TalkSink::parse),
            echo: keys.choice("echo", "cancel", &words),
            max: keys.whole_seconds("max_s", MAX, Duration::from_secs(5)..=Duration::from_secs(3600)),
            players: keys.texts(
                "players",
                |name| check_name("a stream password", name).is_ok(),
                "must be names of stream passwords",
            ),
            on_event: EventSound::read(keys.section("on_event")),
        };
        keys.finish();
        read
    }

    /// Whether a player that signed in with the stream password of this name, which opens the camera, may speak.
    pub fn lets_player(&self, name: &str) -> bool {
        self.sink.is_some() && self.players.iter().any(|player| player == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_parse_by_allow_list() {
        for (text, sink) in [
            ("test", Some(TalkSink::Test)),
            ("camera", Some(TalkSink::Camera)),
            ("alsa:hw:CARD=Device,DEV=0", Some(TalkSink::Alsa("hw:CARD=Device,DEV=0".into()))),
            ("alsa:", None),
            ("alsa:default ! filesink", None),
            ("alsa:pipe|sh", None),
            ("file:/tmp/x", None),
            ("", None),
        ] {
            assert_eq!(TalkSink::parse(text).ok(), sink, "{text:?}");
            assert!(sink.is_none_or(|sink| sink.to_string() == text));
        }
        assert!(TalkSink::parse(&format!("alsa:{}", "a".repeat(129))).is_err());
    }
}
