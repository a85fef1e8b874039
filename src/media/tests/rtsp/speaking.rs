//! Players that speak (ONVIF backchannel): a real one whose sound is heard, and those that may not or come while somebody else speaks.

use crate::camera::{Camera, clock};
use crate::client::{Client, stream_login};
use crate::running::Running;
use crate::{LOGIN, SMALL, config, wait_for};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::shutdown;
use perch_domain::talk::{FloorAnswer, TalkAsker, WhenBusy};
use perch_domain::talkback::{TalkSink, Talkback};
use perch_media::pipeline::Library;
use perch_media::player_speech::{OPUS, PCMU};
use perch_media::rtsp::CameraStreams;
use perch_media::speaker::Speaker;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const REQUIRE: (&str, &str) = ("Require", "www.onvif.org/ver20/backchannel");

pub struct Door {
    pub speaker: Arc<Speaker>,
    pub server: Running,
    _camera: Camera,
    _end: shutdown::Trigger,
}

impl Door {
    pub fn new(players: &[&str]) -> Self {
        perch_media::init().expect("starts");
        let camera = Camera::start("front", SMALL);
        let library = Arc::new(Library::load(None).expect("well formed"));
        let id = CameraId::new("front").expect("valid");
        let speaker = Speaker::new(id, talkback(players), library, clock(), Arc::new(|| {}));
        let (end, mut shutdown) = shutdown::channel();
        let runner = speaker.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(runner.run_once(&mut shutdown))
        });
        let streams = CameraStreams { speaker: Some(speaker.clone()), ..camera.streams() };
        let server = Running::start(config(), vec![streams], clock()).expect("starts");
        server.set_passwords(vec![stream_login("tv", "opensesame", &[]), stream_login("nvr", "other", &[])]);
        Self { speaker, server, _camera: camera, _end: end }
    }

    pub fn talker(&self, name: &str, password: &str, format: u8) -> Talker {
        Talker::start(&format!("rtsp://{name}:{password}@{}/front", self.server.local_addr()), format)
    }

    pub fn is_loud(&self) -> bool {
        let level = self.speaker.status().expect("there is one").level;
        level.is_some_and(|level| level.peak_db > -12.0)
    }

    pub fn speaks(&self) -> Option<String> {
        self.speaker.status().expect("there is one").speaker
    }
}

fn talkback(players: &[&str]) -> Talkback {
    let players = players.iter().map(|name| (*name).to_owned()).collect();
    Talkback { sink: Some(TalkSink::Test), players, ..Talkback::default() }
}

/// A player that says a tone all the time until it is told to be silent.
pub struct Talker {
    pipeline: gst::Pipeline,
    voice: gst::Pipeline,
    speaks: Arc<AtomicBool>,
    pictures: Arc<AtomicUsize>,
    /// The stream that it says it on; -1 where there is none.
    stream: Arc<AtomicI64>,
}

impl Talker {
    fn start(url: &str, format: u8) -> Self {
        let pipeline = gst::Pipeline::new();
        let source = gst::ElementFactory::make("rtspsrc")
            .property("location", url)
            .property_from_str("protocols", "tcp")
            .property_from_str("backchannel", "onvif")
            .property("latency", 0u32)
            .build()
            .expect("there");
        let (stream, pictures) = (Arc::new(AtomicI64::new(-1)), Arc::new(AtomicUsize::new(0)));
        let found = stream.clone();
        source.connect("select-stream", false, move |values| {
            let number = values[1].get::<u32>().expect("a number");
            let caps = values[2].get::<gst::Caps>().expect("caps");
            let s = caps.structure(0).expect("one");
            if s.has_field("a-sendonly") {
                let is_meant = s.get::<i32>("payload") == Ok(i32::from(format));
                if is_meant {
                    found.store(i64::from(number), Ordering::SeqCst);
                }
                return Some(is_meant.to_value());
            }
            Some(true.to_value())
        });
        pipeline.add(&source).expect("added");
        let (into, counted) = (pipeline.downgrade(), pictures.clone());
        source.connect_pad_added(move |_, pad| {
            let Some(pipeline) = into.upgrade() else { return };
            let counted = counted.clone();
            let sink = gst_app::AppSink::builder().sync(false).build();
            let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
                counted.fetch_add(1, Ordering::SeqCst);
                sink.pull_sample().map(|_| gst::FlowSuccess::Ok).map_err(|_| gst::FlowError::Eos)
            });
            sink.set_callbacks(callbacks.build());
            pipeline.add(&sink).expect("added");
            sink.sync_state_with_parent().expect("plays");
            let _ = pad.link(&sink.static_pad("sink").expect("there"));
        });
        let encoder = match format {
            PCMU => "audioresample ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay pt=0",
            _ => "audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=20 ! rtpopuspay pt=98",
        };
        let text = format!(
            "audiotestsrc is-live=true samplesperbuffer=960 volume=0.8 ! audio/x-raw,rate=48000 ! audioconvert \
             ! {encoder} ! appsink name=out sync=false"
        );
        let voice = gst::parse::launch(&text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
        let out = voice.by_name("out").expect("there").downcast::<gst_app::AppSink>().expect("an appsink");
        let speaks = Arc::new(AtomicBool::new(true));
        let (to, on, may) = (Mutex::new(source.downgrade()), stream.clone(), speaks.clone());
        let said = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let number = on.load(Ordering::SeqCst);
            if let Some(source) = to.lock().expect("lock").upgrade()
                && number >= 0
                && may.load(Ordering::SeqCst)
            {
                // This version takes a reference that it was not given.
                std::mem::forget(sample.clone());
                let _ = source.emit_by_name::<gst::FlowReturn>("push-backchannel-sample", &[&(number as u32), &sample]);
            }
            Ok(gst::FlowSuccess::Ok)
        });
        out.set_callbacks(said.build());
        pipeline.set_state(gst::State::Playing).expect("plays");
        voice.set_state(gst::State::Playing).expect("plays");
        Self { pipeline, voice, speaks, pictures, stream }
    }

    fn failure(&self) -> Option<String> {
        let bus = self.pipeline.bus().expect("there");
        let message = bus.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(e) => Some(format!("{} {:?}", e.error(), e.debug())),
            _ => None,
        }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.voice.set_state(gst::State::Null);
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

#[test]
fn a_player_is_heard_sees_pictures_and_gives_the_floor_back() {
    let door = Door::new(&["nvr"]);
    for format in [PCMU, OPUS] {
        wait_for("nothing to be heard", Duration::from_secs(6), || !door.is_loud());
        let talker = door.talker("nvr", "other", format);
        let heard = || {
            if let Some(e) = talker.failure() {
                panic!("{format}: {e}");
            }
            door.is_loud()
        };
        wait_for("it to be heard", Duration::from_secs(15), heard);
        assert!(talker.stream.load(Ordering::SeqCst) >= 0);
        assert_eq!(door.speaks().as_deref(), Some("nvr"));
        wait_for("pictures", Duration::from_secs(5), || talker.pictures.load(Ordering::SeqCst) > 30);
        // Silent for two seconds: others may speak. It goes on when it says something again.
        talker.speaks.store(false, Ordering::SeqCst);
        wait_for("the floor to be free", Duration::from_secs(6), || door.speaks().is_none());
        talker.speaks.store(true, Ordering::SeqCst);
        wait_for("it to be heard again", Duration::from_secs(5), || door.is_loud() && door.speaks().is_some());
        drop(talker);
        wait_for("the floor to be free", Duration::from_secs(6), || door.speaks().is_none());
        wait_for("nobody to read", Duration::from_secs(5), || door.server.readers() == 0);
    }
}

#[test]
fn nobody_speaks_who_may_not_or_while_another_does() {
    let door = Door::new(&["nvr"]);
    let ask = |name: &str, password: &str, headers: &[(&str, &str)]| {
        let mut client = Client::connect(door.server.local_addr(), "/front", Some((name, password)));
        client.ask("DESCRIBE", "", headers).expect("answers")
    };
    // One that the settings do not name can watch, and is told that it cannot speak.
    assert_eq!(ask("tv", "opensesame", &[REQUIRE]).status, 551);
    let plain = ask("tv", "opensesame", &[]);
    assert!(plain.status == 200 && !plain.body.contains("sendonly"), "{}", plain.body);
    let told = ask("nvr", "other", &[REQUIRE]);
    assert_eq!(told.status, 200);
    assert_eq!(told.body.matches("a=sendonly").count(), 2, "{}", told.body);
    assert!(told.body.contains("PCMU/8000") && told.body.contains("OPUS/48000"), "{}", told.body);
    // Without a password nothing is told, nor for a demand that nobody knows.
    let mut stranger = Client::connect(door.server.local_addr(), "/front", None);
    assert_eq!(stranger.ask("DESCRIBE", "", &[REQUIRE]).expect("answers").status, 401);
    let headers = [("Require", "www.example.org/other")];
    assert_eq!(ask("nvr", "other", &headers).status, 551);
    // Somebody speaks: the player sees pictures and is not heard.
    let anna = TalkAsker { device: DeviceId::random(), name: "Anna".into(), may_take_over: false, gives_way: false };
    let lease = LeaseId::random();
    let asked = door.speaker.ask(&anna, lease, WhenBusy::Refuse).expect("there is a loudspeaker");
    assert!(matches!(asked, FloorAnswer::Speaks { .. }));
    let talker = door.talker("nvr", "other", PCMU);
    wait_for("pictures", Duration::from_secs(15), || talker.pictures.load(Ordering::SeqCst) > 30);
    assert!(!door.is_loud() && door.speaks().as_deref() == Some("Anna"));
    door.speaker.release(lease);
    wait_for("it to be heard", Duration::from_secs(6), || door.is_loud());
    // Whom the settings do not name any more is silent at once, and goes on seeing.
    door.speaker.follow(&talkback(&["tv"]));
    wait_for("it to be silent", Duration::from_secs(4), || !door.is_loud() && door.speaks().is_none());
    let seen = talker.pictures.load(Ordering::SeqCst);
    wait_for("pictures", Duration::from_secs(5), || talker.pictures.load(Ordering::SeqCst) > seen + 10);
    // A password that is taken away ends all of it.
    door.server.set_passwords(vec![]);
    wait_for("nobody to read", Duration::from_secs(2), || door.server.readers() == 0);
}

#[test]
fn players_share_what_they_watch_though_one_of_them_may_speak() {
    let door = Door::new(&["nvr"]);
    let mut watcher = Client::connect(door.server.local_addr(), "/front", LOGIN);
    watcher.play();
    let talker = door.talker("nvr", "other", OPUS);
    wait_for("it to be heard", Duration::from_secs(15), || door.is_loud());
    watcher.read_for(Duration::from_millis(500)).expect("undisturbed");
    drop(talker);
    watcher.read_for(Duration::from_millis(500)).expect("undisturbed");
}
