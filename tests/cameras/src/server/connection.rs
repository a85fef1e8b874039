//! One connection: requests in, answers and packets out.

use super::message::{Answer, Read, Request, read};
use super::sign_in::{Door, Found};
use super::ways::{Asked, Way, is_report, set_up};
use super::{Shared, held};
use crate::base64;
use crate::feed::{Event, Feed, Start};
use crate::model::{ContentBase, Cseq, KeepAlive, Redirect};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;

type Reader = Box<dyn AsyncRead + Send + Sync + Unpin>;
type Writer = Arc<AsyncMutex<Box<dyn AsyncWrite + Send + Unpin>>>;

/// Bytes of a request and of what waits, at most.
const MOST: usize = 1 << 20;

pub struct Connection {
    shared: Arc<Shared>,
    reader: Reader,
    writer: Writer,
    peer: SocketAddr,
    gone: Arc<Notify>,
    refuse: bool,
    session: String,
    number: u64,
    door: Door,
    ways: Arc<Mutex<BTreeMap<usize, Way>>>,
    playing: Option<JoinHandle<()>>,
    /// The URL of the last DESCRIBE.
    described: String,
    /// When the last request came, and the last receiver report.
    asked: Instant,
    reported: Arc<Mutex<Instant>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(playing) = &self.playing {
            playing.abort();
        }
    }
}

impl Connection {
    pub fn new(
        shared: Arc<Shared>,
        reader: Reader,
        writer: Box<dyn AsyncWrite + Send + Unpin>,
        peer: SocketAddr,
        gone: Arc<Notify>,
        refuse: bool,
    ) -> Self {
        let number = shared.counts().connections;
        let writer = Arc::new(AsyncMutex::new(writer));
        let session = format!("{:08X}", number.wrapping_mul(0x9e37_79b9) as u32);
        let (door, now) = (Door::new(number), Instant::now());
        let reported = Arc::new(Mutex::new(now));
        let ways = Arc::default();
        Self {
            shared,
            reader,
            writer,
            peer,
            gone,
            refuse,
            session,
            number,
            door,
            ways,
            playing: None,
            described: String::new(),
            asked: now,
            reported,
        }
    }

    pub async fn run(mut self) -> io::Result<()> {
        let (mut buffer, mut bytes) = (Vec::new(), vec![0; 16_384]);
        loop {
            loop {
                let taken = match read(&buffer) {
                    Read::More => break,
                    Read::Answer(taken) => taken,
                    Read::Packet(packet, taken) => {
                        if is_report(&packet) {
                            *held(&self.reported) = Instant::now();
                            self.shared.counts().reports += 1;
                        }
                        taken
                    }
                    Read::Request(request, taken) if request.version.starts_with("HTTP/") => {
                        let rest = buffer.split_off(taken);
                        if request.method == "POST" {
                            return self.tunnel_in(&request, rest).await;
                        }
                        self.tunnel_out(&request).await?;
                        buffer.clear();
                        0
                    }
                    Read::Request(request, taken) => {
                        if self.request(&request).await? {
                            return Ok(());
                        }
                        taken
                    }
                };
                buffer.drain(..taken);
                if taken == 0 {
                    break;
                }
            }
            let read = tokio::select! {
                read = self.reader.read(&mut bytes) => read?,
                () = self.gone.notified() => return Ok(()),
                () = unkept(&self.shared, self.playing.is_some(), self.asked, &self.reported) => {
                    self.shared.counts().timed_out += 1;
                    return Ok(());
                }
            };
            if read == 0 || buffer.len() > MOST {
                return Ok(());
            }
            buffer.extend_from_slice(&bytes[..read]);
        }
    }

    /// The half of an HTTP tunnel by which all leaves.
    async fn tunnel_out(&mut self, request: &Request) -> io::Result<()> {
        let (reader, way_in) = tokio::io::duplex(65_536);
        let cookie = request.header("x-sessioncookie").unwrap_or_default().to_owned();
        held(&self.shared.tunnels).insert(cookie, way_in);
        *self.shared.counts().requests.entry("GET".into()).or_default() += 1;
        let head = "HTTP/1.0 200 OK\r\nServer: Cam\r\nConnection: close\r\nCache-Control: no-store\r\nPragma: no-cache\r\n\
                    Content-Type: application/x-rtsp-tunnelled\r\n\r\n";
        self.writer.lock().await.write_all(head.as_bytes()).await?;
        // What else comes on this connection is passed over; its end is seen at the next packet.
        self.reader = Box::new(reader);
        Ok(())
    }

    /// The half by which requests come, in base64.
    async fn tunnel_in(&mut self, request: &Request, first: Vec<u8>) -> io::Result<()> {
        *self.shared.counts().requests.entry("POST".into()).or_default() += 1;
        let cookie = request.header("x-sessioncookie").unwrap_or_default();
        let Some(mut way) = held(&self.shared.tunnels).remove(cookie) else { return Ok(()) };
        let mut decoder = base64::Decoder::default();
        let (mut bytes, mut have) = (vec![0; 4096], first);
        loop {
            way.write_all(&decoder.push(&have)).await?;
            let read = self.reader.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            have = bytes[..read].to_vec();
        }
    }

    async fn answer(&self, request: &Request, mut answer: Answer, length_off: i64) -> io::Result<()> {
        let manners = &self.shared.model.manners;
        let asked = request.header("cseq").unwrap_or("0");
        let wrong = asked.parse::<u64>().map_or(7, |n| n + 1).to_string();
        let cseq = match manners.cseq {
            Cseq::Right => Some(asked),
            Cseq::Missing => None,
            Cseq::Wrong => Some(wrong.as_str()),
        };
        if manners.header_bytes > 0 {
            answer.headers.push(format!("X-Junk: {}", "j".repeat(manners.header_bytes)));
        }
        let head = answer.head(cseq, length_off);
        let head = manners.edit.map_or(head.clone(), |edit| edit(&request.method, head)) + "\r\n";
        let head = if manners.bare_line_ends { head.replace('\r', "") } else { head };
        let bytes = [head.as_bytes(), &answer.body].concat();
        if let Some((_, delay)) = manners.delay.filter(|(method, _)| *method == request.method) {
            tokio::time::sleep(delay).await;
        }
        self.shared.log(|| format!("{}: -> {}", self.peer, answer.status));
        let mut writer = self.writer.lock().await;
        if manners.byte_pace.is_zero() {
            return writer.write_all(&bytes).await;
        }
        for byte in bytes {
            writer.write_all(&[byte]).await?;
            tokio::time::sleep(manners.byte_pace).await;
        }
        Ok(())
    }

    fn within(&self, answer: Answer) -> Answer {
        answer.with(format!("Session: {}", self.session))
    }

    /// Answers one; true: the connection ends.
    async fn request(&mut self, request: &Request) -> io::Result<bool> {
        let shared = self.shared.clone();
        let manners = &shared.model.manners;
        let method = request.method.as_str();
        self.asked = Instant::now();
        {
            let mut counts = shared.counts();
            *counts.requests.entry(method.to_owned()).or_default() += 1;
            counts.keep_alives += u64::from(self.playing.is_some() && method != "TEARDOWN");
        }
        shared.log(|| format!("{}: {method} {} {:?}", self.peer, request.url, request.header("transport")));
        if manners.mute.contains(&method) {
            return Ok(false);
        }
        if self.refuse {
            self.answer(request, Answer::new("453 Not Enough Bandwidth"), 0).await?;
            return Ok(false);
        }
        if let Some(status) = self.refusal(method) {
            self.answer(request, Answer::new(status), 0).await?;
            return Ok(false);
        }
        if let Some(sign_in) = manners.sign_in.as_ref().filter(|s| s.options_too || method != "OPTIONS") {
            let found = self.door.check(sign_in, request);
            match found {
                Found::Right => shared.counts().sign_ins += 1,
                Found::Wrong => shared.counts().refused_sign_ins += 1,
                Found::Missing | Found::Stale => {}
            }
            if found != Found::Right {
                let mut answer = Answer::new("401 Unauthorized");
                answer.headers = self.door.challenges(sign_in, found);
                self.answer(request, answer, 0).await?;
                return Ok(false);
            }
        }
        let only = manners.only_paths;
        if method == "DESCRIBE" && !only.is_empty() && !only.iter().any(|path| request.url.ends_with(path)) {
            self.answer(request, Answer::new("404 Not Found"), 0).await?;
            return Ok(false);
        }
        if method == "DESCRIBE" {
            self.described.clone_from(&request.url);
        }
        if let Some(answer) = self.redirect().filter(|_| manners.redirected == method) {
            self.answer(request, answer, 0).await?;
            return Ok(false);
        }
        match method {
            "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER" => self.keep_alive(request).await,
            "DESCRIBE" => self.describe(request).await.map(|()| false),
            "SETUP" => self.setup(request).await.map(|()| false),
            "PLAY" => self.play(request).await.map(|()| false),
            "TEARDOWN" => {
                self.answer(request, self.within(Answer::new("200 OK")), 0).await?;
                Ok(true)
            }
            _ => self.answer(request, Answer::new("501 Not Implemented"), 0).await.map(|()| false),
        }
    }

    /// What the model refuses this method with, if it does so once more.
    fn refusal(&self, method: &str) -> Option<&'static str> {
        let (known, status, times) = self.shared.model.manners.refusals.iter().find(|(m, ..)| *m == method)?;
        let mut refused = held(&self.shared.refused);
        let count = refused.entry(known).or_default();
        *count += 1;
        (*count <= *times).then_some(*status)
    }

    async fn keep_alive(&mut self, request: &Request) -> io::Result<bool> {
        let manners = &self.shared.model.manners;
        let public = Answer::new("200 OK").with(format!("Public: {}", manners.public));
        if self.playing.is_none() {
            self.answer(request, public, 0).await?;
            return Ok(false);
        }
        let is_get = request.method == "GET_PARAMETER";
        let unknown = || Answer::new("501 Not Implemented");
        let answer = match manners.keep_alive {
            KeepAlive::Answered => public,
            KeepAlive::NotFound if is_get => Answer::new("454 Session Not Found"),
            KeepAlive::Closes if is_get => return Ok(true),
            KeepAlive::Silent => return Ok(false),
            KeepAlive::OptionsOnly if request.method != "OPTIONS" => unknown(),
            KeepAlive::SetOnly if request.method != "SET_PARAMETER" => unknown(),
            _ => public,
        };
        self.answer(request, self.within(answer), 0).await?;
        Ok(false)
    }

    /// Where it is to be asked instead, if it is.
    fn redirect(&self) -> Option<Answer> {
        let place = &self.shared.place;
        let described = self.described.as_str();
        let to = match held(&self.shared.redirect).clone()? {
            // The other path and the other host are where it is served.
            Redirect::Path(path) => {
                (!described.ends_with(path)).then(|| format!("rtsp://127.0.0.1:{}{path}", place.port))
            }
            Redirect::OtherHost => {
                (!described.contains("127.0.0.2")).then(|| format!("rtsp://127.0.0.2:{}{}", place.port, place.path))
            }
            Redirect::Itself => Some(place.url()),
            Redirect::Url(url) => Some(url.to_owned()),
            Redirect::Nowhere => Some(String::new()),
        }?;
        let answer = Answer::new("302 Found");
        Some(if to.is_empty() { answer } else { answer.with(format!("Location: {to}")) })
    }

    async fn describe(&self, request: &Request) -> io::Result<()> {
        let place = &self.shared.place;
        let manners = &self.shared.model.manners;
        let mut answer = Answer::new("200 OK").with("Content-Type: application/sdp");
        answer.headers.extend(match manners.content_base {
            ContentBase::Right => Some(format!("Content-Base: {}/", place.url())),
            ContentBase::None => None,
            ContentBase::Empty => Some("Content-Base: ".to_owned()),
            ContentBase::NoSlash => Some(format!("Content-Base: {}", place.url())),
            ContentBase::OtherHost => Some("Content-Base: rtsp://192.0.2.77:554/live/".to_owned()),
            ContentBase::Location => Some(format!("Content-Location: {}/", place.url())),
        });
        answer.body = self.shared.model.sdp(place);
        self.answer(request, answer, manners.length_off).await
    }

    async fn setup(&self, request: &Request) -> io::Result<()> {
        let manners = &self.shared.model.manners;
        let number = request.url.rsplit_once("track").and_then(|(_, n)| {
            let digits: String = n.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<usize>().ok()
        });
        let is_right = number.is_some() && (request.url.contains("127.0.0.1") || request.url.contains("127.0.0.2"));
        if manners.strict_urls && !is_right {
            return self.answer(request, Answer::new("404 Not Found"), 0).await;
        }
        let track = number.unwrap_or(1).saturating_sub(1);
        let asked = Asked::of(request.header("transport").unwrap_or_default());
        let way = set_up(&self.shared, &asked, track, self.peer, self.reported.clone()).await?;
        let Some((way, transport)) = way else {
            return self.answer(request, Answer::new(manners.transports.refusal), 0).await;
        };
        held(&self.ways).insert(track, way);
        let session = format!("Session: {}{}", self.session, manners.session_tail);
        let answer = Answer::new("200 OK").with(format!("Transport: {transport}")).with(session);
        self.answer(request, answer, 0).await
    }

    async fn play(&mut self, request: &Request) -> io::Result<()> {
        let manners = &self.shared.model.manners;
        let is_set_up = !held(&self.ways).is_empty();
        if !is_set_up || (manners.strict_urls && request.header("session").is_none()) {
            return self.answer(request, Answer::new("455 Method Not Valid In This State"), 0).await;
        }
        let answer = self.within(Answer::new("200 OK")).with("Range: npt=0.000-");
        let mut answer = match manners.rtp_info {
            Some(info) => answer.with(format!("RTP-Info: {}", info(&self.shared.place))),
            None => answer,
        };
        answer.headers.extend(manners.play_headers.iter().cloned());
        if self.playing.is_some() {
            return self.answer(request, answer, 0).await;
        }
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let start = Start { up: self.shared.begun.elapsed(), wall, session: self.number };
        let mut feed = self.shared.model.feed(&start);
        let sender = Sender {
            shared: self.shared.clone(),
            writer: self.writer.clone(),
            ways: self.ways.clone(),
            gone: self.gone.clone(),
        };
        let begun = Instant::now();
        for _ in 0..manners.early {
            if let Some(timed) = feed.next() {
                sender.send(timed.event).await?;
            }
        }
        self.answer(request, answer, 0).await?;
        self.shared.counts().plays += 1;
        *held(&self.reported) = Instant::now();
        self.playing = Some(tokio::spawn(sender.run(feed, begun)));
        Ok(())
    }
}

/// Comes back when nobody kept the session alive for too long.
async fn unkept(shared: &Shared, is_playing: bool, asked: Instant, reported: &Mutex<Instant>) {
    let manners = &shared.model.manners;
    loop {
        let is_over = |limit: Option<Duration>, last: Instant| limit.is_some_and(|limit| last.elapsed() > limit);
        let last_report = *held(reported);
        if is_playing && (is_over(manners.needs_request_each, asked) || is_over(manners.needs_report_each, last_report))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Sends a feed.
struct Sender {
    shared: Arc<Shared>,
    writer: Writer,
    ways: Arc<Mutex<BTreeMap<usize, Way>>>,
    gone: Arc<Notify>,
}

impl Sender {
    async fn run(self, feed: Feed, begun: Instant) {
        for timed in feed {
            let due = begun + timed.at;
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            let is_close = timed.event == Event::Close;
            if self.send(timed.event).await.is_err() || is_close {
                self.gone.notify_one();
                return;
            }
            tokio::task::consume_budget().await;
        }
    }

    async fn send(&self, event: Event) -> io::Result<()> {
        let (track, packet, is_rtcp) = match event {
            Event::Rtp(track, packet) => (track, packet, false),
            Event::Rtcp(track, packet) => (track, packet, true),
            Event::Raw(bytes) => return self.writer.lock().await.write_all(&bytes).await,
            Event::Close => return Ok(()),
        };
        let to = match held(&self.ways).get(&track) {
            None => return Ok(()),
            Some(Way::Channel(channel)) => Err(channel.wrapping_add(u8::from(is_rtcp))),
            Some(Way::Udp(pair)) if is_rtcp => Ok((pair.rtcp.clone(), pair.rtcp_to)),
            Some(Way::Udp(pair)) => Ok((pair.rtp.clone(), pair.rtp_to)),
        };
        if !is_rtcp {
            let mut counts = self.shared.counts();
            counts.packets += 1;
            *counts.packets_by_track.entry(track).or_default() += 1;
        }
        match to {
            Ok((socket, to)) => {
                // A port that is closed there is no reason to stop.
                let _ = socket.send_to(&packet, to).await;
                Ok(())
            }
            Err(channel) => {
                let mut framed = vec![b'$', channel];
                framed.extend(u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes());
                framed.extend(packet);
                self.writer.lock().await.write_all(&framed).await
            }
        }
    }
}
