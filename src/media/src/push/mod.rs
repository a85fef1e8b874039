//! Pushes a camera to another server: one pipeline an attempt, fed by the hub like any consumer, that ends when the other server goes, takes
//! nothing, or the camera has nothing to give. When that is so is decided in `domain::push`.

mod feed;
mod out;
mod whip;

use crate::capture::running::Running;
use crate::capture::{Signal, Threads};
use crate::fanout::Hub;
use crate::pipeline::Library;
use feed::Feed;
use gstreamer as gst;
use perch_base::clock::{SharedClock, within};
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::capture_attempt::LET_GO_WITHIN;
use perch_domain::media::Stream;
use perch_domain::push::plan::PushPlan;
use perch_domain::push::watch::{PushStep, PushWatch};
use perch_domain::push::{PushState, PushTarget};
use perch_domain::redact::redact_text;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use whip::Peer;

/// How often an attempt is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A library that resolves names or connects while it starts gets this long.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// What is pushed where.
pub struct PushOrder {
    /// The camera's fan-out.
    pub hub: Arc<Hub>,
    /// Where to.
    pub target: PushTarget,
    /// What of it.
    pub plan: PushPlan,
}

/// Why an attempt ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushEnd {
    /// It was told to.
    Told,
    /// The camera gives no picture.
    NoPicture,
    /// The camera encodes otherwise now.
    Changed,
}

/// Whether the camera gives pictures, so that there is something to push.
pub fn has_picture(hub: &Hub) -> bool {
    hub.latest_keyframe(Stream::Main).is_some()
}

/// One attempt. `say` hears how it is and how many bytes more went out, twice a second. Errors with what people can do something about.
pub async fn push_once(
    library: Arc<Library>,
    clock: &SharedClock,
    order: PushOrder,
    say: impl Fn(PushState, u64),
    shutdown: &mut Shutdown,
) -> Result<PushEnd> {
    let PushOrder { hub, target, plan } = order;
    let host = target.host().to_owned();
    let (tell, mut failed) = mpsc::unbounded_channel();
    let tell_whip = tell.clone();
    let (name, to) = (format!("push to {host}"), target.clone());
    let building = on_own_thread(name, move || {
        let out = out::build(&library, &to, plan)?;
        let explain = move |e: &gst::glib::Error, debug: Option<&str>| explained(e, debug, &to);
        let running = Running::explained(out.pipeline.clone(), Threads::default(), explain, move |signal| {
            if let Signal::Failed(e) = signal {
                let _ = tell.send(e);
            }
        });
        let started = running.set_state(gst::State::Playing);
        Ok((out, running, started))
    });
    let built = tokio::select! {
        () = shutdown.called() => return Ok(PushEnd::Told),
        built = within(clock, STARTS_WITHIN, building) => built,
    };
    let late = || Err(Error::new(ErrorKind::Unavailable, format!("{host} cannot be reached")));
    let (out, mut running, started) = built.unwrap_or_else(late)?;
    let mut peer = out.whip.clone().map(|bin| {
        Peer::new(bin, host.clone(), move |e| {
            let _ = tell_whip.send(e);
        })
    });
    let is_connected = peer.as_ref().map(Peer::connected);
    let reports = peer.as_ref().map(Peer::reports);
    let mut session = None;
    let began = match (started, &mut peer) {
        // What the library said tells more.
        (Err(e), _) => Err(failed.try_recv().unwrap_or(e)),
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(peer)) => tokio::select! {
            () = shutdown.called() => Ok(()),
            connected = peer.connect(&target, clock) => connected.map(|made| session = Some(made)),
        },
    };
    let ended = match began {
        Err(e) => Err(e),
        Ok(()) => {
            let feed = Feed::attach(&hub, plan, out.video.clone(), out.audio.clone());
            let mut watch = PushWatch::new(clock.mono());
            let mut told_bytes = 0;
            loop {
                tokio::select! {
                    () = shutdown.called() => break Ok(PushEnd::Told),
                    Some(e) = failed.recv() => break Err(e),
                    () = clock.sleep(LOOK_EVERY) => {}
                }
                let passed = out.passed_bytes.load(Ordering::Relaxed);
                let leaves = is_connected.as_ref().is_none_or(|is| is.load(Ordering::SeqCst));
                let (fed, bytes) = (feed.fed(), if leaves { passed } else { told_bytes });
                if fed.is_foreign {
                    break Ok(PushEnd::Changed);
                }
                if fed.is_cut_off {
                    let silent = || Error::new(ErrorKind::Unavailable, format!("{host} takes nothing any more"));
                    // What the library said tells more.
                    break Err(failed.try_recv().unwrap_or_else(|_| silent()));
                }
                let reports = reports.as_ref().map(|reports| reports.load(Ordering::Relaxed));
                match watch.look(clock.mono(), fed.pictures, bytes, reports, &host) {
                    PushStep::Go(state) => say(state, bytes - std::mem::replace(&mut told_bytes, bytes)),
                    PushStep::Rest => break Ok(PushEnd::NoPicture),
                    PushStep::Fail(e) => break Err(e),
                }
            }
        }
    };
    if let Some(session) = session {
        session.end(clock).await;
    }
    if within(clock, LET_GO_WITHIN, running.end()).await.is_none() {
        tracing::warn!(host, "a push does not end; it is left behind");
    }
    ended
}

/// What an error of a library means for whoever pushes to `target`. Its own words are for the inside, without what may be a secret.
fn explained(error: &gst::glib::Error, debug: Option<&str>, target: &PushTarget) -> Error {
    use gst::{CoreError, ResourceError};
    let all = format!("{} {}", error.message(), debug.unwrap_or_default()).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| all.contains(word));
    let (kind, sentence) = match error.kind::<ResourceError>() {
        _ if error.kind::<CoreError>() == Some(CoreError::MissingPlugin) => (
            ErrorKind::Invalid,
            "cannot be pushed to: a GStreamer plug-in is not installed, which the log names".to_owned(),
        ),
        Some(ResourceError::NotAuthorized) => {
            (ErrorKind::Invalid, "refuses user, password or stream key: set those that it knows".to_owned())
        }
        _ if says(&["unauthorized", "not authorized", "401", "403", "badauth", "publish.denied"]) => {
            (ErrorKind::Invalid, "refuses user, password or stream key: set those that it knows".to_owned())
        }
        _ if says(&["tls support", "tls backend"]) => {
            (ErrorKind::Invalid, "cannot be reached encrypted: install the package glib-networking".to_owned())
        }
        _ if says(&["certificate", "tls"]) => {
            (ErrorKind::Unavailable, "has no certificate that is trusted here".to_owned())
        }
        _ if says(&["resolv"]) => {
            (ErrorKind::Unavailable, "is not known by the name service: see how it is written".to_owned())
        }
        _ if says(&["refused", "could not connect", "failed to connect", "unreachable", "no route"]) => {
            (ErrorKind::Unavailable, "cannot be reached: see whether it runs, and its port".to_owned())
        }
        _ if says(&["timeout", "timed out"]) => (ErrorKind::Unavailable, "does not answer".to_owned()),
        _ => (ErrorKind::Unavailable, "broke the connection off".to_owned()),
    };
    // The first line of what is beside it names elements by numbers that each attempt counts on: the same failure would be news again and again.
    let beside = debug.and_then(|debug| debug.split_once('\n')).map_or(String::new(), |(_, rest)| format!(" ({rest})"));
    let said = redact_text(&format!("{}{beside}", error.message().trim_end_matches('.')));
    Error::new(kind, format!("{} {sentence}", target.host())).with_inside(target.without_secrets(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libraries_say_becomes_a_sentence_without_secrets() {
        crate::init().expect("starts");
        for (message, debug, want) in [
            (
                "Could not connect to rtmp://me:S3CRET@h/live/S3CRET",
                None,
                "h cannot be reached: see whether it runs, and its port",
            ),
            (
                "Connection error: connection closed remotely",
                Some("stream 'S3CRET' of live/S3CRET"),
                "h broke the connection off",
            ),
            ("Failed", Some("Unacceptable TLS certificate"), "h has no certificate that is trusted here"),
            (
                "Error resolving “h”: Name or service not known",
                None,
                "h is not known by the name service: see how it is written",
            ),
            ("Unauthorized", Some("401"), "h refuses user, password or stream key: set those that it knows"),
        ] {
            let target = PushTarget::of("rtmp://me:S3CRET@h/live/S3CRET?x=S3CRET", Stream::Main).expect("valid");
            let e = explained(&gst::glib::Error::new(gst::ResourceError::Write, message), debug, &target);
            assert_eq!(e.message(), want, "{message}");
            assert!(!format!("{e} {:?}", e.inside()).contains("S3CRET"), "{e}");
        }
    }
}
