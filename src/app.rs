//! The one place that wires everything: build, run, drain.

use crate::announcements::StoredAnnouncements;
use crate::backup::port::Backups;
use crate::backup::restore;
use crate::camera::{Camera, Notices};
use crate::camera_runner::{CameraRunner, live_camera, rtsp_streams};
use crate::camera_set::CameraSet;
use crate::camera_tls::onvif_with_tls;
use crate::cameras::{Cameras, ViewersStills};
use crate::config::Config;
use crate::copying::Copying;
use crate::ears::Ears;
use crate::kernel_clock::is_synchronised;
use crate::known_certificates::FirstCertificates;
use crate::modes::Switches;
use crate::picture_controls::PictureControls;
use crate::probing::Prober;
use crate::range_pushes::SentRanges;
use crate::settings::SettingsFile;
use crate::settings::follow::Followers;
use crate::supervisor::{GRACE, Supervisor};
use crate::system::BoxSystem;
use crate::systemd::Notifier;
use crate::tasks::card::CardMaker;
use crate::tasks::commands::{Doors, SharedCutOffs, reload_stream_passwords};
use crate::tasks::cut_off::CutOffs;
use crate::web_live::{Packagers, WebLive};
use crate::{bell, kept_log, reload_line, systemd, tasks, version};
use perch_api::{AccessChange, Server};
use perch_base::clock::{SharedClock, SystemClock};
use perch_base::net::host_name;
use perch_base::shutdown::{self, Shutdown, Trigger};
use perch_base::time::Timestamp;
use perch_base::{Error, Result, blocking};
use perch_domain::identity::IdentityPort;
use perch_domain::onvif::OnvifPort;
use perch_domain::ports::LivePort;
use perch_domain::running::RunningBox;
use perch_domain::task::TaskId;
use perch_domain::update::UpdateConfig;
use perch_media::capture::Means;
use perch_media::pipeline::Library;
use perch_media::still::Turns;
use perch_media::{rtsp, webrtc};
use perch_pki::Identity;
use perch_store::{Accounts, Index, Meta, Recordings, SharedLimits, Store};
use perch_update::Updater;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::signal::unix::Signal;
use tokio::sync::{Mutex, Notify, broadcast};

/// News that a slow listener may be behind.
const NOTICES: usize = 256;

/// A box that is built and whose ports are open, but that does not run yet.
pub struct App {
    clock: SharedClock,
    trigger: Trigger,
    shutdown: Shutdown,
    identity: Arc<Identity>,
    accounts: Accounts,
    recordings: Recordings,
    meta: Meta,
    cameras: Arc<Cameras>,
    runner: Arc<CameraRunner>,
    settings: Arc<SettingsFile>,
    system: Arc<BoxSystem>,
    switches: Arc<Switches>,
    supervisor: Supervisor,
    live: Arc<webrtc::Engine>,
    live_server: webrtc::Server,
    packagers: Packagers,
    rtsp: Arc<rtsp::Handle>,
    rtsp_server: rtsp::Server,
    sent_ranges: SentRanges,
    api: Server,
    /// None on a disk that cannot be written.
    bell: Option<UnixDatagram>,
    update: (Updater, UpdateConfig),
    copying: Copying,
    cut_offs: CutOffs,
    /// Viewers who see nothing for a while.
    shut_out: SharedCutOffs,
}

/// Where a running box answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub http: SocketAddr,
    /// Without TLS.
    pub plain_http: Option<SocketAddr>,
    pub rtsp: SocketAddr,
    pub webrtc: SocketAddr,
}

impl App {
    /// Builds everything and opens every port; nothing is captured yet. The page writes the config file at `path`. Errors name what is in the way.
    pub async fn build(config: Config, path: Option<&Path>) -> Result<Self> {
        let clock: SharedClock = Arc::new(SystemClock);
        SystemClock::origin();
        blocking("starting GStreamer", perch_media::init).await?;
        let (trigger, shutdown) = shutdown::channel();
        let identity = open_identity(&config, &clock).await?;
        let store = open_store(&config, &clock).await?;
        let (people, data_dir) = (store.accounts().clone(), config.data_dir.clone());
        blocking("taking people of a backup", move || {
            restore::put_people(&data_dir, &people);
            Ok(())
        })
        .await?;
        // Nobody gets the whole store: each takes what it needs.
        let (accounts, index) = (store.accounts().clone(), store.index().clone());
        let (recordings, meta) = (store.recordings().clone(), store.meta().clone());
        kept_log::keep(&config.data_dir).await;
        let bell = bell::listen_if_possible(&config.data_dir).await;
        let library = blocking("reading the pipelines", Library::installed).await?;
        let of_certificates = meta.clone();
        let certificates = blocking("reading known certificates", || FirstCertificates::read(of_certificates)).await?;
        let certificates = Arc::new(certificates);
        let settings = Arc::new(SettingsFile::new(path, config.clone(), clock.clone()));
        let means = Means {
            library,
            ingest: Arc::new(perch_ingest::Ingest::new(clock.clone(), certificates.clone())),
            machine: perch_media::devices::Machine::default(),
            zone: settings.current().zone_now(),
            encodes_vp8: crate::commands::board::encodes_vp8(Path::new("/")),
        };
        let (notices, _) = broadcast::channel(NOTICES);
        let supervisor = Supervisor::new(clock.clone(), shutdown.clone());

        let set = Arc::new(CameraSet::new(memory_bytes()));
        let switches = open_switches(&settings, &clock, &notices).await?;
        // What is off is so from the first moment on: nothing of it is opened.
        let cameras = switches.wanted(&config);
        for (c, last_event) in cameras.into_iter().zip(last_events(&config, &index).await?) {
            set.set(Arc::new(Camera::new(c, clock.clone(), notices.clone(), last_event, &means)));
        }

        let is_on = |c: &&Arc<Camera>| c.config.off.is_none();
        let watchable = set.all().iter().filter(is_on).map(|c| live_camera(c)).collect();
        let (live, live_server) = webrtc::Engine::open(config.webrtc.clone(), watchable, clock.clone())?;
        let streams = set.all().iter().filter(is_on).map(|c| rtsp_streams(c)).collect();
        let (rtsp, rtsp_server) = rtsp::Handle::open(config.rtsp, identity.clone(), streams, clock.clone())?;
        let (passwords, of_rtsp) = (accounts.clone(), rtsp.clone());
        let shut_out = SharedCutOffs::default();
        let shut_out_of_rtsp = shut_out.clone();
        let read = move || reload_stream_passwords(&passwords, &of_rtsp, &shut_out_of_rtsp);
        blocking("reading the stream passwords", read).await?;
        let stills = Turns::default();
        let onvif = onvif_with_tls(&clock, &certificates);
        let controls = Arc::new(PictureControls::new(means.machine.clone(), onvif.clone(), clock.clone()));
        let announcements = open_announcements(&config, &clock).await?;
        let copying = Copying::new(&recordings, settings.current(), &clock, set.clone());
        let cameras = Arc::new(Cameras {
            announcements: announcements.clone(),
            set: set.clone(),
            settings: settings.current().clone(),
            copies: copying.copies.clone(),
            recordings: recordings.clone(),
            accounts: accounts.clone(),
            identity: identity.clone(),
            tasks: supervisor.tasks(),
            clock: clock.clone(),
            live: live.clone(),
            rtsp: rtsp.clone(),
            stills: ViewersStills::new(clock.clone(), stills.clone()),
            ears: Ears::new(set.clone(), clock.clone()),
            controls: controls.clone(),
        });
        let updater = blocking("looking at the last update", || Ok(updater())).await?;
        let (of_tasks, library) = (supervisor.clone(), means.library.clone());
        let sent_ranges = SentRanges::new(of_tasks, shutdown.clone(), recordings.clone(), library, clock.clone());
        let cut_offs = obey_changes(&accounts, &live, &rtsp, &shut_out, &sent_ranges);
        let system = Arc::new(BoxSystem::new(updater.places().clone()));
        let (web_live, packagers) =
            WebLive::new(set.clone(), config.webrtc.viewers, means.library.clone(), clock.clone());
        let parts = Parts {
            web_live,
            sent_ranges: sent_ranges.clone(),
            onvif,
            controls,
            clock: clock.clone(),
            identity: identity.clone(),
            accounts: accounts.clone(),
            recordings: recordings.clone(),
            meta: meta.clone(),
            set,
            settings: settings.clone(),
            switches: switches.clone(),
            system: system.clone(),
            live: live.clone(),
            rtsp: rtsp.clone(),
            notices,
            stills,
            updater: updater.clone(),
            copying: copying.clone(),
        };
        let prober = parts.prober(certificates, &means);
        let ports = parts.ports(&cameras, &prober, &cut_offs, &shut_out);
        let api = Server::bind(api_config(&config), ports).await?;
        let (tls, plain) = (config.rtsp.tls_listen, config.http.plain_listen);
        prober.opened([Some(api.local_addr()), Some(rtsp.local_addr()), tls, plain]);
        let runner = parts.runner(&supervisor, index, means);
        switches.followed_by(runner.clone());
        settings.followed_by(parts.followers(&runner, store.limits().clone()));
        let update = (updater, config.update);
        Ok(Self {
            clock,
            trigger,
            shutdown,
            identity,
            accounts,
            recordings,
            meta,
            cameras,
            runner,
            settings,
            system,
            switches,
            supervisor,
            live,
            live_server,
            packagers,
            rtsp,
            rtsp_server,
            sent_ranges,
            api,
            bell,
            update,
            copying,
            cut_offs,
            shut_out,
        })
    }

    /// Where it answers.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            http: self.api.local_addr(),
            plain_http: self.api.plain_addr(),
            rtsp: self.rtsp.local_addr(),
            webrtc: self.live.local_addr(),
        }
    }

    /// The fingerprint of the box's own CA.
    pub fn ca_sha256(&self) -> String {
        self.identity.ca_sha256().to_owned()
    }

    /// The recordings, for the process that holds the box.
    pub fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// The cameras, for the process that holds the box.
    pub fn cameras(&self) -> &Arc<Cameras> {
        &self.cameras
    }

    /// What changes the cameras of the running box.
    pub fn runner(&self) -> &Arc<CameraRunner> {
        &self.runner
    }

    /// What a console shows of a box that nobody owns yet: a one-time password with its QR code, or when there will be one.
    pub async fn pairing_card(&self) -> Result<Option<String>> {
        self.leave_word().await;
        let maker = self.card_maker();
        blocking("making the pairing card", move || maker.first()).await
    }

    /// Leaves word for `perch pair` and `perch stream-password add`, which print what one has to type to reach this box.
    async fn leave_word(&self) {
        let (running, meta) = (self.as_it_runs(), self.meta.clone());
        if let Err(e) = blocking("leaving word for commands", move || meta.leave_word(&running)).await {
            tracing::warn!(error = %e, "commands beside the box will not know its addresses");
        }
    }

    fn as_it_runs(&self) -> RunningBox {
        RunningBox {
            base_url: self.base_url(),
            plain_urls: self.api.plain_urls(),
            ca_sha256: self.ca_sha256(),
            rtsp_port: Some(self.rtsp.local_addr().port()),
            cameras: Some(self.cameras.set.named()),
        }
    }

    fn card_maker(&self) -> CardMaker {
        CardMaker { accounts: self.accounts.clone(), clock: self.clock.clone(), running: self.as_it_runs() }
    }

    /// The address to open.
    pub fn base_url(&self) -> String {
        self.api.base_url()
    }

    /// What tells systemd how the box is.
    pub fn notifier(&self) -> Notifier {
        Notifier::from_env(&self.clock)
    }

    /// Follows the config file whenever a hangup or `perch reload` asks for it, once the box runs. Within a runtime.
    pub fn follow_config(&self, hangups: Signal) -> Result<()> {
        let data_dir = self.settings.current().config().data_dir.clone();
        let line = reload_line::listen(&data_dir);
        let line = line.inspect_err(|e| tracing::error!(error = %e, "the config is read again at SIGHUP alone")).ok();
        tasks::reload::spawn(&self.supervisor, &self.settings, hangups, line, &self.clock)
    }

    /// Rings when an owner wants the box to end and be started again.
    pub fn restart(&self) -> Arc<Notify> {
        self.system.restart()
    }

    /// Starts what looks after the box itself: the system's watchdog, updates, the card on the screen.
    fn watch_over(&self) -> Result<()> {
        let watched = tasks::watchdog::Watched {
            cameras: self.cameras.clone(),
            meta: self.meta.clone(),
            tasks: self.supervisor.tasks(),
            api: self.api.lifeline(),
            clock: self.clock.clone(),
        };
        tasks::watchdog::spawn(&self.supervisor, watched)?;
        let trial = tasks::trial::Trial {
            updater: self.update.0.clone(),
            cameras: self.cameras.clone(),
            recordings: self.recordings.clone(),
            meta: self.meta.clone(),
            api: self.api.lifeline(),
            clock: self.clock.clone(),
            failures: Arc::default(),
        };
        tasks::trial::spawn(&self.supervisor, trial)?;
        let (updater, config) = &self.update;
        tasks::delivered::spawn(&self.supervisor, updater, &self.cameras, &self.meta, &self.clock)?;
        tasks::auto_update::spawn(&self.supervisor, config, updater, &self.clock)?;
        tasks::card::spawn(&self.supervisor, self.card_maker())
    }

    /// Runs until `stop`, then drains. Returns the tasks that did not end in time.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Vec<TaskId>> {
        self.leave_word().await;
        self.runner.start()?;
        tasks::modes::spawn(&self.supervisor, &self.switches, &self.clock)?;
        self.copying.start(&self.supervisor, &self.settings.current().config().sync).await;
        let sealed = &self.runner.sealed;
        tasks::retention::spawn(&self.supervisor, &self.recordings, &self.accounts, &self.clock, sealed)?;
        tasks::reconcile::spawn(&self.supervisor, &self.recordings, &self.clock)?;
        let configured = self.settings.current().config().cameras.iter().map(|c| c.id.clone()).collect();
        tasks::event_sounds::spawn(&self.supervisor, &self.cameras, &self.runner.notices)?;
        tasks::log::spawn(&self.supervisor, &self.clock)?;
        let data_dir = self.settings.current().config().data_dir.clone();
        tasks::manifests::spawn(&self.supervisor, &self.recordings, &self.copying.copies, &self.clock, &data_dir)?;
        tasks::deletion::spawn(&self.supervisor, &self.recordings, &self.clock, configured)?;
        self.watch_over()?;
        tasks::servers::spawn_live(&self.supervisor, self.live_server, self.live.gatherer())?;
        tasks::servers::spawn(&self.supervisor, TaskId::Rtsp, self.rtsp_server)?;
        tasks::web_live::spawn(&self.supervisor, self.packagers)?;
        tasks::cut_off::spawn(&self.supervisor, self.cut_offs)?;
        let doors = Doors {
            accounts: self.accounts.clone(),
            live: self.live.clone(),
            rtsp: self.rtsp.clone(),
            revocations: self.api.revocations(),
            shut_out: self.shut_out,
            sent_ranges: self.sent_ranges,
        };
        tasks::commands::spawn(&self.supervisor, self.bell, &self.clock, doors)?;
        tasks::certificate::spawn(&self.supervisor, &self.identity, &self.clock)?;
        tasks::acme::spawn(
            &self.supervisor,
            self.settings.current().config().acme.as_ref(),
            &self.identity,
            &self.clock,
        )?;
        // Not under the supervisor: only a defect ends it, and then nobody could reach the box or see why. systemd starts
        // perch again with fresh sockets, after the files were sealed.
        let mut api = tokio::spawn(self.api.run(self.shutdown.clone()));
        tokio::select! {
            () = stop => {}
            ended = &mut api => {
                let why = ended.map_err(|e| Error::internal("the API panicked").with_source(e))?;
                self.trigger.fire();
                self.supervisor.drain(GRACE).await;
                return why.and(Err(Error::internal("the API ended by itself")));
            }
        }
        tracing::info!("ending: files are sealed, connections closed");
        self.trigger.fire();
        let late = self.supervisor.drain(GRACE).await;
        // The API drained beside the tasks; what it still holds is cut.
        // Real time: the process must end.
        let _ = tokio::time::timeout(Duration::from_secs(2), api).await;
        Ok(late)
    }
}

/// What several of the box's parts share while it is built.
struct Parts {
    onvif: Arc<dyn OnvifPort>,
    controls: Arc<PictureControls>,
    clock: SharedClock,
    identity: Arc<Identity>,
    accounts: Accounts,
    recordings: Recordings,
    meta: Meta,
    set: Arc<CameraSet>,
    settings: Arc<SettingsFile>,
    switches: Arc<Switches>,
    system: Arc<BoxSystem>,
    live: Arc<webrtc::Engine>,
    web_live: Arc<WebLive>,
    sent_ranges: SentRanges,
    rtsp: Arc<rtsp::Handle>,
    notices: Notices,
    stills: Turns,
    updater: Updater,
    copying: Copying,
}

impl Parts {
    fn prober(&self, certificates: Arc<FirstCertificates>, means: &Means) -> Arc<Prober> {
        Arc::new(Prober {
            settings: self.settings.clone(),
            onvif: self.onvif.clone(),
            set: self.set.clone(),
            certificates,
            clock: self.clock.clone(),
            means: means.clone(),
            drivers: Default::default(),
            stills: self.stills.clone(),
            doors: OnceLock::new(),
            running: Arc::default(),
            searching: Arc::default(),
        })
    }

    fn ports(
        &self,
        cameras: &Arc<Cameras>,
        prober: &Arc<Prober>,
        cut_offs: &CutOffs,
        shut_out: &SharedCutOffs,
    ) -> perch_api::Ports {
        let obeying = cut_offs.clone();
        let backups = Backups {
            settings: self.settings.clone(),
            accounts: self.accounts.clone(),
            system: self.system.clone(),
            clock: self.clock.clone(),
        };
        perch_api::Ports {
            identity: self.identity.clone(),
            live: self.live.clone(),
            web_live: self.web_live.clone(),
            access: Arc::new(self.accounts.clone()),
            archive: Arc::new(self.recordings.clone()),
            range_pushes: Arc::new(self.sent_ranges.clone()),
            cameras: cameras.clone(),
            announcements: cameras.announcements.clone(),
            update: Arc::new(self.updater.clone()),
            settings: self.settings.clone(),
            probe: prober.clone(),
            discovery: prober.clone(),
            backup: Arc::new(backups),
            log: Arc::new(kept_log::kept().clone()),
            system: self.system.clone(),
            modes: self.switches.clone(),
            copies: Arc::new(self.copying.copies.clone()),
            clock: self.clock.clone(),
            notices: self.notices.clone(),
            cut_offs: shut_out.clone(),
            readers: self.rtsp.clone(),
            on_access_change: Arc::new(move |change| obeying.change(change)),
        }
    }

    fn runner(&self, supervisor: &Supervisor, index: Index, means: Means) -> Arc<CameraRunner> {
        Arc::new(CameraRunner {
            set: self.set.clone(),
            supervisor: supervisor.clone(),
            index,
            recordings: self.recordings.clone(),
            meta: self.meta.clone(),
            clock: self.clock.clone(),
            means,
            controls: self.controls.clone(),
            notices: self.notices.clone(),
            live: self.live.clone(),
            rtsp: self.rtsp.clone(),
            sealed: Arc::default(),
            stills: self.stills.clone(),
            turn: Mutex::default(),
            is_started: Default::default(),
        })
    }

    fn followers(&self, runner: &Arc<CameraRunner>, limits: SharedLimits) -> Followers {
        Followers {
            runner: runner.clone(),
            switches: self.switches.clone(),
            limits,
            live: self.live.clone(),
            web_live: self.web_live.clone(),
            identity: self.identity.clone(),
            updater: self.updater.clone(),
            accounts: self.accounts.clone(),
            copying: self.copying.clone(),
            is_behind: Default::default(),
        }
    }
}

/// Who the box is: made at the first start, before any port opens.
async fn open_identity(config: &Config, clock: &SharedClock) -> Result<Arc<Identity>> {
    let settings = perch_pki::Config { data_dir: config.data_dir.clone(), host: host_name, hostnames: config.names() };
    let clock = clock.clone();
    blocking("making the box's identity", move || Identity::open(settings, clock)).await.map(Arc::new)
}

async fn open_store(config: &Config, clock: &SharedClock) -> Result<Store> {
    let (settings, clock) = (config.store(), clock.clone());
    blocking("opening the store", move || Store::open(settings, clock)).await
}

async fn open_switches(settings: &SettingsFile, clock: &SharedClock, notices: &Notices) -> Result<Arc<Switches>> {
    let (current, clock, notices) = (settings.current().clone(), clock.clone(), notices.clone());
    blocking("reading what is switched off", move || {
        Ok(Arc::new(Switches::open(current, clock, is_synchronised, notices)))
    })
    .await
}

async fn open_announcements(config: &Config, clock: &SharedClock) -> Result<Arc<StoredAnnouncements>> {
    let (data_dir, clock) = (config.data_dir.clone(), clock.clone());
    blocking("reading the announcements", move || Ok(Arc::new(StoredAnnouncements::open(&data_dir, clock)))).await
}

/// When each camera of the config had its last event.
async fn last_events(config: &Config, index: &Index) -> Result<Vec<Option<Timestamp>>> {
    let (index, ids) = (index.clone(), config.cameras.iter().map(|c| c.id.clone()).collect::<Vec<_>>());
    blocking("looking for the cameras' events", move || ids.iter().map(|id| index.last_event_at(id)).collect()).await
}

fn updater() -> Updater {
    Updater::new(perch_update::Config {
        version: version::VERSION.to_owned(),
        commit: version::COMMIT.to_owned(),
        places: perch_update::Places::of_the_card(systemd::runtime_directory()),
        bus: perch_update::Bus::System,
    })
}

fn api_config(config: &Config) -> perch_api::Config {
    perch_api::Config {
        http: config.http,
        version: version::VERSION.to_owned(),
        rtsp_port: config.rtsp.listen.port(),
        rtsps_port: config.rtsp.tls_listen.map(|a| a.port()),
    }
}

/// The memory of the box, bytes.
fn memory_bytes() -> u64 {
    let system = rustix::system::sysinfo();
    system.totalram.saturating_mul(u64::from(system.mem_unit))
}

fn obey_changes(
    accounts: &Accounts,
    live: &Arc<webrtc::Engine>,
    rtsp: &Arc<rtsp::Handle>,
    shut_out: &SharedCutOffs,
    sent: &SentRanges,
) -> CutOffs {
    let (accounts, live, rtsp, shut_out) = (accounts.clone(), live.clone(), rtsp.clone(), shut_out.clone());
    let sent = sent.clone();
    CutOffs::new(move |change| match change {
        AccessChange::DeviceRevoked(device) => {
            sent.end_device(device);
            live.end_device(device)
        }
        AccessChange::StreamPasswordsChanged => reload_stream_passwords(&accounts, &rtsp, &shut_out),
    })
}
