//! The configuration over HTTP: who may, the tag that a change is made from, and what is handed on to the port.

use crate::support::*;
use http::Method;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::pairing::PairingConfig;
use perch_domain::ports::{Later, SettingsPort};
use perch_domain::settings::changes::*;
use serde_json::json;
use std::sync::Mutex;

/// Answers with what it was asked, and notes it.
#[derive(Default)]
pub struct FakeSettings(Mutex<Vec<String>>);

impl FakeSettings {
    /// What was changed.
    pub fn made(&self) -> Vec<String> {
        self.0.lock().expect("lock").clone()
    }
}

impl SettingsPort for FakeSettings {
    fn box_name(&self) -> String {
        "Box".into()
    }

    fn codes(&self) -> PairingConfig {
        PairingConfig { digits: 6, ttl: std::time::Duration::from_secs(120) }
    }

    fn settings(&self) -> Result<Settings> {
        Ok(Settings { tag: "a1".into(), values: json!({"box": {"name": "Shop"}}) })
    }

    fn schema(&self) -> SettingsSchema {
        let name = json!({"key": "box.name", "type": "text", "min": 1, "max": 64, "default": "Perch",
            "sentence": "What the box is called.", "at_start": false});
        SettingsSchema { settings: vec![name], locked: None }
    }

    fn change(&self, request: SettingsRequest) -> Later<'_, Result<SettingsChanged>> {
        Box::pin(async move {
            let SettingsRequest { change, by, tag, dry_run } = request;
            if tag.as_deref().is_some_and(|tag| tag != "a1") {
                return Err(Error::new(ErrorKind::Stale, "the settings were changed since"));
            }
            if format!("{change:?}").contains("Mars/Olympus") {
                return Err(Error::invalid("box.time_zone = Mars/Olympus: must be a time zone that the box knows"));
            }
            let said = format!("{change:?} by {by}, dry run: {dry_run}");
            self.0.lock().expect("lock").push(said.clone());
            Ok(SettingsChanged {
                tag: "a2".into(),
                diff: String::new(),
                effects: vec![said],
                not_followed: Vec::new(),
                waits_for_start: Vec::new(),
                warnings: Vec::new(),
            })
        })
    }

    fn versions(&self) -> Result<Vec<SettingsVersion>> {
        Ok(vec![self.version(1)?.version])
    }

    fn version(&self, number: u64) -> Result<SettingsText> {
        if number != 1 {
            return Err(Error::not_found("this version of the settings is not kept"));
        }
        let version = SettingsVersion { number, at: now(), by: "anna".into() };
        Ok(SettingsText { version, text: "# nothing\n".into(), diff: String::new() })
    }
}

#[tokio::test]
async fn a_change_needs_what_it_was_made_from() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(perch_domain::access::Role::Admin, Some("anna"));
    let read = rig.get("/api/v1/settings", &admin).await;
    assert_eq!((read.json()["box"]["name"].as_str(), read.header("etag")), (Some("Shop"), "\"a1\""));
    let patch = |tag: &'static str, query: &'static str| {
        let headers = [("authorization", format!("Bearer {admin}")), ("content-type", "application/json".into())];
        let mut headers: Vec<_> = headers.into_iter().collect();
        if !tag.is_empty() {
            headers.push(("if-match", tag.to_owned()));
        }
        let headers: Vec<_> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let path = format!("/api/v1/settings{query}");
        request("PATCH", &path, &headers, "{\"box\": {\"name\": \"Hall\"}}")
    };
    rig.send(patch("", "")).await.problem(428);
    rig.send(patch("\"a0\"", "")).await.problem(412);
    let changed = rig.send(patch("\"a1\"", "")).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"a2\""));
    assert!(
        changed.json()["effects"][0]
            .as_str()
            .is_some_and(|said| said.contains("Hall") && said.ends_with("by anna, dry run: false"))
    );
    let dry = rig.send(patch("\"a1\"", "?dry_run=true")).await;
    assert!(dry.json()["effects"][0].as_str().is_some_and(|said| said.ends_with("dry run: true")));
    rig.send(patch("\"a1\"", "?dry_run=perhaps")).await.problem(400);
}

#[tokio::test]
async fn a_patch_may_be_said_to_be_one_and_be_as_long_as_many_cameras() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(perch_domain::access::Role::Admin, Some("anna"));
    let bearer = format!("Bearer {admin}");
    let patch = |kind: &str, path: &str, bytes: usize| {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind), ("if-match", "*")];
        request("PATCH", path, &headers, &json!({"box": {"name": "x".repeat(bytes)}}).to_string())
    };
    for path in ["/api/v1/settings", "/api/v1/cameras/front"] {
        for kind in ["application/json", "application/merge-patch+json"] {
            assert_eq!(rig.send(patch(kind, path, 900 * 1024)).await.status.as_u16(), 200, "{kind}");
            rig.send(patch(kind, path, 1024 * 1024)).await.problem(413);
        }
        rig.send(patch("application/json-patch+json", path, 1)).await.problem(415);
    }
    let whole = request(
        "POST",
        "/api/v1/cameras",
        &[("authorization", bearer.as_str()), ("content-type", "application/merge-patch+json")],
        "{}",
    );
    rig.send(whole).await.problem(415);
}

#[tokio::test]
async fn cameras_and_versions_are_asked_for_by_name() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(perch_domain::access::Role::Admin, Some("anna"));
    let camera = "{\"id\": \"hall\", \"source\": \"test\"}";
    let made = rig.call(Method::POST, "/api/v1/cameras", &admin, camera).await;
    assert_eq!(made.status.as_u16(), 201);
    assert_eq!(rig.call(Method::POST, "/api/v1/cameras?dry_run=true", &admin, camera).await.status.as_u16(), 200);
    rig.call(Method::POST, "/api/v1/cameras", &admin, "[]").await.problem(400);
    let gone = rig.call(Method::DELETE, "/api/v1/cameras/front", &admin, "").await;
    assert!(gone.json()["effects"][0].as_str().is_some_and(|said| said.contains("front")));
    assert_eq!(rig.get("/api/v1/settings/versions", &admin).await.json()["versions"][0]["by"], "anna");
    rig.get("/api/v1/settings/versions/2", &admin).await.problem(404);
    rig.get("/api/v1/settings/versions/one", &admin).await.problem(404);
    let back = rig.call(Method::POST, "/api/v1/settings/versions/1/restore", &admin, "").await;
    assert_eq!(back.status.as_u16(), 200);
}
