//! Signed manifests on their way to a store: in the order of their chain, each looked at once it is there, so that what was recorded can be checked
//! from the bucket alone.

use crate::copying::sealing::small_object;
use perch_base::{Result, blocking};
use perch_cloud::S3Store;
use perch_domain::ports::ObjectStore;
use perch_domain::sync::fault::{StoreFault, StoreFaultKind};
use perch_domain::sync::keys::KeySpace;
use perch_domain::sync::plan::is_copy;
use perch_domain::sync::target::SyncTarget;
use perch_store::Recordings;

/// Manifests that are copied before a recording has its turn again.
const MOST: usize = 16;
/// Lines of JSON.
const TYPE: &str = "application/jsonl";

/// Copies some that a target does not have. Whether there are more; `is_seen`: whether the key may look at what is there.
pub async fn copy_manifests(
    recordings: &Recordings,
    (target, keys): (&SyncTarget, &KeySpace),
    store: &S3Store,
    is_seen: bool,
) -> Result<std::result::Result<bool, StoreFault>> {
    let (asked, of) = (recordings.clone(), target.clone());
    let to_copy = blocking("looking for manifests to copy", move || asked.manifests_to_copy(&of)).await?;
    for kept in to_copy.iter().take(MOST) {
        let (reader, one) = (recordings.clone(), kept.clone());
        let bytes = blocking("reading a manifest", move || reader.read_manifest(&one)).await?;
        let (object, body) = small_object((target, keys), &kept.name, TYPE, bytes.into()).await?;
        let (key, sha256, size_bytes) = (object.key.clone(), object.sha256, body.len() as u64);
        if let Err(fault) = store.put(&object, body).await {
            return Ok(Err(fault));
        }
        if is_seen {
            match store.facts(&key).await {
                Ok(facts) if is_copy(&facts, size_bytes, sha256) => {}
                Ok(_) => {
                    let doing = format!("looking at the copy of manifest {}", kept.number);
                    return Ok(Err(StoreFault::new(StoreFaultKind::Damaged, doing)));
                }
                Err(fault) => return Ok(Err(fault)),
            }
        }
        let (writer, of, one) = (recordings.clone(), target.clone(), kept.clone());
        blocking("noting the copy of a manifest", move || writer.manifest_copied(&of, &one)).await?;
    }
    Ok(Ok(to_copy.len() > MOST))
}
