//! What the kernel says of its clock.

use std::path::Path;

/// Whether the kernel says its clock is disciplined (adjtimex(2): not TIME_ERROR).
pub fn is_synchronised() -> bool {
    // SAFETY: an all-zero timex asks without setting (modes = 0), and the kernel writes only into it.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&mut timex)
    };
    match state {
        libc::TIME_ERROR => false,
        // Not to be asked under systemd's ProtectClock=; its time service leaves this file once it is synchronised.
        -1 => Path::new("/run/systemd/timesync/synchronized").exists(),
        _ => true,
    }
}
