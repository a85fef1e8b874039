//! What the store is opened with.

use perch_domain::access::SessionConfig;
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use std::path::PathBuf;

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
}
