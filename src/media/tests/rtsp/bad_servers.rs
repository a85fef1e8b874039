//! Servers that a camera is pushed to and that are no good: they say nothing, hang up, send garbage or without end, send elsewhere. Each attempt
//! ends in words, is never said to be taken by anybody, and harms nothing else.

use super::*;
use crate::pushing::Attempt;
use perch_domain::push::PushState;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

/// Serves every connection to a port of its own like this, each on a thread that ends with it.
fn serve(how: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its port").port();
    let how = Arc::new(how);
    std::thread::spawn(move || {
        for peer in listener.incoming().flatten() {
            let how = how.clone();
            std::thread::spawn(move || how(peer));
        }
    });
    port
}

/// Pushes to all of these at once. Each fails in words, without a word of the address that may be a secret, and none is said to be sent to.
fn all_fail(urls: Vec<(String, String)>, expected: impl Fn(&str, &str) -> bool) {
    let camera = Camera::start("front", SMALL);
    let attempts: Vec<_> = urls.into_iter().map(|(how, url)| (how, Attempt::start(&camera, &url, true))).collect();
    for (how, attempt) in attempts {
        let e = attempt.runs.join().expect("no panic").expect_err("it is no server");
        let states = attempt.states.lock().expect("no panic");
        assert!(states.iter().all(|said| *said == (PushState::Connecting, 0)), "{how}: {states:?}");
        assert!(e.message().starts_with("127.0.0.1 ") && !format!("{e:?}").contains("S3CRET"), "{how}: {e:?}");
        assert!(expected(&how, e.message()), "{how}: {e}");
        eprintln!("{how}: {e}");
    }
}

/// What an RTMP server that is no good does with a connection.
#[derive(Clone, Copy, Debug)]
enum BadRtmp {
    /// Says nothing.
    Silent,
    /// Hangs up at once.
    HangsUp,
    /// Shakes hands (RTMP 1.0, section 5.2), then says nothing.
    ShakesHands,
    /// Sends what is no RTMP, for as long as it is taken.
    Babbles,
    /// Shakes hands, then sends messages without end whose length is the longest there is.
    FloodsLongMessages,
}

fn bad_rtmp(how: BadRtmp, mut peer: TcpStream) {
    let shake = |peer: &mut TcpStream| {
        let mut hello = vec![0; 1537];
        peer.read_exact(&mut hello)?;
        // S0 and S1, and S2 that repeats C1.
        peer.write_all(&[&[3], &[0; 1536][..], &hello[1..]].concat())
    };
    match how {
        BadRtmp::HangsUp => {}
        BadRtmp::Silent => drop(peer.read_to_end(&mut Vec::new())),
        BadRtmp::ShakesHands => drop(shake(&mut peer).and_then(|()| peer.read_to_end(&mut Vec::new()))),
        BadRtmp::Babbles => while peer.write_all(&[0xa5; 4096]).is_ok() {},
        BadRtmp::FloodsLongMessages => {
            if shake(&mut peer).is_ok() {
                // Chunk stream 3, type 0: no time, 16 MiB less one of data of type 8, stream 1.
                let head = [3, 0, 0, 0, 0xff, 0xff, 0xff, 8, 1, 0, 0, 0];
                let chunk = [&head[..], &[0; 128]].concat();
                while peer.write_all(&chunk).is_ok() {}
            }
        }
    }
}

#[test]
fn rtmp_servers_that_are_no_good() {
    use BadRtmp::{Babbles, FloodsLongMessages, HangsUp, ShakesHands, Silent};
    let urls = [Silent, HangsUp, ShakesHands, Babbles, FloodsLongMessages].map(|how| {
        let port = serve(move |peer| bad_rtmp(how, peer));
        (format!("{how:?}"), format!("rtmp://127.0.0.1:{port}/live/S3CRET"))
    });
    all_fail(urls.to_vec(), |_, _| true);
}

/// Reads one request's head, and answers it.
fn answers(mut peer: TcpStream, answer: &[u8]) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match peer.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let _ = peer.write_all(answer);
    let _ = peer.read_to_end(&mut Vec::new());
}

#[test]
fn rtsp_servers_that_are_no_good() {
    let elsewhere = Arc::new(Mutex::new(Vec::new()));
    let heard = elsewhere.clone();
    let other = serve(move |mut peer| {
        let mut all = vec![0; 1 << 16];
        while let Ok(1..) = peer.read(&mut all).inspect(|n| heard.lock().expect("no panic").extend(&all[..*n])) {}
    });
    let redirect = format!("RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.1:{other}/x\r\n\r\n");
    let long = [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nX: ".to_vec(), vec![b'x'; 1 << 20], b"\r\n\r\n".to_vec()].concat();
    let urls = [
        ("silent", Vec::new()),
        ("garbage", vec![0xa5; 1 << 16]),
        ("elsewhere", redirect.into_bytes()),
        ("a line of a megabyte", long),
        ("a body that never comes", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4000000000\r\n\r\n".to_vec()),
        ("refused", b"RTSP/1.0 403 Forbidden\r\nCSeq: 1\r\n\r\n".to_vec()),
    ];
    let urls = urls.map(|(how, answer)| {
        let port = serve(move |peer| answers(peer, &answer));
        (how.to_owned(), format!("rtsp://me:S3CRET@127.0.0.1:{port}/in"))
    });
    all_fail(urls.to_vec(), |how, said| how != "elsewhere" || said.ends_with("sends elsewhere: write that address"));
    // The library follows before it can be kept from it; no password comes along, and no picture.
    let heard = String::from_utf8_lossy(&elsewhere.lock().expect("no panic")).into_owned();
    assert!(!heard.contains("Authorization") && !heard.contains("ANNOUNCE") && !heard.contains('$'), "{heard}");
}

/// An answer of WHIP with this body.
fn created(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /s/1\r\n";
    format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn whip_servers_that_are_no_good() {
    let session = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    let line = |kind: &str, pt: u32| {
        format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {pt}\r\nc=IN IP4 0.0.0.0\r\na=mid:{kind}{}\r\na=recvonly\r\n",
            u32::from(kind == "audio")
        )
    };
    let ice = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:passive\r\n";
    let print = format!("a=fingerprint:sha-256 {}\r\n", ["AA"; 32].join(":"));
    let candidates: String =
        (1..400).map(|n| format!("a=candidate:{n} 1 udp {n} 127.0.0.1 {} typ host\r\n", 20_000 + n)).collect();
    let both = format!("{}{ice}{print}{}{ice}{print}", line("video", 96), line("audio", 97));
    let elsewhere = Arc::new(Mutex::new(0));
    let counts = elsewhere.clone();
    let other = serve(move |_| *counts.lock().expect("no panic") += 1);
    let answers_of = [
        ("no description", created("hello")),
        ("nothing", created("")),
        ("zeros", created(&"\0".repeat(4000))),
        ("no line", created(session)),
        ("one line of two", created(&format!("{session}{}{ice}{print}", line("video", 96)))),
        ("other kinds", created(&format!("{session}{}{}", line("application", 96), line("text", 97)))),
        ("two hundred lines", created(&format!("{session}{}", line("video", 96).repeat(200)))),
        ("no credentials", created(&format!("{session}{}{}", line("video", 96), line("audio", 97)))),
        ("bad fingerprints", created(&format!("{session}{both}").replace("AA:AA", "ZZ:"))),
        ("payload types that it was not offered", created(&format!("{session}{both}").replace("SAVPF 9", "SAVPF 1"))),
        ("nobody at its candidates", created(&format!("{session}{both}{candidates}"))),
        (
            "endless",
            b"HTTP/1.1 201 Created\r\nContent-Length: 99999999999\r\n\r\n"
                .iter()
                .copied()
                .chain(vec![b'v'; 1 << 20])
                .collect(),
        ),
        ("a head of a megabyte", [b"HTTP/1.1 201 Created\r\nLocation: /".to_vec(), vec![b'x'; 1 << 20]].concat()),
        (
            "elsewhere",
            format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{other}/\r\nContent-Length: 0\r\n\r\n"
            )
            .into_bytes(),
        ),
        ("no HTTP", vec![0xa5; 1 << 16]),
        ("refused", b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("silent", Vec::new()),
    ];
    let urls = answers_of.map(|(how, answer)| {
        let port = serve(move |peer| answers(peer, &answer));
        (how.to_owned(), format!("http://:S3CRET@127.0.0.1:{port}/whip"))
    });
    all_fail(urls.to_vec(), |how, said| match how {
        "elsewhere" => said.ends_with("sends elsewhere: write that address"),
        "refused" => said.contains("refuses the token"),
        "silent" => said.ends_with("did not answer within 10 s"),
        _ => true,
    });
    assert_eq!(*elsewhere.lock().expect("no panic"), 0, "the token goes nowhere else");
}

/// What an SRT server that is no good does with what it is sent (draft-sharabayko-srt, section 3.2.1: the handshake).
#[derive(Clone, Copy, Debug)]
enum BadSrt {
    /// Says nothing.
    Silent,
    /// Answers each datagram with a hundred of noise.
    Babbles,
    /// Answers the first half of the handshake, and then no more.
    HalfAHand,
    /// Answers it all with a refusal.
    Refuses,
}

/// The answers to a datagram.
fn bad_srt(how: BadSrt, asked: &[u8]) -> Vec<Vec<u8>> {
    // The parts of a handshake: 16 bytes of head, the last four of them whom it is for; version, 4; encryption and extensions, 4; first number, 4;
    // size and window, 8; kind, 4; socket, 4; cookie, 4; address, 16.
    let is_handshake = asked.len() >= 64 && asked[..2] == [0x80, 0];
    let answer = |kind: u32| {
        let mut answer = asked[..64].to_vec();
        answer[12..16].copy_from_slice(&asked[40..44]);
        answer[16..20].copy_from_slice(&5u32.to_be_bytes());
        answer[20..24].copy_from_slice(&0x4a17u32.to_be_bytes());
        answer[36..40].copy_from_slice(&kind.to_be_bytes());
        answer[40..48].copy_from_slice(&[0, 0, 0, 7, 1, 2, 3, 4]);
        vec![answer]
    };
    let is_first = is_handshake && asked[36..40] == 1u32.to_be_bytes();
    match how {
        BadSrt::Silent => vec![],
        BadSrt::Babbles => (0..100).map(|n| vec![n ^ 0x85; 1400]).collect(),
        BadSrt::HalfAHand | BadSrt::Refuses if is_first => answer(1),
        BadSrt::Refuses if is_handshake => answer(1003),
        BadSrt::HalfAHand | BadSrt::Refuses => vec![],
    }
}

#[test]
fn srt_servers_that_are_no_good() {
    use BadSrt::{Babbles, HalfAHand, Refuses, Silent};
    let urls = [Silent, Babbles, HalfAHand, Refuses].map(|how| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("its port").port();
        std::thread::spawn(move || {
            let mut datagram = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut datagram) {
                for answer in bad_srt(how, &datagram[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        (format!("{how:?}"), format!("srt://127.0.0.1:{port}?streamid=S3CRET"))
    });
    all_fail(urls.to_vec(), |_, _| true);
}
