//! Sound beside pictures. Both have times by arrival, which differ by how long the camera takes to encode each. Its sender reports
//! know better, where they are steady and do not contradict arrival: cameras' clocks jump, and their tracks disagree by seconds.

use super::rtcp::ntp_micros;
use super::timeline::Timeline;
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// So far from arrival a report may be, so far from one another three of them, microseconds.
const MOST_US: f64 = 350_000.0;
const STEADY_US: f64 = 50_000.0;
const REPORTS: usize = 3;
/// Reports of the two tracks that are compared are this close to each other.
const TOGETHER: Duration = Duration::from_secs(30);

/// The camera's clock minus ours, and when it was reported.
type Ahead = (f64, MonoTime);

/// What sender reports say of a picture track and a sound track.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sync {
    picture: Option<Ahead>,
    sound: Option<Ahead>,
    differences: VecDeque<f64>,
}

impl Sync {
    /// A report of one of the two. Returns how much later than by arrival sound is to be taken, once that is known.
    pub fn report(&mut self, now: MonoTime, is_sound: bool, ntp: u64, stamp: u32, times: &Timeline) -> Option<f64> {
        let ours = times.look_up(stamp).filter(|ours| (now.0 as f64 - ours).abs() < 20e6)?;
        let ahead = Some((ntp_micros(ntp) as f64 - ours, now));
        *(if is_sound { &mut self.sound } else { &mut self.picture }) = ahead;
        let ((picture, then), (sound, also)) = self.picture.zip(self.sound)?;
        if then.max(also).since(then.min(also)) > TOGETHER {
            return None;
        }
        let difference = sound - picture;
        if difference.abs() > MOST_US {
            self.differences.clear();
            return None;
        }
        if self.differences.len() >= REPORTS {
            self.differences.pop_front();
        }
        self.differences.push_back(difference);
        let most = self.differences.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = self.differences.iter().copied().fold(f64::INFINITY, f64::min);
        let steady = self.differences.len() == REPORTS && most - least <= STEADY_US;
        steady.then(|| self.differences.iter().sum::<f64>() / REPORTS as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: u64 = 2_208_988_800;

    /// Reports every 5 s, the sound's clock ahead by what `skew` says of each; returns what was wanted last.
    fn run(skew: impl Fn(i64) -> f64) -> Option<f64> {
        let (mut picture, mut sound) = (Timeline::new(90_000), Timeline::new(8_000));
        let (mut sync, mut wanted) = (Sync::default(), None);
        for n in 0..10i64 {
            let now = MonoTime(n * 5_000_000);
            picture.stamp(n as u32 * 450_000, now);
            sound.stamp(n as u32 * 40_000, now);
            let ntp =
                |seconds: f64| ((UNIX << 32) as f64 + (n as f64 * 5.0 + 1000.0 + seconds) * 4_294_967_296.0) as u64;
            wanted = sync.report(now, false, ntp(0.0), n as u32 * 450_000, &picture).or(wanted);
            wanted = sync.report(now, true, ntp(skew(n)), n as u32 * 40_000, &sound).or(wanted);
        }
        wanted
    }

    #[test]
    fn steady_reports_near_arrival_are_followed() {
        assert!(run(|_| 0.2).is_some_and(|wanted| (wanted - 200_000.0).abs() < 1000.0));
        assert!(run(|_| 0.0).is_some_and(|wanted| wanted.abs() < 1000.0));
    }

    #[test]
    fn reports_that_contradict_arrival_or_each_other_are_not() {
        assert_eq!(run(|_| 2.5), None);
        assert_eq!(run(|n| if n % 2 == 0 { 0.15 } else { -0.15 }), None);
    }
}
