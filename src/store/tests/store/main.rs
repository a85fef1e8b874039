//! The store from outside: recordings, accounts, damage and disks, against real files and a real clip. One program, so that it is
//! linked once and the clip is made once; each file is a subject.
#![allow(clippy::disallowed_methods, reason = "tests mount, make the clip with ffmpeg and ask ffprobe")]

mod access;
mod archive;
mod busy;
mod common;
mod copies;
mod disk;
mod foreign;
mod limits;
mod lost_index;
mod manifests;
mod pictures;
mod reconcile;
mod recording;
mod scale;
mod set_clock;
mod standards;
mod trial;
mod upgrade;
