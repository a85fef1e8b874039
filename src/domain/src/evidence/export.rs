//! An export that carries what the box says of it, at its end.

use super::manifest::{ContentHash, EvidenceKey, ExportHead, ManifestLine, Statement, StatementHead, sign};
use bytes::Bytes;
use perch_base::ids::CameraId;
use perch_base::secret::RunningSha256;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use std::sync::Arc;

/// The type of the box: a random UUID (RFC 9562, version 4).
pub const EXPORT_BOX: [u8; 16] =
    [0x4e, 0xb2, 0x1f, 0x0c, 0x7d, 0x3a, 0x4c, 0x55, 0x9e, 0x61, 0x0a, 0xd4, 0x83, 0x2f, 0xc7, 0x19];
/// Before the lines: length, `uuid`, type.
const HEAD_BYTES: usize = 24;
/// The largest that is read.
pub const MAX_STATEMENT_BYTES: u64 = 64 << 20;

/// Makes what is said at the end of an export; asked once, after everything else was read.
type Sources = Box<dyn FnOnce() -> Result<Vec<ManifestLine>> + Send>;

/// The pieces of an export with one more at the end. Where something fails before, it ends with that and is not signed.
pub struct SignedExport<I> {
    chunks: I,
    state: Option<Unsigned>,
}

struct Unsigned {
    key: Arc<dyn EvidenceKey>,
    camera: CameraId,
    range: (Timestamp, Timestamp),
    made_at: Timestamp,
    sources: Sources,
    sum: RunningSha256,
    media_bytes: u64,
}

impl<I: Iterator<Item = Result<Bytes>>> SignedExport<I> {
    /// `sources` says what `chunks` were made from.
    pub fn new(
        chunks: I,
        key: Arc<dyn EvidenceKey>,
        camera: CameraId,
        range: (Timestamp, Timestamp),
        made_at: Timestamp,
        sources: Sources,
    ) -> Self {
        let sum = RunningSha256::default();
        Self { chunks, state: Some(Unsigned { key, camera, range, made_at, sources, sum, media_bytes: 0 }) }
    }
}

impl Unsigned {
    fn end(self) -> Result<Bytes> {
        let media = (self.media_bytes, ContentHash(self.sum.finish()));
        let head = ExportHead::new(self.key.public_key(), self.camera, self.range, self.made_at, media);
        let statement = sign(&StatementHead::Export(head), &(self.sources)()?, &*self.key)?;
        let mut out = Vec::with_capacity(HEAD_BYTES + statement.len());
        // Fits: the number of lines is bounded, and their length.
        out.extend_from_slice(&((HEAD_BYTES + statement.len()) as u32).to_be_bytes());
        out.extend_from_slice(b"uuid");
        out.extend_from_slice(&EXPORT_BOX);
        out.extend_from_slice(&statement);
        Ok(out.into())
    }
}

impl<I: Iterator<Item = Result<Bytes>>> Iterator for SignedExport<I> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.chunks.next() {
            Some(Ok(chunk)) => {
                if let Some(state) = &mut self.state {
                    state.sum.update(&chunk);
                    state.media_bytes += chunk.len() as u64;
                }
                Some(Ok(chunk))
            }
            Some(Err(e)) => {
                self.state = None;
                Some(Err(e))
            }
            None => self.state.take().map(Unsigned::end),
        }
    }
}

/// Where in an MP4 file of `file_bytes` the box's lines are, by its top boxes; `read` gives up to 32 bytes at an offset. `None`: it has
/// none at its end. Errors are those of `read`.
pub fn export_box<E>(
    file_bytes: u64,
    mut read: impl FnMut(u64) -> std::result::Result<[u8; 32], E>,
) -> std::result::Result<Option<ExportFound>, E> {
    let mut at: u64 = 0;
    while file_bytes - at >= 8 {
        let head = read(at)?;
        let short = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let long = u64::from_be_bytes([head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15]]);
        let bytes = match short {
            1 => long,
            _ => short,
        };
        // A box without an end, or with one beyond the file's: what follows is unknown.
        let Some(end) = at.checked_add(bytes).filter(|end| bytes >= 8 && *end <= file_bytes) else { return Ok(None) };
        if head[4..8] == *b"uuid" && short != 1 && head[8..24] == EXPORT_BOX && end == file_bytes {
            let statement_bytes = bytes.saturating_sub(HEAD_BYTES as u64);
            return Ok(Some(ExportFound { media_bytes: at, statement_at: at + HEAD_BYTES as u64, statement_bytes }));
        }
        at = end;
    }
    Ok(None)
}

/// Where a box's words lie in an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportFound {
    /// Everything before is what they are about.
    pub media_bytes: u64,
    /// Where they begin.
    pub statement_at: u64,
    /// How long they are.
    pub statement_bytes: u64,
}

/// Checks an export: `statement` are the bytes that were found in it, `media` length and hash of everything before. Errors with
/// `Corrupt` or `Unsupported`, and the reason.
pub fn check_export(statement: &[u8], media: (u64, ContentHash)) -> Result<(ExportHead, Statement)> {
    let read = Statement::read(statement)?;
    let StatementHead::Export(head) = &read.head else {
        return Err(Error::new(ErrorKind::Unsupported, "what it carries is no export's manifest"));
    };
    if (head.media_bytes, head.media_sha256) != media {
        let why = format!(
            "its pictures or sound were changed: SHA-256 of the first {} bytes is {}, and the box signed {} of {} bytes",
            media.0, media.1, head.media_sha256, head.media_bytes
        );
        return Err(Error::new(ErrorKind::Corrupt, why));
    }
    Ok((head.clone(), read))
}
