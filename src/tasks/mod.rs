//! The shell: one file a long task. Each drives a machine of `domain` with the clock and obeys what it says.

pub mod acme;
pub mod auto_update;
pub mod capture;
pub mod card;
pub mod certificate;
pub mod commands;
pub mod controls;
pub mod cut_off;
pub mod deletion;
pub mod delivered;
pub mod event_sounds;
pub mod log;
pub mod loudspeaker;
pub mod microphone;
pub mod modes;
pub mod motion;
pub mod reconcile;
pub mod recording;
pub mod reload;
pub mod retention;
pub mod servers;
pub mod stills;
pub mod trial;
pub mod vp8;
pub mod watchdog;
pub mod web_live;
