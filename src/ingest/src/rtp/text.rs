//! Values of SDP parameters: base64, hexadecimal, numbers, sizes. Lenient where cameras are sloppy.

/// Longest value that is decoded.
const MAX_BYTES: usize = 64 << 10;

/// Base64 (RFC 4648 4 and 5), with or without padding. `None` where another character stands in it.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for c in text.trim().bytes().take(MAX_BYTES) {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

/// Hexadecimal digits, two a byte; an odd last one is the high half.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.trim().chars().take(MAX_BYTES).map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let bytes = digits?.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect::<Vec<_>>();
    (!bytes.is_empty()).then_some(bytes)
}

/// A number of at most 32 bits.
pub(crate) fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}

/// Two numbers with something between (`1920,1080`, `1920x1080`, `96 1920-1080`): the last two.
pub(crate) fn size(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.rsplit(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let (height, width) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    (width > 0 && height > 0).then_some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_cameras_write_them() {
        assert_eq!(from_base64("Z0LADQ=="), Some(vec![0x67, 0x42, 0xc0, 0x0d]));
        assert_eq!(from_base64("Z0LADQ"), Some(vec![0x67, 0x42, 0xc0, 0x0d]));
        assert_eq!((from_base64("Z0 L"), from_base64("")), (None, Some(vec![])));
        assert_eq!(
            (from_hex("1408"), from_hex("141"), from_hex("1g"), from_hex("")),
            (Some(vec![0x14, 8]), Some(vec![0x14, 0x10]), None, None)
        );
        assert_eq!(
            (size("1920,1080"), size("26 2592-1944"), size("0x5"), size("7")),
            (Some((1920, 1080)), Some((2592, 1944)), None, None)
        );
        assert_eq!((number(" 13"), number("-1")), (Some(13), None));
    }
}
