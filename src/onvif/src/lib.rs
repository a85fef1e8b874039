//! Floor 2: ONVIF. The only WS-Discovery and the only SOAP: finds devices in the network and asks one for its streams. `xml` and `soap` are
//! without a socket or a clock; `http` and `search` have them. Everything that comes is a stranger's: bounded in bytes, number and time.

#![forbid(unsafe_code)]

mod device;
mod http;
mod imaging;
mod search;
mod soap;
mod xml;

pub use http::{DeviceStream, Secures};

use perch_base::Result;
use perch_base::authority::in_url;
use perch_base::clock::{SharedClock, within};
use perch_domain::discovery::ONVIF_PORTS;
use perch_domain::onvif::{Answered, Asked, Imaging, OnvifDevice, OnvifPort};
use perch_domain::ports::Later;
use std::sync::Arc;
use std::time::Duration;

/// How long a device may take for all that it is asked.
const DEVICE_WITHIN: Duration = Duration::from_secs(15);
/// How long it may take to show that it is one.
const KNOCK_WITHIN: Duration = Duration::from_millis(1500);

/// Asks devices, whose times and limits go by this clock; to be used inside a tokio runtime.
#[derive(Clone)]
pub struct Onvif {
    clock: SharedClock,
    secures: Arc<dyn Secures>,
}

impl Onvif {
    /// See the type.
    pub fn new(clock: SharedClock, secures: Arc<dyn Secures>) -> Self {
        Self { clock, secures }
    }

    async fn is_device(&self, url: &str) -> bool {
        matches!(within(&self.clock, KNOCK_WITHIN, device::time_of(&*self.secures, url)).await, Some(Ok(_)))
    }
}

fn late() -> perch_base::Error {
    http::unavailable("its ONVIF service takes too long to answer")
}

impl OnvifPort for Onvif {
    fn search(&self, wait: Duration) -> Later<'_, Vec<Answered>> {
        Box::pin(search::search(&self.clock, wait))
    }

    fn imaging(&self, asked: Asked, stream: String) -> Later<'_, Result<Imaging>> {
        Box::pin(async move {
            let now = (self.clock.mono(), self.clock.utc());
            within(&self.clock, DEVICE_WITHIN, imaging::read(&*self.secures, &asked, &stream, &self.clock, now))
                .await
                .unwrap_or_else(|| Err(late()))
        })
    }

    fn set_imaging(
        &self,
        asked: Asked,
        imaging: Imaging,
        changes: Vec<(&'static str, String)>,
    ) -> Later<'_, Result<()>> {
        Box::pin(async move {
            let now = (self.clock.mono(), self.clock.utc());
            let set = imaging::set(&*self.secures, &asked, &imaging, &changes, &self.clock, now);
            within(&self.clock, DEVICE_WITHIN, set).await.unwrap_or_else(|| Err(late()))
        })
    }

    fn ask(&self, asked: Asked) -> Later<'_, Result<OnvifDevice>> {
        Box::pin(async move {
            let now = (self.clock.mono(), self.clock.utc());
            let answered =
                within(&self.clock, DEVICE_WITHIN, device::ask(&*self.secures, &asked, &self.clock, now)).await;
            answered.unwrap_or_else(|| Err(late()))
        })
    }

    fn find(&self, host: &str) -> Later<'_, Option<String>> {
        let host = in_url(host);
        let url = move |port: u16| format!("http://{host}:{port}/onvif/device_service");
        Box::pin(async move {
            let [a, b, c, d, e] = ONVIF_PORTS.map(url);
            let found = tokio::join!(
                self.is_device(&a),
                self.is_device(&b),
                self.is_device(&c),
                self.is_device(&d),
                self.is_device(&e)
            );
            let found = [(found.0, a), (found.1, b), (found.2, c), (found.3, d), (found.4, e)];
            found.into_iter().find(|(is_device, _)| *is_device).map(|(_, url)| url)
        })
    }
}
