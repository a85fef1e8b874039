//! What copies are called where they are kept (a bucket, a folder): the names alone say what is what, so that a box can be
//! restored from them without its database.
//! ```text
//! <prefix>/<box>/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z-<sha256[..16]>.mp4       a whole recording; times in UTC
//! <prefix>/<box>/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z-<sha256[..16]>.json      what it is
//! <prefix>/<box>/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z-event-<id>.json          an event
//! <prefix>/<box>/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z-event-<id>.jpg           its still
//! <prefix>/<box>/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z-parts/<n>-<sha256[..16]>.mp4
//!                                                           a recording that goes on: 0 is its header, then its fragments, which
//!                                                           play when they are put one after the other
//! <prefix>/<box>/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z-small/<n>-<sha256[..16]>.mp4
//!                                                           the same of its small picture, where the line does not carry the large one
//! <prefix>/<box>/_manifests/<YYYY-MM-DD>/<n>-<sha256[..16]>.jsonl             signed manifests ([`crate::evidence`])
//! ```
//! What is encrypted has `.age` behind its name. Where names are to say nothing either ([`KeyForm::Opaque`]), all of this below the
//! prefix is one encrypted word (AES-256-GCM-SIV, RFC 8452, of one length), and what reads it is kept beside, for the owner's key
//! alone: `<prefix>/_names/<which>.age`.
//!
//! The hash is that of the content before it is encrypted, so the same recording always has the same name.

use crate::media::Stream;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use perch_base::age::Recipient;
use perch_base::ids::{CameraId, EventId};
use perch_base::secret::{Secret, hex, random_bytes, sha256};
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Most characters of a prefix.
const MAX_PREFIX: usize = 200;
/// Where manifests are: no camera's id begins so.
const MANIFESTS: &str = "_manifests";
/// Where keys of names are.
const NAMES: &str = "_names";
/// Stands behind the name of what is encrypted.
const SEALED: &str = ".age";
/// Bytes that every name is filled up to before it is encrypted, so that its length says nothing.
const NAME_BYTES: usize = 128;
const TAG_BYTES: usize = 16;

/// Which box: the first eight bytes of the SHA-256 of the public key that it signs evidence with, as 16 hex digits. So whoever holds
/// a copy can see by itself that a manifest is from the box that it is filed under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoxId([u8; 8]);

impl BoxId {
    /// Of the box with this public key.
    pub fn of(public_key: &[u8]) -> Self {
        Self(first_eight(&sha256(public_key)))
    }

    /// Parses 16 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        parse_eight(text).map(Self)
    }
}

impl fmt::Display for BoxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for BoxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BoxId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BoxId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).ok_or_else(|| serde::de::Error::custom("a box is 16 hex digits"))
    }
}

/// The first eight bytes of a content's SHA-256, as names carry them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortHash([u8; 8]);

impl ShortHash {
    /// Of a whole hash.
    pub fn of(sha256: &[u8; 32]) -> Self {
        Self(first_eight(sha256))
    }
}

impl fmt::Display for ShortHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ShortHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One thing that is copied. Times are those of whole milliseconds: see [`to_ms`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CopyName {
    /// A whole recorded file.
    Recording {
        /// The camera.
        camera: CameraId,
        /// UTC of its time 0.
        start: Timestamp,
        /// Of its bytes.
        hash: ShortHash,
    },
    /// What a recorded file is, JSON.
    Facts {
        /// The camera.
        camera: CameraId,
        /// UTC of the recording's time 0.
        start: Timestamp,
        /// Of the recording's bytes.
        hash: ShortHash,
    },
    /// An event, JSON; written again when it ends.
    Event {
        /// The camera.
        camera: CameraId,
        /// Its id, the microsecond at which it starts.
        id: EventId,
    },
    /// An event's still, JPEG.
    Still {
        /// The camera.
        camera: CameraId,
        /// The event's id.
        id: EventId,
    },
    /// A piece of a recording that goes on.
    Part {
        /// The camera.
        camera: CameraId,
        /// UTC of the recording's time 0.
        start: Timestamp,
        /// Of which picture it is: the recorded one, or the small one of the same time.
        stream: Stream,
        /// 0 is its header (`ftyp` and `moov`), n its n-th fragment.
        number: u32,
        /// Of the piece's bytes.
        hash: ShortHash,
    },
    /// A signed manifest.
    Manifest {
        /// The start of the time that it is about.
        from: Timestamp,
        /// Its place in the chain, from 1.
        number: u64,
        /// Of its bytes.
        hash: ShortHash,
    },
}

/// A time as names carry it: whole milliseconds, the rest cut off.
pub fn to_ms(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(1000) * 1000)
}

impl CopyName {
    /// When what it is about begins, to the millisecond.
    pub fn start(&self) -> Timestamp {
        match self {
            Self::Recording { start, .. } | Self::Facts { start, .. } | Self::Part { start, .. } => to_ms(*start),
            Self::Event { id, .. } | Self::Still { id, .. } => to_ms(Timestamp(id.0)),
            Self::Manifest { from, .. } => to_ms(*from),
        }
    }

    /// Whose it is; a manifest is the whole box's.
    pub fn camera(&self) -> Option<&CameraId> {
        match self {
            Self::Recording { camera, .. }
            | Self::Facts { camera, .. }
            | Self::Event { camera, .. }
            | Self::Still { camera, .. }
            | Self::Part { camera, .. } => Some(camera),
            Self::Manifest { .. } => None,
        }
    }

    /// Its path below the box's folder: also where it lies when it was restored into a folder.
    pub fn path(&self) -> String {
        let (day, time) = self.start().file_parts();
        let folder = self.camera().map_or(MANIFESTS, CameraId::as_str);
        match self {
            Self::Recording { hash, .. } => format!("{folder}/{day}/{time}Z-{hash}.mp4"),
            Self::Facts { hash, .. } => format!("{folder}/{day}/{time}Z-{hash}.json"),
            Self::Event { id, .. } => format!("{folder}/{day}/{time}Z-event-{id}.json"),
            Self::Still { id, .. } => format!("{folder}/{day}/{time}Z-event-{id}.jpg"),
            Self::Part { stream, number, hash, .. } => {
                format!("{folder}/{day}/{time}Z-{}/{number:05}-{hash}.mp4", parts_folder(*stream))
            }
            Self::Manifest { number, hash, .. } => format!("{folder}/{day}/{number:08}-{hash}.jsonl"),
        }
    }

    /// What a path names, in the one way in which [`Self::path`] writes it. A manifest's time is the start of its day: the name
    /// says no more.
    pub fn parse(path: &str) -> Option<Self> {
        let mut pieces = path.split('/');
        let (folder, day, name, below) = (pieces.next()?, pieces.next()?, pieces.next()?, pieces.next());
        if pieces.next().is_some() {
            return None;
        }
        let found = if folder == MANIFESTS {
            let (number, hash) = name.strip_suffix(".jsonl")?.split_once('-')?;
            let from = Timestamp::parse(&format!("{day}T00:00:00Z")).ok()?;
            Self::Manifest { from, number: number.parse().ok()?, hash: parse_hash(hash)? }
        } else {
            Self::parse_of_camera(CameraId::new(folder).ok()?, day, name, below)?
        };
        (found.path() == path).then_some(found)
    }

    fn parse_of_camera(camera: CameraId, day: &str, name: &str, below: Option<&str>) -> Option<Self> {
        let (time, rest) = name.split_once("Z-")?;
        let start = parse_time(day, time)?;
        if let Some(below) = below {
            let (number, hash) = below.strip_suffix(".mp4")?.split_once('-')?;
            let stream = Stream::ALL.into_iter().find(|stream| parts_folder(*stream) == rest)?;
            return Some(Self::Part { camera, start, stream, number: number.parse().ok()?, hash: parse_hash(hash)? });
        }
        let (stem, extension) = rest.rsplit_once('.')?;
        if let Some(id) = stem.strip_prefix("event-") {
            let id = EventId(id.parse().ok()?);
            return match extension {
                "json" => Some(Self::Event { camera, id }),
                "jpg" => Some(Self::Still { camera, id }),
                _ => None,
            };
        }
        let hash = parse_hash(stem)?;
        match extension {
            "mp4" => Some(Self::Recording { camera, start, hash }),
            "json" => Some(Self::Facts { camera, start, hash }),
            _ => None,
        }
    }
}

/// What the folder of a recording's pieces ends with.
fn parts_folder(stream: Stream) -> &'static str {
    match stream {
        Stream::Main => "parts",
        Stream::Sub => "small",
    }
}

/// The camera and the start, to the millisecond, that the path of a recorded file says, wherever its folder lies:
/// `…/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z….mp4`, as on the box and as restored.
pub fn parse_copied(path: &str) -> Option<(CameraId, Timestamp)> {
    let mut pieces = path.rsplit('/');
    let (name, day, camera) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let (time, _) = name.strip_suffix(".mp4")?.split_once('Z')?;
    Some((CameraId::new(camera).ok()?, parse_time(day, time)?))
}

/// The number that a manifest's file name says, wherever it lies.
pub fn parse_manifest_number(path: &str) -> Option<u64> {
    let name = path.rsplit('/').next()?;
    let (number, hash) = name.strip_suffix(".jsonl")?.split_once('-')?;
    parse_hash(hash)?;
    number.parse().ok()
}

fn first_eight(sha256: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&sha256[..8]);
    first
}

fn parse_eight(text: &str) -> Option<[u8; 8]> {
    let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(u64::to_be_bytes)
}

fn parse_hash(text: &str) -> Option<ShortHash> {
    parse_eight(text).map(ShortHash)
}

/// `HHMMSS.mmm` of a day.
fn parse_time(day: &str, time: &str) -> Option<Timestamp> {
    let (hour, rest) = time.split_at_checked(2)?;
    let (minute, second) = rest.split_at_checked(2)?;
    Timestamp::parse(&format!("{day}T{hour}:{minute}:{second}Z")).ok()
}

/// What hides names: another one for each target and each set of owner's keys, made of a secret of the box, and kept, for the owner's key
/// alone, beside the copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKey(Secret<[u8; 32]>);

impl NameKey {
    /// A new one.
    pub fn random() -> Self {
        Self(Secret::new(random_bytes()))
    }

    /// That of a place and of who is to read the names there. So whoever's keys are taken out later still reads what was named before, and
    /// nothing else.
    pub fn of(secret: &Secret<[u8; 32]>, place: &str, readers: &[Recipient]) -> Self {
        let mut said = format!("perch names\n{place}\n");
        for reader in readers {
            said += &format!("{reader}\n");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, said.as_bytes()).as_ref());
        Self::from_bytes(bytes)
    }

    /// One that was kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// What is to be kept.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Which one it is, without saying anything of it.
    fn which(&self) -> String {
        hex(&first_eight(&sha256(&[b"perch name key".as_slice(), self.0.expose()].concat())))
    }

    fn key(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, self.0.expose()).expect("the key has 32 bytes"))
    }

    /// The same name always becomes the same word, which is why its nonce is constant: that is what this cipher bears.
    fn hide(&self, name: &str) -> String {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(NAME_BYTES), 0);
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        self.key().seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes).expect("a name is short");
        // Folders on disks take names of 255 bytes.
        let word = hex(&bytes);
        let (first, rest) = word.split_at(word.len() / 2);
        format!("{first}/{rest}")
    }

    fn show(&self, word: &str) -> Option<String> {
        if word.len() > 4 * (NAME_BYTES * 4 + TAG_BYTES) {
            return None;
        }
        let digits: Vec<u8> = word.bytes().filter(|b| *b != b'/').collect();
        let pairs = digits.chunks(2).map(|pair| {
            let is_hex = pair.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
            let text = std::str::from_utf8(pair).ok().filter(|text| is_hex && text.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        });
        let mut bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let plain = self.key().open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
        let end = plain.iter().rposition(|b| *b != 0)? + 1;
        std::str::from_utf8(plain.get(..end)?).ok().map(str::to_owned)
    }
}

/// How copies are named at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// As they are.
    Plain,
    /// What they hold is encrypted, their names are read by everybody.
    Sealed,
    /// Their names say nothing either.
    Opaque(NameKey),
}

/// A box's place at a target: every key of an object is made and read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpace {
    /// Empty, or with its `/`.
    prefix: String,
    box_id: BoxId,
    form: KeyForm,
}

/// Cleans a prefix as people write it. Errors with `Invalid`, and the rule.
pub fn clean_prefix(text: &str) -> Result<String> {
    let text = text.trim_matches('/');
    let is_safe = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let is_fine = |piece: &str| !piece.is_empty() && piece != "." && piece != ".." && piece.bytes().all(is_safe);
    if text.len() > MAX_PREFIX || !(text.is_empty() || text.split('/').all(is_fine)) {
        return Err(Error::invalid(format!(
            "a prefix is at most {MAX_PREFIX} of A-Z, a-z, 0-9, `-`, `_` and `.`, in pieces with `/` between them"
        )));
    }
    Ok(text.to_owned())
}

impl KeySpace {
    /// Errors with `Invalid` like [`clean_prefix`].
    pub fn new(prefix: &str, box_id: BoxId, form: KeyForm) -> Result<Self> {
        let prefix = clean_prefix(prefix)?;
        let prefix = if prefix.is_empty() { prefix } else { prefix + "/" };
        Ok(Self { prefix, box_id, form })
    }

    /// Whether what is kept there is encrypted.
    pub fn is_sealed(&self) -> bool {
        self.form != KeyForm::Plain
    }

    /// The key of an object.
    pub fn key(&self, name: &CopyName) -> String {
        let path = format!("{}/{}", self.box_id, name.path());
        match &self.form {
            KeyForm::Plain => format!("{}{path}", self.prefix),
            KeyForm::Sealed => format!("{}{path}{SEALED}", self.prefix),
            KeyForm::Opaque(names) => format!("{}{}", self.prefix, names.hide(&path)),
        }
    }

    /// What a key names; `None`: it is none of this box's in this form.
    pub fn read(&self, key: &str) -> Option<CopyName> {
        self.read_of_any_box(key).filter(|(box_id, _)| *box_id == self.box_id).map(|(_, name)| name)
    }

    /// What a key names, of whichever box; `None`: it is in another form.
    pub fn read_of_any_box(&self, key: &str) -> Option<(BoxId, CopyName)> {
        let rest = key.strip_prefix(&self.prefix)?;
        let path = match &self.form {
            KeyForm::Plain => rest.to_owned(),
            KeyForm::Sealed => rest.strip_suffix(SEALED)?.to_owned(),
            KeyForm::Opaque(names) => names.show(rest)?,
        };
        let (box_id, path) = path.split_once('/')?;
        let (box_id, name) = (BoxId::parse(box_id)?, CopyName::parse(path)?);
        // A key has one spelling.
        let is_ours = Self { box_id, ..self.clone() }.key(&name) == key;
        is_ours.then_some((box_id, name))
    }

    /// What all keys of this box begin with; where names say nothing, all keys of that prefix.
    pub fn all(&self) -> String {
        match self.form {
            KeyForm::Opaque(_) => self.prefix.clone(),
            _ => format!("{}{}/", self.prefix, self.box_id),
        }
    }

    /// What the keys of a camera's day begin with; `None` where names say nothing, and all of them must be listed.
    pub fn day(&self, camera: &CameraId, day: Timestamp) -> Option<String> {
        let (day, _) = day.file_parts();
        self.is_listed_by_name().then(|| format!("{}{camera}/{day}/", self.all()))
    }

    /// What the keys of all manifests begin with; `None` like [`Self::day`].
    pub fn manifests(&self) -> Option<String> {
        self.is_listed_by_name().then(|| format!("{}{MANIFESTS}/", self.all()))
    }

    /// What hides names, where they say nothing.
    pub fn names(&self) -> Option<&NameKey> {
        match &self.form {
            KeyForm::Opaque(names) => Some(names),
            _ => None,
        }
    }

    /// Where the key of names is kept, encrypted for the owner; `None` where there is none.
    pub fn name_key(&self) -> Option<String> {
        match &self.form {
            KeyForm::Opaque(names) => Some(format!("{}{NAMES}/{}{SEALED}", self.prefix, names.which())),
            _ => None,
        }
    }

    fn is_listed_by_name(&self) -> bool {
        !matches!(self.form, KeyForm::Opaque(_))
    }
}

/// What the keys of all boxes' keys of names begin with, below a prefix as [`clean_prefix`] gives it.
pub fn name_keys(prefix: &str) -> String {
    if prefix.is_empty() { format!("{NAMES}/") } else { format!("{prefix}/{NAMES}/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> CameraId {
        CameraId::new("front").expect("an id")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn hash(content: &[u8]) -> ShortHash {
        ShortHash::of(&sha256(content))
    }

    fn each() -> [CopyName; 7] {
        let (start, hash) = (at("2026-05-01T12:34:56.789Z"), hash(b"abc"));
        let id = EventId(start.0 + 123);
        [
            CopyName::Recording { camera: camera(), start, hash },
            CopyName::Facts { camera: camera(), start, hash },
            CopyName::Event { camera: camera(), id },
            CopyName::Still { camera: camera(), id },
            CopyName::Part { camera: camera(), start, stream: Stream::Main, number: 7, hash },
            CopyName::Part { camera: camera(), start, stream: Stream::Sub, number: 7, hash },
            CopyName::Manifest { from: at("2026-05-01T00:00:00Z"), number: 17, hash },
        ]
    }

    fn spaces() -> [KeySpace; 3] {
        let names = NameKey::from_bytes([7; 32]);
        [KeyForm::Plain, KeyForm::Sealed, KeyForm::Opaque(names)]
            .map(|form| KeySpace::new("/home/copies/", BoxId::of(b"key"), form).expect("a prefix"))
    }

    #[test]
    fn names_are_those_that_are_written_down() {
        let [plain, sealed, _] = spaces();
        let keys: Vec<_> = each().iter().map(|name| plain.key(name)).collect();
        // `printf key | sha256sum` and `printf abc | sha256sum`.
        let folder = "home/copies/2c70e12b7a0646f9";
        let want = [
            "front/2026-05-01/123456.789Z-ba7816bf8f01cfea.mp4",
            "front/2026-05-01/123456.789Z-ba7816bf8f01cfea.json",
            "front/2026-05-01/123456.789Z-event-1777638896789123.json",
            "front/2026-05-01/123456.789Z-event-1777638896789123.jpg",
            "front/2026-05-01/123456.789Z-parts/00007-ba7816bf8f01cfea.mp4",
            "front/2026-05-01/123456.789Z-small/00007-ba7816bf8f01cfea.mp4",
            "_manifests/2026-05-01/00000017-ba7816bf8f01cfea.jsonl",
        ];
        assert_eq!(keys, want.map(|path| format!("{folder}/{path}")));
        assert_eq!(sealed.key(&each()[0]), format!("{folder}/{}.age", want[0]));
        assert_eq!(plain.day(&camera(), each()[0].start()).expect("listed"), format!("{folder}/front/2026-05-01/"));
        assert_eq!(plain.manifests().expect("listed"), format!("{folder}/_manifests/"));
    }

    #[test]
    fn every_key_is_read_back_by_its_own_box_and_form_alone() {
        let spaces = spaces();
        for (n, space) in spaces.iter().enumerate() {
            for name in each() {
                let key = space.key(&name);
                assert!(key.len() < 1024 && key.split('/').all(|piece| piece.len() < 255), "{key}");
                assert_eq!(space.read(&key), Some(name));
                assert!(spaces.iter().enumerate().all(|(m, other)| (m == n) == other.read(&key).is_some()), "{key}");
                let other = KeySpace { box_id: BoxId::of(b"another"), ..space.clone() };
                assert_eq!(other.read(&key), None);
                assert!(key.starts_with(&space.all()));
            }
        }
    }

    #[test]
    fn opaque_names_say_nothing_and_are_always_the_same() {
        let [.., opaque] = spaces();
        let keys: Vec<_> = each().iter().map(|name| opaque.key(name)).collect();
        assert_eq!(keys, each().map(|name| opaque.key(&name)));
        let length = keys[0].len();
        for key in &keys {
            let word = key.strip_prefix("home/copies/").expect("its prefix");
            assert_eq!(key.len(), length, "the length says nothing");
            assert!(word.bytes().all(|b| b == b'/' || b.is_ascii_hexdigit()), "{word}");
        }
        let mut altered = keys[0].clone().into_bytes();
        let last = altered.len() - 1;
        altered[last] = if altered[last] == b'0' { b'1' } else { b'0' };
        assert_eq!(opaque.read(&String::from_utf8(altered).expect("text")), None);
        let other = KeySpace { form: KeyForm::Opaque(NameKey::from_bytes([8; 32])), ..opaque.clone() };
        assert!(keys.iter().all(|key| other.read(key).is_none()));
        assert_ne!(opaque.name_key(), other.name_key());
        assert!(opaque.name_key().expect("kept").starts_with(&name_keys("home/copies")));
        assert!(!format!("{opaque:?}").contains("7, 7"));
    }

    #[test]
    fn what_no_box_wrote_is_not_read() {
        let good = each().map(|name| name.path());
        for path in &good {
            assert!(CopyName::parse(path).is_some(), "{path}");
            for bad in
                [path.to_uppercase(), format!("/{path}"), format!("{path}/"), format!("{path}x"), format!("../{path}")]
            {
                assert_eq!(CopyName::parse(&bad), None, "{bad}");
            }
            for (end, _) in path.char_indices() {
                assert_eq!(CopyName::parse(&path[..end]), None, "{}", &path[..end]);
            }
        }
        for bad in [
            "front/2026-05-01/1234é.789Z-ba7816bf8f01cfea.mp4",
            "front/2026-05-01/123456.7890Z-ba7816bf8f01cfea.mp4",
            "front/2026-05-01/123456Z-ba7816bf8f01cfea.mp4",
            "front/2026-13-01/123456.789Z-ba7816bf8f01cfea.mp4",
            "front/2026-05-01/123456.789Z-event-1.json",
            "front/2026-05-01/123456.789Z-parts/7-ba7816bf8f01cfea.mp4",
            "front/2026-05-01/123456.789Z-other/00007-ba7816bf8f01cfea.mp4",
            "_manifests/2026-05-01/17-ba7816bf8f01cfea.jsonl",
            "_names/x.age",
        ] {
            assert_eq!(CopyName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_copied_file_is_known_wherever_its_folder_lies() {
        let want = Some((camera(), at("2026-05-01T12:34:56.789Z")));
        for path in ["front/2026-05-01/123456.789Z.mp4", "a/b/front/2026-05-01/123456.789Z-ba7816bf8f01cfea.mp4"] {
            assert_eq!(parse_copied(path), want, "{path}");
        }
        for path in [
            "123456.789Z.mp4",
            "front/2026-05-01/1234.mp4",
            "Front/2026-05-01/123456.789Z.mp4",
            "front/2026-05-01/é23456.789Z.mp4",
        ] {
            assert_eq!(parse_copied(path), None, "{path}");
        }
        assert_eq!(parse_manifest_number("x/2026-05-01/00000017-ba7816bf8f01cfea.jsonl"), Some(17));
        assert_eq!(parse_manifest_number("x/17.jsonl"), None);
    }

    #[test]
    fn a_prefix_cannot_leave_its_place() {
        for (text, want) in [("", ""), ("/", ""), ("a", "a"), ("/a/b_c.d-1/", "a/b_c.d-1")] {
            assert_eq!(clean_prefix(text).expect(text), want);
        }
        for bad in ["a//b", "..", "a/../b", "a b", "ä", "a\\b", "a?b", &"a".repeat(201)] {
            assert!(clean_prefix(bad).is_err(), "{bad}");
        }
        let space = KeySpace::new("", BoxId::of(b"key"), KeyForm::Plain).expect("none is fine");
        assert!(space.key(&each()[0]).starts_with("2c70e12b7a0646f9/front/"));
        assert_eq!(BoxId::parse(&BoxId::of(b"key").to_string()), Some(BoxId::of(b"key")));
    }
}
