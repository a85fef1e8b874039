//! Tries out what a store honours and what its key may do. What that means is `domain::sync::profile`'s.

use crate::S3Store;
use bytes::Bytes;
use perch_base::secret::sha256;
use perch_domain::ports::ObjectStore;
use perch_domain::sync::fault::StoreFaultKind;
use perch_domain::sync::object::{NewObject, NewPart, Sha256};
use perch_domain::sync::profile::StoreTries;

/// What is put; it says what it is to whoever finds it.
const BODY: &[u8] = b"perch tried whether copies of recordings can be kept here; this can be deleted\n";
const OTHER: &[u8] = b"perch tried whether this would replace what is there; it can be deleted\n";

/// Tries all of it in a folder of its own below `prefix`, always the same, and cleans up as far as the key may: at most some 15 small requests.
pub async fn probe(store: &S3Store, prefix: &str) -> StoreTries {
    let slash = if prefix.is_empty() { "" } else { "/" };
    let folder = format!("{prefix}{slash}_probe");
    let object = |name: &str, body: &[u8], only_if_new| NewObject {
        key: format!("{folder}/{name}"),
        content_type: "text/plain",
        sha256: Sha256(sha256(body)),
        only_if_new,
    };
    let (first, body) = (object("first", BODY, false), Bytes::from_static(BODY));
    let mut tried = StoreTries::default();
    let mut store = store.clone();
    let mut put = store.put(&first, body.clone()).await;
    if put.as_ref().is_err_and(|fault| fault.retry_after == Some(std::time::Duration::ZERO)) {
        // The clocks differ: from here on requests carry the store's time.
        put = store.put(&first, body.clone()).await;
    }
    tried.clock_ahead_s = store.clock_ahead_s();
    if put.as_ref().is_err_and(|fault| takes_no_sums(fault.kind)) {
        store = store.with_checksums(false);
        put = store.put(&first, body.clone()).await;
        tried.put_plain = put.is_ok();
    }
    let is_put = put.is_ok();
    tried.put = Some(put);
    if !is_put {
        return tried;
    }
    tried.facts = Some((first.sha256, store.facts(&first.key).await));
    if !tried.put_plain {
        let wrong = NewObject { sha256: Sha256(sha256(b"of something else")), ..object("wrong", OTHER, false) };
        tried.put_wrong = Some(store.put(&wrong, Bytes::from_static(OTHER)).await);
    }
    let again = NewObject { sha256: Sha256(sha256(OTHER)), only_if_new: true, ..first.clone() };
    tried.put_again = Some(store.put(&again, Bytes::from_static(OTHER)).await);
    let held = if matches!(tried.put_again, Some(Ok(()))) { OTHER } else { BODY };
    tried.read = Some(store.read(&first.key, 0, held.len() as u64).await.map(|read| read == held));
    let listed = store.list(&format!("{folder}/"), None).await;
    tried.list = Some(listed.map(|page| page.objects.iter().any(|o| o.key == first.key)));
    tried.parts = Some(parts(&store, &object("parts", BODY, false)).await);
    tried.protection = Some(store.protection().await);
    tried.delete = Some(store.delete(&first.key).await);
    // Whether it went is known from the first one.
    let _ = store.delete(&format!("{folder}/wrong")).await;
    tried
}

/// Whether a store may answer so to checksums that it does not know.
fn takes_no_sums(kind: StoreFaultKind) -> bool {
    matches!(kind, StoreFaultKind::Unsupported | StoreFaultKind::Damaged)
}

async fn parts(store: &S3Store, object: &NewObject) -> Result<bool, perch_domain::sync::fault::StoreFault> {
    let upload = store.begin_parts(object).await?;
    let part = NewPart { number: 1, body: Bytes::from_static(BODY), sha256: object.sha256 };
    let sent = store.put_part(&object.key, &upload, part).await;
    let found = match sent {
        Ok(_) => store.parts(&object.key, &upload).await.map(|parts| parts.iter().any(|part| part.number == 1)),
        Err(e) => Err(e),
    };
    // Whatever came of it, nothing is left there.
    let _ = store.abort_parts(&object.key, &upload).await;
    found
}
