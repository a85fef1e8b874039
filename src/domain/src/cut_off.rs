//! Who was cut off: a viewer's device, or the readers of a stream password, see nothing for a while, however they come back. The box
//! keeps it in memory alone: a restart forgets it, for it is a pause and no lock. Who is to stay away is removed.

use crate::account_name::is_same_account;
use perch_base::ids::DeviceId;
use perch_base::time::{MonoTime, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long somebody is cut off.
pub const CUT_OFF_FOR: Duration = Duration::from_secs(600);

const SECOND_US: i64 = 1_000_000;

/// Who is kept in mind at most; of more, those go first whose time is over first.
const MOST: usize = 256;

/// Who is cut off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Viewer {
    /// A device, on every transport that asks for its credential.
    Device(DeviceId),
    /// All readers of the stream password of this name.
    Reader(String),
}

/// One moment on both clocks: times are said in civil time, and measured in steady time, so that setting the clock lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Civil time.
    pub utc: Timestamp,
    /// Steady time.
    pub mono: MonoTime,
}

/// That somebody is cut off, as it is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutOff {
    /// Who did it: an account, or a device without one.
    pub by: String,
    /// Until when.
    pub until: Timestamp,
}

#[derive(Clone, Debug)]
struct Entry {
    by: String,
    ends: MonoTime,
    /// The account of the device that was cut off.
    account: Option<String>,
    /// The device that was cut off first, where this one signed in after it.
    first: Viewer,
}

impl Entry {
    /// To the second: both clocks are not read at the same moment, and nobody wants more.
    fn says(&self, now: Moment) -> CutOff {
        let until_us = now.utc.plus_micros(self.ends.micros_since(now.mono)).0;
        CutOff { by: self.by.clone(), until: Timestamp((until_us + SECOND_US / 2).div_euclid(SECOND_US) * SECOND_US) }
    }

    fn is_over(&self, now: MonoTime) -> bool {
        now >= self.ends
    }
}

/// All who are cut off.
#[derive(Clone, Debug, Default)]
pub struct CutOffViewers(BTreeMap<Viewer, Entry>);

impl CutOffViewers {
    /// Cuts a viewer off for [`CUT_OFF_FOR`] from now on; `account` is that of a device.
    pub fn cut(&mut self, viewer: Viewer, account: Option<&str>, by: &str, now: Moment) -> CutOff {
        self.forget(now.mono);
        let (first, account) = (viewer.clone(), account.map(str::to_owned));
        let entry = Entry { by: by.to_owned(), ends: now.mono + CUT_OFF_FOR, account, first };
        let says = entry.says(now);
        self.keep(viewer, entry);
        says
    }

    /// Somebody signed in to `account` on a new device. While one of that account is cut off it shares that: signing out and in again
    /// is no way back. Devices that were signed in before go on, since they may be in other hands.
    pub fn signs_in(&mut self, device: DeviceId, account: &str, now: MonoTime) {
        self.forget(now);
        let of_account = |e: &&Entry| e.account.as_deref().is_some_and(|name| is_same_account(name, account));
        if let Some(entry) = self.0.values().filter(of_account).max_by_key(|e| e.ends).cloned() {
            self.keep(Viewer::Device(device), entry);
        }
    }

    /// Lets a viewer in again, and those who share its being cut off. Whether it was cut off.
    pub fn let_in(&mut self, viewer: &Viewer, now: MonoTime) -> bool {
        self.forget(now);
        let Some(first) = self.0.get(viewer).map(|e| e.first.clone()) else { return false };
        self.0.retain(|_, e| e.first != first);
        true
    }

    /// Whether and how a viewer is cut off now.
    pub fn of(&self, viewer: &Viewer, now: Moment) -> Option<CutOff> {
        self.0.get(viewer).filter(|e| !e.is_over(now.mono)).map(|e| e.says(now))
    }

    /// Until when the readers of a stream password are cut off.
    pub fn of_reader(&self, name: &str) -> Option<MonoTime> {
        self.0.get(&Viewer::Reader(name.to_owned())).map(|e| e.ends)
    }

    /// All who are cut off now.
    pub fn all(&self, now: Moment) -> Vec<(Viewer, CutOff)> {
        self.0.iter().filter(|(_, e)| !e.is_over(now.mono)).map(|(who, e)| (who.clone(), e.says(now))).collect()
    }

    fn keep(&mut self, viewer: Viewer, entry: Entry) {
        self.0.insert(viewer, entry);
        while self.0.len() > MOST {
            let next = self.0.iter().min_by_key(|(_, e)| e.ends).map(|(who, _)| who.clone());
            next.and_then(|who| self.0.remove(&who));
        }
    }

    fn forget(&mut self, now: MonoTime) {
        self.0.retain(|_, e| !e.is_over(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000;

    fn at(s: i64) -> Moment {
        Moment { utc: Timestamp(1_800_000_000 * S + s * S), mono: MonoTime(s * S) }
    }

    fn device(n: u128) -> Viewer {
        Viewer::Device(DeviceId(n))
    }

    #[test]
    fn a_viewer_is_cut_off_for_ten_minutes_and_told_by_whom() {
        let mut all = CutOffViewers::default();
        let said = all.cut(device(1), Some("eve"), "anna", at(0));
        assert_eq!(said, CutOff { by: "anna".into(), until: at(600).utc });
        for (s, is) in [(0, true), (599, true), (600, false), (601, false)] {
            assert_eq!(all.of(&device(1), at(s)).is_some(), is, "{s}");
            assert_eq!(all.all(at(s)).len(), usize::from(is), "{s}");
            assert_eq!(all.of(&device(2), at(s)), None);
        }
        // Cut off again: from then on.
        all.cut(device(1), Some("eve"), "ben", at(300));
        assert_eq!(all.of(&device(1), at(700)), Some(CutOff { by: "ben".into(), until: at(900).utc }));
        assert!(all.let_in(&device(1), at(700).mono) && !all.let_in(&device(1), at(700).mono));
        assert_eq!(all.of(&device(1), at(701)), None);
    }

    #[test]
    fn setting_the_clock_lets_nobody_in() {
        let mut all = CutOffViewers::default();
        all.cut(device(1), None, "anna", at(0));
        let set = |s: i64, by: i64| Moment { utc: at(s + by).utc, mono: at(s).mono };
        assert_eq!(all.of(&device(1), set(60, 86_400)).expect("still").until, at(600 + 86_400).utc);
        assert_eq!(all.of(&device(1), set(60, -86_400)).expect("still").until, at(600 - 86_400).utc);
        assert_eq!(all.of(&device(1), set(600, -86_400)), None, "nor out");
    }

    #[test]
    fn signing_in_again_is_no_way_back() {
        let mut all = CutOffViewers::default();
        all.cut(device(1), Some("eve"), "anna", at(0));
        all.signs_in(DeviceId(2), "EVE", at(100).mono);
        all.signs_in(DeviceId(3), "ben", at(100).mono);
        assert!(all.of(&device(2), at(599)).is_some() && all.of(&device(3), at(599)).is_none());
        all.signs_in(DeviceId(4), "eve", at(600).mono);
        assert!(all.of(&device(4), at(600)).is_none(), "its time was over");
        // Whoever lets one in lets the person in.
        let mut all = CutOffViewers::default();
        all.cut(device(1), Some("eve"), "anna", at(0));
        all.signs_in(DeviceId(2), "eve", at(1).mono);
        all.cut(device(9), Some("zoe"), "anna", at(2));
        assert!(all.let_in(&device(2), at(3).mono));
        assert_eq!(all.all(at(4)).into_iter().map(|(who, _)| who).collect::<Vec<_>>(), [device(9)]);
    }

    #[test]
    fn readers_are_cut_off_by_their_password() {
        let mut all = CutOffViewers::default();
        let tv = Viewer::Reader("tv".into());
        all.cut(tv.clone(), None, "anna", at(0));
        assert_eq!((all.of_reader("tv"), all.of_reader("nvr")), (Some(at(600).mono), None));
        assert!(all.let_in(&tv, at(1).mono) && all.of_reader("tv").is_none());
    }

    #[derive(Clone, Debug)]
    enum Act {
        Cut(u8),
        LetIn(u8),
        SignIn(u8, u8),
        Pass(u16),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u8..6).prop_map(Act::Cut),
            (0u8..6).prop_map(Act::LetIn),
            (6u8..12, 0u8..3).prop_map(|(d, a)| Act::SignIn(d, a)),
            (0u16..700).prop_map(Act::Pass),
        ]
    }

    proptest! {
        /// Against a plain model: nobody is cut off for longer than ten minutes, nobody comes back before that unless let in, and whoever
        /// was not cut off and did not sign in after that is never kept out.
        #[test]
        fn nobody_is_kept_out_for_longer_or_shorter(acts in prop::collection::vec(act(), 1..60)) {
            let account = |d: u8| format!("a{}", d % 3);
            let mut all = CutOffViewers::default();
            // Device -> (ends, root)
            let mut model: BTreeMap<u8, (i64, u8)> = BTreeMap::new();
            let mut s = 0i64;
            for act in acts {
                match act {
                    Act::Pass(by) => s += i64::from(by),
                    Act::Cut(d) => {
                        all.cut(device(d.into()), Some(&account(d)), "anna", at(s));
                        model.insert(d, (s + 600, d));
                    }
                    Act::LetIn(d) => {
                        all.let_in(&device(d.into()), at(s).mono);
                        if let Some((_, root)) = model.get(&d).copied() {
                            model.retain(|_, (_, r)| *r != root);
                        }
                    }
                    Act::SignIn(d, a) => {
                        all.signs_in(DeviceId(d.into()), &format!("A{a}"), at(s).mono);
                        let of = |root: &u8| root % 3 == a;
                        let latest = model.values().filter(|(_, root)| of(root)).max_by_key(|(ends, _)| *ends).copied();
                        if let Some(entry) = latest {
                            model.insert(d, entry);
                        }
                    }
                }
                model.retain(|_, (ends, _)| *ends > s);
                for d in 0..12u8 {
                    let until = all.of(&device(d.into()), at(s)).map(|c| c.until);
                    prop_assert_eq!(until, model.get(&d).map(|(ends, _)| at(*ends).utc), "{} at {}", d, s);
                }
            }
        }

        /// However many are cut off, they are kept in mind up to a bound, and the latest always is.
        #[test]
        fn the_list_is_bounded(n in 1u32..600) {
            let mut all = CutOffViewers::default();
            for i in 0..n {
                all.cut(device(i.into()), None, "anna", at(i64::from(i) / 10));
            }
            let now = at(i64::from(n) / 10);
            prop_assert_eq!(all.all(now).len(), MOST.min(n as usize));
            prop_assert!(all.of(&device(u128::from(n - 1)), now).is_some());
        }
    }
}
