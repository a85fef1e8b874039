//! DTLS against itself, with RSA certificates, and against the library's own; over networks that lose, and strangers that lie.
#![allow(clippy::disallowed_methods, reason = "OpenSSL keeps the system's time, so a flight is lost for real")]

use super::*;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::rsa::Rsa;
use openssl::x509::X509NameBuilder;
use std::sync::OnceLock;

/// As `webrtcbin` makes it.
pub fn rsa_certificate() -> DtlsCert {
    static MADE: OnceLock<DtlsCert> = OnceLock::new();
    MADE.get_or_init(|| {
        let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        let mut name = X509NameBuilder::new().expect("a name");
        name.append_entry_by_text("CN", "player").expect("a name");
        let name = name.build();
        let mut x509 = X509::builder().expect("a certificate");
        x509.set_version(2).expect("valid");
        x509.set_serial_number(&BigNum::from_u32(1).expect("a number").to_asn1_integer().expect("a number"))
            .expect("valid");
        x509.set_subject_name(&name).expect("valid");
        x509.set_issuer_name(&name).expect("valid");
        x509.set_not_before(&Asn1Time::days_from_now(0).expect("a day")).expect("valid");
        x509.set_not_after(&Asn1Time::days_from_now(30).expect("a day")).expect("valid");
        x509.set_pubkey(&key).expect("valid");
        x509.sign(&key, MessageDigest::sha256()).expect("signed");
        DtlsCert {
            certificate: x509.build().to_der().expect("encodes"),
            private_key: key.private_key_to_pkcs8().expect("encodes"),
        }
    })
    .clone()
}

fn own_certificate() -> DtlsCert {
    static MADE: OnceLock<DtlsCert> = OnceLock::new();
    MADE.get_or_init(|| provider().generate_certificate().expect("a certificate")).clone()
}

fn library() -> &'static dyn DtlsProvider {
    str0m::crypto::from_feature_flags().dtls_provider
}

/// One side and what became of it.
struct Side {
    dtls: Box<dyn DtlsInstance>,
    due: Instant,
    connected: bool,
    peer: Option<Vec<u8>>,
    keys: Option<(Vec<u8>, SrtpProfile)>,
    goodbye: bool,
    failed: bool,
}

impl Side {
    fn new(provider: &dyn DtlsProvider, cert: &DtlsCert, version: DtlsVersion, active: bool) -> Self {
        let now = Instant::now();
        Self::of(provider.new_dtls(cert, now, version, Some(1150)).expect("takes the certificate"), active)
    }

    fn of(mut dtls: Box<dyn DtlsInstance>, active: bool) -> Self {
        dtls.set_active(active);
        let due = Instant::now();
        dtls.handle_timeout(due).expect("begins");
        Self { dtls, due, connected: false, peer: None, keys: None, goodbye: false, failed: false }
    }

    fn ours(cert: &DtlsCert, active: bool) -> Self {
        Self::new(provider(), cert, DtlsVersion::Dtls12, active)
    }

    /// What it has to send at `now`.
    fn says(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if !self.failed && now >= self.due {
            self.failed |= self.dtls.handle_timeout(now).is_err();
        }
        let (mut said, mut buf) = (Vec::new(), [0; 2000]);
        loop {
            match self.dtls.poll_output(&mut buf) {
                DtlsOutput::Packet(datagram) => {
                    assert!(datagram.len() <= 1150, "{} bytes", datagram.len());
                    said.push(datagram.to_vec());
                }
                DtlsOutput::Connected => self.connected = true,
                DtlsOutput::PeerCert(der) => self.peer = Some(der.to_vec()),
                DtlsOutput::KeyingMaterial(keys, profile) => self.keys = Some((keys.as_ref().to_vec(), profile)),
                DtlsOutput::CloseNotify => self.goodbye = true,
                DtlsOutput::Timeout(at) => {
                    self.due = at;
                    return said;
                }
                _ => panic!("nothing else is expected"),
            }
        }
    }
}

/// Lets both say all they have, over a network that passes on what `passes` lets through. Returns the datagrams of either.
fn exchange(sides: &mut [Side; 2], mut passes: impl FnMut(&[u8]) -> bool) -> [Vec<Vec<u8>>; 2] {
    let mut seen = [Vec::new(), Vec::new()];
    loop {
        let now = Instant::now();
        let mut quiet = true;
        for from in [0, 1] {
            for datagram in sides[from].says(now) {
                quiet = false;
                if passes(&datagram) {
                    let _ = sides[1 - from].dtls.handle_packet(&datagram);
                }
                seen[from].push(datagram);
            }
        }
        if quiet {
            return seen;
        }
    }
}

fn assert_agreed(sides: &[Side; 2], certificates: [&DtlsCert; 2], what: &str) {
    for (n, side) in sides.iter().enumerate() {
        assert!(side.connected && !side.failed && !side.goodbye, "{what}, side {n}");
        assert_eq!(side.peer.as_ref(), Some(&certificates[1 - n].certificate), "{what}, side {n}");
        assert_eq!(side.dtls.protocol_version(), Some(ProtocolVersion::DTLS1_2), "{what}, side {n}");
    }
    let keys = sides[0].keys.as_ref().expect("keys");
    assert_eq!(Some(keys), sides[1].keys.as_ref(), "{what}");
    assert_eq!((keys.0.len(), keys.1), (88, SrtpProfile::AEAD_AES_256_GCM), "{what}");
}

#[test]
fn both_roles_agree_with_rsa_and_with_the_librarys_own_dtls() {
    let (own, rsa) = (own_certificate(), rsa_certificate());
    for active in [true, false] {
        for (what, foreign, cert, version) in [
            ("RSA", provider(), &rsa, DtlsVersion::Dtls12),
            ("ECDSA", provider(), &own, DtlsVersion::Auto),
            ("the library's", library(), &own, DtlsVersion::Dtls12),
            ("the library's, which offers 1.3 too", library(), &own, DtlsVersion::Auto),
        ] {
            let mut sides = [Side::ours(&own, active), Side::new(foreign, cert, version, !active)];
            exchange(&mut sides, |_| true);
            assert_agreed(&sides, [&own, cert], &format!("{what}, active: {active}"));
            sides[1].dtls.close().expect("closes");
            exchange(&mut sides, |_| true);
            assert!(sides[0].goodbye && sides[0].dtls.is_closed(), "{what}: a goodbye is heard");
        }
    }
}

#[test]
fn any_one_lost_datagram_is_sent_again() {
    let (own, rsa) = (own_certificate(), rsa_certificate());
    let pair = |active| [Side::ours(&own, active), Side::ours(&rsa, !active)];
    let mut waiting = Vec::new();
    for active in [true, false] {
        let datagrams = exchange(&mut pair(active), |_| true).iter().map(Vec::len).sum::<usize>();
        assert!((4..20).contains(&datagrams), "{datagrams}");
        for lost in 0..datagrams {
            let mut sides = pair(active);
            let mut nth = 0..;
            exchange(&mut sides, |_| nth.next() != Some(lost));
            waiting.push((sides, format!("active: {active}, datagram {lost} of {datagrams} lost")));
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while !waiting.iter().all(|(sides, _)| sides.iter().all(|side| side.connected)) {
        assert!(Instant::now() < deadline, "not connected after 20 s");
        std::thread::sleep(LOOK_EVERY);
        for (sides, _) in &mut waiting {
            exchange(sides, |_| true);
        }
    }
    for (sides, what) in &waiting {
        assert_agreed(sides, [&own, &rsa], what);
    }
}

#[test]
fn a_player_without_a_certificate_or_without_srtp_is_refused() {
    let own = own_certificate();
    let bare = settings().expect("settings").build();
    let mut without_srtp = SslContextBuilder::new(SslMethod::dtls()).expect("a context");
    without_srtp.set_certificate(&X509::from_der(&own.certificate).expect("reads")).expect("fits");
    without_srtp.set_private_key(&PKey::private_key_from_der(&own.private_key).expect("reads")).expect("fits");
    for (what, context) in [("certificate", bare), ("SRTP", without_srtp.build())] {
        let player = Dtls::new(&context, None, Instant::now()).expect("an instance");
        let mut sides = [Side::ours(&own, false), Side::of(Box::new(player), true)];
        exchange(&mut sides, |_| true);
        assert!(sides[0].failed && !sides[0].connected && sides[0].keys.is_none(), "without {what}");
        assert_eq!(sides[0].dtls.protocol_version(), None, "without {what}");
    }
}

/// Whatever comes in a handshake or after it, nothing panics and little is answered; what runs already is not disturbed.
#[test]
fn foreign_bytes_disturb_no_session_that_runs() {
    let (own, rsa) = (own_certificate(), rsa_certificate());
    let real: Vec<_> = exchange(&mut [Side::ours(&own, false), Side::ours(&rsa, true)], |_| true).concat();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    for stage in 0..12 {
        for active in [true, false] {
            let mut sides = [Side::ours(&own, active), Side::ours(&rsa, !active)];
            let mut passed = 0..;
            exchange(&mut sides, |_| passed.next().is_some_and(|n| n < stage));
            let running = sides.iter().all(|side| side.connected);
            assert!(running || stage < 11, "so many datagrams make a handshake");
            for n in 0..200 {
                let mut datagram: Vec<u8> = match n % 4 {
                    0 => (0..next() % 1500).map(|_| next() as u8).collect(),
                    1 => {
                        // A record as it should be, of whatever kind, with anything in it.
                        let body: Vec<u8> = (0..next() % 200).map(|_| next() as u8).collect();
                        let header =
                            [20 + (next() % 5) as u8, 0xfe, 0xfd, 0, (next() % 2) as u8, 0, 0, 0, 0, 1, n as u8];
                        [&header[..], &(body.len() as u16).to_be_bytes(), &body].concat()
                    }
                    _ => real[next() % real.len()].clone(),
                };
                match n % 8 {
                    2 => datagram.truncate(next() % datagram.len()),
                    3 => {
                        let at = next() % datagram.len();
                        datagram[at] ^= 1 << (next() % 8);
                    }
                    7 if n % 5 == 0 => datagram = vec![next() as u8; 65_535],
                    _ => {}
                }
                let _ = sides[0].dtls.handle_packet(&datagram);
                assert!(sides[0].says(Instant::now()).len() <= MAX_OUTGOING);
            }
            if running {
                assert!(!sides[0].failed && !sides[0].goodbye, "stage {stage}, active: {active}");
                sides[1].dtls.close().expect("closes");
                exchange(&mut sides, |_| true);
                assert!(sides[0].goodbye, "it still understands its viewer");
                let _ = sides[0].dtls.handle_packet(&real[0]);
                assert!(sides[0].says(Instant::now()).is_empty(), "nothing is said after the end");
            }
        }
    }
}

/// By hand: `cargo test --release -p perch-media --lib dtls::tests::cost -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
#[allow(clippy::print_stdout, reason = "figures for a person")]
fn cost() {
    let (own, rsa) = (own_certificate(), rsa_certificate());
    for (what, ours, theirs, cert) in [
        ("library, library", library(), library(), &own),
        ("OpenSSL, library", provider(), library(), &own),
        ("OpenSSL, OpenSSL", provider(), provider(), &own),
        ("OpenSSL, OpenSSL with RSA", provider(), provider(), &rsa),
    ] {
        for active in [true, false] {
            let mut own_time = Duration::ZERO;
            for _ in 0..200 {
                let t0 = cpu_time();
                let mut ours = Side::new(ours, &own, DtlsVersion::Dtls12, active);
                own_time += cpu_time() - t0;
                let mut theirs = Side::new(theirs, cert, DtlsVersion::Dtls12, !active);
                while !(ours.connected && theirs.connected) {
                    let t0 = cpu_time();
                    let said = ours.says(Instant::now());
                    own_time += cpu_time() - t0;
                    said.iter().for_each(|datagram| theirs.dtls.handle_packet(datagram).expect("sound"));
                    let answer = theirs.says(Instant::now());
                    let t0 = cpu_time();
                    answer.iter().for_each(|datagram| ours.dtls.handle_packet(datagram).expect("sound"));
                    own_time += cpu_time() - t0;
                }
            }
            println!("{what}, active: {active}: {:?} of CPU for the first of them", own_time / 200);
        }
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
