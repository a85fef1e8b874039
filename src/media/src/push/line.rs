//! One attempt's way to another server: the pipeline that runs, what it says of its failure, and for WHIP the session.

use super::explain::{elsewhere, explained, untrusted};
use super::out::{self, Out};
use super::whip::{Peer, WhipSession};
use crate::capture::running::Running;
use crate::capture::{Signal, Threads};
use crate::pipeline::Library;
use gstreamer as gst;
use perch_base::clock::{SharedClock, within};
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::capture_attempt::LET_GO_WITHIN;
use perch_domain::push::PushTarget;
use perch_domain::push::plan::PushPlan;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often an attempt is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A library that resolves names or connects while it starts gets this long.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A pipeline that takes pictures.
pub(super) struct Line {
    pub out: Out,
    pub host: String,
    running: Running,
    failures: mpsc::UnboundedReceiver<Error>,
    peer: Option<Peer>,
    session: Option<WhipSession>,
}

impl Line {
    /// Builds it and reaches for the server. `None` where it was told to end. Errors with what people can do something about.
    pub async fn open(
        library: Arc<Library>,
        clock: &SharedClock,
        target: &PushTarget,
        plan: PushPlan,
        shutdown: &mut Shutdown,
    ) -> Result<Option<Self>> {
        let host = target.host().to_owned();
        let (tell, failures) = mpsc::unbounded_channel();
        let tell_whip = tell.clone();
        let (name, to) = (format!("push to {host}"), target.clone());
        let building = on_own_thread(name, move || {
            let out = out::build(&library, &to, plan)?;
            let is_untrusted = out.is_untrusted.clone();
            let explain = move |e: &gst::glib::Error, debug: Option<&str>| match is_untrusted.load(Ordering::SeqCst) {
                true => untrusted(&to),
                false => explained(e, debug, &to),
            };
            let running = Running::explained(out.pipeline.clone(), Threads::default(), explain, move |signal| {
                if let Signal::Failed(e) = signal {
                    let _ = tell.send(e);
                }
            });
            let started = running.set_state(gst::State::Playing);
            Ok((out, running, started))
        });
        let built = tokio::select! {
            () = shutdown.called() => return Ok(None),
            built = within(clock, STARTS_WITHIN, building) => built,
        };
        let late = || Err(Error::new(ErrorKind::Unavailable, format!("{host} cannot be reached")));
        let (out, running, started) = built.unwrap_or_else(late)?;
        let peer = out.whip.clone().map(|bin| {
            Peer::new(bin, host.clone(), move |e| {
                let _ = tell_whip.send(e);
            })
        });
        let mut line = Self { out, host, running, failures, peer, session: None };
        let began = match started {
            // What the library said tells more.
            Err(e) => Err(line.failures.try_recv().unwrap_or(e)),
            Ok(()) => line.connect(target, clock, shutdown).await,
        };
        match began {
            Ok(true) => return Ok(Some(line)),
            Ok(false) => line.end(clock).await,
            Err(e) => {
                line.end(clock).await;
                return Err(e);
            }
        }
        Ok(None)
    }

    /// Makes the session of WHIP. Returns whether it goes on.
    async fn connect(&mut self, target: &PushTarget, clock: &SharedClock, shutdown: &mut Shutdown) -> Result<bool> {
        let Some(peer) = &mut self.peer else { return Ok(true) };
        tokio::select! {
            () = shutdown.called() => Ok(false),
            connected = peer.connect(target, clock) => {
                self.session = Some(connected?);
                Ok(true)
            }
        }
    }

    /// Waits until the pipeline fails.
    pub async fn failed(&mut self) -> Error {
        match self.failures.recv().await {
            Some(e) => e,
            None => std::future::pending().await,
        }
    }

    /// Why it ends that nothing is taken any more.
    pub fn takes_nothing(&mut self) -> Error {
        let silent = || Error::new(ErrorKind::Unavailable, format!("{} takes nothing any more", self.host));
        // What the library said tells more.
        self.failures.try_recv().unwrap_or_else(|_| silent())
    }

    /// What was handed to the server, bytes.
    pub fn passed_bytes(&self) -> u64 {
        let leaves = self.peer.as_ref().is_none_or(|peer| peer.connected().load(Ordering::SeqCst));
        if leaves { self.out.passed_bytes.load(Ordering::Relaxed) } else { 0 }
    }

    /// Errors where the server sent it elsewhere, which RTSP's library follows by itself: an owner's word is for one address.
    pub fn check_place(&self) -> Result<()> {
        match self.out.is_elsewhere() {
            true => Err(elsewhere(&self.host)),
            false => Ok(()),
        }
    }

    /// How often it reported what it took, where it does.
    pub fn reports(&self) -> Option<u64> {
        self.peer.as_ref().map(|peer| peer.reports().load(Ordering::Relaxed))
    }

    /// Says goodbye and ends.
    pub async fn end(mut self, clock: &SharedClock) {
        if let Some(session) = self.session.take() {
            session.end(clock).await;
        }
        if within(clock, LET_GO_WITHIN, self.running.end()).await.is_none() {
            tracing::warn!(host = self.host, "a push does not end; it is left behind");
        }
    }
}
