//! Copies off the box: what they are called, where they go, what is copied next. Nothing here is sent.

pub mod brief;
pub mod fault;
pub mod hours;
pub mod keys;
pub mod looking;
pub mod object;
pub mod plan;
pub mod profile;
pub mod restore;
pub mod retry;
pub mod running;
pub mod status;
pub mod target;
