//! `perch check`: the config and the machine; says what is wrong and how to fix it.

use super::devices;
use super::network_camera;
use super::report::Report;
use super::stores;
use crate::config::Config;
use crate::kernel_clock;
use crate::known_certificates::Onlooker;
use crate::probing;
use perch_api::HttpConfig;
use perch_base::Result;
use perch_base::clock::{Clock, SystemClock};
use perch_base::disk::Space;
use perch_domain::board::Facts;
use perch_domain::camera::{AudioSource, CameraConfig, Source};
use perch_domain::exchange;
use perch_domain::media::VideoCodec;
use perch_domain::recording::RecordMode;
use perch_domain::retention::RetentionConfig;
use perch_media::devices::Machine;
use perch_media::pipeline::Library;
use perch_media::{rtsp, webrtc};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Checks; exit code 1 when something would keep the box from working.
pub fn run(path: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load(path)?;
    perch_media::init()?;
    let mut report = Report::default();
    say!("Config");
    match Config::file(path) {
        Some(p) => report.good(&format!("{} is valid; cameras: {}", p.display(), config.cameras.len())),
        None => report.good("no file given, and none in ./perch-data: one test camera"),
    }
    for warning in &config.warnings {
        report.warn(warning, "correct the config, or the variable that is named");
    }
    say!("Pipelines");
    match Library::installed() {
        Ok(_) => report.good("all pipeline files read"),
        Err(e) => report
            .bad(&e.to_string(), &format!("fix the file in {} or remove it", exchange::PIPELINES.path().display())),
    }
    say!("Cameras");
    let machine = Machine::default();
    let certificates = Arc::new(Onlooker::of_box(&config.data_dir).unwrap_or_else(|e| {
        report.warn(
            &format!("the certificates of cameras that the box knows cannot be read: {e}"),
            "run this as the box's user",
        );
        Onlooker::default()
    }));
    for c in &crate::modes::as_they_run(&config, SystemClock.utc()) {
        camera(&mut report, &machine, c, &certificates);
    }
    devices::named_twice(&mut report, &machine, &config.cameras);
    budget(&mut report, &config.cameras);
    board(&mut report, &config.cameras);
    devices::list(&report, &machine);
    say!("Network");
    network(&mut report, &config);
    say!("Disk");
    disk(&mut report, &config);
    say!("Clock");
    match kernel_clock::is_synchronised() {
        true => report.good("the clock is synchronised"),
        false => report.warn(
            "the clock is not synchronised",
            "recordings carry the time of this clock: let systemd-timesyncd or chrony reach a time server",
        ),
    }
    Ok(conclude(&report))
}

/// Tries out the stores that copies go to; exit code 1 when nothing can be copied to one.
pub fn stores(path: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load(path)?;
    let mut report = Report::default();
    say!("Copies");
    stores::look(&mut report, &config)?;
    Ok(conclude(&report))
}

fn conclude(report: &Report) -> ExitCode {
    if report.wrong() == 0 {
        say!("Everything that was looked at works.");
        return ExitCode::SUCCESS;
    }
    say!("Things to fix: {}.", report.wrong());
    ExitCode::FAILURE
}

fn camera(report: &mut Report, machine: &Machine, c: &CameraConfig, certificates: &Arc<Onlooker>) {
    let name = format!("{} ({})", c.id, c.source.describe());
    if let Some(off) = &c.off {
        return report.good(&format!("{name}: it is switched off {} and not tried", off.by.told()));
    }
    match &c.source {
        Source::File(path) if !path.is_file() => report.tell(&name, &probing::devices::file(path)),
        Source::V4l2(device) => devices::usb_camera(report, machine, c, device),
        Source::Libcamera(id) => devices::sensor(report, c, id.as_deref()),
        Source::Rtsp(_) => network_camera::look(report, c, certificates),
        _ => report.good(&name),
    }
    if let AudioSource::Alsa(device) = &c.audio.source {
        devices::microphone(report, machine, c, device);
    }
    if !c.is_encoded_here() {
        return;
    }
    if matches!(c.source, Source::Rtsp(_)) {
        let fix = "remove `encode` where nothing of it is masked or written into";
        report.warn(&format!("{}: its pictures are decoded and encoded anew, which takes processor time", c.id), fix);
    }
    match perch_media::encoders::probe(c.codec) {
        Ok(encoder) => report.good(&format!("{}: encoder {}", c.id, encoder.element)),
        Err(e) => {
            let fix = format!("install the package {}", perch_domain::board::encoder_packages(c.codec));
            report.bad(&format!("{}: {e}", c.id), &fix);
        }
    }
}

fn budget(report: &mut Report, cameras: &[CameraConfig]) {
    let hardware = perch_media::encoders::probe(VideoCodec::H264).is_ok_and(|e| e.hardware);
    if !hardware {
        return;
    }
    if let Err(e) = perch_domain::board::check_encoder_budget(cameras) {
        report.bad(e.message(), "lower fps, width or height: 1920x1080 at 25 with a sub-stream of 640x360 fits");
    }
}

/// What is missing for this very board; nothing is said of other machines.
fn board(report: &mut Report, cameras: &[CameraConfig]) {
    let has_encoder = |hardware| {
        let h264 = perch_domain::board::encoders(VideoCodec::H264).iter();
        h264.filter(|e| e.hardware == hardware).any(|e| perch_media::has_element(e.element))
    };
    let facts = Facts {
        has_hardware_encoder: has_encoder(true),
        has_software_encoder: has_encoder(false),
        wants_sensor: cameras.iter().any(|c| matches!(c.source, Source::Libcamera(_))),
        ..super::board::facts(Path::new("/"))
    };
    let missing = perch_domain::board::missing(&facts);
    if facts.model.is_empty() && missing.is_empty() {
        return;
    }
    say!("Board");
    if missing.is_empty() {
        report.good(&format!("{}: nothing is missing", perch_domain::update::clean(&facts.model)));
    }
    for m in missing {
        match m.is_serious {
            true => report.bad(&m.what, &m.fix),
            false => report.warn(&m.what, &m.fix),
        }
    }
}

/// Whether every port can be had. A box that runs holds them itself, so one that is taken is only noted.
fn network(report: &mut Report, config: &Config) {
    let tcp = |key, address: SocketAddr| (key, address, TcpListener::bind(address).err());
    let udp = config.webrtc.udp_listen;
    let mut tried = vec![tcp(HttpConfig::LISTEN, config.http.listen), tcp(rtsp::Config::LISTEN, config.rtsp.listen)];
    tried.extend(config.http.plain_listen.map(|address| tcp(HttpConfig::PLAIN_LISTEN, address)));
    tried.extend(config.rtsp.tls_listen.map(|address| tcp(rtsp::Config::TLS_LISTEN, address)));
    // The box itself goes without IPv6 where there is none.
    let by_v4 = |_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, udp.port()));
    let opened = UdpSocket::bind(udp).or_else(|e| if udp.ip() == Ipv6Addr::UNSPECIFIED { by_v4(e) } else { Err(e) });
    tried.push((webrtc::Config::UDP_LISTEN, udp, opened.err()));
    for (key, address, error) in tried {
        match error {
            None => report.good(&format!("{key} {address} is free")),
            Some(e) if e.kind() == io::ErrorKind::AddrInUse => report.warn(
                &format!("{key} {address} is in use"),
                "that is right while perch runs; else stop the other program, or choose another port",
            ),
            Some(e) => report.bad(&format!("{key} {address}: {e}"), &format!("correct `{key}`")),
        }
    }
}

fn disk(report: &mut Report, config: &Config) {
    // They may lie on a disk of their own.
    let dir = &config.data_dir.join(perch_store::layout::RECORDINGS);
    let existing = dir.ancestors().find(|d| d.exists()).filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free_bytes = match Space::at(existing) {
        Ok(space) => space.free_bytes,
        Err(e) => return report.bad(&format!("{}: {e}", dir.display()), &format!("correct `{}`", Config::DATA_DIR)),
    };
    if rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        report.bad(
            &format!("{} cannot be written", existing.display()),
            "give it to the user that runs perch, or mount it read-write",
        );
        return;
    }
    let records = config.cameras.iter().any(|c| c.record.mode != RecordMode::Off);
    let gb = free_bytes as f64 / 1e9;
    if records && free_bytes < config.retention.min_free_bytes {
        let key = RetentionConfig::MIN_FREE_BYTES;
        let what = format!("{}: {gb:.1} GB free, less than `{key}`", dir.display());
        report.bad(&what, "free some space, or lower the limit: now every recording would be deleted again");
    } else {
        report.good(&format!("{}: {gb:.1} GB free", dir.display()));
    }
}
