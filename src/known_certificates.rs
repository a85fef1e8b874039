//! The certificates that network cameras showed first, kept for good: another one in its place is refused after a restart too.

use perch_base::blocking;
use perch_base::secret::hex;
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::ingest::KnownCertificates;
use perch_domain::network_camera::parse_sha256;
use perch_store::Meta;
use perch_store::layout::has_database;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Where they are kept, as JSON: 64 hex digits by `host:port`.
pub(crate) const KEY: &str = "camera_certificates";

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
        let known = parse(meta.get(KEY)?);
        Ok(Self { known: Arc::new(Mutex::new(known)), meta, writes: Arc::default() })
    }
}

fn parse(text: Option<String>) -> BTreeMap<String, String> {
    serde_json::from_str(text.as_deref().unwrap_or("{}")).unwrap_or_else(|e| {
        tracing::warn!(error = %e, "the known certificates of cameras cannot be read: the next ones are trusted as the first");
        BTreeMap::new()
    })
}

/// What the box knows of cameras, for who tries them beside it: nothing is kept of what they show.
#[derive(Default)]
pub struct Onlooker {
    known: Mutex<BTreeMap<String, String>>,
    /// Who is asked besides.
    beside: Option<Arc<dyn KnownCertificates>>,
    first: Mutex<Vec<String>>,
}

impl Onlooker {
    /// Beside a box that runs.
    pub fn beside(known: Arc<dyn KnownCertificates>) -> Self {
        Self { beside: Some(known), ..Self::default() }
    }

    /// With what the box of this data folder knows, if one ever ran there. Blocks.
    pub fn of_box(data_dir: &Path) -> Result<Self> {
        let text = if has_database(data_dir) { Meta::look_up(data_dir, KEY)? } else { None };
        Ok(Self { known: Mutex::new(parse(text)), ..Self::default() })
    }

    /// The certificates that were shown since the last call by cameras of which none was known: 64 hex digits each.
    pub fn take_first(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.first))
    }
}

impl KnownCertificates for Onlooker {
    fn of(&self, camera: &str) -> Option<[u8; 32]> {
        let own = lock(&self.known).get(camera).and_then(|text| parse_sha256(text).ok());
        own.or_else(|| self.beside.as_ref().and_then(|known| known.of(camera)))
    }

    fn learn(&self, camera: &str, sha256: [u8; 32]) {
        lock(&self.known).insert(camera.to_owned(), hex(&sha256));
        lock(&self.first).push(hex(&sha256));
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

#[cfg(test)]
#[path = "known_certificates_tests.rs"]
mod tests;
