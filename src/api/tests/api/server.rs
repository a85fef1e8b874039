//! The server itself: its certificate while it runs, and its port.

use crate::identity::DOMAIN;
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

/// Another server of the same box.
async fn second(rig: &Rig, http: HttpConfig) -> perch_base::Result<Server> {
    let ports = ports(&rig.fake, rig.identity.clone(), Arc::new(SystemClock), tokio::sync::broadcast::Sender::new(1));
    Server::bind(perch_api::Config { http, ..config() }, ports).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_in_plain_words() {
    let rig = Rig::start().await;
    let http = HttpConfig { listen: rig.addr, plain_listen: None };
    let Err(e) = second(&rig, http).await else { panic!("bound twice") };
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(e.message().starts_with(&format!("port {} is already in use: ", rig.addr.port())), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_port_that_is_taken_costs_nothing_else() {
    let rig = Rig::start().await;
    let http = HttpConfig { plain_listen: Some(rig.plain), ..config().http };
    let server = second(&rig, http).await.expect("bound all the same");
    assert_eq!((server.plain_addr(), server.plain_urls()), (None, vec![]));
}

/// Takes every certificate: an authority's question is answered with one that nobody signed.
#[derive(Debug)]
struct TakesAll(rustls::crypto::CryptoProvider);

impl rustls::client::danger::ServerCertVerifier for TakesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate that is shown to who asks for this name by these protocols; `None`: the handshake fails.
async fn shown_for(rig: &Rig, name: &str, alpn: &[&[u8]]) -> Option<(Vec<u8>, Option<Vec<u8>>, Vec<u8>)> {
    let mut tls = (*rig.tls()).clone();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    tls.dangerous().set_certificate_verifier(Arc::new(TakesAll(provider)));
    tls.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    let tcp = tokio::net::TcpStream::connect(rig.addr).await.expect("connected");
    let name = ServerName::try_from(name.to_owned()).expect("name");
    let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.ok()?;
    let (shown, protocol) = {
        let (_, session) = stream.get_ref();
        (session.peer_certificates()?[0].to_vec(), session.alpn_protocol().map(<[u8]>::to_vec))
    };
    let mut said = Vec::new();
    if protocol.as_deref() == Some(b"acme-tls/1") {
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said).await;
    }
    Some((shown, protocol, said))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_has_a_certificate_of_its_own_and_an_authority_is_answered() {
    let rig = Rig::start().await;
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM").to_vec();
    let own = der(&rig.identity.certificate().chain_pem);
    let shown = async |name: &str| shown_for(&rig, name, &[b"h2", b"http/1.1"]).await.expect("shown").0;
    assert_eq!(shown(DOMAIN).await, own, "there is none for the domain yet");
    let held = rig.identity.leaf();
    *rig.identity.of_domain.lock().expect("lock") = Some(held.clone());
    assert_eq!(shown(DOMAIN).await, der(&held.chain_pem));
    assert_eq!(shown("CAM.example.org").await, der(&held.chain_pem));
    for name in ["localhost", "perch-test.local", "127.0.0.1"] {
        assert_eq!(shown(name).await, own, "{name}");
    }
    // Nobody asks: no handshake. Somebody asks: the answer, and not a word of HTTP.
    assert!(shown_for(&rig, DOMAIN, &[b"acme-tls/1"]).await.is_none());
    let answer = rig.identity.answer();
    *rig.identity.asked.lock().expect("lock") = Some(answer.clone());
    let (shown, protocol, said) = shown_for(&rig, DOMAIN, &[b"acme-tls/1"]).await.expect("answered");
    assert_eq!((shown, protocol.as_deref(), &said[..]), (der(&answer.chain_pem), Some(&b"acme-tls/1"[..]), &b""[..]));
    assert!(shown_for(&rig, "localhost", &[b"acme-tls/1"]).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_listed_with_what_is_wrong_with_them() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(perch_domain::access::Role::Viewer, None);
    let listed = rig.get("/api/v1/certificate", &token).await.json();
    let own = &listed["certificates"][0];
    assert_eq!((&own["kind"], &listed["domain"]["name"]), (&"own".into(), &DOMAIN.into()));
    assert!(own["names"].as_array().is_some_and(|names| names.contains(&"perch-test.local".into())), "{own}");
    rig.get("/api/v1/certificate", "").await.problem(401);
    // A page of the box under another of its names may ask, and learns nothing but that it was answered.
    let foreign = request(
        "GET",
        "/api/v1/trust-probe",
        &[("origin", "https://192.0.2.7:1"), ("sec-fetch-site", "cross-site")],
        "",
    );
    let answer = rig.send(foreign).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin"), &answer.body[..]),
        (204, "*", &b""[..])
    );
    assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
    assert!(answer.header("access-control-allow-credentials").is_empty() && answer.header("set-cookie").is_empty());
    let page = rig.get("/", "").await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains(&format!("connect-src 'self' https://localhost:{}", rig.addr.port())), "{policy}");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
}
