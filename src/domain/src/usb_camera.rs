//! How a V4L2 camera is named, which of the kernel's video nodes a name means, and what a node is that gives no pictures. The nodes are
//! found by `media`; nothing is opened here.

use perch_base::{Error, ErrorKind, Result};
use std::fmt;

/// The longest name that a file can have (Linux, `NAME_MAX`).
const MAX_NAME_BYTES: usize = 255;

/// How a V4L2 camera is named. A number is given anew at each plugging in; the others stay.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VideoName {
    /// `/dev/videoN`.
    Number(u32),
    /// A link in `/dev/v4l/by-id`: maker, model and serial number, at whatever port.
    ById(String),
    /// A link in `/dev/v4l/by-path`: whatever is at this port.
    ByPath(String),
    /// The serial number that a USB camera says, at whatever port.
    Serial(String),
}

impl VideoName {
    /// The rule for [`Self::parse`].
    pub const RULE: &'static str = "must be `v4l2:/dev/videoN`, `v4l2:by-id/NAME`, `v4l2:by-path/NAME` (as `ls /dev/v4l/by-id` shows \
                                    them) or `v4l2:serial:SERIAL`";

    /// Parses what follows `v4l2:`. Errors with [`Self::RULE`]. No name can lead out of its folder.
    pub fn parse(text: &str) -> Result<Self> {
        let link = |text: &str| text.split_once('/').map(|(_, name)| name.to_owned()).filter(|name| is_name(name));
        let short = text.strip_prefix("/dev/v4l/").unwrap_or(text);
        let found = if let Some(digits) = text.strip_prefix("/dev/video") {
            node_number(digits).map(Self::Number)
        } else if short.starts_with("by-id/") {
            link(short).map(Self::ById)
        } else if short.starts_with("by-path/") {
            link(short).map(Self::ByPath)
        } else {
            text.strip_prefix("serial:").filter(|serial| is_name(serial)).map(|serial| Self::Serial(serial.to_owned()))
        };
        found.ok_or_else(|| Error::invalid(Self::RULE))
    }
}

/// As a source is written, without `v4l2:`.
impl fmt::Display for VideoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "/dev/video{n}"),
            Self::ById(name) => write!(f, "by-id/{name}"),
            Self::ByPath(name) => write!(f, "by-path/{name}"),
            Self::Serial(serial) => write!(f, "serial:{serial}"),
        }
    }
}

/// The number of a node whose name begins with `video`.
pub fn node_number(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The letters that udev leaves in the names of its links.
fn is_name(name: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.starts_with('.') && name.bytes().all(letters)
}

/// The USB device behind a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usb {
    /// Where it is in the kernel's tree; the nodes of one camera share it.
    pub device: String,
    /// Its serial number; empty where it says none.
    pub serial: String,
    /// The number of its bus.
    pub bus: String,
    /// How fast it is connected, Mbit/s; 0 where that is not known.
    pub speed_mbit: u32,
}

/// A video node as the kernel and udev list it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoNode {
    /// N of `/dev/videoN`.
    pub number: u32,
    /// Its number within what made it; a camera's pictures come first.
    pub index: u32,
    /// Its name for people.
    pub name: String,
    /// Where what made it is in the kernel's tree; a camera's nodes for pictures and for metadata share it.
    pub made_by: String,
    /// The USB device behind it.
    pub usb: Option<Usb>,
    /// Links to it in `/dev/v4l/by-id`.
    pub by_id: Vec<String>,
    /// Links to it in `/dev/v4l/by-path`.
    pub by_path: Vec<String>,
}

impl VideoNode {
    /// Its file.
    pub fn path(&self) -> String {
        format!("/dev/video{}", self.number)
    }
}

/// The source that names the camera of `node` best: by its serial number where no other camera of `nodes` says the same, else by its
/// port, else by its number.
pub fn best_name(node: &VideoNode, nodes: &[VideoNode]) -> VideoName {
    let is_other = |n: &&VideoNode| n.usb.as_ref().map(|u| &u.device) != node.usb.as_ref().map(|u| &u.device);
    let serial_of = |n: &VideoNode| n.usb.as_ref().map(|u| u.serial.clone()).filter(|serial| !serial.is_empty());
    let is_alone = |serial: &String| !nodes.iter().filter(is_other).any(|n| serial_of(n).as_ref() == Some(serial));
    let unique = serial_of(node).filter(is_alone).is_some();
    let by_id = node.by_id.first().filter(|_| unique).map(|name| VideoName::ById(name.clone()));
    let by_path = || node.by_path.first().map(|name| VideoName::ByPath(name.clone()));
    by_id.or_else(by_path).unwrap_or(VideoName::Number(node.number))
}

/// The node that `name` means. Errors with `NotFound` where it is not there, saying what is, and with `Invalid` where several
/// cameras have that serial number.
pub fn find<'a>(name: &VideoName, nodes: &'a [VideoNode]) -> Result<&'a VideoNode> {
    let has = |links: &[String], link: &String| links.contains(link);
    let of_serial = |serial: &String| {
        let mut same: Vec<_> = nodes.iter().filter(|n| n.usb.as_ref().is_some_and(|u| u.serial == *serial)).collect();
        same.sort_by_key(|n| (n.index, n.number));
        same
    };
    let found = match name {
        VideoName::Number(number) => nodes.iter().find(|n| n.number == *number),
        VideoName::ById(link) => nodes.iter().find(|n| has(&n.by_id, link)),
        VideoName::ByPath(link) => nodes.iter().find(|n| has(&n.by_path, link)),
        VideoName::Serial(serial) => {
            let same = of_serial(serial);
            let device = |n: &VideoNode| n.usb.as_ref().map(|u| u.device.clone());
            if same.iter().any(|n| device(n) != same.first().and_then(|first| device(first))) {
                let ports: Vec<_> = same.iter().filter(|n| n.index == 0).map(|n| by_port(n)).collect();
                let ports = ports.join(", ");
                let message =
                    format!("several cameras have the serial number {serial}: name them by their ports ({ports})");
                return Err(Error::invalid(message));
            }
            same.first().copied()
        }
    };
    found.ok_or_else(|| {
        let there = list(nodes);
        let message = format!("{name} is not there: plug the camera in; {there}");
        Error::new(ErrorKind::NotFound, message)
    })
}

fn by_port(node: &VideoNode) -> String {
    let port = node.by_path.first().map(|name| VideoName::ByPath(name.clone()));
    format!("v4l2:{}", port.unwrap_or(VideoName::Number(node.number)))
}

/// Cameras that a sentence names.
const MAX_NAMED: usize = 4;

/// Which cameras there are, for the end of a sentence.
fn list(nodes: &[VideoNode]) -> String {
    let cameras: Vec<_> = nodes.iter().filter(|n| n.usb.is_some() && n.index == 0).collect();
    let mut names: Vec<_> = cameras.iter().map(|n| format!("v4l2:{}", best_name(n, nodes))).collect();
    names.dedup();
    names.truncate(MAX_NAMED);
    match names.as_slice() {
        [] => "there is no USB camera".into(),
        names => format!("there is {}", names.join(", ")),
    }
}

/// What a node can do (V4L2, `VIDIOC_QUERYCAP`: `device_caps`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps(pub u32);

impl Caps {
    const CAPTURE: u32 = 0x0000_0001;
    const CAPTURE_MPLANE: u32 = 0x0000_1000;
    const OUTPUT: u32 = 0x0000_0002 | 0x0000_2000;
    const M2M: u32 = 0x0000_8000 | 0x0000_4000;
    const META_CAPTURE: u32 = 0x0080_0000;
    /// Its formats are set along the whole way from the sensor, by a media controller.
    const IO_MC: u32 = 0x2000_0000;

    fn has(self, any: u32) -> bool {
        self.0 & any != 0
    }

    /// Whether a camera's pictures come out of it as they are.
    pub fn gives_pictures(self) -> bool {
        self.has(Self::CAPTURE | Self::CAPTURE_MPLANE) && !self.has(Self::M2M | Self::IO_MC)
    }
}

/// Errors where `node`, which can do `caps`, gives no pictures: says what it is and, where it belongs to a camera, which node is right.
pub fn check_caps(node: &VideoNode, caps: Caps, nodes: &[VideoNode]) -> Result<()> {
    if caps.gives_pictures() {
        return Ok(());
    }
    let path = node.path();
    if caps.has(Caps::M2M) {
        return Err(Error::invalid(format!(
            "{path} is a codec of the board and no camera: see `perch check` for cameras"
        )));
    }
    if caps.has(Caps::CAPTURE | Caps::CAPTURE_MPLANE) {
        let fix = "set `source = \"libcamera\"`";
        return Err(Error::invalid(format!("{path} is a sensor at the ribbon cable, which libcamera drives: {fix}")));
    }
    if caps.has(Caps::META_CAPTURE) {
        let right =
            nodes.iter().filter(|n| n.made_by == node.made_by && n.number != node.number).min_by_key(|n| n.index);
        let right = right.map_or_else(
            || "see `perch check` for cameras".to_owned(),
            |n| format!("set `source = \"v4l2:{}\"`", best_name(n, nodes)),
        );
        return Err(Error::invalid(format!("{path} carries a camera's metadata and no pictures: {right}")));
    }
    if caps.has(Caps::OUTPUT) {
        let message = format!("{path} is a loopback that nobody feeds: start the program that does");
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    Err(Error::invalid(format!("{path} gives no pictures: see `perch check` for cameras")))
}

/// Who holds a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Another camera of this box.
    Box,
    /// A program, by its name and process id.
    Program(String, u32),
    /// Somebody whom this user may not see.
    Unseen,
}

impl Holder {
    /// What is said of the device, after its name.
    pub fn what(&self) -> String {
        match self {
            Self::Box => "is used by another camera of this box".into(),
            Self::Program(name, pid) => format!("is used by the program {name} (process {pid})"),
            Self::Unseen => "is used by another program".into(),
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Box => "name each device once",
            Self::Program(..) => "end it",
            Self::Unseen => "end it (`fuser -v` names it to root)",
        }
    }
}

/// As the middle of a sentence: "is used by ..., end it".
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.fix())
    }
}

/// Which libcamera cameras a source may mean: `there` are the ids that it finds, `None` where its plug-in is missing. Errors with the
/// sentence where `id`, or any, is not among them.
pub fn check_sensor(id: Option<&str>, there: Option<&[String]>) -> Result<()> {
    let Some(there) = there else {
        return Err(Error::invalid("libcamerasrc is missing: install the package gstreamer1.0-libcamera"));
    };
    match id {
        _ if there.is_empty() => {
            let message = "libcamera finds no camera: switch off and reseat the ribbon cable";
            Err(Error::new(ErrorKind::NotFound, message))
        }
        Some(id) if !there.iter().any(|other| other == id) => {
            let ids: Vec<_> = there.iter().take(MAX_NAMED).map(|id| format!("libcamera:{id}")).collect();
            Err(Error::invalid(format!("libcamera has no camera {id}: there is {}", ids.join(", "))))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usb(number: u32, index: u32, port: &str, serial: &str) -> VideoNode {
        let device = format!("/sys/devices/usb1/{port}");
        let link = |what: &str| format!("{what}-video-index{index}");
        VideoNode {
            number,
            index,
            name: "HD Pro Webcam C920".into(),
            made_by: format!("{device}/{port}:1.0"),
            usb: Some(Usb { device, serial: serial.into(), bus: "1".into(), speed_mbit: 480 }),
            by_id: vec![link(&format!("usb-046d_HD_Pro_Webcam_C920_{serial}"))],
            by_path: vec![link(&format!("platform-3f980000.usb-usb-0:{port}:1.0"))],
        }
    }

    #[test]
    fn names_are_read_by_allow_list_and_lead_nowhere_else() {
        for (text, want) in [
            ("/dev/video0", VideoName::Number(0)),
            ("by-id/usb-046d_C920_A1B2-video-index0", VideoName::ById("usb-046d_C920_A1B2-video-index0".into())),
            ("/dev/v4l/by-id/usb-x-video-index0", VideoName::ById("usb-x-video-index0".into())),
            ("by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0", {
                VideoName::ByPath("pci-0000:00:14.0-usb-0:2:1.0-video-index0".into())
            }),
            ("serial:A1B2C3", VideoName::Serial("A1B2C3".into())),
        ] {
            let name = VideoName::parse(text).expect(text);
            assert_eq!(name, want);
            assert_eq!(VideoName::parse(&name.to_string()).expect("as written"), want);
        }
        for bad in [
            "",
            "/dev/video",
            "/dev/video0 ! filesink",
            "/dev/video+1",
            "/dev/video9999999",
            "/dev/sda",
            "video0",
            "by-id/",
            "by-id/..",
            "by-id/../../sda",
            "by-id/a/b",
            "by-path/.hidden",
            "by-id/a b",
            "by-id/a\0b",
            "serial:",
            "serial:../x",
            "serial:a\"b",
            "/dev/v4l/by-id/../../sda",
            "/dev/v4l/serial:x",
            "by-uuid/x",
        ] {
            assert_eq!(VideoName::parse(bad).expect_err(bad).message(), VideoName::RULE, "{bad:?}");
        }
        assert!(VideoName::parse(&format!("by-id/{}", "a".repeat(256))).is_err());
    }

    #[test]
    fn two_of_one_model_and_another_port_keep_apart() {
        let here =
            [usb(0, 0, "1-1.2", "A1"), usb(1, 1, "1-1.2", "A1"), usb(2, 0, "1-1.3", "B2"), usb(3, 1, "1-1.3", "B2")];
        // Plugged in again the other way round.
        let moved =
            [usb(0, 0, "1-1.4", "B2"), usb(1, 1, "1-1.4", "B2"), usb(2, 0, "1-1.2", "A1"), usb(3, 1, "1-1.2", "A1")];
        let by_id = VideoName::parse("by-id/usb-046d_HD_Pro_Webcam_C920_A1-video-index0").expect("valid");
        let serial = VideoName::parse("serial:A1").expect("valid");
        let port = VideoName::parse("by-path/platform-3f980000.usb-usb-0:1-1.3:1.0-video-index0").expect("valid");
        for (name, nodes, want) in [
            (&by_id, &here, Some(0)),
            (&by_id, &moved, Some(2)),
            (&serial, &here, Some(0)),
            (&serial, &moved, Some(2)),
            (&port, &here, Some(2)),
            (&port, &moved, None),
        ] {
            assert_eq!(find(name, nodes).ok().map(|n| n.number), want, "{name}");
        }
        let e = find(&port, &moved).expect_err("nothing is at that port");
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert!(e.message().contains("there is v4l2:by-id/usb-046d_HD_Pro_Webcam_C920_B2-video-index0"), "{e}");
        assert!(find(&VideoName::Number(0), &[]).expect_err("none").message().ends_with("there is no USB camera"));
    }

    #[test]
    fn one_serial_number_of_two_cameras_is_said_with_their_ports() {
        let same = [
            usb(0, 0, "1-1.2", "200901010001"),
            usb(1, 1, "1-1.2", "200901010001"),
            usb(2, 0, "1-1.3", "200901010001"),
        ];
        let e = find(&VideoName::Serial("200901010001".into()), &same).expect_err("which one");
        assert_eq!(e.kind(), ErrorKind::Invalid);
        for port in ["usb-0:1-1.2:1.0-video-index0", "usb-0:1-1.3:1.0-video-index0"] {
            assert!(e.message().contains(port), "{e}");
        }
        assert!(matches!(best_name(&same[0], &same), VideoName::ByPath(_)), "its serial number tells nothing");
        assert!(matches!(best_name(&same[0], &same[..2]), VideoName::ById(_)));
        let nameless = VideoNode { number: 7, ..VideoNode::default() };
        assert_eq!(best_name(&nameless, &[]), VideoName::Number(7));
    }

    #[test]
    fn a_node_without_pictures_is_refused_with_what_it_is() {
        let nodes = [usb(0, 0, "1-1.2", "A1"), usb(1, 1, "1-1.2", "A1")];
        for (node, caps, want) in [
            (0, 0x0420_0001, ""),
            (
                1,
                0x04a0_0000,
                "/dev/video1 carries a camera's metadata and no pictures: set `source = \"v4l2:by-id/usb-046d_HD_Pro_Webcam_C920_A1-video-index0\"`",
            ),
            (0, 0x0420_4000, "codec of the board"),
            (0, 0x0420_8000, "codec of the board"),
            (0, 0x2520_0001, "set `source = \"libcamera\"`"),
            (0, 0x0520_0002, "loopback"),
            (0, 0, "gives no pictures"),
        ] {
            match check_caps(&nodes[node], Caps(caps), &nodes) {
                Ok(()) => assert_eq!(want, "", "{caps:#x}"),
                Err(e) => assert!(!want.is_empty() && e.message().contains(want), "{caps:#x}: {e}"),
            }
        }
    }

    #[test]
    fn who_holds_a_device_and_what_libcamera_lacks_is_said() {
        let program = Holder::Program("firefox".into(), 812).to_string();
        assert_eq!(program, "is used by the program firefox (process 812): end it");
        let imx = "/base/soc/i2c0mux/i2c@1/imx219@10".to_owned();
        for (id, there, want) in [
            (None, None, "gstreamer1.0-libcamera"),
            (None, Some(vec![]), "ribbon cable"),
            (Some("imx708"), Some(vec![imx.clone()]), "there is libcamera:/base/soc/i2c0mux/i2c@1/imx219@10"),
            (Some(imx.as_str()), Some(vec![imx.clone()]), ""),
            (None, Some(vec![imx.clone()]), ""),
        ] {
            match check_sensor(id, there.as_deref()) {
                Ok(()) => assert_eq!(want, "", "{id:?}"),
                Err(e) => assert!(!want.is_empty() && e.message().contains(want), "{id:?}: {e}"),
            }
        }
    }
}
