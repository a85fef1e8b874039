//! A server on a free port, ports in memory, and a small client that trusts the box's own authority.

use crate::identity::FakeIdentity;
use crate::modes::FakeModes;
pub use crate::ports::ports;
use crate::probe::FakeProbe;
use crate::push_range::FakeRangePushes;
use crate::settings::FakeSettings;
use crate::system::FakeSystem;
use crate::talk::FakeAnnouncements;
use crate::update::FakeUpdate;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use perch_api::{AccessChange, Config, Server};
use perch_base::clock::{SharedClock, SystemClock};
use perch_base::ids::{CameraId, DeviceId, EventId, LeaseId, SegmentId};
use perch_base::secret::{Secret, new_token};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, shutdown};
use perch_domain::access::*;
use perch_domain::archive::*;
use perch_domain::camera_view::CameraView;
use perch_domain::cut_off::CutOffViewers;
use perch_domain::identity::IdentityPort;
use perch_domain::motion::Cause;
use perch_domain::pairing::{CodeOutcome, UsedCode};
use perch_domain::ports::*;
use perch_domain::status::*;
use perch_domain::sync::hours::{CopyHour, HOUR_US, RecordingCopy, hours_of};
use perch_domain::sync::target::CopyWhat;
use perch_domain::talk::Floor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const OTP: &str = "12345678";
pub const PASSWORD: &str = "correct horse battery";
/// A still of this width is refused: too many wait.
pub const BUSY_WIDTH: u32 = 77;
pub const SEGMENT_BYTES: usize = 300_000;

#[derive(Default)]
pub struct State {
    pub devices: Vec<(Device, String)>,
    pub users: Vec<(User, String)>,
    pub stream_passwords: Vec<StreamPassword>,
    /// How each account wants the cameras shown.
    pub views: HashMap<Option<String>, CameraView>,
    pub readers: Vec<RtspReader>,
    pub leases: HashMap<LeaseId, (CameraId, DeviceId)>,
    pub sound_only: HashMap<LeaseId, bool>,
    pub past_leases: HashMap<LeaseId, DeviceId>,
    pub ended: Vec<DeviceId>,
    pub changes: Vec<AccessChange>,
    pub tries: u32,
    pub added_by: Option<Option<DeviceId>>,
    pub failing: bool,
    /// The list of accounts cannot be read.
    pub users_gone: bool,
    /// Cameras whose recordings were deleted.
    pub forgotten: Vec<CameraId>,
    /// The engine of live sessions does not answer.
    pub live_gone: bool,
    /// Passwords that were checked without signing in.
    pub checked: u32,
    /// What codes were made for.
    pub codes: Vec<Grant>,
    /// When the last was made.
    pub code_made_at: Timestamp,
    /// Which was used last, by whom.
    pub used_code: Option<UsedCode>,
    /// How often each device asked.
    pub asked: HashMap<DeviceId, u32>,
    /// Whoever wants to change something is revoked just before it is written.
    pub revoke_late: bool,
    /// Whoever begins to watch is cut off at that moment.
    pub cut_off_late: bool,
    /// This device is revoked once it was let in so often.
    pub revoke_after: Option<(DeviceId, u32)>,
    pub filter: Option<EventFilter>,
    pub exported: Arc<std::sync::atomic::AtomicUsize>,
}

/// All ports at once, in memory.
#[derive(Clone, Default)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    pub update: Arc<FakeUpdate>,
    pub settings: Arc<FakeSettings>,
    pub probe: Arc<FakeProbe>,
    pub cut_offs: Arc<Mutex<CutOffViewers>>,
    pub floor: Arc<Mutex<Floor>>,
    pub announcements: Arc<FakeAnnouncements>,
    pub range_pushes: Arc<FakeRangePushes>,
    pub system: Arc<FakeSystem>,
    pub modes: Arc<FakeModes>,
    by: Option<Principal>,
}

pub fn now() -> Timestamp {
    Timestamp::parse("2026-05-01T12:00:00Z").expect("time")
}

pub fn front() -> CameraId {
    CameraId::new("front").expect("id")
}

pub fn yard() -> CameraId {
    CameraId::new("yard").expect("id")
}

/// A viewer of these cameras alone.
pub fn only(ids: &[CameraId]) -> Grant {
    Grant::new(Role::Viewer, CameraGrant::Only(ids.iter().cloned().collect())).expect("a viewer's")
}

impl State {
    /// The device is not trusted any more.
    pub fn revoke(&mut self, device: DeviceId) {
        self.devices.retain(|(d, _)| d.id != device);
    }

    fn device(&self, is: impl Fn(&Device, &str) -> bool) -> Option<Principal> {
        self.devices.iter().find(|(d, token)| is(d, token)).map(|(d, _)| Principal {
            device_id: d.id,
            device_name: d.name.clone(),
            username: d.username.clone(),
            role: d.role,
            cameras: d.cameras.clone(),
            limits: d.limits,
        })
    }
}

impl Fake {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    /// The state for a change, if whoever acts still may.
    fn change(&self) -> Result<MutexGuard<'_, State>> {
        let mut s = self.state();
        if let Some(by) = &self.by {
            if s.revoke_late {
                s.revoke(by.device_id);
            }
            check_acting(by, s.device(|d, _| d.id == by.device_id).as_ref())?;
        }
        Ok(s)
    }

    /// A fresh trusted device and its token.
    pub fn device(&self, role: Role, username: Option<&str>) -> (DeviceId, String) {
        self.device_with(&Grant::all(role), username)
    }

    /// The same with this grant.
    pub fn device_with(&self, grant: &Grant, username: Option<&str>) -> (DeviceId, String) {
        let (id, token) = (DeviceId::random(), new_token().expose().clone());
        let device = Device {
            id,
            name: "phone".into(),
            kind: DeviceKind::Paired,
            username: username.map(str::to_owned),
            role: grant.role(),
            cameras: grant.cameras().clone(),
            limits: grant.limits(),
            created_at: now(),
            last_seen_at: now(),
        };
        self.state().devices.push((device, token.clone()));
        (id, token)
    }

    fn credential(&self, grant: &Grant, username: Option<&str>) -> Credential {
        let (device_id, token) = self.device_with(grant, username);
        Credential { device_id, token: Secret::new(token), role: grant.role() }
    }

    /// A device watches this camera.
    pub fn watches(&self, device: DeviceId, camera: CameraId) -> LeaseId {
        let lease = LeaseId::random();
        self.state().leases.insert(lease, (camera, device));
        lease
    }

    pub fn engine(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.live_gone {
            Err(Error::new(ErrorKind::Unavailable, "live viewing does not answer"))
        } else {
            Ok(state)
        }
    }
}

fn may_leave(s: &State, leaving: Leaving<'_>) -> Result<()> {
    let users: Vec<_> = s.users.iter().map(|(u, _)| u.clone()).collect();
    let devices: Vec<_> = s.devices.iter().map(|(d, _)| d.clone()).collect();
    check_leaving(leaving, &users, &devices)
}

pub fn gone<T>(what: &str) -> Result<T> {
    Err(Error::not_found(format!("there is no such {what}")))
}

impl AccessPort for Fake {
    fn acting(&self, caller: &Principal) -> Box<dyn AccessPort> {
        Box::new(Self { by: Some(caller.clone()), ..self.clone() })
    }
    fn claimed(&self) -> Result<bool> {
        let s = self.state();
        Ok(!s.devices.is_empty() || !s.users.is_empty())
    }
    fn issue_code(&self, grant: &Grant, now: Timestamp) -> Result<IssuedCode> {
        self.change()?.codes.push(grant.clone());
        let mut s = self.change()?;
        s.code_made_at = now.plus_micros(s.codes.len() as i64);
        let expires_at = now + Duration::from_secs(300);
        Ok(IssuedCode { otp: Secret::new(OTP.into()), made_at: s.code_made_at, expires_at })
    }
    fn pair(&self, otp: &str, _: &str, _: Timestamp) -> Result<PairResult> {
        self.state().tries += 1;
        let tries = self.state().tries;
        Ok(match otp {
            OTP => {
                let grant = self.state().codes.last().cloned().unwrap_or(Grant::all(Role::Admin));
                let paired = self.credential(&grant, None);
                let mut s = self.state();
                s.used_code = Some(UsedCode { made_at: s.code_made_at, device: paired.device_id });
                PairResult::Paired(paired)
            }
            "99999999" => PairResult::Refused(CodeOutcome::NoCode),
            _ if tries < 5 => PairResult::Refused(CodeOutcome::Wrong { tries_left: 5 - tries }),
            _ => PairResult::Refused(CodeOutcome::Burned),
        })
    }
    fn used_code(&self) -> Result<Option<UsedCode>> {
        Ok(self.state().used_code)
    }
    fn sign_in(&self, name: &str, password: &str, _: &str, _: Timestamp) -> Result<Option<Credential>> {
        let s = self.state();
        let found = s.users.iter().find(|(u, p)| u.name == name && p == password).map(|(u, _)| u.clone());
        drop(s);
        Ok(found.map(|u| self.credential(&Grant::stored(u.role, u.cameras, u.limits), Some(name))))
    }
    fn check_password(&self, name: &str, password: &str) -> Result<bool> {
        let mut s = self.state();
        s.checked += 1;
        Ok(s.users.iter().any(|(u, p)| u.name == name && p == password))
    }
    fn authenticate(&self, token: &str, now: Timestamp) -> Result<Option<Principal>> {
        let mut s = self.state();
        let found = s.device(|d, t| t == token && !d.limits.is_over(now));
        if let Some(who) = &found {
            let asked = s.asked.entry(who.device_id).or_default();
            *asked += 1;
            let let_in = (who.device_id, *asked);
            if s.revoke_after == Some(let_in) {
                s.revoke(who.device_id);
            }
        }
        Ok(found)
    }
    fn devices(&self) -> Result<Vec<Device>> {
        Ok(self.state().devices.iter().map(|(d, _)| d.clone()).collect())
    }
    fn revoke_device(&self, id: DeviceId) -> Result<()> {
        let mut s = self.change()?;
        may_leave(&s, Leaving::Device(id))?;
        let before = s.devices.len();
        s.devices.retain(|(d, _)| d.id != id);
        if s.devices.len() < before { Ok(()) } else { gone("device") }
    }
    fn rename_device(&self, id: DeviceId, name: &str) -> Result<()> {
        let mut s = self.change()?;
        match s.devices.iter_mut().find(|(d, _)| d.id == id) {
            Some((d, _)) => d.name = name.into(),
            None => return gone("device"),
        }
        Ok(())
    }
    fn camera_view(&self, of: &Principal) -> Result<CameraView> {
        Ok(self.state().views.get(&of.username).cloned().unwrap_or_default())
    }
    fn set_camera_view(&self, of: &Principal, view: &CameraView) -> Result<()> {
        view.check()?;
        self.change()?.views.insert(of.username.clone(), view.clone());
        Ok(())
    }
    fn users(&self) -> Result<Vec<User>> {
        if self.state().users_gone {
            return Err(Error::new(ErrorKind::Io, "the database cannot be read"));
        }
        Ok(self.state().users.iter().map(|(u, _)| u.clone()).collect())
    }
    fn add_user(&self, name: &str, password: &str, grant: &Grant, by: Option<DeviceId>, now: Timestamp) -> Result<()> {
        let mut s = self.change()?;
        if s.users.iter().any(|(u, _)| u.name == name) {
            return Err(Error::new(ErrorKind::Conflict, format!("the name `{name}` is taken")));
        }
        s.added_by = Some(by);
        let (role, cameras, limits) = (grant.role(), grant.cameras().clone(), grant.limits());
        s.users.push((User { name: name.into(), role, cameras, limits, created_at: now }, password.into()));
        Ok(())
    }
    fn set_grant(&self, name: &str, change: &GrantChange) -> Result<Vec<DeviceId>> {
        let mut s = self.change()?;
        let Some((user, _)) = s.users.iter().find(|(u, _)| u.name == name) else { return gone("account") };
        let grant = change.apply(&Grant::stored(user.role, user.cameras.clone(), user.limits))?;
        if grant.role() != Role::Admin {
            may_leave(&s, Leaving::Account(name))?;
        }
        let Some((user, _)) = s.users.iter_mut().find(|(u, _)| u.name == name) else { return gone("account") };
        (user.role, user.cameras, user.limits) = (grant.role(), grant.cameras().clone(), grant.limits());
        let theirs = s.devices.iter_mut().map(|(d, _)| d).filter(|d| d.username.as_deref() == Some(name));
        Ok(theirs
            .map(|d| {
                (d.role, d.cameras, d.limits) = (grant.role(), grant.cameras().clone(), grant.limits());
                d.id
            })
            .collect())
    }
    fn set_password(&self, name: &str, password: &str, keep: Option<DeviceId>) -> Result<Vec<DeviceId>> {
        let mut s = self.change()?;
        match s.users.iter_mut().find(|(u, _)| u.name == name) {
            Some((_, p)) => *p = password.into(),
            None => return gone("account"),
        }
        let lost = |d: &Device| d.username.as_deref() == Some(name) && Some(d.id) != keep;
        let ids = s.devices.iter().filter(|(d, _)| lost(d)).map(|(d, _)| d.id).collect();
        s.devices.retain(|(d, _)| !lost(d));
        Ok(ids)
    }
    fn remove_user(&self, name: &str) -> Result<Vec<DeviceId>> {
        let mut s = self.change()?;
        if !s.users.iter().any(|(u, _)| u.name == name) {
            return gone("account");
        }
        may_leave(&s, Leaving::Account(name))?;
        s.users.retain(|(u, _)| u.name != name);
        let lost = |d: &Device| d.username.as_deref() == Some(name);
        let ids = s.devices.iter().filter(|(d, _)| lost(d)).map(|(d, _)| d.id).collect();
        s.devices.retain(|(d, _)| !lost(d));
        Ok(ids)
    }
    fn stream_passwords(&self) -> Result<Vec<StreamPassword>> {
        Ok(self.state().stream_passwords.clone())
    }
    fn add_stream_password(&self, name: &str, cameras: &CameraGrant, now: Timestamp) -> Result<Secret> {
        let made = StreamPassword { name: name.into(), cameras: cameras.clone(), created_at: now };
        self.change()?.stream_passwords.push(made);
        Ok(Secret::new("0123456789abcdef0123456789abcdef".into()))
    }
    fn remove_stream_password(&self, name: &str) -> Result<()> {
        let mut s = self.change()?;
        let before = s.stream_passwords.len();
        s.stream_passwords.retain(|p| p.name != name);
        if s.stream_passwords.len() < before { Ok(()) } else { gone("stream password") }
    }
}

/// The front's event.
pub fn event() -> Event {
    event_of(7, front())
}

/// The yard's event.
pub fn other_event() -> Event {
    event_of(8, yard())
}

fn event_of(id: i64, camera: CameraId) -> Event {
    Event {
        id: EventId(id),
        camera,
        kind: EventKind::Motion,
        start: now(),
        end: Some(now()),
        since: now(),
        chapter: 1,
        score: 0.5,
        cause: Cause::Motion,
        boxes: vec![],
        pinned: false,
        has_thumbnail: true,
    }
}

impl ArchivePort for Fake {
    fn kept(&self) -> Result<Vec<KeptOfCamera>> {
        Ok(vec![self.kept_of(&front())?])
    }

    fn kept_of(&self, camera: &CameraId) -> Result<KeptOfCamera> {
        let (from, to) = (Some(now()), Some(now()));
        let deleting = self.state().forgotten.contains(camera);
        Ok(KeptOfCamera { camera: camera.clone(), files: 2, bytes: 2000, events: 1, pinned: 1, from, to, deleting })
    }

    fn forget(&self, camera: &CameraId) -> Result<()> {
        self.state().forgotten.push(camera.clone());
        Ok(())
    }

    fn timeline(&self, camera: &CameraId, range: TimeRange, _: Timestamp) -> Result<Timeline> {
        let spans = if [front(), yard()].contains(camera) {
            vec![Span { start: range.from, end: range.to, held: perch_domain::archive::WhereHeld::Here }]
        } else {
            vec![]
        };
        Ok(Timeline { from: range.from, to: range.to, spans, gaps: vec![], events: vec![] })
    }
    fn copies(&self, camera: &CameraId, range: TimeRange, _: CopyWhat) -> Result<Vec<CopyHour>> {
        let is_known = [front(), yard()].contains(camera);
        let first = [(range.from.0 / HOUR_US, RecordingCopy::Verified, 3)];
        Ok(if is_known { hours_of(first) } else { vec![] })
    }
    fn events(&self, filter: &EventFilter) -> Result<EventPage> {
        if self.state().failing {
            return Err(Error::new(ErrorKind::Io, "/data/index.db: disk on fire"));
        }
        self.state().filter = Some(filter.clone());
        let mut events = vec![other_event(), event()];
        events.retain(|e| filter.cameras.includes(&e.camera) && filter.camera.as_ref().is_none_or(|c| *c == e.camera));
        Ok(EventPage { next_cursor: events.last().map(|e| e.id), events })
    }
    fn event(&self, id: EventId) -> Result<Event> {
        [event(), other_event()].into_iter().find(|e| e.id == id).ok_or_else(|| Error::not_found("there is none"))
    }
    fn set_pinned(&self, id: EventId, _: bool) -> Result<()> {
        self.event(id).map(drop)
    }
    fn thumbnail(&self, id: EventId) -> Result<Bytes> {
        self.event(id).map(|_| Bytes::from_static(b"\xff\xd8jpeg"))
    }
    fn segments(&self, camera: &CameraId, range: TimeRange) -> Result<Vec<Segment>> {
        if ![front(), yard()].contains(camera) || !range.overlaps(now(), now() + Duration::from_secs(1)) {
            return Ok(vec![]);
        }
        let fragments =
            vec![Fragment { offset_bytes: 100, size_bytes: 900, start_us: 0, duration_us: 1_000_000, starts: true }];
        let (start, end) = (now(), now() + Duration::from_secs(1));
        let state = SegmentState::Sealed;
        Ok(vec![Segment {
            id: SegmentId(1),
            camera: camera.clone(),
            start,
            end,
            size_bytes: 1000,
            state,
            event: None,
            init_size_bytes: 100,
            fragments,
        }])
    }
    fn open_segment(&self, camera: &CameraId, id: SegmentId) -> Result<OpenSegment> {
        if ![(front(), SegmentId(1)), (yard(), SegmentId(2))].contains(&(camera.clone(), id)) {
            return gone("segment");
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&segment_bytes()).expect("written");
        Ok(OpenSegment {
            content: Arc::new(file),
            size_bytes: SEGMENT_BYTES as u64,
            etag: "abc".into(),
            modified: now(),
        })
    }
    fn export(&self, camera: &CameraId, _: TimeRange) -> Result<Export> {
        if ![front(), yard()].contains(camera) {
            return gone("recording");
        }
        let made = Arc::clone(&self.state().exported);
        let chunks = (0..1000u32).map(move |i| {
            made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(Bytes::from(vec![i as u8; 64 * 1024]))
        });
        Ok(Export { file_name: "front\r\n\"x\".mp4".into(), chunks: Box::new(chunks) })
    }
    fn replay(&self, _: &CameraId, _: TimeRange) -> Result<Replay> {
        gone("recording")
    }
}

pub fn segment_bytes() -> Vec<u8> {
    (0..SEGMENT_BYTES).map(|i| (i % 251) as u8).collect()
}

/// A running box.
pub struct Rig {
    pub fake: Arc<Fake>,
    pub addr: SocketAddr,
    /// Without TLS.
    pub plain: SocketAddr,
    pub notices: broadcast::Sender<Arc<Notice>>,
    pub identity: Arc<FakeIdentity>,
    pub ca_sha256: String,
    pub stop: Option<shutdown::Trigger>,
    pub task: tokio::task::JoinHandle<Result<()>>,
    pub lifeline: perch_api::Lifeline,
    tls: Arc<rustls::ClientConfig>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {:?}", self.body))
    }
    /// Checks that this is a problem document of this status.
    pub fn problem(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let json = self.json();
        assert_eq!(json["type"], "about:blank");
        assert_eq!(json["status"], status);
        let detail = json["detail"].as_str().expect("detail");
        assert!(detail.ends_with(['.', '!', '?']) && !detail.starts_with(char::is_lowercase), "{detail}");
        json
    }
}

pub fn config() -> Config {
    Config {
        http: perch_api::HttpConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            plain_listen: Some(([127, 0, 0, 1], 0).into()),
        },
        version: "9.9.9".into(),
        rtsp_port: 8554,
        rtsps_port: None,
    }
}

pub fn client_tls(ca_pem: &str, alpn: &[&[u8]]) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("PEM")).expect("trusted");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Arc::new(tls)
}

impl Rig {
    pub async fn start() -> Self {
        Self::start_with(Arc::new(SystemClock)).await
    }

    pub async fn start_with(clock: SharedClock) -> Self {
        let fake = Arc::new(Fake::default());
        let identity = FakeIdentity::new();
        let notices = broadcast::Sender::new(16);
        let server =
            Server::bind(config(), ports(&fake, identity.clone(), clock, notices.clone())).await.expect("bound");
        let (stop, ended) = shutdown::channel();
        let (addr, ca_sha256) = (server.local_addr(), identity.ca_sha256().to_owned());
        let plain = server.plain_addr().expect("bound");
        let tls = client_tls(identity.ca_pem(), &[b"http/1.1"]);
        let lifeline = server.lifeline();
        let task = tokio::spawn(server.run(ended));
        Self { fake, addr, plain, notices, identity, ca_sha256, stop: Some(stop), task, lifeline, tls }
    }

    /// What a client of this box needs for TLS.
    pub fn tls(&self) -> Arc<rustls::ClientConfig> {
        Arc::clone(&self.tls)
    }

    pub async fn connect(&self) -> TlsStream<TcpStream> {
        self.handshake(TcpStream::connect(self.addr).await.expect("connected")).await
    }

    /// The same over a connection that stands.
    pub async fn handshake(&self, tcp: TcpStream) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").expect("name");
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.expect("a trusted certificate")
    }

    /// Sends a request and leaves its answer open.
    pub async fn open(&self, mut request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        if !request.headers().contains_key(header::HOST) {
            let host = format!("localhost:{}", self.addr.port()).parse().expect("header");
            request.headers_mut().insert(header::HOST, host);
        }
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await)).await.expect("HTTP");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (parts, body) = self.open(request).await.into_parts();
        let body = body.collect().await.expect("the whole body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn send_h2(&self, path: &str, token: &str) -> Answer {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = TcpStream::connect(self.addr).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("name");
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.expect("TLS");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        let request = Request::get(format!("https://localhost:{}{path}", self.addr.port()))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::<Bytes>::default())
            .expect("request");
        let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("the whole body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request with a bearer token (none when empty) and, unless empty, a JSON body.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(request.body(Full::from(body.to_owned())).expect("request")).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, "").await
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_owned())).expect("request")
}
