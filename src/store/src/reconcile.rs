//! Brings index and files together at a start: what was being written is cut to its last whole fragment, unknown files are taken
//! in, missing ones told, unreadable ones set aside. Folders are walked once and rows read once; a sealed file whose length is
//! right is not opened.

use crate::db::Fail;
use crate::fault::io_error;
use crate::files::{is_day, parse_recording_path};
use crate::mp4::read::{self, Scan};
use crate::mp4::write::ntp_to_timestamp;
use crate::segments::{TOUCH_US, format_id, hash_file, length_us, state_from, state_word};
use crate::{Store, db, fragments, gaps};
use perch_base::ids::{CameraId, SegmentId};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{GapCause, SegmentState};
use perch_domain::playback::JOIN_US;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;

/// What was set aside may take this much.
const QUARANTINE_BYTES: u64 = 1 << 30;

/// What a start found and mended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The name that a damaged database was kept under when it was replaced.
    pub database_replaced: Option<String>,
    /// Files without a row that were taken in.
    pub adopted: u64,
    /// Files that were cut to their last whole fragment or back to their neighbour.
    pub cut: u64,
    /// Rows whose file is missing, newly found.
    pub lost: u64,
    /// Files that could not be read and were set aside.
    pub quarantined: u64,
}

/// What a file turned out to be.
enum Found {
    /// Readable; cut to its last whole fragment if that was needed.
    Whole { scan: Scan, sha256: Option<Vec<u8>>, cut: bool },
    /// A recording without a single whole fragment; removed.
    Empty,
    /// Not a recording; set aside.
    Set,
    /// The disk did not let it be read; told and left as it is.
    Unknown,
}

/// What a comparison needs of a row. Light: there may be 100,000.
struct Brief {
    id: SegmentId,
    camera: CameraId,
    path: String,
    start: Timestamp,
    end: Timestamp,
    size: u64,
    state: SegmentState,
    in_event: bool,
}

/// All rows.
fn rows(c: &Connection) -> Result<Vec<Brief>, Fail> {
    let mut statement =
        c.prepare("SELECT id, camera, path, start, end, size, state, event IS NOT NULL FROM segment")?;
    let mut rows = statement.query([])?;
    let mut out = Vec::new();
    while let Some(r) = rows.next()? {
        out.push(Brief {
            id: SegmentId(r.get(0)?),
            camera: CameraId::new(r.get_ref(1)?.as_str().unwrap_or_default())?,
            path: r.get(2)?,
            start: Timestamp(r.get(3)?),
            end: Timestamp(r.get(4)?),
            size: r.get::<_, i64>(5)?.max(0) as u64,
            state: state_from(r.get_ref(6)?.as_str().unwrap_or_default())?,
            in_event: r.get(7)?,
        });
    }
    Ok(out)
}

impl Store {
    /// Compares index and files and mends both. [`Store::open`] calls it; calling it again while recordings are being written
    /// leaves those alone. Errors only when folders or database cannot be used at all; a single bad file is told and set aside.
    pub fn reconcile(&self) -> Result<OpenReport> {
        if self.is_recordings_disk_away() {
            let why = "the disk for recordings is missing or cannot be written";
            return Err(Error::new(ErrorKind::Unavailable, why));
        }
        let mut report = OpenReport::default();
        self.finish_deleting(Some(GapCause::Retention))?;
        let mut on_disk = self.walk()?;
        let mut mine: HashMap<CameraId, Vec<Brief>> = HashMap::new();
        // Rows after files: a file that is begun in between then has a row, or is not seen.
        for row in self.inner.db.read("reading the index", rows)? {
            let size = on_disk.remove(&row.path);
            let newer = self.inner.began.get().is_some_and(|(_, newest)| row.id > *newest);
            if self.live().contains_key(&row.id) || (newer && row.state == SegmentState::Open) {
                continue;
            }
            if let Some(mended) = self.check(row, size, &mut report)? {
                mine.entry(mended.camera.clone()).or_default().push(mended);
            }
        }
        for (path, _) in on_disk {
            if let Some(adopted) = self.adopt(&path, &mut report)? {
                mine.entry(adopted.camera.clone()).or_default().push(adopted);
            }
        }
        for rows in mine.values_mut() {
            rows.sort_by_key(|r| (r.start, r.id));
            self.cut_overlaps(rows, &mut report)?;
        }
        self.end_running_events()?;
        self.note_box_off(&mine)?;
        Ok(report)
    }

    /// A start on a disk that cannot be written: [`Store::reconcile_if_due`] makes up for it.
    pub(crate) fn reconcile_later(&self) {
        let newest = self.inner.db.read("looking up the newest recording", |c| {
            Ok(c.query_row("SELECT coalesce(max(id), 0) FROM segment", [], |r| r.get(0))?)
        });
        if let Ok(newest) = newest {
            let _ = self.inner.began.set((self.now(), SegmentId(newest)));
            self.inner.unreconciled.store(true, Ordering::Relaxed);
        }
    }

    /// Reconciles when the start could not and the disk can be written now.
    pub(crate) fn reconcile_if_due(&self) {
        if !self.inner.unreconciled.load(Ordering::Relaxed) || self.probe_write().is_err() {
            return;
        }
        match self.reconcile() {
            Ok(OpenReport { adopted, cut, lost, quarantined, .. }) => {
                self.inner.unreconciled.store(false, Ordering::Relaxed);
                // Nobody asks for the report of a late one.
                if adopted + cut + lost + quarantined > 0 {
                    tracing::warn!(adopted, cut, lost, quarantined, "recordings and index were brought together");
                }
            }
            Err(e) => tracing::warn!(error = %e, "index and recordings could not be compared yet"),
        }
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
        let mut bytes: u64 = files.iter().map(|f| f.2).sum();
        // The newest stays, however large it is: it was set aside a moment ago.
        files.pop();
        for (_, name, size) in files {
            if bytes <= QUARANTINE_BYTES {
                break;
            }
            tracing::warn!(name, size, "a file was removed from the quarantine to bound it");
            self.inner.quarantine.remove(&name)?;
            bytes -= size;
        }
        Ok(())
    }

    /// All files below `recordings/` that are named like recordings, with their lengths. Links, devices and the like are told
    /// and left alone.
    fn walk(&self) -> Result<HashMap<String, u64>> {
        let root = self.inner.recordings.path();
        let mut out = HashMap::new();
        for (camera, _) in list(root, true)? {
            if CameraId::new(&camera).is_err() {
                tracing::warn!(folder = camera, "a folder among the recordings is not a camera's: it is left alone");
                continue;
            }
            for (day, _) in list(&root.join(&camera), true)? {
                if !is_day(&day) {
                    tracing::warn!(
                        camera,
                        folder = day,
                        "a folder among the recordings is not a day: it is left alone"
                    );
                    continue;
                }
                for (name, size) in list(&root.join(&camera).join(&day), false)? {
                    let path = format!("{camera}/{day}/{name}");
                    if parse_recording_path(&path).is_some() {
                        out.insert(path, size);
                    } else {
                        tracing::warn!(path, "a file among the recordings is not named like one: it is left alone");
                    }
                }
            }
        }
        Ok(out)
    }

    /// Compares one row with its file (`size` is the file's, if it is there). Returns it when it can be read.
    fn check(&self, mut row: Brief, size: Option<u64>, report: &mut OpenReport) -> Result<Option<Brief>> {
        let id = row.id;
        match (row.state, size) {
            (SegmentState::Deleting | SegmentState::Quarantined, _) | (SegmentState::Lost, None) => return Ok(None),
            (SegmentState::Open, None) => {
                // Nothing of it had reached the disk.
                self.forget_open(id)?;
                return Ok(None);
            }
            (SegmentState::Sealed, None) => {
                tracing::warn!(segment = id.0, path = row.path, "a recording is missing");
                report.lost += 1;
                self.set_unreadable(id, SegmentState::Lost)?;
                return Ok(None);
            }
            (SegmentState::Sealed, Some(size)) if size == row.size => return Ok(Some(row)),
            _ => {}
        }
        match self.inspect(&row.path, true)? {
            Found::Whole { scan, sha256, cut } => {
                report.cut += u64::from(cut);
                row.end = row.start.plus_micros(length_us(&scan.fragments));
                (row.size, row.state) = (scan.size, SegmentState::Sealed);
                self.inner.db.write(&format!("recording {} cannot be mended in the index", row.path), |tx| {
                    let sql =
                        "UPDATE segment SET end = ?2, size = ?3, state = 'sealed', init_size = ?4, fragments = ?5,
                        sha256 = ?6, format = ?7, audio = ?8 WHERE id = ?1";
                    let format = format_id(tx, &scan.init.format)?;
                    let (size, init_size) = (scan.size as i64, scan.init.size as i64);
                    let blob = fragments::encode(&scan.fragments);
                    let audio = scan.init.channels;
                    tx.prepare_cached(sql)?
                        .execute(params![id.0, row.end.0, size, init_size, blob, sha256, format, audio])?;
                    Ok(())
                })?;
                Ok(Some(row))
            }
            Found::Empty => {
                self.forget_open(id)?;
                Ok(None)
            }
            Found::Set => {
                report.quarantined += 1;
                self.set_unreadable(id, SegmentState::Quarantined)?;
                Ok(None)
            }
            Found::Unknown => Ok(None),
        }
    }

    fn set_unreadable(&self, id: SegmentId, state: SegmentState) -> Result<()> {
        self.inner.db.write(&format!("recording {id} cannot be marked in the index"), |tx| {
            let sql = "UPDATE segment SET state = ?2, size = 0, fragments = NULL, sha256 = NULL WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![id.0, state_word(state)])?;
            Ok(())
        })
    }

    /// Enters a file that has no row. Its time is what its `prft` says, when that agrees with its name to the second, else its
    /// name's.
    fn adopt(&self, path: &str, report: &mut OpenReport) -> Result<Option<Brief>> {
        let Some((camera, named)) = parse_recording_path(path) else { return Ok(None) };
        let scan = match self.inspect(path, false)? {
            Found::Whole { scan, cut, .. } => {
                report.cut += u64::from(cut);
                scan
            }
            Found::Empty | Found::Unknown => return Ok(None),
            Found::Set => {
                report.quarantined += 1;
                return Ok(None);
            }
        };
        let told = scan.ntp.map(|ntp| ntp_to_timestamp(ntp, named));
        let start = told.filter(|t| t.micros_since(named).abs() < 1_000_000).unwrap_or(named);
        let end = start.plus_micros(length_us(&scan.fragments));
        let id = self.inner.db.write(&format!("recording {path} cannot be taken in"), |tx| {
            let format = format_id(tx, &scan.init.format)?;
            let sql = "INSERT INTO segment (camera, path, start, end, size, state, format, audio, init_size, fragments)
                VALUES (?1, ?2, ?3, ?4, ?5, 'sealed', ?6, ?7, ?8, ?9) RETURNING id";
            let (size, init_size) = (scan.size as i64, scan.init.size as i64);
            let blob = fragments::encode(&scan.fragments);
            let row = params![camera.as_str(), path, start.0, end.0, size, format, scan.init.channels, init_size, blob];
            Ok(tx.prepare_cached(sql)?.query_row(row, |r| r.get(0))?)
        })?;
        report.adopted += 1;
        let (id, path, size) = (SegmentId(id), path.to_owned(), scan.size);
        Ok(Some(Brief { id, camera, path, start, end, size, state: SegmentState::Sealed, in_event: false }))
    }

    /// Opens a file, cuts it to its last whole fragment, removes it when there is none, or sets it aside.
    fn inspect(&self, path: &str, hash: bool) -> Result<Found> {
        let why = match self.try_inspect(path, hash) {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(why)) => why,
            Err(e) => {
                tracing::error!(path, error = %e, "a recording could not be looked at: it is left as it is");
                return Ok(Found::Unknown);
            }
        };
        tracing::error!(path, why, "a file among the recordings could not be read and is set aside");
        match self.inner.recordings.move_to(path, &self.inner.quarantine, &quarantine_name(path)) {
            Ok(()) => Ok(Found::Set),
            Err(e) => {
                tracing::error!(path, error = %e, "the file could not be set aside");
                Ok(Found::Unknown)
            }
        }
    }

    fn try_inspect(&self, path: &str, hash: bool) -> io::Result<Result<Found, String>> {
        let file = self.inner.recordings.edit(path)?;
        let length = file.metadata()?.len();
        let scan = match read::scan(&file)? {
            Ok(scan) => scan,
            // The header is written together with the first fragment: a short piece of it is a power cut, not damage.
            Err(_) if length == 0 || begins_like_ours(&file, length)? => return self.drop_empty(path, length),
            Err(why) => return Ok(Err(why)),
        };
        let cut = scan.size < length;
        // Else what is cut off is no more than a crash leaves.
        let goes_on = cut && read::goes_on(&file, scan.size)?;
        if scan.fragments.is_empty() {
            return if goes_on {
                Ok(Err("its first fragment is damaged".into()))
            } else {
                self.drop_empty(path, length)
            };
        }
        if cut {
            let bytes = length - scan.size;
            if goes_on {
                self.inner.recordings.copy_to(path, &self.inner.quarantine, &quarantine_name(path))?;
                self.bound_quarantine();
                tracing::error!(
                    path,
                    bytes,
                    "a recording is damaged in its middle: it was cut off there, and the whole file was copied to the quarantine"
                );
            } else {
                tracing::warn!(path, bytes, "the end of a recording was not whole and was cut off");
            }
            file.set_len(scan.size)?;
            file.sync_data()?;
        }
        let sha256 = if hash { Some(hash_file(&file, scan.size)?) } else { None };
        Ok(Ok(Found::Whole { scan, sha256, cut }))
    }

    fn drop_empty(&self, path: &str, bytes: u64) -> io::Result<Result<Found, String>> {
        tracing::warn!(path, bytes, "a recording without a whole fragment was removed");
        self.inner.recordings.remove(path)?;
        Ok(Ok(Found::Empty))
    }

    /// A power cut between writing an event's file and cutting the one before it leaves the seconds before the event twice.
    fn cut_overlaps(&self, rows: &mut [Brief], report: &mut OpenReport) -> Result<()> {
        for i in 1..rows.len() {
            let (earlier, later) = rows.split_at_mut(i);
            let later = &later[0];
            if !later.in_event {
                continue;
            }
            for row in earlier.iter_mut().rev().take(4) {
                let doubled = row.id < later.id
                    && row.start < later.start
                    && row.end.0 > later.start.0 + TOUCH_US
                    && row.end.0 <= later.end.0 + 1_000_000;
                if doubled {
                    report.cut += 1;
                    let (recorded, _) = self.recorded_by_id(&row.camera, row.id)?;
                    self.cut_back(recorded, later.start)?;
                    row.end = later.start;
                }
            }
        }
        Ok(())
    }

    /// Events that ran when the box went off end with their last recording.
    fn end_running_events(&self) -> Result<()> {
        let began = self.inner.began.get().map_or(i64::MAX, |(began, _)| began.0);
        self.inner.db.write("events that were cut short cannot be ended", |tx| {
            let sql = "UPDATE event SET end = max(start, coalesce(
                (SELECT max(segment.end) FROM segment WHERE segment.event = event.id), start + 1000000)) WHERE end IS NULL AND start < ?1";
            tx.execute(sql, [began])?;
            Ok(())
        })
    }

    /// From the end of a camera's last recording (or when the box was last known to run) to now, the box was off.
    fn note_box_off(&self, mine: &HashMap<CameraId, Vec<Brief>>) -> Result<()> {
        let now = self.inner.began.get().map_or_else(|| self.now(), |(began, _)| *began);
        let alive = self.last_alive().unwrap_or(None).filter(|t| *t <= now.0);
        let days = self.inner.config.retention.max_days.max(self.inner.config.retention.event_max_days);
        let oldest = if days == 0 { i64::MIN } else { now.0.saturating_sub(i64::from(days) * 86_400_000_000) };
        self.inner.db.write("the time for which the box was off cannot be noted", |tx| {
            for (camera, rows) in mine {
                let Some(last) = rows.iter().map(|r| r.end.0).max() else { continue };
                let known: Option<i64> = tx
                    .prepare_cached("SELECT max(end) FROM gap WHERE camera = ?1 AND cause <> 'retention'")?
                    .query_row([camera.as_str()], |r| r.get(0))?;
                // Files that are gone or broken were recorded all the same: the box was not off then.
                let rowed: Option<i64> = tx
                    .prepare_cached("SELECT max(end) FROM segment WHERE camera = ?1 AND end <= ?2")?
                    .query_row(params![camera.as_str(), now.0], |r| r.get(0))?;
                let last = last.max(rowed.unwrap_or(last));
                let since = last.max(known.unwrap_or(last)).max(alive.unwrap_or(last));
                if last >= oldest && now.0.saturating_sub(since) > JOIN_US {
                    gaps::put(tx, camera.as_str(), since, now.0, GapCause::BoxOff)?;
                }
            }
            Ok(())
        })
    }
}

/// What a recording is called in the quarantine.
fn quarantine_name(path: &str) -> String {
    path.replace('/', "_")
}

/// Whether a file that cannot be read begins with a piece of what this box writes first.
fn begins_like_ours(file: &File, length: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    const HEAD: &[u8] = b"\0\0\0\x20ftypiso6";
    let mut head = [0; HEAD.len()];
    let n = usize::try_from(length).unwrap_or(usize::MAX).min(HEAD.len());
    file.read_exact_at(&mut head[..n], 0)?;
    Ok(length < 4096 && head[..n] == HEAD[..n])
}

/// The folders or the regular files in a folder, with their lengths. Anything else, links first of all, is told and left out.
fn list(dir: &Path, folders: bool) -> Result<Vec<(String, u64)>> {
    let told = |e| io_error(|| format!("the folder {} cannot be read", dir.display()), e);
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(told)? {
        let entry = entry.map_err(told)?;
        // Does not follow links.
        let metadata = match entry.metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(told)?,
        };
        let wanted = if folders { metadata.is_dir() } else { metadata.is_file() };
        match entry.file_name().into_string() {
            Ok(name) if wanted => out.push((name, metadata.len())),
            name => {
                tracing::warn!(folder = %dir.display(), ?name, "something among the recordings is not a file or folder of the box: it is left alone");
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_adopted_files_agree_with_their_names() {
        let named = Timestamp(1_800_000_000_123_000);
        let told = ntp_to_timestamp(0, named);
        assert!(told.micros_since(named).abs() > 1_000_000, "a senseless prft is not believed");
    }
}
