//! The smallest RTSP reader that counts: TCP interleaved, Digest (RFC 2326, RFC 2617), everything read and thrown away.

use md5::{Digest, Md5};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Plays `rtsp://{host}/{path}` until dropped; adds every byte it reads to `bytes`.
pub async fn play(host: &str, path: &str, user: &str, password: &str, bytes: Arc<AtomicU64>) -> Result<(), String> {
    let url = format!("rtsp://{host}/{path}");
    let mut c = Conversation {
        socket: TcpStream::connect(host).await.map_err(|e| e.to_string())?,
        buffer: Vec::new(),
        cseq: 0,
        user: user.to_owned(),
        password: password.to_owned(),
        nonce: String::new(),
    };
    let challenge = c.ask("DESCRIBE", &url, "Accept: application/sdp\r\n").await?;
    c.nonce = between(&challenge, "nonce=\"", "\"").ok_or("no nonce")?.to_owned();
    let sdp = c.ask("DESCRIBE", &url, "Accept: application/sdp\r\n").await?;
    let controls: Vec<_> = sdp.lines().filter_map(|l| l.strip_prefix("a=control:")).filter(|c| *c != "*").collect();
    let mut session = String::new();
    for (i, control) in controls.iter().enumerate() {
        let track = match control.starts_with("rtsp://") {
            true => (*control).to_owned(),
            false => format!("{url}/{control}"),
        };
        let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={}-{}\r\n{session}", 2 * i, 2 * i + 1);
        let answer = c.ask("SETUP", &track, &transport).await?;
        let id = between(&answer, "Session: ", "\r\n").ok_or("no session")?;
        session = format!("Session: {}\r\n", id.split(';').next().unwrap_or(id));
    }
    c.ask("PLAY", &url, &session).await?;
    let mut sink = vec![0; 64 * 1024];
    loop {
        match c.socket.read(&mut sink).await {
            Ok(0) | Err(_) => return Err("the server closed the stream".into()),
            Ok(n) => bytes.fetch_add(n as u64, Ordering::Relaxed),
        };
    }
}

struct Conversation {
    socket: TcpStream,
    buffer: Vec<u8>,
    cseq: u32,
    user: String,
    password: String,
    nonce: String,
}

impl Conversation {
    async fn ask(&mut self, method: &str, url: &str, headers: &str) -> Result<String, String> {
        self.cseq += 1;
        let authorization = match self.nonce.as_str() {
            "" => String::new(),
            nonce => {
                let ha1 = md5_hex(&format!("{}:perch:{}", self.user, self.password));
                let response = md5_hex(&format!("{ha1}:{nonce}:{}", md5_hex(&format!("{method}:{url}"))));
                format!(
                    "Authorization: Digest username=\"{}\", realm=\"perch\", nonce=\"{nonce}\", uri=\"{url}\", response=\"{response}\"\r\n",
                    self.user
                )
            }
        };
        let request = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{authorization}{headers}\r\n", self.cseq);
        self.socket.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
        loop {
            if let Some(answer) = self.take_answer() {
                let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
                let challenged = self.nonce.is_empty() && status == "401";
                return if status == "200" || challenged { Ok(answer) } else { Err(format!("{method}: {status}")) };
            }
            let mut piece = [0; 8192];
            let n = self.socket.read(&mut piece).await.map_err(|e| e.to_string())?;
            if n == 0 {
                return Err(format!("{method}: closed"));
            }
            self.buffer.extend_from_slice(&piece[..n]);
        }
    }

    fn take_answer(&mut self) -> Option<String> {
        // Media may come before PLAY's answer (RFC 2326, section 10.12): `$`, channel, length.
        while self.buffer.first() == Some(&b'$') {
            let length = u16::from_be_bytes([*self.buffer.get(2)?, *self.buffer.get(3)?]);
            let end = 4 + usize::from(length);
            if self.buffer.len() < end {
                return None;
            }
            self.buffer.drain(..end);
        }
        // And follow it at once: it is bytes, not text.
        let head = self.buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        let body: usize = between(&text, "Content-Length: ", "\r\n").and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        let body = String::from_utf8_lossy(self.buffer.get(head..head + body)?).into_owned();
        self.buffer.drain(..head + body.len());
        Some(text + &body)
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

fn md5_hex(text: &str) -> String {
    perch_base::secret::hex(&Md5::digest(text.as_bytes()))
}
