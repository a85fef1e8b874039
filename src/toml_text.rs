//! TOML that a person wrote: whatever encoding an editor saved it in, and the line of a mistake. No refusal repeats the line: it may
//! hold a password. What the keys mean is said elsewhere.

use perch_base::{Error, Result};
use toml::Table;

/// The text of a file, whose encoding is UTF-8, with or without a byte order mark. Errors with [`perch_base::ErrorKind::Invalid`],
/// saying what it is instead.
pub fn decode(mut bytes: Vec<u8>) -> Result<String> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.contains(&0);
    match String::from_utf8(bytes) {
        Ok(text) if !is_utf16 => Ok(text),
        Err(e) if !is_utf16 => {
            let line = line_of(e.as_bytes(), e.utf8_error().valid_up_to());
            Err(Error::invalid(format!("it is not UTF-8 in line {line}: save it with the encoding UTF-8")))
        }
        _ => Err(Error::invalid(
            "it looks like UTF-16: save it with the encoding UTF-8 (in Windows' editor: Save as, Encoding)",
        )),
    }
}

/// Errors with [`perch_base::ErrorKind::Invalid`], naming the line.
pub fn parse(text: &str) -> Result<Table> {
    text.parse().map_err(|e: toml::de::Error| {
        let line = line_of(text.as_bytes(), e.span().map_or(0, |span| span.start));
        Error::invalid(format!("it is not TOML: line {line}: {}", e.message()))
    })
}

/// The line, counted from 1, in which the byte `at` stands.
fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|b| **b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_named() {
        let utf16 = |order: fn(u16) -> [u8; 2], mark: &[u8]| {
            [mark, &"[box]".encode_utf16().flat_map(order).collect::<Vec<_>>()].concat()
        };
        for bytes in
            [utf16(u16::to_le_bytes, b"\xff\xfe"), utf16(u16::to_be_bytes, b"\xfe\xff"), utf16(u16::to_le_bytes, b"")]
        {
            let e = decode(bytes).expect_err("refused");
            assert!(e.message().contains("UTF-16: save it with the encoding UTF-8"), "{e}");
        }
        let e = decode(b"a = 1\nb = \"\xe4\"\n".to_vec()).expect_err("Latin-1");
        assert!(e.message().contains("line 2"), "{e}");
        assert_eq!(decode(b"\xef\xbb\xbfa = 1".to_vec()).expect("a mark is no harm"), "a = 1");
    }

    #[test]
    fn a_mistake_is_named_by_its_line_alone() {
        for text in ["a = 1\npassword = \"S3CRET", "a = 1\nS3CRET", "a = 1\na = \"S3CRET\"", "S3CRET = 1\nS3CRET = 2"] {
            let e = parse(text).expect_err(text);
            assert!(e.message().starts_with("it is not TOML: line 2: ") && !e.to_string().contains("S3CRET"), "{e}");
        }
    }
}
