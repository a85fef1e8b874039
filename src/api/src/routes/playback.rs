//! Recorded video: playlists, files by byte ranges, and downloads. No thread waits for a slow client: each piece is read when asked for.

use crate::auth::Who;
use crate::connection::Connection;
use crate::input::{PathParts, Query};
use crate::leash::{Leash, cut_off};
use crate::problem::{Problem, Reply};
use crate::state::{OnDisk, Shared, blocking};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use perch_base::ids::SegmentId;
use perch_base::read_at::ReadAt;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::access::{Object, Permission};
use perch_domain::archive::WhereHeld;
use perch_domain::held::only_encrypted;
use perch_domain::playback::{check_playlist, hls_playlist};
use perch_domain::ports::Export;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 128 * 1024;
/// `GET /api/v1/cameras/{camera}/playback.m3u8`
pub(super) async fn playlist(State(app): State<Shared>, path: PathParts, query: Query) -> Reply {
    let camera = path.camera()?;
    let range = query.range()?;
    check_playlist(&range)?;
    let playlist = blocking(&app, move |app| {
        let segments = app.ports.archive.segments(&camera, range)?;
        let playlist = hls_playlist(&segments, &range);
        if playlist.is_none() {
            let spans = app.ports.archive.timeline(&camera, range, app.ports.clock.utc())?.spans;
            if spans.iter().any(|span| span.held == WhereHeld::Encrypted) {
                return Err(only_encrypted("what was recorded then"));
            }
        }
        Ok(playlist)
    })
    .await?;
    match playlist {
        Some(text) => Ok(([(header::CONTENT_TYPE, "application/vnd.apple.mpegurl")], text).into_response()),
        None => Err(nothing_recorded()),
    }
}

fn nothing_recorded() -> Problem {
    Problem::new(ErrorKind::NotFound, "nothing is recorded there")
}

/// `GET /api/v1/cameras/{camera}/export.mp4`
pub(super) async fn export(
    State(app): State<Shared>,
    who: Who,
    Extension(connection): Extension<Arc<Connection>>,
    path: PathParts,
    query: Query,
) -> Reply {
    let camera = path.camera()?;
    let range = query.range()?;
    let revoked = Leash::new(&app, who.principal.device_id, &connection);
    let what = format!("camera {camera}, a download");
    let asked = Shared::clone(&app);
    let opened = blocking(&app, move |app| {
        who.may_still(app, Permission::LookBack, Object::Camera(&camera))?;
        app.ports.archive.export(&camera, range)
    });
    let Export { file_name, chunks } = opened.await?;
    let chunks = Some((OnDisk::new("a download", chunks), revoked, what, asked));
    let body = Body::from_stream(futures_util::stream::unfold(chunks, |state| async move {
        let (chunks, mut revoked, what, app) = state?;
        if revoked.is_revoked() {
            return Some((Err(cut_off().at(&what)), None));
        }
        match chunks.work(Iterator::next).await {
            Ok((Some(Ok(chunk)), chunks)) => Some((Ok(chunk), Some((chunks, revoked, what, app)))),
            Ok((None, _)) => None,
            Ok((Some(Err(e)), _)) | Err(e) => {
                let e = e.at(&what);
                if app.is_news(&e) {
                    tracing::warn!(error = %e, "a download was interrupted");
                }
                Some((Err(e), None))
            }
        }
    }));
    let name: String = file_name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .take(120)
        .collect();
    let headers = [
        (header::CONTENT_TYPE, "video/mp4".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, body).into_response())
}

/// `GET /api/v1/cameras/{camera}/segments/{segment}.mp4`
pub(super) async fn segment(
    State(app): State<Shared>,
    who: Who,
    Extension(connection): Extension<Arc<Connection>>,
    path: PathParts,
    headers: HeaderMap,
) -> Reply {
    let camera = path.camera()?;
    let id = path.get("file", "segment", |file| {
        let digits = file.strip_suffix(".mp4").ok_or_else(|| Error::not_found("not a segment"))?;
        SegmentId::parse(digits)
    })?;
    let revoked = Leash::new(&app, who.principal.device_id, &connection);
    let what = format!("camera {camera}, file {id}");
    let opened = blocking(&app, move |app| {
        who.may_still(app, Permission::LookBack, Object::Camera(&camera))?;
        app.ports.archive.open_segment(&camera, id)
    });
    let open = opened.await?;
    let etag = etag(&open.etag);
    let mut out = HeaderMap::new();
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A file may still grow or be cut back to an event's start: browsers keep it but ask each time.
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    out.insert(header::VARY, HeaderValue::from_static("Cookie, Authorization"));
    out.insert(header::ETAG, etag.clone());
    let same = |name| headers.get_all(name).iter().any(|v| lists(v.as_bytes(), etag.as_bytes()));
    if same(header::IF_NONE_MATCH) {
        return Ok((StatusCode::NOT_MODIFIED, out).into_response());
    }
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    let asked = headers.get(header::RANGE).and_then(|r| r.to_str().ok());
    let still_same = headers.get(header::IF_RANGE).is_none_or(|v| v == etag);
    let part = match asked.filter(|_| still_same).and_then(|r| parse_range(r, open.size_bytes)) {
        None => None,
        Some(Ok(part)) => Some(part),
        Some(Err(Unsatisfiable)) => {
            let value = HeaderValue::from_str(&format!("bytes */{}", open.size_bytes)).map_err(header_error)?;
            let message = format!("the range lies beyond the end of the file ({} bytes)", open.size_bytes);
            return Err(Problem::new(ErrorKind::Invalid, message)
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, value));
        }
    };
    let (status, bytes) = match part {
        Some(bytes) => {
            let value = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, open.size_bytes);
            out.insert(header::CONTENT_RANGE, HeaderValue::from_str(&value).map_err(header_error)?);
            (StatusCode::PARTIAL_CONTENT, bytes)
        }
        None => (StatusCode::OK, 0..open.size_bytes),
    };
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    Ok((status, out, file_body(app, open.content, bytes, (revoked, what))).into_response() as Response)
}

fn header_error(_: http::header::InvalidHeaderValue) -> Problem {
    Problem::new(ErrorKind::Internal, "a header cannot be written")
}

/// The port's validator as a strong entity tag.
fn etag(text: &str) -> HeaderValue {
    let clean: String = text.chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect();
    HeaderValue::from_str(&format!("\"{clean}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether a comma-separated list of entity tags holds `etag` (weakly compared) or is `*`.
fn lists(list: &[u8], etag: &[u8]) -> bool {
    list.split(|b| *b == b',').map(<[u8]>::trim_ascii).any(|t| t == b"*" || t.strip_prefix(b"W/").unwrap_or(t) == etag)
}

/// A range that lies beyond the end.
#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// `bytes=a-b`, `bytes=a-` or `bytes=-n` of a file of `size_bytes`. `None`: not a range that is served (several
/// at once, another unit, nonsense), so the whole file is (RFC 9110, 14.2).
fn parse_range(text: &str, size_bytes: u64) -> Option<Result<Range<u64>, Unsatisfiable>> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |t: &str| -> Option<u64> {
        let plain = !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| t.parse().unwrap_or(u64::MAX))
    };
    let bytes = match (first.is_empty(), last.is_empty()) {
        (true, _) => {
            let n = number(last)?;
            size_bytes.saturating_sub(n)..if n == 0 { 0 } else { size_bytes }
        }
        (false, true) => number(first)?..size_bytes,
        (false, false) => {
            let (a, b) = (number(first)?, number(last)?);
            if a > b {
                return None;
            }
            a..b.saturating_add(1).min(size_bytes)
        }
    };
    Some(if bytes.is_empty() { Err(Unsatisfiable) } else { Ok(bytes) })
}

/// These bytes of a file, which `what` names in errors, a piece for each time the client has room.
fn file_body(app: Shared, file: Arc<dyn ReadAt>, bytes: Range<u64>, (revoked, what): (Leash, String)) -> Body {
    let state = (file, bytes, revoked, what, app);
    Body::from_stream(futures_util::stream::unfold(Some(state), move |state| async move {
        let (file, left, mut revoked, what, app) = state?;
        if left.is_empty() {
            return None;
        }
        if revoked.is_revoked() {
            return Some((Err(cut_off().at(&what)), None));
        }
        let (reader, offset_bytes) = (Arc::clone(&file), left.start);
        match perch_base::blocking("reading a recorded file", move || read_piece(&*reader, offset_bytes, left.end))
            .await
        {
            Ok(piece) => {
                let next = offset_bytes + piece.len() as u64..left.end;
                Some((Ok(piece), Some((file, next, revoked, what, app))))
            }
            Err(e) => {
                let e = e.at(&what);
                // A player asks for it again at once.
                if app.is_news(&e) {
                    tracing::warn!(error = %e, offset_bytes, "a recorded file cannot be read to its end");
                }
                Some((Err(e), None))
            }
        }
    }))
}

fn read_piece(file: &dyn ReadAt, start_byte: u64, end_byte: u64) -> Result<Bytes> {
    let mut buffer = vec![0; PIECE_BYTES.min(end_byte - start_byte) as usize];
    let n = loop {
        match file.read_at(&mut buffer, start_byte) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            other => break other.context(ErrorKind::Io, || "a recorded file cannot be read")?,
        }
    };
    if n == 0 {
        return Err(Error::new(ErrorKind::Io, "a recorded file became shorter while it was read"));
    }
    buffer.truncate(n);
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let ok = |text, start, end| assert_eq!(parse_range(text, 100), Some(Ok(start..end)), "{text}");
        ok("bytes=0-0", 0, 1);
        ok("bytes=10-19", 10, 20);
        ok("bytes=10-", 10, 100);
        ok("bytes=10-1000", 10, 100);
        ok("bytes=-10", 90, 100);
        ok("bytes=-1000", 0, 100);
        ok("bytes=0-99999999999999999999999999", 0, 100);
        for text in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999999-"] {
            assert_eq!(parse_range(text, 100), Some(Err(Unsatisfiable)), "{text}");
        }
        for text in ["", "bytes=", "bytes=-", "bytes=a-b", "bytes=20-10", "bytes=0-1,5-6", "items=0-1", "bytes=+1-2"] {
            assert_eq!(parse_range(text, 100), None, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Some(Err(Unsatisfiable)));
    }

    #[test]
    fn entity_tags() {
        assert_eq!(etag("abc"), "\"abc\"");
        assert_eq!(etag("\"a\r\nb\""), "\"ab\"");
        assert!(lists(b"\"x\", W/\"abc\"", b"\"abc\"") && lists(b"*", b"\"abc\"") && !lists(b"\"x\"", b"\"abc\""));
    }
}
