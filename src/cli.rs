//! The command line: what `perch` understands. Each command lives in a file of `commands`.

use clap::{Parser, Subcommand, ValueEnum};
use perch_domain::exchange;
use perch_domain::motion::MotionConfig;
use perch_update::Places;
use std::path::PathBuf;

/// The firmware of a surveillance box.
#[derive(Debug, Parser)]
#[command(name = "perch", version = crate::version::LONG, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// A config file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArg {
    /// The config file; without it the card image's or the Debian package's own, elsewhere one test camera and data in ./perch-data
    #[arg(long, value_name = "FILE", env = "PERCH_CONFIG", global = true)]
    config: Option<PathBuf>,
}

impl ConfigArg {
    /// The file that was named; where none was, the card image's own, or the Debian package's.
    pub fn path(&self) -> Option<PathBuf> {
        let of_the_card = || Places::of_the_card(None).boot().map(|_| exchange::CONFIG.path());
        let of_the_package = || Some(exchange::PACKAGE_CONFIG.path()).filter(|path| path.exists());
        self.config.clone().or_else(of_the_card).or_else(of_the_package)
    }
}

/// Which copies are brought back, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub source: RestoreSource,
    /// Start, such as 2026-05-01T12:00:00Z
    #[arg(long)]
    pub from: String,
    /// End
    #[arg(long)]
    pub to: String,
    /// Only this camera's
    #[arg(long)]
    pub camera: Option<String>,
    /// Only this box's, by the short form of its key
    #[arg(long = "box", value_name = "BOX")]
    pub box_id: Option<String>,
    /// The file of the secret key, as `age-keygen` writes it, of copies that are encrypted
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Where they are brought to
    #[arg(long, value_name = "DIR", required_unless_present_any = ["into_box", "list"])]
    pub out: Option<PathBuf>,
    /// Into the data folder of the box with this config, which takes them in when it starts next
    #[arg(long, conflicts_with = "out")]
    pub into_box: bool,
    /// Only says what there is
    #[arg(long, conflicts_with_all = ["out", "into_box"])]
    pub list: bool,
}

/// Where copies lie: a folder, a bucket, or else the store of `[[sync]]` in the config.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreSource {
    /// The folder in which the copies lie: a NAS that is mounted, or a bucket that was copied to here
    #[arg(long, value_name = "DIR", conflicts_with_all = ["endpoint", "bucket", "store"])]
    pub folder: Option<PathBuf>,
    /// Of the stores in the config this one, as `perch check --sync` names it; needed where there are several
    #[arg(long, value_name = "NAME", conflicts_with_all = ["endpoint", "bucket"])]
    pub store: Option<String>,
    /// The address of the S3 store, such as https://s3.eu-central-1.amazonaws.com
    #[arg(long, value_name = "URL", requires = "bucket")]
    pub endpoint: Option<String>,
    /// Its region
    #[arg(long, default_value = "us-east-1", requires = "endpoint")]
    pub region: String,
    /// The bucket
    #[arg(long, requires = "endpoint")]
    pub bucket: Option<String>,
    /// The file of the access key's id; without it AWS_ACCESS_KEY_ID in the environment
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    pub access_key_file: Option<PathBuf>,
    /// The file of its secret; without it AWS_SECRET_ACCESS_KEY in the environment
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    pub secret_key_file: Option<PathBuf>,
    /// Certificates by which the store proves itself besides those that the system trusts, PEM
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    pub ca_file: Option<PathBuf>,
    /// What the names of all copies begin with, as the box was told
    #[arg(long)]
    pub prefix: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Run(ConfigArg),
    /// Check the config and the machine: devices, encoders, disk, clock
    Check {
        #[command(flatten)]
        config: ConfigArg,
        /// Try the stores that copies of recordings go to, and nothing else
        #[arg(long)]
        sync: bool,
    },
    /// Try what the config names, as the running box would, and say what works, what does not, and what to change
    Doctor {
        #[command(flatten)]
        config: ConfigArg,
        #[command(subcommand)]
        about: DoctorAbout,
    },
    /// Have the running box read its config file again, and say what changed or what is wrong
    Reload(ConfigArg),
    /// Make a one-time password for the running box and show it with a QR code
    Pair {
        #[command(flatten)]
        config: ConfigArg,
        /// What the paired device may do
        #[arg(long, value_enum, default_value = "admin")]
        role: RoleArg,
        #[command(flatten)]
        cameras: CamerasArg,
        #[command(flatten)]
        limits: LimitsArg,
    },
    /// Manage accounts
    User {
        #[command(flatten)]
        config: ConfigArg,
        #[command(subcommand)]
        action: UserAction,
    },
    /// Manage generated passwords for RTSP players
    StreamPassword {
        #[command(flatten)]
        config: ConfigArg,
        #[command(subcommand)]
        action: StreamPasswordAction,
    },
    /// Write everything recorded in a range into one MP4 file
    Export {
        #[command(flatten)]
        config: ConfigArg,
        /// The camera's id
        #[arg(long)]
        camera: String,
        /// Start, such as 2026-05-01T12:00:00Z
        #[arg(long)]
        from: String,
        /// End
        #[arg(long)]
        to: String,
        /// The file to write; it must not exist
        #[arg(long, value_name = "FILE.mp4")]
        out: PathBuf,
    },
    /// Bring copies back into a folder, or into a box that is refilled, by their names alone, and check them
    Restore {
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        asked: Box<RestoreArgs>,
    },
    /// Check exports and copies offline: the box's signature, the chain of its manifests, gaps, and every recording's SHA-256
    Verify {
        /// An export, a manifest, or a folder of recordings with their manifests
        #[arg(value_name = "FILE|DIR")]
        path: PathBuf,
        /// The box's key, or its short form; without it any box's word is taken, and whose it is, is said
        #[arg(long)]
        key: Option<String>,
        /// Demand only recordings that begin from here on, such as 2026-05-01T12:00:00Z
        #[arg(long)]
        from: Option<String>,
        /// Demand only recordings that begin before
        #[arg(long)]
        to: Option<String>,
    },
    /// Run the motion detector over a video file
    Motion {
        /// Any video file
        file: PathBuf,
        /// One JSON object a line: a line an analysed frame, then a line an event
        #[arg(long)]
        json: bool,
        /// Frames a second that are looked at
        #[arg(long, default_value_t = f64::from(MotionConfig::default().fps))]
        fps: f64,
        /// 0 to 1
        #[arg(long, default_value_t = MotionConfig::default().sensitivity)]
        sensitivity: f32,
    },
    /// Write a backup of settings and people, sealed with a password from the terminal or one line of standard input
    Backup {
        #[command(flatten)]
        config: ConfigArg,
        /// The file to write; it must not exist
        #[arg(value_name = "FILE")]
        out: PathBuf,
    },
    /// Take settings and people of a backup, at the next start of the box
    RestoreSettings {
        #[command(flatten)]
        config: ConfigArg,
        /// The backup
        file: PathBuf,
    },
    /// Install an update and restart into it (card image only; as root or the user perch)
    Update {
        /// A .raucb file, or an https:// address
        #[arg(value_name = "FILE|URL")]
        source: String,
        /// Install the version that runs once more
        #[arg(long)]
        force: bool,
        /// Do not restart
        #[arg(long)]
        no_restart: bool,
    },
    /// Set up what the card asks for; run by the image at every start
    #[command(hide = true)]
    Setup {
        /// The FAT partition that the owner can write
        #[arg(long, value_name = "DIR", required_unless_present_any = ["wishes", "owned"])]
        boot_dir: Option<PathBuf>,
        /// Do what the owner asked for in the page, and nothing else
        #[arg(long)]
        wishes: bool,
        /// Tell the page which Wi-Fi network and SSH key are set, and nothing else
        #[arg(long, conflicts_with = "wishes")]
        owned: bool,
        /// Where the system's files are
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// Seconds to wait for a camera at the first start
        #[arg(long, default_value_t = 8)]
        wait_s: u64,
    },
}

/// What to try.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum DoctorAbout {
    /// The ways by which live pictures reach viewers: the house, IPv6, STUN, relays over UDP, TCP and TLS
    Live,
}

/// Some of the cameras.
#[derive(Clone, Debug, clap::Args)]
pub struct CamerasArg {
    /// A camera's id, for whoever is to find no other camera; may be given several times
    #[arg(long = "camera", value_name = "ID")]
    pub ids: Vec<String>,
}

/// What limits an account or device beside its cameras.
#[derive(Clone, Debug, clap::Args)]
pub struct LimitsArg {
    /// When it ends, such as 2026-12-24T18:00:00Z or 2026-12-24T19:00:00+01:00
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Live pictures alone: what is recorded stays closed
    #[arg(long)]
    pub live_only: bool,
}

/// What an account or device may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleArg {
    /// Everything
    Admin,
    /// Watch and look back
    Viewer,
}

impl From<RoleArg> for perch_domain::access::Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Admin => Self::Admin,
            RoleArg::Viewer => Self::Viewer,
        }
    }
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Make an account; the password is asked for, or is one line of standard input
    Add {
        /// Its name
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleArg,
        #[command(flatten)]
        cameras: CamerasArg,
        #[command(flatten)]
        limits: LimitsArg,
    },
    /// Set a new password and sign the account out everywhere
    Passwd {
        /// Its name
        name: String,
    },
    /// List accounts
    List,
    /// Remove an account and sign it out everywhere
    Remove {
        /// Its name
        name: String,
    },
}

/// What to do with stream passwords.
#[derive(Debug, Subcommand)]
pub enum StreamPasswordAction {
    /// Make one; it is printed this once, with each camera's URL
    Add {
        /// Its name, which is also the user name for the player
        name: String,
        #[command(flatten)]
        cameras: CamerasArg,
    },
    /// List them
    List,
    /// Remove one; its readers are closed
    Remove {
        /// Its name
        name: String,
    },
}
