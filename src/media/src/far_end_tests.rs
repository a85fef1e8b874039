//! Echo in numbers: a loop from the loudspeaker to the microphone of 100 ms and -6 dB, with and without somebody who speaks there.
#![allow(clippy::disallowed_methods, reason = "sound comes at its own pace")]

use super::*;
use perch_base::clock::{Clock, SystemClock};

const RATE: usize = 48_000;
/// 10 ms.
const PIECE: usize = 480;

/// Something like a voice: harmonics of a pitch that wanders, in syllables; another for each `seed`.
fn voice(seed: f64, seconds: usize) -> Vec<f64> {
    let mut noise = seed.to_bits() | 1;
    let mut phase = 0.0;
    (0..seconds * RATE)
        .map(|i| {
            let s = i as f64 / RATE as f64;
            let pitch = 110.0 + 40.0 * seed + 25.0 * (2.1 * s + seed).sin() + 10.0 * (7.3 * s).sin();
            phase += std::f64::consts::TAU * pitch / RATE as f64;
            let syllable =
                (std::f64::consts::PI * (3.1 + 0.3 * seed) * s).sin().powi(2) * (0.6 + 0.4 * (0.9 * s + seed).sin());
            let formants = [(1, 0.9), (2, 0.7), (3, 1.0), (5, 0.5), (8, 0.35), (13, 0.25), (21, 0.12)];
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let breath = (noise as f64 / u64::MAX as f64 - 0.5) * 0.25;
            0.16 * syllable * (formants.iter().map(|(n, a)| a * (f64::from(*n) * phase).sin()).sum::<f64>() + breath)
        })
        .collect()
}

fn bytes(samples: &[f64]) -> Vec<u8> {
    samples.iter().flat_map(|s| ((s.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes()).collect()
}

fn energy(samples: &[f64]) -> f64 {
    samples.iter().map(|s| s * s).sum::<f64>() / samples.len() as f64 + 1e-12
}

fn db(of: f64) -> f64 {
    10.0 * of.log10()
}

/// What the listener hears of `near` at the microphone while `far` is played.
fn listener_hears(echo: Echo, far: &[f64], near: &[f64]) -> Vec<f64> {
    crate::init().expect("starts");
    let library = Library::load(None).expect("well formed");
    let far_end = FarEnd::new(echo, Arc::new(SystemClock));
    let bin = far_end.near(&library).expect("built");
    let pipeline = gst::Pipeline::new();
    time::apply(&pipeline);
    let text = "appsrc name=mic is-live=true format=time caps=audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved";
    let mic = gst::parse::bin_from_description(text, true).expect("parses");
    let out = gst::parse::bin_from_description("appsink name=out sync=false", true).expect("parses");
    pipeline.add_many([mic.upcast_ref::<gst::Element>(), bin.upcast_ref(), out.upcast_ref()]).expect("added");
    gst::Element::link_many([mic.upcast_ref::<gst::Element>(), bin.upcast_ref(), out.upcast_ref()]).expect("linked");
    let entry = mic.by_name("mic").expect("there").downcast::<gst_app::AppSrc>().expect("an appsrc");
    let sink = out.by_name("out").expect("there").downcast::<gst_app::AppSink>().expect("an appsink");
    pipeline.set_state(gst::State::Playing).expect("plays");
    let begin = SystemClock.mono();
    let mut heard = Vec::new();
    let mut take = |sample: gst::Sample| {
        let map = sample.buffer().expect("a buffer").map_readable().expect("readable");
        heard.extend(map.chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0));
    };
    let when = |n: usize| begin + Duration::from_millis(10 * n as u64);
    for (n, far) in far.chunks(PIECE).enumerate() {
        std::thread::sleep(when(n).since(SystemClock.mono()));
        far_end.played(when(n), &gst::Buffer::from_slice(bytes(far)));
        // A sound card hands on what it heard a little later: 20 ms, as the box asks ours.
        let Some(n) = n.checked_sub(3) else { continue };
        let (at, near) = (when(n), &near[n * PIECE..(n + 1) * PIECE]);
        let mut piece = gst::Buffer::from_slice(bytes(near));
        piece.get_mut().expect("its own").set_pts(time::from_mono(at));
        entry.push_buffer(piece).expect("taken");
        while let Some(sample) = sink.try_pull_sample(gst::ClockTime::ZERO) {
            take(sample);
        }
    }
    entry.end_of_stream().expect("ends");
    while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(500)) {
        take(sample);
    }
    pipeline.set_state(gst::State::Null).expect("ends");
    heard
}

/// At the microphone: -6 dB, and later by so much.
fn looped(far: &[f64], delay_ms: usize) -> Vec<f64> {
    let delay = delay_ms * RATE / 1000;
    (0..far.len()).map(|i| if i < delay { 0.0 } else { 0.5 * far[i - delay] }).collect()
}

/// How much less echo a listener hears from 5 s on, and how loud somebody who speaks at the camera from 9 s on is heard, dB.
fn figures(delay_ms: usize) -> (f64, f64) {
    let far = voice(0.3, 14);
    let echo = looped(&far, delay_ms);
    let talks = |i: usize| (9 * RATE..13 * RATE).contains(&i);
    let own: Vec<f64> = voice(2.0, 14).into_iter().enumerate().map(|(i, s)| if talks(i) { s } else { 0.0 }).collect();
    let near: Vec<f64> = echo.iter().zip(&own).map(|(a, b)| a + b).collect();
    let heard = listener_hears(Echo::Cancel, &far, &near);
    assert!(heard.len() > 13 * RATE, "{} samples", heard.len());
    let alone = 5 * RATE..9 * RATE;
    let less = db(energy(&echo[alone.clone()])) - db(energy(&heard[alone]));
    let both = 9 * RATE + RATE / 2..13 * RATE - RATE / 2;
    (less, db(energy(&heard[both.clone()])) - db(energy(&own[both])))
}

#[test]
fn echo_is_taken_out_and_near_speech_is_not() {
    let rooms = [10, 40, 100, 180].map(|delay_ms| (delay_ms, std::thread::spawn(move || figures(delay_ms))));
    for (delay_ms, figures) in rooms {
        let (less, kept) = figures.join().expect("no panic");
        eprintln!(
            "echo after {delay_ms} ms: {less:.1} dB less while the far end speaks; near speech at the same time {kept:+.1} dB"
        );
        assert!(less >= 25.0, "{less:.1} dB");
        assert!((-6.0..6.0).contains(&kept), "{kept:.1} dB");
    }
}

#[test]
fn a_microphone_is_turned_down_while_the_loudspeaker_plays_and_comes_back() {
    let mut far = voice(0.3, 4);
    far[2 * RATE..].fill(0.0);
    let echo = looped(&far, 100);
    let tone = |i: usize| if i > 3 * RATE { 0.2 * (i as f64 * 0.05).sin() } else { 0.0 };
    let near: Vec<f64> = echo.iter().enumerate().map(|(i, s)| s + tone(i)).collect();
    let heard = listener_hears(Echo::Duck, &far, &near);
    let while_it_plays = RATE / 2..2 * RATE;
    let less = db(energy(&echo[while_it_plays.clone()])) - db(energy(&heard[while_it_plays]));
    let after = 3 * RATE + RATE / 4..heard.len().min(near.len());
    let kept = db(energy(&heard[after.clone()])) - db(energy(&near[after]));
    eprintln!("ducked: {less:.1} dB less while the far end speaks; {kept:+.1} dB after");
    assert!(less >= 25.0 && kept.abs() < 1.0, "{less:.1} dB, {kept:.1} dB");
}

#[test]
fn nothing_is_done_where_nobody_speaks_or_wants_it() {
    let near = voice(2.0, 2);
    let silence = vec![0.0; near.len()];
    for (echo, far) in [(Echo::None, voice(0.3, 2)), (Echo::Duck, silence)] {
        let heard = listener_hears(echo, &far, &near);
        let kept = db(energy(&heard[RATE / 2..RATE])) - db(energy(&near[RATE / 2..RATE]));
        assert!(kept.abs() < 0.5, "{echo:?}: {kept:.1} dB");
    }
}
