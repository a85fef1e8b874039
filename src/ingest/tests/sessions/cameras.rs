//! Odd cameras: how packets travel, sign-in, sessions, descriptions.

use super::support::{ingest, request, watch};
use perch_base::ErrorKind;
use perch_domain::orientation::Orientation;
use perch_ingest::Ingest;
use perch_test_cameras::{ALL, Camera, Case, KeepAlive, Kind, Model, find, media};
use std::sync::Arc;
use std::time::Duration;

/// How long a case may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Pictures after which a camera plays.
const ENOUGH: usize = 12;

/// Watches a camera as the box does, session after session, until enough pictures came or an error that stays.
async fn watched(case: &'static Case) -> Result<(), String> {
    let camera = match Camera::start(case) {
        Ok(camera) => camera,
        Err(absent) => {
            println!("SKIPPED: {}: {absent}", case.name);
            return Ok(());
        }
    };
    let ingest = ingest();
    let request = request(&camera.url(), case.transport);
    let mut words = Vec::new();
    let (mut pictures, mut in_order) = (0, true);
    for _ in 0..5 {
        let (result, seen) = watch(&ingest, &request, LIMIT, |seen| seen.pictures >= ENOUGH).await;
        pictures += seen.pictures;
        in_order &= seen.in_order;
        match result {
            Ok(()) => break,
            Err(e) => {
                words.push(e.message().to_owned());
                if e.kind() == ErrorKind::Unauthenticated {
                    break;
                }
            }
        }
    }
    let (wants, counts) = (case.right.pictures_a_second > 0.0, camera.counts());
    if !in_order {
        return Err("something came before the offer".into());
    }
    if wants != (pictures >= ENOUGH) {
        return Err(format!("{pictures} pictures; {words:?}; {:?}", counts.requests));
    }
    if counts.refused_sign_ins > 1 {
        return Err(format!("{} sign-ins with a wrong password", counts.refused_sign_ins));
    }
    let word = case.right.sentence.filter(|_| !wants);
    match word.filter(|word| !words.iter().any(|w| w.contains(word))) {
        Some(word) => Err(format!("no word of {word}: {words:?}")),
        None => Ok(()),
    }
}

/// Watches a camera and compares what it says of its pictures.
async fn shaped(case: &'static Case) -> Result<(), String> {
    let Ok(camera) = Camera::start(case).map_err(|absent| println!("SKIPPED: {}: {absent}", case.name)) else {
        return Ok(());
    };
    let request = request(&camera.url(), case.transport);
    let (_, seen) = watch(&ingest(), &request, LIMIT, |seen| seen.pictures >= 3).await;
    let Some(shape) = seen.shape else { return Err("no picture".into()) };
    let got = ((shape.width, shape.height), shape.pixel, shape.orientation);
    let want = (case.right.size, case.right.pixel, Orientation { mirrored: false, quarters: case.right.quarters });
    if got == want { Ok(()) } else { Err(format!("{got:?}, not {want:?}")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shape_of_pictures_is_known() {
    let names = ["sar", "nosar", "odd", "crop", "mbaff", "turned", "h265turned"];
    let running = names.map(|name| (name, tokio::spawn(shaped(find(name).expect("a case")))));
    for (name, task) in running {
        assert_eq!(task.await.expect("it did not panic"), Ok(()), "{name}");
    }
}

async fn all_of(kinds: &[Kind], but: &[&str]) {
    let cases = ALL.iter().copied().flatten().filter(|case| kinds.contains(&case.kind) && !but.contains(&case.name));
    let mut failed = Vec::new();
    let cases: Vec<&'static Case> = cases.collect();
    assert!(cases.len() > 3);
    // Some at once: most of the time is spent waiting for pictures.
    for some in cases.chunks(6) {
        let running: Vec<_> = some.iter().map(|case| (case.name, tokio::spawn(watched(case)))).collect();
        for (name, task) in running {
            if let Err(what) = task.await.expect("it did not panic") {
                failed.push(format!("{name}: {what}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_come_whichever_way_they_travel() {
    all_of(&[Kind::Plain, Kind::Transport], &["heavy"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sign_in_that_is_right_is_let_in_and_a_wrong_one_tried_once() {
    all_of(&[Kind::SignIn, Kind::Tls], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_description_that_can_be_understood_is() {
    all_of(&[Kind::Sdp], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_begin_however_oddly_they_are_answered() {
    // Silence is judged by who watches the session; those that need it are there.
    let silent = ["silent", "stops", "byeend"];
    all_of(&[Kind::Session], &silent).await;
}

/// Cameras that want a sign of life, or bear only some, for longer than they would live without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_kept_alive_as_the_camera_bears_it() {
    let long = |name: &'static str| async move {
        let case = find(name).expect("a case");
        let model = (case.model)().map_err(|absent| println!("SKIPPED: {name}: {absent}"));
        let Ok(model) = model else { return };
        let camera = Camera::of(model, 0).expect("it starts");
        let (ingest, request) = (ingest(), request(&camera.url(), "auto"));
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(26) {
            let left = Duration::from_secs(26).saturating_sub(begun.elapsed());
            let _ = watch(&ingest, &request, left, |_| false).await;
        }
        let counts = camera.counts();
        // One, or two where something is learned; without a sign of life it is one each six or eight seconds.
        assert!(counts.plays <= 3, "{name}: {} sessions, {:?}", counts.plays, counts.requests);
        assert!(counts.packets > 20, "{name}: {} packets", counts.packets);
    };
    tokio::join!(
        long("keep454"),
        long("keepclose"),
        long("keepnone"),
        long("needkeep6"),
        long("keepoptions"),
        long("keepset"),
        long("keepspaces"),
        long("needreports"),
        long("notimeout"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_camera_does_not_bear_is_remembered() {
    let model = Model::pictures(media::draw::tiny(), 25.0);
    let model =
        model.mannered(|m| (m.keep_alive, m.transports.tcp, m.mute) = (KeepAlive::Answered, false, vec!["OPTIONS"]));
    let camera = Camera::of(model, 0).expect("it starts");
    let (ingest, request) = (ingest(), request(&camera.url(), "auto"));
    for _ in 0..2 {
        let (result, _) = watch(&ingest, &request, LIMIT, |seen| seen.pictures >= 5).await;
        result.expect("it plays");
    }
    // The second session asked for UDP at once: three SETUPs in all.
    assert_eq!(camera.counts().requests.get("SETUP"), Some(&3), "{:?}", camera.counts().requests);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_says_goodbye() {
    let camera = Camera::of(Model::pictures(media::draw::tiny(), 25.0), 0).expect("it starts");
    let request = request(&camera.url(), "tcp");
    let (result, seen) = watch(&ingest(), &request, LIMIT, |seen| seen.pictures >= 5).await;
    result.expect("it plays");
    assert!(seen.pictures >= 5 && camera.counts().requests.get("TEARDOWN") == Some(&1), "{:?}", camera.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_at_home_is_said_in_words() {
    let ingest: Arc<Ingest> = Arc::new(ingest());
    let said = |url: &'static str, transport: &'static str| {
        let ingest = Arc::clone(&ingest);
        async move {
            let (result, _) = watch(&ingest, &request(url, transport), LIMIT, |_| false).await;
            let e = result.expect_err("nobody is there");
            (e.kind(), e.message().to_owned())
        }
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url: &'static str = format!("rtsp://me:secret@127.0.0.1:{free}/live").leak();
    for transport in ["auto", "http"] {
        let (kind, words) = said(url, transport).await;
        assert_eq!(kind, ErrorKind::Io);
        assert!(words.contains(&format!("nothing answers on its port {free}")), "{words}");
    }
    // A label of more than 63 letters can be no name: none is asked.
    let unknown: &'static str = format!("rtsp://{}.invalid/live", "a".repeat(64)).leak();
    let (kind, words) = said(unknown, "auto").await;
    assert_eq!(kind, ErrorKind::Io);
    assert!(words.contains("its name is not known"), "{words}");
    assert_eq!(said("http://127.0.0.1/", "auto").await.0, ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_entered_by_name_may_redirect_to_its_address() {
    let Ok(camera) = Camera::start(find("redirect").expect("a case")) else { return };
    let url = camera.url().replace("127.0.0.1", "localhost");
    let (result, seen) = watch(&ingest(), &request(&url, "tcp"), LIMIT, |seen| seen.pictures >= ENOUGH).await;
    result.expect("it plays");
    assert!(seen.pictures >= ENOUGH);
}
