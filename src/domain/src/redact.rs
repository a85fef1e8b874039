//! What is shown of texts that may hold a password: of a URL, and of any text with URLs in it.

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

    proptest! {
        #[test]
        fn no_password_gets_through(before in "[a-z (']{0,8}", password in "[a-z0-9@/?#:()',.;-]{4,12}Q", after in "[ )\"'][a-z ]{0,8}") {
            let url = format!("rtsp://me:{password}@cam/live");
            for shown in [redact_text(&format!("{before}{url}{after}")), describe_url(&url)] {
                prop_assert!(!shown.contains('Q') && !shown.contains("me:"), "{shown}");
            }
        }
    }
}
