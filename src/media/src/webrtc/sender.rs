//! One of our RTP streams: what a session is to send becomes packets, and those of pictures leave as its connection lets them.

use super::feed::Frame;
use super::machine::{Machine, Outbox};
use super::offer::Line;
use crate::rtp::Payload;
use perch_base::time::MonoTime;
use perch_domain::media::Track;
use perch_domain::orientation::Orientation;
use perch_domain::pacing::{Pacer, Room};
use perch_domain::stamps::{SteadySound, shown_at};
use std::time::{Duration, Instant};
use str0m::media::Pt;
use str0m::rtp::{ExtensionValues, RtpWrite, SeqNo, VideoOrientation};

/// A stream.
#[derive(Debug)]
pub struct LineSender {
    /// The media line that it goes by.
    pub line: Line,
    /// When what it was given last was captured.
    pub last_pts: Option<MonoTime>,
    seq: u64,
    offset_ticks: u32,
    clock_khz: i64,
    /// How pictures are turned since the last keyframe.
    orientation: Orientation,
    sound: SteadySound,
    pictures: Option<Pictures>,
}

/// What of pictures has yet to leave.
#[derive(Debug)]
struct Pictures {
    pacer: Pacer<Waiting>,
    /// What the pacer's times count from, and when it was asked last.
    began_at: Option<Instant>,
    asked_at: Option<Instant>,
    /// Whether the machine's own pacer lets packets through at once.
    is_unpaced: bool,
}

/// A packet that gets its number when it leaves.
#[derive(Debug)]
struct Waiting {
    pt: Pt,
    time: u32,
    wallclock: Instant,
    payload: Payload,
    orientation: Option<VideoOrientation>,
}

impl LineSender {
    /// Sends pictures.
    pub fn of_pictures(line: Line) -> Self {
        let pacer = Pacer::new(MonoTime(0));
        let pictures = Pictures { pacer, began_at: None, asked_at: None, is_unpaced: false };
        Self { pictures: Some(pictures), ..Self::new(line, 90) }
    }

    /// Sends sound.
    pub fn of_sound(line: Line) -> Self {
        Self::new(line, 48)
    }

    fn new(line: Line, clock_khz: i64) -> Self {
        let [a, b, c, d, e, f] = perch_base::secret::random_bytes::<6>();
        // Sequence numbers start in the lower half, so that the first packets do not roll over (RFC 3711, 3.3.1).
        let seq = u64::from(u16::from_be_bytes([a, b]) >> 1);
        Self {
            line,
            seq,
            offset_ticks: u32::from_be_bytes([c, d, e, f]),
            clock_khz,
            last_pts: None,
            orientation: Orientation::NONE,
            sound: SteadySound::default(),
            pictures: None,
        }
    }

    /// Whether something of `pts` continues what it was given.
    pub fn is_new(&self, pts: MonoTime) -> bool {
        self.last_pts.is_none_or(|last| pts > last)
    }

    /// Writes sound, which leaves at once.
    pub fn write(&mut self, machine: &mut Machine, frame: &Frame, out: &mut dyn Outbox) {
        let packets = self.packets(frame, frame.pts, frame.wallclock);
        self.leave(machine, packets, out);
    }

    /// Takes a picture at `pts`, or just after the one before it; it leaves with [`Self::send`].
    pub fn queue(&mut self, frame: &Frame, pts: MonoTime, wallclock: Instant) {
        let packets = self.packets(frame, shown_at(self.last_pts, pts), wallclock);
        if let Some(pictures) = &mut self.pictures {
            packets.into_iter().for_each(|packet| {
                let bytes = packet.payload.data.len();
                pictures.pacer.push(packet, bytes);
            });
        }
    }

    /// Sends what of pictures leaves at `now`.
    pub fn send(&mut self, machine: &mut Machine, now: Instant, room: Room, out: &mut dyn Outbox) {
        let Some(pictures) = self.pictures.as_mut().filter(|pictures| pictures.pacer.due_in().is_some()) else {
            return;
        };
        let since = now.saturating_duration_since(*pictures.began_at.get_or_insert(now));
        let mono = MonoTime(0) + since;
        pictures.asked_at = Some(now);
        pictures.pacer.set_room(mono, room);
        // What is sent again leaves at once, too, where there is room for it.
        let is_unpaced = !pictures.pacer.is_short();
        let packets: Vec<Waiting> = std::iter::from_fn(|| pictures.pacer.pop(mono)).collect();
        if std::mem::replace(&mut pictures.is_unpaced, is_unpaced) != is_unpaced {
            machine.mutate(out, |rtc| rtc.set_unpaced(self.line.mid, is_unpaced));
        }
        if !packets.is_empty() {
            self.leave(machine, packets, out);
        }
    }

    /// When [`Self::send`] is due; `None`: nothing waits.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let pictures = self.pictures.as_ref()?;
        let due_in = pictures.pacer.due_in()?;
        Some(pictures.asked_at.map_or(now, |asked| asked + due_in))
    }

    /// Leaves out what waits; returns how many packets that were.
    pub fn leave_out(&mut self) -> usize {
        self.pictures.as_mut().map_or(0, |pictures| pictures.pacer.leave_out())
    }

    /// How long it takes until all that waits has left.
    pub fn backlog(&self) -> Duration {
        self.pictures.as_ref().map_or(Duration::ZERO, |pictures| pictures.pacer.backlog())
    }

    /// The next picture is the first in a while.
    pub fn hurry(&mut self) {
        if let Some(pictures) = &mut self.pictures {
            pictures.pacer.hurry();
        }
    }

    fn packets(&mut self, frame: &Frame, pts: MonoTime, wallclock: Instant) -> Vec<Waiting> {
        // Not what was agreed on: a stream that changed to it ends its sessions.
        let Some(pt) = self.line.pt(frame.codec) else { return Vec::new() };
        self.last_pts = Some(pts);
        let mut ticks = pts.0.wrapping_mul(self.clock_khz) / 1000;
        if frame.track == Track::Audio {
            ticks = self.sound.follow_on(ticks, frame.duration, self.clock_khz);
        }
        self.orientation = frame.orientation.unwrap_or(self.orientation);
        let orientation =
            (self.orientation.quarters > 0 || frame.orientation.is_some()).then_some(orientation(self.orientation));
        let time = self.offset_ticks.wrapping_add(ticks as u32);
        let waiting = |payload: &Payload| {
            // What a picture's last packet says holds for the picture (3GPP TS 26.114 7.4.5).
            let orientation = orientation.filter(|_| payload.marker);
            Waiting { pt, time, wallclock, payload: payload.clone(), orientation }
        };
        frame.payloads.iter().map(waiting).collect()
    }

    fn leave(&mut self, machine: &mut Machine, packets: Vec<Waiting>, out: &mut dyn Outbox) {
        let (first, count, nackable) = (self.seq, packets.len() as u64, self.pictures.is_some());
        self.seq += count;
        let packets = (first..).zip(packets).map(|(seq, waiting)| {
            let Waiting { pt, time, wallclock, payload, orientation: video_orientation } = waiting;
            let extensions = ExtensionValues { video_orientation, ..ExtensionValues::default() };
            RtpWrite::new(pt, SeqNo::from(seq), time, wallclock, payload.data)
                .marker(payload.marker)
                .nackable(nackable)
                .ext_vals(extensions)
        });
        machine.mutate(out, |rtc| rtc.write_rtp(self.line.mid, packets));
    }
}

/// As the extension says it: how far a picture is turned that is to be turned back. It knows of no mirror.
fn orientation(orientation: Orientation) -> VideoOrientation {
    match orientation.quarters {
        0 => VideoOrientation::Deg0,
        1 => VideoOrientation::Deg270,
        2 => VideoOrientation::Deg180,
        _ => VideoOrientation::Deg90,
    }
}
