//! Whether bytes are an Opus packet (RFC 6716, section 3): decoders are handed only those that are, as some lose their footing over others.

use std::time::Duration;

/// The largest frame, bytes (RFC 6716, section 3.2.1).
const MAX_FRAME_BYTES: usize = 1275;
/// The longest packet (R5).
const MAX_DURATION: Duration = Duration::from_millis(120);

/// How long a packet lasts; `None`: it is malformed (RFC 6716, section 3.4, R1 to R7).
pub fn duration_of(packet: &[u8]) -> Option<Duration> {
    let (toc, rest) = packet.split_first()?;
    let frame_us = frame_us(toc >> 3);
    let fits = |bytes: usize| bytes <= MAX_FRAME_BYTES;
    let frames = match toc & 3 {
        0 => fits(rest.len()).then_some(1)?,
        1 => (rest.len().is_multiple_of(2) && fits(rest.len() / 2)).then_some(2)?,
        2 => {
            let (first, rest) = frame_bytes(rest)?;
            let second = rest.len().checked_sub(first)?;
            fits(second).then_some(2)?
        }
        _ => many(rest)?,
    };
    let lasts = Duration::from_micros(frame_us * frames);
    (lasts <= MAX_DURATION).then_some(lasts)
}

/// Microseconds of a frame of this configuration (table 2).
fn frame_us(config: u8) -> u64 {
    let (of_silk, of_hybrid, of_celt) =
        ([10_000, 20_000, 40_000, 60_000], [10_000, 20_000], [2_500, 5_000, 10_000, 20_000]);
    match config {
        0..12 => of_silk[usize::from(config % 4)],
        12..16 => of_hybrid[usize::from(config % 2)],
        _ => of_celt[usize::from(config % 4)],
    }
}

/// The length of a frame that is said, and what follows (section 3.2.1).
fn frame_bytes(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [first @ 0..252, rest @ ..] => Some((usize::from(*first), rest)),
        [first, second, rest @ ..] => Some((usize::from(*second) * 4 + usize::from(*first), rest)),
        _ => None,
    }
}

/// How many frames there are in a packet of code 3 (section 3.2.5).
fn many(bytes: &[u8]) -> Option<u64> {
    let (count, mut rest) = bytes.split_first()?;
    let frames = usize::from(count & 0x3f);
    if count & 0x40 != 0 {
        let mut padding = 0;
        loop {
            let (more, after) = rest.split_first()?;
            rest = after;
            if *more != 255 {
                padding += usize::from(*more);
                break;
            }
            padding += 254;
        }
        rest = rest.get(..rest.len().checked_sub(padding)?)?;
    }
    if frames == 0 {
        return None;
    }
    if count & 0x80 == 0 {
        let fits = rest.len().is_multiple_of(frames) && rest.len() / frames <= MAX_FRAME_BYTES;
        return fits.then_some(frames as u64);
    }
    let mut said = 0;
    for _ in 1..frames {
        let (bytes, after) = frame_bytes(rest)?;
        (said, rest) = (said + bytes, after);
    }
    let last = rest.len().checked_sub(said)?;
    (last <= MAX_FRAME_BYTES).then_some(frames as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_told_from_what_is_none() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let table: [(&[u8], Option<Duration>); 20] = [
            (&[], None),
            (&[0x78], ms(20)),
            (&[0x08, 1, 2], ms(20)),
            (&[0xe0], Some(Duration::from_micros(2500))),
            (&[0x18; 1276], ms(60)),
            (&[0x18; 1277], None),
            (&[0x79, 1, 2], ms(40)),
            (&[0x79, 1], None),
            (&[0x7a, 1, 9, 9], ms(40)),
            (&[0x7a, 3, 9, 9], None),
            (&[0x7a, 252], None),
            (&[0x7a], None),
            (&[0x7b], None),
            (&[0x7b, 0], None),
            (&[0x7b, 3, 1, 1, 1], ms(60)),
            (&[0x7b, 3, 1, 1], None),
            (&[0x7b, 7], None),
            (&[0x7b, 0x82, 1, 5, 6, 7], ms(40)),
            (&[0x7b, 0x82, 9, 5], None),
            (&[0x7b, 0x41, 2, 9, 0, 0], ms(20)),
        ];
        for (packet, lasts) in table {
            assert_eq!(duration_of(packet), lasts, "{packet:x?}");
        }
        assert_eq!(duration_of(&[0x7b, 0x41, 200, 9]), None, "more padding than there is");
        assert_eq!(duration_of(&[0x1b, 3, 0, 0, 0]), None, "180 ms");
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(lasts) = duration_of(&bytes) {
                prop_assert!(lasts <= MAX_DURATION && !lasts.is_zero());
            }
        }
    }
}
