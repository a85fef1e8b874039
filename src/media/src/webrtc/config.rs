//! How live sessions are served: the keys of `[webrtc]`.

use super::turn::credential;
use perch_base::Result;
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_domain::ice_url::IceUrl;
use perch_domain::ports::IceServer;
use perch_domain::redact::Shown;
use perch_domain::settings::Keys;
use perch_domain::viewers::ViewerLimits;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

/// The secret of a TURN server and the one before it: both are good while it is changed.
const MAX_SECRETS: usize = 2;

/// A TURN server that viewers may use.
#[derive(Clone, Debug)]
pub struct TurnServer {
    /// `turn:host:port?transport=udp`.
    pub url: String,
    /// The secret shared with it; two while it is changed, the one before it second.
    pub secrets: Vec<Secret>,
    /// The certificates by which one with TLS must prove itself to the box, PEM; `None`: what this system trusts.
    pub ca_pem: Option<Secret>,
}

impl PartialEq for TurnServer {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Secret, b: &Secret| a.expose() == b.expose();
        let same_all = |a: &[Secret], b: &[Secret]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
        let cas = |server: &Self| server.ca_pem.clone().into_iter().collect::<Vec<_>>();
        self.url == other.url && same_all(&self.secrets, &other.secrets) && same_all(&cas(self), &cas(other))
    }
}

/// How live sessions are served.
#[derive(Clone, Debug)]
pub struct Config {
    /// The one UDP port; `[::]` serves IPv4 too.
    pub udp_listen: SocketAddr,
    /// Advertised besides the interfaces' addresses: those of a router that forwards the port.
    pub addresses: Vec<IpAddr>,
    /// Interfaces that are told to viewers besides those that lead into the house: a VPN's, containers'.
    pub interfaces: Vec<String>,
    /// Viewers are told nothing but the box's address at a relay.
    pub relay_only: bool,
    /// `stun:host:port` for viewers and the box.
    pub stun: Vec<String>,
    /// TURN servers for viewers and the box.
    pub turn: Vec<TurnServer>,
    /// Sessions at once.
    pub viewers: ViewerLimits,
    /// Whether viewers that offer no H.264 are sent VP8.
    pub vp8: Vp8Use,
}

/// Whether the small stream is encoded once more as VP8 for viewers that offer no H.264.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vp8Use {
    /// Where the board has the power for it.
    #[default]
    Board,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Vp8Use {
    const WORDS: [(&str, Self); 3] = [("board", Self::Board), ("always", Self::Always), ("never", Self::Never)];

    /// Whether it is on; `by_default`: the board has the power for it.
    pub fn is_on(self, by_default: bool) -> bool {
        match self {
            Self::Board => by_default,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl Config {
    /// The key of [`Self::udp_listen`].
    pub const UDP_LISTEN: &str = "webrtc.udp_listen";

    /// The defaults, on `udp_listen`.
    pub fn new(udp_listen: SocketAddr) -> Self {
        Self {
            udp_listen,
            addresses: Vec::new(),
            interfaces: Vec::new(),
            relay_only: false,
            stun: Vec::new(),
            turn: Vec::new(),
            viewers: ViewerLimits::default(),
            vp8: Vp8Use::Board,
        }
    }

    /// Reads the keys. `secret_of` reads the file that holds a TURN server's secret, or certificates; its error
    /// does not repeat the path.
    pub fn read(keys: &mut impl Keys, secret_of: impl Fn(&str) -> Result<Secret>) -> Self {
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        let addresses = keys.texts("addresses", is_address, "must be IP addresses");
        Self {
            addresses: addresses.iter().filter_map(|text| text.parse().ok()).collect(),
            interfaces: keys.texts("interfaces", is_interface, "must be names of interfaces, such as `tailscale0`"),
            relay_only: keys.flag("relay_only", false),
            stun: keys.texts("stun", |text| is_server(text, false), "must be like `stun:host:3478`"),
            turn: keys.sections("turn").into_iter().filter_map(|server| TurnServer::read(server, &secret_of)).collect(),
            vp8: keys.choice("vp8", "board", &Vp8Use::WORDS),
            viewers: ViewerLimits::read(keys),
            ..Self::new(keys.address("udp_listen", "[::]:8189"))
        }
    }
}

impl Config {
    /// The servers to offer to a viewer now.
    pub fn ice_servers(&self, now: Timestamp, whom: &dyn Display) -> Vec<IceServer> {
        let stun = self.stun.iter().map(|url| IceServer { url: url.clone(), credential: None });
        let turn = self.turn.iter().flat_map(|server| {
            let of = |credential| IceServer { url: server.url.clone(), credential: Some(credential) };
            server.credentials(now, whom).into_iter().map(of)
        });
        stun.chain(turn).collect()
    }
}

impl TurnServer {
    fn read(mut keys: impl Keys, secret_of: impl Fn(&str) -> Result<Secret>) -> Option<Self> {
        let url = keys.text("url", "", 0..=256);
        if !is_server(&url, true) {
            keys.problem("url", &*url, "must be like `turn:host:3478?transport=udp`");
        }
        let file = keys.text("secret_file", "", 0..=4096);
        let secret = secret_of(&file).map_err(|e| {
            // Somebody may have written the secret itself here.
            let shown = if file.starts_with(['/', '.']) { Shown::from(&*file) } else { Shown::nothing() };
            keys.problem("secret_file", shown, &format!("must name a file that holds the secret ({e})"));
        });
        let ca_file = keys.text("ca_file", "", 0..=4096);
        let ca_pem = (!ca_file.is_empty()).then(|| {
            secret_of(&ca_file).map_err(|e| {
                keys.problem("ca_file", &*ca_file, &format!("must name a file with certificates in PEM ({e})"));
            })
        });
        keys.finish();
        Some(Self { url, secrets: lines(&secret.ok()?), ca_pem: ca_pem.transpose().ok()? })
    }

    /// [`Self::ca_pem`], to read.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_ref().map(|pem| pem.expose().as_str())
    }

    /// Names and passwords that are good from `now` on for ten minutes, for `whom`: with each secret.
    pub fn credentials(&self, now: Timestamp, whom: &dyn Display) -> Vec<(String, Secret)> {
        self.secrets.iter().map(|secret| credential(secret.expose(), now, whom)).collect()
    }
}

/// The first two lines of a secret's file.
fn lines(file: &Secret) -> Vec<Secret> {
    let lines = file.expose().lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(MAX_SECRETS).map(|line| Secret::new(line.into())).collect()
}

fn is_server(text: &str, relays: bool) -> bool {
    text.len() <= 256 && IceUrl::parse(text).is_ok_and(|url| url.relays == relays)
}

/// What Linux takes as the name of an interface.
fn is_interface(text: &str) -> bool {
    (1..16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let secrets = ["north", "south"].map(|secret| Secret::new(secret.into())).to_vec();
        let turn = vec![TurnServer { url: "turn:t:3478".into(), secrets, ca_pem: None }];
        let config = Config { stun: vec!["stun:s:3478".into()], turn, ..Config::new(([127, 0, 0, 1], 0).into()) };
        let all = config.ice_servers(Timestamp(0), &"f00d");
        let passwords: Vec<_> = all.iter().filter_map(|s| Some(s.credential.as_ref()?.1.expose())).collect();
        assert!(passwords.len() == 2 && passwords[0] != passwords[1], "while a secret is changed either is good");
        let shown = format!("{all:?}");
        assert!(shown.contains("turn:t:3478") && shown.contains("stun:s:3478") && !shown.contains("north"));
    }
}
