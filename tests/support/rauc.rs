//! A RAUC that is played by the test, on a bus of its own: real D-Bus, made-up bundles. The tests of `src/update` use it too.
#![allow(clippy::disallowed_methods, reason = "the bus is a process")]
#![allow(missing_docs, reason = "the macro of an interface makes public methods")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedValue, Value};

/// A bus that nobody else is on.
pub struct PrivateBus {
    daemon: Child,
    pub address: String,
}

impl PrivateBus {
    pub fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed: `make setup` does it");
        let mut address = String::new();
        let out = daemon.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut address).expect("its address");
        Self { daemon, address: address.trim().to_owned() }
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What the played service was asked.
pub type Asked = Arc<Mutex<Vec<String>>>;

/// A RAUC whose bundles are text files: `version board`, or `tampered`, or with a third word that makes the installation fail.
#[derive(Default)]
pub struct FakeRauc {
    pub asked: Asked,
    progress: Arc<AtomicU32>,
    last_error: Arc<Mutex<String>>,
}

impl FakeRauc {
    /// Puts it on a bus; what it is asked stands in the list.
    pub async fn serve(address: &str) -> (zbus::Connection, Asked) {
        let asked = Asked::default();
        let fake = Self { asked: asked.clone(), ..Self::default() };
        let builder = zbus::connection::Builder::address(address).expect("an address");
        let builder = builder.name("de.pengutronix.rauc").expect("a name").serve_at("/", fake).expect("served");
        (builder.build().await.expect("on the bus"), asked)
    }
}

fn read(source: &str) -> Vec<String> {
    let text = match source.strip_prefix("https://") {
        Some(address) => address.rsplit('/').next().unwrap_or_default().replace('_', " "),
        None => std::fs::read_to_string(source).unwrap_or_default(),
    };
    text.split_whitespace().map(str::to_owned).collect()
}

/// What RAUC 1.13 takes about how a bundle is reached.
const ACCESS_KEYS: [&str; 5] = ["tls-cert", "tls-key", "tls-ca", "tls-no-verify", "http-headers"];
/// And of how it is installed.
const INSTALL_KEYS: [&str; 3] = ["ignore-compatible", "ignore-version-limit", "transaction-id"];

/// Refuses what RAUC 1.13 refuses: it passes over no key.
fn known(args: &HashMap<String, OwnedValue>, keys: &[&str]) -> zbus::fdo::Result<()> {
    match args.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(zbus::fdo::Error::InvalidArgs(format!("Unsupported key: {key}"))),
        None => Ok(()),
    }
}

#[zbus::interface(name = "de.pengutronix.rauc.Installer")]
impl FakeRauc {
    fn inspect_bundle(
        &self,
        source: &str,
        args: HashMap<String, OwnedValue>,
    ) -> zbus::fdo::Result<HashMap<String, OwnedValue>> {
        known(&args, &ACCESS_KEYS)?;
        self.asked.lock().expect("lock").push(format!("inspect {source}"));
        let words = read(source);
        if words.len() < 2 {
            return Err(zbus::fdo::Error::Failed("signature verification failed: Verify error:\n bad digest".into()));
        }
        let own = |v: Value<'_>| v.try_to_owned().expect("no file descriptors");
        let update = HashMap::from([
            ("version", Value::from(words[0].as_str())),
            ("compatible", Value::from(words[1].as_str())),
            ("description", Value::from("made up")),
        ]);
        Ok(HashMap::from([
            ("manifest-hash".to_owned(), own(Value::from("beef"))),
            // RAUC 1.13 puts a variant into the variant.
            ("update".to_owned(), own(Value::Value(Box::new(Value::from(update))))),
            ("images".to_owned(), own(Value::from(vec![1u32]))),
        ]))
    }

    async fn install_bundle(
        &self,
        source: &str,
        args: HashMap<String, OwnedValue>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<()> {
        known(&args, &[&ACCESS_KEYS[..], &INSTALL_KEYS].concat())?;
        self.asked.lock().expect("lock").push(format!("install {source}"));
        let fails = read(source).get(2).cloned();
        self.progress.store(50, Ordering::SeqCst);
        let result = i32::from(fails.is_some());
        *self.last_error.lock().expect("lock") = fails.unwrap_or_default();
        let emitter = emitter.to_owned();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            Self::completed(&emitter, result).await.expect("sent");
        });
        Ok(())
    }

    fn mark(&self, state: &str, slot_identifier: &str) -> (String, String) {
        self.asked.lock().expect("lock").push(format!("mark {state} {slot_identifier}"));
        ("rootfs.1".into(), "marked slot(s) rootfs.1 as good".into())
    }

    #[zbus(signal)]
    async fn completed(emitter: &SignalEmitter<'_>, result: i32) -> zbus::Result<()>;

    #[zbus(property)]
    fn operation(&self) -> String {
        "idle".into()
    }

    #[zbus(property)]
    fn last_error(&self) -> String {
        self.last_error.lock().expect("lock").clone()
    }

    #[zbus(property)]
    fn progress(&self) -> (i32, String, i32) {
        (self.progress.load(Ordering::SeqCst) as i32, "Copying image".into(), 1)
    }

    #[zbus(property)]
    fn compatible(&self) -> String {
        "board".into()
    }
}
