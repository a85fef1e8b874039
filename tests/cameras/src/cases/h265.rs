//! H.265 (RFC 7798).

use crate::case::{Case, Codec, Kind, Right};
use crate::feed::Source;
use crate::media::{self, Absent, Unit, h265_kind};
use crate::model::{Line, Model};
use crate::rtp::h265::{H265Packing, pack};
use std::sync::Arc;

const RIGHT: Right = Right::h264(25.0, (320, 180)).coded(Codec::H265);

const fn case(name: &'static str, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::H265, RIGHT, about, model)
}

fn camera(units: Vec<Unit>, how: H265Packing, line: Line) -> Model {
    Model::new(vec![line], move |start| Source::pictures(start, &units, 25.0).packed(pack(how)).feed())
}

fn simple(units: Vec<Unit>) -> Result<Model, Absent> {
    let line = Line::h265(&units);
    Ok(camera(units, H265Packing::default(), line))
}

fn without(units: &[Unit], kinds: &[u8]) -> Vec<Unit> {
    let keep = |u: &Unit| Arc::new(u.iter().filter(|n| !kinds.contains(&h265_kind(n))).cloned().collect::<Vec<_>>());
    units.iter().map(keep).collect()
}

pub const CASES: &[Case] = &[
    case("h265", "320x180, 25 a second, a keyframe each two seconds", || simple(media::h265_camera()?)),
    case("h265gathered", "short NAL units gathered (AP), long ones in pieces (FU)", || {
        let units = media::h265_camera()?;
        let line = Line::h265(&units);
        Ok(camera(units, H265Packing { gathered: true, don: false }, line))
    }),
    Case {
        right: RIGHT.beyond_ffmpeg(),
        ..case("h265don", "each NAL unit says its place in decoding order (sprop-max-don-diff=1)", || {
            let units = media::h265_camera()?;
            let mut line = Line::h265(&units);
            line.fmtp = line.fmtp.map(|f| format!("{f};sprop-max-don-diff=1;sprop-depack-buf-nalus=1"));
            Ok(camera(units, H265Packing { gathered: true, don: true }, line))
        })
    },
    case("h265cra", "open GOPs: a session begins at a CRA with leading pictures that nothing leads to", || {
        let units = media::h265_open_gop()?;
        let line = Line::h265(&units);
        let first = units.iter().position(|u| u.iter().any(|n| h265_kind(n) == 21)).unwrap_or(0);
        // The file's only IDR is left out for good: what follows the CRA leads back to it.
        let looped = units[first..].to_vec();
        Ok(camera(looped, H265Packing::default(), line))
    }),
    case("h265noinband", "parameter sets only in the SDP", || {
        let units = media::h265_camera()?;
        let line = Line::h265(&units);
        Ok(camera(without(&units, &[32, 33, 34]), H265Packing::default(), line))
    }),
    case("h265nosdpsets", "parameter sets only in band; no fmtp", || {
        let units = media::h265_camera()?;
        let line = Line { fmtp: None, ..Line::h265(&units) };
        Ok(camera(units, H265Packing::default(), line))
    }),
    case("h265switch", "another picture size for four of eight seconds", || {
        let (a, b) = (media::h265_camera()?, media::h265_other()?);
        simple([a, b].concat())
    }),
    Case {
        right: Right { size: (320, 192), ..RIGHT },
        ..case("h265slices", "two slices a picture, the marker with each", || {
            let units = media::h265_sliced()?;
            let line = Line::h265(&units);
            Ok(Model::new(vec![line], move |start| {
                let mut pack = pack(H265Packing::default());
                Source::pictures(start, &units, 25.0)
                    .packed(move |stream, shot, n| {
                        pack(stream, shot, n).into_iter().map(|p| crate::rtp::marked(p, true)).collect()
                    })
                    .feed()
            }))
        })
    },
    Case {
        right: RIGHT.beyond_ffmpeg(),
        ..case("h265name", "the SDP calls it HEVC", || {
            let mut model = simple(media::h265_camera()?)?;
            model.lines[0].rtpmap = Some("HEVC/90000".into());
            Ok(model)
        })
    },
    case("h265marks", "parameter sets with the marker and the time of the picture before", || {
        let units = media::h265_camera()?;
        let line = Line::h265(&units);
        Ok(Model::new(vec![line], move |start| {
            Source::pictures(start, &units, 25.0)
                .packed(|stream, shot, n| {
                    let mut out = Vec::new();
                    for nal in shot.unit.iter() {
                        let is_slice = h265_kind(nal) < 32;
                        let mut shot = shot.clone();
                        shot.stamp = if is_slice { shot.stamp } else { shot.stamp.wrapping_sub(3600) };
                        shot.unit = Arc::new(vec![nal.clone()]);
                        out.extend(pack(H265Packing::default())(stream, &shot, n));
                    }
                    out
                })
                .feed()
        }))
    }),
    Case {
        right: Right { quarters: 1, ..RIGHT },
        ..case("h265turned", "a SEI message says: turn by 90 degrees clockwise (display orientation)", || {
            // H.265 D.2.17: not cancelled, no flips, 0xc000 of a circle anticlockwise, it holds on.
            let message = vec![0x4e, 1, 47, 3, 0b0001_1000, 0, 0b0001_1000, 0x80];
            let turned = |unit: &Unit| {
                let mut nals = unit.to_vec();
                if let Some(at) = nals.iter().position(|nal| (16..24).contains(&h265_kind(nal))) {
                    nals.insert(at, message.clone());
                }
                Arc::new(nals)
            };
            simple(media::h265_camera()?.iter().map(turned).collect())
        })
    },
    case("h265main10", "10 bits (Main 10)", || simple(media::h265_main10()?)),
];
