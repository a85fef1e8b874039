//! A network camera's attempt: what it encodes itself goes to the hub as it came; whoever needs its pictures or its sound decoded does that
//! beside, and fails alone. The session is the ingest's.

use super::audio;
use super::control::{Control, until};
use super::decoding::{self, Decoded};
use super::flow::{Flow, Signal};
use super::running::Running;
use super::settings::{CaptureEvent, Settings};
use super::sound::{self, SoundWay};
use super::{AttemptOver, Capture, CloseOnDrop, PACE_EVERY, graph, parts};
use crate::{encoders, time};
use gstreamer as gst;
use gstreamer_app as gst_app;
use perch_base::backoff::{self, Backoff};
use perch_base::clock::within;
use perch_base::secret::Secret;
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, blocking, on_own_thread};
use perch_domain::capture_attempt::{CaptureEnd, LET_GO_WITHIN, START_WITHIN, patience_after};
use perch_domain::health::{
    FIRST_FRAME_WITHIN, KEYFRAME_WITHIN, NETWORK_STALL_AFTER, OfferedSound, StallVerdict, StallWatch,
};
use perch_domain::ingest::{
    IngestRequest, IngestSink, Intake, Offer, Picture, PictureCodec, Shape, SoundCodec, TlsTrust,
};
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use perch_domain::motion::Thinner;
use perch_domain::pace::PaceWatch;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Bytes of one picture at most; more is none.
const MAX_PICTURE_BYTES: usize = 16 << 20;
/// Different sentences that one session may say.
const MAX_NOTICES: usize = 8;
/// The shortest and the longest pause between two sessions of a second stream.
const SECOND_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often sound and the second stream are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Progress<'a> = &'a (dyn Fn(CaptureEvent) + Send + Sync);

/// Where a session's pictures and sound go.
struct Inlet {
    settings: Arc<Settings>,
    flow: Arc<Flow>,
    control: Arc<Control>,
    stream: Stream,
    sound: Arc<SoundWay>,
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
    /// Where JPEG is encoded, and how often.
    encoder: Option<(gst_app::AppSrc, Thinner)>,
    said: Vec<String>,
    /// Why nothing more is taken.
    refused: Option<Error>,
    /// When a picture was published last, and when one came that could not be.
    seen: (Option<MonoTime>, Option<MonoTime>),
}

/// What is told from outside of a session's sink.
struct Told {
    offer: watch::Receiver<Option<Offer>>,
    notices: mpsc::UnboundedReceiver<String>,
}

impl Inlet {
    fn new(settings: &Arc<Settings>, flow: &Arc<Flow>, control: &Arc<Control>, stream: Stream) -> (Arc<Self>, Told) {
        let (notices, told) = mpsc::unbounded_channel();
        let (offered, offer) = watch::channel(None);
        let inlet = Self {
            settings: settings.clone(),
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
    fn encode(&self, encoder: gst_app::AppSrc, fps: u32) {
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
        let shaped = picture.shape.filter(|shape| state.shape != Some(*shape));
        state.shape = shaped.or(state.shape);
        if state.codec == Some(PictureCodec::Jpeg) {
            self.encode_picture(&mut state, picture);
            return true;
        }
        let codec = state.codec.map_or(VideoCodec::H264, |codec| codec_of(codec, VideoCodec::H264));
        let had_begun = state.leads_on;
        if picture.break_before || shaped.is_some() {
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

    fn refused(&self) -> Option<Error> {
        lock(&self.state).refused.take()
    }
}

impl IngestSink for Inlet {
    fn take(&self, intake: Intake) -> bool {
        match intake {
            Intake::Certificate(sha256) => {
                *seen_certificate(&mut lock(&self.settings.seen_certificates), self.stream) = Some(sha256);
                true
            }
            Intake::Offer(offer) => self.offer(offer),
            Intake::Picture(picture) => self.flow.is_live() && self.picture(picture),
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

fn seen_certificate(seen: &mut [Option<[u8; 32]>; 2], stream: Stream) -> &mut Option<[u8; 32]> {
    let [main, sub] = seen;
    if stream == Stream::Main { main } else { sub }
}

fn request(settings: &Settings, stream: Stream, url: &Secret, sound: bool) -> IngestRequest {
    let network = &settings.config.network;
    let seen = *seen_certificate(&mut lock(&settings.seen_certificates), stream);
    let trust = match (&network.trust, seen) {
        (TlsTrust::FirstSeen, Some(sha256)) => TlsTrust::Pinned(sha256),
        (trust, _) => trust.clone(),
    };
    IngestRequest { url: url.clone(), transport: network.transport, trust, sound }
}

impl Capture {
    /// One attempt at the network camera at `url`.
    pub(super) async fn network_attempt(
        &self,
        url: &Secret,
        progress: Progress<'_>,
        mut shutdown: Shutdown,
    ) -> Result<CaptureEnd> {
        let settings = &self.settings;
        let (signals, mut inbox) = mpsc::unbounded_channel();
        let flow = Arc::new(Flow::new(settings, signals));
        let _closed = CloseOnDrop(flow.clone());
        let control = Arc::new(Control::new(Arc::default()));
        if settings.config.network.sub_source.is_none() {
            // Looking for a hardware encoder opens it.
            let probe = || Ok(encoders::probe(VideoCodec::H264).is_ok_and(|encoder| encoder.commandable));
            control.expect_sub(blocking("looking for an encoder", probe).await?);
        }
        self.attempt.send_replace(Some(audio::Attempt { flow: flow.clone(), control: control.clone() }));
        let _over = AttemptOver(&self.attempt);
        let (inlet, mut told) = Inlet::new(settings, &flow, &control, Stream::Main);
        let (end, until) = shutdown.child();
        let request = request(settings, Stream::Main, url, parts::own_sound(settings));
        let mut session = pin!(settings.ingest.run(&request, &*inlet, until));
        let mut is_over = false;
        let offer = told.offer.clone();
        let ended = tokio::select! {
            ended = &mut session => {
                is_over = true;
                ended.and_then(|()| ended_by_camera(&flow))
            }
            ended = self.look_on(&flow, &control, &inlet, &mut told, &mut inbox, progress) => ended,
            () = self.beside(&flow, &control, &inlet, offer, progress) => Err(Error::internal("the parts beside a session ended")),
            () = shutdown.called() => Ok(CaptureEnd::Shutdown),
        };
        let ended = match shutdown.is_called() {
            true => Ok(CaptureEnd::Shutdown),
            false => inlet.refused().map_or(ended, Err),
        };
        let (delivered, pictures) = flow.delivered();
        self.attempted(&ended, delivered, pictures);
        flow.close();
        end.fire();
        if !is_over && within(&settings.clock, LET_GO_WITHIN, session).await.is_none() {
            tracing::debug!(camera = %settings.config.id, "the camera does not take leave; the session is left");
        }
        ended
    }

    fn attempted(&self, ended: &Result<CaptureEnd>, delivered: Duration, pictures: u64) {
        let mut last = lock(&self.last);
        last.delivered = delivered;
        last.patience = patience_after(last.patience, ended, pictures);
    }

    /// Looks on until the attempt ends by itself or stalls.
    async fn look_on(
        &self,
        flow: &Flow,
        control: &Control,
        inlet: &Inlet,
        told: &mut Told,
        inbox: &mut mpsc::UnboundedReceiver<Signal>,
        progress: Progress<'_>,
    ) -> Result<CaptureEnd> {
        let (clock, config) = (&self.settings.clock, &self.settings.config);
        let mut stall = StallWatch::new(clock.mono(), lock(&self.last).patience);
        let mut pace = PaceWatch::new(config.main.fps, config.source.rate_owed_by());
        // What was said of it that is not so for ever.
        let mut said = Said::Nothing;
        let mut look_at = clock.mono();
        loop {
            self.count_round();
            let now = clock.mono();
            flow.last_frame().into_iter().for_each(|at| stall.frame(at));
            flow.last_sign().into_iter().for_each(|at| stall.sign(at));
            while let Ok(what) = told.notices.try_recv() {
                progress(CaptureEvent::Notice(what));
            }
            self.offers(inlet, progress);
            if now >= look_at {
                look_at = now + PACE_EVERY;
                if let Some(pace) = pace.look(now, flow.work(control.is_decoding(), control.sub_active())) {
                    progress(CaptureEvent::Pace(pace));
                }
            }
            let wait = match stall.check(now) {
                StallVerdict::Stalled(for_) => return Ok(CaptureEnd::Stalled { for_ }),
                StallVerdict::NeverStarted => return Err(never_started(flow)),
                StallVerdict::AwaitsKeyframe(at) => {
                    if said != Said::AwaitsKeyframe {
                        said = Said::AwaitsKeyframe;
                        progress(CaptureEvent::AwaitsKeyframe);
                    }
                    at
                }
                StallVerdict::WaitUntil(at) => {
                    let is_silent = stall.is_silent(now);
                    if is_silent && said != Said::Silent {
                        said = Said::Silent;
                        progress(CaptureEvent::Silent(
                            flow.last_frame().map_or(Duration::ZERO, |last| now.since(last)),
                        ));
                    } else if !is_silent && said != Said::Nothing && flow.last_frame().is_some() {
                        said = Said::Nothing;
                        progress(CaptureEvent::FirstFrame);
                    }
                    at
                }
            };
            let wait = wait.min(look_at).since(now);
            let signal = tokio::select! {
                signal = inbox.recv() => signal,
                () = clock.sleep(wait + Duration::from_millis(1)) => continue,
            };
            match signal {
                Some(Signal::FirstFrame) => {
                    self.offers(inlet, progress);
                    said = Said::Nothing;
                    progress(CaptureEvent::FirstFrame);
                }
                Some(Signal::Failed(e)) => return Err(e),
                // What encodes JPEG has no end of its own.
                Some(Signal::EndOfStream | Signal::PadsKnown | Signal::SegmentDone) => {}
                None => return Err(Error::internal("the session's signals ended")),
            }
        }
    }

    /// Says what the camera offers where that changed.
    fn offers(&self, inlet: &Inlet, progress: Progress<'_>) {
        let (codec, shape, reorders) = {
            let state = lock(&inlet.state);
            (state.codec, state.shape, state.reorders)
        };
        let Some(codec) = codec else { return };
        let config = &self.settings.config;
        self.offering(progress, |offering| {
            let codec = codec_of(codec, config.codec);
            // Whoever watches is cut off when this changes: a session that begins does not take it back.
            offering.reorders = (offering.reorders && offering.codec == codec) || reorders;
            offering.codec = codec;
            offering.shape = shape.map(|shape| shape.shaped(config.aspect)).or(offering.shape);
        });
    }

    /// What runs beside the session, each as long as it is needed. Ends never.
    async fn beside(
        &self,
        flow: &Arc<Flow>,
        control: &Arc<Control>,
        inlet: &Arc<Inlet>,
        mut offer: watch::Receiver<Option<Offer>>,
        progress: Progress<'_>,
    ) {
        let offered = match offer.wait_for(Option::is_some).await {
            Ok(offer) => offer.clone(),
            Err(_) => None,
        };
        let Some(offered) = offered else { return std::future::pending().await };
        tokio::join!(
            self.pictures_beside(flow, control, inlet, offered.pictures, progress),
            self.sound_beside(flow, control, inlet, progress),
            self.second_beside(flow, control, progress),
        );
        std::future::pending().await
    }

    async fn pictures_beside(
        &self,
        flow: &Arc<Flow>,
        control: &Arc<Control>,
        inlet: &Inlet,
        codec: PictureCodec,
        progress: Progress<'_>,
    ) {
        let settings = &self.settings;
        let has_second = settings.config.network.sub_source.is_some();
        if codec == PictureCodec::Jpeg {
            let starting = start_jpeg(settings.clone(), flow.clone(), control.clone());
            let started = within(&settings.clock, START_WITHIN, starting).await;
            match started.unwrap_or_else(|| Err(Error::new(ErrorKind::Unavailable, "the encoder did not start"))) {
                Ok((_running, entry)) => {
                    inlet.encode(entry, settings.config.main.fps);
                    // The pipeline goes on as long as this is not dropped.
                    return std::future::pending().await;
                }
                Err(e) => return flow.signal(Signal::Failed(e)),
            }
        }
        // With a second stream of its own, the large one is not decoded at all.
        if !has_second {
            let what =
                Decoded { stream: Stream::Main, codec: codec_of(codec, settings.config.codec), makes_small: true };
            decoding::keep(settings, flow, control, what, &|why| report_decoding(why, true, progress)).await;
        }
    }

    async fn sound_beside(&self, flow: &Arc<Flow>, control: &Arc<Control>, inlet: &Inlet, progress: Progress<'_>) {
        let settings = &self.settings;
        if !parts::own_sound(settings) {
            return;
        }
        let tell = |why: Option<String>| {
            self.offering(progress, |offering| offering.has_audio = why.is_none());
            progress(CaptureEvent::Sound(why));
        };
        let Some(format) = inlet.sound.format() else {
            return tell(Some(
                "the camera offers no sound: switch it on there, or set audio.source to \"none\"".into(),
            ));
        };
        if let Some(why) = sound::why_not(settings, &format) {
            return tell(Some(why));
        }
        // It is heard where it comes and can be decoded.
        let (silent, undecoded) = (Mutex::new(None), Mutex::new(None));
        let tell_both = || tell(lock(&silent).clone().or_else(|| lock(&undecoded).clone()));
        let listen = async {
            let mut watch = OfferedSound::new(settings.clock.mono());
            loop {
                settings.clock.sleep(LOOK_EVERY).await;
                if let Some(is_heard) = watch.look(settings.clock.mono(), inlet.sound.heard()) {
                    let why = "the camera offers sound and sends none: see whether its microphone is switched on";
                    *lock(&silent) = (!is_heard).then(|| why.to_owned());
                    tell_both();
                }
            }
        };
        let report = |why: Option<&Error>| {
            *lock(&undecoded) = why.map(|why| why.message().to_owned());
            tell_both();
        };
        let decode = async {
            if format.codec != SoundCodec::Opus {
                sound::keep(settings, flow, control, &inlet.sound, &format, &report).await;
            }
        };
        tokio::join!(listen, decode);
    }

    /// The camera's own second stream, where there is one.
    async fn second_beside(&self, flow: &Arc<Flow>, control: &Arc<Control>, progress: Progress<'_>) {
        let settings = &self.settings;
        let Some(url) = &settings.config.network.sub_source else { return };
        let what = Decoded { stream: Stream::Sub, codec: VideoCodec::H264, makes_small: false };
        let report = |why: Option<&Error>| report_decoding(why, false, progress);
        tokio::join!(self.second(url, flow, control, progress), decoding::keep(settings, flow, control, what, &report),);
    }

    async fn second(&self, url: &Secret, flow: &Arc<Flow>, control: &Arc<Control>, progress: Progress<'_>) {
        let settings = &self.settings;
        let for_motion = settings.config.motion.enabled;
        let is_wanted = |demand: &crate::fanout::Demand| for_motion || demand.sub;
        let mut demand = control.demand();
        let mut pauses = Backoff::new(SECOND_PAUSES.0, SECOND_PAUSES.1);
        let mut patience = NETWORK_STALL_AFTER;
        while until(&mut demand, is_wanted).await {
            let (inlet, _told) = Inlet::new(settings, flow, control, Stream::Sub);
            let (end, over) = perch_base::shutdown::channel();
            let request = request(settings, Stream::Sub, url, false);
            let began = settings.clock.mono();
            let mut session = pin!(settings.ingest.run(&request, &*inlet, over));
            let ended = tokio::select! {
                ended = &mut session => ended.and(Err(Error::new(ErrorKind::Unavailable, "the camera ended it"))),
                why = self.look_on_second(&inlet, &mut patience, progress) => Err(why),
                _ = until(&mut demand, |demand| !is_wanted(demand)) => {
                    end.fire();
                    within(&settings.clock, LET_GO_WITHIN, session).await;
                    Ok(())
                }
            };
            flow.hub().discontinuity_of(Stream::Sub);
            let Err(why) = inlet.refused().map_or(ended, Err) else {
                progress(CaptureEvent::Small(None));
                pauses.reset();
                continue;
            };
            if settings.is_news(&why) {
                tracing::warn!(camera = %settings.config.id, error = %why, "the camera's second stream fails; the first goes on");
            }
            let sentence = format!("the camera's second stream {}", why.message());
            progress(CaptureEvent::Small(Some(sentence.clone())));
            if for_motion {
                progress(CaptureEvent::MotionPictures(Some(sentence)));
            }
            if settings.clock.mono().since(began) >= FIRST_FRAME_WITHIN * 2 {
                pauses.reset();
            }
            settings.clock.sleep(pauses.next(backoff::unit())).await;
        }
    }

    /// Looks on until the second stream stalls; says why.
    async fn look_on_second(&self, inlet: &Inlet, patience: &mut Duration, progress: Progress<'_>) -> Error {
        let clock = &self.settings.clock;
        let mut stall = StallWatch::new(clock.mono(), *patience);
        let mut has_come = false;
        loop {
            let (frame, sign) = lock(&inlet.state).seen;
            frame.into_iter().for_each(|at| stall.frame(at));
            sign.into_iter().for_each(|at| stall.sign(at));
            if frame.is_some() && !std::mem::replace(&mut has_come, true) {
                progress(CaptureEvent::Small(None));
            }
            match stall.check(clock.mono()) {
                StallVerdict::WaitUntil(_) | StallVerdict::AwaitsKeyframe(_) => {}
                StallVerdict::Stalled(for_) => {
                    return Error::new(ErrorKind::Unavailable, format!("brought no picture for {} s", for_.as_secs()));
                }
                StallVerdict::NeverStarted => return Error::new(ErrorKind::Unavailable, "brought no picture"),
            }
            clock.sleep(LOOK_EVERY).await;
        }
    }
}

/// What was said last of an attempt's pictures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    AwaitsKeyframe,
    Silent,
}

/// Why a decoder does not work concerns motion, and the small stream where that is made of the same pictures.
fn report_decoding(why: Option<&Error>, makes_small: bool, progress: Progress<'_>) {
    let why = why.map(|why| why.message().to_owned());
    if makes_small {
        progress(CaptureEvent::Small(why.clone()));
    }
    progress(CaptureEvent::MotionPictures(why));
}

pub(super) fn report_passed<'a>(progress: Progress<'a>) -> impl Fn(Option<&Error>) + Send + Sync + use<'a> {
    move |why| report_decoding(why, true, progress)
}

fn codec_of(pictures: PictureCodec, own: VideoCodec) -> VideoCodec {
    match pictures {
        PictureCodec::H264 => VideoCodec::H264,
        PictureCodec::H265 => VideoCodec::H265,
        PictureCodec::Jpeg => own,
    }
}

fn ended_by_camera(flow: &Flow) -> Result<CaptureEnd> {
    match flow.last_frame() {
        Some(_) => Ok(CaptureEnd::EndOfStream),
        None => Err(Error::new(ErrorKind::Unavailable, "ended the session before it sent a picture: is it busy?")),
    }
}

fn never_started(flow: &Flow) -> Error {
    let message = match flow.last_sign() {
        Some(_) => {
            let minutes = KEYFRAME_WITHIN.as_secs() / 60;
            format!("sent no keyframe within {minutes} minutes: set a shorter keyframe interval in the camera")
        }
        None => format!("sent no picture within {} s: is it busy or asleep?", FIRST_FRAME_WITHIN.as_secs()),
    };
    Error::new(ErrorKind::Unavailable, message)
}

/// Builds and starts what encodes JPEG, on a thread of its own.
async fn start_jpeg(
    settings: Arc<Settings>,
    flow: Arc<Flow>,
    control: Arc<Control>,
) -> Result<(Running, gst_app::AppSrc)> {
    let (name, entered) = (format!("start {}", settings.config.id), settings.threads.enter());
    let start = move || {
        let made = graph::build_jpeg(&settings, &flow, &control).and_then(|(pipeline, entry)| {
            let teller = Arc::downgrade(&flow);
            let running = Running::new(pipeline, "its video".into(), settings.threads.clone(), move |signal| {
                if let Some(flow) = teller.upgrade() {
                    flow.signal(signal);
                }
            });
            if !flow.open(control) {
                return Err(Error::internal("the attempt is over"));
            }
            running.set_state(gst::State::Playing)?;
            Ok((running, entry))
        });
        drop(entered);
        made
    };
    // Where nobody waits any more it ends as it drops.
    on_own_thread(name, start).await
}
