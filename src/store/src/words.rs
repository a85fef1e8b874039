//! The words under which values of enums stand in columns: those that serde gives them.

use perch_base::{Error, ErrorKind, Result};

/// An enum's one-word text as serde names it; for columns.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err(Error::internal("a value has no name to be stored under")),
    }
}

/// The enum that [`word`] named so.
pub(crate) fn from_word<T: serde::de::DeserializeOwned>(text: String) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|e| Error::new(ErrorKind::Corrupt, "the database holds a word that is not known").with_source(e))
}
