//! What must hold whatever a network does to a stream.

use super::fixtures::*;
use proptest::prelude::*;

/// What happens to one packet.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Comes,
    Lost,
    Twice,
    Late(u8),
    Flipped(u16),
    Cut(u8),
}

fn fate(can_be_damaged: bool) -> impl Strategy<Value = Fate> {
    let damage = u32::from(can_be_damaged);
    prop_oneof![
        30 => Just(Fate::Comes),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        2 => (1u8..40).prop_map(Fate::Late),
        damage * 2 => any::<u16>().prop_map(Fate::Flipped),
        damage => any::<u8>().prop_map(Fate::Cut),
    ]
}

/// A stream of one of the fixtures' kinds.
fn stream(kind: u8, count: u32) -> Vec<Came> {
    let mut sender = VIDEO;
    let mut out = Vec::new();
    for n in 0..count {
        let stamp = n * 3600;
        let nals = match kind {
            0 => picture(n, 10),
            1 => {
                let mut nals = picture(n, 10);
                let last = if n % 10 == 0 { I } else { Slice { frame_num: n % 10, order: n % 10 * 2, ..P } };
                nals.extend((1..3).map(|part| Slice { first_mb: part * 300, ..last }.nal()));
                nals
            }
            _ => {
                let field = |bottom| Some(Some(bottom));
                let at = n % 10;
                match at {
                    0 => vec![
                        sps(0, 40, 22, true, Some(1)),
                        pps(0, 0),
                        Slice { field: field(false), ..I }.nal(),
                        Slice { field: field(true), ..P }.nal(),
                    ],
                    _ => [false, true]
                        .map(|b| Slice { field: field(b), frame_num: at, order: at * 2, ..P }.nal())
                        .to_vec(),
                }
            }
        };
        let packets = sender.unit(&nals, stamp).into_iter().enumerate();
        out.extend(packets.map(|(k, packet)| (i64::from(n) * 40_000 + k as i64 * 50, packet)));
    }
    out
}

fn suffer(packets: Vec<Came>, fates: &[Fate]) -> Vec<Came> {
    let mut out = Vec::new();
    for (n, (at, packet)) in packets.into_iter().enumerate() {
        match fates[n % fates.len()] {
            Fate::Comes => out.push((at, packet)),
            Fate::Lost => {}
            Fate::Twice => out.extend([(at, packet.clone()), (at + 3_000, packet)]),
            Fate::Late(ms) => out.push((at + i64::from(ms) * 1000, packet)),
            Fate::Flipped(bit) => {
                let mut bytes = packet.to_vec();
                let bit = usize::from(bit) % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                out.push((at, bytes.into()));
            }
            Fate::Cut(part) => out.push((at, packet.slice(..packet.len() * usize::from(part) / 256))),
        }
    }
    out.sort_by_key(|(at, _)| *at);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// From any order, loss and duplication: no empty sample, each start carries its sets, times grow, and each picture is one that the
    /// camera sent.
    #[test]
    fn pictures_are_whole_in_any_weather(kind in 0u8..3, ordered: bool, fates in proptest::collection::vec(fate(false), 97)) {
        let sent = pictures(take(&h264_line(), true, &stream(kind, 80)).1);
        prop_assert_eq!(sent.len(), 80);
        let got = pictures(take(&h264_line(), ordered, &suffer(stream(kind, 80), &fates)).1);
        check(&got);
        // Without sets, which are handed on where something before was lost too.
        let slices = |p: &perch_domain::ingest::Picture| {
            let slice = |nal: &&[u8]| matches!(nal[0] & 31, 1 | 5);
            perch_domain::h264::nal_units(&p.data).filter(slice).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        if kind == 0 {
            let sent: std::collections::BTreeSet<_> = sent.iter().map(slices).collect();
            prop_assert!(got.iter().all(|picture| sent.contains(&slices(picture))), "a picture that nobody sent");
        }
    }

    /// With bits flipped and packets cut too.
    #[test]
    fn damage_makes_no_empty_sample(kind in 0u8..3, ordered: bool, fates in proptest::collection::vec(fate(true), 97)) {
        let got = pictures(take(&h264_line(), ordered, &suffer(stream(kind, 80), &fates)).1);
        let mut decoded = i64::MIN;
        for picture in &got {
            prop_assert!(kinds(picture).iter().any(|kind| matches!(kind, 1 | 2 | 5)), "{:?}", kinds(picture));
            prop_assert!(picture.decoded.0 > decoded && picture.decoded <= picture.shown);
            decoded = picture.decoded.0;
        }
    }
}
