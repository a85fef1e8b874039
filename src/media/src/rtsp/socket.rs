//! What is done to a reader's TCP socket: time limits, a bounded send buffer, and how much the reader took.

use glib::translate::ToGlibPtr;
use gstreamer_rtsp_server::{self as rtsp_server, gio, glib, gst_rtsp};
use socket2::{Socket, TcpKeepalive};
use std::net::{IpAddr, Shutdown};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Data that the peer's kernel does not take for this long ends the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// What the kernel holds for one reader: 2 s of 1 Mbit/s, and any keyframe (it doubles the figure for its own accounts).
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// A second handle on the socket of a client, if it still has one. Whoever holds it must let go when the client is closed.
pub(super) fn of(client: &rtsp_server::RTSPClient) -> Option<Socket> {
    // SAFETY: `client` is a live object; both calls take a valid pointer and return one that lives as long as the client's
    // connection, or NULL. The connection lives until the client is closed on its own thread, which has not read from it yet.
    // The descriptor is borrowed only to be duplicated.
    unsafe {
        let connection = rtsp_server::ffi::gst_rtsp_client_get_connection(client.to_glib_none().0);
        if connection.is_null() {
            return None;
        }
        let socket = gst_rtsp::ffi::gst_rtsp_connection_get_read_socket(connection);
        if socket.is_null() {
            return None;
        }
        let fd = gio::ffi::g_socket_get_fd(socket);
        (fd >= 0).then(|| BorrowedFd::borrow_raw(fd).try_clone_to_owned().ok()).flatten().map(Socket::from)
    }
}

/// Sets time limits and buffer. A socket that refuses is still served: the sweep finds readers that take nothing.
pub(super) fn tune(socket: &Socket) -> std::io::Result<()> {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)
}

/// Who is at the other end, for logs.
pub(super) fn peer(socket: &Socket) -> String {
    let address = socket.peer_addr().ok().and_then(|a| a.as_socket());
    address.map_or_else(|| "unknown".into(), |a| a.to_string())
}

/// Where it comes from.
pub(super) fn address(socket: &Socket) -> Option<IpAddr> {
    socket.peer_addr().ok().and_then(|a| a.as_socket()).map(|a| a.ip())
}

/// Ends the connection from any thread: its own thread sees the end and cleans up.
pub(super) fn shut(socket: &Socket) {
    // A connection that has ended already is what was wanted.
    let _ = socket.shutdown(Shutdown::Both);
}

/// Bytes the peer acknowledged since the connection began; `None` where the kernel does not say.
pub(super) fn acked_bytes(socket: &Socket) -> Option<u64> {
    /// Where `tcpi_bytes_acked` stands in Linux's `struct tcp_info` (include/uapi/linux/tcp.h); that layout only grows.
    const OFFSET: usize = 120;
    let mut info = [0u8; 256];
    let mut len = info.len() as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` lives, and the kernel writes at most `len` bytes into `info`.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut len)
    };
    let known = done == 0 && len as usize >= OFFSET + 8;
    known.then(|| info[OFFSET..OFFSET + 8].try_into().map(u64::from_ne_bytes).ok()).flatten()
}
