//! A player that speaks by RTSP (ONVIF backchannel): its packets become speech like anybody's, by the same floor. Opus is handed on,
//! G.711 encoded first.

use crate::capture::Threads;
use crate::capture::running::Running;
use crate::pipeline;
use crate::speaker::Speaker;
use crate::time;
use gstreamer as gst;
use gstreamer_app as gst_app;
use perch_base::ids::{DeviceId, LeaseId};
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::backchannel::{PlayerTurn, PlayerVoice, RawSpeechLimit, SpeechPacket, Unwrapped};
use perch_domain::talk::{FloorAnswer, TalkAsker, WhenBusy};
use std::sync::{Arc, Mutex};

/// The payload type of PCMU (RFC 3551, table 4).
pub const PCMU: u8 = 0;
/// The payload type that Opus has here.
pub const OPUS: u8 = 98;

/// One player. It gives the floor back when it is dropped.
pub struct PlayerSpeech {
    speaker: Arc<Speaker>,
    who: TalkAsker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    turn: PlayerTurn,
    numbers: Unwrapped,
    limit: RawSpeechLimit,
    encoder: Option<Encoder>,
}

impl PlayerSpeech {
    /// Of whoever signed in by this name.
    pub fn new(speaker: Arc<Speaker>, name: &str) -> Arc<Self> {
        let who =
            TalkAsker { device: DeviceId::random(), name: name.to_owned(), may_take_over: false, gives_way: false };
        Arc::new(Self { speaker, who, state: Mutex::default() })
    }

    /// A packet of RTP came.
    pub fn take(&self, packet: &[u8]) {
        let Some(packet) = SpeechPacket::read(packet) else { return };
        // What can be nobody's speech takes the floor from nobody.
        let is_speech = match packet.payload_type {
            OPUS => perch_domain::opus::duration_of(packet.payload).is_some(),
            PCMU => true,
            _ => false,
        };
        if !is_speech {
            return;
        }
        // Whom the settings do not name any more is not heard any more.
        if !self.speaker.lets_player(&self.who.name) {
            return;
        }
        let mut state = lock(&self.state);
        let Some(lease) = self.lease(&mut state) else { return };
        match packet.payload_type {
            OPUS => {
                let number = state.numbers.next(packet.number);
                self.speaker.take(lease, number, packet.time, packet.payload);
            }
            PCMU => {
                if let Err(e) = self.encode(&mut state, lease, packet.payload) {
                    tracing::debug!(camera = %self.speaker.camera(), "what a player says cannot be encoded: {e}");
                }
            }
            _ => {}
        }
    }

    /// The lease by which it speaks; nothing while it may not.
    fn lease(&self, state: &mut State) -> Option<LeaseId> {
        let now = self.speaker.now();
        match state.turn.hear(now, |lease| self.speaker.is_held_by(lease)) {
            PlayerVoice::Heard(lease) => Some(lease),
            PlayerVoice::Unheard => None,
            PlayerVoice::Asks(lease) => match self.speaker.ask(&self.who, lease, WhenBusy::Refuse) {
                Ok(FloorAnswer::Speaks { .. }) => {
                    tracing::info!(camera = %self.speaker.camera(), user = self.who.name, "a player speaks by RTSP");
                    state.turn.granted(lease);
                    state.encoder = None;
                    Some(lease)
                }
                Ok(FloorAnswer::Busy(busy)) => {
                    tracing::debug!(user = self.who.name, "a player is not heard: {} is speaking", busy.name);
                    None
                }
                Err(e) => {
                    tracing::debug!(user = self.who.name, "a player is not heard: {e}");
                    None
                }
            },
        }
    }

    fn encode(&self, state: &mut State, lease: LeaseId, mulaw: &[u8]) -> Result<()> {
        if !state.limit.takes(self.speaker.now(), mulaw.len()) {
            return Ok(());
        }
        if state.encoder.is_none() {
            state.encoder = Some(Encoder::start(&self.speaker, lease)?);
        }
        let bytes = gst::Buffer::from_slice(mulaw.to_vec());
        let Some(encoder) = &state.encoder else { return Ok(()) };
        encoder.entry.push_buffer(bytes).map(drop).map_err(|e| Error::internal("the encoder ended").with_source(e))
    }

    /// It may have fallen silent. To be called every second.
    pub fn look(&self) {
        let given_back = {
            let mut state = lock(&self.state);
            let lease = state.turn.given_back(self.speaker.now());
            if lease.is_some() {
                state.encoder = None;
            }
            lease
        };
        if let Some(lease) = given_back {
            self.speaker.release(lease);
        }
    }
}

impl Drop for PlayerSpeech {
    fn drop(&mut self) {
        if let Some(lease) = lock(&self.state).turn.ended() {
            self.speaker.release(lease);
        }
    }
}

/// Makes Opus of G.711. It ends when this is dropped.
struct Encoder {
    entry: gst_app::AppSrc,
    _running: Running,
}

impl Encoder {
    fn start(speaker: &Arc<Speaker>, lease: LeaseId) -> Result<Self> {
        let bin = speaker.library().bin("talk/pcmu", &[], &[])?;
        let entry: gst_app::AppSrc = pipeline::typed(&bin, "in", "an appsrc")?;
        let out: gst_app::AppSink = pipeline::typed(&bin, "out", "an appsink")?;
        let (to, mut number) = (Arc::downgrade(speaker), 0u64);
        let taken = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let map = sample.buffer().and_then(|buffer| buffer.map_readable().ok());
            if let (Some(speaker), Some(opus)) = (to.upgrade(), map) {
                speaker.take(lease, number, (number * 960) as u32, &opus);
                number += 1;
            }
            Ok(gst::FlowSuccess::Ok)
        };
        out.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(taken).build());
        let pipeline = gst::Pipeline::new();
        time::apply(&pipeline);
        crate::capture::parts::add(&pipeline, &bin)?;
        let running = Running::new(pipeline, "a player's sound".into(), Threads::default(), |_| {});
        running.set_state(gst::State::Playing)?;
        Ok(Self { entry, _running: running })
    }
}
