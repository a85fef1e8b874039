//! What lies where in the data folder:
//! ```text
//! perch.db                                           accounts, devices, index (mode 0600)
//! perch.lock                                         held by the running daemon
//! reserve                                            space that a start on a full disk gives up
//! recordings/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z.mp4 times in UTC
//! thumbnails/<camera>/<event>.jpg
//! quarantine/                                        files that could not be read
//! manifests/<YYYY-MM-DD>/<n>-<sha256[..16]>.jsonl    what the box signed of its recordings
//! ```

use std::path::Path;

/// The database; what belongs to it, and damaged ones that were set aside, have names that begin so.
pub const DATABASE: &str = "perch.db";
/// Recordings; they may lie on a disk of their own.
pub const RECORDINGS: &str = "recordings";
/// Stills of events.
pub const THUMBNAILS: &str = "thumbnails";
/// Files that could not be read.
pub const QUARANTINE: &str = "quarantine";
/// What the box signed of its recordings.
pub const MANIFESTS: &str = "manifests";

/// All that holds what was recorded.
pub const FOLDERS: [&str; 4] = [RECORDINGS, THUMBNAILS, QUARANTINE, MANIFESTS];

/// Whether a box ever ran with this data folder.
pub fn has_database(data_dir: &Path) -> bool {
    data_dir.join(DATABASE).exists()
}
