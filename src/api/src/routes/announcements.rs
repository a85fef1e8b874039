//! Stored announcements: listed and heard by whoever may speak, uploaded and deleted by whoever manages the box.

use crate::auth::Who;
use crate::input::{PathParts, Query, file};
use crate::problem::{Problem, Reply};
use crate::routes::session::no_content;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::{StatusCode, header};
use perch_base::ids::AnnouncementId;
use perch_base::{Error, ErrorKind};
use perch_domain::access::DEVICE_NAME_LENGTH;

pub(super) const WAV: &str = "audio/wav";

/// `GET /api/v1/announcements`
pub(super) async fn list(State(app): State<Shared>) -> Reply {
    Ok(Json(blocking(&app, |app| Ok(app.ports.announcements.list())).await?).into_response())
}

/// `POST /api/v1/announcements`
pub(super) async fn add(State(app): State<Shared>, who: Who, query: Query, request: Request) -> Reply {
    let missing = || Problem::new(ErrorKind::Invalid, "`name` is missing: it is what the announcement is called");
    let short = |text: &str| match text.chars().count() <= *DEVICE_NAME_LENGTH.end() {
        true => Ok(text.to_owned()),
        false => Err(Error::invalid(format!("must have {} characters at most", DEVICE_NAME_LENGTH.end()))),
    };
    let name = query.get("name", short)?.ok_or_else(missing)?;
    let file = file(request).await?;
    let by = who.name();
    let added = blocking(&app, move |app| {
        let added = app.ports.announcements.add(&name, &file)?;
        tracing::info!(announcement = added.name, %by, "an announcement was stored");
        Ok(added)
    });
    Ok((StatusCode::CREATED, Json(added.await?)).into_response())
}

/// `GET /api/v1/announcements/{announcement}/sound.wav`
pub(super) async fn sound(State(app): State<Shared>, path: PathParts) -> Reply {
    let id = id_of(&path)?;
    let sound = blocking(&app, move |app| app.ports.announcements.sound(id)).await?;
    // It stays what it is as long as it is there.
    let headers = [(header::CONTENT_TYPE, WAV), (header::CACHE_CONTROL, "private, no-cache")];
    Ok((headers, sound).into_response())
}

/// `DELETE /api/v1/announcements/{announcement}`
pub(super) async fn remove(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let (id, by) = (id_of(&path)?, who.name());
    blocking(&app, move |app| {
        app.ports.announcements.remove(id)?;
        tracing::info!(%by, "an announcement was deleted");
        Ok(())
    })
    .await?;
    Ok(no_content())
}

fn id_of(path: &PathParts) -> Reply<AnnouncementId> {
    path.get("announcement", "announcement", AnnouncementId::parse)
}
