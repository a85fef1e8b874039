//! The files by which perch and the root scripts of the card image (and of the Debian package) tell each other things: each name is
//! said here and nowhere else in the program. A test holds the scripts and units of `image/` to it.

use std::path::{Path, PathBuf};

/// A file, or a folder, that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangedFile {
    /// The folder it lies in.
    pub dir: &'static str,
    /// Its name in there. A file that is replaced whole is written as `NAME.new` first.
    pub name: &'static str,
    /// Who makes or changes it: `perch` (the daemon and its commands, as the user perch), `perch setup` (root), a script or unit of
    /// `image/`, or a stranger to both (`owner`, `firmware`, `RAUC`).
    pub writers: &'static [&'static str],
    /// Who reads it, waits for it or removes it.
    pub readers: &'static [&'static str],
    /// What it says.
    pub says: &'static str,
}

impl ExchangedFile {
    /// Where it is, below a root that tests move.
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(self.dir.trim_start_matches('/')).join(self.name)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        Path::new(self.dir).join(self.name)
    }
}

/// What holds until the next start; belongs to the user perch.
pub const RUN: &str = "/run/perch";
/// What holds until the next start; root's.
pub const SYSTEM: &str = "/run/perch-system";
/// The data partition.
pub const DATA: &str = "/data";
/// What the owner sets of the system; root's.
pub const ETC: &str = "/data/etc";
/// What belongs to the user perch.
pub const HOME: &str = "/data/perch";
/// What outlives an update; root's.
pub const UPDATE: &str = "/data/update";
/// The FAT partition that the owner can write from any computer.
pub const SEL: &str = "/boot/sel";
/// What the owner of any other system writes, such as one with the Debian package.
pub const PACKAGE: &str = "/etc/perch";

/// The port of the page, which the image announces in the network.
pub const HTTPS_PORT: u16 = 8443;
/// The port of the page that prepares for the browser's warning, without TLS: on the card image and with the Debian package.
pub const HTTP_PORT: u16 = 80;

/// The most that is read of a file which one side writes for the other, bytes: all of them are short.
pub const MAX_FILE_BYTES: u64 = 16 * 1024;

/// A constant for each, and the list of them all.
macro_rules! shared {
    ($($id:ident: $dir:ident / $name:literal, $writers:expr => $readers:expr, $says:literal;)*) => {
        $(#[doc = $says]
        pub const $id: ExchangedFile = ExchangedFile { dir: $dir, name: $name, writers: &$writers, readers: &$readers, says: $says };)*

        /// All of them, under the names of their constants.
        pub const ALL: &[(&str, ExchangedFile)] = &[$((stringify!($id), $id)),*];
    };
}

shared! {
    BOOT: RUN / "boot", ["boot", "rauc-backend"] => ["perch", "perch setup"],
        "which system runs: `slot`, `trial`, `board`, `serial`, a `key=value` line each";
    HEALTH: RUN / "health", ["perch"] => ["trial-check"],
        "why a trial has not proved itself yet, one line; empty: it has";
    REBOOT_TRIAL: RUN / "reboot-trial", ["perch"] => ["perch-reboot.path", "reboot"],
        "being there, it asks for a restart into the slot that was written, once";
    WISHES: RUN / "wishes", ["perch"] => ["perch-wishes.path", "perch setup"],
        "what an owner wants changed of the system, as `perch-setup.toml` says it, or an `action`; read once, checked and removed";
    WISHED: SYSTEM / "wished", ["perch setup", "wishes"] => ["wishes", "perch"],
        "what became of the last wish: `at`, `changed`, `action`, `wifi`, `said`, a `key=value` line each";
    OWNED: SYSTEM / "owned", ["perch setup"] => ["perch"],
        "the Wi-Fi network's name and the SSH key's fingerprint: `ssid` in hex, `ssh`, a `key=value` line each";
    CARD: RUN / "card", ["perch"] => ["perch-card.path", "card"],
        "the pairing card as text for the consoles; empty: the box has an owner";
    SETUP_LOG: RUN / "setup.log", ["perch setup"] => ["card"],
        "what the setup did and refused, a sentence a line";
    LAST_UPDATE: UPDATE / "last", ["trial"] => ["perch"],
        "how the last update ended: `outcome`, `version`, `from`, `reason`, `at`, a `key=value` line each";
    TRIAL: UPDATE / "trial", ["reboot", "boot"] => ["boot", "trial", "rauc-backend", "trial-check"],
        "the update that is being tried: `from`, `version`, `slot`, and `started` once it came up";
    SPOOL: UPDATE / "spool", ["boot", "perch.service.d/card.conf", "perch", "perch setup"] => ["RAUC"],
        "the bundle that is being uploaded or installed; emptied at each start";
    RAUC_STATE: UPDATE / "rauc", ["boot", "RAUC"] => ["system.conf"],
        "what RAUC knows of the slots";
    HOSTNAME: ETC / "hostname", ["perch setup"] => ["apply"],
        "the box's name in the network";
    TIMEZONE: ETC / "timezone", ["perch setup"] => ["apply"],
        "the time zone's name";
    WIFI: ETC / "wpa_supplicant.conf", ["perch setup", "wishes", "boot"] => ["perch-wifi@.service", "perch setup"],
        "the Wi-Fi network; where it is missing, there is none";
    WIFI_BEFORE: ETC / "wpa_supplicant.before", ["perch setup"] => ["wishes", "boot"],
        "the Wi-Fi network before the one that is being tried; empty: there was none";
    SSH_KEY: ETC / "authorized_keys", ["perch setup"] => ["perch-ssh.service", "ssh-key", "wishes", "perch setup"],
        "the owner's SSH key; where it is missing, there is no SSH";
    SSH_HOST_KEY: ETC / "dropbear", ["ssh-key"] => ["perch-ssh.service"],
        "the box's own SSH key";
    CLOCK: ETC / "timesync", ["boot"] => ["systemd-timesyncd.service.d/perch.conf"],
        "the last time known, for a box without a clock of its own";
    DISK_IN_USE: ETC / "recordings-disk", ["recordings"] => ["recordings", "perch setup"],
        "the UUID of the disk that recordings go to";
    DISKS_TO_ERASE: DATA / "recordings-disks-to-erase", ["perch setup", "recordings"] => ["recordings"],
        "UUIDs of disks that were away when everything was reset, one a line";
    CONFIG: HOME / "perch.toml", ["perch setup", "owner", "perch"] => ["perch.service.d/card.conf", "perch"],
        "the box's config";
    BOX: HOME / "box", ["recordings", "perch", "perch setup"] => ["perch"],
        "the data folder: database, keys, and `recordings`, where a disk may be mounted";
    SLOTS: SEL / "autoboot.txt", ["rauc-backend"] => ["rauc-backend", "firmware"],
        "which slot is committed and which one a trial starts";
    SETUP: SEL / "perch-setup.toml", ["owner"] => ["perch setup"],
        "what the owner sets up; read once and removed";
    RESET_ACCOUNTS: SEL / "perch-reset-accounts", ["owner", "button"] => ["perch setup"],
        "being there, it asks to forget accounts and devices";
    RESET_EVERYTHING: SEL / "perch-reset-everything", ["owner", "button"] => ["perch setup"],
        "being there, it asks to forget everything";
    PACKAGE_CONFIG: PACKAGE / "perch.toml", ["postinst", "owner", "perch"] => ["perch.service", "perch"],
        "the config of the Debian package";
    PIPELINES: PACKAGE / "pipelines", ["owner"] => ["perch"],
        "pipelines of the owner's own, in place of those of the same name";
}
