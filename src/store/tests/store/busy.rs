//! Another program holds the database: recording goes on as if nothing were, and the rows follow.

use crate::common::*;
use perch_base::ErrorKind;
use perch_base::ids::CameraId;
use perch_base::time::MonoTime;
use perch_domain::access::CameraGrant;
use perch_domain::archive::{EventFilter, GapCause, Segment, SegmentState};
use perch_domain::motion::Cause;
use perch_domain::ports::ArchivePort;
use perch_store::{NewEvent, Store};
use std::time::{Duration, Instant};

/// A transaction of another program that nobody else can write beside.
struct Holder(rusqlite::Connection);

impl Holder {
    fn new(b: &TestStore) -> Self {
        let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
        c.execute_batch("BEGIN EXCLUSIVE; INSERT INTO meta (key, value) VALUES ('held', 'by another')").expect("held");
        Self(c)
    }

    fn let_go(self) {
        self.0.execute_batch("ROLLBACK").expect("let go");
    }
}

fn all(store: &Store) -> Vec<Segment> {
    store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked")
}

/// Start, end, bytes and event: what must be the same before and after.
fn shape(all: &[Segment]) -> Vec<(f64, f64, u64, bool)> {
    let seconds = |t: perch_base::time::Timestamp| t.micros_since(s(0.0)) as f64 / 1e6;
    all.iter().map(|x| (seconds(x.start), seconds(x.end), x.size_bytes, x.event.is_some())).collect()
}

#[test]
fn files_go_on_and_rows_follow_in_order() {
    let b = TestStore::new();
    let store = b.open();
    let event = store.index().begin_event(&event(5.0)).expect("started").id;
    record(&store, 0..2, None);
    let mut open = store.recordings().create_segment(&camera(), s(2.0), None, &format(clip())).expect("created");
    open.write_fragment(MonoTime(2_000_000), &gop(clip(), 2, MonoTime(0))).expect("written");

    let holder = Holder::new(&b);
    let begin = Instant::now();
    open.write_fragment(MonoTime(2_000_000), &gop(clip(), 3, MonoTime(0))).expect("written");
    open.write_fragment(MonoTime(2_000_000), &gop(clip(), 4, MonoTime(0))).expect("written");
    let before = open.seal().expect("sealed");
    assert_eq!((before.state, before.fragments.len()), (SegmentState::Sealed, 3));
    // An event: its file begins with what the one before ends with, which is cut.
    record(&store, 4..7, Some(event));
    store.recordings().trim_before(&camera(), s(4.0)).expect("cut");
    let after = record(&store, 7..8, None);
    store.recordings().claim_segments(&[after.id], event).expect("claimed");
    let empty = store.recordings().create_segment(&camera(), s(8.0), None, &format(clip())).expect("created");
    assert_eq!(empty.seal().expect("removed").size_bytes, 0);
    store.recordings().note_gap(&camera(), s(8.0), s(9.0), GapCause::CameraUnavailable).expect("noted");
    store.recordings().note_gap(&camera(), s(8.0), s(10.0), GapCause::CameraUnavailable).expect("noted");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}: nobody waits for the database", begin.elapsed());

    let meanwhile = all(&store);
    let want = [(0.0, 2.0, true), (2.0, 4.0, true), (4.0, 7.0, true), (7.0, 8.0, true)];
    let times = |found: &[Segment]| shape(found).iter().map(|x| (x.0, x.1, x.2 > 0)).collect::<Vec<_>>();
    assert_eq!(times(&meanwhile), want, "all of it can be looked at");
    assert!(
        store.recordings().keyframe_at(&camera(), s(6.5)).is_ok()
            && store.recordings().open_segment(&camera(), after.id).is_ok()
    );
    let export = store.recordings().export(&camera(), range(0.0, 99.0)).expect("recorded");
    let bytes: Vec<u8> = export.chunks.flat_map(|c| c.expect("a chunk")).collect();
    let exported = b.dir.path().join("export.mp4");
    std::fs::write(&exported, bytes).expect("written");
    assert_eq!(probe(&exported).video, 8 * FPS as u64);

    holder.let_go();
    store.recordings().enforce_retention(false).expect("enforced");
    assert_eq!(shape(&all(&store)), shape(&meanwhile));
    let beside = Store::open_for_cli(b.config(), b.clock.clone()).expect("opens");
    let rows = all(&beside);
    assert_eq!(shape(&rows), shape(&meanwhile), "the rows say the same");
    assert!(rows.iter().all(|x| x.state == SegmentState::Sealed));
    assert_eq!(rows.iter().map(|x| x.event).collect::<Vec<_>>(), [None, None, Some(event), Some(event)]);
    let line = beside.recordings().timeline(&camera(), range(0.0, 12.0), s(900.0)).expect("timeline");
    assert!(line.gaps.iter().any(|g| (g.start, g.end, g.cause) == (s(8.0), s(10.0), GapCause::CameraUnavailable)));
    drop((beside, store));
    assert_eq!(b.open().recordings().open_report(), Default::default(), "nothing is left to repair");
}

#[test]
fn a_crash_in_between_loses_no_picture() {
    let b = TestStore::new();
    let store = b.open();
    let event = store.index().begin_event(&event(5.0)).expect("started").id;
    record(&store, 0..2, None);
    let holder = Holder::new(&b);
    record(&store, 2..5, None);
    record(&store, 5..7, Some(event));
    let mut open = store.recordings().create_segment(&camera(), s(7.0), None, &format(clip())).expect("created");
    open.write_fragment(MonoTime(7_000_000), &gop(clip(), 7, MonoTime(0))).expect("written");
    drop(open);
    let before: Vec<_> = shape(&all(&store)).iter().map(|x| (x.0, x.1, x.2)).collect();
    drop(store);
    holder.let_go();
    let store = b.open();
    assert_eq!(store.recordings().open_report().adopted, 3);
    let after: Vec<_> = shape(&all(&store)).iter().map(|x| (x.0, x.1, x.2)).collect();
    assert_eq!(after, before, "times to the microsecond, from the files themselves");
}

#[test]
fn an_event_that_is_entered_late_still_gets_its_files() {
    let b = TestStore::new();
    let store = b.open();
    let holder = Holder::new(&b);
    let id = perch_base::ids::EventId(s(5.0).as_micros());
    let mut w = store.recordings().create_segment(&camera(), s(4.0), Some(id), &format(clip())).expect("created");
    w.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    holder.let_go();
    store.recordings().enforce_retention(false).expect("the row follows");
    assert_eq!(store.index().begin_event(&event(5.0)).expect("entered late").id, id);
    w.seal().expect("sealed");
    let beside = Store::open_for_cli(b.config(), b.clock.clone()).expect("opens");
    assert_eq!(all(&beside)[0].event, Some(id));
}

#[test]
fn a_file_that_is_begun_before_its_event_is_entered_has_it_at_once() {
    let b = TestStore::new();
    let store = b.open();
    let promised = store.index().promise_event(event(1.0));
    let other = store.index().promise_event(event(1.0));
    assert_ne!(promised.id, other.id, "two cameras, one moment");
    let mut file =
        store.recordings().create_segment(&camera(), s(0.0), Some(other.id), &format(clip())).expect("created");
    file.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    // As after a power cut now.
    assert_eq!(all(&store).iter().map(|f| f.event).collect::<Vec<_>>(), [Some(other.id)]);
    drop(file);
    assert_eq!(store.index().begin_event(&promised).expect("entered").id, promised.id, "it keeps what it was promised");
}

#[test]
fn events_follow_as_well_and_keep_their_files() {
    let b = TestStore::new();
    let store = b.open();
    // The clock was set back to the moment at which another camera's event began.
    let other = NewEvent { camera: CameraId::new("back").expect("valid"), ..event(5.0) };
    let earlier = store.index().begin_event(&other).expect("started").id;
    let holder = Holder::new(&b);
    let begin = Instant::now();
    let started = store.index().begin_event(&event(5.0)).expect("started").id;
    assert_ne!(started, earlier, "an id of its own");
    record(&store, 5..7, Some(started));
    store.index().update_event(started, 0.9, Cause::Motion, &[]).expect("grown");
    store.recordings().put_still(started, b"\xff\xd8", &[]).expect("kept");
    store.index().end_event(started, s(9.0)).expect("ended");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}: nobody waits for the database", begin.elapsed());
    let known = store.recordings().event(started).expect("known meanwhile");
    assert_eq!((known.end, known.score), (Some(s(9.0)), 0.9));
    holder.let_go();
    store.recordings().enforce_retention(false).expect("enforced");
    let beside = Store::open_for_cli(b.config(), b.clock.clone()).expect("opens");
    let kept = beside.recordings().event(started).expect("entered");
    assert_eq!((kept.end, kept.score, kept.has_thumbnail), (Some(s(9.0)), 0.9, true));
    assert_eq!(all(&beside)[0].event, Some(started));
    assert!(beside.recordings().thumbnail(started).is_ok());
}

#[test]
fn events_that_wait_are_listed_with_those_that_do_not() {
    let b = TestStore::new();
    let store = b.open();
    let (index, back) = (store.index(), CameraId::new("back").expect("valid"));
    let begin = |at: f64, camera: CameraId| {
        let promised = index.promise_event(NewEvent { camera, ..event(at) });
        index.begin_event(&promised).expect("started").id
    };
    let ended = begin(1.0, camera());
    index.end_event(ended, s(2.0)).expect("ended");
    let running = begin(3.0, camera());
    let holder = Holder::new(&b);
    // One that is in the index goes on, and three begin.
    index.end_event(running, s(6.0)).expect("ended");
    let other = begin(4.0, back.clone());
    let newer = begin(5.0, camera());
    index.update_event(newer, 0.9, Cause::Motion, &[]).expect("grown");
    store.recordings().put_still(newer, b"\xff\xd8", &[]).expect("kept");
    let promised = index.promise_event(event(7.0)).id;

    let all = || EventFilter { limit: 10, ..EventFilter::default() };
    let ids = |filter: &EventFilter| {
        let page = store.recordings().events(filter).expect("listed");
        (page.events.iter().map(|e| e.id).collect::<Vec<_>>(), page.next_cursor)
    };
    let ask = || {
        let mut out = vec![];
        let filters = [
            (all(), vec![promised, newer, other, running, ended]),
            (EventFilter { camera: Some(back.clone()), ..all() }, vec![other]),
            (EventFilter { cameras: CameraGrant::Only([back.clone()].into()), ..all() }, vec![other]),
            (EventFilter { camera: Some(camera()), to: Some(s(4.0)), ..all() }, vec![running, ended]),
            // Its row alone would still run.
            (EventFilter { from: Some(s(6.0)), ..all() }, vec![promised, newer, other]),
            (EventFilter { before: Some(newer), ..all() }, vec![other, running, ended]),
        ];
        for (filter, want) in filters {
            assert_eq!(ids(&filter), (want, None), "{filter:?}");
        }
        // Page by page, each once.
        let (mut before, mut pages) = (None, vec![]);
        loop {
            let (page, next) = ids(&EventFilter { before, limit: 2, ..all() });
            pages.extend(page);
            before = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(pages, [promised, newer, other, running, ended]);
        let page = store.recordings().events(&all()).expect("listed");
        out.extend(page.events);
        let line = store.recordings().timeline(&camera(), range(2.5, 9.0), s(900.0)).expect("timeline");
        assert_eq!(line.events.iter().map(|e| e.id).collect::<Vec<_>>(), [running, newer, promised]);
        out.extend(line.events);
        assert_eq!(index.last_event_at(&camera()).expect("asked"), Some(s(7.0)));
        out
    };
    let meanwhile = ask();
    assert_eq!((meanwhile[1].score, meanwhile[1].has_thumbnail, meanwhile[3].end), (0.9, true, Some(s(6.0))));
    holder.let_go();
    store.recordings().set_pinned(newer, true).expect("what waits is entered for it");
    let entered = ask();
    assert!(entered[1].pinned, "{:?}", entered[1]);
    store.recordings().set_pinned(newer, false).expect("there");
    store.recordings().enforce_retention(false).expect("enforced");
    assert_eq!(ask(), meanwhile, "the rows say the same");
}

#[test]
fn what_waits_is_bounded() {
    let b = TestStore::new();
    let store = b.open();
    let holder = Holder::new(&b);
    let mut refused = None;
    for n in 0..5_000 {
        let at = |n: i64| s(0.0).plus_micros(n * 10_000_000);
        if let Err(e) = store.recordings().note_gap(&camera(), at(n), at(n).plus_micros(1_000_000), GapCause::NoMotion)
        {
            refused = Some((n, e));
            break;
        }
    }
    let (n, e) = refused.expect("not without end");
    assert!(n >= 4_000 && e.kind() == ErrorKind::Unavailable && e.message().contains("busy"), "{n}: {e}");
    holder.let_go();
    store.recordings().enforce_retention(false).expect("enforced");
    store.recordings().note_gap(&camera(), s(0.0), s(1.0), GapCause::DiskError).expect("there is room again");
}

#[test]
fn a_file_without_motion_goes_later_and_nobody_waits_for_that() {
    let b = TestStore::new();
    let store = b.open();
    let files: Vec<_> = (0..3).map(|n| record(&store, n..n + 1, None).id).collect();
    let holder = Holder::new(&b);
    let unwritten = record(&store, 3..4, None).id;
    let begin = Instant::now();
    store.recordings().discard_segments(&files[1..]).expect("later");
    store.recordings().discard_segments(&[unwritten]).expect("later");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}: nobody waits for the database", begin.elapsed());
    assert_eq!(b.files().len(), 4);
    holder.let_go();
    store.recordings().enforce_retention(false).expect("enforced");
    assert_eq!(all(&store).iter().map(|x| x.id).collect::<Vec<_>>(), files[..1]);
    assert_eq!(b.files().len(), 1);
    let line = store.recordings().timeline(&camera(), range(0.0, 12.0), s(900.0)).expect("timeline");
    assert!(!line.gaps.iter().any(|g| g.cause == GapCause::Retention), "the recorder says why: {:?}", line.gaps);
}

#[test]
fn what_was_recorded_is_sealed_however_much_waits() {
    let b = TestStore::new();
    let store = b.open();
    let mut open = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    open.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    let holder = Holder::new(&b);
    let at = |n: i64| s(10.0).plus_micros(n * 10_000_000);
    let note = |n: i64| store.recordings().note_gap(&camera(), at(n), at(n).plus_micros(1_000_000), GapCause::NoMotion);
    assert!((0..5_000).any(|n| note(n).is_err()), "full");
    for _ in 0..3 {
        let refused = store.recordings().create_segment(&camera(), s(5.0), None, &format(clip()));
        assert_eq!(refused.err().expect("refused").kind(), ErrorKind::Unavailable);
    }
    let sealed = open.seal().expect("sealed all the same");
    holder.let_go();
    store.recordings().enforce_retention(false).expect("enforced");
    let beside = Store::open_for_cli(b.config(), b.clock.clone()).expect("opens");
    let rows = all(&beside);
    assert_eq!(rows.iter().map(|x| (x.id, x.state)).collect::<Vec<_>>(), [(sealed.id, SegmentState::Sealed)]);
}
