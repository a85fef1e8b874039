//! One viewer: a protocol machine in RTP mode, its lease and where it is in the stream. Sans-IO: datagrams go to an [`Outbox`].

use super::cameras::KeyedCamera;
use super::feed::{FeedId, Frame};
use super::gate::RationGate;
use super::machine::{Counted, Machine, Outbox};
use super::offer::Negotiated;
use super::restart::{Restarted, Restarts};
use super::sender::LineSender;
use super::talk::{NO_FEED, Talk, TalkStart};
use super::trickle::SdpFragment;
use perch_base::Result;
use perch_base::ids::LeaseId;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::access::Principal;
use perch_domain::lease::Lease;
use perch_domain::media::{Stream, Track};
use perch_domain::pacing::Room;
use perch_domain::rate::{Costs, LinkState, RateWish, Ration, SentRate, StuckEstimate, ViewerRate};
use perch_domain::stream_choice::{StreamChoice, gives_up_change};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::bwe::{Bitrate, BweKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, RtcError};

/// The estimate is smoothed over so long (str0m).
const SMOOTHED_FOR: Duration = Duration::from_secs(3);
/// A queue that stood as less was to be sent takes so long to go.
const JAMMED_FOR: Duration = Duration::from_secs(2);

/// What waits for longer than this is left out where a queue stands on the way.
const LONG_WAIT: Duration = Duration::from_millis(100);

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPhase {
    /// ICE and DTLS are under way.
    Connecting,
    /// Connected; nothing was shown yet, or the picture broke: waits for a keyframe.
    AwaitsKeyframe,
    /// Media flows.
    Live,
    /// Over; to be removed.
    Over,
}

/// What the engine must do for a session after it was driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionWish {
    /// It has just connected: show it a picture.
    Join,
    /// The viewer lost its picture.
    Keyframe,
}

/// Everything a session begins with.
pub struct Start {
    /// Its lease's name.
    pub lease: LeaseId,
    /// Who watches.
    pub viewer: Principal,
    /// The camera.
    pub camera: Arc<KeyedCamera>,
    /// What the viewer wishes, of what there is for it.
    pub wish: RateWish,
    /// The accepted offer.
    pub negotiated: Negotiated,
}

/// A session.
pub struct Session {
    /// Its lease's name.
    pub lease: LeaseId,
    /// Its lease.
    pub term: Lease,
    /// Who watches.
    pub viewer: Principal,
    /// When it began.
    pub started_at: Timestamp,
    /// The stream it gets.
    pub feed: FeedId,
    /// The stream it changes to at that one's next keyframe, and when that was asked for; `None`: it is what the viewer began with, and is
    /// waited for.
    pub next_feed: Option<(FeedId, Option<MonoTime>)>,
    /// Whether we choose the stream.
    pub chooses: bool,
    /// What it is sent.
    pub rate: ViewerRate,
    /// Lets through what it is sent of its feed.
    pub gate: RationGate,
    /// What is known of its connection.
    pub link: LinkState,
    /// How much it is sent.
    pub sent: SentRate,
    /// The estimate as it moves, and as it is smoothed; either is too slow in one direction.
    estimates_bps: [Option<u64>; 2],
    /// The bits a second that are sent at least, with padding, and those that the estimator looks for.
    looks_for_bps: [u64; 2],
    stuck: StuckEstimate,
    /// When the estimator began anew, if that is not long ago.
    anew_at: Option<MonoTime>,
    /// When its connection did not carry what it was sent, if that is not long ago.
    jammed_at: Option<MonoTime>,
    /// Bits a second that what it is sent needs.
    needs_bps: u64,
    /// Its connection has just become too narrow for that.
    is_newly_short: bool,
    /// Where it is in its life.
    pub phase: SessionPhase,
    /// What it wants from the engine.
    pub wishes: Vec<SessionWish>,
    machine: Machine,
    restarts: Restarts,
    /// Candidates the viewer may still bring.
    candidates_left: usize,
    /// The viewer proved to be there since this was last asked for.
    alive: bool,
    /// Answers to our checks of consent (RFC 7675).
    consents: u64,
    /// What a receiver report said since this was last looked at.
    reported_loss: Option<f32>,
    video: Option<LineSender>,
    audio: Option<LineSender>,
    /// Of somebody who speaks, and watches nothing.
    pub talk: Option<Talk>,
}

impl Session {
    /// A session that begins now.
    pub fn new(start: Start, feed: FeedId, utc: Timestamp, mono: MonoTime) -> Self {
        let n = start.negotiated;
        let has = |stream| start.wish.stream == StreamChoice::Auto || start.wish.stream == StreamChoice::Fixed(stream);
        let rate = ViewerRate::new(start.wish, has(Stream::Main), has(Stream::Sub), mono);
        Self {
            lease: start.lease,
            term: Lease::grant(mono),
            viewer: start.viewer,
            started_at: utc,
            feed,
            next_feed: None,
            chooses: start.wish.stream == StreamChoice::Auto,
            gate: RationGate::new(rate.ration()),
            rate,
            link: LinkState::default(),
            sent: SentRate::default(),
            estimates_bps: [None; 2],
            looks_for_bps: [0; 2],
            stuck: StuckEstimate::default(),
            anew_at: None,
            jammed_at: None,
            needs_bps: 0,
            is_newly_short: false,
            phase: SessionPhase::Connecting,
            wishes: Vec::new(),
            machine: n.machine,
            restarts: n.restarts,
            candidates_left: n.candidates_left,
            alive: false,
            consents: 0,
            reported_loss: None,
            video: n.video.map(LineSender::of_pictures),
            audio: n.audio.map(LineSender::of_sound),
            talk: None,
        }
    }

    /// A session of somebody who speaks that begins now.
    pub fn speaking(start: TalkStart, utc: Timestamp, mono: MonoTime) -> Self {
        let n = start.negotiated;
        Self {
            lease: start.lease,
            term: Lease::grant(mono),
            viewer: start.who,
            started_at: utc,
            feed: NO_FEED,
            next_feed: None,
            chooses: false,
            gate: RationGate::new(Ration::Sound),
            rate: ViewerRate::new(RateWish::default(), false, false, mono),
            link: LinkState::default(),
            sent: SentRate::default(),
            estimates_bps: [None; 2],
            looks_for_bps: [0; 2],
            stuck: StuckEstimate::default(),
            anew_at: None,
            jammed_at: None,
            needs_bps: 0,
            is_newly_short: false,
            reported_loss: None,
            phase: SessionPhase::Connecting,
            wishes: Vec::new(),
            machine: n.machine,
            restarts: n.restarts,
            candidates_left: n.candidates_left,
            alive: false,
            consents: 0,
            video: None,
            audio: None,
            talk: Some(start.talk),
        }
    }

    /// Whether media can flow.
    pub fn connected(&self) -> bool {
        matches!(self.phase, SessionPhase::AwaitsKeyframe | SessionPhase::Live)
    }

    /// Bytes of datagrams sent.
    pub fn bytes_sent(&self) -> u64 {
        self.machine.bytes_sent()
    }

    /// Where media goes.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.machine.remote().filter(|_| self.connected())
    }

    /// Whether media goes by a TURN server, the viewer's or the box's.
    pub fn is_relayed(&self) -> bool {
        self.connected() && self.machine.is_relayed()
    }

    /// When the engine must look after it next; `now`: at once.
    pub fn due(&self, now: Instant) -> Instant {
        let at_once = self.phase == SessionPhase::Over || !self.wishes.is_empty();
        let paced = self.video.as_ref().and_then(|video| video.due(now));
        if at_once { now } else { paced.map_or(self.machine.next(), |at| at.min(self.machine.next())) }
    }

    /// Whether the engine must look after it at `now`.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due(now) <= now
    }

    /// Takes the count of changes of the machine that came too early, see [`Machine::take_undrained`].
    pub fn take_undrained(&mut self) -> u64 {
        self.machine.take_undrained()
    }

    /// Whether the viewer proved to be there since this was asked for last: by RTCP that its keys protect, or by an answer to a
    /// check of consent, which its ICE password protects.
    pub fn take_life_sign(&mut self) -> bool {
        std::mem::take(&mut self.alive)
    }

    /// While it connects, what is logged meanwhile bears its lease: there DTLS says why it fails.
    fn named(&self) -> Option<tracing::span::EnteredSpan> {
        let connecting = self.phase == SessionPhase::Connecting;
        connecting.then(|| tracing::warn_span!("live session", lease = %self.lease).entered())
    }

    /// Changes the machine, and handles the events that follow.
    fn mutate<T>(&mut self, out: &mut dyn Outbox, change: impl FnOnce(&mut Counted) -> T) -> T {
        let named = self.named();
        let done = self.machine.mutate(out, change);
        drop(named);
        self.take_events();
        done
    }

    /// Writes a live frame of `feed` if it continues what the viewer has. Returns the feed that is not needed any more.
    pub fn live(&mut self, feed: FeedId, frame: &Frame, out: &mut dyn Outbox) -> Option<FeedId> {
        if !self.connected() {
            return None;
        }
        let mut left = None;
        if self.next_feed.is_some_and(|(next, _)| next == feed) && frame.track == Track::Video && frame.keyframe {
            left = Some(std::mem::replace(&mut self.feed, feed));
            self.next_feed = None;
            // What waits of the one before it is older than this, and would keep it waiting.
            self.leave_out_waiting();
            // A wish for keyframes alone begins with this one.
            self.gate.set(self.rate.ration());
        }
        // Sound is the same in all feeds of a camera: it goes on while they change, and while a picture is waited for.
        if self.feed.camera != feed.camera || (frame.track == Track::Video && self.feed != feed) {
            return left;
        }
        match frame.track {
            Track::Video => self.live_video(frame),
            Track::Audio => {
                let has_begun = self.phase == SessionPhase::Live || self.gate.ration() == Ration::Sound;
                let is_heard = |a: &LineSender| (has_begun || a.last_pts.is_some()) && a.is_new(frame.pts);
                if let Some(audio) = self.audio.as_mut().filter(|a| is_heard(a)) {
                    audio.write(&mut self.machine, frame, out);
                    self.take_events();
                }
            }
        }
        left
    }

    fn live_video(&mut self, frame: &Frame) {
        if frame.discontinuity && !frame.keyframe {
            self.phase = SessionPhase::AwaitsKeyframe;
        }
        if self.phase == SessionPhase::AwaitsKeyframe && !frame.keyframe {
            return;
        }
        self.phase = SessionPhase::Live;
        if self.gate.passes(frame) {
            self.write_video(frame, frame.pts, frame.wallclock);
        }
    }

    fn write_video(&mut self, frame: &Frame, pts: MonoTime, wallclock: Instant) {
        if let Some(video) = &mut self.video {
            video.queue(frame, pts, wallclock);
        }
    }

    /// What its connection and what it is sent leave to pictures.
    fn room(&self) -> Room {
        let (estimate_bps, is_jammed) = (self.link.estimate_bps, self.jammed_at.is_some());
        Room { estimate_bps, needs_bps: self.needs_bps, is_jammed }
    }

    /// Whether its connection carries less than what it is sent needs.
    pub fn is_short(&self) -> bool {
        self.connected() && self.room().is_short()
    }

    /// Whether that has come to be since this was asked for last.
    pub fn take_newly_short(&mut self) -> bool {
        std::mem::take(&mut self.is_newly_short)
    }

    /// Leaves out the packets of pictures that still wait here, if there are any: then only a keyframe goes on.
    pub fn leave_out_waiting(&mut self) {
        if self.video.as_mut().is_some_and(|video| video.leave_out() > 0) {
            self.gate.break_off();
        }
    }

    /// A queue stands on the way: the picture stands anyway, and what comes of it now would only keep the next keyframe waiting, also what is
    /// asked for again. `is_soon`: that keyframe is at hand; else the pictures go on that do not wait here for long.
    pub fn hold_back(&mut self, now: MonoTime, is_soon: bool, out: &mut dyn Outbox) {
        self.jammed_at = Some(now);
        let Some(video) = &mut self.video else { return };
        if is_soon || video.backlog() > LONG_WAIT {
            video.leave_out();
            self.gate.break_off();
            let mid = video.line.mid;
            self.mutate(out, |rtc| rtc.forget_sent(mid));
        }
    }

    /// The next picture is the first in a while, and leaves as fast as it can.
    pub fn hurry(&mut self) {
        if let Some(video) = &mut self.video {
            video.hurry();
        }
    }

    /// Shows a cached GOP at once: all frames but the last get time stamps 1 ms apart, just before the last, so that the
    /// viewer sees no fast-forward. To be called before the first live frame.
    pub fn backlog(&mut self, frames: &[Frame]) {
        let Some(last) = frames.last().filter(|_| self.phase == SessionPhase::AwaitsKeyframe) else { return };
        for (n, frame) in frames.iter().enumerate() {
            let before = (frames.len() - 1 - n) as u32;
            let pts = MonoTime(last.pts.0 - i64::from(before) * 1000);
            let wallclock =
                last.wallclock.checked_sub(Duration::from_millis(u64::from(before))).unwrap_or(last.wallclock);
            self.write_video(frame, pts, wallclock);
        }
        self.phase = SessionPhase::Live;
    }

    /// Whether it changes to `stream` at its next keyframe.
    pub fn is_changing_to(&self, stream: Stream) -> bool {
        self.next_feed.is_some_and(|(feed, _)| feed.stream == Some(stream))
    }

    /// Looks at its connection. `Some`: what it is to be sent from now on.
    pub fn look(&mut self, now: MonoTime, costs: &Costs, out: &mut dyn Outbox) -> Option<Ration> {
        let wanted = self.look_for(now, costs, out);
        self.anew_at.take_if(|at| now.since(*at) >= SMOOTHED_FOR);
        self.jammed_at.take_if(|at| now.since(*at) >= JAMMED_FOR);
        if let Some(estimate) = self.estimates_bps[0].filter(|estimate| self.stuck.look(now, *estimate, wanted)) {
            self.mutate(out, |rtc| rtc.estimate_anew(estimate));
        }
        self.link.sent_bytes = self.bytes_sent();
        self.sent.look(now, self.link.sent_bytes);
        let loss = self.reported_loss.take();
        let change = self.rate.look(now, &LinkState { loss, ..self.link }, costs);
        self.needs_bps = costs.of(self.gate.ration());
        if let Some(bps) = self.rate.take_anew_bps() {
            self.estimate_anew(now, bps, out);
        }
        // Whichever of them rises is what the estimator goes by.
        if self.rate.is_to_be_quiet(self.estimates_bps.into_iter().flatten().max()) {
            self.estimate_anew(now, self.rate.fresh_estimate_bps(costs), out);
        }
        change
    }

    /// Has the estimator look for what may be sent. Returns what that is.
    pub fn look_for(&mut self, now: MonoTime, costs: &Costs, out: &mut dyn Outbox) -> u64 {
        let (wanted, least) = (self.rate.looks_for_bps(now, costs), self.rate.proves_bps(costs));
        let is_other = |bps: u64, before: u64| bps.abs_diff(before) > before / 20;
        if self.link.estimate_bps.is_some()
            && (is_other(wanted, self.looks_for_bps[1]) || is_other(least, self.looks_for_bps[0]))
        {
            self.looks_for_bps = [least, wanted];
            self.mutate(out, |rtc| rtc.look_for(least, wanted));
        }
        wanted
    }

    /// The estimator begins anew with `bps`, where there is one.
    pub fn estimate_anew(&mut self, now: MonoTime, bps: u64, out: &mut dyn Outbox) {
        if self.link.estimate_bps.is_some() {
            self.estimates_bps = [Some(bps); 2];
            self.link.estimate_bps = Some(bps);
            self.anew_at = Some(now);
            self.mutate(out, |rtc| rtc.estimate_anew(bps));
        }
    }

    /// Where it waits for the keyframe of less for `patience`: sends no more of what its connection does not carry.
    pub fn stop_what_is_too_much(&mut self, now: MonoTime, patience: Duration) {
        let waits = self.next_feed.and_then(|(_, asked)| asked).is_some_and(|asked| now.since(asked) >= patience);
        if waits && self.rate.ration() < self.gate.ration() {
            self.gate.set(Ration::Sound);
        }
    }

    /// Gives up a change of stream that brings nothing. Returns the feed that is not needed.
    pub fn give_up_change(&mut self, now: MonoTime) -> Option<FeedId> {
        let (feed, _) = self.next_feed.take_if(|(_, asked)| asked.is_some_and(|asked| gives_up_change(asked, now)))?;
        let ration = match self.feed.stream {
            Some(Stream::Main) => Ration::Main,
            Some(Stream::Sub) => Ration::Sub,
            None => Ration::Sound,
        };
        self.rate.stay(now, ration);
        if self.gate.set(ration) {
            self.wishes.push(SessionWish::Keyframe);
        }
        Some(feed)
    }

    /// Hands a datagram to the machine.
    pub fn receive(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8], now: Instant, out: &mut dyn Outbox) {
        let Ok(message) = Receive::new(Protocol::Udp, from, to, datagram) else { return };
        // An error here is a datagram that is not what it seems: anybody can send one in the viewer's name, so it ends nothing.
        if let Err(error) = self.mutate(out, |rtc| rtc.handle_input(Input::Receive(now, message))) {
            tracing::trace!(lease = %self.lease, %error, "datagram refused");
        }
    }

    /// Takes the viewer's candidates and, with new credentials of ICE, restarts it. `Some`: the answering fragment, and the user
    /// fragment that the viewer's requests come for from now on. Errors like [`Restarts::answer`].
    pub fn trickle(
        &mut self,
        fragment: &SdpFragment,
        allow: &mut dyn FnMut() -> Result<Vec<Candidate>>,
        out: &mut dyn Outbox,
    ) -> Result<Option<Restarted>> {
        let restarted = self.restarts.answer(&mut self.machine, fragment, allow, out)?;
        for candidate in fragment.candidates.iter().take(self.candidates_left) {
            self.mutate(out, |rtc| rtc.add_remote_candidate(candidate.clone()));
        }
        self.candidates_left = self.candidates_left.saturating_sub(fragment.candidates.len());
        Ok(restarted)
    }

    /// Whether a STUN message proves that its sender is the viewer: by a password of this session, and for an answer also by a
    /// check of ours that it answers.
    pub fn proves(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        // Datagrams of strangers are shown to every session: one whose machine has a defect does not know them.
        catch_unwind(AssertUnwindSafe(|| {
            Receive::new(Protocol::Udp, from, to, datagram)
                .is_ok_and(|m| self.machine.rtc().accepts(&Input::Receive(now, m)))
        }))
        .unwrap_or(false)
    }

    /// Lets the machine work where its time has come; what it wants from the engine is in [`Self::wishes`] then.
    pub fn drive(&mut self, now: Instant, out: &mut dyn Outbox) {
        if self.phase != SessionPhase::Over {
            let named = self.named();
            let room = self.room();
            if let Some(video) = &mut self.video {
                video.send(&mut self.machine, now, room, out);
            }
            self.machine.run(now, out);
            drop(named);
            self.take_events();
        }
    }

    /// Takes what the machine had to say.
    fn take_events(&mut self) {
        while let Some(event) = self.machine.next_event() {
            self.event(event);
        }
        if let Some(error) = self.machine.take_failure() {
            match error {
                // Said where it failed.
                RtcError::Dtls(_) => {}
                error if self.phase == SessionPhase::Connecting => {
                    tracing::warn!(lease = %self.lease, %error, "a viewer cannot be connected");
                }
                error => tracing::debug!(lease = %self.lease, %error, "session failed"),
            }
            self.phase = SessionPhase::Over;
        }
        if !self.machine.rtc().is_alive() {
            self.phase = SessionPhase::Over;
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::RtpPacket(packet) => {
                self.alive = true;
                if let Some(talk) = &mut self.talk {
                    talk.take(&packet);
                }
            }
            Event::Connected if self.talk.is_some() => self.phase = SessionPhase::Live,
            Event::Connected if self.phase == SessionPhase::Connecting => {
                self.phase = SessionPhase::AwaitsKeyframe;
                self.wishes.push(SessionWish::Join);
            }
            Event::KeyframeRequest(_) => {
                self.alive = true;
                self.wishes.push(SessionWish::Keyframe);
            }
            Event::MediaEgressStats(stats) => {
                // There is a loss where a receiver report came since the last look.
                self.alive |= stats.loss.is_some();
                if self.video.as_ref().is_some_and(|video| stats.mid == video.line.mid) {
                    self.reported_loss = stats.loss.or(self.reported_loss);
                    self.link.loss = stats.loss.or(self.link.loss);
                }
            }
            Event::PeerStats(stats) => {
                let consents = stats.selected_candidate_pair.as_ref().map_or(0, |pair| pair.responses_received);
                self.alive |= consents > self.consents;
                self.consents = consents;
                let by_ice = stats.selected_candidate_pair.and_then(|pair| pair.current_round_trip_time);
                self.link.round_trip = stats.rtt.or(by_ice).or(self.link.round_trip);
                self.link.loss = stats.egress_loss_fraction.or(self.link.loss);
                self.estimated(0, stats.bwe_tx);
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, can_probe }) => {
                self.estimated(1, can_probe.then_some(estimate));
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) if self.connected() => {
                tracing::debug!(lease = %self.lease, "viewer is gone");
                self.phase = SessionPhase::Over;
            }
            Event::Closed => self.phase = SessionPhase::Over,
            _ => {}
        }
    }

    /// What its connection carries: the lower of both estimates, as the one falls at once and the other rises only when it is sure.
    fn estimated(&mut self, which: usize, estimate: Option<Bitrate>) {
        let was_short = self.is_short();
        self.estimates_bps[which] = estimate.map(|bitrate| bitrate.as_u64());
        let [moving, smooth] = self.estimates_bps;
        // Of one that began anew what is smoothed is still of before.
        let smooth = smooth.map(|smooth| moving.filter(|_| self.anew_at.is_some()).unwrap_or(smooth));
        self.link.estimate_bps = smooth.map(|smooth| moving.map_or(smooth, |moving| moving.min(smooth)));
        self.is_newly_short |= !was_short && self.is_short();
    }

    /// Its machine met a defect: it is over, and the engine looks after it in this turn.
    pub fn break_down(&mut self) {
        self.phase = SessionPhase::Over;
    }

    /// Says goodbye (RTCP BYE, DTLS close) as far as that can be said in one go.
    pub fn close(&mut self, now: Instant, out: &mut dyn Outbox) {
        self.phase = SessionPhase::Over;
        // Given the time as well, so that what it makes only then leaves too.
        if self.machine.mutate(out, Counted::close).is_ok() {
            self.machine.run_now(now, out);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
