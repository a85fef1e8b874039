//! Where copies of recordings go: the config keys of one target, and how it is named where nothing of it may be a secret.

use super::keys::clean_prefix;
use crate::redact::Shown;
use crate::retention::CopiesWanted;
use crate::settings::Keys;
use crate::settings::named_files::WRITE_ONLY;
use perch_base::age::Recipient;
use perch_base::authority::Authority;
use perch_base::net::is_host_name;
use perch_base::secret::Secret;
use perch_base::{Error, Result};
use serde::Serialize;
use std::net::IpAddr;

/// Targets of one box: each is sent everything that it wants.
pub const MOST_SYNC_TARGETS: usize = 4;
/// The slowest limit that still carries a recording: a modem's.
const MIN_BYTES_PER_S: i64 = 4_000;
/// Keys that one target's copies are encrypted for at most.
const MOST_RECIPIENTS: usize = 8;

/// What is copied to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyWhat {
    /// Recordings of events.
    Events,
    /// All recordings.
    All,
}

perch_base::all_of!(CopyWhat { Events, All });

/// The keys by which an S3 store knows the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreKeys {
    /// The access key's id. Not a secret, but nobody's business.
    pub access: Secret,
    /// Its secret.
    pub secret: Secret,
}

/// What people give of a store that is to be tried out.
#[derive(Clone, Copy)]
pub struct GivenTarget<'t> {
    /// Its address.
    pub endpoint: &'t str,
    /// The region.
    pub region: &'t str,
    /// The bucket.
    pub bucket: &'t str,
    /// The folder in it.
    pub prefix: &'t str,
    /// The id of the key.
    pub access_key: &'t str,
    /// Its secret.
    pub secret_key: &'t str,
}

/// One entry of `sync`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTarget {
    /// `https://host[:port]`, or `http://` within the house, without a path.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What all object names begin with, without slashes around it; may be empty.
    pub prefix: String,
    /// The keys.
    pub keys: StoreKeys,
    /// Certificates by which the server proves itself besides those that the system trusts, PEM.
    pub ca_pem: Option<Secret>,
    /// What is copied.
    pub what: CopyWhat,
    /// So many bytes a second at most; 0: no limit.
    pub max_bytes_per_s: u64,
    /// So many bytes a calendar month (UTC) at most; 0: no limit.
    pub monthly_bytes: u64,
    /// Whose keys open the copies, which are encrypted on the box; empty: everybody who may read the bucket.
    pub encrypt_to: Vec<Recipient>,
    /// Whether the names of copies say nothing either; only of what is encrypted.
    pub is_opaque: bool,
}

impl SyncTarget {
    /// Names it in the database and to people: where it is, nothing of its keys. Another place is another target.
    pub fn name(&self) -> String {
        let host = self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, rest)| rest);
        match self.prefix.as_str() {
            "" => format!("{host}/{}", self.bucket),
            prefix => format!("{host}/{}/{prefix}", self.bucket),
        }
    }

    /// Whether the bucket stands in the path (`https://host/bucket/key`) and not before the host. Amazon alone wants the latter for new buckets.
    pub fn is_path_style(&self) -> bool {
        !Authority::of(&self.endpoint).is_some_and(|(_, at)| at.host.ends_with(".amazonaws.com"))
    }

    /// One that is to be tried out, from what people gave. Errors with `Invalid` and the key.
    pub fn to_try(given: &GivenTarget<'_>) -> Result<Self> {
        let of = |key: &str, e: Error| e.at(format!("`{key}`"));
        Ok(Self {
            endpoint: read_endpoint(given.endpoint).map_err(|e| of("endpoint", e))?,
            region: read_region(given.region).map_err(|e| of("region", e))?,
            bucket: read_bucket(given.bucket).map_err(|e| of("bucket", e))?,
            prefix: clean_prefix(given.prefix).map_err(|e| of("prefix", e))?,
            keys: StoreKeys {
                access: check_key(given.access_key).map_err(|e| of(WRITE_ONLY[0].0, e))?,
                secret: check_key(given.secret_key).map_err(|e| of(WRITE_ONLY[1].0, e))?,
            },
            ca_pem: None,
            what: CopyWhat::Events,
            max_bytes_per_s: 0,
            monthly_bytes: 0,
            encrypt_to: Vec::new(),
            is_opaque: false,
        })
    }

    /// Reads the list `sync`; `secret_of` reads the file of a secret, and its error does not repeat the path.
    pub fn read_all(keys: &mut impl Keys, secret_of: &impl Fn(&str) -> Result<Secret>) -> Vec<Self> {
        let mut targets: Vec<Self> = Vec::new();
        let entries = keys.sections("sync");
        if entries.len() > MOST_SYNC_TARGETS {
            let rule =
                format!("must be at most {MOST_SYNC_TARGETS} targets: each is sent every recording that it wants");
            keys.problem("sync", entries.len() as i64, &rule);
        }
        for mut entry in entries.into_iter().take(MOST_SYNC_TARGETS) {
            let target = Self::read(&mut entry, secret_of);
            if let Some(target) = target {
                match targets.iter().any(|other| other.name() == target.name()) {
                    true => {
                        entry.problem("bucket", &*target.bucket, "must differ from every other target's, or its prefix")
                    }
                    false => targets.push(target),
                }
            }
            entry.finish();
        }
        targets
    }

    fn read(keys: &mut impl Keys, secret_of: &impl Fn(&str) -> Result<Secret>) -> Option<Self> {
        let endpoint = keys.parsed("endpoint", "", read_endpoint);
        let region = keys.parsed("region", "us-east-1", read_region);
        let bucket = keys.parsed("bucket", "", read_bucket);
        let prefix = keys.optional("prefix", clean_prefix).unwrap_or_default();
        let access = read_key(keys, WRITE_ONLY[0], secret_of);
        let secret = read_key(keys, WRITE_ONLY[1], secret_of);
        let ca_pem = keys.optional("ca_file", |text| {
            secret_of(text).map_err(|e| Error::invalid(format!("must name a file with certificates in PEM ({e})")))
        });
        let what = keys.choice("what", "events", &[("events", CopyWhat::Events), ("all", CopyWhat::All)]);
        let max_bytes_per_s = keys.number("max_bytes_per_s", 0, 0..=i64::MAX);
        if (1..MIN_BYTES_PER_S).contains(&max_bytes_per_s) {
            keys.problem(
                "max_bytes_per_s",
                max_bytes_per_s,
                &format!("must be 0 (no limit) or at least {MIN_BYTES_PER_S}"),
            );
        }
        let monthly_bytes = keys.number("monthly_bytes", 0, 0..=i64::MAX);
        let encrypt_to = read_recipients(keys);
        let is_opaque = keys.flag("opaque", false);
        if is_opaque && encrypt_to.as_ref().is_some_and(Vec::is_empty) {
            let rule = "needs `encrypt_to`: names that say nothing are read with the key that opens the copies";
            keys.problem("opaque", Shown::nothing(), rule);
        }
        let endpoint = endpoint?;
        if is_in_clear(&endpoint) && !is_here(&endpoint) {
            keys.warn("endpoint", &*endpoint, "is not encrypted: whoever is on the way sees all recordings");
        }
        Some(Self {
            endpoint,
            region: region?,
            bucket: bucket?,
            prefix,
            keys: StoreKeys { access: access?, secret: secret? },
            ca_pem,
            what,
            max_bytes_per_s: max_bytes_per_s.max(0) as u64,
            monthly_bytes: monthly_bytes.max(0) as u64,
            encrypt_to: encrypt_to?,
            is_opaque,
        })
    }
}

/// A key of the store: as it stands in the file, or in a file of its own.
fn read_key(
    keys: &mut impl Keys,
    (clear, file): (&str, &str),
    secret_of: &impl Fn(&str) -> Result<Secret>,
) -> Option<Secret> {
    let given = keys.optional(clear, check_key);
    let named = keys.optional(file, |text| {
        let held = secret_of(text).and_then(|key| check_key(key.expose()));
        held.map_err(|e| Error::invalid(format!("must name a file that holds the key ({e})")))
    });
    if given.is_none() && named.is_none() {
        keys.problem(
            file,
            Shown::nothing(),
            &format!("is missing: it must name a file that holds the key, or give `{clear}`"),
        );
    }
    given.or(named)
}

/// The owner's public keys. `None` where one of them is none: nothing is copied in the clear that was to be encrypted.
fn read_recipients(keys: &mut impl Keys) -> Option<Vec<Recipient>> {
    const KEY: &str = "encrypt_to";
    let given = keys.texts(KEY, |_| true, "must be a list of public keys (age1…)");
    if given.len() > MOST_RECIPIENTS {
        keys.problem(KEY, given.len() as i64, &format!("must be at most {MOST_RECIPIENTS} keys"));
        return None;
    }
    let mut recipients = Vec::new();
    for text in given {
        match Recipient::parse(&text) {
            Ok(recipient) if recipients.contains(&recipient) => {}
            Ok(recipient) => recipients.push(recipient),
            // Not repeated: it may be the secret one.
            Err(e) => {
                keys.problem(KEY, Shown::nothing(), &format!("must be a list of public keys ({})", e.message()));
                return None;
            }
        }
    }
    Some(recipients)
}

/// One line of what can be seen: it goes into a header.
fn check_key(text: &str) -> Result<Secret> {
    let key = text.trim();
    let is_key = (1..=512).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if is_key {
        Ok(Secret::new(key.to_owned()))
    } else {
        Err(Error::invalid("must be one line of 1 to 512 letters, digits and signs"))
    }
}

/// Of which recordings copies are to be verified before they go.
pub fn copies_wanted(targets: &[SyncTarget]) -> CopiesWanted {
    let background = targets.iter().any(|target| target.what == CopyWhat::All);
    CopiesWanted { events: !targets.is_empty(), background }
}

fn is_in_clear(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}

/// Whether it is this machine.
fn is_here(endpoint: &str) -> bool {
    let host = Authority::of(endpoint).map_or("", |(_, at)| at.host);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn read_endpoint(text: &str) -> Result<String> {
    let rule = "must be an address such as https://s3.eu-central-1.amazonaws.com, without a bucket behind it";
    let bad = || Error::invalid(rule);
    let (scheme, at) = Authority::of(text).ok_or_else(bad)?;
    let rest = text.split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/');
    let is_web = matches!(scheme, "https" | "http");
    let is_place = is_host_name(at.host) || at.host.parse::<IpAddr>().is_ok();
    let is_bare = !rest.contains(['/', '?', '#']) && at.user_info.is_none();
    if is_web && is_place && is_bare { Ok(format!("{scheme}://{rest}")) } else { Err(bad()) }
}

fn read_region(text: &str) -> Result<String> {
    let is_word =
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_word {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid("must be a region's name, such as eu-central-1 or auto"))
    }
}

/// Amazon's rules for general purpose buckets, and capitals, which old ones have.
fn read_bucket(text: &str) -> Result<String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let bytes = text.as_bytes();
    let is_name = (3..=63).contains(&text.len())
        && text.bytes().all(inner)
        && is_edge(bytes.first().copied())
        && is_edge(bytes.last().copied())
        && !text.contains("..");
    if is_name {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid("must be a bucket's name: 3 to 63 of a-z, 0-9, - and ."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_buckets() {
        for (text, want) in [
            ("https://s3.eu-central-1.amazonaws.com", Some("https://s3.eu-central-1.amazonaws.com")),
            ("https://minio.example.org:9000/", Some("https://minio.example.org:9000")),
            ("http://192.168.1.5:9000", Some("http://192.168.1.5:9000")),
            ("https://s3.example.org/bucket", None),
            ("https://key:S3CRET@s3.example.org", None),
            ("https://s3.example.org?x", None),
            ("ftp://s3.example.org", None),
            ("s3.example.org", None),
            ("https://", None),
            ("https://a b", None),
        ] {
            let got = read_endpoint(text);
            assert!(got.as_ref().err().is_none_or(|e| !e.message().contains("S3CRET")), "{got:?}");
            assert_eq!(got.ok().as_deref(), want, "{text}");
        }
        for (text, is_good) in
            [("abc", true), ("My.bucket-1", true), ("ab", false), ("a..b", false), ("-abc", false), ("a/b", false)]
        {
            assert_eq!(read_bucket(text).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn it_is_named_by_its_place_and_never_by_its_keys() {
        let keys = StoreKeys { access: Secret::new("AKIA".into()), secret: Secret::new("S3CRET".into()) };
        let mut target = SyncTarget {
            endpoint: "https://s3.example.org".into(),
            region: "auto".into(),
            bucket: "copies".into(),
            prefix: String::new(),
            keys,
            ca_pem: None,
            what: CopyWhat::All,
            max_bytes_per_s: 0,
            monthly_bytes: 0,
            encrypt_to: Vec::new(),
            is_opaque: false,
        };
        assert_eq!((target.name().as_str(), target.is_path_style()), ("s3.example.org/copies", true));
        target.prefix = "home".into();
        target.endpoint = "https://s3.eu-central-1.amazonaws.com".into();
        assert_eq!(
            (target.name().as_str(), target.is_path_style()),
            ("s3.eu-central-1.amazonaws.com/copies/home", false)
        );
        assert!(!format!("{target:?}").contains("S3CRET"));
    }
}
