//! SDP: what of a viewer's offer is accepted, and the answer. One video is sent and, where the camera has sound, one audio; of somebody who speaks one audio is
//! received, and nothing sent.

use super::answer::{answer, attribute};
use super::dtls;
use super::lines::Lines;
use super::machine::{Machine, Nowhere};
use super::plan::{AnswerPlan, Sendable, Sent};
use super::restart::Restarts;
use super::trickle::MAX_CANDIDATES;
use perch_base::{Error, Result};
use perch_domain::media::VideoCodec;
use perch_domain::rate::FIRST_ESTIMATE_BPS;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::bwe::Bitrate;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Direction, Frequency, Mid, Pt};
use str0m::rtp::Extension;
use str0m::{Candidate, RtcConfig};

/// What all sessions have in common.
pub struct DtlsIdentity {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

impl DtlsIdentity {
    /// A new self-signed certificate; one serves all sessions.
    pub fn generate() -> Result<Self> {
        let dtls_provider = dtls::provider();
        let crypto = Arc::new(CryptoProvider { dtls_provider, ..str0m::crypto::from_feature_flags() });
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
    /// Its streams.
    pub streams: Sendable,
    /// How often receiver reports and consent are looked at.
    pub reports_every: Duration,
}

/// A negotiated media line that we send on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The media line.
    pub mid: Mid,
    /// Its payload types by codec; sound has none.
    pub pts: Vec<(Option<VideoCodec>, Pt)>,
}

impl Line {
    /// The payload type of what is encoded as `codec`.
    pub fn pt(&self, codec: Option<VideoCodec>) -> Option<Pt> {
        self.pts.iter().find(|(of, _)| *of == codec).map(|(_, pt)| *pt)
    }
}

/// An accepted offer.
pub struct Negotiated {
    /// The session's protocol machine.
    pub machine: Machine,
    /// The user fragment that the viewer's ICE requests come for.
    pub ufrag: String,
    /// The SDP answer.
    pub answer: String,
    /// Where video goes, if any does.
    pub video: Option<Line>,
    /// Where audio goes, if it does.
    pub audio: Option<Line>,
    /// Its ICE restarts.
    pub restarts: Restarts,
    /// Candidates the viewer may still bring.
    pub candidates_left: usize,
}

/// Accepts an offer. Errors: `Invalid` (SDP), `Unsupported` (no codec in common).
pub fn negotiate(
    identity: &DtlsIdentity,
    local: &[Candidate],
    offer: &str,
    wanted: SendSettings,
    now: Instant,
) -> Result<Negotiated> {
    let lines = Lines::read(offer)?;
    let mut plan = AnswerPlan::new(&lines, wanted.streams)?;
    let (video, audio) = (plan.video(), plan.audio());
    let sent = video.1.iter().chain(audio.iter().flat_map(|(_, sent)| sent));
    let estimate = plan.gives_feedback().then_some(Bitrate::bps(FIRST_ESTIMATE_BPS));
    let mut machine = Machine::new(config(identity, sent, wanted.reports_every).enable_bwe(estimate).build(now), now);
    let inner = answer(&mut machine, &plan.sdp, local, &mut Nowhere)?;
    let candidates = std::mem::take(&mut plan.candidates);
    let candidates_left = MAX_CANDIDATES.saturating_sub(candidates.len());
    for candidate in candidates {
        machine.mutate(&mut Nowhere, |rtc| rtc.add_remote_candidate(candidate));
    }
    let video = line(&machine, video)?;
    let audio = audio.map(|audio| line(&machine, audio)).transpose()?;
    machine.mutate(&mut Nowhere, |rtc| rtc.forget_sent(video.mid));
    let ufrag = attribute(&inner, "a=ice-ufrag:").ok_or_else(|| Error::internal("an SDP answer without ICE"))?.into();
    let answer = plan.answer(&inner)?;
    let (video, restarts) = (Some(video), Restarts::new(plan.sdp));
    Ok(Negotiated { machine, ufrag, answer, video, audio, restarts, candidates_left })
}

/// Accepts the offer of somebody who wants to speak: the box only receives. Errors like [`negotiate`].
pub fn negotiate_speech(
    identity: &DtlsIdentity,
    local: &[Candidate],
    offer: &str,
    reports_every: Duration,
    now: Instant,
) -> Result<Negotiated> {
    let lines = Lines::read(offer)?;
    let mut plan = AnswerPlan::speech(&lines)?;
    let (mid, sent) = plan.video();
    let mut machine = Machine::new(config(identity, sent.iter(), reports_every).build(now), now);
    let inner = answer(&mut machine, &plan.sdp, local, &mut Nowhere)?;
    let candidates = std::mem::take(&mut plan.candidates);
    let candidates_left = MAX_CANDIDATES.saturating_sub(candidates.len());
    for candidate in candidates {
        machine.mutate(&mut Nowhere, |rtc| rtc.add_remote_candidate(candidate));
    }
    if !machine.rtc().media(Mid::from(&*mid)).is_some_and(|media| media.direction() == Direction::RecvOnly) {
        return Err(Error::invalid("the SDP offer has payload types that contradict each other"));
    }
    let ufrag = attribute(&inner, "a=ice-ufrag:").ok_or_else(|| Error::internal("an SDP answer without ICE"))?.into();
    let answer = plan.answer(&inner)?;
    let restarts = Restarts::new(plan.sdp);
    Ok(Negotiated { machine, ufrag, answer, video: None, audio: None, restarts, candidates_left })
}

/// The library knows just the payload types that are sent, without their parameters: those are agreed on by the plan.
fn config<'a>(identity: &DtlsIdentity, sent: impl Iterator<Item = &'a Sent>, reports_every: Duration) -> RtcConfig {
    let mut config = RtcConfig::new()
        .set_crypto_provider(identity.crypto.clone())
        .set_dtls_cert(identity.certificate.clone())
        .set_rtp_mode(true)
        .clear_codecs()
        .clear_extension_map()
        .set_extension(4, Extension::RtpMid)
        .set_extension(5, Extension::VideoOrientation)
        .set_extension(6, Extension::TransportSequenceNumber)
        .set_stats_interval(Some(reports_every))
        .set_send_buffer_audio(1)
        .set_rtcp_report_interval_audio(Duration::from_secs(2))
        .set_rtcp_report_interval_video(Duration::from_secs(1));
    for Sent { codec, pt, rtx } in sent {
        let (codec, clock, channels) = match codec {
            Some(VideoCodec::H264) => (Codec::H264, Frequency::NINETY_KHZ, None),
            Some(VideoCodec::H265) => (Codec::H265, Frequency::NINETY_KHZ, None),
            Some(VideoCodec::Vp8) => (Codec::Vp8, Frequency::NINETY_KHZ, None),
            None => (Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2)),
        };
        let (pt, rtx) = (Pt::new_with_value(*pt), rtx.map(Pt::new_with_value));
        config.codec_config().add_config(pt, rtx, codec, clock, channels, FormatParams::default());
    }
    config
}

/// A line that is sent on, as the library agreed to it.
fn line(machine: &Machine, (mid, sent): (String, Vec<Sent>)) -> Result<Line> {
    let mid = Mid::from(&*mid);
    let media = machine.rtc().media(mid).filter(|m| m.direction() == Direction::SendOnly);
    let offered = media.map(|media| media.remote_pts()).unwrap_or_default();
    let pts: Vec<_> = sent.iter().map(|sent| (sent.codec, Pt::new_with_value(sent.pt))).collect();
    if pts.iter().any(|(_, pt)| !offered.contains(pt)) {
        return Err(Error::invalid("the SDP offer has payload types that contradict each other"));
    }
    Ok(Line { mid, pts })
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
