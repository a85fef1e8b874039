//! Sign-in.

use super::norm;
use crate::case::{Case, Kind, Right};
use crate::media::Absent;
use crate::model::{Model, Nonces, Scheme, SignIn};

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::SignIn, right, about, model)
}

fn asks(schemes: &[Scheme], change: fn(&mut SignIn)) -> Result<Model, Absent> {
    let mut sign_in = SignIn::by(schemes);
    change(&mut sign_in);
    Ok(norm()?.mannered(|m| m.sign_in = Some(sign_in)))
}

fn as_it_is(_: &mut SignIn) {}

use Scheme::{Basic, Md5, Md5Named, Sha256};

pub const CASES: &[Case] = &[
    case("basic", Right::NORMAL, "Basic", || asks(&[Basic], as_it_is)),
    case("md5", Right::NORMAL, "Digest, MD5", || asks(&[Md5], as_it_is)),
    case("md5qop", Right::NORMAL, "Digest, MD5 said so, qop", || asks(&[Md5Named], |s| s.qop = true)),
    case("sha256", Right::NORMAL.beyond_ffmpeg(), "Digest, SHA-256 only", || asks(&[Sha256], as_it_is)),
    case("sha256qop", Right::NORMAL.beyond_ffmpeg(), "Digest, SHA-256 only, qop", || asks(&[Sha256], |s| s.qop = true)),
    case("both", Right::NORMAL, "Digest, SHA-256 and then MD5", || asks(&[Sha256, Md5], as_it_is)),
    case("both2", Right::NORMAL.beyond_ffmpeg(), "Digest, MD5 and then SHA-256", || asks(&[Md5, Sha256], as_it_is)),
    case("basicmd5", Right::NORMAL, "Basic and then Digest", || asks(&[Basic, Md5], as_it_is)),
    case("oneheader", Right::NORMAL, "Basic and Digest in one header", || asks(&[Basic, Md5], |s| s.one_header = true)),
    case("optionstoo", Right::NORMAL, "OPTIONS wants a password too", || asks(&[Md5], |s| s.options_too = true)),
    case("stale", Right::NORMAL, "a nonce holds for three requests, then stale=true", || {
        asks(&[Md5], |s| s.nonces = Nonces::Requests(3))
    }),
    case("nonceonce", Right::NORMAL.beyond_ffmpeg(), "a nonce holds for one request, and stale is never said", || {
        asks(&[Md5], |s| s.nonces = Nonces::Once)
    }),
    case("oddrealm", Right::NORMAL.beyond_ffmpeg(), "quotes, commas and equal signs in the realm", || {
        asks(&[Md5], |s| s.realm = "Login to \"cam\", id=7, x")
    }),
    case("oddpassword", Right::NORMAL, "every special character in the password", || {
        asks(&[Md5], |s| (s.password, s.said) = ("p@ss:w/o#r?d%&+ \"'\\;$é§", "p@ss:w/o#r?d%&+ \"'\\;$é§"))
    }),
    case("odduser", Right::NORMAL, "special characters in the user and the password, Basic", || {
        asks(&[Basic], |s| (s.user, s.password, s.said) = ("op@home/x", "a:b@c", "a:b@c"))
    }),
    case("nopassword", Right::NORMAL, "an empty password", || asks(&[Md5], |s| (s.password, s.said) = ("", ""))),
    case("wrongpassword", Right::none("password"), "the URL's password is wrong: asked for once", || {
        asks(&[Md5], |s| s.said = "wrong")
    }),
    case("wrongbasic", Right::none("password"), "the same with Basic and Digest", || {
        asks(&[Basic, Md5, Sha256], |s| s.said = "wrong")
    }),
    case("forbidden", Right::none("403"), "the user may not: 403", || {
        Ok(norm()?.mannered(|m| m.refusals = vec![("DESCRIBE", "403 Forbidden", u32::MAX)]))
    }),
    case("emptyrealm", Right::NORMAL, "an empty realm", || asks(&[Md5], |s| s.realm = "")),
    case(
        "oddchallenge",
        Right::NORMAL.beyond_ffmpeg(),
        "a challenge in odd letters, with more fields and spaces around equal signs",
        || {
            let model = asks(&[Md5], as_it_is)?;
            Ok(model.mannered(|m| {
                m.edit = Some(|_, head| {
                    head.replace("Digest realm=", "DIGEST domain=\"/\", opaque=\"5ccc\", Realm = ")
                        .replace("stale=FALSE", "stale=false,x=\"y\"")
                });
            }))
        },
    ),
    case("nochallenge", Right::none("password"), "401 without a word of how to sign in", || {
        let model = asks(&[Md5], as_it_is)?;
        let silent = |_: &str, head: String| {
            head.split("\r\n").filter(|l| !l.starts_with("WWW-")).collect::<Vec<_>>().join("\r\n")
        };
        Ok(model.mannered(|m| m.edit = Some(silent)))
    }),
];
