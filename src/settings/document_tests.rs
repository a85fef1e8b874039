//! What a change does to the text of a config file, case by case.

use super::*;
use serde_json::json;

fn merged(text: &str, patch: Json) -> Result<String> {
    let now = Config::parse(text, std::iter::empty()).expect("valid before");
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
    assert!(got.starts_with("# Our shop.\ncamera = []\n") && got.contains("name = \"Shop\""), "{got}");
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
        ("# Ours.\ncamera = []\n", "# Ours.\n"),
        ("# Ours.", "# Ours.\n\n"),
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
fn the_head_and_the_ends_of_lines_stay() {
    let file = "# Our shop.\n# Keep it tidy.\n\n# Days.\n[recording]\nmax_days = 7\n";
    let patch = json!({"box": {"name": "Hall"}});
    let got = merged(file, patch.clone()).expect("valid");
    let want = "# Our shop.\n# Keep it tidy.\n\n[box]\nname = \"Hall\"\n# Days.\n[recording]\nmax_days = 7\n";
    assert_eq!(got.replace("\n\n# Days", "\n# Days"), want);
    let got = merged("# Our shop.\n[recording]\nmax_days = 7\n", patch.clone()).expect("valid");
    assert!(got.starts_with("# Our shop.\n"), "{got}");
    let got = merged("# The entrance.\n[[camera]]\nid = \"a\"\nsource = \"test\"\n", patch.clone()).expect("valid");
    assert!(got.contains("# The entrance.\n[[camera]]"), "{got}");
    let windows = FILE.replace('\n', "\r\n");
    let got = merged(&windows, json!({"recording": {"event_max_days": 60}})).expect("valid");
    assert_eq!(got, windows.replace("max_days = 7\r\n", "max_days = 7\r\nevent_max_days = 60\r\n"));
}

#[test]
fn a_table_an_entry_stays_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "S3CRET").expect("written");
    let at = secret.display();
    let one = |url: &str, note: &str| format!("{note}[[webrtc.turn]]\nurl = \"{url}\"\nsecret_file = \"{at}\"\n");
    let file = format!("{}\n{}", one("turn:a:1", "# the first\n"), one("turn:b:1", "# the second\n"));
    let entry = |url: &str| json!({"url": url, "secret_file": at.to_string()});
    let got = merged(&file, json!({"webrtc": {"turn": [entry("turn:b:1"), entry("turn:c:1")]}})).expect("valid");
    assert!(got.contains(&one("turn:b:1", "# the second\n")) && got.contains(&one("turn:c:1", "")), "{got}");
    assert!(!got.contains("turn:a:1"), "{got}");
    let got = merged(&file, json!({"webrtc": {"turn": []}})).expect("valid");
    assert!(!got.contains("turn:"), "{got}");
}

#[test]
fn a_list_that_the_environment_sets_is_locked() {
    let env = || [("PERCH_WEBRTC_TURN".to_owned(), "[]".to_owned())].into_iter();
    let now = Config::parse(FILE, env()).expect("valid");
    let mut doc = Document::parse(FILE).expect("valid");
    let patch = |turn: Json| json!({"webrtc": {"turn": turn}}).as_object().cloned().expect("a table");
    let e = doc.merge(&patch(json!([{"url": "turn:a:1", "secret_file": "/a"}])), &now).expect_err("locked");
    assert!(e.to_string().contains("webrtc.turn: PERCH_WEBRTC_TURN"), "{e}");
    doc.merge(&patch(json!([])), &now).expect("it is so");
}

#[test]
fn what_the_environment_sets_is_locked() {
    let env = || [("PERCH_BOX_NAME".to_owned(), "Env".to_owned())].into_iter();
    let now = Config::parse(FILE, env()).expect("valid");
    let mut doc = Document::parse(FILE).expect("valid");
    let patch = |name: &str| json!({"box": {"name": name}}).as_object().cloned().expect("a table");
    let e = doc.merge(&patch("Hall"), &now).expect_err("locked");
    assert!(e.to_string().contains("PERCH_BOX_NAME"), "{e}");
    doc.merge(&patch("Env"), &now).expect("it is so");
    assert_eq!(doc.text(), FILE);
}
