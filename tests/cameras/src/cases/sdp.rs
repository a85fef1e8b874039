//! SDP, addresses in it and around it, RTP-Info.

use super::norm;
use crate::case::{Case, Kind, Right};
use crate::feed::Source;
use crate::media::{self, Absent};
use crate::model::{ContentBase, Line, Manners, Model, Place};
use crate::rtp::Stream;

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Sdp, right, about, model)
}

const WITH_SOUND: Right = Right::NORMAL.with_sound("pcma", 8000, 1);

fn mannered(change: impl FnOnce(&mut Manners)) -> Result<Model, Absent> {
    Ok(norm()?.mannered(change))
}

fn described(edit: fn(String, &Place) -> String) -> Result<Model, Absent> {
    Ok(norm()?.describing(edit))
}

fn with_pcma() -> Result<Model, Absent> {
    Ok(norm()?.with_sound(Line::sound(8, Some("PCMA/8000"), None), media::pcm("alaw", 8000)?))
}

/// RTP-Info names a number that the packets do not have.
fn info(said: fn(&Place) -> String, first: u16) -> Result<Model, Absent> {
    let model = Model::changed(media::camera()?, 25.0, move |source| {
        let mut stream = Stream::new(96, 5);
        stream.sequence = first;
        source.stream(stream).changed(|shot, n| shot.stamp = 3_000_000_000u32.wrapping_add(n as u32 * 3600))
    });
    Ok(model.mannered(|m| m.rtp_info = Some(said)))
}

fn based(base: ContentBase) -> Result<Model, Absent> {
    mannered(|m| m.content_base = base)
}

fn without(sdp: &str, starts: &[&str]) -> String {
    let kept: Vec<_> = sdp.split("\r\n").filter(|l| !starts.iter().any(|s| l.starts_with(s))).collect();
    kept.join("\r\n")
}

pub const CASES: &[Case] = &[
    case("info40000", Right::NORMAL, "RTP-Info names number 1, packets begin at 40,000", || {
        info(|p| format!("url={}/track1;seq=1;rtptime=0", p.url()), 40_000)
    }),
    case("info20000", Right::NORMAL, "RTP-Info names number 0, packets begin at 20,000", || {
        info(|p| format!("url={}/track1;seq=0;rtptime=0", p.url()), 20_000)
    }),
    case("info2000", Right::NORMAL, "RTP-Info names number 0, packets begin at 2,000", || {
        info(|p| format!("url={}/track1;seq=0;rtptime=0", p.url()), 2_000)
    }),
    case("infook", Right::NORMAL, "RTP-Info names the right number and another time", || {
        info(|p| format!("url={}/track1;seq=40000;rtptime=0", p.url()), 40_000)
    }),
    case("infojunk", Right::NORMAL, "RTP-Info is rubbish", || info(|_| "url=;seq=;rtptime=-1,,;;".into(), 9)),
    case("badsdp", Right::NORMAL, "no t=, an empty address, a negative port, no line break at the end", || {
        described(|sdp, place| {
            let fmtp = sdp.split("\r\n").find_map(|l| l.split_once("sprop-parameter-sets=")).map_or("", |(_, s)| s);
            let fmtp = format!("a=fmtp:96 profile-level-id=4d4032; packetization-mode=1; sprop-parameter-sets={fmtp}");
            let control = format!("a=control:{}/track1", place.url());
            let lines = [
                "v=0",
                "o=- 1001 1 IN",
                "s=VCP IPC Realtime stream",
                "m=video -1353744643 RTP/AVP 96",
                "c=IN",
                "a=rtpmap:96 H264/90000",
                &fmtp,
                &control,
                "a=recvonly",
            ];
            lines.join("\r\n")
        })
    }),
    case("tplink", WITH_SOUND, "a line of the maker's own after pictures and sound", || {
        Ok(with_pcma()?.describing(|sdp, _| {
            sdp + "m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\na=rtpmap:95 TP-LINK/90000\r\na=control:track3\r\n"
        }))
    }),
    case("backchannel", WITH_SOUND, "the loudspeaker's line stands before all others", || {
        Ok(with_pcma()?.describing(|sdp, _| {
            let speaker =
                "m=audio 0 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\na=control:track3\r\n";
            sdp.replacen("m=video", &format!("{speaker}m=video"), 1)
        }))
    }),
    case("metadata", WITH_SOUND, "ONVIF metadata before pictures and sound", || {
        Ok(with_pcma()?.describing(|sdp, _| {
            let meta = "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=recvonly\r\na=control:track3\r\n";
            sdp.replacen("m=video", &format!("{meta}m=video"), 1)
        }))
    }),
    case("twovideos", Right::NORMAL, "two lines of pictures: H.264, and JPEG that never comes", || {
        described(|sdp, _| sdp + "m=video 0 RTP/AVP 26\r\na=control:track2\r\n")
    }),
    case(
        "manytypes",
        Right::NORMAL.beyond_ffmpeg(),
        "a line of several payload types, the camera's own not the first",
        || {
            described(|sdp, _| {
                sdp.replace("RTP/AVP 96", "RTP/AVP 35 96")
                    .replace("a=rtpmap:96", "a=rtpmap:35 X-OTHER/90000\r\na=rtpmap:96")
            })
        },
    ),
    case("linefeeds", Right::NORMAL, "lines end without a carriage return", || {
        described(|sdp, _| sdp.replace("\r\n", "\n"))
    }),
    case("oddspaces", Right::NORMAL, "spaces and tabs where none belong, small letters, a channel count", || {
        described(|sdp, _| {
            let sdp =
                sdp.replace("a=rtpmap:96 H264/90000", "a=rtpmap: 96 h264/90000/1").replace("a=fmtp:96 ", "a=fmtp:96  ");
            sdp.replace(";sprop", "; sprop")
                .replace("packetization-mode", "Packetization-Mode")
                .replace("s=Session", "s= ")
        })
    }),
    case("latin1", Right::NORMAL, "bytes that are no UTF-8, in the session's name", || {
        Ok(norm()?.describing(|sdp, _| {
            let (before, after) = sdp.split_once("s=Session").unwrap_or((&sdp, ""));
            [before.as_bytes(), b"s=Cam\xe9ra \xff\xfe", after.as_bytes()].concat()
        }))
    }),
    case("nosession", Right::NORMAL, "only the line of pictures: no session part at all", || {
        described(|sdp, _| sdp[sdp.find("m=video").unwrap_or(0)..].to_owned())
    }),
    case("nocontrol", Right::NORMAL, "no control address anywhere", || {
        described(|sdp, _| without(&sdp, &["a=control"]))
    }),
    case("badsprop", Right::NORMAL, "parameter sets in the SDP that are no base64, and a profile that is none", || {
        described(|sdp, _| {
            let (before, _) = sdp.split_once(";sprop").unwrap_or((&sdp, ""));
            format!("{before};sprop-parameter-sets=!!%%,,=;profile-level-id=zz\r\na=control:track1\r\n")
        })
    }),
    case("range", Right::NORMAL, "a range that says the stream is over after two seconds", || {
        described(|sdp, _| sdp.replace("a=range:npt=0-", "a=range:npt=0-2.0"))
    }),
    case("lengthshort", Right::NORMAL.beyond_ffmpeg(), "Content-Length of the SDP is 20 short", || {
        mannered(|m| m.length_off = -20)
    }),
    case("basenone", Right::NORMAL, "no Content-Base", || based(ContentBase::None)),
    case("baseempty", Right::NORMAL, "an empty Content-Base", || based(ContentBase::Empty)),
    case("basenoslash", Right::NORMAL, "Content-Base without a slash at its end", || based(ContentBase::NoSlash)),
    case("baseother", Right::NORMAL, "Content-Base with the camera's address in a network of its own", || {
        based(ContentBase::OtherHost)
    }),
    case("baselocation", Right::NORMAL, "Content-Location instead of Content-Base", || based(ContentBase::Location)),
    case("query", Right::NORMAL, "a URL with a query; the track is added behind it", || {
        mannered(|m| (m.path, m.content_base) = ("/cam/realmonitor?channel=1&subtype=0", ContentBase::Right))
    }),
    case(
        "querynobase",
        Right::NORMAL,
        "a URL with a query and no Content-Base; nothing but right addresses is taken",
        || {
            mannered(|m| {
                (m.path, m.content_base, m.strict_urls) =
                    ("/live?user=admin_password=x_channel=1", ContentBase::None, true)
            })
        },
    ),
    case("controlabsolute", Right::NORMAL, "absolute control addresses", || {
        described(|sdp, place| sdp.replace("a=control:track", &format!("a=control:{}/track", place.url())))
    }),
    case("controlother", Right::NORMAL, "absolute control addresses in a network of the camera's own", || {
        described(|sdp, _| sdp.replace("a=control:track", "a=control:rtsp://192.0.2.77:554/live/track"))
    }),
    case("strict", Right::NORMAL, "nothing but right addresses and sessions are taken", || {
        mannered(|m| m.strict_urls = true)
    }),
    case("soundonly", Right::none("picture"), "sound only", || {
        let track = media::pcm("alaw", 8000)?;
        let line = Line::sound(8, Some("PCMA/8000"), None);
        Ok(Model::new(vec![line], move |start| Source::sound(start, 8, &track).on(0).feed()))
    }),
    case("nolines", Right::none("picture"), "an SDP without a line", || {
        described(|sdp, _| sdp[..sdp.find("m=").unwrap_or(0)].to_owned())
    }),
    case("nosdp", Right::none("SDP"), "a page of HTML instead of an SDP", || {
        described(|_, _| "<html><body>Please sign in</body></html>".into())
    }),
    case("avpf", Right::NORMAL, "RTP/AVPF, ports and an IPv6 address", || {
        described(|sdp, _| sdp.replace("0 RTP/AVP", "50000/2 RTP/AVPF").replace("IN IP4 0.0.0.0", "IN IP6 ::"))
    }),
    case("srtp", Right::none("encrypted"), "pictures by SRTP", || {
        described(|sdp, _| {
            let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n";
            sdp.replace("RTP/AVP", "RTP/SAVP") + key
        })
    }),
    case("controlpath", Right::NORMAL, "control addresses that are paths from the root", || {
        described(|sdp, place| sdp.replace("a=control:track", &format!("a=control:{}/track", place.path)))
    }),
    case("basestar", Right::NORMAL, "Content-Base is an asterisk", || {
        mannered(|m| {
            m.edit = Some(|_, head| {
                let one =
                    |l: &str| if l.starts_with("Content-Base") { "Content-Base: *".to_owned() } else { l.to_owned() };
                head.split("\r\n").map(one).collect::<Vec<_>>().join("\r\n")
            })
        })
    }),
    case("framerate", Right::NORMAL, "a frame rate of 0, one of rubbish, one of a billion", || {
        described(|sdp, _| {
            sdp + "a=framerate:0\r\na=framerate:fast\r\na=framerate:1000000000\r\na=x-dimensions:0,0\r\n"
        })
    }),
];
