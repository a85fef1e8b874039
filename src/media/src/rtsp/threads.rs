//! The threads that serve connections and medias, each with its main context as the one that its work comes back to.
//!
//! The library's own threads run a context without making it their default. GIO's TLS reports the end of a handshake to the default
//! of the thread that read first: without one it is that of the process, which nobody runs here, so each report would wait for
//! ever and hold its connection, its descriptor and a copy of the system's trusted certificates.

use glib::translate::ToGlibPtr;
use gstreamer_rtsp_server::subclass::prelude::*;
use gstreamer_rtsp_server::{self as rtsp_server, glib};
use rtsp_server::ffi::{GstRTSPThread, GstRTSPThreadPool};
use rtsp_server::prelude::*;
use std::ptr::NonNull;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Threads;

    #[glib::object_subclass]
    impl ObjectSubclass for Threads {
        const NAME: &'static str = "PerchRtspThreads";
        type Type = super::Threads;
        type ParentType = rtsp_server::RTSPThreadPool;
    }

    impl ObjectImpl for Threads {}

    // SAFETY: the parent's class is initialised first, and only the two functions that it leaves empty are set.
    unsafe impl IsSubclassable<Threads> for rtsp_server::RTSPThreadPool {
        fn class_init(class: &mut glib::Class<Self>) {
            Self::parent_class_init::<Threads>(class);
            let class = class.as_mut();
            class.thread_enter = Some(enter);
            class.thread_leave = Some(leave);
        }
    }

    unsafe extern "C" fn enter(_: *mut GstRTSPThreadPool, thread: *mut GstRTSPThread) {
        // SAFETY: the library calls this on the new thread, with a description that is valid for the call; GLib takes a reference.
        unsafe { glib::ffi::g_main_context_push_thread_default((*thread).context) }
    }

    unsafe extern "C" fn leave(_: *mut GstRTSPThreadPool, thread: *mut GstRTSPThread) {
        // SAFETY: the library calls this last on the same thread, so the context is the one that `enter` pushed.
        unsafe { glib::ffi::g_main_context_pop_thread_default((*thread).context) }
    }
}

glib::wrapper! {
    /// A pool of such threads.
    pub struct Threads(ObjectSubclass<imp::Threads>) @extends rtsp_server::RTSPThreadPool;
}

impl Threads {
    /// A pool with these threads for connections, which run until it is dropped.
    ///
    /// The library would end a thread with its last connection. The end of a handshake that broke off may come after that, and would
    /// hold its connection in a context that runs no more.
    pub(super) fn kept(connections: u32) -> KeptThreads {
        let threads: Self = glib::Object::new();
        threads.set_max_threads(i32::try_from(connections).unwrap_or(i32::MAX));
        let uses = (0..connections).filter_map(|_| Use::of(&threads)).collect();
        KeptThreads { threads, _uses: uses }
    }
}

/// A pool whose threads are kept.
pub(super) struct KeptThreads {
    threads: Threads,
    _uses: Vec<Use>,
}

impl std::ops::Deref for KeptThreads {
    type Target = Threads;

    fn deref(&self) -> &Threads {
        &self.threads
    }
}

/// One use of a thread, as a connection has one: the thread ends with the last.
struct Use(NonNull<GstRTSPThread>);

// SAFETY: a thread's description is counted atomically and may be given back from any thread.
unsafe impl Send for Use {}

impl Use {
    fn of(threads: &Threads) -> Option<Self> {
        // SAFETY: the pool is a live object, and a use needs no request. What is returned is NULL or counts one use.
        let thread = unsafe {
            let pool: *mut GstRTSPThreadPool = threads.upcast_ref::<rtsp_server::RTSPThreadPool>().to_glib_none().0;
            rtsp_server::ffi::gst_rtsp_thread_pool_get_thread(
                pool,
                rtsp_server::ffi::GST_RTSP_THREAD_TYPE_CLIENT,
                std::ptr::null_mut(),
            )
        };
        NonNull::new(thread).map(Self)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        // SAFETY: the use that `of` counted is given back once; it kept the description alive until now.
        unsafe { rtsp_server::ffi::gst_rtsp_thread_stop(self.0.as_ptr()) }
    }
}
