//! Tests of `setup`: what is taken, what is refused and why, and that nothing of it breaks out of the files it goes into.

use super::*;
use proptest::prelude::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDummyKeyDummyKeyDummyKeyDummyKeyDummyKeyDum";

fn text(key: &str, value: &str) -> (String, Value) {
    (key.into(), Value::Text(Secret::new(value.into())))
}

#[test]
fn a_good_file_is_taken_whole() {
    let plan = plan(&[
        text("hostname", "Porch-2"),
        text("timezone", "America/Argentina/Buenos_Aires"),
        text("wifi.ssid", "Anna's \"net\""),
        text("wifi.password", "it's \"quoted\" #1 $(x)"),
        text("wifi.country", "ch"),
        text("ssh.authorized_key", &format!("{KEY} anna@laptop")),
        text("admin.name", "anna"),
        text("admin.password", "correct horse"),
    ]);
    assert_eq!(plan.refused, Vec::<String>::new());
    assert_eq!(plan.hostname.as_deref(), Some("porch-2"));
    assert_eq!(plan.timezone.as_deref(), Some("America/Argentina/Buenos_Aires"));
    assert_eq!(plan.authorized_key.as_deref(), Some(KEY));
    assert_eq!(plan.admin.expect("an account").name, "anna");
    let wifi = plan.wpa_supplicant.expect("Wi-Fi");
    assert_eq!(
        wifi.expose(),
        "update_config=0\ncountry=CH\nnetwork={\n\tssid=416e6e61277320226e657422\n\tscan_ssid=1\n\
         \tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n\tieee80211w=1\n\tpsk=\"it's \"quoted\" #1 $(x)\"\n}\n"
    );
}

#[test]
fn an_open_network_and_a_hashed_key() {
    let with = |password: &str| {
        let entries = [text("wifi.ssid", "x"), text("wifi.password", password), text("wifi.country", "DE")];
        plan(&entries).wpa_supplicant.expect("Wi-Fi").expose().clone()
    };
    assert!(with("").contains("key_mgmt=NONE"));
    assert!(with(&"AB".repeat(32)).contains(&format!("psk={}\n", "ab".repeat(32))));
}

#[test]
fn bad_values_are_refused_with_a_sentence_and_the_rest_goes_on() {
    let long = "a".repeat(100_000);
    let table: [(&str, &str, &str); 28] = [
        ("hostname", "", "hostname"),
        ("hostname", "a b", "hostname"),
        ("hostname", "a\nb", "hostname"),
        ("hostname", "$(reboot)", "hostname"),
        ("hostname", "-a", "hostname"),
        ("hostname", "localhost", "hostname"),
        ("hostname", &long, "hostname"),
        ("timezone", "../../etc/shadow", "timezone"),
        ("timezone", "/etc/passwd", "timezone"),
        ("timezone", "Europe//Zurich", "timezone"),
        ("timezone", "Europe/Zurich; reboot", "timezone"),
        ("timezone", &long, "timezone"),
        ("ssh.authorized_key", "command=\"sh\" ssh-ed25519 AAAA", "ssh.authorized_key"),
        ("ssh.authorized_key", "ssh-ed25519 AAAA\nssh-rsa BBBB", "ssh.authorized_key"),
        ("ssh.authorized_key", "ssh-ed25519 short", "damaged"),
        ("ssh.authorized_key", &long, "ssh.authorized_key"),
        ("wifi.ssid", "x", "wifi.country is missing"),
        ("wifi.password", "12345678", "wifi.ssid is missing"),
        ("wifi.passphrase", "12345678", "not a known key"),
        ("admin.name", "anna", "admin.password is missing"),
        ("admin.password", "correct horse", "admin.name is missing"),
        ("wlan.ssid", "x", "wlan.ssid is not a known key"),
        ("a\u{1b}[2J", "x", "… is not a known key"),
        ("S3CRETPW12345", "x", "… is not a known key"),
        ("wifi.S3CRETPW12345", "x", "wifi.… is not a known key"),
        ("wifi.ssid", "my net\u{200b}", "wifi.ssid holds an invisible character (U+200B, the 7.)"),
        ("wifi.ssid", "a\nb", "U+000A"),
        (&long, "x", "is not a known key"),
    ];
    for (key, value, want) in table {
        // `hostname` twice is not TOML; a good neighbour that is another key must survive.
        let neighbour = if key == "timezone" { ("hostname", "porch") } else { ("timezone", "UTC") };
        let plan = plan(&[text(key, value), text(neighbour.0, neighbour.1)]);
        let refused = plan.refused.join("\n");
        assert!(refused.contains(want), "{key} = {value:.40}: {refused}");
        assert!(refused.len() < 400 && !refused.contains('\u{1b}'), "{refused}");
        assert!(plan.hostname.is_some() || plan.timezone.is_some(), "{key}: the neighbour went too");
        assert!(plan.wpa_supplicant.is_none() && plan.admin.is_none() && plan.authorized_key.is_none(), "{key}");
    }
}

#[test]
fn wrong_types_and_wrong_parts_of_a_table() {
    let entries =
        |password: Value| [text("wifi.ssid", "x"), text("wifi.country", "CH"), ("wifi.password".into(), password)];
    // An unreadable password must not become an open network.
    let planned = plan(&entries(Value::Other("a number")));
    assert!(
        planned.wpa_supplicant.is_none() && planned.refused[0].contains("wifi.password is a number"),
        "{:?}",
        planned.refused
    );
    for bad in ["short", &"x".repeat(64), "line\nbreak!", "ümlaut-password", "tab\tin the password"] {
        let planned = plan(&entries(Value::Text(Secret::new(bad.into()))));
        assert!(planned.wpa_supplicant.is_none(), "{bad}");
        assert!(
            planned.refused[0].starts_with("wifi.password: must be") && !planned.refused[0].contains(bad),
            "{:?}",
            planned.refused
        );
    }
    for (name, password, want) in [
        ("an\u{202e}na", "correct horse", "admin.name"),
        ("../x", "correct horse", "admin.name"),
        ("anna", "short", "5 characters"),
        ("anna", "longenough\u{200b}1", "admin.password holds an invisible character (U+200B, the 11.)"),
        (&*"a".repeat(9999), "correct horse", "admin.name"),
    ] {
        let planned = plan(&[text("admin.name", name), text("admin.password", password)]);
        assert!(planned.admin.is_none() && planned.refused[0].contains(want), "{:?}", planned.refused);
        assert!(!planned.refused[0].contains("correct horse"));
    }
}

#[test]
fn secrets_do_not_print() {
    let entries = [text("wifi.ssid", "x"), text("wifi.password", "hunter2hunter2"), text("wifi.country", "CH")];
    assert!(!format!("{entries:?} {:?}", plan(&entries)).contains("hunter2"));
}

proptest! {
    #[test]
    fn nothing_breaks_out_of_its_file(ssid in any::<String>(), password in any::<String>(), country in prop_oneof!["[a-zA-Z]{2}", any::<String>()], zone in any::<String>()) {
        let entries =
            [text("wifi.ssid", &ssid), text("wifi.password", &password), text("wifi.country", &country), text("timezone", &zone)];
        let plan = plan(&entries);
        if let Some(wifi) = &plan.wpa_supplicant {
            let lines = wifi.expose().lines().count();
            // Open, or with a password.
            prop_assert!(lines == 7 || lines == 9, "{lines} lines");
        }
        if let Some(zone) = &plan.timezone {
            prop_assert!(!zone.contains("..") && !zone.starts_with('/') && !zone.contains(char::is_whitespace));
        }
    }
}

#[test]
fn names_of_boxes() {
    for (serial, want) in [
        ("10000000ABCD1234", "perch-1234"),
        ("00000000a1b2c3d4\0", "perch-c3d4"),
        ("", "perch-00ff"),
        ("xyz", "perch-00ff"),
    ] {
        assert_eq!(default_hostname(serial, 0xff), want);
    }
}

fn device(node: &str, driver: &str, index: u32, bus: &str, name: &str) -> VideoDevice {
    VideoDevice { node: node.into(), driver: driver.into(), index, bus: bus.into(), name: name.into() }
}

#[test]
fn cameras_are_distinguished_from_other_video_devices() {
    let codec = || device("video10", "bcm2835-codec", 0, "platform", "bcm2835-codec-decode");
    let usb = |n: u32, index| device(&format!("video{n}"), "uvcvideo", index, "usb", "HD Webcam");
    let sensor = || device("v4l-subdev0", "imx219", 0, "i2c", "imx219 10-0010");
    let lens = || device("v4l-subdev1", "dw9807", 0, "i2c", "dw9807-vcm 10-000c");
    let sources = |devices: &[VideoDevice]| first_cameras(devices).into_iter().map(|c| c.source).collect::<Vec<_>>();
    assert_eq!(sources(&[]), Vec::<String>::new());
    assert_eq!(sources(&[codec(), lens()]), Vec::<String>::new());
    assert_eq!(sources(&[codec(), sensor(), device("video0", "unicam", 0, "platform", "unicam-image")]), ["libcamera"]);
    assert_eq!(sources(&[usb(1, 1), usb(0, 0), codec()]), ["v4l2:/dev/video0"]);
    let both = first_cameras(&[usb(2, 0), usb(3, 1), usb(0, 0), sensor()]);
    let ids: Vec<_> = both.iter().map(|c| (c.id.as_str(), c.source.as_str())).collect();
    assert_eq!(ids, [("camera", "libcamera"), ("usb1", "v4l2:/dev/video0"), ("usb2", "v4l2:/dev/video2")]);
}
