//! What was encrypted, read back piece by piece.

use super::chunk::{CHUNK_BYTES, NONCE_BYTES, TAG_BYTES, chunk_nonce, content_key};
use super::header;
use super::keys::AgeIdentity;
use crate::{Error, ErrorKind, Result, ResultExt};
use aws_lc_rs::aead::{Aad, LessSafeKey};
use std::io::{self, Read};

/// The longest header that is read.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The plain bytes of an encrypted file, each chunk once it was checked. One that was cut short gives all its whole chunks and then an error of kind
/// `UnexpectedEof`; one that was changed ends with `InvalidData` before the first changed chunk.
pub struct Opened<R> {
    from: R,
    key: LessSafeKey,
    number: u64,
    /// Read but not yet decrypted.
    held: Vec<u8>,
    plain: Vec<u8>,
    given: usize,
    is_over: bool,
}

/// Opens an encrypted file with any of the keys. Errors: `Unsupported`, `Corrupt`, `Forbidden` (it is for another key), `Io`.
pub fn open<R: Read>(mut from: R, identities: &[AgeIdentity]) -> Result<Opened<R>> {
    let failed = || "the encrypted file cannot be read";
    let mut held = Vec::with_capacity(4096);
    let end = loop {
        if let Some(end) = header::end(&held) {
            break end;
        }
        let before = held.len();
        from.by_ref().take(1024).read_to_end(&mut held).context(ErrorKind::Io, failed)?;
        if held.len() == before || held.len() > MAX_HEADER_BYTES {
            // Says what it is, where it is no such file at all.
            header::read(&held, identities)?;
            return Err(Error::new(ErrorKind::Corrupt, "the encrypted file's header is damaged"));
        }
    };
    let file_key = header::read(&held[..end], identities)?;
    held.drain(..end);
    if held.len() < NONCE_BYTES {
        let missing = (NONCE_BYTES - held.len()) as u64;
        from.by_ref().take(missing).read_to_end(&mut held).context(ErrorKind::Io, failed)?;
    }
    if held.len() < NONCE_BYTES {
        return Err(Error::new(ErrorKind::Corrupt, "the encrypted file was cut short"));
    }
    let key = content_key(&header::payload_key(&file_key, &held[..NONCE_BYTES]));
    held.drain(..NONCE_BYTES);
    Ok(Opened { from, key, number: 0, held, plain: Vec::new(), given: 0, is_over: false })
}

impl<R: Read> Opened<R> {
    /// Decrypts the next chunk. It is the last one when nothing comes behind it.
    fn next_chunk(&mut self) -> io::Result<()> {
        // One byte more says whether something comes behind.
        let wanted = CHUNK_BYTES + TAG_BYTES + 1;
        while self.held.len() < wanted {
            let missing = (wanted - self.held.len()) as u64;
            if self.from.by_ref().take(missing).read_to_end(&mut self.held)? == 0 {
                break;
            }
        }
        let is_last = self.held.len() < wanted;
        let bytes = self.held.len().min(wanted - 1);
        let mut chunk = self.held[..bytes].to_vec();
        match self.key.open_in_place(chunk_nonce(self.number, is_last), Aad::empty(), &mut chunk) {
            Ok(plain) => self.plain = plain.to_vec(),
            // It may be whole, and what follows missing.
            Err(_) if is_last && bytes == CHUNK_BYTES + TAG_BYTES => {
                let mut chunk = self.held[..bytes].to_vec();
                let plain = self.key.open_in_place(chunk_nonce(self.number, false), Aad::empty(), &mut chunk);
                self.plain = plain.map_err(|_| changed())?.to_vec();
                (self.given, self.number) = (0, self.number + 1);
                self.held.clear();
                return Ok(());
            }
            Err(_) if is_last => {
                self.is_over = true;
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the encrypted file was cut short, or its end was changed",
                ));
            }
            Err(_) => {
                self.is_over = true;
                return Err(changed());
            }
        }
        // An empty chunk is the whole of an empty content, and nothing else.
        if self.plain.is_empty() && self.number > 0 {
            return Err(changed());
        }
        (self.given, self.number, self.is_over) = (0, self.number + 1, is_last);
        self.held.drain(..bytes);
        Ok(())
    }
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the encrypted file was changed")
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() {
            if self.is_over || out.is_empty() {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let n = out.len().min(self.plain.len() - self.given);
        out[..n].copy_from_slice(&self.plain[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}
