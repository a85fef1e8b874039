//! Floor 2: the only D-Bus. Updates by RAUC: the spool of uploaded bundles, the check, the installation, and the files by which the
//! root scripts of the card image are asked and heard. Which bundle is taken is decided in `domain`.

#![forbid(unsafe_code)]

mod rauc;
mod spool;
mod system;

pub use rauc::{Bus, Rauc};
pub use system::Places;

use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::exchange;
use perch_domain::update::{
    Bundle, CARD_IMAGE_ONLY, Phase, UpdatePort, UpdateSource, UpdateState, Upload, judge, wanted_unattended,
};
use perch_domain::update_attempt::UpdateAttempt;
use spool::{Incoming, Spool};
use std::sync::{Arc, Mutex, MutexGuard};

/// How it is set up.
#[derive(Clone)]
pub struct Config {
    /// The version of this program; the image's own counts where there is one.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// Where the system's files are.
    pub places: Places,
    /// Where RAUC is.
    pub bus: Bus,
}

/// Updates of this box. Clones share it.
#[derive(Clone)]
pub struct Updater(Arc<Inner>);

struct Inner {
    config: Config,
    spool: Spool,
    attempt: Mutex<UpdateAttempt>,
}

impl Updater {
    /// Bundles of an earlier run are removed.
    pub fn new(config: Config) -> Self {
        let spool = Spool::new(config.places.update.join(exchange::SPOOL.name));
        let boot = config.places.boot();
        if boot.is_some() {
            spool.clear();
        }
        let attempt = Mutex::new(UpdateAttempt::at_start(boot.is_some_and(|b| b.trial)));
        Self(Arc::new(Inner { config, spool, attempt }))
    }

    /// The system's files.
    pub fn places(&self) -> &Places {
        &self.0.config.places
    }

    /// The version that runs: of the image, else of this program.
    pub fn version(&self) -> String {
        self.0.version()
    }

    /// Whether updates can be installed here at all. Asks no disk.
    pub fn is_supported(&self) -> bool {
        self.0.config.places.boot().is_some()
    }

    /// What a trial still waits for; empty: it is content.
    pub fn tell_trial(&self, sentence: &str) {
        self.0.attempt().waits_for(sentence);
    }
}

impl Inner {
    fn attempt(&self) -> MutexGuard<'_, UpdateAttempt> {
        lock(&self.attempt)
    }

    /// The attempt is over, and why; the page shows the sentence, the caller logs the rest.
    fn give_up(&self, e: &Error) {
        // Held meanwhile: whoever begins next must not lose its file.
        let mut attempt = self.attempt();
        attempt.fails(e.message());
        self.spool.clear();
    }

    /// What this phase is about ended without a word.
    fn broke_off(&self, phase: Phase) {
        let mut attempt = self.attempt();
        if attempt.breaks_off(phase) {
            self.spool.clear();
        }
    }

    /// The board that bundles must be for. Errors with `Impossible` on what is no card image.
    fn board(&self) -> Result<String> {
        let facts = self.config.places.boot().ok_or_else(|| Error::new(ErrorKind::Impossible, CARD_IMAGE_ONLY))?;
        facts.board.ok_or_else(|| Error::new(ErrorKind::Impossible, "this box does not say which board it is"))
    }

    fn version(&self) -> String {
        self.config.places.version(&self.config.version)
    }

    fn rauc(&self) -> Result<Rauc> {
        Rauc::connect(&self.config.bus)
    }

    /// Asks the update service, then judges.
    fn check(&self, source: &str, board: &str, force: bool) -> Result<Bundle> {
        let inspected = self.rauc()?.inspect(source);
        // Whoever asked is not shown the service's own words.
        let bundle = inspected.inspect_err(|e| tracing::info!(error = %e, "an update was refused"))?;
        judge(&bundle, Some(board), &self.version(), force)?;
        Ok(bundle)
    }

    fn install(&self, source: &str, bundle: &Bundle) {
        let progress = |percent: u32, doing: &str| {
            tracing::info!(percent, doing, "installing the update");
            self.attempt().installed(percent);
        };
        let installed = self.rauc().and_then(|rauc| rauc.install(source, progress));
        if let Err(e) = installed {
            tracing::error!(error = %e, version = bundle.version, "the update was not installed");
            return self.give_up(&e);
        }
        self.spool.clear();
        match self.config.places.ask_for_trial() {
            Ok(()) => {
                tracing::info!(version = bundle.version, "the update is installed; the box restarts to try it");
                self.attempt().restarts();
            }
            Err(e) => {
                tracing::error!(error = %e, version = bundle.version, "the installed update cannot be tried");
                self.give_up(&e);
            }
        }
    }
}

impl UpdatePort for Updater {
    fn state(&self) -> UpdateState {
        let inner = &self.0;
        let attempt = inner.attempt().clone();
        let facts = inner.config.places.boot();
        let supported = facts.is_some();
        let facts = facts.unwrap_or_default();
        UpdateState {
            version: inner.version(),
            commit: inner.config.commit.clone(),
            supported,
            reason: if supported { String::new() } else { CARD_IMAGE_ONLY.to_owned() },
            phase: attempt.phase(),
            percent: attempt.percent(),
            slot: facts.slot,
            board: facts.board,
            bundle: attempt.bundle().cloned(),
            problem: Some(attempt.problem().to_owned()).filter(|p| !p.is_empty()),
            last: inner.config.places.last(),
        }
    }

    fn receive(&self, bytes: u64) -> Result<Box<dyn Upload>> {
        let board = self.0.board()?;
        self.0.attempt().begin(Phase::Receiving)?;
        match self.0.spool.receive(bytes) {
            Ok(incoming) => {
                let going = Going(self.0.clone(), Phase::Receiving);
                Ok(Box::new(Receiving { incoming, going, board, bytes }))
            }
            Err(e) => {
                self.0.give_up(&e);
                Err(e)
            }
        }
    }

    fn install(&self, source: UpdateSource, force: bool) -> Result<()> {
        let board = self.0.board()?;
        let path = match source {
            UpdateSource::Url(url) => {
                perch_domain::update::check_url(&url)?;
                url
            }
            UpdateSource::Upload => {
                let path = self.0.spool.bundle();
                if !path.exists() {
                    return Err(Error::not_found("there is no uploaded update: upload one first"));
                }
                path.display().to_string()
            }
        };
        self.0.attempt().begin(Phase::Checking)?;
        match self.0.check(&path, &board, force) {
            Ok(bundle) => {
                self.0.attempt().installs(bundle.clone());
                let installing = Going(self.0.clone(), Phase::Installing);
                let started = std::thread::Builder::new()
                    .name("update".into())
                    .spawn(move || installing.0.install(&path, &bundle))
                    .context(ErrorKind::Unavailable, || "the installation cannot be started");
                started.map(drop).inspect_err(|e| self.0.give_up(e))
            }
            Err(e) => {
                self.0.give_up(&e);
                Err(e)
            }
        }
    }

    fn look_up(&self, url: &str) -> Result<Option<Bundle>> {
        let board = self.0.board()?;
        perch_domain::update::check_url(url)?;
        let inner = &self.0;
        let bundle = inner.rauc()?.inspect(url)?;
        let last = inner.config.places.last();
        let wanted = wanted_unattended(&bundle, Some(&board), &inner.version(), last.as_ref());
        Ok(wanted.then_some(bundle))
    }

    fn keep(&self) -> Result<()> {
        self.0.rauc()?.mark_good()?;
        self.0.attempt().keeps();
        Ok(())
    }
}

/// Holds the attempt in its phase; dropped before the next one it leaves the box at rest, so that another can follow.
struct Going(Arc<Inner>, Phase);

impl Going {
    /// From here on whoever goes on says how it ends.
    fn over(mut self) -> Arc<Inner> {
        self.1 = Phase::Idle;
        self.0.clone()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.broke_off(self.1);
    }
}

/// An upload in its phase; dropped before its end the box is at rest again.
struct Receiving {
    incoming: Incoming,
    going: Going,
    board: String,
    bytes: u64,
}

impl Upload for Receiving {
    fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let written = self.incoming.write(chunk)?;
        self.going.0.attempt().received(written, self.bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Bundle> {
        let Self { mut going, incoming, board, .. } = *self;
        let checked = incoming.finish().and_then(|path| {
            going.0.attempt().checks_upload();
            going.1 = Phase::Checking;
            // The same version may be wanted again; that is asked when it is installed.
            going.0.check(&path.display().to_string(), &board, true)
        });
        let inner = going.over();
        match checked {
            Ok(bundle) => {
                inner.attempt().ready(bundle.clone());
                Ok(bundle)
            }
            Err(e) => {
                inner.give_up(&e);
                Err(e)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_that_breaks_down_is_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let places = Places {
            run: dir.path().into(),
            system: dir.path().into(),
            update: dir.path().into(),
            os_release: dir.path().join("os"),
        };
        let config = Config { version: "0.1.0".into(), commit: "abc".into(), places, bus: Bus::default() };
        let updater = Updater::new(config);
        updater.0.attempt().installs(Bundle::default());
        let installing = Going(updater.0.clone(), Phase::Installing);
        let thread = std::thread::spawn(move || {
            let phase = installing.0.attempt().phase();
            panic!("in the middle of {phase:?}");
        });
        assert!(thread.join().is_err());
        let state = updater.state();
        assert_eq!(state.phase, Phase::Idle);
        assert_eq!(state.problem.as_deref(), Some("the installation broke down: try again"));
        updater.0.attempt().begin(Phase::Checking).expect("another may follow");
    }
}
