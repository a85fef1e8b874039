//! An allocation by a clock that is turned: asked for, used, renewed, refused and given back.

use super::*;
use crate::webrtc::gathering::stun::kind::{ERROR, SUCCESS};
use proptest::prelude::*;

const RELAYED: &str = "203.0.113.9:50000";

fn s(seconds: i64) -> MonoTime {
    MonoTime(seconds * 1_000_000)
}

fn ip(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// What was sent: method, id, and whether it is signed.
fn said(allocation: &mut Allocation) -> Vec<(u16, TransactionId, bool)> {
    let frames = allocation.take_out();
    let all =
        frames.iter().filter_map(|frame| StunMessage::read(frame).map(|m| (m.kind, m.id, m.get(attribute::INTEGRITY))));
    all.map(|(kind, id, signature)| (kind, id, signature.is_some())).collect()
}

fn refusal(method: u16, id: TransactionId, code: u16, nonce: &str) -> Vec<u8> {
    let code = [0, 0, (code / 100) as u8, (code % 100) as u8];
    let refusal = StunRequest::new(method + ERROR, id).with(attribute::ERROR_CODE, &code);
    refusal.with(attribute::REALM, b"realm").with(attribute::NONCE, nonce.as_bytes()).done()
}

fn credentials(words: &[&str]) -> Vec<(String, Secret)> {
    words.iter().map(|word| ("user".to_owned(), Secret::new((*word).to_owned()))).collect()
}

fn key(word: &str) -> Vec<u8> {
    Md5::digest(format!("user:realm:{word}").as_bytes()).to_vec()
}

fn granted(id: TransactionId, word: &str) -> Vec<u8> {
    let answer = StunRequest::new(kind::ALLOCATE + SUCCESS, id).with_address(attribute::RELAYED, ip(RELAYED));
    answer.with(attribute::LIFETIME, &600u32.to_be_bytes()).signed(&key(word))
}

/// One that is held since 0 s.
fn held() -> Allocation {
    let mut allocation = Allocation::ask(credentials(&["north"]), false, s(0));
    let [(kind::ALLOCATE, id, false)] = said(&mut allocation)[..] else { panic!("asks") };
    allocation.receive(&refusal(kind::ALLOCATE, id, 401, "one"), s(0));
    let [(kind::ALLOCATE, id, true)] = said(&mut allocation)[..] else { panic!("asks again, signed") };
    allocation.receive(&granted(id, "north"), s(0));
    assert_eq!(*allocation.phase(), AllocationPhase::Held);
    assert_eq!(allocation.relayed(), Some(ip(RELAYED)));
    allocation
}

/// Lets a peer through.
fn open(allocation: &mut Allocation, peer: SocketAddr, now: MonoTime) {
    allocation.send(peer, b"lost", now);
    let [(kind::CHANNEL_BIND, id, true)] = said(allocation)[..] else { panic!("asks") };
    allocation.receive(&StunRequest::new(kind::CHANNEL_BIND + SUCCESS, id).signed(&key("north")), now);
}

#[test]
fn a_peer_is_let_through_and_what_goes_both_ways_is_the_same() {
    let (mut allocation, peer) = (held(), ip("198.51.100.7:4000"));
    open(&mut allocation, peer, s(1));
    allocation.send(peer, b"hello", s(1));
    let frames = allocation.take_out();
    assert_eq!(frames, [by_channel(0x4000, b"hello", false)]);
    assert_eq!(allocation.receive(&frames[0], s(1)), Some((peer, &b"hello"[..])));
    let other = ip("198.51.100.8:4000");
    let indication = StunRequest::new(kind::DATA, [0; 12]).with_address(attribute::PEER, other);
    let indication = indication.with(attribute::DATA, b"from another port").done();
    assert_eq!(allocation.receive(&indication, s(1)), Some((other, &b"from another port"[..])));
    allocation.send(ip("[2001:db8::1]:1"), b"it relays IPv4", s(1));
    assert!(allocation.take_out().is_empty());
}

#[test]
fn a_way_that_is_used_is_renewed_and_one_that_is_not_lapses() {
    let (mut allocation, used, unused) = (held(), ip("198.51.100.7:4000"), ip("198.51.100.7:4001"));
    open(&mut allocation, used, s(0));
    open(&mut allocation, unused, s(0));
    let mut asked = Vec::new();
    for second in 1..=1000 {
        allocation.send(used, b"x", s(second));
        allocation.tick(s(second));
        for (method, id, signed) in said(&mut allocation) {
            assert!(signed, "{method:x}");
            asked.push((method, second));
            allocation.receive(&StunRequest::new(method + SUCCESS, id).signed(&key("north")), s(second));
        }
    }
    let at = |method| asked.iter().filter(|(m, _)| *m == method).map(|(_, at)| *at).collect::<Vec<_>>();
    assert_eq!(at(kind::CHANNEL_BIND), [240, 480, 720, 960]);
    assert_eq!(at(kind::REFRESH), [540]);
    assert_eq!(allocation.channels.len(), 1, "the number of the one that lapsed is free");
    assert!(!allocation.is_idle(s(1000)) && allocation.is_idle(s(1060)));
}

#[test]
fn the_secret_that_is_changed_is_found_and_a_wrong_one_is_said() {
    for (words, good, want) in
        [(&["north", "south"][..], "south", None), (&["north"][..], "south", Some(IceFailure::Unauthorized))]
    {
        let mut allocation = Allocation::ask(credentials(words), true, s(0));
        let mut over = None;
        for _ in 0..5 {
            let Some((_, id, signed)) = said(&mut allocation).pop() else { break };
            let is_good = signed && allocation.key.as_deref() == Some(&key(good)[..]);
            let answer = if is_good { granted(id, good) } else { refusal(kind::ALLOCATE, id, 401, "n") };
            allocation.receive(&answer, s(0));
            if let AllocationPhase::Over(why) = allocation.phase() {
                over = Some(why.clone());
            }
        }
        assert_eq!(over, want, "{words:?}");
        assert_eq!(*allocation.phase() == AllocationPhase::Held, want.is_none());
    }
}

#[test]
fn a_stale_nonce_is_renewed_but_not_for_ever() {
    let mut allocation = held();
    allocation.tick(s(540));
    for n in 0..4 {
        let [(kind::REFRESH, id, true)] = said(&mut allocation)[..] else { panic!("asks, {n}") };
        allocation.receive(&refusal(kind::REFRESH, id, 438, "new"), s(540));
    }
    assert_eq!(*allocation.phase(), AllocationPhase::Over(IceFailure::Refused(438)));
}

#[test]
fn what_is_not_answered_is_asked_again_and_given_up() {
    let mut allocation = Allocation::ask(credentials(&["north"]), false, s(0));
    let (mut now, mut sent) = (s(0), 0);
    while *allocation.phase() == AllocationPhase::Asking {
        sent += said(&mut allocation).len();
        now = allocation.due();
        allocation.tick(now);
    }
    assert_eq!(*allocation.phase(), AllocationPhase::Over(IceFailure::Silent));
    assert_eq!((sent, now), (5, MonoTime(7_750_000)));
}

#[test]
fn refused_peers_rest_and_there_are_never_many() {
    let mut allocation = held();
    for port in 1..=1000 {
        allocation.send(SocketAddr::from(([198, 51, 100, 7], port)), b"x", s(1));
    }
    let asked = said(&mut allocation);
    assert_eq!(asked.len(), MAX_RELAY_PEERS);
    for (method, id, _) in asked {
        allocation.receive(&refusal(method, id, 403, "n"), s(1));
    }
    allocation.send(SocketAddr::from(([198, 51, 100, 7], 1)), b"x", s(300));
    assert!(said(&mut allocation).is_empty());
    allocation.send(SocketAddr::from(([198, 51, 100, 7], 1000)), b"x", s(302));
    assert_eq!((said(&mut allocation).len(), allocation.channels.len()), (1, 1), "the others are forgotten");
}

#[test]
fn it_is_given_back_and_a_word_that_is_not_signed_counts_for_nothing() {
    let mut allocation = held();
    allocation.give_back(s(9));
    let [(kind::REFRESH, id, true)] = said(&mut allocation)[..] else { panic!("says so") };
    allocation.receive(&StunRequest::new(kind::REFRESH + SUCCESS, id).done(), s(9));
    assert_eq!(*allocation.phase(), AllocationPhase::Held, "anybody may say that");
    allocation.receive(&StunRequest::new(kind::REFRESH + SUCCESS, id).signed(&key("north")), s(9));
    assert_eq!(*allocation.phase(), AllocationPhase::GivenBack);
}

/// What a server may send that means harm, or is broken.
#[derive(Clone, Debug)]
struct OddFrame {
    kind: u16,
    attributes: Vec<(u16, Vec<u8>)>,
    /// Whether it answers what was asked last.
    answers: bool,
    signs: bool,
    /// A byte of it that is another one.
    damage: Option<(usize, u8)>,
}

fn odd_frame() -> impl Strategy<Value = OddFrame> {
    use attribute::*;
    let named = prop::sample::select(vec![
        USERNAME,
        INTEGRITY,
        ERROR_CODE,
        CHANNEL_NUMBER,
        LIFETIME,
        PEER,
        attribute::DATA,
        REALM,
        NONCE,
        RELAYED,
        MAPPED,
    ]);
    let one = (prop_oneof![named, any::<u16>()], prop::collection::vec(any::<u8>(), 0..24));
    let methods = vec![kind::ALLOCATE, kind::REFRESH, kind::CHANNEL_BIND, kind::DATA];
    let classes = vec![0, SUCCESS, ERROR];
    let kinds =
        (prop::sample::select(methods), prop::sample::select(classes)).prop_map(|(method, class)| method + class);
    let damage = prop::option::of((0..200usize, any::<u8>()));
    let parts = (prop_oneof![kinds, any::<u16>()], prop::collection::vec(one, 0..6), any::<[bool; 2]>(), damage);
    parts.prop_map(|(kind, attributes, [answers, signs], damage)| OddFrame { kind, attributes, answers, signs, damage })
}

proptest! {
    #[test]
    fn nothing_that_a_server_sends_makes_it_panic_or_talk_without_end(
        frames in prop::collection::vec((odd_frame(), 0..90i64), 1..60),
        is_held in any::<bool>(),
    ) {
        let mut allocation = if is_held { held() } else { Allocation::ask(credentials(&["a", "b"]), false, s(0)) };
        let (mut now, mut last) = (0, [0; 12]);
        for (n, (odd, later)) in frames.into_iter().enumerate() {
            now += later;
            allocation.send(SocketAddr::new([198, 51, 100, 1].into(), n as u16 + 1), b"data", s(now));
            allocation.tick(s(now));
            let asked = said(&mut allocation);
            // One more way a step, and what was asked before once more.
            prop_assert!(asked.len() <= n + 4, "{asked:?}");
            last = asked.last().map_or(last, |(_, id, _)| *id);
            let OddFrame { kind, attributes, answers, signs, damage } = odd;
            let id = if answers { last } else { [7; 12] };
            let message = attributes.iter().fold(StunRequest::new(kind, id), |m, (name, value)| m.with(*name, value));
            let mut frame = if signs { message.signed(&key("north")) } else { message.done() };
            if let Some((at, to)) = damage {
                let at = at % frame.len();
                frame[at] = to;
            }
            allocation.receive(&frame, s(now));
            allocation.receive(&frame[..frame.len() / 2], s(now));
            let answered = said(&mut allocation);
            prop_assert!(answered.len() <= 1, "{answered:?}");
            last = answered.last().map_or(last, |(_, id, _)| *id);
            prop_assert!(allocation.due() > s(0) || *allocation.phase() == AllocationPhase::GivenBack);
        }
        prop_assert!(allocation.channels.len() <= MAX_RELAY_PEERS && allocation.asked.len() <= MAX_RELAY_PEERS + 2);
    }
}
