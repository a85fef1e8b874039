//! Starts GStreamer once and hands its warnings and errors to `tracing`. Nothing else may call `gst::init`.

use gstreamer as gst;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::redact::redact_text;
use std::sync::OnceLock;

/// Starts GStreamer; calls after the first cost nothing. Errors with [`ErrorKind::Unavailable`] where it cannot start.
pub fn init() -> Result<()> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        keep_arenas_few();
        gst::init().map_err(|e| e.to_string())?;
        // Its codecs are known only once it has looked at this machine's devices, whatever a registry from elsewhere says.
        let _ = gst::Plugin::load_by_name("video4linux2");
        // Whoever sets GST_DEBUG wants GStreamer's own output on standard error.
        if std::env::var_os("GST_DEBUG").is_none() {
            gst::log::remove_default_log_function();
            gst::log::set_default_threshold(gst::DebugLevel::Warning);
            gst::log::add_log_function(forward);
        }
        Ok(())
    });
    started.clone().map_err(|e| Error::new(ErrorKind::Unavailable, "GStreamer cannot start").with_inside(e))
}

/// Pictures are allocated and freed by many short-lived threads; with an arena for each, glibc keeps tens of megabytes that
/// nobody uses. Two arenas are enough for a handful of busy threads.
fn keep_arenas_few() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes no pointers; it only limits arenas that are made from now on.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

fn forward(
    category: gst::DebugCategory,
    level: gst::DebugLevel,
    file: &gst::glib::GStr,
    _function: &gst::glib::GStr,
    line: u32,
    _object: Option<&gst::log::LoggedObject>,
    message: &gst::log::DebugMessage,
) {
    // A pipeline's own errors come over its bus and are logged there, with the camera. What GStreamer logs of its own is
    // for its developers, and may name a URL with its password: it stays below the default level, and is cleaned.
    let text = message.get().map(|m| redact_text(m.as_str())).unwrap_or_default();
    match level {
        gst::DebugLevel::Error => {
            tracing::debug!(target: "gstreamer", category = category.name(), %file, line, level = "error", "{text}");
        }
        _ => tracing::trace!(target: "gstreamer", category = category.name(), %file, line, "{text}"),
    }
}

/// Whether GStreamer has an element of this name.
pub fn has_element(name: &str) -> bool {
    gstreamer::ElementFactory::find(name).is_some()
}

/// A pipeline's pictures are many megabytes; the allocator would keep them in the arenas of threads that are gone, and a camera
/// that restarts often, or one that makes stills, would grow the process.
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointers and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_twice_is_fine() {
        init().expect("starts");
        init().expect("is started");
    }
}
