//! The client of one store: its keys, how the store proves itself, how long is waited for it.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use perch_base::{Error, Result};
use perch_domain::sync::target::SyncTarget;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// A server that does not even take a connection for so long is not there.
const CONNECT: Duration = Duration::from_secs(10);

// Real time: stores hold signatures against it.
/// The time that requests are signed with: the system's, set right by how the store's differs. A box whose clock is wrong for a while
/// after a power cut still copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreTime {
    ahead_s: Arc<AtomicI64>,
}

impl StoreTime {
    /// Goes by the store's clock, which says `store` now. Returns whether that changes anything.
    pub(crate) fn set_by(&self, store: SystemTime) -> bool {
        let here = SystemTime::now();
        let ahead_s = match store.duration_since(here) {
            Ok(ahead) => i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX),
            Err(behind) => -i64::try_from(behind.duration().as_secs()).unwrap_or(i64::MAX),
        };
        (self.ahead_s.swap(ahead_s, Ordering::Relaxed) - ahead_s).abs() > 60
    }

    /// How far the store's clock is ahead, where it had to be gone by.
    pub(crate) fn ahead_s(&self) -> Option<i64> {
        Some(self.ahead_s.load(Ordering::Relaxed)).filter(|ahead_s| *ahead_s != 0)
    }
}

impl aws_smithy_async::time::TimeSource for StoreTime {
    fn now(&self) -> SystemTime {
        let ahead_s = self.ahead_s.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead_s.unsigned_abs());
        let here = SystemTime::now();
        let moved = if ahead_s < 0 { here.checked_sub(by) } else { here.checked_add(by) };
        moved.unwrap_or(here)
    }
}

/// A client that sends each request once. Errors with `Invalid` where the certificates cannot be read.
pub(crate) fn client(target: &SyncTarget, time: StoreTime) -> Result<Client> {
    let keys = &target.keys;
    let credentials = Credentials::new(keys.access.expose().trim(), keys.secret.expose().trim(), None, None, "perch");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&target.endpoint)
        .region(Region::new(target.region.clone()))
        .credentials_provider(credentials)
        .force_path_style(target.is_path_style())
        .http_client(http_client(target)?)
        .time_source(time)
        .disable_clock_skew_correction(true)
        // When and whether something is tried again is decided elsewhere.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        // It does not see a body that nobody takes; see `body`.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // The box sends the SHA-256 that it has; many stores refuse other sums.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Ok(Client::from_conf(config.build()))
}

fn http_client(target: &SyncTarget) -> Result<SharedHttpClient> {
    if target.endpoint.starts_with("http://") {
        return Ok(Builder::new().build_with_connector_fn(plain));
    }
    let mut roots = TrustStore::default();
    if let Some(pem) = &target.ca_pem {
        check_pem(pem.expose())?;
        roots.add_pem_certificate(pem.expose().as_bytes());
    }
    let tls = TlsContext::builder().with_trust_store(roots).build();
    let tls = tls.map_err(|e| Error::invalid("sync.ca_file: holds no certificate that can be used").with_source(e))?;
    let connect = move |settings: Option<&HttpConnectorSettings>, components: Option<&RuntimeComponents>| {
        let mut builder =
            Connector::builder().tls_provider(Provider::rustls(CryptoMode::AwsLc)).tls_context(tls.clone());
        builder = builder.proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
        builder.build()
    };
    Ok(Builder::new().build_with_connector_fn(connect))
}

fn plain(settings: Option<&HttpConnectorSettings>, components: Option<&RuntimeComponents>) -> Connector {
    let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
    builder.set_connector_settings(settings.cloned());
    builder.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
    builder.build_http()
}

/// The library takes a text for certificates and panics later where it is none.
fn check_pem(pem: &str) -> Result<()> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut store = rustls::RootCertStore::empty();
    let bad = || Error::invalid("sync.ca_file: holds no certificate in PEM that can be used");
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        store.add(certificate.map_err(|_| bad())?).map_err(|_| bad())?;
    }
    if store.is_empty() { Err(bad()) } else { Ok(()) }
}
