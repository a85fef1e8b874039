//! Certificates of cameras: their own, an authority's, and those that nobody should take.

use crate::model::Tls;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

pub struct Secured {
    pub acceptor: TlsAcceptor,
    /// The authority's certificate, as PEM.
    pub authority: Option<String>,
    /// The camera's, as DER.
    pub certificate: Vec<u8>,
}

pub fn secured(how: Tls) -> Result<Secured, String> {
    made(how).map_err(|e| e.to_string())
}

fn made(how: Tls) -> Result<Secured, Box<dyn std::error::Error>> {
    let names = match how {
        Tls::OtherName => vec!["camera.example".to_owned()],
        _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
    };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "IPCamera");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = if how == Tls::Expired { date_time_ymd(2021, 1, 1) } else { date_time_ymd(2045, 1, 1) };
    let key = KeyPair::generate()?;
    let (certificate, authority) = if how == Tls::Own {
        (params.self_signed(&key)?, None)
    } else {
        let mut ca = CertificateParams::new(Vec::<String>::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "Test authority");
        let ca_key = KeyPair::generate()?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        (params.signed_by(&key, &Issuer::new(ca, ca_key))?, Some(ca_pem))
    };
    let der = certificate.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))?;
    Ok(Secured { acceptor: TlsAcceptor::from(Arc::new(config)), authority, certificate: der.to_vec() })
}
