//! Certificates of cameras over a restart of the box.

use super::*;
use crate::config::Config;
use perch_base::clock::SystemClock;
use perch_store::Store;
use std::time::Duration;

#[tokio::test]
async fn what_was_shown_first_is_known_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!("[box]\ndata_dir = {:?}\n[recording]\nmin_free_bytes = 0", dir.path());
    let config = Config::parse(&text, std::iter::empty()).expect("valid");
    let store = Store::open(config.store(), Arc::new(SystemClock)).expect("opened");
    let read = || FirstCertificates::read(store.meta().clone()).expect("read");
    let first = read();
    assert_eq!(first.of("cam:322"), None);
    first.learn("cam:322", [7; 32]);
    first.learn("10.0.0.2:554", [8; 32]);
    assert_eq!(first.of("cam:322"), Some([7; 32]));
    let is_kept = async {
        while read().of("cam:322").is_none() || read().of("10.0.0.2:554").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_kept).await.expect("it is kept");
    assert_eq!((read().of("cam:322"), read().of("cam:554")), (Some([7; 32]), None));
    store.meta().set(KEY, "damaged").expect("written");
    assert_eq!(read().of("cam:322"), None);
}
