//! Which of a camera's pictures the detector looks at.

/// Keeps about so many pictures a second by their time stamps.
#[derive(Clone, Debug)]
pub struct Thinner {
    interval_ns: u64,
    next_ns: Option<u64>,
}

impl Thinner {
    /// Keeps `fps` pictures a second; all of them where `fps` is not above zero.
    pub fn new(fps: f64) -> Self {
        let interval_ns = if fps > 0.0 && fps.is_finite() { (1e9 / fps) as u64 } else { 0 };
        Self { interval_ns, next_ns: None }
    }

    /// Whether [`Thinner::keep`] would keep the picture at `pts_ns`.
    pub fn would_keep(&self, pts_ns: u64) -> bool {
        self.clone().keep(pts_ns)
    }

    /// Whether the picture at `pts_ns`, nanoseconds of any time line, is one to keep.
    pub fn keep(&mut self, pts_ns: u64) -> bool {
        // A picture a little early counts, or a rate that just fits would lose every other one to rounding.
        let slack_ns = (self.interval_ns / 20).min(5_000_000);
        match self.next_ns {
            // A jump back is a new time line.
            Some(next) if pts_ns + slack_ns < next && next - pts_ns <= self.interval_ns * 2 => false,
            Some(next) if pts_ns < next + self.interval_ns && pts_ns + slack_ns >= next => {
                self.next_ns = Some(next + self.interval_ns);
                true
            }
            _ => {
                self.next_ns = Some(pts_ns + self.interval_ns);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_asked_rate() {
        for (source, wanted, kept) in
            [(30.0, 5.0, 50), (25.0, 5.0, 50), (12.0, 5.0, 50), (5.0, 5.0, 50), (4.0, 5.0, 40), (10.0, 0.0, 100)]
        {
            let mut t = Thinner::new(wanted);
            let n = (0..(source * 10.0) as u64).filter(|i| t.keep((*i as f64 * 1e9 / source) as u64)).count();
            assert!((n as i64 - kept).abs() <= 1, "{source} -> {wanted}: {n}");
        }
        let mut t = Thinner::new(5.0);
        assert!(t.keep(100_000_000_000));
        assert!(t.keep(0), "a new time line starts at once");
    }
}
