//! Which system and browser somebody comes with, as far as `User-Agent` tells: for words that fit, and for nothing else.

/// The system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// iPhone or iPad. Since iPadOS 13 an iPad says that it is a Mac.
    Ios,
    /// Android.
    Android,
    /// Windows.
    Windows,
    /// A Mac.
    Mac,
    /// Linux, and whatever is not known.
    Other,
}

/// Whose warning is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Chrome, Chromium, Opera, Samsung's and others of the same engine; what is not known is taken for it.
    Chrome,
    /// Microsoft's.
    Edge,
    /// Firefox.
    Firefox,
    /// Safari, and other browsers of iOS that show its page.
    Safari,
}

impl System {
    /// Reads the header.
    pub fn of(agent: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| agent.contains(word));
        if has(&["iPhone", "iPad", "iPod"]) {
            Self::Ios
        } else if has(&["Android"]) {
            Self::Android
        } else if has(&["Windows"]) {
            Self::Windows
        } else if has(&["Macintosh"]) {
            Self::Mac
        } else {
            Self::Other
        }
    }
}

impl Browser {
    /// Reads the header.
    pub fn of(agent: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| agent.contains(word));
        if has(&["Edg/", "EdgA/", "EdgiOS/"]) {
            Self::Edge
        } else if has(&["Firefox/", "FxiOS/"]) {
            Self::Firefox
        } else if has(&["Safari/"]) && !has(&["Chrome/", "Chromium/", "CriOS/", "OPR/", "Android"]) {
            Self::Safari
        } else {
            Self::Chrome
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_with_what() {
        for (agent, system, browser) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                System::Ios,
                Browser::Safari,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0.1 Mobile/15E148 Safari/604.1",
                System::Ios,
                Browser::Chrome,
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
                System::Android,
                Browser::Chrome,
            ),
            ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", System::Android, Browser::Firefox),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
                System::Windows,
                Browser::Edge,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                System::Mac,
                Browser::Safari,
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", System::Other, Browser::Firefox),
            ("curl/8.14.1", System::Other, Browser::Chrome),
            ("", System::Other, Browser::Chrome),
        ] {
            assert_eq!((System::of(agent), Browser::of(agent)), (system, browser), "{agent}");
        }
    }
}
