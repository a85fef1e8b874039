//! Calls that may wait for a disk or a device, made on a thread of their own.

use crate::error::{Error, Result};

/// Makes `call` on a blocking thread, so that the runtime's workers go on. What it logs is said of whoever asked. Errors with `Internal`,
/// naming `what`, where it panics. To be called inside the runtime.
pub async fn blocking<T: Send + 'static>(what: &str, call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    let called = tokio::task::spawn_blocking(move || span.in_scope(call)).await;
    called.map_err(|e| Error::internal(format!("{what} panicked")).with_source(e))?
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
}
