//! Looking for cameras: what is plugged in, what answers in the network, and the streams of one device.

use super::network::offers;
use super::{NAME_WITHIN, Prober};
use crate::known_certificates::Onlooker;
use perch_base::clock::within;
use perch_base::ids::DeviceId;
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::camera::{CameraConfig, Source};
use perch_domain::camera_modes::offers as modes_in_words;
use perch_domain::discovery::{
    self, DevicePlace, DiscoveryPort, Found, FoundBy, FoundCamera, FoundDevice, FoundMicrophone, FoundStream,
    FoundStreams, Lacking, MOST_OF_A_NAME, NoStream, RTSP_PORTS, STREAMS_WITHIN, StreamsWanted, UsedPlace, cameras_of,
    in_network, may_be_small, source_of,
};
use perch_domain::makers::paths_for;
use perch_domain::onvif::{Asked, OnvifDevice, on_host};
use perch_domain::ports::Later;
use perch_domain::probe::own_door;
use perch_domain::settings::password::Password;
use perch_domain::usb_camera::VideoNode;
use perch_ingest::Ingest;
use perch_media::devices::{Machine, sensors};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long drivers may take to say what is plugged in.
const PLUGGED_WITHIN: Duration = Duration::from_secs(4);
/// How long a port may take to answer, and how many are asked at once.
const KNOCK_WITHIN: Duration = Duration::from_millis(800);
const KNOCKS_AT_ONCE: usize = 128;
/// How long all paths may take together.
const PATHS_WITHIN: Duration = Duration::from_secs(30);

impl Prober {
    async fn discover(&self, addresses: Vec<IpAddr>) -> Result<Found> {
        let config = self.settings.current().config();
        let (machine, cameras) = (self.means.machine.clone(), config.cameras.clone());
        let plugged = self.drivers.ask(&self.clock, PLUGGED_WITHIN, move || Ok(plugged_in(&machine, &cameras)));
        let (plugged, answered, open) =
            tokio::join!(plugged, self.onvif.search(discovery::SEARCH_FOR), self.knock_at(addresses));
        let (devices, microphones) = plugged.unwrap_or_else(|| Ok(Default::default()))?;
        let network = in_network(answered, open, &used_places(&config.cameras));
        Ok(Found { devices, microphones, network })
    }

    /// Which of these addresses answer RTSP, with port and what the server calls itself; not the box's own.
    async fn knock_at(&self, addresses: Vec<IpAddr>) -> Vec<(SocketAddr, String)> {
        let targets = addresses.into_iter().flat_map(|ip| RTSP_PORTS.map(|port| SocketAddr::new(ip, port)));
        let off = self.places_off();
        let is_off = |target: &SocketAddr| {
            off.iter().any(|(host, port, _)| {
                host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical() == target.ip().to_canonical())
                    && (!target.ip().is_loopback() || *port == target.port())
            })
        };
        let targets: Vec<_> = targets.filter(|target| !self.is_own(*target) && !is_off(target)).collect();
        let mut open = Vec::new();
        for some in targets.chunks(KNOCKS_AT_ONCE) {
            let mut asked = JoinSet::new();
            for target in some.iter().copied() {
                let clock = self.clock.clone();
                asked.spawn(async move {
                    let server = within(&clock, KNOCK_WITHIN, perch_ingest::knock(target)).await.flatten();
                    server.map(|server| (target, server))
                });
            }
            while let Some(answer) = asked.join_next().await {
                open.extend(answer.ok().flatten());
            }
        }
        open.sort();
        open
    }

    /// Where network cameras are that are switched off: host and port, and what they are called.
    fn places_off(&self) -> Vec<(String, u16, String)> {
        let off = self.set.configs().into_iter().filter(|c| c.off.is_some());
        let place = |c: CameraConfig| {
            let (host, port) = perch_ingest::place_of(c.source.url()?.expose()).ok()?;
            Some((host, port, c.name))
        };
        off.filter_map(place).collect()
    }

    /// Errors with `Invalid` where any port that may be tried leads to the box itself, and with `Unavailable` where a camera is that is switched
    /// off. What is looked at is what is connected to.
    async fn streams(&self, wanted: StreamsWanted) -> Result<FoundStreams> {
        let place = &wanted.place;
        let is_it = |(host, port, _): &&(String, u16, String)| {
            host.eq_ignore_ascii_case(&place.host) && place.rtsp_port.is_none_or(|named| named == *port)
        };
        if let Some((_, _, name)) = self.places_off().iter().find(is_it) {
            let why = format!("{name} is at this address and switched off: switch it on before it is asked");
            return Err(Error::new(ErrorKind::Unavailable, why));
        }
        let nobody = || without(Lacking::Host, "nothing answers there that could be a camera");
        let addresses = self.addresses_of(&wanted.place.host).await;
        for (address, port) in
            addresses.iter().flat_map(|at| wanted.place.ports().into_iter().map(move |port| (at, port)))
        {
            if self.is_own(SocketAddr::new(address.ip(), port)) {
                return Err(own_door());
            }
        }
        let each = async {
            for address in addresses {
                let found = self.streams_at(&wanted, &wanted.place.at(address)).await;
                if found.problem.as_ref().is_none_or(|problem| problem.lacking != Lacking::Host) {
                    return found;
                }
            }
            nobody()
        };
        let late = || without(Lacking::Host, "it takes too long to answer");
        Ok(within(&self.clock, STREAMS_WITHIN, each).await.unwrap_or_else(late))
    }

    /// None where there is no such host.
    async fn addresses_of(&self, host: &str) -> Vec<SocketAddr> {
        let found = within(&self.clock, NAME_WITHIN, tokio::net::lookup_host((host, 0))).await;
        found.and_then(Result::ok).into_iter().flatten().take(MOST_OF_A_NAME).collect()
    }

    /// Asks the device at `place`, which is where `wanted` leads, by its address.
    async fn streams_at(&self, wanted: &StreamsWanted, place: &DevicePlace) -> FoundStreams {
        let url = match &place.onvif {
            Some(url) => Some(url.clone()),
            // Who names an RTSP port means that.
            None if place.rtsp_port.is_none() => self.onvif.find(&place.host).await,
            None => None,
        };
        let Some(url) = url else { return self.by_paths(wanted, place, FoundStreams::default()).await };
        let asked = Asked { url: url.clone(), user: wanted.user.clone(), password: wanted.password.clone() };
        match self.onvif.ask(asked).await {
            Ok(device) => {
                let found = told(wanted, &url, &device);
                match found.cameras.is_empty() {
                    true => self.by_paths(wanted, place, found).await,
                    false => found,
                }
            }
            Err(e) if e.kind() == ErrorKind::Unauthenticated => without(Lacking::Password, e.message()),
            // It may have RTSP all the same.
            Err(_) => self.by_paths(wanted, place, FoundStreams::default()).await,
        }
    }

    /// The first of the makers' paths that has a stream. Ends at the first refusal of the password, so that no camera locks its user out.
    async fn by_paths(&self, wanted: &StreamsWanted, place: &DevicePlace, mut found: FoundStreams) -> FoundStreams {
        let mut open = None;
        for port in place.rtsp_ports() {
            if open.is_none() && (place.is_tls || self.answers_rtsp(&place.host, port).await) {
                open = Some(port);
            }
        }
        let Some(port) = open else {
            let problem = NoStream::new(Lacking::Host, "nothing answers there that could be a camera");
            return FoundStreams { problem: Some(problem), ..found };
        };
        let rtsp_port = place.rtsp_port.or(Some(port).filter(|port| *port != RTSP_PORTS[0]));
        // Asked by its address, and named as whoever asks names it.
        let place = DevicePlace { rtsp_port, ..place.clone() };
        let named = DevicePlace { rtsp_port, ..wanted.place.clone() };
        let words = format!("{} {} {}", wanted.words, found.maker, found.model);
        let known = Arc::new(Onlooker::beside(self.certificates.clone()));
        let ingest = Ingest::new(self.clock.clone(), known);
        let whole = |path: &str| {
            let source = |of: &DevicePlace| source_of(&of.rtsp(path), &wanted.user, &wanted.password);
            let (source, asked) = (source(&named)?, source(&place)?);
            let with_password = match asked.split_once('@') {
                Some((user, rest)) if !wanted.password.expose().is_empty() => format!("{user}:{{password}}@{rest}"),
                _ => asked,
            };
            let url = Password(Some(wanted.password.clone())).put_into(&with_password).ok()?;
            Some((source, Secret::new(url)))
        };
        let ends = self.clock.mono() + PATHS_WITHIN;
        for (main, sub) in paths_for(&words) {
            if self.clock.mono() > ends {
                break;
            }
            let Some((source, url)) = whole(main) else { continue };
            match offers(&ingest, &self.clock, url).await {
                Ok(codec) => {
                    let stream = |source, codec: &str| FoundStream {
                        source,
                        codec: Some(codec.to_owned()),
                        ..FoundStream::default()
                    };
                    let second = match whole(sub).filter(|(second, _)| *second != source) {
                        Some((second, url)) => {
                            offers(&ingest, &self.clock, url).await.ok().map(|codec| (second, codec))
                        }
                        None => None,
                    };
                    let sub =
                        second.filter(|(_, codec)| may_be_small(codec)).map(|(second, codec)| stream(second, codec));
                    let name = if found.model.is_empty() { named.host.clone() } else { found.model.clone() };
                    found.cameras = vec![FoundCamera { name, main: stream(source, codec), sub }];
                    found.by = Some(FoundBy::Path);
                    return found;
                }
                Err(e) if e.kind() == ErrorKind::Unauthenticated => return without(Lacking::Password, e.message()),
                Err(_) => {}
            }
        }
        let problem = NoStream::new(Lacking::Path, "it answers, and has no stream where makers usually have theirs");
        FoundStreams { problem: Some(problem), ..found }
    }

    async fn answers_rtsp(&self, host: &str, port: u16) -> bool {
        let found = within(&self.clock, KNOCK_WITHIN, tokio::net::lookup_host((host, port))).await;
        let Some(target) = found.and_then(Result::ok).and_then(|mut all| all.next()) else { return false };
        within(&self.clock, 3 * KNOCK_WITHIN, perch_ingest::knock(target)).await.flatten().is_some()
    }
}

fn without(lacking: Lacking, what: &str) -> FoundStreams {
    FoundStreams { problem: Some(NoStream::new(lacking, what)), ..FoundStreams::default() }
}

/// What an ONVIF device told.
fn told(wanted: &StreamsWanted, url: &str, device: &OnvifDevice) -> FoundStreams {
    let OnvifDevice { maker, model, firmware, clock_ahead_s, profiles } = device.clone();
    let name = match format!("{maker} {model}").trim() {
        "" => wanted.place.host.clone(),
        name => name.to_owned(),
    };
    let address_of = |profile: &perch_domain::onvif::OnvifProfile| {
        let named = on_host(profile.address.as_deref()?, &wanted.place.host, &["rtsp", "rtsps"])?;
        source_of(&named, &wanted.user, &wanted.password)
    };
    let cameras = cameras_of(&name, &profiles, address_of);
    FoundStreams {
        by: Some(FoundBy::Onvif),
        // By the name that it was asked for, not by the address that this leads to.
        onvif: on_host(url, &wanted.place.host, &["http", "https"]),
        maker,
        model,
        firmware,
        clock_ahead_s,
        cameras,
        problem: None,
    }
}

/// What is plugged in, and which camera of the box has it; those that the box has are not opened. May block.
fn plugged_in(machine: &Machine, cameras: &[CameraConfig]) -> (Vec<FoundDevice>, Vec<FoundMicrophone>) {
    let user = |is: &dyn Fn(&Source) -> bool| cameras.iter().find(|c| is(&c.source)).map(|c| c.id.to_string());
    let name_of = |c: &CameraConfig| if let Source::V4l2(name) = &c.source { Some(name.clone()) } else { None };
    let names: Vec<_> = cameras.iter().filter_map(name_of).collect();
    let (own, others) = machine.cameras_beside(&names.iter().collect::<Vec<_>>());
    let source = |node: &VideoNode| format!("v4l2:{}", machine.best_name(node));
    let own = own.into_iter().map(|node| {
        let used_by = user(&|source| matches!(source, Source::V4l2(name) if machine.is_node(name, &node)));
        FoundDevice { source: source(&node), name: node.name, offers: String::new(), problem: None, used_by }
    });
    let others = others.into_iter().map(|(node, asked)| {
        let (name, offers, problem) = match &asked {
            Ok(found) => (found.described.card.clone(), modes_in_words(&found.described.modes), None),
            Err(e) => (node.name.clone(), String::new(), Some(e.message().to_owned())),
        };
        FoundDevice { source: source(&node), name, offers, problem, used_by: None }
    });
    let usb = own.chain(others);
    let libcamera = sensors().unwrap_or_default().into_iter().map(|id| {
        let used_by = user(&|source| matches!(source, Source::Libcamera(of) if of.as_ref().is_none_or(|of| *of == id)));
        let name = id.rsplit('/').next().unwrap_or_default().to_owned();
        FoundDevice { source: format!("libcamera:{id}"), name, offers: String::new(), problem: None, used_by }
    });
    let devices = usb.chain(libcamera).collect();
    let cards = machine.sound_cards();
    let microphones = cards.iter().flat_map(|card| card.captures.iter().map(move |device| (card, *device)));
    let microphones =
        microphones.map(|(card, device)| FoundMicrophone { source: card.best_name(device), name: card.name.clone() });
    (devices, microphones.collect())
}

/// Where the cameras are that the box has.
fn used_places(cameras: &[CameraConfig]) -> Vec<UsedPlace> {
    let place = |c: &CameraConfig| {
        let (host, port) = perch_ingest::place_of(c.source.url()?.expose()).ok()?;
        Some(UsedPlace { camera: c.id.to_string(), host, port })
    };
    cameras.iter().filter_map(place).collect()
}

impl DiscoveryPort for Prober {
    fn discover(&self, addresses: Vec<IpAddr>, by: DeviceId) -> Later<'_, Result<Found>> {
        Box::pin(async move {
            let _searching = self.begin(&self.searching, by).await?;
            self.discover(addresses).await
        })
    }

    fn streams(&self, wanted: StreamsWanted, by: DeviceId) -> Later<'_, Result<FoundStreams>> {
        Box::pin(async move {
            let _running = self.begin(&self.running, by).await?;
            self.streams(wanted).await
        })
    }
}
