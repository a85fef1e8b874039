//! The engine's thread: one loop over media, commands, datagrams and timers. Everything it holds belongs to it alone.

use super::adapt::Adaptation;
use super::demux::{Demux, Key};
use super::feed::{Arrival, FeedId, Feeds, Frame};
use super::gathering::FromOutside;
use super::listening;
use super::past::Past;
use super::route::{CameDatagram, guarded, route, take_from_outside};
use super::session::{Session, SessionPhase, SessionWish, Start};
use super::shared::Shared;
use super::socket::Socket;
use super::talk::TalkStart;
use super::trickle::SdpFragment;
use perch_base::ids::{DeviceId, LeaseId};
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result};
use perch_domain::access::Principal;
use perch_domain::media::{Stream, Track};
use perch_domain::status::LiveSession;
use perch_domain::stream_choice::{begins_small, not_shown_live};
use perch_domain::viewers::{RestartLimit, Viewers};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often leases and feeds are looked after.
const TICK: Duration = Duration::from_millis(250);
/// And while the connection of one carries less than it is sent.
const SHORT_TICK: Duration = Duration::from_millis(50);
/// Sound waits this long at most for a picture to leave with.
const AUDIO_PATIENCE: Duration = Duration::from_millis(8);
/// Frames taken from the queue in one turn.
const MEDIA_BATCH: usize = 32;
/// STUN answers without a known sender that are looked at in one tick.
const STUN_BUDGET: u32 = 200;

/// Where the answer to a command goes.
pub type AnswerSender<T> = std_mpsc::SyncSender<T>;

/// What the port asks of the thread.
pub enum Command {
    /// Begin a session.
    Begin(Box<Start>, AnswerSender<Result<()>>),
    /// Begin a session of somebody who speaks.
    BeginTalk(Box<TalkStart>, AnswerSender<Result<()>>),
    /// Candidates came.
    Trickle(LeaseId, SdpFragment, AnswerSender<Result<Option<String>>>),
    /// Renew a lease.
    Renew(LeaseId, AnswerSender<Result<()>>),
    /// Send a session sound alone, or pictures again.
    SoundOnly(LeaseId, bool, AnswerSender<Result<()>>),
    /// End a session.
    End(LeaseId, AnswerSender<Result<()>>),
    /// Whose session it is.
    Owner(LeaseId, AnswerSender<Option<DeviceId>>),
    /// End a device's sessions.
    EndDevice(DeviceId, AnswerSender<()>),
    /// List sessions.
    Sessions(AnswerSender<Vec<LiveSession>>),
    /// Cameras were changed or removed: end their sessions.
    CamerasChanged,
}

/// The thread's state.
pub struct Loop {
    shared: Arc<Shared>,
    socket: Socket,
    feeds: Feeds,
    sessions: BTreeMap<Key, Session>,
    leases: HashMap<LeaseId, Key>,
    past: Past,
    restarts: RestartLimit,
    adaptation: Adaptation,
    demux: Demux,
    next_key: Key,
    sound: Vec<(FeedId, Frame)>,
    sound_due: Option<Instant>,
    next_tick: Instant,
    stun_budget: u32,
}

impl Loop {
    /// An engine without sessions.
    pub fn new(shared: Arc<Shared>, socket: Socket, media: mpsc::Sender<Arrival>) -> Self {
        Self {
            shared,
            socket,
            feeds: Feeds::new(media),
            sessions: BTreeMap::new(),
            leases: HashMap::new(),
            past: Past::default(),
            restarts: RestartLimit::default(),
            adaptation: Adaptation::default(),
            demux: Demux::default(),
            next_key: 0,
            sound: Vec::new(),
            sound_due: None,
            next_tick: Instant::now(),
            stun_budget: STUN_BUDGET,
        }
    }

    /// Runs until `end` is called or until nobody can ask any more.
    pub async fn run(
        mut self,
        commands: &mut mpsc::Receiver<Command>,
        outside: &mut mpsc::Receiver<FromOutside>,
        mut media: mpsc::Receiver<Arrival>,
        end: &mut Shutdown,
    ) {
        let mut called = pin!(end.called());
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                arrival = media.recv() => {
                    let waiting = std::iter::from_fn(|| media.try_recv().ok());
                    for arrival in arrival.into_iter().chain(waiting).take(MEDIA_BATCH) {
                        self.deliver(&arrival);
                    }
                }
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                () = &mut called => break,
                _ = self.socket.writable(), if self.socket.has_outbox() => self.socket.flush_outbox(),
                _ = self.socket.readable() => {
                    self.receive();
                    // A port that is flooded is always readable: who comes by the relay has a turn all the same.
                    self.take_from_outside(std::iter::from_fn(|| outside.try_recv().ok()));
                }
                Some(first) = outside.recv() => {
                    let waiting = std::iter::from_fn(|| outside.try_recv().ok());
                    self.take_from_outside(std::iter::once(first).chain(waiting));
                }
                // Real time, here and elsewhere in this folder: str0m takes and says `Instant`s.
                () = tokio::time::sleep_until(due.into()) => {}
            }
            self.work(Instant::now());
        }
        for session in self.sessions.values_mut() {
            guarded(&self.shared, session.lease, || session.close(Instant::now(), &mut self.socket));
        }
        self.socket.flush();
        self.shared.counters.sessions.store(0, Relaxed);
    }

    fn due(&self) -> Instant {
        let now = Instant::now();
        let sessions = self.sessions.values().map(|s| s.due(now)).min();
        let tick = if self.sessions.is_empty() { now + Duration::from_secs(3600) } else { self.next_tick };
        sessions.into_iter().chain(self.sound_due).fold(tick, Instant::min)
    }

    /// Packetizes a delivery once and writes it to its sessions; sound may wait a little for a picture.
    fn deliver(&mut self, arrival: &Arrival) {
        let now = Instant::now();
        let Arrival { feed, delivery, .. } = arrival;
        // H.265 goes to the sessions that agreed on it.
        if not_shown_live(&delivery.packet, true).is_some() {
            return;
        }
        if !self.feeds.pass(arrival) {
            return;
        }
        let age = self.shared.clock.mono().since(delivery.packet.pts);
        let wallclock = now.checked_sub(age).unwrap_or(now);
        let frame = Frame::new(&delivery.packet, wallclock, delivery.discontinuity);
        if frame.track == Track::Audio {
            self.sound.push((*feed, frame));
            self.sound_due.get_or_insert(now + AUDIO_PATIENCE);
        } else {
            self.flush_sound();
            self.write(*feed, &frame);
        }
    }

    fn flush_sound(&mut self) {
        self.sound_due = None;
        for (feed, frame) in std::mem::take(&mut self.sound) {
            self.write(feed, &frame);
        }
    }

    fn write(&mut self, feed: FeedId, frame: &Frame) {
        for session in self.sessions.values_mut() {
            let before = session.feed;
            let left = match guarded(&self.shared, session.lease, || session.live(feed, frame, &mut self.socket)) {
                Some(left) => left,
                None => {
                    session.break_down();
                    (session.feed != before).then_some(before)
                }
            };
            if let Some(left) = left {
                self.feeds.release(left);
            }
        }
    }

    /// Drives every session that has something to do, then looks after leases, and sends what all that brought.
    fn work(&mut self, now: Instant) {
        if self.sound_due.is_some_and(|due| due <= now) {
            self.flush_sound();
        }
        let due: Vec<Key> = self.sessions.iter().filter(|(_, s)| s.is_due(now)).map(|(k, _)| *k).collect();
        for key in due {
            self.drive(key, now);
        }
        if now >= self.next_tick {
            self.tick();
            let is_short = self.sessions.values().any(Session::is_short);
            self.next_tick = now + if is_short { SHORT_TICK } else { TICK };
        }
        self.socket.flush();
        let counters = &self.shared.counters;
        counters.writes.store(self.socket.writes, Relaxed);
        counters.packets_out.store(self.socket.sent, Relaxed);
        counters.packets_dropped.store(self.socket.dropped, Relaxed);
    }

    fn drive(&mut self, key: Key, now: Instant) {
        // Twice: joining writes the first picture.
        for _ in 0..2 {
            let Some(session) = self.sessions.get_mut(&key).filter(|s| s.is_due(now)) else { return };
            // A defect in the protocol library ends the session it concerns, not its neighbours.
            if guarded(&self.shared, session.lease, || session.drive(now, &mut self.socket)).is_none() {
                session.break_down();
            }
            self.shared.counters.undrained.fetch_add(session.take_undrained(), Relaxed);
            if session.take_newly_short() {
                self.next_tick = now;
            }
            if session.take_life_sign() {
                session.term.renew(self.shared.clock.mono());
            }
            let wishes = std::mem::take(&mut session.wishes);
            if session.phase == SessionPhase::Over {
                self.remove(key);
                return;
            }
            for wish in wishes {
                self.grant(key, wish, now);
            }
        }
    }

    fn grant(&mut self, key: Key, wish: SessionWish, now: Instant) {
        if wish == SessionWish::Join {
            // Seconds may have passed since the offer.
            self.choose_first(key);
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let (feed, Some(camera)) = (session.feed, self.feeds.camera(session.feed).cloned()) else { return };
        let hub = &camera.live.hub;
        match wish {
            SessionWish::Join => {
                let backlog = self.feeds.start(feed);
                tracing::debug!(lease = %session.lease, pictures = backlog.len(), "viewer connected");
                let mono = self.shared.clock.mono();
                let wallclock = |pts| now.checked_sub(mono.since(pts)).unwrap_or(now);
                let frames: Vec<_> = backlog.iter().map(|p| Frame::new(p, wallclock(p.pts), false)).collect();
                if guarded(&self.shared, session.lease, || session.backlog(&frames)).is_none() {
                    session.break_down();
                }
            }
            SessionWish::Keyframe => {
                if let Some(stream) = feed.stream {
                    hub.request_keyframe(stream);
                }
            }
        }
    }

    fn tick(&mut self) {
        let mono = self.shared.clock.mono();
        self.stun_budget = STUN_BUDGET;
        self.feeds.repair();
        for session in self.sessions.values_mut() {
            if let Some(feed) = session.give_up_change(mono) {
                self.feeds.release(feed);
            }
        }
        self.adaptation.look(mono, &mut self.sessions, &mut self.feeds, &mut self.socket);
        let lapsed: Vec<Key> = self.sessions.iter().filter(|(_, s)| s.term.lapsed(mono)).map(|(k, _)| *k).collect();
        for key in lapsed {
            self.remove(key);
        }
        self.end_without_camera();
    }

    /// Ends the sessions of cameras that were changed or removed, and of those who have spoken for long enough.
    fn end_without_camera(&mut self) {
        let cameras = &self.shared.cameras;
        let (mono, speakers) = (self.shared.clock.mono(), &self.shared.speakers);
        let gone = |s: &Session| match &s.talk {
            Some(talk) => talk.is_over(mono, speakers),
            None => !self.feeds.camera(s.feed).is_some_and(|camera| cameras.has(camera)),
        };
        let ended: Vec<Key> = self.sessions.iter().filter(|(_, s)| gone(s)).map(|(k, _)| *k).collect();
        for key in ended {
            self.remove(key);
        }
    }

    fn receive(&mut self) {
        let mut socket_more = true;
        // Two batches a turn: media and commands come first even under a flood.
        for _ in 0..2 {
            if !socket_more {
                return;
            }
            let Self { socket, sessions, demux, shared, stun_budget, .. } = self;
            let now = Instant::now();
            socket_more = socket.receive(|socket, from, to, datagram| {
                shared.counters.packets_in.fetch_add(1, Relaxed);
                let came = CameDatagram { from, to, datagram, now };
                if !route(shared, sessions, demux, stun_budget, &came, socket) {
                    shared.counters.packets_foreign.fetch_add(1, Relaxed);
                }
            });
        }
    }

    /// Takes what the gatherer hands in, a batch at most.
    fn take_from_outside(&mut self, all: impl Iterator<Item = FromOutside>) {
        let Self { socket, sessions, demux, shared, stun_budget, .. } = self;
        for from_outside in all.take(MEDIA_BATCH) {
            take_from_outside(shared, sessions, demux, stun_budget, &from_outside, socket);
        }
    }

    /// Does what the port asks. A defect ends the session it concerns; its caller gets the error that nobody answers.
    fn command(&mut self, command: Command) {
        let lease = match &command {
            Command::Begin(start, _) => Some(start.lease),
            Command::BeginTalk(start, _) => Some(start.lease),
            Command::Trickle(lease, ..) => Some(*lease),
            _ => None,
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.obey(command))) {
            self.shared.met_defect(lease, &*panic);
            if let Some(key) = lease.and_then(|lease| self.leases.get(&lease).copied()) {
                self.remove(key);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // A caller that gave up waiting does not matter but for what it would have started.
        match command {
            Command::Begin(start, reply) => {
                let lease = start.lease;
                // Who gave up waiting cannot know its session, which would take a place until its lease lapses.
                if reply.send(self.begin(*start)).is_err()
                    && let Some(key) = self.leases.get(&lease).copied()
                {
                    self.remove(key);
                }
            }
            Command::BeginTalk(start, reply) => {
                let lease = start.lease;
                if reply.send(self.begin_talk(*start)).is_err()
                    && let Some(key) = self.leases.get(&lease).copied()
                {
                    self.remove(key);
                }
            }
            Command::Trickle(lease, fragment, reply) => {
                let _ = reply.send(self.trickle(lease, &fragment));
            }
            Command::Renew(lease, reply) => {
                let mono = self.shared.clock.mono();
                let session = self.leases.get(&lease).and_then(|key| self.sessions.get_mut(key));
                let renewed = session.is_some_and(|s| s.term.renew(mono)).then_some(()).ok_or_else(no_session);
                let _ = reply.send(renewed);
            }
            Command::SoundOnly(lease, sound_only, reply) => {
                let _ = reply.send(self.set_sound_only(lease, sound_only));
            }
            Command::End(lease, reply) => {
                // One that ended already is as its viewer wants it.
                let ended = self.find(lease).map(|key| self.remove(key));
                let _ = reply.send(ended.or_else(|e| self.past.owner(lease).map(drop).ok_or(e)));
            }
            Command::Owner(lease, reply) => {
                let owner = self.leases.get(&lease).and_then(|key| self.sessions.get(key)).map(|s| s.viewer.device_id);
                let _ = reply.send(owner.or_else(|| self.past.owner(lease)));
            }
            Command::EndDevice(device, reply) => {
                let theirs: Vec<Key> =
                    self.sessions.iter().filter(|(_, s)| s.viewer.device_id == device).map(|(k, _)| *k).collect();
                for key in theirs {
                    self.remove(key);
                }
                let _ = reply.send(());
            }
            Command::Sessions(reply) => {
                let _ = reply.send(self.sessions.values().filter_map(|s| self.show(s)).collect());
            }
            Command::CamerasChanged => self.end_without_camera(),
        }
    }

    fn begin(&mut self, start: Start) -> Result<()> {
        let camera = start.camera.clone();
        if !self.shared.cameras.has(&camera) {
            return Err(Error::not_found(format!(
                "camera {} was changed or removed just now",
                camera.live.hub.camera()
            )));
        }
        self.admit(&start.viewer)?;
        let ufrag = start.negotiated.ufrag.clone();
        let stream = (!start.wish.sound_only).then(|| start.wish.stream.first());
        let feed = self.feeds.acquire(&camera, stream);
        let session = Session::new(start, feed, self.shared.clock.utc(), self.shared.clock.mono());
        let key = self.insert(session, &ufrag);
        // Already now, so that its pictures flow by the time the session is connected.
        self.choose_first(key);
        self.count();
        Ok(())
    }

    fn begin_talk(&mut self, start: TalkStart) -> Result<()> {
        self.admit(&start.who)?;
        let ufrag = start.negotiated.ufrag.clone();
        let session = Session::speaking(start, self.shared.clock.utc(), self.shared.clock.mono());
        self.insert(session, &ufrag);
        self.count();
        Ok(())
    }

    fn admit(&self, newcomer: &Principal) -> Result<()> {
        let watching = self.sessions.values().map(|s| (s.viewer.device_id, s.viewer.username.as_deref()));
        self.shared
            .config()
            .viewers
            .admit(Viewers::beside((newcomer.device_id, newcomer.username.as_deref()), watching))
    }

    fn insert(&mut self, session: Session, ufrag: &str) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.demux.add_ufrag(ufrag, key);
        self.leases.insert(session.lease, key);
        self.sessions.insert(key, session);
        key
    }

    /// Chooses the stream that a session for which we choose begins with, as things are now: no picture of it was sent yet.
    fn choose_first(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(&key).filter(|session| session.chooses) else { return };
        let (large, is_small) = match session.next_feed {
            Some((large, None)) => (large, true),
            Some((_, Some(_))) => return,
            None => (session.feed, false),
        };
        let Some(camera) = self.feeds.camera(large).cloned().filter(|_| large.stream == Some(Stream::Main)) else {
            return;
        };
        let mono = self.shared.clock.mono();
        let keyframe_age = camera.live.hub.latest_keyframe(Stream::Main).map(|keyframe| mono.since(keyframe.pts));
        let small = begins_small(self.feeds.is_cached(large), keyframe_age);
        if small && !is_small {
            let lease = session.lease;
            tracing::info!(%lease, "the small stream is shown until the large one's next keyframe, which may be far");
            session.feed = self.feeds.acquire(&camera, Stream::Sub);
            session.next_feed = Some((large, None));
        } else if !small && is_small {
            self.feeds.release(std::mem::replace(&mut session.feed, large));
            session.next_feed = None;
        }
    }

    fn trickle(&mut self, lease: LeaseId, fragment: &SdpFragment) -> Result<Option<String>> {
        let key = self.find(lease)?;
        let session = self.sessions.get_mut(&key).ok_or_else(no_session)?;
        let (device, now) = (session.viewer.device_id, self.shared.clock.mono());
        let (shared, restarts) = (&self.shared, &mut self.restarts);
        let mut allow = || restarts.take(&device, now).map(|()| shared.candidates());
        let restarted = session.trickle(fragment, &mut allow, &mut self.socket)?;
        if let Some(restarted) = &restarted {
            self.demux.add_ufrag(&restarted.ufrag, key);
        }
        Ok(restarted.map(|r| r.answer))
    }

    fn set_sound_only(&mut self, lease: LeaseId, sound_only: bool) -> Result<()> {
        // What was heard before leaves before.
        self.flush_sound();
        let session = self.leases.get(&lease).and_then(|key| self.sessions.get_mut(key)).ok_or_else(no_session)?;
        session.term.renew(self.shared.clock.mono());
        listening::set(&mut self.feeds, session, sound_only, self.shared.clock.mono(), &mut self.socket);
        Ok(())
    }

    fn find(&self, lease: LeaseId) -> Result<Key> {
        self.leases.get(&lease).copied().ok_or_else(no_session)
    }

    /// Ends a session and frees all that was its own.
    fn remove(&mut self, key: Key) {
        let Some(mut session) = self.sessions.remove(&key) else { return };
        guarded(&self.shared, session.lease, || session.close(Instant::now(), &mut self.socket));
        self.demux.remove(key);
        self.leases.remove(&session.lease);
        self.past.add(session.lease, session.viewer.device_id);
        self.feeds.release(session.feed);
        if let Some((feed, _)) = session.next_feed {
            self.feeds.release(feed);
        }
        tracing::debug!(lease = %session.lease, bytes = session.bytes_sent(), "live session ended");
        self.count();
    }

    fn count(&self) {
        self.shared.counters.sessions.store(self.sessions.len(), Relaxed);
    }

    fn show(&self, session: &Session) -> Option<LiveSession> {
        let watched = || Some(self.feeds.camera(session.feed)?.live.hub.camera());
        Some(LiveSession {
            lease: session.lease,
            camera: session.talk.as_ref().map(|talk| talk.camera()).or_else(watched)?.clone(),
            talks: session.talk.is_some(),
            stream: session.feed.stream.unwrap_or(session.rate.ration().stream()),
            device_id: session.viewer.device_id,
            device_name: session.viewer.device_name.clone(),
            username: session.viewer.username.clone(),
            role: session.viewer.role,
            started_at: session.started_at,
            connected: session.connected(),
            remote: session.remote().map(|r| r.to_string()).unwrap_or_default(),
            bytes_sent: session.bytes_sent(),
            ration: session.rate.ration().as_str(),
            why: session.rate.cause().as_str(),
            available_bps: session.rate.available_bps(),
            loss: session.link.loss,
            round_trip_ms: session.link.round_trip.map(|time| time.as_secs_f32() * 1000.0),
            sent_bps: session.sent.bps(),
            relayed: session.is_relayed(),
        })
    }
}

fn no_session() -> Error {
    Error::not_found("there is no such live session: it ended or its lease lapsed")
}
