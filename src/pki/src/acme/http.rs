//! The HTTP client for an authority and for a hook: TLS by what this system (or a file) trusts, answers bounded in bytes and time, no
//! redirects, no proxies.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use perch_base::clock::{SharedClock, within};
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::acme::DnsHook;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The largest answer, bytes: a chain of certificates has a few thousand.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How long an answer of the authority may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long a hook may take: it answers once the record is served.
const HOOK_WITHIN: Duration = Duration::from_secs(300);

/// The client. Clones share its connections.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    clock: SharedClock,
}

impl Http {
    /// Trusts what stands in `ca_pem`, or what this system trusts. Blocks. Errors with `Unavailable` where that is nothing.
    pub(super) fn new(ca_pem: Option<&Secret>, clock: SharedClock) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        match ca_pem {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.expose().as_bytes()) {
                    let bad = || "acme.ca_file holds something else than certificates in PEM";
                    roots.add(certificate.context(ErrorKind::Invalid, bad)?).context(ErrorKind::Invalid, bad)?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            let why =
                "no certificate authority is trusted here: install the package ca-certificates, or name acme.ca_file";
            return Err(Error::new(ErrorKind::Unavailable, why));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context(ErrorKind::Internal, || "TLS has no protocol version")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Plain HTTP only where the config lets it: within this machine.
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), clock })
    }

    async fn send(&self, request: Request<BodyWrapper<Bytes>>, limit: Duration) -> Result<Response<Full<Bytes>>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answer = async {
            let (parts, body) = self.client.request(request).await.map_err(|e| unreachable(&host, &e))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body =
                body.map_err(|e| Error::new(ErrorKind::Unavailable, format!("{host} broke its answer off: {e}")))?;
            Ok(Response::from_parts(parts, Full::new(body.to_bytes())))
        };
        let late = || Error::new(ErrorKind::Unavailable, format!("{host} did not answer within {} s", limit.as_secs()));
        within(&self.clock, limit, answer).await.unwrap_or_else(|| Err(late()))
    }

    /// Tells a hook to set a TXT record, or to remove it. Errors with `Unavailable` where it does not say that it did.
    pub(super) async fn tell(&self, hook: &DnsHook, action: &str, fqdn: &str, value: &str) -> Result<()> {
        let body = serde_json::json!({ "fqdn": fqdn, "value": value, "action": action }).to_string();
        let mut request = Request::post(&hook.url).header(http::header::CONTENT_TYPE, "application/json");
        if let Some(secret) = &hook.secret {
            let mut bearer = http::HeaderValue::from_str(&format!("Bearer {}", secret.expose()))
                .map_err(|_| Error::invalid("acme.dns_hook_secret_file holds more than one line of text"))?;
            bearer.set_sensitive(true);
            request = request.header(http::header::AUTHORIZATION, bearer);
        }
        let bad = || "acme.dns_hook is no address";
        let request = request.body(BodyWrapper::from(body.into_bytes())).context(ErrorKind::Invalid, bad)?;
        let status = self.send(request, HOOK_WITHIN).await?.status();
        if status.is_success() {
            return Ok(());
        }
        // A redirect is not followed: it would carry the secret elsewhere.
        let what = if status.is_redirection() { ", a redirect, which is not followed" } else { "" };
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("acme.dns_hook answered {action} with {}{what}", status.as_u16()),
        ))
    }
}

fn unreachable(host: &str, e: &hyper_util::client::legacy::Error) -> Error {
    // The innermost cause says what a person can do something about.
    let mut cause: &dyn std::error::Error = e;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::new(ErrorKind::Unavailable, format!("{host} cannot be reached: {cause}"))
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let http = self.clone();
        Box::pin(async move {
            let answer = http.send(request, ANSWER_WITHIN).await;
            answer.map(BytesResponse::from).map_err(|e| instant_acme::Error::Other(Box::new(e)))
        })
    }
}
