//! Speaking through a camera: one at a time, others wait or are told who speaks.

use crate::support::*;
use http::Method;
use perch_base::clock::{Clock, SystemClock};
use perch_base::{Error, Result};
use perch_domain::access::Role;
use perch_domain::ports::{LivePort, TalkAnswer, TalkRequest, WatchAnswer};
use perch_domain::talk::{FloorAnswer, TalkAsker};
use serde_json::json;
use std::time::Duration;

const WHIP: &str = "/api/v1/cameras/front/whip";
const TALK: &str = "/api/v1/cameras/front/talk";

impl Fake {
    /// The front's floor is a real one.
    pub fn speak(&self, r: TalkRequest) -> Result<TalkAnswer> {
        if r.camera != front() {
            return gone("camera");
        }
        if r.offer.contains("nonsense") {
            return Err(Error::invalid("the offer sends no sound"));
        }
        let name = r.who.username.clone().unwrap_or_else(|| r.who.device_name.clone());
        let who = TalkAsker { device: r.who.device_id, name, may_take_over: r.may_take_over };
        let lease = self.watches(r.who.device_id, r.camera);
        let max = Duration::from_secs(120);
        let asked = self.floor.lock().expect("no panic").ask(SystemClock.mono(), &who, lease, r.when_busy, max)?;
        match asked {
            FloorAnswer::Busy(busy) => {
                self.end(lease)?;
                Ok(TalkAnswer::Busy(busy))
            }
            FloorAnswer::Speaks { ends, .. } => {
                ends.map_or(Ok(()), |before| self.end(before))?;
                Ok(TalkAnswer::Speaks(WatchAnswer { lease, sdp: "v=0\r\ns=answer\r\n".into() }))
            }
        }
    }
}

async fn offer(rig: &Rig, path: &str, token: &str, body: &str) -> Answer {
    let auth = format!("Bearer {token}");
    rig.send(request("POST", path, &[("authorization", &auth), ("content-type", "application/sdp")], body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whip() {
    let rig = Rig::start().await;
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, ben) = rig.fake.device(Role::Admin, Some("ben"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    offer(&rig, WHIP, &viewer, "v=0\r\n").await.problem(403);
    offer(&rig, WHIP, &anna, "hello").await.problem(400);
    offer(&rig, WHIP, &anna, "v=0 nonsense").await.problem(422);
    offer(&rig, "/api/v1/cameras/back/whip", &anna, "v=0").await.problem(404);
    offer(&rig, &format!("{WHIP}?when_busy=shout"), &anna, "v=0").await.problem(400);
    let floor = async |token: &str| rig.get(TALK, token).await.json();
    assert_eq!(floor(&viewer).await["speaker"], json!(null));

    let started = offer(&rig, WHIP, &anna, "v=0\r\n").await;
    assert_eq!((started.status.as_u16(), started.header("content-type")), (201, "application/sdp"));
    assert_eq!(started.headers.get_all("link").iter().count(), 2);
    let at = started.header("location").to_owned();
    assert!(at.starts_with("/api/v1/live/"), "{at}");
    assert_eq!(rig.call(Method::POST, &format!("{at}/keepalive"), &anna, "").await.status, 204);
    let seen = floor(&viewer).await;
    assert_eq!((&seen["speaker"], &seen["is_you"]), (&json!("anna"), &json!(false)));

    let busy = offer(&rig, WHIP, &ben, "v=0\r\n").await.problem(409);
    assert_eq!((&busy["speaker"], &busy["detail"]), (&json!("anna"), &json!("Anna is speaking.")));
    let busy = offer(&rig, &format!("{WHIP}?when_busy=queue"), &ben, "v=0\r\n").await.problem(409);
    assert_eq!((&busy["speaker"], &busy["your_place"]), (&json!("anna"), &json!(1)));
    assert_eq!(rig.call(Method::DELETE, &at, &anna, "").await.status, 204);
    assert_eq!(floor(&ben).await["your_turn"], json!(true));
    offer(&rig, WHIP, &anna, "v=0\r\n").await.problem(409);
    assert_eq!(rig.call(Method::DELETE, TALK, &ben, "").await.status, 204);
    assert_eq!(offer(&rig, WHIP, &anna, "v=0\r\n").await.status, 201);
    assert_eq!(offer(&rig, &format!("{WHIP}?when_busy=take_over"), &ben, "v=0\r\n").await.status, 201);
    assert_eq!(floor(&anna).await["speaker"], json!("ben"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_sees_which_device_a_loudspeaker_is() {
    let rig = Rig::start().await;
    for (role, sees) in [(Role::Admin, true), (Role::Viewer, false)] {
        let (_, token) = rig.fake.device(role, None);
        let camera = rig.get("/api/v1/cameras/front", &token).await.json();
        assert_eq!(camera["talk"]["echo"], json!("cancel"));
        assert_eq!(camera["talk"].get("sink").is_some(), sees, "{role:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_does_not_speak() {
    let rig = Rig::start().await;
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let (ben, token) = rig.fake.device(Role::Admin, Some("ben"));
    assert_eq!(offer(&rig, WHIP, &token, "v=0\r\n").await.status, 201);
    let cut = rig.call(Method::PUT, &format!("/api/v1/devices/{ben}/cut-off"), &anna, "").await;
    assert_eq!(cut.status, 200);
    assert!(offer(&rig, WHIP, &token, "v=0\r\n").await.problem(403).get("cut_off").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chime() {
    let rig = Rig::start().await;
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, ben) = rig.fake.device(Role::Admin, Some("ben"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    let ring = async |camera: &str, token: &str, body: &str| {
        rig.call(Method::POST, &format!("/api/v1/cameras/{camera}/announce"), token, body).await
    };
    let chime = r#"{"name":"chime"}"#;
    ring("front", &viewer, chime).await.problem(403);
    ring("back", &anna, chime).await.problem(404);
    ring("front", &anna, r#"{"name":"../../etc/passwd"}"#).await.problem(404);
    ring("front", &anna, "{}").await.problem(400);
    assert_eq!(ring("front", &anna, chime).await.status, 204);
    assert_eq!(offer(&rig, WHIP, &anna, "v=0\r\n").await.status, 201);
    assert_eq!(ring("front", &ben, chime).await.problem(409)["speaker"], json!("anna"));
}
