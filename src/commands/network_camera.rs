//! `perch check`, network cameras: one session with each of its streams as the box has it, until the first picture.

use super::report::Report;
use crate::known_certificates::Onlooker;
use bytes::Bytes;
use perch_base::clock::{SharedClock, SystemClock};
use perch_base::secret::Secret;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, blocking, shutdown};
use perch_domain::camera::{AudioSource, CameraConfig};
use perch_domain::health::undecodable;
use perch_domain::ingest::{IngestPort, IngestRequest, IngestSink, Intake, Offer, PictureCodec, Shape};
use perch_domain::media::Stream;
use perch_domain::picture_gate::PictureGate;
use perch_ingest::Ingest;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long its first picture is waited for: most cameras send a keyframe each few seconds.
const PICTURE_WITHIN: Duration = Duration::from_secs(12);
/// How long it may take to be left.
const LEFT_WITHIN: Duration = Duration::from_secs(2);

/// What came of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    offer: Option<Offer>,
    has_picture: bool,
    /// The picture, where the box has to decode it.
    jpeg: Option<Bytes>,
    /// Whether it cannot.
    is_undecodable: bool,
    shape: Option<Shape>,
    notices: Vec<String>,
}

#[derive(Default)]
struct Sink(Mutex<Seen>);

impl IngestSink for Sink {
    fn take(&self, intake: Intake) -> bool {
        let mut seen = lock(&self.0);
        match intake {
            Intake::Offer(offer) => seen.offer = Some(offer),
            Intake::Picture(picture) => {
                (seen.has_picture, seen.shape) = (true, picture.shape);
                let is_jpeg = seen.offer.as_ref().is_some_and(|offer| offer.pictures == PictureCodec::Jpeg);
                seen.jpeg = is_jpeg.then_some(picture.data);
                return false;
            }
            Intake::Notice(what) if seen.notices.len() < 8 => seen.notices.push(what),
            Intake::Notice(_) | Intake::SoundFormat(_) | Intake::Sound(_) | Intake::Awaits => {}
        }
        true
    }
}

/// What is printed: what, and how to fix it.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Good(String),
    Odd(String, &'static str),
    Bad(String, &'static str),
}

/// Looks at the camera's streams, one after the other.
pub(super) fn look(report: &mut Report, c: &CameraConfig, url: &Secret, certificates: &Arc<Onlooker>) {
    let lines = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("the runtime cannot be started").with_source(e))
        .map(|runtime| runtime.block_on(lines(c, url, certificates)));
    for line in lines.unwrap_or_else(|e| vec![Line::Bad(format!("{}: {e}", c.id), "try again")]) {
        match line {
            Line::Good(what) => report.good(&what),
            Line::Odd(what, fix) => report.warn(&what, fix),
            Line::Bad(what, fix) => report.bad(&what, fix),
        }
    }
}

async fn lines(c: &CameraConfig, url: &Secret, certificates: &Arc<Onlooker>) -> Vec<Line> {
    let clock: SharedClock = Arc::new(SystemClock);
    let ingest = Ingest::new(clock.clone(), certificates.clone());
    let network = &c.network;
    let wants_sound = c.audio.source == AudioSource::Source;
    let streams = [
        (Stream::Main, Some(url), c.source.describe(), wants_sound),
        (Stream::Sub, network.sub_source.as_ref(), "sub_source".into(), false),
    ];
    let mut lines = Vec::new();
    for (stream, url, what, sound) in streams {
        let Some(url) = url else { continue };
        let (transport, trust) = (network.transport, network.trust.clone());
        let request = IngestRequest { url: url.clone(), transport, trust, sound };
        let (ended, mut seen) = session(&ingest, &clock, &request).await;
        if let Some(jpeg) = seen.jpeg.take() {
            let looked = blocking("decoding a picture", move || perch_media::still::look_at_jpeg(&jpeg)).await;
            seen.is_undecodable = looked.is_err();
        }
        let name = format!("{} ({what})", c.id);
        lines.extend(lines_of(&name, stream, sound, &ended, &seen));
        lines.extend(certificates.take_first().into_iter().map(|sha256| {
            Line::Odd(
                format!("{name}: its certificate was not known, and the first one is trusted; its SHA-256 is {sha256}"),
                "compare that with what the camera itself shows of it, or name it in the camera's `tls`",
            )
        }));
    }
    lines
}

async fn session(ingest: &dyn IngestPort, clock: &SharedClock, request: &IngestRequest) -> (Result<()>, Seen) {
    let sink = Sink::default();
    let (end, over) = shutdown::channel();
    let ended = {
        let mut session = pin!(ingest.run(request, &sink, over));
        tokio::select! {
            ended = &mut session => ended,
            () = clock.sleep(PICTURE_WITHIN) => {
                end.fire();
                perch_base::clock::within(clock, LEFT_WITHIN, session).await.unwrap_or(Ok(()))
            }
        }
    };
    let seen = lock(&sink.0).clone();
    (ended, seen)
}

fn lines_of(name: &str, stream: Stream, wants_sound: bool, ended: &Result<()>, seen: &Seen) -> Vec<Line> {
    // The box refuses it as soon as it is offered, whatever comes.
    let refused = seen.offer.as_ref().and_then(|offer| PictureGate::new(stream).offer(offer.pictures).err());
    if let Some(e) = refused {
        return vec![Line::Bad(format!("{name} {}", e.message()), "without that, remove `sub_source` from the config")];
    }
    if seen.is_undecodable {
        return vec![Line::Bad(
            format!("{name}: {}", undecodable().message()),
            "the box gets no picture of it until then",
        )];
    }
    let notice = |what: &String| match seen.has_picture {
        true => Line::Odd(format!("{name}: {what}"), "the box goes on with it as it is"),
        false => Line::Bad(format!("{name}: {what}"), "change that in the camera: the box got no picture of it"),
    };
    if ended.is_ok() && seen.offer.is_some() && !seen.has_picture && !seen.notices.is_empty() {
        // It says more than that no picture came.
        return seen.notices.iter().map(notice).collect();
    }
    let first = match (ended, &seen.offer) {
        (_, Some(offer)) if seen.has_picture => {
            Line::Good(format!("{name}: {}", offered(offer, seen.shape, wants_sound)))
        }
        (Err(e), _) if matches!(e.kind(), ErrorKind::Unavailable) => {
            Line::Bad(format!("{name}: {e}"), "switch the camera on; correct its address, port and network in `source`")
        }
        (Err(e), _) => {
            Line::Bad(format!("{name}: {e}"), "change it in the camera, or correct the camera's keys in the config")
        }
        (Ok(()), Some(_)) => Line::Odd(
            format!("{name}: no picture that decoding can begin with came within {} s", PICTURE_WITHIN.as_secs()),
            "set a shorter keyframe interval in the camera",
        ),
        (Ok(()), None) => Line::Bad(
            format!("{name}: it does not begin within {} s", PICTURE_WITHIN.as_secs()),
            "see whether another player shows it, and whether it lets in one more connection",
        ),
    };
    let no_sound = seen.offer.as_ref().and_then(|offer| offer.no_sound.as_ref());
    let no_sound = no_sound.map(|what| Line::Odd(format!("{name}: {what}"), "the box goes on without its sound"));
    std::iter::once(first).chain(no_sound).chain(seen.notices.iter().map(notice)).collect()
}

/// What it offers, in words.
fn offered(offer: &Offer, shape: Option<Shape>, wants_sound: bool) -> String {
    let codec = match offer.pictures {
        PictureCodec::H264 => "H.264",
        PictureCodec::H265 => "H.265",
        PictureCodec::Jpeg => "MJPEG",
    };
    let size = shape.map(|shape| format!(" {}x{}", shape.width, shape.height)).unwrap_or_default();
    let sound = match (wants_sound, &offer.sound) {
        (false, _) => "",
        (true, Some(_)) => ", with sound",
        (true, None) => ", without sound",
    };
    format!("{codec}{size}{sound}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use perch_base::secret::{hex, sha256};
    use perch_test_cameras::{Camera, find};

    fn configured(keys: &str) -> CameraConfig {
        let text = format!("[[camera]]\nid = \"yard\"\n{keys}");
        Config::parse(&text, std::iter::empty()).expect("valid").cameras.remove(0)
    }

    async fn looked_at(keys: &str) -> Vec<Line> {
        let config = configured(keys);
        let url = config.source.url().expect("a network camera").clone();
        lines(&config, &url, &Arc::default()).await
    }

    /// As the box would, a certificate is held against what is known, and only the first one is trusted, which is said.
    #[tokio::test]
    async fn a_certificate_is_checked_as_the_box_does() {
        let camera = Camera::start(find("tlsown").expect("a case")).unwrap_or_else(|e| panic!("{e:?}"));
        let shown = hex(&sha256(camera.certificate().expect("a certificate")));
        let dir = tempfile::tempdir().expect("a folder");
        let text = format!("[box]\ndata_dir = {:?}\n[recording]\nmin_free_bytes = 0", dir.path());
        let config = Config::parse(&text, std::iter::empty()).expect("valid");
        let url = camera.url();
        let place = url.trim_start_matches("rtsps://").split('/').next().expect("an authority");
        let look = async |keys: &str| {
            let config = configured(&format!("source = {url:?}\n{keys}"));
            let known = Arc::new(Onlooker::of_box(dir.path()).expect("read"));
            lines(&config, config.source.url().expect("a network camera"), &known).await
        };
        let said = look("").await;
        assert!(
            matches!(&said[..], [Line::Good(_), Line::Odd(first, _)] if first.contains(&shown)),
            "no box ever ran: {said:?}"
        );
        let store = perch_store::Store::open(config.store(), Arc::new(SystemClock)).expect("opened");
        let known = |sha256: &str| {
            let text = format!("{{\"{place}\": \"{sha256}\"}}");
            store.meta().set(crate::known_certificates::KEY, &text).expect("kept");
        };
        known(&shown);
        let said = look("").await;
        assert!(matches!(&said[..], [Line::Good(_)]), "{said:?}");
        known(&"0".repeat(64));
        let said = look("").await;
        assert!(
            matches!(&said[..], [Line::Bad(what, _)] if what.contains("another certificate than before")),
            "{said:?}"
        );
        let said = look(&format!("tls = {{ sha256 = \"{shown}\" }}")).await;
        assert!(matches!(&said[..], [Line::Good(_)]), "the config comes first: {said:?}");
    }

    /// In HTTP, with sign-in, and with a second stream; OPTIONS on the RTSP port says nothing of any of them.
    #[tokio::test]
    async fn a_camera_is_tried_as_the_box_has_it() {
        let case = find("httpsound").expect("a case");
        let camera = Camera::start(case).unwrap_or_else(|e| panic!("{e:?}"));
        let plain = Camera::start(find("http").expect("a case")).unwrap_or_else(|e| panic!("{e:?}"));
        let (url, second) = (camera.url(), plain.url());
        let keys = format!(
            "source = {url:?}\nsub_source = {second:?}\ntransport = \"http\"\naudio = {{ source = \"source\" }}"
        );
        let said = looked_at(&keys).await;
        let [Line::Good(first), Line::Good(second)] = &said[..] else { panic!("{said:?}") };
        assert!(
            first.starts_with("yard (rtsp://") && first.contains("H.264 ") && first.ends_with(", with sound"),
            "{first}"
        );
        assert!(second.starts_with("yard (sub_source): H.264 "), "{second}");
        let said =
            looked_at(&format!("source = {url:?}\nsub_source = \"rtsp://127.0.0.1:1/\"\ntransport = \"http\"")).await;
        let [Line::Good(_), Line::Bad(gone, _)] = &said[..] else { panic!("{said:?}") };
        assert!(gone.contains("sub_source"), "{gone}");
    }

    #[tokio::test]
    async fn jpeg_is_decoded_to_see_whether_it_can_be() {
        let camera = Camera::start(find("jpeg").expect("a case")).unwrap_or_else(|e| panic!("{e:?}"));
        let said = looked_at(&format!("source = {:?}", camera.url())).await;
        assert!(matches!(&said[..], [Line::Good(what)] if what.contains("MJPEG")), "{said:?}");
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_and_no_password() {
        let camera = Camera::start(find("httpserver").expect("a case")).unwrap_or_else(|e| panic!("{e:?}"));
        let url = camera.url().replace("rtsp://", "rtsp://me:hunter2@");
        let said = looked_at(&format!("source = {url:?}")).await;
        let [Line::Bad(what, _)] = &said[..] else { panic!("{said:?}") };
        assert!(what.contains("RTSP") && !what.contains("hunter2"), "{what}");
    }

    #[test]
    fn what_came_is_said() {
        let offer = Offer { pictures: PictureCodec::H265, sound: None, no_sound: None };
        let seen = Seen { offer: Some(offer), has_picture: true, notices: vec!["odd".into()], ..Seen::default() };
        let said = lines_of("yard", Stream::Main, true, &Ok(()), &seen);
        assert!(
            matches!(&said[..], [Line::Good(what), Line::Odd(odd, _)] if what == "yard: H.265, without sound" && odd == "yard: odd")
        );
        let late = lines_of(
            "yard",
            Stream::Main,
            true,
            &Ok(()),
            &Seen { has_picture: false, notices: vec![], ..seen.clone() },
        );
        assert!(matches!(&late[..], [Line::Odd(what, _)] if what.contains("no picture")), "{late:?}");
        let why = lines_of("yard", Stream::Main, true, &Ok(()), &Seen { has_picture: false, ..seen.clone() });
        assert!(
            matches!(&why[..], [Line::Bad(what, fix)] if what == "yard: odd" && !fix.contains("goes on")),
            "the notice says why: {why:?}"
        );
        let broken = lines_of("yard", Stream::Main, true, &Ok(()), &Seen { is_undecodable: true, ..seen.clone() });
        assert!(matches!(&broken[..], [Line::Bad(what, _)] if what.contains("cannot be decoded")), "{broken:?}");
        let second = lines_of("yard", Stream::Sub, false, &Ok(()), &seen);
        assert!(
            matches!(&second[..], [Line::Bad(what, _)] if what.starts_with("yard is not H.264")),
            "the box refuses it: {second:?}"
        );
        assert!(matches!(lines_of("yard", Stream::Main, false, &Ok(()), &Seen::default())[..], [Line::Bad(..)]));
        let refused = Err(Error::new(ErrorKind::Unauthenticated, "it refuses user and password"));
        let said = lines_of("yard", Stream::Main, false, &refused, &Seen::default());
        assert!(matches!(&said[..], [Line::Bad(_, fix)] if fix.contains("config")), "{said:?}");
    }
}
