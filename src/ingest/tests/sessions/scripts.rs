//! Cameras of a few lines: what is sent to them, and where to.

use super::support::{ingest, request, watch};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Answers each request of one connection by `answer`, and gives them back, whole, when the connection ends.
fn serve(
    on: &str,
    answer: impl Fn(&str) -> Option<String> + Send + 'static,
) -> Option<(SocketAddr, std::thread::JoinHandle<Vec<String>>)> {
    let listener = TcpListener::bind(on).map_err(|e| println!("SKIPPED: {on}: {e}")).ok()?;
    let address = listener.local_addr().expect("bound");
    let talk = move || {
        let (mut out, mut all) = (listener.accept().expect("somebody comes").0, Vec::new());
        let mut lines = BufReader::new(TcpStream::try_clone(&out).expect("cloned"));
        let mut head = String::new();
        while lines.read_line(&mut head).is_ok_and(|n| n > 0) {
            if !head.ends_with("\r\n\r\n") {
                continue;
            }
            let said = answer(&head);
            all.push(std::mem::take(&mut head));
            match said {
                Some(said) => out.write_all(said.as_bytes()).expect("taken"),
                None => break,
            }
        }
        all
    };
    Some((address, std::thread::spawn(talk)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_stands_in_a_url_that_is_sent_to_an_ipv6_address_either() {
    let answer = |head: &str| match head.split(' ').next() {
        Some("OPTIONS") => Some("RTSP/1.0 200 OK\r\nPublic: DESCRIBE\r\n\r\n".to_owned()),
        Some("DESCRIBE") if !head.contains("Authorization: Basic bWU6c2VjcmV0") => {
            Some("RTSP/1.0 401 No\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\r\n".to_owned())
        }
        _ => Some("RTSP/1.0 404 Not Found\r\n\r\n".to_owned()),
    };
    for on in ["[::1]:0", "127.0.0.1:0"] {
        let Some((address, camera)) = serve(on, answer) else { continue };
        let url = format!("RTSP://me:secret@{address}/live?x=1");
        let (result, _) = watch(&ingest(), &request(&url, "auto"), LIMIT, |_| false).await;
        assert!(result.expect_err("404").message().contains("no such stream"));
        let all = camera.join().expect("it did not panic");
        assert_eq!(all.len(), 3, "{all:?}");
        let clean = format!(" rtsp://{address}/live?x=1 RTSP/1.0\r\n");
        assert!(all.iter().all(|head| head.contains(&clean) && !head.contains("secret")), "{all:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_camera_is_said_in_time() {
    // A mail server, a page, nothing at all, zeros, and one that hangs up.
    let says = ["220 mail ESMTP\r\n", "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nNo\n", "", "\0\0\0\0"];
    let tries = says.map(|says| {
        tokio::spawn(async move {
            let answer = move |_: &str| Some(says.to_owned());
            let (address, _camera) = serve("127.0.0.1:0", answer).expect("a port");
            let begun = std::time::Instant::now();
            let url = format!("rtsp://{address}/");
            let (result, _) = watch(&ingest(), &request(&url, "auto"), LIMIT, |_| false).await;
            let e = result.expect_err("it is no camera");
            assert!(begun.elapsed() < Duration::from_secs(50), "{says:?}: {e}");
        })
    });
    for done in tries {
        done.await.expect("it did not panic");
    }
    let (address, _camera) = serve("127.0.0.1:0", |_| None).expect("a port");
    let (result, _) = watch(&ingest(), &request(&format!("rtsp://{address}/"), "auto"), LIMIT, |_| false).await;
    result.expect_err("it hangs up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sends_without_end_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while stream.write_all(&b"RTSP/1.0 100 Continue\r\nCSeq: 99\r\n\r\n".repeat(1000)).is_ok() {}
        }
    });
    let (result, _) = watch(&ingest(), &request(&format!("rtsp://{address}/"), "auto"), LIMIT, |_| false).await;
    let e = result.expect_err("it is no camera");
    // On a busy machine its time is over before so much was read.
    assert!(["without end", "does not answer"].iter().any(|why| e.message().contains(why)), "{e}");
}
