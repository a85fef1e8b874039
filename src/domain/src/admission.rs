//! Who may hold a connection to a server of the box. Strangers (connections that showed no valid credential yet) are few and give
//! way to each other; a connection that showed one is out of their reach. What a connection is made of is not known here.

use crate::viewers::MAX_READERS;
use perch_base::net::{household, site};
use perch_base::time::MonoTime;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How many connections a server holds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Strangers in all.
    pub strangers: usize,
    /// Of these, those that any household may have. The rest is for households that have few: a crowd from some addresses leaves
    /// room for who comes from elsewhere.
    pub crowd: usize,
    /// Up to so many a household has few.
    pub few: usize,
    /// Strangers of one household: an IPv4 address, or a /64 of IPv6.
    pub per_household: usize,
    /// Strangers of one site: an IPv4 address, or a /48 of IPv6.
    pub per_site: usize,
    /// Connections that showed a credential.
    pub known: usize,
    /// Of these, those of one owner.
    pub per_owner: usize,
    /// A stranger that said something gives way to nobody before this age: the time in which a client must show its credential to
    /// be safe. Silent ones of a household that has more than few have none: an honest client speaks at once.
    pub head_start: Duration,
    /// The same while a request of its that was read whole is being answered (the page is sent, a password is hashed). One whose
    /// body has not come yet costs the box nothing, so it protects nobody.
    pub busy_start: Duration,
}

impl Limits {
    /// Of the HTTPS server. A browser opens at most six connections, a household may have several, and a reverse proxy brings the
    /// strangers of all its clients. An honest client shows its credential within a second; a page or a hashed password may take longer.
    pub const HTTPS: Self = Self {
        strangers: 192,
        crowd: 128,
        few: 6,
        per_household: 48,
        per_site: 96,
        known: 320,
        per_owner: 64,
        head_start: Duration::from_secs(2),
        busy_start: Duration::from_secs(30),
    };
    /// Of the RTSP server. A recorder that opens all its streams at once is served; those beyond [`MAX_READERS`] with a valid password
    /// get the answer that there are too many.
    pub const RTSP: Self = Self {
        strangers: 128,
        crowd: 96,
        few: 8,
        per_household: 64,
        per_site: 96,
        known: 2 * MAX_READERS,
        per_owner: 2 * MAX_READERS,
        head_start: Duration::from_secs(2),
        busy_start: Duration::from_secs(2),
    };
}

/// One connection, in the order they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// What is done with a connection that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionVerdict {
    /// It is let in. Where all places are taken another is closed for it.
    Accept {
        /// Its id from now on.
        id: ConnectionId,
        /// The one that is closed; it is not counted any more.
        gives_way: Option<ConnectionId>,
    },
    /// It is closed: nobody gives way yet.
    Refuse,
}

/// What becomes of a connection that showed its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is out of the reach of strangers. Where all places are taken another, idle one of its own kind is closed for it.
    Known {
        /// The one that is closed; it is not counted any more.
        gives_way: Option<ConnectionId>,
    },
    /// All such places are taken and in use, or the connection is closed already: it stays what it is.
    Full,
}

/// The machine. `O` is whose credential a connection showed.
#[derive(Clone, Debug)]
pub struct Admission<O> {
    limits: Limits,
    next: u64,
    strangers: BTreeMap<ConnectionId, Stranger>,
    known: BTreeMap<ConnectionId, Known<O>>,
}

#[derive(Clone, Copy, Debug)]
struct Stranger {
    household: IpAddr,
    site: IpAddr,
    since: MonoTime,
    has_spoken: bool,
    running: u32,
    /// Of these, the requests that were read whole.
    answering: u32,
    /// When an answer was ready, or bytes of one were taken last; `None` since a request was read whole.
    offered_at: Option<MonoTime>,
}

#[derive(Clone, Debug)]
struct Known<O> {
    owner: O,
    quiet_since: MonoTime,
    running: u32,
}

impl<O: Clone + Ord> Admission<O> {
    /// An empty server with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, next: 0, strangers: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// A connection comes. Where its household, its site or all strangers have what they may, one of the same group that used up
    /// its time gives way.
    pub fn arrive(&mut self, from: IpAddr, now: MonoTime) -> AdmissionVerdict {
        let (household, site) = (household(from), site(from));
        let count = |group: &dyn Fn(&Stranger) -> bool| self.strangers.values().filter(|s| group(s)).count();
        let of_household = |s: &Stranger| s.household == household;
        let of_site = |s: &Stranger| s.site == site;
        let (own, all) = (count(&of_household), self.strangers.len());
        let is_full = all >= self.limits.strangers || (own >= self.limits.few && all >= self.limits.crowd);
        let gives_way = if own >= self.limits.per_household {
            Some(self.who_gives_way(&of_household, now))
        } else if count(&of_site) >= self.limits.per_site {
            Some(self.who_gives_way(&of_site, now))
        } else if is_full {
            Some(self.who_gives_way(&|_| true, now))
        } else {
            None
        };
        let gives_way = match gives_way {
            Some(None) => return AdmissionVerdict::Refuse,
            Some(found) => found,
            None => None,
        };
        if let Some(id) = gives_way {
            self.strangers.remove(&id);
        }
        let id = ConnectionId(self.next);
        self.next += 1;
        self.strangers.insert(
            id,
            Stranger { household, site, since: now, has_spoken: false, running: 0, answering: 0, offered_at: None },
        );
        AdmissionVerdict::Accept { id, gives_way }
    }

    /// Of those whose time is over: one of the household that holds most, the one whose time has been over for longest.
    fn who_gives_way(&self, group: &dyn Fn(&Stranger) -> bool, now: MonoTime) -> Option<ConnectionId> {
        let mut held: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for stranger in self.strangers.values() {
            *held.entry(stranger.household).or_default() += 1;
        }
        let safe_until = |s: &Stranger| match s {
            Stranger { answering: 1.., offered_at: None, .. } => s.since + self.limits.busy_start,
            // It takes nothing: an answer that lies ready is no reason to wait for it.
            Stranger { answering: 1.., offered_at: Some(at), .. } => {
                (*at + self.limits.head_start).min(s.since + self.limits.busy_start)
            }
            s if s.has_spoken || held[&s.household] <= self.limits.few => s.since + self.limits.head_start,
            s => s.since,
        };
        let may_go = self.strangers.iter().filter(|(_, s)| group(s) && safe_until(s) <= now);
        may_go.min_by_key(|(_, s)| (Reverse(held[&s.household]), safe_until(s))).map(|(id, _)| *id)
    }

    /// Something came over the connection.
    pub fn speaks(&mut self, id: ConnectionId) {
        if let Some(stranger) = self.strangers.get_mut(&id) {
            stranger.has_spoken = true;
        }
    }

    /// The connection showed a valid credential of `owner`. Only the first time counts.
    pub fn trust(&mut self, id: ConnectionId, owner: &O, now: MonoTime) -> Trust {
        if self.is_known(id) {
            return Trust::Known { gives_way: None };
        }
        let Some(stranger) = self.strangers.get(&id).copied() else { return Trust::Full };
        let gives_way = if self.held_by(owner) >= self.limits.per_owner {
            Some(self.who_rests(&|k| k.owner == *owner))
        } else if self.known.len() >= self.limits.known {
            Some(self.who_rests(&|_| true))
        } else {
            None
        };
        let gives_way = match gives_way {
            Some(None) => return Trust::Full,
            Some(found) => found,
            None => None,
        };
        if let Some(id) = gives_way {
            self.known.remove(&id);
        }
        self.strangers.remove(&id);
        self.known.insert(id, Known { owner: owner.clone(), quiet_since: now, running: stranger.running });
        Trust::Known { gives_way }
    }

    fn held_by(&self, owner: &O) -> usize {
        self.known.values().filter(|k| k.owner == *owner).count()
    }

    /// Of those that are idle: one of the owner who holds most, the one that has been idle for longest.
    fn who_rests(&self, group: &dyn Fn(&Known<O>) -> bool) -> Option<ConnectionId> {
        let idle = self.known.iter().filter(|(_, k)| k.running == 0 && group(k));
        idle.min_by_key(|(_, k)| (Reverse(self.held_by(&k.owner)), k.quiet_since)).map(|(id, _)| *id)
    }

    /// A request of the connection starts: its head is there.
    pub fn starts(&mut self, id: ConnectionId) {
        if let Some(stranger) = self.strangers.get_mut(&id) {
            stranger.running += 1;
        } else if let Some(known) = self.known.get_mut(&id) {
            known.running += 1;
        }
    }

    /// A request that started was read to its end: from now on the client waits for the box, and not the box for the client.
    pub fn is_read(&mut self, id: ConnectionId) {
        if let Some(stranger) = self.strangers.get_mut(&id) {
            stranger.answering += 1;
            stranger.offered_at = None;
        }
    }

    /// An answer is ready, or bytes of one were taken: from now on the box waits for the client.
    pub fn offers(&mut self, id: ConnectionId, now: MonoTime) {
        if let Some(stranger) = self.strangers.get_mut(&id) {
            stranger.offered_at = Some(now);
        }
    }

    /// A request of the connection was answered to its end; `was_read` says whether [`Self::is_read`] was called for it.
    pub fn ends(&mut self, id: ConnectionId, was_read: bool, now: MonoTime) {
        if let Some(stranger) = self.strangers.get_mut(&id) {
            stranger.running = stranger.running.saturating_sub(1);
            stranger.answering = stranger.answering.saturating_sub(u32::from(was_read));
        } else if let Some(known) = self.known.get_mut(&id) {
            known.running = known.running.saturating_sub(1);
            known.quiet_since = now;
        }
    }

    /// Whether the connection showed a credential and is held for it.
    pub fn is_known(&self, id: ConnectionId) -> bool {
        self.known.contains_key(&id)
    }

    /// The connection is closed.
    pub fn left(&mut self, id: ConnectionId) {
        self.strangers.remove(&id);
        self.known.remove(&id);
    }

    /// Connections that are held: strangers, and those that showed a credential.
    pub fn held(&self) -> (usize, usize) {
        (self.strangers.len(), self.known.len())
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
