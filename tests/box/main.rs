//! The box as a whole: started as a process or in this one, with real clients. One program, so that it is linked once; each
//! file is a subject.
#![allow(clippy::disallowed_methods, reason = "the box, players and mounts are processes")]

mod acme;
mod announcements;
mod bad_input;
mod bad_requests;
mod cameras;
mod commands;
mod controls;
mod crowd;
mod damaged;
mod discovery;
mod doors;
mod evidence;
mod first_start;
mod live;
mod lost_index;
mod masks;
mod modes;
mod one_camera;
mod people;
mod probe;
mod push;
mod push_tls;
mod recording;
mod restored;
mod settings;
mod settings_files;
mod spoken_to;
#[path = "../support/mod.rs"]
mod support;
mod system;
mod update;
mod web_live;
