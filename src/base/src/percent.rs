//! Percent-encoding of addresses (RFC 3986, section 2.1).

/// The bytes that a text stands for; what is no percent-encoding stands for itself.
pub fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_none_stands_for_itself() {
        for (text, want) in [("p%40s", "p@s"), ("100%", "100%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("", "")] {
            assert_eq!(decoded(text), want.as_bytes(), "{text}");
        }
    }
}
