//! An RTSP reader as real players are: a thread of its own, TCP interleaved with Digest (RFC 2326, RFC 2617), all tracks, each packet
//! read by itself, receiver reports (RFC 3550, section 6.4.2) and keep-alives. What it reads is counted and thrown away.

use md5::{Digest, Md5};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it reports on each track.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// A session's time-out where the server names none (RFC 2326, section 12.37).
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// A reader; it stops when dropped.
pub struct Reader {
    socket: TcpStream,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Reader {
    /// Plays `rtsp://{host}/{path}` until dropped; adds every byte it reads to `bytes`.
    pub fn start(host: &str, path: &str, user: &str, password: &str, bytes: Arc<AtomicU64>) -> Result<Self, String> {
        let stream = TcpStream::connect(host).map_err(|e| e.to_string())?;
        let socket = stream.try_clone().map_err(|e| e.to_string())?;
        let mut c = Conversation {
            socket: stream,
            url: format!("rtsp://{host}/{path}"),
            cseq: 0,
            user: user.to_owned(),
            password: password.to_owned(),
            nonce: String::new(),
            session: String::new(),
            keep_alive_every: SESSION_TIMEOUT / 2,
            tracks: Vec::new(),
            bytes,
            counts: Arc::default(),
        };
        let counts = c.counts.clone();
        let thread = std::thread::Builder::new().name("reader".into()).spawn(move || {
            c.begin()?;
            c.read_on()
        });
        Ok(Self { socket, counts, thread: Some(thread.map_err(|e| e.to_string())?) })
    }

    /// RTP packets of all tracks, and how many their sequence numbers (RFC 3550, section 5.1) miss.
    pub fn packets_and_lost(&self) -> (u64, u64) {
        (self.counts.packets.load(Ordering::SeqCst), self.counts.lost.load(Ordering::SeqCst))
    }

    /// Why it ended, as soon as it does; `None`: it did not within this time.
    pub fn wait_for_failure(&mut self, within: Duration) -> Option<String> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(why) = self.failure() {
                return Some(why);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Why it ended, if it did.
    pub fn failure(&mut self) -> Option<String> {
        let ended = self.thread.take_if(|thread| thread.is_finished())?;
        Some(ended.join().unwrap_or_else(|_| Err("panicked".into())).err().unwrap_or_else(|| "ended".into()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Counts {
    packets: AtomicU64,
    lost: AtomicU64,
}

/// What a receiver report says of a track.
#[derive(Default)]
struct Track {
    ssrc: u32,
    highest: u32,
    next: Option<u16>,
    last_report: u32,
    last_report_at: Option<Instant>,
}

impl Track {
    /// An RTP packet came. Over TCP none is passed by another, so each number that is left out is a packet lost.
    fn rtp(&mut self, packet: &[u8], counts: &Counts) {
        let Some([_, _, a, b, _, _, _, _, s @ ..]) = packet.first_chunk::<12>() else { return };
        let number = u16::from_be_bytes([*a, *b]);
        let missing = self.next.map_or(0, |next| number.wrapping_sub(next));
        self.next = Some(number.wrapping_add(1));
        counts.packets.fetch_add(1, Ordering::SeqCst);
        counts.lost.fetch_add(u64::from(missing), Ordering::SeqCst);
        let number = u32::from(number);
        if number < self.highest & 0xffff && self.highest & 0xffff > 0xf000 && number < 0x1000 {
            self.highest += 0x1_0000;
        }
        self.highest = self.highest & 0xffff_0000 | number;
        self.ssrc = u32::from_be_bytes(*s);
    }

    /// An RTCP packet came.
    fn rtcp(&mut self, packet: &[u8]) {
        if packet.get(1) == Some(&200)
            && let Some(middle) = packet.get(10..14)
        {
            self.last_report = middle.iter().fold(0, |n, b| n << 8 | u32::from(*b));
            self.last_report_at = Some(Instant::now());
        }
    }

    fn report(&self, channel: u8) -> Vec<u8> {
        let delay = self.last_report_at.map_or(0, |at| (at.elapsed().as_secs_f64() * 65536.0) as u32);
        let words = [0x81c9_0007, 0x7065_7263, self.ssrc, 0, self.highest, 0, self.last_report, delay];
        let body = words.iter().flat_map(|w| w.to_be_bytes());
        [b'$', channel, 0, 32].into_iter().chain(body).collect()
    }
}

struct Conversation {
    socket: TcpStream,
    url: String,
    cseq: u32,
    user: String,
    password: String,
    nonce: String,
    session: String,
    keep_alive_every: Duration,
    tracks: Vec<Track>,
    bytes: Arc<AtomicU64>,
    counts: Arc<Counts>,
}

impl Conversation {
    /// DESCRIBE, SETUP of every track, PLAY.
    fn begin(&mut self) -> Result<(), String> {
        let url = self.url.clone();
        let challenge = self.ask("DESCRIBE", &url, "Accept: application/sdp\r\n")?;
        self.nonce = between(&challenge, "nonce=\"", "\"").ok_or("no nonce")?.to_owned();
        let sdp = self.ask("DESCRIBE", &url, "Accept: application/sdp\r\n")?;
        let controls: Vec<_> = sdp.lines().filter_map(|l| l.strip_prefix("a=control:")).filter(|c| *c != "*").collect();
        for (i, control) in controls.iter().enumerate() {
            let track = match control.starts_with("rtsp://") {
                true => (*control).to_owned(),
                false => format!("{url}/{control}"),
            };
            let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={}-{}\r\n", 2 * i, 2 * i + 1);
            let answer = self.ask("SETUP", &track, &transport)?;
            let header = between(&answer, "Session: ", "\r\n").ok_or("no session")?;
            let (id, rest) = header.split_once(';').unwrap_or((header, ""));
            self.session = format!("Session: {id}\r\n");
            if let Some(seconds) = rest.strip_prefix("timeout=").and_then(|s| s.parse().ok()) {
                self.keep_alive_every = Duration::from_secs(seconds) / 2;
            }
            self.tracks.push(Track::default());
        }
        self.ask("PLAY", &url, "Range: npt=0-\r\n").map(drop)
    }

    fn read_on(&mut self) -> Result<(), String> {
        let (mut reported, mut kept) = (Instant::now(), Instant::now());
        loop {
            // An answer to a keep-alive is passed over.
            self.next_message()?;
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                let channels = (1..).step_by(2);
                let reports: Vec<u8> = self.tracks.iter().zip(channels).flat_map(|(t, c)| t.report(c)).collect();
                self.socket.write_all(&reports).map_err(|e| e.to_string())?;
            }
            if kept.elapsed() >= self.keep_alive_every {
                kept = Instant::now();
                self.send("GET_PARAMETER", &self.url.clone(), "")?;
            }
        }
    }

    fn send(&mut self, method: &str, url: &str, headers: &str) -> Result<(), String> {
        self.cseq += 1;
        let authorization = match self.nonce.as_str() {
            "" => String::new(),
            nonce => {
                let ha1 = md5_hex(&format!("{}:perch:{}", self.user, self.password));
                let response = md5_hex(&format!("{ha1}:{nonce}:{}", md5_hex(&format!("{method}:{url}"))));
                format!(
                    "Authorization: Digest username=\"{}\", realm=\"perch\", nonce=\"{nonce}\", uri=\"{url}\", response=\"{response}\"\r\n",
                    self.user
                )
            }
        };
        let (cseq, session) = (self.cseq, &self.session);
        let request = format!("{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\n{authorization}{session}{headers}\r\n");
        self.socket.write_all(request.as_bytes()).map_err(|e| e.to_string())
    }

    fn ask(&mut self, method: &str, url: &str, headers: &str) -> Result<String, String> {
        self.send(method, url, headers)?;
        loop {
            // Media may come before PLAY's answer (RFC 2326, section 10.12).
            let Some(answer) = self.next_message().map_err(|e| format!("{method}: {e}"))? else { continue };
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            let challenged = self.nonce.is_empty() && status == "401";
            return if status == "200" || challenged { Ok(answer) } else { Err(format!("{method}: {status}")) };
        }
    }

    /// The next answer; `None`: it was a packet of media or RTCP, and is counted.
    fn next_message(&mut self) -> Result<Option<String>, String> {
        let mut head = [0; 4];
        self.read(&mut head)?;
        if head[0] != b'$' {
            return self.answer(&head).map(Some);
        }
        let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        self.read(&mut packet)?;
        match self.tracks.get_mut(usize::from(head[1] / 2)) {
            Some(track) if head[1].is_multiple_of(2) => track.rtp(&packet, &self.counts),
            Some(track) => track.rtcp(&packet),
            None => {}
        }
        Ok(None)
    }

    fn answer(&mut self, begin: &[u8]) -> Result<String, String> {
        let mut text = begin.to_vec();
        while !text.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.read(&mut byte)?;
            text.extend_from_slice(&byte);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let length = between(&text, "Content-Length: ", "\r\n").and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.read(&mut body)?;
        Ok(text + &String::from_utf8_lossy(&body))
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), String> {
        self.socket.read_exact(into).map_err(|e| format!("the server closed the stream: {e}"))?;
        self.bytes.fetch_add(into.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

fn md5_hex(text: &str) -> String {
    perch_base::secret::hex(&Md5::digest(text.as_bytes()))
}
