//! Offers of browsers, offers that are refused, and offers that were damaged.

use super::*;
use crate::webrtc::restart::Restarted;
use crate::webrtc::trickle::SdpFragment;

const CHROME: &str = include_str!("fixtures/chromium_recvonly.sdp");
const FIREFOX: &str = include_str!("fixtures/firefox_recvonly.sdp");
/// A player that opens a data channel beside its two tracks.
const CHROME_CHANNEL: &str = include_str!("fixtures/chromium_datachannel.sdp");
/// One that bundles all under its data channel, and offers real-time text.
const CHANNEL_FIRST: &str = include_str!("fixtures/bundled_under_datachannel.sdp");

const WANTED: SendSettings =
    SendSettings { codec: VideoCodec::H264, audio: true, reports_every: Duration::from_secs(5) };

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
        assert!(!n.answer.contains("transport-cc") && !n.answer.contains("goog-remb"), "{}", n.answer);
    }
}

#[test]
fn a_silent_camera_answers_audio_with_inactive() {
    let n = ask(CHROME, SendSettings { audio: false, ..WANTED }).expect("accepted");
    assert!(n.audio.is_none());
    assert_eq!((n.answer.matches("a=sendonly").count(), n.answer.matches("a=inactive").count()), (1, 1));
}

#[test]
fn foreign_lines_are_refused_one_by_one() {
    for (offer, want) in [
        (CHROME_CHANNEL, ["video 9", "audio 9", "application 0"].as_slice()),
        (CHANNEL_FIRST, &["application 0", "audio 9", "text 0", "video 9"]),
    ] {
        let n = ask(offer, WANTED).expect("accepted");
        let lines = n.answer.lines().filter_map(|l| l.strip_prefix("m="));
        let shown: Vec<String> = lines.map(|l| l.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(shown, want, "{}", n.answer);
        assert!(n.audio.is_some() && n.answer.matches("a=sendonly").count() == 2, "{}", n.answer);
        assert!(n.answer.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"), "{}", n.answer);
        let bundle = n.answer.lines().find_map(|l| l.strip_prefix("a=group:BUNDLE ")).expect("a bundle");
        assert_eq!(bundle.split(' ').count(), 2, "{bundle}");
        // A viewer of the same library reads it; it knows no text.
        if offer == CHROME_CHANNEL {
            str0m::change::SdpAnswer::from_sdp_string(&n.answer).expect("well-formed");
        }
    }
}

#[test]
fn two_way_offers_are_answered_one_way() {
    let n = ask(&CHROME.replace("a=recvonly", "a=sendrecv"), WANTED).expect("accepted");
    assert_eq!(n.answer.matches("a=sendonly").count(), 2);
}

#[test]
fn vp8_cameras_need_vp8_viewers() {
    let vp8 = SendSettings { codec: VideoCodec::Vp8, ..WANTED };
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
    for bad in [
        "",
        "\r\n",
        "hello",
        "v=0",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96",
        "v=0\r\nm=\r\n",
        &"v=0\r\nm=video 9 x 1\r\n".repeat(9),
    ] {
        assert_eq!(refused(bad, WANTED).0, ErrorKind::Invalid, "{bad:?}");
    }
    assert_eq!(refused(&CHROME.replace("a=recvonly", "a=sendonly"), WANTED).0, ErrorKind::Invalid);
    assert_eq!(refused(&format!("{CHROME}{}", "a=x\r\n".repeat(20_000)), WANTED).0, ErrorKind::Invalid);
    let channel_alone = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n";
    assert_eq!(refused(channel_alone, WANTED).0, ErrorKind::Invalid);
    let no_fingerprint: String =
        CHROME.lines().filter(|l| !l.contains("fingerprint")).map(|l| format!("{l}\r\n")).collect();
    assert_eq!(refused(&no_fingerprint, WANTED).0, ErrorKind::Invalid);
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
    for offer in [CHROME, FIREFOX, CHROME_CHANNEL, CHANNEL_FIRST] {
        let mut n = ask(offer, WANTED).expect("accepted");
        assert!(restart(&mut n, 1).expect("allowed").is_some());
        let fragment = SdpFragment { credentials: Some(("new2".into(), "n".repeat(24))), candidates: Vec::new() };
        let mut refuse = || Err(Error::new(ErrorKind::RateLimited, "too many"));
        let refused = n.restarts.answer(&mut n.machine, &fragment, &mut refuse, &mut Nowhere);
        assert_eq!(refused.expect_err("refused").kind(), ErrorKind::RateLimited);
    }
    let fat = format!("{CHROME}{}", "a=rtcp-fb:108 nack pli\r\n".repeat(1500));
    let mut n = ask(&fat, WANTED).expect("watched all the same");
    let error = restart(&mut n, 1).expect_err("not read again");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
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
    for round in 0..1200 {
        let source = [CHROME, FIREFOX, CHROME_CHANNEL, CHANNEL_FIRST][round % 4];
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
        let _ = ask(&lines.join("\r\n"), WANTED);
    }
}
