//! What lies between a camera's tasks and outlives each of them, so that one is run again alone: pictures on their way to the detector,
//! marks to the recorder, wishes for stills. Whoever puts something in never waits.

use perch_base::ids::EventId;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::motion::Detection;
use perch_domain::picture_controls::WantedControls;
use perch_domain::recording::{EventMark, Marks};
use perch_domain::still::Stills;
use perch_media::capture::{LumaFrame, LumaSink};
use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

/// All of one camera's.
#[derive(Clone, Debug, Default)]
pub struct Wires {
    /// Capture to detector.
    pub luma: LumaFeed,
    /// Detector to recorder.
    pub marks: MarkQueue,
    /// Detector to stills.
    pub stills: StillQueue,
    /// What the camera itself is to be set to.
    pub controls: ControlsWish,
}

/// What a camera itself is to be set to, for whoever sets it.
#[derive(Clone, Debug)]
pub struct ControlsWish(watch::Sender<Wish>);

/// What is wanted of a camera's own picture settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// Counts how often it is to be set: also what did not change is lost where a camera was away.
    pub round: u64,
    /// Counts how often people changed it.
    pub changes: u64,
    /// What is wanted.
    pub wanted: WantedControls,
    /// What was wanted, and is no more.
    pub let_go: BTreeSet<String>,
}

impl Default for ControlsWish {
    fn default() -> Self {
        Self(watch::Sender::new(Wish::default()))
    }
}

impl ControlsWish {
    /// This is wanted from now on.
    pub fn want(&self, wanted: &WantedControls) {
        self.0.send_modify(|wish| {
            wish.let_go.extend(wish.wanted.keys().cloned());
            wish.let_go.retain(|name| !wanted.contains_key(name));
            wish.wanted.clone_from(wanted);
            wish.round += 1;
            wish.changes += 1;
        });
    }

    /// The camera began anew: what is wanted is to be set again.
    pub fn again(&self) {
        self.0.send_modify(|wish| wish.round += 1);
    }

    /// Follows it.
    pub fn follow(&self) -> watch::Receiver<Wish> {
        self.0.subscribe()
    }
}

/// Small pictures that wait for a detector that is late.
const LUMA_WAITING: usize = 2;

/// A camera's small pictures on their way from capture to the detector. It outlives both, so that each is run again alone. The
/// newest two wait: when the detector is late, older ones are dropped.
#[derive(Clone, Debug, Default)]
pub struct LumaFeed(Arc<(Mutex<LumaWaiting>, Notify)>);

#[derive(Debug, Default)]
struct LumaWaiting {
    /// Counts those who follow; the last one gets the pictures.
    followers: u64,
    is_followed: bool,
    frames: VecDeque<LumaFrame>,
}

/// Who follows a camera's small pictures.
#[derive(Debug)]
pub struct LumaFollower {
    feed: LumaFeed,
    number: u64,
}

impl LumaFeed {
    /// Where capture puts them. It never blocks.
    pub fn sink(&self) -> LumaSink {
        let feed = self.clone();
        Arc::new(move |frame| {
            let mut waiting = feed.waiting();
            if waiting.is_followed {
                waiting.frames.push_back(frame);
                if waiting.frames.len() > LUMA_WAITING {
                    waiting.frames.pop_front();
                }
                feed.0.1.notify_waiters();
            }
        })
    }

    /// What comes from now on; whoever followed before gets no more.
    pub fn follow(&self) -> LumaFollower {
        let mut waiting = self.waiting();
        let number = waiting.followers + 1;
        *waiting = LumaWaiting { followers: number, is_followed: true, frames: VecDeque::new() };
        self.0.1.notify_waiters();
        LumaFollower { feed: self.clone(), number }
    }

    /// How many wait.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.waiting().frames.len()
    }

    fn waiting(&self) -> MutexGuard<'_, LumaWaiting> {
        // Each change of it is whole.
        lock(&self.0.0)
    }
}

impl LumaFollower {
    /// The next picture; `None` once another one follows.
    pub async fn next(&mut self) -> Option<LumaFrame> {
        loop {
            // It listens before it looks, so that none comes unheard between the two.
            let mut heard = pin!(self.feed.0.1.notified());
            heard.as_mut().enable();
            {
                let mut waiting = self.feed.waiting();
                if waiting.followers != self.number {
                    return None;
                }
                if let Some(frame) = waiting.frames.pop_front() {
                    return Some(frame);
                }
            }
            heard.await;
        }
    }
}

impl Drop for LumaFollower {
    fn drop(&mut self) {
        let mut waiting = self.feed.waiting();
        if waiting.followers == self.number {
            waiting.is_followed = false;
            waiting.frames.clear();
        }
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

    /// The next mark, if there is one.
    pub fn take(&self) -> Option<EventMark> {
        self.marks().take()
    }

    /// The next mark, when there is one.
    pub async fn next(&self) -> EventMark {
        loop {
            match self.take() {
                Some(mark) => return mark,
                None => self.0.1.notified().await,
            }
        }
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        // A mark is put in and taken out whole.
        lock(&self.0.0)
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
        lock(&self.0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(second: i64) -> LumaFrame {
        LumaFrame { pixels: vec![0], pts: MonoTime(second * 1_000_000) }
    }

    #[tokio::test]
    async fn the_newest_pictures_wait_and_the_last_who_follows_gets_them() {
        let feed = LumaFeed::default();
        let put = feed.sink();
        put(frame(0));
        let mut first = feed.follow();
        (1..=5).for_each(|second| put(frame(second)));
        for second in [4, 5] {
            assert_eq!(first.next().await.map(|f| f.pts), Some(frame(second).pts));
        }
        let waits = tokio::spawn(async move { first.next().await.is_none() });
        tokio::task::yield_now().await;
        let mut second = feed.follow();
        assert!(waits.await.expect("no panic"), "another one follows");
        put(frame(6));
        assert_eq!(second.next().await.map(|f| f.pts), Some(frame(6).pts));
        put(frame(7));
        drop(second);
        put(frame(8));
        assert_eq!(feed.count(), 0, "nobody looks");
    }
}
