//! The pairing card of a box that nobody owns yet, as a file for the screen and the serial console (`card` in systemd's runtime
//! directory): made again when its code is too old, emptied when the box is claimed. Without a runtime directory only the first card
//! is made, for standard output. When there is a code is decided in `domain`.

use crate::pairing_card;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::systemd;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::time::Timestamp;
use perch_base::{ErrorKind, Result, ResultExt, blocking};
use perch_domain::exchange;
use perch_domain::pairing::CardStep;
use perch_domain::ports::AccessPort;
use perch_domain::running::RunningBox;
use perch_domain::task::TaskId;
use perch_store::Accounts;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the box looks whether it was claimed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How a card begins that says when there will be a code.
const WAITS: &str = "\n  This box is not yet yours, and the one-time passwords of today are used up.\n";
/// How one begins that says how to have another code.
const TOO_OLD: &str = "\n  This box is not yet yours, and its one-time password is too old.\n";

/// What makes the card.
#[derive(Clone)]
pub struct CardMaker {
    pub accounts: Accounts,
    pub clock: SharedClock,
    pub running: RunningBox,
}

/// What stands on the screen. The file outlives perch but not the system's start, so it also tells what this start has shown.
#[derive(Debug, Default)]
struct Screen {
    path: Option<PathBuf>,
    text: String,
    step: Option<CardStep>,
    /// Codes of this start; those before perch itself was started again count as one.
    codes: u32,
}

impl Screen {
    fn found(path: Option<PathBuf>) -> Self {
        let text = path.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let codes = u32::from(!text.is_empty() && !text.starts_with(WAITS));
        Self { path, text, step: None, codes }
    }

    /// A screen that cannot be written costs no second code.
    fn show(&mut self, text: String) {
        if let Some(Err(e)) = self.path.as_ref().map(|path| put(path, &text)) {
            tracing::warn!(error = %e, "the pairing card is not shown on the screen");
        }
        self.text = text;
    }
}

impl CardMaker {
    /// The card that a start begins with, or nothing when the box is claimed; in the file too.
    pub fn first(&self) -> Result<Option<String>> {
        let mut screen = Screen::found(path());
        let is_claimed = self.look(&mut screen)?;
        Ok((!is_claimed).then_some(screen.text))
    }

    /// Looks once, and shows what is to be shown. Returns whether the box is claimed.
    fn look(&self, screen: &mut Screen) -> Result<bool> {
        if self.accounts.claimed()? {
            screen.show(String::new());
            return Ok(true);
        }
        let now = self.clock.utc();
        // How to have another code stays true, so that an empty room is shown no more of them.
        if matches!(screen.step, Some(CardStep::RunOut { .. })) {
            return Ok(false);
        }
        let step = match screen.path {
            Some(_) => self.accounts.card_step(screen.codes, now)?,
            None => CardStep::Issue,
        };
        match step {
            CardStep::Issue => {
                let Some(code) = self.accounts.issue_first_code(now)? else {
                    screen.show(String::new());
                    return Ok(true);
                };
                screen.codes += 1;
                screen.show(pairing_card::render(&self.running, &code, now)?);
            }
            _ if screen.step == Some(step) => {}
            CardStep::Keep => {}
            CardStep::Wait { until } => screen.show(waits(until, now)),
            CardStep::RunOut { from } => screen.show(too_old(from, now)),
        }
        screen.step = Some(step);
        Ok(false)
    }
}

fn waits(until: Timestamp, now: Timestamp) -> String {
    format!(
        "{WAITS}  The next one is shown here at {}; the box's clock says {}.\n  \
         To have one sooner, reset the accounts: put an empty file {} on the card.\n",
        minute(until),
        minute(now),
        exchange::RESET_ACCOUNTS.name
    )
}

fn too_old(from: Option<Timestamp>, now: Timestamp) -> String {
    let not_before = match from {
        Some(from) => {
            format!(
                "  Those of today are used up: not before {}; the box's clock says {}.\n",
                minute(from),
                minute(now)
            )
        }
        None => String::new(),
    };
    format!("{TOO_OLD}  Switch the box off and on again for a new one, or run `perch pair` on it.\n{not_before}")
}

/// A time as a person reads it, to the minute.
fn minute(at: Timestamp) -> String {
    let (day, time) = at.file_parts();
    format!("{day} {}:{} UTC", &time[..2], &time[2..4])
}

fn path() -> Option<PathBuf> {
    systemd::runtime_directory().map(|dir| dir.join(exchange::CARD.name))
}

/// Replaces what is in the file, in place: whoever shows it waits for the file to be closed.
fn put(path: &Path, text: &str) -> Result<()> {
    let message = || format!("{} cannot be written", path.display());
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes())).context(ErrorKind::Io, message)
}

struct KeepCard {
    maker: CardMaker,
    path: PathBuf,
    /// Taken out while it is looked after.
    screen: Option<Screen>,
}

/// Keeps the card until the box is claimed.
pub fn spawn(supervisor: &Supervisor, maker: CardMaker) -> Result<()> {
    let Some(path) = path() else { return Ok(()) };
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    supervisor.spawn(TaskId::PairingCard, backoff, KeepCard { maker, path, screen: None })
}

impl Task for KeepCard {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let (maker, path, kept) = (self.maker.clone(), self.path.clone(), self.screen.take());
            let look = move || {
                let mut screen = kept.unwrap_or_else(|| Screen::found(Some(path)));
                let is_claimed = maker.look(&mut screen);
                Ok((is_claimed, screen))
            };
            let (is_claimed, screen) = blocking("looking after the pairing card", look).await?;
            self.screen = Some(screen);
            if is_claimed? {
                return Ok(AttemptEnd::Done);
            }
            tokio::select! {
                () = self.maker.clock.sleep(LOOK_EVERY) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::{Clock, ManualClock};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

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

    #[test]
    fn the_screen_of_a_box_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::default());
        let places = crate::setup::Places { boot_dir: dir.path().into(), root: dir.path().into() };
        let maker = CardMaker {
            accounts: places.open_store().expect("opened").accounts().clone(),
            clock: clock.clone(),
            running: RunningBox {
                base_url: "https://box".into(),
                plain_urls: Vec::new(),
                ca_sha256: "ab".repeat(32),
                rtsp_port: None,
                cameras: None,
            },
        };
        let path = dir.path().join("card");
        let look = |screen: &mut Screen| {
            assert!(!maker.look(screen).expect("looked"));
            std::fs::read_to_string(&path).expect("read")
        };
        let is_code = |text: &str| text.contains("One-time password: ");
        let minutes = |n: u64| clock.advance(Duration::from_secs(n * 60));

        let mut screen = Screen::found(Some(path.clone()));
        let first = look(&mut screen);
        assert!(is_code(&first));
        // perch itself is started again: the code is still good, and stands there.
        minutes(4);
        screen = Screen::found(Some(path.clone()));
        assert_eq!(look(&mut screen), first);
        let mut seen = vec![first];
        for _ in 0..3 {
            minutes(5);
            let text = look(&mut screen);
            assert!(is_code(&text) && !seen.contains(&text));
            seen.push(text);
        }
        for _ in 0..3 {
            minutes(5);
            let text = look(&mut screen);
            assert!(text.starts_with(TOO_OLD) && !text.contains("not before"), "{text}");
        }
        // The system is started again and again.
        let mut codes = seen.len();
        let waits = loop {
            std::fs::remove_file(&path).expect("removed");
            screen = Screen::found(Some(path.clone()));
            let text = look(&mut screen);
            if !is_code(&text) {
                break text;
            }
            codes += 1;
        };
        assert_eq!(codes, 10);
        assert!(waits.starts_with(WAITS) && waits.contains("The next one is shown here at "), "{waits}");
        let until = screen.step;
        screen = Screen::found(Some(path.clone()));
        assert_eq!(look(&mut screen), waits);
        assert_eq!(screen.step, until);
        minutes(24 * 60);
        assert!(is_code(&look(&mut screen)));
        assert!(maker.accounts.claim("anna", "correct horse", clock.utc()).expect("asked"));
        assert!(maker.look(&mut screen).expect("looked"));
        assert_eq!(std::fs::metadata(&path).expect("there").len(), 0);
    }
}
