//! The box's authority and leaf: kept, rotated, private; and binding the port.

use crate::support::*;
use perch_api::Server;
use perch_api::pki::{Names, Pki};
use perch_base::clock::{Clock, ManualClock, SystemClock};
use perch_base::time::Timestamp;
use perch_base::{ErrorKind, shutdown};
use rustls::pki_types::ServerName;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

const DAY: Duration = Duration::from_secs(86_400);

fn names(host: &str) -> Names {
    Names::new(host, &["203.0.113.9".into()], &["192.0.2.1".parse().expect("address")]).expect("names")
}

fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T00:00:00Z").expect("time")
}

fn open(dir: &Path, host: &str, now: Timestamp) -> Pki {
    Pki::open(dir, &names(host), now).expect("made or loaded")
}

#[test]
fn both_are_kept_and_the_leaf_is_rotated() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = open(dir.path(), "box", now());
    let again = open(dir.path(), "box", now() + 59 * DAY);
    assert_eq!(first.ca_sha256(), again.ca_sha256());
    assert_eq!(first.certificate().chain_pem, again.certificate().chain_pem, "nothing to do yet");
    let mut late = open(dir.path(), "box", now() + 61 * DAY);
    assert_ne!(first.certificate().chain_pem, late.certificate().chain_pem, "less than 30 days were left");
    assert_ne!(first.certificate().key_pem, late.certificate().key_pem);
    assert_eq!(first.ca_sha256(), late.ca_sha256());
    assert!(!late.refresh(&names("box"), now() + 62 * DAY).expect("looked"));
    assert!(late.refresh(&names("attic"), now() + 62 * DAY).expect("rotated"), "the name changed");
    assert!(late.refresh(&names("attic"), now() + 900 * DAY).expect("rotated"), "the clock went ahead");
    assert!(late.refresh(&names("attic"), now() + 62 * DAY).expect("rotated"), "and was set back");
    let moved = Names::new("attic", &[], &[]).expect("names");
    assert!(!late.refresh(&moved, now() + 62 * DAY).expect("looked"), "an address that went is no reason");
    assert_eq!(first.ca_sha256(), open(dir.path(), "attic", now()).ca_sha256());
}

#[test]
fn keys_are_for_the_box_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let tls = dir.path().join("tls");
    let mode = |p: &Path| std::fs::metadata(p).expect("exists").permissions().mode() & 0o777;
    open(dir.path(), "box", now());
    assert_eq!(mode(&tls), 0o700);
    for file in ["ca.pem", "ca.key", "leaf.pem", "leaf.key"] {
        assert_eq!(mode(&tls.join(file)), 0o600, "{file}");
    }
    std::fs::set_permissions(tls.join("ca.key"), std::fs::Permissions::from_mode(0o644)).expect("set");
    std::fs::set_permissions(&tls, std::fs::Permissions::from_mode(0o755)).expect("set");
    open(dir.path(), "box", now());
    assert_eq!((mode(&tls), mode(&tls.join("ca.key"))), (0o700, 0o600), "closed again");
}

#[test]
fn damage_is_mended() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = open(dir.path(), "box", now());
    let file = |name: &str| dir.path().join("tls").join(name);
    for name in ["leaf.key", "leaf.pem"] {
        std::fs::write(file(name), b"\xff garbage").expect("written");
        let mended = open(dir.path(), "box", now());
        assert_eq!(mended.ca_sha256(), first.ca_sha256(), "phones still trust it");
        mended.certificate().to_der().expect("usable");
    }
    // Another authority's leaf, as after a half restored backup.
    let other = tempfile::tempdir().expect("a folder");
    open(other.path(), "box", now());
    for name in ["leaf.key", "leaf.pem"] {
        std::fs::copy(other.path().join("tls").join(name), file(name)).expect("copied");
    }
    let before = std::fs::read(file("leaf.pem")).expect("read");
    assert_ne!(open(dir.path(), "box", now()).certificate().chain_pem.as_bytes(), before);
    std::fs::remove_file(file("ca.key")).expect("removed");
    assert_ne!(open(dir.path(), "box", now()).ca_sha256(), first.ca_sha256());
    let fresh = tempfile::tempdir().expect("a folder");
    assert_ne!(open(fresh.path(), "box", now()).ca_sha256(), first.ca_sha256(), "boxes share nothing");
}

#[test]
fn a_clock_that_was_never_set_does_no_harm() {
    let dir = tempfile::tempdir().expect("a folder");
    let early = open(dir.path(), "box", Timestamp(0));
    let later = open(dir.path(), "box", now());
    assert_eq!(early.certificate().chain_pem, later.certificate().chain_pem, "valid when the time comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_takes_a_new_leaf() {
    let clock = Arc::new(ManualClock::new(SystemClock.utc()));
    let (fake, dir) = (Arc::new(Fake::default()), tempfile::tempdir().expect("a folder"));
    let server = Server::bind(config(&dir), ports(&fake, clock.clone(), tokio::sync::broadcast::Sender::new(1)))
        .await
        .expect("bound");
    let (addr, old, mut certificates) = (server.local_addr(), server.certificate(), server.certificates());
    let tls = client_tls(server.ca_pem(), &[]);
    clock.advance(70 * DAY);
    let (_stop, ended) = shutdown::channel();
    tokio::spawn(server.run(ended));
    tokio::time::timeout(Duration::from_secs(5), certificates.changed()).await.expect("soon").expect("sent");
    let new = certificates.borrow().to_der().expect("usable").0;
    assert_ne!(new, old.to_der().expect("usable").0);
    for name in ["localhost", "perch-test.local", "cam.example.org", "127.0.0.1"] {
        let tcp = tokio::net::TcpStream::connect(addr).await.expect("connected");
        let name = ServerName::try_from(name).expect("name");
        let stream = TlsConnector::from(tls.clone()).connect(name, tcp).await.expect("trusted under this name");
        assert_eq!(stream.get_ref().1.peer_certificates().expect("shown"), new);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_in_plain_words() {
    let rig = Rig::start().await;
    let dir = tempfile::tempdir().expect("a folder");
    let second = perch_api::Config { listen: rig.addr, ..config(&dir) };
    let ports = ports(&rig.fake, Arc::new(SystemClock), tokio::sync::broadcast::Sender::new(1));
    let Err(e) = Server::bind(second, ports).await else { panic!("bound twice") };
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(e.message().starts_with(&format!("port {} is already in use: ", rig.addr.port())), "{e}");
    assert!(!rig.dir.path().join("tls/ca.key.new").exists());
}
