//! The files by which perch and the root scripts of the card image tell each other things; all small, all read without trust.

use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::update::{BootFacts, LastUpdate, image_version};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No file of these is larger.
const SMALL: u64 = 16 * 1024;

/// Where they are.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/run/perch`: what holds until the next start.
    pub run: PathBuf,
    /// `/data/update`: what outlives it.
    pub update: PathBuf,
    /// `/etc/os-release`: which image runs.
    pub os_release: PathBuf,
}

impl Places {
    /// Those of the card image.
    pub fn of_the_card(run: Option<PathBuf>) -> Self {
        let run = run.unwrap_or_else(|| "/run/perch".into());
        Self { run, update: "/data/update".into(), os_release: "/etc/os-release".into() }
    }

    /// The version of the image that runs, which is what an update replaces; `None` where there is none.
    pub fn image_version(&self) -> Option<String> {
        self.boot()?;
        read(&self.os_release).and_then(|text| image_version(&text))
    }

    /// What the boot script says; `None` where there is none: no card image.
    pub fn boot(&self) -> Option<BootFacts> {
        read(&self.run.join("boot")).map(|text| BootFacts::parse(&text))
    }

    /// How the last update ended.
    pub fn last(&self) -> Option<LastUpdate> {
        read(&self.update.join("last")).and_then(|text| LastUpdate::parse(&text))
    }

    /// Asks for a restart into the slot that was written, to try it.
    pub fn ask_for_trial(&self) -> Result<()> {
        put(&self.run.join("reboot-trial"), "")
    }

    /// Says why the health gate is not content; empty: it is.
    pub fn tell_health(&self, sentence: &str) -> Result<()> {
        let line = if sentence.is_empty() { String::new() } else { format!("{sentence}\n") };
        put(&self.run.join("health"), &line)
    }
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(SMALL).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(ErrorKind::Io, || format!("{} cannot be written", path.display()))
}
