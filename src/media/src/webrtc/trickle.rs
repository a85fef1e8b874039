//! Candidates of viewers: `application/trickle-ice-sdpfrag` (RFC 8840) and the `a=candidate` lines of offers. What is not usable is left out quietly.

use perch_base::{Error, ErrorKind, Result};
use perch_domain::reach::may_reach_viewer_at;
use str0m::Candidate;

/// Candidates one session may bring, over its whole life.
pub const MAX_CANDIDATES: usize = 32;
/// Bytes of a fragment that are read.
const MAX_FRAGMENT_BYTES: usize = 16 * 1024;
/// Characters of a user fragment or password (RFC 8839, section 5.4).
const MAX_ICE_CHARS: usize = 256;

/// What a fragment says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SdpFragment {
    /// The viewer's ICE user fragment and password, if given.
    pub credentials: Option<(String, String)>,
    /// Usable candidates in order, at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
}

/// Reads a fragment. Errors with `TooLarge` or `Invalid`; a fragment without candidates is fine.
pub fn parse_fragment(text: &str) -> Result<SdpFragment> {
    if text.len() > MAX_FRAGMENT_BYTES {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the ICE fragment has {} bytes: at most {MAX_FRAGMENT_BYTES} are read", text.len()),
        ));
    }
    let (mut ufrag, mut pwd, mut candidates) = (None, None, Vec::new());
    let mut attributes = 0;
    for line in text.lines().map(str::trim_end).filter_map(|line| line.strip_prefix("a=")) {
        attributes += 1;
        if let Some(value) = line.strip_prefix("ice-ufrag:") {
            ufrag.get_or_insert(ice_text("a=ice-ufrag", value, 4)?);
        } else if let Some(value) = line.strip_prefix("ice-pwd:") {
            pwd.get_or_insert(ice_text("a=ice-pwd", value, 22)?);
        } else if line.starts_with("candidate:") && candidates.len() < MAX_CANDIDATES {
            candidates.extend(candidate(line));
        }
    }
    if attributes == 0 {
        return Err(Error::invalid("the ICE fragment has no `a=` line"));
    }
    Ok(SdpFragment { credentials: ufrag.zip(pwd), candidates })
}

/// One `candidate:…` if the box can use it: of RTP, which RTCP shares, by UDP, an address (not a `.local` name), not this machine, not
/// everybody.
pub fn candidate(line: &str) -> Option<Candidate> {
    let mut fields = line.split_ascii_whitespace();
    let (component, transport, address) = (fields.nth(1)?, fields.next()?, fields.nth(1)?);
    let is_usable = line.len() <= 512 && component == "1" && transport.eq_ignore_ascii_case("udp");
    if !is_usable || !may_reach_viewer_at(address.parse().ok()?) {
        return None;
    }
    // Where it was seen from may be hidden behind a name: that does not matter.
    let shown = |field: &&str| !field.ends_with(".local");
    let fields: Vec<&str> = line.split_ascii_whitespace().map(|f| if shown(&f) { f } else { "0.0.0.0" }).collect();
    Candidate::from_sdp_string(&fields.join(" ")).ok().filter(|c| c.addr().port() != 0)
}

/// `ice-char`s, between `min` and [`MAX_ICE_CHARS`] of them (RFC 8839, section 5.4).
fn ice_text(name: &str, value: &str, min: usize) -> Result<String> {
    let ok = (min..=MAX_ICE_CHARS).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b));
    if ok {
        Ok(value.to_owned())
    } else {
        Err(Error::invalid(format!("`{name}` must be {min} to {MAX_ICE_CHARS} of A-Z, a-z, 0-9, + and /")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0 ufrag abcd network-id 1";

    #[test]
    fn only_usable_candidates_are_taken() {
        assert!(candidate(GOOD).is_some());
        let hidden = "candidate:1 1 UDP 1677729535 192.0.2.7 50000 typ srflx raddr 2f4712db.local rport 0 generation 0";
        assert!(candidate(hidden).is_some());
        for bad in [
            "192.0.2.7",
            "127.0.0.1",
            "0.0.0.0",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "2f4712db-1fc4-4ad3-9ae5-1d1a8b1a0f3c.local",
            "example.org",
        ]
        .iter()
        .skip(1)
        {
            assert!(candidate(&GOOD.replace("192.0.2.7", bad)).is_none(), "{bad}");
        }
        for bad in [
            GOOD.replace("udp", "tcp"),
            GOOD.replacen("1 1", "1 2", 1),
            GOOD.replace("50000", "0"),
            GOOD.replace("50000", "70000"),
            "candidate:".into(),
            "candidate:1 1 udp".into(),
        ] {
            assert!(candidate(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn fragments() {
        let text = format!(
            "a=ice-ufrag:abcd\r\na=ice-pwd:{}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na={GOOD}\r\na=end-of-candidates\r\n",
            "p".repeat(24)
        );
        let f = parse_fragment(&text).expect("good");
        assert_eq!(f.credentials.expect("given").0, "abcd");
        assert_eq!(f.candidates.len(), 1);
        assert_eq!(parse_fragment("a=end-of-candidates").expect("empty is fine"), SdpFragment::default());
        assert_eq!(
            parse_fragment(&format!("a={GOOD}\n").repeat(150)).expect("bounded").candidates.len(),
            MAX_CANDIDATES
        );
        assert_eq!(parse_fragment("").expect_err("nothing").kind(), ErrorKind::Invalid);
        assert_eq!(parse_fragment("a=ice-ufrag:a\r\n").expect_err("short").kind(), ErrorKind::Invalid);
        assert_eq!(parse_fragment(&"a".repeat(20_000)).expect_err("large").kind(), ErrorKind::TooLarge);
    }
}
