//! Who watches live over HTTPS, by HLS or by MJPEG, and how many may: each piece of HLS is a request of its own, so a viewer is whoever asked for
//! one lately. Who may watch what is [`crate::access`]'s to say.

use crate::access::Principal;
use crate::media::Stream;
use crate::viewers::{ViewerLimits, Viewers};
use perch_base::ids::{CameraId, DeviceId};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use serde::Serialize;
use std::time::Duration;

/// A player that asked for nothing for so long has gone: it asks for the next part three times a second.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// Requests of one player that may wait: for a playlist, and for the parts that it announces; a player that is reloaded leaves some behind.
const MAX_OPEN: usize = 8;

/// How somebody watches over HTTPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WebTransport {
    /// Low-latency HLS.
    Hls,
    /// A JPEG picture after the other.
    Mjpeg,
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct WebAsker {
    /// Who.
    pub who: Principal,
    /// Their address and port.
    pub remote: String,
}

/// One viewer over HTTPS, for "who is watching".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebViewer {
    /// How it watches.
    pub transport: WebTransport,
    /// The camera.
    pub camera: CameraId,
    /// The stream it gets.
    pub stream: Stream,
    /// The device that watches.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// The account, if any.
    pub username: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// The viewer's address and port.
    pub remote: String,
}

/// A request that is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebRequest(u64);

#[derive(Debug)]
struct Seen {
    number: u64,
    viewer: WebViewer,
    open: usize,
    last: MonoTime,
}

/// Everybody who watches over HTTPS. They are counted beside those who watch by WebRTC: a page that changes from one to the other is both for a moment.
#[derive(Debug, Default)]
pub struct WebViewers {
    limits: ViewerLimits,
    next: u64,
    seen: Vec<Seen>,
}

impl WebViewers {
    /// So many may watch.
    pub fn new(limits: ViewerLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// So many may from now on; whoever watches already stays.
    pub fn follow(&mut self, limits: ViewerLimits) {
        self.limits = limits;
    }

    /// Somebody asks for something of a stream. [`Self::answered`] is to follow. Errors with `Unavailable` where too many watch, and with `RateLimited` where
    /// too much is being waited for.
    pub fn ask(
        &mut self,
        by: &WebAsker,
        (transport, camera, stream): (WebTransport, &CameraId, Stream),
        (now, at): (MonoTime, Timestamp),
    ) -> Result<WebRequest> {
        self.seen.retain(|seen| seen.open > 0 || now.since(seen.last) < GONE_AFTER);
        let device = by.who.device_id;
        let is_same = |v: &WebViewer| {
            // Each MJPEG stream is one request.
            transport == WebTransport::Hls
                && (v.transport, &v.camera, v.stream, v.device_id) == (transport, camera, stream, device)
        };
        if let Some(seen) = self.seen.iter_mut().find(|seen| is_same(&seen.viewer)) {
            if seen.open >= MAX_OPEN {
                let why = "this player waits for too many pieces of the stream at once: close one of its windows";
                return Err(Error::new(ErrorKind::RateLimited, why));
            }
            (seen.open, seen.last) = (seen.open + 1, now);
            seen.viewer.remote.clone_from(&by.remote);
            return Ok(WebRequest(seen.number));
        }
        let watching = self.seen.iter().map(|seen| (seen.viewer.device_id, seen.viewer.username.as_deref()));
        self.limits.admit(Viewers::beside((device, by.who.username.as_deref()), watching))?;
        self.next += 1;
        let viewer = WebViewer {
            transport,
            camera: camera.clone(),
            stream,
            device_id: device,
            device_name: by.who.device_name.clone(),
            username: by.who.username.clone(),
            started_at: at,
            remote: by.remote.clone(),
        };
        self.seen.push(Seen { number: self.next, viewer, open: 1, last: now });
        Ok(WebRequest(self.next))
    }

    /// A request was answered, or its asker hung up.
    pub fn answered(&mut self, request: WebRequest, now: MonoTime) {
        let Some(seen) = self.seen.iter_mut().find(|seen| seen.number == request.0) else { return };
        (seen.open, seen.last) = (seen.open.saturating_sub(1), now);
        let is_over = seen.open == 0 && seen.viewer.transport == WebTransport::Mjpeg;
        if is_over {
            self.seen.retain(|seen| seen.number != request.0);
        }
    }

    /// All who watch now.
    pub fn all(&self, now: MonoTime) -> Vec<WebViewer> {
        let is_there = |seen: &&Seen| seen.open > 0 || now.since(seen.last) < GONE_AFTER;
        self.seen.iter().filter(is_there).map(|seen| seen.viewer.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CameraGrant, GrantLimits, Role};

    fn asker(name: &str) -> WebAsker {
        let who = Principal {
            device_id: DeviceId::random(),
            device_name: name.to_owned(),
            username: None,
            role: Role::Viewer,
            cameras: CameraGrant::All,
            limits: GrantLimits::NONE,
        };
        WebAsker { who, remote: "192.0.2.1:5".into() }
    }

    fn at(s: i64) -> (MonoTime, Timestamp) {
        (MonoTime(s * 1_000_000), Timestamp(s * 1_000_000))
    }

    #[test]
    fn a_player_is_one_viewer_however_much_it_asks_for() {
        let (mut viewers, phone) = (WebViewers::default(), asker("phone"));
        let camera = CameraId::new("front").expect("valid");
        let hls = (WebTransport::Hls, &camera, Stream::Main);
        let all: Vec<_> = (0..MAX_OPEN).map(|_| viewers.ask(&phone, hls, at(0)).expect("let in")).collect();
        let refused = viewers.ask(&phone, hls, at(0)).expect_err("too many");
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        viewers.ask(&asker("tablet"), hls, at(0)).expect("its own");
        all.into_iter().for_each(|request| viewers.answered(request, at(1).0));
        assert_eq!(viewers.all(at(10).0).len(), 2);
        let left = viewers.all(at(11).0);
        assert_eq!(
            left.iter().map(|v| &v.device_name[..]).collect::<Vec<_>>(),
            ["tablet"],
            "it waits, the phone has gone"
        );
        let again = viewers.ask(&phone, hls, at(20)).expect("let in");
        viewers.answered(again, at(20).0);
        assert_eq!(viewers.all(at(20).0)[1].started_at, at(20).1, "it came anew");
    }

    #[test]
    fn each_mjpeg_stream_is_a_viewer_and_a_device_has_its_share() {
        let (mut viewers, phone) = (WebViewers::default(), asker("phone"));
        let camera = CameraId::new("front").expect("valid");
        let mjpeg = (WebTransport::Mjpeg, &camera, Stream::Sub);
        let limits = ViewerLimits::default();
        let first = viewers.ask(&phone, mjpeg, at(0)).expect("let in");
        for _ in 1..limits.per_device {
            viewers.ask(&phone, mjpeg, at(0)).expect("let in");
        }
        assert_eq!(viewers.ask(&phone, mjpeg, at(0)).expect_err("too many").kind(), ErrorKind::Unavailable);
        viewers.answered(first, at(0).0);
        viewers.answered(first, at(0).0);
        assert_eq!(viewers.all(at(0).0).len(), limits.per_device - 1);
        viewers.ask(&phone, mjpeg, at(0)).expect("there is room again");
    }

    #[test]
    fn as_many_watch_as_the_owner_lets_and_who_is_there_stays() {
        let mut viewers = WebViewers::new(ViewerLimits { all: 2, per_person: 1, per_device: 16 });
        let camera = CameraId::new("front").expect("valid");
        let of = |name: &str, account: &str| {
            let mut asker = asker(name);
            asker.who.username = Some(account.to_owned());
            asker
        };
        let hls = (WebTransport::Hls, &camera, Stream::Main);
        let annas = of("phone", "anna");
        viewers.ask(&annas, hls, at(0)).expect("let in");
        let refused = viewers.ask(&of("tablet", "anna"), hls, at(0)).expect_err("one of a person");
        assert!(refused.message().starts_with("your devices have 1 live view open"), "{refused}");
        viewers.ask(&of("phone", "eve"), hls, at(0)).expect("let in");
        let refused = viewers.ask(&of("phone", "otto"), hls, at(0)).expect_err("two in all");
        assert!(refused.message().starts_with("2 live views are open"), "{refused}");
        viewers.follow(ViewerLimits { all: 1, per_person: 1, per_device: 16 });
        viewers.ask(&annas, hls, at(1)).expect("it watches already");
        assert_eq!(
            viewers.ask(&of("phone", "otto"), hls, at(1)).expect_err("one in all").kind(),
            ErrorKind::Unavailable
        );
        viewers.follow(ViewerLimits { all: 3, per_person: 1, per_device: 16 });
        viewers.ask(&of("phone", "otto"), hls, at(1)).expect("there is room");
    }
}
