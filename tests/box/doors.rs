//! What a box listens on, and what a stranger learns there: the ports are those that the README lists, and no more.

use crate::support::home::{Home, Ports, camera};
use crate::support::{s, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

/// The ports on which a process waits for others, by protocol.
fn open_ports(pid: u32) -> BTreeSet<(&'static str, u16)> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten();
    let sockets: BTreeSet<String> = links
        .filter_map(|link| fs::read_link(link.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|to| Some(to.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut open = BTreeSet::new();
    // TCP that listens, UDP that is connected to nobody (proc(5)).
    for (table, protocol, state) in
        [("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07")]
    {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields[3] == state && sockets.contains(fields[9]) {
                let port = fields[1].rsplit(':').next().and_then(|hex| u16::from_str_radix(hex, 16).ok());
                open.insert((protocol, port.expect("a port")));
            }
        }
    }
    open
}

fn plainly(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    answer
}

#[test]
fn a_box_listens_where_the_readme_says_and_tells_a_stranger_nothing() {
    let home = Home::new(&camera("front", "test", "record = { mode = \"off\" }\nmotion = { enabled = false }"));
    let running = home.boot();
    let Ports { http, plain, rtsp, udp } = running.ports;
    let declared = BTreeSet::from([("tcp", http), ("tcp", plain), ("tcp", rtsp), ("udp", udp)]);
    assert_eq!(open_ports(running.pid()), declared);
    let readme = include_str!("../../README.md");
    for key in ["http.listen", "http.plain_listen", "rtsp.listen", "rtsp.tls_listen", "webrtc.udp_listen"] {
        assert!(readme.contains(&format!("(`{key}`)")), "{key} is not in the README's list");
    }
    // Nobody owns it yet: no name, version or serial, by whatever way.
    let page = running.client().try_send("GET", "/", &[], b"").expect("answered").text();
    let answers = [plainly(plain, "/"), plainly(http, "/"), plainly(plain, "/live"), page];
    for answer in &answers {
        for word in ["Box under test", env!("CARGO_PKG_VERSION"), "front", "serial"] {
            assert!(!answer.contains(word), "{word}: {answer}");
        }
    }
    assert!(answers[0].contains(&format!("https://localhost:{http}/")), "{}", answers[0]);
    // Its card names the page that prepares for the warning.
    let card = wait_until("the card is shown", s(10), || {
        let log = running.log();
        log.contains("Your browser will warn").then_some(log)
    });
    assert!(card.contains(&format!("or open http://localhost:{plain}\n")), "{card}");
}

#[test]
fn a_plain_port_that_is_taken_is_said_and_the_box_runs() {
    let home = Home::new("");
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, home.ports.plain)).expect("free");
    let running = home.boot();
    assert!(
        running.log().contains("http.plain_listen") && running.log().contains("is already in use"),
        "{}",
        running.log()
    );
    assert!(
        running.log().contains(&format!("or open https://localhost:{}\n", running.ports.http)),
        "{}",
        running.log()
    );
    drop(taken);
}
