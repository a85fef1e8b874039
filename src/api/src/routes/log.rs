//! The log that the box keeps, for administrators.

use crate::input::Query;
use crate::problem::Reply;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use perch_base::ids::CameraId;
use perch_domain::log::{Level, LogFilter, word};

/// `GET /api/v1/log`
pub(super) async fn page(State(app): State<Shared>, query: Query) -> Reply {
    let line = |key| Ok::<_, crate::problem::Problem>(query.number(key)?.map(u64::from));
    let filter = LogFilter {
        from: query.time("from")?,
        to: query.time("to")?,
        level: Level::parse(query.word("level")?),
        camera: query.get("camera", CameraId::new)?.map(|id| id.to_string()),
        who: query.get("who", word)?,
        what: query.get("what", word)?,
        before: line("before")?,
        after: line("after")?,
        limit: query.count("limit")? as usize,
    };
    let page = blocking(&app, move |app| Ok(app.ports.log.page(&filter))).await?;
    Ok(Json(page).into_response())
}
