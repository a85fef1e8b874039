//! What is shown of texts that may hold a password: of a URL, of any text with URLs in it, and of a setting that is refused.

use crate::text;
use std::fmt;

/// What a refusal shows of a setting. There is no other way to put a value into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// Nothing of it: for a value that nobody asked for, or that is of a wholly different kind. It may be anything, a secret too.
    pub fn nothing() -> Self {
        Self("…".into())
    }
}

impl From<&str> for Shown {
    /// A text whose key is known, in quotes: of an address no more than its host, nothing of what may be one written wrong or may
    /// hold a password, and the first [`SHOWN_CHARACTERS`] of everything else.
    fn from(value: &str) -> Self {
        let clean = match value.split_once("://") {
            Some(_) => host_alone(value),
            None if value.contains("//") || value.contains(['@', '?', '#', '=', '&', '%']) => "…".into(),
            None => value.to_owned(),
        };
        match clean.char_indices().nth(SHOWN_CHARACTERS) {
            Some((end, _)) => Self(text::quoted(&format!("{}…", &clean[..end]))),
            None => Self(text::quoted(&clean)),
        }
    }
}

impl From<i64> for Shown {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl From<f64> for Shown {
    fn from(value: f64) -> Self {
        Self(value.to_string())
    }
}

impl From<bool> for Shown {
    fn from(value: bool) -> Self {
        Self(value.to_string())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that a refusal repeats of a text.
const SHOWN_CHARACTERS: usize = 40;

/// Like [`describe_url`], but also distrusts an address that is not written as one: what stands before `://` must be a scheme, and
/// what stands behind it a host with or without a port.
fn host_alone(url: &str) -> String {
    let clean = describe_url(url);
    let Some((scheme, rest)) = clean.split_once("://") else { return "…".into() };
    if scheme.is_empty() || scheme.len() > 8 || !scheme.bytes().all(|b| b.is_ascii_lowercase()) {
        return "…".into();
    }
    let (host, port) = match rest.trim_end_matches("/…").trim_end_matches('/').rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (rest.trim_end_matches("/…").trim_end_matches('/'), ""),
    };
    let is_host = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-[]:".contains(&b));
    match is_host && port.bytes().all(|b| b.is_ascii_digit()) {
        true => clean,
        false => format!("{scheme}://…"),
    }
}

/// A key that nobody knows, as a refusal names it: only what is written like one, letters with `_` and `-`. What else stands in the
/// place of a key may be a value.
pub fn unknown_key(key: &str) -> &str {
    let is_key = (1..=32).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphabetic() || b"_-".contains(&b));
    if is_key { key } else { "…" }
}

/// `scheme://host:port/…`: many cameras take their password, or a secret, in the path or the query.
pub fn describe_url(url: &str) -> String {
    let clean = redact_url(url);
    match clean.split_once("://").and_then(|(_, rest)| rest.find(['/', '?', '#']).map(|at| (at, rest.len()))) {
        Some((at, len)) if at + 1 < len => format!("{}/…", &clean[..clean.len() - (len - at)]),
        _ => clean,
    }
}

/// Whether an `@` stands behind what reads as `host:port`: it may end a password that was not percent-encoded.
pub(crate) fn hides_credentials(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| {
        let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(host_end);
        !authority.contains('@') && authority.contains(':') && after.contains('@')
    })
}

/// `scheme://user:password@host/…` without its user and password; only the scheme of a URL in which they cannot be separated.
pub fn redact_url(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) if hides_credentials(url) => format!("{scheme}://…"),
        Some((scheme, rest)) => {
            let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            match rest[..host_end].rfind('@') {
                Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
                None => url.to_owned(),
            }
        }
        None => url.to_owned(),
    }
}

/// `text` with each URL in it as [`describe_url`] shows it. A URL ends at white space, a double quote or an angle bracket: whatever
/// else may be part of a password goes with it.
pub fn redact_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at);
        let end = url.find(|c: char| c.is_whitespace() || "\"<>".contains(c)).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        // What closes the sentence or bracket around it.
        let own = url.trim_end_matches(['\'', ')', ']', ',', ';', '.']);
        out.push_str(before);
        out.push_str(&describe_url(own));
        out.push_str(&url[own.len()..]);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn passwords_in_urls_are_cut_out_of_any_text() {
        for (text, want) in [
            (
                "Could not open rtsp://me:p@ss@cam:554/live (rtsps://a:b@c) at 10:20",
                "Could not open rtsp://cam:554/… (rtsps://c) at 10:20",
            ),
            ("nothing here", "nothing here"),
            ("://", "://"),
            ("uri='rtsp://me:p(a)s'@cam/x', failed", "uri='rtsp://cam/…', failed"),
            // Not percent-encoded: where it ends cannot be known.
            ("open \"rtsp://me:hunt/er2@cam/x\": no", "open \"rtsp://…\": no"),
            ("see https://perch.local:8443/.", "see https://perch.local:8443/."),
            ("<rtsp://a:b@c><rtsp://d:e@f>", "<rtsp://c><rtsp://f>"),
        ] {
            assert_eq!(redact_text(text), want);
        }
    }

    #[test]
    fn what_a_refusal_shows() {
        for (value, want) in [
            ("nowhere", "\"nowhere\""),
            ("exec:rm", "\"exec:rm\""),
            ("rtsp://u:S3CRETPW@h/x", "\"rtsp://h/…\""),
            ("rtsp://u:S3CRETPW@[fe80::1]:554/x", "\"rtsp://[fe80::1]:554/…\""),
            ("rtsp://h:99999/S3CRETPW", "\"rtsp://h:99999/…\""),
            ("rtsp://h?S3CRETPW", "\"rtsp://h/…\""),
            ("rtsp://u:S3CRETPW", "\"rtsp://…\""),
            ("rtsp://u:S3CRET PW", "\"rtsp://…\""),
            ("rtsp//u:S3CRETPW@h/x", "\"…\""),
            ("rtsp:/u:S3CRETPW@h/x", "\"…\""),
            ("h//S3CRETPW", "\"…\""),
            ("h/live?pw=S3CRETPW", "\"…\""),
            ("user=admin&pw=S3CRETPW", "\"…\""),
            ("S3CRETPW://h", "\"…\""),
            ("see rtsp://u:S3CRETPW@h", "\"…\""),
            ("a\u{200b}\n", "\"a\\u{200b}\\u{a}\""),
        ] {
            assert_eq!(Shown::from(value).to_string(), want, "{value}");
        }
        assert_eq!(Shown::from(&*"a".repeat(99)).to_string().chars().count(), SHOWN_CHARACTERS + 3);
        assert_eq!(Shown::from(20.0).to_string(), "20");
        for (key, want) in
            [("passwordd", "passwordd"), ("S3CRETPW", "…"), ("", "…"), ("na\u{200b}me", "…"), ("a b", "…")]
        {
            assert_eq!(unknown_key(key), want);
        }
    }

    proptest! {
        #[test]
        fn no_password_gets_through(before in "[a-z (']{0,8}", password in "[a-z0-9@/?#:()',.;-]{4,12}Q", after in "[ )\"'][a-z ]{0,8}") {
            let url = format!("rtsp://me:{password}@cam/live");
            let text = format!("{before}{url}{after}");
            for shown in [redact_text(&text), describe_url(&url), Shown::from(&*url).to_string(), Shown::from(&*text).to_string()] {
                prop_assert!(!shown.contains('Q') && !shown.contains("me:"), "{shown}");
            }
        }
    }
}
