//! Looks at single files: what is whole of them is kept, what a crash left is cut off, what is not a recording is set aside. Which
//! files are looked at is decided in `reconcile`.

use crate::files::{is_day, parse_recording_path};
use crate::mp4::read::{self, Scan};
use crate::{Recordings, db};
use perch_base::time::Timestamp;
use perch_domain::retention::leave_quarantine;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// What a file turned out to be.
pub(crate) enum Found {
    /// Readable; cut to its last whole fragment if that was needed.
    Whole {
        /// What is in it.
        scan: Scan,
        /// Whether something was cut off.
        cut: bool,
    },
    /// A recording without a single whole fragment; removed.
    Empty,
    /// Not a recording; set aside.
    Set,
    /// The disk did not let it be read (reported, and left as it is), or it is gone.
    Unknown,
}

impl Recordings {
    /// Opens a file, cuts it to its last whole fragment, removes it when there is none, or sets it aside.
    pub(crate) fn inspect(&self, path: &str) -> Found {
        let why = match self.try_inspect(path) {
            Ok(Ok(found)) => return found,
            Ok(Err(why)) => why,
            // Deleted since it was seen.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Found::Unknown,
            Err(e) => {
                leave(path, &e);
                return Found::Unknown;
            }
        };
        tracing::error!(path, why, "a file among the recordings could not be read and is set aside");
        match self.inner.recordings.move_to(path, &self.inner.quarantine, &quarantine_name(path)) {
            Ok(()) => Found::Set,
            Err(e) => {
                tracing::error!(path, error = %e, "the file could not be set aside");
                Found::Unknown
            }
        }
    }

    fn try_inspect(&self, path: &str) -> io::Result<Result<Found, String>> {
        let file = self.inner.recordings.edit(path)?;
        let length_bytes = file.metadata()?.len();
        let scan = match read::scan(&file)? {
            Ok(scan) => scan,
            // The header is written together with the first fragment: a short piece of it is a power cut, not damage.
            Err(_) if length_bytes == 0 || begins_like_ours(&file, length_bytes)? => {
                return self.drop_empty(path, length_bytes);
            }
            Err(why) => return Ok(Err(why)),
        };
        let cut = scan.size_bytes < length_bytes;
        // Else what is cut off is no more than a crash leaves.
        let goes_on = cut && read::goes_on(&file, scan.size_bytes)?;
        if scan.fragments.is_empty() {
            return if goes_on {
                Ok(Err("its first fragment is damaged".into()))
            } else {
                self.drop_empty(path, length_bytes)
            };
        }
        if cut {
            let bytes = length_bytes - scan.size_bytes;
            if goes_on {
                let name = quarantine_name(path);
                let (from, to) = (&self.inner.recordings, &self.inner.quarantine);
                let kept = match from.cut_and_keep(path, scan.size_bytes, to, &name) {
                    Err(e) if e.kind() == io::ErrorKind::FileTooLarge => {
                        from.cut_and_keep_rest(path, scan.size_bytes, to, &name).map(|()| "what came after")
                    }
                    kept => kept.map(|()| "the whole file"),
                }?;
                self.bound_quarantine();
                tracing::error!(
                    path,
                    bytes,
                    kept,
                    "a recording is damaged in its middle: it was cut off there, and what is `kept` is in the quarantine"
                );
            } else {
                tracing::warn!(path, bytes, "the end of a recording was not whole and was cut off");
                file.set_len(scan.size_bytes)?;
                file.sync_data()?;
            }
        }
        Ok(Ok(Found::Whole { scan, cut }))
    }

    fn drop_empty(&self, path: &str, bytes: u64) -> io::Result<Result<Found, String>> {
        tracing::warn!(path, bytes, "a recording without a whole fragment was removed");
        self.inner.recordings.remove(path)?;
        Ok(Ok(Found::Empty))
    }

    /// Removes the oldest of what was set aside when it grows beyond its bounds.
    pub(crate) fn bound_quarantine(&self) {
        if let Err(e) = db::bound_damaged(&self.inner.config.data_dir) {
            tracing::warn!(error = %e, "old damaged databases could not be removed");
        }
        if let Err(e) = self.try_bound_quarantine() {
            tracing::warn!(error = %e, "old files of the quarantine could not be removed");
        }
    }

    fn try_bound_quarantine(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.inner.quarantine.path())? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                // When it came here: a file that was moved has its recording's time else.
                files.push(((metadata.ctime(), metadata.ctime_nsec()), name, metadata.len()));
            }
        }
        files.sort();
        let sizes_bytes: Vec<u64> = files.iter().map(|file| file.2).collect();
        for (_, name, bytes) in files.into_iter().take(leave_quarantine(&sizes_bytes)) {
            tracing::warn!(name, bytes, "a file was removed from the quarantine to bound it");
            self.inner.quarantine.remove(&name)?;
        }
        Ok(())
    }
}

/// A recording that the disk does not let be read is reported, and nothing is done with it.
pub(crate) fn leave(path: &str, e: &io::Error) {
    tracing::error!(path, error = %e, "a recording could not be looked at: it is left as it is");
}

/// What a recording is called in the quarantine.
fn quarantine_name(path: &str) -> String {
    path.replace('/', "_")
}

/// When what this file of the quarantine holds of `camera` began. `None` where it is of another camera, or of no recording.
pub(crate) fn quarantined_since(camera: &str, name: &str) -> Option<Timestamp> {
    let (day, name) = name.strip_prefix(camera)?.strip_prefix('_')?.split_once('_').filter(|(day, _)| is_day(day))?;
    // Of one that came twice, the second has a number behind its name.
    let stem = name.rsplit_once(".mp4").map_or(name, |(stem, _)| stem);
    let start = parse_recording_path(&format!("{camera}/{day}/{stem}.mp4")).map(|(_, start)| start);
    start.or_else(|| Timestamp::parse(&format!("{day}T00:00:00Z")).ok())
}

/// Whether a file that cannot be read begins with a piece of what this box writes first.
fn begins_like_ours(file: &File, length_bytes: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    const HEAD: &[u8] = b"\0\0\0\x20ftypiso6";
    let mut head = [0; HEAD.len()];
    let n = usize::try_from(length_bytes).unwrap_or(usize::MAX).min(HEAD.len());
    file.read_exact_at(&mut head[..n], 0)?;
    Ok(length_bytes < 4096 && head[..n] == HEAD[..n])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_says_whose_it_is_and_since_when() {
        let at = |text| Some(Timestamp::parse(text).expect("a time"));
        for (name, want) in [
            ("door_2026-05-01_123456.789Z.mp4", at("2026-05-01T12:34:56.789Z")),
            ("door_2026-05-01_123456.789Z-1.mp4", at("2026-05-01T12:34:56.789Z")),
            ("door_2026-05-01_123456.789Z.mp4.2", at("2026-05-01T12:34:56.789Z")),
            ("door_2026-05-01_strange", at("2026-05-01T00:00:00Z")),
            ("door_2_2026-05-01_123456.789Z.mp4", None),
            ("doors_2026-05-01_123456.789Z.mp4", None),
            ("door_2026-13-01_123456.789Z.mp4", None),
            ("door", None),
        ] {
            assert_eq!(quarantined_since("door", name), want, "{name}");
        }
    }
}
