//! What may be granted: roles with their permissions, cameras, until when, and whether what is recorded is open. Who was granted what,
//! and the one rule over it, is in [`crate::access`].

use perch_base::ids::{CameraId, DeviceId};
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What an account or device is allowed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Watch, listen and look back; manage its own session.
    Viewer,
}

perch_base::all_of!(Role { Admin, Viewer });

impl Role {
    /// Parses `admin` or `viewer`.
    pub fn parse(text: &str) -> Result<Self> {
        let known = Self::ALL.iter().copied().find(|role| role.as_str() == text);
        known.ok_or_else(|| Error::invalid(format!("role `{text}`: must be admin or viewer")))
    }

    /// The role as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }

    /// Whether this role holds `permission` at all; on what is for [`Principal::may`] to say.
    pub fn holds(self, permission: Permission) -> bool {
        match permission {
            Permission::Public
            | Permission::Watch
            | Permission::LookBack
            | Permission::Own
            | Permission::ReadStatus => true,
            Permission::Keep | Permission::Talk | Permission::ManagePeople | Permission::ManageBox => {
                self == Self::Admin
            }
        }
    }
}

/// What a route needs. The route table of `api` names one for each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Answers without a credential.
    Public,
    /// Live pictures and sound.
    Watch,
    /// Recordings and events.
    LookBack,
    /// One's own session, devices and live sessions.
    Own,
    /// Health of the box.
    ReadStatus,
    /// Pin and unpin events.
    Keep,
    /// Speak through a camera's loudspeaker.
    Talk,
    /// Accounts, all devices, pairing codes, stream passwords.
    ManagePeople,
    /// Settings of the box; other people's live sessions.
    ManageBox,
}

impl Permission {
    /// Those that a credential is needed for.
    pub const OF_CALLERS: [Self; 8] = [
        Self::Watch,
        Self::LookBack,
        Self::Own,
        Self::ReadStatus,
        Self::Keep,
        Self::Talk,
        Self::ManagePeople,
        Self::ManageBox,
    ];
}

/// What a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// The box as a whole: whether the permission is held at all.
    Box,
    /// A camera with its pictures, recordings and events.
    Camera(&'a CameraId),
    /// A device with its live sessions.
    Device(DeviceId),
    /// An account, by its name.
    Account(&'a str),
}

/// The cameras that somebody may see. In JSON `null` (or nothing) is all, else a list of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<BTreeSet<CameraId>>", into = "Option<BTreeSet<CameraId>>")]
pub enum CameraGrant {
    /// All, also those that are added later.
    #[default]
    All,
    /// These alone.
    Only(BTreeSet<CameraId>),
}

impl From<Option<BTreeSet<CameraId>>> for CameraGrant {
    fn from(ids: Option<BTreeSet<CameraId>>) -> Self {
        ids.map_or(Self::All, Self::Only)
    }
}

impl From<CameraGrant> for Option<BTreeSet<CameraId>> {
    fn from(grant: CameraGrant) -> Self {
        match grant {
            CameraGrant::All => None,
            CameraGrant::Only(ids) => Some(ids),
        }
    }
}

/// Stands before whatever proves a limited grant (a hash) where it is stored: a program that does not know of such grants, to which a
/// box may go back, compares the whole and never finds it right. Each kind of limit that came later has its own, and the latest that
/// applies is taken: a program that knows cameras alone must not let anybody in for good.
const MARKS: [&str; 2] = [CAMERAS_MARK, LIMITS_MARK];
const CAMERAS_MARK: &str = "cameras:";
const LIMITS_MARK: &str = "limits:";

/// What stands before the stored proof of a grant of these cameras within these limits; nothing before that of a whole one.
pub fn mark(cameras: &CameraGrant, limits: &GrantLimits) -> &'static str {
    match (limits.is_none(), cameras.is_all()) {
        (false, _) => LIMITS_MARK,
        (true, false) => CAMERAS_MARK,
        (true, true) => "",
    }
}

/// A stored proof as it was made, without a mark.
pub fn unmarked(stored: &[u8]) -> &[u8] {
    MARKS.iter().find_map(|mark| stored.strip_prefix(mark.as_bytes())).unwrap_or(stored)
}

/// All forms in which a proof may be stored.
pub fn marked(proof: &[u8]) -> [Vec<u8>; 3] {
    ["", CAMERAS_MARK, LIMITS_MARK].map(|mark| [mark.as_bytes(), proof].concat())
}

impl CameraGrant {
    /// A list as people give it; `None` is all. Errors with `Invalid` when it is empty or names a camera that is not in `known`.
    pub fn parse(list: Option<&[String]>, known: &[CameraId]) -> Result<Self> {
        let Some(list) = list else { return Ok(Self::All) };
        if list.is_empty() {
            return Err(Error::invalid("cameras: must name at least one camera; leave it out for all"));
        }
        let names: Vec<_> = known.iter().map(CameraId::as_str).collect();
        let find = |text: &String| {
            known.iter().find(|id| id.as_str() == text).cloned().ok_or_else(|| {
                let short: String = text.chars().take(64).collect();
                Error::invalid(format!("cameras: there is no camera {short:?}; there are: {}", names.join(", ")))
            })
        };
        Ok(Self::Only(list.iter().map(find).collect::<Result<_>>()?))
    }

    /// Whether every camera is meant.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Whether `camera` is meant.
    pub fn includes(&self, camera: &CameraId) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.contains(camera),
        }
    }

    /// What both grant.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one,
            (Self::Only(a), Self::Only(b)) => Self::Only(a.intersection(&b).cloned().collect()),
        }
    }
}

/// What limits a grant beside its cameras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantLimits {
    /// When it ends; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether what is recorded stays closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live_only: bool,
}

impl GrantLimits {
    /// No limits.
    pub const NONE: Self = Self { expires_at: None, live_only: false };

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// What both leave.
    pub fn and(self, other: Self) -> Self {
        let ends = [self.expires_at, other.expires_at].into_iter().flatten().min();
        Self { expires_at: ends, live_only: self.live_only || other.live_only }
    }

    /// Whether its time is over at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// Errors with `Invalid` where somebody wants a grant to end that has ended already.
pub fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
    match expires_at {
        Some(end) if end <= now => Err(Error::invalid(format!("expires_at {end}: must be in time to come"))),
        _ => Ok(()),
    }
}

/// What an account or a device is given: a role, the cameras it is for, and what limits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    role: Role,
    cameras: CameraGrant,
    limits: GrantLimits,
}

impl Grant {
    /// Errors with `Invalid` when an administrator is to have some cameras only.
    pub fn new(role: Role, cameras: CameraGrant) -> Result<Self> {
        if role == Role::Admin && !cameras.is_all() {
            let message = "cameras: an administrator always has all cameras: leave them out, or make the role `viewer`";
            return Err(Error::invalid(message));
        }
        Ok(Self { role, cameras, limits: GrantLimits::NONE })
    }

    /// The same within these limits. Errors with `Invalid` for an administrator: a box must not be left without one by the hour, and
    /// who may change everything may also look at it.
    pub fn within(self, limits: GrantLimits) -> Result<Self> {
        let which = [("expires_at", limits.expires_at.is_some()), ("live_only", limits.live_only)];
        match which.iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) if self.role == Role::Admin => {
                let message =
                    format!("{key}: an administrator has no such limit: leave it out, or make the role `viewer`");
                Err(Error::invalid(message))
            }
            _ => Ok(Self { limits, ..self }),
        }
    }

    /// A role for all cameras.
    pub fn all(role: Role) -> Self {
        Self { role, cameras: CameraGrant::All, limits: GrantLimits::NONE }
    }

    /// As it was stored: whatever stands there, an administrator has all.
    pub fn stored(role: Role, cameras: CameraGrant, limits: GrantLimits) -> Self {
        match role {
            Role::Admin => Self::all(role),
            Role::Viewer => Self { role, cameras, limits },
        }
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The cameras.
    pub fn cameras(&self) -> &CameraGrant {
        &self.cameras
    }

    /// What else limits it.
    pub fn limits(&self) -> GrantLimits {
        self.limits
    }

    /// What stands before its stored proofs.
    pub fn mark(&self) -> &'static str {
        mark(&self.cameras, &self.limits)
    }
}

/// The one rule: whether who has this role for these cameras within these limits may do this to `object`. `is_own` says whether the
/// device or account that is asked about is the caller's.
pub(crate) fn allows(
    grant: (Role, &CameraGrant, GrantLimits),
    permission: Permission,
    object: Object<'_>,
    is_own: bool,
) -> bool {
    let (role, cameras, limits) = grant;
    let reaches = match object {
        Object::Box => true,
        Object::Camera(id) => role == Role::Admin || cameras.includes(id),
        Object::Device(_) | Object::Account(_) => {
            is_own || matches!(permission, Permission::ManagePeople | Permission::ManageBox)
        }
    };
    let is_open = permission != Permission::LookBack || role == Role::Admin || !limits.live_only;
    role.holds(permission) && reaches && is_open
}

/// What is to change of a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantChange {
    /// The new role; `None` leaves it.
    pub role: Option<Role>,
    /// The new cameras; `None` leaves them.
    pub cameras: Option<CameraGrant>,
    /// When it is to end; `Some(None)`: never. `None` leaves it.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether what is recorded is to stay closed; `None` leaves it.
    pub live_only: Option<bool>,
}

impl From<Grant> for GrantChange {
    fn from(grant: Grant) -> Self {
        let GrantLimits { expires_at, live_only } = grant.limits;
        let (role, cameras) = (Some(grant.role), Some(grant.cameras));
        Self { role, cameras, expires_at: Some(expires_at), live_only: Some(live_only) }
    }
}

impl GrantChange {
    /// What `before` becomes. Who is made an administrator has all, whatever it was before. Errors like [`Grant::new`] and
    /// [`Grant::within`].
    pub fn apply(&self, before: &Grant) -> Result<Grant> {
        let role = self.role.unwrap_or(before.role);
        let was = if role == Role::Admin { Grant::all(role) } else { before.clone() };
        let cameras = self.cameras.clone().unwrap_or(was.cameras);
        let limits = GrantLimits {
            expires_at: self.expires_at.unwrap_or(was.limits.expires_at),
            live_only: self.live_only.unwrap_or(was.limits.live_only),
        };
        Grant::new(role, cameras)?.within(limits)
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
