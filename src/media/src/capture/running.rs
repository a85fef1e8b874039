//! A pipeline that runs and ends on a thread of its own, because state changes can block for ever.

use super::explain;
use super::flow::Signal;
use super::threads::Threads;
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

/// A pipeline that ends when this is dropped, without the dropper waiting.
pub(crate) struct Running {
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
        Self::explained(pipeline, threads, move |e, debug| explain::error(e, debug, &what), tell)
    }

    /// The same with what errors mean, GStreamer's own `debug` text beside them.
    pub fn explained(
        pipeline: gst::Pipeline,
        threads: Threads,
        explain: impl Fn(&gst::glib::Error, Option<&str>) -> Error + Send + Sync + 'static,
        tell: impl Fn(Signal) + Send + Sync + 'static,
    ) -> Self {
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                match message.view() {
                    gst::MessageView::Error(e) => {
                        let text = e.debug();
                        tracing::debug!(debug = %perch_domain::redact::redact_text(text.as_deref().unwrap_or("")), "pipeline error");
                        tell(Signal::Failed(explain(&e.error(), text.as_deref())));
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
        pipeline.set_state(state).map(|_| ()).map_err(|e| {
            Error::new(ErrorKind::Unavailable, "the source does not start: the log says why").with_source(e)
        })
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
            crate::init::give_memory_back();
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
