//! Which addresses are looked at, and which streams are one camera.

use super::*;

#[test]
fn addresses_are_a_few_of_a_house() {
    for (text, want) in [
        ("192.168.1.20", Ok(1)),
        ("192.168.1.0/28, 10.0.0.5,10.0.0.5", Ok(17)),
        ("192.168.1.77/24", Ok(256)),
        ("127.0.0.1/32", Ok(1)),
        ("fd00::1,fe80::2", Ok(2)),
        ("100.64.0.9", Ok(1)),
        ("", Ok(0)),
        ("192.168.0.0/23", Err("more than 256")),
        ("0.0.0.0/0", Err("more than 256")),
        ("192.168.1.0/24,10.0.0.1", Err("more than 256")),
        ("192.168.1.0/33", Err("such as")),
        ("192.168.1", Err("such as")),
        ("cam.local", Err("such as")),
        ("fd00::/120", Err("IPv6")),
        ("8.8.8.8", Err("house")),
        ("224.0.0.1", Err("house")),
        ("0.0.0.0", Err("house")),
        ("2001:db8::1", Err("house")),
        ("::ffff:8.8.8.8", Err("house")),
    ] {
        match (addresses(text), want) {
            (Ok(got), Ok(want)) => assert_eq!(got.len(), want, "{text}"),
            (Err(e), Err(want)) => assert!(e.message().contains(want), "{text}: {e}"),
            (got, want) => panic!("{text}: {got:?}, not {want:?}"),
        }
    }
    let all = addresses("192.168.1.9/30").expect("ok");
    assert_eq!(all.first().map(ToString::to_string).as_deref(), Some("192.168.1.8"));
    assert_eq!(all.last().map(ToString::to_string).as_deref(), Some("192.168.1.11"));
}

fn profile(sight: &str, codec: &str, width: u32, height: u32) -> OnvifProfile {
    OnvifProfile {
        sight: sight.into(),
        codec: Some(codec.into()),
        width: Some(width),
        height: Some(height),
        address: Some(format!("rtsp://cam/{sight}/{codec}/{width}")),
        ..OnvifProfile::default()
    }
}

/// The streams that are taken, main and small, as their codec and width.
fn taken(profiles: &[OnvifProfile]) -> Vec<(String, Option<String>)> {
    let cameras = cameras_of("Cam", profiles, |profile| profile.address.clone());
    let short = |stream: &FoundStream| stream.source.trim_start_matches("rtsp://cam/").to_owned();
    cameras.iter().map(|camera| (short(&camera.main), camera.sub.as_ref().map(short))).collect()
}

#[test]
fn the_streams_of_one_sight_are_one_camera() {
    let (large, small) = (profile("a", "H.264", 1920, 1080), profile("a", "H.264", 640, 360));
    let (hevc, jpeg, tiny) =
        (profile("a", "H.265", 2560, 1440), profile("a", "MJPEG", 320, 240), profile("a", "H.264", 80, 60));
    let s = |text: &str| text.to_owned();
    for (profiles, want) in [
        (vec![large.clone(), small.clone()], vec![(s("a/H.264/1920"), Some(s("a/H.264/640")))]),
        (vec![small.clone(), large.clone()], vec![(s("a/H.264/1920"), Some(s("a/H.264/640")))]),
        (vec![hevc.clone(), large.clone(), small.clone()], vec![(s("a/H.265/2560"), Some(s("a/H.264/640")))]),
        (vec![hevc, jpeg], vec![(s("a/H.265/2560"), None)]),
        (vec![large.clone(), large.clone()], vec![(s("a/H.264/1920"), None)]),
        (vec![large.clone(), tiny], vec![(s("a/H.264/1920"), None)]),
        (vec![], vec![]),
        (vec![OnvifProfile { address: None, ..large.clone() }], vec![]),
        (
            vec![large, profile("b", "H.264", 1280, 720), small, profile("b", "H.264", 320, 180)],
            vec![(s("a/H.264/1920"), Some(s("a/H.264/640"))), (s("b/H.264/1280"), Some(s("b/H.264/320")))],
        ),
    ] {
        assert_eq!(taken(&profiles), want);
    }
    let two = [profile("a", "H.264", 1920, 1080), profile("b", "H.264", 1920, 1080)];
    let names: Vec<_> = cameras_of("Cam", &two, |p| p.address.clone()).into_iter().map(|camera| camera.name).collect();
    assert_eq!(names, ["Cam 1", "Cam 2"]);
}

#[test]
fn places_are_read_as_people_write_them() {
    for (text, want) in [
        ("192.168.1.20", Some(("192.168.1.20", None, None, "rtsp://192.168.1.20/a"))),
        (" cam.local:8554 ", Some(("cam.local", None, Some(8554), "rtsp://cam.local:8554/a"))),
        ("rtsp://me:pw@cam:554/old?x", Some(("cam", None, Some(554), "rtsp://cam:554/a"))),
        ("RTSPS://cam", Some(("cam", None, None, "rtsps://cam/a"))),
        ("fe80::1", Some(("fe80::1", None, None, "rtsp://[fe80::1]/a"))),
        ("[fe80::1]:554", Some(("fe80::1", None, Some(554), "rtsp://[fe80::1]:554/a"))),
        (
            "http://10.0.0.7:8000/onvif/x",
            Some(("10.0.0.7", Some("http://10.0.0.7:8000/onvif/x"), None, "rtsp://10.0.0.7/a")),
        ),
        ("", None),
        ("ftp://cam", None),
        ("cam:0", None),
        ("cam:x", None),
        ("cam local", None),
        ("cam\r\nx", None),
    ] {
        let read = DevicePlace::parse(text).ok();
        let got = read.as_ref().map(|p| (p.host.as_str(), p.onvif.as_deref(), p.rtsp_port, p.rtsp("/a")));
        assert_eq!(got, want.map(|(h, o, p, url)| (h, o, p, url.to_owned())), "{text:?}");
    }
}

#[test]
fn an_address_becomes_a_source_without_its_password() {
    let password = Secret::new("p w".to_owned());
    for (address, user, want) in [
        ("rtsp://cam/a", "me", Some("rtsp://me@cam/a")),
        ("rtsp://cam/a", "a@b", Some("rtsp://a%40b@cam/a")),
        ("rtsp://cam/a", "", Some("rtsp://cam/a")),
        ("rtsp://cam/user=me&password=p%20w", "me", Some("rtsp://me@cam/user=me&password={password}")),
        ("rtsp://cam/user=me&password=OTHER", "me", None),
    ] {
        assert_eq!(source_of(address, user, &password).as_deref(), want, "{address}");
    }
}

#[test]
fn every_port_that_is_tried_is_known_beforehand() {
    for (text, rtsp, all) in [
        ("cam", &RTSP_PORTS[..], &[554, 8554, 80, 8000, 8080, 2020, 8899][..]),
        ("cam:9554", &[9554], &[9554]),
        ("rtsps://cam", &RTSP_PORTS, &[554, 8554, 80, 8000, 8080, 2020, 8899]),
        ("http://cam/onvif/device_service", &RTSP_PORTS, &[554, 8554, 80]),
        ("http://cam:8899/onvif/device_service", &RTSP_PORTS, &[554, 8554, 8899]),
    ] {
        let place = DevicePlace::parse(text).expect(text);
        assert_eq!((&*place.rtsp_ports(), &*place.ports()), (rtsp, all), "{text}");
    }
}

#[test]
fn a_place_is_asked_by_the_address_that_was_looked_at() {
    let scoped = SocketAddr::V6(std::net::SocketAddrV6::new("fe80::1".parse().expect("an address"), 0, 0, 3));
    for (text, address, host, onvif) in [
        ("cam", "192.168.1.9:0".parse().expect("an address"), "192.168.1.9", None),
        (
            "http://cam:8000/x?y",
            "[fd00::1]:0".parse().expect("an address"),
            "fd00::1",
            Some("http://[fd00::1]:8000/x?y"),
        ),
        ("http://cam/x", scoped, "fe80::1%3", Some("http://[fe80::1%3]/x")),
    ] {
        let at = DevicePlace::parse(text).expect(text).at(address);
        assert_eq!((&*at.host, at.onvif.as_deref()), (host, onvif), "{text}");
    }
}

#[test]
fn what_answers_in_the_network_is_told_once_a_device() {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let said = |address: &str| Answered {
        address: ip(address),
        url: format!("http://{address}/onvif"),
        name: "yard".into(),
        model: "X1".into(),
    };
    let open = |target: &str| (target.parse().expect("a socket's address"), "server".to_owned());
    let used = |camera: &str, host: &str, port| UsedPlace { camera: camera.into(), host: host.into(), port };
    let cameras = [used("door", "10.0.0.5", 554), used("test", "127.0.0.1", 8554), used("named", "cam.local", 554)];
    type Row<'r> = (&'r str, bool, Option<u16>, Option<&'r str>);
    for (answered, ports, want) in [
        (
            vec![said("10.0.0.5")],
            vec![open("10.0.0.5:554"), open("10.0.0.5:8554")],
            vec![("10.0.0.5", true, Some(554), Some("door"))],
        ),
        (vec![], vec![open("10.0.0.6:554"), open("10.0.0.6:8554")], vec![("10.0.0.6", false, Some(554), None)]),
        (vec![said("10.0.0.7")], vec![], vec![("10.0.0.7", true, None, None)]),
        // By address, however they came; and what the box has by its IPv4 address in IPv6's clothes.
        (
            vec![said("10.0.0.9")],
            vec![open("10.0.0.8:554"), open("[::ffff:10.0.0.5]:554")],
            vec![
                ("10.0.0.8", false, Some(554), None),
                ("10.0.0.9", true, None, None),
                ("::ffff:10.0.0.5", false, Some(554), Some("door")),
            ],
        ),
        // On this machine, each port is another.
        (
            vec![],
            vec![open("127.0.0.1:554"), open("127.0.0.1:8554")],
            vec![("127.0.0.1", false, Some(554), None), ("127.0.0.1", false, Some(8554), Some("test"))],
        ),
    ] as [(Vec<Answered>, Vec<(SocketAddr, String)>, Vec<Row<'_>>); 5]
    {
        let found = in_network(answered, ports, &cameras);
        let is =
            |one: &FoundInNetwork| (one.address.to_string(), one.onvif.is_some(), one.rtsp_port, one.used_by.clone());
        let want =
            want.into_iter().map(|(address, onvif, port, by)| (address.to_owned(), onvif, port, by.map(str::to_owned)));
        assert_eq!(found.iter().map(is).collect::<Vec<_>>(), want.collect::<Vec<_>>());
    }
    assert!(may_be_small("H.264") && !may_be_small("H.265"));
}
