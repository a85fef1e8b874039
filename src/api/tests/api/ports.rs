//! The ports that a server under test is given.

use crate::identity::FakeIdentity;
use crate::support::*;
use perch_api::Ports;
use perch_base::clock::SharedClock;
use perch_domain::ports::LivePort;
use perch_domain::status::Notice;
use std::sync::Arc;
use tokio::sync::broadcast;

pub fn ports(
    fake: &Arc<Fake>,
    identity: Arc<FakeIdentity>,
    clock: SharedClock,
    notices: broadcast::Sender<Arc<Notice>>,
) -> Ports {
    let engine = Arc::clone(fake);
    Ports {
        identity,
        live: fake.clone(),
        web_live: fake.clone(),
        access: fake.clone(),
        archive: fake.clone(),
        range_pushes: fake.range_pushes.clone(),
        cameras: fake.clone(),
        update: fake.update.clone(),
        announcements: fake.announcements.clone(),
        settings: fake.settings.clone(),
        probe: fake.probe.clone(),
        discovery: fake.probe.clone(),
        backup: fake.system.clone(),
        log: fake.system.clone(),
        system: fake.system.clone(),
        modes: fake.modes.clone(),
        copies: Arc::new(crate::copies::FakeCopies),
        clock,
        notices,
        cut_offs: fake.cut_offs.clone(),
        readers: fake.clone(),
        on_access_change: Arc::new(move |change| {
            let mut state = engine.state();
            state.changes.push(change);
            drop(state);
            match change {
                perch_api::AccessChange::DeviceRevoked(device) => engine.end_device(device),
                perch_api::AccessChange::StreamPasswordsChanged => engine.engine().map(drop),
            }
        }),
    }
}
