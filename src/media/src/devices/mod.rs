//! The cameras and microphones that are plugged into the box: found in the kernel's lists, asked what they offer, and what is said where one
//! is missing, busy or no camera. Own ioctls and files rather than GStreamer's device monitor, which knows neither serial numbers nor ports,
//! takes metadata nodes for cameras and cannot say who holds a device; of libcamera, which has no files, its GStreamer plug-in is asked.

#[expect(unsafe_code, reason = "V4L2 is asked by ioctl with C structures")]
mod kernel;
mod tree;
#[expect(unsafe_code, reason = "tokio trusts that a descriptor stays open")]
mod watch;

#[cfg(test)]
pub(crate) mod tests;

pub use kernel::{Described, Kernel};
pub(crate) use watch::Watch;

use gstreamer as gst;
use gstreamer::prelude::*;
use kernel::Ioctls;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::camera::CameraConfig;
use perch_domain::camera_modes::{self, Choice, Link, Pixels};
use perch_domain::microphone::{self, SoundCard};
use perch_domain::picture_controls::v4l2::V4l2Control;
use perch_domain::usb_camera::{self, Holder, VideoName, VideoNode};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The machine with its devices. Clones are the same machine.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
    kernel: Arc<dyn Kernel>,
}

impl Default for Machine {
    /// This machine.
    fn default() -> Self {
        Self::new(Path::new("/"), Arc::new(Ioctls))
    }
}

/// What a driver says to a control that it has, and does not set: it is out of its range, has no effect now, or its camera does not answer.
const REFUSED: [Option<Errno>; 4] = [Some(Errno::RANGE), Some(Errno::INVAL), Some(Errno::IO), Some(Errno::BUSY)];

/// A camera that was found and asked.
#[derive(Clone, Debug)]
pub struct FoundCamera {
    /// Its node for pictures.
    pub node: VideoNode,
    /// What its driver says.
    pub described: Described,
    /// How it is connected.
    pub link: Link,
}

impl FoundCamera {
    /// The mode for the camera that `config` describes. Errors with `Unsupported` where it has none that the box can use.
    pub fn choose(&self, config: &CameraConfig) -> Result<Choice> {
        let all = &self.described.modes;
        let modes = if config.picture.needs_encoding() { camera_modes::encoded_here(all)? } else { all.clone() };
        camera_modes::choose(&modes, config.main, config.codec, self.link)
    }
}

/// The pipeline file for a camera's pictures.
pub fn pipeline_file(pixels: Pixels) -> &'static str {
    match pixels {
        Pixels::H264 => "source/v4l2-h264",
        Pixels::Raw(..) => "source/v4l2-raw",
        Pixels::Jpeg if crate::has_element("v4l2jpegdec") => "source/v4l2-mjpeg-hw",
        Pixels::Jpeg => "source/v4l2-mjpeg",
    }
}

impl Machine {
    /// A machine whose files are below `root` and whose video drivers are asked by `kernel`.
    pub fn new(root: &Path, kernel: Arc<dyn Kernel>) -> Self {
        Self { root: root.to_owned(), kernel }
    }

    /// Looks on as its devices come. To be called inside the runtime.
    pub(crate) fn watch(&self) -> Watch {
        Watch::new(&self.root)
    }

    fn nodes(&self) -> Vec<VideoNode> {
        tree::video_nodes(&self.root)
    }

    /// The same with the node that `name` numbers: a container may have it and not the kernel's list.
    fn nodes_for(&self, name: &VideoName) -> Vec<VideoNode> {
        let mut nodes = self.nodes();
        if let VideoName::Number(number) = name
            && !nodes.iter().any(|n| n.number == *number)
            && self.root.join(format!("dev/video{number}")).exists()
        {
            nodes.push(VideoNode { number: *number, ..VideoNode::default() });
        }
        nodes
    }

    fn file(&self, node: &VideoNode) -> PathBuf {
        self.root.join(node.path().trim_start_matches('/'))
    }

    /// The camera that `name` means. Errors with a sentence for people: `Unavailable` where it is not there or may not be opened,
    /// `Invalid` where the node is no camera's. May block for as long as its driver likes.
    pub fn camera(&self, name: &VideoName) -> Result<FoundCamera> {
        let nodes = self.nodes_for(name);
        let node = usb_camera::find(name, &nodes)?;
        self.ask(node, &nodes)
    }

    fn ask(&self, node: &VideoNode, nodes: &[VideoNode]) -> Result<FoundCamera> {
        let described = self.kernel.describe(&self.file(node)).map_err(|e| self.not_opened(node, e))?;
        usb_camera::check_caps(node, described.caps, nodes)?;
        let usb = |n: &VideoNode| n.usb.clone().filter(|_| n.index == 0);
        let link = node.usb.as_ref().map_or_else(Link::default, |own| {
            let mut on_bus: Vec<_> = nodes
                .iter()
                .filter_map(usb)
                .filter(|other| (&other.bus, other.speed_mbit) == (&own.bus, own.speed_mbit))
                .collect();
            on_bus.dedup_by(|a, b| a.device == b.device);
            Link { speed_mbit: own.speed_mbit, cameras: u32::try_from(on_bus.len()).unwrap_or(u32::MAX).max(1) }
        });
        Ok(FoundCamera { node: node.clone(), described, link })
    }

    fn not_opened(&self, node: &VideoNode, e: io::Error) -> Error {
        let path = node.path();
        let (kind, what) = match Errno::from_io_error(&e) {
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
                (ErrorKind::NotFound, format!("{path} is unplugged: plug the camera in again"))
            }
            Some(Errno::ACCESS | Errno::PERM) => {
                let what = format!("{path} may not be opened: add the user that runs perch to the group `video`");
                (ErrorKind::Forbidden, what)
            }
            Some(Errno::BUSY) => {
                (ErrorKind::Conflict, format!("{path} {}", self.holder(node).unwrap_or(Holder::Unseen)))
            }
            Some(Errno::NOTTY) => {
                (ErrorKind::Unavailable, format!("{path} is no video device: see `perch check` for cameras"))
            }
            _ => {
                let what = format!("{path} cannot be asked what it offers: unplug the camera and plug it in again");
                (ErrorKind::Unavailable, what)
            }
        };
        Error::new(kind, what).with_source(e)
    }

    /// The controls of the camera `name` that people can use. Errors like [`Self::camera`]. May block.
    pub fn controls(&self, name: &VideoName) -> Result<Vec<V4l2Control>> {
        self.at_node(name, |file| self.kernel.controls(file))
    }

    /// Sets one of them, by its number. Errors likewise, and with `Conflict` where the driver does not take it. May block.
    pub fn set_control(&self, name: &VideoName, id: u32, value: i32) -> Result<()> {
        let set = self.at_node(name, |file| match self.kernel.set_control(file, id, value) {
            // Opening was not refused before that.
            Err(e) if REFUSED.contains(&Errno::from_io_error(&e)) => Ok(Err(e)),
            other => other.map(Ok),
        })?;
        set.map_err(|e| Error::new(ErrorKind::Conflict, "the camera does not take it now").with_source(e))
    }

    fn at_node<T>(&self, name: &VideoName, ask: impl FnOnce(&Path) -> io::Result<T>) -> Result<T> {
        let nodes = self.nodes_for(name);
        let node = usb_camera::find(name, &nodes)?;
        ask(&self.file(node)).map_err(|e| self.not_opened(node, e))
    }

    /// Who holds the node, as far as this user may see.
    pub fn holder(&self, node: &VideoNode) -> Option<Holder> {
        tree::holder(&self.root, &node.path())
    }

    /// Every camera that is plugged in, or why one cannot be asked; nodes that are no camera's are left out. May block.
    pub fn cameras(&self) -> Vec<(VideoNode, Result<FoundCamera>)> {
        let nodes = self.nodes();
        let asked = nodes.iter().map(|node| (node.clone(), self.ask(node, &nodes)));
        asked.filter(|(_, asked)| asked.as_ref().err().is_none_or(|e| e.kind() != ErrorKind::Invalid)).collect()
    }

    /// The same but for the cameras of the box, which are named and not opened: one that is switched off stays closed, and one that runs is
    /// not disturbed. May block.
    pub fn cameras_beside(&self, own: &[&VideoName]) -> (Vec<VideoNode>, Vec<(VideoNode, Result<FoundCamera>)>) {
        let nodes = self.nodes();
        let own: Vec<VideoNode> = own.iter().filter_map(|name| usb_camera::find(name, &nodes).ok().cloned()).collect();
        // A camera's metadata node is of the same making.
        let is_own = |node: &VideoNode| {
            own.iter().any(|o| o.number == node.number || (!o.made_by.is_empty() && o.made_by == node.made_by))
        };
        let others = nodes.iter().filter(|node| !is_own(node));
        let asked = others.map(|node| (node.clone(), self.ask(node, &nodes)));
        let found =
            asked.filter(|(_, asked)| asked.as_ref().err().is_none_or(|e| e.kind() != ErrorKind::Invalid)).collect();
        (own, found)
    }

    /// Whether `name` means this node. Nothing is opened.
    pub fn is_node(&self, name: &VideoName, node: &VideoNode) -> bool {
        usb_camera::find(name, &self.nodes()).is_ok_and(|found| found.number == node.number)
    }

    /// The source that names a camera best.
    pub fn best_name(&self, node: &VideoNode) -> VideoName {
        usb_camera::best_name(node, &self.nodes())
    }

    /// Why an attempt at the camera `name` failed, where the machine knows it better than `error` says: the camera is unplugged, or another
    /// program has it. May block.
    pub fn why_lost(&self, name: &VideoName, error: Error) -> Error {
        let unplugged = |error: Error| {
            let how = match name {
                VideoName::ById(_) | VideoName::Serial(_) => "at any port",
                VideoName::ByPath(_) | VideoName::Number(_) => "at the same port",
            };
            let message = format!("the camera {name} is unplugged: plug it in again, {how}");
            Error::new(ErrorKind::NotFound, message).with_source(error)
        };
        let nodes = self.nodes_for(name);
        let Ok(node) = usb_camera::find(name, &nodes) else { return unplugged(error) };
        match self.kernel.describe(&self.file(node)) {
            Ok(described) if described.is_busy => {
                let holder = self.holder(node).unwrap_or(Holder::Unseen);
                Error::new(ErrorKind::Conflict, format!("the camera {name} {holder}")).with_source(error)
            }
            Ok(_) => error,
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::NODEV | Errno::NXIO)) => {
                unplugged(error)
            }
            Err(e) if Errno::from_io_error(&e) == Some(Errno::BUSY) => self.not_opened(node, e),
            Err(_) => error,
        }
    }

    /// Every sound card.
    pub fn sound_cards(&self) -> Vec<SoundCard> {
        tree::sound_cards(&self.root)
    }

    /// Whether the ALSA device `device` can be listened to. Errors with a sentence for people: it is not there, has no microphone, or another
    /// program listens to it.
    pub fn microphone(&self, device: &str) -> Result<()> {
        let cards = self.sound_cards();
        let Some((card, number)) = microphone::find(device, &cards)? else { return Ok(()) };
        match self.listener(card, number) {
            Some(holder) => Err(Error::new(ErrorKind::Unavailable, format!("the microphone {} {holder}", card.id))),
            None => Ok(()),
        }
    }

    /// Who listens to a card's device now.
    pub fn listener(&self, card: &SoundCard, device: u32) -> Option<Holder> {
        tree::listener(&self.root, card.number, device)
    }
}

/// The ids of all cameras that libcamera finds; `None` where its GStreamer plug-in is missing. May block.
pub fn sensors() -> Option<Vec<String>> {
    if !crate::has_element("libcamerasrc") {
        return None;
    }
    let provider = gst::DeviceProviderFactory::by_name("libcameraprovider")?;
    let mut ids: Vec<String> = provider.devices().iter().map(|d| d.display_name().to_string()).collect();
    ids.sort();
    Some(ids)
}
