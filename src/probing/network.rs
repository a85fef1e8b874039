//! One session with each stream of a network camera, as the box has it, for as long as measuring takes. `perch check` looks by it as the API does.

use crate::known_certificates::Onlooker;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::DeviceId;
use perch_base::secret::Secret;
use perch_base::sync::lock;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result, blocking, shutdown};
use perch_domain::camera::CameraConfig;
use perch_domain::ingest::{IngestPort, IngestRequest, IngestSink, Intake, PictureCodec, TlsTrust, Transport};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::probe::{Gauge, Judgement, Looked, Measured, PICTURE_WITHIN, SESSION_WITHIN, name_of};
use perch_domain::still;
use perch_domain::still_turns::Asker;
use perch_ingest::Ingest;
use perch_media::still::{Turns, jpeg, of_jpeg};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long it may take to be left.
const LEFT_WITHIN: Duration = Duration::from_secs(2);

struct Sink<'a> {
    gauge: Mutex<Gauge>,
    clock: &'a SharedClock,
}

impl IngestSink for Sink<'_> {
    fn take(&self, intake: Intake) -> bool {
        lock(&self.gauge).take(self.clock.mono(), intake)
    }
}

/// What came of one stream.
pub struct Tried {
    pub stream: Stream,
    pub measured: Measured,
    /// JPEG.
    pub still: Option<bytes::Bytes>,
    gauge: Gauge,
    ended: Result<()>,
    is_undecodable: bool,
    /// SHA-256 of the certificate that it showed and of which none was known.
    certificate: Option<String>,
}

impl Tried {
    /// What is said of it.
    pub fn judge(&self, wants_sound: bool) -> Vec<Judgement> {
        let Self { gauge, measured, ended, is_undecodable, certificate, .. } = self;
        let certificate = certificate.as_deref();
        Looked { gauge, measured, ended, is_undecodable: *is_undecodable, wants_sound, certificate }.judge()
    }

    /// Makes a still of its last keyframe, in turn; without turns only where it must be seen whether it can be decoded.
    pub async fn make_still(&mut self, c: &CameraConfig, turns: Option<(&Turns, DeviceId)>) {
        let Some((codec, keyframe)) = self.gauge.keyframe() else { return };
        let codec = match codec {
            PictureCodec::Jpeg => {
                self.still = blocking("decoding a picture", move || of_jpeg(&keyframe)).await.ok();
                self.is_undecodable = self.still.is_none();
                return;
            }
            PictureCodec::H264 => VideoCodec::H264,
            PictureCodec::H265 => VideoCodec::H265,
        };
        let Some((turns, by)) = turns else { return };
        let Ok(turn) = turns.take(Asker::Device(by)).await else { return };
        let (id, aspect) = (c.id.clone(), c.aspect);
        let make = move || jpeg(&turn, &id, codec, aspect, &[keyframe], Some(still::EVENT_WIDTH));
        self.still = blocking("making a still", make).await.ok();
    }
}

/// How long a camera may take to say what it offers.
const OFFERED_WITHIN: Duration = Duration::from_secs(6);

/// Hears what is offered, and ends.
#[derive(Default)]
struct Offered(Mutex<Option<PictureCodec>>);

impl IngestSink for Offered {
    fn take(&self, intake: Intake) -> bool {
        if let Intake::Offer(offer) = intake {
            *lock(&self.0) = Some(offer.pictures);
        }
        false
    }
}

/// How pictures at this address are encoded, if there are any. Errors like a session.
pub async fn offers(ingest: &Ingest, clock: &SharedClock, url: Secret) -> Result<&'static str> {
    let sink = Offered::default();
    let request = IngestRequest { url, transport: Transport::Auto, trust: TlsTrust::FirstSeen, sound: false };
    // Nobody calls its end: it has a limit.
    let (_end, over) = shutdown::channel();
    let ended = within(clock, OFFERED_WITHIN, ingest.run(&request, &sink, over)).await;
    let offered = *lock(&sink.0);
    match (offered, ended) {
        (Some(codec), _) => Ok(name_of(codec)),
        (None, Some(Err(e))) => Err(e),
        (None, _) => Err(Error::new(ErrorKind::Unavailable, "it does not say what it offers")),
    }
}

/// Looks at both streams of a network camera at once, as the box has them; `sound` says whether its sound is asked for.
pub async fn try_out(clock: &SharedClock, known: &Arc<Onlooker>, c: &CameraConfig, sound: bool) -> Vec<Tried> {
    let ingest = Ingest::new(clock.clone(), known.clone());
    let tried = async |stream, url: Option<&Secret>| {
        let (transport, trust) = (c.network.transport, c.network.trust.clone());
        let sound = sound && stream == Stream::Main;
        let request = IngestRequest { url: url?.clone(), transport, trust, sound };
        Some(session(&ingest, clock, &request, stream).await)
    };
    let (main, second) =
        tokio::join!(tried(Stream::Main, c.source.url()), tried(Stream::Sub, c.network.sub_source.as_ref()));
    let mut tried: Vec<Tried> = [main, second].into_iter().flatten().collect();
    // Both streams are one camera's.
    for (one, certificate) in tried.iter_mut().zip(known.take_first()) {
        one.certificate = Some(certificate);
    }
    tried
}

async fn session(ingest: &dyn IngestPort, clock: &SharedClock, request: &IngestRequest, stream: Stream) -> Tried {
    let sink = Sink { gauge: Mutex::new(Gauge::new(stream)), clock };
    let civil: (MonoTime, Timestamp) = (clock.mono(), clock.utc());
    let (end, over) = shutdown::channel();
    let mut session = pin!(ingest.run(request, &sink, over));
    let mut ended = within(clock, PICTURE_WITHIN, &mut session).await;
    if ended.is_none() && lock(&sink.gauge).keyframe().is_some() {
        ended = within(clock, SESSION_WITHIN.saturating_sub(PICTURE_WITHIN), &mut session).await;
    }
    if ended.is_none() {
        end.fire();
        ended = within(clock, LEFT_WITHIN, session).await;
    }
    let gauge = lock(&sink.gauge).clone();
    let measured = gauge.measured(civil);
    let ended = ended.unwrap_or(Ok(()));
    Tried { stream, measured, still: None, gauge, ended, is_undecodable: false, certificate: None }
}
