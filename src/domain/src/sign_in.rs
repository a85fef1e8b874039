//! Signing in at a camera, by RTSP or HTTP: Basic (RFC 7617) and Digest (RFC 7616 and, without `qop`, RFC 2069). Own code, not a crate: those that exist
//! take the first Digest they meet, not the strongest, refuse headers that cameras write every day, and bring hashes of their own
//! beside those of the box.

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};
use perch_base::base64;
use perch_base::secret::{Secret, hex};

/// Challenges of an answer, and parameters of a challenge, that are read.
const MOST: usize = 16;

/// Who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password; empty where there is none.
    pub password: Secret,
}

/// How a challenge wants the password proved, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scheme {
    /// In clear.
    Basic,
    /// Hashed with MD5.
    Md5,
    /// Hashed with SHA-256.
    Sha256,
    /// Hashed with SHA-512/256.
    Sha512,
}

/// A challenge that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Challenge {
    scheme: Scheme,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the camera names it, to be repeated.
    algorithm: Option<String>,
    is_session: bool,
    has_qop: bool,
    is_stale: bool,
}

/// What a refusal (401) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No challenge in it is understood.
    Unknown,
    /// The strongest was chosen.
    Asked {
        /// It calls the nonce too old, or names another one than before.
        new_nonce: bool,
        /// It says that user and password were right.
        stale: bool,
    },
}

/// Answers a camera's challenges.
#[derive(Debug)]
pub struct SignIn {
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    client_nonce: String,
    count: u32,
}

impl SignIn {
    /// With what the URL names, and 16 or more random letters or digits.
    pub fn new(credentials: Option<Credentials>, client_nonce: String) -> Self {
        Self { credentials, challenge: None, client_nonce, count: 0 }
    }

    /// Whether there is somebody to sign in.
    pub fn has_user(&self) -> bool {
        self.credentials.is_some()
    }

    /// Takes the challenges of an answer, its headers `WWW-Authenticate`.
    pub fn challenged<'a>(&mut self, headers: impl Iterator<Item = &'a str>) -> Verdict {
        // The first of the strongest.
        let strongest = headers.flat_map(challenges).take(MOST).rev_max();
        let Some(new) = strongest else { return Verdict::Unknown };
        let stale = new.is_stale && new.scheme != Scheme::Basic;
        let new_nonce = self.challenge.as_ref().is_none_or(|old| old.nonce != new.nonce || old.scheme != new.scheme);
        if new_nonce {
            self.count = 0;
        }
        self.challenge = Some(new);
        Verdict::Asked { new_nonce, stale }
    }

    /// Takes the next nonce that an answer announces (`Authentication-Info`, RFC 7616 3.5).
    pub fn informed(&mut self, header: &str) {
        let next = parameters(header).0.into_iter().find(|(name, _)| name == "nextnonce");
        if let (Some((_, nonce)), Some(challenge)) = (next, &mut self.challenge)
            && challenge.nonce != nonce
        {
            challenge.nonce = nonce;
            self.count = 0;
        }
    }

    /// The value of `Authorization` for a request. `None`: nothing asked for it, or there is nobody to sign in.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let (who, to) = (self.credentials.as_ref()?, self.challenge.as_ref()?);
        let (user, password) = (who.user.as_str(), who.password.expose().as_str());
        if to.scheme == Scheme::Basic {
            return Some(format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes())));
        }
        self.count = self.count.saturating_add(1);
        let (nonce, client, count) = (&to.nonce, &self.client_nonce, format!("{:08x}", self.count));
        let hash = |text: String| hash(to.scheme, text.as_bytes());
        let mut secret = hash(format!("{user}:{}:{password}", to.realm));
        if to.is_session {
            secret = hash(format!("{secret}:{nonce}:{client}"));
        }
        let what = hash(format!("{method}:{uri}"));
        let response = hash(match to.has_qop {
            true => format!("{secret}:{nonce}:{count}:{client}:auth:{what}"),
            false => format!("{secret}:{nonce}:{what}"),
        });
        let (user, realm) = (quoted(user), quoted(&to.realm));
        let mut out = format!(
            "Digest username={user}, realm={realm}, nonce={}, uri=\"{uri}\", response=\"{response}\"",
            quoted(nonce)
        );
        if let Some(algorithm) = &to.algorithm {
            out += &format!(", algorithm={algorithm}");
        }
        if to.has_qop {
            out += &format!(", qop=auth, nc={count}, cnonce=\"{client}\"");
        } else if to.is_session {
            out += &format!(", cnonce=\"{client}\"");
        }
        if let Some(opaque) = &to.opaque {
            out += &format!(", opaque={}", quoted(opaque));
        }
        Some(out)
    }
}

/// The first of the greatest, where [`Iterator::max_by_key`] takes the last.
trait RevMax {
    fn rev_max(self) -> Option<Challenge>;
}

impl<I: Iterator<Item = Challenge>> RevMax for I {
    fn rev_max(self) -> Option<Challenge> {
        self.fold(None, |best: Option<Challenge>, next| match best {
            Some(best) if best.scheme >= next.scheme => Some(best),
            _ => Some(next),
        })
    }
}

fn hash(scheme: Scheme, data: &[u8]) -> String {
    let with = |algorithm| hex(digest::digest(algorithm, data).as_ref());
    match scheme {
        Scheme::Sha512 => with(&digest::SHA512_256),
        Scheme::Sha256 => with(&digest::SHA256),
        Scheme::Md5 | Scheme::Basic => hex(&Md5::digest(data)),
    }
}

/// A quoted string (RFC 9110 5.6.4).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The challenges of one header that are understood: `Digest a="b", c=d, Basic realm="e"`, with or without the commas.
fn challenges(header: &str) -> Vec<Challenge> {
    let mut out = Vec::new();
    let mut rest = header;
    for _ in 0..MOST {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let scheme = token(rest);
        if scheme.is_empty() {
            break;
        }
        let (list, behind) = parameters(rest.get(scheme.len()..).unwrap_or_default());
        rest = behind;
        out.extend(challenge(scheme, &list));
    }
    out
}

fn challenge(scheme: &str, list: &[(String, String)]) -> Option<Challenge> {
    let get = |name: &str| list.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let realm = get("realm").unwrap_or_default();
    let mut out = Challenge {
        scheme: Scheme::Basic,
        realm,
        nonce: String::new(),
        opaque: None,
        algorithm: None,
        is_session: false,
        has_qop: false,
        is_stale: false,
    };
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(out);
    }
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let algorithm = get("algorithm").filter(|a| !a.is_empty());
    let name = algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase();
    let (plain, is_session) = name.strip_suffix("-SESS").map_or((name.as_str(), false), |plain| (plain, true));
    out.scheme = match plain {
        "MD5" => Scheme::Md5,
        "SHA-256" | "SHA256" => Scheme::Sha256,
        "SHA-512-256" => Scheme::Sha512,
        _ => return None,
    };
    let qop = get("qop").unwrap_or_default();
    let mut words = qop.split([',', ' ']).filter(|w| !w.is_empty()).peekable();
    let is_plain = words.peek().is_none();
    out.has_qop = words.any(|w| w.eq_ignore_ascii_case("auth"));
    if !is_plain && !out.has_qop {
        // `auth-int` alone: nobody has seen it at a camera.
        return None;
    }
    // Only letters, digits and hyphens are left: it goes out unquoted.
    out.algorithm = algorithm.map(|a| a.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect());
    out.nonce = get("nonce")?;
    out.opaque = get("opaque");
    out.is_stale = get("stale").is_some_and(|s| s.eq_ignore_ascii_case("true"));
    out.is_session = is_session;
    Some(out)
}

fn token(text: &str) -> &str {
    let end = text.find(|c: char| c.is_whitespace() || c == ',' || c == '=' || c == '"').unwrap_or(text.len());
    &text[..end]
}

/// `a="b", c=d` up to what is no parameter, and that.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let (mut out, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',', ';', '"']);
        let name = token(rest);
        let behind = rest.get(name.len()..).unwrap_or_default().trim_start();
        let Some(value) = behind.strip_prefix('=').filter(|_| !name.is_empty()) else { return (out, rest) };
        let value = value.trim_start();
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        if out.len() < MOST {
            out.push((name.to_ascii_lowercase(), value));
        }
        rest = behind;
    }
}

/// A quoted string behind its first quote, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, c)) = letters.next() {
        match c {
            '"' => return (out, &text[at + 1..]),
            '\\' => out.extend(letters.next().map(|(_, c)| c)),
            _ => out.push(c),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signed(user: &str, password: &str, client: &str, headers: &[&str], method: &str, uri: &str) -> Option<String> {
        let who = Credentials { user: user.into(), password: Secret::new(password.into()) };
        let mut sign_in = SignIn::new(Some(who), client.into());
        sign_in.challenged(headers.iter().copied());
        sign_in.authorization(method, uri)
    }

    #[test]
    fn the_examples_of_the_standards() {
        let client = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let header = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let out = signed("Mufasa", "Circle of Life", client, &[&header(algorithm)], "GET", "/dir/index.html");
            let out = out.expect("signed");
            assert!(out.contains(&format!("response=\"{response}\"")), "{out}");
            assert!(
                out.contains(&format!("algorithm={algorithm}, qop=auth, nc=00000001, cnonce=\"{client}\"")),
                "{out}"
            );
            assert!(out.ends_with("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
        }
        let basic = signed("Aladdin", "open sesame", "x", &["Basic realm=\"WallyWorld\""], "GET", "/");
        assert_eq!(basic.as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        // RFC 2069 as erratum 749 corrects it.
        let old = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let out = signed("Mufasa", "CircleOfLife", "x", &[old], "GET", "/dir/index.html").expect("signed");
        assert!(out.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{out}");
        assert!(!out.contains("qop") && !out.contains("algorithm"));
    }

    #[test]
    fn the_strongest_in_any_order() {
        let (basic, md5, sha) = (
            "Basic realm=\"r\"",
            "Digest realm=\"r\", nonce=\"m\", stale=\"FALSE\"",
            "Digest realm=\"r\" nonce=\"s\" algorithm=\"SHA-256\"",
        );
        for headers in [vec![basic, md5, sha], vec![sha, md5, basic], vec![md5, sha]] {
            let out = signed("u", "p", "c", &headers, "PLAY", "rtsp://h/").expect("signed");
            assert!(out.contains("nonce=\"s\"") && out.contains("algorithm=SHA-256"), "{out}");
            let one = headers.join(", ");
            assert_eq!(signed("u", "p", "c", &[&one], "PLAY", "rtsp://h/").as_ref(), Some(&out), "{one}");
        }
        let unknown = "Digest realm=\"r\", nonce=\"n\", algorithm=SHA3";
        assert!(signed("u", "p", "c", &[unknown, basic], "PLAY", "x").is_some_and(|o| o.starts_with("Basic ")));
        assert_eq!(signed("u", "p", "c", &[unknown, "NTLM", "Digest realm=\"r\""], "PLAY", "x"), None);
        assert!(
            signed("u", "p", "c", &["digest REALM=r,Nonce=m,qop="], "PLAY", "x").is_some_and(|o| !o.contains("qop"))
        );
    }

    #[test]
    fn nonces_are_counted_and_renewed() {
        let who = Credentials { user: "a\"b\\c".into(), password: Secret::new("p".into()) };
        let mut sign_in = SignIn::new(Some(who), "c".into());
        assert_eq!(sign_in.authorization("PLAY", "x"), None);
        let ask = |s: &mut SignIn, header: &str| s.challenged(std::iter::once(header));
        assert_eq!(ask(&mut sign_in, "Negotiate"), Verdict::Unknown);
        let first = "Digest realm=\"r\", nonce=\"1\", qop=\"auth\"";
        assert_eq!(ask(&mut sign_in, first), Verdict::Asked { new_nonce: true, stale: false });
        let sent = sign_in.authorization("PLAY", "x").expect("signed");
        assert!(sent.contains("nc=00000001") && sent.contains("username=\"a\\\"b\\\\c\""), "{sent}");
        assert!(sign_in.authorization("PLAY", "x").expect("signed").contains("nc=00000002"));
        assert_eq!(ask(&mut sign_in, first), Verdict::Asked { new_nonce: false, stale: false });
        let second = "Digest realm=\"r\", nonce=\"2\", qop=\"auth\", stale=TRUE";
        assert_eq!(ask(&mut sign_in, second), Verdict::Asked { new_nonce: true, stale: true });
        assert!(sign_in.authorization("PLAY", "x").expect("signed").contains("nc=00000001"));
        sign_in.informed("nextnonce=\"3\", qop=auth");
        let sent = sign_in.authorization("PLAY", "x").expect("signed");
        assert!(sent.contains("nonce=\"3\"") && sent.contains("nc=00000001"), "{sent}");
    }

    proptest! {
        #[test]
        fn any_header_is_read(header in "\\PC{0,80}", parts in proptest::collection::vec("(Digest|Basic|realm|nonce|=|\"|,| |\\\\|x)", 0..20)) {
            for header in [header, parts.concat(), format!("Digest nonce={}", parts.concat())] {
                let out = signed("u", "p", "c", &[&header], "PLAY", "rtsp://h/");
                prop_assert!(out.is_none_or(|o| !o.contains(['\r', '\n'])));
            }
        }
    }
}
