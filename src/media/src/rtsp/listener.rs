//! Binds a port and registers every connection before its first request.

use super::connections::Connections;
use super::gate::Gate;
use super::threads::Threads;
use gstreamer_rtsp_server::subclass::prelude::*;
use gstreamer_rtsp_server::{self as rtsp_server, gio, glib};
use perch_base::{Error, ErrorKind, Result};
use rtsp_server::prelude::*;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// The largest request body; players send none.
const MAX_BODY_BYTES: u32 = 4096;

/// Binds one listener, where the config's `key` says; its source holds the server.
pub(super) fn listen(
    connections: &Arc<Connections>,
    points: &rtsp_server::RTSPMountPoints,
    threads: &Threads,
    gate: &Gate,
    (key, at): (&str, SocketAddr),
) -> Result<(SocketAddr, glib::Source)> {
    let server = Listener::new(connections.clone());
    server.set_address(&at.ip().to_string());
    server.set_service(&at.port().to_string());
    server.set_mount_points(Some(points));
    server.set_thread_pool(Some(threads));
    server.set_auth(Some(gate));
    server.set_content_length_limit(MAX_BODY_BYTES);
    server.set_backlog(16);
    let source = server.create_source(gio::Cancellable::NONE).map_err(|e| {
        let why = match e.matches(gio::IOErrorEnum::AddressInUse) {
            true => {
                format!("port {} is already in use: stop the other program or change `{key}` ({at})", at.port())
            }
            false => format!("{key} = {at}: the port cannot be opened"),
        };
        Error::new(ErrorKind::Unavailable, why).with_source(e)
    })?;
    let port = u16::try_from(server.bound_port()).unwrap_or(at.port());
    Ok((SocketAddr::new(at.ip(), port), source))
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Listener {
        pub(super) connections: OnceLock<Arc<Connections>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Listener {
        const NAME: &'static str = "PerchRtspListener";
        type Type = super::Listener;
        type ParentType = rtsp_server::RTSPOnvifServer;
    }

    impl ObjectImpl for Listener {}

    impl RTSPOnvifServerImpl for Listener {}

    impl RTSPServerImpl for Listener {
        fn create_client(&self) -> Option<rtsp_server::RTSPClient> {
            let client = self.parent_create_client()?;
            if let Some(connections) = self.connections.get() {
                connections.add(&client);
            }
            Some(client)
        }

        fn client_connected(&self, client: &rtsp_server::RTSPClient) {
            self.parent_client_connected(client);
            if let Some(connections) = self.connections.get() {
                connections.connected(client);
            }
        }
    }
}

glib::wrapper! {
    /// A listener that registers whoever connects.
    pub struct Listener(ObjectSubclass<imp::Listener>) @extends rtsp_server::RTSPOnvifServer, rtsp_server::RTSPServer;
}

impl Listener {
    fn new(connections: Arc<Connections>) -> Self {
        let server: Self = glib::Object::new();
        let _ = server.imp().connections.set(connections);
        server
    }
}
