//! GStreamer's packages, which are named where perch is built, packaged, put on a card and tried under qemu-user: the lists say the same,
//! or why they do not.

use super::{none_of, root, text};
use std::collections::{BTreeMap, BTreeSet};

/// What a list lacks that another one has, and why.
const LACKS: &[(&str, &str, &str)] = &[
    (
        "setup",
        "libcamera",
        "the machine that builds has no camera at a ribbon cable, and Debian 12 has no such package",
    ),
    ("setup", "nice", "only the tests of WHIP need it"),
    ("deb", "tools", "only who tries a pipeline by hand needs it"),
    ("deb", "libcamera", "a camera at a ribbon cable is a Pi's, which takes the package for arm64"),
    ("deb", "nice", "only who pushes by WHIP needs it: it is recommended"),
    ("deb for arm64", "tools", "only who tries a pipeline by hand needs it"),
    ("deb for arm64", "nice", "only who pushes by WHIP needs it: it is recommended"),
    ("smoke", "libav", "its clip is decoded by openh264"),
    ("smoke", "alsa", "it has no microphone"),
    ("smoke", "libcamera", "it has no camera but the test camera"),
    ("smoke", "nice", "it pushes to nobody"),
];

/// The names of packages in a text: one a line, or in the brackets of a shell's array. Marks before a name are passed over.
fn names(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|l| !l.trim_start().starts_with('#'));
    lines.flat_map(str::split_whitespace).map(|name| name.trim_start_matches('=').to_owned()).collect()
}

/// The words of a shell's array.
fn array(short: &str, name: &str) -> Vec<String> {
    let script = text(&root().join(short));
    let words = script.split(&format!("\n{name}=(")).nth(1).and_then(|rest| rest.split(')').next());
    names(words.unwrap_or_else(|| panic!("{short} has no array {name}")))
}

fn manifest() -> toml::Table {
    text(&root().join("Cargo.toml")).parse().expect("TOML")
}

/// What the package depends on, with the versions that are asked for: the first of each choice.
fn depends(variant: Option<&str>) -> Vec<String> {
    let manifest = manifest();
    let deb = &manifest["package"]["metadata"]["deb"];
    let table = variant.map_or(deb, |variant| &deb["variants"][variant]);
    let list = table["depends"].as_array().expect("a list").iter();
    list.map(|d| d.as_str().and_then(|d| d.split(" | ").next()).expect("a text").to_owned()).collect()
}

/// The packages of GStreamer's plugins and tools in a list, without what all their names begin with.
fn plugins(list: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    list.into_iter().filter_map(|name| name.strip_prefix("gstreamer1.0-").map(str::to_owned)).collect()
}

#[test]
fn the_lists_of_gstreamer_packages_differ_where_a_reason_is_given() {
    let of_the_card = names(&text(&root().join("image/layers/gstreamer/packages")));
    let lists: BTreeMap<&str, BTreeSet<String>> = BTreeMap::from([
        ("setup", plugins(array(".ci/setup", "build_packages"))),
        ("deb", plugins(depends(None))),
        ("deb for arm64", plugins(depends(Some("arm64")))),
        ("card", plugins(of_the_card.into_iter().chain(array("image/boards/rpi.conf", "ROOT_PACKAGES")))),
        ("smoke", plugins(names(&text(&root().join("cross/plugins"))))),
    ]);
    let all: BTreeSet<&String> = lists.values().flatten().collect();
    assert!(all.len() > 7 && lists.values().all(|list| list.contains("plugins-base")), "{lists:?}");
    let mut wrong = Vec::new();
    for (list, has) in &lists {
        for package in all.iter().filter(|package| !has.contains(**package)) {
            if !LACKS.iter().any(|(l, p, _)| l == list && *p == package.as_str()) {
                wrong.push(format!("{list} lacks gstreamer1.0-{package}, and no reason is given"));
            }
        }
    }
    for (list, package, _) in LACKS {
        if !all.iter().any(|p| p.as_str() == *package) || lists[list].contains(*package) {
            wrong.push(format!("{list} does not lack gstreamer1.0-{package}: a reason is given for nothing"));
        }
    }
    none_of("lists of GStreamer's packages", wrong);
}

#[test]
fn what_perch_is_linked_against_is_the_same_everywhere() {
    let is_gstreamer = |name: &String| name.starts_with("libgst") && name.ends_with("-dev");
    let here: BTreeSet<_> = array(".ci/setup", "build_packages").into_iter().filter(is_gstreamer).collect();
    let cross: BTreeSet<_> = names(&text(&root().join("cross/packages"))).into_iter().filter(is_gstreamer).collect();
    assert!(here.len() >= 3 && here == cross, "{here:?} here, {cross:?} for arm64");
    // The package asks for the GStreamer that the bindings are made for, or a newer one.
    let manifest = manifest();
    let version = |variant| {
        let depends = depends(variant);
        let all: BTreeSet<_> =
            depends.iter().filter_map(|d| Some(d.strip_prefix("libgst")?.split_once("(>= 1.")?.1.to_owned())).collect();
        assert_eq!(all.len(), 1, "one version of all its libraries: {depends:?}");
        all.first().and_then(|v| v.trim_end_matches(')').parse::<u32>().ok()).expect("a version")
    };
    for (name, dependency) in manifest["workspace"]["dependencies"].as_table().expect("a table") {
        let features = dependency.get("features").and_then(toml::Value::as_array).into_iter().flatten();
        let made_for = features.filter_map(|f| f.as_str()?.strip_prefix("v1_")?.parse::<u32>().ok()).max();
        if let Some(made_for) = made_for.filter(|_| name.starts_with("gstreamer")) {
            assert_eq!(version(None), made_for, "{name}");
            assert!(version(Some("arm64")) >= made_for, "{name}");
        }
    }
}
