//! Profiles and schedules in the text of `perch.toml`, as a person writes them.

use super::values::{same, set, to_toml};
use perch_base::{Error, Result};
use serde_json::{Map, Value as Json};
use toml_edit::{ArrayOfTables, Item, Table, TableLike};

/// The keys of a schedule, in the order in which a person writes them.
const OF_SCHEDULE: [&str; 5] = ["days", "from", "to", "profile", "off"];

/// Whether a path names a profile.
pub fn is_profile(path: &str) -> bool {
    path.strip_prefix("profile.").is_some_and(|rest| !rest.contains('.'))
}

/// Whether a path names the cameras of a profile: one a line.
pub fn is_cameras_of_profile(path: &str) -> bool {
    path.strip_suffix(".cameras").is_some_and(is_profile)
}

/// Says nothing, as where the key is not there.
fn says_nothing(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn is_same_schedule(a: &Json, b: &Map<String, Json>) -> bool {
    let (none, empty) = (Json::Null, Map::new());
    let a = a.as_object().unwrap_or(&empty);
    let of = |map: &Map<String, Json>, key: &str| map.get(key).filter(|v| !says_nothing(v)).unwrap_or(&none).clone();
    a.keys().chain(b.keys()).all(|key| same(&of(a, key), &of(b, key)))
}

/// Schedules have no names: one that is as it was keeps its comments wherever it stands now, and one that was changed those of its place.
pub fn merge_schedules(table: &mut dyn TableLike, items: &[Json], now: &Json) -> Result<()> {
    // It stays where it is among the other keys: those that have no place of their own are printed behind what comes before.
    let old: Vec<Table> = match table.get("schedule").cloned().map(Item::into_array_of_tables) {
        Some(Ok(tables)) => tables.into_iter().collect(),
        _ => Vec::new(),
    };
    let now = now.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut kept: Vec<bool> = vec![false; old.len()];
    let mut found = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let item = item.as_object().ok_or_else(|| Error::invalid(format!("schedule[{n}]: must be a table")))?;
        let at = now.iter().take(old.len()).enumerate().position(|(at, is)| !kept[at] && is_same_schedule(is, item));
        if let Some(at) = at {
            kept[at] = true;
        }
        found.push((item, at));
    }
    let position = old.iter().filter_map(Table::position).min();
    let mut new = ArrayOfTables::new();
    for (n, (item, at)) in found.into_iter().enumerate() {
        let mut schedule = match (at, kept.get(n)) {
            (Some(at), _) => old[at].clone(),
            (None, Some(false)) => changed(&old[n], item, n)?,
            _ => changed(&Table::new(), item, n)?,
        };
        schedule.set_position(position);
        new.push(schedule);
    }
    match new.is_empty() {
        true => drop(table.remove("schedule")),
        false => drop(table.insert("schedule", Item::ArrayOfTables(new))),
    }
    Ok(())
}

fn changed(old: &Table, item: &Map<String, Json>, n: usize) -> Result<Table> {
    let mut new = old.clone();
    let gone: Vec<String> = old.iter().map(|(key, _)| key.to_owned()).filter(|key| !item.contains_key(key)).collect();
    gone.iter().for_each(|key| drop(new.remove(key)));
    for (key, value) in item {
        match says_nothing(value) {
            true => drop(new.remove(key)),
            false => set(&mut new, key, to_toml(value, &format!("schedule[{n}].{key}"))?),
        }
    }
    let place = |key: &str| OF_SCHEDULE.iter().position(|k| *k == key).unwrap_or(OF_SCHEDULE.len());
    new.sort_values_by(|a, _, b, _| place(a.get()).cmp(&place(b.get())));
    Ok(new)
}

/// Takes a camera out of profiles and schedules. A schedule that is left with nothing to do goes.
pub fn forget_camera(root: &mut Table, id: &str) {
    let profiles = root.get_mut("profile").and_then(Item::as_table_like_mut);
    for (_, profile) in profiles.into_iter().flat_map(TableLike::iter_mut) {
        let cameras = profile.as_table_like_mut().and_then(|table| table.get_mut("cameras"));
        if let Some(cameras) = cameras.and_then(Item::as_table_like_mut) {
            cameras.remove(id);
        }
    }
    let Some(Item::ArrayOfTables(schedules)) = root.get_mut("schedule") else { return };
    let mut idle = Vec::new();
    for (n, schedule) in schedules.iter_mut().enumerate() {
        let Some(off) = schedule.get_mut("off").and_then(Item::as_array_mut) else { continue };
        let before = off.len();
        let is_first = off.get(0).and_then(|camera| camera.as_str()) == Some(id);
        off.retain(|camera| camera.as_str() != Some(id));
        if let Some(first) = off.get_mut(0).filter(|_| is_first) {
            first.decor_mut().set_prefix("");
        }
        if off.is_empty() && before > 0 {
            schedule.remove("off");
            if !schedule.contains_key("profile") {
                idle.push(n);
            }
        }
    }
    idle.into_iter().rev().for_each(|n| drop(schedules.remove(n)));
    if schedules.is_empty() {
        root.remove("schedule");
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::settings::document::Document;
    use serde_json::{Value as Json, json};

    const FILE: &str = "[[camera]]
id = \"door\"
source = \"test\"

[[camera]]
id = \"yard\"
source = \"test\"
";

    fn merged(text: &str, patch: &Json) -> String {
        let now = Config::parse(text, std::iter::empty()).expect("valid before");
        let mut doc = Document::parse(text).expect("TOML");
        doc.merge(patch.as_object().expect("a table"), &now).expect("merged");
        Config::parse(&doc.text(), std::iter::empty()).expect("valid after");
        doc.text()
    }

    #[test]
    fn profiles_and_schedules_read_as_a_person_writes_them() {
        let profiles = json!({"profile": {
            "home": {"name": "Home"},
            "away": {"name": "Away", "cameras": {"yard": {"off": true}, "door": {"record": {"mode": "motion"}}}},
            "night": {},
        }});
        let text = merged(FILE, &profiles);
        let want = "
[profile.away]
name = \"Away\"

[profile.away.cameras]
door = { record = { mode = \"motion\" } }
yard = { off = true }

[profile.home]
name = \"Home\"

[profile.night]
";
        assert_eq!(text, format!("{FILE}{want}"));
        let schedules = json!({"schedule": [
            {"days": ["mon", "tue"], "from": "22:00", "to": "06:00", "profile": "night", "off": false},
            {"days": [], "from": "08:00", "to": "09:30", "profile": null, "off": ["yard"]},
        ]});
        let both = merged(&text, &schedules);
        let want = "
[[schedule]]
days = [\"mon\", \"tue\"]
from = \"22:00\"
to = \"06:00\"
profile = \"night\"

[[schedule]]
from = \"08:00\"
to = \"09:30\"
off = [\"yard\"]
";
        assert_eq!(both, format!("{text}{want}"));
        // What is read can be handed back, and changes nothing.
        let now = Config::parse(&both, std::iter::empty()).expect("valid");
        assert_eq!(merged(&both, &perch_domain::settings::described::tree(&now.settings)), both);
        // One goes, another camera comes; nothing else moves.
        let less =
            merged(&both, &json!({"profile": {"night": null, "away": {"cameras": {"door": null}}}, "schedule": []}));
        assert_eq!(
            less,
            format!(
                "{FILE}\n[profile.away]\nname = \"Away\"\n\n[profile.away.cameras]\nyard = {{ off = true }}\n\n[profile.home]\nname = \"Home\"\n"
            )
        );
    }

    #[test]
    fn schedules_keep_their_comments() {
        let text = format!(
            "{FILE}\n# Nobody there.\n[[schedule]]\nfrom = \"22:00\"   # late\nto = \"06:00\"\noff = true\n\n# Lunch.\n[[schedule]]\nfrom = \"12:00\"\nto = \"13:00\"\noff = [\"yard\"]\n"
        );
        let late = json!({"days": [], "from": "22:00", "to": "06:00", "profile": null, "off": true});
        let lunch = |to: &str| json!({"days": [], "from": "12:00", "to": to, "profile": null, "off": ["yard"]});
        assert_eq!(merged(&text, &json!({"schedule": [late, lunch("13:00")]})), text);
        assert_eq!(merged(&text, &json!({"schedule": [late, lunch("13:30")]})), text.replace("13:00", "13:30"));
        let turned = merged(&text, &json!({"schedule": [lunch("13:00"), late]}));
        assert!(turned.find("# Lunch.") < turned.find("# Nobody there."), "{turned}");
        let less = merged(&text, &json!({"schedule": [lunch("13:00")]}));
        assert!(less.contains("# Lunch.") && !less.contains("late"), "{less}");
    }

    #[test]
    fn a_camera_that_goes_is_taken_out() {
        let text = format!(
            "{FILE}\n[profile.away.cameras]\ndoor = {{ off = true }}\nyard = {{ off = true }}\n\n[[schedule]]\nfrom = \"12:00\"\nto = \"13:00\"\noff = [\"yard\"]\n\n[[schedule]]\nfrom = \"14:00\"\nto = \"15:00\"\nprofile = \"away\"\noff = [\"yard\", \"door\"]\n"
        );
        let mut doc = Document::parse(&text).expect("TOML");
        doc.forget_camera("yard");
        let want = format!(
            "{FILE}\n[profile.away.cameras]\ndoor = {{ off = true }}\n\n[[schedule]]\nfrom = \"14:00\"\nto = \"15:00\"\nprofile = \"away\"\noff = [\"door\"]\n"
        );
        assert_eq!(doc.text(), want);
    }
}
