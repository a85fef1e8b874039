//! The configuration: read, changed, taken back; cameras that come, change and go. What is right is the port's to say.

use crate::auth::Who;
use crate::input::{PathParts, Query, json};
use crate::problem::{Problem, Reply};
use crate::state::{Shared, blocking, to_its_end};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use perch_base::{Error, ErrorKind};
use perch_domain::settings::changes::{KeepOrDelete, SettingsChange, SettingsRequest};
use serde_json::{Map, Value, json as object};

/// `GET /api/v1/settings`
pub(super) async fn read(State(app): State<Shared>) -> Reply {
    let settings = blocking(&app, |app| app.ports.settings.settings()).await?;
    tagged(&settings.tag, Json(settings.values).into_response())
}

/// `GET /api/v1/settings/schema`
pub(super) async fn schema(State(app): State<Shared>) -> Reply {
    Ok(Json(blocking(&app, |app| Ok(app.ports.settings.schema())).await?).into_response())
}

/// `PATCH /api/v1/settings`
pub(super) async fn merge(State(app): State<Shared>, who: Who, query: Query, request: Request) -> Reply {
    let dry_run = is_dry_run(&query)?;
    if !request.headers().contains_key(header::IF_MATCH) {
        let why = "If-Match is missing: it must be the ETag of the settings that the change was made from, or *";
        return Err(Problem::new(ErrorKind::Invalid, why).status(StatusCode::PRECONDITION_REQUIRED));
    }
    let tag = tag_of(request.headers());
    let change = SettingsChange::Merge(json(request).await?);
    make(&app, &who, dry_run, tag, change, StatusCode::OK).await
}

/// `GET /api/v1/settings/versions`
pub(super) async fn versions(State(app): State<Shared>) -> Reply {
    let versions = blocking(&app, |app| app.ports.settings.versions()).await?;
    Ok(Json(object!({ "versions": versions })).into_response())
}

/// `GET /api/v1/settings/versions/{version}`
pub(super) async fn version(State(app): State<Shared>, path: PathParts) -> Reply {
    let number = number(&path)?;
    Ok(Json(blocking(&app, move |app| app.ports.settings.version(number)).await?).into_response())
}

/// `POST /api/v1/settings/versions/{version}/restore`
pub(super) async fn restore(
    State(app): State<Shared>,
    who: Who,
    path: PathParts,
    query: Query,
    headers: HeaderMap,
) -> Reply {
    let change = SettingsChange::Restore(number(&path)?);
    make(&app, &who, is_dry_run(&query)?, tag_of(&headers), change, StatusCode::OK).await
}

/// `POST /api/v1/cameras`
pub(super) async fn add_camera(State(app): State<Shared>, who: Who, query: Query, request: Request) -> Reply {
    let (tag, dry_run) = (tag_of(request.headers()), is_dry_run(&query)?);
    let camera: Map<String, Value> = json(request).await?;
    make(&app, &who, dry_run, tag, SettingsChange::AddCamera(camera), StatusCode::CREATED).await
}

/// `PATCH /api/v1/cameras/{camera}`
pub(super) async fn change_camera(
    State(app): State<Shared>,
    who: Who,
    path: PathParts,
    query: Query,
    request: Request,
) -> Reply {
    let (id, tag, dry_run) = (path.camera()?, tag_of(request.headers()), is_dry_run(&query)?);
    let change = SettingsChange::ChangeCamera(id, json(request).await?);
    make(&app, &who, dry_run, tag, change, StatusCode::OK).await
}

/// `DELETE /api/v1/cameras/{camera}`
pub(super) async fn remove_camera(
    State(app): State<Shared>,
    who: Who,
    path: PathParts,
    query: Query,
    headers: HeaderMap,
) -> Reply {
    let recordings = match query.word("recordings")? {
        "delete" => KeepOrDelete::Delete,
        _ => KeepOrDelete::Keep,
    };
    let change = SettingsChange::RemoveCamera(path.camera()?, recordings);
    make(&app, &who, is_dry_run(&query)?, tag_of(&headers), change, StatusCode::OK).await
}

async fn make(
    app: &Shared,
    who: &Who,
    dry_run: bool,
    tag: Option<String>,
    change: SettingsChange,
    status: StatusCode,
) -> Reply {
    let by = who.name();
    let who = by.clone();
    let restored = if let SettingsChange::Restore(version) = &change { Some(*version) } else { None };
    let request = SettingsRequest { change, by, tag, dry_run };
    let settings = app.ports.settings.clone();
    let changed = to_its_end("changing the settings", async move { settings.change(request).await }).await?;
    if !dry_run {
        let effects = Some(changed.effects.join("; ")).filter(|effects| !effects.is_empty());
        match restored {
            Some(version) => tracing::info!(by = %who, effects, "version {version} of the settings was taken back"),
            None => tracing::info!(by = %who, effects, "the settings were changed"),
        }
    }
    let status = if dry_run { StatusCode::OK } else { status };
    let tag = changed.tag.clone();
    tagged(&tag, (status, Json(changed)).into_response())
}

/// Whether it is only asked what would happen. Read before the body, whose faults come second.
pub(super) fn is_dry_run(query: &Query) -> Reply<bool> {
    Ok(query.word("dry_run")? == "true")
}

fn number(path: &PathParts) -> Reply<u64> {
    path.get("version", "version", |text| text.parse().map_err(|_| Error::not_found("not a number")))
}

/// The tag that the caller gave, without its quotes; `*` is any.
fn tag_of(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(header::IF_MATCH)?.to_str().ok()?.trim();
    Some(tag.trim_matches('"').to_owned()).filter(|tag| tag != "*")
}

fn tagged(tag: &str, mut answer: Response) -> Reply {
    let value = HeaderValue::from_str(&format!("\"{tag}\""))
        .map_err(|_| Problem::new(ErrorKind::Internal, "a tag of the settings is no header"))?;
    answer.headers_mut().insert(header::ETAG, value);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
