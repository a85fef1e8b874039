//! What loudspeakers play when an event begins: hears of events, and has the sound played that the camera's settings name.

use crate::camera::Notices;
use crate::cameras::Cameras;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::ids::DeviceId;
use perch_base::repeated::Repeated;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::archive::Event;
use perch_domain::event_sound::EventSounds;
use perch_domain::status::Notice;
use perch_domain::talk::TalkAsker;
use perch_domain::task::TaskId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// What others are told who speaks.
const BOX: &str = "The box";

/// Plays what cameras' settings name.
struct PlayEventSounds {
    cameras: Arc<Cameras>,
    notices: Notices,
    /// What was played.
    sounds: EventSounds,
    /// What could not be.
    failures: Arc<Repeated>,
}

/// Plays from now on.
pub fn spawn(supervisor: &Supervisor, cameras: &Arc<Cameras>, notices: &Notices) -> Result<()> {
    let task = PlayEventSounds {
        cameras: cameras.clone(),
        notices: notices.clone(),
        sounds: EventSounds::default(),
        failures: Arc::default(),
    };
    supervisor.spawn(TaskId::EventSounds, Backoff::new(Duration::from_millis(500), Duration::from_secs(30)), task)
}

impl Task for PlayEventSounds {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut news: Receiver<Arc<Notice>> = self.notices.subscribe();
        loop {
            let notice = tokio::select! {
                () = shutdown.called() => return Ok(AttemptEnd::Done),
                notice = news.recv() => notice,
            };
            match notice {
                Ok(notice) => {
                    if let Notice::Event { event } = &*notice {
                        self.hear(event);
                    }
                }
                // What was missed is past.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(AttemptEnd::Done),
            }
        }
    }
}

impl PlayEventSounds {
    fn hear(&mut self, event: &Event) {
        // One that was removed meanwhile plays nothing.
        let Ok(camera) = self.cameras.set.get(&event.camera) else { return };
        let now = (self.cameras.clock.mono(), self.cameras.clock.utc());
        let zone = self.cameras.settings.config().zone();
        let rule = &camera.config.talkback.on_event;
        let is_silent = camera.config.off.is_some() || camera.config.talkback.sink.is_none();
        let Some(name) = self.sounds.hear(now, event, rule, &zone).filter(|_| !is_silent) else { return };
        let (announcements, name, failures) =
            (self.cameras.announcements.clone(), name.to_owned(), self.failures.clone());
        let at = now.0;
        // Beside: the next event does not wait for an encoder, and nothing is lost where it is cut short.
        tokio::spawn(async move {
            let speaker = camera.speaker.clone();
            let who = TalkAsker { device: DeviceId::random(), name: BOX.into(), may_take_over: false, gives_way: true };
            let play = move || speaker.announce(&who, announcements.playable(&name)?);
            let id = camera.config.id.clone();
            match blocking("playing a sound for an event", play).await {
                Ok(None) => tracing::info!(camera = %id, "a sound is played for an event"),
                Ok(Some(busy)) => {
                    tracing::info!(camera = %id, "nothing is played for an event: {} is speaking", busy.name)
                }
                Err(e) if failures.is_news(format!("{id}: {e}"), at) => {
                    tracing::warn!(camera = %id, error = %e, "nothing is played for events");
                }
                Err(_) => {}
            }
        });
    }
}
