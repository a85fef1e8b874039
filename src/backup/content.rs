//! What a backup holds, how it is gathered, and what of it is believed.

use crate::config::Config;
use crate::settings::document::Document;
use crate::version;
use perch_base::files::{Links, read_small};
use perch_base::sealed;
use perch_base::secret::{hex, sha256};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::camera::CameraConfig;
use perch_domain::ports::Restored;
use perch_domain::settings::named_files::names_a_file;
use perch_pki::{EVIDENCE_KEY_FILE, IDENTITY_FOLDER};
use perch_store::PeopleBackup;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest file that is taken for a backup.
pub const MAX_SEALED_BYTES: u64 = 4 << 20;
/// The version of the form that is written; those before, which know no order of cameras (1) and no key of evidence (2), are read as well.
const FORM: u32 = 3;
/// The largest of the files that the settings name, and how many.
const MAX_FILE_BYTES: u64 = 64 * 1024;
const MOST_FILES: usize = 2000;
/// Stands before the name of a file of the backup where the settings name one.
const IN_BACKUP: &str = "backup:";
/// Who the box is: the files of its authority, and the key that it signs evidence with, which a backup of before does not hold.
const IDENTITY: [&str; 3] = ["ca.pem", "ca.key", EVIDENCE_KEY_FILE];

/// Everything of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    form: u32,
    /// The program that made it.
    pub program: String,
    /// When.
    pub at_us: i64,
    /// The box's name.
    pub name: String,
    config: String,
    files: BTreeMap<String, String>,
    identity: BTreeMap<String, String>,
    pub people: PeopleBackup,
}

/// The form alone, which a newer program may have changed all else of.
#[derive(Deserialize)]
struct Form {
    form: u32,
}

impl Backup {
    /// Of the box with this config, whose file says `text`.
    pub fn gather(config: &Config, text: &str, people: PeopleBackup, at: Timestamp) -> Result<Self> {
        let mut document = Document::parse(text)?;
        let mut files = BTreeMap::new();
        let mut failed = None;
        document.change_texts(&mut |key, path| {
            if !names_a_file(key) || path.is_empty() {
                return None;
            }
            let read = read_small(Path::new(path), MAX_FILE_BYTES, Links::Follow);
            let read = read.and_then(|bytes| String::from_utf8(bytes).map_err(|_| Error::invalid("it is not text")));
            match read {
                Ok(content) => {
                    let name = hex(&sha256(content.as_bytes())[..8]);
                    files.insert(name.clone(), content);
                    Some(format!("{IN_BACKUP}{name}"))
                }
                Err(e) => {
                    failed = Some(e.at(format!("a file that {key} names")));
                    None
                }
            }
        });
        if let Some(e) = failed {
            return Err(Error::new(ErrorKind::Unavailable, e.message().to_owned()).with_source(e));
        }
        let tls = config.data_dir.join(IDENTITY_FOLDER);
        let mut identity = BTreeMap::new();
        for name in IDENTITY {
            // A box that has not run since it got this program has none yet.
            if name == EVIDENCE_KEY_FILE && tls.join(name).symlink_metadata().is_err() {
                continue;
            }
            let bytes =
                read_small(&tls.join(name), MAX_FILE_BYTES, Links::Refuse).map_err(|e| e.at("the box's identity"))?;
            let text = String::from_utf8(bytes).context(ErrorKind::Corrupt, || "the box's identity is damaged")?;
            identity.insert(name.to_owned(), text);
        }
        let (program, name) = (version::VERSION.to_owned(), config.name.clone());
        Ok(Self { form: FORM, program, at_us: at.0, name, config: document.text(), files, identity, people })
    }

    /// Sealed with a password.
    pub fn seal(&self, password: &str) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(self).context(ErrorKind::Internal, || "a backup cannot be written")?;
        sealed::seal(password, &plain)
    }

    /// What a sealed file holds, believed as far as it is right. Errors: `Invalid` (the password, or what is in it), `Corrupt`,
    /// `Unsupported` (a newer program made it, or it is no backup), `TooLarge`.
    pub fn unseal(password: &str, file: &[u8]) -> Result<Self> {
        if file.len() as u64 > MAX_SEALED_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a backup has at most {} MiB", MAX_SEALED_BYTES >> 20),
            ));
        }
        Self::read(&sealed::unseal(password, file)?)
    }

    pub(super) fn read(plain: &[u8]) -> Result<Self> {
        let damaged = || "what the backup holds is damaged";
        let Form { form } = serde_json::from_slice(plain).context(ErrorKind::Corrupt, damaged)?;
        if !(1..=FORM).contains(&form) {
            let why = "a newer version of perch made this backup: update the box first";
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let backup: Self = serde_json::from_slice(plain).context(ErrorKind::Corrupt, damaged)?;
        backup.check()?;
        Ok(backup)
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid(format!("the backup holds {what}")));
        let is_name =
            |name: &String| name.len() == 16 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if self.files.len() > MOST_FILES || !self.files.keys().all(is_name) {
            return wrong("files that are no passwords");
        }
        if self.files.values().chain(self.identity.values()).any(|text| text.len() as u64 > MAX_FILE_BYTES) {
            return wrong("a file that is too large");
        }
        let is_known = |name: &String| IDENTITY.contains(&name.as_str());
        let is_there = |name: &&str| self.identity.contains_key(*name);
        if !self.identity.keys().all(is_known) || !IDENTITY.iter().filter(|n| **n != EVIDENCE_KEY_FILE).all(is_there) {
            return wrong("no identity of a box");
        }
        if !self.identity.iter().all(|(_, text)| text.starts_with("-----BEGIN ")) {
            return wrong("an identity that is none");
        }
        self.people.check()
    }

    /// The text of the config for this box: its own data folder stays, and files are named where they will lie.
    pub fn config_here(&self, now: &str, secrets: &Path) -> Result<String> {
        let mut document = Document::parse(&self.config)?;
        let mut missing = false;
        document.change_texts(&mut |key, path| {
            if !names_a_file(key) {
                return None;
            }
            let name = path.strip_prefix(IN_BACKUP).filter(|name| self.files.contains_key(*name));
            missing |= name.is_none() && !path.is_empty();
            name.map(|name| secrets.join(name).to_string_lossy().into_owned())
        });
        if missing {
            return Err(Error::invalid("the backup names a file that it does not hold"));
        }
        document.keep_data_dir_of(&Document::parse(now).unwrap_or_else(|_| Document::empty()));
        Ok(document.text())
    }

    /// What taking it makes of a box with these cameras; it starts again by hand.
    pub fn restored(&self, cameras: &[CameraConfig]) -> Restored {
        let (accounts, stream_passwords) = self.people.count();
        Restored {
            name: self.name.clone(),
            program: self.program.clone(),
            at: Some(Timestamp(self.at_us)),
            cameras: cameras.iter().map(|camera| camera.name.clone()).collect(),
            accounts,
            stream_passwords,
            restarts: false,
        }
    }

    /// The files that the settings name, with their names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The files of the authority, and the key of evidence.
    pub fn identity(&self) -> impl Iterator<Item = (&str, &str)> {
        self.identity.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}
