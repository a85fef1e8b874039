//! A TCP stream that is read at the beats of a grid that all sessions share, not at each packet: 67 wakes a second for all cameras
//! together, where eight of them would wake the box nearly a thousand times. Pictures come at most a beat later.
// Real time: when bytes are fetched decides nothing.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Between two beats.
const BEAT: Duration = Duration::from_millis(15);
/// Bytes that are read at once, and how many times in a beat.
const PIECE: usize = 8 * 1024;
const MOST_PIECES: u8 = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Paced {
    /// Outside of the runtime's own watch, which would wake it for each packet.
    tcp: std::net::TcpStream,
    beat: Pin<Box<Sleep>>,
    /// Pieces that may still be read in this beat.
    left: u8,
}

impl Paced {
    /// The same stream, paced. Errors are the system's.
    pub fn new(tcp: TcpStream) -> io::Result<Self> {
        Ok(Self { tcp: tcp.into_std()?, beat: Box::pin(sleep_until(next_beat())), left: MOST_PIECES })
    }

    /// Waits for the next beat.
    fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.beat.as_mut().poll(cx));
        self.beat.as_mut().reset(next_beat());
        self.left = MOST_PIECES;
        Poll::Ready(())
    }
}

/// The next beat of the grid.
fn next_beat() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    let beats = origin.elapsed().as_millis() / BEAT.as_millis() + 1;
    origin + BEAT * u32::try_from(beats).unwrap_or(u32::MAX)
}

impl AsyncRead for Paced {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.left == 0 {
                ready!(this.poll_beat(cx));
            }
            let piece = buffer.initialize_unfilled_to(buffer.remaining().min(PIECE));
            let room = piece.len();
            match this.tcp.read(piece) {
                Ok(n) => {
                    // More may lie there only where the room was too small.
                    this.left = if n == room { this.left.saturating_sub(1) } else { 0 };
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => this.left = 0,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            match this.tcp.write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(this.poll_beat(cx)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.tcp.shutdown(std::net::Shutdown::Write))
    }
}
