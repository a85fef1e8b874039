//! What becomes of each media line of an offer (RFC 3264, section 6): one video is served and, where the camera has sound, one audio of
//! the same bundle. All else is refused in its place, with port 0 and outside the bundle (RFC 9143, section 7.3). The SDP library is
//! given only what is served, in its simplest form: the rest of the answer is written here.

#[path = "talk_plan.rs"]
mod talk;

use super::lines::{Lines, MediaKind, OfferSection, OfferedPayload, word};
use super::trickle::{self, MAX_CANDIDATES};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::media::VideoCodec;
use perch_domain::viewer_codecs::{H264_REPEATED, H264Stream, H265_REPEATED, H265Stream, h264_fit, h265_fit, repeated};
use str0m::Candidate;

/// The extension that names a packet's media line (RFC 9143, section 15).
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// The one that says how pictures are turned (3GPP TS 26.114 7.4.5).
const TURN_URI: &str = "urn:3gpp:video-orientation";
/// The one that counts packets for feedback, and what the feedback is called (draft-holmer-rmcat-transport-wide-cc-extensions-01).
const COUNT_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const COUNT_FEEDBACK: &str = "transport-cc";
/// A longer name is none to the SDP library.
const MAX_MID_BYTES: usize = 16;
const MAX_FINGERPRINTS: usize = 8;
/// Codecs that are named in a message.
const MAX_NAMED: usize = 8;

/// What may be sent.
#[derive(Clone, Copy, Debug)]
pub struct Sendable {
    /// How the stream is encoded that any viewer is sent.
    pub codec: VideoCodec,
    /// That stream, where it is H.264.
    pub h264: H264Stream,
    /// What those are sent that play H.265, if there is that.
    pub h265: Option<H265Stream>,
    /// Whether there is sound.
    pub audio: bool,
}

/// A payload type that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How it is encoded; `None` of sound.
    pub codec: Option<VideoCodec>,
    /// Its number.
    pub pt: u8,
    /// What sends it again.
    pub rtx: Option<u8>,
}

/// What becomes of a media line.
#[derive(Debug)]
enum Fate<'a> {
    /// It is sent on: its payload types, with what the answer says of each.
    Served(Vec<(Sent, String, OfferedPayload<'a>)>),
    /// It stays in the bundle, and nothing is sent.
    Idle(Option<OfferedPayload<'a>>),
    Refused(Option<OfferedPayload<'a>>),
}

/// One media line.
#[derive(Debug)]
struct Line<'a> {
    section: &'a OfferSection<'a>,
    mid: Option<&'a str>,
    /// Which of the offer's bundles it is in.
    bundle: Option<usize>,
    fate: Fate<'a>,
}

/// What becomes of an offer.
#[derive(Debug)]
pub struct AnswerPlan<'a> {
    lines: Vec<Line<'a>>,
    /// The one that must be served: video, or where the box listens, that sound.
    video: usize,
    audio: Option<usize>,
    /// Whether the box receives instead of sending.
    listens: bool,
    mixed_extensions: bool,
    /// The offer that the SDP library is given.
    pub sdp: String,
    /// The viewer's usable candidates.
    pub candidates: Vec<Candidate>,
}

impl<'a> Line<'a> {
    /// The bundles of an offer by the names of their lines, and its lines, of which nothing is taken yet.
    fn all(offer: &'a Lines<'a>) -> Result<(Vec<Vec<&'a str>>, Vec<Self>)> {
        let bundles: Vec<Vec<&str>> = offer
            .session
            .all("group")
            .filter_map(|group| group.strip_prefix("BUNDLE"))
            .map(|mids| mids.split_ascii_whitespace().collect())
            .collect();
        let mut lines = Vec::new();
        for section in &offer.media {
            let mid = section.get("mid").map(word).transpose()?;
            let bundle = mid.and_then(|mid| bundles.iter().position(|mids| mids.contains(&mid)));
            lines.push(Self { section, mid, bundle, fate: Fate::Refused(None) });
        }
        Ok((bundles, lines))
    }
}

impl<'a> AnswerPlan<'a> {
    /// Decides. Errors: `Invalid` (there is no line to send video on, or nowhere to send it), `Unsupported` (none with a codec in
    /// common).
    pub fn new(offer: &'a Lines<'a>, sendable: Sendable) -> Result<Self> {
        let (bundles, mut lines) = Line::all(offer)?;
        let default = offer.session.direction().unwrap_or("sendrecv");
        let receives = |at: usize, kind: MediaKind| {
            let Line { section, mid, bundle, .. } = &lines[at];
            let has_own_name = mid.is_none_or(|mid| !lines[..at].iter().any(|l| l.mid == Some(mid)));
            let is_open = !section.is_given_up() && (section.get("bundle-only").is_none() || bundle.is_some());
            let direction = section.direction().unwrap_or(default);
            section.kind() == kind && matches!(direction, "recvonly" | "sendrecv") && has_own_name && is_open
        };
        let videos: Vec<usize> = (0..lines.len()).filter(|at| receives(*at, MediaKind::Video)).collect();
        let served = videos.iter().find_map(|at| Some((*at, served_video(lines[*at].section, sendable)?)));
        let Some((video, payloads)) = served else { return Err(nothing_to_send(&lines, &videos, sendable)) };
        let bundle = lines[video].bundle;
        let taken: Vec<u8> = payloads.iter().flat_map(|(sent, ..)| [Some(sent.pt), sent.rtx]).flatten().collect();
        let audio = (0..lines.len()).filter(|at| bundle.is_some() && lines[*at].bundle == bundle).find_map(|at| {
            let opus = |p: &OfferedPayload<'_>| p.is_opus() && !taken.contains(&p.pt);
            let payload =
                receives(at, MediaKind::Audio).then(|| lines[at].section.payloads().into_iter().find(opus))??;
            Some((at, payload))
        });
        let tagged = bundle.and_then(|bundle| bundles.get(bundle)?.first()).copied();
        for line in &mut lines {
            // The line that speaks for a bundle cannot be refused alone (RFC 9143, section 7.3.3).
            let speaks = bundle.is_some() && line.bundle == bundle && line.mid == tagged && !line.section.is_given_up();
            let first = line.section.payloads().into_iter().next();
            let is_rtp = line.section.kind() != MediaKind::Other;
            line.fate = if speaks && is_rtp && first.is_some() { Fate::Idle(first) } else { Fate::Refused(first) };
        }
        lines[video].fate = Fate::Served(payloads);
        let mut served_audio = None;
        if let Some((at, payload)) = audio {
            lines[at].fate = if sendable.audio {
                served_audio = Some(at);
                let sent = Sent { codec: None, pt: payload.pt, rtx: None };
                Fate::Served(vec![(sent, "minptime=10;useinbandfec=1".into(), payload)])
            } else {
                Fate::Idle(Some(payload))
            };
        }
        let mixed_extensions = offer.session.get("extmap-allow-mixed").is_some();
        let (sdp, candidates) = (String::new(), Vec::new());
        let mut plan = Self { lines, video, audio: served_audio, listens: false, mixed_extensions, sdp, candidates };
        plan.simplify(offer, tagged)?;
        Ok(plan)
    }

    /// Writes the offer that the SDP library is given.
    fn simplify(&mut self, offer: &Lines<'a>, tagged: Option<&str>) -> Result<()> {
        let bundle = self.lines[self.video].bundle;
        let mates = || self.lines.iter().filter(|l| bundle.is_some() && l.bundle == bundle);
        // Who speaks for the bundle, the video itself, the session, then whoever of the bundle says something.
        let speaker = mates().find(|l| l.mid == tagged && !matches!(l.fate, Fate::Refused(_))).map(|l| l.section);
        let own = self.lines[self.video].section;
        let sources: Vec<&OfferSection<'_>> =
            speaker.into_iter().chain([own, &offer.session]).chain(mates().map(|l| l.section)).collect();
        let value = |name: &str| {
            let found = sources.iter().find_map(|section| section.get(name)).map(|value| value.trim());
            found.filter(|v| v.len() <= 256 && v.bytes().all(|b| b.is_ascii_graphic()) && !v.is_empty())
        };
        let needed = |name: &str| {
            value(name).ok_or_else(|| Error::invalid(format!("the SDP offer has no usable `a={name}`: it is needed")))
        };
        let mut transport = format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", needed("ice-ufrag")?, needed("ice-pwd")?);
        let prints: Vec<&str> = sources
            .iter()
            .map(|section| section.all("fingerprint").filter(|f| is_fingerprint(f)).take(MAX_FINGERPRINTS).collect())
            .find(|prints: &Vec<_>| !prints.is_empty())
            .ok_or_else(|| Error::invalid("the SDP offer has no usable `a=fingerprint`: it is needed"))?;
        prints.iter().for_each(|print| transport.push_str(&format!("a=fingerprint:{print}\r\n")));
        let setup = value("setup").filter(|setup| ["active", "passive"].contains(setup)).unwrap_or("actpass");
        transport.push_str(&format!("a=setup:{setup}\r\n"));
        let places = self.places();
        let names: Vec<String> = places.iter().map(|at| self.inner_mid(*at)).collect();
        let mut sdp =
            format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n", names.join(" "));
        if offer.session.get("ice-lite").is_some() || own.get("ice-lite").is_some() {
            sdp.push_str("a=ice-lite\r\n");
        }
        for (at, name) in places.iter().zip(&names) {
            self.simplify_line(*at, name, &transport, &mut sdp);
        }
        // Other lines may have other ways, on which nothing is to be sent.
        let candidates = sources.iter().map(|section| usable_candidates(section)).find(|found| !found.is_empty());
        (self.sdp, self.candidates) = (sdp, candidates.unwrap_or_default());
        Ok(())
    }

    fn simplify_line(&self, at: usize, name: &str, transport: &str, sdp: &mut String) {
        let (Line { section, mid, .. }, Fate::Served(payloads)) = (&self.lines[at], &self.lines[at].fate) else {
            return;
        };
        let kind = if at == self.video && !self.listens { "video" } else { "audio" };
        let pts = payloads.iter().flat_map(|(sent, ..)| [Some(sent.pt), sent.rtx]).flatten();
        let pts = pts.map(|pt| pt.to_string()).collect::<Vec<_>>().join(" ");
        sdp.push_str(&format!("m={kind} 9 UDP/TLS/RTP/SAVPF {pts}\r\nc=IN IP4 0.0.0.0\r\n{transport}a=mid:{name}\r\n"));
        // Packets carry the name that the library knows: it must be the viewer's.
        let names = extension(section, MID_URI).filter(|_| *mid == Some(name));
        let turns = extension(section, TURN_URI).filter(|id| at == self.video && !self.listens && names != Some(*id));
        let counts =
            extension(section, COUNT_URI).filter(|_| at == self.video && !self.listens && self.gives_feedback());
        let counts = counts.filter(|id| names != Some(*id) && turns != Some(*id));
        for (id, uri) in [(names, MID_URI), (turns, TURN_URI), (counts, COUNT_URI)] {
            sdp.extend(id.map(|id| format!("a=extmap:{id} {uri}\r\n")));
        }
        sdp.push_str(if self.listens { "a=sendonly\r\na=rtcp-mux\r\n" } else { "a=recvonly\r\na=rtcp-mux\r\n" });
        if let Some(ssrc) = section.get("ssrc").filter(|_| self.listens).and_then(ssrc) {
            sdp.push_str(&format!("a=ssrc:{ssrc} cname:talk\r\n"));
        }
        for (Sent { codec, pt, rtx }, ..) in payloads {
            let map = codec.map_or("opus/48000/2", |codec| match codec {
                VideoCodec::H264 => "H264/90000",
                VideoCodec::H265 => "H265/90000",
                VideoCodec::Vp8 => "VP8/90000",
            });
            sdp.push_str(&format!("a=rtpmap:{pt} {map}\r\n"));
            if counts.is_some() {
                sdp.push_str(&format!("a=rtcp-fb:{pt} {COUNT_FEEDBACK}\r\n"));
            }
            if let Some(rtx) = rtx {
                sdp.push_str(&format!("a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\n"));
            }
        }
    }

    /// Whether the viewer says of each packet of the video when it came, so that it can be estimated what its connection carries.
    pub fn gives_feedback(&self) -> bool {
        let Line { section, fate, .. } = &self.lines[self.video];
        let Fate::Served(payloads) = fate else { return false };
        let all = payloads.iter().all(|(.., payload)| payload.feedback.contains(&COUNT_FEEDBACK));
        all && extension(section, COUNT_URI).is_some()
    }

    /// The lines that are served, in the offer's order.
    fn places(&self) -> Vec<usize> {
        let mut places: Vec<usize> = self.audio.into_iter().chain([self.video]).collect();
        places.sort_unstable();
        places
    }

    /// The name of a line that is served towards the SDP library: the viewer's, where that is one.
    fn inner_mid(&self, at: usize) -> String {
        let own = |mid: &&str| mid.len() <= MAX_MID_BYTES;
        self.lines[at].mid.filter(own).map_or_else(|| format!("line-{at}"), str::to_owned)
    }

    /// The name of the video's line towards the SDP library, and what is sent on it.
    pub fn video(&self) -> (String, Vec<Sent>) {
        (self.inner_mid(self.video), self.sent(self.video))
    }

    /// The same of the audio's line.
    pub fn audio(&self) -> Option<(String, Vec<Sent>)> {
        self.audio.map(|at| (self.inner_mid(at), self.sent(at)))
    }

    fn sent(&self, at: usize) -> Vec<Sent> {
        match &self.lines[at].fate {
            Fate::Served(payloads) => payloads.iter().map(|(sent, ..)| *sent).collect(),
            Fate::Idle(_) | Fate::Refused(_) => Vec::new(),
        }
    }

    /// The answer to the whole offer, from the library's `answer` to what is served. Errors with `Invalid`.
    pub fn answer(&self, answer: &str) -> Result<String> {
        let mut sections: Vec<Vec<&str>> = vec![Vec::new()];
        for line in answer.lines() {
            if line.starts_with("m=") {
                sections.push(Vec::new());
            }
            sections.last_mut().into_iter().for_each(|section| section.push(line));
        }
        let (head, served) = sections.split_first().ok_or_else(|| Error::internal("an SDP answer without lines"))?;
        let mut text = String::with_capacity(answer.len() * 2);
        let push = |text: &mut String, line: &str| {
            text.push_str(line);
            text.push_str("\r\n");
        };
        for line in head {
            match line.starts_with("a=group:BUNDLE") {
                true => self.bundle().iter().for_each(|group| push(&mut text, group)),
                false if *line == "a=extmap-allow-mixed" && !self.mixed_extensions => {}
                false => push(&mut text, line),
            }
        }
        // In a bundle the first line may speak for all.
        const TRANSPORT: [&str; 6] =
            ["a=candidate:", "a=end-of-candidates", "a=ice-", "a=fingerprint:", "a=setup:", "a=rtcp-mux"];
        let mut transport = String::new();
        for line in served.first().into_iter().flatten().filter(|l| TRANSPORT.iter().any(|name| l.starts_with(name))) {
            push(&mut transport, line);
        }
        let mut served = served.iter();
        for line in &self.lines {
            let mid = line.mid.map(|mid| format!("a=mid:{mid}\r\n")).unwrap_or_default();
            match &line.fate {
                Fate::Served(payloads) => {
                    let section = served.next().ok_or_else(|| Error::internal("an SDP answer that lacks a line"))?;
                    text.push_str(&served_line(line, section, payloads)?);
                }
                Fate::Idle(payload) => {
                    let pt = payload.as_ref().map(|p| p.pt.to_string());
                    text.push_str(&line.section.answered(9, pt.as_deref())?);
                    text.push_str(&format!("{transport}{mid}a=inactive\r\n"));
                    text.extend(payload.iter().map(OfferedPayload::described));
                }
                Fate::Refused(payload) => {
                    let pt = payload.as_ref().map(|p| p.pt.to_string());
                    text.push_str(&line.section.answered(0, pt.as_deref())?);
                    // Players read an answer in vain where a line lacks these, though it is refused (webrtcbin, aiortc).
                    for line in transport.lines().filter(|l| !l.starts_with("a=candidate:")) {
                        push(&mut text, line);
                    }
                    text.push_str(&mid);
                    if line.section.is_rtp() {
                        text.push_str("a=inactive\r\n");
                        text.extend(payload.iter().map(OfferedPayload::described));
                    }
                }
            }
        }
        Ok(text)
    }

    /// The answer's bundle: what of the offer's is not refused.
    fn bundle(&self) -> Option<String> {
        let bundle = self.lines[self.video].bundle?;
        let live = self.lines.iter().filter(|l| l.bundle == Some(bundle) && !matches!(l.fate, Fate::Refused(_)));
        let mids: Vec<&str> = live.filter_map(|l| l.mid).collect();
        Some(format!("a=group:BUNDLE {}", mids.join(" ")))
    }
}

/// The source that a line says its packets come from.
fn ssrc(attribute: &str) -> Option<u32> {
    attribute.split_ascii_whitespace().next()?.parse().ok()
}

/// A line that is served, as the library answers it, in the viewer's own words.
fn served_line(line: &Line<'_>, section: &[&str], payloads: &[(Sent, String, OfferedPayload<'_>)]) -> Result<String> {
    let mut text = String::new();
    for answered in section {
        let of = |prefix: &str| {
            let (pt, rest) = answered.strip_prefix(prefix)?.split_once(' ')?;
            payloads.iter().find(|(sent, ..)| pt.parse() == Ok(sent.pt)).map(|found| (found, rest))
        };
        if let Some(media) = answered.strip_prefix("m=") {
            let formats = media.splitn(4, ' ').nth(3);
            text.push_str(&line.section.answered(9, formats)?);
            continue;
        }
        if answered.starts_with("a=mid:") {
            text.extend(line.mid.map(|mid| format!("a=mid:{mid}\r\n")));
            continue;
        }
        let is_offered = of("a=rtcp-fb:").is_none_or(|((_, _, payload), what)| payload.feedback.contains(&what));
        if answered.starts_with("c=") || !is_offered {
            continue;
        }
        text.push_str(answered);
        text.push_str("\r\n");
        if let Some(((sent, fmtp, _), _)) = of("a=rtpmap:").filter(|((_, fmtp, _), _)| !fmtp.is_empty()) {
            text.push_str(&format!("a=fmtp:{} {fmtp}\r\n", sent.pt));
        }
    }
    Ok(text)
}

/// Under which number a line's packets carry what `wanted` names.
fn extension(section: &OfferSection<'_>, wanted: &str) -> Option<u8> {
    section.all("extmap").find_map(|map| {
        let (id, uri) = map.split_once(' ')?;
        let id: u8 = id.split('/').next()?.parse().ok()?;
        (uri.split(' ').next() == Some(wanted) && (1..=14).contains(&id)).then_some(id)
    })
}

/// What of a video line is sent, the best payload type of each codec. `None`: nothing.
fn served_video<'a>(section: &OfferSection<'a>, sendable: Sendable) -> Option<Vec<(Sent, String, OfferedPayload<'a>)>> {
    let all = section.payloads();
    let mut served = Vec::new();
    if let Some(stream) = sendable.h265 {
        let fits = all.iter().filter(|p| p.is("H265", 90_000)).filter_map(|p| Some((h265_fit(p.fmtp, stream)?, p)));
        let best = fits.rev().max_by_key(|(fit, _)| *fit).map(|(_, p)| p);
        served.extend(best.map(|p| (VideoCodec::H265, repeated(p.fmtp, H265_REPEATED), p)));
    }
    let plain = match sendable.codec {
        VideoCodec::H264 => {
            let offered = all.iter().filter(|p| p.is("H264", 90_000)).rev();
            let best = offered.max_by_key(|p| h264_fit(p.fmtp, sendable.h264));
            best.map(|p| (repeated(p.fmtp, H264_REPEATED), p))
        }
        VideoCodec::Vp8 => all.iter().find(|p| p.is("VP8", 90_000)).map(|p| (String::new(), p)),
        // Not every viewer plays it: see above.
        VideoCodec::H265 => None,
    };
    served.extend(plain.map(|(fmtp, p)| (sendable.codec, fmtp, p)));
    let mut taken: Vec<u8> = served.iter().map(|(.., p)| p.pt).collect();
    let mut sent = Vec::new();
    for (codec, fmtp, payload) in served {
        let rtx = payload.rtx.filter(|rtx| !taken.contains(rtx));
        taken.extend(rtx);
        sent.push((Sent { codec: Some(codec), pt: payload.pt, rtx }, fmtp, payload.clone()));
    }
    (!sent.is_empty()).then_some(sent)
}

/// Why there is nothing to send on.
fn nothing_to_send(lines: &[Line<'_>], videos: &[usize], sendable: Sendable) -> Error {
    if videos.is_empty() {
        return Error::invalid("the SDP offer asks for no video: it needs an `m=video` over DTLS that is `recvonly`");
    }
    let wanted = match sendable.codec {
        VideoCodec::H264 => "H.264",
        VideoCodec::H265 => "H.265",
        VideoCodec::Vp8 => "VP8",
    };
    let payloads: Vec<OfferedPayload<'_>> = videos.iter().flat_map(|at| lines[*at].section.payloads()).collect();
    let mut names: Vec<&str> = payloads.iter().filter_map(OfferedPayload::name).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MAX_NAMED);
    let offered = if names.is_empty() { "no codec".into() } else { names.join(", ") };
    let message = format!("this viewer offers no {wanted}, it offers {offered}: use a viewer that plays it");
    Error::new(ErrorKind::Unsupported, message)
}

fn usable_candidates(section: &OfferSection<'_>) -> Vec<Candidate> {
    section
        .all("candidate")
        .filter_map(|text| trickle::candidate(&format!("candidate:{text}")))
        .take(MAX_CANDIDATES)
        .collect()
}

/// `sha-256 AB:CD…` (RFC 8122, section 5).
fn is_fingerprint(text: &str) -> bool {
    let Some((hash, print)) = text.split_once(' ') else { return false };
    let is_name = (1..=16).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_byte = |byte: &str| byte.len() == 2 && byte.bytes().all(|b| b.is_ascii_hexdigit());
    is_name && print.len() <= 256 && print.split(':').all(is_byte)
}
