//! A system that is being tried after an update: watched until it has proved itself, then kept. Until then the file `health` says
//! what is missing, so that whoever goes back to the old system can say why. Runs only during a trial.

use crate::camera::Camera;
use crate::cameras::Cameras;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::tasks::delivered::{self, Before};
use perch_api::Lifeline;
use perch_base::backoff::Backoff;
use perch_base::clock::{SharedClock, within};
use perch_base::repeated::Repeated;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_domain::media::Stream;
use perch_domain::ports::CameraPort;
use perch_domain::recording::TimeAnchor;
use perch_domain::status::RecordingState;
use perch_domain::task::TaskId;
use perch_domain::update::{
    GateCamera, GateSigns, GateVerdict, HealthGate, Proof, ProofCamera, TRIAL_WITHIN, UpdatePort, proof,
};
use perch_media::parts::{PartPackets, Parts};
use perch_store::{FragmentPackets, Meta, Recordings};
use perch_update::Updater;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked. The whole trial has [`TRIAL_WITHIN`].
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(12);
/// How long a camera may take to its next keyframe; then what came is closed as it is.
const KEYFRAME_WITHIN: Duration = Duration::from_secs(4);

/// What a trial looks at.
#[derive(Clone)]
pub struct Trial {
    pub updater: Updater,
    pub cameras: Arc<Cameras>,
    pub recordings: Recordings,
    pub meta: Meta,
    pub api: Lifeline,
    pub clock: SharedClock,
    /// What was logged of what is missing.
    pub failures: Arc<Repeated>,
}

/// Watches the trial, if this is one.
pub fn spawn(supervisor: &Supervisor, trial: Trial) -> Result<()> {
    if !trial.updater.places().boot().is_some_and(|b| b.trial) {
        return Ok(());
    }
    let within_s = TRIAL_WITHIN.as_secs();
    tracing::warn!(within_s, "this system is being tried: it is left again unless it proves itself");
    supervisor.spawn(TaskId::Trial, Backoff::new(Duration::from_millis(500), Duration::from_secs(5)), trial)
}

impl Task for Trial {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut gate = HealthGate::default();
        let mut recorded = Err("it was not tried yet".to_owned());
        let mut shown = None;
        loop {
            let looking = look(self, recorded.clone());
            let looked = tokio::select! {
                looked = within(&self.clock, LOOK_WITHIN, looking) => looked,
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            };
            let verdict = match looked {
                Some(signs) => {
                    let signs = signs?;
                    recorded = signs.recorded.clone();
                    gate.look(&signs, self.clock.mono())
                }
                None => gate.hears_nothing(LOOK_WITHIN),
            };
            let complaint = match &verdict {
                GateVerdict::Waiting(why) => why.clone(),
                GateVerdict::Content => String::new(),
                GateVerdict::Keep => match keep(self).await {
                    Ok(()) => return Ok(AttemptEnd::Done),
                    Err(e) => format!("it works and could not be kept: {}", self.sentence(&e)),
                },
            };
            if shown.as_ref() != Some(&complaint) {
                show(self, complaint.clone()).await?;
                shown = Some(complaint);
            }
            tokio::select! {
                () = self.clock.sleep(LOOK_EVERY) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

async fn show(trial: &Trial, complaint: String) -> Result<()> {
    tracing::info!(waits_for = complaint, "the trial goes on");
    let updater = trial.updater.clone();
    blocking("saying how the trial goes", move || {
        updater.tell_trial(&complaint);
        updater.places().tell_health(&complaint)
    })
    .await
}

async fn keep(trial: &Trial) -> Result<()> {
    let trial = trial.clone();
    blocking("keeping the new version", move || {
        trial.updater.keep()?;
        tracing::info!(version = trial.updater.version(), "the new version has proved itself and is kept");
        trial.updater.places().tell_health("")
    })
    .await
}

impl Trial {
    /// What the page and the root scripts may show; the log has the whole, once.
    fn sentence(&self, e: &Error) -> String {
        if self.failures.is_news(e, self.clock.mono()) {
            tracing::info!(error = %e, "the new version is not proved yet");
        }
        e.message().to_owned()
    }
}

async fn look(trial: &Trial, recorded: Result<(), String>) -> Result<GateSigns> {
    let asking = trial.clone();
    let runtime = tokio::runtime::Handle::current();
    let ask = move || {
        let database = asking.meta.ping().map_err(|e| asking.sentence(&e));
        let api = match runtime.block_on(asking.api.ask()) {
            Ok(200) => Ok(()),
            Ok(status) => Err(format!("it answered with {status}")),
            Err(e) => Err(asking.sentence(&e)),
        };
        Ok((database, api, delivered::read(&asking.meta)))
    };
    let (database, api, before) = blocking("the trial", ask).await?;
    let recorded = match recorded {
        Ok(()) => Ok(()),
        Err(_) => prove(trial, &before).await.map_err(|e| trial.sentence(&e)),
    };
    // One that is off has nothing to prove.
    let cameras = trial.cameras.cameras().into_iter().filter(|c| c.health.off.is_none());
    let cameras = cameras.map(|c| GateCamera {
        is_live: c.health.state.delivers(),
        is_unrecordable: c.recording.is_unrecordable,
        reason: c.health.reason,
        recording_problem: match c.recording.state {
            RecordingState::Paused => c.recording.reason,
            _ => String::new(),
        },
        id: c.id,
        name: c.name,
    });
    let Before { delivering, unrecordable } = before;
    Ok(GateSigns { cameras: cameras.collect(), expected: delivering, unrecordable, recorded, api, database })
}

/// Records some pictures of a camera that delivers, and reads it back; where none is to deliver, writes a file.
async fn prove(trial: &Trial, before: &Before) -> Result<()> {
    let all = trial.cameras.set.all();
    let recordable: Vec<_> = all.iter().filter(|c| c.config.codec.is_recorded() && c.config.off.is_none()).collect();
    let known = |c: &&Arc<Camera>| ProofCamera {
        id: c.config.id.clone(),
        is_live: c.health().state.delivers(),
        is_unrecordable: c.info().recording.is_unrecordable,
    };
    let known: Vec<_> = recordable.iter().map(known).collect();
    let (recordings, what) = (trial.recordings.clone(), "recording for the trial");
    match proof(&known, before.delivering.as_deref(), before.unrecordable.as_deref()) {
        Proof::NoPicture => Err(Error::new(ErrorKind::Unavailable, "no camera gives a picture")),
        Proof::File => blocking(what, move || recordings.probe_write()).await,
        Proof::Recording(at) => {
            let camera = recordable[at].clone();
            let part = next_part(&trial.clock, &camera).await?;
            let start = TimeAnchor::new(trial.clock.utc(), trial.clock.mono()).utc(part.start);
            blocking(what, move || {
                let packets = FragmentPackets { packets: part.packets, end: part.end, delay: part.delay };
                recordings.prove_recording(&camera.config.id, start, part.start, &packets)
            })
            .await
        }
    }
}

async fn next_part(clock: &SharedClock, camera: &Camera) -> Result<PartPackets> {
    let mut parts = Parts::follow(&camera.hub, Stream::Main, "trial", 2);
    camera.hub.request_keyframe(Stream::Main);
    let part = match within(clock, KEYFRAME_WITHIN, parts.queue.recv()).await {
        Some(part) => part,
        None => {
            parts.detach();
            parts.queue.recv().await
        }
    };
    part.ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{} gives no keyframe", camera.config.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_lasts_as_long_as_everybody_says() {
        let seconds = TRIAL_WITHIN.as_secs();
        // People are told whole minutes, which the restart that follows is part of.
        let minutes = ["one minute", "two minutes", "three minutes", "four minutes"][seconds.div_ceil(60) as usize - 1];
        let timer = include_str!("../../image/layers/update/files/usr/lib/systemd/system/perch-trial.timer");
        for (place, text, want) in [
            ("the timer", timer, format!("\nOnBootSec={seconds}s\n")),
            ("the timer", timer, format!("Less than {minutes} for a new version to prove itself")),
            ("image/README.md", include_str!("../../image/README.md"), format!("after {seconds} s")),
            ("ARCHITECTURE.md", include_str!("../../ARCHITECTURE.md"), format!("after {seconds} s")),
            ("README.md", include_str!("../../README.md"), format!("goes back by itself within {minutes}")),
            ("the page", include_str!("../../web/src/lib/en.ts"), format!("goes back by itself within {minutes}")),
        ] {
            assert!(text.contains(&want), "{place} does not say: {want}");
        }
    }
}
