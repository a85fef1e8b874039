//! How loud a camera's sound is made, and how loud it is: what the volume control of its pipeline is set to, also while it runs, and what is
//! measured behind it while somebody looks.

use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::sync::lock;
use perch_domain::sound_level::{Meter, SoundLevel};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Of one camera. It outlives its attempts.
pub(super) struct Loudness {
    state: Mutex<State>,
    levels: watch::Sender<Option<SoundLevel>>,
}

struct State {
    gain_db: f64,
    volumes: Vec<gst::glib::WeakRef<gst::Element>>,
}

impl Loudness {
    /// Louder by so much.
    pub fn new(gain_db: f64) -> Self {
        Self { state: Mutex::new(State { gain_db, volumes: Vec::new() }), levels: watch::Sender::default() }
    }

    /// From now on louder by so much, also what runs.
    pub fn set_gain(&self, gain_db: f64) {
        let mut state = lock(&self.state);
        state.gain_db = gain_db;
        state.volumes.retain(|volume| volume.upgrade().is_some_and(|volume| set(&volume, gain_db)));
    }

    /// A pipeline's volume control follows, and what leaves it is measured while somebody looks.
    pub fn govern(self: &Arc<Self>, volume: &gst::Element) {
        let mut state = lock(&self.state);
        if set(volume, state.gain_db) {
            state.volumes.push(volume.downgrade());
        }
        drop(state);
        let Some(exit) = volume.static_pad("src") else { return };
        let (loudness, meter) = (Arc::downgrade(self), Mutex::new(Meter::default()));
        exit.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let loudness = loudness.upgrade().filter(|loudness| loudness.levels.receiver_count() > 0);
            if let Some((loudness, map)) = loudness.zip(info.buffer().and_then(|buffer| buffer.map_readable().ok()))
                && let Some(level) = lock(&meter).hear(&map)
            {
                loudness.levels.send_replace(Some(level));
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// What is measured from now on.
    pub fn levels(&self) -> watch::Receiver<Option<SoundLevel>> {
        self.levels.subscribe()
    }
}

/// False: a file that was replaced holds something else there, which is left alone.
fn set(volume: &gst::Element, gain_db: f64) -> bool {
    let is_one = volume.has_property_with_type("volume", f64::static_type());
    if is_one {
        volume.set_property("volume", 10f64.powf(gain_db.clamp(-20.0, 20.0) / 20.0));
    }
    is_one
}
