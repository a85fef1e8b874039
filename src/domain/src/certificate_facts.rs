//! What people are told of the box's certificates: names, dates, fingerprint, and when one runs out because it is not renewed.

use perch_base::time::{DAY, Timestamp};
use serde::Serialize;
use std::time::Duration;

/// With less than this left, or less than a sixth of its life, something keeps a certificate from being renewed: the box's own is renewed 30
/// days before its end, one for a domain a third of its life before.
const WARN_BEFORE: Duration = DAY.saturating_mul(14);

/// Who vouches for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKind {
    /// The box's own authority.
    Own,
    /// An authority that browsers know, for a domain.
    Domain,
}

perch_base::all_of!(CertificateKind { Own, Domain });

/// One of the certificates that the box shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// Who vouches for it.
    pub kind: CertificateKind,
    /// Names and addresses that it is for.
    pub names: Vec<String>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// SHA-256 of the certificate (DER), lower-case hex.
    pub sha256: String,
    /// Why it could not be renewed last, a sentence without its full stop; empty: it was, or need not be yet.
    pub renewal_problem: String,
}

impl CertificateFacts {
    /// That it runs out, and why: a sentence for people, without its full stop. A `now` that is before the certificate says that the clock is
    /// not set, and nothing of the certificate.
    pub fn problem(&self, now: Timestamp) -> Option<String> {
        let life = Duration::from_micros(self.not_after.micros_since(self.not_before).max(0).unsigned_abs());
        if now < self.not_before || now + WARN_BEFORE.min(life / 6) < self.not_after {
            return None;
        }
        let of = match self.kind {
            CertificateKind::Own => "The box's own certificate".to_owned(),
            CertificateKind::Domain => format!("The certificate of {}", self.names.join(", ")),
        };
        let ends = match self.not_after.micros_since(now) {
            ..=0 => "has run out".to_owned(),
            left => match left / DAY.as_micros() as i64 {
                0 => "runs out today".to_owned(),
                1 => "runs out in 1 day".to_owned(),
                days => format!("runs out in {days} days"),
            },
        };
        let why = match self.renewal_problem.as_str() {
            "" => "it was not renewed: look into the log".to_owned(),
            why => format!("it could not be renewed: {why}"),
        };
        Some(format!("{of} {ends}, and {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_one_that_runs_out() {
        let not_after = Timestamp(0) + 1000 * DAY;
        let facts = |kind, why: &str| CertificateFacts {
            kind,
            names: vec!["cam.example.org".into()],
            not_before: not_after - 90 * DAY,
            not_after,
            sha256: String::new(),
            renewal_problem: why.into(),
        };
        let hour = Duration::from_secs(3600);
        let own = facts(CertificateKind::Own, "");
        for (left, want) in [
            (90 * DAY, None),
            (14 * DAY + hour, None),
            (
                14 * DAY - hour,
                Some("The box's own certificate runs out in 13 days, and it was not renewed: look into the log"),
            ),
            (
                DAY + hour,
                Some("The box's own certificate runs out in 1 day, and it was not renewed: look into the log"),
            ),
            (hour, Some("The box's own certificate runs out today, and it was not renewed: look into the log")),
            // The clock was never set.
            (400 * DAY, None),
        ] {
            assert_eq!(own.problem(not_after - left).as_deref(), want, "{left:?}");
        }
        let domain = facts(CertificateKind::Domain, "port 80 is not reached");
        assert_eq!(
            domain.problem(not_after + hour).as_deref(),
            Some("The certificate of cam.example.org has run out, and it could not be renewed: port 80 is not reached")
        );
        assert_eq!(domain.problem(not_after - 20 * DAY), None, "there is time for more tries");
        // One that is made to be short.
        let short = CertificateFacts { not_before: not_after - 6 * DAY, ..own };
        assert_eq!(short.problem(not_after - 2 * DAY), None);
        assert!(short.problem(not_after - DAY + hour).is_some());
    }
}
