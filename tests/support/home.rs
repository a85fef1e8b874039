//! A box as a process: where it lives (config, data, ports) and the running daemon with what it says.

use super::client::Client;
use super::{s, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a box may take until it answers: the first start of a machine scans GStreamer's plugins.
const START: Duration = Duration::from_secs(60);

/// The ports of a box, all on loopback.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub http: u16,
    pub plain: u16,
    pub rtsp: u16,
    pub udp: u16,
}

impl Ports {
    /// Free ports below those that systems hand out by themselves, so that a restarted box finds its own again.
    pub fn free() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let here = |port: u16| (Ipv4Addr::LOCALHOST, port);
        let is_free = |port| TcpListener::bind(here(port)).is_ok() && UdpSocket::bind(here(port)).is_ok();
        let mut ports = std::iter::repeat_with(|| {
            let n = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(211));
            20_000 + (n % 12_000) as u16
        })
        .filter(|p| is_free(*p));
        let mut next = || ports.next().expect("endless");
        Self { http: next(), plain: next(), rtsp: next(), udp: next() }
    }
}

/// A camera's section, small enough for many tests at once: software encodes every picture.
pub fn camera(id: &str, source: &str, more: &str) -> String {
    format!(
        "[[camera]]\nid = {id:?}\nname = \"Camera {id}\"\nsource = {source:?}\nwidth = 320\nheight = 180\nfps = 15\n\
         bitrate_kbps = 500\nsub = {{ width = 160, height = 90, fps = 10, bitrate_kbps = 150 }}\n{more}\n"
    )
}

/// Where a box lives. It outlives the processes that run in it.
pub struct Home {
    dir: tempfile::TempDir,
    pub ports: Ports,
    data: PathBuf,
    /// What is run in the binary's place.
    program: Option<PathBuf>,
}

impl Home {
    /// A fresh folder with free ports and this config: `[recording]` with no least free space, then `rest`.
    pub fn new(rest: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        let home = Self { dir, ports: Ports::free(), data, program: None };
        home.configure("[recording]\nmin_free_bytes = 0\n", rest);
        home
    }

    /// The same with its data elsewhere.
    pub fn with_data(data: &Path, rest: &str) -> Self {
        let mut home = Self::new("");
        home.data = data.to_owned();
        home.configure("[recording]\nmin_free_bytes = 0\n", rest);
        home
    }

    /// Runs `program` from now on, which must run the binary with what it is given.
    pub fn run_by(&mut self, program: PathBuf) {
        self.program = Some(program);
    }

    /// Writes the config: `sections` and `cameras` after the parts that make it run here.
    pub fn configure(&self, sections: &str, cameras: &str) {
        let Ports { http, plain, rtsp, udp } = self.ports;
        // Without a camera a box has its default one, which is large.
        let top = if cameras.contains("[[camera]]") { "" } else { "camera = []\n" };
        let text = format!(
            "{top}[box]\nname = \"Box under test\"\ndata_dir = {:?}\n[http]\nlisten = \"127.0.0.1:{http}\"\n\
             plain_listen = \"127.0.0.1:{plain}\"\n\
             [rtsp]\nlisten = \"127.0.0.1:{rtsp}\"\n[webrtc]\nudp_listen = \"127.0.0.1:{udp}\"\n{sections}\n{cameras}",
            self.data.display().to_string()
        );
        self.write_config(&text);
    }

    /// Writes the whole config as it is.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.config(), text).expect("the config is written");
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("perch.toml")
    }

    pub fn config_text(&self) -> String {
        std::fs::read_to_string(self.config()).expect("the config is read")
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder for a test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Every recorded file of a camera, in order of time.
    pub fn recordings(&self, camera: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let days = std::fs::read_dir(self.data.join("recordings").join(camera)).into_iter().flatten().flatten();
        for day in days {
            let files = std::fs::read_dir(day.path()).into_iter().flatten().flatten().map(|f| f.path());
            found.extend(files.filter(|f| f.extension().is_some_and(|e| e == "mp4")));
        }
        found.sort();
        found
    }

    /// A `perch` command with this config: `perch ARGS… --config FILE`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.program {
            Some(program) => without_own_settings(Command::new(program), args),
            None => perch(args),
        };
        command.arg("--config").arg(self.config());
        command
    }

    /// Runs a command to its end with `input` on standard input.
    pub fn run(&self, args: &[&str], input: &str) -> Ran {
        Ran::of(self.command(args), input)
    }

    /// Starts the daemon and does not wait for it.
    pub fn start(&self) -> BoxProcess {
        BoxProcess::start(self, &[])
    }

    /// Starts the daemon with these variables and waits until it answers.
    pub fn boot_with(&self, env: &[(&str, PathBuf)]) -> BoxProcess {
        let mut running = BoxProcess::start(self, env);
        running.wait_until_ready();
        running
    }

    /// Starts the daemon and waits until it answers.
    pub fn boot(&self) -> BoxProcess {
        let mut running = self.start();
        running.wait_until_ready();
        running
    }
}

/// The built binary, or the one that `PERCH_TEST_BINARY` names, with nothing of this process's own settings.
pub fn perch(args: &[&str]) -> Command {
    let binary = std::env::var_os("PERCH_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_perch").into());
    without_own_settings(Command::new(binary), args)
}

fn without_own_settings(mut command: Command, args: &[&str]) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PERCH_")) {
        command.env_remove(name);
    }
    command.args(args).env("NO_COLOR", "1");
    command
}

/// A command that ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Runs it with `input` on standard input.
    pub fn of(mut command: Command, input: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        // A command that refuses early does not read its input.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().expect("the command ends");
        let text = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Panics unless it ended well; gives its output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    /// Output streams that are still open.
    open: u32,
}

/// A running daemon.
pub struct BoxProcess {
    child: Child,
    said: Arc<(Mutex<Said>, Condvar)>,
    pub ports: Ports,
    data: PathBuf,
    ended: Option<ExitStatus>,
}

impl BoxProcess {
    fn start(home: &Home, env: &[(&str, PathBuf)]) -> Self {
        let mut child = home
            .command(&["run"])
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let said = Arc::new((Mutex::new(Said { open: 2, ..Said::default() }), Condvar::new()));
        follow(child.stdout.take().expect("piped"), said.clone());
        follow(child.stderr.take().expect("piped"), said.clone());
        Self { child, said, ports: home.ports, data: home.data.clone(), ended: None }
    }

    /// Waits until it answers on every port.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        // Either is printed once every port is open.
        let printed =
            self.wait_for_line("One-time password:|Perch answers at|no one-time password could be made", START);
        assert!(printed.is_some(), "the box did not start:\n{}", self.log());
        let client = self.client();
        wait_until("the box answers", s(10), || client.try_send("GET", "/healthz", &[], b"").ok());
    }

    /// The first line, of those said already or still to come, that holds one of `words` (divided by `|`). `None`: it ended or
    /// `within` passed.
    pub fn wait_for_line(&self, words: &str, within: Duration) -> Option<String> {
        let deadline = Instant::now() + within;
        let mut said = self.said.0.lock().expect("no reader panicked");
        let mut seen = 0;
        loop {
            let found = said.lines[seen..].iter().find(|l| words.split('|').any(|w| l.contains(w)));
            if let Some(line) = found {
                return Some(line.clone());
            }
            seen = said.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if said.open == 0 || left.is_zero() {
                return None;
            }
            said = self.said.1.wait_timeout(said, left).expect("no reader panicked").0;
        }
    }

    /// Everything it said so far.
    pub fn log(&self) -> String {
        self.said.0.lock().expect("no reader panicked").lines.join("\n")
    }

    /// The one-time password on its console.
    #[track_caller]
    pub fn otp(&self) -> String {
        otp_of(&self.log())
    }

    /// The fingerprint of its CA as its console shows it: 64 hex digits.
    #[track_caller]
    pub fn ca_sha256(&self) -> String {
        let log = self.log();
        let after = log.split("certificate authority, SHA-256:").nth(1).expect("the card shows the fingerprint");
        let hex: String = after.chars().filter(char::is_ascii_hexdigit).take(64).collect();
        hex.to_ascii_lowercase()
    }

    /// A client without a credential.
    pub fn client(&self) -> Client {
        Client::new(self.ports.http, &self.data.join("tls/ca.pem"))
    }

    /// A client that paired with the code on the console: an admin.
    #[track_caller]
    pub fn paired(&self) -> Client {
        self.client().pair(&self.otp(), "test phone")
    }

    pub fn rtsp_url(&self, user: &str, password: &str, path: &str) -> String {
        format!("rtsp://{user}:{password}@127.0.0.1:{}/{path}", self.ports.rtsp)
    }

    pub fn udp(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.udp).into()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would end the process.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.ended = self.child.wait().ok();
    }

    /// Asks it to end, and waits for it. Panics when it takes longer than it may.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.wait(s(15))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let status = wait_until("the daemon ends", within, || self.child.try_wait().expect("its state can be asked"));
        // What it said last is still on its way through the pipes.
        wait_until("its output ends", s(5), || {
            (self.said.0.lock().expect("no reader panicked").open == 0).then_some(())
        });
        self.ended = Some(status);
        status
    }
}

impl Drop for BoxProcess {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().filter(|l| !l.contains('█')).collect();
            eprintln!("--- what the box said last\n{}\n---", tail[tail.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// The one-time password of a pairing card.
#[track_caller]
pub fn otp_of(text: &str) -> String {
    let after = text.rsplit("One-time password:").next().filter(|a| a.len() < text.len()).expect("a card with a code");
    let digits: String = after.chars().take_while(|c| *c != '(').filter(char::is_ascii_digit).collect();
    assert!((6..=12).contains(&digits.len()), "{digits}");
    digits
}

fn follow(stream: impl Read + Send + 'static, said: Arc<(Mutex<Said>, Condvar)>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            said.0.lock().expect("no reader panicked").lines.push(text);
            said.1.notify_all();
            line.clear();
        }
        said.0.lock().expect("no reader panicked").open -= 1;
        said.1.notify_all();
    });
}
