//! What tests of sessions share: a sink that counts, and a session that ends when enough was seen.

use perch_base::Result;
use perch_base::clock::SystemClock;
use perch_base::secret::Secret;
use perch_base::shutdown;
use perch_domain::ingest::{
    IngestPort, IngestRequest, IngestSink, Intake, KnownCertificates, Offer, Shape, TlsTrust, Transport,
};
use perch_ingest::Ingest;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What came of a session.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub offer: Option<Offer>,
    pub pictures: usize,
    pub sounds: usize,
    pub notices: Vec<String>,
    /// Of its first pictures.
    pub shape: Option<Shape>,
    /// Nothing came before the offer, and it came once.
    pub in_order: bool,
    is_begun: bool,
}

impl Seen {
    fn take(&mut self, intake: Intake) {
        self.in_order |= !self.is_begun;
        self.is_begun = true;
        match intake {
            Intake::Offer(offer) => self.in_order &= self.offer.replace(offer).is_none(),
            Intake::Picture(picture) => {
                self.pictures += 1;
                self.shape = self.shape.or(picture.shape);
                self.in_order &= self.offer.is_some();
            }
            Intake::Sound(_) => {
                self.sounds += 1;
                self.in_order &= self.offer.is_some();
            }
            Intake::Notice(text) => self.notices.push(text),
            Intake::Awaits | Intake::SoundFormat(_) | Intake::Aside(_) => {}
        }
    }
}

/// Certificates that are kept for a test.
#[derive(Default)]
pub struct Known(pub Mutex<BTreeMap<String, [u8; 32]>>);

impl KnownCertificates for Known {
    fn of(&self, camera: &str) -> Option<[u8; 32]> {
        self.0.lock().expect("whole").get(camera).copied()
    }

    fn learn(&self, camera: &str, sha256: [u8; 32]) {
        self.0.lock().expect("whole").insert(camera.to_owned(), sha256);
    }
}

/// Sessions by the machine's clock.
pub fn ingest() -> Ingest {
    Ingest::new(Arc::new(SystemClock), Arc::new(Known::default()))
}

/// A request for a camera with its sound.
pub fn request(url: &str, transport: &str) -> IngestRequest {
    let transport = match transport {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        "multicast" => Transport::Multicast,
        "http" => Transport::Http,
        _ => Transport::Auto,
    };
    IngestRequest { url: Secret::new(url.to_owned()), transport, trust: TlsTrust::FirstSeen, sound: true }
}

struct Sink<F>(Mutex<Seen>, F);

impl<F: Fn(&Seen) -> bool + Send + Sync> IngestSink for Sink<F> {
    fn take(&self, intake: Intake) -> bool {
        let mut seen = self.0.lock().expect("whole");
        seen.take(intake);
        !(self.1)(&seen)
    }
}

/// One session, until it ends, `enough` says so, or the limit is over.
pub async fn watch(
    ingest: &Ingest,
    request: &IngestRequest,
    limit: Duration,
    enough: impl Fn(&Seen) -> bool + Send + Sync,
) -> (Result<()>, Seen) {
    let sink = Sink(Mutex::new(Seen { in_order: true, ..Seen::default() }), enough);
    let (trigger, shutdown) = shutdown::channel();
    let session = ingest.run(request, &sink, shutdown);
    let ends = async {
        tokio::time::sleep(limit).await;
        trigger.fire();
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = session => result,
        () = ends => Ok(()),
    };
    (result, sink.0.into_inner().expect("whole"))
}
