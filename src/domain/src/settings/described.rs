//! What a form needs to know of each setting: its shape, range, default, unit and sentence, what it is now, and where that comes from.
//! It is what was asked for while the configuration was read, so no list of keys can differ from those that are read.

use super::sentences;
use serde_json::{Map, Value, json};

/// One key as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its place: `recording.max_days`, `camera[0].record.mode`, and with names that people choose in braces `profile{night}.name`.
    pub key: String,
    /// What may stand there.
    pub form: Form,
    /// What the box goes by now, without any password.
    pub value: Value,
    /// What it goes by where nothing is said; null where nothing is what it goes by, or where it must be said.
    pub default: Value,
    /// Where its value comes from.
    pub origin: Origin,
}

/// What may stand at a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// A whole number.
    Whole {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A number.
    Number {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// true or false.
    Flag,
    /// A text.
    Text {
        /// Characters at least.
        min: usize,
        /// Characters at most.
        max: usize,
    },
    /// A list of texts.
    Texts,
    /// One of some words.
    Word(Vec<String>),
    /// `ADDRESS:PORT`.
    Address,
    /// true, for all, or a list of texts.
    Which,
    /// A list of polygons, each a list of `[x, y]` within 0 and 1.
    Polygons,
    /// A table of values by names that depend on the camera.
    Named,
}

/// Where the value of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The file says it.
    File,
    /// This variable of the environment says it: the file is not asked.
    Variable(String),
}

/// Settings in which a change waits for the next start.
const AT_START: [&str; 6] =
    ["box.data_dir", "http.listen", "http.plain_listen", "rtsp.listen", "rtsp.tls_listen", "webrtc.udp_listen"];

/// Whether a change of this key, without numbers in brackets, waits for the next start of the box.
pub fn waits_for_start(key: &str) -> bool {
    AT_START.contains(&key)
}

/// A key without the numbers of its lists and the names that people chose: `camera[].record.mode`, `profile{}.name`.
pub fn without_numbers(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut inside = false;
    for c in key.chars() {
        inside &= c != ']' && c != '}';
        if !inside {
            out.push(c);
        }
        inside |= c == '[' || c == '{';
    }
    out
}

/// The unit that a key's name ends in, for people.
fn unit(key: &str) -> Option<&'static str> {
    let name = key.rsplit('.').next().unwrap_or(key);
    match name {
        "width" | "height" => return Some("pixels"),
        "fps" => return Some("pictures a second"),
        _ => {}
    }
    let units = [("_s", "s"), ("_h", "h"), ("_kbps", "kbit/s"), ("_bytes", "bytes"), ("_days", "days"), ("_db", "dB")];
    units.iter().find(|(end, _)| name.ends_with(end)).map(|(_, unit)| *unit)
}

impl Setting {
    /// As the API describes it.
    pub fn described(&self) -> Value {
        let key = without_numbers(&self.key);
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
        put("key", json!(key));
        match &self.form {
            Form::Whole { min, max } => {
                put("type", json!("whole"));
                put("min", json!(min));
                if *max != i64::MAX {
                    put("max", json!(max));
                }
            }
            Form::Number { min, max } => {
                put("type", json!("number"));
                put("min", json!(min));
                put("max", json!(max));
            }
            Form::Flag => drop(put("type", json!("flag"))),
            Form::Text { min, max } => {
                put("type", json!("text"));
                put("min", json!(min));
                put("max", json!(max));
            }
            Form::Texts => drop(put("type", json!("texts"))),
            Form::Word(words) => {
                put("type", json!("word"));
                put("one_of", json!(words));
            }
            Form::Address => drop(put("type", json!("address"))),
            Form::Which => drop(put("type", json!("which"))),
            Form::Polygons => drop(put("type", json!("polygons"))),
            Form::Named => drop(put("type", json!("named"))),
        }
        put("default", self.default.clone());
        if let Some(unit) = unit(&key) {
            put("unit", json!(unit));
        }
        put("sentence", json!(sentences::of(&key).unwrap_or_default()));
        put("at_start", json!(waits_for_start(&key)));
        if let Origin::Variable(name) = &self.origin {
            put("set_by", json!(name));
        }
        Value::Object(out)
    }
}

/// One tree of all values, in the shape of the file.
pub fn tree(settings: &[Setting]) -> Value {
    let mut root = Value::Object(Map::new());
    for setting in settings {
        put(&mut root, &setting.key, setting.value.clone());
    }
    root
}

/// A step of a key: a name, a name that people chose, or a place in a list.
fn put(at: &mut Value, key: &str, value: Value) {
    let (first, rest) = match key.find(['.', '[', '{']) {
        Some(0) if key.starts_with('.') => return put(at, &key[1..], value),
        Some(0) if key.starts_with('{') => match key[1..].split_once('}') {
            Some(step) => step,
            None => return,
        },
        Some(0) => {
            let Some((number, rest)) = key[1..].split_once(']') else { return };
            let Ok(number) = number.parse::<usize>() else { return };
            if !at.is_array() {
                *at = Value::Array(Vec::new());
            }
            let Some(list) = at.as_array_mut() else { return };
            while list.len() <= number {
                list.push(Value::Object(Map::new()));
            }
            return put(&mut list[number], rest, value);
        }
        Some(end) => key.split_at(end),
        None if key.is_empty() => return *at = value,
        None => (key, ""),
    };
    if let Some(table) = at.as_object_mut() {
        put(table.entry(first).or_insert_with(|| Value::Object(Map::new())), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(key: &str, value: bool) -> Setting {
        let origin = Origin::Default;
        Setting { key: key.into(), form: Form::Flag, value: json!(value), default: json!(false), origin }
    }

    #[test]
    fn values_stand_in_a_tree_like_the_file() {
        let named =
            [flag("profile{a}.b{c-1}.off", true), flag("profile{a}.b{d}.off", false), flag("profile{x}.y", true)];
        let want = json!({"profile": {"a": {"b": {"c-1": {"off": true}, "d": {"off": false}}}, "x": {"y": true}}});
        assert_eq!(tree(&named), want);
        assert_eq!(without_numbers(&named[0].key), "profile{}.b{}.off");
        let all = [flag("box.a", true), flag("camera[1].b.c", true), flag("camera[0].d", false), flag("e", true)];
        let want = json!({"box": {"a": true}, "camera": [{"d": false}, {"b": {"c": true}}], "e": true});
        assert_eq!(tree(&all), want);
    }

    #[test]
    fn what_is_said_of_a_setting() {
        let setting = Setting {
            key: "camera[3].record.gap_s".into(),
            form: Form::Number { min: 1.0, max: 60.0 },
            value: json!(10.0),
            default: json!(10.0),
            origin: Origin::Variable("PERCH_X".into()),
        };
        let said = setting.described();
        assert_eq!((&said["key"], &said["unit"]), (&json!("camera[].record.gap_s"), &json!("s")));
        assert_eq!((&said["max"], &said["set_by"]), (&json!(60.0), &json!("PERCH_X")));
        assert_eq!(said["at_start"], json!(false));
        assert!(waits_for_start("http.listen"));
    }
}
