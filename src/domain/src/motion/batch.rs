//! Which of a camera's encoded pictures are decoded, and when, where only few of them are looked at. Those that lead to a wanted one wait
//! for it: a decoder that wakes for each costs more, and the wanted one comes as soon. What leads to nothing is not decoded at all.

/// So many pictures wait at most.
const MOST: usize = 60;

/// What an encoded picture is to those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureRole {
    /// It and all after it are decoded without anything before it.
    Start,
    /// Others may be decoded from it.
    Reference,
    /// No other is decoded from it.
    Disposable,
}

/// Encoded pictures that wait for one that is wanted.
#[derive(Clone, Debug)]
pub struct Batch<T>(Vec<T>);

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Batch<T> {
    /// Takes the next picture of a stream, in the order of decoding. Returns those that are decoded now, in order.
    pub fn take(&mut self, picture: T, role: PictureRole, is_wanted: bool) -> Vec<T> {
        if role == PictureRole::Start {
            self.0.clear();
        }
        if is_wanted || role != PictureRole::Disposable {
            self.0.push(picture);
        }
        if is_wanted || self.0.len() >= MOST { std::mem::take(&mut self.0) } else { Vec::new() }
    }

    /// Forgets those that wait: something before them is missing.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is decoded at each of the pictures `(name, role, is wanted)`.
    fn decoded(pictures: &str) -> Vec<String> {
        let mut batch = Batch::default();
        let each = pictures.split(' ').map(|picture| {
            let role = match picture.chars().next() {
                Some('I') => PictureRole::Start,
                Some('b') => PictureRole::Disposable,
                _ => PictureRole::Reference,
            };
            batch.take(picture, role, picture.ends_with('!')).join(" ")
        });
        each.collect()
    }

    #[test]
    fn pictures_wait_for_the_wanted_one_and_those_that_lead_nowhere_are_left_out() {
        for (pictures, want) in [
            ("I! p p p p! p", &["I!", "", "", "", "p p p p!", ""][..]),
            ("I! p p I p p!", &["I!", "", "", "", "", "I p p!"]),
            ("I! I I I!", &["I!", "", "", "I!"]),
            ("I! b p b p! b b!", &["I!", "", "", "", "p p!", "", "b!"]),
            ("p! p! p!", &["p!", "p!", "p!"]),
        ] {
            assert_eq!(decoded(pictures), want, "{pictures}");
        }
    }

    #[test]
    fn no_more_wait_than_the_decoder_takes_at_once() {
        let mut batch = Batch::default();
        let sizes = (0..3 * MOST).map(|n| batch.take(n, PictureRole::Reference, false).len());
        assert_eq!(sizes.filter(|size| *size > 0).collect::<Vec<_>>(), [MOST; 3]);
        batch.take(0, PictureRole::Reference, false);
        batch.clear();
        assert_eq!(batch.take(7, PictureRole::Reference, true), [7]);
    }
}
