//! From RTP and RTCP packets to access units and sound with times: machines without a clock or a socket.

use crate::format::Line;
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::ingest::{Intake, Offer, PictureCodec};

/// Which lines of a camera are worth a SETUP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The best line of pictures.
    pub picture: Option<usize>,
    /// The best line of sound that comes from the camera and can be decoded.
    pub sound: Option<usize>,
    /// Sentences about lines that are left, each without a full stop.
    pub notices: Vec<String>,
    /// Why nothing can be taken; then there is no picture.
    pub refusal: Option<String>,
}

/// Which lines are worth a SETUP: the best of pictures, and, with `sound`, the best of sound.
pub(crate) fn choose(lines: &[Line], sound: bool) -> Chosen {
    let _ = (lines, sound);
    Chosen::default()
}

/// All tracks of one session.
#[derive(Debug)]
pub(crate) struct Tracks {}

impl Tracks {
    /// `lines`: those that were set up, in track order; `ordered`: their packets come by TCP, none is waited for.
    pub fn new(lines: &[Line], ordered: bool) -> (Self, Offer) {
        let _ = (lines, ordered);
        (Self {}, Offer { pictures: PictureCodec::H264, sound: None })
    }

    /// Takes an RTP packet of a track.
    pub fn rtp(&mut self, now: MonoTime, track: usize, packet: Bytes, out: &mut Vec<Intake>) {
        let _ = (now, track, packet, out);
    }

    /// Takes an RTCP packet of a track: sender reports, BYE.
    pub fn rtcp(&mut self, now: MonoTime, track: usize, packet: &[u8], out: &mut Vec<Intake>) {
        let _ = (now, track, packet, out);
    }

    /// Ends waits that are over; says when it is to be called next.
    pub fn tick(&mut self, now: MonoTime, out: &mut Vec<Intake>) -> Option<MonoTime> {
        let _ = (now, out);
        None
    }

    /// A receiver report with SDES for a track (RFC 3550 6.4).
    pub fn receiver_report(&mut self, now: MonoTime, track: usize) -> Vec<u8> {
        let _ = (now, track);
        Vec::new()
    }

    /// Whether this cannot be a packet of that track: helps to find packets again among foreign bytes.
    pub fn is_foreign(&self, track: usize, packet: &[u8]) -> bool {
        let _ = (track, packet);
        false
    }
}
