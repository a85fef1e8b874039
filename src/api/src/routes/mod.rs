//! The one route table. The router, the gate in front of each handler and the OpenAPI document are made from it.

mod cameras;
mod events;
mod live;
mod metrics;
mod people;
mod playback;
mod session;
mod system;
mod update;

use crate::auth::{authenticate, gate, outer};
use crate::input::MAX_BODY;
use crate::problem::Problem;
use crate::state::Shared;
use crate::ui;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use http::{Method, StatusCode};
use perch_base::ErrorKind;
use perch_domain::access::Permission::{self, Keep, LookBack, ManageBox, ManagePeople, Own, Public, ReadStatus, Watch};
use perch_domain::update::MAX_BUNDLE;

/// One route: what it answers to, what it needs, and its handler.
pub struct Route {
    /// The method; GET also answers HEAD.
    pub method: Method,
    /// The path, with `{parts}`.
    pub path: &'static str,
    /// What the caller must hold.
    pub permission: Permission,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// The largest body it takes, bytes.
    pub max_body: u64,
    handler: fn() -> MethodRouter<Shared>,
}

const fn route(
    method: Method,
    path: &'static str,
    permission: Permission,
    summary: &'static str,
    handler: fn() -> MethodRouter<Shared>,
) -> Route {
    Route { method, path, permission, summary, max_body: MAX_BODY as u64, handler }
}

/// The same with a larger body, which its handler reads piece by piece.
const fn upload(
    max_body: u64,
    method: Method,
    path: &'static str,
    permission: Permission,
    summary: &'static str,
    handler: fn() -> MethodRouter<Shared>,
) -> Route {
    Route { method, path, permission, summary, max_body, handler }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Everything the box answers over HTTPS besides the files of the web UI (which are public and hold nothing secret).
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route(POST, "/api/v1/pair", Public, "Pair a device with a one-time password", || post(session::pair)),
    route(POST, "/api/v1/session", Public, "Sign in with name and password", || post(session::sign_in)),
    route(DELETE, "/api/v1/session", Own, "Sign this device out for good", || delete(session::sign_out)),
    route(GET, "/api/v1/me", Own, "Who am I, and which box is this", || get(session::me)),
    route(GET, "/api/v1/devices", Own, "Trusted devices", || get(people::devices)),
    route(DELETE, "/api/v1/devices/{device}", Own, "Revoke a device; its live streams end at once", || delete(people::revoke)),
    route(POST, "/api/v1/pairing-codes", ManagePeople, "Make a one-time password", || post(people::issue_code)),
    route(GET, "/api/v1/users", ManagePeople, "Accounts", || get(people::users)),
    route(POST, "/api/v1/users", ManagePeople, "Make an account", || post(people::add_user)),
    route(PATCH, "/api/v1/users/{name}", ManagePeople, "Change an account's role and cameras; what its devices have open ends", || patch(people::change_user)),
    route(DELETE, "/api/v1/users/{name}", ManagePeople, "Remove an account and its devices", || delete(people::remove_user)),
    route(PUT, "/api/v1/users/{name}/password", Own, "Set one's own password, or as administrator anybody's", || put(people::set_password)),
    route(GET, "/api/v1/stream-passwords", ManagePeople, "Passwords for RTSP players", || get(people::stream_passwords)),
    route(POST, "/api/v1/stream-passwords", ManagePeople, "Make a password for RTSP players, shown once", || post(people::add_stream_password)),
    route(DELETE, "/api/v1/stream-passwords/{name}", ManagePeople, "Remove one and close its readers", || delete(people::remove_stream_password)),
    route(GET, "/api/v1/cameras", Watch, "All cameras", || get(cameras::list)),
    route(GET, "/api/v1/cameras/{camera}", Watch, "One camera", || get(cameras::one)),
    route(GET, "/api/v1/cameras/{camera}/snapshot.jpg", Watch, "A still, now or as recorded", || get(cameras::snapshot)),
    route(POST, "/api/v1/cameras/{camera}/whep", Watch, "Watch live (WHEP): offer in, answer out", || post(live::watch)),
    route(GET, "/api/v1/ice-servers", Watch, "STUN and TURN servers for one's own ICE agent", || get(live::ice_servers)),
    route(GET, "/api/v1/live", Own, "Who is watching", || get(live::sessions)),
    route(PATCH, "/api/v1/live/{lease}", Watch, "Trickle ICE and ICE restart", || patch(live::trickle)),
    route(POST, "/api/v1/live/{lease}/keepalive", Watch, "Renew a lease", || post(live::keepalive)),
    route(DELETE, "/api/v1/live/{lease}", Watch, "End a live session", || delete(live::end)),
    route(GET, "/api/v1/events", LookBack, "Events, newest first", || get(events::page)),
    route(GET, "/api/v1/events/stream", LookBack, "News as server-sent events", || get(events::stream)),
    route(GET, "/api/v1/events/{event}", LookBack, "One event", || get(events::one)),
    route(GET, "/api/v1/events/{event}/thumbnail.jpg", LookBack, "An event's still", || get(events::thumbnail)),
    route(PUT, "/api/v1/events/{event}/pin", Keep, "Keep an event for ever", || put(events::pin)),
    route(DELETE, "/api/v1/events/{event}/pin", Keep, "Let an event go with the others", || delete(events::unpin)),
    route(GET, "/api/v1/cameras/{camera}/timeline", LookBack, "What is recorded, and why not", || get(cameras::timeline)),
    route(GET, "/api/v1/cameras/{camera}/playback.m3u8", LookBack, "A range as HLS", || get(playback::playlist)),
    route(GET, "/api/v1/cameras/{camera}/export.mp4", LookBack, "A range as one MP4", || get(playback::export)),
    route(GET, "/api/v1/cameras/{camera}/segments/{file}", LookBack, "A recorded file, `{segment}.mp4`, by ranges", || get(playback::segment)),
    route(GET, "/api/v1/status", ReadStatus, "The whole box", || get(system::status)),
    route(GET, "/api/v1/update", ReadStatus, "Version, and how an update goes", || get(update::state)),
    upload(MAX_BUNDLE, POST, "/api/v1/update", ManageBox, "Upload an update; it is checked and kept for its installation", || post(update::upload)),
    route(POST, "/api/v1/update/install", ManageBox, "Install the uploaded update, or one from an address; the box restarts", || post(update::install)),
    route(GET, "/api/v1/ca.pem", Own, "The box's certificate authority", || get(system::ca)),
    route(GET, "/api/openapi.json", Own, "This document", || get(system::openapi)),
    route(GET, "/metrics", ReadStatus, "Figures for Prometheus", || get(system::metrics)),
    route(GET, "/healthz", Public, "Whether the box answers", || get(system::healthz)),
];

/// The router: every entry of the table behind its gate, and refusals for everything else.
pub(crate) fn router(app: Shared) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let gate = from_fn_with_state((Shared::clone(&app), route), gate);
        router = router.route(route.path, (route.handler)().route_layer(gate));
    }
    router
        .method_not_allowed_fallback(wrong_method)
        .fallback(elsewhere)
        .layer(from_fn(catch_panic))
        .layer(from_fn_with_state(Shared::clone(&app), outer))
        .with_state(app)
}

/// A path of the table with a method that it does not have. Strangers learn only that they are strangers.
async fn wrong_method(State(app): State<Shared>, mut request: Request) -> Response {
    if let Err(problem) = authenticate(&app, &mut request).await {
        return problem.into_response();
    }
    let message = format!("{} is not possible here", request.method());
    Problem::new(ErrorKind::Invalid, message).status(StatusCode::METHOD_NOT_ALLOWED).into_response()
}

/// Anything not in the table: files of the web UI, or nothing.
async fn elsewhere(State(app): State<Shared>, mut request: Request) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return match authenticate(&app, &mut request).await {
            Ok(_) => Problem::not_found("page").into_response(),
            Err(problem) => problem.into_response(),
        };
    }
    ui::serve(&app, &request.into_parts().0).await.into_response()
}

/// A panic in a handler is a mistake of ours; it costs that one request an error and nobody else anything.
async fn catch_panic(request: Request, next: axum::middleware::Next) -> Response {
    use futures_util::FutureExt;
    let answer = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| Problem::new(ErrorKind::Internal, "a handler panicked").into_response())
}
