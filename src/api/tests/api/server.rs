//! The server itself: its certificate while it runs, and its port.

use crate::support::*;
use perch_api::{HttpConfig, Server};
use perch_base::ErrorKind;
use perch_base::clock::SystemClock;
use perch_domain::identity::IdentityPort;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_takes_a_renewed_certificate() {
    let rig = Rig::start().await;
    let shown = async |name: &str| {
        let tcp = tokio::net::TcpStream::connect(rig.addr).await.expect("connected");
        let name = ServerName::try_from(name.to_owned()).expect("name");
        let stream = TlsConnector::from(rig.tls()).connect(name, tcp).await.expect("trusted under this name");
        stream.get_ref().1.peer_certificates().expect("shown")[0].clone().into_owned()
    };
    let leaf = || CertificateDer::from_pem_slice(rig.identity.certificate().chain_pem.as_bytes()).expect("PEM");
    let old = leaf();
    assert_eq!(shown("localhost").await, old);
    rig.identity.renew();
    assert_ne!(leaf(), old);
    for name in ["localhost", "perch-test.local", "cam.example.org", "127.0.0.1"] {
        assert_eq!(shown(name).await, leaf());
    }
    // One that cannot be used is not taken.
    let good = leaf();
    rig.identity.spoil();
    assert_eq!(shown("localhost").await, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_in_plain_words() {
    let rig = Rig::start().await;
    let second = perch_api::Config { http: HttpConfig { listen: rig.addr, plain_listen: None }, ..config() };
    let ports = ports(&rig.fake, rig.identity.clone(), Arc::new(SystemClock), tokio::sync::broadcast::Sender::new(1));
    let Err(e) = Server::bind(second, ports).await else { panic!("bound twice") };
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(e.message().starts_with(&format!("port {} is already in use: ", rig.addr.port())), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_port_that_is_taken_costs_nothing_else() {
    let rig = Rig::start().await;
    let http = HttpConfig { plain_listen: Some(rig.plain), ..config().http };
    let ports = ports(&rig.fake, rig.identity.clone(), Arc::new(SystemClock), tokio::sync::broadcast::Sender::new(1));
    let server = Server::bind(perch_api::Config { http, ..config() }, ports).await.expect("bound all the same");
    assert_eq!((server.plain_addr(), server.plain_urls()), (None, vec![]));
}
