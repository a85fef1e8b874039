//! The server over real TLS against ports in memory.

mod cameras;
mod crowd;
mod cut_off;
mod grants;
mod hardening;
mod identity;
mod limits;
mod live;
mod logs;
mod media;
mod modes;
mod people;
mod plain;
mod ports;
mod probe;
mod requests;
mod revoked;
mod server;
mod settings;
mod streams;
mod support;
mod system;
mod table;
mod talk;
mod update;
mod web_live;
