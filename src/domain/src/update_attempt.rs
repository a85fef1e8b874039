//! An attempt to update from its begin to rest: uploaded or fetched, checked, installed, tried. One goes on at a time; how it ends is
//! kept until the next one begins.

use crate::update::{Bundle, Phase};
use perch_base::Result;
use perch_base::time::MonoTime;
use std::time::Duration;

/// What is said of an upload that did not come whole.
pub const INTERRUPTED: &str = "the upload was interrupted: try again";

/// Why the update service refused or failed, for people, by words that stand in its own: those may name files and addresses, and are
/// for the log. The first that is found counts.
const REASONS: [(&[&str], &str); 5] = [
    (&["signature", "certificate", "verification"], "its signature is not one that this box trusts"),
    (&["no space", "no-space", "not enough space"], "there is not enough room for it"),
    (&["compatible"], "it is for another kind of box"),
    (&["already processing"], "another one is being installed"),
    (&["download", "resolve", "http"], "it could not be fetched"),
];

/// What is said of the update service's own `words`.
pub fn reason(words: &str) -> &'static str {
    let words = words.to_lowercase();
    let known = REASONS.iter().find(|(marks, _)| marks.iter().any(|mark| words.contains(mark)));
    known.map_or("the log says why", |(_, reason)| reason)
}

/// How far it is, and how the last one ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateAttempt {
    phase: Phase,
    percent: u32,
    bundle: Option<Bundle>,
    problem: String,
}

impl UpdateAttempt {
    /// What goes on when the box starts: nothing, or the trial of what was installed before.
    pub fn at_start(is_trial: bool) -> Self {
        Self { phase: if is_trial { Phase::Trial } else { Phase::Idle }, ..Self::default() }
    }

    /// What goes on.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How far it is, 0 to 100, while receiving and installing.
    pub fn percent(&self) -> u32 {
        self.percent
    }

    /// The bundle that is ready or being installed.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    /// Why the last attempt failed, or what the trial still waits for; empty: neither.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Goes from a phase at rest to `to`. Errors like [`Phase::may_begin`].
    pub fn begin(&mut self, to: Phase) -> Result<()> {
        self.phase.may_begin(to)?;
        // What was uploaded is what is checked before it is installed; a new upload takes its place.
        let bundle = self.bundle.take().filter(|_| to == Phase::Checking);
        *self = Self { phase: to, bundle, ..Self::default() };
        Ok(())
    }

    /// So many bytes of so many came.
    pub fn received(&mut self, bytes: u64, of_bytes: u64) {
        self.percent = (bytes.min(of_bytes).saturating_mul(100) / of_bytes.max(1)) as u32;
    }

    /// All of it came and is checked.
    pub fn checks_upload(&mut self) {
        *self = Self { phase: Phase::Checking, ..Self::default() };
    }

    /// What was uploaded is good.
    pub fn ready(&mut self, bundle: Bundle) {
        *self = Self { phase: Phase::Ready, bundle: Some(bundle), ..Self::default() };
    }

    /// It is good and is being installed.
    pub fn installs(&mut self, bundle: Bundle) {
        *self = Self { phase: Phase::Installing, bundle: Some(bundle), ..Self::default() };
    }

    /// So much of it is installed.
    pub fn installed(&mut self, percent: u32) {
        self.percent = percent.min(100);
    }

    /// All is installed; the box restarts to try it.
    pub fn restarts(&mut self) {
        (self.phase, self.percent) = (Phase::Restarting, 100);
    }

    /// It is over, for this reason.
    pub fn fails(&mut self, why: &str) {
        *self = Self { problem: why.to_owned(), ..Self::default() };
    }

    /// Whoever did what this phase is about ended without a word: hung up, or broke down. Whether that ended the attempt: one that is
    /// further already, or over, goes on as it is.
    pub fn breaks_off(&mut self, phase: Phase) -> bool {
        let why = match phase {
            Phase::Receiving => INTERRUPTED,
            Phase::Checking => "the check of the update broke down: try again",
            Phase::Installing => "the installation broke down: try again",
            // At rest, or in the hands of who answers for it.
            Phase::Idle | Phase::Ready | Phase::Restarting | Phase::Trial => return false,
        };
        let is_over = self.phase == phase;
        if is_over {
            self.fails(why);
        }
        is_over
    }

    /// What the trial still waits for; empty: it is content.
    pub fn waits_for(&mut self, sentence: &str) {
        self.problem = sentence.to_owned();
    }

    /// The new version is kept for good.
    pub fn keeps(&mut self) {
        *self = Self::default();
    }
}

/// How long the update service may be silent in all before it counts as gone. A bundle that is streamed from a slow server takes long.
pub const SILENT_FOR: Duration = Duration::from_secs(120);
/// The longest that one question waits for its answer: the next one may be heard.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Gives up on an update service that hangs while it installs: however many questions it leaves without an answer, it is given
/// [`SILENT_FOR`] from its last one on.
#[derive(Clone, Copy, Debug)]
pub struct SilenceWatch {
    answered: MonoTime,
}

impl SilenceWatch {
    /// It answered at `now`: to being asked to install.
    pub fn new(now: MonoTime) -> Self {
        Self { answered: now }
    }

    /// It answered.
    pub fn answered(&mut self, now: MonoTime) {
        self.answered = now;
    }

    /// How long the next question may wait for its answer; `None`: it was silent for too long.
    pub fn patience(&self, now: MonoTime) -> Option<Duration> {
        let left = SILENT_FOR.saturating_sub(now.since(self.answered));
        (!left.is_zero()).then(|| left.min(ANSWER_WITHIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::ErrorKind;

    fn bundle() -> Bundle {
        Bundle { version: "0.2.0".into(), ..Bundle::default() }
    }

    /// In this phase, with a bundle and some way done.
    fn at(phase: Phase) -> UpdateAttempt {
        UpdateAttempt { phase, percent: 40, bundle: Some(bundle()), problem: "before".into() }
    }

    type Step = fn(&mut UpdateAttempt);

    #[test]
    fn the_update_services_words_stay_inside() {
        let trusts = "its signature is not one that this box trusts";
        for (words, want) in [
            ("signature verification failed: Verify error: unable to get local issuer certificate", trusts),
            ("Failed to open /data/update/spool/upload.raucb: Signature missing", trusts),
            ("Failed updating slot rootfs.1: No space left on device", "there is not enough room for it"),
            ("Compatible mismatch: Expected 'pi4' but bundle manifest has 'x'", "it is for another kind of box"),
            ("Already processing a different method", "another one is being installed"),
            ("Failed to download bundle https://host/x?key=secret: HTTP error 404", "it could not be fetched"),
            ("Input/output error at /dev/mmcblk0p3", "the log says why"),
            ("", "the log says why"),
        ] {
            assert_eq!(reason(words), want, "{words}");
        }
    }

    #[test]
    fn the_way_of_an_update() {
        let steps: &[(&str, Step, Phase, u32, bool, &str)] = &[
            ("begins", |a| a.begin(Phase::Receiving).expect("at rest"), Phase::Receiving, 0, false, ""),
            ("half came", |a| a.received(5, 10), Phase::Receiving, 50, false, ""),
            ("all came", UpdateAttempt::checks_upload, Phase::Checking, 0, false, ""),
            ("is good", |a| a.ready(bundle()), Phase::Ready, 0, true, ""),
            ("is asked for", |a| a.begin(Phase::Checking).expect("at rest"), Phase::Checking, 0, true, ""),
            ("is good still", |a| a.installs(bundle()), Phase::Installing, 0, true, ""),
            ("goes on", |a| a.installed(70), Phase::Installing, 70, true, ""),
            ("is written", UpdateAttempt::restarts, Phase::Restarting, 100, true, ""),
            ("hung up long ago", |a| assert!(!a.breaks_off(Phase::Receiving)), Phase::Restarting, 100, true, ""),
            ("was not tried", |a| a.fails("no"), Phase::Idle, 0, false, "no"),
            ("begins again", |a| a.begin(Phase::Receiving).expect("at rest"), Phase::Receiving, 0, false, ""),
            (
                "hangs up",
                |a| assert!(a.breaks_off(Phase::Receiving)),
                Phase::Idle,
                0,
                false,
                "the upload was interrupted: try again",
            ),
            ("is fetched", |a| a.begin(Phase::Checking).expect("at rest"), Phase::Checking, 0, false, ""),
            ("is good", |a| a.installs(bundle()), Phase::Installing, 0, true, ""),
            (
                "breaks down",
                |a| assert!(a.breaks_off(Phase::Installing)),
                Phase::Idle,
                0,
                false,
                "the installation broke down: try again",
            ),
        ];
        let mut attempt = UpdateAttempt::at_start(false);
        for (what, step, phase, percent, has_bundle, problem) in steps {
            step(&mut attempt);
            let got = (attempt.phase(), attempt.percent(), attempt.bundle().is_some(), attempt.problem());
            assert_eq!(got, (*phase, *percent, *has_bundle, *problem), "it {what}");
        }
    }

    #[test]
    fn a_trial_waits_until_it_is_kept_and_nothing_begins_meanwhile() {
        let mut attempt = UpdateAttempt::at_start(true);
        attempt.waits_for("no picture");
        assert_eq!((attempt.phase(), attempt.problem()), (Phase::Trial, "no picture"));
        assert_eq!(attempt.begin(Phase::Receiving).expect_err("it is tried").kind(), ErrorKind::Conflict);
        attempt.keeps();
        assert_eq!(attempt, UpdateAttempt::default());
    }

    #[test]
    fn only_what_goes_on_breaks_off() {
        for &phase in Phase::ALL {
            for &of in Phase::ALL {
                let mut attempt = at(phase);
                let ends = phase == of && matches!(of, Phase::Receiving | Phase::Checking | Phase::Installing);
                assert_eq!(attempt.breaks_off(of), ends, "{of:?} in {phase:?}");
                assert!(ends || attempt == at(phase), "{of:?} in {phase:?}");
            }
        }
    }

    #[test]
    fn more_than_all_is_all() {
        let mut attempt = at(Phase::Receiving);
        for (bytes, of, percent) in [(0, 0, 0), (1, 3, 33), (3, 3, 100), (4, 3, 100), (u64::MAX, u64::MAX, 100)] {
            attempt.received(bytes, of);
            // Two numbers of that size are more than can be counted, and more than any card holds.
            assert!(attempt.percent() == percent || bytes == u64::MAX, "{bytes} of {of}: {}", attempt.percent());
            assert!(attempt.percent() <= 100);
        }
        attempt.installed(170);
        assert_eq!(attempt.percent(), 100);
    }

    #[test]
    fn a_service_that_hangs_has_one_limit_in_all() {
        let s = |seconds: u64| MonoTime(0) + Duration::from_secs(seconds);
        let mut watch = SilenceWatch::new(s(0));
        // Each question waits as long as it may, and none is answered.
        let mut now = s(0);
        while let Some(patience) = watch.patience(now) {
            assert!(patience <= ANSWER_WITHIN, "{patience:?}");
            now = now + patience + Duration::from_secs(1);
        }
        assert!(now >= s(SILENT_FOR.as_secs()) && now <= s(SILENT_FOR.as_secs() + 1), "{now:?}");
        // An answer begins it anew.
        watch.answered(now);
        assert_eq!(watch.patience(now), Some(ANSWER_WITHIN));
        for (silent_s, patience) in [(104, Some(15)), (110, Some(10)), (119, Some(1)), (120, None), (500, None)] {
            let patience = patience.map(Duration::from_secs);
            assert_eq!(watch.patience(now + Duration::from_secs(silent_s)), patience, "after {silent_s} s");
        }
    }
}
