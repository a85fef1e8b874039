//! Values of JSON and TOML: what is the same, and how one becomes the other.

use perch_base::{Error, Result};
use serde_json::Value as Json;
use toml_edit::{Array, InlineTable, Item, TableLike, Value};

/// Sets a key; the comment behind it stays.
pub(super) fn set(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(value));
}

/// Numbers are the same by their value: 5 and 5.0.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}

pub(super) fn to_toml(value: &Json, path: &str) -> Result<Value> {
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
