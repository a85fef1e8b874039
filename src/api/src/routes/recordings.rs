//! What is kept of each camera, and how all of it is deleted.

use crate::auth::Who;
use crate::input::{PathParts, Query};
use crate::problem::{Problem, Reply};
use crate::routes::settings::is_dry_run;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

/// `GET /api/v1/recordings`
pub(super) async fn list(State(app): State<Shared>) -> Reply {
    let kept = blocking(&app, |app| app.ports.archive.kept()).await?;
    Ok(Json(json!({ "cameras": kept })).into_response())
}

/// `DELETE /api/v1/cameras/{camera}/recordings`
pub(super) async fn delete(State(app): State<Shared>, who: Who, path: PathParts, query: Query) -> Reply {
    let (camera, dry_run) = (path.camera()?, is_dry_run(&query)?);
    let by = who.name();
    let kept = blocking(&app, move |app| {
        let kept = app.ports.archive.kept_of(&camera)?;
        let is_there = kept.files > 0 || kept.events > 0;
        if is_there && !dry_run {
            app.ports.archive.forget(&camera)?;
            tracing::info!(%by, camera = %camera, kept = kept.words(), "everything recorded of a camera is to be deleted");
            return Ok(Some(app.ports.archive.kept_of(&camera)?));
        }
        Ok(is_there.then_some(kept))
    });
    let kept = kept.await?.ok_or_else(|| Problem::not_found("camera with recordings"))?;
    let status = if dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(kept)).into_response())
}
