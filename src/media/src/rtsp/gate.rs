//! The gate before every request: who may ask, what may be asked, and which cameras the password opens.

use super::connections::{Connection, Connections};
use super::digest::{Credentials, DigestVerdict, challenge};
use super::requests::{path, wants_to_speak};
use glib::translate::{ToGlibPtr, from_glib};
use gst_rtsp::{RTSPAuthMethod, RTSPAuthParam, RTSPHeaderField, RTSPMethod, RTSPStatusCode};
use gstreamer_rtsp_server::subclass::prelude::*;
use gstreamer_rtsp_server::{self as rtsp_server, RTSPContext, glib, gst_rtsp};
use rtsp_server::prelude::*;
use std::ffi::CStr;
use std::sync::{Arc, OnceLock};

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Gate {
        pub(super) connections: OnceLock<Arc<Connections>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Gate {
        const NAME: &'static str = "PerchRtspGate";
        type Type = super::Gate;
        type ParentType = rtsp_server::RTSPAuth;
    }

    impl ObjectImpl for Gate {}

    impl RTSPAuthImpl for Gate {
        fn check(&self, ctx: &RTSPContext, check: &glib::GString) -> bool {
            match check.as_str() {
                // Sets up TLS.
                "auth.check.connect" => self.parent_check(ctx, check),
                // Comes once for every request, before anything is looked up.
                "auth.check.url" => self.connections.get().is_some_and(|connections| admit(connections, ctx)),
                // Lets a reader choose where packets go: never.
                "auth.check.transport.client-settings" => false,
                // The same request passed above.
                _ => true,
            }
        }
    }
}

glib::wrapper! {
    /// Checks requests in place of the library's own table of users.
    pub struct Gate(ObjectSubclass<imp::Gate>) @extends rtsp_server::RTSPAuth;
}

impl Gate {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        let gate: Self = glib::Object::new();
        let _ = gate.imp().connections.set(connections);
        gate
    }
}

/// Lets a request through or answers it.
fn admit(connections: &Connections, ctx: &RTSPContext) -> bool {
    let method = method(ctx);
    let connection = ctx.client().and_then(|client| connections.of(client));
    if let Some(connection) = &connection {
        connections.asks(connection);
    }
    if method == RTSPMethod::OPTIONS {
        return true;
    }
    let Some(connection) = connection else {
        return answer(ctx, RTSPStatusCode::ServiceUnavailable, None);
    };
    match authenticate(connections, &connection, ctx, method) {
        Some(DigestVerdict::Accepted) => {}
        verdict => {
            let header = challenge(&connection.nonce, verdict == Some(DigestVerdict::Stale));
            return answer(ctx, RTSPStatusCode::Unauthorized, Some(&header));
        }
    }
    let path = ctx.uri().and_then(path);
    // Another camera is answered like one that does not exist, before anything is looked up.
    if !connections.may_watch(&connection, path.as_deref().unwrap_or_default()) {
        return answer(ctx, RTSPStatusCode::NotFound, None);
    }
    if connections.is_cut_off(&connection) {
        return answer(ctx, RTSPStatusCode::Forbidden, None);
    }
    if let Some(why) = path.as_deref().and_then(|path| connections.why_off(path)) {
        return answer_why(ctx, RTSPStatusCode::ServiceUnavailable, &why);
    }
    if method.intersects(RTSPMethod::ANNOUNCE | RTSPMethod::RECORD | RTSPMethod::REDIRECT) {
        return answer(ctx, RTSPStatusCode::MethodNotAllowed, None);
    }
    if connections.is_full(&connection) {
        return answer(ctx, RTSPStatusCode::ServiceUnavailable, None);
    }
    // Unknown paths are the library's to refuse.
    if let Some(mount) = path.and_then(|path| connections.mount(&path)) {
        connections.asks_for(&connection, &mount);
        if wants_to_speak(ctx) && !connections.may_speak(&connection, &mount) {
            // Players that hear this ask again without.
            return answer_unsupported(ctx);
        }
        if method == RTSPMethod::DESCRIBE && !mount.source.is_up() {
            return answer(ctx, RTSPStatusCode::ServiceUnavailable, None);
        }
        if method.intersects(RTSPMethod::DESCRIBE | RTSPMethod::SETUP) {
            connections.keep(&connection, mount.keep());
        }
    }
    true
}

fn authenticate(
    connections: &Connections,
    connection: &Connection,
    ctx: &RTSPContext,
    method: RTSPMethod,
) -> Option<DigestVerdict> {
    let method = method_name(method)?;
    let credentials = ctx.request()?.parse_auth_credentials();
    let digest = credentials.iter().find(|c| c.scheme() == RTSPAuthMethod::Digest)?;
    let params = digest.params();
    let value = |name: &str| params.iter().map(pair).find(|(n, _)| *n == Some(name)).and_then(|(_, value)| value);
    let given = Credentials {
        username: value("username")?,
        realm: value("realm")?,
        nonce: value("nonce")?,
        uri: value("uri")?,
        response: value("response")?,
    };
    Some(connections.login(connection, &given, method))
}

/// Name and value of a parameter; a quoted value comes without its quotes.
fn pair(param: &RTSPAuthParam) -> (Option<&str>, Option<&str>) {
    let text = |at: *const std::ffi::c_char| {
        // SAFETY: both fields are NULL or NUL-terminated strings that live as long as `param`, which the result borrows.
        (!at.is_null()).then(|| unsafe { CStr::from_ptr(at) }.to_str().ok()).flatten()
    };
    let raw: *const gst_rtsp::ffi::GstRTSPAuthParam = param.to_glib_none().0;
    // SAFETY: `raw` points to the boxed value inside `param`.
    unsafe { (text((*raw).name), text((*raw).value)) }
}

/// Sends an answer; false, so that the library does nothing more with the request.
fn answer(ctx: &RTSPContext, code: RTSPStatusCode, challenge: Option<&str>) -> bool {
    if let (Some(client), Some(response)) = (ctx.client(), ctx.response()) {
        response.init_response(code, ctx.request());
        if let Some(challenge) = challenge {
            response.add_header(RTSPHeaderField::WwwAuthenticate, challenge);
        }
        let _ = client.send_message(response, None);
    }
    false
}

/// Answers that the player cannot speak here.
fn answer_unsupported(ctx: &RTSPContext) -> bool {
    if let (Some(client), Some(response)) = (ctx.client(), ctx.response()) {
        response.init_response(RTSPStatusCode::OptionNotSupported, ctx.request());
        response.add_header(RTSPHeaderField::Unsupported, "www.onvif.org/ver20/backchannel");
        let _ = client.send_message(response, None);
    }
    false
}

/// Sends an answer with a sentence for people in its body.
fn answer_why(ctx: &RTSPContext, code: RTSPStatusCode, why: &str) -> bool {
    if let (Some(client), Some(response)) = (ctx.client(), ctx.response()) {
        response.init_response(code, ctx.request());
        response.add_header(RTSPHeaderField::ContentType, "text/plain");
        let body = format!("{why}\r\n");
        let raw: *const gst_rtsp::ffi::GstRTSPMessage = response.to_glib_none().0;
        // SAFETY: the message is the library's own for this request and nobody else's meanwhile; the bytes are copied.
        unsafe { gst_rtsp::ffi::gst_rtsp_message_set_body(raw.cast_mut(), body.as_ptr(), body.len() as u32) };
        let _ = client.send_message(response, None);
    }
    false
}

fn method(ctx: &RTSPContext) -> RTSPMethod {
    // SAFETY: the library passes a context that is valid for the time of the call; `method` is a plain number.
    unsafe { from_glib((*ctx.to_glib_none().0).method) }
}

/// As it stands in the request and in its digest.
fn method_name(method: RTSPMethod) -> Option<&'static str> {
    [
        (RTSPMethod::DESCRIBE, "DESCRIBE"),
        (RTSPMethod::ANNOUNCE, "ANNOUNCE"),
        (RTSPMethod::GET_PARAMETER, "GET_PARAMETER"),
        (RTSPMethod::PAUSE, "PAUSE"),
        (RTSPMethod::PLAY, "PLAY"),
        (RTSPMethod::RECORD, "RECORD"),
        (RTSPMethod::REDIRECT, "REDIRECT"),
        (RTSPMethod::SETUP, "SETUP"),
        (RTSPMethod::SET_PARAMETER, "SET_PARAMETER"),
        (RTSPMethod::TEARDOWN, "TEARDOWN"),
    ]
    .into_iter()
    .find_map(|(m, name)| (m == method).then_some(name))
}
