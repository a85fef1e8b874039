//! The RTSP server against real players and against players that misbehave.
#![allow(clippy::disallowed_methods, reason = "tests pace pictures and start real players")]

mod bad_servers;
mod camera;
mod cameras;
mod client;
mod descriptors;
mod grants;
mod identity;
mod long_gops;
mod players;
mod pushing;
mod running;
mod speaking;
mod speaking_attacks;

use camera::{Camera, clock};
use client::{Client, stream_login};
use gstreamer as gst;
use gstreamer::prelude::*;
use identity::{certificate, identity, shown};
use perch_base::ErrorKind;
use perch_base::clock::{Clock, ManualClock, SharedClock, Sleep, SystemClock};
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::camera::VideoSettings;
use perch_domain::identity::IdentityPort;
use perch_domain::media::Stream;
use perch_media::rtsp::Config;
use running::Running;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LOGIN: Option<(&str, &str)> = Some(("tv", "opensesame"));
const SMALL: VideoSettings = VideoSettings { width: 320, height: 180, fps: 30, bitrate_kbps: 800 };

struct Bench {
    camera: Camera,
    server: Running,
}

impl Bench {
    fn new() -> Self {
        Self::with(SMALL)
    }

    fn with(main: VideoSettings) -> Self {
        Self::at(main, clock())
    }

    fn at(main: VideoSettings, clock: SharedClock) -> Self {
        Self::of(Camera::start("front", main), clock)
    }

    fn of(camera: Camera, clock: SharedClock) -> Self {
        let server = Running::start(config(), vec![camera.streams()], clock).expect("starts");
        server.set_passwords(vec![stream_login("tv", "opensesame", &[])]);
        Self { camera, server }
    }

    fn client(&self, path: &str, login: Option<(&str, &str)>) -> Client {
        Client::connect(self.server.local_addr(), path, login)
    }

    fn url(&self, path: &str) -> String {
        format!("rtsp://tv:opensesame@{}{path}", self.server.local_addr())
    }

    fn consumers(&self, stream: Stream) -> usize {
        self.camera.hub.consumers(stream).len()
    }
}

fn config() -> Config {
    Config { listen: "127.0.0.1:0".parse().expect("an address"), tls_listen: None }
}

fn wait_for(what: &str, time: Duration, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + time;
    while !done() {
        assert!(Instant::now() < until, "waited {time:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_player_plays_both_streams_and_the_last_one_ends_the_demand() {
    let bench = Bench::new();
    for (path, stream) in [("/front", Stream::Main), ("/front/sub", Stream::Sub)] {
        let mut player = bench.client(path, LOGIN);
        let began = Instant::now();
        let sdp = player.play();
        assert!(began.elapsed() < Duration::from_millis(1000), "{path} took {:?}", began.elapsed());
        assert!(sdp.contains("sprop-parameter-sets=Z"), "{sdp}");
        assert!(sdp.to_lowercase().contains("opus/48000/2"), "{sdp}");
        let (video, audio) = player.read_for(Duration::from_millis(700)).expect("reads");
        eprintln!("{path}: described and playing in {:?}, {video} + {audio} bytes in 0.7 s", began.elapsed());
        assert!(video > 2000 && audio > 500, "{video} {audio}");
        wait_for("the reader to play", Duration::from_secs(1), || bench.server.readers() == 1);
        assert_eq!(bench.camera.hub.demand().sub, stream == Stream::Sub);
        drop(player);
        wait_for("the demand to end", Duration::from_secs(2), || bench.consumers(stream) == 0);
        wait_for("the reader to be gone", Duration::from_secs(2), || bench.server.readers() == 0);
    }
    let began = Instant::now();
    let again = bench.client("/front/sub", LOGIN).ask("DESCRIBE", "", &[]).expect("answers");
    assert_eq!(again.status, 200);
    assert!(began.elapsed() < Duration::from_millis(200), "the second time needs no encoder: {:?}", began.elapsed());
}

#[test]
fn only_a_valid_password_opens_anything() {
    let bench = Bench::new();
    let status = |path: &str, login, method: &str, suffix: &str| {
        bench.client(path, login).ask(method, suffix, &[]).expect("answers").status
    };
    let wrong = Some(("tv", "wrong"));
    let nobody = Some(("nobody", "opensesame"));
    assert_eq!(status("/front", None, "OPTIONS", ""), 200);
    for login in [None, wrong, nobody] {
        for method in
            ["DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "RECORD"]
        {
            for path in ["/front", "/nowhere", "/"] {
                assert_eq!(status(path, login, method, ""), 401, "{login:?} {method} {path}");
            }
        }
    }
    for path in ["/nowhere", "/", "/front/other", "/front/sub/x", "/frontx", "/../front", "/FRONT"] {
        assert_eq!(status(path, LOGIN, "DESCRIBE", ""), 404, "{path}");
    }
    for method in ["ANNOUNCE", "RECORD"] {
        assert_eq!(status("/front", LOGIN, method, ""), 405, "{method}");
    }
    assert_eq!(bench.consumers(Stream::Main), 0);
    bench.server.set_passwords(vec![]);
    assert_eq!(status("/front", LOGIN, "DESCRIBE", ""), 401);
}

#[test]
fn a_made_up_session_is_asked_for_a_password_first() {
    let bench = Bench::new();
    let mut stranger = bench.client("/front", None);
    for method in ["DESCRIBE", "SETUP", "PLAY", "TEARDOWN"] {
        stranger.session = Some("0123456789abcdef".into());
        let answer = stranger.ask(method, "", &[]).expect("answers");
        assert_eq!(answer.status, 401, "{method}");
        assert!(answer.header("WWW-Authenticate").is_some_and(|h| h.contains("nonce=\"")), "{answer:?}");
        assert!(answer.header("CSeq").is_some(), "{answer:?}");
    }
    let mut reader = bench.client("/front", LOGIN);
    assert_eq!(reader.ask("DESCRIBE", "", &[]).expect("answers").status, 200);
    reader.session = Some("0123456789abcdef".into());
    assert_eq!(reader.ask("PLAY", "", &[]).expect("answers").status, 454);
}

#[test]
fn one_address_may_hold_only_so_many_connections_without_a_password() {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let bench = Bench::at(SMALL, clock.clone());
    let mut known = bench.client("/front", LOGIN);
    assert_eq!(known.ask("DESCRIBE", "", &[]).expect("answers").status, 200);
    let mut strangers: Vec<_> = (0..64).map(|_| bench.client("/front", None)).collect();
    for stranger in &mut strangers {
        assert_eq!(stranger.ask("OPTIONS", "", &[]).expect("answers").status, 200);
    }
    assert!(bench.client("/front", None).ends_within(Duration::from_secs(2)), "one more");
    assert_eq!(known.ask("DESCRIBE", "", &[]).expect("answers").status, 200, "those who signed in go on");
    // They had their time to sign in: the oldest gives way to who comes.
    clock.advance(Duration::from_secs(3));
    let mut second = bench.client("/front", LOGIN);
    assert_eq!(second.ask("DESCRIBE", "", &[]).expect("answers").status, 200, "room for who signs in");
    assert!(strangers.remove(0).ends_within(Duration::from_secs(5)), "the oldest stranger is still there");
    assert_eq!(known.ask("DESCRIBE", "", &[]).expect("answers").status, 200, "those who signed in go on");
}

#[test]
fn requests_that_are_no_requests_do_no_harm() {
    use std::io::Read;
    let bench = Bench::new();
    let long = format!("DESCRIBE rtsp://h/{} RTSP/1.0\r\nCSeq: 1\r\n\r\n", "a".repeat(100_000));
    let headers = format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    for junk in [
        "\r\n\r\n",
        "DESCRIBE",
        "GET / HTTP/1.1\r\n\r\n",
        "DESCRIBE * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        "DESCRIBE rtsp://h RTSP/1.0\r\nAuthorization: Digest\r\n\r\n",
        "DESCRIBE rtsp://h/front RTSP/1.0\r\nAuthorization: Digest username=\r\n\r\n",
        "DESCRIBE rtsp://h/front RTSP/1.0\r\nAuthorization: Digest username=\"tv\", realm, nonce=\"\u{fffd}\"\r\n\r\n",
        "SETUP rtsp://h/front RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n",
        "PLAY rtsp://h/front RTSP/2.0\r\nSession: ../../x\r\n\r\n",
        "$\0\u{1}\u{1}aaaaaaaa",
        &long,
        &headers,
    ] {
        let mut stream = std::net::TcpStream::connect(bench.server.local_addr()).expect("connects");
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
        let _ = stream.write_all(junk.as_bytes());
        let _ = stream.read(&mut [0; 4096]);
    }
    assert_eq!(bench.client("/front", LOGIN).ask("DESCRIBE", "", &[]).expect("answers").status, 200);
}

#[test]
fn a_session_is_worth_nothing_on_another_connection() {
    let bench = Bench::new();
    bench.server.set_passwords(vec![stream_login("tv", "opensesame", &[]), stream_login("radio", "other", &[])]);
    let mut owner = bench.client("/front", LOGIN);
    owner.play();
    for login in [Some(("radio", "other")), LOGIN, None] {
        for method in ["PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SETUP"] {
            let mut thief = bench.client("/front", login);
            thief.session.clone_from(&owner.session);
            let status = thief.ask(method, "", &[("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")]);
            let status = status.expect("answers").status;
            assert!(matches!(status, 401 | 454), "{login:?} {method}: {status}");
        }
    }
    let (video, audio) = owner.read_for(Duration::from_millis(700)).expect("the owner's session goes on");
    assert!(video > 2000 && audio > 500, "{video} {audio}");
}

#[test]
fn a_removed_or_changed_password_closes_its_readers_alone_within_a_second() {
    let bench = Bench::new();
    let all = |tv: &str| vec![stream_login("tv", tv, &[]), stream_login("radio", "other", &[])];
    bench.server.set_passwords(all("opensesame"));
    let mut tv = bench.client("/front", LOGIN);
    let mut radio = bench.client("/front", Some(("radio", "other")));
    tv.play();
    radio.play();
    bench.server.set_passwords(all("opensesame"));
    tv.read_for(Duration::from_millis(300)).expect("the same passwords change nothing");
    bench.server.set_passwords(all("changed"));
    assert!(tv.ends_within(Duration::from_secs(1)));
    radio.read_for(Duration::from_millis(500)).expect("undisturbed");
    wait_for("the reader to be gone", Duration::from_secs(1), || bench.server.readers() == 1);
    bench.server.set_passwords(vec![]);
    assert!(radio.ends_within(Duration::from_secs(1)));
}

/// Runs the ignored test `name` where no other test takes memory or opens files.
fn in_a_process_of_its_own(name: &str) {
    let run = Command::new(std::env::current_exe().expect("a path"))
        .args(["--ignored", "--exact", name, "--nocapture"])
        .status();
    assert!(run.expect("it starts").success(), "{name}");
}

#[test]
fn a_reader_that_stops_reading_is_closed_and_disturbs_nobody() {
    in_a_process_of_its_own("a_reader_stops_reading");
}

/// The other half of [`a_reader_that_stops_reading_is_closed_and_disturbs_nobody`].
#[test]
#[ignore = "runs in a process of its own"]
fn a_reader_stops_reading() {
    let bench = Bench::with(VideoSettings { width: 640, height: 360, bitrate_kbps: 3000, ..SMALL });
    let mut stuck = Client::connect_small(bench.server.local_addr(), "/front", LOGIN);
    stuck.play();
    let mut other = bench.client("/front", LOGIN);
    other.play();
    wait_for("both to play", Duration::from_secs(1), || bench.server.readers() == 2);
    let before = resident_kib();
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    while bench.server.readers() == 2 {
        assert!(began.elapsed() < Duration::from_secs(25), "still there");
        let packet = Instant::now();
        other.packet().expect("reads on");
        longest = longest.max(packet.elapsed());
    }
    let grown = resident_kib().saturating_sub(before);
    eprintln!(
        "stuck reader closed after {:?}; the other waited {longest:?} at most; {grown} KiB more",
        began.elapsed()
    );
    assert!(longest < Duration::from_millis(300), "{longest:?}");
    assert!(grown < 32 << 10, "{grown} KiB");
    drop(stuck);
    other.read_for(Duration::from_millis(300)).expect("undisturbed");
}

#[test]
fn twenty_readers_share_one_media() {
    let bench = Bench::new();
    let threads = || std::fs::read_dir("/proc/self/task").expect("proc").count();
    let mut first = bench.client("/front", LOGIN);
    first.play();
    let before = threads();
    let mut readers = Vec::new();
    for _ in 0..19 {
        let mut reader = bench.client("/front", LOGIN);
        reader.play();
        readers.push(reader);
    }
    wait_for("all to play", Duration::from_secs(1), || bench.server.readers() == 20);
    assert_eq!(bench.consumers(Stream::Main), 1, "one media");
    eprintln!("{before} threads with one reader, {} with twenty (other tests run beside this one)", threads());
    for reader in readers.iter_mut().chain([&mut first]) {
        let (video, audio) = reader.read_for(Duration::from_millis(50)).expect("reads");
        assert!(video > 0 && audio > 0, "{video} {audio}");
    }
    drop((readers, first));
    wait_for("the demand to end", Duration::from_secs(3), || bench.consumers(Stream::Main) == 0);
}

#[test]
fn fifty_readers_that_come_at_once_are_all_served() {
    let bench = Bench::new();
    let at = bench.server.local_addr();
    let all: Vec<_> = std::thread::scope(|scope| {
        let come = |_| {
            scope.spawn(move || {
                let mut reader = Client::connect(at, "/front", LOGIN);
                reader.play();
                reader
            })
        };
        let coming: Vec<_> = (0..50).map(come).collect();
        coming.into_iter().map(|one| one.join().expect("served")).collect()
    });
    wait_for("all to play", Duration::from_secs(1), || bench.server.readers() == 50);
    assert_eq!(bench.consumers(Stream::Main), 1, "one media");
    drop(all);
}

/// Whether a payload (RFC 6184, 5.2) holds a slice of an IDR picture, whole, among its parameter sets, or the first part of one.
fn begins_idr(payload: &[u8]) -> bool {
    let is_idr = |nal: &[u8]| nal.first().is_some_and(|head| head & 0x1f == 5);
    match payload {
        [head, rest @ ..] if head & 0x1f == 24 => {
            let mut rest = rest;
            std::iter::from_fn(|| {
                let (size, behind) = rest.split_first_chunk::<2>()?;
                let nal = behind.get(..usize::from(u16::from_be_bytes(*size)))?;
                rest = &behind[nal.len()..];
                Some(nal)
            })
            .any(is_idr)
        }
        [head, part, ..] if head & 0x1f == 28 => part & 0x9f == 0x85,
        nal => is_idr(nal),
    }
}

#[test]
fn a_second_reader_gets_a_keyframe_at_once() {
    let bench = Bench::new();
    let mut first = bench.client("/front", LOGIN);
    first.play();
    first.read_for(Duration::from_millis(1200)).expect("reads");
    let mut second = bench.client("/front", LOGIN);
    second.play();
    let began = Instant::now();
    loop {
        let (channel, packet) = second.packet().expect("reads");
        if channel == 0 && begins_idr(packet.get(12..).unwrap_or_default()) {
            break;
        }
    }
    eprintln!("keyframe after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

/// Of a camera that makes no keyframe when asked, the first reader begins with pictures from before it came.
#[test]
fn a_first_reader_plays_what_was_before_it_at_its_pace() {
    let bench = Bench::of(Camera::passed_through("front", SMALL, 60), clock());
    let age = || {
        let newest = bench.camera.hub.latest_keyframe(Stream::Main).expect("a keyframe");
        SystemClock.mono().since(newest.pts)
    };
    let wait_for_an_old_one = || {
        wait_for("a keyframe that is a second old", Duration::from_secs(20), || {
            (Duration::from_millis(900)..Duration::from_millis(1500)).contains(&age())
        });
    };
    wait_for_an_old_one();
    let mut reader = bench.client("/front", LOGIN);
    reader.play();
    // The time stamps of the two halves' packets; all of one picture are alike.
    let mut stamps = [Vec::<u32>::new(), Vec::new()];
    while stamps.iter().any(|stamps| stamps.len() < 50) {
        let (channel, packet) = reader.packet().expect("reads");
        let Some(stamps) = stamps.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0) else { continue };
        let stamp = u32::from_be_bytes(packet[4..8].try_into().expect("four bytes"));
        if stamps.last() != Some(&stamp) {
            stamps.push(stamp);
        }
    }
    let [video, audio] = stamps;
    // The first is what the media was described by.
    let steps: Vec<u32> = video[1..].windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) / 90).collect();
    assert!(steps.iter().all(|ms| (32..=34).contains(ms)), "30 pictures a second: {steps:?}");
    let before = video[1].wrapping_sub(video[0]) / 90;
    assert!(before <= 1, "what describes them is of the first one: {before} ms");
    let missing = audio[1].wrapping_sub(audio[0]) / 48;
    assert!((500..3_000).contains(&missing), "the sound begins with the pictures and goes on now: {missing} ms");
    drop(reader);
    wait_for("the media to end", Duration::from_secs(5), || bench.consumers(Stream::Main) == 0);

    wait_for_an_old_one();
    for output in [&["-c", "copy"][..], &[]] {
        let ffmpeg = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", &bench.url("/front"), "-t", "4"])
            .args(["-map", "0"])
            .args(output)
            .args(["-f", "null", "-"])
            .output()
            .expect("ffmpeg runs");
        let said = String::from_utf8_lossy(&ffmpeg.stderr);
        assert!(ffmpeg.status.success() && said.is_empty(), "{output:?}: {said}");
    }
}

#[test]
fn a_reader_may_take_one_half_alone() {
    let bench = Bench::new();
    for tracks in [&[("/stream=0", "0-1")], &[("/stream=1", "2-3")]] {
        let mut half = bench.client("/front", LOGIN);
        half.play_tracks(tracks);
        half.read_for(Duration::from_millis(1500)).expect("reads");
        let (video, audio) = half.read_for(Duration::from_millis(1500)).expect("reads on");
        assert!((video > 2000) == (tracks[0].1 == "0-1"), "{video}");
        assert!((audio > 2000) == (tracks[0].1 == "2-3"), "{audio}");
        let mut whole = bench.client("/front", LOGIN);
        whole.play();
        whole.read_for(Duration::from_millis(1000)).expect("reads");
        let (video, audio) = whole.read_for(Duration::from_millis(1000)).expect("reads");
        assert!(video > 2000 && audio > 500, "a whole reader beside it: {video} {audio}");
        drop((half, whole));
        wait_for("the demand to end", Duration::from_secs(2), || bench.consumers(Stream::Main) == 0);
    }
}

#[test]
fn a_camera_that_is_down_is_reported_at_once_and_one_that_returns_goes_on() {
    let bench = Bench::new();
    let mut player = bench.client("/front", LOGIN);
    player.play();
    player.read_for(Duration::from_millis(300)).expect("reads");
    bench.camera.stop();
    let began = Instant::now();
    assert_eq!(bench.client("/front", LOGIN).ask("DESCRIBE", "", &[]).expect("answers").status, 503);
    assert_eq!(bench.client("/front/sub", LOGIN).ask("DESCRIBE", "", &[]).expect("answers").status, 503);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    std::thread::sleep(Duration::from_millis(1500));
    bench.camera.resume();
    let (video, audio) = player.read_for(Duration::from_millis(1500)).expect("reads on");
    assert!(video > 2000 && audio > 500, "{video} {audio}");
}

#[test]
fn a_sub_stream_that_never_starts_is_refused_within_seconds() {
    let bench = Bench::new();
    bench.camera.control.mute_sub();
    let mut main = bench.client("/front", LOGIN);
    main.play();
    let began = Instant::now();
    let sub = bench.client("/front/sub", LOGIN).ask("DESCRIBE", "", &[]).expect("answers");
    assert_eq!(sub.status, 503);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    wait_for("the demand to end", Duration::from_secs(2), || !bench.camera.hub.demand().sub);
    main.read_for(Duration::from_millis(300)).expect("undisturbed");
}

#[test]
fn readers_that_come_as_the_last_one_leaves_are_served() {
    let bench = Bench::new();
    // Several at a time: each is the first or the last one for some other.
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let ask = || bench.client("/front", LOGIN).ask("DESCRIBE", "", &[]).expect("answers").status;
                scope.spawn(move || (0..30).map(|_| ask()).collect::<Vec<_>>())
            })
            .collect();
        readers.into_iter().flat_map(|reader| reader.join().expect("asks")).collect()
    });
    assert_eq!(statuses, [200; 120]);
    wait_for("the demand to end", Duration::from_secs(2), || bench.consumers(Stream::Main) == 0);
}

#[test]
fn a_port_in_use_is_reported() {
    let bench = Bench::new();
    let listen = bench.server.local_addr();
    let error = Running::start(Config { listen, ..config() }, vec![], clock()).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let named = |key| format!("port {} is already in use: stop the other program or change `{key}`", listen.port());
    assert!(error.message().starts_with(&named("rtsp.listen")), "{error}");
    let error = Running::start(Config { tls_listen: Some(listen), ..config() }, vec![], clock()).expect_err("in use");
    assert!(error.message().starts_with(&named("rtsp.tls_listen")), "{error}");
    bench.server.stop();
    Running::start(Config { listen, ..config() }, vec![], clock()).expect("free again");
}

#[test]
fn a_connection_without_a_password_is_closed() {
    let bench = Bench::new();
    let began = Instant::now();
    let mut silent = bench.client("/front", None);
    let mut asking = bench.client("/front", None);
    asking.ask("OPTIONS", "", &[]).expect("answers");
    assert!(silent.ends_within(Duration::from_secs(15)) && asking.ends_within(Duration::from_secs(2)));
    assert!(began.elapsed() > Duration::from_secs(9));
}

/// The machine's clock, set forward at will.
#[derive(Default)]
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn utc(&self) -> Timestamp {
        SystemClock.utc()
    }
    fn mono(&self) -> MonoTime {
        MonoTime(SystemClock.mono().0 + self.0.load(Ordering::SeqCst))
    }
    fn sleep_until(&self, at: MonoTime) -> Sleep {
        SystemClock.sleep(at.since(self.mono()))
    }
}

#[test]
fn a_connection_that_signed_in_and_never_plays_is_closed() {
    let jumping = Arc::new(Jumping::default());
    let bench = Bench::at(SMALL, jumping.clone());
    let mut player = bench.client("/front", LOGIN);
    player.play();
    let mut idle = bench.client("/front/sub", LOGIN);
    let describe = |idle: &mut Client| idle.ask("DESCRIBE", "", &[]).expect("answers").status;
    let sub_is_held = || bench.camera.hub.demand().sub;
    assert_eq!(describe(&mut idle), 200);
    for _ in 0..2 {
        jumping.0.fetch_add(50_000_000, Ordering::SeqCst);
        player.read_for(Duration::from_millis(1500)).expect("plays on");
        assert!(sub_is_held());
        assert_eq!(describe(&mut idle), 200, "each request gives it a minute");
    }
    jumping.0.fetch_add(61_000_000, Ordering::SeqCst);
    player.read_for(Duration::from_millis(1500)).expect("plays on");
    assert!(idle.ends_within(Duration::from_secs(1)));
    wait_for("the demand to end", Duration::from_secs(2), || !sub_is_held());
    player.read_for(Duration::from_millis(300)).expect("who plays is never closed for silence");
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Not a check: prints what a TCP reader costs. Readers run in a process of their own.
/// `cargo test --release -p perch-media --test rtsp -- --ignored --nocapture measure`
#[test]
#[ignore = "a measurement of a minute"]
fn measure() {
    let bench = Bench::with(VideoSettings { width: 1280, height: 720, fps: 30, bitrate_kbps: 1000 });
    // Encoding would drown what is measured.
    let running = Arc::new(AtomicBool::new(true));
    let replay = camera::replay(bench.camera.hub.clone(), running.clone());
    bench.camera.stop();
    std::thread::sleep(Duration::from_millis(1100));
    // The cost of a running media with one reader in this process.
    let mut first = bench.client("/front", LOGIN);
    first.play();
    let drain = std::thread::spawn(move || while first.packet().is_ok() {});
    let alone = cpu_percent(Duration::from_secs(8));
    eprintln!("the media with one reader of its own: {alone:.2} % of a core");
    for readers in [1, 10, 50] {
        let mut load = Command::new(std::env::current_exe().expect("a path"))
            .args(["--ignored", "--exact", "load", "--nocapture"])
            .env("PERCH_RTSP_LOAD", format!("{} {readers}", bench.server.local_addr()))
            .stdout(Stdio::null())
            .spawn()
            .expect("spawns");
        wait_for("the readers", Duration::from_secs(20), || bench.server.readers() == readers + 1);
        std::thread::sleep(Duration::from_secs(1));
        let cpu = cpu_percent(Duration::from_secs(8));
        let threads = std::fs::read_dir("/proc/self/task").expect("proc").count();
        let each = (cpu - alone) / readers as f64;
        eprintln!(
            "{readers} readers: {cpu:.2} % of a core, {each:.3} % each; {threads} threads, {} KiB",
            resident_kib()
        );
        load.kill().expect("killed");
        load.wait().expect("gone");
        wait_for("the readers to go", Duration::from_secs(5), || bench.server.readers() == 1);
    }
    running.store(false, Ordering::SeqCst);
    replay.join().expect("ended");
    drop(bench);
    drain.join().expect("drained");
}

/// The other half of [`measure`].
#[test]
#[ignore = "a part of the measurement"]
fn load() {
    let Ok(load) = std::env::var("PERCH_RTSP_LOAD") else { return };
    let (at, readers) = load.split_once(' ').expect("two words");
    let (at, readers): (_, usize) = (at.parse().expect("an address"), readers.parse().expect("a number"));
    let threads: Vec<_> = (0..readers)
        .map(|n| {
            std::thread::spawn(move || {
                // One after the other: no more than eight may be without a password.
                std::thread::sleep(Duration::from_millis(100 * n as u64));
                let mut client = Client::connect(at, "/front", LOGIN);
                client.play();
                while client.packet().is_ok() {}
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().expect("ran"));
}

/// This process's use of processors over `time`, in % of one.
fn cpu_percent(time: Duration) -> f64 {
    let ticks = || {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
        let after = stat.rsplit(')').next().expect("fields").split_whitespace();
        after.skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum::<u64>()
    };
    let before = ticks();
    std::thread::sleep(time);
    // The kernel counts in hundredths of a second.
    (ticks() - before) as f64 / time.as_secs_f64()
}
