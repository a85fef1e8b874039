//! perch.toml: reads it with `PERCH_…` overrides and hands each part of the box its section; what may stand there, each part knows
//! itself. Every refusal names the key, the value and the rule.

use crate::reader::{Problems, Section};
use crate::taken_by::{TakenBy, tag_of};
use crate::toml_text;
use perch_api::HttpConfig;
use perch_base::files::{Links, read_small};
use perch_base::ids::CameraId;
use perch_base::secret::Secret;
use perch_base::zone::Zone;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::access::SessionConfig;
use perch_domain::acme::AcmeConfig;
use perch_domain::camera::CameraConfig;
use perch_domain::camera_view::MAX_VIEW_CAMERAS;
use perch_domain::exchange;
use perch_domain::identity::Names;
use perch_domain::listening::is_one_place;
use perch_domain::modes::ModesConfig;
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use perch_domain::settings::Keys;
use perch_domain::settings::described::{Setting, without_numbers};
use perch_domain::setup::{BOX_NAME, FirstCamera, test_camera};
use perch_domain::sync::target::{SyncTarget, copies_wanted};
use perch_domain::update::UpdateConfig;
use perch_media::{rtsp, webrtc};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub name: String,
    pub data_dir: PathBuf,
    pub http: HttpConfig,
    /// Further names and addresses of the box.
    pub hostnames: Names,
    /// A domain for which others vouch.
    pub acme: Option<AcmeConfig>,
    pub rtsp: rtsp::Config,
    pub webrtc: webrtc::Config,
    pub pairing: PairingConfig,
    pub session: SessionConfig,
    pub retention: RetentionConfig,
    pub update: UpdateConfig,
    /// Where copies of recordings go.
    pub sync: Vec<SyncTarget>,
    pub cameras: Vec<CameraConfig>,
    pub modes: ModesConfig,
    /// The zone of schedules; `None`: the system's.
    pub time_zone: Option<Zone>,
    /// What is odd in it but keeps nothing from working, a sentence each.
    pub warnings: Vec<String>,
    /// Each key as it was asked for, and what it says.
    pub settings: Arc<[Setting]>,
    /// The keys that the environment sets, each with its variable.
    pub variables: Arc<BTreeMap<String, String>>,
}

/// What is wrong in a file and taken for what a newer version of this program wrote: left as it is, and its default gone by. None of it
/// in a file that no newer one wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfNewer(BTreeSet<String>);

impl OfNewer {
    /// Whether this problem is one of them; the place of a camera in the list does not count.
    fn knows(&self, problem: &str) -> bool {
        self.0.contains(&without_numbers(problem))
    }
}

/// Keys of the design that this version does not know yet, as opposed to typing mistakes.
const LATER: [&str; 2] = ["target", "rule"];

/// A config that has one of everything of which there may be several.
const WITH_EVERYTHING: &str = "[[webrtc.turn]]\n[[sync]]\n[[camera]]\nid = \"a\"\nsource = \"rtsp://camera\"\n[[camera.push]]\n\
    [profile.a.cameras.a]\n[[schedule]]\n";

/// Where the config is when no file is named: in the default data folder, where the page writes it.
pub fn unnamed() -> PathBuf {
    Path::new(DATA_DIR).join(exchange::CONFIG.name)
}

/// The data folder where nothing is said of it.
const DATA_DIR: &str = "perch-data";

/// The largest config that is read: thousands of cameras.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
/// The largest file that holds a secret.
const MAX_SECRET_BYTES: u64 = 4 * 1024;

impl Config {
    /// The key of [`Self::data_dir`].
    pub const DATA_DIR: &str = "box.data_dir";

    /// Reads `path` (or [`unnamed`], or the defaults) and the environment. Errors with [`ErrorKind::Invalid`] and one line a problem.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        let text = Self::file(path).map_or(Ok(String::new()), |path| Self::text_of(&path))?;
        Self::at_start(&text)
    }

    /// The file that [`Self::load`] reads: the one that is named, or [`unnamed`] where it is there.
    pub fn file(path: Option<&Path>) -> Option<PathBuf> {
        path.map(Path::to_path_buf).or_else(|| Some(unnamed()).filter(|path| path.exists()))
    }

    /// Parses a file as a program does that starts: what only a newer one knows that ran here before keeps the box from nothing.
    pub fn at_start(text: &str) -> Result<Self> {
        Self::parse_but(text, environment(), &Self::of_newer(text))
    }

    /// The text of a config file. Errors with [`ErrorKind::Invalid`], naming the file.
    pub fn text_of(path: &Path) -> Result<String> {
        let which = || format!("the config file {}", path.display());
        let bytes = read_small(path, MAX_CONFIG_BYTES, Links::Follow)
            .context(ErrorKind::Invalid, || format!("{} cannot be read", which()))?;
        toml_text::decode(bytes).map_err(|e| e.at(which()))
    }

    /// What is wrong in it and taken for a newer version's: all that is, where one took this very text before.
    pub fn of_newer(text: &str) -> OfNewer {
        let Ok((wrong, data_dir)) = Self::wrong_in(text) else { return OfNewer::default() };
        let by_newer = TakenBy::read(&data_dir).is_some_and(|taken| taken.is_newer() && taken.tag == tag_of(text));
        if by_newer { wrong } else { OfNewer::default() }
    }

    /// Parses the text of a config file under the given environment.
    pub fn parse(text: &str, env: impl Iterator<Item = (String, String)>) -> Result<Self> {
        Self::parse_but(text, env, &OfNewer::default())
    }

    /// Parses it; what is wrong of a newer version is only warned of.
    pub fn parse_but(text: &str, env: impl Iterator<Item = (String, String)>, newer: &OfNewer) -> Result<Self> {
        let (mut config, problems) = Self::parse_all(text, env)?;
        let (known, refused): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| newer.knows(problem));
        if !refused.is_empty() {
            return Err(Error::invalid(format!("the config is refused:\n  {}", refused.join("\n  "))));
        }
        let left = |problem| format!("{problem}: a newer version of perch wrote it; it is left there and not followed");
        config.warnings.extend(known.into_iter().map(left));
        Ok(config)
    }

    /// What is wrong in a file, to be taken for a newer version's, and the data folder that it names.
    pub fn wrong_in(text: &str) -> Result<(OfNewer, PathBuf)> {
        let (config, problems) = Self::parse_all(text, environment())?;
        Ok((OfNewer(problems.iter().map(|problem| without_numbers(problem)).collect()), config.data_dir))
    }

    /// What it says, with the default in place of whatever is wrong, and that.
    fn parse_all(text: &str, env: impl Iterator<Item = (String, String)>) -> Result<(Self, Vec<String>)> {
        if text.len() as u64 > MAX_CONFIG_BYTES {
            let most = MAX_CONFIG_BYTES / 1024;
            return Err(Error::new(ErrorKind::TooLarge, format!("the config is larger than {most} KiB")));
        }
        let table = toml_text::parse(text).map_err(|e| e.at("the config"))?;
        let problems = Problems::new(env);
        let ids = camera_ids(&table);
        let mut config = read(Section::root(table, &problems), &problems);
        refuse_clashes(&config, &problems);
        (config.settings, config.variables) = (problems.asked().into(), Arc::new(problems.variables()));
        let (refused, warnings) = problems.into_all();
        config.warnings = warnings;
        Ok((config, refused.into_iter().map(|problem| with_camera(problem, &ids)).collect()))
    }

    /// Where this text says that the data folder is, however wrong the rest of it is.
    pub fn data_dir_of(text: &str) -> PathBuf {
        Self::wrong_in(text).map_or_else(
            |_| {
                let value = |line: &str| {
                    let (key, value) = line.split_once('=')?;
                    let value = (key.trim() == "data_dir").then(|| value.trim())?;
                    value.strip_prefix('"')?.split('"').next().map(PathBuf::from)
                };
                text.lines().find_map(value).unwrap_or_else(|| PathBuf::from(DATA_DIR))
            },
            |(_, data_dir)| data_dir,
        )
    }

    /// The ports that it opens: key, address, and whether it is one of UDP.
    pub fn ports(&self) -> Vec<(&'static str, SocketAddr, bool)> {
        let rtsps = self.rtsp.tls_listen.map(|at| (rtsp::Config::TLS_LISTEN, at, false));
        let tcp = [(HttpConfig::LISTEN, self.http.listen, false), (rtsp::Config::LISTEN, self.rtsp.listen, false)];
        let udp = [(webrtc::Config::UDP_LISTEN, self.webrtc.udp_listen, true)];
        let plain = self.http.plain_listen.map(|at| (HttpConfig::PLAIN_LISTEN, at, false));
        tcp.into_iter().chain(plain).chain(rtsps).chain(udp).collect()
    }

    /// The zone that schedules go by.
    pub fn zone(&self) -> Zone {
        self.time_zone.clone().unwrap_or_else(Zone::of_system)
    }

    /// The store's settings, for the daemon and for commands.
    pub fn store(&self) -> perch_store::Config {
        perch_store::Config {
            data_dir: self.data_dir.clone(),
            pairing: self.pairing,
            session: self.session,
            retention: self.retention,
            copies: copies_wanted(&self.sync),
        }
    }

    /// The further names of the box, the domain that others vouch for among them.
    pub fn names(&self) -> Names {
        let mut names = self.hostnames.clone();
        names.dns.extend(self.acme.iter().map(|acme| acme.domain.clone()));
        names
    }

    /// All keys that there are, whatever stands in a file.
    pub fn all_keys() -> Vec<Setting> {
        let table = toml_text::parse(WITH_EVERYTHING).expect("it is TOML");
        let problems = Problems::new(std::iter::empty());
        read(Section::root(table, &problems), &problems);
        problems.asked()
    }
}

/// The variables of the environment that are text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text_only = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text_only)
}

fn read(mut root: Section<'_>, problems: &Problems) -> Config {
    let (name, data_dir, time_zone) = in_section(&mut root, "box", |house| {
        let name = house.text("name", BOX_NAME, 1..=64);
        let data_dir = PathBuf::from(house.text("data_dir", DATA_DIR, 1..=4096));
        (name, data_dir, house.optional("time_zone", Zone::named))
    });
    let (http, hostnames) = in_section(&mut root, "http", |http| (HttpConfig::read(http), Names::read(http)));
    let acme = in_section(&mut root, "acme", |acme| AcmeConfig::read(acme, secret_of));
    let rtsp = in_section(&mut root, "rtsp", rtsp::Config::read);
    let webrtc = in_section(&mut root, "webrtc", |keys| webrtc::Config::read(keys, secret_of));
    let (pairing, session) =
        in_section(&mut root, "access", |access| (PairingConfig::read(access), SessionConfig::read(access)));
    let retention = in_section(&mut root, "recording", RetentionConfig::read);
    let update = in_section(&mut root, "update", UpdateConfig::read);
    let sync = SyncTarget::read_all(&mut root, &secret_of);
    let cameras = cameras(&mut root, problems);
    let modes = ModesConfig::read(&mut root, &cameras);
    root.refuse_later(&LATER);
    root.finish();
    Config {
        name,
        data_dir,
        http,
        hostnames,
        acme,
        rtsp,
        webrtc,
        pairing,
        session,
        retention,
        update,
        sync,
        cameras,
        modes,
        time_zone,
        warnings: Vec::new(),
        settings: Arc::default(),
        variables: Arc::default(),
    }
}

/// Two servers cannot answer in one place.
fn refuse_clashes(config: &Config, problems: &Problems) {
    let ports = config.ports();
    for (n, (key, at, is_udp)) in ports.iter().enumerate() {
        let other = ports[..n].iter().find(|(_, other, udp)| udp == is_udp && is_one_place(*other, *at));
        if let Some((other, ..)) = other {
            problems.add(key, &*at.to_string(), &format!("must differ from {other}: both cannot answer there"));
        }
    }
}

/// A section, all of which `read` knows.
fn in_section<'p, T>(root: &mut Section<'p>, key: &str, read: impl FnOnce(&mut Section<'p>) -> T) -> T {
    let mut section = root.section(key);
    let value = read(&mut section);
    section.finish();
    value
}

/// What a file named in the config holds. Errors do not repeat its path.
fn secret_of(file: &str) -> Result<Secret> {
    let bytes = read_small(Path::new(file), MAX_SECRET_BYTES, Links::Follow)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid("it is not UTF-8 text"))?;
    // Of what an editor leaves at the end, and of nothing that may be part of it.
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Error::invalid("it is empty")),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}

/// Cameras of a box: more than any board bears.
const MOST_CAMERAS: usize = MAX_VIEW_CAMERAS;

/// The ids that the cameras of a file have, in its order.
fn camera_ids(table: &toml::Table) -> Vec<Option<CameraId>> {
    let id = |camera: &toml::Value| camera.get("id")?.as_str().and_then(|id| CameraId::new(id).ok());
    table.get("camera").and_then(toml::Value::as_array).map(|all| all.iter().map(id).collect()).unwrap_or_default()
}

/// People know their cameras by name, and not by how many stand before them in the file.
fn with_camera(problem: String, ids: &[Option<CameraId>]) -> String {
    let place = problem.strip_prefix("camera[").and_then(|rest| rest.split(']').next()).and_then(|n| n.parse().ok());
    match place.and_then(|n: usize| ids.get(n)?.as_ref()) {
        Some(id) => format!("{problem} (camera `{id}`)"),
        None => problem,
    }
}

fn cameras(root: &mut Section<'_>, problems: &Problems) -> Vec<CameraConfig> {
    let mut cameras: Vec<CameraConfig> = Vec::new();
    if !root.has("camera") {
        let FirstCamera { id, name, source } = test_camera();
        let text = format!("id = {id:?}\nname = {name:?}\nsource = {source:?}\naudio = {{ source = \"test\" }}");
        let table = text.parse().expect("the default camera is TOML");
        cameras.extend(CameraConfig::read(Section::new("camera[0]", table, problems), secret_of));
    }
    let sections = root.sections("camera");
    if sections.len() > MOST_CAMERAS {
        problems.add("camera", sections.len() as i64, &format!("must be at most {MOST_CAMERAS} cameras"));
    }
    for section in sections.into_iter().take(MOST_CAMERAS) {
        let path = section.path().to_owned();
        if let Some(c) = CameraConfig::read(section, secret_of) {
            match cameras.iter().any(|o| o.id == c.id) {
                true => problems.add(&format!("{path}.id"), c.id.as_str(), "must differ from every other camera's id"),
                false => cameras.push(c),
            }
        }
    }
    cameras
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
