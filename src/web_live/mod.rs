//! Live pictures over HTTPS: who asks for which stream of a camera, and the packagers that make it. One packager serves all who watch a stream,
//! begins with the first and ends when nobody asks any more. What is kept and listed is decided in `domain::live_window`.

mod packager;
mod stream;

pub use packager::Packagers;

use crate::camera::Camera;
use crate::camera_set::CameraSet;
use bytes::Bytes;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::CameraId;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::live_hls::{LiveFile, LiveView, WAITS};
use perch_domain::live_window::{InWindow, LiveWindow, Reload};
use perch_domain::ports::{Later, WebLivePort};
use perch_domain::stream_choice::StreamChoice;
use perch_domain::web_viewers::{WebAsker, WebRequest, WebTransport, WebViewer, WebViewers};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use stream::LiveStream;
use tokio::sync::mpsc;

/// Streams that may wait to be packaged; each waits for a moment.
const STARTING: usize = 64;

/// The way to the packagers.
pub struct WebLive {
    set: Arc<CameraSet>,
    clock: SharedClock,
    streams: Mutex<Streams>,
    viewers: Arc<Mutex<WebViewers>>,
    start: mpsc::Sender<Arc<LiveStream>>,
}

/// Those that are packaged.
#[derive(Default)]
struct Streams {
    all: BTreeMap<(CameraId, LiveView), Arc<LiveStream>>,
    /// From here on no number was given by one that is over.
    free: u64,
}

impl Streams {
    /// Lets go what is over, and what is not `kept`.
    fn sweep(&mut self, kept: impl Fn(&LiveStream) -> bool) {
        let free = &mut self.free;
        self.all.retain(|_, stream| {
            let stays = !stream.is_over() && kept(stream);
            if !stays {
                *free = (*free).max(stream.look(LiveWindow::free));
            }
            stays
        });
    }
}

/// Counts its viewer as one that waits for an answer until this is dropped.
struct Asking {
    viewers: Arc<Mutex<WebViewers>>,
    clock: SharedClock,
    request: WebRequest,
}

impl Drop for Asking {
    fn drop(&mut self) {
        lock(&self.viewers).answered(self.request, self.clock.mono());
    }
}

impl WebLive {
    /// Watches over the cameras of `set`; the packagers are to be run.
    pub fn new(set: Arc<CameraSet>, clock: SharedClock) -> (Arc<Self>, Packagers) {
        let (start, starting) = mpsc::channel(STARTING);
        let packagers = Packagers::new(starting, clock.clone());
        let (streams, viewers) = Default::default();
        (Arc::new(Self { set, clock, streams, viewers, start }), packagers)
    }

    fn ask(&self, by: &WebAsker, what: (WebTransport, &CameraId, LiveView)) -> Result<Asking> {
        let (transport, camera, view) = what;
        let now = (self.clock.mono(), self.clock.utc());
        let request = lock(&self.viewers).ask(by, (transport, camera, view.stream), now)?;
        Ok(Asking { viewers: self.viewers.clone(), clock: self.clock.clone(), request })
    }

    /// The camera, where it can give pictures. Errors with `NotFound`, and with `Unavailable` and why there are none.
    fn camera(&self, id: &CameraId) -> Result<Arc<Camera>> {
        let camera = self.set.get(id)?;
        let info = camera.info();
        match camera.config.off.is_some() || info.health.state.is_hopeless() {
            true => Err(Error::new(ErrorKind::Unavailable, info.no_picture())),
            false => Ok(camera),
        }
    }

    /// The stream as it is packaged now, or from now on. That of a camera that was switched off and on meanwhile is another one.
    fn stream(&self, id: &CameraId, view: LiveView) -> Result<Arc<LiveStream>> {
        let camera = self.camera(id)?;
        let mut streams = lock(&self.streams);
        // Of what is gone nobody holds the fan-out any more.
        streams.sweep(|stream| stream.hub().is_some_and(|hub| hub.camera() != id || Arc::ptr_eq(&hub, &camera.hub)));
        let key = (id.clone(), view);
        if let Some(stream) = streams.all.get(&key) {
            return Ok(stream.clone());
        }
        let has_sound = view.sound && camera.capture.offers_now().has_audio;
        let window = LiveWindow::new(view, camera.hub.memory().gop_bytes, self.clock.utc(), streams.free);
        let stream = Arc::new(LiveStream::new(&camera.hub, view, has_sound, window, self.clock.mono()));
        let starts = self.start.try_send(stream.clone());
        starts.map_err(|_| Error::new(ErrorKind::Unavailable, "too many live streams begin at once: try again"))?;
        streams.all.insert(key, stream.clone());
        Ok(stream)
    }

    /// What `look` finds of a stream, once it is there. Errors with `Unavailable` where it does not come in time, and with `gone` where it never will.
    async fn wait_for<T>(
        &self,
        stream: &LiveStream,
        look: impl Fn(&LiveWindow) -> InWindow<T>,
        gone: impl FnOnce() -> Error,
    ) -> Result<T> {
        let mut changes = stream.follow(self.clock.mono());
        let looking = async {
            loop {
                if stream.is_over() {
                    let why = "the live stream broke off: it begins anew at the next request";
                    return Err(Error::new(ErrorKind::Unavailable, why));
                }
                match stream.look(&look) {
                    InWindow::There(found) => return Ok(Some(found)),
                    InWindow::Never => return Ok(None),
                    InWindow::Soon => changes.next().await,
                }
            }
        };
        let found = within(&self.clock, WAITS, looking).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Unavailable, "the camera gives no picture at the moment: try again"))
        })?;
        found.ok_or_else(gone)
    }
}

impl WebLivePort for WebLive {
    fn view(&self, camera: &CameraId, choice: StreamChoice, sound: bool) -> Result<LiveView> {
        self.camera(camera)?.capture.offers_now().over_https(choice, sound)
    }

    fn playlist(
        &self,
        by: WebAsker,
        camera: &CameraId,
        view: LiveView,
        reload: Option<Reload>,
    ) -> Later<'_, Result<String>> {
        let camera = camera.clone();
        Box::pin(async move {
            let _asking = self.ask(&by, (WebTransport::Hls, &camera, view))?;
            let stream = self.stream(&camera, view)?;
            let far = || Error::invalid("`_HLS_msn` is far ahead of the live stream: ask for the playlist without it");
            self.wait_for(&stream, |window| window.playlist(reload), far).await
        })
    }

    fn file(&self, by: WebAsker, camera: &CameraId, view: LiveView, file: LiveFile) -> Later<'_, Result<Vec<Bytes>>> {
        let camera = camera.clone();
        Box::pin(async move {
            let _asking = self.ask(&by, (WebTransport::Hls, &camera, view))?;
            let gone = || Error::not_found("this piece of the live stream is over: ask for the playlist again");
            // Nothing is begun for whoever asks for a piece without a playlist.
            self.camera(&camera)?;
            let stream = lock(&self.streams).all.get(&(camera.clone(), view)).cloned().ok_or_else(gone)?;
            if !stream.is_of(&self.camera(&camera)?.hub) {
                return Err(gone());
            }
            self.wait_for(&stream, |window| window.file(file), gone).await
        })
    }

    fn who_watches(&self) -> Vec<WebViewer> {
        lock(&self.viewers).all(self.clock.mono())
    }
}
