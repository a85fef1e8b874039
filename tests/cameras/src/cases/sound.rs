//! Sound beside normal pictures.

use super::norm;
use crate::case::{Case, Kind, Right};
use crate::feed::{Event, Source};
use crate::media::{self, Absent, Track};
use crate::model::{Line, Model};
use crate::rtp::sound as pack;
use std::sync::Arc;

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Sound, right, about, model)
}

const fn heard(codec: &'static str, rate_hz: u32, channels: u16) -> Right {
    Right::NORMAL.with_sound(codec, rate_hz, channels)
}

fn plain(payload_type: u8, rtpmap: Option<&str>, track: Track) -> Result<Model, Absent> {
    Ok(norm()?.with_sound(Line::sound(payload_type, rtpmap, None), track))
}

type Pack = fn(&mut crate::rtp::Stream, &crate::feed::Shot, u64) -> Vec<Vec<u8>>;

fn packed(rtpmap: &str, fmtp: &str, track: Track, pack: Pack) -> Result<Model, Absent> {
    let line = Line::sound(97, Some(rtpmap), Some(fmtp));
    Ok(norm()?.with_source(line, move |start, number| Source::sound(start, number, &track).packed(pack)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

fn hbr(track: &Track) -> String {
    let config = hex(&track.config);
    format!(
        "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={config}"
    )
}

/// Several frames of a track in each packet.
fn gathered(track: &Track, count: usize) -> (Vec<Vec<Vec<u8>>>, f64, u32) {
    let units = track.frames.chunks_exact(count).map(<[Vec<u8>]>::to_vec).collect();
    (units, track.frame_s * count as f64, track.ticks * count as u32)
}

/// MPEG audio, so many frames a packet and bytes of them at most (RFC 2250 3.5).
fn mpa(track: Track, count: usize, most: usize) -> Result<Model, Absent> {
    let (units, packet_s, ticks) = gathered(&track, count);
    Ok(norm()?.with_source(Line::sound(14, None, None), move |start, number| {
        let (units, base) = (units.clone(), crate::feed::first_stamp(start, 1));
        Source::sound(start, number, &track)
            .changed(move |shot, n| {
                shot.unit = Arc::new(units[(n % units.len() as u64) as usize].clone());
                shot.at = n as f64 * packet_s;
                shot.stamp = base.wrapping_add((n * u64::from(ticks)) as u32);
            })
            .packed(move |stream, shot, _| {
                let all = shot.unit.concat();
                let pieces = all.chunks(most.min(all.len())).enumerate();
                let packet = |(n, piece): (usize, &[u8])| {
                    let offset = ((n * most.min(all.len())) as u32).to_be_bytes();
                    stream.packet(&[&offset[..], piece].concat(), shot.stamp, true)
                };
                pieces.map(packet).collect()
            })
    }))
}

macro_rules! g726 {
    ($name:literal, $bits:literal, $encoding:literal, $high_first:literal) => {
        case($name, heard("g726", 8000, 1), concat!($encoding, ", ", $bits, " bits a sample"), || {
            plain(97, Some(concat!($encoding, "/8000")), media::g726($bits, $high_first)?)
        })
    };
}

pub const CASES: &[Case] = &[
    case("pcma", heard("pcma", 8000, 1), "A-law by its static type, without rtpmap", || {
        plain(8, None, media::pcm("alaw", 8000)?)
    }),
    case("pcmu", heard("pcmu", 8000, 1), "mu-law by its static type, without rtpmap", || {
        plain(0, None, media::pcm("mulaw", 8000)?)
    }),
    case("pcmu16", heard("pcmu", 16_000, 1), "mu-law at 16 kHz", || {
        plain(97, Some("PCMU/16000"), media::pcm("mulaw", 16_000)?)
    }),
    case("pcmu16s", heard("pcmu", 16_000, 1), "the static type of mu-law, with 16 kHz", || {
        plain(0, Some("PCMU/16000"), media::pcm("mulaw", 16_000)?)
    }),
    case("silentaudio", Right::NORMAL.with_sentence("sound"), "sound is announced and set up, and never comes", || {
        let quiet = media::pcm("alaw", 8000)?;
        let model = norm()?.with_sound(Line::sound(8, Some("PCMA/8000"), None), quiet);
        Ok(model.sending(|feed, _| Box::new(feed.filter(|t| !matches!(t.event, Event::Rtp(1, _) | Event::Rtcp(1, _))))))
    }),
    case("latesound", heard("pcma", 8000, 1), "sound begins four seconds after the pictures", || {
        let model = norm()?.with_sound(Line::sound(8, Some("PCMA/8000"), None), media::pcm("alaw", 8000)?);
        let is_early =
            |t: &crate::feed::Timed| t.at.as_secs() < 4 && matches!(t.event, Event::Rtp(1, _) | Event::Rtcp(1, _));
        Ok(model.sending(move |feed, _| Box::new(feed.filter(move |t| !is_early(t)))))
    }),
    case("g722", heard("g722", 16_000, 1), "G.722 by its static type", || plain(9, Some("G722/8000"), media::g722()?)),
    g726!("g726", 4, "G726-32", false),
    g726!("g72616", 2, "G726-16", false),
    g726!("g72624", 3, "G726-24", false),
    g726!("g72640", 5, "G726-40", false),
    g726!("aal2g72616", 2, "AAL2-G726-16", true),
    g726!("aal2g72624", 3, "AAL2-G726-24", true),
    g726!("aal2g72632", 4, "AAL2-G726-32", true),
    g726!("aal2g72640", 5, "AAL2-G726-40", true),
    case("g726static", heard("g726", 8000, 1), "payload type 2, which once was G.721: 4 bits a sample", || {
        plain(2, Some("G726-32/8000"), media::g726(4, false)?)
    }),
    case("l16", heard("l16", 44_100, 2), "L16 of 44.1 kHz, stereo, by its static type", || {
        plain(10, None, media::l16(44_100, 2)?)
    }),
    case("l16four", heard("l16", 16_000, 4), "L16 of 16 kHz with four channels, of which two are silent", || {
        plain(97, Some("L16/16000/4"), media::l16(16_000, 4)?)
    }),
    case("l16mono", heard("l16", 16_000, 1), "L16 of 16 kHz", || plain(97, Some("L16/16000"), media::l16(16_000, 1)?)),
    case("aac", heard("aac", 16_000, 1), "AAC-hbr, one access unit a packet", || {
        let track = media::aac(16_000, 1)?;
        packed("mpeg4-generic/16000/1", &hbr(&track), track, pack::aac_hbr)
    }),
    case("aacstereo", heard("aac", 48_000, 2), "AAC-hbr of 48 kHz, stereo, its names in odd letters", || {
        let track = media::aac(48_000, 2)?;
        let fmtp = hbr(&track).replace("mode=AAC-hbr;sizelength", "Mode=aac-HBR; SizeLength");
        packed("MPEG4-Generic/48000/2", &fmtp, track, pack::aac_hbr)
    }),
    case("aacseveral", heard("aac", 16_000, 1), "AAC-hbr, three access units a packet", || {
        let track = media::aac(16_000, 1)?;
        let line = Line::sound(97, Some("mpeg4-generic/16000/1"), Some(&hbr(&track)));
        let (units, packet_s, ticks) = gathered(&track, 3);
        Ok(norm()?.with_source(line, move |start, number| {
            let (units, base) = (units.clone(), crate::feed::first_stamp(start, 1));
            Source::sound(start, number, &track)
                .changed(move |shot, n| {
                    shot.at = n as f64 * packet_s;
                    shot.stamp = base.wrapping_add((n as u32).wrapping_mul(ticks));
                    shot.unit = Arc::new(units[(n % units.len() as u64) as usize].clone());
                })
                .packed(pack::aac_several)
        }))
    }),
    case("aacpieces", heard("aac", 16_000, 1), "AAC-hbr, an access unit in three packets", || {
        let track = media::aac(16_000, 1)?;
        packed("mpeg4-generic/16000/1", &hbr(&track), track, pack::aac_pieces)
    }),
    case("aaclbr", heard("aac", 8000, 1), "AAC-lbr", || {
        let track = media::aac_short()?;
        let fmtp = hbr(&track).replace(
            "AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3",
            "AAC-lbr;sizelength=6;indexlength=2;indexdeltalength=2",
        );
        packed("mpeg4-generic/8000/1", &fmtp, track, pack::aac_lbr)
    }),
    case("latm", heard("aac", 16_000, 1), "AAC as LATM, its configuration in the SDP", || {
        let track = media::aac(16_000, 1)?;
        let fmtp = format!("profile-level-id=15;object=2;cpresent=0;config={}", pack::latm_config(&track.config));
        packed("MP4A-LATM/16000/1", &fmtp, track, pack::latm)
    }),
    case(
        "latminband",
        heard("aac", 16_000, 1),
        "AAC as LATM, its configuration in the packets, and another in the SDP",
        || {
            packed(
                "MP4A-LATM/16000/2",
                "profile-level-id=15;object=2;cpresent=1",
                media::aac(16_000, 1)?,
                pack::latm_in_band,
            )
        },
    ),
    case("aacpce", heard("aac", 48_000, 3), "AAC whose channels are said by a program config element", || {
        let track = media::aac_program()?;
        packed("mpeg4-generic/48000", &hbr(&track), track, pack::aac_hbr)
    }),
    case("aacnoconfig", Right::NORMAL.with_sentence("sound"), "AAC without its configuration", || {
        let track = media::aac(16_000, 1)?;
        packed(
            "mpeg4-generic/16000/1",
            "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3",
            track,
            pack::aac_hbr,
        )
    }),
    case("opus", heard("opus", 48_000, 2), "Opus", || plain(111, Some("opus/48000/2"), media::opus()?)),
    case("unknownsound", Right::NORMAL.with_sentence("sound"), "an encoding of sound that nobody knows", || {
        plain(97, Some("X-VENDOR-7/8000"), media::pcm("alaw", 8000)?)
    }),
    case("adts", heard("aac", 16_000, 1), "AAC with ADTS headers inside RTP's", || {
        let track = media::aac(16_000, 1)?;
        let with_header = |frame: &Vec<u8>| {
            let length = frame.len() + 7;
            let header =
                [0xff, 0xf1, 0x60, 0x40 | (length >> 11) as u8, (length >> 3) as u8, (length << 5) as u8 | 0x1f, 0xfc];
            [&header[..], frame].concat()
        };
        let fmtp = hbr(&track);
        let track = Track { frames: Arc::new(track.frames.iter().map(with_header).collect()), ..track };
        packed("mpeg4-generic/16000/1", &fmtp, track, pack::aac_hbr)
    }),
    case("mpa", heard("mpa", 48_000, 1), "MPEG audio (MP2) by its static type", || mpa(media::mp2()?, 1, usize::MAX)),
    case("mpaseveral", heard("mpa", 48_000, 1), "MPEG audio, three frames a packet", || {
        mpa(media::mp2()?, 3, usize::MAX)
    }),
    case("mpapieces", heard("mpa", 48_000, 1), "MPEG audio, frames in pieces of 80 bytes", || {
        mpa(media::mp2()?, 1, 80)
    }),
    case("mp3", heard("mpa", 16_000, 1), "MPEG audio (MP3) of 16 kHz by its static type", || {
        mpa(media::mp3()?, 1, usize::MAX)
    }),
    case("pcmastereo", heard("pcma", 8000, 2), "A-law in stereo", || {
        let mono = media::pcm("alaw", 8000)?;
        let stereo = mono.frames.iter().map(|f| f.iter().flat_map(|b| [*b, *b]).collect()).collect();
        plain(97, Some("PCMA/8000/2"), Track { frames: Arc::new(stereo), ..mono })
    }),
    case("longpackets", heard("pcma", 8000, 1), "sound in packets of half a second", || {
        let short = media::pcm("alaw", 8000)?;
        let frames = short.frames.chunks_exact(25).map(<[Vec<u8>]>::concat).collect();
        plain(8, None, Track { frames: Arc::new(frames), frame_s: 0.5, ticks: 4000, ..short })
    }),
];
