//! `perch check`, network cameras: one session with each of its streams as the box has it, and what is said of them.

use super::report::Report;
use crate::known_certificates::Onlooker;
use crate::probing::network::try_out;
use perch_base::Error;
use perch_base::clock::{SharedClock, SystemClock};
use perch_domain::camera::{AudioSource, CameraConfig};
use perch_domain::media::Stream;
use perch_domain::probe::{Judgement, Weight};
use std::sync::Arc;

/// A sentence, with the camera and stream that it is about.
type Line = (String, Judgement);

/// Looks at the camera's streams.
pub(super) fn look(report: &mut Report, c: &CameraConfig, certificates: &Arc<Onlooker>) {
    let lines = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("the runtime cannot be started").with_source(e))
        .map(|runtime| runtime.block_on(lines(c, certificates)));
    match lines {
        Ok(lines) => lines.iter().for_each(|(name, judged)| report.tell(name, judged)),
        Err(e) => report.bad(&format!("{}: {e}", c.id), "try again"),
    }
}

async fn lines(c: &CameraConfig, certificates: &Arc<Onlooker>) -> Vec<Line> {
    let clock: SharedClock = Arc::new(SystemClock);
    let wants_sound = c.audio.source == AudioSource::Source;
    let mut lines = Vec::new();
    for mut tried in try_out(&clock, certificates, c, wants_sound).await {
        tried.make_still(c, None).await;
        let (what, sound) = match tried.stream {
            Stream::Main => (c.source.describe(), wants_sound),
            Stream::Sub => ("sub_source".into(), false),
        };
        let name = format!("{} ({what})", c.id);
        lines.extend(tried.judge(sound).into_iter().map(|judged| (name.clone(), judged)));
    }
    // Advice is for whoever sets a camera up.
    lines.retain(|(_, judged)| judged.weight != Weight::Advice);
    lines
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

    /// Weights and sentences of a camera with these keys.
    async fn looked_at(keys: &str) -> Vec<(Weight, String)> {
        seen(&configured(keys), &Arc::default()).await
    }

    async fn seen(config: &CameraConfig, known: &Arc<Onlooker>) -> Vec<(Weight, String)> {
        let lines = lines(config, known).await;
        lines.into_iter().map(|(name, judged)| (judged.weight, format!("{name}: {}", judged.what))).collect()
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
            seen(&config, &known).await
        };
        let said = look("").await;
        assert!(
            matches!(&said[..], [(Weight::Good, _), (Weight::Odd, first)] if first.contains(&shown)),
            "no box ever ran: {said:?}"
        );
        let store = perch_store::Store::open(config.store(), Arc::new(SystemClock)).expect("opened");
        let known = |sha256: &str| {
            let text = format!("{{\"{place}\": \"{sha256}\"}}");
            store.meta().set(crate::known_certificates::KEY, &text).expect("kept");
        };
        known(&shown);
        let said = look("").await;
        assert!(matches!(&said[..], [(Weight::Good, _)]), "{said:?}");
        known(&"0".repeat(64));
        let said = look("").await;
        assert!(
            matches!(&said[..], [(Weight::Bad, what)] if what.contains("another certificate than before")),
            "{said:?}"
        );
        let said = look(&format!("tls = {{ sha256 = \"{shown}\" }}")).await;
        assert!(matches!(&said[..], [(Weight::Good, _)]), "the config comes first: {said:?}");
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
        let [(Weight::Good, first), (Weight::Good, second)] = &said[..] else { panic!("{said:?}") };
        assert!(
            first.starts_with("yard (rtsp://") && first.contains("H.264 ") && first.ends_with(", with sound"),
            "{first}"
        );
        assert!(second.starts_with("yard (sub_source): H.264 "), "{second}");
        let said =
            looked_at(&format!("source = {url:?}\nsub_source = \"rtsp://127.0.0.1:1/\"\ntransport = \"http\"")).await;
        let [(Weight::Good, _), (Weight::Bad, gone)] = &said[..] else { panic!("{said:?}") };
        assert!(gone.contains("sub_source"), "{gone}");
    }

    #[tokio::test]
    async fn jpeg_is_decoded_to_see_whether_it_can_be() {
        let camera = Camera::start(find("jpeg").expect("a case")).unwrap_or_else(|e| panic!("{e:?}"));
        let said = looked_at(&format!("source = {:?}", camera.url())).await;
        assert!(matches!(&said[..], [(Weight::Good, what)] if what.contains("MJPEG")), "{said:?}");
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_and_no_password() {
        let camera = Camera::start(find("httpserver").expect("a case")).unwrap_or_else(|e| panic!("{e:?}"));
        let url = camera.url().replace("rtsp://", "rtsp://me:hunter2@");
        let said = looked_at(&format!("source = {url:?}")).await;
        let [(Weight::Bad, what)] = &said[..] else { panic!("{said:?}") };
        assert!(what.contains("RTSP") && !what.contains("hunter2"), "{what}");
    }
}
