//! A day of a camera, of which nothing may stay in memory: pictures and sound, sender reports, motion; each hour the camera's encoder begins anew, its
//! clock drifts, all numbers wrap round.

use crate::chain::Chain;
use crate::heap::held_bytes;
use crate::is_long;
use perch::tasks::recording::disk::{Disk, Step};
use perch_base::Result;
use perch_base::ids::{CameraId, EventId};
use perch_base::time::MonoTime;
use perch_domain::event::{EventConfig, EventMachine, Output, is_worth_reporting};
use perch_domain::media::Stream;
use perch_domain::motion::{Detection, Detector, LUMA_HEIGHT, LUMA_WIDTH, Luma, MotionConfig};
use perch_domain::recording::{EventMark, Marks, RecordConfig, RecordMode};
use perch_test_cameras::feed::{Source, merged};
use perch_test_cameras::media::{self, draw};
use perch_test_cameras::rtp::{self, h264};
use perch_test_cameras::{Line, Model, Place, Start};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Pictures a second.
const RATE: u64 = 25;
/// What may be held more at one moment than at another of the same kind: a picture or two come earlier or later.
const SLACK_BYTES: i64 = 64 << 10;

/// In the place of a disk: counts what would be written.
#[derive(Clone, Default)]
struct Counted(Arc<[AtomicU64; 2]>);

impl Disk for Counted {
    fn obey(&mut self, step: &Step) -> Result<()> {
        let [files, packets] = &*self.0;
        match step {
            Step::Open { .. } => drop(files.fetch_add(1, Ordering::Relaxed)),
            Step::Write(part) => drop(packets.fetch_add(part.payload.packets.len() as u64, Ordering::Relaxed)),
            _ => {}
        }
        Ok(())
    }
}

/// Times wrap round after half an hour, and the camera's clock is fast by 50 in a million.
fn camera() -> Model {
    let (units, tone) = (draw::tiny(), media::opus().expect("ffmpeg is here"));
    let lines = vec![Line::h264(&units), Line::sound(111, Some("opus/48000/2"), None)];
    let before_wrap = |hz: u64| ((1u64 << 32) - hz * HOUR / 2) as u32;
    Model::new(lines, move |start| {
        let pictures = Source::pictures(start, &units, RATE as f64)
            .changed(move |shot, n| {
                let ticks = n as f64 * 90_000.0 / RATE as f64 * 1.000_05;
                shot.stamp = before_wrap(90_000).wrapping_add(ticks as u64 as u32);
            })
            .packed(|stream, shot, n| {
                if n % (HOUR * RATE) == 0 {
                    *stream = rtp::Stream::new(96, n);
                }
                h264::pack(stream, shot, n)
            });
        let sound = Source::sound(start, 111, &tone).changed(move |shot, n| {
            shot.stamp = before_wrap(48_000).wrapping_add((n as f64 * 960.0 * 1.000_05) as u64 as u32);
        });
        merged(pictures.feed(), sound.feed())
    })
}

/// What looks for motion: five small pictures a second are looked at where `each` is 1.
struct Watcher {
    detector: Detector,
    events: EventMachine,
    marks: Marks,
    /// The event that goes on, and until when the recorder knows of it.
    event: Option<(EventId, MonoTime)>,
    events_so_far: i64,
    still: Vec<u8>,
    moved: Vec<u8>,
}

impl Watcher {
    fn new(record: &RecordConfig) -> Self {
        let still: Vec<u8> = (0..LUMA_WIDTH * LUMA_HEIGHT).map(|at| (at % LUMA_WIDTH / 4) as u8 + 60).collect();
        let mut moved = still.clone();
        for row in 40..140 {
            moved[row * LUMA_WIDTH + 100..row * LUMA_WIDTH + 160].fill(250);
        }
        let (detector, events) = (Detector::new(MotionConfig::default()), EventMachine::new(EventConfig::from(record)));
        Self { detector, events, marks: Marks::default(), event: None, events_so_far: 0, still, moved }
    }

    /// Somebody walks by for four seconds of each five minutes.
    fn look(&mut self, now: MonoTime, is_seen: bool) {
        let is_there = now.0 / 1_000_000 % (5 * MINUTE as i64) >= 296;
        let pixels = if is_there && now.0 / 200_000 % 2 == 0 { &self.moved } else { &self.still };
        // The detector computes for long; the event machine hears of each picture all the same.
        let seen = is_seen.then(|| self.detector.look(Luma { pixels, pts: now }));
        let boxes = seen.map(|seen| seen.boxes).unwrap_or_default();
        let cause = perch_domain::motion::Cause::Motion;
        let outputs = self.events.handle(&Detection { pts: now, motion: is_there, score: 0.5, cause, boxes });
        for output in outputs {
            match output {
                Output::Started { start, .. } => {
                    self.events_so_far += 1;
                    let id = EventId(self.events_so_far);
                    self.event = Some((id, start));
                    self.marks.put(EventMark::Started { id, start });
                }
                Output::Ended { end, .. } => {
                    self.event.take().into_iter().for_each(|(id, _)| self.marks.put(EventMark::Ended { id, end }));
                }
                Output::Grew { .. } => {}
            }
        }
        if let (Some((id, reported)), Some(until)) = (&mut self.event, self.events.until())
            && is_worth_reporting(*reported, until)
        {
            *reported = until;
            self.marks.put(EventMark::Continues { id: *id, until });
        }
    }
}

/// An hour against its first ten minutes; in the long form a day against its first hour.
#[test]
fn a_day_leaves_nothing_in_memory() {
    let marks: &[u64] = if is_long() { &[HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR] } else { &[10 * MINUTE, HOUR] };
    let record = RecordConfig { mode: RecordMode::Continuous, ..RecordConfig::default() };
    let (model, disk, mut watcher) = (camera(), Counted::default(), Watcher::new(&record));
    let mut chain = Chain::new(&CameraId::new("day").expect("a name"), record, disk.clone());
    assert!(chain.begin(&model.sdp(&Place { port: 554, path: "/live".into() }), false));
    // A viewer whose queue is always full is cut off, and one that keeps up gets everything.
    let mut viewer = chain.hub.subscribe(Stream::Main, true, "viewer", 100);
    let mut feed = model.feed(&Start { wall: Duration::from_secs(1_800_000_000), ..Start::default() });
    let (mut held, mut look_at, mut seen_at) = (Vec::new(), MonoTime(0), MonoTime(0));
    for hours in marks {
        let end = Duration::from_secs(*hours);
        for timed in feed.by_ref().take_while(|timed| timed.at < end) {
            chain.timed(MonoTime(0), timed);
            while viewer.packets.try_recv().is_ok() {}
            if chain.now() >= look_at {
                let is_seen = chain.now() >= seen_at;
                seen_at = if is_seen { chain.now() + Duration::from_secs(10) } else { seen_at };
                look_at = chain.now() + Duration::from_millis(200);
                watcher.look(chain.now(), is_seen);
                while let Some(mark) = watcher.marks.take() {
                    chain.mark(mark);
                }
            }
        }
        held.push(held_bytes());
        let [files, packets] = disk.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        println!(
            "after {:>5} minutes: {} bytes held, {:?} pictures and sounds published, {packets} packets in {files} files, {} events",
            hours / MINUTE,
            held_bytes(),
            chain.published,
            watcher.events_so_far
        );
        // One picture of each hour may be lost where the encoder begins anew.
        assert!(chain.published.0 + hours / HOUR + 2 >= hours * RATE, "{:?}", chain.published);
        assert!(packets >= chain.published.0 && files >= hours / MINUTE && watcher.events_so_far > 0);
    }
    assert!(held.iter().all(|bytes| *bytes <= held[0] + SLACK_BYTES), "memory grows: {held:?}");
    chain.stop();
    assert_eq!(chain.failed, None);
}
