//! NAL units to access units: which belong together, at which decoding can start, and what is whole. A unit without a slice is joined
//! to the picture that follows; nothing is handed on without one.

use super::nal::split;
use super::nal_packets::{KEPT_ROOM, TakeNal};
use super::sets::{Refused, Sequence, Sets};
use super::starts::{Clues, Starts};
use super::turning::Turning;
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::ingest::{PictureCodec, Shape};
use perch_domain::media::VideoCodec;
use perch_domain::orientation::Orientation;
use perch_domain::{h264, h265};
use std::collections::VecDeque;
use std::time::Duration;

/// Most bytes of one access unit, and of what stands before its slices.
const MAX_BYTES: usize = 16 << 20;
const MAX_PREFIX_BYTES: usize = 64 << 10;
/// Most bytes that are looked at of a unit's head.
const PEEK: usize = 64;
/// Most pictures at once, as where a camera begins with what it kept or a network stood still, and how much later each one more may
/// come: one packet can hold thousands, and each that is a start is handed on with all its sets.
const MOST_AT_ONCE: u32 = 1000;
const LEAST_SPACING: Duration = Duration::from_millis(2);
/// How long after its last packet a picture that may be whole is waited for: its end was marked; it has as many slices as usual; else.
const WAIT_MARKED: Duration = Duration::from_millis(150);
const WAIT_USUAL: Duration = Duration::from_millis(400);
const WAIT_ELSE: Duration = Duration::from_secs(2);
/// Troubles that are kept until somebody asks.
const MOST_TROUBLES: usize = 8;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// So many pictures without their sets, one of them a start: they are not sent.
const LACKING_SETS: u32 = 50;

/// A whole access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Annex B.
    pub data: Bytes,
    /// RTP time stamp of its first slice.
    pub stamp: u32,
    /// When that slice's first packet came.
    pub at: MonoTime,
    /// Whether decoding can start here.
    pub start: bool,
    /// Whether something before it is missing.
    pub broken: bool,
    /// Whether another source sends it.
    pub new_source: bool,
    /// The shape of its pictures.
    pub shape: Shape,
    /// How many pictures may come before one that is shown before them, where it is said.
    pub reorder: Option<u8>,
    /// Whether time stamps that go back can be those of pictures out of order.
    pub may_reorder: bool,
}

/// What people should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Parameter sets say pictures of this size.
    Size(u16, u16),
    /// A picture of more than [`MAX_BYTES`].
    TooLarge,
    /// More pictures than one in [`LEAST_SPACING`].
    TooMany,
    /// Slices name parameter sets that never came.
    NoSets,
    /// Pictures for a long time, and none of them a start.
    NoStart,
}

/// How far a marker is believed to end a picture (RFC 6184 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    /// Not seen yet what follows one.
    Untried,
    /// A new picture followed.
    Ends,
    /// More of the same picture followed.
    Lies,
}

/// The picture that is gathered.
#[derive(Debug, Default)]
struct Gathering {
    /// Annex B.
    data: Vec<u8>,
    slices: usize,
    stamp: u32,
    at: MonoTime,
    last_at: MonoTime,
    id: Option<h264::PictureId>,
    second_field: bool,
    pps: Option<u8>,
    other_pps: Vec<u8>,
    has_b: bool,
    clues: Clues,
    skipped_leading: bool,
    marked: bool,
    damaged: bool,
    /// What is said of how it is turned.
    orientation: Option<Orientation>,
}

/// Gathers the pictures of one stream.
#[derive(Debug)]
pub(crate) struct Units {
    codec: PictureCodec,
    sets: Sets,
    now: Gathering,
    marker: Marker,
    usual_slices: usize,
    fewer_slices: u32,
    /// The picture that ended last: what follows a marker may still be of it.
    ended: Option<(u32, Option<h264::PictureId>)>,
    starts: Starts,
    broken: bool,
    new_source: bool,
    /// Whether B slices were seen.
    has_b: bool,
    missing_sets: u32,
    /// Whether one of them was such as cameras send sets before.
    start_lacks_sets: bool,
    /// Whether a picture came that was not handed on because none came yet that decoding can start at.
    awaits: bool,
    pace: Pace,
    /// Whether sets came that are not taken.
    refused: bool,
    turning: Turning,
    out: VecDeque<Unit>,
    troubles: Vec<Trouble>,
    set_scratch: Vec<Bytes>,
}

/// How many more pictures may come.
#[derive(Debug)]
struct Pace {
    left: u32,
    earned_at: MonoTime,
}

impl Pace {
    /// Whether a picture may come now; counts it.
    fn allows(&mut self, at: MonoTime) -> bool {
        let earned = at.since(self.earned_at).as_millis() / LEAST_SPACING.as_millis();
        if earned > 0 {
            self.left = u32::try_from(earned).map_or(MOST_AT_ONCE, |n| n.saturating_add(self.left).min(MOST_AT_ONCE));
            self.earned_at = at;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// What a NAL unit is here.
enum Role {
    Slice(Slice),
    Set,
    /// Before slices, with a recovery point's count.
    Prefix(Option<u32>),
    /// Behind slices.
    Suffix,
    /// Begins a picture and says nothing else.
    Delimiter,
    Nothing,
    Damaged,
}

struct Slice {
    is_first: bool,
    pps: u8,
    is_intra: bool,
    is_b: bool,
    refresh: bool,
    is_skipped_leading: bool,
    id: Option<h264::PictureId>,
}

impl Units {
    /// Of a codec of NAL units.
    pub fn new(codec: PictureCodec) -> Self {
        Self {
            codec,
            sets: Sets::new(codec),
            now: Gathering::default(),
            marker: Marker::Untried,
            usual_slices: 1,
            fewer_slices: 0,
            ended: None,
            starts: Starts::new(codec),
            broken: false,
            new_source: false,
            has_b: false,
            missing_sets: 0,
            start_lacks_sets: false,
            awaits: false,
            pace: Pace { left: MOST_AT_ONCE, earned_at: MonoTime::default() },
            refused: false,
            turning: Turning::default(),
            out: VecDeque::new(),
            troubles: Vec::new(),
            set_scratch: Vec::new(),
        }
    }

    fn video_codec(&self) -> VideoCodec {
        if self.codec == PictureCodec::H265 { VideoCodec::H265 } else { VideoCodec::H264 }
    }

    /// A whole unit.
    pub fn pop(&mut self) -> Option<Unit> {
        self.out.pop_front()
    }

    /// What people should know, since the last call.
    pub fn troubles(&mut self) -> Vec<Trouble> {
        std::mem::take(&mut self.troubles)
    }

    /// Whether pictures came, since the last call, that were not handed on because decoding can start at none so far.
    pub fn awaits(&mut self) -> bool {
        std::mem::take(&mut self.awaits)
    }

    /// A parameter set of the SDP.
    pub fn sdp_set(&mut self, nal: Vec<u8>) {
        let fits = match self.codec {
            PictureCodec::H265 => (h265::VPS..=h265::PPS).contains(&h265::kind(&nal)),
            _ => matches!(h264::kind(&nal), h264::SPS | h264::PPS),
        };
        if fits {
            self.keep_set(nal);
        }
    }

    /// Packets are missing here.
    pub fn lost(&mut self) {
        let is_whole = self.now.slices >= self.usual_slices || self.now.marked && self.marker != Marker::Lies;
        if self.now.slices == 0 {
            // What stands before slices says nothing of a picture that may be gone.
            self.now = Gathering::default();
        } else if is_whole {
            self.finish();
        } else {
            self.now.damaged = true;
        }
        self.broken = true;
    }

    /// Another source begins.
    pub fn new_source(&mut self) {
        self.lost();
        self.finish();
        self.new_source = true;
        self.has_b = false;
        self.ended = None;
        self.marker = Marker::Untried;
        self.turning = Turning::default();
    }

    /// A packet was taken in whole: where it carries the marker, a picture may end.
    pub fn packet_ends(&mut self, marker: bool) {
        if !marker || self.now.slices == 0 {
            return;
        }
        self.now.marked = true;
        // The other field of the frame follows.
        let is_half = self.now.id.is_some_and(|id| id.field.is_some()) && !self.now.second_field;
        if self.marker == Marker::Ends && !is_half {
            self.finish();
        }
    }

    /// Ends a picture behind which nothing came for long enough; says when to be called next.
    pub fn tick(&mut self, now: MonoTime) -> Option<MonoTime> {
        if self.now.slices == 0 {
            return None;
        }
        let wait = match self.now.slices >= self.usual_slices {
            true if self.now.marked => WAIT_MARKED,
            true => WAIT_USUAL,
            false => WAIT_ELSE,
        };
        let due = self.now.last_at + wait;
        if now < due {
            return Some(due);
        }
        self.finish();
        None
    }

    fn keep_set(&mut self, nal: Vec<u8>) {
        match self.sets.keep(nal) {
            Err(Refused::Size(width, height)) if self.troubles.len() < MOST_TROUBLES => {
                self.refused = true;
                self.troubles.push(Trouble::Size(width, height));
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn role(&self, nal: &[u8]) -> Role {
        if nal.first().is_none_or(|first| first & 0x80 != 0) {
            // The forbidden bit: whoever sent it knew it to be damaged.
            return Role::Damaged;
        }
        match self.codec {
            PictureCodec::H265 => self.h265_role(nal),
            _ => self.h264_role(nal),
        }
    }

    fn h264_role(&self, nal: &[u8]) -> Role {
        match h264::kind(nal) {
            kind @ (h264::SLICE | h264::PARTITION_A | h264::IDR) => {
                let Some(head) = h264::SliceHead::parse(nal) else { return Role::Damaged };
                let id = match self.sets.sequence(head.pps) {
                    Some((_, Sequence::H264(sps))) => h264::PictureId::parse(nal, sps),
                    _ => None,
                };
                Role::Slice(Slice {
                    is_first: head.first_mb == 0,
                    pps: head.pps,
                    is_intra: head.is_intra(),
                    is_b: head.kind == h264::B_SLICE,
                    refresh: kind == h264::IDR,
                    is_skipped_leading: false,
                    id,
                })
            }
            // Further partitions of a slice.
            3 | 4 => Role::Suffix,
            h264::SEI => Role::Prefix(h264::recovery_point(nal)),
            h264::SPS | h264::PPS => Role::Set,
            h264::AUD | 10 | 11 => Role::Delimiter,
            _ => Role::Nothing,
        }
    }

    fn h265_role(&self, nal: &[u8]) -> Role {
        if h265::layer(nal) != 0 {
            return Role::Nothing;
        }
        match h265::kind(nal) {
            kind if h265::is_slice(kind) => {
                let Some(head) = h265::SliceHead::parse(nal) else { return Role::Damaged };
                Role::Slice(Slice {
                    is_first: head.is_first,
                    pps: head.pps,
                    is_intra: h265::is_random_access(kind),
                    is_b: false,
                    refresh: h265::is_random_access(kind),
                    is_skipped_leading: matches!(kind, h265::RASL_N | h265::RASL_R),
                    id: None,
                })
            }
            h265::PREFIX_SEI => Role::Prefix(h265::recovery_point(nal).and_then(|count| count.try_into().ok())),
            h265::SUFFIX_SEI => Role::Suffix,
            h265::VPS..=h265::PPS => Role::Set,
            h265::AUD | 36 | 37 => Role::Delimiter,
            _ => Role::Nothing,
        }
    }

    fn take_slice(&mut self, nal: &[u8], slice: &Slice, stamp: u32, at: MonoTime) {
        if self.now.slices > 0 && !self.is_of_this_picture(slice, stamp) {
            if self.now.marked && slice.is_first && self.marker == Marker::Untried {
                self.marker = Marker::Ends;
            }
            self.finish();
        } else if self.now.marked && !slice.is_first {
            self.marker = Marker::Lies;
        }
        if self.now.slices == 0 {
            (self.now.stamp, self.now.at) = (stamp, at);
            if !slice.is_first {
                // Its begin did not come, or it was taken for whole too early.
                let is_rest =
                    self.ended.is_some_and(|(ended, id)| if id.is_some() { id == slice.id } else { ended == stamp });
                if is_rest && self.marker == Marker::Ends {
                    self.marker = Marker::Lies;
                }
                self.now.damaged = true;
            }
            self.now.clues.intra = true;
            self.now.pps = Some(slice.pps);
        } else if self.now.pps != Some(slice.pps) && !self.now.other_pps.contains(&slice.pps) {
            self.now.other_pps.push(slice.pps);
        }
        let second = self.now.id.zip(slice.id).is_some_and(|(first, this)| first.is_first_field_of(&this));
        if !second || self.now.slices == 0 {
            self.now.clues.intra &= slice.is_intra;
        }
        self.now.second_field |= second;
        self.now.marked &= !second;
        self.now.id = self.now.id.or(slice.id);
        self.now.clues.refresh |= slice.refresh;
        self.now.has_b |= slice.is_b;
        self.now.skipped_leading |= slice.is_skipped_leading;
        self.now.slices += 1;
        self.add(nal, at);
    }

    /// Whether a slice is of the picture that is gathered, or its other field.
    fn is_of_this_picture(&self, slice: &Slice, stamp: u32) -> bool {
        match (self.now.id, slice.id) {
            (Some(first), Some(this)) => {
                if first.is_first_field_of(&this) {
                    return slice.is_first != self.now.second_field;
                }
                !slice.is_first && first == this
            }
            _ => !slice.is_first && (stamp == self.now.stamp || !self.now.damaged),
        }
    }

    fn add(&mut self, nal: &[u8], at: MonoTime) {
        self.now.last_at = at.max(self.now.last_at);
        let has_room = self.now.data.len() + START_CODE.len() + nal.len() <= MAX_BYTES;
        if !has_room && !self.now.damaged {
            self.troubles.push(Trouble::TooLarge);
        }
        self.now.damaged |= !has_room;
        if self.now.damaged {
            // It will not be handed on.
            self.now.data.clear();
            return;
        }
        self.now.data.extend_from_slice(&START_CODE);
        self.now.data.extend_from_slice(nal);
    }

    /// Ends the picture that is gathered, if it has a slice.
    fn finish(&mut self) {
        if self.now.slices == 0 {
            return;
        }
        let now = std::mem::take(&mut self.now);
        self.has_b |= now.has_b;
        self.ended = Some((now.stamp, now.id));
        if now.damaged {
            self.broken = true;
        } else {
            self.hand_on(&now);
        }
        // The room is used again.
        self.now.data = now.data;
        self.now.data.clear();
        self.now.data.shrink_to(KEPT_ROOM);
    }

    /// H.264 puts pictures out of order for B slices; its sets may say nothing of it, or that it could. H.265 says it in each SPS, and
    /// its B slices need not be out of order.
    fn may_reorder(&self, sequence: &Sequence) -> bool {
        sequence.reorder() != Some(0) && (self.has_b || self.codec == PictureCodec::H265)
    }

    fn learn_slices(&mut self, slices: usize) {
        self.fewer_slices = if slices < self.usual_slices { self.fewer_slices + 1 } else { 0 };
        if slices > self.usual_slices || self.fewer_slices > 16 {
            (self.usual_slices, self.fewer_slices) = (slices, 0);
        }
    }

    fn hand_on(&mut self, now: &Gathering) {
        self.learn_slices(now.slices);
        if !self.pace.allows(now.at) {
            self.broken = true;
            if self.troubles.len() < MOST_TROUBLES {
                self.troubles.push(Trouble::TooMany);
            }
            return;
        }
        let sequence = now.pps.and_then(|pps| self.sets.sequence(pps)).map(|(id, sequence)| (id, *sequence));
        let same = |pps: &u8| self.sets.sequence(*pps).map(|(id, _)| id) == sequence.map(|(id, _)| id);
        let Some((id, sequence)) = sequence.filter(|_| now.other_pps.iter().all(same)) else {
            self.broken = true;
            self.lacks_sets(now);
            return;
        };
        let verdict = self.starts.judge(now.at, now.clues);
        if verdict.warn {
            self.troubles.push(Trouble::NoStart);
        }
        if !verdict.wanted || now.skipped_leading && self.starts.skips_leading() {
            // It refers to pictures that nobody has.
            self.awaits |= !verdict.wanted;
            return;
        }
        let mut sets = std::mem::take(&mut self.set_scratch);
        self.sets.before(id, verdict.is_start, &mut sets);
        if self.turning.picture(now.orientation, verdict.is_start) {
            sets.push(self.turning.now().message(self.video_codec()).into());
        }
        let set_bytes: usize = sets.iter().map(|set| START_CODE.len() + set.len()).sum();
        let mut data = Vec::with_capacity(set_bytes + now.data.len());
        for set in sets.drain(..) {
            data.extend_from_slice(&START_CODE);
            data.extend_from_slice(&set);
        }
        self.set_scratch = sets;
        data.extend_from_slice(&now.data);
        self.out.push_back(Unit {
            data: data.into(),
            stamp: now.stamp,
            at: now.at,
            start: verdict.is_start,
            broken: std::mem::take(&mut self.broken),
            new_source: std::mem::take(&mut self.new_source),
            shape: sequence.shape(self.turning.now()),
            reorder: sequence.reorder(),
            may_reorder: self.may_reorder(&sequence),
        });
    }
}

impl Units {
    /// The sets of a picture never came. Before the first start that is no wonder: most cameras send them there.
    fn lacks_sets(&mut self, now: &Gathering) {
        let clues = now.clues;
        self.start_lacks_sets |= clues.refresh || clues.recovery.is_some() || clues.intra;
        self.missing_sets = self.missing_sets.saturating_add(1);
        if self.refused {
            return;
        }
        if !self.start_lacks_sets {
            self.awaits = true;
            if self.starts.waits(now.at) {
                self.troubles.push(Trouble::NoStart);
            }
        } else if self.missing_sets >= LACKING_SETS && self.troubles.is_empty() {
            self.troubles.push(Trouble::NoSets);
        }
    }
}

impl TakeNal for Units {
    fn take(&mut self, nal: &[u8], stamp: u32, at: MonoTime) {
        split(nal).for_each(|nal| self.take_one(nal, stamp, at));
    }

    fn damaged(&mut self) {
        self.broken = true;
        // If it was the first slice of a picture, the next one tells.
        self.now.damaged |= self.now.slices > 0;
    }
}

impl Units {
    fn take_one(&mut self, nal: &[u8], stamp: u32, at: MonoTime) {
        let role = self.role(nal.get(..PEEK).unwrap_or(nal));
        let begins = matches!(role, Role::Set | Role::Prefix(_) | Role::Delimiter);
        if begins && self.now.slices > 0 {
            if self.now.marked && self.marker == Marker::Untried {
                self.marker = Marker::Ends;
            }
            self.finish();
        }
        match role {
            Role::Slice(slice) => self.take_slice(nal, &slice, stamp, at),
            Role::Set => {
                if nal.len() <= h265::MAX_SET_BYTES + 64 {
                    self.keep_set(nal.to_vec());
                }
            }
            Role::Prefix(recovery) => {
                if let Some(count) = recovery {
                    self.now.clues.recovery = Some(count);
                }
                self.now.orientation = Orientation::said_in(self.video_codec(), nal).or(self.now.orientation);
                if self.now.data.len() + nal.len() <= MAX_PREFIX_BYTES && nal.len() > 2 {
                    self.add(nal, at);
                }
            }
            Role::Suffix => {
                if self.now.slices > 0 {
                    self.add(nal, at);
                }
            }
            Role::Delimiter | Role::Nothing => {}
            Role::Damaged => self.damaged(),
        }
    }
}
