//! Attempts to serve the UDP port: each is a thread with an event loop of its own, so that media waits for nobody else's work.

use super::engine::{Command, Loop};
use super::gathering::FromOutside;
use super::shared::Shared;
use super::socket::Socket;
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, ResultExt, on_own_thread};
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Frames that wait for the engine at most, of all feeds.
const MEDIA_QUEUE: usize = 512;

/// Serves the port, attempt by attempt. Dropping it closes the port.
pub struct Server {
    shared: Arc<Shared>,
    /// An attempt's thread has it for as long as it runs.
    door: Arc<Mutex<Door>>,
}

/// What outlives an attempt: the port, which nobody else can take meanwhile, and what was asked and not yet answered.
struct Door {
    socket: UdpSocket,
    commands: mpsc::Receiver<Command>,
    from_outside: mpsc::Receiver<FromOutside>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local", &self.shared.local).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(
        shared: Arc<Shared>,
        socket: UdpSocket,
        commands: mpsc::Receiver<Command>,
        from_outside: mpsc::Receiver<FromOutside>,
    ) -> Self {
        Self { shared, door: Arc::new(Mutex::new(Door { socket, commands, from_outside })) }
    }

    /// One attempt, until `shutdown` is called or nobody can ask any more. All its sessions end with it. Errors when the port cannot
    /// be served, and with `Internal` when the engine met a defect; viewers come back by themselves once the next attempt runs.
    pub async fn run_once(&mut self, shutdown: &Shutdown) -> Result<()> {
        // Called with the box, and when this future is dropped: nothing of an attempt outlives it by much.
        let (_attempt, mut end) = shutdown.child();
        let (shared, door) = (self.shared.clone(), self.door.clone());
        on_own_thread("webrtc".into(), move || attempt(&shared, door, &mut end)).await
    }
}

/// An attempt on its thread. `door` is let go before it returns.
fn attempt(shared: &Arc<Shared>, door: Arc<Mutex<Door>>, end: &mut Shutdown) -> Result<()> {
    // A panic leaves a socket and a queue, both whole.
    let mut door = lock(&door);
    let served = catch_unwind(AssertUnwindSafe(|| serve(shared, &mut door, end)));
    shared.counters.sessions.store(0, Ordering::Relaxed);
    served.unwrap_or_else(|panic| {
        let words = perch_base::panic::words(&*panic);
        Err(Error::internal("live viewing broke down by a defect: its sessions have ended").with_source(words))
    })
}

fn serve(shared: &Arc<Shared>, door: &mut Door, end: &mut Shutdown) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(ErrorKind::Io, || "the WebRTC engine's event loop cannot be made")?;
    let Door { socket, commands, from_outside } = door;
    // Sockets and timers belong to the loop that polls them: all are made inside it.
    runtime.block_on(async {
        let (media_tx, media_rx) = mpsc::channel(MEDIA_QUEUE);
        let socket = socket
            .try_clone()
            .and_then(|socket| Socket::new(socket, shared.gathered.clone()))
            .context(ErrorKind::Io, || "the UDP port cannot be used, nothing is served live")?;
        Loop::new(shared.clone(), socket, media_tx).run(commands, from_outside, media_rx, end).await;
        Ok(())
    })
}
