//! SOAP 1.2 as ONVIF has it: envelopes, the password's digest (WS-Security UsernameToken Profile 1.0), and what a fault says.

use crate::xml;
use aws_lc_rs::digest;
use perch_base::base64;
use perch_base::markup::escaped;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind};
use roxmltree::Document;

const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";
const BINARY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// A message with this body, and who signs it.
pub(crate) fn envelope(body: &str, token: Option<&str>) -> String {
    let header = token.map(|token| format!("<s:Header>{token}</s:Header>")).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"{ENVELOPE}\">{header}<s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// Who signs a message: the password is proved by the hash of a nonce, the camera's time and itself.
pub(crate) fn token(user: &str, password: &str, nonce: &[u8; 16], created: Timestamp) -> String {
    let created = seconds_of(created);
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    [&nonce[..], created.as_bytes(), password.as_bytes()].iter().for_each(|part| hash.update(part));
    let (proof, nonce) = (base64::encode(hash.finish().as_ref()), base64::encode(nonce));
    format!(
        "<Security s:mustUnderstand=\"1\" xmlns=\"{SECURITY}\"><UsernameToken><Username>{}</Username>\
         <Password Type=\"{DIGEST}\">{proof}</Password><Nonce EncodingType=\"{BINARY}\">{nonce}</Nonce>\
         <Created xmlns=\"{UTILITY}\">{created}</Created></UsernameToken></Security>",
        escaped(user)
    )
}

/// Whole seconds: some devices read no more of a time.
fn seconds_of(time: Timestamp) -> String {
    let text = time.to_string();
    text.split('.').next().map(|whole| format!("{}Z", whole.trim_end_matches('Z'))).unwrap_or_default()
}

/// What a fault says; `None` where an answer is none. The device's own words stay inside.
pub(crate) fn fault(document: &Document<'_>) -> Option<Error> {
    let fault = xml::all(document.root(), "Fault").next()?;
    let words = xml::text(fault, &["Reason", "Text"]);
    let codes: String = xml::all(fault, "Value").take(4).filter_map(|value| value.text()).collect::<Vec<_>>().join(" ");
    let is = |word: &str| codes.contains(word);
    let error = if is("NotAuthorized") || is("FailedAuthentication") || is("FailedCheck") || is("SenderNotAuthorized") {
        refused()
    } else if is("ActionNotSupported") || is("UnknownAction") {
        Error::new(ErrorKind::Unsupported, "it does not know what its ONVIF service is asked")
    } else {
        Error::new(ErrorKind::Unavailable, "its ONVIF service refuses what it is asked")
    };
    let inside: String = format!("{codes}: {words}").chars().filter(|c| !c.is_control()).take(120).collect();
    Some(error.with_inside(inside))
}

/// User or password are wrong.
pub(crate) fn refused() -> Error {
    let what = "it refuses user and password for ONVIF: check both, and whether ONVIF is switched on for that user";
    Error::new(ErrorKind::Unauthenticated, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the ONVIF Application Programmer's Guide 1.0, 6.1.1.3.
    #[test]
    fn the_password_is_proved_as_the_guide_says() {
        let mut nonce = [0; 16];
        // LKqI6G/AikKCQrN0zqZFlg==
        nonce.copy_from_slice(&[
            0x2c, 0xaa, 0x88, 0xe8, 0x6f, 0xc0, 0x8a, 0x42, 0x82, 0x42, 0xb3, 0x74, 0xce, 0xa6, 0x45, 0x96,
        ]);
        let created = Timestamp::parse("2010-09-16T07:50:45Z").expect("a time");
        let token = token("user", "userpassword", &nonce, created);
        assert!(token.contains(">LKqI6G/AikKCQrN0zqZFlg==<") && token.contains(">2010-09-16T07:50:45Z<"), "{token}");
        assert!(token.contains(">tuOSpGlFlIXsozq4HFNeeGeFLEI=<"), "{token}");
        assert!(!token.contains("userpassword"));
    }

    #[test]
    fn faults_are_told_apart() {
        let of = |code: &str| {
            let text = format!(
                "<e:Envelope xmlns:e=\"{ENVELOPE}\"><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode>\
                 <e:Value>ter:{code}</e:Value></e:Subcode></e:Code><e:Reason><e:Text>no</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
            );
            fault(&xml::parse(&text).expect("read")).map(|e| e.kind())
        };
        assert_eq!(of("NotAuthorized"), Some(ErrorKind::Unauthenticated));
        assert_eq!(of("ActionNotSupported"), Some(ErrorKind::Unsupported));
        assert_eq!(of("Odd"), Some(ErrorKind::Unavailable));
        assert_eq!(fault(&xml::parse(&envelope("<x/>", None)).expect("read")).map(|e| e.kind()), None);
    }
}
