//! Who is let in, who gives way and who is safe: by tables, and for any order of events.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const LIMITS: Limits = Limits {
    strangers: 8,
    crowd: 7,
    few: 2,
    per_household: 3,
    per_site: 5,
    known: 4,
    per_owner: 2,
    head_start: Duration::from_secs(3),
    busy_start: Duration::from_secs(30),
};

fn s(seconds: i64) -> MonoTime {
    MonoTime(seconds * 1_000_000)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// What the servers rely on, whatever the numbers are.
#[test]
fn the_limits_of_the_servers_leave_room_for_everybody() {
    for (server, limits) in [("HTTPS", Limits::HTTPS), ("RTSP", Limits::RTSP)] {
        let Limits { strangers, crowd, few, per_household, per_site, known, per_owner, head_start, busy_start } =
            limits;
        assert!(few < per_household && per_household < per_site, "{server}: a household is within its site");
        assert!(per_site <= crowd, "{server}: no site fills what a crowd may have");
        assert!(crowd + 2 * few <= strangers, "{server}: beside a crowd there is room for some who come alone");
        assert!(per_owner <= known && head_start <= busy_start, "{server}");
    }
    let (https, rtsp) = (Limits::HTTPS, Limits::RTSP);
    assert!(https.few >= 6, "a browser opens six connections");
    assert!(4 * https.per_owner <= https.known, "several devices that hold all they may");
    assert!(rtsp.known > MAX_READERS, "who is too much hears so");
}

/// One step of a story; connections are named by the order in which they came, from 0.
enum Step {
    /// A connection from there comes and speaks; the answer: `in`, `in for 2` or `refused`.
    Comes(&'static str, &'static str),
    /// The same without a word.
    Silent(&'static str, &'static str),
    /// The head of a request comes.
    Starts(u64),
    /// A request comes whole.
    Asks(u64),
    /// An answer is ready, or bytes of it are taken.
    Offered(u64),
    /// What came whole is answered.
    Answered(u64),
    /// What started is given up.
    GivenUp(u64),
    /// It shows the credential of this owner; the answer: `known`, `known for 2` or `full`.
    Shows(u64, u8, &'static str),
    Leaves(u64),
    At(i64),
}

fn play(story: &[Step]) {
    use Step::*;
    let mut admission = Admission::<u8>::new(LIMITS);
    let mut now = s(0);
    let for_whom = |word: &str, gives_way: Option<ConnectionId>| match gives_way {
        Some(id) => format!("{word} for {}", id.0),
        None => word.to_owned(),
    };
    for (n, step) in story.iter().enumerate() {
        match step {
            Comes(from, want) | Silent(from, want) => {
                let got = match admission.arrive(ip(from), now) {
                    AdmissionVerdict::Accept { id, gives_way } => {
                        if matches!(step, Comes(..)) {
                            admission.speaks(id);
                        }
                        for_whom("in", gives_way)
                    }
                    AdmissionVerdict::Refuse => "refused".into(),
                };
                assert_eq!(got, *want, "step {n}");
            }
            Shows(id, owner, want) => {
                let got = match admission.trust(ConnectionId(*id), owner, now) {
                    Trust::Known { gives_way } => for_whom("known", gives_way),
                    Trust::Full => "full".into(),
                };
                assert_eq!(got, *want, "step {n}");
            }
            Starts(id) => admission.starts(ConnectionId(*id)),
            Asks(id) => {
                admission.starts(ConnectionId(*id));
                admission.is_read(ConnectionId(*id));
            }
            Offered(id) => admission.offers(ConnectionId(*id), now),
            Answered(id) => admission.ends(ConnectionId(*id), true, now),
            GivenUp(id) => admission.ends(ConnectionId(*id), false, now),
            Leaves(id) => admission.left(ConnectionId(*id)),
            At(seconds) => now = s(*seconds),
        }
    }
}

#[test]
fn one_household_holds_few_and_its_oldest_gives_way() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("::ffff:192.0.2.1", "in"),
        Comes("192.0.2.1", "refused"),
        Comes("192.0.2.2", "in"),
        At(3),
        Comes("192.0.2.1", "in for 0"),
        Comes("192.0.2.1", "in for 1"),
        Leaves(2),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "refused"),
    ]);
}

#[test]
fn a_64_is_one_household_and_a_48_one_site() {
    use Step::*;
    play(&[
        Comes("2001:db8:0:1::1", "in"),
        Comes("2001:db8:0:1::2", "in"),
        Comes("2001:db8:0:1:ffff::3", "in"),
        Comes("2001:db8:0:1::4", "refused"),
        Comes("2001:db8:0:2::1", "in"),
        Comes("2001:db8:0:3::1", "in"),
        Comes("2001:db8:0:4::1", "refused"),
        Comes("2001:db8:1::1", "in"),
        Comes("2001:db8:1::2", "in"),
        At(3),
        Comes("2001:db8:0:4::1", "in for 0"),
    ]);
}

#[test]
fn when_all_places_are_taken_the_household_with_most_gives_way() {
    use Step::*;
    play(&[
        Comes("198.51.100.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.2", "in"),
        Comes("192.0.2.2", "in"),
        Comes("192.0.2.3", "in"),
        Comes("192.0.2.4", "in"),
        Comes("203.0.113.1", "refused"),
        At(3),
        Comes("203.0.113.1", "in for 1"),
        Comes("203.0.113.2", "in for 2"),
    ]);
}

#[test]
fn a_crowd_leaves_room_for_who_comes_from_elsewhere() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.2", "in"),
        Comes("192.0.2.2", "in"),
        Comes("192.0.2.3", "in"),
        Comes("192.0.2.3", "in"),
        Comes("192.0.2.3", "in"),
        Comes("192.0.2.1", "refused"),
        Comes("203.0.113.1", "in"),
        At(3),
        Comes("192.0.2.1", "in for 4"),
    ]);
}

#[test]
fn silence_protects_nobody_of_a_crowd() {
    use Step::*;
    play(&[
        Silent("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Silent("192.0.2.1", "in"),
        Comes("192.0.2.1", "in for 0"),
        Silent("192.0.2.1", "in for 2"),
        Comes("192.0.2.1", "in for 4"),
        Silent("192.0.2.1", "refused"),
    ]);
}

#[test]
fn whoever_comes_from_elsewhere_is_not_sent_away_before_its_first_word() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.2", "in"),
        Comes("192.0.2.2", "in"),
        Comes("192.0.2.3", "in"),
        Comes("192.0.2.3", "in"),
        Silent("203.0.113.1", "in"),
        Comes("192.0.2.4", "refused"),
        At(3),
        Comes("192.0.2.4", "in for 0"),
    ]);
}

#[test]
fn an_idle_one_goes_before_one_that_is_answered() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Asks(0),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        At(3),
        Comes("192.0.2.1", "in for 1"),
        Comes("192.0.2.1", "in for 2"),
        At(4),
        Comes("192.0.2.1", "refused"),
        // Whoever takes long over an answer goes as well, in the end.
        Asks(3),
        Asks(4),
        At(30),
        Comes("192.0.2.1", "in for 0"),
        Comes("192.0.2.1", "refused"),
        Answered(3),
        Comes("192.0.2.1", "in for 3"),
    ]);
}

#[test]
fn a_body_that_does_not_come_protects_nobody() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Starts(0),
        Comes("192.0.2.1", "in"),
        Asks(1),
        // Another request on the same connection that came whole and was answered protects no longer.
        Comes("192.0.2.1", "in"),
        Starts(2),
        Asks(2),
        Answered(2),
        At(3),
        Comes("192.0.2.1", "in for 0"),
        Comes("192.0.2.1", "in for 2"),
        Starts(3),
        Starts(4),
        At(6),
        // A request given up before it was whole takes nothing from one that is being answered.
        Asks(3),
        GivenUp(3),
        Comes("192.0.2.1", "in for 4"),
        Comes("192.0.2.1", "refused"),
        Answered(3),
        Comes("192.0.2.1", "in for 3"),
    ]);
}

#[test]
fn an_answer_that_is_not_taken_protects_nobody() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Asks(0),
        Comes("192.0.2.1", "in"),
        Asks(1),
        Offered(1),
        Comes("192.0.2.1", "in"),
        Asks(2),
        Offered(2),
        At(2),
        // It takes some.
        Offered(2),
        At(3),
        Comes("192.0.2.1", "in for 1"),
        Asks(3),
        Comes("192.0.2.1", "refused"),
        At(5),
        Comes("192.0.2.1", "in for 2"),
    ]);
}

#[test]
fn whoever_is_known_sends_as_long_as_it_likes() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Starts(0),
        Shows(0, 7, "known"),
        Shows(1, 7, "known"),
        Starts(1),
        Shows(2, 7, "full"),
        GivenUp(0),
        Shows(2, 7, "known for 0"),
    ]);
}

#[test]
fn whoever_showed_a_credential_is_out_of_reach_and_frees_a_strangers_place() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.1", "in"),
        Shows(0, 7, "known"),
        Shows(0, 8, "known"),
        Comes("192.0.2.1", "in"),
        At(1_000),
        Comes("192.0.2.1", "in for 1"),
        Shows(1, 7, "full"),
    ]);
}

#[test]
fn one_owner_holds_few_and_only_idle_ones_give_way() {
    use Step::*;
    play(&[
        Comes("192.0.2.1", "in"),
        Comes("192.0.2.2", "in"),
        Comes("192.0.2.3", "in"),
        Asks(0),
        Asks(2),
        Shows(0, 7, "known"),
        Shows(1, 7, "known"),
        Shows(2, 7, "known for 1"),
        Comes("192.0.2.4", "in"),
        Shows(3, 7, "full"),
        Shows(3, 8, "known"),
        Comes("192.0.2.5", "in"),
        Shows(4, 9, "known"),
        Comes("192.0.2.6", "in"),
        // All are taken: of owner 7, who holds most, nobody is idle; 3 has been so for longer than 4.
        At(1),
        Answered(4),
        Shows(5, 9, "known for 3"),
        Answered(0),
        Comes("192.0.2.7", "in"),
        Shows(6, 8, "known for 0"),
    ]);
}

#[derive(Clone, Debug)]
enum Event {
    Arrive(u8, bool),
    Trust(usize, u8),
    Starts(usize, bool),
    Ends(usize, bool),
    Left(usize),
    Wait(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let of = || 0..20usize;
    prop_oneof![
        8 => (any::<u8>(), any::<bool>()).prop_map(|(n, speaks)| Event::Arrive(n, speaks)),
        2 => (of(), 0..4u8).prop_map(|(i, owner)| Event::Trust(i, owner)),
        2 => (of(), any::<bool>()).prop_map(|(i, whole)| Event::Starts(i, whole)),
        1 => (of(), any::<bool>()).prop_map(|(i, whole)| Event::Ends(i, whole)),
        1 => of().prop_map(Event::Left),
        2 => (0..20_000u16).prop_map(Event::Wait),
    ]
}

/// Few addresses of several kinds.
fn address(n: u8) -> IpAddr {
    match n % 3 {
        0 => IpAddr::from([192, 0, 2, n % 8]),
        _ => ip(&format!("2001:db8:{}:{}::{n}", n % 2, n % 5)),
    }
}

proptest! {
    /// Whatever strangers do: nobody who showed a credential goes for them, nobody goes before its time, and the limits hold.
    #[test]
    fn who_shows_a_credential_in_time_stays_and_limits_hold(events in prop::collection::vec(event(), 0..200)) {
        let mut admission = Admission::<u8>::new(LIMITS);
        let mut now = s(0);
        let mut open: BTreeMap<ConnectionId, (MonoTime, bool)> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for event in events {
            let nth = |i: usize| open.keys().nth(i % open.len().max(1)).copied();
            match event {
                Event::Arrive(n, speaks) => match admission.arrive(address(n), now) {
                    AdmissionVerdict::Accept { id, gives_way } => {
                        if let Some(gone) = gives_way {
                            prop_assert!(!known.contains(&gone), "a stranger sent away one that is known");
                            let (since, spoke) = open.remove(&gone).expect("it was open");
                            prop_assert!(!spoke || now.since(since) >= LIMITS.head_start, "it had its head start");
                        }
                        open.insert(id, (now, speaks));
                        if speaks {
                            admission.speaks(id);
                        }
                    }
                    AdmissionVerdict::Refuse => {
                        let young = open.iter().filter(|(id, _)| !known.contains(*id)).count();
                        prop_assert!(young >= LIMITS.per_household, "refused though there is room");
                    }
                },
                Event::Trust(i, owner) => if let Some(id) = nth(i) {
                    match admission.trust(id, &owner, now) {
                        Trust::Known { gives_way } => {
                            if let Some(gone) = gives_way {
                                prop_assert!(known.remove(&gone) && gone != id);
                                open.remove(&gone);
                            }
                            known.insert(id);
                        }
                        Trust::Full => prop_assert!(!known.contains(&id) && known.len() >= LIMITS.per_owner),
                    }
                },
                Event::Starts(i, whole) => if let Some(id) = nth(i) {
                    admission.starts(id);
                    if whole {
                        admission.is_read(id);
                    }
                },
                Event::Ends(i, whole) => if let Some(id) = nth(i) { admission.ends(id, whole, now) },
                Event::Left(i) => if let Some(id) = nth(i) {
                    admission.left(id);
                    open.remove(&id);
                    known.remove(&id);
                },
                Event::Wait(ms) => now = now + Duration::from_millis(ms.into()),
            }
            let held = admission.held();
            prop_assert!(open.keys().all(|id| admission.is_known(*id) == known.contains(id)));
            prop_assert_eq!(held, (open.len() - known.len(), known.len()));
            prop_assert!(held.0 <= LIMITS.strangers && held.1 <= LIMITS.known);
        }
    }
}
