//! Pushes a camera to another server: one pipeline an attempt, fed by the hub like any consumer, that ends when the other server goes, takes
//! nothing, or the camera has nothing to give. When that is so is decided in `domain::push`. What is recorded goes the same way: `recorded`.

mod explain;
mod feed;
mod line;
mod out;
pub mod recorded;
mod whip;

use crate::fanout::Hub;
use crate::pipeline::Library;
use feed::Feed;
use line::{LOOK_EVERY, Line};
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_domain::media::Stream;
use perch_domain::push::plan::PushPlan;
use perch_domain::push::watch::{PushStep, PushWatch};
use perch_domain::push::{PushState, PushTarget};
use std::sync::Arc;

/// What is pushed where.
pub struct PushOrder {
    /// The camera's fan-out.
    pub hub: Arc<Hub>,
    /// Where to.
    pub target: PushTarget,
    /// What of it.
    pub plan: PushPlan,
}

/// Why an attempt ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushEnd {
    /// It was told to.
    Told,
    /// The camera gives no picture.
    NoPicture,
    /// The camera encodes otherwise now.
    Changed,
}

/// Whether the camera gives pictures, so that there is something to push.
pub fn has_picture(hub: &Hub) -> bool {
    hub.latest_keyframe(Stream::Main).is_some()
}

/// One attempt. `say` hears how it is and how many bytes more went out, twice a second. Errors with what people can do something about.
pub async fn push_once(
    library: Arc<Library>,
    clock: &SharedClock,
    order: PushOrder,
    say: impl Fn(PushState, u64),
    shutdown: &mut Shutdown,
) -> Result<PushEnd> {
    let PushOrder { hub, target, plan } = order;
    let Some(mut line) = Line::open(library, clock, &target, plan, shutdown).await? else {
        return Ok(PushEnd::Told);
    };
    let feed = Feed::attach(&hub, plan, line.out.video.clone(), line.out.audio.clone());
    let mut watch = PushWatch::new(clock.mono());
    let (mut told_bytes, mut held) = (0, 0);
    let ended = loop {
        tokio::select! {
            () = shutdown.called() => break Ok(PushEnd::Told),
            e = line.failed() => break Err(e),
            () = clock.sleep(LOOK_EVERY) => {}
        }
        if let Err(e) = line.check_place() {
            break Err(e);
        }
        let (fed, bytes) = (feed.fed(), line.passed_bytes());
        if fed.is_foreign {
            break Ok(PushEnd::Changed);
        }
        if fed.is_cut_off {
            break Err(line.takes_nothing());
        }
        // What is held up by the server is not for want of pictures.
        held += u64::from(fed.is_held);
        match watch.look(clock.mono(), fed.pictures + held, bytes, line.reports(), &line.host) {
            PushStep::Go(state) => say(state, bytes - std::mem::replace(&mut told_bytes, bytes)),
            PushStep::Rest => break Ok(PushEnd::NoPicture),
            PushStep::Fail(e) => break Err(e),
        }
    };
    drop(feed);
    line.end(clock).await;
    ended
}
