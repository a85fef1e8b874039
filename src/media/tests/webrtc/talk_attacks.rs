//! Offers that are abandoned by the thousand, and offers, fragments and races of those who mean harm: nothing stays of them, and whoever
//! speaks goes on.

use super::talking::{Door, Offered, ask, request, test_sink};
use super::*;
use perch_domain::ports::TalkAnswer;
use perch_domain::talk::WhenBusy;
use std::net::SocketAddr;
use std::process::Command;

/// Sessions end with their lease.
const LEASE_US: i64 = 60_000_000;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("proc").count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("there");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
fn a_thousand_abandoned_offers_leave_nothing() {
    let run = Command::new(std::env::current_exe().expect("a path"))
        .args(["--ignored", "--exact", "talk_attacks::abandon_a_thousand", "--nocapture"])
        .status();
    assert!(run.expect("it starts").success());
}

/// The other half of [`a_thousand_abandoned_offers_leave_nothing`]: threads and memory are a whole process's.
#[test]
#[ignore = "runs in a process of its own"]
fn abandon_a_thousand() {
    let bench = Bench::new();
    let door = Door::with_clock(&bench, test_sink(), bench.clock.clone());
    let (watching, speaking) = (Offer::new().sdp, Offered::new().sdp);
    let watch = |bench: &Bench| {
        let all: Vec<_> =
            (0..64).map(|_| bench.engine.watch(bench.request(device(), StreamChoice::Auto, &watching))).collect();
        assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|one| one.is_err()));
        let refused = bench.engine.watch(bench.request(device(), StreamChoice::Auto, &watching)).expect_err("too many");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        bench.clock.by_us.fetch_add(LEASE_US, Ordering::SeqCst);
        bench.until("their leases lapse", |b| b.engine.stats().sessions == 0);
    };
    let anna = device();
    let talk = |bench: &Bench, count: usize| {
        for n in 0..count {
            // A page that is loaded again and again, and others beside it, of whom some wait.
            let (who, is_hers) = if n.is_multiple_of(2) { (anna, true) } else { (device(), false) };
            let when_busy = if n % 4 == 1 { WhenBusy::Queue } else { WhenBusy::Refuse };
            match bench.engine.talk(request("anna", who, &speaking, when_busy)).expect("answered") {
                TalkAnswer::Speaks(_) => assert!(is_hers),
                TalkAnswer::Busy(busy) => assert!(!is_hers && busy.name == "anna"),
            }
            if !is_hers {
                // They close their page while they wait.
                bench.engine.end_device(who).expect("answers");
            }
        }
    };
    let abandon = |bench: &Bench| {
        bench.clock.by_us.fetch_add(LEASE_US, Ordering::SeqCst);
        bench.until("the leases lapse", |b| b.engine.stats().sessions == 0);
    };
    watch(&bench);
    talk(&bench, 64);
    abandon(&bench);
    let before = (threads(), descriptors(), resident_kib());
    for _ in 0..16 {
        watch(&bench);
    }
    talk(&bench, 1000);
    bench.until("one at most speaks", |b| b.engine.stats().sessions <= 1);
    abandon(&bench);
    door.until("the floor is free", |status| status.speaker.is_none());
    bench.nothing_is_left();
    let after = (threads(), descriptors(), resident_kib());
    eprintln!("threads, descriptors, KiB: {before:?} before, {after:?} after 1,024 offers to watch and 1,000 to speak");
    assert!(after.0 <= before.0 && after.1 <= before.1, "{before:?}, {after:?}");
    // A session takes some 200 KiB while it is there: 2,000 that stay would be 400 MB.
    assert!(after.2 < before.2 + 16 * 1024, "{before:?}, {after:?}");
    // The loudspeaker of before is closed by then.
    std::thread::sleep(Duration::from_secs(3));
    let next = ask(&bench, "ben", device(), WhenBusy::Refuse).expect("nobody speaks");
    door.until("he is heard", Door::is_loud);
    drop(next);
}

#[test]
fn no_offer_costs_whoever_speaks_the_floor_unless_it_can_be_answered() {
    let bench = Bench::new();
    let door = Door::new(&bench, test_sink());
    let anna = device();
    let (lease, _talker) = ask(&bench, "anna", anna, WhenBusy::Refuse).expect("nobody speaks");
    door.until("it is loud", Door::is_loud);
    let good = Offered::new().sdp;
    let audio = &good[good.find("m=audio").expect("a line")..];
    let many = format!("{}{}", &good[..good.find("m=audio").expect("a line")], audio.repeat(30));
    let video = super::Offer::new().sdp;
    let binary: String = (0..60_000u32).map(|n| char::from_u32(n % 0xd7ff).unwrap_or('?')).collect();
    let huge = format!("{good}{}", "a=candidate:1 1 udp 1 198.51.100.1 9 typ host\r\n".repeat(1300));
    for (what, offer) in [
        ("nothing", String::new()),
        ("half of one", good[..good.len() / 2].to_owned()),
        ("one that sends video alone", video.replace("a=recvonly", "a=sendonly").replace("m=audio", "m=application")),
        ("one that receives", video.clone()),
        ("no fingerprint", good.replace("a=fingerprint", "a=finger")),
        ("no password", good.replace("a=ice-pwd", "a=ice-word")),
        ("binary", format!("v=0\r\n{binary}")),
        ("many lines without a name", many.replace("a=mid:", "a=mad:").replace("opus", "pcmu")),
    ] {
        for (who, when_busy) in [(anna, WhenBusy::Refuse), (device(), WhenBusy::TakeOver)] {
            let refused = bench.engine.talk(request("olga", who, &offer, when_busy));
            let kind = refused.err().unwrap_or_else(|| panic!("{what} is answered")).kind();
            assert!(matches!(kind, ErrorKind::Invalid | ErrorKind::Unsupported), "{what}: {kind:?}");
        }
        assert!(door.speaker.is_held_by(lease), "{what}");
    }
    door.until("she is heard all the time", Door::is_loud);
    assert_eq!(bench.engine.stats().sessions, 1);
    // What only is too much of the right thing is answered, one line and a few candidates of it.
    for offer in [many, huge] {
        let answered = bench.engine.talk(request("anna", anna, &offer, WhenBusy::Refuse)).expect("answered");
        let TalkAnswer::Speaks(answer) = answered else { panic!("it is hers") };
        assert_eq!(answer.sdp.matches("a=recvonly").count(), 1, "{}", answer.sdp);
        assert!(answer.sdp.len() < 40_000);
    }
    bench.until("one is left", |b| b.engine.stats().sessions <= 1);
}

#[test]
fn of_many_who_ask_at_once_one_speaks() {
    let bench = Bench::new();
    let door = Door::new(&bench, test_sink());
    let devices: Vec<_> = (0..12).map(|_| device()).collect();
    for round in 0..5 {
        let speaks: Vec<LeaseId> = std::thread::scope(|scope| {
            let bench = &bench;
            let devices = &devices;
            let asks = move |n: usize| {
                let when_busy = if n.is_multiple_of(2) { WhenBusy::Refuse } else { WhenBusy::Queue };
                let offer = Offered::new().sdp;
                match bench.engine.talk(request(&n.to_string(), devices[n], &offer, when_busy)) {
                    Ok(TalkAnswer::Speaks(answer)) => Some(answer.lease),
                    Ok(TalkAnswer::Busy(_)) => None,
                    Err(e) => panic!("{e}"),
                }
            };
            let all: Vec<_> = (0..12).map(|n| scope.spawn(move || asks(n))).collect();
            all.into_iter().filter_map(|one| one.join().expect("no panic")).collect()
        });
        assert_eq!(speaks.len(), 1, "round {round}");
        assert!(door.speaker.is_held_by(speaks[0]));
        devices.iter().for_each(|device| bench.engine.end_device(*device).expect("answers"));
        assert!(!door.speaker.is_held_by(speaks[0]));
    }
    // Who may take over does, each from the one before: the last one speaks, and no session stays of the others.
    let over: Vec<LeaseId> = std::thread::scope(|scope| {
        let asks = || {
            let offer = Offered::new().sdp;
            match bench.engine.talk(request("olga", device(), &offer, WhenBusy::TakeOver)) {
                Ok(TalkAnswer::Speaks(answer)) => Some(answer.lease),
                other => panic!("{other:?}"),
            }
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(asks)).collect();
        all.into_iter().filter_map(|one| one.join().expect("no panic")).collect()
    });
    assert_eq!(over.iter().filter(|lease| door.speaker.is_held_by(**lease)).count(), 1);
    bench.until("one is left", |b| b.engine.stats().sessions <= 1);
    assert_eq!(bench.engine.stats().undrained, 0);
}

/// Sends what `make` makes of 0, 1, 2, … from `socket`, some 20,000 a second, until it is stopped; how many that were. As fast as it goes would be a test
/// of whoever else needs this machine's cores meanwhile.
fn flood(socket: &UdpSocket, to: SocketAddr, stop: &AtomicBool, make: impl Fn(u32) -> Vec<u8>) -> u32 {
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        let _ = socket.send_to(&make(sent), to);
        sent += 1;
        if sent.is_multiple_of(32) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    sent
}

/// CPU time of the engines' threads so far, for figures: those of tests beside are in it, and leave it as they end.
fn engine_cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("proc").flatten();
    let read = |thread: &std::fs::DirEntry, file| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
    let of = threads.filter(|thread| read(thread, "comm").trim() == "webrtc");
    // Its nanoseconds on a processor (proc(5), schedstat).
    let spent = |thread| read(&thread, "schedstat").split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    Duration::from_nanos(of.map(spent).sum())
}

/// Whoever reaches the port can send what looks like media, like handshakes and like questions of strangers; whoever speaks, the same from the very
/// address that their session has.
#[test]
fn a_flooded_port_goes_on_serving_who_speaks_and_who_watches() {
    let bench = Bench::new();
    let door = Door::new(&bench, test_sink());
    let (_, watching) = bench.watch(device(), Stream::Main);
    watching.until("a picture", |s| s.frames > 10);
    let offered = Offered::new();
    let own = offered.socket();
    let asked = bench.engine.talk(request("anna", device(), &offered.sdp, WhenBusy::Refuse)).expect("asked");
    let TalkAnswer::Speaks(answer) = asked else { panic!("nobody else speaks") };
    let _talker = offered.go(&answer.sdp);
    door.until("it is loud", Door::is_loud);
    let foreign = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let to = bench.engine.local_addr();
    let rtp = |n: u32| {
        let [_, _, a, b] = n.to_be_bytes();
        [&[0x90, 111, a, b][..], &n.to_be_bytes(), &[7; 4], &[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0], &[a; 160]].concat()
    };
    let dtls = |n: u32| [&[22, 254, 253, 0, 0][..], &[0; 6], &[0, 200], &n.to_be_bytes(), &[9; 196]].concat();
    let stun = |n: u32| {
        let head = [0, 1, 0, 20, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0];
        [&head[..], &n.to_be_bytes(), &[0, 6, 0, 16], b"abcdefg:hijklmno"].concat()
    };
    let quiet = (Instant::now(), engine_cpu());
    let frames = watching.seen().frames;
    watching.until("a second", |s| s.frames > frames + 30);
    let busy_before = engine_cpu().saturating_sub(quiet.1).as_secs_f64() / quiet.0.elapsed().as_secs_f64();
    for (what, socket, make) in [
        ("media from nowhere", &foreign, &rtp as &(dyn Fn(u32) -> Vec<u8> + Sync)),
        ("questions of strangers", &foreign, &stun),
        ("media by the speaker's own way", &own, &rtp),
        ("handshakes by the speaker's own way", &own, &dtls),
    ] {
        let stop = AtomicBool::new(false);
        let (from, before) = (Instant::now(), (engine_cpu(), watching.seen(), bench.engine.stats()));
        let sent = std::thread::scope(|scope| {
            let floods = scope.spawn(|| flood(socket, to, &stop, make));
            // A panic here must not leave the flood going.
            let goes_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                watching.until(what, |s| s.frames > before.1.frames + 45);
                door.until(what, Door::is_loud);
            }));
            stop.store(true, Ordering::SeqCst);
            goes_on.unwrap_or_else(|why| std::panic::resume_unwind(why));
            floods.join().expect("no panic")
        });
        let (lasted, seen) = (from.elapsed(), watching.seen());
        let busy = engine_cpu().saturating_sub(before.0).as_secs_f64() / lasted.as_secs_f64();
        let taken = bench.engine.stats().packets_in - before.2.packets_in;
        let gaps = seen.arrivals.windows(2).filter(|pair| pair[0] >= from).map(|pair| pair[1] - pair[0]);
        let longest = gaps.max().unwrap_or_default();
        eprintln!(
            "{what}: {:.0} datagrams a second sent, {:.0} taken; the engine's thread at {busy:.2} of a core ({busy_before:.2} before), \
             {:.1} us each; the longest gap between two pictures {longest:?}",
            f64::from(sent) / lasted.as_secs_f64(),
            taken as f64 / lasted.as_secs_f64(),
            (busy - busy_before) * lasted.as_micros() as f64 / taken as f64,
        );
        assert_eq!(seen.broken, 0, "{what}");
        assert!(door.speaker.is_held_by(answer.lease), "{what}: she speaks on");
    }
    assert_eq!((bench.engine.stats().sessions, bench.engine.stats().undrained), (2, 0));
}
