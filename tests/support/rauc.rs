//! A RAUC that is played by the test, on a bus of its own: real D-Bus, made-up bundles. The tests of `src/update` use it too.
#![allow(clippy::disallowed_methods, reason = "the bus is a process")]

use gio::glib::{self, MainContext, MainLoop, Variant, VariantDict};
use gio::prelude::*;
use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// A RAUC whose bundles are text files: `version board`, or `tampered`, or with a third word that makes the installation fail
/// (`crash`: the service goes away over it).
pub struct FakeRauc {
    main_loop: MainLoop,
    thread: Option<JoinHandle<()>>,
}

/// What it is to D-Bus.
const INTERFACE: &str = r#"<node><interface name="de.pengutronix.rauc.Installer">
  <method name="InspectBundle"><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/><arg type="a{sv}" direction="out"/></method>
  <method name="InstallBundle"><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/></method>
  <method name="Mark"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="out"/><arg type="s" direction="out"/></method>
  <signal name="Completed"><arg type="i"/></signal>
  <property name="Operation" type="s" access="read"/>
  <property name="LastError" type="s" access="read"/>
  <property name="Progress" type="(isi)" access="read"/>
  <property name="Compatible" type="s" access="read"/>
</interface></node>"#;

impl FakeRauc {
    /// Puts it on a bus; what it is asked stands in the list.
    pub fn serve(address: &str) -> (Self, Asked) {
        let asked = Asked::default();
        let context = MainContext::new();
        let main_loop = MainLoop::new(Some(&context), false);
        let (ready, is_ready) = mpsc::channel();
        let (list, runs, address) = (asked.clone(), main_loop.clone(), address.to_owned());
        let thread = std::thread::spawn(move || {
            let serve = || {
                let connection = register(&address, list, runs.clone());
                ready.send(()).expect("waited for");
                runs.run();
                let _ = connection.close_sync(gio::Cancellable::NONE);
            };
            context.with_thread_default(serve).expect("a context of its own");
        });
        is_ready.recv().expect("on the bus");
        (Self { main_loop, thread: Some(thread) }, asked)
    }
}

impl Drop for FakeRauc {
    fn drop(&mut self) {
        self.main_loop.quit();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Connects to a bus as a program of its own.
pub fn connect(address: &str) -> gio::DBusConnection {
    let flags = gio::DBusConnectionFlags::AUTHENTICATION_CLIENT | gio::DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    gio::DBusConnection::for_address_sync(address, flags, None, gio::Cancellable::NONE).expect("on the bus")
}

/// Calls a method and waits for the answer.
pub fn call(
    on: &gio::DBusConnection,
    name: &str,
    path: &str,
    method: &str,
    args: Variant,
) -> Result<Variant, glib::Error> {
    let (interface, method) = method.rsplit_once('.').expect("interface.method");
    let flags = gio::DBusCallFlags::NONE;
    on.call_sync(Some(name), path, interface, method, Some(&args), None, flags, 10_000, gio::Cancellable::NONE)
}

/// What goes on in the service.
#[derive(Default)]
struct Service {
    percent: i32,
    last_error: String,
}

fn register(address: &str, asked: Asked, main_loop: MainLoop) -> gio::DBusConnection {
    let connection = connect(address);
    let node = gio::DBusNodeInfo::for_xml(INTERFACE).expect("well formed");
    let interface = node.lookup_interface("de.pengutronix.rauc.Installer").expect("described");
    let service = Rc::new(RefCell::new(Service::default()));
    let shown = service.clone();
    let registered = connection
        .register_object("/", &interface)
        .method_call(move |connection, _, _, _, method, args, invocation| {
            let note = |text: String| asked.lock().expect("lock").push(text);
            let answer = match method {
                "InspectBundle" => inspect(&args, note),
                "InstallBundle" => install(&args, note, &mut service.borrow_mut(), &connection, &main_loop),
                _ => {
                    let (state, slot) = args.get::<(String, String)>().expect("two texts");
                    note(format!("mark {state} {slot}"));
                    Ok(Some(("rootfs.1", "marked slot(s) rootfs.1 as good").to_variant()))
                }
            };
            invocation.return_result(answer);
        })
        .property(move |_, _, _, _, name| match name {
            "Operation" => "idle".to_variant(),
            "LastError" => shown.borrow().last_error.to_variant(),
            "Progress" => (shown.borrow().percent, "Copying image", 1).to_variant(),
            _ => "board".to_variant(),
        })
        .build();
    registered.expect("registered");
    let bus = "org.freedesktop.DBus";
    call(&connection, bus, "/", "org.freedesktop.DBus.RequestName", ("de.pengutronix.rauc", 0u32).to_variant())
        .expect("the name");
    connection
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

/// The source that is asked for. Refuses what RAUC 1.13 refuses: it passes over no key.
fn source(args: &Variant, keys: &[&str]) -> Result<String, glib::Error> {
    for entry in args.child_value(1).iter() {
        let key = entry.child_value(0).get::<String>().expect("a{sv}");
        if !keys.contains(&key.as_str()) {
            return Err(glib::Error::new(gio::DBusError::InvalidArgs, &format!("Unsupported key: {key}")));
        }
    }
    Ok(args.child_value(0).get().expect("a text"))
}

type Answer = Result<Option<Variant>, glib::Error>;

fn inspect(args: &Variant, note: impl Fn(String)) -> Answer {
    let source = source(args, &ACCESS_KEYS)?;
    note(format!("inspect {source}"));
    let words = read(&source);
    if words.len() < 2 {
        let why = "signature verification failed: Verify error:\n bad digest";
        return Err(glib::Error::new(gio::DBusError::Failed, why));
    }
    let update = VariantDict::new(None);
    update.insert("version", words[0].as_str());
    update.insert("compatible", words[1].as_str());
    update.insert("description", "made up");
    let info = VariantDict::new(None);
    info.insert("manifest-hash", "beef");
    // RAUC 1.13 puts a variant into the variant.
    info.insert_value("update", &Variant::from_variant(&update.end()));
    info.insert("images", [1u32].as_slice());
    Ok(Some(Variant::tuple_from_iter([info.end()])))
}

fn install(
    args: &Variant,
    note: impl Fn(String),
    service: &mut Service,
    connection: &gio::DBusConnection,
    main_loop: &MainLoop,
) -> Answer {
    let source = source(args, &[&ACCESS_KEYS[..], &INSTALL_KEYS].concat())?;
    note(format!("install {source}"));
    let fails = read(&source).get(2).cloned().unwrap_or_default();
    *service = Service { percent: 50, last_error: fails.clone() };
    let (connection, main_loop) = (connection.clone(), main_loop.clone());
    let end = move || match fails.as_str() {
        "crash" => main_loop.quit(),
        why => {
            let result = (i32::from(!why.is_empty()),).to_variant();
            let interface = "de.pengutronix.rauc.Installer";
            connection.emit_signal(None, "/", interface, "Completed", Some(&result)).expect("emitted");
        }
    };
    let here = MainContext::ref_thread_default();
    here.spawn_local(async move {
        glib::timeout_future(Duration::from_millis(1500)).await;
        end();
    });
    Ok(None)
}
