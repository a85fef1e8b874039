//! URLs of STUN and TURN servers (RFC 7064, RFC 7065), as the box itself and browsers ask them.

use perch_base::{Error, Result};
use std::fmt;

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceTransport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream with TLS.
    Tls,
    /// Datagrams with DTLS: some browsers do, the box does not.
    Dtls,
}

impl fmt::Display for IceTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Dtls => "DTLS",
        })
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceUrl {
    /// Whether it relays (TURN), or only says where one is seen from (STUN).
    pub relays: bool,
    /// How it is reached.
    pub transport: IceTransport,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port; where the URL names none, 3478, with TLS 5349.
    pub port: u16,
}

impl IceUrl {
    /// Reads `stun:host:port`, `turn:host:port?transport=udp` or `turns:host:port`. Errors with the rule, without the text.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| {
            Error::invalid("must be like `stun:host:3478`, `turn:host:3478?transport=udp` or `turns:host:5349`")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let (at, query) = rest.split_once('?').map_or((rest, None), |(at, query)| (at, Some(query)));
        let over_tcp = match query {
            None => None,
            Some("transport=udp") => Some(false),
            Some("transport=tcp") => Some(true),
            Some(_) => return None,
        };
        let (relays, transport) = match (scheme, over_tcp) {
            ("stun", None) => (false, IceTransport::Udp),
            ("turn", None | Some(false)) => (true, IceTransport::Udp),
            ("turn", Some(true)) => (true, IceTransport::Tcp),
            ("turns", None | Some(true)) => (true, IceTransport::Tls),
            ("turns", Some(false)) => (true, IceTransport::Dtls),
            _ => return None,
        };
        let (host, port) = match at.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => {
                let (host, port) = at.split_once(':').map_or((at, None), |(host, port)| (host, Some(port)));
                let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
                (Some(host).filter(|host| is_name && (1..=253).contains(&host.len()))?, port)
            }
        };
        let is_encrypted = matches!(transport, IceTransport::Tls | IceTransport::Dtls);
        let port = match port {
            None => {
                if is_encrypted {
                    5349
                } else {
                    3478
                }
            }
            Some(port) => {
                Some(port).filter(|p| p.bytes().all(|b| b.is_ascii_digit()))?.parse().ok().filter(|p| *p > 0)?
            }
        };
        Some(Self { relays, transport, host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_server() {
        use IceTransport::{Dtls, Tcp, Tls, Udp};
        for (text, want) in [
            ("stun:stun.example.org", Some((false, Udp, "stun.example.org", 3478))),
            ("stun:192.0.2.1:19302", Some((false, Udp, "192.0.2.1", 19302))),
            ("turn:t:1?transport=udp", Some((true, Udp, "t", 1))),
            ("turn:t", Some((true, Udp, "t", 3478))),
            ("turn:t?transport=tcp", Some((true, Tcp, "t", 3478))),
            ("turns:t", Some((true, Tls, "t", 5349))),
            ("turns:t:443?transport=tcp", Some((true, Tls, "t", 443))),
            ("turns:t?transport=udp", Some((true, Dtls, "t", 5349))),
            ("turn:[2001:db8::1]:3479", Some((true, Udp, "2001:db8::1", 3479))),
            ("turn:[2001:db8::1]", Some((true, Udp, "2001:db8::1", 3478))),
            ("", None),
            ("stun:", None),
            ("stun:s?transport=tcp", None),
            ("https:s", None),
            ("turn:t:0", None),
            ("turn:t:65536", None),
            ("turn:t:+1", None),
            ("turn:t:1?transport=sctp", None),
            ("turn:user@t:1", None),
            ("turn:[t]:1", None),
            ("turn:[::1]1", None),
            ("turn:2001:db8::1", None),
        ] {
            let got = IceUrl::parse(text).ok();
            let shown = got.as_ref().map(|url| (url.relays, url.transport, &*url.host, url.port));
            assert_eq!(shown, want, "{text}");
        }
    }
}
