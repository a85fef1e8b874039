//! Cameras as people have them, one fixture a kind: what comes of their packets.

use super::fixtures::*;
use super::*;
use perch_base::base64::encode;
use perch_domain::ingest::{Picture, Shape, SoundCodec};
use perch_domain::orientation::Orientation;

fn even(pictures: &[Picture]) -> bool {
    pictures.windows(2).all(|pair| pair[1].shown.micros_since(pair[0].shown) == 40_000)
}

fn whole(pictures: &[Picture], count: usize) {
    assert_eq!(pictures.len(), count);
    assert!(even(pictures) && pictures.iter().all(|picture| !picture.break_before && picture.decoded == picture.shown));
    assert!(pictures.iter().enumerate().all(|(n, picture)| picture.start == (n % 50 == 0)));
}

#[test]
fn plain_camera() {
    let got = camera(120, |sender, n, stamp| sender.unit(&picture(n, 50), stamp));
    whole(&got, 120);
    assert_eq!(
        got[0].shape,
        Some(Shape { width: 640, height: 352, pixel: (1, 1), interlaced: false, orientation: Orientation::NONE })
    );
    assert!(got[1..].iter().all(|picture| picture.shape.is_none()));
    assert_eq!((kinds(&got[0]), kinds(&got[1])), (vec![7, 8, 5], vec![1]));
}

#[test]
fn reolink_sets_with_a_marker_and_the_time_before() {
    let got = camera(120, |sender, n, stamp| {
        let pack = |nal: &Vec<u8>| match nal[0] & 31 {
            7 | 8 => sender.nal(nal, stamp.wrapping_sub(3600), nal[0] & 31 == 7),
            _ => sender.nal(nal, stamp, true),
        };
        picture(n, 50).iter().flat_map(pack).collect()
    });
    whole(&got, 120);
}

#[test]
fn dahua_messages_of_their_own_with_a_marker() {
    let sei = [&[6, 5, 20][..], &[7; 20], &[0x80]].concat();
    let got =
        camera(120, |sender, n, stamp| [sender.nal(&sei, stamp, true), sender.unit(&picture(n, 50), stamp)].concat());
    whole(&got, 120);
    assert_eq!((kinds(&got[0]), kinds(&got[1])), (vec![7, 8, 6, 5], vec![6, 1]));
}

#[test]
fn hikvision_filler_in_packets_of_its_own() {
    let filler = [&[12][..], &[0xff; 300], &[0x80]].concat();
    let got = camera(120, |sender, n, stamp| {
        [sender.unit(&picture(n, 50), stamp), sender.nal(&filler, stamp + 900, true)].concat()
    });
    whole(&got, 120);
}

#[test]
fn another_payload_type_than_is_described() {
    let other = |sender: &mut Sender| sender.payload_type = 98;
    let got = camera(120, |sender, n, stamp| {
        other(sender);
        sender.unit(&picture(n, 50), stamp)
    });
    // What came until it was clear that no other comes is lost, and with it the first GOP.
    whole(&got, 70);
    let got = camera(120, |sender, n, stamp| {
        let unit = sender.unit(&picture(n, 50), stamp);
        let mut stranger = Sender { ssrc: 9, ..*sender };
        other(&mut stranger);
        [unit, stranger.unit(&picture(n, 50), stamp)].concat()
    });
    whole(&got, 120);
    // A picture a second, of one packet each: fifty would be most of a minute.
    let mut sender = Sender { payload_type: 98, ..VIDEO };
    let unit = |n: u32| [sps(0, 40, 22, false, None), pps(0, 0), Slice { bytes: 300, order: n % 2, ..I }.nal()];
    let mut packets = Vec::new();
    for n in 0..12 {
        let stapled = unit(n).iter().flat_map(|nal| [&(nal.len() as u16).to_be_bytes()[..], nal].concat()).collect();
        let payload: Vec<u8> = [vec![24], stapled].concat();
        packets.push((i64::from(n) * 1_000_000, sender.packet(&payload, n * 90_000, true)));
    }
    assert_eq!(pictures(take(&h264_line(), true, &packets).1).len(), 8, "from the fifth on");
}

#[test]
fn foscam_no_marker() {
    let got =
        camera(120, |sender, n, stamp| picture(n, 50).iter().flat_map(|nal| sender.nal(nal, stamp, false)).collect());
    whole(&got, 120);
}

#[test]
fn foscam_no_marker_and_no_time() {
    let got = camera(120, |sender, n, _| picture(n, 50).iter().flat_map(|nal| sender.nal(nal, 0, false)).collect());
    assert_eq!(got.len(), 120);
    assert!(got.windows(2).all(|pair| (35_000..45_000).contains(&pair[1].shown.micros_since(pair[0].shown))));
}

fn four_slices(n: u32) -> Vec<Vec<u8>> {
    let mut nals = picture(n, 50);
    let last = if n.is_multiple_of(50) { I } else { Slice { frame_num: n % 50, order: n % 50 * 2, ..P } };
    nals.extend((1..4).map(|part| Slice { first_mb: part * 220, ..last }.nal()));
    nals
}

#[test]
fn axis_several_slices() {
    let got = camera(120, |sender, n, stamp| sender.unit(&four_slices(n), stamp));
    whole(&got, 120);
    assert_eq!(kinds(&got[51]), [1, 1, 1, 1]);
}

#[test]
fn grandstream_a_marker_on_every_slice() {
    let got =
        camera(120, |sender, n, stamp| four_slices(n).iter().flat_map(|nal| sender.nal(nal, stamp, true)).collect());
    whole(&got, 120);
    assert_eq!(kinds(&got[51]), [1, 1, 1, 1]);
}

#[test]
fn grandstream_a_byte_stream_in_one_unit() {
    for codes in [&[0u8, 0, 0, 1][..], &[0, 0, 1]] {
        let got = camera(120, |sender, n, stamp| {
            let joined = picture(n, 50).join(codes);
            let with_first = if n % 2 == 0 { joined } else { [codes, &joined].concat() };
            sender.nal(&with_first, stamp, true)
        });
        whole(&got, 120);
    }
}

#[test]
fn samsung_aggregates() {
    let got = camera(120, |sender, n, stamp| {
        let nals = picture(n, 50);
        let (small, large): (Vec<_>, Vec<_>) = nals.iter().partition(|nal| nal.len() < 1000);
        let mut payload = vec![0x78];
        for nal in &small {
            payload.extend((nal.len() as u16).to_be_bytes());
            payload.extend_from_slice(nal);
        }
        let mut out = vec![sender.packet(&payload, stamp, large.is_empty())];
        out.extend(large.iter().flat_map(|nal| sender.nal(nal, stamp, true)));
        out
    });
    whole(&got, 120);
}

#[test]
fn xiongmai_fragments_without_an_end() {
    let got = camera(120, |sender, n, stamp| {
        let strip = |packet: Bytes| match packet[12] & 31 {
            28 => [&packet[..13], &[packet[13] & !0x40], &packet[14..]].concat().into(),
            _ => packet,
        };
        sender.unit(&picture(n, 50), stamp).into_iter().map(strip).collect()
    });
    whole(&got, 120);
}

#[test]
fn vivotek_sets_in_the_sdp_only() {
    // The set of a 640x352 stream of the fixtures, and its PPS.
    let sets = format!("{},{}", encode(&sps(0, 40, 22, false, None)), encode(&pps(0, 0)));
    let line = line(LineKind::Video, 96, "H264", 90_000, 1, &[("sprop-parameter-sets", &sets)]);
    let mut sender = VIDEO;
    let pack = |n: u32| {
        let nals: Vec<_> = picture(n, 50).into_iter().filter(|nal| !matches!(nal[0] & 31, 7 | 8)).collect();
        sender.unit(&nals, n * 3600).into_iter().map(move |packet| (i64::from(n) * 40_000, packet))
    };
    let packets: Vec<Came> = (0..120).flat_map(pack).collect();
    let got = pictures(take(&line, true, &packets).1);
    check(&got);
    whole(&got, 120);
}

#[test]
fn bosch_a_second_set_that_other_pictures_name() {
    let got = camera(120, |sender, n, stamp| {
        let nals = match n % 50 {
            0 => vec![sps(0, 40, 22, false, None), pps(0, 0), pps(1, 0), I.nal()],
            at => vec![Slice { pps: 1, frame_num: at, order: at * 2, ..P }.nal()],
        };
        sender.unit(&nals, stamp)
    });
    whole(&got, 120);
    assert_eq!(kinds(&got[50]), [7, 8, 8, 5]);
}

#[test]
fn bosch_a_set_that_changes_between_starts() {
    let ids = Writer::default().ue(0).ue(0);
    let changed = ids.u(2, 1).ue(0).ue(0).ue(0).u(3, 0).ue(0).ue(0).ue(0).u(3, 0).nal(&[0x68]);
    let got = camera(100, |sender, n, stamp| {
        let mut nals = picture(n, 50);
        if n == 20 {
            nals.insert(0, changed.clone());
        }
        sender.unit(&nals, stamp)
    });
    assert_eq!((kinds(&got[20]), kinds(&got[21])), (vec![8, 1], vec![1]));
    let units: Vec<_> = perch_domain::h264::nal_units(&got[20].data).collect();
    assert_eq!(units[0], changed);
}

#[test]
fn half_a_set_does_not_take_the_place_of_a_whole_one() {
    let whole = pps(0, 0);
    let got = camera(100, |sender, n, stamp| {
        let mut nals = picture(n, 50);
        nals.retain(|nal| n == 0 || nal[0] != 0x68);
        if n == 20 {
            nals.insert(0, whole[..2].to_vec());
        }
        sender.unit(&nals, stamp)
    });
    assert_eq!(kinds(&got[50]), [7, 8, 5]);
    assert_eq!(perch_domain::bitstream::nal_units(&got[50].data).nth(1), Some(&whole[..]));
}

#[test]
fn uniview_another_size_in_mid_stream() {
    let got = camera(150, |sender, n, stamp| {
        let mut nals = picture(n, 50);
        if n == 50 {
            nals[0] = sps(0, 20, 11, false, None);
        }
        sender.unit(&nals, stamp)
    });
    whole(&got, 150);
    let shapes: Vec<_> = got.iter().enumerate().filter_map(|(n, p)| p.shape.map(|s| (n, s.width, s.height))).collect();
    assert_eq!(shapes, [(0, 640, 352), (50, 320, 176), (100, 640, 352)]);
}

#[test]
fn raspberry_intra_refresh_without_an_idr() {
    let sei = [6, 6, 1, 0x2c, 0x80];
    let got = camera(120, |sender, n, stamp| {
        let slice = Slice { frame_num: n, order: n * 2, ..P }.nal();
        let nals = match n % 50 {
            5 => vec![sps(0, 40, 22, false, None), pps(0, 0), sei.to_vec(), slice],
            _ => vec![slice],
        };
        sender.unit(&nals, stamp)
    });
    assert_eq!(got.len(), 115);
    assert!(got.iter().enumerate().all(|(n, picture)| picture.start == (n % 50 == 0)));
}

fn field_unit(n: u32, bottom: bool) -> Vec<Vec<u8>> {
    let at = n % 50;
    let field = Some(Some(bottom));
    match (at, bottom) {
        (0, false) => vec![sps(0, 40, 22, true, None), pps(0, 0), Slice { field, ..I }.nal()],
        (0, true) => vec![Slice { field, ..P }.nal()],
        _ => vec![Slice { field, frame_num: at, order: at * 2, ..P }.nal()],
    }
}

#[test]
fn sony_two_fields_a_frame() {
    for apart in [0, 1800] {
        let got = camera(120, |sender, n, stamp| {
            let top = sender.unit(&field_unit(n, false), stamp);
            [top, sender.unit(&field_unit(n, true), stamp + apart)].concat()
        });
        whole(&got, 120);
        assert_eq!((kinds(&got[0]), kinds(&got[51])), (vec![7, 8, 5, 1], vec![1, 1]));
        assert!(got[0].shape.is_some_and(|shape| shape.interlaced && shape.height == 352));
    }
}

#[test]
fn x264_b_frames() {
    let mut said = Vec::new();
    for reorder in [Some(1), None] {
        let got = camera(121, |sender, n, _| {
            // Decoded I P b b P b b .. : shown 0 3 1 2 6 4 5 ..
            let shown = if n == 0 { 0 } else { [(n + 2), n - 1, n - 1][(n as usize - 1) % 3] };
            let nals = match n {
                0 => vec![sps(0, 40, 22, false, reorder), pps(0, 0), I.nal()],
                _ => {
                    let is_b = (n - 1) % 3 != 0;
                    let (head, kind) = if is_b { (1, 1) } else { (0x41, 0) };
                    vec![Slice { head, kind, frame_num: n.div_ceil(3), order: shown * 2, ..P }.nal()]
                }
            };
            sender.unit(&nals, 90_000 + shown * 3600)
        });
        assert_eq!(got.len(), 121);
        let mut shown: Vec<i64> = got[10..].iter().map(|picture| picture.shown.0).collect();
        shown.sort_unstable();
        assert!(shown.windows(2).all(|pair| (39_000..41_000).contains(&(pair[1] - pair[0]))), "{reorder:?} {shown:?}");
        assert!(got[10..].iter().all(|p| p.shown.micros_since(p.decoded) < 200_000));
        assert!(got.iter().all(|p| !p.break_before));
        said.push(got.iter().filter(|p| p.shown != p.decoded).count());
    }
    assert!(said.iter().all(|count| *count > 30), "{said:?}");
}

#[test]
fn wifi_camera_loses_packets() {
    // Over UDP, one packet in 40: what is left out is what did not come.
    let mut sender = VIDEO;
    let mut packets = Vec::new();
    let mut hurt = std::collections::BTreeSet::new();
    for n in 0..500u32 {
        for (k, packet) in sender.unit(&picture(n, 50), n * 3600).into_iter().enumerate() {
            match packet[3] % 40 {
                7 => drop(hurt.insert(n)),
                _ => packets.push((i64::from(n) * 40_000 + k as i64 * 100, packet)),
            }
        }
    }
    let got = pictures(take(&h264_line(), false, &packets).1);
    check(&got);
    let first = (0..500).find(|n| n % 50 == 0 && !hurt.contains(n)).expect("a whole start");
    let lost = hurt.iter().filter(|n| **n >= first).count();
    assert_eq!(got.len(), (500 - first) as usize - lost, "{hurt:?}");
    assert!(got.iter().filter(|picture| picture.lost_before).count() >= lost / 2);
    assert!(got.iter().all(|picture| !picture.break_before), "time goes on");
}

#[test]
fn ambarella_another_source_in_mid_stream() {
    let got = camera(150, |sender, n, stamp| {
        if n == 50 {
            *sender = Sender { ssrc: 9, sequence: 3, ..*sender };
        }
        sender.unit(&picture(n, 50), if n >= 50 { stamp.wrapping_add(77_777_777) } else { stamp })
    });
    assert_eq!(got.len(), 150);
    let breaks: Vec<usize> = got.iter().enumerate().filter_map(|(n, p)| p.break_before.then_some(n)).collect();
    assert_eq!(breaks, [50]);
}

#[test]
fn hostile_sizes_and_sets() {
    let mut sender = VIDEO;
    let mut packets = Vec::new();
    for n in 0..10_000u32 {
        let set = if n % 2 == 0 { sps(n % 32, 40, 22, false, Some(n % 5)) } else { pps(n / 2 % 256, n % 32) };
        packets.extend(sender.nal(&set, 0, false).into_iter().map(|packet| (i64::from(n), packet)));
    }
    let huge = Writer::default().ue(0).ue(0).ue(0).ue(0).ue(4).u(1, 0).ue(4095).ue(4095).u(1, 1).u(2, 0).u(1, 0);
    packets.extend(sender.unit(&[huge.nal(&[0x67, 77, 0, 30])], 0).into_iter().map(|packet| (20_000, packet)));
    let huge = Writer::default().ue(0).ue(0).ue(0).ue(0).ue(4).u(1, 0).ue(4094).ue(4094).u(1, 1).u(2, 0).u(1, 0);
    packets.extend(sender.unit(&[huge.nal(&[0x67, 77, 0, 30])], 0).into_iter().map(|packet| (20_000, packet)));
    packets.extend(sender.unit(&picture(0, 50), 0).into_iter().map(|packet| (30_000, packet)));
    let (_, intake) = take(&h264_line(), true, &packets);
    let notices: Vec<_> = intake.iter().filter(|intake| matches!(intake, Intake::Notice(_))).collect();
    assert!(notices.len() == 1 && format!("{notices:?}").contains("65520x65520"), "{notices:?}");
    let got = pictures(intake);
    check(&got);
    assert_eq!(got.len(), 1);
}

#[test]
fn hostile_unit_without_an_end() {
    let mut sender = VIDEO;
    let mut packets: Vec<Came> = sender.unit(&picture(0, 50), 0).into_iter().map(|packet| (0, packet)).collect();
    let body = vec![7u8; 60_000];
    for n in 0..600u32 {
        let flags = if n == 0 { 0x81 } else { 1 };
        packets.push((i64::from(n) * 1000, sender.packet(&[&[0x5c, flags][..], &body].concat(), 3600, false)));
    }
    packets.extend(sender.unit(&picture(50, 50), 7200).into_iter().map(|packet| (2_000_000, packet)));
    let got = pictures(take(&h264_line(), true, &packets).1);
    assert_eq!(got.iter().map(|picture| picture.lost_before).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn nothing_to_start_with_is_said() {
    let mut sender = VIDEO;
    let pack = |n: u32| {
        let mut nals = vec![Slice { frame_num: n, order: n * 2, ..P }.nal()];
        if n == 0 {
            nals = vec![sps(0, 40, 22, false, None), pps(0, 0), nals.remove(0)];
        }
        sender.unit(&nals, n * 3600).into_iter().map(move |packet| (i64::from(n) * 40_000, packet))
    };
    let packets: Vec<Came> = (0..500).flat_map(pack).collect();
    let (_, mut intake) = take(&h264_line(), true, &packets);
    intake.retain(|intake| *intake != Intake::Awaits);
    assert!(matches!(&intake[..], [Intake::Notice(text)] if text.contains("keyframe")), "{intake:?}");
}

#[test]
fn packets_without_a_picture_are_said_once() {
    let mut sender = VIDEO;
    let junk = |n: u32| (i64::from(n) * 40_000, sender.packet(&[30, 1, 2, 3], n * 3600, true));
    let packets: Vec<Came> = (0..500).map(junk).collect();
    let (_, intake) = take(&h264_line(), true, &packets);
    assert!(matches!(&intake[..], [Intake::Notice(text)] if text.contains("no picture")), "{intake:?}");
}

/// Its sets come with its keyframes alone, or stand in the SDP.
#[test]
fn hikvision_a_keyframe_that_is_far() {
    let sets = format!("{},{}", encode(&sps(0, 40, 22, false, None)), encode(&pps(0, 0)));
    let with_sets = line(LineKind::Video, 96, "H264", 90_000, 1, &[("sprop-parameter-sets", &sets)]);
    for line in [h264_line(), with_sets] {
        let mut sender = VIDEO;
        let pack = |n: u32| {
            let packets = sender.unit(&picture(n, 400), n * 3600);
            packets.into_iter().map(move |packet| (i64::from(n) * 40_000, packet))
        };
        let packets: Vec<Came> = (1..500).flat_map(pack).collect();
        let (_, intake) = take(&line, true, &packets);
        let awaits = intake.iter().filter(|intake| **intake == Intake::Awaits).count();
        assert!((390..400).contains(&awaits), "{awaits} for {line:?}");
        let notices: Vec<_> = intake.iter().filter(|intake| matches!(intake, Intake::Notice(_))).collect();
        assert!(notices.len() == 1 && format!("{notices:?}").contains("keyframe"), "{notices:?}");
        let got = pictures(intake);
        check(&got);
        assert_eq!(got.len(), 100);
    }
}

/// H.265: sets of x265 (366x206, pixels of 40:33), then slices with only their heads right.
fn h265_picture(n: u32, kind: u8) -> Vec<Vec<u8>> {
    const VPS: &[u8] =
        b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x95\x90\x09";
    const SPS: &[u8] = b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0b\x88\x0d\x1d\x56\x59\x59\x12\x93\x0b\xc1\x5a\x02\x00\x00\x03\x00\x02\x00\x00\x03\x00\x32\x10";
    const PPS: &[u8] = b"\x44\x01\xc0\x73\xc1\x89";
    let is_start = (16..24).contains(&kind);
    let mut w = Writer::default().u(1, 1);
    w = if is_start { w.u(1, 0) } else { w };
    w = w.ue(0);
    for byte in 0..if is_start { 3000 } else { 200 } {
        w = w.u(8, ((n + byte) % 255) | 1);
    }
    let slice = w.nal(&[kind << 1, 1]);
    if is_start { vec![VPS.to_vec(), SPS.to_vec(), PPS.to_vec(), slice] } else { vec![slice] }
}

fn h265_nal(sender: &mut Sender, nal: &[u8], stamp: u32, marker: bool) -> Vec<Bytes> {
    if nal.len() <= 1000 {
        return vec![sender.packet(nal, stamp, marker)];
    }
    let count = nal[2..].len().div_ceil(1000);
    let fragment = |(n, part): (usize, &[u8])| {
        let flags = u8::from(n == 0) << 7 | u8::from(n + 1 == count) << 6 | nal[0] >> 1;
        sender.packet(&[&[49 << 1, nal[1], flags], part].concat(), stamp, marker && n + 1 == count)
    };
    nal[2..].chunks(1000).enumerate().map(fragment).collect()
}

#[test]
fn hikvision_h265() {
    let mut sender = VIDEO;
    let mut packets = Vec::new();
    // A random access with pictures before it that cannot be decoded at first.
    let kinds = |n: u32| {
        if n.is_multiple_of(50) {
            21
        } else if matches!(n % 50, 1 | 2) {
            9
        } else {
            1
        }
    };
    for n in 0..120 {
        let nals = h265_picture(n, kinds(n));
        for (k, nal) in nals.iter().enumerate() {
            let packed = h265_nal(&mut sender, nal, n * 3600, k + 1 == nals.len());
            packets.extend(packed.into_iter().map(|packet| (i64::from(n) * 40_000, packet)));
        }
    }
    let (offer, intake) = take(&line(LineKind::Video, 96, "H265", 90_000, 1, &[]), true, &packets);
    assert_eq!(offer.pictures, PictureCodec::H265);
    let got = pictures(intake);
    assert_eq!(got.len(), 118, "all but two leading pictures of the first start");
    let kinds = |p: &Picture| perch_domain::h265::nal_units(&p.data).map(perch_domain::h265::kind).collect::<Vec<_>>();
    assert_eq!(
        (kinds(&got[0]), kinds(&got[48]), kinds(&got[49])),
        (vec![32, 33, 34, 21], vec![32, 33, 34, 21], vec![9])
    );
    assert_eq!(
        got[0].shape,
        Some(Shape { width: 366, height: 206, pixel: (40, 33), interlaced: false, orientation: Orientation::NONE })
    );
    assert!(got.windows(2).all(|pair| pair[1].decoded > pair[0].decoded && pair[1].decoded <= pair[1].shown));
}

#[test]
fn mobotix_jpeg() {
    let mut sender = Sender { payload_type: 26, ..VIDEO };
    let mut packets = Vec::new();
    for n in 0..50u32 {
        let scan: Vec<u8> = (0..2500u32).map(|i| (i * 7 + n) as u8 & 0x7f).collect();
        for (k, part) in scan.chunks(1000).enumerate() {
            let offset = (k * 1000) as u32;
            let head = [&[0u8][..], &offset.to_be_bytes()[1..], &[1, 60, 80, 45]].concat();
            packets.push((i64::from(n) * 40_000, sender.packet(&[&head, part].concat(), n * 3600, k == 2)));
        }
    }
    packets.remove(100);
    let (offer, intake) = take(&line(LineKind::Video, 26, "JPEG", 90_000, 1, &[]), true, &packets);
    assert_eq!(offer.pictures, PictureCodec::Jpeg);
    let got = pictures(intake);
    assert_eq!(got.len(), 49);
    assert!(got.iter().all(|p| p.start && p.data.starts_with(&[0xff, 0xd8]) && p.data.ends_with(&[0xff, 0xd9])));
    assert_eq!(got.iter().filter(|p| p.lost_before).count(), 1);
    assert_eq!(got[0].shape.map(|s| (s.width, s.height)), Some((640, 360)));
}

#[test]
fn sound_beside_pictures_grows_and_is_said() {
    let lines = [h264_line(), line(LineKind::Audio, 97, "PCMA", 8_000, 1, &[])];
    let (mut tracks, offer) = Tracks::new(&lines, true);
    assert_eq!(offer.sound.map(|sound| (sound.codec, sound.rate_hz)), Some((SoundCodec::Pcma, 8_000)));
    let (mut video, mut audio, mut out) = (VIDEO, AUDIO, Vec::new());
    for n in 0..500u32 {
        let now = MonoTime(i64::from(n) * 20_000);
        if n % 2 == 0 {
            video.unit(&picture(n / 2, 50), n * 1800).into_iter().for_each(|p| tracks.rtp(now, 0, p, &mut out));
        }
        tracks.rtp(now, 1, audio.packet(&[0xd5; 160], n * 160, n == 0), &mut out);
    }
    let sound = sounds(out.clone());
    assert_eq!(sound.len(), 500);
    assert!(sound.windows(2).all(|pair| pair[1].heard.micros_since(pair[0].heard) == 20_000));
    assert!(sound.iter().all(|sound| sound.lasts.as_millis() == 20 && !sound.break_before));
    assert_eq!(pictures(out).len(), 250);
    assert!(tracks.is_foreign(0, b"RTSP/1.0 200 OK\r\n") && tracks.is_foreign(0, &audio.packet(b"", 0, false)));
    assert!(!tracks.is_foreign(1, &audio.packet(b"", 0, false)) && tracks.is_foreign(7, &[0x80; 20]));
    let report = tracks.receiver_report(MonoTime(20_000_000), 1);
    assert_eq!((report[1], &report[8..12]), (201, &0x3344u32.to_be_bytes()[..]));
}

/// Sets, and a byte stream of so many starts of a few bytes each.
fn tiny_starts(count: u32) -> Vec<u8> {
    let mut stream = vec![0x65];
    for n in 0..count {
        stream.extend([0, 0, 0, 1]);
        stream.extend(Slice { frame_num: 0, order: n % 8, bytes: 0, ..I }.nal());
    }
    stream
}

#[test]
fn hostile_unit_of_very_many_pictures() {
    let mut sender = VIDEO;
    let mut sets = vec![sps(0, 40, 22, false, None)];
    // As many bytes of sets as are taken.
    sets.extend((0..200).map(|id| [pps(id, 0), vec![0x55; 70]].concat()));
    let mut packets: Vec<Came> = sender.unit(&sets, 0).into_iter().map(|packet| (0, packet)).collect();
    packets.extend(sender.nal(&tiny_starts(200_000), 3600, true).into_iter().map(|packet| (0, packet)));
    // One packet that gathers thousands.
    let tiny = Slice { bytes: 0, ..I }.nal();
    let one: Vec<u8> = [&(tiny.len() as u16).to_be_bytes(), &tiny[..]].concat();
    packets.push((1, sender.packet(&[vec![0x78], one.repeat(6_000)].concat(), 7200, true)));
    // What is well afterwards comes again.
    for n in 0..50 {
        packets.extend(
            sender.unit(&picture(n, 50), 90_000 + n * 3600).into_iter().map(|p| (1_000_000 + i64::from(n) * 40_000, p)),
        );
    }
    let (_, intake) = take(&h264_line(), true, &packets);
    let notices: Vec<_> = intake.iter().filter(|intake| matches!(intake, Intake::Notice(_))).collect();
    assert!(notices.len() == 1 && format!("{notices:?}").contains("pictures a second"), "{notices:?}");
    let got = pictures(intake);
    let bytes: usize = got.iter().map(|picture| picture.data.len()).sum();
    assert!(got.len() < 1_100 && bytes < 24 << 20, "{} pictures, {bytes} bytes", got.len());
    check(&got);
    assert!(got.len() > 950 && even(&got[got.len() - 49..]));
}

#[test]
fn hostile_fragments_that_hold_on_to_what_was_read() {
    for (line, ordered) in
        [(h264_line(), true), (h264_line(), false), (line(LineKind::Audio, 96, "PCMA", 8_000, 1, &[]), true)]
    {
        let (mut tracks, _) = Tracks::new(&[line], ordered);
        let (mut sender, mut out, mut blocks) = (VIDEO, Vec::new(), Vec::new());
        for n in 0..3_000u32 {
            let flags = if n == 0 { 0x85 } else { 5 };
            let packet = sender.packet(&[0x7c, flags, 7], 0, false);
            // As read in one piece with much else.
            let block: Bytes = [&packet[..], &[0; 4_000]].concat().into();
            // Over UDP, every other one is missing.
            if ordered || n % 2 == 0 {
                tracks.rtp(MonoTime(i64::from(n)), 0, block.slice(..packet.len()), &mut out);
            }
            blocks.push(block);
        }
        let held = blocks.iter().filter(|block| !block.is_unique()).count();
        assert!(held <= 2, "{held} blocks");
    }
}

#[test]
fn a_clock_that_is_set_back_is_not_taken_for_b_frames() {
    // Main profile without a word of reordering; the camera's clock goes back by less than a second, twice.
    let got = camera(600, |sender, n, stamp| {
        let back = [0, 45_000, 63_000][n as usize / 200];
        sender.unit(&picture(n, 50), 900_000 + stamp - back)
    });
    assert_eq!(got.len(), 600);
    assert!(got.iter().all(|picture| picture.shown == picture.decoded && !picture.break_before));
    let steps: Vec<i64> = got.windows(2).map(|pair| pair[1].shown.micros_since(pair[0].shown)).collect();
    assert!(steps.iter().all(|step| (30_000..50_000).contains(step)), "{steps:?}");
}

#[test]
fn more_sets_than_a_recording_holds_leave_the_oldest_out() {
    use perch_domain::bitstream::{MAX_SETS, MAX_SETS_BYTES};
    // Each start with a set of another number and, now and then, a large one.
    let got = camera(600, |sender, n, stamp| {
        let id = n / 2 % 256;
        let start = [sps(0, 40, 22, false, None), [pps(id, 0), vec![0x55; if n % 16 == 0 { 900 } else { 9 }]].concat()];
        let slice = match n % 2 {
            0 => Slice { pps: id, bytes: 40, ..I },
            _ => Slice { pps: id, bytes: 40, frame_num: 1, order: 2, ..P },
        };
        let mut nals = if n % 2 == 0 { start.to_vec() } else { Vec::new() };
        nals.push(slice.nal());
        sender.unit(&nals, stamp)
    });
    assert_eq!(got.len(), 600);
    assert!(got.iter().all(|picture| !picture.break_before));
    let most = got.iter().map(|picture| kinds(picture).len() - 1).max();
    assert!(most.is_some_and(|most| (64..=MAX_SETS).contains(&most)), "{most:?}");
    assert!(got.iter().all(|picture| picture.data.len() < MAX_SETS_BYTES + 4 * MAX_SETS + 100));
}

#[test]
fn hostile_jpeg_sizes() {
    let mut sender = Sender { payload_type: 26, ..VIDEO };
    let mut packets = Vec::new();
    for n in 0..50u32 {
        let payload = [0, 0, 0, 0, 1, 60, 0, 0, 1, 2, 3, 4];
        packets.push((i64::from(n) * 40_000, sender.packet(&payload, n * 3600, true)));
    }
    for (size, count) in [("65535,65535", 0), ("16000,16000", 0), ("7680,4320", 50)] {
        let line = line(LineKind::Video, 26, "JPEG", 90_000, 1, &[("x-dimensions", size)]);
        let (_, intake) = take(&line, true, &packets);
        let notices: Vec<_> = intake.iter().filter(|intake| matches!(intake, Intake::Notice(_))).collect();
        assert_eq!(notices.len(), usize::from(count == 0), "{size}: {notices:?}");
        assert!(count > 0 || format!("{notices:?}").contains(&size.replace(',', "x")), "{notices:?}");
        assert_eq!(pictures(intake).len(), count, "{size}");
    }
}
