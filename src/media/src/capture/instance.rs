//! One attempt: a pipeline that was built, runs, and ends on a thread of its own, because state changes can block for ever.

use super::control::{Control, Switch};
use super::file::Looper;
use super::flow::{Flow, Signal};
use super::threads::Threads;
use super::{Settings, explain, graph};
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A pipeline that ends when this is dropped, without the dropper waiting.
pub(super) struct Running {
    pipeline: Option<gst::Pipeline>,
    threads: Threads,
}

impl Running {
    /// Wraps a pipeline whose errors, called `what` for people, go to `tell`. The thread that ends it is counted in `threads`.
    pub fn new(
        pipeline: gst::Pipeline,
        what: String,
        threads: Threads,
        tell: impl Fn(Signal) + Send + Sync + 'static,
    ) -> Self {
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                match message.view() {
                    gst::MessageView::Error(e) => {
                        let text = e.debug();
                        tracing::debug!(debug = %crate::init::redact(text.as_deref().unwrap_or("")), "pipeline error");
                        tell(Signal::Failed(explain::error(&e.error(), text.as_deref(), &what)));
                    }
                    gst::MessageView::SegmentDone(_) => tell(Signal::SegmentDone),
                    _ => {}
                }
                gst::BusSyncReply::Drop
            });
        }
        Self { pipeline: Some(pipeline), threads }
    }

    /// Sets the pipeline's state. Blocks as long as its drivers do.
    pub fn set_state(&self, state: gst::State) -> Result<()> {
        let Some(pipeline) = &self.pipeline else { return Ok(()) };
        pipeline
            .set_state(state)
            .map(|_| ())
            .map_err(|_| Error::new(ErrorKind::Unavailable, "the source does not start"))
    }

    /// The pipeline.
    pub fn pipeline(&self) -> Option<&gst::Pipeline> {
        self.pipeline.as_ref()
    }

    /// Ends it and waits.
    pub async fn end(&mut self) {
        let (tx, rx) = oneshot::channel();
        self.let_go(Some(tx));
        let _ = rx.await;
    }

    fn let_go(&mut self, done: Option<oneshot::Sender<()>>) {
        let Some(pipeline) = self.pipeline.take() else { return };
        let entered = self.threads.enter();
        let ended = std::thread::Builder::new().name("pipeline end".into()).spawn(move || {
            let _ = pipeline.set_state(gst::State::Null);
            if let Some(bus) = pipeline.bus() {
                bus.unset_sync_handler();
            }
            drop(pipeline);
            give_memory_back();
            drop(entered);
            if let Some(done) = done {
                let _ = done.send(());
            }
        });
        if let Err(e) = ended {
            tracing::error!(error = %e, "no thread to end a pipeline: it is left behind");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.let_go(None);
    }
}

/// A pipeline's pictures are many megabytes; the allocator would keep them in the arenas of threads that are gone, and a camera
/// that restarts often, or one that makes stills, would grow the process.
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointers and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The pipeline of one attempt.
pub(super) struct Instance {
    running: Running,
    control: Arc<Control>,
    looper: Option<Arc<Looper>>,
    flow: Arc<Flow>,
}

/// The flow closes before the pipeline ends, so that whatever else holds the pipeline does not start it again.
impl Drop for Instance {
    fn drop(&mut self) {
        self.flow.close();
    }
}

impl Instance {
    /// Builds and starts. Blocks.
    pub fn start(settings: &Arc<Settings>, flow: &Arc<Flow>) -> Result<Self> {
        let graph = graph::build(settings, flow)?;
        let teller = Arc::downgrade(flow);
        let what = settings.config.source.describe();
        let running = Running::new(graph.pipeline, what, settings.threads.clone(), move |signal| {
            if let Some(flow) = teller.upgrade() {
                flow.signal(signal);
            }
        });
        let instance = Self { running, control: graph.control, looper: graph.looper, flow: flow.clone() };
        if !flow.open(instance.control.clone()) {
            return Err(Error::internal("the attempt is over"));
        }
        // A file is first read in PAUSED, until its streams are known.
        let first = if instance.looper.is_some() { gst::State::Paused } else { gst::State::Playing };
        if let Err(e) = instance.running.set_state(first) {
            // The bus has told the reason before, where there is one; this is for when there is none.
            flow.signal(Signal::Failed(e));
        }
        Ok(instance)
    }

    /// What commands it.
    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Whether sound is wanted.
    pub fn sound(&self) -> Arc<Switch> {
        self.control.sound.clone()
    }

    /// All streams of the source are known: a file begins.
    pub fn pads_known(&self) {
        if let (Some(looper), Some(pipeline)) = (&self.looper, self.running.pipeline()) {
            looper.begin(pipeline, &self.flow);
        }
    }

    /// A file was read to its end.
    pub fn next_round(&self) {
        if let Some(looper) = &self.looper {
            looper.next_round(&self.flow);
        }
    }

    /// Ends the pipeline and waits until it let go of its device.
    pub async fn end(mut self) {
        self.flow.close();
        self.running.end().await;
    }
}
