//! A camera as data: its lines of SDP, its manners, its feed.

use crate::base64;
use crate::feed::{Feed, Source, Start, merged};
use crate::media::{Track, Unit};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// One `m=` line.
#[derive(Clone, Debug)]
pub struct Line {
    /// `video`, `audio`, ...
    pub kind: &'static str,
    /// Payload type.
    pub payload_type: u8,
    /// `a=rtpmap` after the number.
    pub rtpmap: Option<String>,
    /// `a=fmtp` after the number.
    pub fmtp: Option<String>,
    /// Further attributes, whole.
    pub more: Vec<String>,
}

impl Line {
    /// H.264 with the parameter sets of these pictures.
    pub fn h264(units: &[Unit]) -> Self {
        let set = |kind| units.iter().flat_map(|u| u.iter()).find(|n| n[0] & 31 == kind).cloned().unwrap_or_default();
        let (sps, pps) = (set(7), set(8));
        let profile: String = sps.iter().skip(1).take(3).map(|b| format!("{b:02x}")).collect();
        let sets = format!("{},{}", base64::encode(&sps), base64::encode(&pps));
        Self {
            kind: "video",
            payload_type: 96,
            rtpmap: Some("H264/90000".into()),
            fmtp: Some(format!("packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}")),
            more: Vec::new(),
        }
    }

    /// H.265 with the parameter sets of these pictures.
    pub fn h265(units: &[Unit]) -> Self {
        let nals = || units.iter().flat_map(|u| u.iter());
        let set = |kind| base64::encode(nals().find(|n| n[0] >> 1 & 63 == kind).map_or(&[], |n| n));
        let fmtp = format!("sprop-vps={};sprop-sps={};sprop-pps={}", set(32), set(33), set(34));
        Self { rtpmap: Some("H265/90000".into()), fmtp: Some(fmtp), ..Self::h264(&[]) }
    }

    /// JPEG, by its static type.
    pub fn jpeg() -> Self {
        Self { payload_type: 26, rtpmap: Some("JPEG/90000".into()), fmtp: None, ..Self::h264(&[]) }
    }

    /// Sound.
    pub fn sound(payload_type: u8, rtpmap: Option<&str>, fmtp: Option<&str>) -> Self {
        let owned = |s: Option<&str>| s.map(str::to_owned);
        Self { kind: "audio", payload_type, rtpmap: owned(rtpmap), fmtp: owned(fmtp), more: Vec::new() }
    }
}

/// Where the camera is, for what it says of itself.
#[derive(Clone, Debug)]
pub struct Place {
    /// Port of its RTSP server.
    pub port: u16,
    /// `/live`.
    pub path: String,
}

impl Place {
    /// `rtsp://127.0.0.1:PORT/live`.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}{}", self.port, self.path)
    }
}

/// How packets may travel.
#[derive(Clone, Copy, Debug)]
pub struct Transports {
    /// In the connection.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
    /// A multicast group, also where it is not asked for.
    pub multicast: bool,
    /// RTSP in HTTP only.
    pub http_only: bool,
    /// What a SETUP is answered that asks for another.
    pub refusal: &'static str,
    /// UDP packets come from other ports than the camera names.
    pub other_port: bool,
}

/// How a password is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Basic.
    Basic,
    /// Digest with MD5, no word of the algorithm.
    Md5,
    /// Digest with MD5, said so.
    Md5Named,
    /// Digest with SHA-256.
    Sha256,
}

/// How long a nonce holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonces {
    /// As long as the connection.
    Connection,
    /// For so many requests; then a new one, `stale=true`.
    Requests(u32),
    /// For one request each, without a word of `stale`.
    Once,
}

/// What a camera asks before it lets in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Offered in this order.
    pub schemes: Vec<Scheme>,
    /// Right user.
    pub user: &'static str,
    /// Right password.
    pub password: &'static str,
    /// The password in the URL that [`crate::Camera::url`] gives.
    pub said: &'static str,
    /// Realm.
    pub realm: &'static str,
    /// Whether Digest has `qop="auth"`.
    pub qop: bool,
    /// How long a nonce holds.
    pub nonces: Nonces,
    /// Whether OPTIONS wants a password too.
    pub options_too: bool,
    /// All challenges in one header, with commas.
    pub one_header: bool,
}

impl SignIn {
    /// `admin` and `pass`.
    pub fn by(schemes: &[Scheme]) -> Self {
        Self {
            schemes: schemes.to_vec(),
            user: "admin",
            password: "pass",
            said: "pass",
            realm: "cam",
            qop: false,
            nonces: Nonces::Connection,
            options_too: false,
            one_header: false,
        }
    }
}

/// What a camera does with a keep-alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// Answers 200.
    Answered,
    /// 454 to GET_PARAMETER, and goes on.
    NotFound,
    /// Closes the connection at GET_PARAMETER.
    Closes,
    /// Never answers one.
    Silent,
    /// 501 to GET_PARAMETER; only OPTIONS counts.
    OptionsOnly,
    /// 501 to GET_PARAMETER and OPTIONS; only SET_PARAMETER counts.
    SetOnly,
}

/// What `Content-Base` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentBase {
    /// The URL with a slash.
    Right,
    /// There is none.
    None,
    /// It is empty.
    Empty,
    /// The URL without a slash.
    NoSlash,
    /// The camera's address in its own network.
    OtherHost,
    /// `Content-Location` instead.
    Location,
}

/// Where a DESCRIBE is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To another path of the same camera.
    Path(&'static str),
    /// To the same port of 127.0.0.2.
    OtherHost,
    /// To where it came from.
    Itself,
    /// To a URL; a test may put another in its place ([`crate::Camera::redirect_to`]).
    Url(&'static str),
    /// 302 without `Location`.
    Nowhere,
}

/// What happens to more than one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// All are served.
    Served,
    /// The second is closed at once.
    Closed,
    /// The second is answered 453.
    Refused,
    /// The first is closed for the second.
    FirstGoes,
}

/// What CSeq answers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cseq {
    /// The request's.
    Right,
    /// None.
    Missing,
    /// One more than the request's.
    Wrong,
}

/// TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Signed by itself.
    Own,
    /// Signed by an authority that [`crate::Camera::authority`] gives.
    Authority,
    /// Signed by it, and out of date.
    Expired,
    /// Signed by it, for another name.
    OtherName,
}

/// How a camera answers.
#[derive(Clone, Debug)]
pub struct Manners {
    /// `/live`, with a query where it has one.
    pub path: &'static str,
    /// The only paths that it describes; none: whatever is asked for.
    pub only_paths: &'static [&'static str],
    /// Transports.
    pub transports: Transports,
    /// Its sign-in, if it has one.
    pub sign_in: Option<SignIn>,
    /// `Public`.
    pub public: &'static str,
    /// What stands behind the session's id.
    pub session_tail: &'static str,
    /// A session ends so long after its last request.
    pub needs_request_each: Option<Duration>,
    /// A session ends so long after the last receiver report.
    pub needs_report_each: Option<Duration>,
    /// Keep-alives.
    pub keep_alive: KeepAlive,
    /// `Content-Base`.
    pub content_base: ContentBase,
    /// `RTP-Info` of the answer to PLAY.
    pub rtp_info: Option<fn(&Place) -> String>,
    /// Further headers of that answer.
    pub play_headers: Vec<String>,
    /// Added to the channels that are asked for.
    pub channel_shift: u8,
    /// So many events leave before the answer to PLAY.
    pub early: usize,
    /// The first requests of a method are answered so.
    pub refusals: Vec<(&'static str, &'static str, u32)>,
    /// Methods that are never answered.
    pub mute: Vec<&'static str>,
    /// Redirect.
    pub redirect: Option<Redirect>,
    /// The method that is redirected.
    pub redirected: &'static str,
    /// More than one connection.
    pub crowd: Crowd,
    /// CSeq.
    pub cseq: Cseq,
    /// Time between two bytes of an answer.
    pub byte_pace: Duration,
    /// Bytes of a header of rubbish in each answer.
    pub header_bytes: usize,
    /// TLS.
    pub tls: Option<Tls>,
    /// The answer to DESCRIBE names another length than it has, by so many bytes.
    pub length_off: i64,
    /// Only the URLs that the SDP gives are taken by SETUP, and that of the whole by PLAY.
    pub strict_urls: bool,
    /// Line ends are bare.
    pub bare_line_ends: bool,
    /// Something done to the head of the answer to a method: status line and headers, lines with their ends.
    pub edit: Option<fn(&str, String) -> String>,
    /// A method is answered so much later.
    pub delay: Option<(&'static str, Duration)>,
}

impl Default for Manners {
    fn default() -> Self {
        let transports = Transports {
            tcp: true,
            udp: true,
            multicast: false,
            http_only: false,
            refusal: "461 Unsupported Transport",
            other_port: false,
        };
        Self {
            path: "/live",
            only_paths: &[],
            transports,
            sign_in: None,
            public: "OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, GET_PARAMETER",
            session_tail: ";timeout=60",
            needs_request_each: None,
            needs_report_each: None,
            keep_alive: KeepAlive::Answered,
            content_base: ContentBase::Right,
            rtp_info: None,
            play_headers: Vec::new(),
            channel_shift: 0,
            early: 0,
            refusals: Vec::new(),
            mute: Vec::new(),
            redirect: None,
            redirected: "DESCRIBE",
            crowd: Crowd::Served,
            cseq: Cseq::Right,
            byte_pace: Duration::ZERO,
            header_bytes: 0,
            tls: None,
            length_off: 0,
            strict_urls: false,
            bare_line_ends: false,
            edit: None,
            delay: None,
        }
    }
}

type MakeFeed = Arc<dyn Fn(&Start) -> Feed + Send + Sync>;
type Edit = Arc<dyn Fn(String, &Place) -> Vec<u8> + Send + Sync>;

/// A camera.
#[derive(Clone)]
pub struct Model {
    /// Its lines of SDP.
    pub lines: Vec<Line>,
    /// Its manners.
    pub manners: Manners,
    feed: MakeFeed,
    edit: Option<Edit>,
}

impl Model {
    /// A camera of these lines that sends what `feed` makes anew for each session.
    pub fn new(lines: Vec<Line>, feed: impl Fn(&Start) -> Feed + Send + Sync + 'static) -> Self {
        Self { lines, manners: Manners::default(), feed: Arc::new(feed), edit: None }
    }

    /// H.264 pictures at a steady rate.
    pub fn pictures(units: Vec<Unit>, rate: f64) -> Self {
        Self::changed(units, rate, |source| source)
    }

    /// H.264 pictures, with something changed.
    pub fn changed(units: Vec<Unit>, rate: f64, change: impl Fn(Source) -> Source + Send + Sync + 'static) -> Self {
        let lines = vec![Line::h264(&units)];
        Self::new(lines, move |start| change(Source::pictures(start, &units, rate)).feed())
    }

    /// With sound as a second track.
    pub fn with_sound(self, line: Line, track: Track) -> Self {
        self.with_source(line, move |start, payload_type| Source::sound(start, payload_type, &track))
    }

    /// With another source as the next track.
    pub fn with_source(self, line: Line, source: impl Fn(&Start, u8) -> Source + Send + Sync + 'static) -> Self {
        let (pictures, number, payload_type) = (self.feed, self.lines.len(), line.payload_type);
        let feed = move |start: &Start| merged(pictures(start), source(start, payload_type).on(number).feed());
        Self { lines: [self.lines, vec![line]].concat(), feed: Arc::new(feed), ..self }
    }

    /// With something done to what it sends.
    pub fn sending(self, change: impl Fn(Feed, &Start) -> Feed + Send + Sync + 'static) -> Self {
        let feed = self.feed;
        Self { feed: Arc::new(move |start| change(feed(start), start)), ..self }
    }

    /// With something done to its SDP.
    pub fn describing<T: Into<Vec<u8>>>(self, edit: impl Fn(String, &Place) -> T + Send + Sync + 'static) -> Self {
        Self { edit: Some(Arc::new(move |sdp, place| edit(sdp, place).into())), ..self }
    }

    /// With other manners.
    pub fn mannered(mut self, change: impl FnOnce(&mut Manners)) -> Self {
        change(&mut self.manners);
        self
    }

    /// What it sends in one session.
    pub fn feed(&self, start: &Start) -> Feed {
        (self.feed)(start)
    }

    /// Its SDP.
    pub fn sdp(&self, place: &Place) -> Vec<u8> {
        let mut sdp =
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Session\r\nt=0 0\r\na=control:*\r\na=range:npt=0-\r\n".to_owned();
        for (i, line) in self.lines.iter().enumerate() {
            let number = line.payload_type;
            let _ = write!(sdp, "m={} 0 RTP/AVP {number}\r\nc=IN IP4 0.0.0.0\r\n", line.kind);
            for (name, value) in [("rtpmap", &line.rtpmap), ("fmtp", &line.fmtp)] {
                if let Some(value) = value {
                    let _ = write!(sdp, "a={name}:{number} {value}\r\n");
                }
            }
            for more in &line.more {
                let _ = write!(sdp, "{more}\r\n");
            }
            let _ = write!(sdp, "a=control:track{}\r\n", i + 1);
        }
        match &self.edit {
            Some(edit) => edit(sdp, place),
            None => sdp.into_bytes(),
        }
    }
}
