//! The RTSP and RTSPS server: `/{camera}` and `/{camera}/sub` for players, Digest only, one shared media a stream.
//!
//! The GStreamer library speaks the protocol. This module gives it what it lacks: a gate before every request ([`gate`]),
//! sessions that belong to their connection ([`connections`]), a feed from the hub without encoder or thread ([`feed`]), and an
//! end for readers that stop reading.

mod connections;
mod digest;
#[expect(unsafe_code, reason = "a transport is a C structure that is filled in and freed by hand")]
mod factory;
mod feed;
#[expect(unsafe_code, reason = "a request's fields are C structures")]
mod gate;
mod listener;
mod mounts;
#[expect(unsafe_code, reason = "a request comes as a C pointer in a signal's value")]
mod requests;
#[expect(unsafe_code, reason = "a descriptor is lent by C, and what a peer acknowledged has no safe form")]
mod socket;

pub use mounts::CameraStreams;

use connections::Connections;
use gate::Gate;
use gstreamer_rtsp_server::{self as rtsp_server, gio, glib};
use listener::listen;
use mounts::Mounts;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::access::StreamLogin;
use perch_domain::identity::{Certificate, IdentityPort};
use rtsp_server::prelude::*;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Threads that read requests and drain slow readers. A DESCRIBE that waits for an encoder holds one of them, so not one.
const CLIENT_THREADS: i32 = 4;
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long [`Server::stop`] waits for readers to be gone.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Config {
    /// RTSP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// RTSPS, if wanted.
    pub tls_listen: Option<SocketAddr>,
    /// Who the box is: the certificate for RTSPS, also when it is renewed.
    pub identity: Arc<dyn IdentityPort>,
}

/// A running server; stops when dropped.
pub struct Server {
    local: SocketAddr,
    tls_local: Option<SocketAddr>,
    connections: Arc<Connections>,
    main_loop: glib::MainLoop,
    listeners: Mutex<Vec<glib::Source>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local", &self.local).field("tls_local", &self.tls_local).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens and serves. Nobody may read until [`Self::set_passwords`].
    ///
    /// Errors with [`ErrorKind::Unavailable`] when a port is in use or the certificate cannot be used.
    pub fn start(config: Config, cameras: Vec<CameraStreams>, clock: SharedClock) -> Result<Self> {
        crate::init()?;
        let context = glib::MainContext::new();
        let mounts = Mounts::new(context.clone());
        cameras.into_iter().for_each(|camera| drop(mounts.set(camera)));
        let points = mounts.points().clone();
        let connections = Connections::new(clock, mounts);
        let threads = rtsp_server::RTSPThreadPool::new();
        threads.set_max_threads(CLIENT_THREADS);

        let build = |gate: &Gate, at| listen(&connections, &points, &threads, gate, at);
        let (local, source) = build(&Gate::new(connections.clone()), config.listen)?;
        let mut secured = None;
        let tls = match config.tls_listen {
            Some(at) => {
                let gate = Secured::new(Gate::new(connections.clone()), config.identity)?;
                let bound = build(&gate.gate, at)?;
                secured = Some(gate);
                Some(bound)
            }
            None => None,
        };

        let tls_local = tls.as_ref().map(|(local, _)| *local);
        let listeners: Vec<_> = std::iter::once(source).chain(tls.map(|(_, source)| source)).collect();
        for listener in &listeners {
            listener.attach(Some(&context));
        }
        let swept = Arc::downgrade(&connections);
        let sweep = glib::timeout_source_new(SWEEP_EVERY, None, glib::Priority::DEFAULT, move || {
            let Some(connections) = swept.upgrade() else { return glib::ControlFlow::Break };
            connections.sweep();
            if let Some(secured) = &mut secured {
                secured.follow();
            }
            glib::ControlFlow::Continue
        });
        sweep.attach(Some(&context));
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let thread = std::thread::Builder::new()
            .name("rtsp".into())
            .spawn({
                let main_loop = main_loop.clone();
                move || {
                    let run = context.with_thread_default(|| main_loop.run());
                    if run.is_err() {
                        tracing::error!("RTSP main context is taken by another thread");
                    }
                }
            })
            .context(ErrorKind::Unavailable, || "cannot start the RTSP thread")?;
        tracing::info!(%local, ?tls_local, "RTSP server listens");
        Ok(Self {
            local,
            tls_local,
            connections,
            main_loop,
            listeners: Mutex::new(listeners),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where RTSP listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where RTSPS listens.
    pub fn tls_local_addr(&self) -> Option<SocketAddr> {
        self.tls_local
    }

    /// Adds the camera that `camera.hub` names, or changes it. Connections of one that changed end; nobody else's are touched.
    pub fn set_camera(&self, camera: CameraStreams) {
        self.connections.set_camera(camera);
    }

    /// Removes a camera. Its connections end; nobody else's are touched.
    pub fn remove_camera(&self, id: &CameraId) {
        self.connections.remove_camera(id);
    }

    /// Replaces all stream passwords. Readers whose user is gone, has another password or may see other cameras are closed within a
    /// second.
    pub fn set_passwords(&self, logins: Vec<StreamLogin>) {
        self.connections.set_passwords(digest::Logins::new(logins));
    }

    /// How many readers play now.
    pub fn readers(&self) -> usize {
        self.connections.playing()
    }

    /// Closes every connection and ends the server. Calls after the first do nothing.
    pub fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // Nobody new is let in.
        let listeners = std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        listeners.iter().for_each(glib::Source::destroy);
        drop(listeners);
        // Quitting from inside: a loop that was asked before it ran would run for ever.
        let quit = self.main_loop.clone();
        let inside = glib::idle_source_new(None, glib::Priority::HIGH, move || {
            quit.quit();
            glib::ControlFlow::Break
        });
        inside.attach(Some(&self.main_loop.context()));
        if thread.join().is_err() {
            tracing::error!("RTSP thread panicked");
        }
        // Real time: the process must end.
        let deadline = Instant::now() + STOP_WITHIN;
        while self.connections.len() > 0 && Instant::now() < deadline {
            self.connections.close_all();
            #[expect(
                clippy::disallowed_methods,
                reason = "the library's threads tell nobody when they let a connection go"
            )]
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The gate of RTSPS, which follows the certificate of the box.
struct Secured {
    gate: Gate,
    identity: Arc<dyn IdentityPort>,
    served: Arc<Certificate>,
}

impl Secured {
    fn new(gate: Gate, identity: Arc<dyn IdentityPort>) -> Result<Self> {
        let served = identity.certificate();
        gate.set_tls_certificate(Some(&read(&served)?));
        Ok(Self { gate, identity, served })
    }

    /// Takes a renewed certificate for connections to come.
    fn follow(&mut self) {
        let now = self.identity.certificate();
        if Arc::ptr_eq(&now, &self.served) {
            return;
        }
        match read(&now) {
            Ok(certificate) => self.gate.set_tls_certificate(Some(&certificate)),
            Err(e) => tracing::error!(error = %e, "RTSPS cannot use the renewed certificate; the old one is kept"),
        }
        self.served = now;
    }
}

fn read(certificate: &Certificate) -> Result<gio::TlsCertificate> {
    let pem = format!("{}{}", certificate.key_pem.expose(), certificate.chain_pem);
    gio::TlsCertificate::from_pem(&pem).context(ErrorKind::Unavailable, || "the certificate cannot be used for RTSPS")
}
