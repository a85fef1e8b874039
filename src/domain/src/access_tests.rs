//! Tests of who may do what.

use super::*;

#[test]
fn a_viewer_only_looks() {
    use Permission::*;
    for p in [Public, Watch, LookBack, Own, ReadStatus] {
        assert!(Role::Viewer.holds(p) && Role::Admin.holds(p));
    }
    for p in [Keep, Talk, ManagePeople, ManageBox] {
        assert!(!Role::Viewer.holds(p) && Role::Admin.holds(p));
    }
}

#[test]
fn a_caller_is_told_what_it_may() {
    use Permission::*;
    let of = |role, cameras| {
        let (device_id, device_name) = (DeviceId::random(), "phone".to_owned());
        Principal { device_id, device_name, username: None, role, cameras, limits: GrantLimits::NONE }.permissions()
    };
    let looks = [Watch, LookBack, Own, ReadStatus];
    assert_eq!(of(Role::Viewer, CameraGrant::All), looks);
    assert_eq!(of(Role::Viewer, CameraGrant::Only([CameraId::new("a").expect("an id")].into())), looks);
    assert_eq!(of(Role::Admin, CameraGrant::All), Permission::OF_CALLERS);
}

#[test]
fn who_manages_the_box_does_so_whole_and_for_good() {
    let (all, one) = (CameraGrant::All, CameraGrant::Only([CameraId::new("a").expect("an id")].into()));
    let ends = GrantLimits { expires_at: Some(Timestamp(1)), live_only: false };
    let live = GrantLimits { expires_at: None, live_only: true };
    for (role, cameras, limits, does) in [
        (Role::Admin, &all, GrantLimits::NONE, true),
        (Role::Admin, &one, GrantLimits::NONE, false),
        (Role::Admin, &all, ends, false),
        (Role::Admin, &all, live, false),
        (Role::Viewer, &all, GrantLimits::NONE, false),
    ] {
        assert_eq!(manages(role, cameras, limits), does, "{role:?} {cameras:?} {limits:?}");
    }
}

#[test]
fn the_last_who_may_manage_stays() {
    let device = |n: u8, role, username: Option<&str>| Device {
        id: DeviceId::parse(&format!("{n:032x}")).expect("an id"),
        name: "phone".into(),
        kind: DeviceKind::Paired,
        username: username.map(Into::into),
        role,
        cameras: CameraGrant::All,
        limits: GrantLimits::NONE,
        created_at: Timestamp(0),
        last_seen_at: Timestamp(0),
    };
    let user = |name: &str, role| User {
        name: name.into(),
        role,
        cameras: CameraGrant::All,
        limits: GrantLimits::NONE,
        created_at: Timestamp(0),
    };
    let phone = device(1, Role::Admin, None);
    let viewer = device(2, Role::Viewer, None);
    let annas = device(3, Role::Admin, Some("anna"));
    let anna = user("anna", Role::Admin);
    let bob = user("bob", Role::Viewer);
    let of = |d: &Device| Leaving::Device(d.id);
    for (leaving, users, devices, may) in [
        (of(&phone), vec![], vec![phone.clone()], false),
        (of(&phone), vec![bob.clone()], vec![phone.clone(), viewer.clone()], false),
        (of(&viewer), vec![], vec![phone.clone(), viewer.clone()], true),
        (of(&phone), vec![anna.clone()], vec![phone.clone()], true),
        (of(&annas), vec![anna.clone()], vec![annas.clone()], true),
        (Leaving::Account("anna"), vec![anna.clone()], vec![annas.clone()], false),
        (Leaving::Account("anna"), vec![anna.clone()], vec![annas.clone(), phone.clone()], true),
        (Leaving::Account("bob"), vec![anna.clone(), bob.clone()], vec![annas.clone()], true),
        (Leaving::Account("anna"), vec![anna.clone(), bob.clone()], vec![viewer.clone()], false),
        (Leaving::Account("ANNA"), vec![anna.clone()], vec![], false),
        (of(&viewer), vec![bob.clone()], vec![viewer.clone()], true),
    ] {
        assert_eq!(check_leaving(leaving, &users, &devices).is_ok(), may, "{leaving:?}");
    }
}

#[test]
fn whoever_acts_is_still_what_it_was() {
    let who = |role, username: Option<&str>| Principal {
        device_id: DeviceId::parse(&format!("{:032x}", 1)).expect("an id"),
        device_name: "phone".into(),
        username: username.map(Into::into),
        role,
        cameras: CameraGrant::All,
        limits: GrantLimits::NONE,
    };
    let (admin, viewer) = (who(Role::Admin, None), who(Role::Viewer, Some("anna")));
    for (was, now, answer) in [
        (&admin, Some(admin.clone()), None),
        (&viewer, Some(viewer.clone()), None),
        (&admin, None, Some(ErrorKind::Unauthenticated)),
        (&admin, Some(who(Role::Viewer, None)), Some(ErrorKind::Forbidden)),
        // It made the first account and belongs to it now.
        (&admin, Some(who(Role::Admin, Some("anna"))), None),
        (&viewer, Some(who(Role::Viewer, Some("bob"))), Some(ErrorKind::Forbidden)),
        (&viewer, Some(who(Role::Viewer, None)), Some(ErrorKind::Forbidden)),
    ] {
        assert_eq!(check_acting(was, now.as_ref()).err().map(|e| e.kind()), answer, "{was:?} {now:?}");
    }
}

#[test]
fn names_and_passwords() {
    assert!(check_name("user", "anna.b").is_ok());
    for bad in ["", "a b", "a:b", ".a", "a\n", "ä", &"a".repeat(33)] {
        assert!(check_name("user", bad).is_err(), "{bad:?}");
    }
    assert!(check_password("short").is_err());
    assert!(check_password("ten chars!").is_ok());
    assert_eq!(clean_display_name("device", " Anna's\n phone ").expect("kept"), "Anna's phone");
    assert!(clean_display_name("device", "\u{7}").is_err());
}

fn camera(id: &str) -> CameraId {
    CameraId::new(id).expect("an id")
}

fn only(ids: &[&str]) -> CameraGrant {
    CameraGrant::Only(ids.iter().map(|id| camera(id)).collect())
}

fn principal(role: Role, username: Option<&str>, cameras: CameraGrant) -> Principal {
    let device_id = DeviceId(1);
    Principal {
        device_id,
        device_name: "phone".into(),
        username: username.map(Into::into),
        role,
        cameras,
        limits: GrantLimits::NONE,
    }
}

const PERMISSIONS: [Permission; 9] = [
    Permission::Public,
    Permission::Watch,
    Permission::LookBack,
    Permission::Own,
    Permission::ReadStatus,
    Permission::Keep,
    Permission::Talk,
    Permission::ManagePeople,
    Permission::ManageBox,
];

#[test]
fn a_grant_decides_for_each_camera_and_never_for_an_administrator() {
    let (front, yard) = (camera("front"), camera("yard"));
    for permission in PERMISSIONS {
        let all = principal(Role::Viewer, None, CameraGrant::All);
        let some = principal(Role::Viewer, None, only(&["front"]));
        let none = principal(Role::Viewer, None, only(&[]));
        let admin = principal(Role::Admin, None, only(&["front"]));
        let held = Role::Viewer.holds(permission);
        for (who, sees_front, sees_yard) in
            [(&all, held, held), (&some, held, false), (&none, false, false), (&admin, true, true)]
        {
            assert_eq!(who.may(permission, Object::Camera(&front)), sees_front, "{permission:?} {who:?}");
            assert_eq!(who.may(permission, Object::Camera(&yard)), sees_yard, "{permission:?} {who:?}");
            assert_eq!(who.may(permission, Object::Box), who.role.holds(permission), "{permission:?} {who:?}");
        }
    }
}

#[test]
fn own_devices_and_accounts_are_distinguished_from_others() {
    for permission in PERMISSIONS {
        for role in [Role::Viewer, Role::Admin] {
            let who = principal(role, Some("anna"), CameraGrant::All);
            let others = role == Role::Admin && matches!(permission, Permission::ManagePeople | Permission::ManageBox);
            for (object, is_own) in [
                (Object::Device(DeviceId(1)), true),
                (Object::Device(DeviceId(2)), false),
                (Object::Account("anna"), true),
                (Object::Account("Anna"), true),
                (Object::Account("ann"), false),
            ] {
                let want = if is_own { role.holds(permission) } else { others };
                assert_eq!(who.may(permission, object), want, "{role:?} {permission:?} {object:?}");
            }
            let nobody = principal(role, None, CameraGrant::All);
            assert_eq!(nobody.may(permission, Object::Account("anna")), others);
        }
    }
}

#[test]
fn who_may_tend_a_device_and_end_what_it_watches() {
    let device = |id, username: Option<&str>| Device {
        id: DeviceId(id),
        name: "phone".into(),
        kind: DeviceKind::Paired,
        username: username.map(Into::into),
        role: Role::Admin,
        cameras: CameraGrant::All,
        limits: GrantLimits::NONE,
        created_at: Timestamp(0),
        last_seen_at: Timestamp(0),
    };
    let anna = |role| principal(role, Some("anna"), CameraGrant::All);
    let nobody = |role| principal(role, None, CameraGrant::All);
    for (what, device, by_viewer, live_by_viewer, by_nobody) in [
        ("the one that asks", device(1, Some("anna")), true, true, true),
        ("another one of the account", device(2, Some("Anna")), true, false, false),
        ("somebody else's", device(2, Some("bob")), false, false, false),
        ("one of no account", device(2, None), false, false, false),
    ] {
        assert_eq!(anna(Role::Viewer).may_tend(&device), by_viewer, "{what}");
        assert_eq!(anna(Role::Viewer).may_end_live(device.id), live_by_viewer, "{what}");
        assert_eq!(nobody(Role::Viewer).may_tend(&device), by_nobody, "{what}");
        assert!(anna(Role::Admin).may_tend(&device) && anna(Role::Admin).may_end_live(device.id), "{what}");
    }
}

#[test]
fn roles_are_parsed_as_they_are_written() {
    for role in Role::ALL {
        assert_eq!(Role::parse(role.as_str()).expect("known"), *role);
    }
    assert!(Role::parse("Admin").is_err());
}

#[test]
fn a_stream_password_watches_its_cameras_and_does_nothing_else() {
    let login =
        |cameras| StreamLogin { name: "nvr".into(), ha1: Secret::new("0".repeat(32)), cameras, cut_off_until: None };
    let (front, yard) = (camera("front"), camera("yard"));
    for permission in PERMISSIONS {
        let watches = permission == Permission::Watch;
        let (all, some) = (login(CameraGrant::All), login(only(&["front"])));
        assert_eq!(all.may(permission, Object::Camera(&yard)), watches, "{permission:?}");
        assert_eq!(some.may(permission, Object::Camera(&front)), watches, "{permission:?}");
        assert!(!some.may(permission, Object::Camera(&yard)), "{permission:?}");
        assert!(!all.may(permission, Object::Device(DeviceId(0))) && !all.may(permission, Object::Account("nvr")));
    }
}

#[test]
fn grants_are_checked_as_people_give_them() {
    let known = [camera("front"), camera("yard")];
    let parse = |list: &[&str]| CameraGrant::parse(Some(&list.iter().map(|s| (*s).into()).collect::<Vec<_>>()), &known);
    assert_eq!(CameraGrant::parse(None, &known).expect("all"), CameraGrant::All);
    assert_eq!(parse(&["yard", "front", "yard"]).expect("known"), only(&["front", "yard"]));
    for bad in [&[][..], &["attic"], &["front", "../yard"], &["FRONT"], &[""]] {
        assert_eq!(parse(bad).expect_err("unknown").kind(), ErrorKind::Invalid, "{bad:?}");
    }
    let message = parse(&["attic"]).expect_err("unknown").message().to_owned();
    assert_eq!(message, "cameras: there is no camera \"attic\"; there are: front, yard");
    assert!(Grant::new(Role::Admin, only(&["front"])).is_err());
    assert!(Grant::new(Role::Admin, CameraGrant::All).is_ok());
    assert!(Grant::new(Role::Viewer, only(&["front"])).is_ok());
    assert_eq!(Grant::stored(Role::Admin, only(&["front"]), GrantLimits::NONE), Grant::all(Role::Admin));
}

#[test]
fn two_grants_together_give_what_both_give() {
    let all = CameraGrant::All;
    for (a, b, want) in [
        (all.clone(), all.clone(), all.clone()),
        (all.clone(), only(&["a"]), only(&["a"])),
        (only(&["a", "b"]), only(&["b", "c"]), only(&["b"])),
        (only(&["a"]), only(&["b"]), only(&[])),
    ] {
        assert_eq!((a.clone().and(b.clone()), b.and(a)), (want.clone(), want));
    }
}

#[test]
fn a_change_leaves_what_it_does_not_name() {
    let yard = CameraGrant::Only([CameraId::new("yard").expect("valid")].into());
    let limited = Grant::new(Role::Viewer, yard.clone()).expect("valid");
    let change =
        |role, cameras: Option<&CameraGrant>| GrantChange { role, cameras: cameras.cloned(), ..Default::default() };
    let (admin, viewer) = (Grant::all(Role::Admin), Some(Role::Viewer));
    for (before, change, after) in [
        (&limited, change(None, None), Some(limited.clone())),
        (&limited, change(viewer, None), Some(limited.clone())),
        (&limited, change(Some(Role::Admin), None), Some(admin.clone())),
        (&limited, change(None, Some(&CameraGrant::All)), Some(Grant::all(Role::Viewer))),
        (&admin, change(viewer, None), Some(Grant::all(Role::Viewer))),
        (&admin, change(viewer, Some(&yard)), Some(limited.clone())),
        (&admin, change(None, Some(&yard)), None),
    ] {
        assert_eq!(change.apply(before).ok(), after, "{before:?} {change:?}");
    }
}

#[test]
fn who_lost_access_is_cut_off_and_nobody_else() {
    let [front, yard] = ["front", "yard"].map(|id| CameraId::new(id).expect("valid"));
    let [all, some, gone] = [1, 2, 3].map(DeviceId);
    let who = |device_id, cameras| Principal {
        device_id,
        device_name: "phone".into(),
        username: None,
        role: Role::Viewer,
        cameras,
        limits: GrantLimits::NONE,
    };
    let known = [who(all, CameraGrant::All), who(some, CameraGrant::Only([front.clone()].into()))];
    let watching =
        |pairs: &[(DeviceId, &CameraId)]| -> Vec<_> { pairs.iter().map(|(d, c)| (*d, (*c).clone())).collect() };
    let may = watching(&[(all, &front), (all, &yard), (some, &front)]);
    assert_eq!(to_cut_off(&[all, some], &may, &known), []);
    assert_eq!(to_cut_off(&[gone, all, gone], &may, &known), [gone], "by a connection alone");
    let more = watching(&[(all, &yard), (some, &front), (some, &yard), (gone, &front), (gone, &yard)]);
    assert_eq!(to_cut_off(&[all], &more, &known), [some, gone]);
    assert_eq!(to_cut_off(&[all], &more, &[]), [all, some, gone]);
}

#[test]
fn a_session_ends_when_it_is_idle_or_old_and_a_paired_device_never() {
    let limits = SessionConfig { idle: Duration::from_secs(10), max: Duration::from_secs(100) };
    let at = |s: i64| Timestamp(1_800_000_000_000_000 + s * 1_000_000);
    for (created, seen, now, over) in [
        (0, 0, 9, false),
        (0, 0, 10, true),
        (0, 95, 99, false),
        (0, 95, 100, true),
        (0, 95, 105, true),
        // A clock that was set back: nothing is older than it was.
        (50, 50, 0, false),
    ] {
        assert_eq!(limits.is_over(DeviceKind::Session, at(created), at(seen), at(now)), over, "{created} {seen} {now}");
        assert!(!limits.is_over(DeviceKind::Paired, at(created), at(seen), at(now)));
    }
}

#[test]
fn when_a_device_was_seen_is_noted_once_a_minute_and_oftener_for_short_sessions() {
    let at = |s: i64| Timestamp(1_800_000_000_000_000 + s * 1_000_000);
    for (idle_s, noted, now, due) in [
        (86_400, 0, 0, false),
        (86_400, 0, 59, false),
        (86_400, 0, 60, true),
        (240, 0, 59, false),
        (240, 0, 60, true),
        (60, 0, 14, false),
        (60, 0, 15, true),
        // The clock was set back.
        (86_400, 59, 0, false),
        (86_400, 60, 0, true),
    ] {
        let limits = SessionConfig { idle: Duration::from_secs(idle_s), max: Duration::from_secs(86_400) };
        assert_eq!(limits.is_seen_due(at(noted), at(now)), due, "{idle_s} s: {noted} {now}");
    }
    assert!(SessionConfig::default().is_seen_due(Timestamp(i64::MIN), Timestamp(i64::MAX)));
}

#[test]
fn the_first_account_takes_the_phone_that_may_do_the_same() {
    let only = |name: &str| CameraGrant::Only([CameraId::new(name).expect("valid")].into());
    let phone = |username: Option<&str>, role, cameras| Device {
        id: DeviceId::random(),
        name: "phone".into(),
        kind: DeviceKind::Paired,
        username: username.map(str::to_owned),
        role,
        cameras,
        limits: GrantLimits::NONE,
        created_at: Timestamp(0),
        last_seen_at: Timestamp(0),
    };
    let (admin, viewer) = (Grant::all(Role::Admin), Grant::all(Role::Viewer));
    let some = Grant::stored(Role::Viewer, only("front"), GrantLimits::NONE);
    for (what, is_first, device, grant, joins) in [
        ("an owner's phone", true, phone(None, Role::Admin, CameraGrant::All), &admin, true),
        ("a later account", false, phone(None, Role::Admin, CameraGrant::All), &admin, false),
        ("a phone with an account", true, phone(Some("eve"), Role::Admin, CameraGrant::All), &admin, false),
        ("an admin's phone, a viewer's account", true, phone(None, Role::Admin, CameraGrant::All), &viewer, false),
        ("a viewer's phone", true, phone(None, Role::Viewer, CameraGrant::All), &admin, false),
        ("the same cameras", true, phone(None, Role::Viewer, only("front")), &some, true),
        ("other cameras", true, phone(None, Role::Viewer, only("yard")), &some, false),
        ("all cameras, an account for some", true, phone(None, Role::Viewer, CameraGrant::All), &some, false),
    ] {
        assert_eq!(device.joins(is_first, grant), joins, "{what}");
    }
}
