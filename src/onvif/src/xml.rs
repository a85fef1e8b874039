//! What a device sends, read as XML: without a DTD, so without entities of its own, at most so many nodes and so deep. Elements are found by
//! their names alone: devices use namespaces as they please.

use perch_base::{Error, Result};
use roxmltree::{Document, Node, ParsingOptions};

/// Elements and texts of one answer.
const MOST_NODES: u32 = 20_000;
/// Letters of a text that is taken.
const MOST_TEXT: usize = 1024;

/// Parses what came. Errors with `Invalid`.
pub(crate) fn parse(text: &str) -> Result<Document<'_>> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let bad = |e| Error::invalid("its answer cannot be understood (XML)").with_source(e);
    Document::parse_with_options(text, options).map_err(bad)
}

/// All elements of this name below a node, in order.
pub(crate) fn all<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.descendants().filter(move |n| n.is_element() && n.tag_name().name() == name)
}

/// The first element that is reached by these names, each somewhere below the one before.
pub(crate) fn at<'a, 'i>(node: Node<'a, 'i>, path: &[&'static str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(node, |node, name| all(node, name).find(|found| *found != node))
}

/// The text of this element.
pub(crate) fn own_text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().chars().take(MOST_TEXT).collect()
}

/// The text of the first element that is reached by these names; empty where there is none.
pub(crate) fn text(node: Node<'_, '_>, path: &[&'static str]) -> String {
    let found = at(node, path).and_then(|node| node.text()).unwrap_or_default().trim();
    found.chars().take(MOST_TEXT).collect()
}

/// The number that stands there, where one does.
pub(crate) fn number<T: std::str::FromStr>(node: Node<'_, '_>, path: &[&'static str]) -> Option<T> {
    text(node, path).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::markup::escaped;
    use proptest::prelude::*;

    #[test]
    fn bombs_are_refused() {
        let laughs = "<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>";
        let outside = "<!DOCTYPE l [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><l>&a;</l>";
        let many = format!("<l>{}</l>", "<a/>".repeat(30_000));
        for bomb in [laughs, outside, many.as_str(), "", "no xml", "<a>", "<a></b>", "<a>&x;</a>"] {
            let e = parse(bomb).map(drop).expect_err("refused");
            assert!(!e.to_string().is_empty());
        }
        // Deep, but not too many: read without recursion.
        let depth = 9000;
        let deep = format!("{}x{}", "<a>".repeat(depth), "</a>".repeat(depth));
        let document = parse(&deep).expect("read");
        assert_eq!(all(document.root(), "a").count(), depth);
        assert_eq!(text(document.root(), &["a", "b"]), "");
        let attributes: String = (0..10_000).map(|n| format!(" a{n}=\"\"")).collect();
        assert!(parse(&format!("<a{attributes}/>")).is_ok());
    }

    #[test]
    fn elements_are_found_by_name_in_any_namespace() {
        let text_ = "<x:a xmlns:x=\"u:1\"><y:b xmlns:y=\"u:2\"><c> 7 </c></y:b><c>8</c></x:a>";
        let document = parse(text_).expect("read");
        assert_eq!(number(document.root(), &["a", "b", "c"]), Some(7));
        assert_eq!(number(document.root(), &["a", "c"]), Some(7));
        assert_eq!(text(document.root(), &["b", "a"]), "");
    }

    proptest! {
        #[test]
        fn any_text_can_be_sent(text_ in "\\PC{0,40}") {
            let sent = format!("<a>{}</a>", escaped(&text_));
            let document = parse(&sent).expect("read");
            let want: String = text_.trim().to_owned();
            prop_assert_eq!(text(document.root(), &["a"]), want);
        }

        #[test]
        fn nothing_panics(bytes in "[<>/a-c!&;\"= \\[\\]?-]{0,200}") {
            if let Ok(document) = parse(&bytes) {
                let _ = text(document.root(), &["a", "b"]);
            }
        }
    }
}
