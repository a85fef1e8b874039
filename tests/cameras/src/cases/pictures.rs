//! Shape, scan, order and pace of pictures.

use crate::case::{Case, Codec, Kind, Right};
use crate::feed::{Source, delayed, seconds};
use crate::media::{self, Absent, draw};
use crate::model::{Line, Model};

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Pictures, right, about, model)
}

pub const CASES: &[Case] = &[
    case("sar", Right { pixel: (40, 33), ..Right::h264(15.0, (704, 480)) }, "704x480 with pixels of 40:33", || {
        Ok(Model::pictures(media::wide_pixels()?, 15.0))
    }),
    case("nosar", Right::h264(10.0, (960, 1080)), "960x1080 of a 16:9 picture, not a word about its pixels", || {
        Ok(Model::pictures(media::squeezed()?, 10.0))
    }),
    case("big43", Right::h264(5.0, (2592, 1944)), "2592x1944", || Ok(Model::pictures(media::large()?, 5.0))),
    case("odd", Right::h264(15.0, (366, 206)), "366x206", || Ok(Model::pictures(media::odd_size()?, 15.0))),
    case("crop", Right::h264(25.0, (632, 356)), "cropped at the left and above too", || {
        Ok(Model::pictures(media::cropped()?, 25.0))
    }),
    case("mbaff", Right::h264(25.0, (720, 576)), "interlaced, macroblock-adaptive", || {
        Ok(Model::pictures(media::mbaff()?, 25.0))
    }),
    case(
        "fields",
        Right::h264(25.0, (160, 96)),
        "interlaced, each frame two field pictures in one access unit",
        || Ok(Model::pictures(draw::field_pairs(), 25.0)),
    ),
    case(
        "fieldmarks",
        Right::h264(25.0, (160, 96)),
        "interlaced, each field with a marker and a time of its own",
        || {
            Ok(Model::changed(draw::field_pairs(), 25.0, |source| {
                source.packed(|stream, shot, _| {
                    let (mut out, mut field) = (Vec::new(), 0);
                    for nal in shot.unit.iter() {
                        let is_slice = matches!(nal[0] & 31, 1 | 5);
                        let stamp = shot.stamp.wrapping_add(field * 1800);
                        out.extend(crate::rtp::h264::nal(stream, nal, stamp, is_slice));
                        field += u32::from(is_slice);
                    }
                    out
                })
            }))
        },
    ),
    case("bframes", Right::NORMAL, "two B-frames between others: time stamps go to and fro", || {
        let (units, later) = media::b_frames()?;
        Ok(Model::changed(units, 25.0, move |source| {
            let later = later.clone();
            source.changed(move |shot, n| {
                let by = later[(n % later.len() as u64) as usize];
                shot.stamp = shot.stamp.wrapping_add((by * 3600) as u32);
            })
        }))
    }),
    case(
        "turned",
        Right { quarters: 3, ..Right::NORMAL },
        "a SEI message says: turn by 90 degrees anticlockwise (display orientation)",
        || Ok(Model::pictures(media::turned()?, 25.0)),
    ),
    case("tiny", Right::h264(25.0, (160, 96)), "pictures of 10 bytes", || Ok(Model::pictures(draw::tiny(), 25.0))),
    case("burst", Right::NORMAL, "each second's pictures come at once", || {
        Ok(Model::changed(media::camera()?, 25.0, |source| source.changed(|shot, _| shot.at = shot.at.floor())))
    }),
    case("standstill", Right::NORMAL, "the network stands still for four of each twelve seconds", || {
        Ok(super::norm()?.sending(|feed, _| delayed(feed, seconds(12.0), seconds(4.0))))
    }),
    case("lowrate", Right::h264(6.5, (640, 360)), "says 25 pictures a second and sends 6.5", || {
        let mut model = Model::pictures(media::camera()?, 6.5);
        model.lines[0].more.push("a=framerate:25".into());
        Ok(model)
    }),
    case(
        "mpeg4",
        Right { plays_in_ffmpeg: true, codec: Codec::Other, ..Right::none("MPEG-4") },
        "MPEG-4 part 2 (MP4V-ES), as cameras of 2005 send it: not taken, and said so",
        || {
            let units = media::mpeg4()?;
            let line = Line {
                rtpmap: Some("MP4V-ES/90000".into()),
                fmtp: Some("profile-level-id=1".into()),
                ..Line::h264(&[])
            };
            Ok(Model::new(vec![line], move |start| {
                Source::pictures(start, &units, 25.0)
                    .packed(|stream, shot, _| {
                        let chunks = shot.unit[0].chunks(crate::rtp::FITS);
                        let count = chunks.len();
                        chunks.enumerate().map(|(i, c)| stream.packet(c, shot.stamp, i + 1 == count)).collect()
                    })
                    .feed()
            }))
        },
    ),
    case("high10", Right::NORMAL, "H.264 of 10 bits (High 10), which browsers do not play", || {
        Ok(Model::pictures(media::profile("high10", "yuv420p10le")?, 25.0))
    }),
    case("high422", Right::NORMAL, "H.264 4:2:2, which browsers do not play", || {
        Ok(Model::pictures(media::profile("high422", "yuv422p")?, 25.0))
    }),
    case("fullrange", Right::NORMAL, "full range of luma (yuvj420p), said in the SPS", || {
        Ok(Model::pictures(media::profile("main", "yuvj420p")?, 25.0))
    }),
];
