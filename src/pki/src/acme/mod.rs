//! Gets the certificate for a domain and renews it, by ACME (RFC 8555). When, is decided in `domain::acme`; the answers to the authority's
//! questions are given by whoever serves the ports, out of the identity.

mod http;

use self::http::Http;
use crate::Identity;
use crate::domain_certificate::{DomainCertificate, Kept};
use ::http::StatusCode;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use perch_base::clock::{SharedClock, within};
use perch_base::secret::{Secret, sha256};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt, blocking};
use perch_domain::acme::{AcmeConfig, AcmeFailure, ChallengeKind, DomainStatus, Failures, Held, ask_at};
use perch_domain::identity::Certificate;
use perch_domain::update::clean;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use std::sync::Arc;
use std::time::Duration;

/// How long one attempt may take: a name service may be slow.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(15 * 60);
/// The longest time between two looks: the clock may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// How often the authority is asked when it would have the certificate renewed.
const WINDOW_EVERY: Duration = Duration::from_secs(6 * 3600);
/// How long the authority is given to look and to sign.
const RETRIES: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_secs(1)).backoff(1.5).timeout(Duration::from_secs(180));
/// The problem of an account that the authority does not know any more (RFC 8555, section 6.7).
const NO_ACCOUNT: &str = "accountDoesNotExist";
/// The one of an authority that was asked too often.
const LIMITED: &str = "rateLimited";

/// Keeps one domain's certificate.
pub struct Acme {
    config: AcmeConfig,
    identity: Arc<Identity>,
    clock: SharedClock,
    http: Http,
    kept: Arc<Kept>,
    held: Option<Arc<DomainCertificate>>,
    failures: Failures,
    problem: String,
    window: Option<(Timestamp, Timestamp)>,
    window_asked_at: Option<Timestamp>,
}

/// Why an attempt failed.
struct Fail {
    error: Error,
    /// The kind of the authority's problem, if it is one.
    problem: Option<String>,
    /// The authority said nothing at all.
    is_unreached: bool,
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self { error, problem: None, is_unreached: false }
    }
}

impl From<instant_acme::Error> for Fail {
    fn from(e: instant_acme::Error) -> Self {
        // What our own client says of the way to the authority is no word of the authority.
        if let instant_acme::Error::Other(ours) = &e
            && let Some(ours) = ours.downcast_ref::<Error>()
        {
            let error = Error::new(ErrorKind::Unavailable, format!("the authority {}", ours.message()));
            return Self { error, problem: None, is_unreached: true };
        }
        let problem = match &e {
            instant_acme::Error::Api(problem) => problem.r#type.clone(),
            _ => None,
        };
        let words = match &e {
            instant_acme::Error::Api(problem) => problem.detail.clone().unwrap_or_else(|| e.to_string()),
            other => other.to_string(),
        };
        // It is a stranger's text, for a page and a log.
        let error = Error::new(ErrorKind::Unavailable, format!("the authority says: {}", clean(&words)));
        Self { error, problem, is_unreached: false }
    }
}

impl Fail {
    fn how(&self) -> AcmeFailure {
        match self.is_unreached {
            true => AcmeFailure::Unreached,
            false if self.is(LIMITED) => AcmeFailure::Limited,
            false => AcmeFailure::Refused,
        }
    }

    fn is(&self, kind: &str) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.ends_with(kind))
    }
}

impl Acme {
    /// Reads what is kept of the domain and shows it from now on. Blocks. Errors with `Io` when keys cannot be kept, with `Unavailable` or
    /// `Invalid` where nothing could prove an authority.
    pub fn open(config: AcmeConfig, identity: Arc<Identity>, clock: SharedClock) -> Result<Self> {
        let http = Http::new(config.ca_pem.as_ref(), clock.clone())?;
        let kept = Kept::open(identity.data_dir())?;
        let held = kept.certificate(&config.domain)?.map(Arc::new);
        let (failures, problem) = kept.failures();
        let kept = Arc::new(kept);
        let acme =
            Self { config, identity, clock, http, kept, held, failures, problem, window: None, window_asked_at: None };
        acme.show();
        Ok(acme)
    }

    /// There is no domain any more: the box's own certificate is shown to all.
    pub fn end(identity: &Identity) {
        identity.set_domain(None, None);
        identity.forget_answers();
    }

    /// Looks once whether a certificate is due, and gets it. Returns how long may be waited. Errors with the reason while there is none and
    /// the last attempt failed.
    pub async fn look(&mut self) -> Result<Duration> {
        // An attempt may have been broken off by a stop, or by other settings.
        self.clean_up().await;
        self.ask_window().await;
        let now = self.clock.utc();
        let at = self.ask_at(now);
        if at > now {
            let lacks = self.held.is_none() && !self.problem.is_empty();
            return if lacks { Err(self.why()) } else { Ok(self.until_due()) };
        }
        let late = || Fail::from(Error::new(ErrorKind::Unavailable, "the authority took longer than 15 minutes"));
        let outcome = within(&self.clock, ATTEMPT_WITHIN, self.obtain()).await.unwrap_or_else(|| Err(late()));
        self.identity.forget_answers();
        self.clean_up().await;
        match outcome {
            Ok(held) => {
                tracing::info!(domain = self.config.domain, until = %held.facts.not_after, "the domain has a new certificate");
                (self.held, self.failures, self.problem) = (Some(Arc::new(held)), Failures::default(), String::new());
                (self.window, self.window_asked_at) = (None, None);
            }
            Err(fail) => {
                self.failures = self.failures.and(fail.how(), self.clock.utc());
                self.problem = fail.error.message().to_owned();
                if fail.is(NO_ACCOUNT) {
                    self.on_disk(|kept| kept.forget_account()).await?;
                }
            }
        }
        self.show();
        let (failures, why) = (self.failures, self.problem.clone());
        self.on_disk(move |kept| kept.keep_failures(failures, why)).await?;
        if self.problem.is_empty() { Ok(self.until_due()) } else { Err(self.why()) }
    }

    /// How long it is until a certificate is due, at most [`LOOK_EVERY`].
    fn until_due(&self) -> Duration {
        let now = self.clock.utc();
        let left = self.ask_at(now).micros_since(now).max(0).unsigned_abs();
        Duration::from_micros(left).min(LOOK_EVERY)
    }

    fn why(&self) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{}: {}", self.config.domain, self.problem))
    }

    fn ask_at(&self, now: Timestamp) -> Timestamp {
        let held = self.held.as_ref().map(|held| Held {
            not_before: held.facts.not_before,
            not_after: held.facts.not_after,
            window: self.window,
        });
        // The same until something changes.
        let seed =
            format!("{}{}", self.held.as_ref().map_or("", |h| &h.facts.sha256), self.failures.last_at.as_micros());
        let [a, b, ..] = sha256(seed.as_bytes());
        let chance = f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX);
        ask_at(held.as_ref(), &self.failures, chance, now)
    }

    /// Tells the identity how things stand.
    fn show(&self) {
        let now = self.clock.utc();
        let at = self.ask_at(now);
        let status = DomainStatus {
            domain: self.config.domain.clone(),
            problem: self.problem.clone(),
            tried_again_at: (!self.problem.is_empty()).then_some(at),
        };
        self.identity.set_domain(Some(status), self.held.clone());
    }

    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce(&Kept) -> Result<T> + Send + 'static) -> Result<T> {
        let kept = self.kept.clone();
        blocking("keeping what belongs to a domain", move || work(&kept)).await
    }

    /// Asks when the authority would have the certificate renewed (ARI, RFC 9773). Not knowing costs nothing.
    async fn ask_window(&mut self) {
        let now = self.clock.utc();
        let is_due =
            self.window_asked_at.is_none_or(|at| now.micros_since(at).unsigned_abs() > WINDOW_EVERY.as_micros() as u64);
        let Some(held) = self.held.clone().filter(|_| is_due) else { return };
        self.window_asked_at = Some(now);
        let asked = async {
            let id = CertificateIdentifier::try_from(&held.leaf).ok()?;
            let (info, _) = self.account().await.ok()?.renewal_info(&id).await.ok()?;
            let at = |t: time::OffsetDateTime| Timestamp(t.unix_timestamp().saturating_mul(1_000_000));
            Some((at(info.suggested_window.start), at(info.suggested_window.end)))
        };
        self.window = within(&self.clock, Duration::from_secs(60), asked).await.flatten();
    }

    async fn account(&self) -> Result<Account, Fail> {
        let directory = self.config.directory.clone();
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let kept = self.on_disk(move |kept| kept.account(&directory)).await?;
        if let Some(credentials) = kept.and_then(|json| serde_json::from_value::<AccountCredentials>(json).ok()) {
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contact: Vec<&str> = self.config.contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder.create(&new, self.config.directory.clone(), None).await?;
        let json =
            serde_json::to_value(&credentials).context(ErrorKind::Internal, || "an account cannot be written")?;
        let directory = self.config.directory.clone();
        self.on_disk(move |kept| kept.keep_account(&directory, json)).await?;
        Ok(account)
    }

    async fn obtain(&self) -> Result<DomainCertificate, Fail> {
        let domain = &self.config.domain;
        tracing::info!(domain, directory = self.config.directory, "asking for a certificate");
        let account = self.account().await?;
        let identifiers = [Identifier::Dns(domain.clone())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let proven = self.prove(&mut order).await;
        self.clean_up().await;
        proven?;
        let no_key = || "no key could be made";
        let key = KeyPair::generate().context(ErrorKind::Internal, no_key)?;
        let mut params = CertificateParams::new(vec![domain.clone()]).context(ErrorKind::Invalid, no_key)?;
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&key).context(ErrorKind::Internal, || "no request could be made")?;
        order.finalize_csr(csr.der()).await?;
        let chain_pem = order.poll_certificate(&RETRIES).await?;
        let key_pem = Secret::new(key.serialize_pem());
        // What cannot be used is not kept.
        let held = DomainCertificate::read(domain, &chain_pem, &key_pem)?;
        self.on_disk(move |kept| kept.keep_certificate(&chain_pem, &key_pem)).await?;
        Ok(held)
    }

    /// Has the hook remove what it was told to set. Each is tried once: a hook that is gone is not asked for ever.
    async fn clean_up(&self) {
        let records = match self.on_disk(|kept| Ok(kept.records())).await {
            Ok(records) if !records.is_empty() => records,
            _ => return,
        };
        for (name, value) in &records {
            let Some(hook) = &self.config.hook else {
                tracing::warn!(name, "a record is left over: there is no hook any more that could remove it");
                continue;
            };
            if let Err(e) = self.http.tell(hook, "cleanup", name, value).await {
                tracing::warn!(error = %e, name, "a record is left over");
            }
        }
        if let Err(e) = self.on_disk(|kept| kept.keep_records(&[])).await {
            tracing::warn!(error = %e, "records are removed once more later");
        }
    }

    /// Shows that the domain is the box's. What a hook is to set is kept before.
    async fn prove(&self, order: &mut Order) -> Result<(), Fail> {
        let kind = match self.config.challenge {
            ChallengeKind::TlsAlpn => ChallengeType::TlsAlpn01,
            ChallengeKind::Http => ChallengeType::Http01,
            ChallengeKind::Dns => ChallengeType::Dns01,
        };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let Some(mut challenge) = authorization.challenge(kind.clone()) else {
                let why = "the authority does not take this kind of challenge: choose another in acme.challenge";
                return Err(Error::new(ErrorKind::Unsupported, why).into());
            };
            let answer = challenge.key_authorization();
            match (self.config.challenge, &self.config.hook) {
                (ChallengeKind::Http, _) => self.identity.answer_http(&challenge.token, answer.as_str()),
                (ChallengeKind::TlsAlpn, _) => {
                    let certificate = self.alpn_certificate(answer.digest().as_ref())?;
                    self.identity.answer_alpn(&self.config.domain, certificate);
                }
                (ChallengeKind::Dns, Some(hook)) => {
                    let (name, value) = (format!("_acme-challenge.{}", self.config.domain), answer.dns_value());
                    let record = (name.clone(), value.clone());
                    let keep = move |kept: &Kept| {
                        let records: Vec<_> = kept.records().into_iter().chain([record]).collect();
                        kept.keep_records(&records)
                    };
                    self.on_disk(keep).await?;
                    self.http.tell(hook, "present", &name, &value).await?;
                }
                (ChallengeKind::Dns, None) => return Err(Error::invalid("acme.dns_hook is missing").into()),
            }
            challenge.set_ready().await?;
        }
        match order.poll_ready(&RETRIES).await {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) => Err(self.refusal(order).await),
            // What it says of the order says less than what it says of the challenge.
            Err(instant_acme::Error::Api(problem))
                if problem.status != Some(StatusCode::TOO_MANY_REQUESTS.as_u16()) =>
            {
                let of_order = Fail::from(instant_acme::Error::Api(problem));
                let of_challenge = self.refusal(order).await;
                Err(if of_challenge.problem.is_some() { of_challenge } else { of_order })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Why the authority does not believe that the domain is the box's.
    async fn refusal(&self, order: &mut Order) -> Fail {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if let Ok(state) = authorization.refresh().await
                && let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.clone())
            {
                return instant_acme::Error::Api(problem).into();
            }
        }
        Error::new(ErrorKind::Unavailable, "the authority does not believe that the domain is this box's").into()
    }

    /// The certificate that answers TLS-ALPN-01 (RFC 8737, section 3).
    fn alpn_certificate(&self, digest: &[u8]) -> Result<Certificate> {
        let bad = || "no certificate could be made to answer the authority";
        let key = KeyPair::generate().context(ErrorKind::Internal, bad)?;
        let mut params = CertificateParams::new(vec![self.config.domain.clone()]).context(ErrorKind::Invalid, bad)?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let made = params.self_signed(&key).context(ErrorKind::Internal, bad)?;
        Ok(Certificate { chain_pem: made.pem(), key_pem: Secret::new(key.serialize_pem()) })
    }
}
