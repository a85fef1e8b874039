//! A store for the browser's tests: serves the folders below the one that it is given as buckets, and prints its address, and that of the same
//! store with a certificate that has run out, whose authority it leaves in `authority.pem` there.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the command's output")]

use perch_test_stores::{Rights, TestStore};
use std::path::PathBuf;

#[tokio::main]
async fn main() {
    let root = PathBuf::from(std::env::args_os().nth(1).expect("the folder of the buckets"));
    let keys = [("perch", Rights::All), ("looks", Rights::ReadOnly), ("puts", Rights::WriteOnly)]
        .map(|(id, rights)| (id, "of-the-tests", rights));
    let store = TestStore::start(&root, &keys).await;
    let over = TestStore::start_tls(&root, &keys, -2).await;
    std::fs::write(root.join("authority.pem"), over.ca_pem.clone().unwrap_or_default())
        .expect("the authority is written");
    println!("{}\n{}", store.endpoint(), over.endpoint());
    std::future::pending::<()>().await;
}
