//! Speaking through a camera: one at a time, others wait or are told who speaks.

use crate::support::*;
use http::Method;
use perch_base::clock::{Clock, SystemClock};
use perch_base::ids::AnnouncementId;
use perch_base::{Error, Result};
use perch_domain::access::Role;
use perch_domain::announcement::{Announcement, AnnouncementList, AnnouncementsPort};
use perch_domain::ports::{LivePort, TalkAnswer, TalkRequest, WatchAnswer};
use perch_domain::talk::{FloorAnswer, TalkAsker};
use serde_json::json;
use std::sync::Mutex;
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
        let who = TalkAsker { device: r.who.device_id, name, may_take_over: r.may_take_over, gives_way: false };
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

/// Announcements in memory; what a file must be has tests of its own.
#[derive(Default)]
pub struct FakeAnnouncements(Mutex<(AnnouncementList, Vec<Vec<u8>>)>);

impl AnnouncementsPort for FakeAnnouncements {
    fn list(&self) -> AnnouncementList {
        self.0.lock().expect("no panic").0.clone()
    }
    fn add(&self, name: &str, file: &[u8]) -> Result<Announcement> {
        let mut kept = self.0.lock().expect("no panic");
        let name = kept.0.name_for_one_more(name)?;
        if !file.starts_with(b"R") {
            return Err(Error::invalid("this is no WAV file"));
        }
        let one = Announcement { id: AnnouncementId::random(), name, duration_ms: 1500, added_at: now() };
        kept.0.announcements.push(one.clone());
        kept.1.push(file.to_vec());
        Ok(one)
    }
    fn sound(&self, id: AnnouncementId) -> Result<Vec<u8>> {
        let kept = self.0.lock().expect("no panic");
        let at = kept.0.announcements.iter().position(|one| one.id == id);
        at.map(|at| kept.1[at].clone()).ok_or_else(|| Error::not_found("there is no such announcement"))
    }
    fn remove(&self, id: AnnouncementId) -> Result<()> {
        self.sound(id)?;
        let mut kept = self.0.lock().expect("no panic");
        let at = kept.0.announcements.iter().position(|one| one.id == id).expect("there");
        kept.0.announcements.remove(at);
        kept.1.remove(at);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chime_and_announcements() {
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

    let upload = async |name: &str, token: &str, kind: &str, body: &str| {
        let auth = format!("Bearer {token}");
        let path = format!("/api/v1/announcements?name={name}");
        rig.send(request("POST", &path, &[("authorization", &auth), ("content-type", kind)], body)).await
    };
    upload("Parcels", &viewer, "audio/wav", "RIFF").await.problem(403);
    upload("Parcels", &anna, "audio/mpeg", "RIFF").await.problem(415);
    upload("Parcels", &anna, "audio/wav", "ID3").await.problem(400);
    upload("", &anna, "audio/wav", "RIFF").await.problem(400);
    upload("chime", &anna, "audio/wav", "RIFF").await.problem(409);
    let one = upload("Parcels%20here", &anna, "audio/wav", "RIFF").await;
    assert_eq!(one.status, 201);
    let one = one.json();
    assert_eq!((&one["name"], &one["duration_ms"]), (&json!("Parcels here"), &json!(1500)));
    rig.get("/api/v1/announcements", &viewer).await.problem(403);
    assert_eq!(rig.get("/api/v1/announcements", &ben).await.json(), json!({ "announcements": [one] }));
    let at = format!("/api/v1/announcements/{}", one["id"].as_str().expect("a text"));
    let sound = rig.get(&format!("{at}/sound.wav"), &ben).await;
    assert_eq!((sound.header("content-type"), &*sound.body), ("audio/wav", b"RIFF".as_slice()));
    rig.get(&format!("{at}/sound.wav"), &viewer).await.problem(403);
    rig.get("/api/v1/announcements/%2e%2e%2f/sound.wav", &ben).await.problem(404);
    assert_eq!(ring("front", &ben, r#"{"name":"Parcels here"}"#).await.status, 204);
    rig.call(Method::DELETE, &at, &viewer, "").await.problem(403);
    assert_eq!(rig.call(Method::DELETE, &at, &anna, "").await.status, 204);
    rig.call(Method::DELETE, &at, &anna, "").await.problem(404);
    ring("front", &ben, r#"{"name":"Parcels here"}"#).await.problem(404);

    assert_eq!(offer(&rig, WHIP, &anna, "v=0\r\n").await.status, 201);
    assert_eq!(ring("front", &ben, chime).await.problem(409)["speaker"], json!("anna"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_touches_the_session_of_another_who_speaks() {
    let rig = Rig::start().await;
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    let (_, elsewhere) = rig.fake.device_with(&only(&[yard()]), None);
    let at = offer(&rig, WHIP, &anna, "v=0\r\n").await.header("location").to_owned();
    let fragment = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    for token in [&viewer, &elsewhere] {
        rig.call(Method::POST, &format!("{at}/keepalive"), token, "").await.problem(404);
        rig.call(Method::DELETE, &at, token, "").await.problem(404);
        let auth = format!("Bearer {token}");
        let kind = "application/trickle-ice-sdpfrag";
        let headers = [("authorization", &*auth), ("content-type", kind)];
        rig.send(request("PATCH", &at, &headers, fragment)).await.problem(404);
    }
    // Who watches another camera alone learns nothing of who speaks here, and speaks nowhere.
    rig.get(TALK, &elsewhere).await.problem(404);
    for camera in ["front", "yard"] {
        let refused = offer(&rig, &format!("/api/v1/cameras/{camera}/whip"), &elsewhere, "v=0\r\n").await;
        assert!([403, 404].contains(&refused.status.as_u16()), "{camera}: {}", refused.status);
    }
    assert_eq!(rig.call(Method::POST, &format!("{at}/keepalive"), &anna, "").await.status, 204);
}
