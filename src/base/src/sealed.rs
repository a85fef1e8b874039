//! Bytes sealed with a password: Argon2id (RFC 9106) makes a key of it, AES-256-GCM (NIST SP 800-38D) seals. What was sealed says by itself
//! whether it is damaged, and apart from that whether the password is wrong.

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::secret::{random_bytes, sha256};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// What it begins with; the digit is the version.
const BEGINS: &[u8] = b"perch-sealed-";
const HEAD: &[u8] = b"perch-sealed-1\n";
const SALT_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;
const SUM_BYTES: usize = 32;
/// Argon2id: 64 MiB, three passes, one lane; a second or so on a small board.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// The key of a password, and what tells a wrong one.
fn key_of(password: &str, salt: &[u8]) -> Result<(LessSafeKey, [u8; CHECK_BYTES])> {
    let failed = || "a password cannot be made into a key: is there enough memory?";
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("the parameters are within Argon2's limits");
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut key)
        .map_err(|e| Error::new(ErrorKind::Internal, failed()).with_inside(e.to_string()))?;
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&sha256(&[b"perch-check".as_slice(), &key].concat())[..CHECK_BYTES]);
    let key = UnboundKey::new(&AES_256_GCM, &key).context(ErrorKind::Internal, failed)?;
    Ok((LessSafeKey::new(key), check))
}

/// Seals.
pub fn seal(password: &str, plain: &[u8]) -> Result<Vec<u8>> {
    let (salt, nonce) = (random_bytes::<SALT_BYTES>(), random_bytes::<NONCE_LEN>());
    let (key, check) = key_of(password, &salt)?;
    let mut sealed = plain.to_vec();
    let aad = Aad::from(HEAD);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .context(ErrorKind::Internal, || "it cannot be sealed")?;
    let mut out = [HEAD, &salt, &nonce, &check, &sealed].concat();
    out.extend(sha256(&out));
    Ok(out)
}

/// Opens what [`seal`] made. Errors: `Unsupported` (a newer version made it, or it is no such thing), `Corrupt` (damaged), `Invalid` (the
/// password is wrong).
pub fn unseal(password: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    let Some(body) = sealed.strip_prefix(HEAD) else {
        let why = match sealed.starts_with(BEGINS) {
            true => "a newer version of perch made this file: update the box first",
            false => "this is no backup of a box",
        };
        return Err(Error::new(ErrorKind::Unsupported, why));
    };
    let damaged = || Error::new(ErrorKind::Corrupt, "the file is damaged: it was not copied whole, or changed");
    let at = sealed.len().checked_sub(SUM_BYTES).ok_or_else(damaged)?;
    if body.len() < SALT_BYTES + NONCE_LEN + CHECK_BYTES + SUM_BYTES || sha256(&sealed[..at]) != sealed[at..] {
        return Err(damaged());
    }
    let (salt, rest) = body[..body.len() - SUM_BYTES].split_at(SALT_BYTES);
    let (nonce, rest) = rest.split_at(NONCE_LEN);
    let (check, rest) = rest.split_at(CHECK_BYTES);
    let (key, right) = key_of(password, salt)?;
    if check != right {
        return Err(Error::invalid("the password is wrong"));
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
    let mut plain = rest.to_vec();
    let bytes = key.open_in_place(nonce, Aad::from(HEAD), &mut plain).map_err(|_| damaged())?.len();
    plain.truncate(bytes);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_password_alone_and_damage_is_told_from_that() {
        let sealed = seal("open sesame", b"the settings of a box").expect("sealed");
        assert!(!sealed.windows(8).any(|w| w == b"settings"));
        assert_ne!(seal("open sesame", b"the settings of a box").expect("sealed"), sealed, "salted");
        assert_eq!(unseal("open sesame", &sealed).expect("opens"), b"the settings of a box");
        assert_eq!(unseal("open barley", &sealed).expect_err("wrong").kind(), ErrorKind::Invalid);
        for at in [HEAD.len(), HEAD.len() + 20, sealed.len() - 40, sealed.len() - 1] {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(unseal("open sesame", &flipped).expect_err("damaged").kind(), ErrorKind::Corrupt, "{at}");
        }
        for short in [&sealed[..HEAD.len()], &sealed[..sealed.len() - 1]] {
            assert_eq!(unseal("open sesame", short).expect_err("damaged").kind(), ErrorKind::Corrupt);
        }
        for (bytes, want) in
            [(&b"perch-sealed-2\nx"[..], "newer version"), (b"PK\x03\x04", "no backup"), (b"", "no backup")]
        {
            assert!(unseal("x", bytes).expect_err("refused").message().contains(want));
        }
    }
}
