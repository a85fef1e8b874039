//! Makes the medias of a stream: pipelines of appsrcs and payloaders. All readers share one, but where the encoder obeys no command each has
//! its own, which begins with what is cached. No encoder is built here.

use super::feed::{Feed, FeedSource, MAX_QUEUED};
use super::media::Media;
use super::requests::wants_to_speak;
use crate::player_speech::{OPUS, PCMU, PlayerSpeech};
use crate::speaker::Speaker;
use crate::time;
use glib::translate::ToGlibPtr;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp_server::subclass::prelude::*;
use gstreamer_rtsp_server::{self as rtsp_server, glib, gst_rtsp};
use perch_base::sync::lock;
use perch_domain::camera::VideoSettings;
use perch_domain::media::{Track, VideoCodec};
use perch_domain::rtsp_address;
use rtsp_server::RTSPMediaStatus;
use rtsp_server::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

/// A stream that gives no picture for this long cannot be described.
const OPEN_WITHIN: Duration = Duration::from_secs(3);
/// So long does a request take from the gate to the media, on a busy machine.
const SETTLES_WITHIN: Duration = Duration::from_millis(500);
/// This is announced to receivers; nothing waits for it on this side.
const LATENCY_MS: u32 = 50;

/// Players that asked to speak and whose media is yet to be made.
const MAX_ASKING: usize = 64;
/// How often it is looked whether a player fell silent.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One path of the server.
pub(super) struct Mount {
    pub(super) path: String,
    pub(super) source: Arc<FeedSource>,
    pub(super) has_audio: bool,
    /// What players may speak through.
    speaker: Option<Arc<Speaker>>,
    /// The names of those who asked to, by their connection.
    asking: Mutex<HashMap<usize, String>>,
    /// Held from when it is known whether anybody plays until the feed knows it too: else a feed is parked for the last reader that
    /// left after the next one has begun to play. Locked before all others.
    turn: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// How the next media is described.
    video: VideoSettings,
    /// The shared media that runs now.
    shared: glib::WeakRef<rtsp_server::RTSPMedia>,
    /// The medias that run, with their feeds.
    feeds: Vec<(glib::WeakRef<rtsp_server::RTSPMedia>, Weak<Feed>)>,
    /// How many shared medias of this path have started to end: a reader that comes meanwhile gets a new one instead of a refusal.
    ended: u64,
    /// Why readers are refused, as it was logged.
    refusal: Option<String>,
    /// The last media lacked a TCP sender, which was logged.
    lacks_sender: bool,
}

impl Mount {
    pub(super) fn new(
        source: FeedSource,
        has_audio: bool,
        video: VideoSettings,
        speaker: Option<Arc<Speaker>>,
    ) -> Self {
        let path = rtsp_address::path(source.hub.camera(), source.stream);
        Self {
            path,
            source: Arc::new(source),
            has_audio,
            speaker,
            asking: Mutex::default(),
            turn: Mutex::default(),
            state: Mutex::new(State {
                video,
                shared: glib::WeakRef::new(),
                feeds: Vec::new(),
                ended: 0,
                refusal: None,
                lacks_sender: false,
            }),
        }
    }

    /// Describes the stream like this from its next media on; readers of the present one go on.
    pub(super) fn set_video(&self, video: VideoSettings) {
        self.state().video = video;
    }

    /// Lets one reader at a time begin or end to play.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        lock(&self.turn)
    }

    /// The feed of a media that runs.
    pub(super) fn feed(&self, media: &rtsp_server::RTSPMedia) -> Option<Arc<Feed>> {
        let state = self.state();
        let (_, feed) = state.feeds.iter().find(|(of, _)| of.upgrade().as_ref() == Some(media))?;
        feed.upgrade()
    }

    /// Whether the player on this connection, signed in by this name, may speak; its next media lets it.
    pub(super) fn lets_speak(&self, connection: usize, name: &str) -> bool {
        let lets = self.speaker.as_ref().is_some_and(|speaker| speaker.lets_player(name));
        let mut asking = lock(&self.asking);
        if lets {
            if asking.len() >= MAX_ASKING {
                asking.clear();
            }
            asking.insert(connection, name.to_owned());
        } else {
            asking.remove(&connection);
        }
        lets
    }

    /// Whoever speaks by the media that this request has made.
    fn speech(&self, ctx: &rtsp_server::RTSPContext) -> Option<Arc<PlayerSpeech>> {
        let connection = ctx.client()?.as_ptr() as usize;
        let name = lock(&self.asking).remove(&connection)?;
        Some(PlayerSpeech::new(self.speaker.clone()?, &name))
    }

    /// A media begins.
    fn begins(&self, media: &rtsp_server::RTSPMedia, feed: &Arc<Feed>) {
        let mut state = self.state();
        state.feeds.retain(|(_, feed)| feed.strong_count() > 0);
        state.feeds.push((media.downgrade(), Arc::downgrade(feed)));
        if media.is_shared() {
            state.shared = media.downgrade();
        }
    }

    /// Whether readers share a media: one that joins it needs a keyframe at once.
    fn is_shared(&self) -> bool {
        self.source.hub.commandable(self.source.stream)
    }

    /// Keeps the shared media that runs now from ending until the result is dropped, if one runs: a reader that comes as the last one leaves
    /// would find it and be refused, since the library looks it up first and asks for it later. May wait for a media that starts.
    pub(super) fn keep(&self) -> Option<KeptMedia> {
        let media = self.state().shared.upgrade()?;
        // One that was not prepared yet is on its way up.
        if !matches!(media.status(), RTSPMediaStatus::Prepared | RTSPMediaStatus::Suspended) {
            return None;
        }
        // An error says that it is ending: `ended` was counted before, so the reader gets a new one.
        media.prepare(None).ok().map(|()| KeptMedia(media))
    }

    /// A reader is refused. Whether that is news: players ask again and again.
    fn refuses(&self, why: &str) -> bool {
        self.state().refusal.replace(why.to_owned()).as_deref() != Some(why)
    }

    /// A reader got its media: the next refusal is news.
    fn serves(&self) {
        self.state().refusal = None;
    }

    /// A media was given its TCP senders, unless one is `missing`. Whether that is news: each media may find it again.
    fn completed(&self, missing: bool) -> bool {
        !std::mem::replace(&mut self.state().lacks_sender, missing) && missing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What stands for the player's sound in the description: the library looks for these names.
    fn backchannel(&self) -> Result<gst::Bin, glib::BoolError> {
        let format = |pt: u8, name: &str, rate: i32| {
            gst::Structure::builder("application/x-rtp")
                .field("media", "audio")
                .field("payload", i32::from(pt))
                .field("clock-rate", rate)
                .field("encoding-name", name)
                .build()
        };
        let caps: gst::Caps = [format(PCMU, "PCMU", 8000), format(OPUS, "OPUS", 48_000)].into_iter().collect();
        // Nothing comes so far, see `media`.
        let sink = gst_app::AppSink::builder().name("depay_backchannel").caps(&caps).sync(false).async_(false);
        let sink = sink.max_buffers(1).drop(true).build();
        let bin = gst::Bin::builder().name("onvif-backchannel").build();
        bin.add(&sink)?;
        let pad = sink.static_pad("sink").ok_or_else(|| glib::bool_error!("an appsink without a pad"))?;
        bin.add_pad(&gst::GhostPad::with_target(&pad)?)?;
        Ok(bin)
    }

    fn bin(&self) -> Result<gst::Bin, glib::BoolError> {
        let bin = gst::Bin::new();
        let video = self.state().video;
        let (caps, payloader) = match self.source.codec {
            VideoCodec::H264 => (
                gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au"),
                // The hub's keyframes carry SPS and PPS. The payloader's own (`config-interval`) would go before every slice of
                // a keyframe, and encoders with sliced threads make several: players then see broken pictures.
                gst::ElementFactory::make("rtph264pay")
                    .property("config-interval", 0)
                    .property_from_str("aggregate-mode", "zero-latency"),
            ),
            VideoCodec::H265 => (
                gst::Caps::builder("video/x-h265").field("stream-format", "byte-stream").field("alignment", "au"),
                gst::ElementFactory::make("rtph265pay").property("config-interval", 0),
            ),
            VideoCodec::Vp8 => (
                gst::Caps::builder("video/x-vp8"),
                gst::ElementFactory::make("rtpvp8pay").property_from_str("picture-id-mode", "15-bit"),
            ),
        };
        let caps = caps.field("width", video.width as i32).field("height", video.height as i32);
        let caps = caps.field("framerate", gst::Fraction::new(video.fps as i32, 1)).build();
        chain(&bin, "video", &caps, payloader.name("pay0").property("pt", 96u32).build()?)?;
        if self.has_audio {
            let caps = gst::Caps::builder("audio/x-opus").field("channel-mapping-family", 0).build();
            let payloader = gst::ElementFactory::make("rtpopuspay").name("pay1").property("pt", 97u32).build()?;
            chain(&bin, "audio", &caps, payloader)?;
        }
        Ok(bin)
    }
}

/// A media that does not end while this lives, as if one more reader had it. Never dropped under a lock: it may be the last.
pub(super) struct KeptMedia(rtsp_server::RTSPMedia);

impl Drop for KeptMedia {
    fn drop(&mut self) {
        if let Err(e) = self.0.unprepare() {
            tracing::debug!("an RTSP media had ended by itself: {e}");
        }
    }
}

fn chain(bin: &gst::Bin, name: &str, caps: &gst::Caps, payloader: gst::Element) -> Result<(), glib::BoolError> {
    let app = gst_app::AppSrc::builder()
        .name(name)
        .caps(caps)
        .format(gst::Format::Time)
        .is_live(true)
        .do_timestamp(false)
        .max_bytes(0)
        .build();
    if name == "audio" {
        // Old sound is dropped here. Video is bounded by the feed, which knows keyframes.
        app.set_leaky_type(gst_app::AppLeakyType::Downstream);
        app.set_max_time(MAX_QUEUED);
    }
    bin.add_many([app.upcast_ref(), &payloader])?;
    app.link(&payloader)
}

/// Looks every second whether a player fell silent, as long as it is there.
fn every_second(speech: &Arc<PlayerSpeech>, context: &glib::MainContext) {
    let speech = Arc::downgrade(speech);
    // Real time, as all waiting in the library is.
    let look = glib::timeout_source_new(LOOK_EVERY, None, glib::Priority::DEFAULT, move || match speech.upgrade() {
        Some(speech) => {
            speech.look();
            glib::ControlFlow::Continue
        }
        None => glib::ControlFlow::Break,
    });
    look.attach(Some(context));
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Factory {
        pub(super) setup: OnceLock<(Arc<Mount>, glib::MainContext)>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Factory {
        const NAME: &'static str = "PerchRtspFactory";
        type Type = super::Factory;
        type ParentType = rtsp_server::RTSPOnvifMediaFactory;
    }

    impl ObjectImpl for Factory {}

    impl RTSPOnvifMediaFactoryImpl for Factory {
        fn has_backchannel_support(&self) -> bool {
            // Who may speak there is the gate's to say.
            self.setup.get().is_some_and(|(mount, _)| mount.speaker.is_some())
        }
    }

    impl RTSPMediaFactoryImpl for Factory {
        fn gen_key(&self, _url: &gst_rtsp::RTSPUrl) -> Option<glib::GString> {
            if rtsp_server::RTSPContext::with_current_context(wants_to_speak) == Some(true) {
                // Whoever speaks has a media alone.
                return None;
            }
            // One media whatever the URL's host, port and query say. One that is shared no more is found by nobody.
            let (mount, _) = self.setup.get()?;
            Some(format!("{} {} {}", mount.path, mount.state().ended, mount.is_shared()).into())
        }

        fn create_element(&self, _url: &gst_rtsp::RTSPUrl) -> Option<gst::Element> {
            let (mount, _) = self.setup.get()?;
            let speaks = rtsp_server::RTSPContext::with_current_context(wants_to_speak) == Some(true);
            let whole = mount.bin().and_then(|bin| {
                if speaks {
                    bin.add(&mount.backchannel()?)?;
                }
                Ok(bin)
            });
            match whole {
                Ok(bin) => Some(bin.upcast()),
                Err(e) => {
                    if mount.refuses(&e.to_string()) {
                        tracing::error!(path = mount.path, error = %e, "RTSP pipeline cannot be built");
                    }
                    None
                }
            }
        }

        fn create_pipeline(&self, media: &rtsp_server::RTSPMedia) -> Option<gst::Pipeline> {
            let pipeline = self.parent_create_pipeline(media)?;
            time::apply(&pipeline);
            Some(pipeline)
        }

        fn configure(&self, media: &rtsp_server::RTSPMedia) {
            self.parent_configure(media);
            // Frames come at their own pace: a clock wait in each sink would only cost wake-ups.
            media.set_rate_control(false);
            if let Some((mount, context)) = self.setup.get() {
                let speaks = speaks(media);
                if speaks
                    && let Some(speech) =
                        rtsp_server::RTSPContext::with_current_context(|ctx| mount.speech(ctx)).flatten()
                    && let Some(media) = media.downcast_ref::<Media>()
                {
                    every_second(&speech, context);
                    media.set_speech(speech);
                }
                media.set_shared(mount.is_shared() && !speaks);
                begin(mount, context, media);
            }
        }
    }
}

/// Ties a new media to the hub until it is unprepared.
fn begin(mount: &Arc<Mount>, context: &glib::MainContext, media: &rtsp_server::RTSPMedia) {
    let Ok(bin) = media.element().downcast::<gst::Bin>() else { return };
    let app = |name: &str| bin.by_name(name).and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
    let Some(video) = app("video") else { return };
    let audio = app("audio");
    let feed = Feed::new(mount.source.clone(), video.clone(), audio.clone());
    on_first_need(&video, &feed, Track::Video);
    if let Some(audio) = &audio {
        on_first_need(audio, &feed, Track::Audio);
    }
    mount.begins(media, &feed);
    feed.attach();

    let waiting = (Arc::downgrade(&feed), Arc::downgrade(mount));
    // Real time, as all waiting in the library is.
    let give_up = glib::timeout_source_new(OPEN_WITHIN, None, glib::Priority::DEFAULT, move || {
        if let (Some(feed), Some(mount)) = (waiting.0.upgrade(), waiting.1.upgrade()) {
            give_up_or_go_on(&mount, &feed);
        }
        glib::ControlFlow::Break
    });
    give_up.attach(Some(context));

    let (settles, completed) = (context.clone(), Arc::downgrade(mount));
    media.connect_prepared(move |media| {
        let missing = !complete(media);
        if let Some(mount) = completed.upgrade()
            && mount.completed(missing)
        {
            tracing::warn!(path = mount.path, "a half of an RTSP media has no TCP sender");
        }
        if media.is_shared() {
            keep_at_first(media, &settles);
        }
    });
    let ending = Arc::downgrade(mount);
    media.connect_target_state(move |media, state| {
        if state == gst::ffi::GST_STATE_NULL
            && media.is_shared()
            && let Some(mount) = ending.upgrade()
        {
            mount.state().ended += 1;
        }
    });
    tracing::debug!(path = mount.path, "RTSP media made");
    let path = mount.path.clone();
    media.connect_unprepared(move |_| {
        tracing::debug!(path, "RTSP media ended");
        feed.detach();
    });
}

/// A media had its time to open.
fn give_up_or_go_on(mount: &Mount, feed: &Feed) {
    if !feed.is_opening() {
        return mount.serves();
    }
    let why = "no picture came";
    if mount.refuses(why) {
        tracing::warn!(path = mount.path, why, "the reader is refused");
    }
    feed.fail(why);
}

/// Keeps a media that has just begun: whoever asked for it before it could be kept ([`Mount::keep`]) finds it yet, also when its first
/// reader leaves at once.
fn keep_at_first(media: &rtsp_server::RTSPMedia, context: &glib::MainContext) {
    let Ok(()) = media.prepare(None) else { return };
    let kept = Mutex::new(Some(KeptMedia(media.clone())));
    let let_go = glib::timeout_source_new(SETTLES_WITHIN, None, glib::Priority::DEFAULT, move || {
        let kept = lock(&kept).take();
        drop(kept);
        glib::ControlFlow::Break
    });
    let_go.attach(Some(context));
}

/// Whether somebody speaks by this media.
fn speaks(media: &rtsp_server::RTSPMedia) -> bool {
    (0..media.n_streams()).filter_map(|i| media.stream(i)).any(|stream| stream.sinkpad().is_some())
}

/// Gives every half of a media its TCP sender, whatever its first reader sets up. Without it, a reader of video alone would
/// leave the sound's pads unlinked, and the first sound would end the media for all. Whether every half has one.
fn complete(media: &rtsp_server::RTSPMedia) -> bool {
    use gst_rtsp::ffi::{GST_RTSP_LOWER_TRANS_TCP, GST_RTSP_PROFILE_AVP, GST_RTSP_TRANS_RTP};
    let mut is_whole = true;
    for stream in (0..media.n_streams()).filter_map(|i| media.stream(i)) {
        if stream.sinkpad().is_some() {
            // What comes in has no sender.
            continue;
        }
        let mut transport = std::ptr::null_mut();
        // SAFETY: `gst_rtsp_transport_new` hands out a value of ours, or an error and NULL; it is only read by the call on the
        // live `stream`, which keeps nothing of it, and freed once.
        let done = unsafe {
            gst_rtsp::ffi::gst_rtsp_transport_new(&mut transport);
            if transport.is_null() {
                is_whole = false;
                continue;
            }
            (*transport).trans = GST_RTSP_TRANS_RTP;
            (*transport).profile = GST_RTSP_PROFILE_AVP;
            (*transport).lower_transport = GST_RTSP_LOWER_TRANS_TCP;
            let done = rtsp_server::ffi::gst_rtsp_stream_complete_stream(stream.to_glib_none().0, transport);
            gst_rtsp::ffi::gst_rtsp_transport_free(transport);
            done
        };
        is_whole &= done != glib::ffi::GFALSE;
    }
    is_whole
}

/// An appsrc takes buffers only once it runs; it says so by asking for the first.
fn on_first_need(app: &gst_app::AppSrc, feed: &Arc<Feed>, track: Track) {
    let feed = Arc::downgrade(feed);
    let opened = AtomicBool::new(false);
    let callbacks = gst_app::AppSrcCallbacks::builder().need_data(move |_, _| {
        if !opened.swap(true, Ordering::Relaxed)
            && let Some(feed) = feed.upgrade()
        {
            feed.open(track);
        }
    });
    app.set_callbacks(callbacks.build());
}

glib::wrapper! {
    /// The media factory of one path.
    pub struct Factory(ObjectSubclass<imp::Factory>) @extends rtsp_server::RTSPOnvifMediaFactory, rtsp_server::RTSPMediaFactory;
}

impl Factory {
    /// `context` runs the time limits; it must not be one that waits for medias.
    pub(super) fn new(mount: Arc<Mount>, context: &glib::MainContext) -> Self {
        let factory: Self = glib::Object::new();
        factory.set_media_gtype(Media::static_type());
        factory.set_latency(LATENCY_MS);
        factory.set_eos_shutdown(false);
        factory.set_stop_on_disconnect(true);
        factory.set_suspend_mode(rtsp_server::RTSPSuspendMode::None);
        factory.set_transport_mode(rtsp_server::RTSPTransportMode::PLAY);
        factory.set_profiles(gst_rtsp::RTSPProfile::AVP);
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::UDP | gst_rtsp::RTSPLowerTrans::TCP);
        let _ = factory.imp().setup.set((mount, context.clone()));
        factory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::Hub;
    use perch_base::clock::SystemClock;
    use perch_base::ids::CameraId;
    use perch_domain::media::Stream;

    fn mount() -> Mount {
        let hub = Hub::new(CameraId::new("front").expect("valid"), Arc::new(SystemClock));
        let video = VideoSettings { width: 320, height: 180, fps: 10, bitrate_kbps: 100 };
        Mount::new(FeedSource::new(hub, Stream::Main, VideoCodec::H264), false, video, None)
    }

    #[test]
    fn a_media_without_a_tcp_sender_is_news_once_until_one_has_all() {
        let mount = mount();
        let news = [false, true, true, false, true].map(|missing| mount.completed(missing));
        assert_eq!(news, [false, true, false, false, true]);
    }

    #[test]
    fn a_refusal_is_news_once_until_a_reader_is_served() {
        let mount = mount();
        let news = ["no picture came", "no picture came", "no element", "no element"].map(|why| mount.refuses(why));
        assert_eq!(news, [true, false, true, false]);
        mount.serves();
        assert!(mount.refuses("no element"));
    }
}
