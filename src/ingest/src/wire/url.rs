//! The URL of a camera: its parts, and how the addresses in its answers are resolved against it.

use perch_base::percent;
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::sign_in::Credentials;
use std::fmt::Write;
use std::net::IpAddr;

/// Bytes of a URL that is taken, from a person or from a camera.
const LONGEST: usize = 2048;

/// A camera's URL in its parts. What is sent and logged never holds user or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CameraUrl {
    /// `rtsps`.
    pub tls: bool,
    /// Its name or address, without brackets; an IPv6 address with its zone.
    pub host: String,
    /// The port, where one is named.
    pub port: Option<u16>,
    /// What follows: a path with its query, at least `/`, safe to stand in a request.
    pub path: String,
    /// User and password, where a user is named.
    pub credentials: Option<Credentials>,
}

impl CameraUrl {
    /// Reads `rtsp://user:password@host:port/path?query`, the scheme in any case, user and password percent-encoded where they need it.
    /// Errors with `Invalid` and a sentence that holds nothing of the URL.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |what: &str| Error::invalid(format!("its address {what}"));
        let text = text.trim();
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| invalid("does not begin with rtsp:// or rtsps://"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtsp" | "rtspt" | "rtspu" => false,
            "rtsps" => true,
            _ => return Err(invalid("does not begin with rtsp:// or rtsps://")),
        };
        if text.len() > LONGEST {
            return Err(invalid("is too long"));
        }
        let (user_info, rest) = split_user_info(rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = split_port(authority).ok_or_else(|| invalid("names a port that is none"))?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}@".contains(c))
        {
            return Err(invalid("names no host"));
        }
        let path = if path.starts_with('/') { sendable(path) } else { format!("/{}", sendable(path)) };
        let credentials = user_info.map(|info| {
            let (user, password) = info.split_once(':').unwrap_or((info, ""));
            Credentials { user: percent_decode(user), password: Secret::new(percent_decode(password)) }
        });
        Ok(Self { tls, host, port, path, credentials })
    }

    /// The port that is connected to, with RTSP's own where none is named.
    pub fn rtsp_port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 322 } else { 554 })
    }

    /// Without user and password: as it stands in requests.
    pub fn clean(&self) -> String {
        let scheme = if self.tls { "rtsps" } else { "rtsp" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    /// `host:port` as in a URL, without a zone, which means nothing to the camera.
    pub fn authority(&self) -> String {
        let host = self.host.split('%').next().unwrap_or_default();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }

    /// Where a redirect leads, with this URL's credentials: an absolute URL, or a path, on the same host, by its name or by its address
    /// `peer`, which is all that some cameras know of themselves. Errors with `Invalid`, and with `Unsupported` for another host: never
    /// elsewhere with this password, nor to a third party's doors.
    pub fn redirected(&self, location: &str, peer: IpAddr) -> Result<Self> {
        let location = location.trim();
        let mut to = if location.contains("://") {
            Self::parse(location)?
        } else {
            let path = sendable(location);
            let path = if path.starts_with('/') { path } else { format!("/{path}") };
            Self { path, ..self.clone() }
        };
        let address = to.host.split('%').next().and_then(|host| host.parse::<IpAddr>().ok());
        let is_here = to.host.eq_ignore_ascii_case(&self.host)
            || address.is_some_and(|address| address.to_canonical() == peer.to_canonical());
        if !is_here || to.tls != self.tls {
            let what = "it redirects the box to another address: enter that one instead";
            return Err(Error::new(ErrorKind::Unsupported, what).with_inside(to.clean()));
        }
        to.credentials = self.credentials.clone();
        Ok(to)
    }
}

/// What stands before the `@`. A password may hold what ends an authority: where this would leave a port that is none, the first `@`
/// that has a host behind it ends the password.
fn split_user_info(rest: &str) -> (Option<&str>, &str) {
    let authority = |text: &str| text.find(['/', '?', '#']).unwrap_or(text.len());
    let own = &rest[..authority(rest)];
    let at = own.rfind('@').or_else(|| {
        let has_host = |at: &usize| {
            let behind = &rest[at + 1..];
            let host = &behind[..authority(behind)];
            !host.is_empty() && !host.contains('@') && split_port(host).is_some()
        };
        let mut ats = rest.match_indices('@').map(|(at, _)| at);
        if split_port(own).is_none() { ats.find(has_host) } else { None }
    });
    match at {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    }
}

/// Host without brackets, and port. `None`: what stands in the port's place is none.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, after)) => (host.replace("%25", "%"), after),
        None => match authority.rfind(':') {
            // More than one colon: an IPv6 address without its brackets.
            Some(at) if authority.find(':') == Some(at) => (authority[..at].to_owned(), &authority[at..]),
            _ => (authority.to_owned(), ""),
        },
    };
    match port {
        "" | ":" => Some((host, None)),
        _ => {
            let port = port.strip_prefix(':').filter(|p| p.bytes().all(|b| b.is_ascii_digit()))?;
            let port: u16 = port.parse().ok()?;
            (port != 0).then_some((host, Some(port)))
        }
    }
}

/// The text with what may not stand in a request's line percent-encoded; what is encoded stays as it is.
fn sendable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes().take(LONGEST) {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(&byte) => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn percent_decode(text: &str) -> String {
    String::from_utf8_lossy(&percent::decoded(text)).into_owned()
}

/// The address of a stream that an SDP names by `a=control`, below `base` (RFC 2326 C.1.1). Relative ones are put behind the whole base,
/// its query too: cameras that take their parameters in a query expect that, and it is what other clients do.
pub(crate) fn join(base: &str, control: &str) -> String {
    let control = control.trim();
    if control.is_empty() || control == "*" {
        return base.to_owned();
    }
    if let Some((scheme, rest)) = control.split_once("://")
        && scheme.to_ascii_lowercase().starts_with("rtsp")
    {
        let (_, rest) = split_user_info(rest);
        return format!("{}://{}", scheme.to_ascii_lowercase(), sendable(rest));
    }
    let control = sendable(control);
    let joint = match (base.ends_with('/'), control.starts_with('/')) {
        (true, true) => return format!("{base}{}", &control[1..]),
        (false, false) if !control.starts_with('?') => "/",
        _ => "",
    };
    format!("{base}{joint}{control}")
}

/// The same as RFC 3986 resolves it: for cameras that mean it so.
pub(crate) fn resolve(base: &str, control: &str) -> Option<String> {
    let control = control.trim();
    if control.is_empty() || control == "*" || control.contains("://") {
        return None;
    }
    let (scheme, rest) = base.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('?').next().unwrap_or_default();
    let control = sendable(control);
    Some(if control.starts_with('/') {
        format!("{scheme}://{authority}{control}")
    } else if control.starts_with('?') {
        format!("{scheme}://{authority}{path}{control}")
    } else {
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{scheme}://{authority}{folder}{control}")
    })
}

/// What a camera calls the base of its addresses (`Content-Base`, `Content-Location`), made sendable; `None` for what is no address.
pub(crate) fn base(text: &str, request: &str) -> Option<String> {
    let text = text.trim().trim_matches(['<', '>', '"']);
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    if text.contains("://") {
        return text.to_ascii_lowercase().starts_with("rtsp").then(|| join("", text));
    }
    resolve(request, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_as_people_write_them() {
        for (text, clean, user, port) in [
            ("rtsp://cam/live", "rtsp://cam/live", None, 554),
            ("Rtsp://admin:pass@cam:8554", "rtsp://cam:8554/", Some(("admin", "pass")), 8554),
            ("RTSPS://a@cam/x?y=1&z", "rtsps://cam/x?y=1&z", Some(("a", "")), 322),
            ("rtsp://a:p%40ss%3a%2F%25@[fe80::1%25eth0]:99/s", "rtsp://[fe80::1]:99/s", Some(("a", "p@ss:/%")), 99),
            ("rtsp://a:p@ss@cam/s", "rtsp://cam/s", Some(("a", "p@ss")), 554),
            ("rtsp://a:p/s?s#@cam/s@t", "rtsp://cam/s@t", Some(("a", "p/s?s#")), 554),
            ("rtsp://us%3Aer:%zz%@cam?x", "rtsp://cam/?x", Some(("us:er", "%zz%")), 554),
            ("rtsp://cam:554/a b\r\nX: y\u{e4}", "rtsp://cam:554/a%20b%0D%0AX:%20y%C3%A4", None, 554),
            ("rtsp://cam:/live", "rtsp://cam/live", None, 554),
        ] {
            let url = CameraUrl::parse(text).expect(text);
            assert_eq!((url.clean().as_str(), url.rtsp_port()), (clean, port), "{text}");
            let got = url.credentials.as_ref().map(|c| (c.user.as_str(), c.password.expose().as_str()));
            assert_eq!(got, user, "{text}");
            assert!(!format!("{url:?}").contains("p@ss"));
        }
        for bad in
            ["", "cam/live", "http://cam/", "rtsp://", "rtsp:///x", "rtsp://cam:0/", "rtsp://cam:70000/", "rtsp://a b/"]
        {
            assert!(CameraUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_in_answers() {
        for (base, control, joined, resolved) in [
            ("rtsp://h/live", "track1", "rtsp://h/live/track1", Some("rtsp://h/track1")),
            ("rtsp://h/live/", "track1", "rtsp://h/live/track1", Some("rtsp://h/live/track1")),
            ("rtsp://h/live/", "/live/t", "rtsp://h/live/live/t", Some("rtsp://h/live/t")),
            ("rtsp://h/cam?a=1&b=0", "trackID=0", "rtsp://h/cam?a=1&b=0/trackID=0", Some("rtsp://h/trackID=0")),
            ("rtsp://h/cam", "?t=1", "rtsp://h/cam?t=1", Some("rtsp://h/cam?t=1")),
            ("rtsp://h/live", "*", "rtsp://h/live", None),
            ("rtsp://h/live", "", "rtsp://h/live", None),
            ("rtsp://h/live", "RTSP://u:p@10.0.0.1:554/t 1", "rtsp://10.0.0.1:554/t%201", None),
            ("rtsp://h", "t", "rtsp://h/t", Some("rtsp://h/t")),
        ] {
            assert_eq!(join(base, control), joined, "{base} {control}");
            assert_eq!(resolve(base, control).as_deref(), resolved, "{base} {control}");
        }
        assert_eq!(super::base("rtsp://h/live/", "rtsp://h/live").as_deref(), Some("rtsp://h/live/"));
        assert_eq!(super::base("/other/", "rtsp://h/live").as_deref(), Some("rtsp://h/other/"));
        assert_eq!(super::base("http://h/", "rtsp://h/live"), None);
        assert_eq!(super::base(" ", "rtsp://h/live"), None);
    }

    #[test]
    fn redirects_keep_the_credentials() {
        let from = CameraUrl::parse("rtsp://me:secret@cam/a").expect("a URL");
        let redirected = |location: &str| from.redirected(location, IpAddr::from([192, 0, 2, 7]));
        let to = redirected("rtsp://cam:8554/b").expect("a URL");
        assert_eq!((to.clean().as_str(), &to.credentials), ("rtsp://cam:8554/b", &from.credentials));
        assert_eq!(redirected("b").expect("a path").clean(), "rtsp://cam/b");
        // By the address that the name stands for.
        for (location, clean) in [
            ("rtsp://192.0.2.7/b", "rtsp://192.0.2.7/b"),
            ("rtsp://[::ffff:192.0.2.7]:8554/b", "rtsp://[::ffff:192.0.2.7]:8554/b"),
        ] {
            let to = redirected(location).expect(location);
            assert_eq!((to.clean().as_str(), &to.credentials), (clean, &from.credentials));
        }
        for other in [
            "http://cam/b",
            "rtsp://127.0.0.1/b",
            "rtsp://192.0.2.70/b",
            "rtsps://192.0.2.7/b",
            "rtsps://cam/b",
            "rtsp://cam.evil/b",
            "rtsp://x@cam:0/",
        ] {
            assert!(redirected(other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn user_and_password_survive_whatever_they_hold(user in "\\PC{1,12}", password in "\\PC{0,12}") {
            let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
            let text = format!("rtsp://{}:{}@cam/live", encode(&user), encode(&password));
            let url = CameraUrl::parse(&text).expect("a URL");
            let got = url.credentials.clone().expect("a user");
            prop_assert_eq!((got.user, got.password.expose().clone()), (user, password));
            prop_assert_eq!(url.clean(), "rtsp://cam/live");
        }

        #[test]
        fn nothing_breaks_out_of_a_request(text in "\\PC{0,40}", raw in proptest::collection::vec(any::<char>(), 0..40)) {
            let raw: String = raw.into_iter().collect();
            for text in [text, raw, "rtsp://h/\r\n".into()] {
                let _ = CameraUrl::parse(&format!("rtsp://{text}"));
                let _ = (resolve("rtsp://h/a", &text), base(&text, "rtsp://h/a"));
                let joined = join("rtsp://h/a", &text);
                prop_assert!(joined.bytes().all(|b| b.is_ascii_graphic()), "{:?}", joined);
            }
        }
    }
}
