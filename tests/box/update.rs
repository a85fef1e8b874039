//! Updates of a card image, its boot script and RAUC stood in for: `perch update`, and a new version that proves itself or not.

use crate::support::home::{BoxProcess, Home, Ran, camera, perch};
use crate::support::rauc::{Asked, FakeRauc, PrivateBus};
use crate::support::{s, wait_until};
use perch_base::clock::SystemClock;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// A card image's surroundings.
struct Card {
    home: Home,
    asked: Asked,
    bus: PrivateBus,
    _service: FakeRauc,
}

impl Card {
    fn new(boot: &str, cameras: &str) -> Self {
        let home = Home::new(cameras);
        let bus = PrivateBus::start();
        let (service, asked) = FakeRauc::serve(&bus.address);
        fs::create_dir(home.dir().join("run")).expect("made");
        if !boot.is_empty() {
            fs::write(home.dir().join("run/boot"), boot).expect("written");
        }
        Self { home, asked, bus, _service: service }
    }

    fn run(&self, name: &str) -> PathBuf {
        self.home.dir().join("run").join(name)
    }

    fn env(&self) -> [(&str, PathBuf); 2] {
        [
            ("RUNTIME_DIRECTORY", self.home.dir().join("run")),
            ("DBUS_SYSTEM_BUS_ADDRESS", PathBuf::from(&self.bus.address)),
        ]
    }

    /// `perch update` of a bundle with this content.
    fn update(&self, content: &str, more: &[&str]) -> Ran {
        let file = self.home.dir().join("new.raucb");
        fs::write(&file, content).expect("written");
        let mut command = perch(&["update"]);
        command.arg(file).args(more).envs(self.env());
        Ran::of(command, "")
    }

    /// Starts the system again as the one that is being tried, with these cameras.
    fn try_with(&self, cameras: &str) -> BoxProcess {
        fs::write(self.run("boot"), TRIAL).expect("written");
        self.home.configure("[recording]\nmin_free_bytes = 0\n", cameras);
        self.home.boot_with(&self.env())
    }

    /// Waits until the system that runs has left word of the cameras that deliver.
    fn word(&self, want: &str) {
        let config = perch::config::Config::parse(&self.home.config_text(), std::iter::empty()).expect("valid");
        let store = perch_store::Store::open_for_cli(config.store(), Arc::new(SystemClock));
        let store = store.expect("opened");
        let word = || store.meta().get("delivering_cameras").expect("read").filter(|word| word == want);
        wait_until("the word for the next version", s(60), word);
    }

    fn asked(&self, what: &str) -> bool {
        self.asked.lock().expect("lock").iter().any(|a| a.starts_with(what))
    }
}

const BOOT: &str = "slot=a\ntrial=0\nboard=board\nserial=00\n";
const TRIAL: &str = "slot=b\ntrial=1\nboard=board\nserial=00\n";

#[test]
fn a_command_installs_what_is_newer_and_refuses_the_rest() {
    let card = Card::new(BOOT, "");
    for (content, want) in [
        ("tampered", "signature verification failed"),
        ("0.0.1 board", "older than"),
        ("99.0.0 other", "is for `other`"),
        (&format!("{} board", env!("CARGO_PKG_VERSION")), "runs here already"),
        ("99.0.0 board no-space-left", "could not be installed: there is not enough room for it"),
    ] {
        let ran = card.update(content, &[]);
        assert!(ran.code != Some(0) && ran.err.contains(want), "{content}: {ran:?}");
        assert!(!card.run("reboot-trial").exists());
    }
    let ran = Ran::of(perch(&["update", "http://host/x"]), "");
    assert!(ran.err.contains("card image only"), "{ran:?}");

    let out = card.update("99.0.0 board", &["--no-restart"]).ok();
    assert!(out.contains("Version 99.0.0 replaces") && out.contains("50 %"), "{out}");
    assert!(!card.run("reboot-trial").exists());
    let out = card.update(&format!("{} board", env!("CARGO_PKG_VERSION")), &["--force"]).ok();
    assert!(out.contains("restarts now") && card.run("reboot-trial").exists(), "{out}");
}

#[test]
fn a_new_version_that_works_is_kept() {
    let card = Card::new(TRIAL, &camera("front", "test", "record = { mode = \"off\" }\nmotion = { enabled = false }"));
    let running = card.home.boot_with(&card.env());
    let admin = running.paired();
    assert_eq!(admin.json("/api/v1/update")["phase"], "trial");
    admin.post("/api/v1/update/install", &serde_json::json!({ "url": "https://host/x" })).problem(409);
    wait_until("the new version is kept", s(90), || card.asked("mark good booted").then_some(()));
    wait_until("the trial is over", s(5), || (admin.json("/api/v1/update")["phase"] == "idle").then_some(()));
    assert_eq!(fs::read_to_string(card.run("health")).expect("written"), "");
    assert!(card.home.recordings("front").is_empty(), "the proof left nothing");
}

#[test]
fn a_new_version_without_a_picture_says_why_it_is_not_kept() {
    let card = Card::new(
        TRIAL,
        &camera("front", "v4l2:/dev/video97", "name = \"Front\"\n").replacen("name = \"Camera front\"\n", "", 1),
    );
    let running = card.home.boot_with(&card.env());
    let why = wait_until("the reason", s(30), || {
        let text = fs::read_to_string(card.run("health")).ok()?;
        text.contains("/dev/video97").then_some(text)
    });
    assert!(why.starts_with("Front gives no picture: ") && why.lines().count() == 1, "{why}");
    let state = running.paired().json("/api/v1/update");
    assert_eq!(state["phase"], "trial");
    assert!(state["problem"].as_str().is_some_and(|p| why.starts_with(p)), "{state}");
    assert!(!card.asked("mark"));
}

/// A camera that nobody can see through.
fn blind(id: &str) -> String {
    camera(id, "v4l2:/dev/video97", "record = { mode = \"continuous\" }\n")
}

#[test]
fn a_command_too_leaves_word_of_the_cameras_that_delivered() {
    let yard = camera("yard", "test", "record = { mode = \"off\" }\nmotion = { enabled = false }");
    let front = yard.replace("yard", "front");
    let card = Card::new(BOOT, &format!("{front}{yard}"));
    let mut running = card.home.boot_with(&card.env());
    card.word("front,yard");
    card.update("99.0.0 board", &[]).ok();
    running.terminate();
    let _running = card.try_with(&format!("{}{yard}", blind("front")));
    let why = wait_until("the reason", s(60), || {
        let text = fs::read_to_string(card.run("health")).ok()?;
        text.contains("/dev/video97").then_some(text)
    });
    assert!(why.starts_with("Camera front gives no picture: "), "{why}");
    assert!(!card.asked("mark"), "one of two is not enough");
}

#[test]
fn a_box_none_of_whose_cameras_delivered_can_be_updated() {
    let card = Card::new(BOOT, &blind("front"));
    let mut running = card.home.boot_with(&card.env());
    card.word("");
    card.update("99.0.0 board", &[]).ok();
    running.terminate();
    let _running = card.try_with(&blind("front"));
    wait_until("the new version is kept", s(90), || card.asked("mark good booted").then_some(()));
}

#[test]
fn where_there_is_no_card_image_the_page_says_so() {
    let home = Home::new("");
    let running = home.boot();
    let admin = running.paired();
    let state = admin.json("/api/v1/update");
    assert_eq!((&state["supported"], &state["phase"]), (&false.into(), &"idle".into()));
    assert!(state["reason"].as_str().is_some_and(|r| r.contains("card image only")), "{state}");
    admin.post("/api/v1/update/install", &serde_json::json!({})).problem(501);
}
