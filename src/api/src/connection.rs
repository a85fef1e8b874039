//! One connection from accept to close: the TLS handshake (or none), HTTP, and a watch that ends idle and stuck ones. Which those are is
//! decided in `domain::connection`.

use crate::door::Place;
use crate::first_byte::{Begun, writes_through};
use crate::socket::Reset;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::DeviceId;
use perch_base::sync::lock;
use perch_domain::acme::ALPN;
use perch_domain::connection::{Activity, ConnectionVerdict, HANDSHAKE_WITHIN, RequestId, Times};
use perch_domain::plain_http::begins_plain_http;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where it arrived: the box's own end of its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) at: SocketAddr,
}

/// Both ends of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) own: SocketAddr,
    pub(crate) reset: Reset,
}

/// How often a connection is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) router: Router,
    /// What is answered without TLS.
    pub(crate) plain: Router,
    pub(crate) drain: watch::Receiver<bool>,
    pub(crate) clock: SharedClock,
}

impl Service {
    /// Serves one connection to the port of HTTPS until it ends, is idle or stuck, has to give way, or the server drains. The box's own
    /// connections have no `place`: they are not counted. Who begins with HTTP in plain text is told how to come by TLS.
    pub(crate) async fn serve(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        ends: Ends,
        place: Option<Place>,
    ) {
        let connection = Arc::new(Connection::new(self.clock.clone(), place, ends.reset.clone()));
        let stream = Watched { io: stream, heard: connection.first_word() };
        // The first byte is part of the handshake's time.
        let begun = async {
            let begun = Begun::read(stream).await?;
            match begun.first().is_some_and(begins_plain_http) {
                true => Ok(Err(begun)),
                false => self.acceptor.accept(begun).await.map(Ok),
            }
        };
        let peer = ends.peer.ip();
        let spoken = tokio::select! {
            done = within(&self.clock, HANDSHAKE_WITHIN, begun) => match done {
                Some(Ok(spoken)) => spoken,
                Some(Err(e)) => return tracing::debug!(address = %peer, error = %e, "a TLS handshake failed"),
                None => return tracing::debug!(address = %peer, "a TLS handshake took too long"),
            },
            () = connection.sent_away() => return,
            _ = self.drain.wait_for(|ends| *ends) => return,
        };
        match spoken {
            // Who asks whether the domain is ours has seen the certificate, and nothing is said (RFC 8737, section 3).
            Ok(tls) if tls.get_ref().1.alpn_protocol() == Some(ALPN) => {}
            Ok(tls) => {
                let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                let router = self.router.clone();
                self.speak(tls, ends, connection, Spoken { router, http2 }).await;
            }
            Err(plain) => {
                let router = self.plain.clone();
                self.speak(plain, ends, connection, Spoken { router, http2: false }).await;
            }
        }
    }

    /// Serves one connection to the plain port, under the same rules.
    pub(crate) async fn serve_plain(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        ends: Ends,
        place: Place,
    ) {
        let connection = Arc::new(Connection::new(self.clock.clone(), Some(place), ends.reset.clone()));
        let stream = Watched { io: stream, heard: connection.first_word() };
        let router = self.plain.clone();
        self.speak(stream, ends, connection, Spoken { router, http2: false }).await;
    }

    async fn speak(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        ends: Ends,
        connection: Arc<Connection>,
        spoken: Spoken,
    ) {
        let Self { mut drain, clock, .. } = self;
        let (Ends { peer, own, .. }, Spoken { router, http2 }) = (ends, spoken);
        let service = {
            let connection = Arc::clone(&connection);
            hyper::service::service_fn(move |request: Request<Incoming>| {
                let (router, running) = (router.clone(), Arc::new(Running::new(Arc::clone(&connection))));
                async move {
                    let asked = Arc::clone(&running);
                    let mut request = request.map(|body| Body::new(Asked::new(body, asked)));
                    request.extensions_mut().insert(Peer(peer));
                    request.extensions_mut().insert(Arrived { at: own });
                    request.extensions_mut().insert(Arc::clone(&running.connection));
                    let response: Response<Body> = router.oneshot(request).await?;
                    running.offers();
                    Ok::<_, Infallible>(response.map(|body| Answered { body, running }))
                }
            })
        };
        let heard = {
            let connection = Arc::clone(&connection);
            move || {
                if !http2 {
                    connection.hears();
                }
            }
        };
        let io = TokioIo::new(Watched { io: stream, heard });
        let builder = builder(http2);
        let mut http = pin!(builder.serve_connection(io, service));
        let mut look = clock.sleep(LOOK_EVERY);
        let mut draining = false;
        loop {
            tokio::select! {
                ended = http.as_mut() => {
                    if let Err(e) = ended {
                        tracing::debug!(address = %peer.ip(), error = %e, "a connection ended with an error");
                    }
                    return;
                }
                () = connection.to_be_reset.notified() => {
                    return tracing::debug!(address = %peer.ip(), "a connection is reset: its device lost its access");
                }
                () = connection.sent_away() => {
                    return tracing::debug!(address = %peer.ip(), "a connection gives way to another and is closed");
                }
                _ = drain.wait_for(|ends| *ends), if !draining => {
                    draining = true;
                    http.as_mut().graceful_shutdown();
                }
                () = &mut look => {
                    look = clock.sleep(LOOK_EVERY);
                    match connection.look() {
                        ConnectionVerdict::Stays => {}
                        ConnectionVerdict::Ends => http.as_mut().graceful_shutdown(),
                        ConnectionVerdict::Over => return,
                        ConnectionVerdict::Stuck => {
                            return tracing::debug!(address = %peer.ip(), "a connection makes no progress and is closed");
                        }
                    }
                }
            }
        }
    }
}

/// How a connection is answered.
struct Spoken {
    router: Router,
    http2: bool,
}

fn builder(http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper's own timeout also runs between requests, where 10 s are too few: a client that renews its lease every 10 s would
    // meet the closing connection. Our watch tells a slow head from an idle connection.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(2 * Times::HTTPS.idle).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(32 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    if http2 { builder.http2_only() } else { builder.http1_only() }
}

/// One connection: what it does, and its place among all. Requests carry theirs.
pub(crate) struct Connection {
    clock: SharedClock,
    activity: Mutex<Activity>,
    /// The box's own have none.
    place: Option<Place>,
    reset: Reset,
    to_be_reset: Notify,
}

impl Connection {
    fn new(clock: SharedClock, place: Option<Place>, reset: Reset) -> Self {
        let activity = Mutex::new(Activity::new(Times::HTTPS, clock.mono()));
        Self { clock, activity, place, reset, to_be_reset: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Activity> {
        lock(&self.activity)
    }

    /// Returns once the connection has to give way to another.
    async fn sent_away(&self) {
        match &self.place {
            Some(place) => place.sent_away().await,
            None => std::future::pending().await,
        }
    }

    /// To be called for bytes that arrive: the first, even if of the handshake, are noted.
    fn first_word(self: &Arc<Self>) -> impl FnMut() + Send + Unpin + 'static {
        let (connection, mut was_silent) = (Arc::clone(self), true);
        move || {
            if std::mem::take(&mut was_silent) {
                connection.speaks();
            }
        }
    }

    fn speaks(&self) {
        if let Some(place) = &self.place {
            place.speaks();
        }
    }

    /// Bytes of HTTP arrived.
    fn hears(&self) {
        self.lock().hears(self.clock.mono());
    }

    fn progresses(&self) {
        self.lock().progresses(self.clock.mono());
    }

    fn look(&self) -> ConnectionVerdict {
        let is_stranger = self.place.as_ref().is_some_and(|place| !place.is_known());
        self.lock().look(is_stranger, self.clock.mono())
    }

    /// A valid credential of this device came over it.
    pub(crate) fn trust(&self, device: DeviceId) {
        if let Some(place) = &self.place {
            place.trust(device);
        }
    }

    /// However it ends, what is still under way to its peer then is lost.
    pub(crate) fn ends_with_reset(&self) {
        self.reset.want();
    }

    /// Ends it at once, and so.
    pub(crate) fn reset(&self) {
        self.ends_with_reset();
        self.to_be_reset.notify_one();
    }

    /// The clock that its peer is measured by.
    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }
}

/// A request from its head to the last byte of its answer.
struct Running {
    connection: Arc<Connection>,
    request: RequestId,
}

impl Running {
    fn new(connection: Arc<Connection>) -> Self {
        let request = connection.lock().starts(connection.clock.mono());
        if let Some(place) = &connection.place {
            place.starts();
        }
        Self { connection, request }
    }

    /// The client may take something of its answer, or took it.
    fn offers(&self) {
        if let Some(place) = &self.connection.place {
            place.offers();
        }
    }

    /// Its body was read to the end.
    fn is_read(&self) {
        let is_new = self.connection.lock().is_read(self.request);
        if let Some(place) = self.connection.place.as_ref().filter(|_| is_new) {
            place.is_read();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let was_read = self.connection.lock().ends(self.request, self.connection.clock.mono());
        if let Some(place) = &self.connection.place {
            place.ends(was_read);
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

writes_through!(Watched<T, F: Unpin>);

/// A request's body that notes its progress and its end. One that is dropped before its end was not read.
struct Asked {
    body: Incoming,
    running: Arc<Running>,
}

impl Asked {
    fn new(body: Incoming, running: Arc<Running>) -> Self {
        if body.is_end_stream() {
            running.is_read();
        }
        Self { body, running }
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.running.connection.progresses();
        if polled.is_none() || self.body.is_end_stream() {
            self.running.is_read();
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that notes its progress.
struct Answered {
    body: Body,
    running: Arc<Running>,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.running.connection.progresses();
            self.running.offers();
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
