//! What nobody sees in a text and therefore nobody means: one rule for the settings, the setup file and the names that people give.

use std::fmt::Write as _;

/// Whether a character has no shape of its own: controls, format characters and line or paragraph separators (Cc, Cf, Zl and Zp of
/// Unicode's general categories), selectors of variants, tags, and what else is ignored by default or fills a place without a mark
/// (Default_Ignorable_Code_Point of DerivedCoreProperties.txt). They come along when a text is copied from a page, and make two
/// names that look the same.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Format characters, the two separators among them (U+2028, U+2029).
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Joiners, fillers and vowels without a mark.
            | '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            // Selectors of variants; tags and the further selectors (U+E0100 to U+E01EF).
            | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// `text` without them, for a name that is kept whatever somebody's device put into it.
pub fn without_invisible(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).collect()
}

/// What a device in the network says of itself, as it may be shown: nothing invisible, at most 64 characters.
pub fn as_told(text: &str) -> String {
    without_invisible(text).trim().chars().take(64).collect()
}

/// What shapes the characters around it, as in emoji, Persian and Sinhala: the two joiners, and the selectors of text and picture.
fn shapes(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

/// The invisible characters of a text, but those that shape what is seen right before them (plain ASCII has no other shape).
fn unmeant(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut is_shaped = false;
    text.chars().enumerate().filter(move |(_, c)| match is_invisible(*c) {
        true => {
            // A joiner may follow a selector, and nothing else invisible.
            is_shaped &= shapes(*c);
            !is_shaped
        }
        false => {
            is_shaped = !c.is_ascii() && !c.is_whitespace();
            false
        }
    })
}

/// Errors with the rest of a sentence that says which invisible character stands where. It repeats nothing else of the text.
pub fn check_visible(text: &str) -> Result<(), String> {
    match unmeant(text).next() {
        Some((at, c)) => {
            Err(format!("holds an invisible character (U+{:04X}, the {}.): type it again", u32::from(c), at + 1))
        }
        None => Ok(()),
    }
}

/// Like [`check_visible`], and also for blanks that nobody sees: at an end of the text, and anywhere in an address, whose rules know
/// none.
pub fn check_meant(text: &str) -> Result<(), String> {
    check_visible(text)?;
    if text.trim_end() != text {
        return Err("has a blank at its end: remove it".into());
    }
    if text.trim_start() != text {
        return Err("has a blank at its beginning: remove it".into());
    }
    match text.chars().enumerate().find(|(_, c)| c.is_whitespace()) {
        Some((at, c)) if text.contains("://") => {
            Err(format!("has a blank in an address (U+{:04X}, the {}. character): remove it", u32::from(c), at + 1))
        }
        _ => Ok(()),
    }
}

/// `text` in quotes, what nobody would see in it by its number.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_invisible(c) || (c.is_whitespace() && c != ' ') => _ = write!(out, "{}", c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_says_is_shown_clean() {
        assert_eq!(as_told(" a\u{0}b\r\n\u{202e}c "), "abc");
        assert_eq!(as_told(&"é".repeat(500)).chars().count(), 64);
    }

    #[test]
    fn what_is_invisible() {
        for (range, what) in [
            ('\0'..='\u{1f}', "C0 controls"),
            ('\u{7f}'..='\u{9f}', "delete and C1 controls"),
            ('\u{ad}'..='\u{ad}', "soft hyphen"),
            ('\u{34f}'..='\u{34f}', "combining grapheme joiner"),
            ('\u{600}'..='\u{605}', "Arabic number signs"),
            ('\u{61c}'..='\u{61c}', "Arabic letter mark"),
            ('\u{115f}'..='\u{1160}', "Hangul fillers"),
            ('\u{180b}'..='\u{180f}', "Mongolian selectors and vowel separator"),
            ('\u{200b}'..='\u{200f}', "zero width space, joiners and marks of direction"),
            ('\u{2028}'..='\u{202e}', "line and paragraph separator, embedding"),
            ('\u{2060}'..='\u{206f}', "word joiner, invisible operators, isolates"),
            ('\u{3164}'..='\u{3164}', "Hangul filler"),
            ('\u{fe00}'..='\u{fe0f}', "variation selectors"),
            ('\u{feff}'..='\u{feff}', "byte order mark"),
            ('\u{ffa0}'..='\u{ffa0}', "half-width Hangul filler"),
            ('\u{fff9}'..='\u{fffb}', "interlinear annotation"),
            ('\u{1d173}'..='\u{1d17a}', "musical beams"),
            ('\u{e0001}'..='\u{e0001}', "language tag"),
            ('\u{e0020}'..='\u{e007f}', "tags"),
            ('\u{e0100}'..='\u{e01ef}', "further variation selectors"),
        ] {
            for c in range {
                assert!(is_invisible(c), "{what}: U+{:04X}", u32::from(c));
                assert_eq!(without_invisible(&format!("a{c}b")), "ab");
                let e = check_visible(&format!("a{c}b")).expect_err(what);
                assert!(e.contains(&format!("U+{:04X}, the 2.", u32::from(c))), "{e}");
                assert!(quoted(&format!("{c}")).starts_with("\"\\u{"), "{what}");
            }
        }
        for seen in " aZ09-_.,ä€ñ中あ한ไ🐦".chars().chain(['\u{a0}', '\u{202f}', '\u{3000}', '\u{301}']) {
            assert!(!is_invisible(seen), "U+{:04X}", u32::from(seen));
        }
    }

    #[test]
    fn what_shapes_a_sign_is_meant() {
        for meant in ["Garten ☀️", "👨‍👩‍👧 room", "Home ❤️", "می‌خواهم", "ශ්‍රී", "❤️‍🔥"]
        {
            assert_eq!(check_visible(meant), Ok(()), "{meant}");
        }
        for unmeant in
            ["\u{fe0f}a", "ab\u{fe0f}", "\u{200d}", "a\u{200c}b", "☀\u{200b}", "☀ \u{fe0f}", "☀\u{200b}\u{fe0f}"]
        {
            assert!(check_visible(unmeant).is_err(), "{}", quoted(unmeant));
        }
    }

    #[test]
    fn blanks_that_nobody_means() {
        for (text, want) in [
            ("Front door", ""),
            ("Porte\u{a0}: jardin", ""),
            ("file:/my clips/a.mp4", ""),
            ("a ", "at its end"),
            ("a\u{a0}", "at its end"),
            (" a", "at its beginning"),
            ("rtsp://h/x\u{a0}y", "U+00A0, the 11."),
            ("rtsp://h/x y", "U+0020, the 11."),
            ("rtsp://h/x\u{3000}y", "U+3000"),
            ("\u{feff}rtsp://h", "U+FEFF, the 1."),
        ] {
            match check_meant(text) {
                Ok(()) => assert_eq!(want, "", "{text:?}"),
                Err(e) => assert!(!want.is_empty() && e.contains(want), "{text:?}: {e}"),
            }
        }
        assert_eq!(quoted("a\"\\\u{200b}\u{a0} b"), r#""a\"\\\u{200b}\u{a0} b""#);
    }
}
