//! Encryption for an owner's keys, in the format age (<https://c2sp.org/age>, version 1, X25519): whoever has a public key can encrypt, the box too,
//! and only the owner can read. Any chunk can be encrypted by itself, so an upload that broke off goes on with the same bytes.

mod bech32;
mod chunk;
mod header;
mod keys;
mod open;
mod seal;

pub use keys::{AgeIdentity, Recipient};
pub use open::{Opened, open};
pub use seal::{Seal, seal};

#[cfg(test)]
mod tests;
