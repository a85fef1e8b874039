//! Host and port as URLs, `Host` and `Origin` write them: one reading for all that compares them.

use std::net::Ipv6Addr;

/// The port of HTTPS where none is named (RFC 9110, section 4.2.2).
const DEFAULT_PORT: u16 = 443;

/// A host and a port. Two that mean the same are equal, however they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// Lower case, without brackets and final dot.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Authority {
    /// `name`, `name:port`, `[v6]` or `[v6]:port`; an empty port is the default one (RFC 3986, section 3.2.3). `None`: it is none
    /// of these.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (v6, port) = rest.split_once(']')?;
                (v6.parse::<Ipv6Addr>().ok()?.to_string(), port)
            }
            None => {
                let at = text.find(':').unwrap_or(text.len());
                let name = text[..at].strip_suffix('.').unwrap_or(&text[..at]);
                (name.to_ascii_lowercase(), &text[at..])
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(plain) {
            return None;
        }
        let port = match port.strip_prefix(':') {
            Some("") => DEFAULT_PORT,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            None if port.is_empty() => DEFAULT_PORT,
            _ => return None,
        };
        Some(Self { host, port })
    }
}

/// Whether both name the same host and port.
pub(crate) fn same(a: &str, b: &str) -> bool {
    Authority::parse(a).is_some_and(|a| Some(a) == Authority::parse(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let good = [
            ("box.local", "box.local", 443),
            ("BOX.local.:443", "box.local", 443),
            ("box:8443", "box", 8443),
            ("box:", "box", 443),
            ("192.0.2.1:1", "192.0.2.1", 1),
            ("[2001:DB8::0001]", "2001:db8::1", 443),
            ("[::1]:8443", "::1", 8443),
            ("[::1]:", "::1", 443),
        ];
        for (text, host, port) in good {
            assert_eq!(Authority::parse(text), Some(Authority { host: host.into(), port }), "{text}");
        }
        let bad = [
            "",
            ".",
            ":443",
            "[::1",
            "[::1]x",
            "[::1]443",
            "[box]",
            "::1",
            "box:x",
            "box:+1",
            "box:65536",
            "a@box",
            "box/x",
            "box:443:443",
            "b ox",
            "bøx",
        ];
        for text in bad {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn default_ports_are_equal() {
        for (a, b) in
            [("box", "box:443"), ("box:443", "box"), ("Box.", "box"), ("[::1]", "[0::1]:443"), ("box:8443", "box:8443")]
        {
            assert!(same(a, b), "{a} and {b}");
        }
        for (a, b) in
            [("box", "box:80"), ("box:8443", "box"), ("box", "xbox"), ("", ""), ("::1", "::1"), ("box", "box.evil")]
        {
            assert!(!same(a, b), "{a} and {b}");
        }
    }
}
