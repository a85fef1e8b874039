//! Copies in a bucket: listed page by page, fetched in ranges, so that a line that breaks costs the last range and not the object.

use super::CopySource;
use bytes::Bytes;
use perch_base::backoff;
use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::ports::{Later, ObjectStore};
use perch_domain::sync::fault::{StoreFault, StoreFaultKind};
use perch_domain::sync::object::StoreResult;
use perch_domain::sync::retry::RetryPauses;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Asked for at a time, at least and at most: a line that breaks is asked for less.
const RANGE_BYTES: (u64, u64) = (64 << 10, 4 << 20);
/// So many ranges in a row that came make the next ones larger.
const LARGER_AFTER: u32 = 8;
/// So many failures in a row end it: with their pauses some minutes without an answer.
const MOST_FAILURES: u32 = 10;
/// A pause is not longer: somebody waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is shared by all that is read from one bucket.
struct Inner {
    // Before the runtime, whose reactor its connections need.
    store: Box<dyn ObjectStore>,
    runtime: Runtime,
    clock: SharedClock,
}

/// A bucket, or the part of it whose keys begin alike.
pub struct CopyBucket {
    inner: Arc<Inner>,
    ranges: Arc<Mutex<Ranges>>,
}

impl CopyBucket {
    /// `open` is called within the bucket's own runtime. Errors like it.
    pub fn open<S: ObjectStore + 'static>(clock: SharedClock, open: impl FnOnce() -> Result<S>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.context(ErrorKind::Io, || "the event loop cannot be made")?;
        let store = {
            let _within = runtime.enter();
            Box::new(open()?)
        };
        let ranges = Ranges { size_bytes: RANGE_BYTES.1, in_a_row: 0 };
        Ok(Self { inner: Arc::new(Inner { store, runtime, clock }), ranges: Arc::new(Mutex::new(ranges)) })
    }
}

impl Inner {
    /// Asks until there is an answer. Errors once asking again makes no sense.
    fn ask<T>(&self, request: impl for<'a> Fn(&'a dyn ObjectStore) -> Later<'a, StoreResult<T>>) -> Result<T> {
        let mut failures = Failures::default();
        loop {
            match self.once(&request) {
                Ok(answer) => return Ok(answer),
                Err(fault) => failures.one_more(fault, self)?,
            }
        }
    }

    fn once<T>(&self, request: impl for<'a> Fn(&'a dyn ObjectStore) -> Later<'a, StoreResult<T>>) -> StoreResult<T> {
        self.runtime.block_on(request(&*self.store))
    }
}

/// Failures in a row.
#[derive(Default)]
struct Failures {
    pauses: RetryPauses,
    count: u32,
}

impl Failures {
    /// Waits before it is tried again. Errors with the failure where that makes no sense (any more).
    fn one_more(&mut self, fault: StoreFault, inner: &Inner) -> Result<()> {
        use StoreFaultKind::{Exists, Missing, Unsupported};
        self.count += 1;
        let again = self.pauses.failed(&fault, backoff::unit());
        let is_final = matches!(fault.kind, Missing | Exists | Unsupported);
        if again.is_stopped || is_final || self.count >= MOST_FAILURES {
            return Err(fault.into_error());
        }
        inner.runtime.block_on(inner.clock.sleep(again.after.min(LONGEST_PAUSE)));
        Ok(())
    }
}

impl CopySource for CopyBucket {
    fn keys(&mut self, prefix: &str, each: &mut dyn FnMut(String) -> Result<()>) -> Result<()> {
        let mut page: Option<String> = None;
        loop {
            let listed = self.inner.ask(|store| store.list(prefix, page.as_deref()))?;
            listed.objects.into_iter().try_for_each(|object| each(object.key))?;
            // A store that answers with the same page for ever is not followed.
            if listed.next.is_none() || listed.next == page {
                return Ok(());
            }
            page = listed.next;
        }
    }

    fn read(&mut self, key: &str) -> Result<Box<dyn Read>> {
        let facts = self.inner.ask(|store| store.facts(key))?;
        let (inner, key, ranges) = (self.inner.clone(), key.to_owned(), self.ranges.clone());
        Ok(Box::new(Object { inner, key, size_bytes: facts.size_bytes, at: 0, piece: Bytes::new(), ranges }))
    }
}

/// How much is asked for next.
struct Ranges {
    size_bytes: u64,
    in_a_row: u32,
}

impl Ranges {
    fn came(&mut self) {
        self.in_a_row += 1;
        if self.in_a_row >= LARGER_AFTER {
            *self = Self { size_bytes: (self.size_bytes * 2).min(RANGE_BYTES.1), in_a_row: 0 };
        }
    }

    fn broke(&mut self) {
        *self = Self { size_bytes: (self.size_bytes / 2).max(RANGE_BYTES.0), in_a_row: 0 };
    }
}

/// An object that is being read; one range of it is in memory.
struct Object {
    inner: Arc<Inner>,
    key: String,
    size_bytes: u64,
    /// Where the next range begins.
    at: u64,
    piece: Bytes,
    ranges: Arc<Mutex<Ranges>>,
}

impl Object {
    /// The next range, none at the end; what broke is asked for again, and less at a time.
    fn next_range(&mut self) -> Result<Bytes> {
        let mut failures = Failures::default();
        while self.at < self.size_bytes {
            let to = self.at.saturating_add(lock(&self.ranges).size_bytes).min(self.size_bytes);
            let (key, at) = (self.key.as_str(), self.at);
            let read = self.inner.once(|store| store.read(key, at, to));
            match read.and_then(|piece| if piece.is_empty() { Err(cut_short()) } else { Ok(piece) }) {
                Ok(piece) => {
                    lock(&self.ranges).came();
                    self.at = at.saturating_add(piece.len() as u64);
                    return Ok(piece);
                }
                Err(fault) => {
                    lock(&self.ranges).broke();
                    failures.one_more(fault, &self.inner)?;
                }
            }
        }
        Ok(Bytes::new())
    }
}

fn cut_short() -> StoreFault {
    StoreFault::new(StoreFaultKind::Unreachable, "reading an object")
}

impl Read for Object {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.next_range().map_err(io::Error::other)?;
        }
        let n = out.len().min(self.piece.len());
        out[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}
