//! WS-Discovery 1.0 (the version that ONVIF Core 7.3 names): one question to everybody by multicast, on each interface, and the answers of a
//! few seconds.

use crate::xml;
use perch_base::clock::{SharedClock, within};
use perch_base::net::interfaces;
use perch_base::secret::{hex, random_bytes};
use perch_domain::onvif::{Answered, of_scopes, on_host};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Where all devices listen.
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);
/// Interfaces that are asked on, answers in all, and bytes of one.
const MOST_INTERFACES: usize = 16;
const MOST_ANSWERS: usize = 128;
const MAX_ANSWER_BYTES: usize = 32 << 10;
/// The question is asked once more after this: a datagram is lost easily, and devices sleep.
const AGAIN_AFTER: Duration = Duration::from_millis(400);

/// Devices that answer within `wait`, each once. What goes wrong on one interface costs nothing on the others.
pub(crate) async fn search(clock: &SharedClock, wait: Duration) -> Vec<Answered> {
    let addresses = interfaces().into_iter().flatten().flat_map(|interface| interface.addresses);
    let own: BTreeSet<Ipv4Addr> =
        addresses.filter_map(|ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None }).collect();
    let mut asking = JoinSet::new();
    for address in own.into_iter().take(MOST_INTERFACES) {
        match socket_at(address) {
            Ok(socket) => {
                asking.spawn(ask(socket, clock.clone(), wait));
            }
            Err(e) => tracing::debug!(%address, error = %e, "no cameras are looked for here"),
        }
    }
    let mut found: Vec<Answered> = Vec::new();
    while let Some(answered) = asking.join_next().await {
        for one in answered.into_iter().flatten() {
            if found.len() < MOST_ANSWERS && found.iter().all(|other| other.url != one.url) {
                found.push(one);
            }
        }
    }
    found.sort_by_key(|one| (one.address, one.url.clone()));
    found
}

fn socket_at(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_loop_v4(true)?;
    // It stays in the house.
    socket.set_multicast_ttl_v4(1)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    UdpSocket::from_std(socket.into())
}

/// Asks on one interface and hears the answers.
async fn ask(socket: UdpSocket, clock: SharedClock, wait: Duration) -> Vec<Answered> {
    let mut found = Vec::new();
    let question = question();
    if socket.send_to(question.as_bytes(), GROUP).await.is_err() {
        return found;
    }
    let _ = within(&clock, AGAIN_AFTER.min(wait), hear(&socket, &mut found)).await;
    // One that cannot be sent was heard once already.
    let _ = socket.send_to(question.as_bytes(), GROUP).await;
    let _ = within(&clock, wait.saturating_sub(AGAIN_AFTER), hear(&socket, &mut found)).await;
    found
}

async fn hear(socket: &UdpSocket, found: &mut Vec<Answered>) {
    let mut datagram = vec![0; MAX_ANSWER_BYTES];
    let mut heard = 0;
    while heard < 4 * MOST_ANSWERS {
        let Ok((size, from)) = socket.recv_from(&mut datagram).await else { return };
        heard += 1;
        let text = String::from_utf8_lossy(&datagram[..size]);
        for one in answers(&text, from.ip()) {
            if found.len() < MOST_ANSWERS && !found.contains(&one) {
                found.push(one);
            }
        }
    }
}

fn question() -> String {
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex(&random_bytes::<16>())[part].to_owned());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><e:Header><w:MessageID>uuid:{a}-{b}-{c}-{d}-{e}</w:MessageID>\
         <w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    )
}

/// The devices that an answer from this address names, each on that very address.
fn answers(text: &str, from: IpAddr) -> Vec<Answered> {
    let Ok(document) = xml::parse(text) else { return Vec::new() };
    let matches = xml::all(document.root(), "ProbeMatch").take(4);
    let one = |found: roxmltree::Node<'_, '_>| {
        let addresses = xml::text(found, &["XAddrs"]);
        // The one of the address that answered, else the first, whose host is put right.
        let host = from.to_string();
        let named = || addresses.split_ascii_whitespace().take(16).filter(|named| named.starts_with("http://"));
        let best = named().find(|named| named.contains(&host)).or_else(|| named().next())?;
        let url = on_host(best, &host, &["http"])?;
        let (name, model) = of_scopes(&xml::text(found, &["Scopes"]));
        Some(Answered { address: from, url, name, model })
    };
    matches.filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &str) -> String {
        format!(
            "<e:Envelope xmlns:e=\"x\"><e:Body><ProbeMatches><ProbeMatch><Scopes>onvif://www.onvif.org/name/Cam \
             onvif://www.onvif.org/hardware/X1</Scopes><XAddrs>{addresses}</XAddrs></ProbeMatch></ProbeMatches></e:Body></e:Envelope>"
        )
    }

    #[test]
    fn an_answer_speaks_for_its_own_address_alone() {
        let from: IpAddr = "10.0.0.7".parse().expect("an address");
        for (addresses, want) in [
            ("http://10.0.0.7/onvif/device_service", Some("http://10.0.0.7/onvif/device_service")),
            ("http://169.254.1.1/a http://10.0.0.7:8000/b", Some("http://10.0.0.7:8000/b")),
            ("http://evil.example:81/x", Some("http://10.0.0.7:81/x")),
            ("https://10.0.0.7/x", None),
            ("ftp://10.0.0.7/x", None),
            ("", None),
        ] {
            let found = answers(&answer(addresses), from);
            assert_eq!(found.first().map(|one| one.url.as_str()), want, "{addresses}");
        }
        let found = answers(&answer("http://10.0.0.7/"), from);
        assert_eq!((found[0].name.as_str(), found[0].model.as_str()), ("Cam", "X1"));
        for junk in ["", "<", "\u{0}\u{1}", "<a/>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"] {
            assert!(answers(junk, from).is_empty());
        }
    }

    #[test]
    fn the_question_is_xml_and_never_the_same() {
        assert!(xml::parse(&question()).is_ok() && question() != question());
    }
}
