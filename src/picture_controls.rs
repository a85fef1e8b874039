//! The picture settings that cameras have themselves: asked and set at the device, the sensor or by ONVIF. What is to be set is decided in `domain`.

use crate::camera::Camera;
use crate::wires::Wish;
use perch_base::clock::{SharedClock, within};
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_domain::camera::Source;
use perch_domain::onvif::{Asked, Imaging, OnvifPort};
use perch_domain::picture_controls::libcamera::{self, SensorProperty};
use perch_domain::picture_controls::v4l2::{self, V4l2Control};
use perch_domain::picture_controls::{PictureControl, SourceControls, onvif, plan};
use perch_domain::settings::Scalar;
use perch_domain::settings::password::login_of;
use perch_domain::usb_camera::VideoName;
use perch_media::devices::Machine;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a driver may take.
const DRIVER_WITHIN: Duration = Duration::from_secs(5);
/// How many may be waited for at once: one that hangs holds a thread.
const MOST_DRIVERS: usize = 4;

/// Asks and sets the picture settings of cameras.
pub struct PictureControls {
    machine: Machine,
    onvif: Arc<dyn OnvifPort>,
    clock: SharedClock,
    drivers: Arc<Semaphore>,
}

/// What a source has, as it words it.
enum Found {
    Usb(VideoName, Vec<V4l2Control>),
    Sensor(Vec<SensorProperty>),
    Network(Asked, Imaging),
    Nothing,
}

impl Found {
    fn controls(&self) -> Vec<PictureControl> {
        match self {
            Self::Usb(_, raw) => v4l2::controls(raw),
            Self::Sensor(properties) => libcamera::controls(properties),
            Self::Network(_, imaging) => onvif::controls(&imaging.settings),
            Self::Nothing => Vec::new(),
        }
    }
}

impl PictureControls {
    /// See the type.
    pub fn new(machine: Machine, onvif: Arc<dyn OnvifPort>, clock: SharedClock) -> Self {
        Self { machine, onvif, clock, drivers: Arc::new(Semaphore::new(MOST_DRIVERS)) }
    }

    /// What the source of a camera has. Nothing of one that is off is opened.
    pub async fn of(&self, camera: &Camera) -> SourceControls {
        if camera.config.off.is_some() {
            let problem = Some(format!("{} is switched off", camera.config.name));
            return SourceControls { controls: Vec::new(), problem };
        }
        match self.look(camera).await {
            Ok(found) => {
                let controls = found.controls();
                let problems = plan(&controls, &camera.config.picture.controls, &BTreeSet::new()).problems;
                SourceControls { controls, problem: joined(&problems) }
            }
            Err(e) => SourceControls { controls: Vec::new(), problem: Some(e.message().to_owned()) },
        }
    }

    /// Sets what is wanted. Returns what cannot be. Errors where the camera cannot be asked.
    pub async fn apply(&self, camera: &Camera, wish: &Wish) -> Result<Vec<String>> {
        let mut found = self.look(camera).await?;
        let first = plan(&found.controls(), &wish.wanted, &wish.let_go);
        let mut problems = Vec::new();
        if !first.deciding.is_empty() {
            problems.extend(self.set(camera, &found, &first.deciding).await?);
            found = self.look(camera).await?;
        }
        let second = plan(&found.controls(), &wish.wanted, &wish.let_go);
        if !second.numbers.is_empty() {
            problems.extend(self.set(camera, &found, &second.numbers).await?);
        }
        problems.extend(second.problems);
        Ok(problems)
    }

    async fn look(&self, camera: &Camera) -> Result<Found> {
        let config = &camera.config;
        match &config.source {
            Source::V4l2(name) => {
                let (machine, of) = (self.machine.clone(), name.clone());
                let raw = self.ask_driver(move || machine.controls(&of)).await?;
                Ok(Found::Usb(name.clone(), raw))
            }
            Source::Libcamera(_) => {
                let capture = camera.capture.clone();
                self.ask_driver(move || Ok(Found::Sensor(capture.sensor_properties()))).await
            }
            Source::Rtsp(url) => {
                let address = match &config.network.onvif {
                    Some(address) => address.clone(),
                    None => {
                        let (host, _) = perch_ingest::place_of(url.expose())?;
                        self.onvif.find(&host).await.ok_or_else(not_found)?
                    }
                };
                let (user, password) = login_of(url.expose());
                let asked = Asked { url: address, user, password };
                let imaging = self.onvif.imaging(asked.clone(), url.expose().clone()).await?;
                Ok(Found::Network(asked, imaging))
            }
            Source::Test | Source::File(_) => Ok(Found::Nothing),
        }
    }

    async fn set(&self, camera: &Camera, found: &Found, values: &[(&'static str, Scalar)]) -> Result<Vec<String>> {
        let values = values.to_vec();
        match found {
            Found::Usb(name, raw) => {
                let (machine, name, raw) = (self.machine.clone(), name.clone(), raw.clone());
                let set = move |of: &str, value: &Scalar| match v4l2::to_set(&raw, of, value) {
                    Some((id, value)) => machine.set_control(&name, id, value),
                    None => Ok(()),
                };
                self.ask_driver(move || each(&values, set)).await
            }
            Found::Sensor(_) => {
                let capture = camera.capture.clone();
                let set = move |of: &str, value: &Scalar| match libcamera::property_of(of) {
                    Some(property) => capture.set_sensor_property(property, value),
                    None => Ok(()),
                };
                self.ask_driver(move || each(&values, set)).await
            }
            Found::Network(asked, imaging) => {
                let changes: Vec<_> = values.iter().filter_map(|(name, value)| onvif::to_set(name, value)).collect();
                let changes = onvif::in_order(&changes, &imaging.settings);
                self.onvif.set_imaging(asked.clone(), imaging.clone(), changes).await?;
                Ok(Vec::new())
            }
            Found::Nothing => Ok(Vec::new()),
        }
    }

    /// Runs what may block for as long as a driver likes. Errors with `Unavailable` where it takes too long.
    async fn ask_driver<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let late =
            || Error::new(ErrorKind::Unavailable, "its driver does not answer: unplug the camera and plug it in again");
        let place = self.drivers.clone().try_acquire_owned().map_err(|_| late())?;
        let asked = blocking("asking a camera's driver", move || {
            let answer = work();
            drop(place);
            answer
        });
        within(&self.clock, DRIVER_WITHIN, asked).await.unwrap_or_else(|| Err(late()))
    }
}

fn not_found() -> Error {
    let what = "it answers no ONVIF at the usual ports: name its address as `onvif`, if it has it";
    Error::new(ErrorKind::Unsupported, what)
}

/// Sets each; what the camera refuses is said, and any other error ends it.
fn each(values: &[(&'static str, Scalar)], set: impl Fn(&str, &Scalar) -> Result<()>) -> Result<Vec<String>> {
    let mut refused = Vec::new();
    for (name, value) in values {
        match set(name, value) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Conflict => refused.push(format!("`{name}`: {}", e.message())),
            Err(e) => return Err(e),
        }
    }
    Ok(refused)
}

/// As one sentence.
pub fn joined(problems: &[String]) -> Option<String> {
    (!problems.is_empty()).then(|| problems.join("; "))
}
