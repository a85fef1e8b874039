//! Copies off the box: how they are, and stores that are tried out by whoever may name them.

use crate::auth::Who;
use crate::input::{PathParts, Query, json};
use crate::problem::{Problem, Reply};
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use perch_base::Error;
use perch_domain::access::{Object, Permission};
use perch_domain::sync::hours::CopyHours;
use perch_domain::sync::status::StoreToTry;
use perch_domain::sync::target::{CopyWhat, GivenTarget, SyncTarget};
use serde::Deserialize;

/// A store that is to be tried out: one of the settings by its name, or another one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreProbeRequest {
    name: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    bucket: Option<String>,
    prefix: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
}

/// `GET /api/v1/sync`
pub(super) async fn targets(State(app): State<Shared>) -> Reply {
    Ok(Json(blocking(&app, |app| app.ports.copies.targets()).await?).into_response())
}

/// `GET /api/v1/cameras/{camera}/copies`
pub(super) async fn hours(State(app): State<Shared>, who: Who, path: PathParts, query: Query) -> Reply {
    let id = path.camera()?;
    let range = query.range()?;
    // Where copies go is told to nobody else.
    let manages = who.principal.may(Permission::ManageBox, Object::Box);
    let copies = blocking(&app, move |app| {
        let all = app.ports.copies.targets()?;
        let any_wants_all = all.targets.iter().any(|target| target.what == CopyWhat::All);
        let wanted = if any_wants_all { CopyWhat::All } else { CopyWhat::Events };
        let hours = app.ports.archive.copies(&id, range, wanted)?;
        if hours.is_empty() && !app.ports.cameras.cameras().iter().any(|c| c.id == id) {
            return Ok(None);
        }
        let reason = if manages { all.reason() } else { String::new() };
        let is_copied = !all.targets.is_empty();
        Ok(Some(if is_copied { CopyHours { hours, reason } } else { CopyHours::default() }))
    });
    let copies = copies.await?.ok_or_else(|| Problem::not_found("camera"))?;
    Ok(Json(copies).into_response())
}

/// `POST /api/v1/sync/probe`. Whoever hangs up ends it.
pub(super) async fn probe(State(app): State<Shared>, request: Request) -> Reply {
    let store = to_try(&json(request).await?)?;
    Ok(Json(app.ports.copies.probe(store).await?).into_response())
}

fn to_try(asked: &StoreProbeRequest) -> Result<StoreToTry, Error> {
    let StoreProbeRequest { name, endpoint, region, bucket, prefix, access_key, secret_key } = asked;
    let given = [endpoint, region, bucket, prefix, access_key, secret_key];
    if let Some(name) = name {
        return match given.iter().all(|one| one.is_none()) {
            true => Ok(StoreToTry::Configured(name.clone())),
            false => Err(Error::invalid("`name`: names a store of the settings; leave the rest out")),
        };
    }
    let text = |one: &'_ Option<String>| one.as_deref().unwrap_or_default().to_owned();
    let (endpoint, bucket, prefix) = (text(endpoint), text(bucket), text(prefix));
    let (access_key, secret_key) = (text(access_key), text(secret_key));
    let given = GivenTarget {
        endpoint: &endpoint,
        region: region.as_deref().filter(|text| !text.is_empty()).unwrap_or("us-east-1"),
        bucket: &bucket,
        prefix: &prefix,
        access_key: &access_key,
        secret_key: &secret_key,
    };
    Ok(StoreToTry::Given(Box::new(SyncTarget::to_try(&given)?)))
}
