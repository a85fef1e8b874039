//! A network camera's attempt: what it encodes itself goes to the hub as it came; whoever needs its pictures or its sound decoded does that
//! beside, and fails alone. The session is the ingest's.

use super::attempts::Attempts;
use super::audio::{self, AttemptOver};
use super::control::Control;
use super::decoding::{self, Decoded};
use super::flow::{CloseOnDrop, Flow, Signal};
use super::inlet::{Entrance, Inlet, Reports, codec_of, request};
use super::running::Running;
use super::second::Second;
use super::settings::{CaptureEvent, PACE_EVERY, Progress, Settings};
use super::{anew, graph, parts, second, sound};
use crate::encoders;
use gstreamer as gst;
use perch_base::clock::within;
use perch_base::secret::Secret;
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, blocking, on_own_thread};
use perch_domain::capture_attempt::{CaptureEnd, LET_GO_WITHIN, NewestOnly, START_WITHIN};
use perch_domain::health::{OfferedSound, StallVerdict, StallWatch, never_started, undecodable};
use perch_domain::ingest::{Offer, PictureCodec, Shape, SoundCodec};
use perch_domain::losses::{self, LossWatch};
use perch_domain::media::VideoCodec;
use perch_domain::motion::Thinner;
use perch_domain::pace::PaceWatch;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often sound is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One attempt at the network camera at `url`. While it goes on it stands in `running`.
pub(super) async fn run_once(
    settings: &Arc<Settings>,
    attempts: &Attempts,
    running: &watch::Sender<Option<audio::Attempt>>,
    url: &Secret,
    progress: Progress<'_>,
    mut shutdown: Shutdown,
) -> Result<CaptureEnd> {
    let (signals, mut inbox) = mpsc::unbounded_channel();
    let flow = Arc::new(Flow::new(settings, signals));
    let _closed = CloseOnDrop(flow.clone());
    let control = Arc::new(Control::new(Arc::default()));
    let second = settings.config.network.sub_source.as_ref().filter(|_| !attempts.is_newest_only());
    if second.is_none() {
        // Looking for a hardware encoder opens it.
        let probe = || Ok(encoders::probe(VideoCodec::H264).is_ok_and(|encoder| encoder.commandable));
        let found = within(&settings.clock, START_WITHIN, blocking("looking for an encoder", probe)).await;
        // Where its driver hangs, the camera is recorded all the same; the decoder, which needs it, says why.
        control.expect_sub(found.unwrap_or(Ok(false))?);
    } else {
        control.expect_second();
    }
    running.send_replace(Some(audio::Attempt { flow: flow.clone(), control: control.clone() }));
    let _over = AttemptOver(running);
    let (inlet, mut reports) = Inlet::new(&flow, &control, &settings.config.picture);
    let attempt =
        NetworkAttempt { settings, attempts, progress, flow: &flow, control: &control, inlet: &inlet, second };
    if attempts.is_newest_only() {
        progress(CaptureEvent::Small(None));
        progress(CaptureEvent::MotionPictures(None));
    }
    let (end, until) = shutdown.child();
    let request = request(settings, url, parts::own_sound(settings));
    let mut session = pin!(settings.ingest.run(&request, &*inlet, until));
    let mut is_over = false;
    let offer = reports.offer.clone();
    let ended = tokio::select! {
        ended = &mut session => {
            is_over = true;
            ended.and_then(|()| ended_by_camera(&flow))
        }
        ended = attempt.look_on(&mut reports, &mut inbox) => ended,
        () = attempt.beside(offer) => Err(Error::internal("the parts beside a session ended")),
        () = shutdown.called() => Ok(CaptureEnd::Shutdown),
    };
    let ended = match shutdown.is_called() {
        true => Ok(CaptureEnd::Shutdown),
        false => inlet.refused().map_or(ended, Err),
    };
    if !matches!(ended, Ok(CaptureEnd::Shutdown)) {
        attempts.first_ends(flow.last_frame());
    }
    let (delivered, pictures) = flow.delivered();
    attempts.set_delivered(delivered);
    attempts.ended(&ended, pictures);
    flow.close();
    end.fire();
    if !is_over && within(&settings.clock, LET_GO_WITHIN, session).await.is_none() {
        tracing::debug!(camera = %settings.config.id, "the camera does not take leave; the session is left");
    }
    ended
}

/// An attempt that goes on.
struct NetworkAttempt<'a> {
    settings: &'a Arc<Settings>,
    attempts: &'a Attempts,
    progress: Progress<'a>,
    flow: &'a Arc<Flow>,
    control: &'a Arc<Control>,
    inlet: &'a Inlet,
    /// The camera's own second stream, where there is one that does not end the first.
    second: Option<&'a Secret>,
}

impl NetworkAttempt<'_> {
    /// Looks on until the attempt ends by itself or stalls.
    async fn look_on(&self, reports: &mut Reports, inbox: &mut mpsc::UnboundedReceiver<Signal>) -> Result<CaptureEnd> {
        let Self { flow, control, progress, .. } = self;
        let (clock, config) = (&self.settings.clock, &self.settings.config);
        let mut stall = StallWatch::new(clock.mono(), self.attempts.patience());
        let mut pace = PaceWatch::new(config.main.fps, config.source.rate_owed_by());
        let mut losses = LossWatch::new(clock.mono());
        // What was said of it that is not so for ever.
        let mut said = Said::Nothing;
        let mut look_at = clock.mono();
        let mut has_begun = false;
        loop {
            self.attempts.count_round();
            if !has_begun && reports.offer.borrow().is_some() {
                has_begun = true;
                let pictures = self.inlet.pictures();
                let is_jpeg = pictures.is_some_and(|pictures| pictures.codec == PictureCodec::Jpeg);
                stall.encoded_here(is_jpeg || config.picture.encode);
                progress(CaptureEvent::SessionBegins);
                if self.attempts.is_newest_only() {
                    progress(CaptureEvent::Notice(NewestOnly::SENTENCE.to_owned()));
                }
            }
            let now = clock.mono();
            flow.last_frame().into_iter().for_each(|at| stall.frame(at));
            flow.last_sign().into_iter().for_each(|at| stall.sign(at));
            while let Ok(what) = reports.notices.try_recv() {
                progress(CaptureEvent::Notice(what));
            }
            self.offers();
            if now >= look_at {
                look_at = now + PACE_EVERY;
                if let Some(pace) = pace.look(now, flow.work(control.is_decoding(), control.sub_active())) {
                    progress(CaptureEvent::Pace(pace));
                }
                if let Some(percent) = losses.look(now, self.inlet.counted()) {
                    let what = (percent > 0).then(|| losses::sentence(percent, config.network.transport));
                    progress(CaptureEvent::Losses(what));
                }
            }
            let wait = match stall.check(now) {
                StallVerdict::Stalled(for_) => return Ok(CaptureEnd::Stalled { for_ }),
                StallVerdict::Undecodable => return Err(undecodable()),
                StallVerdict::NeverStarted => return Err(never_started(now, flow.last_sign(), self.inlet.said())),
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
                    self.offers();
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
    fn offers(&self) {
        let Some(pictures) = self.inlet.pictures() else { return };
        let config = &self.settings.config;
        // What is encoded anew is as the config says.
        if config.picture.encode && pictures.codec != PictureCodec::Jpeg {
            return;
        }
        let turned = |shape: Shape| {
            let turned = Shape { orientation: shape.orientation.and_then(config.picture.turned), ..shape };
            // JPEG is turned here, and nobody else has to.
            if pictures.codec == PictureCodec::Jpeg { turned.turned() } else { turned }
        };
        self.attempts.change_offering(self.progress, |offering| {
            let codec = codec_of(pictures.codec, config.codec);
            self.attempts.apply_habits(self.inlet.seen().0, codec, &pictures, offering);
            offering.shape = pictures.shape.map(|shape| turned(shape.shaped(config.aspect))).or(offering.shape);
        });
    }

    /// What runs beside the session, each as long as it is needed. Ends never.
    async fn beside(&self, mut offer: watch::Receiver<Option<Offer>>) {
        let offered = match offer.wait_for(Option::is_some).await {
            Ok(offer) => offer.clone(),
            Err(_) => None,
        };
        let Some(offered) = offered else { return std::future::pending().await };
        tokio::join!(self.pictures_beside(offered.pictures), self.sound_beside(), self.second_beside(),);
        std::future::pending().await
    }

    async fn pictures_beside(&self, codec: PictureCodec) {
        let &Self { settings, flow, control, inlet, progress, second, .. } = self;
        if codec == PictureCodec::Jpeg || settings.config.picture.encode {
            let starting = start_encoder(settings.clone(), flow.clone(), control.clone(), codec);
            let started = within(&settings.clock, START_WITHIN, starting).await;
            match started.unwrap_or_else(|| Err(Error::new(ErrorKind::Unavailable, "the encoder did not start"))) {
                Ok((_running, entry)) => {
                    inlet.encode(entry);
                    // The pipeline goes on as long as this is not dropped.
                    return std::future::pending().await;
                }
                Err(e) => return flow.signal(Signal::Failed(e)),
            }
        }
        // With a second stream of its own, the large one is not decoded at all.
        if second.is_none() {
            let what = Decoded { source: None, codec: codec_of(codec, settings.config.codec), makes_small: true };
            decoding::keep(settings, flow, control, what, progress).await;
        }
    }

    async fn sound_beside(&self) {
        let &Self { settings, flow, control, inlet, progress, .. } = self;
        if !parts::own_sound(settings) {
            return;
        }
        let tell = |why: Option<String>, is_offered: bool| {
            self.attempts.change_offering(progress, |offering| offering.has_audio = is_offered);
            progress(CaptureEvent::Sound(why));
        };
        let Some(format) = inlet.sound.format() else {
            let why = "the camera offers no sound: switch it on there, or set audio.source to \"none\"";
            return tell(Some(inlet.sound.none().unwrap_or_else(|| why.into())), false);
        };
        if let Some(why) = sound::why_not(settings, &format) {
            return tell(Some(why), false);
        }
        // It is heard where it comes and can be decoded, and offered where both once were so.
        let (silent, undecoded) = (Mutex::new(None), Mutex::new(None));
        let worked = &self.attempts.sound;
        let tell_both = || {
            let (silent, undecoded) = (lock(&silent).clone(), lock(&undecoded).clone());
            let is_offered = (silent.is_none() || worked.came.load(Ordering::Relaxed))
                && (undecoded.is_none() || worked.decoded.load(Ordering::Relaxed));
            tell(silent.or(undecoded), is_offered);
        };
        let listen = async {
            let mut watch = OfferedSound::new(settings.clock.mono());
            loop {
                settings.clock.sleep(LOOK_EVERY).await;
                if let Some(is_heard) = watch.look(settings.clock.mono(), inlet.sound.heard()) {
                    let why = "the camera offers sound and sends none: see whether its microphone is switched on";
                    *lock(&silent) = (!is_heard).then(|| why.to_owned());
                    worked.came.fetch_or(is_heard, Ordering::Relaxed);
                    tell_both();
                }
            }
        };
        let report = |why: Option<&Error>| {
            *lock(&undecoded) = why.map(|why| why.message().to_owned());
            // A decoder that nothing came to shows nothing.
            worked.decoded.fetch_or(why.is_none() && inlet.sound.heard().is_some(), Ordering::Relaxed);
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
    async fn second_beside(&self) {
        let &Self { settings, attempts, flow, control, progress, .. } = self;
        let Some(url) = self.second else { return };
        let second = Second::new(flow, &settings.clock);
        // There are pictures where they come and can be decoded.
        let told = Told::default();
        let of_session = |event| told.of(&told.absent, &told.absent, event, progress);
        let of_decoder = |event| told.of(&told.undecoded, &told.no_small, event, progress);
        let decode = async {
            while let Some(what) = second.decoded().await {
                let is_another = second.is_another(what.codec);
                tokio::select! {
                    () = decoding::keep(settings, flow, control, what, &of_decoder) => return,
                    () = is_another => *lock(&told.no_small) = None,
                }
            }
        };
        tokio::join!(second::keep(settings, attempts, url, (flow, &second), control, &of_session), decode);
    }
}

/// Why there is nothing of a second stream.
#[derive(Default)]
struct Told {
    absent: Mutex<Option<String>>,
    undecoded: Mutex<Option<String>>,
    no_small: Mutex<Option<String>>,
}

impl Told {
    /// Of a part that says why there are no pictures for motion, or no small stream: the session's word goes first.
    fn of(
        &self,
        motion: &Mutex<Option<String>>,
        small: &Mutex<Option<String>>,
        event: CaptureEvent,
        progress: Progress<'_>,
    ) {
        let whole = |other: &Mutex<Option<String>>| {
            let why = lock(&self.absent).clone();
            why.or_else(|| lock(other).clone())
        };
        match event {
            CaptureEvent::MotionPictures(why) => {
                *lock(motion) = why;
                progress(CaptureEvent::MotionPictures(whole(&self.undecoded)));
            }
            CaptureEvent::Small(why) => {
                *lock(small) = why;
                progress(CaptureEvent::Small(whole(&self.no_small)));
            }
            event => progress(event),
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

fn ended_by_camera(flow: &Flow) -> Result<CaptureEnd> {
    match flow.last_frame() {
        Some(_) => Ok(CaptureEnd::EndOfStream),
        None => Err(Error::new(ErrorKind::Unavailable, "ended the session before it sent a picture: is it busy?")),
    }
}

/// Builds and starts what encodes pictures that travel as `codec`, on a thread of its own.
async fn start_encoder(
    settings: Arc<Settings>,
    flow: Arc<Flow>,
    control: Arc<Control>,
    codec: PictureCodec,
) -> Result<(Running, Entrance)> {
    let (name, entered) = (format!("start {}", settings.config.id), settings.threads.enter());
    let start = move || {
        let built = match codec {
            PictureCodec::Jpeg => graph::build_jpeg(&settings, &flow, &control).map(|(pipeline, entry)| {
                let thinner = Thinner::new(f64::from(settings.config.main.fps));
                (pipeline, Entrance::Jpeg(entry, thinner))
            }),
            PictureCodec::H264 | PictureCodec::H265 => {
                let codec = codec_of(codec, settings.config.codec);
                let built = anew::build(&settings, &flow, &control, codec);
                built.map(|(pipeline, entry)| (pipeline, Entrance::Anew(entry)))
            }
        };
        let made = built.and_then(|(pipeline, entry)| {
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
