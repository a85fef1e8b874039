//! What a config may say, and what is said of one that is wrong.

use super::*;
use perch_domain::camera::{AudioSource, Source};
use perch_domain::settings::described::{Origin, tree};
use perch_domain::settings::sentences;
use serde_json::json;
use std::collections::BTreeSet;

fn parse(text: &str) -> Result<Config> {
    Config::parse(text, std::iter::empty())
}

#[test]
fn without_a_file_there_is_one_test_camera() {
    let c = parse("").expect("defaults are valid");
    assert_eq!(c.cameras.len(), 1);
    assert_eq!(c.cameras[0].source, Source::Test);
    assert_eq!(c.http.listen.port(), 8443);
}

/// What a config means, without the data folder and the sound of its cameras.
fn meaning(text: &str) -> String {
    let mut config = parse(text).expect("valid");
    config.data_dir = PathBuf::new();
    (config.settings, config.variables) = (Arc::default(), Arc::default());
    for camera in &mut config.cameras {
        camera.audio.source = AudioSource::None;
    }
    format!("{config:#?}")
}

#[test]
fn the_first_config_says_the_defaults() {
    // On the card alone: elsewhere the port may be somebody else's.
    let on_the_card = meaning("[http]\nplain_listen = \"0.0.0.0:80\"");
    assert_eq!(meaning(&perch_domain::setup::first_config(&[], "/data")), on_the_card);
    assert_ne!(on_the_card, meaning(""));
}

#[test]
fn the_readme_lists_the_defaults() {
    let readme = include_str!("../README.md");
    let keys = readme.split("### All keys\n```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let camera = "[[camera]]\nid = \"door\"\nname = \"Front door\"\nsource = \"test\"";
    assert_eq!(meaning(keys.expect("a list of all keys")), meaning(camera));
}

#[test]
fn every_key_has_a_sentence_and_every_sentence_a_key() {
    let keys: BTreeSet<_> = Config::all_keys().iter().map(|s| without_numbers(&s.key)).collect();
    let sentences: BTreeSet<_> = sentences::keys().map(str::to_owned).collect();
    assert_eq!(keys, sentences);
}

#[test]
fn lists_have_an_end() {
    let hosts = |n: usize| format!("[http]\nhostnames = [{}]\n", "\"a.example.org\", ".repeat(n));
    let cameras =
        |n: usize| (0..n).map(|n| format!("[[camera]]\nid = \"c{n}\"\nsource = \"test\"\n")).collect::<String>();
    let zones = |n: usize| {
        format!(
            "[[camera]]\nid = \"a\"\nsource = \"test\"\nmotion = {{ zones = [{}] }}\n",
            "[[0,0],[1,0],[1,1]], ".repeat(n)
        )
    };
    for most in [hosts(64), cameras(256), zones(64)] {
        parse(&most).expect("so many are fine");
    }
    for (text, want) in [
        (hosts(65), "http.hostnames = 65: must be at most 64"),
        (cameras(257), "camera = 257: must be at most 256 cameras"),
        (zones(65), "camera[0].motion.zones = 65: must be at most 64"),
    ] {
        let refused = parse(&text).expect_err("refused").to_string();
        assert!(refused.contains(want) && refused.len() < 200, "{refused}");
    }
}

/// The page's tests hold by this file that each key has a place and a label. `PERCH_BLESS=1` writes it anew.
#[test]
fn the_page_knows_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dev/settings-schema.json");
    let keys: Vec<_> = Config::all_keys().iter().map(Setting::described).collect();
    let want = json!({ "settings": keys, "locked": null });
    if std::env::var_os("PERCH_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&want).expect("JSON");
        std::fs::write(&path, text + "\n").expect("written");
    }
    let text = std::fs::read_to_string(&path).expect("it is there");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(file == want, "the page does not know what may be set now: run this test with PERCH_BLESS=1");
}

#[test]
fn a_described_config_reads_as_itself() {
    let text = "[recording]\nmax_days = 9\n[[camera]]\nid = \"a\"\nsource = \"rtsp://me:S3CRET@cam/x\"\n";
    let env = [("PERCH_BOX_NAME".to_owned(), "Shop".to_owned())].into_iter();
    let settings = Config::parse(text, env).expect("valid").settings;
    let of = |key: &str| settings.iter().find(|s| s.key == key).unwrap_or_else(|| panic!("no {key}"));
    assert_eq!((&of("recording.max_days").value, &of("recording.max_days").origin), (&json!(9), &Origin::File));
    assert_eq!((&of("recording.max_bytes").value, &of("recording.max_bytes").origin), (&json!(0), &Origin::Default));
    assert_eq!(of("box.name").origin, Origin::Variable("PERCH_BOX_NAME".into()));
    assert_eq!(of("camera[0].source").value, json!("rtsp://cam/…"));
    let tree = tree(&settings);
    assert_eq!(tree["camera"][0]["record"]["mode"], json!("continuous"));
    assert!(!format!("{settings:?}").contains("S3CRET"));
}

#[test]
fn keys_that_others_name_are_keys() {
    let (http, plain, rtsp, rtsps) =
        (HttpConfig::LISTEN, HttpConfig::PLAIN_LISTEN, rtsp::Config::LISTEN, rtsp::Config::TLS_LISTEN);
    let others = [webrtc::Config::UDP_LISTEN, RetentionConfig::MIN_FREE_BYTES, Config::DATA_DIR];
    for key in [http, plain, rtsp, rtsps].into_iter().chain(others) {
        let e = parse(&format!("{key} = []")).expect_err(key).to_string();
        assert!(e.contains(&format!("{key} = ")) && !e.contains("is not a known key"), "{e}");
    }
}

#[test]
fn refusals_name_key_value_and_rule() {
    let cam = |rest: &str| format!("[[camera]]\nid = \"a\"\nsource = \"test\"\n{rest}");
    let network = |rest: &str| format!("[[camera]]\nid = \"a\"\nsource = \"rtsp://h/x\"\n{rest}");
    let secure = |rest: &str| format!("[[camera]]\nid = \"a\"\nsource = \"rtsps://h/x\"\n{rest}");
    let many = vec!["[[0,0],[1,0],[1,1]]"; 33].join(",");
    for (text, want) in [
        (cam("privacy = [[[0,0],[2,0],[1,1]]]"), "camera[0].privacy = …: corner [2, 0]: both must be within"),
        (cam("privacy = [[[0,0],[1,1]]]"), "camera[0].privacy = …: a polygon of 2 corners"),
        (cam(&format!("privacy = [{many}]")), "camera[0].privacy = 33: must be at most 32 masks"),
        (network("privacy = [[[0,0],[1,0],[1,1]]]"), "camera[0].privacy = …: needs `encode = true`"),
        (network("overlay = { time = true }"), "camera[0].overlay = …: needs `encode = true`"),
        (network("encode = true\nsub_source = \"rtsp://h/y\""), "camera[0].sub_source = …: must not stand beside"),
        (cam("rotation = 45"), "camera[0].rotation = 45: must be 0, 90, 180 or 270 degrees clockwise (camera `a`)"),
        ("[htp]\nlisten = \"x\"".to_owned(), "htp"),
        ("[http]\nlisten = \"nowhere\"".into(), "http.listen = \"nowhere\": must be"),
        ("[http]\nport = 1".into(), "http.port = …: is not a known key"),
        ("[http]\nlistn = 1".into(), "http.listn = …: is not a known key; did you mean `listen`?"),
        ("[recordings]\nmax_days = 1".into(), "recordings = …: is not a known key; did you mean `recording`?"),
        (cam("bitrate = 1"), "camera[0].bitrate = …: is not a known key; did you mean `bitrate_kbps`? (camera `a`)"),
        (cam("record = { mod = \"off\" }"), "camera[0].record.mod = …: is not a known key; did you mean `mode`?"),
        ("[http]\nhostnames = [\"a b\"]".into(), "http.hostnames = \"a b\": must be host names"),
        ("[rtsp]\ntls_listen = 1".into(), "rtsp.tls_listen = 1: must be an address and port"),
        (
            "[update]\nurl = \"http://host/x\"".into(),
            "update.url = \"http://host/…\": the update's address must be like https",
        ),
        ("[update]\nchannel = 1".into(), "update.channel = …: is not a known key"),
        ("[update]\ncheck_every_h = 0".into(), "update.check_every_h = 0: must be 1 to"),
        ("[acme]\ndomain = \"box.local\"".into(), "acme.domain = \"box.local\": must be a domain of yours"),
        (
            "[acme]\ndomain = \"cam.example.org\"\nchallenge = \"dns-01\"".into(),
            "acme.dns_hook = \"\": is needed with challenge = \"dns-01\"",
        ),
        ("[acme]\nchallenge = \"dns-02\"".into(), "acme.challenge = \"dns-02\": must be one of tls-alpn-01"),
        (
            "[acme]\ndirectory = \"http://10.0.0.1/x\"".into(),
            "acme.directory = \"http://10.0.0.1/…\": must be like https",
        ),
        ("[box]\ntime_zone = \"Mars\"".into(), "box.time_zone = \"Mars\": must be a time zone's name"),
        (cam("[profile.\"No No\"]"), "cannot name a profile"),
        (
            cam("[profile.x.cameras.b]\noff = true"),
            "profile.x.cameras = \"b\": names no camera of this box; there are: a",
        ),
        (cam("[profile.x.cameras.a]\nof = true"), "profile.x.cameras.a.of = …: is not a known key"),
        (cam("[profile.x.cameras.a]\ndetect = {}"), "profile.x.cameras.a.detect"),
        (
            cam("[profile.x.cameras]\na = { record = { mode = \"never\" } }"),
            "profile.x.cameras.a.record.mode = \"never\": must be one of",
        ),
        (
            cam("record = { mode = \"motion\" }\n[profile.x.cameras]\na = { motion = { enabled = false } }"),
            "profile.x.cameras.a.motion.enabled = false: the camera is recorded around motion then",
        ),
        (cam("[[schedule]]\nto = \"06:00\"\noff = true"), "schedule[0].from: is missing"),
        (
            cam("[[schedule]]\nfrom = \"6:00\"\nto = \"07:00\"\noff = true"),
            "schedule[0].from = \"6:00\": must be a time",
        ),
        (cam("[[schedule]]\nfrom = \"06:00\"\nto = \"06:00\"\noff = true"), "schedule[0].to = \"06:00\": must differ"),
        (cam("[[schedule]]\nfrom = \"06:00\"\nto = \"07:00\""), "schedule[0].profile = …: is missing"),
        (
            cam("[[schedule]]\nfrom = \"06:00\"\nto = \"07:00\"\nprofile = \"x\""),
            "schedule[0].profile = \"x\": names no profile",
        ),
        (
            cam("[[schedule]]\nfrom = \"06:00\"\nto = \"07:00\"\noff = [\"b\"]"),
            "schedule[0].off = \"b\": names no camera",
        ),
        (cam("[[schedule]]\nfrom = \"06:00\"\nto = \"07:00\"\noff = 1"), "schedule[0].off = 1: must be true"),
        (
            cam("[[schedule]]\ndays = [\"monday\"]\nfrom = \"06:00\"\nto = \"07:00\"\noff = true"),
            "schedule[0].days = \"monday\": must be days",
        ),
        ("[[rule]]\nid = \"b\"".into(), "rule"),
        ("[access]\notp_digits = 3".into(), "access.otp_digits = 3: must be 6 to 12"),
        (cam("record = { chapter_s = 121 }"), "camera[0].record.chapter_s = 121: must be 10 to 120"),
        ("[access]\notp_digits = \"8\"".into(), "access.otp_digits = \"8\": must be a whole number"),
        (cam("width = 641"), "camera[0].width = 641: must be even"),
        (cam("width = 99999"), "camera[0].width = 99999: must be 64 to 4096"),
        (
            cam("record = { mode = \"sometimes\" }"),
            "camera[0].record.mode = \"sometimes\": must be one of continuous, motion, off",
        ),
        (cam("motion = { zones = [[[0, 0], [1, 2], [0, 1]]] }"), "camera[0].motion.zones"),
        (
            cam("talkback = { sink = \"loud\" }"),
            "camera[0].talkback.sink = \"loud\": must be test, camera or alsa:DEVICE",
        ),
        (cam("talkback = { echo = \"yes\" }"), "camera[0].talkback.echo = \"yes\": must be one of cancel, duck, none"),
        (cam("talkback = { max_s = 4 }"), "camera[0].talkback.max_s = 4: must be 5 to 3600"),
        (cam("transport = \"udp\""), "camera[0].transport = …: is only for a network camera"),
        (cam("tls = { ca_file = \"/a\" }"), "camera[0].tls = …: is only for a network camera"),
        (cam("sub_source = \"rtsp://h/2\""), "camera[0].sub_source = …: is only for a network camera"),
        (cam("aspect = \"16:9\""), "camera[0].aspect = …: is only for a network camera"),
        (
            network("transport = \"quic\""),
            "camera[0].transport = \"quic\": must be one of auto, tcp, udp, multicast, http",
        ),
        (network("tls = { ca_file = \"/a\" }"), "camera[0].tls = …: is only for an address that begins with rtsps://"),
        (network("sub_source = \"rtsp://h/x\""), "camera[0].sub_source = \"rtsp://h/…\": must differ from `source`"),
        (network("sub_source = \"http://h/x\""), "camera[0].sub_source = \"http://h/…\": must be an address like"),
        (network("aspect = \"wide\""), "camera[0].aspect = \"wide\": must be width:height"),
        (network("codec = \"vp8\"\nrecord = { mode = \"off\" }"), "camera[0].codec = \"vp8\": must be h264"),
        (secure("transport = \"udp\""), "camera[0].transport = \"udp\": must be auto, tcp or http with rtsps://"),
        (secure("tls = { }"), "camera[0].tls.ca_file = \"\": or `sha256` is needed"),
        (secure("tls = { sha256 = \"00\" }"), "camera[0].tls.sha256 = \"00\": must be the SHA-256 fingerprint"),
        (
            secure(&format!("tls = {{ ca_file = \"/a\", sha256 = \"{}\" }}", "00".repeat(32))),
            "camera[0].tls.sha256 = …: must stand without `ca_file`",
        ),
        (
            cam("codec = \"vp8\"\nrecord = { mode = \"motion\" }"),
            "camera[0].record.mode = \"motion\": must be `off` with codec",
        ),
        ("[[camera]]\nid = \"../x\"\nsource = \"test\"".into(), "camera[0].id"),
        ("[[camera]]\nid = \"a\"\nsource = \"exec:rm\"".into(), "camera[0].source = \"exec:rm\": must be test, file"),
        ("[[camera]]\nid = \"a\"".into(), "camera[0].source"),
        (cam("record = { mode = \"motion\" }\nmotion = { enabled = false }"), "camera[0].record.mode"),
        (
            cam("record = { segment_max_s = 10, pre_roll_s = 20 }"),
            "camera[0].record.pre_roll_s = 20: must be at most segment_max_s",
        ),
        (cam("[[camera]]\nid = \"a\"\nsource = \"test\""), "camera[1].id = \"a\": must differ"),
        ("box = 3".into(), "box = …: must be a table"),
        ("[camera]\nid = \"a\"".into(), "write [[camera]] in double brackets"),
        ("[box".into(), "not TOML"),
    ] {
        let e = parse(&text).expect_err(&text);
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains(want), "{text}\n{e}\nwanted: {want}");
    }
}

#[test]
fn a_session_that_could_be_idle_for_longer_than_it_lives_is_warned_of() {
    let day = perch_base::time::DAY;
    for (text, idle, warnings) in [
        ("session_max_s = 100\nsession_idle_s = 101", day / 864, 1),
        ("session_max_s = 100\nsession_idle_s = 100", day / 864, 0),
        // Who only shortened the whole said nothing odd.
        ("session_max_s = 86400", day, 0),
        ("session_idle_s = 31536000", 90 * day, 1),
    ] {
        let config = parse(&format!("[access]\n{text}")).expect("it is taken");
        assert_eq!((config.session.idle, config.warnings.len()), (idle, warnings), "{text}");
        let named = |w: &String| w.starts_with("access.session_idle_s = ") && w.contains("session_max_s");
        assert!(config.warnings.iter().all(named), "{:?}", config.warnings);
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let e = parse("[http]\na = 1\nb = 2\n[access]\notp_ttl_s = 1").expect_err("three problems");
    assert_eq!(e.to_string().lines().filter(|l| l.starts_with("  ")).count(), 3, "{e}");
}

#[test]
fn the_environment_overrides() {
    let env =
        [("PERCH_HTTP_LISTEN", "127.0.0.1:1"), ("PERCH_ACCESS_OTP_DIGITS", "6"), ("PERCH_LOG", "debug"), ("HOME", "/")];
    let c = Config::parse("[http]\nlisten = \"0.0.0.0:2\"", env.map(|(a, b)| (a.to_owned(), b.to_owned())).into_iter())
        .expect("valid");
    assert_eq!((c.http.listen.port(), c.pairing.digits), (1, 6));
}

/// A container platform sets such variables for every service that is called perch.
#[test]
fn what_the_environment_holds_besides_is_warned_of() {
    let env = ["PERCH_PORT_8443_TCP", "PERCH_HTPP_LISTEN", "PERCH_HTTP_SERVICE_HOST"];
    let c = Config::parse("", env.map(|name| (name.to_owned(), "tcp://10.0.0.1".to_owned())).into_iter())
        .expect("it starts");
    assert_eq!(c.warnings.len(), 3, "{:?}", c.warnings);
    let all = "with a section of box, http, acme, rtsp, webrtc, access, recording, update";
    assert_eq!(c.warnings.iter().filter(|w| w.ends_with(all)).count(), 2, "{:?}", c.warnings);
    for name in env {
        assert!(c.warnings.iter().any(|w| w.starts_with(name) && w.contains("ignored")), "{:?}", c.warnings);
    }
    let e = Config::parse("[http]\nlistn = 1", std::iter::empty()).expect_err("a typing mistake in the file");
    assert!(e.to_string().contains("http.listn"), "{e}");
    let bad = [("PERCH_HTTP_LISTEN".to_owned(), "nowhere".to_owned())].into_iter();
    assert!(Config::parse("", bad).is_err(), "a known key is checked wherever it comes from");
}

#[test]
fn what_nobody_sees_is_refused_by_name() {
    let cam = |source: &str| format!("[[camera]]\nid = \"a\"\nsource = \"{source}\"");
    for (text, want) in [
        (cam("rtsp://host/x "), "has a blank at its end: remove it"),
        (cam(" rtsp://host/x"), "has a blank at its beginning: remove it"),
        (cam("rtsp://ho\u{200b}st/x"), "invisible character (U+200B, the 10.)"),
        ("[box]\nname = \"Shop\u{feff}\"".to_owned(), "invisible character (U+FEFF, the 5.)"),
    ] {
        let e = parse(&text).expect_err(&text);
        assert!(e.to_string().contains(want), "{text}\n{e}\nwanted: {want}");
    }
}

/// A password in the wrong place, or beside a mistake, stays unsaid; the place is named.
#[test]
fn no_refusal_repeats_a_secret() {
    let cam = |rest: &str| format!("[[camera]]\nid = \"a\"\n{rest}");
    let test = |rest: &str| cam(&format!("source = \"test\"\n{rest}"));
    for (text, want) in [
        (cam("source = \"rtsp://u:S3CRETPW@10.0.0.1:99999/ x\""), "camera[0].source = \"rtsp://10.0.0.1:99999/…\""),
        (cam("source = \"rtsp://u:S3CRETPW@@h/x y\""), "camera[0].source = \"rtsp://h/…\""),
        (cam("source = \"rtsp://u:S3CRET/PW@h/x\""), "camera[0].source = \"rtsp://…\""),
        (cam("source = \"rtsp//u:S3CRETPW@h/x\""), "camera[0].source = \"…\": must be test"),
        (cam("source = \"rtsp://u:S3CRETPW@10.0.0.1/x\u{200b}\""), "camera[0].source = \"rtsp://10.0.0.1/…\": holds"),
        (cam("source = \"rtsp://u:S3CRETPW@10.0.0.1/x\u{a0}y\""), "(U+00A0, the 29. character)"),
        (cam("source = \"rtsp://u:S3CRETPW@10.0.0.1/\u{e0041}\""), "U+E0041"),
        (cam("source = \"rtsp://u:S3CRETPW@h/x"), "line 3"),
        (cam("source = rtsp://u:S3CRETPW@h/x"), "line 3"),
        (cam("source = \"rtsp://u:S3CRETPW@h/x\"\nsource = \"rtsp://u:S3CRETPW@h/y\""), "line 4"),
        (test("S3CRETPW = 1\nS3CRETPW = 2"), "line 5"),
        (cam("source = [\"rtsp://u:S3CRETPW@h/x\"]"), "camera[0].source = …: must be a text"),
        (cam("source = { S3CRETPW = 1 }"), "camera[0].source = …: must be a text"),
        (test("sourc = \"rtsp://u:S3CRETPW@h/x\""), "camera[0].sourc = …: is not a known key"),
        (test("password = \"S3CRETPW\""), "camera[0].password = …: is not a known key"),
        (test("S3CRETPW = 1"), "camera[0].… = …: is not a known key"),
        (test("\"rtsp://u:S3CRETPW@h/x\" = 1"), "camera[0].… = …: is not a known key"),
        (test("audio = { source = \"rtsp://u:S3CRETPW@h/x\" }"), "camera[0].audio.source = \"rtsp://h/…\": must be"),
        (test("audio = \"rtsp://u:S3CRETPW@h/x\""), "camera[0].audio = …: must be a table"),
        (test("name = [\"rtsp://u:S3CRETPW@h/x\"]"), "camera[0].name = …: must be a text"),
        (test("motion = { zones = [[\"S3CRETPW\"]] }"), "camera[0].motion.zones = …: must be a list of polygons"),
        (test("push = \"rtmp://h/S3CRETPW\""), "camera[0].push = …: must be a list"),
        ("[[camera]]\nid = \"rtsp://u:S3CRETPW@h/x\"\nsource = \"test\"".into(), "camera[0].id = \"rtsp://h/…\""),
        ("[update]\nurl = \"https://u:S3CRETPW@h/x y\"".into(), "update.url = \"https://h/…\""),
        ("[update]\nurl = \"https://u:S3CRETPW@h/x\"".into(), "update.url = \"https://h/…\": the update's address"),
        ("camera = \"rtsp://u:S3CRETPW@h/x\"".into(), "camera = …: must be a list"),
        ("camera = [\"rtsp://u:S3CRETPW@h/x\"]".into(), "camera[0] = …: must be a table"),
        ("S3CRETPW = \"x\"".into(), "… = …: is not a known key"),
        ("[http]\nlisten = \"https://u:S3CRETPW@h:1\"".into(), "http.listen = \"https://h:1\": must be"),
        ("[http]\nhostnames = [\"https://u:S3CRETPW@h:1\", [\"S3CRETPW\"]]".into(), "http.hostnames = \"https://h:1\""),
        ("[webrtc]\nturn = [{ url = \"turn:u:S3CRETPW@h:1\" }]".into(), "webrtc.turn[0].url = \"…\": must be"),
        (
            "[webrtc]\nturn = [{ url = \"turn:h:1\", secret_file = \"S3CRETPW\" }]".into(),
            "webrtc.turn[0].secret_file = …",
        ),
        ("[webrtc]\nstun = \"stun:u:S3CRETPW@h\"".into(), "webrtc.stun = …: must be a list"),
    ] {
        let e = parse(&text).expect_err(&text).to_string();
        assert!(e.contains(want), "{text}\n{e}\nwanted: {want}");
        assert!(!e.contains("S3CRET"), "{text}\n{e}");
    }
    let env = [("PERCH_HTTP_LISTEN".to_owned(), "https://u:S3CRETPW@h:1".to_owned())].into_iter();
    assert!(!Config::parse("", env).expect_err("no address").to_string().contains("S3CRET"));
}

#[test]
fn what_nobody_sees_is_refused_everywhere() {
    for text in [
        "[box]\nname = \"a\u{e0041}b\"",
        "[box]\nname = \"\u{3164}\"",
        "[box]\nname = \"a\\u0000b\"",
        "[[camera]]\nid = \"a\"\nname = \"x\u{200b}\"\nsource = \"test\"",
        "[[camera]]\nid = \"a\u{200b}\"\nsource = \"test\"",
        "[http]\nhostnames = [\"a.example\u{200b}\"]",
    ] {
        let e = parse(text).expect_err(text).to_string();
        assert!(e.contains("holds an invisible character (U+"), "{text}\n{e}");
    }
    let e = parse("[box]\n\"na\u{200b}me\" = \"x\"").expect_err("a key").to_string();
    assert!(e.contains("box.… = …: is not a known key"), "{e}");
    let e = parse("[http]\nhostnames = [\" b.example\"]").expect_err("a blank").to_string();
    assert!(e.contains("http.hostnames = \" b.example\": has a blank at its beginning"), "{e}");
}

#[test]
fn files_that_never_end_are_refused() {
    for path in ["/dev/zero", "/etc"] {
        let text = format!("[webrtc]\nturn = [{{ url = \"turn:h:1\", secret_file = \"{path}\" }}]");
        let e = parse(&text).expect_err(path).to_string();
        assert!(e.contains(&format!("secret_file = \"{path}\": must name a file")) && e.contains("regular"), "{e}");
        let e = Config::load(Some(Path::new(path))).expect_err(path);
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains("it is not a regular file"), "{e}");
    }
}

#[test]
fn copies_are_encrypted_for_public_keys_alone() {
    let with = |more: &str| {
        let keys = "endpoint = \"https://s3.example.org\"\nbucket = \"copies\"\naccess_key = \"a\"\nsecret_key = \"s\"";
        parse(&format!("[[sync]]\n{keys}\n{more}"))
    };
    let public = "age12s8kxhuvarkxwjpcqxrte7d93p09jgcatjjtv8e88u6t0q4fhgyqtpupzj";
    let secret = "AGE-SECRET-KEY-1LZYU7A4D7WY3FTV6CW7GVUQJHKPKF2MJR362K8R7NUK6V7D8AFRQQ8TQ6G";
    let readers = |text: &str| with(text).expect(text).sync[0].encrypt_to.len();
    // As the settings tell it, which are sent back.
    assert_eq!((readers(""), readers("encrypt_to = []")), (0, 0));
    assert_eq!(readers(&format!("encrypt_to = [\"{public}\", \"{public}\"]\nopaque = true")), 1);
    for (text, want) in [
        (format!("encrypt_to = [\"{secret}\"]"), "sync[0].encrypt_to = …: must be a list of public keys"),
        ("encrypt_to = [\"age1\"]".to_owned(), "must be a list of public keys"),
        ("opaque = true".to_owned(), "needs `encrypt_to`"),
    ] {
        let e = with(&text).expect_err(&text).to_string();
        assert!(e.contains(want) && !e.contains("LZYU7A4D"), "{e}");
    }
}
