//! Tests of what may be granted.

use super::*;
use perch_base::ErrorKind;
use proptest::prelude::*;

fn camera(id: &str) -> CameraId {
    CameraId::new(id).expect("an id")
}

fn cameras() -> impl Strategy<Value = CameraGrant> {
    let some = prop::collection::btree_set(prop::sample::select(vec!["a", "b", "c"]), 0..3);
    prop_oneof![Just(CameraGrant::All), some.prop_map(|ids| CameraGrant::Only(ids.into_iter().map(camera).collect()))]
}

fn limits() -> impl Strategy<Value = GrantLimits> {
    (prop::option::of(0i64..20), any::<bool>())
        .prop_map(|(end, live_only)| GrantLimits { expires_at: end.map(Timestamp), live_only })
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(Role::ALL.to_vec())
}

proptest! {
    /// Together two limits never leave more than either, and the order does not matter.
    #[test]
    fn two_limits_leave_what_both_leave(a in limits(), b in limits(), at in 0i64..25) {
        let both = a.and(b);
        prop_assert_eq!(both, b.and(a));
        prop_assert_eq!(both.and(a), both);
        prop_assert_eq!(both.is_over(Timestamp(at)), a.is_over(Timestamp(at)) || b.is_over(Timestamp(at)));
        prop_assert_eq!(both.live_only, a.live_only || b.live_only);
    }

    /// Whatever is stored, an administrator has everything; and a viewer's limits never give a permission, they only take one.
    #[test]
    fn limits_only_take(role in role(), cameras in cameras(), limits in limits(), of in prop::sample::select(vec!["a", "b"])) {
        let id = camera(of);
        let grant = Grant::stored(role, cameras.clone(), limits);
        let limited = (grant.role(), grant.cameras(), grant.limits());
        let whole = (role, &cameras, GrantLimits::NONE);
        for permission in Permission::OF_CALLERS {
            for object in [Object::Box, Object::Camera(&id)] {
                let (may, might) = (allows(limited, permission, object, false), allows(whole, permission, object, false));
                prop_assert!(!may || might, "{:?} {:?}", permission, object);
                if role == Role::Admin || permission != Permission::LookBack || !limits.live_only {
                    prop_assert_eq!(may, might);
                }
            }
        }
        prop_assert!(role == Role::Viewer || (grant.cameras().is_all() && grant.limits().is_none()));
    }

    /// A change leaves what it does not name, an administrator is never limited, and what is refused changes nothing.
    #[test]
    fn a_change_names_what_it_changes(
        before in (role(), cameras(), limits()),
        to in (prop::option::of(role()), prop::option::of(cameras()), prop::option::of(prop::option::of(0i64..9)), prop::option::of(any::<bool>())),
    ) {
        let before = Grant::stored(before.0, before.1, before.2);
        let (role, cameras, expires_at, live_only) = to;
        let expires_at = expires_at.map(|end| end.map(Timestamp));
        let change = GrantChange { role, cameras: cameras.clone(), expires_at, live_only };
        match change.apply(&before) {
            Ok(after) if after.role() == Role::Admin => prop_assert_eq!(after, Grant::all(Role::Admin)),
            Ok(after) => {
                prop_assert_eq!(after.role(), role.unwrap_or(before.role()));
                prop_assert_eq!(after.cameras(), cameras.as_ref().unwrap_or(before.cameras()));
                prop_assert_eq!(after.limits().expires_at, expires_at.unwrap_or(before.limits().expires_at));
                prop_assert_eq!(after.limits().live_only, live_only.unwrap_or(before.limits().live_only));
            }
            Err(e) => {
                prop_assert_eq!(e.kind(), ErrorKind::Invalid);
                prop_assert_eq!(role.unwrap_or(before.role()), Role::Admin);
            }
        }
        prop_assert_eq!(GrantChange::default().apply(&before).expect("nothing is changed"), before);
    }

    /// A stored proof comes back as it was made, and is equal to a whole one only where nothing limits it; a program that knows grants
    /// of cameras, but no other limits, finds only those that it may.
    #[test]
    fn a_limited_proof_is_told_apart(cameras in cameras(), limits in limits(), proof in "[0-9a-f]{8}") {
        let stored = format!("{}{proof}", mark(&cameras, &limits));
        prop_assert_eq!(unmarked(stored.as_bytes()), proof.as_bytes());
        prop_assert!(marked(proof.as_bytes()).contains(&stored.clone().into_bytes()));
        prop_assert_eq!(stored == proof, cameras.is_all() && limits.is_none());
        prop_assert_eq!(stored.strip_prefix("cameras:") == Some(&*proof), !cameras.is_all() && limits.is_none());
    }
}

#[test]
fn an_administrator_has_no_limits() {
    let ends = GrantLimits { expires_at: Some(Timestamp(9)), live_only: false };
    let live = GrantLimits { expires_at: None, live_only: true };
    for (limits, key) in [(ends, "expires_at"), (live, "live_only")] {
        let refused = Grant::all(Role::Admin).within(limits).expect_err("refused");
        assert_eq!(
            refused.message(),
            format!("{key}: an administrator has no such limit: leave it out, or make the role `viewer`")
        );
        assert_eq!(Grant::all(Role::Viewer).within(limits).expect("a viewer's").limits(), limits);
    }
    assert!(Grant::all(Role::Admin).within(GrantLimits::NONE).is_ok());
}

#[test]
fn what_ended_already_is_not_granted() {
    for (end, now, ok) in [(None, 5, true), (Some(6), 5, true), (Some(5), 5, false), (Some(4), 5, false)] {
        assert_eq!(check_expiry(end.map(Timestamp), Timestamp(now)).is_ok(), ok, "{end:?}");
    }
}
