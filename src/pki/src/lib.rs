//! Floor 2: who the box is. The only code that makes keys and certificates and touches `<data>/tls`; built first, so that every
//! transport that speaks TLS is handed the same identity.

#![forbid(unsafe_code)]

mod authority;
mod files;
mod identity;

pub use authority::Pki;
pub use identity::{Config, Identity};
