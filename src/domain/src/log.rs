//! The box's own log as an owner reads it: lines with who and what, and which of them a question is about.

use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What happens.
    Info,
    /// Something went wrong and was put right.
    Warn,
    /// A person must act.
    Error,
}

impl Level {
    /// As a question names them.
    pub const WORDS: [&str; 3] = ["info", "warn", "error"];

    /// The one of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .zip(Self::WORDS)
            .find(|(_, w)| *w == word)
            .map(|(level, _)| level)
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts up, over restarts too.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// How bad.
    pub level: Level,
    /// The camera that it is about.
    pub camera: Option<String>,
    /// Whose doing it is.
    pub who: Option<String>,
    /// The sentence, with its further facts behind.
    pub text: String,
}

/// The longest text of a line, bytes: what is longer is cut off.
pub const MAX_TEXT_BYTES: usize = 2000;
/// The largest number of a line: what JSON's readers hold without loss (RFC 8259, section 6).
pub const MAX_LINE: u64 = (1 << 53) - 1;
/// The longest word that is searched for, characters.
pub const MAX_WORD_CHARS: usize = 100;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this one.
    pub to: Option<Timestamp>,
    /// As bad as this at least.
    pub level: Option<Level>,
    /// Of this camera.
    pub camera: Option<String>,
    /// Whose name holds this.
    pub who: Option<String>,
    /// Whose text holds this.
    pub what: Option<String>,
    /// Older than the line of this number.
    pub before: Option<u64>,
    /// Newer than the line of this number.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Some lines, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// What to name as `before` for the next page; none: there is no older one that fits.
    pub next: Option<u64>,
}

impl LogFilter {
    fn fits(&self, line: &LogLine) -> bool {
        let holds = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|w| text.to_lowercase().contains(&w.to_lowercase()))
        };
        self.from.is_none_or(|from| line.at >= from)
            && self.to.is_none_or(|to| line.at < to)
            && self.level.is_none_or(|level| line.level >= level)
            && self.camera.as_ref().is_none_or(|camera| line.camera.as_ref() == Some(camera))
            && (self.who.is_none() || line.who.as_ref().is_some_and(|who| holds(&self.who, who)))
            && holds(&self.what, &line.text)
            && self.before.is_none_or(|n| line.n < n)
            && self.after.is_none_or(|n| line.n > n)
    }

    /// The page of `lines`, which come the newest first.
    pub fn page<'l>(&self, lines: impl Iterator<Item = &'l LogLine>) -> LogPage {
        let mut fitting = lines.filter(|line| self.fits(line));
        let taken: Vec<LogLine> = fitting.by_ref().take(self.limit).cloned().collect();
        let next = fitting.next().and(taken.last()).map(|line| line.n);
        LogPage { lines: taken, next }
    }
}

/// The number of a line. Errors with the rule.
pub fn line_number(text: &str) -> Result<u64> {
    let number = text.parse().ok().filter(|n| (1..=MAX_LINE).contains(n));
    number.ok_or_else(|| Error::invalid(format!("must be a number from 1 to {MAX_LINE}")))
}

/// A word to be searched for. Errors with the rule.
pub fn word(text: &str) -> Result<String> {
    match text.chars().count() <= MAX_WORD_CHARS && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Error::invalid(format!("must be at most {MAX_WORD_CHARS} characters that are seen"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64, level: Level, camera: Option<&str>, who: Option<&str>, text: &str) -> LogLine {
        let own = |text: Option<&str>| text.map(str::to_owned);
        LogLine { n, at: Timestamp(n as i64 * 1_000_000), level, camera: own(camera), who: own(who), text: text.into() }
    }

    #[test]
    fn questions() {
        let lines = [
            line(1, Level::Info, None, Some("anna"), "the settings were changed"),
            line(2, Level::Warn, Some("door"), None, "camera has no picture"),
            line(3, Level::Error, None, None, "the disk is full"),
            line(4, Level::Info, Some("yard"), Some("Ben"), "Camera removed"),
        ];
        let ask = |filter: LogFilter| {
            let limit = if filter.limit == 0 { 10 } else { filter.limit };
            let page = LogFilter { limit, ..filter }.page(lines.iter().rev());
            (page.lines.iter().map(|l| l.n).collect::<Vec<_>>(), page.next)
        };
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(ask(LogFilter::default()), (vec![4, 3, 2, 1], None));
        assert_eq!(ask(LogFilter { limit: 2, ..Default::default() }), (vec![4, 3], Some(3)));
        assert_eq!(ask(LogFilter { limit: 2, before: Some(3), ..Default::default() }), (vec![2, 1], None));
        assert_eq!(ask(LogFilter { after: Some(2), ..Default::default() }), (vec![4, 3], None));
        assert_eq!(ask(LogFilter { level: Some(Level::Warn), ..Default::default() }), (vec![3, 2], None));
        assert_eq!(ask(LogFilter { camera: own("door"), ..Default::default() }), (vec![2], None));
        assert_eq!(ask(LogFilter { who: own("ben"), ..Default::default() }), (vec![4], None));
        assert_eq!(ask(LogFilter { what: own("CAMERA"), ..Default::default() }), (vec![4, 2], None));
        let (from, to) = (Some(Timestamp(2_000_000)), Some(Timestamp(4_000_000)));
        assert_eq!(ask(LogFilter { from, to, ..Default::default() }), (vec![3, 2], None));
        assert!(word(&"x".repeat(101)).is_err() && word("a\nb").is_err() && word("Tür").is_ok());
        assert_eq!(Level::parse("warn"), Some(Level::Warn));
        assert_eq!(line_number("5000000000").ok(), Some(5_000_000_000));
        assert!(["0", "-1", "x", "9007199254740992"].iter().all(|text| line_number(text).is_err()));
    }
}
