//! From glass to glass: a camera whose pictures carry the time at which they were taken, which a browser reads back from what it shows. The
//! pictures reach the box raw, as from a sensor: what is measured is all of encoding, sending, decoding and showing.

use super::support::client::Client;
use super::support::home::{BoxProcess, Home};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const FPS: u32 = 30;
/// The time code is the milliseconds of the epoch, their lowest 32 bits from left to right in blocks of this side at the top; `glass.mjs` reads it.
const BLOCK: usize = WIDTH / 32;

/// Sends raw pictures to whoever connects, until it is dropped.
struct TimeCamera {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl TimeCamera {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let stopped = stopped.clone();
                std::thread::spawn(move || send(client, &stopped));
            }
        });
        Self { port, stop }
    }

    /// What stands in the place of the box's own test camera.
    fn pipeline(&self) -> String {
        let port = self.port;
        format!(
            "# purpose: raw pictures that carry the time\n\
             # param width: int px 16..7680 = 1280 - picture width\n\
             # param height: int px 16..4320 = 720 - picture height\n\
             # param fps: int 1/s 1..120 = 30 - frames a second\n\
             # try: gst-launch-1.0 videotestsrc ! autovideosink\n\
             tcpclientsrc host=127.0.0.1 port={port} do-timestamp=true blocksize={}\n  \
             ! rawvideoparse format=i420 width={{width}} height={{height}} framerate={{fps}}/1\n  \
             ! capsfilter caps=video/x-raw,format=I420,width={{width}},height={{height}}\n",
            WIDTH * HEIGHT * 3 / 2
        )
    }
}

impl Drop for TimeCamera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn send(mut client: std::net::TcpStream, stopped: &AtomicBool) {
    let mut frame = vec![128u8; WIDTH * HEIGHT * 3 / 2];
    let began = Instant::now();
    for n in 0u32.. {
        let at = began + Duration::from_secs(1) * n / FPS;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        paint(&mut frame, n as usize);
        if stopped.load(Ordering::Relaxed) || client.write_all(&frame).is_err() {
            return;
        }
    }
}

/// Stripes that wander, so that there is something to encode, and above them the time.
fn paint(frame: &mut [u8], n: usize) {
    for (y, row) in frame[..WIDTH * HEIGHT].chunks_exact_mut(WIDTH).enumerate().skip(BLOCK) {
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = if (x + y / 2 + 4 * n) % 160 < 80 { 90 } else { 150 };
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u32);
    for row in frame[..WIDTH * BLOCK].chunks_exact_mut(WIDTH) {
        for (bit, block) in row.chunks_exact_mut(BLOCK).enumerate() {
            block.fill(if now & (1 << (31 - bit)) == 0 { 16 } else { 235 });
        }
    }
}

/// A box whose test camera carries the time. It sees a `/etc` of its own, in which the pipeline is another.
pub struct GlassBox {
    pub perch: BoxProcess,
    pub client: Client,
    _home: Home,
    _camera: TimeCamera,
}

impl GlassBox {
    pub fn boot(config: &str) -> Self {
        let (camera, mut home) = (TimeCamera::start(), Home::new(config));
        let etc = home.dir().join("etc");
        let folder = etc.join("perch/pipelines/source");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("test.gst"), camera.pipeline()).expect("written");
        let program = home.dir().join("perch");
        std::fs::write(&program, started_below(&etc)).expect("written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("made a program");
        home.run_by(program);
        let perch = home.boot();
        let client = perch.paired();
        client.wait_for_camera("cam", "live", Duration::from_secs(20));
        Self { perch, client, _home: home, _camera: camera }
    }
}

/// A program that runs perch with `etc` laid over the machine's own.
fn started_below(etc: &Path) -> String {
    let perch = std::env::var("PERCH_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_perch").into());
    let etc = etc.display();
    format!(
        "#!/bin/sh\nexec unshare --map-root-user --mount sh -c 'mount -t overlay overlay -o lowerdir={etc}:/etc /etc && exec \"$@\"' perch {perch} \"$@\"\n"
    )
}
