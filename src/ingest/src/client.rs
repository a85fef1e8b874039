//! The shell around a session: sockets, TLS, time. One task a session; it reads large pieces, and a timer is set for what the session
//! waits for, not for each packet.

mod connect;
mod datagrams;
mod knock;
mod link;
mod paced;
mod tls;
mod tunnel;

pub use knock::knock;

use crate::session::{Output, Quirks, Session, Settings, unavailable};
use crate::wire::url::CameraUrl;
use datagrams::Datagrams;
use link::Link;
use perch_base::Result;
use perch_base::clock::{SharedClock, Sleep, within};
use perch_base::secret::{self, sha256};
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::ingest::{
    IngestPort, IngestRequest, IngestSink, Intake, KnownCertificates, SpeechFrame, SpeechSource, TlsTrust, Transport,
};
use perch_domain::ports::Later;
use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Cameras whose quirks are kept.
const MOST_CAMERAS: usize = 64;
/// How long a camera may take to take what is sent to it.
const SENT_WITHIN: Duration = Duration::from_secs(5);
/// Bytes that may come before pictures are asked for and begin: answers are small, and pictures that come too soon are seconds of them.
const MOST_BEFORE: usize = 64 << 20;

/// Sessions with network cameras. Clones share what is learned of them.
#[derive(Clone)]
pub struct Ingest {
    clock: SharedClock,
    quirks_of_cameras: Arc<Mutex<QuirksOfCameras>>,
    certificates: Arc<dyn KnownCertificates>,
}

/// What was learned of cameras, by the hash of their URL without user and password; the last used stand last.
#[derive(Default)]
struct QuirksOfCameras(VecDeque<([u8; 32], Quirks)>);

impl QuirksOfCameras {
    fn of(&self, camera: &[u8; 32]) -> Quirks {
        self.0.iter().find(|(of, _)| of == camera).map(|(_, quirks)| quirks.clone()).unwrap_or_default()
    }

    fn keep(&mut self, camera: [u8; 32], quirks: Quirks) {
        self.0.retain(|(of, _)| *of != camera);
        if quirks != Quirks::default() {
            self.0.push_back((camera, quirks));
        }
        if self.0.len() > MOST_CAMERAS {
            self.0.pop_front();
        }
    }
}

/// Secures a connection to a camera, at `place` such as `192.168.1.20:443`: with the certificate that is known of it, else with whatever it shows,
/// which is known from then on. Errors like a session.
pub async fn secured(
    tcp: TcpStream,
    host: &str,
    place: &str,
    certificates: &dyn KnownCertificates,
) -> Result<TlsStream<TcpStream>> {
    let known = certificates.of(place);
    let (stream, shown) = tls::connect(tcp, host, &known.map_or(TlsTrust::FirstSeen, TlsTrust::Pinned)).await?;
    if known.is_none() {
        certificates.learn(place, shown);
    }
    Ok(stream)
}

impl Ingest {
    /// Sessions whose times and limits go by this clock, with cameras that show the certificates which are known of them; to be used
    /// inside a tokio runtime.
    pub fn new(clock: SharedClock, certificates: Arc<dyn KnownCertificates>) -> Self {
        Self { clock, quirks_of_cameras: Arc::default(), certificates }
    }

    async fn session(
        &self,
        request: &IngestRequest,
        (sink, speech): (&dyn IngestSink, Option<&dyn SpeechSource>),
        mut shutdown: Shutdown,
    ) -> Result<()> {
        let url = CameraUrl::parse(request.url.expose())?;
        let place = format!("{}:{}", url.host, url.rtsp_port());
        let mut trust = match &request.trust {
            TlsTrust::FirstSeen => self.certificates.of(&place).map_or(TlsTrust::FirstSeen, TlsTrust::Pinned),
            trust => trust.clone(),
        };
        let mut ending = pin!(shutdown.called());
        let mut link = tokio::select! {
            biased;
            () = &mut ending => return Ok(()),
            link = Link::open(&self.clock, &url, request.transport, &trust) => link?,
        };
        if let (TlsTrust::FirstSeen, Some(shown)) = (&trust, link.certificate()) {
            self.certificates.learn(&place, shown);
            trust = TlsTrust::Pinned(shown);
        }
        // What is learned of one kind of session says nothing of the other.
        let camera =
            sha256([url.clean(), speech.map(|_| " to speak".to_owned()).unwrap_or_default()].concat().as_bytes());
        let settings = Settings {
            url,
            peer: link.peer().ip(),
            transport: request.transport,
            sound: request.sound,
            speaks: speech.is_some(),
            client_nonce: secret::hex(&secret::random_bytes::<16>()),
            quirks: lock(&self.quirks_of_cameras).of(&camera),
        };
        let mut shell = Shell {
            clock: &self.clock,
            transport: request.transport,
            trust,
            sink,
            speech,
            session: Session::new(self.clock.mono(), settings),
            datagrams: Datagrams::new(link.local(), link.peer()),
            link: None,
            before: 0,
            is_paced: false,
        };
        shell.greet(&mut link);
        shell.link = Some(link);
        let result = shell.run(ending.as_mut()).await;
        let (bytes, times) = shell.session.foreign();
        if times > 0 {
            tracing::debug!(bytes, times, "bytes between a camera's packets belonged to nothing");
        }
        lock(&self.quirks_of_cameras).keep(camera, shell.session.quirks().clone());
        result
    }
}

impl IngestPort for Ingest {
    fn run<'a>(
        &'a self,
        request: &'a IngestRequest,
        sink: &'a dyn IngestSink,
        shutdown: Shutdown,
    ) -> Later<'a, Result<()>> {
        Box::pin(self.session(request, (sink, None), shutdown))
    }

    fn speak<'a>(
        &'a self,
        request: &'a IngestRequest,
        speech: &'a dyn SpeechSource,
        shutdown: Shutdown,
    ) -> Later<'a, Result<()>> {
        Box::pin(self.session(request, (&TakesNothing, Some(speech)), shutdown))
    }
}

/// Of a camera that is spoken to nothing is taken.
struct TakesNothing;

impl IngestSink for TakesNothing {
    fn take(&self, _: Intake) -> bool {
        true
    }
}

/// The next of what is to be said; never where nothing is.
async fn next_of(speech: Option<&dyn SpeechSource>, is_playing: bool) -> Option<SpeechFrame> {
    match speech.filter(|_| is_playing) {
        Some(speech) => speech.next().await,
        None => std::future::pending().await,
    }
}

/// One session with its sockets.
struct Shell<'a> {
    clock: &'a SharedClock,
    transport: Transport,
    /// Whom later connections of this session must show themselves to be.
    trust: TlsTrust,
    sink: &'a dyn IngestSink,
    /// What is said to the camera, where it is spoken to.
    speech: Option<&'a dyn SpeechSource>,
    session: Session,
    /// The connection; none after it was closed.
    link: Option<Link>,
    /// Bytes that came before pictures began.
    before: usize,
    is_paced: bool,
    datagrams: Datagrams,
}

impl Shell<'_> {
    /// Runs the session to its end, or as far as its farewell after `ending`.
    async fn run(&mut self, mut ending: Pin<&mut impl Future<Output = ()>>) -> Result<()> {
        let mut timer: Option<(MonoTime, Sleep)> = None;
        let mut is_stopping = false;
        loop {
            while let Some(output) = self.session.poll() {
                match output {
                    Output::End(result) => {
                        self.hand_over(is_stopping);
                        return result;
                    }
                    Output::Connect(url) => tokio::select! {
                        biased;
                        () = &mut ending, if !is_stopping => return Ok(()),
                        link = Link::open(self.clock, &url, self.transport, &self.trust) => self.connected(link?),
                    },
                    output => self.obey(output).await,
                }
            }
            if !self.hand_over(is_stopping) {
                is_stopping = true;
                self.session.stop(self.clock.mono());
                continue;
            }
            set(&mut timer, self.session.deadline(), self.clock);
            tokio::select! {
                biased;
                () = &mut ending, if !is_stopping => {
                    is_stopping = true;
                    self.session.stop(self.clock.mono());
                }
                // Before what a camera may send without end.
                () = ring(&mut timer) => self.session.tick(self.clock.mono()),
                frame = next_of(self.speech, self.session.is_playing()), if !is_stopping => match frame {
                    Some(frame) => self.session.say(&frame),
                    None => {
                        is_stopping = true;
                        self.session.stop(self.clock.mono());
                    }
                },
                read = Link::read_of(&mut self.link, self.session.buffer()) => self.has_read(read),
                () = self.datagrams.arrive() => {
                    let now = self.clock.mono();
                    self.datagrams.take_in(|track, is_rtcp, data| self.session.datagram(now, track, is_rtcp, data));
                    self.session.settle(now);
                }
            }
        }
    }

    /// Gives on what came, as long as somebody wants it. False: nobody wants more.
    fn hand_over(&mut self, is_stopping: bool) -> bool {
        self.session.taken().drain(..).all(|intake| is_stopping || self.sink.take(intake))
    }

    /// A connection is open: takes in what came with it.
    fn greet(&mut self, link: &mut Link) {
        let rest = link.take_rest();
        if !rest.is_empty() {
            self.session.buffer().extend_from_slice(&rest);
            self.session.read(self.clock.mono());
        }
    }

    fn connected(&mut self, mut link: Link) {
        self.datagrams.moved(link.local(), link.peer());
        self.session.connected(self.clock.mono());
        self.greet(&mut link);
        self.link = Some(link);
    }

    fn has_read(&mut self, read: io::Result<usize>) {
        match read {
            Ok(count @ 1..) => {
                self.session.read(self.clock.mono());
                self.pace();
                self.count(count);
            }
            Ok(0) => self.closed("it ended"),
            Err(e) => self.closed(&e.to_string()),
        }
    }

    /// Leaves a camera that sends without end before pictures come: reading that takes the whole time of a core.
    fn count(&mut self, bytes: usize) {
        if self.is_paced {
            return;
        }
        self.before = self.before.saturating_add(bytes);
        if self.before > MOST_BEFORE {
            let what =
                "it sends without end what nobody asked for, and no picture comes: check the port in its address";
            self.link = None;
            self.session.fail(self.clock.mono(), unavailable(what));
        }
    }

    /// Reads at a common beat from when pictures come.
    fn pace(&mut self) {
        if self.is_paced || !self.session.is_playing() {
            return;
        }
        self.is_paced = true;
        match self.link.take().map(Link::paced) {
            Some(Ok(link)) => self.link = Some(link),
            Some(Err(e)) => self.closed(&e.to_string()),
            None => {}
        }
    }

    fn closed(&mut self, why: &str) {
        self.link = None;
        self.session.closed(self.clock.mono(), why);
    }

    async fn obey(&mut self, output: Output) {
        match output {
            Output::Send(bytes) => {
                let Some(link) = &mut self.link else { return };
                match within(self.clock, SENT_WITHIN, link.send(&bytes)).await {
                    Some(Ok(())) => {}
                    Some(Err(e)) => self.closed(&e.to_string()),
                    None => self.closed("it takes nothing"),
                }
            }
            Output::OpenPorts(track) => {
                let ports = self.datagrams.open(track);
                self.session.opened(self.clock.mono(), ports);
            }
            Output::Hear { track, to, source } => self.datagrams.hear(track, to, source),
            Output::Join { track, group, ports, source } => {
                if let Err(e) = self.datagrams.join(track, group, ports, source) {
                    self.session.fail(self.clock.mono(), e);
                }
            }
            Output::Datagram { track, is_rtcp, data } => self.datagrams.send(track, is_rtcp, &data),
            Output::Connect(_) | Output::End(_) => {}
        }
    }
}

/// Sets the timer to `due`. One that rings sooner is left: what it was for may be over, and setting one for each packet costs more.
fn set(timer: &mut Option<(MonoTime, Sleep)>, due: Option<MonoTime>, clock: &SharedClock) {
    match (&*timer, due) {
        (_, None) => *timer = None,
        (Some((at, _)), Some(due)) if *at <= due => {}
        (_, Some(due)) => *timer = Some((due, clock.sleep_until(due))),
    }
}

/// Waits until the timer rings; for ever where none is set.
async fn ring(timer: &mut Option<(MonoTime, Sleep)>) {
    match timer {
        Some((_, sleep)) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
    *timer = None;
}
