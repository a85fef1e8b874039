//! What a session sends beside its requests: reports, the way through a router, and what is said to a camera (ONVIF Streaming Specification,
//! section 5.3).

use super::dialog::Headers;
use super::errors::unsupported;
use super::lower_transport::LowerTransport::{self, Multicast, Tcp, Udp};
use super::lower_transport::PUNCHES;
use super::media::Media;
use super::output::{Output, SpeechCodec};
use super::setup_plan::SetupPlan;
use crate::wire::framed;
use crate::wire::message::Message;
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use perch_domain::g711;
use perch_domain::ingest::SpeechFrame;

/// What is demanded of a camera that is to be spoken to.
const BACKCHANNEL: &str = "www.onvif.org/ver20/backchannel";
/// Of what is said.
const SSRC: u32 = 0x7065_7263;

/// The line of a camera that is spoken to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpeechLine {
    payload_type: u8,
    codec: SpeechCodec,
    /// The channel of the connection.
    pub channel: u8,
    number: u16,
}

/// The camera does not know what was demanded, or offers nothing of it.
pub(super) fn no_backchannel() -> Error {
    unsupported("it offers no loudspeaker by RTSP (ONVIF backchannel): nobody can speak through it")
}

/// The headers with what is demanded of a camera that is to be spoken to, where it is that.
pub(super) fn demanding(is_spoken_to: bool, mut headers: Headers) -> Headers {
    headers.extend(is_spoken_to.then(|| ("Require", BACKCHANNEL.to_owned())));
    headers
}

impl SpeechLine {
    /// From an answer to DESCRIBE at the URL `request`, with what is set up. Errors with `Invalid`, and with `Unsupported` where there is none.
    pub fn described(message: &Message, request: &str) -> Result<(SetupPlan, Self)> {
        let (plan, (payload_type, codec)) = SetupPlan::of_speech(message, request)?.ok_or_else(no_backchannel)?;
        Ok((plan, Self { payload_type, codec, ..Self::default() }))
    }

    /// A frame as it is sent in the connection.
    pub fn packet(&mut self, frame: &SpeechFrame) -> Option<Bytes> {
        self.number = self.number.wrapping_add(1);
        let marker = u8::from(frame.begins) << 7;
        let mut packet = Vec::with_capacity(12 + frame.samples.len());
        packet.extend_from_slice(&[0x80, marker | self.payload_type]);
        packet.extend_from_slice(&self.number.to_be_bytes());
        packet.extend_from_slice(&frame.time.to_be_bytes());
        packet.extend_from_slice(&SSRC.to_be_bytes());
        let law = match self.codec {
            SpeechCodec::Pcmu => g711::mulaw,
            SpeechCodec::Pcma => g711::alaw,
        };
        packet.extend(frame.samples.iter().map(|sample| law(*sample)));
        framed(self.channel, &packet)
    }
}

/// Opens a way for packets of a track through a router between.
pub(super) fn punches(track: usize) -> impl Iterator<Item = Output> {
    PUNCHES.iter().map(move |(is_rtcp, data)| Output::Datagram {
        track,
        is_rtcp: *is_rtcp,
        data: Bytes::from_static(data),
    })
}

/// Tells the camera how its packets arrive; in the connection too, as some end a session that is not told.
pub(super) fn reports(media: &mut Media, by: LowerTransport, now: MonoTime) -> Vec<Output> {
    let out = |(track, channel, report): (usize, u8, Vec<u8>)| match by {
        Tcp => framed(channel, &report).map(Output::Send),
        Udp | Multicast => Some(Output::Datagram { track, is_rtcp: true, data: Bytes::from(report) }),
    };
    media.reports(now).into_iter().filter_map(out).collect()
}

#[cfg(test)]
#[path = "speech_tests.rs"]
mod tests;
