//! What a change makes of the text of the config file. Pure: nothing is written, and passwords stand in the text that are taken out later.

use super::document::{Document, merge_camera};
use super::secrets::{self, ADDRESSES};
use crate::config::{Config, OfNewer, environment};
use perch_base::authority::Authority;
use perch_base::ids::CameraId;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::motion::Polygon;
use perch_domain::settings::changes::SettingsChange;
use perch_domain::settings::described::tree;
use perch_domain::settings::named_files::{FILES_BY_HAND, PASSWORD_FILES, WRITE_ONLY};
use perch_domain::settings::password::{has_place, shown};
use perch_domain::turned_areas::{self, AreaKind};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use toml_edit::{Item, Table, TableLike};

/// The longest password of a camera.
const MAX_PASSWORD_BYTES: usize = 256;

/// What a file says.
#[derive(Clone, Debug)]
pub struct Read {
    pub text: String,
    pub config: Config,
    /// What of it only a newer version understands.
    pub newer: OfNewer,
}

impl Read {
    /// Errors with `Invalid` where it is wrong, but for what is known to be a newer version's.
    pub fn understood(text: String, newer: &OfNewer) -> Result<Self> {
        let config = Config::parse_but(&text, environment(), newer)?;
        Ok(Self { text, config, newer: newer.clone() })
    }
}

/// The file as `change` makes it of `before`. Files may be named that it names already.
pub fn changed(before: &Read, change: SettingsChange) -> Result<Document> {
    let mut document = Document::parse(&before.text)?;
    let after = |document: &Document| Read::understood(document.text(), &before.newer).ok();
    match change {
        SettingsChange::Merge(mut patch) => {
            check_files(&patch, &document)?;
            accept_cameras(&mut patch, &document)?;
            accept_stores(&mut patch, &document)?;
            document.merge(&patch, &before.config)?;
            // Some defaults depend on other keys: what was so before and is no longer is written after all.
            if let Some(after) = after(&document) {
                document.merge(&patch, &after.config)?;
            }
            check_hook(&Document::parse(&before.text)?, &document)?;
        }
        SettingsChange::AddCamera(patch) => {
            check_files(&patch, &document)?;
            add(&mut document, patch, before)?;
        }
        SettingsChange::ChangeCamera(id, patch) => {
            check_files(&patch, &document)?;
            change_camera(&mut document, &id, patch, before)?;
        }
        SettingsChange::RemoveCamera(id, _) => remove(&mut document, &id, before)?,
        SettingsChange::Restore(_) => return Err(Error::internal("a version is taken back as it is kept")),
    }
    turn_areas(&mut document, before)?;
    Ok(document)
}

/// Turns zones and masks along where a camera's picture is turned and they are left as they were: what was covered stays covered.
fn turn_areas(document: &mut Document, before: &Read) -> Result<()> {
    // What is wrong with it is said by who reads it next.
    let Ok(after) = Read::understood(document.text(), &before.newer) else { return Ok(()) };
    let mut now = None;
    for camera in &after.config.cameras {
        let Some(old) = before.config.cameras.iter().find(|c| c.id == camera.id) else { continue };
        let follow = turned_areas::to_follow(old, camera);
        let Some(at) = position(document, camera.id.as_str()).filter(|_| !follow.is_empty()) else { continue };
        let mut patch = Map::new();
        let mut motion = Map::new();
        for (kind, areas) in follow {
            let (table, key) = match kind {
                AreaKind::Privacy => (&mut patch, "privacy"),
                AreaKind::Zones => (&mut motion, "zones"),
                AreaKind::Masks => (&mut motion, "masks"),
            };
            let corners = |area: &Polygon| area.corners().iter().map(turned_areas::written).collect::<Vec<_>>();
            table.insert(key.to_owned(), areas.iter().map(corners).collect::<Vec<_>>().into());
        }
        if !motion.is_empty() {
            patch.insert("motion".to_owned(), Json::Object(motion));
        }
        let now = now.get_or_insert_with(|| tree(&after.config.settings));
        let table = document.cameras_mut().iter_mut().nth(at).ok_or_else(|| no_camera(&camera.id))?;
        merge_camera(table, &patch, now["camera"].get(at), "camera")?;
    }
    Ok(())
}

/// Refuses to have a file read that nobody named by hand: what is in it might be shown, or sent to who named it.
fn check_files(patch: &Map<String, Json>, document: &Document) -> Result<()> {
    let mut known = BTreeSet::new();
    document.texts(&mut |key, text| {
        if FILES_BY_HAND.contains(&key) {
            known.insert((key.to_owned(), text.to_owned()));
        }
    });
    let may = |key: &str, named: &str| named.is_empty() || known.contains(&(key.to_owned(), named.to_owned()));
    let mut refused = None;
    for (key, value) in patch {
        texts_of(key, value, &mut |key, text| {
            if FILES_BY_HAND.contains(&key) && !may(key, text) {
                refused = Some(key.to_owned());
            }
        });
    }
    match refused {
        Some(key) => {
            Err(Error::invalid(format!("{key}: names a file; another one is set by hand alone, in perch.toml")))
        }
        None => Ok(()),
    }
}

/// Refuses to have a secret that is kept sent to another host than it is for, also where that is not told it today: no domain is named, or
/// the hook was taken away before.
fn check_hook(before: &Document, after: &Document) -> Result<()> {
    let of = |document: &Document, wanted: &str| {
        let mut found = None;
        document.texts(&mut |key, text| {
            if key == wanted && !text.is_empty() {
                found = Some(text.to_owned());
            }
        });
        found
    };
    let place = |document: &Document| {
        let url = of(document, "dns_hook")?;
        let place = Authority::of(&url).map(|(scheme, at)| (scheme.to_owned(), at.host.to_owned(), at.port));
        Some(place)
    };
    let new = place(after);
    if new.is_none() || new == place(before) || of(after, "dns_hook_secret_file").is_none() {
        return Ok(());
    }
    Err(Error::invalid(
        "acme.dns_hook: has another host, which is not to be told the secret of this one: change it by hand, in perch.toml",
    ))
}

/// Every text of a patch with its key.
fn texts_of<'j>(key: &'j str, value: &'j Json, take: &mut impl FnMut(&'j str, &'j str)) {
    match value {
        Json::String(text) => take(key, text),
        Json::Array(items) => items.iter().for_each(|item| texts_of(key, item, take)),
        Json::Object(inner) => inner.iter().for_each(|(key, value)| texts_of(key, value, take)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Lets no file be named over the API, and takes passwords that came beside an address. `before` is the camera as the file has it.
fn accept(camera: &mut Map<String, Json>, before: Option<&dyn TableLike>, path: &str) -> Result<()> {
    let known = |key: &str| before.and_then(|table| table.get(key)).and_then(Item::as_str);
    for (key, file) in ADDRESSES {
        let named = camera.get(file).filter(|named| !named.is_null());
        if named.is_some_and(|named| named.as_str().is_none() || named.as_str() != known(file)) {
            return Err(Error::invalid(format!("{path}.{file}: is set by hand alone; give `password`")));
        }
        // One that was read is handed back as it was shown.
        let new = camera.get(key).and_then(Json::as_str).filter(|new| known(key).is_none_or(|is| *new != shown(is)));
        let moves = new
            .zip(known(key))
            .is_some_and(|(new, is)| has_place(new) && (place_of(new).is_none() || place_of(new) != place_of(is)));
        let is_borrowed = new.is_some_and(|new| has_place(new) && known(key).is_none_or(|is| !has_place(is)));
        if (moves || is_borrowed) && !camera.contains_key("password") {
            return Err(Error::invalid(format!("{path}.{key}: has another host: give `password` again")));
        }
    }
    accept_pushes(camera, before, path)?;
    let Some(password) = camera.remove("password") else { return Ok(()) };
    let password = password.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_PASSWORD_BYTES);
    let rule = || Error::invalid(format!("{path}.password: must be a text of 1 to {MAX_PASSWORD_BYTES} bytes"));
    let password = password.ok_or_else(rule)?;
    let mut refused = None;
    let mut is_used = false;
    for (key, _) in ADDRESSES {
        let given = camera.get(key).and_then(Json::as_str).filter(|new| known(key).is_none_or(|is| *new != shown(is)));
        let Some(address) = given.or_else(|| known(key)) else { continue };
        match secrets::put_beside(address, password) {
            Ok(whole) => {
                camera.insert(key.to_owned(), Json::String(whole));
                is_used = true;
            }
            Err(e) => refused = Some(e.at(path)),
        }
    }
    match refused {
        Some(e) if !is_used => Err(e),
        None if !is_used => Err(Error::invalid(format!("{path}.password: is only for a network camera"))),
        _ => Ok(()),
    }
}

/// Gives the pushes that are handed back as they were shown their whole address again, each once. Those that are new name no file: what is in
/// it would be sent to whoever they lead to.
fn accept_pushes(camera: &mut Map<String, Json>, before: Option<&dyn TableLike>, path: &str) -> Result<()> {
    let Some(Json::Array(targets)) = camera.get_mut("push") else { return Ok(()) };
    let text = |table: &dyn TableLike, key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
    let known = before.map(secrets::pushes).unwrap_or_default();
    let mut known: Vec<_> = known.into_iter().map(|t| (text(t, "url"), text(t, PASSWORD_FILES[0]))).collect();
    for (n, target) in targets.iter_mut().enumerate() {
        let Some(target) = target.as_object_mut() else { continue };
        let said = |key: &str| target.get(key).and_then(Json::as_str).map(str::to_owned);
        let (url, file) = (said("url").unwrap_or_default(), said(PASSWORD_FILES[0]).filter(|file| !file.is_empty()));
        let is_it = |(is, of): &(Option<String>, Option<String>)| {
            is.as_ref().is_some_and(|is| shown(is) == url || *is == url) && (file.is_none() || file == *of)
        };
        match known.iter().position(is_it) {
            Some(at) => {
                let (url, file) = known.remove(at);
                target.insert("url".to_owned(), url.into());
                match file {
                    Some(file) => drop(target.insert(PASSWORD_FILES[0].to_owned(), file.into())),
                    None => drop(target.remove(PASSWORD_FILES[0])),
                }
            }
            None if file.is_some() || has_place(&url) => {
                let rule = "is not as it was: give the whole address, with its key or password";
                return Err(Error::invalid(format!("{path}.push[{n}].url: {rule}")));
            }
            None => drop(target.remove(PASSWORD_FILES[0])),
        }
    }
    Ok(())
}

/// A store that is handed back as it was shown keeps its keys, which are for its address alone; what is given anew takes their place.
fn accept_stores(patch: &mut Map<String, Json>, document: &Document) -> Result<()> {
    let Some(Json::Array(stores)) = patch.get_mut("sync") else { return Ok(()) };
    let known = document.stores();
    for (n, store) in stores.iter_mut().enumerate() {
        let Some(store) = store.as_object_mut() else { continue };
        let is_same = |table: &&dyn TableLike, keys: &[&str]| {
            keys.iter().all(|key| {
                let said = store.get(*key).and_then(Json::as_str);
                said.is_some() && table.get(key).and_then(Item::as_str) == said
            })
        };
        let found = known.iter().find(|table| is_same(table, &["endpoint", "bucket"]));
        let before = found.or_else(|| known.iter().find(|table| is_same(table, &["endpoint"]))).copied();
        let of_before = |key: &str| before.and_then(|table| table.get(key)).and_then(Item::as_str);
        for (clear, file) in WRITE_ONLY {
            let said = |key: &str| store.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
            if said(clear).is_some() {
                store.remove(file);
                continue;
            }
            if said(file).is_some_and(|named| of_before(file) != Some(named)) {
                return Err(Error::invalid(format!("sync[{n}].{file}: is for another address: give `{clear}` again")));
            }
            for key in [clear, file] {
                match of_before(key) {
                    Some(text) => drop(store.insert(key.to_owned(), text.into())),
                    None => drop(store.remove(key)),
                }
            }
        }
    }
    Ok(())
}

fn accept_cameras(patch: &mut Map<String, Json>, document: &Document) -> Result<()> {
    let Some(Json::Array(cameras)) = patch.get_mut("camera") else { return Ok(()) };
    for (n, camera) in cameras.iter_mut().enumerate() {
        let Some(camera) = camera.as_object_mut() else { continue };
        let id = camera.get("id").and_then(Json::as_str).map(str::to_owned);
        let before = document.cameras().into_iter().find(|c| c.get("id").and_then(Item::as_str) == id.as_deref());
        accept(camera, before, &format!("camera[{n}]"))?;
    }
    Ok(())
}

fn add(document: &mut Document, mut patch: Map<String, Json>, before: &Read) -> Result<()> {
    accept(&mut patch, None, "camera")?;
    let id = patch.get("id").and_then(Json::as_str).unwrap_or_default();
    if position(document, id).is_some() || before.config.cameras.iter().any(|c| c.id.as_str() == id) {
        return Err(Error::new(ErrorKind::Conflict, format!("camera {id} is there already")));
    }
    write_down_the_default(document, before)?;
    let mut camera = Table::new();
    merge_camera(&mut camera, &patch, None, "camera")?;
    document.cameras_mut().push(camera);
    Ok(())
}

fn change_camera(document: &mut Document, id: &CameraId, mut patch: Map<String, Json>, before: &Read) -> Result<()> {
    if patch.get("id").is_some_and(|new| new.as_str() != Some(id.as_str())) {
        return Err(Error::invalid("id: names its recordings and cannot change; add a camera and remove this one"));
    }
    write_down_the_default(document, before)?;
    let at = position(document, id.as_str()).ok_or_else(|| no_camera(id))?;
    accept(&mut patch, document.cameras().get(at).copied(), "camera")?;
    let mut config = Some(before.config.clone());
    // A second time: some defaults depend on other keys.
    for _ in 0..2 {
        let Some(known) = &config else { break };
        let now = tree(&known.settings);
        let camera = document.cameras_mut().iter_mut().nth(at).ok_or_else(|| no_camera(id))?;
        merge_camera(camera, &patch, now["camera"].get(at), "camera")?;
        config = Read::understood(document.text(), &before.newer).ok().map(|read| read.config);
    }
    Ok(())
}

fn remove(document: &mut Document, id: &CameraId, before: &Read) -> Result<()> {
    write_down_the_default(document, before)?;
    let at = position(document, id.as_str()).ok_or_else(|| no_camera(id))?;
    let cameras = document.cameras_mut();
    cameras.remove(at);
    if cameras.is_empty() {
        document.without_cameras();
    }
    document.forget_camera(id.as_str());
    Ok(())
}

/// Where an address leads: the host, and its port where one is named.
fn place_of(address: &str) -> Option<(&str, Option<u16>)> {
    Authority::of(address).map(|(_, at)| (at.host, at.port))
}

fn no_camera(id: &CameraId) -> Error {
    Error::not_found(format!("there is no camera {id}"))
}

/// Which table of cameras is this one's.
fn position(document: &Document, id: &str) -> Option<usize> {
    document.cameras().iter().position(|table| table.get("id").and_then(Item::as_str) == Some(id))
}

/// A file that names no camera has the test camera. Whoever adds one, or changes that, has both: it is written down first.
fn write_down_the_default(document: &mut Document, before: &Read) -> Result<()> {
    if document.says_cameras() || before.config.cameras.is_empty() {
        return Ok(());
    }
    let now = tree(&before.config.settings);
    for camera in now["camera"].as_array().into_iter().flatten() {
        let mut patch = Map::new();
        for key in ["id", "name", "source"] {
            patch.insert(key.to_owned(), camera[key].clone());
        }
        let sound = Map::from_iter([("source".to_owned(), camera["audio"]["source"].clone())]);
        patch.insert("audio".to_owned(), Json::Object(sound));
        let mut table = Table::new();
        merge_camera(&mut table, &patch, None, "camera")?;
        document.cameras_mut().push(table);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A box whose hook has a token, with a camera's password beside it.
    fn read(dir: &std::path::Path) -> Read {
        for (name, text) in [("token", "T0KEN"), ("camera", "S3CRET")] {
            std::fs::write(dir.join(name), text).expect("written");
        }
        let dir = dir.display();
        let text = format!(
            "[acme]\ndomain = \"cam.example.org\"\nchallenge = \"dns-01\"\ndns_hook = \"https://dns.example.org/set\"\n\
             dns_hook_secret_file = \"{dir}/token\"\n[[camera]]\nid = \"door\"\n\
             source = \"rtsp://me:{{password}}@cam/a\"\npassword_file = \"{dir}/camera\"\n"
        );
        Read::understood(text, &OfNewer::default()).expect("valid")
    }

    #[test]
    fn what_is_kept_secret_is_sent_to_nobody_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let before = read(dir.path());
        let at = |name: &str| dir.path().join(name).display().to_string();
        let (token, camera) = (at("token"), at("camera"));
        for (patch, refused) in [
            (json!({"acme": {"dns_hook_secret_file": token}}), None),
            (json!({"acme": {"dns_hook": "https://dns.example.org/other"}}), None),
            (json!({"acme": {"dns_hook": "https://evil.example.org/", "dns_hook_secret_file": null}}), None),
            // Another secret of the box, to this hook.
            (json!({"acme": {"dns_hook_secret_file": camera}}), Some("names a file")),
            (json!({"webrtc": {"turn": [{"url": "turn:h:1", "secret_file": camera}]}}), Some("names a file")),
            (json!({"webrtc": {"turn": [{"url": "turn:h:1", "secret_file": token}]}}), Some("names a file")),
            // This hook's, to another.
            (json!({"acme": {"dns_hook": "https://evil.example.org/set"}}), Some("another host")),
            (json!({"acme": {"dns_hook": "https://dns.example.org:8443/set"}}), Some("another host")),
            (
                json!({"acme": {"dns_hook": "https://evil.example.org/", "dns_hook_secret_file": token}}),
                Some("another host"),
            ),
        ] {
            let merge = SettingsChange::Merge(patch.as_object().cloned().unwrap_or_default());
            let said = changed(&before, merge).err().map(|e| e.message().to_owned());
            match refused {
                Some(why) => assert!(said.as_ref().is_some_and(|said| said.contains(why)), "{patch}: {said:?}"),
                None => assert_eq!(said, None, "{patch}"),
            }
        }
    }

    #[test]
    fn a_store_keeps_its_keys_and_no_other_gets_them() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("key"), "S3CRET").expect("written");
        let key = dir.path().join("key").display().to_string();
        let text = format!(
            "[[sync]]   # mine\nendpoint = \"https://s3.example.org\"\nbucket = \"copies\"\naccess_key_file = \"{key}\"\n\
             secret_key_file = \"{key}\"\n"
        );
        let before = Read::understood(text, &OfNewer::default()).expect("valid");
        let merged = |store: Json| {
            let patch = json!({"sync": [store]});
            let document = changed(&before, SettingsChange::Merge(patch.as_object().cloned().unwrap_or_default()))?;
            Ok::<_, Error>((
                Read::understood(document.text(), &OfNewer::default())?.config.sync.remove(0),
                document.text(),
            ))
        };
        let (mine, evil) = ("https://s3.example.org", "https://evil.example.org");
        let kept = [
            json!({"endpoint": mine, "bucket": "copies", "what": "all"}),
            json!({"endpoint": mine, "bucket": "copies", "access_key_file": key, "secret_key_file": key, "secret_key": null}),
            json!({"endpoint": mine, "bucket": "others"}),
        ];
        for store in kept {
            let (target, _) = merged(store.clone()).expect("taken");
            assert_eq!(target.keys.secret.expose(), "S3CRET", "{store}");
        }
        let anew = json!({"endpoint": evil, "bucket": "copies", "access_key": "ID", "secret_key": "NEW"});
        let (target, text) = merged(anew).expect("with keys of its own");
        assert_eq!((target.keys.access.expose().as_str(), target.keys.secret.expose().as_str()), ("ID", "NEW"));
        assert!(!text.contains(&key), "{text}");
        for (store, word) in [
            (json!({"endpoint": evil, "bucket": "copies"}), "access_key_file"),
            (
                json!({"endpoint": evil, "bucket": "copies", "access_key_file": key, "secret_key_file": key}),
                "another address",
            ),
            (json!({"endpoint": mine, "bucket": "copies", "access_key_file": "/etc/shadow"}), "names a file"),
        ] {
            let refused = merged(store.clone()).map(drop).expect_err("refused");
            assert!(refused.message().contains(word), "{store}: {refused}");
        }
    }

    /// In two steps: first the hook, or the domain, is taken away.
    #[test]
    fn a_secret_that_is_sent_nowhere_today_is_sent_to_nobody_else_tomorrow() {
        let dir = tempfile::tempdir().expect("a folder");
        let before = read(dir.path());
        let of = |patch: Json| SettingsChange::Merge(patch.as_object().cloned().unwrap_or_default());
        for away in [json!({"acme": {"domain": null}}), json!({"acme": {"dns_hook": null, "challenge": "http-01"}})] {
            let text = changed(&before, of(away.clone())).expect("may be taken away").text();
            let then = Read::understood(text, &OfNewer::default()).expect("valid");
            let again =
                |hook: &str| json!({"acme": {"domain": "cam.example.org", "challenge": "dns-01", "dns_hook": hook}});
            let refused = changed(&then, of(again("https://evil.example.org/set"))).expect_err("refused");
            assert!(refused.message().contains("another host"), "{away}: {refused}");
        }
        let away = changed(&before, of(json!({"acme": {"domain": null}}))).expect("may be taken away").text();
        let then = Read::understood(away, &OfNewer::default()).expect("valid");
        let back = json!({"acme": {"domain": "cam.example.org", "dns_hook": "https://dns.example.org/set"}});
        changed(&then, of(back)).expect("it comes back to its own");
    }

    #[test]
    fn what_is_covered_stays_covered_when_the_picture_is_turned() {
        let area = |x: f64| json!([[x, 0.0], [0.3, 0.0], [0.3, 0.4]]);
        let before = "[[camera]]\nid = \"yard\"\nsource = \"test\"\n\n[[camera]]\nid = \"door\"\nsource = \"test\"\nrotation = 0   # upright\n\
                      privacy = [[[0.0, 0.0], [0.3, 0.0], [0.3, 0.4]]]\n\
                      motion = { zones = [[[0.1, 0.0], [0.3, 0.0], [0.3, 0.4]]], masks = [[[0.2, 0.0], [0.3, 0.0], [0.3, 0.4]]] }\n";
        let before = Read::understood(before.to_owned(), &OfNewer::default()).expect("valid");
        let door = CameraId::new("door").expect("an id");
        let map = |patch: Json| patch.as_object().cloned().unwrap_or_default();
        let of = |patch: Json| SettingsChange::ChangeCamera(door.clone(), map(patch));
        let turned = |x: f64| json!([[1.0, x], [1.0, 0.3], [0.6, 0.3]]);
        let all = json!([[turned(0.0)], [turned(0.1)], [turned(0.2)]]);
        let own = json!([[0.5, 0.5], [0.6, 0.5], [0.6, 0.6]]);
        for (change, want) in [
            (of(json!({"rotation": 90})), all.clone()),
            (
                SettingsChange::Merge(map(json!({"camera": [{"id": "yard"}, {"id": "door", "rotation": 90}]}))),
                all.clone(),
            ),
            // Cameras in another order.
            (
                SettingsChange::Merge(map(json!({"camera": [{"id": "door", "rotation": 90}, {"id": "yard"}]}))),
                all.clone(),
            ),
            // All that was read is handed back with it.
            (of(json!({"rotation": 90, "privacy": [area(0.0)]})), all),
            (of(json!({"rotation": 90, "privacy": [own], "motion": {"masks": []}})), json!([[own], [turned(0.1)], []])),
            (of(json!({"rotation": 180, "mirror": true})), {
                let over = |x: f64| json!([[x, 1.0], [0.3, 1.0], [0.3, 0.6]]);
                json!([[over(0.0)], [over(0.1)], [over(0.2)]])
            }),
            (of(json!({"name": "Door"})), json!([[area(0.0)], [area(0.1)], [area(0.2)]])),
        ] {
            let said = format!("{change:?}");
            let text = changed(&before, change).expect("changed").text();
            assert!(text.contains("# upright"), "{text}");
            let after = Read::understood(text.clone(), &OfNewer::default()).expect("valid");
            let tree = tree(&after.config.settings);
            let camera =
                tree["camera"].as_array().and_then(|all| all.iter().find(|c| c["id"] == "door")).expect("there");
            let got = json!([camera["privacy"], camera["motion"]["zones"], camera["motion"]["masks"]]);
            assert_eq!(got, want, "{said}\n{text}");
        }
    }

    #[test]
    fn a_cameras_password_goes_to_no_other_host() {
        let dir = tempfile::tempdir().expect("a folder");
        let before = read(dir.path());
        for (source, goes) in [
            ("rtsp://me:{password}@cam/b", true),
            ("rtsp://me:{password}@cam:8554/b", false),
            ("rtsp://me:{password}@evil/a", false),
            ("rtsp://me:{password}@evil:99999/a", false),
            ("rtsp://me:{password}@cam@evil/a", false),
        ] {
            let patch = Map::from_iter([("source".to_owned(), Json::String(source.to_owned()))]);
            let id = CameraId::new("door").expect("an id");
            assert_eq!(changed(&before, SettingsChange::ChangeCamera(id, patch)).is_ok(), goes, "{source}");
        }
    }
}
