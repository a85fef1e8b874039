//! Access units that are not one picture each, packets that carry more or less than they should, parameter sets in odd places.

use super::norm;
use crate::bits::{pps_with_id, slice_with_pps};
use crate::case::{Case, Kind, Right};
use crate::feed::{Event, Shot, Source, merged, periodic, seconds};
use crate::media::{self, Absent, Unit};
use crate::model::{Line, Model};
use crate::rtp::h264::{self, Interleaved};
use crate::rtp::{Stream, adorned, marked};
use std::sync::Arc;

type Packets = Vec<Vec<u8>>;

/// The normal camera with packets made otherwise.
fn packed(pack: fn(&mut Stream, &Shot, u64) -> Packets) -> Result<Model, Absent> {
    Ok(Model::changed(media::camera()?, 25.0, move |source| source.packed(pack)))
}

/// The normal camera with something done to the NAL units of each picture.
fn with_units(change: fn(&Unit, u64) -> Vec<Vec<u8>>) -> Result<Model, Absent> {
    Ok(Model::changed(media::camera()?, 25.0, move |source| {
        source.changed(move |shot, n| shot.unit = Arc::new(change(&shot.unit, n)))
    }))
}

const SEI: &[u8] = &[6, 5, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, b'a', b'b', b'c', b'd', 0x80];
const AUD: &[u8] = &[9, 0xf0];

const fn case(name: &'static str, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Units, Right::NORMAL, about, model)
}

pub const CASES: &[Case] = &[
    case(
        "reolink",
        "SPS with the marker, SPS and PPS with the time of the picture before, then the IDR with its own",
        || {
            packed(|stream, shot, _| {
                let before = shot.stamp.wrapping_sub(3600);
                let nals = shot.unit.iter().filter(|n| n[0] & 31 != 6);
                let one = |n: &Vec<u8>| match n[0] & 31 {
                    kind @ (7 | 8) => h264::nal(stream, n, before, kind == 7),
                    _ => h264::nal(stream, n, shot.stamp, true),
                };
                nals.flat_map(one).collect()
            })
        },
    ),
    case("seimark", "a SEI of its own with the marker before each picture, with that picture's time", || {
        packed(|stream, shot, _| {
            let mut out = h264::nal(stream, SEI, shot.stamp, true);
            out.extend(h264::unit(stream, &h264::only(&shot.unit, &[6], false), shot.stamp));
            out
        })
    }),
    case("seiafter", "a SEI with the marker after each picture, with a time of its own", || {
        packed(|stream, shot, _| {
            let mut out = h264::unit(stream, &shot.unit, shot.stamp);
            out.extend(h264::nal(stream, SEI, shot.stamp.wrapping_add(1), true));
            out
        })
    }),
    case(
        "filler",
        "constant bit rate: filler data after each fifth picture, in a packet of its own with the marker",
        || {
            packed(|stream, shot, n| {
                let mut out = h264::unit(stream, &shot.unit, shot.stamp);
                if n % 5 == 4 {
                    let filler = [&[12], &[0xff; 300][..], &[0x80]].concat();
                    out.extend(h264::nal(stream, &filler, shot.stamp.wrapping_add(900), true));
                }
                out
            })
        },
    ),
    case("audmark", "access unit delimiters in packets of their own with the marker", || {
        packed(|stream, shot, _| {
            let mut out = h264::nal(stream, AUD, shot.stamp, true);
            out.extend(h264::unit(stream, &shot.unit, shot.stamp));
            out
        })
    }),
    case("aud", "an access unit delimiter before each picture, end of sequence after each GOP", || {
        with_units(|unit, n| {
            let mut out = [vec![AUD.to_vec()], unit.to_vec()].concat();
            out.extend((n % 50 == 49).then(|| vec![10]));
            out
        })
    }),
    case(
        "strangers",
        "NAL units of unspecified kinds (0, 24 and above inside others' meaning excepted), and a prefix NAL unit before each slice",
        || {
            with_units(|unit, _| {
                let around = |n: &Vec<u8>| match n[0] & 31 {
                    1 | 5 => vec![vec![n[0] & 0x60 | 14, 0x40, 0x80, 0x07], n.clone()],
                    _ => vec![n.clone()],
                };
                [unit.iter().flat_map(around).collect(), vec![vec![23, 1, 2, 3]]].concat()
            })
        },
    ),
    case("nomarker", "the marker is never set", || {
        packed(|stream, shot, _| {
            h264::unit(stream, &shot.unit, shot.stamp).into_iter().map(|p| marked(p, false)).collect()
        })
    }),
    case("allmarkers", "the marker is set on each packet", || {
        packed(|stream, shot, _| {
            h264::unit(stream, &shot.unit, shot.stamp).into_iter().map(|p| marked(p, true)).collect()
        })
    }),
    case("stapa", "short NAL units gathered (STAP-A)", || packed(h264::pack_gathered)),
    case("stapaone", "STAP-A of one NAL unit, for each short one", || {
        packed(|stream, shot, _| {
            let last = shot.unit.len() - 1;
            let one = |(i, n): (usize, &Vec<u8>)| {
                if n.len() > 1000 {
                    return h264::nal(stream, n, shot.stamp, i == last);
                }
                vec![stream.packet(&h264::gathered(std::slice::from_ref(n)), shot.stamp, i == last)]
            };
            shot.unit.iter().enumerate().flat_map(one).collect()
        })
    }),
    case(
        "fusmall",
        "everything in pieces of 400 bytes, parameter sets in pieces of one packet with both start and end set",
        || {
            packed(|stream, shot, _| {
                let last = shot.unit.len() - 1;
                let one = |(i, n): (usize, &Vec<u8>)| h264::pieces(stream, n, shot.stamp, i == last, 400);
                shot.unit.iter().enumerate().flat_map(one).collect()
            })
        },
    ),
    case("funoend", "the last piece of a NAL unit lacks its end bit", || {
        packed(|stream, shot, _| {
            let mut out = h264::unit(stream, &shot.unit, shot.stamp);
            for packet in out.iter_mut().filter(|p| p[12] & 31 == 28) {
                packet[13] &= !0x40;
            }
            out
        })
    }),
    case("jumbo", "a picture's NAL units in packets of up to 60,000 bytes", || {
        packed(|stream, shot, _| {
            let last = shot.unit.len() - 1;
            shot.unit.iter().enumerate().map(|(i, n)| stream.packet(n, shot.stamp, i == last)).collect()
        })
    }),
    case("startcodes", "a whole access unit with start codes between its parts in one NAL unit's place", || {
        packed(h264::pack_start_codes)
    }),
    case("startcode", "each NAL unit begins with a start code", || {
        packed(|stream, shot, _| {
            // Pieces carry it inside the first one; the header of all is the zero of the start code.
            let with_code: Vec<_> = shot.unit.iter().map(|n| [&[0, 0, 0, 1][..], n].concat()).collect();
            let last = with_code.len() - 1;
            let one = |(i, n): (usize, &Vec<u8>)| {
                if n.len() <= 60_000 { vec![stream.packet(n, shot.stamp, i == last)] } else { Vec::new() }
            };
            with_code.iter().enumerate().flat_map(one).collect()
        })
    }),
    case("zerotail", "zero bytes after each NAL unit", || {
        with_units(|unit, _| unit.iter().map(|n| [n, &[0, 0][..]].concat()).collect())
    }),
    case("adorned", "header extension, contributing sources and padding in each packet", || {
        Ok(norm()?.sending(|feed, _| crate::feed::each_packet(feed, 0, |p| adorned(&p, true, true, true))))
    }),
    case("empty", "packets without payload between pictures, and some of padding only", || {
        packed(|stream, shot, n| {
            let mut out = h264::unit(stream, &shot.unit, shot.stamp);
            out.push(stream.packet(&[], shot.stamp, false));
            if n % 3 == 0 {
                let empty = stream.packet(&[], shot.stamp, false);
                out.push(adorned(&empty, false, false, true));
            }
            out
        })
    }),
    case("slices", "four slices a picture, the marker with the last", || Ok(Model::pictures(media::sliced()?, 25.0))),
    case("slicemarks", "four slices a picture, the marker with each", || {
        Ok(Model::changed(media::sliced()?, 25.0, |source| source.packed(h264::pack_each_marked)))
    }),
    Case {
        right: Right::NORMAL.beyond_ffmpeg(),
        ..case("otherpt", "packets have another payload type than the SDP says", || {
            Ok(Model::changed(media::camera()?, 25.0, |source| source.stream(Stream::new(97, 1))))
        })
    },
    case("twosenders", "now and then a packet of another sender (SSRC) in the same channel", || {
        Ok(norm()?.sending(|feed, _| {
            let mut other = Stream::new(96, 99);
            let stray = periodic(seconds(0.33), move |n| Event::Rtp(0, other.packet(SEI, n as u32 * 29_700, true)));
            merged(feed, stray)
        }))
    }),
    case("rtcpinrtp", "sender reports come in RTP's channel", || {
        Ok(norm()?.sending(|feed, _| {
            Box::new(feed.map(|mut timed| {
                if let Event::Rtcp(track, packet) = timed.event {
                    timed.event = Event::Rtp(track, packet);
                }
                timed
            }))
        }))
    }),
    Case {
        right: Right::NORMAL.beyond_ffmpeg(),
        ..case("stapb", "interleaved mode: STAP-B, FU-B, FU-A", || interleaved(Interleaved::StapB))
    },
    Case {
        right: Right::NORMAL.beyond_ffmpeg(),
        ..case("mtap16", "interleaved mode: MTAP16", || interleaved(Interleaved::Mtap16))
    },
    Case {
        right: Right::NORMAL.beyond_ffmpeg(),
        ..case("mtap24", "interleaved mode: MTAP24", || interleaved(Interleaved::Mtap24))
    },
];

fn interleaved(how: Interleaved) -> Result<Model, Absent> {
    let units = media::camera()?;
    let mut line = Line::h264(&units);
    let mode_2 = |f: String| f.replace("mode=1", "mode=2;sprop-interleaving-depth=0;sprop-deint-buf-req=0");
    line.fmtp = line.fmtp.map(mode_2);
    Ok(Model::new(vec![line], move |start| Source::pictures(start, &units, 25.0).packed(h264::interleaved(how)).feed()))
}

const fn sets(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Sets, right, about, model)
}

pub const SETS: &[Case] = &[
    sets("noinband", Right::NORMAL, "SPS and PPS only in the SDP", || {
        let units = media::camera()?;
        let line = Line::h264(&units);
        let bare: Vec<Unit> = units.iter().map(|u| Arc::new(h264::only(u, &[7, 8], false))).collect();
        Ok(Model::new(vec![line], move |start| Source::pictures(start, &bare, 25.0).feed()))
    }),
    sets("nosdpsets", Right::NORMAL, "SPS and PPS only in band; no fmtp at all", || {
        let mut model = norm()?;
        model.lines[0].fmtp = None;
        Ok(model)
    }),
    sets("wrongsdpsets", Right::NORMAL, "the SDP's SPS and PPS are those of another size", || {
        let mut model = norm()?;
        model.lines[0].fmtp = Line::h264(&media::odd_size()?).fmtp;
        Ok(model)
    }),
    sets("eachsets", Right::NORMAL, "SPS and PPS before each picture", || {
        let units = media::camera()?;
        let sets = h264::only(&units[0], &[7, 8], true);
        let with: Vec<Unit> =
            units.iter().map(|u| Arc::new([sets.clone(), h264::only(u, &[7, 8], false)].concat())).collect();
        Ok(Model::pictures(with, 25.0))
    }),
    sets("latesets", Right::NORMAL, "the PPS comes before the SPS, and both after the SEI", || {
        with_units(|unit, _| {
            let kind = |k: u8| h264::only(unit, &[k], true);
            [kind(6), kind(8), kind(7), h264::only(unit, &[6, 7, 8], false)].concat()
        })
    }),
    sets("pps2", Right::NORMAL, "two PPS before each IDR; P pictures use the second", || {
        let units = media::camera()?;
        let second = pps_with_id(&h264::only(&units[0], &[8], true)[0], 1);
        let change = |unit: &Unit| {
            let mut out = Vec::new();
            for nal in unit.iter() {
                match nal[0] & 31 {
                    8 => out.extend([nal.clone(), second.clone()]),
                    1 => out.push(slice_with_pps(nal, 1)),
                    _ => out.push(nal.clone()),
                }
            }
            Arc::new(out)
        };
        let changed = units.iter().map(change).collect();
        Ok(Model::pictures(changed, 25.0))
    }),
    sets("altsps", Right::h264(25.0, (320, 180)), "the SPS differs from GOP to GOP (only its frame rate)", || {
        let (a, b) = media::two_sps()?;
        Ok(Model::pictures([a, b].concat(), 25.0))
    }),
    sets(
        "switch",
        Right::h264(20.0, (640, 360)),
        "another picture size for four of eight seconds, without a new connection",
        || {
            let (large, small) = (media::camera()?, media::odd_size()?);
            Ok(Model::new(vec![Line::h264(&large)], move |start| {
                let (large, small) = (large.clone(), small.clone());
                let base = crate::feed::first_stamp(start, 0);
                // 100 pictures in four seconds, then 60 in four.
                Source::pictures(start, &large, 25.0)
                    .changed(move |shot, n| {
                        let (round, within) = (n / 160, n % 160);
                        let into = if within < 100 { within as f64 / 25.0 } else { 4.0 + (within - 100) as f64 / 15.0 };
                        shot.at = round as f64 * 8.0 + into;
                        shot.stamp = base.wrapping_add((shot.at * 90_000.0).round() as u64 as u32);
                        shot.unit = if within < 100 {
                            large[within as usize].clone()
                        } else {
                            small[within as usize - 100].clone()
                        };
                    })
                    .feed()
            }))
        },
    ),
    sets("setsalone", Right::NORMAL, "parameter sets come alone, each half a second, with a time of their own", || {
        let units = media::camera()?;
        let sets = h264::only(&units[0], &[7, 8], true);
        Ok(Model::changed(units, 25.0, move |source| {
            let sets = sets.clone();
            source.packed(move |stream, shot, n| {
                let mut out = h264::unit(stream, &shot.unit, shot.stamp);
                if n % 12 == 7 {
                    out.extend(sets.iter().flat_map(|s| h264::nal(stream, s, shot.stamp.wrapping_add(1800), true)));
                }
                out
            })
        }))
    }),
];
