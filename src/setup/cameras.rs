//! The kernel's list of video devices, below a root that tests move.

use perch_domain::setup::VideoDevice;
use std::path::Path;

/// Everything in `sys/class/video4linux`.
pub fn video_devices(root: &Path) -> Vec<VideoDevice> {
    let listed = std::fs::read_dir(root.join("sys/class/video4linux")).into_iter().flatten().flatten();
    let mut found: Vec<_> = listed.map(|entry| device(&entry.path())).collect();
    found.sort_by(|a, b| a.node.cmp(&b.node));
    found
}

fn device(dir: &Path) -> VideoDevice {
    let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default().trim().to_owned();
    let target = |name: &str| {
        let link = std::fs::canonicalize(dir.join("device").join(name)).ok();
        link.and_then(|l| Some(l.file_name()?.to_string_lossy().into_owned())).unwrap_or_default()
    };
    VideoDevice {
        node: dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        driver: target("driver"),
        index: text("index").parse().unwrap_or(0),
        bus: target("subsystem"),
        name: text("name"),
    }
}
