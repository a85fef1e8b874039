//! Stored announcements: sound that an owner uploads and that a camera's loudspeaker plays. What they may be called, how many there may
//! be; what a file must be is in [`crate::wav`], where they are kept the root's business.

use crate::access::clean_display_name;
use perch_base::ids::AnnouncementId;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The name of the sound that every box has.
pub const CHIME: &str = "chime";
/// How many are kept.
pub const MAX_ANNOUNCEMENTS: usize = 20;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Names it in addresses and its file; made by the box.
    pub id: AnnouncementId,
    /// What people call it; no two have the same.
    pub name: String,
    /// How long it lasts, ms.
    pub duration_ms: u64,
    /// When it was uploaded.
    pub added_at: Timestamp,
}

/// All of them, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncementList {
    /// They.
    pub announcements: Vec<Announcement>,
}

impl AnnouncementList {
    /// A name that one more may have. Errors with `Invalid` where it is none, with `Conflict` where it is taken or too many are kept.
    pub fn name_for_one_more(&self, name: &str) -> Result<String> {
        let name = clean_display_name("the announcement's name", name)?;
        if name.eq_ignore_ascii_case(CHIME) || self.named(&name).is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("there is an announcement called {name}: choose another name"),
            ));
        }
        if self.announcements.len() >= MAX_ANNOUNCEMENTS {
            let message = format!("{MAX_ANNOUNCEMENTS} announcements are kept at most: delete one first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(name)
    }

    /// The one of this name, or of this id.
    pub fn named(&self, name: &str) -> Option<&Announcement> {
        let is = |one: &&Announcement| one.name == name || one.id.to_string() == name;
        self.announcements.iter().find(is)
    }
}

/// Where announcements are kept. Calls may take as long as a disk access.
pub trait AnnouncementsPort: Send + Sync {
    /// All.
    fn list(&self) -> AnnouncementList;
    /// Keeps one more, of a file's bytes. Errors: `Invalid` (the name, or the file and why), `Conflict`
    /// ([`AnnouncementList::name_for_one_more`]), `Unavailable` (the disk).
    fn add(&self, name: &str, file: &[u8]) -> Result<Announcement>;
    /// One as a WAV file. Errors with `NotFound`, with `Unavailable` where it cannot be read.
    fn sound(&self, id: AnnouncementId) -> Result<Vec<u8>>;
    /// Deletes one. Errors with `NotFound`, with `Unavailable` where it cannot be deleted.
    fn remove(&self, id: AnnouncementId) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_people_s_and_differ() {
        let mut list = AnnouncementList::default();
        for (name, kept) in [
            ("  Parcels\u{202e} please ", Ok("Parcels please")),
            ("Parcels please", Err(ErrorKind::Conflict)),
            ("Chime", Err(ErrorKind::Conflict)),
            ("\u{200b}", Err(ErrorKind::Invalid)),
            ("../../etc/passwd", Ok("../../etc/passwd")),
        ] {
            let checked = list.name_for_one_more(name);
            assert_eq!(checked.as_deref().map_err(|e| e.kind()), kept, "{name:?}");
            if let Ok(name) = checked {
                let one = Announcement { id: AnnouncementId::random(), name, duration_ms: 1, added_at: Timestamp(0) };
                assert_eq!(list.named(&one.name), None);
                list.announcements.push(one.clone());
                assert_eq!((list.named(&one.name), list.named(&one.id.to_string())), (Some(&one), Some(&one)));
            }
        }
        while list.announcements.len() < MAX_ANNOUNCEMENTS {
            let name = list.name_for_one_more(&list.announcements.len().to_string()).expect("there is room");
            list.announcements.push(Announcement {
                id: AnnouncementId::random(),
                name,
                duration_ms: 1,
                added_at: Timestamp(0),
            });
        }
        assert_eq!(list.name_for_one_more("one more").expect_err("full").kind(), ErrorKind::Conflict);
    }
}
