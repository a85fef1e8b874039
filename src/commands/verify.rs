//! `perch verify`: exports and copies against what the box signed of them, on any machine, without the box.

use perch_base::files::{Links, read_small};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::archive::TimeRange;
use perch_domain::evidence::{
    CopiedFile, FoundManifest, KeyTrust, MAX_STATEMENT_BYTES, ManifestGap, Statement, StatementHead, Verified,
    check_export, export_box, verify,
};
use perch_domain::sync::keys::{parse_copied, parse_manifest_number};
use perch_store::content_hash;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Folders in each other, and files, that are looked at.
const DEEPEST: usize = 12;
const MOST_FILES: usize = 4_000_000;
/// Lines of one kind that are printed.
const MOST_LINES: usize = 200;

/// What is asked.
pub struct VerifyAsk<'a> {
    /// A file or a folder.
    pub path: &'a Path,
    /// Whose word is taken: a key, or its short form.
    pub key: Option<&'a str>,
    /// Only what begins from here on is demanded ...
    pub from: Option<&'a str>,
    /// ... and before this moment.
    pub to: Option<&'a str>,
}

/// Prints what is found; fails when something is not as the box signed it.
pub fn run(asked: &VerifyAsk<'_>) -> Result<ExitCode> {
    let trust = asked.key.map_or(Ok(KeyTrust::Any), |text| {
        KeyTrust::parse(text)
            .ok_or_else(|| Error::invalid("--key: a box's key is 64 hex digits, or the first 16 of its hash"))
    })?;
    let time = |text: Option<&str>, none: i64| text.map_or(Ok(Timestamp(none)), Timestamp::parse);
    let range = match (asked.from, asked.to) {
        (None, None) => None,
        (from, to) => {
            let (from, to) = (time(from, i64::MIN)?, time(to, i64::MAX)?);
            perch_domain::archive::check_order(from, to)?;
            Some(TimeRange { from, to })
        }
    };
    let path = asked.path;
    let failed = || format!("{} cannot be read", path.display());
    if std::fs::metadata(path).context(ErrorKind::Io, failed)?.is_dir() {
        let is_well = check_folder(path, trust, range)?;
        return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    match path.extension().is_some_and(|e| e == "jsonl") {
        true => manifest(path, trust),
        false => export(path, trust),
    }
}

fn wrong(what: &str) -> Result<ExitCode> {
    say!("Wrong: {what}");
    Ok(ExitCode::FAILURE)
}

fn foreign(statement: &Statement) -> String {
    format!("it is signed by another box, {} (key {})", statement.head.key().box_id(), statement.head.key())
}

fn export(path: &Path, trust: KeyTrust) -> Result<ExitCode> {
    let failed = || format!("{} cannot be read", path.display());
    let file = File::open(path).context(ErrorKind::Io, failed)?;
    let file_bytes = file.metadata().context(ErrorKind::Io, failed)?.len();
    let read = |at: u64| {
        let mut out = [0; 32];
        let bytes = usize::try_from((file_bytes - at).min(32)).unwrap_or(32);
        file.read_exact_at(&mut out[..bytes], at).map(|()| out)
    };
    let found = export_box(file_bytes, read).context(ErrorKind::Io, failed)?;
    let Some(found) = found.filter(|found| found.statement_bytes <= MAX_STATEMENT_BYTES) else {
        return wrong(
            "it carries nothing that a box signed at its end: it is no export, was not received whole, or was made anew on its way \
             (messengers do that to videos; send it as a file)",
        );
    };
    let mut statement = vec![0; usize::try_from(found.statement_bytes).unwrap_or(0)];
    file.read_exact_at(&mut statement, found.statement_at).context(ErrorKind::Io, failed)?;
    let media = content_hash((&file).take(found.media_bytes)).context(ErrorKind::Io, failed)?;
    let (head, statement) = match check_export(&statement, media) {
        Ok(checked) => checked,
        Err(e) => return wrong(e.message()),
    };
    if !trust.includes(head.key) {
        return wrong(&foreign(&statement));
    }
    say!("This is what the box exported: camera {}, {} to {}, on {}.", head.camera, head.from, head.to, head.made_at);
    say!(
        "It was made from {} recordings; each stands with its SHA-256 in the manifest of its hour.",
        statement.recordings().count()
    );
    signed_by(&statement, trust);
    gaps(statement.gaps());
    Ok(ExitCode::SUCCESS)
}

fn manifest(path: &Path, trust: KeyTrust) -> Result<ExitCode> {
    let statement = match read_small(path, MAX_STATEMENT_BYTES, Links::Follow).and_then(|bytes| Statement::read(&bytes))
    {
        Ok(statement) => statement,
        Err(e) => return wrong(e.message()),
    };
    let StatementHead::Manifest(head) = &statement.head else { return wrong("it is about an export") };
    if !trust.includes(head.key) {
        return wrong(&foreign(&statement));
    }
    say!("Manifest {}: {} to {}, {} recordings.", head.number, head.from, head.to, statement.recordings().count());
    signed_by(&statement, trust);
    gaps(statement.gaps());
    say!(
        "Whether the recordings are as it says, `perch verify` tells of the folder that holds them and their manifests."
    );
    Ok(ExitCode::SUCCESS)
}

fn signed_by(statement: &Statement, trust: KeyTrust) {
    let key = statement.head.key();
    say!("It is signed by box {}, key {key}.", key.box_id());
    if trust == KeyTrust::Any {
        say!("That this is your box's key, only you can say: `perch verify --key {key}` asks for it.");
    }
}

fn gaps<'a>(gaps: impl Iterator<Item = &'a ManifestGap>) {
    let gaps: Vec<_> = gaps.collect();
    if gaps.is_empty() {
        say!("It names no gap.");
    }
    let lines = gaps.iter().map(|gap| {
        let cause = serde_json::to_string(&gap.cause).unwrap_or_default();
        format!("camera {}, {} to {}: {}", gap.camera, gap.start, gap.end, cause.trim_matches('"').replace('_', " "))
    });
    list("Not recorded, by the box's own word", lines.collect());
}

fn list(title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    say!("{title} ({}):", lines.len());
    for line in lines.iter().take(MOST_LINES) {
        say!("  {line}");
    }
    if lines.len() > MOST_LINES {
        say!("  and {} more", lines.len() - MOST_LINES);
    }
}

/// Prints what is found in a folder; whether all of it is as the box signed it.
pub fn check_folder(root: &Path, trust: KeyTrust, range: Option<TimeRange>) -> Result<bool> {
    let mut found = Found::default();
    found.walk(root, root, 0)?;
    let Found { manifests, recordings, unfinished, encrypted, .. } = found;
    let v = verify(trust, range, manifests, &recordings);
    for key in &v.keys {
        say!("Signed by box {}, key {key}.", key.box_id());
    }
    let Verified { manifests, whole, gaps: named, not_covered, doubts, .. } = v;
    for chain in manifests.chunk_by(|(a, _), (b, _)| a == b) {
        if let [(_, first), ..] = chain
            && let [.., (_, last)] = chain
        {
            say!("Manifests: {}, from {first} to {last}.", chain.len());
        }
    }
    say!("Recordings that are as they were recorded: {whole}.");
    if !manifests.is_empty() {
        gaps(named.iter());
    }
    list("From a time that no manifest here is about, so nothing is known of them", not_covered);
    list("Pieces of recordings that were not finished, which no manifest is about", unfinished);
    if encrypted > 0 {
        say!("Encrypted files, which were not looked at: {encrypted}. Decrypt them first.");
    }
    let is_well = doubts.is_empty();
    list("Wrong", doubts.iter().map(ToString::to_string).collect());
    Ok(is_well)
}

/// What lies in a folder.
#[derive(Default)]
struct Found {
    manifests: Vec<FoundManifest>,
    recordings: Vec<CopiedFile>,
    unfinished: Vec<String>,
    encrypted: usize,
    looked_at: usize,
}

impl Found {
    /// No link is followed: a folder that somebody else made is not to lead elsewhere.
    fn walk(&mut self, root: &Path, dir: &Path, depth: usize) -> Result<()> {
        let failed = || format!("{} cannot be read", dir.display());
        let mut entries: Vec<_> =
            std::fs::read_dir(dir).and_then(Iterator::collect::<std::io::Result<_>>).context(ErrorKind::Io, failed)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().context(ErrorKind::Io, failed)?);
            self.looked_at += 1;
            if depth >= DEEPEST || self.looked_at > MOST_FILES {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    "there are too many folders or files in it: name one that is smaller",
                ));
            }
            if kind.is_dir() {
                self.walk(root, &path, depth + 1)?;
            } else if kind.is_file() {
                self.take(root, path)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, root: &Path, path: PathBuf) -> Result<()> {
        let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        match path.extension().and_then(|e| e.to_str()) {
            Some("age") => self.encrypted += 1,
            Some("jsonl") => {
                let read =
                    read_small(&path, MAX_STATEMENT_BYTES, Links::Refuse).and_then(|bytes| Statement::read(&bytes));
                let read = read.map_err(|e| e.message().to_owned());
                self.manifests.push(FoundManifest { named: parse_manifest_number(&file), file, read });
            }
            Some("mp4")
                if file.contains("Z-parts/") || file.contains("Z-small/") || file.ends_with("-unfinished.mp4") =>
            {
                self.unfinished.push(file)
            }
            Some("mp4") => {
                let failed = || format!("{} cannot be read", path.display());
                let content = File::open(&path).context(ErrorKind::Io, failed)?;
                let (_, sha256) = content_hash(content).context(ErrorKind::Io, failed)?;
                self.recordings.push(CopiedFile { named: parse_copied(&file), file, sha256 });
            }
            _ => {}
        }
        Ok(())
    }
}
