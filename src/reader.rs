//! Reads TOML tables key by key, remembers which keys were known, and collects every problem with its key, value and rule.

use perch_base::Result;
use perch_base::ids::CameraId;
use perch_domain::picture_controls::MOST_LETTERS;
use perch_domain::redact::{Shown, unknown_key};
use perch_domain::settings::described::{Form, Origin, Setting};
use perch_domain::settings::named_files::is_write_only;
use perch_domain::settings::{AllOrSome, Keys, Scalar, password};
use perch_domain::text::check_meant;
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use toml::{Table, Value};

/// Everything wrong with a config.
#[derive(Debug, Default)]
pub struct Problems {
    refused: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
    environment: RefCell<Environment>,
    asked: RefCell<Vec<Setting>>,
}

/// What the environment sets.
#[derive(Debug, Default)]
struct Environment {
    /// Variables whose section was not read yet.
    waiting: Vec<Variable>,
    /// The sections that were read.
    sections: Vec<String>,
    /// The keys that were set, and by which variable.
    set: BTreeMap<String, String>,
}

/// `PERCH_<SECTION>_<KEY>`.
#[derive(Debug)]
struct Variable {
    name: String,
    /// `<section>_<key>`.
    place: String,
    value: String,
}

impl Environment {
    /// Puts what it holds for `section` into its table. A value that reads as a TOML number, boolean or list is one; anything else is
    /// a text.
    fn set(&mut self, section: &str, table: &mut Table) {
        self.sections.push(section.to_owned());
        let set = &mut self.set;
        self.waiting.retain(|Variable { name, place, value }| {
            let Some(key) = place.strip_prefix(section).and_then(|rest| rest.strip_prefix('_')) else { return true };
            let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
            let value = parsed.filter(|v| !v.is_table()).unwrap_or_else(|| Value::String(value.clone()));
            table.insert(key.to_owned(), value);
            set.insert(format!("{section}.{key}"), name.clone());
            false
        });
    }
}

impl Problems {
    /// None yet, under an environment whose `PERCH_<SECTION>_<KEY>` variables set keys. Those that stay unread are warned of.
    pub fn new(env: impl Iterator<Item = (String, String)>) -> Self {
        let variable = |(name, value): (String, String)| {
            let place = name.strip_prefix("PERCH_").filter(|place| !place.starts_with("TEST_"))?.to_ascii_lowercase();
            (!RESERVED.contains(&name.as_str())).then_some(Variable { name, place, value })
        };
        let environment = Environment { waiting: env.filter_map(variable).collect(), ..Environment::default() };
        Self { environment: RefCell::new(environment), ..Self::default() }
    }

    /// Every key that was asked for so far.
    pub fn asked(&self) -> Vec<Setting> {
        self.asked.borrow().clone()
    }

    /// Notes one problem.
    pub fn add(&self, key: &str, value: impl Into<Shown>, rule: &str) {
        self.refuse(format!("{key} = {}: {rule}", value.into()));
    }

    fn refuse(&self, sentence: String) {
        self.refused.borrow_mut().push(sentence);
    }

    /// Notes what is odd but keeps nothing from working.
    fn warn(&self, sentence: String) {
        self.warnings.borrow_mut().push(sentence);
    }

    /// The keys that the environment set so far, each with its variable.
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.environment.borrow().set.clone()
    }

    /// What is wrong, and the warnings.
    pub fn into_all(self) -> (Vec<String>, Vec<String>) {
        let Environment { waiting, sections, .. } = self.environment.take();
        for Variable { name, .. } in waiting {
            let known = sections.join(", ");
            self.warn(format!("{name} is ignored: it is not PERCH_<SECTION>_<KEY> with a section of {known}"));
        }
        (self.refused.into_inner(), self.warnings.into_inner())
    }
}

/// A number as a person writes it: 0.1 and not what is nearest to it.
fn as_written(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// How much alike two keys are of which one may be the other mistyped, by Jaro and Winkler, 0 to 1.
const ALIKE: f64 = 0.85;

/// Entries of a list.
const MOST_ENTRIES: usize = 64;

/// What is only understood by whoever parses it.
const ANY_TEXT: Form = Form::Text { min: 0, max: 4096 };

/// Variables with our prefix that are not config keys.
const RESERVED: [&str; 3] = ["PERCH_LOG", "PERCH_CONFIG", "PERCH_COMMIT"];

/// What a refusal shows of a value: nothing of a table or a list, which can hold anything.
fn shown(value: &Value) -> Shown {
    match value {
        Value::String(text) => Shown::from(text.as_str()),
        Value::Integer(n) => Shown::from(*n),
        Value::Float(n) => Shown::from(*n),
        Value::Boolean(b) => Shown::from(*b),
        Value::Datetime(_) | Value::Table(_) | Value::Array(_) => Shown::nothing(),
    }
}

/// The variable that sets a key, or the list that it stands in.
pub fn variable_of<'v>(key: &str, variables: &'v BTreeMap<String, String>) -> Option<&'v str> {
    let list = key.split('[').next().unwrap_or(key);
    variables.get(key).or_else(|| variables.get(list)).map(String::as_str)
}

/// One table, consumed key by key; [`Section::finish`] refuses what is left.
#[derive(Debug)]
pub struct Section<'p> {
    path: String,
    /// The same with the names that people chose in braces, as [`Setting::key`] has it.
    place: String,
    table: Table,
    problems: &'p Problems,
}

impl<'p> Section<'p> {
    /// The whole file.
    pub fn root(table: Table, problems: &'p Problems) -> Self {
        Self { path: String::new(), place: String::new(), table, problems }
    }

    /// A table at `path`.
    pub fn new(path: &str, table: Table, problems: &'p Problems) -> Self {
        Self { path: path.to_owned(), place: path.to_owned(), table, problems }
    }

    /// Refuses a list with more entries than anybody has use for: each may cost memory, and a place in what others are sent.
    fn most<T>(&self, key: &str, list: &mut Vec<T>) {
        if list.len() > MOST_ENTRIES {
            self.problem(key, list.len() as i64, &format!("must be at most {MOST_ENTRIES} entries"));
            list.truncate(MOST_ENTRIES);
        }
    }

    /// Where this table is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Notes that a key was asked for. Comes after its value was taken out of the table: `was_there` says whether there was one.
    fn asked(&self, key: &str, form: Form, (was_there, value): (bool, impl Into<Json>), default: impl Into<Json>) {
        let key = join(&self.place, key);
        let origin = match variable_of(&key, &self.problems.environment.borrow().set) {
            Some(name) => Origin::Variable(name.to_owned()),
            None if was_there => Origin::File,
            None => Origin::Default,
        };
        let setting = Setting { key, form, value: value.into(), default: default.into(), origin };
        self.problems.asked.borrow_mut().push(setting);
    }

    /// A text that is there, if `parse` understands it. A secret is not shown, also where it is refused.
    fn understood<T>(&mut self, key: &str, default: Json, parse: impl Fn(&str) -> Result<T>) -> Option<T> {
        let Some(Value::String(text)) = self.table.get(key).cloned() else {
            let other = self.table.remove(key).as_ref().map_or(Shown::nothing(), shown);
            self.problem(key, other, "must be a text");
            return None;
        };
        self.table.remove(key);
        let open = Some(&*text).filter(|_| !is_write_only(key));
        self.asked(key, ANY_TEXT, (true, open.map_or(Json::Null, |text| password::shown(text).into())), default);
        let refused = |why: &str| self.problem(key, open.map_or(Shown::nothing(), Shown::from), why);
        check_meant(&text).map_err(|why| refused(&why)).ok()?;
        parse(&text).map_err(|e| refused(e.message())).ok()
    }

    fn address_or(&mut self, key: &str, default: Option<SocketAddr>) -> Option<SocketAddr> {
        let found = self.table.remove(key);
        let parsed = found.as_ref().and_then(Value::as_str).and_then(|s| s.parse().ok());
        if let (Some(v), None) = (&found, parsed) {
            self.problem(key, shown(v), "must be an address and port such as \"0.0.0.0:8443\" or \"[::]:8443\"");
        }
        let address = if found.is_some() { parsed } else { default };
        let text = |address: Option<SocketAddr>| address.map(|a| a.to_string());
        self.asked(key, Form::Address, (found.is_some(), text(address)), text(default));
        address
    }

    fn key(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// The key of this table that is written most like this one, if any is.
    fn nearest_key(&self, key: &str) -> Option<String> {
        let asked = self.problems.asked.borrow();
        let of_here = asked.iter().filter_map(|setting| {
            let rest = setting.key.strip_prefix(&self.place)?.trim_start_matches('.');
            rest.split(['.', '[', '{']).next().filter(|known| !known.is_empty())
        });
        let alike = of_here.map(|known| (strsim::jaro_winkler(known, key), known));
        let (likeness, known) = alike.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (likeness >= ALIKE).then(|| known.to_owned())
    }

    /// A table in this one.
    fn inner(&self, key: &str, table: Table) -> Self {
        Section { path: self.key(key), place: join(&self.place, key), table, problems: self.problems }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Keys for Section<'_> {
    fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn problem(&self, key: &str, value: impl Into<Shown>, rule: &str) {
        self.problems.add(&self.key(key), value, rule);
    }

    fn warn(&self, key: &str, value: impl Into<Shown>, what: &str) {
        self.problems.warn(format!("{} = {}: {what}", self.key(key), value.into()));
    }

    fn section(&mut self, key: &str) -> Self {
        let mut table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(t)) => t,
            Some(_) => {
                self.problem(key, Shown::nothing(), "must be a table");
                Table::new()
            }
        };
        // Variables name sections of the file, none within them.
        if self.path.is_empty() {
            self.problems.environment.borrow_mut().set(key, &mut table);
        }
        self.inner(key, table)
    }

    fn sections(&mut self, key: &str) -> Vec<Self> {
        let items = match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(a)) => a,
            Some(_) => {
                let rule =
                    format!("must be a list: write [[{0}]] in double brackets, once for each {0}", self.key(key));
                self.problem(key, Shown::nothing(), &rule);
                Vec::new()
            }
        };
        let mut out = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            let here = format!("{key}[{i}]");
            match item {
                Value::Table(table) => out.push(self.inner(&here, table)),
                _ => self.problem(&here, Shown::nothing(), "must be a table"),
            }
        }
        out
    }

    fn named_sections(&mut self, key: &str, what: &str) -> Vec<(String, Self)> {
        let items = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(t)) => t,
            Some(_) => {
                self.problem(key, Shown::nothing(), "must be a table");
                Table::new()
            }
        };
        let mut out = Vec::new();
        for (name, item) in items {
            if CameraId::new(&name).is_err() {
                let rule = format!(
                    "cannot name {what}: it must be 1 to 32 of a-z, 0-9, `-` and `_`, starting with a letter or digit"
                );
                self.problem(&format!("{key}.{}", unknown_key(&name)), Shown::nothing(), &rule);
                continue;
            }
            match item {
                Value::Table(table) => {
                    let mut inner = self.inner(&format!("{key}.{name}"), table);
                    inner.place = format!("{}{{{name}}}", join(&self.place, key));
                    out.push((name, inner));
                }
                _ => self.problem(&format!("{key}.{name}"), Shown::nothing(), "must be a table"),
            }
        }
        out
    }

    fn number(&mut self, key: &str, default: i64, range: RangeInclusive<i64>) -> i64 {
        let found = self.table.remove(key);
        let was_there = found.is_some();
        let value = match found {
            None => default,
            Some(Value::Integer(n)) if range.contains(&n) => n,
            Some(v @ Value::Integer(_)) => {
                let rule = match *range.end() {
                    i64::MAX => format!("must be at least {}", range.start()),
                    end => format!("must be {} to {end}", range.start()),
                };
                self.problem(key, shown(&v), &rule);
                default
            }
            Some(v) => {
                self.problem(key, shown(&v), "must be a whole number");
                default
            }
        };
        self.asked(key, Form::Whole { min: *range.start(), max: *range.end() }, (was_there, value), default);
        value
    }

    fn real(&mut self, key: &str, default: f64, range: RangeInclusive<f64>) -> f64 {
        let found = self.table.remove(key);
        let value = match &found {
            None => default,
            Some(v) => match v.as_float().or(v.as_integer().map(|n| n as f64)) {
                Some(n) if range.contains(&n) => n,
                Some(_) => {
                    self.problem(key, shown(v), &format!("must be {} to {}", range.start(), range.end()));
                    default
                }
                None => {
                    self.problem(key, shown(v), "must be a number");
                    default
                }
            },
        };
        let form = Form::Number { min: *range.start(), max: *range.end() };
        self.asked(key, form, (found.is_some(), value), default);
        value
    }

    fn flag(&mut self, key: &str, default: bool) -> bool {
        let found = self.table.remove(key);
        let value = match &found {
            None => default,
            Some(Value::Boolean(b)) => *b,
            Some(v) => {
                self.problem(key, shown(v), "must be true or false");
                default
            }
        };
        self.asked(key, Form::Flag, (found.is_some(), value), default);
        value
    }

    fn optional_flag(&mut self, key: &str) -> Option<bool> {
        let found = self.table.remove(key);
        let value = found.as_ref().and_then(Value::as_bool);
        if let (Some(v), None) = (&found, value) {
            self.problem(key, shown(v), "must be true or false");
        }
        self.asked(key, Form::Flag, (found.is_some(), value), Json::Null);
        value
    }

    fn all_or_some(&mut self, key: &str, check: impl Fn(&str) -> bool, rule: &str) -> AllOrSome {
        let found = self.table.remove(key);
        let text = |v: &Value| v.as_str().filter(|text| check(text)).map(str::to_owned);
        let value = match &found {
            None | Some(Value::Boolean(false)) => AllOrSome::None,
            Some(Value::Boolean(true)) => AllOrSome::All,
            Some(Value::Array(items)) => match items.iter().map(text).collect() {
                Some(texts) => AllOrSome::Some(texts),
                None => {
                    self.problem(key, Shown::nothing(), rule);
                    AllOrSome::None
                }
            },
            Some(v) => {
                self.problem(key, shown(v), rule);
                AllOrSome::None
            }
        };
        let json = match &value {
            AllOrSome::None => Json::Bool(false),
            AllOrSome::All => Json::Bool(true),
            AllOrSome::Some(texts) => texts.clone().into(),
        };
        self.asked(key, Form::Which, (found.is_some(), json), false);
        value
    }

    fn text(&mut self, key: &str, default: &str, length: RangeInclusive<usize>) -> String {
        let rule = || format!("must be a text of {} to {} characters", length.start(), length.end());
        let found = self.table.remove(key);
        let checked = match &found {
            None => Ok(default),
            Some(Value::String(text)) => match check_meant(text) {
                Ok(()) if length.contains(&text.chars().count()) => Ok(text.as_str()),
                Ok(()) => Err(rule()),
                Err(why) => Err(why),
            },
            Some(_) => Err(rule()),
        };
        if let (Err(rule), Some(value)) = (&checked, &found) {
            self.problem(key, shown(value), rule);
        }
        let text = checked.unwrap_or(default).to_owned();
        let form = Form::Text { min: *length.start(), max: *length.end() };
        self.asked(key, form, (found.is_some(), text.as_str()), default);
        text
    }

    fn texts(&mut self, key: &str, check: impl Fn(&str) -> bool, rule: &str) -> Vec<String> {
        let found = self.table.remove(key);
        let was_there = found.is_some();
        let texts = match found {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let mut out = Vec::new();
                for item in items {
                    match item {
                        Value::String(text) => match check_meant(&text) {
                            Ok(()) if check(&text) => out.push(text),
                            Ok(()) => self.problem(key, &*text, rule),
                            Err(why) => self.problem(key, &*text, &why),
                        },
                        other => self.problem(key, shown(&other), rule),
                    }
                }
                self.most(key, &mut out);
                out
            }
            Some(_) => {
                self.problem(key, Shown::nothing(), "must be a list of texts");
                Vec::new()
            }
        };
        self.asked(key, Form::Texts, (was_there, texts.clone()), Vec::<String>::new());
        texts
    }

    fn parsed<T>(&mut self, key: &str, default: &str, parse: impl Fn(&str) -> Result<T>) -> Option<T> {
        if !self.has(key) {
            self.asked(key, ANY_TEXT, (false, default), default);
            if default.is_empty() {
                self.problems.refuse(format!("{}: is missing and required", self.key(key)));
                return None;
            }
            // A default breaks no rule.
            return parse(default).ok();
        }
        self.understood(key, default.into(), parse)
    }

    fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T>) -> Option<T> {
        if !self.has(key) {
            self.asked(key, ANY_TEXT, (false, Json::Null), Json::Null);
            return None;
        }
        self.understood(key, Json::Null, parse)
    }

    fn choice<T: Copy>(&mut self, key: &str, default: &str, choices: &[(&str, T)]) -> T {
        let find = |word: &str| choices.iter().find(|(name, _)| *name == word).map(|(_, v)| *v);
        let fallback = find(default).expect("the default is one of the choices");
        let names: Vec<_> = choices.iter().map(|(name, _)| (*name).to_owned()).collect();
        let found = self.table.remove(key);
        let word = found.as_ref().and_then(Value::as_str).filter(|word| find(word).is_some());
        if let (Some(v), None) = (&found, word) {
            self.problem(key, shown(v), &format!("must be one of {}", names.join(", ")));
        }
        let word = word.unwrap_or(default);
        self.asked(key, Form::Word(names), (found.is_some(), word), default);
        find(word).unwrap_or(fallback)
    }

    fn optional_address(&mut self, key: &str) -> Option<SocketAddr> {
        self.address_or(key, None)
    }

    fn address(&mut self, key: &str, default: &str) -> SocketAddr {
        let default = default.parse().expect("the default is an address");
        self.address_or(key, Some(default)).unwrap_or(default)
    }

    fn points(&mut self, key: &str) -> Vec<Vec<(f32, f32)>> {
        let found = self.table.remove(key);
        let number = |v: &Value| v.as_float().or(v.as_integer().map(|n| n as f64)).map(|n| n as f32);
        let corner = |v: &Value| match v.as_array()?.as_slice() {
            [x, y] => Some((number(x)?, number(y)?)),
            _ => None,
        };
        let polygon = |v: &Value| v.as_array()?.iter().map(corner).collect::<Option<Vec<_>>>();
        let polygons = match &found {
            None => Some(Vec::new()),
            Some(v) => v.as_array().and_then(|a| a.iter().map(polygon).collect::<Option<Vec<_>>>()),
        };
        let mut polygons = polygons.unwrap_or_else(|| {
            self.problem(key, Shown::nothing(), "must be a list of polygons, each a list of [x, y] within 0 and 1");
            Vec::new()
        });
        self.most(key, &mut polygons);
        let shown: Vec<Json> = polygons
            .iter()
            .map(|p| p.iter().map(|(x, y)| Json::from(vec![as_written(*x), as_written(*y)])).collect())
            .collect();
        self.asked(key, Form::Polygons, (found.is_some(), shown), Vec::<Json>::new());
        polygons
    }

    fn named_values(&mut self, key: &str, check: impl Fn(&str) -> bool, rule: &str) -> Vec<(String, Scalar)> {
        let found = self.table.remove(key);
        let was_there = found.is_some();
        let items = match found {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.problem(key, Shown::nothing(), "must be a table");
                Table::new()
            }
        };
        let (mut out, mut json) = (Vec::new(), serde_json::Map::new());
        for (name, value) in items {
            let here = format!("{key}.{}", unknown_key(&name));
            if !check(&name) {
                self.problem(&here, Shown::nothing(), rule);
                continue;
            }
            let scalar = match &value {
                Value::Boolean(flag) => Ok(Scalar::Flag(*flag)),
                Value::Integer(n) => Ok(Scalar::Number(*n as f64)),
                Value::Float(n) if n.is_finite() => Ok(Scalar::Number(*n)),
                Value::String(text) if text.chars().count() <= MOST_LETTERS => {
                    check_meant(text).map(|()| Scalar::Text(text.clone()))
                }
                _ => Err(format!("must be a number, true, false or a word of at most {MOST_LETTERS} letters")),
            };
            match scalar {
                Ok(scalar) => {
                    json.insert(name.clone(), scalar.json());
                    out.push((name, scalar));
                }
                Err(why) => self.problem(&here, shown(&value), &why),
            }
        }
        self.asked(key, Form::Named, (was_there, json), serde_json::Map::new());
        out
    }

    fn refuse_later(&mut self, keys: &[&str]) {
        for key in keys {
            if self.table.remove(*key).is_some() {
                self.problem(key, Shown::nothing(), "is not supported by this version yet: remove it");
            }
        }
    }

    /// One that the environment set is only warned of: container platforms set variables
    /// with our prefix for purposes of their own.
    fn finish(self) {
        for key in self.table.keys() {
            let full = self.key(key);
            match self.problems.environment.borrow().set.get(&full) {
                Some(variable) => self.problems.warn(format!("{variable}: {full} is not a known key: it is ignored")),
                None => {
                    let meant = self.nearest_key(key).map(|known| format!("; did you mean `{known}`?"));
                    let rule = format!("is not a known key{}", meant.unwrap_or_default());
                    self.problem(unknown_key(key), Shown::nothing(), &rule);
                }
            }
        }
    }
}
