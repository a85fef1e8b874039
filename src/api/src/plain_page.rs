//! The one page that is shown without TLS: what the browser will show next, which button to press, and the box's authority for who
//! would rather have no warning. No script, nothing of the box but what it is called by, and nothing that the caller said but a host
//! that was checked.

use perch_base::markup::escaped;
use perch_domain::authority_files::{AuthorityFile, fingerprint};
use perch_domain::browser::{Browser, System};
use std::fmt::Write as _;

/// For whom the page is.
pub(crate) struct For<'a> {
    pub(crate) system: System,
    pub(crate) browser: Browser,
    /// As URLs write it.
    pub(crate) host: &'a str,
    /// The port of HTTPS.
    pub(crate) port: u16,
    /// 64 hex digits.
    pub(crate) ca_sha256: &'a str,
    /// Where its style sheet is.
    pub(crate) style: &'a str,
}

/// What a browser shows, and what is to be pressed.
struct Warning {
    browser: &'static str,
    title: &'static str,
    /// The button that leads away.
    away: &'static str,
    /// The button to press first.
    first: &'static str,
    /// What to press then; the host is put in for `{}`.
    then: &'static str,
}

const BROWSERS: [Browser; 4] = [Browser::Chrome, Browser::Edge, Browser::Firefox, Browser::Safari];

fn warning(browser: Browser) -> Warning {
    match browser {
        Browser::Chrome => Warning {
            browser: "Chrome and most others",
            title: "Your connection is not private",
            away: "Back to safety",
            first: "Advanced",
            then: "Proceed to {} (unsafe)",
        },
        Browser::Edge => Warning {
            browser: "Edge",
            title: "Your connection isn’t private",
            away: "Go back",
            first: "Advanced",
            then: "Continue to {} (unsafe)",
        },
        Browser::Firefox => Warning {
            browser: "Firefox",
            title: "Warning: Potential Security Risk Ahead",
            away: "Go Back",
            first: "Advanced…",
            then: "Accept the Risk and Continue",
        },
        Browser::Safari => Warning {
            browser: "Safari",
            title: "This Connection Is Not Private",
            away: "Go Back",
            first: "Show Details",
            then: "visit this website",
        },
    }
}

/// The file for a system, and how it is installed, in a sentence; the box's own page has every step.
fn installing(system: System) -> (AuthorityFile, &'static str) {
    match system {
        System::Ios => (
            AuthorityFile::Profile,
            "Allow the profile, install it in Settings (“Profile Downloaded”), then switch it on in Settings, General, About, Certificate Trust Settings.",
        ),
        System::Android => (
            AuthorityFile::Der,
            "Then open Settings, search for “CA certificate”, choose “Install anyway” and pick perch-ca.crt.",
        ),
        System::Windows => (
            AuthorityFile::Der,
            "Open it, then “Install Certificate”, “Current User”, and place it in “Trusted Root Certification Authorities”.",
        ),
        System::Mac => (
            AuthorityFile::Der,
            "Open it: Keychain Access keeps it. Double-click it there, open “Trust” and choose “Always Trust”.",
        ),
        System::Other => (
            AuthorityFile::Der,
            "Firefox asks at once whether to trust it: tick “websites”. Chrome: chrome://certificate-manager, “Installed by you”, Import.",
        ),
    }
}

/// The page.
pub(crate) fn render(page: &For<'_>) -> String {
    let (host, w) = (escaped(page.host), warning(page.browser));
    let link = format!("https://{host}:{}/", page.port);
    let (file, how) = installing(page.system);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"dark light\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>Perch: before you open your box</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"{style}\">\n</head>\n<body>\n<main>\n\
         <p class=\"mark\">Perch</p>\n\
         <h1>Your browser is about to warn you. That is expected.</h1>\n\
         <p>Your box encrypts everything with a certificate that it made itself, so that nobody else holds a key to your pictures. \
         This browser does not know that certificate yet, and shows a warning in place of the page. This is what you do then:</p>\n\
         {drawing}\n{steps}\n\
         <p><a class=\"button\" href=\"{link}\">Open the box</a></p>\n\
         <p class=\"muted\">It opens {link}</p>\n\
         <details>\n<summary>Another browser?</summary>\n",
        style = page.style,
        drawing = drawing(&w, &host),
        steps = steps(&w, &host),
    );
    for other in BROWSERS.into_iter().filter(|b| *b != page.browser) {
        let w = warning(other);
        let _ = write!(out, "<h3>{}</h3>\n{}\n", w.browser, steps(&w, &host));
    }
    let _ = write!(
        out,
        "</details>\n<h2>Rather no warning at all?</h2>\n\
         <p>Let this device trust the box first: download its certificate, and install it. {how}</p>\n\
         <p><a class=\"button quiet\" href=\"{path}\">Download {name}</a></p>\n\
         <p class=\"muted\">Your device shows a SHA-256 fingerprint while it installs the certificate. It must be the one on the box’s \
         screen. Somebody between you and the box could have changed this page; they cannot change that screen.</p>\n\
         <p class=\"mono\">{fingerprint}</p>\n\
         </main>\n</body>\n</html>\n",
        path = file.path(),
        name = file.name(),
        fingerprint = escaped(&fingerprint(page.ca_sha256)).replace(':', ":<wbr>"),
    );
    out
}

fn steps(w: &Warning, host: &str) -> String {
    format!(
        "<ol>\n<li>It says “{}”. Do not press “{}”; press <b>{}</b>.</li>\n<li>Then press <b>{}</b>.</li>\n</ol>",
        w.title,
        w.away,
        w.first,
        w.then.replace("{}", host)
    )
}

/// A sketch of the warning with the two places to press.
fn drawing(w: &Warning, host: &str) -> String {
    // What does not fit would run out of the drawing.
    let then = w.then.replace("{}", host);
    let then = if then.chars().count() > 34 { w.then.replace("{}", "…") } else { then };
    format!(
        "<svg class=\"drawing\" viewBox=\"0 0 320 196\" role=\"img\" aria-label=\"The warning: press {first}, then {then}\">\n\
         <rect class=\"window\" x=\"1\" y=\"1\" width=\"318\" height=\"194\" rx=\"10\"/>\n\
         <path class=\"line\" d=\"M1 28h318\"/>\n<circle class=\"dim\" cx=\"16\" cy=\"15\" r=\"4\"/>\n\
         <rect class=\"dim\" x=\"30\" y=\"9\" width=\"276\" height=\"12\" rx=\"6\"/>\n\
         <path class=\"bad\" d=\"M36 44l15 26H21z\"/>\n<text class=\"mark-text\" x=\"36\" y=\"66\" text-anchor=\"middle\">!</text>\n\
         <text class=\"title\" x=\"62\" y=\"62\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\">{title}</text>\n\
         <path class=\"dim-line\" d=\"M22 84h250M22 94h196\"/>\n\
         <rect class=\"away\" x=\"196\" y=\"110\" width=\"104\" height=\"26\" rx=\"6\"/>\n\
         <text class=\"away-text\" x=\"248\" y=\"127\" text-anchor=\"middle\">{away}</text>\n\
         <path class=\"strike\" d=\"M192 140l112-34\"/>\n\
         <rect class=\"press\" x=\"44\" y=\"110\" width=\"108\" height=\"26\" rx=\"6\"/>\n\
         <text class=\"press-text\" x=\"98\" y=\"127\" text-anchor=\"middle\">{first}</text>\n\
         <circle class=\"number\" cx=\"26\" cy=\"123\" r=\"11\"/>\n<text class=\"number-text\" x=\"26\" y=\"127\" text-anchor=\"middle\">1</text>\n\
         <circle class=\"number\" cx=\"26\" cy=\"165\" r=\"11\"/>\n<text class=\"number-text\" x=\"26\" y=\"169\" text-anchor=\"middle\">2</text>\n\
         <text class=\"link\" x=\"46\" y=\"169\">{then}</text>\n</svg>",
        first = w.first,
        away = w.away,
        title = w.title,
        width = (w.title.chars().count() * 7).min(240),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(system: System, browser: Browser, host: &str) -> String {
        render(&For { system, browser, host, port: 8443, ca_sha256: &"ab".repeat(32), style: "/s.css" })
    }

    #[test]
    fn each_browser_is_told_its_own_buttons_first() {
        for (browser, first, then) in [
            (Browser::Chrome, "Advanced", "Proceed to box.local (unsafe)"),
            (Browser::Edge, "Advanced", "Continue to box.local (unsafe)"),
            (Browser::Firefox, "Advanced…", "Accept the Risk and Continue"),
            (Browser::Safari, "Show Details", "visit this website"),
        ] {
            let text = page(System::Other, browser, "box.local");
            let before = text.split("<details>").next().expect("the first part");
            assert!(
                before.contains(&format!("<b>{first}</b>")) && before.contains(&format!("<b>{then}</b>")),
                "{text}"
            );
            assert_eq!(text.matches("<ol>").count(), 4, "and the others behind");
        }
    }

    #[test]
    fn each_system_gets_the_file_that_it_takes() {
        for (system, path) in [
            (System::Ios, "/api/v1/ca.mobileconfig"),
            (System::Android, "/api/v1/ca.crt"),
            (System::Windows, "/api/v1/ca.crt"),
            (System::Mac, "/api/v1/ca.crt"),
            (System::Other, "/api/v1/ca.crt"),
        ] {
            let text = page(system, Browser::Chrome, "box.local");
            assert!(text.contains(&format!("href=\"{path}\"")), "{system:?}");
        }
    }

    #[test]
    fn there_is_no_script_and_nothing_foreign_is_markup() {
        let text = page(System::Other, Browser::Chrome, "\"><script>&'");
        assert!(!text.contains("<script") && text.contains("&quot;&gt;&lt;script&gt;&amp;&#39;"), "{text}");
        for attribute in [" style=", " onclick=", " onload=", "javascript:"] {
            assert!(!text.contains(attribute), "{attribute}");
        }
    }
}
