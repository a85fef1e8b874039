//! From RTP and RTCP packets to access units and sound with times: machines without a clock or a socket.

mod aac;
mod choose;
mod jpeg;
mod jpeg_tables;
mod mpeg_audio;
mod nal;
mod nal_packets;
mod order;
mod packet;
mod reorder;
mod rtcp;
mod sets;
mod sound;
mod starts;
mod sync;
mod text;
mod timeline;
mod track;
mod turning;
mod units;

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub(crate) use choose::choose;

use crate::format::{LineKind, SdpLine};
use bytes::Bytes;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::ingest::{Aside, Intake, Offer, PictureCodec};
use sync::Sync;
use track::Track;

/// How the box names itself in reports; any number would do.
const OWN_SSRC: u32 = 0x5045_5243;

/// All tracks of one session.
#[derive(Debug)]
pub(crate) struct Tracks {
    tracks: Vec<Track>,
    picture: Option<usize>,
    sound: Option<usize>,
    sync: Sync,
    /// What its clock says was handed on.
    has_said_time: bool,
}

impl Tracks {
    /// `lines`: those that were set up, in track order; `ordered`: their packets come by TCP, none is waited for.
    pub fn new(lines: &[SdpLine], ordered: bool) -> (Self, Offer) {
        let find = |kind| lines.iter().position(|line| line.kind == kind);
        let (picture, sound) = (find(LineKind::Video), find(LineKind::Audio));
        let tracks: Vec<Track> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| match line.kind {
                LineKind::Video if picture == Some(n) => Track::pictures(line, ordered),
                LineKind::Audio if sound == Some(n) => Track::sound(line, ordered),
                _ => Track::ignored(line, ordered),
            })
            .collect();
        let offer = Offer {
            pictures: picture
                .and_then(|n| choose::picture_payload(&lines[n]))
                .map_or(PictureCodec::H264, |(_, codec)| codec),
            sound: sound.and_then(|n| tracks[n].sound_format().cloned()),
            no_sound: None,
        };
        (Self { tracks, picture, sound, sync: Sync::default(), has_said_time: false }, offer)
    }

    /// Takes an RTP packet of a track.
    pub fn rtp(&mut self, now: MonoTime, track: usize, packet: Bytes, out: &mut Vec<Intake>) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.rtp(now, packet, out);
        }
    }

    /// Takes an RTCP packet of a track: sender reports, BYE.
    pub fn rtcp(&mut self, now: MonoTime, track: usize, packet: &[u8], out: &mut Vec<Intake>) {
        let is_sound = self.sound == Some(track);
        let is_picture = self.picture == Some(track);
        let Some(from) = self.tracks.get_mut(track) else { return };
        let mut shift = None;
        for report in rtcp::reports(packet) {
            match report {
                rtcp::Report::Bye { ssrc } => from.bye(ssrc),
                rtcp::Report::Sender { ssrc, ntp, stamp } => {
                    if from.sender_report(now, ssrc, ntp) && (is_sound || is_picture) {
                        if is_picture && !std::mem::replace(&mut self.has_said_time, true) {
                            let says = Timestamp(rtcp::ntp_micros(ntp));
                            out.push(Intake::Aside(Aside::Clock { came: now, says }));
                        }
                        shift = self.sync.report(now, is_sound, ntp, stamp, from.times()).or(shift);
                    }
                }
            }
        }
        if let Some((shift, sound)) = shift.zip(self.sound.and_then(|n| self.tracks.get_mut(n))) {
            sound.shift_to(shift);
        }
    }

    /// Ends waits that are over; says when it is to be called next.
    pub fn tick(&mut self, now: MonoTime, out: &mut Vec<Intake>) -> Option<MonoTime> {
        self.tracks.iter_mut().filter_map(|track| track.tick(now, out)).min()
    }

    /// A receiver report with SDES for a track (RFC 3550 6.4).
    pub fn receiver_report(&mut self, now: MonoTime, track: usize) -> Vec<u8> {
        let own = OWN_SSRC.wrapping_add(track as u32);
        self.tracks.get_mut(track).map(|track| track.receiver_report(now, own)).unwrap_or_default()
    }

    /// Whether this cannot be a packet of that track: helps to find packets again among foreign bytes.
    pub fn is_foreign(&self, track: usize, packet: &[u8]) -> bool {
        let Some([first, second, ..]) = packet.get(..12) else { return true };
        first >> 6 != 2 || self.tracks.get(track).is_none_or(|track| !track.knows(second & 0x7f))
    }
}
