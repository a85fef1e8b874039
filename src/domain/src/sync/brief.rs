//! How copying is, in a word.

use serde::Serialize;

/// How copying to one target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyingState {
    /// The store was not reached yet.
    Starting,
    /// Something is being copied.
    Copying,
    /// Everything that is to be copied is there.
    UpToDate,
    /// Something is to be copied and waits for its time: a schedule, a budget, or until nobody watches.
    Waiting,
    /// It failed and is tried again.
    Failing,
    /// It failed in a way that only a person can mend.
    Stopped,
}

perch_base::all_of!(CopyingState { Starting, Copying, UpToDate, Waiting, Failing, Stopped });

/// How copying is, as the whole box says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopiesBrief {
    /// Stores that copies go to; 0 where nothing is copied, and for whoever does not manage the box.
    pub stores: usize,
    /// How the one is that is worst off.
    pub state: Option<CopyingState>,
    /// What somebody must see to; empty where nothing is.
    pub alarm: String,
}
