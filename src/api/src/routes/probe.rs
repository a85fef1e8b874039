//! Cameras before they are the box's: they are tried out and looked for, by whoever may add them.

use crate::auth::Who;
use crate::input::json;
use crate::problem::Reply;
use crate::state::Shared;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::{HeaderValue, header};
use serde_json::{Map, Value};

/// `POST /api/v1/cameras/probe`. Whoever hangs up ends it: the answer is dropped, and with it the sessions.
pub(super) async fn probe(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let camera: Map<String, Value> = json(request).await?;
    let probed = app.ports.probe.probe(camera, who.principal.device_id).await?;
    let mut answer = Json(probed).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
