//! One POST over HTTP/1.1 to a device, and its whole answer: no redirect is followed, no proxy asked, nothing kept open. Own code over hyper
//! rather than a client of its own: it is one request to one address.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::ports::Later;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Bytes of an answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Bytes of its head.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// The device cannot be had for now.
pub(crate) fn unavailable(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, what)
}

/// A connection to a device.
pub trait DeviceStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> DeviceStream for T {}

/// Secures connections to devices: certificates of cameras are looked after elsewhere.
pub trait Secures: Send + Sync {
    /// Secures `tcp`, a connection to `host` and `port`. Errors with a sentence whose subject is the device.
    fn secure(&self, tcp: TcpStream, host: String, port: u16) -> Later<'_, Result<Box<dyn DeviceStream>>>;
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

/// Drives a connection until it is dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Posts a SOAP message. Waits as long as it is let: who calls has a limit. Errors with `Unavailable` and `TooLarge`, and with `Invalid` for a
/// URL that is not asked.
pub(crate) async fn post(
    secures: &dyn Secures,
    url: &str,
    message: String,
    authorization: Option<&str>,
) -> Result<Answer> {
    let bad = || Error::invalid("its ONVIF address must be like http://192.168.1.20/onvif/device_service");
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let usual = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => {
            return Err(Error::new(ErrorKind::Unsupported, "its ONVIF service is asked by http:// and https:// alone"));
        }
    };
    let authority = uri.authority().ok_or_else(bad)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(usual);
    let reached = TcpStream::connect((host, port)).await;
    let stream = reached.map_err(|e| unavailable("its ONVIF service does not answer").with_source(e))?;
    let stream: Box<dyn DeviceStream> = match usual {
        443 => secures.secure(stream, host.to_owned(), port).await?,
        _ => Box::new(stream),
    };
    let broken = |e: hyper::Error| unavailable("its ONVIF service breaks off").with_source(e);
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let _driver = Driver(tokio::spawn(async move {
        // What goes wrong is said to whoever waits for the answer.
        let _ = connection.await;
    }));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, authority.as_str().rsplit('@').next().unwrap_or_default())
        .header(header::CONTENT_TYPE, "application/soap+xml; charset=utf-8")
        .header(header::CONNECTION, "close");
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request.body(Full::new(Bytes::from(message)));
    let request =
        request.map_err(|e| Error::internal("a request to an ONVIF device cannot be written").with_source(e))?;
    let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|e| {
        let what = if e.is::<http_body_util::LengthLimitError>() { "sends without end" } else { "breaks off" };
        unavailable(&format!("its ONVIF service {what}")).with_source(e)
    })?;
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

/// Path and query of a URL, which a digest is made over.
pub(crate) fn path_of(url: &str) -> String {
    let uri = url.parse::<Uri>().ok();
    uri.and_then(|uri| uri.path_and_query().map(|path| path.as_str().to_owned())).unwrap_or_else(|| "/".into())
}
