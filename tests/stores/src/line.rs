//! A line to a store that breaks as lines and stores do: what goes through it is passed on, until it is told otherwise.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is wrong with the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// Nothing.
    None,
    /// Every connection is reset after so many more bytes of the client's.
    ResetAfter(u64),
    /// So many bytes a second towards the store, shared by all.
    Slow(u64),
    /// What is sent arrives nowhere and is answered by nobody.
    BlackHole,
    /// Every request is answered with this instead: status, further header lines, body.
    Answer(u16, &'static str, &'static str),
    /// One bit of what is sent is turned, so many bytes behind the beginning of a connection, each time.
    FlipAt(u64),
    /// The store does as it is told, and its answers to so many bytes and more are lost: the connection is reset instead.
    LoseAnswers(u64),
    /// Every connection is reset once so many bytes of answers went through it.
    CutAnswersAfter(u64),
}

struct Inner {
    fault: LineFault,
    /// Since the fault was set.
    since_bytes: u64,
    /// Ever.
    sent_bytes: u64,
}

/// A proxy that runs until it is dropped.
pub struct Line {
    /// Where it is reached.
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    serving: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Line {
    /// A line to `store`. Within a runtime.
    pub async fn to(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let inner = Arc::new(Mutex::new(Inner { fault: LineFault::None, since_bytes: 0, sent_bytes: 0 }));
        let shared = inner.clone();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, store, shared.clone()));
            }
        });
        Self { address, inner, serving }
    }

    /// From now on it is like this; connections that are there, too.
    pub fn set(&self, fault: LineFault) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.fault = fault;
        inner.since_bytes = 0;
    }

    /// Bytes that clients ever sent towards the store.
    pub fn sent_bytes(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).sent_bytes
    }

    /// `http://` and its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn carry(client: TcpStream, store: SocketAddr, inner: Arc<Mutex<Inner>>) {
    let Ok(upstream) = TcpStream::connect(store).await else { return };
    // A reset instead of a goodbye where the line breaks.
    let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
    let (from_client, mut to_client) = client.into_split();
    let (mut from_store, to_store) = upstream.into_split();
    let up = tokio::spawn(upwards(from_client, to_store, inner.clone()));
    let mut buffer = vec![0; 16 * 1024];
    let mut answered = 0;
    let mut up_is_over = std::pin::pin!(up);
    loop {
        tokio::select! {
            ended = &mut up_is_over => {
                if let Ok(Some(answer)) = ended {
                    let _ = to_client.write_all(&answer).await;
                    let _ = to_client.flush().await;
                    // It is to be read before the reset.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                return;
            }
            read = from_store.read(&mut buffer) => {
                let Ok(n @ 1..) = read else { return };
                let lost = {
                    let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
                    match inner.fault {
                        LineFault::LoseAnswers(most) => inner.since_bytes >= most,
                        LineFault::CutAnswersAfter(most) => answered >= most,
                        LineFault::BlackHole => true,
                        _ => false,
                    }
                };
                answered += n as u64;
                if lost || to_client.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Passes on what the client sends; what the line answers by itself.
async fn upwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, inner: Arc<Mutex<Inner>>) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 16 * 1024];
    let mut carried = 0u64;
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else { return None };
        let fault = {
            let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.since_bytes += n as u64;
            inner.sent_bytes += n as u64;
            match inner.fault {
                LineFault::ResetAfter(most) if inner.since_bytes > most => return None,
                _ => inner.fault.clone(),
            }
        };
        match fault {
            LineFault::BlackHole => std::future::pending().await,
            LineFault::Slow(bytes_per_s) => {
                tokio::time::sleep(Duration::from_secs_f64(n as f64 / bytes_per_s.max(1) as f64)).await;
            }
            LineFault::Answer(status, headers, body) => {
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
                );
                return Some(text.into_bytes());
            }
            LineFault::FlipAt(at) if (carried..carried + n as u64).contains(&at) => {
                buffer[(at - carried) as usize] ^= 1;
            }
            _ => {}
        }
        carried += n as u64;
        if to.write_all(&buffer[..n]).await.is_err() {
            return None;
        }
    }
}
