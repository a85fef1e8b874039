//! What a store's failures mean.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use perch_domain::sync::fault::{StoreFault, StoreFaultKind};
use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

/// Words of a store that are kept for the log, characters: they are a stranger's.
const MAX_WORDS: usize = 400;
/// Nobody is waited for longer than this because they say so.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The failure of a request that was `doing` something, and what the store's clock says where that is what it complains of.
pub(crate) fn fault<E>(error: &SdkError<E, HttpResponse>, doing: &str) -> (StoreFault, Option<SystemTime>)
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    let answer = match error {
        SdkError::ServiceError(e) => Some(e.raw()),
        SdkError::ResponseError(e) => Some(e.raw()),
        _ => None,
    };
    let code = error.code().unwrap_or_default();
    let kind = match (answer, error) {
        (Some(answer), _) => StoreFaultKind::of_answer(answer.status().as_u16(), code),
        (None, SdkError::DispatchFailure(e)) if e.as_connector_error().is_some_and(|e| is_certificate(e)) => {
            StoreFaultKind::Certificate
        }
        _ => StoreFaultKind::Unreachable,
    };
    let header = |name: &str| answer.and_then(|answer| answer.headers().get(name));
    let retry_after = header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let clock = (kind == StoreFaultKind::Clock).then(|| header("date").and_then(http_date)).flatten();
    let words: String = DisplayErrorContext(error).to_string().chars().take(MAX_WORDS).collect();
    let retry_after = retry_after.map(|wait| wait.min(MAX_RETRY_AFTER));
    (StoreFault { kind, doing: doing.to_owned(), inside: words, retry_after }, clock)
}

fn http_date(text: &str) -> Option<SystemTime> {
    let at = DateTime::from_str(text, DateTimeFormat::HttpDate).ok()?;
    let since = Duration::from_secs(u64::try_from(at.secs()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Whether TLS refused who answered, anywhere in the causes.
fn is_certificate(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if is_refusal(one) {
            return true;
        }
        // What an `io::Error` carries is not among its causes.
        if let Some(inner) = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && (is_refusal(inner) || is_certificate(inner))
        {
            return true;
        }
        cause = one.source();
    }
    false
}

fn is_refusal(error: &(dyn StdError + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented))
}
