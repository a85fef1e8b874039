//! How what leaves the box is encrypted for its owner: small things whole, recordings with what is kept of it, so that one that broke off goes on
//! with the same bytes.

use bytes::Bytes;
use perch_base::age::{self, Recipient, Seal};
use perch_base::secret::{Secret, sha256};
use perch_base::{Result, blocking};
use perch_domain::sync::keys::{CopyName, KeyForm, KeySpace, NameKey};
use perch_domain::sync::object::{NewObject, Sha256};
use perch_domain::sync::target::SyncTarget;

/// What is encrypted says nothing of what it is.
pub const SEALED_TYPE: &str = "application/octet-stream";

/// In which form copies are named at a target; `secret` is the box's.
pub fn key_form(target: &SyncTarget, secret: &Secret<[u8; 32]>) -> KeyForm {
    match (target.encrypt_to.as_slice(), target.is_opaque) {
        ([], _) => KeyForm::Plain,
        (_, false) => KeyForm::Sealed,
        (readers, true) => KeyForm::Opaque(NameKey::of(secret, &target.name(), readers)),
    }
}

/// Of this content by this name, encrypted where the target wants it: what is put, and its bytes.
pub async fn small_object(
    (target, keys): (&SyncTarget, &KeySpace),
    name: &CopyName,
    content_type: &'static str,
    body: Bytes,
) -> Result<(NewObject, Bytes)> {
    object_for(&target.encrypt_to, keys.key(name), content_type, body).await
}

/// What whoever holds the key of the copies reads their names with; `None` where names say something themselves.
pub async fn names_object(target: &SyncTarget, keys: &KeySpace) -> Result<Option<(NewObject, Bytes)>> {
    let (Some(key), Some(names)) = (keys.name_key(), keys.names()) else { return Ok(None) };
    let body = Bytes::copy_from_slice(names.expose());
    object_for(&target.encrypt_to, key, SEALED_TYPE, body).await.map(Some)
}

async fn object_for(
    readers: &[Recipient],
    key: String,
    content_type: &'static str,
    body: Bytes,
) -> Result<(NewObject, Bytes)> {
    let (body, content_type) = match readers {
        [] => (body, content_type),
        readers => {
            let readers = readers.to_vec();
            let sealed = blocking("encrypting what is copied", move || age::seal(&readers, &body)).await?;
            (sealed.into(), SEALED_TYPE)
        }
    };
    Ok((NewObject { key, content_type, sha256: Sha256(sha256(&body)), only_if_new: false }, body))
}

/// What is kept of a seal while a recording is being sent: for whom it is, the key of the content, and all before its first chunk.
pub fn keep(seal: &Seal, readers: &[Recipient]) -> Secret<Vec<u8>> {
    let (head, key) = seal.parts();
    Secret::new([mark_of(readers).as_slice(), key.expose(), head].concat())
}

/// The seal that was kept; `None` where it was for other readers, or is none.
pub fn kept(bytes: &Secret<Vec<u8>>, readers: &[Recipient]) -> Option<Seal> {
    let (mark, rest) = bytes.expose().split_first_chunk::<32>()?;
    let (key, head) = rest.split_first_chunk::<32>()?;
    (*mark == mark_of(readers) && !head.is_empty()).then(|| Seal::kept(head.to_vec(), *key))
}

fn mark_of(readers: &[Recipient]) -> [u8; 32] {
    let all: Vec<String> = readers.iter().map(Recipient::to_string).collect();
    sha256(all.join("\n").as_bytes())
}
