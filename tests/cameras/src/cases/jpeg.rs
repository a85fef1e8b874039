//! Motion JPEG (RFC 2435).

use crate::case::{Case, Codec, Kind, Right};
use crate::feed::Source;
use crate::media::{self, Absent, Jpeg, Unit};
use crate::model::{Line, Model};
use crate::rtp::Stream;
use crate::rtp::jpeg::{Tables, picture};
use std::sync::Arc;

const RIGHT: Right = Right::h264(10.0, (320, 176)).coded(Codec::Jpeg);

const fn case(name: &'static str, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Jpeg, RIGHT, about, model)
}

fn camera(pictures: Vec<Jpeg>, tables: Tables, line: Line) -> Model {
    let number = line.payload_type;
    // The schedule is that of pictures; what is packed is found by its number.
    let units: Vec<Unit> = pictures.iter().map(|p| Arc::new(vec![p.file.to_vec()])).collect();
    Model::new(vec![line], move |start| {
        let pictures = pictures.clone();
        Source::pictures(start, &units, 10.0)
            .stream(Stream::new(number, start.session))
            .packed(move |stream, shot, n| {
                picture(stream, &pictures[(n % pictures.len() as u64) as usize], shot.stamp, tables, n)
            })
            .feed()
    })
}

pub const CASES: &[Case] = &[
    case("jpeg", "quantization tables with each picture", || {
        Ok(camera(media::jpeg_camera()?, Tables::Each, Line::jpeg()))
    }),
    case("jpegsome", "quantization tables with one of ten pictures (Q 200)", || {
        Ok(camera(media::jpeg_camera()?, Tables::Sometimes, Line::jpeg()))
    }),
    case("jpegq", "no quantization tables: Q is a quality", || {
        Ok(camera(media::jpeg_75()?, Tables::Quality(75), Line::jpeg()))
    }),
    case("jpegrestarts", "restart markers", || Ok(camera(media::jpeg_restarts()?, Tables::Each, Line::jpeg()))),
    case("jpeg422", "4:2:2", || Ok(camera(media::draw::jpeg_422(), Tables::Each, Line::jpeg()))),
    case("jpegnomap", "the static type without rtpmap", || {
        Ok(camera(media::jpeg_camera()?, Tables::Each, Line { rtpmap: None, ..Line::jpeg() }))
    }),
    case("jpegdynamic", "a dynamic type", || {
        Ok(camera(media::jpeg_camera()?, Tables::Each, Line { payload_type: 98, ..Line::jpeg() }))
    }),
];
