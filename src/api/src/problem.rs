//! Errors as the world sees them: `application/problem+json` (RFC 9457). The only place where a kind becomes a status.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use perch_base::{Error, ErrorKind};
use perch_domain::cut_off::CutOff;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What a handler gives back.
pub(crate) type Reply<T = Response> = Result<T, Problem>;

/// What an answer does not say of why a request could not be answered for now; the log does, once while it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Hidden(pub(crate) String);

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    error: Error,
    status: StatusCode,
    extra: Map<String, Value>,
    headers: HeaderMap,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = status(error.kind());
        Self(Box::new(Inner { error, status, extra: Map::new(), headers: HeaderMap::new() }))
    }
}

impl Problem {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error::new(kind, message).into()
    }

    /// No page, camera, event or device of that name.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(ErrorKind::NotFound, format!("there is no such {what}"))
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    /// Who asks for pictures is cut off: by whom and until when, for the page to say in its viewer's own time.
    pub(crate) fn cut_off(cut_off: &CutOff) -> Self {
        Self::new(ErrorKind::Forbidden, cut_off_words(cut_off)).with("cut_off", json!(cut_off))
    }

    /// No valid credential.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(ErrorKind::Unauthenticated, "sign in or pair this device first")
    }

    /// Too many tries; `wait` says for how long.
    pub(crate) fn rate_limited(message: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        Self::new(ErrorKind::RateLimited, format!("{message}: try again in {seconds} s"))
            .header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The same problem under another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The same problem with a further member.
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.0.extra.insert(key.to_owned(), value);
        self
    }

    /// The same, where it is that there is no credential, with the question for a name and a password besides.
    pub(crate) fn asking_for_password(self) -> Self {
        match self.kind() {
            ErrorKind::Unauthenticated => self
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Perch\", charset=\"UTF-8\"")),
            _ => self,
        }
    }

    /// The same problem with a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The kind of the error within.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.0.error.kind()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { error, status, extra, headers: more } = *self.0;
        let kind = error.kind();
        let mut hidden = None;
        let detail = match kind {
            ErrorKind::Internal | ErrorKind::Io | ErrorKind::Corrupt => {
                let id = perch_base::secret::hex(&perch_base::secret::random_bytes::<4>());
                tracing::error!(error_id = %id, error = %error, "a request failed inside the box");
                format!("Something went wrong inside the box; the log says more (error {id}).")
            }
            kind => {
                // What is inside stays inside; whoever looks after the box finds it in the log. A source alone often says no more
                // than the sentence: of what is wrong with a request, say.
                if error.inside().is_some()
                    || (kind == ErrorKind::Unavailable && std::error::Error::source(&error).is_some())
                {
                    hidden = Some(Hidden(error.to_string()));
                }
                sentence(error.message())
            }
        };
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": detail,
            "code": code(kind),
        });
        if let Some(map) = body.as_object_mut() {
            map.extend(extra);
        }
        let mut response = (status, body.to_string()).into_response();
        if let Some(hidden) = hidden {
            response.extensions_mut().insert(hidden);
        }
        let headers = response.headers_mut();
        headers.extend(more);
        if kind == ErrorKind::RateLimited && !headers.contains_key(header::RETRY_AFTER) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        if kind == ErrorKind::Unauthenticated {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// What is said to somebody who is cut off.
pub(crate) fn cut_off_words(cut_off: &CutOff) -> String {
    format!("{} cut this device off from all pictures until {}", cut_off.by, cut_off.until)
}

/// The status of each kind.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Stale => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Gone => StatusCode::GONE,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unsupported => StatusCode::NOT_ACCEPTABLE,
        // For what may work later; what never will is not implemented here.
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Impossible => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The stable word of each kind.
pub(crate) fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "invalid",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Stale => "stale",
        ErrorKind::Gone => "gone",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Impossible => "impossible",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Io => "io",
        ErrorKind::Internal => "internal",
    }
}

/// An error's message as a sentence: a capital first (unless it begins with a quoted name), a full stop last.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let mut out: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_sentences() {
        assert_eq!(sentence("there is no such camera"), "There is no such camera.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence("ä"), "Ä.");
        assert_eq!(sentence(""), ".");
    }

    async fn body(problem: Problem) -> (StatusCode, Value) {
        use http_body_util::BodyExt;
        let response = problem.into_response();
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[tokio::test]
    async fn what_is_inside_stays_inside() {
        for &kind in ErrorKind::ALL {
            let cause = Error::internal("SELECT token").with_source(std::io::Error::other("10.0.0.7 refused"));
            let error = Error::new(kind, "the disk is full").with_inside("/data/index.db").with_source(cause);
            let (status, body) = body(error.into()).await;
            let text = body.to_string();
            for secret in ["index.db", "/data", "SELECT", "10.0.0.7"] {
                assert!(!text.contains(secret), "{kind:?}: {text}");
            }
            // What went wrong in the box itself is not even said in words of its own.
            assert_eq!(
                text.contains("The disk is full."),
                status != StatusCode::INTERNAL_SERVER_ERROR,
                "{kind:?}: {text}"
            );
        }
        let (status, body) = body(Problem::new(ErrorKind::Io, "/data/index.db: disk on fire")).await;
        let text = body["detail"].as_str().expect("a sentence");
        assert!(status == StatusCode::INTERNAL_SERVER_ERROR && !text.contains("index.db"), "{text}");
        assert!(text.starts_with("Something went wrong inside the box; the log says more (error "), "{text}");
    }
}
