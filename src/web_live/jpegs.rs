//! A camera's small stream as JPEG pictures for all who watch it by MJPEG: encoded from the first who watches on, until a little after the last.

use super::asking::Asking;
use crate::camera::Camera;
use bytes::Bytes;
use perch_base::clock::{SharedClock, within};
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::mjpeg::{ENCODES_ON, MOST_PICTURES, PICTURE_WITHIN, PicturePace};
use perch_domain::network_camera::Aspect;
use perch_domain::ports::{Later, PictureFeed};
use perch_media::capture::JpegEncoder;
use perch_media::fanout::Hub;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether anybody still watches.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is shown now, shared by the encoder and all who watch.
pub struct JpegStream {
    hub: Weak<Hub>,
    aspect: Option<Aspect>,
    newest: watch::Sender<Newest>,
    state: Mutex<State>,
}

/// The newest picture; nothing before the first, and where what came is not to be shown any more.
#[derive(Clone, Debug, Default)]
struct Newest {
    number: u64,
    jpeg: Option<Bytes>,
}

#[derive(Debug, Default)]
struct State {
    watching: usize,
    /// Since when nobody does.
    alone_since: MonoTime,
    /// Why it is over.
    over: Option<String>,
}

impl JpegStream {
    /// Nothing yet.
    pub fn new(camera: &Camera, now: MonoTime) -> Self {
        Self {
            hub: Arc::downgrade(&camera.hub),
            aspect: camera.config.aspect,
            newest: watch::Sender::new(Newest::default()),
            state: Mutex::new(State { alone_since: now, ..State::default() }),
        }
    }

    /// Whether it goes on, and is of this fan-out.
    pub fn goes_on_for(&self, hub: &Arc<Hub>) -> bool {
        lock(&self.state).over.is_none() && self.hub.upgrade().is_some_and(|own| Arc::ptr_eq(&own, hub))
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        lock(&self.state).over.is_some()
    }

    /// Nothing more comes, for this reason.
    pub fn end(&self, why: &str) {
        lock(&self.state).over.get_or_insert_with(|| why.to_owned());
        self.newest.send_modify(|newest| newest.jpeg = None);
    }

    /// Encodes until nobody watches any more.
    pub async fn encode(self: &Arc<Self>, encoder: &JpegEncoder, clock: &SharedClock) -> Result<()> {
        let Some(hub) = self.hub.upgrade() else { return Ok(()) };
        let camera = hub.camera().clone();
        tracing::debug!(%camera, "the small stream is encoded as JPEG");
        let shown = self.clone();
        let sink = Box::new(move |jpeg: Option<Bytes>| {
            shown.newest.send_modify(|newest| {
                newest.number += u64::from(jpeg.is_some());
                newest.jpeg = jpeg;
            });
        });
        let nobody = async {
            while !self.is_idle(clock.mono()) {
                clock.sleep(LOOK_EVERY).await;
            }
        };
        let ended = encoder.encode(&hub, (self.aspect, MOST_PICTURES), sink, nobody).await;
        tracing::debug!(%camera, "the small stream is encoded as JPEG no more");
        ended
    }

    fn is_idle(&self, now: MonoTime) -> bool {
        let state = lock(&self.state);
        state.watching == 0 && now.since(state.alone_since) >= ENCODES_ON
    }
}

/// Somebody who watches.
pub struct JpegWatcher {
    stream: Arc<JpegStream>,
    changes: watch::Receiver<Newest>,
    seen: u64,
    pace: PicturePace,
    clock: SharedClock,
    _asking: Asking,
}

impl JpegWatcher {
    /// At most `fps` pictures a second.
    pub fn new(stream: Arc<JpegStream>, fps: u32, clock: SharedClock, asking: Asking) -> Self {
        lock(&stream.state).watching += 1;
        let changes = stream.newest.subscribe();
        let pace = PicturePace::new(fps, clock.mono());
        Self { stream, changes, seen: 0, pace, clock, _asking: asking }
    }

    async fn wait(&mut self) -> Result<Bytes> {
        self.clock.sleep_until(self.pace.due()).await;
        loop {
            if let Some(why) = &lock(&self.stream.state).over {
                return Err(Error::new(ErrorKind::Unavailable, why.clone()));
            }
            let newest = self.changes.borrow_and_update().clone();
            if let Some(jpeg) = newest.jpeg.filter(|_| newest.number > self.seen) {
                self.seen = newest.number;
                self.pace.took(self.clock.mono());
                return Ok(jpeg);
            }
            // The sender lives as long as the stream.
            let _ = self.changes.changed().await;
        }
    }
}

impl PictureFeed for JpegWatcher {
    fn next(&mut self) -> Later<'_, Result<Bytes>> {
        Box::pin(async move {
            let clock = self.clock.clone();
            let none = || Error::new(ErrorKind::Unavailable, "the camera gives no picture at the moment: try again");
            within(&clock, PICTURE_WITHIN, self.wait()).await.unwrap_or_else(|| Err(none()))
        })
    }
}

impl Drop for JpegWatcher {
    fn drop(&mut self) {
        let mut state = lock(&self.stream.state);
        state.watching = state.watching.saturating_sub(1);
        state.alone_since = self.clock.mono();
    }
}
