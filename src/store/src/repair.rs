//! Does what is to be done where a row and its file differ (`perch_domain::repair` says what): a file is taken in, cut or set aside, a row
//! is corrected, marked or forgotten. Which rows and files are held against each other, and when, is `reconcile`'s.

use crate::files::parse_recording_path;
use crate::inspect::Found;
use crate::mp4::read::Scan;
use crate::mp4::write::ntp_to_timestamp;
use crate::reading::{Fail, of_row};
use crate::segment_rows::{Held, format_id, update_row};
use crate::segments::length_us;
use crate::words::{from_word, word};
use crate::{Recordings, fragments};
use perch_base::ids::{CameraId, SegmentId};
use perch_base::time::Timestamp;
use perch_base::{ErrorKind, Result};
use perch_domain::archive::SegmentState;
use perch_domain::repair::{DOUBLED_FILES, RowStep, Stretch, row_step, start_of};
use rusqlite::{Row, params};

/// What a comparison needs of a row.
pub(crate) struct Brief {
    pub(crate) id: SegmentId,
    pub(crate) camera: CameraId,
    pub(crate) path: String,
    start: Timestamp,
    end: Timestamp,
    size_bytes: u64,
    state: SegmentState,
    in_event: bool,
}

pub(crate) const BRIEF: &str = "SELECT id, camera, path, start, end, size, state, event IS NOT NULL FROM segment";

impl Brief {
    pub(crate) fn from_row(r: &Row<'_>) -> Result<Self, Fail> {
        let id = SegmentId(r.get(0)?);
        of_row(format_args!("recording {id}"), || {
            Ok(Self {
                id,
                camera: CameraId::new(r.get_ref(1)?.as_str().unwrap_or_default())?,
                path: r.get(2)?,
                start: Timestamp(r.get(3)?),
                end: Timestamp(r.get(4)?),
                size_bytes: r.get::<_, i64>(5)?.max(0) as u64,
                state: from_word(r.get_ref(6)?.as_str().unwrap_or_default())?,
                in_event: r.get(7)?,
            })
        })
    }
}

impl Brief {
    fn stretch(&self) -> Stretch {
        Stretch { id: self.id, start: self.start, end: self.end, in_event: self.in_event }
    }
}

impl Recordings {
    /// Compares one row with its file (`size_bytes` is the file's, if it is there). Returns it when it can be read.
    pub(crate) fn check(&self, mut row: Brief, size_bytes: Option<u64>) -> Result<Option<Brief>> {
        let id = row.id;
        match row_step(row.state, row.size_bytes, size_bytes) {
            RowStep::Keep => return Ok(Some(row)),
            RowStep::Leave => return Ok(None),
            RowStep::Forget => return self.forget_open(id).map(|()| None),
            RowStep::Lose => return self.lose(row).map(|()| None),
            RowStep::Inspect => {}
        }
        match self.inspect(&row.path) {
            Found::Whole { scan, cut } => {
                self.state().progress.report.cut += u64::from(cut);
                row.end = row.start.plus_micros(length_us(&scan.fragments));
                (row.size_bytes, row.state) = (scan.size_bytes, SegmentState::Sealed);
                self.inner.db.write(format_args!("recording {} cannot be repaired in the index", row.path), |tx| {
                    let held = Held {
                        start: row.start,
                        end: row.end,
                        state: row.state,
                        size_bytes: row.size_bytes,
                        init_bytes: scan.init.size_bytes,
                        fragments: &scan.fragments,
                    };
                    update_row(tx, id, &held, None)?;
                    let format = format_id(tx, &scan.init.format)?;
                    tx.prepare_cached("UPDATE segment SET format = ?2, audio = ?3 WHERE id = ?1")?.execute(params![
                        id.0,
                        format,
                        scan.init.channels
                    ])?;
                    Ok(())
                })?;
                Ok(Some(row))
            }
            Found::Empty => {
                self.forget_open(id)?;
                Ok(None)
            }
            Found::Set => {
                self.state().progress.report.quarantined += 1;
                self.set_unreadable(id, SegmentState::Quarantined)?;
                Ok(None)
            }
            Found::Unknown => Ok(None),
        }
    }

    /// A row whose file is missing; unless it is being deleted at this moment.
    fn lose(&self, row: Brief) -> Result<()> {
        if self.set_unreadable(row.id, SegmentState::Lost)? {
            tracing::warn!(segment = row.id.0, path = row.path, "a recording is missing");
            self.state().progress.report.lost += 1;
        }
        Ok(())
    }

    /// Marks a row; whether it was sealed or open until now.
    fn set_unreadable(&self, id: SegmentId, state: SegmentState) -> Result<bool> {
        self.inner.db.write(format_args!("recording {id} cannot be marked in the index"), |tx| {
            let sql = "UPDATE segment SET state = ?2, size = 0, fragments = NULL, sha256 = NULL
                WHERE id = ?1 AND state <> 'deleting'";
            Ok(tx.prepare_cached(sql)?.execute(params![id.0, word(&state)?])? > 0)
        })
    }

    /// Enters files that have no row; when each begins, [`start_of`] says from its name and its `prft`.
    pub(crate) fn adopt(&self, files: &[(&String, Scan)]) -> Result<u64> {
        let Some((first, _)) = files.first() else { return Ok(0) };
        self.inner.db.write(format_args!("{} recordings from {first} on cannot be taken in", files.len()), |tx| {
            let sql =
                "INSERT INTO segment (id, camera, path, start, end, size, state, format, audio, init_size, fragments)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'sealed', ?7, ?8, ?9, ?10) ON CONFLICT (path) DO NOTHING";
            let mut adopted = 0;
            for (path, scan) in files {
                let Some((camera, named)) = parse_recording_path(path) else { continue };
                let start = start_of(named, scan.ntp.map(|ntp| ntp_to_timestamp(ntp, named)));
                let end = start.plus_micros(length_us(&scan.fragments));
                let format = format_id(tx, &scan.init.format)?;
                let (size_bytes, init_bytes) = (scan.size_bytes as i64, scan.init.size_bytes as i64);
                let blob = fragments::encode(&scan.fragments);
                let (id, camera, channels) = (self.index().rows().new_id(), camera.as_str(), scan.init.channels);
                let row = params![id.0, camera, path, start.0, end.0, size_bytes, format, channels, init_bytes, blob];
                adopted += tx.prepare_cached(sql)?.execute(row)? as u64;
            }
            Ok(adopted)
        })
    }

    /// Cuts what stands in an event's file as well, see [`Stretch::may_be_doubled_in`].
    pub(crate) fn cut_overlaps(&self, rows: &mut [Brief]) -> Result<()> {
        rows.sort_by_key(|r| (r.start, r.id));
        for i in 1..rows.len() {
            let (earlier, later) = rows.split_at_mut(i);
            let later = &later[0];
            for row in earlier.iter_mut().rev().take(DOUBLED_FILES) {
                if row.stretch().may_be_doubled_in(&later.stretch()) {
                    let find = |row: &Brief| match self.recorded_by_id(&row.camera, row.id) {
                        Ok((recorded, _)) => Ok(Some(recorded)),
                        // Deleted since.
                        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                        Err(e) => Err(e),
                    };
                    let (Some(recorded), Some(newer)) = (find(row)?, find(later)?) else { continue };
                    match self.cut_back(recorded, &newer.segment) {
                        Ok(true) => {
                            self.state().progress.report.cut += 1;
                            row.end = later.start;
                        }
                        Ok(false) => {}
                        Err(e) => {
                            self.refuse_if_away()?;
                            tracing::error!(path = row.path, error = %e, "what a recording holds twice is left as it is");
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_adopted_files_agree_with_their_names() {
        let named = Timestamp(1_800_000_000_123_000);
        assert_eq!(start_of(named, Some(ntp_to_timestamp(0, named))), named, "a nonsensical prft is not believed");
    }
}
