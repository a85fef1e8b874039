//! The system under the box over HTTP: who may, and what is handed on to the port.

use crate::support::*;
use http::Method;
use perch_base::secret::Secret;
use perch_base::{Error, Result};
use perch_domain::access::Role;
use perch_domain::log::{Level, LogFilter, LogLine, LogPage};
use perch_domain::ports::{BackupPort, LogPort, Restored, SystemPort};
use perch_domain::system::{Action, SystemChange, SystemFacts, Wishes};
use std::io::Read;
use std::sync::Mutex;

/// Notes what it was asked.
#[derive(Default)]
pub struct FakeSystem(Mutex<Vec<String>>);

impl FakeSystem {
    /// What was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.0.lock().expect("lock").clone()
    }
}

impl SystemPort for FakeSystem {
    fn facts(&self) -> SystemFacts {
        SystemFacts { hostname: "perch".into(), ssid: Some("Home".into()), ..Default::default() }
    }

    fn change(&self, change: &SystemChange) -> Result<()> {
        let wishes = Wishes::to_change(change)?;
        self.0.lock().expect("lock").push(wishes.text().expose().clone());
        Ok(())
    }

    fn act(&self, action: Action) -> Result<()> {
        self.0.lock().expect("lock").push(format!("{action:?}"));
        Ok(())
    }
}

impl BackupPort for FakeSystem {
    fn make(&self, password: &Secret) -> Result<Vec<u8>> {
        self.0.lock().expect("lock").push("backup".into());
        Ok(format!("sealed with {}", password.expose()).into_bytes())
    }

    fn take(&self, file: &[u8], password: &Secret, dry_run: bool) -> Result<Restored> {
        if file != format!("sealed with {}", password.expose()).as_bytes() {
            return Err(Error::invalid("the password is wrong"));
        }
        self.0.lock().expect("lock").push(format!("restore, dry run: {dry_run}"));
        Ok(Restored { name: "Shop".into(), accounts: 2, ..Default::default() })
    }

    fn waits(&self) -> Result<Option<Restored>> {
        let waits = !self.asked().iter().any(|asked| asked == "taken back");
        Ok(waits.then(|| Restored { name: "Shop".into(), ..Default::default() }))
    }

    fn take_back(&self) -> Result<()> {
        self.0.lock().expect("lock").push("taken back".into());
        Ok(())
    }
}

#[tokio::test]
async fn a_backup_goes_out_and_comes_back() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    let asked = r#"{"password": "open sesame"}"#;
    rig.call(Method::POST, "/api/v1/backup", &viewer, asked).await.problem(403);
    rig.call(Method::POST, "/api/v1/backup", &admin, r#"{"password": "short"}"#).await.problem(400);
    let made = rig.call(Method::POST, "/api/v1/backup", &admin, asked).await;
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (200, "no-store"));
    let file = perch_base::base64::encode(&made.body);
    let back = |password: &str, file: &str| serde_json::json!({"password": password, "file": file}).to_string();
    let path = "/api/v1/backup/restore?dry_run=true";
    let would = rig.call(Method::POST, path, &admin, &back("open sesame", &file)).await;
    assert_eq!(would.json()["accounts"], 2);
    rig.call(Method::POST, path, &admin, &back("open barley", &file)).await.problem(400);
    rig.call(Method::POST, path, &admin, &back("open sesame", "not base64!")).await.problem(400);
    rig.call(Method::POST, path, &admin, &back("open sesame", &"A".repeat(7 << 20))).await.problem(413);
    assert_eq!(rig.fake.system.asked(), ["backup", "restore, dry run: true"]);
    let waits = "/api/v1/backup/restore";
    assert_eq!(rig.get(waits, &admin).await.json()["waiting"]["name"], "Shop");
    assert_eq!(rig.call(Method::DELETE, waits, &admin, "").await.status.as_u16(), 204);
    assert_eq!(rig.get(waits, &admin).await.json(), serde_json::json!({"waiting": null}));
    rig.call(Method::POST, "/api/v1/support-bundle", &viewer, "").await.problem(403);
    let bundle = rig.call(Method::POST, "/api/v1/support-bundle", &admin, "").await;
    let text = unpacked(&bundle.body);
    assert!(text.contains("Warn front no picture") && text.contains("status.json"), "{text}");
    // Now above all it is wanted.
    rig.fake.state().users_gone = true;
    let text = unpacked(&rig.call(Method::POST, "/api/v1/support-bundle", &admin, "").await.body);
    assert!(text.contains("status.json") && text.contains("the database cannot be read"), "{text}");
    assert!(!text.contains("Warn front no picture"), "{text}");
}

fn unpacked(bundle: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bundle).read_to_string(&mut text).expect("a packed text");
    text
}

impl LogPort for FakeSystem {
    fn page(&self, filter: &LogFilter) -> LogPage {
        let line = |n, level, text: &str| LogLine {
            n,
            at: now(),
            level,
            camera: Some("front".into()),
            who: Some("anna".into()),
            text: text.into(),
        };
        filter.page([line(2, Level::Warn, "no picture"), line(1, Level::Info, "changed")].iter())
    }
}

#[tokio::test]
async fn the_log_is_asked_for_by_what_it_says() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    rig.get("/api/v1/log", &viewer).await.problem(403);
    let numbers = async |query: &str| {
        let page = rig.get(&format!("/api/v1/log{query}"), &admin).await.json();
        let lines = page["lines"].as_array().expect("lines").iter();
        (lines.filter_map(|l| l["n"].as_u64()).collect::<Vec<_>>(), page["next"].clone())
    };
    assert_eq!(numbers("").await, (vec![2, 1], serde_json::Value::Null));
    assert_eq!(numbers("?limit=1").await, (vec![2], serde_json::json!(2)));
    assert_eq!(numbers("?before=2").await.0, [1]);
    assert_eq!(numbers("?level=warn").await.0, [2]);
    assert_eq!(numbers("?what=PICTURE&who=ann&camera=front").await.0, [2]);
    assert!(numbers("?camera=yard").await.0.is_empty());
    rig.get("/api/v1/log?level=loud", &admin).await.problem(400);
}

#[tokio::test]
async fn the_system_is_changed_by_who_may_manage_the_box() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    assert_eq!(rig.get("/api/v1/system", &admin).await.json()["ssid"], "Home");
    let change = r#"{"hostname": "shop", "time_zone": "Europe/Zurich"}"#;
    for (method, path, body) in [
        (Method::GET, "/api/v1/system", ""),
        (Method::PATCH, "/api/v1/system", change),
        (Method::POST, "/api/v1/system/restart", ""),
        (Method::POST, "/api/v1/system/reboot", ""),
        (Method::POST, "/api/v1/system/shutdown", ""),
    ] {
        rig.call(method, path, &viewer, body).await.problem(403);
    }
    assert!(rig.fake.system.asked().is_empty());
    assert_eq!(rig.call(Method::PATCH, "/api/v1/system", &admin, change).await.status.as_u16(), 202);
    let wrong = r#"{"wifi": {"ssid": "x", "password": "S3CRET", "country": "CH"}}"#;
    let refused = rig.call(Method::PATCH, "/api/v1/system", &admin, wrong).await;
    assert!(!String::from_utf8_lossy(&refused.body).contains("S3CRET"));
    refused.problem(400);
    rig.call(Method::PATCH, "/api/v1/system", &admin, "{}").await.problem(400);
    let merged = |dry_run| {
        let patch = "Merge({\"box\": Object {\"time_zone\": String(\"Europe/Zurich\")}})";
        format!("{patch} by anna, dry run: {dry_run}")
    };
    assert_eq!(rig.fake.settings.made(), [merged(true), merged(false)]);
    // What the settings refuse is not asked of root either.
    rig.call(Method::PATCH, "/api/v1/system", &admin, r#"{"time_zone": "Mars/Olympus"}"#).await.problem(400);
    let acted = rig.call(Method::POST, "/api/v1/system/restart", &admin, "").await;
    assert_eq!((acted.status.as_u16(), acted.json()["back_in_s"].as_u64()), (202, Some(10)));
    rig.call(Method::POST, "/api/v1/system/shutdown", &admin, "").await;
    let asked = rig.fake.system.asked();
    assert_eq!(asked, ["hostname = \"shop\"\ntimezone = \"Europe/Zurich\"\n", "Restart", "Shutdown"]);
}
