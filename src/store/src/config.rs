//! What the store is opened with.

use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use std::path::PathBuf;
use std::time::Duration;

/// Where things are kept and within which limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of everything the box keeps; made when missing.
    pub data_dir: PathBuf,
    /// Length and life of pairing codes.
    pub pairing: PairingConfig,
    /// A session that asked nothing for so long has ended.
    pub session_idle: Duration,
    /// A session ends so long after signing in.
    pub session_max: Duration,
    /// When recordings go.
    pub retention: RetentionConfig,
}
