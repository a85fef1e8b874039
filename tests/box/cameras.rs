//! Cameras that come, change and go while the box runs: whoever is not concerned loses no picture, live or recorded.

use crate::support::client::Client;
use crate::support::home::{Home, camera, otp_of};
use crate::support::rtsp_reader::Reader;
use crate::support::whep::{Viewer, Watching};
use crate::support::{s, wait_until};
use perch::app::App;
use perch::camera::Camera;
use perch::config::Config;
use perch_base::clock::{Clock, SystemClock};
use perch_base::ids::CameraId;
use perch_base::time::MonoTime;
use perch_domain::archive::{Segment, SegmentState, TimeRange};
use perch_domain::media::Stream;
use perch_domain::ports::ArchivePort;
use perch_domain::reload::{Change, plan_reload};
use perch_domain::still_turns::{Asker, WAITING_EACH};
use perch_media::still::Turns;
use perch_store::Recordings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

const ALWAYS: &str = "audio = { source = \"test\" }\nmotion = { enabled = false }\nrecord = { mode = \"continuous\", segment_max_s = 5 }";
/// What may lie between two files that join: their times are rounded.
const JOIN_US: i64 = 5_000;

/// A box in this process.
struct Inside {
    home: Home,
    runner: Arc<perch::camera_runner::CameraRunner>,
    recordings: Recordings,
    stills: Turns,
    admin: Client,
    runtime: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    fn boot(cameras: &[String]) -> Self {
        Self::boot_with(cameras, 512)
    }

    /// One with so many threads for all calls that may block.
    fn boot_with(cameras: &[String], blocking_threads: usize) -> Self {
        let home = Home::new(&cameras.concat());
        let config = Config::load(Some(&home.config())).expect("a good config");
        let file = home.config();
        let (ready, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(2).max_blocking_threads(blocking_threads).enable_all();
            let runtime = runtime.build().expect("a runtime");
            let handle = runtime.handle().clone();
            let late = runtime.block_on(async {
                let app = App::build(config, Some(&file)).await.expect("built");
                let card = app.pairing_card().await.expect("made").expect("nobody owns it");
                let stills = app.cameras().stills.turns.clone();
                ready.send((app.runner().clone(), app.recordings().clone(), stills, card, handle)).expect("waited for");
                app.run(async { drop(stopped.await) }).await.expect("ran")
            });
            assert!(late.is_empty(), "{late:?} did not end");
        });
        let (runner, recordings, stills, card, runtime) = started.recv_timeout(s(60)).expect("the box starts");
        let client = Client::new(home.ports.http, &home.data().join("tls/ca.pem"));
        wait_until("the box answers", s(20), || client.try_send("GET", "/healthz", &[], b"").ok());
        let admin = client.pair(&otp_of(&card), "test phone");
        Self { home, runner, recordings, stills, admin, runtime, stop: Some(stop), thread: Some(thread) }
    }

    /// Changes the config file and lets the box follow it. Returns what was planned.
    fn reload(&self, cameras: &[String]) -> Vec<Change> {
        self.home.configure("[recording]\nmin_free_bytes = 0\n", &cameras.concat());
        let new = Config::load(Some(&self.home.config())).expect("a good config");
        let plan = plan_reload(&self.runner.set.configs(), &new.cameras);
        let made = self.runtime.block_on(self.runner.follow(|| new.cameras.clone())).expect("made");
        assert_eq!(made, plan);
        assert_eq!(self.runner.set.configs(), new.cameras);
        plan
    }

    fn camera(&self, id: &str) -> Arc<Camera> {
        self.runner.set.get(&CameraId::new(id).expect("an id")).expect("there")
    }

    fn watch(&self, camera: &str) -> Watching {
        let (mut viewer, offer) = Viewer::offer();
        let (answer, _) = self.admin.whep(camera, "main", &offer);
        viewer.accept(&answer);
        viewer.spawn()
    }

    /// An RTSP reader over TCP.
    fn read(&self, camera: &str, password: &str) -> Reader {
        let host = format!("127.0.0.1:{}", self.home.ports.rtsp);
        Reader::start(&host, camera, "nvr", password, Arc::default()).expect("connects")
    }

    fn listed(&self) -> Vec<String> {
        let list = self.admin.json("/api/v1/cameras");
        let cameras = list["cameras"].as_array().expect("a list");
        cameras.iter().map(|c| c["id"].as_str().expect("an id").to_owned()).collect()
    }

    fn tasks(&self) -> Vec<String> {
        self.runner.supervisor.tasks().statuses().iter().map(|t| t.id.to_string()).collect()
    }

    /// The recorded files of a camera, in order.
    fn segments(&self, camera: &str) -> Vec<Segment> {
        let now = SystemClock.utc();
        let all = TimeRange::new(now - s(3600), now + s(3600)).expect("forward");
        self.recordings.segments(&CameraId::new(camera).expect("an id"), all).expect("listed")
    }

    fn wait_for_file(&self, camera: &str) {
        wait_until(&format!("a file of {camera}"), s(20), || (!self.segments(camera).is_empty()).then_some(()));
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the box panicked");
        }
    }
}

/// Takes every packet of a camera's main stream and counts what it got and what it lost.
struct Counts {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Counts {
    fn start(camera: &Camera) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, hub) = (stop.clone(), camera.hub.clone());
        let thread = std::thread::spawn(move || {
            let mut before = 0;
            let mut all = hub.subscribe(Stream::Main, false, "counts", 4096);
            let (mut faults, mut frames, mut last) = (Vec::new(), 0, MonoTime(0));
            loop {
                let ends = theirs.load(Ordering::SeqCst);
                let Ok(delivery) = all.packets.try_recv() else {
                    if ends {
                        break;
                    }
                    std::thread::park_timeout(std::time::Duration::from_millis(5));
                    continue;
                };
                let pts = delivery.packet.pts;
                // The first one is a keyframe, which may be some pictures away, and follows nothing.
                if frames == 0 {
                    before = hub.frames();
                }
                if frames > 0 && (delivery.discontinuity || pts <= last) {
                    faults.push(format!(
                        "a break before frame {frames}, {} us after the last one",
                        pts.micros_since(last)
                    ));
                }
                (frames, last) = (frames + 1, pts);
            }
            // The hub's own count: what it published meanwhile came here, but for what was on its way at either end.
            let published = hub.frames() - before;
            if hub.dropped() > 0 || frames < 100 || frames + 5 < published {
                faults.push(format!("{frames} of {published} frames, {} packets dropped", hub.dropped()));
            }
            eprintln!("{frames} of {published} frames at a consumer of the hub");
            faults
        });
        Self { stop, thread }
    }

    /// Ends, and says what was lost.
    fn faults(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("no panic")
    }
}

/// Every two files that follow each other join.
fn assert_joined(segments: &[Segment]) {
    assert!(segments.len() > 1, "{} files", segments.len());
    for pair in segments.windows(2) {
        let apart = pair[1].start.micros_since(pair[0].end);
        assert!(apart.abs() <= JOIN_US, "{apart} us between {} and {}", pair[0].end, pair[1].start);
    }
    for segment in segments {
        for pair in segment.fragments.windows(2) {
            let hole_us = pair[1].start_us - (pair[0].start_us + pair[0].duration_us);
            assert!(hole_us.abs() <= 1000, "a hole of {hole_us} us between two fragments");
        }
    }
}

/// Waits until so many more packets came.
fn wait_for_packets(reader: &mut Reader, more: u64) {
    let (before, _) = reader.packets_and_lost();
    wait_until(&format!("{more} RTP packets after {before}"), s(30), || {
        assert_eq!(reader.failure(), None);
        (reader.packets_and_lost().0 >= before + more).then_some(())
    });
}

#[test]
fn cameras_come_change_and_go_while_another_is_watched_and_recorded() {
    let keep = camera("keep", "test", ALWAYS);
    let other = camera("other", "test", ALWAYS);
    let extra = camera("extra", "test", ALWAYS);
    let inside = Inside::boot(&[keep.clone(), other.clone()]);
    for id in ["keep", "other"] {
        inside.admin.wait_for_camera(id, "live", s(30));
        inside.wait_for_file(id);
    }
    let counts = Counts::start(&inside.camera("keep"));
    let viewer = inside.watch("keep");
    viewer.wait_for_frames(15, s(20));

    // One comes, before another in the list.
    let plan = inside.reload(&[keep.clone(), extra.clone(), other.clone()]);
    assert_eq!(plan.len(), 2, "{plan:?}");
    inside.admin.wait_for_camera("extra", "live", s(30));
    assert_eq!(inside.listed(), ["keep", "extra", "other"]);
    inside.watch("extra").wait_for_frames(15, s(20));
    inside.wait_for_file("extra");

    // A name alone restarts nothing: its viewer sees every picture.
    let theirs = inside.watch("other");
    theirs.wait_for_frames(15, s(20));
    let named = other.replace("Camera other", "Garden");
    inside.reload(&[keep.clone(), extra.clone(), named.clone()]);
    assert_eq!(inside.admin.camera("other")["name"], "Garden");
    let seen = theirs.wait_for_frames(30, s(20));
    assert_eq!((seen.broken, seen.over), (0, false));
    assert_eq!(inside.admin.camera("other")["health"]["restarts"], 0);

    // Another bit rate runs its capture again; who watches or reads goes on.
    let mut reader = inside.read("other", &inside.admin.stream_password("nvr"));
    wait_for_packets(&mut reader, 50);
    let faster = named.replace("bitrate_kbps = 500", "bitrate_kbps = 800");
    assert_ne!(named, faster);
    inside.reload(&[keep.clone(), extra.clone(), faster.clone()]);
    theirs.wait_for_frames(15, s(30));
    assert!(!theirs.seen().over);
    wait_for_packets(&mut reader, 200);
    let (packets, lost) = reader.packets_and_lost();
    eprintln!("{packets} packets at the RTSP reader of the camera that changed");
    assert_eq!((lost, reader.failure()), (0, None));
    drop(reader);
    // Not recorded any more: its file is sealed, and it is live all the same.
    let unrecorded = faster.replace("continuous", "off");
    inside.reload(&[keep.clone(), extra.clone(), unrecorded.clone()]);
    assert_eq!(inside.camera("other").info().recording.state, perch_domain::status::RecordingState::Off);
    assert!(inside.segments("other").iter().all(|f| f.state == SegmentState::Sealed));
    theirs.wait_for_frames(15, s(20));

    // It goes: its session ends, nothing of it runs, its recordings can be read.
    inside.reload(&[keep.clone(), extra.clone()]);
    wait_until("the session of the removed camera ends", s(20), || {
        let live = inside.admin.json("/api/v1/live");
        let sessions = live["sessions"].as_array().expect("a list");
        sessions.iter().all(|session| session["camera"] != "other").then_some(())
    });
    assert_eq!(inside.listed(), ["keep", "extra"]);
    assert!(inside.tasks().iter().all(|t| !t.contains("other")), "{:?}", inside.tasks());
    let left = inside.segments("other");
    assert!(!left.is_empty() && left.iter().all(|f| f.state == SegmentState::Sealed), "{left:?}");
    let id = CameraId::new("other").expect("an id");
    assert!(inside.recordings.open_segment(&id, left[0].id).expect("opened").size_bytes > 0);

    // It comes back, and one that records goes: its file is sealed.
    inside.reload(&[keep.clone(), other.clone()]);
    inside.admin.wait_for_camera("other", "live", s(30));
    assert!(inside.segments("extra").iter().all(|f| f.state == SegmentState::Sealed));

    let seen = viewer.wait_for_frames(15, s(20));
    assert_eq!((seen.broken, seen.over), (0, false), "{} frames", seen.frames);
    assert_eq!(counts.faults(), Vec::<String>::new());
    assert_joined(&inside.segments("keep"));
    assert_eq!(inside.camera("keep").health().restarts, 0);
    eprintln!("{} frames at the viewer, {} files", seen.frames, inside.segments("keep").len());
}

#[test]
fn stills_that_wait_hold_up_neither_recorders_nor_the_api() {
    let inside = Inside::boot_with(&[camera("keep", "test", ALWAYS)], 2);
    inside.admin.wait_for_camera("keep", "live", s(30));
    inside.wait_for_file("keep");
    let code = inside.admin.post("/api/v1/pairing-codes", &serde_json::json!({ "role": "viewer" })).expect(201).json();
    let guest = inside.admin.pair(code["otp"].as_str().expect("a code"), "guest");
    // Both places are taken: whoever asks now waits, and there are more than two, which is all that may block.
    let take = || inside.stills.take(Asker::Box);
    let held = inside.runtime.block_on(async { (take().await.expect("free"), take().await.expect("free")) });
    let (answered, answers) = std::sync::mpsc::channel();
    let ask = |(n, client): (usize, &Client)| {
        let (client, answered) = (client.clone(), answered.clone());
        std::thread::spawn(move || {
            let answer = client.try_send("GET", "/api/v1/cameras/keep/snapshot.jpg", &[], b"").expect("an answer");
            answered.send((n, answer)).expect("heard");
        })
    };
    let clients = [&inside.admin, &guest];
    let asking: Vec<_> =
        clients.into_iter().enumerate().flat_map(|of| (0..WAITING_EACH + 2).map(move |_| of)).map(ask).collect();
    let mut refused = [0; 2];
    while refused.contains(&0) {
        let (n, answer) = answers.recv_timeout(s(60)).expect("who has its share waiting is refused");
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("2")), "{}", answer.text());
        refused[n] += 1;
    }
    let kept = inside.camera("keep");
    let rounds = kept.recorder_rounds();
    inside.admin.get("/healthz").expect(200);
    wait_until("the recorder goes on", s(20), || (kept.recorder_rounds() > rounds + 1).then_some(()));
    inside.admin.get("/healthz").expect(200);
    // All that was while the others waited.
    assert!(answers.try_iter().all(|(_, answer)| answer.status == 429), "they gave up waiting before");
    drop(held);
    asking.into_iter().for_each(|one| one.join().expect("no panic"));
    let got: Vec<_> = answers.try_iter().map(|(_, answer)| answer.status).collect();
    assert!(got.contains(&200), "{got:?}");
}

#[test]
fn a_hangup_takes_the_cameras_of_the_config_and_a_bad_file_changes_nothing() {
    let (keep, extra) = (camera("keep", "test", ALWAYS), camera("extra", "test", ALWAYS));
    let home = Home::new(&keep);
    let mut running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("keep", "live", s(30));
    let line = running.wait_for_line("recording runs", s(30)).expect("it records");
    assert!(line.contains("task{task=recording keep camera=keep}"), "{line}");
    let hang_up = || {
        let pid = rustix::process::Pid::from_raw(running.pid() as i32).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    };
    home.write_config("[[camera]]\nid = \"keep\"\nsourc = \"test\"\n");
    hang_up();
    running.wait_for_line("the config was not taken", s(20)).expect("it says so");
    running.wait_for_line("camera[0].sourc", s(20)).expect("it says why");
    home.configure("[recording]\nmin_free_bytes = 0\n", &[keep, extra].concat());
    hang_up();
    wait_until("the new camera is there", s(30), || (admin.get("/api/v1/cameras/extra").status == 200).then_some(()));
    admin.wait_for_camera("extra", "live", s(60));
    assert_eq!(admin.camera("keep")["health"]["restarts"], 0);
    assert!(running.terminate().success());
}
