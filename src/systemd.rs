//! Tells systemd how the box is (sd_notify(3)): a datagram with a line a fact. Without systemd nothing happens.

use perch_base::clock::SharedClock;
use perch_base::repeated::Repeated;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where systemd listens, if it does.
#[derive(Clone)]
pub struct Notifier {
    address: Option<SocketAddr>,
    clock: SharedClock,
    /// Signs of life come every few seconds.
    failures: Arc<Repeated>,
}

impl Notifier {
    /// Where the environment says.
    pub fn from_env(clock: &SharedClock) -> Self {
        Self::new(std::env::var_os("NOTIFY_SOCKET"), clock)
    }

    /// A path, or a name in Linux's abstract namespace behind `@`.
    fn new(name: Option<OsString>, clock: &SharedClock) -> Self {
        let address = name.and_then(|name| match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
            [b'/', ..] => SocketAddr::from_pathname(&name).ok(),
            _ => None,
        });
        Self { address, clock: clock.clone(), failures: Arc::default() }
    }

    /// The ports are open.
    pub fn ready(&self, status: &str) {
        self.notify(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// What `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.notify(&format!("STATUS={}", one_line(status)));
    }

    /// The box drains.
    pub fn stopping(&self) {
        self.notify("STOPPING=1\nSTATUS=sealing files, closing connections");
    }

    /// All parts make progress.
    pub fn alive(&self) {
        self.notify("WATCHDOG=1");
    }

    fn notify(&self, message: &str) {
        let Some(address) = &self.address else { return };
        let sent: io::Result<usize> =
            UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(message.as_bytes(), address));
        match sent {
            Ok(_) => {
                if let Some(repeats) = self.failures.ended() {
                    tracing::info!(repeats, "systemd is notified again of how the box is");
                }
            }
            Err(e) if self.failures.is_news(&e, self.clock.mono()) => {
                tracing::warn!(error = %e, "systemd cannot be notified of how the box is");
            }
            Err(_) => {}
        }
    }
}

/// Whether this process is a service of systemd, which starts it again.
pub fn is_service() -> bool {
    is_service_by(|name| std::env::var_os(name), std::process::id())
}

/// A service hears where it is listened to (sd_notify(3)), or is the very process that systemd started (systemd.exec(5), SYSTEMD_EXEC_PID).
/// That there is an INVOCATION_ID says nothing: shells and what they start inherit it, and would end for good.
fn is_service_by(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> bool {
    variable("NOTIFY_SOCKET").is_some_and(|name| !name.is_empty())
        || variable("SYSTEMD_EXEC_PID").is_some_and(|of| of == *pid.to_string())
}

/// How often systemd wants a sign of life from this process at least (sd_watchdog_enabled(3)).
pub fn watchdog() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    // Another process of the unit may be meant.
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|us| *us > 0).map(Duration::from_micros)
}

/// The folder that systemd made for this unit's run-time files, such as `/run/perch`.
pub fn runtime_directory() -> Option<PathBuf> {
    let list = std::env::var_os("RUNTIME_DIRECTORY")?;
    std::env::split_paths(&list).next().filter(|dir| dir.is_absolute())
}

/// A line break would begin a fact of its own.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::ManualClock;

    fn notifier(name: Option<OsString>) -> Notifier {
        let clock: SharedClock = Arc::new(ManualClock::default());
        Notifier::new(name, &clock)
    }

    #[test]
    fn a_shell_of_systemd_is_no_service() {
        for (variables, want) in [
            (&[][..], false),
            (&[("INVOCATION_ID", "0123"), ("SYSTEMD_EXEC_PID", "41")], false),
            (&[("SYSTEMD_EXEC_PID", "42")], true),
            (&[("NOTIFY_SOCKET", "/run/systemd/notify")], true),
            (&[("NOTIFY_SOCKET", "")], false),
        ] {
            let of = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
            assert_eq!(is_service_by(of, 42), want, "{variables:?}");
        }
    }

    #[test]
    fn systemd_is_notified_line_by_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let notifier = notifier(Some(path.into_os_string()));
        let heard = || {
            let mut buf = [0; 256];
            let n = socket.recv(&mut buf).expect("sent");
            String::from_utf8_lossy(&buf[..n]).into_owned()
        };
        notifier.ready("perch\nMAINPID=1");
        assert_eq!(heard(), "READY=1\nSTATUS=perch MAINPID=1");
        notifier.alive();
        assert_eq!(heard(), "WATCHDOG=1");
        notifier.stopping();
        assert!(heard().starts_with("STOPPING=1\n"));
    }

    #[test]
    fn abstract_names_are_understood_and_nobody_listening_is_fine() {
        let name = format!("perch-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("bound");
        notifier(Some(format!("@{name}").into())).alive();
        let mut buf = [0; 16];
        assert_eq!(socket.recv(&mut buf).expect("sent"), "WATCHDOG=1".len());
        notifier(None).alive();
        notifier(Some("/no/such/socket".into())).alive();
        assert!(notifier(Some("nonsense".into())).address.is_none());
    }

    #[test]
    fn that_systemd_is_not_there_is_logged_once_until_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        let notifier = notifier(Some(path.clone().into_os_string()));
        (0..4).for_each(|_| notifier.alive());
        assert_eq!(notifier.failures.ended(), Some(3), "one was logged");
        notifier.alive();
        let _socket = UnixDatagram::bind(&path).expect("bound");
        notifier.alive();
        assert_eq!(notifier.failures.ended(), None, "it was heard");
    }
}
