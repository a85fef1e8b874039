//! The box's own candidates from outside (RFC 8445, section 5.1.1): from where STUN servers see the one UDP port, and relayed addresses of
//! the owner's TURN servers. [`Gathered`] is what the engine goes by; [`Gatherer`] keeps it.

mod allocation;
mod frames;
mod gathered;
mod gatherer;
mod link;
mod probe;
mod stun;

pub use gathered::{FromOutside, Gathered};
pub use gatherer::Gatherer;
pub use probe::try_server;
