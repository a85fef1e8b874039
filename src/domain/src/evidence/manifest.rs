//! A signed statement as lines: written, signed, and read back in the one form that there is.

use crate::archive::{Gap, GapCause};
use crate::sync::keys::BoxId;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use perch_base::ids::{CameraId, EventId};
use perch_base::secret::{hex, random_bytes, sha256};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Most recordings and gaps of one statement.
pub const MAX_LINES: usize = 100_000;

/// The version of the form.
const FORM: u32 = 1;

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f').then(|| (b as char).to_digit(16)).flatten();
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(out)
}

/// The SHA-256 of a file or of a part of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

/// The public key that a box's statements are checked by (Ed25519).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Signature([u8; 64]);

/// Which chain of manifests: random, made with its first one. A box that lost its manifests begins another with the same key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub [u8; 8]);

/// Written and read as lower-case hex.
macro_rules! as_hex {
    ($name:ident) => {
        impl $name {
            /// Parses lower-case hex.
            pub fn parse(text: &str) -> Option<Self> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no such hex"))
            }
        }
    };
}

as_hex!(ContentHash);
as_hex!(PublicKey);
as_hex!(Signature);
as_hex!(ChainId);

impl ContentHash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }
}

impl PublicKey {
    /// Which box this is the key of.
    pub fn box_id(&self) -> BoxId {
        BoxId::of(&self.0)
    }
}

/// Signs what the box says of its recordings.
pub trait EvidenceKey: Send + Sync {
    /// What it is checked by.
    fn public_key(&self) -> PublicKey;
    /// An Ed25519 signature of these bytes. Errors with `Internal`.
    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64]>;
}

/// What a manifest follows on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousManifest {
    /// Its chain.
    pub chain: ChainId,
    /// Its place there.
    pub number: u64,
    /// Of its whole file.
    pub hash: ContentHash,
}

/// What a manifest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestHead {
    /// The version of the form.
    perch_manifest: u32,
    /// Which box.
    #[serde(rename = "box")]
    box_id: BoxId,
    /// Its public key.
    pub key: PublicKey,
    /// Its chain.
    pub chain: ChainId,
    /// Its place in the chain, from 1.
    pub number: u64,
    /// The SHA-256 of the file of the one before; null in the first.
    pub previous: Option<ContentHash>,
    /// Recordings that begin from here on ...
    pub from: Timestamp,
    /// ... and before this moment are in it, and gaps up to it.
    pub to: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
}

impl ManifestHead {
    /// The head of the manifest that follows on `previous`; without one it begins a chain.
    pub fn new(
        key: PublicKey,
        previous: Option<PreviousManifest>,
        range: (Timestamp, Timestamp),
        made_at: Timestamp,
    ) -> Self {
        match previous {
            Some(PreviousManifest { chain, number, hash }) => {
                Self::of_chain(key, (chain, number.saturating_add(1), Some(hash)), range, made_at)
            }
            None => Self::of_chain(key, (ChainId(random_bytes()), 1, None), range, made_at),
        }
    }

    /// The same with everything given.
    pub(super) fn of_chain(
        key: PublicKey,
        (chain, number, previous): (ChainId, u64, Option<ContentHash>),
        (from, to): (Timestamp, Timestamp),
        made_at: Timestamp,
    ) -> Self {
        Self { perch_manifest: FORM, box_id: key.box_id(), key, chain, number, previous, from, to, made_at }
    }

    /// What the next one follows on, where `hash` is that of this one's file.
    pub fn as_previous(&self, hash: ContentHash) -> PreviousManifest {
        PreviousManifest { chain: self.chain, number: self.number, hash }
    }
}

/// What an export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHead {
    /// The version of the form.
    perch_export: u32,
    /// Which box.
    #[serde(rename = "box")]
    box_id: BoxId,
    /// Its public key.
    pub key: PublicKey,
    /// The camera.
    pub camera: CameraId,
    /// The range that was asked for.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
    /// The length of everything before what is signed.
    pub media_bytes: u64,
    /// Of those bytes.
    pub media_sha256: ContentHash,
}

impl ExportHead {
    /// Of an export of this camera and range; `media` is the length and the hash of the media.
    pub fn new(
        key: PublicKey,
        camera: CameraId,
        (from, to): (Timestamp, Timestamp),
        made_at: Timestamp,
        media: (u64, ContentHash),
    ) -> Self {
        let (media_bytes, media_sha256) = media;
        Self { perch_export: FORM, box_id: key.box_id(), key, camera, from, to, made_at, media_bytes, media_sha256 }
    }
}

/// What is said of one recorded file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFile {
    /// The camera.
    pub camera: CameraId,
    /// UTC of its time 0.
    pub start: Timestamp,
    /// UTC of its end.
    pub end: Timestamp,
    /// Its length.
    pub bytes: u64,
    /// Of the whole file.
    pub sha256: ContentHash,
    /// The event that it belongs to.
    pub event: Option<EventId>,
}

/// A time of which nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestGap {
    /// The camera.
    pub camera: CameraId,
    /// Start, UTC.
    pub start: Timestamp,
    /// End, UTC.
    pub end: Timestamp,
    /// Why.
    pub cause: GapCause,
}

impl ManifestGap {
    /// A camera's gap of the index.
    pub fn of(camera: &CameraId, gap: &Gap) -> Self {
        Self { camera: camera.clone(), start: gap.start, end: gap.end, cause: gap.cause }
    }
}

/// One line between the head and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestLine {
    /// A file.
    Recording(RecordedFile),
    /// What is missing.
    Gap(ManifestGap),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureLine {
    signature: Signature,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatementHead {
    /// All that the box recorded in a time.
    Manifest(ManifestHead),
    /// One exported file.
    Export(ExportHead),
}

impl StatementHead {
    /// The key that it names.
    pub fn key(&self) -> PublicKey {
        match self {
            Self::Manifest(head) => head.key,
            Self::Export(head) => head.key,
        }
    }

    fn is_of_itself(&self) -> bool {
        match self {
            Self::Manifest(head) => head.box_id == head.key.box_id(),
            Self::Export(head) => head.box_id == head.key.box_id(),
        }
    }
}

/// A statement whose signature is that of the key that it names. Whether that key is the box's is for whoever reads it to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it is about.
    pub head: StatementHead,
    /// What it says.
    pub lines: Vec<ManifestLine>,
    /// Of all its bytes.
    pub hash: ContentHash,
}

fn put_line(out: &mut Vec<u8>, line: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, line).context(ErrorKind::Internal, || "a manifest cannot be written")?;
    out.push(b'\n');
    Ok(())
}

/// A statement as bytes, signed. Errors with `Internal`, and with `TooLarge` when it says too much.
pub fn sign(head: &StatementHead, lines: &[ManifestLine], key: &dyn EvidenceKey) -> Result<Vec<u8>> {
    if lines.len() > MAX_LINES {
        return Err(Error::new(ErrorKind::TooLarge, format!("a manifest has at most {MAX_LINES} lines")));
    }
    let mut out = body(head, lines)?;
    let signature = Signature(key.sign(&out)?);
    put_line(&mut out, &SignatureLine { signature })?;
    Ok(out)
}

fn body(head: &StatementHead, lines: &[ManifestLine]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(512 + lines.len() * 256);
    put_line(&mut out, head)?;
    for line in lines {
        put_line(&mut out, line)?;
    }
    Ok(out)
}

impl Statement {
    /// Reads what [`sign`] made, and checks its signature. Errors, with the reason: `Unsupported` (a newer form, or nothing of ours),
    /// `Corrupt` (it was changed).
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let corrupt = |why: &str| Error::new(ErrorKind::Corrupt, why.to_owned());
        let foreign = || Error::new(ErrorKind::Unsupported, "it is no manifest of a box, or one of a newer form");
        let text = std::str::from_utf8(bytes).map_err(|_| foreign())?;
        let mut all = text.split_inclusive('\n');
        let head: StatementHead = serde_json::from_str(all.next().unwrap_or_default()).map_err(|_| foreign())?;
        let is_known = match &head {
            StatementHead::Manifest(head) => head.perch_manifest == FORM,
            StatementHead::Export(head) => head.perch_export == FORM,
        };
        if !is_known {
            return Err(foreign());
        }
        let (mut lines, mut signature) = (Vec::new(), None);
        for line in all {
            if signature.is_some() || lines.len() > MAX_LINES {
                return Err(corrupt("it goes on behind its signature, or for too long"));
            }
            match serde_json::from_str::<SignatureLine>(line) {
                Ok(found) => signature = Some(found),
                Err(_) => lines.push(serde_json::from_str(line).map_err(|_| corrupt("a line of it cannot be read"))?),
            }
        }
        let signature = signature.ok_or_else(|| corrupt("its signature is missing: it was cut short"))?;
        let signed = body(&head, &lines)?;
        let mut whole = signed.clone();
        put_line(&mut whole, &signature)?;
        if whole != bytes {
            return Err(corrupt("it is not in the form that a box writes: it was changed"));
        }
        UnparsedPublicKey::new(&ED25519, head.key().0)
            .verify(&signed, &signature.signature.0)
            .map_err(|_| corrupt("its signature is wrong: it was changed after it was signed"))?;
        if !head.is_of_itself() {
            return Err(corrupt("its key is not that of the box that it names"));
        }
        Ok(Self { head, lines, hash: ContentHash::of(bytes) })
    }

    /// The files that it lists.
    pub fn recordings(&self) -> impl Iterator<Item = &RecordedFile> {
        self.lines.iter().filter_map(|line| match line {
            ManifestLine::Recording(file) => Some(file),
            ManifestLine::Gap(_) => None,
        })
    }

    /// What is missing by its own word.
    pub fn gaps(&self) -> impl Iterator<Item = &ManifestGap> {
        self.lines.iter().filter_map(|line| match line {
            ManifestLine::Gap(gap) => Some(gap),
            ManifestLine::Recording(_) => None,
        })
    }
}
