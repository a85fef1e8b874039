//! Whether the ports that a change names can be opened: a box that cannot open them does not start, and nobody reaches its page to mend it.

use crate::config::Config;
use perch_base::{Error, Result};
use perch_domain::listening::is_one_place;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Errors with `Invalid`, naming key, value and rule, where a port of `after` that `runs` does not hold cannot be opened.
pub fn check(runs: &Config, after: &Config) -> Result<()> {
    let held = runs.ports();
    let is_held = |at: SocketAddr, is_udp: bool| {
        held.iter().any(|(_, own, udp)| *udp == is_udp && (*own == at || is_one_place(*own, at)))
    };
    for (key, at, is_udp) in after.ports() {
        if !is_held(at, is_udp) {
            try_out(at, is_udp)
                .map_err(|e| Error::invalid(format!("{key} = \"{at}\": {}", rule(&e))).with_source(e))?;
        }
    }
    Ok(())
}

fn try_out(at: SocketAddr, is_udp: bool) -> io::Result<()> {
    match is_udp {
        true => UdpSocket::bind(at).map(drop),
        false => TcpListener::bind(at).map(drop),
    }
}

fn rule(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => "must be free: another program answers there".into(),
        io::ErrorKind::PermissionDenied => "must be a port that the box may open: one above 1023".into(),
        io::ErrorKind::AddrNotAvailable => "must be an address of this machine, or 0.0.0.0 or [::] for all".into(),
        _ => format!("must be a place where the box can answer ({e})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_program_holds_is_refused_and_ones_own_is_not() {
        let other = TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = other.local_addr().expect("bound");
        let config = |http: &str| {
            let text = format!(
                "[http]\nlisten = \"{http}\"\n[rtsp]\nlisten = \"127.0.0.1:0\"\n[webrtc]\nudp_listen = \"127.0.0.1:0\"\n"
            );
            Config::parse(&text, std::iter::empty()).expect("valid")
        };
        let runs = config("127.0.0.1:0");
        let e = check(&runs, &config(&taken.to_string())).expect_err("taken").to_string();
        assert!(e.contains(&format!("http.listen = \"{taken}\": must be free")), "{e}");
        check(&config(&taken.to_string()), &config(&format!("0.0.0.0:{}", taken.port()))).expect("its own port");
        let e = check(&runs, &config("192.0.2.77:8443")).expect_err("not here").to_string();
        assert!(e.contains("must be an address of this machine"), "{e}");
    }
}
