//! What is answered without TLS: on the plain port, and to plain HTTP on the port of HTTPS.

use crate::support::*;
use perch_base::clock::{Clock, ManualClock};
use perch_domain::identity::IdentityPort;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends these bytes and reads until the box has closed.
async fn exchange(at: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.expect("connected");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    // A connection that is reset has said what it said.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(at: SocketAddr, method: &str, target: &str, hosts: &[&str]) -> String {
    let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
    let head = format!("{method} {target} HTTP/1.1\r\n{hosts}User-Agent: Firefox/140.0\r\nConnection: close\r\n\r\n");
    exchange(at, head.as_bytes()).await
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_page_says_what_comes_next_and_links_there() {
    let rig = Rig::start().await;
    let port = rig.addr.port();
    for at in [rig.plain, rig.addr] {
        for (host, link) in [
            ("localhost", "localhost"),
            ("localhost:1", "localhost"),
            ("PERCH-test.local.", "perch-test.local"),
            ("cam.example.org", "cam.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
        ] {
            let answer = ask(at, "GET", "/", &[host]).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
            assert!(answer.contains(&format!("href=\"https://{link}:{port}/\"")), "{host}: {answer}");
            assert!(answer.contains("Accept the Risk and Continue") && answer.contains("/api/v1/ca.crt"), "{answer}");
            let csp = header(&answer, "content-security-policy").expect("a policy");
            assert!(csp.starts_with("default-src 'none'; style-src 'self'") && !answer.contains("<script"), "{answer}");
            // An unclaimed box tells no version and no name, and nobody is given anything to send back.
            for secret in ["9.9.9", "Test box", "Set-Cookie", "set-cookie", "server: "] {
                assert!(!answer.contains(secret), "{secret}: {answer}");
            }
            assert_eq!(header(&answer, "cache-control"), Some("no-store"));
            assert_eq!(
                header(&answer, "strict-transport-security"),
                None,
                "it would lock out who has not the authority"
            );
        }
        let head = ask(at, "HEAD", "/", &["localhost"]).await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(ask(at, "GET", "/plain.css", &["localhost"]).await.contains("\r\n\r\n/* The page"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_leads_to_the_page_or_is_refused() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(perch_domain::access::Role::Admin, None);
    for at in [rig.plain, rig.addr] {
        for path in
            ["/live", "/login", "//evil.example/", "/%2e%2e/x", "/assets/none.js", "/share/abc", "/?next=//evil"]
        {
            let answer = ask(at, "GET", path, &["localhost"]).await;
            if path.starts_with("/?") {
                assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("evil"), "{answer}");
                continue;
            }
            assert!(answer.starts_with("HTTP/1.1 302 "), "{path}: {answer}");
            assert_eq!(header(&answer, "location"), Some("/"), "{path}");
        }
        for (method, path) in
            [("GET", "/api/v1/me"), ("GET", "/metrics"), ("POST", "/api/v1/session"), ("POST", "/"), ("BREW", "/")]
        {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n");
            let answer =
                exchange(at, format!("{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}").as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 403 "), "{method} {path}: {answer}");
            assert!(answer.contains(&format!("https://localhost:{}", rig.addr.port())), "{answer}");
            assert_eq!(header(&answer, "location"), None, "what was sent in clear is not sent on");
        }
    }
    assert_eq!(rig.fake.state().asked.len(), 0, "no credential was looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_foreign_host_is_answered_or_repeated() {
    let rig = Rig::start().await;
    for at in [rig.plain, rig.addr] {
        for (target, hosts, status) in [
            ("/", &["evil.example"][..], 421),
            ("/live", &["evil.example"], 421),
            ("/api/v1/ca.pem", &["evil.example"], 421),
            ("/", &["localhost.evil.example"], 421),
            ("/", &["localhost", "evil.example"], 400),
            ("/", &["evil.example@localhost"], 421),
            ("http://evil.example/", &["localhost"], 421),
            ("http://localhost/", &["evil.example"], 421),
            ("/", &[""], 421),
            ("/", &[], 400),
        ] {
            let answer = ask(at, "GET", target, hosts).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {hosts:?}: {answer}");
            assert!(!answer.contains("evil") && header(&answer, "location").is_none(), "{answer}");
        }
        // An address that is not the box's, as far as it knows, is not sent back either.
        let answer = ask(at, "GET", "/", &["203.0.113.9"]).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("203.0.113.9"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_anybodys_in_every_form() {
    let rig = Rig::start().await;
    rig.fake.device(perch_domain::access::Role::Admin, None);
    let pem = rig.identity.ca_pem();
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM").to_vec();
    for (path, media_type, name) in [
        ("/api/v1/ca.pem", "application/x-pem-file", "attachment; filename=\"perch-ca.pem\""),
        ("/api/v1/ca.crt", "application/x-x509-ca-cert", "inline; filename=\"perch-ca.crt\""),
        ("/api/v1/ca.mobileconfig", "application/x-apple-aspen-config", "inline; filename=\"perch-ca.mobileconfig\""),
    ] {
        let answer = rig.get(path, "").await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, media_type), "{path}");
        assert_eq!(answer.header("content-disposition"), name);
        match path {
            "/api/v1/ca.pem" => assert_eq!(answer.body, pem.as_bytes()),
            "/api/v1/ca.crt" => assert_eq!(answer.body, der),
            _ => {
                let text = String::from_utf8_lossy(&answer.body).replace('\n', "");
                let base64: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
                assert!(text.contains(&format!("<data>{base64}</data>")), "{text}");
            }
        }
        let plain = ask(rig.plain, "GET", path, &["localhost"]).await;
        assert!(plain.starts_with("HTTP/1.1 200 ") && header(&plain, "content-type") == Some(media_type), "{plain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_tls_nor_http_gets_no_page() {
    let rig = Rig::start().await;
    for junk in
        [&b"\x00\x00\x00"[..], b"\r\n\r\n", b"\x16\x03\x01\x00\x02hi", b"get / http/1.1\r\n\r\n", b"SSH-2.0-x\r\n"]
    {
        let answer = exchange(rig.addr, junk).await;
        assert!(!answer.contains("200 OK") && !answer.contains("<html"), "{junk:?}: {answer}");
    }
    // HTTP/2 without TLS is not spoken.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert!(!exchange(rig.plain, preface).await.contains("<html"));
    assert_eq!(rig.get("/healthz", "").await.status, 200);
}

/// Turns time on by so many seconds; each time the server does what it is time for.
async fn turn(clock: &ManualClock, seconds: u32) {
    for _ in 0..seconds {
        clock.advance(Duration::from_secs(1));
        while clock.next_wake().is_some_and(|at| at <= clock.mono()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dawdles_without_tls_is_closed() {
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::start_with(clock.clone()).await;
    let mut dawdling = Vec::new();
    for (at, begin) in [
        (rig.plain, ""),
        (rig.plain, "GET / HT"),
        (rig.addr, ""),
        (rig.addr, "G"),
        (rig.plain, "GET /plain.css HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ] {
        let mut stream = TcpStream::connect(at).await.expect("connected");
        stream.write_all(begin.as_bytes()).await.expect("sent");
        dawdling.push(tokio::spawn(async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }));
    }
    // Whoever comes after them is answered: they are let in before time goes on.
    assert!(ask(rig.plain, "GET", "/plain.css", &["localhost"]).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(rig.get("/healthz", "").await.status, 200);
    turn(&clock, 6).await;
    assert!(dawdling.iter().all(|d| !d.is_finished()), "honest slow clients get their time");
    turn(&clock, 24).await;
    for (n, closed) in dawdling.into_iter().enumerate() {
        assert!(tokio::time::timeout(Duration::from_secs(60), closed).await.is_ok(), "connection {n} is still open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ports_share_their_places() {
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::start_with(clock.clone()).await;
    let mut held = Vec::new();
    // As many as a household may have, each of which said something.
    for _ in 0..48 {
        let mut stream = TcpStream::connect(rig.plain).await.expect("connected");
        stream.write_all(b"GET /plain.css HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("answered");
        held.push(stream);
    }
    for at in [rig.plain, rig.addr] {
        assert_eq!(exchange(at, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await, "", "one more is closed");
    }
    assert_eq!(rig.lifeline.ask().await.expect("the box hears itself"), 200);
    clock.advance(Duration::from_secs(4));
    let answer = ask(rig.plain, "GET", "/", &["localhost"]).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "the oldest gave way: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_asks_gets_its_answer_and_nobody_else() {
    let rig = Rig::start().await;
    let ask = async |token: &str| {
        ask(rig.plain, "GET", &format!("/.well-known/acme-challenge/{token}"), &["cam.example.org"]).await
    };
    assert!(ask("tok-en_1").await.ends_with("\r\n\r\ntok-en_1.thumb"));
    for other in ["tok-en_2", "", "../x", "tok-en_1/"] {
        assert!(ask(other).await.starts_with("HTTP/1.1 404 "), "{other}");
    }
}
