//! What lies between a camera's tasks and outlives each of them, so that one is run again alone: pictures on their way to the detector,
//! marks to the recorder, wishes for stills. Whoever puts something in never waits.

use perch_base::ids::EventId;
use perch_base::time::MonoTime;
use perch_domain::motion::Detection;
use perch_domain::recording::{EventMark, Marks};
use perch_domain::still::Stills;
use perch_media::capture::{LumaFrame, LumaSink};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};

/// All of one camera's.
#[derive(Clone, Debug, Default)]
pub struct Wires {
    /// Capture to detector.
    pub luma: LumaFeed,
    /// Detector to recorder.
    pub marks: MarkQueue,
    /// Detector to stills.
    pub stills: StillQueue,
}

/// A camera's small pictures on their way from capture to the detector. It outlives both, so that each is run again alone. At
/// most two wait: when the detector is late, it gets those two, and the ones that come meanwhile are dropped.
#[derive(Clone, Debug, Default)]
pub struct LumaFeed(Arc<Mutex<Option<mpsc::Sender<LumaFrame>>>>);

impl LumaFeed {
    /// Where capture puts them. It never blocks.
    pub fn sink(&self) -> LumaSink {
        let feed = self.clone();
        Arc::new(move |frame| {
            if let Some(tx) = feed.follower().as_ref() {
                // Full: the detector is slow. Closed: nobody looks.
                let _ = tx.try_send(frame);
            }
        })
    }

    /// What comes from now on; whoever followed before gets no more.
    pub fn follow(&self) -> mpsc::Receiver<LumaFrame> {
        let (tx, rx) = mpsc::channel(2);
        *self.follower() = Some(tx);
        rx
    }

    fn follower(&self) -> MutexGuard<'_, Option<mpsc::Sender<LumaFrame>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A camera's marks on their way from the detector to the recorder. Whoever puts one in never waits.
#[derive(Clone, Debug, Default)]
pub struct MarkQueue(Arc<(Mutex<Marks>, Notify)>);

impl MarkQueue {
    /// Puts a mark in.
    pub fn put(&self, mark: EventMark) {
        self.marks().put(mark);
        self.0.1.notify_one();
    }

    /// The next mark, when there is one.
    pub async fn next(&self) -> EventMark {
        loop {
            let mark = self.marks().take();
            match mark {
                Some(mark) => return mark,
                None => self.0.1.notified().await,
            }
        }
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        // A mark is put in and taken out whole.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A camera's wishes for stills on their way from the detector. Whoever puts one in never waits.
#[derive(Clone, Debug, Default)]
pub struct StillQueue(Arc<(Mutex<Stills>, Notify)>);

impl StillQueue {
    /// A still of `event` is to show the picture at `at`.
    pub fn want(&self, event: EventId, at: MonoTime) {
        self.stills().want(event, at);
        self.0.1.notify_one();
    }

    /// What the detector saw in one picture.
    pub fn saw(&self, seen: &Detection) {
        self.stills().saw(seen.pts, seen.boxes.clone());
    }

    /// Waits until there is a wish.
    pub async fn wanted(&self) {
        self.0.1.notified().await;
    }

    /// What is wanted and what was seen.
    pub fn stills(&self) -> MutexGuard<'_, Stills> {
        // Each change of it is whole.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
