//! Where a session with a network camera hands in what came: pictures and sound go to the hub, what people should know to the attempt. It
//! runs on the session's task and never blocks.

use super::anew;
use super::control::Control;
use super::flow::Flow;
use super::settings::Settings;
use super::sound::SoundWay;
use crate::fanout::Hub;
use crate::time;
use gstreamer as gst;
use gstreamer_app as gst_app;
use perch_base::Error;
use perch_base::secret::Secret;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::ingest::{IngestRequest, IngestSink, Intake, Offer, Picture, PictureCodec};
use perch_domain::losses;
use perch_domain::media::{Packet, Stream, VideoCodec};
use perch_domain::motion::Thinner;
use perch_domain::orientation::Orientation;
use perch_domain::picture_gate::{Known, PictureGate, Step};
use perch_domain::picture_settings::PictureSettings;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// Different sentences that one session may say.
const MAX_NOTICES: usize = 8;

/// Where a session's pictures and sound go.
pub(super) struct Inlet {
    flow: Arc<Flow>,
    control: Arc<Control>,
    stream: Stream,
    /// Whether the box encodes all of it anew.
    encodes: bool,
    /// How its pictures are turned besides.
    turned: Orientation,
    /// Where pictures are published that the small stream is made of.
    source: Option<Arc<Hub>>,
    /// Where its sound goes.
    pub sound: Arc<SoundWay>,
    offered: watch::Sender<Option<Offer>>,
    notices: mpsc::UnboundedSender<String>,
    state: Mutex<State>,
}

struct State {
    gate: PictureGate,
    /// Where pictures are encoded.
    encoder: Option<Entrance>,
    said: Vec<String>,
    /// Why nothing more is taken.
    refused: Option<Error>,
}

/// Where pictures go that the box encodes.
pub(super) enum Entrance {
    /// JPEG, at most so often.
    Jpeg(gst_app::AppSrc, Thinner),
    /// What is encoded anew.
    Anew(anew::Entry),
}

/// What is told from outside of a session's sink.
pub(super) struct Reports {
    /// The camera's offer, once it made one.
    pub offer: watch::Receiver<Option<Offer>>,
    /// Sentences for people.
    pub notices: mpsc::UnboundedReceiver<String>,
}

impl Inlet {
    /// Of a session with the first stream of a camera with these settings.
    pub fn new(flow: &Arc<Flow>, control: &Arc<Control>, picture: &PictureSettings) -> (Arc<Self>, Reports) {
        Self::of(flow, control, picture, Stream::Main, None)
    }

    /// Of a session with the second, which comes to `source` where the small stream is to be made of it.
    pub fn of_second(
        flow: &Arc<Flow>,
        control: &Arc<Control>,
        picture: &PictureSettings,
        source: &Arc<Hub>,
    ) -> (Arc<Self>, Reports) {
        Self::of(flow, control, picture, Stream::Sub, Some(source.clone()))
    }

    fn of(
        flow: &Arc<Flow>,
        control: &Arc<Control>,
        picture: &PictureSettings,
        stream: Stream,
        source: Option<Arc<Hub>>,
    ) -> (Arc<Self>, Reports) {
        let encodes = picture.encode && stream == Stream::Main;
        let gate = PictureGate::new(stream);
        let gate = if encodes { gate.encoding() } else { gate };
        let (notices, reports) = mpsc::unbounded_channel();
        let (offered, offer) = watch::channel(None);
        let inlet = Self {
            flow: flow.clone(),
            control: control.clone(),
            stream,
            encodes,
            turned: picture.turned,
            source,
            sound: Arc::default(),
            offered,
            notices,
            state: Mutex::new(State { gate, encoder: None, said: Vec::new(), refused: None }),
        };
        (Arc::new(inlet), Reports { offer, notices: reports })
    }

    fn offer(&self, offer: Offer) -> bool {
        let is_taken = lock(&self.state).gate.offer(offer.pictures);
        if let Err(why) = is_taken {
            return self.refuse(why);
        }
        self.sound.offer(&offer);
        // What encodes here is built first, and then the hub may command it.
        let is_passed = offer.pictures != PictureCodec::Jpeg && !self.encodes;
        if self.stream == Stream::Main && is_passed && !self.flow.open(self.control.clone()) {
            return false;
        }
        self.offered.send_replace(Some(offer));
        true
    }

    fn refuse(&self, why: Error) -> bool {
        lock(&self.state).refused = Some(why);
        false
    }

    /// The pictures go on to `encoder`.
    pub fn encode(&self, encoder: Entrance) {
        lock(&self.state).encoder = Some(encoder);
    }

    fn picture(&self, picture: Picture) -> bool {
        let (steps, is_source) = {
            let gate = &mut lock(&self.state).gate;
            (gate.picture(self.flow.now(), picture), gate.is_to_be_encoded())
        };
        let source = self.source.as_ref().filter(|_| is_source);
        // Only the session's task comes here: no other picture is between.
        steps.into_iter().all(|step| self.obey(step, source))
    }

    /// False: the session ends.
    fn obey(&self, step: Step, source: Option<&Arc<Hub>>) -> bool {
        match step {
            // The small stream is encoded here or has a session of its own: it goes on where the large one breaks off.
            Step::BreakOff => source.unwrap_or(self.flow.hub()).discontinuity_of(self.stream),
            Step::Publish(packet) => match source {
                Some(source) => source.publish_video(self.stream, Arc::new(self.turned(packet))),
                None => self.flow.publish_video(self.stream, self.turned(packet)),
            },
            Step::Encode(picture) => self.encode_picture(picture),
            Step::Sign => self.sign(),
            Step::Refuse(why) => return self.refuse(why),
        }
        true
    }

    /// Says with each start how the pictures are turned besides.
    fn turned(&self, packet: Packet) -> Packet {
        match packet.codec {
            Some(codec) if packet.keyframe && self.turned != Orientation::NONE => {
                Packet { data: self.turned.said_besides(codec, &packet.data).into(), ..packet }
            }
            _ => packet,
        }
    }

    /// Only the first stream's pictures keep an attempt alive.
    fn sign(&self) {
        if self.stream == Stream::Main {
            self.flow.sign();
        }
    }

    /// A picture came that leads on from nothing.
    fn awaits(&self) {
        lock(&self.state).gate.awaits(self.flow.now());
        self.sign();
    }

    fn encode_picture(&self, picture: Picture) {
        let mut state = lock(&self.state);
        let (encoder, thinner) = match &mut state.encoder {
            Some(Entrance::Jpeg(encoder, thinner)) => (encoder, thinner),
            Some(Entrance::Anew(entry)) => return entry.take(picture),
            None => return,
        };
        let at = time::from_mono(picture.shown);
        if !thinner.keep(at.nseconds()) {
            return;
        }
        let mut buffer = gst::Buffer::from_slice(picture.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(at);
        }
        // What comes out of the encoder counts. It refuses only while it ends; what is too much is dropped in it.
        let _ = encoder.push_buffer(buffer);
    }

    fn notice(&self, what: String) {
        let mut state = lock(&self.state);
        if state.said.len() < MAX_NOTICES && !state.said.contains(&what) {
            state.said.push(what.clone());
            // Nobody listens once the attempt is over.
            let _ = self.notices.send(what);
        }
    }

    /// What the session said last.
    pub fn said(&self) -> Option<String> {
        lock(&self.state).said.last().cloned()
    }

    /// Why nothing more was taken, said once.
    pub fn refused(&self) -> Option<Error> {
        lock(&self.state).refused.take()
    }

    /// What is known of the pictures. `None` before the offer.
    pub fn pictures(&self) -> Option<Known> {
        lock(&self.state).gate.known()
    }

    /// How many pictures came, and how many were lost.
    pub fn counted(&self) -> losses::Pictures {
        lock(&self.state).gate.counted()
    }

    /// When a picture was published last, and when one came that could not be.
    pub fn seen(&self) -> (Option<MonoTime>, Option<MonoTime>) {
        lock(&self.state).gate.seen()
    }
}

impl IngestSink for Inlet {
    fn take(&self, intake: Intake) -> bool {
        match intake {
            Intake::Offer(offer) => self.offer(offer),
            Intake::Picture(picture) => self.flow.is_live() && self.picture(picture),
            Intake::Awaits => {
                self.awaits();
                self.flow.is_live()
            }
            Intake::SoundFormat(format) => {
                self.sound.change(format);
                self.flow.is_live()
            }
            Intake::Sound(sound) => {
                self.sound.take(&self.flow, sound);
                self.flow.is_live()
            }
            Intake::Notice(what) => {
                self.notice(what);
                true
            }
            Intake::Aside(_) => true,
        }
    }
}

/// What the ingest is asked for.
pub(super) fn request(settings: &Settings, url: &Secret, sound: bool) -> IngestRequest {
    let network = &settings.config.network;
    IngestRequest { url: url.clone(), transport: network.transport, trust: network.trust.clone(), sound }
}

/// How the hub gets pictures that travel like this; JPEG is encoded as `own`.
pub(super) fn codec_of(pictures: PictureCodec, own: VideoCodec) -> VideoCodec {
    match pictures {
        PictureCodec::H264 => VideoCodec::H264,
        PictureCodec::H265 => VideoCodec::H265,
        PictureCodec::Jpeg => own,
    }
}
