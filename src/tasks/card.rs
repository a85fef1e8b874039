//! The pairing card of a box that nobody owns yet, as a file for the screen and the serial console (`card` in systemd's runtime
//! directory): made anew when its code is too old, emptied when the box is claimed. Without a runtime directory nothing happens.

use crate::pairing_card;
use crate::supervisor::{Ended, Supervisor};
use crate::systemd;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::access::Role;
use perch_domain::pairing::PairingConfig;
use perch_domain::ports::AccessPort;
use perch_store::Store;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// How often the box looks whether it was claimed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Codes that one start puts on the screen by itself. A day has ten in all, and some must be left for `perch pair`.
const CODES: u32 = 5;
/// What stands there when they are used up.
const TOO_OLD: &str = "\n  This box is not yet yours, and its one-time password is too old.\n  \
                       Switch the box off and on again for a new one.\n";

/// What makes and keeps the card.
#[derive(Clone)]
pub struct CardMaker {
    pub store: Store,
    pub clock: SharedClock,
    pub base_url: String,
    pub ca_sha256: String,
    pub pairing: PairingConfig,
}

impl CardMaker {
    /// A card with a fresh code, or nothing when the box is claimed; in the file too.
    pub fn make(&self) -> Result<Option<String>> {
        let made = self.unless_claimed();
        if let Some(path) = path() {
            let text = match &made {
                Ok(card) => card.clone().unwrap_or_default(),
                Err(e) => format!("\n  This box is not yet yours, and no one-time password could be made: {e}\n"),
            };
            if let Err(e) = put(&path, &text) {
                tracing::warn!(error = %e, "the pairing card is not shown on the screen");
            }
        }
        made
    }

    fn unless_claimed(&self) -> Result<Option<String>> {
        if self.store.claimed()? {
            return Ok(None);
        }
        let now = self.clock.utc();
        let code = self.store.issue_code(Role::Admin, now)?;
        pairing_card::render(&self.base_url, &code, &self.ca_sha256, now).map(Some)
    }
}

fn path() -> Option<PathBuf> {
    systemd::runtime_directory().map(|dir| dir.join("card"))
}

/// Replaces what is in the file, in place: whoever shows it waits for the file to be closed.
fn put(path: &std::path::Path, text: &str) -> Result<()> {
    let told = || format!("{} cannot be written", path.display());
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes())).context(ErrorKind::Io, told)
}

/// Keeps the card until the box is claimed. The first one was made before.
pub fn spawn(supervisor: &mut Supervisor, maker: CardMaker) {
    let Some(path) = path() else { return };
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    supervisor.spawn("pairing card", backoff, move |shutdown| run_once(maker.clone(), path.clone(), shutdown));
}

async fn run_once(maker: CardMaker, path: PathBuf, mut shutdown: Shutdown) -> Result<Ended> {
    let mut made_at = maker.clock.utc();
    let mut made = 1;
    loop {
        let now = maker.clock.utc();
        // A clock that was set meanwhile has ended the code too.
        let is_old = made <= CODES && !(made_at..made_at + maker.pairing.ttl).contains(&now);
        let store = maker.store.clone();
        let (maker_now, path_now) = (maker.clone(), path.clone());
        let looked = tokio::task::spawn_blocking(move || -> Result<bool> {
            if store.claimed()? {
                put(&path_now, "")?;
                return Ok(true);
            }
            if is_old && made < CODES {
                return maker_now.make().map(|card| card.is_none());
            }
            if is_old {
                put(&path_now, TOO_OLD)?;
            }
            Ok(false)
        });
        if looked.await.map_err(|e| Error::internal("looking after the pairing card panicked").with_source(e))?? {
            return Ok(Ended::Done);
        }
        if is_old {
            made += 1;
            made_at = now;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.called() => return Ok(Ended::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_replaced_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("card");
        put(&path, "a long card").expect("written");
        put(&path, "short").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "short");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        put(&path, "").expect("emptied");
        assert_eq!(std::fs::metadata(&path).expect("there").len(), 0);
    }
}
