//! The table of files that perch and the root scripts exchange (`perch_domain::exchange`), held against both sides and the README.

use super::{files, none_of, root, text};
use perch_domain::exchange::{ALL, DATA, ExchangedFile, HTTP_PORT, HTTPS_PORT, PACKAGE, RUN, SEL, SYSTEM};
use perch_domain::update::{BootFacts, LastUpdate};
use std::collections::{BTreeMap, BTreeSet};

/// Folders in which nothing lies that the table does not know, but for what the root scripts keep to themselves in [`SYSTEM`].
const FOLDERS: [&str; 5] = [RUN, DATA, SEL, PACKAGE, SYSTEM];
/// Who takes part and has no file in `image/`.
const OTHERS: [&str; 5] = ["perch", "perch setup", "owner", "firmware", "RAUC"];

/// The scripts and units of the image and of the package, by name. What builds or tests them is no part of either.
fn scripts() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (short, path) in files("image/layers", &[]).into_iter().chain(files("image/deb", &[])) {
        let mut parts = short.rsplit('/');
        let (name, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        // A drop-in goes by the name of its unit.
        let name = if folder.ends_with(".service.d") { format!("{folder}/{name}") } else { name.to_owned() };
        let tools = ["build", "check", "look", "test"].map(|tool| format!("image/deb/{tool}"));
        let is_tool = tools.contains(&short) || name == "packages";
        if let Ok(text) = std::fs::read_to_string(&path)
            && !is_tool
        {
            // Every layer has a `setup`.
            found.entry(name).or_insert_with(String::new).push_str(&text);
        }
    }
    found
}

/// The lines of a script with its own variables put in: one line for each value that they have anywhere in it.
fn expanded(script: &str) -> Vec<String> {
    let lines: Vec<_> = script.lines().filter(|l| !l.trim_start().starts_with('#')).collect();
    let mut values: Vec<(String, String)> = Vec::new();
    for word in lines.iter().flat_map(|l| l.split([' ', '\t', ';'])) {
        let Some((name, value)) = word.split_once('=') else { continue };
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        // `${NAME:-default}`: tests set NAME.
        let default = value.split_once(":-").and_then(|(_, v)| v.strip_suffix('}'));
        let value = default.unwrap_or(value).trim_matches('"').to_owned();
        let is_path = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"/$_.-".contains(&b)) && !value.is_empty();
        if is_name && is_path && !value.contains(&format!("${name}")) {
            values.push((name.to_owned(), value));
        }
    }
    let mut out = Vec::new();
    for line in lines {
        let mut left = vec![(line.to_owned(), 0)];
        while let Some((line, depth)) = left.pop() {
            let uses = |name: &str| {
                let end = line.split_once(&format!("${name}")).map(|(_, rest)| rest.bytes().next());
                end.is_some_and(|next| !next.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_'))
            };
            match values.iter().find(|(name, _)| depth < 6 && uses(name)) {
                None => out.push(line),
                Some((name, _)) => {
                    let same = values.iter().filter(|(n, _)| n == name);
                    left.extend(same.map(|(_, value)| (line.replacen(&format!("${name}"), value, 1), depth + 1)));
                }
            }
        }
    }
    out
}

/// The paths in those folders that a script names.
fn paths(script: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_./-*$".contains(c);
    let mut found = BTreeSet::new();
    for line in expanded(script) {
        for folder in FOLDERS {
            for (at, _) in line.match_indices(folder) {
                if line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_./".contains(c)) {
                    continue;
                }
                let rest = &line[at..];
                let path = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
                // A pattern, or a part that is known only when it runs, stands for what is in the folder before it.
                let path = path.find(['*', '$']).map_or(path, |at| &path[..path[..at].rfind('/').unwrap_or(at)]);
                let path = path.trim_end_matches(['/', '.']).trim_end_matches(".new");
                if path == folder || path.starts_with(&format!("{folder}/")) {
                    found.insert(path.to_owned());
                }
            }
        }
    }
    found
}

fn path(row: &ExchangedFile) -> String {
    row.path().display().to_string()
}

/// Where table and scripts differ.
fn differences(table: &[(&str, ExchangedFile)], scripts: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let named: BTreeMap<_, _> = scripts.iter().map(|(name, text)| (name.as_str(), paths(text))).collect();
    let is_in = |path: &str, folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
    for (script, paths) in &named {
        for found in paths {
            let row = table.iter().find(|(_, row)| is_in(found, &path(row)));
            match row {
                Some((id, row)) if !row.writers.iter().chain(row.readers).any(|p| p == script) => {
                    wrong.push(format!("{script} uses {found}, and {id} does not say so"));
                }
                // A folder that holds some of them.
                None if !is_in(found, SYSTEM) && !table.iter().any(|(_, row)| is_in(&path(row), found)) => {
                    wrong.push(format!("{script} uses {found}, which the table does not know"));
                }
                _ => {}
            }
        }
    }
    for (id, row) in table {
        for party in row.writers.iter().chain(row.readers).filter(|p| !OTHERS.contains(p)) {
            match named.get(party) {
                None => wrong.push(format!("{id}: there is no script or unit {party}")),
                Some(paths) if !paths.iter().any(|found| is_in(found, &path(row))) => {
                    wrong.push(format!("{id}: {party} does not name {}", path(row)));
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

/// Rust code of the product, without comments and tests.
fn code() -> Vec<(String, String)> {
    let product = files("src", &["rs"]).into_iter().filter(|(short, _)| !short.contains("test"));
    let code = product.map(|(short, path)| {
        let text = text(&path);
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
        (short, lines.collect::<Vec<_>>().join("\n"))
    });
    code.collect()
}

#[test]
fn scripts_and_table_name_the_same_files() {
    let scripts = scripts();
    assert!(scripts.len() > 40, "where are the scripts?");
    none_of("files that perch and root scripts exchange", differences(ALL, &scripts));
}

#[test]
fn a_name_that_only_one_side_knows_is_found() {
    let mut changed = scripts();
    changed.insert(
        "stranger".into(),
        "dir=${PERCH_RUN:-/run/perch}\nfile=secret\n[ -e \"$dir/$file\" ] && cat $dir/boot".into(),
    );
    let said = differences(ALL, &changed).join("\n");
    assert!(said.contains("stranger uses /run/perch/secret, which the table does not know"), "{said}");
    assert!(said.contains("stranger uses /run/perch/boot, and BOOT does not say so"), "{said}");

    let mut renamed = scripts();
    for text in renamed.values_mut() {
        *text = text.replace("/run/perch/health", "/run/perch/healthy");
    }
    let said = differences(ALL, &renamed).join("\n");
    assert!(said.contains("trial-check uses /run/perch/healthy, which the table does not know"), "{said}");
    assert!(said.contains("HEALTH: trial-check does not name /run/perch/health"), "{said}");

    let said = differences(&ALL[1..], &scripts()).join("\n");
    assert!(said.contains("boot uses /run/perch/boot, which the table does not know"), "{said}");
}

#[test]
fn the_program_takes_these_names_from_the_table() {
    let mut offenders = Vec::new();
    let code = code();
    let literals: Vec<String> = FOLDERS
        .iter()
        .flat_map(|f| [format!("\"{f}\""), format!("\"{f}/"), format!("\"{}/", &f[1..])])
        .chain(ALL.iter().flat_map(|(_, row)| [format!("join(\"{}\")", row.name), format!("/{}\"", row.name)]))
        .collect();
    for (short, code) in code.iter().filter(|(short, _)| short != "src/domain/src/exchange.rs") {
        for line in code.lines() {
            let found = literals.iter().find(|l| line.contains(l.as_str()));
            offenders.extend(found.map(|l| format!("{short}: {l} in: {}", line.trim())));
        }
    }
    for (id, row) in ALL {
        let is_ours = row.writers.iter().chain(row.readers).any(|p| p.starts_with("perch") && OTHERS.contains(p));
        if is_ours && !code.iter().any(|(_, code)| code.contains(&format!("exchange::{id}"))) {
            offenders.push(format!("{id}: no code of ours names it"));
        }
    }
    none_of("names that the program says for itself", offenders);
}

#[test]
fn both_sides_mean_the_same_keys() {
    let scripts = scripts();
    let printed = |script: &str, first: &str| {
        let text = &scripts[script];
        let format = text.split("printf '").find(|f| f.starts_with(first)).and_then(|f| f.split('\'').next());
        format.unwrap_or_else(|| panic!("{script} prints no {first}")).replace("\\n", "\n")
    };
    let boot = BootFacts::parse(&printed("boot", "slot=").replace("%s", "1"));
    assert!(boot.trial && boot.slot.is_some() && boot.board.is_some() && boot.serial.is_some(), "{boot:?}");
    let last = printed("trial", "outcome=").replace("outcome=%s", "outcome=rolled_back").replace("%s", "1");
    let last = LastUpdate::parse(&last).expect("an outcome");
    assert!([&last.version, &last.from, &last.reason].iter().all(|v| *v == "1") && last.at.is_some(), "{last:?}");
    for (script, outcome) in
        [("boot", "trial updated"), ("boot", "trial rolled_back"), ("trial-check", "trial rolled_back")]
    {
        let word = outcome.trim_start_matches("trial ");
        assert!(scripts[script].contains(outcome), "{script} says {outcome}");
        assert!(LastUpdate::parse(&format!("outcome={word}\n")).is_some(), "{word}");
    }
}

#[test]
fn the_image_announces_the_port_of_the_page() {
    let scripts = scripts();
    assert!(scripts["perch.dnssd"].lines().any(|l| l == format!("Port={HTTPS_PORT}")), "perch.dnssd");
    assert!(scripts["perch-http.dnssd"].lines().any(|l| l == format!("Port={HTTP_PORT}")), "perch-http.dnssd");
    let plain = format!("plain_listen = \"0.0.0.0:{HTTP_PORT}\"");
    assert!(scripts["perch.toml"].lines().any(|l| l.starts_with(&plain)), "the package's perch.toml");
    assert!(perch_domain::setup::first_config(&[], "/data").contains(&plain), "the card's perch.toml");
    // A port below 1024 is had by this alone.
    let unit = &scripts["perch.service"];
    for set in ["CapabilityBoundingSet", "AmbientCapabilities"] {
        assert!(unit.lines().any(|l| l == format!("{set}=CAP_NET_BIND_SERVICE")), "{set}");
    }
}

#[test]
fn the_readme_shows_the_table() {
    let mut want = String::from("| file | written by | read by | what it says |\n| --- | --- | --- | --- |\n");
    for (_, row) in ALL {
        let (writers, readers) = (row.writers.join(", "), row.readers.join(", "));
        want.push_str(&format!("| `{}` | {writers} | {readers} | {} |\n", path(row), row.says));
    }
    let readme = text(&root().join("image/README.md"));
    assert!(readme.contains(&want), "image/README.md must hold this table:\n{want}");
    let card = text(&root().join("image/boards/bootsel/README.txt"));
    for (id, row) in ALL.iter().filter(|(_, row)| row.dir == SEL) {
        assert!(card.contains(row.name), "{id}: the card's own README.txt does not name {}", row.name);
    }
}
