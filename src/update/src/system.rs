//! The files of `domain::exchange` that perch and the root scripts of the card image tell each other things by: all small, all read
//! without trust.

use perch_base::files::{self, Links, read_small};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::exchange;
use perch_domain::system::{Granted, Wishes};
use perch_domain::update::{BootFacts, LastUpdate, image_version};
use std::fs;
use std::path::{Path, PathBuf};

/// Where they are.
#[derive(Clone, Debug)]
pub struct Places {
    /// What holds until the next start.
    pub run: PathBuf,
    /// The same, of root's own.
    pub system: PathBuf,
    /// What outlives it.
    pub update: PathBuf,
    /// `/etc/os-release`: which image runs.
    pub os_release: PathBuf,
}

impl Places {
    /// Those of the card image.
    pub fn of_the_card(run: Option<PathBuf>) -> Self {
        let run = run.unwrap_or_else(|| exchange::RUN.into());
        Self {
            run,
            system: exchange::SYSTEM.into(),
            update: exchange::UPDATE.into(),
            os_release: "/etc/os-release".into(),
        }
    }

    /// The version that runs, which is what an update replaces: the image's, else that of this program.
    pub fn version(&self, of_program: &str) -> String {
        // A link to where the image keeps it; nobody but the image wrote either.
        let os_release = self.boot().and_then(|_| fs::read_to_string(&self.os_release).ok());
        os_release.and_then(|text| image_version(&text)).unwrap_or_else(|| of_program.to_owned())
    }

    /// What the boot script says; `None` where there is none: no card image.
    pub fn boot(&self) -> Option<BootFacts> {
        read(&self.run.join(exchange::BOOT.name)).map(|text| BootFacts::parse(&text))
    }

    /// How the last update ended.
    pub fn last(&self) -> Option<LastUpdate> {
        read(&self.update.join(exchange::LAST_UPDATE.name)).and_then(|text| LastUpdate::parse(&text))
    }

    /// Asks for a restart into the slot that was written, to try it.
    pub fn ask_for_trial(&self) -> Result<()> {
        put(&self.trial_request(), "")
    }

    /// The file that asks for it, which an owner can make as well.
    pub fn trial_request(&self) -> PathBuf {
        self.run.join(exchange::REBOOT_TRIAL.name)
    }

    /// Asks root for a change of the system.
    pub fn wish(&self, wishes: &Wishes) -> Result<()> {
        put(&self.run.join(exchange::WISHES.name), wishes.text().expose())
    }

    /// Whether root has not read the last wish yet.
    pub fn is_wishing(&self) -> bool {
        self.run.join(exchange::WISHES.name).symlink_metadata().is_ok()
    }

    /// What became of the last wish.
    pub fn granted(&self) -> Option<Granted> {
        read(&self.system.join(exchange::WISHED.name)).map(|text| Granted::parse(&text))
    }

    /// The name of the Wi-Fi network that is set, and the fingerprint of the SSH key.
    pub fn owned(&self) -> (Option<String>, Option<String>) {
        let text = read(&self.system.join(exchange::OWNED.name)).unwrap_or_default();
        let value =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
        let ssid = value("ssid").and_then(|hex| {
            let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
            (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()
        });
        (ssid.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()), value("ssh"))
    }

    /// Says why the health gate is not content; empty: it is.
    pub fn tell_health(&self, sentence: &str) -> Result<()> {
        let line = if sentence.is_empty() { String::new() } else { format!("{sentence}\n") };
        put(&self.run.join(exchange::HEALTH.name), &line)
    }
}

/// Reads a small file. Root does too (`perch update`), in a folder that another user may write: so no link, and nothing that waits.
fn read(path: &Path) -> Option<String> {
    let bytes = read_small(path, exchange::MAX_FILE_BYTES, Links::Refuse).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts a file there whole, for root's scripts to read.
fn put(path: &Path, text: &str) -> Result<()> {
    files::put(path, text.as_bytes(), 0o600, None).map_err(|e| {
        let why = Error::new(ErrorKind::Io, "what is asked of the system cannot be written down");
        why.with_inside(path.display().to_string()).with_source(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FileType, Mode};
    use std::os::unix::fs::symlink;

    fn places() -> (tempfile::TempDir, Places) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().to_owned();
        (
            dir,
            Places {
                run: path.clone(),
                system: path.clone(),
                update: path.clone(),
                os_release: path.join("os-release"),
            },
        )
    }

    #[test]
    fn what_is_asked_for_goes_through_no_link() {
        let (dir, places) = places();
        let victim = dir.path().join("victim");
        fs::write(&victim, "kept").expect("written");
        for name in ["reboot-trial", "reboot-trial.new", "health", "health.new"] {
            symlink(&victim, dir.path().join(name)).expect("linked");
        }
        places.ask_for_trial().expect("asked");
        places.tell_health("no picture").expect("written");
        assert_eq!(fs::read_to_string(&victim).expect("read"), "kept");
        for (name, want) in [("reboot-trial", ""), ("health", "no picture\n")] {
            let path = dir.path().join(name);
            assert!(path.symlink_metadata().expect("there").is_file(), "{name}");
            assert_eq!(fs::read_to_string(&path).expect("read"), want);
        }
        // Nothing else is left behind.
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 3);
    }

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        let (dir, places) = places();
        let boot = dir.path().join("boot");
        rustix::fs::mknodat(rustix::fs::CWD, &boot, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        assert_eq!(places.boot(), None);
        fs::remove_file(&boot).expect("removed");
        fs::write(dir.path().join("other"), "slot=a\n").expect("written");
        symlink(dir.path().join("other"), &boot).expect("linked");
        assert_eq!(places.boot(), None);
        fs::rename(dir.path().join("other"), &boot).expect("moved");
        assert_eq!(places.boot().and_then(|b| b.slot).as_deref(), Some("a"));
    }
}
