//! Wakes whoever waits for a device: the kernel says by inotify that one was plugged in, or that this user may use it now.

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// Where the files of devices appear: the kernel's first, udev's links after them.
const FOLDERS: [&str; 5] = ["dev", "dev/v4l", "dev/v4l/by-id", "dev/v4l/by-path", "dev/snd"];
/// What of `/dev` itself belongs to cameras and microphones.
const OURS: [&str; 3] = ["video", "v4l", "snd"];

/// Looks on as devices come.
#[derive(Debug)]
pub(crate) struct Watch {
    root: PathBuf,
    /// `None` where the kernel gives none: then nobody is woken, and attempts follow their pauses.
    inotify: Option<AsyncFd<OwnedFd>>,
    /// Which of the kernel's numbers means `/dev`.
    dev: Option<i32>,
}

impl Watch {
    /// Looks at the device files below `root` from now on. To be called inside the runtime.
    pub fn new(root: &Path) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok().and_then(|fd| {
            // SAFETY: the descriptor is owned and always the same; it stays open until the registration that owns it is dropped.
            unsafe { AsyncFd::register(fd) }.ok()
        });
        let mut watch = Self { root: root.to_owned(), inotify, dev: None };
        watch.follow();
        watch
    }

    /// Looks at every folder that is there by now: udev makes and removes its own with the first and the last device.
    fn follow(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB | WatchFlags::ONLYDIR;
        for folder in FOLDERS {
            let number = inotify::add_watch(inotify.get_ref(), self.root.join(folder), flags).ok();
            if folder == FOLDERS[0] {
                self.dev = number;
            }
        }
    }

    /// Forgets what came until now.
    pub fn forget(&mut self) {
        while self.read() {}
        self.follow();
    }

    /// Returns when a device came since the last call of this or of [`Self::forget`]; else waits.
    pub async fn changed(&mut self) {
        loop {
            if self.read() {
                self.follow();
                return;
            }
            let Some(inotify) = &self.inotify else { return std::future::pending().await };
            match inotify.readable().await {
                Ok(mut ready) => {
                    // What came between the reading and this is found by the next reading, which the kernel announces again.
                    ready.clear_ready();
                }
                Err(_) => return std::future::pending().await,
            }
            if self.read() {
                self.follow();
                return;
            }
        }
    }

    /// Reads what is there; whether a device was among it.
    fn read(&self) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mut room = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(inotify.get_ref(), &mut room);
        let mut came = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                    came |= Some(event.wd()) != self.dev || OURS.iter().any(|ours| name.starts_with(ours));
                }
                Err(Errno::INTR) => {}
                // Nothing more is there.
                Err(_) => return came,
            }
        }
    }
}
