//! The answer to an offer, at the start of a session and for an ICE restart.

use super::machine::{Counted, Machine, Outbox};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use str0m::Candidate;
use str0m::change::SdpOffer;

/// The value of the first line of `sdp` that begins with `name`.
pub fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|l| l.strip_prefix(name))
}

/// The machine's answer to `sdp`, with `local` candidates in it.
pub fn answer(machine: &mut Machine, sdp: &str, local: &[Candidate], out: &mut dyn Outbox) -> Result<String> {
    for candidate in local {
        machine.mutate(out, |rtc| rtc.add_local_candidate(candidate.clone()));
    }
    machine.mutate(out, |rtc| accept(rtc, sdp))
}

fn accept(rtc: &mut Counted, sdp: &str) -> Result<String> {
    // The parser is foreign code that reads a stranger's text: a defect there must not end more than this request.
    let accepted = catch_unwind(AssertUnwindSafe(|| {
        let offer = SdpOffer::from_sdp_string(sdp)
            .map_err(|e| Error::invalid("the SDP offer cannot be read").with_source(e))?;
        rtc.accept_offer(offer)
            .map(|answer| answer.to_sdp_string())
            .context(ErrorKind::Invalid, || "the SDP offer is not acceptable")
    }));
    accepted.unwrap_or_else(|panic| {
        let words = perch_base::panic::words(&*panic);
        Err(Error::invalid("the SDP offer cannot be read").with_inside(format!("its parser broke down: {words}")))
    })
}
