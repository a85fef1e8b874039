//! A recording as it is read to be copied: its hash, its parts, what is noted beside its copy.

use bytes::Bytes;
use perch_base::secret::RunningSha256;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::sync::object::{PART_BYTES, Sha256};
use perch_domain::sync::plan::ToCopy;
use perch_store::Recordings;
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that are read at a time to be hashed.
const PIECE: usize = 256 * 1024;

/// A recording that was read once.
pub struct LocalFile {
    pub file: Arc<File>,
    pub size_bytes: u64,
    pub sha256: Sha256,
    /// All of it, where it goes in one piece.
    pub whole: Option<Bytes>,
}

impl LocalFile {
    /// Opens and hashes it. Blocks. Errors where it is gone, was cut or cannot be read.
    pub fn open(recordings: &Recordings, one: &ToCopy) -> Result<Self> {
        let mut file = recordings.open_to_copy(one)?;
        let unreadable = || "the recording cannot be read";
        let mut hash = RunningSha256::default();
        let mut whole = (one.size_bytes <= PART_BYTES).then(|| Vec::with_capacity(one.size_bytes as usize));
        let mut piece = vec![0; PIECE];
        let mut left = one.size_bytes;
        while left > 0 {
            let most = left.min(PIECE as u64) as usize;
            let n = file.read(&mut piece[..most]).context(ErrorKind::Io, unreadable)?;
            if n == 0 {
                return Err(Error::new(ErrorKind::Corrupt, "the recording is shorter than was noted"));
            }
            hash.update(&piece[..n]);
            if let Some(whole) = &mut whole {
                whole.extend_from_slice(&piece[..n]);
            }
            left -= n as u64;
        }
        let whole = whole.map(Bytes::from);
        Ok(Self { file: Arc::new(file), size_bytes: one.size_bytes, sha256: Sha256(hash.finish()), whole })
    }

    /// How many parts it goes in.
    pub fn parts(&self) -> u32 {
        self.size_bytes.div_ceil(PART_BYTES) as u32
    }

    /// Where the part of this number, from 1, is.
    pub fn part(&self, number: u32) -> Range<u64> {
        let from = u64::from(number.saturating_sub(1)) * PART_BYTES;
        from..self.size_bytes.min(from + PART_BYTES)
    }

    /// Reads a part. Blocks.
    pub fn read(file: &File, range: Range<u64>) -> Result<Bytes> {
        let mut body = vec![0; range.end.saturating_sub(range.start) as usize];
        file.read_exact_at(&mut body, range.start).context(ErrorKind::Io, || "the recording cannot be read")?;
        Ok(body.into())
    }
}

/// What is noted beside a copy, for whoever has nothing but the bucket.
pub fn facts_of(one: &ToCopy, sha256: Sha256) -> Vec<u8> {
    let facts = json!({
        "camera": one.camera,
        "start": one.start,
        "end": one.end,
        "event": one.event.map(|id| id.0.to_string()),
        "size_bytes": one.size_bytes,
        "sha256": sha256.hex(),
    });
    facts.to_string().into_bytes()
}
