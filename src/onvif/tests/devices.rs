//! Devices on loopback, good ones and such as want to do harm, asked as the box asks them.

use perch_base::clock::SystemClock;
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::onvif::{Asked, OnvifPort};
use perch_domain::ports::Later;
use perch_onvif::{DeviceStream, Onvif, Secures};
use perch_test_cameras::onvif::{Answers, FakeImaging, OnvifCamera, OnvifModel, OnvifStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

fn streams() -> Vec<OnvifStream> {
    let stream = |sight, encoding, size, path: &str| OnvifStream {
        sight,
        encoding,
        size,
        address: format!("rtsp://127.0.0.1:8554/{path}?a=1&b=2"),
    };
    vec![stream("v0", "H264", (1920, 1080), "main"), stream("v0", "H264", (640, 360), "sub")]
}

/// Who looks after certificates is the box's business, and tested with it.
struct NoTls;

impl Secures for NoTls {
    fn secure(&self, _: TcpStream, _: String, _: u16) -> Later<'_, Result<Box<dyn DeviceStream>>> {
        Box::pin(async { Err(Error::new(ErrorKind::Unavailable, "its certificate is not taken")) })
    }
}

fn onvif() -> Onvif {
    Onvif::new(Arc::new(SystemClock), Arc::new(NoTls))
}

fn asked(camera: &OnvifCamera, password: &str) -> Asked {
    Asked { url: camera.url(), user: "admin".into(), password: Secret::new(password.into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_tells_its_streams_to_who_has_its_password() {
    let good = OnvifModel::new(streams());
    for (what, model, ahead) in [
        ("WS-Security", good.clone(), 0.0),
        ("its clock is off by a day", OnvifModel { clock_ahead_s: -86_400, ..good.clone() }, -86_400.0),
        ("Digest of HTTP", OnvifModel { http_digest: true, ..good.clone() }, 0.0),
        ("the second media service", OnvifModel { has_media2: true, ..good.clone() }, 0.0),
        (
            "it names itself by another network's address",
            OnvifModel { named_host: "10.255.255.1", ..good.clone() },
            0.0,
        ),
    ] {
        let camera = OnvifCamera::start(model).expect("starts");
        let device = onvif().ask(asked(&camera, "pass")).await.unwrap_or_else(|e| panic!("{what}: {e:?}"));
        assert_eq!((device.maker.as_str(), device.model.as_str(), device.firmware.as_str()), ("Fake", "FC-1", "1.2.3"));
        assert!(device.clock_ahead_s.is_some_and(|said: f64| (said - ahead).abs() < 30.0), "{what}: {device:?}");
        let [large, small] = &device.profiles[..] else { panic!("{what}: {device:?}") };
        assert_eq!(large.address.as_deref(), Some("rtsp://127.0.0.1:8554/main?a=1&b=2"), "{what}");
        assert_eq!(
            (large.codec.as_deref(), large.width, large.height),
            (Some("H.264"), Some(1920), Some(1080)),
            "{what}"
        );
        assert_eq!((large.fps, large.bitrate_kbps, small.width), (Some(25.0), Some(2048), Some(640)), "{what}");
        assert_eq!((large.sight.as_str(), small.sight.as_str()), ("v0", "v0"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once() {
    for http_digest in [false, true] {
        let camera = OnvifCamera::start(OnvifModel { http_digest, ..OnvifModel::new(streams()) }).expect("starts");
        let e = onvif().ask(asked(&camera, "S3CRET")).await.expect_err("refused");
        assert_eq!(e.kind(), ErrorKind::Unauthenticated, "{e:?}");
        assert!(e.message().contains("user and password") && !format!("{e:?}").contains("S3CRET"), "{e:?}");
        // With Digest the first question shows none: what is counted is what was tried.
        assert!(camera.refused() <= 2, "{}", camera.refused());
    }
    let nobody = OnvifCamera::start(OnvifModel::new(streams())).expect("starts");
    let asked = Asked { url: nobody.url(), user: String::new(), password: Secret::new(String::new()) };
    let e = onvif().ask(asked).await.expect_err("refused");
    assert_eq!((e.kind(), nobody.refused()), (ErrorKind::Unauthenticated, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_do_harm_gets_a_sentence_and_no_more() {
    for answers in [
        Answers::Bomb,
        Answers::Deep,
        Answers::Huge,
        Answers::Junk,
        Answers::Elsewhere,
        Answers::Slowly,
        Answers::Never,
    ] {
        let camera = OnvifCamera::start(OnvifModel { answers, ..OnvifModel::new(streams()) }).expect("starts");
        let began = Instant::now();
        let e = onvif().ask(asked(&camera, "pass")).await.expect_err("refused");
        assert!(began.elapsed() < Duration::from_secs(30), "{answers:?}: {:?}", began.elapsed());
        assert!(e.message().starts_with("its ") || e.message().starts_with("what "), "{answers:?}: {e:?}");
    }
    for url in ["https://127.0.0.1/x", "file:///etc/passwd", "http://", "nothing", "http://127.0.0.1:9/x"] {
        let asked = Asked { url: url.into(), user: "a".into(), password: Secret::new("b".into()) };
        assert!(onvif().ask(asked).await.is_err(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_found_by_a_search() {
    let model = OnvifModel { is_found: true, named_host: "10.255.255.1", ..OnvifModel::new(streams()) };
    let camera = OnvifCamera::start(model.clone()).expect("starts");
    // Others answer with what is none.
    let _bomb = OnvifCamera::start(OnvifModel { answers: Answers::Bomb, ..model.clone() }).expect("starts");
    let _junk = OnvifCamera::start(OnvifModel { answers: Answers::Junk, ..model }).expect("starts");
    // Other tests may have devices on this machine, too.
    let found = onvif().search(Duration::from_secs(3)).await;
    let own: Vec<_> = found.iter().filter(|one| one.url == camera.url()).collect();
    assert_eq!(own.len(), 1, "on its own address, and once: {found:?}");
    assert_eq!((own[0].name.as_str(), own[0].model.as_str()), ("Yard cam", "FC-1"));
    assert_eq!(own[0].address.to_string(), "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_settings_are_read_and_set() {
    for (has_media2, http_digest) in [(false, false), (true, true)] {
        let imaging = Arc::new(FakeImaging::default());
        let model =
            OnvifModel { imaging: Some(imaging.clone()), has_media2, http_digest, ..OnvifModel::new(streams()) };
        let camera = OnvifCamera::start(model).expect("starts");
        let stream = "rtsp://admin:pass@127.0.0.1:8554/sub?a=1&b=2".to_owned();
        let found = onvif().imaging(asked(&camera, "pass"), stream.clone()).await.expect("has some");
        assert_eq!(found.token, "v0");
        let short: Vec<_> = found.settings.iter().map(|one| (one.path, one.value.as_str(), one.words.len())).collect();
        let want = [
            ("Brightness", "50", 0),
            ("Exposure/Mode", "AUTO", 2),
            ("Exposure/Gain", "0", 0),
            ("IrCutFilter", "AUTO", 3),
        ];
        assert_eq!(short, want);
        let changes = vec![("Brightness", "70".to_owned()), ("IrCutFilter", "OFF".to_owned())];
        onvif().set_imaging(asked(&camera, "pass"), found.clone(), changes).await.expect("set");
        assert_eq!((imaging.value("Brightness").as_str(), imaging.value("IrCutFilter").as_str()), ("70", "OFF"));
        assert_eq!((imaging.value("Mode").as_str(), imaging.sets()), ("AUTO", 1));
        let too_much = vec![("Brightness", "170".to_owned())];
        let e = onvif().set_imaging(asked(&camera, "pass"), found, too_much).await.expect_err("refused");
        assert!(e.message().starts_with("its "), "{e:?}");
        let e = onvif().imaging(asked(&camera, "wrong"), stream).await.expect_err("refused");
        assert_eq!(e.kind(), ErrorKind::Unauthenticated, "{e:?}");
    }
    let without = OnvifCamera::start(OnvifModel::new(streams())).expect("starts");
    let e = onvif().imaging(asked(&without, "pass"), "rtsp://x/".into()).await.expect_err("has none");
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e:?}");
    for answers in [Answers::Bomb, Answers::Deep, Answers::Huge, Answers::Junk, Answers::Elsewhere] {
        let camera = OnvifCamera::start(OnvifModel { answers, ..OnvifModel::new(streams()) }).expect("starts");
        assert!(onvif().imaging(asked(&camera, "pass"), "rtsp://x/".into()).await.is_err(), "{answers:?}");
    }
}
