//! The server over real TLS against ports in memory.

mod crowd;
mod hardening;
mod logs;
mod media;
mod people;
mod pki;
mod support;
mod table;
mod update;
