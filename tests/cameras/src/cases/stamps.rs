//! Time stamps and reports that do not fit what happens.

use super::norm;
use crate::case::{Case, Kind, Right};
use crate::feed::Source;
use crate::media::{self, Absent};
use crate::model::{Line, Model};
use crate::rtp::{Stream, h264};

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Stamps, right, about, model)
}

/// The normal camera, delivered at `rate` and stamped by the picture's number.
fn stamped(rate: f64, stamp: fn(u64) -> i64) -> Result<Model, Absent> {
    Ok(Model::changed(media::camera()?, rate, move |source| {
        source.changed(move |shot, n| shot.stamp = stamp(n) as u32)
    }))
}

fn with_sound(skews: fn(f64) -> (f64, f64)) -> Result<Model, Absent> {
    let (units, tone) = (media::camera()?, media::pcm("alaw", 8000)?);
    let lines = vec![Line::h264(&units), Line::sound(8, Some("PCMA/8000"), None)];
    Ok(Model::new(lines, move |start| {
        let pictures = Source::pictures(start, &units, 25.0).skewed(move |t| skews(t).0);
        crate::feed::merged(pictures.feed(), Source::sound(start, 8, &tone).skewed(move |t| skews(t).1).feed())
    }))
}

fn sound_stamped(stamp: fn(u64) -> u32) -> Result<Model, Absent> {
    let tone = media::pcm("alaw", 8000)?;
    Ok(norm()?.with_source(Line::sound(8, Some("PCMA/8000"), None), move |start, number| {
        Source::sound(start, number, &tone).changed(move |shot, n| shot.stamp = stamp(n))
    }))
}

const WITH_SOUND: Right = Right::NORMAL.with_sound("pcma", 8000, 1);

pub const CASES: &[Case] = &[
    case("stamps25of17", Right::h264(17.0, (640, 360)), "stamped as 25 pictures a second, delivered as 17", || {
        stamped(17.0, |n| n as i64 * 3600)
    }),
    case("stamps15of25", Right::NORMAL, "stamped as 15 a second, delivered as 25", || {
        stamped(25.0, |n| n as i64 * 6000)
    }),
    case("stamps1000", Right::NORMAL, "stamped in milliseconds although the SDP says 90 kHz", || {
        stamped(25.0, |n| n as i64 * 40)
    }),
    case("zerots", Right::NORMAL, "each stamp is 0", || stamped(25.0, |_| 0)),
    case("backwards", Right::NORMAL, "stamps run backwards", || stamped(25.0, |n| 4_000_000_000 - n as i64 * 3600)),
    case("outlier", Right::NORMAL, "every 50th picture is stamped hours away", || {
        stamped(25.0, |n| {
            let away = match n % 100 {
                37 => -9800,
                87 => 37_600,
                _ => 0,
            };
            (n % 750) as i64 * 3600 + away * 90_000
        })
    }),
    case(
        "clockback",
        Right::h264(25.0, (160, 96)),
        "the clock is set back by half a second after ten; no word of B-frames, and none",
        || {
            Ok(Model::changed(media::draw::tiny(), 25.0, |source| {
                source.changed(|shot, n| shot.stamp = 900_000 + n as u32 * 3600 - if n >= 250 { 45_000 } else { 0 })
            }))
        },
    ),
    case("reset10", Right::NORMAL, "stamps begin at 0 again every 10 s", || stamped(25.0, |n| (n % 250) as i64 * 3600)),
    case("reset3", Right::NORMAL, "stamps begin at 0 again every three seconds", || {
        stamped(25.0, |n| (n % 75) as i64 * 3600)
    }),
    case("wrap", Right::NORMAL, "stamps wrap around three seconds in", || {
        stamped(25.0, |n| (1 << 32) - 270_000 + n as i64 * 3600)
    }),
    case("jitterstamps", Right::NORMAL, "stamps are up to 15 ms off", || {
        stamped(25.0, |n| n as i64 * 3600 + (n.wrapping_mul(2_654_435_761) >> 7) as i64 % 1350)
    }),
    case("drift", Right::NORMAL, "the camera's clock is fast by one in a thousand", || {
        stamped(25.0, |n| (n as f64 * 3603.6) as i64)
    }),
    case(
        "ssrcchange",
        Right::NORMAL,
        "the encoder begins anew every five seconds: another SSRC, number and time, no BYE",
        || {
            Ok(Model::changed(media::camera()?, 25.0, |source| {
                let mut stream = Stream::new(96, 1000);
                source.packed(move |_, shot, n| {
                    if n % 125 == 0 {
                        stream = Stream::new(96, 1000 + n);
                    }
                    h264::unit(&mut stream, &shot.unit, shot.stamp.wrapping_mul(1 + (n / 125) as u32 % 2 * 2))
                })
            }))
        },
    ),
    case("seqjump", Right::NORMAL, "numbers jump every two seconds, and nothing is missing", || {
        Ok(Model::changed(media::camera()?, 25.0, |source| {
            source.packed(|stream, shot, n| {
                if n % 50 == 0 {
                    stream.sequence = stream.sequence.wrapping_add(12_345);
                }
                h264::unit(stream, &shot.unit, shot.stamp)
            })
        }))
    }),
    case("seqback", Right::NORMAL, "numbers fall back by 300 every four seconds, and nothing is missing", || {
        Ok(Model::changed(media::camera()?, 25.0, |source| {
            source.packed(|stream, shot, n| {
                if n % 100 == 0 {
                    stream.sequence = stream.sequence.wrapping_sub(300);
                }
                h264::unit(stream, &shot.unit, shot.stamp)
            })
        }))
    }),
    case(
        "clockstep",
        WITH_SOUND,
        "the camera sets its clock two seconds forward: sound's reports follow at once, those of pictures later",
        || with_sound(|t| (if t >= 14.0 { 2.0 } else { 0.0 }, if t >= 9.0 { 2.0 } else { 0.0 })),
    ),
    case("clockbias", WITH_SOUND, "the reports of both differ by 2.5 s for good", || with_sound(|_| (0.0, 2.5))),
    case("clock1970", WITH_SOUND, "the camera's clock stands in 1970", || with_sound(|_| (-1.7e9, -1.7e9))),
    case("noreports", WITH_SOUND, "no sender reports at all", || {
        let (units, tone) = (media::camera()?, media::pcm("alaw", 8000)?);
        let lines = vec![Line::h264(&units), Line::sound(8, Some("PCMA/8000"), None)];
        Ok(Model::new(lines, move |start| {
            let pictures = Source::pictures(start, &units, 25.0).unreported();
            crate::feed::merged(pictures.feed(), Source::sound(start, 8, &tone).unreported().feed())
        }))
    }),
    case("steady", Right::NORMAL, "a feed to take hours of: no oddity but its time", norm),
    case("sametime", Right::NORMAL, "two pictures each have the same stamp", || {
        stamped(25.0, |n| (n / 2) as i64 * 7200)
    }),
    case("soundstamps", WITH_SOUND, "sound is stamped in packets, not in samples", || sound_stamped(|n| n as u32)),
    case("soundjump", WITH_SOUND, "the stamps of sound jump by an hour every three seconds", || {
        sound_stamped(|n| (n as u32).wrapping_mul(160).wrapping_add((n / 150) as u32 * 28_800_000))
    }),
    case("sounddrift", WITH_SOUND, "the clock of sound is fast by one in 500", || {
        sound_stamped(|n| (n as f64 * 160.32) as u64 as u32)
    }),
];
