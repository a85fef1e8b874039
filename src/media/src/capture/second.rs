//! A network camera's own second stream: the small stream and the pictures for motion, with sessions of its own that fail and start again
//! alone.

use super::attempts::Attempts;
use super::control::{Control, until};
use super::decoding::Decoded;
use super::flow::Flow;
use super::inlet::{Inlet, codec_of, request};
use super::settings::{CaptureEvent, Progress, Settings};
use super::tries::Tries;
use crate::fanout::{Demand, Hub};
use perch_base::clock::{SharedClock, within};
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, shutdown};
use perch_domain::capture_attempt::LET_GO_WITHIN;
use perch_domain::health::{NETWORK_STALL_AFTER, StallVerdict, StallWatch, never_started};
use perch_domain::media::{Stream, VideoCodec};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A second stream beside its sessions. What comes of it in H.264 is the small stream; of H.265, which few viewers show, the box makes that.
pub(super) struct Second {
    /// The camera's fan-out.
    hub: Arc<Hub>,
    /// Another one, for H.265.
    source: Arc<Hub>,
    /// How its pictures travel, once a session says so.
    codec: watch::Sender<Option<VideoCodec>>,
}

impl Second {
    /// Nothing of it yet.
    pub fn new(flow: &Flow, clock: &SharedClock) -> Self {
        let hub = flow.hub().clone();
        let source = Hub::new(hub.camera().clone(), clock.clone());
        source.set_memory(hub.memory());
        Self { hub, source, codec: watch::Sender::default() }
    }

    /// What of it is to be decoded, once it is known how it travels. `None`: the attempt is over.
    pub async fn decoded(&self) -> Option<Decoded> {
        let codec = (*self.codec.subscribe().wait_for(Option::is_some).await.ok()?)?;
        let makes_small = codec == VideoCodec::H265;
        let source = if makes_small { &self.source } else { &self.hub };
        Some(Decoded { source: Some((source.clone(), Stream::Sub)), codec, makes_small })
    }

    /// Waits until it travels otherwise than as `codec`.
    pub async fn is_another(&self, codec: VideoCodec) {
        // The sender lives as long as this.
        let _ = self.codec.subscribe().wait_for(|now| *now != Some(codec)).await;
    }

    /// A session is over: what comes next does not join what came.
    fn breaks_off(&self) {
        self.source.discontinuity_of(Stream::Sub);
        self.hub.discontinuity_of(Stream::Sub);
    }
}

/// Sessions with the second stream at `url` as long as somebody needs it, until this is dropped.
pub(super) async fn keep(
    settings: &Arc<Settings>,
    attempts: &Attempts,
    url: &Secret,
    (flow, second): (&Arc<Flow>, &Second),
    control: &Arc<Control>,
    progress: Progress<'_>,
) {
    let for_motion = settings.config.motion.enabled;
    let is_wanted = |demand: &Demand| for_motion || demand.sub;
    // The small stream and the pictures for motion are the same.
    let tell = |why: Option<String>| {
        progress(CaptureEvent::Small(why.clone()));
        if for_motion {
            progress(CaptureEvent::MotionPictures(why));
        }
    };
    let mut demand = control.demand();
    let mut tries = Tries::new(settings);
    while until(&mut demand, is_wanted).await {
        let (inlet, mut reports) = Inlet::of_second(flow, control, &settings.config.picture, &second.source);
        let (end, over) = shutdown::channel();
        let request = request(settings, url, false);
        tries.begin();
        attempts.second_begins(settings.clock.mono());
        let mut session = pin!(settings.ingest.run(&request, &*inlet, over));
        let offered = async {
            if let Ok(offer) = reports.offer.wait_for(Option::is_some).await {
                let codec = offer.as_ref().map(|offer| codec_of(offer.pictures, VideoCodec::H264));
                second.codec.send_if_modified(|now| std::mem::replace(now, codec) != codec);
            }
            std::future::pending::<()>().await
        };
        let ended = tokio::select! {
            () = offered => Ok(()),
            ended = &mut session => ended.and(Err(Error::new(ErrorKind::Unavailable, "was ended by the camera"))),
            why = look_on(settings, &inlet, &tell) => Err(why),
            _ = until(&mut demand, |demand| !is_wanted(demand)) => {
                end.fire();
                within(&settings.clock, LET_GO_WITHIN, session).await;
                Ok(())
            }
        };
        second.breaks_off();
        let Err(why) = inlet.refused().map_or(ended, Err) else {
            tell(None);
            tries.ended_well();
            continue;
        };
        tell(Some(sentence(why.message())));
        tries.failed(&why, "the camera's second stream fails; the first goes on").await;
    }
}

/// What is said of the second stream, of which this is so; the ingest calls the camera "it".
fn sentence(what: &str) -> String {
    match what.strip_prefix("it ") {
        Some(what) => format!("the camera's second stream {what}"),
        None if ["its ", "the ", "no ", "a "].iter().any(|word| what.starts_with(word)) => {
            format!("the camera's second stream: {what}")
        }
        None => format!("the camera's second stream {what}"),
    }
}

/// Takes why there is no second stream, or that it is there.
type Tell<'a> = &'a (dyn Fn(Option<String>) + Send + Sync);

/// Looks on until the second stream stalls; says why.
async fn look_on(settings: &Settings, inlet: &Inlet, tell: Tell<'_>) -> Error {
    let clock = &settings.clock;
    let mut stall = StallWatch::new(clock.mono(), NETWORK_STALL_AFTER);
    let mut has_come = false;
    let mut said = None;
    loop {
        let (frame, sign) = inlet.seen();
        frame.into_iter().for_each(|at| stall.frame(at));
        sign.into_iter().for_each(|at| stall.sign(at));
        if frame.is_some() && !std::mem::replace(&mut has_come, true) {
            tell(None);
        }
        match stall.check(clock.mono()) {
            StallVerdict::WaitUntil(_) => {}
            StallVerdict::AwaitsKeyframe(_) => {
                // It is waited for on, for minutes.
                let what = inlet.said().filter(|what| !has_come && said.as_ref() != Some(what));
                if let Some(what) = what {
                    tell(Some(sentence(&what)));
                    said = Some(what);
                }
            }
            StallVerdict::Stalled(for_) => {
                return Error::new(ErrorKind::Unavailable, format!("brought no picture for {} s", for_.as_secs()));
            }
            StallVerdict::NeverStarted | StallVerdict::Undecodable => {
                return never_started(clock.mono(), sign, inlet.said());
            }
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_second_stream_is_a_sentence() {
        for (what, end) in [
            (
                "it has no such stream: check the path in its address (404)",
                " has no such stream: check the path in its address (404)",
            ),
            ("its name is not known in this network", ": its name is not known in this network"),
            ("sent no picture within 15 s", " sent no picture within 15 s"),
            ("a picture of more than 16 MiB was left out", ": a picture of more than 16 MiB was left out"),
            ("no picture comes: it answers nothing", ": no picture comes: it answers nothing"),
        ] {
            assert_eq!(sentence(what), format!("the camera's second stream{end}"));
        }
    }
}
