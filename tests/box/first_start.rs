//! A card's first start: `perch setup` with what an owner puts on the card, resets, and the box under systemd (stood in for by a
//! socket and a folder).

use crate::support::home::{Home, Ran, camera, otp_of, perch};
use crate::support::{s, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDummyKeyDummyKeyDummyKeyDummyKeyDummyKeyDum";

/// A card: its FAT partition and its system, in a folder.
struct Card {
    dir: tempfile::TempDir,
}

impl Card {
    fn new() -> Self {
        let card = Self { dir: tempfile::tempdir().expect("a folder") };
        fs::create_dir_all(card.boot()).expect("made");
        fs::create_dir_all(card.root("usr/share/zoneinfo/Europe")).expect("made");
        fs::write(card.root("usr/share/zoneinfo/Europe/Zurich"), "").expect("written");
        fs::create_dir_all(card.root("run/perch")).expect("made");
        fs::write(card.root("run/perch/boot"), "slot=a\ntrial=0\nboard=x\nserial=10000000abcd1234\n").expect("written");
        card
    }

    fn boot(&self) -> PathBuf {
        self.dir.path().join("boot")
    }

    fn root(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.boot().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn setup(&self) -> Ran {
        let (boot, root) = (self.boot(), self.root(""));
        let mut command = perch(&["setup", "--wait-s", "1", "--boot-dir"]);
        command.arg(boot).arg("--root").arg(root);
        Ran::of(command, "")
    }

    /// Runs a command of the box on this card, its data folder put where it is here.
    fn perch(&self, args: &[&str]) -> String {
        let config = self.dir.path().join("here.toml");
        let data = self.root("data/perch/box").display().to_string();
        fs::write(&config, format!("camera = []\n[box]\ndata_dir = {data:?}\n")).expect("written");
        let mut command = perch(args);
        command.arg("--config").arg(config);
        Ran::of(command, "").ok()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_card_without_any_file_gets_a_name_and_a_config() {
    let card = Card::new();
    let out = card.setup().ok();
    assert!(out.contains("perch-1234.local") && out.contains("test pattern"), "{out}");
    assert_eq!(card.text("data/etc/hostname"), "perch-1234\n");
    assert_eq!(card.text("run/perch/setup.log"), out);
    assert_eq!(mode(&card.root("run/perch/setup.log")), 0o640, "what was refused is for the owner");
    let config = card.root("data/perch/perch.toml");
    let ran = Ran::of(perch(&["check", "--config", &config.display().to_string()]), "");
    assert!(ran.out.contains("is valid; cameras: 1"), "{ran:?}");
    // Everything of it is the owner's from now on.
    fs::write(&config, "# mine\n").expect("written");
    fs::write(card.root("data/etc/hostname"), "porch\n").expect("written");
    card.setup().ok();
    assert_eq!(
        (card.text("data/perch/perch.toml"), card.text("data/etc/hostname")),
        ("# mine\n".into(), "porch\n".into())
    );
}

#[test]
fn a_setup_file_is_taken_once_and_removed() {
    let card = Card::new();
    let file = card.put(
        "Perch-Setup.toml.txt",
        format!(
            "\u{feff}hostname = \"Porch\"\ntimezone = \"Europe/Zurich\"\n[wifi]\nssid = \"net\"\npassword = \"hunter2hunter2\"\n\
             country = \"CH\"\n[ssh]\nauthorized_key = \"{KEY} me\"\n[admin]\nname = \"anna\"\npassword = \"correct horse\"\n"
        ),
    );
    let out = card.setup().ok();
    assert!(!file.exists(), "it may hold passwords");
    assert!(!out.contains("hunter2") && !out.contains("correct horse"), "{out}");
    assert_eq!(card.text("data/etc/hostname"), "porch\n");
    assert_eq!(card.text("data/etc/timezone"), "Europe/Zurich\n");
    assert_eq!(card.text("data/etc/authorized_keys"), format!("{KEY}\n"));
    assert!(card.text("data/etc/wpa_supplicant.conf").contains("psk=\"hunter2hunter2\""));
    assert_eq!(mode(&card.root("data/etc/wpa_supplicant.conf")), 0o600);
    let users = card.perch(&["user", "list"]);
    assert!(users.contains("anna") && users.contains("admin"), "{users}");

    // A second owner does not come by a file.
    card.put("perch-setup.toml", "[admin]\nname = \"eve\"\npassword = \"correct horse\"\n");
    let out = card.setup().ok();
    assert!(out.contains("has an owner already"), "{out}");
    assert!(!card.perch(&["user", "list"]).contains("eve"));
}

#[test]
fn a_hostile_file_costs_only_what_is_wrong_in_it() {
    for (content, want) in [
        (&b"hostname = \"a\nb\""[..], "not TOML: line 2"),
        (b"\xff\xfeh\0o\0s\0t\0", "it looks like UTF-16"),
        (&[b'#'; 70_000], "larger than 64 KiB"),
        (b"hostname = \"x; reboot\"\ntimezone = \"Europe/Zurich\"", "hostname"),
        (b"timezone = \"Europe/Nowhere\"", "no such zone"),
        (b"hostname = 3\n[wifi]\nssid = [\"a\"]\n[[ssh]]\na = 1\n[evil.deep]\nx = 1\n", "hostname is a number"),
        (b"password = \"hunter2hunter2", "not TOML: line 1"),
    ] {
        let card = Card::new();
        let file = card.put("perch-setup.toml", content);
        let out = card.setup().ok();
        assert!(out.contains(want), "{want}: {out}");
        assert!(!file.exists() && !out.contains("hunter2"), "{out}");
        assert_eq!(card.text("data/etc/hostname"), "perch-1234\n");
        assert_eq!(card.root("data/etc/timezone").exists(), want == "hostname");
        assert!(card.root("data/perch/perch.toml").exists(), "the rest goes on");
    }
}

#[test]
fn a_reset_of_accounts_keeps_recordings_and_one_of_everything_keeps_nothing() {
    let card = Card::new();
    card.put(
        "perch-setup.toml",
        "[wifi]\nssid = \"n\"\ncountry = \"CH\"\n[admin]\nname = \"anna\"\npassword = \"correct horse\"\n",
    );
    card.setup().ok();
    card.perch(&["stream-password", "add", "tv"]);
    let recording = card.root("data/perch/box/recordings/front/2026-05-01/120000.000Z.mp4");
    fs::create_dir_all(recording.parent().expect("a folder")).expect("made");
    fs::write(&recording, "x").expect("written");

    let file = card.put("PERCH-RESET-ACCOUNTS", "");
    let out = card.setup().ok();
    assert!(out.contains("waits for a new owner"), "{out}");
    assert!(!file.exists() && fs::read_dir(card.boot()).expect("read").count() == 0);
    assert!(!card.perch(&["user", "list"]).contains("anna"));
    assert!(!card.perch(&["stream-password", "list"]).contains("tv"));
    assert!(recording.exists() && card.root("data/etc/wpa_supplicant.conf").exists());

    let first = card.text("data/perch/perch.toml");
    fs::write(card.root("data/perch/perch.toml"), "# mine\n").expect("written");
    // Disks that are not plugged in today.
    fs::write(card.root("data/recordings-disks-to-erase"), "one\n").expect("written");
    fs::write(card.root("data/etc/recordings-disk"), "other\n").expect("written");
    // A power cut left the reset in its middle.
    card.put("perch-reset-everything.running", "");
    card.setup().ok();
    assert_eq!(fs::read_dir(card.boot()).expect("read").count(), 0);
    assert!(!recording.exists() && !card.root("data/perch/box/perch.db").exists());
    assert!(!card.root("data/etc/wpa_supplicant.conf").exists());
    assert_eq!(card.text("data/recordings-disks-to-erase"), "one\nother\n");
    assert_eq!(card.text("data/perch/perch.toml"), first, "as after a first start");

    // A disk for recordings is mounted only now.
    fs::create_dir_all(recording.parent().expect("a folder")).expect("made");
    fs::write(&recording, "x").expect("written");
    let mut running = Home::with_data(&card.root("data/perch/box"), "").boot();
    assert!(!recording.exists() && !card.root("data/perch/box/erase-recordings").exists());
    running.terminate();
}

#[test]
fn what_the_box_writes_leads_root_nowhere() {
    const SETUP: &str = "[admin]\nname = \"anna\"\npassword = \"correct horse\"\n";
    let card = Card::new();
    fs::create_dir_all(card.root("etc")).expect("made");
    fs::write(card.root("etc/passwd"), "perch:x:780:780::/data/perch:/usr/sbin/nologin\n").expect("written");
    let elsewhere = card.root("elsewhere");
    let kept = [elsewhere.join("recordings/kept"), elsewhere.join("perch.db")];
    fs::create_dir_all(elsewhere.join("recordings")).expect("made");
    kept.iter().for_each(|path| fs::write(path, "kept").expect("written"));
    let unharmed = || {
        let owner = fs::metadata(card.root("etc")).expect("there").uid();
        assert!(kept.iter().all(|path| fs::read_to_string(path).is_ok_and(|text| text == "kept")));
        assert_eq!(fs::read_dir(&elsewhere).expect("read").count(), 2, "nothing was added");
        let owners = [&elsewhere, &kept[0], &kept[1]].map(|path| fs::metadata(path).expect("there").uid());
        assert_eq!(owners, [owner; 3], "nothing was given away");
    };

    // A config that names another folder.
    let config = card.root("data/perch/perch.toml");
    fs::create_dir_all(card.root("data/perch")).expect("made");
    let names_elsewhere = "camera = []\n[box]\ndata_dir = \"/elsewhere\"\n";
    for reset in ["perch-reset-accounts", "perch-reset-everything"] {
        fs::write(&config, names_elsewhere).expect("written");
        card.put(reset, "");
        card.put("perch-setup.toml", SETUP);
        card.setup().ok();
        unharmed();
        assert!(card.perch(&["user", "list"]).contains("anna"), "the account is where the box looks");
    }

    // A link in place of the data folder: nothing is done through it, and a reset removes it.
    let data = card.root("data/perch/box");
    fs::remove_dir_all(&data).expect("removed");
    std::os::unix::fs::symlink(&elsewhere, &data).expect("linked");
    card.put("perch-reset-accounts", "");
    card.put("perch-setup.toml", SETUP);
    let ran = card.setup();
    assert!(ran.code == Some(1) && ran.out.contains("data/perch/box is no folder"), "{ran:?}");
    unharmed();
    fs::remove_file(card.boot().join("perch-reset-accounts.running")).expect("to be tried again");
    card.put("perch-reset-everything", "");
    card.setup().ok();
    unharmed();
    assert!(data.symlink_metadata().expect("made again").is_dir());

    // A database that is a link.
    std::os::unix::fs::symlink(&kept[1], data.join("perch.db")).expect("linked");
    card.put("perch-setup.toml", SETUP);
    let ran = card.setup();
    assert!(ran.code == Some(1) && ran.out.contains("perch.db in "), "{ran:?}");
    unharmed();
    fs::remove_file(data.join("perch.db")).expect("removed");

    // Something that keeps its reader waiting, and a link, in place of the config: both stay as they are.
    fs::remove_file(&config).expect("removed");
    let mkfifo = std::process::Command::new("mkfifo").arg(&config).status().expect("run");
    assert!(mkfifo.success());
    card.setup().ok();
    fs::remove_file(&config).expect("removed");
    std::os::unix::fs::symlink(&kept[1], &config).expect("linked");
    card.setup().ok();
    unharmed();
}

#[test]
fn cameras_of_the_kernel_become_the_first_config() {
    let card = Card::new();
    let sys = card.root("sys/class/video4linux");
    let bus = |path: &str| {
        fs::create_dir_all(card.root(path)).expect("made");
        card.root(path)
    };
    let (uvc, usb) = (bus("sys/bus/usb/drivers/uvcvideo"), bus("sys/bus/usb"));
    for (node, index) in [("video0", 0), ("video1", 1)] {
        let device = sys.join(node).join("device");
        fs::create_dir_all(&device).expect("made");
        fs::write(sys.join(node).join("index"), format!("{index}\n")).expect("written");
        std::os::unix::fs::symlink(&uvc, device.join("driver")).expect("linked");
        std::os::unix::fs::symlink(&usb, device.join("subsystem")).expect("linked");
    }
    let out = card.setup().ok();
    assert!(out.contains("v4l2:/dev/video0"), "{out}");
    assert!(card.text("data/perch/perch.toml").contains("source = \"v4l2:/dev/video0\""));
}

#[test]
fn systemd_hears_of_start_life_and_end_and_the_screen_shows_the_card() {
    let home = Home::new(&camera("front", "test", "audio = { source = \"test\" }"));
    let run = home.dir().join("run");
    fs::create_dir(&run).expect("made");
    let socket = UnixDatagram::bind(home.dir().join("notify")).expect("bound");
    socket.set_read_timeout(Some(s(60))).expect("set");
    let hear = |fact: &str| {
        let mut buf = [0; 4096];
        loop {
            let n = socket.recv(&mut buf).unwrap_or_else(|e| panic!("{fact} was not sent: {e}"));
            let text = String::from_utf8_lossy(&buf[..n]).into_owned();
            if text.lines().any(|l| l == fact) {
                return text;
            }
        }
    };
    let env = [
        ("NOTIFY_SOCKET", home.dir().join("notify")),
        ("RUNTIME_DIRECTORY", run.clone()),
        ("WATCHDOG_USEC", "3000000".into()),
    ];
    let mut running = home.boot_with(&env);
    assert!(hear("READY=1").contains("STATUS=answers at https://localhost"));
    for _ in 0..3 {
        hear("WATCHDOG=1");
    }
    let card = fs::read_to_string(run.join("card")).expect("the card");
    assert_eq!(otp_of(&card), running.otp());
    assert_eq!(mode(&run.join("card")), 0o600);
    running.paired();
    wait_until("the card is emptied", s(10), || (fs::metadata(run.join("card")).ok()?.len() == 0).then_some(()));
    running.terminate();
    hear("STOPPING=1");
}
