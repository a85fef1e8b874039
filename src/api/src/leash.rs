//! What ends an answer that is being sent to a device that loses its access, however slowly it reads: what lies in a socket's buffers would go on
//! for seconds after the last piece was made, so the connection is reset.

use crate::connection::Connection;
use crate::revoke::Watch;
use crate::state::AppState;
use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use perch_base::ids::DeviceId;
use perch_base::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long after the revocation a connection is reset: what else is being answered on it (the goodbye itself, say) gets through first.
const RESET_AFTER: Duration = Duration::from_millis(500);

/// Holds one answer; dropped with it.
pub(crate) struct Leash {
    watch: Watch,
    /// It was heard.
    is_over: bool,
    waits: AbortHandle,
}

impl Leash {
    /// Of an answer to `device` over this connection.
    pub(crate) fn new(app: &AppState, device: DeviceId, connection: &Arc<Connection>) -> Self {
        let (mut heard, connection) = (app.revocations.watch(device), Arc::clone(connection));
        let waits = tokio::spawn(async move {
            heard.revoked().await;
            connection.ends_with_reset();
            connection.clock().sleep(RESET_AFTER).await;
            connection.reset();
        });
        Self { watch: app.revocations.watch(device), is_over: false, waits: waits.abort_handle() }
    }

    /// Whether the device lost its access by now.
    pub(crate) fn is_revoked(&mut self) -> bool {
        self.is_over |= self.watch.is_revoked();
        self.is_over
    }

    /// Returns once it did.
    pub(crate) async fn revoked(&mut self) {
        if !self.is_over {
            self.watch.revoked().await;
            self.is_over = true;
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // The last of what was sent may still be under way.
        if !self.is_revoked() {
            self.waits.abort();
        }
    }
}

/// What is there already.
pub(crate) fn body(whole: Bytes, leash: Leash) -> Body {
    let mut whole = Some(whole);
    body_of(move || whole.take().map(Ok), leash)
}

/// Pieces that are there already; whichever is an error is the last.
pub(crate) fn body_of(next: impl FnMut() -> Option<Result<Bytes>> + Send + Unpin + 'static, leash: Leash) -> Body {
    Body::from_stream(Pieces { next: Some(next), leash })
}

struct Pieces<F> {
    /// None after an error.
    next: Option<F>,
    leash: Leash,
}

impl<F: FnMut() -> Option<Result<Bytes>> + Unpin> Stream for Pieces<F> {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let piece = next();
        let piece = if self.leash.is_revoked() { Some(Err(cut_off())) } else { piece };
        if piece.as_ref().is_none_or(Result::is_err) {
            self.next = None;
        }
        Poll::Ready(piece)
    }
}

/// Why an answer broke off.
pub(crate) fn cut_off() -> Error {
    Error::new(ErrorKind::Forbidden, "the device lost its access while it read")
}
