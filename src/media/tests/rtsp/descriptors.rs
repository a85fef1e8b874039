//! What a connection takes is given back when it ends, whether it was spoken over or broke off in the middle.

use super::*;
use gstreamer_rtsp_server::gio;
use gstreamer_rtsp_server::gio::prelude::*;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};

const OPTIONS: &[u8] = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";
/// The first bytes of a TLS handshake.
const HALF_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01";

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rtsp,
    HalfRtsp,
    Rtsps,
    HalfRtsps,
}

#[test]
fn connections_give_their_descriptors_back() {
    in_a_process_of_its_own("descriptors::count");
}

/// The other half of [`connections_give_their_descriptors_back`].
#[test]
#[ignore = "runs in a process of its own"]
fn count() {
    let tls_listen = Some("127.0.0.1:0".parse().expect("an address"));
    let server = Running::start(Config { tls_listen, ..config() }, vec![], clock()).expect("starts");
    let (plain, tls) = (server.local_addr(), server.tls_local_addr().expect("RTSPS listens"));
    for kind in [Kind::Rtsp, Kind::HalfRtsp, Kind::Rtsps, Kind::HalfRtsps] {
        // What is made once, such as threads, is made by the first ones.
        connect(3, kind, plain, tls);
        let before = settled();
        connect(20, kind, plain, tls);
        wait_for(&format!("the descriptors of {kind:?}, {before} before"), Duration::from_secs(30), || {
            descriptors() <= before
        });
        eprintln!("{kind:?}: {before} descriptors before, {} after, {} KiB", descriptors(), resident_kib());
    }
}

fn connect(times: usize, kind: Kind, plain: SocketAddr, tls: SocketAddr) {
    for _ in 0..times {
        let mut answer = [0; 64];
        match kind {
            Kind::Rtsp => {
                let mut tcp = TcpStream::connect(plain).expect("connects");
                tcp.write_all(OPTIONS).expect("asks");
                assert!(tcp.read(&mut answer).expect("answers") > 0);
            }
            Kind::HalfRtsp => {
                TcpStream::connect(plain).and_then(|mut tcp| tcp.write_all(&OPTIONS[..9])).expect("asks");
            }
            Kind::Rtsps => {
                let client = gio::SocketClient::new();
                client.set_tls(true);
                client.connect_event(|_, event, _, connection| {
                    let tls = connection.and_then(|c| c.clone().downcast::<gio::TlsConnection>().ok());
                    if let Some(tls) = tls.filter(|_| event == gio::SocketClientEvent::TlsHandshaking) {
                        tls.connect_accept_certificate(|_, _, _| true);
                    }
                });
                let none = gio::Cancellable::NONE;
                let connection = client.connect_to_host(&tls.to_string(), 0, none).expect("shakes hands");
                connection.output_stream().write_all(OPTIONS, none).expect("asks");
                assert!(connection.input_stream().read(&mut answer[..], none).expect("answers") > 0);
                connection.close(none).expect("closes");
            }
            Kind::HalfRtsps => {
                TcpStream::connect(tls).and_then(|mut tcp| tcp.write_all(HALF_HELLO)).expect("says hello");
            }
        }
    }
}

/// The count once nothing has changed for half a second.
fn settled() -> usize {
    let (mut last, mut since) = (descriptors(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(20));
        let now = descriptors();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}
