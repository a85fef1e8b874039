//! Floor 1: every decision the box takes, as plain values and machines that are handed `now`. No tokio, GStreamer, SQL, sockets or files.

#![forbid(unsafe_code)]

pub mod access;
pub mod admission;
pub mod ages;
pub mod archive;
pub mod board;
pub mod camera;
pub mod capture_attempt;
pub mod connection;
pub mod disk;
pub mod event;
pub mod event_entries;
pub mod exchange;
pub mod fanout;
pub mod h264;
pub mod health;
pub mod identity;
pub mod keyframe;
pub mod lease;
pub mod media;
pub mod motion;
pub mod pairing;
pub mod playback;
pub mod ports;
pub mod reader;
pub mod recording;
pub mod redact;
pub mod reload;
pub mod retention;
pub mod rtsp_address;
pub mod running;
pub mod settings;
pub mod setup;
pub mod status;
pub mod still;
pub mod still_turns;
pub mod stream_choice;
pub mod streams;
pub mod tally;
pub mod task;
pub mod text;
pub mod throttle;
pub mod update;
pub mod viewers;
pub mod vitality;
