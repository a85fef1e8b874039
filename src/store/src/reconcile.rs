//! Brings index and files together after a start, without keeping the box off.
//!
//! Before anything is recorded, [`Store::open`] closes what a crash left: open files are cut to their last whole fragment, the
//! newest rows are held against their files, events end, and the time the box was off is noted. All of that is bounded, however
//! much was recorded. The rest is done by [`Recordings::reconcile_step`] beside the running box, the newest day first: unknown files are
//! taken in, missing ones noted, unreadable ones set aside. Every step is whole in itself: a kill between two costs nothing, the next
//! start goes on. What this process records has newer rows than the newest at its start, and is never touched. Here is what is
//! compared and in which order; what is done with a row and a file that differ is in `repair`.

use crate::fault::io_error;
use crate::files::{is_day, parse_recording_path};
use crate::inspect::{Found, leave};
use crate::progress::{Folder, OpenReport};
use crate::reading::{Fail, of_row};
use crate::repair::{BRIEF, Brief};
use crate::{Recordings, gap_rows};
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use perch_domain::archive::{Gap, GapCause};
use perch_domain::repair::{LastSigns, UNRECORDED_EVENT_US};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;

/// Rows that a start holds against their files before it goes on: an hour of four cameras.
const NEWEST: i64 = 256;

/// Files without a row that one step takes in.
const BATCH: usize = 64;

/// The folders (`camera/day`) that any row names.
fn folders_of_rows(c: &Connection) -> Result<Vec<String>, Fail> {
    let mut next = c.prepare_cached("SELECT path FROM segment WHERE path > ?1 ORDER BY path LIMIT 1")?;
    let (mut at, mut out) = (String::new(), Vec::new());
    while let Some(path) = next.query_row([&at], |r| r.get::<_, String>(0)).optional()? {
        at = match path.rsplit_once('/') {
            Some((folder, _)) => {
                out.push(folder.to_owned());
                behind(folder)
            }
            None => path,
        };
    }
    Ok(out)
}

/// What sorts behind every path in a folder: `0` follows `/`.
fn behind(folder: &str) -> String {
    format!("{folder}0")
}

impl Recordings {
    /// The first part of a start. Errors are logged and tried again: recording what happens now matters more than what happened.
    pub(crate) fn start_comparing(&self) -> Result<()> {
        // What was ever given away counts, too: an id is never used again.
        let (newest, cut_short) = self.inner.db.read("looking up the newest recording", |c| {
            let sql = "SELECT max(coalesce((SELECT max(id) FROM segment), 0),
                coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'segment'), 0))";
            let newest = SegmentId(c.query_row(sql, [], |r| r.get(0))?);
            let mut running = c.prepare("SELECT id FROM event WHERE end IS NULL")?;
            let running = running.query_map([], |r| r.get(0).map(EventId))?.collect::<Result<_, _>>()?;
            Ok((newest, running))
        })?;
        self.index().rows().begin_after(newest);
        {
            let p = &mut self.state().progress;
            (p.started, p.cut_short) = (Some((self.now(), newest)), cut_short);
        }
        if let Err(e) = self.close_crashed() {
            tracing::error!(error = %e, "what was being recorded at the last end could not be looked at yet");
        }
        Ok(())
    }

    /// Does all the steps that are left; returns what was found since the start. See [`Recordings::reconcile_step`].
    pub fn reconcile(&self) -> Result<OpenReport> {
        while self.reconcile_step()? {}
        Ok(self.open_report())
    }

    /// Compares some more of index and files and repairs both; whether anything is left to compare. Takes as long as looking at
    /// 64 files, or at a folder whose files are all known. Errors only when folders or database cannot be used at all, and then
    /// goes on from there; a single bad file is logged and set aside.
    pub fn reconcile_step(&self) -> Result<bool> {
        let _one_at_a_time = lock(&self.inner.comparing);
        if !self.is_comparing_with(&self.state().progress) {
            return Ok(false);
        }
        self.refuse_if_away()?;
        if !self.state().progress.is_closed {
            // A start on a disk that could not be written.
            self.probe_write()?;
            self.close_crashed()?;
        } else if self.state().progress.folders.is_none() {
            self.list_folders()?;
        } else if !self.adopt_strangers()? {
            let newest = self.state().progress.folders.as_ref().and_then(|f| f.back().cloned());
            if let Some(folder) = newest {
                self.compare(&folder)?;
            }
        }
        Ok(self.is_comparing_with(&self.state().progress))
    }

    /// Brings [`Recordings::known_before`] forward by a day: whoever is about to delete the oldest must know it.
    pub(crate) fn know_the_oldest(&self) -> Result<()> {
        let _one_at_a_time = lock(&self.inner.comparing);
        self.refuse_if_away()?;
        if self.state().progress.folders.is_none() {
            self.list_folders()?;
        }
        while self.adopt_strangers()? {}
        let oldest = self.state().progress.folders.as_ref().and_then(|f| f.front().cloned());
        if let Some(folder) = oldest {
            self.compare(&folder)?;
            while self.adopt_strangers()? {}
        }
        Ok(())
    }

    /// Closes what the last end left open, and holds the newest rows against their files.
    fn close_crashed(&self) -> Result<()> {
        self.refuse_if_away()?;
        let (_, newest) = self.started();
        let rows = self.inner.db.read(format_args!("reading the recordings up to {newest}"), |c| {
            let damaged = &self.inner.db.damaged;
            let open = format!("{BRIEF} WHERE state <> 'sealed' AND state = 'open' AND id <= ?1");
            let last = format!("{BRIEF} WHERE id <= ?1 ORDER BY id DESC LIMIT {NEWEST}");
            let mut rows = damaged.all(c.prepare(&open)?.query([newest.0])?, Brief::from_row)?;
            rows.extend(damaged.all(c.prepare(&last)?.query([newest.0])?, Brief::from_row)?);
            rows.sort_by_key(|r| r.id);
            rows.dedup_by_key(|r| r.id);
            Ok(rows)
        })?;
        let mut mine: HashMap<CameraId, Vec<Brief>> = HashMap::new();
        for row in rows {
            let size_bytes = match self.inner.recordings.length_bytes(&row.path) {
                Ok(bytes) => bytes,
                Err(e) => {
                    leave(&row.path, &e);
                    continue;
                }
            };
            if let Some(whole) = self.check(row, size_bytes)? {
                mine.entry(whole.camera.clone()).or_default().push(whole);
            }
        }
        for rows in mine.values_mut() {
            self.cut_overlaps(rows)?;
        }
        self.end_running_events()?;
        for camera in self.cameras_of_rows()? {
            self.note_box_off(&camera)?;
        }
        self.state().progress.is_closed = true;
        Ok(())
    }

    fn cameras_of_rows(&self) -> Result<Vec<CameraId>> {
        self.inner.db.read("looking up whose recordings there are", |c| {
            let mut next = c.prepare("SELECT min(camera) FROM segment WHERE camera > ?1")?;
            let (mut at, mut out) = (String::new(), Vec::new());
            while let Some(camera) = next.query_row([&at], |r| r.get::<_, Option<String>>(0))? {
                let read = of_row(format_args!("recordings of camera {camera:?}"), || Ok(CameraId::new(&camera)?));
                out.extend(self.inner.db.damaged.readable(read)?);
                at = camera;
            }
            Ok(out)
        })
    }

    /// Finds every folder that files or rows may lie in, and counts the files. Links, devices and the like are reported and left
    /// alone.
    fn list_folders(&self) -> Result<()> {
        let root = self.inner.recordings.path();
        let (mut found, mut total) = (BTreeSet::new(), 0);
        for (camera, _) in list(root, true)? {
            if CameraId::new(&camera).is_err() {
                tracing::warn!(folder = camera, "a folder among the recordings is not a camera's: it is left alone");
                continue;
            }
            let days = match list(&root.join(&camera), true) {
                Ok(days) => days,
                Err(e) => {
                    self.leave_unread(e)?;
                    continue;
                }
            };
            for (day, _) in days {
                let folder = Folder { day, camera: camera.clone() };
                if !is_day(&folder.day) || folder.begins().is_none() {
                    tracing::warn!(
                        camera,
                        folder = folder.day,
                        "a folder among the recordings is not a day: it is left alone"
                    );
                    continue;
                }
                total += std::fs::read_dir(root.join(folder.path())).map_or(0, |entries| entries.count() as u64);
                found.insert(folder);
            }
        }
        let of_rows = self.inner.db.read("looking up where recordings should be", folders_of_rows)?;
        found.extend(of_rows.iter().filter_map(|path| {
            let (camera, day) = path.split_once('/').filter(|(_, day)| is_day(day))?;
            let folder = Folder { day: day.to_owned(), camera: camera.to_owned() };
            folder.begins().is_some().then_some(folder)
        }));
        let p = &mut self.state().progress;
        (p.files_total, p.folders) = (total, Some(found.into_iter().collect()));
        Ok(())
    }

    /// One folder cannot be read: it is reported, and the others go on. Errors when the disk is away, with all of them.
    fn leave_unread(&self, e: Error) -> Result<()> {
        self.refuse_if_away()?;
        tracing::error!(error = %e, "a folder of recordings cannot be read: it is left as it is until the next start");
        Ok(())
    }

    /// The files of a folder. A link in the place of a folder is not followed: what the rows say lies there is then missing.
    fn files_in(&self, folder: &Folder) -> Result<Vec<(String, u64)>> {
        let root = self.inner.recordings.path();
        for path in [root.join(&folder.camera), root.join(folder.path())] {
            match std::fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Ok(Vec::new()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(io_error(|| format!("the folder {} cannot be read", path.display()), e)),
            }
        }
        list(&root.join(folder.path()), false)
    }

    fn is_done_with(&self, folder: &Folder) {
        if let Some(folders) = &mut self.state().progress.folders {
            folders.retain(|f| f != folder);
        }
    }

    /// Compares the rows and files of one folder; the files without a row are taken in by the steps that follow.
    fn compare(&self, folder: &Folder) -> Result<()> {
        let path = folder.path();
        let files = match self.files_in(folder) {
            Ok(files) => files,
            Err(e) => {
                self.leave_unread(e)?;
                self.is_done_with(folder);
                return Ok(());
            }
        };
        let mut on_disk = HashMap::new();
        for (name, size_bytes) in files {
            let path = format!("{path}/{name}");
            if parse_recording_path(&path).is_some() {
                on_disk.insert(path, size_bytes);
            } else {
                tracing::warn!(path, "a file among the recordings is not named like one: it is left alone");
                self.state().progress.files_done += 1;
            }
        }
        // Files first, then what is being written, then rows: whatever is started or sealed meanwhile is seen by one of them.
        for live in self.live().values() {
            on_disk.remove(&live.path);
        }
        let (_, newest) = self.started();
        let rows = self.inner.db.read(format_args!("reading the recordings of {path} in the index"), |c| {
            let sql = format!("{BRIEF} WHERE path > ?1 AND path < ?2");
            self.inner
                .db
                .damaged
                .all(c.prepare_cached(&sql)?.query([format!("{path}/"), behind(&path)])?, Brief::from_row)
        })?;
        let mut known = Vec::with_capacity(rows.len());
        let seen = on_disk.len();
        for row in rows {
            let size_bytes = on_disk.remove(&row.path);
            if row.id <= newest
                && let Some(whole) = self.check(row, size_bytes)?
            {
                known.push(whole);
            }
        }
        self.cut_overlaps(&mut known)?;
        let mut strangers: Vec<String> = on_disk.into_keys().collect();
        strangers.sort();
        {
            let p = &mut self.state().progress;
            p.files_done += (seen - strangers.len()) as u64;
            p.strangers = strangers;
        }
        self.is_done_with(folder);
        Ok(())
    }

    /// Takes in some of the files without a row; whether there were any.
    fn adopt_strangers(&self) -> Result<bool> {
        let batch: Vec<String> = {
            let p = &self.state().progress;
            p.strangers.iter().rev().take(BATCH).cloned().collect()
        };
        if batch.is_empty() {
            return Ok(false);
        }
        let mut whole = Vec::with_capacity(batch.len());
        for path in &batch {
            match self.inspect(path) {
                Found::Whole { scan, cut } => {
                    self.state().progress.report.cut += u64::from(cut);
                    whole.push((path, scan));
                }
                Found::Set => self.state().progress.report.quarantined += 1,
                Found::Empty | Found::Unknown => {}
            }
        }
        let adopted = self.adopt(&whole)?;
        let cameras: HashSet<CameraId> = batch.iter().filter_map(|path| Some(parse_recording_path(path)?.0)).collect();
        {
            let p = &mut self.state().progress;
            p.report.adopted += adopted;
            p.files_done += batch.len() as u64;
            let left = p.strangers.len() - batch.len();
            p.strangers.truncate(left);
        }
        for camera in cameras {
            if !self.state().progress.noted.contains(&camera) {
                self.note_box_off(&camera)?;
            }
        }
        Ok(true)
    }

    /// Events that ran when the box went off end with their last recording.
    fn end_running_events(&self) -> Result<()> {
        let cut_short = self.state().progress.cut_short.clone();
        self.inner.db.write(format_args!("{} events that were cut short cannot be ended", cut_short.len()), |tx| {
            let mut end = tx.prepare(&format!(
                "UPDATE event SET end = max(start, coalesce((SELECT max(segment.end) FROM segment
                WHERE segment.event = event.id), start + {UNRECORDED_EVENT_US})) WHERE end IS NULL AND id = ?1",
            ))?;
            for event in &cut_short {
                end.execute([event.0])?;
            }
            Ok(())
        })
    }

    /// Notes for how long the box was off before this start, see [`LastSigns::off_since`]. With a lost
    /// index that end is known when the newest day was taken in.
    fn note_box_off(&self, camera: &CameraId) -> Result<()> {
        let (now, _) = self.started();
        let alive_at = self.last_alive().unwrap_or_else(|e| {
            tracing::debug!(error = %e, "it is not known when the box ran last");
            None
        });
        let alive_at = alive_at.filter(|t| *t <= now);
        let kept_since = self.inner.limits.now().retention.kept_since(now);
        let is_known = self.inner.db.write(
            format_args!("camera {camera}: the time for which the box was off cannot be noted"),
            |tx| {
                let one = |sql: &str| -> Result<Option<Timestamp>, Fail> {
                    let row = |r: &Row<'_>| Ok(r.get::<_, Option<i64>>(0)?.map(Timestamp));
                    Ok(tx.prepare_cached(sql)?.query_row(params![camera.as_str(), now.0], row)?)
                };
                let signs = LastSigns {
                    played_until: one(
                        "SELECT max(end) FROM segment WHERE camera = ?1 AND start < ?2 AND state = 'sealed'",
                    )?,
                    recorded_until: one("SELECT max(end) FROM segment WHERE camera = ?1 AND end <= ?2")?,
                    gap_until: one(
                        "SELECT max(end) FROM gap WHERE camera = ?1 AND start < ?2 AND cause <> 'retention'",
                    )?,
                    alive_at,
                };
                if let Some(since) = signs.off_since(kept_since, now) {
                    gap_rows::put(tx, camera.as_str(), &Gap::new(since, now, GapCause::BoxOff))?;
                }
                Ok(signs.played_until.is_some())
            },
        )?;
        if is_known {
            self.state().progress.noted.insert(camera.clone());
        }
        Ok(())
    }
}

/// The folders or the regular files in a folder, with their lengths. Anything else, links first of all, is reported and left out.
fn list(dir: &Path, folders: bool) -> Result<Vec<(String, u64)>> {
    let unread = |e| io_error(|| format!("the folder {} cannot be read", dir.display()), e);
    let mut out = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        // Its last file was deleted a moment ago.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(out),
        other => other.map_err(unread)?,
    };
    for entry in entries {
        let entry = entry.map_err(unread)?;
        // Does not follow links.
        let metadata = match entry.metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(unread)?,
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
