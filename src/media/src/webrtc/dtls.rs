//! DTLS 1.2 of a session, over the system's OpenSSL: players may show RSA certificates (GStreamer's `webrtcbin` does), which the
//! library's own DTLS does not know. Sans-IO. No SRTP here, and no judgement of certificates: str0m compares their fingerprints.

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::srtp::SrtpProfileId;
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, KeyingMaterial, ProtocolVersion,
    SrtpProfile,
};

/// Authenticated encryption with keys that nobody can compute later; every WebRTC player has it (RFC 8827, 6.5).
const CIPHERS: &str = "ECDHE+AESGCM";
/// What these add to a record: the explicit part of the nonce and the tag (RFC 5288, 3).
const CIPHER_ADDS: usize = 8 + 16;
/// The longest record (RFC 5246, 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;
const GROUPS: &str = "X25519:P-256:P-384";
/// How SRTP is protected (RFC 7714, 14.2; RFC 5764, 4.1.2), the best first.
const PROFILES: &str = "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";
/// RFC 5764, 4.2.
const EXPORTER: &str = "EXTRACTOR-dtls_srtp";
/// How often OpenSSL may look whether a flight was lost. It resends one after a second, then after twice that, and so on (RFC 6347,
/// 4.2.4.1), by the system's clock.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Nothing happens by itself any more.
const IDLE: Duration = Duration::from_secs(3600);
/// Datagrams that wait to be sent; the rest of a longer flight is lost, as on the network.
const MAX_OUTGOING: usize = 64;
/// The room that str0m gives for a certificate; one of RSA-4096 has 1.3 kB.
const MAX_CERTIFICATE: usize = 2000;

/// DTLS by OpenSSL, for all sessions.
pub fn provider() -> &'static dyn DtlsProvider {
    static OPENSSL: OpenSsl = OpenSsl { context: Mutex::new(None) };
    &OPENSSL
}

/// Keeps what it made of the certificate it was given last: all sessions of a box have the same one.
struct OpenSsl {
    context: Mutex<Option<(DtlsCert, SslContext)>>,
}

impl std::fmt::Debug for OpenSsl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenSsl")
    }
}

impl OpenSsl {
    fn context(&self, own: &DtlsCert) -> Result<SslContext, ErrorStack> {
        let mut kept = self.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((of, context)) = &*kept
            && of.certificate == own.certificate
            && of.private_key == own.private_key
        {
            return Ok(context.clone());
        }
        let mut builder = settings()?;
        let (certificate, key) = (X509::from_der(&own.certificate)?, PKey::private_key_from_der(&own.private_key)?);
        builder.set_certificate(&certificate)?;
        builder.set_private_key(&key)?;
        let context = builder.build();
        *kept = Some((own.clone(), context.clone()));
        Ok(context)
    }
}

/// What holds for all sessions.
fn settings() -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::dtls())?;
    builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_groups_list(GROUPS)?;
    builder.set_tlsext_use_srtp(PROFILES)?;
    // Each side shows a certificate and proves that it holds its key. Nobody signs these but they themselves.
    builder.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
    // No session is resumed.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_session_id_context(b"perch")?;
    builder.set_options(
        SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE
            | SslOptions::NO_QUERY_MTU,
    );
    Ok(builder)
}

impl DtlsProvider for OpenSsl {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        str0m::crypto::from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        own: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        if version == DtlsVersion::Dtls13 {
            return Err(CryptoError::Other("OpenSSL has no DTLS 1.3".into()));
        }
        let dtls = self.context(own).and_then(|context| Dtls::new(&context, mtu, now));
        Ok(Box::new(dtls.map_err(|e| CryptoError::Other(format!("OpenSSL does not take the certificate: {e}")))?))
    }
}

/// One datagram that came and those that are to be sent. OpenSSL takes and gives one with each call.
#[derive(Default)]
struct Wire {
    incoming: Option<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.take().ok_or(io::ErrorKind::WouldBlock)?;
        // OpenSSL has room for the longest record; the rest of a longer datagram is none, and lost as on a socket.
        let len = datagram.len().min(buf.len());
        buf[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outgoing.len() < MAX_OUTGOING {
            self.outgoing.push_back(datagram.to_vec());
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a datagram holds whole records (RFC 6347, 4.1) and nothing else. Anybody can send one in the viewer's name, and OpenSSL
/// ends where a record is too short for its cipher, which it takes for a defect of its own.
fn holds_records(mut datagram: &[u8]) -> bool {
    while let [kind, 0xfe, 0xfd | 0xff, epoch @ .., _, _, _, _, _, _, _, _] = datagram.get(..13).unwrap_or_default() {
        let (header, rest) = datagram.split_at(13);
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let least = if *epoch == [0, 0] { 0 } else { CIPHER_ADDS };
        if !(20..=23).contains(kind) || !(least..=MAX_RECORD.min(rest.len())).contains(&len) {
            return false;
        }
        datagram = &rest[len..];
    }
    datagram.is_empty()
}

/// What str0m is to hear once.
enum News {
    PeerCertificate(Vec<u8>),
    Keys(KeyingMaterial, SrtpProfile),
    Connected,
    Goodbye,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshaking,
    Connected,
    /// Either side said goodbye.
    Closed,
    /// There will be no keys.
    Failed,
}

/// The DTLS of one session.
struct Dtls {
    stream: SslStream<Wire>,
    /// Whether it is the client; unknown at first.
    active: Option<bool>,
    phase: Phase,
    news: VecDeque<News>,
    now: Instant,
    /// When OpenSSL looks for a lost flight next.
    due: Instant,
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dtls").field("active", &self.active).field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl Dtls {
    fn new(context: &SslContext, mtu: Option<usize>, now: Instant) -> Result<Self, ErrorStack> {
        let mut ssl = Ssl::new(context)?;
        ssl.set_mtu(mtu.and_then(|mtu| u32::try_from(mtu).ok()).unwrap_or(str0m::DATAGRAM_MTU_TARGET as u32))?;
        let stream = SslStream::new(ssl, Wire::default())?;
        Ok(Self { stream, active: None, phase: Phase::Handshaking, news: VecDeque::new(), now, due: now })
    }

    /// Goes as far as what came allows.
    fn advance(&mut self) -> Result<(), DtlsImplError> {
        if self.phase == Phase::Handshaking {
            let shaken = match self.active {
                Some(true) => self.stream.connect(),
                Some(false) => self.stream.accept(),
                None => return Ok(()),
            };
            match shaken {
                Ok(()) => {
                    let news = self.agreed().map_err(|reason| self.fail(&reason))?;
                    self.news.extend(news);
                    self.phase = Phase::Connected;
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(error) => return Err(self.fail(&reason(&error))),
            }
        }
        while self.phase == Phase::Connected {
            // There are no data channels, so what is read here is dropped; flights that are repeated are answered meanwhile.
            match self.stream.ssl_read(&mut [0; 2048]) {
                Ok(_) => {}
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                // A goodbye, or an alert that only the viewer can have sent.
                Err(error) => {
                    tracing::debug!(reason = reason(&error), "a viewer's DTLS ends");
                    self.say_goodbye();
                    self.news.push_back(News::Goodbye);
                }
            }
        }
        Ok(())
    }

    /// What the handshake brought. Errors: why it cannot be used.
    fn agreed(&self) -> Result<[News; 3], String> {
        let ssl = self.stream.ssl();
        let certificate = ssl.peer_certificate().ok_or("the player shows no certificate")?;
        let certificate = certificate.to_der().map_err(|e| format!("the player's certificate cannot be read: {e}"))?;
        if certificate.len() > MAX_CERTIFICATE {
            return Err(format!(
                "the player's certificate has {} bytes, more than {MAX_CERTIFICATE}",
                certificate.len()
            ));
        }
        let profile = match ssl.selected_srtp_profile().map(|profile| profile.id()) {
            Some(SrtpProfileId::SRTP_AEAD_AES_256_GCM) => SrtpProfile::AEAD_AES_256_GCM,
            Some(SrtpProfileId::SRTP_AEAD_AES_128_GCM) => SrtpProfile::AEAD_AES_128_GCM,
            Some(SrtpProfileId::SRTP_AES128_CM_SHA1_80) => SrtpProfile::AES128_CM_SHA1_80,
            _ => return Err(format!("the player offers none of {PROFILES} for SRTP")),
        };
        let mut keys = vec![0; profile.keying_material_len()];
        ssl.export_keying_material(&mut keys, EXPORTER, None).map_err(|e| format!("no keys can be derived: {e}"))?;
        let keys = News::Keys(KeyingMaterial::new(&keys), profile);
        Ok([News::PeerCertificate(certificate), keys, News::Connected])
    }

    /// The handshake is over without keys, which is said here once. str0m hears of it with the time, when the alert is on its way.
    fn fail(&mut self, reason: &str) -> DtlsImplError {
        self.say_goodbye();
        self.phase = Phase::Failed;
        tracing::warn!("a viewer's player and the box cannot agree on encryption (DTLS): {reason}");
        DtlsImplError::ConnectionClosed
    }

    fn say_goodbye(&mut self) {
        // One that cannot be said any more is missed by nobody.
        let _ = self.stream.shutdown();
        self.phase = Phase::Closed;
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::Failed)
    }
}

/// OpenSSL's own words for what went wrong.
fn reason(error: &ssl::Error) -> String {
    let first = error.ssl_error().and_then(|stack| stack.errors().first()).and_then(|first| first.reason());
    first.map_or_else(|| error.to_string(), String::from)
}

impl DtlsInstance for Dtls {
    fn set_active(&mut self, active: bool) {
        self.active = Some(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        // An empty one asks to begin.
        if self.is_over() || !holds_records(packet) {
            return Ok(());
        }
        self.stream.get_mut().incoming = (!packet.is_empty()).then(|| packet.to_vec());
        let advanced = self.advance();
        self.stream.get_mut().incoming = None;
        advanced
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let mut give = |bytes: &[u8]| (bytes.len() <= buf.len()).then(|| buf[..bytes.len()].copy_from_slice(bytes));
        while let Some(datagram) = self.stream.get_mut().outgoing.pop_front() {
            if give(&datagram).is_some() {
                return DtlsOutput::Packet(&buf[..datagram.len()]);
            }
        }
        if let Some(news) = self.news.pop_front() {
            match news {
                News::PeerCertificate(der) if give(&der).is_some() => return DtlsOutput::PeerCert(&buf[..der.len()]),
                News::PeerCertificate(der) => return DtlsOutput::BufferTooSmall { needed: der.len() },
                News::Keys(keys, profile) => return DtlsOutput::KeyingMaterial(keys, profile),
                News::Connected => return DtlsOutput::Connected,
                News::Goodbye => return DtlsOutput::CloseNotify,
            }
        }
        DtlsOutput::Timeout(match self.phase {
            Phase::Handshaking => self.due,
            Phase::Failed => self.now,
            Phase::Connected | Phase::Closed => self.now + IDLE,
        })
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.now = now;
        match self.phase {
            Phase::Handshaking if now >= self.due => {
                self.due = now + LOOK_EVERY;
                self.advance()
            }
            Phase::Failed if self.stream.get_ref().outgoing.is_empty() => Err(DtlsImplError::ConnectionClosed),
            _ => Ok(()),
        }
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        match self.phase {
            Phase::Handshaking => Ok(0),
            Phase::Connected if data.is_empty() => Ok(0),
            Phase::Connected => self.stream.ssl_write(data).map_err(|_| DtlsImplError::TransmitQueueFull),
            Phase::Closed | Phase::Failed => Err(DtlsImplError::ConnectionClosed),
        }
    }

    fn is_active(&self) -> bool {
        self.active == Some(true)
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        (self.phase == Phase::Connected).then_some(ProtocolVersion::DTLS1_2)
    }

    fn is_closing(&self) -> bool {
        self.is_over()
    }

    fn is_closed(&self) -> bool {
        self.is_over() && self.stream.get_ref().outgoing.is_empty()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        match self.phase {
            Phase::Connected => self.say_goodbye(),
            Phase::Handshaking => self.phase = Phase::Closed,
            Phase::Closed | Phase::Failed => {}
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "dtls_tests.rs"]
pub mod tests;
