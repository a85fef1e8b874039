//! Who may do what: devices, accounts and principals with what they were granted (`crate::grant`). Every transport asks
//! [`Principal::may`], or [`StreamLogin::may`] where a stream password was given; both are one rule.

use crate::account_name::is_same_account;
use crate::grant::allows;
pub use crate::grant::{CameraGrant, Grant, GrantChange, GrantLimits, Object, Permission, Role, check_expiry};
use crate::redact::Shown;
use crate::settings::Keys;
use crate::text::without_invisible;
use perch_base::ids::{CameraId, DeviceId};
use perch_base::secret::Secret;
use perch_base::time::{DAY, MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How a device came to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// By a one-time password; stays until revoked.
    Paired,
    /// By user name and password; expires when idle or old.
    Session,
}

perch_base::all_of!(DeviceKind { Paired, Session });

/// How long a device lasts that signed in with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// It asked nothing for so long.
    pub idle: Duration,
    /// It signed in so long ago.
    pub max: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { idle: 14 * DAY, max: 90 * DAY }
    }
}

/// How exactly it is known when a device was last seen.
const SEEN_EVERY: Duration = Duration::from_secs(60);

impl SessionConfig {
    const LEAST: Duration = Duration::from_secs(60);

    /// Reads `session_idle_s` and `session_max_s`.
    pub fn read(keys: &mut impl Keys) -> Self {
        let d = Self::default();
        let idle_is_given = keys.has("session_idle_s");
        let mut read = Self {
            idle: keys.whole_seconds("session_idle_s", d.idle, Self::LEAST..=365 * DAY),
            max: keys.whole_seconds("session_max_s", d.max, Self::LEAST..=3650 * DAY),
        };
        if read.idle > read.max && idle_is_given {
            let rule = "is more than session_max_s, which ends a session before: the smaller of both is taken";
            keys.warn("session_idle_s", read.idle.as_secs() as i64, rule);
        }
        // Who only shortened the whole need not hear of the other.
        read.idle = read.idle.min(read.max);
        read
    }

    /// Whether the time of a device is over; paired ones stay until they are revoked.
    pub fn is_over(&self, kind: DeviceKind, created: Timestamp, seen: Timestamp, now: Timestamp) -> bool {
        let since = |t: Timestamp| Duration::from_micros(now.micros_since(t).max(0) as u64);
        kind == DeviceKind::Session && (since(created) >= self.max || since(seen) >= self.idle)
    }

    /// Whether it is to be noted that a device asks something at `now` of which that was noted at `noted` last: often enough to tell
    /// when a session is idle, and no oftener, for each is a write and wears the card. One in time to come is set right at once.
    pub fn is_seen_due(&self, noted: Timestamp, now: Timestamp) -> bool {
        let every = SEEN_EVERY.min(self.idle / 4);
        u128::from(now.micros_since(noted).unsigned_abs()) >= every.as_micros()
    }
}

/// A trusted device as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its name, given by its owner.
    pub name: String,
    /// How it came to be trusted.
    pub kind: DeviceKind,
    /// The account it belongs to, if any.
    pub username: Option<String>,
    /// What it may do.
    pub role: Role,
    /// The cameras it may see.
    #[serde(skip_serializing_if = "CameraGrant::is_all")]
    pub cameras: CameraGrant,
    /// What else limits it.
    #[serde(flatten)]
    pub limits: GrantLimits,
    /// When it was paired or signed in.
    pub created_at: Timestamp,
    /// When it last asked something (to the minute).
    pub last_seen_at: Timestamp,
}

impl Device {
    /// Whether it is trusted no longer at `now`: by its age, or because it was trusted until then alone.
    pub fn is_over(&self, sessions: &SessionConfig, now: Timestamp) -> bool {
        self.limits.is_over(now) || sessions.is_over(self.kind, self.created_at, self.last_seen_at, now)
    }

    /// Whether a device joins the account that is made with it: the box's first takes the phone of whoever makes it, if that has no
    /// account yet and may do the same. The phone of an admin who makes an account for somebody else stays the admin's.
    pub fn joins(&self, is_first: bool, grant: &Grant) -> bool {
        let given = (self.role, &self.cameras, self.limits);
        is_first && self.username.is_none() && given == (grant.role(), grant.cameras(), grant.limits())
    }
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// The device whose credential was given.
    pub device_id: DeviceId,
    /// The device's name.
    pub device_name: String,
    /// The account, if the device belongs to one.
    pub username: Option<String>,
    /// What it may do.
    pub role: Role,
    /// The cameras it may see.
    #[serde(skip_serializing_if = "CameraGrant::is_all")]
    pub cameras: CameraGrant,
    /// What else limits it.
    #[serde(flatten)]
    pub limits: GrantLimits,
}

impl Principal {
    /// As others, the log and versions of the settings are told who it was: the account's name, or the device's where it has none.
    pub fn name(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.device_name)
    }

    /// What the caller may do on the box at all; of which objects is for [`Self::may`] to say.
    pub fn permissions(&self) -> Vec<Permission> {
        Permission::OF_CALLERS.into_iter().filter(|p| self.may(*p, Object::Box)).collect()
    }

    /// Whether the caller may do this to `object`. What it may not see does not exist for it.
    pub fn may(&self, permission: Permission, object: Object<'_>) -> bool {
        let is_own = match object {
            Object::Box | Object::Camera(_) => false,
            Object::Device(id) => id == self.device_id,
            // Names of accounts differ by more than case.
            Object::Account(name) => self.username.as_deref().is_some_and(|own| is_same_account(own, name)),
        };
        allows((self.role, &self.cameras, self.limits), permission, object, is_own)
    }

    /// Whether a device is the caller's own: the one it asks from, or one of the same account.
    pub fn owns(&self, device: &Device) -> bool {
        let account = device.username.as_deref();
        self.may(Permission::Own, Object::Device(device.id))
            || account.is_some_and(|name| self.may(Permission::Own, Object::Account(name)))
    }

    /// Whether the caller may see, rename and revoke this device: its own, or whoever manages people anybody's.
    pub fn may_tend(&self, device: &Device) -> bool {
        self.owns(device) || self.may(Permission::ManagePeople, Object::Device(device.id))
    }

    /// Whether the caller may see and end the live sessions of this device: its own, or whoever manages the box anybody's.
    pub fn may_end_live(&self, device: DeviceId) -> bool {
        let of = Object::Device(device);
        self.may(Permission::Own, of) || self.may(Permission::ManageBox, of)
    }
}

/// Which of the `devices` that have something open are to be cut off: those that are not among `known` any more (revoked, or their
/// time is over), and those that watch a camera which they may not see any more.
pub fn to_cut_off(devices: &[DeviceId], watching: &[(DeviceId, CameraId)], known: &[Principal]) -> Vec<DeviceId> {
    let goes_on = |device: DeviceId| {
        let Some(who) = known.iter().find(|p| p.device_id == device) else { return false };
        let mut theirs = watching.iter().filter(|(d, _)| *d == device);
        theirs.all(|(_, camera)| who.may(Permission::Watch, Object::Camera(camera)))
    };
    let all: BTreeSet<DeviceId> = devices.iter().copied().chain(watching.iter().map(|(device, _)| *device)).collect();
    all.into_iter().filter(|device| !goes_on(*device)).collect()
}

/// A fresh credential; the token is shown once and only its hash is stored.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The new device.
    pub device_id: DeviceId,
    /// The bearer token or cookie value: 256 bit, 64 hex digits.
    pub token: Secret,
    /// What the new device may do.
    pub role: Role,
}

/// An account as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The cameras it may see.
    #[serde(skip_serializing_if = "CameraGrant::is_all")]
    pub cameras: CameraGrant,
    /// What else limits it.
    #[serde(flatten)]
    pub limits: GrantLimits,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A generated password for RTSP players, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamPassword {
    /// Its name, which is also the RTSP user name.
    pub name: String,
    /// The cameras it opens.
    #[serde(skip_serializing_if = "CameraGrant::is_all")]
    pub cameras: CameraGrant,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Most names that a sentence holds.
const MOST_NAMES: usize = 5;

/// What is said of a camera that comes, where people were let in to one with its id before: they see this one, too.
pub fn said_of_known_id(
    camera: &CameraId,
    users: &[User],
    devices: &[Device],
    players: &[StreamPassword],
) -> Option<String> {
    let is_let_in = |grant: &CameraGrant| !grant.is_all() && grant.includes(camera);
    let users = users.iter().filter(|user| is_let_in(&user.cameras)).map(|user| &user.name);
    let devices = devices.iter().filter(|device| device.username.is_none() && is_let_in(&device.cameras));
    let players = players.iter().filter(|player| is_let_in(&player.cameras)).map(|player| &player.name);
    let names: Vec<&str> = users.chain(devices.map(|device| &device.name)).chain(players).map(String::as_str).collect();
    let more = match names.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    (!names.is_empty())
        .then(|| format!("{camera} may be seen by {shown}{more}, who were let in to an earlier camera with this id"))
}

/// A stream password as RTSP checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLogin {
    /// The user name.
    pub name: String,
    /// HA1 of RFC 2617: `MD5(name:perch:password)`, 32 hex digits.
    pub ha1: Secret,
    /// The cameras it opens.
    pub cameras: CameraGrant,
    /// Until when its readers are cut off.
    pub cut_off_until: Option<MonoTime>,
}

impl StreamLogin {
    /// Whether its readers are cut off at `now`.
    pub fn is_cut_off(&self, now: MonoTime) -> bool {
        self.cut_off_until.is_some_and(|until| now < until)
    }

    /// Whether whoever gave this password may do this to `object`: it is for watching alone.
    pub fn may(&self, permission: Permission, object: Object<'_>) -> bool {
        permission == Permission::Watch
            && allows((Role::Viewer, &self.cameras, GrantLimits::NONE), permission, object, false)
    }
}

/// The realm of RTSP's Digest authentication; part of every HA1.
pub const RTSP_REALM: &str = "perch";

/// How many characters the name of a stream password has.
pub const NAME_LENGTH: RangeInclusive<usize> = 1..=32;
/// What may stand in such a name beside letters and digits, but not at its start.
const NAME_MARKS: &str = "._-";

/// The rule of [`check_name`] as a regular expression (ECMA-262).
pub fn name_pattern() -> String {
    format!("^[A-Za-z0-9][A-Za-z0-9{NAME_MARKS}]{{0,{}}}$", NAME_LENGTH.end() - 1)
}

/// Checks the name of a stream password: [`NAME_LENGTH`] of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let ok = NAME_LENGTH.contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || NAME_MARKS.as_bytes().contains(&b))
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if ok {
        Ok(())
    } else {
        let (least, most) = (NAME_LENGTH.start(), NAME_LENGTH.end());
        Err(Error::invalid(format!(
            "{what} {}: must be {least} to {most} of letters, digits, `.`, `_` and `-`, starting with a letter or digit",
            Shown::from(name)
        )))
    }
}

/// Who or what loses its access, or the right to manage the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving<'a> {
    /// A device.
    Device(DeviceId),
    /// An account, with its devices.
    Account(&'a str),
}

/// Whether an account with this role for these cameras within these limits may manage the box, and goes on to.
pub fn manages(role: Role, cameras: &CameraGrant, limits: GrantLimits) -> bool {
    role == Role::Admin && cameras.is_all() && limits.is_none()
}

/// Errors with `Conflict` when somebody may manage the box now and nobody could once `leaving` is gone: only a shell or a reset
/// would help then. To be asked inside the transaction that takes it away, so that two cannot go at once.
pub fn check_leaving(leaving: Leaving<'_>, users: &[User], devices: &[Device]) -> Result<()> {
    let leaves = |name: &str| matches!(leaving, Leaving::Account(gone) if is_same_account(gone, name));
    let goes = |d: &Device| leaving == Leaving::Device(d.id) || d.username.as_deref().is_some_and(leaves);
    let accounts = || users.iter().filter(|u| manages(u.role, &u.cameras, u.limits));
    let phones = || devices.iter().filter(|d| manages(d.role, &d.cameras, d.limits));
    let now = accounts().count() + phones().count() > 0;
    if !now || accounts().any(|u| !leaves(&u.name)) || phones().any(|d| !goes(d)) {
        return Ok(());
    }
    let why = "nobody else may manage this box: make an administrator's account, or pair another administrator's device, first";
    Err(Error::new(ErrorKind::Conflict, why))
}

/// The answer to a device whose credential is worthless now.
pub fn revoked() -> Error {
    Error::new(ErrorKind::Unauthenticated, "this device was revoked")
}

/// Errors with `Unauthenticated` when the device that asked for a change is not trusted any more (`now` is `None`), and with
/// `Forbidden` when it became less than it `was` when it was let in: another role, or not of its account any more. To be asked inside
/// the transaction of a change of who may come in: a request takes its time, and a revocation may come between.
pub fn check_acting(was: &Principal, now: Option<&Principal>) -> Result<()> {
    let now = now.ok_or_else(revoked)?;
    let has_left = was.username.is_some() && now.username != was.username;
    if now.role != was.role || has_left {
        return Err(Error::new(ErrorKind::Forbidden, "what this device may do was changed meanwhile"));
    }
    Ok(())
}

/// How many characters a password of an account has. Length is what protects; composition rules do not (NIST SP 800-63B, 3.1.1).
pub const PASSWORD_LENGTH: RangeInclusive<usize> = 10..=256;

/// Checks a password for an account: its length must be within [`PASSWORD_LENGTH`].
pub fn check_password(password: &str) -> Result<()> {
    let n = password.chars().count();
    if PASSWORD_LENGTH.contains(&n) {
        return Ok(());
    }
    let (least, most) = (PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end());
    Err(Error::invalid(format!("the password has {n} characters: it must have {least} to {most}")))
}

/// How many characters a device's name has.
pub const DEVICE_NAME_LENGTH: RangeInclusive<usize> = 1..=64;

/// Makes a name that people gave a device safe to keep: what nobody sees goes, the most of [`DEVICE_NAME_LENGTH`] stays. Errors when
/// nothing is left.
pub fn clean_display_name(what: &str, name: &str) -> Result<String> {
    let (least, most) = (DEVICE_NAME_LENGTH.start(), DEVICE_NAME_LENGTH.end());
    let clean: String = without_invisible(name).chars().take(*most).collect();
    match clean.trim() {
        "" => Err(Error::invalid(format!("{what} is empty: it must have {least} to {most} characters"))),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
