//! A renewed certificate serves RTSPS too.

use crate::app::tls_files;
use crate::supervisor::{Ended, Supervisor, Task};
use crate::tasks::blocking;
use perch_api::Certificate;
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use perch_media::rtsp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

struct FollowCertificate {
    certificates: watch::Receiver<Certificate>,
    rtsp: Arc<rtsp::Server>,
    /// The newest one is not yet taken over.
    is_due: bool,
}

/// Gives RTSPS each new certificate.
pub fn spawn(
    supervisor: &Supervisor,
    certificates: watch::Receiver<Certificate>,
    rtsp: &Arc<rtsp::Server>,
) -> Result<()> {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let task = FollowCertificate { certificates, rtsp: rtsp.clone(), is_due: false };
    supervisor.spawn(TaskId::RtspsCertificate, backoff, task)
}

impl Task for FollowCertificate {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<Ended> {
        loop {
            if self.is_due {
                let (rtsp, files) = (self.rtsp.clone(), tls_files(&self.certificates.borrow_and_update()));
                blocking("taking over a certificate", move || rtsp.set_certificate(&files)).await?;
                self.is_due = false;
            }
            tokio::select! {
                changed = self.certificates.changed() => match changed {
                    Ok(()) => self.is_due = true,
                    Err(_) => return Ok(Ended::Done),
                },
                () = shutdown.called() => return Ok(Ended::Done),
            }
        }
    }
}
