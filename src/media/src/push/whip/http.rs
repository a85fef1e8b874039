//! The HTTP that WHIP is spoken over: TLS by what this system trusts, answers bounded in bytes and time, no redirects, no proxies.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use perch_base::authority::in_url;
use perch_base::clock::{SharedClock, within};
use perch_base::{Error, ErrorKind, Result, ResultExt, blocking};
use perch_domain::push::PushTarget;
use perch_domain::settings::password::login_of;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// The largest answer, bytes: a session description has a few thousand.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long an answer may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a goodbye may take.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
const SDP: &str = "application/sdp";

/// Where offers go.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// Without user and password.
    uri: Uri,
    token: Option<HeaderValue>,
    host: String,
}

/// A session that the other server made.
pub(crate) struct WhipSession {
    endpoint: Endpoint,
    /// Where it is ended; `None` where that was not said, or leads to another server.
    uri: Option<Uri>,
}

impl Endpoint {
    /// The endpoint of a WHIP target. Errors with `Invalid` where its address cannot be one.
    pub fn of(target: &PushTarget) -> Result<Self> {
        let (url, bad) = (target.url.expose(), || "this is no address");
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let place = rest[..host_end].rsplit_once('@').map_or(&rest[..host_end], |(_, place)| place);
        let path = rest[host_end..].split('#').next().unwrap_or_default();
        let uri = format!("{scheme}://{place}{path}").parse().context(ErrorKind::Invalid, bad)?;
        let (_, token) = login_of(url);
        let token = Some(token.expose()).filter(|token| !token.is_empty()).map(|token| {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).context(ErrorKind::Invalid, bad)?;
            bearer.set_sensitive(true);
            Ok(bearer)
        });
        Ok(Self { uri, token: token.transpose()?, host: target.host().to_owned() })
    }

    /// Posts an offer. Returns the session and the answer.
    pub async fn offer(self, sdp: String, clock: &SharedClock) -> Result<(WhipSession, Bytes)> {
        let (status, location, body) = self.send(Method::POST, self.uri.clone(), sdp, ANSWERS_WITHIN, clock).await?;
        let host = &self.host;
        let says = |kind, what: &str| Err(Error::new(kind, format!("{host} {what}")));
        match status {
            StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return says(
                    ErrorKind::Invalid,
                    "refuses the token: set the one that it knows, as https://:TOKEN@host/…",
                );
            }
            StatusCode::NOT_FOUND => {
                return says(ErrorKind::Invalid, "has no WHIP endpoint there: see how its path is written");
            }
            // A redirect would carry the token elsewhere.
            _ if status.is_redirection() => return says(ErrorKind::Invalid, "sends elsewhere: write that address"),
            _ => return says(ErrorKind::Unavailable, &format!("answered {}", status.as_u16())),
        }
        let uri = location.and_then(|location| self.resolved(&location));
        Ok((WhipSession { endpoint: self, uri }, body))
    }

    /// Where a `Location` leads (RFC 3986, section 5.2), if it is the same server.
    fn resolved(&self, location: &str) -> Option<Uri> {
        let (scheme, authority) = (self.uri.scheme_str()?, self.uri.authority()?.as_str());
        let path = self.uri.path();
        let whole = match location {
            _ if location.contains("://") => location.to_owned(),
            _ if location.starts_with("//") => format!("{scheme}:{location}"),
            _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
            _ => format!("{scheme}://{authority}{}/{location}", &path[..path.rfind('/').unwrap_or(0)]),
        };
        let uri: Uri = whole.parse().ok()?;
        (uri.scheme_str() == Some(scheme) && uri.authority()?.as_str() == authority).then_some(uri)
    }

    async fn send(
        &self,
        method: Method,
        uri: Uri,
        body: String,
        limit: Duration,
        clock: &SharedClock,
    ) -> Result<(StatusCode, Option<String>, Bytes)> {
        let mut request = Request::builder().method(method).uri(uri);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, SDP);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let bad = || "this is no address";
        let request = request.body(Full::new(Bytes::from(body))).context(ErrorKind::Invalid, bad)?;
        let host = &self.host;
        let answer = async {
            let client = blocking("reading what this system trusts", client).await?;
            let unreachable = |e: hyper_util::client::legacy::Error| {
                let what = format!("{} cannot be reached: see whether it runs, and its port", in_url(host));
                Error::new(ErrorKind::Unavailable, what).with_source(e)
            };
            let (parts, body) = client.request(request).await.map_err(unreachable)?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|e| {
                Error::new(ErrorKind::Unavailable, format!("{host} broke its answer off")).with_inside(e.to_string())
            })?;
            let location = parts.headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok((parts.status, location, body.to_bytes()))
        };
        let late = || Error::new(ErrorKind::Unavailable, format!("{host} did not answer within {} s", limit.as_secs()));
        within(clock, limit, answer).await.unwrap_or_else(|| Err(late()))
    }
}

impl WhipSession {
    /// Tells the other server that it is over, which it would find by itself after a while.
    pub async fn end(self, clock: &SharedClock) {
        let Some(uri) = self.uri else { return };
        if let Err(e) = self.endpoint.send(Method::DELETE, uri, String::new(), ENDS_WITHIN, clock).await {
            tracing::debug!(host = self.endpoint.host, error = %e, "a goodbye was not heard");
        }
    }
}

/// A client that trusts what this system does. Blocks.
fn client() -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context(ErrorKind::Internal, || "TLS has no protocol version")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::media::Stream;

    #[test]
    fn tokens_are_told_to_nobody_else() {
        let endpoint = |url: &str| Endpoint::of(&PushTarget::of(url, Stream::Main).expect("valid")).expect("valid");
        let one = endpoint("https://:t%40k@h:8443/whip/x?y=1#z");
        assert_eq!(one.uri, "https://h:8443/whip/x?y=1");
        assert_eq!(one.token.as_ref().map(|token| token.as_bytes()), Some(&b"Bearer t@k"[..]));
        assert!(endpoint("http://h/whip").token.is_none());
        for (location, want) in [
            ("/session/1", Some("https://h:8443/session/1")),
            ("1", Some("https://h:8443/whip/1")),
            ("https://h:8443/s/1", Some("https://h:8443/s/1")),
            ("https://evil/s/1", None),
            ("http://h:8443/s/1", None),
            ("//evil/s", None),
            ("https://h:8443@evil/s", None),
        ] {
            let got = one.resolved(location).map(|uri| uri.to_string());
            assert_eq!(got.as_deref(), want, "{location}");
        }
    }
}
