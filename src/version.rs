//! Which program this is.

/// The version, as in Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, 12 hex digits, or `unknown`.
pub const COMMIT: &str = env!("PERCH_BUILD_COMMIT");
/// Both, for people: `0.1.0 (abcdef123456)`.
pub const LONG: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("PERCH_BUILD_COMMIT"), ")");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_shown() {
        let is_hash = COMMIT.len() == 12 && COMMIT.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_hash || COMMIT == "unknown", "{COMMIT}");
        assert!(LONG.starts_with(VERSION) && LONG.ends_with(&format!("({COMMIT})")));
    }
}
