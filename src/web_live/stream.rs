//! One stream of one camera as players get it: what its packager made, and who waits for more.

use super::packaged::Packaged;
use bytes::Bytes;
use perch_base::sync::lock;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::live_hls::{IDLE_AFTER, LiveCutter, LiveView};
use perch_domain::live_window::{LivePart, LiveWindow};
use perch_media::fanout::Hub;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::watch;

/// A stream, shared by its packager and all who watch.
pub struct LiveStream {
    hub: Weak<Hub>,
    view: LiveView,
    /// Whether sound is to be expected.
    has_sound: bool,
    window: Mutex<LiveWindow>,
    /// Counts what changed in it.
    changed: watch::Sender<u64>,
    is_over: AtomicBool,
    waiting: AtomicUsize,
    /// When somebody asked last, microseconds of the clock.
    asked_us: AtomicI64,
}

/// Somebody who waits for what changes.
pub struct Follower<'a> {
    stream: &'a LiveStream,
    changes: watch::Receiver<u64>,
}

impl LiveStream {
    /// Nothing of it yet.
    pub fn new(hub: &Arc<Hub>, view: LiveView, has_sound: bool, window: LiveWindow, now: MonoTime) -> Self {
        Self {
            hub: Arc::downgrade(hub),
            view,
            has_sound,
            window: Mutex::new(window),
            changed: watch::Sender::new(0),
            is_over: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            asked_us: AtomicI64::new(now.0),
        }
    }

    /// Whether it is of this fan-out.
    pub fn is_of(&self, hub: &Arc<Hub>) -> bool {
        self.hub.upgrade().is_some_and(|own| Arc::ptr_eq(&own, hub))
    }

    /// Looks at what there is.
    pub fn look<T>(&self, look: impl FnOnce(&LiveWindow) -> T) -> T {
        look(&lock(&self.window))
    }

    /// Changes what there is, unless the source broke off since: `breaks` is how often it had.
    fn change(&self, breaks: u64, change: impl FnOnce(&mut LiveWindow)) {
        {
            let mut window = lock(&self.window);
            if window.forgotten() != breaks {
                return;
            }
            change(&mut window);
        }
        self.changed.send_modify(|n| *n += 1);
    }

    /// Somebody asks, and waits for what changes until this is dropped.
    pub fn follow(&self, now: MonoTime) -> Follower<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.asked_us.fetch_max(now.0, Ordering::SeqCst);
        Follower { stream: self, changes: self.changed.subscribe() }
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

impl Packaged for LiveStream {
    const NAME: &str = "HLS";

    fn hub(&self) -> Option<Arc<Hub>> {
        self.hub.upgrade()
    }

    fn view(&self) -> LiveView {
        self.view
    }

    fn has_sound(&self) -> bool {
        self.has_sound
    }

    fn cutter(&self) -> LiveCutter {
        LiveCutter::default()
    }

    fn zero(&self, keyframe: MonoTime) -> Option<MonoTime> {
        Some(keyframe)
    }

    fn begin(&self, breaks: u64, map: Bytes) {
        self.change(breaks, |window| window.begin(map));
    }

    fn push(&self, breaks: u64, part: LivePart, begins: bool, at: Timestamp) {
        self.change(breaks, |window| window.push(part, begins, at));
    }

    /// Nothing from before is shown from this moment on, also where its privacy masks change.
    fn break_off(&self) -> u64 {
        let mut window = lock(&self.window);
        window.forget();
        window.forgotten()
    }

    /// Whether nobody asked for so long that it ends.
    fn is_idle(&self, now: MonoTime) -> bool {
        let asked = MonoTime(self.asked_us.load(Ordering::SeqCst));
        self.waiting.load(Ordering::SeqCst) == 0 && now.since(asked) >= IDLE_AFTER
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.changed.send_modify(|n| *n += 1);
    }
}

impl Follower<'_> {
    /// Waits for the next change since the last one that was waited for.
    pub async fn next(&mut self) {
        // The sender lives as long as this.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.stream.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
