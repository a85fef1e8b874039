//! What a packager hands the parts of a stream to.

use bytes::Bytes;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::live_hls::{LiveCutter, LiveView};
use perch_domain::live_window::LivePart;
use perch_media::fanout::Hub;
use std::sync::Arc;

/// Where the parts of a stream go.
pub trait Packaged: Send + Sync + 'static {
    /// What the fan-out calls it.
    const NAME: &str;

    /// The fan-out that it is of, while that is there.
    fn hub(&self) -> Option<Arc<Hub>>;
    /// Which stream, with sound or without.
    fn view(&self) -> LiveView;
    /// Whether sound is to be expected.
    fn has_sound(&self) -> bool;
    /// How long its parts are.
    fn cutter(&self) -> LiveCutter;
    /// Time 0 of a run that begins with the keyframe of this moment; `None`: it is too early.
    fn zero(&self, keyframe: MonoTime) -> Option<MonoTime>;
    /// What follows has this header. `breaks`: how often the source had broken off before it was packaged.
    fn begin(&self, breaks: u64, map: Bytes);
    /// A part, whose first picture was captured at `at`, and which `begins` a segment.
    fn push(&self, breaks: u64, part: LivePart, begins: bool, at: Timestamp);
    /// The source broke off. Returns how often that was.
    fn break_off(&self) -> u64;
    /// Whether nothing more is wanted.
    fn is_idle(&self, now: MonoTime) -> bool;
    /// Nothing more comes.
    fn end(&self);
}
