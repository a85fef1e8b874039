//! What `perch setup` is made of: where things are, files written safely, the cameras that the kernel lists, and the resets.

pub mod cameras;
pub mod files;
pub mod owned;
pub mod reset;

use perch_base::clock::SystemClock;
use perch_base::{Error, Result};
use perch_domain::access::SessionConfig;
use perch_domain::exchange;
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use perch_store::Store;
use std::path::PathBuf;
use std::sync::Arc;

/// Where everything is, below a root that tests move.
pub struct Places {
    pub boot_dir: PathBuf,
    pub root: PathBuf,
}

impl Places {
    /// What belongs to the user that runs perch.
    pub fn perch(&self) -> PathBuf {
        self.root.join(exchange::HOME.trim_start_matches('/'))
    }

    pub fn config(&self) -> PathBuf {
        exchange::CONFIG.below(&self.root)
    }

    /// The data folder. Always the card's own: the config belongs to the user perch, and root takes no path from it.
    pub fn data_dir(&self) -> PathBuf {
        exchange::BOX.below(&self.root)
    }

    /// Opens the box's database, which may be a new one. Refuses a data folder in which a link leads elsewhere.
    pub fn open_store(&self) -> Result<Store> {
        files::refuse_links(&self.data_dir())?;
        let config = perch_store::Config {
            data_dir: self.data_dir(),
            pairing: PairingConfig::default(),
            session: SessionConfig::default(),
            retention: RetentionConfig::default(),
            copies: Default::default(),
        };
        Store::open_for_cli(config, Arc::new(SystemClock))
    }
}

/// Sentences for the console.
#[derive(Default)]
pub struct Log {
    lines: Vec<String>,
    faults: u32,
}

impl Log {
    /// Everything that was said.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether nothing failed.
    pub fn is_clean(&self) -> bool {
        self.faults == 0
    }

    /// What was done, or was not taken.
    pub fn say(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        say!("{sentence}");
        self.lines.push(sentence);
    }

    /// Something that should have worked did not.
    pub fn fault(&mut self, error: &Error) {
        self.faults += 1;
        self.say(format!("failed: {error}"));
    }

    /// Says what was done, or the fault.
    pub fn done(&mut self, result: Result<()>, sentence: impl Into<String>) {
        match result {
            Ok(()) => self.say(sentence),
            Err(e) => self.fault(&e),
        }
    }
}
