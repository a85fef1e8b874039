//! Profiles and schedules as the config has them.

use super::schedule::Schedule;
use super::terms::{ProfileName, Which};
use crate::camera::CameraConfig;
use crate::recording::RecordMode;
use crate::redact::Shown;
use crate::settings::Keys;
use perch_base::Error;
use perch_base::ids::CameraId;
use std::collections::BTreeMap;

/// Profiles that a box may have.
const MAX_PROFILES: usize = 32;
/// Schedules that a box may have.
const MAX_SCHEDULES: usize = 64;

/// How a profile has one camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileCamera {
    /// Switched off.
    pub off: bool,
    /// What is recorded; `None`: as the camera has it.
    pub record: Option<RecordMode>,
    /// Whether motion is looked for; `None`: as the camera has it.
    pub motion: Option<bool>,
}

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name for people.
    pub name: String,
    /// The cameras that it has otherwise than they are configured.
    pub cameras: BTreeMap<CameraId, ProfileCamera>,
}

/// Profiles and schedules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModesConfig {
    /// The profiles by their names.
    pub profiles: BTreeMap<ProfileName, Profile>,
    /// The schedules in the order of the file.
    pub schedules: Vec<Schedule>,
}

/// What a camera cannot be in a profile, of which key, with which rule.
type Clash = (&'static str, Shown, &'static str);

impl ProfileCamera {
    fn read(keys: &mut impl Keys) -> Self {
        let off = keys.flag("off", false);
        let mut record = keys.section("record");
        let mode = record.optional("mode", |word| match word {
            "continuous" => Ok(RecordMode::Continuous),
            "motion" => Ok(RecordMode::Motion),
            "off" => Ok(RecordMode::Off),
            _ => Err(Error::invalid("must be one of continuous, motion, off")),
        });
        record.finish();
        let mut motion = keys.section("motion");
        let enabled = motion.optional_flag("enabled");
        motion.finish();
        keys.refuse_later(&["detect"]);
        Self { off, record: mode, motion: enabled }
    }

    /// What does not go together with the camera as it is configured.
    fn clash(&self, camera: &CameraConfig) -> Option<Clash> {
        let mode = self.record.unwrap_or(camera.record.mode);
        let looks = self.motion.unwrap_or(camera.motion.enabled);
        if self.record.is_some_and(|mode| mode != RecordMode::Off) && !camera.codec.is_recorded() {
            return Some((
                "record.mode",
                Shown::nothing(),
                "must be `off` for a camera with codec = \"vp8\": it is not recorded",
            ));
        }
        let is_recorded_on_motion = mode == RecordMode::Motion && !looks;
        let rule = "the camera is recorded around motion then, and none is looked for: nothing would ever be recorded";
        is_recorded_on_motion.then(|| match self.motion {
            Some(_) => ("motion.enabled", false.into(), rule),
            None => ("record.mode", "motion".into(), rule),
        })
    }
}

impl ModesConfig {
    /// Reads `[profile.NAME]` and `[[schedule]]` of a box that has these cameras.
    pub fn read(root: &mut impl Keys, cameras: &[CameraConfig]) -> Self {
        let known: Vec<_> = cameras.iter().map(|c| c.id.as_str()).collect();
        let no_camera = format!("names no camera of this box; there are: {}", known.join(", "));
        let mut profiles = BTreeMap::new();
        for (name, mut keys) in root.named_sections("profile", "a profile") {
            if profiles.len() == MAX_PROFILES {
                root.problem("profile", Shown::nothing(), &format!("must be at most {MAX_PROFILES} profiles"));
                break;
            }
            let title = keys.text("name", &name, 1..=32);
            let mut of_cameras = BTreeMap::new();
            for (id, mut camera) in keys.named_sections("cameras", "a camera") {
                let is = ProfileCamera::read(&mut camera);
                match cameras.iter().find(|c| c.id.as_str() == id) {
                    None => keys.problem("cameras", &*id, &no_camera),
                    Some(c) => {
                        if let Some((key, value, rule)) = is.clash(c) {
                            camera.problem(key, value, rule);
                        }
                        of_cameras.insert(c.id.clone(), is);
                    }
                }
                camera.finish();
            }
            keys.finish();
            if let Ok(name) = ProfileName::new(&name) {
                profiles.insert(name, Profile { name: title, cameras: of_cameras });
            }
        }
        let schedules = Self::schedules(root, &profiles, |id| known.contains(&id.as_str()), &no_camera);
        Self { profiles, schedules }
    }

    fn schedules(
        root: &mut impl Keys,
        profiles: &BTreeMap<ProfileName, Profile>,
        is_known: impl Fn(&CameraId) -> bool,
        no_camera: &str,
    ) -> Vec<Schedule> {
        let sections = root.sections("schedule");
        if sections.len() > MAX_SCHEDULES {
            root.problem("schedule", Shown::nothing(), &format!("must be at most {MAX_SCHEDULES} schedules"));
        }
        let names: Vec<_> = profiles.keys().map(ProfileName::as_str).collect();
        let mut schedules = Vec::new();
        for (n, keys) in sections.into_iter().take(MAX_SCHEDULES).enumerate() {
            let says_off = keys.has("off");
            let Some(schedule) = Schedule::read(keys) else { continue };
            let refuse =
                |key: &str, value: Shown, rule: &str| root.problem(&format!("schedule[{n}].{key}"), value, rule);
            match &schedule.profile {
                Some(name) if !profiles.contains_key(name) => {
                    let rule = format!("names no profile; there are: {}", names.join(", "));
                    refuse("profile", name.as_str().into(), &rule);
                }
                None if schedule.off == Which::None && !says_off => {
                    refuse(
                        "profile",
                        Shown::nothing(),
                        "is missing: a schedule chooses a profile, or says which cameras are `off`",
                    );
                }
                _ => {}
            }
            if let Which::Some(ids) = &schedule.off {
                ids.iter().filter(|id| !is_known(id)).for_each(|id| refuse("off", id.as_str().into(), no_camera));
            }
            schedules.push(schedule);
        }
        schedules
    }
}
