//! What is answered without TLS, on the plain port and to plain HTTP on the port of HTTPS. What that is, is decided in
//! `domain::plain_http`; nothing here knows of credentials, cameras or who owns the box.

use crate::authority::Authority;
use crate::connection::Arrived;
use crate::headers::{etag, protect_plain};
use crate::plain_page;
use crate::problem::{Problem, Reply};
use crate::state::Shared;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use perch_base::{ErrorKind, ResultExt};
use perch_domain::authority_files::{AuthorityFile, profile};
use perch_domain::browser::{Browser, System};
use perch_domain::identity::{IdentityPort, host_in_url};
use perch_domain::plain_http::{PAGE, PlainAnswer, STYLE, plain_answer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const STYLE_SHEET: &str = include_str!("plain.css");

/// Everything that is answered without TLS.
pub(crate) fn router(app: Shared) -> Router {
    Router::new().fallback(answer).with_state(app)
}

async fn answer(State(app): State<Shared>, request: Request) -> Response {
    let mut response = answered(&app, &request).unwrap_or_else(|problem| {
        let mut response = problem.into_response();
        // What follows on the connection may be the rest of a body that nobody reads.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    });
    protect_plain(response.headers_mut());
    tracing::debug!(status = response.status().as_u16(), "a request without TLS");
    response
}

fn answered(app: &Shared, request: &Request) -> Reply {
    let host = host_of(app, request)?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match plain_answer(reads, request.uri().path()) {
        PlainAnswer::Page => Ok(page(app, request, &host)),
        PlainAnswer::Style => Ok(([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE_SHEET).into_response()),
        PlainAnswer::Authority(file) => authority_file(&*app.ports.identity, file),
        PlainAnswer::AcmeAnswer(token) => match app.ports.identity.http_answer(token) {
            Some(answer) => Ok(([(header::CONTENT_TYPE, "application/octet-stream")], answer).into_response()),
            None => Err(Problem::not_found("page")),
        },
        // Without a host: whatever the request calls the box, it stays where it is.
        PlainAnswer::ToPage => Ok((StatusCode::FOUND, [(header::LOCATION, PAGE)]).into_response()),
        PlainAnswer::NeedsTls => {
            let message = format!("this is answered with encryption alone: ask https://{host}:{}", app.port);
            Err(Problem::new(ErrorKind::Forbidden, message))
        }
    }
}

/// By which host the caller finds the box with TLS too, as URLs write it: as it was called, where that is one of its names or where the
/// connection came. Errors where `Host` names another box.
fn host_of(app: &Shared, request: &Request) -> Reply<String> {
    let named: Vec<_> = request.headers().get_all(header::HOST).iter().collect();
    let [named] = named[..] else {
        return Err(Problem::new(ErrorKind::Invalid, "one Host header is needed"));
    };
    let target = request.uri().authority().map(|a| a.as_str());
    let names = app.ports.identity.names();
    let called = [named.to_str().ok(), target.or(named.to_str().ok())].map(|text| text.and_then(Authority::parse));
    let [Some(called), Some(target)] = called else { return Err(misdirected()) };
    if called.host != target.host || !names.answers_to(&called.host) {
        return Err(misdirected());
    }
    let Ok(address) = called.host.parse() else { return Ok(called.host) };
    let came_to = request.extensions().get::<Arrived>().map(|arrived| arrived.at.ip().to_canonical());
    match names.addresses.contains(&address) || came_to == Some(address) {
        true => Ok(host_in_url(address)),
        // Somebody else's address, for all that is known.
        false => Ok(app.reachable_host()),
    }
}

fn misdirected() -> Problem {
    let message = "this box does not answer to that host name: use its address or `http.hostnames`";
    Problem::new(ErrorKind::Forbidden, message).status(StatusCode::MISDIRECTED_REQUEST)
}

fn page(app: &Shared, request: &Request, host: &str) -> Response {
    let agent = request.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let page = plain_page::render(&plain_page::For {
        system: System::of(agent),
        browser: Browser::of(agent),
        host,
        port: app.port,
        ca_sha256: app.ports.identity.ca_sha256(),
        style: STYLE,
    });
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::VARY, "User-Agent, Host")];
    (headers, page).into_response()
}

/// The box's authority in this form.
pub(crate) fn authority_file(identity: &dyn IdentityPort, file: AuthorityFile) -> Reply {
    let pem = identity.ca_pem();
    let content = match file {
        AuthorityFile::Pem => pem.as_bytes().to_vec(),
        AuthorityFile::Profile => profile(pem, identity.ca_sha256()).into_bytes(),
        AuthorityFile::Der => {
            let der = CertificateDer::from_pem_slice(pem.as_bytes());
            der.context(ErrorKind::Internal, || "the box's authority cannot be read")?.to_vec()
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.media_type())),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(file.disposition())),
        // It may be another one after a reset.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let mut response = (headers, content.clone()).into_response();
    if let Ok(etag) = HeaderValue::from_str(&etag(&content)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}
