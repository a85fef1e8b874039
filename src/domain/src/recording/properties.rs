//! What must hold whatever happens in whatever order.

use super::model::{World, config};
use super::*;
use crate::archive::GapCause;
use crate::playback::JOIN_US;
use perch_base::time::MonoTime;
use proptest::prelude::*;
use std::time::Duration;

/// One thing that happens; each takes a second or less.
fn happen(w: &mut World, what: u8, sets_clock: bool) {
    match what {
        0..18 => w.gop(1_000, true),
        18..29 => w.part(1_000, true, false),
        29..30 => w.part_bytes = if w.part_bytes == 1 { 30 << 20 } else { 1 },
        30..34 => w.gop(400, true),
        34..36 => w.gop(700, false),
        36..38 => w.pass(900),
        38..41 => w.silence(4_000),
        41..43 => w.unusable(3_000),
        43..46 => w.disk.fault = Some(GapCause::DiskFull),
        46..54 => w.disk.fault = None,
        54..55 => w.feed(Input::CutOff),
        55..56 => w.format.picture ^= 1,
        56..57 => w.format.sound ^= true,
        57..63 => {
            if w.event.is_none() {
                w.start_event();
            }
        }
        63..72 => w.continue_event(),
        72..75 => w.end_event(w.now.mono + Duration::from_secs(2)),
        75..77 => w.end_event(MonoTime(w.now.mono.0 - 1_500_000)),
        77..81 => w.next_chapter(),
        _ if sets_clock => w.now.utc.0 += (i64::from(what) - 90) * 3_000_000,
        _ => w.gop(1_000, true),
    }
}

fn mode() -> impl Strategy<Value = RecordMode> {
    prop_oneof![Just(RecordMode::Continuous), Just(RecordMode::Motion), Just(RecordMode::Off)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Every moment from the first input to the last is in a file or in a gap that was entered, and no two files hold the same.
    #[test]
    fn nothing_is_left_unexplained_and_nothing_twice(mode in mode(), script in proptest::collection::vec(0u8..100, 1..150)) {
        let mut w = World::new(config(mode));
        for what in script {
            happen(&mut w, what, false);
        }
        w.feed(Input::Stop);
        let mut spans: Vec<(i64, i64)> = w.disk.files.iter().flat_map(|f| f.gops.clone()).collect();
        spans.sort_unstable();
        if !w.disk.is_untrimmed {
            for pair in spans.windows(2) {
                prop_assert!(pair[0].1 <= pair[1].0, "{:?} overlap: {:?}", pair, w.disk);
            }
        }
        spans.extend(w.disk.gaps.iter().map(|g| (g.0, g.1)));
        spans.sort_unstable();
        let mut covered = 0;
        for (start, end) in spans {
            prop_assert!((start - covered) * 1_000 <= JOIN_US, "nothing from {covered} to {start}: {:?}", w.disk);
            covered = covered.max(end);
        }
        // Whether a camera is silent is not known before.
        let rest = Duration::from_millis((w.now.mono.0 / 1_000 - covered).max(0) as u64);
        prop_assert!(rest <= SILENT_AFTER, "nothing from {covered} on: {:?}", w.disk);
    }

    /// A paused recorder opens and writes nothing but its tries, five seconds apart, and one file is open at a time, whatever the
    /// clock does: the model looks at each step.
    #[test]
    fn nothing_is_written_while_paused(mode in mode(), script in proptest::collection::vec(0u8..100, 1..150)) {
        let mut w = World::new(config(mode));
        for what in script {
            happen(&mut w, what, true);
        }
        w.feed(Input::Stop);
    }
}
