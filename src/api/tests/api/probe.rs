//! Trying cameras out over HTTP: what is handed on to the port, what comes back, and that it ends when the caller is gone.

use crate::support::*;
use crate::table::differences;
use http::Method;
use perch_api::openapi;
use perch_base::ids::DeviceId;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::Role;
use perch_domain::discovery::*;
use perch_domain::media::Stream;
use perch_domain::ports::Later;
use perch_domain::probe::*;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Answers with what it was asked; a source `slow` never answers.
#[derive(Default)]
pub struct FakeProbe {
    /// Probes that run.
    pub running: AtomicUsize,
}

struct Runs<'a>(&'a AtomicUsize);

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ProbePort for FakeProbe {
    fn probe(&self, camera: Map<String, Value>, _: DeviceId) -> Later<'_, Result<Probed>> {
        Box::pin(async move {
            self.running.fetch_add(1, Ordering::SeqCst);
            let _runs = Runs(&self.running);
            let source = match camera.get("source").and_then(Value::as_str) {
                Some("slow") => std::future::pending().await,
                Some("busy") => return Err(Error::new(ErrorKind::RateLimited, "others are trying out cameras")),
                Some(source) => source.to_owned(),
                None => return Err(Error::invalid("camera.source: is missing")),
            };
            let said = Judgement {
                weight: Weight::Odd,
                stream: Stream::Main,
                what: "it is odd".into(),
                change: String::new(),
            };
            let stream =
                ProbedStream { stream: Stream::Main, measured: Measured::default(), still: Some("/9j/".into()) };
            Ok(Probed { source, streams: vec![stream], modes: None, judgement: vec![said] })
        })
    }
}

impl DiscoveryPort for FakeProbe {
    fn discover(&self, addresses: Vec<IpAddr>, _: DeviceId) -> Later<'_, Result<Found>> {
        let one = |address| FoundInNetwork {
            address,
            onvif: None,
            rtsp_port: Some(554),
            name: "Cam".into(),
            model: String::new(),
            used_by: None,
        };
        let microphone = FoundMicrophone { source: "alsa:hw:0".into(), name: "Mic".into() };
        let device = FoundDevice {
            source: "v4l2:/dev/video0".into(),
            name: "USB".into(),
            offers: String::new(),
            problem: None,
            used_by: Some("front".into()),
        };
        let network = addresses.into_iter().map(one).collect();
        Box::pin(async move { Ok(Found { devices: vec![device], microphones: vec![microphone], network }) })
    }

    fn streams(&self, wanted: StreamsWanted, _: DeviceId) -> Later<'_, Result<FoundStreams>> {
        Box::pin(async move {
            let StreamsWanted { place, user, .. } = wanted;
            if place.host == "nobody" {
                let problem = Some(NoStream::new(Lacking::Host, "nothing answers there"));
                return Ok(FoundStreams { problem, ..FoundStreams::default() });
            }
            let source = format!("rtsp://{user}@{}/a", place.host);
            let main = FoundStream { source, ..FoundStream::default() };
            let cameras = vec![FoundCamera { name: place.host, sub: Some(main.clone()), main }];
            Ok(FoundStreams { by: Some(FoundBy::Onvif), cameras, ..FoundStreams::default() })
        })
    }
}

#[tokio::test]
async fn cameras_are_looked_for_at_addresses_of_the_house() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let found = rig.get("/api/v1/discovery?addresses=192.168.1.0/30", &admin).await.json();
    assert_eq!(found["network"].as_array().map(Vec::len), Some(4), "{found}");
    for addresses in ["8.8.8.8", "10.0.0.0/8", "cam.local"] {
        rig.get(&format!("/api/v1/discovery?addresses={addresses}"), &admin).await.problem(400);
    }
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    assert_eq!(differences(&openapi("0.0.0"), &schema("Found"), &found, "found"), Vec::<String>::new());
    for (body, status) in [
        (json!({"address": "cam", "username": "me", "password": "pw"}), 200),
        (json!({"address": "nobody"}), 200),
        (json!({"address": "ftp://cam"}), 400),
        (json!({"address": "cam", "password": "x".repeat(300)}), 400),
        (json!({"username": "me"}), 400),
    ] {
        let answer = rig.call(Method::POST, "/api/v1/discovery/streams", &admin, &body.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {:?}", answer.body);
        if status == 200 {
            let found = differences(&openapi("0.0.0"), &schema("FoundStreams"), &answer.json(), "streams");
            assert_eq!(found, Vec::<String>::new(), "{body}");
        }
    }
}

#[tokio::test]
async fn a_camera_is_tried_out_by_who_may_add_it() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let tried = rig.call(Method::POST, "/api/v1/cameras/probe", &admin, "{\"source\": \"test\"}").await;
    assert_eq!((tried.status.as_u16(), tried.header("cache-control")), (200, "no-store"));
    let schema = json!({"$ref": "#/components/schemas/Probed"});
    assert_eq!(differences(&openapi("0.0.0"), &schema, &tried.json(), "probed"), Vec::<String>::new());
    assert_eq!(tried.json()["judgement"][0]["weight"], "odd");
    for (body, status) in [("{}", 400), ("[]", 400), ("{\"source\": \"busy\"}", 429)] {
        rig.call(Method::POST, "/api/v1/cameras/probe", &admin, body).await.problem(status);
    }
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    rig.call(Method::POST, "/api/v1/cameras/probe", &viewer, "{\"source\": \"test\"}").await.problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_ends_it() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let running = || rig.fake.probe.running.load(Ordering::SeqCst);
    let wait_for = async |count| {
        while running() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    {
        let mut asked = Box::pin(rig.call(Method::POST, "/api/v1/cameras/probe", &admin, "{\"source\": \"slow\"}"));
        tokio::select! {
            _ = &mut asked => panic!("it is slow"),
            () = wait_for(1) => {}
        }
    }
    tokio::time::timeout(Duration::from_secs(30), wait_for(0)).await.expect("it ends");
}
