//! Live pictures over HTTPS, by HLS and by MJPEG: who asks for which stream of a camera, and the packagers that make it. One serves all who watch
//! a stream, begins with the first and ends when nobody asks any more. What is kept and listed is decided in `domain::live_window`.

mod asking;
mod jpegs;
mod packaged;
mod packager;
mod pieces;
mod stream;

pub use packaged::Packaged;
pub use packager::{Packagers, package};

use crate::camera::Camera;
use crate::camera_set::CameraSet;
use asking::Asking;
use jpegs::{JpegStream, JpegWatcher};
use packager::ToBegin;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::CameraId;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::doctor::HttpsTry;
use perch_domain::live_hls::{LiveFile, LiveView, WAITS};
use perch_domain::live_window::{InWindow, LiveWindow, Reload};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::ports::{Later, LivePieces, PictureFeed, WebLivePort};
use perch_domain::stream_choice::StreamChoice;
use perch_domain::viewers::ViewerLimits;
use perch_domain::web_viewers::{WebAsker, WebTransport, WebViewer, WebViewers};
use perch_media::capture::JpegEncoder;
use perch_media::pipeline::Library;
use pieces::FilePieces;
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
    jpegs: Mutex<BTreeMap<CameraId, Arc<JpegStream>>>,
    start: mpsc::Sender<ToBegin>,
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

impl WebLive {
    /// Watches over the cameras of `set`; the packagers are to be run.
    pub fn new(
        set: Arc<CameraSet>,
        limits: ViewerLimits,
        library: Arc<Library>,
        clock: SharedClock,
    ) -> (Arc<Self>, Packagers) {
        let (start, starting) = mpsc::channel(STARTING);
        let packagers = Packagers::new(starting, JpegEncoder::new(library, clock.clone()), clock.clone());
        let viewers = Arc::new(Mutex::new(WebViewers::new(limits)));
        let (streams, jpegs) = Default::default();
        (Arc::new(Self { set, clock, streams, viewers, jpegs, start }), packagers)
    }

    /// So many may watch from now on.
    pub fn follow(&self, limits: ViewerLimits) {
        lock(&self.viewers).follow(limits);
    }

    fn ask(&self, by: &WebAsker, what: (WebTransport, &CameraId, Stream)) -> Result<Asking> {
        let now = (self.clock.mono(), self.clock.utc());
        let request = lock(&self.viewers).ask(by, what, now)?;
        Ok(Asking::new(self.viewers.clone(), self.clock.clone(), request))
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
        self.start(ToBegin::Hls(stream.clone()))?;
        streams.all.insert(key, stream.clone());
        Ok(stream)
    }

    fn start(&self, what: ToBegin) -> Result<()> {
        let busy = |_| Error::new(ErrorKind::Unavailable, "too many live streams begin at once: try again");
        self.start.try_send(what).map_err(busy)
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
            let _asking = self.ask(&by, (WebTransport::Hls, &camera, view.stream))?;
            let stream = self.stream(&camera, view)?;
            let far = || Error::invalid("`_HLS_msn` is far ahead of the live stream: ask for the playlist without it");
            self.wait_for(&stream, |window| window.playlist(reload), far).await
        })
    }

    fn file(
        &self,
        by: WebAsker,
        camera: &CameraId,
        view: LiveView,
        file: LiveFile,
    ) -> Later<'_, Result<Box<dyn LivePieces>>> {
        let camera = camera.clone();
        Box::pin(async move {
            let asking = self.ask(&by, (WebTransport::Hls, &camera, view.stream))?;
            let gone = || Error::not_found("this piece of the live stream is over: ask for the playlist again");
            // Nothing is begun for whoever asks for a piece without a playlist.
            self.camera(&camera)?;
            let stream = lock(&self.streams).all.get(&(camera.clone(), view)).cloned().ok_or_else(gone)?;
            if !stream.is_of(&self.camera(&camera)?.hub) {
                return Err(gone());
            }
            let look = |window: &LiveWindow| window.file(file).map(|pieces| (window.forgotten(), pieces));
            let (of, pieces) = self.wait_for(&stream, look, gone).await?;
            Ok(Box::new(FilePieces::new(stream, of, pieces, asking, self.clock.clone())) as Box<dyn LivePieces>)
        })
    }

    fn pictures(&self, by: WebAsker, camera: &CameraId, fps: u32) -> Result<Box<dyn PictureFeed>> {
        let of = self.camera(camera)?;
        if of.capture.offers_now().codec_of(Stream::Sub) != VideoCodec::H264 {
            let why = "pictures are made of a small stream in H.264: set the camera's codec to h264";
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        let asking = self.ask(&by, (WebTransport::Mjpeg, camera, Stream::Sub))?;
        let mut jpegs = lock(&self.jpegs);
        jpegs.retain(|_, stream| !stream.is_over());
        let stream = match jpegs.get(camera).filter(|stream| stream.goes_on_for(&of.hub)) {
            Some(stream) => stream.clone(),
            None => {
                let stream = Arc::new(JpegStream::new(&of, self.clock.mono()));
                self.start(ToBegin::Jpegs(stream.clone()))?;
                jpegs.insert(camera.clone(), stream.clone());
                stream
            }
        };
        Ok(Box::new(JpegWatcher::new(stream, fps, self.clock.clone(), asking)))
    }

    fn who_watches(&self) -> Vec<WebViewer> {
        lock(&self.viewers).all(self.clock.mono())
    }

    fn examine(&self) -> Later<'_, HttpsTry> {
        Box::pin(async move {
            let all = self.set.all();
            let Some(camera) = all.iter().find(|camera| self.camera(&camera.config.id).is_ok()) else {
                return HttpsTry::NoCamera;
            };
            let name = camera.config.name.clone();
            let tried = async {
                let view = self.view(&camera.config.id, StreamChoice::Auto, true)?;
                let stream = self.stream(&camera.config.id, view)?;
                let gone = || Error::internal("a playlist that waits for nothing was refused");
                self.wait_for(&stream, |window| window.playlist(None), gone).await
            };
            match tried.await {
                Ok(_) => HttpsTry::Came(name),
                Err(why) => HttpsTry::Failed(name, why.message().to_owned()),
            }
        })
    }
}
