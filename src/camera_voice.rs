//! How a network camera's own loudspeaker is reached: by a session of its own, beside the one that its pictures come by.

use perch_domain::camera::{CameraConfig, Source};
use perch_domain::ingest::{IngestRequest, Transport};
use perch_media::capture::Means;
use perch_media::speaker::CameraVoice;

/// Of the camera that is configured so; nothing of one that is no network camera.
pub fn voice_of(config: &CameraConfig, means: &Means) -> Option<CameraVoice> {
    let Source::Rtsp(url) = &config.source else { return None };
    // What is said goes in the connection.
    let transport = match config.network.transport {
        Transport::Http => Transport::Http,
        _ => Transport::Tcp,
    };
    let trust = config.network.trust.clone();
    let request = IngestRequest { url: url.clone(), transport, trust, sound: false };
    Some(CameraVoice { ingest: means.ingest.clone(), request })
}
