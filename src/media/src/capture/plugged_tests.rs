//! A USB camera that is unplugged and comes back: the real capture and its pipeline, with an element of the test in the place of `v4l2src`
//! that sends pictures as long as its device's file is there.

use crate::capture::fake::Fake;
use crate::capture::tests::{config, take};
use crate::capture::{Capture, Means};
use crate::devices::tests::Bench;
use crate::fanout::Hub;
use crate::pipeline::Library;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use perch_base::clock::{SharedClock, SystemClock};
use perch_base::zone::Zone;
use perch_base::{ErrorKind, shutdown};
use perch_domain::camera::Source;
use perch_domain::media::{Stream, Track};
use perch_domain::usb_camera::VideoName;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything takes here, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

mod webcam {
    use gstreamer as gst;
    use gstreamer::glib;
    use gstreamer::prelude::*;
    use gstreamer::subclass::prelude::*;
    use std::path::{Path, PathBuf};
    use std::sync::{LazyLock, Mutex, OnceLock};

    /// What stands for `/`.
    pub static ROOT: OnceLock<PathBuf> = OnceLock::new();

    #[derive(Default)]
    pub struct Webcam {
        device: Mutex<String>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Webcam {
        const NAME: &'static str = "PerchTestWebcam";
        type Type = super::Webcam;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Webcam {
        fn properties() -> &'static [glib::ParamSpec] {
            static ALL: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                vec![
                    glib::ParamSpecString::builder("device").build(),
                    glib::ParamSpecBoolean::builder("do-timestamp").build(),
                ]
            });
            &ALL
        }

        fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
            if spec.name() == "device" {
                *self.device.lock().expect("whole") = value.get().expect("a text");
            }
        }

        fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
            match spec.name() {
                "device" => self.device.lock().expect("whole").to_value(),
                _ => true.to_value(),
            }
        }

        fn constructed(&self) {
            self.parent_constructed();
            let bin = self.obj();
            let source = gst::ElementFactory::make("videotestsrc").property("is-live", true).build().expect("there");
            bin.add(&source).expect("added");
            let pad = source.static_pad("src").expect("a pad");
            let ghost = gst::GhostPad::builder_with_target(&pad).expect("a pad").name("src").build();
            bin.add_pad(&ghost).expect("added");
            let this = bin.downgrade();
            ghost.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let Some(this) = this.upgrade() else { return crate::probes::withheld(info) };
                let device = this.property::<String>("device");
                let is_there =
                    |root: &PathBuf| root.join(Path::new(&device).strip_prefix("/").expect("absolute")).exists();
                if ROOT.get().is_some_and(is_there) {
                    return gst::PadProbeReturn::Ok;
                }
                gst::element_error!(this, gst::ResourceError::Read, ["the device is gone"]);
                crate::probes::withheld(info)
            });
        }
    }

    impl GstObjectImpl for Webcam {}
    impl BinImpl for Webcam {}

    impl ElementImpl for Webcam {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static OWN: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new("Webcam", "Source/Video", "A webcam of the test", "Perch")
            });
            Some(&OWN)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static ALL: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let any = gst::Caps::new_any();
                vec![
                    gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &any)
                        .expect("well formed"),
                ]
            });
            &ALL
        }
    }
}

glib::wrapper! {
    pub struct Webcam(ObjectSubclass<webcam::Webcam>) @extends gst::Bin, gst::Element, gst::Object, @implements gst::ChildProxy;
}

/// The pipelines with the test's webcam in the place of the driver.
fn library() -> Arc<Library> {
    crate::init().expect("starts");
    gst::Element::register(None, "perchtestwebcam", gst::Rank::NONE, Webcam::static_type()).expect("registered");
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("source")).expect("made");
    let pipelines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    for name in ["source/v4l2-raw.gst", "source/v4l2-mjpeg.gst"] {
        let text = std::fs::read_to_string(pipelines.join(name)).expect("a pipeline");
        let driver = match name.contains("mjpeg") {
            true => "perchtestwebcam name=src do-timestamp=true ! jpegenc",
            false => "perchtestwebcam name=src do-timestamp=true",
        };
        std::fs::write(dir.path().join(name), text.replace("v4l2src name=src do-timestamp=true", driver))
            .expect("written");
    }
    Arc::new(Library::load(Some(dir.path())).expect("well formed"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_goes_on_after_it_was_unplugged_at_whatever_port_and_number_it_comes_back() {
    let library = library();
    let bench = Bench::new();
    webcam::ROOT.set(bench.dir.path().to_owned()).expect("one test uses it");
    // Two of one model.
    bench.plug(0, "1-1", "A1");
    bench.plug(2, "1-2", "B2");
    let clock: SharedClock = Arc::new(SystemClock);
    let means = Means {
        library,
        ingest: Arc::new(Fake::default()),
        machine: bench.machine.clone(),
        zone: Arc::new(Zone::utc),
        encodes_vp8: true,
    };
    let config = config(Source::V4l2(VideoName::Serial("A1".into())));
    let hub = Hub::new(config.id.clone(), clock.clone());
    let capture = Arc::new(Capture::new(config, means, hub.clone(), clock, Arc::new(|_| {})));
    let (trigger, shutdown) = shutdown::channel();
    let attempt = || {
        let (capture, shutdown) = (capture.clone(), shutdown.clone());
        tokio::spawn(async move { capture.run_once(&|_| {}, shutdown).await })
    };

    let running = attempt();
    let mut s = hub.subscribe(Stream::Main, false, "test", 500);
    take(&mut s, Track::Video, 5).await;
    bench.unplug_all();
    let ended = tokio::time::timeout(LONG, running).await.expect("it ends").expect("no panic");
    let e = ended.expect_err("unplugged");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert_eq!(e.message(), "the camera serial:A1 is unplugged: plug it in again, at any port");

    // The other one has its number now.
    bench.plug(0, "1-2", "B2");
    bench.plug(4, "1-4", "A1");
    tokio::time::timeout(LONG, capture.device_comes()).await.expect("woken");
    let running = attempt();
    take(&mut s, Track::Video, 5).await;
    trigger.fire();
    tokio::time::timeout(LONG, running).await.expect("it ends").expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_camera_that_was_missing_is_tried_again_when_it_is_plugged_in() {
    let bench = Bench::new();
    bench.plug(0, "1-1", "OTHER");
    let clock: SharedClock = Arc::new(SystemClock);
    let library = Arc::new(Library::load(None).expect("well formed"));
    let means = Means {
        library,
        ingest: Arc::new(Fake::default()),
        machine: bench.machine.clone(),
        zone: Arc::new(Zone::utc),
        encodes_vp8: true,
    };
    let config = config(Source::V4l2(VideoName::Serial("A1".into())));
    let hub = Hub::new(config.id.clone(), clock.clone());
    let capture = Capture::new(config, means, hub, clock, Arc::new(|_| {}));
    let (_trigger, shutdown) = shutdown::channel();
    let attempt = async || capture.run_once(&|_| {}, shutdown.clone()).await.expect_err("there is no such camera");
    let e = attempt().await;
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.message().contains("serial:A1"), "{e}");
    // It comes at another port, and its device cannot be opened, since there is none.
    bench.plug(2, "1-3", "A1");
    tokio::time::timeout(LONG, capture.device_comes()).await.expect("woken");
    assert_ne!(attempt().await.message(), e.message(), "it was found");
}
