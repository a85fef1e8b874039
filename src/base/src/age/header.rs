//! The header: for each recipient the file's key, encrypted for it, and a sum over all.

use super::keys::{AgeIdentity, Recipient};
use crate::{Error, ErrorKind, Result, ResultExt, base64};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, PrivateKey, UnparsedPublicKey, X25519, agree, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::{hkdf, hmac};

const INTRO: &str = "age-encryption.org/v1\n";
const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";
/// Where a body's line is full.
const COLUMNS: usize = 64;

struct Bytes32;

impl hkdf::KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let filled = extracted.expand(&[info], Bytes32).and_then(|okm| okm.fill(&mut out));
    filled.expect("32 bytes are few enough for HKDF");
    out
}

pub(super) fn payload_key(file_key: &[u8; 16], nonce: &[u8]) -> [u8; 32] {
    derive(file_key, nonce, b"payload")
}

fn sum_key(file_key: &[u8; 16]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &derive(file_key, &[], b"header"))
}

fn wrap_key(key: [u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has 32 bytes"))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Base64 without padding.
fn encode(data: &[u8]) -> String {
    base64::encode(data).trim_end_matches('=').to_owned()
}

/// Base64 without padding, in the one way it is written.
fn decode(text: &str) -> Option<Vec<u8>> {
    base64::decode(text).filter(|data| encode(data) == text)
}

/// The header of a new file.
pub(super) fn write(file_key: &[u8; 16], recipients: &[Recipient]) -> Result<Vec<u8>> {
    let failed = || "a key for this file cannot be made";
    let mut out = INTRO.to_owned();
    for Recipient(public) in recipients {
        let ours = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).context(ErrorKind::Internal, failed)?;
        let share = ours.compute_public_key().context(ErrorKind::Internal, failed)?;
        let theirs = UnparsedPublicKey::new(&X25519, public);
        let salt = [share.as_ref(), public].concat();
        let refused = Error::invalid("one of the public keys is none that can be used");
        let key = agree_ephemeral(ours, theirs, refused, |shared| Ok(derive(shared, &salt, X25519_INFO)))?;
        let mut body = file_key.to_vec();
        wrap_key(key)
            .seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut body)
            .context(ErrorKind::Internal, failed)?;
        out += &format!("-> X25519 {}\n{}\n", encode(share.as_ref()), encode(&body));
    }
    out += "---";
    let sum = hmac::sign(&sum_key(file_key), out.as_bytes());
    out += &format!(" {}\n", encode(sum.as_ref()));
    Ok(out.into_bytes())
}

/// Whether a header ends within these bytes; where.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(5).position(|w| w == b"\n--- ")?;
    bytes[at + 1..].iter().position(|b| *b == b'\n').map(|line| at + 1 + line + 1)
}

/// The file's key by a whole header. Errors: `Unsupported` (no age file of this version), `Corrupt`, `Forbidden` (it is for none of these keys).
pub(super) fn read(header: &[u8], identities: &[AgeIdentity]) -> Result<[u8; 16]> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "the encrypted file's header is damaged");
    let text = std::str::from_utf8(header).map_err(|_| corrupt())?;
    let rest = text
        .strip_prefix(INTRO)
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "this is not encrypted with age, or in a newer form"))?;
    let mut lines = rest.split_inclusive('\n').map(|line| line.strip_suffix('\n'));
    let mut found = None;
    let sum = loop {
        let line = lines.next().flatten().ok_or_else(corrupt)?;
        if let Some(sum) = line.strip_prefix("--- ") {
            break decode(sum).ok_or_else(corrupt)?;
        }
        let arguments: Vec<_> = line.strip_prefix("-> ").ok_or_else(corrupt)?.split(' ').collect();
        let mut body = String::new();
        loop {
            let line = lines.next().flatten().filter(|line| line.len() <= COLUMNS).ok_or_else(corrupt)?;
            body += line;
            if line.len() < COLUMNS {
                break;
            }
        }
        let body = decode(&body).ok_or_else(corrupt)?;
        // What is for keys of other kinds is passed over.
        if let ["X25519", share] = arguments[..] {
            let share = decode(share).filter(|share| share.len() == 32).ok_or_else(corrupt)?;
            found = found.or_else(|| identities.iter().find_map(|identity| unwrap(identity, &share, &body)));
        }
    };
    let none =
        || Error::new(ErrorKind::Forbidden, "this file is encrypted for another key than the one that was given");
    let file_key = found.ok_or_else(none)?;
    let summed = text.rfind("\n--- ").map_or(0, |at| at + 4);
    hmac::verify(&sum_key(&file_key), &header[..summed], &sum).map_err(|_| corrupt())?;
    Ok(file_key)
}

fn unwrap(identity: &AgeIdentity, share: &[u8], body: &[u8]) -> Option<[u8; 16]> {
    let ours = PrivateKey::from_private_key(&X25519, identity.0.expose()).ok()?;
    let public = ours.compute_public_key().ok()?;
    let salt = [share, public.as_ref()].concat();
    let theirs = UnparsedPublicKey::new(&X25519, share);
    let key = agree(&ours, theirs, (), |shared| Ok(derive(shared, &salt, X25519_INFO))).ok()?;
    let mut body = body.to_vec();
    let plain = wrap_key(key).open_in_place(zero_nonce(), Aad::empty(), &mut body).ok()?;
    (&*plain).try_into().ok()
}
