//! What makes something else of a camera's small stream has in common: how it is started, what leads into its decoder, and a gate that lets nothing out of before the
//! camera broke off, as it does when privacy masks change.

use super::decoding::{installed, spare};
use super::flow::Signal;
use super::running::Running;
use super::threads::Threads;
use super::turned::flip;
use crate::encoders::encoded;
use crate::fanout::{Delivery, Receipt, Sink};
use crate::pipeline::{self, Library};
use gstreamer as gst;
use gstreamer_app as gst_app;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::media::{Track, VideoCodec};
use perch_domain::orientation::Orientation;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Pictures that may wait for the decoder. What is more is dropped up to the next start.
const DECODING: u64 = 30;
/// Stands where nothing of what comes is to be let out.
const NOTHING: MonoTime = MonoTime(i64::MAX);

/// Takes each thing as it is made, and nothing where what was made is not to be shown any more. It is called under a lock, and returns at once.
pub(super) type Out<T> = Box<dyn Fn(Option<T>) + Send + Sync>;

/// Lets out what may be shown.
pub(super) struct Gate<T> {
    /// How often the camera broke off, and from when on things are from after that.
    open: Mutex<(u64, MonoTime)>,
    out: Out<T>,
}

impl<T> Gate<T> {
    /// Lets out everything until the camera breaks off.
    pub fn new(out: Out<T>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::new((0, MonoTime(i64::MIN))), out })
    }

    /// Something was made of the picture of the moment `at`.
    pub fn pass(&self, at: MonoTime, made: T) {
        let open = lock(&self.open);
        if at >= open.1 {
            (self.out)(Some(made));
        }
    }

    /// Nothing more of before. Returns how often that was.
    fn close(&self) -> u64 {
        let mut open = lock(&self.open);
        *open = (open.0 + 1, NOTHING);
        (self.out)(None);
        open.0
    }

    /// Pictures of a moment from `at` on came after it broke off for the `breaks`th time.
    fn open(&self, breaks: u64, at: MonoTime) {
        let mut open = lock(&self.open);
        if open.0 == breaks && open.1 == NOTHING {
            open.1 = at;
        }
    }
}

/// The hub's end of it: each packet comes with how often the camera had broken off before.
pub(super) struct Exit<T> {
    queue: mpsc::Sender<(u64, Delivery)>,
    gate: Arc<Gate<T>>,
    breaks: u64,
}

impl<T> Exit<T> {
    /// Packets go into `queue`.
    pub fn new(queue: mpsc::Sender<(u64, Delivery)>, gate: &Arc<Gate<T>>) -> Self {
        Self { queue, gate: gate.clone(), breaks: 0 }
    }
}

impl<T: Send> Sink for Exit<T> {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        match self.queue.try_send((self.breaks, delivery)) {
            Ok(()) => Receipt::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Receipt::Closed,
        }
    }

    fn interrupted(&mut self) {
        self.breaks = self.gate.close();
    }
}

/// Builds and starts what makes `what` of the small stream, on a thread of its own of this name; what fails later is told to `failures`. Errors with
/// `Unavailable` where an earlier one hangs.
pub(super) async fn start<T: Send + 'static>(
    (what, name): (&'static str, String),
    threads: &Threads,
    failures: mpsc::UnboundedSender<Error>,
    build: impl FnOnce() -> Result<(gst::Pipeline, T)> + Send + 'static,
) -> Result<(Running, T)> {
    if threads.hang() {
        return Err(Error::new(ErrorKind::Unavailable, format!("what makes {what} hangs: restart the box")));
    }
    let (entered, threads) = (threads.enter(), threads.clone());
    let start = move || {
        let started = build().and_then(|(pipeline, made)| {
            let running = Running::new(pipeline, what.into(), threads, move |signal| {
                if let Signal::Failed(e) = signal {
                    // Nobody listens once it is over.
                    let _ = failures.send(e);
                }
            });
            running.set_state(gst::State::Playing).map(|()| (running, made))
        });
        drop(entered);
        started
    };
    // Where nobody waits any more it ends as it drops.
    on_own_thread(name, start).await
}

/// What leads into the decoder.
pub(super) struct Entry {
    app: gst_app::AppSrc,
    /// What turns pictures: of what is made of them nobody is told how it is to be turned.
    turn: gst::Element,
    own: Option<Orientation>,
    /// Whether what comes leads on from nothing that was decoded.
    awaits_start: bool,
    breaks: u64,
}

impl Entry {
    /// A decoder, and what leads into it; `turn` turns what comes out. A picture that no decoder should see is told to `failures`.
    pub fn with_decoder(
        library: &Library,
        turn: gst::Element,
        failures: &mpsc::UnboundedSender<Error>,
    ) -> Result<(gst::Bin, Self)> {
        let decoder = library.bin(installed(library, VideoCodec::H264)?, &[], &[])?;
        let app: gst_app::AppSrc = pipeline::typed(&decoder, "in", "an appsrc")?;
        let teller = failures.clone();
        spare(&pipeline::pad_of(&decoder, "parse", "src")?, VideoCodec::H264, move |why| {
            // Nobody listens once it is over.
            let _ = teller.send(why);
        });
        Ok((decoder, Self { app, turn, own: None, awaits_start: true, breaks: 0 }))
    }

    /// Takes a packet that came after the camera broke off for the `breaks`th time.
    pub fn take<T>(&mut self, breaks: u64, delivery: &Delivery, gate: &Gate<T>) {
        let packet = &delivery.packet;
        if packet.track != Track::Video || packet.codec.is_some_and(|codec| codec != VideoCodec::H264) {
            return;
        }
        let is_full = self.app.current_level_buffers() > DECODING;
        self.awaits_start |= is_full || std::mem::replace(&mut self.breaks, breaks) != breaks;
        if self.awaits_start && (is_full || !packet.keyframe) {
            return;
        }
        let breaks_off = std::mem::take(&mut self.awaits_start) || delivery.discontinuity;
        if packet.keyframe {
            let own = Orientation::of_unit(VideoCodec::H264, &packet.data);
            if self.own.replace(own) != Some(own) {
                flip(&self.turn, own);
            }
        }
        gate.open(breaks, packet.shown());
        // Refused only while it ends.
        let _ = self.app.push_buffer(encoded(packet, breaks_off));
    }
}
