//! The text of `perch.toml` as it is edited: comments, order and what nobody touched stay as they are. Pure.

use super::modes::{self, merge_schedules};
use super::values::{same, set, to_toml};
use crate::config::Config;
use perch_base::{Error, Result};
use perch_domain::redact::unknown_key;
use perch_domain::settings::described::{tree, without_numbers};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use toml_edit::{Array, ArrayOfTables, Decor, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value};

/// The sections of a file, in the order in which a person writes them.
const SECTIONS: [&str; 12] =
    ["box", "http", "acme", "rtsp", "webrtc", "access", "recording", "update", "sync", "camera", "profile", "schedule"];
/// The keys of a camera, likewise.
const OF_CAMERA: [&str; 27] = [
    "id",
    "name",
    "room",
    "source",
    "password_file",
    "sub_source",
    "sub_password_file",
    "transport",
    "tls",
    "aspect",
    "onvif",
    "encode",
    "rotation",
    "mirror",
    "codec",
    "width",
    "height",
    "fps",
    "bitrate_kbps",
    "sub",
    "overlay",
    "privacy",
    "controls",
    "audio",
    "record",
    "motion",
    "push",
];
/// Tables in tables are deeper than any setting here.
const DEEPEST: usize = 8;

/// A config file that is being changed.
#[derive(Clone, Debug)]
pub struct Document {
    /// What stands above everything and is about the whole file.
    head: String,
    doc: DocumentMut,
    /// There is nothing but a head.
    is_bare: bool,
    /// Lines end as on Windows.
    has_returns: bool,
}

/// How much of the beginning of a file is about the whole of it: comments up to the last empty line before anything is said, or all of them
/// where they do not belong to a list's first entry.
fn head_bytes(text: &str) -> usize {
    let is_above = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let above: Vec<&str> = text.split_inclusive('\n').take_while(is_above).collect();
    let bytes = |lines: &[&str]| lines.iter().map(|line| line.len()).sum();
    let rest = &text[bytes(&above)..];
    match above.iter().rposition(|line| line.trim().is_empty()) {
        Some(empty) if !rest.is_empty() => bytes(&above[..=empty]),
        None if rest.starts_with("[[") => 0,
        _ => bytes(&above),
    }
}

impl Document {
    /// Errors with `Invalid` where it is not TOML, without repeating any of it.
    pub fn parse(text: &str) -> Result<Self> {
        let (lines, returns) = (text.matches('\n').count(), text.matches("\r\n").count());
        let has_returns = returns * 2 > lines;
        let text = if has_returns { text.replace("\r\n", "\n") } else { text.to_owned() };
        let toml = |text: &str| text.parse::<DocumentMut>().map_err(|_| Error::invalid("the config file is not TOML"));
        // What stands in the head may be wrong, too.
        toml(&text)?;
        let (head, rest) = text.split_at(head_bytes(&text));
        let is_bare = !head.is_empty() && rest.is_empty();
        Ok(Self { head: head.to_owned(), doc: toml(rest)?, is_bare, has_returns })
    }

    /// Its text.
    pub fn text(&self) -> String {
        let body = self.doc.to_string();
        let text = match self.head.ends_with("\n\n") {
            true => format!("{}{}", self.head, body.trim_start_matches('\n')),
            // Nothing was said below it before: it is not the comment of what comes now.
            false if self.is_bare && !body.is_empty() => format!("{}\n\n{body}", self.head.trim_end()),
            false => format!("{}{body}", self.head),
        };
        if self.has_returns { text.replace('\n', "\r\n") } else { text }
    }

    /// Merges `patch` (RFC 7396) into it: what is null goes back to its default, and what says no more than is so already is not written.
    /// `now` is what the file says with all defaults. Errors with `Invalid`, naming the key.
    pub fn merge(&mut self, patch: &Map<String, Json>, now: &Config) -> Result<()> {
        let values = tree(&now.settings);
        if let Some((key, variable)) = locked(patch, &values, &now.variables) {
            return Err(Error::invalid(format!("{key}: {variable} sets it, and the file is not asked")));
        }
        let before: Vec<String> = self.doc.iter().map(|(key, _)| key.to_owned()).collect();
        merge_table(self.doc.as_table_mut(), patch, &values, "", 0)?;
        if self.doc.iter().any(|(key, _)| !before.iter().any(|b| b == key)) {
            self.arrange();
        }
        Ok(())
    }

    /// Every text in it, with its key.
    pub fn texts<'d>(&'d self, take: &mut impl FnMut(&'d str, &'d str)) {
        texts_in(self.doc.as_table(), take);
    }

    /// Has `change` say what is to stand in place of a text.
    pub fn change_texts(&mut self, change: &mut dyn FnMut(&str, &str) -> Option<String>) {
        change_texts_in(self.doc.as_table_mut(), change);
    }

    /// A file that says nothing.
    pub fn empty() -> Self {
        Self { head: String::new(), doc: DocumentMut::new(), is_bare: false, has_returns: false }
    }

    /// Names the data folder that another one names, or none where that names none.
    pub fn keep_data_dir_of(&mut self, other: &Self) {
        let theirs = other.doc.get("box").and_then(|item| item.get("data_dir")).and_then(Item::as_value).cloned();
        match (self.doc.get_mut("box").and_then(Item::as_table_like_mut), theirs) {
            (Some(table), Some(value)) => drop(table.insert("data_dir", Item::Value(value))),
            (Some(table), None) => drop(table.remove("data_dir")),
            (None, Some(value)) => {
                let mut table = Table::new();
                table.insert("data_dir", Item::Value(value));
                self.doc.insert("box", Item::Table(table));
                self.arrange();
            }
            (None, None) => {}
        }
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

    /// The stores that copies go to, to be changed, however they are written.
    pub fn stores_mut(&mut self) -> Vec<&mut dyn TableLike> {
        entries_mut(self.doc.get_mut("sync"))
    }

    /// The same to be read.
    pub fn stores(&self) -> Vec<&dyn TableLike> {
        entries(self.doc.get("sync"))
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

    /// Takes a camera that goes out of profiles and schedules.
    pub fn forget_camera(&mut self, id: &str) {
        modes::forget_camera(self.doc.as_table_mut(), id);
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

fn texts_in<'d>(table: &'d dyn TableLike, take: &mut dyn FnMut(&'d str, &'d str)) {
    for (key, item) in table.iter() {
        match item {
            Item::Value(Value::String(text)) => take(key, text.value()),
            Item::Value(Value::InlineTable(inner)) => texts_in(inner, take),
            Item::Value(Value::Array(items)) => {
                for item in items {
                    match item {
                        Value::String(text) => take(key, text.value()),
                        Value::InlineTable(inner) => texts_in(inner, take),
                        _ => {}
                    }
                }
            }
            Item::Table(inner) => texts_in(inner, take),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|inner| texts_in(inner, take)),
            Item::None | Item::Value(_) => {}
        }
    }
}

fn change_texts_in(table: &mut dyn TableLike, change: &mut dyn FnMut(&str, &str) -> Option<String>) {
    for (key, item) in table.iter_mut() {
        let key = key.get().to_owned();
        match item {
            Item::Value(value) => change_text(&key, value, change),
            Item::Table(inner) => change_texts_in(inner, change),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|inner| change_texts_in(inner, change)),
            Item::None => {}
        }
    }
}

fn change_text(key: &str, value: &mut Value, change: &mut dyn FnMut(&str, &str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(new) = change(key, text.value()) {
                let mut new = Value::from(new);
                *new.decor_mut() = text.decor().clone();
                *value = new;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| change_text(key, item, change)),
        Value::InlineTable(inner) => change_texts_in(inner, change),
        _ => {}
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

/// A key of the patch that the environment sets to something else, with the variable.
fn locked<'v>(
    patch: &Map<String, Json>,
    now: &Json,
    variables: &'v BTreeMap<String, String>,
) -> Option<(&'v str, &'v str)> {
    let differs = |key: &str| {
        let Some((section, name)) = key.split_once('.') else { return false };
        let Some(wanted) = patch.get(section).and_then(|table| table.get(name)) else { return false };
        let is = &now[section][name];
        // An empty list is none.
        let is_so = same(wanted, is) || is.is_null() && wanted.as_array().is_some_and(Vec::is_empty);
        !is_so
    };
    variables.iter().find(|(key, _)| differs(key)).map(|(key, name)| (key.as_str(), name.as_str()))
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
            Json::Array(items) if key == "schedule" && path.is_empty() => merge_schedules(table, items, is)?,
            // Whoever hands back what was read changes nothing.
            value if same(value, is) => {}
            Json::Array(items) if table.get(key).is_some_and(Item::is_array_of_tables) => {
                merge_tables(table, key, items, &here, depth)?;
            }
            value => set(table, key, to_toml(value, &here)?),
        }
    }
    Ok(())
}

/// The tables of a list, whichever of the two ways it is written in.
pub fn entries(list: Option<&Item>) -> Vec<&dyn TableLike> {
    match list {
        Some(Item::ArrayOfTables(tables)) => tables.iter().map(|table| table as &dyn TableLike).collect(),
        Some(Item::Value(Value::Array(items))) => {
            items.iter().filter_map(Value::as_inline_table).map(|table| table as &dyn TableLike).collect()
        }
        _ => Vec::new(),
    }
}

/// The same, to be changed.
pub fn entries_mut(list: Option<&mut Item>) -> Vec<&mut dyn TableLike> {
    match list {
        Some(Item::ArrayOfTables(tables)) => tables.iter_mut().map(|table| table as &mut dyn TableLike).collect(),
        Some(Item::Value(Value::Array(items))) => {
            items.iter_mut().filter_map(Value::as_inline_table_mut).map(|table| table as &mut dyn TableLike).collect()
        }
        _ => Vec::new(),
    }
}

/// What is written as one table an entry stays so; an entry is known by its `url`, `id` or bucket, and keeps its comments.
fn merge_tables(table: &mut dyn TableLike, key: &str, items: &[Json], path: &str, depth: usize) -> Result<()> {
    let old = table.remove(key).and_then(|item| item.into_array_of_tables().ok()).unwrap_or_default();
    let mut new = ArrayOfTables::new();
    for (n, item) in items.iter().enumerate() {
        let path = format!("{path}[{n}]");
        let patch = item.as_object().ok_or_else(|| Error::invalid(format!("{path}: must be a table")))?;
        let is_it = |old: &&Table| {
            let is_named = |name| {
                let named = patch.get(name).and_then(Json::as_str);
                named.is_some() && old.get(name).and_then(Item::as_str) == named
            };
            is_named("url") || is_named("id") || (is_named("endpoint") && is_named("bucket"))
        };
        let mut entry = old.iter().find(is_it).cloned().unwrap_or_default();
        let gone: Vec<String> =
            entry.iter().map(|(key, _)| key.to_owned()).filter(|k| !patch.contains_key(k)).collect();
        gone.iter().for_each(|key| drop(entry.remove(key)));
        let is_new = entry.is_empty();
        merge_table(&mut entry, patch, &Json::Null, &path, depth + 1)?;
        if is_new {
            entry.sort_values_by(|a, _, b, _| place_of(&path, a.get()).cmp(&place_of(&path, b.get())));
        }
        new.push(entry);
    }
    if !new.is_empty() {
        table.insert(key, Item::ArrayOfTables(new));
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
        table.insert(key, new_table(path));
    }
    let inner = table.get_mut(key).and_then(Item::as_table_like_mut);
    let inner = inner.ok_or_else(|| Error::invalid(format!("{path}: must be a table")))?;
    merge_table(inner, patch, now, path, depth + 1)?;
    match table.get_mut(key) {
        // A profile that changes nothing is one all the same.
        // What names nothing any more goes.
        Some(item)
            if (is_new || key == "controls" || modes::is_cameras_of_profile(path))
                && !modes::is_profile(path)
                && item.as_table_like().is_some_and(TableLike::is_empty) =>
        {
            drop(table.remove(key));
        }
        Some(Item::Value(Value::InlineTable(new))) if is_new => {
            new.sort_values_by(|a, _, b, _| place_of(path, a.get()).cmp(&place_of(path, b.get())));
        }
        _ => {}
    }
    Ok(())
}

/// A table as a person begins one here: under a heading, or on one line.
fn new_table(path: &str) -> Item {
    let mut table = Table::new();
    table.set_implicit(path == "profile");
    match path.contains('.') && !modes::is_profile(path) && !modes::is_cameras_of_profile(path) {
        false => Item::Table(table),
        true => Item::Value(InlineTable::new().into()),
    }
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
        table.retain(|key, _| !["id", "name", "source", "push"].contains(&key.as_str()));
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

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
