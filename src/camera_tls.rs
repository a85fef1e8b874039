//! Secures what ONVIF devices are asked by: the certificate that a camera showed first is the one that it must show, as for its pictures.

use crate::known_certificates::{FirstCertificates, Onlooker};
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_domain::ingest::KnownCertificates;
use perch_domain::onvif::OnvifPort;
use perch_domain::ports::Later;
use perch_ingest::secured;
use perch_onvif::{DeviceStream, Onvif, Secures};
use std::sync::Arc;
use tokio::net::TcpStream;

/// See the module.
struct CameraTls(Arc<dyn KnownCertificates>);

/// ONVIF devices, whose certificates are those that are known of cameras; of a device that is only looked at nothing is kept.
pub fn onvif_with_tls(clock: &SharedClock, certificates: &Arc<FirstCertificates>) -> Arc<dyn OnvifPort> {
    let known = Arc::new(Onlooker::beside(certificates.clone()));
    Arc::new(Onvif::new(clock.clone(), Arc::new(CameraTls(known))))
}

impl Secures for CameraTls {
    fn secure(&self, tcp: TcpStream, host: String, port: u16) -> Later<'_, Result<Box<dyn DeviceStream>>> {
        Box::pin(async move {
            let stream = secured(tcp, &host, &format!("{host}:{port}"), &*self.0).await?;
            Ok(Box::new(stream) as Box<dyn DeviceStream>)
        })
    }
}
