//! One file a command. Commands that change accounts write the database of the box and ring its bell.
#![allow(clippy::print_stdout, reason = "what a command prints is what it is for")]

pub mod check;
pub mod export;
pub mod motion;
pub mod pair;
pub mod people;
pub mod run;

use crate::app::store_config;
use crate::config::Config;
use perch_base::Result;
use perch_base::clock::SystemClock;
use perch_store::Store;
use std::path::Path;
use std::sync::Arc;

/// Opens the box's database beside a daemon that may be running.
fn open_store(config: &Config) -> Result<Store> {
    Store::open_for_cli(store_config(config), Arc::new(SystemClock))
}

/// Tells the running box, if there is one.
fn ring(data_dir: &Path) {
    if !crate::bell::ring(data_dir) {
        eprintln!("The box is not running; the change takes effect when it starts.");
    }
}
