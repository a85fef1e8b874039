//! Credentials of TURN servers that lapse (TURN REST, draft-uberti-behave-turn-rest; coturn's `use-auth-secret`).

use aws_lc_rs::hmac;
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_domain::viewers::turn_lapses_at_s;
use std::fmt::Display;

/// The name and the password that are made of `secret` now, for `whom`.
pub fn credential(secret: &str, now: Timestamp, whom: &dyn Display) -> (String, Secret) {
    let username = format!("{}:{whom}", turn_lapses_at_s(now));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let password = base64(hmac::sign(&key, username.as_bytes()).as_ref());
    (username, Secret::new(password))
}

/// Standard base64 with padding (RFC 4648, section 4).
fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0u32, |acc, (i, b)| acc | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let index = (bits >> (18 - 6 * i)) & 63;
            out.push(if i <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_coturn_computes() {
        // printf 1700000600:f00d | openssl dgst -sha1 -hmac north -binary | base64
        let (username, password) = credential("north", Timestamp(1_700_000_000_000_000), &"f00d");
        assert_eq!(username, "1700000600:f00d");
        assert_eq!(password.expose(), "l7dpIRm8evwVSditGWhW7Lc7GvU=");
    }

    #[test]
    fn base64_test_vectors() {
        for (text, want) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text.as_bytes()), want);
        }
    }
}
