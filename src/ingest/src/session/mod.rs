//! A session with a camera as a machine: `now` and what came in, what is to be sent, opened and waited for out. No clock, no socket.

#[cfg(test)]
mod damage_tests;
mod dialog;
mod errors;
mod inbound;
mod keep_alive;
mod lower_transport;
mod machine;
mod media;
mod outgoing;
mod output;
mod quirks;
mod redirects;
mod setup_plan;

pub(crate) use errors::unavailable;
pub(crate) use machine::Session;
#[cfg(feature = "fuzzing")]
pub(crate) use media::Media;
pub(crate) use output::{Output, Settings};
pub(crate) use quirks::Quirks;
