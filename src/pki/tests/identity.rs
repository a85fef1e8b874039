//! The box's authority and leaf: kept, renewed, private.

use perch_base::clock::{Clock, ManualClock};
use perch_base::time::{DAY, Timestamp};
use perch_domain::identity::{IdentityPort, Names};
use perch_pki::{Config, Identity, Pki};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn names(host: &str) -> Names {
    let address = |text: &str| text.parse().expect("an address");
    let further = Names { addresses: [address("203.0.113.9")].into(), ..Names::default() };
    Names::new(host, &further, &[address("192.0.2.1")])
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
    let moved = Names::new("attic", &Names::default(), &[]);
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
fn damage_is_repaired() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = open(dir.path(), "box", now());
    let file = |name: &str| dir.path().join("tls").join(name);
    for name in ["leaf.key", "leaf.pem"] {
        std::fs::write(file(name), b"\xff garbage").expect("written");
        let repaired = open(dir.path(), "box", now());
        assert_eq!(repaired.ca_sha256(), first.ca_sha256(), "phones still trust it");
        let certificate = repaired.certificate();
        CertificateDer::from_pem_slice(certificate.chain_pem.as_bytes()).expect("a certificate");
        PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes()).expect("a key");
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

#[test]
fn the_identity_is_looked_at_while_the_box_runs() {
    static IS_RENAMED: AtomicBool = AtomicBool::new(false);
    let host = || if IS_RENAMED.load(Ordering::Relaxed) { "shop" } else { "Attic.local" }.to_owned();
    let dir = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(now()));
    let config = Config { data_dir: dir.path().to_owned(), host, hostnames: Names::default() };
    let identity = Identity::open(config, clock.clone()).expect("made");
    let first = identity.certificate();
    identity.look().expect("looked");
    assert!(Arc::ptr_eq(&first, &identity.certificate()), "nothing to do yet");
    clock.advance(70 * DAY);
    assert!(Arc::ptr_eq(&first, &identity.certificate()), "nobody looked");
    identity.look().expect("looked");
    assert_ne!(first.chain_pem, identity.certificate().chain_pem, "less than 30 days were left");
    assert!(identity.names().answers_to("attic.local") && !identity.names().answers_to("evil.example"));
    let before = identity.certificate();
    IS_RENAMED.store(true, Ordering::Relaxed);
    identity.look().expect("looked");
    assert_ne!(before.chain_pem, identity.certificate().chain_pem, "the machine has another name");
    assert!(identity.names().answers_to("shop.local") && !identity.names().answers_to("attic.local"));
    assert!(identity.ca_pem().starts_with("-----BEGIN CERTIFICATE-----") && identity.ca_sha256().len() == 64);
    assert!(clock.utc() > now());
}
