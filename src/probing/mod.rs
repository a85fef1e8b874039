//! Tries cameras out that somebody is about to add, and looks for them: what the page asks before a camera is there. What is decided of what
//! comes is in `domain`.

pub mod devices;
mod drivers;
pub mod network;
mod search;
mod stills;

use crate::camera_set::CameraSet;
use crate::known_certificates::Onlooker;
use crate::settings::SettingsFile;
pub use drivers::Drivers;
use network::Tried;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::DeviceId;
use perch_base::net::interfaces;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, base64};
use perch_domain::camera::{CameraConfig, Source};
use perch_domain::ingest::KnownCertificates;
use perch_domain::media::Stream;
use perch_domain::onvif::OnvifPort;
use perch_domain::ports::Later;
use perch_domain::probe::{self, Judgement, Measured, ProbePort, Probed, ProbedStream, Weight};
use perch_media::capture::Means;
use perch_media::devices::Machine;
use perch_media::still::Turns;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// How long room is waited for.
const ROOM_WITHIN: Duration = Duration::from_secs(2);
/// How long a name may take to be found.
const NAME_WITHIN: Duration = Duration::from_secs(5);
/// How long a device may take to say what it offers.
const DEVICE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a still that is handed out.
const MAX_STILL_BYTES: usize = 512 * 1024;

/// See the module.
pub struct Prober {
    pub settings: Arc<SettingsFile>,
    pub onvif: Arc<dyn OnvifPort>,
    /// The cameras that run.
    pub set: Arc<CameraSet>,
    pub certificates: Arc<dyn KnownCertificates>,
    pub clock: SharedClock,
    /// What a camera is captured with.
    pub means: Means,
    pub drivers: Drivers,
    pub stills: Turns,
    /// Where the box itself listens for what a camera is asked by; set once all of it does.
    pub doors: OnceLock<Vec<SocketAddr>>,
    pub running: Places,
    pub searching: Places,
}

/// Whose probes, or searches, run.
pub type Places = Arc<Mutex<Vec<DeviceId>>>;

/// A probe that runs; it makes room when it ends or its caller hangs up.
struct Running(Places, DeviceId);

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0).retain(|by| *by != self.1);
    }
}

impl Prober {
    /// The box listens there from now on.
    pub fn opened(&self, doors: impl IntoIterator<Item = Option<SocketAddr>>) {
        // The box is built once.
        let _ = self.doors.set(doors.into_iter().flatten().collect());
    }

    /// A place, which one that was just given up may still hold for a moment.
    async fn begin(&self, places: &Places, by: DeviceId) -> Result<Running> {
        let begin = || {
            let mut running = lock(places);
            probe::may_begin(&running, by)?;
            running.push(by);
            Ok(Running(places.clone(), by))
        };
        let ends = self.clock.mono() + ROOM_WITHIN;
        loop {
            match begin() {
                Err(_) if self.clock.mono() < ends => self.clock.sleep(ROOM_WITHIN / 20).await,
                begun => return begun,
            }
        }
    }

    async fn probe(&self, wanted: Map<String, Value>, by: DeviceId) -> Result<Probed> {
        let _running = self.begin(&self.running, by).await?;
        let camera = self.settings.camera_as(wanted).await?;
        self.refuse_what_is_off(&camera)?;
        match &camera.source {
            Source::Rtsp(_) => self.network(&camera, by).await,
            _ => self.device(camera, by).await,
        }
    }

    /// Errors with `Unavailable` where this camera runs already and is switched off: nobody opens it then.
    fn refuse_what_is_off(&self, camera: &CameraConfig) -> Result<()> {
        let is_it = |c: &CameraConfig| c.id == camera.id || c.source == camera.source;
        match self.set.configs().into_iter().find(|c| c.off.is_some() && is_it(c)) {
            Some(off) => {
                let why = format!("{} is switched off: switch it on before it is tried out", off.name);
                Err(Error::new(ErrorKind::Unavailable, why))
            }
            None => Ok(()),
        }
    }

    async fn network(&self, c: &CameraConfig, by: DeviceId) -> Result<Probed> {
        for url in [c.source.url(), c.network.sub_source.as_ref()].into_iter().flatten() {
            let (host, port) = perch_ingest::place_of(url.expose())?;
            self.refuse_own(&host, port).await?;
        }
        let known = Arc::new(Onlooker::beside(self.certificates.clone()));
        let mut tried = network::try_out(&self.clock, &known, c, true).await;
        for one in &mut tried {
            one.make_still(c, Some((&self.stills, by))).await;
        }
        let mut judgement: Vec<Judgement> =
            tried.iter().flat_map(|one| one.judge(one.stream == Stream::Main)).collect();
        let of = |stream| tried.iter().find(|one| one.stream == stream);
        if let Some(main) = of(Stream::Main) {
            judgement.extend(probe::together(&main.measured, of(Stream::Sub).map(|second| &second.measured)));
        }
        let shown = |one: Tried| {
            let still = one.still.filter(|still| still.len() <= MAX_STILL_BYTES);
            ProbedStream {
                stream: one.stream,
                measured: one.measured,
                still: still.map(|still| base64::encode(&still)),
            }
        };
        let streams = tried.into_iter().map(shown).collect();
        Ok(Probed { source: c.source.describe(), streams, modes: None, judgement })
    }

    /// Errors with `Invalid` where this leads to the box itself, by whatever name.
    async fn refuse_own(&self, host: &str, port: u16) -> Result<()> {
        // What cannot be found is said by who connects to it.
        let found = within(&self.clock, NAME_WITHIN, tokio::net::lookup_host((host, port))).await;
        let mut found = found.and_then(Result::ok).into_iter().flatten();
        match found.any(|target| self.is_own(target)) {
            true => Err(probe::own_door()),
            false => Ok(()),
        }
    }

    fn is_own(&self, target: SocketAddr) -> bool {
        let doors = self.doors.get().map_or(&[][..], Vec::as_slice);
        let own: Vec<_> = interfaces().into_iter().flatten().flat_map(|interface| interface.addresses).collect();
        probe::is_own_door(target, doors, &own)
    }

    async fn device(&self, camera: CameraConfig, by: DeviceId) -> Result<Probed> {
        let (machine, source) = (self.means.machine.clone(), camera.source.describe());
        let looked = camera.clone();
        let asked = self.drivers.ask(&self.clock, DEVICE_WITHIN, move || Ok(looked_at(&machine, &looked)));
        let (mut judgement, modes) = asked.await.unwrap_or_else(|| {
            let what = "its driver does not answer";
            Ok((vec![devices::say(Weight::Bad, what, "unplug the camera and plug it in again")], None))
        })?;
        // What the box takes already is not taken twice.
        let is_taken = self.set.configs().iter().any(|c| c.id == camera.id || c.source == camera.source);
        let mut streams = Vec::new();
        if !is_taken && judgement.iter().all(|said| said.weight != Weight::Bad) {
            match stills::of(&self.means, &self.clock, &camera, (&self.stills, by)).await {
                Ok(still) => streams.extend(still.filter(|still| still.len() <= MAX_STILL_BYTES).map(|still| {
                    let still = Some(base64::encode(&still));
                    ProbedStream { stream: Stream::Main, measured: Measured::default(), still }
                })),
                Err(e) => judgement = vec![devices::bad(&e)],
            }
        }
        Ok(Probed { source, streams, modes, judgement })
    }
}

/// What is said of a camera that is no network camera, and what it offers. Blocks.
fn looked_at(machine: &Machine, c: &CameraConfig) -> (Vec<Judgement>, Option<String>) {
    let alone = |said| (vec![said], None);
    match &c.source {
        Source::V4l2(device) => devices::usb_camera(machine, c, device),
        Source::Libcamera(id) => alone(devices::sensor(id.as_deref())),
        Source::File(path) => alone(devices::file(path)),
        Source::Test => alone(devices::say(Weight::Good, "a moving picture that the box draws itself", "")),
        Source::Rtsp(_) => (Vec::new(), None),
    }
}

impl ProbePort for Prober {
    fn probe(&self, camera: Map<String, Value>, by: DeviceId) -> Later<'_, Result<Probed>> {
        Box::pin(self.probe(camera, by))
    }
}
