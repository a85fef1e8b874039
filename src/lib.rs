//! The daemon as a library, so that tests boot the whole box in-process. `app` is the one place that wires everything.
#![allow(missing_docs, reason = "a program, public only for its own tests")]

#[macro_use]
pub mod print;

pub mod announcements;
pub mod app;
pub mod backup;
pub mod bell;
pub mod camera;
pub mod camera_runner;
pub mod camera_set;
pub mod camera_tls;
pub mod camera_voice;
pub mod cameras;
pub mod cli;
pub mod commands;
pub mod config;
pub mod copies;
pub mod copying;
pub mod current;
pub mod ears;
pub mod kept_log;
#[expect(unsafe_code, reason = "adjtimex(2), which says whether the clock is set, has no safe form")]
pub mod kernel_clock;
pub mod known_certificates;
pub mod modes;
pub mod pairing_card;
pub mod picture_controls;
pub mod probing;
pub mod pushes;
pub mod range_pushes;
mod reader;
pub mod reload_line;
pub mod restore;
pub mod settings;
pub mod setup;
pub mod stop_signal;
pub mod supervisor;
pub mod system;
pub mod systemd;
pub mod taken_by;
pub mod tasks;
pub mod toml_text;
pub mod version;
pub mod web_live;
pub mod wires;
pub mod worker;
