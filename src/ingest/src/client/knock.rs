//! Whether RTSP answers at a port, and what the server calls itself: one OPTIONS without a word of who asks.

use perch_domain::text::as_told;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer that are read.
const MOST: usize = 4096;

/// What the server at `at` calls itself, which may be nothing; `None` where no RTSP answers. Waits as long as it is let: who calls has a limit.
pub async fn knock(at: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    let question = format!("OPTIONS rtsp://{at}/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: Perch\r\n\r\n");
    stream.write_all(question.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while answer.len() < MOST && !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
        }
    }
    called(&answer)
}

/// What an answer says.
fn called(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let mut lines = text.lines();
    lines.next()?.starts_with("RTSP/").then_some(())?;
    let server =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.trim().eq_ignore_ascii_case("server"));
    Some(server.map(|(_, value)| as_told(value)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rtsp_counts() {
        for (answer, want) in [
            ("RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Hipcam  RealServer/V1.0\r\n\r\n", Some("Hipcam  RealServer/V1.0")),
            ("RTSP/1.0 401 Unauthorized\r\nserver:x\u{1}y\r\n\r\n", Some("xy")),
            ("RTSP/1.0 200 OK\r\n\r\n", Some("")),
            ("HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", None),
            ("SSH-2.0-OpenSSH", None),
            ("", None),
        ] {
            assert_eq!(called(answer.as_bytes()).as_deref(), want, "{answer}");
        }
    }
}
