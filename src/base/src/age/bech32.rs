//! Bech32 (BIP 173), as age writes its keys: without the limit of 90 characters.

const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECK_DIGITS: usize = 6;

fn polymod(values: impl IntoIterator<Item = u8>) -> u32 {
    const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.into_iter().fold(1, |check, value| {
        let top = check >> 25;
        let shifted = (check & 0x1ff_ffff) << 5 ^ u32::from(value);
        let set = GENERATORS.iter().enumerate().filter(|(bit, _)| top >> bit & 1 == 1);
        set.fold(shifted, |check, (_, generator)| check ^ generator)
    })
}

fn expanded(prefix: &str) -> impl Iterator<Item = u8> {
    prefix.bytes().map(|b| b >> 5).chain([0]).chain(prefix.bytes().map(|b| b & 31))
}

/// Regroups bits; `None` where bits are left over that are not zero, or are too many.
fn regroup(values: &[u8], from: u32, to: u32, pad: bool) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0u32, 0, Vec::new());
    for value in values {
        bits = (bits << from | u32::from(*value)) & 0xffff;
        held += from;
        while held >= to {
            held -= to;
            out.push((bits >> held & ((1 << to) - 1)) as u8);
        }
    }
    let rest = bits << (to - held) & ((1 << to) - 1);
    match pad {
        true if held > 0 => out.push(rest as u8),
        false if held >= from || rest != 0 => return None,
        _ => {}
    }
    Some(out)
}

/// `data` behind a prefix of lower-case letters.
pub(super) fn encode(prefix: &str, data: &[u8]) -> String {
    let values = regroup(data, 8, 5, true).unwrap_or_default();
    let check = polymod(expanded(prefix).chain(values.iter().copied()).chain([0; CHECK_DIGITS])) ^ 1;
    let check = (0..CHECK_DIGITS).map(|n| (check >> (5 * (5 - n)) & 31) as u8);
    let digits = values.iter().copied().chain(check).map(|v| char::from(DIGITS[usize::from(v)]));
    format!("{prefix}1{}", digits.collect::<String>())
}

/// What stands behind this prefix, in lower case or in upper case throughout. `None` when it is anything else, or mistyped.
pub(super) fn decode(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|b| is(&b));
    if has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let digits = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let value = |b: u8| DIGITS.iter().position(|d| *d == b).map(|at| at as u8);
    let values: Vec<u8> = digits.bytes().map(value).collect::<Option<_>>()?;
    if values.len() < CHECK_DIGITS || polymod(expanded(prefix).chain(values.iter().copied())) != 1 {
        return None;
    }
    regroup(&values[..values.len() - CHECK_DIGITS], 5, 8, false)
}
