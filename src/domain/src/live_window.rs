//! The newest part of a live stream as low-latency HLS (draft-pantos-hls-rfc8216bis): which segments are kept, what a playlist says, and what a
//! player that is ahead waits for. Pure: whoever packages brings times and bytes.

use crate::live_hls::{LiveFile, LiveView, PART};
use bytes::Bytes;
use perch_base::time::Timestamp;
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::time::Duration;

/// A player stays behind the end by so many parts (4.4.3.8: three at least).
const HOLD_BACK_PARTS: u32 = 3;
/// The target duration, seconds.
const TARGET_S: u64 = 2;
/// A playlist reaches back so far at least: three target durations (6.2.2), and the open segment.
const LISTED: Duration = Duration::from_secs(3 * TARGET_S);
/// What fell out of the playlist is kept for as long again, for players that are on their way to it.
const KEPT: Duration = Duration::from_secs(6 * TARGET_S);
/// However many bytes they are, so many segments are kept: with fewer nothing plays.
const LEAST_SEGMENTS: usize = 3;

/// One part as it is kept.
#[derive(Clone, Debug)]
pub struct LivePart {
    /// How long it lasts.
    pub duration: Duration,
    /// Whether decoding can start at its first picture.
    pub starts: bool,
    /// A `moof` with its `mdat`.
    pub data: Bytes,
}

#[derive(Clone, Debug)]
struct LiveSegment {
    /// When its first picture was captured.
    at: Timestamp,
    run: u64,
    /// Whether it is the first of its run, and not the first of all.
    breaks: bool,
    parts: Vec<LivePart>,
}

impl LiveSegment {
    fn duration(&self) -> Duration {
        self.parts.iter().map(|part| part.duration).sum()
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.data.len()).sum()
    }
}

/// What a player waits for: the playlist that holds this, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// `_HLS_msn`.
    pub segment: u64,
    /// `_HLS_part`.
    pub part: Option<u32>,
}

/// What there is of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InWindow<T> {
    /// It.
    There(T),
    /// Nothing yet: it is the next to come.
    Soon,
    /// Nothing, and it will not come by this name.
    Never,
}

impl<T> InWindow<T> {
    /// The same with what `make` makes of what is there.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> InWindow<U> {
        match self {
            Self::There(found) => InWindow::There(make(found)),
            Self::Soon => InWindow::Soon,
            Self::Never => InWindow::Never,
        }
    }
}

/// The newest segments of one stream. The last one is open.
#[derive(Clone, Debug)]
pub struct LiveWindow {
    view: LiveView,
    max_bytes: usize,
    /// The number of the first segment that is kept, or of the next one where none is.
    first: u64,
    segments: VecDeque<LiveSegment>,
    /// The header of each run of which something is kept.
    maps: VecDeque<(u64, Bytes)>,
    /// Counts the breaks from 0 on: players keep a list that is as long as that number.
    run: u64,
    /// The number of the header of run 0.
    first_map: u64,
    breaks: bool,
    bytes: usize,
    forgotten: u64,
}

impl LiveWindow {
    /// Nothing of `view` yet. Numbers begin with the seconds of `now`, or with `least`, what a window before it would have given next: so they
    /// are never given twice, by a box that starts again neither, since a segment takes about a second.
    pub fn new(view: LiveView, max_bytes: usize, now: Timestamp, least: u64) -> Self {
        let first = u64::try_from(now.as_micros() / 1_000_000).unwrap_or_default().max(least);
        let (segments, maps) = (VecDeque::new(), VecDeque::new());
        Self { view, max_bytes, first, segments, maps, run: 0, first_map: first, breaks: false, bytes: 0, forgotten: 0 }
    }

    /// What comes next begins with this header, and does not join what came before.
    pub fn begin(&mut self, map: Bytes) {
        if !self.maps.is_empty() || self.breaks {
            self.run += 1;
            self.breaks = true;
        }
        self.maps.push_back((self.run, map));
    }

    /// Takes a part, whose first picture was captured at `at`. The first of a run begins a segment whatever is said.
    pub fn push(&mut self, part: LivePart, begins: bool, at: Timestamp) {
        self.bytes += part.data.len();
        match self.segments.back_mut().filter(|last| !begins && last.run == self.run) {
            Some(open) => open.parts.push(part),
            None => {
                let breaks = std::mem::take(&mut self.breaks);
                self.segments.push_back(LiveSegment { at, run: self.run, breaks, parts: vec![part] });
                self.trim();
            }
        }
    }

    /// Nothing of what came until now is shown any more.
    pub fn forget(&mut self) {
        self.first += self.segments.len() as u64;
        self.breaks |= !self.maps.is_empty();
        self.segments.clear();
        self.maps.clear();
        self.bytes = 0;
        self.forgotten += 1;
    }

    /// How often [`Self::forget`] was said: what was taken out before is not to be shown after.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn trim(&mut self) {
        let mut kept: Duration = self.segments.iter().map(LiveSegment::duration).sum();
        while self.segments.len() > LEAST_SEGMENTS
            && let Some(oldest) = self.segments.front()
            && (kept.saturating_sub(oldest.duration()) >= KEPT || self.bytes > self.max_bytes)
        {
            kept = kept.saturating_sub(oldest.duration());
            self.bytes -= oldest.bytes();
            self.segments.pop_front();
            self.first += 1;
        }
        if let Some(oldest) = self.segments.front() {
            let run = oldest.run;
            self.maps.retain(|(of, _)| *of >= run);
        }
    }

    /// A number that nothing was given yet, nor of which was said that it comes.
    pub fn free(&self) -> u64 {
        self.open().max(self.first_map + self.run) + 2
    }

    /// The number of the segment that is open, or comes next.
    fn open(&self) -> u64 {
        (self.first + self.segments.len() as u64).saturating_sub(u64::from(!self.segments.is_empty()))
    }

    /// The segment of this number, and whether it is whole.
    fn segment(&self, number: u64) -> Option<(&LiveSegment, bool)> {
        let segment = self.segments.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        Some((segment, number < self.open()))
    }

    /// The playlist, once it holds what a player waits for. One that waits for nothing gets its first with a whole segment, as players
    /// give up at an empty one.
    pub fn playlist(&self, reload: Option<Reload>) -> InWindow<String> {
        let open = self.open();
        let Some(Reload { segment, part }) = reload else {
            return if self.segments.len() > 1 { InWindow::There(self.text()) } else { InWindow::Soon };
        };
        // One that asks for what is far ahead does not follow this playlist (6.2.5.2).
        if segment > open + 2 {
            return InWindow::Never;
        }
        let has_part = |n: u32| self.segment(open).is_some_and(|(s, _)| s.parts.len() as u64 > u64::from(n));
        let is_there = segment < open || (segment == open && part.is_some_and(has_part));
        if is_there && !self.segments.is_empty() { InWindow::There(self.text()) } else { InWindow::Soon }
    }

    /// A file: its pieces in order.
    pub fn file(&self, file: LiveFile) -> InWindow<Vec<Bytes>> {
        let found = |all: Option<Vec<Bytes>>| all.map_or(InWindow::Never, InWindow::There);
        match file {
            LiveFile::Map(map) => {
                found(self.maps.iter().find(|(run, _)| self.first_map + run == map).map(|(_, map)| vec![map.clone()]))
            }
            LiveFile::Segment(number) => match self.segment(number) {
                Some((segment, true)) => found(Some(segment.parts.iter().map(|part| part.data.clone()).collect())),
                Some((_, false)) => InWindow::Soon,
                None => InWindow::Never,
            },
            LiveFile::Part(number, n) => match self.segment(number) {
                Some((segment, is_whole)) => match segment.parts.get(n as usize) {
                    Some(part) => found(Some(vec![part.data.clone()])),
                    None if !is_whole && n as usize == segment.parts.len() => InWindow::Soon,
                    None => InWindow::Never,
                },
                None if number == self.open() + u64::from(!self.segments.is_empty()) && n == 0 => InWindow::Soon,
                None => InWindow::Never,
            },
        }
    }

    /// What comes next, as far as the segment before tells: keyframes mostly come at equal distances.
    fn next(&self, open: u64, parts: usize) -> LiveFile {
        let before =
            open.checked_sub(1).and_then(|number| self.segment(number)).map(|(segment, _)| segment.parts.len());
        match before == Some(parts) {
            true => LiveFile::Part(open + 1, 0),
            false => LiveFile::Part(open, parts as u32),
        }
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(4096);
        // Writing into a text cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let mut reach = Duration::ZERO;
        let before = self.segments.iter().rev().skip(1).take_while(|segment| {
            let is_listed = reach < LISTED;
            reach += segment.duration();
            is_listed
        });
        let skipped = self.segments.len().saturating_sub(1 + before.count());
        let listed = || self.segments.iter().skip(skipped);
        let longest = listed().flat_map(|s| &s.parts).map(|part| part.duration).chain([PART]).max().unwrap_or(PART);
        let target = (longest.as_secs_f64() * 1000.0).ceil() / 1000.0;
        let rounded = |s: &LiveSegment| s.duration().as_secs_f64().round() as u64;
        let target_s = listed().map(rounded).chain([TARGET_S]).max().unwrap_or(TARGET_S);
        let hold_back = target * f64::from(HOLD_BACK_PARTS);
        writeln!(out, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target_s}")?;
        writeln!(out, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back:.3}")?;
        writeln!(out, "#EXT-X-PART-INF:PART-TARGET={target:.3}")?;
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", self.first + skipped as u64)?;
        // The tag of a break before the first segment stands in the list, so it does not count yet.
        let breaks_before = listed().next().map_or(0, |first| first.run - u64::from(first.breaks));
        writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{breaks_before}")?;
        if listed().all(|s| s.parts.first().is_some_and(|part| part.starts)) {
            writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        let (view, mut run) = (self.view, None);
        for (number, segment) in (self.first + skipped as u64..).zip(listed()) {
            if segment.breaks {
                writeln!(out, "#EXT-X-DISCONTINUITY")?;
            }
            if run != Some(segment.run) {
                writeln!(out, "#EXT-X-MAP:URI=\"live/{view}/{}\"", LiveFile::Map(self.first_map + segment.run))?;
                run = Some(segment.run);
            }
            writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", segment.at)?;
            for (n, part) in (0..).zip(&segment.parts) {
                let (file, s) = (LiveFile::Part(number, n), part.duration.as_secs_f64());
                let starts = if part.starts { ",INDEPENDENT=YES" } else { "" };
                writeln!(out, "#EXT-X-PART:DURATION={s:.5},URI=\"live/{view}/{file}\"{starts}")?;
            }
            if number < self.open() {
                let s = segment.duration().as_secs_f64();
                writeln!(out, "#EXTINF:{s:.5},\nlive/{view}/{}", LiveFile::Segment(number))?;
            } else {
                let next = self.next(number, segment.parts.len());
                writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"live/{view}/{next}\"")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Stream;

    const VIEW: LiveView = LiveView { stream: Stream::Main, sound: true };

    fn part(ms: u64, starts: bool, bytes: usize) -> LivePart {
        LivePart { duration: Duration::from_millis(ms), starts, data: Bytes::from(vec![7; bytes]) }
    }

    fn window() -> LiveWindow {
        LiveWindow::new(VIEW, 1 << 20, Timestamp(1000 * 1_000_000), 7)
    }

    /// `segments` of three parts each.
    fn fill(window: &mut LiveWindow, segments: i64) {
        for n in 0..segments {
            for k in 0..3 {
                let captured = Timestamp((1000 + n) * 1_000_000 + k * 333_000);
                window.push(part(333, k == 0, 10), k == 0, captured);
            }
        }
    }

    #[test]
    fn a_playlist_says_what_there_is_and_what_comes() {
        let mut window = window();
        window.begin(Bytes::from_static(b"map"));
        assert_eq!(window.playlist(None), InWindow::Soon);
        fill(&mut window, 2);
        let InWindow::There(text) = window.playlist(None) else { panic!("a whole segment is there") };
        let want = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.002\n#EXT-X-PART-INF:PART-TARGET=0.334\n\
            #EXT-X-MEDIA-SEQUENCE:1000\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-MAP:URI=\"live/main/1000.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:16:40.000000Z\n\
            #EXT-X-PART:DURATION=0.33300,URI=\"live/main/1000.0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=0.33300,URI=\"live/main/1000.1.m4s\"\n\
            #EXT-X-PART:DURATION=0.33300,URI=\"live/main/1000.2.m4s\"\n#EXTINF:0.99900,\nlive/main/1000.m4s\n\
            #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:16:41.000000Z\n\
            #EXT-X-PART:DURATION=0.33300,URI=\"live/main/1001.0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=0.33300,URI=\"live/main/1001.1.m4s\"\n\
            #EXT-X-PART:DURATION=0.33300,URI=\"live/main/1001.2.m4s\"\n\
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"live/main/1002.0.m4s\"\n";
        assert_eq!(text, want);
    }

    #[test]
    fn who_is_ahead_waits_and_who_is_far_ahead_is_refused() {
        let mut window = window();
        window.begin(Bytes::new());
        let reload = |segment, part| Some(Reload { segment, part });
        assert_eq!(window.playlist(reload(1000, Some(0))), InWindow::Soon, "nothing came yet");
        fill(&mut window, 2);
        let is = |window: &LiveWindow, segment, part| match window.playlist(reload(segment, part)) {
            InWindow::There(_) => "there",
            InWindow::Soon => "soon",
            InWindow::Never => "never",
        };
        for (segment, part, want) in [
            (1000, None, "there"),
            (1, None, "there"),
            (1001, Some(2), "there"),
            (1001, Some(3), "soon"),
            (1001, None, "soon"),
            (1000, Some(99), "there"),
            (1002, Some(0), "soon"),
            (1003, None, "soon"),
            (1004, None, "never"),
            (u64::MAX, Some(u32::MAX), "never"),
        ] {
            assert_eq!(is(&window, segment, part), want, "{segment} {part:?}");
        }
        let pieces = |file: &str| match window.file(LiveFile::parse(file).expect("a name")) {
            InWindow::There(pieces) => pieces.len(),
            InWindow::Soon => 100,
            InWindow::Never => 200,
        };
        for (file, want) in [
            ("1000.mp4", 1),
            ("1001.mp4", 200),
            ("1000.m4s", 3),
            ("1001.m4s", 100),
            ("1002.m4s", 200),
            ("1001.2.m4s", 1),
            ("1001.3.m4s", 100),
            ("1001.4.m4s", 200),
            ("1000.3.m4s", 200),
            ("1002.0.m4s", 100),
            ("1002.1.m4s", 200),
            ("999.m4s", 200),
        ] {
            assert_eq!(pieces(file), want, "{file}");
        }
    }

    #[test]
    fn what_is_old_goes_by_time_and_by_bytes() {
        let mut window = window();
        window.begin(Bytes::new());
        fill(&mut window, 40);
        assert_eq!((window.segments.len(), window.first), (13, 1027), "twelve seconds and the open one");
        let InWindow::There(text) = window.playlist(None) else { panic!("a list") };
        assert_eq!(text.matches("#EXTINF").count(), 7, "{text}");
        assert_eq!(window.bytes, 13 * 30);
        window.max_bytes = 200;
        fill(&mut window, 1);
        assert_eq!((window.segments.len(), window.bytes), (7, 210), "the open one grew");
        window.max_bytes = 0;
        fill(&mut window, 2);
        assert_eq!(window.segments.len(), LEAST_SEGMENTS);
    }

    #[test]
    fn a_break_is_said_and_what_was_before_masks_changed_is_gone() {
        let mut window = window();
        window.begin(Bytes::from_static(b"one"));
        fill(&mut window, 2);
        window.begin(Bytes::from_static(b"two"));
        window.push(part(300, true, 10), false, Timestamp(0));
        let InWindow::There(text) = window.playlist(None) else { panic!("a list") };
        let second = text.find("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"live/main/1001.mp4\"").expect("said");
        assert!(
            second > text.find("1000.mp4").expect("the first") && text.contains("DISCONTINUITY-SEQUENCE:0\n"),
            "{text}"
        );
        window.forget();
        assert_eq!(window.playlist(None), InWindow::Soon);
        assert_eq!(window.file(LiveFile::Segment(1000)), InWindow::Never);
        assert_eq!(window.file(LiveFile::Map(1001)), InWindow::Never);
        window.begin(Bytes::from_static(b"three"));
        fill(&mut window, 2);
        let InWindow::There(text) = window.playlist(None) else { panic!("a list") };
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:1003\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{text}");
        assert!(text.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"live/main/1002.mp4\""), "{text}");
        window.forget();
        window.forget();
        window.begin(Bytes::new());
        assert_eq!((window.run, window.breaks), (3, true), "one break");
    }

    #[test]
    fn no_number_is_given_twice() {
        let mut window = window();
        window.begin(Bytes::new());
        fill(&mut window, 5);
        let next = LiveWindow::new(VIEW, 1, Timestamp(1_002_000_000), window.free());
        assert_eq!(next.first, 1006, "1005 was announced");
        assert_eq!(LiveWindow::new(VIEW, 1, Timestamp(2_000_000_000), window.free()).first, 2000);
    }

    #[test]
    fn long_parts_are_said() {
        let mut window = window();
        window.begin(Bytes::new());
        (0..3).for_each(|_| window.push(part(5000, true, 1), true, Timestamp(0)));
        let InWindow::There(text) = window.playlist(None) else { panic!("a list") };
        for line in ["#EXT-X-TARGETDURATION:5", "PART-TARGET=5.000", "PART-HOLD-BACK=15.000"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
