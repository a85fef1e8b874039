//! What commands print, a line each. Whoever stops reading (`perch check | head`) stops neither a command amid what it does nor makes it panic,
//! as `println!` would: what nobody hears any more is left unsaid.

use perch_base::{ErrorKind, Result, ResultExt};
use std::fmt::Arguments;
use std::io::{self, Write};

/// Prints a line to standard output, as `println!` does where somebody reads it.
macro_rules! say {
    ($($text:tt)*) => { $crate::print::out(format_args!($($text)*)) };
}

/// Prints a line to standard error, as `eprintln!` does where somebody reads it.
macro_rules! complain {
    ($($text:tt)*) => { $crate::print::err(format_args!($($text)*)) };
}

/// Prints a line to standard output. What it cannot be told for another reason than that nobody reads it, standard error is told.
pub fn out(line: Arguments<'_>) {
    if let Err(e) = is_heard(writeln!(io::stdout().lock(), "{line}")) {
        err(format_args!("perch: {e}"));
    }
}

/// Prints a line to standard error.
pub fn err(line: Arguments<'_>) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether somebody still reads what was written to standard output. Errors where it cannot be written although somebody would.
pub fn is_heard(written: io::Result<()>) -> Result<bool> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context(ErrorKind::Io, || "standard output cannot be written"),
    }
}
