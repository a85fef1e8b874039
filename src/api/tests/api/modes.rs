//! What is switched off, over HTTP: who may, what is refused, and what a viewer sees of it.

use crate::support::*;
use http::Method;
use perch_base::Result;
use perch_base::ids::CameraId;
use perch_base::zone::Zone;
use perch_domain::access::Role;
use perch_domain::modes::*;
use perch_domain::ports::Later;
use serde_json::{Value, json};
use std::sync::Mutex;

/// A box of two cameras with one profile that decides as the real one does, and keeps nothing.
#[derive(Default)]
pub struct FakeModes(Mutex<Switched>);

fn config() -> ModesConfig {
    let away = Profile { name: "Away".into(), cameras: Default::default() };
    let name = ProfileName::new("away").expect("a name");
    ModesConfig { profiles: [(name, away)].into(), schedules: Vec::new() }
}

fn known() -> [CameraId; 2] {
    [front(), yard()]
}

impl FakeModes {
    fn view(&self, decide: impl FnOnce(&Deciding<'_>) -> Result<Switched>) -> Result<ModesView> {
        let mut switched = self.0.lock().expect("lock");
        let (config, zone, before) = (config(), Zone::utc(), switched.clone());
        let deciding = Deciding { config: &config, switched: &before, zone: &zone, ahead_us: 0 };
        *switched = decide(&deciding)?;
        let deciding = Deciding { switched: &switched, ..deciding };
        Ok(ModesView::of(&deciding, deciding.at(&known(), now()), now()))
    }
}

impl ModesPort for FakeModes {
    fn modes(&self) -> ModesView {
        self.view(|deciding| Ok(deciding.switched.clone())).expect("nothing is decided")
    }

    fn privacy(&self, request: PrivacyRequest) -> Later<'_, Result<ModesView>> {
        Box::pin(async move { self.view(|deciding| deciding.obey(&known(), &request, now())) })
    }

    fn choose_profile(&self, id: Option<ProfileName>, by: String) -> Later<'_, Result<ModesView>> {
        Box::pin(async move { self.view(|deciding| deciding.choose(id, &by, now())) })
    }
}

async fn put(rig: &Rig, path: &str, token: &str, body: &Value) -> Answer {
    rig.call(Method::PUT, path, token, &body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_are_switched_by_those_who_manage_and_seen_by_those_who_may_watch() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    let (_, limited) = rig.fake.device_with(&only(&[yard()]), None);
    let off = json!({"on": true, "cameras": ["front"], "until": "2026-05-01T18:00:00Z"});
    for token in [&viewer, &limited] {
        put(&rig, "/api/v1/privacy", token, &off).await.problem(403);
        put(&rig, "/api/v1/profile", token, &json!({"name": "away"})).await.problem(403);
    }
    let answer = put(&rig, "/api/v1/privacy", &admin, &off).await;
    assert_eq!(answer.status, 200);
    let want = json!([{"camera": "front", "by": {"kind": "person", "name": "anna"},
        "since": now().to_string(), "until": "2026-05-01T18:00:00.000000Z"}]);
    assert_eq!(answer.json()["off"], want);
    assert_eq!(rig.get("/api/v1/modes", &viewer).await.json()["off"], want);
    assert_eq!(rig.get("/api/v1/modes", &limited).await.json()["off"], json!([]), "it does not exist for this one");
    let chosen = put(&rig, "/api/v1/profile", &admin, &json!({"name": "away"})).await.json();
    assert_eq!((&chosen["profile"]["id"], &chosen["profile"]["by"]["name"]), (&json!("away"), &json!("anna")));
    let none = put(&rig, "/api/v1/profile", &admin, &json!({"name": null})).await.json();
    assert_eq!(none["profile"], Value::Null);
    let whole = put(&rig, "/api/v1/privacy", &admin, &json!({"on": true})).await.json();
    assert_eq!((whole["off"].as_array().map(Vec::len), &whole["whole"]["until"]), (Some(2), &Value::Null));
    let none = put(&rig, "/api/v1/privacy", &admin, &json!({"on": false})).await.json();
    assert_eq!((&none["off"], &none["whole"]), (&json!([]), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_leave_what_one_of_them_said() {
    let rig = Rig::start().await;
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, ben) = rig.fake.device(Role::Admin, Some("ben"));
    for _ in 0..20 {
        let (on, off) = (json!({"on": true, "cameras": ["front"]}), json!({"on": false, "cameras": ["front"]}));
        let (a, b) = tokio::join!(put(&rig, "/api/v1/privacy", &anna, &on), put(&rig, "/api/v1/privacy", &ben, &off));
        let after = rig.get("/api/v1/modes", &anna).await.json();
        assert!([&a, &b].iter().all(|answer| answer.status == 200));
        assert!([a.json(), b.json()].contains(&after), "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_make_no_sense_are_refused_and_change_nothing() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    for body in [
        json!({}),
        json!({"on": "yes"}),
        json!({"on": true, "off": true}),
        json!({"on": true, "cameras": []}),
        json!({"on": true, "cameras": ["attic"]}),
        json!({"on": true, "cameras": ["../etc"]}),
        json!({"on": true, "cameras": "front"}),
        json!({"on": true, "until": "soon"}),
        json!({"on": true, "until": "2026-05-01T12:00:00Z"}),
        json!({"on": false, "until": "2026-06-01T12:00:00Z"}),
    ] {
        put(&rig, "/api/v1/privacy", &admin, &body).await.problem(400);
    }
    for body in [json!({"name": "nobody"}), json!({"name": "NO GOOD"}), json!({"name": 7}), json!({"nam": "away"})] {
        put(&rig, "/api/v1/profile", &admin, &body).await.problem(400);
    }
    let modes = rig.get("/api/v1/modes", &admin).await.json();
    assert_eq!((&modes["off"], &modes["profile"], &modes["next_change"]), (&json!([]), &Value::Null, &Value::Null));
}
