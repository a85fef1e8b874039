//! How packets travel, and what happens to them on the way.

use super::norm;
use crate::case::{Case, Kind, Right};
use crate::feed::{Damage, Event, damaged, merged, periodic, seconds};
use crate::media::{self, Absent};
use crate::model::{Line, Manners, Model, Tls, Transports};
use crate::random::Random;
use crate::rtp::Stream;

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Transport, right, about, model)
}

fn mannered(change: impl FnOnce(&mut Manners)) -> Result<Model, Absent> {
    Ok(norm()?.mannered(change))
}

fn by(change: fn(&mut Transports)) -> Result<Model, Absent> {
    mannered(|m| change(&mut m.transports))
}

/// The normal camera by UDP only, over a bad network.
fn udp(damage: Damage) -> Result<Model, Absent> {
    Ok(by(|t| t.tcp = false)?.sending(move |feed, start| damaged(feed, damage, 7 + start.session)))
}

fn junk(every_s: f64, bytes: fn(u64) -> Vec<u8>) -> Result<Model, Absent> {
    Ok(norm()?.sending(move |feed, _| merged(feed, periodic(seconds(every_s), move |n| Event::Raw(bytes(n))))))
}

pub const CASES: &[Case] = &[
    case("udp", Right::NORMAL, "UDP only: 461 to TCP", || by(|t| t.tcp = false)),
    case("udp406", Right::NORMAL, "UDP only: 406 to TCP", || {
        by(|t| (t.tcp, t.refusal) = (false, "406 Not Acceptable"))
    }),
    case("udp400", Right::NORMAL, "UDP only: 400 to TCP", || by(|t| (t.tcp, t.refusal) = (false, "400 Bad Request"))),
    case("udpports", Right::NORMAL, "UDP, from other ports than the camera names", || {
        by(|t| (t.tcp, t.other_port) = (false, true))
    }),
    case("udplost", Right::NORMAL, "UDP, one packet in 100 is lost", || udp(Damage { lost: 100, ..Damage::NONE })),
    case("udplate", Right::NORMAL, "UDP, one packet in 20 comes up to four packets late", || {
        udp(Damage { late: 20, ..Damage::NONE })
    }),
    case("udptwice", Right::NORMAL, "UDP, one packet in three comes twice", || {
        udp(Damage { doubled: 3, ..Damage::NONE })
    }),
    case("udpbad", Right::NORMAL, "UDP with sound: packets are lost, late and twice", || {
        let sound = Line::sound(8, Some("PCMA/8000"), None);
        let model = by(|t| t.tcp = false)?.with_sound(sound, media::pcm("alaw", 8000)?);
        let damage = Damage { lost: 200, late: 30, doubled: 30, ..Damage::NONE };
        Ok(model.sending(move |feed, start| damaged(feed, damage, start.session)))
    }),
    Case {
        transport: "multicast",
        ..case(
            "multicast",
            Right::NORMAL.beyond_ffmpeg(),
            "a multicast group on loopback, where ffmpeg does not join",
            || by(|t| (t.tcp, t.udp, t.multicast) = (false, false, true)),
        )
    },
    Case { transport: "http", ..case("http", Right::NORMAL, "RTSP in two HTTP connections", || by(|t| t.udp = false)) },
    Case {
        transport: "http",
        ..case("httpsound", Right::NORMAL.with_sound("pcma", 8000, 1), "the same with sign-in and sound", || {
            let sound = Line::sound(8, Some("PCMA/8000"), None);
            let model = norm()?.with_sound(sound, media::pcm("alaw", 8000)?);
            Ok(model.mannered(|m| m.sign_in = Some(crate::model::SignIn::by(&[crate::model::Scheme::Md5]))))
        })
    },
    case("channel", Right::NORMAL, "answers with other channels than asked for", || mannered(|m| m.channel_shift = 8)),
    case("early", Right::NORMAL, "media before the answer to PLAY", || mannered(|m| m.early = 20)),
    case("garbage", Right::NORMAL, "a piece of a packet that lost its header, every two seconds", || {
        junk(2.0, |n| Random::new(n).bytes(120).into_iter().filter(|b| *b != b'$').collect())
    }),
    case("garbage2", Right::NORMAL, "the same, with dollar signs in it that begin no packet", || {
        junk(2.0, |n| {
            let mut bytes = Random::new(n).bytes(90);
            for at in [5, 30, 31, 60] {
                bytes[at] = b'$';
            }
            bytes
        })
    }),
    case(
        "garbage3",
        Right::NORMAL,
        "a stray line break every two seconds, as sloppy firmware adds after an answer",
        || junk(2.0, |_| b"\r\n".to_vec()),
    ),
    case("foreignchannel", Right::NORMAL, "packets of a channel that nobody set up, now and then", || {
        junk(0.5, |n| {
            let packet = Stream::new(107, n).packet(&[0; 40], n as u32, true);
            [&[b'$', 6, 0, packet.len() as u8], &packet[..]].concat()
        })
    }),
    case("camerasays", Right::NORMAL, "the camera sends requests of its own between packets", || {
        junk(1.5, |n| {
            let request = [
                "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
                "SET_PARAMETER * RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 12\r\n\r\nmotion: on\r\n",
            ];
            request[n as usize % 2].as_bytes().to_vec()
        })
    }),
    case("unasked", Right::NORMAL, "answers that nobody asked for between packets", || {
        junk(1.5, |_| b"RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n".to_vec())
    }),
    case("udpnoport", Right::NORMAL, "UDP, and the answer names no ports of the camera", || {
        mannered(|m| {
            m.transports.tcp = false;
            m.edit = Some(|_, head| match head.split_once(";server_port=") {
                Some((before, after)) => before.to_owned() + after.find("\r\n").map_or("", |at| &after[at..]),
                None => head,
            });
        })
    }),
];

const fn tls(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Tls, right, about, model)
}

pub const TLS: &[Case] = &[
    tls("tlsown", Right::NORMAL, "RTSPS, a certificate that it signed itself", || mannered(|m| m.tls = Some(Tls::Own))),
    tls("tlsca", Right::NORMAL, "RTSPS, a certificate of an authority", || mannered(|m| m.tls = Some(Tls::Authority))),
    tls(
        "tlsexpired",
        Right::NORMAL,
        "RTSPS, a certificate that is out of date: refused where an authority is asked for",
        || mannered(|m| m.tls = Some(Tls::Expired)),
    ),
    tls(
        "tlsname",
        Right::NORMAL,
        "RTSPS, a certificate for another name: refused where an authority is asked for",
        || mannered(|m| m.tls = Some(Tls::OtherName)),
    ),
];
