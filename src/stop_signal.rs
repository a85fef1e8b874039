//! SIGINT and SIGTERM: the first has the box end in order, a second one at once.

use perch_base::{ErrorKind, Result, ResultExt};

/// Listens for SIGINT and SIGTERM from now on, whatever is done meanwhile. The first ends what is returned; a second one ends the
/// process at once.
pub fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn next(int: &mut Signal, term: &mut Signal) {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
    }
    let listen = |kind| signal(kind).context(ErrorKind::Internal, || "signals cannot be listened to");
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (first, heard) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        next(&mut int, &mut term).await;
        // Nobody waits any more: the box is ending by itself.
        _ = first.send(());
        next(&mut int, &mut term).await;
        tracing::error!("a second signal: ending at once");
        std::process::exit(130);
    });
    Ok(async move { _ = heard.await })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};
    use std::time::Duration;

    /// Without a listener the signal would end the tests.
    #[tokio::test]
    async fn a_signal_is_heard_from_the_moment_of_listening() {
        let stop = stop_signal().expect("it listens");
        kill_process(getpid(), Signal::TERM).expect("sent");
        tokio::time::timeout(Duration::from_secs(60), stop).await.expect("heard, though nobody waited for it yet");
    }
}
