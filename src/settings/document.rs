//! The text of `perch.toml` as it is edited: comments, order and what nobody touched stay as they are. Pure.

use crate::config::Config;
use perch_base::{Error, Result};
use perch_domain::redact::unknown_key;
use perch_domain::settings::described::{Origin, Setting, tree, without_numbers};
use serde_json::{Map, Value as Json};
use std::sync::LazyLock;
use toml_edit::{Array, ArrayOfTables, Decor, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value};

/// The sections of a file, in the order in which a person writes them.
const SECTIONS: [&str; 8] = ["box", "http", "rtsp", "webrtc", "access", "recording", "update", "camera"];
/// The keys of a camera, likewise.
const OF_CAMERA: [&str; 18] = [
    "id",
    "name",
    "source",
    "password_file",
    "sub_source",
    "sub_password_file",
    "transport",
    "tls",
    "aspect",
    "codec",
    "width",
    "height",
    "fps",
    "bitrate_kbps",
    "sub",
    "audio",
    "record",
    "motion",
];
/// Tables in tables are deeper than any setting here.
const DEEPEST: usize = 8;

/// A config file that is being changed.
#[derive(Clone, Debug)]
pub struct Document {
    doc: DocumentMut,
}

impl Document {
    /// Errors with `Invalid` where it is not TOML, without repeating any of it.
    pub fn parse(text: &str) -> Result<Self> {
        let doc = text.parse().map_err(|_| Error::invalid("the config file is not TOML"))?;
        Ok(Self { doc })
    }

    /// Its text.
    pub fn text(&self) -> String {
        self.doc.to_string()
    }

    /// Merges `patch` (RFC 7396) into it: what is null goes back to its default, and what says no more than is so already is not written.
    /// `now` is what the file says with all defaults. Errors with `Invalid`, naming the key.
    pub fn merge(&mut self, patch: &Map<String, Json>, now: &[Setting]) -> Result<()> {
        if let Some((key, locked)) = locked(patch, now) {
            return Err(Error::invalid(format!("{key}: {locked} sets it, and the file is not asked")));
        }
        let now = tree(now);
        let before: Vec<String> = self.doc.iter().map(|(key, _)| key.to_owned()).collect();
        merge_table(self.doc.as_table_mut(), patch, &now, "", 0)?;
        if self.doc.iter().any(|(key, _)| !before.iter().any(|b| b == key)) {
            self.arrange();
        }
        Ok(())
    }

    /// Whether it says anything of cameras, and be it that there is none.
    pub fn says_cameras(&self) -> bool {
        self.doc.contains_key("camera")
    }

    /// The tables of cameras, in order, however they are written.
    pub fn cameras(&self) -> Vec<&dyn TableLike> {
        match self.doc.get("camera") {
            Some(Item::ArrayOfTables(tables)) => tables.iter().map(|table| table as &dyn TableLike).collect(),
            Some(Item::Value(Value::Array(list))) => {
                list.iter().filter_map(|v| v.as_inline_table().map(|table| table as &dyn TableLike)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// All of them, to be changed. One table a camera, whatever was written (`camera = [{…}]`) before.
    pub fn cameras_mut(&mut self) -> &mut ArrayOfTables {
        if !self.doc.get("camera").is_some_and(Item::is_array_of_tables) {
            // With its key goes what stands around it, which a heading cannot have within its brackets.
            let (key, old) = self.doc.remove_entry("camera").unzip();
            let tables = old.and_then(|old| old.into_array_of_tables().ok()).unwrap_or_default();
            self.doc.insert("camera", Item::ArrayOfTables(tables));
            let above = key.as_ref().and_then(|key| key.leaf_decor().prefix()).and_then(RawString::as_str);
            if let Some(comment) = above.filter(|text| !text.trim().is_empty()) {
                self.put_on_top(comment);
            }
            self.arrange();
        }
        self.doc["camera"].as_array_of_tables_mut().expect("it was made one")
    }

    /// Puts a comment above what comes first, or below all where nothing does.
    fn put_on_top(&mut self, comment: &str) {
        let with = |decor: &mut Decor| {
            let old = decor.prefix().and_then(RawString::as_str).unwrap_or_default();
            let both = format!("{comment}{old}");
            decor.set_prefix(both);
        };
        let is_there = match self.doc.iter_mut().next() {
            Some((_, Item::Table(table))) => {
                with(table.decor_mut());
                true
            }
            Some((mut key, Item::Value(_))) => {
                with(key.leaf_decor_mut());
                true
            }
            _ => false,
        };
        if !is_there {
            self.doc.set_trailing(comment);
        }
    }

    /// Says that there is no camera: a file that does not mention any has the test camera.
    pub fn without_cameras(&mut self) {
        self.doc.insert("camera", toml_edit::value(Array::new()));
    }

    /// Puts new sections where a person would: before the cameras, in the usual order. What was there keeps its order.
    fn arrange(&mut self) {
        let place = |key: &str| SECTIONS.iter().position(|s| *s == key).unwrap_or(SECTIONS.len());
        let mut keys: Vec<String> = self.doc.iter().map(|(key, _)| key.to_owned()).collect();
        let mut order: Vec<String> = Vec::new();
        for key in keys.drain(..) {
            let at = order.iter().position(|o| place(o) > place(&key)).unwrap_or(order.len());
            order.insert(at, key);
        }
        let mut position = 0;
        for key in order {
            match self.doc.get_mut(&key) {
                Some(Item::Table(table)) => number(table, &mut position),
                Some(Item::ArrayOfTables(tables)) => tables.iter_mut().for_each(|table| number(table, &mut position)),
                _ => {}
            }
        }
    }
}

/// Gives a table and those in it their places in the file.
fn number(table: &mut Table, position: &mut isize) {
    table.set_position(Some(*position));
    *position += 1;
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => number(inner, position),
            Item::ArrayOfTables(all) => all.iter_mut().for_each(|inner| number(inner, position)),
            Item::None | Item::Value(_) => {}
        }
    }
}

/// Keys of the patch that the environment sets, with the variable.
fn locked(patch: &Map<String, Json>, now: &[Setting]) -> Option<(String, String)> {
    now.iter().find_map(|setting| {
        let Origin::Variable(name) = &setting.origin else { return None };
        let mut at = Some(patch);
        let mut steps = setting.key.split('.').peekable();
        while let Some(step) = steps.next() {
            let value = at?.get(step)?;
            if steps.peek().is_none() {
                return (!same(value, &setting.value)).then(|| (setting.key.clone(), name.clone()));
            }
            at = value.as_object();
        }
        None
    })
}

fn merge_table(
    table: &mut dyn TableLike,
    patch: &Map<String, Json>,
    now: &Json,
    path: &str,
    depth: usize,
) -> Result<()> {
    for (key, value) in patch {
        let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let is = now.get(key).unwrap_or(&Json::Null);
        match value {
            Json::Null => drop(table.remove(key)),
            Json::Object(_) if depth == DEEPEST => {
                return Err(Error::invalid(format!("{}: is deeper than any setting", unknown_key(key))));
            }
            Json::Object(inner) => merge_inner(table, key, inner, is, &here, depth)?,
            Json::Array(items) if key == "camera" && path.is_empty() => merge_cameras(table, items, is)?,
            // Whoever hands back what was read changes nothing.
            value if same(value, is) => {}
            value => set(table, key, to_toml(value, &here)?),
        }
    }
    Ok(())
}

fn merge_inner(
    table: &mut dyn TableLike,
    key: &str,
    patch: &Map<String, Json>,
    now: &Json,
    path: &str,
    depth: usize,
) -> Result<()> {
    let is_new = !table.contains_key(key);
    if is_new {
        let new = match path.contains('.') {
            false => Item::Table(Table::new()),
            true => Item::Value(InlineTable::new().into()),
        };
        table.insert(key, new);
    }
    let inner = table.get_mut(key).and_then(Item::as_table_like_mut);
    let inner = inner.ok_or_else(|| Error::invalid(format!("{path}: must be a table")))?;
    merge_table(inner, patch, now, path, depth + 1)?;
    match table.get_mut(key) {
        Some(item) if is_new && item.as_table_like().is_some_and(TableLike::is_empty) => drop(table.remove(key)),
        Some(Item::Value(Value::InlineTable(new))) if is_new => {
            new.sort_values_by(|a, _, b, _| place_of(path, a.get()).cmp(&place_of(path, b.get())));
        }
        _ => {}
    }
    Ok(())
}

/// Where a key stands among all: in the order in which they are read.
fn place_of(path: &str, key: &str) -> usize {
    static ORDER: LazyLock<Vec<String>> =
        LazyLock::new(|| Config::all_keys().iter().map(|s| without_numbers(&s.key)).collect());
    let path = without_numbers(path);
    let whole = match path.strip_prefix("camera.") {
        Some(rest) => format!("camera[].{rest}.{key}"),
        None => format!("{path}.{key}"),
    };
    ORDER.iter().position(|k| *k == whole).unwrap_or(usize::MAX)
}

/// What a camera goes by of which nothing is said but what it is; without what depends on other keys.
pub fn of_a_new_camera() -> Json {
    let mut camera = tree(&Config::all_keys())["camera"][0].take();
    if let Some(table) = camera.as_object_mut() {
        table.retain(|key, _| !["id", "name", "source"].contains(&key.as_str()));
    }
    if let Some(sub) = camera["sub"].as_object_mut() {
        sub.remove("fps");
    }
    camera
}

/// Cameras are merged by their ids: a list that was read and changed keeps the comments of those that it leaves as they are.
fn merge_cameras(table: &mut dyn TableLike, items: &[Json], now: &Json) -> Result<()> {
    let old = match table.remove("camera").map(Item::into_array_of_tables) {
        Some(Ok(tables)) => tables,
        _ => ArrayOfTables::new(),
    };
    let id_of = |t: &Table| t.get("id").and_then(Item::as_str).map(str::to_owned);
    if items.is_empty() {
        table.insert("camera", toml_edit::value(Array::new()));
        return Ok(());
    }
    let mut new = ArrayOfTables::new();
    for (n, item) in items.iter().enumerate() {
        let path = format!("camera[{n}]");
        let patch = item.as_object().ok_or_else(|| Error::invalid(format!("{path}: must be a table")))?;
        let id = patch.get("id").and_then(Json::as_str);
        let before = old.iter().find(|t| id.is_some() && id_of(t).as_deref() == id);
        let known = now.as_array().and_then(|all| all.iter().find(|c| c.get("id").and_then(Json::as_str) == id));
        let mut camera = before.cloned().unwrap_or_default();
        merge_camera(&mut camera, patch, known.filter(|_| before.is_some()), &path)?;
        new.push(camera);
    }
    let ids = |all: &ArrayOfTables| all.iter().filter_map(id_of).collect::<Vec<_>>();
    if !ids(&new).starts_with(&ids(&old)) {
        // Printing goes by the places that they were read at: in another order they need others.
        let mut position = old.iter().filter_map(Table::position).min().unwrap_or(isize::MAX / 2);
        new.iter_mut().for_each(|camera| number(camera, &mut position));
    }
    table.insert("camera", Item::ArrayOfTables(new));
    Ok(())
}

/// Changes one camera's table; `now` is what it says with all defaults, if it is there already.
pub fn merge_camera(camera: &mut Table, patch: &Map<String, Json>, now: Option<&Json>, path: &str) -> Result<()> {
    let is_new = camera.is_empty();
    let defaults = of_a_new_camera();
    merge_table(camera, patch, now.unwrap_or(&defaults), path, 1)?;
    if is_new {
        let place = |key: &str| OF_CAMERA.iter().position(|k| *k == key).unwrap_or(OF_CAMERA.len());
        camera.sort_values_by(|a, _, b, _| place(a.get()).cmp(&place(b.get())));
    }
    Ok(())
}

/// Sets a key; the comment behind it stays.
fn set(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(value));
}

/// Numbers are the same by their value: 5 and 5.0.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}

fn to_toml(value: &Json, path: &str) -> Result<Value> {
    let bad = |rule: &str| Err(Error::invalid(format!("{path}: {rule}")));
    Ok(match value {
        Json::Bool(b) => (*b).into(),
        Json::String(text) => text.as_str().into(),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => n.into(),
            (None, Some(n)) => n.into(),
            (None, None) => return bad("is no number that can be written"),
        },
        Json::Array(items) => Value::Array(items.iter().map(|item| to_toml(item, path)).collect::<Result<Array>>()?),
        Json::Object(inner) => {
            let mut table = InlineTable::new();
            for (key, value) in inner.iter().filter(|(_, value)| !value.is_null()) {
                table.insert(key, to_toml(value, path)?);
            }
            Value::InlineTable(table)
        }
        Json::Null => return bad("has nothing in it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(text: &str, patch: Json) -> Result<String> {
        let (_, now) = Config::described(text, std::iter::empty()).expect("valid before");
        let mut doc = Document::parse(text)?;
        doc.merge(patch.as_object().expect("a table"), &now)?;
        let text = doc.text();
        Config::parse(&text, std::iter::empty()).map(|_| text)
    }

    const FILE: &str = "# Our shop.
[box]
name = \"Shop\"   # over the door

[recording]
max_days = 7

# The entrance.
[[camera]]
id = \"door\"
source = \"test\"
record = { mode = \"motion\", pre_roll_s = 3 }   # quiet street

[[camera]]
id = \"yard\"
source = \"test\"
";

    #[test]
    fn a_change_touches_nothing_else() {
        for (patch, from, to) in [
            (json!({"box": {"name": "Hall"}}), "\"Shop\"", "\"Hall\""),
            (json!({"recording": {"max_days": 9}}), "max_days = 7", "max_days = 9"),
            (json!({"recording": {"event_max_days": 60}}), "max_days = 7\n", "max_days = 7\nevent_max_days = 60\n"),
            (json!({"recording": {"max_days": null}}), "max_days = 7\n", ""),
            // What is so already is not written.
            (json!({"recording": {"max_bytes": 0, "max_days": 7.0}, "http": {"hostnames": []}}), "", ""),
            (
                json!({"http": {"hostnames": ["box.example"]}}),
                "[recording]",
                "[http]\nhostnames = [\"box.example\"]\n\n[recording]",
            ),
            (
                json!({"camera": [
                    {"id": "door", "source": "test", "record": {"mode": "continuous", "gap_s": 10}},
                    {"id": "yard"}
                ]}),
                "mode = \"motion\"",
                "mode = \"continuous\"",
            ),
        ] {
            let got = merged(FILE, patch.clone()).expect("valid");
            assert_eq!(got, FILE.replacen(from, to, 1), "{patch}");
        }
    }

    #[test]
    fn cameras_go_come_and_move() {
        let yard = "[[camera]]\nid = \"yard\"\nsource = \"test\"\n";
        let got = merged(FILE, json!({"camera": [{"id": "yard"}]})).expect("valid");
        assert!(got.ends_with(yard) && !got.contains("[[camera]]\nid = \"door\""), "{got}");
        let new = json!({"camera": [{"source": "test", "id": "hall", "audio": {"source": "test"}, "name": "Hall"}]});
        let got = merged("", new).expect("valid");
        let want = "[[camera]]\nid = \"hall\"\nname = \"Hall\"\nsource = \"test\"\naudio = { source = \"test\" }\n";
        assert_eq!(got, want);
        let got = merged(FILE, json!({"camera": []})).expect("valid");
        assert!(got.starts_with("camera = []\n") && got.contains("name = \"Shop\""), "{got}");
        assert_eq!(
            merged(&got, json!({"camera": [{"id": "yard", "source": "test"}]})).expect("valid").matches(yard).count(),
            1
        );
    }

    #[test]
    fn the_first_camera_follows_the_rest_of_the_file() {
        for (from, to) in [
            ("camera = []\n\n[box]\nname = \"Shop\"\n", "\n[box]\nname = \"Shop\"\n"),
            ("# Ours.\ncamera = []   # none\n[box]\nname = \"Shop\"\n", "# Ours.\n[box]\nname = \"Shop\"\n"),
            ("# Ours.\ncamera = []\n", ""),
            ("", ""),
        ] {
            let mut doc = Document::parse(from).expect("valid");
            let mut camera = Table::new();
            let patch = json!({"id": "hall", "source": "test"});
            merge_camera(&mut camera, patch.as_object().expect("a table"), None, "camera").expect("valid");
            doc.cameras_mut().push(camera);
            let text = doc.text();
            let camera = "[[camera]]\nid = \"hall\"\nsource = \"test\"\n";
            assert!(text.starts_with(to) && text[to.len()..].trim_start().starts_with(camera), "{from}: {text}");
            assert_eq!(text.contains("# Ours."), from.contains("# Ours."), "{text}");
            Config::parse(&text, std::iter::empty()).expect("valid");
        }
    }

    #[test]
    fn cameras_change_places() {
        let file = format!("{FILE}\n[update]\ncheck_every_h = 9\n");
        let got = merged(&file, json!({"camera": [{"id": "yard"}, {"id": "door"}]})).expect("valid");
        let at = |what: &str| got.find(what).unwrap_or_else(|| panic!("no {what} in\n{got}"));
        assert!(at("id = \"yard\"") < at("id = \"door\"") && at("# The entrance.") < at("id = \"door\""), "{got}");
        let got = merged(&file, json!({"camera": [{"id": "yard"}, {"id": "new", "source": "test"}, {"id": "door"}]}));
        let got = got.expect("valid");
        let config = Config::parse(&got, std::iter::empty()).expect("valid");
        assert_eq!(config.cameras.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["yard", "new", "door"]);
        let nested = "[[camera]]\nid = \"a\"\nsource = \"test\"\n[camera.record]\nmode = \"off\"\n[[camera]]\nid = \"b\"\nsource = \"test\"\n";
        let got = merged(nested, json!({"camera": [{"id": "b"}, {"id": "a"}]})).expect("valid");
        let config = Config::parse(&got, std::iter::empty()).expect("valid");
        let modes: Vec<_> = config.cameras.iter().map(|c| (c.id.as_str(), c.record.mode)).collect();
        use perch_domain::recording::RecordMode;
        assert_eq!(modes, [("b", RecordMode::Continuous), ("a", RecordMode::Off)], "{got}");
    }

    #[test]
    fn what_is_no_setting_is_refused_by_its_key() {
        for (patch, want) in [
            (json!({"box": "Hall"}), "box = …: must be a table"),
            (json!({"box": {"name": 3}}), "box.name = 3: must be a text"),
            (json!({"recording": {"max_days": 1e300}}), "recording.max_days"),
            (json!({"camera": [7]}), "camera[0]: must be a table"),
            (json!({"camera": [{"id": "x", "source": "test"}, {"id": "x", "source": "test"}]}), "camera[1].id"),
            (json!({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": 1}}}}}}}}}}), "deeper"),
        ] {
            let e = merged(FILE, patch.clone()).expect_err("refused").to_string();
            assert!(e.contains(want), "{patch}: {e}");
        }
    }

    #[test]
    fn what_the_environment_sets_is_locked() {
        let env = || [("PERCH_BOX_NAME".to_owned(), "Env".to_owned())].into_iter();
        let (_, now) = Config::described(FILE, env()).expect("valid");
        let mut doc = Document::parse(FILE).expect("valid");
        let patch = |name: &str| json!({"box": {"name": name}}).as_object().cloned().expect("a table");
        let e = doc.merge(&patch("Hall"), &now).expect_err("locked");
        assert!(e.to_string().contains("PERCH_BOX_NAME"), "{e}");
        doc.merge(&patch("Env"), &now).expect("it is so");
        assert_eq!(doc.text(), FILE);
    }
}
