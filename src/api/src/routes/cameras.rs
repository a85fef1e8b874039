//! Cameras as listed, stills, and the timeline.

use crate::auth::Who;
use crate::input::{PathParts, Query};
use crate::problem::{Problem, Reply};
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use perch_base::ids::CameraId;
use perch_domain::access::Role;
use perch_domain::status::CameraInfo;
use serde_json::json;

/// Takes away what this role may not see.
pub(super) fn for_role(camera: CameraInfo, role: Role) -> CameraInfo {
    match role {
        Role::Admin => camera,
        Role::Viewer => camera.for_viewer(),
    }
}

/// `GET /api/v1/cameras`
pub(super) async fn list(State(app): State<Shared>, who: Who) -> Reply {
    let all = blocking(&app, |app| Ok(app.ports.cameras.cameras())).await?;
    let cameras: Vec<_> = all.into_iter().map(|c| for_role(c, who.principal.role)).collect();
    Ok(Json(json!({ "cameras": cameras })).into_response())
}

/// `GET /api/v1/cameras/{camera}`
pub(super) async fn one(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let id = path.camera()?;
    let all = blocking(&app, |app| Ok(app.ports.cameras.cameras())).await?;
    let camera = all.into_iter().find(|c| c.id == id).ok_or_else(|| Problem::not_found("camera"))?;
    Ok(Json(for_role(camera, who.principal.role)).into_response())
}

/// `GET /api/v1/cameras/{camera}/snapshot.jpg`
pub(super) async fn snapshot(State(app): State<Shared>, path: PathParts, query: Query) -> Reply {
    let id = path.camera()?;
    let at = query.time("at")?;
    let width = query.number("width", 16, 7680)?;
    let jpeg = blocking(&app, move |app| app.ports.cameras.snapshot(&id, at, width)).await?;
    let caching = if at.is_some() { "private, max-age=3600" } else { "no-store" };
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, caching),
        (header::VARY, "Cookie, Authorization"),
    ];
    Ok((headers, jpeg).into_response())
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
