//! Sessions with odd cameras over real sockets on loopback. What is inside their packets is tested beside `rtp`; here it is enough that
//! pictures come.

#![allow(clippy::print_stdout, reason = "a case that is skipped says so")]

mod cameras;
mod hostile;
mod scripts;
mod support;
