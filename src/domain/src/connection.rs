//! What one connection to a server of the box is doing, and when it has to end: idle, stuck, or with a head that does not come.
//! Who has to give way to others is decided in [`crate::admission`].

use perch_base::time::MonoTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a TLS handshake may take.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may take over what. A stranger is one that showed no valid credential.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The head of a request from its first byte on, and the first request of a connection.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// The same for a stranger.
    pub stranger_idle: Duration,
    /// Without progress while a request is being answered: the client neither sends nor reads.
    pub stuck: Duration,
    /// The same for a stranger.
    pub stranger_stuck: Duration,
    /// From being asked to end until it is cut.
    pub farewell: Duration,
}

impl Times {
    /// Of the HTTPS server.
    pub const HTTPS: Self = Self {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        stranger_idle: Duration::from_secs(10),
        stuck: Duration::from_secs(120),
        stranger_stuck: Duration::from_secs(60),
        farewell: Duration::from_secs(2),
    };

    /// The longest that a connection stays on which nothing happens.
    pub fn longest(&self) -> Duration {
        let idle = [self.head, self.idle, self.stranger_idle].into_iter().max().unwrap_or_default();
        (idle + self.farewell).max(self.stuck).max(self.stranger_stuck)
    }
}

/// What is done with a connection that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionVerdict {
    /// It stays.
    Stays,
    /// It is idle: it is asked to end. Said once.
    Ends,
    /// It was asked to end and has had its time.
    Over,
    /// It makes no progress: it is cut.
    Stuck,
}

/// A request of one connection, by the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(u64);

/// The machine: what came over one connection, and what is being answered on it.
#[derive(Clone, Debug)]
pub struct Activity {
    times: Times,
    /// The last sign of life.
    last: MonoTime,
    /// Since when the head of a request has been arriving.
    head_since: Option<MonoTime>,
    /// Those that are being answered, and whether their bodies were read.
    running: BTreeMap<RequestId, bool>,
    /// How many came.
    asked: u64,
    ending_since: Option<MonoTime>,
}

impl Activity {
    /// A connection that was accepted now.
    pub fn new(times: Times, now: MonoTime) -> Self {
        Self { times, last: now, head_since: None, running: BTreeMap::new(), asked: 0, ending_since: None }
    }

    /// Bytes came: of a head, unless a request is being answered. Only for protocols in which one request follows another.
    pub fn hears(&mut self, now: MonoTime) {
        if self.running.is_empty() {
            self.head_since.get_or_insert(now);
        }
    }

    /// A request starts: its head is there.
    pub fn starts(&mut self, now: MonoTime) -> RequestId {
        self.asked += 1;
        let request = RequestId(self.asked);
        self.running.insert(request, false);
        self.head_since = None;
        self.last = now;
        request
    }

    /// The body of a request was read to its end. Whether that is new.
    pub fn is_read(&mut self, request: RequestId) -> bool {
        self.running.get_mut(&request).is_some_and(|was_read| !std::mem::replace(was_read, true))
    }

    /// A request goes on: some of its body was read, or some of its answer written.
    pub fn progresses(&mut self, now: MonoTime) {
        self.last = now;
    }

    /// A request was answered to its end, or given up. Whether its body was read.
    pub fn ends(&mut self, request: RequestId, now: MonoTime) -> bool {
        self.last = now;
        self.running.remove(&request).unwrap_or_default()
    }

    /// What becomes of the connection, looked at each second or so.
    pub fn look(&mut self, is_stranger: bool, now: MonoTime) -> ConnectionVerdict {
        let Times { head, idle, stranger_idle, stuck, stranger_stuck, farewell } = self.times;
        let (idle, stuck) = if is_stranger { (stranger_idle, stranger_stuck) } else { (idle, stuck) };
        let quiet = now.since(self.last);
        if !self.running.is_empty() {
            return if quiet > stuck { ConnectionVerdict::Stuck } else { ConnectionVerdict::Stays };
        }
        if self.head_since.is_some_and(|since| now.since(since) > head) {
            return ConnectionVerdict::Stuck;
        }
        match self.ending_since {
            Some(since) if now.since(since) > farewell => ConnectionVerdict::Over,
            Some(_) => ConnectionVerdict::Stays,
            None if quiet > if self.asked > 0 { idle } else { head } => {
                self.ending_since = Some(now);
                ConnectionVerdict::Ends
            }
            None => ConnectionVerdict::Stays,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const TIMES: Times = Times {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        stranger_idle: Duration::from_secs(12),
        stuck: Duration::from_secs(120),
        stranger_stuck: Duration::from_secs(50),
        farewell: Duration::from_secs(2),
    };

    fn s(seconds: i64) -> MonoTime {
        MonoTime(seconds * 1_000_000)
    }

    #[derive(Clone, Copy, Debug)]
    enum Does {
        Hears,
        Starts,
        Progresses,
        Ends,
    }
    use Does::*;

    /// `open` are the requests that were not answered yet; the oldest ends first.
    fn obey(activity: &mut Activity, open: &mut VecDeque<RequestId>, does: Does, now: MonoTime) {
        match does {
            Hears => activity.hears(now),
            Starts => open.push_back(activity.starts(now)),
            Progresses => activity.progresses(now),
            Ends => _ = activity.ends(open.pop_front().unwrap_or(RequestId(0)), now),
        }
    }

    /// What happened at which second; then the first look that is not "stays", for a known one and for a stranger.
    type Row = (&'static str, &'static [(i64, Does)], (i64, ConnectionVerdict), (i64, ConnectionVerdict));

    #[test]
    fn when_a_connection_ends() {
        use ConnectionVerdict::{Ends as Asked, Stuck};
        let rows: &[Row] = &[
            ("it never says anything", &[], (11, Asked), (11, Asked)),
            ("a head that does not come to its end", &[(5, Hears), (9, Hears)], (11, Asked), (11, Asked)),
            ("a head on a used one", &[(0, Starts), (1, Ends), (8, Hears), (12, Hears)], (19, Stuck), (14, Asked)),
            ("idle after an answer", &[(0, Hears), (1, Starts), (4, Ends)], (65, Asked), (17, Asked)),
            ("a body that does not come", &[(0, Hears), (1, Starts), (2, Hears)], (122, Stuck), (52, Stuck)),
            ("an answer that nobody reads", &[(1, Starts), (40, Progresses)], (161, Stuck), (91, Stuck)),
            ("one of two is answered", &[(1, Starts), (2, Starts), (3, Ends)], (124, Stuck), (54, Stuck)),
            ("an end too many", &[(1, Ends), (2, Starts), (3, Ends), (4, Ends)], (65, Asked), (17, Asked)),
        ];
        for (what, story, known, stranger) in rows {
            for (is_stranger, want) in [(false, known), (true, stranger)] {
                let (mut activity, mut open) = (Activity::new(TIMES, s(0)), VecDeque::new());
                let found = (0..300).find_map(|second| {
                    let now = story.iter().filter(|(at, _)| *at == second);
                    now.for_each(|(at, does)| obey(&mut activity, &mut open, *does, s(*at)));
                    Some((second, activity.look(is_stranger, s(second))))
                        .filter(|(_, v)| *v != ConnectionVerdict::Stays)
                });
                assert_eq!(found, Some(*want), "{what}, stranger: {is_stranger}");
                if want.1 == Asked {
                    assert_eq!(
                        activity.look(is_stranger, s(want.0 + 2)),
                        ConnectionVerdict::Stays,
                        "{what}: it has its time"
                    );
                    assert_eq!(activity.look(is_stranger, s(want.0 + 3)), ConnectionVerdict::Over, "{what}");
                }
            }
        }
    }

    #[test]
    fn a_page_that_renews_its_lease_keeps_its_connection_and_a_stranger_has_less() {
        let times = Times::HTTPS;
        // Each third of a lease: its connection is not idle meanwhile, even where one renewal is late.
        assert!(times.idle >= 2 * (crate::lease::LEASE / 3));
        assert!(times.stranger_idle <= times.idle && times.stranger_stuck <= times.stuck && times.head <= times.idle);
    }

    #[test]
    fn a_request_that_came_before_the_farewell_is_answered() {
        let mut activity = Activity::new(TIMES, s(0));
        assert_eq!(activity.look(true, s(11)), ConnectionVerdict::Ends);
        let request = activity.starts(s(12));
        assert_eq!(activity.look(true, s(30)), ConnectionVerdict::Stays);
        activity.ends(request, s(31));
        assert_eq!(activity.look(true, s(32)), ConnectionVerdict::Over);
    }

    #[test]
    fn each_body_is_read_once_and_its_end_tells() {
        let mut activity = Activity::new(TIMES, s(0));
        let (read, given_up) = (activity.starts(s(1)), activity.starts(s(1)));
        assert!(activity.is_read(read) && !activity.is_read(read), "new once");
        assert!(activity.ends(read, s(2)) && !activity.ends(given_up, s(2)));
        assert!(!activity.is_read(given_up) && !activity.ends(read, s(3)), "what ended is forgotten");
    }

    proptest! {
        /// Whatever came: a request that goes on is never cut, and what stands still ends in time.
        #[test]
        fn progress_is_safe_and_silence_ends(
            story in prop::collection::vec((0..4u8, 0..9_000i64), 0..60),
            is_stranger in any::<bool>(),
        ) {
            let (mut activity, mut open) = (Activity::new(TIMES, s(0)), VecDeque::new());
            let mut now = s(0);
            for (does, wait_ms) in story {
                now = now + Duration::from_millis(wait_ms as u64);
                let does = [Hears, Starts, Progresses, Ends][usize::from(does)];
                obey(&mut activity, &mut open, does, now);
                if !open.is_empty() && !matches!(does, Hears) {
                    prop_assert_eq!(activity.look(is_stranger, now), ConnectionVerdict::Stays);
                }
            }
            // A look comes up to a second late, and the farewell starts with one.
            let end = now + TIMES.longest() + Duration::from_secs(3);
            let mut last = ConnectionVerdict::Stays;
            while now < end && !matches!(last, ConnectionVerdict::Stuck | ConnectionVerdict::Over) {
                now = now + Duration::from_secs(1);
                last = activity.look(is_stranger, now);
            }
            prop_assert!(matches!(last, ConnectionVerdict::Stuck | ConnectionVerdict::Over), "{:?}", activity);
        }
    }
}
