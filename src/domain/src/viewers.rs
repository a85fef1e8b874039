//! How many may watch live at once, by WebRTC and by RTSP. Who may watch what is [`crate::access`]'s to say.

use perch_base::{Error, ErrorKind, Result};

/// RTSP readers at most: connections that gave a valid password.
pub const MAX_READERS: usize = 64;

/// Whether one more RTSP reader is served beside `others`.
pub fn has_room_for_reader(others: usize) -> bool {
    others < MAX_READERS
}

/// How many live sessions are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewerLimits {
    /// In all.
    pub all: usize,
    /// Of one device.
    pub per_device: usize,
}

impl Default for ViewerLimits {
    /// A device may show a wall of cameras.
    fn default() -> Self {
        Self { all: 64, per_device: 16 }
    }
}

impl ViewerLimits {
    /// Whether one more session is served beside `all`, of which `of_device` are of the same device. Errors with `RateLimited` and what
    /// to do. The newcomer is refused and nobody sent away: whoever is gone gives its place back when its lease lapses.
    pub fn admit(&self, all: usize, of_device: usize) -> Result<()> {
        let why = if all >= self.all {
            format!("{all} viewers watch already, no more are served: close one of them")
        } else if of_device >= self.per_device {
            format!("this device has {of_device} live views open, no more are served: close one of them")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::RateLimited, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in_to_watch() {
        let limits = ViewerLimits { all: 5, per_device: 2 };
        for (all, of_device, refused) in [
            (0, 0, None),
            (4, 1, None),
            (5, 0, Some("5 viewers watch already")),
            (4, 2, Some("this device has 2 live views open")),
            (9, 9, Some("9 viewers watch already")),
        ] {
            let admitted = limits.admit(all, of_device);
            match refused {
                None => admitted.expect("let in"),
                Some(why) => {
                    let e = admitted.expect_err("too many");
                    assert_eq!(e.kind(), ErrorKind::RateLimited);
                    assert!(e.message().starts_with(why), "{e}");
                }
            }
        }
        let limits = ViewerLimits::default();
        assert!(limits.per_device < limits.all, "no device takes all places");
    }

    #[test]
    fn readers_are_counted_beside_others() {
        assert!(has_room_for_reader(0) && has_room_for_reader(MAX_READERS - 1) && !has_room_for_reader(MAX_READERS));
    }
}
