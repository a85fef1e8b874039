//! A store for the browser's tests: serves the folders below the one that it is given as buckets, and prints its address.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the command's output")]

use perch_test_stores::{Rights, TestStore};
use std::path::PathBuf;

#[tokio::main]
async fn main() {
    let root = PathBuf::from(std::env::args_os().nth(1).expect("the folder of the buckets"));
    let store = TestStore::start(&root, &[("perch", "of-the-tests", Rights::All)]).await;
    println!("{}", store.endpoint());
    std::future::pending::<()>().await;
}
