//! The RTSP and RTSPS server: `/{camera}` and `/{camera}/sub` for players, Digest only, one shared media a stream, or one a
//! reader where the encoder makes no keyframe on command.
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
mod media;
mod mounts;
#[expect(unsafe_code, reason = "a request comes as a C pointer in a signal's value")]
mod requests;
mod server;
#[expect(unsafe_code, reason = "a descriptor is lent by C, and what a peer acknowledged has no safe form")]
mod socket;
#[expect(unsafe_code, reason = "the class of a thread pool is filled in by hand")]
mod threads;

pub use mounts::CameraStreams;
pub use server::Server;

use connections::Connections;
use gate::Gate;
use gstreamer_rtsp_server::glib;
use listener::listen;
use mounts::Mounts;
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_domain::access::StreamLogin;
use perch_domain::identity::IdentityPort;
use perch_domain::ports::ReadersPort;
use perch_domain::settings::Keys;
use perch_domain::status::RtspReader;
use server::{Door, Secured, Shared};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use threads::Threads;

/// Threads that read requests and drain slow readers. A DESCRIBE that waits for an encoder holds one of them, so not one.
const CLIENT_THREADS: u32 = 4;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// RTSP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// RTSPS, if wanted.
    pub tls_listen: Option<SocketAddr>,
}

impl Config {
    /// The key of [`Self::listen`].
    pub const LISTEN: &str = "rtsp.listen";
    /// The key of [`Self::tls_listen`].
    pub const TLS_LISTEN: &str = "rtsp.tls_listen";

    /// Reads `listen` and `tls_listen`.
    pub fn read(keys: &mut impl Keys) -> Self {
        Self { listen: keys.address("listen", "0.0.0.0:8554"), tls_listen: keys.optional_address("tls_listen") }
    }
}

impl ReadersPort for Handle {
    fn who_reads(&self) -> Vec<RtspReader> {
        self.connections.who_reads()
    }
}

/// What others ask of the server; served by [`Server`].
pub struct Handle {
    local: SocketAddr,
    tls_local: Option<SocketAddr>,
    connections: Arc<Connections>,
    rounds: Arc<AtomicU64>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("local", &self.local).field("tls_local", &self.tls_local).finish_non_exhaustive()
    }
}

impl Handle {
    /// Opens the ports. Nothing is served until the server runs, and nobody may read until [`Self::set_passwords`]. RTSPS answers
    /// with the certificate of `identity`, also when it is renewed.
    ///
    /// Errors with [`perch_base::ErrorKind::Unavailable`] when a port is in use or the certificate cannot be used.
    pub fn open(
        config: Config,
        identity: Arc<dyn IdentityPort>,
        cameras: Vec<CameraStreams>,
        clock: SharedClock,
    ) -> Result<(Arc<Self>, Server)> {
        crate::init()?;
        let context = glib::MainContext::new();
        let mounts = Mounts::new(context.clone());
        cameras.into_iter().for_each(|camera| drop(mounts.set(camera)));
        let points = mounts.points().clone();
        let connections = Connections::new(clock, mounts);
        let threads = Threads::kept(CLIENT_THREADS);

        let build = |gate: &Gate, at| listen(&connections, &points, &threads, gate, at);
        let (local, source) = build(&Gate::new(connections.clone()), (Config::LISTEN, config.listen))?;
        let mut secured = None;
        let tls = match config.tls_listen {
            Some(at) => {
                let gate = Secured::new(Gate::new(connections.clone()), identity)?;
                let bound = build(&gate.gate, (Config::TLS_LISTEN, at))?;
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
        tracing::info!(%local, tls = tls_local.map(tracing::field::display), "RTSP server listens");
        let rounds = Arc::<AtomicU64>::default();
        let door = Arc::new(Mutex::new(Door { listeners, secured, _threads: threads }));
        let server = Server::new(Shared { context, connections: connections.clone(), rounds: rounds.clone(), door });
        Ok((Arc::new(Self { local, tls_local, connections, rounds }), server))
    }

    /// Where RTSP listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where RTSPS listens.
    pub fn tls_local_addr(&self) -> Option<SocketAddr> {
        self.tls_local
    }

    /// Adds the camera that `camera.hub` names, or changes it. Connections of one end where what they were told of it holds no
    /// more ([`perch_domain::reload::RtspDescription`]); nobody else's are touched.
    pub fn set_camera(&self, camera: CameraStreams) {
        self.connections.set_camera(camera);
    }

    /// Removes a camera that is switched off. Its connections end, and whoever asks for it is answered with 503 and why.
    pub fn switch_off(&self, id: &CameraId, why: &str) {
        self.connections.switch_off(id, why);
    }

    /// Removes a camera. Its connections end; nobody else's are touched.
    pub fn remove_camera(&self, id: &CameraId) {
        self.connections.remove_camera(id);
    }

    /// Replaces all stream passwords. Readers whose user is gone, has another password, may see other cameras or is cut off are closed
    /// within a second.
    pub fn set_passwords(&self, logins: Vec<StreamLogin>) {
        self.connections.set_passwords(digest::Logins::new(logins));
    }

    /// How many readers play now.
    pub fn readers(&self) -> usize {
        self.connections.playing()
    }

    /// How often its loop came round: once a second while it runs.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }
}
