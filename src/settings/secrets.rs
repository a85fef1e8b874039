//! Moves passwords out of the text of a config file, each into a file of its own that the text names.

use super::document::{Document, entries, entries_mut};
use super::values;
use perch_base::files::{Links, make_private_dir, put, read_small, remove};
use perch_base::secret::{Secret, hex, random_bytes};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::push::target::take_out_of_push;
use perch_domain::settings::named_files::{PASSWORD_FILES, WRITE_ONLY};
use perch_domain::settings::password::{PLACE, PLACE_AS_IT_IS, Password, has_place, is_in_clear, take_out_of};
use std::path::{Path, PathBuf};
use toml_edit::{Item, Table, TableLike, Value};

/// The keys of a camera that are addresses, and those that name the files of their passwords.
pub const ADDRESSES: [(&str, &str); 2] = [("source", PASSWORD_FILES[0]), ("sub_source", PASSWORD_FILES[1])];

/// The largest file that is looked into, and how many are, for a password that is kept already.
const MAX_BYTES: u64 = 4 * 1024;
const MOST_FILES: usize = 4096;

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

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file that holds it already: who reads one file twice makes no two of it.
    fn kept(&self, secret: &Secret) -> Option<PathBuf> {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten().take(MOST_FILES);
        let holds = |path: &PathBuf| {
            read_small(path, MAX_BYTES, Links::Refuse).is_ok_and(|held| held == secret.expose().as_bytes())
        };
        files.map(|entry| entry.path()).find(holds)
    }

    /// Writes one down and says what a config calls it: a name of chance, which says nothing of whose it is.
    fn keep(&self, secret: &Secret) -> Result<String> {
        let failed = || "a password cannot be kept: is the disk full or read-only?";
        make_private_dir(&self.folder).context(ErrorKind::Unavailable, failed)?;
        let named = |path: PathBuf| {
            path.into_os_string().into_string().map_err(|_| Error::invalid("box.data_dir: must be UTF-8"))
        };
        if let Some(path) = self.kept(secret) {
            return named(path);
        }
        let path = self.folder.join(hex(&random_bytes::<8>()));
        put(&path, secret.expose().as_bytes(), 0o600, None).context(ErrorKind::Unavailable, failed)?;
        named(path)
    }

    /// Moves the passwords of all cameras, and the keys of stores, into files.
    pub fn move_out_of(&self, document: &mut Document) -> Result<()> {
        for store in document.stores_mut() {
            for (clear, file) in WRITE_ONLY {
                let Some(secret) = store.get(clear).and_then(Item::as_str).map(str::to_owned) else { continue };
                values::set(store, file, self.keep(&Secret::new(secret))?.as_str().into());
                drop(store.remove(clear));
            }
        }
        if !document.cameras().into_iter().any(has_password) {
            return Ok(());
        }
        document.cameras_mut().iter_mut().try_for_each(|camera| self.move_out_of_camera(camera))
    }

    fn move_out_of_camera(&self, camera: &mut Table) -> Result<()> {
        let [(source, of_source), (sub, of_sub)] = ADDRESSES;
        let taken = |camera: &Table, key: &str| text(camera, key).and_then(take_out_of);
        let (main, small) = (taken(camera, source), taken(camera, sub));
        if main.is_some() && small.is_none() && text(camera, sub).is_some_and(has_place) && !camera.contains_key(of_sub)
        {
            // What both shared is now the second one's alone.
            if let Some(file) = text(camera, of_source).map(str::to_owned) {
                set_file(camera, ADDRESSES[1], &file);
            }
        }
        let is_shared = main.as_ref().zip(small.as_ref()).is_some_and(|(a, b)| a.1.expose() == b.1.expose());
        if let Some((address, secret)) = main {
            set(camera, source, &address);
            set_file(camera, ADDRESSES[0], &self.keep(&secret)?);
        }
        if let Some((address, secret)) = small {
            set(camera, sub, &address);
            match is_shared {
                true => drop(camera.remove(of_sub)),
                false => set_file(camera, ADDRESSES[1], &self.keep(&secret)?),
            }
        }
        for target in pushes_mut(camera) {
            if let Some((address, secret)) = target.get("url").and_then(Item::as_str).and_then(take_out_of_push) {
                values::set(target, "url", address.as_str().into());
                values::set(target, PASSWORD_FILES[0], self.keep(&secret)?.as_str().into());
            }
        }
        // What stands in one line has no comments that this would touch.
        if let Some(Item::Value(Value::Array(items))) = camera.get_mut("push") {
            items.iter_mut().filter_map(Value::as_inline_table_mut).for_each(|table| table.fmt());
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

fn has_password(camera: &dyn TableLike) -> bool {
    let pushed = pushes(camera).into_iter().filter_map(|target| target.get("url").and_then(Item::as_str));
    pushed.into_iter().any(|url| take_out_of_push(url).is_some())
        || ADDRESSES.iter().any(|(key, _)| camera.get(key).and_then(Item::as_str).is_some_and(is_in_clear))
}

/// The entries of a camera's `push`, however they are written.
pub fn pushes(camera: &dyn TableLike) -> Vec<&dyn TableLike> {
    entries(camera.get("push"))
}

fn pushes_mut(camera: &mut Table) -> Vec<&mut dyn TableLike> {
    entries_mut(camera.get_mut("push"))
}

fn text<'t>(camera: &'t Table, key: &str) -> Option<&'t str> {
    camera.get(key).and_then(Item::as_str)
}

fn set(camera: &mut Table, key: &str, value: &str) {
    values::set(camera, key, value.into());
}

/// Where there is none yet it stands behind the address that it belongs to, as a person writes it.
fn set_file(camera: &mut Table, (of, key): (&str, &str), file: &str) {
    let is_new = !camera.contains_key(key);
    set(camera, key, file);
    if is_new {
        let mut order: Vec<String> = camera.iter().map(|(k, _)| k.to_owned()).filter(|k| k != key).collect();
        let at = order.iter().position(|k| k == of).map_or(order.len(), |at| at + 1);
        order.insert(at, key.to_owned());
        let place = |key: &str| order.iter().position(|k| k == key).unwrap_or(order.len());
        camera.sort_values_by(|a, _, b, _| place(a.get()).cmp(&place(b.get())));
    }
}

/// Puts a password that came beside a camera's address into it, where it is taken out again. It takes the place of the one before.
pub fn put_beside(address: &str, password: &str) -> Result<String> {
    let whole = |marked: &str| Password(Some(Secret::new(password.to_owned()))).put_into(marked);
    if has_place(address) && !is_in_clear(address) && !address.ends_with(&format!("://{PLACE_AS_IT_IS}")) {
        return whole(&address.replace(PLACE_AS_IT_IS, PLACE));
    }
    let Some((scheme, rest)) = address.split_once("://") else {
        return Err(Error::invalid("password: is only for a network camera"));
    };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host_end].rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split(':').next().unwrap_or_default();
            whole(&format!("{scheme}://{user}:{PLACE}@{host}{}", &rest[host_end..]))
        }
        None => Err(Error::invalid("password: the address has no user name before an `@` that it belongs to")),
    }
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
        let keys: Vec<_> = text.lines().filter_map(|line| line.split_once(" =").map(|(key, _)| key)).collect();
        assert_eq!(keys, ["id", "source", "password_file", "sub_source"], "as a person writes it");
        let config = crate::config::Config::parse(&text, std::iter::empty()).expect("valid");
        let url = config.cameras[0].source.url().expect("an address").expose();
        assert_eq!(url, "rtsp://me:S3CRET@cam/a");
        let before = crate::config::Config::parse(FILE, std::iter::empty()).expect("valid");
        assert_eq!(config.cameras, before.cameras);
        let file = text.split("password_file = \"").nth(1).and_then(|t| t.split('"').next()).expect("named");
        secrets.forget_but([text.as_str()].into_iter());
        assert!(Path::new(file).exists());
        secrets.forget_but(std::iter::empty());
        assert!(!Path::new(file).exists());
    }

    #[test]
    fn keys_of_stores_go_into_files() {
        for sync in [
            "[[sync]]\nendpoint = \"https://s3.example.org\"\nbucket = \"copies\"\naccess_key = \"S3CRETID\"\nsecret_key = \"S3CRETKEY\"\n",
            "sync = [{ endpoint = \"https://s3.example.org\", bucket = \"copies\", access_key = \"S3CRETID\", secret_key = \"S3CRETKEY\" }]\n",
        ] {
            let dir = tempfile::tempdir().expect("a folder");
            let mut document = Document::parse(sync).expect("valid");
            Secrets::below(dir.path()).move_out_of(&mut document).expect("moved");
            let text = document.text();
            assert!(!text.contains("S3CRET") && text.contains("secret_key_file"), "{text}");
            let config = crate::config::Config::parse(&text, std::iter::empty()).expect("valid");
            assert_eq!(config.sync[0].keys.access.expose(), "S3CRETID");
            assert_eq!(config.sync[0].keys.secret.expose(), "S3CRETKEY");
            let before = crate::config::Config::parse(sync, std::iter::empty()).expect("valid");
            assert_eq!(config.sync, before.sync);
            let shown = format!("{:?}", before.settings);
            assert!(!shown.contains("S3CRET"), "what was written in clear is not shown: {shown}");
        }
    }

    #[test]
    fn keys_of_pushes_go_into_files() {
        for push in [
            "push = [{ url = \"rtmp://a/live/S3CRET\" }, { url = \"https://b/S3CRET\", stream = \"sub\" }] # out\n",
            "[[camera.push]]\nurl = \"rtmp://a/live/S3CRET\"\n[[camera.push]]\nurl = \"https://b/S3CRET\"\nstream = \"sub\"\n",
        ] {
            let dir = tempfile::tempdir().expect("a folder");
            let whole = format!("[[camera]]\nid = \"door\"\nsource = \"test\"\n{push}");
            let before = crate::config::Config::parse(&whole, std::iter::empty()).expect("valid");
            let mut document = Document::parse(&whole).expect("valid");
            // A second time changes nothing.
            for _ in 0..2 {
                Secrets::below(dir.path()).move_out_of(&mut document).expect("moved");
            }
            let text = document.text();
            assert!(!text.contains("S3CRET") && text.contains("rtmp://a/live/{password}"), "{text}");
            let after = crate::config::Config::parse(&text, std::iter::empty()).expect("valid");
            assert_eq!(after.cameras, before.cameras, "{text}");
            assert_eq!(before.cameras[0].push.len(), 2);
        }
    }

    #[test]
    fn each_address_keeps_the_password_that_it_had() {
        for (rest, files) in [
            ("source = \"rtsp://me:A@cam/a\"\nsub_source = \"rtsp://me:B@cam/b\"", 2),
            ("source = \"rtsp://me:A@cam/a?password=C\"\nsub_source = \"rtsp://me:A@cam/b\"", 2),
            ("source = \"rtsp://me:A$@cam/a\"\nsub_source = \"rtsp://me:A$@cam/b\"", 1),
        ] {
            for whole in [
                format!("[[camera]]\nid = \"door\"\n{rest}\n"),
                format!("camera = [{{ id = \"door\", {} }}]\n", rest.replace('\n', ", ")),
            ] {
                let dir = tempfile::tempdir().expect("a folder");
                let secrets = Secrets::below(dir.path());
                let before = crate::config::Config::parse(&whole, std::iter::empty()).expect("valid");
                let mut document = Document::parse(&whole).expect("valid");
                // A second time changes nothing.
                for _ in 0..2 {
                    secrets.move_out_of(&mut document).expect("moved");
                }
                let after = crate::config::Config::parse(&document.text(), std::iter::empty()).expect("valid");
                assert_eq!(after.cameras, before.cameras, "{whole}");
                assert_eq!(std::fs::read_dir(dir.path().join("secrets")).expect("made").count(), files, "{whole}");
            }
        }
    }

    #[test]
    fn a_file_that_both_shared_stays_the_second_ones() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("j");
        std::fs::write(&file, "J").expect("written");
        let text = format!(
            "[[camera]]\nid = \"door\"\nsource = \"rtsp://me:K@cam/a\"\nsub_source = \"rtsp://me:{{password}}@cam/b\"\npassword_file = {file:?}\n"
        );
        let before = crate::config::Config::parse(&text, std::iter::empty()).expect("valid");
        let mut document = Document::parse(&text).expect("valid");
        Secrets::below(dir.path()).move_out_of(&mut document).expect("moved");
        let after = crate::config::Config::parse(&document.text(), std::iter::empty()).expect("valid");
        assert_eq!(after.cameras, before.cameras);
    }

    #[test]
    fn a_password_beside_an_address() {
        for (address, whole) in [
            ("rtsp://me@cam/x", "rtsp://me:p%40s@cam/x"),
            ("rtsp://me:OLD@cam/x", "rtsp://me:p%40s@cam/x"),
            ("rtsp://me:{password}@cam/x", "rtsp://me:p%40s@cam/x"),
            ("rtsp://cam/x?password={password}", "rtsp://cam/x?password=p%40s"),
        ] {
            assert_eq!(put_beside(address, "p@s").expect("ok"), whole);
        }
        for bad in ["rtsp://cam/x", "test"] {
            assert!(put_beside(bad, "x").is_err(), "{bad}");
        }
    }
}
