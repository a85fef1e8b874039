//! The policy on a simulated network, twenty scenarios; what it decides in each is kept in `tests/rate/decisions.txt`.

mod network;

use network::{Network, SimulatedLink};
use perch_base::time::MonoTime;
use perch_domain::media::Stream;
use perch_domain::rate::{Costs, DataBudget, LinkState, RateWish, Ration, RationCause, SubEncoderRate, ViewerRate};
use perch_domain::stream_choice::StreamChoice;
use std::fmt::Write;
use std::time::Duration;

/// What a camera of the tests has: both streams and sound, in bits a second.
const MAIN: u64 = 2_000_000;
const SUB: u64 = 500_000;
const SOUND: u64 = 40_000;
const LOOK: f64 = 0.25;

struct Scenario {
    name: &'static str,
    wish: RateWish,
    sound: bool,
    /// Whether the viewer gives feedback for an estimate.
    feedback: bool,
    /// Whether the small stream's encoder takes another bit rate.
    obeys: bool,
    seconds: u32,
    /// The link from this second on.
    script: Vec<(f64, SimulatedLink)>,
}

fn of(name: &'static str, seconds: u32, script: Vec<(f64, SimulatedLink)>) -> Scenario {
    let wish = RateWish { stream: StreamChoice::Auto, ..RateWish::default() };
    Scenario { name, wish, sound: true, feedback: true, obeys: false, seconds, script }
}

fn link(mbit: f64) -> SimulatedLink {
    SimulatedLink { rate_bps: mbit * 1e6, ..SimulatedLink::WIDE }
}

fn budget(mb: &str) -> Option<DataBudget> {
    Some(DataBudget::parse(mb).expect("sound"))
}

fn scenarios() -> Vec<Scenario> {
    let wide = SimulatedLink::WIDE;
    let steps = |from: &[(f64, f64)]| from.iter().map(|(at, mbit)| (*at, link(*mbit))).collect::<Vec<_>>();
    let flapping = (0..24).map(|n| (f64::from(n) * 5.0, link(if n % 2 == 0 { 4.0 } else { 0.8 }))).collect();
    let narrowing = (0..20).map(|n| (f64::from(n) * 6.0, link(4.0 * 0.8_f64.powi(n)))).collect();
    let fixed = |stream| RateWish { stream: StreamChoice::Fixed(stream), ..RateWish::default() };
    vec![
        of("a wide link", 60, vec![(0.0, link(20.0))]),
        of("4, then 0.8, then 4 Mbit/s", 120, steps(&[(0.0, 4.0), (20.0, 0.8), (50.0, 4.0)])),
        of("slow from the beginning", 60, steps(&[(0.0, 0.8)])),
        of("too slow for the small stream", 60, steps(&[(0.0, 0.25)])),
        Scenario { obeys: true, ..of("the same, with an encoder that takes less", 60, steps(&[(0.0, 0.25)])) },
        of("sound alone", 60, steps(&[(0.0, 0.06)])),
        Scenario { sound: false, ..of("the same, of a camera without sound", 60, steps(&[(0.0, 0.06)])) },
        of("narrowing", 120, narrowing),
        of("5 % loss", 60, vec![(0.0, SimulatedLink { loss: 0.05, ..wide })]),
        of("10 % loss and 200 ms of jitter", 60, vec![(0.0, SimulatedLink { loss: 0.1, jitter_s: 0.2, ..wide })]),
        of(
            "30 % loss for half a minute",
            90,
            vec![(0.0, wide), (10.0, SimulatedLink { loss: 0.3, ..wide }), (40.0, wide)],
        ),
        of("a tenth arrives out of order", 60, vec![(0.0, SimulatedLink { reorder: 0.1, ..wide })]),
        of("400 ms away", 60, vec![(0.0, SimulatedLink { delay_s: 0.4, ..wide })]),
        of("up and down each five seconds", 120, flapping),
        of("just what the large stream costs", 120, steps(&[(0.0, 2.1)])),
        of(
            "a link that says more than it holds",
            300,
            vec![(0.0, SimulatedLink { lets_bursts_pass: true, ..link(1.6) })],
        ),
        Scenario {
            wish: RateWish { stream: StreamChoice::Auto, budget: budget("450"), ..RateWish::default() },
            ..of("a budget of 450 MB an hour", 120, vec![(0.0, wide)])
        },
        Scenario {
            wish: RateWish { stream: StreamChoice::Auto, budget: budget("50"), ..RateWish::default() },
            ..of("a budget of 50 MB an hour", 120, vec![(0.0, wide)])
        },
        Scenario { wish: fixed(Stream::Main), ..of("the large stream, whatever comes", 60, steps(&[(0.0, 0.8)])) },
        Scenario { wish: fixed(Stream::Sub), ..of("the small stream by wish", 90, steps(&[(0.0, 4.0), (30.0, 0.3)])) },
        of("cut for five seconds", 60, vec![(0.0, wide), (20.0, link(0.0)), (25.0, wide)]),
        Scenario {
            feedback: false,
            ..of(
                "no estimate, 20 % loss",
                120,
                vec![(0.0, wide), (10.0, SimulatedLink { loss: 0.2, ..wide }), (30.0, wide)],
            )
        },
    ]
}

/// What happened: each change with its second, and what was sent in all.
struct Told {
    text: String,
    changes: Vec<(f64, Ration)>,
    sent_bytes: u64,
    probes: u32,
}

fn run(scenario: &Scenario) -> Told {
    let mut network = Network::new(scenario.script[0].1, 10_000_000.0);
    let mut rate = ViewerRate::new(scenario.wish, true, true, network.now());
    let mut encoder = SubEncoderRate::new(SUB);
    let (mut sub, mut sub_soon) = (SUB, None);
    let (mut text, mut changes) = (String::new(), Vec::new());
    let mut script = scenario.script.iter().peekable();
    let mut costs = Costs::default();
    let steps = scenario.seconds * 200;
    for step in 0..steps {
        let second = f64::from(step) * 0.005;
        if let Some((_, link)) = script.next_if(|(at, _)| *at <= second) {
            network.link = *link;
        }
        if let Some((_, bps)) = sub_soon.take_if(|(at, _)| *at <= second) {
            sub = bps;
        }
        let bps = match rate.ration() {
            Ration::Main => MAIN,
            Ration::Sub => sub,
            Ration::Keyframes => sub / 8,
            Ration::Sound => 0,
        };
        let sound = u64::from(scenario.sound) * SOUND;
        network.step(bps + sound, rate.looks_for_bps(network.now(), &costs), rate.proves_bps(&costs));
        if step % (LOOK * 200.0) as u32 != 0 || step == 0 {
            continue;
        }
        costs = Costs {
            main_bps: Some(MAIN),
            sub_bps: Some(sub),
            sub_least_bps: scenario.obeys.then(|| encoder.least_bps()),
            keyframes_bps: Some(sub / 8),
            sound_bps: scenario.sound.then_some(SOUND),
        };
        let link = LinkState {
            estimate_bps: scenario.feedback.then(|| network.estimate_bps()),
            loss: (step % 200 == 0).then(|| network.loss()),
            round_trip: Some(network.round_trip()),
            sent_bytes: network.sent_bytes,
        };
        let kbit = |bps: u64| bps / 1000;
        if let Some(ration) = rate.look(network.now(), &link, &costs) {
            changes.push((second, ration));
            let available = rate.available_bps().map_or_else(|| "?".into(), |bps| kbit(bps).to_string());
            let _ = writeln!(
                text,
                "{second:8.2}  {} ({}), {available} of {} kbit/s",
                ration.as_str(),
                rate.cause().as_str(),
                kbit(costs.of(ration))
            );
        }
        if let Some(bps) = rate.take_anew_bps() {
            network.estimate_anew(bps);
        }
        if scenario.obeys
            && let Some(bps) = encoder.look(network.now(), rate.sub_need_bps(&costs).into_iter())
        {
            sub_soon = Some((second + 0.5, bps));
            let _ = writeln!(text, "{second:8.2}  encoder: {} kbit/s", kbit(bps));
        }
    }
    Told { text, changes, sent_bytes: network.sent_bytes, probes: network.probes }
}

#[test]
fn decisions_are_those_that_are_kept() {
    let all = scenarios();
    assert!(all.len() >= 20);
    let mut text = String::new();
    for scenario in &all {
        let told = run(scenario);
        let kbit = told.sent_bytes * 8 / 1000 / u64::from(scenario.seconds);
        let _ = writeln!(text, "{}\n{}     sent {kbit} kbit/s, {} probes\n", scenario.name, told.text, told.probes);
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rate/decisions.txt");
    if std::env::var_os("PERCH_BLESS").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rate")).expect("made");
        std::fs::write(file, &text).expect("written");
    }
    let kept = std::fs::read_to_string(file).expect("kept");
    assert!(kept == text, "decisions changed: run this test with PERCH_BLESS=1 and look at the difference");
}

fn named(name: &str) -> (Scenario, Told) {
    let scenario = scenarios().into_iter().find(|s| s.name == name).expect("there");
    let told = run(&scenario);
    (scenario, told)
}

#[test]
fn a_link_that_narrows_and_widens_is_followed_without_flapping() {
    let (_, told) = named("4, then 0.8, then 4 Mbit/s");
    assert_eq!(told.changes.iter().map(|(_, r)| *r).collect::<Vec<_>>(), [Ration::Sub, Ration::Main], "{}", told.text);
    assert!(told.changes[0].0 <= 22.0 && told.changes[1].0 <= 60.0, "{}", told.text);
}

#[test]
fn steps_up_that_fail_become_rare() {
    let (_, told) = named("a link that says more than it holds");
    let ups: Vec<_> = told.changes.iter().filter(|(_, r)| *r == Ration::Main).map(|(at, _)| *at).collect();
    assert!(ups.len() <= 5, "{}", told.text);
    assert!(ups.windows(3).all(|w| w[2] - w[1] > 1.3 * (w[1] - w[0])), "{}", told.text);
}

#[test]
fn a_budget_holds() {
    for (name, mb) in [("a budget of 450 MB an hour", 450), ("a budget of 50 MB an hour", 50)] {
        let (scenario, told) = named(name);
        let minutes = u64::from(scenario.seconds) / 60;
        // A minute's worth may be spent ahead.
        assert!(told.sent_bytes <= (minutes + 1) * mb * 1_000_000 / 60, "{name}: {}", told.sent_bytes);
    }
}

#[test]
fn loss_and_jitter_alone_take_no_picture_away() {
    for name in ["5 % loss", "10 % loss and 200 ms of jitter", "a tenth arrives out of order", "400 ms away"] {
        let (_, told) = named(name);
        assert!(told.changes.iter().all(|(_, ration)| *ration >= Ration::Sub), "{name}\n{}", told.text);
    }
    let (_, told) = named("5 % loss");
    assert!(told.changes.is_empty(), "{}", told.text);
}

#[test]
fn who_asked_for_one_stream_is_given_no_other() {
    let (_, told) = named("the large stream, whatever comes");
    assert!(told.changes.is_empty(), "{}", told.text);
    let (_, told) = named("the small stream by wish");
    assert!(told.changes.iter().all(|(_, ration)| *ration < Ration::Main), "{}", told.text);
}

#[test]
fn a_change_that_brought_no_picture_is_not_asked_for_again_at_once() {
    let now = |s: u64| MonoTime(0) + Duration::from_secs(s);
    let costs = Costs { main_bps: Some(MAIN), sub_bps: Some(SUB), ..Costs::default() };
    let link = |bps| LinkState { estimate_bps: Some(bps), ..LinkState::default() };
    let mut rate = ViewerRate::new(RateWish::default(), true, true, now(0));
    assert_eq!(rate.look(now(1), &link(1_000_000), &costs), None);
    assert_eq!(rate.look(now(2), &link(1_000_000), &costs), Some(Ration::Sub));
    rate.stay(now(12), Ration::Main);
    assert_eq!((rate.ration(), rate.look(now(13), &link(3_000_000), &costs)), (Ration::Main, None));
    assert_eq!(rate.sub_need_bps(&costs), None);
}

#[test]
fn who_only_listens_is_sent_sound_until_it_looks_again() {
    let now = |s: u64| MonoTime(0) + Duration::from_secs(s);
    let costs = Costs { main_bps: Some(MAIN), sub_bps: Some(SUB), sound_bps: Some(64_000), ..Costs::default() };
    let link = |bps| LinkState { estimate_bps: Some(bps), ..LinkState::default() };
    let mut rate = ViewerRate::new(RateWish::default(), true, true, now(0));
    assert_eq!(rate.look(now(1), &link(1_000_000), &costs), None);
    assert_eq!(rate.look(now(2), &link(1_000_000), &costs), Some(Ration::Sub));
    assert_eq!(rate.set_sound_only(now(3), true), Ration::Sound);
    assert_eq!((rate.cause(), rate.looks_for_bps(now(4), &costs)), (RationCause::Wish, 0));
    assert!(rate.is_to_be_quiet(Some(1_000_000)) && !rate.is_to_be_quiet(Some(8_000)) && !rate.is_to_be_quiet(None));
    assert!(rate.fresh_estimate_bps(&costs) < 64_000, "less than sound costs: nothing is sent beside it");
    for s in 4..20 {
        assert_eq!(rate.look(now(s), &link(9_000_000), &costs), None, "however much the connection carries");
    }
    // Soon: as it was. The estimate begins with what that costs.
    assert_eq!((rate.set_sound_only(now(20), false), rate.cause()), (Ration::Sub, RationCause::Connection));
    assert!(rate.fresh_estimate_bps(&costs) > SUB);
    assert_eq!(rate.fresh_estimate_bps(&Costs::default()), 10_000_000, "nobody knows what it costs");
    assert!(!rate.is_to_be_quiet(Some(9_000_000)));
    assert_eq!(rate.look(now(20), &link(1), &costs), None, "the estimate is a guess at first");
    // Long after, as at the beginning: the connection may be another one.
    assert_eq!(rate.set_sound_only(now(30), true), Ration::Sound);
    assert_eq!((rate.set_sound_only(now(200), false), rate.cause()), (Ration::Main, RationCause::Wish));
    assert_eq!(rate.set_sound_only(now(200), false), Ration::Main, "said twice");
    let listening = RateWish { sound_only: true, ..RateWish::default() };
    let mut rate = ViewerRate::new(listening, true, true, now(0));
    assert_eq!((rate.ration(), rate.set_sound_only(now(1), false)), (Ration::Sound, Ration::Main));
}
