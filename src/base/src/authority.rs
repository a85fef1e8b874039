//! Where a URL leads: the part between its `//` and its path (RFC 3986, section 3.2).

/// An authority in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'u> {
    /// User and password as they stand there.
    pub user_info: Option<&'u str>,
    /// Name or address, without brackets.
    pub host: &'u str,
    /// The port, where one is named.
    pub port: Option<u16>,
}

impl<'u> Authority<'u> {
    /// Scheme and authority of a URL. `None` where it has no scheme, or its port is none.
    pub fn of(url: &'u str) -> Option<(&'u str, Self)> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Some((scheme, Self::parse(&rest[..end])?))
    }

    /// Reads what stands before a path. An IPv6 address without brackets has no port. `None` where the port is none.
    pub fn parse(text: &'u str) -> Option<Self> {
        let (user_info, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
        let (host, port) = match place.strip_prefix('[').and_then(|six| six.split_once(']')) {
            Some((six, "")) => (six, ""),
            Some((six, port)) => (six, port.strip_prefix(':')?),
            None if place.matches(':').count() == 1 => place.split_once(':')?,
            None => (place, ""),
        };
        let is_number = |port: &&str| port.bytes().all(|b| b.is_ascii_digit());
        let port = match port {
            "" => None,
            port => Some(Some(port).filter(is_number)?.parse().ok().filter(|port| *port > 0)?),
        };
        Some(Self { user_info, host, port })
    }
}

/// A host as it stands in a URL: an IPv6 address in brackets.
pub fn in_url(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_urls() {
        for (url, want) in [
            ("rtsp://cam", Some((None, "cam", None))),
            ("rtsp://cam:554/a:b@c", Some((None, "cam", Some(554)))),
            ("http://me:p:w@cam?x=@evil", Some((Some("me:p:w"), "cam", None))),
            ("http://a@b@cam:80#x", Some((Some("a@b"), "cam", Some(80)))),
            ("http://[fe80::1%eth0]:8080/x", Some((None, "fe80::1%eth0", Some(8080)))),
            ("http://[::1]", Some((None, "::1", None))),
            ("http://::1/", Some((None, "::1", None))),
            ("http://cam:/", Some((None, "cam", None))),
            ("http://cam:0/", None),
            ("http://cam:+80/", None),
            ("http://cam:99999/", None),
            ("http://[::1]x/", None),
            ("cam:80", None),
        ] {
            let is = Authority::of(url).map(|(_, at)| (at.user_info, at.host, at.port));
            assert_eq!(is, want, "{url}");
        }
        assert_eq!([in_url("::1"), in_url("[::1]"), in_url("cam")], ["[::1]", "[::1]", "cam"]);
    }
}
