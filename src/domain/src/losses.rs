//! Which share of a network camera's pictures is lost on the way. Pure: capture counts, and looks once a second.

use crate::ingest::Transport;
use perch_base::time::MonoTime;
use std::time::Duration;

/// So long is looked back on.
const WINDOW: Duration = Duration::from_secs(60);
/// People should know when this share is lost, and it is over when less than that one is.
const MANY: f64 = 0.03;
const FEW: f64 = 0.01;
/// A decoder makes do with what it has as long as no more than this is missing, whatever the camera's pace.
const CONCEALED: Duration = Duration::from_secs(2);
/// And at a slow camera, so many pictures.
const CONCEALED_PICTURES: u32 = 4;
/// More at once is no loss but a pause.
const MOST_AT_ONCE: f64 = 10_000.0;

/// Pictures of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Those that came.
    pub came: u64,
    /// Those that did not, by the time that they left open.
    pub lost: u64,
}

/// Counts them.
#[derive(Clone, Debug, Default)]
pub struct PictureCount {
    last: Option<MonoTime>,
    /// Between the last two that nothing was lost between.
    step: Option<Duration>,
    pictures: Pictures,
}

impl PictureCount {
    /// One came that is decoded at `decoded`. Returns whether so much was lost before it that it is a hole.
    pub fn picture(&mut self, decoded: MonoTime, lost_before: bool) -> bool {
        self.pictures.came += 1;
        let Some(since) = self.last.replace(decoded).map(|last| decoded.since(last)) else { return false };
        if !lost_before {
            self.step = Some(since);
            return false;
        }
        let step = self.step_within(since);
        let missing = (since.as_secs_f64() / step.as_secs_f64()).round() - 1.0;
        self.pictures.lost += missing.clamp(1.0, MOST_AT_ONCE) as u64;
        self.is_hole(since)
    }

    /// One came from another source, or its time jumped: how many are missing before it cannot be told, if any are. Returns whether it is a
    /// hole.
    pub fn anew(&mut self, decoded: MonoTime) -> bool {
        self.pictures.came += 1;
        self.last.replace(decoded).is_some_and(|last| self.is_hole(decoded.since(last)))
    }

    fn step_within(&self, since: Duration) -> Duration {
        self.step.unwrap_or(since / 2).max(Duration::from_millis(1))
    }

    fn is_hole(&self, since: Duration) -> bool {
        since > CONCEALED.max(self.step_within(since) * CONCEALED_PICTURES)
    }

    /// What was counted.
    pub fn pictures(&self) -> Pictures {
        self.pictures
    }
}

/// Looks at what was lost in a session, minute by minute.
#[derive(Clone, Debug)]
pub struct LossWatch {
    from: (MonoTime, Pictures),
    /// What was said last; 0 for no more than is usual.
    said_percent: Option<u32>,
}

impl LossWatch {
    /// Of a session that begins at `now`.
    pub fn new(now: MonoTime) -> Self {
        Self { from: (now, Pictures::default()), said_percent: None }
    }

    /// The share that was lost, percent, after each minute where that is news; 0 where it is too little to speak of.
    pub fn look(&mut self, now: MonoTime, so_far: Pictures) -> Option<u32> {
        let (since, before) = self.from;
        if now.since(since) < WINDOW {
            return None;
        }
        self.from = (now, so_far);
        let (came, lost) = (so_far.came.saturating_sub(before.came), so_far.lost.saturating_sub(before.lost));
        if came == 0 {
            // That no picture comes is said elsewhere.
            return None;
        }
        let share = lost as f64 / came.saturating_add(lost) as f64;
        let was_said = self.said_percent.is_some_and(|percent| percent > 0);
        let is_many = share >= MANY || (was_said && share >= FEW);
        let percent = if is_many { ((share * 100.0).round() as u32).max(1) } else { 0 };
        let is_news = self.said_percent.is_none_or(|said| {
            (said == 0) != (percent == 0) || percent > said.saturating_mul(2) || percent.saturating_mul(2) < said
        });
        is_news.then(|| {
            self.said_percent = Some(percent);
            percent
        })
    }
}

/// That so much is lost, with what to do, where packets travel as is configured.
pub fn sentence(percent: u32, transport: Transport) -> String {
    match transport {
        Transport::Udp | Transport::Multicast => {
            format!("the network loses about {percent} % of the pictures: set transport = \"tcp\"")
        }
        Transport::Auto | Transport::Tcp | Transport::Http => {
            format!("about {percent} % of the pictures are lost: lower the camera's bit rate, or connect it by cable")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> MonoTime {
        MonoTime(ms * 1_000)
    }

    #[test]
    fn what_is_missing_is_told_by_the_time_it_left_open() {
        let mut count = PictureCount::default();
        for (what, at_ms, lost_before, is_hole, lost) in [
            ("what was lost before the first one is nobody's", 0, true, false, 0),
            ("the usual step", 40, false, false, 0),
            ("one", 120, true, false, 1),
            ("one that left no time open", 161, true, false, 2),
            ("24", 1_160, true, false, 26),
            ("a hole", 3_200, true, true, 76),
            ("a pause without a loss", 9_200, false, false, 76),
            ("two slow ones", 27_200, true, false, 78),
        ] {
            assert_eq!(count.picture(ms(at_ms), lost_before), is_hole, "{what}");
            assert_eq!(count.pictures().lost, lost, "{what}");
        }
        assert!(!count.anew(ms(36_200)), "another source goes on in time");
        assert!(count.anew(ms(900_000)), "time jumped");
        assert_eq!(count.pictures(), Pictures { came: 10, lost: 78 });
        assert!(!PictureCount::default().anew(ms(0)), "the first one");
    }

    /// What is said of minutes in which so many of 1,000 pictures are lost.
    fn said(lost: &[u64]) -> Vec<(usize, u32)> {
        let mut watch = LossWatch::new(ms(0));
        let (mut pictures, mut said) = (Pictures::default(), Vec::new());
        for (minute, lost) in lost.iter().enumerate() {
            for second in 0..60 {
                let now = ms((minute as i64 * 60 + second) * 1_000);
                said.extend(watch.look(now, pictures).map(|percent| (minute - 1, percent)));
            }
            pictures = Pictures { came: pictures.came + 1_000 - lost, lost: pictures.lost + lost };
        }
        let last = watch.look(ms(lost.len() as i64 * 60_000), pictures);
        said.extend(last.map(|percent| (lost.len() - 1, percent)));
        said
    }

    #[test]
    fn many_losses_are_said_once_and_taken_back() {
        for (what, lost, want) in [
            ("none", &[0u64, 0, 0][..], &[(0, 0)][..]),
            ("as few as is usual", &[5, 20, 9], &[(0, 0)]),
            ("many, and it stays so", &[0, 120, 150, 100], &[(0, 0), (1, 12)]),
            ("many from the start, then none", &[300, 0], &[(0, 30), (1, 0)]),
            ("it hovers", &[40, 20, 40, 20, 5], &[(0, 4), (4, 0)]),
            ("it gets worse", &[40, 60, 200], &[(0, 4), (2, 20)]),
        ] {
            assert_eq!(said(lost), want, "{what}");
        }
        let mut watch = LossWatch::new(ms(0));
        assert_eq!(watch.look(ms(60_000), Pictures::default()), None, "nothing came");
    }

    #[test]
    fn what_to_do_depends_on_how_packets_travel() {
        assert!(sentence(12, Transport::Udp).contains("about 12 % of the pictures: set transport = \"tcp\""));
        assert!(!sentence(12, Transport::Tcp).contains("tcp"), "it is so already");
    }
}
