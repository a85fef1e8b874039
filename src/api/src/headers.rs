//! Response headers: those that protect browsers, the same on every answer, and those that several answers share.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use perch_base::secret::{hex, sha256};

/// The content security policy of every answer: nothing but the box's own files, no inline script or style.
pub(crate) const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
    media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self' blob:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const FIXED: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "geolocation=(), payment=(), usb=(), serial=(), midi=(), microphone=(self), \
         camera=(self), fullscreen=(self), picture-in-picture=(self), autoplay=(self)",
    ),
];

/// The same of answers without TLS: one style sheet, and nothing that runs. What only counts with TLS is not said: browsers would
/// complain of it.
const PLAIN: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The entity tag of what has this content.
pub(crate) fn etag(content: &[u8]) -> String {
    format!("\"{}\"", &hex(&sha256(content))[..32])
}

/// A still, which is one person's to see.
pub(crate) fn jpeg(still: Bytes, caching: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, caching),
        (header::VARY, "Cookie, Authorization"),
    ];
    (headers, still).into_response()
}

/// Adds what every answer carries where the handler did not say otherwise, and `no-store` where the handler said nothing on caching.
pub(crate) fn protect(headers: &mut HeaderMap) {
    protect_by(&FIXED, headers);
}

/// The same for an answer without TLS.
pub(crate) fn protect_plain(headers: &mut HeaderMap) {
    protect_by(&PLAIN, headers);
}

fn protect_by(fixed: &[(HeaderName, &'static str)], headers: &mut HeaderMap) {
    for (name, value) in fixed.iter().cloned() {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
