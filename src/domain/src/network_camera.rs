//! What the config says of a network camera beyond its address: how packets travel, whom to trust, its own second stream, its shape.

use crate::discovery::DevicePlace;
use crate::ingest::{Shape, TlsTrust, Transport};
use crate::orientation::Orientation;
use crate::redact::{Shown, hides_credentials};
use crate::settings::Keys;
use crate::settings::password::Password;
use crate::text::check_meant;
use perch_base::secret::Secret;
use perch_base::{Error, Result};
use std::path::PathBuf;

/// How a network camera is reached. All of it has its default for other sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSettings {
    /// How packets travel.
    pub transport: Transport,
    /// Whom an `rtsps` camera must prove to be.
    pub trust: TlsTrust,
    /// The camera's own second stream: the small stream and the pictures for motion.
    pub sub_source: Option<Secret>,
    /// Its ONVIF device service; looked for at its address where nothing is said.
    pub onvif: Option<String>,
}

/// The source of the camera that these settings are of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SourceKind<'a> {
    /// A network camera with this address.
    Network(&'a Secret),
    /// Another one.
    Other,
    /// One that was refused: it is none of another kind.
    Refused,
}

impl NetworkSettings {
    /// Reads `transport`, `tls`, `sub_source` and `onvif` of a camera with this source and password.
    pub(crate) fn read(keys: &mut impl Keys, source: SourceKind<'_>, password: &Password) -> Self {
        let for_network = "is only for a network camera: source = \"rtsp://…\" or \"rtsps://…\"";
        let words = [
            ("auto", Transport::Auto),
            ("tcp", Transport::Tcp),
            ("udp", Transport::Udp),
            ("multicast", Transport::Multicast),
            ("http", Transport::Http),
        ];
        let (has_transport, has_tls, has_sub) = (keys.has("transport"), keys.has("tls"), keys.has("sub_source"));
        let has_onvif = keys.has("onvif");
        let transport = keys.choice("transport", "auto", &words);
        let trust = read_trust(keys.section("tls"), has_tls);
        let sub_source = keys.optional("sub_source", |text| parse_url(&password.put_into(text)?));
        let onvif = keys.optional("onvif", onvif_address);
        let url = match source {
            SourceKind::Network(url) => url,
            SourceKind::Refused => return Self::default(),
            SourceKind::Other => {
                let has_password = password.0.is_some();
                let keys_of_network = [
                    ("transport", has_transport),
                    ("tls", has_tls),
                    ("sub_source", has_sub),
                    ("password_file", has_password),
                    ("onvif", has_onvif),
                ];
                for (key, _) in keys_of_network.into_iter().filter(|(_, is_there)| *is_there) {
                    keys.problem(key, Shown::nothing(), for_network);
                }
                return Self::default();
            }
        };
        let is_tls = |url: &Secret| url.expose().starts_with("rtsps:");
        let has_tls_url = is_tls(url) || sub_source.as_ref().is_some_and(is_tls);
        if has_tls && !has_tls_url {
            keys.problem("tls", Shown::nothing(), "is only for an address that begins with rtsps://");
        }
        if has_tls_url && matches!(transport, Transport::Udp | Transport::Multicast) {
            let word = words.iter().find(|(_, t)| *t == transport).map_or("", |(word, _)| word);
            keys.problem("transport", word, "must be auto, tcp or http with rtsps://: UDP would go unencrypted");
        }
        if sub_source.as_ref() == Some(url) {
            let rule = "must differ from `source`: it is the address of the camera's second, smaller stream";
            keys.problem("sub_source", sub_source.as_ref().map_or("", |url| url.expose().as_str()), rule);
        }
        Self { transport, trust, sub_source, onvif }
    }
}

/// An ONVIF device service. Errors with the rule alone, as there may be a password in it.
fn onvif_address(text: &str) -> Result<String> {
    let place = DevicePlace::parse(text).ok().filter(|_| !text.contains('@'));
    let rule = "must be like http://192.168.1.20/onvif/device_service or https://…, without user and password";
    place.and_then(|place| place.onvif).ok_or_else(|| Error::invalid(rule))
}

fn read_trust(mut keys: impl Keys, is_there: bool) -> TlsTrust {
    let (has_file, has_pin) = (keys.has("ca_file"), keys.has("sha256"));
    let file = keys.text("ca_file", "", 0..=4096);
    let pin = keys.optional("sha256", parse_sha256);
    match (has_file, has_pin) {
        (true, true) => {
            keys.problem("sha256", Shown::nothing(), "must stand without `ca_file`: one of the two is enough")
        }
        (true, false) if file.is_empty() => keys.problem("ca_file", "", "must name a file of CA certificates in PEM"),
        (false, false) if is_there => {
            keys.problem(
                "ca_file",
                "",
                "or `sha256` is needed; without `tls` the camera's first certificate is trusted",
            );
        }
        _ => {}
    }
    keys.finish();
    match (pin, file.as_str()) {
        (Some(pin), _) => TlsTrust::Pinned(pin),
        (None, "") => TlsTrust::FirstSeen,
        (None, file) => TlsTrust::Authority(PathBuf::from(file)),
    }
}

/// The SHA-256 of a certificate as tools print it: 64 hex digits, with or without colons. Errors with the rule.
pub fn parse_sha256(text: &str) -> Result<[u8; 32]> {
    let bad = || {
        Error::invalid("must be the SHA-256 fingerprint of a certificate: 64 hex digits, colons between them or not")
    };
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let mut pin = [0; 32];
    if digits.len() != 64 {
        return Err(bad());
    }
    for (byte, pair) in pin.iter_mut().zip(digits.chunks(2)) {
        let digit = |at: usize| pair.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (high, low) = digit(0).zip(digit(1)).ok_or_else(bad)?;
        *byte = (high * 16 + low) as u8;
    }
    Ok(pin)
}

/// Whether `text` begins as the address of a network camera does, in capitals or not.
pub(crate) fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| ["rtsp", "rtsps"].iter().any(|s| scheme.eq_ignore_ascii_case(s)))
}

/// The address of a network camera, its scheme in small letters (RFC 3986 3.1: case does not matter). Errors with the rule alone: it may hold a password.
pub(crate) fn parse_url(text: &str) -> Result<Secret> {
    check_meant(text).map_err(Error::invalid)?;
    if text.contains('…') {
        return Err(Error::invalid("has `…` in it, which is shown in place of what is hidden: give the whole address"));
    }
    if hides_credentials(text) {
        return Err(Error::invalid("write `/ ? # @` in a user name, password or path as %2F %3F %23 %40"));
    }
    match text.split_once("://").filter(|_| is_url(text)) {
        Some((_, "")) => Err(Error::invalid("needs a host after `://`")),
        Some((scheme, rest)) => Ok(Secret::new(format!("{}://{rest}", scheme.to_ascii_lowercase()))),
        None => Err(Error::invalid("must be an address like rtsp://user:password@host/path")),
    }
}

/// The shape of whole pictures, such as 16:9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aspect {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Aspect {
    /// Parses `W:H`. Errors with the rule.
    pub fn parse(text: &str) -> Result<Self> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| (1..=1000).contains(n));
        let both = text.split_once(':').and_then(|(width, height)| number(width).zip(number(height)));
        let aspect = both.map(|(width, height)| Self { width, height });
        aspect
            .filter(|a| a.width <= 8 * a.height && a.height <= 8 * a.width)
            .ok_or_else(|| Error::invalid("must be width:height of the picture, such as 16:9 or 4:3"))
    }

    /// Width and height of a pixel where pictures of this shape have so many columns and rows.
    pub fn pixel(self, columns: u32, rows: u32) -> (u32, u32) {
        let (x, y) = (u64::from(self.width) * u64::from(rows), u64::from(self.height) * u64::from(columns));
        let shared = gcd(x, y).max(1);
        // At most 1000 times 65,535, and smaller after that.
        (u32::try_from(x / shared).unwrap_or(1), u32::try_from(y / shared).unwrap_or(1))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Shape {
    /// The same pictures in the shape that the config gives them, if it does.
    pub fn shaped(self, aspect: Option<Aspect>) -> Self {
        match aspect {
            Some(aspect) if self.width > 0 && self.height > 0 => {
                Self { pixel: aspect.pixel(self.width, self.height), ..self }
            }
            _ => self,
        }
    }

    /// Columns and rows once pixels are square: as many rows, and columns to match.
    pub fn square(self) -> (u32, u32) {
        let (x, y) = self.pixel;
        let columns = (u64::from(self.width) * u64::from(x)).checked_div(u64::from(y)).unwrap_or(u64::from(self.width));
        (u32::try_from(columns).unwrap_or(u32::MAX).clamp(1, 65_535), self.height)
    }

    /// The same as it is to be seen: turned.
    pub fn turned(self) -> Self {
        let ((width, height), pixel) =
            (self.orientation.of_sides((self.width, self.height)), self.orientation.of_sides(self.pixel));
        Self { width, height, pixel, orientation: Orientation::NONE, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_of_network_cameras() {
        for (text, want) in [
            ("rtsp://cam/live", Ok("rtsp://cam/live")),
            ("Rtsp://Cam/Live", Ok("rtsp://Cam/Live")),
            ("RTSPS://me:pw@cam:322/", Ok("rtsps://me:pw@cam:322/")),
            ("rtsp://", Err("needs a host")),
            ("rtsp://cam/a b", Err("has a blank in an address")),
            ("rtsp://cam/a ", Err("has a blank at its end")),
            ("rtsp://cam/a\u{200b}", Err("invisible character")),
            ("http://cam/a", Err("must be an address like rtsp://")),
            ("rtsp:/cam", Err("must be an address like rtsp://")),
            ("rtsp://me:p#w@cam/", Err("%23")),
        ] {
            match (parse_url(text), want) {
                (Ok(url), Ok(want)) => assert_eq!(url.expose(), want),
                (Err(e), Err(want)) => assert!(e.to_string().contains(want), "{text}: {e}"),
                (got, want) => panic!("{text}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn fingerprints_are_read_as_tools_print_them() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(parse_sha256(&plain).expect("hex"), [0xab; 32]);
        assert_eq!(parse_sha256(&colons).expect("hex"), [0xab; 32]);
        for bad in ["", "ab", &"ag".repeat(32), &"ab".repeat(33), &format!("{}é", "ab".repeat(31))] {
            assert!(parse_sha256(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shapes() {
        let shape =
            Shape { width: 704, height: 480, pixel: (40, 33), interlaced: false, orientation: Orientation::NONE };
        assert_eq!(shape.square(), (853, 480));
        assert_eq!(shape.shaped(Some(Aspect { width: 4, height: 3 })).square(), (640, 480));
        assert_eq!(shape.shaped(None), shape);
        let turned = Shape { orientation: Orientation { mirrored: false, quarters: 1 }, ..shape }.turned();
        assert_eq!(turned, Shape { width: 480, height: 704, pixel: (33, 40), ..shape });
        assert_eq!(turned.square(), (396, 704));
        assert_eq!(Aspect { width: 16, height: 9 }.pixel(1920, 1080), (1, 1));
        for bad in ["", "16", "16:", "0:9", "16:0", "100:1", "16:9:1", "-1:2", "a:b", "9999:9999"] {
            assert!(Aspect::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Whatever a camera says of its pixels, a picture has at least a column.
        #[test]
        fn no_shape_is_empty(width in 1..=65_535u32, height in 1..=65_535u32, x: u32, y: u32, a in 1..=1000u32, b in 1..=1000u32) {
            let shape = Shape { width, height, pixel: (x, y), interlaced: false, orientation: Orientation::NONE };
            prop_assert!(shape.square().0 >= 1);
            let (x, y) = Aspect { width: a, height: b }.pixel(width, height);
            prop_assert!(x >= 1 && y >= 1);
        }
    }
}
