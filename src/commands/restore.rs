//! `perch restore`: copies brought back into a folder, or into a box that is refilled, and checked.

use super::verify;
use crate::cli::RestoreArgs;
use crate::config::Config;
use crate::restore::folder::CopyFolder;
use crate::restore::{Brought, Destination, IntoBox, OutFolder, fetch, look};
use perch_base::age::AgeIdentity;
use perch_base::files::{Links, read_small};
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::archive::TimeRange;
use perch_domain::sync::keys::BoxId;
use perch_domain::sync::restore::RestoreAsk;
use std::path::Path;
use std::process::ExitCode;

/// The largest file of secret keys.
const MAX_IDENTITY_BYTES: u64 = 64 * 1024;

/// Brings back, checks, and says what came of it; fails when anything is missing or wrong.
pub fn run(config: Option<&Path>, args: &RestoreArgs) -> Result<ExitCode> {
    let range = TimeRange::new(Timestamp::parse(&args.from)?, Timestamp::parse(&args.to)?)?;
    let camera = args.camera.as_deref().map(CameraId::new).transpose()?;
    let wrong_box = || Error::invalid("--box: a box's short form is 16 hex digits");
    let box_id = args.box_id.as_deref().map(|text| BoxId::parse(text).ok_or_else(wrong_box)).transpose()?;
    let identities = args.identity.as_deref().map_or(Ok(Vec::new()), read_identities)?;
    let ask = RestoreAsk { range, camera, box_id };
    let mut source = CopyFolder(args.folder.clone());
    let plan = look(&mut source, &args.prefix, &ask, &identities)?;
    if plan.whole.is_empty() && plan.unfinished.is_empty() {
        let hidden =
            if identities.is_empty() { "; where names are encrypted, too, --identity FILE is needed" } else { "" };
        return Err(Error::not_found(format!("nothing that can be read is of this time{hidden}")));
    }
    if identities.is_empty() && plan.whole.iter().any(|one| one.is_sealed) {
        let why = "the copies are encrypted: --identity FILE names the file of the secret key (AGE-SECRET-KEY-1…)";
        return Err(Error::new(ErrorKind::Forbidden, why));
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
    let brought = fetch(&mut source, &plan, &identities, &*to);
    say(&brought);
    let mut is_well = brought.failed.is_empty();
    match &args.out {
        Some(out) => {
            for box_id in &brought.boxes {
                // Where nothing came there is nothing to check.
                if !out.join(box_id.to_string()).is_dir() {
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
