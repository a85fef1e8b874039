//! The password of a network camera stands in a file of its own, and `{password}` in its address for it: an address can be shown, kept
//! and compared, and the password cannot.

use crate::redact::hides_credentials;
use perch_base::percent;
use perch_base::secret::Secret;
use perch_base::{Error, Result};

/// Stands for the password in an address, where it is percent-encoded.
pub const PLACE: &str = "{password}";
/// Stands for it where it is put in as it is in its file: cameras differ in what they decode.
pub const PLACE_AS_IT_IS: &str = "{password:as-it-is}";

/// Names of parameters in a path or query whose value is a password, or stands for one, in small letters.
const PARAMETERS: [&str; 16] = [
    "password",
    "passphrase",
    "passwd",
    "pass",
    "pwd",
    "psw",
    "pw",
    "loginpas",
    "loginpass",
    "userpwd",
    "token",
    "auth",
    "authbasic",
    "key",
    "apikey",
    "secret",
];

/// How names of keys end in a config file that somebody wrote a password to, in small letters. No key of ours does.
const NAMES: [&str; 8] = ["password", "passwd", "passphrase", "pass", "pwd", "secret", "token", "key"];

/// What stands for `{password}` in the addresses of one camera.
#[derive(Clone, Debug, Default)]
pub struct Password(pub Option<Secret>);

impl Password {
    /// The address with the password in its place, percent-encoded (RFC 3986, 2.1) or as it is. Errors, without the address, where it has
    /// a place for one and there is none.
    pub fn put_into(&self, address: &str) -> Result<String> {
        match &self.0 {
            _ if !has_place(address) => Ok(address.to_owned()),
            Some(password) => {
                let whole = address.replace(PLACE, &encoded(password.expose()));
                Ok(whole.replace(PLACE_AS_IT_IS, password.expose()))
            }
            None => Err(Error::invalid("has {password} in it: `password_file` must name the file that holds it")),
        }
    }
}

/// Whether the place of a password is marked in an address.
pub fn has_place(address: &str) -> bool {
    address.contains(PLACE) || address.contains(PLACE_AS_IT_IS)
}

/// A text percent-encoded as it may stand before the `@` of an address (RFC 3986, 2.1).
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What percent-encoding stands for. Nothing where it is not text.
fn decoded(text: &str) -> Option<String> {
    String::from_utf8(percent::decoded(text)).ok()
}

/// Who signs in with an address: its user and its password, neither of them encoded; empty where there is none.
pub fn login_of(address: &str) -> (String, Secret) {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let plain = |text: &str| decoded(text).unwrap_or_else(|| text.to_owned());
    (plain(user), Secret::new(plain(password)))
}

/// Takes the password out of an address: what is left, with its place marked, and what [`Password::put_into`] needs to make the very same
/// address again. `None` where there is none to be seen.
pub fn take_out_of(address: &str) -> Option<(String, Secret)> {
    let (left, secret) = take_one_out_of(address)?;
    if !has_place(address) && take_one_out_of(&left).is_none() && !hides_credentials(address) {
        return Some((left, secret));
    }
    // More than one, or one that cannot be told from the rest: all of the address is kept apart.
    let (scheme, rest) = address.split_once("://")?;
    (!has_place(address)).then(|| (format!("{scheme}://{PLACE_AS_IT_IS}"), Secret::new(rest.to_owned())))
}

/// Whether a password stands in an address in clear.
pub fn is_in_clear(address: &str) -> bool {
    take_one_out_of(address).is_some() || hides_credentials(address)
}

fn take_one_out_of(address: &str) -> Option<(String, Secret)> {
    let (scheme, rest) = address.split_once("://")?;
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    if let Some((login, host)) = authority.rsplit_once('@')
        && let Some((user, password)) = login.split_once(':')
        && !password.is_empty()
        && !has_place(password)
    {
        let (place, secret) = of_clear(password);
        return Some((format!("{scheme}://{user}:{place}@{host}{path}"), secret));
    }
    let (start, end) = key_of_stream(scheme, path).or_else(|| parameter_of(path))?;
    let (place, secret) = of_clear(&path[start..end]);
    Some((format!("{scheme}://{authority}{}{place}{}", &path[..start], &path[end..]), secret))
}

/// The password that stands like this in an address, and the mark that puts it there again byte for byte.
fn of_clear(text: &str) -> (&'static str, Secret) {
    match decoded(text).filter(|password| encoded(password) == text) {
        Some(password) => (PLACE, Secret::new(password)),
        None => (PLACE_AS_IT_IS, Secret::new(text.to_owned())),
    }
}

/// Where the value of a parameter stands that is a password. Some cameras part their parameters by `_`: there it ends at one behind which
/// the next begins.
fn parameter_of(path: &str) -> Option<(usize, usize)> {
    path.match_indices('=').find_map(|(at, _)| {
        let name = path[..at].rsplit(['/', '?', '&', ';', '_']).next()?.to_ascii_lowercase();
        let start = at + 1;
        let end = path[start..].find(['&', ';', '/', '#', '?']).map_or(path.len(), |n| start + n);
        let begins_another = |n: &usize| {
            let name = path[n + 1..end].split('=').next().unwrap_or_default();
            n + 1 + name.len() < end && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let end = (start..end).filter(|n| path.as_bytes()[*n] == b'_').find(begins_another).unwrap_or(end);
        let value = &path[start..end];
        (PARAMETERS.contains(&name.as_str()) && !value.is_empty() && !has_place(value)).then_some((start, end))
    })
}

/// Where a stream's key stands that lets its holder publish: behind the last slash of an RTMP address, and in SRT's `streamid`, which holds
/// a user and password for many servers.
fn key_of_stream(scheme: &str, path: &str) -> Option<(usize, usize)> {
    let start = match scheme.to_ascii_lowercase().as_str() {
        "rtmp" | "rtmps" => path[..path.find(['?', '#']).unwrap_or(path.len())].rfind('/')? + 1,
        "srt" => path.find("streamid=")? + "streamid=".len(),
        _ => return None,
    };
    let length = if scheme.eq_ignore_ascii_case("srt") { path[start..].find('&') } else { None };
    let key = &path[start..length.map_or(path.len(), |length| start + length)];
    (!key.is_empty() && !has_place(key)).then_some((start, start + key.len()))
}

/// An address as it may be shown: whole where the place of its password is marked, else no more than its host.
pub fn shown(address: &str) -> String {
    match has_place(address) && !is_in_clear(address) {
        true => address.to_owned(),
        false => crate::redact::describe_url(address),
    }
}

/// A text, such as a config file with its comments, with the place of a password wherever an address in it has one in clear, and nothing
/// of what stands at a key that is called like one.
pub fn without_passwords(text: &str) -> String {
    without_named(&without_those_of_addresses(text))
}

/// Whether a key is called like a password. Those that name the file of one are not.
pub fn is_called_like_one(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    NAMES.iter().any(|name| key.ends_with(name))
}

/// A password that somebody wrote to a key of its own: no config has one, but a file that is refused may, and a comment.
fn without_named(text: &str) -> String {
    text.split_inclusive('\n').map(line_without_named).collect()
}

fn line_without_named(line: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some((key_end, value)) = next_value(rest) {
        let key = rest[..key_end].trim_end_matches(['"', '\'']);
        let begins = key.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').map_or(0, |n| n + 1);
        let is_named = is_called_like_one(&key[begins..]);
        let value_end = value + end_of_value(&rest[value..], is_named);
        out.push_str(&rest[..value]);
        out.push_str(if is_named && value_end > value { "\"…\"" } else { &rest[value..value_end] });
        rest = &rest[value_end..];
    }
    out + rest
}

/// Where the next key ends, and its value begins. What stands in quotes is neither, but for keys themselves.
fn next_value(text: &str) -> Option<(usize, usize)> {
    let (mut at, mut quoted) = (0, None);
    for (n, c) in text.char_indices() {
        match quoted {
            _ if n < at => {}
            Some('"') if c == '\\' => at = n + 2,
            Some(quote) if c == quote => quoted = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quoted = Some(c),
            None if c == '=' => {
                let behind = &text[n + 1..];
                let blanks = behind.len() - behind.trim_start_matches([' ', '\t']).len();
                return Some((text[..n].trim_end().len(), n + 1 + blanks));
            }
            None => {}
        }
    }
    None
}

/// Where a value ends on its line: with its quote, else, where all of it is wanted, before what parts it from the next.
fn end_of_value(text: &str, wanted: bool) -> usize {
    let line = text.trim_end_matches(['\r', '\n']).len();
    let Some(quote) = text.chars().next().filter(|c| "\"'".contains(*c)) else {
        return match text.as_bytes().first() {
            // Cameras of a profile are keys that people name.
            Some(b'{') => 0,
            _ if !wanted => 0,
            Some(b'[') => line,
            _ => text[..line].find([',', '}', '#']).unwrap_or(line),
        };
    };
    // Over more than one line: what follows is not TOML of ours.
    if text.starts_with(&quote.to_string().repeat(3)) {
        return line;
    }
    let mut escaped = false;
    for (n, c) in text[..line].char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return n + 1,
            _ => {}
        }
    }
    line
}

fn without_those_of_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let begins = rest[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |n| n + 1);
        let begins = if rest.is_char_boundary(begins) { begins } else { at };
        let (before, url) = rest.split_at(begins);
        let end = url.find(|c: char| c.is_whitespace() || "\"'<>".contains(c)).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        out.push_str(before);
        match take_out_of(url) {
            Some((left, _)) => out.push_str(&left),
            None if is_in_clear(url) => out.push_str(&crate::redact::describe_url(url)),
            None => out.push_str(url),
        }
        rest = after;
    }
    out.push_str(rest);
    out
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
            ("rtsp://me:S3C!RET$B@cam/", "rtsp://me:{password:as-it-is}@cam/", "S3C!RET$B"),
            ("rtsp://me:%FFx@cam/", "rtsp://me:{password:as-it-is}@cam/", "%FFx"),
            (
                "rtsp://cam/user=admin&password=h2&channel=1",
                "rtsp://cam/user=admin&password={password}&channel=1",
                "h2",
            ),
            (
                "rtsp://cam/user=admin_password=h2_channel=1_x.sdp?y",
                "rtsp://cam/user=admin_password={password}_channel=1_x.sdp?y",
                "h2",
            ),
            ("rtsp://cam/user=admin_password=h_2_b", "rtsp://cam/user=admin_password={password}", "h_2_b"),
            ("rtsp://cam/x?Token=abc", "rtsp://cam/x?Token={password}", "abc"),
            ("rtsp://cam/x?ch=1&authbasic=YTpi", "rtsp://cam/x?ch=1&authbasic={password}", "YTpi"),
            ("rtsp://cam/live?loginuse=a&loginpas=b", "rtsp://cam/live?loginuse=a&loginpas={password}", "b"),
            ("rtsp://me:D@cam/a?password=E", "rtsp://{password:as-it-is}", "me:D@cam/a?password=E"),
        ] {
            let (got, secret) = take_out_of(address).expect(address);
            assert_eq!((got.as_str(), secret.expose().as_str()), (left, password));
            assert_eq!(take_out_of(&got).map(|(left, _)| left), None, "once");
            assert_eq!(shown(&got), got);
            assert_eq!(Password(Some(secret)).put_into(&got).expect("a password"), address);
        }
        for plain in ["test", "rtsp://cam/live", "rtsp://me@cam/live?channel=1", "file:/a=b.mp4"] {
            assert_eq!(take_out_of(plain).map(|(left, _)| left), None, "{plain}");
        }
    }

    #[test]
    fn what_is_called_a_password_is_shown_nowhere() {
        for (text, want) in [
            ("password = \"S3CRET\"  # of the yard\r\n", "password = \"…\"  # of the yard\r\n"),
            ("# sub_password='S3C#RET', x\n", "# sub_password=\"…\", x\n"),
            (
                "c = { source = \"a, password = b\", Pass = \"S3C\\\"RET\", fps = 5 }",
                "c = { source = \"a, password = b\", Pass = \"…\", fps = 5 }",
            ),
            ("\"api-key\" = S3CRET\nx = 1", "\"api-key\" = \"…\"\nx = 1"),
            ("token = \"\"\"S3CRET\nx = 1", "token = \"…\"\nx = 1"),
            ("pwd = \"S3CRET", "pwd = \"…\""),
            ("secret = [\"S3CRET\"]", "secret = \"…\""),
        ] {
            assert_eq!(without_passwords(text), want);
        }
        for same in [
            "password_file = \"/a\"\nsub_password_file = '/b'\n",
            "source = \"rtsp://me:{password}@cam/x?password={password}&y=1\"\n",
            "source = 'rtsp://cam/user=a_password={password}_x=1'\n",
            "name = \"the password = 5\"\n[turn]\nsecret_file=\"/c\"",
            "= \"x\"\nkeyframes = 2\n",
            "[profile.away.cameras]\nmonkey = { off = true }\n\"underpass\" = {record = {mode=\"off\"}}\n",
        ] {
            assert_eq!(without_passwords(same), same);
        }
    }

    #[test]
    fn a_text_is_shown_without_passwords_wherever_they_stand() {
        let text = "# source = \"rtsp://me:S3CRET@old/\", é://x\ncamera = [{source='rtsp://a:S3CRET@b/?password=S3CRET'}]\nx = \"rtsp://cam/a\"";
        let got = without_passwords(text);
        assert!(
            !got.contains("S3CRET") && got.contains("rtsp://me:{password}@old/") && got.ends_with("rtsp://cam/a\""),
            "{got}"
        );
        assert_eq!(without_passwords(&got), got);
    }

    #[test]
    fn a_place_without_a_password_is_refused() {
        let e = Password::default().put_into("rtsp://me:{password}@cam/").expect_err("none");
        assert!(e.to_string().contains("password_file"), "{e}");
        assert_eq!(Password::default().put_into("rtsp://cam/").expect("none is needed"), "rtsp://cam/");
    }

    proptest! {
        /// Whatever stands in an address: it is the same again, and what is shown of it never holds the password.
        #[test]
        fn any_address_comes_back(user in "[a-z]{0,4}", password in "[!-?A-~é%]{1,12}", path in "[a-z=&_?]{0,20}") {
            let address = format!("rtsp://{user}:{password}@cam/{path}");
            if let Some((left, secret)) = take_out_of(&address) {
                prop_assert_eq!(Password(Some(secret)).put_into(&left).expect("a place"), address);
                prop_assert!(!is_in_clear(&left), "{}", left);
            }
        }

        #[test]
        fn any_password_can_be_put_in(password in "[^\\p{Cc}]{1,20}") {
            let address = Password(Some(Secret::new(password.clone()))).put_into("rtsp://me:{password}@cam/a").expect("a place");
            let (left, got) = take_out_of(&address).expect("a password");
            prop_assert_eq!((left.as_str(), got.expose()), ("rtsp://me:{password}@cam/a", &password));
        }
    }
}
