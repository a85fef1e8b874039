//! What is decided of all that: who is off, which profile is active, when that changes, and what people may switch.

use super::config::{ModesConfig, Profile};
use super::schedule::Schedule;
use super::terms::ProfileName;
use super::words::{ChosenProfile, PrivacyRequest, Switched, Word};
use crate::access::{Object, Permission, Principal};
use crate::camera::CameraConfig;
use crate::switched_off::{OffBy, SwitchedOff};
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_base::zone::Zone;
use perch_base::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// What made a profile the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum ProfileBy {
    /// Somebody.
    Person(String),
    /// The schedule of these times.
    Schedule(String),
}

/// The active profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActiveProfile {
    /// Which.
    pub id: ProfileName,
    /// Its name for people.
    pub name: String,
    /// Who chose it.
    pub by: ProfileBy,
    /// Since when.
    pub since: Timestamp,
}

/// How the cameras are to be at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Modes {
    /// The active profile.
    pub profile: Option<ActiveProfile>,
    /// The cameras that are off.
    pub off: BTreeMap<CameraId, SwitchedOff>,
    /// When any of this changes by itself.
    pub next_change: Option<Timestamp>,
}

/// All that decides.
#[derive(Clone, Copy, Debug)]
pub struct Deciding<'a> {
    /// Profiles and schedules.
    pub config: &'a ModesConfig,
    /// What people switched.
    pub switched: &'a Switched,
    /// The box's time zone.
    pub zone: &'a Zone,
    /// By how much the clock on the wall is ahead of what is believed of it ([`super::EndsClock`]), µs.
    pub ahead_us: i64,
}

/// Everything at one moment, without what is to come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    profile: Option<ActiveProfile>,
    pub(super) off: BTreeMap<CameraId, (OffBy, Timestamp)>,
}

/// Words of cameras that are kept, of those that went too.
const MAX_WORDS: usize = 1000;

/// A schedule that is active, and since when.
type Active<'a> = (&'a Schedule, Timestamp);

impl Deciding<'_> {
    /// How these cameras are to be at `now`.
    pub fn at(&self, cameras: &[CameraId], now: Timestamp) -> Modes {
        let is = self.moment(cameras, now);
        let mut off: BTreeMap<_, _> = is.off.iter().map(|(id, off)| (id.clone(), until_unknown(off))).collect();
        let mut waiting: Vec<CameraId> = off.keys().cloned().collect();
        let mut next_change = None;
        for at in self.edges(now) {
            if waiting.is_empty() && next_change.is_some() {
                break;
            }
            let then = self.moment(cameras, at);
            if next_change.is_none() && then != is {
                next_change = Some(at);
            }
            waiting.retain(|id| match (then.off.contains_key(id), off.get_mut(id)) {
                (false, Some(off)) => {
                    off.until = Some(at);
                    false
                }
                (is_off, _) => is_off,
            });
        }
        Modes { profile: is.profile, off, next_change }
    }

    /// What is switched once `request` is obeyed. Errors with `Invalid` (a camera that is not there, a time that is over).
    pub fn obey(&self, known: &[CameraId], request: &PrivacyRequest, now: Timestamp) -> Result<Switched> {
        let PrivacyRequest { off, cameras, until, by } = request;
        let believed = self.believed(now);
        if until.is_some_and(|until| until <= believed) {
            return Err(Error::invalid("until: must be later than now"));
        }
        if until.is_some() && !off {
            return Err(Error::invalid("until: goes only with `on` true: cameras stay on until they are switched off"));
        }
        let named = cameras.as_deref().unwrap_or(known);
        if named.is_empty() && cameras.is_some() {
            return Err(Error::invalid("cameras: must name at least one camera; leave it out for the whole box"));
        }
        if let Some(id) = named.iter().find(|id| !known.contains(id)) {
            return Err(Error::invalid(format!("cameras: there is no camera {id}")));
        }
        let mut next = self.switched.clone();
        next.forget_what_is_over(believed);
        let word = |off, until| Word { off, by: Some(by.clone()), at: now, until };
        match (cameras, off) {
            (None, true) => {
                next.cameras.retain(|id, word| !known.contains(id) || word.off && word.outlasts(*until));
                next.whole = Some(word(true, *until));
            }
            (None, false) => (next.whole, next.cameras) = (None, BTreeMap::new()),
            (Some(ids), true) => next.cameras.extend(ids.iter().map(|id| (id.clone(), word(true, *until)))),
            (Some(ids), false) => next.cameras.retain(|id, _| !ids.contains(id)),
        }
        if !off {
            // What is off by itself still is on until it would have been anyway.
            let rest = Deciding { switched: &next.clone(), ..*self }.at(named, now).off;
            next.cameras
                .extend(rest.into_iter().map(|(id, is)| (id, word(false, is.until.map(|at| self.believed(at))))));
        }
        if next.cameras.len() > MAX_WORDS.max(known.len()) {
            next.cameras.retain(|id, _| known.contains(id));
        }
        Ok(next)
    }

    /// What is switched once somebody chose a profile, or leaves that to the schedules again. Errors with `Invalid`: there is none of that name.
    pub fn choose(&self, id: Option<ProfileName>, by: &str, now: Timestamp) -> Result<Switched> {
        if let Some(id) = id.as_ref().filter(|id| !self.config.profiles.contains_key(id)) {
            let names: Vec<_> = self.config.profiles.keys().map(ProfileName::as_str).collect();
            return Err(Error::invalid(format!("name: there is no profile {id}; there are: {}", names.join(", "))));
        }
        let mut next = self.switched.clone();
        next.forget_what_is_over(self.believed(now));
        // Whoever chooses a profile means all of it: what was switched on against the one before is not.
        next.cameras.retain(|_, word| word.off);
        next.profile = id.map(|id| ChosenProfile { id, by: by.to_owned(), at: now });
        Ok(next)
    }

    pub(super) fn moment(&self, cameras: &[CameraId], at: Timestamp) -> Moment {
        let active: Vec<Active<'_>> =
            self.config.schedules.iter().filter_map(|s| Some((s, s.active(self.zone, at)?))).collect();
        let profile = self.profile(&active);
        let off = cameras.iter().filter_map(|id| Some((id.clone(), self.off(id, &active, profile.as_ref(), at)?)));
        Moment { off: off.collect(), profile }
    }

    fn profile(&self, active: &[Active<'_>]) -> Option<ActiveProfile> {
        let of = |id: &ProfileName, by, since| {
            let name = self.config.profiles.get(id)?.name.clone();
            Some(ActiveProfile { id: id.clone(), name, by, since })
        };
        let chosen = self.switched.profile.as_ref();
        let chosen = chosen.and_then(|c| of(&c.id, ProfileBy::Person(c.by.clone()), c.at));
        let mut scheduled = active.iter().filter_map(|(schedule, since)| {
            of(schedule.profile.as_ref()?, ProfileBy::Schedule(schedule.times()), *since)
        });
        chosen.or_else(|| scheduled.next())
    }

    fn off(
        &self,
        id: &CameraId,
        active: &[Active<'_>],
        profile: Option<&ActiveProfile>,
        at: Timestamp,
    ) -> Option<(OffBy, Timestamp)> {
        if let Some(word) = self.switched.word(id, self.believed(at)) {
            let by = word.by.clone().map_or(OffBy::Box, OffBy::Person);
            return word.off.then_some((by, word.at));
        }
        let scheduled = active.iter().find(|(schedule, _)| schedule.off.includes(id));
        let scheduled = scheduled.map(|(schedule, since)| (OffBy::Schedule(schedule.times()), *since));
        scheduled.or_else(|| {
            let profile = profile?;
            let camera = self.config.profiles.get(&profile.id)?.cameras.get(id)?;
            camera.off.then(|| (OffBy::Profile(profile.name.clone()), profile.since))
        })
    }

    /// What is believed when the clock on the wall shows this: by it what people switched ends.
    fn believed(&self, at: Timestamp) -> Timestamp {
        at.plus_micros(self.ahead_us.saturating_neg())
    }

    /// Every moment after `now` at which something may change, in order, for a little more than a week: schedules come again every week.
    fn edges(&self, now: Timestamp) -> Vec<Timestamp> {
        let today = self.zone.wall(now).day;
        let days = today.saturating_sub(1)..=today.saturating_add(8);
        let of_schedules = self.config.schedules.iter().flat_map(|s| {
            let spans = days.clone().filter_map(|day| s.span(self.zone, day));
            spans.flat_map(|(start, end)| [start, end])
        });
        let of_people = self.switched.ends().map(|at| at.plus_micros(self.ahead_us));
        let mut edges: Vec<_> = of_schedules.chain(of_people).filter(|at| *at > now).collect();
        edges.sort();
        edges.dedup();
        edges
    }
}

fn until_unknown((by, since): &(OffBy, Timestamp)) -> SwitchedOff {
    SwitchedOff { by: by.clone(), since: *since, until: None }
}

impl Modes {
    /// A camera as it is to run now: as it is configured, with the active profile laid over it, and switched off or not.
    pub fn laid_over(&self, config: &ModesConfig, camera: &CameraConfig) -> CameraConfig {
        let mut camera = camera.clone();
        let profile = self.profile.as_ref().and_then(|active| config.profiles.get(&active.id));
        if let Some(over) = profile.and_then(|profile| profile.cameras.get(&camera.id)) {
            camera.record.mode = over.record.unwrap_or(camera.record.mode);
            camera.motion.enabled = over.motion.unwrap_or(camera.motion.enabled);
        }
        camera.off = self.off.get(&camera.id).cloned();
        camera
    }
}

/// What people are shown of the modes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModesView {
    /// The profiles that there are.
    pub profiles: Vec<NamedProfile>,
    /// The active one.
    pub profile: Option<ActiveProfile>,
    /// What a person said of the whole box.
    pub whole: Option<SwitchedOff>,
    /// The cameras that are off.
    pub off: Vec<OffCamera>,
    /// When any of this changes by itself.
    pub next_change: Option<Timestamp>,
    /// The box's time zone.
    pub time_zone: String,
}

/// A profile, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedProfile {
    /// Its id.
    pub id: ProfileName,
    /// Its name.
    pub name: String,
}

/// A camera that is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OffCamera {
    /// Which.
    pub camera: CameraId,
    /// By whom, since when and until when.
    #[serde(flatten)]
    pub off: SwitchedOff,
}

impl ModesView {
    /// What there is to see of `modes`.
    pub fn of(deciding: &Deciding<'_>, modes: Modes, now: Timestamp) -> Self {
        let named =
            |(id, profile): (&ProfileName, &Profile)| NamedProfile { id: id.clone(), name: profile.name.clone() };
        let believed = deciding.believed(now);
        let whole = deciding.switched.whole.as_ref().filter(|word| word.holds(believed)).map(|word| SwitchedOff {
            by: word.by.clone().map_or(OffBy::Box, OffBy::Person),
            since: word.at,
            until: word.until.map(|at| at.plus_micros(deciding.ahead_us)),
        });
        Self {
            profiles: deciding.config.profiles.iter().map(named).collect(),
            profile: modes.profile,
            whole,
            off: modes.off.into_iter().map(|(camera, off)| OffCamera { camera, off }).collect(),
            next_change: modes.next_change,
            time_zone: deciding.zone.to_string(),
        }
    }
}

impl ModesView {
    /// What `who` may see of it.
    pub fn seen_by(mut self, who: &Principal) -> Self {
        self.off.retain(|off| who.may(Permission::Watch, Object::Camera(&off.camera)));
        self
    }
}
