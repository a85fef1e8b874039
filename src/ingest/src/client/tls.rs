//! TLS to a camera. Cameras sign their own certificates, and some are old: with fingerprints, nothing in a certificate is believed but
//! the key, whose owner must prove to have it.

use aws_lc_rs::signature::{self as algorithm, UnparsedPublicKey, VerificationAlgorithm};
use perch_base::secret::sha256;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::ingest::TlsTrust;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Secures a connection; SHA-256 of the camera's certificate comes with it. Errors with `Unavailable`, and with `Invalid` where the file
/// of the authority cannot be used.
pub(super) async fn connect(tcp: TcpStream, host: &str, trust: &TlsTrust) -> Result<(TlsStream<TcpStream>, [u8; 32])> {
    let config = config(trust).await?;
    let bad = |_| Error::invalid("its host has no name that TLS knows");
    let name = ServerName::try_from(host.split('%').next().unwrap_or_default().to_owned()).map_err(bad)?;
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(failed)?;
    let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let none = || Error::new(ErrorKind::Unavailable, "it shows no certificate");
    let fingerprint = sha256(certificate.ok_or_else(none)?);
    Ok((tls, fingerprint))
}

async fn config(trust: &TlsTrust) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        TlsTrust::FirstSeen => Arc::new(Fingerprint(None)),
        TlsTrust::Pinned(fingerprint) => Arc::new(Fingerprint(Some(*fingerprint))),
        TlsTrust::Authority(file) => {
            let bad = || Error::invalid("the file of its certificate authority holds no usable certificate");
            let roots = Arc::new(roots(file).await?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            verifier.build().map_err(|e| bad().with_source(e))?
        }
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| Error::internal("TLS cannot be set up").with_source(e))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

async fn roots(file: &Path) -> Result<RootCertStore> {
    let unread = |e| Error::invalid("the file of its certificate authority cannot be read").with_source(e);
    let pem = tokio::fs::read(file).await.map_err(unread)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    match roots.is_empty() {
        true => Err(Error::invalid("the file of its certificate authority holds no certificate in PEM")),
        false => Ok(roots),
    }
}

/// Why there is no TLS, in words.
fn failed(e: io::Error) -> Error {
    use rustls::Error as Tls;
    let cause = e.get_ref().and_then(|e| e.downcast_ref::<Tls>());
    let what = match cause {
        Some(Tls::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            "it shows another certificate than before: if the camera is the same, let the new one be trusted in its `tls`"
        }
        Some(Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "its certificate has run out: renew it, or trust its fingerprint instead of an authority"
        }
        Some(Tls::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) => {
            "its certificate is not valid yet: check the clock of the camera and of this box"
        }
        Some(Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "its certificate is for another name than the host in its address",
        Some(Tls::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is not signed by the authority that is trusted"
        }
        Some(Tls::InvalidCertificate(_)) => "its certificate cannot be trusted",
        Some(Tls::InvalidMessage(_)) => "it does not speak TLS on this port: try rtsp:// or another port",
        Some(Tls::PeerIncompatible(_) | Tls::AlertReceived(_)) => {
            "it and this box have no kind of TLS in common: renew its firmware, or use rtsp:// in a network of its own"
        }
        _ => "its TLS connection broke while it began",
    };
    Error::new(ErrorKind::Unavailable, what).with_source(e)
}

/// Trusts one certificate, or at first any, by its hash.
#[derive(Debug)]
struct Fingerprint(Option<[u8; 32]>);

impl ServerCertVerifier for Fingerprint {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0 {
            Some(trusted) if trusted != sha256(end_entity) => {
                Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        signed(message, cert, dss.scheme, dss.signature())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        signed(message, cert, dss.scheme, dss.signature())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // RSA as old cameras have it before the newer kind, which needs longer keys.
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA1,
        ]
    }
}

/// Whether the owner of a certificate's key signed. Not webpki: it reads no certificate of version 1 and no RSA key of 1024 bits, which
/// cameras have; a fingerprint makes up for both.
fn signed(
    message: &[u8],
    cert: &[u8],
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let algorithms: &[&'static dyn VerificationAlgorithm] = match scheme {
        // In TLS 1.2 the curve is the key's (RFC 8446 4.2.3).
        SignatureScheme::ECDSA_NISTP256_SHA256 => {
            &[&algorithm::ECDSA_P256_SHA256_ASN1, &algorithm::ECDSA_P384_SHA256_ASN1]
        }
        SignatureScheme::ECDSA_NISTP384_SHA384 => {
            &[&algorithm::ECDSA_P384_SHA384_ASN1, &algorithm::ECDSA_P256_SHA384_ASN1]
        }
        SignatureScheme::ED25519 => &[&algorithm::ED25519],
        SignatureScheme::RSA_PKCS1_SHA1 => &[&algorithm::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY],
        SignatureScheme::RSA_PKCS1_SHA256 => &[&algorithm::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY],
        SignatureScheme::RSA_PKCS1_SHA384 => &[&algorithm::RSA_PKCS1_2048_8192_SHA384],
        SignatureScheme::RSA_PKCS1_SHA512 => &[&algorithm::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY],
        SignatureScheme::RSA_PSS_SHA256 => &[&algorithm::RSA_PSS_2048_8192_SHA256],
        SignatureScheme::RSA_PSS_SHA384 => &[&algorithm::RSA_PSS_2048_8192_SHA384],
        SignatureScheme::RSA_PSS_SHA512 => &[&algorithm::RSA_PSS_2048_8192_SHA512],
        _ => &[],
    };
    let key = public_key(cert).ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let is_valid = |algorithm: &&'static dyn VerificationAlgorithm| {
        UnparsedPublicKey::new(*algorithm, key).verify(message, signature).is_ok()
    };
    match algorithms.iter().any(is_valid) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature)),
    }
}

/// The SubjectPublicKeyInfo of a certificate of any version (RFC 5280 4.1), with its tag and length.
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if let (VERSION, _, whole) = element(rest)? {
        rest = rest.get(whole.len()..)?;
    }
    // Number, signature's kind, issuer, validity, subject.
    for _ in 0..5 {
        let (.., whole) = element(rest)?;
        rest = rest.get(whole.len()..)?;
    }
    element(rest).filter(|(tag, ..)| *tag == SEQUENCE).map(|(.., whole)| whole)
}

/// The first DER element: its tag, what it holds, and all of it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*der.first()?, *der.get(1)?);
    let (length, head) = match first {
        0..=0x7f => (usize::from(first), 2),
        0x81..=0x83 => {
            let digits = der.get(2..2 + usize::from(first & 3))?;
            (digits.iter().fold(0, |n, d| n << 8 | usize::from(*d)), 2 + digits.len())
        }
        _ => return None,
    };
    let whole = der.get(..head + length)?;
    Some((tag, whole.get(head..)?, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements() {
        assert_eq!(element(&[4, 2, 7, 8, 9]), Some((4, &[7, 8][..], &[4, 2, 7, 8][..])));
        assert_eq!(element(&[4, 0x81, 1, 7]), Some((4, &[7][..], &[4, 0x81, 1, 7][..])));
        for bad in [&[4][..], &[4, 5, 0], &[4, 0x80], &[4, 0x84, 0, 0, 0, 0], &[4, 0x83, 255, 255, 255]] {
            assert_eq!(element(bad), None);
        }
    }

    #[test]
    fn a_key_with_and_without_a_version() {
        let key = [0x30, 3, 5, 1, 0];
        let fields = [&[2, 1, 9][..], &[0x30, 0], &[0x30, 0], &[0x30, 0], &[0x30, 0], &key, &[0xa3, 0]].concat();
        for version in [&[][..], &[0xa0, 3, 2, 1, 2]] {
            let body = [version, &fields].concat();
            let tbs = [&[0x30, body.len() as u8][..], &body].concat();
            let certificate = [&[0x30, tbs.len() as u8][..], &tbs].concat();
            assert_eq!(public_key(&certificate), Some(&key[..]));
        }
    }

    #[test]
    fn a_certificate_of_version_1_with_a_short_key() {
        let certificate = include_bytes!("../../tests/fixtures/version1_rsa1024.der");
        let signature = include_bytes!("../../tests/fixtures/version1_rsa1024.sig");
        let said = |message, scheme| signed(message, certificate, scheme, signature).is_ok();
        assert!(said(b"what was signed", SignatureScheme::RSA_PKCS1_SHA256));
        assert!(!said(b"what was not", SignatureScheme::RSA_PKCS1_SHA256));
        assert!(!said(b"what was signed", SignatureScheme::RSA_PKCS1_SHA1));
        assert!(!said(b"what was signed", SignatureScheme::ED448));
    }

    proptest! {
        #[test]
        fn any_certificate_is_read_or_refused(mut der in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = public_key(&der);
            for (at, tag) in [(0, 0x30), (2, 0x30)] {
                if let Some(byte) = der.get_mut(at) {
                    *byte = tag;
                }
            }
            let _ = public_key(&der);
        }
    }
}
