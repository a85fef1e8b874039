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
    use perch_base::ids::{CameraId, EventId};
    use perch_base::time::Timestamp;
    use perch_domain::access::{DeviceKind, GrantChange, Role};
    use perch_domain::archive::{EventKind, GapCause, SegmentState, TimeRange};
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
        assert_eq!(from_word::<Role>("Admin").expect_err("another").kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn an_error_says_in_which_row_it_is() {
        let range = TimeRange { from: Timestamp(0), to: Timestamp(100) };
        let front = CameraId::new("front").expect("valid");
        let users = "INSERT INTO user (name, password, role, created, cameras) VALUES ('anna', 'x'";
        let viewer = GrantChange { role: None, cameras: None };
        let event = "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes) VALUES (7, 'front'";
        let device = "INSERT INTO device (id, token, name, kind, role, created, seen) VALUES ('dd'";
        let stream = "INSERT INTO stream_password (name, ha1, created, cameras) VALUES ('nvr', 'x', 1, '{')";
        let segment = "INSERT INTO segment (id, camera, path, start, end, size, state) VALUES (5, 'front', 'p', 1, 2";
        type Ask<'a> = &'a dyn Fn(&Store) -> Result<()>;
        let one_event: Ask = &|s| s.index().event_by_id(EventId(7)).map(drop);
        let events: Ask = &|s| s.index().events_in(&front, &range).map(drop);
        let all: Ask = &|s| s.accounts().users().map(drop);
        let login: Ask = &|s| s.accounts().check_password("anna", "long enough").map(drop);
        let change: Ask = &|s| s.accounts().set_grant("anna", &viewer).map(drop);
        let devices: Ask = &|s| s.accounts().devices().map(drop);
        let logins: Ask = &|s| s.accounts().stream_logins().map(drop);
        let streams: Ask = &|s| s.accounts().stream_passwords().map(drop);
        let recorded: Ask = &|s| s.recordings().recorded(&front, &range, 9).map(drop);
        let cases: [(String, Ask, &str); 13] = [
            (format!("{event}, 'odd', 1, 2, 1, 'x', '[]')"), one_event, "event 7: the word \"odd\" is not known"),
            (format!("{event}, 'motion', 1, 2, 1, 'odd', '[]')"), events, "event 7: the word \"odd\" is not known"),
            (format!("{event}, 'motion', 'noon', 2, 1, 'x', '[]')"), one_event, "event 7: Invalid column type"),
            (format!("{users}, 'king', 1, null)"), all, "account anna: the word \"king\" is not known"),
            (format!("{users}, 'viewer', 1, '{{')"), all, "account anna: its grant of cameras is damaged"),
            (format!("{users}, 'viewer', 1, '{{')"), login, "account anna: its grant of cameras is damaged"),
            (format!("{users}, 'viewer', 1, null)"), login, "account anna: the hash of its password is damaged: "),
            (format!("{users}, 'viewer', 1, '{{')"), change, "account anna: its grant of cameras is damaged"),
            (format!("{device}, x'00', 'phone', 'odd', 'admin', 1, 1)"), devices, "device dd: "),
            (stream.into(), logins, "stream password nvr: its grant of cameras is damaged"),
            (stream.into(), streams, "stream password nvr: its grant of cameras is damaged"),
            (format!("{segment}, 'x', 'sealed')"), recorded, "recording 5: Invalid column type"),
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
            let blames = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound);
            let e = error.to_string();
            assert!(!blames, "nobody asked for anything wrong: {e}");
            assert!(e.contains(want), "{sql}: {e}");
        }
    }
}
