//! A small RTSP player over one TCP connection, to do what real players would not.

use gstreamer::glib;
use perch_base::ids::CameraId;
use perch_base::secret::Secret;
use perch_domain::access::{CameraGrant, StreamLogin};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub struct Client {
    stream: BufReader<TcpStream>,
    base: String,
    login: Option<(String, String)>,
    nonce: Option<String>,
    cseq: u32,
    pub session: Option<String>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// A stream password for these cameras; none named is all.
pub fn stream_login(user: &str, password: &str, cameras: &[&str]) -> StreamLogin {
    let ids = cameras.iter().map(|id| CameraId::new(id).expect("an id")).collect();
    let cameras = if cameras.is_empty() { CameraGrant::All } else { CameraGrant::Only(ids) };
    let ha1 = Secret::new(ha1(user, password));
    StreamLogin { name: user.into(), ha1, cameras, cut_off_until: None }
}

fn ha1(user: &str, password: &str) -> String {
    md5(&format!("{user}:perch:{password}"))
}

fn md5(text: &str) -> String {
    glib::compute_checksum_for_data(glib::ChecksumType::Md5, text.as_bytes()).expect("MD5").into()
}

impl Client {
    pub fn connect(at: SocketAddr, path: &str, login: Option<(&str, &str)>) -> Self {
        Self::with_stream(TcpStream::connect(at).expect("connects"), at, path, login)
    }

    /// A player whose kernel takes little, so that it is stuck soon after it stops reading.
    pub fn connect_small(at: SocketAddr, path: &str, login: Option<(&str, &str)>) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
        socket.set_recv_buffer_size(8 << 10).expect("buffer");
        socket.connect(&at.into()).expect("connects");
        Self::with_stream(socket.into(), at, path, login)
    }

    fn with_stream(stream: TcpStream, at: SocketAddr, path: &str, login: Option<(&str, &str)>) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            base: format!("rtsp://{at}{path}"),
            login: login.map(|(u, p)| (u.to_owned(), p.to_owned())),
            nonce: None,
            cseq: 0,
            session: None,
        }
    }

    /// Sends a request and reads its response; repeats it once with credentials when they are asked for.
    pub fn ask(&mut self, method: &str, suffix: &str, headers: &[(&str, &str)]) -> std::io::Result<Response> {
        let first = self.ask_once(method, suffix, headers)?;
        let challenge = first.header("WWW-Authenticate").and_then(|h| h.split("nonce=\"").nth(1)?.split('"').next());
        match (challenge, &self.login, first.status) {
            (Some(nonce), Some(_), 401) if self.nonce.is_none() => {
                self.nonce = Some(nonce.to_owned());
                self.ask_once(method, suffix, headers)
            }
            _ => Ok(first),
        }
    }

    /// Sends a request for another path over the same connection and session; its status.
    pub fn ask_elsewhere(&mut self, path: &str, method: &str) -> u16 {
        let at = self.stream.get_ref().peer_addr().expect("connected");
        let own = std::mem::replace(&mut self.base, format!("rtsp://{at}{path}"));
        let answer = self.ask(method, "", &[]);
        self.base = own;
        answer.expect("answers").status
    }

    fn ask_once(&mut self, method: &str, suffix: &str, headers: &[(&str, &str)]) -> std::io::Result<Response> {
        self.cseq += 1;
        let url = format!("{}{suffix}", self.base);
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n", self.cseq);
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        if let (Some(nonce), Some((user, password))) = (&self.nonce, &self.login) {
            let response = md5(&format!("{}:{nonce}:{}", ha1(user, password), md5(&format!("{method}:{url}"))));
            text += &format!(
                "Authorization: Digest username=\"{user}\", realm=\"perch\", nonce=\"{nonce}\", uri=\"{url}\", response=\"{response}\"\r\n"
            );
        }
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
        loop {
            if self.stream.fill_buf()?.first() != Some(&b'$') {
                return self.response();
            }
            self.packet()?;
        }
    }

    fn response(&mut self) -> std::io::Result<Response> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => break,
            }
        }
        let mut response = Response { status, headers, body: String::new() };
        let len = response.header("Content-Length").map_or(0, |l| l.parse().expect("a length"));
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body)?;
        response.body = String::from_utf8_lossy(&body).into_owned();
        Ok(response)
    }

    /// Sends an interleaved packet on `channel` (RFC 2326, section 10.12).
    pub fn say(&mut self, channel: u8, payload: &[u8]) -> std::io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(std::io::Error::other)?.to_be_bytes();
        self.stream.get_mut().write_all(&[&[b'$', channel, length[0], length[1]], payload].concat())
    }

    /// One interleaved packet: channel and payload.
    pub fn packet(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        if head[0] != b'$' {
            return Err(std::io::Error::other("not a packet"));
        }
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        self.stream.read_exact(&mut payload)?;
        Ok((head[1], payload))
    }

    /// DESCRIBE, SETUP of both tracks over TCP, PLAY. Returns the SDP.
    pub fn play(&mut self) -> String {
        self.play_tracks(&[("/stream=0", "0-1"), ("/stream=1", "2-3")])
    }

    /// The same with these tracks and their channels.
    pub fn play_tracks(&mut self, tracks: &[(&str, &str)]) -> String {
        let describe = self.ask("DESCRIBE", "", &[("Accept", "application/sdp")]).expect("answers");
        assert_eq!(describe.status, 200, "{describe:?}");
        for (track, channels) in tracks {
            let transport = format!("RTP/AVP/TCP;unicast;interleaved={channels}");
            let setup = self.ask("SETUP", track, &[("Transport", &transport)]).expect("answers");
            assert_eq!(setup.status, 200, "{setup:?}");
            let session = setup.header("Session").expect("a session").split(';').next().expect("an id");
            self.session = Some(session.to_owned());
        }
        let play = self.ask("PLAY", "", &[("Range", "npt=0-")]).expect("answers");
        assert_eq!(play.status, 200, "{play:?}");
        describe.body
    }

    /// Reads for `time`; returns bytes of video and of audio.
    pub fn read_for(&mut self, time: Duration) -> std::io::Result<(usize, usize)> {
        let until = Instant::now() + time;
        let (mut video, mut audio) = (0, 0);
        while Instant::now() < until {
            match self.packet()? {
                (0, payload) => video += payload.len(),
                (2, payload) => audio += payload.len(),
                _ => {}
            }
        }
        Ok((video, audio))
    }

    /// Whether the server ends the connection within `time`.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut junk = [0; 65536];
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.get_ref().set_read_timeout(Some(left)).expect("timeout");
            match self.stream.read(&mut junk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(_) => return true,
            }
        }
        false
    }
}
