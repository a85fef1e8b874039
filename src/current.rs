//! The configuration that the box goes by.

use crate::config::Config;
use perch_base::sync::{read, write};
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

    /// From now on it is this.
    pub fn set(&self, config: Config) {
        *write(&self.0) = Arc::new(config);
    }
}
