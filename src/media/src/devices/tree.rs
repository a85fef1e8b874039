//! The kernel's and udev's files: which video nodes and sound cards there are, and who holds one. Read below a root that tests move.

use perch_domain::microphone::SoundCard;
use perch_domain::usb_camera::{Holder, Usb, VideoNode, node_number};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of a node's file, without its folder.
const NODE: &str = "video";
/// How far above a node its USB device is looked for: its interface lies between.
const MAX_ABOVE: usize = 4;
/// What is looked at of a file that is one line.
const MAX_TEXT_BYTES: usize = 4096;

/// All video nodes, by number.
pub(super) fn video_nodes(root: &Path) -> Vec<VideoNode> {
    let class = root.join("sys/class/video4linux");
    let (by_id, by_path) = (links(&root.join("dev/v4l/by-id")), links(&root.join("dev/v4l/by-path")));
    let of = |links: &[(String, u32)], number: u32| {
        links.iter().filter(|(_, n)| *n == number).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let numbers = names(&class).into_iter().filter_map(|name| node_number(name.strip_prefix(NODE)?));
    let mut nodes: Vec<_> = numbers
        .map(|number| {
            let dir = class.join(format!("{NODE}{number}"));
            let device = fs::canonicalize(dir.join("device")).unwrap_or_default();
            VideoNode {
                number,
                index: text(&dir.join("index")).parse().unwrap_or(0),
                name: text(&dir.join("name")),
                usb: usb(&device),
                made_by: device.to_string_lossy().into_owned(),
                by_id: of(&by_id, number),
                by_path: of(&by_path, number),
            }
        })
        .collect();
    nodes.sort_by_key(|n| n.number);
    nodes
}

/// The USB device that `device` is a part of.
fn usb(device: &Path) -> Option<Usb> {
    let dir = device.ancestors().take(MAX_ABOVE).find(|dir| dir.join("idVendor").is_file())?;
    Some(Usb {
        device: dir.to_string_lossy().into_owned(),
        serial: text(&dir.join("serial")),
        bus: text(&dir.join("busnum")),
        // `1.5` is the speed of a mouse.
        speed_mbit: text(&dir.join("speed")).parse().unwrap_or(0),
    })
}

/// The links of a folder that lead to video nodes, with their numbers, in order.
fn links(dir: &Path) -> Vec<(String, u32)> {
    let number = |name: &str| {
        let target = fs::read_link(dir.join(name)).ok()?;
        node_number(target.file_name()?.to_str()?.strip_prefix(NODE)?)
    };
    let mut links: Vec<_> = names(dir).into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
    links.sort();
    links.into_iter().map(|(number, name)| (name, number)).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// A file of the kernel's in one line, for people: what cannot be seen is left out.
fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(..MAX_TEXT_BYTES).unwrap_or(&bytes)).into_owned();
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// All sound cards, by number.
pub(super) fn sound_cards(root: &Path) -> Vec<SoundCard> {
    let asound = root.join("proc/asound");
    let listed = fs::read_to_string(asound.join("cards")).unwrap_or_default();
    let numbers = names(&asound).into_iter().filter_map(|name| name.strip_prefix("card")?.parse::<u32>().ok());
    let mut cards: Vec<_> = numbers
        .map(|number| {
            let dir = asound.join(format!("card{number}"));
            let device = |name: &String| name.strip_prefix("pcm")?.strip_suffix('c')?.parse::<u32>().ok();
            let mut captures: Vec<_> = names(&dir).iter().filter_map(device).collect();
            captures.sort_unstable();
            let rates = captures.first().map(|n| rates(&dir.join(format!("stream{n}")))).unwrap_or_default();
            SoundCard { number, id: text(&dir.join("id")), name: card_name(&listed, number), captures, rates }
        })
        .collect();
    cards.sort_by_key(|c| c.number);
    cards
}

/// ` 1 [Device         ]: USB-Audio - USB PnP Sound Device` of `/proc/asound/cards`.
fn card_name(listed: &str, number: u32) -> String {
    let line =
        listed.lines().find(|line| line.split_once('[').is_some_and(|(before, _)| before.trim().parse() == Ok(number)));
    line.and_then(|line| line.split_once(" - ")).map(|(_, name)| name.trim().to_owned()).unwrap_or_default()
}

/// What a USB card says of the rates that its microphone has.
fn rates(stream: &Path) -> String {
    let listed = fs::read_to_string(stream).unwrap_or_default();
    let capture = listed.split_once("Capture:").map(|(_, capture)| capture).unwrap_or_default();
    let rates = capture.lines().find_map(|line| line.trim().strip_prefix("Rates:"));
    rates.map(|rates| rates.trim().to_owned()).unwrap_or_default()
}

/// Who takes sound from a card's device now.
pub(super) fn listener(root: &Path, card: u32, device: u32) -> Option<Holder> {
    let status = root.join(format!("proc/asound/card{card}/pcm{device}c/sub0/status"));
    let status = fs::read_to_string(status).ok()?;
    let pid =
        status.lines().find_map(|line| line.strip_prefix("owner_pid")?.trim_start_matches([' ', ':']).parse().ok())?;
    Some(holder_of(root, pid))
}

/// Who holds `node`, a path below `/dev`: the first program that has it open, as far as this user may see.
pub(super) fn holder(root: &Path, node: &str) -> Option<Holder> {
    let own = std::process::id();
    let mut is_ours = false;
    let pids = names(&root.join("proc")).into_iter().filter_map(|name| name.parse::<u32>().ok());
    for pid in pids {
        let open: PathBuf = root.join(format!("proc/{pid}/fd"));
        let holds =
            names(&open).iter().any(|fd| fs::read_link(open.join(fd)).is_ok_and(|target| target == Path::new(node)));
        match holds {
            true if pid == own => is_ours = true,
            true => return Some(holder_of(root, pid)),
            false => {}
        }
    }
    is_ours.then_some(Holder::Box)
}

fn holder_of(root: &Path, pid: u32) -> Holder {
    if pid == std::process::id() {
        return Holder::Box;
    }
    match text(&root.join(format!("proc/{pid}/comm"))) {
        name if name.is_empty() => Holder::Unseen,
        name => Holder::Program(name, pid),
    }
}
