//! What an Opus packet's first bytes say (RFC 6716, 3.1): its length and its channels.

/// Samples at 48 kHz; `None` when the packet is empty or its framing is not one of RFC 6716.
pub(crate) fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config % 4)],
        config @ 12..=15 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|n| (120..=5760).contains(n))
}

/// 1 or 2.
pub(crate) fn channels(packet: &[u8]) -> u8 {
    match packet.first() {
        Some(toc) if toc & 4 != 0 => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_toc() {
        assert_eq!(samples(&[0x78]), Some(960), "hybrid, 20 ms");
        assert_eq!(samples(&[0xfc]), Some(960), "CELT full band, 20 ms, stereo");
        assert_eq!(channels(&[0xfc]), 2);
        assert_eq!(samples(&[0x08]), Some(960), "SILK, 20 ms");
        assert_eq!(samples(&[0xf9]), Some(1920), "two frames");
        assert_eq!(samples(&[0xfb, 3]), Some(2880), "three frames");
        for bad in [&[][..], &[0xfb], &[0xfb, 0], &[0xfb, 63]] {
            assert_eq!(samples(bad), None, "{bad:?}");
        }
    }
}
