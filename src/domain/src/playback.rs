//! Playback maths: which bytes of which files make up a range, HLS playlists over them, and what a timeline shows.

use crate::archive::{Fragment, Gap, GapCause, Segment, Span, TimeRange, WhereHeld, start_before};
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use std::fmt::Write;
use std::time::Duration;

/// Two files closer than this count as one span: a frame's time and the rounding of time stamps.
pub const JOIN_US: i64 = 100_000;

/// What is recorded right now reaches the index when its part ends, which may take two of a camera's pictures: so short before now nothing
/// counts as missing yet.
pub const PENDING_US: i64 = 10_000_000;

/// The cause of a gap that goes on is entered this often: a card wears.
pub const NOTE_EVERY: Duration = Duration::from_secs(60);
/// A cause whose end is not longer ago goes on: it is entered each [`NOTE_EVERY`], and a quarter of that may pass on the way.
pub const ONGOING_US: i64 = NOTE_EVERY.as_micros() as i64 / 4 * 5;

/// Adds what is next in order of its start to stretches of time; neighbours are one.
pub fn join(stretches: &mut Vec<(Timestamp, Timestamp)>, start: Timestamp, end: Timestamp) {
    match stretches.last_mut() {
        Some(last) if start.micros_since(last.1) <= JOIN_US => last.1 = last.1.max(end),
        _ => stretches.push((start, end)),
    }
}

/// The fragments of one segment that a range needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut<'a> {
    /// The file.
    pub segment: &'a Segment,
    /// Its fragments that overlap the range, and those before them up to a keyframe; in order, never empty.
    pub fragments: &'a [Fragment],
}

impl Cut<'_> {
    /// UTC of the first fragment.
    pub fn start(&self) -> Timestamp {
        self.segment.start.plus_micros(self.fragments[0].start_us)
    }

    /// Length in microseconds.
    pub fn duration_us(&self) -> i64 {
        self.fragments.iter().map(|f| f.duration_us).sum()
    }
}

/// Chooses the fragments that overlap `range`; segments must be in order of time. A range thus begins at the keyframe at or
/// before `from`. Where the clock was set back, what was recorded before it and after it lies over the same time: one run is
/// played to its end, then the other.
pub fn cut<'a>(segments: &'a [Segment], range: &TimeRange) -> Vec<Cut<'a>> {
    in_runs(segments)
        .into_iter()
        .filter_map(|segment| {
            let from = range.from.micros_since(segment.start);
            let to = range.to.micros_since(segment.start);
            let first = first_from(&segment.fragments, from);
            let last = segment.fragments.partition_point(|f| f.start_us < to);
            segment.fragments.get(first..last).filter(|f| !f.is_empty()).map(|fragments| Cut { segment, fragments })
        })
        .collect()
}

/// Where what is shown from a moment of a file's time line on begins among its fragments: with a keyframe. Their number where nothing is.
pub fn first_from(fragments: &[Fragment], from_us: i64) -> usize {
    let first = fragments.partition_point(|f| f.start_us.saturating_add(f.duration_us) <= from_us);
    if first < fragments.len() { start_before(fragments, first) } else { first }
}

/// Files in the order in which they are played: by time, but where runs of recording overlap, each run in one piece. A file
/// belongs to the run whose end it joins best.
fn in_runs(segments: &[Segment]) -> Vec<&Segment> {
    let mut played = Vec::with_capacity(segments.len());
    let mut runs: Vec<Vec<&Segment>> = Vec::new();
    let end = |run: &[&Segment]| run.last().map_or(Timestamp(i64::MIN), |s| s.end);
    let joins = |run: &[&Segment], s: &Segment| end(run).micros_since(s.start) <= JOIN_US;
    for segment in segments {
        if runs.iter().all(|run| joins(run, segment)) {
            // Nothing overlaps here: what was open is complete.
            played.extend(runs.drain(..).flatten());
        }
        let best = runs
            .iter_mut()
            .filter(|run| joins(run, segment))
            .min_by_key(|run| segment.start.micros_since(end(run)).abs());
        match best {
            Some(run) => run.push(segment),
            None => runs.push(vec![segment]),
        }
    }
    played.extend(runs.into_iter().flatten());
    played
}

/// The longest playlist: a day with an hour set back, and a little.
const MAX_PLAYLIST_US: i64 = 26 * 3_600_000_000;

/// Errors with `Invalid` where a range is too long for one playlist.
pub fn check_playlist(range: &TimeRange) -> Result<()> {
    if range.duration_us() <= MAX_PLAYLIST_US {
        return Ok(());
    }
    let hours = MAX_PLAYLIST_US / 3_600_000_000;
    Err(Error::invalid(format!("the range is longer than {hours} hours: ask for less")))
}

/// Bytes that a player is made to load at once: that many of a group of pictures are one segment of a playlist, which begins with a keyframe;
/// a larger one is several, of which only the first does.
const MAX_PIECE_BYTES: u64 = 32 << 20;

/// Stands before a segment of a playlist that begins with no keyframe: what begins in it begins with the one before. Players pass over what
/// they do not know (RFC 8216, 6.3.1).
const DEPENDENT: &str = "#EXT-X-PERCH-DEPENDENT";

/// Fragments that a player loads in one piece.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    offset_bytes: u64,
    size_bytes: u64,
    duration_us: i64,
    starts: bool,
}

/// Whole groups of pictures, as far as they are not too large.
fn pieces(fragments: &[Fragment]) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(fragments.len());
    for f in fragments {
        match out.last_mut() {
            Some(last) if !f.starts && last.size_bytes + f.size_bytes <= MAX_PIECE_BYTES => {
                // They follow on each other in the file.
                last.size_bytes = (f.offset_bytes + f.size_bytes).saturating_sub(last.offset_bytes);
                last.duration_us += f.duration_us;
            }
            _ => {
                let Fragment { offset_bytes, size_bytes, duration_us, starts, .. } = *f;
                out.push(Piece { offset_bytes, size_bytes, duration_us, starts });
            }
        }
    }
    out
}

/// An HLS media playlist (RFC 8216) of byte ranges; every file begins with its own map and a discontinuity, because each file
/// starts at time 0. It names no codecs: a player finds them in the map. URIs are relative to the playlist: `segments/{id}.mp4`. A segment that
/// begins with no keyframe is marked by [`DEPENDENT`]. `None` when nothing is recorded in the range.
pub fn hls_playlist(segments: &[Segment], range: &TimeRange) -> Option<String> {
    let cuts = cut(segments, range);
    if cuts.is_empty() {
        return None;
    }
    let pieces: Vec<_> = cuts.iter().map(|c| pieces(c.fragments)).collect();
    let longest_us = pieces.iter().flatten().map(|p| p.duration_us).max().unwrap_or(0);
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:7\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "#EXT-X-TARGETDURATION:{}", (longest_us + 999_999) / 1_000_000);
    out.push_str("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n");
    if pieces.iter().flatten().all(|p| p.starts) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    for (i, (c, pieces)) in cuts.iter().zip(&pieces).enumerate() {
        if i > 0 {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        let id = c.segment.id;
        let _ = writeln!(out, "#EXT-X-MAP:URI=\"segments/{id}.mp4\",BYTERANGE=\"{}@0\"", c.segment.init_size_bytes);
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", c.start());
        for p in pieces {
            if !p.starts {
                let _ = writeln!(out, "{DEPENDENT}");
            }
            let _ = writeln!(
                out,
                "#EXTINF:{:.6},\n#EXT-X-BYTERANGE:{}@{}\nsegments/{id}.mp4",
                p.duration_us as f64 / 1e6,
                p.size_bytes,
                p.offset_bytes
            );
        }
    }
    out.push_str("#EXT-X-ENDLIST\n");
    Some(out)
}

/// Joins recorded files (start, end; in order), all held alike, into spans within `range`.
pub fn spans(files: &[(Timestamp, Timestamp)], range: &TimeRange, held: WhereHeld) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    for (start, end) in files {
        let (start, end) = ((*start).max(range.from), (*end).min(range.to));
        if start >= end {
            continue;
        }
        match out.last_mut() {
            Some(last) if start.micros_since(last.end) <= JOIN_US => last.end = last.end.max(end),
            _ => out.push(Span { start, end, held }),
        }
    }
    out
}

/// What is missing between `since` (the first recording there ever was) and `now`, cut at the edges of the causes that are
/// known; the rest is [`GapCause::Unknown`].
pub fn gaps(spans: &[Span], causes: &[Gap], range: &TimeRange, since: Option<Timestamp>, now: Timestamp) -> Vec<Gap> {
    let Some(since) = since else { return Vec::new() };
    let end = range.to.min(now);
    let mut causes = causes.to_vec();
    let mut holes = Vec::new();
    let mut at = range.from.max(since);
    for s in spans {
        if s.start.micros_since(at) > JOIN_US {
            holes.push((at, s.start));
        }
        at = at.max(s.end);
    }
    if end.micros_since(at) > JOIN_US {
        // What was reported a moment ago still holds: a gap that goes on is entered again only now and then.
        let newest = causes.iter_mut().filter(|c| c.end > at).max_by_key(|c| c.end);
        let is_known = newest.is_some();
        if let Some(newest) = newest.filter(|c| goes_on(c.cause) && now.micros_since(c.end) <= ONGOING_US) {
            newest.end = newest.end.max(now);
        }
        if is_known || now.micros_since(at) > PENDING_US {
            holes.push((at, end));
        }
    }
    holes.into_iter().flat_map(|hole| explain(hole, &causes)).collect()
}

/// Whether a cause is one of those that are entered again while they last.
fn goes_on(cause: GapCause) -> bool {
    use GapCause::*;
    matches!(cause, NoMotion | CameraUnavailable | Unrecordable | DiskFull | DiskError | RecordingOff | SwitchedOff)
}

fn explain((from, to): (Timestamp, Timestamp), causes: &[Gap]) -> Vec<Gap> {
    let mut out = Vec::new();
    let mut at = from;
    let mut known: Vec<_> = causes.iter().filter(|c| c.start < to && c.end > from).collect();
    known.sort_by_key(|c| c.start);
    for c in known {
        let (start, end) = (c.start.max(at), c.end.min(to));
        if start >= end {
            continue;
        }
        push(&mut out, Gap::new(at, start, GapCause::Unknown));
        push(&mut out, Gap { start, end, ..(*c).clone() });
        at = end;
    }
    push(&mut out, Gap::new(at, to, GapCause::Unknown));
    out
}

/// Slivers join their neighbour: a cause is known some frames late, and a camera takes a moment to start with its box.
fn push(out: &mut Vec<Gap>, gap: Gap) {
    const SLIVER_US: i64 = 2_000_000;
    let is_sliver = |g: &Gap| g.end.micros_since(g.start) < SLIVER_US;
    if gap.start >= gap.end {
        return;
    }
    match out.last_mut() {
        Some(last) if (last.cause, &last.by) == (gap.cause, &gap.by) => last.end = gap.end,
        Some(last) if gap.cause == GapCause::Unknown && is_sliver(&gap) => last.end = gap.end,
        Some(last) if last.cause == GapCause::BoxOff && gap.cause == GapCause::CameraUnavailable && is_sliver(&gap) => {
            last.end = gap.end;
        }
        Some(last) if last.cause == GapCause::Unknown && is_sliver(last) => *last = Gap { start: last.start, ..gap },
        _ => out.push(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::SegmentState;
    use perch_base::ids::{CameraId, SegmentId};

    #[test]
    fn neighbours_are_one_stretch() {
        type Stretches<'a> = &'a [(i64, i64)];
        let cases: [(&str, Stretches, Stretches); 5] = [
            ("that touch", &[(0, 10), (10, 20)], &[(0, 20)]),
            ("with a frame's time between", &[(0, 10), (10 + JOIN_US, JOIN_US + 20)], &[(0, JOIN_US + 20)]),
            ("with more between", &[(0, 10), (11 + JOIN_US, JOIN_US + 20)], &[(0, 10), (JOIN_US + 11, JOIN_US + 20)]),
            ("of which one lies within the other", &[(0, 100), (5, 10)], &[(0, 100)]),
            ("one alone", &[(7, 8)], &[(7, 8)]),
        ];
        for (name, given, want) in cases {
            let mut stretches = Vec::new();
            given.iter().for_each(|(start, end)| join(&mut stretches, Timestamp(*start), Timestamp(*end)));
            assert_eq!(stretches.iter().map(|(start, end)| (start.0, end.0)).collect::<Vec<_>>(), want, "{name}");
        }
    }

    #[test]
    fn a_playlist_holds_a_day_and_not_much_more() {
        let hours = |n: i64| TimeRange::new(Timestamp(0), Timestamp(n * 3_600_000_000)).expect("a range");
        check_playlist(&hours(25)).expect("a day with an hour set back");
        check_playlist(&hours(26)).expect("a little more");
        let e = check_playlist(&hours(27)).expect_err("too long");
        assert_eq!(e.message(), "the range is longer than 26 hours: ask for less");
    }

    fn s(n: f64) -> Timestamp {
        Timestamp(1_800_000_000_000_000 + (n * 1e6) as i64)
    }

    fn range(from: f64, to: f64) -> TimeRange {
        TimeRange::new(s(from), s(to)).expect("in order")
    }

    fn segment(id: i64, start: f64, seconds: i64) -> Segment {
        let fragments = (0..seconds)
            .map(|i| Fragment {
                offset_bytes: 100 + 50 * i as u64,
                size_bytes: 50,
                start_us: i * 1_000_000,
                duration_us: 1_000_000,
                starts: true,
            })
            .collect();
        Segment {
            id: SegmentId(id),
            camera: CameraId::new("a").expect("valid"),
            start: s(start),
            end: s(start + seconds as f64),
            size_bytes: 100 + 50 * seconds as u64,
            state: SegmentState::Sealed,
            event: None,
            init_size_bytes: 100,
            fragments,
        }
    }

    #[test]
    fn a_range_starts_at_the_keyframe_before_it() {
        let segments = [segment(1, 0.0, 10), segment(2, 10.0, 10)];
        let cuts = cut(&segments, &range(8.5, 11.0));
        let got: Vec<_> = cuts.iter().map(|c| (c.segment.id.0, c.start(), c.duration_us())).collect();
        assert_eq!(got, [(1, s(8.0), 2_000_000), (2, s(10.0), 1_000_000)]);
        assert!(cut(&segments, &range(20.0, 30.0)).is_empty());
    }

    #[test]
    fn a_playlist_names_byte_ranges_and_times() {
        let segments = [segment(1, 0.0, 2), segment(2, 60.0, 1)];
        let text = hls_playlist(&segments, &range(1.2, 70.0)).expect("recorded");
        let want = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
            #EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-MAP:URI=\"segments/1.mp4\",BYTERANGE=\"100@0\"\n#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:01.000000Z\n\
            #EXTINF:1.000000,\n#EXT-X-BYTERANGE:50@150\nsegments/1.mp4\n#EXT-X-DISCONTINUITY\n\
            #EXT-X-MAP:URI=\"segments/2.mp4\",BYTERANGE=\"100@0\"\n#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:01:00.000000Z\n\
            #EXTINF:1.000000,\n#EXT-X-BYTERANGE:50@100\nsegments/2.mp4\n#EXT-X-ENDLIST\n";
        assert_eq!(text, want);
        assert_eq!(hls_playlist(&segments, &range(100.0, 200.0)), None);
    }

    #[test]
    fn a_long_group_of_pictures_is_played_from_its_keyframe_and_in_few_pieces() {
        let mut file = segment(1, 0.0, 9);
        for at in [1, 2, 3, 6, 7] {
            file.fragments[at].starts = false;
        }
        let pieces_of = |file: &Segment, r| {
            let text = hls_playlist(std::slice::from_ref(file), &r).expect("recorded");
            let ranges = text.lines().filter_map(|l| l.strip_prefix("#EXT-X-BYTERANGE:").map(str::to_owned));
            (ranges.collect::<Vec<_>>(), text.contains("INDEPENDENT"), text.contains("2027-01-15T08:00:00.000000Z"))
        };
        // From the middle of the first group on: its keyframe leads to what is asked for.
        let (ranges, are_independent, from_the_start) = pieces_of(&file, range(3.5, 8.0));
        assert_eq!(ranges, ["200@100", "50@300", "150@350"]);
        assert!(are_independent && from_the_start);
        assert_eq!(cut(std::slice::from_ref(&file), &range(7.1, 7.2))[0].fragments.len(), 3);
        assert!(cut(std::slice::from_ref(&file), &range(9.0, 9.5)).is_empty());
        // One that is too large to be loaded at once.
        for f in &mut file.fragments {
            (f.offset_bytes, f.size_bytes) = (f.offset_bytes << 20, 15 << 20);
        }
        let (ranges, are_independent, _) = pieces_of(&file, range(0.0, 4.0));
        assert!(ranges.len() == 2 && !are_independent, "{ranges:?}");
        let text = hls_playlist(std::slice::from_ref(&file), &range(0.0, 6.0)).expect("recorded");
        let marked = |n: usize| text.split("#EXT-X-BYTERANGE").nth(n).is_some_and(|part| part.contains(DEPENDENT));
        assert_eq!([0, 1, 2].map(marked), [false, true, false], "{text}");
    }

    #[test]
    fn a_clock_that_was_set_back_alternates_nothing() {
        // From 0 to 40 s, then 30 s back and on to 50 s, in files that an event cut differently.
        let segments = [
            segment(1, 0.0, 10),
            segment(2, 10.0, 10),
            segment(5, 10.3, 10),
            segment(3, 20.02, 10),
            segment(6, 20.3, 20),
            segment(4, 30.0, 10),
            segment(7, 40.3, 10),
            segment(8, 60.0, 10),
        ];
        let order = |r| cut(&segments, &r).iter().map(|c| c.segment.id.0).collect::<Vec<_>>();
        assert_eq!(order(range(0.0, 100.0)), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(order(range(25.0, 45.0)), [3, 4, 6, 7]);
        let ids = hls_playlist(&segments, &range(0.0, 100.0)).expect("recorded");
        assert_eq!(ids.matches("#EXT-X-MAP").count(), segments.len());
    }

    #[test]
    fn abutting_files_are_one_span() {
        let files = [(s(0.0), s(10.0)), (s(10.033), s(20.0)), (s(30.0), s(40.0))];
        let got = spans(&files, &range(5.0, 35.0), WhereHeld::Here);
        let here = |start, end| Span { start: s(start), end: s(end), held: WhereHeld::Here };
        assert_eq!(got, [here(5.0, 20.0), here(30.0, 35.0)]);
    }

    #[test]
    fn gaps_have_their_causes() {
        let gap = |a, b, cause| Gap::new(s(a), s(b), cause);
        let recorded = spans(&[(s(0.0), s(10.0)), (s(50.0), s(60.0))], &range(0.0, 200.0), WhereHeld::Here);
        let causes = [gap(11.0, 30.0, GapCause::BoxOff), gap(60.0, 70.0, GapCause::DiskFull)];
        let got = gaps(&recorded, &causes, &range(0.0, 200.0), Some(s(0.0)), s(150.0));
        let want = [
            gap(10.0, 30.0, GapCause::BoxOff),
            gap(30.0, 50.0, GapCause::Unknown),
            gap(60.0, 70.0, GapCause::DiskFull),
            gap(70.0, 150.0, GapCause::Unknown),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn a_camera_that_starts_with_its_box_is_no_gap_of_its_own() {
        let gap = |a, b, cause| Gap::new(s(a), s(b), cause);
        let recorded = spans(&[(s(0.0), s(10.0)), (s(15.5), s(60.0))], &range(0.0, 60.0), WhereHeld::Here);
        let causes = [gap(10.0, 15.0, GapCause::BoxOff), gap(15.0, 15.5, GapCause::CameraUnavailable)];
        let got = gaps(&recorded, &causes, &range(0.0, 60.0), Some(s(0.0)), s(60.0));
        assert_eq!(got, [gap(10.0, 15.5, GapCause::BoxOff)]);
    }

    #[test]
    fn the_newest_cause_goes_on_for_a_while() {
        let recorded = spans(&[(s(0.0), s(10.0))], &range(0.0, 200.0), WhereHeld::Here);
        let quiet = Gap::new(s(10.0), s(30.0), GapCause::NoMotion);
        let until = |now| gaps(&recorded, std::slice::from_ref(&quiet), &range(0.0, 200.0), Some(s(0.0)), s(now));
        assert_eq!(until(104.0), [Gap { end: s(104.0), ..quiet.clone() }]);
        assert_eq!(until(106.0), [quiet.clone(), Gap::new(s(30.0), s(106.0), GapCause::Unknown)]);
        // The box is no longer off once somebody asks it.
        let off = Gap { cause: GapCause::BoxOff, ..quiet.clone() };
        let got = gaps(&recorded, std::slice::from_ref(&off), &range(0.0, 200.0), Some(s(0.0)), s(40.0));
        assert_eq!(got, [off, Gap::new(s(30.0), s(40.0), GapCause::Unknown)]);
    }

    #[test]
    fn what_is_being_recorded_is_not_missing() {
        let recorded = spans(&[(s(0.0), s(10.0))], &range(0.0, 100.0), WhereHeld::Here);
        let until = |now| gaps(&recorded, &[], &range(0.0, 100.0), Some(s(0.0)), s(now)).len();
        assert_eq!((until(19.0), until(21.0)), (0, 1));
    }

    #[test]
    fn before_the_first_recording_nothing_is_missing() {
        assert!(gaps(&[], &[], &range(0.0, 10.0), None, s(5.0)).is_empty());
        assert!(gaps(&[], &[], &range(0.0, 10.0), Some(s(20.0)), s(30.0)).is_empty());
    }
}
