//! `s3s-fs` on loopback. What it does otherwise than Amazon: it lists parts without their tags, keeps no sum of what came in parts,
//! and says `AccessDenied` of an upload that is not there.

use crate::named::NamedStore;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{SecretKey, SimpleAuth};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    All,
    /// Look and list.
    ReadOnly,
    /// Put objects, and nothing else: not even look whether they are there.
    WriteOnly,
}

/// A store that runs until it is dropped.
pub struct TestStore {
    /// Where it answers.
    pub address: SocketAddr,
    /// The authority of its certificate, PEM, where it has one.
    pub ca_pem: Option<String>,
    names: NamedStore,
    serving: JoinHandle<()>,
}

impl Drop for TestStore {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl TestStore {
    /// Serves the folders of `root` as buckets, to these keys (id, secret, rights). Within a runtime.
    pub async fn start(root: &Path, keys: &[(&str, &str, Rights)]) -> Self {
        let (service, names) = service(root, keys);
        let (listener, address) = listen().await;
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, service.clone()));
            }
        });
        Self { address, ca_pem: None, names, serving }
    }

    /// The same over TLS, with a certificate for 127.0.0.1 that is good until `days` from now; less than 0: it has run out.
    pub async fn start_tls(root: &Path, keys: &[(&str, &str, Rights)], days: i64) -> Self {
        let (service, names) = service(root, keys);
        let (ca_pem, config) = tls(days);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (listener, address) = listen().await;
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), service.clone());
                tokio::spawn(async move {
                    // Whoever does not trust it goes.
                    if let Ok(socket) = acceptor.accept(socket).await {
                        serve(socket, service).await;
                    }
                });
            }
        });
        Self { address, ca_pem: Some(ca_pem), names, serving }
    }

    /// The key of the object in this file, by its path below the bucket: a long one is another than the path.
    pub fn key_of(&self, path: &str) -> String {
        self.names.key(path.to_owned())
    }

    /// `http://` or `https://` and its address.
    pub fn endpoint(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S3Service) {
    // A client that goes is the end of its connection.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
}

fn service(root: &Path, keys: &[(&str, &str, Rights)]) -> (S3Service, NamedStore) {
    let files = s3s_fs::FileSystem::new(root).expect("the folder is there");
    let names = NamedStore::new(files);
    let mut builder = S3ServiceBuilder::new(names.clone());
    let mut auth = SimpleAuth::new();
    for (id, secret, _) in keys {
        auth.register((*id).to_owned(), SecretKey::from(*secret));
    }
    builder.set_auth(auth);
    let rights = keys.iter().map(|(id, _, rights)| ((*id).to_owned(), *rights)).collect();
    builder.set_access(ByRights { root: root.to_owned(), rights });
    (builder.build(), names)
}

struct ByRights {
    root: PathBuf,
    rights: HashMap<String, Rights>,
}

#[async_trait::async_trait]
impl S3Access for ByRights {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let rights = cx.credentials().and_then(|c| self.rights.get(&c.access_key));
        let what = cx.s3_op().name();
        let may = match rights {
            None => false,
            Some(Rights::All) => true,
            Some(Rights::ReadOnly) => what.starts_with("Get") || what.starts_with("Head") || what.starts_with("List"),
            Some(Rights::WriteOnly) => {
                matches!(
                    what,
                    "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" | "ListParts"
                )
            }
        };
        // s3s-fs would make the bucket.
        if may && cx.s3_path().get_bucket_name().is_some_and(|bucket| !self.root.join(bucket).is_dir()) {
            return Err(s3_error!(NoSuchBucket, "there is no such bucket"));
        }
        if may { Ok(()) } else { Err(s3_error!(AccessDenied, "this key may not {what}")) }
    }
}

fn tls(days: i64) -> (String, rustls::ServerConfig) {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut certificate = rcgen::CertificateParams::new(names).expect("names");
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let day = 86_400;
    let today = i64::try_from(since_epoch.as_secs()).expect("not in the far future") / day;
    let date = |day_number: i64| {
        let (year, month, day) = civil(day_number);
        rcgen::date_time_ymd(year, month, day)
    };
    certificate.not_before = date(today - 400);
    certificate.not_after = date(today + days);
    let made = certificate.self_signed(&key).expect("a certificate");
    let pem = made.pem();
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], der)
        .expect("key and certificate belong together");
    (pem, config)
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}
