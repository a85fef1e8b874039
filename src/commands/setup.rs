//! `perch setup`: runs as root at every start, before the network and the box. Does the resets that files on the card ask for, reads
//! `perch-setup.toml` once and removes it, and writes what a first start needs. What is taken of the file is decided in `domain`.

use crate::setup::cameras::video_devices;
use crate::setup::files::{self, Owner};
use crate::setup::owned::tell_what_is_set;
use crate::setup::reset::{self, Reset};
use crate::setup::{Log, Places};
use crate::toml_text;
use perch_base::clock::{Clock, SystemClock};
use perch_base::files::{Links, read_small};
use perch_base::secret::{self, Secret};
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::exchange::{self, ExchangedFile};
use perch_domain::setup::{self, Admin, Plan, Value};
use perch_domain::update::BootFacts;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The owner's file.
const SETUP: &str = exchange::SETUP.name;

/// How often cameras are looked for while none is there yet.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sets up. The exit code is 1 when something could not be written; the rest was done all the same.
pub fn run(boot_dir: &Path, root: &Path, wait_s: u64) -> Result<ExitCode> {
    let places = Places { boot_dir: boot_dir.to_owned(), root: root.to_owned() };
    let owner = Owner::of_perch(root);
    let mut log = Log::default();
    for reset in [Reset::Accounts, Reset::Everything] {
        reset::run_if_asked(reset, &places, &mut log);
    }
    let plan = read_setup_file(&places, &mut log);
    apply(&plan, &places, &owner, &mut log);
    first_start(&plan, &places, &owner, Duration::from_secs(wait_s), &mut log)?;
    if let Err(e) = tell_what_is_set(root) {
        log.fault(&e);
    }
    if let Err(e) = files::give(&places.perch(), &owner).and_then(|()| files::give(&places.data_dir(), &owner)) {
        log.fault(&e);
    }
    let kept = log.lines().iter().map(|line| format!("{line}\n")).collect::<String>();
    let path = exchange::SETUP_LOG.below(root);
    // The consoles show it, read as perch; nobody else of the system has to.
    if let Err(e) = files::put(&path, kept.as_bytes(), 0o640, &owner) {
        log.fault(&e);
    }
    Ok(if log.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells perch again which Wi-Fi network and SSH key are set. Errors when that cannot be written.
pub fn tell_owned(root: &Path) -> Result<ExitCode> {
    tell_what_is_set(root).map(|()| ExitCode::SUCCESS)
}

/// Reads the file, decides, and removes it, whatever was in it.
fn read_setup_file(places: &Places, log: &mut Log) -> Plan {
    // Windows likes to hide a second `.txt`.
    let names = [SETUP.to_owned(), format!("{SETUP}.txt")];
    let Some(path) = files::find(&places.boot_dir, &names.each_ref().map(String::as_str)) else {
        return Plan::default();
    };
    let plan = match read_small(&path, setup::MAX_FILE_BYTES, Links::Refuse).and_then(entries) {
        Ok(entries) => setup::plan(&entries),
        Err(e) => Plan { refused: vec![format!("nothing of it was used: {e}")], ..Plan::default() },
    };
    for sentence in &plan.refused {
        log.say(format!("{SETUP}: {sentence}"));
    }
    match files::wipe(&path) {
        Ok(()) => log.say(format!("{SETUP} was read and removed.")),
        Err(e) => {
            log.fault(&e);
            log.say(format!("{SETUP} is still on the card and may hold passwords: remove it yourself."));
        }
    }
    plan
}

/// The file's values under their full keys.
pub(super) fn entries(bytes: Vec<u8>) -> Result<Vec<(String, Value)>> {
    let table = toml_text::parse(&toml_text::decode(bytes)?)?;
    let mut out = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => out.extend(inner.into_iter().map(|(k, v)| (format!("{key}.{k}"), plain(v)))),
            value => out.push((key, plain(value))),
        }
    }
    Ok(out)
}

fn plain(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::Text(Secret::new(text)),
        toml::Value::Integer(_) | toml::Value::Float(_) => Value::Other("a number"),
        toml::Value::Boolean(_) => Value::Other("true or false"),
        toml::Value::Datetime(_) => Value::Other("a date"),
        toml::Value::Array(_) => Value::Other("a list"),
        toml::Value::Table(_) => Value::Other("a table"),
    }
}

fn apply(plan: &Plan, places: &Places, owner: &Owner, log: &mut Log) {
    let (path, root) = (|file: ExchangedFile| file.below(&places.root), Owner::default());
    if let Some(name) = &plan.hostname {
        let put = files::put(&path(exchange::HOSTNAME), format!("{name}\n").as_bytes(), 0o644, &root);
        log.done(put, format!("The box's name in the network is {name}.local."));
    }
    if let Some(zone) = &plan.timezone {
        if places.root.join("usr/share/zoneinfo").join(zone).is_file() {
            let put = files::put(&path(exchange::TIMEZONE), format!("{zone}\n").as_bytes(), 0o644, &root);
            log.done(put, format!("The time zone is {zone}."));
        } else {
            log.say(format!(
                "{SETUP}: timezone = \"{zone}\": this box knows no such zone; it must be like Europe/Zurich"
            ));
        }
    }
    if let Some(text) = &plan.wpa_supplicant {
        let put = files::put(&path(exchange::WIFI), text.expose().as_bytes(), 0o600, &root);
        log.done(put, "Wi-Fi is set up.");
    }
    match plan.authorized_key.as_deref() {
        None => {}
        Some("") => log.done(files::remove(&path(exchange::SSH_KEY)), "SSH is off."),
        Some(key) => {
            let put = files::put(&path(exchange::SSH_KEY), format!("{key}\n").as_bytes(), 0o600, &root);
            log.done(put, format!("SSH is on for the key of {SETUP}."));
        }
    }
    if let Some(admin) = &plan.admin {
        match make_admin(places, owner, admin) {
            Ok(true) => log.say(format!("The account {} was made.", admin.name)),
            Ok(false) => log.say(format!(
                "{SETUP}: the box has an owner already, no account was made: put a file named {} beside it to start over",
                exchange::RESET_ACCOUNTS.name
            )),
            Err(e) => log.fault(&e),
        }
    }
}

/// Whether the account was made: only a box without an owner gets one.
fn make_admin(places: &Places, owner: &Owner, admin: &Admin) -> Result<bool> {
    files::make_dir(&places.perch(), owner)?;
    places.open_store()?.accounts().claim(&admin.name, admin.password.expose(), SystemClock.utc())
}

/// A name and a config, where there is none yet.
fn first_start(plan: &Plan, places: &Places, owner: &Owner, wait: Duration, log: &mut Log) -> Result<()> {
    let name = exchange::HOSTNAME.below(&places.root);
    if plan.hostname.is_none() && !name.exists() {
        let chance = u16::from_be_bytes(secret::random_bytes::<2>());
        let host = setup::default_hostname(&serial(&places.root), chance);
        let put = files::put(&name, format!("{host}\n").as_bytes(), 0o644, &Owner::default());
        log.done(put, format!("The box's name in the network is {host}.local."));
    }
    let config = places.config();
    if config.symlink_metadata().is_ok() {
        return Ok(());
    }
    let cameras = wait_for_cameras(&places.root, wait)?;
    let what = match cameras.as_slice() {
        [] => "no camera was found, so it shows a test pattern".to_owned(),
        some => some.iter().map(|c| c.source.as_str()).collect::<Vec<_>>().join(", "),
    };
    let text = setup::first_config(&cameras, &exchange::BOX.path().to_string_lossy());
    let put = files::make_dir(&places.perch(), owner).and_then(|()| files::put(&config, text.as_bytes(), 0o640, owner));
    log.done(put, format!("The first perch.toml was written: {what}."));
    Ok(())
}

/// Cameras at USB appear some seconds after the kernel has started.
fn wait_for_cameras(root: &Path, wait: Duration) -> Result<Vec<setup::FirstCamera>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context(ErrorKind::Internal, || "a timer cannot be made")?;
    // Real time: the kernel finds cameras at its own.
    let until = Instant::now() + wait;
    loop {
        let cameras = setup::first_cameras(&video_devices(root));
        if !cameras.is_empty() || Instant::now() >= until {
            return Ok(cameras);
        }
        // The timer is made where the runtime is: outside it panics.
        runtime.block_on(async { tokio::time::sleep(LOOK_EVERY).await });
    }
}

/// The board's serial number, as the boot script or the device tree gives it.
fn serial(root: &Path) -> String {
    // The user perch may write there: no link is followed.
    let boot = read_small(&exchange::BOOT.below(root), exchange::MAX_FILE_BYTES, Links::Refuse).ok();
    let from_boot = boot.and_then(|bytes| BootFacts::parse(&String::from_utf8_lossy(&bytes)).serial);
    let tree = ["proc/device-tree/serial-number", "sys/firmware/devicetree/base/serial-number"];
    let from_tree = || tree.iter().find_map(|path| std::fs::read_to_string(root.join(path)).ok());
    from_boot.or_else(from_tree).unwrap_or_default()
}
