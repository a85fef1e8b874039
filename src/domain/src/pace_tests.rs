//! Minutes of a camera in a second: what is reported of it, and when.

use super::*;
use Bottleneck::{Decoder, Main, Small};
use RateOwedBy::{Box as OfBox, Camera as OfCamera, Nobody};
use proptest::prelude::*;

/// So many seconds in which so many pictures a second come and leave, so many seconds late.
type Stretch = (u32, f32, f32, f32);

/// What is reported, without the figures that follow from others.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    /// Behind at a part that does so many of so many frames a second.
    Behind(Bottleneck, f32, f32),
    /// The camera gives so many a second.
    Few(f32),
    Up,
}

use Word::{Behind, Few, Up};

fn word(pace: Pace) -> Word {
    match pace {
        Pace::Behind(o) => Behind(o.part, o.done_fps, o.wanted_fps),
        Pace::FewGiven(few) => Few(few.given_fps),
        Pace::KeepsUp => Up,
    }
}

/// Looks once a second; what was reported, and in which second.
fn play(watch: &mut PaceWatch, works: impl Iterator<Item = Work>) -> Vec<(u32, Word)> {
    let looks = works.zip(1..).filter_map(|(work, second)| {
        let now = MonoTime(i64::from(second) * 1_000_000);
        watch.look(now, work).map(|pace| (second, word(pace)))
    });
    looks.collect()
}

/// A stage second by second; `None` where nothing comes.
fn stages(stretches: &[Stretch]) -> Vec<Option<Stage>> {
    let (mut came, mut left) = (0.0, 0.0);
    let seconds = stretches.iter().flat_map(|s| std::iter::repeat_n(s, s.0 as usize));
    let stages = seconds.map(|(_, in_fps, out_fps, late)| {
        (came, left) = (came + in_fps, left + out_fps);
        let late = Duration::from_secs_f32(*late);
        (*in_fps > 0.0).then_some(Stage { came: came as u64, left: left as u64, late })
    });
    stages.collect()
}

fn main_paces(asked: u32, owed_by: RateOwedBy, stretches: &[Stretch]) -> Vec<(u32, Word)> {
    let works = stages(stretches).into_iter().map(|main| Work { main, ..Work::default() });
    play(&mut PaceWatch::new(asked, owed_by), works)
}

#[test]
fn a_box_that_encodes_too_little_or_too_late_is_behind_until_it_keeps_up_for_ten_seconds() {
    type Case<'a> = (&'a str, u32, &'a [Stretch], &'a [(u32, Word)]);
    let cases: &[Case] = &[
        ("all is encoded", 25, &[(60, 25.0, 25.0, 0.1)], &[]),
        ("6.5 of 25", 25, &[(30, 25.0, 6.5, 0.3)], &[(11, Behind(Main, 6.5, 25.0))]),
        ("in between", 25, &[(60, 25.0, 20.0, 0.1)], &[]),
        ("a hiccup of two seconds", 25, &[(20, 25.0, 25.0, 0.1), (2, 25.0, 0.0, 1.9), (30, 25.0, 25.0, 0.1)], &[]),
        (
            "back again",
            25,
            &[(20, 25.0, 5.0, 0.1), (30, 25.0, 25.0, 0.1)],
            &[(11, Behind(Main, 5.0, 25.0)), (21, Behind(Main, 7.0, 25.0)), (31, Up)],
        ),
        ("not quite back", 25, &[(20, 25.0, 15.0, 0.1), (30, 25.0, 19.0, 0.1)], &[(11, Behind(Main, 15.0, 25.0))]),
        (
            "much worse",
            25,
            &[(11, 25.0, 15.0, 0.1), (30, 25.0, 5.0, 0.1)],
            &[(11, Behind(Main, 15.0, 25.0)), (21, Behind(Main, 5.0, 25.0))],
        ),
        // More than was asked for is thinned on purpose.
        ("a camera of 60 at 15", 15, &[(60, 60.0, 15.0, 0.1)], &[]),
        // A source that has to wait for the box gives no more than is taken, and everything late.
        ("late", 25, &[(30, 25.0, 25.0, 6.0)], &[(11, Behind(Main, 25.0, 25.0))]),
    ];
    for (name, asked, stretches, want) in cases {
        for owed_by in [OfBox, OfCamera, Nobody] {
            assert_eq!(main_paces(*asked, owed_by, stretches), *want, "{name}, owed by {owed_by:?}");
        }
    }
}

/// What is missing of the rate that was asked for is the box's own fault, the camera's way, or nothing at all.
#[test]
fn too_few_pictures_are_said_of_whom_owes_them() {
    type Case<'a> = (&'a str, u32, &'a [Stretch], [&'a [(u32, Word)]; 3]);
    let (few, many) = ((30, 15.0, 15.0, 0.1), (30, 30.0, 30.0, 0.1));
    let (dusk, dawn) = ([many, few], [(30, 16.0, 16.0, 0.1), many]);
    let cases: &[Case] = &[
        (
            "5 of 20 from the start",
            20,
            &[(30, 5.0, 5.0, 0.1)],
            [&[(11, Behind(Main, 5.0, 20.0))], &[(11, Few(5.0))], &[]],
        ),
        ("it gets dark", 30, &dusk, [&[(38, Behind(Main, 18.0, 30.0))], &[(38, Few(18.0))], &[]]),
        (
            "it gets light",
            30,
            &dawn,
            [
                &[(11, Behind(Main, 16.0, 30.0)), (34, Behind(Main, 21.6, 30.0)), (44, Up)],
                &[(11, Few(16.0)), (34, Few(21.6)), (44, Up)],
                &[],
            ],
        ),
        // What does not come within seconds is for the watch over stalls; a box that draws them itself is slow.
        (
            "a picture each 2.5 s",
            25,
            &[(20, 0.4, 0.4, 1.9)],
            [&[(13, Behind(Main, 0.4, 25.0))], &[(13, Few(0.4))], &[]],
        ),
        // The camera takes its time to the first picture.
        ("it starts late", 30, &[(8, 0.0, 0.0, 0.0), (60, 30.0, 30.0, 0.1)], [&[], &[], &[]]),
        // In the dark, and the box is too slow even so.
        (
            "dark and slow",
            30,
            &[(30, 15.0, 6.0, 0.1)],
            [&[(11, Behind(Main, 6.0, 30.0))], &[(11, Behind(Main, 6.0, 15.0))], &[(11, Behind(Main, 6.0, 15.0))]],
        ),
        // It was too slow; now it keeps up with what the camera gives in the dark.
        (
            "slow, then dark",
            30,
            &[(20, 30.0, 15.0, 0.1), (40, 15.0, 15.0, 0.1)],
            [
                &[(11, Behind(Main, 15.0, 30.0))],
                &[(11, Behind(Main, 15.0, 30.0)), (29, Few(16.5))],
                &[(11, Behind(Main, 15.0, 30.0)), (29, Up)],
            ],
        ),
    ];
    for (name, asked, stretches, want) in cases {
        for (owed_by, want) in [OfBox, OfCamera, Nobody].into_iter().zip(want) {
            assert_eq!(main_paces(*asked, owed_by, stretches), *want, "{name}, owed by {owed_by:?}");
        }
    }
}

/// Nothing is wrong with the box where a source of its own pace gives little.
#[test]
fn a_network_camera_and_a_file_may_have_any_rate() {
    for stretches in [
        [(60, 5.0, 5.0, 0.1), (1, 5.0, 5.0, 0.1)],
        [(30, 30.0, 30.0, 0.1), (60, 15.0, 15.0, 0.1)],
        // Too few to tell, late as they are.
        [(60, 0.2, 0.2, 4.0), (60, 0.2, 0.2, 4.0)],
        [(60, 60.0, 25.0, 0.1), (60, 24.0, 24.0, 0.1)],
    ] {
        assert_eq!(main_paces(25, Nobody, &stretches), [], "{stretches:?}");
    }
}

#[test]
fn a_small_stream_and_a_decoder_are_watched_while_they_are_used() {
    type Case<'a> = (&'a str, &'a [Stretch], &'a [Stretch], &'a [(u32, Word)]);
    let (well, idle) = ((30, 15.0, 15.0, 0.0), (30, 0.0, 0.0, 0.0));
    let cases: &[Case] = &[
        ("both keep up", &[well], &[well], &[]),
        ("nobody uses them", &[idle], &[idle], &[]),
        ("the small encoder is slow", &[well], &[(30, 15.0, 4.0, 0.1)], &[(11, Behind(Small, 4.0, 15.0))]),
        ("the decoder drops", &[(30, 25.0, 8.0, 1.0)], &[(30, 8.0, 8.0, 0.1)], &[(11, Behind(Decoder, 8.0, 25.0))]),
        ("the decoder's queue is always full", &[(30, 25.0, 24.0, 2.4)], &[idle], &[(11, Behind(Decoder, 24.0, 25.0))]),
        (
            "the decoder counts before the encoder",
            &[(30, 25.0, 8.0, 1.0)],
            &[(30, 15.0, 4.0, 0.1)],
            &[(11, Behind(Decoder, 8.0, 25.0))],
        ),
        (
            "whoever watched has gone",
            &[well],
            &[(15, 15.0, 4.0, 0.1), (15, 0.0, 0.0, 0.0)],
            &[(11, Behind(Small, 4.0, 15.0)), (16, Up)],
        ),
        // After a network that stood still they come all at once, and most do not fit.
        ("a burst", &[well], &[(10, 15.0, 15.0, 0.1), (1, 60.0, 2.0, 0.1), (19, 15.0, 15.0, 0.1)], &[]),
        // Viewers that come and go leave no window to judge by.
        ("for moments", &[well], &[(9, 15.0, 4.0, 0.1), (1, 0.0, 0.0, 0.0), (9, 15.0, 4.0, 0.1)], &[]),
    ];
    for (name, decoder, small, want) in cases {
        let works = stages(decoder).into_iter().zip(stages(small));
        let works = works.map(|(decoder, small)| Work { main: None, decoder, small });
        assert_eq!(play(&mut PaceWatch::new(25, Nobody), works), *want, "{name}");
    }
}

#[test]
fn what_is_said_names_how_much_of_what_and_what_to_lower() {
    let few = Overload {
        part: Main,
        done_fps: 6.5,
        came_fps: 25.0,
        wanted_fps: 25.0,
        late: Duration::ZERO,
        sub_active: false,
    };
    let says = "6.5 of 25 frames a second are encoded: lower the camera's size or frame rate";
    assert_eq!(few.reason(), says);
    let both = Overload { sub_active: true, ..few };
    assert_eq!(both.reason(), format!("{says}, or those of its small stream"));
    let captured = Overload { came_fps: 6.5, ..few };
    assert_eq!(captured.reason(), says.replace("encoded", "captured"));
    let late = Overload { done_fps: 25.0, late: Duration::from_secs(6), ..few };
    assert_eq!(late.reason(), "pictures are encoded 6 s late: lower the camera's size or frame rate");
    let small = Overload { part: Small, sub_active: true, ..few };
    let says = "6.5 of 25 frames a second of the small stream are encoded: lower its size or frame rate";
    assert_eq!(small.reason(), says);
    let decoder = Overload { part: Decoder, ..few };
    let says = "6.5 of 25 frames a second are decoded: lower the size or frame rate that the camera itself is set to";
    assert_eq!(decoder.reason(), says);
    let few = FewGiven { given_fps: 15.0, asked_fps: 30.0 };
    assert_eq!(few.reason(), "the camera gives 15 of 30 pictures a second; in the dark many do");
    for (given_fps, asked_fps, is_fault) in
        [(15.0, 30.0, false), (7.5, 30.0, false), (5.0, 15.0, false), (5.0, 25.0, true), (3.0, 25.0, true)]
    {
        assert_eq!(FewGiven { given_fps, asked_fps }.is_fault(), is_fault, "{given_fps} of {asked_fps}");
    }
    let far = FewGiven { given_fps: 4.0, asked_fps: 25.0 }.reason();
    assert!(far.starts_with("it gives 4 of 25 a second; give it more light, try another USB port"), "{far}");
}

proptest! {
    /// Whatever a source does that owes nothing, a box that does all of it in time is never behind.
    #[test]
    fn a_source_of_its_own_pace_is_no_fault_of_the_box(
        asked in 1..120u32,
        stretches in proptest::collection::vec((1..40u32, 0.0..120.0f32), 1..12),
    ) {
        let stretches: Vec<Stretch> = stretches.into_iter().map(|(s, fps)| (s, fps, fps, 0.5)).collect();
        prop_assert_eq!(main_paces(asked, Nobody, &stretches), vec![]);
    }

    /// However it changes, no two words are the same in a row, and what keeps up to the end is said to.
    #[test]
    fn the_last_word_is_true(stretches in proptest::collection::vec((1..40u32, 1.0..60.0f32, 0.0..1.0f32), 0..12)) {
        let mut stretches: Vec<Stretch> =
            stretches.into_iter().map(|(s, fps, share)| (s, fps, fps * share, 0.1)).collect();
        stretches.push((40, 30.0, 30.0, 0.1));
        for owed_by in [OfBox, OfCamera, Nobody] {
            let words = main_paces(30, owed_by, &stretches);
            prop_assert!(words.windows(2).all(|w| w[0].1 != w[1].1), "{words:?}");
            prop_assert!(words.last().is_none_or(|(_, word)| *word == Up), "{words:?}");
        }
    }
}
