//! What `api` asks of recordings and events.

use crate::Recordings;
use crate::copied::{CopiedStretches, LONGEST_US};
use crate::read_back::unreadable;
use crate::segments::FIRST_THAT_MAY_OVERLAP;
use crate::{export, gap_rows, replay};
use bytes::Bytes;
use perch_base::Result;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::read_at::ReadAt;
use perch_base::secret::hex;
use perch_base::time::{DAY_US, Timestamp};
use perch_domain::archive::{
    Event, EventFilter, EventPage, Gap, GapCause, KeptOfCamera, MAX_SEGMENTS, MAX_STRETCHES, Segment, SegmentState,
    TimeRange, Timeline, WhereHeld, check_segments, check_stretches,
};
use perch_domain::held::with_copies;
use perch_domain::playback;
use perch_domain::ports::{ArchivePort, Export, OpenSegment, Replay};
use perch_domain::sync::hours::CopyHour;
use perch_domain::sync::target::CopyWhat;
use rusqlite::params;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// So much of a range is read at a time: nobody else waits for the rest.
const WINDOW_US: i64 = 7 * DAY_US;

/// Of a copy that is played, so much is fetched at once.
const AHEAD_BYTES: u64 = 512 << 10;

/// Files of a camera (`?1`) that begin from `?3` on and before `?4`, and end after `?2`.
pub(crate) const FILES: &str = "SELECT start, end, state FROM segment WHERE camera = ?1 AND start >= ?3 AND start < ?4
    AND end > ?2 AND state IN ('sealed', 'lost', 'quarantined') ORDER BY start";

/// Since when there is anything of a camera; what was deleted counts as recorded once.
pub(crate) const SINCE: &str = "SELECT min(start) FROM (SELECT min(start) AS start FROM segment WHERE camera = ?1
    UNION ALL SELECT min(start) FROM gap WHERE camera = ?1 AND cause = 'retention')";

/// What there is in a range, neighbours joined, in order.
#[derive(Debug, Default)]
struct Stretches {
    readable: Vec<(Timestamp, Timestamp)>,
    copied: CopiedStretches,
    unreadable: Vec<(Timestamp, Timestamp)>,
}

impl Recordings {
    /// What of a camera lies in a range, and since when there is anything. Errors with `TooLarge`.
    fn stretches(&self, camera: &CameraId, range: &TimeRange) -> Result<(Stretches, Option<Timestamp>)> {
        let what = format!("camera {camera}: looking up its timeline");
        // Memory first: a file that is sealed between the two looks is then found twice, not missed.
        let live: Vec<_> = {
            let live = self.live();
            let mine = live.values().map(|l| &l.segment).filter(|s| s.camera == *camera && !s.fragments.is_empty());
            mine.map(|s| (s.start, s.end)).filter(|(start, end)| range.overlaps(*start, *end)).collect()
        };
        let (mut at, since) = self.inner.db.read(&what, |c| {
            let first = format!("SELECT {FIRST_THAT_MAY_OVERLAP}");
            let first = c.prepare_cached(&first)?.query_row(params![camera.as_str(), range.from.0], |r| r.get(0))?;
            let since: Option<i64> = c.prepare_cached(SINCE)?.query_row([camera.as_str()], |r| r.get(0))?;
            Ok((Timestamp(first), since.map(Timestamp)))
        })?;
        let (mut out, mut is_first) = (Stretches::default(), true);
        while at < range.to {
            let to = at.max(range.from).plus_micros(WINDOW_US).min(range.to);
            self.inner.db.read(&what, |c| {
                let mut statement = c.prepare_cached(FILES)?;
                let mut rows = statement.query(params![camera.as_str(), range.from.0, at.0, to.0])?;
                while let Some(r) = rows.next()? {
                    let is_readable = r.get_ref(2)?.as_str().is_ok_and(|s| s == "sealed");
                    let stretches = if is_readable { &mut out.readable } else { &mut out.unreadable };
                    playback::join(stretches, Timestamp(r.get(0)?), Timestamp(r.get(1)?));
                    check_stretches(out.readable.len() + out.unreadable.len())?;
                }
                let of_copies = if is_first { at.min(range.from.plus_micros(-LONGEST_US)) } else { at };
                self.add_copied_stretches(c, camera, range, (of_copies, to), &mut out.copied)
            })?;
            (at, is_first) = (to, false);
        }
        out.readable.extend(live);
        out.readable.sort();
        Ok((out, since))
    }
}

impl ArchivePort for Recordings {
    fn kept(&self) -> Result<Vec<KeptOfCamera>> {
        self.kept_of_all()
    }

    fn kept_of(&self, camera: &CameraId) -> Result<KeptOfCamera> {
        self.kept_of_camera(camera)
    }

    fn forget(&self, camera: &CameraId) -> Result<()> {
        self.forget_now(camera)
    }

    /// Errors like [`check_stretches`].
    fn timeline(&self, camera: &CameraId, range: TimeRange, now: Timestamp) -> Result<Timeline> {
        let (stretches, since) = self.stretches(camera, &range)?;
        let of = |stretches: &[_], held| playback::spans(stretches, &range, held);
        let copies = &stretches.copied;
        let copies = [of(&copies.readable, WhereHeld::Copy), of(&copies.encrypted, WhereHeld::Encrypted)].concat();
        let spans = with_copies(&of(&stretches.readable, WhereHeld::Here), &copies);
        let mut causes = self.inner.db.read(format_args!("camera {camera}: looking up its gaps"), |c| {
            gap_rows::within(&self.inner.db.damaged, c, camera, &range, MAX_STRETCHES + 1)
        })?;
        check_stretches(causes.len())?;
        let lost = stretches.unreadable.into_iter();
        causes.extend(lost.map(|(start, end)| Gap::new(start, end, GapCause::Lost)));
        let gaps = playback::gaps(&spans, &causes, &range, since, now);
        let events = self.index().events_in(camera, &range)?;
        Ok(Timeline { from: range.from, to: range.to, spans, gaps, events })
    }

    fn events(&self, filter: &EventFilter) -> Result<EventPage> {
        self.index().event_page(filter)
    }

    fn event(&self, id: EventId) -> Result<Event> {
        self.index().event_by_id(id)
    }

    fn set_pinned(&self, id: EventId, pinned: bool) -> Result<()> {
        self.index().pin(id, pinned)
    }

    fn thumbnail(&self, id: EventId) -> Result<Bytes> {
        self.still(id)
    }

    /// Errors like [`check_segments`].
    fn segments(&self, camera: &CameraId, range: TimeRange) -> Result<Vec<Segment>> {
        let found = self.recorded(camera, &range, MAX_SEGMENTS + 1)?;
        check_segments(found.len())?;
        Ok(found.into_iter().map(|r| r.segment).collect())
    }

    fn open_segment(&self, camera: &CameraId, id: SegmentId) -> Result<OpenSegment> {
        let (recorded, sha256) = self.recorded_by_id(camera, id)?;
        let s = &recorded.segment;
        let (content, size_bytes, modified): (Arc<dyn ReadAt>, _, _) = match &recorded.copy {
            Some(_) => (self.open_recorded(&recorded, AHEAD_BYTES)?, s.size_bytes, None),
            None => {
                let file = self.open_file(&recorded)?;
                let metadata = file.metadata().map_err(|e| unreadable(s, e))?;
                let modified = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
                (Arc::new(file), s.size_bytes.min(metadata.len()), modified)
            }
        };
        let etag = match sha256 {
            Some(hash) => hex(&hash[..hash.len().min(16)]),
            None => {
                format!("{id}-{}-{:x}", if s.state == SegmentState::Open { "open" } else { "sealed" }, s.size_bytes)
            }
        };
        Ok(OpenSegment {
            size_bytes,
            content,
            etag,
            modified: modified.map_or(s.end, |d| Timestamp(d.as_micros() as i64)),
        })
    }

    /// The files of the range one after the other on one time line; gaps between them are left out. Where their video is of more
    /// than one format (another resolution, say), each keyframe brings its own.
    fn export(&self, camera: &CameraId, range: TimeRange) -> Result<Export> {
        Ok(self.signed(export::begin(self, camera, range)?, camera, range))
    }

    fn copies(&self, camera: &CameraId, range: TimeRange, wanted: CopyWhat) -> Result<Vec<CopyHour>> {
        self.hours_of_copies(camera, &range, wanted)
    }

    fn replay(&self, camera: &CameraId, range: TimeRange) -> Result<Replay> {
        replay::begin(self, camera, range)
    }
}
