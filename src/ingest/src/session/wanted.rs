//! The lines that are set up, and where a camera may mean them to be found.

use crate::format::Line;
use crate::wire::sdp::Description;
use crate::wire::url;
use std::collections::VecDeque;

/// A line that is set up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// What the SDP says of it.
    pub line: Line,
    /// Where it may be found; the first is tried first.
    pub urls: VecDeque<String>,
    /// The box's UDP ports for it.
    pub ports: Option<(u16, u16)>,
}

/// What is played as a whole: `a=control` of it below the base.
pub(super) fn aggregate(base: &str, described: &Description) -> String {
    url::join(base, described.control.as_deref().unwrap_or("*"))
}

/// The lines of these numbers. `base`: what the camera calls its base, else `request`, the URL that was asked.
pub(super) fn wanted(described: &Description, numbers: &[usize], base: &str, request: &str) -> Vec<Wanted> {
    let lines = numbers.iter().filter_map(|n| described.lines.get(*n));
    lines
        .map(|line| {
            let control = line.control.as_deref().unwrap_or("*");
            // As most mean it first; then as the others do.
            let meant = [
                Some(url::join(&aggregate(base, described), control)),
                Some(url::join(base, control)),
                Some(url::join(request, control)),
                url::resolve(base, control),
            ];
            let mut urls = VecDeque::new();
            for url in meant.into_iter().flatten() {
                if !urls.contains(&url) {
                    urls.push_back(url);
                }
            }
            Wanted { line: line.clone(), urls, ports: None }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp;

    fn urls(session: &str, control: &str, base: &str) -> Vec<String> {
        let described = sdp::parse(format!("{session}\nm=video 0 RTP/AVP 96\n{control}\n").as_bytes());
        wanted(&described, &[0, 7], base, "rtsp://h/live").remove(0).urls.into()
    }

    #[test]
    fn as_most_mean_it_first() {
        for (session, control, base, want) in [
            ("", "a=control:t1", "rtsp://h/live/", vec!["rtsp://h/live/t1"]),
            ("a=control:*", "a=control:t1", "rtsp://h/live", vec!["rtsp://h/live/t1", "rtsp://h/t1"]),
            (
                "a=control:rtsp://h/all",
                "a=control:t1",
                "rtsp://h/live",
                vec!["rtsp://h/all/t1", "rtsp://h/live/t1", "rtsp://h/t1"],
            ),
            ("", "a=control:rtsp://h:1/x", "rtsp://h/live/", vec!["rtsp://h:1/x"]),
            ("", "", "rtsp://h/live/", vec!["rtsp://h/live/", "rtsp://h/live"]),
            ("", "a=control:t1", "rtsp://10.0.0.1/live/", vec!["rtsp://10.0.0.1/live/t1", "rtsp://h/live/t1"]),
        ] {
            assert_eq!(urls(session, control, base), want, "{session} {control} {base}");
        }
    }
}
