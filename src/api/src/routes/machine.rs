//! The system under the box: what there is, and what an owner has changed of it.

use crate::auth::Who;
use crate::input::json;
use crate::problem::Reply;
use crate::state::{Shared, blocking, to_its_end};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use perch_base::Result;
use perch_domain::settings::changes::{SettingsChange, SettingsRequest};
use perch_domain::system::{Action, SystemChange, SystemFacts};
use serde_json::json as object;
use std::sync::Arc;

/// `GET /api/v1/system`
pub(super) async fn read(State(app): State<Shared>) -> Reply {
    Ok(Json(blocking(&app, |app| Ok(app.ports.system.facts())).await?).into_response())
}

/// `PATCH /api/v1/system`
pub(super) async fn change(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let change: SystemChange = json(request).await?;
    let work = change_both(app.clone(), who.name(), change);
    let facts = to_its_end("changing the system", work).await?;
    Ok((StatusCode::ACCEPTED, Json(facts)).into_response())
}

/// Changes the system and, as schedules go by the same clock, the box's own time zone. Root is asked only for what the settings take.
async fn change_both(app: Shared, by: String, change: SystemChange) -> Result<SystemFacts> {
    let zoned = |dry_run| {
        let patch = object!({ "box": { "time_zone": change.time_zone.as_ref()? } }).as_object().cloned()?;
        Some(SettingsRequest { change: SettingsChange::Merge(patch), by: by.clone(), tag: None, dry_run })
    };
    let (would, will) = (zoned(true), zoned(false));
    if let Some(would) = would {
        app.ports.settings.change(would).await?;
    }
    let asking = Arc::clone(&app);
    let asked = perch_base::blocking("asking for a change of the system", move || {
        asking.ports.system.change(&change)?;
        let what = [
            ("hostname", change.hostname.is_some()),
            ("time_zone", change.time_zone.is_some()),
            ("wifi", change.wifi.is_some()),
            ("ssh_key", change.ssh_key.is_some()),
        ];
        let what: Vec<_> = what.into_iter().filter(|(_, is_named)| *is_named).map(|(what, _)| what).collect();
        let what = what.join(", ");
        tracing::info!(by, what, "a change of the system is asked for");
        Ok(asking.ports.system.facts())
    });
    let facts = asked.await?;
    if let Some(will) = will {
        app.ports.settings.change(will).await?;
    }
    Ok(facts)
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
