//! The headers `Transport` and `Session` of an answer to SETUP (RFC 2326 12.37 and 12.39), read leniently.

use std::net::IpAddr;
use std::time::Duration;

/// Bytes of a session's id that is taken.
const LONGEST_ID: usize = 512;

/// What a camera says of how packets will come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Whether it says TCP.
    pub tcp: bool,
    /// Whether it says multicast.
    pub multicast: bool,
    /// Channels of RTP and RTCP in the connection.
    pub interleaved: Option<(u8, u8)>,
    /// Its own UDP ports of RTP and RTCP.
    pub server_ports: Option<(u16, u16)>,
    /// The group's ports of RTP and RTCP.
    pub ports: Option<(u16, u16)>,
    /// The group, or the address of the box.
    pub destination: Option<IpAddr>,
    /// Where packets will come from.
    pub source: Option<IpAddr>,
}

impl Granted {
    /// Reads the header; the first of several ways counts.
    pub fn parse(header: &str) -> Self {
        let mut out = Self::default();
        for field in header.split(',').next().unwrap_or_default().split(';') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
            match name.as_str() {
                "multicast" => out.multicast = true,
                "interleaved" => out.interleaved = range(value, |n: u8| n.checked_add(1)),
                "server_port" => out.server_ports = range(value, |n: u16| n.checked_add(1)),
                "port" => out.ports = range(value, |n: u16| n.checked_add(1)),
                "destination" => out.destination = value.parse().ok(),
                "source" => out.source = value.parse().ok(),
                _ if name.starts_with("rtp/") && name.ends_with("/tcp") => out.tcp = true,
                _ => {}
            }
        }
        out
    }

    /// The multicast group and its ports of RTP and RTCP, if it names one.
    pub fn group(&self) -> Option<(IpAddr, (u16, u16))> {
        Some((self.destination.filter(IpAddr::is_multicast)?, self.ports.or(self.server_ports)?))
    }
}

/// `a-b`, or `a` for `a` and the next.
fn range<N: std::str::FromStr + Copy>(text: &str, next: impl Fn(N) -> Option<N>) -> Option<(N, N)> {
    let (first, second) = text.split_once('-').unwrap_or((text, ""));
    let first = first.trim().parse().ok()?;
    let second = second.trim().parse().ok().or_else(|| next(first))?;
    Some((first, second))
}

/// The id of a session and how long it lives without a request. `None`: there is no id.
pub(crate) fn session(header: &str) -> Option<(String, Option<Duration>)> {
    let mut fields = header.split(';');
    let id = fields.next()?.trim();
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let timeout = fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        let digits: String = value.trim().chars().take_while(char::is_ascii_digit).take(6).collect();
        is_timeout.then(|| digits.parse().ok()).flatten().filter(|s| *s > 0)
    });
    Some((id.to_owned(), timeout.map(Duration::from_secs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn transports() {
        let granted = Granted::parse("RTP/AVP/TCP;unicast;interleaved=8-9;ssrc=1234ABCD;mode=\"PLAY\"");
        assert_eq!((granted.tcp, granted.interleaved, granted.multicast), (true, Some((8, 9)), false));
        assert_eq!(Granted::parse("rtp/avp/tcp; Interleaved = 4").interleaved, Some((4, 5)));
        assert_eq!(Granted::parse("RTP/AVP/TCP;interleaved=255").interleaved, None);
        let granted =
            Granted::parse("RTP/AVP/UDP;unicast;source=192.0.2.1;client_port=5000-5001;server_port=6970-6971, x");
        assert_eq!((granted.tcp, granted.server_ports), (false, Some((6970, 6971))));
        assert_eq!(granted.source, "192.0.2.1".parse().ok());
        let granted = Granted::parse("RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=16");
        assert_eq!((granted.multicast, granted.ports), (true, Some((5000, 5001))));
        assert_eq!(granted.group(), "239.1.2.3".parse().ok().map(|group| (group, (5000, 5001))));
        assert_eq!(Granted::parse("RTP/AVP;multicast;destination=10.0.0.1;port=5000-5001").group(), None);
        assert_eq!(Granted::parse("port=x-y;destination=evil;;=;"), Granted::default());
    }

    #[test]
    fn sessions() {
        let seconds = |s| Some(Duration::from_secs(s));
        for (header, want) in [
            ("12345678;timeout=60", Some(("12345678", seconds(60)))),
            (" AB$+_ ; Timeout = 30 ", Some(("AB$+_", seconds(30)))),
            ("1;x;timeout=10s", Some(("1", seconds(10)))),
            ("1;timeout=0", Some(("1", None))),
            ("1;timeout=", Some(("1", None))),
            ("1", Some(("1", None))),
            (";timeout=60", None),
            ("a b", None),
        ] {
            let want = want.map(|(id, timeout): (&str, _)| (id.to_owned(), timeout));
            assert_eq!(session(header), want, "{header}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read(text in "\\PC{0,60}", n in any::<u64>()) {
            let _ = (Granted::parse(&text), session(&text));
            let _ = (Granted::parse(&format!("interleaved={n}-{n};port={n}")), session(&format!("1;timeout={n}")));
        }
    }
}
