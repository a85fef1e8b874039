//! Many event streams of one device: its oldest end, everybody else's go on.

use crate::support::*;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use perch_domain::access::Role;
use perch_domain::health::CameraHealth;
use perch_domain::status::Notice;
use std::sync::Arc;
use std::time::Duration;

/// What a device may have open.
const SHARE: usize = 8;

async fn open(rig: &Rig, token: &str) -> http::Response<Incoming> {
    let auth = format!("Bearer {token}");
    let mut stream = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    assert_eq!(stream.status(), 200);
    assert!(next(&mut stream).await.expect("open").starts_with("retry: 2000"));
    stream
}

/// The next piece; `None` at the end.
async fn next(stream: &mut http::Response<Incoming>) -> Option<String> {
    let frame = tokio::time::timeout(Duration::from_secs(60), stream.frame()).await.expect("it goes on or ends")?;
    let data = frame.expect("whole").into_data().expect("data");
    Some(String::from_utf8(data.to_vec()).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_opens_stream_after_stream_ends_its_own() {
    let rig = Rig::start().await;
    let (_, honest) = rig.fake.device(Role::Viewer, None);
    let (_, greedy) = rig.fake.device_with(&only(&[front()]), Some("anna"));
    let mut others = open(&rig, &honest).await;
    let mut streams = Vec::new();
    for _ in 0..3 * SHARE {
        streams.push(open(&rig, &greedy).await);
    }
    for stream in &mut streams[..2 * SHARE] {
        // Whoever gave way waits a while before it asks for a place again.
        assert_eq!(next(stream).await.as_deref(), Some("retry: 30000\n\n"));
        assert_eq!(next(stream).await, None);
    }
    let notice = Notice::Health { camera: front(), health: CameraHealth::starting(now()) };
    rig.notices.send(Arc::new(notice)).expect("listeners");
    for stream in streams[2 * SHARE..].iter_mut().chain([&mut others]) {
        assert!(next(stream).await.expect("goes on").starts_with("event: health"));
    }
    // A stream that ended by itself leaves its place: the rest stays.
    drop(streams.pop());
    let mut fresh = None;
    for _ in 0..2 {
        fresh = Some(open(&rig, &greedy).await);
    }
    drop(fresh);
    println!("{} streams of one device: {} gave way, {SHARE} and another's went on", 3 * SHARE, 2 * SHARE);
}
