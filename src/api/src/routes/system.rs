//! The state of the box, figures for Prometheus, and small documents.

use crate::auth::Who;
use crate::plain::authority_file;
use crate::problem::Reply;
use crate::routes::metrics as figures;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use perch_domain::access::Principal;
use perch_domain::authority_files::AuthorityFile;
use perch_domain::status::Status;

/// The state of the box as `who` may see it.
async fn seen_by(app: &Shared, who: Principal) -> Reply<Status> {
    blocking(app, move |app| Ok(app.ports.cameras.status().seen_by(&who))).await
}

/// `GET /api/v1/status`
pub(super) async fn status(State(app): State<Shared>, who: Who) -> Reply {
    Ok(Json(seen_by(&app, who.principal).await?).into_response())
}

/// `GET /metrics`
pub(super) async fn metrics(State(app): State<Shared>, who: Who) -> Reply {
    let status = seen_by(&app, who.principal).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], figures::render(&status)).into_response())
}

/// `GET /healthz`
pub(super) async fn healthz(State(app): State<Shared>) -> Response {
    if app.healthy().await {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n").into_response()
    }
}

/// `GET /api/v1/ca.pem`
pub(super) async fn ca_pem(State(app): State<Shared>) -> Reply {
    authority_file(&*app.ports.identity, AuthorityFile::Pem)
}

/// `GET /api/v1/ca.crt`
pub(super) async fn ca_crt(State(app): State<Shared>) -> Reply {
    authority_file(&*app.ports.identity, AuthorityFile::Der)
}

/// `GET /api/v1/ca.mobileconfig`
pub(super) async fn ca_profile(State(app): State<Shared>) -> Reply {
    authority_file(&*app.ports.identity, AuthorityFile::Profile)
}

/// `GET /api/openapi.json`
pub(super) async fn openapi(State(app): State<Shared>) -> Reply {
    Ok(Json(&app.document).into_response())
}
