//! Signed manifests: made of the index once an hour is settled, kept as files below `manifests/`, and let go when what they are about has long
//! been deleted. And what an export says of itself.

use crate::Recordings;
use crate::fault::io_error;
use crate::meta_rows;
use crate::segments::FIRST_THAT_MAY_OVERLAP;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::secret::RunningSha256;
use perch_base::time::{DAY_US, Timestamp};
use perch_base::{Error, Result};
use perch_domain::archive::TimeRange;
use perch_domain::evidence::{
    ContentHash, EvidenceKey, MAX_LINES, MAX_STATEMENT_BYTES, ManifestGap, ManifestHead, ManifestLine, Newest,
    PreviousManifest, RecordedFile, SignedExport, Statement, StatementHead, may_go, next_manifest, sign,
};
use perch_domain::ports::{ArchivePort, Export};
use perch_domain::sync::keys::{CopyName, ShortHash};
use perch_domain::sync::target::SyncTarget;
use rusqlite::params;
use std::fs;
use std::io::{self, Read};
use std::sync::Arc;

/// Files that one statement lists at most; the rest of [`MAX_LINES`] is for gaps.
const MAX_FILES: usize = MAX_LINES / 2;
/// Read of a file at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Sealed files of a camera (`?1`) that begin from `?2` on and before `?3`, at most `?4`.
pub(crate) const BEGIN_WITHIN: &str = "SELECT id, path, start, end, size, sha256, event FROM segment WHERE camera = ?1
    AND state = 'sealed' AND start >= ?2 AND start < ?3 ORDER BY start, id LIMIT ?4";

/// The first sealed file of a camera (`?1`) from `?2` on.
pub(crate) const FIRST_FROM: &str =
    "SELECT min(start) FROM segment WHERE camera = ?1 AND state = 'sealed' AND start >= ?2";

/// A manifest that lies in the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptManifest {
    /// Its number in the chain.
    pub number: u64,
    /// What its copies are called; its time is the start of its day.
    pub name: CopyName,
    /// Where it lies below `manifests/`.
    path: String,
}

/// Under which key it is kept which manifest was copied last.
fn copied_key(target: &SyncTarget) -> String {
    format!("copied_manifest {}", target.name())
}

struct Row {
    id: SegmentId,
    path: String,
    file: RecordedFile,
    has_hash: bool,
}

impl Recordings {
    /// Signs manifests and exports with this key from now on. Only the first call counts.
    pub fn sign_with(&self, key: Arc<dyn EvidenceKey>) {
        let _ = self.inner.evidence_key.set(key);
    }

    /// Makes the manifest that is due, if one is; its number. Errors leave everything as it was.
    pub fn make_manifest(&self) -> Result<Option<u64>> {
        let Some(key) = self.inner.evidence_key.get() else { return Ok(None) };
        // After a start the index may not know all files yet.
        if self.taking_in().is_some() {
            return Ok(None);
        }
        let now = self.now();
        let kept = self.manifests()?;
        let last = self.last(&kept)?;
        let newest = last.map(|(newest, _)| newest);
        let cameras: Vec<CameraId> = self.kept_of_all()?.into_iter().map(|kept| kept.camera).collect();
        let first_from = |from: Timestamp| self.first_from(&cameras, from);
        let mut failed = None;
        let due = next_manifest(newest, now, |from| {
            first_from(from).unwrap_or_else(|e| {
                failed = Some(e);
                None
            })
        });
        if let Some(e) = failed {
            return Err(e);
        }
        let Some((from, to)) = due else { return Ok(None) };
        // What is still written, or whose row has yet to follow, is waited for.
        if self.live().values().any(|l| l.segment.start < to && l.segment.end > from) {
            return Ok(None);
        }
        let mut lines = Vec::new();
        for camera in &cameras {
            let files = self.files_from(BEGIN_WITHIN, camera, (from, to), MAX_FILES.saturating_sub(lines.len()))?;
            lines.extend(files.into_iter().map(ManifestLine::Recording));
        }
        for camera in &cameras {
            let gaps = self.timeline(camera, TimeRange { from, to }, now)?.gaps;
            lines.extend(gaps.iter().map(|gap| ManifestLine::Gap(ManifestGap::of(camera, gap))));
        }
        lines.truncate(MAX_LINES);
        let previous = last.map(|(_, previous)| previous);
        let head = ManifestHead::new(key.public_key(), previous, (from, to), now);
        let number = head.number;
        let bytes = sign(&StatementHead::Manifest(head), &lines, &**key)?;
        let name = CopyName::Manifest { from, number, hash: ShortHash::of(&ContentHash::of(&bytes).0) };
        let path = path_of(&name);
        let failed = |e| io_error(|| format!("manifest {number} cannot be kept"), e);
        self.inner
            .manifests
            .put(&path, &bytes)
            .and_then(|()| self.inner.manifests.sync_folder_of(&path))
            .map_err(failed)?;
        self.let_manifests_go(&kept, Newest { to }, first_from(Timestamp(i64::MIN))?);
        Ok(Some(number))
    }

    /// All manifests, in order.
    pub fn manifests(&self) -> Result<Vec<KeptManifest>> {
        let root = self.inner.manifests.path();
        let failed = |e| io_error(|| "the manifests cannot be listed".into(), e);
        let mut found = Vec::new();
        for day in fs::read_dir(root).map_err(failed)? {
            let day = day.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let files = match fs::read_dir(root.join(&day)) {
                Ok(files) => files,
                // A file of somebody else's, or gone since.
                Err(_) => continue,
            };
            for file in files {
                let path = format!("{day}/{}", file.map_err(failed)?.file_name().to_string_lossy());
                if let Some(name @ CopyName::Manifest { number, .. }) = CopyName::parse(&format!("_manifests/{path}")) {
                    found.push(KeptManifest { number, name, path });
                }
            }
        }
        // By day first: a chain that began anew has small numbers again.
        found.sort_by_key(|m| (m.name.start(), m.number));
        Ok(found)
    }

    /// Those that a target has no verified copy of, in order.
    pub fn manifests_to_copy(&self, target: &SyncTarget) -> Result<Vec<KeptManifest>> {
        let key = copied_key(target);
        let noted = self.inner.db.read(format_args!("looking up {key}"), |c| Ok(meta_rows::get(c, &key)?))?;
        let copied = noted.as_deref().and_then(CopyName::parse);
        let order = |name: &CopyName| match name {
            CopyName::Manifest { number, .. } => (name.start(), *number),
            _ => (name.start(), 0),
        };
        let mut all = self.manifests()?;
        all.retain(|kept| copied.as_ref().is_none_or(|copied| order(&kept.name) > order(copied)));
        Ok(all)
    }

    /// A target has it and all before it.
    pub fn manifest_copied(&self, target: &SyncTarget, kept: &KeptManifest) -> Result<()> {
        let (key, path) = (copied_key(target), kept.name.path());
        self.inner.db.write(format_args!("keeping {key}"), |tx| Ok(meta_rows::put(tx, &key, &path)?))
    }

    /// A manifest's bytes.
    pub fn read_manifest(&self, kept: &KeptManifest) -> Result<Vec<u8>> {
        let failed = |e| io_error(|| format!("manifest {} cannot be read", kept.number), e);
        let mut bytes = Vec::new();
        let file = self.inner.manifests.read(&kept.path).map_err(failed)?;
        file.take(MAX_STATEMENT_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Where the newest one that can be read ends, and what the next one follows on: the newest file, damaged or not, so that it cannot
    /// be replaced unseen.
    fn last(&self, kept: &[KeptManifest]) -> Result<Option<(Newest, PreviousManifest)>> {
        let mut newest = None;
        for kept in kept.iter().rev() {
            let bytes = self.read_manifest(kept)?;
            let (number, hash) = *newest.get_or_insert((kept.number, ContentHash::of(&bytes)));
            match Statement::read(&bytes) {
                Ok(Statement { head: StatementHead::Manifest(head), .. }) => {
                    let previous = PreviousManifest { chain: head.chain, number, hash };
                    return Ok(Some((Newest { to: head.to }, previous)));
                }
                Ok(_) => {}
                Err(e) => {
                    tracing::warn!(error = %e, manifest = kept.number, "a manifest is damaged: the next one follows on it all the same");
                }
            }
        }
        Ok(None)
    }

    /// One that cannot be deleted is tried again with the next.
    fn let_manifests_go(&self, kept: &[KeptManifest], newest: Newest, oldest: Option<Timestamp>) {
        for kept in kept {
            let day = kept.name.start();
            // A name says the day alone: most need not be read.
            if !may_go(day, oldest, newest) {
                continue;
            }
            let read = self.read_manifest(kept).and_then(|bytes| Statement::read(&bytes));
            let to = match read {
                Ok(Statement { head: StatementHead::Manifest(head), .. }) => head.to,
                _ => day.plus_micros(DAY_US),
            };
            if may_go(to, oldest, newest)
                && let Err(e) = self.inner.manifests.remove(&kept.path)
            {
                tracing::debug!(error = %e, manifest = kept.number, "a manifest cannot be deleted");
            }
        }
    }

    /// When the first recording begins from a moment on.
    fn first_from(&self, cameras: &[CameraId], from: Timestamp) -> Result<Option<Timestamp>> {
        self.inner.db.read("looking up what is to be signed", |c| {
            let mut statement = c.prepare_cached(FIRST_FROM)?;
            let mut first = None;
            for camera in cameras {
                let found: Option<i64> = statement.query_row(params![camera.as_str(), from.0], |r| r.get(0))?;
                first = [first, found].into_iter().flatten().min();
            }
            Ok(first.map(Timestamp))
        })
    }

    /// Files of a camera by one of the questions above, each with its hash. Files that are gone or cannot be read are left out: the timeline says of
    /// them that they are lost.
    fn files_from(
        &self,
        sql: &str,
        camera: &CameraId,
        (from, to): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<RecordedFile>> {
        let rows = self.inner.db.read(format_args!("camera {camera}: looking up what is to be signed"), |c| {
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query(params![camera.as_str(), from.0, to.0, limit as i64])?;
            let mut found = Vec::new();
            while let Some(r) = rows.next()? {
                let hash = r.get::<_, Option<Vec<u8>>>(5)?.and_then(|hash| hash.try_into().ok());
                let file = RecordedFile {
                    camera: camera.clone(),
                    start: Timestamp(r.get(2)?),
                    end: Timestamp(r.get(3)?),
                    bytes: r.get::<_, i64>(4)?.max(0) as u64,
                    sha256: ContentHash(hash.unwrap_or_default()),
                    event: r.get::<_, Option<i64>>(6)?.map(EventId),
                };
                found.push(Row { id: SegmentId(r.get(0)?), path: r.get(1)?, file, has_hash: hash.is_some() });
            }
            Ok(found)
        })?;
        let mut files = Vec::with_capacity(rows.len());
        for Row { id, path, mut file, has_hash } in rows {
            if !has_hash {
                match self.hash_now(id, &path, file.bytes) {
                    Ok(hash) => file.sha256 = hash,
                    Err(e) => {
                        tracing::debug!(error = %e, recording = %id, "a recording cannot be signed");
                        continue;
                    }
                }
            }
            files.push(file);
        }
        Ok(files)
    }

    /// The hash of a file that was cut or taken in, which is kept from now on.
    fn hash_now(&self, id: SegmentId, path: &str, bytes: u64) -> Result<ContentHash> {
        let failed = |e| io_error(|| format!("recording {id} cannot be read"), e);
        let file = self.inner.recordings.read(path).map_err(failed)?;
        let (hashed, hash) = content_hash(file.take(bytes + 1)).map_err(failed)?;
        if hashed != bytes {
            return Err(Error::not_found(format!("recording {id} is not as long as the index says")));
        }
        let sql = "UPDATE segment SET sha256 = ?2 WHERE id = ?1 AND size = ?3 AND state = 'sealed' AND sha256 IS NULL";
        let kept = self.inner.db.write(format_args!("recording {id}: keeping its hash"), |tx| {
            Ok(tx.prepare_cached(sql)?.execute(params![id.0, &hash.0[..], bytes as i64])?)
        });
        if let Err(e) = kept {
            tracing::debug!(error = %e, recording = %id, "a hash is not kept: it is made again");
        }
        Ok(hash)
    }

    /// An export that says at its end, signed, what it is; as it is where the box has no key.
    pub(crate) fn signed(&self, export: Export, camera: &CameraId, range: TimeRange) -> Export {
        let Some(key) = self.inner.evidence_key.get().cloned() else { return export };
        let (recordings, of) = (self.clone(), camera.clone());
        let sources = move || {
            // The pictures are there already: an export without them is better than none.
            Ok(recordings.sources(&of, range).unwrap_or_else(|e| {
                tracing::warn!(error = %e, camera = %of, "an export does not say which recordings it was made from");
                Vec::new()
            }))
        };
        let (made_at, range) = (self.now(), (range.from, range.to));
        let chunks = SignedExport::new(export.chunks, key, camera.clone(), range, made_at, Box::new(sources));
        Export { chunks: Box::new(chunks), ..export }
    }

    fn sources(&self, camera: &CameraId, range: TimeRange) -> Result<Vec<ManifestLine>> {
        let overlapping = format!(
            "SELECT id, path, start, end, size, sha256, event FROM segment WHERE camera = ?1 AND state = 'sealed'
            AND start < ?3 AND end > ?2 AND start >= {FIRST_THAT_MAY_OVERLAP} ORDER BY start, id LIMIT ?4"
        );
        let files = self.files_from(&overlapping, camera, (range.from, range.to), MAX_FILES)?;
        let gaps = self.timeline(camera, range, self.now())?.gaps;
        let gaps = gaps.iter().map(|gap| ManifestLine::Gap(ManifestGap::of(camera, gap)));
        Ok(files.into_iter().map(ManifestLine::Recording).chain(gaps).take(MAX_LINES).collect())
    }
}

/// Where a manifest lies below `manifests/`.
fn path_of(name: &CopyName) -> String {
    let path = name.path();
    path.split_once('/').map_or(path.clone(), |(_, rest)| rest.to_owned())
}

/// Length and hash of what is read.
pub fn content_hash(mut file: impl Read) -> io::Result<(u64, ContentHash)> {
    let (mut sum, mut piece, mut bytes) = (RunningSha256::default(), vec![0; PIECE_BYTES], 0);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            n => {
                sum.update(&piece[..n]);
                bytes += n as u64;
            }
        }
    }
    Ok((bytes, ContentHash(sum.finish())))
}
