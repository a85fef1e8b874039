//! Controls of each kind of source, and what is set of what is wanted.

use super::libcamera::{PropertyKind, SensorProperty};
use super::onvif::ImagingSetting;
use super::v4l2::{BOOLEAN, INTEGER, INTEGER_MENU, MENU, V4l2Control};
use super::*;
use proptest::prelude::*;

fn raw(id: u32, kind: u32, numbers: [i32; 4], value: i32) -> V4l2Control {
    V4l2Control { id, kind, numbers, value: Some(value), ..V4l2Control::default() }
}

/// A webcam as `uvcvideo` shows one, with what is not offered.
fn webcam() -> Vec<V4l2Control> {
    let entries = |names: &[&str]| names.iter().zip(0..).map(|(name, n)| (n, (*name).to_owned())).collect();
    let modes = vec![(1, "Manual Mode".to_owned()), (3, "Aperture Priority Mode".to_owned())];
    vec![
        raw(0x0098_0900, INTEGER, [-64, 64, 1, 0], 5),
        raw(0x0098_090c, BOOLEAN, [0, 1, 1, 1], 1),
        V4l2Control { menu: entries(&["Disabled", "50 Hz", "60 Hz"]), ..raw(0x0098_0918, MENU, [0, 2, 1, 1], 1) },
        V4l2Control { flags: 0x10, ..raw(0x0098_091a, INTEGER, [2800, 6500, 1, 4600], 4600) },
        V4l2Control { menu: modes, ..raw(0x009a_0901, MENU, [0, 3, 1, 3], 3) },
        V4l2Control { flags: 0x10, ..raw(0x009a_0902, INTEGER, [3, 2047, 1, 250], 250) },
        V4l2Control {
            menu: vec![(0, "-1000".into()), (1, "0".into()), (2, "1000".into())],
            ..raw(0x009a_0913, INTEGER_MENU, [0, 2, 1, 1], 1)
        },
        // Read-only, disabled, of the codec class, a button, and a range without anything in it.
        V4l2Control { flags: 4, ..raw(0x0098_0901, INTEGER, [0, 9, 1, 0], 0) },
        V4l2Control { flags: 1, ..raw(0x0098_0902, INTEGER, [0, 9, 1, 0], 0) },
        raw(0x0099_09cf, INTEGER, [0, 9, 1, 0], 0),
        raw(0x0098_0910, 4, [0, 0, 0, 0], 0),
        raw(0x0098_091b, INTEGER, [3, 3, 1, 3], 3),
    ]
}

fn wanted(values: &[(&str, Scalar)]) -> WantedControls {
    values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn number(n: f64) -> Scalar {
    Scalar::Number(n)
}

fn word(text: &str) -> Scalar {
    Scalar::Text(text.into())
}

#[test]
fn a_webcam_offers_what_people_can_use() {
    let found = v4l2::controls(&webcam());
    let short: Vec<_> = found.iter().map(|c| (c.name, c.value.clone().expect("known"), c.is_active)).collect();
    let want = [
        ("exposure_auto", word("Aperture Priority Mode"), true),
        ("exposure_compensation", word("0"), true),
        ("exposure_us", number(25_000.0), false),
        ("power_line_frequency", word("50 Hz"), true),
        ("brightness", number(5.0), true),
        ("white_balance_auto", Scalar::Flag(true), true),
        ("white_balance_temperature", number(4600.0), false),
    ];
    assert_eq!(short, want);
    for (name, value, set) in [
        ("exposure_us", number(10_000.0), (0x009a_0902, 100)),
        ("exposure_auto", word("Manual Mode"), (0x009a_0901, 1)),
        ("exposure_compensation", word("1000"), (0x009a_0913, 2)),
        ("white_balance_auto", Scalar::Flag(false), (0x0098_090c, 0)),
    ] {
        assert_eq!(v4l2::to_set(&webcam(), name, &value), Some(set), "{name}");
    }
    assert_eq!(v4l2::to_set(&webcam(), "zoom", &number(1.0)), None);
}

#[test]
fn what_decides_is_set_first_and_numbers_without_effect_are_not() {
    let found = v4l2::controls(&webcam());
    let wish = wanted(&[
        ("exposure_auto", word("manual mode")),
        ("exposure_us", number(10_000.0)),
        ("brightness", number(7.0)),
        ("white_balance_auto", Scalar::Flag(true)),
    ]);
    let first = plan(&found, &wish, &BTreeSet::new());
    assert_eq!(first.deciding, [("exposure_auto", word("Manual Mode"))]);
    assert_eq!(first.numbers, [("brightness", number(7.0))]);
    assert!(first.problems.is_empty());
    let mut after = webcam();
    for control in &mut after {
        control.flags = if control.id == 0x009a_0902 { 0 } else { control.flags };
        control.value = if control.id == 0x009a_0901 { Some(1) } else { control.value };
    }
    let second = plan(&v4l2::controls(&after), &wish, &BTreeSet::new());
    assert_eq!(second.deciding, []);
    assert_eq!(second.numbers, [("exposure_us", number(10_000.0)), ("brightness", number(7.0))]);
}

#[test]
fn what_is_wanted_no_more_goes_back_and_what_cannot_be_is_said() {
    let found = v4l2::controls(&webcam());
    let let_go = ["brightness".to_owned(), "exposure_auto".to_owned()].into();
    let back = plan(&found, &WantedControls::new(), &let_go);
    assert_eq!((back.deciding, back.numbers), (vec![], vec![("brightness", number(0.0))]));
    let wish = wanted(&[
        ("brightness", number(300.0)),
        ("infrared_cut", word("on")),
        ("power_line_frequency", word("70 Hz")),
        ("white_balance_auto", number(1.0)),
    ]);
    let refused = plan(&found, &wish, &BTreeSet::new());
    assert_eq!((refused.deciding, refused.numbers), (vec![], vec![]));
    assert_eq!(
        refused.problems,
        [
            "this camera has no infrared filter: take `infrared_cut` out",
            "Against flicker of lamps of this camera knows other words: `power_line_frequency` must be one of \"Disabled\", \"50 Hz\", \"60 Hz\"",
            "Brightness of this camera goes from -64 to 64: `brightness` must be within that",
            "Automatic white balance is on or off: `white_balance_auto` must be true or false",
        ]
    );
}

#[test]
fn a_sensor_offers_what_its_element_has() {
    let property = |name: &str, kind| SensorProperty { property: name.into(), kind, value: None };
    let found = libcamera::controls(&[
        property("camera-name", PropertyKind::Words(vec!["a".into()])),
        property("contrast", PropertyKind::Number),
        property("ae-enable", PropertyKind::Flag),
        property("exposure-time", PropertyKind::Number),
        property("awb-mode", PropertyKind::Words(vec!["awb-auto".into(), "awb-daylight".into()])),
    ]);
    let short: Vec<_> = found.iter().map(|c| (c.name, c.value.clone(), c.is_active)).collect();
    let want = [
        ("exposure_auto", Some(Scalar::Flag(true)), true),
        ("exposure_us", None, false),
        ("contrast", Some(number(1.0)), true),
        ("white_balance_mode", None, true),
    ];
    assert_eq!(short, want);
    assert_eq!(libcamera::property_of("exposure_us"), Some("exposure-time"));
}

#[test]
fn a_network_camera_is_told_in_its_own_words_and_order() {
    let setting = |path, value: &str, range, words: &[&str]| ImagingSetting {
        path,
        value: value.into(),
        range,
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    let now = [
        setting("Brightness", "50", Some((0.0, 100.0)), &[]),
        setting("Exposure/Mode", "AUTO", None, &["AUTO", "MANUAL"]),
        setting("Exposure/Gain", "3", Some((0.0, 1.0)), &[]),
        setting("IrCutFilter", "AUTO", None, &["ON", "OFF", "AUTO"]),
        // No choice.
        setting("WideDynamicRange/Mode", "ON", None, &["ON"]),
    ];
    let found = onvif::controls(&now);
    let names: Vec<_> = found.iter().map(|c| (c.name, c.is_active)).collect();
    assert_eq!(names, [("infrared_cut", true), ("exposure_auto", true), ("gain", false), ("brightness", true)]);
    let Some(ControlForm::Menu { choices }) = found.first().map(|c| c.form.clone()) else { panic!("{found:?}") };
    assert_eq!((choices[0].value.as_str(), choices[0].label.as_str()), ("ON", "Day: true colours"));
    assert_eq!(onvif::to_set("exposure_auto", &Scalar::Flag(false)), Some(("Exposure/Mode", "MANUAL".into())));
    let changes = [("IrCutFilter", "OFF".to_owned()), ("Exposure/Gain", "0.5".into()), ("Brightness", "40".into())];
    let in_order = onvif::in_order(&changes, &now);
    let paths: Vec<_> = in_order.iter().map(|(path, value)| (*path, value.as_str())).collect();
    let want = [("Brightness", "40"), ("Exposure/Mode", "AUTO"), ("Exposure/Gain", "0.5"), ("IrCutFilter", "OFF")];
    assert_eq!(paths, want);
}

proptest! {
    #[test]
    fn whatever_a_driver_says_what_is_set_lies_within_it(
        numbers in any::<[i32; 4]>(), flags in any::<u32>(), kind in 0u32..12, id in 0x0098_0900u32..0x0098_0930, wish in any::<f64>(),
    ) {
        let raw = V4l2Control { id, kind, numbers, flags, value: Some(numbers[3]), menu: vec![(0, "a".into()), (1, "b".into())] };
        let found = v4l2::controls(std::slice::from_ref(&raw));
        for control in &found {
            let wish = wanted(&[(control.name, number(wish))]);
            for (name, value) in plan(&found, &wish, &BTreeSet::new()).numbers {
                let (_, set) = v4l2::to_set(std::slice::from_ref(&raw), name, &value).expect("it is there");
                prop_assert!((numbers[0]..=numbers[1]).contains(&set), "{set} of {numbers:?}");
            }
        }
    }
}
