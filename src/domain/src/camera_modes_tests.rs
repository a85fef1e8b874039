//! Which mode is taken of cameras as people post them: `v4l2-ctl --list-formats-ext` of `<maker>_<model>`.

use super::*;
use proptest::prelude::*;

/// Reads what `v4l2-ctl` prints, in its old form and its new one.
fn dump(text: &str) -> Vec<Mode> {
    let mut modes: Vec<Mode> = Vec::new();
    let mut format = FourCc(*b"    ");
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') || line.starts_with("Pixel Format") {
            let code = line.split('\'').nth(1).expect("four letters");
            format = FourCc(code.as_bytes().try_into().expect("four letters"));
        } else if let Some(size) = line.strip_prefix("Size: Discrete ") {
            modes.push(Mode { format, sizes: fixed(size), rates: Rates::Unknown });
        } else if let Some(range) = line.strip_prefix("Size: Stepwise ") {
            let (range, step) = range.split_once(" with step ").expect("a step");
            let (min, max) = range.split_once(" - ").expect("a range");
            let (min, max) = (pair(min, 'x'), pair(max, 'x'));
            modes.push(Mode { format, sizes: Sizes::Range { min, max, step: pair(step, '/') }, rates: Rates::Unknown });
        } else if let Some(interval) = line.strip_prefix("Interval: Discrete ") {
            let fps = interval.split(['(', ' ']).nth(2).and_then(|fps| fps.parse::<f64>().ok()).expect("a rate");
            let mode = modes.last_mut().expect("a size");
            let rate = ((fps * 1000.0).round() as u32, 1000);
            match &mut mode.rates {
                Rates::These(list) => list.push(rate),
                rates => *rates = Rates::These(vec![rate]),
            }
        }
    }
    modes
}

fn fixed(size: &str) -> Sizes {
    let (width, height) = pair(size, 'x');
    Sizes::Fixed(width, height)
}

fn pair(text: &str, between: char) -> (u32, u32) {
    let (a, b) = text.trim().split_once(between).expect("two numbers");
    (a.parse().expect("a number"), b.parse().expect("a number"))
}

fn asked(width: u32, height: u32, fps: u32) -> VideoSettings {
    VideoSettings { width, height, fps, bitrate_kbps: 1000 }
}

macro_rules! cameras {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../tests/cameras/", $name, ".txt")))),*]
    };
}

const DUMPS: [(&str, &str); 9] = cameras![
    "logitech_c920",
    "logitech_c270",
    "sonix_endoscope",
    "microsoft_lifecam-hd3000",
    "elp_imx323-h264",
    "raspberrypi_bcm2835-v4l2",
    "lenovo_infrared",
    "magewell_usb3-hdmi",
    "intel_realsense-depth",
];

fn modes_of(name: &str) -> Vec<Mode> {
    let (_, text) = DUMPS.iter().find(|(of, _)| *of == name).expect("a fixture");
    let modes = dump(text);
    assert!(!modes.is_empty(), "{name}");
    modes
}

const USB2: Link = Link { speed_mbit: 480, cameras: 1 };
const USB3: Link = Link { speed_mbit: 5000, cameras: 1 };

/// A camera, the size and rate that are asked of it, for which codec and over what, the mode that is taken, and what is said.
type Taken = (&'static str, (u32, u32, u32), VideoCodec, Link, &'static str, &'static str);

#[test]
fn the_mode_that_fits_is_taken_of_real_cameras() {
    use VideoCodec::{H264, Vp8};
    let table: [Taken; 19] = [
        ("logitech_c920", (1920, 1080, 30), H264, USB2, "video/x-h264,width=1920,height=1080,framerate=30000/1000", ""),
        // 25 is not among its rates: the next higher one, of which the box drops some.
        ("logitech_c920", (1280, 720, 25), H264, USB2, "video/x-h264,width=1280,height=720,framerate=30000/1000", ""),
        ("logitech_c920", (1280, 720, 15), H264, USB2, "video/x-h264,width=1280,height=720,framerate=15000/1000", ""),
        ("logitech_c920", (1280, 720, 25), Vp8, USB2, "image/jpeg,width=1280,height=720,framerate=30000/1000", ""),
        (
            "logitech_c920",
            (640, 480, 25),
            Vp8,
            USB2,
            "video/x-raw,format=YUY2,width=640,height=480,framerate=30000/1000",
            "",
        ),
        (
            "logitech_c920",
            (1280, 720, 10),
            Vp8,
            USB2,
            "video/x-raw,format=YUY2,width=1280,height=720,framerate=10000/1000",
            "",
        ),
        // Two at one bus: raw pictures of 1280x720 at 10 fit still, three of them do not.
        (
            "logitech_c920",
            (1280, 720, 10),
            Vp8,
            Link { cameras: 2, ..USB2 },
            "video/x-raw,format=YUY2,width=1280,height=720,framerate=10000/1000",
            "",
        ),
        (
            "logitech_c920",
            (1280, 720, 10),
            Vp8,
            Link { cameras: 3, ..USB2 },
            "image/jpeg,width=1280,height=720,framerate=10000/1000",
            "",
        ),
        (
            "logitech_c920",
            (3840, 2160, 25),
            H264,
            USB2,
            "image/jpeg,width=1920,height=1080,framerate=30000/1000",
            "the camera has no 3840x2160: its 1920x1080 is scaled; it offers YUYV 2304x1536 at 2",
        ),
        ("logitech_c270", (1280, 720, 25), H264, USB2, "image/jpeg,width=1280,height=720,framerate=25000/1000", ""),
        (
            "logitech_c270",
            (1920, 1080, 25),
            H264,
            USB2,
            "image/jpeg,width=1280,height=720,framerate=25000/1000",
            "its 1280x720 is scaled",
        ),
        (
            "sonix_endoscope",
            (1280, 720, 25),
            H264,
            USB2,
            "video/x-raw,format=YUY2,width=640,height=480,framerate=30000/1000",
            "the camera has no 1280x720: its 640x480 is scaled; it offers Motion JPEG 640x480 at 30, 320x240 at 30; YUYV 640x480 at 30",
        ),
        (
            "microsoft_lifecam-hd3000",
            (1280, 720, 60),
            H264,
            USB2,
            "image/jpeg,width=1280,height=720,framerate=30000/1000",
            "the camera gives at most 30 pictures a second at 1280x720",
        ),
        // Passed through H.264 is not scaled; what can be, comes first.
        (
            "elp_imx323-h264",
            (640, 360, 25),
            H264,
            USB2,
            "image/jpeg,width=640,height=480,framerate=30000/1000",
            "its 640x480 is scaled",
        ),
        ("raspberrypi_bcm2835-v4l2", (1280, 720, 25), H264, Link::default(), "video/x-h264,width=1280,height=720", ""),
        (
            "raspberrypi_bcm2835-v4l2",
            (1280, 720, 25),
            Vp8,
            Link::default(),
            "video/x-raw,format=I420,width=1280,height=720",
            "",
        ),
        (
            "lenovo_infrared",
            (640, 360, 15),
            H264,
            USB2,
            "video/x-raw,format=GRAY8,width=640,height=360,framerate=15000/1000",
            "",
        ),
        (
            "magewell_usb3-hdmi",
            (1920, 1080, 50),
            H264,
            USB3,
            "video/x-raw,format=NV12,width=1920,height=1080,framerate=50000/1000",
            "",
        ),
        (
            "magewell_usb3-hdmi",
            (1920, 1080, 25),
            H264,
            USB3,
            "video/x-raw,format=NV12,width=1920,height=1080,framerate=25000/1000",
            "",
        ),
    ];
    for (name, (width, height, fps), codec, link, want, note) in table {
        let choice = choose(&modes_of(name), asked(width, height, fps), codec, link).expect(name);
        assert_eq!(choice.caps(), want, "{name} {width}x{height} at {fps} {codec:?}");
        let said = choice.note.map_or_else(String::new, |note| note.to_string());
        assert!(said.contains(note) && said.is_empty() == note.is_empty(), "{name} {width}x{height}: {said:?}");
    }
}

#[test]
fn a_camera_that_cannot_be_used_is_said_with_what_it_offers() {
    let e = choose(&modes_of("intel_realsense-depth"), asked(848, 480, 30), VideoCodec::H264, USB3).expect_err("depth");
    assert_eq!(e.message(), "the camera sends nothing that this box can use; it offers Z16_ 848x480 at 30");
    let h264 = Mode { format: FourCc(*b"H264"), sizes: Sizes::Fixed(1280, 720), rates: Rates::Unknown };
    let only = std::slice::from_ref(&h264);
    let e = choose(only, asked(1280, 720, 25), VideoCodec::Vp8, USB2).expect_err("H.264 alone");
    assert_eq!(e.message(), "the camera sends H.264 alone: set `codec = \"h264\"`");
    let choice = choose(only, asked(1920, 1080, 25), VideoCodec::H264, USB2).expect("there is nothing else");
    assert_eq!(
        choice.note.map(|note| note.to_string()).as_deref(),
        Some("the camera has no 1920x1080: its 1280x720 is taken as it is; it offers H.264 1280x720")
    );
    assert!(
        choose(&[], asked(1280, 720, 25), VideoCodec::H264, USB2)
            .expect_err("none")
            .message()
            .ends_with("offers nothing")
    );
}

#[test]
fn what_the_box_is_to_encode_is_no_h264() {
    let mode =
        |letters: &[u8; 4]| Mode { format: FourCc(*letters), sizes: Sizes::Fixed(1280, 720), rates: Rates::Unknown };
    assert_eq!(encoded_here(&[mode(b"H264"), mode(b"MJPG")]).expect("one"), [mode(b"MJPG")]);
    assert_eq!(encoded_here(&[]).expect("none to judge"), []);
    for modes in [vec![mode(b"H264")], vec![mode(b"H264"), mode(b"Z16 ")]] {
        assert!(encoded_here(&modes).expect_err("H.264 alone").message().contains("H.264 alone"));
    }
}

#[test]
fn rates_are_as_people_call_them_and_ranges_are_kept_to() {
    let mode = |rates| Mode { format: FourCc(*b"MJPG"), sizes: Sizes::Fixed(1280, 720), rates };
    let range = |low, high| Rates::Range((low, 1), (high, 1));
    for (rates, fps, want, lacks) in [
        (Rates::These(vec![(30_000, 1001)]), 30, Some((30_000, 1001)), false),
        (Rates::These(vec![(10_000_000, 333_333), (10_000_000, 400_000)]), 25, Some((10_000_000, 400_000)), false),
        (Rates::These(vec![(15, 2)]), 25, Some((15, 2)), true),
        (Rates::These(vec![]), 25, None, false),
        (range(5, 60), 25, Some((25, 1)), false),
        (range(5, 20), 25, Some((20, 1)), true),
        (range(30, 60), 25, Some((30, 1)), false),
    ] {
        let choice = choose(&[mode(rates.clone())], asked(1280, 720, fps), VideoCodec::H264, USB2).expect("usable");
        assert_eq!((choice.rate, choice.note.is_some()), (want, lacks), "{rates:?}");
    }
    assert_eq!(offers(&[mode(Rates::These(vec![(15, 2)]))]), "Motion JPEG 1280x720 at 7.5");
}

fn any_mode() -> impl Strategy<Value = Mode> {
    let codes = [*b"H264", *b"MJPG", *b"YUYV", *b"NV12", *b"GREY", *b"Z16 ", [0, 255, 7, 9]];
    let sizes = prop_oneof![
        any::<(u32, u32)>().prop_map(|(w, h)| Sizes::Fixed(w, h)),
        any::<[u32; 6]>().prop_map(|n| Sizes::Range { min: (n[0], n[1]), max: (n[2], n[3]), step: (n[4], n[5]) }),
    ];
    let rates = prop_oneof![
        Just(Rates::Unknown),
        prop::collection::vec(any::<Rate>(), 0..4).prop_map(Rates::These),
        any::<(Rate, Rate)>().prop_map(|(low, high)| Rates::Range(low, high)),
    ];
    (prop::sample::select(codes.to_vec()), sizes, rates).prop_map(|(code, sizes, rates)| Mode {
        format: FourCc(code),
        sizes,
        rates,
    })
}

proptest! {
    /// A driver may say what it likes: nothing overflows, and what is taken is something that was offered.
    #[test]
    fn whatever_a_driver_says_a_mode_of_its_own_is_taken(
        modes in prop::collection::vec(any_mode(), 0..6),
        (width, height, fps) in (64u32..4096, 64u32..2304, 1u32..60),
        (speed_mbit, cameras) in (any::<u32>(), any::<u32>()),
    ) {
        let taken = choose(&modes, asked(width, height, fps), VideoCodec::H264, Link { speed_mbit, cameras });
        let usable = modes.iter().any(|mode| mode.format.pixels().is_some());
        prop_assert_eq!(taken.is_ok(), usable);
        if let Ok(choice) = taken {
            let of_size = |mode: &&Mode| mode.sizes.nearest((width, height)) == (choice.width, choice.height);
            prop_assert!(modes.iter().filter(of_size).any(|mode| mode.format.pixels() == Some(choice.pixels)));
        }
        prop_assert!(offers(&modes).len() < 4096);
    }
}
