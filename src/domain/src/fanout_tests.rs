//! The fan-out's decisions: what a joiner gets, however it comes and whatever is published.

use super::*;
use crate::media::Packet;
use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// A queue whose room can be taken away.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Vec<Delivery>, bool)>>);

impl Log {
    fn pts(&self) -> Vec<i64> {
        self.0.lock().expect("not poisoned").0.iter().map(|d| d.packet.pts.0).collect()
    }
    fn set_full(&self, full: bool) {
        self.0.lock().expect("not poisoned").1 = full;
    }
}

impl Sink for Log {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let mut log = self.0.lock().expect("not poisoned");
        if log.1 {
            return Receipt::Full;
        }
        log.0.push(delivery);
        Receipt::Taken
    }
}

type Bench = HubMachine<Log, u8>;

fn packet(track: Track, at: i64, keyframe: bool) -> SharedPacket {
    let data = Bytes::from_static(b"x");
    Arc::new(Packet::new(track, data, MonoTime(at), keyframe))
}

fn connected(commandable: bool) -> Bench {
    let mut machine = Bench::default();
    machine.connect(1, [commandable; 2], &mut Effects::default());
    machine
}

#[test]
fn only_a_stream_without_commands_must_begin_with_what_is_cached() {
    for commandable in [false, true] {
        let (mut machine, out) = (connected(commandable), &mut Effects::default());
        assert_eq!(machine.only_start(Stream::Main), None);
        for at in 1..=5 {
            machine.publish_video(Stream::Main, &packet(Track::Video, at * 1_000_000, at % 3 == 1), MonoTime(0), out);
        }
        assert_eq!(
            machine.only_start(Stream::Main),
            (!commandable).then_some((MonoTime(4_000_000), MonoTime(4_000_000)))
        );
        machine.break_off();
        assert_eq!(machine.only_start(Stream::Main), None);
    }
}

/// A picture each 40 ms: `I` all at once, `g` the start of an intra refresh, `p` any other.
fn refreshed(machine: &mut Bench, pictures: &str, bytes: usize) {
    for (n, kind) in pictures.chars().enumerate() {
        let head: &[u8] = match kind {
            'I' => &[0, 0, 0, 1, 0x65, 0x88],
            'g' => &[0, 0, 0, 1, 6, 6, 1, 0b0010_1100, 0x80, 0, 0, 0, 1, 0x41, 0x9a],
            _ => &[0, 0, 0, 1, 0x41, 0x9a],
        };
        let mut data = head.to_vec();
        data.resize(bytes.max(head.len()), 0xff);
        let at = MonoTime(n as i64 * 40_000);
        let packet = Packet::new(Track::Video, data.into(), at, kind != 'p');
        let packet = Arc::new(Packet { codec: Some(VideoCodec::H264), ..packet });
        machine.publish_video(Stream::Main, &packet, at, &mut Effects::default());
    }
}

#[test]
fn what_is_cached_can_be_shown_at_once() {
    for (what, pictures, bytes, first, newest) in [
        ("whole at its start", "IppIp", 9, 3, 3),
        ("whole by the cycle before", "Ippgpgpgpp", 9, 5, 7),
        ("whole by the refresh before", "Ippgpp", 9, 0, 3),
        ("nothing is known of before", "gpp", 9, 0, 0),
        ("a refresh ends it", "gpgpIp", 9, 4, 4),
        ("the cycle before takes too much", "gpgpp", 8 << 20, 2, 2),
    ] {
        let mut machine = connected(false);
        refreshed(&mut machine, pictures, bytes);
        let at = |n: i64| MonoTime(n * 40_000);
        assert_eq!(machine.only_start(Stream::Main), Some((at(first), at(newest))), "{what}");
        let (_, with, backlog) = machine.join(Stream::Main, true, "x", Log::default(), at(99), &mut Effects::default());
        assert_eq!((with, backlog.len()), (JoinWith::CachedGop, pictures.len() - first as usize), "{what}");
    }
}

#[test]
fn of_an_intra_refresh_all_that_leads_to_a_keyframe_is_decoded_to_see_it() {
    for (what, pictures, want, is_whole) in [
        ("whole at its start", "IppIp", 1, true),
        ("by the cycle before", "Ippgpppg", 5, true),
        ("by the refresh before", "Ippgp", 4, true),
        ("nothing is known of before", "gppp", 1, false),
    ] {
        let mut machine = connected(false);
        refreshed(&mut machine, pictures, 9);
        let newest = machine.latest_keyframe(Stream::Main).expect("a keyframe");
        let leads = machine.leading_to(Stream::Main, &newest);
        assert!(leads.last().is_some_and(|last| Arc::ptr_eq(last, &newest)));
        assert_eq!((leads.len(), crate::refresh::ends_whole(&leads)), (want, is_whole), "{what}");
        machine.break_off();
        assert_eq!(machine.leading_to(Stream::Main, &newest).is_empty(), pictures.contains('g'), "{what}");
    }
}

#[test]
fn a_gop_of_minutes_is_cached_whatever_its_sound_and_one_without_end_is_not() {
    let (mut machine, out) = (connected(false), &mut Effects::default());
    for n in 0..MAX_GOP_PACKETS as i64 {
        let at = MonoTime(n * 40_000);
        machine.publish_video(Stream::Main, &packet(Track::Video, at.0, n == 0), at, out);
        machine.publish_audio(&packet(Track::Audio, at.0, true), at, out);
    }
    let joins = |machine: &mut Bench| {
        let out = &mut Effects::default();
        machine.join(Stream::Main, true, "x", Log::default(), MonoTime(400_000_000), out).2.len()
    };
    assert_eq!(joins(&mut machine), MAX_GOP_PACKETS, "five minutes");
    machine.publish_video(Stream::Main, &packet(Track::Video, 400_000_000, false), MonoTime(0), out);
    assert_eq!(joins(&mut machine), 0);
    assert!(machine.latest_keyframe(Stream::Main).is_some(), "its keyframe stays known");
    machine.publish_video(Stream::Main, &packet(Track::Video, 400_040_000, true), MonoTime(0), out);
    assert_eq!(joins(&mut machine), 1, "the next one");
}

/// Whatever came before, a joiner's backlog and queue together are every picture from a keyframe on, and all sound since it came, each
/// packet once and in order.
#[test]
fn a_joiner_gets_each_packet_once() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |bound: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % bound
    };
    for round in 0..400 {
        let mut machine = connected(round % 2 == 0);
        let out = &mut Effects::default();
        let mut published = Vec::new();
        let mut joiners: Vec<(Log, Vec<SharedPacket>, JoinWith, usize)> = Vec::new();
        for at in 0..120i64 {
            let now = MonoTime(at * 40_000);
            match next(12) {
                0 => {
                    let log = Log::default();
                    let (_, with, backlog) = machine.join(Stream::Main, true, "joiner", log.clone(), now, out);
                    joiners.push((log, backlog, with, published.len()));
                }
                1..=3 => {
                    let p = packet(Track::Audio, now.0, true);
                    machine.publish_audio(&p, now, out);
                    published.push(p);
                }
                kind => {
                    let p = packet(Track::Video, now.0, kind == 4);
                    machine.publish_video(Stream::Main, &p, now, out);
                    published.push(p);
                }
            }
        }
        for (log, backlog, with, at) in joiners {
            let got: Vec<i64> = backlog.iter().map(|p| p.pts.0).chain(log.pts()).collect();
            assert_eq!(backlog.is_empty(), with != JoinWith::CachedGop);
            let keyframe = |p: &SharedPacket| p.track == Track::Video && p.keyframe;
            let first = match with {
                JoinWith::CachedGop => published[..at].iter().rposition(keyframe),
                _ => published[at..].iter().position(keyframe).map(|n| at + n),
            };
            let is_sent = |(n, p): &(usize, &SharedPacket)| *n >= at || p.track == Track::Video;
            let since = |first: usize| published.iter().enumerate().skip(first).filter(is_sent).map(|(_, p)| p.pts.0);
            let want: Vec<i64> = first.map_or(Vec::new(), |first| since(first).collect());
            assert_eq!(got, want, "round {round}, joined at {at} with {with:?}");
            let first = log.0.lock().expect("not poisoned").0.first().map(|d| d.discontinuity);
            assert!(first.is_none_or(|broken| broken == backlog.is_empty()), "the queue follows on the backlog");
        }
    }
}

#[test]
fn sound_goes_on_where_a_picture_was_lost() {
    let (mut machine, out, log) = (connected(false), &mut Effects::default(), Log::default());
    machine.attach(Stream::Main, true, "viewer", log.clone(), MonoTime(0), out);
    for (at, what) in
        ["sound", "key", "sound", "full", "p", "free", "sound", "p", "sound", "key", "p"].iter().enumerate()
    {
        let at = at as i64;
        match *what {
            "sound" => machine.publish_audio(&packet(Track::Audio, at, true), MonoTime(at), out),
            "full" | "free" => log.set_full(*what == "full"),
            what => machine.publish_video(Stream::Main, &packet(Track::Video, at, what == "key"), MonoTime(at), out),
        }
    }
    let got: Vec<_> = log.0.lock().expect("not poisoned").0.iter().map(|d| (d.packet.pts.0, d.discontinuity)).collect();
    assert_eq!(got, [(1, true), (2, false), (6, false), (8, false), (9, true), (10, false)]);
}

#[test]
fn another_codec_is_a_break_for_those_who_follow() {
    let mut machine = connected(true);
    let out = &mut Effects::default();
    let log = Log::default();
    machine.attach(Stream::Main, false, "recorder", log.clone(), MonoTime(0), out);
    let of =
        |codec, at, keyframe| Arc::new(Packet { codec: Some(codec), ..(*packet(Track::Video, at, keyframe)).clone() });
    use VideoCodec::{H264, H265};
    for (n, (codec, keyframe)) in
        [(H264, true), (H264, false), (H265, false), (H265, true), (H265, false), (H264, true)].into_iter().enumerate()
    {
        let at = n as i64 * 40_000;
        machine.publish_video(Stream::Main, &of(codec, at, keyframe), MonoTime(at), out);
    }
    let got: Vec<_> =
        log.0.lock().expect("not poisoned").0.iter().map(|d| (d.packet.pts.0 / 40_000, d.discontinuity)).collect();
    assert_eq!(got, [(0, true), (1, false), (3, true), (4, false), (5, true)]);
    assert_eq!(machine.latest_keyframe(Stream::Main).map(|k| k.codec), Some(Some(H264)));
}

#[test]
fn a_gop_of_a_capture_that_ended_is_shown_to_nobody() {
    let mut machine = connected(true);
    let out = &mut Effects::default();
    let at = MonoTime(1_000_000);
    machine.publish_video(Stream::Main, &packet(Track::Video, at.0, true), at, out);
    assert_eq!(machine.start(Stream::Main, Some(at), at, out), JoinWith::CachedGop);
    machine.disconnect();
    assert_eq!(machine.start(Stream::Main, Some(at), at, out), JoinWith::NextKeyframe);
}

/// Viewers of the sub-stream that come and go must not make its encoder burst, and its first picture must stand alone.
#[test]
fn a_sub_stream_that_opens_often_is_forced_once_a_second_and_before_it_opens() {
    let mut machine = connected(true);
    let mut commands = Vec::new();
    for tenth in 0..30 {
        let now = MonoTime(tenth * 100_000);
        let mut out = Effects::default();
        let one = machine.attach(Stream::Sub, false, "one", Log::default(), now, &mut out);
        let two = machine.attach(Stream::Sub, false, "two", Log::default(), now, &mut out);
        for id in [one, two] {
            machine.detach(Stream::Sub, id, now, &mut out);
        }
        assert_eq!(out.gone.len(), 2);
        commands.extend(out.commands);
    }
    let forced = |c: &Command<u8>| *c == Command::ForceKeyframe(1, Stream::Sub);
    assert_eq!(commands.iter().filter(|c| forced(c)).count(), 3);
    assert_eq!(commands.len(), 63, "and 30 times on and off");
    assert!(forced(&commands[0]));
    assert_eq!(commands[1], Command::SetDemand(1, Demand { sub: true, audio: false, sub_bps: None }));
}

#[test]
fn a_consumer_that_takes_nothing_is_cut_off_after_ten_seconds_and_that_is_reported() {
    let mut machine = connected(false);
    let out = &mut Effects::default();
    let log = Log::default();
    machine.attach(Stream::Main, true, "stuck", log.clone(), MonoTime(0), out);
    log.set_full(true);
    for second in 0..=10 {
        let now = MonoTime(second * 1_000_000);
        assert_eq!(machine.consumers(Stream::Main), ["stuck"]);
        machine.publish_video(Stream::Main, &packet(Track::Video, now.0, true), now, out);
    }
    assert!(machine.consumers(Stream::Main).is_empty());
    assert_eq!((out.gone.len(), machine.dropped()), (1, 11));
    let silent = Command::SetDemand(1, Demand { sub: false, audio: false, sub_bps: None });
    assert_eq!(out.commands[out.commands.len() - 2..], [Command::ReportCutOff("stuck".into()), silent]);
}

#[test]
fn sound_tells_of_sound_and_pictures_of_pictures() {
    // A second each: `K` is a keyframe, `p` another picture, `s` sound; what stands in brackets is refused.
    fn of(what: &str, times: usize) -> Vec<&str> {
        [what].repeat(times)
    }
    for (what, seconds, cut_after_s, got) in [
        ("takes sound and no picture", [of("K s", 1), of("(K) s", 20)].concat(), Some(11), 1),
        ("takes all", of("K s", 30), None, 30),
        ("refuses sound and takes pictures", [of("K", 1), of("p (s)", 30)].concat(), None, 31),
        ("refuses all sound while no picture is offered", [of("K", 1), of("(p) (s)", 30)].concat(), Some(11), 1),
        (
            "refuses sound here and there while no picture is offered",
            [of("K", 1), of("(p) (s)", 1), of("p s", 10), of("p (s)", 1), of("p s", 10), of("K s", 2)].concat(),
            None,
            3,
        ),
    ] {
        let (mut machine, out, log) = (connected(false), &mut Effects::default(), Log::default());
        machine.attach(Stream::Main, true, "viewer", log.clone(), MonoTime(0), out);
        let is_there = |machine: &mut Bench| !machine.consumers(Stream::Main).is_empty();
        let mut cut = None;
        for (second, packets) in seconds.iter().enumerate() {
            let at = MonoTime(second as i64 * 1_000_000);
            for word in packets.split(' ') {
                log.set_full(word.starts_with('('));
                match word.trim_matches(['(', ')']) {
                    "s" => machine.publish_audio(&packet(Track::Audio, at.0, true), at, out),
                    kind => machine.publish_video(Stream::Main, &packet(Track::Video, at.0, kind == "K"), at, out),
                }
            }
            if cut.is_none() && !is_there(&mut machine) {
                cut = Some(second);
            }
        }
        assert_eq!(cut, cut_after_s, "{what}");
        let log = log.0.lock().expect("not poisoned");
        let pictures = log.0.iter().filter(|d| d.packet.track == Track::Video).count();
        assert_eq!(pictures, got, "{what}");
    }
}
