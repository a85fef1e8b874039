//! A machine of files and a kernel that says what a test wants: plugged in, busy, unplugged, and two of one model.

use super::*;
use perch_domain::camera::VideoSettings;
use perch_domain::camera_modes::{FourCc, Mode, Rates, Sizes};
use perch_domain::usb_camera::Caps;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::time::Duration;

const PICTURES: u32 = 0x0420_0001;
const METADATA: u32 = 0x04a0_0000;

/// Answers by the name of a node's file.
#[derive(Debug, Default)]
pub(crate) struct FakeKernel(
    Mutex<BTreeMap<String, Result<Described, Errno>>>,
    Mutex<Vec<V4l2Control>>,
    /// The nodes that were opened.
    Mutex<Vec<String>>,
);

impl FakeKernel {
    pub fn says(&self, node: u32, answer: Result<Described, Errno>) {
        self.0.lock().expect("not poisoned").insert(format!("video{node}"), answer);
    }
}

impl Kernel for FakeKernel {
    fn describe(&self, node: &Path) -> io::Result<Described> {
        let name = node.file_name().and_then(|name| name.to_str()).expect("a node");
        self.2.lock().expect("not poisoned").push(name.to_owned());
        let known = self.0.lock().expect("not poisoned").get(name).cloned();
        known.unwrap_or(Err(Errno::NOENT)).map_err(io::Error::from)
    }

    fn controls(&self, node: &Path) -> io::Result<Vec<V4l2Control>> {
        self.describe(node).map(|_| self.1.lock().expect("not poisoned").clone())
    }

    fn set_control(&self, node: &Path, id: u32, value: i32) -> io::Result<()> {
        self.describe(node)?;
        let mut all = self.1.lock().expect("not poisoned");
        let control = all.iter_mut().find(|control| control.id == id).ok_or(Errno::INVAL)?;
        let [min, max, ..] = control.numbers;
        if !(min..=max).contains(&value) {
            return Err(Errno::RANGE.into());
        }
        control.value = Some(value);
        Ok(())
    }
}

/// A machine below a folder of its own.
pub(crate) struct Bench {
    pub dir: tempfile::TempDir,
    pub kernel: Arc<FakeKernel>,
    pub machine: Machine,
}

fn webcam(caps: u32) -> Described {
    let mode = |code: &[u8; 4], width, height, fps| Mode {
        format: FourCc(*code),
        sizes: Sizes::Fixed(width, height),
        rates: Rates::These(vec![(fps, 1)]),
    };
    let modes = vec![mode(b"YUYV", 640, 480, 30), mode(b"YUYV", 1280, 720, 10), mode(b"MJPG", 1280, 720, 30)];
    Described { driver: "uvcvideo".into(), card: "HD Webcam".into(), caps: Caps(caps), modes, ..Described::default() }
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let kernel = Arc::new(FakeKernel::default());
        let machine = Machine::new(dir.path(), kernel.clone());
        Self { dir, kernel, machine }
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn link(&self, path: &str, target: &Path) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        symlink(target, path).expect("linked");
    }

    /// Plugs a webcam in at `port`: its pictures are at `number`, its metadata behind.
    pub fn plug(&self, number: u32, port: &str, serial: &str) {
        let device = format!("sys/devices/usb1/{port}");
        for (file, text) in [("idVendor", "046d\n"), ("serial", serial), ("busnum", "1\n"), ("speed", "480\n")] {
            self.put(&format!("{device}/{file}"), text);
        }
        let interface = self.dir.path().join(format!("{device}/{port}:1.0"));
        fs::create_dir_all(&interface).expect("made");
        for (index, caps) in [(0, PICTURES), (1, METADATA)] {
            let node = number + index;
            let class = format!("sys/class/video4linux/video{node}");
            self.put(&format!("{class}/index"), &format!("{index}\n"));
            self.put(&format!("{class}/name"), "HD Webcam\n");
            self.link(&format!("{class}/device"), &interface);
            self.put(&format!("dev/video{node}"), "");
            let target = PathBuf::from(format!("../../video{node}"));
            self.link(&format!("dev/v4l/by-path/usb-0:{port}:1.0-video-index{index}"), &target);
            self.link(&format!("dev/v4l/by-id/usb-HD_Webcam_{serial}-video-index{index}"), &target);
            self.kernel.says(node, Ok(webcam(caps)));
        }
    }

    /// Unplugs whatever is there.
    pub fn unplug_all(&self) {
        for folder in ["sys", "dev"] {
            fs::remove_dir_all(self.dir.path().join(folder)).expect("removed");
        }
        fs::create_dir_all(self.dir.path().join("dev")).expect("made");
        self.kernel.0.lock().expect("not poisoned").clear();
    }
}

fn name(text: &str) -> VideoName {
    VideoName::parse(text).expect(text)
}

#[test]
fn a_camera_is_found_again_at_another_port_and_two_of_one_model_keep_apart() {
    let bench = Bench::new();
    let found = |text: &str| bench.machine.camera(&name(text)).map(|camera| camera.node.number);
    assert!(found("/dev/video0").expect_err("none").message().ends_with("there is no USB camera"));
    bench.plug(0, "1-1", "A1");
    bench.plug(2, "1-2", "B2");
    for (text, want) in [
        ("/dev/video0", 0),
        ("by-id/usb-HD_Webcam_B2-video-index0", 2),
        ("by-path/usb-0:1-1:1.0-video-index0", 0),
        ("serial:B2", 2),
    ] {
        assert_eq!(found(text).expect(text), want, "{text}");
    }
    let camera = bench.machine.camera(&name("serial:A1")).expect("there");
    assert_eq!((camera.link.speed_mbit, camera.link.cameras), (480, 2));
    bench.unplug_all();
    bench.plug(0, "1-2", "B2");
    bench.plug(4, "1-4", "A1");
    assert_eq!(found("serial:A1").expect("moved"), 4);
    assert_eq!(found("by-id/usb-HD_Webcam_B2-video-index0").expect("numbered anew"), 0);
    let e = found("by-path/usb-0:1-1:1.0-video-index0").expect_err("nothing is there");
    assert!(e.kind() == ErrorKind::NotFound && e.message().contains("v4l2:by-id/usb-HD_Webcam_B2-video-index0"), "{e}");
}

#[test]
fn a_link_that_leads_elsewhere_is_not_followed() {
    let bench = Bench::new();
    bench.plug(0, "1-1", "A1");
    bench.link("dev/v4l/by-id/usb-evil-video-index0", Path::new("/etc/passwd"));
    bench.link("dev/v4l/by-id/usb-other-video-index0", Path::new("../../video17"));
    for text in ["by-id/usb-evil-video-index0", "by-id/usb-other-video-index0"] {
        assert!(bench.machine.camera(&name(text)).expect_err(text).message().contains("is not there"), "{text}");
    }
}

#[test]
fn a_metadata_node_is_refused_and_left_out_of_the_list() {
    let bench = Bench::new();
    bench.plug(0, "1-1", "A1");
    let e = bench.machine.camera(&name("/dev/video1")).expect_err("metadata");
    assert_eq!(
        e.message(),
        "/dev/video1 carries a camera's metadata and no pictures: set `source = \"v4l2:by-id/usb-HD_Webcam_A1-video-index0\"`"
    );
    assert_eq!(bench.machine.cameras().iter().map(|(node, _)| node.number).collect::<Vec<_>>(), [0]);
}

#[test]
fn what_is_wrong_with_a_camera_is_said() {
    let bench = Bench::new();
    bench.plug(0, "1-1", "A1");
    let camera = name("serial:A1");
    let broke_off = || Error::new(ErrorKind::Unavailable, "it broke off");
    let lost = || bench.machine.why_lost(&camera, broke_off()).message().to_owned();
    assert_eq!(lost(), "it broke off", "it is there and free");
    for (errno, want) in [
        (Errno::ACCESS, "/dev/video0 may not be opened: add the user that runs perch to the group `video`"),
        (Errno::NODEV, "/dev/video0 is unplugged: plug the camera in again"),
        (Errno::IO, "/dev/video0 cannot be asked what it offers: unplug the camera and plug it in again"),
    ] {
        bench.kernel.says(0, Err(errno));
        assert_eq!(bench.machine.camera(&camera).expect_err("fails").message(), want);
        assert_eq!(bench.machine.cameras().len(), 1, "it is listed all the same");
    }
    bench.kernel.says(0, Ok(Described { is_busy: true, ..webcam(PICTURES) }));
    assert_eq!(lost(), "the camera serial:A1 is used by another program: end it (`fuser -v` names it to root)");
    bench.link("proc/4242/fd/7", Path::new("/dev/video0"));
    bench.put("proc/4242/comm", "cheese\n");
    assert_eq!(lost(), "the camera serial:A1 is used by the program cheese (process 4242): end it");
    fs::remove_dir_all(bench.dir.path().join("proc/4242")).expect("removed");
    bench.link(&format!("proc/{}/fd/9", std::process::id()), Path::new("/dev/video0"));
    assert!(lost().contains("another camera of this box"), "{}", lost());
    bench.unplug_all();
    assert_eq!(lost(), "the camera serial:A1 is unplugged: plug it in again, at any port");
}

#[test]
fn a_camera_takes_the_mode_and_the_pipeline_that_suit_it() {
    crate::init().expect("starts");
    let bench = Bench::new();
    bench.plug(0, "1-1", "A1");
    let camera = bench.machine.camera(&name("/dev/video0")).expect("there");
    let chosen = |width, height, fps| {
        let mut config = crate::capture::tests::config(perch_domain::camera::Source::Test);
        config.main = VideoSettings { width, height, fps, bitrate_kbps: 1000 };
        let choice = camera.choose(&config).expect("usable");
        (pipeline_file(choice.pixels).trim_end_matches("-hw"), choice.caps())
    };
    assert_eq!(
        chosen(640, 480, 25),
        ("source/v4l2-raw", "video/x-raw,format=YUY2,width=640,height=480,framerate=30/1".into())
    );
    assert_eq!(chosen(1280, 720, 25), ("source/v4l2-mjpeg", "image/jpeg,width=1280,height=720,framerate=30/1".into()));
    assert_eq!(chosen(1280, 720, 10).0, "source/v4l2-raw");
}

#[test]
fn microphones_are_found_by_their_cards() {
    let bench = Bench::new();
    let device = "plughw:CARD=Device,DEV=0";
    assert!(bench.machine.microphone(device).expect_err("none").message().ends_with("there is no microphone"));
    bench.put(
        "proc/asound/cards",
        " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n                      bcm2835 Headphones\n \
          1 [Device         ]: USB-Audio - USB PnP Sound Device\n                      C-Media at usb-1\n",
    );
    bench.put("proc/asound/card0/id", "Headphones\n");
    bench.put("proc/asound/card0/pcm0p/info", "");
    bench.put("proc/asound/card1/id", "Device\n");
    bench.put("proc/asound/card1/pcm0c/sub0/status", "closed\n");
    let stream = "Playback:\n  Interface 1\n    Rates: 48000\nCapture:\n  Status: Stop\n  Interface 2\n    Altset 1\n    Rates: 44100, 48000\n";
    bench.put("proc/asound/card1/stream0", stream);
    let cards = bench.machine.sound_cards();
    assert_eq!(cards.len(), 2);
    assert_eq!((cards[1].name.as_str(), cards[1].rates.as_str()), ("USB PnP Sound Device", "44100, 48000"));
    assert_eq!((cards[0].captures.len(), cards[1].captures.as_slice()), (0, &[0][..]));
    bench.machine.microphone(device).expect("free");
    bench.put("proc/asound/card1/pcm0c/sub0/status", "state: RUNNING\nowner_pid   : 77\ntrigger_time: 1.0\n");
    bench.put("proc/77/comm", "pipewire\n");
    let e = bench.machine.microphone(device).expect_err("busy");
    assert_eq!(e.message(), "the microphone Device is used by the program pipewire (process 77): end it");
    assert!(bench.machine.microphone("hw:Headphones").expect_err("plays only").message().contains("has no microphone"));
}

/// Longer than any wake-up takes here, on a busy machine too.
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn who_waits_for_a_camera_is_woken_when_it_is_plugged_in() {
    let bench = Bench::new();
    fs::create_dir_all(bench.dir.path().join("dev")).expect("made");
    let mut watch = bench.machine.watch();
    // Terminals come and go without anybody being woken.
    bench.put("dev/ttyS0", "");
    bench.plug(0, "1-1", "A1");
    tokio::time::timeout(LONG, watch.changed()).await.expect("woken");
    watch.forget();
    // In the folders that udev made meanwhile, too.
    bench.link("dev/v4l/by-id/usb-late-video-index0", Path::new("../../video0"));
    tokio::time::timeout(LONG, watch.changed()).await.expect("woken by a link");
    watch.forget();
    bench.put("dev/ttyS1", "");
    assert!(!futures_ready(watch.changed()).await, "nothing came");
    bench.unplug_all();
    watch.forget();
    bench.plug(2, "1-3", "A1");
    tokio::time::timeout(LONG, watch.changed()).await.expect("woken, though the folders were made anew");
}

/// Whether `future` is ready after the runtime had a chance to look.
async fn futures_ready(future: impl Future<Output = ()>) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..100 {
        if std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// The pipelines with GStreamer's own source in the place of the driver: what comes out has the configured size, whatever the mode.
#[test]
fn pictures_of_another_size_are_scaled_to_the_configured_one() {
    crate::init().expect("starts");
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("source")).expect("made");
    let pipelines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    for (name, driver, mode) in [
        ("source/v4l2-raw", "videotestsrc name=src", "video/x-raw,format=YUY2,width=640,height=480,framerate=15/2"),
        ("source/v4l2-mjpeg", "videotestsrc name=src ! jpegenc", "image/jpeg,width=640,height=480,framerate=30/1"),
    ] {
        let text = fs::read_to_string(pipelines.join(format!("{name}.gst"))).expect("a pipeline");
        let text = text.replace("v4l2src name=src do-timestamp=true", driver);
        fs::write(dir.path().join(format!("{name}.gst")), text).expect("written");
        let library = crate::pipeline::Library::load(Some(dir.path())).expect("well formed");
        let bin = library.bin(name, &[("width", 1280), ("height", 720), ("fps", 25)], &[]).expect("built");
        crate::capture::set_mode(&bin, mode).expect("has a mode");
        let sink = gst::ElementFactory::make("fakesink").build().expect("a sink");
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([bin.upcast_ref(), &sink]).expect("added");
        bin.link(&sink).expect("linked");
        pipeline.set_state(gst::State::Paused).expect("starts");
        let (reached, ..) = pipeline.state(gst::ClockTime::from_seconds(LONG.as_secs()));
        reached.expect("a picture came");
        let caps = sink.static_pad("sink").and_then(|pad| pad.current_caps()).expect("caps").to_string();
        pipeline.set_state(gst::State::Null).expect("ends");
        assert!(caps.contains("width=(int)1280") && caps.contains("height=(int)720"), "{name}: {caps}");
    }
}

#[test]
fn the_mode_reaches_the_driver_of_every_pipeline() {
    crate::init().expect("starts");
    let library = crate::pipeline::Library::load(None).expect("well formed");
    for (name, mode) in [
        ("source/v4l2-raw", "video/x-raw,format=NV12,width=1280,height=720,framerate=25/1"),
        ("source/v4l2-mjpeg", "image/jpeg,width=1280,height=720"),
        ("source/v4l2-h264", "video/x-h264,width=1280,height=720,framerate=10000000/333333"),
    ] {
        let size = [("width", 640), ("height", 480), ("fps", 25)];
        let bin = library.bin(name, &size, &[("device", "/dev/video7")]).expect("built");
        crate::capture::set_mode(&bin, mode).expect("has a mode");
        let caps = bin.by_name("mode").expect("a filter").property::<gst::Caps>("caps");
        assert_eq!(caps, mode.parse::<gst::Caps>().expect("caps"), "{name}");
    }
}

#[test]
fn controls_are_read_and_set_at_the_camera_that_is_meant() {
    let bench = Bench::new();
    let camera = name("serial:A1");
    assert_eq!(bench.machine.controls(&camera).expect_err("away").kind(), ErrorKind::NotFound);
    bench.plug(0, "1-1", "A1");
    let brightness =
        V4l2Control { id: 0x0098_0900, kind: 1, numbers: [-64, 64, 1, 0], flags: 0, value: Some(0), menu: Vec::new() };
    bench.kernel.1.lock().expect("not poisoned").push(brightness.clone());
    assert_eq!(bench.machine.controls(&camera).expect("there"), std::slice::from_ref(&brightness));
    bench.machine.set_control(&camera, brightness.id, 12).expect("set");
    assert_eq!(bench.machine.controls(&camera).expect("there")[0].value, Some(12));
    for (id, value) in [(brightness.id, 65), (1, 1)] {
        let e = bench.machine.set_control(&camera, id, value).expect_err("refused");
        assert_eq!((e.kind(), e.message()), (ErrorKind::Conflict, "the camera does not take it now"));
    }
    bench.kernel.says(0, Err(Errno::NODEV));
    let e = bench.machine.set_control(&camera, brightness.id, 1).expect_err("unplugged");
    assert!(e.kind() == ErrorKind::NotFound && e.message().contains("unplugged"), "{e:?}");
}

#[test]
fn cameras_of_the_box_are_named_and_not_opened() {
    let bench = Bench::new();
    bench.plug(0, "1-1", "A1");
    bench.plug(2, "1-2", "B2");
    let (of_box, away) = (name("serial:A1"), name("serial:C3"));
    let (own, found) = bench.machine.cameras_beside(&[&of_box, &away]);
    let numbers = |nodes: &mut dyn Iterator<Item = u32>| nodes.collect::<Vec<_>>();
    assert_eq!(numbers(&mut own.iter().map(|node| node.number)), [0]);
    assert_eq!(numbers(&mut found.iter().map(|(node, _)| node.number)), [2]);
    assert_eq!(*bench.kernel.2.lock().expect("not poisoned"), ["video2", "video3"], "not its metadata either");
    assert!(bench.machine.is_node(&of_box, &own[0]) && !bench.machine.is_node(&away, &own[0]));
}
