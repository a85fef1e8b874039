//! What is recorded, sent to another server: begun by whoever manages the box, as it makes the box connect to where they say; looked at by whoever
//! may look back at the camera.

use crate::auth::Who;
use crate::input::{PathParts, json as json_of};
use crate::problem::{Problem, Reply};
use crate::routes::session::no_content;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use perch_base::Error;
use perch_base::time::Timestamp;
use perch_domain::access::{Object, Permission};
use perch_domain::archive::TimeRange;
use perch_domain::push::range::RangeOrder;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PushRangeRequest {
    from: String,
    to: String,
    /// It holds the stream key.
    url: String,
}

/// `POST /api/v1/cameras/{camera}/push-range`
pub(super) async fn begin(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let camera = path.camera()?;
    let PushRangeRequest { from, to, url } = json_of(request).await?;
    let at =
        |key: &str, text: &str| Timestamp::parse(text).map_err(|e| Error::invalid(format!("`{key}`: {}", e.message())));
    let order = RangeOrder::new(camera, TimeRange::new(at("from", &from)?, at("to", &to)?)?, &url)?;
    let mut revoked = app.revocations.watch(who.principal.device_id);
    let begun = blocking(&app, move |app| {
        let object = order.camera.clone();
        let by = who.may_still(app, Permission::ManageBox, Object::Camera(&object))?;
        let begun = app.ports.range_pushes.begin(order, &by)?;
        // Who lost the right to it meanwhile has not begun it.
        if revoked.is_revoked() {
            app.ports.range_pushes.end(&object, begun.id)?;
        }
        Ok(begun)
    });
    Ok((StatusCode::CREATED, Json(begun.await?)).into_response())
}

/// `GET /api/v1/cameras/{camera}/push-range`
pub(super) async fn list(State(app): State<Shared>, path: PathParts) -> Reply {
    let camera = path.camera()?;
    let pushes = blocking(&app, move |app| {
        let pushes = app.ports.range_pushes.of_camera(&camera);
        let known = !pushes.is_empty() || app.ports.cameras.cameras().iter().any(|one| one.id == camera);
        Ok(known.then_some(pushes))
    })
    .await?
    .ok_or_else(|| Problem::not_found("camera"))?;
    Ok(Json(json!({ "pushes": pushes })).into_response())
}

/// `DELETE /api/v1/cameras/{camera}/push-range/{push}`
pub(super) async fn end(State(app): State<Shared>, path: PathParts) -> Reply {
    let camera = path.camera()?;
    let id = path.get("push", "push of a recording", |text| text.parse().map_err(|_| Error::not_found("no number")))?;
    blocking(&app, move |app| app.ports.range_pushes.end(&camera, id)).await?;
    Ok(no_content())
}
