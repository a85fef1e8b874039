//! Copies brought back from where they lie, on any machine: found by their names alone, decrypted with the owner's key, each checked by the hash
//! in its name. What is to be fetched, `perch_domain::sync::restore` decides.

pub mod bucket;
pub mod folder;

use perch_base::age::{self, AgeIdentity};
use perch_base::secret::RunningSha256;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::media::Stream;
use perch_domain::sync::keys::{BoxId, CopyName, NameKey, ShortHash, clean_prefix, name_keys};
use perch_domain::sync::restore::{
    RestoreAsk, RestorePlan, ToFetch, Unfinished, plan_restore, promised_hash, read_any,
};
use perch_store::content_hash;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// More objects are not listed.
const MOST_OBJECTS: usize = 20_000_000;
/// Read of an object at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Where copies lie.
pub trait CopySource {
    /// Tells of all keys that begin with `prefix`, in any order. Errors also where `each` does.
    fn keys(&mut self, prefix: &str, each: &mut dyn FnMut(String) -> Result<()>) -> Result<()>;
    /// An object's bytes, of which few are in memory at a time.
    fn read(&mut self, key: &str) -> Result<Box<dyn Read>>;
}

/// Where what was fetched is laid.
pub trait Destination {
    /// Where a whole object goes; `None`: it is not wanted here.
    fn place(&self, box_id: BoxId, name: &CopyName) -> Option<PathBuf>;
    /// Where a recording goes that has no end; its name is that of its header.
    fn place_unfinished(&self, box_id: BoxId, name: &CopyName, of: Stream) -> Option<PathBuf>;
    /// Whether a file that is there stays, whatever is in it.
    fn keeps_own(&self) -> bool;
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Brought {
    /// Files that are there now and were not.
    pub new: usize,
    /// Files that were there already, and are right.
    pub there: usize,
    /// Recordings that were put together of pieces.
    pub unfinished: Vec<PathBuf>,
    /// What could not be brought back, and why.
    pub failed: Vec<String>,
    /// Whose they are.
    pub boxes: Vec<BoxId>,
}

/// Looks for what is asked for. Errors when the source cannot be listed.
pub fn look(
    source: &mut dyn CopySource,
    prefix: &str,
    ask: &RestoreAsk,
    identities: &[AgeIdentity],
) -> Result<RestorePlan> {
    let prefix = clean_prefix(prefix)?;
    let mut keys_of_names = Vec::new();
    source.keys(&name_keys(&prefix), &mut |key| {
        keys_of_names.push(key);
        Ok(())
    })?;
    let mut names = Vec::new();
    for key in keys_of_names {
        // Of another owner, it may be; what only it names is then not found.
        if let Ok(mut opened) = age::open(source.read(&key)?, identities) {
            let mut bytes = [0; 32];
            if opened.read_exact(&mut bytes).is_ok() {
                names.push(NameKey::from_bytes(bytes));
            }
        }
    }
    let all = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let (mut looked_at, mut found) = (0, Vec::new());
    source.keys(&all, &mut |key| {
        looked_at += 1;
        if looked_at > MOST_OBJECTS {
            return Err(Error::new(ErrorKind::TooLarge, "there are too many objects: name a prefix that holds fewer"));
        }
        // What is of another time is not kept in memory.
        found.extend(read_any(&prefix, &names, &key)?.filter(|one| ask.may_want(one)));
        Ok(())
    })?;
    Ok(plan_restore(ask, found))
}

/// Fetches what is planned. What fails is named and hinders nothing else.
pub fn fetch(
    source: &mut dyn CopySource,
    plan: &RestorePlan,
    identities: &[AgeIdentity],
    to: &dyn Destination,
) -> Brought {
    let mut out = Brought { boxes: plan.boxes.clone(), ..Brought::default() };
    for one in &plan.whole {
        let Some(path) = to.place(one.box_id, &one.name) else { continue };
        if is_there(&path, promised_hash(&one.name)) {
            out.there += 1;
            continue;
        }
        if stays(&path, to) {
            out.failed.push(format!("{}: {} is here with other content, and stays", one.key, path.display()));
            continue;
        }
        match put(&path, |file| copy(source, one, identities, file)) {
            Ok(()) => out.new += 1,
            Err(e) => out.failed.push(format!("{}: {}", one.key, why(&e))),
        }
    }
    for recording in &plan.unfinished {
        let Some(first) = recording.parts.first() else { continue };
        let Some(path) = to.place_unfinished(first.box_id, &first.name, recording.stream) else { continue };
        if stays(&path, to) {
            out.there += 1;
            continue;
        }
        let put = put(&path, |file| put_together(source, recording, identities, file, &mut out.failed));
        match put {
            Ok(()) => out.unfinished.push(path),
            Err(e) => out.failed.push(format!("{}: {}", first.key, why(&e))),
        }
    }
    out
}

/// What went wrong, for people: of a store what it means, and not its own words.
fn why(error: &Error) -> String {
    let mut said = error.message().to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let io = inner.downcast_ref::<io::Error>();
        let own = inner.downcast_ref().or_else(|| io?.get_ref()?.downcast_ref::<Error>());
        said = format!("{said}: {}", own.map_or_else(|| inner.to_string(), |own| own.message().to_owned()));
        cause = own.map_or_else(|| inner.source(), |own| std::error::Error::source(own));
    }
    said
}

fn stays(path: &Path, to: &dyn Destination) -> bool {
    to.keeps_own() && path.exists()
}

/// Whether a file is there with the right content; one without a promise is fetched again.
fn is_there(path: &Path, promised: Option<ShortHash>) -> bool {
    let Some(promised) = promised else { return false };
    let hash = File::open(path).and_then(content_hash);
    hash.is_ok_and(|(_, hash)| ShortHash::of(&hash.0) == promised)
}

/// Writes a file that is there whole or not at all.
fn put(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let folder = path.parent().ok_or_else(|| Error::internal(failed()))?;
    fs::create_dir_all(folder).context(ErrorKind::Io, failed)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    let _ = fs::remove_file(&new);
    let mut file = File::create_new(&new).context(ErrorKind::Io, failed)?;
    let written = write(&mut file)
        .and_then(|()| file.sync_all().context(ErrorKind::Io, failed))
        .and_then(|()| fs::rename(&new, path).context(ErrorKind::Io, failed));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Copies one object, decrypted. Errors with `Corrupt` where it is not what its name says.
fn copy(source: &mut dyn CopySource, one: &ToFetch, identities: &[AgeIdentity], file: &mut File) -> Result<()> {
    let from = source.read(&one.key)?;
    let mut from: Box<dyn Read> = match one.is_sealed {
        true if identities.is_empty() => {
            let why = "it is encrypted: --identity FILE names the file of the secret key (AGE-SECRET-KEY-1…)";
            return Err(Error::invalid(why));
        }
        true => Box::new(age::open(from, identities)?),
        false => from,
    };
    let mut sum = RunningSha256::default();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let n = from.read(&mut piece).context(ErrorKind::Io, || "it cannot be fetched whole")?;
        if n == 0 {
            break;
        }
        sum.update(&piece[..n]);
        file.write_all(&piece[..n]).context(ErrorKind::Io, || "it cannot be written")?;
    }
    let hash = sum.finish();
    if promised_hash(&one.name).is_some_and(|promised| promised != ShortHash::of(&hash)) {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "it is not what its name says: it was changed, or did not come whole",
        ));
    }
    Ok(())
}

/// Header and fragments one after the other, up to the first that is damaged.
fn put_together(
    source: &mut dyn CopySource,
    recording: &Unfinished,
    identities: &[AgeIdentity],
    file: &mut File,
    failed: &mut Vec<String>,
) -> Result<()> {
    for (n, part) in recording.parts.iter().enumerate() {
        let begins = io::Seek::stream_position(file).context(ErrorKind::Io, || "it cannot be written")?;
        if let Err(e) = copy(source, part, identities, file) {
            if n < 2 {
                return Err(e);
            }
            failed.push(format!("{}: {}: the recording ends before it", part.key, why(&e)));
            return file.set_len(begins).context(ErrorKind::Io, || "it cannot be written");
        }
    }
    Ok(())
}

/// A folder as `perch verify` takes it: a folder a box, in it everything as it is named where it came from.
pub struct OutFolder(pub PathBuf);

impl Destination for OutFolder {
    fn place(&self, box_id: BoxId, name: &CopyName) -> Option<PathBuf> {
        Some(self.0.join(box_id.to_string()).join(name.path()))
    }

    fn place_unfinished(&self, box_id: BoxId, name: &CopyName, of: Stream) -> Option<PathBuf> {
        let (day, time) = name.start().file_parts();
        let small = if of == Stream::Sub { "-small" } else { "" };
        let file = format!("{}/{day}/{time}Z{small}-unfinished.mp4", name.camera()?);
        Some(self.0.join(box_id.to_string()).join(file))
    }

    fn keeps_own(&self) -> bool {
        false
    }
}

/// A box's own data folder: its recordings and manifests as it keeps them itself. The index is made of the files when it starts.
pub struct IntoBox(pub PathBuf);

impl IntoBox {
    fn recording(&self, name: &CopyName) -> Option<PathBuf> {
        let (day, time) = name.start().file_parts();
        Some(self.0.join(format!("recordings/{}/{day}/{time}Z.mp4", name.camera()?)))
    }
}

impl Destination for IntoBox {
    fn place(&self, _: BoxId, name: &CopyName) -> Option<PathBuf> {
        match name {
            CopyName::Recording { .. } => self.recording(name),
            CopyName::Manifest { .. } => {
                let path = name.path();
                Some(self.0.join("manifests").join(path.split_once('/')?.1))
            }
            // The box makes them of its own index.
            CopyName::Facts { .. } | CopyName::Event { .. } | CopyName::Still { .. } | CopyName::Part { .. } => None,
        }
    }

    fn place_unfinished(&self, _: BoxId, name: &CopyName, _: Stream) -> Option<PathBuf> {
        // A box keeps one recording of a time: the small picture where nothing of the large one arrived, which comes first.
        self.recording(name)
    }

    fn keeps_own(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::sync::fault::{StoreFault, StoreFaultKind};

    #[test]
    fn a_store_that_fails_is_told_of_in_words() {
        let mut fault = StoreFault::new(StoreFaultKind::Refused, "reading an object");
        fault.inside = "x-amz-request-id: 7".into();
        let read: Result<()> =
            Err(io::Error::other(fault.into_error())).context(ErrorKind::Io, || "it cannot be fetched whole");
        let said = why(&read.expect_err("refused"));
        assert!(said.starts_with("it cannot be fetched whole: reading an object") && !said.contains("amz"), "{said}");
        let full: Result<()> = Err(io::Error::from_raw_os_error(28)).context(ErrorKind::Io, || "it cannot be written");
        assert_eq!(why(&full.expect_err("full")), "it cannot be written: No space left on device (os error 28)");
    }
}
