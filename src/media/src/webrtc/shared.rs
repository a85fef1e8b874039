//! What the engine's port and its thread share: settings, cameras, candidates, figures.

use super::addresses;
use super::cameras::LiveCameras;
use super::config::Config;
use super::gathering::Gathered;
use super::offer::DtlsIdentity;
use super::talk::Speakers;
use perch_base::clock::SharedClock;
use perch_base::ids::LeaseId;
use perch_base::panic;
use perch_base::repeated::Repeated;
use perch_base::sync::read;
use std::any::Any;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, RwLock};
use str0m::Candidate;

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
    pub config: Arc<RwLock<Arc<Config>>>,
    /// The candidates from outside.
    pub gathered: Arc<Gathered>,
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
        let config = self.config();
        let relayed: Vec<_> = self.gathered.relayed().into_iter().collect();
        if config.relay_only {
            return relayed;
        }
        match addresses::candidates(self.local, &config.addresses, &config.interfaces) {
            Ok(host) => {
                if let Some(repeats) = self.unreadable.ended() {
                    tracing::info!(repeats, "this machine's addresses can be read again");
                }
                let reflexive = self.gathered.reflexive(&host);
                host.into_iter().chain(reflexive).chain(relayed).collect()
            }
            Err(e) => {
                if self.unreadable.is_news(&e, self.clock.mono()) {
                    tracing::warn!(error = %e, "this machine's addresses cannot be read: live viewers cannot reach it");
                }
                relayed
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
            config: Arc::new(RwLock::new(Arc::new(Config::new(local)))),
            gathered: Arc::new(Gathered::new().0),
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
