//! Evidence: what the box signed of what it recorded, and how anybody checks that without the box.
//!
//! A **manifest** says of all recordings that begin within a time (an hour, as a rule) when each is from and what the SHA-256 of its
//! file is, and what is missing and why. Manifests are numbered from 1, and each names the SHA-256 of the one before, so none can be
//! left out, put in or changed without that being seen. An **export** carries the same of itself at its end.
//!
//! # Form
//! JSON, an object a line (UTF-8, `\n`, no other white space, keys in the order shown), times in RFC 3339 with microseconds and `Z`,
//! hashes, keys and signatures in lower-case hex:
//! ```text
//! {"perch_manifest":1,"box":"…","key":"…","chain":"…","number":17,"previous":"…","from":"…","to":"…","made_at":"…"}
//! {"recording":{"camera":"front","start":"…","end":"…","bytes":1234567,"sha256":"…","event":1777638896789123}}
//! {"gap":{"camera":"front","start":"…","end":"…","cause":"box_off"}}
//! {"signature":"…"}
//! ```
//! `key` is the public key of the box (Ed25519, RFC 8032), `box` the first eight bytes of its SHA-256. The signature is over all
//! bytes before its own line. `chain` names the chain, eight random bytes: a box whose manifests were lost begins another. `previous` is the SHA-256 of the whole file of the manifest with the number before, null in the first
//! one. What is not in exactly this form is refused, so a manifest has one spelling. An export's first line is
//! ```text
//! {"perch_export":1,"box":"…","key":"…","camera":"front","from":"…","to":"…","made_at":"…","media_bytes":…,"media_sha256":"…"}
//! ```
//! where `media_sha256` is that of the file's first `media_bytes` bytes. The rest is one `uuid` box (ISO/IEC 14496-12 4.2 and 11.1) of
//! type [`EXPORT_BOX`] with these lines, which players pass over. Its recordings are those that it was made from, with the hashes that the
//! manifests have of them.

mod export;
mod manifest;
mod plan;
mod verify;

pub use export::{EXPORT_BOX, ExportFound, MAX_STATEMENT_BYTES, SignedExport, check_export, export_box};
pub use manifest::{
    ChainId, ContentHash, EvidenceKey, ExportHead, MAX_LINES, ManifestGap, ManifestHead, ManifestLine,
    PreviousManifest, PublicKey, RecordedFile, Statement, StatementHead, sign,
};
pub use plan::{Newest, SETTLED_AFTER_US, may_go, next_manifest};
pub use verify::{CopiedFile, Doubt, FoundManifest, KeyTrust, Verified, verify};

#[cfg(test)]
mod tests;
