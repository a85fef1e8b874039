//! The sound of a network camera: Opus goes out as it is, all else is decoded and encoded in a pipeline of its own, which is there only while
//! somebody listens or records, and fails and starts again alone.

use super::control::{Control, Part, Valves, until};
use super::flow::{Flow, Signal};
use super::parts;
use super::running::Running;
use super::settings::Settings;
use super::tries::Tries;
use crate::{pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::clock::within;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::capture_attempt::START_WITHIN;
use perch_domain::ingest::{Offer, Sound, SoundCodec, SoundFormat};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// One that runs for so long works.
const WORKS_AFTER: Duration = Duration::from_secs(2);

/// Where a session's sound goes.
#[derive(Default)]
pub(super) struct SoundWay {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    format: Option<SoundFormat>,
    /// Why there is none although the camera announces some.
    none: Option<String>,
    /// The decoder that runs now.
    entry: Option<gst_app::AppSrc>,
    /// The newest Opus packet that went out.
    last: Option<MonoTime>,
    /// When something came last.
    heard: Option<MonoTime>,
}

impl SoundWay {
    /// What the camera offers.
    pub fn offer(&self, offer: &Offer) {
        let mut state = lock(&self.state);
        (state.format, state.none) = (offer.sound.clone(), offer.no_sound.clone());
    }

    /// Why there is no sound although the camera announces some.
    pub fn none(&self) -> Option<String> {
        lock(&self.state).none.clone()
    }

    /// What comes is like this, not as was offered: a decoder that runs is told before it gets any.
    pub fn change(&self, format: SoundFormat) {
        let mut state = lock(&self.state);
        if let Some(entry) = &state.entry {
            set_format(entry, &format);
        }
        state.format = Some(format);
    }

    /// A decoder for `format` takes what comes.
    fn enter(&self, entry: gst_app::AppSrc, format: &SoundFormat) {
        let mut state = lock(&self.state);
        // It may have changed while the decoder was built.
        if let Some(now) = state.format.as_ref().filter(|now| *now != format) {
            set_format(&entry, now);
        }
        state.entry = Some(entry);
    }

    /// How its sound comes.
    pub fn format(&self) -> Option<SoundFormat> {
        lock(&self.state).format.clone()
    }

    /// When something came last.
    pub fn heard(&self) -> Option<MonoTime> {
        lock(&self.state).heard
    }

    /// Some sound came.
    pub fn take(&self, flow: &Flow, sound: Sound) {
        let mut state = lock(&self.state);
        state.heard = Some(flow.now());
        let sound = match &state.format {
            Some(SoundFormat { codec: SoundCodec::Opus, .. }) => {
                return flow.publish_opus(&mut state.last, sound.data, sound.heard, sound.lasts);
            }
            Some(SoundFormat { codec: SoundCodec::G726 { bits, high_first: false }, .. }) => {
                Sound { data: high_first(&sound.data, *bits).into(), ..sound }
            }
            Some(_) => sound,
            None => return,
        };
        if let Some(entry) = &state.entry {
            // Old sound is dropped in the appsrc; it is refused only while the decoder ends.
            let _ = entry.push_buffer(buffer_of(sound));
        }
    }
}

fn set_format(entry: &gst_app::AppSrc, format: &SoundFormat) {
    match caps_of(format) {
        Ok(caps) => entry.set_caps(Some(&caps)),
        // The decoder says what it makes of it as it was.
        Err(e) => tracing::debug!("the camera's sound changed to what cannot be decoded: {e}"),
    }
}

/// Codes of `bits` each whose first stands in the low bits of an octet (RFC 3551 4.5.4), packed the other way (I.366.2): the one that
/// GStreamer's decoder takes.
fn high_first(data: &[u8], bits: u8) -> Vec<u8> {
    let bits = usize::from(bits.clamp(1, 8));
    let mut out = vec![0; data.len()];
    for code in 0..data.len() * 8 / bits {
        for n in 0..bits {
            let (from, to) = (code * bits + n, code * bits + bits - 1 - n);
            let is_set = data.get(from / 8).is_some_and(|byte| byte >> (from % 8) & 1 == 1);
            if let Some(byte) = out.get_mut(to / 8).filter(|_| is_set) {
                *byte |= 0x80 >> (to % 8);
            }
        }
    }
    out
}

fn buffer_of(sound: Sound) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(sound.data);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(time::from_mono(sound.heard));
        buffer.set_duration(gst::ClockTime::try_from(sound.lasts).ok());
        if sound.break_before {
            buffer.set_flags(gst::BufferFlags::DISCONT);
        }
    }
    buffer
}

/// Why sound like this can never be heard, if so.
pub(super) fn why_not(settings: &Settings, format: &SoundFormat) -> Option<String> {
    let wanted = "set the camera's sound to AAC, G.711 or Opus";
    match texts_of(&format.codec) {
        Texts::None => None,
        Texts::Unknown(name) => Some(format!("the camera's sound is {name}, which cannot be decoded: {wanted}")),
        Texts::Of(texts, name) => {
            let is_missing = settings.library.first_installed(texts).is_none();
            is_missing.then(|| format!("no decoder for {name} is installed, the camera's sound: {wanted}"))
        }
    }
}

enum Texts<'a> {
    /// It is not decoded.
    None,
    /// The pipelines' files, of which the first that is installed is taken, and how people call the codec.
    Of(&'static [&'static str], &'static str),
    Unknown(&'a str),
}

fn texts_of(codec: &SoundCodec) -> Texts<'_> {
    match codec {
        SoundCodec::Opus => Texts::None,
        SoundCodec::Pcmu => Texts::Of(&["audio/network-pcmu"], "G.711 mu-law"),
        SoundCodec::Pcma => Texts::Of(&["audio/network-pcma"], "G.711 A-law"),
        SoundCodec::G722 => Texts::Of(&["audio/network-g722"], "G.722"),
        SoundCodec::G726 { .. } => Texts::Of(&["audio/network-g726"], "G.726"),
        SoundCodec::L16 => Texts::Of(&["audio/network-l16"], "uncompressed sound"),
        SoundCodec::Aac { .. } => Texts::Of(&["audio/network-aac", "audio/network-aac-faad"], "AAC"),
        SoundCodec::MpegAudio { .. } => Texts::Of(&["audio/network-mpa"], "MPEG audio"),
        SoundCodec::Other(name) => Texts::Unknown(name),
    }
}

fn caps_of(format: &SoundFormat) -> Result<gst::Caps> {
    let channels = i32::from(format.channels);
    let rate = i32::try_from(format.rate_hz)
        .map_err(|e| Error::invalid("the camera names no sane rate of its sound").with_source(e))?;
    let builder = |name: &str| gst::Caps::builder(name).field("rate", rate).field("channels", channels);
    Ok(match &format.codec {
        SoundCodec::Pcmu => builder("audio/x-mulaw").build(),
        SoundCodec::Pcma => builder("audio/x-alaw").build(),
        SoundCodec::G722 => builder("audio/G722").build(),
        SoundCodec::G726 { bits, .. } => {
            let bitrate = rate.saturating_mul(i32::from(*bits));
            builder("audio/x-adpcm").field("layout", "g726").field("bitrate", bitrate).build()
        }
        SoundCodec::L16 => builder("audio/x-raw").field("format", "S16BE").field("layout", "interleaved").build(),
        SoundCodec::Aac { config } => {
            let config = gst::Buffer::from_slice(config.clone());
            let caps = builder("audio/mpeg").field("mpegversion", 4i32).field("stream-format", "raw");
            caps.field("codec_data", config).build()
        }
        SoundCodec::MpegAudio { layer } => {
            let caps = builder("audio/mpeg").field("mpegversion", 1i32).field("layer", i32::from(*layer));
            caps.field("parsed", true).build()
        }
        SoundCodec::Opus | SoundCodec::Other(_) => return Err(Error::internal("sound that is not decoded")),
    })
}

/// Decodes the sound while somebody listens, until this is dropped. `report` is told why that does not work.
pub(super) async fn keep(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    control: &Arc<Control>,
    way: &Arc<SoundWay>,
    format: &SoundFormat,
    report: &(dyn Fn(Option<&Error>) + Send + Sync),
) {
    let mut demand = control.demand();
    let mut tries = Tries::new(settings);
    // Sound that never worked is not offered, so nobody asks for it: what failed is tried again all the same.
    let mut has_failed = false;
    while has_failed || until(&mut demand, |demand| demand.audio).await {
        tries.begin();
        let ended = {
            let attempt = run_once(settings, flow, &control.valves, way, format);
            let steady = async {
                settings.clock.sleep(WORKS_AFTER).await;
                report(None);
                // Nobody listens once it is heard, or wants it no more.
                until(&mut demand, |demand| !demand.audio).await;
            };
            tokio::select! {
                why = attempt => Err(why),
                () = steady => Ok(()),
            }
        };
        has_failed = ended.is_err();
        let Err(why) = ended else {
            tries.ended_well();
            continue;
        };
        report(Some(&why));
        tries.failed(&why, "the camera's sound is not decoded; its pictures go on").await;
    }
}

/// No sound goes into a decoder that is over.
struct Entered<'a>(&'a SoundWay);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).entry = None;
    }
}

/// One attempt, until it fails; says why. It ends as this is dropped.
async fn run_once(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    valves: &Arc<Valves>,
    way: &Arc<SoundWay>,
    format: &SoundFormat,
) -> Error {
    valves.clear(Part::Sound);
    let format = way.format().unwrap_or_else(|| format.clone());
    let starting = start(settings.clone(), flow.clone(), valves.clone(), format.clone());
    let (running, mut failed, entry) = match within(&settings.clock, START_WITHIN, starting).await {
        Some(Ok(started)) => started,
        Some(Err(e)) => return e,
        None => return Error::new(ErrorKind::Unavailable, "the sound's decoder did not start: does it hang?"),
    };
    way.enter(entry, &format);
    let _entered = Entered(way);
    let why = failed.recv().await.unwrap_or_else(|| Error::internal("the sound's pipeline is gone"));
    drop(running);
    why
}

type Started = (Running, mpsc::UnboundedReceiver<Error>, gst_app::AppSrc);

async fn start(settings: Arc<Settings>, flow: Arc<Flow>, valves: Arc<Valves>, format: SoundFormat) -> Result<Started> {
    let (name, entered) = (format!("sound {}", settings.config.id), settings.sound_threads.enter());
    let start = move || {
        let made = build(&settings, &flow, &valves, &format);
        drop(entered);
        made
    };
    // Where nobody waits any more it ends as it drops.
    on_own_thread(name, start).await
}

fn build(settings: &Arc<Settings>, flow: &Arc<Flow>, valves: &Valves, format: &SoundFormat) -> Result<Started> {
    let Texts::Of(texts, name) = texts_of(&format.codec) else {
        return Err(Error::internal("sound that is not decoded"));
    };
    // `why_not` is asked first.
    let missing = || Error::new(ErrorKind::Unsupported, format!("no decoder for {name} is installed"));
    let text = settings.library.first_installed(texts).ok_or_else(missing)?;
    let decoder = settings.library.bin(text, &[], &[])?;
    let entry: gst_app::AppSrc = pipeline::typed(&decoder, "in", "an appsrc")?;
    entry.set_caps(Some(&caps_of(format)?));
    let opus = parts::opus(settings, flow, valves)?;
    let pipeline = gst::Pipeline::new();
    time::apply(&pipeline);
    for bin in [&decoder, &opus] {
        parts::add(&pipeline, bin)?;
    }
    parts::link(decoder.upcast_ref(), opus.upcast_ref())?;
    let (tx, failed) = mpsc::unbounded_channel();
    let what = format!("the camera's sound ({name})");
    let running = Running::new(pipeline, what, settings.sound_threads.clone(), move |signal| {
        if let Signal::Failed(e) = signal {
            // Nobody listens once it is over.
            let _ = tx.send(e);
        }
    });
    running.set_state(gst::State::Playing)?;
    Ok((running, failed, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_turned_round() {
        assert_eq!(high_first(&[0x21, 0x43], 4), [0x12, 0x34]);
        assert_eq!(high_first(&[0b11_10_01_00], 2), [0b00_01_10_11]);
        // Eight codes of three bits: 0 to 7.
        assert_eq!(high_first(&[0b1000_1000, 0b1100_0110, 0b1111_1010], 3), [0b0000_0101, 0b0011_1001, 0b0111_0111]);
        assert!(high_first(&[], 4).is_empty() && high_first(&[1], 0).len() == 1 && high_first(&[1], 99).len() == 1);
    }

    /// What `encoder` makes of half a second and more of a tone of 1 kHz, in AAC, and its format.
    fn aac(encoder: &str, rate_hz: u32, channels: u16) -> (SoundFormat, Vec<gst::Sample>) {
        let launch = format!(
            "audiotestsrc freq=1000 num-buffers=40 ! audio/x-raw,rate={rate_hz},channels={channels} ! {encoder} ! aacparse \
             ! audio/mpeg,stream-format=raw ! appsink name=out sync=false"
        );
        let pipeline = gst::parse::launch(&launch).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
        let out: gst_app::AppSink = pipeline::typed(pipeline.upcast_ref(), "out", "an appsink").expect("there");
        pipeline.set_state(gst::State::Playing).expect("plays");
        let packets: Vec<_> = std::iter::from_fn(|| out.pull_sample().ok()).collect();
        pipeline.set_state(gst::State::Null).expect("ends");
        let caps = packets[0].caps().expect("caps");
        let config = caps.structure(0).and_then(|s| s.get::<gst::Buffer>("codec_data").ok()).expect("a config");
        let config = config.map_readable().expect("memory").to_vec().into();
        (SoundFormat { codec: SoundCodec::Aac { config }, rate_hz, channels }, packets)
    }

    #[test]
    fn aac_is_decoded_by_either_decoder() {
        crate::init().expect("starts");
        let library = pipeline::Library::load(None).expect("loads");
        let Texts::Of(texts, _) = texts_of(&SoundCodec::Aac { config: bytes::Bytes::new() }) else { panic!("decoded") };
        assert_eq!(library.first_installed(texts), Some("audio/network-aac"), "libav's where it is there");
        let own = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(own.path().join("audio")).expect("made");
        let text = "# purpose: none\n# needs: nothing_like_it\nidentity\n";
        std::fs::write(own.path().join("audio/network-aac.gst"), text).expect("written");
        let without_libav = pipeline::Library::load(Some(own.path())).expect("loads");
        assert_eq!(without_libav.first_installed(texts), Some("audio/network-aac-faad"));
        for (rate_hz, channels) in [(16_000, 1), (44_100, 2)] {
            let (format, packets) = aac("avenc_aac", rate_hz, channels);
            for text in texts {
                let pipeline = gst::Pipeline::new();
                let bin = library.bin(text, &[], &[]).expect("built");
                let entry: gst_app::AppSrc = pipeline::typed(&bin, "in", "an appsrc").expect("there");
                entry.set_caps(Some(&caps_of(&format).expect("caps")));
                let out = gst_app::AppSink::builder().sync(false).build();
                pipeline.add_many([bin.upcast_ref::<gst::Element>(), out.upcast_ref()]).expect("added");
                bin.link(&out).expect("linked");
                pipeline.set_state(gst::State::Playing).expect("plays");
                for packet in &packets {
                    entry.push_buffer(packet.buffer_owned().expect("a buffer")).expect("taken");
                }
                entry.end_of_stream().expect("ends");
                let heard: Vec<i16> = std::iter::from_fn(|| out.pull_sample().ok())
                    .flat_map(|sample| {
                        let data = sample.buffer().expect("a buffer").map_readable().expect("memory");
                        data.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>()
                    })
                    .collect();
                pipeline.set_state(gst::State::Null).expect("ends");
                // A tenth of a second from the middle: a hundred waves of 48 samples each.
                let middle = &heard[heard.len() / 2 - 2400..][..4800];
                let waves = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
                let what = format!("{text} of {rate_hz} Hz, {channels}: {waves} waves in {} samples", heard.len());
                assert!((98..=102).contains(&waves) && middle.iter().any(|s| *s > 10_000), "{what}");
                let lasts = 40 * 1024 * 48_000 / usize::try_from(rate_hz).expect("fits");
                assert!(heard.len().abs_diff(lasts) < lasts / 8, "{what}");
            }
        }
    }

    #[test]
    fn a_decoder_is_told_that_the_sound_is_another() {
        crate::init().expect("starts");
        let format = |config: &'static [u8], rate_hz, channels| {
            let codec = SoundCodec::Aac { config: bytes::Bytes::from_static(config) };
            SoundFormat { codec, rate_hz, channels }
        };
        let (offered, real) = (format(&[0x12, 0x10], 44_100, 2), format(&[0x14, 0x08], 16_000, 1));
        let says = |entry: &gst_app::AppSrc| entry.caps().map(|caps| caps.to_string()).unwrap_or_default();
        let way = SoundWay::default();
        way.offer(&Offer {
            pictures: perch_domain::ingest::PictureCodec::H264,
            sound: Some(offered.clone()),
            no_sound: None,
        });
        let entry = gst_app::AppSrc::builder().build();
        set_format(&entry, &offered);
        way.enter(entry.clone(), &offered);
        assert!(says(&entry).contains("codec_data=(buffer)1210"), "{}", says(&entry));
        way.change(real.clone());
        assert!(says(&entry).contains("codec_data=(buffer)1408"), "{}", says(&entry));
        // One that was built meanwhile.
        let late = gst_app::AppSrc::builder().build();
        way.enter(late.clone(), &offered);
        assert!(says(&late).contains("rate=(int)16000"), "{}", says(&late));
        assert_eq!(way.format(), Some(real));
    }

    #[test]
    fn caps_say_what_a_decoder_must_know() {
        crate::init().expect("starts");
        let format = |codec, rate_hz, channels| SoundFormat { codec, rate_hz, channels };
        for (format, want) in [
            (format(SoundCodec::Pcma, 8000, 1), "audio/x-alaw, rate=(int)8000, channels=(int)1"),
            (format(SoundCodec::Pcmu, 16000, 2), "audio/x-mulaw, rate=(int)16000, channels=(int)2"),
            (
                format(SoundCodec::G726 { bits: 4, high_first: false }, 8000, 1),
                "audio/x-adpcm, rate=(int)8000, channels=(int)1, layout=(string)g726, bitrate=(int)32000",
            ),
        ] {
            assert_eq!(caps_of(&format).expect("caps").to_string(), want);
        }
        let mpeg = caps_of(&format(SoundCodec::MpegAudio { layer: 2 }, 48_000, 1)).expect("caps").to_string();
        assert!(mpeg.contains("mpegversion=(int)1, layer=(int)2, parsed=(boolean)true"), "{mpeg}");
        let aac = SoundCodec::Aac { config: bytes::Bytes::from_static(&[0x12, 0x10]) };
        assert!(caps_of(&format(aac, 44100, 2)).expect("caps").to_string().contains("codec_data=(buffer)1210"));
        assert!(caps_of(&format(SoundCodec::Pcma, u32::MAX, 1)).is_err());
    }
}
