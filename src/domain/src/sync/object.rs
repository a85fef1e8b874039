//! Objects of a store as the rest of the box speaks of them.

use super::fault::StoreFault;
use bytes::Bytes;
use perch_base::base64;

/// Bytes of one part of a large object, but for the last: the smallest that S3 takes (5 MiB; Amazon S3 User Guide, "Multipart upload
/// limits"), so that a break costs little on a slow line.
pub const PART_BYTES: u64 = 5 << 20;

/// The longest key that is taken, bytes of UTF-8 (Amazon S3 User Guide, "Naming objects").
pub const MAX_KEY_BYTES: usize = 1_024;

/// What a store's answers come in.
pub type StoreResult<T> = std::result::Result<T, StoreFault>;

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// As headers carry it.
    pub fn base64(&self) -> String {
        base64::encode(&self.0)
    }

    /// Of what headers carry; `None` where it is none.
    pub fn of_base64(text: &str) -> Option<Self> {
        base64::decode(text)?.try_into().ok().map(Self)
    }

    /// As people and keys write it.
    pub fn hex(&self) -> String {
        perch_base::secret::hex(&self.0)
    }
}

/// How an object is put.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// Its key.
    pub key: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Of all of its bytes.
    pub sha256: Sha256,
    /// Not to be put where there is one of that name (`If-None-Match: *`). Some stores take no notice of it.
    pub only_if_new: bool,
}

/// What a store says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its length.
    pub size_bytes: u64,
    /// SHA-256 of all of it as the store has computed it, where it keeps one: of an object in parts it keeps another sum.
    pub sha256: Option<Sha256>,
    /// The store's sum over the sums of the parts, as it writes it (`base64-N`).
    pub sha256_of_parts: Option<String>,
    /// The SHA-256 that was written beside it when it was put.
    pub noted_sha256: Option<Sha256>,
}

/// One part that a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// From 1.
    pub number: u32,
    /// Its length.
    pub size_bytes: u64,
    /// What the store calls it; empty where it does not say.
    pub etag: String,
    /// Its SHA-256, where the store keeps one.
    pub sha256: Option<Sha256>,
}

/// An object of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its length.
    pub size_bytes: u64,
}

/// Some of the objects whose keys begin alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedPage {
    /// In the order of their keys.
    pub objects: Vec<ListedObject>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<String>,
}

/// An upload in parts that was begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The object's key.
    pub key: String,
    /// The store's name of the upload.
    pub upload: String,
}

/// What is sent as one part.
#[derive(Clone, Debug)]
pub struct NewPart {
    /// From 1.
    pub number: u32,
    /// Its bytes.
    pub body: Bytes,
    /// Their SHA-256.
    pub sha256: Sha256,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_as_headers_have_them() {
        // SHA-256 of nothing (FIPS 180-4).
        let empty = Sha256(perch_base::secret::sha256(b""));
        assert_eq!(empty.base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(Sha256::of_base64(&empty.base64()), Some(empty));
        assert_eq!(Sha256::of_base64("47DEQpj8"), None);
        assert_eq!(Sha256::of_base64("x-3"), None);
    }
}
