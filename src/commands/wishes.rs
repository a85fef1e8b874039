//! `perch setup --wishes`: runs as root when the page asked for a change of the system. Reads the file that the user perch wrote, without trust,
//! checks it by the rules of `perch-setup.toml`, writes what the system's scripts take from, and says what it did.

use super::setup::entries;
use crate::setup::files::{self, Owner};
use crate::setup::owned::tell_what_is_set;
use perch_base::clock::{Clock, SystemClock};
use perch_base::files::{Links, read_small};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::exchange::{self, ExchangedFile};
use perch_domain::setup::{MAX_FILE_BYTES, Plan};
use perch_domain::system::{Action, taken};
use std::path::Path;
use std::process::ExitCode;

/// What was done, for the script that goes on and for the page.
#[derive(Default)]
struct Done {
    changed: Vec<&'static str>,
    said: Vec<String>,
}

impl Done {
    fn made(&mut self, what: &'static str, made: Result<()>, sentence: String) {
        match made {
            Ok(()) => {
                self.changed.push(what);
                self.said.push(sentence);
            }
            Err(e) => {
                // The whole of it is for the log.
                tracing::error!(error = %e, what, "the system could not be changed");
                self.said.push(e.message().to_owned());
            }
        }
    }
}

/// Takes the wishes. What could not be done is said where the rest is, which takes effect all the same. Errors when that cannot be told.
pub fn run(root: &Path) -> Result<ExitCode> {
    let path = exchange::WISHES.below(root);
    let read = read_small(&path, MAX_FILE_BYTES, Links::Refuse).and_then(entries);
    // Whatever was in it: it may hold a password, and is not to be read again.
    let removed = files::wipe(&path).or_else(|_| files::remove_tree(&path));
    let mut done = Done::default();
    let action = match read {
        Ok(entries) => {
            let (plan, action) = taken(&entries);
            apply(&plan, root, &mut done);
            action
        }
        Err(e) => {
            done.said.push(format!("nothing was changed: {}", e.message()));
            None
        }
    };
    tell_what_is_set(root)?;
    tell(root, &done, action)?;
    removed.map(|()| ExitCode::SUCCESS)
}

fn apply(plan: &Plan, root: &Path, done: &mut Done) {
    let owner = Owner::default();
    let put = |file: ExchangedFile, text: &str, mode| files::put(&file.below(root), text.as_bytes(), mode, &owner);
    done.said.extend(plan.refused.iter().cloned());
    if let Some(name) = &plan.hostname {
        let made = put(exchange::HOSTNAME, &format!("{name}\n"), 0o644);
        done.made("hostname", made, format!("The box's name in the network is {name}.local."));
    }
    if let Some(zone) = &plan.timezone {
        let known = root.join("usr/share/zoneinfo").join(zone).is_file();
        let unknown = || Err(Error::new(ErrorKind::Invalid, format!("this box knows no time zone {zone}")));
        let made = if known { put(exchange::TIMEZONE, &format!("{zone}\n"), 0o644) } else { unknown() };
        done.made("timezone", made, format!("The time zone is {zone}."));
    }
    if let Some(text) = &plan.wpa_supplicant {
        let made = keep_wifi(root, &owner).and_then(|()| put(exchange::WIFI, text.expose(), 0o600));
        done.made("wifi", made, "The Wi-Fi network is tried.".into());
    }
    match plan.authorized_key.as_deref() {
        None => {}
        Some("") => done.made("ssh", files::remove(&exchange::SSH_KEY.below(root)), "SSH is off.".into()),
        Some(key) => {
            done.made("ssh", put(exchange::SSH_KEY, &format!("{key}\n"), 0o600), "SSH is on for this key.".into());
        }
    }
}

/// Lays the network aside that is used now. One that is laid aside already is the last that is known to work.
fn keep_wifi(root: &Path, owner: &Owner) -> Result<()> {
    let before = exchange::WIFI_BEFORE.below(root);
    if before.symlink_metadata().is_ok() {
        return Ok(());
    }
    let now = read_small(&exchange::WIFI.below(root), exchange::MAX_FILE_BYTES, Links::Refuse).unwrap_or_default();
    files::put(&before, &now, 0o600, owner)
}

fn tell(root: &Path, done: &Done, action: Option<Action>) -> Result<()> {
    let now_s = SystemClock.utc().0 / 1_000_000;
    let mut text = format!("at={now_s}\nchanged={}\n", done.changed.join(" "));
    match action {
        Some(Action::Reboot) => text.push_str("action=reboot\n"),
        Some(Action::Shutdown) => text.push_str("action=shutdown\n"),
        Some(Action::Restart) | None => {}
    }
    for sentence in &done.said {
        text.push_str(&format!("said={}\n", sentence.replace('\n', " ")));
    }
    files::put(&exchange::WISHED.below(root), text.as_bytes(), 0o644, &Owner::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0mHYyGPqZtDpyzLxI2bPqUqTXwZ1yQhQ3mQm2y0h8B";

    fn system() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["run/perch", "run/perch-system", "data/etc", "usr/share/zoneinfo/Europe"] {
            fs::create_dir_all(dir.path().join(folder)).expect("made");
        }
        fs::write(dir.path().join("usr/share/zoneinfo/Europe/Zurich"), "").expect("written");
        dir
    }

    fn wish(root: &Path, text: &str) -> String {
        fs::write(exchange::WISHES.below(root), text).expect("written");
        run(root).expect("ran");
        assert!(!exchange::WISHES.below(root).exists(), "read once");
        fs::read_to_string(exchange::WISHED.below(root)).expect("said")
    }

    #[test]
    fn wishes_are_granted_and_the_wi_fi_before_is_laid_aside() {
        let dir = system();
        let root = dir.path();
        let said = wish(
            root,
            &format!(
                "hostname = \"shop\"\ntimezone = \"Europe/Zurich\"\nwifi.ssid = \"Home\"\nwifi.password = \"long enough\"\nwifi.country = \"CH\"\nssh.authorized_key = \"{KEY}\"\n"
            ),
        );
        assert!(said.contains("changed=hostname timezone wifi ssh\n") && !said.contains("long enough"), "{said}");
        assert_eq!(fs::read_to_string(exchange::HOSTNAME.below(root)).expect("written"), "shop\n");
        assert_eq!(fs::read(exchange::WIFI_BEFORE.below(root)).expect("laid aside"), b"", "there was none");
        let first = fs::read_to_string(exchange::WIFI.below(root)).expect("written");
        let owned = fs::read_to_string(exchange::OWNED.below(root)).expect("told");
        assert!(owned.contains("ssid=486f6d65\n") && owned.contains("ssh=ssh-ed25519 SHA256 "), "{owned}");
        // The first came up; the next one is tried.
        fs::remove_file(exchange::WIFI_BEFORE.below(root)).expect("there");
        for ssid in ["Next", "Other"] {
            wish(root, &format!("wifi.ssid = \"{ssid}\"\nwifi.country = \"CH\"\n"));
            assert_eq!(fs::read_to_string(exchange::WIFI_BEFORE.below(root)).expect("laid aside"), first);
        }
        let said = wish(root, "ssh.authorized_key = \"\"\naction = \"reboot\"\n");
        assert!(said.contains("changed=ssh\naction=reboot\n") && !exchange::SSH_KEY.below(root).exists(), "{said}");
    }

    #[test]
    fn what_is_wrong_or_a_link_changes_nothing() {
        let dir = system();
        let root = dir.path();
        let said = wish(
            root,
            "hostname = \"a b\"\ntimezone = \"Mars/Base\"\nadmin.name = \"eve\"\nadmin.password = \"long enough 12\"\naction = \"format\"\n",
        );
        assert!(said.contains("changed=\n") && said.contains("said=this box knows no time zone Mars/Base"), "{said}");
        assert!(!said.contains("action=") && !said.contains("long enough"), "{said}");
        let said = wish(root, "[[[");
        assert!(said.contains("said=nothing was changed: it is not TOML"), "{said}");
        let secret = root.join("secret");
        fs::write(&secret, "hostname = \"owned\"\n").expect("written");
        symlink(&secret, exchange::WISHES.below(root)).expect("linked");
        run(root).expect("ran");
        assert!(!exchange::HOSTNAME.below(root).exists() && secret.exists());
        // Root's words go through no link either.
        let victim = root.join("victim");
        fs::write(&victim, "kept").expect("written");
        fs::remove_file(exchange::WISHED.below(root)).expect("there");
        symlink(&victim, exchange::WISHED.below(root)).expect("linked");
        wish(root, "hostname = \"shop\"\n");
        assert_eq!(fs::read_to_string(&victim).expect("read"), "kept");
    }
}
