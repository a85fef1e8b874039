//! Encrypts, any part of a content by itself.

use super::chunk::{CHUNK_BYTES, NONCE_BYTES, TAG_BYTES, chunk_nonce, chunks, content_key};
use super::header;
use super::keys::Recipient;
use crate::secret::{Secret, random_bytes};
use crate::{Error, Result};
use aws_lc_rs::aead::Aad;
use std::io;

/// Most recipients of one file.
const MAX_RECIPIENTS: usize = 20;

/// What encrypts one content. It must never be used for another one: two contents under one key say what both are.
#[derive(Clone, Debug)]
pub struct Seal {
    /// All before the first chunk.
    head: Vec<u8>,
    key: Secret<[u8; 32]>,
}

impl Seal {
    /// A new one, for one content. Errors with `Invalid` without a recipient, or with too many.
    pub fn new(recipients: &[Recipient]) -> Result<Self> {
        if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
            return Err(Error::invalid(format!("what is encrypted needs 1 to {MAX_RECIPIENTS} public keys")));
        }
        let file_key = random_bytes::<16>();
        let nonce = random_bytes::<NONCE_BYTES>();
        let mut head = header::write(&file_key, recipients)?;
        head.extend_from_slice(&nonce);
        Ok(Self { head, key: Secret::new(header::payload_key(&file_key, &nonce)) })
    }

    /// One that was kept, to go on with the content that it was made for.
    pub fn kept(head: Vec<u8>, key: [u8; 32]) -> Self {
        Self { head, key: Secret::new(key) }
    }

    /// What is kept of it: all before the first chunk, and the key of the content.
    pub fn parts(&self) -> (&[u8], &Secret<[u8; 32]>) {
        (&self.head, &self.key)
    }

    /// How long a content becomes.
    pub fn sealed_bytes(&self, plain_bytes: u64) -> u64 {
        self.head.len() as u64 + plain_bytes + chunks(plain_bytes) * TAG_BYTES as u64
    }

    /// The encrypted bytes from `at` on, at most `most` of them, of a content of `plain_bytes`; `read` fills a buffer from an offset of the
    /// content. Errors are those of `read`.
    pub fn read_at(
        &self,
        plain_bytes: u64,
        at: u64,
        most: usize,
        mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        let end = at.saturating_add(most as u64).min(self.sealed_bytes(plain_bytes));
        let mut out = Vec::with_capacity(end.saturating_sub(at) as usize);
        let head_bytes = self.head.len() as u64;
        if at < head_bytes {
            out.extend_from_slice(&self.head[at as usize..end.min(head_bytes) as usize]);
        }
        let sealed_chunk = (CHUNK_BYTES + TAG_BYTES) as u64;
        let key = content_key(self.key.expose());
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        while at + (out.len() as u64) < end {
            let from = at + out.len() as u64 - head_bytes;
            let (number, skip) = (from / sealed_chunk, (from % sealed_chunk) as usize);
            let begins = number * CHUNK_BYTES as u64;
            chunk.resize((plain_bytes - begins).min(CHUNK_BYTES as u64) as usize, 0);
            read(begins, &mut chunk)?;
            let is_last = number + 1 == chunks(plain_bytes);
            key.seal_in_place_append_tag(chunk_nonce(number, is_last), Aad::empty(), &mut chunk)
                .map_err(|_| io::Error::other("a chunk cannot be encrypted"))?;
            let wanted = (end - at - out.len() as u64).min((chunk.len() - skip) as u64) as usize;
            out.extend_from_slice(&chunk[skip..skip + wanted]);
        }
        Ok(out)
    }
}

/// A small content, encrypted whole.
pub fn seal(recipients: &[Recipient], plain: &[u8]) -> Result<Vec<u8>> {
    let seal = Seal::new(recipients)?;
    let all = seal.sealed_bytes(plain.len() as u64);
    let read = |at: u64, out: &mut [u8]| {
        let at = at as usize;
        out.copy_from_slice(&plain[at..at + out.len()]);
        Ok(())
    };
    let sealed = seal.read_at(plain.len() as u64, 0, usize::try_from(all).unwrap_or(usize::MAX), read);
    sealed.map_err(|e| Error::internal("it cannot be encrypted").with_source(e))
}
