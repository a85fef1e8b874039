//! The names of accounts: those of people, with any letters and blanks. Two that read the same are the same. The names of stream passwords
//! are others: RTSP's Digest hashes them, and players write them in many ways ([`crate::access::check_name`]).

use crate::redact::Shown;
use perch_base::{Error, Result};
use std::ops::RangeInclusive;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// How many characters a name has.
pub const ACCOUNT_NAME_LENGTH: RangeInclusive<usize> = 1..=64;
/// What may stand in it beside letters, marks of letters and digits, but not at its start.
const MARKS: &str = " ._-'’";

/// The rule of [`read_account_name`] as a regular expression (ECMA-262, with `u`).
pub fn account_name_pattern() -> String {
    format!("^[\\p{{L}}\\p{{N}}][\\p{{L}}\\p{{M}}\\p{{N}} ._'’-]{{0,{}}}$", ACCOUNT_NAME_LENGTH.end() - 1)
}

/// A name as it is kept: composed (NFC, Unicode Standard Annex 15), without blanks at its ends, one blank where there are several.
/// `what` begins the sentence that refuses it.
pub fn read_account_name(what: &str, text: &str) -> Result<String> {
    let (least, most) = (ACCOUNT_NAME_LENGTH.start(), ACCOUNT_NAME_LENGTH.end());
    // Not composed before its length is known: one character may become many.
    let plausible = text.len() <= most * 2 * char::MAX.len_utf8();
    let name = if plausible { composed(text) } else { String::new() };
    let is_letter = |c: char| c.is_alphanumeric();
    let fits = ACCOUNT_NAME_LENGTH.contains(&name.chars().count())
        && name.starts_with(is_letter)
        && name.chars().all(|c| is_letter(c) || is_combining_mark(c) || MARKS.contains(c));
    if fits {
        return Ok(name);
    }
    Err(Error::invalid(format!(
        "{what} {}: must be {least} to {most} letters, digits, blanks, `.`, `_`, `-` and apostrophes, starting with a letter or digit",
        Shown::from(text)
    )))
}

fn composed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect()
}

/// What two names that read the same have in common: compatible forms (NFKC), lower case, without blanks and marks. Names of one fold are
/// one name, so that nobody signs in as, or is taken for, somebody else by a blank or a capital letter.
pub fn folded(name: &str) -> String {
    let lower: String = name.nfkc().flat_map(char::to_lowercase).collect();
    lower.nfkc().map(|c| if c == '’' { '\'' } else { c }).filter(|c| !c.is_whitespace()).collect()
}

/// Whether two names are one.
pub fn is_same_account(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || folded(a) == folded(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_taken() {
        for (given, kept) in [
            ("anna.b", "anna.b"),
            ("Anna Müller", "Anna Müller"),
            ("  Anna \t Mu\u{308}ller ", "Anna Müller"),
            ("Seán O’Brien", "Seán O’Brien"),
            ("O'Neil-Smith", "O'Neil-Smith"),
            ("李小龙", "李小龙"),
            ("محمد", "محمد"),
            ("नेहा", "नेहा"),
            ("2nd floor", "2nd floor"),
        ] {
            assert_eq!(read_account_name("name", given).expect(given), kept);
        }
    }

    #[test]
    fn what_is_no_name_is_refused_in_words() {
        let long = "ä".repeat(65);
        let bomb = "\u{fdfa}".repeat(10_000);
        for bad in [
            "",
            " ",
            ".a",
            "-",
            "a/b",
            "a\\b",
            "a\nb\u{0}",
            "a:b",
            "<b>",
            "a\"b",
            "a\u{202e}b",
            "a\u{200b}b",
            "a@b",
            "\u{301}a",
            "🐦",
            &long,
            &bomb,
        ] {
            let e = read_account_name("name", bad).expect_err(bad);
            assert!(e.message().contains("must be 1 to 64 letters"), "{e}");
            assert!(e.message().len() < 400, "{}", e.message().len());
        }
        assert!(read_account_name("name", &"ä".repeat(64)).is_ok());
    }

    #[test]
    fn names_that_read_the_same_are_one() {
        for (a, b) in [
            ("Anna", "anna"),
            ("Anna Müller", "anna mu\u{308}ller"),
            ("ANNA MÜLLER", "AnnaMüller"),
            ("Seán O’Brien", "seán o'brien"),
            ("Ａｎｎａ", "anna"),
            ("ﬁona", "Fiona"),
        ] {
            assert!(is_same_account(a, b), "{a} and {b}");
        }
        for (a, b) in [("Anna", "Anne"), ("Müller", "Muller"), ("a.b", "ab"), ("a-b", "a_b"), ("", "a")] {
            assert!(!is_same_account(a, b), "{a} and {b}");
        }
    }
}
