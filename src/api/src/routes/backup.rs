//! A backup of settings and people, and its way back; what a supporter is given to look at.

use super::people::hash_turn;
use crate::auth::Who;
use crate::bundle;
use crate::config::Ports;
use crate::input::{Query, json};
use crate::problem::{Problem, Reply};
use crate::routes::session::no_content;
use crate::routes::settings::is_dry_run;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::header;
use perch_base::secret::Secret;
use perch_base::{ErrorKind, base64};
use perch_domain::access::check_password;
use perch_domain::log::LogFilter;
use perch_domain::ports::Restored;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MakeBackup {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeBackup {
    password: String,
    file: String,
}

#[derive(Serialize)]
struct Waits {
    waiting: Option<Restored>,
}

/// `POST /api/v1/backup`
pub(super) async fn make(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let body: MakeBackup = json(request).await?;
    let password = Secret::new(body.password);
    check_password(password.expose())?;
    let _turn = hash_turn(&app, &who).await?;
    let by = who.name();
    let file = blocking(&app, move |app| {
        let file = app.ports.backup.make(&password)?;
        tracing::info!(%by, "a backup of settings and people was made");
        Ok(file)
    })
    .await?;
    Ok(attached(file, "application/octet-stream", "perch.backup"))
}

/// `POST /api/v1/backup/restore`
pub(super) async fn take(State(app): State<Shared>, who: Who, query: Query, request: Request) -> Reply {
    let dry_run = is_dry_run(&query)?;
    let body: TakeBackup = json(request).await?;
    let (password, file) = (Secret::new(body.password), body.file);
    let file = base64::decode(file.trim()).ok_or_else(|| Problem::new(ErrorKind::Invalid, "file: must be base64"))?;
    let _turn = hash_turn(&app, &who).await?;
    let by = who.name();
    let restored = blocking(&app, move |app| {
        let restored = app.ports.backup.take(&file, &password, dry_run)?;
        if !dry_run {
            tracing::warn!(%by, of = restored.name, "a backup is restored at the next start");
        }
        Ok(restored)
    })
    .await?;
    Ok(Json(restored).into_response())
}

/// `GET /api/v1/backup/restore`
pub(super) async fn waits(State(app): State<Shared>) -> Reply {
    let waiting = blocking(&app, move |app| app.ports.backup.waits()).await?;
    Ok(Json(Waits { waiting }).into_response())
}

/// `DELETE /api/v1/backup/restore`
pub(super) async fn take_back(State(app): State<Shared>, who: Who) -> Reply {
    let by = who.name();
    blocking(&app, move |app| {
        app.ports.backup.take_back()?;
        tracing::warn!(%by, "the backup that waited for the next start is not taken");
        Ok(())
    })
    .await?;
    Ok(no_content())
}

/// `POST /api/v1/support-bundle`
pub(super) async fn support(State(app): State<Shared>, who: Who) -> Reply {
    let by = who.name();
    let file = blocking(&app, move |app| {
        tracing::info!(%by, "a support bundle was made");
        let ports = &app.ports;
        let log = ports.log.page(&LogFilter { limit: bundle::LOG_LINES, ..LogFilter::default() });
        let told = bundle::Told {
            status: ports.cameras.status(),
            settings: ports.settings.settings().map(|s| s.values),
            versions: ports.settings.versions().unwrap_or_default(),
            update: serde_json::to_value(ports.update.state()).unwrap_or_default(),
            system: ports.system.facts(),
            log: log.lines,
            names: names(ports),
            at: ports.clock.utc(),
        };
        bundle::pack(told)
    })
    .await?;
    Ok(attached(file, "application/gzip", "perch-support.tar.gz"))
}

/// Everybody's, and their devices'.
fn names(ports: &Ports) -> perch_base::Result<Vec<String>> {
    let (users, devices) = (ports.access.users()?, ports.access.devices()?);
    let players = ports.access.stream_passwords()?;
    let named = users.into_iter().map(|user| user.name).chain(devices.into_iter().map(|device| device.name));
    Ok(named.chain(players.into_iter().map(|player| player.name)).collect())
}

fn attached(file: Vec<u8>, media_type: &'static str, name: &str) -> axum::response::Response {
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, file).into_response()
}
