//! Where a session with a network camera hands in what came: pictures and sound go to the hub, what people should know to the attempt. It
//! runs on the session's task and never blocks.

use super::control::Control;
use super::flow::Flow;
use super::settings::Settings;
use super::sound::SoundWay;
use crate::time;
use gstreamer as gst;
use gstreamer_app as gst_app;
use perch_base::secret::Secret;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind};
use perch_domain::ingest::{IngestRequest, IngestSink, Intake, Offer, Picture, PictureCodec, Shape};
use perch_domain::losses::{self, PictureCount};
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use perch_domain::motion::Thinner;
use perch_domain::viewer_codecs::is_refresh;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// Bytes of one picture at most; more is none.
const MAX_PICTURE_BYTES: usize = 16 << 20;
/// Different sentences that one session may say.
const MAX_NOTICES: usize = 8;

/// Where a session's pictures and sound go.
pub(super) struct Inlet {
    flow: Arc<Flow>,
    control: Arc<Control>,
    stream: Stream,
    /// Where its sound goes.
    pub sound: Arc<SoundWay>,
    offered: watch::Sender<Option<Offer>>,
    notices: mpsc::UnboundedSender<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    codec: Option<PictureCodec>,
    /// Whether what comes leads on from a picture that was published.
    leads_on: bool,
    shape: Option<Shape>,
    reorders: bool,
    /// Starts since the last one that browsers begin with, and whether there were several in a row.
    gradual_starts: u32,
    gradual: bool,
    count: PictureCount,
    /// Where JPEG is encoded, and how often.
    encoder: Option<(gst_app::AppSrc, Thinner)>,
    said: Vec<String>,
    /// Why nothing more is taken.
    refused: Option<Error>,
    /// When a picture was published last, and when one came that could not be.
    seen: (Option<MonoTime>, Option<MonoTime>),
}

/// What is known of a session's pictures.
pub(super) struct Pictures {
    pub codec: PictureCodec,
    pub shape: Option<Shape>,
    /// Whether they travel in another order than they are shown in.
    pub reorders: bool,
    /// Whether browsers can begin with none.
    pub gradual: bool,
}

/// What is told from outside of a session's sink.
pub(super) struct Told {
    /// The camera's offer, once it made one.
    pub offer: watch::Receiver<Option<Offer>>,
    /// Sentences for people.
    pub notices: mpsc::UnboundedReceiver<String>,
}

impl Inlet {
    pub fn new(flow: &Arc<Flow>, control: &Arc<Control>, stream: Stream) -> (Arc<Self>, Told) {
        let (notices, told) = mpsc::unbounded_channel();
        let (offered, offer) = watch::channel(None);
        let inlet = Self {
            flow: flow.clone(),
            control: control.clone(),
            stream,
            sound: Arc::default(),
            offered,
            notices,
            state: Mutex::default(),
        };
        (Arc::new(inlet), Told { offer, notices: told })
    }

    fn offer(&self, offer: Offer) -> bool {
        if self.stream == Stream::Sub && offer.pictures != PictureCodec::H264 {
            return self.refuse("is not H.264: set the second stream to H.264 in the camera");
        }
        lock(&self.state).codec = Some(offer.pictures);
        self.sound.offer(offer.sound.clone());
        // What encodes JPEG is built first, and then the hub may command it.
        if self.stream == Stream::Main && offer.pictures != PictureCodec::Jpeg && !self.flow.open(self.control.clone())
        {
            return false;
        }
        self.offered.send_replace(Some(offer));
        true
    }

    fn refuse(&self, why: &str) -> bool {
        lock(&self.state).refused = Some(Error::new(ErrorKind::Unsupported, why));
        false
    }

    /// The pictures go on to `encoder`.
    pub fn encode(&self, encoder: gst_app::AppSrc, fps: u32) {
        lock(&self.state).encoder = Some((encoder, Thinner::new(f64::from(fps))));
    }

    fn picture(&self, picture: Picture) -> bool {
        let mut state = lock(&self.state);
        let now = self.flow.now();
        let reorders = picture.decoded != picture.shown;
        if reorders && self.stream == Stream::Sub {
            drop(state);
            return self.refuse("has B-frames, which cannot be shown live: switch them off for the second stream");
        }
        state.reorders |= reorders;
        if picture.break_before {
            state.count.restart();
        }
        let is_hole = state.count.picture(picture.decoded, picture.lost_before);
        let shaped = picture.shape.filter(|shape| state.shape != Some(*shape));
        state.shape = shaped.or(state.shape);
        if state.codec == Some(PictureCodec::Jpeg) {
            self.encode_picture(&mut state, picture);
            return true;
        }
        let codec = state.codec.map_or(VideoCodec::H264, |codec| codec_of(codec, VideoCodec::H264));
        if picture.start {
            let refreshes = is_refresh(codec, &picture.data);
            state.gradual_starts = if refreshes { 0 } else { state.gradual_starts.saturating_add(1) };
            // One alone may stand for a refresh that was lost, or be the first after a camera's refresh that was before us.
            state.gradual |= state.gradual_starts > 1;
        }
        if state.gradual && self.stream == Stream::Sub {
            drop(state);
            return self
                .refuse("has no keyframes that browsers begin with: switch intra refresh off for the second stream");
        }
        let had_begun = state.leads_on;
        // Where a few were lost, decoders make do with what they have, and the file goes on.
        if picture.break_before || is_hole || shaped.is_some() {
            state.leads_on = false;
        }
        let jumps = had_begun && !state.leads_on;
        state.leads_on |= picture.start;
        let is_sane = (1..=MAX_PICTURE_BYTES).contains(&picture.data.len());
        let leads_on = state.leads_on && is_sane;
        match leads_on {
            true => state.seen.0 = Some(now),
            false => state.seen.1 = Some(now),
        }
        drop(state);
        if jumps {
            match self.stream {
                Stream::Main => self.flow.hub().discontinuity(),
                Stream::Sub => self.flow.hub().discontinuity_of(Stream::Sub),
            }
        }
        match leads_on {
            true => self.flow.publish_video(self.stream, packet_of(picture, codec)),
            false if self.stream == Stream::Main => self.flow.sign(),
            false => {}
        }
        true
    }

    /// A picture came that leads on from nothing.
    fn awaits(&self) {
        lock(&self.state).seen.1 = Some(self.flow.now());
        if self.stream == Stream::Main {
            self.flow.sign();
        }
    }

    fn encode_picture(&self, state: &mut State, picture: Picture) {
        self.flow.sign();
        let Some((encoder, thinner)) = &mut state.encoder else { return };
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

    /// Why nothing more was taken, said once.
    pub fn refused(&self) -> Option<Error> {
        lock(&self.state).refused.take()
    }

    /// What is known of the pictures. `None` before the offer.
    pub fn pictures(&self) -> Option<Pictures> {
        let State { codec, shape, reorders, gradual, .. } = *lock(&self.state);
        codec.map(|codec| Pictures { codec, shape, reorders, gradual })
    }

    /// How many pictures came, and how many were lost.
    pub fn counted(&self) -> losses::Pictures {
        lock(&self.state).count.pictures()
    }

    /// When a picture was published last, and when one came that could not be.
    pub fn seen(&self) -> (Option<MonoTime>, Option<MonoTime>) {
        lock(&self.state).seen
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
            Intake::Sound(sound) => {
                self.sound.take(&self.flow, sound);
                self.flow.is_live()
            }
            Intake::Notice(what) => {
                self.notice(what);
                true
            }
        }
    }
}

fn packet_of(picture: Picture, codec: VideoCodec) -> Packet {
    let Picture { data, shown, decoded, start, .. } = picture;
    let shown_later = shown.since(decoded);
    Packet { codec: Some(codec), shown_later, ..Packet::new(Track::Video, data, decoded, start) }
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
