//! WHEP and WHIP: live sessions by WebRTC, of those who watch and of those who speak. One thread and one UDP port serve all viewers; media is packetized once and shared. [`Engine`] is
//! what others ask, [`Server`] makes the attempts that answer. No HTTP here, and no restart: that is the supervisor's.

mod adapt;
mod addresses;
mod answer;
mod cameras;
mod config;
mod demux;
mod dtls;
mod engine;
mod examine;
mod feed;
mod gate;
mod gathering;
mod lines;
mod listening;
mod machine;
mod offer;
mod past;
mod plan;
mod restart;
mod route;
mod sender;
mod server;
mod session;
mod shared;
mod socket;
mod talk;
mod trickle;
mod turn;

pub use cameras::LiveCamera;
pub use config::{Config, TurnServer, Vp8Use};
pub use examine::examine;
pub use gathering::Gatherer;
pub use server::Server;
pub use shared::EngineStats;

use crate::speaker::Speaker;
use cameras::{KeyedCamera, LiveCameras};
use engine::{AnswerSender, Command};
use gathering::Gathered;
use offer::{DtlsIdentity, SendSettings};
use perch_base::clock::SharedClock;
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::repeated::Repeated;
use perch_base::sync::write;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::doctor::LiveFacts;
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::ports::{IceServer, Later, LivePort, TalkAnswer, TalkRequest, WatchAnswer, WatchRequest};
use perch_domain::rate::RateWish;
use perch_domain::status::LiveSession;
use perch_domain::stream_choice::{StreamChoice, not_shown_live};
use perch_domain::talk::{FloorAnswer, TalkAsker};
use perch_domain::viewer_codecs::{H264Stream, H265Stream};
use plan::Sendable;
use session::Start;
use shared::{Counters, Shared};
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock, mpsc as std_mpsc};
use std::time::{Duration, Instant};
use talk::{Talk, TalkStart};
use tokio::sync::mpsc;

/// How long a caller waits for the engine.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const COMMAND_QUEUE: usize = 256;
/// How often estimate and loss are asked for where we may choose the stream: a picture stands soon where less is to be sent.
const LOSS_EVERY: Duration = Duration::from_millis(100);
/// How often is looked for receiver reports and consent that renew the lease.
const LIFE_SIGNS_EVERY: Duration = Duration::from_secs(2);

/// What the rest of the box asks of the engine. It answers while an attempt of its [`Server`] runs; between two of them a call waits
/// for [`CALL_TIMEOUT`], and once the server is gone it errors at once.
pub struct Engine {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    examining: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("local", &self.shared.local).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the port. It is served by the attempts of the server, and closed with it. Errors with `Unavailable` when the port is
    /// taken.
    pub fn open(config: Config, cameras: Vec<LiveCamera>, clock: SharedClock) -> Result<(Arc<Self>, Server)> {
        let socket = socket::bind(config.udp_listen)?;
        let local = socket.local_addr().context(ErrorKind::Io, || "the UDP port has no address")?;
        let known = LiveCameras::default();
        for camera in cameras {
            known.set(camera);
        }
        let (gathered, from_outside) = Gathered::new();
        let shared = Arc::new(Shared {
            config: Arc::new(RwLock::new(Arc::new(config))),
            gathered: Arc::new(gathered),
            cameras: known,
            speakers: Default::default(),
            clock,
            local,
            identity: DtlsIdentity::generate()?,
            counters: Counters::default(),
            unreadable: Repeated::default(),
            defects: Repeated::default(),
        });
        let (commands, command_rx) = mpsc::channel(COMMAND_QUEUE);
        let server = Server::new(shared.clone(), socket, command_rx, from_outside);
        Ok((Arc::new(Self { shared, commands, examining: Default::default() }), server))
    }

    /// Goes by other settings for who comes from now on; the port stays.
    pub fn follow(&self, config: Config) {
        *write(&self.shared.config) = Arc::new(config);
        self.shared.gathered.changed.notify_one();
    }

    /// What gathers the box's candidates from outside: to be run beside the server. Viewers come without it, too, if they come from the house.
    pub fn gatherer(&self) -> Gatherer {
        let Shared { gathered, config, clock, local, .. } = &*self.shared;
        Gatherer::new(gathered.clone(), config.clone(), clock.clone(), *local)
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

    /// Lets people speak through a camera.
    pub fn set_speaker(&self, speaker: Arc<Speaker>) {
        self.shared.speakers.set(speaker);
    }

    /// Lets nobody speak through a camera; whoever does is cut short within a quarter of a second.
    pub fn remove_speaker(&self, id: &CameraId) {
        self.shared.speakers.remove(id);
    }

    /// Figures since start.
    pub fn stats(&self) -> EngineStats {
        self.shared.counters.stats()
    }

    /// What there is of a camera for a viewer that cannot be sent what the camera encodes.
    fn vp8_of(&self, camera: &KeyedCamera) -> Option<KeyedCamera> {
        let by_default = camera.live.vp8.as_ref()?.by_default();
        camera.as_vp8().filter(|_| self.shared.config().vp8.is_on(by_default))
    }

    fn watch_as(&self, camera: Arc<KeyedCamera>, request: &WatchRequest) -> Result<WatchAnswer> {
        let shared = &self.shared;
        let live = &camera.live;
        let newest = |stream| live.hub.latest_keyframe(stream);
        let large = newest(Stream::Main);
        let sent = if live.only_small { newest(Stream::Sub) } else { large.clone() };
        let h265 = live.h265.then(|| large.as_deref().and_then(|p| H265Stream::of(&p.data)).unwrap_or_default());
        let streams = Sendable {
            codec: live.codec,
            h264: sent.as_deref().and_then(|p| H264Stream::of(&p.data)).unwrap_or_default(),
            h265: h265.filter(|_| request.stream != StreamChoice::Fixed(Stream::Sub)),
            audio: live.has_audio,
        };
        let reports_every = if request.stream == StreamChoice::Auto { LOSS_EVERY } else { LIFE_SIGNS_EVERY };
        let wanted = SendSettings { streams, reports_every };
        // The offer is read here, on the caller's thread: a flood of offers does not hold up media.
        // Real time, as in the engine: str0m's.
        let negotiated =
            offer::negotiate(&shared.identity, &shared.candidates(), &request.offer, wanted, Instant::now())?;
        let plays = |codec| negotiated.video.as_ref().is_some_and(|line| line.pt(Some(codec)).is_some());
        let (plays_h265, small) = (plays(VideoCodec::H265), plays(live.codec));
        let choice = request.stream.of_viewer(if live.only_small { plays_h265 } else { small }, small);
        let choice = choice.ok_or_else(|| Error::internal("an SDP answer without video"))?;
        let wish = RateWish { stream: choice, budget: request.budget, sound_only: request.sound_only };
        if let Some(why) = newest(choice.first()).as_deref().and_then(|newest| not_shown_live(newest, plays_h265)) {
            return Err(Error::new(ErrorKind::Unsupported, format!("the camera {why}")));
        }
        let (lease, sdp) = (LeaseId::random(), negotiated.answer.clone());
        let start = Start { lease, viewer: request.viewer.clone(), camera, wish, negotiated };
        self.call(|reply| Command::Begin(Box::new(start), reply))??;
        Ok(WatchAnswer { lease, sdp })
    }

    fn call<T>(&self, command: impl FnOnce(AnswerSender<T>) -> Command) -> Result<T> {
        let unavailable = |why: &str| {
            Error::new(ErrorKind::Unavailable, "live viewing does not answer now: try again in a moment")
                .with_inside(format!("the WebRTC engine {why}"))
        };
        let (reply, answer) = std_mpsc::sync_channel(1);
        self.commands.try_send(command(reply)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => unavailable("has too many commands waiting"),
            mpsc::error::TrySendError::Closed(_) => unavailable("is gone"),
        })?;
        // Real time: it is the caller's thread that waits.
        answer.recv_timeout(CALL_TIMEOUT).map_err(|e| match e {
            std_mpsc::RecvTimeoutError::Timeout => unavailable("took too long"),
            std_mpsc::RecvTimeoutError::Disconnected => unavailable("ended before it answered"),
        })
    }
}

impl LivePort for Engine {
    fn watch(&self, request: WatchRequest) -> Result<WatchAnswer> {
        let shared = &self.shared;
        let camera = shared
            .cameras
            .get(&request.camera)
            .ok_or_else(|| Error::not_found(format!("there is no camera {}", request.camera)))?;
        match self.watch_as(camera.clone(), &request) {
            // What cannot be served either way is refused for the first reason.
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.vp8_of(&camera).and_then(|vp8| self.watch_as(Arc::new(vp8), &request).ok()).ok_or(e)
            }
            done => done,
        }
    }

    fn talk(&self, request: TalkRequest) -> Result<TalkAnswer> {
        let TalkRequest { camera, offer, who, when_busy, may_take_over } = request;
        let speaker = self.shared.speakers.get(&camera);
        let speaker = speaker.ok_or_else(|| Error::not_found(format!("there is no camera {camera}")))?;
        // First, so that one that cannot be answered costs nobody the floor, and no loudspeaker is opened for it.
        let (identity, local) = (&self.shared.identity, self.shared.candidates());
        // Real time, as in the engine: str0m's.
        let negotiated = offer::negotiate_speech(identity, &local, &offer, LIFE_SIGNS_EVERY, Instant::now())?;
        let name = who.username.clone().unwrap_or_else(|| who.device_name.clone());
        let (asker, lease) =
            (TalkAsker { device: who.device_id, name, may_take_over, gives_way: false }, LeaseId::random());
        let (until, ends) = match speaker.ask(&asker, lease, when_busy)? {
            FloorAnswer::Busy(busy) => return Ok(TalkAnswer::Busy(busy)),
            FloorAnswer::Speaks { until, ends } => (until, ends),
        };
        // From here on the floor is given back where it comes to nothing.
        let talk = Talk::new(lease, speaker, self.shared.clock.mono(), until);
        if let Some(before) = ends {
            match self.end(before) {
                // One that ended meanwhile is as it should be.
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => (),
            }
        }
        let sdp = negotiated.answer.clone();
        let start = TalkStart { lease, who, negotiated, talk };
        self.call(|reply| Command::BeginTalk(Box::new(start), reply))??;
        Ok(TalkAnswer::Speaks(WatchAnswer { lease, sdp }))
    }

    fn trickle(&self, lease: LeaseId, fragment: &str) -> Result<Option<String>> {
        let fragment = trickle::parse_fragment(fragment)?;
        self.call(|reply| Command::Trickle(lease, fragment, reply))?
    }

    fn renew(&self, lease: LeaseId) -> Result<()> {
        self.call(|reply| Command::Renew(lease, reply))?
    }

    fn set_sound_only(&self, lease: LeaseId, sound_only: bool) -> Result<()> {
        self.call(|reply| Command::SoundOnly(lease, sound_only, reply))?
    }

    fn end(&self, lease: LeaseId) -> Result<()> {
        self.call(|reply| Command::End(lease, reply))?
    }

    fn owner(&self, lease: LeaseId) -> Result<Option<DeviceId>> {
        self.call(|reply| Command::Owner(lease, reply))
    }

    fn end_device(&self, device: DeviceId) -> Result<()> {
        self.shared.speakers.leave(device);
        self.call(|reply| Command::EndDevice(device, reply))
    }

    fn sessions(&self) -> Result<Vec<LiveSession>> {
        self.call(Command::Sessions)
    }

    fn examine(&self) -> Later<'_, Result<LiveFacts>> {
        Box::pin(async move {
            // Let go when whoever asked hangs up, too.
            let _turn = self.examining.try_lock().map_err(|_| {
                let message = "the ways to this box are being tried already: try again in a moment";
                Error::new(ErrorKind::RateLimited, message)
            })?;
            let Shared { clock, local, .. } = &*self.shared;
            Ok(examine(&self.shared.config(), *local, clock).await)
        })
    }

    fn ice_servers(&self, now: Timestamp, whom: &dyn Display) -> Vec<IceServer> {
        self.shared.config().ice_servers(now, whom)
    }
}
