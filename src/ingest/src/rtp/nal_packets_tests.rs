//! Each way of packing, and each way of packing wrong.

use super::*;
use proptest::prelude::*;

/// What was taken: units with their stamps, and `!` for damage.
#[derive(Default)]
struct Taken(Vec<String>);

impl TakeNal for Taken {
    fn take(&mut self, nal: &[u8], stamp: u32, at: MonoTime) {
        let hex: String = nal.iter().map(|b| format!("{b:02x}")).collect();
        self.0.push(format!("{hex}@{stamp}/{}", at.0));
    }

    fn damaged(&mut self) {
        self.0.push("!".into());
    }
}

fn run(codec: PictureCodec, numbered: bool, payloads: &[&[u8]]) -> String {
    let (mut packets, mut taken) = (NalPackets::new(codec, numbered), Taken::default());
    for (n, payload) in payloads.iter().enumerate() {
        match *payload {
            b"lost" => packets.lost(&mut taken),
            _ => packets.push(Bytes::copy_from_slice(payload), 100, MonoTime(n as i64), &mut taken),
        }
    }
    taken.0.join(" ")
}

fn h264(payloads: &[&[u8]]) -> String {
    run(PictureCodec::H264, false, payloads)
}

fn h265(payloads: &[&[u8]]) -> String {
    run(PictureCodec::H265, false, payloads)
}

#[test]
fn single_and_gathered_units_of_h264() {
    assert_eq!(h264(&[&[0x65, 1, 2]]), "650102@100/0");
    assert_eq!(h264(&[&[0x78, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x68]]), "6701@100/0 68@100/0");
    assert_eq!(h264(&[&[0x79, 0, 9, 0, 2, 0x67, 1, 0, 1, 0x68]]), "6701@100/0 68@100/0");
    // Two with times: 0 and 3600 later in 16 bits, then one in 24.
    assert_eq!(h264(&[&[0x7a, 0, 9, 0, 2, 0, 0, 0, 0x67, 1, 0, 1, 1, 0x0e, 0x10, 0x68]]), "6701@100/0 68@3700/0");
    assert_eq!(h264(&[&[0x7b, 0, 9, 0, 2, 0, 0, 0, 1, 0x67, 1]]), "6701@101/0");
    assert_eq!(h264(&[&[0x78, 0, 9, 0x67, 1]]), "!", "longer than its packet");
    assert_eq!(h264(&[&[0x78], &[0x79, 1], &[], &[0x7c], &[0x1e, 1], &[0x1f]]), "");
}

#[test]
fn fragments_of_h264() {
    assert_eq!(h264(&[&[0x7c, 0x85, 1], &[0x7c, 5, 2], &[0x7c, 0x45, 3]]), "65010203@100/0");
    // The first of another kind has a number of the decoding order.
    assert_eq!(h264(&[&[0x7d, 0x85, 0, 7, 1], &[0x7c, 0x45, 3]]), "650103@100/0");
    assert_eq!(h264(&[&[0x7c, 0xc5, 1]]), "6501@100/0", "begin and end at once");
    // No end bit, and nothing missing.
    assert_eq!(h264(&[&[0x7c, 0x85, 1], &[0x7c, 5, 2], &[0x41, 9]]), "650102@100/0 4109@100/2");
    assert_eq!(h264(&[&[0x7c, 0x85, 1], &[0x7c, 0x81, 2], &[0x7c, 0x41, 3]]), "6501@100/0 610203@100/1");
    // No begin; an end that is missing; a middle of another.
    assert_eq!(h264(&[&[0x7c, 5, 2], &[0x7c, 0x45, 3]]), "! !");
    assert_eq!(h264(&[&[0x7c, 0x85, 1], b"lost", &[0x7c, 0x45, 3]]), "! !");
    assert_eq!(h264(&[&[0x7c, 0x85, 1], b"lost", &[0x41, 9]]), "! 4109@100/2");
    assert_eq!(h264(&[&[0x7c, 0x85, 1], &[0x7c, 0x41, 3]]), "6501@100/0 !");
}

#[test]
fn all_kinds_of_h265() {
    assert_eq!(h265(&[&[0x40, 1, 9]]), "400109@100/0");
    assert_eq!(h265(&[&[0x60, 1, 0, 3, 0x40, 1, 9, 0, 2, 0x42, 1]]), "400109@100/0 4201@100/0");
    assert_eq!(h265(&[&[0x62, 1, 0x93, 1], &[0x62, 1, 0x13, 2], &[0x62, 1, 0x53, 3]]), "2601010203@100/0");
    assert_eq!(h265(&[&[0x62, 1, 0x13, 2], &[0x62], &[0x62, 1]]), "!");
    // PACI around a single unit, with three bytes of its own.
    assert_eq!(h265(&[&[0x64, 1, 0x26, 0x30, 7, 7, 7, 0xaa]]), "2601aa@100/0");
    assert_eq!(h265(&[&[0x64, 1, 0x64, 0, 7], &[0x64, 1, 0x26]]), "");
}

#[test]
fn numbers_of_the_decoding_order_are_left_out() {
    let numbered = |payloads: &[&[u8]]| run(PictureCodec::H265, true, payloads);
    assert_eq!(numbered(&[&[0x40, 1, 0, 5, 9]]), "400109@100/0");
    assert_eq!(numbered(&[&[0x60, 1, 0, 5, 0, 3, 0x40, 1, 9, 1, 0, 2, 0x42, 1]]), "400109@100/0 4201@100/0");
    assert_eq!(numbered(&[&[0x62, 1, 0x93, 0, 5, 1], &[0x62, 1, 0x53, 3]]), "26010103@100/0");
}

proptest! {
    #[test]
    fn never_panics(h265: bool, numbered: bool, payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let codec = if h265 { PictureCodec::H265 } else { PictureCodec::H264 };
        run(codec, numbered, &payloads.iter().map(|p| &p[..]).collect::<Vec<_>>());
    }
}
