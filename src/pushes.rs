//! How a camera's pushes to other servers are: what its tasks say and people are told.

use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_domain::push::{PushState, PushStatus, PushTarget};
use std::sync::{Arc, Mutex};

/// The pushes of one camera, in the order of its list. Clones are the same.
#[derive(Clone)]
pub struct Pushes {
    clock: SharedClock,
    all: Arc<Mutex<Vec<(PushTarget, PushStatus)>>>,
}

impl Pushes {
    /// None yet.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, all: Arc::default() }
    }

    /// These are wanted from now on; of a camera that `is_off`, none runs. What stands in the same place and is the same goes on.
    pub fn follow(&self, targets: &[PushTarget], is_off: bool) {
        let now = self.clock.utc();
        let mut all = lock(&self.all);
        all.truncate(targets.len());
        for (place, target) in targets.iter().enumerate() {
            let mut fresh = (target.clone(), PushStatus::new(target, now));
            if is_off {
                fresh.1.set(PushState::Off, "", now);
            }
            match all.get_mut(place) {
                Some(known) if known.0 == *target && !is_off => {}
                Some(known) => *known = fresh,
                None => all.push(fresh),
            }
        }
    }

    /// How they are.
    pub fn statuses(&self) -> Vec<PushStatus> {
        lock(&self.all).iter().map(|(_, status)| status.clone()).collect()
    }

    /// The push in `place` is like this now, if it still goes to `target`. Returns whether that is news.
    pub fn set(&self, place: usize, target: &PushTarget, state: PushState, reason: &str) -> bool {
        let now = self.clock.utc();
        let mut all = lock(&self.all);
        let status = all.get_mut(place).filter(|(of, _)| of == target).map(|(_, status)| status);
        status.is_some_and(|status| status.set(state, reason, now))
    }

    /// So many more bytes went out by it.
    pub fn sent(&self, place: usize, target: &PushTarget, bytes: u64) {
        if let Some((_, status)) = lock(&self.all).get_mut(place).filter(|(of, _)| of == target) {
            status.bytes_sent += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::ManualClock;
    use perch_domain::media::Stream;

    #[test]
    fn what_stays_in_its_place_goes_on() {
        let pushes = Pushes::new(Arc::new(ManualClock::default()));
        let [a, b] =
            ["rtmp://a/live/k", "rtmp://b/live/k"].map(|url| PushTarget::of(url, Stream::Main).expect("valid"));
        let states = || pushes.statuses().iter().map(|s| (s.to.clone(), s.state)).collect::<Vec<_>>();
        pushes.follow(std::slice::from_ref(&a), false);
        assert!(pushes.set(0, &a, PushState::Sending, ""));
        assert!(!pushes.set(0, &b, PushState::Failing, "of one that is no more"));
        pushes.follow(&[a.clone(), b.clone()], false);
        assert_eq!(states(), [("rtmp://a/…".into(), PushState::Sending), ("rtmp://b/…".into(), PushState::Waiting)]);
        pushes.follow(&[b], false);
        assert_eq!(states(), [("rtmp://b/…".into(), PushState::Waiting)]);
        pushes.follow(&[a], true);
        assert_eq!(states(), [("rtmp://a/…".into(), PushState::Off)]);
    }
}
