//! Pairing, signing in and out, and who one is.

use crate::auth::{Who, clear_cookie, peer, set_cookie};
use crate::input::json;
use crate::problem::{Problem, Reply};
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use perch_base::ErrorKind;
use perch_base::secret::Secret;
use perch_base::sync::lock;
use perch_domain::access::clean_display_name;
use perch_domain::camera_view::CameraView;
use perch_domain::pairing::{CodeOutcome, read_code};
use perch_domain::ports::PairResult;
use perch_domain::tries::Try;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairBody {
    otp: String,
    device_name: String,
}

/// `POST /api/v1/pair`
pub(super) async fn pair(State(app): State<Shared>, request: Request) -> Reply {
    let from = peer(&request)?.0;
    let body: PairBody = json(request).await?;
    let name = clean_display_name("device_name", &body.device_name)?;
    let otp = read_code(&body.otp).map_err(|e| Problem::new(e.kind(), format!("otp: {}", e.message())))?;
    app.guard.take(Try::Code, from.ip(), app.ports.clock.mono())?;
    let _turn = app.guard.hash_turn(&app.ports.clock).await?;
    let device = name.clone();
    let tried = blocking(&app, move |app| app.ports.access.pair(&otp, &name, app.ports.clock.utc())).await?;
    let refused = match tried {
        PairResult::Paired(credential) => {
            tracing::info!(device, role = credential.role.as_str(), address = %from.ip(), "a device was paired");
            let cookie = set_cookie(&credential.token)?;
            let body = json!({
                "device_id": credential.device_id,
                "token": credential.token.expose(),
                "role": credential.role,
            });
            return Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(body)).into_response());
        }
        PairResult::Refused(attempt) => attempt,
    };
    tracing::warn!(address = %from.ip(), "a wrong one-time password was tried");
    Err(match refused {
        CodeOutcome::Wrong { tries_left } => {
            let plural = if tries_left == 1 { "try is" } else { "tries are" };
            Problem::forbidden(&format!("that code is wrong: {tries_left} {plural} left"))
                .with("tries_left", tries_left.into())
        }
        CodeOutcome::Burned => {
            Problem::new(ErrorKind::Gone, "that code was tried too often and is void: make a new one")
        }
        CodeOutcome::NoCode => {
            Problem::new(ErrorKind::Gone, "there is no code to pair with, or it is too old: make a new one")
        }
        CodeOutcome::Paired(_) => Problem::new(ErrorKind::Internal, "a refused code was reported as paired"),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInBody {
    username: String,
    password: String,
    #[serde(default)]
    device_name: Option<String>,
}

/// `POST /api/v1/session`
pub(super) async fn sign_in(State(app): State<Shared>, request: Request) -> Reply {
    let from = peer(&request)?.0;
    let agent = request.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(browser_name);
    let body: SignInBody = json(request).await?;
    let name = match body.device_name.as_deref() {
        Some(name) if !name.trim().is_empty() => clean_display_name("device_name", name)?,
        _ => agent.unwrap_or("Browser").to_owned(),
    };
    app.guard.take(Try::Password(&body.username), from.ip(), app.ports.clock.mono())?;
    let _turn = app.guard.hash_turn(&app.ports.clock).await?;
    let (username, password) = (body.username, Secret::new(body.password));
    let (account, device) = (username.clone(), name.clone());
    let signed_in =
        blocking(&app, move |app| app.ports.access.sign_in(&username, password.expose(), &name, app.ports.clock.utc()))
            .await?;
    match signed_in {
        Some(credential) => {
            let now = app.ports.clock.mono();
            lock(&app.ports.cut_offs).signs_in(credential.device_id, &account, now);
            tracing::info!(by = account, device, address = %from.ip(), "somebody signed in");
            Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(&credential.token)?)]).into_response())
        }
        None => {
            tracing::warn!(address = %from.ip(), "a sign-in failed");
            Err(Problem::new(ErrorKind::Unauthenticated, "the name or the password is wrong"))
        }
    }
}

/// `DELETE /api/v1/session`
pub(super) async fn sign_out(State(app): State<Shared>, who: Who) -> Reply {
    let device = who.principal.device_id;
    blocking(&app, move |app| {
        app.ports.access.revoke_device(device)?;
        tracing::info!(by = who.principal.name(), device = who.principal.device_name, "somebody signed out");
        app.cut_off(&[device])
    })
    .await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, clear_cookie()?)]).into_response())
}

/// `GET /api/v1/me`
pub(super) async fn me(State(app): State<Shared>, who: Who) -> Reply {
    let asking = who.principal.clone();
    let (has_accounts, view) = blocking(&app, move |app| {
        let access = &app.ports.access;
        Ok((!access.users()?.is_empty(), access.camera_view(&asking)?.seen_by(&asking)))
    })
    .await?;
    let p = &who.principal;
    let mut body = json!({
        "device_id": p.device_id,
        "device_name": p.device_name,
        "username": p.username,
        "role": p.role,
        "permissions": p.permissions(),
        "has_accounts": has_accounts,
        "box_name": app.ports.settings.box_name(),
        "version": app.config.version,
        "ca_sha256": app.ports.identity.ca_sha256(),
        "view": view,
    });
    if !p.cameras.is_all() {
        body["cameras"] = json!(p.cameras);
    }
    if let Some(expires_at) = p.limits.expires_at {
        body["expires_at"] = json!(expires_at);
    }
    if let Some(cut_off) = app.cut_off_of(p.device_id) {
        body["cut_off"] = json!(cut_off);
    }
    Ok(Json(body).into_response())
}

/// `PUT /api/v1/me/view`
pub(super) async fn set_view(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let view: CameraView = json(request).await?;
    blocking(&app, move |app| app.ports.access.set_camera_view(&who.principal, &view)).await?;
    Ok(no_content())
}

/// A name for a browser that gave none.
fn browser_name(agent: &str) -> &'static str {
    const KNOWN: [(&str, &str); 5] =
        [("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    KNOWN.iter().find(|(mark, _)| agent.contains(mark)).map_or("Browser", |(_, name)| name)
}

/// Kept for handlers that answer with nothing.
pub(super) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
