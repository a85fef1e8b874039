//! The system's watchdog: feeds it as long as cameras, recorders, the API and the database make progress, and says in
//! `systemctl status` how the box is. Runs only where systemd asks for it.

use crate::cameras::Cameras;
use crate::probe::ApiProbe;
use crate::supervisor::{Board, Ended, Supervisor};
use crate::systemd::{self, Notifier};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_domain::ports::CameraPort;
use perch_domain::status::{DiskStatus, TaskStatus, summarise};
use perch_domain::vitality::{Part, Sign, Verdict, Vitality};
use perch_store::Store;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// The longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is watched.
#[derive(Clone)]
pub struct Watched {
    pub cameras: Arc<Cameras>,
    pub store: Store,
    pub board: Board,
    pub api: Arc<ApiProbe>,
    pub clock: SharedClock,
}

/// Counts the answers to a question that may hang; asks it again only when it was answered.
#[derive(Clone, Default)]
struct Question {
    answers: Arc<AtomicU64>,
    is_asked: Arc<AtomicBool>,
}

/// Lets the question be asked again, however it ended.
struct Asked(Arc<AtomicBool>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Question {
    fn ask(&self, question: impl FnOnce() -> Result<()> + Send + 'static) {
        if self.is_asked.swap(true, Ordering::SeqCst) {
            return;
        }
        let (answers, asked) = (self.answers.clone(), Asked(self.is_asked.clone()));
        tokio::task::spawn_blocking(move || {
            let _asked = asked;
            match question() {
                Ok(()) => {
                    answers.fetch_add(1, Ordering::SeqCst);
                }
                Err(e) => tracing::debug!(error = %e, "the watchdog got no answer"),
            }
        });
    }

    fn sign(&self, part: Part) -> Sign {
        Sign { part, count: self.answers.load(Ordering::SeqCst) }
    }
}

/// Feeds the watchdog, if there is one.
pub fn spawn(supervisor: &mut Supervisor, watched: Watched) {
    let Some(limit) = systemd::watchdog() else { return };
    let every = (limit / 3).min(LOOK_EVERY);
    // It lives as long as the process: an attempt that is run again must not begin with a new grace.
    let vitality = Arc::new(Mutex::new(Vitality::new(watched.clock.mono())));
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    supervisor.spawn("watchdog", backoff, move |shutdown| run_once(watched.clone(), vitality.clone(), every, shutdown));
}

async fn run_once(
    watched: Watched,
    vitality: Arc<Mutex<Vitality>>,
    every: Duration,
    mut shutdown: Shutdown,
) -> Result<Ended> {
    let notifier = Notifier::from_env();
    let (api, database) = (Question::default(), Question::default());
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.called() => return Ok(Ended::Done),
        }
        let (probe, store) = (watched.api.clone(), watched.store.clone());
        api.ask(move || probe.ask().map(drop));
        database.ask(move || store.ping());
        let mut signs = signs(&watched);
        signs.extend([api.sign(Part::Api), database.sign(Part::Database)]);
        let verdict = vitality.lock().unwrap_or_else(PoisonError::into_inner).look(&signs, watched.clock.mono());
        let stuck = verdict.sentence();
        let status = match verdict {
            Verdict::Alive => {
                notifier.alive();
                // The disk is left out: asking it may take as long as it likes.
                summarise(&watched.cameras.cameras(), &DiskStatus::default(), &[], true).1
            }
            Verdict::Stuck(_) => format!("stuck: {stuck}"),
        };
        if status != told {
            if !stuck.is_empty() && !told.starts_with("stuck") {
                tracing::error!(stuck, "the box does not go on; the watchdog is no longer fed");
            }
            notifier.status(&status);
            told = status;
        }
    }
}

/// The counts of cameras and recorders: what they did, and how often they were run again.
fn signs(watched: &Watched) -> Vec<Sign> {
    let tasks = watched.board.tasks();
    let restarts = |name: String| tasks.iter().find(|t: &&TaskStatus| t.name == name).map_or(0, |t| t.restarts);
    let of = |camera: &Arc<crate::cameras::Camera>| {
        let id = &camera.config.id;
        let frames = camera.hub.frames() + restarts(format!("capture {id}"));
        let rounds = camera.recorder_rounds() + restarts(format!("recording {id}"));
        [
            Sign { part: Part::Capture(id.clone()), count: frames },
            Sign { part: Part::Recorder(id.clone()), count: rounds },
        ]
    };
    watched.cameras.all.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_question_that_hangs_is_not_asked_again() {
        let question = Question::default();
        let (release, wait) = mpsc::channel::<()>();
        let (done, mut finished) = tokio::sync::mpsc::unbounded_channel();
        question.ask(move || {
            let _ = wait.recv();
            let _ = done.send(());
            Ok(())
        });
        question.ask(|| panic!("asked while the first one hangs"));
        assert_eq!(question.sign(Part::Api).count, 0);
        drop(release);
        finished.recv().await.expect("answered");
        while question.is_asked.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        assert_eq!(question.sign(Part::Api).count, 1);
    }
}
