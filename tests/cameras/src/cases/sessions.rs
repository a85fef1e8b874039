//! Sessions: keep-alives, odd answers, ends, redirects.

use super::norm;
use crate::case::{Case, Kind, Right};
use crate::feed::{Event, closing, ending, merged, periodic, seconds};
use crate::media::Absent;
use crate::model::{Crowd, Cseq, KeepAlive, Manners, Model, Redirect};
use std::time::Duration;

const fn case(name: &'static str, right: Right, about: &'static str, model: fn() -> Result<Model, Absent>) -> Case {
    Case::new(name, Kind::Session, right, about, model)
}

fn mannered(change: impl FnOnce(&mut Manners)) -> Result<Model, Absent> {
    Ok(norm()?.mannered(change))
}

fn refuses(method: &'static str, status: &'static str, times: u32) -> Result<Model, Absent> {
    mannered(|m| m.refusals = vec![(method, status, times)])
}

/// A session that ends a little after the timeout it announces, without a request.
fn needs(limit_s: u64, tail: &'static str, keep_alive: KeepAlive) -> Result<Model, Absent> {
    mannered(|m| {
        m.session_tail = tail;
        m.needs_request_each = Some(Duration::from_secs(limit_s));
        m.keep_alive = keep_alive;
    })
}

fn edited(edit: fn(&str, String) -> String) -> Result<Model, Absent> {
    mannered(|m| m.edit = Some(edit))
}

/// A head without its lines that begin so.
fn without(head: &str, start: &str) -> String {
    head.split("\r\n").filter(|line| !line.starts_with(start)).collect::<Vec<_>>().join("\r\n")
}

const EVER: u32 = u32::MAX;

pub const CASES: &[Case] = &[
    case("keep454", Right::NORMAL, "454 to a keep-alive, and goes on sending", || {
        mannered(|m| (m.session_tail, m.keep_alive) = (";timeout=10", KeepAlive::NotFound))
    }),
    case("keepclose", Right::NORMAL, "closes the connection at a GET_PARAMETER although it named it", || {
        mannered(|m| (m.session_tail, m.keep_alive) = (";timeout=10", KeepAlive::Closes))
    }),
    case("keepnone", Right::NORMAL, "never answers a keep-alive", || {
        mannered(|m| (m.session_tail, m.keep_alive) = (";timeout=10", KeepAlive::Silent))
    }),
    case(
        "needkeep",
        Right::NORMAL,
        "ends a session after 30 s without a request, as announced; reports do not count",
        || needs(30, ";timeout=30", KeepAlive::Answered),
    ),
    case("needkeep6", Right::NORMAL, "the same with 6 s", || needs(6, ";timeout=6", KeepAlive::Answered)),
    case("keepoptions", Right::NORMAL, "the same, and only OPTIONS is known", || {
        let mut model = needs(6, ";timeout=6", KeepAlive::OptionsOnly)?;
        model.manners.public = "OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY";
        Ok(model)
    }),
    case("keepset", Right::NORMAL, "the same, and only SET_PARAMETER is known", || {
        let mut model = needs(6, ";timeout=6", KeepAlive::SetOnly)?;
        model.manners.public = "OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, SET_PARAMETER";
        Ok(model)
    }),
    case("keepspaces", Right::NORMAL, "the same, announced with spaces", || {
        needs(6, " ; timeout = 6", KeepAlive::Answered)
    }),
    case("notimeout", Right::NORMAL, "no timeout is announced: 60 s", || mannered(|m| m.session_tail = "")),
    case("zerotimeout", Right::NORMAL, "a timeout of 0 is announced", || mannered(|m| m.session_tail = ";timeout=0")),
    case("oddtimeout", Right::NORMAL, "a timeout that is no number, and more behind it", || {
        mannered(|m| m.session_tail = ";timeout=never;x=y")
    }),
    case("needreports", Right::NORMAL, "ends a session after 12 s without a receiver report", || {
        mannered(|m| m.needs_report_each = Some(Duration::from_secs(12)))
    }),
    case("drop20", Right::NORMAL, "closes every connection after 20 s", || {
        Ok(norm()?.sending(|feed, _| closing(feed, seconds(20.0))))
    }),
    case("drop3", Right::NORMAL, "closes every connection after three seconds", || {
        Ok(norm()?.sending(|feed, _| closing(feed, seconds(3.0))))
    }),
    case("bye", Right::NORMAL, "says goodbye (RTCP) each four seconds, and goes on", || {
        Ok(norm()?.sending(|feed, start| {
            let stream = crate::rtp::Stream::new(96, start.session);
            merged(feed, periodic(seconds(4.0), move |_| Event::Rtcp(0, stream.bye())))
        }))
    }),
    case(
        "byeend",
        Right::NORMAL,
        "says goodbye (RTCP) after four seconds and sends no more: a new session is needed",
        || {
            Ok(norm()?.sending(|feed, start| {
                let stream = crate::rtp::Stream::new(96, start.session);
                let bye = periodic(seconds(4.0), move |_| Event::Rtcp(0, stream.bye())).take(1);
                Box::new(ending(feed, seconds(4.0)).chain(bye))
            }))
        },
    ),
    case("stops", Right::NORMAL, "sends no more after four seconds, and keeps the connection", || {
        Ok(norm()?.sending(|feed, _| ending(feed, seconds(4.0))))
    }),
    case("silent", Right::none("no picture"), "everything is answered, and nothing comes", || {
        Ok(norm()?.sending(|feed, _| ending(feed, Duration::ZERO)))
    }),
    case("oneonly", Right::NORMAL, "takes one connection: another is closed at once", || {
        mannered(|m| m.crowd = Crowd::Closed)
    }),
    case("oneonly453", Right::NORMAL, "takes one connection: another is answered 453", || {
        mannered(|m| m.crowd = Crowd::Refused)
    }),
    case("newestonly", Right::NORMAL, "takes one connection: another ends the first", || {
        mannered(|m| m.crowd = Crowd::FirstGoes)
    }),
    case("nocseq", Right::NORMAL, "answers have no CSeq", || mannered(|m| m.cseq = Cseq::Missing)),
    case("wrongcseq", Right::NORMAL, "answers have another CSeq", || mannered(|m| m.cseq = Cseq::Wrong)),
    case("nooptions", Right::NORMAL.beyond_ffmpeg(), "405 to OPTIONS", || {
        refuses("OPTIONS", "405 Method Not Allowed", EVER)
    }),
    case("muteoptions", Right::NORMAL.beyond_ffmpeg(), "never answers OPTIONS", || {
        mannered(|m| m.mute = vec!["OPTIONS"])
    }),
    case("bareends", Right::NORMAL, "answers end their lines without a carriage return", || {
        mannered(|m| m.bare_line_ends = true)
    }),
    case("busy", Right::NORMAL, "503 to the first two DESCRIBE", || refuses("DESCRIBE", "503 Service Unavailable", 2)),
    case("busyever", Right::none("503"), "503 to each DESCRIBE", || {
        refuses("DESCRIBE", "503 Service Unavailable", EVER)
    }),
    case("toomany", Right::none("connection"), "453 to each SETUP: too many viewers", || {
        refuses("SETUP", "453 Not Enough Bandwidth", EVER)
    }),
    case("notfound", Right::none("404"), "404: the path is wrong", || refuses("DESCRIBE", "404 Not Found", EVER)),
    case("play454", Right::NORMAL, "454 to the first PLAY", || refuses("PLAY", "454 Session Not Found", 1)),
    case("redirect", Right::NORMAL, "302 to another path of its own", || {
        mannered(|m| m.redirect = Some(Redirect::Path("/other")))
    }),
    case("redirectsetup", Right::NORMAL, "the same at SETUP", || {
        mannered(|m| (m.redirect, m.redirected) = (Some(Redirect::Path("/other")), "SETUP"))
    }),
    case("redirectplay", Right::NORMAL, "the same at PLAY", || {
        mannered(|m| (m.redirect, m.redirected) = (Some(Redirect::Path("/other")), "PLAY"))
    }),
    case(
        "redirecthost",
        Right { plays_in_ffmpeg: true, ..Right::none("redirect") },
        "302 to another host: a box that keeps its password to itself does not follow",
        || mannered(|m| m.redirect = Some(Redirect::OtherHost)),
    ),
    case("redirectnowhere", Right::none("redirect"), "302 without a place", || {
        mannered(|m| m.redirect = Some(Redirect::Nowhere))
    }),
    case("slowplay", Right::NORMAL, "PLAY is answered after four seconds", || {
        mannered(|m| m.delay = Some(("PLAY", Duration::from_secs(4))))
    }),
    case("slowdescribe", Right::NORMAL, "DESCRIBE is answered after three seconds: the camera wakes up", || {
        mannered(|m| m.delay = Some(("DESCRIBE", Duration::from_secs(3))))
    }),
    case("noreason", Right::NORMAL, "status lines are a number only", || {
        edited(|_, head| head.replace("RTSP/1.0 200 OK", "RTSP/1.0 200"))
    }),
    case("smallheaders", Right::NORMAL, "names of headers in small letters, without a space behind the colon", || {
        edited(|_, head| {
            let small = |line: &str| match line.split_once(": ") {
                Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
                None => line.to_owned(),
            };
            head.split("\r\n").map(small).collect::<Vec<_>>().join("\r\n")
        })
    }),
    case("notransport", Right::NORMAL.beyond_ffmpeg(), "the answer to SETUP has no Transport", || {
        edited(|_, head| without(&head, "Transport:"))
    }),
    case("oddtransport", Right::NORMAL, "Transport in odd letters and order, with spaces and more behind it", || {
        edited(|_, head| {
            head.replace(
                "RTP/AVP/TCP;unicast;interleaved=0-1",
                "RTP/AVP/TCP;interleaved=0-1;unicast;ssrc=0;mode=\"play\" ;x",
            )
        })
    }),
    case("sessionlate", Right::NORMAL, "no Session in the answer to SETUP, only in that to PLAY", || {
        edited(|method, head| if method == "SETUP" { without(&head, "Session:") } else { head })
    }),
    case("sessioneach", Right::NORMAL, "the answer to PLAY names another session", || {
        edited(|method, head| if method == "PLAY" { head.replace("Session: ", "Session: 9") } else { head })
    }),
    case("foldedheader", Right::NORMAL, "a header goes on in the next line", || {
        edited(|method, head| if method == "PLAY" { head + "X-Long: a\r\n b\r\n\tc\r\n" } else { head })
    }),
    case("version", Right::NORMAL, "answers are of RTSP/1.1", || {
        edited(|_, head| head.replace("RTSP/1.0", "RTSP/1.1"))
    }),
    case("dribble", Right::NORMAL, "answers come byte by byte, a millisecond or two apart", || {
        mannered(|m| m.byte_pace = Duration::from_micros(200))
    }),
    case("mutedescribe", Right::none("answer"), "takes the connection and never answers DESCRIBE", || {
        mannered(|m| m.mute = vec!["DESCRIBE"])
    }),
    case("httpserver", Right::none("RTSP"), "a web server, which answers 400", || {
        let bad = |_: &str, head: String| head.replace("RTSP/1.0 200 OK", "HTTP/1.1 400 Bad Request");
        mannered(|m| m.edit = Some(bad))
    }),
];
