//! A camera that runs: its thread, its sockets, and what it counts.

mod connection;
mod message;
mod sign_in;
pub(crate) mod tls;
mod ways;

use crate::case::Case;
use crate::media::Absent;
use crate::model::{Crowd, Model, Place, Redirect};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

/// What happened to a camera so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Connections it took, TLS and HTTP ones too.
    pub connections: u64,
    /// Of these, how many are open.
    pub open: u64,
    /// The most that were open at once.
    pub most_open: u64,
    /// Sessions that were played.
    pub plays: u64,
    /// Requests by method.
    pub requests: BTreeMap<String, u64>,
    /// Requests with a right password, where it asks for one.
    pub sign_ins: u64,
    /// Requests with a wrong password (not: without one, or with a nonce that is too old).
    pub refused_sign_ins: u64,
    /// Requests within a session that is played.
    pub keep_alives: u64,
    /// Receiver reports.
    pub reports: u64,
    /// RTP packets that left.
    pub packets: u64,
    /// RTP packets of each track.
    pub packets_by_track: BTreeMap<usize, u64>,
    /// Sessions that it ended because nobody kept them alive.
    pub timed_out: u64,
    /// When each connection came, since the camera began.
    pub connected_at: Vec<std::time::Duration>,
}

struct Shared {
    model: Model,
    place: Place,
    begun: Instant,
    counts: Mutex<Counts>,
    redirect: Mutex<Option<Redirect>>,
    /// How often a method was refused already.
    refused: Mutex<HashMap<&'static str, u32>>,
    /// The way in of each HTTP tunnel, by its cookie.
    tunnels: Mutex<HashMap<String, DuplexStream>>,
    /// Ends the connection that was first.
    newest: Mutex<Arc<Notify>>,
    log: bool,
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        held(&self.counts)
    }

    fn log(&self, what: impl FnOnce() -> String) {
        if self.log {
            println!("{:8.2} {}", self.begun.elapsed().as_secs_f64(), what());
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A camera on 127.0.0.1, until it is dropped.
pub struct Camera {
    shared: Arc<Shared>,
    authority: Option<String>,
    certificate: Option<Vec<u8>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Camera {
    /// The camera of a case, on a free port.
    pub fn start(case: &Case) -> Result<Self, Absent> {
        let model = (case.model)()?;
        Self::of(model, 0).map_err(|e| Absent(format!("{}: {e}", case.name)))
    }

    /// A camera of any model on a port; 0: a free one.
    pub fn of(model: Model, port: u16) -> io::Result<Self> {
        Self::with_log(model, port, false)
    }

    /// The same, which prints what it is asked.
    pub fn with_log(model: Model, port: u16, log: bool) -> io::Result<Self> {
        let listener = StdListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        let mut listeners = vec![listener];
        if model.manners.redirect == Some(Redirect::OtherHost) {
            listeners.push(StdListener::bind(("127.0.0.2", port))?);
        }
        let secured = model.manners.tls.map(tls::secured).transpose().map_err(io::Error::other)?;
        let place = Place { port, path: model.manners.path.to_owned() };
        let redirect = Mutex::new(model.manners.redirect.clone());
        let shared = Arc::new(Shared {
            model,
            place,
            begun: Instant::now(),
            counts: Mutex::default(),
            redirect,
            refused: Mutex::default(),
            tunnels: Mutex::default(),
            newest: Mutex::default(),
            log,
        });
        let (stop, stopped) = oneshot::channel();
        let (authority, certificate, acceptor) = match secured {
            Some(s) => (s.authority, Some(s.certificate), Some(s.acceptor)),
            None => (None, None, None),
        };
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new().name("test-camera".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                let accepting =
                    listeners.into_iter().map(|l| tokio::spawn(accept(of_thread.clone(), l, acceptor.clone())));
                let accepting: Vec<_> = accepting.collect();
                let _ = stopped.await;
                drop(accepting);
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { shared, authority, certificate, stop: Some(stop), thread: Some(thread) })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.shared.place.port
    }

    /// Its URL, with user and password where it asks for them.
    pub fn url(&self) -> String {
        let scheme = if self.shared.model.manners.tls.is_some() { "rtsps" } else { "rtsp" };
        let sign_in = self.shared.model.manners.sign_in.as_ref();
        let who = sign_in.map(|s| format!("{}:{}@", encoded(s.user), encoded(s.said))).unwrap_or_default();
        format!("{scheme}://{who}127.0.0.1:{}{}", self.port(), self.shared.place.path)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts().clone()
    }

    /// The certificate of the authority that signed its own, as PEM.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Its certificate, as DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Sends the next DESCRIBE there.
    pub fn redirect_to(&self, url: &'static str) {
        *held(&self.shared.redirect) = Some(Redirect::Url(url));
    }

    /// Waits for ever: for a program that only serves.
    pub fn serve(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// As user and password stand in a URL (RFC 3986 3.2.1).
fn encoded(text: &str) -> String {
    let one = |b: u8| {
        let plain = b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if plain { char::from(b).to_string() } else { format!("%{b:02X}") }
    };
    text.bytes().map(one).collect()
}

async fn accept(shared: Arc<Shared>, listener: StdListener, acceptor: Option<tokio_rustls::TlsAcceptor>) {
    listener.set_nonblocking(true).expect("a socket can be made so");
    let listener = TcpListener::from_std(listener).expect("within a runtime");
    loop {
        let Ok((socket, peer)) = listener.accept().await else { continue };
        let _ = socket.set_nodelay(true);
        let (shared, acceptor) = (shared.clone(), acceptor.clone());
        let open = {
            let mut counts = shared.counts();
            counts.connections += 1;
            counts.open += 1;
            counts.most_open = counts.most_open.max(counts.open);
            counts.connected_at.push(shared.begun.elapsed());
            counts.open
        };
        let gone = Arc::new(Notify::new());
        if shared.model.manners.crowd == Crowd::FirstGoes {
            let before = std::mem::replace(&mut *held(&shared.newest), gone.clone());
            before.notify_one();
        }
        tokio::spawn(async move {
            let crowded = open > 1;
            match shared.model.manners.crowd {
                Crowd::Closed if crowded => {}
                crowd => {
                    let refuse = crowd == Crowd::Refused && crowded;
                    let ended = served(&shared, socket, peer, acceptor, gone, refuse).await;
                    shared.log(|| format!("{peer}: closed: {ended:?}"));
                }
            }
            shared.counts().open -= 1;
        });
    }
}

async fn served(
    shared: &Arc<Shared>,
    socket: tokio::net::TcpStream,
    peer: SocketAddr,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    gone: Arc<Notify>,
    refuse: bool,
) -> io::Result<()> {
    shared.log(|| format!("{peer}: connected"));
    match acceptor {
        None => {
            let (reader, writer) = socket.into_split();
            connection::Connection::new(shared.clone(), Box::new(reader), Box::new(writer), peer, gone, refuse)
                .run()
                .await
        }
        Some(acceptor) => {
            let (reader, writer) = tokio::io::split(acceptor.accept(socket).await?);
            connection::Connection::new(shared.clone(), Box::new(reader), Box::new(writer), peer, gone, refuse)
                .run()
                .await
        }
    }
}
