//! A WHEP viewer without a browser: offers to receive one H.264 video and one Opus sound, and counts what comes. It knows
//! nothing of the box but the two SDPs, so tests and benches share it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::CodecExtra;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

/// What a viewer has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// ICE and DTLS are done.
    pub connected: bool,
    /// Whole video frames.
    pub frames: u64,
    /// Of these, those at which decoding can start.
    pub keyframes: u64,
    /// Frames that came after a loss.
    pub broken: u64,
    /// Opus packets.
    pub sounds: u64,
    /// Bytes of both.
    pub bytes: u64,
    pub connected_at: Option<Instant>,
    pub first_frame: Option<Instant>,
    pub last_frame: Option<Instant>,
    /// The box said goodbye, or nothing came for so long that ICE gave up.
    pub over: bool,
    /// The video as Annex B, at most [`KEEP`] bytes.
    pub video: Vec<u8>,
}

/// Bytes of video kept for a decoder.
const KEEP: usize = 2_000_000;

/// The video that a viewer offers.
#[derive(Clone, Copy, Debug)]
pub enum Plays {
    H264,
    H265,
    Vp8,
}

/// One viewer; somebody has to call [`Viewer::turn`] again and again, or [`Viewer::spawn`] once.
pub struct Viewer {
    rtc: Rtc,
    socket: UdpSocket,
    here: SocketAddr,
    pending: Option<SdpPendingOffer>,
    video: Mid,
    seen: Seen,
    buffer: Vec<u8>,
    /// Everything that is sent is sent again from here.
    echo: Option<UdpSocket>,
}

impl Viewer {
    /// A viewer and its offer.
    pub fn offer() -> (Self, String) {
        Self::playing(Plays::H264)
    }

    /// A viewer that offers this video alone, and sound.
    pub fn playing(plays: Plays) -> (Self, String) {
        let now = Instant::now();
        let config = Rtc::builder().clear_codecs().enable_opus(true, false);
        let config = match plays {
            Plays::H264 => config.enable_h264(true),
            Plays::H265 => config.enable_h265(true),
            Plays::Vp8 => config.enable_vp8(true),
        };
        let mut rtc = config.build(now);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP port");
        let here = socket.local_addr().expect("bound");
        rtc.add_local_candidate(Candidate::host(here, "udp").expect("a candidate"));
        let mut change = rtc.sdp_api();
        let video = change.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        change.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = change.apply().expect("something is offered");
        let (seen, buffer) = (Seen::default(), vec![0; 2048]);
        let viewer = Self { rtc, socket, here, pending: Some(pending), video, seen, buffer, echo: None };
        (viewer, offer.to_sdp_string())
    }

    /// Takes the box's answer.
    pub fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).expect("an SDP answer");
        let pending = self.pending.take().expect("one answer only");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("an answer to the offer");
    }

    /// From now on everything it sends is sent three times: twice by itself, once by a stranger who listened.
    pub fn replay_from_elsewhere(&mut self) {
        self.echo = Some(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP port"));
    }

    /// What was seen so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The port it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.here
    }

    /// Asks for a keyframe (PLI).
    pub fn ask_for_keyframe(&mut self) {
        if let Some(mut writer) = self.rtc.writer(self.video) {
            // Not possible before media flows: then the first frame is one anyway.
            let _ = writer.request_keyframe(None, KeyframeRequestKind::Pli);
        }
    }

    /// Sends what is due and takes one packet, waiting at most `longest`. False: it is over.
    pub fn turn(&mut self, longest: Duration) -> bool {
        let due = loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => break at,
                // Nobody there is what ICE finds out by itself.
                Ok(Output::Transmit(t)) => {
                    for socket in [Some(&self.socket), self.echo.as_ref(), self.echo.as_ref().map(|_| &self.socket)]
                        .into_iter()
                        .flatten()
                    {
                        let _ = socket.send_to(&t.contents, t.destination);
                    }
                }
                Ok(Output::Event(event)) => self.note(event),
                Err(_) => self.seen.over = true,
            }
            if self.seen.over || !self.rtc.is_alive() {
                self.seen.over = true;
                return false;
            }
        };
        let wait = due.saturating_duration_since(Instant::now()).min(longest).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(wait)).expect("not zero");
        let input = match self.socket.recv_from(&mut self.buffer) {
            Ok((n, source)) => match self.buffer[..n].try_into() {
                Ok(contents) => {
                    let receive = Receive { proto: Protocol::Udp, source, destination: self.here, contents };
                    Input::Receive(Instant::now(), receive)
                }
                Err(_) => return true,
            },
            Err(_) => Input::Timeout(Instant::now()),
        };
        if self.rtc.handle_input(input).is_err() {
            self.seen.over = true;
        }
        !self.seen.over
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.seen.connected = true;
                self.seen.connected_at = Some(Instant::now());
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) | Event::Closed => self.seen.over = true,
            Event::MediaData(data) if data.mid == self.video => {
                let now = Instant::now();
                self.seen.frames += 1;
                self.seen.bytes += data.data.len() as u64;
                self.seen.broken += u64::from(!data.contiguous && self.seen.frames > 1);
                self.seen.keyframes += u64::from(match data.codec_extra {
                    CodecExtra::H264(x) => x.is_keyframe,
                    CodecExtra::Vp8(x) => x.is_keyframe,
                    _ => false,
                });
                self.seen.first_frame.get_or_insert(now);
                self.seen.last_frame = Some(now);
                if self.seen.video.len() < KEEP {
                    self.seen.video.extend_from_slice(&data.data);
                }
            }
            Event::MediaData(data) => {
                self.seen.sounds += 1;
                self.seen.bytes += data.data.len() as u64;
            }
            _ => {}
        }
    }

    /// Lets it run on a thread of its own.
    pub fn spawn(mut self) -> Watching {
        let shared =
            Arc::new(Shared { seen: Mutex::default(), stop: AtomicBool::new(false), pli: AtomicBool::new(false) });
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || {
            while !theirs.stop.load(Ordering::Relaxed) {
                if theirs.pli.swap(false, Ordering::Relaxed) {
                    self.ask_for_keyframe();
                }
                let alive = self.turn(Duration::from_millis(20));
                let mut seen = theirs.seen.lock().expect("no reader panicked");
                let video = std::mem::take(&mut seen.video);
                *seen = Seen { video, ..counts(&self.seen) };
                seen.video.append(&mut self.seen.video);
                seen.video.truncate(KEEP);
                if !alive {
                    break;
                }
            }
        });
        Watching { shared, thread: Some(thread) }
    }
}

/// Everything but the pictures.
fn counts(seen: &Seen) -> Seen {
    Seen { video: Vec::new(), first_frame: seen.first_frame, ..*seen }
}

struct Shared {
    seen: Mutex<Seen>,
    stop: AtomicBool,
    pli: AtomicBool,
}

/// A viewer on its thread. Dropped, it falls silent without a goodbye, as a phone in a tunnel does.
pub struct Watching {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen.lock().expect("no viewer panicked").clone()
    }

    /// Asks for a keyframe (PLI).
    pub fn ask_for_keyframe(&self) {
        self.shared.pli.store(true, Ordering::Relaxed);
    }

    /// Waits until so many more frames came.
    #[track_caller]
    pub fn wait_for_frames(&self, more: u64, within: Duration) -> Seen {
        let before = self.seen().frames;
        super::wait_until(&format!("{more} more frames at a viewer"), within, || {
            Some(self.seen()).filter(|s| s.frames >= before + more)
        })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic is already on the terminal.
            let _ = thread.join();
        }
    }
}
