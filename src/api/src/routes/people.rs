//! Devices, pairing codes, accounts and stream passwords.

use crate::auth::{Who, authority, clear_cookie, peer};
use crate::authority::Authority;
use crate::config::{AccessChange, pairing_url};
use crate::input::{PathParts, json};
use crate::problem::{Problem, Reply};
use crate::routes::session::no_content;
use crate::state::{AppState, Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use perch_base::ids::{CameraId, DeviceId};
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{
    CameraGrant, Device, Grant, GrantChange, GrantLimits, Object, Permission, Principal, Role, User, check_expiry,
    check_name, check_password, clean_display_name, revoked,
};
use perch_domain::account_name::{is_same_account, read_account_name};
use perch_domain::cut_off::CutOff;
use perch_domain::media::Stream;
use perch_domain::rtsp_address::Player;
use perch_domain::tries::Try;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use tokio::sync::SemaphorePermit;

#[derive(Serialize)]
struct ListedDevice {
    #[serde(flatten)]
    device: Device,
    current: bool,
    live_sessions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_off: Option<CutOff>,
    /// When the code was made that it paired with; of the newest that was used alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    code_made_at: Option<Timestamp>,
}

/// `GET /api/v1/devices`
pub(super) async fn devices(State(app): State<Shared>, who: Who) -> Reply {
    let devices = blocking(&app, move |app| list_devices(app, &who.principal)).await?;
    Ok(Json(json!({ "devices": devices })).into_response())
}

/// The devices that the caller may see, newest first.
fn list_devices(app: &AppState, caller: &Principal) -> Result<Vec<ListedDevice>> {
    let mut live: HashMap<DeviceId, usize> = HashMap::new();
    match app.ports.live.sessions() {
        Ok(sessions) => sessions.iter().for_each(|s| *live.entry(s.device_id).or_default() += 1),
        // Whoever wants to revoke a device needs the list, now above all.
        Err(e) if app.is_news(&e) => {
            tracing::warn!(error = %e, "the devices are listed without their live sessions");
        }
        Err(_) => {}
    }
    let used = app.ports.access.used_code()?;
    let list = app.ports.access.devices()?.into_iter().filter(|d| caller.may_tend(d));
    Ok(list
        .map(|device| ListedDevice {
            current: device.id == caller.device_id,
            live_sessions: live.get(&device.id).copied().unwrap_or(0),
            cut_off: app.cut_off_of(device.id),
            code_made_at: used.filter(|used| used.device == device.id).map(|used| used.made_at),
            device,
        })
        .collect())
}

/// The device of the path, if the caller may change it. Others hear the same whether or not it exists.
async fn tended(app: &Shared, caller: &Principal, path: &PathParts) -> Reply<DeviceId> {
    let id = path.get("device", "device", DeviceId::parse);
    if caller.may(Permission::ManagePeople, Object::Box) {
        return id;
    }
    let refused = || Problem::forbidden("only an administrator may change or revoke other people's devices");
    let id = *id.as_ref().map_err(|_| refused())?;
    let asking = caller.clone();
    let own =
        blocking(app, move |app| Ok(app.ports.access.devices()?.iter().any(|d| d.id == id && asking.may_tend(d))));
    if own.await? { Ok(id) } else { Err(refused()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceBody {
    name: String,
}

/// `PATCH /api/v1/devices/{device}`
pub(super) async fn rename(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let id = tended(&app, &who.principal, &path).await?;
    let body: DeviceBody = json(request).await?;
    let name = clean_display_name("name", &body.name)?;
    let renamed = blocking(&app, move |app| {
        app.ports.access.acting(&who.principal).rename_device(id, &name)?;
        tracing::info!(device = name, by = who.principal.name(), "a device was renamed");
        list_devices(app, &who.principal)?.into_iter().find(|d| d.device.id == id).ok_or_else(revoked)
    });
    Ok(Json(renamed.await?).into_response())
}

/// `DELETE /api/v1/devices/{device}`
pub(super) async fn revoke(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let caller = who.principal;
    let id = tended(&app, &caller, &path).await?;
    let asking = caller.clone();
    blocking(&app, move |app| {
        let device = app.ports.access.devices()?.into_iter().find(|d| d.id == id).map(|d| d.name);
        app.ports.access.acting(&asking).revoke_device(id)?;
        tracing::info!(device, by = asking.name(), "a device was revoked");
        app.cut_off(&[id])
    })
    .await?;
    if caller.may(Permission::Own, Object::Device(id)) {
        return Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, clear_cookie()?)]).into_response());
    }
    Ok(no_content())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    role: String,
    #[serde(default)]
    cameras: Option<Vec<String>>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    live_only: bool,
}

/// What a body says of a grant.
struct Asked {
    role: Role,
    cameras: Option<Vec<String>>,
    expires_at: Option<String>,
    live_only: bool,
}

impl Asked {
    /// The grant that is asked for. Errors with `Invalid`.
    fn grant(&self, app: &AppState) -> Result<Grant> {
        let expires_at = self.expires_at.as_deref().map(expiry).transpose()?;
        check_expiry(expires_at, app.ports.clock.utc())?;
        let limits = GrantLimits { expires_at, live_only: self.live_only };
        Grant::new(self.role, cameras_of(app, self.cameras.as_deref())?)?.within(limits)
    }
}

fn expiry(text: &str) -> Result<Timestamp> {
    Timestamp::parse(text).map_err(|e| Error::invalid(format!("expires_at: {}", e.message())))
}

/// The cameras that a body names, each of which there must be; none named is all.
fn cameras_of(app: &AppState, list: Option<&[String]>) -> Result<CameraGrant> {
    let known: Vec<_> = app.ports.cameras.cameras().into_iter().map(|c| c.id).collect();
    CameraGrant::parse(list, &known)
}

/// `POST /api/v1/pairing-codes`
pub(super) async fn issue_code(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let named = named(&request)?;
    let body: CodeBody = json(request).await?;
    let role = Role::parse(&body.role)?;
    let port = named.port;
    let caller = who.principal.clone();
    let (code, host) = blocking(&app, move |app| {
        let CodeBody { cameras, expires_at, live_only, .. } = body;
        let grant = Asked { role, cameras, expires_at, live_only }.grant(app)?;
        let access = app.ports.access.acting(&caller);
        Ok((access.issue_code(&grant, app.ports.clock.utc())?, app.invites_to(&named)))
    })
    .await?;
    tracing::info!(by = who.principal.name(), role = role.as_str(), "a pairing code was made");
    let url = pairing_url(&format!("https://{host}:{port}"), code.otp.expose(), app.ports.identity.ca_sha256());
    let qr = QrCode::new(url.as_bytes())
        .map_err(|e| Error::internal("the QR code cannot be drawn").with_source(e))?
        .render::<svg::Color<'_>>()
        .min_dimensions(240, 240)
        .build();
    let body = json!({ "otp": code.otp.expose(), "made_at": code.made_at, "expires_at": code.expires_at, "url": url, "qr_svg": qr });
    Ok((StatusCode::CREATED, Json(body)).into_response())
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
#[serde(deny_unknown_fields)]
struct UserBody {
    name: String,
    password: String,
    role: String,
    #[serde(default)]
    cameras: Option<Vec<String>>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    live_only: bool,
}

/// `POST /api/v1/users`
pub(super) async fn add_user(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let body: UserBody = json(request).await?;
    let (name, password) = (read_account_name("name", &body.name)?, Secret::new(body.password));
    check_password(password.expose())?;
    let role = Role::parse(&body.role)?;
    let asked = Asked { role, cameras: body.cameras, expires_at: body.expires_at, live_only: body.live_only };
    let grant = blocking(&app, move |app| asked.grant(app)).await?;
    let _turn = hash_turn(&app, &who).await?;
    let caller = who.principal;
    let user = blocking(&app, move |app| {
        let access = app.ports.access.acting(&caller);
        let now = app.ports.clock.utc();
        access.add_user(&name, password.expose(), &grant, Some(caller.device_id), now)?;
        tracing::info!(user = name, role = role.as_str(), by = caller.name(), "an account was made");
        let made = access.users()?.into_iter().find(|u| u.name == name);
        let (cameras, limits) = (grant.cameras().clone(), grant.limits());
        Ok(made.unwrap_or(User { name, role, cameras, limits, created_at: now }))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(user)).into_response())
}

/// A turn to hash a password. It is waited for: whoever lost access meanwhile gets none.
pub(super) async fn hash_turn<'a>(app: &'a Shared, who: &Who) -> Reply<SemaphorePermit<'a>> {
    let turn = app.guard.hash_turn(&app.ports.clock).await?;
    let who = who.clone();
    blocking(app, move |app| who.may_still(app, Permission::Own, Object::Box)).await?;
    Ok(turn)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    #[serde(default)]
    role: Option<String>,
    /// Absent: as they are; null: all.
    #[serde(default, deserialize_with = "given")]
    cameras: Option<Option<Vec<String>>>,
    /// Absent: as it is; null: never.
    #[serde(default, deserialize_with = "given")]
    expires_at: Option<Option<String>>,
    #[serde(default)]
    live_only: Option<bool>,
}

/// Tells a member that is null from one that is absent.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// `PATCH /api/v1/users/{name}`
pub(super) async fn change_user(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let name = account_of(&path)?;
    let body: ChangeBody = json(request).await?;
    let role = body.role.as_deref().map(Role::parse).transpose()?;
    let user = blocking(&app, move |app| {
        let find = |name: &str| Ok(app.ports.access.users()?.into_iter().find(|u| is_same_account(&u.name, name)));
        let none = || Error::not_found("there is no such account");
        let cameras = body.cameras.map(|list| cameras_of(app, list.as_deref())).transpose()?;
        let expires_at = body.expires_at.map(|end| end.as_deref().map(expiry).transpose()).transpose()?;
        check_expiry(expires_at.flatten(), app.ports.clock.utc())?;
        let change = GrantChange { role, cameras, expires_at, live_only: body.live_only };
        let changed = app.ports.access.acting(&who.principal).set_grant(&name, &change)?;
        let role = role.map(Role::as_str);
        tracing::info!(user = name, role, by = who.principal.name(), "what an account may do was changed");
        app.cut_off(&changed)?;
        find(&name)?.ok_or_else(none)
    })
    .await?;
    Ok(Json(user).into_response())
}

/// `DELETE /api/v1/users/{name}`
pub(super) async fn remove_user(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let name = account_of(&path)?;
    blocking(&app, move |app| {
        let revoked = app.ports.access.acting(&who.principal).remove_user(&name)?;
        tracing::info!(user = name, by = who.principal.name(), "an account was removed");
        app.cut_off(&revoked)
    })
    .await?;
    Ok(no_content())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    password: String,
    #[serde(default)]
    current_password: Option<String>,
}

/// `PUT /api/v1/users/{name}/password`
pub(super) async fn set_password(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let from = peer(&request)?.0;
    let caller = who.principal.clone();
    let name = account_of(&path);
    let own = name.as_ref().is_ok_and(|n| caller.may(Permission::Own, Object::Account(n)));
    if !own && !caller.may(Permission::ManagePeople, Object::Box) {
        return Err(Problem::forbidden("only an administrator may set other people's passwords"));
    }
    let name = name?;
    let body: PasswordBody = json(request).await?;
    let (new, current) = (Secret::new(body.password), body.current_password.map(Secret::new));
    check_password(new.expose())?;
    if own {
        let message = "current_password is missing: it must be given to change one's own password";
        let current = current.ok_or_else(|| Problem::new(ErrorKind::Invalid, message))?;
        app.guard.take(Try::Password(&name), from.ip(), app.ports.clock.mono())?;
        let _turn = hash_turn(&app, &who).await?;
        let user = name.clone();
        if !blocking(&app, move |app| app.ports.access.check_password(&user, current.expose())).await? {
            tracing::warn!(address = %from.ip(), "a password change with a wrong password was tried");
            return Err(Problem::forbidden("the current password is wrong"));
        }
    }
    let _turn = hash_turn(&app, &who).await?;
    blocking(&app, move |app| {
        let keep = own.then_some(caller.device_id);
        let revoked = app.ports.access.acting(&caller).set_password(&name, new.expose(), keep)?;
        tracing::info!(user = name, by = caller.name(), "a password was set");
        app.cut_off(&revoked)
    })
    .await?;
    Ok(no_content())
}

/// `GET /api/v1/stream-passwords`
pub(super) async fn stream_passwords(State(app): State<Shared>) -> Reply {
    let list = blocking(&app, |app| app.ports.access.stream_passwords()).await?;
    Ok(Json(json!({ "stream_passwords": list })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamPasswordBody {
    name: String,
    #[serde(default)]
    cameras: Option<Vec<String>>,
}

/// `POST /api/v1/stream-passwords`
pub(super) async fn add_stream_password(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let named = named(&request)?;
    let body: StreamPasswordBody = json(request).await?;
    check_name("name", &body.name)?;
    let name = body.name.clone();
    let made = blocking(&app, move |app| {
        let cameras = cameras_of(app, body.cameras.as_deref())?;
        let access = app.ports.access.acting(&who.principal);
        let password = access.add_stream_password(&name, &cameras, app.ports.clock.utc())?;
        tracing::info!(name, by = who.principal.name(), "a stream password was made");
        // Where it is not heard of at once it opens later: that is tried again.
        let _ = app.access_changed(AccessChange::StreamPasswordsChanged);
        let (host, port) = (app.public_host(&named), app.config.rtsp_port);
        let player = Player { is_tls: false, name: &name, password: password.expose(), host: &host, port };
        let all = app.ports.cameras.cameras();
        let opened = all.iter().filter(|camera| cameras.includes(&camera.id));
        let urls: Vec<_> = opened.map(|camera| stream_urls(player, app.config.rtsps_port, &camera.id)).collect();
        let mut made = json!({ "name": name, "password": password.expose(), "urls": urls });
        if !cameras.is_all() {
            made["cameras"] = json!(cameras);
        }
        Ok(made)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

fn stream_urls(player: Player<'_>, tls_port: Option<u16>, camera: &CameraId) -> serde_json::Value {
    let [main, sub] = Stream::ALL.map(|stream| player.url(camera, stream));
    let mut urls = json!({ "camera": camera, "main": main, "sub": sub });
    if let Some(port) = tls_port {
        let [main, sub] = Stream::ALL.map(|stream| Player { is_tls: true, port, ..player }.url(camera, stream));
        (urls["main_tls"], urls["sub_tls"]) = (main.into(), sub.into());
    }
    urls
}

/// `DELETE /api/v1/stream-passwords/{name}`
pub(super) async fn remove_stream_password(State(app): State<Shared>, who: Who, path: PathParts) -> Reply<Response> {
    let name = stream_password_of(&path)?;
    blocking(&app, move |app| {
        app.ports.access.acting(&who.principal).remove_stream_password(&name)?;
        tracing::info!(name, by = who.principal.name(), "a stream password was removed");
        app.access_changed(AccessChange::StreamPasswordsChanged)
    })
    .await?;
    Ok(no_content())
}

fn account_of(path: &PathParts) -> Reply<String> {
    path.get("name", "account", |text| read_account_name("name", text))
}

/// The stream password of the path.
pub(super) fn stream_password_of(path: &PathParts) -> Reply<String> {
    path.get("name", "stream password", |text| check_name("name", text).map(|()| text.to_owned()))
}
