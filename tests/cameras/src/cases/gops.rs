//! Keyframes: none, seldom, always.

use crate::case::{Case, Kind, Right};
use crate::feed::Source;
use crate::media;
use crate::model::{Line, Model};

const fn case(
    name: &'static str,
    right: Right,
    about: &'static str,
    model: fn() -> Result<Model, media::Absent>,
) -> Case {
    Case::new(name, Kind::Gops, right, about, model)
}

pub const CASES: &[Case] = &[
    case(
        "refresh",
        Right::h264(25.0, (320, 180)),
        "cyclic intra refresh; the one IDR was long before the viewer came",
        || {
            let units = media::refresh()?;
            let after = units[1..].to_vec();
            Ok(Model::new(vec![Line::h264(&units)], move |start| Source::pictures(start, &after, 25.0).feed()))
        },
    ),
    case("refresh1", Right::h264(25.0, (320, 180)), "the same, but the connection begins with the one IDR", || {
        let units = media::refresh()?;
        Ok(Model::new(vec![Line::h264(&units)], move |start| {
            let units = units.clone();
            let rest = units.len() as u64 - 1;
            Source::pictures(start, &units, 25.0)
                .changed(move |shot, n| {
                    let at = if n == 0 { 0 } else { 1 + (n - 1) % rest };
                    shot.unit = units[at as usize].clone();
                })
                .feed()
        }))
    }),
    case(
        "longgop",
        Right::h264(25.0, (128, 96)).beyond_ffmpeg().with_sound("pcma", 8000, 1).with_sentence("keyframe"),
        "a GOP of 220 s with sound; all connections see the same moment",
        || {
            let (units, tone) = (media::long_gop()?, media::pcm("alaw", 8000)?);
            let lines = vec![Line::h264(&units), Line::sound(8, Some("PCMA/8000"), None)];
            Ok(Model::new(lines, move |start| {
                // The encoder ran before: with the camera, its first keyframe is three seconds old.
                let first = (start.up.as_secs_f64() * 25.0) as u64 + 75;
                let length = 5500.min(units.len());
                let pictures = Source::pictures(start, &units[..length], 25.0).from(first).feed();
                crate::feed::merged(pictures, Source::sound(start, 8, &tone).feed())
            }))
        },
    ),
    case(
        "gop20",
        Right::h264(15.0, (320, 180)).beyond_ffmpeg(),
        "a keyframe each 20 s; a viewer comes five seconds after one",
        || {
            let units = media::gop_20_s()?;
            Ok(Model::changed(units, 15.0, |source| source.from(75)))
        },
    ),
    case(
        "slow",
        Right::h264(0.25, (640, 360)).beyond_ffmpeg(),
        "a picture each four seconds, as by night or with little power",
        || Ok(Model::pictures(media::slow()?, 0.25)),
    ),
    case(
        "slow2",
        Right::h264(0.2, (640, 360)),
        "25 pictures a second by day; after four seconds one in five, by night",
        || {
            let units = media::camera()?;
            Ok(Model::new(vec![Line::h264(&units)], move |start| {
                let base = crate::feed::first_stamp(start, 0);
                Source::pictures(start, &units, 25.0)
                    .changed(move |shot, n| {
                        shot.at = if n < 100 { n as f64 / 25.0 } else { 4.0 + (n - 99) as f64 * 5.0 };
                        shot.stamp = base.wrapping_add((shot.at * 90_000.0).round() as u64 as u32);
                    })
                    .feed()
            }))
        },
    ),
    case("intra", Right::h264(25.0, (640, 360)), "each picture a keyframe", || {
        Ok(Model::pictures(media::intra()?, 25.0))
    }),
    case("midgop", Right::NORMAL, "a connection begins in the middle of a GOP", || {
        Ok(Model::changed(media::camera()?, 25.0, |source| source.from(17)))
    }),
    case(
        "opengop",
        Right::NORMAL,
        "open GOPs: after the first keyframe only recovery points, with B-frames that lead back",
        || {
            let (units, later) = media::open_gop()?;
            let line = Line::h264(&units);
            // A session begins at the first recovery point; the one IDR was before.
            Ok(Model::new(vec![line], move |start| {
                let later = later.clone();
                let first = 50;
                let count = units.len() as u64 - first;
                let units = units.clone();
                let base = crate::feed::first_stamp(start, 0);
                Source::pictures(start, &units, 25.0)
                    .changed(move |shot, n| {
                        let at = (first + n % count) as usize;
                        shot.unit = units[at].clone();
                        shot.stamp = base.wrapping_add((n as i64 * 3600 + later[at] * 3600) as u32);
                    })
                    .feed()
            }))
        },
    ),
    case(
        "longgop0",
        Right::h264(25.0, (128, 96)).with_sound("pcma", 8000, 1),
        "one GOP of 220 s with sound, a session begins with its keyframe",
        || {
            let tone = media::pcm("alaw", 8000)?;
            Ok(Model::pictures(media::long_gop()?, 25.0).with_sound(Line::sound(8, Some("PCMA/8000"), None), tone))
        },
    ),
    case(
        "pauses",
        Right::h264(5.0, (640, 360)),
        "four seconds of pictures, sixteen of nothing, as cameras with a motion sensor do",
        || {
            let units = media::camera()?;
            Ok(Model::new(vec![Line::h264(&units)], move |start| {
                let base = crate::feed::first_stamp(start, 0);
                Source::pictures(start, &units, 25.0)
                    .changed(move |shot, n| {
                        shot.at = (n / 100) as f64 * 20.0 + (n % 100) as f64 / 25.0;
                        shot.stamp = base.wrapping_add((shot.at * 90_000.0).round() as u64 as u32);
                    })
                    .feed()
            }))
        },
    ),
];
