//! What the tests of the whole box share: a box as a process, an HTTPS client, ffmpeg, a WHEP viewer. No test lives here.
#![allow(dead_code, reason = "each test program uses a part of this")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests start the box and players as processes, and look again after a while"
)]

pub mod client;
pub mod ffmpeg;
pub mod home;
pub mod rauc;
pub mod rtsp_reader;
pub mod whep;

use std::time::{Duration, Instant};

/// Asks `look` again until it has something to say, the less often the longer it has waited: a look is often a request over TLS,
/// and many tests wait at once. Panics with `what` when `within` has passed.
#[track_caller]
pub fn wait_until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        let waited = started.elapsed();
        assert!(waited < within, "not within {within:?}: {what}");
        std::thread::sleep((waited / 10).clamp(Duration::from_millis(40), Duration::from_millis(250)));
    }
}

/// Seconds, shorter.
pub fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Whether the long versions of the tests were asked for (`PERCH_TEST_LONG=1`).
pub fn long() -> bool {
    std::env::var("PERCH_TEST_LONG").is_ok_and(|v| v == "1")
}

/// Says that something was not tested, and why, where a person who reads the output will see it.
pub fn skipped(what: &str, why: &str) {
    use std::io::Write;
    // Not `eprintln!`, which the test runner keeps to itself while tests pass.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
}

/// Numbers without a pattern that a failing run prints, so that it can be run again (xorshift64).
pub struct Chance(u64);

impl Chance {
    /// From `PERCH_TEST_SEED`, else from the clock.
    pub fn new() -> Self {
        let clock = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(1, |d| d.as_nanos() as u64 | 1)
        };
        let seed = std::env::var("PERCH_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(clock);
        eprintln!("PERCH_TEST_SEED={seed}");
        Self(seed)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// Any bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.below(u64::MAX).to_le_bytes());
        words.take(len.div_ceil(8)).flatten().take(len).collect()
    }
}
