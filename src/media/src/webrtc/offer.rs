//! SDP: what of a viewer's offer is accepted, and the answer. One video is sent and, where the camera has sound, one audio; nothing is received.

use super::answer::{answer, attribute, is_bandwidth_feedback};
use super::foreign::{self, Foreign};
use super::machine::{Machine, Nowhere};
use super::restart::Restarts;
use super::trickle::{self, MAX_CANDIDATES};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::media::VideoCodec;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::rtp::Extension;
use str0m::{Candidate, Rtc, RtcConfig};

/// Bytes of an offer that are read.
pub const MAX_OFFER_BYTES: usize = 64 * 1024;
const MAX_MEDIA_LINES: usize = 8;
const MAX_LINES: usize = 4000;
/// Video packets kept for retransmission: about two seconds.
const RTX_PACKETS: usize = 512;
const RTX_AGE: Duration = Duration::from_secs(2);
/// Share of a session's bytes that may be retransmissions; a viewer cannot make the box send more than that.
const RTX_SHARE: f32 = 0.3;

/// What all sessions have in common.
pub struct DtlsIdentity {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

impl DtlsIdentity {
    /// A new self-signed certificate; one serves all sessions.
    pub fn generate() -> Result<Self> {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = crypto
            .dtls_provider
            .generate_certificate()
            .ok_or_else(|| Error::internal("a DTLS certificate could not be made"))?;
        Ok(Self { crypto, certificate })
    }
}

/// What a camera has to send.
#[derive(Clone, Copy, Debug)]
pub struct SendSettings {
    /// Its video codec.
    pub codec: VideoCodec,
    /// Whether it has sound.
    pub audio: bool,
    /// How often receiver reports and consent are looked at.
    pub reports_every: Duration,
}

/// A negotiated media line that we send on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The media line.
    pub mid: Mid,
    /// The payload type.
    pub pt: Pt,
}

/// An accepted offer.
pub struct Negotiated {
    /// The session's protocol machine.
    pub machine: Machine,
    /// The user fragment that the viewer's ICE requests come for.
    pub ufrag: String,
    /// The SDP answer.
    pub answer: String,
    /// Where video goes.
    pub video: Line,
    /// Where audio goes, if it does.
    pub audio: Option<Line>,
    /// Its ICE restarts.
    pub restarts: Restarts,
    /// Candidates the viewer may still bring.
    pub candidates_left: usize,
}

/// Accepts an offer. Errors: `Invalid` and `TooLarge` (SDP), `Unsupported` (no codec in common).
pub fn negotiate(
    identity: &DtlsIdentity,
    local: &[Candidate],
    offer: &str,
    wanted: SendSettings,
    now: Instant,
) -> Result<Negotiated> {
    let shaped = shape(offer, wanted)?;
    let candidates_left = MAX_CANDIDATES - shaped.candidates.len();
    let mut machine = Machine::new(config(identity, wanted).build(now), now);
    let answer = answer(&mut machine, &shaped.sdp, local, &mut Nowhere)?;
    for candidate in shaped.candidates {
        machine.mutate(&mut Nowhere, |rtc| rtc.add_remote_candidate(candidate));
    }
    let codec = match wanted.codec {
        VideoCodec::H264 => Codec::H264,
        VideoCodec::H265 => Codec::H265,
        VideoCodec::Vp8 => Codec::Vp8,
    };
    let video = shaped
        .video
        .and_then(|mid| line(machine.rtc(), mid, codec))
        .ok_or_else(|| no_video_codec(wanted.codec, &shaped.codecs))?;
    let audio = shaped.audio.and_then(|mid| line(machine.rtc(), mid, Codec::Opus));
    machine.mutate(&mut Nowhere, |rtc| rtc.set_rtx_cache(video.mid, RTX_PACKETS, RTX_AGE, RTX_SHARE));
    let ufrag = attribute(&answer, "a=ice-ufrag:").ok_or_else(|| Error::internal("an SDP answer without ICE"))?.into();
    let answer = shaped.foreign.refuse(answer);
    let restarts = Restarts::new(shaped.sdp);
    Ok(Negotiated { machine, ufrag, answer, video, audio, restarts, candidates_left })
}

fn config(identity: &DtlsIdentity, wanted: SendSettings) -> RtcConfig {
    let mut config = RtcConfig::new()
        .set_crypto_provider(identity.crypto.clone())
        .set_dtls_cert(identity.certificate.clone())
        .set_rtp_mode(true)
        .clear_codecs()
        .clear_extension_map()
        .set_extension(4, Extension::RtpMid)
        .set_stats_interval(Some(wanted.reports_every))
        .set_send_buffer_audio(1)
        .set_rtcp_report_interval_audio(Duration::from_secs(2))
        .set_rtcp_report_interval_video(Duration::from_secs(1));
    match wanted.codec {
        VideoCodec::H264 => {
            // Best first. Only packetization mode 1: key frames need fragments.
            for (pt, rtx, profile) in [
                (108, 109, 0x42e01f),
                (127, 121, 0x42001f),
                (123, 119, 0x4d001f),
                (114, 115, 0x64001f),
                (112, 113, 0x640c1f),
            ] {
                config.codec_config().add_h264(Pt::new_with_value(pt), Some(Pt::new_with_value(rtx)), true, profile);
            }
        }
        // No viewer is offered it.
        VideoCodec::H265 => {}
        VideoCodec::Vp8 => config = config.enable_vp8(true),
    }
    if wanted.audio { config.enable_opus(true, false) } else { config }
}

/// The payload type to send `codec` with on `mid`, if that line sends.
fn line(rtc: &Rtc, mid: Mid, codec: Codec) -> Option<Line> {
    let media = rtc.media(mid).filter(|m| m.direction() == Direction::SendOnly)?;
    let offered = media.remote_pts();
    // Our configuration lists the best profile first.
    let params = rtc.codec_config().params().iter().find(|p| p.spec().codec == codec && offered.contains(&p.pt()))?;
    let kind = if codec == Codec::Opus { MediaKind::Audio } else { MediaKind::Video };
    (media.kind() == kind).then_some(Line { mid, pt: params.pt() })
}

fn no_video_codec(codec: VideoCodec, offered: &str) -> Error {
    let name = match codec {
        VideoCodec::H264 => "H.264 with packetization mode 1",
        VideoCodec::H265 => "H.265",
        VideoCodec::Vp8 => "VP8",
    };
    let offered = if offered.is_empty() { "no codec" } else { offered };
    Error::new(
        ErrorKind::Unsupported,
        format!("this viewer offers no {name}, it offers {offered}: use a viewer that plays it"),
    )
}

/// An offer reduced to what is served.
#[derive(Default)]
struct Shaped {
    sdp: String,
    candidates: Vec<Candidate>,
    video: Option<Mid>,
    audio: Option<Mid>,
    codecs: String,
    /// To be refused in the answer.
    foreign: Foreign,
}

/// Rewrites an offer before the SDP library sees it: one video and one audio that only receive, the rest inactive; no
/// candidates (they are checked apart), no streams of the viewer, no transport-wide feedback. Foreign lines are left out; the answer
/// refuses them one by one.
fn shape(offer: &str, wanted: SendSettings) -> Result<Shaped> {
    if offer.len() > MAX_OFFER_BYTES {
        let message = format!("the SDP offer has {} bytes: at most {MAX_OFFER_BYTES} are read", offer.len());
        return Err(Error::invalid(message));
    }
    let lines: Vec<&str> = offer.lines().map(str::trim_end).filter(|l| !l.is_empty()).take(MAX_LINES).collect();
    if lines.first() != Some(&"v=0") {
        return Err(Error::invalid("the SDP offer is empty or does not begin with `v=0`"));
    }
    let media_lines = lines.iter().filter(|line| line.starts_with("m=")).count();
    if !(1..=MAX_MEDIA_LINES).contains(&media_lines) {
        let message = format!("the SDP offer has {media_lines} media lines: it must have 1 to {MAX_MEDIA_LINES}");
        return Err(Error::invalid(message));
    }
    let (kept, foreign) = foreign::take_out(&lines)?;
    let lines: Vec<&str> = kept.iter().map(String::as_str).collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].starts_with("m=")).collect();
    let session = &lines[..starts.first().copied().unwrap_or(lines.len())];
    let default = direction(session).unwrap_or("sendrecv");
    let mut shaped = Shaped { foreign, ..Shaped::default() };
    shaped.keep(session);
    for (n, start) in starts.iter().enumerate() {
        let section = &lines[*start..starts.get(n + 1).copied().unwrap_or(lines.len())];
        let refused = section[0].split_ascii_whitespace().nth(1) == Some("0") && !section.contains(&"a=bundle-only");
        let receives = matches!(direction(section).unwrap_or(default), "recvonly" | "sendrecv") && !refused;
        let mid = section.iter().find_map(|l| l.strip_prefix("a=mid:")).map(Mid::from);
        let take = match section[0].split_ascii_whitespace().next() {
            Some("m=video") if receives && shaped.video.is_none() => {
                shaped.codecs = codecs(section);
                shaped.video = mid;
                mid.is_some()
            }
            Some("m=audio") if receives && wanted.audio && shaped.audio.is_none() => {
                shaped.audio = mid;
                mid.is_some()
            }
            _ => false,
        };
        shaped.keep(section);
        shaped.sdp.push_str(if take { "a=recvonly\r\n" } else { "a=inactive\r\n" });
    }
    if shaped.video.is_none() {
        return Err(Error::invalid(
            "the SDP offer asks for no video: it needs an `m=video` that is `recvonly`, with `a=mid`",
        ));
    }
    Ok(shaped)
}

impl Shaped {
    fn keep(&mut self, lines: &[&str]) {
        const DROPPED: [&str; 14] = [
            "a=candidate:",
            "a=end-of-candidates",
            "a=sendrecv",
            "a=recvonly",
            "a=sendonly",
            "a=inactive",
            "a=ssrc",
            "a=msid:",
            "a=simulcast:",
            "a=rid:",
            "a=crypto:",
            "a=ice-lite",
            "a=sctp",
            "a=remote-candidates:",
        ];
        for line in lines {
            if line.starts_with("a=candidate:") && self.candidates.len() < MAX_CANDIDATES {
                self.candidates.extend(trickle::candidate(&line[2..]));
            }
            if !is_bandwidth_feedback(line) && !DROPPED.iter().any(|d| line.starts_with(d)) {
                self.sdp.push_str(line);
                self.sdp.push_str("\r\n");
            }
        }
    }
}

fn direction<'a>(section: &[&'a str]) -> Option<&'a str> {
    let names = ["sendrecv", "recvonly", "sendonly", "inactive"];
    section.iter().filter_map(|l| l.strip_prefix("a=")).find(|l| names.contains(l))
}

/// Names of the codecs of a media section, for the message.
fn codecs(section: &[&str]) -> String {
    let mut names: Vec<&str> = section
        .iter()
        .filter_map(|l| l.strip_prefix("a=rtpmap:")?.split_once(' ')?.1.split('/').next())
        .filter(|n| !["rtx", "red", "ulpfec", "flexfec-03"].contains(n) && n.len() <= 16 && n.is_ascii())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(8);
    names.join(", ")
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
