//! Sign-in: Basic (RFC 7617) and Digest (RFC 2069, RFC 7616) as cameras do them.

use super::message::Request;
use crate::base64;
use crate::model::{Nonces, Scheme, SignIn};
use crate::random::Random;
use md5::{Digest, Md5};

/// What came of a request's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Right.
    Right,
    /// There was none.
    Missing,
    /// Right, with a nonce of before.
    Stale,
    /// Wrong.
    Wrong,
}

/// The door of one connection.
pub struct Door {
    nonce: String,
    old: Vec<String>,
    used: u32,
    random: Random,
}

impl Door {
    /// Of the connection with this number.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xd00d);
        Self { nonce: format!("{:016x}{:016x}", random.draw(), random.draw()), old: Vec::new(), used: 0, random }
    }

    /// Looks at a request.
    pub fn check(&mut self, sign_in: &SignIn, request: &Request) -> Found {
        let Some(said) = request.header("authorization") else { return Found::Missing };
        let (scheme, rest) = said.split_once(' ').unwrap_or((said, ""));
        let offers = |s: &[Scheme]| s.iter().any(|s| sign_in.schemes.contains(s));
        if scheme.eq_ignore_ascii_case("basic") {
            let right = format!("{}:{}", sign_in.user, sign_in.password);
            let is_right = offers(&[Scheme::Basic]) && base64::decode(rest.trim()) == right.as_bytes();
            return if is_right { Found::Right } else { Found::Wrong };
        }
        let fields = fields(rest);
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
        let (hash, is_offered): (fn(&str) -> String, _) = match field("algorithm").to_ascii_uppercase().as_str() {
            "SHA-256" => (sha256, offers(&[Scheme::Sha256])),
            _ => (md5, offers(&[Scheme::Md5, Scheme::Md5Named])),
        };
        let whose = hash(&format!("{}:{}:{}", sign_in.user, sign_in.realm, sign_in.password));
        let what = hash(&format!("{}:{}", request.method, field("uri")));
        let nonce = field("nonce");
        let right = if sign_in.qop {
            let (count, own, qop) = (field("nc"), field("cnonce"), field("qop"));
            if qop.is_empty() { String::new() } else { hash(&format!("{whose}:{nonce}:{count}:{own}:{qop}:{what}")) }
        } else {
            hash(&format!("{whose}:{nonce}:{what}"))
        };
        if !is_offered || field("response") != right || field("username") != sign_in.user {
            return Found::Wrong;
        }
        if nonce != self.nonce {
            return if self.old.iter().any(|old| old == nonce) { Found::Stale } else { Found::Wrong };
        }
        self.used += 1;
        let holds = match sign_in.nonces {
            Nonces::Connection => u32::MAX,
            Nonces::Requests(n) => n,
            Nonces::Once => 1,
        };
        if self.used >= holds {
            let new = format!("{:016x}{:016x}", self.random.draw(), self.random.draw());
            self.old.push(std::mem::replace(&mut self.nonce, new));
            self.used = 0;
        }
        Found::Right
    }

    /// The headers that ask for a password.
    pub fn challenges(&self, sign_in: &SignIn, found: Found) -> Vec<String> {
        let realm = sign_in.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let stale = if found == Found::Stale && sign_in.nonces != Nonces::Once { "true" } else { "FALSE" };
        let qop = if sign_in.qop { ", qop=\"auth\"" } else { "" };
        let digest = |algorithm: &str| {
            format!("Digest realm=\"{realm}\", nonce=\"{}\"{algorithm}{qop}, stale={stale}", self.nonce)
        };
        let one = |scheme: &Scheme| match scheme {
            Scheme::Basic => format!("Basic realm=\"{realm}\""),
            Scheme::Md5 => digest(""),
            Scheme::Md5Named => digest(", algorithm=MD5"),
            Scheme::Sha256 => digest(", algorithm=SHA-256"),
        };
        let all: Vec<_> = sign_in.schemes.iter().map(one).collect();
        let all = if sign_in.one_header { vec![all.join(", ")] } else { all };
        all.into_iter().map(|c| format!("WWW-Authenticate: {c}")).collect()
    }
}

/// `name=value` and `name="value"`, with commas between.
fn fields(text: &str) -> Vec<(String, String)> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_ascii_lowercase();
        let after = after.trim_start();
        let (value, left) = if let Some(quoted) = after.strip_prefix('"') {
            let (mut value, mut end, mut escaped) = (String::new(), quoted.len(), false);
            for (at, c) in quoted.char_indices() {
                match c {
                    _ if escaped => {
                        value.push(c);
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    _ => value.push(c),
                }
            }
            (value, &quoted[end..])
        } else {
            let end = after.find(',').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        out.push((name, value));
        rest = left;
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn md5(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

fn sha256(text: &str) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::{fields, md5, sha256};

    #[test]
    fn hashes_are_those_of_the_books() {
        assert_eq!(md5("abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(&sha256("abc")[..16], "ba7816bf8f01cfea");
    }

    #[test]
    fn quotes_and_commas_within_values() {
        let found = fields(r#"username="a\"b, c", realm="x", nc=00000001, qop=auth"#);
        let want = [("username", "a\"b, c"), ("realm", "x"), ("nc", "00000001"), ("qop", "auth")];
        assert_eq!(found, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
}
