//! Speaking through a camera: WHIP (RFC 9725) over the port, and who speaks. A session is renewed and ended like one that watches.

use super::live::{begun, offer};
use crate::auth::Who;
use crate::input::{PathParts, Query, json as json_of};
use crate::problem::{Problem, Reply};
use crate::routes::session::no_content;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use perch_base::ErrorKind;
use perch_domain::access::{Object, Permission};
use perch_domain::ports::{TalkAnswer, TalkRequest};
use perch_domain::talk::{TalkAsker, WhenBusy};
use serde::Deserialize;
use serde_json::json;

/// `POST /api/v1/cameras/{camera}/whip`
pub(super) async fn speak(
    State(app): State<Shared>,
    who: Who,
    path: PathParts,
    query: Query,
    request: Request,
) -> Reply {
    let camera = path.camera()?;
    let when_busy = query.get("when_busy", WhenBusy::parse)?.unwrap_or_default();
    let offer = offer(request).await?;
    let may_take_over = who.may(Permission::ManageBox, Object::Box);
    let request = TalkRequest { camera, offer, who: who.principal.clone(), when_busy, may_take_over };
    let started = blocking(&app, move |app| {
        let camera = request.camera.clone();
        let answer = app.ports.live.talk(request)?;
        if let TalkAnswer::Speaks(session) = &answer
            // Revoked while the session was made: it would have escaped the ending of the device's sessions.
            && let Err(e) = who.may_still(app, Permission::Talk, Object::Camera(&camera))
        {
            app.ports.live.end(session.lease)?;
            return Err(e);
        }
        let servers = match &answer {
            TalkAnswer::Speaks(session) => app.ports.live.ice_servers(app.ports.clock.utc(), &session.lease),
            TalkAnswer::Busy(_) => Vec::new(),
        };
        Ok((answer, servers))
    });
    let (answer, servers) = started.await.map_err(|problem| match problem.kind() {
        // Well formed, but nothing the box can answer.
        ErrorKind::Invalid => problem.status(StatusCode::UNPROCESSABLE_ENTITY),
        _ => problem,
    })?;
    match answer {
        TalkAnswer::Speaks(session) => Ok(begun(&session, &servers)),
        TalkAnswer::Busy(busy) => {
            let problem = Problem::from(busy.error()).with("speaker", json!(busy.name));
            Err(match busy.place {
                Some(place) => problem.with("your_place", json!(place)),
                None => problem,
            })
        }
    }
}

/// `GET /api/v1/cameras/{camera}/talk`
pub(super) async fn floor(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let (camera, device) = (path.camera()?, who.principal.device_id);
    let floor = blocking(&app, move |app| app.ports.cameras.floor(&camera, device)).await?;
    Ok(Json(floor).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announce {
    name: String,
}

/// `POST /api/v1/cameras/{camera}/announce`
pub(super) async fn announce(State(app): State<Shared>, who: Who, path: PathParts, request: Request) -> Reply {
    let camera = path.camera()?;
    let Announce { name: what } = json_of(request).await?;
    let principal = &who.principal;
    let name = principal.username.clone().unwrap_or_else(|| principal.device_name.clone());
    let asker = TalkAsker { device: principal.device_id, name, may_take_over: false, gives_way: false };
    match blocking(&app, move |app| app.ports.cameras.announce(&camera, &what, &asker)).await? {
        None => Ok(no_content()),
        Some(busy) => Err(Problem::from(busy.error()).with("speaker", json!(busy.name))),
    }
}

/// `DELETE /api/v1/cameras/{camera}/talk`
pub(super) async fn leave(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let (camera, device) = (path.camera()?, who.principal.device_id);
    blocking(&app, move |app| app.ports.cameras.leave_queue(&camera, device)).await?;
    Ok(no_content())
}
