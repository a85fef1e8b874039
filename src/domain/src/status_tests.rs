//! What the box says of itself in one sentence, by what does not work.

use super::*;
use crate::switched_off::SwitchedOff;
use crate::trouble::{SourceKind, TroubleCause};

const NOW: (Timestamp, bool) = (Timestamp(0), true);

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
    }
}

#[test]
fn not_everything_works_while_the_box_does_not_keep_up() {
    let live = camera("Front", CameraState::Live, "");
    let says =
        |cameras: &[CameraInfo]| summarise(cameras, &DiskStatus::default(), &[], &DamagedAccess::default(), &[], NOW);
    assert_eq!(says(std::slice::from_ref(&live)), (Overall::Ok, "Everything works.".into()));
    let slow = camera("Yard", CameraState::Overloaded, "6.5 of 25 frames a second are encoded: lower its size");
    let (state, sentence) = says(&[live.clone(), slow.clone()]);
    assert_eq!(state, Overall::Degraded);
    assert_eq!(sentence, "The box cannot keep up with Yard: 6.5 of 25 frames a second are encoded: lower its size.");
    let gone = camera("Gate", CameraState::Missing, "no device");
    assert!(says(&[slow.clone(), gone.clone()]).1.starts_with("Gate has no picture"), "what is worse comes first");
    let mut silent = gone;
    silent.health.trouble = Some(Trouble::new(SourceKind::Network, TroubleCause::Absent));
    assert_eq!(says(std::slice::from_ref(&silent)).1, "Gate does not answer. Is it powered, and in the box’s network?");
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
    let says =
        |cameras: &[CameraInfo]| summarise(cameras, &DiskStatus::default(), &[], &DamagedAccess::default(), &[], NOW);
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
    let anna = "The account `anna` is damaged: remove it on the box with `perch user remove anna`, and make it again.";
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
    let waits = camera("Gate", CameraState::Starting, crate::health::WAITS_FOR_KEYFRAME);
    let (state, sentence) = says(waits);
    assert_eq!(state, Overall::Degraded);
    assert!(sentence.starts_with("Gate has no picture: waits for the camera's next keyframe"), "{sentence}");
    assert_eq!(says(camera("Gate", CameraState::Starting, "starting")).0, Overall::Ok, "a start is short");
}
