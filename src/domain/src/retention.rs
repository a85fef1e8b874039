//! Which recordings go when space, or their time, runs out. Pure: an inventory and a policy in, a plan out.

use perch_base::ids::SegmentId;
use perch_base::time::Timestamp;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Recordings may take this many bytes; 0 is no limit.
    pub max_bytes: u64,
    /// The disk must keep this many bytes free.
    pub min_free_bytes: u64,
    /// Background older than this goes; 0 keeps it until space runs out.
    pub max_days: u32,
    /// Events older than this go; 0 keeps them until space runs out.
    pub event_max_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { max_bytes: 0, min_free_bytes: 1 << 30, max_days: 30, event_max_days: 90 }
    }
}

/// How dear a recording is; the cheapest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Not part of an event.
    Background,
    /// Part of an event that is also in the cloud.
    EventInCloud,
    /// Part of an event.
    Event,
}

/// One sealed, unpinned recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its row.
    pub id: SegmentId,
    /// When it ends.
    pub end: Timestamp,
    /// Bytes.
    pub size: u64,
    /// How dear it is.
    pub worth: Worth,
}

/// What is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all recordings, pinned and open ones too.
    pub recordings_bytes: u64,
    /// Free bytes of the disk.
    pub free_bytes: u64,
}

/// Chooses what to delete: first what is too old, then, while space is short, background before events in the cloud before
/// events, the oldest first.
pub fn plan_retention(
    config: &RetentionConfig,
    usage: Usage,
    candidates: &[Candidate],
    now: Timestamp,
) -> Vec<SegmentId> {
    let mut plan = Vec::new();
    let mut freed = 0u64;
    let mut rest = Vec::new();
    for c in candidates {
        let days = match c.worth {
            Worth::Background => config.max_days,
            Worth::EventInCloud | Worth::Event => config.event_max_days,
        };
        if days > 0 && now.micros_since(c.end) > i64::from(days) * 86_400_000_000 {
            freed += c.size;
            plan.push(c.id);
        } else {
            rest.push(c);
        }
    }
    rest.sort_by_key(|c| (c.worth, c.end, c.id));
    let over = match config.max_bytes {
        0 => 0,
        max => usage.recordings_bytes.saturating_sub(max),
    };
    let short = config.min_free_bytes.saturating_sub(usage.free_bytes);
    let need = over.max(short);
    for c in rest {
        if freed >= need {
            break;
        }
        freed += c.size;
        plan.push(c.id);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000_000;

    fn candidate(id: i64, age_days: i64, worth: Worth) -> Candidate {
        Candidate { id: SegmentId(id), end: Timestamp(1000 * DAY - age_days * DAY), size: 100, worth }
    }

    fn plan(config: RetentionConfig, recordings_bytes: u64, free_bytes: u64, c: &[Candidate]) -> Vec<i64> {
        let usage = Usage { recordings_bytes, free_bytes };
        plan_retention(&config, usage, c, Timestamp(1000 * DAY)).into_iter().map(|s| s.0).collect()
    }

    const NONE: RetentionConfig = RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 0, event_max_days: 0 };

    #[test]
    fn cheapest_and_oldest_first() {
        let c = [
            candidate(1, 9, Worth::Event),
            candidate(2, 8, Worth::EventInCloud),
            candidate(3, 1, Worth::Background),
            candidate(4, 2, Worth::Background),
        ];
        let over = |bytes: u64| RetentionConfig { max_bytes: 400 - bytes, ..NONE };
        assert_eq!(plan(NONE, 400, 0, &c), []);
        assert_eq!(plan(over(1), 400, 0, &c), [4]);
        assert_eq!(plan(over(200), 400, 0, &c), [4, 3]);
        assert_eq!(plan(over(201), 400, 0, &c), [4, 3, 2]);
        assert_eq!(plan(RetentionConfig { min_free_bytes: 350, ..NONE }, 400, 0, &c), [4, 3, 2, 1]);
    }

    #[test]
    fn days_differ_for_events() {
        let c = [candidate(1, 10, Worth::Background), candidate(2, 10, Worth::Event), candidate(3, 40, Worth::Event)];
        let config = RetentionConfig { max_days: 7, event_max_days: 30, ..NONE };
        assert_eq!(plan(config, 300, 0, &c), [1, 3]);
    }

    proptest! {
        #[test]
        fn frees_enough_or_everything_and_never_more_than_one_too_many(
            sizes in proptest::collection::vec(1u64..1000, 0..50), need in 0u64..20_000)
        {
            let c: Vec<_> = sizes.iter().enumerate()
                .map(|(i, s)| Candidate { size: *s, ..candidate(i as i64 + 1, i as i64, Worth::Background) }).collect();
            let total: u64 = sizes.iter().sum();
            let ids = plan(RetentionConfig { min_free_bytes: need, ..NONE }, total, 0, &c);
            let freed: u64 = ids.iter().map(|id| c[*id as usize - 1].size).sum();
            prop_assert!(freed >= need.min(total));
            if let Some(last) = ids.last() {
                prop_assert!(freed - c[*last as usize - 1].size < need);
            }
        }
    }
}
