//! The ICE restarts of one session: the same media under the viewer's new credentials. They are answered on the engine's thread, beside
//! everybody's media: so they are few, and what is read again for one is short, whatever the viewer's offer was.

use super::answer::{answer, attribute};
use super::machine::{Machine, Outbox};
use super::trickle::SdpFragment;
use perch_base::{Error, Result};
use std::fmt::Write;
use str0m::Candidate;

const UFRAG: &str = "a=ice-ufrag:";
const PWD: &str = "a=ice-pwd:";

/// An ICE restart that was answered.
#[derive(Debug, PartialEq)]
pub struct Restarted {
    /// The answering fragment.
    pub answer: String,
    /// The user fragment that the viewer's ICE requests come for from now on.
    pub ufrag: String,
}

/// What a session's restarts need.
pub struct Restarts {
    /// The offer as the SDP library was given it.
    offer: String,
    /// The viewer's user fragment and password now.
    credentials: Option<(String, String)>,
}

impl Restarts {
    /// Of a session that began with `offer`.
    pub fn new(offer: String) -> Self {
        let value = |name| attribute(&offer, name).map(str::to_owned);
        let credentials = value(UFRAG).zip(value(PWD));
        Self { offer, credentials }
    }

    /// Answers an ICE restart. `None`: the fragment asks for none. `allow` says whether one more may be, and gives the box's own
    /// candidates; its error is handed on.
    pub fn answer(
        &mut self,
        machine: &mut Machine,
        fragment: &SdpFragment,
        allow: &mut dyn FnMut() -> Result<Vec<Candidate>>,
        out: &mut dyn Outbox,
    ) -> Result<Option<Restarted>> {
        let Some(credentials) = fragment.credentials.as_ref().filter(|new| self.credentials.as_ref() != Some(*new))
        else {
            return Ok(None);
        };
        let local = allow()?;
        let offer = renewed(&self.offer, credentials);
        let answer = answer(machine, &offer, &local, out)?;
        (self.offer, self.credentials) = (offer, Some(credentials.clone()));
        let ufrag = attribute(&answer, UFRAG).ok_or_else(|| Error::internal("an SDP answer without ICE"))?.to_owned();
        Ok(Some(Restarted { answer: shortened(&answer), ufrag }))
    }
}

/// `offer` with other credentials.
fn renewed(offer: &str, (ufrag, pwd): &(String, String)) -> String {
    let lines = offer.lines().map(|line| {
        if line.starts_with(UFRAG) {
            format!("{UFRAG}{ufrag}\r\n")
        } else if line.starts_with(PWD) {
            format!("{PWD}{pwd}\r\n")
        } else {
            format!("{line}\r\n")
        }
    });
    lines.collect()
}

/// What of an answer stands in a fragment (RFC 8840, section 9).
fn shortened(answer: &str) -> String {
    let mut text = String::new();
    for name in [UFRAG, PWD] {
        if let Some(value) = attribute(answer, name) {
            let _ = write!(text, "{name}{value}\r\n");
        }
    }
    if let Some(mid) = attribute(answer, "a=mid:") {
        let _ = write!(text, "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n");
    }
    for line in answer.lines().filter(|l| l.starts_with("a=candidate:")) {
        let _ = write!(text, "{line}\r\n");
    }
    text.push_str("a=end-of-candidates\r\n");
    text
}
