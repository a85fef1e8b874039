//! What the engine's port and its thread share: settings, cameras, figures.

use super::addresses;
use super::cameras::LiveCameras;
use super::offer::DtlsIdentity;
use super::talk::Speakers;
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::ids::LeaseId;
use perch_base::panic;
use perch_base::repeated::Repeated;
use perch_base::secret::Secret;
use perch_base::sync::read;
use perch_domain::redact::Shown;
use perch_domain::settings::Keys;
use perch_domain::viewers::ViewerLimits;
use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, RwLock};
use str0m::Candidate;

/// The secret of a TURN server and the one before it: both are good while it is changed.
const MAX_SECRETS: usize = 2;

/// A TURN server that viewers may use.
#[derive(Clone, Debug)]
pub struct TurnServer {
    /// `turn:host:port?transport=udp`.
    pub url: String,
    /// The secret shared with it; two while it is changed, the one before it second.
    pub secrets: Vec<Secret>,
}

/// How live sessions are served.
#[derive(Clone, Debug)]
pub struct Config {
    /// The one UDP port; `[::]` serves IPv4 too.
    pub udp_listen: SocketAddr,
    /// Advertised besides the interfaces' addresses: those of a router that forwards the port.
    pub addresses: Vec<IpAddr>,
    /// `stun:host:port` for viewers.
    pub stun: Vec<String>,
    /// TURN servers for viewers.
    pub turn: Vec<TurnServer>,
    /// Sessions at once.
    pub viewers: ViewerLimits,
    /// Whether viewers that offer no H.264 are sent VP8.
    pub vp8: Vp8Use,
}

/// Whether the small stream is encoded once more as VP8 for viewers that offer no H.264.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vp8Use {
    /// Where the board has the power for it.
    #[default]
    Board,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Vp8Use {
    const WORDS: [(&str, Self); 3] = [("board", Self::Board), ("always", Self::Always), ("never", Self::Never)];

    /// Whether it is on; `by_default`: the board has the power for it.
    pub fn is_on(self, by_default: bool) -> bool {
        match self {
            Self::Board => by_default,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl Config {
    /// The key of [`Self::udp_listen`].
    pub const UDP_LISTEN: &str = "webrtc.udp_listen";

    /// The defaults, on `udp_listen`.
    pub fn new(udp_listen: SocketAddr) -> Self {
        Self {
            udp_listen,
            addresses: Vec::new(),
            stun: Vec::new(),
            turn: Vec::new(),
            viewers: ViewerLimits::default(),
            vp8: Vp8Use::Board,
        }
    }

    /// Reads `udp_listen`, `addresses`, `stun`, `turn` and `vp8`. `secret_of` reads the file that holds a TURN server's secret; its error
    /// does not repeat the path.
    pub fn read(keys: &mut impl Keys, secret_of: impl Fn(&str) -> Result<Secret>) -> Self {
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        let addresses = keys.texts("addresses", is_address, "must be IP addresses");
        Self {
            addresses: addresses.iter().filter_map(|text| text.parse().ok()).collect(),
            stun: keys.texts("stun", |text| is_ice_url(text, &["stun:"]), "must be like `stun:host:3478`"),
            turn: keys.sections("turn").into_iter().filter_map(|server| TurnServer::read(server, &secret_of)).collect(),
            vp8: keys.choice("vp8", "board", &Vp8Use::WORDS),
            ..Self::new(keys.address("udp_listen", "0.0.0.0:8189"))
        }
    }
}

impl TurnServer {
    fn read(mut keys: impl Keys, secret_of: impl Fn(&str) -> Result<Secret>) -> Option<Self> {
        let url = keys.text("url", "", 0..=256);
        if !is_ice_url(&url, &["turn:", "turns:"]) {
            keys.problem("url", &*url, "must be like `turn:host:3478?transport=udp`");
        }
        let file = keys.text("secret_file", "", 0..=4096);
        let secret = secret_of(&file).map_err(|e| {
            // Somebody may have written the secret itself here.
            let shown = if file.starts_with(['/', '.']) { Shown::from(&*file) } else { Shown::nothing() };
            keys.problem("secret_file", shown, &format!("must name a file that holds the secret ({e})"));
        });
        keys.finish();
        Some(Self { url, secrets: lines(&secret.ok()?) })
    }
}

/// The first two lines of a secret's file.
fn lines(file: &Secret) -> Vec<Secret> {
    let lines = file.expose().lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(MAX_SECRETS).map(|line| Secret::new(line.into())).collect()
}

fn is_ice_url(text: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":.-[]?=".contains(&b))
}

/// Figures since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Sessions now.
    pub sessions: usize,
    /// Datagrams received.
    pub packets_in: u64,
    /// Of these, datagrams that belong to no session and were dropped.
    pub packets_foreign: u64,
    /// Datagrams sent.
    pub packets_out: u64,
    /// Writes to the kernel; fewer than `packets_out` where segmentation offload works.
    pub writes: u64,
    /// Datagrams dropped because the kernel had no room for long.
    pub packets_dropped: u64,
    /// Changes of a session's protocol machine before the one before was drained: a defect of ours, always 0.
    pub undrained: u64,
}

/// The figures, as the thread counts them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sessions now.
    pub sessions: AtomicUsize,
    /// Datagrams received.
    pub packets_in: AtomicU64,
    /// Of these, those of no session.
    pub packets_foreign: AtomicU64,
    /// Datagrams sent.
    pub packets_out: AtomicU64,
    /// Writes to the kernel.
    pub writes: AtomicU64,
    /// Datagrams dropped.
    pub packets_dropped: AtomicU64,
    /// Changes that came too early.
    pub undrained: AtomicU64,
}

/// What the port and the thread share.
pub struct Shared {
    /// Settings, which may change.
    pub config: RwLock<Arc<Config>>,
    /// What can be watched.
    pub cameras: LiveCameras,
    /// What can be spoken through.
    pub speakers: Speakers,
    /// The time.
    pub clock: SharedClock,
    /// The port as it was opened.
    pub local: SocketAddr,
    /// The certificate of all sessions.
    pub identity: DtlsIdentity,
    /// Figures.
    pub counters: Counters,
    /// Why the addresses of this machine could not be read.
    pub unreadable: Repeated,
    /// What defects said.
    pub defects: Repeated,
}

impl Shared {
    /// The settings of the moment.
    pub fn config(&self) -> Arc<Config> {
        read(&self.config).clone()
    }

    /// Where viewers reach the port; nowhere while this machine's addresses cannot be read.
    pub fn candidates(&self) -> Vec<Candidate> {
        match addresses::candidates(self.local, &self.config().addresses) {
            Ok(candidates) => {
                if let Some(repeats) = self.unreadable.ended() {
                    tracing::info!(repeats, "this machine's addresses can be read again");
                }
                candidates
            }
            Err(e) => {
                if self.unreadable.is_news(&e, self.clock.mono()) {
                    tracing::warn!(error = %e, "this machine's addresses cannot be read: live viewers cannot reach it");
                }
                Vec::new()
            }
        }
    }

    /// A defect was caught over the session of `lease`, which ends. A player that met one comes back at once, and meets it again.
    pub fn met_defect(&self, lease: Option<LeaseId>, panic: &(dyn Any + Send)) {
        let (lease, words) = (lease.map(tracing::field::display), panic::words(panic));
        match self.defects.is_news(&words, self.clock.mono()) {
            true => tracing::error!(lease, words, "live viewing met a defect, which ends one session"),
            false => tracing::debug!(lease, words, "live viewing met the same defect again"),
        }
    }
}

impl Counters {
    /// The figures at this moment.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            sessions: self.sessions.load(Relaxed),
            packets_in: self.packets_in.load(Relaxed),
            packets_foreign: self.packets_foreign.load(Relaxed),
            packets_out: self.packets_out.load(Relaxed),
            writes: self.writes.load(Relaxed),
            packets_dropped: self.packets_dropped.load(Relaxed),
            undrained: self.undrained.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::SystemClock;
    use std::sync::Arc;

    fn shared() -> Shared {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        Shared {
            config: RwLock::new(Arc::new(Config::new(local))),
            cameras: LiveCameras::default(),
            speakers: Speakers::default(),
            clock: Arc::new(SystemClock),
            local,
            identity: DtlsIdentity::generate().expect("made"),
            counters: Counters::default(),
            unreadable: Repeated::default(),
            defects: Repeated::default(),
        }
    }

    #[test]
    fn a_defect_that_players_meet_again_and_again_is_logged_once() {
        let shared = shared();
        for words in ["on purpose", "on purpose", "another", "on purpose"] {
            let panic: Box<dyn Any + Send> = Box::new(words);
            shared.met_defect(Some(LeaseId::random()), &*panic);
        }
        assert_eq!(shared.defects.ended(), Some(2), "two of four are logged");
    }

    #[test]
    fn addresses_that_can_be_read_end_what_was_logged_of_those_that_could_not() {
        let shared = shared();
        assert!(shared.unreadable.is_news("too many files are open", shared.clock.mono()));
        assert!(!shared.candidates().is_empty());
        assert_eq!(shared.unreadable.ended(), None);
    }
}
