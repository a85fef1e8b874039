//! The words under which values of enums stand in columns: those that serde gives them.

use perch_base::{Error, ErrorKind, Result};
use serde::de::IntoDeserializer;

/// An enum's one-word text as serde names it; for columns.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err(Error::internal("a value has no name to be stored under")),
    }
}

/// The enum that [`word`] named so.
pub(crate) fn from_word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    let unknown = |e: serde::de::value::Error| {
        Error::new(ErrorKind::Corrupt, format!("the word {text:?} is not known")).with_source(e)
    };
    T::deserialize(text.into_deserializer()).map_err(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::testing::open;
    use perch_base::ids::EventId;
    use perch_domain::access::{DeviceKind, GrantChange, Role};
    use perch_domain::archive::{EventKind, GapCause, SegmentState};
    use perch_domain::ports::AccessPort;

    /// What SQL texts, indices and older databases say: a value that is renamed for the API must not be renamed here.
    #[test]
    fn words_in_columns_stay_what_they_are() {
        fn check<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(all: &[(T, &str)]) {
            for (value, text) in all {
                assert_eq!(word(value).expect("a word"), *text);
                assert_eq!(from_word::<T>(text).expect("known"), *value);
            }
        }
        check(&[
            (SegmentState::Open, "open"),
            (SegmentState::Sealed, "sealed"),
            (SegmentState::Lost, "lost"),
            (SegmentState::Quarantined, "quarantined"),
            (SegmentState::Deleting, "deleting"),
        ]);
        check(&[(DeviceKind::Paired, "paired"), (DeviceKind::Session, "session")]);
        check(&[(Role::Admin, "admin"), (Role::Viewer, "viewer")]);
        check(&[(EventKind::Motion, "motion")]);
        check(&[(GapCause::Retention, "retention"), (GapCause::BoxOff, "box_off")]);
        // What is written and parsed by hand is called the same.
        assert!(Role::ALL.iter().all(|role| word(role).is_ok_and(|word| word == role.as_str())));
        assert!(EventKind::ALL.iter().all(|kind| word(kind).is_ok_and(|word| word == kind.as_str())));
        assert_eq!(from_word::<Role>("Admin").expect_err("another").kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn an_error_says_in_which_row_it_is() {
        let users = "INSERT INTO user (name, password, role, created, cameras) VALUES ('anna', 'x'";
        let viewer = GrantChange::default();
        let event = "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes) VALUES (7, 'front'";
        type Ask<'a> = &'a dyn Fn(&Store) -> Result<()>;
        let one_event: Ask = &|s| s.index().event_by_id(EventId(7)).map(drop);
        let login: Ask = &|s| s.accounts().check_password("anna", "long enough").map(drop);
        let change: Ask = &|s| s.accounts().set_grant("anna", &viewer).map(drop);
        let cases: [(String, Ask, &str); 7] = [
            (format!("{event}, 'odd', 1, 2, 1, 'x', '[]')"), one_event, "event 7: the word \"odd\" is not known"),
            (format!("{event}, 'motion', 1, 2, 1, 'odd', '[]')"), one_event, "event 7: the word \"odd\" is not known"),
            (format!("{event}, 'motion', 'noon', 2, 1, 'x', '[]')"), one_event, "event 7: Invalid column type"),
            (format!("{users}, 'viewer', 1, '{{')"), login, "account anna: its grant of cameras is damaged"),
            (format!("{users}, 'viewer', 1, null)"), login, "account anna: the hash of its password is damaged: "),
            (format!("{users}, 'viewer', 1, '{{')"), change, "account anna: its grant of cameras is damaged"),
            (
                "INSERT INTO meta VALUES ('alive_at', 'noon')".into(),
                &|s| s.recordings().last_alive().map(drop),
                "the time at which the box last ran is damaged: invalid digit",
            ),
        ];
        for (sql, ask, want) in cases {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let store = open(&dir);
            let entered = store.recordings().inner.db.write("entering", |tx| Ok(tx.execute(&sql, []).map(drop)?));
            entered.expect(&sql);
            let error = ask(&store).expect_err(&sql);
            let (kind, e) = (error.kind(), error.to_string());
            assert_eq!(kind, ErrorKind::Corrupt, "nobody asked for anything wrong: {e}");
            assert!(e.contains(want), "{sql}: {e}");
        }
    }
}
