//! A small HTTPS client that trusts the box's own CA. It sends what it is given, byte for byte, so that tests can send what no
//! library would. One connection a request.

use super::s;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the box may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection's two ends.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Talks to one box, with or without a credential.
#[derive(Clone)]
pub struct Client {
    port: u16,
    tls: Arc<ClientConfig>,
    pub token: Option<String>,
    pub device: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {} {}", self.status, self.text()))
    }

    /// Panics unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Panics unless it is a problem that a person can read.
    #[track_caller]
    pub fn problem(self, status: u16) -> Value {
        let answer = self.expect(status);
        let kind = answer.header("content-type").unwrap_or("");
        assert!(kind.starts_with("application/problem+json"), "{kind}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["status"], status, "{json}");
        assert!(json["detail"].as_str().is_some_and(|d| d.len() > 5), "{json}");
        json
    }
}

impl Client {
    /// A client of the box on this port of loopback, whose CA lies at `ca`.
    #[track_caller]
    pub fn new(port: u16, ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).expect("the box has a CA") {
            roots.add(certificate.expect("a certificate")).expect("a CA");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { port, tls: Arc::new(tls), token: None, device: String::new() }
    }

    /// The same client with another token.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// Pairs with a code; gives the client with its credential.
    #[track_caller]
    pub fn pair(&self, otp: &str, name: &str) -> Self {
        let body = serde_json::json!({ "otp": otp, "device_name": name });
        let paired = self.post("/api/v1/pair", &body).expect(201).json();
        let text = |key: &str| paired[key].as_str().expect("text").to_owned();
        Self { token: Some(text("token")), device: text("device_id"), ..self.clone() }
    }

    /// What it needs to trust the box, for connections of a test's own.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    /// Connects, without asking anything yet.
    pub fn connect(&self) -> io::Result<Tls> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let connection = ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, tcp))
    }

    /// Asks and reads the whole answer.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let mut tls = self.ask(method, path, headers, body)?;
        read_answer(&mut BufReader::new(&mut tls), method)
    }

    /// Sends a request and leaves its answer to be read. A box that answers before it has read all of `body` is heard.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Tls> {
        let mut tls = self.connect()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n").into_bytes();
        let given = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut put = |name: &str, value: &str| head.extend(format!("{name}: {value}\r\n").into_bytes());
        if !given("host") {
            put("Host", &format!("localhost:{}", self.port));
        }
        if let Some(token) = self.token.as_deref().filter(|_| !given("authorization")) {
            put("Authorization", &format!("Bearer {token}"));
        }
        if !matches!(method, "GET" | "HEAD") || !body.is_empty() {
            put("Content-Length", &body.len().to_string());
        }
        headers.iter().for_each(|(name, value)| put(name, value));
        head.extend(b"\r\n");
        tls.write_all(&head)?;
        for piece in body.chunks(16 * 1024) {
            if answered(&mut tls) || tls.write_all(piece).is_err() {
                break;
            }
        }
        // The same: what counts is the answer.
        let _ = tls.flush();
        Ok(tls)
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        match self.try_send(method, path, headers, body) {
            Ok(answer) => answer,
            Err(e) => panic!("{method} {path}: {e}"),
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// GET that must answer 200 with JSON.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// The box's own word on a camera.
    #[track_caller]
    pub fn camera(&self, id: &str) -> Value {
        self.json(&format!("/api/v1/cameras/{id}"))
    }

    /// Waits until a camera is in a state; gives the camera.
    #[track_caller]
    pub fn wait_for_camera(&self, id: &str, state: &str, within: Duration) -> Value {
        super::wait_until(&format!("camera {id} is {state}"), within, || {
            let camera = self.camera(id);
            (camera["health"]["state"] == state).then_some(camera)
        })
    }

    /// Makes a stream password; gives it.
    #[track_caller]
    pub fn stream_password(&self, name: &str) -> String {
        let made = self.post("/api/v1/stream-passwords", &serde_json::json!({ "name": name })).expect(201).json();
        made["password"].as_str().expect("a password").to_owned()
    }

    /// Begins to watch; gives the answer's SDP and the lease's path.
    #[track_caller]
    pub fn whep(&self, camera: &str, stream: &str, offer: &str) -> (String, String) {
        let path = format!("/api/v1/cameras/{camera}/whep?stream={stream}");
        let answer = self.send("POST", &path, &[("Content-Type", "application/sdp")], offer.as_bytes()).expect(201);
        let lease = answer.header("location").expect("a Location").to_owned();
        (answer.text(), lease)
    }
}

/// Whether (a part of) an answer has arrived.
fn answered(tls: &mut Tls) -> bool {
    // What cannot be read now is read later, with its error.
    let _ = tls.sock.set_nonblocking(true);
    let _ = tls.conn.read_tls(&mut tls.sock);
    let _ = tls.sock.set_nonblocking(false);
    tls.conn.process_new_packets().map_or(true, |state| state.plaintext_bytes_to_read() > 0 || state.peer_has_closed())
}

fn read_answer(stream: &mut impl BufRead, method: &str) -> io::Result<Answer> {
    let mut answer = read_head(stream)?;
    let length = answer.header("content-length").and_then(|v| v.parse::<u64>().ok());
    let chunked = answer.header("transfer-encoding").is_some_and(|v| v.contains("chunked"));
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        return Ok(answer);
    }
    if chunked {
        answer.body = read_chunks(stream)?;
    } else if let Some(length) = length {
        stream.take(length).read_to_end(&mut answer.body)?;
        if answer.body.len() as u64 != length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body was cut short"));
        }
    } else {
        stream.read_to_end(&mut answer.body)?;
    }
    Ok(answer)
}

/// Reads status and headers.
pub fn read_head(stream: &mut impl BufRead) -> io::Result<Answer> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let status = read_line(stream)?;
    let status =
        status.split(' ').nth(1).and_then(|n| n.parse().ok()).ok_or_else(|| bad(&format!("status line {status:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(Answer { status, headers, body: Vec::new() });
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("header without a colon"))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let size = u64::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16).map_err(io::Error::other)?;
        let before = body.len();
        stream.take(size).read_to_end(&mut body)?;
        if (body.len() - before) as u64 != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body was cut short"));
        }
        read_line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// One line without its end.
pub fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}

/// Waits until nothing listens there any more.
#[track_caller]
pub fn wait_until_closed(port: u16) {
    super::wait_until("the port is closed", s(5), || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err().then_some(())
    });
}
