//! What others ask of the comparison of index and files while it goes on. Its steps are in `reconcile`.

use crate::Recordings;
use crate::files::parse_recording_path;
use crate::progress::{Folder, OpenReport, Progress};
use perch_base::ids::SegmentId;
use perch_base::time::Timestamp;
use perch_domain::status::TakingIn;

impl Recordings {
    /// What was found and repaired since the start. Empty for [`Store::open_for_cli`].
    pub fn open_report(&self) -> OpenReport {
        self.state().progress.report.clone()
    }

    pub(crate) fn report_replaced(&self, aside: Option<String>) {
        self.state().progress.report.database_replaced = aside;
    }

    /// How far recordings and index were compared; `None` when that is done.
    pub(crate) fn taking_in(&self) -> Option<TakingIn> {
        let p = &self.state().progress;
        self.is_comparing_with(p).then_some(TakingIn { files_done: p.files_done, files_total: p.files_total })
    }

    pub(crate) fn is_comparing_with(&self, p: &Progress) -> bool {
        p.started.is_some()
            && (!p.is_closed || !p.strangers.is_empty() || p.folders.as_ref().is_none_or(|f| !f.is_empty()))
    }

    /// When this process started, and the newest row then.
    pub(crate) fn started(&self) -> (Timestamp, SegmentId) {
        self.state().progress.started.unwrap_or_else(|| (self.now(), SegmentId(i64::MAX)))
    }

    /// Before this moment every file is known to the index. `None`: all files are.
    pub(crate) fn known_before(&self) -> Option<Timestamp> {
        let p = &self.state().progress;
        if !self.is_comparing_with(p) {
            return None;
        }
        let oldest = p.folders.as_ref().map(|f| f.front().and_then(Folder::begins));
        let stranger = p.strangers.first().and_then(|path| parse_recording_path(path)).map(|(_, at)| at);
        match oldest {
            None => Some(Timestamp(i64::MIN)),
            Some(oldest) => oldest.into_iter().chain(stranger).min(),
        }
    }
}
