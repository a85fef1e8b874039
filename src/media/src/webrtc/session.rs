//! One viewer: a str0m machine in RTP mode, its lease and where it is in the stream. Sans-IO but for the batch it pushes datagrams to.

use super::auto::Auto;
use super::feed::{FeedId, Frame};
use super::offer::Line;
use super::socket::Socket;
use perch_base::ids::LeaseId;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::access::Principal;
use perch_domain::lease::Lease;
use perch_domain::media::{Stream, Track};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Event, IceConnectionState, Input, Output, Rtc};

/// Outputs taken from one machine in one go at most: a defect there must not stop the engine.
const MAX_OUTPUTS: usize = 4096;
/// A stream that was asked for and brought no keyframe in this time is given up.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Least distance of two pictures' times: the stream that a viewer changes to carries times that the one before it has used.
const MIN_STEP: Duration = Duration::from_millis(1);
/// Sound that is this far from where the last packet ended is not moved there.
const AUDIO_TOLERANCE_MS: i64 = 60;
/// What an Opus packet lasts where its source does not say.
const OPUS_PACKET: Duration = Duration::from_millis(20);

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    /// It has just connected: show it a picture.
    Join,
    /// The viewer lost its picture.
    Keyframe,
    /// A receiver report told this share of video packets lost.
    Loss(f32),
}

/// One of our RTP streams.
#[derive(Debug)]
struct Sender {
    line: Line,
    seq: u64,
    offset: u32,
    clock_khz: i64,
    nackable: bool,
    last_pts: Option<MonoTime>,
    next_ticks: Option<i64>,
}

impl Sender {
    fn new(line: Line, clock_khz: i64, nackable: bool) -> Self {
        let [a, b, c, d, e, f] = perch_base::secret::random_bytes::<6>();
        // Sequence numbers start in the lower half, so that the first packets do not roll over (RFC 3711, 3.3.1).
        let seq = u64::from(u16::from_be_bytes([a, b]) >> 1);
        Self {
            line,
            seq,
            offset: u32::from_be_bytes([c, d, e, f]),
            clock_khz,
            nackable,
            last_pts: None,
            next_ticks: None,
        }
    }

    /// Sound follows on without holes as long as its time stamps are near: a player hears every one of them as a click.
    fn steady(&mut self, ticks: i64, duration: Duration) -> i64 {
        let steady =
            self.next_ticks.filter(|next| (ticks - next).abs() <= AUDIO_TOLERANCE_MS * self.clock_khz).unwrap_or(ticks);
        let lasts = if duration.is_zero() { OPUS_PACKET } else { duration };
        self.next_ticks = Some(steady + lasts.as_micros() as i64 * self.clock_khz / 1000);
        steady
    }

    fn is_new(&self, pts: MonoTime) -> bool {
        self.last_pts.is_none_or(|last| pts > last)
    }

    /// Writes a picture at `pts`, or just after the one before it.
    fn write_video(&mut self, rtc: &mut Rtc, frame: &Frame, pts: MonoTime, wallclock: Instant) {
        let at = self.last_pts.map_or(pts, |last| pts.max(last + MIN_STEP));
        self.write(rtc, frame, at, wallclock);
    }

    fn write(&mut self, rtc: &mut Rtc, frame: &Frame, pts: MonoTime, wallclock: Instant) {
        self.last_pts = Some(pts);
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(self.line.mid, None) else { return };
        let mut ticks = pts.0.wrapping_mul(self.clock_khz) / 1000;
        if frame.track == Track::Audio {
            ticks = self.steady(ticks, frame.duration);
        }
        let time = self.offset.wrapping_add(ticks as u32);
        for payload in &frame.payloads {
            let packet = RtpWrite::new(self.line.pt, SeqNo::from(self.seq), time, wallclock, payload.data.clone());
            stream.write_rtp(packet.marker(payload.marker).nackable(self.nackable));
            self.seq += 1;
        }
    }
}

/// Everything a session begins with.
pub struct Start {
    /// Its lease's name.
    pub lease: LeaseId,
    /// Who watches.
    pub viewer: Principal,
    /// The stream it begins with.
    pub feed: FeedId,
    /// Whether we may change the stream.
    pub auto: bool,
    /// The accepted offer.
    pub negotiated: super::offer::Negotiated,
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
    /// The stream it changes to at that one's next keyframe, and since when it waits.
    pub next_feed: Option<(FeedId, MonoTime)>,
    /// The policy, where we may choose.
    pub auto: Option<Auto>,
    /// Where it is in its life.
    pub phase: Phase,
    /// The protocol machine.
    pub rtc: Rtc,
    /// The accepted offer, for ICE restarts.
    pub shaped: String,
    /// Candidates the viewer may still bring.
    pub candidates_left: usize,
    /// When the machine wants to be driven again.
    pub next: Instant,
    /// Bytes of datagrams sent.
    pub bytes_sent: u64,
    /// Where they go.
    pub remote: Option<SocketAddr>,
    /// Something was written since the machine was driven last.
    pub dirty: bool,
    video: Sender,
    audio: Option<Sender>,
    /// Live pictures up to here were shown with the cached GOP.
    shown_until: Option<MonoTime>,
}

impl Session {
    /// A session that begins now.
    pub fn new(start: Start, utc: Timestamp, mono: MonoTime, now: Instant) -> Self {
        let n = start.negotiated;
        Self {
            lease: start.lease,
            term: Lease::grant(mono),
            viewer: start.viewer,
            started_at: utc,
            feed: start.feed,
            next_feed: None,
            auto: start.auto.then(Auto::default),
            phase: Phase::Connecting,
            rtc: n.rtc,
            shaped: n.shaped,
            candidates_left: n.candidates_left,
            next: now,
            bytes_sent: 0,
            remote: None,
            dirty: false,
            video: Sender::new(n.video, 90, true),
            audio: n.audio.map(|line| Sender::new(line, 48, false)),
            shown_until: None,
        }
    }

    /// Whether media can flow.
    pub fn connected(&self) -> bool {
        matches!(self.phase, Phase::AwaitsKeyframe | Phase::Live)
    }

    /// Writes a live frame of `feed` if it continues what the viewer has. Returns the feed that is not needed any more.
    pub fn live(&mut self, feed: FeedId, frame: &Frame) -> Option<FeedId> {
        if !self.connected() {
            return None;
        }
        let mut left = None;
        if self.next_feed.is_some_and(|(next, _)| next == feed) && frame.track == Track::Video && frame.keyframe {
            left = Some(std::mem::replace(&mut self.feed, feed));
            self.next_feed = None;
            self.shown_until = None;
        }
        if self.feed != feed {
            return None;
        }
        match frame.track {
            Track::Video => self.live_video(frame),
            Track::Audio => {
                if let Some(audio) = self.audio.as_mut().filter(|a| self.phase == Phase::Live && a.is_new(frame.pts)) {
                    audio.write(&mut self.rtc, frame, frame.pts, frame.wallclock);
                    self.dirty = true;
                }
            }
        }
        left
    }

    fn live_video(&mut self, frame: &Frame) {
        if frame.discontinuity && !frame.keyframe {
            self.phase = Phase::AwaitsKeyframe;
        }
        let shown = self.shown_until.is_some_and(|until| frame.pts <= until);
        if shown || (self.phase == Phase::AwaitsKeyframe && !frame.keyframe) {
            return;
        }
        self.phase = Phase::Live;
        self.shown_until = None;
        self.video.write_video(&mut self.rtc, frame, frame.pts, frame.wallclock);
        self.dirty = true;
    }

    /// Shows a cached GOP at once: all frames but the last get time stamps 1 ms apart, just before the last, so that the
    /// viewer sees no fast-forward.
    pub fn backlog(&mut self, frames: &[Frame]) {
        let Some(last) = frames.last().filter(|last| self.video.is_new(last.pts)) else { return };
        for (n, frame) in frames.iter().enumerate() {
            let before = (frames.len() - 1 - n) as u32;
            let pts = MonoTime(last.pts.0 - i64::from(before) * 1000);
            let wallclock =
                last.wallclock.checked_sub(Duration::from_millis(u64::from(before))).unwrap_or(last.wallclock);
            self.video.write_video(&mut self.rtc, frame, pts, wallclock);
        }
        self.shown_until = Some(last.pts);
        self.phase = Phase::Live;
        self.dirty = true;
    }

    /// A loss report came. `Some`: the stream to change to.
    pub fn loss(&mut self, now: MonoTime, loss: f32) -> Option<Stream> {
        if self.next_feed.is_some() {
            return None;
        }
        self.auto.as_mut()?.report(now, loss)
    }

    /// Gives up a change of stream that brings nothing. Returns the feed that is not needed.
    pub fn give_up_change(&mut self, now: MonoTime) -> Option<FeedId> {
        let (feed, _) = self.next_feed.take_if(|(_, since)| now.since(*since) >= CHANGE_TIMEOUT)?;
        let stream = self.feed.stream();
        if let Some(auto) = &mut self.auto {
            auto.stay(stream);
        }
        Some(feed)
    }

    /// Hands a datagram to the machine.
    pub fn receive(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8], now: Instant) {
        let Ok(message) = Receive::new(Protocol::Udp, from, to, datagram) else { return };
        // An error here is a datagram that is not what it seems: anybody can send one in the viewer's name, so it ends nothing.
        if let Err(error) = self.rtc.handle_input(Input::Receive(now, message)) {
            tracing::trace!(lease = %self.lease, %error, "datagram refused");
        }
        self.next = now;
    }

    /// Whether a STUN message proves that its sender is the viewer: by a password of this session, and for an answer also by a
    /// check of ours that it answers.
    pub fn proves(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        // Datagrams of strangers are shown to every session: one whose machine has a defect does not know them.
        catch_unwind(AssertUnwindSafe(|| {
            Receive::new(Protocol::Udp, from, to, datagram).is_ok_and(|m| self.rtc.accepts(&Input::Receive(now, m)))
        }))
        .unwrap_or(false)
    }

    /// Lets the machine work: what it sends goes to `socket`, what it wants from the engine to `wishes`.
    pub fn drive(&mut self, now: Instant, socket: &mut Socket, wishes: &mut Vec<Wish>) {
        self.dirty = false;
        if self.phase == Phase::Over {
            return;
        }
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            self.fail(&error);
        }
        self.drain(now, socket, wishes);
        socket.flush();
        if !self.rtc.is_alive() {
            self.phase = Phase::Over;
        }
    }

    fn drain(&mut self, now: Instant, socket: &mut Socket, wishes: &mut Vec<Wish>) {
        for _ in 0..MAX_OUTPUTS {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    // Never spin: a machine that wants to run at once gets a millisecond.
                    self.next = at.max(now + Duration::from_millis(1));
                    return;
                }
                Ok(Output::Transmit(t)) => {
                    self.bytes_sent += t.contents.len() as u64;
                    if self.remote != Some(t.destination) && self.connected() {
                        self.remote = Some(t.destination);
                    }
                    socket.push(t.source.ip(), t.destination, &t.contents);
                }
                Ok(Output::Event(event)) => self.event(event, wishes),
                Err(error) => {
                    self.fail(&error);
                    return;
                }
            }
        }
        self.next = now + Duration::from_millis(1);
    }

    fn event(&mut self, event: Event, wishes: &mut Vec<Wish>) {
        match event {
            Event::Connected if self.phase == Phase::Connecting => {
                self.phase = Phase::AwaitsKeyframe;
                wishes.push(Wish::Join);
            }
            Event::KeyframeRequest(_) => wishes.push(Wish::Keyframe),
            Event::MediaEgressStats(stats) if stats.mid == self.video.line.mid => {
                wishes.extend(stats.loss.map(Wish::Loss));
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) if self.connected() => {
                tracing::debug!(lease = %self.lease, "viewer is gone");
                self.phase = Phase::Over;
            }
            Event::Closed => self.phase = Phase::Over,
            _ => {}
        }
    }

    fn fail(&mut self, error: &str0m::RtcError) {
        tracing::debug!(lease = %self.lease, %error, "session failed");
        self.phase = Phase::Over;
    }

    /// Its machine met a defect: it is over, and the engine looks after it in this turn.
    pub fn break_down(&mut self) {
        self.phase = Phase::Over;
        self.dirty = true;
    }

    /// Says goodbye (RTCP BYE, DTLS close) as far as that can be said in one go.
    pub fn close(&mut self, now: Instant, socket: &mut Socket) {
        self.phase = Phase::Over;
        if self.rtc.close().is_ok() {
            self.drain(now, socket, &mut Vec::new());
            socket.flush();
        }
    }
}
