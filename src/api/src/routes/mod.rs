//! The router: the routes of the table, each behind its gate, and refusals for everything else.

mod announcements;
mod backup;
mod cameras;
mod copies;
mod cut_off;
mod events;
mod live;
mod log;
mod machine;
mod metrics;
mod modes;
mod people;
mod playback;
mod probe;
mod push_range;
mod recordings;
mod session;
mod settings;
mod system;
mod table;
mod talk;
mod update;
mod web_live;

pub use table::ROUTES;

use crate::auth::{authenticate, gate, outer};
use crate::problem::Problem;
use crate::state::Shared;
use crate::ui;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use perch_base::ErrorKind;

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
        .layer(from_fn_with_state((Shared::clone(&app), ROUTES), outer))
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
