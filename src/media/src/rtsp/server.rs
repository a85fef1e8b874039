//! Attempts to serve: each is a thread that lets connections in and sweeps them. The ports and whoever is connected outlive it.

use super::connections::Connections;
use super::gate::Gate;
use super::threads::KeptThreads;
use gstreamer_rtsp_server::{self as rtsp_server, gio, glib};
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, ResultExt, on_own_thread};
use perch_domain::identity::{Certificate, IdentityPort};
use rtsp_server::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long the end waits for readers to be gone.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Serves the ports, attempt by attempt. Dropping it closes them.
pub struct Server(Shared);

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) context: glib::MainContext,
    pub(super) connections: Arc<Connections>,
    /// Counts the sweeps.
    pub(super) rounds: Arc<AtomicU64>,
    /// An attempt's thread has it for as long as it runs.
    pub(super) door: Arc<Mutex<Door>>,
}

/// What outlives an attempt: the ports, which nobody else can take meanwhile.
pub(super) struct Door {
    pub(super) listeners: Vec<glib::Source>,
    pub(super) secured: Option<Secured>,
    /// Connections run on them.
    pub(super) _threads: KeptThreads,
}

impl Door {
    fn close(&mut self) {
        std::mem::take(&mut self.listeners).iter().for_each(glib::Source::destroy);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("rounds", &self.0.rounds).finish_non_exhaustive()
    }
}

/// Wakes the loop, so that it sees that the end was called.
struct Wake(glib::MainContext);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.wakeup();
    }
}

impl Server {
    pub(super) fn new(shared: Shared) -> Self {
        Self(shared)
    }

    /// One attempt, until `shutdown` is called: then nobody new is let in and every connection ends. Errors with `Internal` when it
    /// met a defect; connections go on meanwhile, and whoever comes waits for the next attempt.
    pub async fn run_once(&mut self, shutdown: &Shutdown) -> Result<()> {
        // Dropped after `_attempt`, so that nothing of an attempt outlives it by much, also when this future is dropped.
        let wake = Wake(self.0.context.clone());
        let (_attempt, mut end) = shutdown.child();
        let (shared, asked) = (self.0.clone(), end.clone());
        let mut serving = pin!(on_own_thread("rtsp".into(), move || attempt(&shared, &asked)));
        tokio::select! {
            result = &mut serving => result,
            () = end.called() => {
                wake.0.wakeup();
                serving.await
            }
        }
    }
}

/// An attempt on its thread.
fn attempt(shared: &Shared, end: &Shutdown) -> Result<()> {
    // A panic leaves it whole: every change is one assignment.
    let mut door = lock(&shared.door);
    let served = catch_unwind(AssertUnwindSafe(|| serve(shared, &mut door, end)));
    if end.is_called() {
        door.close();
        close_all(&shared.connections);
    }
    served.unwrap_or_else(|panic| {
        let words = perch_base::panic::words(&*panic);
        Err(Error::internal("RTSP broke down by a defect: nobody new is let in meanwhile").with_source(words))
    })
}

fn serve(shared: &Shared, door: &mut Door, end: &Shutdown) -> Result<()> {
    let Shared { context, connections, rounds, .. } = shared;
    // Swept here and not in a source's callback: a panic must not pass through C.
    let is_due = Arc::new(AtomicBool::new(true));
    let tick = Tick::new(context, &is_due);
    let run = context.with_thread_default(|| {
        while !end.is_called() {
            if is_due.swap(false, Ordering::SeqCst) {
                connections.sweep();
                if let Some(secured) = &mut door.secured {
                    secured.follow();
                }
                rounds.fetch_add(1, Ordering::Relaxed);
            }
            context.iteration(true);
        }
    });
    drop(tick);
    run.context(ErrorKind::Unavailable, || "the RTSP loop is still held by an attempt before")
}

/// Says each second that a sweep is due, until it is dropped.
struct Tick(glib::Source);

impl Tick {
    fn new(context: &glib::MainContext, is_due: &Arc<AtomicBool>) -> Self {
        let is_due = is_due.clone();
        let source = glib::timeout_source_new(SWEEP_EVERY, None, glib::Priority::DEFAULT, move || {
            is_due.store(true, Ordering::SeqCst);
            glib::ControlFlow::Continue
        });
        source.attach(Some(context));
        Self(source)
    }
}

impl Drop for Tick {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

fn close_all(connections: &Connections) {
    // Real time: the process must end.
    let deadline = Instant::now() + STOP_WITHIN;
    while connections.len() > 0 && Instant::now() < deadline {
        connections.close_all();
        #[expect(
            clippy::disallowed_methods,
            reason = "the library's threads tell nobody when they let a connection go"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The gate of RTSPS, which follows the certificate of the box.
pub(super) struct Secured {
    pub(super) gate: Gate,
    identity: Arc<dyn IdentityPort>,
    served: Arc<Certificate>,
}

impl Secured {
    pub(super) fn new(gate: Gate, identity: Arc<dyn IdentityPort>) -> Result<Self> {
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
