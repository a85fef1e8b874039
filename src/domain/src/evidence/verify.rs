//! A folder of copies against the manifests in it: what is wrong is named one by one.

use super::manifest::{
    ChainId, ContentHash, ManifestGap, ManifestHead, PublicKey, RecordedFile, Statement, StatementHead,
};
use crate::archive::TimeRange;
use crate::sync::keys::{BoxId, to_ms};
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// Whose word is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyTrust {
    /// That of any one box; which, is said.
    #[default]
    Any,
    /// That of this box alone, by the short form of its key.
    Box(BoxId),
    /// That of this key alone.
    Key(PublicKey),
}

impl From<BoxId> for KeyTrust {
    fn from(box_id: BoxId) -> Self {
        Self::Box(box_id)
    }
}

impl KeyTrust {
    /// Parses a key (64 hex digits) or its short form (16).
    pub fn parse(text: &str) -> Option<Self> {
        PublicKey::parse(text).map(Self::Key).or_else(|| BoxId::parse(text).map(Self::Box))
    }

    /// Whether this key is one that is trusted.
    pub fn includes(&self, key: PublicKey) -> bool {
        match self {
            Self::Any => true,
            Self::Box(id) => key.box_id() == *id,
            Self::Key(known) => *known == key,
        }
    }
}

/// A file that calls itself a manifest.
#[derive(Debug)]
pub struct FoundManifest {
    /// Where it lies.
    pub file: String,
    /// The number that its name says, where it says one.
    pub named: Option<u64>,
    /// What it says, or why it is not believed.
    pub read: Result<Statement, String>,
}

/// A recorded file.
#[derive(Clone, Debug)]
pub struct CopiedFile {
    /// Where it lies.
    pub file: String,
    /// What its path says: the camera, and the start to the millisecond.
    pub named: Option<(CameraId, Timestamp)>,
    /// Of its bytes.
    pub sha256: ContentHash,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// There is no manifest at all.
    NoManifest,
    /// A manifest that is not believed.
    BadManifest(String, String),
    /// A manifest that another box signed.
    ForeignKey(String, BoxId),
    /// A manifest that is called by another number than it has.
    WrongName(String, u64),
    /// Two manifests have the same number.
    Twice(u64, String, String),
    /// Manifests are missing in the chain, from and to these numbers.
    MissingManifests(u64, u64),
    /// A manifest does not follow on the one before.
    BrokenChain(String, u64),
    /// A file is not what was recorded.
    Altered(String, RecordedFile, ContentHash),
    /// A file is not there.
    Missing(RecordedFile, u64),
    /// No manifest lists this file, though one is about its time.
    Unlisted(String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoManifest => f.write_str("there is no manifest: what lies here cannot be checked"),
            Self::BadManifest(file, why) => write!(f, "manifest {file}: {why}"),
            Self::ForeignKey(file, id) => write!(f, "manifest {file}: it is signed by another box, {id}"),
            Self::WrongName(file, number) => {
                write!(f, "manifest {file}: it has number {number}, and is called otherwise")
            }
            Self::Twice(number, a, b) => write!(f, "manifests {a} and {b} both have number {number}"),
            Self::MissingManifests(from, to) if from == to => write!(f, "manifest {from} is missing"),
            Self::MissingManifests(from, to) => write!(f, "manifests {from} to {to} are missing"),
            Self::BrokenChain(file, before) => {
                write!(
                    f,
                    "manifest {file}: it does not follow on manifest {before} as that lies here: one of the two was replaced"
                )
            }
            Self::Altered(file, was, is) => write!(
                f,
                "{file}: changed: camera {}, {}: SHA-256 is {is}, and {} was recorded",
                was.camera, was.start, was.sha256
            ),
            Self::Missing(file, number) => write!(
                f,
                "missing: camera {}, {} to {}, {} bytes, SHA-256 {} (manifest {number})",
                file.camera, file.start, file.end, file.bytes, file.sha256
            ),
            Self::Unlisted(file) => write!(f, "{file}: the manifest of its time does not list it"),
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verified {
    /// Whose word was taken.
    pub keys: Vec<PublicKey>,
    /// The manifests that are believed: chain and number.
    pub manifests: Vec<(ChainId, u64)>,
    /// How many files are as they were recorded.
    pub whole: usize,
    /// What the box itself says is missing.
    pub gaps: Vec<ManifestGap>,
    /// Files of a time that no manifest here is about.
    pub not_covered: Vec<String>,
    /// What is wrong.
    pub doubts: Vec<Doubt>,
}

/// Checks `files` by `manifests`; of the manifests only what begins within `range` is demanded.
pub fn verify(
    trust: KeyTrust,
    range: Option<TimeRange>,
    mut manifests: Vec<FoundManifest>,
    files: &[CopiedFile],
) -> Verified {
    let mut out = Verified::default();
    if manifests.is_empty() {
        out.doubts.push(Doubt::NoManifest);
    }
    manifests.sort_by(|a, b| a.file.cmp(&b.file));
    let chain = chain(trust, manifests, &mut out);
    out.manifests = chain.iter().map(|(_, head, _)| (head.chain, head.number)).collect();
    let mut by_hash: HashMap<ContentHash, Vec<usize>> = HashMap::new();
    let mut by_name: HashMap<(&CameraId, Timestamp), Vec<usize>> = HashMap::new();
    for (n, file) in files.iter().enumerate() {
        by_hash.entry(file.sha256).or_default().push(n);
        if let Some((camera, start)) = &file.named {
            by_name.entry((camera, *start)).or_default().push(n);
        }
    }
    let mut known = HashSet::new();
    let is_asked = |at: Timestamp| range.is_none_or(|range| range.from <= at && at < range.to);
    for (_, head, statement) in &chain {
        let in_range = |from: Timestamp, to: Timestamp| range.is_none_or(|range| range.overlaps(from, to));
        out.gaps.extend(statement.gaps().filter(|gap| in_range(gap.start, gap.end)).cloned());
        for recorded in statement.recordings() {
            if let Some(found) = by_hash.get(&recorded.sha256) {
                known.extend(found.iter().copied());
                out.whole += 1;
                continue;
            }
            let called_so = by_name.get(&(&recorded.camera, to_ms(recorded.start))).into_iter().flatten();
            // A neighbour of the same millisecond that is whole is another recording.
            let altered: Vec<_> = called_so.copied().filter(|n| !known.contains(n)).collect();
            known.extend(altered.iter().copied());
            match altered.first() {
                Some(n) => {
                    let CopiedFile { file, sha256, .. } = &files[*n];
                    out.doubts.push(Doubt::Altered(file.clone(), recorded.clone(), *sha256));
                }
                None if is_asked(recorded.start) => out.doubts.push(Doubt::Missing(recorded.clone(), head.number)),
                None => {}
            }
        }
    }
    for (_, file) in files.iter().enumerate().filter(|(n, _)| !known.contains(n)) {
        let start = file.named.as_ref().map(|(_, start)| *start);
        let covers = |start| chain.iter().any(|(_, head, _)| to_ms(head.from) <= start && start < head.to);
        match start.is_none_or(covers) {
            true => out.doubts.push(Doubt::Unlisted(file.file.clone())),
            false => out.not_covered.push(file.file.clone()),
        }
    }
    out
}

/// The manifests that are believed, in order.
fn chain(trust: KeyTrust, manifests: Vec<FoundManifest>, out: &mut Verified) -> Vec<(String, ManifestHead, Statement)> {
    let mut chain: BTreeMap<(ChainId, u64), (String, ManifestHead, Statement)> = BTreeMap::new();
    let mut one_box: Option<PublicKey> = None;
    for FoundManifest { file, named, read } in manifests {
        let statement = match read {
            Ok(statement) => statement,
            Err(why) => {
                out.doubts.push(Doubt::BadManifest(file, why));
                continue;
            }
        };
        let StatementHead::Manifest(head) = statement.head.clone() else {
            out.doubts.push(Doubt::BadManifest(file, "it is about an export".into()));
            continue;
        };
        if !trust.includes(head.key) || one_box.is_some_and(|key| key != head.key) {
            out.doubts.push(Doubt::ForeignKey(file, head.key.box_id()));
            continue;
        }
        one_box = Some(head.key);
        if named.is_some_and(|named| named != head.number) {
            out.doubts.push(Doubt::WrongName(file.clone(), head.number));
        }
        match chain.get(&(head.chain, head.number)) {
            // The same one twice is no harm.
            Some((_, _, same)) if same.hash == statement.hash => {}
            Some((other, ..)) => out.doubts.push(Doubt::Twice(head.number, other.clone(), file)),
            None => _ = chain.insert((head.chain, head.number), (file, head, statement)),
        }
    }
    out.keys.extend(one_box);
    let chain: Vec<_> = chain.into_values().collect();
    for pair in chain.windows(2) {
        let [(_, before, statement), (file, head, _)] = pair else { continue };
        if head.chain != before.chain {
            continue;
        }
        if head.number > before.number + 1 {
            out.doubts.push(Doubt::MissingManifests(before.number + 1, head.number - 1));
        } else if head.previous != Some(statement.hash) {
            out.doubts.push(Doubt::BrokenChain(file.clone(), before.number));
        }
    }
    chain
}
