//! `perch restore`: copies brought back into a folder, or into a box that is refilled, and checked.

use super::verify;
use crate::cli::{RestoreArgs, RestoreSource};
use crate::config::Config;
use crate::restore::bucket::CopyBucket;
use crate::restore::folder::CopyFolder;
use crate::restore::{Brought, CopySource, Destination, IntoBox, OutFolder, fetch, look};
use perch_base::age::AgeIdentity;
use perch_base::clock::SystemClock;
use perch_base::files::{Links, read_small};
use perch_base::ids::CameraId;
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_cloud::S3Store;
use perch_domain::archive::TimeRange;
use perch_domain::media::Stream;
use perch_domain::sync::keys::{BoxId, CopyName};
use perch_domain::sync::restore::{RestoreAsk, RestorePlan, ToFetch, Unfinished};
use perch_domain::sync::target::{GivenTarget, SyncTarget};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// The largest file of secret keys.
const MAX_IDENTITY_BYTES: u64 = 64 * 1024;
/// The largest file of a store's key, or of certificates.
const MAX_KEY_BYTES: u64 = 256 * 1024;

/// Brings back, checks, and says what came of it; fails when anything is missing or wrong.
pub fn run(config: Option<&Path>, args: &RestoreArgs) -> Result<ExitCode> {
    let range = TimeRange::new(Timestamp::parse(&args.from)?, Timestamp::parse(&args.to)?)?;
    let camera = args.camera.as_deref().map(CameraId::new).transpose()?;
    let wrong_box = || Error::invalid("--box: a box's short form is 16 hex digits");
    let box_id = args.box_id.as_deref().map(|text| BoxId::parse(text).ok_or_else(wrong_box)).transpose()?;
    let identities = args.identity.as_deref().map_or(Ok(Vec::new()), read_identities)?;
    let ask = RestoreAsk { range, camera, box_id };
    let (mut source, prefix) = open(config, &args.source)?;
    let plan = look(&mut *source, &prefix, &ask, &identities)?;
    if plan.whole.is_empty() && plan.unfinished.is_empty() {
        let hidden =
            if identities.is_empty() { "; where names are encrypted, too, --identity FILE is needed" } else { "" };
        return Err(Error::not_found(format!("nothing that can be read is of this time{hidden}")));
    }
    if identities.is_empty() && plan.whole.iter().any(|one| one.is_sealed) {
        let why = "the copies are encrypted: --identity FILE names the file of the secret key (AGE-SECRET-KEY-1…)";
        return Err(Error::new(ErrorKind::Forbidden, why));
    }
    if args.list {
        list(&plan);
        return Ok(ExitCode::SUCCESS);
    }
    let to: Box<dyn Destination> = match &args.out {
        Some(out) => Box::new(OutFolder(out.clone())),
        None if plan.boxes.len() > 1 => {
            let boxes: Vec<_> = plan.boxes.iter().map(ToString::to_string).collect();
            return Err(Error::invalid(format!(
                "there are copies of several boxes: name one with --box ({})",
                boxes.join(", ")
            )));
        }
        None => Box::new(IntoBox(Config::load(config)?.data_dir)),
    };
    let brought = fetch(&mut *source, &plan, &identities, &*to);
    say(&brought);
    let mut is_well = brought.failed.is_empty();
    match &args.out {
        Some(out) => {
            for box_id in &brought.boxes {
                // Where nothing came there is nothing to check.
                if !out.join(box_id.to_string()).is_dir() {
                    continue;
                }
                let is_of_it = |one: &ToFetch| one.box_id == *box_id && matches!(one.name, CopyName::Manifest { .. });
                if !plan.whole.iter().any(is_of_it) {
                    say!(
                        "Of box {box_id} there is no manifest of this time (one is made twenty minutes after each hour): each file is as its name \
                         says by the hash in it, but nothing says that it is the box's, nor that none is missing."
                    );
                    continue;
                }
                say!("Checking what is from box {box_id}:");
                is_well &= verify::check_folder(&out.join(box_id.to_string()), (*box_id).into(), Some(range))?;
            }
        }
        None => say!("The box takes them in when it starts next, as recordings without events."),
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the copies lie, and what their names begin with.
fn open(config: Option<&Path>, given: &RestoreSource) -> Result<(Box<dyn CopySource>, String)> {
    let prefix = given.prefix.clone();
    if let Some(folder) = &given.folder {
        return Ok((Box::new(CopyFolder(folder.clone())), prefix.unwrap_or_default()));
    }
    let target = match (&given.endpoint, &given.bucket) {
        (Some(endpoint), Some(bucket)) => named(given, endpoint, bucket)?,
        _ => configured(Config::load(config)?.sync, given.store.as_deref())?,
    };
    let prefix = prefix.unwrap_or_else(|| target.prefix.clone());
    let bucket = CopyBucket::open(Arc::new(SystemClock), || S3Store::open(&target))?;
    Ok((Box::new(bucket), prefix))
}

fn named(given: &RestoreSource, endpoint: &str, bucket: &str) -> Result<SyncTarget> {
    let access = key(given.access_key_file.as_deref(), "AWS_ACCESS_KEY_ID", "--access-key-file")?;
    let secret = key(given.secret_key_file.as_deref(), "AWS_SECRET_ACCESS_KEY", "--secret-key-file")?;
    let (access_key, secret_key) = (access.expose(), secret.expose());
    let given_target = GivenTarget { endpoint, region: &given.region, bucket, prefix: "", access_key, secret_key };
    let mut target = SyncTarget::to_try(&given_target)?;
    target.ca_pem = given.ca_file.as_deref().map(|path| read_secret(path, "--ca-file")).transpose()?;
    Ok(target)
}

/// A store's key never stands on the command line, which everybody on the machine may read.
fn key(file: Option<&Path>, variable: &str, option: &str) -> Result<Secret> {
    if let Some(file) = file {
        return read_secret(file, option);
    }
    let missing =
        || Error::invalid(format!("the store's keys are missing: {option} FILE, or {variable} in the environment"));
    std::env::var(variable).map(Secret::new).map_err(|_| missing())
}

fn read_secret(path: &Path, option: &str) -> Result<Secret> {
    let bytes = read_small(path, MAX_KEY_BYTES, Links::Follow).map_err(|e| e.at(option.to_owned()))?;
    let text = String::from_utf8(bytes);
    text.map(Secret::new).map_err(|_| Error::invalid(format!("{option}: the file is not text")))
}

/// The one store of the config, or the one of this name.
fn configured(mut targets: Vec<SyncTarget>, name: Option<&str>) -> Result<SyncTarget> {
    let names: Vec<_> = targets.iter().map(SyncTarget::name).collect();
    if let Some(name) = name {
        targets.retain(|target| target.name() == name);
    }
    match (targets.pop(), names.is_empty()) {
        (Some(target), _) if targets.is_empty() => Ok(target),
        (_, true) => Err(Error::invalid(
            "where the copies lie is not said: --folder DIR, or --endpoint URL and --bucket NAME, or --config FILE with [[sync]]",
        )),
        _ => Err(Error::invalid(format!("the config has these stores: name one with --store ({})", names.join(", ")))),
    }
}

/// What there is, an hour of a camera a line: a month has thousands of recordings.
fn list(plan: &RestorePlan) {
    let mut hours: BTreeMap<_, [usize; 4]> = BTreeMap::new();
    let whole = plan.whole.iter().map(|one| (one, matches!(one.name, CopyName::Event { .. }) as usize));
    let whole = whole.filter(|(one, kind)| *kind == 1 || matches!(one.name, CopyName::Recording { .. }));
    let kind = |one: &Unfinished| 2 + usize::from(one.stream == Stream::Sub);
    let unfinished = plan.unfinished.iter().filter_map(|one| Some((one.parts.first()?, kind(one))));
    for (one, kind) in whole.chain(unfinished) {
        let hour = one.name.start().to_string().chars().take("2026-05-01T12".len()).collect::<String>();
        let camera = one.name.camera().map_or("", |camera| camera.as_str());
        hours.entry((one.box_id, camera.to_owned(), hour)).or_default()[kind] += 1;
    }
    for ((box_id, camera, hour), [recordings, events, unfinished, small]) in hours {
        let cut_short = if unfinished == 0 { String::new() } else { format!(", {unfinished} of them cut short") };
        let small = if small == 0 { String::new() } else { format!(", {small} in the small picture alone so far") };
        say!(
            "box {box_id}, camera {camera}, {hour}:00Z: {} recordings{cut_short}{small}; {events} events",
            recordings + unfinished
        );
    }
    let manifests = plan.whole.iter().filter(|one| matches!(one.name, CopyName::Manifest { .. })).count();
    say!("Manifests about this time and shortly before: {manifests}.");
}

fn read_identities(path: &Path) -> Result<Vec<AgeIdentity>> {
    let bytes = read_small(path, MAX_IDENTITY_BYTES, Links::Follow)?;
    let text = String::from_utf8(bytes).context(ErrorKind::Invalid, || "--identity: the file is not text")?;
    AgeIdentity::parse_file(&text).map_err(|e| e.at("--identity"))
}

fn say(brought: &Brought) {
    say!("Brought back: {} files; {} were there already.", brought.new, brought.there);
    for path in &brought.unfinished {
        say!("Put together of what arrived before the box was gone: {}", path.display());
    }
    for failed in &brought.failed {
        say!("Not brought back: {failed}");
    }
}
