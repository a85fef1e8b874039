//! The bell: a local datagram socket by which `perch` commands tell the running box that accounts or passwords changed. It
//! carries nothing; the box looks into the database.

use perch_base::files::remove;
use perch_base::{ErrorKind, Result, ResultExt, blocking};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::path::{Path, PathBuf};
use tokio::net::UnixDatagram;

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("bell.sock")
}

/// Listens; only this user may ring. Fails on a disk that cannot be written: the box runs without, and commands that change
/// accounts could not do so either.
pub fn listen(data_dir: &Path) -> Result<UnixDatagram> {
    let path = path(data_dir);
    remove(&path).context(ErrorKind::Io, || format!("{} cannot be replaced", path.display()))?;
    let socket = UnixDatagram::bind(&path).context(ErrorKind::Io, || format!("{} cannot be made", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .context(ErrorKind::Io, || format!("{} cannot be protected", path.display()))?;
    Ok(socket)
}

/// The same; none on a disk that cannot be written, which is said.
pub async fn listen_if_possible(data_dir: &Path) -> Option<UnixDatagram> {
    let data_dir = data_dir.to_path_buf();
    let bell = blocking("listening for commands", move || listen(&data_dir)).await;
    bell.inspect_err(|e| tracing::error!(error = %e, "commands beside the running box are not heard")).ok()
}

/// Waits for a ring; several at once count as one.
pub async fn rung(socket: &UnixDatagram) -> std::io::Result<()> {
    socket.recv(&mut [0; 1]).await?;
    while socket.try_recv(&mut [0; 1]).is_ok() {}
    Ok(())
}

/// Rings. Returns whether a box was listening.
pub fn ring(data_dir: &Path) -> bool {
    StdUnixDatagram::unbound().and_then(|s| s.send_to(b"!", path(data_dir))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rings_reach_the_box_and_a_box_that_is_off_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(!ring(dir.path()));
        let socket = listen(dir.path()).expect("listens");
        assert!(ring(dir.path()) && ring(dir.path()));
        rung(&socket).await.expect("rung");
        assert!(listen(dir.path()).is_ok(), "a stale socket is replaced");
    }
}
