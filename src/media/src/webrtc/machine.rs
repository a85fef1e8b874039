//! One str0m machine and its contract ("single mutation"): every change is followed by a drain of all it has to say before the next
//! one. Keys are installed, timers set and packets made only while it is drained.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::bwe::Bitrate;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::media::Mid;
use str0m::rtp::RtpWrite;
use str0m::{Candidate, CandidateKind, Event, Input, Output, PacerReason, Reason, Rtc, RtcError};

/// Outputs taken in one drain at most: more than the packets of the largest picture. A defect there must not stop the engine.
const MAX_OUTPUTS: usize = 1 << 16;
/// A machine that wants to run at once, again and again, gets this much time in between.
const MIN_REST: Duration = Duration::from_millis(1);
/// What only keeps the estimator's and the pacer's books waits this long: str0m asks for it each round trip, a thousand times a second in a
/// house's own network. Nothing that is to be sent waits for it.
const BOOKS_EVERY: Duration = Duration::from_millis(20);
/// What is due within this is done at once.
const AT_ONCE: Duration = Duration::from_micros(200);
/// Paced packets that leave in one turn at most: a keyframe has fewer.
const MAX_PACED: usize = 2048;

/// Video packets kept for retransmission: about two seconds.
const RTX_PACKETS: usize = 512;
const RTX_AGE: Duration = Duration::from_secs(2);
/// Share of a session's bytes that may be retransmissions; a viewer cannot make the box send more than that.
const RTX_SHARE: f32 = 0.3;

/// Takes the datagrams of a machine.
pub trait Outbox {
    /// Adds one datagram to what is sent at the end of the turn; `source` is an address of the box's own, at a relay or here.
    fn push(&mut self, source: SocketAddr, destination: SocketAddr, datagram: &[u8]);
}

/// Drops what a machine sends: while an offer is negotiated there is nobody to send to yet.
pub struct Nowhere;

impl Outbox for Nowhere {
    fn push(&mut self, _: SocketAddr, _: SocketAddr, _: &[u8]) {}
}

/// An [`Rtc`] that is changed by what stands here alone: one change each, and counted where the one before it was not drained yet.
pub struct Counted {
    rtc: Rtc,
    drained: bool,
    undrained: u64,
    /// Where TURN servers of the viewer are.
    relays: Vec<SocketAddr>,
}

impl Counted {
    fn new(rtc: Rtc) -> Self {
        Self { rtc, drained: true, undrained: 0, relays: Vec::new() }
    }

    /// For one change.
    fn change(&mut self) -> &mut Rtc {
        self.undrained += u64::from(!self.drained);
        self.drained = false;
        &mut self.rtc
    }

    /// One step of the drain, which ends with a time or an error.
    fn poll(&mut self) -> Result<Output, RtcError> {
        let output = self.rtc.poll_output();
        self.drained |= matches!(output, Ok(Output::Timeout(_)) | Err(_));
        output
    }

    /// A datagram, or the time.
    pub fn handle_input(&mut self, input: Input<'_>) -> Result<(), RtcError> {
        self.change().handle_input(input)
    }

    /// One of our addresses.
    pub fn add_local_candidate(&mut self, candidate: Candidate) {
        self.note_relay(&candidate);
        self.change().add_local_candidate(candidate);
    }

    /// One of the viewer's addresses.
    pub fn add_remote_candidate(&mut self, candidate: Candidate) {
        self.note_relay(&candidate);
        self.change().add_remote_candidate(candidate);
    }

    fn note_relay(&mut self, candidate: &Candidate) {
        if candidate.kind() == CandidateKind::Relayed && !self.relays.contains(&candidate.addr()) {
            self.relays.push(candidate.addr());
        }
    }

    /// The viewer's offer, at the start and for an ICE restart.
    pub fn accept_offer(&mut self, offer: SdpOffer) -> Result<SdpAnswer, RtcError> {
        self.change().sdp_api().accept_offer(offer)
    }

    /// Nothing of the line `mid` was sent yet, or what was is not sent again.
    pub fn forget_sent(&mut self, mid: Mid) {
        if let Some(stream) = self.change().direct_api().stream_tx_by_mid(mid, None) {
            stream.set_rtx_cache(RTX_PACKETS, RTX_AGE, Some(RTX_SHARE));
        }
    }

    /// The packets of one picture or sound of the line `mid`: they only wait to be sent then, and are one change, as they are where
    /// str0m cuts a picture into packets itself. A drain after each of them would find nothing, and cost a tenth of all that is done.
    pub fn write_rtp(&mut self, mid: Mid, packets: impl IntoIterator<Item = RtpWrite>) {
        if let Some(stream) = self.change().direct_api().stream_tx_by_mid(mid, None) {
            packets.into_iter().for_each(|packet| stream.write_rtp(packet));
        }
    }

    /// Whether packets of the line `mid` leave at once, or as the estimator's own pacer lets them.
    pub fn set_unpaced(&mut self, mid: Mid, unpaced: bool) {
        if let Some(stream) = self.change().direct_api().stream_tx_by_mid(mid, None) {
            stream.set_unpaced(unpaced);
        }
    }

    /// The user fragment that the viewer's requests are to come for.
    #[cfg(test)]
    pub fn local_ufrag(&mut self) -> String {
        self.change().direct_api().local_ice_credentials().ufrag
    }

    /// The bits a second for which the estimator looks whether the connection carries them, and those that are sent all the time, with padding.
    pub fn look_for(&mut self, least_bps: u64, bps: u64) {
        self.change().bwe().set_bitrate(Bitrate::bps(least_bps), Bitrate::bps(bps.max(least_bps)));
    }

    /// The estimator begins anew with `bps`.
    pub fn estimate_anew(&mut self, bps: u64) {
        self.change().bwe().reset(Bitrate::bps(bps));
    }

    /// Says goodbye.
    pub fn close(&mut self) -> Result<(), RtcError> {
        self.change().close()
    }
}

/// A protocol machine. [`Self::mutate`] is the only way to change it.
pub struct Machine {
    counted: Counted,
    next: Instant,
    /// The time as it was told last.
    told: Instant,
    events: VecDeque<Event>,
    failed: Option<RtcError>,
    bytes_sent: u64,
    remote: Option<SocketAddr>,
    /// From which of the box's addresses DTLS and media leave.
    source: Option<SocketAddr>,
}

impl Machine {
    /// Takes over a machine that nothing was done to yet.
    pub fn new(rtc: Rtc, now: Instant) -> Self {
        let events = VecDeque::new();
        Self {
            counted: Counted::new(rtc),
            next: now,
            told: now,
            events,
            failed: None,
            bytes_sent: 0,
            remote: None,
            source: None,
        }
    }

    /// Does one change (a datagram, a packet, a candidate) and takes all that the machine has to say to it: datagrams go to `out`,
    /// events wait for [`Self::next_event`]. What was written leaves with the next [`Self::run`], which is due at once. A `change`
    /// that is more than one is counted, see [`Self::take_undrained`].
    pub fn mutate<T>(&mut self, out: &mut dyn Outbox, change: impl FnOnce(&mut Counted) -> T) -> T {
        let done = change(&mut self.counted);
        self.drain(out);
        done
    }

    /// Tells the machine the time, if it is due, and lets it work.
    pub fn run(&mut self, now: Instant, out: &mut dyn Outbox) {
        if self.next <= now {
            self.run_now(now, out);
        }
    }

    /// Tells the machine the time, due or not.
    pub fn run_now(&mut self, now: Instant, out: &mut dyn Outbox) {
        self.told = now;
        let mut at = now;
        // Where packets are paced, each one wants to be asked for, a microsecond after the one before.
        for _ in 0..MAX_PACED {
            let sent = self.bytes_sent;
            if let Err(error) = self.mutate(out, |rtc| rtc.handle_input(Input::Timeout(at))) {
                self.failed.get_or_insert(error);
            }
            if self.next > now + AT_ONCE || self.bytes_sent == sent {
                break;
            }
            at = at.max(self.next);
        }
        self.next = self.next.max(now + MIN_REST);
    }

    fn drain(&mut self, out: &mut dyn Outbox) {
        for _ in 0..MAX_OUTPUTS {
            match self.counted.poll() {
                Ok(Output::Timeout(at)) => {
                    let reason = self.counted.rtc.last_timeout_reason();
                    let is_for_books = matches!(reason, Reason::BweDelayControl | Reason::Pacer(PacerReason::Handle));
                    self.next = if is_for_books { at.max(self.told + BOOKS_EVERY) } else { at };
                    return;
                }
                Ok(Output::Transmit(t)) => {
                    self.bytes_sent += t.contents.len() as u64;
                    // Checks (STUN begins with 0 or 1) go to all candidates, all else where ICE chose to.
                    if (self.remote, self.source) != (Some(t.destination), Some(t.source))
                        && t.contents.first().is_some_and(|byte| *byte > 3)
                    {
                        (self.remote, self.source) = (Some(t.destination), Some(t.source));
                    }
                    out.push(t.source, t.destination, &t.contents);
                }
                Ok(Output::Event(event)) => self.events.push_back(event),
                Err(error) => {
                    self.failed.get_or_insert(error);
                    return;
                }
            }
        }
        self.failed.get_or_insert(RtcError::Io(std::io::Error::other("the machine never rests")));
    }

    /// The next of what happened.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Why it cannot go on; said once.
    pub fn take_failure(&mut self) -> Option<RtcError> {
        self.failed.take()
    }

    /// The machine, to read.
    pub fn rtc(&self) -> &Rtc {
        &self.counted.rtc
    }

    /// When it is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Bytes of datagrams sent.
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// Where DTLS and media go.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Whether DTLS and media go by a TURN server, the viewer's or the box's.
    pub fn is_relayed(&self) -> bool {
        let is_relay = |address: SocketAddr| self.counted.relays.contains(&address);
        self.remote.is_some_and(is_relay) || self.source.is_some_and(is_relay)
    }

    /// Takes the count of changes that came before the one before them was drained.
    pub fn take_undrained(&mut self) -> u64 {
        std::mem::take(&mut self.counted.undrained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtc(now: Instant) -> Rtc {
        Rtc::builder().set_crypto_provider(std::sync::Arc::new(str0m::crypto::from_feature_flags())).build(now)
    }

    fn candidate(port: u16) -> Candidate {
        Candidate::host(SocketAddr::from(([192, 0, 2, 1], port)), "udp").expect("valid")
    }

    #[test]
    fn changes_in_a_row_are_counted_also_within_one_closure() {
        let now = Instant::now();
        let mut machine = Machine::new(rtc(now), now);
        machine.mutate(&mut Nowhere, |rtc| (1..=3).for_each(|port| rtc.add_local_candidate(candidate(port))));
        assert_eq!(machine.take_undrained(), 2, "each but the first came too early");
        machine.mutate(&mut Nowhere, |rtc| rtc.add_local_candidate(candidate(4)));
        assert_eq!(machine.take_undrained(), 0);
        machine.mutate(&mut Nowhere, |rtc| {
            rtc.handle_input(Input::Timeout(now)).expect("sound");
            let _ = rtc.close();
        });
        assert_eq!(machine.take_undrained(), 1, "whatever the changes are");
    }

    #[test]
    fn every_change_through_the_machine_is_drained() {
        let now = Instant::now();
        let mut machine = Machine::new(rtc(now), now);
        for port in 1..=3 {
            machine.mutate(&mut Nowhere, |rtc| rtc.add_local_candidate(candidate(port)));
        }
        for ms in [0, 0, 1, 50] {
            machine.run(now + Duration::from_millis(ms), &mut Nowhere);
        }
        assert!(machine.next() > now);
        assert_eq!((machine.take_undrained(), machine.take_failure().is_none()), (0, true));
    }
}
