//! A media whose player may speak: what comes from it is taken before the library looks into it. Its own way of receiving (`rtpbin` of 1.22)
//! aborts the process where a packet is missing.

use crate::player_speech::PlayerSpeech;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_rtsp_server::subclass::prelude::*;
use gstreamer_rtsp_server::{self as rtsp_server, glib};
use std::sync::{Arc, OnceLock};

/// The names of the pads by which RTP comes in begin so.
const RECEIVES: &str = "recv_rtp_sink_";

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Media {
        pub(super) speech: OnceLock<Arc<PlayerSpeech>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Media {
        const NAME: &'static str = "PerchRtspMedia";
        type Type = super::Media;
        type ParentType = rtsp_server::RTSPOnvifMedia;
    }

    impl ObjectImpl for Media {}

    impl RTSPOnvifMediaImpl for Media {}

    impl RTSPMediaImpl for Media {
        fn setup_rtpbin(&self, rtpbin: &gst::Element) -> Result<(), gst::LoggableError> {
            let speech = self.speech.get().cloned();
            rtpbin.connect_pad_added(move |_, pad| {
                if pad.name().starts_with(RECEIVES) {
                    take_from(pad, speech.clone());
                }
            });
            self.parent_setup_rtpbin(rtpbin)
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct Media(ObjectSubclass<imp::Media>) @extends rtsp_server::RTSPOnvifMedia, rtsp_server::RTSPMedia;
}

impl Media {
    /// Its player's speech goes there. Before it is prepared.
    pub(super) fn set_speech(&self, speech: Arc<PlayerSpeech>) {
        let _ = self.imp().speech.set(speech);
    }
}

/// Takes all that comes; where nobody may speak, it is dropped.
fn take_from(pad: &gst::Pad, speech: Option<Arc<PlayerSpeech>>) {
    let take = move |buffer: &gst::BufferRef| {
        if let Some(speech) = &speech
            && let Ok(map) = buffer.map_readable()
        {
            speech.take(&map);
        }
    };
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(kinds, move |_, info| {
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => take(buffer),
            Some(gst::PadProbeData::BufferList(list)) => list.iter().for_each(&take),
            _ => {}
        }
        gst::PadProbeReturn::Drop
    });
}
