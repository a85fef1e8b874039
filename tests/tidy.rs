//! The shape of the repository: floors, file headers, lengths. What Cargo and rustc do not refuse is refused here.

#[path = "tidy/exchange.rs"]
mod exchange;
#[path = "tidy/packages.rs"]
mod packages;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest source file without its tests, longest file of tests, and longest `main.rs`, in lines.
const LONGEST: usize = 600;
const LONGEST_TESTS: usize = 700;
const LONGEST_MAIN: usize = 130;

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 9] =
    ["target", "node_modules", "dist", "generated", ".git", ".svelte-kit", "coverage", "test-results", "cache"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `dir` that has one of these extensions (none given: every file), by path from the root.
fn files(dir: &str, extensions: &[&str]) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut left = vec![root().join(dir)];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let kind = entry.file_type().expect("its kind is known");
            if kind.is_dir() && !FOREIGN.contains(&name.as_str()) {
                left.push(path);
            } else if kind.is_file() {
                let extension = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
                if extensions.is_empty() || extensions.contains(&extension.as_str()) {
                    let short = path.strip_prefix(root()).expect("below the root").display().to_string();
                    found.push((short, path));
                }
            }
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[track_caller]
fn none_of(what: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{what}:\n  {}", offenders.join("\n  "));
}

/// The crates of the workspace below `folder`: `src/`, the product, or `tests/`, which helps its tests.
fn members(folder: &str) -> Vec<String> {
    let workspace: toml::Table = text(&root().join("Cargo.toml")).parse().expect("TOML");
    let all = workspace["workspace"]["members"].as_array().expect("a list").iter().map(|m| m.as_str().expect("a path"));
    assert!(all.clone().all(|m| m.starts_with("src/") || m.starts_with("tests/")), "a crate lies in src/ or tests/");
    all.filter_map(|member| member.strip_prefix(folder)).map(str::to_owned).collect()
}

/// The crates of the product below the root, each with what it may import of the others. An adapter never imports another: they
/// meet in `domain`.
fn floors() -> BTreeMap<String, Vec<&'static str>> {
    members("src/")
        .into_iter()
        .map(|krate| {
            let allowed = match krate.as_str() {
                "base" => vec![],
                "domain" => vec!["base"],
                _ => vec!["base", "domain"],
            };
            (krate, allowed)
        })
        .collect()
}

/// The dependency names of a crate by its folder, of all kinds but those for tests only.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest: toml::Table = text(&root().join(folder).join("Cargo.toml")).parse().expect("TOML");
    let mut names = Vec::new();
    let mut take = |table: Option<&toml::Value>| {
        names.extend(table.and_then(toml::Value::as_table).into_iter().flat_map(|t| t.keys().cloned()));
    };
    take(manifest.get("dependencies"));
    take(manifest.get("build-dependencies"));
    for target in manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(|t| t.values()) {
        take(target.get("dependencies"));
    }
    names
}

#[test]
fn imports_run_down_only() {
    let floors = floors();
    let mut offenders = Vec::new();
    for (krate, allowed) in &floors {
        for name in dependencies(&format!("src/{krate}")) {
            if let Some(other) = name.strip_prefix("perch-").filter(|o| !allowed.contains(o)) {
                offenders.push(format!("src/{krate}/Cargo.toml depends on perch-{other}"));
            }
            if name == "perch" {
                offenders.push(format!("src/{krate}/Cargo.toml depends on the root"));
            }
        }
        for (short, path) in files(&format!("src/{krate}"), &["rs"]) {
            for (n, line) in text(&path).lines().enumerate() {
                let upward = floors.keys().filter(|o| *o != krate && !allowed.contains(&o.as_str()));
                let names = |other: &&String| {
                    line.contains(&format!("perch_{other}::")) || line.contains(&format!("perch_{other};"))
                };
                offenders.extend(upward.filter(names).map(|other| format!("{short}:{}: imports perch_{other}", n + 1)));
            }
        }
    }
    none_of("imports against the floors", offenders);
}

/// What helps tests may use all of the product; nothing of the product needs it but for its tests.
#[test]
fn crates_for_tests_are_for_tests() {
    let helpers: Vec<_> = members("tests/")
        .iter()
        .map(|krate| {
            let manifest: toml::Table =
                text(&root().join("tests").join(krate).join("Cargo.toml")).parse().expect("TOML");
            manifest["package"]["name"].as_str().expect("a name").to_owned()
        })
        .collect();
    let product = members("src/").into_iter().map(|krate| format!("src/{krate}")).chain([String::new()]);
    let offenders = product.flat_map(|folder| {
        let needed: Vec<_> = dependencies(&folder).into_iter().filter(|name| helpers.contains(name)).collect();
        needed.into_iter().map(move |name| format!("{folder}/Cargo.toml depends on {name} outside of tests"))
    });
    none_of("crates for tests in the product", offenders.collect());
}

#[test]
fn the_domain_touches_nothing() {
    const CRATES: [&str; 11] =
        ["tokio", "gstreamer", "rusqlite", "axum", "hyper", "str0m", "rustix", "libc", "socket2", "mp4-atom", "gio"];
    const PATHS: [&str; 13] = [
        "std::fs",
        "std::process",
        "std::thread::sleep",
        "std::env",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "UnixDatagram",
        "SystemTime::now",
        "Instant::now",
        "tokio::",
        "gstreamer::",
    ];
    let named = dependencies("src/domain");
    let mut offenders: Vec<_> =
        named.iter().filter(|n| CRATES.contains(&n.as_str())).map(|n| format!("depends on {n}")).collect();
    for (short, path) in files("src/domain/src", &["rs"]) {
        for (n, line) in text(&path).lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            // A file that was opened is handed through a port; opening it is what the domain may not do.
            let line = line.replace("std::fs::File,", "");
            offenders.extend(PATHS.iter().filter(|p| line.contains(**p)).map(|p| format!("{short}:{}: {p}", n + 1)));
        }
    }
    none_of("the domain reaches out of itself", offenders);
}

#[test]
fn every_source_file_says_what_it_is() {
    let mut offenders = Vec::new();
    for (short, path) in ["src", "tests", "benches"].iter().flat_map(|dir| files(dir, &["rs"])) {
        if !text(&path).starts_with("//! ") {
            offenders.push(format!("{short}: must open with `//! ` and what lives there"));
        }
    }
    let page = |dir: &&str| files(dir, &["ts", "mjs", "svelte", "html"]);
    for (short, path) in ["web", "tests/web"].iter().flat_map(page) {
        let text = text(&path);
        let text = text.strip_prefix("<!doctype html>\n").unwrap_or(&text);
        if !["// ", "/** ", "/* ", "/*! ", "<!-- "].iter().any(|c| text.starts_with(c)) {
            offenders.push(format!("{short}: must open with a comment that says what lives there"));
        }
    }
    none_of("files without their opening line", offenders);
}

#[test]
fn every_pipeline_says_what_it_is_and_how_to_try_it() {
    let pipelines = files("pipelines", &["gst"]);
    assert!(pipelines.len() > 20, "where are the pipelines?");
    let mut offenders = Vec::new();
    for (short, path) in pipelines {
        let text = text(&path);
        let header: Vec<_> = text.lines().take_while(|l| l.starts_with('#')).collect();
        if !header.first().is_some_and(|l| l.starts_with("# purpose: ")) {
            offenders.push(format!("{short}: must begin with `# purpose: `"));
        }
        if !header.iter().any(|l| l.starts_with("# try: ")) {
            offenders.push(format!("{short}: has no `# try: ` command"));
        }
        let body: String = text.lines().filter(|l| !l.starts_with('#')).collect();
        // A list of GStreamer's own, `{ I420, NV12 }`, is no placeholder.
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let braces = body.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
        let used: Vec<_> = braces.filter(|name| is_name(name)).collect();
        let declared: Vec<_> =
            header.iter().filter_map(|l| l.strip_prefix("# param ")?.split_once(':').map(|(name, _)| name)).collect();
        offenders.extend(
            used.iter().filter(|u| !declared.contains(u)).map(|u| format!("{short}: `{{{u}}}` has no `# param {u}: `")),
        );
        offenders.extend(
            declared.iter().filter(|d| !used.contains(d)).map(|d| format!("{short}: the parameter {d} is not used")),
        );
    }
    none_of("pipeline files without their header", offenders);
}

#[test]
fn files_stay_small() {
    let main = text(&root().join("src/main.rs"));
    assert!(main.lines().count() <= LONGEST_MAIN, "src/main.rs is over {LONGEST_MAIN} lines");
    let sources =
        ["src", "tests", "benches", "web/src"].iter().flat_map(|dir| files(dir, &["rs", "ts", "svelte", "css"]));
    // What a program wrote is as long as it is.
    let ours = sources.filter(|(short, _)| !short.ends_with("api-types.ts") && !short.ends_with(".d.ts"));
    let long = ours.filter_map(|(short, path)| {
        let text = text(&path);
        let is_tests = is_test(&short) || short.starts_with("tests/") || short.ends_with(".test.ts");
        let (code, limit) = if is_tests { (&*text, LONGEST_TESTS) } else { (without_tests(&text), LONGEST) };
        let lines = code.lines().count();
        (lines > limit).then(|| format!("{short}: {lines} lines, of {limit}"))
    });
    none_of("files that ask to be two", long.collect());
}

#[test]
fn nothing_knows_the_machine_it_was_built_on() {
    let checkout = format!("{}/", root().display());
    let home = std::env::var("HOME").map(|h| format!("{h}/.")).unwrap_or_else(|_| checkout.clone());
    let above = root()
        .parent()
        .map(|p| format!("{}/", p.display()))
        .filter(|p| p.len() > 4)
        .unwrap_or_else(|| checkout.clone());
    let mut offenders = Vec::new();
    let mut all: Vec<_> = ["src", "tests", "benches", "pipelines", "web", "cross", "image", "docs"]
        .iter()
        .flat_map(|d| files(d, &[]))
        .collect();
    for entry in std::fs::read_dir(root()).into_iter().flatten().flatten().filter(|e| e.path().is_file()) {
        all.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    for (short, path) in all {
        // Pictures and fonts are no text.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (n, line) in text.lines().enumerate() {
            if [&checkout, &home, &above].iter().any(|p| line.contains(p.as_str())) {
                offenders.push(format!("{short}:{}: {}", n + 1, line.trim().chars().take(100).collect::<String>()));
            }
        }
    }
    none_of("absolute paths of this machine", offenders);
}

#[test]
fn unsafe_code_stands_where_it_is_needed() {
    let workspace: toml::Table = text(&root().join("Cargo.toml")).parse().expect("TOML");
    let lint = workspace["workspace"]["lints"]["rust"].get("unsafe_code").and_then(toml::Value::as_str);
    assert_eq!(lint, Some("deny"), "where unsafe code is needed, its module says why");
    let mut offenders = Vec::new();
    let crates: Vec<String> = floors().into_keys().map(|krate| format!("src/{krate}/src")).collect();
    for top in crates.iter().cloned().chain(["src".to_owned()]) {
        let of_others = |short: &str| top == "src" && floors().keys().any(|k| short.starts_with(&format!("src/{k}/")));
        let ours: Vec<_> = files(&top, &["rs"]).into_iter().filter(|(short, _)| !of_others(short)).collect();
        let is_excepted = ours.iter().any(|(_, path)| text(path).contains("#[expect(unsafe_code, reason = "));
        for (short, path) in &ours {
            let text = text(path);
            let is_root = short == &format!("{top}/lib.rs") || short == &format!("{top}/main.rs");
            let is_needed = is_excepted && short.ends_with("/lib.rs");
            if is_root && !is_needed && !text.contains("\n#![forbid(unsafe_code)]\n") {
                offenders.push(format!("{short}: must forbid unsafe code, for it has none"));
            }
            for (n, line) in text.lines().enumerate().filter(|(_, l)| l.contains("(unsafe_code")) {
                let known = ["#![forbid(unsafe_code)]", "#[expect(unsafe_code, reason = "];
                if !known.iter().any(|k| line.trim_start().starts_with(k)) {
                    offenders.push(format!(
                        "{short}:{}: allows unsafe code without saying why: {}",
                        n + 1,
                        line.trim()
                    ));
                }
            }
        }
    }
    none_of("unsafe code", offenders);
}

#[test]
fn no_test_is_left_out() {
    let mut offenders = Vec::new();
    for (short, path) in ["src", "tests"].iter().flat_map(|dir| files(dir, &["rs"])) {
        let mut in_block = false;
        for (n, line) in text(&path).lines().enumerate() {
            let line = line.trim();
            let block =
                line.strip_prefix("///").or(line.strip_prefix("//!")).and_then(|l| l.trim().strip_prefix("```"));
            // Nobody runs rustdoc: what is shown as code must be a test, and what is none says `text`.
            let example = !in_block && block.is_some_and(|kind| kind != "text");
            in_block ^= block.is_some();
            if example || line == "#[ignore]" || line.starts_with("todo!(") || line.starts_with("unimplemented!(") {
                offenders.push(format!("{short}:{}: {line}", n + 1));
            }
        }
    }
    none_of("tests left out without a reason, or code that waits for another day", offenders);
}

/// A source file up to its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("\nmod tests {").next().unwrap_or(text)
}

/// Whether a source file is one of tests, benches or examples.
fn is_test(short: &str) -> bool {
    ["/tests/", "/examples/"].iter().any(|dir| short.contains(dir)) || short.ends_with("tests.rs")
}

/// Names that several modules give to their public types, and that are read with their module: `rtsp::Server`.
const SHARED_NAMES: [&str; 11] =
    ["Command", "Config", "Error", "Input", "Output", "Places", "Server", "SliceHead", "Sps", "State", "Step"];

#[test]
fn public_types_have_names_of_their_own() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (short, path) in files("src", &["rs"]).into_iter().filter(|(short, _)| !is_test(short)) {
        for line in text(&path).lines().take_while(|line| *line != "#[cfg(test)]") {
            let mut words = line.split_whitespace();
            let is_type =
                words.next() == Some("pub") && matches!(words.next(), Some("struct" | "enum" | "trait" | "type"));
            let Some(name) = words.next().filter(|_| is_type) else { continue };
            let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
            let home = homes.entry(name).or_default();
            // A GObject's wrapper and what it wraps are one type.
            if !home.contains(&short) {
                home.push(short.clone());
            }
        }
    }
    homes.retain(|name, home| home.len() > 1 && !SHARED_NAMES.contains(&name.as_str()));
    let shared = homes.iter().map(|(name, home)| format!("{name}: {}", home.join(", ")));
    none_of("public types that share a name", shared.collect());
}

/// Waits and limits go by the clock that is handed in, so that tests turn time by hand. A file that goes by the machine's own says
/// why in a comment that begins with `Real time`; tasks and capture never do.
#[test]
fn time_goes_by_the_clock_or_a_comment_says_why() {
    const WORDS: [&str; 5] =
        ["tokio::time::", "Instant::now", "SystemTime::now", "recv_timeout(", "timeout_source_new("];
    let mut offenders = Vec::new();
    for (short, path) in files("src", &["rs"]) {
        // The clock itself.
        if is_test(&short) || short == "src/base/src/clock.rs" {
            continue;
        }
        let text = text(&path);
        let code = without_tests(&text);
        let never = ["src/tasks/", "src/media/src/capture/"].iter().any(|dir| short.starts_with(dir));
        if code.contains("// Real time") && !never {
            continue;
        }
        for (n, line) in code.lines().enumerate() {
            let is_code = !line.trim_start().starts_with("//");
            if is_code && WORDS.iter().any(|word| line.contains(word)) {
                offenders.push(format!("{short}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    none_of("time that is not the clock's", offenders);
}

/// Everybody else takes the part of the store that it needs, so that its imports say who may come near accounts.
#[test]
fn the_whole_store_stays_where_the_box_is_put_together() {
    let mut offenders = Vec::new();
    for (short, path) in files("src", &["rs"]) {
        let may =
            ["src/app.rs", "src/commands/", "src/setup/", "src/store/"].iter().any(|place| short.starts_with(place));
        if may || is_test(&short) {
            continue;
        }
        for (n, line) in text(&path).lines().enumerate().filter(|(_, line)| line.contains("perch_store::")) {
            if line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "Store") {
                offenders.push(format!("{short}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    none_of("the whole store handed on", offenders);
}

/// The leaves of a `use`: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn leaves(tree: &str) -> Vec<String> {
    let Some((before, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return vec![path.trim().to_owned()];
    };
    let list = list.rsplit_once('}').map_or(list, |(list, _)| list);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("there is one").push(c);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| leaves(part.trim())).map(|leaf| format!("{}{leaf}", before.trim())).collect()
}

/// The word that a text begins with.
fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The methods of types that a file's code lets others call, those of traits aside: type and name.
fn methods(code: &str) -> Vec<(String, String)> {
    let (mut of, mut out) = (None, Vec::new());
    for line in code.lines() {
        if let Some(head) = line.strip_prefix("impl") {
            let head = if head.starts_with('<') { head.split_once("> ").map_or("", |(_, rest)| rest) } else { head };
            of = (!head.contains(" for ")).then(|| word(head.trim_start()));
        } else if line == "}" {
            of = None;
        } else if let (Some(of), Some((_, name))) =
            (&of, line.strip_prefix("    pub").and_then(|line| line.split_once("fn ")))
        {
            out.push((of.clone(), word(name)));
        }
    }
    out
}

/// One file of a crate.
#[derive(Default)]
struct Module {
    /// All the paths that it names, and those of them that it hands on under its own name.
    named: Vec<Vec<String>>,
    handed_on: Vec<Vec<String>>,
    /// The methods that others may call, each with its type, and the names of all methods that it calls.
    methods: Vec<(String, String)>,
    called: BTreeSet<String>,
}

impl Module {
    fn read(text: &str) -> Self {
        let (mut code, mut is_within) = (String::new(), false);
        for line in without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            // What lies above a module of the same file is this file.
            is_within = (is_within || (line.starts_with("mod ") && line.ends_with('{'))) && line != "}";
            code.push_str(&if is_within { line.replace("super::", "self::") } else { line.to_owned() });
            code.push('\n');
        }
        let parts = |path: &str| path.split("::").map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let (mut module, mut rest) = (Self { methods: methods(&code), ..Self::default() }, String::new());
        let called = code.match_indices('.').map(|(at, _)| (word(&code[at + 1..]), at + 1));
        module.called =
            called.filter(|(name, at)| code[at + name.len()..].starts_with('(')).map(|(name, _)| name).collect();
        let mut left = code.as_str();
        while let Some(at) = left.find("use ") {
            let begin = left[..at].rfind('\n').map_or(0, |n| n + 1);
            let word = left[begin..at].trim();
            // Only what stands at the begin of a line is one; `because use` in a text is none.
            let is_use = word.is_empty() || word == "pub" || (word.starts_with("pub(") && word.ends_with(')'));
            let end = if is_use { left[at..].find(';').map_or(left.len(), |n| at + n) } else { at + 4 };
            rest.push_str(&left[..if is_use { begin } else { end }]);
            if is_use {
                let named = leaves(&left[at + 4..end]).iter().map(|path| parts(path)).collect::<Vec<_>>();
                if !word.is_empty() {
                    module.handed_on.extend(named.clone());
                }
                module.named.extend(named);
            }
            left = &left[end..];
        }
        rest.push_str(left);
        let paths =
            rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').filter(|path| path.contains("::"));
        module.named.extend(paths.map(|path| parts(path.trim_matches(':'))));
        module
    }
}

/// The file in which what `path` names within the file `at` is written down: one that only hands it on is passed. `None` when it is
/// another crate's.
fn home_of<'m>(at: &[String], path: &[String], modules: &'m BTreeMap<Vec<String>, Module>) -> Option<&'m Vec<String>> {
    let (mut here, mut path) = (at.to_vec(), path);
    match path.first().map(String::as_str) {
        Some("crate") => (here, path) = (Vec::new(), &path[1..]),
        Some("self") => path = &path[1..],
        Some("super") => {}
        Some(child) if modules.contains_key(&[at, &[child.to_owned()]].concat()) => {}
        _ => return None,
    }
    while path.first().is_some_and(|part| part == "super") {
        here.pop();
        path = &path[1..];
    }
    while let Some(part) = path.first() {
        here.push(part.clone());
        if !modules.contains_key(&here) {
            here.pop();
            break;
        }
        path = &path[1..];
    }
    let (found, module) = modules.get_key_value(&here)?;
    let handed_on = path.first().and_then(|name| module.handed_on.iter().find(|p| p.last() == Some(name)));
    let further = handed_on.filter(|further| here != at || *further != path);
    further.and_then(|further| home_of(&here, further, modules)).or(Some(found))
}

/// Where the methods are of types that several files add methods to: who calls one uses that file, though no path names it. A name
/// that several files give to a method says nothing.
fn homes_of_methods(modules: &BTreeMap<Vec<String>, Module>) -> BTreeMap<&str, &Vec<String>> {
    let mut files: BTreeMap<&str, BTreeSet<&Vec<String>>> = BTreeMap::new();
    let mut homes: BTreeMap<&str, BTreeSet<(&str, &Vec<String>)>> = BTreeMap::new();
    for (m, module) in modules {
        for (of, name) in &module.methods {
            files.entry(of).or_default().insert(m);
            homes.entry(name).or_default().insert((of, m));
        }
    }
    let split = homes.into_iter().filter_map(|(name, homes)| {
        let (of, home) = homes.iter().next().filter(|_| homes.len() == 1)?;
        (files[of].len() > 1).then_some((name, *home))
    });
    split.collect()
}

/// A file may use what is written down in another one or in one below it, and none of them in turn what is written down in it: not a
/// folder's own file either, which may hand on all that lies in the folder.
#[test]
fn modules_form_no_circle() {
    let mut offenders = Vec::new();
    let crates = floors().into_keys().map(|krate| format!("src/{krate}/src"));
    for top in crates.chain(["src".to_owned()]) {
        let modules: BTreeMap<Vec<String>, Module> = files(&top, &["rs"])
            .into_iter()
            // Below the root's folder lie the crates; programs and tests are not modules.
            .filter(|(short, _)| top != "src" || !floors().keys().any(|k| short.starts_with(&format!("src/{k}/"))))
            .filter(|(short, _)| !short.contains("test") && !short.ends_with("/main.rs"))
            .map(|(short, path)| {
                let inner = short[top.len() + 1..].trim_end_matches(".rs");
                let module = inner.split('/').filter(|p| *p != "lib" && *p != "mod").map(str::to_owned).collect();
                (module, Module::read(&text(&path)))
            })
            .collect();
        let by_method = homes_of_methods(&modules);
        let uses: BTreeMap<_, Vec<_>> = modules
            .iter()
            .map(|(m, module)| {
                let named = module.named.iter().filter_map(|path| home_of(m, path, &modules));
                let called = module.called.iter().filter_map(|name| by_method.get(&**name).copied());
                (m, named.chain(called).filter(|other| *other != m).collect())
            })
            .collect();
        let mut reached: BTreeMap<&Vec<String>, Vec<&Vec<String>>> = BTreeMap::new();
        for start in modules.keys() {
            let (mut seen, mut left) = (Vec::new(), uses[start].clone());
            while let Some(next) = left.pop() {
                if !seen.contains(&next) {
                    seen.push(next);
                    left.extend(&uses[next]);
                }
            }
            reached.insert(start, seen);
        }
        for start in modules.keys() {
            let circle: Vec<_> = reached[start].iter().filter(|m| reached[*m].contains(&start)).collect();
            // Said once, at the first of its modules.
            if !circle.is_empty() && circle.iter().all(|m| **m >= start) {
                let mut names: Vec<_> = circle.iter().map(|m| m.join("::")).collect();
                names.sort();
                offenders.push(format!("{top}: {}", names.join(", ")));
            }
        }
    }
    none_of("modules that use each other in a circle", offenders);
}
