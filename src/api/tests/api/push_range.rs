//! Recorded ranges that are sent to other servers: who may begin, see and stop one, and that no answer shows a key.

use crate::support::*;
use http::Method;
use perch_base::Result;
use perch_base::ids::CameraId;
use perch_domain::access::{Principal, Role};
use perch_domain::archive::{Span, Timeline};
use perch_domain::push::range::{RangeOrder, RangePush, RangePushPort, RangePushes, RangeState};
use serde_json::json;
use std::sync::Mutex;

/// Those that are sent, in memory; what is sent has tests of its own.
#[derive(Default)]
pub struct FakeRangePushes(Mutex<RangePushes>);

impl FakeRangePushes {
    /// All of what one was to send was sent.
    fn sent(&self, id: u64) {
        self.0.lock().expect("no panic").set(id, RangeState::Sent, 60_000, "");
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.0.lock().expect("no panic").under_way().len()
    }
}

impl RangePushPort for FakeRangePushes {
    fn begin(&self, order: RangeOrder, by: &Principal) -> Result<RangePush> {
        let (from, to) = (order.range.from, order.range.to);
        let spans = vec![Span { start: from, end: to, held: perch_domain::archive::WhereHeld::Here }];
        let timeline = Timeline { from, to, spans, gaps: vec![], events: vec![] };
        self.0.lock().expect("no panic").begin(&order, &timeline, by, now())
    }
    fn of_camera(&self, camera: &CameraId) -> Vec<RangePush> {
        self.0.lock().expect("no panic").of(camera)
    }
    fn end(&self, camera: &CameraId, id: u64) -> Result<()> {
        let mut pushes = self.0.lock().expect("no panic");
        if pushes.end(camera, id)? {
            pushes.set(id, RangeState::Stopped, 1000, "");
        }
        Ok(())
    }
}

const OF_FRONT: &str = "/api/v1/cameras/front/push-range";

fn body(url: &str) -> String {
    json!({ "from": "2026-05-01T12:00:00Z", "to": "2026-05-01T12:01:00Z", "url": url }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_range_is_sent_and_stopped_by_who_manages_the_box_and_seen_by_who_looks_back() {
    let rig = Rig::start().await;
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, ben) = rig.fake.device(Role::Admin, Some("ben"));
    let (_, cleo) = rig.fake.device(Role::Viewer, Some("cleo"));
    let (_, of_yard) = rig.fake.device_with(&only(&[yard()]), None);
    let begin = async |token: &str, body: &str| rig.call(Method::POST, OF_FRONT, token, body).await;
    let good = body("rtmp://h/live/S3CRET");
    begin(&of_yard, &good).await.problem(403);
    begin(&cleo, &good).await.problem(403);
    for (bad, says) in [
        (body("srt://h:9?streamid=S3CRET"), "by RTMP"),
        (body("exec:S3CRET"), "address"),
        (body("rtmp://h/live/S3CRET ! filesink"), "character"),
        (good.replace("12:01", "11:59"), "to"),
        (r#"{"url":"rtmp://h/live/S3CRET"}"#.to_owned(), "from"),
        (r#"{"url":["S3CRET"]}"#.to_owned(), "string"),
    ] {
        let said = begin(&anna, &bad).await.problem(400).to_string();
        assert!(said.contains(says) && !said.contains("S3CRET"), "{bad}: {said}");
    }
    let first = begin(&ben, &good).await;
    assert_eq!(first.status, 201);
    let first = first.json();
    assert_eq!(
        (&first["server"], &first["by"], &first["state"], &first["sentence"]),
        (&json!("rtmp://h/…"), &json!("ben"), &json!("connecting"), &json!("The server is being reached."))
    );
    assert_eq!(begin(&anna, &good).await.status, 201);
    begin(&anna, &good).await.problem(409);
    let listed = rig.get(OF_FRONT, &cleo).await;
    assert!(!String::from_utf8_lossy(&listed.body).contains("S3CRET"));
    assert_eq!(listed.json()["pushes"].as_array().map(Vec::len), Some(2), "{}", listed.json());
    assert_eq!(rig.get("/api/v1/cameras/yard/push-range", &of_yard).await.json(), json!({ "pushes": [] }));
    rig.get(OF_FRONT, &of_yard).await.problem(404);

    let at = |id: &str| format!("{OF_FRONT}/{id}");
    let stop = async |path: &str, token: &str| rig.call(Method::DELETE, path, token, "").await;
    stop(&at("1"), &cleo).await.problem(403);
    stop(&at("1"), &of_yard).await.problem(403);
    for none in ["9", "x", "-1", "99999999999999999999", "%2e%2e"] {
        stop(&at(none), &ben).await.problem(404);
    }
    stop("/api/v1/cameras/yard/push-range/1", &ben).await.problem(404);
    assert_eq!(stop(&at("1"), &ben).await.status, 204);
    assert_eq!(rig.fake.range_pushes.under_way(), 1);
    assert_eq!(rig.get(OF_FRONT, &ben).await.json()["pushes"][1]["state"], "stopped");
    assert_eq!(stop(&at("1"), &anna).await.status, 204, "it is forgotten");
    stop(&at("1"), &anna).await.problem(404);
    rig.fake.range_pushes.sent(2);
    assert_eq!(rig.get(OF_FRONT, &ben).await.json()["pushes"][0]["sentence"], "All of it was sent: 1 min.");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_sends_no_recording() {
    let rig = Rig::start().await;
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let (ben, token) = rig.fake.device(Role::Admin, Some("ben"));
    let cut = rig.call(Method::PUT, &format!("/api/v1/devices/{ben}/cut-off"), &anna, "").await;
    assert_eq!(cut.status, 200);
    rig.call(Method::POST, OF_FRONT, &token, &body("rtmp://h/live/S3CRET")).await.problem(403);
    assert_eq!(rig.fake.range_pushes.under_way(), 0);
}
