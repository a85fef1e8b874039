//! Cameras as listed, stills, and the timeline.

use crate::auth::{LIVE_ONLY, Who};
use crate::headers;
use crate::input::{PathParts, Query};
use crate::problem::{Problem, Reply};
use crate::state::{AppState, Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderName, HeaderValue, StatusCode, header};
use perch_base::ids::CameraId;
use perch_base::{Error, ErrorKind};
use perch_domain::access::{Object, Permission, Principal};
use perch_domain::ports::Snapshot;
use perch_domain::status::CameraInfo;
use serde_json::json;

/// When a recorded still was taken, RFC 3339: it may be long before the moment that was asked for.
const PICTURE_AT: HeaderName = HeaderName::from_static("perch-picture-at");
/// A picture so close to the moment that was asked for is kept by browsers. One further back may be followed by what is being written.
const KEPT_WITHIN_US: i64 = 120_000_000;

/// The cameras that `who` may see, each without what it may not.
pub(super) fn seen_by(app: &AppState, who: &Principal) -> Vec<CameraInfo> {
    app.ports.cameras.cameras().into_iter().filter_map(|c| c.seen_by(who)).collect()
}

/// `GET /api/v1/cameras`
pub(super) async fn list(State(app): State<Shared>, who: Who) -> Reply {
    let cameras = blocking(&app, move |app| Ok(seen_by(app, &who.principal))).await?;
    Ok(Json(json!({ "cameras": cameras })).into_response())
}

/// `GET /api/v1/cameras/{camera}`
pub(super) async fn one(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let id = path.camera()?;
    let all = blocking(&app, move |app| Ok(seen_by(app, &who.principal))).await?;
    let camera = all.into_iter().find(|c| c.id == id).ok_or_else(|| Problem::not_found("camera"))?;
    Ok(Json(camera).into_response())
}

/// `GET /api/v1/cameras/{camera}/snapshot.jpg`
pub(super) async fn snapshot(State(app): State<Shared>, who: Who, path: PathParts, query: Query) -> Reply {
    let at = query.time("at")?;
    let camera = path.camera()?;
    // A still of before is a look back.
    let needs = if at.is_some() { Permission::LookBack } else { Permission::Watch };
    if !who.may(needs, Object::Camera(&camera)) {
        return Err(Problem::forbidden(LIVE_ONLY));
    }
    let wanted = Snapshot { camera: camera.clone(), at, width: query.number("width")? };
    let may_lack = query.word("or_none")? == "true";
    let still = match app.ports.cameras.snapshot(wanted, who.principal.device_id).await {
        // A page asks in the very moment in which a camera is switched or lost, and browsers log whatever is an error.
        Err(e) if may_lack && e.kind() == ErrorKind::Unavailable => {
            return Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response());
        }
        still => still.map_err(no_still)?,
    };
    // It waited for its turn: whoever lost the right to it meanwhile gets none.
    blocking(&app, move |app| who.may_still(app, needs, Object::Camera(&camera))).await?;
    // What was recorded last before a moment may change for as long as files are being written.
    let is_of_then = at.zip(still.taken_at).is_some_and(|(at, taken)| at.micros_since(taken) < KEPT_WITHIN_US);
    let caching = if is_of_then { "private, max-age=3600" } else { "no-store" };
    let mut reply = headers::jpeg(still.jpeg, caching);
    if let Some(taken_at) = still.taken_at.and_then(|at| HeaderValue::try_from(at.to_string()).ok()) {
        reply.headers_mut().insert(PICTURE_AT, taken_at);
    }
    Ok(reply)
}

/// `GET /api/v1/cameras/{camera}/sound-level`
pub(super) async fn sound_level(State(app): State<Shared>, path: PathParts) -> Reply {
    let level = app.ports.cameras.sound_level(&path.camera()?).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "level": level }))).into_response())
}

/// `GET /api/v1/cameras/{camera}/controls`
pub(super) async fn controls(State(app): State<Shared>, path: PathParts) -> Reply {
    let controls = app.ports.cameras.controls(&path.camera()?).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(controls)).into_response())
}

/// Stills take a moment each: whoever gets none now is to ask again soon.
fn no_still(error: Error) -> Problem {
    let is_for_now = matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable);
    let problem = Problem::from(error);
    if is_for_now { problem.header(header::RETRY_AFTER, HeaderValue::from_static("2")) } else { problem }
}

/// `GET /api/v1/cameras/{camera}/timeline`
pub(super) async fn timeline(State(app): State<Shared>, path: PathParts, query: Query) -> Reply {
    let id: CameraId = path.camera()?;
    let range = query.range()?;
    let timeline = blocking(&app, move |app| {
        let timeline = app.ports.archive.timeline(&id, range, app.ports.clock.utc())?;
        // A camera that was taken out of the config may still have recordings; one that never was has none.
        let known = !timeline.spans.is_empty()
            || !timeline.events.is_empty()
            || app.ports.cameras.cameras().iter().any(|c| c.id == id);
        Ok(known.then_some(timeline))
    })
    .await?;
    let timeline = timeline.ok_or_else(|| Problem::not_found("camera"))?;
    Ok(Json(timeline).into_response())
}
