//! Watching live: WHEP (draft-ietf-wish-whep) over the port, leases, and who is watching. Speaking is in [`super::talk`].

use crate::auth::Who;
use crate::headers::etag;
use crate::input::{PathParts, Query, json, text};
use crate::problem::{Problem, Reply};
use crate::routes::cameras::seen_by;
use crate::routes::cut_off;
use crate::routes::session::no_content;
use crate::state::{AppState, Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use perch_base::ids::{DeviceId, LeaseId};
use perch_base::{Error, ErrorKind};
use perch_domain::access::{Object, Permission};
use perch_domain::doctor::{HttpsFacts, diagnose};
use perch_domain::ports::{IceServer, WatchAnswer, WatchRequest};
use perch_domain::rate::DataBudget;
use perch_domain::status::CameraInfo;
use perch_domain::stream_choice::StreamChoice;
use serde::Deserialize;
use serde_json::json as object;
use std::net::SocketAddr;

pub(super) const SDP: &str = "application/sdp";
pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// `POST /api/v1/cameras/{camera}/whep`
pub(super) async fn watch(
    State(app): State<Shared>,
    who: Who,
    path: PathParts,
    query: Query,
    request: Request,
) -> Reply {
    let camera = path.camera()?;
    let stream = query.get("stream", StreamChoice::parse)?.unwrap_or_default();
    let budget = query.get("budget_mb_per_hour", DataBudget::parse)?;
    let sound_only = query.word("picture")? == "false";
    let offer = offer(request).await?;
    let request = WatchRequest { camera, stream, budget, sound_only, offer, viewer: who.principal.clone() };
    let started = blocking(&app, move |app| {
        let camera = request.camera.clone();
        has_picture(seen_by(app, &who.principal).into_iter().find(|c| c.id == camera))?;
        // One that was switched off this very moment is not there any more for the engine.
        let gone = |e: Error| {
            let now = seen_by(app, &who.principal).into_iter().find(|c| c.id == camera);
            if e.kind() == ErrorKind::NotFound { has_picture(now).err().unwrap_or(e) } else { e }
        };
        let answer = app.ports.live.watch(request).map_err(gone)?;
        // Revoked while the session was made: it would have escaped the ending of the device's sessions.
        if let Err(e) = who.may_still(app, Permission::Watch, Object::Camera(&camera)) {
            app.ports.live.end(answer.lease)?;
            return Err(e);
        }
        let servers = app.ports.live.ice_servers(app.ports.clock.utc(), &answer.lease);
        Ok((answer, servers))
    });
    let (answer, servers) = started.await.map_err(|problem| match problem.kind() {
        // Well formed, but nothing the box can answer.
        ErrorKind::Invalid => problem.status(StatusCode::UNPROCESSABLE_ENTITY),
        _ => problem,
    })?;
    Ok(begun(&answer, &servers))
}

/// The answer to an offer: where the session is, and the ICE servers.
pub(super) fn begun(answer: &WatchAnswer, servers: &[IceServer]) -> Response {
    let mut headers = HeaderMap::new();
    let mut put = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.append(name, value);
        }
    };
    put(header::LOCATION, &format!("/api/v1/live/{}", answer.lease));
    // The entity tag of the ICE session, as WHEP asks for it.
    put(header::ETAG, &etag(answer.sdp.as_bytes()));
    put(header::CONTENT_TYPE, SDP);
    put(header::HeaderName::from_static("accept-patch"), FRAGMENT);
    for server in servers {
        put(header::LINK, &link(server));
    }
    (StatusCode::CREATED, headers, answer.sdp.clone()).into_response()
}

/// The SDP offer in a body.
pub(super) async fn offer(request: Request) -> Reply<String> {
    let offer = text(request).await?;
    match offer.trim_start().starts_with("v=0") {
        true => Ok(offer),
        false => Err(Problem::new(ErrorKind::Invalid, "the body is not an SDP offer: it must begin with `v=0`")),
    }
}

/// Refuses with the reason where no picture can come before somebody acts. A camera that starts again is waited for.
fn has_picture(camera: Option<CameraInfo>) -> perch_base::Result<()> {
    match camera.filter(|c| c.health.state.is_hopeless()) {
        Some(c) => Err(Error::new(ErrorKind::Unavailable, c.no_picture())),
        None => Ok(()),
    }
}

/// One `Link` header of an ICE server.
fn link(server: &IceServer) -> String {
    let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut out = format!("<{}>; rel=\"ice-server\"", server.url);
    if let Some((user, secret)) = &server.credential {
        let (user, secret) = (quote(user), quote(secret.expose()));
        out.push_str(&format!("; username=\"{user}\"; credential=\"{secret}\"; credential-type=\"password\""));
    }
    out
}

/// `GET /api/v1/ice-servers`
pub(super) async fn ice_servers(State(app): State<Shared>, who: Who) -> Reply {
    let device = who.principal.device_id;
    let servers = blocking(&app, move |app| Ok(app.ports.live.ice_servers(app.ports.clock.utc(), &device))).await?;
    let list: Vec<_> = servers
        .iter()
        .map(|s| match &s.credential {
            Some((user, secret)) => object!({ "urls": [s.url], "username": user, "credential": secret.expose() }),
            None => object!({ "urls": [s.url] }),
        })
        .collect();
    Ok(Json(object!({ "ice_servers": list })).into_response())
}

/// `GET /api/v1/doctor/live`. Whoever hangs up ends it.
pub(super) async fn examine(State(app): State<Shared>) -> Reply {
    let ports = &app.ports;
    let pictures = async { Ok(ports.web_live.examine().await) };
    let (facts, tried) = tokio::try_join!(ports.live.examine(), pictures)?;
    let listen = SocketAddr::new(app.config.http.listen.ip(), app.port);
    Ok(Json(diagnose(&facts, &HttpsFacts { listen, tried })).into_response())
}

/// `GET /api/v1/live`
pub(super) async fn sessions(State(app): State<Shared>, who: Who) -> Reply {
    let mut sessions = blocking(&app, |app| app.ports.live.sessions()).await?;
    sessions.retain(|s| who.principal.may_end_live(s.device_id));
    let mut over_https = app.ports.web_live.who_watches();
    over_https.retain(|viewer| who.principal.may_end_live(viewer.device_id));
    let mut body = object!({ "sessions": sessions, "over_https": over_https });
    // Who else watches, and who may not for now, is for whoever can do something about it.
    if who.may(Permission::ManagePeople, Object::Box) {
        let (readers, cut_off) =
            blocking(&app, |app| Ok((app.ports.readers.who_reads(), cut_off::everybody(app)?))).await?;
        body["readers"] = object!(readers);
        body["cut_off"] = object!(cut_off);
    }
    Ok(Json(body).into_response())
}

/// `PATCH /api/v1/live/{lease}`
pub(super) async fn trickle(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let lease = lease_of(&path)?;
    let fragment = text(request).await?;
    let answer = blocking(&app, move |app| {
        of_device(app, lease, |device| who.may(Permission::Own, Object::Device(device)))?;
        app.ports.live.trickle(lease, &fragment)
    });
    Ok(match answer.await? {
        Some(answer) => {
            let headers = [(header::CONTENT_TYPE, FRAGMENT.to_owned()), (header::ETAG, etag(answer.as_bytes()))];
            (headers, answer).into_response()
        }
        None => no_content(),
    })
}

/// `POST /api/v1/live/{lease}/keepalive`
pub(super) async fn keepalive(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let lease = lease_of(&path)?;
    blocking(&app, move |app| {
        of_device(app, lease, |device| who.may(Permission::Own, Object::Device(device)))?;
        app.ports.live.renew(lease)
    })
    .await?;
    Ok(no_content())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PictureWish {
    on: bool,
}

/// `PUT /api/v1/live/{lease}/picture`
pub(super) async fn picture(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let lease = lease_of(&path)?;
    let PictureWish { on } = json(request).await?;
    blocking(&app, move |app| {
        of_device(app, lease, |device| who.may(Permission::Own, Object::Device(device)))?;
        app.ports.live.set_sound_only(lease, !on)
    })
    .await?;
    Ok(no_content())
}

/// `DELETE /api/v1/live/{lease}`
pub(super) async fn end(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let lease = lease_of(&path)?;
    blocking(&app, move |app| {
        of_device(app, lease, |device| who.principal.may_end_live(device))?;
        app.ports.live.end(lease)
    })
    .await?;
    Ok(no_content())
}

fn lease_of(path: &PathParts) -> Reply<LeaseId> {
    path.get("lease", "live session", LeaseId::parse)
}

/// A session of a device that the caller has nothing to do with does not exist for it.
fn of_device(app: &AppState, lease: LeaseId, may: impl FnOnce(DeviceId) -> bool) -> perch_base::Result<()> {
    match app.ports.live.owner(lease)? {
        Some(device) if may(device) => Ok(()),
        _ => Err(Error::not_found("there is no such live session: it ended or lapsed")),
    }
}
