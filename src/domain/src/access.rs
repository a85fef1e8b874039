//! Who may do what: roles, permissions, devices and principals. Every transport asks [`Role::may`].

use perch_base::ids::DeviceId;
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What an account or device is allowed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Watch, listen and look back; manage its own session.
    Viewer,
}

impl Role {
    /// Parses `admin` or `viewer`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "admin" => Ok(Self::Admin),
            "viewer" => Ok(Self::Viewer),
            _ => Err(Error::invalid(format!("role `{text}`: must be admin or viewer"))),
        }
    }

    /// The role as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }

    /// Whether this role holds `permission`.
    pub fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::Public
            | Permission::Watch
            | Permission::LookBack
            | Permission::Own
            | Permission::ReadStatus => true,
            Permission::Keep | Permission::ManagePeople | Permission::ManageBox => self == Self::Admin,
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
    /// Accounts, all devices, pairing codes, stream passwords.
    ManagePeople,
    /// Settings of the box; other people's live sessions.
    ManageBox,
}

/// How a device came to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// By a one-time password; stays until revoked.
    Paired,
    /// By user name and password; expires when idle or old.
    Session,
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
    /// When it was paired or signed in.
    pub created_at: Timestamp,
    /// When it last asked something (to the minute).
    pub last_seen_at: Timestamp,
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
    /// When it was made.
    pub created_at: Timestamp,
}

/// A generated password for RTSP players, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamPassword {
    /// Its name, which is also the RTSP user name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The realm of RTSP's Digest authentication; part of every HA1.
pub const RTSP_REALM: &str = "perch";

/// Checks an account or stream-password name: 1 to 32 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let ok = (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if ok {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "{what} {name:?}: must be 1 to 32 of letters, digits, `.`, `_` and `-`, starting with a letter or digit"
        )))
    }
}

/// Who or what loses its access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving<'a> {
    /// A device.
    Device(DeviceId),
    /// An account, with its devices.
    Account(&'a str),
}

/// Errors with `Conflict` when nobody could manage the box any more once `leaving` is gone: only a shell or a reset would help.
pub fn check_leaving(leaving: Leaving<'_>, users: &[User], devices: &[Device]) -> Result<()> {
    let stays = |d: &&Device| match leaving {
        Leaving::Device(id) => d.id != id,
        Leaving::Account(name) => d.username.as_deref() != Some(name),
    };
    let account = users.iter().any(|u| u.role == Role::Admin && leaving != Leaving::Account(&u.name));
    let may_manage = |d: &Device| d.role == Role::Admin;
    if account || devices.iter().filter(stays).any(may_manage) || !devices.iter().any(may_manage) {
        return Ok(());
    }
    let why = "nobody else may manage this box: make an administrator's account, or pair another administrator's device, first";
    Err(Error::new(ErrorKind::Conflict, why))
}

/// Checks a password for an account: 10 to 256 characters. Length is what protects; composition rules do not (NIST SP 800-63B, 3.1.1).
pub fn check_password(password: &str) -> Result<()> {
    match password.chars().count() {
        10..=256 => Ok(()),
        n => Err(Error::invalid(format!("the password has {n} characters: it must have 10 to 256"))),
    }
}

/// Makes a name that people gave (a device's) safe to keep: control characters go, 64 characters stay. Errors when nothing is left.
pub fn clean_display_name(what: &str, name: &str) -> Result<String> {
    let clean: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    match clean.trim() {
        "" => Err(Error::invalid(format!("{what} is empty: it must have 1 to 64 characters"))),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_only_looks() {
        use Permission::*;
        for p in [Public, Watch, LookBack, Own, ReadStatus] {
            assert!(Role::Viewer.may(p) && Role::Admin.may(p));
        }
        for p in [Keep, ManagePeople, ManageBox] {
            assert!(!Role::Viewer.may(p) && Role::Admin.may(p));
        }
    }

    #[test]
    fn the_last_who_may_manage_stays() {
        let device = |n: u8, role, username: Option<&str>| Device {
            id: DeviceId::parse(&format!("{n:032x}")).expect("an id"),
            name: "phone".into(),
            kind: DeviceKind::Paired,
            username: username.map(Into::into),
            role,
            created_at: Timestamp(0),
            last_seen_at: Timestamp(0),
        };
        let user = |name: &str, role| User { name: name.into(), role, created_at: Timestamp(0) };
        let phone = device(1, Role::Admin, None);
        let viewer = device(2, Role::Viewer, None);
        let annas = device(3, Role::Admin, Some("anna"));
        let anna = user("anna", Role::Admin);
        let bob = user("bob", Role::Viewer);
        let of = |d: &Device| Leaving::Device(d.id);
        for (leaving, users, devices, may) in [
            (of(&phone), vec![], vec![phone.clone()], false),
            (of(&phone), vec![bob.clone()], vec![phone.clone(), viewer.clone()], false),
            (of(&viewer), vec![], vec![phone.clone(), viewer.clone()], true),
            (of(&phone), vec![anna.clone()], vec![phone.clone()], true),
            (of(&annas), vec![anna.clone()], vec![annas.clone()], true),
            (Leaving::Account("anna"), vec![anna.clone()], vec![annas.clone()], false),
            (Leaving::Account("anna"), vec![anna.clone()], vec![annas.clone(), phone.clone()], true),
            (Leaving::Account("bob"), vec![anna.clone(), bob.clone()], vec![annas.clone()], true),
        ] {
            assert_eq!(check_leaving(leaving, &users, &devices).is_ok(), may, "{leaving:?}");
        }
    }

    #[test]
    fn names_and_passwords() {
        assert!(check_name("user", "anna.b").is_ok());
        for bad in ["", "a b", "a:b", ".a", "a\n", "ä", &"a".repeat(33)] {
            assert!(check_name("user", bad).is_err(), "{bad:?}");
        }
        assert!(check_password("short").is_err());
        assert!(check_password("ten chars!").is_ok());
        assert_eq!(clean_display_name("device", " Anna's\n phone ").expect("kept"), "Anna's phone");
        assert!(clean_display_name("device", "\u{7}").is_err());
    }
}
