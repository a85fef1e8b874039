//! The web UI's files, embedded at build time; all public. Unknown paths are the page's own routes and get the page.

use crate::headers::{CSP, etag};
use crate::problem::{Problem, Reply};
use crate::state::{Shared, blocking};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use perch_base::ErrorKind;
use perch_base::markup::escaped;

/// One embedded file.
struct File {
    path: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/ui.rs"));

const INDEX: &str = "index.html";

/// Answers a request for a path that is not in the route table.
pub(crate) async fn serve(app: &Shared, request: &Parts) -> Reply {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let message = "only GET is possible here";
        return Err(Problem::new(ErrorKind::Invalid, message).status(StatusCode::METHOD_NOT_ALLOWED));
    }
    // Compared as it came, undecoded: an embedded file has a plain name, and nothing else is ever opened.
    let path = request.uri.path().trim_start_matches('/');
    if path.is_empty() || path == INDEX {
        return index(app).await;
    }
    if let Some(file) = FILES.iter().find(|f| f.path == path) {
        return Ok(asset(file, &request.headers));
    }
    let looks_like_file = path.starts_with("assets/") || path.contains('.') || path.contains('%');
    if looks_like_file { Err(Problem::not_found("page")) } else { index(app).await }
}

/// The page, which carries whether anybody owns the box yet, what it is called and what its codes are like.
async fn index(app: &Shared) -> Reply {
    let claimed = blocking(app, |app| app.ports.access.claimed()).await?;
    // Somebody who found the box need not know whose it will be.
    let name = if claimed { escaped(&app.ports.settings.box_name()) } else { String::new() };
    let page = FILES.iter().find(|f| f.path == INDEX).map_or(&b""[..], |f| f.plain);
    let codes = app.ports.settings.codes();
    let page = String::from_utf8_lossy(page)
        .replace("__PERCH_BOX_NAME__", &name)
        .replace("__PERCH_CLAIMED__", if claimed { "true" } else { "false" })
        .replace("__PERCH_OTP_DIGITS__", &codes.digits.to_string())
        .replace("__PERCH_OTP_TTL_S__", &codes.ttl.as_secs().to_string());
    // The page asks the box under its other names whether the browser trusts it there.
    let policy = CSP.replace("connect-src 'self'", &format!("connect-src 'self' {}", app.origins().join(" ")));
    let policy = HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static(CSP));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, page).into_response())
}

fn asset(file: &File, asked: &HeaderMap) -> Response {
    let mut headers = HeaderMap::new();
    // Built with a hash in their names, so they never change; the others are asked for again.
    let caching = if file.path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(file.path)));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let gzip = file.gzip.filter(|_| accepts_gzip(asked));
    let data = gzip.unwrap_or(file.plain);
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let etag = etag(data);
    let known = asked.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes());
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    if known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, data).into_response() }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    listed.flat_map(|v| v.split(',')).any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_embedded() {
        assert!(FILES.iter().any(|f| f.path == INDEX && !f.plain.is_empty()));
    }

    #[test]
    fn assets_are_sent_compressed_where_that_is_understood() {
        let file = File { path: "assets/app-1a2b.js", plain: b"plain", gzip: Some(b"packed") };
        let asked = |pairs: &[(header::HeaderName, &str)]| {
            let headers = pairs.iter().map(|(n, v)| (n.clone(), HeaderValue::from_str(v).unwrap())).collect();
            asset(&file, &headers)
        };
        let plain = asked(&[(header::ACCEPT_ENCODING, "br, gzip;q=0")]);
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(plain.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        let packed = asked(&[(header::ACCEPT_ENCODING, "gzip, deflate, br")]);
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(packed.headers()[header::CACHE_CONTROL].to_str().unwrap().ends_with("immutable"));
        let etag = packed.headers()[header::ETAG].to_str().unwrap();
        assert_ne!(etag, plain.headers()[header::ETAG]);
        let known = asked(&[(header::ACCEPT_ENCODING, "gzip"), (header::IF_NONE_MATCH, etag)]);
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    }
}
