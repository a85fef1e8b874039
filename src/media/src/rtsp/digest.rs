//! Digest authentication (RFC 2617 with MD5 and without qop, as RTSP 1.0 players speak it). Pure: no sockets, no GStreamer.

use gstreamer::glib;
use perch_base::secret::{Secret, constant_time_eq};
use perch_domain::access::{RTSP_REALM, StreamLogin};
use std::collections::HashMap;

/// What an `Authorization: Digest` header says, as far as it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials<'a> {
    pub(super) username: &'a str,
    pub(super) realm: &'a str,
    pub(super) nonce: &'a str,
    /// Taken into the hash but not compared with the request: players differ in what they put here, and the nonce, which
    /// belongs to one connection, already keeps a response from being used elsewhere.
    pub(super) uri: &'a str,
    pub(super) response: &'a str,
}

/// What became of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DigestVerdict {
    /// They are right.
    Accepted,
    /// They answer another connection's challenge: the player should try again without asking its user.
    Stale,
    /// They are wrong; whether the user exists is not revealed.
    Refused,
}

/// The stream passwords by their user names.
#[derive(Clone, Debug, Default)]
pub(super) struct Logins(HashMap<String, StreamLogin>);

impl Logins {
    /// Those whose HA1 is not 32 hex digits cannot match anything and are left out.
    pub(super) fn new(entries: Vec<StreamLogin>) -> Self {
        let valid = entries.into_iter().filter(|login| {
            let ha1 = login.ha1.expose();
            let ok = ha1.len() == 32 && ha1.bytes().all(|b| b.is_ascii_hexdigit());
            if !ok {
                tracing::warn!(user = login.name, "stream password left out: its stored hash is not 32 hex digits");
            }
            ok
        });
        let lower = |login: StreamLogin| {
            let ha1 = Secret::new(login.ha1.expose().to_ascii_lowercase());
            (login.name.clone(), StreamLogin { ha1, ..login })
        };
        Self(valid.map(lower).collect())
    }

    /// The login of this user.
    pub(super) fn get(&self, user: &str) -> Option<&StreamLogin> {
        self.0.get(user)
    }

    /// Checks `given`, sent with `method` on the connection that was challenged with `nonce`.
    pub(super) fn check(&self, given: &Credentials<'_>, method: &str, nonce: &str) -> DigestVerdict {
        // An unknown user costs the same work as a known one.
        let known = self.0.get(given.username);
        let ha1 = known.map_or("00000000000000000000000000000000", |login| login.ha1.expose());
        let ha2 = md5(&format!("{method}:{}", given.uri));
        let expected = md5(&format!("{ha1}:{}:{ha2}", given.nonce));
        let matches = constant_time_eq(expected.as_bytes(), given.response.to_ascii_lowercase().as_bytes());
        match matches && known.is_some() && given.realm == RTSP_REALM {
            true if given.nonce == nonce => DigestVerdict::Accepted,
            true => DigestVerdict::Stale,
            false => DigestVerdict::Refused,
        }
    }
}

/// The value of a `WWW-Authenticate` header.
pub(super) fn challenge(nonce: &str, stale: bool) -> String {
    let stale = if stale { ", stale=TRUE" } else { "" };
    format!("Digest realm=\"{RTSP_REALM}\", nonce=\"{nonce}\"{stale}")
}

fn md5(text: &str) -> String {
    let sum = glib::compute_checksum_for_data(glib::ChecksumType::Md5, text.as_bytes());
    sum.map(String::from).expect("glib computes MD5")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given<'a>(user: &'a str, nonce: &'a str, response: &'a str) -> Credentials<'a> {
        Credentials { username: user, realm: RTSP_REALM, nonce, uri: "rtsp://box/front", response }
    }

    fn logins(user: &str, ha1: String) -> Logins {
        let cameras = perch_domain::access::CameraGrant::All;
        Logins::new(vec![StreamLogin { name: user.into(), ha1: Secret::new(ha1), cameras, cut_off_until: None }])
    }

    fn answer(password: &str, method: &str, nonce: &str) -> String {
        let ha1 = md5(&format!("tv:{RTSP_REALM}:{password}"));
        md5(&format!("{ha1}:{nonce}:{}", md5(&format!("{method}:rtsp://box/front"))))
    }

    #[test]
    fn only_the_right_answer_to_this_connections_challenge_is_accepted() {
        let ha1s = logins("tv", md5(&format!("tv:{RTSP_REALM}:secret")).to_uppercase());
        let right = answer("secret", "PLAY", "n1");
        for (user, method, nonce, response, want) in [
            ("tv", "PLAY", "n1", right.clone(), DigestVerdict::Accepted),
            ("tv", "PLAY", "n1", right.to_uppercase(), DigestVerdict::Accepted),
            ("tv", "TEARDOWN", "n1", right.clone(), DigestVerdict::Refused),
            ("radio", "PLAY", "n1", right.clone(), DigestVerdict::Refused),
            ("tv", "PLAY", "n1", answer("wrong", "PLAY", "n1"), DigestVerdict::Refused),
            ("tv", "PLAY", "n0", answer("secret", "PLAY", "n0"), DigestVerdict::Stale),
            ("tv", "PLAY", "n0", answer("wrong", "PLAY", "n0"), DigestVerdict::Refused),
            ("tv", "PLAY", "n1", String::new(), DigestVerdict::Refused),
        ] {
            assert_eq!(ha1s.check(&given(user, nonce, &response), method, "n1"), want, "{user} {method} {nonce}");
        }
    }

    #[test]
    fn the_hash_for_an_unknown_user_opens_nothing() {
        let ha2 = md5("PLAY:rtsp://box/front");
        let forged = md5(&format!("00000000000000000000000000000000:n1:{ha2}"));
        assert_eq!(Logins::default().check(&given("nobody", "n1", &forged), "PLAY", "n1"), DigestVerdict::Refused);
    }

    #[test]
    fn a_hash_that_is_none_is_left_out() {
        assert!(logins("tv", "a".repeat(32)).get("tv").is_some());
        for bad in ["", "x", &"x".repeat(32), &"a".repeat(31)] {
            assert!(logins("tv", bad.to_owned()).get("tv").is_none(), "{bad}");
        }
    }
}
