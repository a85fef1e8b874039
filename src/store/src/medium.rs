//! What the kernel says of the disk below a folder: `/sys` of its device, and of its file system. What it means is `domain`'s to say.

use perch_domain::medium::{MediumFacts, MediumKind};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the kernel says it.
const SYS: &str = "/sys";
/// One value of `/sys` is read no further.
const MOST_BYTES: u64 = 128;
/// A file system lies on so many layers (verity, encryption) at most.
const MOST_LAYERS: usize = 4;

/// Of the device with this number (`st_dev`); `None` where the kernel knows no disk below it, as with overlays and in containers.
pub(crate) fn of_device(device: u64) -> Option<MediumFacts> {
    of_device_in(Path::new(SYS), device)
}

fn of_device_in(sys: &Path, device: u64) -> Option<MediumFacts> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let volume = fs::canonicalize(sys.join(format!("dev/block/{major}:{minor}"))).ok()?;
    let disk = disk_of(volume.clone())?;
    let device = disk.join("device");
    let kind = match value(&device, "type").as_deref() {
        Some("SD") => MediumKind::SdCard,
        Some("MMC") => MediumKind::Emmc,
        _ => MediumKind::Other,
    };
    // Disks of other kinds have a `model`, in which their maker fills up with blanks.
    let name = value(&device, "name").or_else(|| value(&device, "model")).unwrap_or_default();
    let file_system = volume.file_name().map(|name| sys.join("fs/ext4").join(name));
    Some(MediumFacts {
        kind,
        name,
        made: value(&device, "date").unwrap_or_default(),
        life_tenths: value(&device, "life_time").and_then(|text| MediumFacts::life_tenths(&text)),
        reserve: value(&device, "pre_eol_info").and_then(|text| MediumFacts::reserve(&text)),
        file_system_errors: file_system.and_then(|at| value(&at, "errors_count")?.parse().ok()),
    })
}

/// The disk of a volume: what its layers lie on, and of a partition the whole.
fn disk_of(mut volume: PathBuf) -> Option<PathBuf> {
    for _ in 0..MOST_LAYERS {
        let below = fs::read_dir(volume.join("slaves")).ok().and_then(|mut all| all.next()?.ok());
        match below {
            Some(below) => volume = fs::canonicalize(below.path()).ok()?,
            None => break,
        }
    }
    if volume.join("partition").exists() { volume.parent().map(Path::to_owned) } else { Some(volume) }
}

/// One value, without the blanks around it.
fn value(folder: &Path, name: &str) -> Option<String> {
    let mut text = String::new();
    File::open(folder.join(name)).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A tree as the kernel's, with a disk, its partition, and files in their folders.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(disk: &str, partition: &str) -> Self {
            let tree = Self(tempfile::tempdir().expect("a temporary folder"));
            for folder in ["dev/block", "fs/ext4"] {
                fs::create_dir_all(tree.at(folder)).expect("made");
            }
            fs::create_dir_all(tree.at(&format!("devices/{disk}/device"))).expect("made");
            tree.write(&format!("devices/{disk}/{partition}/partition"), "2\n");
            tree.link("179:2", &format!("{disk}/{partition}"));
            tree
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn link(&self, number: &str, to: &str) {
            symlink(self.at(&format!("devices/{to}")), self.at(&format!("dev/block/{number}"))).expect("linked");
        }

        fn write(&self, path: &str, text: &str) {
            fs::create_dir_all(self.at(path).parent().expect("a folder")).expect("made");
            fs::write(self.at(path), text).expect("written");
        }

        fn ask(&self, major: u32, minor: u32) -> Option<MediumFacts> {
            of_device_in(self.0.path(), rustix::fs::makedev(major, minor))
        }
    }

    #[test]
    fn an_sd_card_tells_its_name_and_age_and_its_file_system_counts_errors() {
        let tree = Tree::new("mmcblk0", "mmcblk0p2");
        for (name, text) in [("type", "SD\n"), ("name", "SC32G\n"), ("date", "08/2023\n"), ("oemid", "0x5344\n")] {
            tree.write(&format!("devices/mmcblk0/device/{name}"), text);
        }
        tree.write("fs/ext4/mmcblk0p2/errors_count", "3\n");
        let facts = MediumFacts {
            kind: MediumKind::SdCard,
            name: "SC32G".into(),
            made: "08/2023".into(),
            life_tenths: None,
            reserve: None,
            file_system_errors: Some(3),
        };
        assert_eq!(tree.ask(179, 2), Some(facts));
        assert_eq!(tree.ask(179, 3), None, "there is no such device");
    }

    #[test]
    fn an_emmc_below_encryption_tells_how_worn_it_is() {
        let tree = Tree::new("mmcblk1", "mmcblk1p4");
        for (name, text) in [("type", "MMC\n"), ("life_time", "0x02 0x0b\n"), ("pre_eol_info", "0x02\n")] {
            tree.write(&format!("devices/mmcblk1/device/{name}"), text);
        }
        fs::create_dir_all(tree.at("devices/dm-0/slaves")).expect("made");
        symlink(tree.at("devices/mmcblk1/mmcblk1p4"), tree.at("devices/dm-0/slaves/mmcblk1p4")).expect("linked");
        tree.link("254:0", "dm-0");
        tree.write("fs/ext4/dm-0/errors_count", "0\n");
        let facts = tree.ask(254, 0).expect("known");
        assert_eq!((facts.kind, facts.life_tenths, facts.reserve), (MediumKind::Emmc, Some(11), Some(2)));
        assert_eq!((facts.file_system_errors, facts.name.as_str()), (Some(0), ""));
        // Layers that lie on each other in a circle end.
        fs::create_dir_all(tree.at("devices/dm-1/slaves")).expect("made");
        symlink(tree.at("devices/dm-1"), tree.at("devices/dm-1/slaves/dm-1")).expect("linked");
        tree.link("254:1", "dm-1");
        assert_eq!(tree.ask(254, 1).map(|facts| facts.kind), Some(MediumKind::Other));
    }

    #[test]
    fn what_the_kernel_says_in_another_way_is_not_known() {
        let tree = Tree::new("sda", "sda1");
        tree.write("devices/sda/device/model", "Portable SSD T5 \n");
        tree.write("devices/sda/device/life_time", "soon\n");
        fs::write(tree.at("fs/ext4").join("sda1"), "no folder").expect("written");
        let facts = tree.ask(179, 2).expect("known");
        assert_eq!((facts.kind, facts.name.as_str(), facts.life_tenths), (MediumKind::Other, "Portable SSD T5", None));
        assert_eq!(facts.file_system_errors, None);
    }
}
