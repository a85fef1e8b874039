//! The update service, RAUC, by D-Bus (its reference, "D-Bus API"). It checks signatures and writes slots; it runs as root and
//! believes nobody. What it says is for the log; `domain` has the sentences for people. Every call waits for its answer: call from a thread that may block.

use gio::glib::{self, ControlFlow, MainContext, Priority, Variant, VariantDict};
use gio::prelude::*;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::update::{Bundle, clean};
use perch_domain::update_attempt::{SILENT_FOR, SilenceWatch, reason};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often the progress is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

const SERVICE: &str = "de.pengutronix.rauc";
const PATH: &str = "/";
const INSTALLER: &str = "de.pengutronix.rauc.Installer";

/// Where the service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// The system's bus.
    #[default]
    System,
    /// Another one, for tests.
    Address(String),
}

/// A connection to the service.
pub struct Rauc(gio::DBusConnection);

impl Rauc {
    /// Connects. Errors with `Unavailable`.
    pub fn connect(bus: &Bus) -> Result<Self> {
        let connect = || {
            let address = match bus {
                Bus::System => gio::dbus_address_get_for_bus_sync(gio::BusType::System, gio::Cancellable::NONE)?,
                Bus::Address(address) => address.into(),
            };
            // A connection of its own: GLib ends the process when the one that it shares breaks.
            let flags =
                gio::DBusConnectionFlags::AUTHENTICATION_CLIENT | gio::DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
            gio::DBusConnection::for_address_sync(&address, flags, None, gio::Cancellable::NONE)
        };
        connect().map(Self).map_err(|e| explain(e, ErrorKind::Unavailable, "the update service cannot be reached"))
    }

    /// What the service takes bundles for.
    pub fn compatible(&self) -> Result<String> {
        let answer = self.property(SERVICE, "Compatible");
        let answer = answer.map_err(|e| explain(e, ErrorKind::Unavailable, "updates cannot be taken now"))?;
        Ok(clean(answer.str().unwrap_or_default()))
    }

    /// Checks the signature of a bundle (a path or an address) and reads what it says of itself. Errors: `Invalid` when the service
    /// refuses it, `Unavailable`.
    pub fn inspect(&self, source: &str) -> Result<Bundle> {
        let info = self.call(SERVICE, INSTALLER, "InspectBundle", &bundle_args(source));
        let info = info.map_err(|e| explain(e, ErrorKind::Invalid, "this is no update that the box accepts"))?;
        let update = dictionary(info.try_child_value(0))
            .and_then(|info| dictionary(info.lookup_value("update", None)))
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the update service does not say what the update is"))?;
        // Absent or of another type: empty.
        let text = |key| clean(&update.lookup::<String>(key).ok().flatten().unwrap_or_default());
        Ok(Bundle { version: text("version"), compatible: text("compatible"), description: text("description") })
    }

    /// Installs a bundle into the slot that does not run. `progress` is called with 0 to 100 and what is being done. An address may
    /// give another bundle than the one that was inspected: RAUC checks signature, board and version of that one itself (RAUC
    /// 1.13 has no way to name the one that is meant). Errors with a sentence.
    pub fn install(&self, source: &str, progress: impl Fn(u32, &str)) -> Result<()> {
        let context = MainContext::new();
        let install = || self.install_within(&context, source, progress);
        context
            .with_thread_default(install)
            .map_err(|e| Error::internal("signals of the update service cannot be received").with_source(e))?
    }

    /// Signals arrive while `context`, this thread's own, is run.
    fn install_within(&self, context: &MainContext, source: &str, progress: impl Fn(u32, &str)) -> Result<()> {
        let failed = "the update could not be installed";
        // The process that is asked, not whoever has the name later: one that crashed and was started again knows nothing of this.
        let service = self.process().map_err(|e| explain(e, ErrorKind::Unavailable, failed))?;
        // Subscribed before the start, so that the end is not missed.
        let completed = Rc::new(Cell::new(None));
        let end = completed.clone();
        let _subscription = self.0.subscribe_to_signal(
            Some(&service),
            Some(INSTALLER),
            Some("Completed"),
            Some(PATH),
            None,
            gio::DBusSignalFlags::NONE,
            move |signal| end.set(Some(signal.parameters.get::<(i32,)>().map_or(-1, |(result,)| result))),
        );
        let started = self.call(&service, INSTALLER, "InstallBundle", &bundle_args(source));
        started.map_err(|e| explain(e, ErrorKind::Conflict, failed))?;

        let tick = glib::timeout_source_new(ASK_EVERY, None, Priority::DEFAULT, || ControlFlow::Continue);
        tick.attach(Some(context));
        // Real time: the service is another process.
        let started = Instant::now();
        let now = || MonoTime(0) + started.elapsed();
        let mut silence = SilenceWatch::new(now());
        let result = loop {
            context.iteration(true);
            if let Some(result) = completed.get() {
                break Ok(result);
            }
            let Some(patience) = silence.patience(now()) else {
                let why = format!("{failed}: the update service does not answer any more");
                break Err(Error::new(ErrorKind::Unavailable, why));
            };
            match self.ask_progress(&service, patience) {
                Ok((percent, doing)) => {
                    silence.answered(now());
                    progress(percent, &doing);
                }
                Err(e) if is_gone(&e) || self.0.is_closed() => break Err(explain(e, ErrorKind::Unavailable, failed)),
                Err(e) => tracing::debug!(error = %e, "the update service does not say how far it is"),
            }
        };
        tick.destroy();
        let result = result?;
        if result == 0 {
            progress(100, "installed");
            return Ok(());
        }
        let why = self.property(&service, "LastError").map(|e| clean(e.str().unwrap_or_default())).unwrap_or_default();
        Err(refused(ErrorKind::Unavailable, failed, format!("the update service ended with {result}: {why}")))
    }

    /// How far it is, 0 to 100, and what it does.
    fn ask_progress(&self, service: &str, patience: Duration) -> Result<(u32, String), glib::Error> {
        let at = self.property_within(service, "Progress", patience)?;
        let (percent, doing, _) = at.get::<(i32, String, i32)>().unwrap_or_default();
        Ok((percent.clamp(0, 100) as u32, clean(&doing)))
    }

    /// Keeps the slot that runs for good.
    pub fn mark_good(&self) -> Result<()> {
        let marked = self.call(SERVICE, INSTALLER, "Mark", &("good", "booted").to_variant());
        let marked =
            marked.map_err(|e| explain(e, ErrorKind::Unavailable, "the running slot cannot be marked good"))?;
        let (slot, message) = marked.get::<(String, String)>().unwrap_or_default();
        tracing::info!(slot, message, "the running system is kept");
        Ok(())
    }

    /// The unique name of the process behind the service, which is started if need be.
    fn process(&self) -> Result<String, glib::Error> {
        self.property(SERVICE, "Operation")?;
        let bus = "org.freedesktop.DBus";
        let owner = self.call(bus, bus, "GetNameOwner", &(SERVICE,).to_variant())?;
        Ok(owner.get::<(String,)>().unwrap_or_default().0)
    }

    fn property(&self, service: &str, name: &str) -> Result<Variant, glib::Error> {
        self.property_within(service, name, SILENT_FOR)
    }

    fn property_within(&self, service: &str, name: &str, within: Duration) -> Result<Variant, glib::Error> {
        let args = (INSTALLER, name).to_variant();
        let answer = self.call_within(service, "org.freedesktop.DBus.Properties", "Get", &args, within)?;
        let value = answer.try_child_value(0).filter(|v| v.type_() == glib::VariantTy::VARIANT);
        Ok(value.and_then(|v| v.as_variant()).unwrap_or_else(|| ().to_variant()))
    }

    fn call(&self, service: &str, interface: &str, method: &str, args: &Variant) -> Result<Variant, glib::Error> {
        self.call_within(service, interface, method, args, SILENT_FOR)
    }

    fn call_within(
        &self,
        service: &str,
        interface: &str,
        method: &str,
        args: &Variant,
        within: Duration,
    ) -> Result<Variant, glib::Error> {
        // At least a millisecond: 0 is none, and less is for ever.
        let within = within.as_millis().clamp(1, i32::MAX as u128) as i32;
        let flags = gio::DBusCallFlags::NONE;
        self.0.call_sync(
            Some(service),
            PATH,
            interface,
            method,
            Some(args),
            None,
            flags,
            within,
            gio::Cancellable::NONE,
        )
    }
}

/// A bundle, reached and installed without anything special: `sa{sv}`.
fn bundle_args(source: &str) -> Variant {
    Variant::tuple_from_iter([source.to_variant(), VariantDict::new(None).end()])
}

/// A dictionary, which RAUC hands over in a variant within the variant.
fn dictionary(value: Option<Variant>) -> Option<VariantDict> {
    let mut value = value?;
    while value.type_() == glib::VariantTy::VARIANT {
        value = value.as_variant()?;
    }
    (value.type_() == glib::VariantTy::VARDICT).then(|| VariantDict::new(Some(&value)))
}

/// Whether nobody is there who could answer.
fn is_gone(e: &glib::Error) -> bool {
    e.matches(gio::DBusError::ServiceUnknown) || e.matches(gio::DBusError::NameHasNoOwner)
}

/// The service's error as a sentence; `kind` and `what` are for what the service itself refuses.
fn explain(mut e: glib::Error, kind: ErrorKind, what: &str) -> Error {
    if is_gone(&e) {
        return Error::new(ErrorKind::Unavailable, "the update service (RAUC) does not run on this box");
    }
    if e.matches(gio::DBusError::AccessDenied) {
        let why = "this user may not ask the update service: run this as root or as the user perch";
        return Error::new(ErrorKind::Forbidden, why);
    }
    let is_said = gio::DBusError::is_remote_error(&e);
    gio::DBusError::strip_remote_error(&mut e);
    let why = clean(e.message());
    if !is_said {
        // The bus failed: its words are about sockets.
        let message = format!("{what}: the update service cannot be asked");
        return Error::new(ErrorKind::Unavailable, message).with_inside(why);
    }
    refused(kind, what, why)
}

/// What the service refused or failed at; its own `words` are for the inside.
fn refused(kind: ErrorKind, what: &str, words: String) -> Error {
    Error::new(kind, format!("{what}: {}", reason(&words))).with_inside(words)
}
