//! Floor 2: who the box is. The only code that makes keys and certificates and touches `<data>/tls`; built first, so that every
//! transport that speaks TLS is handed the same identity.

#![forbid(unsafe_code)]

mod acme;
mod authority;
mod domain_certificate;
mod evidence;
mod files;
mod identity;

pub use acme::Acme;
pub use authority::Pki;
pub use evidence::{BoxKey, EVIDENCE_KEY_FILE};
pub use files::IDENTITY_FOLDER;
pub use identity::{Config, Identity};
