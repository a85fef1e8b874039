//! Cameras that want to do harm, as far as their sessions go, and TLS that must be refused.

use super::support::{Known, Seen, ingest, request, watch};
use perch_base::clock::SystemClock;
use perch_base::secret::sha256;
use perch_base::{Error, ErrorKind};
use perch_domain::ingest::{IngestRequest, TlsTrust};
use perch_ingest::Ingest;
use perch_test_cameras::{Camera, find};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// The camera of a case, where this machine can make its pictures.
fn camera(name: &str) -> Option<Camera> {
    let made = Camera::start(find(name).expect("a case"));
    made.map_err(|absent| println!("SKIPPED: {name}: {absent}")).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_with_liars_end_in_time_and_in_words() {
    let ended = |name: &'static str, kinds: &'static [ErrorKind], within: u64| async move {
        let Some(camera) = camera(name) else { return };
        let begun = Instant::now();
        let (result, seen) = watch(&ingest(), &request(&camera.url(), "auto"), LIMIT, |_| false).await;
        let e = result.expect_err(name);
        assert!(kinds.contains(&e.kind()) && seen.pictures == 0, "{name}: {e}");
        assert!(begun.elapsed() < Duration::from_secs(within), "{name}: {:?}", begun.elapsed());
        assert!(!e.message().ends_with('.') && e.message().len() > 20, "{name}: {e}");
    };
    use ErrorKind::{Invalid, Io, Unavailable, Unsupported};
    tokio::join!(
        ended("sdp10mb", &[Invalid], 30),
        ended("slowanswers", &[Unavailable], 55),
        ended("header1mb", &[Unavailable], 50),
        ended("redirectloop", &[Unavailable], 30),
        // The same host, and nobody there or a box without that path.
        ended("redirectbox", &[Io, Unavailable, Unsupported, Invalid], 30),
        ended("redirectfile", &[Invalid, Unsupported], 30),
    );
}

/// Whatever comes in place of packets, the session takes it and ends when it is told to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_for_ever_is_borne() {
    let borne = |name: &'static str| async move {
        let Some(camera) = camera(name) else { return };
        let begun = Instant::now();
        let (result, _) = watch(&ingest(), &request(&camera.url(), "tcp"), Duration::from_secs(6), |_| false).await;
        assert!(begun.elapsed() < LIMIT, "{name}: {:?}", begun.elapsed());
        // Words about what came are as good as going on.
        println!("{name}: {result:?}");
    };
    tokio::join!(borne("junkonly"), borne("rtpjunk"), borne("flipsall"), borne("neverlength"), borne("sdplines"));
}

async fn secured(name: &str, trust: impl FnOnce(&Camera) -> TlsTrust) -> Option<(Result<(), Error>, Seen)> {
    let camera = camera(name)?;
    let request = IngestRequest { trust: trust(&camera), ..request(&camera.url(), "auto") };
    Some(watch(&ingest(), &request, LIMIT, |seen| seen.pictures >= 5).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_trusted_as_asked() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let mut authority = |camera: &Camera| {
        file.as_file_mut().set_len(0).expect("empty");
        let pem = camera.authority().expect("it has one").as_bytes();
        std::io::Seek::rewind(&mut file).and_then(|()| file.write_all(pem)).expect("written");
        TlsTrust::Authority(file.path().to_owned())
    };
    let fingerprint = |camera: &Camera| sha256(camera.certificate().expect("it has one"));
    if let Some((result, seen)) = secured("tlsca", &mut authority).await {
        result.expect("it is trusted");
        assert!(seen.pictures >= 5);
    }
    for (name, word) in [("tlsexpired", "run out"), ("tlsname", "another name")] {
        let Some((result, seen)) = secured(name, &mut authority).await else { continue };
        let e = result.expect_err("it is not trusted");
        assert!(e.message().contains(word) && e.kind() == ErrorKind::Unavailable, "{e}");
        assert_eq!(seen.pictures, 0);
        // By its fingerprint it is.
        let (result, _) = secured(name, |camera| TlsTrust::Pinned(fingerprint(camera))).await.expect("as before");
        result.expect("it is trusted");
    }
    if let Some((result, _)) = secured("tlsown", |_| TlsTrust::Pinned([7; 32])).await {
        let e = result.expect_err("it is another");
        assert!(e.message().contains("another certificate"), "{e}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_certificate_is_kept_and_no_other_is_taken_in_its_place() {
    let Some(camera) = camera("tlsown") else { return };
    let known = Arc::new(Known::default());
    let ingest = || Ingest::new(Arc::new(SystemClock), known.clone());
    let watched = async || watch(&ingest(), &request(&camera.url(), "auto"), LIMIT, |seen| seen.pictures >= 5).await;
    watched().await.0.expect("the first is trusted");
    let own = sha256(camera.certificate().expect("it has one"));
    assert_eq!(known.0.lock().expect("whole").values().collect::<Vec<_>>(), [&own]);
    watched().await.0.expect("it is the same");
    for kept in known.0.lock().expect("whole").values_mut() {
        *kept = [7; 32];
    }
    let e = watched().await.0.expect_err("it is another");
    assert!(e.message().contains("another certificate"), "{e}");
    assert_eq!(known.0.lock().expect("whole").values().collect::<Vec<_>>(), [&[7; 32]], "it is not taken in its place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_where_there_is_none_and_the_other_way_round() {
    let Some(camera) = camera("norm") else { return };
    let url = camera.url().replace("rtsp:", "rtsps:");
    let (result, _) = watch(&ingest(), &request(&url, "auto"), LIMIT, |_| false).await;
    let e = result.expect_err("there is none");
    assert!(e.kind() == ErrorKind::Unavailable && e.message().contains("TLS"), "{e}");
    let request = IngestRequest { trust: TlsTrust::Authority("/nowhere/ca.pem".into()), ..request(&url, "auto") };
    let (result, _) = watch(&ingest(), &request, LIMIT, |_| false).await;
    assert_eq!(result.expect_err("no file").kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_asked_for_where_the_url_does_not_say_it() {
    let Some(camera) = camera("tlsown") else { return };
    let url = camera.url().replace("rtsps:", "rtsp:");
    let begun = Instant::now();
    let (result, _) = watch(&ingest(), &request(&url, "auto"), LIMIT, |_| false).await;
    assert_eq!(result.expect_err("it speaks TLS").kind(), ErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(40));
}
