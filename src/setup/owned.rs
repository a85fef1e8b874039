//! What of the system is set that perch may not look at itself: root tells it, without passwords.

use super::files::{self, Owner};
use perch_base::Result;
use perch_base::base64;
use perch_base::files::{Links, read_small};
use perch_base::secret::{hex, sha256};
use perch_domain::exchange::{self, ExchangedFile};
use std::path::Path;

/// Tells perch, which may not look there, which Wi-Fi network and which SSH key are set.
pub fn tell_what_is_set(root: &Path) -> Result<()> {
    let read = |file: ExchangedFile| {
        let bytes = read_small(&file.below(root), exchange::MAX_FILE_BYTES, Links::Refuse).ok()?;
        String::from_utf8(bytes).ok()
    };
    let mut text = String::new();
    let ssid = read(exchange::WIFI);
    let ssid = ssid.as_deref().and_then(|conf| conf.lines().find_map(|line| line.trim().strip_prefix("ssid=")));
    if let Some(ssid) = ssid {
        text.push_str(&format!("ssid={ssid}\n"));
    }
    if let Some(print) = read(exchange::SSH_KEY).as_deref().and_then(fingerprint) {
        text.push_str(&format!("ssh={print}\n"));
    }
    files::put(&exchange::OWNED.below(root), text.as_bytes(), 0o644, &Owner::default())
}

/// As `ssh-keygen -l` shows it, but in hex: SHA-256 of the key itself.
fn fingerprint(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    Some(format!("{kind} SHA256 {}", hex(&sha256(&base64::decode(key)?)[..8])))
}
