//! `perch export`: one MP4 of a range, without re-encoding.

use crate::config::Config;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::archive::TimeRange;
use perch_domain::ports::ArchivePort;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Writes the file; one that exists is never overwritten.
pub fn run(config: Option<&Path>, camera: &str, from: &str, to: &str, out: &Path) -> Result<ExitCode> {
    let config = Config::load(config)?;
    let camera = CameraId::new(camera)?;
    let range = TimeRange::new(Timestamp::parse(from)?, Timestamp::parse(to)?)?;
    if !config.cameras.iter().any(|c| c.id == camera) {
        let known: Vec<_> = config.cameras.iter().map(|c| c.id.as_str()).collect();
        return Err(Error::not_found(format!("there is no camera `{camera}`; there are {}", known.join(", "))));
    }
    let store = super::open_store(&config)?;
    let export = store.export(&camera, range)?;
    let failed = || format!("{} cannot be written", out.display());
    let mut file = std::fs::File::create_new(out).context(ErrorKind::Io, failed)?;
    let mut bytes = 0;
    for chunk in export.chunks {
        let chunk = chunk?;
        file.write_all(&chunk).context(ErrorKind::Io, failed)?;
        bytes += chunk.len();
    }
    file.sync_all().context(ErrorKind::Io, failed)?;
    println!("{}: {:.1} MB", out.display(), bytes as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}
