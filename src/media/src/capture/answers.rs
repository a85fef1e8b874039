//! Whether a network camera answers at all, for `perch check`. No session: that is the ingest's.

use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, Result};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Whether a server answers RTSP at `url`: OPTIONS (RFC 2326 section 10.1) without credentials; over TLS only the connection is
/// tried. Errors with [`ErrorKind::Unavailable`] and a sentence. Blocks for at most `within` for each address of the host.
pub fn answers(url: &Secret, within: Duration) -> Result<()> {
    let clean = perch_domain::redact::redact_url(url.expose());
    let unavailable = |what: String| Error::new(ErrorKind::Unavailable, what);
    let (scheme, rest) = clean.split_once("://").unwrap_or(("rtsp", &clean));
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let has_port = authority.rsplit(']').next().is_some_and(|after| after.contains(':'));
    let default_port = if scheme == "rtsps" { 322 } else { 554 };
    let place = if has_port { authority.to_owned() } else { format!("{authority}:{default_port}") };
    let addresses = place.to_socket_addrs().map_err(|e| unavailable(format!("{place} is not known here ({e})")))?;
    let mut why = format!("{place} has no address");
    for address in addresses {
        let mut socket = match TcpStream::connect_timeout(&address, within) {
            Ok(socket) => socket,
            Err(e) => {
                why = format!("{place} cannot be reached ({e})");
                continue;
            }
        };
        if scheme == "rtsps" {
            return Ok(());
        }
        let mut status = [0; 8];
        let asked = socket.set_read_timeout(Some(within)).and_then(|()| {
            socket.write_all(format!("OPTIONS {clean} RTSP/1.0\r\nCSeq: 1\r\n\r\n").as_bytes())?;
            socket.read_exact(&mut status)
        });
        let other = || unavailable(format!("{place} does not answer in RTSP"));
        return match asked {
            Ok(()) if &status == b"RTSP/1.0" => Ok(()),
            Ok(()) => Err(other().with_inside(format!("it says {:?}", String::from_utf8_lossy(&status)))),
            Err(e) => Err(other().with_source(e)),
        };
    }
    Err(unavailable(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_asked_without_its_password_and_distinguished_from_other_servers() {
        let asked = |answer: &'static str| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
            let place = listener.local_addr().expect("an address");
            let server = std::thread::spawn(move || {
                let (mut socket, _) = listener.accept().expect("a client");
                let mut request = [0; 512];
                let n = socket.read(&mut request).expect("a request");
                socket.write_all(answer.as_bytes()).expect("sent");
                String::from_utf8_lossy(&request[..n]).into_owned()
            });
            let url = Secret::new(format!("rtsp://me:hunter2@{place}/live"));
            (answers(&url, Duration::from_secs(3)).map_err(|e| e.to_string()), server.join().expect("served"), url)
        };
        let (result, request, url) = asked("RTSP/1.0 401 Unauthorized\r\n\r\n");
        assert_eq!(result, Ok(()));
        assert!(request.starts_with("OPTIONS rtsp://127.0.0.1:") && !request.contains("hunter2"), "{request}");
        let gone = answers(&url, Duration::from_secs(3)).expect_err("nobody listens any more").to_string();
        assert!(gone.contains("cannot be reached") && !gone.contains("hunter2"), "{gone}");
        let (result, ..) = asked("HTTP/1.1 400 Bad Request\r\n\r\n");
        let said = result.expect_err("HTTP");
        assert!(said.contains("does not answer in RTSP") && said.contains("HTTP/1.1"), "{said}");
        let (result, ..) = asked("");
        let said = result.expect_err("silence");
        assert!(said.contains("does not answer in RTSP: "), "the cause is said: {said}");
    }
}
