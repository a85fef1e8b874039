//! What unit tests share: a store in a folder of its own, a change that waits.

use crate::change::RowChange;
use crate::{Config, Store};
use perch_base::clock::ManualClock;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_domain::access::SessionConfig;
use perch_domain::archive::{Gap, GapCause};
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use std::sync::Arc;
use std::time::Duration;

/// A gap of one camera from the start of 1970 to `end_us`.
pub(crate) fn gap(end_us: i64, cause: GapCause) -> RowChange {
    let camera = CameraId::new("front").expect("valid");
    RowChange::Gap { camera, gap: Gap::new(Timestamp(0), Timestamp(end_us), cause) }
}

/// A new store below `dir`, without limits.
pub(crate) fn open(dir: &tempfile::TempDir) -> Store {
    let config = Config {
        data_dir: dir.path().join("data"),
        pairing: PairingConfig::default(),
        session: SessionConfig { idle: Duration::from_secs(3600), max: Duration::from_secs(86_400) },
        retention: RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 0, event_max_days: 0 },
        copies: Default::default(),
    };
    Store::open(config, Arc::new(ManualClock::new(Timestamp(1_800_000_000_000_000)))).expect("opens")
}
