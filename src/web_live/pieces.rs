//! A file of a live stream on its way to a player, piece by piece: until its source breaks off, and not for ever.

use super::asking::Asking;
use super::stream::LiveStream;
use bytes::Bytes;
use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::live_hls::READ_WITHIN;
use perch_domain::live_window::LiveWindow;
use perch_domain::ports::LivePieces;
use std::sync::{Arc, Mutex};
use std::vec::IntoIter;
use tokio::task::AbortHandle;

/// One file.
pub struct FilePieces {
    stream: Arc<LiveStream>,
    /// How often the window had forgotten when they were taken out of it.
    of: u64,
    left: Arc<Mutex<Option<Left>>>,
    lapses: AbortHandle,
}

/// What is to come; whoever reads it is counted as long.
struct Left {
    pieces: IntoIter<Bytes>,
    _asking: Asking,
}

impl FilePieces {
    /// Of `stream`, when it had broken off `of` times. What is not read in time is let go, whether it is asked for or not. Must be called inside a
    /// runtime.
    pub fn new(stream: Arc<LiveStream>, of: u64, pieces: Vec<Bytes>, asking: Asking, clock: SharedClock) -> Self {
        let left = Arc::new(Mutex::new(Some(Left { pieces: pieces.into_iter(), _asking: asking })));
        let lapsing = left.clone();
        let lapses = tokio::spawn(async move {
            clock.sleep(READ_WITHIN).await;
            let late = lock(&lapsing).take();
            drop(late);
        });
        Self { stream, of, left, lapses: lapses.abort_handle() }
    }
}

impl LivePieces for FilePieces {
    fn bytes_left(&self) -> usize {
        lock(&self.left).iter().flat_map(|left| left.pieces.as_slice()).map(Bytes::len).sum()
    }

    fn next(&mut self) -> Option<Result<Bytes>> {
        let ended = |why| Some(Err(Error::new(ErrorKind::Unavailable, why)));
        if self.stream.look(LiveWindow::forgotten) != self.of {
            return ended("the live stream broke off while it was read");
        }
        match &mut *lock(&self.left) {
            Some(left) => left.pieces.next().map(Ok),
            None => ended("a piece of the live stream was read too slowly to be live"),
        }
    }
}

impl Drop for FilePieces {
    fn drop(&mut self) {
        self.lapses.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web_live::packaged::Packaged;
    use perch_base::clock::{Clock, ManualClock};
    use perch_base::ids::{CameraId, DeviceId};
    use perch_domain::access::{CameraGrant, GrantLimits, Principal, Role};
    use perch_domain::live_hls::LiveView;
    use perch_domain::media::Stream;
    use perch_domain::viewers::ViewerLimits;
    use perch_domain::web_viewers::{WebAsker, WebTransport, WebViewers};
    use perch_media::fanout::Hub;

    struct Rig {
        clock: Arc<ManualClock>,
        stream: Arc<LiveStream>,
        viewers: Arc<Mutex<WebViewers>>,
    }

    impl Rig {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::default());
            let hub = Hub::new(CameraId::new("front").expect("valid"), clock.clone());
            let view = LiveView { stream: Stream::Main, sound: false };
            let window = LiveWindow::new(view, 1 << 20, clock.utc(), 0);
            let stream = Arc::new(LiveStream::new(&hub, view, false, window, clock.mono()));
            Self { clock, stream, viewers: Arc::new(Mutex::new(WebViewers::new(ViewerLimits::default()))) }
        }

        fn pieces(&self) -> FilePieces {
            let who = Principal {
                device_id: DeviceId::random(),
                device_name: "phone".into(),
                username: None,
                role: Role::Viewer,
                cameras: CameraGrant::All,
                limits: GrantLimits::NONE,
            };
            let (by, camera) = (WebAsker { who, remote: String::new() }, CameraId::new("front").expect("valid"));
            let what = (WebTransport::Hls, &camera, Stream::Main);
            let request = lock(&self.viewers).ask(&by, what, (self.clock.mono(), self.clock.utc())).expect("let in");
            let asking = Asking::new(self.viewers.clone(), self.clock.clone(), request);
            let all = vec![Bytes::from_static(b"moof"), Bytes::from_static(b"mdat")];
            FilePieces::new(self.stream.clone(), 0, all, asking, self.clock.clone())
        }
    }

    #[tokio::test]
    async fn what_is_taken_out_is_handed_on_until_its_source_breaks_off() {
        let rig = Rig::new();
        let (mut whole, mut broken) = (rig.pieces(), rig.pieces());
        assert_eq!(whole.bytes_left(), 8);
        let read: Vec<Bytes> = std::iter::from_fn(|| whole.next()).map(|piece| piece.expect("there")).collect();
        assert_eq!(read, ["moof", "mdat"]);
        broken.next().expect("a piece").expect("there");
        rig.stream.break_off();
        let why = broken.next().expect("an end").expect_err("not shown any more");
        assert!(why.message().contains("broke off"), "{why}");
    }

    #[tokio::test]
    async fn whoever_does_not_read_holds_nothing_for_ever() {
        let rig = Rig::new();
        let mut slow = rig.pieces();
        slow.next().expect("a piece").expect("there");
        // The timer begins to wait.
        tokio::task::yield_now().await;
        rig.clock.advance(READ_WITHIN);
        while slow.bytes_left() > 0 {
            tokio::task::yield_now().await;
        }
        let why = slow.next().expect("an end").expect_err("too late");
        assert!(why.message().contains("too slowly"), "{why}");
        rig.clock.advance(READ_WITHIN);
        assert!(lock(&rig.viewers).all(rig.clock.mono()).is_empty(), "it is not counted any more either");
    }
}
