//! Live pictures over HTTPS for players and networks without WebRTC: low-latency HLS over the port, and MJPEG. Each request passes the gate; one that waits
//! ends when its device is revoked.

use crate::auth::Who;
use crate::connection::{Connection, Peer};
use crate::input::{PathParts, Query};
use crate::leash::{Leash, body, body_of, cut_off};
use crate::problem::{Problem, Reply};
use crate::state::{Shared, blocking};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header;
use perch_base::ids::CameraId;
use perch_base::{ErrorKind, Result};
use perch_domain::access::{Object, Permission};
use perch_domain::live_hls::{LiveFile, LiveView};
use perch_domain::live_window::Reload;
use perch_domain::ports::{Later, PictureFeed};
use perch_domain::stream_choice::StreamChoice;
use perch_domain::web_viewers::WebAsker;
use std::sync::Arc;
use tokio::sync::watch;

/// Where a request comes from.
type From = (Extension<Peer>, Extension<Arc<Connection>>);

/// `GET /api/v1/cameras/{camera}/live.m3u8`
pub(super) async fn playlist(State(app): State<Shared>, who: Who, from: From, path: PathParts, query: Query) -> Reply {
    let camera = path.camera()?;
    let choice = query.get("stream", StreamChoice::parse)?.unwrap_or_default();
    let sound = query.word("sound")? == "on";
    let reload = match (query.number("_HLS_msn")?, query.number("_HLS_part")?) {
        (Some(segment), part) => Some(Reload { segment: segment.into(), part }),
        (None, None) => None,
        (None, Some(_)) => {
            return Err(Problem::new(
                ErrorKind::Invalid,
                "a part is asked for without its segment: `_HLS_msn` is missing",
            ));
        }
    };
    let asked = camera.clone();
    let view = blocking(&app, move |app| app.ports.web_live.view(&asked, choice, sound)).await?;
    let (by, mut leash) = begin(&app, &who, &from);
    let made = app.ports.web_live.playlist(by, &camera, view, reload);
    let text = wait_for(&app, &who, &camera, &mut leash, made).await?;
    let length = text.len();
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.apple.mpegurl".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body(text.into(), leash)).into_response())
}

/// `GET /api/v1/cameras/{camera}/live/{view}/{file}`
pub(super) async fn file(State(app): State<Shared>, who: Who, from: From, path: PathParts) -> Reply {
    let camera = path.camera()?;
    let view = path.get("view", "stream", LiveView::parse)?;
    let file = path.get("file", "piece of a live stream", LiveFile::parse)?;
    let (by, mut leash) = begin(&app, &who, &from);
    let made = app.ports.web_live.file(by, &camera, view, file);
    let mut pieces = wait_for(&app, &who, &camera, &mut leash, made).await?;
    let length = pieces.bytes_left();
    let headers = [
        (header::CONTENT_TYPE, "video/mp4".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body_of(move || pieces.next(), leash)).into_response())
}

/// The media type of pictures that replace each other; what parts them is fixed.
pub(super) const MJPEG: &str = "multipart/x-mixed-replace";
const BOUNDARY: &str = "perch-picture";

/// `GET /api/v1/cameras/{camera}/stream.mjpeg`
pub(super) async fn pictures(State(app): State<Shared>, who: Who, from: From, path: PathParts, query: Query) -> Reply {
    let camera = path.camera()?;
    let fps = query.count("fps")?;
    let (by, mut leash) = begin(&app, &who, &from);
    let mut pictures = app.ports.web_live.pictures(by, &camera, fps)?;
    let first = wait_for(&app, &who, &camera, &mut leash, pictures.next()).await?;
    let watching = Watching { next: Some(first), began: false, pictures, leash, draining: app.draining.clone() };
    let body = Body::from_stream(futures_util::stream::unfold(watching, |mut watching| async move {
        let piece = watching.piece().await?;
        Some((piece, watching))
    }));
    let headers = [
        (header::CONTENT_TYPE, format!("{MJPEG}; boundary={BOUNDARY}")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// Somebody who watches by MJPEG.
struct Watching {
    /// Was waited for already.
    next: Option<Bytes>,
    began: bool,
    pictures: Box<dyn PictureFeed>,
    leash: Leash,
    draining: watch::Receiver<bool>,
}

impl Watching {
    /// A picture with what parts it from the next one, as browsers show it once that came. `None` ends it: the camera gives none any more, or
    /// the box ends.
    async fn piece(&mut self) -> Option<Result<Bytes>> {
        let jpeg = match self.next.take() {
            Some(first) if !self.leash.is_revoked() => first,
            Some(_) => return Some(Err(cut_off())),
            None => tokio::select! {
                biased;
                () = self.leash.revoked() => return Some(Err(cut_off())),
                _ = self.draining.wait_for(|ends| *ends) => return None,
                next = self.pictures.next() => next.ok()?,
            },
        };
        let first = if std::mem::replace(&mut self.began, true) { "" } else { "--perch-picture\r\n" };
        let head = format!("{first}Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        let tail = format!("\r\n--{BOUNDARY}\r\n");
        Some(Ok([head.as_bytes(), &jpeg, tail.as_bytes()].concat().into()))
    }
}

fn begin(app: &Shared, who: &Who, (Extension(peer), Extension(connection)): &From) -> (WebAsker, Leash) {
    let by = WebAsker { who: who.principal.clone(), remote: peer.0.to_string() };
    (by, Leash::new(app, who.principal.device_id, connection))
}

/// What is made for somebody who may see it until it is there.
async fn wait_for<T>(
    app: &Shared,
    who: &Who,
    camera: &CameraId,
    leash: &mut Leash,
    made: Later<'_, Result<T>>,
) -> Reply<T> {
    let mut draining = app.draining.clone();
    let made = tokio::select! {
        biased;
        () = leash.revoked() => None,
        _ = draining.wait_for(|ends| *ends) => {
            return Err(Problem::new(ErrorKind::Unavailable, "the box ends: ask again in a moment"));
        }
        made = made => Some(made?),
    };
    // Revoked before it was listened for: then there is none for them.
    let (who, camera) = (who.clone(), camera.clone());
    blocking(app, move |app| who.may_still(app, Permission::Watch, Object::Camera(&camera))).await?;
    made.ok_or_else(|| Problem::new(ErrorKind::Unavailable, "what this device may see has changed: ask again"))
}
