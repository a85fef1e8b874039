//! What comes in: path parts, queries and bodies, each checked before a handler sees it. Everything else is a problem, never a panic.

use crate::connection::Connection;
use crate::problem::{Problem, Reply};
use crate::route::{Kind, Route, Takes};
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use perch_base::clock::within;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::TimeRange;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// The parts of the path that the route names, decoded.
pub(crate) struct PathParts(Vec<(String, String)>);

impl PathParts {
    /// The part called `name` as `parse` understands it. Whatever it does not understand names nothing.
    pub(crate) fn get<T>(&self, name: &str, what: &str, parse: impl FnOnce(&str) -> Result<T>) -> Reply<T> {
        let text = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        text.and_then(|text| parse(text).ok()).ok_or_else(|| Problem::not_found(what))
    }

    /// The camera of the path.
    pub(crate) fn camera(&self) -> Reply<CameraId> {
        self.get("camera", "camera", CameraId::new)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathParts {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Reply<Self> {
        // The only rejection is a part that is not UTF-8 once decoded.
        let raw = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::not_found("page"))?;
        Ok(Self(raw.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()))
    }
}

/// The query of a route. Keys that the route does not have are ignored; a key given twice is refused.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    route: &'static Route,
}

/// The route of a request, which the gate noted.
fn route_of(extensions: &Extensions) -> Reply<&'static Route> {
    let missing = || Problem::new(ErrorKind::Internal, "a request came past the gate");
    extensions.get::<&'static Route>().copied().ok_or_else(missing)
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Reply<Self> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| {
            Problem::new(ErrorKind::Invalid, "the query cannot be read: it must be `key=value` pairs joined by `&`")
        })?;
        Ok(Self { pairs: pairs.0, route: route_of(&parts.extensions)? })
    }
}

impl Query {
    /// The value of `key`, which must be one of the route's; an empty one counts as absent.
    fn text(&self, key: &str) -> Reply<Option<&str>> {
        if self.route.param(key).is_none() {
            let why = format!("the handler of {} asks for `{key}`, which the route does not have", self.route.path);
            return Err(Problem::new(ErrorKind::Internal, why));
        }
        let mut values = self.pairs.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let first = values.next().filter(|v| !v.is_empty());
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Problem::new(ErrorKind::Invalid, format!("`{key}` is given twice: it must be given once"))),
        }
    }

    /// The value of `key` as `parse` understands it; its error is the answer.
    pub(crate) fn get<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T>) -> Reply<Option<T>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match parse(text) {
            Ok(value) => Ok(Some(value)),
            Err(e) => Err(Problem::new(ErrorKind::Invalid, format!("`{key}`: {}", e.message()))),
        }
    }

    /// A whole number as the route says it, or its default.
    pub(crate) fn number(&self, key: &str) -> Reply<Option<u32>> {
        let text = self.text(key)?;
        let Some(Kind::Number { min, max, default }) = self.route.param(key).map(|p| p.kind) else {
            let why = format!("`{key}` of {} is not a number", self.route.path);
            return Err(Problem::new(ErrorKind::Internal, why));
        };
        let Some(text) = text else { return Ok(default) };
        match text.parse() {
            Ok(n) if (min..=max).contains(&n) => Ok(Some(n)),
            _ => Err(Problem::new(
                ErrorKind::Invalid,
                format!("`{key}` ({}): must be a number from {min} to {max}", shorten(text)),
            )),
        }
    }

    /// The same where the route has a default.
    pub(crate) fn count(&self, key: &str) -> Reply<u32> {
        let missing = || Problem::new(ErrorKind::Internal, format!("`{key}` of {} has no default", self.route.path));
        self.number(key)?.ok_or_else(missing)
    }

    /// One of the words that the route says, or its default.
    pub(crate) fn word(&self, key: &str) -> Reply<&'static str> {
        let text = self.text(key)?;
        let Some(Kind::Word { one_of, default: Some(default) }) = self.route.param(key).map(|p| p.kind) else {
            let why = format!("`{key}` of {} is no word with a default", self.route.path);
            return Err(Problem::new(ErrorKind::Internal, why));
        };
        let Some(text) = text else { return Ok(default) };
        one_of.iter().find(|word| **word == text).copied().ok_or_else(|| {
            Problem::new(
                ErrorKind::Invalid,
                format!("`{key}` ({}): must be one of {}", shorten(text), one_of.join(", ")),
            )
        })
    }

    /// A moment.
    pub(crate) fn time(&self, key: &str) -> Reply<Option<Timestamp>> {
        // A `+` of an offset that was not encoded arrives as a space.
        self.get(key, |text| Timestamp::parse(&shorten(text).replace(' ', "+")))
    }

    /// The range `from` to `to`, both required.
    pub(crate) fn range(&self) -> Reply<TimeRange> {
        let required = |key: &str| {
            self.time(key)?.ok_or_else(|| {
                Problem::new(
                    ErrorKind::Invalid,
                    format!("`{key}` is missing: it must be a time like 2026-05-01T12:00:00Z"),
                )
            })
        };
        Ok(TimeRange::new(required("from")?, required("to")?)?)
    }
}

/// At most 64 characters, for messages that repeat what was sent.
fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The JSON body, where the route takes one.
pub(crate) async fn json<T: DeserializeOwned>(request: Request) -> Reply<T> {
    let (Takes::Json(_) | Takes::Patch(_) | Takes::Large { .. }) = route_of(request.extensions())?.takes else {
        return Err(Problem::new(ErrorKind::Internal, "a handler reads JSON that its route does not take"));
    };
    let body = body(request).await?;
    serde_json::from_slice(&body).map_err(|e| Problem::new(ErrorKind::Invalid, format!("the JSON body is wrong: {e}")))
}

/// The text body, where the route takes one.
pub(crate) async fn text(request: Request) -> Reply<String> {
    let Takes::Text(_) = route_of(request.extensions())?.takes else {
        return Err(Problem::new(ErrorKind::Internal, "a handler reads text that its route does not take"));
    };
    let body = body(request).await?;
    String::from_utf8(body.into()).map_err(|_| Problem::new(ErrorKind::Invalid, "the body is not UTF-8 text"))
}

/// The file in the body, where the route takes one that is read at once.
pub(crate) async fn file(request: Request) -> Reply<Bytes> {
    let Takes::File { .. } = route_of(request.extensions())?.takes else {
        return Err(Problem::new(ErrorKind::Internal, "a handler reads a file that its route does not take"));
    };
    body(request).await
}

/// Refuses another media type than `media_type` (or the other), and any content encoding.
pub(crate) fn expect_type(headers: &HeaderMap, media_type: &str, or_as: Option<&str>) -> Reply<()> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    let encoded = headers.contains_key(header::CONTENT_ENCODING);
    let is_known = [Some(media_type), or_as].into_iter().flatten().any(|known| essence.eq_ignore_ascii_case(known));
    if is_known && !encoded {
        return Ok(());
    }
    let message = format!("the body must be {media_type}, without a content encoding");
    Err(Problem::new(ErrorKind::Unsupported, message).status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

/// The problem of a body that is too large.
pub(crate) fn too_large(limit_bytes: u64) -> Problem {
    Problem::new(ErrorKind::TooLarge, format!("the body is larger than {} KiB", limit_bytes / 1024))
}

/// Reads the body of this media type to its end; the gate does it for every route that takes such a body.
pub(crate) async fn read_whole(request: Request, takes: &Takes, media_type: &str) -> Reply<Request> {
    expect_type(request.headers(), media_type, takes.or_as())?;
    let max_bytes = takes.max_bytes();
    let missing = || Problem::new(ErrorKind::Internal, "a request has no connection");
    let connection = request.extensions().get::<Arc<Connection>>().cloned().ok_or_else(missing)?;
    let (head, body) = request.into_parts();
    let read = Limited::new(body, max_bytes as usize).collect();
    let bytes = match within(connection.clock(), BODY_TIMEOUT, read).await {
        Some(Ok(body)) => body.to_bytes(),
        Some(Err(e)) if e.is::<LengthLimitError>() => return Err(too_large(max_bytes)),
        Some(Err(_)) => return Err(Problem::new(ErrorKind::Invalid, "the body was cut short")),
        None => {
            let problem = Problem::new(ErrorKind::Invalid, "the body came too slowly");
            return Err(problem.status(StatusCode::REQUEST_TIMEOUT));
        }
    };
    Ok(Request::from_parts(head, Body::from(bytes)))
}

/// What [`read_whole`] read.
async fn body(request: Request) -> Reply<Bytes> {
    // The gate bounded it.
    let read = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    read.map_err(|e| Error::internal("a body that was read cannot be read").with_source(e).into())
}
