//! The certificates that network cameras showed first, kept for good: another one in its place is refused after a restart too.

use perch_base::blocking;
use perch_base::secret::hex;
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::ingest::KnownCertificates;
use perch_domain::network_camera::parse_sha256;
use perch_store::Meta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Where they are kept, as JSON: 64 hex digits by `host:port`.
const KEY: &str = "camera_certificates";

/// What cameras showed first.
pub struct FirstCertificates {
    known: Arc<Mutex<BTreeMap<String, String>>>,
    meta: Meta,
    /// Whose turn it is to write.
    writes: Arc<Mutex<()>>,
}

impl FirstCertificates {
    /// Those that are kept. What cannot be read counts as none, and is logged. Blocks.
    pub fn read(meta: Meta) -> Result<Self> {
        let text = meta.get(KEY)?.unwrap_or_else(|| "{}".into());
        let known = serde_json::from_str(&text).unwrap_or_else(|e| {
            tracing::warn!(error = %e, "the known certificates of cameras cannot be read: the next ones are trusted as the first");
            BTreeMap::new()
        });
        Ok(Self { known: Arc::new(Mutex::new(known)), meta, writes: Arc::default() })
    }
}

impl KnownCertificates for FirstCertificates {
    fn of(&self, camera: &str) -> Option<[u8; 32]> {
        lock(&self.known).get(camera).and_then(|text| parse_sha256(text).ok())
    }

    fn learn(&self, camera: &str, sha256: [u8; 32]) {
        lock(&self.known).insert(camera.to_owned(), hex(&sha256));
        let (known, meta, writes, camera) =
            (self.known.clone(), self.meta.clone(), self.writes.clone(), camera.to_owned());
        let keep = move || {
            let _turn = lock(&writes);
            // With all that were learned until now: of two writes the second knows more.
            let text = serde_json::to_string(&*lock(&known));
            meta.set(KEY, &text.map_err(|e| Error::internal("certificates cannot be written").with_source(e))?)
        };
        tokio::spawn(async move {
            match blocking("keeping a camera's certificate", keep).await {
                Ok(()) => tracing::info!(camera, "this certificate of the camera is trusted from now on"),
                Err(e) => {
                    tracing::warn!(camera, error = %e, "the camera's certificate is trusted until the next start only")
                }
            }
        });
    }
}

/// Where no camera is captured: each certificate is the first.
pub struct Forgets;

impl KnownCertificates for Forgets {
    fn of(&self, _: &str) -> Option<[u8; 32]> {
        None
    }

    fn learn(&self, _: &str, _: [u8; 32]) {}
}

#[cfg(test)]
#[path = "known_certificates_tests.rs"]
mod tests;
