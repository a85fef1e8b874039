//! A session with a camera as a machine: `now` and what came in, what is to be sent, opened and waited for out. No clock, no socket.

mod alive;
#[cfg(test)]
mod damage_tests;
mod dialog;
mod inlet;
mod machine;
mod manner;
mod media;
mod output;
mod wanted;
mod way;
mod words;

pub(crate) use machine::Session;
pub(crate) use manner::Manner;
#[cfg(feature = "fuzzing")]
pub(crate) use media::Media;
pub(crate) use output::{Output, Settings};
pub(crate) use words::unavailable;
