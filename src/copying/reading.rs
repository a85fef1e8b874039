//! Copies that are read back because the box's own file is gone: a few ranges at a time, each of which is over in half a minute.

use crate::current::Current;
use bytes::Bytes;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_cloud::S3Store;
use perch_domain::held::{CopyPlace, CopyReader};
use perch_domain::ports::ObjectStore;
use perch_domain::sync::target::SyncTarget;
use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

// Real time: sockets know no other.
/// A range that has not come by then does not.
const LIMIT: Duration = Duration::from_secs(30);
/// Ranges that are fetched at once, of all stores: they are in memory.
const PLACES: usize = 4;

/// Reads from the stores of the config.
pub struct StoredCopies {
    settings: Current,
    runtime: Handle,
    /// By their names; made anew when the config says something else of them.
    stores: Mutex<BTreeMap<String, (SyncTarget, S3Store)>>,
    places: Arc<Semaphore>,
}

impl StoredCopies {
    /// Within a runtime, on which it fetches.
    pub fn new(settings: Current) -> Self {
        Self {
            settings,
            runtime: Handle::current(),
            stores: Mutex::default(),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    fn store(&self, name: &str) -> Result<S3Store> {
        let config = self.settings.config();
        let target = config.sync.iter().find(|target| target.name() == name);
        let target = target.ok_or_else(|| Error::not_found("the store of the copy is no longer in the settings"))?;
        let mut stores = lock(&self.stores);
        stores.retain(|_, (known, _)| config.sync.contains(known));
        if let Some((_, store)) = stores.get(name) {
            return Ok(store.clone());
        }
        let _within = self.runtime.enter();
        let store = S3Store::open(target)?;
        stores.insert(name.to_owned(), (target.clone(), store.clone()));
        Ok(store)
    }
}

impl CopyReader for StoredCopies {
    fn targets(&self) -> Vec<String> {
        self.settings.config().sync.iter().map(SyncTarget::name).collect()
    }

    fn read(&self, copy: &CopyPlace, from: u64, to: u64) -> Result<Bytes> {
        let (store, key, places) = (self.store(&copy.target)?, copy.key.clone(), self.places.clone());
        let (answer, came) = sync_channel(1);
        let late = || Error::new(ErrorKind::Unavailable, "the store with the copy does not answer in time");
        let fetching = self.runtime.spawn(async move {
            let fetch = async {
                let _place = places.acquire().await;
                store.read(&key, from, to).await
            };
            // Whoever asked may have gone.
            let _ = answer.send(tokio::time::timeout(LIMIT, fetch).await);
        });
        let read = came.recv_timeout(LIMIT + Duration::from_secs(5)).ok().and_then(Result::ok);
        fetching.abort();
        let bytes = read.ok_or_else(late)?.map_err(|fault| fault.into_error().at("the copy elsewhere"))?;
        match bytes.len() as u64 == to.saturating_sub(from) {
            true => Ok(bytes),
            false => Err(Error::new(ErrorKind::Corrupt, "the copy elsewhere is shorter than the recording was")),
        }
    }
}
