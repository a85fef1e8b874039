//! What `perch check` says of the cameras and microphones that are plugged in, and of those that the config names.

use super::report::Report;
use crate::probing::devices::{self, halves, is_own};
use perch_base::Error;
use perch_domain::camera::{CameraConfig, Source};
use perch_domain::camera_modes::offers;
use perch_domain::microphone::lasting_name;
use perch_domain::usb_camera::{VideoName, VideoNode};
use perch_media::devices::{Machine, sensors};
use std::collections::BTreeMap;

/// A V4L2 camera of the config.
pub(super) fn usb_camera(report: &mut Report, machine: &Machine, c: &CameraConfig, device: &VideoName) {
    let name = format!("{} ({})", c.id, c.source.describe());
    let (said, _) = devices::usb_camera(machine, c, device);
    said.iter().for_each(|judged| report.tell(&name, judged));
    let Ok(camera) = machine.camera(device) else { return };
    let best = machine.best_name(&camera.node);
    if matches!(device, VideoName::Number(_)) && best != *device {
        let fix = format!("write `source = \"v4l2:{best}\"`");
        report.warn(&format!("{}: {device} may be another camera after the next plugging in", c.id), &fix);
    }
}

/// A libcamera camera of the config.
pub(super) fn sensor(report: &mut Report, c: &CameraConfig, id: Option<&str>) {
    report.tell(&format!("{} ({})", c.id, c.source.describe()), &devices::sensor(id));
}

/// A microphone of the config.
pub(super) fn microphone(report: &mut Report, machine: &Machine, c: &CameraConfig, device: &str) {
    let cards = machine.sound_cards();
    let holder = || {
        let found = perch_domain::microphone::find(device, &cards).ok().flatten();
        found.and_then(|(card, number)| machine.listener(card, number))
    };
    match machine.microphone(device) {
        Ok(()) => report.good(&format!("{}: microphone {device}", c.id)),
        Err(_) if is_own(holder().as_ref()) => {
            report.good(&format!("{}: microphone {device}, which the running box uses", c.id));
        }
        Err(e) => {
            let (what, fix) = halves(&e);
            report.bad(&format!("{}: microphone: {what}", c.id), &fix);
        }
    }
    if let Some(lasting) = lasting_name(device, &cards) {
        let fix = format!("write `audio = {{ source = \"{lasting}\" }}`");
        report.warn(&format!("{}: {device} may be another card after the next start", c.id), &fix);
    }
}

/// Cameras of the config that name one and the same device.
pub(super) fn named_twice(report: &mut Report, machine: &Machine, cameras: &[CameraConfig]) {
    let mut of_node: BTreeMap<u32, Vec<&CameraConfig>> = BTreeMap::new();
    for c in cameras {
        if let Source::V4l2(name) = &c.source
            && let Ok(camera) = machine.camera(name)
        {
            of_node.entry(camera.node.number).or_default().push(c);
        }
    }
    for (number, cameras) in of_node.iter().filter(|(_, cameras)| cameras.len() > 1) {
        let ids: Vec<_> = cameras.iter().map(|c| c.id.to_string()).collect();
        let what = format!("{} all name the device /dev/video{number}", ids.join(", "));
        report.bad(&what, "one camera can use it: name another device, or remove them but one");
    }
}

/// All that is plugged in, with what it offers; nothing is said where nothing is.
pub(super) fn list(report: &Report, machine: &Machine) {
    let (cameras, cards, sensors) = (machine.cameras(), machine.sound_cards(), sensors().unwrap_or_default());
    let microphones: Vec<_> =
        cards.iter().flat_map(|card| card.captures.iter().map(move |device| (card, *device))).collect();
    if cameras.is_empty() && microphones.is_empty() && sensors.is_empty() {
        return;
    }
    say!("Devices");
    for (node, asked) in &cameras {
        let name = format!("v4l2:{}", machine.best_name(node));
        match asked {
            Ok(camera) => {
                let controls = match camera.described.controls.as_slice() {
                    [] => String::new(),
                    names => format!("; controls: {}", names.join(", ")),
                };
                let said = offers(&camera.described.modes);
                report.good(&format!("{name}: {} ({}): {said}{controls}", camera.described.card, node.path()));
            }
            Err(e) => not_asked(report, &name, node, e),
        }
    }
    for id in sensors {
        report.good(&format!("libcamera:{id}"));
    }
    for (card, device) in microphones {
        let rates = if card.rates.is_empty() { String::new() } else { format!(" at {} samples a second", card.rates) };
        report.good(&format!("{}: {}{rates}", card.best_name(device), card.name));
    }
}

fn not_asked(report: &Report, name: &str, node: &VideoNode, error: &Error) {
    let (what, fix) = halves(error);
    report.warn(&format!("{name} ({}): {what}", node.name), &fix);
}
