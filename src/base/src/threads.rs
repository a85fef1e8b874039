//! Calls that may wait for a disk or a device, or that last, made on a thread of their own.

use crate::error::{Error, ErrorKind, Result, ResultExt};
use tokio::sync::oneshot;

/// Makes `call` on a blocking thread, so that the runtime's workers go on. What it logs is said of whoever asked. Errors with `Internal`,
/// naming `what`, where it panics. To be called inside the runtime.
pub async fn blocking<T: Send + 'static>(what: &str, call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    let called = tokio::task::spawn_blocking(move || span.in_scope(call)).await;
    called.map_err(|e| Error::internal(format!("{what} panicked")).with_source(e))?
}

/// Does `work` from now on, on a thread that is called `name` (Linux shows 15 bytes of it) and belongs to nobody else: for what may hang
/// for good, or lasts. Whoever stops waiting leaves the thread to itself, and what it then answers is dropped on it. Errors with
/// `Unavailable` where the system gives no thread, and with `Internal` where `work` panics.
pub fn on_own_thread<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> {
    let (answer, answered) = oneshot::channel();
    let started = std::thread::Builder::new().name(name.clone()).spawn(move || {
        // Nobody may wait any more.
        let _ = answer.send(work());
    });
    async move {
        started.context(ErrorKind::Unavailable, || format!("the thread `{name}` cannot be started"))?;
        answered.await.map_err(|e| Error::internal(format!("the thread `{name}` panicked")).with_source(e))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_another_thread_and_a_panic_names_what_was_done() {
        let thread = blocking("looking", || Ok(std::thread::current().id())).await.expect("looked");
        assert_ne!(thread, std::thread::current().id());
        let e = blocking("looking", || -> Result<()> { panic!("on purpose") }).await.expect_err("it panicked");
        assert!(e.to_string().starts_with("looking panicked: "), "{e}");
    }
    #[tokio::test]
    async fn a_thread_of_its_own_answers_and_outlives_who_stops_waiting() {
        let name = || std::thread::current().name().map(str::to_owned);
        let heard = on_own_thread("start front".into(), move || Ok(name())).await.expect("answered");
        assert_eq!(heard.as_deref(), Some("start front"));
        let e =
            on_own_thread("breaks".into(), || -> Result<()> { panic!("on purpose") }).await.expect_err("it panicked");
        assert!(e.kind() == ErrorKind::Internal && e.message() == "the thread `breaks` panicked", "{e}");
        let e = on_own_thread("fails".into(), || Err::<(), _>(Error::invalid("no"))).await.expect_err("it fails");
        assert_eq!(e.message(), "no");
        let (done, is_done) = oneshot::channel();
        drop(on_own_thread("goes on".into(), move || Ok(done.send(()))));
        is_done.await.expect("it went on alone");
    }
}
