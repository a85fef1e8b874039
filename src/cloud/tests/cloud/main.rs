//! The adapter against a real store, over lines and with keys that are not what they should be.

mod lines;
mod objects;
mod probing;

use bytes::Bytes;
use perch_base::secret::{Secret, sha256};
use perch_cloud::S3Store;
use perch_domain::sync::object::{NewObject, Sha256};
use perch_domain::sync::target::{CopyWhat, StoreKeys, SyncTarget};
use perch_test_stores::{Rights, TestStore};
use tempfile::TempDir;

const BUCKET: &str = "copies";
const KEYS: [(&str, &str, Rights); 3] = [
    ("all", "secret-of-all", Rights::All),
    ("reads", "secret-of-reads", Rights::ReadOnly),
    ("writes", "secret-of-writes", Rights::WriteOnly),
];

/// An empty bucket in a store.
async fn store() -> (TempDir, TestStore) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join(BUCKET)).expect("a bucket");
    let store = TestStore::start(dir.path(), &KEYS).await;
    (dir, store)
}

fn target(endpoint: String, key: &str) -> SyncTarget {
    let secret = Secret::new(format!("secret-of-{key}"));
    SyncTarget {
        endpoint,
        region: "us-east-1".into(),
        bucket: BUCKET.into(),
        prefix: "home".into(),
        keys: StoreKeys { access: Secret::new(key.into()), secret },
        ca_pem: None,
        what: CopyWhat::All,
        max_bytes_per_s: 0,
        monthly_bytes: 0,
        encrypt_to: Vec::new(),
        is_opaque: false,
    }
}

fn open(endpoint: String, key: &str) -> S3Store {
    S3Store::open(&target(endpoint, key)).expect("it can be used")
}

fn object(key: &str, body: &[u8]) -> NewObject {
    NewObject { key: key.into(), content_type: "video/mp4", sha256: Sha256(sha256(body)), only_if_new: true }
}

/// Bytes that no compression makes fewer, the same each time.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect::<Vec<u8>>().into()
}
