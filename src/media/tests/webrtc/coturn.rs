//! The relay of `image/coturn`, run as it is, with credentials as the box hands them out: whom it lets in, and to where it relays nobody.

use super::*;
use aws_lc_rs::hmac;
use openssl::hash::{MessageDigest, hash};
use perch_base::secret::Secret;
use perch_media::webrtc::TurnServer;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

const ALLOCATE: u16 = 0x003;
const CREATE_PERMISSION: u16 = 0x008;
const USERNAME: u16 = 0x06;
const INTEGRITY: u16 = 0x08;
const ERROR: u16 = 0x09;
const PEER: u16 = 0x12;
const REALM: u16 = 0x14;
const NONCE: u16 = 0x15;
const FAMILY: u16 = 0x17;
const TRANSPORT: u16 = 0x19;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;

/// Attributes of a message: what each is, and what it says.
type Attributes = Vec<(u16, Vec<u8>)>;

/// coturn with the file that owners copy; ends when dropped.
struct Coturn {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Coturn {
    fn start(secret: &str) -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../image/coturn/turnserver.conf");
        let text = std::fs::read_to_string(file).expect("the file for owners");
        let (mut lines, mut changed) = (String::new(), 0);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let key = line.split('=').next().unwrap_or_default();
            match (line.contains("CHANGE"), key) {
                (true, "static-auth-secret") => lines.push_str(&format!("{key}={secret}\n")),
                (true, "realm") => lines.push_str("realm=turn.example\n"),
                // Without a certificate: what is looked at is the same over TLS.
                (true, _) => {}
                (false, "listening-port" | "tls-listening-port" | "min-port" | "max-port") => {}
                (false, _) => lines.push_str(&format!("{line}\n")),
            }
            changed += usize::from(line.contains("CHANGE"));
        }
        assert_eq!(changed, 4, "what an owner must fill in");
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("turnserver.conf");
        std::fs::write(&config, lines).expect("written");
        let port = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
        let process = Command::new("turnserver")
            .arg("-c")
            .arg(&config)
            .args(["--listening-ip=127.0.0.1", "--listening-ip=::1", "--relay-ip=127.0.0.1", "--relay-ip=::1"])
            .args(["--no-tls", "--no-dtls", "--log-file=stdout", &format!("--listening-port={port}")])
            .arg(format!("--pidfile={}", folder.path().join("pid").display()))
            .arg(format!("--userdb={}", folder.path().join("db").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("coturn is installed (.ci/setup)");
        Self { process, port, _folder: folder }
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client of TURN (RFC 8656), as far as it is needed here.
struct Client {
    socket: UdpSocket,
    number: u8,
    signed: Option<(Attributes, Vec<u8>)>,
}

impl Client {
    fn to(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(("127.0.0.1", port)).expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
        Self { socket, number: 0, signed: None }
    }

    /// Asks; the answer's error code (`None`: success) and attributes.
    fn ask(&mut self, method: u16, attributes: &[(u16, Vec<u8>)]) -> (Option<u16>, Attributes) {
        self.number += 1;
        let mut message = Vec::from(method.to_be_bytes());
        message.extend([0, 0]);
        message.extend(COOKIE);
        message.extend([self.number; 12]);
        let add = |message: &mut Vec<u8>, kind: u16, value: &[u8]| {
            message.extend(kind.to_be_bytes());
            message.extend((value.len() as u16).to_be_bytes());
            message.extend(value);
            message.resize(message.len().next_multiple_of(4), 0);
        };
        let credentials = self.signed.iter().flat_map(|(credentials, _)| credentials);
        attributes.iter().chain(credentials).for_each(|(kind, value)| add(&mut message, *kind, value));
        if let Some((_, key)) = &self.signed {
            let with_integrity = (message.len() - HEADER + 24) as u16;
            message[2..4].copy_from_slice(&with_integrity.to_be_bytes());
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
            let tag = hmac::sign(&key, &message);
            add(&mut message, INTEGRITY, tag.as_ref());
        }
        let length = (message.len() - HEADER) as u16;
        message[2..4].copy_from_slice(&length.to_be_bytes());
        let mut buf = [0; 2048];
        for _ in 0..40 {
            let _ = self.socket.send(&message);
            match self.socket.recv(&mut buf) {
                Ok(len) if len >= HEADER && buf[8] == self.number => return read(&buf[..len]),
                // It is not there yet.
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        panic!("coturn does not answer");
    }

    /// Asks for a relayed address; the error's code where that is refused.
    fn allocate(&mut self, family: u8, (user, password): (&str, &str)) -> Option<u16> {
        let wanted = [(TRANSPORT, vec![17, 0, 0, 0]), (FAMILY, vec![family, 0, 0, 0])];
        let (code, said) = self.ask(ALLOCATE, &wanted);
        assert_eq!(code, Some(401), "nobody is let in without a name");
        let value = |kind| said.iter().find(|(k, _)| *k == kind).map(|(_, value)| value.clone()).expect("said");
        let realm = value(REALM);
        let key = [user.as_bytes(), b":", &realm, b":", password.as_bytes()].concat();
        let key = hash(MessageDigest::md5(), &key).expect("known").to_vec();
        let credentials = vec![(USERNAME, user.as_bytes().to_vec()), (REALM, realm), (NONCE, value(NONCE))];
        self.signed = Some((credentials, key));
        self.ask(ALLOCATE, &wanted).0
    }

    /// Asks to be relayed to `peer`; the error's code where that is refused.
    fn permit(&mut self, peer: &str) -> Option<u16> {
        let mask = [&COOKIE[..], &[self.number + 1; 12]].concat();
        let (family, address) = match peer.parse().expect("an address") {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        let mut value = vec![0, family, 0x21 ^ 0x12, 0x12 ^ 0x34];
        value.extend(address.iter().zip(&mask).map(|(a, b)| a ^ b));
        self.ask(CREATE_PERMISSION, &[(PEER, value)]).0
    }
}

fn read(message: &[u8]) -> (Option<u16>, Attributes) {
    let mut attributes = Vec::new();
    let mut rest = &message[HEADER..];
    while let [k0, k1, l0, l1, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some(value) = tail.get(..len) else { break };
        attributes.push((u16::from_be_bytes([*k0, *k1]), value.to_vec()));
        rest = tail.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    let code = |value: &Vec<u8>| u16::from(value[2]) * 100 + u16::from(value[3]);
    (attributes.iter().find(|(kind, _)| *kind == ERROR).map(|(_, value)| code(value)), attributes)
}

#[test]
fn the_relay_for_owners_lets_in_who_the_box_sends_and_relays_to_nobody_inside() {
    const SECRETS: [&str; 2] = ["the new one", "the one before"];
    // It does not know the new secret yet.
    let coturn = Coturn::start(SECRETS[1]);
    let server: SocketAddr = ([127, 0, 0, 1], coturn.port).into();
    let secrets = SECRETS.map(|secret| Secret::new(secret.into())).to_vec();
    let turn = vec![TurnServer { url: format!("turn:{server}"), secrets, ca_pem: None }];
    let bench = Bench::with(Config { turn, ..Config::new("127.0.0.1:0".parse().expect("valid")) });
    let credentials = |at: Timestamp| -> Vec<(String, String)> {
        let all = bench.engine.ice_servers(at, &"f00d");
        all.into_iter().filter_map(|s| s.credential).map(|(name, word)| (name, word.expose().to_owned())).collect()
    };
    let now = SystemClock.utc();
    let fresh = credentials(now);
    let allocated: Vec<_> =
        fresh.iter().map(|(name, word)| Client::to(coturn.port).allocate(1, (name, word))).collect();
    assert_eq!(allocated, [Some(401), None], "one of both is good at any time");
    let (name, word) = &fresh[1];
    let late = credentials(now - Duration::from_secs(660));
    assert_eq!(Client::to(coturn.port).allocate(1, (&late[1].0, &late[1].1)), Some(401), "it lapsed a minute ago");
    assert_eq!(Client::to(coturn.port).allocate(1, (name, "guessed")), Some(401));
    let mut client = Client::to(coturn.port);
    assert_eq!(client.allocate(1, (name, word)), None);
    for inside in [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        assert_eq!(client.permit(inside), Some(403), "{inside}");
    }
    for outside in ["8.8.8.8", "172.32.0.1", "193.0.0.1"] {
        assert_eq!(client.permit(outside), None, "{outside}");
    }
    let mut client = Client::to(coturn.port);
    assert_eq!(client.allocate(2, (name, word)), None);
    for inside in [
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2001::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(client.permit(inside).is_some_and(|code| code == 403 || code == 443), "{inside}");
    }
    assert_eq!(client.permit("2606:4700::1111"), None);
}
