//! Live viewing and RTSP readers of the box in memory.

use crate::support::*;
use crate::table::differences;
use perch_api::openapi;
use perch_base::clock::{Clock, SystemClock};
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::Role;
use perch_domain::cut_off::{Moment, Viewer};
use perch_domain::doctor::LiveFacts;
use perch_domain::ice_url::IceTransport;
use perch_domain::media::Stream;
use perch_domain::ports::*;
use perch_domain::relay::IceFailure;
use perch_domain::status::*;
use serde_json::json;

impl ReadersPort for Fake {
    fn who_reads(&self) -> Vec<RtspReader> {
        self.state().readers.clone()
    }
}

impl LivePort for Fake {
    fn watch(&self, r: WatchRequest) -> Result<WatchAnswer> {
        if ![front(), yard()].contains(&r.camera) {
            return gone("camera");
        }
        if r.offer.contains("nonsense") {
            return Err(Error::invalid("the offer has no media"));
        }
        if r.offer.contains("VP9") {
            return Err(Error::new(ErrorKind::Unsupported, "the offer has no H.264"));
        }
        if self.state().cut_off_late {
            let (viewer, now) = (Viewer::Device(r.viewer.device_id), Moment { utc: now(), mono: SystemClock.mono() });
            self.cut_offs.lock().expect("no panic").cut(viewer, None, "anna", now);
        }
        let lease = self.watches(r.viewer.device_id, r.camera);
        Ok(WatchAnswer { lease, sdp: "v=0\r\ns=answer\r\n".into() })
    }
    fn talk(&self, r: TalkRequest) -> Result<TalkAnswer> {
        self.speak(r)
    }
    fn trickle(&self, _: LeaseId, fragment: &str) -> Result<Option<String>> {
        Ok(fragment.contains("restart").then(|| "a=ice-ufrag:x\r\n".into()))
    }
    fn renew(&self, lease: LeaseId) -> Result<()> {
        self.engine()?.leases.get(&lease).map(drop).ok_or_else(|| Error::not_found("lapsed"))
    }
    fn set_sound_only(&self, lease: LeaseId, sound_only: bool) -> Result<()> {
        self.renew(lease)?;
        self.state().sound_only.insert(lease, sound_only);
        Ok(())
    }
    fn end(&self, lease: LeaseId) -> Result<()> {
        let mut state = self.engine()?;
        self.floor.lock().expect("no panic").release(SystemClock.mono(), lease);
        let owner = state.leases.remove(&lease).map(|(_, device)| device);
        let owner =
            owner.or_else(|| state.past_leases.get(&lease).copied()).ok_or_else(|| Error::not_found("lapsed"))?;
        state.past_leases.insert(lease, owner);
        Ok(())
    }
    fn owner(&self, lease: LeaseId) -> Result<Option<DeviceId>> {
        let state = self.engine()?;
        let now = state.leases.get(&lease).map(|(_, device)| *device);
        Ok(now.or_else(|| state.past_leases.get(&lease).copied()))
    }
    fn end_device(&self, device: DeviceId) -> Result<()> {
        let mut state = self.engine()?;
        state.leases.retain(|_, (_, d)| *d != device);
        state.ended.push(device);
        Ok(())
    }
    fn sessions(&self) -> Result<Vec<LiveSession>> {
        let session = |(lease, (camera, device)): (&LeaseId, &(CameraId, DeviceId))| LiveSession {
            lease: *lease,
            camera: camera.clone(),
            stream: Stream::Main,
            device_id: *device,
            device_name: "phone".into(),
            username: None,
            role: Role::Viewer,
            talks: false,
            started_at: now(),
            connected: true,
            remote: String::new(),
            bytes_sent: 0,
            ration: "sub",
            why: "connection",
            available_bps: Some(700_000),
            loss: Some(0.01),
            round_trip_ms: Some(40.0),
            sent_bps: Some(650_000),
            relayed: true,
        };
        Ok(self.engine()?.leases.iter().map(session).collect())
    }
    fn examine(&self) -> Later<'_, Result<LiveFacts>> {
        let server = |transport, answer| (format!("turn:t over {transport}"), transport, answer);
        let facts = LiveFacts {
            port: 8189,
            is_v4_only: true,
            relay_only: false,
            house: vec!["192.168.1.20".parse().expect("an address")],
            advertised: Vec::new(),
            stun: Vec::new(),
            turn: vec![server(IceTransport::Udp, Err(IceFailure::Unauthorized))],
        };
        Box::pin(async move { Ok(facts) })
    }
    fn ice_servers(&self, _: Timestamp, _: &dyn std::fmt::Display) -> Vec<IceServer> {
        vec![
            IceServer { url: "stun:stun.example:3478".into(), credential: None },
            IceServer {
                url: "turn:turn.example:3478?transport=udp".into(),
                credential: Some(("1:u\"x".into(), Secret::new("s3cret".into()))),
            },
        ]
    }
}

#[tokio::test]
async fn the_doctor_says_in_words_what_became_of_each_way() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let said = rig.get("/api/v1/doctor/live", &admin).await.json();
    let schema = json!({"$ref": "#/components/schemas/LiveDiagnosis"});
    assert_eq!(differences(&openapi("0.0.0"), &schema, &said, "said"), Vec::<String>::new());
    let ways = said["ways"].as_array().expect("a list");
    let by = |way: &str| ways.iter().find(|one| one["way"] == way).expect("told of");
    assert_eq!((&by("house")["works"], &by("turn_udp")["works"]), (&json!(true), &json!(false)));
    assert!(by("turn_udp")["advice"].as_str().is_some_and(|advice| advice.contains("static-auth-secret")), "{said}");
    let advice = format!("set http.listen = \"0.0.0.0:{}\"", rig.addr.port());
    assert_eq!((&by("hls")["works"], &by("hls")["advice"]), (&json!(false), &json!(advice)));
    let (_, viewer) = rig.fake.device(Role::Viewer, Some("ben"));
    rig.get("/api/v1/doctor/live", &viewer).await.problem(403);
}
