//! `perch user` and `perch stream-password`.

use crate::cli::{StreamPasswordAction, UserAction};
use crate::config::Config;
use perch_base::clock::{Clock, SystemClock};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::access::{CameraGrant, Grant, GrantLimits, check_password};
use perch_domain::media::Stream;
use perch_domain::ports::AccessPort;
use perch_domain::rtsp_address::Player;
use perch_domain::running::{RunningBox, RunningCamera};
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Accounts.
pub fn user(config: Option<&Path>, action: UserAction) -> Result<ExitCode> {
    let config = Config::load(config)?;
    let store = super::open_store(&config)?;
    let accounts = store.accounts();
    match action {
        UserAction::Add { name, role, cameras, limits } => {
            let name = perch_domain::account_name::read_account_name("user", &name)?;
            let cameras = super::granted(&cameras.ids, &super::cameras(&store, &config)?)?;
            let now = SystemClock.utc();
            let grant = Grant::new(role.into(), cameras)?.within(super::limits(&limits, now)?)?;
            let password = read_password()?;
            accounts.add_user(&name, &password, &grant, None, now)?;
            say!("Account `{name}` was made{}{}.", limit(grant.cameras()), within(grant.limits()));
        }
        UserAction::Passwd { name } => {
            let password = read_password()?;
            let revoked = accounts.set_password(&name, &password, None)?;
            say!("The password of `{name}` was set; {} signed-in devices were signed out.", revoked.len());
            super::ring(&config.data_dir);
        }
        UserAction::List => {
            for u in accounts.users()? {
                let limits = format!("{}{}", limit(&u.cameras), within(u.limits));
                say!("{:32}  {:6}  since {}{limits}", u.name, u.role.as_str(), u.created_at);
            }
        }
        UserAction::Remove { name } => {
            let revoked = accounts.remove_user(&name)?;
            say!("Account `{name}` was removed; {} devices were signed out.", revoked.len());
            super::ring(&config.data_dir);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Stream passwords.
pub fn stream_password(config: Option<&Path>, action: StreamPasswordAction) -> Result<ExitCode> {
    let config = Config::load(config)?;
    let store = super::open_store(&config)?;
    let accounts = store.accounts();
    match action {
        StreamPasswordAction::Add { name, cameras } => {
            let known = super::cameras(&store, &config)?;
            let grant = super::granted(&cameras.ids, &known)?;
            let password = accounts.add_stream_password(&name, &grant, SystemClock.utc())?;
            super::ring(&config.data_dir);
            say!("User {name}, password {} (it is shown this once)\n", password.expose());
            // As the box last ran: this command may have been given no config.
            let running = store.meta().word()?;
            let host = running.as_ref().map_or("localhost", RunningBox::host);
            let port = running.as_ref().and_then(|r| r.rtsp_port).unwrap_or(config.rtsp.listen.port());
            for RunningCamera { id, name: camera } in known.iter().filter(|camera| grant.includes(&camera.id)) {
                let player = Player { is_tls: false, name: &name, password: password.expose(), host, port };
                let [main, sub] = Stream::ALL.map(|stream| player.url(id, stream));
                say!("  {camera:32}  {main}\n  {:32}  {sub}", "");
            }
        }
        StreamPasswordAction::List => {
            for p in accounts.stream_passwords()? {
                say!("{:32}  since {}{}", p.name, p.created_at, limit(&p.cameras));
            }
        }
        StreamPasswordAction::Remove { name } => {
            accounts.remove_stream_password(&name)?;
            say!("Stream password `{name}` was removed.");
            super::ring(&config.data_dir);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a list says of a grant that is not for all cameras.
fn limit(cameras: &CameraGrant) -> String {
    super::limit(cameras).map(|names| format!(" for {names}")).unwrap_or_default()
}

/// What is said of a grant that is limited otherwise.
fn within(limits: GrantLimits) -> String {
    let live = if limits.live_only { ", live pictures alone" } else { "" };
    let end = limits.expires_at.map(|end| format!(", until {end}")).unwrap_or_default();
    format!("{live}{end}")
}

/// From the terminal twice without echo, or one line of standard input.
pub(super) fn read_password() -> Result<String> {
    let password = if std::io::stdin().is_terminal() {
        let first = prompt("Password: ")?;
        check_password(&first)?;
        if prompt("Again: ")? != first {
            return Err(Error::invalid("the two passwords differ"));
        }
        first
    } else {
        read_line()?
    };
    check_password(&password)?;
    Ok(password)
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context(ErrorKind::Io, || "standard input cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn prompt(text: &str) -> Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let failed = || "the terminal cannot be set to hide the password";
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).context(ErrorKind::Io, failed)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    // Who does not see the question may know it.
    let _ = write!(std::io::stderr(), "{text}");
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).context(ErrorKind::Io, failed)?;
    let line = read_line();
    tcsetattr(&stdin, OptionalActions::Flush, &before).context(ErrorKind::Io, failed)?;
    complain!("");
    line
}
