//! The door of the server: counts the connections that are open and sends away those that must give way. Who that is, is decided
//! in `domain::admission`.

use perch_base::clock::SharedClock;
use perch_base::ids::DeviceId;
use perch_base::sync::lock;
use perch_domain::admission::{Admission, AdmissionVerdict, ConnectionId, Limits, Trust};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// Where every connection passes. Clones are the same door.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

struct Inner {
    clock: SharedClock,
    state: Mutex<State>,
}

struct State {
    admission: Admission<DeviceId>,
    /// By which each connection is sent away.
    open: HashMap<ConnectionId, Arc<Notify>>,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn send_away(&mut self, id: Option<ConnectionId>) {
        if let Some(closed) = id.and_then(|id| self.open.remove(&id)) {
            closed.notify_one();
        }
    }
}

impl Door {
    pub(crate) fn new(clock: SharedClock) -> Self {
        let state = State { admission: Admission::new(Limits::HTTPS), open: HashMap::new() };
        Self(Arc::new(Inner { clock, state: Mutex::new(state) }))
    }

    /// A place for a connection from there, for which another may have to go; `None`: there is none.
    pub(crate) fn arrive(&self, from: IpAddr) -> Option<Place> {
        let mut state = self.0.lock();
        let AdmissionVerdict::Accept { id, gives_way } = state.admission.arrive(from, self.0.clock.mono()) else {
            return None;
        };
        state.send_away(gives_way);
        let closed = Arc::new(Notify::new());
        state.open.insert(id, Arc::clone(&closed));
        Some(Place { door: Arc::clone(&self.0), id, closed })
    }
}

/// The place of one connection, given back when dropped.
pub(crate) struct Place {
    door: Arc<Inner>,
    id: ConnectionId,
    closed: Arc<Notify>,
}

impl Place {
    /// Returns once the connection must go.
    pub(crate) async fn sent_away(&self) {
        self.closed.notified().await;
    }

    /// Something came over the connection.
    pub(crate) fn speaks(&self) {
        self.door.lock().admission.speaks(self.id);
    }

    /// A request starts: its head is there.
    pub(crate) fn starts(&self) {
        self.door.lock().admission.starts(self.id);
    }

    /// A request that started was read to its end.
    pub(crate) fn is_read(&self) {
        self.door.lock().admission.is_read(self.id);
    }

    /// An answer is ready, or bytes of one were taken.
    pub(crate) fn offers(&self) {
        self.door.lock().admission.offers(self.id, self.door.clock.mono());
    }

    /// A request was answered to its end, or given up before it `was_read`.
    pub(crate) fn ends(&self, was_read: bool) {
        self.door.lock().admission.ends(self.id, was_read, self.door.clock.mono());
    }

    /// The connection showed a credential of this device.
    pub(crate) fn trust(&self, device: DeviceId) {
        let mut state = self.door.lock();
        if let Trust::Known { gives_way } = state.admission.trust(self.id, &device, self.door.clock.mono()) {
            state.send_away(gives_way);
        }
    }

    /// Whether it showed one.
    pub(crate) fn is_known(&self) -> bool {
        self.door.lock().admission.is_known(self.id)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.door.lock();
        state.admission.left(self.id);
        state.open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::ManualClock;
    use perch_base::time::Timestamp;

    #[tokio::test]
    async fn one_client_cannot_take_every_place_and_nothing_is_remembered() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let door = Door::new(clock.clone());
        let from = |ip: &str| door.arrive(ip.parse().expect("an address"));
        let mut mine: Vec<_> = (0..Limits::HTTPS.per_household).map(|_| from("192.0.2.1").expect("a place")).collect();
        mine.iter().for_each(Place::speaks);
        assert!(from("192.0.2.1").is_none());
        let other = from("192.0.2.2").expect("others are not affected");
        clock.advance(Limits::HTTPS.head_start);
        mine.push(from("192.0.2.1").expect("the oldest gives way"));
        mine[0].sent_away().await;
        mine[1].trust(DeviceId::random());
        assert!(mine[1].is_known() && !mine[2].is_known());
        mine.clear();
        drop(other);
        let state = door.0.lock();
        assert_eq!((state.admission.held(), state.open.len()), ((0, 0), 0));
    }
}
