//! The way of a camera's packets through the box, without threads: session, gate, hub, parts, recorder, disk.

use bytes::Bytes;
use perch::tasks::recording::disk::{Disk, PartReader, PictureFormat, RecorderInput, Step, Steps};
use perch_base::clock::{Clock, ManualClock};
use perch_base::ids::CameraId;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::ingest::{Intake, SoundCodec};
use perch_domain::media::{Packet, Stream, Track};
use perch_domain::picture_gate::{self, PictureGate};
use perch_domain::recording::{EventMark, Input, Now, RecordConfig, Recorder};
use perch_domain::stamps::settle;
use perch_ingest::dry::Dry;
use perch_media::fanout::{Demand, EncoderControl, Hub};
use perch_media::parts::{PartPackets, Parts};
use perch_test_cameras::{Event, Timed};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How often the recorder hears that time passes.
const TICK: Duration = Duration::from_secs(5);
/// Parts that may wait.
const QUEUE: usize = 20;

/// No encoder of a network camera's takes commands.
struct Foreign;

impl EncoderControl for Foreign {
    fn commandable(&self, _: Stream) -> bool {
        false
    }

    fn force_keyframe(&self, _: Stream) {}

    fn set_demand(&self, _: Demand) {}
}

/// One session with the camera.
struct Session {
    dry: Dry,
    gate: PictureGate,
    has_opus: bool,
    wake: Option<MonoTime>,
}

/// One camera of the box.
pub struct Chain<D> {
    clock: Arc<ManualClock>,
    pub hub: Arc<Hub>,
    parts: Parts,
    reader: PartReader,
    recorder: Recorder<Arc<PartPackets>, PictureFormat>,
    disk: Steps<D>,
    session: Option<Session>,
    sound: Option<MonoTime>,
    tick_at: MonoTime,
    /// Pictures and sound that were published.
    pub published: (u64, u64),
    /// Of these, pictures of which it is said that they cannot be recorded: their keyframe lacks parameter sets.
    pub unusable: u64,
    /// Why the disk failed, which no camera may bring about.
    pub failed: Option<String>,
}

impl<D: Disk> Chain<D> {
    pub fn new(camera: &CameraId, record: RecordConfig, disk: D) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_800_000_000_000_000)));
        let hub = Hub::new(camera.clone(), clock.clone());
        let parts = Parts::follow(&hub, Stream::Main, "recorder", QUEUE);
        let recorder = Recorder::new(record, Now { mono: clock.mono(), utc: clock.utc() });
        let disk = Steps::new(disk, camera.clone());
        Self {
            tick_at: clock.mono() + TICK,
            clock,
            hub,
            parts,
            reader: PartReader::default(),
            recorder,
            disk,
            session: None,
            sound: None,
            published: (0, 0),
            unusable: 0,
            failed: None,
        }
    }

    pub fn now(&self) -> MonoTime {
        self.clock.mono()
    }

    /// A session with a camera that describes itself like this begins; one that went on ends. False: it has nothing that can be taken.
    pub fn begin(&mut self, description: &[u8], is_ordered: bool) -> bool {
        self.end();
        let Some(dry) = Dry::new(description, is_ordered) else { return false };
        self.session = Some(Session { dry, gate: PictureGate::new(Stream::Main), has_opus: false, wake: None });
        self.take();
        true
    }

    /// The session ends.
    pub fn end(&mut self) {
        if self.session.take().is_some() {
            self.hub.disconnect();
        }
        self.drain();
    }

    /// Something comes of the camera now.
    pub fn event(&mut self, event: Event) {
        let now = self.now();
        let Some(session) = &mut self.session else { return };
        let (track, is_rtcp, packet) = match event {
            Event::Rtp(track, packet) => (track, false, packet),
            Event::Rtcp(track, packet) => (track, true, packet),
            Event::Raw(_) => return,
            Event::Close => return self.end(),
        };
        session.dry.packet(now, track, is_rtcp, Bytes::from(packet));
        self.settle();
    }

    /// Something comes of the camera, at its time after `since`.
    pub fn timed(&mut self, since: MonoTime, timed: Timed) {
        self.until(since + timed.at);
        self.event(timed.event);
    }

    /// Time passes; whoever waits for a moment until then is called at it.
    pub fn until(&mut self, at: MonoTime) {
        loop {
            let wake = self.session.as_ref().and_then(|session| session.wake);
            let next = wake.into_iter().chain([self.tick_at]).min().filter(|next| *next <= at);
            let step = next.unwrap_or(at);
            self.clock.advance(step.since(self.now()));
            if next.is_none() {
                return;
            }
            if self.tick_at <= self.now() {
                self.tick_at = self.now() + TICK;
                self.feed(Input::Tick { is_live: true });
            }
            if wake.is_some_and(|wake| wake <= self.now()) {
                self.settle();
            }
        }
    }

    /// The motion detector's word.
    pub fn mark(&mut self, mark: EventMark) {
        self.feed(Input::Mark(mark));
    }

    /// The box goes down.
    pub fn stop(&mut self) {
        self.end();
        self.parts.detach();
        self.drain();
        self.feed(Input::Stop);
    }

    fn settle(&mut self) {
        let now = self.now();
        if let Some(session) = &mut self.session {
            session.wake = session.dry.settle(now);
            // What is due now was done.
            session.wake = session.wake.map(|wake| wake.max(now + Duration::from_micros(1)));
        }
        self.take();
        self.drain();
    }

    /// Takes in what came of the session, as `media` does.
    fn take(&mut self) {
        let now = self.now();
        let Some(session) = &mut self.session else { return };
        for intake in session.dry.taken() {
            match intake {
                Intake::Offer(offer) => {
                    session.gate.offer(offer.pictures).expect("a first stream may be of each codec");
                    session.has_opus = offer.sound.is_some_and(|sound| sound.codec == SoundCodec::Opus);
                    self.hub.connect(Arc::new(Foreign));
                }
                Intake::Picture(picture) => {
                    for step in session.gate.picture(now, picture) {
                        match step {
                            picture_gate::Step::BreakOff => self.hub.discontinuity(),
                            picture_gate::Step::Publish(packet) => {
                                self.published.0 += 1;
                                self.hub.publish_video(Stream::Main, Arc::new(packet));
                            }
                            // Encoding is another's.
                            picture_gate::Step::Encode(_) | picture_gate::Step::Sign => {}
                            picture_gate::Step::Refuse(why) => panic!("a first stream is refused: {why}"),
                        }
                    }
                }
                Intake::Sound(sound) if session.has_opus => {
                    let (pts, _) = settle(self.sound, sound.heard);
                    self.sound = Some(pts);
                    self.published.1 += 1;
                    let packet = Packet::new(Track::Audio, sound.data, pts, true);
                    self.hub.publish_audio(Arc::new(Packet { duration: sound.lasts, ..packet }));
                }
                // Decoding is another's.
                Intake::Sound(_) | Intake::SoundFormat(_) | Intake::Awaits | Intake::Notice(_) | Intake::Aside(_) => {}
            }
        }
    }

    /// The recorder takes what waits.
    fn drain(&mut self) {
        loop {
            let part = match pin!(self.parts.queue.recv()).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(part)) => part,
                Poll::Ready(None) | Poll::Pending => return,
            };
            let pictures = part.packets.iter().filter(|packet| packet.track == Track::Video).count() as u64;
            let input = self.reader.input_of(part);
            self.unusable += if matches!(input, Input::Unusable { .. }) { pictures } else { 0 };
            self.feed(input);
        }
    }

    fn feed(&mut self, input: RecorderInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if let Input::Failed { reason, .. } = &input {
                self.failed.get_or_insert_with(|| reason.clone());
            }
            let now = Now { mono: self.clock.mono(), utc: self.clock.utc() };
            let mut steps = self.recorder.handle(now, input);
            steps.retain(|step| !matches!(step, Step::Publish(_)));
            if !steps.is_empty() {
                inputs.extend(self.disk.obey(&steps, self.recorder.is_paused(), now.mono));
            }
        }
    }
}
