//! What is switched off, and which profile is active. What is right is the port's to say.

use crate::auth::Who;
use crate::input::json;
use crate::problem::Reply;
use crate::state::{Shared, blocking, to_its_end};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use perch_base::Result;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_domain::modes::{ModesView, PrivacyRequest, ProfileName};
use serde::Deserialize;
use tracing::field::display;

/// `GET /api/v1/modes`
pub(super) async fn modes(State(app): State<Shared>, who: Who) -> Reply {
    let view = blocking(&app, |app| Ok(app.ports.modes.modes())).await?;
    Ok(Json(view.seen_by(&who.principal)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Privacy {
    on: bool,
    cameras: Option<Vec<CameraId>>,
    until: Option<String>,
}

/// `PUT /api/v1/privacy`
pub(super) async fn privacy(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let Privacy { on, cameras, until } = json(request).await?;
    let until = until.as_deref().map(Timestamp::parse).transpose().map_err(|e| e.at("until"))?;
    let request = PrivacyRequest { off: on, cameras, until, by: who.name() };
    let ids = |ids: &Vec<CameraId>| ids.iter().map(CameraId::as_str).collect::<Vec<_>>().join(", ");
    let (cameras, until) = (request.cameras.as_ref().map(ids), until.map(display));
    tracing::info!(by = who.principal.name(), cameras, until, "cameras are switched {}", if on { "off" } else { "on" });
    let modes = app.ports.modes.clone();
    answer(&who, async move { modes.privacy(request).await }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChosenProfile {
    name: Option<ProfileName>,
}

/// `PUT /api/v1/profile`
pub(super) async fn profile(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let ChosenProfile { name } = json(request).await?;
    match &name {
        Some(profile) => tracing::info!(by = who.principal.name(), %profile, "a profile is chosen"),
        None => tracing::info!(by = who.principal.name(), "the profile is left to the schedules"),
    }
    let (modes, by) = (app.ports.modes.clone(), who.name());
    answer(&who, async move { modes.choose_profile(name, by).await }).await
}

async fn answer(who: &Who, switching: impl Future<Output = Result<ModesView>> + Send + 'static) -> Reply {
    let switched = to_its_end("switching cameras", switching).await?;
    Ok(Json(switched.seen_by(&who.principal)).into_response())
}
