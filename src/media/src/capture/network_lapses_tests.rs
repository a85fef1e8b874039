//! What lapses at a network camera and changes nothing for those who watch: sound that pauses, pictures that are lost, a second stream that
//! ends the first.

use super::*;

fn offers_no_sound(event: &CaptureEvent) -> bool {
    matches!(event, CaptureEvent::Offers(offering) if !offering.has_audio)
}

/// Where the offer changes, whoever watches is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn sound_that_pauses_stays_offered_and_is_said() {
    let clock = Arc::new(ManualClock::default());
    let format = SoundFormat { codec: SoundCodec::Pcma, rate_hz: 8000, channels: 1 };
    let heard = |after: f64| {
        let (data, lasts) = (bytes::Bytes::from_static(&[0xd5; 160]), Duration::from_millis(20));
        let sound = perch_domain::ingest::Sound { data, heard: clock.mono(), lasts, break_before: false };
        (after, Intake::Sound(sound))
    };
    let mut steps = vec![(0.0, Intake::Offer(offer(PictureCodec::H264, Some(format))))];
    for seconds in 0..110 {
        steps.push((1.0, picture(KEY, true)));
        if !(5..100).contains(&seconds) {
            steps.push(heard(0.0));
        }
    }
    steps.push((100.0, picture(KEY, true)));
    let mut c = network();
    c.audio.source = AudioSource::Source;
    let camera = FakeCamera::Script { clock: clock.clone(), steps: timed(steps), end: Ok(()) };
    let b = start_by(clock.clone(), c, None, Fake::with(URL, camera));
    turn(&clock, &b, 112).await;
    let said = b.said();
    let sounds: Vec<_> = said.iter().filter(|e| matches!(e, CaptureEvent::Sound(_))).collect();
    assert!(
        matches!(sounds[..], [CaptureEvent::Sound(None), CaptureEvent::Sound(Some(_)), CaptureEvent::Sound(None)]),
        "{sounds:?}"
    );
    assert!(!said.iter().any(offers_no_sound) && b.capture.offers_now().has_audio, "{said:?}");
    drop(b);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_whose_decoder_fails_after_a_while_stays_offered() {
    let own = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(own.path().join("audio")).expect("made");
    // 100 ms each: it works for longer than it takes to be believed.
    let text = "appsrc name=in format=time is-live=true ! identity error-after=40 ! alawdec ! audioconvert ! audioresample \
                ! capsfilter caps=audio/x-raw,format=S16LE,rate=48000,channels=1";
    std::fs::write(own.path().join("audio/network-pcma.gst"), text).expect("written");
    let format = SoundFormat { codec: SoundCodec::Pcma, rate_hz: 8000, channels: 1 };
    let tone = "audiotestsrc is-live=true samplesperbuffer=800 ! audio/x-raw,rate=8000,channels=1 ! alawenc";
    let launch = format!("{BALL} ! x264enc tune=zerolatency key-int-max=20 ! {AU} {tone} ! appsink name=audio");
    let mut c = network();
    c.audio.source = AudioSource::Source;
    let ingest = Fake::with(URL, sends(PictureCodec::H264, launch, Some(format)));
    let b = start_by(Arc::new(SystemClock), c, Some(own.path()), ingest);
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 5000);
    take(&mut s, Track::Audio, 25).await;
    b.hears("it fails", |e| matches!(e, CaptureEvent::Sound(Some(_)))).await;
    assert!(!b.said().iter().any(offers_no_sound) && b.capture.offers_now().has_audio, "{:?}", b.said());
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_that_ends_the_first_is_left_alone() {
    let ingest = Fake::with(URL, plain());
    ingest.set(SECOND, plain());
    ingest.lets_in_newest_only();
    let mut c = network();
    c.motion.enabled = true;
    c.network.sub_source = Some(perch_base::secret::Secret::new(SECOND.to_owned()));
    let b = begin(c, &ingest);
    let capture = b.capture.clone();
    let (events, lumas) = (b.events.clone(), b.lumas.clone());
    // Twice is no chance.
    let ended = b.end().await;
    assert!(!matches!(ended, Ok(CaptureEnd::Shutdown)), "{ended:?}");
    let (trigger, shutdown) = perch_base::shutdown::channel();
    let log = |event| events.lock().expect("whole").push(event);
    let ended = timeout(Duration::from_secs(20), capture.run_once(&log, shutdown.clone())).await.expect("ends");
    assert!(!matches!(ended, Ok(CaptureEnd::Shutdown)), "{ended:?}");
    assert_eq!(ingest.sessions(SECOND), 2);
    // Then the large stream is decoded in its place.
    let before = lumas.load(Ordering::SeqCst);
    let look = async {
        while lumas.load(Ordering::SeqCst) < before + 3 {
            sleep(Duration::from_millis(50)).await;
        }
        trigger.fire();
    };
    let (ended, ()) = timeout(Duration::from_secs(60), async { tokio::join!(capture.run_once(&log, shutdown), look) })
        .await
        .expect("motion is looked for");
    assert_eq!(ended.expect("no error"), CaptureEnd::Shutdown);
    assert_eq!((ingest.sessions(URL), ingest.sessions(SECOND)), (3, 2));
    let said = events.lock().expect("whole").clone();
    assert!(
        said.iter().any(|e| matches!(e, CaptureEvent::Notice(what) if what.contains("remove sub_source"))),
        "{said:?}"
    );
}

/// In the first minute one was lost before each fifth picture; later none.
#[tokio::test(flavor = "multi_thread")]
async fn lost_pictures_are_said_and_end_neither_stream_nor_recording() {
    let mut steps = begins(&[]);
    for n in 0..600 {
        let is_lost = n < 150 && n % 5 == 4;
        let Intake::Picture(p) = picture(if n % 10 == 0 { KEY } else { DELTA }, n % 10 == 0) else { continue };
        let after = if is_lost { 0.8 } else { 0.4 };
        steps.push((after, Intake::Picture(perch_domain::ingest::Picture { lost_before: is_lost, ..p })));
    }
    steps.push((100.0, picture(DELTA, false)));
    let clock = Arc::new(ManualClock::default());
    let b = scripted(&clock, steps, Ok(()));
    let mut parts = crate::parts::Parts::follow(&b.hub, Stream::Main, "recorder", 400);
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 1000);
    // The clock waits for the pictures: a busy machine is no network that stands still.
    let mut got = Vec::new();
    while got.len() < 600 {
        clock.advance(Duration::from_millis(400));
        if let Ok(delivery) = timeout(Duration::from_millis(60), s.packets.recv()).await {
            got.push(delivery.expect("attached"));
            sleep(Duration::from_millis(2)).await;
        }
    }
    b.hears("none is lost", |e| *e == CaptureEvent::Losses(None)).await;
    assert!(got[1..].iter().all(|d| !d.discontinuity), "it goes on");
    parts.detach();
    let mut all = Vec::new();
    while let Some(part) = parts.queue.recv().await {
        all.push(part);
    }
    let (_, before) = all.split_last().expect("some");
    assert!(before.len() > 50 && before.iter().all(|part| part.joined), "one file holds them");
    let said = b.said();
    let losses: Vec<_> = said.iter().filter(|e| matches!(e, CaptureEvent::Losses(_))).collect();
    let [CaptureEvent::Losses(Some(first)), .., CaptureEvent::Losses(None)] = losses[..] else { panic!("{losses:?}") };
    assert!(first.contains("% of the pictures are lost"), "{first}");
    drop(b);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_no_picture_ever_came_is_what_was_said_last() {
    let clock = Arc::new(ManualClock::default());
    let mut steps = begins(&[(0.5, Intake::Awaits), (0.5, Intake::Notice("it sends no parameter sets".into()))]);
    steps.push((100.0, Intake::Awaits));
    let b = scripted(&clock, steps, Ok(()));
    turn(&clock, &b, 90).await;
    // Minutes were not waited for a keyframe.
    assert_eq!(b.end().await.expect_err("no picture").message(), "it sends no parameter sets");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_no_picture_of_the_second_stream_came_is_what_was_said_last() {
    let clock = Arc::new(ManualClock::default());
    let script = |steps| FakeCamera::Script { clock: clock.clone(), steps: timed(steps), end: Ok(()) };
    let ingest = Fake::with(URL, script(begins(&vec![(1.0, picture(KEY, true)); 100])));
    let notice = Intake::Notice("it sends packets in which no picture can be found".into());
    ingest.set(SECOND, script(begins(&[(0.5, notice), (100.0, Intake::Awaits)])));
    let mut c = network();
    c.network.sub_source = Some(perch_base::secret::Secret::new(SECOND.to_owned()));
    let b = start_by(clock.clone(), c, None, ingest.clone());
    let _sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    let want = "the camera's second stream sends packets in which no picture can be found";
    let want = CaptureEvent::Small(Some(want.into()));
    for seconds in 1..90 {
        turn(&clock, &b, seconds).await;
        if b.said().contains(&want) {
            break;
        }
    }
    assert!(b.said().contains(&want) && !b.run.is_finished(), "{:?}", b.said());
}

/// It has failed for motion as well, and comes back for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_that_comes_back_brings_pictures_for_motion() {
    let ingest = Fake::with(URL, plain());
    ingest.set(SECOND, plain());
    let mut c = network();
    c.motion.enabled = true;
    c.network.sub_source = Some(perch_base::secret::Secret::new(SECOND.to_owned()));
    let b = begin(c, &ingest);
    let until = async |what: &str, is: &dyn Fn() -> bool| {
        let waited = timeout(Duration::from_secs(60), async {
            while !is() {
                sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what}: {:?}", b.said()));
    };
    let last = || b.said().into_iter().rfind(|e| matches!(e, CaptureEvent::MotionPictures(_)));
    until("it is decoded", &|| b.lumas.load(Ordering::SeqCst) >= 3).await;
    ingest.hang_up(SECOND);
    let why = CaptureEvent::MotionPictures(Some("the camera's second stream was ended by the camera".into()));
    b.hears("it is gone", |e| *e == why).await;
    until("it is back", &|| last() == Some(CaptureEvent::MotionPictures(None))).await;
    assert_eq!((ingest.sessions(URL), ingest.sessions(SECOND)), (1, 2));
    b.stop().await;
}

/// No keyframe is waited for: JPEG is nothing but keyframes.
#[tokio::test(flavor = "multi_thread")]
async fn jpeg_that_cannot_be_decoded_is_said_and_ends_the_attempt() {
    let clock = Arc::new(ManualClock::default());
    let mut steps = vec![(0.0, Intake::Offer(offer(PictureCodec::Jpeg, None)))];
    steps.extend(vec![(1.0, picture(b"\xff\xd8no picture\xff\xd9", true)); 60]);
    let b = scripted(&clock, steps, Ok(()));
    let built = timeout(Duration::from_secs(60), async {
        while b.capture.figures().encoders == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    built.await.expect("the encoder starts");
    turn(&clock, &b, 50).await;
    let said = b.said();
    let why = b.end().await.expect_err("nothing is made of it");
    assert!(why.kind() == ErrorKind::Unsupported && why.message().contains("set the camera to H.264"), "{why}");
    assert!(!said.contains(&CaptureEvent::AwaitsKeyframe), "{said:?}");
}
