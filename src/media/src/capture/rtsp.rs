//! An RTSP camera: its H.264 is taken as it is, its sound is passed through (Opus) or decoded. Everything else it offers is left there.

use super::control::{Part, Valves};
use super::flow::{Flow, Signal};
use super::settings::Settings;
use super::{file, parts};
use crate::pipeline;
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::secret::Secret;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// The bin of the camera at `url`, with a pad for its H.264.
pub(super) fn source(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    valves: &Arc<Valves>,
    url: &Secret,
) -> Result<gst::Bin> {
    let (location, user, password) = split_credentials(url.expose());
    let mut strings = vec![("location", location.as_str())];
    if let Some(user) = &user {
        strings.push(("user-id", user));
        strings.push(("user-pw", password.as_deref().unwrap_or("")));
    }
    let bin = settings.library.open_bin("source/rtsp", &[], &strings)?;
    let src = pipeline::element(&bin, "src")?;
    file::expose(&bin)?;
    let entry = pipeline::pad_of(&bin, "video", "sink")?;
    let pads = Arc::new(Pads {
        settings: settings.clone(),
        flow: Arc::downgrade(flow),
        valves: valves.clone(),
        bin: bin.downgrade(),
        entry: entry.downgrade(),
        taken: Mutex::default(),
    });
    let chooser = pads.clone();
    src.connect("select-stream", false, move |args| {
        let caps = args.get(2).and_then(|v| v.get::<gst::Caps>().ok());
        Some(caps.is_some_and(|c| chooser.wants(&c)).to_value())
    });
    let linker = pads.clone();
    src.connect_pad_added(move |_, pad| linker.added(pad));
    src.connect_no_more_pads(move |_| pads.complete());
    Ok(bin)
}

/// Whether a server answers RTSP at `url`: OPTIONS (RFC 2326 section 10.1) without credentials; over TLS only the connection is
/// tried. Errors with [`ErrorKind::Unavailable`] and a sentence. Blocks for at most `within` for each address of the host.
pub fn answers(url: &Secret, within: Duration) -> Result<()> {
    let (clean, ..) = split_credentials(url.expose());
    let unavailable = |what: String| Error::new(ErrorKind::Unavailable, what);
    let (scheme, rest) = clean.split_once("://").unwrap_or(("rtsp", &clean));
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let has_port = authority.rsplit(']').next().is_some_and(|after| after.contains(':'));
    let default_port = if scheme == "rtsps" { 322 } else { 554 };
    let place = if has_port { authority.to_owned() } else { format!("{authority}:{default_port}") };
    let addresses = place.to_socket_addrs().map_err(|e| unavailable(format!("{place} is not known here ({e})")))?;
    let mut why = format!("{place} has no address");
    for address in addresses {
        let mut socket = match TcpStream::connect_timeout(&address, within) {
            Ok(socket) => socket,
            Err(e) => {
                why = format!("{place} cannot be reached ({e})");
                continue;
            }
        };
        if scheme == "rtsps" {
            return Ok(());
        }
        let mut status = [0; 8];
        let asked = socket.set_read_timeout(Some(within)).and_then(|()| {
            socket.write_all(format!("OPTIONS {clean} RTSP/1.0\r\nCSeq: 1\r\n\r\n").as_bytes())?;
            socket.read_exact(&mut status)
        });
        let other = || unavailable(format!("{place} does not answer in RTSP"));
        return match asked {
            Ok(()) if &status == b"RTSP/1.0" => Ok(()),
            Ok(()) => Err(other().with_inside(format!("it says {:?}", String::from_utf8_lossy(&status)))),
            Err(e) => Err(other().with_source(e)),
        };
    }
    Err(unavailable(why))
}

/// The URL without user and password, and both of them decoded. They go in as properties: no message of GStreamer can hold them.
fn split_credentials(url: &str) -> (String, Option<String>, Option<String>) {
    let clean = perch_domain::redact::redact_url(url);
    let Some((scheme, rest)) = url.split_once("://") else { return (clean, None, None) };
    let user_info = clean.strip_prefix(scheme).and_then(|c| c.strip_prefix("://")).and_then(|c| rest.strip_suffix(c));
    match user_info.and_then(|u| u.strip_suffix('@')) {
        Some(info) => {
            let (user, password) = info.split_once(':').unwrap_or((info, ""));
            (clean, Some(percent_decode(user)), Some(percent_decode(password)))
        }
        None => (clean, None, None),
    }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[i], digit(i + 1), digit(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            (byte, ..) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

struct Pads {
    settings: Arc<Settings>,
    flow: Weak<Flow>,
    valves: Arc<Valves>,
    bin: gst::glib::WeakRef<gst::Bin>,
    entry: gst::glib::WeakRef<gst::Pad>,
    taken: Mutex<Taken>,
}

/// What was taken of the camera's streams.
#[derive(Default)]
struct Taken {
    has_video: bool,
    has_sound: bool,
}

/// What a stream of the camera is.
enum Offer {
    H264,
    Sound(&'static str),
    OtherVideo(String),
    Other,
}

fn offer(caps: &gst::CapsRef) -> Offer {
    let text = |name: &str| {
        let value = caps.structure(0).and_then(|s| s.get::<String>(name).ok()).unwrap_or_default();
        value
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(32)
            .collect::<String>()
            .to_ascii_uppercase()
    };
    // An RTP payload type 0 or 8 needs no name in SDP; GStreamer fills it in.
    match (text("media").as_str(), text("encoding-name").as_str()) {
        ("VIDEO", "H264") => Offer::H264,
        ("VIDEO", other) => Offer::OtherVideo(other.to_owned()),
        ("AUDIO", "OPUS") => Offer::Sound("audio/rtsp-opus"),
        ("AUDIO", "MPEG4-GENERIC") => Offer::Sound("audio/rtsp-aac"),
        ("AUDIO", "MP4A-LATM") => Offer::Sound("audio/rtsp-latm"),
        ("AUDIO", "PCMU") => Offer::Sound("audio/rtsp-pcmu"),
        ("AUDIO", "PCMA") => Offer::Sound("audio/rtsp-pcma"),
        _ => Offer::Other,
    }
}

impl Pads {
    /// Whether the stream is asked for at all: the first H.264, and the first sound that can be used.
    fn wants(&self, caps: &gst::CapsRef) -> bool {
        match offer(caps) {
            Offer::H264 => !std::mem::replace(&mut lock(&self.taken).has_video, true),
            Offer::Sound(_) => {
                parts::own_sound(&self.settings) && !std::mem::replace(&mut lock(&self.taken).has_sound, true)
            }
            Offer::OtherVideo(name) => {
                if let Some(flow) = self.flow.upgrade() {
                    flow.refuse(name);
                }
                false
            }
            Offer::Other => false,
        }
    }

    fn added(&self, pad: &gst::Pad) {
        let (Some(flow), Some(bin), Some(entry)) = (self.flow.upgrade(), self.bin.upgrade(), self.entry.upgrade())
        else {
            return;
        };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        match offer(&caps) {
            Offer::H264 if !entry.is_linked() => {
                if let Err(e) = pad.link(&entry) {
                    flow.signal(Signal::Failed(Error::invalid("the camera's H.264 cannot be used").with_source(e)));
                }
            }
            Offer::Sound(name) => {
                if let Err(e) = self.add_sound(&flow, &bin, pad, name)
                    && self.settings.is_news(&e)
                {
                    tracing::warn!(camera = %self.settings.config.id, error = %e, "the camera's sound cannot be used");
                }
            }
            _ => {}
        }
    }

    fn add_sound(&self, flow: &Arc<Flow>, bin: &gst::Bin, pad: &gst::Pad, name: &str) -> Result<()> {
        let first = self.settings.library.bin(name, &[], &[])?;
        if name == "audio/rtsp-opus" {
            flow.take_audio(&parts::sink(&first, "packets")?, false);
            return parts::grow(bin, pad, &[first]);
        }
        self.valves.add(Part::Sound, pipeline::element(&first, "valve")?);
        let opus = parts::opus(&self.settings, flow, &self.valves)?;
        parts::grow(bin, pad, &[first, opus])
    }

    fn complete(&self) {
        if let Some(flow) = self.flow.upgrade().filter(|_| !lock(&self.taken).has_video) {
            flow.signal(Signal::Failed(Error::invalid("sends no video")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url_and_decoded() {
        let parts = |u: &str| split_credentials(u);
        assert_eq!(parts("rtsp://cam/a@b"), ("rtsp://cam/a@b".into(), None, None));
        assert_eq!(
            parts("rtsp://me:p@s:s%21@cam:554/live"),
            ("rtsp://cam:554/live".into(), Some("me".into()), Some("p@s:s!".into()))
        );
        assert_eq!(percent_decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn a_camera_is_asked_without_its_password_and_distinguished_from_other_servers() {
        let asked = |answer: &'static str| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
            let place = listener.local_addr().expect("an address");
            let server = std::thread::spawn(move || {
                let (mut socket, _) = listener.accept().expect("a client");
                let mut request = [0; 512];
                let n = socket.read(&mut request).expect("a request");
                socket.write_all(answer.as_bytes()).expect("sent");
                String::from_utf8_lossy(&request[..n]).into_owned()
            });
            let url = Secret::new(format!("rtsp://me:hunter2@{place}/live"));
            (answers(&url, Duration::from_secs(3)).map_err(|e| e.to_string()), server.join().expect("served"), url)
        };
        let (result, request, url) = asked("RTSP/1.0 401 Unauthorized\r\n\r\n");
        assert_eq!(result, Ok(()));
        assert!(request.starts_with("OPTIONS rtsp://127.0.0.1:") && !request.contains("hunter2"), "{request}");
        let gone = answers(&url, Duration::from_secs(3)).expect_err("nobody listens any more").to_string();
        assert!(gone.contains("cannot be reached") && !gone.contains("hunter2"), "{gone}");
        let (result, ..) = asked("HTTP/1.1 400 Bad Request\r\n\r\n");
        let said = result.expect_err("HTTP");
        assert!(said.contains("does not answer in RTSP") && said.contains("HTTP/1.1"), "{said}");
        let (result, ..) = asked("");
        let said = result.expect_err("silence");
        assert!(said.contains("does not answer in RTSP: "), "the cause is said: {said}");
    }
}
