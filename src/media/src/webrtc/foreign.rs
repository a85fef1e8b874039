//! Media lines of an offer that are never served, such as a data channel: they are taken out before the SDP library reads the offer,
//! and refused one by one in the answer: with port 0, in the offer's order (RFC 3264, section 6), outside the bundle (RFC 9143, 7.3.3).

use perch_base::{Error, Result};
use std::collections::HashSet;

/// What we speak: RTP over DTLS-SRTP with feedback (RFC 5764).
const SERVED: &str = "UDP/TLS/RTP/SAVPF";
/// The longest word of a media line.
const MAX_WORD_BYTES: usize = 64;

/// The lines that were taken out.
#[derive(Debug, Default)]
pub struct Foreign {
    /// Their place among all media lines, and their refusal.
    refusals: Vec<(usize, String)>,
}

/// Takes the foreign lines out of an offer's `lines`. Errors with `Invalid` where one cannot be read.
pub fn take_out(lines: &[&str]) -> Result<(Vec<String>, Foreign)> {
    let mut foreign = Foreign::default();
    let (mut kept, mut mids, mut transport) = (Vec::new(), HashSet::new(), Vec::new());
    let (mut place, mut out) = (0, false);
    for line in lines {
        if let Some(media) = line.strip_prefix("m=") {
            out = !is_served(media);
            if out {
                foreign.refusals.push((place, refusal(media)?));
            }
            place += 1;
        }
        if !out {
            kept.push((*line).to_owned());
            continue;
        }
        if let (Some(mid), Some((_, refusal))) = (line.strip_prefix("a=mid:"), foreign.refusals.last_mut()) {
            mids.insert(word(mid)?);
            refusal.push_str(&format!("a=mid:{mid}\r\n"));
        }
        // In a bundle the first line may speak for all.
        if ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"].iter().any(|name| line.starts_with(name)) {
            transport.push((*line).to_owned());
        }
    }
    for line in kept.iter_mut().filter(|line| line.starts_with("a=group:BUNDLE ")) {
        *line = line.split(' ').filter(|mid| !mids.contains(mid)).collect::<Vec<_>>().join(" ");
    }
    if !kept.iter().any(|line| line.starts_with("a=ice-ufrag:")) {
        let session = kept.iter().position(|line| line.starts_with("m=")).unwrap_or(kept.len());
        kept.splice(session..session, transport);
    }
    Ok((kept, foreign))
}

impl Foreign {
    /// Puts the refusals into the answer to what was left.
    pub fn refuse(self, answer: String) -> String {
        if self.refusals.is_empty() {
            return answer;
        }
        let mut sections: Vec<String> = Vec::new();
        let mut text = String::with_capacity(answer.len() + 256);
        for line in answer.lines() {
            if line.starts_with("m=") {
                sections.push(String::new());
            }
            let section = sections.last_mut().unwrap_or(&mut text);
            section.push_str(line);
            section.push_str("\r\n");
        }
        let (mut sections, mut at) = (sections.into_iter(), 0);
        // They are in the order of their places.
        for (place, refusal) in self.refusals {
            let before = place.saturating_sub(at);
            text.extend(sections.by_ref().take(before));
            text.push_str(&refusal);
            at = place + 1;
        }
        text.extend(sections);
        text
    }
}

fn is_served(media: &str) -> bool {
    let mut words = media.split_ascii_whitespace();
    let (kind, protocol) = (words.next(), words.nth(1));
    matches!(kind, Some("audio" | "video")) && protocol == Some(SERVED)
}

fn refusal(media: &str) -> Result<String> {
    let mut words = media.split_ascii_whitespace();
    let mut next = || word(words.next().unwrap_or_default());
    let (kind, _port, protocol, format) = (next()?, next()?, next()?, next()?);
    // RTP needs a direction, whatever it is worth here.
    let direction = if protocol.contains("RTP/") { "a=inactive\r\n" } else { "" };
    Ok(format!("m={kind} 0 {protocol} {format}\r\nc=IN IP4 0.0.0.0\r\n{direction}"))
}

fn word(text: &str) -> Result<&str> {
    let sound = (1..=MAX_WORD_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if sound { Ok(text) } else { Err(Error::invalid("the SDP offer has a media line that cannot be read")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn lines_are_refused_at_their_place() {
        let offer = "v=0\na=group:BUNDLE d 0 t 1\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=ice-ufrag:abcd\na=mid:d\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:0\nm=text 9 UDP/TLS/RTP/SAVPF 98 99\na=mid:t\nm=audio 9 UDP/TLS/RTP/SAVPF 111\n\
            a=mid:1\nm=audio 9 RTP/AVP 0";
        let (kept, foreign) = take_out(&offer.lines().collect::<Vec<_>>()).expect("readable");
        assert_eq!(
            kept.join("|"),
            "v=0|a=group:BUNDLE 0 1|a=ice-ufrag:abcd|m=video 9 UDP/TLS/RTP/SAVPF 96|a=mid:0|m=audio 9 UDP/TLS/RTP/SAVPF 111|a=mid:1"
        );
        let answer = foreign.refuse("v=0\r\nm=video 9 x\r\na=mid:0\r\nm=audio 9 x\r\na=mid:1\r\n".into());
        let lines: Vec<&str> = answer.lines().filter(|l| !l.starts_with("c=")).collect();
        assert_eq!(
            lines.join("|"),
            "v=0|m=application 0 UDP/DTLS/SCTP webrtc-datachannel|a=mid:d|m=video 9 x|a=mid:0|m=text 0 UDP/TLS/RTP/SAVPF 98|a=inactive|a=mid:t|\
             m=audio 9 x|a=mid:1|m=audio 0 RTP/AVP 0|a=inactive"
        );
    }

    /// How long it takes to go through an offer with `n` foreign names and a bundle of five times as many words.
    fn time_of(n: usize) -> Duration {
        let (bundle, mids) = (" a".repeat(5 * n), (0..n).map(|n| format!("a=mid:{n:04}\n")).collect::<String>());
        let offer = format!(
            "v=0\na=group:BUNDLE{bundle} 0007 v\nm=x 9 y z\n{mids}m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:v\nm=x 9 y z"
        );
        let lines: Vec<_> = offer.lines().collect();
        let started = Instant::now();
        let (kept, foreign) = take_out(&lines).expect("readable");
        let answer = foreign.refuse("v=0\r\nm=video 9 x\r\na=mid:v\r\n".into());
        let took = started.elapsed();
        assert!(kept[1].ends_with(" a v") && kept.len() == 4, "{} lines", kept.len());
        let media: Vec<_> = answer.lines().filter(|l| l.starts_with("m=")).collect();
        assert_eq!((media.len(), media[1]), (3, "m=video 9 x"));
        took
    }

    #[test]
    fn an_offer_is_gone_through_once_however_long() {
        // A busy machine only adds to a time: the shortest of many is the work itself.
        let (mut short, mut long) = (Duration::MAX, Duration::MAX);
        for round in 0..400 {
            (short, long) = (short.min(time_of(375)), long.min(time_of(3_000)));
            if round >= 10 && long < 24 * short {
                break;
            }
        }
        println!("{short:?}, and {long:?} for eight times as much");
        // Searching for each name among all of them takes 34 times as long, and more the longer it is.
        assert!(long < 24 * short, "{long:?} instead of 8 times {short:?}");
    }

    #[test]
    fn an_offer_without_them_stays_as_it_is_and_odd_lines_are_invalid() {
        let (kept, foreign) = take_out(&["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 96"]).expect("readable");
        assert_eq!((kept.len(), foreign.refuse("x".into())), (2, "x".into()));
        let long = format!("m=text 9 x {}", "y".repeat(100));
        for odd in ["m=", "m=text 9", "m=text 9 x", "m=te\u{7}xt 9 x y", &long] {
            assert!(take_out(&["v=0", odd]).is_err(), "{odd:?}");
        }
        assert!(take_out(&["v=0", "m=text 9 x y", "a=mid:a b"]).is_err());
    }
}
