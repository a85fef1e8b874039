//! Stores of objects for tests: a real one, `s3s-fs`, in this process, and a line to it that breaks as lines do.

#![forbid(unsafe_code)]

mod line;
mod named;
mod store;

pub use line::{Line, LineFault};
pub use store::{Rights, TestStore};
