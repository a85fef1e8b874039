//! Version and update: what runs, the upload of a bundle, and its installation. What is taken and why not is the port's to say.

use crate::auth::Who;
use crate::input::{expect_type, json};
use crate::problem::{Problem, Reply};
use crate::revoke::Watch;
use crate::state::{OnDisk, Shared, blocking};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use bytes::BytesMut;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use perch_base::ErrorKind;
use perch_base::clock::{SharedClock, within};
use perch_domain::access::{Object, Permission};
use perch_domain::update::{UpdateSource, UpdateState, Upload};
use perch_domain::update_attempt::INTERRUPTED;
use serde::Deserialize;
use std::time::Duration;

/// How long a client may be silent in the middle of an upload.
const SILENT: Duration = Duration::from_secs(30);
/// Bytes that are collected for one write to the card.
const PIECE_BYTES: usize = 512 * 1024;

/// `GET /api/v1/update`
pub(super) async fn state(State(app): State<Shared>, who: Who) -> Reply {
    Ok(Json(current(&app, &who).await?).into_response())
}

async fn current(app: &Shared, who: &Who) -> Reply<UpdateState> {
    let state = blocking(app, |app| Ok(app.ports.update.state())).await?;
    Ok(if who.may(Permission::ManageBox, Object::Box) { state } else { state.for_viewer() })
}

/// `POST /api/v1/update`
pub(super) async fn upload(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    expect_type(request.headers(), "application/octet-stream", None)?;
    let bytes = length(request.headers())?;
    let upload = blocking(&app, move |app| app.ports.update.receive(bytes)).await?;
    tracing::info!(bytes, by = who.principal.name(), "an update is being uploaded");
    let revoked = app.revocations.watch(who.principal.device_id);
    let upload = receive(&app.ports.clock, revoked, OnDisk::new("an upload", upload), request.into_body()).await?;
    // It took a while: whoever lost the right to do this meanwhile, and was not cut off, has not done it.
    let asking = who.clone();
    let still = blocking(&app, move |app| asking.may_still(app, Permission::ManageBox, Object::Box)).await;
    still.map_err(|problem| match problem.kind() {
        ErrorKind::Forbidden => Problem::unauthenticated(),
        _ => problem,
    })?;
    let bundle = upload.finish(|upload| upload.finish()).await?;
    tracing::info!(version = bundle.version, by = who.principal.name(), "an update was uploaded and checked");
    Ok((StatusCode::CREATED, Json(bundle)).into_response())
}

fn length(headers: &HeaderMap) -> Reply<u64> {
    let given = headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse().ok());
    given.ok_or_else(|| {
        let message = "Content-Length is missing: the box must know how much comes before it comes";
        Problem::new(ErrorKind::Invalid, message).status(StatusCode::LENGTH_REQUIRED)
    })
}

/// Takes the body piece by piece, for as long as its sender is trusted; the card is written on a blocking thread.
async fn receive(
    clock: &SharedClock,
    mut revoked: Watch,
    mut upload: OnDisk<Box<dyn Upload>>,
    mut body: Body,
) -> Reply<OnDisk<Box<dyn Upload>>> {
    let mut piece = BytesMut::with_capacity(PIECE_BYTES);
    loop {
        let frame = tokio::select! {
            biased;
            () = revoked.revoked() => return Err(Problem::unauthenticated()),
            frame = within(clock, SILENT, body.frame()) => frame,
        };
        let frame = match frame {
            Some(frame) => frame,
            None => {
                let message = "the upload stood still for too long: try again";
                return Err(Problem::new(ErrorKind::Invalid, message).status(StatusCode::REQUEST_TIMEOUT));
            }
        };
        let is_end = frame.is_none();
        match frame {
            None => {}
            Some(Ok(frame)) => piece.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default()),
            Some(Err(_)) => return Err(Problem::new(ErrorKind::Invalid, INTERRUPTED)),
        }
        if piece.len() >= PIECE_BYTES || is_end {
            let full = piece.split();
            let (written, same) = upload.work(move |upload| upload.write(&full)).await?;
            written?;
            upload = same;
            piece.reserve(PIECE_BYTES);
        }
        if is_end {
            return Ok(upload);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstallBody {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    force: bool,
}

/// `POST /api/v1/update/install`
pub(super) async fn install(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    let body: InstallBody = json(request).await?;
    let by = who.name();
    blocking(&app, move |app| {
        let source = body.url.map_or(UpdateSource::Upload, UpdateSource::Url);
        app.ports.update.install(source, body.force)?;
        tracing::info!(%by, "an update is being installed");
        Ok(())
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(current(&app, &who).await?)).into_response())
}
