//! What is taken of `[acme]`, when a certificate is asked for, and how failures are waited out.

use super::*;
use proptest::prelude::*;

const START: Timestamp = Timestamp(1_800_000_000_000_000);

fn held() -> Held {
    Held { not_before: START, not_after: START + 90 * DAY, window: None }
}

#[test]
fn which_domains_addresses_and_urls_are_taken() {
    for (text, ok) in [
        ("cam.example.org", true),
        ("CAM.Example.org.", true),
        ("localhost", false),
        ("perch-1.local", false),
        ("192.0.2.1", false),
        ("*.example.org", false),
        ("https://x.org", false),
        ("a b.org", false),
        ("", false),
    ] {
        assert_eq!(read_domain(text).is_ok(), ok, "{text}");
    }
    for (text, ok) in [
        ("anna@example.org", true),
        ("mailto:anna@example.org", true),
        ("anna", false),
        ("a@b@c", false),
        ("a\n@example.org", false),
        ("a?x@example.org", false),
    ] {
        assert_eq!(read_contact(text).is_ok(), ok, "{text}");
    }
    for (text, ok) in [
        ("https://acme.example.org/dir", true),
        ("https://[2001:db8::1]:14000/dir", true),
        ("http://127.0.0.1:8080/x", true),
        ("http://localhost/x", true),
        ("http://[::1]:1/x", true),
        ("http://10.0.0.1/x", false),
        ("http://localhost.example.org/x", false),
        ("https://user:pw@host/x", false),
        ("https://", false),
        ("ftp://host/x", false),
        ("https://host/a b", false),
    ] {
        let checked = check_url(text, "must be like https://host");
        assert_eq!(checked.is_ok(), ok, "{text}");
        assert!(!checked.is_err_and(|e| e.to_string().contains("pw")));
    }
}

#[test]
fn when_a_certificate_is_asked_for() {
    let none = Failures::default();
    assert_eq!(ask_at(None, &none, 0.5, START), START, "at once");
    let days = |n: u32| START + n * DAY;
    assert_eq!(ask_at(Some(&held()), &none, 0.0, START), days(60), "at two thirds");
    assert_eq!(ask_at(Some(&held()), &none, 1.0, START), days(63));
    let with = |from: u32, to: u32| Held { window: Some((days(from), days(to))), ..held() };
    assert_eq!(ask_at(Some(&with(50, 52)), &none, 0.5, START), days(51), "as the authority says");
    assert_eq!(ask_at(Some(&with(1, 2)), &none, 0.0, START), days(1), "it is to be revoked");
    for odd in [with(52, 50), with(50, 99)] {
        assert_eq!(ask_at(Some(&odd), &none, 0.0, START), days(60), "{odd:?}");
    }
}

#[test]
fn failures_are_followed_by_longer_pauses() {
    let mut failures = Failures::default();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        failures = failures.and(AcmeFailure::Refused, START);
        pauses.push(ask_at(None, &failures, 0.0, START).micros_since(START) / 60_000_000);
    }
    assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 960, 1440, 1440], "minutes");
    let limited = Failures::default().and(AcmeFailure::Limited, START);
    assert_eq!(ask_at(None, &limited, 0.0, START), START + 12 * HOUR);
    // Not reached: soon again, and what was refused before still counts once it answers.
    let (mut away, mut pauses) = (failures, Vec::new());
    for _ in 0..8 {
        away = away.and(AcmeFailure::Unreached, START);
        pauses.push(ask_at(None, &away, 0.0, START).micros_since(START) / 60_000_000);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60], "minutes");
    assert_eq!(ask_at(None, &away.and(AcmeFailure::Refused, START), 0.0, START), START + DAY);
    assert_eq!(ask_at(None, &limited.and(AcmeFailure::Unreached, START), 0.0, START), START + MINUTE);
    // The clock is set back: the pause begins anew and no later.
    let ahead = Failures::default().and(AcmeFailure::Refused, START + 1000 * DAY);
    assert_eq!(ask_at(None, &ahead, 0.0, START), START + 15 * MINUTE);
}

proptest! {
    /// Whatever failed and whatever the authority says: never more than five attempts an hour, and a certificate is renewed in time as long as
    /// nothing fails.
    #[test]
    fn limits_hold(count in 1u32..50, limited: bool, chance in 0.0f64..1.0, from in 0u32..120, length in 0u32..30) {
        let failures = Failures { count, last_at: START, limited, unreached: 0 };
        prop_assert!(ask_at(None, &failures, chance, START) >= START + 15 * MINUTE);
        prop_assert!(ask_at(None, &failures, chance, START) <= START + 31 * HOUR);
        let window = Some((START + from * DAY, START + (from + length) * DAY));
        let at = ask_at(Some(&Held { window, ..held() }), &Failures::default(), chance, START);
        prop_assert!(at <= START + 90 * DAY);
    }
}
