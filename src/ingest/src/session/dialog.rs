//! Requests and their answers, one at a time: numbers, keep_alive-in, the session's id, limits of waiting.

use super::errors::{unauthenticated, unsupported};
use super::quirks::Methods;
use crate::wire::message::{self, Message, Start};
use crate::wire::transport;
use bytes::Bytes;
use perch_base::Error;
use perch_base::time::MonoTime;
use perch_domain::sign_in::{Credentials, SignIn, Verdict};
use std::collections::VecDeque;
use std::time::Duration;

/// How long an answer may take, whole.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How often a request is signed anew because its nonce is too old.
const MOST_RENEWALS: u8 = 3;
/// Requests without an answer that are remembered.
const MOST_GIVEN_UP: usize = 8;
/// What a session lives without a request where the camera does not say (RFC 2326 12.37).
const TIMEOUT: Duration = Duration::from_secs(60);

/// Headers of a request beside those that each has.
pub(super) type Headers = Vec<(&'static str, String)>;

/// A request that is under way.
#[derive(Debug)]
struct Pending {
    method: &'static str,
    url: String,
    headers: Headers,
    cseq: u32,
    asked: MonoTime,
    deadline: MonoTime,
    is_signed: bool,
    renewals: u8,
    /// What comes of it does not matter, a refusal neither.
    is_trial: bool,
}

/// What an answer is.
#[derive(Debug)]
pub(super) enum Answer {
    /// To nothing that is waited for.
    Nobodys,
    /// The request is to be sent again, signed.
    Again(Bytes),
    /// User and password are refused, or cannot be given.
    Refused(Error),
    /// To this method, with this status.
    To(&'static str, u16),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Dialog {
    sign_in: SignIn,
    /// A signed request was accepted: a refusal is about the nonce.
    has_signed_in: bool,
    cseq: u32,
    pending: Option<Pending>,
    given_up: VecDeque<u32>,
    session: Option<String>,
    timeout: Duration,
    methods: Methods,
    round_trip: Option<Duration>,
}

impl Dialog {
    pub fn new(credentials: Option<Credentials>, client_nonce: String) -> Self {
        Self {
            sign_in: SignIn::new(credentials, client_nonce),
            has_signed_in: false,
            cseq: 0,
            pending: None,
            given_up: VecDeque::new(),
            session: None,
            timeout: TIMEOUT,
            methods: Methods::default(),
            round_trip: None,
        }
    }

    /// A request that is waited for, instead of one before.
    pub fn ask(&mut self, now: MonoTime, method: &'static str, url: &str, headers: Headers) -> Bytes {
        self.begin(now, method, url, headers, ANSWER, false)
    }

    /// A request of which nothing must come, within a shorter time.
    pub fn try_out(&mut self, now: MonoTime, method: &'static str, url: &str, within: Duration) -> Bytes {
        self.begin(now, method, url, Vec::new(), within, true)
    }

    /// The last request. It is signed once more where the nonce grew old: a session that is left open keeps others out.
    pub fn farewell(&mut self, now: MonoTime, url: &str, within: Duration) -> Bytes {
        let bytes = self.begin(now, "TEARDOWN", url, Vec::new(), within, false);
        if let Some(pending) = &mut self.pending {
            pending.renewals = MOST_RENEWALS.saturating_sub(1);
        }
        bytes
    }

    /// A request that nobody waits for.
    pub fn tell(&mut self, now: MonoTime, method: &'static str, url: &str) -> Bytes {
        let bytes = self.begin(now, method, url, Vec::new(), ANSWER, true);
        self.give_up();
        bytes
    }

    fn begin(
        &mut self,
        now: MonoTime,
        method: &'static str,
        url: &str,
        headers: Headers,
        within: Duration,
        is_trial: bool,
    ) -> Bytes {
        self.give_up();
        let url = url.to_owned();
        let deadline = now + within;
        let (cseq, asked, is_signed, renewals) = (0, now, false, 0);
        self.write(Pending { method, url, headers, cseq, asked, deadline, is_signed, renewals, is_trial })
    }

    fn write(&mut self, mut pending: Pending) -> Bytes {
        self.cseq = self.cseq.wrapping_add(1);
        pending.cseq = self.cseq;
        let mut headers = vec![("CSeq", self.cseq.to_string()), ("User-Agent", "Perch".to_owned())];
        let authorization = self.sign_in.authorization(pending.method, &pending.url);
        pending.is_signed = authorization.is_some();
        headers.extend(authorization.map(|a| ("Authorization", a)));
        headers.extend(self.session.clone().map(|id| ("Session", id)));
        headers.extend(pending.headers.iter().cloned());
        let bytes = message::request(pending.method, &pending.url, &headers);
        self.pending = Some(pending);
        Bytes::from(bytes)
    }

    /// The request under way once more, on a new connection.
    pub fn again(&mut self) -> Option<Bytes> {
        let pending = self.pending.take()?;
        Some(self.write(pending))
    }

    /// The method that is waited for.
    pub fn awaited(&self) -> Option<&'static str> {
        self.pending.as_ref().map(|p| p.method)
    }

    /// Until when an answer is waited for.
    pub fn deadline(&self) -> Option<MonoTime> {
        self.pending.as_ref().map(|p| p.deadline)
    }

    /// The method that was not answered in time; it is given up.
    pub fn late(&mut self, now: MonoTime) -> Option<&'static str> {
        let method = self.pending.as_ref().filter(|p| p.deadline <= now)?.method;
        self.give_up();
        Some(method)
    }

    /// Waits no longer for the request under way: its answer, if it comes, is nobody's.
    pub fn give_up(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.given_up.truncate(MOST_GIVEN_UP - 1);
            self.given_up.push_front(pending.cseq);
        }
    }

    /// The session's id is known.
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Forgets the session.
    pub fn forget_session(&mut self) {
        self.session = None;
    }

    /// How long the session lives without a request.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What the camera says it knows.
    pub fn methods(&self) -> Methods {
        self.methods
    }

    /// The shortest time in which a request was answered.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Takes an answer. Its number may be wrong, but not that of a request that was given up.
    pub fn answered(&mut self, now: MonoTime, message: &Message) -> Answer {
        let Start::Response(status) = message.start else { return Answer::Nobodys };
        if status < 200 || message.cseq().is_some_and(|n| self.given_up.contains(&n)) {
            return Answer::Nobodys;
        }
        let Some(pending) = self.pending.take() else { return Answer::Nobodys };
        // Of one that was sent again the first counts: it is too long rather than too short.
        let took = now.since(pending.asked);
        self.round_trip = Some(self.round_trip.map_or(took, |shortest| shortest.min(took)));
        if let Some(public) = message.header("public").or_else(|| message.header("allow")) {
            self.methods = Methods::parse(public);
        }
        if status == 401 && !pending.is_trial {
            return self.refused(pending, message);
        }
        self.has_signed_in |= pending.is_signed && status != 401;
        if let Some(info) = message.header("authentication-info") {
            self.sign_in.informed(info);
        }
        let names_session = matches!(pending.method, "SETUP" | "PLAY") && (200..300).contains(&status);
        if let Some((id, timeout)) = message.header("session").filter(|_| names_session).and_then(transport::session) {
            self.session = Some(id);
            self.timeout = timeout.unwrap_or(self.timeout);
        }
        Answer::To(pending.method, status)
    }

    fn refused(&mut self, pending: Pending, message: &Message) -> Answer {
        let refused = Answer::Refused;
        let has_user = self.sign_in.has_user();
        match self.sign_in.challenged(message.headers("www-authenticate")) {
            _ if !has_user => refused(unauthenticated("it asks for user and password: name both")),
            Verdict::Asked { new_nonce, stale } => {
                let is_about_nonce = stale || (new_nonce && self.has_signed_in);
                if !pending.is_signed || (is_about_nonce && pending.renewals < MOST_RENEWALS) {
                    let renewals = pending.renewals + u8::from(pending.is_signed);
                    return Answer::Again(self.write(Pending { renewals, ..pending }));
                }
                refused(unauthenticated("it refuses user and password, which were tried once: check both"))
            }
            Verdict::Unknown if message.header("www-authenticate").is_none() => refused(unauthenticated(
                "it refuses the box and does not say how user and password are to be given: check both",
            )),
            Verdict::Unknown => refused(unsupported(
                "it asks for a kind of keep_alive-in that is not known: set its RTSP authentication to digest",
            )),
        }
    }
}
