//! Between a camera's loudspeaker and its microphone: what is played there, and when, goes to whoever takes it out of what the microphone
//! hears. The two are pipelines of their own on one clock, so neither stops the other.

use crate::pipeline::{self, Library};
use crate::time;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::echo_delay::EchoDelay;
use perch_domain::sound_level::Ear;
use perch_domain::talkback::Echo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long after the last word the echo is still taken out: rooms ring on, and the next word follows soon.
const TAKEN_OUT_FOR: Duration = Duration::from_secs(2);
/// The same for a microphone that is turned down.
const DUCKED_FOR: Duration = Duration::from_millis(350);
/// How loud a microphone is that is turned down: -40 dB.
const DUCKED: f64 = 0.01;

/// One camera's.
pub struct FarEnd {
    clock: SharedClock,
    state: Mutex<State>,
}

struct State {
    echo: Echo,
    ear: Ear,
    /// When something was played last, silence too.
    played_at: Option<MonoTime>,
    /// Where the microphone's pipeline is told what is played.
    entry: Option<gst_app::AppSrc>,
    /// How much later the microphone hears it.
    delay: EchoDelay,
}

impl std::fmt::Debug for FarEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FarEnd").field("echo", &lock(&self.state).echo).finish_non_exhaustive()
    }
}

/// What is to be done with the microphone now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Doing {
    takes_out: bool,
    ducks: bool,
}

impl FarEnd {
    /// Nothing is played yet.
    pub fn new(echo: Echo, clock: SharedClock) -> Arc<Self> {
        let state = State { echo, ear: Ear::default(), played_at: None, entry: None, delay: EchoDelay::default() };
        Arc::new(Self { clock, state: Mutex::new(state) })
    }

    /// Does something else against echo from now on, also where somebody speaks.
    pub fn follow(&self, echo: Echo) {
        lock(&self.state).echo = echo;
    }

    /// The loudspeaker plays these samples (16 bit, one channel, 48 kHz) from `at` on.
    pub fn played(&self, at: MonoTime, samples: &gst::BufferRef) {
        let Ok(map) = samples.map_readable() else { return };
        let mut state = lock(&self.state);
        state.ear.hear((at, self.clock.utc()), &map);
        state.played_at = Some(at);
        if state.echo != Echo::Cancel {
            return;
        }
        state.delay.played(at, &map);
        let lead = state.delay.lead();
        if let Some(entry) = &state.entry {
            let mut copy = gst::Buffer::from_slice(map.to_vec());
            if let Some(copy) = copy.get_mut() {
                copy.set_pts(time::from_mono(at + lead));
            }
            // It is refused only while the microphone ends.
            let _ = entry.push_buffer(copy);
        }
    }

    /// The microphone hears this.
    fn heard(&self, samples: &gst::BufferRef) {
        if let (Some(pts), Ok(map)) = (samples.pts(), samples.map_readable()) {
            lock(&self.state).delay.heard(time::to_mono(pts), &map);
        }
    }

    fn doing(&self, now: MonoTime, can_cancel: bool) -> Doing {
        let state = lock(&self.state);
        let lately = |at: Option<MonoTime>, for_: Duration| at.is_some_and(|at| now.since(at) < for_);
        match state.echo {
            Echo::None => Doing::default(),
            Echo::Cancel if can_cancel => Doing { takes_out: lately(state.played_at, TAKEN_OUT_FOR), ducks: false },
            // What the installed elements cannot take out is kept low.
            Echo::Cancel | Echo::Duck => Doing { takes_out: false, ducks: state.ear.hears(now, DUCKED_FOR) },
        }
    }

    /// The bin that stands between a microphone and its encoder.
    pub fn near(self: &Arc<Self>, library: &Library) -> Result<gst::Bin> {
        let can_cancel = library.is_installed("audio/echo");
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = (NUMBERS.fetch_add(1, Ordering::Relaxed) % 1_000_000_000) as i64;
        let bin = match can_cancel {
            true => library.bin("audio/echo", &[("number", number)], &[])?,
            false => library.bin("audio/duck", &[], &[])?,
        };
        let duck = pipeline::element(&bin, "duck")?;
        let way = can_cancel.then(|| self.take_out(&bin, number)).transpose()?;
        let (far, done) = (Arc::downgrade(self), Mutex::new(Doing::default()));
        // On the microphone's own thread: between two pieces of sound.
        pipeline::pad_of(&bin, "near", "src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let far = far.upgrade();
            let wanted = far.as_ref().map(|far| far.doing(far.clock.mono(), can_cancel)).unwrap_or_default();
            if let Some((far, buffer)) = far.zip(info.buffer()).filter(|_| wanted.takes_out) {
                far.heard(buffer);
            }
            let mut done = lock(&done);
            if *done != wanted {
                duck.set_property("volume", if wanted.ducks { DUCKED } else { 1.0 });
                if let Some(way) = &way {
                    way.set(wanted.takes_out);
                }
                *done = wanted;
            }
            gst::PadProbeReturn::Ok
        });
        Ok(bin)
    }

    fn take_out(&self, bin: &gst::Bin, number: i64) -> Result<Way> {
        // What comes is said to be played when it is played: a pipeline's own latency has no part in that.
        let exit = pipeline::pad_of(bin, &format!("heard{number}"), "src")?;
        exit.add_probe(gst::PadProbeType::EVENT_UPSTREAM, |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Latency) {
                let none = gst::event::Latency::new(gst::ClockTime::ZERO);
                info.data = Some(gst::PadProbeData::Event(none));
            }
            gst::PadProbeReturn::Ok
        });
        lock(&self.state).entry = Some(pipeline::typed(bin, "far", "an appsrc")?);
        let (selector, wet) = (pipeline::element(bin, "way")?, pipeline::element(bin, "wet")?);
        let way = Way { dry_pad: selector.static_pad("sink_0"), wet_pad: selector.static_pad("sink_1"), selector, wet };
        way.set(false);
        Ok(way)
    }
}

/// Which way a microphone's sound goes.
struct Way {
    selector: gst::Element,
    wet: gst::Element,
    dry_pad: Option<gst::Pad>,
    wet_pad: Option<gst::Pad>,
}

impl Way {
    fn set(&self, takes_out: bool) {
        self.wet.set_property("drop", !takes_out);
        let pad = if takes_out { &self.wet_pad } else { &self.dry_pad };
        if let Some(pad) = pad.as_ref().filter(|_| self.selector.has_property("active-pad")) {
            self.selector.set_property("active-pad", pad);
        }
    }
}

#[cfg(test)]
#[path = "far_end_tests.rs"]
mod tests;
