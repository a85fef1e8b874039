//! What `perch check` finds out of the board it runs on, below a root that tests move. What it means is decided in `domain`.

use crate::setup::cameras::video_devices;
use perch_domain::board::{self, Facts};
use perch_domain::exchange;
use perch_domain::setup::first_cameras;
use std::path::Path;

/// Looks at the machine. What GStreamer has and the config wants is for the caller to add.
pub fn facts(root: &Path) -> Facts {
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let devices = video_devices(root);
    Facts {
        model: model(root),
        has_codec_device: devices.iter().any(|d| d.name.starts_with("bcm2835-codec-encode")),
        has_sensor: first_cameras(&devices).iter().any(|c| c.source == "libcamera"),
        has_watchdog: root.join("dev/watchdog0").exists(),
        is_card_image: exchange::BOOT.below(root).exists(),
        is_data_mounted: text("proc/mounts").lines().any(|l| l.split(' ').nth(1) == Some(exchange::DATA)),
        ..Facts::default()
    }
}

/// Whether this board encodes VP8 beside all else.
pub fn encodes_vp8(root: &Path) -> bool {
    board::encodes_vp8(&model(root))
}

/// The model that the device tree names; empty where there is none.
fn model(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("proc/device-tree/model")).unwrap_or_default();
    text.trim_end_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_pi_is_read_from_its_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        assert_eq!(facts(dir.path()), Facts::default());
        put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");
        put("proc/mounts", "/dev/mmcblk0p7 /data ext4 rw 0 0\n");
        put("dev/watchdog0", "");
        put("run/perch/boot", "slot=a\n");
        put("sys/class/video4linux/video11/name", "bcm2835-codec-encode\n");
        put("sys/class/video4linux/v4l-subdev0/name", "imx219 10-0010\n");
        let i2c = dir.path().join("sys/bus/i2c");
        fs::create_dir_all(&i2c).expect("made");
        fs::create_dir_all(dir.path().join("sys/class/video4linux/v4l-subdev0/device")).expect("made");
        std::os::unix::fs::symlink(&i2c, dir.path().join("sys/class/video4linux/v4l-subdev0/device/subsystem"))
            .expect("linked");
        let found = facts(dir.path());
        assert_eq!(found.model, "Raspberry Pi 4 Model B Rev 1.4");
        assert!(found.has_codec_device && found.has_sensor && found.has_watchdog);
        assert!(found.is_card_image && found.is_data_mounted);
    }
}
