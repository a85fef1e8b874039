//! The box's own candidates from outside, with a real coturn: its relay over UDP, TCP and TLS, and the address by which others see its port.

use super::*;
use perch_base::net;
use perch_base::secret::Secret;
use perch_base::shutdown::{self, Trigger};
use perch_domain::doctor::{HttpsFacts, HttpsTry, LiveWay, diagnose};
use perch_media::webrtc::{Gatherer, TurnServer};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

const SECRET: &str = "of the relay";

/// An address of this machine that is not its loopback one, which no viewer is looked for at. `None`: there is none, and the test says so.
fn outside() -> Option<IpAddr> {
    let all = net::interfaces().expect("read");
    let addresses = all.iter().filter(|interface| !interface.is_loopback).flat_map(|i| i.addresses.iter().copied());
    let found = addresses.into_iter().find(|ip| matches!(ip, IpAddr::V4(v4) if !v4.is_link_local()));
    if found.is_none() {
        eprintln!("SKIPPED: this machine has no IPv4 address but loopback");
    }
    found
}

/// coturn as somebody might run it in a house: it relays to any address.
struct Relay {
    process: Child,
    ip: IpAddr,
    port: u16,
    tls_port: u16,
    folder: tempfile::TempDir,
}

impl Relay {
    fn start(ip: IpAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certificate(folder.path(), ip);
        let free = || UdpSocket::bind((ip, 0)).expect("a port").local_addr().expect("its number").port();
        let (port, tls_port) = (free(), free());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let process = Command::new("turnserver")
            .args([
                "-n",
                "--use-auth-secret",
                "--realm=house",
                "--no-cli",
                "--fingerprint",
                "--verbose",
                "--log-file=stdout",
            ])
            .args(["--no-dtls", "--allow-loopback-peers", &format!("--static-auth-secret={SECRET}")])
            .args([format!("--listening-ip={ip}"), format!("--relay-ip={ip}")])
            .args([format!("--listening-port={port}"), format!("--tls-listening-port={tls_port}")])
            .args([format!("--cert={}", file("cert.pem")), format!("--pkey={}", file("key.pem"))])
            .args([format!("--pidfile={}", file("pid")), format!("--userdb={}", file("db"))])
            .stdout(std::fs::File::create(folder.path().join("log")).expect("a file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("coturn is installed (.ci/setup)");
        Self { process, ip, port, tls_port, folder }
    }

    fn server(&self, transport: &str, secret: &str) -> TurnServer {
        let Self { ip, port, tls_port, .. } = self;
        let url = match transport {
            "tls" => format!("turns:{ip}:{tls_port}"),
            _ => format!("turn:{ip}:{port}?transport={transport}"),
        };
        let pem = std::fs::read_to_string(self.folder.path().join("cert.pem")).expect("there");
        TurnServer { url, secrets: vec![Secret::new(secret.into())], ca_pem: Some(Secret::new(pem)) }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("there")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A certificate of the address, in `folder`.
fn certificate(folder: &Path, ip: IpAddr) {
    let text = format!(
        "[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = relay\n[ext]\n\
         subjectAltName = IP:{ip}\nbasicConstraints = critical,CA:FALSE\n"
    );
    std::fs::write(folder.join("req"), text).expect("written");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-config", "req", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl is installed").success());
}

/// Gathers on a thread of its own until it is dropped.
struct Gathering {
    end: Trigger,
    thread: Option<JoinHandle<()>>,
}

impl Gathering {
    fn start(mut gatherer: Gatherer) -> Self {
        let (end, shutdown) = shutdown::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(gatherer.run_once(&shutdown)).expect("ends when it is told to");
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.end.fire();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

fn config(ip: IpAddr, turn: Vec<TurnServer>) -> Config {
    Config { turn, ..Config::new(SocketAddr::new(ip, 0)) }
}

/// The candidates of an answer, asked for until one of `kind` is among them.
fn candidate(bench: &Bench, ip: IpAddr, kind: &str) -> SocketAddr {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let offer = Offer::at(ip, true);
        let answer = bench.engine.watch(bench.request(device(), StreamChoice::Auto, &offer.sdp)).expect("accepted");
        bench.engine.end(answer.lease).expect("there");
        if let Some(found) = candidates(&answer.sdp).into_iter().find(|(_, of)| of == kind) {
            return found.0;
        }
        assert!(Instant::now() < deadline, "no {kind} in {:?}", candidates(&answer.sdp));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn candidates(sdp: &str) -> Vec<(SocketAddr, String)> {
    let read = |line: &str| {
        let words: Vec<&str> = line.strip_prefix("a=candidate:")?.split(' ').collect();
        let address = SocketAddr::new(words[4].parse().ok()?, words[5].parse().ok()?);
        Some((address, words[7].to_owned()))
    };
    sdp.lines().filter_map(read).collect()
}

#[test]
fn the_box_is_seen_and_spoken_through_by_its_relay_alone_over_udp_tcp_and_tls() {
    let Some(ip) = outside() else { return };
    let relay = Relay::start(ip);
    for transport in ["udp", "tcp", "tls"] {
        let turn = vec![relay.server(transport, SECRET)];
        let bench = Bench::with(Config { relay_only: true, ..config(ip, turn) });
        let gathering = Gathering::start(bench.engine.gatherer());
        let relayed = candidate(&bench, ip, "relay");
        let offer = Offer::at(ip, true);
        let answer = bench.engine.watch(bench.request(device(), StreamChoice::Auto, &offer.sdp)).expect("accepted");
        assert_eq!(candidates(&answer.sdp), [(relayed, "relay".to_owned())], "{transport}");
        let viewer = offer.go(&answer.sdp);
        let seen = viewer.until("two seconds of media", |s| s.frames >= 60 && s.sounds >= 90);
        assert_eq!((seen.broken, seen.from), (0, Some(relayed)), "{transport}");
        // Where another test floods the machine a datagram may be lost: it is sent again.
        assert!(seen.gaps <= 5, "{transport}: {} gaps", seen.gaps);
        assert!(bench.engine.sessions().expect("answers")[0].relayed, "{transport}");
        talking::is_heard_from(&bench, ip);
        drop(viewer);
        bench.until("it ends", |b| b.engine.stats().sessions == 0);
        drop(gathering);
        assert!(candidates(&answer_of(&bench, ip)).is_empty(), "it was given back");
        let log = relay.log();
        assert!(log.contains("refreshed, realm=<house>") && log.contains("lifetime=0"), "{transport}: {log}");
    }
}

fn answer_of(bench: &Bench, ip: IpAddr) -> String {
    let offer = Offer::at(ip, true);
    bench.engine.watch(bench.request(device(), StreamChoice::Auto, &offer.sdp)).expect("accepted").sdp
}

#[test]
fn a_server_that_is_of_no_use_gives_way_to_the_next_and_settings_are_followed() {
    let Some(ip) = outside() else { return };
    let relay = Relay::start(ip);
    let nobody = TurnServer { url: format!("turn:{ip}:9?transport=tcp"), ..relay.server("tcp", SECRET) };
    let turn = vec![nobody, relay.server("udp", "another secret"), relay.server("tcp", SECRET)];
    let bench = Bench::with(config(ip, turn));
    let _gathering = Gathering::start(bench.engine.gatherer());
    let relayed = candidate(&bench, ip, "relay");
    assert_eq!(relayed.ip(), ip);
    bench.engine.follow(config(ip, Vec::new()));
    bench.until("it is given back", |b| candidates(&answer_of(b, ip)).iter().all(|(_, kind)| kind == "host"));
}

/// A router: what comes from inside leaves by a port of its own.
struct Router {
    inside: SocketAddr,
    outside: SocketAddr,
}

impl Router {
    fn start(ip: IpAddr, server: SocketAddr) -> Self {
        let bind = || Arc::new(UdpSocket::bind((ip, 0)).expect("a port"));
        let (inside, outside) = (bind(), bind());
        let router =
            Self { inside: inside.local_addr().expect("bound"), outside: outside.local_addr().expect("bound") };
        std::thread::spawn(move || {
            let mut asker = None;
            let mut buf = [0; 2048];
            for socket in [&inside, &outside] {
                socket.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
            }
            loop {
                if let Ok((len, from)) = inside.recv_from(&mut buf) {
                    asker = Some(from);
                    let _ = outside.send_to(&buf[..len], server);
                }
                if let (Ok((len, _)), Some(asker)) = (outside.recv_from(&mut buf), asker) {
                    let _ = inside.send_to(&buf[..len], asker);
                }
            }
        });
        router
    }
}

#[test]
fn behind_a_router_viewers_are_told_the_address_that_others_see() {
    let Some(ip) = outside() else { return };
    let relay = Relay::start(ip);
    let router = Router::start(ip, SocketAddr::new(ip, relay.port));
    let stun = vec![format!("stun:{}", router.inside)];
    let all: SocketAddr = "[::]:0".parse().expect("valid");
    let bench = Bench::with(Config { stun, ..Config::new(all) });
    let _gathering = Gathering::start(bench.engine.gatherer());
    assert_eq!(candidate(&bench, ip, "srflx"), router.outside);
}

#[test]
fn the_doctor_tries_each_server_and_says_why_one_is_of_no_use() {
    let Some(ip) = outside() else { return };
    let relay = Relay::start(ip);
    let nobody = TurnServer { url: format!("turn:{ip}:9?transport=tcp"), ..relay.server("tcp", SECRET) };
    let untrusted = TurnServer { ca_pem: None, ..relay.server("tls", SECRET) };
    let [udp, tcp, tls] = ["udp", "tcp", "tls"].map(|transport| relay.server(transport, SECRET));
    let turn = vec![udp, tcp, tls, nobody, relay.server("udp", "another secret"), untrusted];
    let stun = vec![format!("stun:{ip}:{}", relay.port)];
    let bench = Bench::with(Config { stun, ..config(ip, turn) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // It may not listen yet.
    let deadline = Instant::now() + Duration::from_secs(20);
    let said = loop {
        let found = runtime.block_on(bench.engine.examine()).expect("nobody else asks");
        let https = HttpsFacts { listen: ([127, 0, 0, 1], 8443).into(), tried: HttpsTry::Answers };
        let said = diagnose(&found, &https);
        if said.ways.iter().any(|way| way.way == LiveWay::TurnTls && way.works) || Instant::now() > deadline {
            break said;
        }
    };
    let shown: Vec<_> = said.ways.iter().map(|way| (way.way, way.works, way.says.as_str())).collect();
    let relays = shown.iter().filter(|(way, ..)| matches!(way, LiveWay::TurnUdp | LiveWay::TurnTcp | LiveWay::TurnTls));
    let relays: Vec<_> =
        relays.map(|(way, works, says)| (*way, *works, says.split(':').next().unwrap_or(says))).collect();
    let relayed = format!("it relays by {ip}");
    let works = |way| (way, true, relayed.as_str());
    let want = [
        works(LiveWay::TurnUdp),
        (LiveWay::TurnUdp, false, "it refuses the box's credentials"),
        works(LiveWay::TurnTcp),
        (LiveWay::TurnTcp, false, "it cannot be reached"),
        works(LiveWay::TurnTls),
        (LiveWay::TurnTls, false, "it cannot be trusted"),
    ];
    let is_like = |(got, want): (&(LiveWay, bool, &str), &(LiveWay, bool, &str))| {
        (got.0, got.1) == (want.0, want.1) && got.2.starts_with(want.2)
    };
    assert!(relays.len() == want.len() && relays.iter().zip(&want).all(is_like), "{relays:#?}");
    assert!(relay.log().contains("lifetime=0"), "what is tried is given back");
}

/// Credentials lapse after ten minutes; who watches by the relay watches on.
#[test]
fn a_relay_outlives_the_credentials_that_it_was_asked_for_with() {
    let Some(ip) = outside() else { return };
    let relay = Relay::start(ip);
    let bench = Bench::with(Config { relay_only: true, ..config(ip, vec![relay.server("udp", SECRET)]) });
    // They lapse five seconds from now.
    bench.clock.by_us.store(-595_000_000, Ordering::SeqCst);
    let _gathering = Gathering::start(bench.engine.gatherer());
    let relayed = candidate(&bench, ip, "relay");
    let offer = Offer::at(ip, true);
    let answer = bench.engine.watch(bench.request(device(), StreamChoice::Auto, &offer.sdp)).expect("accepted");
    let viewer = offer.go(&answer.sdp);
    viewer.until("a picture", |s| s.frames > 3);
    std::thread::sleep(Duration::from_secs(7));
    let refreshes = || relay.log().matches("refreshed, realm=<house>").count();
    assert_eq!(refreshes(), 0);
    // Time to ask for it again, with a lease that is renewed meanwhile.
    for _ in 0..28 {
        bench.engine.renew(answer.lease).expect("there");
        bench.clock.by_us.fetch_add(20_000_000, Ordering::SeqCst);
    }
    bench.engine.renew(answer.lease).expect("there");
    bench.until_within(Duration::from_secs(15), "refreshed", |_| refreshes() > 0);
    let frames = viewer.seen().frames;
    viewer.until("pictures", |s| s.frames > frames + 60);
    assert_eq!(candidate(&bench, ip, "relay"), relayed);
}
