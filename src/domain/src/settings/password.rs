//! The password of a network camera stands in a file of its own, and `{password}` in its address for it: an address can be shown, kept
//! and compared, and the password cannot.

use perch_base::secret::Secret;
use perch_base::{Error, Result};

/// Stands for the password in an address.
pub const PLACE: &str = "{password}";

/// Names of parameters in a path or query whose value is a password, in small letters.
const PARAMETERS: [&str; 7] = ["password", "passwd", "pass", "pwd", "psw", "token", "auth"];

/// What stands for `{password}` in the addresses of one camera.
#[derive(Clone, Debug, Default)]
pub struct Password(pub Option<Secret>);

impl Password {
    /// The address with the password in its place, percent-encoded (RFC 3986, 2.1). Errors, without the address, where it has a place for
    /// one and there is none.
    pub fn put_into(&self, address: &str) -> Result<String> {
        match &self.0 {
            _ if !address.contains(PLACE) => Ok(address.to_owned()),
            Some(password) => Ok(address.replace(PLACE, &encoded(password.expose()))),
            None => Err(Error::invalid("has {password} in it: `password_file` must name the file that holds it")),
        }
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What percent-encoding stands for; what is none stands for itself. Nothing where it is not text.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digit = |n: usize| bytes.get(at + n).and_then(|b| char::from(*b).to_digit(16));
        match (*byte == b'%').then(|| digit(1).zip(digit(2))).flatten() {
            Some((high, low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// Takes the password out of an address: what is left, with its place marked, and the password. `None` where there is none to be seen.
pub fn take_out_of(address: &str) -> Option<(String, Secret)> {
    let (scheme, rest) = address.split_once("://")?;
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    if let Some((login, host)) = authority.rsplit_once('@')
        && let Some((user, password)) = login.split_once(':')
        && !password.is_empty()
        && password != PLACE
    {
        let secret = Secret::new(decoded(password)?);
        return Some((format!("{scheme}://{user}:{PLACE}@{host}{path}"), secret));
    }
    let (start, end) = parameter_of(path)?;
    let secret = Secret::new(decoded(&path[start..end])?);
    Some((format!("{scheme}://{authority}{}{PLACE}{}", &path[..start], &path[end..]), secret))
}

/// Where the value of a parameter stands that is a password.
fn parameter_of(path: &str) -> Option<(usize, usize)> {
    path.match_indices('=').find_map(|(at, _)| {
        let name = path[..at].rsplit(['/', '?', '&', ';', '_']).next()?.to_ascii_lowercase();
        let start = at + 1;
        let end = path[start..].find(['&', ';', '/', '#', '?']).map_or(path.len(), |n| start + n);
        let value = &path[start..end];
        (PARAMETERS.contains(&name.as_str()) && !value.is_empty() && value != PLACE).then_some((start, end))
    })
}

/// An address as it may be shown: whole where the place of its password is marked, else no more than its host.
pub fn shown(address: &str) -> String {
    match address.contains(PLACE) && take_out_of(address).is_none() {
        true => address.to_owned(),
        false => crate::redact::describe_url(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn passwords_are_taken_out_and_put_back() {
        for (address, left, password) in [
            ("rtsp://me:pw@cam:554/live", "rtsp://me:{password}@cam:554/live", "pw"),
            ("rtsp://me:p%40s%3As@cam/", "rtsp://me:{password}@cam/", "p@s:s"),
            (
                "rtsp://cam/user=admin&password=h2&channel=1",
                "rtsp://cam/user=admin&password={password}&channel=1",
                "h2",
            ),
            (
                "rtsp://cam/user=admin_password=h2_channel=1",
                "rtsp://cam/user=admin_password={password}",
                "h2_channel=1",
            ),
            ("rtsp://cam/x?Token=abc", "rtsp://cam/x?Token={password}", "abc"),
        ] {
            let (got, secret) = take_out_of(address).expect(address);
            assert_eq!((got.as_str(), secret.expose().as_str()), (left, password));
            assert_eq!(take_out_of(&got).map(|(left, _)| left), None, "once");
            assert_eq!(shown(&got), got);
            let back = Password(Some(secret)).put_into(&got).expect("a password");
            assert_eq!(decoded(&back), decoded(address));
        }
        for plain in ["test", "rtsp://cam/live", "rtsp://me@cam/live?channel=1", "file:/a=b.mp4"] {
            assert_eq!(take_out_of(plain).map(|(left, _)| left), None, "{plain}");
        }
    }

    #[test]
    fn a_place_without_a_password_is_refused() {
        let e = Password::default().put_into("rtsp://me:{password}@cam/").expect_err("none");
        assert!(e.to_string().contains("password_file"), "{e}");
        assert_eq!(Password::default().put_into("rtsp://cam/").expect("none is needed"), "rtsp://cam/");
    }

    proptest! {
        #[test]
        fn any_password_comes_back(password in "[^\\p{Cc}]{1,20}", path in "[a-z/?=&_{}]{0,30}") {
            let address = Password(Some(Secret::new(password.clone())))
                .put_into(&format!("rtsp://me:{PLACE}@cam/{}", path.replace(PLACE, "")))
                .expect("a place");
            let (left, got) = take_out_of(&address).expect("a password");
            prop_assert_eq!(got.expose(), &password);
            let kept = left.starts_with(&format!("rtsp://me:{PLACE}@cam/"));
            prop_assert!(kept, "{}", left);
        }
    }
}
