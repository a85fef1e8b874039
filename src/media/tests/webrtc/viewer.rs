//! A viewer for tests: str0m as a browser would be, with a socket of its own, counting what arrives.

use super::source::canned;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, MediaTime};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// What arrived so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub connected: bool,
    pub closed: bool,
    pub first_frame: Option<Duration>,
    pub frames: usize,
    /// When each of them was whole.
    pub arrivals: Vec<Instant>,
    /// How the last of them was encoded.
    pub codec: Option<Codec>,
    pub sounds: usize,
    /// Frames that are not what the camera sent, or do not follow the one before.
    pub broken: usize,
    pub gaps: usize,
    /// Stream and place in its GOP.
    pub last_index: Option<(usize, usize)>,
    /// Where in its GOP the small stream was started.
    pub sub_begins: Option<usize>,
    last_time: Option<MediaTime>,
    pub datagrams: u64,
    /// Datagrams thrown away on purpose.
    pub thrown: u64,
    /// From where they came, the last one.
    pub from: Option<SocketAddr>,
    /// Datagrams as they came, the first few thousand.
    pub recorded: Vec<Vec<u8>>,
}

/// Knobs for a running viewer.
#[derive(Default)]
pub struct Knobs {
    /// Percent of media datagrams to throw away.
    pub loss_percent: AtomicU32,
    /// Keyframe requests to send now.
    pub plis: AtomicU32,
    pub stop: AtomicBool,
    /// Stop without goodbye.
    pub vanish: AtomicBool,
}

pub struct Offer {
    rtc: Rtc,
    pending: SdpPendingOffer,
    socket: UdpSocket,
    pub sdp: String,
    started: Instant,
}

pub struct Viewer {
    pub seen: Arc<Mutex<Seen>>,
    pub knobs: Arc<Knobs>,
    pub address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Offer {
    pub fn new() -> Self {
        Self::playing(true)
    }

    /// Of a viewer that plays H.265 beside all else, or not.
    pub fn playing(h265: bool) -> Self {
        Self::at("127.0.0.1".parse().expect("an address"), h265)
    }

    /// Of a viewer at an address of this machine.
    pub fn at(address: IpAddr, h265: bool) -> Self {
        let started = Instant::now();
        let socket = UdpSocket::bind((address, 0)).expect("a port");
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let mut rtc =
            Rtc::builder().set_crypto_provider(crypto).set_reordering_size_video(400).enable_h265(h265).build(started);
        rtc.add_local_candidate(Candidate::host(socket.local_addr().expect("address"), "udp").expect("candidate"));
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("changes");
        let sdp = offer.to_sdp_string();
        Self { rtc, pending, socket, sdp, started }
    }

    pub fn go(mut self, answer: &str) -> Viewer {
        let answer = SdpAnswer::from_sdp_string(answer).expect("our answers are well-formed");
        self.rtc.sdp_api().accept_answer(self.pending, answer).expect("our answers fit");
        let (seen, knobs) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Knobs::default()));
        let address = self.socket.local_addr().expect("address");
        let thread = {
            let (seen, knobs) = (seen.clone(), knobs.clone());
            std::thread::spawn(move || run(self.rtc, &self.socket, self.started, &seen, &knobs))
        };
        Viewer { seen, knobs, address, thread: Some(thread) }
    }
}

fn normalised() -> &'static HashMap<Vec<u8>, (usize, usize)> {
    static MAP: std::sync::OnceLock<HashMap<Vec<u8>, (usize, usize)>> = std::sync::OnceLock::new();
    MAP.get_or_init(|| {
        let streams = canned().video.iter().enumerate();
        streams.flat_map(|(s, units)| units.iter().enumerate().map(move |(n, au)| (nals(au), (s, n)))).collect()
    })
}

/// An access unit without its start codes and delimiters.
fn nals(au: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut starts: Vec<usize> =
        (0..au.len().saturating_sub(2)).filter(|i| au[*i..*i + 3] == [0, 0, 1]).map(|i| i + 3).collect();
    starts.push(au.len() + 3);
    for pair in starts.windows(2) {
        let nal = &au[pair[0]..(pair[1] - 3).min(au.len())];
        let end = nal.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
        if end > 0 && nal[0] & 31 != 9 {
            out.extend_from_slice(&nal[..end]);
            out.push(0xaa);
        }
    }
    out
}

fn run(mut rtc: Rtc, socket: &UdpSocket, started: Instant, seen: &Mutex<Seen>, knobs: &Knobs) {
    let local = socket.local_addr().expect("address");
    let mut buf = vec![0; 2000];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut video = None;
    loop {
        let stopping = knobs.stop.load(Ordering::SeqCst);
        if knobs.vanish.load(Ordering::SeqCst) {
            return;
        }
        if stopping {
            let _ = rtc.close();
        }
        if let Some((mid, pt)) = video {
            while knobs.plis.load(Ordering::SeqCst) > 0 {
                knobs.plis.fetch_sub(1, Ordering::SeqCst);
                let _: Option<str0m::media::Pt> = Some(pt);
                if let Some(mut writer) = rtc.writer(mid) {
                    let _ = writer.request_keyframe(None, KeyframeRequestKind::Pli);
                }
                let _ = rtc.handle_input(Input::Timeout(Instant::now()));
            }
        }
        let timeout = loop {
            match rtc.poll_output().expect("the viewer stays sound") {
                Output::Timeout(at) => break at,
                Output::Transmit(t) => drop(socket.send_to(&t.contents, t.destination)),
                Output::Event(event) => {
                    let mut seen = seen.lock().expect("whole");
                    match event {
                        Event::Connected => seen.connected = true,
                        Event::Closed => seen.closed = true,
                        Event::MediaData(data) if data.params.spec().codec.is_video() => {
                            video = Some((data.mid, data.pt));
                            seen.first_frame.get_or_insert(started.elapsed());
                            seen.frames += 1;
                            seen.arrivals.push(Instant::now());
                            seen.codec = Some(data.params.spec().codec);
                            seen.gaps += usize::from(!data.contiguous);
                            let index = normalised().get(&nals(&data.data)).copied();
                            let follows = match (seen.last_index, index) {
                                (_, None) => false,
                                // A viewer whose handshake ended late misses the beginning.
                                (None, Some(_)) => true,
                                (Some((s, before)), Some((stream, now))) => {
                                    now == 0 || (stream == s && now == before + 1)
                                }
                            };
                            let goes_back = seen.last_time.is_some_and(|last| data.time <= last);
                            seen.broken += usize::from(!follows || goes_back);
                            if let Some((1, n)) = index {
                                seen.sub_begins.get_or_insert(n);
                            }
                            (seen.last_index, seen.last_time) = (index, Some(data.time));
                        }
                        Event::MediaData(_) => seen.sounds += 1,
                        _ => {}
                    }
                }
            }
        };
        if stopping || !rtc.is_alive() {
            seen.lock().expect("whole").closed = true;
            return;
        }
        let wait = timeout
            .saturating_duration_since(Instant::now())
            .clamp(Duration::from_millis(1), Duration::from_millis(20));
        socket.set_read_timeout(Some(wait)).expect("timeout");
        if let Ok((len, from)) = socket.recv_from(&mut buf) {
            let media = (128..192).contains(&buf[0]) && !(64..96).contains(&(buf[1] & 0x7f));
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut seen = seen.lock().expect("whole");
            seen.datagrams += 1;
            seen.from = Some(from);
            if seen.recorded.len() < 2000 {
                seen.recorded.push(buf[..len].to_vec());
            }
            if media && random % 100 < u64::from(knobs.loss_percent.load(Ordering::SeqCst)) {
                seen.thrown += 1;
                continue;
            }
            drop(seen);
            if let Ok(message) = Receive::new(Protocol::Udp, from, local, &buf[..len]) {
                rtc.handle_input(Input::Receive(Instant::now(), message)).expect("the viewer stays sound");
            }
        }
        rtc.handle_input(Input::Timeout(Instant::now())).expect("the viewer stays sound");
    }
}

impl Viewer {
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("whole").clone()
    }

    /// Whether it stopped, in whatever way.
    pub fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// Waits until `done` holds for what was seen.
    pub fn until(&self, what: &str, done: impl Fn(&Seen) -> bool) -> Seen {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let seen = self.seen.lock().expect("whole");
            if done(&seen) {
                return seen.clone();
            }
            assert!(
                Instant::now() < deadline,
                "{what}: frames {} sounds {} connected {}",
                seen.frames,
                seen.sounds,
                seen.connected
            );
            drop(seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.knobs.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
