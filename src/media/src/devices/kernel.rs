//! The kernel's V4L2 by ioctl: what a node can do, its modes and its controls, which alone are changed. Structures and numbers are
//! those of `linux/videodev2.h`; the size of each is checked against its request.

use perch_domain::camera_modes::{FourCc, Mode, Rate, Rates, Sizes};
use perch_domain::picture_controls::v4l2::{self, V4l2Control};
use perch_domain::usb_camera::Caps;
use rustix::fs::{FileType, Mode as Permissions, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{self, Opcode, Updater, opcode};
use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a driver says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The driver's name, such as `uvcvideo`.
    pub driver: String,
    /// The camera's name.
    pub card: String,
    /// What the node can do.
    pub caps: Caps,
    /// The modes it has.
    pub modes: Vec<Mode>,
    /// The names of its controls, such as `Brightness`.
    pub controls: Vec<String>,
    /// Whether another program takes its pictures now.
    pub is_busy: bool,
}

/// Asks the drivers of video nodes. Tests have one of their own.
pub trait Kernel: Debug + Send + Sync {
    /// Opens `node`, asks and closes it. May block for as long as the driver likes.
    fn describe(&self, node: &Path) -> io::Result<Described>;
    /// Opens `node`, asks for the controls that people can use, with what they are, and closes it. May block likewise.
    fn controls(&self, node: &Path) -> io::Result<Vec<V4l2Control>>;
    /// Opens `node`, sets the control of this number and closes it. May block likewise.
    fn set_control(&self, node: &Path, id: u32, value: i32) -> io::Result<()>;
}

/// The machine's kernel.
#[derive(Clone, Copy, Debug)]
pub struct Ioctls;

/// The major number of video nodes (`Documentation/admin-guide/devices.txt`).
const VIDEO_MAJOR: u32 = 81;
/// What is looked at of each list: a driver that lists without end is cut off.
const MAX_FORMATS: u32 = 64;
const MAX_SIZES: u32 = 128;
const MAX_RATES: u32 = 64;
const MAX_CONTROLS: usize = 256;
const MAX_MENU: usize = 32;

const BUFFERS_ARE_MAPPED: u32 = 1;
const CAPTURE: u32 = 1;
const CAPTURE_MPLANE: u32 = 9;
const HAS_CAPTURE_MPLANE: u32 = 0x1000;
const HAS_DEVICE_CAPS: u32 = 0x8000_0000;
const DISCRETE: u32 = 1;
const NEXT_CONTROL: u32 = 0x8000_0000;
const IS_DISABLED: u32 = 1;
const IS_HEADLINE: u32 = 6;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Capability {
    driver: [u8; 16],
    card: [u8; 32],
    bus_info: [u8; 32],
    version: u32,
    capabilities: u32,
    device_caps: u32,
    reserved: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Format {
    index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    fourcc: u32,
    mbus_code: u32,
    reserved: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FrameSize {
    index: u32,
    fourcc: u32,
    kind: u32,
    /// Width and height, or for both: smallest, largest, step.
    numbers: [u32; 6],
    reserved: [u32; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FrameInterval {
    index: u32,
    fourcc: u32,
    width: u32,
    height: u32,
    kind: u32,
    /// Seconds as fractions: the interval, or the shortest, the longest and the step.
    fractions: [[u32; 2]; 3],
    reserved: [u32; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Control {
    id: u32,
    kind: u32,
    name: [u8; 32],
    numbers: [i32; 4],
    flags: u32,
    reserved: [u32; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

/// What a control is. Every control that is offered has 32 bits, which the kernel also takes of those whose list is read by
/// `VIDIOC_G_EXT_CTRLS`: so no structure here holds a pointer.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Value {
    id: u32,
    value: i32,
}

#[repr(C, packed)]
#[derive(Clone, Copy, Default)]
struct MenuEntry {
    id: u32,
    index: u32,
    /// Or a number in the first eight.
    name: [u8; 32],
    reserved: u32,
}

const QUERYCAP: Opcode = opcode::read::<Capability>(b'V', 0);
const ENUM_FMT: Opcode = opcode::read_write::<Format>(b'V', 2);
const REQBUFS: Opcode = opcode::read_write::<RequestBuffers>(b'V', 8);
const G_CTRL: Opcode = opcode::read_write::<Value>(b'V', 27);
const S_CTRL: Opcode = opcode::read_write::<Value>(b'V', 28);
const QUERYMENU: Opcode = opcode::read_write::<MenuEntry>(b'V', 37);
const QUERYCTRL: Opcode = opcode::read_write::<Control>(b'V', 36);
const ENUM_FRAMESIZES: Opcode = opcode::read_write::<FrameSize>(b'V', 74);
const ENUM_FRAMEINTERVALS: Opcode = opcode::read_write::<FrameInterval>(b'V', 75);

/// One request whose argument the driver reads and writes.
fn ask<const OPCODE: Opcode, T: Copy>(node: &OwnedFd, argument: &mut T) -> Result<(), Errno> {
    // The kernel copies as many bytes as stand in the request (bits 16 to 29).
    const { assert!((OPCODE as usize >> 16) & 0x3fff == size_of::<T>(), "the size of the argument is the request's") };
    // SAFETY: the request's number says how many bytes it reads and writes, and that is the size of `T`, as checked above; every `T`
    // here is plain numbers, for which any bytes are valid. The descriptor is open and that of a video device.
    unsafe { ioctl::ioctl(node, Updater::<OPCODE, T>::new(argument)) }
}

/// A video device, opened as one may beside whoever takes its pictures.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let node = rustix::fs::open(path, flags, Permissions::empty())?;
    let stat = rustix::fs::fstat(&node)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || rustix::fs::major(stat.st_rdev) != VIDEO_MAJOR {
        return Err(io::Error::from(Errno::NOTTY));
    }
    Ok(node)
}

impl Kernel for Ioctls {
    fn describe(&self, path: &Path) -> io::Result<Described> {
        let node = open(path)?;
        let mut found = Capability::default();
        ask::<QUERYCAP, _>(&node, &mut found)?;
        let has_own = found.capabilities & HAS_DEVICE_CAPS != 0;
        let caps = Caps(if has_own { found.device_caps } else { found.capabilities });
        let mut described =
            Described { driver: text(&found.driver), card: text(&found.card), caps, ..Described::default() };
        if caps.gives_pictures() {
            let kind = if caps.0 & HAS_CAPTURE_MPLANE != 0 { CAPTURE_MPLANE } else { CAPTURE };
            described.modes = modes(&node, kind)?;
            described.controls = controls(&node);
            described.is_busy = is_busy(&node, kind);
        }
        Ok(described)
    }

    fn controls(&self, path: &Path) -> io::Result<Vec<V4l2Control>> {
        let node = open(path)?;
        let mut found = Vec::new();
        each_control(&node, |control| {
            if v4l2::is_offered(control.id) {
                let mut now = Value { id: control.id, value: 0 };
                // One that cannot be read may be set all the same.
                let value = ask::<G_CTRL, _>(&node, &mut now).is_ok().then_some(now.value);
                let Control { id, kind, numbers, flags, .. } = *control;
                found.push(V4l2Control { id, kind, numbers, flags, value, menu: menu(&node, control) });
            }
        });
        Ok(found)
    }

    fn set_control(&self, path: &Path, id: u32, value: i32) -> io::Result<()> {
        Ok(ask::<S_CTRL, _>(&open(path)?, &mut Value { id, value })?)
    }
}

/// The entries of a menu that there are: drivers leave some out.
fn menu(node: &OwnedFd, control: &Control) -> Vec<(i32, String)> {
    let [first, last, ..] = control.numbers;
    let is_of_numbers = control.kind == v4l2::INTEGER_MENU;
    if control.kind != v4l2::MENU && !is_of_numbers {
        return Vec::new();
    }
    let mut entries = Vec::new();
    for index in (first.max(0)..=last).take(MAX_MENU) {
        let mut entry = MenuEntry { id: control.id, index: index.cast_unsigned(), ..MenuEntry::default() };
        if ask::<QUERYMENU, _>(node, &mut entry).is_ok() {
            let name = entry.name;
            let number = i64::from_ne_bytes([name[0], name[1], name[2], name[3], name[4], name[5], name[6], name[7]]);
            entries.push((index, if is_of_numbers { number.to_string() } else { text(&name) }));
        }
    }
    entries
}

/// Asks one entry of a list after the other, until the driver says that there is none.
fn each<T>(most: u32, mut ask: impl FnMut(u32) -> Result<T, Errno>, mut take: impl FnMut(T)) -> Result<(), Errno> {
    for index in 0..most {
        match ask(index) {
            Ok(entry) => take(entry),
            Err(Errno::INVAL | Errno::NOTTY) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn modes(node: &OwnedFd, kind: u32) -> Result<Vec<Mode>, Errno> {
    let mut formats = Vec::new();
    let format = |index| {
        let mut format = Format { index, kind, ..Format::default() };
        ask::<ENUM_FMT, _>(node, &mut format).map(|()| format.fourcc)
    };
    each(MAX_FORMATS, format, |fourcc| formats.push(fourcc))?;
    let mut modes = Vec::new();
    for fourcc in formats {
        let mut sizes = Vec::new();
        let size = |index| {
            let mut size = FrameSize { index, fourcc, ..FrameSize::default() };
            ask::<ENUM_FRAMESIZES, _>(node, &mut size).map(|()| size)
        };
        each(MAX_SIZES, size, |size: FrameSize| {
            let [a, b, c, d, e, f] = size.numbers;
            let is_discrete = size.kind == DISCRETE;
            let range = Sizes::Range { min: (a, d), max: (b, e), step: (c, f) };
            // Of a range no other entries follow; a driver that repeats it is not believed.
            let sizes_of = if is_discrete { Sizes::Fixed(a, b) } else { range };
            if !sizes.contains(&sizes_of) {
                sizes.push(sizes_of);
            }
        })?;
        if sizes.is_empty() {
            // The driver does not say: it is asked for what is wanted, and takes what is nearest.
            sizes.push(Sizes::Range { min: (16, 16), max: (4096, 4096), step: (2, 2) });
        }
        let format = FourCc(fourcc.to_le_bytes());
        for sizes in sizes {
            modes.push(Mode { format, sizes, rates: rates(node, fourcc, sizes)? });
        }
    }
    Ok(modes)
}

fn rates(node: &OwnedFd, fourcc: u32, sizes: Sizes) -> Result<Rates, Errno> {
    let (width, height) = match sizes {
        Sizes::Fixed(width, height) => (width, height),
        Sizes::Range { max, .. } => max,
    };
    let (mut these, mut range) = (Vec::new(), None);
    let interval = |index| {
        let mut interval = FrameInterval { index, fourcc, width, height, ..FrameInterval::default() };
        ask::<ENUM_FRAMEINTERVALS, _>(node, &mut interval).map(|()| interval)
    };
    each(MAX_RATES, interval, |interval: FrameInterval| {
        let [shortest, longest, _] = interval.fractions.map(rate);
        match interval.kind {
            DISCRETE => these.extend(shortest),
            _ => range = longest.zip(shortest),
        }
    })?;
    Ok(match range {
        Some((low, high)) => Rates::Range(low, high),
        None if these.is_empty() => Rates::Unknown,
        None => Rates::These(these),
    })
}

/// The rate of an interval in seconds.
fn rate([numerator, denominator]: [u32; 2]) -> Option<Rate> {
    let fits = |n: u32| n > 0 && i32::try_from(n).is_ok();
    (fits(numerator) && fits(denominator)).then_some((denominator, numerator))
}

fn controls(node: &OwnedFd) -> Vec<String> {
    let mut names = Vec::new();
    each_control(node, |control| {
        if control.flags & IS_DISABLED == 0 && control.kind != IS_HEADLINE {
            names.push(text(&control.name));
        }
    });
    names
}

fn each_control(node: &OwnedFd, mut take: impl FnMut(&Control)) {
    let mut last = 0;
    for _ in 0..MAX_CONTROLS {
        let mut control = Control { id: last | NEXT_CONTROL, ..Control::default() };
        // A driver that does not go forward would be asked for ever.
        if ask::<QUERYCTRL, _>(node, &mut control).is_err() || control.id <= last {
            return;
        }
        last = control.id;
        take(&control);
    }
}

/// Asks for no buffers: a driver lets only who takes pictures do so.
fn is_busy(node: &OwnedFd, kind: u32) -> bool {
    let mut none = RequestBuffers { kind, memory: BUFFERS_ARE_MAPPED, ..RequestBuffers::default() };
    ask::<REQBUFS, _>(node, &mut none) == Err(Errno::BUSY)
}

/// A name of a driver or camera, for people: what cannot be seen is left out.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_the_kernel() {
        // As `videodev2.h` makes them on every 64-bit machine.
        for (ours, kernels) in [
            (QUERYCAP, 0x8068_5600u32),
            (ENUM_FMT, 0xc040_5602),
            (REQBUFS, 0xc014_5608),
            (G_CTRL, 0xc008_561b),
            (S_CTRL, 0xc008_561c),
            (QUERYCTRL, 0xc044_5624),
            (QUERYMENU, 0xc02c_5625),
            (ENUM_FRAMESIZES, 0xc02c_564a),
            (ENUM_FRAMEINTERVALS, 0xc034_564b),
        ] {
            assert_eq!(ours as u64, u64::from(kernels), "{kernels:#x}");
        }
    }

    #[test]
    fn what_is_no_video_device_is_not_asked() {
        for path in ["/dev/null", "/dev", "/proc/self/stat", "/dev/video-none"] {
            assert!(Ioctls.describe(Path::new(path)).is_err(), "{path}");
            assert!(Ioctls.controls(Path::new(path)).is_err(), "{path}");
            assert!(Ioctls.set_control(Path::new(path), 0x0098_0900, 1).is_err(), "{path}");
        }
    }

    #[test]
    fn names_are_cut_where_they_end_and_rates_are_no_fractions_of_nothing() {
        assert_eq!(text(b"UVC Cam\x1b[2J: x\0rest"), "UVC Cam[2J: x");
        assert_eq!(text(&[255, 0]), "\u{fffd}");
        assert_eq!(rate([1, 30]), Some((30, 1)));
        assert_eq!([rate([0, 30]), rate([1, 0]), rate([1, u32::MAX])], [None, None, None]);
    }
}
