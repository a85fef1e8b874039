//! Devices, pairing codes, accounts and stream passwords.

use crate::AccessChange;
use crate::auth::{Who, authority, clear_cookie, peer};
use crate::authority::Authority;
use crate::guard::{Prefix, Try};
use crate::input::{PathParts, json};
use crate::problem::{Problem, Reply};
use crate::routes::session::no_content;
use crate::state::{App, Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use perch_base::ids::DeviceId;
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{Device, Leaving, Permission, Principal, Role, User, check_name, check_password};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::net::IpAddr;

#[derive(Serialize)]
struct ListedDevice {
    #[serde(flatten)]
    device: Device,
    current: bool,
    live_sessions: usize,
}

/// Whether `device` is the caller's own: the one it asks from, or one of the same account.
fn owns(caller: &Principal, device: &Device) -> bool {
    device.id == caller.device_id || (caller.username.is_some() && device.username == caller.username)
}

/// `GET /api/v1/devices`
pub(super) async fn devices(State(app): State<Shared>, who: Who) -> Reply {
    let caller = who.principal;
    let devices = blocking(&app, move |app| {
        let mut live: HashMap<DeviceId, usize> = HashMap::new();
        for session in app.ports.live.sessions() {
            *live.entry(session.device_id).or_default() += 1;
        }
        let all = caller.role.may(Permission::ManagePeople);
        let list = app.ports.access.devices()?.into_iter().filter(|d| all || owns(&caller, d));
        Ok(list
            .map(|device| ListedDevice {
                current: device.id == caller.device_id,
                live_sessions: live.get(&device.id).copied().unwrap_or(0),
                device,
            })
            .collect::<Vec<_>>())
    })
    .await?;
    Ok(Json(json!({ "devices": devices })).into_response())
}

/// `DELETE /api/v1/devices/{device}`
pub(super) async fn revoke(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let caller = who.principal;
    let id = path.get("device", "device", DeviceId::parse);
    if !caller.role.may(Permission::ManagePeople) {
        // The same answer whether or not the device exists.
        let refused = || Problem::forbidden("only an administrator may revoke other people's devices");
        let id = *id.as_ref().map_err(|_| refused())?;
        let asking = caller.clone();
        let own =
            blocking(&app, move |app| Ok(app.ports.access.devices()?.iter().any(|d| d.id == id && owns(&asking, d))));
        if !own.await? {
            return Err(refused());
        }
    }
    let id = id?;
    blocking(&app, move |app| {
        app.may_leave(Leaving::Device(id))?;
        app.ports.access.revoke_device(id)?;
        app.devices_revoked(&[id]);
        Ok(())
    })
    .await?;
    if id == caller.device_id {
        return Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, clear_cookie()?)]).into_response());
    }
    Ok(no_content())
}

#[derive(Deserialize)]
struct CodeBody {
    role: String,
}

/// `POST /api/v1/pairing-codes`
pub(super) async fn issue_code(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let named = named(&request)?;
    let body: CodeBody = json(request).await?;
    let role = Role::parse(&body.role)?;
    let port = named.port;
    let (code, host) = blocking(&app, move |app| {
        Ok((app.ports.access.issue_code(role, app.ports.clock.utc())?, public_host(app, &named)))
    })
    .await?;
    tracing::info!(by = %who.principal.device_id, role = role.as_str(), "a pairing code was made");
    let url = crate::pairing_url(&format!("https://{host}:{port}"), code.otp.expose(), app.ports.identity.ca_sha256());
    let qr = QrCode::new(url.as_bytes())
        .map_err(|e| Error::internal("the QR code cannot be drawn").with_source(e))?
        .render::<svg::Color<'_>>()
        .min_dimensions(240, 240)
        .build();
    let body = json!({ "otp": code.otp.expose(), "expires_at": code.expires_at, "url": url, "qr_svg": qr });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// The host under which others reach the box: the one the caller used, unless that is this machine's own.
fn public_host(app: &App, named: &Authority) -> String {
    match named.address() {
        Some(ip) if ip.is_loopback() || ip.is_unspecified() => app.reachable_host(),
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        None if named.host == "localhost" => app.reachable_host(),
        None => named.host.clone(),
    }
}

/// How the caller named the box; the gate let nothing else pass.
fn named(request: &Request) -> Reply<Authority> {
    let named = Authority::parse(authority(request.headers(), request.uri()));
    named.ok_or_else(|| Problem::new(ErrorKind::Invalid, "the Host header names no host"))
}

/// `GET /api/v1/users`
pub(super) async fn users(State(app): State<Shared>) -> Reply {
    let users: Vec<User> = blocking(&app, |app| app.ports.access.users()).await?;
    Ok(Json(json!({ "users": users })).into_response())
}

#[derive(Deserialize)]
struct UserBody {
    name: String,
    password: String,
    role: String,
}

/// `POST /api/v1/users`
pub(super) async fn add_user(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let body: UserBody = json(request).await?;
    let (name, password) = (body.name, Secret::new(body.password));
    check_name("name", &name)?;
    check_password(password.expose())?;
    let role = Role::parse(&body.role)?;
    let caller = who.principal;
    let _turn = app.guard.hash_turn().await?;
    let user = blocking(&app, move |app| {
        let access = &app.ports.access;
        let now = app.ports.clock.utc();
        // The owner's first account takes the phone with which it is made; accounts for others do not.
        let first = role == Role::Admin && caller.username.is_none() && access.users()?.is_empty();
        access.add_user(&name, password.expose(), role, first.then_some(caller.device_id), now)?;
        tracing::info!(user = name, role = role.as_str(), by = %caller.device_id, "an account was made");
        let made = access.users()?.into_iter().find(|u| u.name == name);
        Ok(made.unwrap_or(User { name, role, created_at: now }))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(user)).into_response())
}

/// `DELETE /api/v1/users/{name}`
pub(super) async fn remove_user(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let name = name_of(&path, "account")?;
    blocking(&app, move |app| {
        app.may_leave(Leaving::Account(&name))?;
        let revoked = app.ports.access.remove_user(&name)?;
        tracing::info!(user = name, by = %who.principal.device_id, "an account was removed");
        app.devices_revoked(&revoked);
        Ok(())
    })
    .await?;
    Ok(no_content())
}

#[derive(Deserialize)]
struct PasswordBody {
    password: String,
    #[serde(default)]
    current_password: Option<String>,
}

/// `PUT /api/v1/users/{name}/password`
pub(super) async fn set_password(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let from = peer(&request)?.0;
    let caller = who.principal;
    let name = name_of(&path, "account");
    let own = name.as_ref().is_ok_and(|n| caller.username.as_ref() == Some(n));
    if !own && !caller.role.may(Permission::ManagePeople) {
        return Err(Problem::forbidden("only an administrator may set other people's passwords"));
    }
    let name = name?;
    let body: PasswordBody = json(request).await?;
    let (new, current) = (Secret::new(body.password), body.current_password.map(Secret::new));
    check_password(new.expose())?;
    if own {
        let message = "current_password is missing: it must be given to change one's own password";
        let current = current.ok_or_else(|| Problem::new(ErrorKind::Invalid, message))?;
        app.guard.take(Try::Password(&name), Prefix::of(from.ip()), app.ports.clock.mono())?;
        let _turn = app.guard.hash_turn().await?;
        let user = name.clone();
        if !blocking(&app, move |app| verify(app, &user, &current)).await? {
            tracing::warn!(address = %from.ip(), "a password change with a wrong password was tried");
            return Err(Problem::forbidden("the current password is wrong"));
        }
    }
    let _turn = app.guard.hash_turn().await?;
    blocking(&app, move |app| {
        let keep = own.then_some(caller.device_id);
        let revoked = app.ports.access.set_password(&name, new.expose(), keep)?;
        tracing::info!(user = name, by = %caller.device_id, "a password was set");
        app.devices_revoked(&revoked);
        Ok(())
    })
    .await?;
    Ok(no_content())
}

/// Whether this is the account's password: by signing in and taking the device back at once.
fn verify(app: &crate::state::App, user: &str, password: &Secret) -> Result<bool> {
    let access = &app.ports.access;
    match access.sign_in(user, password.expose(), "password check", app.ports.clock.utc())? {
        Some(credential) => access.revoke_device(credential.device_id).map(|()| true),
        None => Ok(false),
    }
}

/// `GET /api/v1/stream-passwords`
pub(super) async fn stream_passwords(State(app): State<Shared>) -> Reply {
    let list = blocking(&app, |app| app.ports.access.stream_passwords()).await?;
    Ok(Json(json!({ "stream_passwords": list })).into_response())
}

#[derive(Deserialize)]
struct StreamPasswordBody {
    name: String,
}

/// `POST /api/v1/stream-passwords`
pub(super) async fn add_stream_password(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let named = named(&request)?;
    let body: StreamPasswordBody = json(request).await?;
    check_name("name", &body.name)?;
    let name = body.name;
    let body = blocking(&app, move |app| {
        let password = app.ports.access.add_stream_password(&name, app.ports.clock.utc())?;
        tracing::info!(name, by = %who.principal.device_id, "a stream password was made");
        (app.ports.on_access_change)(AccessChange::StreamPasswordsChanged);
        let login = format!("{name}:{}@{}", password.expose(), public_host(app, &named));
        let urls: Vec<_> =
            app.ports.cameras.cameras().iter().map(|camera| stream_urls(app, &login, camera.id.as_str())).collect();
        Ok(json!({ "name": name, "password": password.expose(), "urls": urls }))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

fn stream_urls(app: &crate::state::App, login: &str, camera: &str) -> serde_json::Value {
    let plain = format!("rtsp://{login}:{}/{camera}", app.config.rtsp_port);
    let mut urls = json!({ "camera": camera, "main": plain, "sub": format!("{plain}/sub") });
    if let Some(port) = app.config.rtsps_port {
        let tls = format!("rtsps://{login}:{port}/{camera}");
        urls["sub_tls"] = format!("{tls}/sub").into();
        urls["main_tls"] = tls.into();
    }
    urls
}

/// `DELETE /api/v1/stream-passwords/{name}`
pub(super) async fn remove_stream_password(State(app): State<Shared>, who: Who, path: PathParts) -> Reply<Response> {
    let name = name_of(&path, "stream password")?;
    blocking(&app, move |app| {
        app.ports.access.remove_stream_password(&name)?;
        tracing::info!(name, by = %who.principal.device_id, "a stream password was removed");
        (app.ports.on_access_change)(AccessChange::StreamPasswordsChanged);
        Ok(())
    })
    .await?;
    Ok(no_content())
}

fn name_of(path: &PathParts, what: &str) -> Reply<String> {
    path.get("name", what, |text| check_name(what, text).map(|()| text.to_owned()))
}
