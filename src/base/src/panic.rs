//! What a panic said.

use std::any::Any;

/// The words of a panic that was caught (`catch_unwind`, a thread that was joined); empty where it had none.
pub fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{catch_unwind, panic_any};

    #[test]
    fn a_panic_is_heard_whatever_it_carries() {
        let said = |work: fn()| words(&*catch_unwind(work).expect_err("it panics"));
        assert_eq!(said(|| panic!("plain")), "plain");
        assert_eq!(said(|| panic!("number {}", 7)), "number 7");
        assert_eq!(said(|| panic_any(7)), "");
    }
}
