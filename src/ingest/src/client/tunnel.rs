//! RTSP in two HTTP connections, as QuickTime began it: answers and packets come as the endless answer to a GET, requests go in base64
//! as the endless body of a POST; a cookie pairs the two.

use super::connect::{Connection, connect};
use crate::session::unavailable;
use crate::wire::message::{self, Message, Start};
use crate::wire::url::CameraUrl;
use bytes::{Buf, BytesMut};
use perch_base::clock::{SharedClock, within};
use perch_base::{Error, ErrorKind, Result, secret};
use perch_domain::ingest::TlsTrust;
use perch_domain::sign_in::{SignIn, Verdict};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long an answer's head may take, and how long it may be.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_HEAD: usize = 32 * 1024;
/// What the body of the POST is said to be long: it has no end; servers do not count.
const POST_BYTES: u32 = 32_767;

/// Opens both; with them comes what followed the first answer. Errors are for people.
pub(super) async fn open(
    clock: &SharedClock,
    url: &CameraUrl,
    trust: &TlsTrust,
) -> Result<(Connection, Connection, BytesMut)> {
    let port = url.port.unwrap_or(if url.tls { 443 } else { 80 });
    let cookie = secret::hex(&secret::random_bytes::<11>());
    let mut sign_in = SignIn::new(url.credentials.clone(), secret::hex(&secret::random_bytes::<16>()));
    let broken =
        |e: io::Error| unavailable("it broke the HTTP connection that its pictures were to come in").with_source(e);
    let mut is_signed = false;
    let (get, rest) = loop {
        let mut get = connect(clock, url, port, trust).await?;
        let accept = [("Accept", "application/x-rtsp-tunnelled".to_owned())];
        get.stream.write_all(&request("GET", url, &cookie, &mut sign_in, &accept)).await.map_err(broken)?;
        get.stream.flush().await.map_err(broken)?;
        let silent = || unavailable("it does not answer in HTTP: check the port in its address");
        let answered = within(clock, ANSWERED_WITHIN, answer(&mut get)).await;
        let (answer, rest) = answered.ok_or_else(silent)?.map_err(|e| silent().with_source(e))?;
        match answer.start {
            Start::Response(200..=299) => break (get, rest),
            Start::Response(401) if !is_signed && sign_in.has_user() => {
                if sign_in.challenged(answer.headers("www-authenticate")) == Verdict::Unknown {
                    return Err(Error::new(ErrorKind::Unsupported, "it asks for a kind of sign-in that is not known"));
                }
                is_signed = true;
            }
            Start::Response(401 | 403) => {
                let what = "it refuses user and password, which were tried once: check both";
                return Err(Error::new(ErrorKind::Unauthenticated, what));
            }
            Start::Response(status) => {
                let what = format!("it offers no RTSP over HTTP there ({status}): choose another `transport`");
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
            Start::Request(_) => return Err(silent()),
        }
    };
    // The same camera, whoever it is.
    let trust = get.certificate.map_or_else(|| trust.clone(), TlsTrust::Pinned);
    let mut post = connect(clock, url, port, &trust).await?;
    let headers = [
        ("Content-Type", "application/x-rtsp-tunnelled".to_owned()),
        ("Content-Length", POST_BYTES.to_string()),
        ("Expires", "Sun, 9 Jan 1972 00:00:00 GMT".to_owned()),
    ];
    post.stream.write_all(&request("POST", url, &cookie, &mut sign_in, &headers)).await.map_err(broken)?;
    Ok((get, post, rest))
}

fn request(
    method: &str,
    url: &CameraUrl,
    cookie: &str,
    sign_in: &mut SignIn,
    more: &[(&'static str, String)],
) -> Vec<u8> {
    let mut headers = vec![
        ("Host", url.authority()),
        ("User-Agent", "Perch".to_owned()),
        ("x-sessioncookie", cookie.to_owned()),
        ("Pragma", "no-cache".to_owned()),
        ("Cache-Control", "no-cache".to_owned()),
    ];
    headers.extend(sign_in.authorization(method, &url.path).map(|a| ("Authorization", a)));
    headers.extend_from_slice(more);
    message::written(format!("{method} {} HTTP/1.0\r\n", url.path), &headers)
}

/// The head of an answer, and what came behind it.
async fn answer(connection: &mut Connection) -> io::Result<(Message, BytesMut)> {
    let mut buffer = BytesMut::with_capacity(LONGEST_HEAD);
    loop {
        let end = buffer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| (at, 4));
        let end = end.or_else(|| buffer.windows(2).position(|w| w == b"\n\n").map(|at| (at, 2)));
        if let Some((at, length)) = end {
            let head = buffer.split_to(at);
            buffer.advance(length);
            let message = Message::parse(&head).ok_or(io::ErrorKind::InvalidData)?;
            return Ok((message, buffer));
        }
        if buffer.len() >= LONGEST_HEAD || connection.stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
