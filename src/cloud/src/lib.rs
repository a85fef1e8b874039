//! Copies off the box: the only code that speaks to stores of objects. What is copied when is decided in `domain::sync`.

#![forbid(unsafe_code)]

mod answers;
mod body;
mod client;
mod probe;
mod s3;

pub use probe::probe;
pub use s3::S3Store;
