//! Sound of every kind, and what cannot be decoded.

use super::*;
use proptest::prelude::*;

fn payload(encoding: &str, clock_hz: u32, channels: u16, parameters: &[(&str, &str)]) -> PayloadType {
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    PayloadType { number: 97, encoding: encoding.into(), clock_hz, channels, parameters }
}

fn one(of: &PayloadType, bytes: &[u8]) -> Option<(Vec<u8>, u128)> {
    let (mut packets, mut out) = (SoundPackets::new(of), Vec::new());
    packets.push(&Bytes::copy_from_slice(bytes), true, &mut out);
    out.first().map(|frame| (frame.data.to_vec(), frame.lasts.as_micros()))
}

#[test]
fn formats_and_how_long_they_last() {
    let table: [(&str, u32, u16, SoundCodec, u32, usize, u128); 17] = [
        ("PCMU", 8_000, 1, SoundCodec::Pcmu, 8_000, 160, 20_000),
        ("PCMA", 16_000, 1, SoundCodec::Pcma, 16_000, 320, 20_000),
        ("G722", 8_000, 1, SoundCodec::G722, 16_000, 160, 20_000),
        ("G722", 16_000, 1, SoundCodec::G722, 16_000, 160, 20_000),
        ("G726-32", 8_000, 1, SoundCodec::G726 { bits: 4, high_first: false }, 8_000, 80, 20_000),
        ("AAL2-G726-40", 8_000, 1, SoundCodec::G726 { bits: 5, high_first: true }, 8_000, 100, 20_000),
        ("G726-16", 8_000, 1, SoundCodec::G726 { bits: 2, high_first: false }, 8_000, 40, 20_000),
        ("L16", 44_100, 2, SoundCodec::L16, 44_100, 1764, 10_000),
        ("L8", 8_000, 1, SoundCodec::L16, 8_000, 80, 10_000),
        ("L24", 48_000, 2, SoundCodec::L16, 48_000, 2880, 10_000),
        ("L16", 16_000, 4, SoundCodec::L16, 16_000, 1280, 10_000),
        ("PCMU", 8_000, 3, SoundCodec::Pcmu, 8_000, 480, 20_000),
        ("G723", 8_000, 1, SoundCodec::Other("G723".into()), 8_000, 24, 0),
        ("G726-48", 8_000, 1, SoundCodec::Other("G726-48".into()), 8_000, 24, 0),
        ("L16", 1, 1, SoundCodec::Other("L16".into()), 1, 24, 0),
        ("PCMA", 200_000, 1, SoundCodec::Other("PCMA".into()), 200_000, 24, 0),
        ("G726-32", 2_000_000_000, 1, SoundCodec::Other("G726-32".into()), 2_000_000_000, 24, 0),
    ];
    for (encoding, clock_hz, channels, codec, rate_hz, bytes, lasts) in table {
        let of = payload(encoding, clock_hz, channels, &[]);
        let got = format(&of);
        assert_eq!((got.codec, got.rate_hz), (codec, rate_hz), "{encoding}");
        assert_eq!(one(&of, &vec![7; bytes]).map(|frame| frame.1), Some(lasts), "{encoding}");
    }
}

#[test]
fn linear_sound_becomes_16_bits() {
    assert_eq!(one(&payload("L8", 8_000, 1, &[]), &[0x80, 0xff, 0]).map(|f| f.0), Some(vec![0, 0, 0x7f, 0, 0x80, 0]));
    assert_eq!(one(&payload("L24", 8_000, 1, &[]), &[1, 2, 3, 4, 5, 6, 7]).map(|f| f.0), Some(vec![1, 2, 4, 5]));
    assert_eq!(one(&payload("L16", 8_000, 2, &[]), &[1, 2, 3, 4, 5]).map(|f| f.0), Some(vec![1, 2, 3, 4]));
}

#[test]
fn many_channels_become_one_or_two() {
    for (encoding, channels, sent, heard, left) in [
        // 0, 1000, -1000 and 4000; 32,767 each.
        (
            "L16",
            4,
            &[0, 0, 3, 0xe8, 0xfc, 0x18, 0x0f, 0xa0, 0x7f, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f, 0xff, 9][..],
            &[3, 0xe8, 0x7f, 0xff][..],
            1,
        ),
        ("L8", 3, &[0x80, 0x80, 0x83], &[1, 0], 1),
        ("L24", 3, &[0, 3, 9, 0, 0, 9, 0, 0, 9], &[0, 1], 1),
        ("PCMA", 3, &[1, 2, 3, 4, 5, 6, 7], &[1, 2, 4, 5], 2),
    ] {
        let of = payload(encoding, 8_000, channels, &[]);
        assert_eq!(format(&of).channels, left, "{encoding}");
        assert_eq!(one(&of, sent).map(|frame| frame.0), Some(heard.to_vec()), "{encoding}");
    }
}

/// Two frames of layer III in a packet, 16 kHz, one channel; the description says none of it.
#[test]
fn mpeg_audio_is_what_its_frames_say() {
    let frame = [&[0xff, 0xf3, 0x48, 0xc0][..], &[0; 140]].concat();
    let mut packets = SoundPackets::new(&payload("MPA", 90_000, 1, &[]));
    assert!(packets.format().codec == SoundCodec::MpegAudio { layer: 2 } && packets.take_change().is_none());
    let mut out = Vec::new();
    assert!(packets.push(&[&[0; 4][..], &frame, &frame].concat().into(), true, &mut out));
    let said = packets.take_change().expect("news").clone();
    assert_eq!(said, SoundFormat { codec: SoundCodec::MpegAudio { layer: 3 }, rate_hz: 16_000, channels: 1 });
    let got: Vec<_> = out.iter().map(|f| (f.data.len(), f.later_ticks, f.lasts.as_millis())).collect();
    assert_eq!(got, [(144, 0, 36), (144, 3240, 36)]);
    assert!(packets.push(&[&[0; 4][..], &frame].concat().into(), true, &mut out) && packets.take_change().is_none());
}

#[test]
fn opus_says_how_long_it_lasts() {
    let opus = payload("OPUS", 48_000, 2, &[]);
    for (toc, lasts) in
        [(&[0xfcu8][..], 20_000), (&[0x78], 20_000), (&[0xfd], 40_000), (&[0xfb, 3], 60_000), (&[0x18], 60_000)]
    {
        assert_eq!(one(&opus, toc).map(|frame| frame.1), Some(lasts), "{toc:?}");
    }
    assert_eq!((one(&opus, &[0xfb, 63]), one(&opus, &[0xfb])), (None, None), "longer than 120 ms");
}

#[test]
fn aac_says_its_configuration_or_has_a_usual_one() {
    let said = format(&payload("MPEG4-GENERIC", 16_000, 1, &[("config", "1408")]));
    let SoundCodec::Aac { config } = said.codec else { panic!("{said:?}") };
    assert_eq!((&config[..], said.rate_hz, said.channels), (&[0x14, 8][..], 16_000, 1));
    assert_eq!(format(&payload("MPEG4-GENERIC", 16_000, 1, &[])).codec, SoundCodec::Aac { config });
    assert!(matches!(format(&payload("MPEG4-GENERIC", 16_001, 1, &[])).codec, SoundCodec::Other(_)));
    assert!(matches!(format(&payload("MPEG4-GENERIC", 16_000, 1, &[("config", "xx")])).codec, SoundCodec::Aac { .. }));
    let latm = payload("MP4A-LATM", 16_000, 1, &[("cpresent", "0"), ("config", "400028103fc0")]);
    assert_eq!(format(&latm).rate_hz, 16_000);
    assert!(matches!(format(&payload("MP4A-LATM", 16_000, 1, &[("cpresent", "0")])).codec, SoundCodec::Other(_)));
    // Three units in a packet follow each other.
    let (mut packets, mut out) =
        (SoundPackets::new(&payload("MPEG4-GENERIC", 16_000, 1, &[("config", "1408")])), Vec::new());
    assert!(packets.push(&Bytes::from_static(&[0, 48, 0, 8, 0, 8, 0, 8, 1, 2, 3]), true, &mut out));
    assert_eq!(
        out.iter().map(|f| (f.later_ticks, f.lasts.as_millis())).collect::<Vec<_>>(),
        [(0, 64), (1024, 64), (2048, 64)]
    );
}

#[test]
fn sound_comes_no_faster_than_it_can_be_meant() {
    let (mut pace, packet) = (SoundPace::new(), Duration::from_millis(20));
    let taken = |pace: &mut SoundPace, at_ms: i64, count: usize| {
        (0..count).filter(|_| pace.allows(MonoTime(at_ms * 1000), packet)).count()
    };
    assert_eq!(taken(&mut pace, 0, 5000), 1000, "what a camera has kept comes at once");
    assert_eq!(taken(&mut pace, 1000, 5000), 200, "four times as fast as time");
    // An hour at its own pace, or at twice of it.
    assert!((0..180_000).all(|n| pace.allows(MonoTime(2_000_000 + n * 20_000), packet * 2)));
    // The smallest packets count too, and one of an hour is not taken.
    let mut pace = SoundPace::new();
    assert!(!pace.allows(MonoTime(0), Duration::from_secs(3600)));
    assert_eq!((0..50_000).filter(|_| pace.allows(MonoTime(0), Duration::ZERO)).count(), 20_000);
}

const LATM_16_KHZ_MONO: [u8; 9] = [0x20, 0x00, 0x14, 0x08, 0x1f, 0xe0, 0x15, 0x52, 0xa8];

/// What packets say of themselves counts, not what was guessed of them.
#[test]
fn latm_is_what_its_packets_say() {
    // useSameStreamMux 0, a StreamMuxConfig of 16 kHz and one channel, and a payload of two bytes.
    let element = Bytes::from_static(&LATM_16_KHZ_MONO);
    let mut packets = SoundPackets::new(&payload("MP4A-LATM", 16_000, 2, &[]));
    assert_eq!((packets.format().channels, packets.take_change()), (2, None), "guessed");
    let mut out = Vec::new();
    assert!(packets.push(&element, true, &mut out));
    assert_eq!(out.iter().map(|frame| &frame.data[..]).collect::<Vec<_>>(), [[0xaa, 0x55]]);
    let said = packets.take_change().expect("news").clone();
    let SoundCodec::Aac { config } = &said.codec else { panic!("{said:?}") };
    assert_eq!((&config[..2], said.rate_hz, said.channels), (&[0x14, 0x08][..], 16_000, 1));
    assert!(packets.push(&element, true, &mut out));
    assert_eq!(packets.take_change(), None, "said once");
    assert_eq!(packets.format(), &said);
}

/// Whoever decodes the sound begins anew where it changes.
#[test]
fn latm_changes_where_two_packets_say_so() {
    let element = Bytes::from_static(&LATM_16_KHZ_MONO);
    // The rate's index 8 becomes 9 (12 kHz), its payload is the same.
    let mut other = LATM_16_KHZ_MONO;
    other[3] |= 0x80;
    let other = Bytes::copy_from_slice(&other);
    let mut packets = SoundPackets::new(&payload("MP4A-LATM", 16_000, 1, &[]));
    let mut rates = Vec::new();
    for packet in [&element, &other, &element, &other, &element, &other, &other, &other] {
        let mut out = Vec::new();
        let is_taken = packets.push(packet, true, &mut out);
        assert_eq!(out.len(), usize::from(is_taken));
        rates.push((is_taken, packets.take_change().map(|format| format.rate_hz)));
    }
    let (taken, left_out) = ((true, None), (false, None));
    let want = [taken, left_out, taken, left_out, taken, left_out, (true, Some(12_000)), taken];
    assert_eq!(rates, want);
}

proptest! {
    #[test]
    fn never_panics(
        name in proptest::sample::select(vec!["OPUS", "PCMU", "G722", "G726-24", "L16", "L8", "L24", "MPEG4-GENERIC", "MP4A-LATM", "MPA", "X"]),
        clock: u32, channels: u16, bytes in proptest::collection::vec(any::<u8>(), 0..100)
    ) {
        let _ = one(&payload(name, clock, channels, &[]), &bytes);
    }
}
