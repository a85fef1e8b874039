//! A session without a connection, for tests of what follows: packets of a camera go in as they come, what the box takes of them comes out.
//! Behind the feature `fuzzing`.

use crate::rtp::choose;
use crate::session::Media;
use crate::wire::sdp;
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::ingest::Intake;

/// A session that plays.
#[derive(Debug)]
pub struct Dry {
    media: Media,
    /// Lines of the description, each with its track where it has one.
    tracks: Vec<Option<usize>>,
}

impl Dry {
    /// With a camera that describes itself like this (SDP). `None` where it has no pictures that can be taken. `is_ordered`: packets come in
    /// the connection, and none is waited for.
    pub fn new(description: &[u8], is_ordered: bool) -> Option<Self> {
        let described = sdp::parse(description);
        let chosen = choose(&described.lines, true);
        let taken: Vec<usize> = [Some(chosen.picture?), chosen.sound].into_iter().flatten().collect();
        let mut media = Media::default();
        for track in 0..taken.len() as u8 {
            media.add(2 * track, 2 * track + 1);
        }
        let lines: Vec<_> = taken.iter().filter_map(|line| described.lines.get(*line).cloned()).collect();
        media.begin(&lines, is_ordered);
        media.offer();
        let tracks = (0..described.lines.len()).map(|line| taken.iter().position(|taken| *taken == line)).collect();
        Some(Self { media, tracks })
    }

    /// A packet of a line came, counted from 0 in the order of the description. One of a line that is not taken is left.
    pub fn packet(&mut self, now: MonoTime, line: usize, is_rtcp: bool, packet: Bytes) {
        if let Some(Some(track)) = self.tracks.get(line) {
            self.media.packet(now, *track, is_rtcp, packet);
        }
    }

    /// All packets that lay there are read, or a wait is over. Says when it is to be called next.
    pub fn settle(&mut self, now: MonoTime) -> Option<MonoTime> {
        self.media.settle(now);
        self.media.wake()
    }

    /// What came of it since it was asked last.
    pub fn taken(&mut self) -> Vec<Intake> {
        std::mem::take(self.media.taken())
    }
}
