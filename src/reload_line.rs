//! The line by which `perch reload` asks the running box to read its file again, and hears what became of it: a local stream socket in the
//! data folder, which only the box's own user and root may open. Nothing is said on it by who asks.

use perch_base::clock::{SharedClock, within};
use perch_base::files::remove;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::settings::changes::SettingsChanged;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

/// The most that an answer may be, bytes: the lines of two whole files.
const MAX_ANSWER_BYTES: u64 = 8 << 20;
/// How long who asked may take to hear it.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// How long the box may take: cameras that go are waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

/// What became of the file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub enum ReloadAnswer {
    /// The box goes by it.
    Taken {
        /// The lines that went and came.
        diff: String,
        /// What it meant, a sentence each.
        effects: Vec<String>,
        /// What does not follow yet.
        not_followed: Vec<String>,
        /// Keys that wait for the next start.
        waits_for_start: Vec<String>,
        /// What is odd in it.
        warnings: Vec<String>,
    },
    /// It does not; what runs goes on.
    Refused {
        /// Whether it is the file that is wrong.
        is_wrong: bool,
        /// What is wrong, with key, value and rule.
        why: String,
    },
}

impl From<&Result<SettingsChanged>> for ReloadAnswer {
    fn from(done: &Result<SettingsChanged>) -> Self {
        match done {
            Ok(SettingsChanged { diff, effects, not_followed, waits_for_start, warnings, .. }) => Self::Taken {
                diff: diff.clone(),
                effects: effects.clone(),
                not_followed: not_followed.clone(),
                waits_for_start: waits_for_start.clone(),
                warnings: warnings.clone(),
            },
            Err(e) => Self::Refused { is_wrong: e.kind() == ErrorKind::Invalid, why: e.to_string() },
        }
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("reload.sock")
}

/// Listens. Fails on a disk that cannot be written: the box runs without, and SIGHUP does the same.
pub fn listen(data_dir: &Path) -> Result<UnixListener> {
    let path = path(data_dir);
    let failed = || "`perch reload` is not heard";
    remove(&path).context(ErrorKind::Io, failed)?;
    let listener = UnixListener::bind(&path).context(ErrorKind::Io, failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).context(ErrorKind::Io, failed)?;
    Ok(listener)
}

/// Says it to who asked. One that does not listen is not waited for.
pub async fn answer(mut asked: UnixStream, answer: &ReloadAnswer, clock: &SharedClock) -> Result<()> {
    let said = serde_json::to_vec(answer).context(ErrorKind::Internal, || "an answer to `perch reload` is no JSON")?;
    let written = within(clock, HEARD_WITHIN, asked.write_all(&said)).await;
    written.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())).context(ErrorKind::Io, || "`perch reload` hung up")
}

/// Asks the box with this data folder and waits for its answer. Errors with `Unavailable` where none runs, with `Forbidden` where this user
/// may not ask.
pub fn ask(data_dir: &Path) -> Result<ReloadAnswer> {
    let asked = StdUnixStream::connect(path(data_dir)).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::Forbidden, "only root and the user that the box runs as may tell it to read its file")
        }
        _ => {
            let folder = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
            let why =
                format!("no box runs with the data folder {}: it reads its file when it starts", folder.display());
            Error::new(ErrorKind::Unavailable, why)
        }
    })?;
    let failed = || "the box did not answer: its log says what became of the file";
    asked.set_read_timeout(Some(ANSWERED_WITHIN)).context(ErrorKind::Io, failed)?;
    let mut said = Vec::new();
    asked.take(MAX_ANSWER_BYTES).read_to_end(&mut said).context(ErrorKind::Unavailable, failed)?;
    serde_json::from_slice(&said).context(ErrorKind::Unavailable, failed)
}
