//! The configuration that the box goes by.

use crate::config::Config;
use perch_base::sync::{read, write};
use perch_media::capture::ZoneNow;
use std::sync::{Arc, RwLock};

/// The configuration that the box goes by, shared.
#[derive(Clone)]
pub struct Current(Arc<RwLock<Arc<Config>>>);

impl Current {
    /// From the start on it is this.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// As it is now.
    pub fn config(&self) -> Arc<Config> {
        read(&self.0).clone()
    }

    /// Says which time zone it has, whenever that is asked.
    pub fn zone_now(&self) -> ZoneNow {
        let current = self.clone();
        Arc::new(move || current.config().zone())
    }

    /// From now on it is this.
    pub fn set(&self, config: Config) {
        *write(&self.0) = Arc::new(config);
    }
}
