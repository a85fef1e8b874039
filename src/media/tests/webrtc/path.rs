//! A way between a viewer and the engine with a rate, a delay, jitter, loss and cuts: a relay of datagrams with knobs.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What waits before the bottleneck at most.
const QUEUE: Duration = Duration::from_millis(400);

/// What the way is like towards the viewer; delay, jitter and cuts count in both directions.
#[derive(Default)]
pub struct Way {
    /// 0: any.
    pub kbps: AtomicU32,
    pub delay_ms: AtomicU32,
    pub jitter_ms: AtomicU32,
    pub loss_percent: AtomicU32,
    pub is_cut: AtomicBool,
    stop: AtomicBool,
}

/// A running relay; stops when dropped.
pub struct Path {
    pub way: Arc<Way>,
    /// Where the viewer finds the engine.
    pub address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Path {
    pub fn to(engine: SocketAddr) -> Self {
        let open = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (front, back) = (open(), open());
        for socket in [&front, &back] {
            socket.set_nonblocking(true).expect("set");
        }
        let way = Arc::new(Way::default());
        let address = front.local_addr().expect("address");
        let thread = {
            let way = way.clone();
            Some(std::thread::spawn(move || relay(&way, &front, &back, engine)))
        };
        Self { way, address, thread }
    }

    /// An offer or an answer by which nobody finds a shorter way.
    pub fn led(&self, sdp: &str) -> String {
        let (mut text, mut led) = (String::new(), false);
        for line in sdp.lines() {
            if let Some(candidate) = line.strip_prefix("a=candidate:") {
                if candidate.contains(" typ host") && candidate.contains("127.0.0.1 ") && !led {
                    led = true;
                    let port = self.address.port();
                    text.push_str(&format!("a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"));
                }
            } else {
                text.push_str(&format!("{line}\r\n"));
            }
        }
        text
    }

    /// An offer without the viewer's own addresses.
    pub fn without_addresses(sdp: &str) -> String {
        sdp.lines().filter(|line| !line.starts_with("a=candidate:")).map(|line| format!("{line}\r\n")).collect()
    }
}

fn relay(way: &Way, front: &UdpSocket, back: &UdpSocket, engine: SocketAddr) {
    let mut buf = [0; 2048];
    let (mut viewer, mut number, mut random) = (None, 0u64, 0x9e37_79b9_7f4a_7c15_u64);
    let mut busy_until = Instant::now();
    let mut waiting: BTreeMap<(Instant, u64), (bool, Vec<u8>)> = BTreeMap::new();
    let mut chance = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1u64 << 53) as f64
    };
    let value = |knob: &AtomicU32| f64::from(knob.load(Ordering::Relaxed));
    while !way.stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        for to_viewer in [true, false] {
            let socket = if to_viewer { back } else { front };
            while let Ok((len, from)) = socket.recv_from(&mut buf) {
                if !to_viewer {
                    viewer = Some(from);
                }
                let lost = to_viewer && chance() < value(&way.loss_percent) / 100.0;
                if way.is_cut.load(Ordering::Relaxed) || lost {
                    continue;
                }
                let mut due = now;
                let bps = value(&way.kbps) * 1000.0;
                if to_viewer && bps > 0.0 {
                    let begins = busy_until.max(now);
                    if begins.duration_since(now) > QUEUE {
                        continue;
                    }
                    busy_until = begins + Duration::from_secs_f64((len + 28) as f64 * 8.0 / bps);
                    due = busy_until;
                }
                due += Duration::from_secs_f64((value(&way.delay_ms) + value(&way.jitter_ms) * chance()) / 1000.0);
                number += 1;
                waiting.insert((due, number), (to_viewer, buf[..len].to_vec()));
            }
        }
        while let Some(entry) = waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                (true, datagram) => drop(viewer.map(|viewer| front.send_to(&datagram, viewer))),
                (false, datagram) => drop(back.send_to(&datagram, engine)),
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.way.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
