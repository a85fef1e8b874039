//! Where packets belong: from channels and ports to tracks, and what comes of them.

use crate::format::SdpLine;
use crate::rtp::Tracks;
use crate::wire::splitter::Fit;
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::ingest::{Aside, Intake, Offer};
use std::time::Duration;

/// RTCP packets as they come on a channel of their own (RFC 3550 12.1, RFC 5761 4).
const RTCP: std::ops::RangeInclusive<u8> = 192..=223;
/// Those that are taken for RTCP among RTP: no payload type in use looks like them.
const RTCP_AMONG_RTP: std::ops::RangeInclusive<u8> = 200..=204;
/// Bytes of an RTP header.
const RTP_HEAD: usize = 12;

/// The channels of a track.
#[derive(Clone, Copy, Debug)]
struct Channels {
    rtp: u8,
    rtcp: u8,
    /// A packet of it came.
    is_heard: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Media {
    tracks: Option<Tracks>,
    offer: Option<Offer>,
    /// Why sound that is announced is left out.
    no_sound: Option<String>,
    channels: Vec<Channels>,
    out: Vec<Intake>,
    wake: Option<MonoTime>,
    heard: Option<MonoTime>,
}

fn is_rtcp(packet: &[u8], kinds: &std::ops::RangeInclusive<u8>) -> bool {
    matches!(packet, [first, kind, ..] if first >> 6 == 2 && kinds.contains(kind))
}

impl Media {
    /// Another track was set up, on these channels of the connection.
    pub fn add(&mut self, rtp: u8, rtcp: u8) {
        self.channels.push(Channels { rtp, rtcp, is_heard: false });
    }

    /// Nothing is set up any more.
    pub fn clear(&mut self) {
        self.channels.clear();
    }

    /// Packets may come from now on.
    pub fn begin(&mut self, lines: &[SdpLine], is_ordered: bool) {
        let (tracks, offer) = Tracks::new(lines, is_ordered);
        self.tracks = Some(tracks);
        self.offer = Some(Offer { no_sound: self.no_sound.take(), ..offer });
    }

    /// Why sound that is announced is left out, where it is.
    pub fn no_sound(&mut self, why: Option<String>) {
        self.no_sound = why;
    }

    /// The session has begun: says what the camera offers, once.
    pub fn offer(&mut self) {
        if let Some(offer) = self.offer.take() {
            self.out.push(Intake::Offer(offer));
        }
    }

    /// How fast the camera answers.
    pub fn round_trip(&mut self, shortest: Option<Duration>) {
        self.out.extend(shortest.map(|shortest| Intake::Aside(Aside::RoundTrip(shortest))));
    }

    /// What came of it so far.
    pub fn taken(&mut self) -> &mut Vec<Intake> {
        &mut self.out
    }

    /// When a packet came last.
    pub fn heard(&self) -> Option<MonoTime> {
        self.heard
    }

    /// When [`Self::settle`] is to be called next.
    pub fn wake(&self) -> Option<MonoTime> {
        self.wake
    }

    /// Says whether a packet belongs to a channel.
    pub fn fit(&self, channel: u8, packet: &[u8]) -> Fit {
        let mut fit = Fit::Unknown;
        for (track, pair) in self.channels.iter().enumerate() {
            let is_good = match channel {
                _ if channel != pair.rtp && channel != pair.rtcp => continue,
                _ if packet.is_empty() => true,
                _ if channel == pair.rtcp && is_rtcp(packet, &RTCP) => true,
                _ => channel == pair.rtp && (is_rtcp(packet, &RTCP_AMONG_RTP) || self.belongs(track, packet)),
            };
            if is_good {
                return Fit::Good;
            }
            fit = Fit::Foreign;
        }
        fit
    }

    fn belongs(&self, track: usize, packet: &[u8]) -> bool {
        let is_rtp = packet.len() >= RTP_HEAD && packet.first().is_some_and(|first| first >> 6 == 2);
        is_rtp && self.tracks.as_ref().is_none_or(|tracks| !tracks.is_foreign(track, packet))
    }

    /// A packet came in the connection.
    pub fn interleaved(&mut self, now: MonoTime, channel: u8, packet: Bytes) {
        let mut of = self.channels.iter().enumerate().filter(|(_, pair)| pair.rtp == channel || pair.rtcp == channel);
        let (track, is_rtcp_channel) = match (of.next().map(|(n, pair)| (n, pair.rtp != channel)), of.next()) {
            (Some(one), None) => one,
            // Two tracks were given the same channels.
            (Some(first), Some(_)) => {
                let its = (0..self.channels.len()).find(|track| self.belongs(*track, &packet));
                its.map_or(first, |track| (track, false))
            }
            // It sends on other channels than it said: on those of a track of which nothing else came.
            (None, _) => {
                let mut quiet =
                    self.channels.iter().enumerate().filter(|(n, pair)| !pair.is_heard && self.belongs(*n, &packet));
                let (Some((track, _)), None) = (quiet.next(), quiet.next()) else { return };
                if let Some(pair) = self.channels.get_mut(track) {
                    (pair.rtp, pair.rtcp) = (channel, channel.saturating_add(1));
                }
                (track, false)
            }
        };
        self.packet(now, track, is_rtcp_channel, packet);
    }

    /// A packet of a track came.
    pub fn packet(&mut self, now: MonoTime, track: usize, is_rtcp_way: bool, packet: Bytes) {
        let is_rtcp = is_rtcp(&packet, if is_rtcp_way { &RTCP } else { &RTCP_AMONG_RTP });
        if !is_rtcp && (is_rtcp_way || packet.len() < RTP_HEAD) {
            return;
        }
        if self.offer.is_some() {
            self.offer();
        }
        let (Some(tracks), Some(pair)) = (&mut self.tracks, self.channels.get_mut(track)) else { return };
        self.heard = Some(now);
        match is_rtcp {
            true => tracks.rtcp(now, track, &packet, &mut self.out),
            false => {
                pair.is_heard = true;
                tracks.rtp(now, track, packet, &mut self.out);
            }
        }
    }

    /// Ends waits that are over; after packets, and when it said.
    pub fn settle(&mut self, now: MonoTime) {
        if let Some(tracks) = &mut self.tracks {
            self.wake = tracks.tick(now, &mut self.out);
        }
    }

    /// A receiver report for each track of which something came, with the channel it goes to.
    pub fn reports(&mut self, now: MonoTime) -> Vec<(usize, u8, Vec<u8>)> {
        let Some(tracks) = &mut self.tracks else { return Vec::new() };
        let heard = self.channels.iter().enumerate().filter(|(_, pair)| pair.is_heard);
        let reports = heard.map(|(n, pair)| (n, pair.rtcp, tracks.receiver_report(now, n)));
        reports.filter(|(.., report)| !report.is_empty()).collect()
    }
}
