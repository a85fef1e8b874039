//! What is read from requests, and changed in answers, beside the library.

use glib::translate::{ToGlibPtr, from_glib_none};
use gstreamer_rtsp_server::{self as rtsp_server, glib, gst_rtsp};
use rtsp_server::prelude::*;
use std::ffi::{CStr, CString};

/// The path of a request, without its query.
pub(super) fn path(url: &gst_rtsp::RTSPUrl) -> Option<String> {
    let uri = url.request_uri();
    let (_, rest) = uri.split_once("://")?;
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    Some(path.split('?').next().unwrap_or(path).to_owned())
}

/// What a player asks for that wants to speak (ONVIF Streaming Specification, section 5.3).
const BACKCHANNEL: &CStr = c"www.onvif.org/ver20/backchannel";
/// Demands of one request that are read.
const MAX_DEMANDS: i32 = 8;

/// Whether a request demands a backchannel.
pub(super) fn wants_to_speak(ctx: &rtsp_server::RTSPContext) -> bool {
    (0..MAX_DEMANDS).any(|at| {
        // SAFETY: the library passes a context that is valid for the time of the call, with a request or NULL; the header's value is a
        // NUL-terminated string that lives as long as the request, and is only compared.
        unsafe {
            let request = (*ctx.to_glib_none().0).request;
            let mut value = std::ptr::null_mut();
            !request.is_null()
                && gst_rtsp::ffi::gst_rtsp_message_get_header(
                    request,
                    gst_rtsp::ffi::GST_RTSP_HDR_REQUIRE,
                    &mut value,
                    at,
                ) == gst_rtsp::ffi::GST_RTSP_OK
                && !value.is_null()
                && CStr::from_ptr(value) == BACKCHANNEL
        }
    })
}

/// The media that a request is for, where the library has found it.
pub(super) fn media(ctx: &rtsp_server::RTSPContext) -> Option<rtsp_server::RTSPMedia> {
    // SAFETY: the library passes a context that is valid for the time of the call; `media` is NULL or a live object, of which a reference is
    // taken.
    unsafe {
        let media = (*ctx.to_glib_none().0).media;
        (!media.is_null()).then(|| from_glib_none(media))
    }
}

/// The library looks a request's session up before it asks the gate, so a stranger with a made-up `Session` header would
/// hear of the session and not of the password: such an answer becomes a challenge before it leaves.
///
/// `stranger` is the challenge for who has not signed in yet.
pub(super) fn ask_before_sessions(
    client: &rtsp_server::RTSPClient,
    stranger: impl Fn() -> Option<String> + Send + Sync + 'static,
) {
    client.connect("send-message", false, move |values| {
        let challenge = stranger()?;
        let pointer = |n: usize| {
            let value = values.get(n).filter(|v| v.type_().is_a(glib::Type::POINTER))?;
            // SAFETY: the value was just seen to hold a pointer.
            Some(unsafe { glib::gobject_ffi::g_value_get_pointer(value.to_glib_none().0) }).filter(|p| !p.is_null())
        };
        let ctx: *mut rtsp_server::ffi::GstRTSPContext = pointer(1)?.cast();
        let message: *mut gst_rtsp::ffi::GstRTSPMessage = pointer(2)?.cast();
        let header = CString::new(challenge).ok()?;
        // SAFETY: the library passes a context and a message of its own that are valid for the time of the call and used by
        // this thread alone; the union is read as the kind that `type_` names. The message is changed in place before it is sent.
        unsafe {
            let lost = gst_rtsp::ffi::GST_RTSP_STS_SESSION_NOT_FOUND;
            if (*message).type_ == gst_rtsp::ffi::GST_RTSP_MESSAGE_RESPONSE
                && (*message).type_data.response.code == lost
            {
                let code = gst_rtsp::ffi::GST_RTSP_STS_UNAUTHORIZED;
                let reason = gst_rtsp::ffi::gst_rtsp_status_as_text(code);
                gst_rtsp::ffi::gst_rtsp_message_init_response(message, code, reason, (*ctx).request);
                let field = gst_rtsp::ffi::GST_RTSP_HDR_WWW_AUTHENTICATE;
                gst_rtsp::ffi::gst_rtsp_message_add_header(message, field, header.as_ptr());
            }
        }
        None
    });
}
