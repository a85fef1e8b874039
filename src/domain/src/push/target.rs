//! Where a camera is pushed to: the addresses that are taken, what of them is a secret, the config keys.

use crate::media::{Stream, VideoCodec};
use crate::redact::{describe_url, hides_credentials};
use crate::settings::Keys;
use crate::settings::password::{PLACE_AS_IT_IS, Password, has_place, take_out_of};
use crate::text::check_meant;
use perch_base::authority::Authority;
use perch_base::secret::Secret;
use perch_base::{Error, Result};
use serde::Serialize;

/// Targets of one camera: each is a stream out of the house.
pub const MOST_TARGETS: usize = 4;
/// Characters of an address: a stream key and a token together have a few hundred.
const MAX_CHARACTERS: usize = 2048;

/// How pictures are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PushKind {
    /// RTMP, the way into most platforms.
    Rtmp,
    /// RTSP by ANNOUNCE and RECORD (RFC 2326, 10.3 and 10.11).
    Rtsp,
    /// MPEG-TS over SRT, as its caller.
    Srt,
    /// WebRTC by WHIP (RFC 9725).
    Whip,
}

perch_base::all_of!(PushKind { Rtmp, Rtsp, Srt, Whip });

impl PushKind {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "RTMP",
            Self::Rtsp => "RTSP",
            Self::Srt => "SRT",
            Self::Whip => "WHIP",
        }
    }

    /// Whether it takes pictures that are encoded like this.
    pub fn carries(self, codec: VideoCodec) -> bool {
        match codec {
            VideoCodec::H264 => true,
            VideoCodec::H265 => matches!(self, Self::Rtsp | Self::Srt),
            VideoCodec::Vp8 => matches!(self, Self::Rtsp | Self::Whip),
        }
    }

    fn of_scheme(scheme: &str) -> Option<Self> {
        Some(match scheme {
            "rtmp" | "rtmps" => Self::Rtmp,
            "rtsp" | "rtsps" => Self::Rtsp,
            "srt" => Self::Srt,
            "http" | "https" => Self::Whip,
            _ => return None,
        })
    }
}

/// One entry of a camera's `push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The whole address with its secrets. Never printed.
    pub url: Secret,
    /// How.
    pub kind: PushKind,
    /// Which stream is wanted.
    pub stream: Stream,
}

impl PushTarget {
    /// Errors with the rule alone: the address may hold a secret.
    pub fn of(url: &str, stream: Stream) -> Result<Self> {
        let bad = |rule: &str| Err(Error::invalid(rule));
        check_meant(url).map_err(Error::invalid)?;
        if url.chars().count() > MAX_CHARACTERS {
            return Err(Error::invalid(format!("must be at most {MAX_CHARACTERS} characters")));
        }
        if url.contains('…') {
            return bad("has `…` in it, which is shown in place of what is hidden: give the whole address");
        }
        if hides_credentials(url) {
            return bad("write `/ ? # @` in a user name or password as %2F %3F %23 %40");
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return bad(
                "must be an address that begins with rtmp://, rtmps://, rtsp://, rtsps://, srt://, https:// or http://",
            );
        };
        let scheme = scheme.to_ascii_lowercase();
        let Some(kind) = PushKind::of_scheme(&scheme) else {
            return bad(
                "must begin with rtmp://, rtmps://, rtsp://, rtsps://, srt://, or, for WHIP, https:// or http://",
            );
        };
        // RFC 3986, section 2: everything else is percent-encoded. No space, quote or bracket reaches a parser of others.
        let is_of_urls = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
        if !rest.bytes().all(is_of_urls) {
            return bad("has a character that no address has: write it percent-encoded, such as %20 for a blank");
        }
        let whole = format!("{scheme}://{rest}");
        let Some((_, at)) = Authority::of(&whole).filter(|(_, at)| is_host(at.host)) else {
            return bad("needs a host after `://`, and a port from 1 to 65535 where one is named");
        };
        let path = &rest[rest.find(['/', '?', '#']).unwrap_or(rest.len())..];
        match kind {
            PushKind::Srt if at.port.is_none() => return bad("needs a port, such as srt://host:9000"),
            PushKind::Srt if at.user_info.is_some() => {
                return bad("takes no user before the host: SRT has ?streamid=… and &passphrase=…");
            }
            PushKind::Srt => srt_options(path)?,
            PushKind::Rtmp => {
                let parts = path.split(['?', '#']).next().unwrap_or_default();
                if parts.trim_matches('/').split('/').filter(|part| !part.is_empty()).count() < 2 {
                    return bad("needs an application and a stream key, such as rtmp://host/live/KEY");
                }
            }
            PushKind::Whip => {
                let token = at.user_info.is_none_or(|info| matches!(info.split_once(':'), Some(("" | "bearer", _))));
                if !token {
                    return bad("takes a token as https://:TOKEN@host/…, which is sent as a bearer token");
                }
            }
            PushKind::Rtsp => {}
        }
        Ok(Self { url: Secret::new(whole), kind, stream })
    }

    /// Where to, for people: nothing that may be a secret.
    pub fn shown(&self) -> String {
        describe_url(self.url.expose())
    }

    /// A text of a library without any part of the address that may be a secret: it may quote a stream's key alone.
    pub fn without_secrets(&self, text: &str) -> String {
        let url = self.url.expose().as_str();
        let host = self.host();
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let mut parts: Vec<&str> =
            rest.split(['/', '?', '&', '=', '#', '@', ':']).filter(|part| part.len() > 3 && *part != host).collect();
        // The longest first: one may be part of another.
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.iter().fold(text.to_owned(), |text, part| text.replace(part, "…"))
    }

    /// The host alone.
    pub fn host(&self) -> &str {
        Authority::of(self.url.expose()).map_or("", |(_, at)| at.host)
    }

    /// Reads the list `push` of a camera; `secret_of` reads the file of a secret.
    pub fn read_all(keys: &mut impl Keys, secret_of: &impl Fn(&str) -> Result<Secret>) -> Vec<Self> {
        let mut targets = Vec::new();
        let entries = keys.sections("push");
        if entries.len() > MOST_TARGETS {
            let rule = format!("must be at most {} targets: each sends the whole stream", MOST_TARGETS);
            keys.problem("push", entries.len() as i64, &rule);
        }
        for mut entry in entries.into_iter().take(MOST_TARGETS) {
            let password = Password(entry.optional("password_file", |file| {
                secret_of(file).map_err(|e| Error::invalid(format!("must name a file that holds the secret ({e})")))
            }));
            let words = [("main", Stream::Main), ("sub", Stream::Sub)];
            let stream = entry.choice("stream", "main", &words);
            targets.extend(entry.parsed("url", "", |text| Self::of(&password.put_into(text)?, stream)));
            entry.finish();
        }
        targets
    }
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b))
}

/// What an address says of SRT. Errors where it says what the box decides.
fn srt_options(path: &str) -> Result<()> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    if !matches!(path.split('?').next(), Some("" | "/")) {
        return Err(Error::invalid("takes no path: SRT has ?streamid=…"));
    }
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "streamid" if !value.is_empty() => {}
            "passphrase" if (10..=79).contains(&value.len()) => {}
            "passphrase" => return Err(Error::invalid("needs a passphrase of 10 to 79 characters")),
            "pbkeylen" if matches!(value, "16" | "24" | "32") => {}
            "latency" if value.parse::<u32>().is_ok_and(|ms| (20..=8000).contains(&ms)) => {}
            "mode" if value == "caller" => {}
            _ => {
                return Err(Error::invalid(
                    "may have the options streamid, passphrase (10 to 79 characters), pbkeylen (16, 24 or 32) and latency (20 to 8000 ms)",
                ));
            }
        }
    }
    Ok(())
}

/// Takes what is a secret out of the address of a push, as [`take_out_of`] does: passwords, stream keys, tokens, and all of the path of a WHIP
/// address, in which many services write their key. `None` where there is none.
pub fn take_out_of_push(address: &str) -> Option<(String, Secret)> {
    let (scheme, rest) = address.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if !is_web {
        return take_out_of(address);
    }
    if has_place(address) {
        return None;
    }
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    if authority.contains('@') {
        return Some((format!("{scheme}://{PLACE_AS_IT_IS}"), Secret::new(rest.to_owned())));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let has_key = rest.len() > host_end + 1;
    has_key.then(|| (format!("{scheme}://{authority}/{PLACE_AS_IT_IS}"), Secret::new(path.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_parse_by_allow_list() {
        for (url, kind) in [
            ("rtmp://a.rtmp.example/live2/abcd-efgh", PushKind::Rtmp),
            ("RTMPS://a.rtmp.example:443/live2/abcd?x=1", PushKind::Rtmp),
            ("rtsp://me:p%40w@relay:8554/front", PushKind::Rtsp),
            ("rtsps://[2001:db8::1]/front", PushKind::Rtsp),
            ("srt://relay:8890?streamid=publish:front&passphrase=0123456789&latency=200", PushKind::Srt),
            ("https://relay/front/whip", PushKind::Whip),
            ("http://:token@127.0.0.1:7080/whip/endpoint/x", PushKind::Whip),
        ] {
            assert_eq!(PushTarget::of(url, Stream::Main).expect(url).kind, kind, "{url}");
        }
        for bad in [
            "",
            "exec:ls",
            "pipe:1",
            "file:///etc/shadow",
            "rtmp://h/app/key ! filesink location=/tmp/x",
            "rtmp://h/app/key live=1",
            "rtmp://h/app/$(id)\n",
            "rtmp://h/app",
            "rtmp:///app/key",
            "rtmp://h:0/app/key",
            "rtmp://h\"/app/key",
            "rtmp://h/app/k\"ey",
            "srt://h",
            "srt://:9000",
            "srt://h:9000?mode=listener",
            "srt://h:9000?passphrase=short",
            "srt://me:pw@h:9000",
            "srt://h:9000/../x",
            "rtsp://me:p/w@h/x",
            "rtsp://relay/…",
            "gopher://h/x",
            "udp://h:1",
            "https://me:pw@h/whip",
            "https://token@h/whip",
        ] {
            let e = PushTarget::of(bad, Stream::Main).expect_err(bad).to_string();
            assert!(!e.contains("shadow") && !e.contains("p/w"), "{e}");
        }
    }

    #[test]
    fn secrets_are_taken_out_and_put_back() {
        for (address, left) in [
            ("rtmp://a.example/live2/abcd-efgh", "rtmp://a.example/live2/{password}"),
            ("rtmp://a.example/live2/ab?x=1", "rtmp://a.example/live2/{password:as-it-is}"),
            ("rtmp://me:pw@a.example/live2/ab", "rtmp://{password:as-it-is}"),
            ("rtsp://me:pw@relay/front", "rtsp://me:{password}@relay/front"),
            ("srt://relay:1?streamid=publish:x", "srt://relay:1?streamid={password:as-it-is}"),
            ("srt://relay:1?passphrase=0123456789", "srt://relay:1?passphrase={password}"),
            ("srt://relay:1?streamid=x&passphrase=0123456789", "srt://{password:as-it-is}"),
            ("https://relay/front/whip", "https://relay/{password:as-it-is}"),
            ("https://:tok@relay/front/whip", "https://{password:as-it-is}"),
        ] {
            let (got, secret) = take_out_of_push(address).expect(address);
            assert_eq!(got, left, "{address}");
            assert_eq!(take_out_of_push(&got).map(|(left, _)| left), None, "once: {address}");
            assert_eq!(Password(Some(secret)).put_into(&got).expect("a place"), address);
        }
        for plain in ["rtsp://relay/front", "srt://relay:1", "https://relay/", "https://relay"] {
            assert_eq!(take_out_of_push(plain).map(|(left, _)| left), None, "{plain}");
        }
    }

    proptest! {
        /// Whatever somebody writes: no panic, and what is refused is not repeated.
        #[test]
        fn any_text_is_taken_or_refused(text in "(rtmp|rtsp|srt|https|exec)?(://)?\\PC{0,40}") {
            if let Ok(target) = PushTarget::of(&text, Stream::Main) {
                prop_assert!(!target.url.expose().contains([' ', '"', '\n', '\\']));
                prop_assert!(!target.shown().contains('@'));
            }
        }
    }
}
