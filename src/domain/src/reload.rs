//! What a new list of cameras changes of the old one, and what of a camera has to be run again for it. Pure; the root obeys while
//! every other camera goes on.

use crate::camera::{CameraConfig, Source};
use crate::media::VideoCodec;
use crate::push::PushTarget;
use perch_base::ids::CameraId;

/// One step from the old list to the new one.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The camera goes: its tasks end, its files are sealed, who watches it is let go. Its recordings stay.
    Remove(CameraId),
    /// The camera is as this says now; only `restart` of it is run again.
    Update {
        /// As it is from now on.
        camera: Box<CameraConfig>,
        /// What has to be run again.
        restart: Restart,
    },
    /// A camera comes.
    Add(Box<CameraConfig>),
    /// The order in which cameras are listed.
    Arrange(Vec<CameraId>),
}

impl Change {
    /// The camera that is switched off by this and was on: all of them are closed at once, and none waits for another.
    pub fn switches_off(&self) -> Option<&CameraId> {
        match self {
            Self::Update { camera, restart: Restart::ALL } => camera.off.as_ref().map(|_| &camera.id),
            _ => None,
        }
    }
}

/// What of a camera has to be run again. Who watches live goes on where neither codec nor sound changes, also over RTSP
/// ([`RtspDescription`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// Capture and microphone: the source, an encoding, sound, or the pictures that the detector gets. Live and recording see a
    /// jump and go on at the next keyframe.
    pub capture: bool,
    /// The recorder: its file, which holds one shape of picture, is sealed and the next one begins at a keyframe.
    pub recorder: bool,
    /// The detector, which then learns the scene again; an event that goes on ends.
    pub motion: bool,
    /// Stills: how they are decoded, and whether any are wanted.
    pub stills: bool,
    /// Its loudspeaker; who speaks is cut short. It follows its settings by itself.
    pub speaker: bool,
    /// Its pushes, but those that stand in the same place and are the same.
    pub push: bool,
    /// Nothing, but the running capture is told of what it follows at once: masks, picture settings of its own, how loud it is to be.
    pub told: bool,
}

impl Restart {
    /// Everything of a camera.
    pub const ALL: Self =
        Self { capture: true, recorder: true, motion: true, stills: true, speaker: true, push: true, told: false };
}

/// The changes that make `new` of `old`, in the order in which they are to be made: what goes frees its devices before others
/// come. In both lists an id names one camera.
pub fn plan_reload(old: &[CameraConfig], new: &[CameraConfig]) -> Vec<Change> {
    let find = |list: &[CameraConfig], id: &CameraId| list.iter().position(|c| c.id == *id);
    let gone = old.iter().filter(|c| find(new, &c.id).is_none());
    let mut changes: Vec<Change> = gone.map(|c| Change::Remove(c.id.clone())).collect();
    let (mut changed, mut added, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for camera in new {
        match find(old, &camera.id) {
            None => added.push(camera.clone()),
            Some(at) if old[at] == *camera => {}
            Some(at) => {
                changed.push(Change::Update { restart: restart(&old[at], camera), camera: Box::new(camera.clone()) })
            }
        }
    }
    let kept = old.iter().filter(|c| find(new, &c.id).is_some());
    order.extend(kept.chain(&added).map(|c| c.id.clone()));
    changes.extend(changed);
    changes.extend(added.into_iter().map(|c| Change::Add(Box::new(c))));
    let wanted: Vec<_> = new.iter().map(|c| c.id.clone()).collect();
    if order != wanted {
        changes.push(Change::Arrange(wanted));
    }
    changes
}

/// What has to be run again when `old` becomes `new`. A name alone restarts nothing.
fn restart(old: &CameraConfig, new: &CameraConfig) -> Restart {
    match (&old.off, &new.off) {
        (Some(old), Some(new)) => {
            // Only its recorder runs, which says who switched it off.
            return Restart { recorder: old.by != new.by, ..Restart::default() };
        }
        (None, None) => {}
        (None, Some(_)) | (Some(_), None) => return Restart::ALL,
    }
    let source = old.source != new.source;
    let encodings = (old.codec, old.main, old.sub) != (new.codec, new.main, new.sub);
    // The branch that gives the detector its pictures is part of the pipeline.
    let detector_pictures = (old.motion.enabled, old.motion.fps) != (new.motion.enabled, new.motion.fps);
    let record = old.record != new.record;
    let aspect = old.aspect != new.aspect;
    let masks = old.picture.privacy != new.picture.privacy;
    // A V4L2 camera is asked for other pictures than those that it encodes itself.
    let takes_otherwise =
        matches!(new.source, Source::V4l2(_)) && old.picture.needs_encoding() != new.picture.needs_encoding();
    let picture = &old.picture;
    let controls = picture.controls != new.picture.controls || old.network.onvif != new.network.onvif;
    let is_remade = (picture.encode, picture.turned, picture.overlay)
        != (new.picture.encode, new.picture.turned, new.picture.overlay);
    let is_called_otherwise = new.picture.overlay.name && old.name != new.name;
    let is_reached_otherwise = (old.network.transport, &old.network.trust, &old.network.sub_source)
        != (new.network.transport, &new.network.trust, &new.network.sub_source);
    let capture = source
        || is_remade
        || is_called_otherwise
        || encodings
        || aspect
        || is_reached_otherwise
        || old.audio.source != new.audio.source
        // What takes the echo out stands behind a microphone of the box's own.
        || (new.has_own_microphone() && old.talkback.sink.is_some() != new.talkback.sink.is_some())
        || detector_pictures
        || takes_otherwise;
    Restart {
        capture,
        // What a recorder keeps of before an event was seen without the new masks.
        recorder: record || aspect || masks,
        // When an event ends is the recorder's setting too; another source is another scene, and so is one that is masked otherwise.
        motion: old.motion != new.motion || record || source || masks || is_remade,
        stills: old.codec != new.codec || old.motion.enabled != new.motion.enabled,
        speaker: false,
        push: old.push != new.push,
        told: (masks || controls || old.audio.gain_db != new.audio.gain_db || old.talkback != new.talkback) && !capture,
    }
}

/// The places in a camera's list of pushes that lead elsewhere from now on, or nowhere.
pub fn changed_pushes(old: &[PushTarget], new: &[PushTarget]) -> Vec<usize> {
    (0..old.len().max(new.len())).filter(|place| old.get(*place) != new.get(*place)).collect()
}

/// What RTSP readers are told of a camera's streams before they play, and what cannot change while they do: where it does, they have to
/// ask again. Sizes are none of it, for keyframes carry their own (parameter sets in H.264 and H.265, the frame header in VP8), nor are
/// frame rates and bit rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtspDescription {
    /// How its main stream is encoded, which says how the other is.
    pub codec: VideoCodec,
    /// Whether it has sound.
    pub has_audio: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{AudioSettings, AudioSource, VideoSettings};
    use crate::ingest::Transport;
    use crate::media::Stream;
    use crate::motion::{MotionConfig, Polygon};
    use crate::network_camera::{Aspect, NetworkSettings};
    use crate::picture_settings::PictureSettings;
    use crate::recording::{RecordConfig, RecordMode};
    use crate::settings::Scalar;
    use crate::switched_off::{OffBy, SwitchedOff};
    use crate::talkback::TalkSink;
    use crate::usb_camera::VideoName;
    use perch_base::time::Timestamp;
    use proptest::prelude::*;

    fn id(id: &str) -> CameraId {
        CameraId::new(id).expect("an id")
    }

    fn camera(name: &str) -> CameraConfig {
        let video = VideoSettings { width: 640, height: 360, fps: 15, bitrate_kbps: 500 };
        CameraConfig {
            id: id(name),
            name: name.to_owned(),
            room: String::new(),
            source: Source::Test,
            network: NetworkSettings::default(),
            aspect: None,
            codec: VideoCodec::H264,
            main: video,
            sub: VideoSettings { width: 320, height: 180, ..video },
            audio: AudioSettings { source: AudioSource::None, gain_db: 0.0 },
            talkback: Default::default(),
            record: RecordConfig::default(),
            motion: MotionConfig::default(),
            picture: PictureSettings::default(),
            push: Vec::new(),
            off: None,
        }
    }

    fn with(name: &str, change: impl FnOnce(&mut CameraConfig)) -> CameraConfig {
        let mut camera = camera(name);
        change(&mut camera);
        camera
    }

    fn mask() -> Vec<Polygon> {
        vec![Polygon::new(vec![(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)]).expect("a polygon")]
    }

    fn changed(camera: CameraConfig, restart: Restart) -> Change {
        Change::Update { camera: Box::new(camera), restart }
    }

    fn added(camera: CameraConfig) -> Change {
        Change::Add(Box::new(camera))
    }

    #[test]
    fn cameras_come_go_and_move() {
        let (a, b, c) = (camera("a"), camera("b"), camera("c"));
        let list = |cameras: &[&CameraConfig]| cameras.iter().map(|c| (*c).clone()).collect::<Vec<_>>();
        type Case<'a> = (&'a [&'a CameraConfig], &'a [&'a CameraConfig], Vec<Change>);
        let cases: [Case; 8] = [
            (&[], &[], vec![]),
            (&[&a, &b], &[&a, &b], vec![]),
            (&[&a], &[&a, &b], vec![added(b.clone())]),
            (&[&b], &[&a, &b], vec![added(a.clone()), Change::Arrange(vec![id("a"), id("b")])]),
            (&[&a, &b], &[&b], vec![Change::Remove(id("a"))]),
            (&[&a, &b], &[&b, &a], vec![Change::Arrange(vec![id("b"), id("a")])]),
            (
                &[&a, &b],
                &[&c, &b],
                vec![Change::Remove(id("a")), added(c.clone()), Change::Arrange(vec![id("c"), id("b")])],
            ),
            (&[&a, &b, &c], &[], vec![Change::Remove(id("a")), Change::Remove(id("b")), Change::Remove(id("c"))]),
        ];
        for (old, new, want) in cases {
            assert_eq!(plan_reload(&list(old), &list(new)), want, "{old:?} -> {new:?}");
        }
    }

    #[test]
    fn pushes_that_stay_in_their_place_go_on() {
        let [a, b, c] = ["a", "b", "c"].map(|h| PushTarget::of(&format!("rtsp://{h}/x"), Stream::Main).expect("valid"));
        for (old, new, want) in [
            (&[][..], &[&a][..], &[0][..]),
            (&[&a], &[&a, &b], &[1]),
            (&[&a, &b], &[&a], &[1]),
            (&[&a, &b, &c], &[&a, &c], &[1, 2]),
            (&[&a, &b], &[&a, &b], &[]),
        ] {
            let list = |targets: &[&PushTarget]| targets.iter().map(|t| (*t).clone()).collect::<Vec<_>>();
            assert_eq!(changed_pushes(&list(old), &list(new)), want, "{old:?} -> {new:?}");
        }
    }

    #[test]
    fn a_change_restarts_only_what_it_concerns() {
        let none = Restart::default();
        type Edit = fn(&mut CameraConfig);
        let table: [(&str, Edit, Restart); 22] = [
            ("name", |c| c.name = "Yard".into(), none),
            ("source", |c| c.source = Source::Libcamera(None), Restart { capture: true, motion: true, ..none }),
            ("codec", |c| c.codec = VideoCodec::Vp8, Restart { capture: true, stills: true, ..none }),
            ("main", |c| c.main.bitrate_kbps = 900, Restart { capture: true, ..none }),
            (
                "shape",
                |c| c.aspect = Some(Aspect { width: 4, height: 3 }),
                Restart { capture: true, recorder: true, ..none },
            ),
            ("transport", |c| c.network.transport = Transport::Udp, Restart { capture: true, ..none }),
            ("sub", |c| c.sub.width = 160, Restart { capture: true, ..none }),
            ("microphone", |c| c.audio.source = AudioSource::Test, Restart { capture: true, ..none }),
            ("gain", |c| c.audio.gain_db = 3.0, Restart { told: true, ..none }),
            ("talkback", |c| c.talkback.sink = Some(TalkSink::Test), Restart { told: true, ..none }),
            (
                "picture settings of its own",
                |c| drop(c.picture.controls.insert("contrast".into(), Scalar::Number(2.0))),
                Restart { told: true, ..none },
            ),
            ("where they are", |c| c.network.onvif = Some("http://cam/".into()), Restart { told: true, ..none }),
            (
                "push",
                |c| c.push.extend(PushTarget::of("rtmp://h/live/key", Stream::Main)),
                Restart { push: true, ..none },
            ),
            ("record", |c| c.record.mode = RecordMode::Off, Restart { recorder: true, motion: true, ..none }),
            ("sensitivity", |c| c.motion.sensitivity = 0.9, Restart { motion: true, ..none }),
            (
                "motion on or off",
                |c| c.motion.enabled ^= true,
                Restart { capture: true, motion: true, stills: true, ..none },
            ),
            ("masks", |c| c.picture.privacy = mask(), Restart { recorder: true, motion: true, told: true, ..none }),
            ("encoded anew", |c| c.picture.encode = true, Restart { capture: true, motion: true, ..none }),
            ("written into", |c| c.picture.overlay.time = true, Restart { capture: true, motion: true, ..none }),
            ("turned", |c| c.picture.turned.quarters = 1, Restart { capture: true, motion: true, ..none }),
            (
                "masks and more",
                |c| (c.picture.privacy, c.main.fps) = (mask(), 5),
                Restart { capture: true, recorder: true, motion: true, ..none },
            ),
            ("detector's rate", |c| c.motion.fps += 1, Restart { capture: true, motion: true, ..none }),
        ];
        for (what, edit, want) in table {
            let new = with("a", edit);
            let plan = plan_reload(&[camera("a")], std::slice::from_ref(&new));
            assert_eq!(plan, [changed(new, want)], "{what}");
        }
    }

    /// A camera that may encode for itself is asked for other pictures with its first mask, and again without any.
    #[test]
    fn a_v4l2_camera_is_captured_anew_for_its_first_mask() {
        let usb = |privacy| {
            with("a", |c| {
                c.source = Source::V4l2(VideoName::Number(0));
                c.picture.privacy = privacy;
            })
        };
        let two = || [mask(), mask()].concat();
        for (before, after, is_anew) in [(vec![], mask(), true), (mask(), two(), false), (two(), vec![], true)] {
            let plan = plan_reload(&[usb(before)], &[usb(after)]);
            let [Change::Update { restart, .. }] = plan.as_slice() else { panic!("{plan:?}") };
            assert_eq!((restart.capture, restart.told), (is_anew, !is_anew));
        }
    }

    #[test]
    fn a_camera_that_is_off_has_only_its_recorder_run_again() {
        let off = |by: OffBy, until| Some(SwitchedOff { by, since: Timestamp(1), until });
        let anna = || OffBy::Person("anna".into());
        let cases = [
            (None, off(anna(), None), Restart::ALL),
            (off(anna(), None), None, Restart::ALL),
            (off(anna(), None), off(anna(), Some(Timestamp(9))), Restart::default()),
            (
                off(anna(), None),
                off(OffBy::Profile("Away".into()), None),
                Restart { recorder: true, ..Restart::default() },
            ),
        ];
        for (before, after, want) in cases {
            // Whatever else is changed of one that is off waits until it is on.
            let new = with("a", |c| (c.off, c.main.bitrate_kbps) = (after.clone(), 900));
            let plan = plan_reload(&[with("a", |c| c.off = before.clone())], std::slice::from_ref(&new));
            let goes_off = before.is_none().then(|| id("a"));
            assert_eq!(plan[0].switches_off(), goes_off.as_ref(), "{before:?}");
            assert_eq!(plan, [changed(new, want)], "{before:?}");
        }
    }

    /// As a set that obeys does it.
    fn apply(mut cameras: Vec<CameraConfig>, changes: &[Change]) -> Vec<CameraConfig> {
        for change in changes {
            match change {
                Change::Remove(id) => cameras.retain(|c| c.id != *id),
                Change::Add(camera) => cameras.push((**camera).clone()),
                Change::Update { camera, .. } => {
                    cameras.iter_mut().filter(|c| c.id == camera.id).for_each(|c| *c = (**camera).clone());
                }
                Change::Arrange(order) => cameras.sort_by_key(|c| order.iter().position(|id| *id == c.id)),
            }
        }
        cameras
    }

    fn any_camera() -> impl Strategy<Value = CameraConfig> {
        (0..6u8, 0..3u8, 0..3u32, any::<bool>(), any::<bool>()).prop_map(|(n, name, rate, off, motion)| {
            with(&format!("cam{n}"), |c| {
                c.name = format!("Camera {name}");
                c.main.bitrate_kbps = 500 + rate;
                c.motion.enabled = motion;
                if off {
                    c.record.mode = RecordMode::Off;
                }
            })
        })
    }

    fn any_list() -> impl Strategy<Value = Vec<CameraConfig>> {
        proptest::collection::vec(any_camera(), 0..8).prop_map(|all| {
            let mut list: Vec<CameraConfig> = Vec::new();
            for camera in all {
                if list.iter().all(|c| c.id != camera.id) {
                    list.push(camera);
                }
            }
            list
        })
    }

    proptest! {
        /// Whatever the lists: the changes make the new one of the old one, name no camera twice, and touch none that stays as it is.
        #[test]
        fn the_changes_make_the_new_list_and_touch_nothing_else(old in any_list(), new in any_list()) {
            let changes = plan_reload(&old, &new);
            prop_assert_eq!(&apply(old.clone(), &changes), &new);
            let touched: Vec<_> = changes.iter().filter_map(|c| match c {
                Change::Remove(id) => Some(id),
                Change::Add(camera) | Change::Update { camera, .. } => Some(&camera.id),
                Change::Arrange(_) => None,
            }).collect();
            let unchanged = old.iter().filter(|c| new.contains(c));
            for camera in unchanged {
                prop_assert!(!touched.contains(&&camera.id), "{:?}", changes);
            }
            let mut once = touched.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), touched.len());
        }
    }
}
