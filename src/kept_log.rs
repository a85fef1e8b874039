//! The log that the box itself keeps, for the page: the last lines in memory, and in a few small files that outlive a restart. Whatever a line
//! says, no password in an address gets in. Files are written seldom and not flushed: a card wears, and the system's own log has all.

use perch_base::clock::{Clock, SystemClock};
use perch_base::files::{Links, make_private_dir, read_small};
use perch_base::sync::lock;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::log::{Level, LogFilter, LogLine, LogPage, MAX_TEXT_BYTES};
use perch_domain::ports::LogPort;
use perch_domain::redact::redact_text;
use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Lines in memory.
const MOST_LINES: usize = 8000;
/// A file that is larger is followed by the next one.
const FILE_BYTES: u64 = 1 << 20;
/// So many files are kept, the one that is written too.
const FILES: usize = 4;

/// The one log of this process: it is kept from its first line on, before anything else is there.
pub fn kept() -> &'static KeptLog {
    static KEPT: LazyLock<KeptLog> = LazyLock::new(KeptLog::default);
    &KEPT
}

/// The lines. Clones share them.
#[derive(Clone, Default)]
pub struct KeptLog(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    /// The oldest first.
    all: VecDeque<LogLine>,
    /// The number of the newest.
    newest: u64,
    /// The newest that stands in a file.
    written: u64,
    folder: Option<PathBuf>,
}

impl Lines {
    fn push(&mut self, mut line: LogLine) {
        self.newest += 1;
        line.n = self.newest;
        self.all.push_back(line);
        if self.all.len() > MOST_LINES {
            self.all.pop_front();
        }
    }
}

fn file(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("{n}.jsonl"))
}

impl KeptLog {
    /// Reads what an earlier process left in the data folder, and writes there from now on. Lines that cannot be read are left out.
    pub fn keep_in(&self, data_dir: &Path) -> Result<()> {
        let folder = data_dir.join("log");
        make_private_dir(&folder).context(ErrorKind::Io, || "the log cannot be kept over a restart")?;
        let mut before: VecDeque<LogLine> = VecDeque::new();
        for n in (0..FILES).rev() {
            let bytes = read_small(&file(&folder, n), 2 * FILE_BYTES, Links::Refuse).unwrap_or_default();
            let lines = bytes.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<LogLine>(line).ok());
            before.extend(lines);
            let too_many = before.len().saturating_sub(MOST_LINES);
            before.drain(..too_many);
        }
        let mut lines = lock(&self.0);
        let last = before.iter().map(|line| line.n).max().unwrap_or(0);
        for line in &mut lines.all {
            line.n += last;
        }
        before.append(&mut lines.all);
        let too_many = before.len().saturating_sub(MOST_LINES);
        before.drain(..too_many);
        (lines.all, lines.newest) = (before, lines.newest + last);
        (lines.written, lines.folder) = (last, Some(folder));
        Ok(())
    }

    /// Writes down what is not in a file yet. Blocks.
    pub fn write_down(&self) -> Result<()> {
        let (folder, pending, newest) = {
            let lines = lock(&self.0);
            let Some(folder) = lines.folder.clone() else { return Ok(()) };
            let pending: Vec<LogLine> = lines.all.iter().filter(|line| line.n > lines.written).cloned().collect();
            (folder, pending, lines.newest)
        };
        if pending.is_empty() {
            return Ok(());
        }
        let failed = || "the log cannot be written down";
        let mut text = Vec::new();
        for line in &pending {
            serde_json::to_writer(&mut text, line).context(ErrorKind::Internal, failed)?;
            text.push(b'\n');
        }
        let now = file(&folder, 0);
        if std::fs::metadata(&now).is_ok_and(|file| file.len() + text.len() as u64 > FILE_BYTES) {
            for n in (0..FILES - 1).rev() {
                // One that is not there is not moved.
                let _ = std::fs::rename(file(&folder, n), file(&folder, n + 1));
            }
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        options.open(&now).and_then(|mut file| file.write_all(&text)).context(ErrorKind::Io, failed)?;
        lock(&self.0).written = newest;
        Ok(())
    }
}

impl LogPort for KeptLog {
    fn page(&self, filter: &LogFilter) -> LogPage {
        filter.page(lock(&self.0).all.iter().rev())
    }
}

/// What a line says, taken from its fields and those of the spans around it.
#[derive(Default)]
struct Said {
    message: String,
    camera: Option<String>,
    who: Option<String>,
    more: String,
}

impl Said {
    fn take(&mut self, field: &str, value: &str) {
        let bare = value.trim_matches('"').to_owned();
        match field {
            "message" => self.message = value.to_owned(),
            "camera" => self.camera = Some(bare),
            "by" => self.who = Some(bare),
            // What tells spans from each other says nothing to people.
            "task" => {}
            _ => drop(write!(self.more, "{}{field}: {value}", if self.more.is_empty() { "" } else { ", " })),
        }
    }

    fn text(&self) -> String {
        let whole =
            if self.more.is_empty() { self.message.clone() } else { format!("{} ({})", self.message, self.more) };
        let mut text = redact_text(&whole);
        if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= MAX_TEXT_BYTES) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value);
    }
}

/// The camera of a span.
struct OfSpan(Option<String>);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for KeptLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut said = Said::default();
        attributes.record(&mut said);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(OfSpan(said.camera));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => return,
        };
        let mut said = Said::default();
        event.record(&mut said);
        let of_spans = || {
            let mut scope = context.event_scope(event)?;
            scope.find_map(|span| span.extensions().get::<OfSpan>().and_then(|of| of.0.clone()))
        };
        let camera = said.camera.clone().or_else(of_spans);
        let line = LogLine { n: 0, at: SystemClock.utc(), level, camera, who: said.who.clone(), text: said.text() };
        lock(&self.0).push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn texts(log: &KeptLog) -> Vec<String> {
        let filter = LogFilter { limit: 100, ..Default::default() };
        log.page(&filter).lines.into_iter().rev().map(|line| line.text).collect()
    }

    fn say(log: &KeptLog, run: impl FnOnce()) {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.clone()), run);
    }

    #[test]
    fn lines_say_who_and_what_and_no_password() {
        let log = KeptLog::default();
        say(&log, || {
            let _span = tracing::info_span!("task", task = "capture door", camera = "door").entered();
            tracing::warn!(url = "rtsp://me:S3CRET@cam/x?token=S3CRET", "camera has no picture");
            tracing::info!(by = %"anna", effects = ?["door is added"], "the settings were changed");
            tracing::debug!("nobody reads this");
        });
        let lines = log.page(&LogFilter { limit: 9, ..Default::default() }).lines;
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[1].level, lines[1].camera.as_deref()), (Level::Warn, Some("door")));
        assert_eq!(lines[1].text, "camera has no picture (url: rtsp://cam/…)");
        assert_eq!(lines[0].who.as_deref(), Some("anna"));
        assert!(lines[0].text.contains("door is added"), "{}", lines[0].text);
    }

    #[test]
    fn a_restart_finds_the_lines_and_few_files_are_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let log = KeptLog::default();
        log.write_down().expect("nowhere to write yet");
        say(&log, || tracing::info!("one"));
        log.keep_in(dir.path()).expect("kept");
        log.write_down().expect("written");
        let again = KeptLog::default();
        say(&again, || tracing::info!("two"));
        std::fs::OpenOptions::new()
            .append(true)
            .open(file(&dir.path().join("log"), 0))
            .expect("there")
            .write_all(b"half a li")
            .expect("written");
        again.keep_in(dir.path()).expect("kept");
        assert_eq!(texts(&again), ["one", "two"]);
        let page = again.page(&LogFilter { limit: 1, ..Default::default() });
        assert_eq!((page.lines[0].n, page.next), (2, Some(2)));
        let long = "x".repeat(MAX_TEXT_BYTES * 2);
        for _ in 0..6 {
            say(&again, || (0..400).for_each(|_| tracing::info!("{long}")));
            again.write_down().expect("written");
        }
        let files: Vec<_> = std::fs::read_dir(dir.path().join("log")).expect("read").flatten().collect();
        assert_eq!(files.len(), FILES);
        assert!(files.iter().all(|f| f.metadata().expect("there").len() <= FILE_BYTES));
        assert!(lock(&again.0).all.len() <= MOST_LINES);
    }
}
