//! Modes: has the cameras follow profiles, schedules and the ends of what people switched off, when their time has come.

use crate::modes::Switches;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use std::sync::Arc;
use std::time::Duration;

/// Where something is to change, it is looked again at least this often: the clock on the wall may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(60);

struct FollowModes {
    switches: Arc<Switches>,
    clock: SharedClock,
}

/// Follows from now on.
pub fn spawn(supervisor: &Supervisor, switches: &Arc<Switches>, clock: &SharedClock) -> Result<()> {
    let task = FollowModes { switches: switches.clone(), clock: clock.clone() };
    supervisor.spawn(TaskId::Modes, Backoff::new(Duration::from_millis(500), Duration::from_secs(30)), task)
}

impl Task for FollowModes {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        self.switches.follow().await?;
        loop {
            let now = self.clock.utc();
            let next = self.switches.next_change();
            let wait = next.map(|at| Duration::from_micros(at.micros_since(now).max(0) as u64).min(LOOK_EVERY));
            tokio::select! {
                () = until(&self.clock, wait) => drop(self.switches.follow().await?),
                () = self.switches.changed() => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

/// Nothing that is to come is waited for for ever.
async fn until(clock: &SharedClock, wait: Option<Duration>) {
    match wait {
        Some(wait) => clock.sleep(wait).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::current::Current;
    use perch_base::clock::{Clock, ManualClock};
    use perch_base::shutdown;
    use perch_base::time::Timestamp;
    use perch_domain::modes::ModesPort;
    use perch_domain::status::Notice;
    use tokio::sync::broadcast;

    const CONFIG: &str = "[box]\ntime_zone = \"Europe/Zurich\"\n[[camera]]\nid = \"door\"\nsource = \"test\"\n\
        [profile.night.cameras]\ndoor = { record = { mode = \"motion\" } }\n\
        [[schedule]]\nfrom = \"22:00\"\nto = \"06:00\"\nprofile = \"night\"\n\
        [[schedule]]\ndays = [\"sat\"]\nfrom = \"02:30\"\nto = \"03:30\"\noff = true\n";

    /// Two days, turned by hand: what is told, and when.
    #[tokio::test]
    async fn schedules_are_followed_when_their_time_has_come() {
        let dir = tempfile::tempdir().expect("a folder");
        let text = format!("{}\ndata_dir = {:?}\n{}", "[box]", dir.path(), CONFIG.trim_start_matches("[box]\n"));
        let config = Config::parse(&text, std::iter::empty()).expect("valid");
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        // A Friday.
        let clock = Arc::new(ManualClock::new(at("2026-05-01T12:00:00Z")));
        let (notices, mut news) = broadcast::channel(16);
        let switches = Arc::new(Switches::open(Current::new(config.clone()), clock.clone(), || false, notices));
        let (trigger, shutdown) = shutdown::channel();
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let shared: SharedClock = clock.clone();
        spawn(&supervisor, &switches, &shared).expect("spawned");
        let mut told = Vec::new();
        let until = at("2026-05-02T12:00:00Z");
        while clock.utc() < until {
            while clock.next_wake().is_none_or(|at| at <= clock.mono()) {
                tokio::task::yield_now().await;
            }
            let wake = clock.next_wake().expect("it waits");
            clock.advance(wake.since(clock.mono()));
            // What is due is done before the next wait begins.
            while clock.next_wake().is_none_or(|at| at <= clock.mono()) {
                tokio::task::yield_now().await;
            }
            while let Ok(notice) = news.try_recv() {
                if let Notice::Modes { profile } = &*notice {
                    let door = switches.wanted(&config).remove(0);
                    let by = door.off.map(|off| off.by.told()).unwrap_or_default();
                    told.push((clock.utc(), profile.is_some(), door.record.mode, by));
                }
            }
        }
        use perch_domain::recording::RecordMode::{Continuous, Motion};
        let schedule = || "by the schedule 02:30 to 03:30".to_owned();
        let want = [
            ("2026-05-01T12:00:00Z", false, Continuous, String::new()),
            ("2026-05-01T20:00:00Z", true, Motion, String::new()),
            ("2026-05-02T00:30:00Z", true, Motion, schedule()),
            ("2026-05-02T01:30:00Z", true, Motion, String::new()),
            ("2026-05-02T04:00:00Z", false, Continuous, String::new()),
        ];
        let first = told.first().map(|t| t.0).expect("something is told");
        assert!(first < at("2026-05-01T12:02:00Z"), "{first}");
        told[0].0 = at(want[0].0);
        assert_eq!(told, want.map(|(text, profile, mode, by)| (at(text), profile, mode, by)));
        // A clock that is set is followed within a minute.
        clock.set_utc(at("2026-05-01T21:00:00Z"));
        assert!(switches.modes().profile.is_some_and(|active| active.id.as_str() == "night"));
        trigger.fire();
        assert!(supervisor.drain(Duration::from_secs(30)).await.is_empty());
    }
}
