//! A backup of the box: its settings, the passwords they name, who it is (its certificate authority), and its people; no recordings. It is
//! sealed with a password. What is restored is checked as a whole and laid down in one file; the next start takes it, however often it is
//! killed meanwhile, and before anything of the data folder is opened.

pub mod content;
pub mod port;
pub mod restore;

pub use content::{Backup, MAX_SEALED_BYTES};
