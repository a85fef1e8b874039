//! What `perch check` prints: line after line, and how many are wrong.

use perch_domain::probe::{Judgement, Weight};

/// Prints and counts.
#[derive(Default)]
pub(super) struct Report {
    wrong: u32,
}

impl Report {
    /// How many things are wrong.
    pub(super) fn wrong(&self) -> u32 {
        self.wrong
    }

    /// Something works.
    pub(super) fn good(&self, what: &str) {
        say!("  ok     {what}");
    }

    /// Something is odd and keeps nothing from working.
    pub(super) fn warn(&self, what: &str, fix: &str) {
        say!("  note   {what}\n         {fix}");
    }

    /// Says of what `name` means what was judged of it; advice is for whoever sets it up.
    pub(super) fn tell(&mut self, name: &str, judged: &Judgement) {
        let what = format!("{name}: {}", judged.what);
        match judged.weight {
            Weight::Good => self.good(&what),
            Weight::Advice => {}
            Weight::Odd => self.warn(&what, &judged.change),
            Weight::Bad => self.bad(&what, &judged.change),
        }
    }

    /// Something keeps the box from working.
    pub(super) fn bad(&mut self, what: &str, fix: &str) {
        self.wrong += 1;
        say!("  WRONG  {what}\n         {fix}");
    }
}
