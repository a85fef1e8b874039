//! What an owner writes into `perch-setup.toml` on the card: which of it is taken, what it becomes, and a sentence for whatever is
//! refused; and the first `perch.toml` for the cameras that are there. The file comes from anybody who held the card, and what it
//! says is read by other programs: each value must fit an allow-list, and one that does not costs only itself.

use crate::access;
use crate::account_name::read_account_name;
use crate::exchange::HTTP_PORT;
use crate::redact::{self, Shown};
use crate::retention::RetentionConfig;
use crate::text::check_visible;
use perch_base::secret::Secret;
use std::fmt::Write as _;

/// Largest setup file that is read, bytes.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A value of the file: texts are all that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text; it may be a password.
    Text(Secret),
    /// Something else, by its TOML type.
    Other(&'static str),
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The box's name in the network.
    pub hostname: Option<String>,
    /// A name of the time-zone database; whether it is known there is not decided here.
    pub timezone: Option<String>,
    /// The text of `wpa_supplicant.conf`.
    pub wpa_supplicant: Option<Secret>,
    /// The line of `authorized_keys`; an empty one switches SSH off again.
    pub authorized_key: Option<String>,
    /// The first administrator.
    pub admin: Option<Admin>,
    /// A sentence for everything that was not taken.
    pub refused: Vec<String>,
}

/// An account to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// Everything that may stand in the file.
const KEYS: [&str; 8] = [
    "hostname",
    "timezone",
    "wifi.ssid",
    "wifi.password",
    "wifi.country",
    "ssh.authorized_key",
    "admin.name",
    "admin.password",
];

/// Decides. `entries` are the file's values under their full keys, such as `wifi.ssid`.
pub fn plan(entries: &[(String, Value)]) -> Plan {
    let mut plan = Plan::default();
    for (key, value) in entries {
        if !KEYS.contains(&key.as_str()) {
            plan.refused.push(format!("{} is not a known key: it was ignored", named(key)));
        } else if let Value::Other(kind) = value {
            plan.refused.push(format!("{key} is {kind}: it must be a text in quotes"));
        }
    }
    let text = |key: &str| {
        entries.iter().rev().find(|(k, _)| k == key).and_then(|(_, value)| match value {
            Value::Text(text) => Some(text.expose().as_str()),
            Value::Other(_) => None,
        })
    };
    let refused = &mut plan.refused;
    let mut take = |text: Option<&str>, check: fn(&str) -> Result<String, String>| {
        text.and_then(|text| check(text).map_err(|why| refused.push(why)).ok())
    };
    plan.hostname = take(text("hostname"), hostname);
    plan.timezone = take(text("timezone"), timezone);
    plan.authorized_key = take(text("ssh.authorized_key"), authorized_key);
    // A half of these is of no use, and must not be taken for the whole.
    let has = |table: &str| entries.iter().any(|(k, _)| k.starts_with(table));
    if has("wifi.") {
        match wifi(text("wifi.ssid"), text("wifi.password"), text("wifi.country"), entries) {
            Ok(text) => plan.wpa_supplicant = Some(Secret::new(text)),
            Err(why) => plan.refused.push(format!("{why}: Wi-Fi was not set up")),
        }
    }
    if has("admin.") {
        match admin(text("admin.name"), text("admin.password")) {
            Ok(admin) => plan.admin = Some(admin),
            Err(why) => plan.refused.push(format!("{why}: no account was made")),
        }
    }
    plan
}

/// A key that nobody knows, each part of it as far as it is written like one.
fn named(key: &str) -> String {
    key.split('.').map(redact::unknown_key).collect::<Vec<_>>().join(".")
}

/// A label of a host name (RFC 1123), in lower case.
fn hostname(text: &str) -> Result<String, String> {
    let name = text.to_ascii_lowercase();
    let ok = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name != "localhost";
    let rule = "must be 1 to 63 of a-z, 0-9 and `-`, not beginning or ending with `-`";
    if ok { Ok(name) } else { Err(format!("hostname = {}: {rule}", Shown::from(text))) }
}

/// A name such as `Europe/Zurich`: parts of letters, digits, `_`, `+` and `-`, so that it names a file below one folder and no other.
fn timezone(text: &str) -> Result<String, String> {
    let part = |p: &str| {
        p.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    let ok = text.len() <= 64 && text.split('/').all(part) && text.split('/').count() <= 3;
    if ok { Ok(text.to_owned()) } else { Err(format!("timezone = {}: must be like Europe/Zurich", Shown::from(text))) }
}

/// One public key without options, as `ssh-keygen` writes it. Its comment goes, since nobody reads it.
fn authorized_key(text: &str) -> Result<String, String> {
    const KINDS: [&str; 7] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let refuse = |rule: &str| Err(format!("ssh.authorized_key: {rule}"));
    if text.is_empty() {
        return Ok(String::new());
    }
    if text.len() > 8192 || text.chars().any(char::is_control) {
        return refuse("must be one line of at most 8192 characters, the content of a .pub file");
    }
    let mut words = text.split_ascii_whitespace();
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !KINDS.contains(&kind) {
        return refuse("must begin with the kind of a public key, such as ssh-ed25519");
    }
    let base64 = key.len() >= 40
        && key.len().is_multiple_of(4)
        && key.trim_end_matches('=').bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
        && key.len() - key.trim_end_matches('=').len() <= 2;
    match base64 {
        true => Ok(format!("{kind} {key}")),
        false => refuse("the key itself is damaged: copy the whole line of the .pub file"),
    }
}

/// The configuration of wpa_supplicant. The name goes in as hex, so whatever is in it stays data; the password may only hold
/// what IEEE 802.11 allows in one, and a line ends nowhere but where we end it.
fn wifi(
    ssid: Option<&str>,
    password: Option<&str>,
    country: Option<&str>,
    entries: &[(String, Value)],
) -> Result<String, String> {
    let ssid = ssid.ok_or("wifi.ssid is missing or no text")?;
    if !(1..=32).contains(&ssid.len()) {
        return Err(format!("wifi.ssid = {}: must be 1 to 32 bytes", Shown::from(ssid)));
    }
    check_visible(ssid).map_err(|why| format!("wifi.ssid {why}"))?;
    let password = match password {
        None if entries.iter().any(|(k, _)| k == "wifi.password") => return Err("wifi.password is no text".into()),
        None | Some("") => None,
        Some(p) if p.len() == 64 && p.bytes().all(|b| b.is_ascii_hexdigit()) => Some(p.to_ascii_lowercase()),
        Some(p) if (8..=63).contains(&p.len()) && p.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
            Some(format!("\"{p}\""))
        }
        // It is not repeated: the log is not for passwords.
        Some(_) => return Err("wifi.password: must be 8 to 63 ASCII characters, or 64 hex digits".into()),
    };
    let country =
        country.ok_or("wifi.country is missing: two letters such as CH, so that allowed channels are used")?;
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(format!("wifi.country = {}: must be two letters such as CH", Shown::from(country)));
    }
    let mut out = format!("update_config=0\ncountry={}\n", country.to_ascii_uppercase());
    let hex = perch_base::secret::hex(ssid.as_bytes());
    let _ = write!(out, "network={{\n\tssid={hex}\n\tscan_ssid=1\n");
    out.push_str(&match password {
        Some(psk) => format!("\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n\tieee80211w=1\n\tpsk={psk}\n"),
        None => "\tkey_mgmt=NONE\n".to_owned(),
    });
    out.push_str("}\n");
    Ok(out)
}

fn admin(name: Option<&str>, password: Option<&str>) -> Result<Admin, String> {
    let name = name.ok_or("admin.name is missing or no text")?;
    let password = password.ok_or("admin.password is missing or no text")?;
    let name = read_account_name("admin.name", name).map_err(|e| e.message().to_owned())?;
    check_visible(password).map_err(|why| format!("admin.password {why}"))?;
    access::check_password(password).map_err(|e| e.message().to_owned())?;
    Ok(Admin { name, password: Secret::new(password.to_owned()) })
}

/// The name of a box that its owner gave none: `perch-` and the last four hex digits of its serial number, or of `chance` when
/// the board has none.
pub fn default_hostname(serial: &str, chance: u16) -> String {
    let digits: String = serial.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    match digits.len() {
        0..4 => format!("perch-{chance:04x}"),
        n => format!("perch-{}", &digits[n - 4..]),
    }
}

/// A video device as the kernel lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoDevice {
    /// Its node's name: `video0`, `v4l-subdev1`.
    pub node: String,
    /// The driver's name, such as `uvcvideo`; empty when there is none.
    pub driver: String,
    /// Its number within the device: a camera's pictures are at 0, other things behind.
    pub index: u32,
    /// The bus it hangs on, such as `i2c`, `usb`, `platform`.
    pub bus: String,
    /// Its name for people.
    pub name: String,
}

/// A camera of the first config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstCamera {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its source.
    pub source: String,
}

/// The cameras among the video devices: one behind the ribbon cable first, then those at USB in the order of their numbers.
pub fn first_cameras(devices: &[VideoDevice]) -> Vec<FirstCamera> {
    let mut cameras = Vec::new();
    // A sensor sits on I2C; focus motors do as well, but have no name of a sensor.
    let is_sensor = |d: &&VideoDevice| d.node.starts_with("v4l-subdev") && d.bus == "i2c" && !is_lens(&d.name);
    if devices.iter().any(|d| is_sensor(&d)) {
        cameras.push(FirstCamera { id: "camera".into(), name: "Camera".into(), source: "libcamera".into() });
    }
    let number = |d: &VideoDevice| d.node.strip_prefix("video").and_then(|n| n.parse::<u32>().ok());
    let is_usb = |d: &&VideoDevice| d.driver == "uvcvideo" && d.index == 0;
    let mut usb: Vec<u32> = devices.iter().filter(is_usb).filter_map(number).collect();
    usb.sort_unstable();
    usb.dedup();
    let single = usb.len() == 1;
    for (n, video) in usb.into_iter().take(4).enumerate() {
        let (id, name) = match single {
            true => ("usb".to_owned(), "USB camera".to_owned()),
            false => (format!("usb{}", n + 1), format!("USB camera {}", n + 1)),
        };
        cameras.push(FirstCamera { id, name, source: format!("v4l2:/dev/video{video}") });
    }
    cameras
}

fn is_lens(name: &str) -> bool {
    ["dw9", "ak73", "vcm", "lm36"].iter().any(|motor| name.to_ascii_lowercase().starts_with(motor))
}

/// The box's name for people, until its owner gives it another one.
pub const BOX_NAME: &str = "Perch";

/// The camera of a box that has none.
pub fn test_camera() -> FirstCamera {
    FirstCamera { id: "test".into(), name: "Test camera".into(), source: "test".into() }
}

/// The first `perch.toml`, with words for its owner.
pub fn first_config(cameras: &[FirstCamera], data_dir: &str) -> String {
    let RetentionConfig { min_free_bytes, max_days, event_max_days, .. } = RetentionConfig::default();
    let mut out = format!(
        "# The settings of this box. It wrote them at its first start; the page changes them, and so may you: `perch reload` has the box\n\
         # follow and says what is wrong. The README lists every key.\n\n\
         [box]\nname = \"{BOX_NAME}\"\ndata_dir = \"{data_dir}\"\n\n\
         [http]\nplain_listen = \"0.0.0.0:{HTTP_PORT}\"      # one page without encryption, which prepares for the browser's warning\n# hostnames = [\"box.example.org\"]   # further names under which you reach it\n\n\
         [recording]\nmin_free_bytes = {min_free_bytes}        # the oldest recordings go when less is free\nmax_days = {max_days}\nevent_max_days = {event_max_days}\n\n"
    );
    let test = test_camera();
    let found = match cameras {
        [] => {
            out.push_str(
                "# No camera was found at the first start: this one shows a moving pattern. Plug a camera in and write\n\
                 # source = \"libcamera\" (ribbon cable), \"v4l2:/dev/video0\" (USB) or \"rtsp://…\" (network).\n",
            );
            std::slice::from_ref(&test)
        }
        found => found,
    };
    for c in found {
        let _ = write!(
            out,
            "[[camera]]\nid = \"{}\"            # names the folder of its recordings: leave it once there are some\nname = \"{}\"\nsource = \"{}\"\n\
             # record = {{ mode = \"motion\" }}      # only when something moves\n\
             # audio = {{ source = \"alsa:default\" }}\n\n",
            c.id, c.name, c.source
        );
    }
    out
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
