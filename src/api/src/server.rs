//! The server: binds, serves, drains.

use crate::config::{Config, HttpConfig, Ports};
use crate::connection::{Ends, Service};
use crate::door::Door;
use crate::lifeline::Lifeline;
use crate::revoke::Revocations;
use crate::socket::{Reset, Socket};
use crate::state::{AppState, Parts, Shared};
use crate::tls::server_config;
use crate::{openapi, plain, routes};
use perch_base::clock::{SharedClock, within};
use perch_base::repeated::Repeated;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::identity::plain_urls;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long open answers may go on once the end was called.
const GRACE: Duration = Duration::from_secs(5);
/// How long is waited after a connection could not be accepted: closing others frees what was missing.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A bound server, ready to run.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    /// Without TLS. A port that cannot be had costs the box nothing else.
    plain: Option<TcpListener>,
    app: Shared,
    acceptor: TlsAcceptor,
    drain: watch::Sender<bool>,
    lifeline: Lifeline,
    own: mpsc::Receiver<DuplexStream>,
}

impl Server {
    /// Binds the ports; the plain one as far as it can be had. Errors: `Unavailable` when the port cannot be had, `Corrupt` when the certificate cannot be used.
    pub async fn bind(config: Config, ports: Ports) -> Result<Self> {
        let refused = |e| cannot_listen(HttpConfig::LISTEN, config.http.listen, e);
        let listener = TcpListener::bind(config.http.listen).await.map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        let plain = match config.http.plain_listen {
            Some(at) => bind_plain(at).await,
            None => None,
        };
        let acceptor = TlsAcceptor::from(server_config(Arc::clone(&ports.identity))?);
        let (lifeline, own) = Lifeline::new(ports.identity.ca_pem(), Arc::clone(&ports.clock))?;
        let (drain, draining) = watch::channel(false);
        let document = openapi::document(routes::ROUTES, &config.version);
        let app = Arc::new(AppState::new(Parts { config, ports, port: local_addr.port(), document, draining }));
        Ok(Self { listener, local_addr, plain, app, acceptor, drain, lifeline, own })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it answers without TLS.
    pub fn plain_addr(&self) -> Option<SocketAddr> {
        self.plain.as_ref().and_then(|plain| plain.local_addr().ok())
    }

    /// What to type for the page that is shown without TLS; nothing where there is none.
    pub fn plain_urls(&self) -> Vec<String> {
        let identity = &self.app.ports.identity;
        self.plain_addr().map_or_else(Vec::new, |at| plain_urls(&identity.names(), at, &identity.reachable()))
    }

    /// The address to open, by which other machines reach this box where there is one.
    pub fn base_url(&self) -> String {
        format!("https://{}:{}", self.app.reachable_host(), self.app.port)
    }

    /// By which the box itself asks whether its API answers.
    pub fn lifeline(&self) -> Lifeline {
        self.lifeline.clone()
    }

    /// Ends event streams and downloads of devices that are revoked elsewhere (on the command line). Those revoked through the
    /// API end by themselves.
    pub fn revocations(&self) -> Revocations {
        self.app.revocations.clone()
    }

    /// Serves until the end is called, then lets open answers finish for a short grace.
    pub async fn run(self, mut shutdown: Shutdown) -> Result<()> {
        let Self { listener, plain, app, acceptor, drain, mut own, .. } = self;
        let door = Door::new(Arc::clone(&app.ports.clock));
        let clock = Arc::clone(&app.ports.clock);
        let service = Service {
            acceptor,
            router: routes::router(Arc::clone(&app)),
            plain: plain::router(app),
            drain: drain.subscribe(),
            clock: Arc::clone(&clock),
        };
        // They come five times a second as long as descriptors are short.
        let failures = Repeated::default();
        let defects = Repeated::default();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.called() => break,
                Some(stream) = own.recv() => {
                    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                    connections.spawn(service.clone().serve(stream, Ends { peer: here, own: here, reset: Reset::default() }, None));
                }
                (is_plain, accepted) = accept(&listener, plain.as_ref()) => match accepted {
                    Ok((stream, peer)) => {
                        if let Some(repeats) = failures.ended() {
                            tracing::info!(repeats, "connections are accepted again");
                        }
                        match door.arrive(peer.ip()) {
                            Some(place) => {
                                let _ = stream.set_nodelay(true);
                                let reset = Reset::default();
                                let own = stream.local_addr().unwrap_or(peer);
                                let stream = Socket::new(stream, reset.clone());
                                let ends = Ends { peer, own, reset };
                                match is_plain {
                                    true => connections.spawn(service.clone().serve_plain(stream, ends, place)),
                                    false => connections.spawn(service.clone().serve(stream, ends, Some(place))),
                                };
                            }
                            None => tracing::debug!(address = %peer.ip(), "too many connections; one more was closed"),
                        }
                    }
                    Err(e) => {
                        if failures.is_news(&e, clock.mono()) {
                            tracing::warn!(error = %e, "connections cannot be accepted");
                        }
                        clock.sleep(ACCEPT_AGAIN).await;
                    }
                },
                Some(ended) = connections.join_next(), if !connections.is_empty() => note_panic(ended, &defects, &clock),
            }
        }
        drop((listener, plain));
        drain.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if within(&clock, GRACE, all).await.is_none() {
            tracing::info!("some connections did not end in time and are cut");
        }
        connections.shutdown().await;
        Ok(())
    }
}

/// The next connection, and whether it came to the plain port.
async fn accept(tls: &TcpListener, plain: Option<&TcpListener>) -> (bool, io::Result<(TcpStream, SocketAddr)>) {
    let of_plain = async {
        match plain {
            Some(plain) => plain.accept().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        accepted = tls.accept() => (false, accepted),
        accepted = of_plain => (true, accepted),
    }
}

/// The plain port, or none with a sentence in the log: the box is found by HTTPS all the same.
async fn bind_plain(at: SocketAddr) -> Option<TcpListener> {
    let bound = TcpListener::bind(at).await.map_err(|e| cannot_listen(HttpConfig::PLAIN_LISTEN, at, e));
    bound
        .inspect_err(|e| tracing::warn!(error = %e, "nobody is told without TLS how to open the box; https:// works all the same"))
        .ok()
}

/// Whoever found a defect may connect again at once.
fn note_panic(ended: Result<(), tokio::task::JoinError>, defects: &Repeated, clock: &SharedClock) {
    let Err(e) = ended else { return };
    let words = e.try_into_panic().map_or_else(|e| e.to_string(), |panic| perch_base::panic::words(&*panic));
    if defects.is_news(&words, clock.mono()) {
        tracing::error!(words, "a connection's task ended unexpectedly");
    }
}

fn cannot_listen(key: &str, listen: SocketAddr, e: io::Error) -> Error {
    let port = listen.port();
    let message = match e.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {port} is already in use: stop the other program or change {key} ({listen})")
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} may not be used without privileges: choose one above 1023 in {key} ({listen})")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is not an address of this machine: change {key}", listen.ip())
        }
        _ => format!("cannot listen on {listen} ({key})"),
    };
    Error::new(ErrorKind::Unavailable, message).with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::SystemClock;

    #[tokio::test]
    async fn a_defect_that_connections_meet_again_and_again_is_logged_once() {
        let (defects, clock): (_, SharedClock) = (Repeated::default(), Arc::new(SystemClock));
        for n in 0..3 {
            let ended = tokio::spawn(async move { assert!(n > 9, "on purpose") }).await;
            note_panic(ended, &defects, &clock);
        }
        note_panic(Ok(()), &defects, &clock);
        assert_eq!(defects.ended(), Some(2), "one of three is logged");
    }
}
