//! Pictures of RFC 2435, made files.

use super::*;
use proptest::prelude::*;

fn push(packets: &mut JpegPackets, offset: u32, head: [u8; 4], rest: &[u8], marker: bool) -> Result<Option<Jpeg>, ()> {
    let payload = [&[0u8][..], &offset.to_be_bytes()[1..], &head, rest].concat();
    packets.push(&payload, None, 90, marker, MonoTime(5))
}

/// Markers of a file's segments up to the scan, and where the scan's data begins.
fn segments(file: &[u8]) -> (Vec<u8>, usize) {
    let (mut at, mut kinds) = (2, Vec::new());
    loop {
        assert_eq!(file[at], 0xff);
        kinds.push(file[at + 1]);
        let bytes = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        at += 2 + bytes;
        if kinds.last() == Some(&0xda) {
            return (kinds, at);
        }
    }
}

#[test]
fn a_file_is_made_of_fragments() {
    let mut packets = JpegPackets::new(None);
    assert_eq!(push(&mut packets, 0, [1, 50, 80, 45], &[1, 2, 3], false), Ok(None));
    let jpeg = push(&mut packets, 3, [1, 50, 80, 45], &[4, 5], true).expect("whole").expect("whole");
    assert_eq!((jpeg.size, jpeg.stamp, jpeg.at), ((640, 360), 90, MonoTime(5)));
    let (kinds, data) = segments(&jpeg.data);
    assert_eq!(kinds, [0xe0, 0xdb, 0xdb, 0xc0, 0xc4, 0xda]);
    assert_eq!(jpeg.data[data..], [1, 2, 3, 4, 5, 0xff, 0xd9]);
    // Quality 50 is the table itself: luma begins with 16, 11, chroma with 17, 18.
    let table = 2 + 18 + 5;
    assert_eq!((&jpeg.data[table..table + 2], &jpeg.data[table + 69..table + 71]), (&[16u8, 11][..], &[17u8, 18][..]));
}

#[test]
fn restarts_and_own_tables() {
    let mut packets = JpegPackets::new(None);
    let tables: Vec<u8> = (1..=128).collect();
    let rest = [&[0, 100, 0xff, 0xff][..], &[0, 0, 0, 128], &tables, &[7]].concat();
    let jpeg = push(&mut packets, 0, [65, 200, 80, 45], &rest, true).expect("whole").expect("whole");
    let (kinds, _) = segments(&jpeg.data);
    assert_eq!(kinds, [0xe0, 0xdb, 0xdb, 0xdd, 0xc0, 0xc4, 0xda]);
    assert_eq!(jpeg.data[25..30], [1, 2, 3, 4, 5]);
    // The same quality without tables: as before. Another that never had any: left out.
    let rest = [&[0, 100, 0xff, 0xff][..], &[0, 0, 0, 0], &[7]].concat();
    assert_eq!(push(&mut packets, 0, [65, 200, 80, 45], &rest, true).map(|j| j.map(|j| j.data)), Ok(Some(jpeg.data)));
    assert!(push(&mut packets, 0, [65, 201, 80, 45], &rest, true).is_err());
}

#[test]
fn sizes_that_the_packets_cannot_say() {
    let mut packets = JpegPackets::new(Some((2592, 1944)));
    let jpeg = push(&mut packets, 0, [1, 50, 0, 0], &[1], true).expect("whole").expect("whole");
    assert_eq!(jpeg.size, (2592, 1944));
    assert!(push(&mut JpegPackets::new(None), 0, [1, 50, 0, 0], &[1], true).is_err());
    // Headers of its own.
    let own = [
        &[0xff, 0xd8][..],
        &[0xff, 0xc0, 0, 17, 8, 7, 0x98, 0xa, 0x20, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1],
        &[0xff, 0xff, 0xff],
    ]
    .concat();
    let payload = [0, 0, 0, 0, 1, 50, 0, 0, 9];
    let extension = (ONVIF_HEADERS, Bytes::from(own));
    let jpeg =
        JpegPackets::new(None).push(&payload, Some(&extension), 0, true, MonoTime(0)).expect("whole").expect("whole");
    assert_eq!(jpeg.size, (2592, 1944));
    assert_eq!(segments(&jpeg.data).0, [0xe0, 0xdb, 0xdb, 0xc0, 0xc4, 0xda]);
}

#[test]
fn what_is_missing_leaves_the_picture_out() {
    let mut packets = JpegPackets::new(None);
    assert_eq!(push(&mut packets, 0, [1, 50, 80, 45], &[1, 2, 3], false), Ok(None));
    assert!(push(&mut packets, 5, [1, 50, 80, 45], &[4, 5], true).is_err());
    assert!(push(&mut packets, 5, [1, 50, 80, 45], &[4, 5], true).is_err());
    assert_eq!(push(&mut packets, 0, [1, 50, 80, 45], &[1], false), Ok(None));
    assert!(packets.lost() && !packets.lost());
}

proptest! {
    #[test]
    fn never_panics(payloads in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..300), any::<bool>()), 1..8), own in proptest::collection::vec(prop_oneof![Just(0xffu8), Just(0xdb), Just(0xc0), any::<u8>()], 0..60)) {
        let mut packets = JpegPackets::new(None);
        let extension = (ONVIF_HEADERS, Bytes::from(own));
        for (mut payload, marker) in payloads {
            if let Some(offset) = payload.get_mut(1..4) {
                offset.fill(0);
            }
            if let Ok(Some(jpeg)) = packets.push(&payload, Some(&extension), 0, marker, MonoTime(0)) {
                prop_assert!(jpeg.data.starts_with(&[0xff, 0xd8]) && jpeg.data.ends_with(&[0xff, 0xd9]));
            }
        }
    }
}
