//! The recorder's decisions. [`Recorder`] is the machine of one camera: it takes parts of the stream, marks and what became of the last
//! steps, and says what to do next; the shell obeys. [`parts`] says where the stream is cut into parts, [`files`] which part goes into which
//! file, [`session`] everything around it: gaps and their causes, pauses, silence, set clocks, mode `off`, the state that people see.
//! [`marks`] is what waits for it.

mod anchor;
mod files;
mod marks;
pub mod parts;
mod session;
mod terms;

#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod session_tests;

pub use anchor::{MAX_DRIFT, TimeAnchor};
pub use marks::{EventMark, Marks};
pub use session::{HUNG_AFTER, RETRY_AFTER, Recorder, SILENT_AFTER};
pub use terms::{
    Fate, Format, Input, LONGEST_FILE, Note, Now, Part, RecordConfig, RecordMode, RecordingState, RecordingStatus, Step,
};
