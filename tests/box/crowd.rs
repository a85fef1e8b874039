//! A box that strangers crowd: every place that they can take on HTTPS and RTSP is taken from many addresses, again and again.
//! Whoever has a credential gets in, recording goes on, and the box knows that it is alive.

use crate::support::client::Client;
use crate::support::ffmpeg::probe_rtsp;
use crate::support::home::{Home, camera};
use crate::support::{long, s, wait_until};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const ALWAYS: &str = "audio = { source = \"test\" }\nmotion = { enabled = false }\nrecord = { mode = \"continuous\" }";
/// Source addresses of the crowd.
const ADDRESSES: u8 = 12;
/// Connections that each address tries to hold.
const EACH: usize = 64;
/// How hard it pushes: so many new connections an address at most in each such time. As fast as it can, the crowd would measure the
/// machine that runs both sides instead of the box.
const PUSH: (usize, Duration) = (3, Duration::from_millis(250));
/// A question comes after a sign of life, or when this has passed since the one before.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What a stranger holds.
enum Held {
    /// A connection that says nothing, or begins a TLS handshake and stops.
    Raw(TcpStream),
    /// A keep-alive connection on which something public was asked.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Held {
    fn is_open(&self) -> bool {
        let tcp = match self {
            Self::Raw(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        };
        let _ = tcp.set_nonblocking(true);
        let open = match tcp.peek(&mut [0]) {
            Ok(n) => n > 0,
            Err(e) => e.kind() == ErrorKind::WouldBlock,
        };
        let _ = tcp.set_nonblocking(false);
        open
    }
}

fn connect_from(last: u8, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 7, last), 0)).into())?;
    socket.connect_timeout(&to.into(), s(2))?;
    let tcp = TcpStream::from(socket);
    tcp.set_read_timeout(Some(s(2)))?;
    tcp.set_write_timeout(Some(s(2)))?;
    Ok(tcp)
}

fn take_one(kind: usize, last: u8, http: SocketAddr, rtsp: SocketAddr, client: &Client) -> std::io::Result<Held> {
    if kind % 8 == 7 {
        let mut tcp = connect_from(last, rtsp)?;
        tcp.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")?;
        return Ok(Held::Raw(tcp));
    }
    let mut tcp = connect_from(last, http)?;
    match kind % 4 {
        0 => Ok(Held::Raw(tcp)),
        1 => tcp.write_all(&[0x16, 3, 1, 2, 0]).map(|()| Held::Raw(tcp)),
        _ => {
            let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
            let session = ClientConnection::new(client.tls(), name).map_err(std::io::Error::other)?;
            let mut tls = StreamOwned::new(session, tcp);
            tls.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            tls.read_exact(&mut [0; 12])?;
            Ok(Held::Tls(Box::new(tls)))
        }
    }
}

/// Takes places from one address until nobody sends on `stop` any more, and takes another for each that was lost.
fn crowd(last: u8, http: SocketAddr, rtsp: SocketAddr, client: &Client, stop: &Receiver<()>, taken: &AtomicUsize) {
    let mut held: Vec<Held> = Vec::new();
    let mut kind = usize::from(last);
    while stop.recv_timeout(PUSH.1) == Err(RecvTimeoutError::Timeout) {
        held.retain(Held::is_open);
        for _ in 0..PUSH.0.min(EACH - held.len()) {
            kind += 1;
            if let Ok(one) = take_one(kind, last, http, rtsp, client) {
                taken.fetch_add(1, Ordering::Relaxed);
                held.push(one);
            }
        }
    }
}

#[test]
fn strangers_who_take_every_place_keep_nobody_out() {
    let home = Home::new(&camera("test", "test", ALWAYS));
    let socket = UnixDatagram::bind(home.dir().join("notify")).expect("bound");
    socket.set_read_timeout(Some(ASK_EVERY)).expect("set");
    let env = [("NOTIFY_SOCKET", home.dir().join("notify")), ("WATCHDOG_USEC", "3000000".into())];
    let mut running = home.boot_with(&env);
    let admin = running.paired();
    let password = admin.stream_password("tv");
    wait_until("it records", s(60), || (admin.camera("test")["recording"]["state"] == "recording").then_some(()));

    let taken = Arc::new(AtomicUsize::new(0));
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (http, rtsp) = (at(running.ports.http), at(running.ports.rtsp));
    let (stops, strangers): (Vec<_>, Vec<_>) = (1..=ADDRESSES)
        .map(|last| {
            let (client, taken, (stop, stopped)) = (running.client(), taken.clone(), channel());
            (stop, std::thread::spawn(move || crowd(last, http, rtsp, &client, &stopped, &taken)))
        })
        .unzip();
    wait_until("the crowd has come", s(60), || (taken.load(Ordering::Relaxed) > 300).then_some(()));

    // A watchdog that is not fed for this long starts the box again; the life signs must outlast their first grace.
    let lasts = if long() { s(240) } else { s(20) };
    let (started, mut fed, mut longest, mut asked, mut failed) = (Instant::now(), 0u32, Duration::ZERO, 0u32, 0u32);
    let mut buf = [0; 4096];
    while started.elapsed() < lasts {
        let one = Instant::now();
        match admin.try_send("GET", "/api/v1/me", &[], b"") {
            Ok(answer) => _ = answer.expect(200),
            Err(_) => failed += 1,
        }
        asked += 1;
        longest = longest.max(one.elapsed());
        // The next question follows a sign of life, or comes when it is time. There is about one a second.
        if let Ok(n) = socket.recv(&mut buf) {
            fed += u32::from(String::from_utf8_lossy(&buf[..n]).lines().any(|l| l == "WATCHDOG=1"));
        }
    }
    let url = running.rtsp_url("tv", &password, "test");
    let reader = probe_rtsp(&url, "tcp");
    let places = taken.load(Ordering::Relaxed);
    drop(stops);
    strangers.into_iter().for_each(|t| t.join().expect("it ends"));
    eprintln!("{places} places taken; {asked} questions, {failed} failed, the longest {longest:?}; fed {fed} times");
    assert_eq!(failed, 0, "of {asked} questions");
    assert!(longest < s(5), "an answer took {longest:?}");
    assert!(u64::from(fed) * 3 >= lasts.as_secs(), "the watchdog was fed {fed} times in {lasts:?}");
    assert!(reader.as_ref().is_ok_and(|r| r.has("video:h264")), "an RTSP reader with a password gets in: {reader:?}");
    let status = admin.json("/api/v1/status");
    let now = status["clock"]["now"].as_str().expect("a time");
    let timeline = admin.json(&format!("/api/v1/cameras/test/timeline?from={}-01-01T00:00:00Z&to={now}", &now[..4]));
    assert_eq!(timeline["spans"].as_array().map(Vec::len), Some(1), "{timeline}");
    assert_eq!(timeline["gaps"].as_array().map(Vec::len), Some(0), "{timeline}");
    assert!(running.terminate().success(), "{}", running.log());
}
