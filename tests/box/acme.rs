//! A certificate for a domain, from a real ACME server (Pebble, the one that Let's Encrypt tests clients with), by each kind of challenge:
//! the box, its ports, a small name service and a hook.

use crate::support::home::{BoxProcess, Home, Ports};
use crate::support::{s, wait_until};
use perch_base::clock::{Clock, SystemClock};
use perch_base::time::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

const DOMAIN: &str = "cam.example.org";
const SECRET: &str = "a-token-of-the-hook";
const DAYS_90: u64 = 90 * 86_400;

/// The texts of a domain's records, by their names.
type Records = Arc<Mutex<HashMap<String, String>>>;

/// A name service for which every name is this machine. Returns its port.
fn name_service(records: Records) -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = socket.local_addr().expect("bound").port();
    thread::spawn(move || {
        let mut asked = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut asked) {
            if let Some(answer) = answer_to(&asked[..length], &records) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    port
}

/// RFC 1035, section 4.
fn answer_to(asked: &[u8], records: &Records) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    while *asked.get(at)? > 0 {
        let length = usize::from(asked[at]);
        labels.push(String::from_utf8_lossy(asked.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*asked.get(at + 1)?, *asked.get(at + 2)?]);
    let data = match kind {
        1 => Some(vec![127, 0, 0, 1]),
        16 => records
            .lock()
            .expect("lock")
            .get(&labels.join("."))
            .map(|text| [&[text.len() as u8], text.as_bytes()].concat()),
        _ => None,
    };
    let mut out = asked[..2].to_vec();
    out.extend([0x84, 0x00, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    out.extend(&asked[12..at + 5]);
    if let Some(data) = data {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 1]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

/// A hook that sets records, and what it was told. Returns its port.
fn hook(records: Records, told: Arc<Mutex<Vec<Value>>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve_hook(stream, &records, &told);
        }
    });
    port
}

fn serve_hook(stream: TcpStream, records: &Records, told: &Mutex<Vec<Value>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut is_known) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.to_lowercase();
        if let Some(n) = lower.strip_prefix("content-length:") {
            length = n.trim().parse().unwrap_or(0);
        }
        is_known |= line.trim_end().ends_with(&format!("Bearer {SECRET}"));
        if line.trim_end().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let said: Value = serde_json::from_slice(&body)?;
    let name = said["fqdn"].as_str().unwrap_or_default().to_owned();
    match said["action"].as_str() {
        Some("present") => {
            _ = records.lock().expect("lock").insert(name, said["value"].as_str().unwrap_or("").to_owned())
        }
        _ => _ = records.lock().expect("lock").remove(&name),
    }
    told.lock().expect("lock").push(said);
    let status = if is_known { "204 No Content" } else { "401 Unauthorized" };
    (&stream).write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
}

/// A running Pebble.
struct Authority {
    child: Child,
    directory: String,
    certificate: PathBuf,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Authority {
    /// Looks for the domain at these ports, and signs for so many seconds. `None`, said loudly: there is no Pebble here.
    fn start(dir: &Path, ports: Ports, dns: u16, life_s: u64) -> Option<Self> {
        let program = std::env::var("PERCH_TEST_PEBBLE").unwrap_or_else(|_| "pebble".into());
        let (certificate, key) = (dir.join("pebble.pem"), dir.join("pebble.key"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=pebble",
        ]);
        openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
        assert!(openssl.stderr(Stdio::null()).status().expect("openssl runs").success());
        let Ports { http: listen, plain: management, .. } = Ports::free();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"), "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificate, "privateKey": key, "httpPort": ports.plain, "tlsPort": ports.http,
            "ocspResponderURL": "", "externalAccountBindingRequired": false, "certificateValidityPeriod": life_s,
            "profiles": { "default": { "description": "short", "validityPeriod": life_s } },
        } });
        let path = dir.join("pebble.json");
        fs::write(&path, config.to_string()).expect("written");
        let mut pebble = Command::new(program);
        pebble.arg("-config").arg(path).args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        // It refuses one nonce of twenty, as a real one may, and forgets what it knew: a client must bear both.
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "5").env("PEBBLE_AUTHZREUSE", "0");
        let log = fs::File::create(dir.join("pebble.log")).expect("made");
        pebble.stdout(log.try_clone().expect("a copy")).stderr(log);
        let Ok(child) = pebble.spawn() else {
            eprintln!(
                "SKIPPED: no pebble here, so no certificate for a domain was asked for (Debian's package `pebble`)"
            );
            return None;
        };
        let authority = Self { child, directory: format!("https://127.0.0.1:{listen}/dir"), certificate };
        wait_until("the authority listens", s(20), || TcpStream::connect((Ipv4Addr::LOCALHOST, listen)).ok());
        Some(authority)
    }

    fn section(&self, rest: &str) -> String {
        let ca = self.certificate.display().to_string();
        format!(
            "[acme]\ndomain = \"{DOMAIN}\"\ndirectory = {:?}\nca_file = {ca:?}\ncontact = \"anna@example.org\"\n{rest}\n",
            self.directory
        )
    }
}

/// The issuer of the certificate that is shown to who asks for this name.
fn issuer(running: &BoxProcess, name: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &format!("127.0.0.1:{}", running.ports.http), "-servername", name]);
    let said = openssl.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("openssl runs").stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().find_map(|line| line.strip_prefix("issuer=")).unwrap_or_default().to_owned()
}

fn sections(rest: &str) -> String {
    format!("[recording]\nmin_free_bytes = 0\n{rest}")
}

fn domain_certificate(client: &crate::support::client::Client) -> Option<Value> {
    let listed = client.try_send("GET", "/api/v1/certificate", &[], b"").ok()?.expect(200).json();
    listed["certificates"].as_array()?.iter().find(|c| c["kind"] == "domain").cloned()
}

#[test]
fn a_domain_gets_a_certificate_by_each_kind_of_challenge_and_keeps_it_fresh() {
    for (challenge, life_s) in [("tls-alpn-01", 60), ("http-01", DAYS_90), ("dns-01", DAYS_90)] {
        let home = Home::new("");
        let (records, told) = (Records::default(), Arc::default());
        let dns = name_service(records.clone());
        let Some(authority) = Authority::start(home.dir(), home.ports, dns, life_s) else { return };
        let secret = home.dir().join("secret");
        fs::write(&secret, format!("{SECRET}\n")).expect("written");
        let mut more = format!("challenge = \"{challenge}\"\n");
        if challenge == "dns-01" {
            let port = hook(records.clone(), Arc::clone(&told));
            more += &format!("dns_hook = \"http://127.0.0.1:{port}/set\"\ndns_hook_secret_file = {secret:?}\n");
        }
        home.configure(&sections(&authority.section(&more)), "");
        if challenge == "dns-01" {
            // An attempt before was broken off.
            fs::create_dir_all(home.data().join("tls")).expect("made");
            let left = json!([[format!("_acme-challenge.{DOMAIN}"), "left"]]);
            fs::write(home.data().join("tls/acme-records.json"), left.to_string()).expect("written");
        }
        let running = home.boot();
        let client = running.paired();
        let found = wait_until("a certificate for the domain", s(120), || domain_certificate(&client));
        assert_eq!((&found["names"], &found["problem"]), (&json!([DOMAIN]), &json!("")), "{challenge}");
        assert!(issuer(&running, DOMAIN).contains("Pebble"), "{challenge}: {}", issuer(&running, DOMAIN));
        assert!(issuer(&running, "localhost").contains("Perch box"), "the box's own stays for its own names");
        for file in ["domain.key", "domain.pem", "acme-account.json"] {
            let mode = fs::metadata(home.data().join("tls").join(file)).expect(file).permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert!(!running.log().contains(SECRET));
        if challenge == "dns-01" {
            let told = told.lock().expect("lock").clone();
            let actions: Vec<_> = told.iter().map(|said| (&said["action"], &said["fqdn"])).collect();
            let name = json!(format!("_acme-challenge.{DOMAIN}"));
            let (present, cleanup) = (json!("present"), json!("cleanup"));
            assert_eq!(actions, [(&cleanup, &name), (&present, &name), (&cleanup, &name)]);
            assert_eq!(told[0]["value"], "left");
            assert!(records.lock().expect("lock").is_empty(), "nothing is left over");
        }
        if life_s < DAYS_90 {
            wait_until("it is renewed at two thirds of its life", s(120), || {
                domain_certificate(&client).filter(|now| now["sha256"] != found["sha256"])
            });
            continue;
        }
        // It is there at once after a restart, without asking again.
        let orders =
            || fs::read_to_string(home.dir().join("pebble.log")).unwrap_or_default().matches("order-plz").count();
        let asked = orders();
        assert!(asked > 0);
        drop(running);
        let again = home.boot();
        wait_until("it is read again", s(20), || issuer(&again, DOMAIN).contains("Pebble").then_some(()));
        assert_eq!(orders(), asked, "{challenge}");
    }
}

#[test]
fn a_domain_that_leads_elsewhere_is_said_and_asked_for_again_much_later() {
    let home = Home::new("");
    let dns = name_service(Records::default());
    // The authority looks where nobody is.
    let elsewhere = Ports::free();
    let Some(authority) = Authority::start(home.dir(), elsewhere, dns, DAYS_90) else { return };
    home.configure(&sections(&authority.section("challenge = \"http-01\"\n")), "");
    let running = home.boot();
    let client = running.paired();
    let domain = wait_until("the failure is said", s(120), || {
        let listed = client.try_send("GET", "/api/v1/certificate", &[], b"").ok()?.expect(200).json();
        Some(listed["domain"].clone()).filter(|domain| domain["problem"].as_str().is_some_and(|said| !said.is_empty()))
    });
    let problem = domain["problem"].as_str().expect("a text");
    assert!(problem.starts_with("the authority says: ") && problem.len() < 500, "{problem}");
    let sentence = wait_until("the box says so", s(60), || {
        let status = client.try_send("GET", "/api/v1/status", &[], b"").ok()?.expect(200).json();
        Some(status["sentence"].as_str()?.to_owned()).filter(|text| text.contains(DOMAIN))
    });
    assert!(sentence.contains("domain certificate"), "{sentence}");
    let kept: Value =
        serde_json::from_slice(&fs::read(home.data().join("tls/acme-failures.json")).expect("kept")).expect("JSON");
    assert_eq!(kept["count"], 1, "one attempt");
    assert!(issuer(&running, DOMAIN).contains("Perch box"), "the box is reached all the same");
    // A restart does not make it forget: the authority counts too.
    drop(running);
    let again = home.boot();
    wait_until("the box says so again", s(60), || {
        let status = client.try_send("GET", "/api/v1/status", &[], b"").ok()?.expect(200).json();
        status["sentence"].as_str()?.contains(DOMAIN).then_some(())
    });
    let kept: Value =
        serde_json::from_slice(&fs::read(home.data().join("tls/acme-failures.json")).expect("kept")).expect("JSON");
    assert_eq!(kept["count"], 1, "not asked again");
    drop(again);
}

#[test]
fn an_authority_that_is_not_reached_is_said_so_and_asked_again_within_a_minute() {
    let home = Home::new("");
    let nobody = Ports::free().http;
    let section = format!("[acme]\ndomain = \"{DOMAIN}\"\ndirectory = \"http://127.0.0.1:{nobody}/dir\"\n");
    home.configure(&section, "");
    let running = home.boot();
    let client = running.paired();
    let domain = wait_until("the failure is said", s(60), || {
        let listed = client.json("/api/v1/certificate");
        Some(listed["domain"].clone()).filter(|domain| domain["problem"].as_str().is_some_and(|said| !said.is_empty()))
    });
    let problem = domain["problem"].as_str().expect("a text");
    assert!(problem.starts_with("the authority 127.0.0.1 cannot be reached: "), "{problem}");
    let again = domain["tried_again_at"].as_str().and_then(|at| Timestamp::parse(at).ok()).expect("a time");
    assert!(again.micros_since(SystemClock.utc()) < 90_000_000, "{again}");
}
