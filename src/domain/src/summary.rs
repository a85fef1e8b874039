//! The whole box: how it is, in one sentence too, and what that is about.

use crate::access::{Object, Permission, Principal};
use crate::certificate_facts::CertificateFacts;
use crate::health::CameraState;
use crate::medium::Wear;
use crate::push::PushState;
use crate::recording::RecordingState;
use crate::status::{CameraInfo, ClockStatus, DamagedAccess, DiskStatus, Overall, sentence};
use crate::switched_off::OffBy;
use crate::sync::brief::CopiesBrief;
use crate::task::TaskStatus;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use serde::Serialize;

/// What the sentence is about: where it is mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum SummaryAbout {
    /// This camera, or the first of those.
    Camera {
        /// Which.
        camera: CameraId,
    },
    /// That there is no camera.
    NoCamera,
    /// The disk.
    Storage,
    /// Copies off the box.
    Copies,
    /// A task of the box.
    Task,
    /// Who may come in.
    Access,
    /// A certificate.
    Certificate,
    /// The clock.
    Clock,
}

impl SummaryAbout {
    /// What they are called in JSON.
    pub const PARTS: [&str; 8] = ["camera", "no_camera", "storage", "copies", "task", "access", "certificate", "clock"];
}

/// How the box is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// In one word.
    pub state: Overall,
    /// In one sentence: "Everything works", or what does not and what to do.
    pub sentence: String,
    /// What that is about; `None` where nothing is to be done.
    pub about: Option<SummaryAbout>,
}

/// The whole box.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The box's name.
    pub name: String,
    /// In one word.
    pub state: Overall,
    /// In one sentence: "Everything works", or what does not and what to do.
    pub sentence: String,
    /// What the sentence is about, where something is to be done; `None` where there is not.
    pub about: Option<SummaryAbout>,
    /// The daemon's version.
    pub version: String,
    /// The commit it was built from, 12 hex digits, or `unknown`.
    pub commit: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// The clock.
    pub clock: ClockStatus,
    /// Every camera.
    pub cameras: Vec<CameraInfo>,
    /// Every supervised task.
    pub tasks: Vec<TaskStatus>,
    /// The disk.
    pub disk: DiskStatus,
    /// Copies off the box.
    pub copies: CopiesBrief,
    /// Live WebRTC sessions.
    pub webrtc_sessions: usize,
    /// Live RTSP readers.
    pub rtsp_readers: usize,
    /// Resident memory of the daemon in bytes.
    pub memory_bytes: u64,
    /// The certificates that it shows; they have a route of their own.
    #[serde(skip)]
    pub certificates: Vec<CertificateFacts>,
}

impl Status {
    /// What `who` may see of it.
    pub fn seen_by(mut self, who: &Principal) -> Self {
        if who.may(Permission::ManageBox, Object::Box) {
            return self;
        }
        self.cameras = self.cameras.into_iter().filter_map(|c| c.seen_by(who)).collect();
        self.tasks.retain(|t| t.id.camera().is_none_or(|id| who.may(Permission::Watch, Object::Camera(id))));
        for task in self.tasks.iter_mut().filter(|t| !t.reason.is_empty()) {
            task.reason = "it broke off".into();
        }
        // Who comes in and where copies go is not theirs to know.
        let damaged = DamagedAccess::default();
        self.copies = CopiesBrief::default();
        let now = (self.clock.now, self.clock.synchronised);
        let said = summarise(&self.cameras, &self.disk, (&self.tasks, &self.copies), &damaged, &self.certificates, now);
        (self.state, self.sentence, self.about) = (said.state, said.sentence, said.about);
        self
    }
}

const NO_CAMERA: &str = "There is no camera yet: add the first one.";

/// That everything works, and what is worth knowing all the same: that a camera gives few pictures (in the dark many do), or that the
/// clock is not set (a box without a network works as well).
fn works(cameras: &[CameraInfo], synchronised: bool) -> String {
    let few = cameras.iter().find(|c| c.health.state == CameraState::Live && !c.health.reason.is_empty());
    match few {
        Some(c) => sentence(format!("Everything works, but {} has few pictures: {}", c.name, c.health.reason)),
        // A box without a network works as well.
        None if !synchronised => CLOCK.into(),
        None => all_is_well(&cameras.iter().filter(|c| c.health.off.is_some()).collect::<Vec<_>>()),
    }
}

/// A camera that is off is no fault, and not forgotten either.
fn all_is_well(off: &[&CameraInfo]) -> String {
    match off {
        [] => "Everything works.".into(),
        [one] => format!("Everything works; {} is switched off.", one.name),
        more => format!("Everything works; {} cameras are switched off.", more.len()),
    }
}

const CLOCK: &str = "Everything works, but the clock is not synchronised: let the box reach a time server, else the times of \
    recordings may be wrong.";

/// Sums up: the first thing that does not work and what to do, or "Everything works".
pub fn summarise(
    cameras: &[CameraInfo],
    disk: &DiskStatus,
    (tasks, copies): (&[TaskStatus], &CopiesBrief),
    damaged: &DamagedAccess,
    certificates: &[CertificateFacts],
    (now, synchronised): (Timestamp, bool),
) -> Summary {
    let fault = fault(cameras, disk, tasks, copies).or_else(|| {
        let damaged = damaged.problem().map(|problem| (SummaryAbout::Access, problem));
        let worn = || disk.says(Wear::Worn).map(|worn| (SummaryAbout::Storage, worn));
        damaged
            .or_else(worn)
            .or_else(|| Some((SummaryAbout::Certificate, certificates.iter().find_map(|c| c.problem(now))?)))
    });
    if let Some((about, what)) = fault {
        return Summary { state: Overall::Degraded, sentence: sentence(what), about: Some(about) };
    }
    let (sentence, about) = match cameras {
        [] => (NO_CAMERA.into(), Some(SummaryAbout::NoCamera)),
        _ => (works(cameras, synchronised), (!synchronised).then_some(SummaryAbout::Clock)),
    };
    Summary { state: Overall::Ok, sentence, about }
}

/// The worst that is wrong with what the box does.
fn fault(
    cameras: &[CameraInfo],
    disk: &DiskStatus,
    tasks: &[TaskStatus],
    copies: &CopiesBrief,
) -> Option<(SummaryAbout, String)> {
    let of = |c: &CameraInfo, what: String| Some((SummaryAbout::Camera { camera: c.id.clone() }, what));
    let first = |is: &dyn Fn(&CameraInfo) -> bool| cameras.iter().find(|c| is(c));
    if let Some(c) = first(&|c| c.recording.state == RecordingState::Paused) {
        return of(c, format!("{} is not being recorded: {}", c.name, c.recording.reason));
    }
    if !disk.problem.is_empty() {
        return Some((SummaryAbout::Storage, disk.problem.clone()));
    }
    // Whoever loses the card loses everything; one that is only worn comes after what is wrong today.
    if let Some(failing) = disk.says(Wear::Failing) {
        return Some((SummaryAbout::Storage, failing));
    }
    if let Some(c) = first(&|c| c.recording.state == RecordingState::Recording && !c.recording.reason.is_empty()) {
        return of(c, format!("{} is recorded with gaps: {}", c.name, c.recording.reason));
    }
    if let Some(c) = first(&|c| c.health.off.as_ref().is_some_and(|off| off.by == OffBy::Box)) {
        return of(c, c.no_picture());
    }
    let bad: Vec<_> = cameras.iter().filter(|c| c.health.is_without_picture()).collect();
    match bad.as_slice() {
        [] => {}
        [one] => return of(one, one.trouble()),
        [first, .., last] => {
            let names: Vec<_> = bad[..bad.len() - 1].iter().map(|c| c.name.as_str()).collect();
            return of(first, format!("{} and {} have no picture: see what each says", names.join(", "), last.name));
        }
    }
    if let Some(c) = first(&|c| c.health.state == CameraState::Overloaded) {
        return of(c, format!("The box cannot keep up with {}: {}", c.name, c.health.reason));
    }
    if let Some(c) = first(&|c| !c.health.rate_problem.is_empty()) {
        return of(c, format!("{} gives too few pictures: {}", c.name, c.health.rate_problem));
    }
    if let Some(c) = first(&|c| !c.health.sound_problem.is_empty()) {
        return of(c, format!("{} has no sound: {}", c.name, c.health.sound_problem));
    }
    if let Some(c) = first(&|c| !c.health.motion_problem.is_empty()) {
        return of(c, format!("{} sees no motion: {}", c.name, c.health.motion_problem));
    }
    if let Some(c) = first(&|c| !c.health.small_problem.is_empty()) {
        return of(c, format!("{} has no small stream: {}", c.name, c.health.small_problem));
    }
    if let Some((c, push)) =
        cameras.iter().find_map(|c| Some((c, c.push.iter().find(|p| p.state == PushState::Failing)?)))
    {
        return of(c, format!("{} is not pushed to {}: {}", c.name, push.to, push.reason));
    }
    if !copies.alarm.is_empty() {
        return Some((SummaryAbout::Copies, capitalised(&copies.alarm)));
    }
    let failing = tasks.iter().find(|t| t.is_failing() && !t.is_covered_by_health())?;
    Some((SummaryAbout::Task, format!("The task `{}` fails and is tried again: {}", failing.id, failing.reason)))
}

/// Names of stores stand within, so only the first letter changes.
fn capitalised(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + signs.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::CameraHealth;
    use crate::media::VideoCodec;
    use crate::medium::Medium;
    use crate::orientation::Orientation;
    use crate::recording::RecordingStatus;
    use crate::status::CaptureFigures;
    use crate::switched_off::SwitchedOff;
    use crate::trouble::{SourceKind, Trouble, TroubleCause};

    const NOW: (Timestamp, bool) = (Timestamp(0), true);

    fn summarise(
        cameras: &[CameraInfo],
        disk: &DiskStatus,
        tasks: &[TaskStatus],
        damaged: &DamagedAccess,
        certificates: &[CertificateFacts],
        now: (Timestamp, bool),
    ) -> (Overall, String) {
        let said = super::summarise(cameras, disk, (tasks, &CopiesBrief::default()), damaged, certificates, now);
        (said.state, said.sentence)
    }

    #[test]
    fn it_is_said_what_the_sentence_is_about() {
        let named = |id: &str, mut camera: CameraInfo| {
            camera.id = CameraId::new(id).expect("valid");
            camera
        };
        let live = named("front", camera("Front", CameraState::Live, ""));
        let gone = named("gate", camera("Gate", CameraState::Missing, "no device"));
        let slow = named("yard", camera("Yard", CameraState::Overloaded, "lower its size"));
        let mut gaps = named("loft", live.clone());
        gaps.recording.reason = "the disk is slow".into();
        let mut paused = named("shed", live.clone());
        paused.recording.state = RecordingState::Paused;
        let mut mute = named("hall", live.clone());
        mute.health.sound_problem = "it is unplugged".into();
        let (full, fine) =
            (DiskStatus { problem: "the disk is full".into(), ..Default::default() }, DiskStatus::default());
        let damaged = DamagedAccess { account: Some("anna".into()), stream_password: None };
        let whole = DamagedAccess::default();
        let of = |id: &str| Some(SummaryAbout::Camera { camera: CameraId::new(id).expect("valid") });
        let all = [live.clone(), mute.clone(), slow.clone(), gone.clone(), gaps.clone(), paused];
        let no_copies = CopiesBrief::default();
        for (cameras, disk, access, synchronised, want) in [
            (&all[..], &full, &damaged, true, of("shed")),
            (&all[..5], &full, &damaged, true, Some(SummaryAbout::Storage)),
            (&all[..5], &fine, &damaged, true, of("loft")),
            (&all[..4], &fine, &damaged, true, of("gate")),
            (&all[..3], &fine, &damaged, true, of("yard")),
            (&all[..2], &fine, &damaged, true, of("hall")),
            (&all[..1], &fine, &damaged, false, Some(SummaryAbout::Access)),
            (&all[..1], &fine, &whole, false, Some(SummaryAbout::Clock)),
            (&all[..1], &fine, &whole, true, None),
            (&[], &fine, &whole, true, Some(SummaryAbout::NoCamera)),
        ] {
            let said = super::summarise(cameras, disk, (&[], &no_copies), access, &[], (Timestamp(0), synchronised));
            assert_eq!(said.about, want, "{}", said.sentence);
        }
        // What cameras have comes first, and copies before their task, which says less.
        let alarm = CopiesBrief { alarm: "nothing is copied to nas/perch".into(), ..CopiesBrief::default() };
        for (cameras, want) in [(&all[..2], of("hall")), (&all[..1], Some(SummaryAbout::Copies))] {
            let said = super::summarise(cameras, &fine, (&[], &alarm), &whole, &[], NOW);
            assert_eq!(said.about, want, "{}", said.sentence);
        }
        let part = |about: &SummaryAbout| serde_json::to_value(about).expect("JSON")["part"].clone();
        let parts = [
            SummaryAbout::Camera { camera: live.id },
            SummaryAbout::NoCamera,
            SummaryAbout::Storage,
            SummaryAbout::Copies,
            SummaryAbout::Task,
            SummaryAbout::Access,
            SummaryAbout::Certificate,
            SummaryAbout::Clock,
        ];
        assert_eq!(parts.iter().map(part).collect::<Vec<_>>(), SummaryAbout::PARTS);
    }

    #[test]
    fn a_card_that_fails_is_said_before_cameras_and_one_that_is_worn_after_them() {
        let medium = |wear: Wear| Medium {
            kind: crate::medium::MediumKind::SdCard,
            name: "SC32G".into(),
            wear,
            says: format!("The card is {wear:?}"),
        };
        let (live, gone) = (camera("Front", CameraState::Live, ""), camera("Front", CameraState::Missing, "no device"));
        let says = |camera: &CameraInfo, media: &[Wear]| {
            let disk = DiskStatus { media: media.iter().copied().map(medium).collect(), ..DiskStatus::default() };
            summarise(std::slice::from_ref(camera), &disk, &[], &DamagedAccess::default(), &[], NOW)
        };
        assert_eq!(says(&live, &[Wear::Unknown, Wear::Good]), (Overall::Ok, "Everything works.".into()));
        assert_eq!(says(&live, &[Wear::Good, Wear::Worn]), (Overall::Degraded, "The card is Worn.".into()));
        assert_eq!(says(&live, &[Wear::Worn, Wear::Failing]).1, "The card is Failing.");
        assert_eq!(says(&gone, &[Wear::Failing]).1, "The card is Failing.");
        assert_eq!(says(&gone, &[Wear::Worn]).1, "Front has no picture: no device.");
    }

    #[test]
    fn a_certificate_that_runs_out_is_the_boxs_fault() {
        let day = perch_base::time::DAY;
        let facts = CertificateFacts {
            kind: crate::certificate_facts::CertificateKind::Domain,
            names: vec!["cam.example.org".into()],
            not_before: Timestamp(0),
            not_after: Timestamp(0) + 90 * day,
            sha256: String::new(),
            renewal_problem: "the domain leads elsewhere".into(),
        };
        let at = |days: u32| {
            let now = (Timestamp(0) + days * day, true);
            let cameras = [camera("Front", CameraState::Live, "")];
            let certificates = std::slice::from_ref(&facts);
            summarise(&cameras, &DiskStatus::default(), &[], &DamagedAccess::default(), certificates, now)
        };
        assert_eq!(at(1), (Overall::Ok, "Everything works.".into()));
        let said = "The certificate of cam.example.org runs out in 3 days, and it could not be renewed: the domain leads elsewhere.";
        assert_eq!(at(87), (Overall::Degraded, said.into()));
    }

    fn camera(name: &str, state: CameraState, reason: &str) -> CameraInfo {
        let mut health = CameraHealth::starting(Timestamp(0));
        health.set(state, None, reason, Timestamp(0));
        CameraInfo {
            id: CameraId::new("front").expect("valid"),
            name: name.into(),
            room: String::new(),
            source: None,
            width: Some(1280),
            height: Some(720),
            display_width: Some(1280),
            orientation: Orientation::NONE,
            fps: 25,
            codec: VideoCodec::H264,
            has_audio: false,
            record_mode: crate::recording::RecordMode::Continuous,
            motion_enabled: true,
            health,
            capture: CaptureFigures::default(),
            recording: RecordingStatus::new(RecordingState::Recording, ""),
            last_event_at: None,
            talk: None,
            push: Vec::new(),
        }
    }

    #[test]
    fn not_everything_works_while_the_box_does_not_keep_up() {
        let live = camera("Front", CameraState::Live, "");
        let says = |cameras: &[CameraInfo]| {
            summarise(cameras, &DiskStatus::default(), &[], &DamagedAccess::default(), &[], NOW)
        };
        assert_eq!(says(std::slice::from_ref(&live)), (Overall::Ok, "Everything works.".into()));
        let slow = camera("Yard", CameraState::Overloaded, "6.5 of 25 frames a second are encoded: lower its size");
        let (state, sentence) = says(&[live.clone(), slow.clone()]);
        assert_eq!(state, Overall::Degraded);
        assert_eq!(
            sentence,
            "The box cannot keep up with Yard: 6.5 of 25 frames a second are encoded: lower its size."
        );
        let gone = camera("Gate", CameraState::Missing, "no device");
        assert!(says(&[slow.clone(), gone.clone()]).1.starts_with("Gate has no picture"), "what is worse comes first");
        let mut silent = gone;
        silent.health.trouble = Some(Trouble::new(SourceKind::Network, TroubleCause::Absent));
        assert_eq!(
            says(std::slice::from_ref(&silent)).1,
            "Gate does not answer. Is it powered, and in the box’s network?"
        );
        assert_eq!(silent.no_picture(), "Gate has no picture: it does not answer");
        assert_eq!(
            says(&[silent.clone(), live.clone(), CameraInfo { name: "Shed".into(), ..silent }]).1,
            "Gate and Shed have no picture: see what each says."
        );
        assert_eq!(says(&[]), (Overall::Ok, "There is no camera yet: add the first one.".into()));
        let few = camera("Loft", CameraState::Live, "the camera gives 4 of 25 pictures a second; in the dark many do");
        assert_eq!(
            says(&[live.clone(), few]),
            (
                Overall::Ok,
                "Everything works, but Loft has few pictures: the camera gives 4 of 25 pictures a second; in the dark many do."
                    .into()
            )
        );
        let mut slideshow = camera("Loft", CameraState::Live, "");
        slideshow.health.rate_problem = "it gives 4 of 25 a second; give it more light".into();
        let (state, sentence) = says(&[live.clone(), slideshow.clone()]);
        assert_eq!(state, Overall::Degraded);
        assert_eq!(sentence, "Loft gives too few pictures: it gives 4 of 25 a second; give it more light.");
        let seen = CameraInfo { health: slideshow.health.clone().for_viewer(), ..slideshow };
        assert_eq!(says(&[seen]).1, "Loft gives too few pictures: it gives fewer than it should.");
        let asks = camera("Gate", CameraState::Missing, "sent no picture within 15 s: is it busy or asleep?");
        assert_eq!(says(&[asks]).1, "Gate has no picture: sent no picture within 15 s: is it busy or asleep?");
        let mut blind = live.clone();
        blind.health.motion_problem = crate::motion::LIGHT_SWINGS.into();
        let (state, sentence) = says(&[blind]);
        assert_eq!(state, Overall::Degraded);
        assert!(sentence.starts_with("Front sees no motion: the light swings"), "{sentence}");
        let mut narrow = live.clone();
        narrow.health.small_problem = "its pictures cannot be decoded".into();
        assert_eq!(says(&[narrow]).1, "Front has no small stream: its pictures cannot be decoded.");
        let seen = CameraInfo { health: slow.health.clone().for_viewer(), ..slow };
        let viewer = says(&[live, seen]);
        assert_eq!(viewer.1, "The box cannot keep up with Yard: it has fewer pictures than it should.");
    }

    #[test]
    fn a_camera_that_is_off_is_no_fault() {
        let off = |name: &str, by: OffBy| {
            let mut camera = camera(name, CameraState::Live, "");
            camera.health.switch_off(&SwitchedOff { by, since: Timestamp(0), until: None });
            camera
        };
        let says = |cameras: &[CameraInfo]| {
            summarise(cameras, &DiskStatus::default(), &[], &DamagedAccess::default(), &[], NOW)
        };
        let anna = || OffBy::Person("Anna".into());
        let (front, yard) = (off("Front", anna()), off("Yard", OffBy::Schedule("22:00 to 06:00".into())));
        assert_eq!(front.no_picture(), "Front is switched off by Anna");
        assert_eq!(front.health.clone().for_viewer().reason, "switched off by Anna");
        let one = [front.clone(), camera("Gate", CameraState::Live, "")];
        assert_eq!(says(&one), (Overall::Ok, "Everything works; Front is switched off.".into()));
        let two = [front, yard];
        assert_eq!(says(&two), (Overall::Ok, "Everything works; 2 cameras are switched off.".into()));
        let (state, sentence) = says(&[off("Front", OffBy::Box)]);
        assert!(state == Overall::Degraded && sentence.contains("switch it on again"), "{sentence}");
    }

    #[test]
    fn what_is_damaged_of_who_may_come_in_is_reported_after_what_is_worse() {
        let damaged = |account: Option<&str>, stream_password: Option<&str>| DamagedAccess {
            account: account.map(str::to_owned),
            stream_password: stream_password.map(str::to_owned),
        };
        let live = camera("Front", CameraState::Live, "");
        let gone = camera("Gate", CameraState::Missing, "no device");
        let anna =
            "The account `anna` is damaged: remove it on the box with `perch user remove anna`, and make it again.";
        let nvr = "The stream password `nvr` is damaged: remove it on the box with `perch stream-password remove nvr`, \
            and make it again.";
        for (camera, what, state, sentence) in [
            (&live, damaged(None, None), Overall::Ok, "Everything works."),
            (&live, damaged(Some("anna"), None), Overall::Degraded, anna),
            (&live, damaged(None, Some("nvr")), Overall::Degraded, nvr),
            (&live, damaged(Some("anna"), Some("nvr")), Overall::Degraded, anna),
            (&gone, damaged(Some("anna"), None), Overall::Degraded, "Gate has no picture: no device."),
        ] {
            let says = summarise(std::slice::from_ref(camera), &DiskStatus::default(), &[], &what, &[], NOW);
            assert_eq!(says, (state, sentence.to_owned()), "{what:?}");
        }
    }

    #[test]
    fn not_everything_works_while_a_camera_waits_for_a_keyframe() {
        let says =
            |camera: CameraInfo| summarise(&[camera], &DiskStatus::default(), &[], &DamagedAccess::default(), &[], NOW);
        let mut waits = camera("Gate", CameraState::Starting, crate::health::WAITS_FOR_KEYFRAME);
        waits.health.trouble = Some(Trouble::new(SourceKind::Network, TroubleCause::AwaitsKeyframe));
        let (state, sentence) = says(waits);
        assert_eq!(state, Overall::Degraded);
        assert!(sentence.starts_with("Gate has not sent a picture that can be begun with"), "{sentence}");
        assert_eq!(says(camera("Gate", CameraState::Starting, "starting")).0, Overall::Ok, "a start is short");
    }
}
