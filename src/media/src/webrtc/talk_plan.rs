//! What becomes of the offer of somebody who wants to speak (RFC 9725): the first line of sound that they send as Opus is taken, all else
//! is refused in its place.

use super::{AnswerPlan, Fate, Line, Sent};
use crate::webrtc::lines::{Lines, MediaKind, OfferedPayload};
use perch_base::{Error, ErrorKind, Result};

/// Speech: lost packets are told of in the next one, and no more is sent than a voice needs.
const SPEECH: &str = "minptime=10;useinbandfec=1;maxaveragebitrate=40000";

impl<'a> AnswerPlan<'a> {
    /// Decides. Errors: `Invalid` (there is no sound that is sent), `Unsupported` (it is not Opus).
    pub fn speech(offer: &'a Lines<'a>) -> Result<Self> {
        let (bundles, mut lines) = Line::all(offer)?;
        let default = offer.session.direction().unwrap_or("sendrecv");
        let is_sent = |at: &usize| {
            let Line { section, bundle, .. } = &lines[*at];
            let is_open = !section.is_given_up() && (section.get("bundle-only").is_none() || bundle.is_some());
            let direction = section.direction().unwrap_or(default);
            section.kind() == MediaKind::Audio && matches!(direction, "sendonly" | "sendrecv") && is_open
        };
        let sounds: Vec<usize> = (0..lines.len()).filter(is_sent).collect();
        let opus = |at: &usize| Some((*at, lines[*at].section.payloads().into_iter().find(OfferedPayload::is_opus)?));
        let Some((at, payload)) = sounds.iter().find_map(opus) else {
            return Err(match sounds.first() {
                Some(_) => {
                    Error::new(ErrorKind::Unsupported, "the SDP offer has no Opus among its sound: it is needed")
                }
                None => Error::invalid("the SDP offer sends no sound: one `m=audio` that is `sendonly` is needed"),
            });
        };
        let bundle = lines[at].bundle;
        let tagged = bundle.and_then(|bundle| bundles.get(bundle)?.first()).copied();
        for line in &mut lines {
            // The line that speaks for a bundle cannot be refused alone (RFC 9143, section 7.3.3).
            let speaks = bundle.is_some() && line.bundle == bundle && line.mid == tagged && !line.section.is_given_up();
            let first = line.section.payloads().into_iter().next();
            let is_rtp = line.section.kind() != MediaKind::Other;
            line.fate = if speaks && is_rtp && first.is_some() { Fate::Idle(first) } else { Fate::Refused(first) };
        }
        lines[at].fate = Fate::Served(vec![(Sent { codec: None, pt: payload.pt, rtx: None }, SPEECH.into(), payload)]);
        let mixed_extensions = offer.session.get("extmap-allow-mixed").is_some();
        let (sdp, candidates) = (String::new(), Vec::new());
        let mut plan = Self { lines, video: at, audio: None, listens: true, mixed_extensions, sdp, candidates };
        plan.simplify(offer, tagged)?;
        Ok(plan)
    }
}
