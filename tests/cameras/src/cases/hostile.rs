//! Cameras that lie, or want to do harm. Nothing of the box may end, grow without bound, or write a file that does not open.

use super::norm;
use crate::case::{Case, Kind, Right};
use crate::feed::{Damage, Event, Source, Timed, damaged, merged, periodic, seconds};
use crate::media::draw::{Sps, pps, tiny};
use crate::media::{self, Absent};
use crate::model::{Line, Manners, Model, Redirect};
use crate::random::Random;
use crate::rtp::{FITS, h264};
use std::sync::Arc;
use std::time::Duration;

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Hostile, right, about, model)
}

fn mannered(change: impl FnOnce(&mut Manners)) -> Result<Model, Absent> {
    Ok(norm()?.mannered(change))
}

fn without_picture(units: Vec<media::Unit>) -> Result<Model, Absent> {
    Ok(Model::pictures(units, 25.0))
}

/// Each bit of RTP packets is flipped with a chance of one in a hundred.
fn flipped(from: usize) -> Result<Model, Absent> {
    let sound = Line::sound(8, Some("PCMA/8000"), None);
    let model = norm()?.with_sound(sound, media::pcm("alaw", 8000)?);
    let damage = Damage { flipped: 100, flipped_from: from, ..Damage::default() };
    Ok(model.sending(move |feed, start| damaged(feed, damage, 11 + start.session)))
}

const MUTE: Right = Right::none("picture");

pub const CASES: &[Case] = &[
    case("hugesps", MUTE, "an SPS of 65,535x65,535 pixels", || {
        let sps = Sps { id: 0, width_mbs: 4096, height_units: 4096, fields: false }.nal();
        let swap = |unit: &media::Unit| {
            let nals = unit.iter().map(|n| if n[0] & 31 == 7 { sps.clone() } else { n.clone() });
            Arc::new(nals.collect::<Vec<_>>())
        };
        without_picture(tiny().iter().map(swap).collect())
    }),
    case("endless", MUTE, "an access unit without end: pieces of one NAL unit, the time never changes", || {
        let units = media::camera()?;
        Ok(Model::new(vec![Line::h264(&units)], move |start| {
            let piece: Vec<u8> = [&[0x7c, 0x05][..], &[0x55; FITS]].concat();
            Source::pictures(start, &units, 2000.0)
                .changed(|shot, _| shot.stamp = 1)
                .packed(move |stream, shot, n| {
                    let mut piece = piece.clone();
                    piece[1] |= u8::from(n == 0) << 7;
                    vec![stream.packet(&piece, shot.stamp, false)]
                })
                .feed()
        }))
    }),
    case("endlessunits", MUTE, "an access unit of small NAL units without end", || {
        let units = media::camera()?;
        Ok(Model::new(vec![Line::h264(&units)], move |start| {
            Source::pictures(start, &units, 2000.0)
                .changed(|shot, _| shot.stamp = 1)
                .packed(|stream, shot, _| vec![stream.packet(&[6, 5, 1, 0, 0x80], shot.stamp, false)])
                .feed()
        }))
    }),
    case("sets10000", Right::h264(25.0, (160, 96)), "10,000 parameter sets, all different, with each keyframe", || {
        let mut units = tiny();
        let mut first = units[0].to_vec();
        let sets = (0..5000u64).flat_map(|n| {
            // Ids run from 1 on; those of the pictures stay.
            let sps = Sps { id: 1 + n % 31, width_mbs: 1 + n % 500, height_units: 1 + n / 500, fields: false };
            [sps.nal(), pps(1 + n % 255, 1 + n % 31)]
        });
        first.splice(0..0, sets);
        units[0] = Arc::new(first);
        let line = Line::h264(&tiny());
        Ok(Model::new(vec![line], move |start| Source::pictures(start, &units, 25.0).feed()))
    }),
    case("setids", Right::h264(25.0, (160, 96)), "parameter sets with ids that there are not", || {
        let mut units = tiny();
        let mut first = units[0].to_vec();
        let lies = [0xffff_fffe, 4_000_000, 300, 256, 32]
            .map(|id| Sps { id, width_mbs: 4, height_units: 4, fields: false }.nal());
        first.splice(
            0..0,
            lies.into_iter().chain([pps(0xffff_fffe, 7), pps(256, 0), pps(9, 0xffff_fffe), vec![0x67], vec![0x68]]),
        );
        units[0] = Arc::new(first);
        let line = Line::h264(&tiny());
        Ok(Model::new(vec![line], move |start| Source::pictures(start, &units, 25.0).feed()))
    }),
    case("sdp10mb", Right { plays_in_ffmpeg: true, ..MUTE }, "an SDP of 10 MB", || {
        Ok(norm()?.describing(|sdp, _| sdp + &"a=x-junk:0123456789012345678901234567890123456789\r\n".repeat(200_000)))
    }),
    case("sdplines", Right::NORMAL, "an SDP of 3,000 lines of pictures and sound, the right one first", || {
        Ok(norm()?
            .describing(|sdp, _| sdp + &"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 X/1\r\na=control:t\r\n".repeat(1000)))
    }),
    case("rtpjump", Right::NORMAL, "time and number jump by a billion, up and down, every second", || {
        Ok(Model::changed(media::camera()?, 25.0, |source| {
            source.packed(|stream, shot, n| {
                let jump = if n / 25 % 2 == 1 { 1_000_000_000u32 } else { 0 };
                if n % 25 == 0 {
                    stream.sequence = stream.sequence.wrapping_add(30_011);
                }
                h264::unit(stream, &shot.unit, shot.stamp.wrapping_add(jump))
            })
        }))
    }),
    case(
        "flips",
        Right { pictures_a_second: 0.0, ..Right::NORMAL },
        "1 % of all bits behind the RTP headers are flipped",
        || flipped(12),
    ),
    case(
        "flipsall",
        Right { pictures_a_second: 0.0, ..Right::NORMAL },
        "1 % of all bits of RTP packets are flipped",
        || flipped(0),
    ),
    case("flipssome", Right::NORMAL, "one bit in 100,000 is flipped", || {
        let damage = Damage { flipped: 100_000, ..Damage::default() };
        Ok(norm()?.sending(move |feed, start| damaged(feed, damage, start.session)))
    }),
    case("slowanswers", MUTE, "answers at one byte a second", || mannered(|m| m.byte_pace = Duration::from_secs(1))),
    case(
        "neverlength",
        Right { pictures_a_second: 0.0, ..Right::NORMAL },
        "after four seconds an interleaved packet whose bytes never come",
        || {
            Ok(norm()?.sending(|feed, _| {
                let header = Timed { at: seconds(4.0), event: Event::Raw(vec![b'$', 0, 0xff, 0xff]) };
                Box::new(crate::feed::ending(feed, seconds(4.0)).chain(std::iter::once(header)))
            }))
        },
    ),
    case("redirectloop", MUTE, "redirected to itself, for ever", || mannered(|m| m.redirect = Some(Redirect::Itself))),
    case("redirectbox", MUTE, "redirected to the box itself", || {
        mannered(|m| m.redirect = Some(Redirect::Url("rtsp://127.0.0.1:8554/front-door")))
    }),
    case("redirectfile", MUTE, "redirected to what is no RTSP", || {
        mannered(|m| m.redirect = Some(Redirect::Url("file:///etc/passwd")))
    }),
    case("header1mb", MUTE, "a header of 1 MB in each answer", || mannered(|m| m.header_bytes = 1 << 20)),
    case("junkonly", MUTE, "random bytes instead of packets, for ever", || {
        let units = media::camera()?;
        Ok(Model::new(vec![Line::h264(&units)], |_| {
            Box::new(periodic(Duration::from_millis(2), |n| Event::Raw(Random::new(n).bytes(1400))))
        }))
    }),
    case("rtpjunk", MUTE, "random bytes inside right frames, for ever", || {
        let units = media::camera()?;
        Ok(Model::new(vec![Line::h264(&units)], |_| {
            Box::new(periodic(Duration::from_millis(2), |n| {
                Event::Rtp(0, Random::new(n).bytes(700 + n as usize % 700))
            }))
        }))
    }),
    case("rtcpjunk", Right::NORMAL, "random bytes as RTCP", || {
        Ok(norm()?.sending(|feed, _| {
            let junk = periodic(Duration::from_millis(50), |n| {
                let mut packet = Random::new(n).bytes(4 + n as usize % 60);
                packet[0] = 0x80 | packet[0] & 0x3f;
                packet[1] = 200 + packet[1] % 5;
                Event::Rtcp(0, packet)
            });
            merged(feed, junk)
        }))
    }),
    case("flood", Right { pictures_a_second: 0.0, ..Right::NORMAL }, "pictures as fast as they can be sent", || {
        Ok(Model::pictures(media::camera()?, 1_000_000.0))
    }),
    case("jpegsizes", MUTE, "JPEG whose size and offsets lie", || {
        let pictures = media::jpeg_camera()?;
        let units: Vec<media::Unit> = vec![Arc::new(vec![pictures[0].scan.clone()])];
        Ok(Model::new(vec![Line::jpeg()], move |start| {
            let mut stream = crate::rtp::Stream::new(26, start.session);
            Source::pictures(start, &units, 50.0)
                .packed(move |_, shot, n| {
                    let mut random = Random::new(n);
                    let offset = (random.draw() as u32 & 0x00ff_ffff).to_be_bytes();
                    let rest = [random.draw() as u8, random.draw() as u8, 0, 0, 0xff, 0xff, 0xff, 0xff];
                    vec![stream.packet(&[&offset[..], &rest, &shot.unit[0][..500]].concat(), shot.stamp, n % 3 == 0)]
                })
                .feed()
        }))
    }),
    case("aacsizes", Right::NORMAL.with_sentence("sound"), "AAC whose header promises more than there is", || {
        let track = media::aac(16_000, 1)?;
        let fmtp = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408";
        let line = Line::sound(97, Some("mpeg4-generic/16000/1"), Some(fmtp));
        Ok(norm()?.with_source(line, move |start, number| {
            Source::sound(start, number, &track).packed(|stream, shot, n| {
                vec![stream.packet(&Random::new(n).bytes(4 + n as usize % 90), shot.stamp, true)]
            })
        }))
    }),
];
