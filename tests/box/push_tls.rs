//! Cameras pushed to servers with TLS: nginx ends it before a real RTMP server and an RTSP server of the test's. What this system trusts is taken, what it does
//! not is refused in words.

use crate::push::{Receiver, wait_for};
use crate::support::client::Client;
use crate::support::home::{Home, Ports, camera};
use crate::support::{ffmpeg, s, skipped, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What this system trusts, as Debian keeps it.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";
const SILENT: &str = "record = { mode = \"off\" }\nmotion = { enabled = false }\n";

/// A certificate for a name, signed by itself, and its key.
fn certificate(dir: &Path, file: &str, name: &str) -> (PathBuf, PathBuf) {
    let [certificate, key] = ["pem", "key"].map(|end| dir.join(format!("{file}.{end}")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", &format!("/CN={file}"), "-addext", &format!("subjectAltName={name}")]);
    openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
    assert!(openssl.stderr(Stdio::null()).status().expect("openssl runs").success());
    (certificate, key)
}

/// A program that runs perch where these certificates are trusted, too; `None` where that cannot be had.
fn trusting(dir: &Path, certificates: &[&Path]) -> Option<PathBuf> {
    let mut all = std::fs::read(TRUSTED).ok()?;
    certificates.iter().for_each(|file| all.extend(std::fs::read(file).expect("it was made")));
    let (list, program) = (dir.join("trusted.pem"), dir.join("perch-trusting"));
    std::fs::write(&list, all).expect("written");
    let mounts = format!("mount --bind {} {TRUSTED}", list.display());
    let may = Command::new("unshare").args(["-m", "sh", "-c", &mounts]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        return None;
    }
    let perch = crate::support::home::perch(&[]).get_program().to_owned();
    let script = format!(
        "#!/bin/sh\nexec unshare -m sh -c '{mounts} && exec \"$0\" \"$@\"' {} \"$@\"\n",
        Path::new(&perch).display()
    );
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");
    Some(program)
}

/// Ends TLS at each of these ports with a certificate, and hands on to the other port.
fn ends_tls(dir: &Path, ways: &[(u16, &(PathBuf, PathBuf), u16)]) -> Receiver {
    let server = |(tls, (certificate, key), to): &(u16, &(PathBuf, PathBuf), u16)| {
        format!(
            "server {{ listen 127.0.0.1:{tls} ssl; ssl_certificate {}; ssl_certificate_key {}; proxy_pass 127.0.0.1:{to}; }}\n",
            certificate.display(),
            key.display()
        )
    };
    let conf = dir.join("tls.conf");
    let text = format!(
        "daemon off; master_process off; error_log stderr; pid {}/tls.pid;\n\
         load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {{ worker_connections 64; }}\nstream {{\n{}}}\n",
        dir.display(),
        ways.iter().map(server).collect::<String>()
    );
    std::fs::write(&conf, text).expect("written");
    Receiver::start("nginx", &["-c", &conf.display().to_string()])
}

/// Takes whatever is recorded to it by RTSP (RFC 2326) at a port, and counts the packets that come within the connection. Real servers are pushed to
/// in the tests of `media`; here it is about what lies between.
fn records(port: u16) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let packets = Arc::new(AtomicUsize::new(0));
    let count = packets.clone();
    std::thread::spawn(move || {
        for peer in listener.incoming().flatten() {
            let count = count.clone();
            std::thread::spawn(move || record(BufReader::new(peer), &count));
        }
    });
    packets
}

/// Serves one connection until it ends.
fn record(mut peer: BufReader<TcpStream>, packets: &AtomicUsize) -> std::io::Result<()> {
    loop {
        if peer.fill_buf()?.first() == Some(&b'$') {
            let mut head = [0; 4];
            peer.read_exact(&mut head)?;
            peer.read_exact(&mut vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))])?;
            packets.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let (mut answer, mut body_bytes) = ("RTSP/1.0 200 OK\r\nSession: 1\r\n".to_owned(), 0);
        let mut line = String::new();
        while peer.read_line(&mut line)? > 2 {
            if line.starts_with("CSeq") || line.starts_with("Transport") {
                answer.push_str(&line);
            }
            if let Some(bytes) = line.strip_prefix("Content-Length:") {
                body_bytes = bytes.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        peer.read_exact(&mut vec![0; body_bytes])?;
        peer.get_mut().write_all(format!("{answer}\r\n").as_bytes())?;
    }
}

#[track_caller]
fn is_refused(client: &Client, id: &str) {
    let failing = wait_for(client, id, "failing");
    let why = failing["reason"].as_str().unwrap_or_default();
    assert_eq!(why, "127.0.0.1 has no certificate that is trusted here", "{id}");
}

#[test]
fn servers_with_tls_are_pushed_to_where_their_certificate_is_trusted_and_refused_in_words_where_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = certificate(dir.path(), "good", "IP:127.0.0.1");
    let foreign = certificate(dir.path(), "foreign", "IP:127.0.0.1");
    let misnamed = certificate(dir.path(), "misnamed", "DNS:elsewhere.example");
    let Some(program) = trusting(dir.path(), &[&good.0, &misnamed.0]) else {
        return skipped("pushing with TLS", "this user may not mount another list of certificates");
    };
    let [rtmp, rtsp, rtmps, rtsps, rtmps_foreign, rtsps_foreign, rtmps_misnamed] =
        std::array::from_fn(|_| Ports::free().http);
    let _tls = ends_tls(
        dir.path(),
        &[
            (rtmps, &good, rtmp),
            (rtsps, &good, rtsp),
            (rtmps_foreign, &foreign, rtmp),
            (rtsps_foreign, &foreign, rtsp),
            (rtmps_misnamed, &misnamed, rtmp),
        ],
    );
    let _nginx = Receiver::nginx(dir.path(), rtmp);
    let packets = records(rtsp);
    let of = |id: &str, url: String| camera(id, "test", &format!("{SILENT}push = [{{ url = \"{url}\" }}]\n"));
    let cameras = [
        of("rtmps", format!("rtmps://127.0.0.1:{rtmps}/live/S3CRET")),
        of("rtsps", format!("rtsps://127.0.0.1:{rtsps}/in")),
        of("rtmps-foreign", format!("rtmps://127.0.0.1:{rtmps_foreign}/live/S3CRET")),
        of("rtsps-foreign", format!("rtsps://127.0.0.1:{rtsps_foreign}/in")),
        of("rtmps-misnamed", format!("rtmps://127.0.0.1:{rtmps_misnamed}/live/S3CRET")),
    ];
    let mut home = Home::new(&cameras.concat());
    home.run_by(program);
    let running = home.boot();
    let client = running.paired();

    wait_for(&client, "rtmps", "sending");
    let got = ffmpeg::probe(&format!("rtmp://127.0.0.1:{rtmp}/live/S3CRET"), &["-rw_timeout", "20000000"]);
    let got = got.unwrap_or_else(|e| panic!("{e}: {}", running.log()));
    assert!(got.has("video:h264") && got.has("audio:aac"), "{got:?}");

    wait_for(&client, "rtsps", "sending");
    wait_until("RTSP's packets come", s(30), || Some(()).filter(|()| packets.load(Ordering::SeqCst) > 50));

    for id in ["rtmps-foreign", "rtsps-foreign", "rtmps-misnamed"] {
        is_refused(&client, id);
    }
    wait_until("the one that is trusted goes on", s(30), || {
        Some(()).filter(|()| client.camera("rtmps")["push"][0]["state"] == "sending")
    });
    assert!(!running.log().contains("S3CRET"), "{}", running.log());
}
