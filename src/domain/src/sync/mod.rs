//! Copies off the box: what they are called. Nothing here is sent.

pub mod keys;
pub mod restore;
