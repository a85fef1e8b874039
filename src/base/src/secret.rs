//! Secrets that never print, random values, and the hash under which tokens are stored.

use std::fmt;

/// A value that prints as `***` and is not serialisable, so it cannot reach a log or a route by accident.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A bearer token or cookie value: 256 random bits as 64 hex digits.
pub fn new_token() -> Secret {
    Secret::new(hex(&random_bytes::<32>()))
}

/// SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// SHA-256 of what comes piece by piece.
pub struct RunningSha256(aws_lc_rs::digest::Context);

impl Default for RunningSha256 {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}

impl RunningSha256 {
    /// Goes on with these bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Of all of them.
    pub fn finish(self) -> [u8; 32] {
        self.0.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

/// `N` bytes from the system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).expect("the system's random generator answers");
    out
}

/// A uniform random number below `bound` (`bound` > 0), by rejection.
pub fn random_below(bound: u64) -> u64 {
    let zone = u64::MAX - u64::MAX % bound;
    loop {
        let n = u64::from_be_bytes(random_bytes::<8>());
        if n < zone {
            return n % bound;
        }
    }
}

/// Lower-case hex.
pub fn hex(data: &[u8]) -> String {
    use fmt::Write;
    data.iter().fold(String::with_capacity(data.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Compares without telling by its time where two values differ.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn tokens_are_256_bit_and_differ() {
        let (a, b) = (new_token(), new_token());
        assert_eq!(a.expose().len(), 64);
        assert_ne!(a, b);
    }

    #[test]
    fn random_below_stays_below() {
        assert!((0..1000).all(|_| random_below(10) < 10));
    }
}
