//! The box's identity for RTSPS: a self-signed certificate that can be exchanged.

use perch_base::secret::Secret;
use perch_domain::identity::{Certificate, IdentityPort, Names};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// A self-signed certificate that can be exchanged.
pub struct Identity(Mutex<Arc<Certificate>>);

pub fn certificate() -> Arc<Certificate> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("rtsp-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let (cert, key) = (folder.join(format!("{name}-cert.pem")), folder.join(format!("{name}-key.pem")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=box", "-out"])
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl runs").success());
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("it was made");
    let certificate = Certificate { chain_pem: read(&cert), key_pem: Secret::new(read(&key)) };
    let _ = (std::fs::remove_file(cert), std::fs::remove_file(key));
    Arc::new(certificate)
}

pub fn identity() -> Arc<Identity> {
    // Making one starts a program: most tests do not look at it.
    static ONE: OnceLock<Arc<Certificate>> = OnceLock::new();
    Arc::new(Identity(Mutex::new(ONE.get_or_init(certificate).clone())))
}

impl Identity {
    /// Shows another one from now on.
    pub fn exchange(&self, certificate: Arc<Certificate>) {
        *self.0.lock().expect("lock") = certificate;
    }
}

impl IdentityPort for Identity {
    fn certificate(&self) -> Arc<Certificate> {
        self.0.lock().expect("lock").clone()
    }
    fn names(&self) -> Arc<Names> {
        Arc::default()
    }
    fn reachable(&self) -> Vec<std::net::IpAddr> {
        vec![]
    }
    fn ca_pem(&self) -> &str {
        ""
    }
    fn ca_sha256(&self) -> &str {
        ""
    }
}

/// The certificate that a server shows, PEM.
pub fn shown(at: std::net::SocketAddr) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &at.to_string()]).stdin(Stdio::null()).stderr(Stdio::null());
    let said = String::from_utf8_lossy(&openssl.output().expect("openssl runs").stdout).into_owned();
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let pem = said.split(begin).nth(1).and_then(|rest| rest.split(end).next()).unwrap_or("");
    format!("{begin}{pem}{end}")
}
