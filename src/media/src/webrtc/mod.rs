//! WHEP: live sessions by WebRTC. One thread and one UDP port serve all viewers; media is packetized once and shared. No HTTP here.

mod addresses;
mod cameras;
mod demux;
mod engine;
mod feed;
mod foreign;
mod machine;
mod offer;
mod session;
mod shared;
mod socket;
mod trickle;
mod turn;

pub use cameras::LiveCamera;
pub use shared::{Config, EngineStats, TurnServer};

use cameras::Cameras;
use engine::{Command, Loop, Reply};
use offer::{Identity, Wanted};
use perch_base::clock::SharedClock;
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::media::Stream;
use perch_domain::ports::{IceServer, LivePort, StreamChoice, WatchAnswer, WatchRequest};
use perch_domain::status::LiveSession;
use session::Start;
use shared::{Counters, Shared};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// How long a caller waits for the engine.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Frames that wait for the engine at most, of all feeds.
const MEDIA_QUEUE: usize = 512;
const COMMAND_QUEUE: usize = 256;
/// How often loss is looked at where we may choose the stream.
const LOSS_EVERY: Duration = Duration::from_secs(1);
/// How often is looked for receiver reports and consent that renew the lease.
const LIFE_SIGNS_EVERY: Duration = Duration::from_secs(2);
/// After a breakdown the engine rests so long.
const BREAK_DOWN_PAUSE: Duration = Duration::from_secs(1);

/// The engine. Dropping it ends all sessions.
pub struct Engine {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("local", &self.shared.local).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the port and starts the thread. Errors with `Unavailable` when the port is taken.
    pub fn start(config: Config, cameras: Vec<LiveCamera>, clock: SharedClock) -> Result<Arc<Self>> {
        let socket = socket::bind(config.udp_listen)?;
        let local = socket.local_addr().context(ErrorKind::Io, || "the UDP port has no address")?;
        let known = Cameras::default();
        for camera in cameras {
            known.set(camera);
        }
        let shared = Arc::new(Shared {
            config,
            cameras: known,
            clock,
            local,
            identity: Identity::generate()?,
            counters: Counters::default(),
        });
        let (commands, command_rx) = mpsc::channel(COMMAND_QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context(ErrorKind::Io, || "the WebRTC engine's event loop cannot be made")?;
        let thread_shared = shared.clone();
        let thread = std::thread::Builder::new()
            .name("webrtc".into())
            .spawn(move || {
                let mut commands = command_rx;
                let sessions = &thread_shared.counters.sessions;
                keep_up(&runtime, sessions, || runtime.block_on(serve(&thread_shared, &socket, &mut commands)));
            })
            .context(ErrorKind::Io, || "the WebRTC engine's thread cannot be started")?;
        Ok(Arc::new(Self { shared, commands, thread: Mutex::new(Some(thread)) }))
    }

    /// The port as it was opened.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// Adds the camera that `camera.hub` names, or changes it. Sessions of one that changed end within a quarter of a second;
    /// nobody else's are touched.
    pub fn set_camera(&self, camera: LiveCamera) {
        if self.shared.cameras.set(camera) {
            self.cameras_changed();
        }
    }

    /// Removes a camera. Its sessions end within a quarter of a second; nobody else's are touched.
    pub fn remove_camera(&self, id: &CameraId) {
        if self.shared.cameras.remove(id) {
            self.cameras_changed();
        }
    }

    fn cameras_changed(&self) {
        // A queue that is full does not matter: the engine looks for itself as well.
        let _ = self.commands.try_send(Command::CamerasChanged);
    }

    /// Ends all sessions and the thread; waits for it.
    pub fn stop(&self) {
        while let Err(mpsc::error::TrySendError::Full(_)) = self.commands.try_send(Command::Stop) {
            #[expect(
                clippy::disallowed_methods,
                reason = "only while the queue is full, at the end; a blocking send may not be called here"
            )]
            std::thread::sleep(Duration::from_millis(2));
        }
        let thread = self.thread.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    /// Figures since start.
    pub fn stats(&self) -> EngineStats {
        self.shared.counters.stats()
    }

    fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let unavailable =
            || Error::new(ErrorKind::Unavailable, "live viewing does not answer now: try again in a moment");
        let (reply, answer) = std_mpsc::sync_channel(1);
        self.commands.try_send(command(reply)).map_err(|_| unavailable())?;
        answer.recv_timeout(CALL_TIMEOUT).map_err(|_| unavailable())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `round` again and again until it ends without a panic. A panic is a defect of ours; viewers come back by themselves.
fn keep_up(runtime: &Runtime, sessions: &AtomicUsize, mut round: impl FnMut()) {
    while catch_unwind(AssertUnwindSafe(&mut round)).is_err() {
        tracing::error!("the WebRTC engine broke down by a defect and begins anew: its sessions have ended");
        sessions.store(0, Ordering::Relaxed);
        // The timer is made where the runtime is: outside it panics.
        runtime.block_on(async { tokio::time::sleep(BREAK_DOWN_PAUSE).await });
    }
}

/// Serves until told to stop.
async fn serve(shared: &Arc<Shared>, socket: &std::net::UdpSocket, commands: &mut mpsc::Receiver<Command>) {
    loop {
        let (media_tx, media_rx) = mpsc::channel(MEDIA_QUEUE);
        match socket.try_clone().and_then(socket::Socket::new) {
            Ok(socket) => return Loop::new(shared.clone(), socket, media_tx).run(commands, media_rx).await,
            Err(error) => tracing::error!(%error, "the UDP port cannot be used, nothing is served live; tried again"),
        }
        tokio::time::sleep(BREAK_DOWN_PAUSE).await;
    }
}

impl LivePort for Engine {
    fn watch(&self, request: WatchRequest) -> Result<WatchAnswer> {
        let shared = &self.shared;
        let camera = shared
            .cameras
            .get(&request.camera)
            .ok_or_else(|| Error::not_found(format!("there is no camera {}", request.camera)))?;
        let auto = request.stream == StreamChoice::Auto;
        let reports_every = if auto { LOSS_EVERY } else { LIFE_SIGNS_EVERY };
        let wanted = Wanted { codec: camera.live.codec, audio: camera.live.has_audio, reports_every };
        // The offer is read here, on the caller's thread: a flood of offers does not hold up media.
        let negotiated =
            offer::negotiate(&shared.identity, &shared.candidates(), &request.offer, wanted, Instant::now())?;
        let stream = match request.stream {
            StreamChoice::Fixed(stream) => stream,
            StreamChoice::Auto => Stream::Main,
        };
        let (lease, sdp) = (LeaseId::random(), negotiated.answer.clone());
        let start = Start { lease, viewer: request.viewer, camera, stream, auto, negotiated };
        self.call(|reply| Command::Begin(Box::new(start), reply))??;
        Ok(WatchAnswer { lease, sdp })
    }

    fn trickle(&self, lease: LeaseId, fragment: &str) -> Result<Option<String>> {
        let fragment = trickle::parse_fragment(fragment)?;
        self.call(|reply| Command::Trickle(lease, fragment, reply))?
    }

    fn renew(&self, lease: LeaseId) -> Result<()> {
        self.call(|reply| Command::Renew(lease, reply))?
    }

    fn end(&self, lease: LeaseId) -> Result<()> {
        self.call(|reply| Command::End(lease, reply))?
    }

    fn owner(&self, lease: LeaseId) -> Result<Option<DeviceId>> {
        self.call(|reply| Command::Owner(lease, reply))
    }

    fn end_device(&self, device: DeviceId) -> Result<()> {
        self.call(|reply| Command::EndDevice(device, reply))
    }

    fn sessions(&self) -> Result<Vec<LiveSession>> {
        self.call(Command::Sessions)
    }

    fn ice_servers(&self, now: Timestamp) -> Vec<IceServer> {
        turn::ice_servers(&self.shared.config.stun, &self.shared.config.turn, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breakdown_is_followed_by_a_new_round() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("made");
        let (sessions, mut rounds) = (AtomicUsize::new(3), 0);
        keep_up(&runtime, &sessions, || {
            rounds += 1;
            assert!(rounds > 2, "a defect");
        });
        assert_eq!((rounds, sessions.load(Ordering::Relaxed)), (3, 0));
    }
}
