//! One connection from accept to close: the TLS handshake, HTTP, and a watch that ends idle and stuck ones.

use crate::door::Place;
use crate::input::Peer;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use perch_base::ids::DeviceId;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take from its first byte, and how long a connection that never asked anything stays.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection stays open between requests.
const IDLE: Duration = Duration::from_secs(60);
/// The same as long as it showed no credential.
const STRANGER_IDLE: Duration = Duration::from_secs(10);
/// How long an answer may make no progress: the client stopped reading.
const STUCK: Duration = Duration::from_secs(120);
/// The same as long as it showed no credential.
const STRANGER_STUCK: Duration = Duration::from_secs(60);

/// Serves one connection until it ends, is idle or stuck, has to give way, or the server drains. The box's own connections have
/// no `place`: they are not counted.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    place: Option<Place>,
    acceptor: TlsAcceptor,
    router: Router,
    mut drain: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity::new(place));
    let first = {
        let (activity, mut was_silent) = (Arc::clone(&activity), true);
        move || {
            if std::mem::take(&mut was_silent) {
                activity.speaks();
            }
        }
    };
    let stream = Watched { io: stream, heard: first };
    let tls = tokio::select! {
        // Real time, here and below: the peer and the network go by no clock of ours.
        done = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => match done {
            Ok(Ok(tls)) => tls,
            Ok(Err(e)) => return tracing::debug!(address = %peer.ip(), error = %e, "a TLS handshake failed"),
            Err(_) => return tracing::debug!(address = %peer.ip(), "a TLS handshake took too long"),
        },
        () = activity.sent_away() => return,
        _ = drain.wait_for(|ends| *ends) => return,
    };
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = {
        let activity = Arc::clone(&activity);
        hyper::service::service_fn(move |request: Request<Incoming>| {
            let (router, activity) = (router.clone(), Arc::clone(&activity));
            async move {
                let running = Running::new(activity);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                request.extensions_mut().insert(RequestConnection(Arc::clone(&running.0)));
                let response: Response<Body> = router.oneshot(request).await?;
                Ok::<_, Infallible>(response.map(|body| Tracked { body, running }))
            }
        })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper's own timeout also runs between requests, where 10 s are too few: a client that renews its lease every 10 s would
    // meet the closing connection. The watch below tells a slow head from an idle connection.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(2 * IDLE).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(32 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    let builder = if http2 { builder.http2_only() } else { builder.http1_only() };
    let heard = {
        let activity = Arc::clone(&activity);
        move || {
            if !http2 {
                activity.bytes();
            }
        }
    };
    let io = Watched { io: tls, heard };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let mut draining = false;
    let mut ending: Option<Instant> = None;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(e) = ended {
                    tracing::debug!(address = %peer.ip(), error = %e, "a connection ended with an error");
                }
                return;
            }
            () = activity.sent_away() => {
                return tracing::debug!(address = %peer.ip(), "a connection gives way to another and is closed");
            }
            _ = drain.wait_for(|ends| *ends), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = look.tick() => match activity.verdict() {
                Verdict::Fine => {}
                Verdict::Stuck => return tracing::debug!(address = %peer.ip(), "a connection makes no progress and is closed"),
                Verdict::Idle => match ending {
                    None => {
                        ending = Some(Instant::now());
                        connection.as_mut().graceful_shutdown();
                    }
                    Some(since) if since.elapsed() > Duration::from_secs(2) => return,
                    Some(_) => {}
                },
            },
        }
    }
}

/// What a connection is doing, for its watch.
struct Activity {
    began: Instant,
    running: AtomicUsize,
    asked: AtomicU64,
    /// Milliseconds after `began` of the last sign of life.
    last_ms: AtomicU64,
    /// Milliseconds after `began` at which a head began to arrive, plus one; 0 while none does. Only of HTTP/1.
    head_ms: AtomicU64,
    /// Its place among all; the box's own have none.
    place: Option<Place>,
}

enum Verdict {
    Fine,
    Idle,
    Stuck,
}

impl Activity {
    fn new(place: Option<Place>) -> Self {
        let began = Instant::now();
        Self { began, running: 0.into(), asked: 0.into(), last_ms: 0.into(), head_ms: 0.into(), place }
    }

    /// Returns once the connection has to give way to another.
    async fn sent_away(&self) {
        match &self.place {
            Some(place) => place.sent_away().await,
            None => std::future::pending().await,
        }
    }

    fn touch(&self) {
        self.last_ms.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Bytes arrived, even if of the handshake.
    fn speaks(&self) {
        if let Some(place) = &self.place {
            place.speaks();
        }
    }

    /// Bytes arrived: of a head, unless a request is being answered.
    fn bytes(&self) {
        if self.running.load(Ordering::Relaxed) == 0 {
            let now = self.began.elapsed().as_millis() as u64 + 1;
            // An error means that the head began earlier.
            let _ = self.head_ms.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn verdict(&self) -> Verdict {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        let quiet = self.began.elapsed().saturating_sub(last);
        let is_stranger = self.place.as_ref().is_some_and(|place| !place.is_known());
        let (idle, stuck) = if is_stranger { (STRANGER_IDLE, STRANGER_STUCK) } else { (IDLE, STUCK) };
        if self.running.load(Ordering::Relaxed) > 0 {
            return if quiet > stuck { Verdict::Stuck } else { Verdict::Fine };
        }
        let head = self.head_ms.load(Ordering::Relaxed);
        if head > 0 && self.began.elapsed().saturating_sub(Duration::from_millis(head)) > HEAD {
            return Verdict::Stuck;
        }
        let allowed = if self.asked.load(Ordering::Relaxed) == 0 { HEAD } else { idle };
        if quiet > allowed { Verdict::Idle } else { Verdict::Fine }
    }
}

/// The connection of a request, as the gate and the handlers see it.
#[derive(Clone)]
pub(crate) struct RequestConnection(Arc<Activity>);

impl RequestConnection {
    /// A handler that reads for long goes on.
    pub(crate) fn touch(&self) {
        self.0.touch();
    }

    /// A valid credential of this device came over it.
    pub(crate) fn trust(&self, device: DeviceId) {
        if let Some(place) = &self.0.place {
            place.trust(device);
        }
    }
}

/// A request that is being answered, to the last byte of its answer.
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::Relaxed);
        activity.asked.fetch_add(1, Ordering::Relaxed);
        activity.head_ms.store(0, Ordering::Relaxed);
        activity.touch();
        if let Some(place) = &activity.place {
            place.starts();
        }
        Self(activity)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
        if let Some(place) = &self.0.place {
            place.ends();
        }
    }
}

/// A stream that says when bytes arrive.
struct Watched<T, F> {
    io: T,
    heard: F,
}

impl<T: AsyncRead + Unpin, F: FnMut() + Unpin> AsyncRead for Watched<T, F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if buf.filled().len() > before {
            (self.heard)();
        }
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin, F: Unpin> AsyncWrite for Watched<T, F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// An answer's body that notes its progress.
struct Tracked {
    body: Body,
    running: Running,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.running.0.touch();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
