//! What a camera's loudspeaker plays when an event begins: which sound, of which kinds of event, when on which days, and how long it is
//! quiet afterwards.

use crate::announcement::CHIME;
use crate::archive::{Event, EventKind};
use crate::modes::{Days, MINUTES_A_DAY, Schedule, Which, time_of_day};
use crate::settings::Keys;
use perch_base::Error;
use perch_base::ids::{CameraId, EventId};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::zone::Zone;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long it is quiet after it was played, where nothing else is set.
const QUIET: Duration = Duration::from_secs(60);
/// An event that is older when it is heard of is past: a box that starts, or a slow disk, startles nobody.
const MAX_AGE_US: i64 = 15_000_000;

/// A camera's `talkback.on_event`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventSound {
    /// Which sound: `chime`, or an announcement by its name; `None`: nothing.
    pub play: Option<String>,
    /// Of which events; empty: of all.
    pub kinds: Vec<EventKind>,
    /// How long nothing more is played after it.
    pub quiet: Duration,
    /// When; `None`: always.
    pub hours: Option<Schedule>,
}

impl EventSound {
    /// Reads `talkback.on_event`.
    pub fn read(mut keys: impl Keys) -> Self {
        let play = keys.optional("play", |text| match text.chars().count() {
            1..=64 => Ok(text.to_owned()),
            _ => Err(Error::invalid(format!("must be {CHIME} or the name of an announcement, up to 64 characters"))),
        });
        let rule = format!("must be kinds of events: {}", EventKind::WORDS.join(", "));
        let kinds = keys.texts("kinds", |kind| EventKind::parse(kind).is_ok(), &rule);
        let quiet = keys.whole_seconds("quiet_s", QUIET, Duration::from_secs(5)..=Duration::from_secs(86_400));
        let days = keys.texts("days", Days::is_day, "must be days such as \"mon\": mon, tue, wed, thu, fri, sat, sun");
        let (from, to) = (keys.optional("from", time_of_day), keys.optional("to", time_of_day));
        if from.is_some() != to.is_some() {
            keys.problem(if from.is_some() { "to" } else { "from" }, "", "must be set where the other one is");
        }
        if from.is_some() && from == to {
            keys.problem("to", "", "must differ from `from`; not set: all day");
        }
        keys.finish();
        let whole_day = from.zip(to).unwrap_or((0, MINUTES_A_DAY));
        let is_limited = !days.is_empty() || from.is_some();
        let hours = is_limited.then(|| Schedule {
            days: Days::of(&days),
            from_min: whole_day.0,
            to_min: whole_day.1,
            profile: None,
            off: Which::None,
        });
        let kinds = kinds.iter().filter_map(|kind| EventKind::parse(kind).ok()).collect();
        Self { play, kinds, quiet, hours }
    }
}

/// What was played last, by camera.
#[derive(Clone, Debug, Default)]
pub struct EventSounds(BTreeMap<CameraId, (EventId, MonoTime)>);

impl EventSounds {
    /// Something is heard of an event: what is to be played for it. A later chapter of what goes on is no beginning.
    pub fn hear<'a>(
        &mut self,
        now: (MonoTime, Timestamp),
        event: &Event,
        rule: &'a EventSound,
        zone: &Zone,
    ) -> Option<&'a str> {
        let play = rule.play.as_deref()?;
        let is_new = event.end.is_none() && event.chapter == 1 && now.1.micros_since(event.start).abs() <= MAX_AGE_US;
        let is_meant = rule.kinds.is_empty() || rule.kinds.contains(&event.kind);
        let is_time = rule.hours.as_ref().is_none_or(|hours| hours.active(zone, now.1).is_some());
        if !is_new || !is_meant || !is_time {
            return None;
        }
        if let Some((last, at)) = self.0.get(&event.camera)
            && (*last == event.id || now.0.since(*at) < rule.quiet)
        {
            return None;
        }
        self.0.insert(event.camera.clone(), (event.id, now.0));
        Some(play)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion::Cause;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn event(camera: &str, start: Timestamp, chapter: u32, end: Option<Timestamp>) -> Event {
        Event {
            id: EventId(start.as_micros()),
            camera: CameraId::new(camera).expect("valid"),
            kind: EventKind::Motion,
            start,
            end,
            since: start,
            chapter,
            score: 0.5,
            cause: Cause::Motion,
            boxes: Vec::new(),
            pinned: false,
            has_thumbnail: false,
        }
    }

    #[test]
    fn what_is_played_when() {
        let zone = Zone::utc();
        let always = EventSound { play: Some("Parcels".into()), quiet: Duration::from_secs(60), ..Default::default() };
        let at_night = Schedule { days: Days::ALL, from_min: 22 * 60, to_min: 6 * 60, profile: None, off: Which::None };
        let night = EventSound { hours: Some(at_night), ..always.clone() };
        let nothing = EventSound { play: None, ..always.clone() };
        let mut sounds = EventSounds::default();
        // When it is heard of, what it is about, by which rule, and whether something is played.
        for (s, camera, start_s, chapter, ended, rule, plays) in [
            (0, "door", 0, 1, false, &nothing, false),
            (0, "door", 0, 1, false, &always, true),
            (1, "door", 0, 1, false, &always, false),
            (30, "door", 30, 1, false, &always, false),
            (31, "yard", 31, 1, false, &always, true),
            (61, "door", 61, 1, false, &always, true),
            // What goes on, is over, or is long past.
            (200, "door", 200, 2, false, &always, false),
            (210, "door", 209, 1, true, &always, false),
            (300, "door", 270, 1, false, &always, false),
            (400, "door", 399, 1, false, &always, true),
            // By the clock on the wall: noon, then half past ten.
            (1000, "door", 1000, 1, false, &night, false),
            (37_800, "door", 37_800, 1, false, &night, true),
        ] {
            let noon = at("2026-05-01T12:00:00Z");
            let now = noon.plus_micros(s * 1_000_000);
            let start = noon.plus_micros(start_s * 1_000_000);
            let event = event(camera, start, chapter, ended.then_some(now));
            let played = sounds.hear((MonoTime(s * 1_000_000), now), &event, rule, &zone);
            assert_eq!(played, plays.then_some("Parcels"), "{s} s, {camera}");
        }
    }
}
