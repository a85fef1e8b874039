//! The update routes against a made-up port: what a viewer sees, what an upload may be, and that nothing else takes so much.

use crate::support::*;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::Role;
use perch_domain::update::{
    Bundle, LastUpdate, MAX_BUNDLE_BYTES, Outcome, Phase, UpdatePort, UpdateSource, UpdateState, Upload,
};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Takes everything and remembers it.
#[derive(Default)]
pub struct FakeUpdate(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    received: Vec<u8>,
    dropped: u32,
    finished: u32,
    installed: Vec<(UpdateSource, bool)>,
}

struct FakeUpload(Arc<Mutex<Seen>>);

impl Drop for FakeUpload {
    fn drop(&mut self) {
        self.0.lock().expect("lock").dropped += 1;
    }
}

impl Upload for FakeUpload {
    fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.0.lock().expect("lock").received.extend_from_slice(chunk);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<Bundle> {
        let mut seen = self.0.lock().expect("lock");
        seen.finished += 1;
        if seen.received.starts_with(b"bad") {
            return Err(Error::invalid("this is no update that the box accepts: signature verification failed"));
        }
        Ok(Bundle { version: "0.2.0".into(), description: "made up".into(), ..Bundle::default() })
    }
}

impl FakeUpdate {
    /// How many installations were asked for.
    pub fn installed(&self) -> usize {
        self.0.lock().expect("lock").installed.len()
    }
}

impl UpdatePort for FakeUpdate {
    fn state(&self) -> UpdateState {
        UpdateState {
            version: "9.9.9".into(),
            commit: "0123456789ab".into(),
            supported: true,
            phase: Phase::Idle,
            slot: Some("a".into()),
            board: Some("perch-rpi-arm64".into()),
            last: Some(LastUpdate {
                outcome: Outcome::RolledBack,
                version: "0.2.0".into(),
                from: "9.9.9".into(),
                reason: "front gives no picture".into(),
                at: Some(now()),
            }),
            ..UpdateState::default()
        }
    }
    fn receive(&self, bytes: u64) -> Result<Box<dyn Upload>> {
        if bytes == 13 {
            return Err(Error::new(ErrorKind::Conflict, "an update is being uploaded already"));
        }
        self.0.lock().expect("lock").received.clear();
        Ok(Box::new(FakeUpload(self.0.clone())))
    }
    fn install(&self, source: UpdateSource, force: bool) -> Result<()> {
        self.0.lock().expect("lock").installed.push((source, force));
        Ok(())
    }
    fn look_up(&self, _: &str) -> Result<Option<Bundle>> {
        Ok(None)
    }
    fn keep(&self) -> Result<()> {
        Ok(())
    }
}

fn upload(token: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::post("/api/v1/update")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .body(Full::new(body))
        .expect("request")
}

fn head(rig: &Rig, token: &str, length: &str) -> Vec<u8> {
    let port = rig.addr.port();
    let text = format!(
        "POST /api/v1/update HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/octet-stream\r\n{length}\r\n\r\n"
    );
    text.into_bytes()
}

/// Sends an upload byte for byte; the begin of the answer.
async fn raw(rig: &Rig, token: &str, length: &str, body: &[u8]) -> String {
    let mut stream = rig.connect().await;
    stream.write_all(&head(rig, token, length)).await.expect("sent");
    stream.write_all(body).await.expect("sent");
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.expect("an answer");
    String::from_utf8_lossy(&begin).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_the_version_and_an_administrator_all() {
    let rig = Rig::start().await;
    let (admin, viewer) = (rig.fake.device(Role::Admin, None).1, rig.fake.device(Role::Viewer, None).1);
    let seen = rig.get("/api/v1/update", &viewer).await.json();
    assert_eq!((&seen["version"], &seen["phase"], &seen["supported"]), (&"9.9.9".into(), &"idle".into(), &true.into()));
    for hidden in ["slot", "board", "last", "problem", "bundle"] {
        assert!(seen.get(hidden).is_none(), "{hidden}");
    }
    let all = rig.get("/api/v1/update", &admin).await.json();
    assert_eq!((&all["slot"], &all["last"]["outcome"]), (&"a".into(), &"rolled_back".into()));
    assert_eq!(all["last"]["reason"], "front gives no picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_streamed_and_installed() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let content = Bytes::from((0..3_000_000u32).map(|i| i as u8).collect::<Vec<_>>());
    let made = rig.send(upload(&admin, content.clone())).await;
    assert_eq!((made.status.as_u16(), &made.json()["version"]), (201, &"0.2.0".into()));
    assert!(rig.fake.update.0.lock().expect("lock").received == content);

    let started = rig.call(Method::POST, "/api/v1/update/install", &admin, "{}").await;
    assert_eq!((started.status.as_u16(), &started.json()["version"]), (202, &"9.9.9".into()));
    rig.call(Method::POST, "/api/v1/update/install", &admin, r#"{"url": "https://host/x", "force": true}"#).await;
    let installed = rig.fake.update.0.lock().expect("lock").installed.clone();
    assert_eq!(installed, [(UpdateSource::Upload, false), (UpdateSource::Url("https://host/x".into()), true)]);
    rig.call(Method::POST, "/api/v1/update/install", &admin, r#"{"url": 3}"#).await.problem(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_upload_is_refused_before_it_is_read() {
    let rig = Rig::start().await;
    let (admin, viewer) = (rig.fake.device(Role::Admin, None).1, rig.fake.device(Role::Viewer, None).1);
    rig.send(upload(&viewer, Bytes::from_static(b"x"))).await.problem(403);
    rig.send(upload(&admin, Bytes::from_static(b"thirteen byte"))).await.problem(409);
    rig.call(Method::POST, "/api/v1/update", &admin, "{}").await.problem(415);
    let answer = rig.send(upload(&admin, Bytes::from_static(b"bad signature"))).await;
    assert_eq!(answer.status, 409, "13 bytes are taken as busy by the made-up port");
    let answer = rig.send(upload(&admin, Bytes::from_static(b"bad signature!"))).await.problem(400);
    assert!(answer["detail"].as_str().expect("detail").contains("signature verification failed"), "{answer}");

    // Announced too large, and without an announcement.
    assert_eq!(raw(&rig, &admin, &format!("Content-Length: {}", MAX_BUNDLE_BYTES + 1), b"").await, "HTTP/1.1 413");
    assert_eq!(raw(&rig, &admin, "Transfer-Encoding: chunked", b"1\r\nx\r\n0\r\n\r\n").await, "HTTP/1.1 411");
    // Nothing else takes more than before; only announced, since the box answers before it has read so much.
    let other = String::from_utf8(head(&rig, &admin, "Content-Length: 66560")).expect("text");
    let other = other.replace("POST /api/v1/update ", "POST /api/v1/update/install ");
    let other = other.replace("application/octet-stream", "application/json");
    let mut stream = rig.connect().await;
    stream.write_all(other.as_bytes()).await.expect("sent");
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&begin), "HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_dropped() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let mut stream = rig.connect().await;
    stream.write_all(&head(&rig, &admin, "Content-Length: 1000")).await.expect("sent");
    stream.write_all(b"only this").await.expect("sent");
    stream.flush().await.expect("sent");
    drop(stream);
    let dropped = || rig.fake.update.0.lock().expect("lock").dropped;
    for _ in 0..200 {
        if dropped() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let seen = rig.fake.update.0.lock().expect("lock");
    assert_eq!((seen.dropped, seen.finished), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_in_the_middle_of_an_upload_has_not_uploaded() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let mut stream = rig.connect().await;
    stream.write_all(&head(&rig, &admin, "Content-Length: 600000")).await.expect("sent");
    stream.write_all(&[1; 550_000]).await.expect("sent");
    // The first piece was taken, so the gate is behind it.
    for _ in 0..200 {
        if !rig.fake.update.0.lock().expect("lock").received.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    rig.fake.state().devices.clear();
    stream.write_all(&[1; 50_000]).await.expect("sent");
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.expect("an answer");
    assert_eq!(&begin, b"HTTP/1.1 401");
    // The answer may be out before the upload is let go.
    for _ in 0..500 {
        if rig.fake.update.0.lock().expect("lock").dropped > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let seen = rig.fake.update.0.lock().expect("lock");
    assert_eq!((seen.received.len(), seen.finished, seen.dropped), (600_000, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_ends_with_the_trust_in_its_sender() {
    let rig = Rig::start().await;
    let (device, admin) = rig.fake.device(Role::Admin, None);
    let (_, other) = rig.fake.device(Role::Admin, None);
    let mut stream = rig.connect().await;
    stream.write_all(&head(&rig, &admin, "Content-Length: 600000")).await.expect("sent");
    stream.write_all(&[1; 550_000]).await.expect("sent");
    // The first piece was taken, so the upload goes on.
    let received = || rig.fake.update.0.lock().expect("lock").received.len();
    let taken = async {
        while received() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), taken).await.expect("a piece is taken");
    let revoked = rig.call(Method::DELETE, &format!("/api/v1/devices/{device}"), &other, "").await;
    assert_eq!(revoked.status, 204);
    // Nothing more is sent, and the answer is there all the same.
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.expect("an answer");
    assert_eq!(&begin, b"HTTP/1.1 401");
    let seen = rig.fake.update.0.lock().expect("lock");
    assert_eq!(seen.finished, 0);
}
