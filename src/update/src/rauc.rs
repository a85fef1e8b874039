//! The update service, RAUC, by D-Bus (its reference, "D-Bus API"). It checks signatures and writes slots; it runs as root and
//! believes nobody. What it says is made fit for people here.

use futures_util::StreamExt;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::update::{Bundle, clean};
use std::collections::HashMap;
use std::time::Duration;
use zbus::zvariant::{OwnedValue, Value};

/// How long RAUC may take over a question; a bundle that is streamed from a slow server takes long.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// How often the progress is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Questions in a row that may stay without an answer before the service counts as gone.
const SILENT: u32 = 10;

/// Where the service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// The system's bus.
    #[default]
    System,
    /// Another one, for tests.
    Address(String),
}

#[zbus::proxy(
    interface = "de.pengutronix.rauc.Installer",
    default_service = "de.pengutronix.rauc",
    default_path = "/",
    gen_blocking = false
)]
trait Installer {
    fn inspect_bundle(&self, source: &str, args: HashMap<&str, Value<'_>>)
    -> zbus::Result<HashMap<String, OwnedValue>>;
    fn install_bundle(&self, source: &str, args: HashMap<&str, Value<'_>>) -> zbus::Result<()>;
    fn mark(&self, state: &str, slot_identifier: &str) -> zbus::Result<(String, String)>;

    #[zbus(signal)]
    fn completed(&self, result: i32) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn operation(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn last_error(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> zbus::Result<(i32, String, i32)>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn compatible(&self) -> zbus::Result<String>;
}

/// A connection to the service.
pub struct Rauc(InstallerProxy<'static>);

impl Rauc {
    /// Connects. Errors with `Unavailable`.
    pub async fn connect(bus: &Bus) -> Result<Self> {
        let connecting = async {
            let connection = match bus {
                Bus::System => zbus::Connection::system().await?,
                Bus::Address(address) => zbus::connection::Builder::address(address.as_str())?.build().await?,
            };
            InstallerProxy::new(&connection).await
        };
        within(connecting)
            .await
            .map(Self)
            .map_err(|e| service_error(e, ErrorKind::Unavailable, "the update service cannot be reached"))
    }

    /// What the service takes bundles for.
    pub async fn compatible(&self) -> Result<String> {
        let asked = within(self.0.compatible()).await;
        asked
            .map(|c| clean(&c))
            .map_err(|e| service_error(e, ErrorKind::Unavailable, "the update service does not answer"))
    }

    /// Checks the signature of a bundle (a path or an address) and reads what it says of itself. Errors: `Invalid` when the service
    /// refuses it, `Unavailable`.
    pub async fn inspect(&self, source: &str) -> Result<Bundle> {
        let info = within(self.0.inspect_bundle(source, HashMap::new())).await;
        let info = info.map_err(|e| service_error(e, ErrorKind::Invalid, "this is no update that the box accepts"))?;
        let update: HashMap<String, OwnedValue> = info
            .get("update")
            .and_then(dictionary)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the update service does not say what the update is"))?;
        Ok(Bundle {
            version: text(&update, "version"),
            compatible: text(&update, "compatible"),
            description: text(&update, "description"),
        })
    }

    /// Installs a bundle into the slot that does not run. `progress` is called with 0 to 100 and what is being done. An address may
    /// give another bundle than the one that was inspected: RAUC checks signature, board and version of that one itself (RAUC
    /// 1.13 has no way to name the one that is meant). Errors with a sentence.
    pub async fn install(&self, source: &str, progress: impl Fn(u32, &str)) -> Result<()> {
        let failed = "the update could not be installed";
        // Listened to before it begins, so that its end is not missed.
        let mut completed =
            within(self.0.receive_completed()).await.map_err(|e| service_error(e, ErrorKind::Unavailable, failed))?;
        let started = within(self.0.install_bundle(source, HashMap::new())).await;
        started.map_err(|e| service_error(e, ErrorKind::Conflict, failed))?;
        let mut silent = 0;
        let result = loop {
            tokio::select! {
                signal = completed.next() => match signal.as_ref().map(|s| s.args()) {
                    Some(Ok(args)) => break *args.result(),
                    _ => return Err(Error::new(ErrorKind::Unavailable, format!("{failed}: the update service is gone"))),
                },
                // Real time, here and below: the update service is another process.
                () = tokio::time::sleep(ASK_EVERY) => match within(self.0.progress()).await {
                    Ok((percent, doing, _)) => {
                        silent = 0;
                        progress(percent.clamp(0, 100) as u32, &clean(&doing));
                    }
                    Err(e) => {
                        silent += 1;
                        if silent >= SILENT {
                            return Err(service_error(e, ErrorKind::Unavailable, failed));
                        }
                    }
                },
            }
        };
        if result == 0 {
            progress(100, "installed");
            return Ok(());
        }
        let why = within(self.0.last_error()).await.map(|e| clean(&e)).unwrap_or_default();
        let why = if why.is_empty() { format!("the update service ended with {result}") } else { why };
        Err(Error::new(ErrorKind::Unavailable, format!("{failed}: {why}")))
    }

    /// Keeps the slot that runs for good.
    pub async fn mark_good(&self) -> Result<()> {
        let marked = within(self.0.mark("good", "booted")).await;
        let (slot, message) =
            marked.map_err(|e| service_error(e, ErrorKind::Unavailable, "the running slot cannot be marked good"))?;
        tracing::info!(slot, message, "the running system is kept");
        Ok(())
    }
}

/// A dictionary, which RAUC hands over in a variant within the variant.
fn dictionary(value: &OwnedValue) -> Option<HashMap<String, OwnedValue>> {
    let mut value = Value::from(value.try_clone().ok()?);
    while let Value::Value(inner) = value {
        value = *inner;
    }
    OwnedValue::try_from(value).ok()?.try_into().ok()
}

/// A text of a dictionary; absent or another type: empty.
fn text(dict: &HashMap<String, OwnedValue>, key: &str) -> String {
    dict.get(key).and_then(|v| v.downcast_ref::<&str>().ok()).map(clean).unwrap_or_default()
}

async fn within<T>(asked: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(zbus::Error::Failure("no answer within two minutes".into())),
    }
}

/// The service's error as a sentence; `kind` and `what` are for what the service itself refuses.
fn service_error(e: zbus::Error, kind: ErrorKind, what: &str) -> Error {
    let zbus::Error::MethodError(name, description, _) = &e else {
        return Error::new(ErrorKind::Unavailable, format!("{what}: {}", clean(&e.to_string())));
    };
    match name.as_str() {
        "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
            Error::new(ErrorKind::Unavailable, "the update service (RAUC) does not run on this box")
        }
        "org.freedesktop.DBus.Error.AccessDenied" => Error::new(
            ErrorKind::Forbidden,
            "this user may not ask the update service: run this as root or as the user perch",
        ),
        _ => {
            let why = clean(description.as_deref().unwrap_or("it does not say why"));
            Error::new(kind, format!("{what}: {why}"))
        }
    }
}
