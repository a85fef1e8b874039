//! Those who speak, with real packets over loopback: what they say reaches the loudspeaker, and their sessions end when they must.

use super::{Bench, device};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::clock::{SharedClock, SystemClock};
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::shutdown;
use perch_base::{ErrorKind, Result};
use perch_domain::access::{CameraGrant, Principal, Role};
use perch_domain::ports::{LivePort, TalkAnswer, TalkRequest};
use perch_domain::talk::{TalkStatus, WhenBusy};
use perch_domain::talkback::{TalkSink, Talkback};
use perch_media::pipeline::Library;
use perch_media::speaker::Speaker;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// Packets of 20 ms with a tone.
fn tone() -> &'static [Vec<u8>] {
    static TONE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    TONE.get_or_init(|| {
        perch_media::init().expect("starts");
        let text = "audiotestsrc num-buffers=400 samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=1 \
            ! opusenc frame-size=20 ! appsink name=out sync=false";
        let pipeline = gst::parse::launch(text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
        let out = pipeline.by_name("out").expect("there").downcast::<gst_app::AppSink>().expect("an appsink");
        pipeline.set_state(gst::State::Playing).expect("plays");
        let mut all = Vec::new();
        while let Ok(sample) = out.pull_sample() {
            all.push(sample.buffer().expect("a packet").map_readable().expect("readable").to_vec());
        }
        pipeline.set_state(gst::State::Null).expect("ends");
        all
    })
}

pub struct Door {
    pub speaker: Arc<Speaker>,
    _end: shutdown::Trigger,
}

impl Door {
    pub fn new(bench: &Bench, talkback: Talkback) -> Self {
        Self::with_clock(bench, talkback, Arc::new(SystemClock))
    }

    /// One that leaps with `clock`, which a pipeline that plays does not.
    pub fn with_clock(bench: &Bench, talkback: Talkback, clock: SharedClock) -> Self {
        perch_media::init().expect("starts");
        let library = Arc::new(Library::load(None).expect("well formed"));
        let camera = CameraId::new("front").expect("valid");
        let speaker = Speaker::new(camera, talkback, library, clock, Arc::new(|| {}));
        bench.engine.set_speaker(speaker.clone());
        let (end, mut shutdown) = shutdown::channel();
        let runner = speaker.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(runner.run_once(&mut shutdown))
        });
        Self { speaker, _end: end }
    }

    pub fn status(&self) -> TalkStatus {
        self.speaker.status().expect("there is a loudspeaker")
    }

    pub fn until(&self, what: &str, done: impl Fn(&TalkStatus) -> bool) -> Duration {
        let started = Instant::now();
        while !done(&self.status()) {
            assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", self.status());
            std::thread::sleep(Duration::from_millis(5));
        }
        started.elapsed()
    }

    pub fn is_loud(status: &TalkStatus) -> bool {
        status.level.is_some_and(|level| level.peak_db > -6.0)
    }
}

pub struct Offered {
    rtc: Rtc,
    pending: SdpPendingOffer,
    mid: Mid,
    socket: UdpSocket,
    pub sdp: String,
}

/// Speaks until it is dropped.
pub struct Talker {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Offered {
    pub fn new() -> Self {
        Self::at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    fn at(address: IpAddr) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a port");
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let mut rtc = Rtc::builder().set_crypto_provider(crypto).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().expect("address"), "udp").expect("candidate"));
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        let (offer, pending) = api.apply().expect("changes");
        Self { rtc, pending, mid, socket, sdp: offer.to_sdp_string() }
    }

    /// The socket that it speaks by, once more.
    pub fn socket(&self) -> UdpSocket {
        self.socket.try_clone().expect("one more")
    }

    pub fn go(mut self, answer: &str) -> Talker {
        let answer = SdpAnswer::from_sdp_string(answer).expect("well-formed");
        self.rtc.sdp_api().accept_answer(self.pending, answer).expect("fits");
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let thread = std::thread::spawn(move || speak(self.rtc, self.mid, &self.socket, &stops));
        Talker { stop, thread: Some(thread) }
    }
}

impl Talker {
    fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn speak(mut rtc: Rtc, mid: Mid, socket: &UdpSocket, stop: &AtomicBool) {
    let local = socket.local_addr().expect("address");
    let (mut buf, mut connected, mut sent) = (vec![0; 2000], None::<Instant>, 0usize);
    while !stop.load(Ordering::SeqCst) && rtc.is_alive() {
        let due = |n: usize, since: Instant| since + Duration::from_millis(20 * n as u64);
        if let Some(since) = connected
            && Instant::now() >= due(sent, since)
            && let Some(writer) = rtc.writer(mid)
        {
            let pt = writer.payload_params().next().expect("Opus").pt();
            let time = MediaTime::new(sent as u64 * 960, Frequency::FORTY_EIGHT_KHZ);
            let data = tone()[sent % tone().len()].clone();
            writer.write(pt, Instant::now(), time, data).expect("written");
            sent += 1;
            rtc.handle_input(Input::Timeout(Instant::now())).expect("sound");
        }
        let timeout = loop {
            match rtc.poll_output().expect("sound") {
                Output::Timeout(at) => break at,
                Output::Transmit(t) => drop(socket.send_to(&t.contents, t.destination)),
                Output::Event(Event::Connected) => connected = Some(Instant::now()),
                Output::Event(_) => {}
            }
        };
        let wait = timeout.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), Duration::from_millis(5)))).expect("set");
        if let Ok((len, from)) = socket.recv_from(&mut buf)
            && let Ok(message) = Receive::new(Protocol::Udp, from, local, &buf[..len])
        {
            rtc.handle_input(Input::Receive(Instant::now(), message)).expect("sound");
        }
        rtc.handle_input(Input::Timeout(Instant::now())).expect("sound");
    }
}

pub fn request(name: &str, device: DeviceId, offer: &str, when_busy: WhenBusy) -> TalkRequest {
    let who = Principal {
        device_id: device,
        device_name: "phone".into(),
        username: Some(name.into()),
        role: Role::Admin,
        cameras: CameraGrant::All,
        limits: Default::default(),
    };
    let camera = CameraId::new("front").expect("valid");
    TalkRequest { camera, offer: offer.into(), who, when_busy, may_take_over: true }
}

pub fn ask(bench: &Bench, name: &str, device: DeviceId, when_busy: WhenBusy) -> Result<(LeaseId, Talker)> {
    let offered = Offered::new();
    match bench.engine.talk(request(name, device, &offered.sdp, when_busy))? {
        TalkAnswer::Speaks(answer) => Ok((answer.lease, offered.go(&answer.sdp))),
        TalkAnswer::Busy(busy) => Err(busy.error()),
    }
}

/// What is said from an address of this machine is heard.
pub fn is_heard_from(bench: &Bench, address: IpAddr) {
    let door = Door::new(bench, test_sink());
    let offered = Offered::at(address);
    let asked = bench.engine.talk(request("anna", device(), &offered.sdp, WhenBusy::Refuse)).expect("asked");
    let TalkAnswer::Speaks(answer) = asked else { panic!("nobody else speaks") };
    let _talker = offered.go(&answer.sdp);
    door.until("heard", Door::is_loud);
    bench.engine.end(answer.lease).expect("there");
}

pub fn test_sink() -> Talkback {
    Talkback { sink: Some(TalkSink::Test), ..Talkback::default() }
}

#[test]
fn what_is_said_reaches_the_loudspeaker_and_ends_with_its_session() {
    let bench = Bench::new();
    let door = Door::new(&bench, test_sink());
    let mut times = Vec::new();
    for _ in 0..5 {
        let asked = Instant::now();
        let before = door.status().heard_at;
        let (lease, talker) = ask(&bench, "anna", device(), WhenBusy::Refuse).expect("nobody speaks");
        door.until("it begins", |status| status.heard_at != before);
        times.push(asked.elapsed().as_millis());
        door.until("it is loud", Door::is_loud);
        let sessions = bench.engine.sessions().expect("answers");
        assert_eq!((sessions.len(), sessions[0].talks, sessions[0].connected), (1, true, true));
        assert_eq!(door.status().speaker.as_deref(), Some("anna"));
        bench.engine.end(lease).expect("there");
        assert_eq!(door.status().speaker, None);
        door.until("it is quiet", |status| !Door::is_loud(status));
        assert!(talker.thread.is_some());
        drop(talker);
        std::thread::sleep(Duration::from_millis(350));
    }
    eprintln!("from the offer to the first sound: {times:?} ms");
    bench.nothing_is_left();
    assert_eq!(bench.engine.stats().undrained, 0);
}

#[test]
fn one_speaks_at_a_time_and_gives_way() {
    let bench = Bench::new();
    let door = Door::new(&bench, test_sink());
    let (anna, ben) = (device(), device());
    let (lease, talker) = ask(&bench, "anna", anna, WhenBusy::Refuse).expect("nobody speaks");
    door.until("it is loud", Door::is_loud);
    let refused = |name, device, how| ask(&bench, name, device, how).err().expect("somebody speaks");
    let said = refused("ben", ben, WhenBusy::Queue);
    assert_eq!(said.kind(), ErrorKind::Conflict);
    assert!(said.message().starts_with("anna is speaking: you are number 1"), "{said}");
    // A page that is loaded again takes the place of itself.
    let (again, _talker) = ask(&bench, "anna", anna, WhenBusy::Refuse).expect("it is hers");
    assert_ne!(lease, again);
    bench.until("the one before ends", |b| b.engine.stats().sessions == 1);
    drop(talker);
    let (_, over) = ask(&bench, "olga", device(), WhenBusy::TakeOver).expect("she may");
    bench.until("one is left", |b| b.engine.stats().sessions == 1);
    assert_eq!(door.status().speaker.as_deref(), Some("olga"));
    // Revoked: the session and the place of those who wait.
    bench.engine.end_device(ben).expect("answers");
    assert_eq!(door.speaker.floor(ben).your_place, None);
    let olga = bench.engine.sessions().expect("answers")[0].device_id;
    bench.engine.end_device(olga).expect("answers");
    assert_eq!(door.status().speaker, None);
    door.until("it is quiet", |status| !Door::is_loud(status));
    bench.until("she is told", |_| over.is_gone() || !Door::is_loud(&door.status()));
    bench.nothing_is_left();
}

#[test]
fn nobody_keeps_the_floor() {
    let bench = Bench::new();
    let door = Door::new(&bench, test_sink());
    // Whose phone is gone.
    let (_, talker) = ask(&bench, "anna", device(), WhenBusy::Refuse).expect("nobody speaks");
    door.until("it is loud", Door::is_loud);
    drop(talker);
    door.until("the floor is free", |status| status.speaker.is_none());
    // Who speaks for longer than is set.
    let until = Instant::now() + Duration::from_secs(120);
    let (_, talker) = ask(&bench, "anna", device(), WhenBusy::Refuse).expect("nobody speaks");
    door.until("it is loud", Door::is_loud);
    assert!(Instant::now() < until);
    bench.clock.by_us.fetch_add(121_000_000, Ordering::SeqCst);
    door.until("the time is over", |status| status.speaker.is_none());
    drop(talker);
    // Whose loudspeaker is taken away.
    let (_, _talker) = ask(&bench, "anna", device(), WhenBusy::Refuse).expect("nobody speaks");
    door.speaker.follow(&Talkback::default());
    bench.until("it ends", |b| b.engine.stats().sessions == 0);
    let refused = ask(&bench, "anna", device(), WhenBusy::Refuse).err().expect("there is none");
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    door.speaker.follow(&test_sink());
    let (_, _talker) = ask(&bench, "anna", device(), WhenBusy::Refuse).expect("there is one again");
    bench.engine.remove_speaker(door.speaker.camera());
    bench.until("it ends", |b| b.engine.stats().sessions == 0);
    assert_eq!(ask(&bench, "anna", device(), WhenBusy::Refuse).err().expect("none").kind(), ErrorKind::NotFound);
    bench.nothing_is_left();
}

#[test]
fn an_offer_that_cannot_be_answered_leaves_the_floor_free() {
    let bench = Bench::new();
    let door = Door::new(&bench, test_sink());
    let sound = Offered::new().sdp;
    let receives = super::Offer::new().sdp;
    for (offer, kind) in [
        ("v=0", ErrorKind::Invalid),
        (&*receives, ErrorKind::Invalid),
        (&sound.replace("opus/48000", "vorbis/48000"), ErrorKind::Unsupported),
        (&sound.replace("a=sendonly", "a=recvonly"), ErrorKind::Invalid),
    ] {
        let refused = bench.engine.talk(request("anna", device(), offer, WhenBusy::Refuse)).expect_err("refused");
        assert_eq!(refused.kind(), kind, "{refused}");
        assert_eq!(door.status().speaker, None);
    }
    bench.nothing_is_left();
}
