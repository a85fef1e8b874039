//! What is found of cameras that are not the box's yet: what plugged in devices, ONVIF devices and RTSP ports say of themselves, which addresses
//! may be looked at, and which streams of a device are one camera. Pure.

use crate::onvif::{Answered, OnvifProfile};
use crate::ports::Later;
use crate::settings::password::{encoded, is_in_clear, take_out_of};
use perch_base::authority::{Authority, in_url};
use perch_base::ids::DeviceId;
use perch_base::secret::Secret;
use perch_base::{Error, Result};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Addresses that are looked at for RTSP at most.
pub const MOST_ADDRESSES: usize = 256;
/// The ports that are tried at each.
pub const RTSP_PORTS: [u16; 2] = [554, 8554];
/// Where devices have their ONVIF service that did not answer a search: the standard's port, and what makers took instead.
pub const ONVIF_PORTS: [u16; 5] = [80, 8000, 8080, 2020, 8899];
/// Addresses of one name that are tried at most.
pub const MOST_OF_A_NAME: usize = 4;
/// How long a host is asked for its streams, in all.
pub const STREAMS_WITHIN: Duration = Duration::from_secs(45);
/// How long answers to a search are waited for.
pub const SEARCH_FOR: Duration = Duration::from_secs(3);

/// Reads `192.168.1.0/28,10.0.0.5`: addresses and networks of a house, with commas. Errors with the rule.
pub fn addresses(text: &str) -> Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (address, bits) = match part.split_once('/') {
            Some((address, bits)) => (address, bits.parse::<u32>().ok().filter(|bits| *bits <= 128).map(Some)),
            None => (part, Some(None)),
        };
        let bad = || Error::invalid("must be addresses such as 192.168.1.20 or 192.168.1.0/28, with commas between");
        let (address, bits) = address.parse::<IpAddr>().ok().zip(bits).ok_or_else(bad)?;
        let many =
            || Error::invalid(format!("are more than {MOST_ADDRESSES} addresses: name fewer, such as 192.168.1.0/24"));
        match (address, bits) {
            (IpAddr::V4(_), Some(33..)) => return Err(bad()),
            (IpAddr::V4(first), Some(bits)) => {
                let count = 1u64 << (32 - bits);
                if count > MOST_ADDRESSES as u64 {
                    return Err(many());
                }
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                let base = u32::from(first) & mask;
                found.extend((0..count as u32).map(|n| IpAddr::V4(Ipv4Addr::from(base.wrapping_add(n)))));
            }
            (IpAddr::V6(_), Some(_)) => {
                return Err(Error::invalid("have no networks of IPv6: name single addresses of it"));
            }
            (address, None) => found.push(address),
        }
        if found.len() > MOST_ADDRESSES {
            return Err(many());
        }
    }
    if found.iter().any(|address| !is_of_a_house(*address)) {
        return Err(Error::invalid("must be addresses of a house's own network, such as 192.168.… or 10.…"));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whether an address is no one's on the internet.
pub fn is_of_a_house(address: IpAddr) -> bool {
    match address.to_canonical() {
        // And 100.64.0.0/10, which VPNs of a house use.
        IpAddr::V4(a) => {
            a.is_private()
                || a.is_link_local()
                || a.is_loopback()
                || (a.octets()[0] == 100 && a.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(a) => a.is_loopback() || a.is_unique_local() || a.is_unicast_link_local(),
    }
}

/// A camera that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundDevice {
    /// `source` of a camera.
    pub source: String,
    /// Its name for people.
    pub name: String,
    /// What it offers; empty where that cannot be said.
    pub offers: String,
    /// Why it cannot be used now; `None` where it can.
    pub problem: Option<String>,
    /// The camera of the box that is this one.
    pub used_by: Option<String>,
}

/// A microphone that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundMicrophone {
    /// `audio.source` of a camera.
    pub source: String,
    /// Its name for people.
    pub name: String,
}

/// A camera in the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundInNetwork {
    /// Its address.
    pub address: IpAddr,
    /// Where its ONVIF device service is, where it answered a search.
    pub onvif: Option<String>,
    /// Where RTSP answers, where that was looked at.
    pub rtsp_port: Option<u16>,
    /// What it calls itself; may be empty.
    pub name: String,
    /// Its model or what its RTSP server says; may be empty.
    pub model: String,
    /// The camera of the box that has this address.
    pub used_by: Option<String>,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// V4L2 and libcamera cameras.
    pub devices: Vec<FoundDevice>,
    /// ALSA cards with an input.
    pub microphones: Vec<FoundMicrophone>,
    /// Cameras in the network, by address.
    pub network: Vec<FoundInNetwork>,
}

/// How a device's streams were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundBy {
    /// It told them.
    Onvif,
    /// One of the makers' usual paths.
    Path,
}

perch_base::all_of!(FoundBy { Onvif, Path });

/// A stream as a device describes it; what is not said is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FoundStream {
    /// `source` of a camera, with the user and without the password.
    pub source: String,
    /// Such as `H.264`.
    pub codec: Option<String>,
    /// Pixels of a row.
    pub width: Option<u32>,
    /// Rows.
    pub height: Option<u32>,
    /// Pictures a second.
    pub fps: Option<f64>,
    /// kbit/s.
    pub bitrate_kbps: Option<u32>,
}

/// One camera of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundCamera {
    /// A name for it.
    pub name: String,
    /// Its large stream.
    pub main: FoundStream,
    /// Its small stream, where it has one that the box can use.
    pub sub: Option<FoundStream>,
}

/// The streams of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FoundStreams {
    /// How they were found; `None` where they were not.
    pub by: Option<FoundBy>,
    /// Its ONVIF device service, where that told them: `onvif` of a camera.
    pub onvif: Option<String>,
    /// Its maker, as it says; may be empty.
    pub maker: String,
    /// Its model, as it says; may be empty.
    pub model: String,
    /// Its firmware, as it says; may be empty.
    pub firmware: String,
    /// How far its clock is ahead of the box's, seconds, where it says.
    pub clock_ahead_s: Option<f64>,
    /// Its cameras, in its own order.
    pub cameras: Vec<FoundCamera>,
    /// Why there is none, where there is none.
    pub problem: Option<NoStream>,
}

/// Why no stream of a host is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lacking {
    /// Nothing answers there.
    Host,
    /// User and password, or the right ones.
    Password,
    /// It answers, and has no stream where makers have theirs.
    Path,
}

perch_base::all_of!(Lacking { Host, Password, Path });

/// What is said where no stream of a host is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoStream {
    /// What is missing.
    pub lacking: Lacking,
    /// What is so; no full stop.
    pub what: String,
    /// What to do.
    pub change: String,
}

impl NoStream {
    /// With what is usually to be done then.
    pub fn new(lacking: Lacking, what: impl Into<String>) -> Self {
        let change = match lacking {
            Lacking::Host => "see whether it is switched on and in this network, and whether its address is right",
            Lacking::Password => {
                "give the user and password of the camera itself, as its own app or page has them; some cameras have one of their own for RTSP or ONVIF"
            }
            Lacking::Path => "look up the RTSP address in its manual or on its page, and write the whole of it",
        };
        Self { lacking, what: what.into(), change: change.into() }
    }
}

/// Whose streams are wanted.
#[derive(Clone, Debug)]
pub struct StreamsWanted {
    /// Where it is.
    pub place: DevicePlace,
    /// Who signs in; empty for nobody.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// What it says of itself, as far as is known: makers' paths are chosen by it.
    pub words: String,
}

/// Where a device is, as a person or a search names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePlace {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its ONVIF device service, where that is known.
    pub onvif: Option<String>,
    /// Its RTSP port, where one is named.
    pub rtsp_port: Option<u16>,
    /// Whether it is asked by `rtsps://`.
    pub is_tls: bool,
}

impl DevicePlace {
    /// Reads `192.168.1.20`, `cam.local:8554`, `rtsp://host[:port]…` or `http://host/onvif/device_service`. Errors with the rule alone.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::invalid("must be an address such as 192.168.1.20 or camera.local, with :port where it has another")
        };
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Authority { host, port, .. } = Authority::parse(authority).ok_or_else(bad)?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || host.len() > 253 || !host.chars().all(is_host) || text.len() > 1024 {
            return Err(bad());
        }
        let host = host.to_owned();
        match scheme.as_str() {
            "http" | "https" => {
                let onvif = crate::onvif::on_host(text, &host, &["http", "https"]).ok_or_else(bad)?;
                Ok(Self { host, onvif: Some(onvif), rtsp_port: None, is_tls: false })
            }
            "" | "rtsp" | "rtsps" => Ok(Self { host, onvif: None, rtsp_port: port, is_tls: scheme == "rtsps" }),
            _ => Err(bad()),
        }
    }

    /// The ports that may be RTSP's there, in the order in which they are tried.
    pub fn rtsp_ports(&self) -> Vec<u16> {
        self.rtsp_port.map_or(RTSP_PORTS.to_vec(), |port| vec![port])
    }

    /// Every port that it may be asked at, RTSP's and ONVIF's: who names an RTSP port means that.
    pub fn ports(&self) -> Vec<u16> {
        let onvif = match &self.onvif {
            Some(url) => {
                let usual = if url.starts_with("https:") { 443 } else { ONVIF_PORTS[0] };
                vec![Authority::of(url).and_then(|(_, at)| at.port).unwrap_or(usual)]
            }
            None if self.rtsp_port.is_none() => ONVIF_PORTS.to_vec(),
            None => Vec::new(),
        };
        [self.rtsp_ports(), onvif].concat()
    }

    /// The same place by one of its addresses: what was looked at is then what is connected to, whatever its name leads to meanwhile.
    pub fn at(&self, address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(six) if six.scope_id() != 0 => format!("{}%{}", six.ip(), six.scope_id()),
            address => address.ip().to_string(),
        };
        let onvif = self.onvif.as_deref().and_then(|url| crate::onvif::on_host(url, &host, &["http", "https"]));
        Self { host, onvif, ..self.clone() }
    }

    /// The address of a path there, without user and password.
    pub fn rtsp(&self, path: &str) -> String {
        let host = in_url(&self.host);
        let port = self.rtsp_port.map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = if self.is_tls { "rtsps" } else { "rtsp" };
        format!("{scheme}://{host}{port}{path}")
    }
}

/// An address that a device names, as the source of a camera with this user. One that has another password in it than this is none: it could
/// not be shown.
pub fn source_of(address: &str, user: &str, password: &Secret) -> Option<String> {
    let address = match take_out_of(address) {
        Some((left, secret)) if secret.expose() == password.expose() => left,
        Some(_) => return None,
        None if is_in_clear(address) => return None,
        None => address.to_owned(),
    };
    let (scheme, rest) = address.split_once("://")?;
    let has_user = rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@'));
    let who = if user.is_empty() || has_user { String::new() } else { format!("{}@", encoded(user)) };
    Some(format!("{scheme}://{who}{rest}"))
}

/// Looks for cameras.
pub trait DiscoveryPort: Send + Sync {
    /// All that is plugged in or answers in the network, and what answers RTSP at these addresses. Errors with `RateLimited`.
    fn discover(&self, addresses: Vec<IpAddr>, by: DeviceId) -> Later<'_, Result<Found>>;
    /// The streams of a device, as it tells them (ONVIF) or as its maker usually has them; user and password are tried once a way. Errors
    /// with `Invalid` (the box itself) and `RateLimited`: that it does not tell is no error, but said.
    fn streams(&self, wanted: StreamsWanted, by: DeviceId) -> Later<'_, Result<FoundStreams>>;
}

/// A camera that the box has, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedPlace {
    /// The camera.
    pub camera: String,
    /// The host of its address.
    pub host: String,
    /// The port that it is asked at.
    pub port: u16,
}

/// What answered, each device once, by address: `answered` a search, and `open` are the RTSP ports that answer, with what the server calls
/// itself. On this machine's own address each port is a device of its own: a server of streams beside the box has many.
pub fn in_network(
    answered: Vec<Answered>,
    open: Vec<(SocketAddr, String)>,
    cameras: &[UsedPlace],
) -> Vec<FoundInNetwork> {
    let used_by = |address: IpAddr, port: Option<u16>| {
        let is_it = |used: &&UsedPlace| {
            used.host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical() == address.to_canonical())
                && (!address.is_loopback() || port == Some(used.port))
        };
        cameras.iter().find(is_it).map(|used| used.camera.clone())
    };
    let mut found: Vec<FoundInNetwork> = Vec::new();
    for Answered { address, url, name, model } in answered {
        let used_by = used_by(address, None);
        found.push(FoundInNetwork { address, onvif: Some(url), rtsp_port: None, name, model, used_by });
    }
    for (target, server) in open {
        let (address, port) = (target.ip(), Some(target.port()));
        // One that answered a search is that camera.
        if let Some(known) =
            found.iter_mut().find(|one| one.address == address && one.rtsp_port.is_none() && !address.is_loopback())
        {
            known.rtsp_port = port;
            continue;
        }
        if !address.is_loopback() && found.iter().any(|one| one.address == address) {
            continue;
        }
        let (name, used_by) = (String::new(), used_by(address, port));
        found.push(FoundInNetwork { address, onvif: None, rtsp_port: port, name, model: server, used_by });
    }
    found.sort_by_key(|one| (one.address, one.rtsp_port));
    found
}

/// Whether a stream of this codec can be a camera's small one.
pub fn may_be_small(codec: &str) -> bool {
    codec == "H.264"
}

/// The narrowest second stream that is worth taking, pixels.
const NARROWEST: u32 = 160;

/// The cameras of a device: its profiles by what they show, of each the largest as the main stream and the smallest H.264 as the small one.
/// `address_of` makes a profile's address into a source.
pub fn cameras_of(
    name: &str,
    profiles: &[OnvifProfile],
    address_of: impl Fn(&OnvifProfile) -> Option<String>,
) -> Vec<FoundCamera> {
    let mut sights: Vec<&str> = Vec::new();
    for profile in profiles.iter().filter(|profile| address_of(profile).is_some()) {
        if !sights.contains(&profile.sight.as_str()) {
            sights.push(&profile.sight);
        }
    }
    let pixels =
        |profile: &OnvifProfile| u64::from(profile.width.unwrap_or(0)) * u64::from(profile.height.unwrap_or(0));
    let mut cameras = Vec::new();
    for (n, sight) in sights.iter().enumerate() {
        let of = || profiles.iter().filter(|profile| profile.sight == *sight && address_of(profile).is_some());
        // The first of the largest.
        let Some(main) = of().reduce(|best, next| if pixels(next) > pixels(best) { next } else { best }) else {
            continue;
        };
        let is_small = |p: &&OnvifProfile| {
            p.codec.as_deref().is_some_and(may_be_small)
                && pixels(p) < pixels(main)
                && p.width.is_none_or(|width| width >= NARROWEST)
        };
        let sub = of().filter(is_small).min_by_key(|profile| pixels(profile));
        let stream = |profile: &OnvifProfile| {
            Some(FoundStream {
                source: address_of(profile)?,
                codec: profile.codec.clone(),
                width: profile.width,
                height: profile.height,
                fps: profile.fps,
                bitrate_kbps: profile.bitrate_kbps,
            })
        };
        let Some(main) = stream(main) else { continue };
        let name = if sights.len() > 1 { format!("{name} {}", n + 1) } else { name.to_owned() };
        cameras.push(FoundCamera { name: name.trim().to_owned(), main, sub: sub.and_then(stream) });
    }
    cameras
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
