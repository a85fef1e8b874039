//! Reads TOML tables key by key, remembers which keys were known, and collects every problem with its key, value and rule.

use perch_base::{Error, Result};
use perch_domain::redact::{Shown, unknown_key};
use perch_domain::settings::Keys;
use perch_domain::text::check_meant;
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

    /// `value` and the warnings, or all problems in one error.
    pub fn into_result<T>(self, value: T) -> Result<(T, Vec<String>)> {
        let Environment { waiting, sections, .. } = self.environment.take();
        for Variable { name, .. } in waiting {
            let known = sections.join(", ");
            self.warn(format!("{name} is ignored: it is not PERCH_<SECTION>_<KEY> with a section of {known}"));
        }
        let problems = self.refused.into_inner();
        if problems.is_empty() {
            return Ok((value, self.warnings.into_inner()));
        }
        Err(Error::invalid(format!("the config is refused:\n  {}", problems.join("\n  "))))
    }
}

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

/// One table, consumed key by key; [`Section::finish`] refuses what is left.
#[derive(Debug)]
pub struct Section<'p> {
    path: String,
    table: Table,
    problems: &'p Problems,
}

impl<'p> Section<'p> {
    /// The whole file.
    pub fn root(table: Table, problems: &'p Problems) -> Self {
        Self { path: String::new(), table, problems }
    }

    /// A table at `path`.
    pub fn new(path: &str, table: Table, problems: &'p Problems) -> Self {
        Self { path: path.to_owned(), table, problems }
    }

    /// Where this table is.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
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
        Section { path: self.key(key), table, problems: self.problems }
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
            let path = format!("{}[{i}]", self.key(key));
            match item {
                Value::Table(table) => out.push(Section { path, table, problems: self.problems }),
                _ => self.problems.add(&path, Shown::nothing(), "must be a table"),
            }
        }
        out
    }

    fn number(&mut self, key: &str, default: i64, range: RangeInclusive<i64>) -> i64 {
        match self.table.remove(key) {
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
        }
    }

    fn real(&mut self, key: &str, default: f64, range: RangeInclusive<f64>) -> f64 {
        let Some(v) = self.table.remove(key) else { return default };
        match v.as_float().or(v.as_integer().map(|n| n as f64)) {
            Some(n) if range.contains(&n) => n,
            Some(_) => {
                self.problem(key, shown(&v), &format!("must be {} to {}", range.start(), range.end()));
                default
            }
            None => {
                self.problem(key, shown(&v), "must be a number");
                default
            }
        }
    }

    fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.table.remove(key) {
            None => default,
            Some(Value::Boolean(b)) => b,
            Some(v) => {
                self.problem(key, shown(&v), "must be true or false");
                default
            }
        }
    }

    fn text(&mut self, key: &str, default: &str, length: RangeInclusive<usize>) -> String {
        let rule = || format!("must be a text of {} to {} characters", length.start(), length.end());
        let (value, rule) = match self.table.remove(key) {
            None => return default.to_owned(),
            Some(Value::String(text)) => match check_meant(&text) {
                Ok(()) if length.contains(&text.chars().count()) => return text,
                Ok(()) => (Value::String(text), rule()),
                Err(why) => (Value::String(text), why),
            },
            Some(other) => (other, rule()),
        };
        self.problem(key, shown(&value), &rule);
        default.to_owned()
    }

    fn texts(&mut self, key: &str, check: impl Fn(&str) -> bool, rule: &str) -> Vec<String> {
        match self.table.remove(key) {
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
                out
            }
            Some(_) => {
                self.problem(key, Shown::nothing(), "must be a list of texts");
                Vec::new()
            }
        }
    }

    fn parsed<T>(&mut self, key: &str, default: &str, parse: impl Fn(&str) -> Result<T>) -> Option<T> {
        let text = match self.table.remove(key) {
            None if default.is_empty() => {
                self.problems.refuse(format!("{}: is missing and required", self.key(key)));
                return None;
            }
            None => default.to_owned(),
            Some(Value::String(s)) => s,
            Some(v) => {
                self.problem(key, shown(&v), "must be a text");
                return None;
            }
        };
        if let Err(why) = check_meant(&text) {
            self.problem(key, &*text, &why);
            return None;
        }
        parse(&text).map_err(|e| self.problem(key, &*text, e.message())).ok()
    }

    fn choice<T: Copy>(&mut self, key: &str, default: &str, choices: &[(&str, T)]) -> T {
        let find = |word: &str| choices.iter().find(|(name, _)| *name == word).map(|(_, v)| *v);
        let fallback = find(default).expect("the default is one of the choices");
        match self.table.remove(key) {
            None => fallback,
            Some(v) => v.as_str().and_then(find).unwrap_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
                self.problem(key, shown(&v), &format!("must be one of {}", names.join(", ")));
                fallback
            }),
        }
    }

    fn optional_address(&mut self, key: &str) -> Option<SocketAddr> {
        let v = self.table.remove(key)?;
        let parsed = v.as_str().and_then(|s| s.parse().ok());
        if parsed.is_none() {
            self.problem(key, shown(&v), "must be an address and port such as \"0.0.0.0:8443\" or \"[::]:8443\"");
        }
        parsed
    }

    fn points(&mut self, key: &str) -> Vec<Vec<(f32, f32)>> {
        let Some(v) = self.table.remove(key) else { return Vec::new() };
        let number = |v: &Value| v.as_float().or(v.as_integer().map(|n| n as f64)).map(|n| n as f32);
        let corner = |v: &Value| match v.as_array()?.as_slice() {
            [x, y] => Some((number(x)?, number(y)?)),
            _ => None,
        };
        let polygon = |v: &Value| v.as_array()?.iter().map(corner).collect::<Option<Vec<_>>>();
        let polygons = v.as_array().and_then(|a| a.iter().map(polygon).collect::<Option<Vec<_>>>());
        polygons.unwrap_or_else(|| {
            self.problem(key, Shown::nothing(), "must be a list of polygons, each a list of [x, y] within 0 and 1");
            Vec::new()
        })
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
                None => self.problem(unknown_key(key), Shown::nothing(), "is not a known key"),
            }
        }
    }
}
