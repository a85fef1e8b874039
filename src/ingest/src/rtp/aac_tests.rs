//! AAC as cameras pack it.

use super::*;
use proptest::prelude::*;

fn generic(parameters: &[(&str, &str)]) -> Generic {
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Generic::new(&PayloadType {
        number: 97,
        encoding: "MPEG4-GENERIC".into(),
        clock_hz: 16_000,
        channels: 1,
        parameters,
    })
}

const HBR: [(&str, &str); 4] =
    [("mode", "AAC-hbr"), ("sizelength", "13"), ("indexlength", "3"), ("indexdeltalength", "3")];

fn units(out: &[AacUnit]) -> Vec<(&[u8], u32)> {
    out.iter().map(|(data, n)| (&data[..], *n)).collect()
}

#[test]
fn configurations() {
    let plain = Config { rate_hz: 16_000, channels: 1, unit_samples: 1024 };
    assert_eq!(Config::parse(&[0x14, 0x08]), Some(plain));
    assert_eq!(Config::parse(&[0x14, 0x0c]), Some(Config { unit_samples: 960, ..plain }));
    // HE-AAC: 24 kHz of 48 kHz, two channels.
    assert_eq!(
        Config::parse(&[0x2b, 0x11, 0x88, 0]),
        Some(Config { rate_hz: 24_000, channels: 2, unit_samples: 1024 })
    );
    assert_eq!((Config::parse(&[0x14]), Config::parse(&[0xff; 4]), Config::parse(&[0x10, 0])), (None, None, None));
    // Its channels in a program config element: a pair in front and one for the lowest; a comment of one byte.
    let bits =
        ["00010", "1000", "0000", "000", "0000", "01", "1000", "0001", "0000", "0000", "01", "000", "0000", "000"]
            .concat();
    let bits = format!("{:0<64}", bits + "10000" + "0000");
    let mut config: Vec<u8> = (0..8).map(|n| u8::from_str_radix(&bits[n * 8..n * 8 + 8], 2).expect("bits")).collect();
    config.extend([1, b'x']);
    assert_eq!(Config::parse(&config), Some(Config { channels: 3, ..plain }));
    assert_eq!(Config::parse(&config[..9]), None, "cut short");
    let program = [0x11, 0x80, 0x04, 0xc4, 0x01, 0x00, 0x20, 0x00, 0x00];
    let said = Config { rate_hz: 48_000, channels: 3, unit_samples: 1024 };
    assert_eq!(Config::parse(&program), Some(said), "as ffmpeg writes one");
    let made = Config::low_complexity(44_100, 2).expect("a rate of the table");
    assert_eq!(Config::parse(&made), Some(Config { rate_hz: 44_100, channels: 2, unit_samples: 1024 }));
    assert_eq!(Config::low_complexity(44_000, 2), None);
}

#[test]
fn several_units_and_fragments() {
    let mut packets = generic(&HBR);
    let mut out = Vec::new();
    let packet = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    // Two headers of 16 bits: 3 and 2 bytes.
    assert!(packets.push(&packet(&[0, 32, 0, 3 << 3, 0, 2 << 3, 1, 2, 3, 4, 5]), &mut out).is_some());
    assert_eq!(units(&out), [(&[1u8, 2, 3][..], 0), (&[4, 5], 1)]);
    out.clear();
    for part in [&[1u8, 2][..], &[3], &[4, 5]] {
        assert!(packets.push(&packet(&[&[0, 16, 0, 5 << 3][..], part].concat()), &mut out).is_some());
    }
    assert_eq!(units(&out), [(&[1u8, 2, 3, 4, 5][..], 0)]);
    out.clear();
    // A fragment that is lost is not mixed with the next unit.
    assert!(packets.push(&packet(&[0, 16, 0, 5 << 3, 1]), &mut out).is_some());
    packets.lost();
    assert!(packets.push(&packet(&[0, 16, 0, 2 << 3, 8, 9]), &mut out).is_some());
    assert_eq!(units(&out), [(&[8u8, 9][..], 0)]);
    assert!(packets.push(&packet(&[0, 32, 0, 9 << 3, 0, 9 << 3, 1]), &mut out).is_none());
}

#[test]
fn other_header_lengths() {
    let mut out = Vec::new();
    let mut low = generic(&[("mode", "AAC-lbr"), ("sizelength", "6"), ("indexlength", "2"), ("indexdeltalength", "2")]);
    assert!(low.push(&Bytes::from_static(&[0, 8, 2 << 2, 1, 2]), &mut out).is_some());
    let mut unsaid = generic(&[]);
    assert!(unsaid.push(&Bytes::from_static(&[0, 16, 0, 1 << 3, 3]), &mut out).is_some());
    let mut constant = generic(&[("constantsize", "2")]);
    assert!(constant.push(&Bytes::from_static(&[4, 5, 6, 7]), &mut out).is_some());
    assert_eq!(units(&out), [(&[1u8, 2][..], 0), (&[3], 0), (&[4, 5], 0), (&[6, 7], 1)]);
}

#[test]
fn latm_with_and_without_its_configuration_in_band() {
    // AAC-LC, 16 kHz, mono, as ffmpeg writes it.
    let mux = Mux::from_sdp("400028103fc0").expect("valid");
    assert_eq!((&mux.config[..2], mux.read.rate_hz), (&[0x14, 0x08][..], 16_000));
    let (mut latm, mut out) = (Latm::new(Some(mux), false), Vec::new());
    assert!(latm.push(&[3, 1, 2, 3], true, &mut out).is_some());
    assert!(latm.push(&[4, 1], false, &mut out).is_some());
    assert!(latm.push(&[2, 3, 4], true, &mut out).is_some());
    assert_eq!(units(&out), [(&[1u8, 2, 3][..], 0), (&[1, 2, 3, 4], 0)]);
    out.clear();
    // useSameStreamMux 0, then the 45 bits of the configuration above, and a payload that lies across bytes.
    let bits: Vec<bool> = [0u8, 0x40, 0, 0x28, 0x10, 0x3f, 0xc0]
        .iter()
        .flat_map(|b| (0..8).rev().map(move |n| b >> n & 1 == 1))
        .collect();
    let mut element = bits[7..8 + 44].to_vec();
    element.extend([2u8, 0xaa, 0x55].iter().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1 == 1)));
    let bytes: Vec<u8> =
        element.chunks(8).map(|c| c.iter().enumerate().fold(0, |n, (i, bit)| n | u8::from(*bit) << (7 - i))).collect();
    let mut latm = Latm::new(None, true);
    assert!(latm.push(&bytes, true, &mut out).is_some());
    assert_eq!(units(&out), [(&[0xaau8, 0x55][..], 0)]);
    // The same configuration as before.
    assert!(latm.push(&[0x80, 0x80, 0xff, 0x80], true, &mut out).is_some());
    assert!(Latm::new(None, true).push(&[0x80, 0x80, 0xff, 0x80], true, &mut out).is_none());
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), lengths in proptest::collection::vec(0u8..40, 8)) {
        let names = ["sizelength", "indexlength", "indexdeltalength", "constantsize", "ctsdeltalength", "dtsdeltalength", "streamstateindication", "auxiliarydatasizelength"];
        let lengths: Vec<String> = lengths.iter().map(u8::to_string).collect();
        let parameters: Vec<_> = names.into_iter().zip(lengths.iter().map(String::as_str)).collect();
        let (mut packets, mut out) = (generic(&parameters), Vec::new());
        let payload = Bytes::from(bytes.clone());
        for _ in 0..3 {
            let _ = packets.push(&payload, &mut out);
        }
        prop_assert!(out.len() <= 3 * MAX_UNITS && out.iter().all(|(data, _)| !data.is_empty()));
        let _ = (Config::parse(&bytes), Mux::read(&mut Reader::new(&bytes)));
        let _ = Latm::new(None, true).push(&bytes, true, &mut out);
    }
}
