//! The session: which request follows which answer, from OPTIONS to TEARDOWN, and what keeps it alive.

use super::dialog::{ANSWER, Answer, Dialog, Headers};
use super::errors::{clean, refused, transport_refused, unavailable};
use super::inbound::Inbound;
use super::keep_alive::KeepAlives;
use super::lower_transport::LowerTransport::{self, Multicast, Tcp, Udp};
use super::lower_transport::channels;
use super::media::Media;
use super::outgoing::{SpeechLine, demanding, no_backchannel, punches, reports};
use super::output::{Output, Settings};
use super::quirks::Quirks;
use super::redirects::Redirects;
use super::setup_plan::{SetupPlan, Track};
use crate::format::SdpLine;
use crate::wire::message::{self, Message, Start};
use crate::wire::splitter::Piece;
use crate::wire::transport::Granted;
use crate::wire::url::CameraUrl;
use bytes::{Bytes, BytesMut};
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use perch_domain::ingest::{Intake, SpeechFrame, Transport};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// How long a session may take to begin, all requests together.
const BEGINS_WITHIN: Duration = Duration::from_secs(45);
/// How long the first OPTIONS is waited for: it is a courtesy.
const TRIAL: Duration = Duration::from_secs(4);
/// How long the answer to TEARDOWN is waited for.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between receiver reports (RFC 3550 6.2).
const REPORT: Duration = Duration::from_secs(5);
/// A session without a packet after this time chose the wrong way for them.
const NOTHING_CAME: Duration = Duration::from_secs(8);
/// Connections that are made anew before pictures come.
const MOST_CONNECTIONS: u8 = 8;

#[derive(Debug)]
enum Phase {
    Options,
    Describe,
    Ports(usize),
    Setup(usize),
    /// The URLs that are still to be played.
    Play(VecDeque<String>),
    Playing,
    Ending(MonoTime, Result<()>),
    Over,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    url: CameraUrl,
    peer: IpAddr,
    transport: Transport,
    sound: bool,
    /// Where it is spoken to.
    speech: Option<SpeechLine>,
    keep_alives: KeepAlives,
    dialog: Dialog,
    inbound: Inbound,
    media: Media,
    phase: Phase,
    lower_transport: LowerTransport,
    /// The way that was tried first was refused.
    is_other_transport: bool,
    tracks: Vec<Track>,
    /// What is played, kept alive and torn down.
    aggregate: String,
    redirects: Redirects,
    connections: u8,
    /// Something was answered on this connection.
    is_answered: bool,
    begin_by: MonoTime,
    report_at: Option<MonoTime>,
    out: VecDeque<Output>,
}

impl Session {
    /// A session on a connection that is open.
    pub fn new(now: MonoTime, settings: Settings) -> Self {
        let Settings { url, transport, sound, speaks, client_nonce, peer, quirks } = settings;
        let mut session = Self {
            dialog: Dialog::new(url.credentials.clone(), client_nonce),
            aggregate: url.clean(),
            url,
            peer,
            transport,
            sound,
            speech: speaks.then(SpeechLine::default),
            lower_transport: LowerTransport::first(transport, &quirks),
            keep_alives: KeepAlives::new(quirks),
            inbound: Inbound::default(),
            media: Media::default(),
            phase: Phase::Options,
            is_other_transport: false,
            tracks: Vec::new(),
            redirects: Redirects::default(),
            connections: 1,
            is_answered: false,
            begin_by: now + BEGINS_WITHIN,
            report_at: None,
            out: VecDeque::new(),
        };
        if session.keep_alives.quirks.skips_options {
            session.describe(now);
        } else {
            let bytes = session.dialog.try_out(now, "OPTIONS", &session.url.clean(), TRIAL);
            session.send(bytes);
        }
        session
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// What came of it, to be taken out.
    pub fn taken(&mut self) -> &mut Vec<Intake> {
        self.media.taken()
    }

    /// What is known of the camera by now.
    pub fn quirks(&self) -> &Quirks {
        &self.keep_alives.quirks
    }

    /// Whether pictures come.
    pub fn is_playing(&self) -> bool {
        matches!(self.phase, Phase::Playing)
    }

    /// Foreign bytes among packets so far, and how many times some were met.
    pub fn foreign(&self) -> (u64, u64) {
        self.inbound.foreign()
    }

    /// Where bytes of the connection go, before [`Self::read`].
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.inbound.buffer()
    }

    /// Bytes were put into the buffer.
    pub fn read(&mut self, now: MonoTime) {
        self.inbound.arrived(now);
        self.pieces(now);
    }

    fn pieces(&mut self, now: MonoTime) {
        while !matches!(self.phase, Phase::Over)
            && let Some(piece) = self.inbound.next(now, &|channel, packet| self.media.fit(channel, packet))
        {
            self.piece(now, piece);
        }
        self.media.settle(now);
    }

    /// A packet came to a port of a track.
    pub fn datagram(&mut self, now: MonoTime, track: usize, is_rtcp: bool, packet: Bytes) {
        self.media.packet(now, track, is_rtcp, packet);
    }

    /// All packets that lay there are read.
    pub fn settle(&mut self, now: MonoTime) {
        self.media.settle(now);
    }

    /// The two ports of a track are open; an error ends the session.
    pub fn opened(&mut self, now: MonoTime, ports: Result<(u16, u16)>) {
        let Phase::Ports(n) = self.phase else { return };
        match ports {
            Ok(ports) => {
                if let Some(wanted) = self.tracks.get_mut(n) {
                    wanted.ports = Some(ports);
                }
                self.setup(now, n);
            }
            Err(e) => self.fail(now, e),
        }
    }

    /// The connection is open anew.
    pub fn connected(&mut self, now: MonoTime) {
        self.inbound.clear();
        self.is_answered = false;
        match self.dialog.again() {
            Some(bytes) => self.send(bytes),
            None => self.describe(now),
        }
    }

    /// The camera closed the connection, or it broke.
    pub fn closed(&mut self, now: MonoTime, why: &str) {
        // What it sent last is taken, though its end is missing.
        if let Some(message) = self.inbound.cut_body() {
            self.message(now, &message);
        }
        let closed = || unavailable("it closed the connection").with_inside(clean(why));
        match self.phase {
            Phase::Over => {}
            Phase::Ending(..) => self.part(),
            Phase::Playing | Phase::Play(_) => {
                self.learn_from_end(now);
                self.end(Err(closed()));
            }
            // Some close behind each answer, or behind one they do not like.
            Phase::Options | Phase::Describe | Phase::Setup(_) | Phase::Ports(_)
                if !self.dialog.has_session() && self.connections < MOST_CONNECTIONS =>
            {
                if !self.is_answered {
                    if !matches!(self.phase, Phase::Options) {
                        return self.end(Err(closed()));
                    }
                    self.keep_alives.quirks.skips_options = true;
                    self.describe_later();
                }
                self.connections += 1;
                self.out.retain(|output| !matches!(output, Output::Send(_)));
                self.out.push_back(Output::Connect(self.url.clone()));
            }
            _ => self.end(Err(closed())),
        }
    }

    /// Says it to a camera that is spoken to, once the session plays.
    pub fn say(&mut self, frame: &SpeechFrame) {
        if self.is_playing() {
            let packet = self.speech.as_mut().and_then(|line| line.packet(frame));
            packet.into_iter().for_each(|bytes| self.send(bytes));
        }
    }

    /// Nobody wants more.
    pub fn stop(&mut self, now: MonoTime) {
        self.learn_transport(now);
        self.finish(now, Ok(()));
    }

    /// When [`Self::tick`] is to be called.
    pub fn deadline(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Over => return None,
            Phase::Ending(until, _) => return Some(until),
            _ => {}
        }
        let begin_by = (!self.is_playing()).then_some(self.begin_by);
        let own = [begin_by, self.report_at, self.inbound.stuck_at(self.is_playing())];
        let others = [self.dialog.deadline(), self.keep_alives.keep_alive_at(), self.media.wake()];
        own.into_iter().chain(others).flatten().min()
    }

    /// Time has gone by.
    pub fn tick(&mut self, now: MonoTime) {
        let is_due = |at: Option<MonoTime>| at.is_some_and(|at| at <= now);
        if let Phase::Ending(until, _) = self.phase {
            return if until <= now {
                self.part()
            };
        }
        if is_due(self.inbound.stuck_at(self.is_playing())) {
            if let Some(piece) = self.inbound.give_up(&|channel, packet| self.media.fit(channel, packet)) {
                self.piece(now, piece);
            }
            self.pieces(now);
        }
        if is_due(self.media.wake()) {
            self.media.settle(now);
        }
        if let Some(method) = self.dialog.late(now) {
            self.late(now, method);
        }
        match self.phase {
            Phase::Playing => {}
            Phase::Ending(..) | Phase::Over => return,
            _ if self.begin_by <= now => {
                return self.fail(now, unavailable("it answers so slowly that no picture comes"));
            }
            _ => return,
        }
        if is_due(self.report_at) {
            self.report_at = Some(now + REPORT);
            self.out.extend(reports(&mut self.media, self.lower_transport, now));
        }
        if is_due(self.keep_alives.keep_alive_at()) {
            self.keep_alive(now);
        }
    }

    fn send(&mut self, bytes: Bytes) {
        self.out.push_back(Output::Send(bytes));
    }

    fn ask(&mut self, now: MonoTime, method: &'static str, url: &str, headers: Headers) {
        let bytes = self.dialog.ask(now, method, url, headers);
        self.send(bytes);
    }

    fn piece(&mut self, now: MonoTime, piece: Piece) {
        match piece {
            Piece::Packet { channel, data } => self.media.interleaved(now, channel, data),
            Piece::Message(message) => match &message.start {
                Start::Response(_) => self.message(now, &message),
                Start::Request(method) => self.asked(now, method, &message),
            },
        }
    }

    /// The camera asks something.
    fn asked(&mut self, now: MonoTime, method: &str, message: &Message) {
        self.send(Bytes::from(message::answer(method, message.cseq())));
        if method == "TEARDOWN" && !matches!(self.phase, Phase::Ending(..) | Phase::Over) {
            self.learn_from_end(now);
            self.end(Err(unavailable("it ended the session")));
        }
    }

    fn message(&mut self, now: MonoTime, message: &Message) {
        self.is_answered = true;
        match self.dialog.answered(now, message) {
            Answer::Nobodys => {}
            Answer::Again(bytes) => self.send(bytes),
            Answer::Refused(..) if matches!(self.phase, Phase::Playing) => self.keep_alives.refused(now),
            Answer::Refused(e) if !matches!(self.phase, Phase::Ending(..) | Phase::Over) => self.fail(now, e),
            Answer::Refused(..) => self.answered(now, "", 401, message),
            Answer::To(method, status) => self.answered(now, method, status, message),
        }
    }

    fn answered(&mut self, now: MonoTime, method: &'static str, status: u16, message: &Message) {
        let is_ok = (200..300).contains(&status);
        let is_redirect = Redirects::is_meant(status);
        match &mut self.phase {
            Phase::Options => self.describe(now),
            Phase::Describe | Phase::Setup(_) | Phase::Play(_) if is_redirect => self.redirected(now, message),
            Phase::Describe if is_ok => self.described(now, message),
            Phase::Setup(n) => {
                let n = *n;
                if is_ok { self.granted(now, n, message) } else { self.setup_refused(now, n, status) }
            }
            Phase::Play(_) if is_ok => self.played(now),
            Phase::Play(_) => self.play_refused(now, status),
            Phase::Playing if !is_ok => self.keep_alives.refused(now),
            Phase::Ending(..) => self.part(),
            Phase::Playing | Phase::Ports(_) | Phase::Over => {}
            Phase::Describe if self.speech.is_some() && status == 551 => self.fail(now, no_backchannel()),
            Phase::Describe => self.fail(now, refused(method, status, message.is_http)),
        }
    }

    /// A request was not answered in time.
    fn late(&mut self, now: MonoTime, method: &'static str) {
        match self.phase {
            Phase::Options => self.describe(now),
            Phase::Play(_) if self.media.heard().is_some() => self.played(now),
            Phase::Playing => {
                if !self.keep_alives.unanswered(now, self.media.heard(), &self.dialog) {
                    self.end(Err(unavailable("it sends nothing and answers nothing any more")));
                }
            }
            _ => self.fail(
                now,
                unavailable(format!("no picture comes: it does not answer {method} within {} s", ANSWER.as_secs())),
            ),
        }
    }

    fn describe(&mut self, now: MonoTime) {
        self.phase = Phase::Describe;
        let url = self.url.clean();
        let headers = demanding(self.speech.is_some(), vec![("Accept", "application/sdp".into())]);
        self.ask(now, "DESCRIBE", &url, headers);
    }

    /// DESCRIBE is what the next connection begins with.
    fn describe_later(&mut self) {
        self.phase = Phase::Describe;
        self.dialog.give_up();
    }

    fn redirected(&mut self, now: MonoTime, message: &Message) {
        let to = match self.redirects.follow(message, &self.url, self.peer) {
            Ok(to) => to,
            Err(e) => return self.fail(now, e),
        };
        // A session that had begun goes with its connection.
        let is_here = to.rtsp_port() == self.url.rtsp_port() && !self.dialog.has_session();
        self.url = to;
        self.aggregate = self.url.clean();
        self.dialog.forget_session();
        self.media.clear();
        if is_here {
            return self.describe(now);
        }
        self.describe_later();
        self.out.push_back(Output::Connect(self.url.clone()));
    }

    fn described(&mut self, now: MonoTime, message: &Message) {
        if self.speech.is_some() {
            return match SpeechLine::described(message, &self.url.clean()) {
                Ok((plan, line)) => {
                    (self.aggregate, self.tracks, self.speech) = (plan.aggregate, plan.tracks, Some(line));
                    self.setup(now, 0);
                }
                Err(e) => self.fail(now, e),
            };
        }
        let plan = match SetupPlan::of(message, &self.url.clean(), self.sound) {
            Ok(plan) => plan,
            Err(e) => return self.fail(now, e),
        };
        (self.aggregate, self.tracks) = (plan.aggregate, plan.tracks);
        self.media.no_sound(plan.no_sound);
        self.setup(now, 0);
    }

    /// Asks for a line of those that are wanted, or, behind the last one, for all to begin.
    fn setup(&mut self, now: MonoTime, n: usize) {
        let Some(track) = self.tracks.get(n) else { return self.play(now) };
        let Some(transport) = self.lower_transport.header(n, track.ports) else {
            self.phase = Phase::Ports(n);
            return self.out.push_back(Output::OpenPorts(n));
        };
        let url = track.url().to_owned();
        self.phase = Phase::Setup(n);
        let headers = demanding(self.speech.is_some(), vec![("Transport", transport)]);
        self.ask(now, "SETUP", &url, headers);
    }

    fn granted(&mut self, now: MonoTime, n: usize, message: &Message) {
        let granted = Granted::parse(message.header("transport").unwrap_or_default());
        let (rtp, rtcp) = granted.interleaved.unwrap_or_else(|| channels(n));
        match self.lower_transport {
            // It gives what was not asked for.
            Udp | Multicast if granted.tcp && granted.interleaved.is_some() && n == 0 => self.lower_transport = Tcp,
            Udp => self.out.push_back(Output::Hear { track: n, to: granted.server_ports, source: granted.source }),
            Multicast => {
                let Some((group, ports)) = granted.group() else {
                    return self.fail(now, Error::invalid("it names no multicast group: choose another `transport`"));
                };
                self.out.push_back(Output::Join { track: n, group, ports, source: granted.source });
            }
            Tcp => {}
        }
        self.media.add(rtp, rtcp);
        self.speech.iter_mut().for_each(|line| line.channel = rtp);
        self.setup(now, n + 1);
    }

    fn setup_refused(&mut self, now: MonoTime, n: usize, status: u16) {
        let is_about_path = matches!(status, 400 | 403 | 404 | 410 | 451 | 459 | 460);
        let is_about_transport = !matches!(status, 401 | 403 | 404 | 407 | 410 | 453 | 454);
        if is_about_path && self.tracks.get_mut(n).is_some_and(Track::try_next) {
            return self.setup(now, n);
        }
        if n > 0 && self.speech.is_none() {
            // Pictures without sound are better than neither.
            self.tracks.truncate(n);
            let why = format!("the camera announces sound and then refuses it ({status}): switch it off and on there");
            self.media.no_sound(Some(why));
            return self.play(now);
        }
        if self.transport == Transport::Auto && is_about_transport && !self.is_other_transport {
            self.is_other_transport = true;
            self.lower_transport = self.lower_transport.other();
            self.keep_alives.quirks.prefers_udp = self.lower_transport == Udp;
            self.dialog.forget_session();
            self.media.clear();
            self.tracks.iter_mut().for_each(Track::try_first);
            return self.setup(now, n);
        }
        self.keep_alives.quirks.prefers_udp = false;
        let e = if status == 461 { transport_refused(self.transport) } else { refused("SETUP", status, false) };
        self.fail(now, e);
    }

    fn play(&mut self, now: MonoTime) {
        let lines: Vec<SdpLine> = self.tracks.iter().map(|track| track.line.clone()).collect();
        if self.speech.is_none() {
            self.media.begin(&lines, self.lower_transport == Tcp);
        }
        if self.lower_transport == Udp {
            self.out.extend((0..self.tracks.len()).flat_map(punches));
        }
        self.phase = Phase::Play(VecDeque::from([self.aggregate.clone()]));
        self.play_next(now);
    }

    /// What was to be played first is.
    fn played(&mut self, now: MonoTime) {
        if let Phase::Play(urls) = &mut self.phase {
            urls.pop_front();
        }
        self.play_next(now);
    }

    fn play_next(&mut self, now: MonoTime) {
        let Phase::Play(urls) = &self.phase else { return };
        match urls.front().cloned() {
            Some(url) => {
                let range = (!self.keep_alives.quirks.skips_range).then(|| ("Range", "npt=0.000-".to_owned()));
                let headers = demanding(self.speech.is_some(), range.into_iter().collect());
                self.ask(now, "PLAY", &url, headers);
            }
            None => {
                self.phase = Phase::Playing;
                self.media.offer();
                self.media.round_trip(self.dialog.round_trip());
                self.keep_alives.began(now, &self.dialog);
                self.report_at = Some(now + REPORT);
            }
        }
    }

    fn play_refused(&mut self, now: MonoTime, status: u16) {
        let is_final = matches!(status, 401 | 403 | 404 | 407 | 453 | 454 | 503);
        let is_alone = matches!(&self.phase, Phase::Play(urls) if urls.len() <= 1);
        if status == 459 && is_alone && self.tracks.len() > 1 {
            // It plays no lines together, but each.
            let urls = self.tracks.iter().map(|track| track.url().to_owned());
            self.phase = Phase::Play(urls.collect());
            return self.play_next(now);
        }
        if !is_final && !self.keep_alives.quirks.skips_range {
            self.keep_alives.quirks.skips_range = true;
            return self.play_next(now);
        }
        self.keep_alives.quirks.skips_range = false;
        self.fail(now, refused("PLAY", status, false));
    }

    /// Sends a keep-alive.
    fn keep_alive(&mut self, now: MonoTime) {
        let Some((keep_alive, is_awaited)) = self.keep_alives.keep_alive(now, &self.dialog) else { return };
        let aggregate = self.aggregate.clone();
        let bytes = match is_awaited {
            true => self.dialog.ask(now, keep_alive.method(), &aggregate, Vec::new()),
            false => self.dialog.tell(now, keep_alive.method(), &aggregate),
        };
        self.send(bytes);
    }

    /// Learns from the camera's having ended a session that was playing.
    fn learn_from_end(&mut self, now: MonoTime) {
        self.keep_alives.ended(now, &self.dialog);
        self.learn_transport(now);
    }

    /// Learns that packets do not come this way, where the other one is free to be tried.
    fn learn_transport(&mut self, now: MonoTime) {
        let has_waited = self.is_playing() && self.keep_alives.lasted(now) >= NOTHING_CAME;
        if has_waited && self.media.heard().is_none() && self.transport == Transport::Auto {
            self.keep_alives.quirks.prefers_udp = self.lower_transport == Tcp;
        }
    }

    /// Ends with an error: what was to be opened cannot be, or the camera is to blame.
    pub fn fail(&mut self, now: MonoTime, e: Error) {
        self.finish(now, Err(e));
    }

    /// Says goodbye, where there is something to say it to.
    fn finish(&mut self, now: MonoTime, result: Result<()>) {
        if matches!(self.phase, Phase::Ending(..) | Phase::Over) {
            return;
        }
        if !self.dialog.has_session() {
            return self.end(result);
        }
        let aggregate = self.aggregate.clone();
        self.phase = Phase::Ending(now + FAREWELL, result);
        let bytes = self.dialog.farewell(now, &aggregate, FAREWELL);
        self.send(bytes);
    }

    /// The farewell is over.
    fn part(&mut self) {
        if let Phase::Ending(_, result) = &mut self.phase {
            let result = std::mem::replace(result, Ok(()));
            self.end(result);
        }
    }

    fn end(&mut self, result: Result<()>) {
        if !matches!(self.phase, Phase::Over) {
            self.phase = Phase::Over;
            self.out.push_back(Output::End(result));
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
