//! Players that may speak and send what is no speech, or much too much of it, and requests that no player makes: nobody else is disturbed, the floor
//! is nobody's by noise, and pictures go to nobody who did not ask.

use crate::client::Client;
use crate::speaking::{Door, REQUIRE};
use crate::{LOGIN, wait_for};
use perch_media::player_speech::{OPUS, PCMU};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NVR: Option<(&str, &str)> = Some(("nvr", "other"));

/// The lines of a description: whether the player speaks by it, and its control.
fn lines(sdp: &str) -> Vec<(bool, String)> {
    let line = |text: &str| {
        let control = text.lines().find_map(|line| line.strip_prefix("a=control:")).expect("a control");
        (text.contains("a=sendonly"), control.rsplit('/').next().expect("a name").to_owned())
    };
    sdp.split("\nm=").skip(1).map(line).collect()
}

/// A player that watches and may speak, and the channels that it may speak on.
fn speaks(door: &Door) -> (Client, Vec<u8>) {
    let mut client = Client::connect(door.server.local_addr(), "/front", NVR);
    let told = client.ask("DESCRIBE", "", &[REQUIRE, ("Accept", "application/sdp")]).expect("answers");
    assert_eq!(told.status, 200, "{told:?}");
    let mut says_on = Vec::new();
    for (channel, (may_speak, control)) in (0u8..).step_by(2).zip(lines(&told.body)) {
        let transport = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1);
        let setup = client.ask("SETUP", &format!("/{control}"), &[REQUIRE, ("Transport", &transport)]);
        let setup = setup.expect("answers");
        assert_eq!(setup.status, 200, "{control}: {setup:?}");
        let session = setup.header("Session").and_then(|s| s.split(';').next()).expect("a session").to_owned();
        client.session = Some(session);
        if may_speak {
            says_on.push(channel);
        }
    }
    assert_eq!(client.ask("PLAY", "", &[REQUIRE]).expect("answers").status, 200);
    (client, says_on)
}

fn rtp(first: u8, payload_type: u8, number: u16, payload: &[u8]) -> Vec<u8> {
    let [a, b] = number.to_be_bytes();
    [&[first, payload_type, a, b, 0, 0, a, b, 0, 0, 0, 7], payload].concat()
}

/// Says all of `packets` on each of these channels, so many times, at the pace at which pictures and sound come back.
fn says(client: &mut Client, channels: &[u8], times: u16, packets: impl Fn(u16) -> Vec<Vec<u8>>) {
    for n in 0..times {
        for packet in packets(n) {
            for channel in channels {
                client.say(*channel, &packet).expect("taken");
            }
        }
        client.packet().expect("it sees on");
    }
}

#[test]
fn noise_is_no_speech_and_a_flood_of_it_disturbs_nobody() {
    let door = Door::new(&["nvr"]);
    let mut watcher = Client::connect(door.server.local_addr(), "/front", LOGIN);
    watcher.play();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watches = scope.spawn(|| {
            let (mut longest, mut packets) = (Duration::ZERO, 0);
            while !stop.load(Ordering::SeqCst) {
                let from = Instant::now();
                watcher.packet().expect("undisturbed");
                (longest, packets) = (longest.max(from.elapsed()), packets + 1);
            }
            (longest, packets)
        });
        let attack = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attacks(&door)));
        stop.store(true, Ordering::SeqCst);
        let (longest, packets) = watches.join().expect("no panic");
        eprintln!("the watcher took {packets} packets and waited {longest:?} at most");
        attack.unwrap_or_else(|why| std::panic::resume_unwind(why));
    });
    // Who really speaks is heard after it.
    let talker = door.talker("nvr", "other", PCMU);
    wait_for("it to be heard", Duration::from_secs(30), || door.is_loud());
    drop(talker);
}

fn attacks(door: &Door) {
    let (mut client, says_on) = speaks(door);
    assert_eq!(says_on.len(), 2);
    // Neither the channels of reports, nor those of what it watches, nor those that are nobody's are speech either.
    let every = [&says_on[..], &[0, 1, 2, says_on[0] + 1, says_on[1] + 1, 200, 255]].concat();
    says(&mut client, &every, 60, |n| {
        vec![
            vec![],
            vec![0x80],
            rtp(0x80, PCMU, n, &[]),
            rtp(0x8f, PCMU, n, &[7; 8]),
            rtp(0x90, PCMU, n, &[0xbe, 0xde, 0xff, 0xff, 1]),
            rtp(0xa0, PCMU, n, &[1, 2, 255]),
            rtp(0x00, PCMU, n, &[7; 160]),
            // Nobody agreed on this.
            rtp(0x80, 96, n, &[7; 160]),
            // 63 frames of 60 ms (RFC 6716, section 3.2.5: 120 ms at most).
            rtp(0x80, OPUS, n, &[0xff, 0x3f, 1, 2, 3]),
            vec![0xff; 1400],
        ]
    });
    assert_eq!(door.speaks(), None, "noise has no floor");
    // Much more than anybody says, and all at once.
    says(&mut client, &says_on, 300, |n| {
        (0..16).map(|k| rtp(0x80, PCMU, n * 16 + k, &[0x80; 1200])).chain([rtp(0x80, PCMU, n, &[0; 60_000])]).collect()
    });
    assert_eq!(door.speaks().as_deref(), Some("nvr"));
    drop(client);
    wait_for("the floor to be free", Duration::from_secs(20), || door.speaks().is_none());
}

#[test]
fn requests_that_no_player_makes_are_refused_or_do_no_harm() {
    let door = Door::new(&["nvr"]);
    let ask = |method: &str, suffix: &str, transport: &str| {
        let mut client = Client::connect(door.server.local_addr(), "/front", NVR);
        client.ask(method, suffix, &[REQUIRE, ("Transport", transport), ("Content-Type", "application/sdp")])
    };
    let tcp = "RTP/AVP/TCP;unicast;interleaved=0-1";
    for (method, suffix, transport) in [
        // Nobody's pictures are taken here.
        ("ANNOUNCE", "", tcp),
        ("RECORD", "", tcp),
        ("RECORD", "/stream=2", tcp),
        ("SETUP", "/stream=9", tcp),
        ("SETUP", "/stream=-1", tcp),
        ("SETUP", "/stream=99999999999999999999", tcp),
        ("SETUP", "/stream=2", ""),
        ("SETUP", "/stream=2", "RTP/AVP;multicast"),
        ("SETUP", "/stream=0", "RTP/AVP;multicast;destination=224.0.0.1;port=5000-5001;ttl=127"),
        ("SETUP", "/stream=2", "RAW/RAW/UDP"),
        ("PLAY", "", tcp),
    ] {
        let status = ask(method, suffix, transport).expect("answers").status;
        assert!((400..600).contains(&status), "{method} {suffix} {transport}: {status}");
    }
    for transport in [
        "RTP/AVP/TCP;unicast;interleaved=70000-70001",
        "RTP/AVP/TCP;unicast;interleaved=-1--5",
        "RTP/AVP/TCP;unicast;interleaved=5",
        "RTP/AVP/TCP;unicast;mode=record;interleaved=0-1",
        "RTP/AVP;unicast;client_port=0-0",
        "RTP/AVP;unicast;client_port=99999-100000",
        &["RTP/AVP/TCP;unicast;interleaved=0-1,"; 200].concat(),
    ] {
        let answer = ask("SETUP", "/stream=2", transport).map(|answer| answer.status);
        eprintln!("SETUP {}: {answer:?}", &transport[..transport.len().min(60)]);
    }
    let talker = door.talker("nvr", "other", OPUS);
    wait_for("it to be heard", Duration::from_secs(30), || door.is_loud());
    drop(talker);
}

#[test]
fn pictures_by_udp_go_to_who_asks_and_not_where_the_request_says() {
    let door = Door::new(&[]);
    let pair = || {
        let own = UdpSocket::bind("127.0.0.1:0").ok()?;
        let other = UdpSocket::bind(("127.0.0.2", own.local_addr().ok()?.port())).ok()?;
        Some((own, other))
    };
    let (own, other) = (0..100).find_map(|_| pair()).expect("a port that is free at both addresses");
    let port = own.local_addr().expect("its port").port();
    let transport = format!("RTP/AVP;unicast;destination=127.0.0.2;client_port={port}-{}", port.wrapping_add(1));
    let mut client = Client::connect(door.server.local_addr(), "/front", LOGIN);
    let setup = client.ask("SETUP", "/stream=0", &[("Transport", &transport)]).expect("answers");
    assert_eq!(setup.status, 200, "{setup:?}");
    client.session = setup.header("Session").and_then(|s| s.split(';').next()).map(str::to_owned);
    assert_eq!(client.ask("PLAY", "", &[]).expect("answers").status, 200);
    own.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    for _ in 0..50 {
        own.recv(&mut [0; 2048]).expect("pictures");
    }
    other.set_nonblocking(true).expect("a flag");
    assert!(other.recv(&mut [0; 2048]).is_err(), "nothing for who did not ask");
}
