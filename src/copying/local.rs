//! A recording as it is read to be copied: its hash, what is sent of it, plain or encrypted, in which parts, what is noted beside its copy.

use crate::copying::sealing;
use bytes::Bytes;
use perch_base::age::{Recipient, Seal};
use perch_base::secret::{RunningSha256, Secret};
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
/// Bytes that are encrypted at a time to be hashed.
const SEALED_PIECE: u64 = 1 << 20;

/// A recording that was read once. Clones share the file.
#[derive(Clone)]
pub struct LocalFile {
    file: Arc<File>,
    plain_bytes: u64,
    /// Of the recording itself.
    pub sha256: Sha256,
    seal: Option<Seal>,
    /// Bytes of what is sent.
    pub size_bytes: u64,
    /// Of what is sent.
    pub sent_sha256: Sha256,
    /// All that is sent, where it goes in one piece.
    pub whole: Option<Bytes>,
}

impl LocalFile {
    /// Opens and hashes it, as it is sent to these readers (none: to all). Blocks. Errors where it is gone, was cut or cannot be read.
    pub fn open(recordings: &Recordings, one: &ToCopy, readers: &[Recipient]) -> Result<Self> {
        let mut file = recordings.open_to_copy(one)?;
        let unreadable = || "the recording cannot be read";
        let mut hash = RunningSha256::default();
        let goes_whole = one.size_bytes <= PART_BYTES && readers.is_empty();
        let mut whole = goes_whole.then(|| Vec::with_capacity(one.size_bytes as usize));
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
        let sha256 = Sha256(hash.finish());
        let mut local = Self {
            file: Arc::new(file),
            plain_bytes: one.size_bytes,
            sha256,
            seal: None,
            size_bytes: one.size_bytes,
            sent_sha256: sha256,
            whole,
        };
        if readers.is_empty() {
            return Ok(local);
        }
        // What was begun goes on under the same key, if it is the same content: then the same bytes come of it.
        let record = one.record.as_ref();
        if let Some((record, seal)) = record.and_then(|r| Some((r, sealing::kept(r.seal.as_ref()?, readers)?))) {
            local.encrypt(seal)?;
            if local.sent_sha256 == record.sha256 {
                return Ok(local);
            }
        }
        local.encrypt(Seal::new(readers)?)?;
        Ok(local)
    }

    /// Is sent encrypted with this from now on. What it becomes is hashed beforehand, for the store is told the hash at the beginning: the
    /// recording is encrypted once more when it is sent.
    fn encrypt(&mut self, seal: Seal) -> Result<()> {
        self.size_bytes = seal.sealed_bytes(self.plain_bytes);
        self.seal = Some(seal);
        let (mut hash, mut at) = (RunningSha256::default(), 0);
        let mut whole = (self.size_bytes <= PART_BYTES).then(|| Vec::with_capacity(self.size_bytes as usize));
        while at < self.size_bytes {
            let piece = self.read(at..self.size_bytes.min(at + SEALED_PIECE))?;
            hash.update(&piece);
            if let Some(whole) = &mut whole {
                whole.extend_from_slice(&piece);
            }
            at += piece.len() as u64;
        }
        (self.sent_sha256, self.whole) = (Sha256(hash.finish()), whole.map(Bytes::from));
        Ok(())
    }

    /// What goes on encrypting it after a restart; `None` where it is not encrypted.
    pub fn kept_seal(&self, readers: &[Recipient]) -> Option<Secret<Vec<u8>>> {
        self.seal.as_ref().map(|seal| sealing::keep(seal, readers))
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

    /// Reads so much of what is sent. Blocks.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let unreadable = || "the recording cannot be read";
        let bytes = range.end.saturating_sub(range.start) as usize;
        if let Some(seal) = &self.seal {
            let read = |at: u64, out: &mut [u8]| self.file.read_exact_at(out, at);
            let sealed = seal.read_at(self.plain_bytes, range.start, bytes, read);
            return Ok(sealed.context(ErrorKind::Io, unreadable)?.into());
        }
        let mut body = vec![0; bytes];
        self.file.read_exact_at(&mut body, range.start).context(ErrorKind::Io, unreadable)?;
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
