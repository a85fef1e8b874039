//! A still of a camera that the box itself captures, before it is the box's: a capture of its own for a few seconds, which nobody else sees.

use bytes::Bytes;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::DeviceId;
use perch_base::{Error, ErrorKind, Result, blocking, shutdown};
use perch_domain::camera::{AudioSource, CameraConfig};
use perch_domain::media::Stream;
use perch_domain::still::EVENT_WIDTH;
use perch_domain::still_turns::Asker;
use perch_media::capture::{Capture, CaptureEvent, Means};
use perch_media::fanout::Hub;
use perch_media::still::{Turns, jpeg};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long the first picture may take: a webcam needs some seconds to begin.
const PICTURE_WITHIN: Duration = Duration::from_secs(12);
/// What a camera exposes by is found in its first pictures.
const SETTLES: Duration = Duration::from_millis(800);
/// How long it may take to let its device go.
const LEFT_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A still of its newest picture, JPEG; nothing where none can be made now. Errors with a sentence for people where it gives no picture.
pub async fn of(
    means: &Means,
    clock: &SharedClock,
    camera: &CameraConfig,
    (turns, by): (&Turns, DeviceId),
) -> Result<Option<Bytes>> {
    let mut config = camera.clone();
    config.audio.source = AudioSource::None;
    config.motion.enabled = false;
    let (id, aspect) = (config.id.clone(), config.aspect);
    let hub = Hub::new(id.clone(), clock.clone());
    let capture = Capture::new(config, means.clone(), hub.clone(), clock.clone(), Arc::new(|_| {}));
    let (trigger, shutdown) = shutdown::channel();
    let unheard = |_: CaptureEvent| {};
    let mut run = pin!(capture.run_once(&unheard, shutdown));
    let keyframe = async {
        while hub.latest_keyframe(Stream::Main).is_none() {
            clock.sleep(LOOK_EVERY).await;
        }
        clock.sleep(SETTLES).await;
        hub.latest_keyframe(Stream::Main)
    };
    let seen = tokio::select! {
        ended = &mut run => Err(ended.err().unwrap_or_else(none)),
        seen = within(clock, PICTURE_WITHIN, keyframe) => Ok(seen.flatten()),
    };
    let pictures = seen.map(|key| key.and_then(|key| Some((key.codec, hub.leading_to(Stream::Main, &key)?))));
    if pictures.is_ok() {
        trigger.fire();
        let _ = within(clock, LEFT_WITHIN, run).await;
    }
    let (codec, pictures) = pictures?.ok_or_else(none)?;
    let pictures: Vec<Bytes> = pictures.iter().map(|picture| picture.data.clone()).collect();
    let (codec, turn) = (codec.unwrap_or(camera.codec), turns.take(Asker::Device(by)).await);
    // The others that wait for stills come first.
    let Ok(turn) = turn else { return Ok(None) };
    let make = move || jpeg(&turn, &id, codec, aspect, &pictures, Some(EVENT_WIDTH));
    Ok(blocking("making a still", make).await.ok())
}

fn none() -> Error {
    Error::new(ErrorKind::Unavailable, "it gives no picture: see whether another program uses it, or plug it in again")
}
