//! Tables for `update`: versions, bundles, outcomes, addresses, phases, and the health gate.

use super::*;
use proptest::prelude::*;

#[test]
fn versions_are_ordered() {
    let rising = [
        "0.0.9",
        "0.1.0-alpha",
        "0.1.0-alpha.1",
        "0.1.0-alpha.beta",
        "0.1.0-beta.2",
        "0.1.0-beta.11",
        "0.1.0-rc.1",
        "0.1.0",
        "0.1.1",
        "0.2.0",
        "0.10.0",
        "1",
        "1.0.1",
        "1.0.1.1",
        "2.0",
    ];
    let parsed: Vec<_> = rising.iter().map(|v| Version::parse(v).expect(v)).collect();
    for (i, a) in parsed.iter().enumerate() {
        for (j, b) in parsed.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{} and {}", rising[i], rising[j]);
        }
    }
    let same = |a: &str, b: &str| assert_eq!(Version::parse(a), Version::parse(b));
    same("1.0", "1.0.0");
    same("1.0.0+20260501", "1.0.0+other");
    for bad in ["", "x", "1..0", "1.2.3.4.5", "-1", "1.0-", "1.0-a..b", "1 0", "v1", "9999999999999", &"1".repeat(65)] {
        assert_eq!(Version::parse(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_version_or_none(text in any::<String>()) {
        if let Some(v) = Version::parse(&text) {
            prop_assert_eq!(v.cmp(&v), Ordering::Equal);
        }
    }
}

fn bundle(version: &str, compatible: &str) -> Bundle {
    Bundle { version: version.into(), compatible: compatible.into(), ..Bundle::default() }
}

#[test]
fn which_bundles_are_taken() {
    let board = Some("perch-rpi-arm64");
    type Row<'a> = (&'a str, &'a str, Option<&'a str>, bool, Result<(), &'a str>);
    let table: [Row<'_>; 9] = [
        ("0.2.0", "perch-rpi-arm64", board, false, Ok(())),
        ("0.1.0", "perch-rpi-arm64", board, false, Err("runs here already")),
        ("0.1.0", "perch-rpi-arm64", board, true, Ok(())),
        ("0.0.9", "perch-rpi-arm64", board, false, Err("older than 0.1.0")),
        ("0.0.9", "perch-rpi-arm64", board, true, Err("older than 0.1.0")),
        ("0.2.0", "perch-qemu-arm64", board, true, Err("is for `perch-qemu-arm64`")),
        ("0.2.0", "", board, true, Err("is for ``")),
        ("latest", "perch-rpi-arm64", board, true, Err("cannot be compared")),
        ("0.2.0", "perch-rpi-arm64", None, true, Err("card image only")),
    ];
    for (version, compatible, board, force, want) in table {
        let got = judge(&bundle(version, compatible), board, "0.1.0", force);
        match (got, want) {
            (Ok(()), Ok(())) => {}
            (Err(e), Err(part)) => assert!(e.to_string().contains(part), "{version}: {e}"),
            (got, want) => panic!("{version} for {compatible}, force {force}: {got:?}, not {want:?}"),
        }
    }
}

#[test]
fn what_was_rolled_back_is_not_installed_again_by_itself() {
    let board = Some("x");
    let last = |outcome, version: &str| LastUpdate {
        outcome,
        version: version.into(),
        from: "0.1.0".into(),
        reason: String::new(),
        at: None,
    };
    let wanted = |version, last: Option<&LastUpdate>| wanted_unattended(&bundle(version, "x"), board, "0.1.0", last);
    assert!(wanted("0.2.0", None));
    assert!(!wanted("0.1.0", None));
    assert!(!wanted("0.2.0", Some(&last(Outcome::RolledBack, "0.2.0"))));
    assert!(wanted("0.2.1", Some(&last(Outcome::RolledBack, "0.2.0"))));
    assert!(wanted("0.2.0", Some(&last(Outcome::Updated, "0.2.0"))));
}

#[test]
fn files_of_the_system_are_read_without_trust() {
    let facts = BootFacts::parse("slot=b\ntrial=1\nboard=perch-rpi-arm64\nserial=10000000abcd1234\nother=1\n");
    assert_eq!(
        (facts.slot.as_deref(), facts.trial, facts.serial.as_deref()),
        (Some("b"), true, Some("10000000abcd1234"))
    );
    assert_eq!(BootFacts::parse("slot=\ntrial=yes\nnonsense"), BootFacts::default());
    assert_eq!(image_version("NAME=x\nIMAGE_VERSION=\"0.2.0\"\n").as_deref(), Some("0.2.0"));
    assert_eq!(image_version("VERSION_ID=12\nIMAGE_VERSION=\n"), None);
    let last = LastUpdate::parse(
        "outcome=rolled_back\nversion=0.2.0\nfrom=0.1.0\nreason=perch\u{1b}[2J ended\nat=1800000000\n",
    );
    let last = last.expect("an outcome");
    assert_eq!((last.outcome, last.version.as_str(), last.from.as_str()), (Outcome::RolledBack, "0.2.0", "0.1.0"));
    assert_eq!((last.reason.as_str(), last.at), ("perch [2J ended", Some(Timestamp(1_800_000_000_000_000))));
    assert_eq!(LastUpdate::parse("outcome=exploded\nversion=1"), None);
    assert_eq!(
        LastUpdate::parse(&format!("outcome=updated\nreason={}", "x".repeat(9999))).expect("kept").reason.len(),
        400
    );
}

#[test]
fn addresses_of_updates() {
    for good in ["https://example.org/perch.raucb", "https://[2001:db8::1]:8443/a?b=c", "https://h"] {
        assert!(check_url(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "http://example.org/x",
        "file:///etc/shadow",
        "https://",
        "https:///x",
        "https://user:hunter2@host/x",
        "https://host/a b",
        "https://host/\n",
        "--help",
        "https://host/`id`",
        "https://hé/x",
    ] {
        let e = check_url(bad).expect_err(bad);
        assert!(!e.to_string().contains("hunter2"), "{e}");
    }
}

fn camera(id: &str, is_live: bool) -> GateCamera {
    let reason = if is_live { "" } else { "no such device" };
    let id = CameraId::new(id).expect("an id");
    GateCamera {
        name: id.to_string(),
        id,
        is_live,
        reason: reason.into(),
        recording_problem: String::new(),
        is_unrecordable: false,
    }
}

fn good() -> GateSigns {
    GateSigns {
        cameras: vec![camera("front", true)],
        expected: None,
        unrecordable: ids(&[]),
        recorded: Ok(()),
        api: Ok(()),
        database: Ok(()),
    }
}

fn ids(ids: &[&str]) -> Option<Vec<CameraId>> {
    Some(ids.iter().map(|id| CameraId::new(id).expect("an id")).collect())
}

#[test]
fn a_new_system_must_prove_everything() {
    let paused = GateCamera { recording_problem: "the disk is full".into(), ..camera("front", true) };
    let two = || vec![camera("front", true), camera("yard", false)];
    let unrecordable = || GateCamera {
        recording_problem: "its pictures come out of order".into(),
        is_unrecordable: true,
        ..camera("front", true)
    };
    let table: [(&str, GateSigns, Option<&str>); 16] = [
        ("all is well", good(), None),
        ("no camera is configured", GateSigns { cameras: vec![], ..good() }, None),
        (
            "the database",
            GateSigns { database: Err("locked".into()), ..good() },
            Some("the database does not open: locked"),
        ),
        ("the API", GateSigns { api: Err("refused".into()), ..good() }, Some("the API does not answer: refused")),
        (
            "no camera at all delivers",
            GateSigns { cameras: vec![camera("front", false)], ..good() },
            Some("front gives no picture: no such device"),
        ),
        ("one of two delivers, and nobody knows what did before", GateSigns { cameras: two(), ..good() }, None),
        ("a camera that was unplugged before", GateSigns { cameras: two(), expected: ids(&["front"]), ..good() }, None),
        (
            "a camera that delivered before",
            GateSigns { cameras: two(), expected: ids(&["front", "yard"]), ..good() },
            Some("yard gives no picture"),
        ),
        (
            "none delivered before",
            GateSigns { cameras: vec![camera("yard", false)], expected: ids(&[]), ..good() },
            None,
        ),
        (
            "a recorder that cannot write",
            GateSigns { cameras: vec![paused], ..good() },
            Some("front is not recorded: the disk is full"),
        ),
        (
            "pictures that could not be recorded before either",
            GateSigns { cameras: vec![unrecordable()], unrecordable: ids(&["front"]), ..good() },
            None,
        ),
        (
            "pictures that could be recorded before",
            GateSigns { cameras: vec![unrecordable()], unrecordable: ids(&["yard"]), ..good() },
            Some("front is not recorded: its pictures come out of order"),
        ),
        (
            "pictures that cannot be recorded, and nobody knows whether they could",
            GateSigns { cameras: vec![unrecordable()], unrecordable: None, ..good() },
            None,
        ),
        (
            "a disk that is full now, under pictures that could not be recorded before",
            GateSigns {
                cameras: vec![GateCamera { recording_problem: "the disk is full".into(), ..camera("front", true) }],
                unrecordable: ids(&["front"]),
                ..good()
            },
            Some("front is not recorded: the disk is full"),
        ),
        (
            "pictures that could not be recorded before, and nothing was read back",
            GateSigns {
                cameras: vec![unrecordable()],
                unrecordable: ids(&["front"]),
                recorded: Err("none yet".into()),
                ..good()
            },
            Some("no recording was sealed and read back: none yet"),
        ),
        (
            "nothing was read back",
            GateSigns { recorded: Err("none yet".into()), ..good() },
            Some("no recording was sealed and read back: none yet"),
        ),
    ];
    for (name, signs, want) in table {
        let verdict = HealthGate::default().look(&signs, MonoTime(0));
        match (verdict, want) {
            (GateVerdict::Content, None) => {}
            (GateVerdict::Waiting(why), Some(part)) => assert!(why.contains(part), "{name}: {why}"),
            (verdict, _) => panic!("{name}: {verdict:?}"),
        }
    }
}

#[test]
fn what_proves_that_a_new_system_records() {
    // `+` delivers, `!` cannot be recorded now.
    let cameras = |all: &[&str]| -> Vec<_> {
        let one = |text: &&str| ProofCamera {
            id: CameraId::new(text.trim_end_matches(['+', '!'])).expect("an id"),
            is_live: text.contains('+'),
            is_unrecordable: text.contains('!'),
        };
        all.iter().map(one).collect()
    };
    type Case<'a> = (&'a str, &'a [&'a str], Option<Vec<CameraId>>, Option<Vec<CameraId>>, Proof);
    let cases: [Case; 14] = [
        ("one of two delivers", &["front", "yard+"], None, None, Proof::Recording(1)),
        ("it did not before", &["front+"], ids(&[]), ids(&[]), Proof::Recording(0)),
        ("none is configured", &[], None, None, Proof::File),
        ("none is configured any more", &[], ids(&["front"]), None, Proof::File),
        ("none delivers, and nobody knows what did before", &["front"], None, None, Proof::NoPicture),
        ("none delivers, and one did before", &["front", "yard"], ids(&["yard"]), ids(&[]), Proof::NoPicture),
        ("none delivers, and none did before", &["front"], ids(&[]), ids(&[]), Proof::File),
        ("only one that is not recorded did before", &["front"], ids(&["vp8"]), ids(&[]), Proof::File),
        ("one that could not be recorded, and one that could", &["a+", "b+"], None, ids(&["a"]), Proof::Recording(1)),
        ("the only one could not be recorded", &["a+!"], ids(&["a"]), ids(&["a"]), Proof::File),
        ("it could, and cannot now", &["a+!"], ids(&["a"]), ids(&[]), Proof::Recording(0)),
        ("one could, and another can still", &["a+!", "b+"], None, ids(&[]), Proof::Recording(1)),
        ("nobody knows, and the only one cannot", &["a+!"], None, None, Proof::Recording(0)),
        (
            "one that could is gone, beside one that could not",
            &["a+!", "b"],
            ids(&["a", "b"]),
            ids(&["a"]),
            Proof::NoPicture,
        ),
    ];
    for (name, all, expected, unrecordable, want) in cases {
        assert_eq!(proof(&cameras(all), expected.as_deref(), unrecordable.as_deref()), want, "{name}");
    }
}

#[test]
fn it_must_be_content_for_a_while_without_a_break() {
    let at = |s: i64| MonoTime(s * 1_000_000);
    let mut gate = HealthGate::default();
    let bad = GateSigns { api: Err("x".into()), ..good() };
    assert_eq!(gate.look(&good(), at(0)), GateVerdict::Content);
    assert_eq!(gate.look(&good(), at(19)), GateVerdict::Content);
    assert!(matches!(gate.look(&bad, at(20)), GateVerdict::Waiting(_)));
    assert_eq!(gate.look(&good(), at(21)), GateVerdict::Content);
    assert_eq!(gate.look(&good(), at(40)), GateVerdict::Content);
    assert_eq!(gate.look(&good(), at(41)), GateVerdict::Keep);
}

#[test]
fn nothing_heard_begins_it_anew() {
    let mut gate = HealthGate::default();
    assert_eq!(gate.look(&good(), MonoTime(0)), GateVerdict::Content);
    let GateVerdict::Waiting(why) = gate.hears_nothing(Duration::from_secs(12)) else { panic!("it waits") };
    assert!(why.ends_with("not heard of within 12 s"), "{why}");
    let later = MonoTime(0) + CONTENT_FOR;
    assert_eq!(gate.look(&good(), later), GateVerdict::Content);
    assert_eq!(gate.look(&good(), later + CONTENT_FOR), GateVerdict::Keep);
}

#[test]
fn boxes_look_first_at_times_of_their_own() {
    for (chance, seconds) in [(0.0, 600), (0.5, 900), (1.0, 1200), (-3.0, 600), (7.0, 1200)] {
        assert_eq!(UpdateConfig::first_look(chance), Duration::from_secs(seconds), "{chance}");
    }
}

#[test]
fn a_trial_has_room_for_its_proof() {
    // The start, the look that is content first, and the time that it must stay so.
    assert!(CONTENT_FOR * 4 <= TRIAL_WITHIN);
}

#[test]
fn a_bundle_must_fit() {
    let kind = |checked: Result<()>| checked.err().map(|e| e.kind());
    for (bytes, want) in [
        (0, Some(ErrorKind::Invalid)),
        (1, None),
        (MAX_BUNDLE_BYTES, None),
        (MAX_BUNDLE_BYTES + 1, Some(ErrorKind::TooLarge)),
        (u64::MAX, Some(ErrorKind::TooLarge)),
    ] {
        assert_eq!(kind(check_size(bytes)), want, "{bytes} bytes");
    }
    let full = Some(ErrorKind::Unavailable);
    for (bytes, free, want) in [
        (1, KEEP_FREE_BYTES + 1, None),
        (1, KEEP_FREE_BYTES, full),
        (MAX_BUNDLE_BYTES, MAX_BUNDLE_BYTES + KEEP_FREE_BYTES, None),
        (MAX_BUNDLE_BYTES, MAX_BUNDLE_BYTES, full),
        (1, 0, full),
        (u64::MAX, u64::MAX - 1, full),
    ] {
        assert_eq!(kind(check_room(bytes, free)), want, "{bytes} of {free} bytes");
    }
}

#[test]
fn a_viewer_sees_version_and_phase_only() {
    let state = UpdateState {
        version: "0.1.0".into(),
        phase: Phase::Installing,
        slot: Some("a".into()),
        board: Some("x".into()),
        bundle: Some(bundle("0.2.0", "x")),
        problem: Some("why".into()),
        ..UpdateState::default()
    };
    let seen = state.for_viewer();
    assert_eq!((seen.version.as_str(), seen.phase), ("0.1.0", Phase::Installing));
    assert!(seen.slot.is_none() && seen.board.is_none() && seen.bundle.is_none() && seen.problem.is_none());
}

#[test]
fn an_attempt_begins_while_nothing_goes_on_and_only_with_an_upload_or_a_check() {
    use Phase::*;
    let cases = [
        // (what goes on, what is refused with)
        (Idle, None),
        (Ready, None),
        (Receiving, Some("an update is being uploaded already")),
        (Checking, Some("an update is being checked already")),
        (Installing, Some("an update is being installed already")),
        (Restarting, Some("the box is restarting into the new version")),
        (Trial, Some("a new version is being tried: wait some minutes until it is kept or left again")),
    ];
    assert_eq!(cases.map(|(phase, _)| phase), [Idle, Ready, Receiving, Checking, Installing, Restarting, Trial]);
    for (phase, why) in cases {
        for to in Phase::ALL.iter().copied() {
            let begun = phase.may_begin(to);
            match (why, to) {
                (None, Receiving | Checking) => assert!(begun.is_ok(), "{phase:?} to {to:?}"),
                (None, _) => {
                    assert_eq!(begun.expect_err("no beginning").kind(), ErrorKind::Internal, "{phase:?} to {to:?}")
                }
                (Some(why), _) => {
                    let e = begun.expect_err("something goes on");
                    assert_eq!((e.kind(), e.message()), (ErrorKind::Conflict, why), "{phase:?} to {to:?}");
                }
            }
        }
    }
}
