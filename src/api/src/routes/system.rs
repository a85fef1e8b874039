//! The state of the box, figures for Prometheus, and small documents.

use crate::auth::Who;
use crate::plain::authority_file;
use crate::problem::Reply;
use crate::routes::metrics as figures;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use perch_domain::access::Principal;
use perch_domain::authority_files::AuthorityFile;
use perch_domain::summary::Status;
use serde_json::json;

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

/// `GET /api/v1/certificate`
pub(super) async fn certificate(State(app): State<Shared>) -> Reply {
    let (identity, now) = (&app.ports.identity, app.ports.clock.utc());
    let certificates: Vec<_> = identity
        .certificates()
        .into_iter()
        .map(|facts| {
            let problem = facts.problem(now).unwrap_or_default();
            json!({
                "kind": facts.kind, "names": facts.names, "not_before": facts.not_before, "not_after": facts.not_after,
                "sha256": facts.sha256, "problem": problem,
            })
        })
        .collect();
    let mut body =
        json!({ "certificates": certificates, "ca_sha256": identity.ca_sha256(), "other_origins": app.origins() });
    if let Some(domain) = identity.domain() {
        body["domain"] = json!({
            "name": domain.domain, "problem": domain.problem, "tried_again_at": domain.tried_again_at,
        });
    }
    Ok(Json(body).into_response())
}

/// `GET /api/v1/trust-probe`: anybody's page may ask, and learns that it reached the box.
pub(super) async fn trust_probe() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// `GET /api/openapi.json`
pub(super) async fn openapi(State(app): State<Shared>) -> Reply {
    Ok(Json(&app.document).into_response())
}
