//! What every handler shares, and the one way to call a port: on a blocking thread.

use crate::authority::Authority;
use crate::config::{AccessChange, Config, Ports};
use crate::guard::Guard;
use crate::problem::{Problem, Reply};
use crate::revoke::Revocations;
use crate::streams::OpenStreams;
use perch_base::clock::within;
use perch_base::ids::DeviceId;
use perch_base::repeated::Repeated;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::cut_off::{CutOff, Moment, Viewer};
use perch_domain::identity::{host_as_named, host_for_others, host_in_url, host_to_invite};
use serde_json::Value;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tracing::Instrument;

/// Whether the ports answer is asked at most this often, since anybody may ask.
const HEALTH_FOR: Duration = Duration::from_secs(1);
/// How long the ports may take over it.
const HEALTH_WITHIN: Duration = Duration::from_secs(5);

/// Shared by all handlers.
pub(crate) type Shared = Arc<AppState>;

/// The server's state.
pub(crate) struct AppState {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    /// The port that was bound.
    pub(crate) port: u16,
    /// The OpenAPI document.
    pub(crate) document: Value,
    pub(crate) guard: Guard,
    pub(crate) revocations: Revocations,
    /// True once the server drains: streams that never end by themselves end then.
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) streams: OpenStreams,
    /// Why requests cannot be answered for now: a page that polls asks every few seconds.
    unanswered: Repeated,
    /// When it was asked last whether the ports answer, and whether they did.
    health: Mutex<Option<(MonoTime, bool)>>,
}

/// What [`AppState`] is made of beyond the defaults.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    pub(crate) port: u16,
    pub(crate) document: Value,
    pub(crate) draining: watch::Receiver<bool>,
}

impl AppState {
    /// Whether it is to be logged that something cannot be answered, and why: whoever asked asks again.
    pub(crate) fn is_news(&self, why: impl Display) -> bool {
        self.unanswered.is_news(why, self.ports.clock.mono())
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            config: parts.config,
            ports: parts.ports,
            port: parts.port,
            document: parts.document,
            guard: Guard::new(),
            revocations: Revocations::default(),
            draining: parts.draining,
            streams: OpenStreams::new(),
            unanswered: Repeated::default(),
            health: Mutex::new(None),
        }
    }

    /// Whether a `Host` header names this box.
    pub(crate) fn answers_to(&self, authority: &str) -> bool {
        Authority::parse(authority).is_some_and(|named| self.ports.identity.names().answers_to(&named.host))
    }

    /// The addresses by which the box is reached with TLS, by number and by its name in the local network: few, as the page asks each.
    pub(crate) fn origins(&self) -> Vec<String> {
        let identity = &self.ports.identity;
        let names = identity.names();
        let local = names.dns.iter().filter(|name| name.ends_with(".local")).cloned();
        // A content security policy knows no addresses of IPv6 (CSP 3, section 2.3.1).
        let numbers = identity.reachable().into_iter().filter(|a| a.is_ipv4() && !a.is_loopback()).take(3);
        let numbers = numbers.map(host_in_url);
        let here = self.config.http.listen.ip().is_loopback().then(|| ["localhost".to_owned(), "127.0.0.1".to_owned()]);
        let hosts = here.into_iter().flatten().chain(numbers).chain(local);
        hosts.map(|host| format!("https://{host}:{}", self.port)).collect()
    }

    /// The host by which other machines reach this box.
    pub(crate) fn reachable_host(&self) -> String {
        host_for_others(self.config.http.listen.ip(), &self.ports.identity.reachable())
    }

    /// The same for somebody who called it `named`.
    pub(crate) fn public_host(&self, named: &Authority) -> String {
        host_as_named(&named.host, self.config.http.listen.ip(), &self.ports.identity.reachable())
    }

    /// The host in an invitation by somebody who called it `named`.
    pub(crate) fn invites_to(&self, named: &Authority) -> String {
        let identity = &self.ports.identity;
        host_to_invite(&named.host, &identity.names(), self.config.http.listen.ip(), &identity.reachable())
    }

    /// This moment, on both clocks.
    pub(crate) fn moment(&self) -> Moment {
        Moment { utc: self.ports.clock.utc(), mono: self.ports.clock.mono() }
    }

    /// Whether this device is cut off, by whom and until when.
    pub(crate) fn cut_off_of(&self, device: DeviceId) -> Option<CutOff> {
        lock(&self.ports.cut_offs).of(&Viewer::Device(device), self.moment())
    }

    /// Ends everything that devices have open which lost their credential or some of what they were granted. To be called on a
    /// blocking thread. Errors when live pictures of one could not be ended; that is tried again until they are.
    pub(crate) fn cut_off(&self, devices: &[DeviceId]) -> Result<()> {
        // What this server sends itself ends first, and for all.
        devices.iter().for_each(|device| self.revocations.announce(*device));
        let ended = devices.iter().map(|device| self.access_changed(AccessChange::DeviceRevoked(*device)));
        ended.fold(Ok(()), Result::and)
    }

    /// Tells the other transports. Errors when one could not obey; that is tried again until it does.
    pub(crate) fn access_changed(&self, change: AccessChange) -> Result<()> {
        // Why not was logged where it is tried again.
        (self.ports.on_access_change)(change).map_err(|_| {
            let message = "the access was taken away, but what is being watched with it could not be ended yet: it is tried again until it is";
            Error::new(ErrorKind::Unavailable, message)
        })
    }

    /// Whether the ports answer.
    pub(crate) async fn healthy(self: &Arc<Self>) -> bool {
        let clock = &self.ports.clock;
        let known = *lock(&self.health);
        if let Some((at, ok)) = known
            && clock.mono().since(at) < HEALTH_FOR
        {
            return ok;
        }
        let check = blocking(self, |app| {
            let filter = perch_domain::archive::EventFilter { limit: 1, ..Default::default() };
            app.ports.archive.events(&filter)?;
            Ok(app.ports.cameras.cameras().len())
        });
        let ok = matches!(within(clock, HEALTH_WITHIN, check).await, Some(Ok(_)));
        *lock(&self.health) = Some((clock.mono(), ok));
        ok
    }
}

/// Runs `work` (calls of ports, which may wait for a disk) on a blocking thread. A panic in it is an internal error.
pub(crate) async fn blocking<T: Send + 'static>(
    app: &Shared,
    work: impl FnOnce(&AppState) -> Result<T> + Send + 'static,
) -> Reply<T> {
    let app = Arc::clone(app);
    perch_base::blocking("answering a request", move || work(&app)).await.map_err(Problem::from)
}

/// Runs `work`, which whoever asked for it cannot break off by hanging up: what is begun is followed, too. `what` names it in errors.
pub(crate) async fn to_its_end<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work.in_current_span()).await;
    ended.map_err(|e| Error::internal(format!("{what} broke off")).with_source(e))?
}

/// Something that touches a disk whenever it is used and when it is dropped: all of it happens on blocking threads, also when the
/// client goes away in the middle.
pub(crate) struct OnDisk<T: Send + 'static> {
    what: &'static str,
    value: Option<T>,
}

impl<T: Send + 'static> OnDisk<T> {
    /// `what` names it in errors.
    pub(crate) fn new(what: &'static str, value: T) -> Self {
        Self { what, value: Some(value) }
    }

    fn take(&mut self) -> Result<T> {
        self.value.take().ok_or_else(|| Error::internal(format!("{} is used after its end", self.what)))
    }

    /// Works with it; both come back.
    pub(crate) async fn work<R: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<(R, Self)> {
        let (what, mut value) = (self.what, self.take()?);
        perch_base::blocking(what, move || Ok((work(&mut value), Self::new(what, value)))).await
    }

    /// Ends it.
    pub(crate) async fn finish<R: Send + 'static>(
        mut self,
        work: impl FnOnce(T) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let value = self.take()?;
        perch_base::blocking(self.what, move || work(value)).await
    }
}

impl<T: Send + 'static> Drop for OnDisk<T> {
    fn drop(&mut self) {
        if let (Some(value), Ok(runtime)) = (self.value.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::ThreadId;

    #[tokio::test]
    async fn what_is_begun_ends_though_nobody_waits_for_it() {
        let (open, opened) = tokio::sync::oneshot::channel();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let mut asked = Box::pin(to_its_end("a change", async move {
            opened.await.expect("opened");
            done.send(()).expect("waited for");
            Ok(())
        }));
        // Asked for, and hung up.
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context))).await.is_pending()
        );
        drop(asked);
        open.send(()).expect("it goes on");
        is_done.await.expect("done");
        let broken = to_its_end::<()>("a change", async { panic!("on purpose") }).await.expect_err("broken");
        assert_eq!(broken.message(), "a change broke off");
    }

    struct Tells(std::sync::mpsc::Sender<ThreadId>);

    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(std::thread::current().id());
        }
    }

    #[tokio::test]
    async fn what_is_on_disk_ends_on_another_thread() {
        let (tell, heard) = std::sync::mpsc::channel();
        let value = OnDisk::new("a value", Tells(tell));
        let (worked, value) = value.work(|_| std::thread::current().id()).await.expect("worked");
        assert_ne!(worked, std::thread::current().id());
        drop(value);
        let ended = tokio::task::spawn_blocking(move || heard.recv()).await.expect("joined").expect("dropped");
        assert_ne!(ended, std::thread::current().id());
    }

    #[tokio::test]
    async fn what_panicked_is_named() {
        let value = OnDisk::new("the upload", ());
        let Err(e) = value.work::<()>(|()| panic!("a defect")).await else { panic!("it went on") };
        assert_eq!((e.kind(), e.message()), (ErrorKind::Internal, "the upload panicked"));
    }
}
