//! A camera's privacy masks: which are the newest, and from when on pictures carry them. While masks change, what was seen without the new ones
//! is held back. Who paints them stands in `painting`.

use perch_base::sync::{lock, read, write};
use perch_base::time::MonoTime;
use perch_domain::motion::Polygon;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use tokio::sync::watch;

/// Stands where no picture was painted yet with the newest masks.
const NONE_YET: i64 = i64::MAX;
/// Stands where nothing is held back.
const ALL: i64 = i64::MIN;

/// A camera's masks. They outlive its attempts and may change while one goes on.
pub(super) struct Masking {
    newest: Mutex<Word>,
    /// From when on pictures carry the newest masks, microseconds of the clock.
    from_us: AtomicI64,
    /// Held while a picture that was let pass is handed on: whoever has held it back has none on its way.
    passing: RwLock<()>,
    /// Number of the masks that were seen last in a picture at which decoding starts.
    seen: watch::Sender<u64>,
}

/// Masks as somebody wants them.
#[derive(Clone)]
pub(super) struct Word {
    /// Counts the changes.
    pub number: u64,
    /// The masks.
    pub masks: Arc<[Polygon]>,
}

impl Masking {
    /// These masks, from the first picture on.
    pub fn new(masks: &[Polygon]) -> Self {
        Self {
            newest: Mutex::new(Word { number: 0, masks: masks.into() }),
            from_us: AtomicI64::new(ALL),
            passing: RwLock::default(),
            seen: watch::Sender::new(0),
        }
    }

    /// These masks from now on. Once this returns no picture is handed on that does not carry them; the caller has the hub forget those that
    /// were. False: they are those that there were.
    pub fn change(&self, masks: &[Polygon]) -> bool {
        {
            let mut newest = lock(&self.newest);
            if *newest.masks == *masks {
                return false;
            }
            *newest = Word { number: newest.number + 1, masks: masks.into() };
            self.from_us.store(NONE_YET, Ordering::SeqCst);
        }
        drop(write(&self.passing));
        true
    }

    /// The newest.
    pub fn newest(&self) -> Word {
        lock(&self.newest).clone()
    }

    /// Waits until a picture with the newest masks was handed on at which decoding starts.
    pub async fn seen(&self) {
        let number = lock(&self.newest).number;
        // The sender lives as long as this.
        let _ = self.seen.subscribe().wait_for(|seen| *seen >= number).await;
    }

    /// Hands a picture of this moment on, unless it may lack the newest masks.
    pub fn pass(&self, pts: MonoTime, is_start: bool, hand_on: impl FnOnce()) {
        let _passing = read(&self.passing);
        if pts.0 < self.from_us.load(Ordering::SeqCst) {
            return;
        }
        hand_on();
        if is_start {
            let number = lock(&self.newest).number;
            // Between the two the masks may have changed once more.
            if pts.0 >= self.from_us.load(Ordering::SeqCst) {
                self.seen.send_if_modified(|seen| std::mem::replace(seen, number) != number);
            }
        }
    }

    /// Pictures from this moment on carry the masks of this number.
    pub fn painted(&self, number: u64, pts: MonoTime) {
        let newest = lock(&self.newest);
        if newest.number == number {
            self.from_us.store(pts.0, Ordering::SeqCst);
        }
    }
}
