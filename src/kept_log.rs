//! The log that the box itself keeps, for the page: the last lines in memory, and in a few small files that outlive a restart. Whatever a line
//! says, no password in an address gets in. Files are written seldom and not flushed: a card wears, and the system's own log has all.

use perch_base::clock::{Clock, SystemClock};
use perch_base::files::{Links, make_private_dir, read_small};
use perch_base::sync::lock;
use perch_base::{ErrorKind, Result, ResultExt, blocking};
use perch_domain::log::{Level, LogFilter, LogLine, LogPage, MAX_TEXT_BYTES};
use perch_domain::ports::LogPort;
use perch_domain::redact::redact_text;
use std::collections::VecDeque;
use std::fmt::{Debug, Display, Write as _};
use std::fs::{File, OpenOptions};
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
/// How far the numbers of two processes are apart: more than what the first may have said and not written before it died, so that whoever
/// asks for what is newer than its last line gets the second one's.
const NUMBERS_APART: u64 = 1_000_000;

/// The one log of this process: it is kept from its first line on, before anything else is there.
pub fn kept() -> &'static KeptLog {
    static KEPT: LazyLock<KeptLog> = LazyLock::new(KeptLog::default);
    &KEPT
}

/// Several of something as a line of the log says them.
pub fn listed<T: Display>(of: &[T]) -> Option<String> {
    let texts: Vec<_> = of.iter().map(T::to_string).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The lines. Clones share them.
#[derive(Clone, Default)]
pub struct KeptLog(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    /// The oldest first.
    all: VecDeque<Arc<LogLine>>,
    /// The number of the newest.
    newest: u64,
    /// The newest that stands in a file.
    written: u64,
    folder: Option<PathBuf>,
    /// What was written last may have ended in the middle of a line.
    may_be_torn: bool,
}

impl Lines {
    fn push(&mut self, mut line: LogLine) {
        self.newest += 1;
        line.n = self.newest;
        self.all.push_back(Arc::new(line));
        if self.all.len() > MOST_LINES {
            self.all.pop_front();
        }
    }
}

fn file(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("{n}.jsonl"))
}

/// The file that is written, and how much it holds, bytes.
fn open(folder: &Path) -> std::io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(file(folder, 0))?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

/// Makes room for a new file; the oldest goes.
fn rotate(folder: &Path) {
    for n in (0..FILES - 1).rev() {
        // One that is not there is not moved.
        let _ = std::fs::rename(file(folder, n), file(folder, n + 1));
    }
}

/// Writes these, a line each, none of which is longer than a file may be; says after each write up to which line. Errors where one cannot be
/// written: those of the same write may be there or not.
fn append(
    folder: &Path,
    may_be_torn: bool,
    lines: &[Arc<LogLine>],
    mut written: impl FnMut(u64),
) -> std::io::Result<()> {
    let (mut to, mut bytes) = open(folder)?;
    // What a crash cut off must not take the next line with it.
    let mut pending: Vec<u8> = if may_be_torn && bytes > 0 { vec![b'\n'] } else { Vec::new() };
    let mut newest = 0;
    for line in lines {
        let text = serde_json::to_vec(&**line)?;
        if bytes + (pending.len() + text.len() + 1) as u64 > FILE_BYTES {
            to.write_all(&pending)?;
            written(newest);
            pending.clear();
            rotate(folder);
            (to, bytes) = open(folder)?;
        }
        pending.extend_from_slice(&text);
        pending.push(b'\n');
        newest = line.n;
    }
    to.write_all(&pending)?;
    written(newest);
    Ok(())
}

impl KeptLog {
    /// Reads what an earlier process left in the data folder, and writes there from now on. Lines that cannot be read are left out.
    pub fn keep_in(&self, data_dir: &Path) -> Result<()> {
        let folder = data_dir.join("log");
        make_private_dir(&folder).context(ErrorKind::Io, || "the log cannot be kept over a restart")?;
        let mut before: VecDeque<Arc<LogLine>> = VecDeque::new();
        for n in (0..FILES).rev() {
            let bytes = read_small(&file(&folder, n), 2 * FILE_BYTES, Links::Refuse).unwrap_or_default();
            for line in bytes.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<LogLine>(line).ok()) {
                // What could not be written whole was written again.
                if before.back().is_none_or(|last| last.n < line.n) {
                    before.push_back(Arc::new(line));
                }
            }
            let too_many = before.len().saturating_sub(MOST_LINES);
            before.drain(..too_many);
        }
        let mut lines = lock(&self.0);
        let last = before.iter().map(|line| line.n).max().map_or(0, |n| n + NUMBERS_APART);
        for line in &mut lines.all {
            Arc::make_mut(line).n += last;
        }
        before.append(&mut lines.all);
        let too_many = before.len().saturating_sub(MOST_LINES);
        before.drain(..too_many);
        (lines.all, lines.newest) = (before, lines.newest + last);
        (lines.written, lines.folder, lines.may_be_torn) = (last, Some(folder), true);
        Ok(())
    }

    /// Writes down what is not in a file yet. Blocks.
    pub fn write_down(&self) -> Result<()> {
        let (folder, pending, may_be_torn) = {
            let mut lines = lock(&self.0);
            let Some(folder) = lines.folder.clone() else { return Ok(()) };
            let pending: Vec<_> = lines.all.iter().filter(|line| line.n > lines.written).cloned().collect();
            if pending.is_empty() {
                return Ok(());
            }
            (folder, pending, std::mem::replace(&mut lines.may_be_torn, true))
        };
        append(&folder, may_be_torn, &pending, |n| lock(&self.0).written = n)
            .context(ErrorKind::Io, || "the log cannot be written down")?;
        lock(&self.0).may_be_torn = false;
        Ok(())
    }
}

impl LogPort for KeptLog {
    fn page(&self, filter: &LogFilter) -> LogPage {
        // Whoever searches holds up nobody who says something.
        let lines = lock(&self.0).all.clone();
        filter.page(lines.iter().rev().map(|line| &**line))
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
            // Nothing is said with it.
            _ if value.is_empty() => {}
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

/// Keeps it in the data folder from now on. On a disk that cannot be written it stays in memory alone.
pub async fn keep(data_dir: &Path) {
    let data_dir = data_dir.to_path_buf();
    if let Err(e) = blocking("reading the log", move || kept().keep_in(&data_dir)).await {
        tracing::warn!(error = %e, "the log of the page ends with the process");
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
            tracing::info!(by = %"anna", effects = listed(&["door is added", "a"]), reason = "", "the settings were changed");
            tracing::debug!("nobody reads this");
        });
        let lines = log.page(&LogFilter { limit: 9, ..Default::default() }).lines;
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[1].level, lines[1].camera.as_deref()), (Level::Warn, Some("door")));
        assert_eq!(lines[1].text, "camera has no picture (url: rtsp://cam/…)");
        assert_eq!(lines[0].who.as_deref(), Some("anna"));
        assert_eq!(lines[0].text, "the settings were changed (effects: door is added; a)");
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
        let second = page.lines[0].n;
        assert!(second > 1 + 8000 && page.next == Some(second), "{page:?}");
        again.write_down().expect("written");
        let third = KeptLog::default();
        third.keep_in(dir.path()).expect("kept");
        assert_eq!(texts(&third), ["one", "two"], "the half line took none with it");
        // More at once than a file holds.
        let long = "x".repeat(MAX_TEXT_BYTES * 2);
        for (writes, lines) in [(6, 400), (1, 3000)] {
            for _ in 0..writes {
                say(&again, || (0..lines).for_each(|_| tracing::info!("{long}")));
                again.write_down().expect("written");
            }
            let files: Vec<_> = std::fs::read_dir(dir.path().join("log")).expect("read").flatten().collect();
            assert_eq!(files.len(), FILES);
            assert!(files.iter().all(|f| f.metadata().expect("there").len() <= FILE_BYTES));
            assert!(lock(&again.0).all.len() <= MOST_LINES);
            let third = KeptLog::default();
            third.keep_in(dir.path()).expect("kept");
            let (read, said) = (lock(&third.0).all.clone(), lock(&again.0).all.clone());
            assert!(read.len() > 1500, "{} lines are read again", read.len());
            assert!(read.iter().rev().eq(said.iter().rev().take(read.len())), "the newest, in their order");
        }
    }
}
