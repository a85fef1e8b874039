//! Cutting viewers off for a while, and letting them in again. What that means is `perch_domain::cut_off`'s.

use super::people::stream_password_of;
use crate::auth::Who;
use crate::config::AccessChange;
use crate::input::PathParts;
use crate::problem::{Problem, Reply};
use crate::routes::session::no_content;
use crate::state::{AppState, Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use perch_base::ids::DeviceId;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{Object, Permission};
use perch_domain::cut_off::{CutOff, Viewer};
use serde::Serialize;

/// Somebody who is cut off, as managers see it.
#[derive(Serialize)]
pub(super) struct Listed {
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_password: Option<String>,
    #[serde(flatten)]
    cut_off: CutOff,
}

/// All who are cut off now; a device that is gone meanwhile is left out.
pub(super) fn everybody(app: &AppState) -> Result<Vec<Listed>> {
    let all = lock(&app.ports.cut_offs).all(app.moment());
    let devices = if all.is_empty() { vec![] } else { app.ports.access.devices()? };
    let listed = |(who, cut_off): (Viewer, CutOff)| match who {
        Viewer::Device(id) => devices.iter().find(|d| d.id == id).map(|d| Listed {
            device_id: Some(id),
            device_name: Some(d.name.clone()),
            username: d.username.clone(),
            stream_password: None,
            cut_off,
        }),
        Viewer::Reader(name) => {
            Some(Listed { device_id: None, device_name: None, username: None, stream_password: Some(name), cut_off })
        }
    };
    Ok(all.into_iter().filter_map(listed).collect())
}

fn device_of(path: &PathParts) -> Reply<DeviceId> {
    path.get("device", "device", DeviceId::parse)
}

/// `PUT /api/v1/devices/{device}/cut-off`
pub(super) async fn device(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let id = device_of(&path)?;
    if who.may(Permission::Own, Object::Device(id)) {
        let message = "this is the device that asks: whoever looks after the box is not cut off by its own hand";
        return Err(Problem::new(ErrorKind::Invalid, message));
    }
    let cut_off = blocking(&app, move |app| {
        let device = app.ports.access.devices()?.into_iter().find(|d| d.id == id);
        let device = device.ok_or_else(|| Error::not_found("there is no such device"))?;
        who.may_still(app, Permission::ManagePeople, Object::Device(id))?;
        let (viewer, by, now) = (Viewer::Device(id), who.principal.name(), app.moment());
        // First it gets nothing new, then what it has ends.
        let cut_off = lock(&app.ports.cut_offs).cut(viewer, device.username.as_deref(), by, now);
        tracing::info!(device = %id, by = who.principal.name(), "a device was cut off from pictures for a while");
        app.cut_off(&[id])?;
        Ok(cut_off)
    })
    .await?;
    Ok(Json(cut_off).into_response())
}

/// `DELETE /api/v1/devices/{device}/cut-off`
pub(super) async fn let_device_in(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let id = device_of(&path)?;
    let_in(&app, &Viewer::Device(id))?;
    tracing::info!(device = %id, by = who.principal.name(), "a device was let in again");
    Ok(no_content())
}

/// `PUT /api/v1/stream-passwords/{name}/cut-off`
pub(super) async fn readers(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let name = stream_password_of(&path)?;
    let cut_off = blocking(&app, move |app| {
        let all = app.ports.access.stream_passwords()?;
        // As it is written where it was made.
        let found = all.into_iter().find(|p| p.name.eq_ignore_ascii_case(&name)).map(|p| p.name);
        let name = found.ok_or_else(|| Error::not_found(format!("there is no stream password {name}")))?;
        who.may_still(app, Permission::ManagePeople, Object::Box)?;
        let (by, now) = (who.principal.name(), app.moment());
        let cut_off = lock(&app.ports.cut_offs).cut(Viewer::Reader(name.clone()), None, by, now);
        tracing::info!(name, by = who.principal.name(), "the readers of a stream password were cut off for a while");
        app.access_changed(AccessChange::StreamPasswordsChanged)?;
        Ok(cut_off)
    })
    .await?;
    Ok(Json(cut_off).into_response())
}

/// `DELETE /api/v1/stream-passwords/{name}/cut-off`
pub(super) async fn let_readers_in(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let name = stream_password_of(&path)?;
    let_in(&app, &Viewer::Reader(name.clone()))?;
    tracing::info!(name, by = who.principal.name(), "the readers of a stream password were let in again");
    blocking(&app, |app| app.access_changed(AccessChange::StreamPasswordsChanged)).await?;
    Ok(no_content())
}

fn let_in(app: &Shared, viewer: &Viewer) -> Reply<()> {
    match lock(&app.ports.cut_offs).let_in(viewer, app.ports.clock.mono()) {
        true => Ok(()),
        false => Err(Problem::new(ErrorKind::NotFound, "it is not cut off, or is not any more")),
    }
}
