//! What is answered to a request that comes without TLS: one page that prepares for the browser's warning, the box's authority to
//! download, and nothing else. Whatever needs a credential is refused and not redirected: a credential that came this way was read by
//! everybody on the line, and a redirect would hide that.

use crate::acme::HTTP_PATH;
use crate::authority_files::AuthorityFile;

/// What becomes of a request without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainAnswer<'a> {
    /// The page that says what the browser will show.
    Page,
    /// The page's style sheet.
    Style,
    /// The box's authority.
    Authority(AuthorityFile),
    /// What answers HTTP-01 (RFC 8555, section 8.3) for this token.
    AcmeAnswer(&'a str),
    /// It is sent on to the page.
    ToPage,
    /// It must come by TLS.
    NeedsTls,
}

/// The path of the page.
pub const PAGE: &str = "/";
/// The path of its style sheet.
pub const STYLE: &str = "/plain.css";

/// Decides. `reads` says whether the method only reads (GET, HEAD); `path` is as it came, undecoded.
pub fn plain_answer(reads: bool, path: &str) -> PlainAnswer<'_> {
    let is_of_programs = path == "/api" || path.starts_with("/api/") || path == "/metrics";
    if let Some(token) = path.strip_prefix(HTTP_PATH).filter(|_| reads) {
        return PlainAnswer::AcmeAnswer(token);
    }
    match AuthorityFile::at(path) {
        _ if !reads => PlainAnswer::NeedsTls,
        Some(file) => PlainAnswer::Authority(file),
        None if is_of_programs => PlainAnswer::NeedsTls,
        None if path == PAGE => PlainAnswer::Page,
        None if path == STYLE => PlainAnswer::Style,
        None => PlainAnswer::ToPage,
    }
}

/// Whether the first byte of a connection to the port of HTTPS begins an HTTP request in plain text: a method is written in capital
/// letters (RFC 9110, section 9.1). A TLS handshake begins with 22 (RFC 8446, section 5.1).
pub fn begins_plain_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_without_tls() {
        use PlainAnswer::*;
        for (reads, path, want) in [
            (true, "/", Page),
            (true, "/plain.css", Style),
            (true, "/api/v1/ca.pem", Authority(AuthorityFile::Pem)),
            (true, "/api/v1/ca.crt", Authority(AuthorityFile::Der)),
            (true, "/api/v1/ca.mobileconfig", Authority(AuthorityFile::Profile)),
            (true, "/.well-known/acme-challenge/a-B_1", AcmeAnswer("a-B_1")),
            (false, "/.well-known/acme-challenge/a-B_1", NeedsTls),
            (true, "/.well-known/acme-challenge", ToPage),
            (true, "/live", ToPage),
            (true, "//evil.example/", ToPage),
            (true, "/../etc/passwd", ToPage),
            (true, "/apis", ToPage),
            (true, "/api/v1/me", NeedsTls),
            (true, "/api", NeedsTls),
            (true, "/metrics", NeedsTls),
            (false, "/", NeedsTls),
            (false, "/api/v1/ca.pem", NeedsTls),
            (false, "/api/v1/session", NeedsTls),
        ] {
            assert_eq!(plain_answer(reads, path), want, "{reads} {path}");
        }
    }

    #[test]
    fn how_connections_begin() {
        for plain in *b"GHPODC" {
            assert!(begins_plain_http(plain));
        }
        // A TLS record, one of SSL 2, text of other protocols, nothing that is read.
        for other in [0x16, 0x80, b'g', b'\r', b' ', 0, 0xff] {
            assert!(!begins_plain_http(other), "{other}");
        }
    }
}
