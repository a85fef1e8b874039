//! The system under the box: what an owner sees of it and has changed. The box restarts itself where something starts it again; all else is
//! asked of root by the files of the card image.

use crate::systemd;
use perch_base::files::{Links, read_small};
use perch_base::net::host_name;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::ports::SystemPort;
use perch_domain::system::{Action, NOT_OURS, SystemChange, SystemFacts, Wishes, strongest};
use perch_update::Places;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Notify;

/// Where the kernel says how well Wi-Fi devices hear.
const WIRELESS: &str = "/proc/net/wireless";
/// Which leads to the file of the time zone.
const LOCALTIME: &str = "/etc/localtime";
/// The folder of those files.
const ZONES: &str = "zoneinfo/";

/// The exit code of a box that wants to be started again.
pub const START_AGAIN: u8 = 75;

/// The system of this box.
pub struct BoxSystem {
    places: Places,
    restart: Arc<Notify>,
    is_started_again: bool,
}

impl BoxSystem {
    /// Asked by the files in `places`.
    pub fn new(places: Places) -> Self {
        Self { places, restart: Arc::default(), is_started_again: systemd::is_service() }
    }

    /// Rings when the box is to end and be started again.
    pub fn restart(&self) -> Arc<Notify> {
        self.restart.clone()
    }

    /// Errors where the system is not ours to change, or cannot be changed now.
    fn check(&self) -> Result<()> {
        let boot = self.places.boot().ok_or_else(|| Error::new(ErrorKind::Impossible, NOT_OURS))?;
        if boot.trial {
            let why = "a new version is being tried: wait until it is kept, or the one before is back";
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        if self.places.is_wishing() {
            return Err(Error::new(ErrorKind::Conflict, "another change of the system is being made: wait a moment"));
        }
        Ok(())
    }
}

/// The zone whose file `/etc/localtime` leads to: by several steps on the card image.
fn time_zone() -> Option<String> {
    let file = std::fs::canonicalize(LOCALTIME).ok()?;
    let file = file.to_str()?;
    file.split_once(ZONES).map(|(_, zone)| zone.to_owned())
}

impl SystemPort for BoxSystem {
    fn facts(&self) -> SystemFacts {
        let (ssid, ssh_key) = self.places.owned();
        let wireless = read_small(Path::new(WIRELESS), 64 * 1024, Links::Refuse).unwrap_or_default();
        let alone = "nothing would start it again: perch runs without systemd here";
        SystemFacts {
            hostname: host_name(),
            time_zone: time_zone(),
            ssid,
            signal_dbm: strongest(&String::from_utf8_lossy(&wireless)),
            ssh_key,
            no_restart: (!self.is_started_again).then(|| alone.to_owned()),
            not_ours: self.check().err().map(|e| e.message().to_owned()),
            last: self.places.granted(),
        }
    }

    fn change(&self, change: &SystemChange) -> Result<()> {
        let wishes = Wishes::to_change(change)?;
        self.check()?;
        self.places.wish(&wishes)
    }

    fn act(&self, action: Action) -> Result<()> {
        let Some(wishes) = Wishes::to_act(action) else {
            if !self.is_started_again {
                let why = "perch runs without systemd here, so nothing would start it again: start it again yourself";
                return Err(Error::new(ErrorKind::Impossible, why));
            }
            self.restart.notify_one();
            return Ok(());
        };
        self.check()?;
        self.places.wish(&wishes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::exchange;
    use std::fs;

    fn system(dir: &Path) -> BoxSystem {
        let at = dir.to_owned();
        let places = Places { run: at.clone(), system: at.clone(), update: at.clone(), os_release: at };
        BoxSystem { places, restart: Arc::default(), is_started_again: false }
    }

    #[test]
    fn off_the_card_the_system_is_not_ours() {
        let dir = tempfile::tempdir().expect("a folder");
        let system = system(dir.path());
        assert_eq!(system.facts().not_ours.as_deref(), Some(NOT_OURS));
        for action in [Action::Restart, Action::Reboot, Action::Shutdown] {
            assert_eq!(system.act(action).expect_err("not here").kind(), ErrorKind::Impossible);
        }
        let change = SystemChange { hostname: Some("shop".into()), ..Default::default() };
        assert_eq!(system.change(&change).expect_err("not here").kind(), ErrorKind::Impossible);
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 0);
    }

    #[test]
    fn on_the_card_root_is_asked_once_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let system = system(dir.path());
        let file = |file: exchange::ExchangedFile| dir.path().join(file.name);
        fs::write(file(exchange::BOOT), "slot=a\ntrial=0\nboard=rpi\nserial=1\n").expect("written");
        fs::write(file(exchange::OWNED), "ssid=486f6d65\nssh=ssh-ed25519 SHA256 00\n").expect("written");
        fs::write(file(exchange::WISHED), "at=1800000000\nwifi=back\n").expect("written");
        let facts = system.facts();
        assert_eq!((facts.not_ours, facts.ssid.as_deref()), (None, Some("Home")));
        assert_eq!(facts.last.and_then(|last| last.wifi).as_deref(), Some("back"));
        let change = SystemChange { hostname: Some("shop".into()), ..Default::default() };
        system.change(&change).expect("asked");
        assert_eq!(fs::read_to_string(file(exchange::WISHES)).expect("asked"), "hostname = \"shop\"\n");
        assert_eq!(system.act(Action::Reboot).expect_err("busy").kind(), ErrorKind::Conflict);
        fs::remove_file(file(exchange::WISHES)).expect("root read it");
        system.act(Action::Reboot).expect("asked");
        fs::remove_file(file(exchange::WISHES)).expect("root read it");
        fs::write(file(exchange::BOOT), "slot=a\ntrial=1\n").expect("written");
        assert_eq!(system.act(Action::Reboot).expect_err("a trial").kind(), ErrorKind::Conflict);
    }
}
