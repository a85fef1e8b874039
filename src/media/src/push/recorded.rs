//! Pushes what is recorded to another server, at its own pace: what the server does not take yet is waited with, and nothing is left out.

use super::feed::Entries;
use super::line::{LOOK_EVERY, Line};
use crate::fanout::Receipt;
use crate::pipeline::Library;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_domain::media::{Packet, Stream};
use perch_domain::ports::Replay;
use perch_domain::push::pace::{PaceStep, ReplayPace};
use perch_domain::push::plan::PushPlan;
use perch_domain::push::watch::{PushStep, PushWatch};
use perch_domain::push::{PushState, PushTarget};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What was pushed goes through the pipeline and into the connection within this time.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked whether it did.
const LOOK_AT_END_EVERY: Duration = Duration::from_millis(200);

/// Why it ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedEnd {
    /// All of it was sent.
    Sent,
    /// It was told to.
    Told,
}

/// Pushes `replay` to `target`, an RTMP server. `say` hears how it is and how much of it was sent, about twice a second. Errors with what people
/// can do something about.
pub async fn push_recorded(
    library: Arc<Library>,
    clock: &SharedClock,
    replay: Replay,
    target: &PushTarget,
    say: impl Fn(PushState, Duration),
    shutdown: &mut Shutdown,
) -> Result<RecordedEnd> {
    let plan = PushPlan { stream: Stream::Main, codec: replay.codec, has_audio: replay.has_audio };
    if !target.kind.carries(plan.codec) {
        let message = "what is recorded there is H.265, which RTMP does not carry: set the camera to H.264 for what is to be sent";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let Some(mut line) = Line::open(library, clock, target, plan, shutdown).await? else {
        return Ok(RecordedEnd::Told);
    };
    let mut sending = Sending::new(clock, replay, &line);
    let ended = sending.run(&mut line, say, shutdown).await;
    line.end(clock).await;
    ended
}

struct Sending<'a> {
    clock: &'a SharedClock,
    source: Option<Replay>,
    /// What was read and not sent yet.
    packets: VecDeque<Packet>,
    entries: Entries,
    pace: ReplayPace,
    sent: Duration,
    watch: PushWatch,
    looks: u64,
}

impl<'a> Sending<'a> {
    fn new(clock: &'a SharedClock, replay: Replay, line: &Line) -> Self {
        let entries = Entries::new(line.out.video.clone(), line.out.audio.clone());
        let (packets, sent) = (VecDeque::new(), Duration::ZERO);
        let watch = PushWatch::new(clock.mono());
        Self { clock, source: Some(replay), packets, entries, pace: ReplayPace::default(), sent, watch, looks: 0 }
    }

    async fn run(
        &mut self,
        line: &mut Line,
        say: impl Fn(PushState, Duration),
        shutdown: &mut Shutdown,
    ) -> Result<RecordedEnd> {
        let mut look_at = self.clock.mono() + LOOK_EVERY;
        loop {
            let has_more = tokio::select! {
                () = shutdown.called() => return Ok(RecordedEnd::Told),
                more = self.has_more() => more?,
            };
            if !has_more {
                break;
            }
            let wait = self.send_due()?.min(look_at.since(self.clock.mono()));
            tokio::select! {
                () = shutdown.called() => return Ok(RecordedEnd::Told),
                e = line.failed() => return Err(e),
                () = self.clock.sleep(wait) => {}
            }
            if self.clock.mono() >= look_at {
                look_at = self.clock.mono() + LOOK_EVERY;
                say(self.look(line)?, self.sent);
            }
        }
        line.out.end(&self.entries);
        self.run_out(line, say, shutdown).await
    }

    /// Whether there is more to send; reads on where nothing is left in memory.
    async fn has_more(&mut self) -> Result<bool> {
        while self.packets.is_empty() {
            let Some(mut source) = self.source.take() else { return Ok(false) };
            let reading = blocking("reading a recording", move || {
                let part = source.parts.next().transpose()?;
                Ok((part, source))
            });
            let (part, source) = reading.await?;
            let Some(part) = part else { return Ok(false) };
            self.packets = part.into();
            self.source = Some(source);
        }
        Ok(true)
    }

    /// Sends what is due, and says how long the next has to wait.
    fn send_due(&mut self) -> Result<Duration> {
        while let Some(mut packet) = self.packets.pop_front() {
            let at = packet.pts.since(MonoTime(0));
            match self.pace.next(self.clock.mono(), at, self.entries.is_full()) {
                PaceStep::Wait(wait) => {
                    self.packets.push_front(packet);
                    return Ok(wait);
                }
                PaceStep::Send(moment) => packet.pts = moment,
            }
            self.sent = at + packet.duration;
            if self.entries.put(&packet, false) == Receipt::Closed {
                return Err(Error::new(ErrorKind::Unavailable, "the pipeline of the push has ended"));
            }
        }
        Ok(Duration::ZERO)
    }

    fn look(&mut self, line: &Line) -> Result<PushState> {
        // A recording has no camera that could stop: each look stands for a picture that is there to be sent.
        self.looks += 1;
        match self.watch.look(self.clock.mono(), self.looks, line.passed_bytes(), None, &line.host) {
            PushStep::Go(state) => Ok(state),
            PushStep::Rest => Ok(PushState::Connecting),
            PushStep::Fail(e) => Err(e),
        }
    }

    /// Waits until the last of it left.
    async fn run_out(
        &mut self,
        line: &mut Line,
        say: impl Fn(PushState, Duration),
        shutdown: &mut Shutdown,
    ) -> Result<RecordedEnd> {
        let (until, mut written) = (self.clock.mono() + ENDS_WITHIN, None);
        while self.clock.mono() < until {
            tokio::select! {
                () = shutdown.called() => return Ok(RecordedEnd::Told),
                e = line.failed() => return Err(e),
                () = self.clock.sleep(LOOK_AT_END_EVERY) => {}
            }
            say(self.look(line)?, self.sent);
            if line.out.is_through.load(Ordering::SeqCst) {
                // It lies in the connection, or has left it.
                let now = line.out.written_bytes();
                if now == std::mem::replace(&mut written, now) {
                    return Ok(RecordedEnd::Sent);
                }
            }
        }
        let message = format!("{} did not take the end of it", line.host);
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}
