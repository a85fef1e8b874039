//! What a running box leaves word of for the commands beside it: where it answers, and what can be watched there.

use perch_base::ids::CameraId;
use serde::{Deserialize, Serialize};

/// A box as it ran last. Written whole at each start; a field that is added later needs a default, since a command of the next version
/// may read what this one left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningBox {
    /// The address to open, `https://host:port`.
    pub base_url: String,
    /// What to type for the page that prepares for the browser's warning, `http://host`, the easiest first; none: it is shown nowhere.
    #[serde(default)]
    pub plain_urls: Vec<String>,
    /// SHA-256 of the box's own CA, 64 hex digits.
    pub ca_sha256: String,
    /// The port of RTSP; `None` when it is not known.
    pub rtsp_port: Option<u16>,
    /// What is watched there, in the order of the config; `None` when it is not known.
    pub cameras: Option<Vec<RunningCamera>>,
}

/// A camera of a running box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningCamera {
    /// Its id.
    pub id: CameraId,
    /// Its name.
    pub name: String,
}

impl RunningBox {
    /// The host of `base_url`, without its port; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or(self.base_url.as_str(), |(_, rest)| rest);
        match rest.rfind(':') {
            Some(at) if !rest.ends_with(']') => &rest[..at],
            _ => rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_addresses() {
        for (url, host) in [
            ("https://localhost:8443", "localhost"),
            ("https://[::1]:8443", "[::1]"),
            ("https://[fe80::1]", "[fe80::1]"),
            ("https://perch.local", "perch.local"),
        ] {
            let text = format!("{{\"base_url\": \"{url}\", \"ca_sha256\": \"\"}}");
            let running: RunningBox = serde_json::from_str(&text).expect("a version from before left it");
            assert_eq!(running.host(), host);
        }
    }
}
