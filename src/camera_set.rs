//! The cameras of the box by id, in the order of the config. They come, change and go while it runs; whoever needs one asks again.

use crate::camera::Camera;
use perch_base::ids::CameraId;
use perch_base::sync::{read, write};
use perch_base::{Error, Result};
use perch_domain::camera::CameraConfig;
use perch_domain::memory::PictureMemory;
use perch_domain::running::RunningCamera;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// All cameras. Each is one value that is replaced as a whole; what it does lives on in it (see [`Camera::changed`]).
pub struct CameraSet {
    cameras: RwLock<Vec<Arc<Camera>>>,
    /// The box's memory, which they share.
    box_bytes: u64,
}

impl CameraSet {
    /// None yet, on a box with so much memory.
    pub fn new(box_bytes: u64) -> Self {
        Self { cameras: RwLock::default(), box_bytes }
    }

    /// All of them, in order, as they are now.
    pub fn all(&self) -> Vec<Arc<Camera>> {
        self.read().clone()
    }

    /// How they are configured, in order.
    pub fn configs(&self) -> Vec<CameraConfig> {
        self.read().iter().map(|c| c.config.clone()).collect()
    }

    /// Their ids and names, as commands beside the box need them.
    pub fn named(&self) -> Vec<RunningCamera> {
        let named = |c: &Arc<Camera>| RunningCamera { id: c.config.id.clone(), name: c.config.name.clone() };
        self.read().iter().map(named).collect()
    }

    /// One of them. Errors with `NotFound`.
    pub fn get(&self, id: &CameraId) -> Result<Arc<Camera>> {
        let found = self.read().iter().find(|c| c.config.id == *id).cloned();
        found.ok_or_else(|| Error::not_found(format!("there is no camera `{id}`")))
    }

    /// Adds one at the end, or takes it in place of the one of its id.
    pub fn set(&self, camera: Arc<Camera>) {
        let mut all = self.write();
        match all.iter_mut().find(|c| c.config.id == camera.config.id) {
            Some(before) => *before = camera,
            None => all.push(camera),
        }
        self.share_memory(&all);
    }

    /// Takes one out.
    pub fn remove(&self, id: &CameraId) -> Option<Arc<Camera>> {
        let mut all = self.write();
        let at = all.iter().position(|c| c.config.id == *id)?;
        let gone = all.remove(at);
        self.share_memory(&all);
        Some(gone)
    }

    /// Puts them into this order; those that it does not name come first.
    pub fn arrange(&self, order: &[CameraId]) {
        self.write().sort_by_key(|c| order.iter().position(|id| *id == c.config.id));
    }

    fn share_memory(&self, all: &[Arc<Camera>]) {
        let memory = PictureMemory::of(self.box_bytes, all.len());
        all.iter().for_each(|camera| camera.hub.set_memory(memory));
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Camera>>> {
        read(&self.cameras)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Arc<Camera>>> {
        write(&self.cameras)
    }
}
