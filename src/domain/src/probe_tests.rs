//! What is said of cameras, by tables: each camera with the one sentence that matters, and nothing said of a good one.

use super::*;
use crate::ingest::{Picture, Shape};
use crate::orientation::Orientation;

const SHAPE: Shape =
    Shape { width: 1920, height: 1080, pixel: (1, 1), interlaced: false, orientation: Orientation::NONE };
const CIVIL: (MonoTime, Timestamp) = (MonoTime(0), Timestamp(1_780_000_000_000_000));

/// A camera that is as it should be.
#[derive(Clone)]
struct Cam {
    stream: Stream,
    pictures: PictureCodec,
    sound: Option<SoundFormat>,
    no_sound: Option<String>,
    fps: f64,
    keyframe_s: f64,
    bytes: usize,
    shown_later: i64,
    loses: u32,
    round_trip_ms: u64,
    clock_ahead_s: Option<f64>,
    notices: Vec<String>,
    gives_up_after: Option<usize>,
}

fn good() -> Cam {
    let sound = SoundFormat { codec: SoundCodec::Pcmu, rate_hz: 8000, channels: 1 };
    Cam {
        stream: Stream::Main,
        pictures: PictureCodec::H264,
        sound: Some(sound),
        no_sound: None,
        fps: 25.0,
        keyframe_s: 2.0,
        bytes: 20_000,
        shown_later: 0,
        loses: 0,
        round_trip_ms: 4,
        clock_ahead_s: Some(0.2),
        notices: Vec::new(),
        gives_up_after: None,
    }
}

impl Cam {
    fn seen(&self) -> Gauge {
        let mut gauge = Gauge::new(self.stream);
        let offer = Offer { pictures: self.pictures, sound: self.sound.clone(), no_sound: self.no_sound.clone() };
        let mut goes_on = gauge.take(MonoTime(0), Intake::Offer(offer));
        let took = Duration::from_millis(self.round_trip_ms);
        gauge.take(MonoTime(0), Intake::Aside(Aside::RoundTrip(took)));
        if let Some(ahead) = self.clock_ahead_s {
            let says = CIVIL.1.plus_micros((ahead * 1e6) as i64);
            gauge.take(MonoTime(0), Intake::Aside(Aside::Clock { came: MonoTime(0), says }));
        }
        for what in &self.notices {
            gauge.take(MonoTime(0), Intake::Notice(what.clone()));
        }
        let mut next_start = 0.0;
        for n in 0..100_000usize {
            if !goes_on || self.gives_up_after.is_some_and(|count| n >= count) {
                return gauge;
            }
            let at = n as f64 / self.fps;
            let start = at >= next_start;
            if start {
                next_start = at + self.keyframe_s;
            }
            if self.loses > 0 && n as u32 % self.loses == 1 {
                continue;
            }
            let decoded = MonoTime((at * 1e6) as i64);
            let data = Bytes::from([&[0, 0, 0, 1, if start { 0x65 } else { 0x41 }][..], &vec![7; self.bytes]].concat());
            let picture = Picture {
                data,
                shown: decoded.plus(self.shown_later),
                decoded,
                start,
                break_before: false,
                lost_before: self.loses > 0 && n as u32 % self.loses == 2,
                shape: (n == 0).then_some(SHAPE),
            };
            goes_on = gauge.take(decoded, Intake::Picture(picture));
        }
        panic!("it never ends");
    }

    fn said_after(&self, ended: &Result<()>) -> Vec<Judgement> {
        let gauge = self.seen();
        let measured = gauge.measured(CIVIL);
        let looked = Looked {
            gauge: &gauge,
            measured: &measured,
            ended,
            is_undecodable: false,
            wants_sound: true,
            certificate: None,
        };
        looked.judge()
    }

    fn said(&self) -> Vec<Judgement> {
        self.said_after(&Ok(()))
    }
}

trait Plus {
    fn plus(self, micros: i64) -> Self;
}

impl Plus for MonoTime {
    fn plus(self, micros: i64) -> Self {
        Self(self.0 + micros)
    }
}

#[test]
fn a_good_camera_is_measured_and_nothing_else_is_said_of_it() {
    let gauge = good().seen();
    let measured = gauge.measured(CIVIL);
    let want = Measured {
        codec: Some("H.264"),
        width: Some(1920),
        height: Some(1080),
        fps: Some(25.0),
        bitrate_kbps: Some(4001),
        keyframe_interval_s: Some(2.0),
        has_b_frames: false,
        sound: Some("G.711, 8 kHz".into()),
        round_trip_ms: Some(4),
        clock_ahead_s: Some(0.2),
    };
    assert_eq!(measured, want);
    let said = good().said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].weight, Weight::Good);
    assert_eq!(said[0].what, "H.264 1920x1080, 25 pictures a second, 4.0 Mbit/s, with sound");
    // It took no longer than it had to, and keeps one picture.
    assert_eq!(gauge.pictures.map(|(first, last)| last.since(first)), Some(LOOKED_FOR));
    assert_eq!(gauge.keyframe().map(|(_, data)| data.len()), Some(20_005));
}

#[test]
fn each_fault_has_its_sentence() {
    let g = good();
    let other = SoundFormat { codec: SoundCodec::Other("SPEEX".into()), rate_hz: 16_000, channels: 1 };
    for (cam, weight, what, change) in [
        (Cam { keyframe_s: 10.0, ..g.clone() }, Weight::Odd, "a keyframe comes each 10 s", "2 s"),
        (Cam { keyframe_s: 60.0, ..g.clone() }, Weight::Odd, "no second keyframe came within 11 s", "2 s"),
        (Cam { keyframe_s: 0.2, ..g.clone() }, Weight::Advice, "a keyframe comes each 0.2 s", "2 s"),
        (Cam { shown_later: 80_000, ..g.clone() }, Weight::Odd, "B-frames", "baseline"),
        (
            Cam { shown_later: 80_000, stream: Stream::Sub, ..g.clone() },
            Weight::Odd,
            "its second stream has B-frames",
            "baseline",
        ),
        (Cam { fps: 3.0, ..g.clone() }, Weight::Advice, "only 3 pictures come a second", "10 to 25"),
        (Cam { gives_up_after: Some(1), ..g.clone() }, Weight::Odd, "only one picture came", "set rate"),
        (Cam { bytes: 80_000, ..g.clone() }, Weight::Advice, "16 Mbit/s are 173 GB a day", "lower bit rate"),
        (Cam { pictures: PictureCodec::Jpeg, ..g.clone() }, Weight::Advice, "a JPEG", "H.264"),
        (Cam { no_sound: Some("its sound is odd".into()), ..g.clone() }, Weight::Odd, "its sound is odd", "without"),
        (Cam { sound: Some(other), ..g.clone() }, Weight::Odd, "(SPEEX) cannot be decoded", "AAC"),
        (Cam { loses: 10, ..g.clone() }, Weight::Odd, "pictures were lost on the way", "cable"),
        (Cam { round_trip_ms: 800, ..g.clone() }, Weight::Advice, "800 ms", "network"),
        (Cam { clock_ahead_s: Some(-600.0), ..g.clone() }, Weight::Advice, "10 min behind the box", "NTP"),
        (Cam { clock_ahead_s: Some(7200.0), ..g.clone() }, Weight::Advice, "2 h ahead of the box", "NTP"),
        (Cam { notices: vec!["it is odd".into()], ..g.clone() }, Weight::Odd, "it is odd", "goes on"),
    ] {
        let said = cam.said();
        assert!(said[0].weight == Weight::Good, "{what}: {said:?}");
        let [_, one] = &said[..] else { panic!("{what}: {said:?}") };
        assert_eq!(one.weight, weight, "{what}");
        assert!(one.what.contains(what) && one.change.contains(change), "{what}: {one:?}");
        assert!(!one.what.ends_with('.') && !one.change.ends_with('.'), "{one:?}");
    }
}

#[test]
fn a_clock_that_counts_from_the_start_says_no_time() {
    let cam = Cam { clock_ahead_s: Some(-1.7e9), ..good() };
    assert_eq!(cam.seen().measured(CIVIL).clock_ahead_s, None);
    assert_eq!(cam.said().len(), 1);
}

#[test]
fn without_a_picture_the_reason_is_said_and_nothing_else() {
    let none = Cam { gives_up_after: Some(0), ..good() };
    let refused = |kind, what: &str| Err(Error::new(kind, what));
    for (cam, ended, what, change) in [
        (none.clone(), Ok(()), "within 12 s", "2 s"),
        (Cam { notices: vec!["it is odd".into()], ..none.clone() }, Ok(()), "it is odd", "change that in the camera"),
        (
            none.clone(),
            refused(ErrorKind::Unauthenticated, "it refuses user and password"),
            "it refuses",
            "user and password",
        ),
        (none.clone(), refused(ErrorKind::Unavailable, "it is silent"), "it is silent", "switch the camera on"),
        (
            Cam { stream: Stream::Sub, pictures: PictureCodec::Jpeg, ..none },
            Ok(()),
            "it is neither H.264 nor H.265",
            "leave",
        ),
    ] {
        let said = cam.said_after(&ended);
        let [one] = &said[..] else { panic!("{what}: {said:?}") };
        assert!(one.weight == Weight::Bad && one.what.contains(what) && one.change.contains(change), "{one:?}");
    }
    let gauge = Gauge::new(Stream::Main);
    let measured = gauge.measured(CIVIL);
    let looked = |is_undecodable, certificate| {
        Looked { gauge: &gauge, measured: &measured, ended: &Ok(()), is_undecodable, wants_sound: true, certificate }
            .judge()
    };
    assert!(matches!(&looked(false, None)[..], [one] if one.what.contains("does not begin within")));
    assert!(matches!(&looked(true, None)[..], [one] if one.what.contains("cannot be decoded")));
    assert!(
        matches!(&looked(false, Some("ab"))[..], [_, one] if one.weight == Weight::Odd && one.what.ends_with("ab"))
    );
}

#[test]
fn the_streams_of_one_camera_are_judged_together() {
    let of = |codec, width, height| Measured {
        codec: Some(codec),
        width: Some(width),
        height: Some(height),
        ..Measured::default()
    };
    let (large, small) = (of("H.264", 1920, 1080), of("H.264", 640, 360));
    let h265 = of("H.265", 2560, 1440);
    for (main, second, want) in [
        (&large, Some(&small), None),
        (&large, None, Some((Weight::Advice, "no second stream"))),
        (&large, Some(&large), Some((Weight::Advice, "as large as its first"))),
        (&h265, Some(&small), Some((Weight::Advice, "second stream, which is H.264"))),
        (&h265, None, Some((Weight::Odd, "H.265 only"))),
        (&h265, Some(&h265), Some((Weight::Odd, "H.265 only"))),
        (&of("MJPEG", 640, 480), None, None),
        (&Measured::default(), None, None),
    ] {
        let said = together(main, second);
        assert_eq!(said.first().map(|one| one.weight), want.map(|(weight, _)| weight), "{said:?}");
        assert!(want.is_none_or(|(_, what)| said[0].what.contains(what)), "{said:?}");
    }
}

#[test]
fn few_probes_run_at_once() {
    let [a, b, c] = [DeviceId::random(), DeviceId::random(), DeviceId::random()];
    assert!(may_begin(&[], a).is_ok() && may_begin(&[a], b).is_ok());
    for (running, by) in [(&[a][..], a), (&[a, b], b), (&[a, b], c)] {
        assert_eq!(may_begin(running, by).expect_err("too many").kind(), ErrorKind::RateLimited);
    }
}

#[test]
fn the_box_knows_its_own_doors() {
    let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let own = ["192.168.1.5".parse().expect("an address")];
    let open = [at("0.0.0.0:8443"), at("[::]:8554")];
    for (target, is_own) in [
        ("192.168.1.5:8443", true),
        ("127.0.0.1:8443", true),
        ("127.3.2.1:8443", true),
        ("[::1]:8554", true),
        ("[::ffff:192.168.1.5]:8554", true),
        ("0.0.0.0:8443", true),
        ("192.168.1.5:554", false),
        ("192.168.1.6:8443", false),
    ] {
        assert_eq!(is_own_door(at(target), &open, &own), is_own, "{target}");
    }
    let narrow = [at("127.0.0.1:8443")];
    assert!(is_own_door(at("127.0.0.1:8443"), &narrow, &own) && is_own_door(at("0.0.0.0:8443"), &narrow, &own));
    assert!(!is_own_door(at("127.0.0.2:8443"), &narrow, &own) && !is_own_door(at("192.168.1.5:8443"), &narrow, &own));
}
