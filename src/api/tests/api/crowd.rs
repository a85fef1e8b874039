//! A crowd of strangers at the door: what they hold, and that others get in all the same.

use crate::support::*;
use perch_base::clock::ManualClock;
use perch_domain::access::Role;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection from this address of loopback, with TLS.
async fn connect_from(rig: &Rig, last: u8) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 1, last], 0).into())?;
    let tcp = socket.connect(rig.addr).await?;
    let name = ServerName::try_from("localhost").expect("name");
    TlsConnector::from(rig.tls()).connect(name, tcp).await
}

/// Asks on an open connection; the status of the answer.
async fn ask(stream: &mut TlsStream<TcpStream>, path: &str, token: &str) -> std::io::Result<u16> {
    let request = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(text.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status"))
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_strangers_give_way_and_whoever_is_known_stays() {
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::start_with(clock.clone()).await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let mut known = connect_from(&rig, 1).await.expect("connected");
    assert_eq!(ask(&mut known, "/api/v1/me", &token).await.expect("answered"), 200);
    // More than all places of strangers, from twelve addresses; the known one's is among them.
    let mut crowd = Vec::new();
    for n in 0..40 * 12u32 {
        let last = (n % 12) as u8 + 1;
        if let Ok(mut stranger) = connect_from(&rig, last).await
            && ask(&mut stranger, "/healthz", "").await.is_ok()
        {
            crowd.push(stranger);
        }
    }
    assert!(crowd.len() >= 120, "{} got in at all", crowd.len());
    assert_eq!(ask(&mut known, "/api/v1/me", &token).await.expect("still open"), 200);
    assert_eq!(rig.lifeline.ask().await.expect("the box hears itself"), 200);
    // From elsewhere one gets in at once.
    let mut elsewhere = connect_from(&rig, 99).await.expect("let in");
    assert_eq!(ask(&mut elsewhere, "/api/v1/me", &token).await.expect("answered"), 200);
    // From the crowd's own addresses as well as soon as its time is over.
    clock.advance(Duration::from_secs(4));
    for last in [1, 5, 200] {
        let mut honest = connect_from(&rig, last).await.expect("let in");
        assert_eq!(ask(&mut honest, "/api/v1/me", &token).await.expect("answered"), 200, "from {last}");
    }
    assert_eq!(ask(&mut known, "/api/v1/me", &token).await.expect("still open"), 200);
}

/// Sends the head of a request and waits until the server waits for the body, which never comes.
async fn hold_back_a_body(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    let head = "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 60\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 100");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_come_keep_nobody_out() {
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::start_with(clock.clone()).await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    // Every place of strangers: three households with as many as they may, eleven with few.
    let mut crowd = Vec::new();
    for (last, of_each) in (1..=3).map(|last| (last, 48)).chain((4..=14).map(|last| (last, 6))) {
        for _ in 0..of_each {
            if let Ok(mut stranger) = connect_from(&rig, last).await
                && hold_back_a_body(&mut stranger).await.is_ok()
            {
                crowd.push(stranger);
            }
        }
    }
    assert_eq!(crowd.len(), 192);
    assert!(connect_from(&rig, 99).await.is_err(), "there is no place left");
    clock.advance(Duration::from_secs(3));
    for last in [1, 14, 99, 200] {
        let mut honest = connect_from(&rig, last).await.expect("let in");
        assert_eq!(ask(&mut honest, "/api/v1/me", &token).await.expect("answered"), 200, "from {last}");
    }
    // Those that nobody took the place of are answered, and not kept for ever.
    clock.advance(Duration::from_secs(16));
    let mut given_up = 0;
    for stranger in &mut crowd {
        let mut answer = Vec::new();
        let _ = stranger.read_to_end(&mut answer).await;
        given_up += usize::from(answer.windows(12).any(|w| w == b"HTTP/1.1 408"));
    }
    assert!(given_up > 150, "{given_up}");
}
