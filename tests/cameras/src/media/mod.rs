//! Pictures and sound, made once by ffmpeg into `target/test-media/` and read from there. A file's name holds a hash of how it was
//! made: who changes the how gets a new file.

pub mod draw;
mod inputs;
mod jpeg;
mod sound;
mod units;

pub use inputs::*;
pub use jpeg::{Jpeg, tables as jpeg_tables};
pub use sound::{Track, aac, aac_program, aac_short, g722, g726, l16, mp2, mp3, opus, pcm};
pub use units::{Unit, h264_kind, h264_units, h265_kind, h265_units, nals};

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// This machine cannot make it: ffmpeg, or an encoder of it, is not here.
#[derive(Clone, Debug)]
pub struct Absent(pub String);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the inputs lie: `PERCH_TEST_MEDIA`, else in the target folder.
pub fn folder() -> PathBuf {
    let named = std::env::var_os("PERCH_TEST_MEDIA").map(PathBuf::from);
    let target = || match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
    };
    named.unwrap_or_else(|| target().join("test-media"))
}

/// The file that ffmpeg makes of `arguments`, words apart; made now if it was not before.
pub fn made(name: &str, arguments: &str) -> Result<Vec<u8>, Absent> {
    // FNV-1a.
    let hash =
        arguments.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let (stem, extension) = name.split_once('.').unwrap_or((name, "bin"));
    let path = folder().join(format!("{stem}-{hash:016x}.{extension}"));
    if let Ok(bytes) = std::fs::read(&path) {
        return Ok(bytes);
    }
    let failed = |what: String| Absent(format!("{name}: {what}"));
    std::fs::create_dir_all(folder()).map_err(|e| failed(e.to_string()))?;
    // Several tests may make the same one at once: each its own, and the last is kept.
    let begun = path.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(&begun)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(format!("ffmpeg: {e}")))?;
    let bytes = std::fs::read(&begun).unwrap_or_default();
    if !made.status.success() || bytes.is_empty() {
        let _ = std::fs::remove_file(&begun);
        return Err(failed(format!("ffmpeg: {}", String::from_utf8_lossy(&made.stderr).trim())));
    }
    std::fs::rename(&begun, &path).map_err(|e| failed(e.to_string()))?;
    Ok(bytes)
}
