//! Floor 0: what every crate of the box shares (time, errors, ids, secrets, files, backoff, shutdown, locks, addresses, time zones, disks, panics, markup, percent-encoding, failures that repeat). No policy lives here.

#[macro_use]
mod all;
pub mod age;
pub mod authority;
pub mod backoff;
pub mod base64;
pub mod clock;
pub mod disk;
pub mod error;
pub mod files;
pub mod ids;
pub mod markup;
#[expect(unsafe_code, reason = "getifaddrs(3) hands out a list of C structures")]
pub mod net;
pub mod panic;
pub mod percent;
pub mod read_at;
pub mod repeated;
pub mod sealed;
pub mod secret;
pub mod shutdown;
pub mod sync;
mod threads;
pub mod time;
pub mod zone;

pub use error::{Error, ErrorKind, Result, ResultExt};
pub use threads::{blocking, on_own_thread};
