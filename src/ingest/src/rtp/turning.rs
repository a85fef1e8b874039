//! How long a camera's word holds that its pictures are to be turned.

use perch_domain::orientation::Orientation;

/// So many starts in a row without a word of how pictures are turned: they are not any more. By the standards the first one ends it;
/// cameras do not say it each time, and other players believe them until they say something else.
const TURNED_NO_MORE: u32 = 8;

/// How pictures are turned.
#[derive(Debug, Default)]
pub(crate) struct Turning {
    /// Of those that came since the last start.
    now: Orientation,
    /// What was said last.
    said: Orientation,
    /// Starts since then.
    starts: u32,
}

impl Turning {
    /// How the pictures since the last start are turned.
    pub fn now(&self) -> Orientation {
        self.now
    }

    /// A picture says this of it. Whether it is a start at which that must be said in its place.
    pub fn picture(&mut self, said: Option<Orientation>, is_start: bool) -> bool {
        self.starts = if said.is_some() { 0 } else { self.starts.saturating_add(u32::from(is_start)) };
        self.said = said.unwrap_or(if self.starts < TURNED_NO_MORE { self.said } else { Orientation::NONE });
        // What leads on from a start is turned like it: a file says it once.
        if is_start {
            self.now = self.said;
        }
        is_start && said.is_none() && self.now != Orientation::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_until_another_is_said_or_none_for_long() {
        let mut turning = Turning::default();
        let (side, head) =
            (Orientation { quarters: 1, ..Orientation::NONE }, Orientation { quarters: 2, ..Orientation::NONE });
        let mut see = |said, is_start| (turning.picture(said, is_start), turning.now());
        assert_eq!(see(None, true), (false, Orientation::NONE));
        assert_eq!(see(Some(side), true), (false, side), "said in the start itself");
        assert_eq!((see(None, false), see(None, true)), ((false, side), (true, side)));
        assert_eq!(see(Some(head), false), (false, side), "from the next start on");
        assert_eq!(see(None, true), (true, head));
        assert_eq!(see(Some(Orientation::NONE), true), (false, Orientation::NONE), "cancelled");
        assert_eq!(see(Some(side), true), (false, side));
        for _ in 1..TURNED_NO_MORE {
            assert_eq!(see(None, true), (true, side));
        }
        assert_eq!(see(None, true), (false, Orientation::NONE));
    }
}
