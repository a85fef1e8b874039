//! What a supporter is given to look at: the state, the settings, the last of the log, in one archive, and no secret. What an owner wrote
//! where a secret might stand is left out: addresses but for their host, names of files, networks and people.

use flate2::Compression;
use flate2::write::GzEncoder;
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use perch_domain::log::LogLine;
use perch_domain::redact::describe_url;
use perch_domain::settings::changes::SettingsVersion;
use perch_domain::settings::named_files::names_a_file;
use perch_domain::summary::Status;
use perch_domain::system::SystemFacts;
use serde_json::{Value, json};
use std::io::Write;

/// Lines of the log that go along.
pub(crate) const LOG_LINES: usize = 4000;

/// What stands in place of what is left out.
const LEFT_OUT: &str = "…";

/// Keys whose value says nothing that helps and may say what is nobody's business.
const PRIVATE: [&str; 11] =
    ["dns_hook", "data_dir", "sha256", "username", "user", "by", "who", "ssid", "ssh_key", "path", "serial"];

/// What is told.
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) settings: Result<Value>,
    pub(crate) versions: Vec<SettingsVersion>,
    pub(crate) update: Value,
    pub(crate) system: SystemFacts,
    pub(crate) log: Vec<LogLine>,
    /// Names of people and devices, which the log may say; without them nothing of it goes along.
    pub(crate) names: Result<Vec<String>>,
    pub(crate) at: Timestamp,
}

/// Packs it: a tar archive (POSIX ustar), compressed.
pub(crate) fn pack(told: Told) -> Result<Vec<u8>> {
    let clean = |mut value: Value| {
        redact(&mut value);
        serde_json::to_string_pretty(&value).unwrap_or_default()
    };
    let of = |value: &dyn Fn() -> serde_json::Result<Value>| clean(value().unwrap_or_default());
    let settings = match told.settings {
        Ok(values) => clean(values),
        Err(e) => clean(json!({ "cannot be read": e.message() })),
    };
    let log = match &told.names {
        Ok(names) => log(&told.log, names),
        Err(e) => {
            format!("The log is left out: whose names it may say cannot be read: {}\n", without_private(e.message()))
        }
    };
    let files = [
        ("status.json", of(&|| serde_json::to_value(&told.status))),
        ("settings.json", settings),
        ("versions.json", of(&|| serde_json::to_value(&told.versions))),
        ("update.json", clean(told.update)),
        ("system.json", of(&|| serde_json::to_value(&told.system))),
        ("log.txt", log),
    ];
    let failed = |e: std::io::Error| Error::internal("a support bundle cannot be packed").with_source(e);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let at_s = told.at.0.max(0) as u64 / 1_000_000;
    for (name, text) in files {
        packed.write_all(&header(name, text.len() as u64, at_s)).map_err(failed)?;
        packed.write_all(text.as_bytes()).map_err(failed)?;
        packed.write_all(&[0; BLOCK][..(BLOCK - text.len() % BLOCK) % BLOCK]).map_err(failed)?;
    }
    packed.write_all(&[0; 2 * BLOCK]).map_err(failed)?;
    packed.finish().map_err(failed)
}

/// The log, the oldest line first, without these names.
fn log(lines: &[LogLine], names: &[String]) -> String {
    let nameless = |text: &str| {
        let names = names.iter().filter(|name| name.len() > 2);
        names.fold(without_people(&without_private(text)), |text, name| text.replace(name.as_str(), LEFT_OUT))
    };
    let line = |line: &LogLine| {
        let camera = line.camera.as_deref().unwrap_or("-");
        format!("{} {:?} {camera} {}\n", line.at, line.level, nameless(&line.text))
    };
    lines.iter().rev().map(line).collect()
}

/// Blocks of an archive, bytes.
const BLOCK: usize = 512;

/// The header of a file (POSIX.1-1988, ustar).
fn header(name: &str, bytes: u64, at_s: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, format!("perch-support/{name}").as_bytes());
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{bytes:011o}\0").as_bytes());
    put(136, format!("{at_s:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Leaves out what is private, wherever it stands.
fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, inner) in members.iter_mut() {
                if (PRIVATE.contains(&key.as_str()) || names_a_file(key)) && !inner.is_null() {
                    *inner = LEFT_OUT.into();
                } else {
                    redact(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) => *text = without_private(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A line of the log without those whom its fields name, who may be no more.
fn without_people(text: &str) -> String {
    const FIELDS: [&str; 6] = ["(user: ", ", user: ", "(by: ", ", by: ", "(of: ", ", of: "];
    FIELDS.iter().fold(text.to_owned(), |text, field| {
        let Some((before, rest)) = text.split_once(field) else { return text };
        let end = rest.find([',', ')']).unwrap_or(rest.len());
        format!("{before}{field}{LEFT_OUT}{}", &rest[end..])
    })
}

/// A text without addresses' paths and without names of files.
fn without_private(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(word).collect()
}

fn word(word: &str) -> String {
    let bare = word.trim_end();
    let space = &word[bare.len()..];
    if let Some(at) = bare.find("://") {
        let begins = bare[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |n| n + 1);
        let (before, url) = if bare.is_char_boundary(begins) { bare.split_at(begins) } else { ("", bare) };
        return format!("{before}{}{space}", describe_url(url));
    }
    // Of a file no more than that there is one.
    match bare.find('/').filter(|at| bare.len() - at > 3 && !bare.contains("://")) {
        Some(at) => format!(
            "{}{LEFT_OUT}{space}",
            bare.get(..bare[..at].rfind([':', '"', '\'', '(', '=']).map_or(0, |n| n + 1)).unwrap_or("")
        ),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_private_is_left_out_wherever_it_stands() {
        for (text, want) in [
            ("file:/home/me/S3CRET.mp4", "file:…"),
            ("cannot open \"/data/S3CRET/x\": no", "cannot open \"… no"),
            ("rtsp://me:S3CRET@cam:554/S3CRET?a=S3CRET failed", "rtsp://cam:554/… failed"),
            ("15 of 30 pictures a second", "15 of 30 pictures a second"),
            ("an/b", "an/b"),
        ] {
            let got = without_private(text);
            assert!(!got.contains("S3CRET"), "{got}");
            if !want.is_empty() {
                assert_eq!(got, want);
            }
        }
        for (text, want) in [
            ("an account was made (user: S3CRET, role: admin)", "an account was made (user: …, role: admin)"),
            (
                "switched off (camera: door, by: Person(\"S3CRET\"), until: None)",
                "switched off (camera: door, by: …), until: None)",
            ),
            ("the settings were changed (by: S3CRET)", "the settings were changed (by: …)"),
            ("camera is live (camera: door)", "camera is live (camera: door)"),
        ] {
            assert_eq!(without_people(text), want);
        }
        let mut value = json!({"box": {"data_dir": "/S3CRET"}, "webrtc": {"turn": [{"secret_file": "S3CRET", "url": "turn:h"}]},
            "camera": [{"source": "rtsp://me:{password}@cam/S3CRET", "name": "Door"}], "list": ["/a/b/S3CRET"]});
        redact(&mut value);
        assert!(!value.to_string().contains("S3CRET") && value.to_string().contains("turn:h"), "{value}");
    }

    #[test]
    fn the_archive_is_one() {
        let header = header("status.json", 5, 1_800_000_000);
        let sum: u32 =
            header.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) }).sum();
        assert_eq!(&header[148..154], format!("{sum:06o}").as_bytes());
        assert_eq!(&header[124..135], b"00000000005");
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&header).expect("packed");
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&packed.finish().expect("packed")[..]).read_to_end(&mut back).expect("unpacked");
        assert_eq!(back, header);
    }
}
