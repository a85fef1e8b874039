//! `perch export`: one MP4 of a range, without re-encoding.

use crate::config::Config;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::archive::TimeRange;
use perch_domain::ports::{ArchivePort, Export};
use perch_pki::BoxKey;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Writes the file; one that exists is never overwritten.
pub fn run(config: Option<&Path>, camera: &str, from: &str, to: &str, out: &Path) -> Result<ExitCode> {
    let config = Config::load(config)?;
    let camera = CameraId::new(camera)?;
    let range = TimeRange::new(Timestamp::parse(from)?, Timestamp::parse(to)?)?;
    let is_configured = config.cameras.iter().any(|c| c.id == camera);
    let store = super::open_store(&config)?;
    match BoxKey::open(&config.data_dir) {
        Ok(key) => store.recordings().sign_with(Arc::new(key)),
        Err(e) => complain!("The file is not signed: {e}"),
    }
    let export = store.recordings().export(&camera, range).map_err(|e| match e.kind() {
        // What a camera recorded before it was taken out of the config can be had; a mistyped name is reported.
        ErrorKind::NotFound if !is_configured => {
            let known: Vec<_> = config.cameras.iter().map(|c| c.id.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::not_found(format!("{}, and the config has no camera `{camera}` (it has {known})", e.message()))
        }
        _ => e,
    })?;
    let failed = || format!("{} cannot be written", out.display());
    let file = File::create_new(out).context(ErrorKind::Io, failed)?;
    let bytes = write(export, file, failed).inspect_err(|_| {
        // A piece would look like the whole, and keep the next try from writing. What went wrong matters more than this.
        let _ = std::fs::remove_file(out);
    })?;
    say!("{}: {:.1} MB", out.display(), bytes as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}

/// Returns the bytes written.
fn write(export: Export, mut file: File, failed: impl Fn() -> String + Copy) -> Result<usize> {
    let mut bytes = 0;
    for chunk in export.chunks {
        let chunk = chunk?;
        file.write_all(&chunk).context(ErrorKind::Io, failed)?;
        bytes += chunk.len();
    }
    file.sync_all().context(ErrorKind::Io, failed)?;
    Ok(bytes)
}
