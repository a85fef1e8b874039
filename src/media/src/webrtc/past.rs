//! Sessions that have ended, as far as they are remembered: a viewer's goodbye may come after its session has ended by itself.

use perch_base::ids::{DeviceId, LeaseId};
use std::collections::VecDeque;

/// How many are remembered.
const MOST: usize = 256;

/// The newest last.
#[derive(Debug, Default)]
pub struct Past(VecDeque<(LeaseId, DeviceId)>);

impl Past {
    /// A device's session ended.
    pub fn add(&mut self, lease: LeaseId, device: DeviceId) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((lease, device));
    }

    /// Whose session it was; `None` when it is not remembered.
    pub fn owner(&self, lease: LeaseId) -> Option<DeviceId> {
        self.0.iter().rev().find(|(past, _)| *past == lease).map(|(_, device)| *device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let device = DeviceId::random();
        let leases: Vec<_> = (0..MOST + 1).map(|_| LeaseId::random()).collect();
        let mut past = Past::default();
        leases.iter().for_each(|lease| past.add(*lease, device));
        assert_eq!((past.owner(leases[0]), past.owner(leases[1])), (None, Some(device)));
        assert_eq!((past.owner(leases[MOST]), past.owner(LeaseId::random())), (Some(device), None));
    }
}
