//! Who asks, and whether they may: one gate before every handler. Host, origin and size are checked for every request.

use crate::authority::same;
use crate::connection::{Connection, Peer};
use crate::headers;
use crate::input::{PathParts, read_whole, too_large};
use crate::problem::{Hidden, Problem, Reply, cut_off_words};
use crate::route::{About, MAX_BODY_BYTES, Route};
use crate::state::{AppState, Shared, blocking};
use axum::RequestExt;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, base64};
use perch_domain::access::{Object, Permission, Principal, revoked};
use perch_domain::same_origin::{FetchSite, Provenance};
use std::sync::Arc;
use tracing::Instrument;

/// The cookie's name. Browsers accept a `__Host-` cookie only over TLS, for this host alone and for the whole path.
pub const COOKIE: &str = "__Host-perch";
/// Browsers keep a cookie for at most 400 days; the box decides earlier by itself.
const COOKIE_MAX_AGE_S: u32 = 400 * 86_400;

/// The caller, checked. Only the gate makes one.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) principal: Principal,
    /// The credential itself, to ask again later in a long answer.
    pub(crate) token: Secret,
}

impl Who {
    /// As versions and the log name whoever asks.
    pub(crate) fn name(&self) -> String {
        self.principal.name().to_owned()
    }

    /// Whether the caller may do this to `object`.
    pub(crate) fn may(&self, permission: Permission, object: Object<'_>) -> bool {
        self.principal.may(permission, object)
    }

    /// Asks once more, for an answer that goes on after the gate let it pass: whoever lost the right to it before the answer began
    /// to listen for that gets none. Errors with `Unauthenticated`, or `NotFound` for what is not granted any more.
    pub(crate) fn may_still(
        &self,
        app: &AppState,
        permission: Permission,
        object: Object<'_>,
    ) -> perch_base::Result<Principal> {
        match app.ports.access.authenticate(self.token.expose(), app.ports.clock.utc())? {
            Some(now) if now.may(permission, object) => match (object, app.cut_off_of(now.device_id)) {
                (Object::Camera(_), Some(cut_off)) => Err(Error::new(ErrorKind::Forbidden, cut_off_words(&cut_off))),
                _ => Ok(now),
            },
            Some(_) => Err(match object {
                Object::Camera(_) => Error::not_found("there is no such camera"),
                _ => Error::new(ErrorKind::Forbidden, "this device may not do that any more"),
            }),
            None => Err(revoked()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Reply<Self> {
        // Only a public route has no caller, and its handler does not ask for one.
        parts.extensions.get::<Who>().cloned().ok_or_else(Problem::unauthenticated)
    }
}

/// Outermost: host, size, protective headers, one line of log. What is logged while the request is worked on says which it is and, once
/// that is known, which device asks.
pub(crate) async fn outer(state: State<(Shared, &'static [Route])>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("(no route)", MatchedPath::as_str);
    let span = tracing::info_span!("request", method = %request.method(), route, device = tracing::field::Empty);
    answer(state, request, next).instrument(span).await
}

async fn answer(State((app, routes)): State<(Shared, &'static [Route])>, request: Request, next: Next) -> Response {
    let started = app.ports.clock.mono();
    let mut response = match check_request(&app, routes, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let mut response = problem.into_response();
            // What follows on the connection may be the rest of a body that nobody reads.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    if let Some(Hidden(error)) = response.extensions_mut().remove()
        && app.is_news(&error)
    {
        tracing::warn!(error, "a request could not be answered for now");
    }
    headers::protect(response.headers_mut());
    tracing::debug!(
        status = response.status().as_u16(),
        duration_ms = app.ports.clock.mono().since(started).as_millis() as u64,
        "request"
    );
    response
}

fn check_request(app: &Shared, routes: &[Route], request: &Request) -> Reply<()> {
    let headers = request.headers();
    let misdirected = || {
        let message = "this box does not answer to that host name: use its address or `http.hostnames`";
        Problem::new(ErrorKind::Forbidden, message).status(StatusCode::MISDIRECTED_REQUEST)
    };
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Problem::new(ErrorKind::Invalid, "there is more than one Host header"));
    }
    let host = headers.get(header::HOST).map(|h| h.to_str().unwrap_or(""));
    let target = request.uri().authority().map(|a| a.as_str());
    if host.is_none() && target.is_none() {
        return Err(Problem::new(ErrorKind::Invalid, "the Host header is missing"));
    }
    if ![host, target].into_iter().flatten().all(|name| app.answers_to(name)) {
        return Err(misdirected());
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = routes.iter().find(|r| Some(r.path) == path && r.method == *request.method());
    let limit_bytes = route.map_or(MAX_BODY_BYTES as u64, |r| r.takes.max_bytes());
    match length {
        Some(bytes) if bytes > limit_bytes => Err(too_large(limit_bytes)),
        _ => Ok(()),
    }
}

/// The gate of one route: nothing behind it runs without the permission that the route states, for the camera that its path names.
pub(crate) async fn gate(
    State((app, route)): State<(Shared, &'static Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(route);
    match let_in(&app, route, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) if route.asks_for_password() => problem.asking_for_password().into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The request with its body, where the route takes one that is read at once. A body comes as slowly as its sender likes: whoever lost
/// the right to what it asks for meanwhile has not asked. No handler has to think of that.
async fn let_in(app: &Shared, route: &Route, mut request: Request) -> Reply<Request> {
    admit(app, route, &mut request).await?;
    let Some(media_type) = route.takes.read_at_once() else { return Ok(request) };
    let mut request = read_whole(request, &route.takes, media_type).await?;
    admit(app, route, &mut request).await?;
    Ok(request)
}

async fn admit(app: &Shared, route: &Route, request: &mut Request) -> Reply<()> {
    if route.permission == Permission::Public {
        return if provenance(request).may_be_anybody_s() { Ok(()) } else { Err(foreign()) };
    }
    let who = authenticate(app, request).await?;
    if !who.may(route.permission, Object::Box) {
        return Err(Problem::forbidden(refusal(&who.principal, route.permission)));
    }
    if route.is_closed_by_cut_off()
        && let Some(cut_off) = app.cut_off_of(who.principal.device_id)
    {
        return Err(Problem::cut_off(&cut_off));
    }
    if route.about == About::TheBox {
        return Ok(());
    }
    let camera = request.extract_parts::<PathParts>().await?.camera()?;
    // The same answer as for a camera that does not exist.
    if who.may(route.permission, Object::Camera(&camera)) { Ok(()) } else { Err(Problem::not_found("camera")) }
}

/// Why somebody does not hold a permission.
fn refusal(who: &Principal, permission: Permission) -> &'static str {
    match who.role.holds(permission) {
        true => LIVE_ONLY,
        false => "this is for administrators of the box",
    }
}

/// The answer to somebody who wants to see what is recorded, and may see live pictures alone.
pub(crate) const LIVE_ONLY: &str = "this device may see live pictures only: what is recorded is not open to it";

/// Finds out who asks and puts it into the request; also used for paths and methods that do not exist.
pub(crate) async fn authenticate(app: &Shared, request: &mut Request) -> Reply<Who> {
    let (token, by_cookie) = credential(request.headers()).ok_or_else(Problem::unauthenticated)?;
    let asked = token.clone();
    let found = blocking(app, move |app| app.ports.access.authenticate(asked.expose(), app.ports.clock.utc())).await?;
    let who = Who { principal: found.ok_or_else(Problem::unauthenticated)?, token };
    if by_cookie && !provenance(request).may_use_cookie() {
        return Err(foreign());
    }
    tracing::Span::current().record("device", tracing::field::display(who.principal.device_id));
    if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
        connection.trust(who.principal.device_id);
    }
    request.extensions_mut().insert(who.clone());
    Ok(who)
}

/// The bearer token, or else the cookie. Never anything from the URL. What can only send a name and a password (RFC 7617) sends the token as the
/// password; browsers send that again by themselves, so it counts where a cookie would.
fn credential(headers: &HeaderMap) -> Option<(Secret, bool)> {
    let plausible = |t: &str| !t.is_empty() && t.len() <= 128 && t.bytes().all(|b| b.is_ascii_alphanumeric());
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        if scheme.eq_ignore_ascii_case("basic") && token.len() <= 512 {
            let given = String::from_utf8(base64::decode(token)?).ok()?;
            let (_, token) = given.split_once(':')?;
            return plausible(token).then(|| (Secret::new(token.to_owned()), true));
        }
        return (scheme.eq_ignore_ascii_case("bearer") && plausible(token))
            .then(|| (Secret::new(token.to_owned()), false));
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut ours = cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE);
    let token = ours.next()?.1;
    plausible(token).then(|| (Secret::new(token.to_owned()), true))
}

/// What the request says of where it comes from.
fn provenance(request: &Request) -> Provenance {
    let headers = request.headers();
    Provenance {
        asks_change: !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS),
        site: headers.get("sec-fetch-site").map(|v| FetchSite::parse(v.as_bytes())),
        is_own_origin: origin_matches(headers, request.uri()),
    }
}

/// Whether `Origin` is this server as the request addressed it; `None` when there is none.
pub(crate) fn origin_matches(headers: &HeaderMap, uri: &Uri) -> Option<bool> {
    let origin = headers.get(header::ORIGIN)?;
    let authority = authority(headers, uri);
    let own = origin.to_str().ok().and_then(|o| o.strip_prefix("https://"));
    Some(own.is_some_and(|own| same(own, authority)))
}

/// The authority that the client used, already checked by [`outer`].
pub(crate) fn authority<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or(""),
    }
}

/// The refusal of a request from another origin.
pub(crate) fn foreign() -> Problem {
    Problem::forbidden("this request comes from another web site")
}

/// `Set-Cookie` that hands a browser its credential.
pub(crate) fn set_cookie(token: &Secret) -> Reply<HeaderValue> {
    cookie(token.expose(), COOKIE_MAX_AGE_S)
}

/// `Set-Cookie` that takes it away.
pub(crate) fn clear_cookie() -> Reply<HeaderValue> {
    cookie("", 0)
}

fn cookie(value: &str, max_age_s: u32) -> Reply<HeaderValue> {
    let text = format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={max_age_s}");
    let mut header = HeaderValue::from_str(&text)
        .map_err(|_| Problem::new(ErrorKind::Internal, "a new token cannot stand in a cookie"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The peer of a request.
pub(crate) fn peer(request: &Request) -> Reply<Peer> {
    let missing = || Problem::new(ErrorKind::Internal, "a request has no peer address");
    request.extensions().get::<Peer>().copied().ok_or_else(missing)
}
