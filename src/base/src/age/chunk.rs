//! The content is cut into chunks, each encrypted by itself under a nonce that says its place and whether it is the last.

use aws_lc_rs::aead::{CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Plain bytes of a chunk; the last one may be shorter.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// How much longer it is when it is encrypted.
pub(super) const TAG_BYTES: usize = 16;
/// Between the header and the first chunk.
pub(super) const NONCE_BYTES: usize = 16;

/// An empty content has a chunk, too.
pub(super) fn chunks(plain_bytes: u64) -> u64 {
    plain_bytes.div_ceil(CHUNK_BYTES as u64).max(1)
}

pub(super) fn content_key(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has 32 bytes"))
}

pub(super) fn chunk_nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}
