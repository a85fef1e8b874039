//! The key that the box signs evidence with (Ed25519, RFC 8032), apart from those of TLS: it never changes, and says who the box is to
//! whoever holds copies.

use crate::files::{Dir, IDENTITY_FOLDER};
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::evidence::{EvidenceKey, PublicKey};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use std::path::Path;

/// Its file, PKCS #8 in PEM (RFC 5958, RFC 8410).
pub const EVIDENCE_KEY_FILE: &str = "evidence.key";

/// The key, open.
pub struct BoxKey {
    pair: KeyPair,
    public: PublicKey,
}

impl BoxKey {
    /// Loads it from the data folder, or makes it. One that is damaged is replaced, which is logged: what was signed before can then be
    /// checked by the old public key alone. Errors with `Io` when it cannot be kept.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let dir = Dir::open(data_dir.join(IDENTITY_FOLDER))?;
        if let Some(pem) = dir.read(EVIDENCE_KEY_FILE)? {
            match KeyPair::from_pem(&pem).ok().and_then(Self::of) {
                Some(key) => return Ok(key),
                None => tracing::error!(
                    "the key that evidence is signed with is damaged: a new one is made, and the box is another to whoever checks"
                ),
            }
        }
        let pair = KeyPair::generate_for(&PKCS_ED25519).context(ErrorKind::Internal, || "no key could be made")?;
        dir.write(EVIDENCE_KEY_FILE, pair.serialize_pem().as_bytes())?;
        Self::of(pair).ok_or_else(|| perch_base::Error::internal("a new key is none"))
    }

    fn of(pair: KeyPair) -> Option<Self> {
        let public = PublicKey(pair.public_key_raw().try_into().ok()?);
        pair.is_compatible(&PKCS_ED25519).then_some(Self { pair, public })
    }
}

impl EvidenceKey for BoxKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64]> {
        let signature = self.pair.sign(bytes).context(ErrorKind::Internal, || "evidence cannot be signed")?;
        signature.try_into().map_err(|_| perch_base::Error::internal("a signature has another length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::time::Timestamp;
    use perch_domain::evidence::{ManifestHead, Statement, StatementHead, sign};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_stays_signs_and_is_closed_to_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = BoxKey::open(dir.path()).expect("made");
        let again = BoxKey::open(dir.path()).expect("kept");
        assert_eq!(key.public_key(), again.public_key());
        let head = ManifestHead::new(key.public_key(), None, (Timestamp(0), Timestamp(1)), Timestamp(2));
        let signed = sign(&StatementHead::Manifest(head), &[], &again).expect("signed");
        assert_eq!(Statement::read(&signed).expect("right").head.key(), key.public_key());
        let file = dir.path().join(IDENTITY_FOLDER).join(EVIDENCE_KEY_FILE);
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        for damaged in ["", "-----BEGIN PRIVATE KEY-----"] {
            std::fs::write(&file, damaged).expect("written");
            assert_ne!(BoxKey::open(dir.path()).expect("another").public_key(), key.public_key());
        }
        // A key of another kind signs nothing.
        std::fs::write(&file, KeyPair::generate().expect("P-256").serialize_pem()).expect("written");
        assert!(BoxKey::open(dir.path()).expect("another").sign(b"x").is_ok());
    }
}
