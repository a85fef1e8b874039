//! Moves passwords out of the text of a config file, each into a file of its own that the text names.

use super::document::Document;
use perch_base::files::{make_private_dir, put, remove};
use perch_base::secret::{Secret, hex, random_bytes};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::settings::password::{PLACE, take_out_of};
use std::path::{Path, PathBuf};
use toml_edit::{Item, Table};

/// The keys of a camera that are addresses.
const ADDRESSES: [&str; 2] = ["source", "sub_source"];

/// The folder of the files.
#[derive(Clone, Debug)]
pub struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    /// Below the data folder.
    pub fn below(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("secrets") }
    }

    /// Writes one down and says what a config calls it: a name of chance, which says nothing of whose it is.
    fn keep(&self, secret: &Secret) -> Result<String> {
        let failed = || "a password cannot be kept: is the disk full or read-only?";
        make_private_dir(&self.folder).context(ErrorKind::Unavailable, failed)?;
        let path = self.folder.join(hex(&random_bytes::<8>()));
        put(&path, secret.expose().as_bytes(), 0o600, None).context(ErrorKind::Unavailable, failed)?;
        path.into_os_string().into_string().map_err(|_| Error::invalid("box.data_dir: must be UTF-8"))
    }

    /// Whether a config may name this file by the page: only what was written here.
    pub fn holds(&self, file: &str) -> bool {
        let path = Path::new(file);
        path.parent() == Some(&self.folder)
            && path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// Moves the passwords of all cameras into files. Errors with `Invalid`, naming the camera, where that cannot be.
    pub fn move_out_of(&self, document: &mut Document) -> Result<()> {
        if !document.cameras().any(has_password) {
            return Ok(());
        }
        document.cameras_mut().iter_mut().try_for_each(|camera| self.move_out_of_camera(camera))
    }

    fn move_out_of_camera(&self, camera: &mut Table) -> Result<()> {
        let mut found: Option<Secret> = None;
        for key in ADDRESSES {
            let Some((address, secret)) = text(camera, key).and_then(take_out_of) else { continue };
            if found.as_ref().is_some_and(|one| one.expose() != secret.expose()) {
                let id = text(camera, "id").unwrap_or("?");
                let rule = "its two addresses have different passwords: give the camera one for both streams";
                return Err(Error::invalid(format!("camera {id}: {rule}")));
            }
            found = Some(secret);
            set(camera, key, &address);
        }
        if let Some(secret) = found {
            set(camera, "password_file", &self.keep(&secret)?);
        }
        Ok(())
    }

    /// Removes the files that no text names any more.
    pub fn forget_but<'a>(&self, texts: impl Iterator<Item = &'a str> + Clone) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_named = name.to_str().is_none_or(|name| texts.clone().any(|text| text.contains(name)));
            if !is_named {
                // It is of no use to anybody and goes next time.
                let _ = remove(&entry.path());
            }
        }
    }
}

fn has_password(camera: &Table) -> bool {
    ADDRESSES.iter().any(|key| text(camera, key).and_then(take_out_of).is_some())
}

fn text<'t>(camera: &'t Table, key: &str) -> Option<&'t str> {
    camera.get(key).and_then(Item::as_str)
}

fn set(camera: &mut Table, key: &str, value: &str) {
    let mut value = toml_edit::Value::from(value);
    if let Some(old) = camera.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    camera.insert(key, Item::Value(value));
}

/// A text without the passwords in its cameras' addresses, to be shown: their place is marked.
pub fn shown(text: &str) -> String {
    let Ok(mut document) = Document::parse(text) else { return String::new() };
    if document.cameras().any(has_password) {
        for camera in document.cameras_mut().iter_mut() {
            for key in ADDRESSES {
                if let Some((address, _)) = self::text(camera, key).and_then(take_out_of) {
                    set(camera, key, &address);
                }
            }
        }
    }
    document.text()
}

/// Puts a password that came beside a camera's address into it, where it is taken out again.
pub fn put_beside(address: &str, password: &str) -> Result<String> {
    let marked = match address.split_once("://") {
        _ if address.contains(PLACE) => address.to_owned(),
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((user, host)) if !user.contains([':', '/', '?']) => format!("{scheme}://{user}:{PLACE}@{host}"),
            _ => return Err(Error::invalid("password: the address has no user name before an `@` that it belongs to")),
        },
        None => return Err(Error::invalid("password: is only for a network camera")),
    };
    perch_domain::settings::password::Password(Some(Secret::new(password.to_owned()))).put_into(&marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# cameras\n[[camera]]\nid = \"door\"\nsource = \"rtsp://me:S3CRET@cam/a\"   # north\n\
        sub_source = \"rtsp://me:S3CRET@cam/b\"\n";

    #[test]
    fn passwords_go_into_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let secrets = Secrets::below(dir.path());
        let mut document = Document::parse(FILE).expect("valid");
        secrets.move_out_of(&mut document).expect("moved");
        let text = document.text();
        assert!(
            text.contains("source = \"rtsp://me:{password}@cam/a\"   # north") && !text.contains("S3CRET"),
            "{text}"
        );
        let config = crate::config::Config::parse(&text, std::iter::empty()).expect("valid");
        let url = config.cameras[0].source.url().expect("an address").expose();
        assert_eq!(url, "rtsp://me:S3CRET@cam/a");
        let before = crate::config::Config::parse(FILE, std::iter::empty()).expect("valid");
        assert_eq!(config.cameras, before.cameras);
        let file = text.split("password_file = \"").nth(1).and_then(|t| t.split('"').next()).expect("named");
        assert!(secrets.holds(file) && !secrets.holds("/etc/shadow"));
        secrets.forget_but([text.as_str()].into_iter());
        assert!(Path::new(file).exists());
        secrets.forget_but(std::iter::empty());
        assert!(!Path::new(file).exists());
    }

    #[test]
    fn what_is_shown_has_none() {
        let text = shown(FILE);
        assert!(!text.contains("S3CRET") && text.contains("{password}") && text.starts_with("# cameras"), "{text}");
        assert_eq!(shown("a = ["), "");
    }

    #[test]
    fn two_passwords_of_one_camera_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let text = FILE.replace("S3CRET@cam/b", "OTHER@cam/b");
        let e = Secrets::below(dir.path()).move_out_of(&mut Document::parse(&text).expect("valid")).expect_err("two");
        assert!(e.to_string().contains("camera door") && !e.to_string().contains("S3CRET"), "{e}");
    }

    #[test]
    fn a_password_beside_an_address() {
        assert_eq!(put_beside("rtsp://me@cam/x", "p@s").expect("ok"), "rtsp://me:p%40s@cam/x");
        for bad in ["rtsp://cam/x", "test"] {
            assert!(put_beside(bad, "x").is_err(), "{bad}");
        }
    }
}
