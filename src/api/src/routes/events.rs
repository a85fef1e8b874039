//! Events: pages, single ones, stills, pins, and the stream of news.

use crate::auth::{Who, foreign, origin_matches};
use crate::headers;
use crate::input::{PathParts, Query};
use crate::problem::Reply;
use crate::revoke::Watch;
use crate::routes::session::no_content;
use crate::state::{AppState, Shared, blocking};
use crate::streams::Place;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header;
use perch_base::ids::{CameraId, EventId};
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{Object, Permission};
use perch_domain::archive::{Event, EventFilter, EventKind, check_order};
use perch_domain::status::Notice;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// How often a quiet stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Ends a stream that gives way to another: whoever still reads it and connects again (a browser does so by itself) is not to drive
/// out the next one at once.
const GIVES_WAY: &[u8] = b"retry: 30000\n\n";

/// `GET /api/v1/events`
pub(super) async fn page(State(app): State<Shared>, who: Who, query: Query) -> Reply {
    let filter = EventFilter {
        cameras: who.principal.cameras,
        camera: query.get("camera", CameraId::new)?,
        kind: query.get("kind", EventKind::parse)?,
        from: query.time("from")?,
        to: query.time("to")?,
        before: query.get("cursor", |text| {
            EventId::parse(text).map_err(|_| perch_base::Error::invalid("must be the `next_cursor` of a page"))
        })?,
        limit: query.count("limit")? as usize,
    };
    if let (Some(from), Some(to)) = (filter.from, filter.to) {
        check_order(from, to)?;
    }
    let page = blocking(&app, move |app| app.ports.archive.events(&filter)).await?;
    Ok(Json(page).into_response())
}

/// `GET /api/v1/events/{event}`
pub(super) async fn one(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let id = event_of(&path)?;
    Ok(Json(blocking(&app, move |app| seen(app, &who, Permission::LookBack, id)).await?).into_response())
}

/// `GET /api/v1/events/{event}/thumbnail.jpg`
pub(super) async fn thumbnail(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    let id = event_of(&path)?;
    let (jpeg, ended) = blocking(&app, move |app| {
        let ended = seen(app, &who, Permission::LookBack, id)?.end.is_some_and(|end| end < app.ports.clock.utc());
        Ok((app.ports.archive.thumbnail(id)?, ended))
    })
    .await?;
    // While an event goes on, a stronger picture may replace its still.
    let caching = if ended { "private, max-age=31536000, immutable" } else { "no-store" };
    Ok(headers::jpeg(jpeg, caching))
}

/// `PUT /api/v1/events/{event}/pin`
pub(super) async fn pin(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    set_pinned(app, who, path, true).await
}

/// `DELETE /api/v1/events/{event}/pin`
pub(super) async fn unpin(State(app): State<Shared>, who: Who, path: PathParts) -> Reply {
    set_pinned(app, who, path, false).await
}

async fn set_pinned(app: Shared, who: Who, path: PathParts, pinned: bool) -> Reply {
    let id = event_of(&path)?;
    blocking(&app, move |app| {
        seen(app, &who, Permission::Keep, id)?;
        app.ports.archive.set_pinned(id, pinned)
    })
    .await?;
    Ok(no_content())
}

/// The event, if the caller may do this to its camera's; else it does not exist, in the same words.
fn seen(app: &AppState, who: &Who, permission: Permission, id: EventId) -> Result<Event> {
    let none = || Error::not_found("there is no such event");
    let event = app.ports.archive.event(id).map_err(|e| if e.kind() == ErrorKind::NotFound { none() } else { e })?;
    if who.may(permission, Object::Camera(&event.camera)) { Ok(event) } else { Err(none()) }
}

fn event_of(path: &PathParts) -> Reply<EventId> {
    path.get("event", "event", EventId::parse)
}

/// `GET /api/v1/events/stream`
pub(super) async fn stream(State(app): State<Shared>, who: Who, request: Request) -> Reply {
    if origin_matches(request.headers(), request.uri()) == Some(false) {
        return Err(foreign());
    }
    let next_look = app.ports.clock.mono();
    let listener = Listener {
        place: app.streams.open(&who.principal),
        notices: app.ports.notices.subscribe(),
        revoked: app.revocations.watch(who.principal.device_id),
        draining: app.draining.clone(),
        app,
        who,
        // Revoked between the gate and the subscription: the first look finds out.
        next_look,
        began: false,
    };
    let body = Body::from_stream(futures_util::stream::unfold(listener, |mut listener| async move {
        let chunk = listener.next().await?;
        Some((Ok::<_, Infallible>(chunk), listener))
    }));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

/// One client of the event stream.
struct Listener {
    place: Place,
    app: Shared,
    who: Who,
    notices: broadcast::Receiver<Arc<Notice>>,
    revoked: Watch,
    draining: watch::Receiver<bool>,
    next_look: MonoTime,
    began: bool,
}

impl Listener {
    /// The next piece of the stream; `None` ends it: the device was revoked, the box shuts down, or the client was so slow
    /// that it missed news (it then connects again and asks for the whole state).
    async fn next(&mut self) -> Option<Bytes> {
        if self.place.is_lost() {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                () = self.revoked.revoked() => return None,
                _ = self.draining.wait_for(|ends| *ends) => return None,
                () = self.place.lost() => return Some(Bytes::from_static(GIVES_WAY)),
                () = self.app.ports.clock.sleep_until(self.next_look) => break,
                notice = self.notices.recv() => {
                    // What is not for this caller leaves no trace in the stream.
                    if let Some(notice) = notice.ok()?.seen_by(&self.who.principal) {
                        return frame(&notice);
                    }
                }
            }
        }
        self.look().await
    }

    /// Asks again whether the device is still trusted (an account may have been removed on the command line), and says that
    /// the stream lives.
    async fn look(&mut self) -> Option<Bytes> {
        let who = self.who.clone();
        let asked = blocking(&self.app, move |app| who.may_still(app, Permission::Watch, Object::Box));
        // With what it may see now.
        self.who.principal = asked.await.ok()?;
        self.next_look = self.app.ports.clock.mono() + HEARTBEAT;
        let first = !std::mem::replace(&mut self.began, true);
        Some(Bytes::from_static(if first { b"retry: 2000\n: connected\n\n" } else { b":\n\n" }))
    }
}

/// One server-sent event. JSON holds no line break, so one `data:` line carries it.
fn frame(notice: &Notice) -> Option<Bytes> {
    let data =
        serde_json::to_string(notice).map_err(|e| tracing::error!(error = %e, "a notice cannot be written")).ok()?;
    Some(Bytes::from(format!("event: {}\ndata: {data}\n\n", notice.name())))
}
