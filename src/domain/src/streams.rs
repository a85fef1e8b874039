//! Who may hold an event stream. Each device and each account has a share, so that nobody can take all places. A newcomer is never
//! refused: the oldest gives way, for a phone that changed its network leaves streams behind whose end nobody hears of.

use perch_base::ids::DeviceId;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How many streams may be open.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// In all.
    pub all: usize,
    /// Of one account; a device without an account counts as one.
    pub per_account: usize,
    /// Of one device.
    pub per_device: usize,
}

impl Shares {
    /// Of the page. It needs one; a browser has several pages, and an account several devices.
    pub const PAGE: Self = Self { all: 256, per_account: 32, per_device: 8 };
}

/// One stream, in the order they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

/// A stream that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamArrival {
    /// Its id from now on.
    pub id: StreamId,
    /// The stream that ends for it; it is not counted any more.
    pub gives_way: Option<StreamId>,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Streams {
    shares: Shares,
    next: u64,
    open: BTreeMap<StreamId, Holder>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    device: DeviceId,
    account: Option<String>,
}

impl Holder {
    fn shares_with(&self, other: &Self) -> bool {
        self.device == other.device || (self.account.is_some() && self.account == other.account)
    }
}

impl Streams {
    /// None is open.
    pub fn new(shares: Shares) -> Self {
        Self { shares, next: 0, open: BTreeMap::new() }
    }

    /// A stream comes. Where its device or its account has its share, one of the same ends for it; where all places are taken, one of
    /// whoever holds most.
    pub fn arrive(&mut self, device: DeviceId, account: Option<&str>) -> StreamArrival {
        let holder = Holder { device, account: account.map(str::to_owned) };
        let of_device = |h: &Holder| h.device == device;
        let of_account = |h: &Holder| h.shares_with(&holder);
        let gives_way = if self.count(&of_device) >= self.shares.per_device {
            self.who_gives_way(&of_device)
        } else if self.count(&of_account) >= self.shares.per_account {
            self.who_gives_way(&of_account)
        } else if self.open.len() >= self.shares.all {
            self.who_gives_way(&|_| true)
        } else {
            None
        };
        if let Some(id) = gives_way {
            self.open.remove(&id);
        }
        let id = StreamId(self.next);
        self.next += 1;
        self.open.insert(id, holder);
        StreamArrival { id, gives_way }
    }

    /// The oldest of the device that holds most, of the account that holds most.
    fn who_gives_way(&self, group: &dyn Fn(&Holder) -> bool) -> Option<StreamId> {
        let may_go = self.open.iter().filter(|(_, h)| group(h));
        let held = |h: &Holder| {
            (Reverse(self.count(&|other| other.shares_with(h))), Reverse(self.count(&|other| other.device == h.device)))
        };
        may_go.min_by_key(|(id, h)| (held(h), **id)).map(|(id, _)| *id)
    }

    fn count(&self, group: &dyn Fn(&Holder) -> bool) -> usize {
        self.open.values().filter(|h| group(h)).count()
    }

    /// A stream ended.
    pub fn left(&mut self, id: StreamId) {
        self.open.remove(&id);
    }

    /// Streams that are open.
    pub fn held(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: Shares = Shares { all: 12, per_account: 6, per_device: 3 };

    fn device(n: u32) -> DeviceId {
        DeviceId::parse(&format!("{n:032x}")).expect("an id")
    }

    /// Whoever comes, as device and account, and the number of the one that gives way.
    fn play(steps: &[(u32, Option<&str>, Option<u64>)]) -> Streams {
        let mut streams = Streams::new(SHARES);
        for (n, (of, account, gives_way)) in steps.iter().enumerate() {
            let came = streams.arrive(device(*of), *account);
            assert_eq!(came, StreamArrival { id: StreamId(n as u64), gives_way: gives_way.map(StreamId) }, "step {n}");
        }
        streams
    }

    #[test]
    fn the_oldest_of_the_same_device_gives_way() {
        let one = [(1, None, None); 3];
        play(&[&one[..], &[(1, None, Some(0)), (2, None, None), (1, None, Some(1)), (1, None, Some(2))]].concat());
        // An account in whose devices there is room does not change that.
        play(&[
            (1, Some("a"), None),
            (2, Some("a"), None),
            (1, Some("a"), None),
            (1, Some("a"), None),
            (1, Some("a"), Some(0)),
        ]);
    }

    #[test]
    fn in_an_account_the_device_that_holds_most_gives_way() {
        let (a, b) = (Some("a"), Some("b"));
        play(&[
            (1, a, None),
            (2, a, None),
            (2, a, None),
            (2, a, None),
            (3, a, None),
            (9, b, None),
            (3, a, None),
            // Six of `a`: the second device has three.
            (4, a, Some(1)),
            (9, b, None),
            // Now the second and the third have two each.
            (4, a, Some(2)),
        ]);
    }

    #[test]
    fn whoever_holds_most_gives_way_where_all_places_are_taken() {
        let mut steps = vec![(90, None, None)];
        steps.extend([(1, Some("a"), None); 3]);
        steps.extend([(2, Some("a"), None); 2]);
        steps.extend([(3, Some("b"), None); 3]);
        steps.extend([(91, None, None); 3]);
        assert_eq!(steps.len(), 12);
        // Account `a` has five, most of them the first device; then four, two a device; then three like the others, whose devices
        // have more.
        steps.extend([(92, None, Some(1)), (93, None, Some(2)), (94, None, Some(6)), (95, None, Some(9))]);
        assert_eq!(play(&steps).held(), SHARES.all);
    }

    #[test]
    fn the_page_s_shares_leave_room_for_others() {
        let Shares { all, per_account, per_device } = Shares::PAGE;
        assert!(4 * per_device <= per_account && 4 * per_account <= all);
    }

    #[test]
    fn a_stream_that_left_frees_its_place_and_an_id_is_never_given_twice() {
        let mut streams = play(&[(1, None, None), (1, None, None), (1, None, None)]);
        streams.left(StreamId(1));
        streams.left(StreamId(1));
        assert_eq!((streams.arrive(device(1), None).gives_way, streams.held()), (None, 3));
        assert_eq!(streams.arrive(device(1), None), StreamArrival { id: StreamId(4), gives_way: Some(StreamId(0)) });
    }

    #[test]
    fn one_device_or_account_never_drives_out_another() {
        let mut streams = Streams::new(SHARES);
        let honest = streams.arrive(device(0), None).id;
        for n in 0..1_000 {
            streams.arrive(device(1 + n % 40), Some("crowd"));
        }
        assert!(streams.open.contains_key(&honest));
        assert_eq!(streams.held(), 1 + SHARES.per_account);
    }
}
