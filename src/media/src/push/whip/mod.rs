//! WHIP (RFC 9725) from the sending side: an offer with all its candidates, the answer, and the end.

mod http;

use crate::pipeline;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_webrtc::{self as gst_webrtc, gst_sdp};
use http::Endpoint;
pub(super) use http::WhipSession;
use perch_base::clock::{SharedClock, within};
use perch_base::secret::random_bytes;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::media::VideoCodec;
use perch_domain::push::PushTarget;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Fragments and aggregates, in order (RFC 6184, section 6.3).
const MODE: &str = "1";
/// How long candidates are gathered: those of this host come at once.
const GATHERS_WITHIN: Duration = Duration::from_secs(5);
/// How long the library takes to describe what it has.
const DESCRIBES_WITHIN: Duration = Duration::from_secs(5);

/// Has a way into `webrtcbin` send alone: what `packed` makes, pictures that are encoded like this, or sound.
pub(super) fn only_send(entry: &gst::Pad, packed: &gst::Bin, codec: Option<VideoCodec>) -> Result<()> {
    // It is said in the offer, before anything is sent: servers without it drop what they cannot tell apart.
    let ssrc = u32::from_be_bytes(random_bytes::<4>());
    pipeline::element(packed, "pay")?.set_property("ssrc", ssrc);
    let target = entry.downcast_ref::<gst::GhostPad>().and_then(|ghost| ghost.target());
    let transceiver = target.and_then(|pad| pad.property::<Option<gst_webrtc::WebRTCRTPTransceiver>>("transceiver"));
    let transceiver = transceiver.ok_or_else(|| Error::internal("webrtcbin has a way in that leads nowhere"))?;
    transceiver.set_direction(gst_webrtc::WebRTCRTPTransceiverDirection::Sendonly);
    transceiver.set_property("codec-preferences", preference(codec, ssrc));
    if codec.is_some() {
        transceiver.set_property("do-nack", true);
    }
    Ok(())
}

/// What `webrtcbin` offers of a camera's pictures, or of its sound.
fn preference(codec: Option<VideoCodec>, ssrc: u32) -> gst::Caps {
    let (media, clock_rate, payload, name) = match codec {
        Some(VideoCodec::Vp8) => ("video", 90_000, 96, "VP8"),
        Some(_) => ("video", 90_000, 96, "H264"),
        None => ("audio", 48_000, 97, "OPUS"),
    };
    let caps = gst::Caps::builder("application/x-rtp").field("media", media).field("clock-rate", clock_rate);
    let caps = caps.field("payload", payload).field("encoding-name", name).field("ssrc", ssrc);
    match name {
        "H264" => caps.field("packetization-mode", MODE).build(),
        "OPUS" => caps.field("encoding-params", "2").build(),
        _ => caps.build(),
    }
}

/// The session's `webrtcbin`.
pub(super) struct Peer {
    bin: gst::Element,
    /// Rung whenever the state of gathering or of the connection changed.
    changed: mpsc::UnboundedReceiver<()>,
    is_connected: Arc<AtomicBool>,
    /// Packets that came from the other server.
    reports: Arc<AtomicU64>,
}

impl Peer {
    /// Watches `bin`. `tell` hears why it cannot go on.
    pub fn new(bin: gst::Element, host: String, tell: impl Fn(Error) + Send + Sync + 'static) -> Self {
        let (ring, changed) = mpsc::unbounded_channel();
        let is_connected = Arc::new(AtomicBool::new(false));
        let bell = ring.clone();
        bin.connect_notify(Some("ice-gathering-state"), move |_, _| {
            let _ = bell.send(());
        });
        let connected = is_connected.clone();
        bin.connect_notify(Some("connection-state"), move |bin, _| {
            use gst_webrtc::WebRTCPeerConnectionState as State;
            let state = bin.property::<State>("connection-state");
            connected.store(state == State::Connected, Ordering::SeqCst);
            let why = match state {
                State::Failed => "cannot be reached by UDP: see whether a firewall is in between",
                State::Disconnected | State::Closed => "broke the connection off",
                _ => return,
            };
            tell(Error::new(ErrorKind::Unavailable, format!("{host} {why}")));
        });
        let reports = Arc::new(AtomicU64::new(0));
        let count = reports.clone();
        if let Some(bin) = bin.downcast_ref::<gst::Bin>() {
            // What comes at the socket: of one that only takes, reports alone.
            bin.connect_deep_element_added(move |_, _, element| {
                let is_socket = element.factory().is_some_and(|factory| factory.name() == "nicesrc");
                let Some(pad) = element.static_pad("src").filter(|_| is_socket) else { return };
                let count = count.clone();
                pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, _| {
                    count.fetch_add(1, Ordering::Relaxed);
                    gst::PadProbeReturn::Ok
                });
            });
        }
        Self { bin, changed, is_connected, reports }
    }

    /// Whether pictures can leave.
    pub fn connected(&self) -> Arc<AtomicBool> {
        self.is_connected.clone()
    }

    /// How often it reported what it took.
    pub fn reports(&self) -> Arc<AtomicU64> {
        self.reports.clone()
    }

    /// Offers what the pipeline sends to `target`, and takes its answer. The pipeline runs.
    pub async fn connect(&mut self, target: &PushTarget, clock: &SharedClock) -> Result<WhipSession> {
        let endpoint = Endpoint::of(target)?;
        let offer = self.offer(clock).await?;
        let (session, answer) = endpoint.offer(offer, clock).await?;
        let bad =
            || Error::new(ErrorKind::Unavailable, format!("{} answered with no session description", target.host()));
        // The library takes an empty one for a mistake of ours.
        let parsed =
            Some(&answer).filter(|text| !text.is_empty()).and_then(|text| gst_sdp::SDPMessage::parse_buffer(text).ok());
        let Some(answer) = parsed else {
            session.end(clock).await;
            return Err(bad());
        };
        let answer = gst_webrtc::WebRTCSessionDescription::new(gst_webrtc::WebRTCSDPType::Answer, answer);
        let taken = self.ask(clock, "set-remote-description", |bin, promise| {
            bin.emit_by_name::<()>("set-remote-description", &[&answer, promise]);
        });
        if let Err(e) = taken.await {
            session.end(clock).await;
            return Err(bad().with_source(e));
        }
        Ok(session)
    }

    /// The offer with all candidates.
    async fn offer(&mut self, clock: &SharedClock) -> Result<String> {
        let reply = self.ask(clock, "create-offer", |bin, promise| {
            bin.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, promise]);
        });
        let reply = reply.await?;
        let offer = reply.and_then(|reply| reply.get::<gst_webrtc::WebRTCSessionDescription>("offer").ok());
        let offer = offer.ok_or_else(|| Error::internal("webrtcbin makes no offer"))?;
        self.ask(clock, "set-local-description", |bin, promise| {
            bin.emit_by_name::<()>("set-local-description", &[&offer, promise]);
        })
        .await?;
        let gathered = async {
            use gst_webrtc::WebRTCICEGatheringState as State;
            while self.bin.property::<State>("ice-gathering-state") != State::Complete {
                if self.changed.recv().await.is_none() {
                    break;
                }
            }
        };
        // What came by then is offered.
        within(clock, GATHERS_WITHIN, gathered).await;
        let local = self.bin.property::<Option<gst_webrtc::WebRTCSessionDescription>>("local-description");
        let text = local.and_then(|local| local.sdp().as_text().ok());
        // Constrained baseline is what every browser takes. `webrtcbin` is not told: it would refuse a camera that says it sends another.
        let text = text.map(|text| {
            let mode = format!("a=fmtp:96 packetization-mode={MODE}\r\n");
            let profile =
                format!("a=fmtp:96 packetization-mode={MODE};profile-level-id=42e01f;level-asymmetry-allowed=1\r\n");
            text.replace(&mode, &profile)
        });
        text.ok_or_else(|| Error::internal("webrtcbin has no description"))
    }

    async fn ask(
        &self,
        clock: &SharedClock,
        what: &str,
        ask: impl FnOnce(&gst::Element, &gst::Promise),
    ) -> Result<Option<gst::Structure>> {
        let (promise, reply) = gst::Promise::new_future();
        ask(&self.bin, &promise);
        let failed = || Error::internal(format!("webrtcbin fails at {what}"));
        let reply = within(clock, DESCRIBES_WITHIN, reply).await.ok_or_else(failed)?;
        let reply = reply.map_err(|e| failed().with_inside(format!("{e:?}")))?;
        let reply = reply.map(|reply| (*reply).to_owned());
        let error = reply.as_ref().and_then(|reply| reply.get::<gst::glib::Error>("error").ok());
        error.map_or(Ok(reply), |e| Err(failed().with_source(e)))
    }
}
