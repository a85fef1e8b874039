//! A camera pushed by RTSP RECORD to a real RTSP server (gst-rtsp-server's own), which is killed and started again.

use super::*;
use gstreamer_rtsp_server as rtsp_server;
use perch_base::shutdown::{self, Trigger};
use perch_domain::push::plan::PushPlan;
use perch_domain::push::{PushState, PushTarget};
use perch_media::pipeline::Library;
use perch_media::push::{PushEnd, PushOrder, push_once};
use rtsp_server::gst_rtsp;
use rtsp_server::prelude::*;
use std::net::TcpListener;

/// A server that takes H.264 and Opus at `/in` and counts what it takes.
struct Recorder {
    server: rtsp_server::RTSPServer,
    context: gst::glib::MainContext,
    main: gst::glib::MainLoop,
    runs: Option<std::thread::JoinHandle<()>>,
    pictures: Arc<AtomicUsize>,
    sounds: Arc<AtomicUsize>,
}

impl Recorder {
    fn start(port: u16, has_audio: bool) -> Self {
        let (pictures, sounds) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let context = gst::glib::MainContext::new();
        let main = gst::glib::MainLoop::new(Some(&context), false);
        let server = rtsp_server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&port.to_string());
        let factory = rtsp_server::RTSPMediaFactory::new();
        let sound = if has_audio {
            "rtpopusdepay name=depay1 ! fakesink name=sounds sync=false signal-handoffs=true"
        } else {
            ""
        };
        factory.set_launch(&format!(
            "( rtph264depay name=depay0 ! avdec_h264 ! fakesink name=pictures sync=false signal-handoffs=true {sound} )"
        ));
        factory.set_transport_mode(rtsp_server::RTSPTransportMode::RECORD);
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::TCP);
        let counts = [("pictures", pictures.clone()), ("sounds", sounds.clone())];
        factory.connect_media_configure(move |_, media| {
            let bin = media.element().downcast::<gst::Bin>().expect("a bin");
            for (name, count) in &counts {
                let Some(sink) = bin.by_name(name) else { continue };
                let count = count.clone();
                sink.connect("handoff", false, move |_| {
                    count.fetch_add(1, Ordering::SeqCst);
                    None
                });
            }
        });
        server.mount_points().expect("has them").add_factory("/in", factory);
        server.attach(Some(&context)).expect("the port is free");
        let (on, runner) = (context.clone(), main.clone());
        let runs = Some(std::thread::spawn(move || on.with_thread_default(|| runner.run()).expect("its own")));
        Self { server, context, main, runs, pictures, sounds }
    }

    fn took(&self) -> (usize, usize) {
        (self.pictures.load(Ordering::SeqCst), self.sounds.load(Ordering::SeqCst))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let (server, main) = (self.server.clone(), self.main.clone());
        self.context.invoke(move || {
            server.client_filter(Some(&mut |_, _| rtsp_server::RTSPFilterResult::Remove));
            main.quit();
        });
        if let Some(runs) = self.runs.take() {
            runs.join().expect("no panic");
        }
    }
}

/// One attempt on a thread of its own, and how it was.
pub struct Attempt {
    pub states: Arc<std::sync::Mutex<Vec<(PushState, u64)>>>,
    end: Trigger,
    pub runs: std::thread::JoinHandle<perch_base::Result<PushEnd>>,
}

impl Attempt {
    pub fn start(camera: &Camera, url: &str, has_audio: bool) -> Self {
        let target = PushTarget::of(url, Stream::Main).expect("valid");
        let plan = PushPlan { stream: Stream::Main, codec: perch_domain::media::VideoCodec::H264, has_audio };
        let order = PushOrder { hub: camera.hub.clone(), target, plan };
        let (states, (end, mut shutdown)) = (Arc::new(std::sync::Mutex::new(Vec::new())), shutdown::channel());
        let said = states.clone();
        let runs = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let library = Arc::new(Library::load(None).expect("well formed"));
            let say = |state, bytes| said.lock().expect("no panic").push((state, bytes));
            runtime.block_on(push_once(library, &clock(), order, say, &mut shutdown))
        });
        Self { states, end, runs }
    }

    fn is_sending(&self) -> bool {
        self.states.lock().expect("no panic").last().is_some_and(|(state, _)| *state == PushState::Sending)
    }
}

#[test]
fn a_server_that_records_is_pushed_to_and_its_end_is_seen() {
    let camera = Camera::start("front", SMALL);
    for has_audio in [true, false] {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let url = format!("rtsp://127.0.0.1:{port}/in");
        for _ in 0..2 {
            let recorder = Recorder::start(port, has_audio);
            let attempt = Attempt::start(&camera, &url, has_audio);
            wait_for("pictures and sound are taken", Duration::from_secs(20), || {
                let (pictures, sounds) = recorder.took();
                pictures >= 30 && (sounds >= 50 || !has_audio) && attempt.is_sending()
            });
            drop(recorder);
            let e = attempt.runs.join().expect("no panic").expect_err("the server is gone");
            assert_eq!(e.kind(), ErrorKind::Unavailable);
            assert!(e.message().starts_with("127.0.0.1 "), "{e}");
        }
        let refused =
            Attempt::start(&camera, &url, has_audio).runs.join().expect("no panic").expect_err("nobody listens");
        assert_eq!(refused.message(), "127.0.0.1 cannot be reached: see whether it runs, and its port", "{refused}");
    }
    let recorder = Recorder::start(0, false);
    let url = format!("rtsp://127.0.0.1:{}/in", recorder.server.bound_port());
    let attempt = Attempt::start(&camera, &url, false);
    wait_for("it is sent", Duration::from_secs(20), || attempt.is_sending());
    camera.stop();
    assert_eq!(
        attempt.runs.join().expect("no panic").expect("no failure"),
        PushEnd::NoPicture,
        "there is nothing to push"
    );
    let attempt = Attempt::start(&camera, &url, false);
    attempt.end.fire();
    assert_eq!(attempt.runs.join().expect("no panic").expect("no failure"), PushEnd::Told);
    let elsewhere = Attempt::start(&camera, &url.replace("/in", "/nowhere"), false);
    assert!(elsewhere.runs.join().expect("no panic").is_ok(), "the camera stopped, so nothing was asked");
}
