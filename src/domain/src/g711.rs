//! G.711 (ITU-T G.711): how most cameras want to be spoken to. Samples of 16 bits become one octet each.

/// What is added before a segment is looked for (mu-law).
const BIAS: i32 = 0x84;
/// The loudest that mu-law has.
const CLIP: i32 = 32_635;

/// A sample in mu-law.
pub fn mulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let level = i32::from(sample).abs().min(CLIP) + BIAS;
    // The place of the highest bit that is set, 7 to 14, is the segment.
    let segment = (24 - level.leading_zeros() as i32).clamp(0, 7);
    let step = (level >> (segment + 3)) & 0x0f;
    !(sign | (segment as u8) << 4 | step as u8)
}

/// A sample in A-law.
pub fn alaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    // Of 13 bits; -1 is the first below nothing.
    let level = if sample < 0 { !i32::from(sample) } else { i32::from(sample) } >> 3;
    let segment = (27 - level.leading_zeros() as i32).clamp(0, 7);
    let shift = if segment < 2 { 1 } else { segment };
    let step = (level >> shift) & 0x0f;
    (sign | (segment as u8) << 4 | step as u8) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As receivers read it.
    fn of_mulaw(octet: u8) -> i32 {
        let octet = !octet;
        let (segment, step) = (i32::from(octet >> 4 & 7), i32::from(octet & 0x0f));
        let level = (((step << 3) + BIAS) << segment) - BIAS;
        if octet & 0x80 != 0 { -level } else { level }
    }

    fn of_alaw(octet: u8) -> i32 {
        let octet = octet ^ 0x55;
        let (segment, step) = (i32::from(octet >> 4 & 7), i32::from(octet & 0x0f));
        let level = match segment {
            0 => (step << 4) + 8,
            n => ((step << 4) + 0x108) << (n - 1),
        };
        if octet & 0x80 != 0 { level } else { -level }
    }

    #[test]
    fn every_sample_comes_back_as_near_as_its_segment_allows() {
        for sample in i16::MIN..=i16::MAX {
            let level = i32::from(sample).abs();
            // Half a step of the segment, which is a sixteenth of its range.
            let near = (level / 16).max(16) + 4;
            for (law, back) in [("mu", of_mulaw(mulaw(sample))), ("A", of_alaw(alaw(sample)))] {
                let off = (back - i32::from(sample)).abs();
                assert!(off <= near || level > CLIP && off <= near + 1000, "{law}: {sample} came back as {back}");
            }
        }
        assert_eq!((mulaw(0), alaw(0)), (0xff, 0xd5), "silence");
    }
}
