//! Viewers who only listen for a while: what they are sent, what they keep of the camera, and how fast pictures are back.

use super::*;
use perch_domain::status::LiveSession;

fn session(bench: &Bench, lease: LeaseId) -> LiveSession {
    let all = bench.engine.sessions().expect("answers");
    all.into_iter().find(|session| session.lease == lease).expect("goes on")
}

/// Bits a second of the camera's sound, with what RTP and its encryption add to each packet.
fn sound_bps() -> f64 {
    let audio = &source::canned().audio;
    audio.iter().map(|packet| (packet.len() + 12 + 8 + 16) as f64 * 8.0).sum::<f64>() / 2.0
}

/// Bits a second that a session is sent over `seconds`.
fn sent_bps(bench: &Bench, lease: LeaseId, seconds: u64) -> f64 {
    let (before, started) = (session(bench, lease).bytes_sent, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    (session(bench, lease).bytes_sent - before) as f64 * 8.0 / started.elapsed().as_secs_f64()
}

#[test]
fn a_viewer_that_only_listens_is_sent_nothing_but_sound_and_keeps_no_stream() {
    let bench = Bench::new();
    let (lease, viewer) = bench.watch(device(), Stream::Sub);
    viewer.until("a picture and sound", |seen| seen.frames > 30 && seen.sounds > 30);
    assert!(bench.source.control.demand().sub);
    bench.engine.set_sound_only(lease, true).expect("listens");
    assert_eq!(bench.source.hub.consumers(Stream::Sub), [""; 0], "nobody looks at the small stream");
    let demand = bench.source.control.demand();
    assert_eq!((demand.sub, demand.audio), (false, true));
    // What was on its way.
    std::thread::sleep(Duration::from_secs(1));
    let before = viewer.seen();
    let bps = sent_bps(&bench, lease, 4);
    let seen = viewer.seen();
    assert_eq!(seen.frames, before.frames, "no picture comes");
    let sounds = seen.sounds - before.sounds;
    assert!((190..=215).contains(&sounds), "{sounds} of some 200 packets of sound");
    // Beside it checks of consent and reports, and no padding: that would make it 50,000.
    assert!(bps < sound_bps() + 6_000.0, "{bps} bits a second, of which {} are sound", sound_bps());
    let told = session(&bench, lease);
    assert_eq!((told.ration, told.why), ("sound", "wish"));
    assert!(told.sent_bps.is_some_and(|told| (told as f64) < bps * 1.5), "{told:?}");
    println!("{bps:.0} bits a second are sent, {:.0} of them sound", sound_bps());
}

#[test]
fn pictures_are_back_at_once_and_sound_never_stops() {
    let bench = Bench::new();
    let (lease, viewer) = bench.watch(device(), Stream::Main);
    viewer.until("a picture and sound", |seen| seen.frames > 30 && seen.sounds > 30);
    let (before, started) = (viewer.seen().sounds, Instant::now());
    let mut waited = Vec::new();
    for _ in 0..5 {
        bench.engine.set_sound_only(lease, true).expect("listens");
        std::thread::sleep(Duration::from_millis(700));
        let frames = viewer.seen().frames;
        let woken = Instant::now();
        bench.engine.set_sound_only(lease, false).expect("looks");
        viewer.until("a picture", |seen| seen.frames > frames);
        waited.push(woken.elapsed());
        std::thread::sleep(Duration::from_millis(700));
    }
    let (sounds, seconds) = (viewer.seen().sounds - before, started.elapsed().as_secs_f64());
    assert!((sounds as f64) > seconds * 50.0 - 15.0, "{sounds} packets of sound in {seconds:.1} s");
    let seen = viewer.seen();
    assert_eq!(seen.broken, 0, "each begins whole");
    assert!(seen.frames > 80, "{} pictures", seen.frames);
    println!("pictures were back after {waited:?}");
    // An encoder that makes keyframes on command, and a viewer on the same machine.
    assert!(waited.iter().all(|time| *time < Duration::from_millis(300)), "{waited:?}");
    assert_eq!(session(&bench, lease).ration, "main");
    assert_eq!(bench.engine.stats().undrained, 0);
}

#[test]
fn one_may_begin_with_sound_and_then_look() {
    let bench = Bench::new();
    let offer = Offer::new();
    let mut request = bench.request(device(), StreamChoice::Auto, &offer.sdp);
    request.sound_only = true;
    let lease = bench.engine.watch(request).map(|answer| (answer.lease, offer.go(&answer.sdp))).expect("accepted");
    let (lease, viewer) = lease;
    let seen = viewer.until("sound", |seen| seen.sounds > 100);
    assert_eq!(seen.frames, 0);
    bench.engine.set_sound_only(lease, false).expect("looks");
    let seen = viewer.until("pictures", |seen| seen.frames > 60);
    assert_eq!(seen.broken, 0);
    assert_eq!(session(&bench, lease).stream, Stream::Main);
    bench.engine.end(lease).expect("ends");
    assert_eq!(bench.engine.set_sound_only(lease, true).expect_err("ended").kind(), ErrorKind::NotFound);
}
