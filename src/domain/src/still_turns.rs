//! Whose still is made next: few are made at once, each device has a share of them, and the box's own go first. Pure; the shell lets
//! whoever waits know.

use perch_base::ids::DeviceId;
use perch_base::{Error, ErrorKind, Result};
use std::collections::VecDeque;

/// Stills that are made at once: each holds a decoder and frames of up to 4096 x 4096.
pub const AT_ONCE: usize = 2;
/// Stills of one device that are made at once: one device leaves the other place free.
const MADE_EACH: usize = 1;
/// Stills of one device that wait beside those that are made: a page of sixteen cameras asks for all at once.
pub const WAITING_EACH: usize = 16;
/// Stills of all devices that wait.
const WAITING: usize = 64;

/// Who wants a still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The box, for an event.
    Box,
    /// A viewer.
    Device(DeviceId),
}

/// A still that waits or is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Why a viewer's still is not made, or its turn did not come in time.
pub fn too_many() -> Error {
    Error::new(ErrorKind::Unavailable, "too many stills are being made; try again")
}

/// Who waits and whose stills are being made.
#[derive(Clone, Debug, Default)]
pub struct StillTurns {
    made: Vec<(Ticket, Asker)>,
    waiting: VecDeque<(Ticket, Asker)>,
    next: u64,
}

impl StillTurns {
    /// Puts a still last in the row; [`StillTurns::start`] says when it is its turn. Errors with `RateLimited` where the device has
    /// its share waiting, and with `Unavailable` where too many wait in all. The box is never refused: each camera takes one
    /// still after the other.
    pub fn ask(&mut self, asker: Asker) -> Result<Ticket> {
        if asker != Asker::Box {
            let of_device = self.waiting.iter().filter(|(_, other)| *other == asker).count();
            if of_device >= WAITING_EACH {
                let message = "this device waits for stills already: ask again when one of them has come";
                return Err(Error::new(ErrorKind::RateLimited, message));
            }
            if self.waiting.iter().filter(|(_, other)| *other != Asker::Box).count() >= WAITING {
                return Err(too_many());
            }
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        self.waiting.push_back((ticket, asker));
        Ok(ticket)
    }

    /// Those whose turn it is now: the box's first, then whoever waited longest and has none being made.
    pub fn start(&mut self) -> Vec<Ticket> {
        let mut started = Vec::new();
        while self.made.len() < AT_ONCE {
            let has_room = |asker: &Asker| self.made.iter().filter(|(_, other)| other == asker).count() < MADE_EACH;
            let own = self.waiting.iter().position(|(_, asker)| *asker == Asker::Box);
            let next = own.or_else(|| self.waiting.iter().position(|(_, asker)| has_room(asker)));
            let Some(turn) = next.and_then(|at| self.waiting.remove(at)) else { break };
            started.push(turn.0);
            self.made.push(turn);
        }
        started
    }

    /// A still was made, or is not wanted any more.
    pub fn leave(&mut self, ticket: Ticket) {
        self.made.retain(|(other, _)| *other != ticket);
        self.waiting.retain(|(other, _)| *other != ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Asks, Leaves};
    use proptest::prelude::*;

    /// What happens: somebody asks (0 is the box, others are devices), or the n-th who asked leaves.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Asks(u8),
        Leaves(usize),
    }

    fn asker(n: u8) -> Asker {
        match n {
            0 => Asker::Box,
            n => Asker::Device(DeviceId::parse(&format!("{n:032x}")).expect("an id")),
        }
    }

    /// Who is being made at the end, in the order in which they asked, and who was refused: by their place among those that asked.
    fn play(steps: &[Step]) -> (Vec<usize>, Vec<(usize, ErrorKind)>) {
        let (mut turns, mut tickets, mut refused) = (StillTurns::default(), Vec::new(), Vec::new());
        for step in steps {
            match *step {
                Asks(who) => match turns.ask(asker(who)) {
                    Ok(ticket) => tickets.push(Some(ticket)),
                    Err(e) => {
                        refused.push((tickets.len(), e.kind()));
                        tickets.push(None);
                    }
                },
                Leaves(nth) => turns.leave(tickets[nth].expect("was let in")),
            }
            turns.start();
        }
        let is_made = |t: &Option<Ticket>| turns.made.iter().any(|(made, _)| Some(*made) == *t);
        (tickets.iter().enumerate().filter(|(_, t)| is_made(t)).map(|(n, _)| n).collect(), refused)
    }

    #[test]
    fn each_device_has_its_share_and_the_box_goes_first() {
        use ErrorKind::RateLimited;
        type Case<'a> = (&'a str, &'a [Step], &'a [usize], &'a [(usize, ErrorKind)]);
        let (share, one_more) = (vec![Asks(1); 1 + WAITING_EACH], vec![Asks(1); 2 + WAITING_EACH]);
        let third = [vec![Asks(1), Asks(2)], vec![Asks(3); WAITING_EACH + 1]].concat();
        let hung_up = [&share[..], &[Leaves(1), Asks(1)]].concat();
        let table: [Case; 10] = [
            ("nobody", &[], &[], &[]),
            ("one device has one made", &[Asks(1), Asks(1)], &[0], &[]),
            ("two devices", &[Asks(1), Asks(2)], &[0, 1], &[]),
            ("another device passes who has its share", &[Asks(1), Asks(1), Asks(2)], &[0, 2], &[]),
            ("one is made, its share waits", &share, &[0], &[]),
            ("one more is refused", &one_more, &[0], &[(1 + WAITING_EACH, RateLimited)]),
            ("while others' are made, its share waits", &third, &[0, 1], &[(2 + WAITING_EACH, RateLimited)]),
            ("the box passes who waits", &[Asks(1), Asks(2), Asks(3), Asks(0), Leaves(0)], &[1, 3], &[]),
            ("the box has no share", &[Asks(0), Asks(0), Asks(1), Asks(0), Leaves(0)], &[1, 3], &[]),
            ("who hangs up while waiting makes room", &hung_up, &[0], &[]),
        ];
        for (name, steps, made, refused) in table {
            assert_eq!(play(steps), (made.to_vec(), refused.to_vec()), "{name}");
        }
    }

    #[test]
    fn a_crowd_of_devices_is_refused_at_last() {
        let crowd: Vec<_> = (1..=80).map(Asks).collect();
        let (made, refused) = play(&crowd);
        assert_eq!(made, [0, 1]);
        assert_eq!(refused.len(), 80 - AT_ONCE - WAITING);
        assert!(refused.iter().all(|r| r.1 == ErrorKind::Unavailable));
    }

    proptest! {
        /// Whoever asks and leaves: the places are never exceeded, none stays free while somebody may have it, a device never has more
        /// than its share, and no device waits while the box does not get the place.
        #[test]
        fn places_are_used_and_shared(steps in proptest::collection::vec((0..5u8, any::<bool>()), 0..200)) {
            let (mut turns, mut inside) = (StillTurns::default(), VecDeque::new());
            for (who, leaves) in steps {
                if leaves {
                    if let Some(ticket) = inside.pop_front() {
                        turns.leave(ticket);
                    }
                } else if let Ok(ticket) = turns.ask(asker(who)) {
                    inside.push_back(ticket);
                }
                let box_waited = turns.waiting.iter().any(|(_, a)| *a == Asker::Box);
                let started = turns.start();
                let is_boxes = |t: &Ticket| turns.made.iter().any(|(made, a)| made == t && *a == Asker::Box);
                prop_assert!(!box_waited || started.first().is_none_or(is_boxes));
                let made = |a: Asker| turns.made.iter().filter(|(_, other)| *other == a).count();
                let waits = |a: Asker| turns.waiting.iter().filter(|(_, other)| *other == a).count();
                prop_assert!(turns.made.len() <= AT_ONCE);
                for n in 1..5 {
                    let device = asker(n);
                    prop_assert!(made(device) <= MADE_EACH && waits(device) <= WAITING_EACH);
                    prop_assert!(turns.made.len() == AT_ONCE || waits(device) == 0 || made(device) > 0);
                }
            }
        }
    }
}
