//! Offers of browsers, offers that are refused, and offers that were damaged.

use super::*;
use crate::webrtc::restart::Restarted;
use crate::webrtc::trickle::SdpFragment;
use perch_base::ErrorKind;
use perch_domain::viewer_codecs::{H264Stream, H265Stream};

const CHROME: &str = include_str!("fixtures/chromium_recvonly.sdp");
const FIREFOX: &str = include_str!("fixtures/firefox_recvonly.sdp");
/// A player that opens a data channel beside its two tracks.
const CHROME_CHANNEL: &str = include_str!("fixtures/chromium_datachannel.sdp");
/// One that bundles all under its data channel, and offers real-time text.
const CHANNEL_FIRST: &str = include_str!("fixtures/bundled_under_datachannel.sdp");

/// A player, its offer, and what it is answered.
type Player = (&'static str, &'static str, &'static [&'static str], Option<&'static str>, &'static str);

/// Offers of players, with what becomes of each line, the bundle and the video's format parameters in the answer.
const PLAYERS: &[Player] = &[
    ("chromium", CHROME, &["video 9 sendonly 108 109", "audio 9 sendonly 111"], Some("0 1"), "42e01f"),
    ("firefox", FIREFOX, &["audio 9 sendonly 109", "video 9 sendonly 126 127"], Some("0 1"), "42e01f"),
    (
        "a player with a data channel",
        CHROME_CHANNEL,
        &["video 9 sendonly 108 109", "audio 9 sendonly 111", "application 0"],
        Some("0 1"),
        "42e01f",
    ),
    (
        "a player that bundles under its data channel",
        CHANNEL_FIRST,
        &["application 0", "audio 9 sendonly 111", "text 0 inactive", "video 9 sendonly 108"],
        Some("0 1"),
        "42e01f",
    ),
    (
        "Safari",
        include_str!("fixtures/safari_macos_h265.sdp"),
        &["video 9 sendonly 98 99", "audio 9 sendonly 111"],
        Some("0 1"),
        "42e01f",
    ),
    (
        "Safari of iOS",
        include_str!("fixtures/safari_ios_mdns.sdp"),
        &["audio 9 sendonly 111", "video 9 sendonly 98 99"],
        Some("0 1"),
        "42e029",
    ),
    (
        "Chromium that plays H.265",
        include_str!("fixtures/chromium_h265_fmtp.sdp"),
        &["video 9 sendonly 108 109"],
        Some("0"),
        "42e01f",
    ),
    (
        "Home Assistant",
        include_str!("fixtures/homeassistant_talkback.sdp"),
        &["audio 9 sendonly 111", "video 9 sendonly 108 109", "application 0"],
        Some("0 1"),
        "42e01f",
    ),
    (
        "go2rtc",
        include_str!("fixtures/go2rtc_pion.sdp"),
        &["video 9 sendonly 102 121", "audio 9 sendonly 111"],
        Some("0 1"),
        "42001f",
    ),
    (
        "OBS",
        include_str!("fixtures/obs_libdatachannel.sdp"),
        &["video 9 sendonly 96", "audio 9 sendonly 111"],
        Some("video audio"),
        "42e01f",
    ),
    (
        "libdatachannel",
        include_str!("fixtures/libdatachannel_channel_first.sdp"),
        &["application 0", "video 9 sendonly 96"],
        Some("video"),
        "42e01f",
    ),
    (
        "webrtcbin",
        include_str!("fixtures/gstreamer_webrtcbin_unbundled.sdp"),
        &["audio 0 inactive", "video 9 sendonly 96"],
        None,
        "",
    ),
    (
        "whepsrc",
        include_str!("fixtures/gstreamer_whepsrc.sdp"),
        &["video 9 sendonly 102", "audio 9 sendonly 96"],
        Some("video0 audio1"),
        "42c016",
    ),
    (
        "simple-whep-client",
        include_str!("fixtures/janus_simple_whep_client_pcmu.sdp"),
        &["audio 9 inactive 0", "video 9 sendonly 96"],
        Some("audio0 video1"),
        "",
    ),
    (
        "Janus",
        include_str!("fixtures/janus_lite.sdp"),
        &["audio 9 sendonly 111", "video 9 sendonly 100 101"],
        Some("audio video"),
        "packetization-mode=1",
    ),
    (
        "aiortc",
        include_str!("fixtures/aiortc_recvonly.sdp"),
        &["audio 9 sendonly 96", "video 9 sendonly 101 102"],
        Some("0 1"),
        "42e01f",
    ),
    (
        "FFmpeg",
        include_str!("fixtures/ffmpeg_active.sdp"),
        &["audio 9 sendonly 111", "video 9 sendonly 106"],
        Some("0 1"),
        "packetization-mode=0",
    ),
    ("an offer by hand", include_str!("fixtures/handmade_sparse.sdp"), &["video 9 sendonly 96"], None, ""),
    (
        "a player with lines of all kinds",
        include_str!("fixtures/vlc_many_lines.sdp"),
        &[
            "video 9 inactive 98",
            "video 9 sendonly 96",
            "video 0 inactive",
            "audio 0 inactive",
            "audio 0 inactive",
            "video 0 inactive",
        ],
        Some("v0 v1"),
        "4d0028",
    ),
];

const WANTED: SendSettings = SendSettings {
    streams: Sendable { codec: VideoCodec::H264, h264: H264Stream::OURS, h265: None, audio: true },
    reports_every: Duration::from_secs(5),
};

fn with(change: impl FnOnce(&mut Sendable)) -> SendSettings {
    let mut wanted = WANTED;
    change(&mut wanted.streams);
    wanted
}

/// The media lines of an answer: kind, port, direction and, of those that are not refused, payload types.
fn shown(answer: &str) -> Vec<String> {
    let sections = answer.split("m=").skip(1);
    let show = |section: &str| {
        let mut lines = section.lines();
        let words: Vec<&str> = lines.next().expect("a media line").split(' ').collect();
        let directions = ["a=sendonly", "a=recvonly", "a=sendrecv", "a=inactive"];
        let direction = lines.find(|l| directions.contains(l)).map(|l| format!(" {}", &l[2..])).unwrap_or_default();
        let formats = if words[1] == "0" { String::new() } else { format!(" {}", words[3..].join(" ")) };
        format!("{} {}{direction}{formats}", words[0], words[1])
    };
    sections.map(show).collect()
}

fn identity() -> &'static DtlsIdentity {
    static IDENTITY: std::sync::OnceLock<DtlsIdentity> = std::sync::OnceLock::new();
    IDENTITY.get_or_init(|| DtlsIdentity::generate().expect("a certificate"))
}

fn local() -> Vec<Candidate> {
    vec![Candidate::host("192.0.2.1:8189".parse().expect("valid"), "udp").expect("valid")]
}

fn ask(offer: &str, wanted: SendSettings) -> Result<Negotiated> {
    negotiate(identity(), &local(), offer, wanted, Instant::now())
}

fn refused(offer: &str, wanted: SendSettings) -> (ErrorKind, String) {
    let error = ask(offer, wanted).err().expect("refused");
    (error.kind(), error.to_string())
}

#[test]
fn browsers_get_h264_and_opus_sent_to_them() {
    for offer in [CHROME, FIREFOX] {
        let n = ask(offer, WANTED).expect("accepted");
        assert!(n.audio.is_some());
        assert_eq!(n.answer.matches("a=sendonly").count(), 2, "{}", n.answer);
        assert!(n.answer.contains("42e01f") && n.answer.contains("packetization-mode=1"), "{}", n.answer);
        assert!(n.answer.contains("192.0.2.1 8189 typ host"));
        assert!(n.answer.contains("nack pli") && n.answer.contains("ssrc-group:FID"), "{}", n.answer);
        assert!(!n.answer.contains("goog-remb"), "{}", n.answer);
        // Of the video alone: sound says little of what a connection carries.
        assert_eq!(n.answer.matches(" transport-cc\r\n").count(), 1, "{}", n.answer);
        assert_eq!(n.answer.matches("transport-wide-cc-extensions-01\r\n").count(), 1, "{}", n.answer);
        let says_turn = |sdp: &str| sdp.contains("urn:3gpp:video-orientation");
        assert_eq!(says_turn(&n.answer), says_turn(offer), "{}", n.answer);
    }
}

#[test]
fn the_offers_of_players_are_answered_line_by_line() {
    for (player, offer, want, bundle, format) in PLAYERS {
        let n = ask(offer, WANTED).unwrap_or_else(|e| panic!("{player}: {e}"));
        assert_eq!(shown(&n.answer), *want, "{player}: {}", n.answer);
        let answered = n.answer.lines().find_map(|l| l.strip_prefix("a=group:BUNDLE "));
        assert_eq!(answered, *bundle, "{player}");
        assert!(n.answer.contains(format), "{player}: {}", n.answer);
        // Names are the offer's, in its order; what is refused has its own too.
        let mids = |sdp: &str| sdp.lines().filter(|l| l.starts_with("a=mid:")).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(mids(&n.answer), mids(offer), "{player}");
        let lines = |name: &str| n.answer.lines().filter(|l| l.starts_with(name)).count();
        let all = want.len();
        assert_eq!((lines("a=ice-ufrag:"), lines("a=fingerprint:"), lines("a=setup:")), (all, all, all), "{player}");
        assert!(lines("a=candidate:") > 0 && !n.answer.contains("recvonly"), "{player}: {}", n.answer);
        let protocols = |sdp: &str| -> Vec<String> {
            let media = sdp.lines().filter(|l| l.starts_with("m="));
            media.map(|l| l.split(' ').nth(2).expect("a protocol").to_owned()).collect()
        };
        assert_eq!(protocols(&n.answer), protocols(offer), "{player}");
        let offers_feedback = |what: &str| offer.lines().any(|l| l.starts_with("a=rtcp-fb:") && l.ends_with(what));
        for what in ["nack", "nack pli", "ccm fir", "transport-cc"] {
            let answered = n.answer.lines().any(|l| l.starts_with("a=rtcp-fb:") && l.ends_with(what));
            assert!(!answered || offers_feedback(what), "{player}: {what}");
        }
        assert_eq!(n.answer.matches('\n').count(), n.answer.matches("\r\n").count(), "{player}");
    }
}

#[test]
fn who_speaks_first_is_agreed_on() {
    for (setup, want) in [("actpass", "passive"), ("active", "passive"), ("passive", "active"), ("holdconn", "passive")]
    {
        let n = ask(&CHROME.replace("a=setup:actpass", &format!("a=setup:{setup}")), WANTED).expect("accepted");
        assert!(n.answer.contains(&format!("a=setup:{want}\r\n")), "{setup}: {}", n.answer);
    }
    let lines = |keep: fn(&str) -> bool| CHROME.lines().filter(|l| keep(l)).collect::<Vec<_>>().join("\n");
    let n = ask(&lines(|l| !l.starts_with("a=setup")), WANTED).expect("accepted");
    assert!(n.answer.contains("a=setup:passive\r\n"));
    let n = ask(&lines(|l| !l.starts_with("a=rtcp-mux")), WANTED).expect("RTCP comes the same way");
    assert!(n.answer.contains("a=rtcp-mux\r\n") && n.audio.is_some());
    // Without a bundle, each line wants a way of its own: there is one.
    let n = ask(&lines(|l| !l.starts_with("a=group")), WANTED).expect("accepted");
    assert_eq!(shown(&n.answer), ["video 9 sendonly 108 109", "audio 0 inactive"]);
    assert!(n.audio.is_none() && !n.answer.contains("a=group"));
}

#[test]
fn the_profile_is_the_streams_own() {
    let keyframe = |profile: u8| [0, 0, 0, 1, 0x67, profile, 0, 40, 0x80];
    for (profile, want) in [(77, "4d001f"), (66, "42001f"), (100, "42e01f")] {
        let h264 = H264Stream::of(&keyframe(profile)).expect("a parameter set");
        let n = ask(CHROME, with(|s| s.h264 = h264)).expect("accepted");
        let format = n.answer.lines().find(|l| l.contains("profile-level-id")).expect("a format");
        // Chromium plays High too, though it does not say so here; f4 is no profile that decodes it.
        assert!(format.contains(want) || profile == 100, "{format}");
    }
}

#[test]
fn h265_goes_to_who_plays_it_and_h264_beside_it() {
    let wanted = with(|s| s.h265 = Some(H265Stream::default()));
    for (offer, want) in [
        (include_str!("fixtures/safari_macos_h265.sdp"), Some(100)),
        (include_str!("fixtures/chromium_h265_fmtp.sdp"), Some(51)),
        (CHROME, None),
        (FIREFOX, None),
    ] {
        let n = ask(offer, wanted).expect("accepted");
        assert_eq!(n.video.as_ref().expect("served").pt(Some(VideoCodec::H265)).map(|pt| *pt), want);
        assert!(n.video.as_ref().expect("served").pt(Some(VideoCodec::H264)).is_some(), "for the small stream");
        assert_eq!(n.answer.contains("H265/90000"), want.is_some(), "{}", n.answer);
    }
    let n = ask(include_str!("fixtures/chromium_h265_fmtp.sdp"), wanted).expect("accepted");
    assert!(n.answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 51 52 108 109\r\n"), "{}", n.answer);
    assert!(n.answer.contains("a=fmtp:51 level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST\r\n"), "{}", n.answer);
    // None of it where the camera sends none.
    assert!(!ask(include_str!("fixtures/safari_macos_h265.sdp"), WANTED).expect("accepted").answer.contains("H265"));
}

#[test]
fn names_that_are_long_or_missing_are_the_viewers_all_the_same() {
    let long = "a-name-of-more-than-sixteen-characters";
    let n = ask(
        &CHROME.replace("a=mid:0", &format!("a=mid:{long}")).replace("BUNDLE 0 1", &format!("BUNDLE {long} 1")),
        WANTED,
    )
    .expect("accepted");
    assert!(
        n.answer.contains(&format!("a=group:BUNDLE {long} 1\r\n")) && n.answer.contains(&format!("a=mid:{long}\r\n"))
    );
    let video = n.answer.split("m=").nth(1).expect("video");
    // Packets would carry another name.
    assert!(!video.contains("sdes:mid") && n.answer.contains("sdes:mid"), "{}", n.answer);
    assert_eq!(refused(&CHROME.replace("a=mid:1", "a=mid:a b"), WANTED).0, ErrorKind::Invalid);
    // Two lines of one name: the first has it.
    let n = ask(&CHROME.replace("a=mid:1", "a=mid:0"), WANTED).expect("accepted");
    assert!(n.audio.is_none());
}

#[test]
fn a_viewer_that_only_answers_checks_is_checked() {
    let n = ask(include_str!("fixtures/janus_lite.sdp"), WANTED).expect("accepted");
    assert_eq!(n.candidates_left, MAX_CANDIDATES - 1);
    // We are in control then: our checks nominate.
    let n = ask(include_str!("fixtures/go2rtc_pion.sdp"), WANTED).expect("accepted");
    assert_eq!(n.candidates_left, MAX_CANDIDATES - 1, "neither TCP nor the place for RTCP");
    let n = ask(include_str!("fixtures/safari_ios_mdns.sdp"), WANTED).expect("accepted");
    assert_eq!(n.candidates_left, MAX_CANDIDATES, "it comes to us");
}

#[test]
fn a_silent_camera_answers_audio_with_inactive() {
    let n = ask(CHROME, with(|s| s.audio = false)).expect("accepted");
    assert!(n.audio.is_none());
    assert_eq!((n.answer.matches("a=sendonly").count(), n.answer.matches("a=inactive").count()), (1, 1));
    assert_eq!(shown(&n.answer), ["video 9 sendonly 108 109", "audio 9 inactive 111"]);
    for (_, offer, ..) in PLAYERS {
        ask(offer, with(|s| s.audio = false)).expect("accepted");
    }
}

#[test]
fn two_way_offers_are_answered_one_way() {
    let n = ask(&CHROME.replace("a=recvonly", "a=sendrecv"), WANTED).expect("accepted");
    assert_eq!(n.answer.matches("a=sendonly").count(), 2);
}

#[test]
fn vp8_cameras_need_vp8_viewers() {
    let vp8 = with(|s| s.codec = VideoCodec::Vp8);
    assert!(ask(CHROME, vp8).is_ok());
    assert_eq!(refused(&CHROME.replace("VP8", "VP7"), vp8).0, ErrorKind::Unsupported);
}

#[test]
fn what_cannot_be_served_is_said() {
    let h265 =
        CHROME.replace("H264/90000", "H265/90000").replace("VP8", "H265").replace("VP9", "H265").replace("AV1", "H265");
    let (kind, message) = refused(&h265, WANTED);
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(message.starts_with("this viewer offers no H.264") && message.contains("H265"), "{message}");
    for bad in ["", "\r\n", "hello", "v=0", "v=0\r\nm=\r\n", &"v=0\r\nm=video 9 x 1\r\n".repeat(9)] {
        assert_eq!(refused(bad, WANTED).0, ErrorKind::Invalid, "{bad:?}");
    }
    assert_eq!(refused(&CHROME.replace("a=recvonly", "a=sendonly"), WANTED).0, ErrorKind::Invalid);
    assert_eq!(refused(&format!("{CHROME}{}", "a=x\r\n".repeat(20_000)), WANTED).0, ErrorKind::Invalid);
    let channel_alone = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n";
    assert_eq!(refused(channel_alone, WANTED).0, ErrorKind::Invalid);
    let (kind, message) = refused("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96", WANTED);
    assert!(kind == ErrorKind::Unsupported && message.contains("it offers no codec"), "{message}");
    for needed in ["a=fingerprint", "a=ice-ufrag", "a=ice-pwd"] {
        let lacking: String = CHROME.lines().filter(|l| !l.starts_with(needed)).map(|l| format!("{l}\r\n")).collect();
        let (kind, message) = refused(&lacking, WANTED);
        assert!(kind == ErrorKind::Invalid && message.contains(needed), "{message}");
    }
}

#[test]
fn candidates_of_an_offer_are_bounded_and_checked() {
    let line = "a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host\r\n";
    let n =
        ask(&CHROME.replacen("a=mid:0", &format!("{}a=mid:0", line.repeat(10_000 / 16)), 1), WANTED).expect("accepted");
    assert_eq!(n.candidates_left, 0);
    let loopback = line.replace("192.0.2.7", "127.0.0.1");
    let n = ask(&CHROME.replacen("a=mid:0", &format!("{loopback}a=mid:0"), 1), WANTED).expect("accepted");
    assert_eq!(n.candidates_left, MAX_CANDIDATES);
}

/// Asks for a restart under the n-th credentials.
fn restart(n: &mut Negotiated, nth: u32) -> Result<Option<Restarted>> {
    let credentials = Some((format!("new{nth}"), "n".repeat(24)));
    let fragment = SdpFragment { credentials, candidates: Vec::new() };
    n.restarts.answer(&mut n.machine, &fragment, &mut || Ok(local()), &mut Nowhere)
}

#[test]
fn an_ice_restart_answers_with_new_credentials() {
    let mut n = ask(CHROME, WANTED).expect("accepted");
    let before = n.ufrag.clone();
    let Restarted { answer, ufrag } = restart(&mut n, 1).expect("accepted").expect("a restart");
    assert_ne!(before, ufrag);
    assert!(answer.contains(&format!("a=ice-ufrag:{ufrag}\r\n")) && answer.contains("a=candidate:"), "{answer}");
    // The same again, and the credentials of the offer that come with its candidates, ask for nothing.
    for _ in 0..20 {
        assert_eq!(restart(&mut n, 1).expect("no change"), None);
    }
    let current = n.machine.mutate(&mut Nowhere, |rtc| rtc.local_ufrag());
    assert_eq!((current, n.machine.take_undrained()), (ufrag, 0));
}

#[test]
fn restarts_are_of_short_offers_and_asked_for() {
    for (_, offer, ..) in PLAYERS {
        let mut n = ask(offer, WANTED).expect("accepted");
        assert!(restart(&mut n, 1).expect("allowed").is_some());
        let fragment = SdpFragment { credentials: Some(("new2".into(), "n".repeat(24))), candidates: Vec::new() };
        let mut refuse = || Err(Error::new(ErrorKind::RateLimited, "too many"));
        let refused = n.restarts.answer(&mut n.machine, &fragment, &mut refuse, &mut Nowhere);
        assert_eq!(refused.expect_err("refused").kind(), ErrorKind::RateLimited);
    }
    // However long the offer was: what is read again is short.
    let fat = format!("{CHROME}{}", "a=rtcp-fb:108 nack pli\r\n".repeat(1500));
    let mut n = ask(&fat, WANTED).expect("watched all the same");
    assert!(restart(&mut n, 1).expect("allowed").is_some());
}

#[test]
fn damaged_offers_are_refused_without_harm() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    for round in 0..400 {
        let source = PLAYERS[round % PLAYERS.len()].1;
        let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
        for _ in 0..=next(3) {
            let at = next(lines.len());
            match next(6) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[next(lines.len())].clone()),
                2 => {
                    let cut = next(lines[at].len() + 1);
                    lines[at] = lines[at].chars().take(cut).collect();
                }
                3 => {
                    lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), ["99999999999", "-1", "0", ""][next(4)])
                }
                4 => lines[at].push_str(&"A".repeat(next(3000))),
                _ => lines.swap(at, 0),
            }
        }
        let _ = ask(
            &lines.join("\r\n"),
            if round % 2 == 0 { WANTED } else { with(|s| s.h265 = Some(H265Stream::default())) },
        );
    }
}
