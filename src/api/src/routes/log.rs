//! The log that the box keeps, for administrators.

use crate::input::Query;
use crate::problem::Reply;
use crate::state::{Shared, blocking};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use perch_base::ids::CameraId;
use perch_domain::log::{Level, LogFilter, line_number, word};

/// `GET /api/v1/log`
pub(super) async fn page(State(app): State<Shared>, query: Query) -> Reply {
    let filter = LogFilter {
        from: query.time("from")?,
        to: query.time("to")?,
        level: Level::parse(query.word("level")?),
        camera: query.get("camera", CameraId::new)?.map(|id| id.to_string()),
        who: query.get("who", word)?,
        what: query.get("what", word)?,
        before: query.get("before", line_number)?,
        after: query.get("after", line_number)?,
        limit: query.count("limit")? as usize,
    };
    let page = blocking(&app, move |app| Ok(app.ports.log.page(&filter))).await?;
    Ok(Json(page).into_response())
}
