//! What becomes of the recordings of a camera that is removed: they stay, or go with it, whenever the box is killed.

use perch_base::Result;
use perch_base::ids::CameraId;
use perch_domain::archive::KeptOfCamera;
use perch_domain::settings::changes::KeepOrDelete;
use perch_store::Recordings;

/// A camera that goes.
#[derive(Clone)]
pub struct CameraThatGoes {
    pub camera: CameraId,
    pub are: KeepOrDelete,
    pub store: Recordings,
}

impl CameraThatGoes {
    /// How much is kept of it.
    pub fn kept(&self) -> Result<KeptOfCamera> {
        self.store.kept_of_camera(&self.camera)
    }

    /// Before the camera goes: what is to go with it.
    pub fn note(&self) -> Result<()> {
        match self.are {
            KeepOrDelete::Keep => Ok(()),
            KeepOrDelete::Delete => self.store.forget_once_gone(&self.camera),
        }
    }

    /// The camera stays after all.
    pub fn take_back(&self) -> Result<()> {
        match self.are {
            KeepOrDelete::Keep => Ok(()),
            KeepOrDelete::Delete => self.store.forget_not(&self.camera),
        }
    }

    /// The camera is gone: what it recorded until now goes, beside everything else.
    pub fn delete(&self) -> Result<()> {
        match self.are {
            KeepOrDelete::Keep => Ok(()),
            KeepOrDelete::Delete => self.store.forget_now(&self.camera),
        }
    }

    /// What that means, for people.
    pub fn effect(&self, kept: &KeptOfCamera) -> Option<String> {
        let (camera, much) = (&self.camera, kept.words());
        match (self.are, kept.files + kept.events) {
            (_, 0) => None,
            (KeepOrDelete::Keep, _) => Some(format!("{camera}: its recordings stay ({much})")),
            (KeepOrDelete::Delete, _) => Some(format!("{camera}: its recordings are deleted ({much})")),
        }
    }
}
