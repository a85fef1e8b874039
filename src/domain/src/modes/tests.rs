//! Tables and properties of profiles, schedules and what people switch.

use super::*;
use crate::camera::CameraConfig;
use crate::camera::{AudioSettings, AudioSource, Source, VideoSettings};
use crate::media::VideoCodec;
use crate::motion::MotionConfig;
use crate::network_camera::NetworkSettings;
use crate::picture_settings::PictureSettings;
use crate::recording::{RecordConfig, RecordMode};
use crate::switched_off::{OffBy, SwitchedOff};
use perch_base::ids::CameraId;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::zone::Zone;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY_US: i64 = 86_400_000_000;

fn id(id: &str) -> CameraId {
    CameraId::new(id).expect("an id")
}

fn ids() -> [CameraId; 2] {
    [id("door"), id("yard")]
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn zurich() -> Zone {
    Zone::named("Europe/Zurich").expect("known")
}

fn name(text: &str) -> ProfileName {
    ProfileName::new(text).expect("a name")
}

fn only(text: &str) -> Which {
    Which::Some([id(text)].into())
}

fn schedule(days: &[&str], from: u16, to: u16, profile: Option<&str>, off: Which) -> Schedule {
    let names: Vec<_> = days.iter().map(|d| (*d).to_owned()).collect();
    Schedule { days: Days::of(&names), from_min: from * 60, to_min: to * 60, profile: profile.map(name), off }
}

fn config(schedules: Vec<Schedule>) -> ModesConfig {
    let of = |cameras: &[(&str, ProfileCamera)]| Profile {
        name: "X".into(),
        cameras: cameras.iter().map(|(c, is)| (id(c), is.clone())).collect(),
    };
    let off = ProfileCamera { off: true, ..ProfileCamera::default() };
    let motion = ProfileCamera { record: Some(RecordMode::Motion), ..ProfileCamera::default() };
    let profiles = [("home", of(&[("yard", off)])), ("night", of(&[("door", motion)]))];
    ModesConfig { profiles: profiles.into_iter().map(|(n, p)| (name(n), p)).collect(), schedules }
}

fn ask(off: bool, cameras: Option<&[&str]>, until: Option<&str>) -> PrivacyRequest {
    let cameras = cameras.map(|all| all.iter().map(|c| id(c)).collect());
    PrivacyRequest { off, cameras, until: until.map(at), by: "anna".into() }
}

/// A camera that is off, by whom and until when.
type Told = (String, String, Option<Timestamp>);

/// A box that people switch, with the time of each word.
struct House {
    config: ModesConfig,
    switched: Switched,
    zone: Zone,
}

impl House {
    fn new(schedules: Vec<Schedule>) -> Self {
        Self { config: config(schedules), switched: Switched::default(), zone: zurich() }
    }

    fn deciding(&self) -> Deciding<'_> {
        Deciding { config: &self.config, switched: &self.switched, zone: &self.zone, ahead_us: 0 }
    }

    fn says(&mut self, now: &str, request: &PrivacyRequest) {
        self.switched = self.deciding().obey(&ids(), request, at(now)).expect("obeyed");
    }

    fn chooses(&mut self, now: &str, profile: Option<&str>) {
        self.switched = self.deciding().choose(profile.map(name), "ben", at(now)).expect("chosen");
    }

    /// Who is off by whom until when; and when something changes next.
    fn is(&self, now: &str) -> (Vec<Told>, Option<Timestamp>) {
        let modes = self.deciding().at(&ids(), at(now));
        let off = modes.off.into_iter().map(|(id, off)| (id.to_string(), off.by.told(), off.until));
        (off.collect(), modes.next_change)
    }
}

fn off(camera: &str, by: &str, until: Option<&str>) -> Told {
    (camera.into(), by.into(), until.map(at))
}

#[test]
fn what_a_person_says_holds_until_it_ends_or_another_word() {
    let mut house = House::new(vec![]);
    let noon = "2026-05-01T10:00:00Z";
    assert_eq!(house.is(noon), (vec![], None));
    house.says(noon, &ask(true, Some(&["door"]), Some("2026-05-01T11:00:00Z")));
    let until = Some("2026-05-01T11:00:00Z");
    assert_eq!(house.is(noon), (vec![off("door", "by anna", until)], until.map(at)));
    assert_eq!(house.is("2026-05-01T11:00:00Z"), (vec![], None), "it is over");
    assert_eq!(house.is("2026-04-01T11:00:00Z").0.len(), 1, "a clock that is set back does not switch it on");
    house.says(noon, &ask(true, None, None));
    let all = vec![off("door", "by anna", None), off("yard", "by anna", None)];
    assert_eq!(house.is("2027-05-01T10:00:00Z"), (all.clone(), None), "the whole box counts for all");
    house.says(noon, &ask(false, Some(&["yard"]), None));
    assert_eq!(house.is(noon).0, all[..1], "one is on again");
    house.says(noon, &ask(false, None, None));
    assert_eq!(house.is(noon), (vec![], None));
    assert_eq!(house.switched, Switched::default());
}

#[test]
fn a_camera_that_somebody_switched_off_for_longer_stays_off_after_the_whole_box_was() {
    let (noon, one, two) = ("2026-05-01T10:00:00Z", "2026-05-01T11:00:00Z", "2026-05-01T12:00:00Z");
    // What was said of the door, and until when; until when the whole box is off; how the door is at noon, and from one o'clock on.
    type Row<'r> = (bool, Option<&'r str>, Option<&'r str>, &'r [Told], &'r [Told]);
    let rows: [Row<'_>; 7] = [
        (true, None, Some(one), &[off("door", "by anna", None)], &[off("door", "by anna", None)]),
        (true, Some(two), Some(one), &[off("door", "by anna", Some(two))], &[off("door", "by anna", Some(two))]),
        (true, Some(one), Some(one), &[off("door", "by anna", Some(one))], &[]),
        (true, Some(one), Some(two), &[off("door", "by ben", Some(two))], &[off("door", "by ben", Some(two))]),
        (true, Some(one), None, &[off("door", "by ben", None)], &[off("door", "by ben", None)]),
        (true, None, None, &[off("door", "by anna", None)], &[off("door", "by anna", None)]),
        // That it was to be on is over.
        (false, None, Some(one), &[off("door", "by ben", Some(one))], &[]),
    ];
    for (is_off, of_door, of_box, at_noon, at_one) in rows {
        let mut house = House::new(vec![]);
        let word = Word { off: is_off, by: Some("anna".into()), at: at(noon), until: of_door.map(at) };
        house.switched.cameras.insert(id("door"), word);
        house.says(noon, &PrivacyRequest { by: "ben".into(), ..ask(true, None, of_box) });
        let door = |now| house.is(now).0.into_iter().filter(|told| told.0 == "door").collect::<Vec<_>>();
        assert_eq!(door(noon), at_noon, "{is_off} {of_door:?} {of_box:?}");
        assert_eq!(door(one), at_one, "{is_off} {of_door:?} {of_box:?}");
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let house = House::new(vec![]);
    let now = at("2026-05-01T10:00:00Z");
    for (request, why) in [
        (ask(true, None, Some("2026-05-01T10:00:00Z")), "later than now"),
        (ask(true, Some(&["door"]), Some("1970-01-01T00:00:00Z")), "later than now"),
        (ask(false, None, Some("2026-05-02T10:00:00Z")), "only with `on` true"),
        (ask(true, Some(&[]), None), "at least one"),
        (ask(true, Some(&["door", "attic"]), None), "no camera attic"),
    ] {
        let e = house.deciding().obey(&ids(), &request, now).expect_err("refused");
        assert!(e.message().contains(why), "{e}");
    }
    let e = house.deciding().choose(Some(name("x")), "ben", now).expect_err("none");
    assert!(e.message().contains("there are: home, night"), "{e}");
}

#[test]
fn schedules_hold_on_their_days_over_midnight_and_over_the_leaps_of_the_clock() {
    for (days, from, to, asked, want) in [
        // A Friday that goes on into Saturday.
        (&["fri"][..], 22, 6, "2026-05-01T19:59:59Z", None),
        (&["fri"], 22, 6, "2026-05-01T20:00:00Z", Some("2026-05-02T04:00:00Z")),
        (&["fri"], 22, 6, "2026-05-02T03:59:59Z", Some("2026-05-02T04:00:00Z")),
        (&["fri"], 22, 6, "2026-05-02T04:00:00Z", None),
        (&["fri"], 22, 6, "2026-05-02T20:30:00Z", None),
        // A whole day, and all days.
        (&["fri"], 0, 24, "2026-05-01T21:59:00Z", Some("2026-05-01T22:00:00Z")),
        (&[], 0, 24, "2026-05-01T21:59:00Z", None),
        // The night in which two o'clock is three, and that in which it comes twice.
        (&["sat"], 22, 6, "2026-03-29T03:59:00Z", Some("2026-03-29T04:00:00Z")),
        (&["sat"], 22, 6, "2026-10-25T04:59:00Z", Some("2026-10-25T05:00:00Z")),
        (&["sun"], 2, 3, "2026-03-29T01:30:00Z", Some("2026-03-29T01:00:00Z")),
        (&["sun"], 2, 3, "2026-10-25T01:30:00Z", Some("2026-10-25T02:00:00Z")),
    ] {
        let house = House::new(vec![schedule(days, from, to, None, only("door"))]);
        let is = house.is(asked).0;
        match want.map(at).filter(|until| *until > at(asked)) {
            Some(until) => assert_eq!(is.first().and_then(|o| o.2), Some(until), "{days:?} {from} to {to} at {asked}"),
            // Every day, all day, it is off for good.
            None if days.is_empty() => assert_eq!(is, [off("door", "by the schedule 00:00 to 24:00", None)]),
            None => assert_eq!(is, [], "{days:?} {from} to {to} at {asked}"),
        }
    }
}

#[test]
fn of_two_schedules_the_first_names_the_profile_and_each_switches_off() {
    let house = House::new(vec![
        schedule(&[], 20, 24, Some("night"), Which::None),
        schedule(&[], 8, 22, Some("home"), only("door")),
    ]);
    let profile = |now: &str| house.deciding().at(&ids(), at(now)).profile.map(|p| p.id.to_string());
    assert_eq!(profile("2026-05-01T05:00:00Z"), None);
    let morning = house.is("2026-05-01T06:00:00Z");
    let schedule = "by the schedule 08:00 to 22:00";
    // The profile ends at 20:00, as the first schedule then names another one.
    let (door, yard) = (
        off("door", schedule, Some("2026-05-01T20:00:00Z")),
        off("yard", "by the profile X", Some("2026-05-01T18:00:00Z")),
    );
    assert_eq!(morning, (vec![door.clone(), yard], Some(at("2026-05-01T18:00:00Z"))));
    assert_eq!(profile("2026-05-01T18:00:00Z").as_deref(), Some("night"));
    assert_eq!(house.is("2026-05-01T18:00:00Z").0, [door]);
}

#[test]
fn a_chosen_profile_counts_before_schedules_and_a_persons_word_before_both() {
    let mut house = House::new(vec![schedule(&[], 22, 6, Some("night"), only("door"))]);
    let night = "2026-05-01T20:30:00Z";
    house.says(night, &ask(false, Some(&["door"]), None));
    assert_eq!(house.is(night), (vec![], Some(at("2026-05-02T04:00:00Z"))), "it is on against the schedule");
    assert_eq!(house.is("2026-05-02T20:30:00Z").0.len(), 1, "and off again in the next night");
    house.chooses(night, Some("home"));
    let is = house.is(night).0;
    assert_eq!(
        is.iter().map(|o| o.1.as_str()).collect::<Vec<_>>(),
        ["by the schedule 22:00 to 06:00", "by the profile X"]
    );
    house.says(night, &ask(true, Some(&["yard"]), None));
    house.chooses(night, None);
    let is = house.is("2026-05-01T10:00:00Z").0;
    assert_eq!(is, [off("yard", "by anna", None)], "what a person switched off stays off");
    // A profile that is gone from the config is none.
    house.chooses(night, Some("home"));
    house.config.profiles.clear();
    assert_eq!(house.deciding().at(&ids(), at("2026-05-01T10:00:00Z")).profile, None);
}

#[test]
fn a_profile_is_laid_over_what_a_camera_is() {
    let keys = "a";
    let video = VideoSettings { width: 640, height: 360, fps: 15, bitrate_kbps: 500 };
    let camera = || CameraConfig {
        id: id(keys),
        name: keys.to_owned(),
        room: String::new(),
        source: Source::Test,
        network: NetworkSettings::default(),
        aspect: None,
        codec: VideoCodec::H264,
        main: video,
        sub: video,
        audio: AudioSettings { source: AudioSource::None, gain_db: 0.0 },
        talkback: Default::default(),
        record: RecordConfig::default(),
        motion: MotionConfig::default(),
        picture: PictureSettings::default(),
        push: Vec::new(),
        off: None,
    };
    let mut config = config(vec![]);
    let over = ProfileCamera { off: false, record: Some(RecordMode::Off), motion: Some(false) };
    config.profiles.insert(name("x"), Profile { name: "X".into(), cameras: [(id(keys), over)].into() });
    let mut modes = Modes { profile: None, off: BTreeMap::new(), next_change: None };
    assert_eq!(modes.laid_over(&config, &camera()), camera());
    let by = ProfileBy::Person("ben".into());
    modes.profile = Some(ActiveProfile { id: name("x"), name: "X".into(), by, since: Timestamp(0) });
    let is = modes.laid_over(&config, &camera());
    assert_eq!((is.record.mode, is.motion.enabled, is.off), (RecordMode::Off, false, None));
    let off = SwitchedOff { by: OffBy::Box, since: Timestamp(0), until: None };
    modes.off.insert(id(keys), off.clone());
    assert_eq!(modes.laid_over(&config, &camera()).off, Some(off));
}

#[test]
fn a_box_that_does_not_know_what_was_off_has_all_off() {
    let now = at("2026-05-01T10:00:00Z");
    let switched = Switched::unknown(now);
    let (config, zone) = (config(vec![]), zurich());
    let modes = Deciding { config: &config, switched: &switched, zone: &zone, ahead_us: 0 }.at(&ids(), now);
    assert!(modes.off.len() == 2 && modes.off.values().all(|off| off.by == OffBy::Box && off.until.is_none()));
}

fn any_which() -> impl Strategy<Value = Which> {
    prop_oneof![Just(Which::None), Just(Which::All), Just(only("door")), Just(only("yard"))]
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let profile = prop_oneof![Just(None), Just(Some(name("home"))), Just(Some(name("night")))];
    (0..128u8, 0..1440u16, 0..=1440u16, profile, any_which()).prop_map(|(days, from_min, to_min, profile, off)| {
        let names: Vec<_> = (0..7).filter(|d| days >> d & 1 == 1).map(|d| schedule::DAY_NAMES[d].to_owned()).collect();
        Schedule { days: Days::of(&names), from_min, to_min, profile, off }
    })
}

fn any_switched() -> impl Strategy<Value = Switched> {
    let word = (any::<bool>(), proptest::option::of(-DAY_US..3 * DAY_US)).prop_map(|(off, until)| Word {
        off,
        by: Some("anna".into()),
        at: at("2026-03-28T00:00:00Z"),
        until: until.map(|us| at("2026-03-28T12:00:00Z").plus_micros(us)),
    });
    (proptest::option::of(word.clone()), proptest::option::of(word)).prop_map(|(whole, door)| Switched {
        whole: whole.map(|word| Word { off: true, ..word }),
        cameras: door.map(|word| (id("door"), word)).into_iter().collect(),
        profile: None,
    })
}

proptest! {
    /// Nothing changes before it is said to, something does then, and a camera is off just until it is said to be. Over the night in
    /// which the clock leaps.
    #[test]
    fn what_is_announced_comes_and_nothing_before(
        schedules in proptest::collection::vec(any_schedule(), 0..4),
        switched in any_switched(),
        start in 0..3 * DAY_US,
        part in 0.0..1.0f64,
    ) {
        let (config, zone) = (config(schedules), zurich());
        let deciding = Deciding { config: &config, switched: &switched, zone: &zone, ahead_us: 0 };
        let now = at("2026-03-27T12:00:00Z").plus_micros(start);
        let modes = deciding.at(&ids(), now);
        let later = |until: Timestamp| now.plus_micros((until.micros_since(now) as f64 * part) as i64);
        let horizon = now.plus_micros(7 * DAY_US);
        prop_assert!(modes.next_change.is_none_or(|next| next > now));
        let between = later(modes.next_change.unwrap_or(horizon));
        prop_assert_eq!(deciding.moment(&ids(), between), deciding.moment(&ids(), now));
        if let Some(next) = modes.next_change {
            prop_assert_ne!(deciding.moment(&ids(), next), deciding.moment(&ids(), now));
        }
        for (id, off) in &modes.off {
            let is_off = |t| deciding.moment(&ids(), t).off.contains_key(id);
            prop_assert!(is_off(later(off.until.unwrap_or(horizon))));
            prop_assert!(off.until.is_none_or(|until| !is_off(until)));
        }
    }

    /// Whoever switches the whole box off switches no camera on that somebody had switched off, now or later.
    #[test]
    fn the_whole_box_never_cuts_short_what_was_said_of_a_camera(
        switched in any_switched(),
        start in 0..3 * DAY_US,
        of_box in proptest::option::of(1..3 * DAY_US),
        later in 0..4 * DAY_US,
    ) {
        let (config, zone) = (config(vec![]), zurich());
        let now = at("2026-03-27T12:00:00Z").plus_micros(start);
        let asked = PrivacyRequest { until: of_box.map(|us| now.plus_micros(us)), ..ask(true, None, None) };
        let deciding = Deciding { config: &config, switched: &switched, zone: &zone, ahead_us: 0 };
        let next = deciding.obey(&ids(), &asked, now).expect("obeyed");
        let then = now.plus_micros(later);
        let is_off = |switched: &Switched, id| Deciding { switched, ..deciding }.moment(&ids(), then).off.contains_key(&id);
        let own = Switched { whole: None, ..switched.clone() };
        prop_assert!(is_off(&next, id("door")) || !is_off(&own, id("door")));
        prop_assert_eq!(is_off(&next, id("yard")), asked.until.is_none_or(|until| then < until));
    }

    /// Whoever switches a camera off sees it off, and whoever switches it on sees it on, whatever else holds.
    #[test]
    fn a_word_is_obeyed_at_once(
        schedules in proptest::collection::vec(any_schedule(), 0..4),
        switched in any_switched(),
        start in 0..3 * DAY_US,
        off in any::<bool>(),
        whole in any::<bool>(),
    ) {
        let (config, zone) = (config(schedules), zurich());
        let now = at("2026-03-27T12:00:00Z").plus_micros(start);
        let request = ask(off, (!whole).then_some(&["door"][..]), None);
        let deciding = Deciding { config: &config, switched: &switched, zone: &zone, ahead_us: 0 };
        let next = deciding.obey(&ids(), &request, now).expect("obeyed");
        let before = deciding.at(&ids(), now).off;
        let after = Deciding { switched: &next, ..deciding }.at(&ids(), now).off;
        prop_assert_eq!(after.contains_key(&id("door")), off);
        match whole {
            true => prop_assert_eq!(after.contains_key(&id("yard")), off),
            false => prop_assert_eq!(after.get(&id("yard")), before.get(&id("yard"))),
        }
        let text = serde_json::to_string(&next).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Switched>(&text).expect("it reads back"), next);
    }
}

/// When "off until 20:00", said at 18:00, ends: what the clock shows, what passed since (minutes), and whether it is synchronised.
#[test]
fn a_clock_that_leaps_ahead_ends_nothing_unless_it_is_synchronised() {
    let start = at("2026-05-01T18:00:00Z");
    let minutes = |n: i64| n * 60_000_000;
    let whole = Word { off: true, by: Some("anna".into()), at: start, until: Some(at("2026-05-01T20:00:00Z")) };
    let house = House { switched: Switched { whole: Some(whole), ..Switched::default() }, ..House::new(vec![]) };
    for (steps, why) in [
        (&[("19:59:59", 119, false, true), ("20:00:01", 121, false, false)][..], "a clock that goes on"),
        (&[("19:00:00", 60, false, true), ("20:00:00", 61, true, false)], "it becomes right, and it is that late"),
        (&[("23:00:00", 10, false, true), ("01:01:00", 131, false, false)], "it leaps ahead: what passed counts"),
        (&[("23:00:00", 10, false, true), ("18:11:00", 11, true, true)], "it leapt ahead and becomes right"),
        (&[("23:00:00", 10, true, false)], "it was behind, and is right now"),
        (&[("15:00:00", 10, false, true), ("17:01:00", 131, false, true)], "it is set back: as it shows"),
        (&[("15:00:00", 10, false, true), ("18:11:00", 11, false, true)], "set back and set right"),
        (&[("18:30:00", 30, true, true), ("23:00:00", 40, false, true)], "it was right and is not any more"),
    ] {
        let mut clock = EndsClock::start(start, MonoTime(0));
        for &(shows, passed, is_synchronised, is_off) in steps {
            let day = if shows < "12" { 2 } else { 1 };
            let now = at(&format!("2026-05-0{day}T{shows}Z"));
            let ahead_us = clock.ahead_us(now, MonoTime(minutes(passed)), is_synchronised);
            let deciding = Deciding { ahead_us, ..house.deciding() };
            let modes = deciding.at(&ids(), now);
            assert_eq!(!modes.off.is_empty(), is_off, "{why}: {shows}");
            assert_eq!(ModesView::of(&deciding, modes.clone(), now).whole.is_some(), is_off, "{why}: {shows}");
            // What is said beside it does not end it either.
            let beside = deciding.obey(&ids(), &ask(true, Some(&["door"]), None), now).expect("obeyed");
            assert_eq!(beside.whole.is_some(), is_off, "{why}: {shows}");
            let left = modes.off.values().next().and_then(|off| off.until).map(|until| until.micros_since(now));
            assert!(left.is_none_or(|left| (1..=minutes(300)).contains(&left)), "{why}: {left:?}");
        }
    }
}
