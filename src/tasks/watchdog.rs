//! The system's watchdog: feeds it as long as cameras, recorders, RTSP, the API and the database make progress, and says in
//! `systemctl status` how the box is. Runs only where systemd asks for it.

use crate::cameras::Cameras;
use crate::supervisor::{AttemptEnd, Supervisor, Task, TaskList};
use crate::systemd::{self, Notifier};
use crate::worker::Worker;
use perch_api::Lifeline;
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_domain::ports::CameraPort;
use perch_domain::status::{DamagedAccess, DiskStatus};
use perch_domain::summary::summarise;
use perch_domain::sync::status::CopiesBrief;
use perch_domain::task::TaskId;
use perch_domain::vitality::{Sign, VitalPart, Vitality, VitalityVerdict};
use perch_media::rtsp;
use perch_store::Meta;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is watched.
#[derive(Clone)]
pub struct Watched {
    pub cameras: Arc<Cameras>,
    pub meta: Meta,
    pub tasks: TaskList,
    pub api: Lifeline,
    pub clock: SharedClock,
}

/// Counts the answers to a question that may hang; asks it again only when it was answered. It is asked on a thread of its own: a
/// pool that viewers keep busy is no sign that the box does not go on.
struct Question {
    worker: Worker<()>,
    state: Arc<Mutex<Asking>>,
}

#[derive(Default)]
struct Asking {
    answers: u64,
    is_asked: bool,
}

/// Lets the question be asked again, however it ended.
struct Asked(Arc<Mutex<Asking>>);

impl Drop for Asked {
    fn drop(&mut self) {
        lock(&self.0).is_asked = false;
    }
}

impl Question {
    fn new(name: &str) -> Result<Self> {
        Ok(Self { worker: Worker::start(name, ())?, state: Arc::default() })
    }

    fn ask(&self, question: impl FnOnce() -> Result<()> + Send + 'static) {
        if std::mem::replace(&mut lock(&self.state).is_asked, true) {
            return;
        }
        let asked = Asked(self.state.clone());
        let asking = self.worker.start_job(move |()| {
            let asked = asked;
            match question() {
                Ok(()) => lock(&asked.0).answers += 1,
                Err(e) => tracing::debug!(error = %e, "the watchdog got no answer"),
            }
        });
        if let Err(e) = asking {
            tracing::debug!(error = %e, "the watchdog could not ask");
        }
    }

    fn sign(&self, part: VitalPart) -> Sign {
        Sign { part, count: lock(&self.state).answers }
    }
}

struct Watchdog {
    watched: Watched,
    notifier: Notifier,
    every: Duration,
    /// It lives as long as the process: an attempt that is run again must not start with a new grace.
    vitality: Vitality,
    api: Question,
    database: Question,
}

/// Feeds the watchdog, if there is one.
pub fn spawn(supervisor: &Supervisor, watched: Watched) -> Result<()> {
    let Some(limit) = systemd::watchdog() else { return Ok(()) };
    let task = Watchdog {
        every: (limit / 3).min(LOOK_EVERY),
        vitality: Vitality::default(),
        api: Question::new("ask the API")?,
        database: Question::new("ask the index")?,
        notifier: Notifier::from_env(&watched.clock),
        watched,
    };
    supervisor.spawn(TaskId::Watchdog, Backoff::new(Duration::from_millis(100), Duration::from_secs(2)), task)
}

impl Task for Watchdog {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut shown = String::new();
        while !shutdown.is_called() {
            let verdict = self.look();
            let stuck = verdict.sentence();
            let status = match verdict {
                VitalityVerdict::Alive => {
                    self.notifier.alive();
                    // The disk is left out: asking it may take as long as it likes.
                    let (disk, damaged) = (DiskStatus::default(), DamagedAccess::default());
                    summarise(
                        &self.watched.cameras.cameras(),
                        &disk,
                        (&[], &CopiesBrief::default()),
                        &damaged,
                        &[],
                        (self.watched.clock.utc(), true),
                    )
                    .sentence
                }
                VitalityVerdict::Stuck(_) => format!("stuck: {stuck}"),
            };
            if status != shown {
                if !stuck.is_empty() && !shown.starts_with("stuck") {
                    tracing::error!(stuck, "the box does not go on; the watchdog is no longer fed");
                }
                self.notifier.status(&status);
                shown = status;
            }
            tokio::select! {
                () = self.watched.clock.sleep(self.every) => {}
                () = shutdown.called() => {}
            }
        }
        Ok(AttemptEnd::Done)
    }
}

impl Watchdog {
    fn look(&mut self) -> VitalityVerdict {
        let (lifeline, meta) = (self.watched.api.clone(), self.watched.meta.clone());
        let runtime = tokio::runtime::Handle::current();
        self.api.ask(move || runtime.block_on(lifeline.ask()).map(drop));
        self.database.ask(move || meta.ping());
        let mut signs = signs(&self.watched);
        signs.push(rtsp_sign(&self.watched.cameras.rtsp, &self.watched.tasks));
        signs.extend([self.api.sign(VitalPart::Api), self.database.sign(VitalPart::Database)]);
        self.vitality.look(&signs, self.watched.clock.mono())
    }
}

/// The counts of cameras and recorders: what they did, and how often they were run again.
fn signs(watched: &Watched) -> Vec<Sign> {
    let of = |camera: &Arc<crate::camera::Camera>| {
        let id = &camera.config.id;
        let restarts = |task| watched.tasks.restarts(&task);
        let frames = camera.hub.frames() + camera.capture.rounds() + restarts(TaskId::Capture(id.clone()));
        let rounds = camera.recorder_rounds() + restarts(TaskId::Recording(id.clone()));
        let capture = Sign { part: VitalPart::Capture(id.clone()), count: frames };
        let recorder = Sign { part: VitalPart::Recorder(id.clone()), count: rounds };
        // Of one that is off nothing is captured.
        camera.config.off.is_none().then_some(capture).into_iter().chain([recorder])
    };
    watched.cameras.set.all().iter().flat_map(of).collect()
}

/// RTSP's own count: rounds of its loop, and how often it was run again.
fn rtsp_sign(rtsp: &rtsp::Handle, tasks: &TaskList) -> Sign {
    Sign { part: VitalPart::Rtsp, count: rtsp.rounds() + tasks.restarts(&TaskId::Rtsp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_question_that_hangs_is_not_asked_again() {
        let question = Question::new("a question").expect("started");
        let (release, wait) = mpsc::channel::<()>();
        let (done, mut finished) = tokio::sync::mpsc::unbounded_channel();
        question.ask(move || {
            let _ = wait.recv();
            let _ = done.send(());
            Ok(())
        });
        question.ask(|| panic!("asked while the first one hangs"));
        assert_eq!(question.sign(VitalPart::Api).count, 0);
        drop(release);
        finished.recv().await.expect("answered");
        while lock(&question.state).is_asked {
            tokio::task::yield_now().await;
        }
        assert_eq!(question.sign(VitalPart::Api).count, 1);
    }
}
