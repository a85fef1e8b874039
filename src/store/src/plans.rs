//! How SQLite finds what is asked for often: by an index, whatever has piled up over the years.

use crate::{
    archive, copied, copies, devices, disk, event_rows, forget, gap_rows, manifests, retention, schema, segments,
};
use perch_domain::retention::Worth;
use rusqlite::Connection;

fn plan(c: &Connection, sql: &str) -> Vec<String> {
    let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
    // What is not bound is null, which is as good for a plan.
    let rows = statement.raw_query().mapped(|r| r.get::<_, String>(3)).collect::<Result<_, _>>();
    rows.expect("a plan")
}

#[test]
fn hot_questions_are_answered_by_an_index() {
    let mut c = Connection::open_in_memory().expect("memory");
    schema::upgrade(&mut c).expect("all steps");
    let (recorded, token, in_range) = (segments::recorded_sql(), devices::token_sql(), event_rows::in_range_sql());
    let page = |camera, from| event_rows::page_sql(camera, from);
    let pages = [page(true, true), page(false, true), page(true, false), page(false, false)];
    let by_time = "segment_time (camera=? AND start>? AND start<?)";
    let before = "segment_time (camera=? AND start<?)";
    let of_copies = [copies::EVENTS_TO_COPY, copies::BACKGROUND_TO_COPY, copies::BEGUN];
    let to_copy = of_copies.map(|rest| format!("SELECT s.id {rest}"));
    let (copied, copied_times) = (copied::copied_sql(), copied::times_sql());
    let of_copies = "copy_time (camera=? AND start>? AND start<?)";
    let rows: [(&str, &str, &[&str]); 25] = [
        ("files of a timeline", archive::FILES, &[by_time]),
        ("since when", archive::SINCE, &["segment_time (camera=?)", "gap_retention (camera=?)"]),
        ("gaps of a timeline", gap_rows::WITHIN, &["gap_camera (camera=? AND end>?)"]),
        ("events of a timeline", &in_range, &["event_camera (camera=? AND id>? AND id<?)", "event_long (<expr>>?)"]),
        (
            "events of a camera since",
            &pages[0],
            &["event_camera (camera=? AND id>? AND id<?)", "event_long (<expr>>?)"],
        ),
        ("events since", &pages[1], &["PRIMARY KEY (rowid>? AND rowid<?)", "event_long (<expr>>?)"]),
        ("events of a camera", &pages[2], &["event_camera (camera=? AND id<?)"]),
        ("events", &pages[3], &["PRIMARY KEY (rowid<?)"]),
        ("recordings", &recorded, &[by_time]),
        ("copies that are played", &copied, &[of_copies]),
        ("copies of a timeline", &copied_times, &[of_copies]),
        ("bytes of a day", disk::SINCE_THEN, &["segment_usage (end<?)", "segment_usage (end>?)"]),
        ("the oldest background", retention::candidates_sql(Worth::Background, None), &["segment_background"]),
        ("the oldest event", retention::candidates_sql(Worth::Event, None), &["segment_events (in_cloud=? AND "]),
        (
            "the oldest copied background",
            retention::candidates_sql(Worth::Background, Some(true)),
            &["segment_copied_background (copied=? AND "],
        ),
        (
            "the oldest copied event",
            retention::candidates_sql(Worth::Event, Some(true)),
            &["segment_copied_events (copied=? AND "],
        ),
        ("events to copy", &to_copy[0], &["segment_copied_events (copied=? AND end<?)", "(target=? AND segment=?)"]),
        (
            "the rest to copy",
            &to_copy[1],
            &["segment_copied_background (copied=? AND end<?)", "(target=? AND segment=?)"],
        ),
        ("copies that were begun", &to_copy[2], &["copy_begun (target=?)"]),
        (
            "copies by the hour",
            copies::HOURS,
            &["copy_segment (segment=?", by_time, "copy_time (camera=? AND start>? AND start<?)"],
        ),
        ("what goes of a camera", forget::NEXT_OF_CAMERA, &[before]),
        ("events that go of a camera", forget::EVENTS_OF_CAMERA, &["event_camera (camera=? AND id<?)"]),
        ("a token", &token, &["(token=?)"]),
        ("what a manifest lists", manifests::BEGIN_WITHIN, &[by_time]),
        ("what is signed next", manifests::FIRST_FROM, &["segment_time (camera=? AND start>?)"]),
    ];
    for (what, sql, wanted) in rows {
        let plan = plan(&c, sql);
        for part in wanted {
            assert!(plan.iter().any(|step| step.contains(part)), "{what}: no {part} in {plan:#?}");
        }
        // Only what is asked for in the order of its index, up to a limit, may begin at the index's start.
        let walks = |step: &&String| {
            ["event", "segment", "gap", "device", "s ", "e ", "d ", "u "]
                .iter()
                .any(|t| step.starts_with(&format!("SCAN {t}")))
                && !step.contains("segment_background")
        };
        assert_eq!(plan.iter().find(walks), None, "{what}: {plan:#?}");
        // Sorted is what is few: long events, and the gaps of a range.
        let is_few = |step: &str| step.contains("event_long") || step.contains("gap_camera");
        let sorted = plan.windows(2).filter(|pair| pair[1] == "USE TEMP B-TREE FOR ORDER BY");
        assert!(sorted.into_iter().all(|pair| is_few(&pair[0])), "{what}: {plan:#?}");
    }
    assert_eq!(plan(&c, disk::BYTES), ["SCAN usage"], "one row");
}
