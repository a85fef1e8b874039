//! What the store is opened with.

use perch_base::sync::{read, write};
use perch_domain::access::SessionConfig;
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::{CopiesWanted, RetentionConfig};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

/// Where things are kept and within which limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of everything the box keeps; made when missing.
    pub data_dir: PathBuf,
    /// Length and life of pairing codes.
    pub pairing: PairingConfig,
    /// How long a browser stays signed in.
    pub session: SessionConfig,
    /// When recordings go.
    pub retention: RetentionConfig,
    /// Of which copies are to be verified before they go.
    pub copies: CopiesWanted,
}

/// What of it may change while it is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) pairing: PairingConfig,
    pub(crate) session: SessionConfig,
    pub(crate) retention: RetentionConfig,
    pub(crate) copies: CopiesWanted,
}

/// The limits of the moment, which all parts of the store share.
#[derive(Clone, Debug)]
pub struct SharedLimits(Arc<RwLock<Limits>>);

impl SharedLimits {
    pub(crate) fn of(config: &Config) -> Self {
        Self(Arc::new(RwLock::new(Limits::of(config))))
    }

    pub(crate) fn now(&self) -> Limits {
        *read(&self.0)
    }

    /// The store goes by other limits from now on; its folder stays.
    pub fn follow(&self, config: &Config) {
        *write(&self.0) = Limits::of(config);
    }
}

impl Limits {
    fn of(config: &Config) -> Self {
        let Config { pairing, session, retention, copies, .. } = *config;
        Self { pairing, session, retention, copies }
    }
}
