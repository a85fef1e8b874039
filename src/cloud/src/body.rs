//! The body of a request: handed out in pieces, at a pace, and it is known how far it got. The library takes a body of one piece for
//! something to hash once more, and does not notice one that nobody takes.

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

// Real time: sockets know no other.
/// Bytes of a piece: what leaves at once, however slow the pace.
const PIECE: usize = 32 * 1024;

/// How far a body got. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Bytes that were taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How fast the bodies of a store's requests may be taken, and how much was. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    bytes_per_s: Arc<AtomicU64>,
    sent_bytes: Arc<AtomicU64>,
}

impl Pace {
    /// So many bytes a second from now on; 0: no limit.
    pub(crate) fn set(&self, bytes_per_s: u64) {
        self.bytes_per_s.store(bytes_per_s, Ordering::Relaxed);
    }

    /// Bytes of bodies that were ever taken.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// How long these bytes take.
    fn time_for(&self, bytes: usize) -> Option<Duration> {
        let bytes_per_s = self.bytes_per_s.load(Ordering::Relaxed);
        (bytes_per_s > 0).then(|| Duration::from_secs_f64(bytes as f64 / bytes_per_s as f64))
    }
}

struct Pieces {
    rest: Bytes,
    progress: Progress,
    pace: Pace,
    /// The next piece is handed out after this.
    pause: Option<Pin<Box<Sleep>>>,
}

/// A body of these bytes.
pub(crate) fn body(bytes: Bytes, pace: &Pace) -> (ByteStream, Progress) {
    let progress = Progress::default();
    let pieces = Pieces { rest: bytes, progress: progress.clone(), pace: pace.clone(), pause: None };
    (ByteStream::new(SdkBody::from_body_1_x(pieces)), progress)
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(pause) = self.pause.as_mut() {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.progress.0.fetch_add(length as u64, Ordering::Relaxed);
        self.pace.sent_bytes.fetch_add(length as u64, Ordering::Relaxed);
        self.pause = self.pace.time_for(length).map(|time| Box::pin(sleep_until(Instant::now() + time)));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_comes_whole_at_its_pace() {
        let pace = Pace::default();
        pace.set(100_000);
        let bytes = Bytes::from(vec![7; 250_000]);
        let started = Instant::now();
        let (stream, progress) = body(bytes.clone(), &pace);
        assert_eq!(stream.collect().await.expect("all of it").into_bytes(), bytes);
        assert_eq!(progress.bytes(), 250_000);
        // The last piece needs no pause behind it.
        let took = started.elapsed().as_secs_f64();
        assert!((2.1..=2.5).contains(&took), "{took}");
    }
}
