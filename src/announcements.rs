//! Stored announcements: files of the data folder under names that the box makes, and a list of what people call them. What is taken is
//! decided in `domain`; what is kept is written anew, so nothing of a foreign file stays but its sound.

use perch_base::clock::SharedClock;
use perch_base::files::{Links, make_private_dir, put, read_small, remove};
use perch_base::ids::AnnouncementId;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::announcement::{Announcement, AnnouncementList, AnnouncementsPort, CHIME};
use perch_domain::wav::{MAX_BYTES, WavSound};
use perch_media::speaker::Playable;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Their folder, and the list in it.
const FOLDER: &str = "announcements";
const LIST: &str = "list.json";
const MAX_LIST_BYTES: u64 = 256 * 1024;
const MODE: u32 = 0o600;

/// The announcements of a box.
pub struct StoredAnnouncements {
    folder: PathBuf,
    clock: SharedClock,
    list: Mutex<AnnouncementList>,
    /// Those that were played, encoded.
    playable: Mutex<BTreeMap<AnnouncementId, Playable>>,
}

impl StoredAnnouncements {
    /// What is kept in this data folder. Reads files; what cannot be read is logged.
    pub fn open(data_dir: &Path, clock: SharedClock) -> Self {
        let folder = data_dir.join(FOLDER);
        let list = read_list(&folder).unwrap_or_else(|e| {
            tracing::error!(error = %e, "the stored announcements cannot be read: there are none until they are uploaded again");
            AnnouncementList::default()
        });
        Self { folder, clock, list: Mutex::new(list), playable: Mutex::default() }
    }

    fn file(&self, id: AnnouncementId) -> PathBuf {
        self.folder.join(format!("{id}.wav"))
    }

    fn read(&self, id: AnnouncementId) -> Result<Vec<u8>> {
        read_small(&self.file(id), MAX_BYTES as u64, Links::Refuse).context(
            ErrorKind::Unavailable,
            || "the announcement cannot be read from the disk: delete it and upload it again",
        )
    }

    fn write_list(&self, list: &AnnouncementList) -> Result<()> {
        let bytes = serde_json::to_vec(list).context(ErrorKind::Internal, || "a list of announcements")?;
        put(&self.folder.join(LIST), &bytes, MODE, None).context(ErrorKind::Unavailable, cannot_write)
    }

    /// What a loudspeaker plays of this name. The first time it takes a part of the time that it lasts. Errors: `NotFound`, `Unavailable`.
    pub fn playable(&self, name: &str) -> Result<Playable> {
        if name == CHIME {
            return Playable::chime();
        }
        let id = lock(&self.list).named(name).map(|one| one.id);
        let id = id.ok_or_else(|| Error::not_found("there is no announcement of that name"))?;
        if let Some(known) = lock(&self.playable).get(&id) {
            return Ok(known.clone());
        }
        let made = Playable::encode(&WavSound::read(&self.read(id)?)?)?;
        // One that was deleted meanwhile is not kept.
        if lock(&self.list).announcements.iter().any(|one| one.id == id) {
            lock(&self.playable).insert(id, made.clone());
        }
        Ok(made)
    }
}

fn cannot_write() -> String {
    "the announcement cannot be written: the disk is full or read-only".into()
}

fn read_list(folder: &Path) -> Result<AnnouncementList> {
    let path = folder.join(LIST);
    let is_missing = std::fs::symlink_metadata(&path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    if is_missing {
        return Ok(AnnouncementList::default());
    }
    let bytes = read_small(&path, MAX_LIST_BYTES, Links::Refuse)?;
    serde_json::from_slice(&bytes).context(ErrorKind::Corrupt, || "the list is damaged")
}

impl AnnouncementsPort for StoredAnnouncements {
    fn list(&self) -> AnnouncementList {
        lock(&self.list).clone()
    }

    fn add(&self, name: &str, file: &[u8]) -> Result<Announcement> {
        lock(&self.list).name_for_one_more(name)?;
        let sound = WavSound::read(file)?;
        let id = AnnouncementId::random();
        // Whoever adds or deletes at the same time waits for the disk.
        let mut list = lock(&self.list);
        let name = list.name_for_one_more(name)?;
        let duration_ms = sound.duration().as_millis() as u64;
        let added = Announcement { id, name, duration_ms, added_at: self.clock.utc() };
        make_private_dir(&self.folder).context(ErrorKind::Unavailable, cannot_write)?;
        put(&self.file(id), &sound.write(), MODE, None).context(ErrorKind::Unavailable, cannot_write)?;
        let mut longer = list.clone();
        longer.announcements.push(added.clone());
        if let Err(e) = self.write_list(&longer) {
            let _ = remove(&self.file(id));
            return Err(e);
        }
        *list = longer;
        Ok(added)
    }

    fn sound(&self, id: AnnouncementId) -> Result<Vec<u8>> {
        match lock(&self.list).announcements.iter().any(|one| one.id == id) {
            true => self.read(id),
            false => Err(Error::not_found("there is no such announcement")),
        }
    }

    fn remove(&self, id: AnnouncementId) -> Result<()> {
        let mut list = lock(&self.list);
        let mut shorter = list.clone();
        shorter.announcements.retain(|one| one.id != id);
        if shorter == *list {
            return Err(Error::not_found("there is no such announcement"));
        }
        self.write_list(&shorter)?;
        *list = shorter;
        lock(&self.playable).remove(&id);
        // One that stays is named by nothing.
        remove(&self.file(id)).context(ErrorKind::Unavailable, || "the announcement's file cannot be deleted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::SystemClock;
    use std::sync::Arc;

    fn open(dir: &Path) -> StoredAnnouncements {
        StoredAnnouncements::open(dir, Arc::new(SystemClock))
    }

    fn wav(seconds: usize) -> Vec<u8> {
        WavSound { rate_hz: 8000, samples: vec![1000; seconds * 8000] }.write()
    }

    #[test]
    fn they_are_kept_played_and_deleted() {
        perch_media::init().expect("starts");
        let dir = tempfile::tempdir().expect("a folder");
        let stored = open(dir.path());
        let mut with_more = wav(2);
        with_more.extend_from_slice(b"LIST\x08\0\0\0IARTme\0\0");
        let one = stored.add("../Parcels", &with_more).expect("taken");
        assert_eq!((one.name.as_str(), one.duration_ms), ("../Parcels", 2000));
        assert_eq!(stored.add("../Parcels", &wav(1)).expect_err("taken").kind(), ErrorKind::Conflict);
        assert_eq!(stored.add("Other", b"no sound").expect_err("none").kind(), ErrorKind::Invalid);
        let names: Vec<_> = std::fs::read_dir(dir.path().join(FOLDER)).expect("there").flatten().collect();
        assert_eq!(names.len(), 2, "the file and the list");
        stored.playable("../Parcels").expect("encodes");
        stored.playable(CHIME).expect("there is always one");
        assert_eq!(stored.playable("Chime?").expect_err("none").kind(), ErrorKind::NotFound);
        // Another start.
        let again = open(dir.path());
        assert_eq!(again.list(), stored.list());
        assert!(again.sound(one.id).expect("there") == wav(2), "nothing but its sound");
        again.remove(one.id).expect("there");
        assert_eq!(again.remove(one.id).expect_err("gone").kind(), ErrorKind::NotFound);
        assert_eq!(again.sound(one.id).expect_err("gone").kind(), ErrorKind::NotFound);
        assert_eq!(again.playable("../Parcels").expect_err("gone").kind(), ErrorKind::NotFound);
        assert!(!again.file(one.id).exists());
    }

    #[test]
    fn what_is_damaged_or_a_link_is_not_read() {
        perch_media::init().expect("starts");
        let dir = tempfile::tempdir().expect("a folder");
        let stored = open(dir.path());
        let one = stored.add("Parcels", &wav(1)).expect("taken");
        let elsewhere = dir.path().join("secret");
        std::fs::write(&elsewhere, "of the box").expect("written");
        std::fs::remove_file(stored.file(one.id)).expect("there");
        std::os::unix::fs::symlink(&elsewhere, stored.file(one.id)).expect("a link");
        assert_eq!(stored.sound(one.id).expect_err("a link").kind(), ErrorKind::Unavailable);
        assert_eq!(stored.playable("Parcels").expect_err("a link").kind(), ErrorKind::Unavailable);
        std::fs::write(dir.path().join(FOLDER).join(LIST), "{").expect("written");
        assert_eq!(open(dir.path()).list(), AnnouncementList::default());
    }
}
