//! Cameras are tried out before they are added: what is measured, what is said, and that hosts which do harm, or are the box itself, get nowhere.

use crate::support::client::Client;
use crate::support::ffmpeg;
use crate::support::home::{BoxProcess, Home};
use crate::support::{s, wait_until};
use perch_test_cameras::{Camera, find};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The longest that a probe may take, with what the machine does besides.
const LONGEST: Duration = Duration::from_secs(45);

fn started() -> (Home, BoxProcess, Client) {
    let home = Home::new("");
    let running = home.boot();
    let client = running.paired();
    (home, running, client)
}

fn probe(client: &Client, body: &Value) -> Value {
    client.post("/api/v1/cameras/probe", body).expect(200).json()
}

/// What is said that weighs so much.
fn said<'v>(probed: &'v Value, weight: &str) -> Vec<&'v str> {
    let all = probed["judgement"].as_array().expect("a list").iter();
    all.filter(|one| one["weight"] == weight).map(|one| one["what"].as_str().expect("a sentence")).collect()
}

fn case(name: &str) -> Camera {
    Camera::start(find(name).expect("a case")).unwrap_or_else(|e| panic!("{e:?}"))
}

/// A host on loopback that does this with each connection; says when one ended.
fn host(does: impl Fn(TcpStream) + Send + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let does = does.clone();
            thread::spawn(move || does(connection));
        }
    });
    port
}

/// Reads until the other side closes.
fn until_closed(mut connection: &TcpStream) {
    let mut piece = [0; 4096];
    while !matches!(connection.read(&mut piece), Ok(0) | Err(_)) {}
}

#[test]
fn a_camera_is_measured_and_judged() {
    let (home, running, client) = started();
    let camera = case("md5");
    let address = camera.url().replace("admin:pass@", "admin@");
    let probed = probe(&client, &json!({"source": address, "password": "pass"}));
    let main = &probed["streams"][0];
    assert_eq!((main["stream"].as_str(), main["codec"].as_str()), (Some("main"), Some("H.264")), "{probed}");
    let between = |key: &str, least: f64, most: f64| {
        let value = main[key].as_f64().unwrap_or(-1.0);
        assert!((least..=most).contains(&value), "{key}: {value} of {main}");
    };
    between("fps", 20.0, 30.0);
    between("width", 64.0, 4096.0);
    between("bitrate_kbps", 10.0, 20_000.0);
    between("keyframe_interval_s", 0.1, 10.0);
    between("round_trip_ms", 0.0, 5000.0);
    assert!(main["still"].as_str().is_some_and(|still| still.starts_with("/9j/")), "a JPEG: {main}");
    assert_eq!((said(&probed, "good").len(), said(&probed, "bad").len()), (1, 0), "{probed}");
    assert!(said(&probed, "advice").iter().any(|what| what.contains("no second stream is named")), "{probed}");

    // Nothing of it is kept, and its password is said nowhere.
    assert!(!home.config_text().contains("127.0.0.1:9") && !home.config_text().contains(&camera.port().to_string()));
    let wrong = probe(&client, &json!({"source": address, "password": "S3CRET"}));
    assert!(said(&wrong, "bad")[0].contains("refuses user and password"), "{wrong}");
    let change = wrong["judgement"][0]["change"].as_str().expect("a sentence");
    assert!(change.contains("user and password of the camera itself") && !change.contains("URL"), "{change}");
    for text in [probed.to_string(), wrong.to_string(), running.log()] {
        assert!(!text.contains("S3CRET") && !text.contains(":pass@"), "{text}");
    }

    // Two streams of one camera, of which the first is H.265.
    let (large, small) = (case("h265"), case("aud"));
    let both = probe(&client, &json!({"source": large.url(), "sub_source": small.url()}));
    let codecs: Vec<_> = both["streams"].as_array().expect("two").iter().map(|one| &one["codec"]).collect();
    assert_eq!(codecs, ["H.265", "H.264"], "{both}");
    assert!(said(&both, "advice").iter().any(|what| what.contains("second stream, which is H.264")), "{both}");
    let alone = probe(&client, &json!({"source": large.url()}));
    assert!(said(&alone, "odd").iter().any(|what| what.contains("H.265 only")), "{alone}");
}

#[test]
fn one_that_is_the_boxs_is_tried_with_its_password_and_nobody_else_gets_it() {
    let (home, _running, client) = started();
    let camera = case("md5");
    let added = json!({"id": "yard", "source": camera.url().replace("admin:pass@", "admin@"), "password": "pass"});
    client.post("/api/v1/cameras", &added).expect(201);
    client.wait_for_camera("yard", "live", s(60));
    let probed = probe(&client, &json!({"camera": "yard"}));
    assert_eq!(said(&probed, "good").len(), 1, "{probed}");
    let elsewhere = json!({"camera": "yard", "source": "rtsp://admin:{password}@127.0.0.1:9/x"});
    let refused = client.post("/api/v1/cameras/probe", &elsewhere).problem(400);
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("password")), "{refused}");
    let borrowed = json!({"source": "rtsp://admin:{password}@127.0.0.1:9/x"});
    client.post("/api/v1/cameras/probe", &borrowed).problem(400);
    client.post("/api/v1/cameras/probe", &json!({"camera": "nobody"})).problem(404);
    client.post("/api/v1/cameras/probe", &json!({"source": "exec:ls"})).problem(400);
    client.post("/api/v1/cameras/probe", &json!({"source": "rtsp://x", "password_file": "/etc/shadow"})).problem(400);
    assert_eq!(home.config_text().matches("[[camera]]").count(), 1, "nothing was added");
}

#[test]
fn what_is_no_network_camera_is_looked_at_too() {
    let (home, _running, client) = started();
    assert_eq!(said(&probe(&client, &json!({"source": "test"})), "good").len(), 1);
    let file = home.dir().join("clip.mp4");
    let source = format!("file:{}", file.display());
    assert!(said(&probe(&client, &json!({"source": source})), "bad")[0].contains("no such file"));
    std::fs::write(&file, "x").expect("written");
    assert_eq!(said(&probe(&client, &json!({"source": source})), "bad").len(), 1, "nothing that can be played");
    ffmpeg::walker(&file, 20, 8, 2);
    let clip = probe(&client, &json!({"source": source}));
    assert_eq!(said(&clip, "good").len(), 1, "{clip}");
    assert!(clip["streams"][0]["still"].is_string(), "it shows what it is");
    let none = probe(&client, &json!({"source": "v4l2:/dev/video63"}));
    assert_eq!(said(&none, "bad").len(), 1, "{none}");
}

#[test]
fn the_box_itself_is_no_camera() {
    let (home, running, client) = started();
    let ports = home.ports;
    for (host, port) in [("127.0.0.1", ports.rtsp), ("localhost", ports.rtsp), ("127.0.0.1", ports.http)] {
        for key in ["source", "sub_source"] {
            let mut body = json!({"source": "rtsp://127.0.0.1:9/x"});
            body[key] = format!("rtsp://{host}:{port}/hall").into();
            let refused = client.post("/api/v1/cameras/probe", &body).problem(400);
            assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("the box itself")), "{refused}");
        }
    }
    // Nor by way of a camera that sends the box there.
    let address = running.rtsp_url("a", "b", "hall").replace("a:b@", "");
    let answer = format!("RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: {address}\r\n\r\n");
    let port = host(move |mut connection| {
        let mut piece = [0; 4096];
        while matches!(connection.read(&mut piece), Ok(1..)) {
            if connection.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let elsewhere = probe(&client, &json!({"source": format!("rtsp://me:pw@localhost:{port}/")}));
    assert_eq!(said(&elsewhere, "bad").len(), 1, "{elsewhere}");
}

#[test]
fn hosts_that_answer_nothing_slowly_or_without_end_are_given_up_and_said() {
    let (_home, running, client) = started();
    let silent = host(|connection| until_closed(&connection));
    let slow = host(|mut connection| {
        for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n".iter().cycle() {
            if connection.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(300));
        }
    });
    let endless = host(|mut connection| {
        let piece = [b'x'; 64 << 10];
        while connection.write_all(&piece).is_ok() {}
    });
    let endless_description = host(|mut connection| {
        let head = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 4000000000\r\n\r\n";
        let mut sent = connection.write_all(head);
        while sent.is_ok() {
            sent = connection.write_all(&[b'a'; 64 << 10]);
        }
    });
    for port in [silent, slow, endless, endless_description] {
        let began = Instant::now();
        let probed = probe(&client, &json!({"source": format!("rtsp://127.0.0.1:{port}/")}));
        assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
        let bad = said(&probed, "bad");
        assert!(bad.len() == 1 && !bad[0].is_empty(), "{probed}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    let peak_kb: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak_kb < 400_000, "{peak_kb} kB");
    // Nobody listens there.
    let began = Instant::now();
    let nobody = probe(&client, &json!({"source": "rtsp://127.0.0.1:9/"}));
    assert!(said(&nobody, "bad")[0].contains("nothing answers on its port 9") && began.elapsed() < s(5), "{nobody}");
}

#[test]
fn few_run_at_once_and_who_hangs_up_ends_his() {
    let (_home, running, client) = started();
    let (opened, is_open) = mpsc::channel();
    let (closed, is_closed) = mpsc::channel();
    let silent = host(move |connection| {
        let _ = opened.send(());
        until_closed(&connection);
        let _ = closed.send(());
    });
    let body = json!({"source": format!("rtsp://127.0.0.1:{silent}/")}).to_string();
    let ask = |client: &Client| {
        let headers = [("content-type", "application/json")];
        client.ask("POST", "/api/v1/cameras/probe", &headers, body.as_bytes()).expect("asked")
    };
    let first = ask(&client);
    is_open.recv_timeout(s(20)).expect("it is asked");
    let again = client.send("POST", "/api/v1/cameras/probe", &[("content-type", "application/json")], body.as_bytes());
    let limited = again.problem(429);
    assert!(limited["detail"].as_str().is_some_and(|detail| detail.contains("from this device")), "{limited}");
    drop(first);
    is_closed.recv_timeout(s(8)).expect("the session ends with its caller");
    wait_until("there is room again", s(10), || {
        let answer = client.post("/api/v1/cameras/probe", &json!({"source": "test"}));
        (answer.status == 200).then_some(())
    });
    drop(running);
}

#[test]
fn a_camera_that_the_box_captures_shows_its_picture_before_it_is_added() {
    let (_home, _running, client) = started();
    let body = json!({"source": "test", "width": 320, "height": 180, "fps": 10});
    let probed = probe(&client, &body);
    assert!(said(&probed, "bad").is_empty(), "{probed}");
    let still = probed["streams"][0]["still"].as_str().unwrap_or_else(|| panic!("{probed}"));
    assert!(still.starts_with("/9j/") && still.len() > 1000, "a JPEG in base64: {still}");
    let nowhere = probe(&client, &json!({"source": "file:/nonexistent/x.mp4"}));
    assert_eq!((nowhere["streams"].as_array().map(Vec::len), said(&nowhere, "bad").len()), (Some(0), 1), "{nowhere}");
    // What the box takes already is not taken twice.
    let mut added = body.clone();
    added["id"] = "front".into();
    client.post("/api/v1/cameras", &added).expect(201);
    client.wait_for_camera("front", "live", s(60));
    assert_eq!(probe(&client, &body)["streams"].as_array().map(Vec::len), Some(0));
}
