//! One attempt: a pipeline that was built, runs, and ends.

use super::control::Control;
use super::file::Looper;
use super::flow::{Flow, Signal};
use super::graph::{self, Graph};
use super::running::Running;
use super::settings::Settings;
use crate::encoders;
use gstreamer as gst;
use perch_base::{Error, Result};
use perch_domain::media::VideoCodec;
use std::sync::Arc;

/// The pipeline of one attempt.
pub(super) struct Instance {
    running: Running,
    control: Arc<Control>,
    looper: Option<Arc<Looper>>,
    flow: Arc<Flow>,
    passed: bool,
    note: Option<String>,
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
        let running = Running::new(graph.pipeline.clone(), what, settings.threads.clone(), move |signal| {
            if let Some(flow) = teller.upgrade() {
                flow.signal(signal);
            }
        });
        let Graph { control, looper, passed, note, .. } = graph;
        let instance = Self { running, control, looper, flow: flow.clone(), passed, note };
        if passed {
            instance.control.expect_sub(encoders::probe(VideoCodec::H264).is_ok_and(|e| e.commandable));
        }
        if !flow.open(instance.control.clone()) {
            return Err(Error::internal("the attempt is over"));
        }
        // A file is first read in PAUSED, until its streams are known.
        let first = if instance.looper.is_some() { gst::State::Paused } else { gst::State::Playing };
        if let Err(e) = instance.running.set_state(first) {
            // The bus has given the reason before, where there is one; this is for when there is none.
            flow.signal(Signal::Failed(e));
        }
        Ok(instance)
    }

    /// What commands it.
    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Whether the main stream is what the camera itself encoded: whoever needs its pictures decodes it.
    pub fn is_passed(&self) -> bool {
        self.passed
    }

    /// What people should know of how the source is taken.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
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
