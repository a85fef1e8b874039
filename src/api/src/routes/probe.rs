//! Cameras before they are the box's: they are tried out and looked for, by whoever may add them.

use crate::auth::Who;
use crate::input::{Query, json};
use crate::problem::{Problem, Reply};
use crate::state::Shared;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::{HeaderValue, header};
use perch_base::ErrorKind;
use perch_base::secret::Secret;
use perch_domain::discovery::{self, DevicePlace, StreamsWanted};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `POST /api/v1/cameras/probe`. Whoever hangs up ends it: the answer is dropped, and with it the sessions.
pub(super) async fn probe(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let camera: Map<String, Value> = json(request).await?;
    kept_by_nobody(app.ports.probe.probe(camera, who.principal.device_id).await?)
}

/// `GET /api/v1/discovery`
pub(super) async fn discover(State(app): State<Shared>, who: Who, query: Query) -> Reply {
    let addresses = query.get("addresses", discovery::addresses)?.unwrap_or_default();
    kept_by_nobody(app.ports.discovery.discover(addresses, who.principal.device_id).await?)
}

/// A device whose streams are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamsRequest {
    address: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    model: String,
}

/// The longest that is taken of each.
const MOST_BYTES: usize = 256;

/// `POST /api/v1/discovery/streams`
pub(super) async fn streams(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let StreamsRequest { address, username, password, model } = json(request).await?;
    for (key, text) in [("username", &username), ("password", &password), ("model", &model)] {
        if text.len() > MOST_BYTES || text.chars().any(char::is_control) {
            return Err(Problem::new(
                ErrorKind::Invalid,
                format!("`{key}`: must be a text of at most {MOST_BYTES} bytes"),
            ));
        }
    }
    let place = DevicePlace::parse(&address)
        .map_err(|e| Problem::new(ErrorKind::Invalid, format!("`address`: {}", e.message())))?;
    let wanted = StreamsWanted { place, user: username, password: Secret::new(password), words: model };
    kept_by_nobody(app.ports.discovery.streams(wanted, who.principal.device_id).await?)
}

fn kept_by_nobody(found: impl Serialize) -> Reply {
    let mut answer = Json(found).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
