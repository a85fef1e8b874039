//! How loud sound is made, while it runs, and how loud it is said to be.

use super::tests::{config, listen, start, take};
use super::*;
use perch_domain::camera::AudioSettings;
use perch_domain::media::Track;
use tokio::time::timeout;

/// The loudest of the next levels: of a tick a second, one holds it.
async fn loudest(listening: &mut Listening) -> f32 {
    let mut peak = f32::MIN;
    for _ in 0..8 {
        timeout(Duration::from_secs(30), listening.levels.changed()).await.expect("in time").expect("it goes on");
        peak = peak.max(listening.levels.borrow().expect("a level").peak_db);
    }
    peak
}

#[tokio::test(flavor = "multi_thread")]
async fn gain_changes_while_sound_goes_on_and_its_level_is_measured_while_somebody_looks() {
    let mut c = config(Source::Test);
    c.audio = AudioSettings { source: AudioSource::Test, gain_db: 0.0 };
    let b = start(c.clone());
    listen(&b);
    assert!(!b.hub.demand().audio, "nobody listens");
    let mut listening = b.capture.listen();
    assert!(b.hub.demand().audio);
    let mut heard = b.hub.subscribe(Stream::Main, true, "test", 4000);
    let before = loudest(&mut listening).await;
    c.audio.gain_db = -20.0;
    b.capture.follow(&c);
    // What was on its way is heard first.
    loudest(&mut listening).await;
    let after = loudest(&mut listening).await;
    // A tick is cut where a fifth of a second ends, so that its loudest part may be in the next.
    assert!((before - after - 20.0).abs() < 3.0 && before > -12.0, "{before} dB, then {after} dB");
    let sound = take(&mut heard, Track::Audio, 100).await;
    let steps = sound.windows(2).map(|two| two[1].packet.pts.micros_since(two[0].packet.pts));
    assert!(steps.into_iter().all(|step| (19_900..20_100).contains(&step)), "no sound is lost by it");
    drop((listening, heard));
    let ended = async {
        while b.hub.demand().audio {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), ended).await.expect("and nothing is measured any more");
    b.stop().await;
}
