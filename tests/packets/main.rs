//! What network cameras send, and what becomes of it in memory and on the disk: the machines from a session's packets to files, one after the other
//! on one thread, by a clock that is turned by hand. No network, no encoder, no waits.
#![allow(clippy::disallowed_methods, reason = "ffprobe is a process")]

mod chain;
mod damaged;
mod day;
#[allow(dead_code, reason = "another test program uses the rest")]
#[path = "../support/ffmpeg.rs"]
mod ffmpeg;
mod heap;
mod reader;

/// Whether the long versions of the tests were asked for (`PERCH_TEST_LONG=1`).
fn is_long() -> bool {
    std::env::var("PERCH_TEST_LONG").is_ok_and(|v| v == "1")
}
