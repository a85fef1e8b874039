//! What the server is made of: settings, and the ports by which it asks and tells the rest of the box.

use perch_base::clock::SharedClock;
use perch_base::ids::DeviceId;
use perch_domain::announcement::AnnouncementsPort;
use perch_domain::cut_off::CutOffViewers;
use perch_domain::discovery::DiscoveryPort;
use perch_domain::exchange::HTTPS_PORT;
use perch_domain::identity::IdentityPort;
use perch_domain::modes::ModesPort;
use perch_domain::ports::{
    AccessPort, ArchivePort, BackupPort, CameraPort, LivePort, LogPort, ReadersPort, SettingsPort, SystemPort,
    WebLivePort,
};
use perch_domain::probe::ProbePort;
use perch_domain::push::range::RangePushPort;
use perch_domain::settings::Keys;
use perch_domain::status::Notice;
use perch_domain::sync::status::CopiesPort;
use perch_domain::update::UpdatePort;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub http: HttpConfig,
    /// The daemon's version.
    pub version: String,
    /// Where RTSP answers, for the URLs of stream passwords.
    pub rtsp_port: u16,
    /// Where RTSPS answers, if it does.
    pub rtsps_port: Option<u16>,
}

/// Where the page and the API are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// HTTPS; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it is said without TLS how to come by HTTPS, if anywhere.
    pub plain_listen: Option<SocketAddr>,
}

impl HttpConfig {
    /// The key of [`Self::listen`].
    pub const LISTEN: &str = "http.listen";

    /// The key of [`Self::plain_listen`].
    pub const PLAIN_LISTEN: &str = "http.plain_listen";

    /// Reads `listen` and `plain_listen`.
    pub fn read(keys: &mut impl Keys) -> Self {
        let listen = keys.address("listen", &format!("0.0.0.0:{HTTPS_PORT}"));
        Self { listen, plain_listen: keys.optional_address("plain_listen") }
    }
}

/// Everything the server asks and tells.
#[derive(Clone)]
pub struct Ports {
    /// Who the box is: its certificate and its names.
    pub identity: Arc<dyn IdentityPort>,
    /// Live sessions.
    pub live: Arc<dyn LivePort>,
    /// Live pictures over HTTPS.
    pub web_live: Arc<dyn WebLivePort>,
    /// Accounts, devices and codes.
    pub access: Arc<dyn AccessPort>,
    /// Recordings and events.
    pub archive: Arc<dyn ArchivePort>,
    /// Sends what is recorded to other servers.
    pub range_pushes: Arc<dyn RangePushPort>,
    /// Cameras and the state of the box.
    pub cameras: Arc<dyn CameraPort>,
    /// Stored announcements.
    pub announcements: Arc<dyn AnnouncementsPort>,
    /// The configuration.
    pub settings: Arc<dyn SettingsPort>,
    /// Cameras before they are the box's.
    pub probe: Arc<dyn ProbePort>,
    /// Looks for cameras.
    pub discovery: Arc<dyn DiscoveryPort>,
    /// Backups of settings and people.
    pub backup: Arc<dyn BackupPort>,
    /// The log that it keeps.
    pub log: Arc<dyn LogPort>,
    /// The system under the box.
    pub system: Arc<dyn SystemPort>,
    /// What is switched off, and profiles.
    pub modes: Arc<dyn ModesPort>,
    /// Copies off the box.
    pub copies: Arc<dyn CopiesPort>,
    /// Version and update.
    pub update: Arc<dyn UpdatePort>,
    /// Time.
    pub clock: SharedClock,
    /// News; the event stream subscribes to it.
    pub notices: tokio::sync::broadcast::Sender<Arc<Notice>>,
    /// Who may come in, and is cut off for a while. A device that is sees no picture of any kind; readers by RTSP are told by
    /// [`AccessChange::StreamPasswordsChanged`].
    pub cut_offs: Arc<Mutex<CutOffViewers>>,
    /// Who reads by RTSP.
    pub readers: Arc<dyn ReadersPort>,
    /// Called after access was taken away, so that other transports close their connections before it returns.
    pub on_access_change: OnAccessChange,
}

/// Obeys a change of access. It may take as long as an engine that does not answer is waited for, and errors when pictures may go on:
/// it has then logged why, and tries again by itself until they do not.
pub type OnAccessChange = Arc<dyn Fn(AccessChange) -> perch_base::Result<()> + Send + Sync>;

/// Access that was taken away or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessChange {
    /// A device's credential is worthless now, or is worth less: what it has open ends, and it may ask for what it still may see.
    DeviceRevoked(DeviceId),
    /// A stream password was added or removed, or its readers were cut off or let in again.
    StreamPasswordsChanged,
}

/// What a phone opens to pair, as shown in a QR code. The code and the authority's hash stand behind `#`: a browser never sends
/// that part, so it reaches no log and no `Referer`. `base_url` is `https://host:port`.
pub fn pairing_url(base_url: &str, otp: &str, ca_sha256: &str) -> String {
    format!("{base_url}/pair#pair={otp}&ca={ca_sha256}")
}
