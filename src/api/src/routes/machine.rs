//! The system under the box: what there is, and what an owner has changed of it.

use crate::auth::Who;
use crate::input::json;
use crate::problem::Reply;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use perch_domain::settings::changes::{SettingsChange, SettingsRequest};
use perch_domain::system::{Action, SystemChange};
use serde_json::json as object;

/// The key of the configuration that says the same.
const TIME_ZONE: &str = "box.time_zone";

/// `GET /api/v1/system`
pub(super) async fn read(State(app): State<Shared>) -> Reply {
    Ok(Json(blocking(&app, |app| Ok(app.ports.system.facts())).await?).into_response())
}

/// `PATCH /api/v1/system`
pub(super) async fn change(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let change: SystemChange = json(request).await?;
    let zone = change.time_zone.clone();
    let by = who.name();
    let (facts, has_zone) = blocking(&app, move |app| {
        app.ports.system.change(&change)?;
        let what = [
            ("hostname", change.hostname.is_some()),
            ("time_zone", change.time_zone.is_some()),
            ("wifi", change.wifi.is_some()),
            ("ssh_key", change.ssh_key.is_some()),
        ];
        let what: Vec<_> = what.into_iter().filter(|(_, is_named)| *is_named).map(|(what, _)| what).collect();
        tracing::info!(%by, ?what, "a change of the system is asked for");
        let has_zone = app.ports.settings.schema().settings.iter().any(|s| s["key"] == TIME_ZONE);
        Ok((app.ports.system.facts(), has_zone))
    })
    .await?;
    // The box's own clock of schedules goes by the same zone.
    if let Some(zone) = zone.filter(|_| has_zone) {
        let patch = object!({ "box": { "time_zone": zone } }).as_object().cloned().unwrap_or_default();
        let by = who.name();
        let request = SettingsRequest { change: SettingsChange::Merge(patch), by, tag: None, dry_run: false };
        app.ports.settings.change(request).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(facts)).into_response())
}

/// `POST /api/v1/system/restart`
pub(super) async fn restart(State(app): State<Shared>, who: Who) -> Reply {
    act(&app, &who, Action::Restart, 10, "the box ends and starts again").await
}

/// `POST /api/v1/system/reboot`
pub(super) async fn reboot(State(app): State<Shared>, who: Who) -> Reply {
    act(&app, &who, Action::Reboot, 60, "the whole system starts again").await
}

/// `POST /api/v1/system/shutdown`
pub(super) async fn shutdown(State(app): State<Shared>, who: Who) -> Reply {
    act(&app, &who, Action::Shutdown, 0, "the system switches itself off").await
}

async fn act(app: &Shared, who: &Who, action: Action, back_in_s: u32, sentence: &'static str) -> Reply {
    let by = who.name();
    blocking(app, move |app| {
        app.ports.system.act(action)?;
        tracing::warn!(%by, ?action, "an action on the system is asked for");
        Ok(())
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(object!({ "sentence": sentence, "back_in_s": back_in_s }))).into_response())
}
