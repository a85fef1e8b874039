//! Text as markup writes it.

/// Text as XML and HTML write it, in attributes too. Control characters, which XML cannot carry, are left out.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // HTML before 5 does not know `&apos;`.
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_attribute_or_a_text() {
        assert_eq!(escaped("a<b>&\"c'\u{0}é"), "a&lt;b&gt;&amp;&quot;c&#39;é");
    }
}
