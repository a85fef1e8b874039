//! ONVIF devices as the box asks them (ONVIF Core and Media specifications): what is asked, what comes, and which addresses that a device names
//! are followed. The adapter of this name speaks it.

use crate::picture_controls::onvif::ImagingSetting;
use crate::ports::Later;
use crate::text::as_told;
use perch_base::Result;
use perch_base::authority::{Authority, in_url};
use perch_base::secret::Secret;
use std::net::IpAddr;
use std::time::Duration;

/// A device that answered a search (WS-Discovery 1.0, ProbeMatch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Where the answer came from.
    pub address: IpAddr,
    /// Its device service, on that address.
    pub url: String,
    /// Its name, of its scopes; may be empty.
    pub name: String,
    /// Its model, of its scopes; may be empty.
    pub model: String,
}

/// How a device is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its device service: `http://host[:port]/path`.
    pub url: String,
    /// Who signs in; empty for nobody.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// One profile of a device's media service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnvifProfile {
    /// What it shows: profiles with the same are one camera's.
    pub sight: String,
    /// Such as `H.264`; `None` where it is not said.
    pub codec: Option<String>,
    /// Pixels of a row.
    pub width: Option<u32>,
    /// Rows.
    pub height: Option<u32>,
    /// Pictures a second at most.
    pub fps: Option<f64>,
    /// kbit/s at most.
    pub bitrate_kbps: Option<u32>,
    /// Where its stream is, on the host that was asked, without user and password; `None` where it has none.
    pub address: Option<String>,
}

/// A device that was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnvifDevice {
    /// Its maker; may be empty.
    pub maker: String,
    /// Its model; may be empty.
    pub model: String,
    /// Its firmware; may be empty.
    pub firmware: String,
    /// How far its clock is ahead of the box's, seconds.
    pub clock_ahead_s: Option<f64>,
    /// Its profiles, in its own order.
    pub profiles: Vec<OnvifProfile>,
}

/// The picture settings of one of a device's cameras.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imaging {
    /// Where they are set: the imaging service.
    pub service: String,
    /// Token of the camera's picture.
    pub token: String,
    /// What there is, as it is now.
    pub settings: Vec<ImagingSetting>,
}

/// An address that a device names, on the host that was asked: its own port, path and query, and whatever host it names is left out, since a
/// device knows itself by addresses of other networks, and may name what is not its own. `None` where it is of another kind than
/// `schemes`, or cannot be sent.
pub fn on_host(named: &str, host: &str, schemes: &[&str]) -> Option<String> {
    let named = named.trim();
    let (scheme, rest) = named.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !schemes.contains(&scheme.as_str()) || named.len() > 1024 || !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let port = Authority::parse(authority)?.port.map(|port| format!(":{port}")).unwrap_or_default();
    let host = in_url(host);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
    Some(format!("{scheme}://{host}{port}{path}"))
}

/// Name and model of a device's scopes (`onvif://www.onvif.org/name/Yard%20cam`).
pub fn of_scopes(scopes: &str) -> (String, String) {
    let of = |kind: &str| {
        let found = scopes.split_ascii_whitespace().take(64).find_map(|scope| {
            let (_, rest) = scope.split_once("onvif.org/")?;
            rest.strip_prefix(kind)?.strip_prefix('/')
        });
        as_told(&decoded(found.unwrap_or_default()))
    };
    (of("name"), of("hardware"))
}

/// What percent-encoding stands for; what is none stands for itself.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (*byte == b'%').then(|| digit(at + 1).zip(digit(at + 2))).flatten() {
            Some((high, low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How a codec is called, of what a device calls it.
pub fn codec(encoding: &str) -> Option<String> {
    match encoding.trim().to_ascii_uppercase().as_str() {
        "" => None,
        "H264" => Some("H.264".into()),
        "H265" | "HEVC" => Some("H.265".into()),
        "JPEG" => Some("MJPEG".into()),
        other => Some(as_told(other)),
    }
}

/// ONVIF devices in the network. Calls have limits of their own, and end where they are dropped.
pub trait OnvifPort: Send + Sync {
    /// Devices that answer a search within `wait`, each once.
    fn search(&self, wait: Duration) -> Later<'_, Vec<Answered>>;
    /// The device service of a host that did not answer a search, at one of the usual ports.
    fn find(&self, host: &str) -> Later<'_, Option<String>>;
    /// Asks a device for itself and its streams; user and password are tried once. Errors with `Unauthenticated` (it refuses them),
    /// `Unavailable`, `Unsupported` and `Invalid`, each with a sentence whose subject is the device.
    fn ask(&self, asked: Asked) -> Later<'_, Result<OnvifDevice>>;
    /// Asks a device for the picture settings of the camera whose stream is at `stream` (the first of its cameras, where none has that). Errors
    /// like [`Self::ask`]: `Unsupported` where it has none.
    fn imaging(&self, asked: Asked, stream: String) -> Later<'_, Result<Imaging>>;
    /// Sets some of them, each by its path, in the order of the schema. Errors like [`Self::ask`].
    fn set_imaging(
        &self,
        asked: Asked,
        imaging: Imaging,
        changes: Vec<(&'static str, String)>,
    ) -> Later<'_, Result<()>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_names_only_itself() {
        for (named, want) in [
            ("rtsp://192.168.0.9:554/a?b=1", Some("rtsp://cam:554/a?b=1")),
            ("RTSP://me:pw@192.168.0.9/a", Some("rtsp://cam/a")),
            ("rtsp://[fe80::1]:8554/a", Some("rtsp://cam:8554/a")),
            ("rtsp://[fe80::1]/a", Some("rtsp://cam/a")),
            ("rtsp://example.com", Some("rtsp://cam")),
            ("rtsp://example.com?x=1#y", Some("rtsp://cam/?x=1")),
            ("rtsp://x:0/a", None),
            ("rtsp://x:99999/a", None),
            ("http://x/a", None),
            ("file:///etc/shadow", None),
            ("rtsp://x/a b", None),
            ("rtsp://x/a\r\nb", None),
            ("nothing", None),
        ] {
            assert_eq!(on_host(named, "cam", &["rtsp", "rtsps"]).as_deref(), want, "{named}");
        }
        assert_eq!(on_host("http://x:80/a", "fe80::1", &["http"]).as_deref(), Some("http://[fe80::1]:80/a"));
    }

    #[test]
    fn scopes_say_name_and_model() {
        let scopes = "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Yard%20cam%0A%E2\n\
            onvif://www.onvif.org/hardware/DS-2CD2042 onvif://www.onvif.org/location/";
        assert_eq!(of_scopes(scopes), ("Yard cam\u{fffd}".into(), "DS-2CD2042".into()));
        assert_eq!(of_scopes(""), (String::new(), String::new()));
    }

    proptest! {
        #[test]
        fn whatever_is_named_stays_on_the_host(named in "(rtsp|http)://[!-~]{0,40}") {
            if let Some(kept) = on_host(&named, "10.0.0.7", &["rtsp", "http"]) {
                let (_, rest) = kept.split_once("://").expect("a scheme");
                let authority = rest.split(['/', '?', '#']).next().expect("one");
                prop_assert!(authority == "10.0.0.7" || authority.starts_with("10.0.0.7:"), "{kept}");
            }
        }
    }
}
