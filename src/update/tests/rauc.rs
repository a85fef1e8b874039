//! Updates against a RAUC that is played by the test: uploads, addresses, refusals, failures, trials.

#[path = "../../../tests/support/rauc.rs"]
mod rauc;

use gio::glib::{Variant, VariantDict};
use gio::prelude::*;
use perch_base::ErrorKind;
use perch_domain::update::{Outcome, Phase, UpdatePort, UpdateSource, UpdateState};
use perch_update::{Bus, Config, Places, Updater};
use rauc::{Asked, FakeRauc, PrivateBus};
use std::time::Duration;

/// A card image with its RAUC.
struct Rig {
    updater: Updater,
    asked: Asked,
    dir: tempfile::TempDir,
    _bus: PrivateBus,
    _service: Option<FakeRauc>,
}

impl Rig {
    async fn start(boot: Option<&str>, with_rauc: bool) -> Self {
        let bus = PrivateBus::start();
        let (service, asked) = match with_rauc {
            false => (None, Asked::default()),
            true => {
                let (service, asked) = FakeRauc::serve(&bus.address);
                (Some(service), asked)
            }
        };
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let places =
            Places { run: path("run"), system: path("system"), update: path("update"), os_release: path("os-release") };
        std::fs::create_dir_all(&places.run).expect("made");
        std::fs::create_dir_all(places.update.join("spool")).expect("made");
        std::fs::write(places.update.join("spool/upload.raucb"), "left over").expect("written");
        if let Some(boot) = boot {
            std::fs::write(places.run.join("boot"), boot).expect("written");
        }
        let updater = Updater::new(Config {
            version: "0.1.0".into(),
            commit: "abc".into(),
            places,
            bus: Bus::Address(bus.address.clone()),
        });
        Self { updater, asked, dir, _bus: bus, _service: service }
    }

    /// Calls a port as `api` does: on a blocking thread.
    async fn call<T: Send + 'static>(&self, f: impl FnOnce(Updater) -> T + Send + 'static) -> T {
        let updater = self.updater.clone();
        tokio::task::spawn_blocking(move || f(updater)).await.expect("no panic")
    }

    async fn upload(&self, content: &'static str) -> perch_base::Result<perch_domain::update::Bundle> {
        self.call(move |u| {
            let mut upload = u.receive(content.len() as u64)?;
            for piece in content.as_bytes().chunks(4) {
                upload.write(piece)?;
            }
            upload.finish()
        })
        .await
    }

    async fn settled(&self) {
        self.until("it is over", |state| !matches!(state.phase, Phase::Installing | Phase::Checking)).await;
    }

    /// Waits for a state. The service is another process, which no clock of ours moves on.
    async fn until(&self, what: &str, is_so: impl Fn(&UpdateState) -> bool) {
        for _ in 0..1200 {
            if is_so(&self.updater.state()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{what}: never, but {:?}", self.updater.state());
    }

    fn spool_is_empty(&self) -> bool {
        std::fs::read_dir(self.dir.path().join("update/spool")).expect("read").count() == 0
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("lock").clone()
    }
}

const BOOT: &str = "slot=a\ntrial=0\nboard=board\nserial=00\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_checked_installed_and_tried() {
    let rig = Rig::start(Some(BOOT), true).await;
    assert!(rig.spool_is_empty(), "what was left over is gone");
    let bundle = rig.upload("0.2.0 board").await.expect("taken");
    assert_eq!((bundle.version.as_str(), bundle.description.as_str()), ("0.2.0", "made up"));
    let state = rig.updater.state();
    assert_eq!((state.phase, state.slot.as_deref(), state.supported), (Phase::Ready, Some("a"), true));

    rig.call(|u| u.install(UpdateSource::Upload, false)).await.expect("started");
    let again = rig.call(|u| u.install(UpdateSource::Upload, false)).await.expect_err("one at a time");
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert_eq!(rig.call(|u| u.receive(1).map(drop)).await.expect_err("busy").kind(), ErrorKind::Conflict);
    rig.until("the service says how far it is", |state| state.phase == Phase::Installing && state.percent == 50).await;
    rig.settled().await;
    let state = rig.updater.state();
    assert_eq!((state.phase, state.percent, state.problem), (Phase::Restarting, 100, None));
    assert!(rig.dir.path().join("run/reboot-trial").exists() && rig.spool_is_empty());
    let asked = rig.asked();
    assert!(asked.last().expect("asked").ends_with("upload.raucb"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_refuses_what_rauc_does_not_know() {
    let bus = PrivateBus::start();
    let (_service, asked) = FakeRauc::serve(&bus.address);
    let connection = rauc::connect(&bus.address);
    for (method, key, is_known) in [
        ("InstallBundle", "require-manifest-hash", false),
        ("InspectBundle", "require-manifest-hash", false),
        ("InspectBundle", "transaction-id", false),
        ("InstallBundle", "transaction-id", true),
        ("InspectBundle", "tls-ca", true),
    ] {
        let args = VariantDict::new(None);
        args.insert(key, "x");
        let args = Variant::tuple_from_iter(["https://host/0.2.0_board".to_variant(), args.end()]);
        let method = format!("de.pengutronix.rauc.Installer.{method}");
        let called = rauc::call(&connection, "de.pengutronix.rauc", "/", &method, args);
        let message = called.err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(message.contains(&format!("Unsupported key: {key}")), !is_known, "{method} {key}: {message}");
    }
    assert_eq!(asked.lock().expect("lock").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_installed_is_refused_with_a_reason_and_removed() {
    let rig = Rig::start(Some(BOOT), true).await;
    for (content, kind, want) in [
        ("tampered", ErrorKind::Invalid, "signature verification failed"),
        ("0.0.9 board", ErrorKind::Conflict, "older than 0.1.0"),
        ("0.2.0 other", ErrorKind::Conflict, "is for `other`"),
        ("new board", ErrorKind::Invalid, "cannot be compared"),
    ] {
        let e = rig.upload(content).await.expect_err(content);
        assert!(e.kind() == kind && e.to_string().contains(want) && !e.to_string().contains('\n'), "{content}: {e}");
        let state = rig.updater.state();
        assert_eq!((state.phase, state.problem), (Phase::Idle, Some(e.message().to_owned())));
        assert!(!e.message().contains("verification"), "the service's words are for the log: {e}");
        assert!(rig.spool_is_empty(), "{content}");
    }
    // Another image of the same program is another version.
    std::fs::write(rig.dir.path().join("os-release"), "IMAGE_VERSION=0.3.0\n").expect("written");
    assert_eq!(rig.updater.state().version, "0.3.0");
    assert!(rig.upload("0.2.0 board").await.expect_err("older").to_string().contains("older than 0.3.0"));
    std::fs::remove_file(rig.dir.path().join("os-release")).expect("removed");
    // The same version may be uploaded, and is installed only by force.
    rig.upload("0.1.0 board").await.expect("taken");
    let e = rig.call(|u| u.install(UpdateSource::Upload, false)).await.expect_err("same");
    assert!(e.to_string().contains("runs here already"), "{e}");
    let e = rig.call(|u| u.install(UpdateSource::Upload, true)).await.expect_err("gone");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(!rig.asked().iter().any(|a| a.starts_with("install")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_fails_and_an_upload_that_breaks_off() {
    let rig = Rig::start(Some(BOOT), true).await;
    rig.upload("0.2.0 board no-space-left").await.expect("taken");
    rig.call(|u| u.install(UpdateSource::Upload, false)).await.expect("started");
    rig.settled().await;
    let state = rig.updater.state();
    assert_eq!(state.phase, Phase::Idle);
    assert_eq!(state.problem.as_deref(), Some("the update could not be installed: there is not enough room for it"));
    assert!(!rig.dir.path().join("run/reboot-trial").exists() && rig.spool_is_empty());

    rig.upload("0.2.0 board crash").await.expect("taken");
    rig.call(|u| u.install(UpdateSource::Upload, false)).await.expect("started");
    rig.settled().await;
    let problem = rig.updater.state().problem;
    assert_eq!(problem.as_deref(), Some("the update service (RAUC) does not run on this box"));

    rig.call(|u| u.receive(100).expect("started").write(b"abc")).await.expect("taken");
    let state = rig.updater.state();
    assert_eq!((state.phase, state.problem.as_deref()), (Phase::Idle, Some("the upload was interrupted: try again")));
    assert!(rig.spool_is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_looked_up_and_installed() {
    let rig = Rig::start(Some(BOOT), true).await;
    let found = rig.call(|u| u.look_up("https://host/0.2.0_board")).await.expect("answered");
    assert_eq!(found.expect("newer").version, "0.2.0");
    assert!(rig.call(|u| u.look_up("https://host/0.1.0_board")).await.expect("answered").is_none());
    let last = "outcome=rolled_back\nversion=0.2.0\nfrom=0.1.0\nreason=front gives no picture\nat=1800000000\n";
    std::fs::write(rig.dir.path().join("update/last"), last).expect("written");
    assert!(rig.call(|u| u.look_up("https://host/0.2.0_board")).await.expect("answered").is_none());
    let shown = rig.updater.state().last.expect("known");
    assert_eq!((shown.outcome, shown.reason.as_str()), (Outcome::RolledBack, "front gives no picture"));
    let e = rig.call(|u| u.install(UpdateSource::Url("http://host/x".into()), false)).await.expect_err("plain");
    assert_eq!(e.kind(), ErrorKind::Invalid);
    // A person who asks gets it all the same.
    rig.call(|u| u.install(UpdateSource::Url("https://host/0.2.0_board".into()), false)).await.expect("started");
    rig.settled().await;
    assert_eq!(rig.updater.state().phase, Phase::Restarting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_takes_nothing_new_until_it_is_kept() {
    let rig = Rig::start(Some("slot=b\ntrial=1\nboard=board\n"), true).await;
    assert_eq!(rig.updater.state().phase, Phase::Trial);
    assert_eq!(rig.call(|u| u.receive(1).map(drop)).await.expect_err("a trial").kind(), ErrorKind::Conflict);
    rig.call(|u| u.keep()).await.expect("kept");
    assert_eq!((rig.updater.state().phase, rig.asked()), (Phase::Idle, vec!["mark good booted".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_card_image_or_no_service_it_says_so() {
    let rig = Rig::start(None, false).await;
    let state = rig.updater.state();
    assert!(!state.supported && state.reason.contains("card image only"), "{state:?}");
    assert_eq!(rig.call(|u| u.receive(1).map(drop)).await.expect_err("none").kind(), ErrorKind::Impossible);
    assert!(!rig.spool_is_empty(), "a folder that is not ours is left alone");

    let rig = Rig::start(Some(BOOT), false).await;
    let e = rig.upload("0.2.0 board").await.expect_err("nobody there");
    assert_eq!(e.to_string(), "the update service (RAUC) does not run on this box");
}
